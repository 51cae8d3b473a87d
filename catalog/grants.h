/* What grants allow, and what rests on them. Private to catalog/; inside a transaction.
 *
 * A grant says what a team may expose at all; several may be needed for several operations. Whoever is not a
 * platform administrator keeps every deployment that they write, and every one of an event API whose team or
 * operations they change, within its team's grants. A deployment that rests on a grant holds it: the grant
 * cannot go, or lose operations, until the deployment does. What an administrator deployed beyond the grants
 * rests on none.
 */
#ifndef SLC_CATALOG_GRANTS_H
#define SLC_CATALOG_GRANTS_H

#include "catalog/rules.h"

/* A topic that is, or would be, exposed. */
typedef struct slc_exposure {
    const char *team, *virtual_cluster; /* ids */
    const char *topic;
    const json_t *operations;
} slc_exposure;

/* 1: the team's grants allow it; 0: they do not; -1: error. */
int slc_grants_cover(slc_txn *txn, const slc_exposure *exposure, slc_error *err) SLC_CHECKED;
/* Before an event API changes: SLC_DENIED when its team or operations would leave what is granted, with a
 * problem for each deployment that does. */
bool slc_grants_check_api(slc_txn *txn, const slc_change *change, slc_error *err) SLC_CHECKED;

#endif
