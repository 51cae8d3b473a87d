/* Chunks, decoded: each section and bucket of a manifest is a tree, most often of one leaf, whose nodes are
 * shared between snapshots. Private to dataplane/config; built on the config thread, read by every worker. */
#ifndef SLC_DATAPLANE_CONFIG_TREE_H
#define SLC_DATAPLANE_CONFIG_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/crypto.h"
#include "common/error.h"
#include "proto/bounded.h"
#include "sluice/snapshot.pb-c.h"

#define SLC_CHUNK_MAX_BYTES (4 * 1024 * 1024)
#define SLC_TREE_MAX_DEPTH  4
#define SLC_TREE_PARTS      16

/* Where chunk contents come from. */
typedef struct slc_chunk_source {
    bool (*has)(void *arg, const uint8_t sha256[SLC_SHA256_BYTES]);
    /* New memory, its digest checked; NULL when it is not there (any more). */
    uint8_t *(*get)(void *arg, const uint8_t sha256[SLC_SHA256_BYTES], size_t *len);
    void *arg;
} slc_chunk_source;

/* Where the identities of a tree lie, by the hashes of their keys. */
typedef struct slc_tree_places {
    struct slc_tree_place {
        uint64_t tag;     /* of the hash, behind what led to the bucket */
        const void *item; /* NULL: free */
    } * list;
    size_t count;
    unsigned mask;
    Sluice__Snapshot__V1__ChunkKind kind;
} slc_tree_places;

typedef struct slc_tree {
    unsigned magic;
    unsigned refs;
    Sluice__Snapshot__V1__ChunkKind kind; /* of the leaves */
    ProtobufCMessage *msg;                /* a leaf's; NULL in an index */
    slc_pieces *memory;                   /* that msg lives in */
    slc_tree_places places;               /* if it is of identities */
    uint8_t sha256[SLC_SHA256_BYTES];
    struct slc_tree *parts[SLC_TREE_PARTS]; /* of an index, by the next four bits; NULL: empty */
} slc_tree;

slc_tree *slc_tree_ref(slc_tree *tree);
void slc_tree_unref(slc_tree *tree); /* NULL is fine */

/* The tree that `ref` names, sharing with `previous` (at the same place of the previous snapshot; may be NULL)
 * what has the same digest. Shapes are checked here, what leaves say is checked by the build. SLC_NOT_FOUND
 * when the source lacks a chunk. */
slc_tree *slc_tree_build(const Sluice__Snapshot__V1__ChunkRef *ref, const slc_chunk_source *source,
                         slc_tree *previous, slc_error *err) SLC_CHECKED;

/* Reports the digests that building would need and neither `previous` nor the source has. An index that is not
 * there yet hides its parts: ask again when it is. */
bool slc_tree_missing(const Sluice__Snapshot__V1__ChunkRef *ref, const slc_chunk_source *source,
                      const slc_tree *previous, void (*missing)(void *arg, const uint8_t *sha256), void *arg,
                      slc_error *err) SLC_CHECKED;

/* Calls fn for every leaf, in order of the hash bits. Stops and returns false when fn does. */
bool slc_tree_each(const slc_tree *tree, bool (*fn)(void *arg, slc_tree *leaf), void *arg);
/* The leaf that holds what hashes to `hash`; NULL when that part is empty. `first_nibble`: 2 for buckets (the
 * first byte chose the bucket), 0 for sections. */
const slc_tree *slc_tree_leaf(const slc_tree *tree, const uint8_t hash[SLC_SHA256_BYTES],
                              unsigned first_nibble);

/* The credential or application of that key, whose SHA-256 is `hash`; NULL: there is none. `places` may be
 * empty. */
const void *slc_tree_find(const slc_tree_places *places, const uint8_t hash[SLC_SHA256_BYTES], const char *key,
                          size_t key_len);
/* Is the digest well formed? 32 bytes. */
bool slc_chunk_ref_ok(const Sluice__Snapshot__V1__ChunkRef *ref);
unsigned slc_hash_nibble(const uint8_t hash[SLC_SHA256_BYTES], unsigned n);

#endif
