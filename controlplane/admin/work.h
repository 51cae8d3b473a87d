/* Requests that do what takes long and is no transaction, a backup or a key rotation: run as a catalog task,
 * with their Idempotency-Key looked up before and kept after it. All on the loop. */
#ifndef SLC_CONTROLPLANE_ADMIN_WORK_H
#define SLC_CONTROLPLANE_ADMIN_WORK_H

#include "controlplane/admin/call.h"

/* `done` gets the call and the outcome, possibly before this returns. The same key twice at once: the
 * second is SLC_CONFLICT while the first is under way. When the process dies between the work and its answer,
 * the key is not kept, and a retry does the work once more. */
void slc_work_start(slc_works *works, slc_call *call, slc_txn_done done);

#endif
