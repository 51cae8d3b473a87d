/* Start and stop of the control plane. The main thread's loop serves the admin API and the signals; the catalog
 * and the gRPC side have threads of their own. */
#include "controlplane/control.h"

#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalog/catalog.h"
#include "catalog/token.h"
#include "common/alloc.h"
#include "common/assert.h"
#include "common/file.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/process_metrics.h"
#include "controlplane/admin/admin.h"
#include "controlplane/backup_schedule.h"
#include "controlplane/grpc/grpc.h"
#include "controlplane/portal/portal.h"
#include "dataplane/schema/definition.h"

#define SLC_CONTROL_MAGIC 0x51c07201u

struct control {
    unsigned magic;
    const slc_control_settings *settings;
    slc_loop *loop;
    slc_catalog *catalog;
    slc_control_grpc *grpc;
    slc_admin *admin;
    slc_portal *portal; /* NULL: switched off */
    slc_backup_schedule *backups;
    slc_webhook_sender *webhooks;
    struct event *signals[4];
    bool stopping;
};

static void on_signal(evutil_socket_t signal_number, short what, void *arg);
static void on_drained(void *arg);

void slc_control_catalog_options(const slc_control_settings *settings, slc_catalog_options *options)
{
    *options = (slc_catalog_options){.data_dir = settings->data_dir,
                                     .master_key_file = settings->master_key_file,
                                     .busy_timeout_ms = settings->catalog_busy_timeout_ms,
                                     .readers = (unsigned)settings->catalog_readers,
                                     .queue_limit = (unsigned)settings->catalog_queue,
                                     .node_lost_after_ms = settings->node_lost_ms,
                                     .full_check = settings->catalog_full_check,
                                     .check_limit_ms = settings->catalog_check_limit_ms,
                                     .backup_dir = settings->backup_directory,
                                     .backup_keep = (unsigned)settings->backup_keep,
                                     .no_upgrade_backup = !settings->backup_before_upgrade,
                                     .check_definition = slc_schema_definition_check,
                                     .document_bytes = settings->import_document_bytes};
}

static bool open_catalog(struct control *control, slc_error *err)
{
    const slc_control_settings *settings = control->settings;
    slc_catalog_options options;
    slc_control_catalog_options(settings, &options);
    if (!slc_dir_make(settings->data_dir, 0700, err))
        return false;
    control->catalog = slc_catalog_open(&options, err);
    return control->catalog != NULL;
}

static bool make_first_token(slc_txn *txn, void *arg, slc_error *err)
{
    return slc_catalog_bootstrap(txn, arg, err);
}

bool slc_control_show_token(const slc_control_settings *settings, const char *token, slc_error *err)
{
    const char *file = settings->bootstrap_token_file;
    if (file == NULL) {
        printf("administrator token: %s\n", token);
        fflush(stdout);
        return true;
    }
    char *line = slc_asprintf("%s\n", token);
    bool ok = slc_file_write_atomic(file, line, strlen(line), 0600, err);
    slc_free_secret(line, strlen(line));
    if (ok)
        slc_log(SLC_LOG_INFO, "administrator token written", LS("file", file));
    return ok;
}

static bool bootstrap(struct control *control, slc_error *err)
{
    slc_actor actor = {.kind = "system", .id = "system", .name = "bootstrap"};
    char *token = NULL;
    bool ok = slc_catalog_write_sync(control->catalog, &actor, make_first_token, &token, err);
    if (token != NULL) {
        ok = slc_control_show_token(control->settings, token, err);
        slc_free_secret(token, strlen(token));
    }
    return ok;
}

