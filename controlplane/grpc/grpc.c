/* Start and stop of the gRPC side. */
#include "controlplane/grpc/grpc.h"

#include <event2/event.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/join.h"
#include "common/log.h"
#include "common/metrics.h"
#include "common/settings.h"
#include "controlplane/grpc/stream_private.h"

#define RECEIVE_BYTES     (256 * 1024)
#define KEEPALIVE_MS      20000
#define KEEPALIVE_MIN_MS  4000
#define STOP_GRACE_MS     2000
#define DEFAULT_DEBOUNCE  50
#define DEFAULT_HEARTBEAT 5000
#define DEFAULT_ANSWER_MS 60000
#define DEFAULT_QUESTION  3000
#define DEFAULT_BURST     20
#define DEFAULT_FAILURES  50
#define DEFAULT_MEMORY    (256LL << 20)
#define DEFAULT_FORGET_MS 3600000
#define DEFAULT_UPKEEP_MS 60000
#define DAY_MS            86400000LL
/* Heartbeats that may go missing. */
#define DEFAULT_LOST_BEATS 3

static const slc_metric metrics[] = {
    {"sluice_node_ca_expiry_timestamp_seconds",
     SLC_GAUGE,
     "Unix time at which the active authority of the node CA ends.",
     {NULL},
     0,
     NULL},
    {"sluice_control_streams", SLC_GAUGE, "Configuration streams that are open.", {NULL}, 0, NULL},
    {"sluice_control_streams_cut_total",
     SLC_COUNTER,
     "Configuration streams that the control plane ended, by cause.",
     {"cause"},
     0,
     NULL},
    {"sluice_control_enrolments_total",
     SLC_COUNTER,
     "Enrolments and renewals of node certificates, by kind and result.",
     {"kind", "result"},
     0,
     NULL},
    {"sluice_control_usage_reports_total",
     SLC_COUNTER,
     "Reports of usage that gateways sent.",
     {NULL},
     0,
     NULL},
    {"sluice_control_nacks_total", SLC_COUNTER, "Configurations that gateways refused.", {NULL}, 0, NULL},
    {NULL, SLC_COUNTER, NULL, {NULL}, 0, NULL},
};

void slc_control_grpc_register_metrics(void)
{
    slc_metrics_register(metrics);
}

static int64_t or_default(int64_t value, int64_t otherwise)
{
    return value > 0 ? value : otherwise;
}

static void set_usage(slc_control_grpc *grpc, const slc_usage_keep *keep)
{
    grpc->options.usage = (slc_usage_keep){.hours_ms = or_default(keep->hours_ms, 90 * DAY_MS),
                                           .days_ms = or_default(keep->days_ms, 800 * DAY_MS),
                                           .months_ms = or_default(keep->months_ms, 3650 * DAY_MS),
                                           .boots_ms = or_default(keep->boots_ms, 30 * DAY_MS)};
}

static void set_numbers(slc_control_grpc *grpc, const slc_control_grpc_options *options)
{
    grpc->options = (slc_control_grpc_options){
        .debounce_ms = options->debounce_ms > 0 ? options->debounce_ms : DEFAULT_DEBOUNCE,
        .heartbeat_ms = options->heartbeat_ms > 0 ? options->heartbeat_ms : DEFAULT_HEARTBEAT,
        .answer_timeout_ms = options->answer_timeout_ms > 0 ? options->answer_timeout_ms : DEFAULT_ANSWER_MS,
        .ca_warn_ms = options->ca_warn_ms,
        .ca_rotation_spread_ms = options->ca_rotation_spread_ms,
        .ca_retire_after_ms = options->ca_retire_after_ms,
        .forget_ephemeral_ms =
            options->forget_ephemeral_ms > 0 ? options->forget_ephemeral_ms : DEFAULT_FORGET_MS,
        .upkeep_ms = options->upkeep_ms > 0 ? options->upkeep_ms : DEFAULT_UPKEEP_MS,
        .versions = options->versions,
        .question_timeout_ms =
            options->question_timeout_ms > 0 ? options->question_timeout_ms : DEFAULT_QUESTION,
        .stream_burst = options->stream_burst > 0 ? options->stream_burst : DEFAULT_BURST,
        .count_settle_ms = options->count_settle_ms,
        .enrolment_burst = options->enrolment_burst > 0 ? options->enrolment_burst : DEFAULT_FAILURES,
        .memory_bytes = options->memory_bytes > 0 ? options->memory_bytes : DEFAULT_MEMORY};
    set_usage(grpc, &options->usage);
    grpc->options.inventory = options->inventory;
    grpc->options.lost_after_ms =
        options->lost_after_ms > 0 ? options->lost_after_ms : DEFAULT_LOST_BEATS * grpc->options.heartbeat_ms;
}

