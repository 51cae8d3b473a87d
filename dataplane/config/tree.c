/* Building, sharing and walking chunk trees. */
#include "dataplane/config/tree.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/pages.h"
#include "proto/bounded.h"

#define TREE_MAGIC 0x74726565u
#define ITEM_LINES 4 /* of cache: what is read of a credential or an application */

typedef Sluice__Snapshot__V1__ChunkRef chunk_ref;

#define KIND_CONFIGURATION SLUICE__SNAPSHOT__V1__CHUNK_KIND__CHUNK_KIND_CONFIGURATION
#define KIND_CREDENTIALS   SLUICE__SNAPSHOT__V1__CHUNK_KIND__CHUNK_KIND_CREDENTIALS
#define KIND_APPLICATIONS  SLUICE__SNAPSHOT__V1__CHUNK_KIND__CHUNK_KIND_APPLICATIONS
#define KIND_INDEX         SLUICE__SNAPSHOT__V1__CHUNK_KIND__CHUNK_KIND_INDEX

/* ---- reference counts ---- */

static size_t places_bytes(const slc_tree_places *places)
{
    return (places->mask + (size_t)1) * sizeof(*places->list);
}

slc_tree *slc_tree_ref(slc_tree *tree)
{
    SLC_CHECK_MAGIC(tree, TREE_MAGIC);
    __atomic_add_fetch(&tree->refs, 1, __ATOMIC_RELAXED);
    return tree;
}

