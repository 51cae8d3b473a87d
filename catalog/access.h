/* What whoever asks may touch and give away, beyond the permission that the route asked for: what belongs to
 * their teams, and no right that they lack themselves. Private to catalog/; inside a transaction.
 *
 * It is the actor's identity (slc_actor.identity) that bounds; the control plane itself and platform
 * administrators (permission "*") are bound by nothing here. A machine's token has no teams, and only an
 * administrator can make it: its scopes alone count, for every team. Refusals are SLC_DENIED, with a pointer to
 * the field where there is one.
 */
#ifndef SLC_CATALOG_ACCESS_H
#define SLC_CATALOG_ACCESS_H

#include "catalog/read.h"
#include "catalog/token.h"

/* Who is bound; NULL: nobody. Borrowed. */
const slc_identity *slc_access_bound(slc_txn *txn);

/* ---- teams ---- */
/* May it be written? In stored form; NULL: not there before, or not afterwards. Both states count, so that
 * nothing is taken from a team or put upon one. A kind that belongs to no team passes; an entity of another
 * kind that leads to none (a policy on a gateway group) is for those who may write for all teams. */
bool slc_access_write(slc_txn *txn, const slc_kind *kind, const json_t *before, const json_t *next,
                      slc_error *err) SLC_CHECKED;
bool slc_access_act(slc_txn *txn, const slc_kind *kind, const slc_action *action, const json_t *before,
                    slc_error *err) SLC_CHECKED;
/* May the entity `id` be used by something of theirs at `pointer`? */
bool slc_access_use(slc_txn *txn, const slc_kind *kind, const char *id, const char *pointer,
                    slc_error *err) SLC_CHECKED;
/* Is the team one of theirs, or may they write for all? `pointer` may be NULL. */
bool slc_access_team(slc_txn *txn, const char *team_id, const char *pointer, slc_error *err) SLC_CHECKED;

/* Do they own the team (NULL: no team in particular, which nobody owns), or may they write for all? */
bool slc_access_owner(slc_txn *txn, const char *team_id, const char *pointer, slc_error *err) SLC_CHECKED;

/* ---- rights ---- */
/* May the permissions at `pointer` be given to somebody who has `before` (NULL: nothing)? */
bool slc_access_give(slc_txn *txn, const json_t *permissions, const json_t *before, const char *pointer,
                     slc_error *err) SLC_CHECKED;
/* The same for a role as a whole, given at `pointer`. */
bool slc_access_give_role(slc_txn *txn, const char *role_id, const char *pointer, slc_error *err) SLC_CHECKED;

#endif
