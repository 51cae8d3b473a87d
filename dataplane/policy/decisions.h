/* What became of asking policies, counted by policy and outcome, and what policies in dry run would have
 * refused, in the log. Any thread. */
#ifndef SLC_DATAPLANE_POLICY_DECISIONS_H
#define SLC_DATAPLANE_POLICY_DECISIONS_H

#include <stdint.h>

#include "common/metrics.h"

enum slc_outcome {
    SLC_OUTCOME_ALLOWED,    /* it granted, or took part and let through */
    SLC_OUTCOME_DENIED,     /* or answered by a limit */
    SLC_OUTCOME_DRY_DENIED, /* it would have, and is in dry run */
    SLC_OUTCOME_ERROR,      /* its condition could not be evaluated, which denies */
    SLC_OUTCOMES,
};

/* Of one policy in one chain; zero at first. */
typedef struct slc_decisions {
    slc_series *series[SLC_OUTCOMES]; /* looked up when they are first counted; atomic */
    int64_t told_ms;                  /* monotonic: when the log was told of its dry run; atomic */
    int64_t untold;                   /* how often not, since; atomic */
} slc_decisions;

/* Once, before threads start; before, nothing is counted. */
void slc_decisions_register(void);
/* What a dry run would have refused again and again is logged once in it; 0: always. */
void slc_decisions_set_interval(int64_t interval_ms);

void slc_decisions_count(slc_decisions *decisions, const char *policy, enum slc_outcome outcome);
/* The same without a place to keep the series: for what is rare. */
slc_series *slc_decisions_series(const char *policy, enum slc_outcome outcome);
/* Logs that `policy` would have denied, with the reason, unless it did lately. */
void slc_decisions_tell(slc_decisions *decisions, const char *policy, const char *reason);

#endif
