/* The limits that hold for a native session: those of the application's plans, and rate-limit policies. The
 * worker's thread. */
#ifndef SLC_DATAPLANE_POLICY_NATIVE_LIMITS_H
#define SLC_DATAPLANE_POLICY_NATIVE_LIMITS_H

#include "common/metrics.h"
#include "dataplane/policy/access.h"
#include "dataplane/policy/topic_limits.h"

typedef struct slc_native_limits {
    slc_charges rates; /* what it does is paid for here */
    slc_series
        *dry[SLC_MAX_CHARGES]; /* of each rate in dry run: counts what it would have slowed down; or NULL */
    slc_charges connections;   /* each holds a place while the session is open */
    bool events;               /* somebody limits events: they have to be counted */
    slc_topic_limits *topics;  /* NULL: no limit is a topic's */
} slc_native_limits;

/* Fills `limits`. False with `why` when there are as many connections as may be: nothing is held. Who is in
 * already stays in: then a limit of connections that is used up refuses nobody, and all others hold. Conditions
 * of policies are looked at now, and again when the configuration changes. */
bool slc_native_limits_take(const slc_access_subject *subject, slc_snapshot *snapshot, slc_limits *table,
                            slc_shared_limits *shared, bool is_in, slc_native_limits *limits,
                            char why[200]) SLC_CHECKED;
/* Pays, and counts what would have been slowed down by policies in dry run. Returns how long until nothing is
 * owed, in milliseconds. */
int64_t slc_native_limits_pay(slc_native_limits *limits, uint64_t requests, uint64_t events, uint64_t bytes);
void slc_native_limits_release(slc_native_limits *limits);

#endif
