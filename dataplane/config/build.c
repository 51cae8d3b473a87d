/* Building a snapshot: manifest, trees, then entities and identities. */
#include "dataplane/config/build.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "dataplane/config/snapshot_private.h"
#include "proto/bounded.h"

#define KIND_CONFIGURATION SLUICE__SNAPSHOT__V1__CHUNK_KIND__CHUNK_KIND_CONFIGURATION
#define KIND_CREDENTIALS   SLUICE__SNAPSHOT__V1__CHUNK_KIND__CHUNK_KIND_CREDENTIALS
#define KIND_APPLICATIONS  SLUICE__SNAPSHOT__V1__CHUNK_KIND__CHUNK_KIND_APPLICATIONS
#define KIND_INDEX         SLUICE__SNAPSHOT__V1__CHUNK_KIND__CHUNK_KIND_INDEX

static const char *const features[] = {"kafka-proxy-protocol", "kafka-connection-limits", "http-proxy-protocol",
                                       "listener-certificate-file", NULL};

const char *const *slc_config_features(void)
{
    return features;
}

/* ---- the manifest ---- */

static Sluice__Snapshot__V1__ChunkKind leaf_kind(const pb_ref *ref)
{
    return ref->kind == KIND_INDEX ? ref->parts_kind : ref->kind;
}

/* Where a top-level chunk belongs; NULL when there is no such place. */
static slc_tree **slot_of(slc_snapshot *snapshot, const pb_ref *ref)
{
    switch (leaf_kind(ref)) {
    case KIND_CONFIGURATION:
        return ref->bucket > 0 && ref->bucket < SLC_SECTIONS ? &snapshot->sections[ref->bucket] : NULL;
    case KIND_CREDENTIALS:
        return ref->bucket < SLC_BUCKETS ? &snapshot->credentials[ref->bucket] : NULL;
    case KIND_APPLICATIONS:
        return ref->bucket < SLC_BUCKETS ? &snapshot->applications[ref->bucket] : NULL;
    default:
        return NULL;
    }
}

bool slc_manifest_check(const pb_manifest *manifest, slc_error *err)
{
    static slc_snapshot places; /* for its addresses only */

    if (manifest->version == 0 || manifest->group[0] == '\0')
        return slc_fail(err, SLC_INVALID, NULL, "the manifest has no version or no group");
    for (size_t i = 0; i < manifest->n_chunks; i++) {
        const pb_ref *ref = manifest->chunks[i];
        const pb_ref *before = i > 0 ? manifest->chunks[i - 1] : NULL;

        if (!slc_chunk_ref_ok(ref) || slot_of(&places, ref) == NULL)
            return slc_fail(err, SLC_INVALID, NULL,
                            "chunk %zu of the manifest is malformed or of an unknown kind", i);
        if (before != NULL && (leaf_kind(before) > leaf_kind(ref) ||
                               (leaf_kind(before) == leaf_kind(ref) && before->bucket >= ref->bucket)))
            return slc_fail(err, SLC_INVALID, NULL, "chunk %zu of the manifest is out of order or repeated", i);
    }
    return true;
}

pb_manifest *slc_manifest_decode(const uint8_t *data, size_t len, slc_error *err)
{
    pb_manifest *manifest;

    if (len > SLC_MANIFEST_MAX_BYTES) {
        slc_fail(err, SLC_TOO_LARGE, NULL, "a manifest of %zu bytes is over the limit of %d", len,
                 SLC_MANIFEST_MAX_BYTES);
        return NULL;
    }
    manifest = (pb_manifest *)slc_unpack_bounded(&sluice__snapshot__v1__manifest__descriptor, data, len);
    if (manifest == NULL) {
        slc_fail(err, SLC_CORRUPT, NULL, "a manifest of %zu bytes does not decode", len);
        return NULL;
    }
    if (!slc_manifest_check(manifest, err)) {
        sluice__snapshot__v1__manifest__free_unpacked(manifest, NULL);
        return NULL;
    }
    return manifest;
}

void slc_manifest_digest(const pb_manifest *manifest, uint8_t out[SLC_SHA256_BYTES])
{
    size_t len = sluice__snapshot__v1__manifest__get_packed_size(manifest);
    uint8_t *packed = slc_malloc(len + 1);

    sluice__snapshot__v1__manifest__pack(manifest, packed);
    slc_sha256(packed, len, out);
    free(packed);
}

