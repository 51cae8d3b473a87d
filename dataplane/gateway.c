/* Start and stop of the gateway. */
#include "dataplane/gateway.h"
#include "dataplane/certificates.h"

#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/clock.h"
#include "common/file.h"
#include "common/log.h"
#include "common/metrics.h"
#include "common/process_metrics.h"
#include "common/version.h"
#include "dataplane/broker/kafka_inflate.h"
#include "dataplane/crypt/keys.h"
#include "dataplane/gateway_private.h"
#include "dataplane/http/front.h"
#include "dataplane/identity/issuers.h"
#include "dataplane/inventory.h"
#include "dataplane/observe/audit.h"
#include "dataplane/observe/metrics.h"
#include "dataplane/observe/observe.h"
#include "dataplane/observe/trace.h"
#include "dataplane/policy/decisions.h"
#include "dataplane/policy/failures.h"
#include "dataplane/policy/limits.h"
#include "dataplane/policy/record_chain.h"
#include "dataplane/policy/shared_limits.h"
#include "dataplane/proxy/front.h"
#include "dataplane/proxy/headcount.h"
#include "dataplane/schema/registry.h"

#define JOIN_MAX_BYTES 16384

static void on_signal(evutil_socket_t signal_number, short what, void *arg);

const slc_gateway_limits *slc_gateway_limits_of(const struct slc_gateway *gateway)
{
    return &gateway->settings->limits;
}

const slc_shared_options *slc_gateway_shared_limits(const struct slc_gateway *gateway)
{
    return gateway->settings->shared.redis.address != NULL ? &gateway->settings->shared : NULL;
}

/* ---- what health and the control plane are told ---- */

static json_t *not_ready(void *arg)
{
    struct slc_gateway *gateway = arg;
    json_t *reasons = json_array();
    if (!atomic_load(&gateway->applied))
        json_array_append_new(reasons, json_string("no valid configuration yet"));
    if (atomic_load(&gateway->stale))
        json_array_append_new(reasons, json_string("the configuration is older than the group allows"));
    if (atomic_load(&gateway->draining))
        json_array_append_new(reasons, json_string("draining"));
    if (!gateway->settings->require_backend)
        return reasons;
    json_t *backends = slc_mediation_backend_health(gateway->mediation), *backend;
    const char *name;
    json_object_foreach (backends, name, backend) {
        if (!json_is_true(json_object_get(backend, "up")))
            json_array_append_new(reasons, json_sprintf("backend %s is down", name));
    }
    json_decref(backends);
    return reasons;
}

static json_t *backends(void *arg)
{
    struct slc_gateway *gateway = arg;
    return slc_mediation_backend_health(gateway->mediation);
}

static json_t *keys(void *arg)
{
    struct slc_gateway *gateway = arg;
    return slc_keys_health(gateway->keys);
}

static int64_t connections(void *arg)
{
    return slc_gateway_connections(arg);
}

static void status(void *arg, slc_config_status *out)
{
    struct slc_gateway *gateway = arg;
    out->connections = slc_gateway_connections(gateway);
    out->draining = atomic_load(&gateway->draining);
    for (size_t i = 0; i < gateway->open_count && i < SLC_CONFIG_MAX_LISTENERS; i++) {
        const Sluice__Snapshot__V1__Listener *msg = gateway->open[i].listener->msg;
        snprintf(out->listeners[i].name, sizeof out->listeners[i].name, "%s", msg->name);
        snprintf(out->listeners[i].address, sizeof out->listeners[i].address, "%s", msg->address);
        out->listener_count = i + 1;
    }
    int64_t since_ms = slc_wall_ms() - slc_gateway_limits_of(gateway)->kafka_conflict_memory_ms;
    out->conflict_count = slc_conflicts_list(out->conflicts, since_ms);
    slc_certificates_problem(gateway->certificates, out->problem, sizeof out->problem);
}

static void refuse_here(void *arg)
{
    slc_worker *worker = arg;
    bool refuse = atomic_load(&worker->gateway->stale);
    slc_http_front_refuse(worker->http, refuse);
    if (refuse)
        slc_mediation_cut_off(worker->mediation);
    slc_proxy_front_refuse(worker->kafka, refuse);
}

static void stale(void *arg, bool is_stale)
{
    struct slc_gateway *gateway = arg;
    atomic_store(&gateway->stale, is_stale);
    for (unsigned i = 0; i < gateway->worker_count; i++)
        slc_loop_call(gateway->workers[i]->loop, refuse_here, gateway->workers[i]);
}

/* ---- start ---- */

static void watch_signals(struct slc_gateway *gateway)
{
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        gateway->signals[i] = evsignal_new(slc_loop_base(gateway->loop), numbers[i], on_signal, gateway);
        SLC_BUG_ON(gateway->signals[i] == NULL);
        event_add(gateway->signals[i], NULL);
    }
    signal(SIGPIPE, SIG_IGN);
}

