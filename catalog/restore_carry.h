/* What was taken away between a backup and the catalog that it replaces. Private to catalog/: for restore.c.
 * docs/decisions/0007-restore.md. */
#ifndef SLC_CATALOG_RESTORE_CARRY_H
#define SLC_CATALOG_RESTORE_CARRY_H

#include "catalog/read.h"

/* Takes it away from the restored catalog (main) as well. The replaced one is attached as "old"; it may have an
 * earlier schema. Inside the write transaction, whose changes have begun (slc_txn_bump). Each change is an
 * audit event. Adds to `report`: revoked_again: {kind: count}, taken_away: [{kind, key, what}], and returned:
 * [{kind, key}], the grants and enrolment rules that were narrowed or deleted since and hold again. */
bool slc_restore_carry(slc_txn *txn, json_t *report, slc_error *err) SLC_CHECKED;

#endif
