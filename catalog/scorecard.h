/* Scorecards: which rules of administrators (the kind scorecard-rules) an event API or REST API meets, what
 * that is worth, and whether it may be published. Nothing is kept: rules are compiled, and facts read, for what
 * is asked. Inside a transaction.
 *
 * A rule that is about something is met when its condition is true; one that cannot be evaluated is not met.
 * The score is the share of points of rules that are met, in percent. A level is reached when it has rules, and
 * all of them and of those below are met. What is blocked: somebody publishes a draft, and a blocking rule that
 * would be about it then is not met.
 */
#ifndef SLC_CATALOG_SCORECARD_H
#define SLC_CATALOG_SCORECARD_H

#include "catalog/catalog.h"
#include "common/cel/cel.h"

struct slc_identity;

/* Of rules in the catalog: each is evaluated for each line of a list. */
#define SLC_SCORECARD_RULES_MAX 50

extern const char *const slc_scorecard_levels[]; /* from the lowest */

/* What conditions may speak of; ends with a NULL name. */
extern const slc_cel_variable slc_scorecard_attributes[];

/* An expression over them that gives a bool. NULL with err (no field). */
slc_cel *slc_scorecard_compile(const char *text, slc_error *err) SLC_CHECKED;

/* {kind, key, lifecycle, score, level, rules: [{name, title, level, points, blocking, met, hint, detail}],
 * blocked_by: [{name, title, hint, detail}]}: new. Rules that are not about it are left out; `blocked_by` is
 * null unless it is a draft. SLC_NOT_FOUND also for what the viewer (NULL: sees everything) may not know of. */
json_t *slc_scorecard_get(slc_txn *txn, const slc_kind *kind, const char *key,
                          const struct slc_identity *viewer, slc_error *err) SLC_CHECKED;

typedef struct slc_scorecard_query {
    const char *team, *lifecycle; /* NULL: any; team is a key or an id */
    int limit;                    /* 0: 100 */
    const char *cursor;           /* of the page before; NULL: the start */
} slc_scorecard_query;

/* {rules, items: [{kind, key, title, team, lifecycle, score, level, met, failed: [names], blocked_by:
 * [names]}], next}: new; `rules` is how many are in force. */
json_t *slc_scorecard_list(slc_txn *txn, const slc_scorecard_query *query, const struct slc_identity *viewer,
                           slc_error *err) SLC_CHECKED;

/* A rule that is not made yet, as the body of its creation, against a page of what there is: {checked, applies,
 * items: [{kind, key, title, team, lifecycle, detail, blocked}], next} with those that do not meet it: new.
 * query->limit says how many are looked at. */
json_t *slc_scorecard_preview(slc_txn *txn, const json_t *rule, const slc_scorecard_query *query,
                              const struct slc_identity *viewer, slc_error *err) SLC_CHECKED;

/* May the event API or REST API, which is written already, be published? Otherwise SLC_CONFLICT, with a problem
 * for each rule in the way; it has the member `rule`. */
bool slc_scorecard_gate(slc_txn *txn, const slc_kind *kind, const char *id, slc_error *err) SLC_CHECKED;

#endif
