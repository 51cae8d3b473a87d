/* What mediation answers when it cannot do what was asked: one table. Broker and topic names are in none of
 * them. */
#ifndef SLC_DATAPLANE_MEDIATION_PROBLEM_H
#define SLC_DATAPLANE_MEDIATION_PROBLEM_H

#include "dataplane/http/exchange.h"

enum slc_problem_kind {
    SLC_PROBLEM_NOT_PERSISTED,
    SLC_PROBLEM_OUTCOME_UNKNOWN,
    SLC_PROBLEM_TOO_LARGE,
    SLC_PROBLEM_TOPIC_MISSING,
    SLC_PROBLEM_QUEUE_FULL,
    SLC_PROBLEM_CROWDED,
    SLC_PROBLEM_TOO_MANY_PAGES,
    SLC_PROBLEM_NOT_AUTHORISED,
    SLC_PROBLEM_BACKEND_UNAVAILABLE,
    SLC_PROBLEM_BACKEND_UNUSABLE,
    SLC_PROBLEM_CHANGING,
    SLC_PROBLEM_DRAINING,
    SLC_PROBLEM_CUT_OFF,
    SLC_PROBLEM_REVOKED,
    SLC_PROBLEM_REMOVED,
    SLC_PROBLEM_NOT_JSON,
    SLC_PROBLEM_EMPTY,
    SLC_PROBLEM_MEDIA_TYPE,
    SLC_PROBLEM_NOT_ACCEPTABLE,
    SLC_PROBLEM_BAD_EVENT,
    SLC_PROBLEM_KEY,
    SLC_PROBLEM_TOO_MANY,
    SLC_PROBLEM_PARAMETER,
    SLC_PROBLEM_CURSOR,
    SLC_PROBLEM_CURSOR_EXPIRED,
    SLC_PROBLEM_RECREATED,
    SLC_PROBLEM_TIME_LOOKUP,
    SLC_PROBLEM_ALL_FAILED,
    SLC_PROBLEM_EVENT_REFUSED,
    SLC_PROBLEM_RECORD_REJECTED,
    SLC_PROBLEM_RECORD_DENIED,
    SLC_PROBLEM_RECORD_UNAVAILABLE,
    SLC_PROBLEM_RECORD_UNREADABLE,
    SLC_PROBLEM_TOO_MANY_PARTITIONS,
    SLC_PROBLEMS,
};

typedef struct slc_problem_text {
    int status;
    const char *type;
    const char *title;
    const char *detail;
    int retry_after_s; /* 0: none */
} slc_problem_text;

const slc_problem_text *slc_problem_text_of(enum slc_problem_kind kind);
/* Answers and ends the exchange. `detail` NULL: the table's. */
void slc_problem(slc_exchange *exchange, enum slc_problem_kind kind, const char *detail);
void slc_problem_with(slc_exchange *exchange, enum slc_problem_kind kind, const char *detail, json_t *extra);
/* {type, title, status, detail} for an item of a batch or an event of a stream; new reference. */
json_t *slc_problem_json(enum slc_problem_kind kind, const char *detail);
/* For an error of the broker. */
enum slc_problem_kind slc_problem_of(const slc_error *err);

#endif
