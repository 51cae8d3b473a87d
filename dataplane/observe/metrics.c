/* The gateway's metrics: the table, and series that are looked up once for each worker and event API. */
#include "dataplane/observe/metrics.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "common/metrics.h"
#include "common/version.h"
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
    {"sluice_http_request_seconds",
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
    {"sluice_build_info", SLC_GAUGE, "Always 1.", {"version", "commit"}, 0, NULL},
    {"process_resident_memory_bytes", SLC_GAUGE, "Resident memory.", {NULL}, 0, NULL},
    {"process_cpu_seconds_total", SLC_COUNTER, "CPU time used, in whole seconds.", {NULL}, 0, NULL},
    {"process_open_fds", SLC_GAUGE, "Open file descriptors.", {NULL}, 0, NULL},
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
    const char *build[] = {SLC_VERSION, SLC_COMMIT};
    slc_metrics_register(table);
    slc_series_set(slc_metrics_series("sluice_build_info", build), 1);
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
        slc_series_observe(series_of(&slot->seconds[operation], "sluice_http_request_seconds", api, name, NULL),
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

static int64_t resident_bytes(void)
{
    long pages = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file == NULL)
        return 0;
    if (fscanf(file, "%ld %ld", &pages, &resident) != 2)
        resident = 0;
    fclose(file);
    return (int64_t)resident * sysconf(_SC_PAGESIZE);
}

static int64_t open_descriptors(void)
{
    int64_t count = -3; /* ., .. and the one that reads */
    DIR *dir = opendir("/proc/self/fd");
    if (dir == NULL)
        return 0;
    while (readdir(dir) != NULL)
        count++;
    closedir(dir);
    return count;
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

void slc_gateway_metrics_refresh(int64_t connections)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    slc_series *cpu = plain("process_cpu_seconds_total");
    slc_series_add(cpu, (int64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) - slc_series_value(cpu));
    slc_series_set(plain("process_resident_memory_bytes"), resident_bytes());
    slc_series_set(plain("process_open_fds"), open_descriptors());
    slc_series_set(plain("sluice_http_connections"), connections);
}
