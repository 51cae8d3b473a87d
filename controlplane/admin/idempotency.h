/* Idempotency-Key: a creation that is sent again with the same key gets the first answer again, for a day
 * (draft-ietf-httpapi-idempotency-key-header). The key is the caller's own: bound to its token. Another request
 * under a used key is 422. */
#ifndef SLC_CONTROLPLANE_ADMIN_IDEMPOTENCY_H
#define SLC_CONTROLPLANE_ADMIN_IDEMPOTENCY_H

#include "controlplane/admin/call.h"

/* `*replayed`: the answer is filled from the first one. Does nothing without a key. */
bool slc_call_replay(slc_txn *txn, slc_call *call, bool *replayed, slc_error *err) SLC_CHECKED;
/* Keeps the answer in the same transaction as the change. */
bool slc_call_remember(slc_txn *txn, slc_call *call, slc_error *err) SLC_CHECKED;

#endif
