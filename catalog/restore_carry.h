/* What was taken away between a backup and the catalog that it replaces. Private to catalog/: for restore.c.
 * docs/decisions/0007-restore.md.
 *
 * All run inside the write transaction of the restored catalog (main), in this order; the replaced one is
 * attached as "old" and may have an earlier schema. */
#ifndef SLC_CATALOG_RESTORE_CARRY_H
#define SLC_CATALOG_RESTORE_CARRY_H

#include "catalog/read.h"

/* Adds what the replaced catalog knows, of its own life and of those before it, to main.taken_away. `*complete`
 * tells whether that is all that happened since the backup: the replaced catalog goes back to it, itself or by
 * restores that knew everything. Before the revision leaps. */
bool slc_restore_recall(slc_txn *txn, bool *complete, slc_error *err) SLC_CHECKED;

/* Takes it away from the restored catalog as well; the changes have begun (slc_txn_bump). Each is an audit
 * event. Adds to `report`: revoked_again: {kind: count}, taken_away: [{kind, key, what}], and returned:
 * [{kind, key}], the grants, enrolment rules and issuers that were changed or deleted since and hold again. */
bool slc_restore_carry(slc_txn *txn, json_t *report, slc_error *err) SLC_CHECKED;

/* The node CA goes on as it was in the replaced catalog, if both have an authority in common: what was retired
 * stays retired, what was made since signs. Adds node_ca: [{id, state, what}] of those that differ from the
 * backup. */
bool slc_restore_node_ca(slc_txn *txn, json_t *report, slc_error *err) SLC_CHECKED;

/* People sign in anew, with the password that they had last, and are invited anew: sessions and invitations
 * end. With `carry`, teams that they own and identities at providers that were taken away since stay so. Adds
 * people: {what: count}. After slc_restore_carry. */
bool slc_restore_people(slc_txn *txn, bool carry, json_t *report, slc_error *err) SLC_CHECKED;

/* At the end, always: keeps in taken_away what the restored catalog has no entity for, and begins a new era. */
bool slc_restore_settle(slc_txn *txn, slc_error *err) SLC_CHECKED;

#endif