/* Where nodes dial: as configured, else the listening host with the port that it got. */
static bool set_endpoint(char *out, size_t size, const char *configured, const char *address, uint16_t port,
                         slc_error *err)
{
    char host[256];
    uint16_t unused = 0;
    if (configured != NULL && configured[0] != '\0') {
        snprintf(out, size, "%s", configured);
        return true;
    }
    if (!slc_address_split(address, host, sizeof host, &unused, err))
        return false;
    bool any = host[0] == '\0' || strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0;
    snprintf(out, size, strchr(host, ':') != NULL && !any ? "[%s]:%u" : "%s:%u", any ? "localhost" : host,
             port);
    return true;
}

struct start {
    slc_control_grpc *grpc;
    const slc_control_grpc_options *options;
    slc_error *err;
    bool ok;
};

static slc_rpc_server *open_server(slc_control_grpc *grpc, const char *address, bool mutual,
                                   const slc_rpc_method *methods, slc_error *err)
{
    slc_rpc_server_identity identity = {
        .fetch = slc_ca_fetch_server, .arg = grpc->ca, .require_client_cert = mutual};
    slc_rpc_server_limits limits = {.receive_bytes = RECEIVE_BYTES,
                                    .keepalive_min_ms = KEEPALIVE_MIN_MS,
                                    .keepalive_ms = KEEPALIVE_MS,
                                    .keepalive_timeout_ms = KEEPALIVE_MS / 2,
                                    .max_concurrent_streams_per_connection = 16,
                                    .memory_bytes = grpc->options.memory_bytes,
                                    .idle_ms = grpc->options.idle_ms};
    return slc_rpc_server_new(grpc->rpc, address, &identity, &limits, methods, err);
}

static bool start_servers(slc_control_grpc *grpc, const slc_control_grpc_options *options, slc_error *err)
{
    grpc->config_methods[0] =
        (slc_rpc_method){"/sluice.config.v1.Config/Stream", slc_config_stream_on_call, grpc};
    grpc->enrolment_methods[0] =
        (slc_rpc_method){"/sluice.enrolment.v1.Enrolment/Enrol", slc_enrolment_on_enrol, grpc};
    grpc->enrolment_methods[1] =
        (slc_rpc_method){"/sluice.enrolment.v1.Enrolment/Renew", slc_enrolment_on_renew, grpc};
    grpc->config_server = open_server(grpc, options->config_address, true, grpc->config_methods, err);
    if (grpc->config_server == NULL)
        return false;
    grpc->enrolment_server = open_server(grpc, options->enrolment_address, false, grpc->enrolment_methods, err);
    if (grpc->enrolment_server == NULL)
        return false;
    grpc->config_port = slc_rpc_server_port(grpc->config_server);
    grpc->enrolment_port = slc_rpc_server_port(grpc->enrolment_server);
    return set_endpoint(grpc->config_endpoint, sizeof grpc->config_endpoint, options->config_endpoint,
                        options->config_address, grpc->config_port, err) &&
           set_endpoint(grpc->enrolment_endpoint, sizeof grpc->enrolment_endpoint, options->enrolment_endpoint,
                        options->enrolment_address, grpc->enrolment_port, err);
}