static bool start_workers(struct slc_gateway *gateway, slc_error *err)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    int64_t count = gateway->settings->workers > 0 ? gateway->settings->workers : cores > 0 ? cores : 1;
    gateway->workers = slc_calloc((size_t)count, sizeof(slc_worker *));
    for (unsigned i = 0; i < (unsigned)count; i++) {
        gateway->workers[i] = slc_worker_start(gateway, i, gateway->mediation, gateway->access_file, err);
        if (gateway->workers[i] == NULL)
            return false;
        gateway->worker_count = i + 1;
    }
    return true;
}

static bool start_observe(struct slc_gateway *gateway, slc_error *err)
{
    slc_observe_source source = {not_ready, backends, keys, connections, gateway, gateway->settings->state_dir};
    gateway->observe = slc_observe_new(gateway->loop, gateway->settings->observe_address, &source, err);
    return gateway->observe != NULL;
}

/* The join string comes from a flag, the environment, or a file such as a mounted secret. */
static bool read_join(const slc_gateway_settings *settings, char **join, slc_error *err)
{
    size_t len = 0;
    *join = NULL;
    if (settings->join != NULL)
        *join = slc_strdup(settings->join);
    else if (settings->join_file != NULL)
        *join = slc_file_read(settings->join_file, JOIN_MAX_BYTES, &len, err);
    else
        return true;
    if (*join != NULL)
        (*join)[strcspn(*join, "\r\n")] = '\0';
    return *join != NULL;
}

static void group_size(void *arg, unsigned gateways)
{
    const struct slc_gateway *gateway = arg;
    slc_limits_set_gateways(gateway->limits, gateways);
    slc_metrics_group_size(gateways);
}

static void inventory_turn(void *arg, const slc_inventory_turn_options *turn)
{
    const struct slc_gateway *gateway = arg;
    slc_inventory_turn(gateway->inventory, turn);
}

static bool start_client(struct slc_gateway *gateway, slc_error *err)
{
    const slc_gateway_settings *settings = gateway->settings;
    slc_config_gateway callbacks = {.apply = slc_gateway_apply,
                                    .stale = stale,
                                    .status = status,
                                    .list = slc_gateway_connections_list,
                                    .group_size = group_size,
                                    .inventory_turn = inventory_turn,
                                    .drain = slc_gateway_asked_to_drain,
                                    .arg = gateway};
    char *join = NULL;
    if (!read_join(settings, &join, err))
        return false;
    slc_config_client_options options = {.state_dir = settings->state_dir,
                                         .join = join,
                                         .enrolment_endpoint = settings->enrolment_endpoint,
                                         .enrolment_ca_sha256 = settings->enrolment_ca_sha256,
                                         .service_account_token_file = settings->service_account_token_file,
                                         .node_name = settings->node_name,
                                         .build = SLC_VERSION "+" SLC_COMMIT,
                                         .reconnect_min_ms = settings->reconnect_min_ms,
                                         .reconnect_max_ms = settings->reconnect_max_ms,
                                         .retry_apply_min_ms = settings->retry_apply_min_ms,
                                         .retry_apply_max_ms = settings->retry_apply_max_ms,
                                         .usage_rows = settings->usage_backlog,
                                         .usage_retry_ms = settings->usage_retry_ms};
    gateway->client = slc_config_client_new(&options, &callbacks, err);
    if (join != NULL)
        slc_free_secret(join, strlen(join));
    return gateway->client != NULL;
}

static void stop(struct slc_gateway *gateway)
{
    if (gateway->inventory != NULL)
        slc_inventory_connect(gateway->inventory, NULL);
    slc_gateway_usage_stop(gateway);
    slc_config_client_free(gateway->client);
    gateway->client = NULL;
    slc_inventory_free(gateway->inventory);
    slc_observe_free(gateway->observe);
    if (gateway->issuers != NULL) /* what waits for it is the workers' */
        slc_issuers_stop(gateway->issuers);
    slc_keys_stop(gateway->keys); /* likewise */
    slc_schemas_stop(gateway->schemas);
    for (unsigned i = 0; i < gateway->worker_count; i++)
        slc_worker_stop(gateway->workers[i]);
    slc_gateway_drop_plan(gateway);
    free(gateway->workers);
    slc_issuers_free(gateway->issuers);
    slc_mediation_free(gateway->mediation);
    slc_limits_free(gateway->limits);
    slc_headcount_free(gateway->headcount);
    slc_failures_free(gateway->failures);
    slc_certificates_free(gateway->certificates);
    slc_gateway_release_listeners(gateway);
    slc_keys_set_process(NULL);
    slc_keys_free(gateway->keys);
    slc_schemas_set_process(NULL);
    slc_schemas_free(gateway->schemas);
    slc_audit_free(gateway->audit);
    slc_tracer_free(gateway->tracer);
    slc_access_file_close(gateway->access_file);
    if (gateway->drain_timer != NULL)
        event_free(gateway->drain_timer);
    for (size_t i = 0; i < sizeof gateway->signals / sizeof *gateway->signals; i++)
        event_free(gateway->signals[i]);
    signal(SIGTERM, SIG_IGN); /* freeing put the default back, and another one must not spoil how it ends */
    slc_loop_free(gateway->loop);
}

