/* The config client's life: options, thread, timers, staleness, metrics. */
#include "dataplane/config/client.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/clock.h"
#include "common/file.h"
#include "common/log.h"
#include "dataplane/config/client_private.h"

#define RECONNECT_MIN_MS 500
#define RECONNECT_MAX_MS 30000
#define RETRY_ENROL_MS   2000
#define RETRY_APPLY_MIN  1000
#define RETRY_APPLY_MAX  60000
#define TICK_MS          1000
#define WARN_EVERY_MS    60000
#define STALLED_MS       60000
#define USAGE_RETRY_MS   30000
#define USAGE_ROWS       100000

static const slc_metric metrics[] = {
    {.name = "sluice_config_connected",
     .type = SLC_GAUGE,
     .help = "Whether the configuration stream is up (1) or not (0)"},
    {.name = "sluice_config_applied_version",
     .type = SLC_GAUGE,
     .help = "Version of the configuration that every worker runs on; 0 before the first"},
    {.name = "sluice_config_nacks_total",
     .type = SLC_COUNTER,
     .help = "Configurations that this gateway refused, keeping the one before"},
    {.name = "sluice_config_cache_failures_total",
     .type = SLC_COUNTER,
     .help = "Applied configurations that could not be kept on disk: a restart would begin with an older one"},
    {.name = "sluice_config_connect_attempts_total",
     .type = SLC_COUNTER,
     .help = "Attempts to open the configuration stream"},
    {.name = "sluice_config_chunk_bytes_total",
     .type = SLC_COUNTER,
     .help = "Bytes of configuration chunks fetched from the control plane"},
    {.name = "sluice_config_last_contact_timestamp_seconds",
     .type = SLC_GAUGE,
     .help = "Unix time at which the control plane was heard of last; 0: never"},
    {.name = "sluice_config_stale",
     .type = SLC_GAUGE,
     .help = "1 while the configuration is older than the group's max_staleness and nothing is served"},
    {.name = "sluice_node_certificate_expiry_timestamp_seconds",
     .type = SLC_GAUGE,
     .help = "Unix time at which this node's certificate ends; 0 before enrolment"},
    {.name = "sluice_clock_ahead_seconds",
     .type = SLC_GAUGE,
     .help = "How far this node's clock was ahead of the control plane's when they last met"},
    {.name = "sluice_usage_waiting",
     .type = SLC_GAUGE,
     .help = "Rows of usage that the control plane has not been told of since they grew"},
    {.name = NULL},
};

void slc_config_client_register_metrics(void)
{
    slc_metrics_register(metrics);
}

static void find_series(slc_config_client *client)
{
    client->m_cache_failures = slc_metrics_series("sluice_config_cache_failures_total", NULL);
    client->m_connected = slc_metrics_series("sluice_config_connected", NULL);
    client->m_applied = slc_metrics_series("sluice_config_applied_version", NULL);
    client->m_nacks = slc_metrics_series("sluice_config_nacks_total", NULL);
    client->m_attempts = slc_metrics_series("sluice_config_connect_attempts_total", NULL);
    client->m_chunk_bytes = slc_metrics_series("sluice_config_chunk_bytes_total", NULL);
    client->m_contact = slc_metrics_series("sluice_config_last_contact_timestamp_seconds", NULL);
    client->m_stale = slc_metrics_series("sluice_config_stale", NULL);
    client->m_expiry = slc_metrics_series("sluice_node_certificate_expiry_timestamp_seconds", NULL);
    client->m_usage = slc_metrics_series("sluice_usage_waiting", NULL);
    client->m_clock = slc_metrics_series("sluice_clock_ahead_seconds", NULL);
}

void slc_client_arm(struct event *timer, int64_t delay_ms)
{
    struct timeval delay = {.tv_sec = delay_ms / 1000, .tv_usec = (delay_ms % 1000) * 1000};

    evtimer_add(timer, &delay);
}

/* ---- contact and staleness ---- */

void slc_client_contact(slc_config_client *client)
{
    client->contact_ms = slc_wall_ms();
    slc_series_set(client->m_contact, client->contact_ms / 1000);
    if (client->cache != NULL && client->current != NULL)
        slc_cache_touch(client->cache);
    if (client->stale) {
        client->stale = false;
        slc_series_set(client->m_stale, 0);
        slc_log(SLC_LOG_INFO, "in contact with the control plane again");
        client->gateway.stale(client->gateway.arg, false);
    }
}