static bool start_grpc(struct control *control, slc_error *err)
{
    const slc_control_settings *settings = control->settings;
    slc_control_grpc_options options = {.config_address = settings->grpc_address,
                                        .enrolment_address = settings->enrolment_address,
                                        .config_endpoint = settings->grpc_advertise,
                                        .enrolment_endpoint = settings->enrolment_advertise,
                                        .trust_domain = settings->trust_domain,
                                        .server_names = settings->server_names,
                                        .certificate_ms = settings->certificate_ms,
                                        .renewal_window_ms = settings->renewal_window_ms,
                                        .clock_skew_ms = settings->clock_skew_ms,
                                        .ca_lifetime_ms = settings->ca_lifetime_ms,
                                        .ca_warn_ms = settings->ca_warn_ms,
                                        .ca_rotation_spread_ms = settings->ca_rotation_spread_ms,
                                        .ca_retire_after_ms = settings->ca_retire_after_ms,
                                        .forget_ephemeral_ms = settings->forget_ephemeral_ms,
                                        .upkeep_ms = settings->upkeep_ms,
                                        .keys = {.ttl_ms = settings->keys_ttl_ms,
                                                 .retry_ms = settings->keys_retry_ms,
                                                 .stale_ms = settings->keys_stale_ms,
                                                 .timeout_ms = settings->keys_timeout_ms,
                                                 .max_bytes = settings->keys_bytes},
                                        .inventory = settings->inventory,
                                        .usage = {.hours_ms = settings->usage_hours_ms,
                                                  .days_ms = settings->usage_days_ms,
                                                  .months_ms = settings->usage_months_ms,
                                                  .boots_ms = settings->usage_boots_ms},
                                        .debounce_ms = settings->debounce_ms,
                                        .heartbeat_ms = settings->heartbeat_ms,
                                        .lost_after_ms = settings->node_lost_ms,
                                        .answer_timeout_ms = settings->answer_timeout_ms,
                                        .versions = {.kept = settings->versions_kept,
                                                     .age_ms = settings->versions_age_ms,
                                                     .limit = settings->versions_limit},
                                        .question_timeout_ms = settings->question_timeout_ms,
                                        .stream_burst = settings->stream_burst,
                                        .count_settle_ms = settings->count_settle_ms,
                                        .enrolment_burst = settings->enrolment_burst,
                                        .memory_bytes = settings->grpc_memory_bytes,
                                        .idle_ms = settings->grpc_idle_ms};
    control->grpc = slc_control_grpc_new(control->catalog, &options, err);
    return control->grpc != NULL;
}

/* Where browsers find the portal: new text, NULL when there is none. */
static char *portal_url(const slc_control_settings *settings)
{
    const char *url = settings->portal_public_url, *address = settings->portal_address;
    if (!settings->portal_enabled)
        return NULL;
    if (url != NULL && *url != '\0') {
        size_t len = strlen(url);
        while (len > 0 && url[len - 1] == '/')
            len--;
        return slc_strndup(url, len);
    }
    return slc_asprintf("%s://%s%s", settings->portal_tls_certificate_file != NULL ? "https" : "http",
                        *address == ':' ? "localhost" : "", address);
}

static bool start_admin(struct control *control, slc_error *err)
{
    const slc_control_settings *settings = control->settings;
    char *url = portal_url(settings);
    slc_admin_options options = {.address = settings->admin_address,
                                 .tls_certificate_file = settings->admin_tls_certificate_file,
                                 .tls_key_file = settings->admin_tls_key_file,
                                 .tls_reload_ms = settings->admin_tls_reload_ms,
                                 .limits = {.header_bytes = settings->admin_header_bytes,
                                            .body_bytes = settings->admin_body_bytes,
                                            .bodies_bytes = settings->admin_bodies_bytes,
                                            .request_timeout_ms = settings->admin_request_timeout_ms,
                                            .connections = (unsigned)settings->admin_connections},
                                 .kept_bytes = settings->admin_kept_bytes,
                                 .portal_url = url,
                                 .export_rows = settings->usage_export_rows,
                                 .explained = (unsigned)settings->admin_explained,
                                 .pages = (size_t)settings->admin_pages,
                                 .page_bytes = (size_t)settings->admin_page_bytes};
    control->admin = slc_admin_new(control->loop, control->catalog, control->grpc, &options, err);
    free(url);
    return control->admin != NULL;
}

/* Nodes get their time to come back after a start before they are told to be lost. */
static bool start_webhooks(struct control *control, slc_error *err)
{
    const slc_control_settings *settings = control->settings;
    slc_webhook_options options = settings->webhooks;
    options.settle_ms =
        settings->count_settle_ms > settings->node_lost_ms ? settings->count_settle_ms : settings->node_lost_ms;
    control->webhooks = slc_webhook_sender_new(control->catalog, &options, err);
    return control->webhooks != NULL;
}