static void schedule_here(void *arg)
{
    slc_publisher_schedule(arg);
}

/* On a catalog thread. */
static void on_commit(void *arg, uint64_t revision)
{
    slc_control_grpc *grpc = arg;
    (void)revision;
    slc_loop_call(grpc->loop, schedule_here, grpc);
}

static void start_here(void *arg)
{
    struct start *start = arg;
    slc_control_grpc *grpc = start->grpc;
    TAILQ_INIT(&grpc->streams);
    slc_guard_init(grpc);
    slc_reports_init(grpc);
    slc_usage_inbox_init(grpc);
    slc_publisher_init(grpc);
    slc_upkeep_init(grpc);
    slc_group_size_init(grpc);
    grpc->rpc = slc_rpc_start(grpc->loop, start->err);
    start->ok = grpc->rpc != NULL && start_servers(grpc, start->options, start->err);
    if (start->ok)
        slc_publisher_schedule(grpc);
}

static bool forget_connections(slc_txn *txn, void *arg, slc_error *err)
{
    (void)arg;
    return slc_usage_all_disconnected(txn, err);
}

slc_control_grpc *slc_control_grpc_new(slc_catalog *catalog, const slc_control_grpc_options *options,
                                       slc_error *err)
{
    slc_ca_options ca_options = {.trust_domain = options->trust_domain,
                                 .server_names = options->server_names,
                                 .clock = options->clock,
                                 .leaf_ms = options->certificate_ms,
                                 .authority_ms = options->ca_lifetime_ms,
                                 .renewal_window_ms = options->renewal_window_ms,
                                 .skew_ms = options->clock_skew_ms};
    slc_control_grpc *grpc = slc_calloc(1, sizeof *grpc);
    struct start start = {grpc, options, err, false};
    grpc->magic = SLC_CONTROL_GRPC_MAGIC;
    grpc->catalog = catalog;
    set_numbers(grpc, options);
    grpc->loop = slc_loop_new("grpc", grpc);
    bool ok = slc_catalog_usage_sync(catalog, forget_connections, NULL, err) &&
              (grpc->ca = slc_ca_open(catalog, &ca_options, err)) != NULL &&
              (grpc->jwks = slc_jwks_new(&options->keys, err)) != NULL && slc_loop_start(grpc->loop, err);
    if (!ok) {
        slc_jwks_free(grpc->jwks);
        slc_ca_free(grpc->ca);
        slc_loop_free(grpc->loop);
        free(grpc);
        return NULL;
    }
    slc_loop_call_sync(grpc->loop, start_here, &start);
    if (!start.ok) {
        slc_control_grpc_stop(grpc);
        return NULL;
    }
    slc_catalog_on_commit(catalog, on_commit, grpc);
    return grpc;
}

/* ---- stop ---- */

struct waiting {
    pthread_mutex_t mutex;
    pthread_cond_t condition;
    unsigned open;
    slc_control_grpc *grpc;
};

static void on_server_stopped(void *arg)
{
    struct waiting *waiting = arg;
    pthread_mutex_lock(&waiting->mutex);
    waiting->open--;
    pthread_cond_signal(&waiting->condition);
    pthread_mutex_unlock(&waiting->mutex);
}

static void stop_servers_here(void *arg)
{
    struct waiting *waiting = arg;
    slc_control_grpc *grpc = waiting->grpc;
    grpc->stopping = true;
    slc_config_streams_end(grpc);
    slc_rpc_server *servers[] = {grpc->config_server, grpc->enrolment_server};
    for (size_t i = 0; i < 2; i++)
        if (servers[i] != NULL)
            slc_rpc_server_stop(servers[i], STOP_GRACE_MS, on_server_stopped, waiting);
}