static void check_staleness(slc_config_client *client)
{
    int64_t max_ms = client->current != NULL ? slc_snapshot_group(client->current)->max_staleness_ms : 0;
    int64_t silent_ms = slc_wall_ms() - client->contact_ms;

    if (atomic_load(&client->connected) || client->current == NULL)
        return;
    if (max_ms > 0 && silent_ms > max_ms && !client->stale) {
        client->stale = true;
        slc_series_set(client->m_stale, 1);
        slc_log(
            SLC_LOG_ERROR,
            "cut off from the control plane for longer than max_staleness: refusing requests, ending streams "
            "and native sessions",
            LI("silent_ms", silent_ms), LI("max_staleness_ms", max_ms));
        client->gateway.stale(client->gateway.arg, true);
    } else if (silent_ms > WARN_EVERY_MS && slc_monotonic_ms() - client->warned_ms > WARN_EVERY_MS) {
        client->warned_ms = slc_monotonic_ms();
        slc_log(SLC_LOG_WARN, "cut off from the control plane: serving the last known good configuration",
                LI("silent_ms", silent_ms), LI("version", (int64_t)slc_snapshot_version(client->current)));
    }
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    slc_config_client *client = arg;

    (void)fd;
    (void)what;
    SLC_CHECK_MAGIC(client, SLC_CLIENT_MAGIC);
    check_staleness(client);
    if (client->call != NULL && client->outstanding > 0 &&
        slc_monotonic_ms() - client->progress_ms > STALLED_MS)
        slc_client_disconnect(client, "the control plane does not send the chunks that it announced");
}

static void on_reconnect(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    slc_client_connect(arg);
}

static void on_heartbeat(evutil_socket_t fd, short what, void *arg)
{
    slc_config_client *client = arg;

    (void)fd;
    (void)what;
    slc_client_heartbeat(client);
    slc_client_arm(client->heartbeat_timer, slc_jitter_ms(client->heartbeat_ms, 10));
}

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    slc_client_retry(arg);
}

static void on_enrol(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    slc_client_enrol(arg);
}

/* ---- identity ---- */

bool slc_client_take_identity(slc_config_client *client, slc_identity *identity, slc_error *err)
{
    slc_cache *cache = client->cache;

    if (!slc_identity_save(identity, client->state_dir, err))
        goto failed;
    if (cache == NULL && (cache = slc_cache_open(client->state_dir, identity->cache_key, err)) == NULL)
        goto failed;
    client->cache = cache;
    slc_identity_free(client->identity);
    client->identity = identity;
    slc_series_set(client->m_expiry, identity->not_after_ms / 1000);
    return true;
failed:
    slc_identity_free(identity);
    return false;
}

/* ---- start ---- */

static void start(void *arg)
{
    slc_config_client *client = arg;
    struct event_base *base = slc_loop_base(client->loop);
    struct timeval second = {.tv_sec = TICK_MS / 1000};
    slc_error err;

    client->reconnect_timer = evtimer_new(base, on_reconnect, client);
    client->heartbeat_timer = evtimer_new(base, on_heartbeat, client);
    client->enrol_timer = evtimer_new(base, on_enrol, client);
    client->retry_timer = evtimer_new(base, on_retry, client);
    client->tick = event_new(base, -1, EV_PERSIST, on_tick, client);
    event_add(client->tick, &second);
    slc_client_usage_start(client);
    client->rpc = slc_rpc_start(client->loop, &err);
    if (client->rpc == NULL) { /* no thread for it: the gateway still serves from its cache */
        slc_log_error(SLC_LOG_ERROR, "the configuration stream cannot be started", &err);
        if (client->identity != NULL)
            slc_client_load_cache(client);
        return;
    }
    if (client->identity != NULL) {
        slc_client_load_cache(client);
        slc_client_arm(client->reconnect_timer, slc_jitter_ms(client->reconnect_min_ms / 2, 100));
    }
    slc_client_enrol_start(client);
}

static int64_t or_default(int64_t value, int64_t otherwise)
{
    return value > 0 ? value : otherwise;
}

static slc_config_client *new_client(const slc_config_client_options *options,
                                     const slc_config_gateway *gateway)
{
    slc_config_client *client = slc_calloc(1, sizeof(*client));
    char host[256] = "";

    client->magic = SLC_CLIENT_MAGIC;
    client->gateway = *gateway;
    client->state_dir = slc_strdup(options->state_dir);
    gethostname(host, sizeof(host) - 1);
    client->node_name = slc_strdup(options->node_name != NULL ? options->node_name : host);
    client->build = slc_strdup(options->build != NULL ? options->build : "");
    client->reconnect_min_ms = or_default(options->reconnect_min_ms, RECONNECT_MIN_MS);
    client->reconnect_max_ms = or_default(options->reconnect_max_ms, RECONNECT_MAX_MS);
    client->retry_enrol_ms = or_default(options->retry_enrol_ms, RETRY_ENROL_MS);
    client->retry_apply_min_ms = or_default(options->retry_apply_min_ms, RETRY_APPLY_MIN);
    client->retry_apply_max_ms = or_default(options->retry_apply_max_ms, RETRY_APPLY_MAX);
    client->backoff_ms = client->reconnect_min_ms;
    client->enrol_backoff_ms = client->retry_enrol_ms;
    client->outgoing_tail = &client->outgoing;
    client->usage_retry_ms = or_default(options->usage_retry_ms, USAGE_RETRY_MS);
    slc_usage_book_init(&client->usage, (size_t)or_default(options->usage_rows, USAGE_ROWS));
    slc_random_id(client->boot_id, sizeof(client->boot_id) - 1);
    find_series(client);
    return client;
}