static bool start_portal(struct control *control, slc_error *err)
{
    const slc_control_settings *settings = control->settings;
    const char *role = settings->portal_sign_up_role;
    slc_portal_options options = {
        .address = settings->portal_address,
        .tls_certificate_file = settings->portal_tls_certificate_file,
        .tls_key_file = settings->portal_tls_key_file,
        .public_url = settings->portal_public_url,
        .trusted_proxies = settings->portal_trusted_proxies,
        .limits = {.header_bytes = settings->portal_header_bytes,
                   .body_bytes = settings->portal_body_bytes,
                   .bodies_bytes = settings->admin_bodies_bytes,
                   .request_timeout_ms = settings->portal_request_timeout_ms,
                   .connections = (unsigned)settings->portal_connections},
        .sessions = {.idle_ms = settings->portal_session_idle_ms,
                     .absolute_ms = settings->portal_session_life_ms,
                     .per_user = settings->portal_sessions},
        .password_cost = {.memory_kib = (uint32_t)(settings->portal_password_memory_bytes / 1024),
                          .passes = (uint32_t)settings->portal_password_passes,
                          .lanes = (uint32_t)settings->portal_password_lanes},
        .password_min = settings->portal_password_min,
        .failures = settings->portal_failures,
        .failure_window_ms = settings->portal_failure_window_ms,
        .sign_ups = settings->portal_sign_ups,
        .public_catalog = settings->portal_public_catalog,
        .provider_timeout_ms = settings->portal_provider_timeout_ms,
        .discovery_ttl_ms = settings->keys_ttl_ms,
        .discovery_retry_ms = settings->keys_retry_ms,
        .sign_up_role = role != NULL && *role != '\0' ? role : NULL,
    };
    if (!settings->portal_enabled)
        return true;
    if (!slc_sign_up_parse(settings->portal_sign_up, &options.sign_up))
        return slc_fail(err, SLC_INVALID, "portal.sign-up",
                        "portal.sign-up must be off, invitation, domain or open, not %s",
                        settings->portal_sign_up);
    control->portal = slc_portal_new(control->loop, control->admin, &options, err);
    return control->portal != NULL;
}

static void watch_signals(struct control *control)
{
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        control->signals[i] = evsignal_new(slc_loop_base(control->loop), numbers[i], on_signal, control);
        SLC_BUG_ON(control->signals[i] == NULL);
        event_add(control->signals[i], NULL);
    }
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a limit on the size of files is an error of the write, like a full disk */
}

void slc_control_register_metrics(void)
{
    slc_process_metrics_register();
    slc_control_grpc_register_metrics();
    slc_admin_register_metrics();
    slc_portal_register_metrics();
    slc_backup_schedule_register_metrics();
    slc_webhooks_register_metrics();
}

bool slc_control_run(const slc_control_settings *settings, slc_error *err)
{
    struct control control = {.magic = SLC_CONTROL_MAGIC, .settings = settings};
    slc_control_register_metrics();
    control.loop = slc_loop_new("admin", &control);
    watch_signals(&control);
    bool ok = open_catalog(&control, err) && bootstrap(&control, err) && start_grpc(&control, err) &&
              start_admin(&control, err) && start_portal(&control, err) && start_webhooks(&control, err);
    if (ok) {
        slc_log(SLC_LOG_INFO, "control plane ready", LI("admin_port", slc_admin_port(control.admin)),
                LI("portal_port", control.portal != NULL ? slc_portal_port(control.portal) : 0),
                LI("grpc_port", slc_control_grpc_config_port(control.grpc)),
                LI("enrolment_port", slc_control_grpc_enrolment_port(control.grpc)));
        control.backups = slc_backup_schedule_new(control.loop, control.catalog, settings->backup_interval_ms);
        slc_loop_run(control.loop);
    }
    slc_webhook_sender_free(control.webhooks);
    if (control.grpc != NULL)
        slc_control_grpc_stop(control.grpc);
    if (control.catalog != NULL)
        slc_catalog_close(control.catalog);
    slc_portal_free(control.portal);
    slc_admin_free(control.admin);
    slc_backup_schedule_free(control.backups);
    for (size_t i = 0; i < sizeof control.signals / sizeof *control.signals; i++)
        event_free(control.signals[i]);
    slc_loop_free(control.loop);
    return ok;
}

/* The first signal drains; the second stops waiting. */
static void on_signal(evutil_socket_t signal_number, short what, void *arg)
{
    struct control *control = arg;
    (void)what;
    SLC_CHECK_MAGIC(control, SLC_CONTROL_MAGIC);
    if (signal_number == SIGUSR1) {
        slc_log_toggle_debug();
        return;
    }
    if (signal_number == SIGHUP) {
        if (control->admin != NULL)
            slc_admin_reload_certificate(control->admin);
        return;
    }
    slc_log(SLC_LOG_INFO, "stopping", LI("signal", (int64_t)signal_number));
    if (control->stopping || control->admin == NULL) {
        slc_loop_stop(control->loop);
        return;
    }
    control->stopping = true;
    if (control->portal != NULL)
        slc_portal_drain(control->portal);
    slc_admin_drain(control->admin, control->settings->shutdown_grace_ms, on_drained, control);
}

static void on_drained(void *arg)
{
    struct control *control = arg;
    slc_loop_stop(control->loop);
}
