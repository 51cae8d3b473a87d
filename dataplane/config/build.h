/* From a manifest and its chunks to a snapshot: checks everything before anything is swapped. Config thread. */
#ifndef SLC_DATAPLANE_CONFIG_BUILD_H
#define SLC_DATAPLANE_CONFIG_BUILD_H

#include "dataplane/config/snapshot.h"
#include "dataplane/config/tree.h"

#define SLC_MANIFEST_MAX_BYTES (256 * 1024)

/* Decodes and checks a serialised manifest: kinds, order, digests, limits. New; free with
 * sluice__snapshot__v1__manifest__free_unpacked(manifest, NULL). */
Sluice__Snapshot__V1__Manifest *slc_manifest_decode(const uint8_t *data, size_t len,
                                                    slc_error *err) SLC_CHECKED;
bool slc_manifest_check(const Sluice__Snapshot__V1__Manifest *manifest, slc_error *err) SLC_CHECKED;
/* SHA-256 of its serialisation. */
void slc_manifest_digest(const Sluice__Snapshot__V1__Manifest *manifest, uint8_t out[SLC_SHA256_BYTES]);

/* Reports the digests that must be fetched before slc_snapshot_build can succeed; ask again until there are
 * none (parts of an index are known only when the index is). */
bool slc_snapshot_missing(const Sluice__Snapshot__V1__Manifest *manifest, const slc_chunk_source *source,
                          const slc_snapshot *previous, void (*missing)(void *arg, const uint8_t *sha256),
                          void *arg, slc_error *err) SLC_CHECKED;

/* Builds and validates. `previous` (may be NULL) is what runs now: sections, buckets and entities that did not
 * change are shared with it. On error NULL; err->field is the entity at fault ("listener/edge",
 * "policy/limits", "credential/<id>", ...), empty when it is the snapshot as a whole; SLC_UNAVAILABLE
 * when the fault is in this node's surroundings (a file that the snapshot refers to) and may go away. The
 * reference is the caller's. */
slc_snapshot *slc_snapshot_build(const Sluice__Snapshot__V1__Manifest *manifest, const slc_chunk_source *source,
                                 slc_snapshot *previous, slc_error *err) SLC_CHECKED;

/* The same where nothing is served from it: what only a gateway has, files and variables that secrets refer to,
 * is not looked at. */
slc_snapshot *slc_snapshot_build_elsewhere(const Sluice__Snapshot__V1__Manifest *manifest,
                                           const slc_chunk_source *source, slc_snapshot *previous,
                                           slc_error *err) SLC_CHECKED;

/* What it was built from. Borrowed. */
const Sluice__Snapshot__V1__Manifest *slc_snapshot_manifest(const slc_snapshot *snapshot);
/* Every digest that the snapshot is made of, indexes and their parts too, one after the other: new memory of
 * `count` times SLC_SHA256_BYTES. */
uint8_t *slc_snapshot_digests(const slc_snapshot *snapshot, size_t *count);

/* What this build can enforce beyond the first version; ends with NULL. An entity that requires anything else
 * is an error. */
const char *const *slc_config_features(void);

#endif
