/* Who asks, in full: for GET /v1/me and the portal. */
#ifndef SLC_CONTROLPLANE_ADMIN_ME_H
#define SLC_CONTROLPLANE_ADMIN_ME_H

#include "catalog/token.h"

/* Adds to `out`: user {id, name, title, email, teams [{id, name, title, owner}], roles [name]} (null for a
 * machine's token), rights (every permission that they hold now), session and token {id, ...} (one of them
 * null). */
bool slc_me_describe(slc_txn *txn, const slc_identity *identity, json_t *out, slc_error *err) SLC_CHECKED;

#endif
