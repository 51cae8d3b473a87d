/* What versions.c and rollback.c share. */
#ifndef SLC_CATALOG_VERSIONS_PRIVATE_H
#define SLC_CATALOG_VERSIONS_PRIVATE_H

#include "catalog/versions.h"

/* {"id", "group", "version"} of a kept version that the history still knows: new, with its revision. NULL with
 * err and, when it is too old, `*refusal`. */
json_t *slc_version_find(slc_txn *txn, const char *id, uint64_t *revision, enum slc_version_refusal *refusal,
                         slc_error *err) SLC_CHECKED;

#endif
