/* The snapshot compiler: what a gateway group runs on, as a manifest of content-addressed chunks
 * (docs/decisions/0001-snapshots.md, proto/sluice/snapshot.proto).
 *
 * The result is immutable and shared by atomic reference count; any thread may read it. Equal content gives
 * equal bytes, whatever the history, the process or the machine.
 */
#ifndef SLC_CATALOG_COMPILE_H
#define SLC_CATALOG_COMPILE_H

#include "catalog/catalog.h"
#include "common/crypto.h"

/* A bucket or section over this is split by the next four bits of its items' hashes. */
#define SLC_COMPILE_CHUNK_BYTES (32 * 1024)

typedef struct slc_compiled slc_compiled;

/* Compiles inside a read (or write) transaction. `previous` (may be NULL) is the group's last result: when
 * nothing changed, another reference to it is returned, with its version. `sibling` (may be NULL) is another
 * group's, best of the same pass. Only what has changed since them is read (docs/decisions/0005-incremental-
 * compile.md), and what did not change is shared with them. One compilation at a time may use a result so.
 * SLC_NOT_FOUND when there is no such group. */
slc_compiled *slc_compile_group(slc_txn *txn, const char *group_id, slc_compiled *previous,
                                slc_compiled *sibling, slc_error *err) SLC_CHECKED;
slc_compiled *slc_compiled_ref(slc_compiled *compiled);
void slc_compiled_unref(slc_compiled *compiled); /* NULL is fine */

uint64_t slc_compiled_version(const slc_compiled *compiled);
const char *slc_compiled_group_id(const slc_compiled *compiled);
/* The packed Manifest and its SHA-256. Borrowed. */
const uint8_t *slc_compiled_manifest(const slc_compiled *compiled, size_t *len);
const uint8_t *slc_compiled_digest(const slc_compiled *compiled);
/* The chunks are numbered from 0. Where the one with this address is; -1 when this version has none such. */
long slc_compiled_chunk_find(const slc_compiled *compiled, const uint8_t sha256[SLC_SHA256_BYTES]);
/* Borrowed content and address. */
const uint8_t *slc_compiled_chunk(const slc_compiled *compiled, size_t index, size_t *len,
                                  const uint8_t **sha256);
size_t slc_compiled_chunk_count(const slc_compiled *compiled);
/* The earliest time at which something in it expires, so that it must be compiled again; 0: never. */
int64_t slc_compiled_expires_ms(const slc_compiled *compiled);
/* How many rows of subscriptions and credentials were read for it, by the last compilation that came to it. */
size_t slc_compiled_rows(const slc_compiled *compiled);

/* The ids of all groups: new array. */
json_t *slc_compile_groups(slc_txn *txn, slc_error *err) SLC_CHECKED;

#endif
