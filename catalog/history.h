/* What the configuration was at each revision: one row for each state of an entity of a kind with
 * SLC_KIND_ROLLBACK (docs/decisions/0004-versions-and-rollback.md). Private to catalog/; inside a transaction.
 *
 * A state is the entity's declarative form with `manager`; where a secret is sealed it has {"sealed_at":
 * revision} instead: the revision at which that secret last changed.
 */
#ifndef SLC_CATALOG_HISTORY_H
#define SLC_CATALOG_HISTORY_H

#include "catalog/read.h"

/* After a change of an entity: `before` is NULL at creation, `next` at deletion (stored forms). Does nothing
 * for kinds that never roll back. */
bool slc_history_write(slc_txn *txn, const slc_kind *kind, const json_t *before, const json_t *next,
                       slc_error *err) SLC_CHECKED;
/* Begins the history with what there is, unless it has begun. */
bool slc_history_begin(slc_txn *txn, slc_error *err) SLC_CHECKED;
/* The revision that the history begins with; 0 on error. */
uint64_t slc_history_since(slc_txn *txn, slc_error *err) SLC_CHECKED;

/* Entities whose state at two revisions differs: new {kind: {ref: {"from": {"id", "body"}, "to": {...}}}},
 * "from" absent for what came and "to" for what went. Both revisions must be in the history. */
json_t *slc_history_between(slc_txn *txn, uint64_t from, uint64_t to, slc_error *err) SLC_CHECKED;
/* {field: {from, to}} of two states of a kind (either may be NULL), as in an audit event: new. Of a secret it
 * is only said that it changed. */
json_t *slc_history_changes(const slc_kind *kind, const json_t *from, const json_t *to);

/* ---- pruning ---- */
/* Deletes the states that lie wholly between `after` and `until`: with no kept version between the two, nobody
 * sees them. */
bool slc_history_prune(slc_txn *txn, uint64_t after, uint64_t until, slc_error *err) SLC_CHECKED;
/* Deletes every state that no version sees: reads the whole table. */
bool slc_history_sweep(slc_txn *txn, slc_error *err) SLC_CHECKED;

#endif
