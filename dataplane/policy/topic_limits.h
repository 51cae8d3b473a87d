/* Limits of a native session that are counted topic by topic: rate-limit policies of an event API, or for each
 * event API. A topic is that of every event API that is deployed on it. The worker's thread. */
#ifndef SLC_DATAPLANE_POLICY_TOPIC_LIMITS_H
#define SLC_DATAPLANE_POLICY_TOPIC_LIMITS_H

#include "dataplane/config/snapshot.h"
#include "dataplane/policy/limits.h"

typedef struct slc_topic_limits slc_topic_limits;

/* For topics of the virtual cluster. References the snapshot. */
slc_topic_limits *slc_topic_limits_new(slc_snapshot *snapshot, const char *vcluster_id, slc_limits *table);
void slc_topic_limits_free(slc_topic_limits *limits); /* NULL is fine */

/* `event_api` NULL: of all; `subject` NULL: counted for the event API that it is; `dry`: the
 * name of the policy, when it is in dry run, else NULL. Texts are copied. */
void slc_topic_limits_add(slc_topic_limits *limits, const char *limit, const char *event_api,
                          const char *subject, const slc_rates *rates, const char *dry);
/* The configuration changed, and its limits did not: event APIs may have come, gone or moved. */
void slc_topic_limits_follow(slc_topic_limits *limits, slc_snapshot *snapshot);
/* What was done with records of a topic, by its name on the backend. Returns how long until nothing is owed. */
int64_t slc_topic_limits_pay(slc_topic_limits *limits, const uint8_t *topic, size_t len, uint64_t requests,
                             uint64_t events, uint64_t bytes, int64_t now_ns);

#endif