static void check_pending_here(void *arg)
{
    struct waiting *waiting = arg;
    waiting->open = waiting->grpc->pending;
}

static bool nothing(slc_txn *txn, void *arg, slc_error *err)
{
    (void)txn, (void)arg, (void)err;
    return true;
}

/* Work that the catalog still has of ours comes back through the loop: each lane is waited for until none is
 * left. */
static void wait_for_catalog(slc_control_grpc *grpc, struct waiting *waiting)
{
    slc_actor actor = {.kind = "system", .id = "system", .name = "stop"};
    slc_error err = {0};
    do {
        bool idle = slc_catalog_read_sync(grpc->catalog, nothing, NULL, &err) &&
                    slc_catalog_write_sync(grpc->catalog, &actor, nothing, NULL, &err);
        slc_loop_call_sync(grpc->loop, check_pending_here, waiting);
        if (!idle)
            break;
    } while (waiting->open > 0);
}

static void release_here(void *arg)
{
    slc_control_grpc *grpc = arg;
    slc_publisher_release(grpc);
    slc_guard_release(grpc);
    slc_reports_release(grpc);
    slc_usage_inbox_release(grpc);
    slc_upkeep_release(grpc);
    slc_group_size_release(grpc);
}

void slc_control_grpc_stop(slc_control_grpc *grpc)
{
    struct waiting waiting = {.grpc = grpc};
    SLC_CHECK_MAGIC(grpc, SLC_CONTROL_GRPC_MAGIC);
    slc_catalog_on_commit(grpc->catalog, NULL, NULL);
    pthread_mutex_init(&waiting.mutex, NULL);
    pthread_cond_init(&waiting.condition, NULL);
    waiting.open = (grpc->config_server != NULL) + (grpc->enrolment_server != NULL);
    slc_loop_call_sync(grpc->loop, stop_servers_here, &waiting);
    pthread_mutex_lock(&waiting.mutex);
    while (waiting.open > 0)
        pthread_cond_wait(&waiting.condition, &waiting.mutex);
    pthread_mutex_unlock(&waiting.mutex);
    slc_jwks_free(grpc->jwks); /* nobody asks it any more; who waits for an answer gets one */
    wait_for_catalog(grpc, &waiting);
    if (grpc->rpc != NULL)
        slc_rpc_stop(grpc->rpc);
    slc_loop_call_sync(grpc->loop, release_here, grpc);
    slc_loop_stop(grpc->loop);
    slc_loop_join(grpc->loop);
    slc_loop_free(grpc->loop);
    slc_ca_free(grpc->ca);
    pthread_cond_destroy(&waiting.condition);
    pthread_mutex_destroy(&waiting.mutex);
    grpc->magic = 0;
    free(grpc);
}

/* ---- any thread ---- */

uint16_t slc_control_grpc_config_port(const slc_control_grpc *grpc)
{
    return grpc->config_port;
}

uint16_t slc_control_grpc_enrolment_port(const slc_control_grpc *grpc)
{
    return grpc->enrolment_port;
}

slc_ca *slc_control_grpc_ca(const slc_control_grpc *grpc)
{
    return grpc->ca;
}

char *slc_control_grpc_join(const slc_control_grpc *grpc, slc_txn *txn, const char *token, slc_error *err)
{
    slc_join join;
    memset(&join, 0, sizeof join);
    if (!slc_ca_stored_pin(txn, join.ca_sha256, err))
        return NULL;
    snprintf(join.endpoint, sizeof join.endpoint, "%s", grpc->enrolment_endpoint);
    snprintf(join.config, sizeof join.config, "%s", grpc->config_endpoint);
    snprintf(join.token, sizeof join.token, "%s", token);
    char *text = slc_join_compose(&join, err);
    explicit_bzero(&join, sizeof join);
    return text;
}

void slc_control_grpc_recompile(slc_control_grpc *grpc)
{
    slc_loop_call(grpc->loop, schedule_here, grpc);
}
