/* The gateway's metrics: the table, and series that are looked up once for each worker and event API. */
#include "dataplane/observe/metrics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "common/metrics.h"
#include "dataplane/http/exchange.h"

#define SLOTS      256 /* by hash of the API's id; a collision looks up again */
#define CLASSES    6   /* 1xx to 5xx, and 499 for a client that went */
#define OPERATIONS 3
#define ID_CHARS   24

static const slc_metric table[] = {
    {"sluice_http_requests_total",
     SLC_COUNTER,
     "Requests to event APIs that are over.",
     {"api", "operation", "code"},
     0,
     NULL},
    {"sluice_http_request_duration_seconds",
     SLC_HISTOGRAM,
     "From a request's arrival to the end of its answer; streams are left out.",
     {"api", "operation"},
     0,
     NULL},
    {"sluice_http_events_total",
     SLC_COUNTER,
     "Events published or delivered over HTTP.",
     {"api", "operation"},
     0,
     NULL},
    {"sluice_policy_denials_total", SLC_COUNTER, "Requests that a policy refused.", {"code"}, 20, NULL},
    {"sluice_policy_condition_errors_total",
     SLC_COUNTER,
     "Requests refused because the condition of this policy could not be evaluated.",
     {"policy"},
     0,
     NULL},
    {"sluice_access_log_dropped_total",
     SLC_COUNTER,
     "Lines of the access log that could not be written.",
     {NULL},
     1,
     NULL},
    {"sluice_group_gateways",
     SLC_GAUGE,
     "Gateways that share what limits allow, as the control plane last said; 0: it has not.",
     {NULL},
     0,
     NULL},
    {"sluice_http_connections", SLC_GAUGE, "Open client connections.", {NULL}, 0, NULL},
    {"sluice_backend_up",
     SLC_GAUGE,
     "1 when the backend cluster could be reached the last time, 0 when not.",
     {"backend"},
     0,
     NULL},
    {"sluice_listener_certificate_expiry_timestamp_seconds",
     SLC_GAUGE,
     "Unix time at which the certificate of this listener ends.",
     {"listener"},
     0,
     NULL},
    {NULL, SLC_COUNTER, NULL, {NULL}, 0, NULL},
};

struct slot {
    char api_id[ID_CHARS];
    slc_series *requests[OPERATIONS][CLASSES];
    slc_series *seconds[OPERATIONS];
    slc_series *events[OPERATIONS];
};

struct slc_api_metrics {
    struct slot slots[SLOTS];
};

static const char *const operation_names[OPERATIONS] = {"describe", "publish", "read"};
static const char *const class_names[CLASSES] = {"1xx", "2xx", "3xx", "4xx", "5xx", "499"};

void slc_gateway_metrics_register(void)
{
    slc_metrics_register(table);
}

slc_api_metrics *slc_api_metrics_new(void)
{
    return slc_calloc(1, sizeof(slc_api_metrics));
}

void slc_api_metrics_free(slc_api_metrics *metrics)
{
    free(metrics);
}

static struct slot *slot_of(slc_api_metrics *metrics, const char *api_id)
{
    uint32_t hash = 2166136261u;
    for (const char *c = api_id; *c != '\0'; c++)
        hash = (hash ^ (uint8_t)*c) * 16777619u;
    struct slot *slot = &metrics->slots[hash % SLOTS];
    if (strncmp(slot->api_id, api_id, ID_CHARS) != 0) {
        memset(slot, 0, sizeof *slot);
        snprintf(slot->api_id, ID_CHARS, "%s", api_id);
    }
    return slot;
}

static slc_series *series_of(slc_series **cached, const char *metric, const slc_event_api *api,
                             const char *operation, const char *code)
{
    char name[96];
    if (*cached == NULL) {
        snprintf(name, sizeof name, "%s.v%u", api->msg->name, api->msg->major);
        const char *labels[] = {name, operation, code};
        *cached = slc_metrics_series(metric, labels);
    }
    return *cached;
}

void slc_api_metrics_count(slc_api_metrics *metrics, const slc_exchange *exchange, int status)
{
    const slc_event_api *api = exchange->api;
    unsigned operation = (unsigned)exchange->operation < OPERATIONS ? (unsigned)exchange->operation : 0;
    unsigned class = status == 499 ? 5 : (unsigned)(status / 100 - 1) % 5;
    const char *name = operation_names[operation];
    if (api == NULL)
        return;
    struct slot *slot = slot_of(metrics, api->msg->id);
    slc_series_add(series_of(&slot->requests[operation][class], "sluice_http_requests_total", api, name,
                             class_names[class]),
                   1);
    if (!exchange->streamed)
        slc_series_observe(
            series_of(&slot->seconds[operation], "sluice_http_request_duration_seconds", api, name, NULL),
            (double)(slc_monotonic_us() - exchange->started_us) / 1e6);
    if (exchange->events > 0)
        slc_series_add(series_of(&slot->events[operation], "sluice_http_events_total", api, name, NULL),
                       exchange->events);
}

void slc_metrics_denied(int status)
{
    char code[8];
    const char *labels[] = {code};
    snprintf(code, sizeof code, "%d", status);
    slc_series_add(slc_metrics_series("sluice_policy_denials_total", labels), 1);
}

void slc_metrics_unevaluated(const char *policy)
{
    const char *labels[] = {policy};
    slc_series_add(slc_metrics_series("sluice_policy_condition_errors_total", labels), 1);
}

static slc_series *plain(const char *name)
{
    const char *none[] = {NULL};
    return slc_metrics_series(name, none);
}

void slc_metrics_group_size(unsigned gateways)
{
    slc_series_set(plain("sluice_group_gateways"), gateways);
}

/* Who is gone is told no more: the last word about it would stay for ever. */
static void hide_missing(json_t *known, const json_t *now)
{
    const char *name;
    json_t *ignored;
    void *next;
    json_object_foreach_safe(known, next, name, ignored)
    {
        if (json_object_get(now, name) != NULL)
            continue;
        slc_series_show(slc_metrics_series("sluice_backend_up", &name), false);
        json_object_del(known, name);
    }
}

void slc_gateway_metrics_refresh(int64_t connections, const json_t *backends, json_t *known)
{
    const char *name;
    json_t *backend;
    slc_series_set(plain("sluice_http_connections"), connections);
    hide_missing(known, backends);
    json_object_foreach ((json_t *)backends, name, backend) {
        slc_series *series = slc_metrics_series("sluice_backend_up", &name);
        slc_series_set(series, json_is_true(json_object_get(backend, "up")));
        slc_series_show(series, true);
        json_object_set_new(known, name, json_true());
    }
}

void slc_metrics_listener_certificate(const char *listener, int64_t expiry_ms)
{
    slc_series *series = slc_metrics_series("sluice_listener_certificate_expiry_timestamp_seconds", &listener);
    slc_series_set(series, expiry_ms / 1000);
    slc_series_show(series, expiry_ms > 0);
}
