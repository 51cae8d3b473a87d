/* What is on a Kafka cluster: topics, how long they keep what, groups and how far behind they are. Blocks: for
 * a thread that may wait. Opens connections of its own and closes them.
 */
#ifndef SLC_DATAPLANE_BROKER_SURVEY_H
#define SLC_DATAPLANE_BROKER_SURVEY_H

#include <stdatomic.h>

#include "common/error.h"
#include "dataplane/config/snapshot.h"

#define SLC_SURVEY_LAGS 50 /* topics told of one group */

typedef struct slc_survey_topic {
    char *name;
    int32_t partitions, replication;
    bool configured;      /* what follows is known */
    int64_t retention_ms; /* -1: for ever */
    char cleanup_policy[32];
} slc_survey_topic;

typedef struct slc_survey_lag {
    char *topic;
    int64_t lag;
} slc_survey_lag;

typedef struct slc_survey_group {
    char *id;
    char state[32];
    int32_t members; /* -1: not known */
    int64_t lag;     /* likewise */
    slc_survey_lag lags[SLC_SURVEY_LAGS];
    size_t lag_count;
} slc_survey_group;

typedef struct slc_survey {
    slc_survey_topic *topics;
    size_t topic_count;
    slc_survey_group *groups;
    size_t group_count, group_total;
    char groups_error[200]; /* "": all that were wanted are there */
} slc_survey;

typedef struct slc_survey_options {
    int timeout_ms;    /* of each question */
    size_t groups_max; /* looked at; 0: none */
    const atomic_bool *stop;
} slc_survey_options;

/* False: the topics could not be read. `survey` is to be released in every case. */
bool slc_survey_take(const slc_backend *backend, const slc_survey_options *options, slc_survey *survey,
                     slc_error *err) SLC_CHECKED;
void slc_survey_release(slc_survey *survey);

#endif