static pb_manifest *copy_manifest(const pb_manifest *manifest)
{
    size_t len = sluice__snapshot__v1__manifest__get_packed_size(manifest);
    uint8_t *packed = slc_malloc(len + 1);
    pb_manifest *copy;

    sluice__snapshot__v1__manifest__pack(manifest, packed);
    copy = sluice__snapshot__v1__manifest__unpack(NULL, len, packed);
    free(packed);
    return copy;
}

/* ---- chunks ---- */

/* What the previous snapshot has in the place of `ref`. */
static slc_tree *previous_of(const slc_snapshot *previous, const pb_ref *ref)
{
    slc_tree **slot = previous != NULL ? slot_of((slc_snapshot *)previous, ref) : NULL;

    return slot != NULL ? *slot : NULL;
}

bool slc_snapshot_missing(const pb_manifest *manifest, const slc_chunk_source *source,
                          const slc_snapshot *previous, void (*missing)(void *arg, const uint8_t *sha256),
                          void *arg, slc_error *err)
{
    for (size_t i = 0; i < manifest->n_chunks; i++) {
        const pb_ref *ref = manifest->chunks[i];

        if (!slc_tree_missing(ref, source, previous_of(previous, ref), missing, arg, err))
            return false;
    }
    return true;
}

struct digests {
    uint8_t *list;
    size_t count, capacity;
};

static void collect(const slc_tree *tree, struct digests *digests)
{
    if (tree == NULL)
        return;
    if (digests->count == digests->capacity) {
        digests->capacity = digests->capacity > 0 ? 2 * digests->capacity : 1024;
        digests->list = slc_realloc(digests->list, digests->capacity * SLC_SHA256_BYTES);
    }
    memcpy(digests->list + SLC_SHA256_BYTES * digests->count++, tree->sha256, SLC_SHA256_BYTES);
    for (unsigned i = 0; i < SLC_TREE_PARTS; i++)
        collect(tree->parts[i], digests);
}

uint8_t *slc_snapshot_digests(const slc_snapshot *snapshot, size_t *count)
{
    struct digests digests = {0};

    for (unsigned i = 0; i < SLC_SECTIONS; i++)
        collect(snapshot->sections[i], &digests);
    for (unsigned i = 0; i < SLC_BUCKETS; i++) {
        collect(snapshot->credentials[i], &digests);
        collect(snapshot->applications[i], &digests);
    }
    *count = digests.count;
    return digests.list;
}

const pb_manifest *slc_snapshot_manifest(const slc_snapshot *snapshot)
{
    return snapshot->manifest;
}

static bool build_trees(slc_snapshot *snapshot, const slc_chunk_source *source, const slc_snapshot *previous,
                        slc_error *err)
{
    for (size_t i = 0; i < snapshot->manifest->n_chunks; i++) {
        const pb_ref *ref = snapshot->manifest->chunks[i];
        slc_tree **slot = slot_of(snapshot, ref);

        *slot = slc_tree_build(ref, source, previous_of(previous, ref), err);
        if (*slot == NULL)
            return false;
    }
    for (unsigned i = 0; i < SLC_BUCKETS; i++) {
        if (snapshot->credentials[i] != NULL)
            snapshot->credential_places[i] = snapshot->credentials[i]->places;
        if (snapshot->applications[i] != NULL)
            snapshot->application_places[i] = snapshot->applications[i]->places;
    }
    return true;
}

slc_snapshot *slc_snapshot_build(const pb_manifest *manifest, const slc_chunk_source *source,
                                 slc_snapshot *previous, slc_error *err)
{
    slc_snapshot *snapshot;

    slc_error_clear(err);
    if (!slc_manifest_check(manifest, err))
        return NULL;
    snapshot = slc_calloc(1, sizeof(*snapshot));
    snapshot->magic = SLC_SNAPSHOT_MAGIC;
    snapshot->refs = 1;
    snapshot->manifest = copy_manifest(manifest);
    if (!build_trees(snapshot, source, previous, err) || !slc_entities_build(snapshot, previous, err) ||
        !slc_identities_check(snapshot, previous, err)) {
        slc_snapshot_unref(snapshot);
        return NULL;
    }
    return snapshot;
}

slc_snapshot *slc_snapshot_build_elsewhere(const pb_manifest *manifest, const slc_chunk_source *source,
                                           slc_snapshot *previous, slc_error *err)
{
    slc_validate_elsewhere(true);
    slc_snapshot *snapshot = slc_snapshot_build(manifest, source, previous, err);
    slc_validate_elsewhere(false);
    return snapshot;
}
