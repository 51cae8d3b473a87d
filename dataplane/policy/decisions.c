#include "dataplane/policy/decisions.h"

#include <stdbool.h>
#include <stddef.h>

#include "common/clock.h"
#include "common/log.h"

#define NAME       "sluice_policy_decisions_total"
#define MAX_SERIES 4000

static const slc_metric metrics[] = {
    {NAME,
     SLC_COUNTER,
     "What configured policies said of requests, and of what native sessions do: allowed, denied, "
     "dry_run_denied or "
     "error (a condition that cannot be evaluated, which denies).",
     {"policy", "outcome"},
     MAX_SERIES,
     NULL},
    {NULL, SLC_COUNTER, NULL, {NULL}, 0, NULL},
};

static bool registered;
static int64_t interval_ms;

void slc_decisions_register(void)
{
    slc_metrics_register(metrics);
    registered = true;
}

void slc_decisions_set_interval(int64_t ms)
{
    __atomic_store_n(&interval_ms, ms, __ATOMIC_RELAXED);
}

slc_series *slc_decisions_series(const char *policy, enum slc_outcome outcome)
{
    static const char *const names[SLC_OUTCOMES] = {"allowed", "denied", "dry_run_denied", "error"};
    const char *labels[] = {policy, names[outcome]};
    return registered ? slc_metrics_series(NAME, labels) : NULL;
}

void slc_decisions_count(slc_decisions *decisions, const char *policy, enum slc_outcome outcome)
{
    slc_series *series = __atomic_load_n(&decisions->series[outcome], __ATOMIC_RELAXED);
    if (series == NULL) { /* two threads that find it both find the same */
        series = slc_decisions_series(policy, outcome);
        __atomic_store_n(&decisions->series[outcome], series, __ATOMIC_RELAXED);
    }
    if (series != NULL)
        slc_series_add(series, 1);
}

void slc_decisions_tell(slc_decisions *decisions, const char *policy, const char *reason)
{
    int64_t now_ms = slc_monotonic_ms(), told_ms = __atomic_load_n(&decisions->told_ms, __ATOMIC_RELAXED);
    int64_t interval = __atomic_load_n(&interval_ms, __ATOMIC_RELAXED);
    bool due = told_ms == 0 || now_ms - told_ms >= interval;
    if (!due || !__atomic_compare_exchange_n(&decisions->told_ms, &told_ms, now_ms, false, __ATOMIC_RELAXED,
                                             __ATOMIC_RELAXED)) {
        __atomic_add_fetch(&decisions->untold, 1, __ATOMIC_RELAXED);
        return;
    }
    slc_log(SLC_LOG_INFO, "dry run: would have been denied", LS("policy", policy), LS("reason", reason),
            LI("repeated", __atomic_exchange_n(&decisions->untold, 0, __ATOMIC_RELAXED)));
}