void slc_tree_unref(slc_tree *tree)
{
    if (tree == NULL)
        return;
    SLC_CHECK_MAGIC(tree, TREE_MAGIC);
    if (__atomic_sub_fetch(&tree->refs, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    for (unsigned i = 0; i < SLC_TREE_PARTS; i++)
        slc_tree_unref(tree->parts[i]);
    slc_pages_free(tree->places.list, places_bytes(&tree->places));
    slc_pieces_free(tree->memory);
    tree->magic = 0;
    free(tree);
}

/* ---- checks ---- */

bool slc_chunk_ref_ok(const chunk_ref *ref)
{
    return ref->sha256.len == SLC_SHA256_BYTES && ref->size_bytes <= SLC_CHUNK_MAX_BYTES;
}

unsigned slc_hash_nibble(const uint8_t hash[SLC_SHA256_BYTES], unsigned n)
{
    return n % 2 == 0 ? hash[n / 2] >> 4 : hash[n / 2] & 15u;
}

static const ProtobufCMessageDescriptor *descriptor_of(Sluice__Snapshot__V1__ChunkKind kind)
{
    switch (kind) {
    case KIND_CONFIGURATION:
        return &sluice__snapshot__v1__configuration__descriptor;
    case KIND_CREDENTIALS:
        return &sluice__snapshot__v1__credential_bucket__descriptor;
    case KIND_APPLICATIONS:
        return &sluice__snapshot__v1__application_bucket__descriptor;
    case KIND_INDEX:
        return &sluice__snapshot__v1__index__descriptor;
    default:
        return NULL;
    }
}

static bool check_index(const Sluice__Snapshot__V1__Index *index, Sluice__Snapshot__V1__ChunkKind leaf_kind,
                        slc_error *err)
{
    if (index->n_parts == 0 || index->n_parts > SLC_TREE_PARTS)
        return slc_fail(err, SLC_INVALID, NULL, "an index has %zu parts instead of 1 to %d", index->n_parts,
                        SLC_TREE_PARTS);
    for (size_t i = 0; i < index->n_parts; i++) {
        const chunk_ref *part = index->parts[i];
        Sluice__Snapshot__V1__ChunkKind kind = part->kind == KIND_INDEX ? part->parts_kind : part->kind;

        if (!slc_chunk_ref_ok(part) || kind != leaf_kind || part->bucket >= SLC_TREE_PARTS ||
            (i > 0 && part->bucket <= index->parts[i - 1]->bucket))
            return slc_fail(err, SLC_INVALID, NULL, "part %zu of an index is malformed or out of order", i);
    }
    return true;
}

/* The message lives in `*blocks`, which the caller frees. */
static ProtobufCMessage *load(const chunk_ref *ref, const slc_chunk_source *source, slc_pieces **blocks,
                              slc_error *err)
{
    const ProtobufCMessageDescriptor *descriptor = descriptor_of(ref->kind);
    ProtobufCMessage *msg;
    uint8_t *content;
    size_t len = 0;

    if (descriptor == NULL) {
        slc_fail(err, SLC_UNSUPPORTED, NULL, "a chunk is of the unknown kind %d", (int)ref->kind);
        return NULL;
    }
    content = source->get(source->arg, ref->sha256.data, &len);
    if (content == NULL) {
        slc_fail(err, SLC_NOT_FOUND, NULL, "a chunk of the manifest is missing");
        return NULL;
    }
    msg = len == ref->size_bytes ? slc_unpack_together(descriptor, content, len, blocks) : NULL;
    free(content);
    if (msg == NULL)
        slc_fail(err, SLC_CORRUPT, NULL, "a chunk of %zu bytes (the manifest says %u) does not decode as %s",
                 len, (unsigned)ref->size_bytes, descriptor->name);
    return msg;
}

/* ---- identities ---- */

/* Each request looks for two identities among perhaps very many, and each place that is looked at for the first
 * time is far away: halving a sorted list would be a dozen of them, this is two. */

static const char *key_of(Sluice__Snapshot__V1__ChunkKind kind, const void *item)
{
    return kind == KIND_CREDENTIALS ? ((const Sluice__Snapshot__V1__Credential *)item)->lookup
                                    : ((const Sluice__Snapshot__V1__Application *)item)->id;
}

/* The bytes before led to the bucket and the leaf. */
static uint64_t tag_of(const uint8_t hash[SLC_SHA256_BYTES])
{
    uint64_t tag;

    memcpy(&tag, hash + 8, sizeof(tag));
    return tag;
}

static void make_places(slc_tree *tree, size_t count)
{
    size_t places = 8;

    while (places < 2 * count)
        places *= 2;
    tree->places = (slc_tree_places){.list = slc_pages_alloc(places * sizeof(*tree->places.list)),
                                     .mask = (unsigned)places - 1,
                                     .kind = tree->kind,
                                     .count = count};
    memset(tree->places.list, 0, places_bytes(&tree->places));
}

static void add_place(slc_tree_places *places, uint64_t tag, const void *item)
{
    size_t i = tag & places->mask;

    while (places->list[i].item != NULL)
        i = (i + 1) & places->mask;
    places->list[i] = (struct slc_tree_place){tag, item};
}

static void add_item(slc_tree *leaf, const void *item)
{
    uint8_t hash[SLC_SHA256_BYTES];
    const char *key = key_of(leaf->kind, item);

    slc_sha256(key, strlen(key), hash);
    add_place(&leaf->places, tag_of(hash), item);
}

/* What is there twice, the checks find. */
static void place_leaf(slc_tree *leaf)
{
    const Sluice__Snapshot__V1__CredentialBucket *credentials =
        (const Sluice__Snapshot__V1__CredentialBucket *)leaf->msg;
    const Sluice__Snapshot__V1__ApplicationBucket *applications =
        (const Sluice__Snapshot__V1__ApplicationBucket *)leaf->msg;

    if (leaf->kind == KIND_CREDENTIALS) {
        make_places(leaf, credentials->n_credentials);
        for (size_t i = 0; i < credentials->n_credentials; i++)
            add_item(leaf, credentials->credentials[i]);
    } else if (leaf->kind == KIND_APPLICATIONS) {
        make_places(leaf, applications->n_applications);
        for (size_t i = 0; i < applications->n_applications; i++)
            add_item(leaf, applications->applications[i]);
    }
}

/* All that its parts have, so that nobody has to find the part first. */
static void place_parts(slc_tree *tree)
{
    size_t count = 0;

    for (unsigned i = 0; i < SLC_TREE_PARTS; i++)
        count += tree->parts[i] != NULL ? tree->parts[i]->places.count : 0;
    if (count == 0)
        return;
    make_places(tree, count);
    for (unsigned i = 0; i < SLC_TREE_PARTS; i++) {
        const slc_tree_places *part = tree->parts[i] != NULL ? &tree->parts[i]->places : NULL;

        for (size_t j = 0; part != NULL && part->list != NULL && j <= part->mask; j++)
            if (part->list[j].item != NULL)
                add_place(&tree->places, part->list[j].tag, part->list[j].item);
    }
}

/* Decoding lays a message's texts behind it: all of it is asked for at once. */
static void fetch_item(const void *item)
{
    for (size_t i = 0; i < ITEM_LINES; i++)
        __builtin_prefetch((const uint8_t *)item + i * 64);
}

const void *slc_tree_find(const slc_tree_places *places, const uint8_t hash[SLC_SHA256_BYTES], const char *key,
                          size_t key_len)
{
    uint64_t tag = tag_of(hash);

    if (places->list == NULL)
        return NULL;
    for (size_t i = tag & places->mask;; i = (i + 1) & places->mask) {
        const struct slc_tree_place *place = &places->list[i];

        if (place->item == NULL)
            return NULL;
        if (place->tag != tag)
            continue;
        fetch_item(place->item);
        const char *found = key_of(places->kind, place->item);
        if (strncmp(found, key, key_len) == 0 && found[key_len] == '\0')
            return place->item;
    }
}

/* ---- building ---- */

static slc_tree *build(const chunk_ref *ref, const slc_chunk_source *source, slc_tree *previous, unsigned depth,
                       slc_error *err);

static bool build_parts(slc_tree *tree, const Sluice__Snapshot__V1__Index *index,
                        const slc_chunk_source *source, const slc_tree *previous, unsigned depth,
                        slc_error *err)
{
    if (!check_index(index, tree->kind, err))
        return false;
    for (size_t i = 0; i < index->n_parts; i++) {
        const chunk_ref *part = index->parts[i];
        slc_tree *old = previous != NULL ? previous->parts[part->bucket] : NULL;

        tree->parts[part->bucket] = build(part, source, old, depth + 1, err);
        if (tree->parts[part->bucket] == NULL)
            return false;
    }
    return true;
}

static slc_tree *build(const chunk_ref *ref, const slc_chunk_source *source, slc_tree *previous, unsigned depth,
                       slc_error *err)
{
    bool is_index = ref->kind == KIND_INDEX, ok = true;
    slc_pieces *blocks = NULL;
    ProtobufCMessage *msg;
    slc_tree *tree;

    if (previous != NULL && memcmp(previous->sha256, ref->sha256.data, SLC_SHA256_BYTES) == 0)
        return slc_tree_ref(previous);
    if (depth > SLC_TREE_MAX_DEPTH) {
        slc_fail(err, SLC_INVALID, NULL, "indexes are nested more than %d deep", SLC_TREE_MAX_DEPTH);
        return NULL;
    }
    msg = load(ref, source, &blocks, err);
    if (msg == NULL)
        return NULL;
    tree = slc_calloc(1, sizeof(*tree));
    tree->magic = TREE_MAGIC;
    tree->refs = 1;
    tree->kind = is_index ? ref->parts_kind : ref->kind;
    memcpy(tree->sha256, ref->sha256.data, SLC_SHA256_BYTES);
    if (!is_index) {
        tree->msg = msg;
        tree->memory = blocks;
        place_leaf(tree);
    } else {
        ok = build_parts(tree, (const Sluice__Snapshot__V1__Index *)msg, source, previous, depth, err);
        slc_pieces_free(blocks);
        if (ok)
            place_parts(tree);
    }
    if (!ok) {
        slc_tree_unref(tree);
        return NULL;
    }
    return tree;
}

slc_tree *slc_tree_build(const chunk_ref *ref, const slc_chunk_source *source, slc_tree *previous,
                         slc_error *err)
{
    return build(ref, source, previous, 0, err);
}

/* ---- what is missing ---- */

struct wanted {
    const slc_chunk_source *source;
    void (*missing)(void *arg, const uint8_t *sha256);
    void *arg;
};

static bool find_missing(const struct wanted *wanted, const chunk_ref *ref, const slc_tree *previous,
                         unsigned depth, slc_error *err)
{
    slc_pieces *blocks = NULL;
    Sluice__Snapshot__V1__Index *index;
    bool ok = true;

    if (previous != NULL && memcmp(previous->sha256, ref->sha256.data, SLC_SHA256_BYTES) == 0)
        return true;
    if (!wanted->source->has(wanted->source->arg, ref->sha256.data)) {
        wanted->missing(wanted->arg, ref->sha256.data);
        return true;
    }
    if (ref->kind != KIND_INDEX)
        return true;
    if (depth > SLC_TREE_MAX_DEPTH)
        return slc_fail(err, SLC_INVALID, NULL, "indexes are nested more than %d deep", SLC_TREE_MAX_DEPTH);
    index = (Sluice__Snapshot__V1__Index *)load(ref, wanted->source, &blocks, err);
    if (index == NULL)
        return false;
    ok = check_index(index, ref->parts_kind, err);
    for (size_t i = 0; ok && i < index->n_parts; i++) {
        const chunk_ref *part = index->parts[i];

        ok =
            find_missing(wanted, part, previous != NULL ? previous->parts[part->bucket] : NULL, depth + 1, err);
    }
    slc_pieces_free(blocks);
    return ok;
}

bool slc_tree_missing(const chunk_ref *ref, const slc_chunk_source *source, const slc_tree *previous,
                      void (*missing)(void *arg, const uint8_t *sha256), void *arg, slc_error *err)
{
    const struct wanted wanted = {source, missing, arg};

    return find_missing(&wanted, ref, previous, 0, err);
}

/* ---- walking ---- */

bool slc_tree_each(const slc_tree *tree, bool (*fn)(void *arg, slc_tree *leaf), void *arg)
{
    if (tree == NULL)
        return true;
    if (tree->msg != NULL)
        return fn(arg, (slc_tree *)tree);
    for (unsigned i = 0; i < SLC_TREE_PARTS; i++)
        if (!slc_tree_each(tree->parts[i], fn, arg))
            return false;
    return true;
}

const slc_tree *slc_tree_leaf(const slc_tree *tree, const uint8_t hash[SLC_SHA256_BYTES], unsigned first_nibble)
{
    for (unsigned n = first_nibble; tree != NULL && tree->msg == NULL; n++)
        tree = tree->parts[slc_hash_nibble(hash, n)];
    return tree;
}