static bool open_logs(struct slc_gateway *gateway, slc_error *err)
{
    const slc_gateway_settings *settings = gateway->settings;
    const char *none[] = {NULL};
    const slc_access_file_options access = {.path = settings->access_log,
                                            .what = "access-log",
                                            .limit_bytes = settings->access_log_queue_bytes,
                                            .dropped =
                                                slc_metrics_series("sluice_access_log_dropped_total", none)};
    gateway->access_file = slc_access_file_open(&access, err);
    gateway->audit = gateway->access_file != NULL ? slc_audit_new(&settings->audit, err) : NULL;
    return gateway->audit != NULL;
}

static bool start_tracer(struct slc_gateway *gateway, slc_error *err)
{
    slc_trace_options options = gateway->settings->trace;
    options.instance = gateway->settings->node_name;
    return slc_tracer_new(&options, &gateway->tracer, err);
}

void slc_gateway_register_metrics(void)
{
    slc_process_metrics_register();
    slc_gateway_metrics_register();
    slc_mediation_register_metrics();
    slc_decisions_register();
    slc_record_metrics_register();
    slc_config_client_register_metrics();
    slc_proxy_register_metrics();
    slc_issuers_register_metrics();
    slc_audit_register_metrics();
    slc_failures_register_metrics();
    slc_shared_register_metrics();
    slc_keys_register_metrics();
    slc_usage_register_metrics();
    slc_trace_register_metrics();
    slc_schemas_register_metrics();
}

static void look_at_librdkafka(void)
{
    const char *name = slc_kafka_inflates_unlimited();
    if (name != NULL)
        slc_log(SLC_LOG_ERROR,
                "records.inflated-limit does not hold for what is read over HTTP: this librdkafka inflates by "
                "functions of its own. Use one that is linked with the system's zlib, LZ4 and zstd",
                LS("function", name), LS("librdkafka", rd_kafka_version_str()));
}

bool slc_gateway_run(const slc_gateway_settings *settings, slc_error *err)
{
    struct slc_gateway gateway = {.magic = SLC_GATEWAY_MAGIC, .settings = settings};
    slc_gateway_register_metrics();
    slc_decisions_set_interval(settings->dry_run_interval_ms);
    gateway.loop = slc_loop_new("main", &gateway);
    gateway.certificates = slc_certificates_new(gateway.loop, settings->certificate_reload_ms);
    watch_signals(&gateway);
    gateway.limits = slc_limits_new((size_t)settings->limit_keys);
    gateway.headcount = slc_headcount_new();
    gateway.failures = slc_failures_new(&settings->failures);
    gateway.keys = slc_keys_new(&settings->keys);
    slc_keys_set_process(gateway.keys);
    gateway.schemas = slc_schemas_new(&settings->schemas);
    slc_schemas_set_process(gateway.schemas);
    bool ok = open_logs(&gateway, err) && start_tracer(&gateway, err) &&
              (gateway.issuers = slc_issuers_new(&settings->issuers, err)) != NULL &&
              (gateway.mediation = slc_mediation_new(&gateway, err)) != NULL && start_workers(&gateway, err) &&
              start_observe(&gateway, err) && (gateway.inventory = slc_inventory_new(err)) != NULL &&
              start_client(&gateway, err);
    if (ok) {
        look_at_librdkafka();
        slc_inventory_connect(gateway.inventory, gateway.client);
        slc_gateway_usage_start(&gateway);
        slc_log(SLC_LOG_INFO, "gateway started", LS("version", SLC_VERSION),
                LI("workers", gateway.worker_count), LI("observe_port", slc_observe_port(gateway.observe)));
        slc_loop_run(gateway.loop);
    }
    stop(&gateway);
    return ok;
}

/* The first SIGTERM drains; the second stops at once. */
static void on_signal(evutil_socket_t signal_number, short what, void *arg)
{
    struct slc_gateway *gateway = arg;
    slc_error err = {0};
    (void)what;
    SLC_CHECK_MAGIC(gateway, SLC_GATEWAY_MAGIC);
    if (signal_number == SIGUSR1) {
        slc_log_toggle_debug();
        return;
    }
    if (signal_number == SIGHUP) {
        if (!slc_access_file_reopen(gateway->access_file, &err))
            slc_log_error(SLC_LOG_ERROR, "the access log stays as it was", &err);
        if (!slc_audit_reopen(gateway->audit, &err))
            slc_log_error(SLC_LOG_ERROR, "the audit trail's file stays as it was", &err);
        slc_certificates_reread(gateway->certificates);
        return;
    }
    slc_log(SLC_LOG_INFO, "stopping", LI("signal", (int64_t)signal_number));
    if (atomic_load(&gateway->draining))
        slc_loop_stop(gateway->loop);
    else
        slc_gateway_begin_drain(gateway);
}
