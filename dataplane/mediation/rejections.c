#include "dataplane/mediation/rejections.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "common/log.h"

/* What a line says. Texts are cut to fit. */
struct rejection {
    char event_api[80], operation[8], application[64], credential[24], policy[64], reason[264], request_id[65];
};

static void write_line(const struct rejection *rejection, uint64_t repeated)
{
    slc_log(SLC_LOG_INFO, "event rejected", LS("event_api", rejection->event_api),
            LS("operation", rejection->operation), LS("application", rejection->application),
            LS("credential", rejection->credential), LS("policy", rejection->policy),
            LS("reason", rejection->reason), LS("request_id", rejection->request_id),
            LI("repeated", (int64_t)repeated));
}

/* All but the request. */
static uint64_t key_of(const struct rejection *rejection)
{
    const char *const parts[] = {rejection->event_api,  rejection->operation, rejection->application,
                                 rejection->credential, rejection->policy,    rejection->reason};
    uint64_t key = SLC_REPEATS_KEY;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        key = slc_repeats_key(key, parts[i]);
    return key;
}

static struct rejection describe(const slc_api *api, const char *operation, const slc_record_problem *problem)
{
    struct rejection rejection = {0};
    const Sluice__Snapshot__V1__EventApi *msg = api->api->msg;
    snprintf(rejection.event_api, sizeof rejection.event_api, "%.64s.v%u", msg->name, msg->major);
    snprintf(rejection.operation, sizeof rejection.operation, "%s", operation);
    if (problem->policy != NULL)
        snprintf(rejection.policy, sizeof rejection.policy, "%s", problem->policy);
    return rejection;
}

static void log_once(slc_mediation_worker *worker, struct rejection *rejection)
{
    slc_repeat *repeat;
    if (worker->limits->kafka_log_interval_ms == 0) {
        write_line(rejection, 0);
    } else if (slc_repeats_first(&worker->rejections, key_of(rejection), slc_monotonic_ms(), &repeat)) {
        write_line(rejection, 0);
        rejection->request_id[0] = '\0'; /* later lines are of several */
        repeat->about = slc_malloc(sizeof *rejection);
        memcpy(repeat->about, rejection, sizeof *rejection);
    }
}

void slc_rejection_tell(const slc_api *api, const slc_exchange *exchange, const slc_record_problem *problem)
{
    struct rejection rejection = describe(api, "publish", problem);
    snprintf(rejection.reason, sizeof rejection.reason, "%s", problem->why);
    if (exchange != NULL) {
        snprintf(rejection.application, sizeof rejection.application, "%s",
                 exchange->principal.application_name);
        snprintf(rejection.credential, sizeof rejection.credential, "%s", exchange->principal.credential_id);
        snprintf(rejection.request_id, sizeof rejection.request_id, "%s", exchange->request_id);
    }
    log_once(api->worker, &rejection);
}

void slc_rejection_tell_read(const slc_api *api, const slc_record *record, const slc_record_problem *problem)
{
    struct rejection rejection = describe(api, "read", problem);
    snprintf(rejection.reason, sizeof rejection.reason, "partition %d, offset %lld: %s", record->partition,
             (long long)record->offset, problem->why);
    log_once(api->worker, &rejection);
}

static void tell(const slc_repeat *repeat)
{
    write_line(repeat->about, repeat->count);
}

void slc_rejections_tick(slc_mediation_worker *worker, int64_t now_ms, bool all)
{
    int64_t interval_ms = all ? 0 : worker->limits->kafka_log_interval_ms;
    uint64_t others = slc_repeats_expire(&worker->rejections, now_ms, interval_ms, tell, free);
    if (others > 0)
        slc_log(SLC_LOG_INFO, "more events rejected than are told apart", LI("events", (int64_t)others));
}

void slc_rejections_release(slc_mediation_worker *worker)
{
    slc_rejections_tick(worker, slc_monotonic_ms(), true);
    slc_repeats_release(&worker->rejections, free);
}