static void free_client(slc_config_client *client)
{
    slc_client_forget_fetch(client);
    slc_client_drop_chunks(client);
    slc_snapshot_unref(client->pending);
    slc_snapshot_unref(client->current);
    slc_usage_book_release(&client->usage);
    slc_cache_free(client->cache);
    slc_identity_free(client->identity);
    free(client->state_dir);
    free(client->node_name);
    free(client->build);
    free(client->token_file);
    explicit_bzero(&client->join, sizeof(client->join));
    client->magic = 0;
    free(client);
}

/* Everything that can be wrong before the network is: the directory, the identity file, the join string. */
static bool prepare(slc_config_client *client, const slc_config_client_options *options, slc_error *err)
{
    if (!slc_client_read_means(client, options, err))
        return false;
    if (!slc_dir_make(client->state_dir, 0700, err))
        return false;
    client->identity = slc_identity_load(client->state_dir, err);
    if (client->identity != NULL) {
        client->cache = slc_cache_open(client->state_dir, client->identity->cache_key, err);
        slc_series_set(client->m_expiry, client->identity->not_after_ms / 1000);
        return client->cache != NULL;
    }
    if (err->code != SLC_NOT_FOUND)
        return false;
    if (client->join.endpoint[0] == '\0')
        return slc_fail(
            err, SLC_INVALID, NULL,
            "%s holds no identity yet: a join string, or the token of a service account, is needed to "
            "enrol this gateway",
            client->state_dir);
    slc_error_clear(err);
    return true;
}

slc_config_client *slc_config_client_new(const slc_config_client_options *options,
                                         const slc_config_gateway *gateway, slc_error *err)
{
    slc_config_client *client = new_client(options, gateway);

    if (!prepare(client, options, err)) {
        free_client(client);
        return NULL;
    }
    client->loop = slc_loop_new("config", client);
    if (!slc_loop_start(client->loop, err)) {
        slc_loop_free(client->loop);
        free_client(client);
        return NULL;
    }
    slc_loop_call(client->loop, start, client);
    return client;
}

/* ---- stop ---- */

static void stop(void *arg)
{
    slc_config_client *client = arg;

    client->stopping = true;
    slc_client_enrol_release(client);
    slc_client_stream_release(client);
    slc_rpc_stop(client->rpc);
    event_free(client->reconnect_timer);
    event_free(client->heartbeat_timer);
    event_free(client->enrol_timer);
    slc_client_retry_release(client);
    event_free(client->retry_timer);
    event_free(client->tick);
    slc_client_usage_release(client);
}

void slc_config_client_free(slc_config_client *client)
{
    if (client == NULL)
        return;
    SLC_CHECK_MAGIC(client, SLC_CLIENT_MAGIC);
    slc_loop_call_sync(client->loop, stop, client);
    slc_loop_stop(client->loop);
    slc_loop_join(client->loop);
    slc_loop_free(client->loop);
    free_client(client);
}

/* ---- from other threads ---- */

struct swapped {
    slc_message msg;
    slc_config_client *client;
    uint64_t version;
};

static void run_swapped(slc_message *msg, void *owner)
{
    struct swapped *swapped = (struct swapped *)msg;

    (void)owner;
    SLC_CHECK_MAGIC(swapped->client, SLC_CLIENT_MAGIC);
    if (!swapped->client->stopping)
        slc_client_swapped(swapped->client, swapped->version);
    free(swapped);
}

static void drop_swapped(slc_message *msg)
{
    free(msg);
}

/* Always through the mailbox: the gateway may call it from within apply. */
void slc_config_client_applied(slc_config_client *client, uint64_t version)
{
    struct swapped *swapped = slc_calloc(1, sizeof(*swapped));

    SLC_CHECK_MAGIC(client, SLC_CLIENT_MAGIC);
    swapped->msg.run = run_swapped;
    swapped->msg.drop = drop_swapped;
    swapped->client = client;
    swapped->version = version;
    slc_mailbox_post(slc_loop_mailbox(client->loop), &swapped->msg);
}

bool slc_config_client_connected(const slc_config_client *client)
{
    return atomic_load(&client->connected);
}

uint64_t slc_config_client_applied_version(const slc_config_client *client)
{
    return atomic_load(&client->applied_version);
}
