/* From items to chunks: packing, splitting, addressing. */
#include <stdlib.h>
#include <string.h>

#include "catalog/compile_private.h"
#include "common/alloc.h"

#define PARTS     16
#define MAX_DEPTH 4

/* A place in a tree: what the chunks are and how many hash bits led here. */
struct place {
    Sluice__Snapshot__V1__ChunkKind kind;
    unsigned section; /* of configuration */
    unsigned nibble;  /* the next one to split by */
    unsigned depth;
};

static void *grow(void *array, size_t count, size_t *cap, size_t item_size)
{
    if (count < *cap)
        return array;
    *cap = *cap == 0 ? 16 : *cap * 2;
    return slc_realloc(array, *cap * item_size);
}

void slc_items_add_hashed(slc_items *items, ProtobufCMessage *message, const char *key,
                          const uint8_t hash[SLC_SHA256_BYTES])
{
    items->items = grow(items->items, items->count, &items->cap, sizeof *items->items);
    slc_item *item = &items->items[items->count++];
    item->message = message;
    item->key = key;
    memcpy(item->hash, hash, SLC_SHA256_BYTES);
}

void slc_items_add(slc_items *items, ProtobufCMessage *message, const char *key)
{
    uint8_t hash[SLC_SHA256_BYTES];
    slc_sha256(key, strlen(key), hash);
    slc_items_add_hashed(items, message, key, hash);
}

void slc_items_note_expiry(slc_items *items, int64_t expires_ms)
{
    items->expires_ms = slc_earlier_ms(items->expires_ms, expires_ms);
}

void slc_items_release(slc_items *items)
{
    free(items->items);
    memset(items, 0, sizeof *items);
}

static int compare_items(const void *a, const void *b)
{
    return strcmp(((const slc_item *)a)->key, ((const slc_item *)b)->key);
}

/* ---- leaves ---- */

static size_t pack(const ProtobufCMessage *message, uint8_t **data)
{
    size_t len = protobuf_c_message_get_packed_size(message);
    *data = slc_malloc(len + 1);
    return protobuf_c_message_pack(message, *data);
}

static void set_section(Sluice__Snapshot__V1__Configuration *chunk, unsigned section,
                        ProtobufCMessage **messages, size_t count)
{
#define LIST(number, member, type)                                                                             \
    case number:                                                                                               \
        chunk->n_##member = count;                                                                             \
        chunk->member = (type **)messages;                                                                     \
        break
    switch (section) {
    case SLUICE__SNAPSHOT__V1__SECTION__SECTION_GROUP:
        chunk->group = (Sluice__Snapshot__V1__Group *)messages[0];
        break;
        LIST(SLUICE__SNAPSHOT__V1__SECTION__SECTION_BACKENDS, backends, Sluice__Snapshot__V1__Backend);
        LIST(SLUICE__SNAPSHOT__V1__SECTION__SECTION_VIRTUAL_CLUSTERS, virtual_clusters,
             Sluice__Snapshot__V1__VirtualCluster);
        LIST(SLUICE__SNAPSHOT__V1__SECTION__SECTION_LISTENERS, listeners, Sluice__Snapshot__V1__Listener);
        LIST(SLUICE__SNAPSHOT__V1__SECTION__SECTION_EVENT_APIS, event_apis, Sluice__Snapshot__V1__EventApi);
        LIST(SLUICE__SNAPSHOT__V1__SECTION__SECTION_PLANS, plans, Sluice__Snapshot__V1__Plan);
        LIST(SLUICE__SNAPSHOT__V1__SECTION__SECTION_POLICIES, policies, Sluice__Snapshot__V1__Policy);
        LIST(SLUICE__SNAPSHOT__V1__SECTION__SECTION_ISSUERS, issuers, Sluice__Snapshot__V1__Issuer);
        LIST(SLUICE__SNAPSHOT__V1__SECTION__SECTION_KEY_RINGS, key_rings, Sluice__Snapshot__V1__KeyRing);
        LIST(SLUICE__SNAPSHOT__V1__SECTION__SECTION_SCHEMA_REGISTRIES, schema_registries,
             Sluice__Snapshot__V1__SchemaRegistry);
    }
#undef LIST
}

static size_t pack_leaf(const struct place *place, const slc_item *items, size_t count, uint8_t **data)
{
    size_t len;
    ProtobufCMessage **messages = slc_calloc(count, sizeof *messages);
    for (size_t i = 0; i < count; i++)
        messages[i] = items[i].message;
    if (place->kind == SLC_CHUNKS_CONFIGURATION) {
        Sluice__Snapshot__V1__Configuration chunk = SLUICE__SNAPSHOT__V1__CONFIGURATION__INIT;
        set_section(&chunk, place->section, messages, count);
        len = pack(&chunk.base, data);
    } else if (place->kind == SLC_CHUNKS_CREDENTIALS) {
        Sluice__Snapshot__V1__CredentialBucket chunk = SLUICE__SNAPSHOT__V1__CREDENTIAL_BUCKET__INIT;
        chunk.n_credentials = count;
        chunk.credentials = (Sluice__Snapshot__V1__Credential **)messages;
        len = pack(&chunk.base, data);
    } else {
        Sluice__Snapshot__V1__ApplicationBucket chunk = SLUICE__SNAPSHOT__V1__APPLICATION_BUCKET__INIT;
        chunk.n_applications = count;
        chunk.applications = (Sluice__Snapshot__V1__Application **)messages;
        len = pack(&chunk.base, data);
    }
    free(messages);
    return len;
}

/* ---- chunks ---- */

static void unref_chunk(slc_chunk *chunk)
{
    if (__atomic_sub_fetch(&chunk->refs, 1, __ATOMIC_ACQ_REL) == 0)
        slc_free_secret(chunk, sizeof *chunk + chunk->len);
}

static slc_chunk *find_chunk(const slc_compile *compile, const uint8_t sha256[SLC_SHA256_BYTES])
{
    slc_chunk *chunk = compile->previous != NULL ? slc_compiled_find(compile->previous, sha256) : NULL;
    if (chunk == NULL && compile->sibling != NULL)
        chunk = slc_compiled_find(compile->sibling, sha256);
    if (chunk != NULL)
        __atomic_add_fetch(&chunk->refs, 1, __ATOMIC_RELAXED);
    return chunk;
}

/* Keeps the content, or an earlier result's copy of it. */
static Sluice__Snapshot__V1__ChunkRef *add_chunk(slc_compile *compile, Sluice__Snapshot__V1__ChunkKind kind,
                                                 uint8_t *data, size_t len)
{
    uint8_t sha256[SLC_SHA256_BYTES];
    slc_sha256(data, len, sha256);
    slc_chunk *chunk = find_chunk(compile, sha256);
    if (chunk == NULL) {
        chunk = slc_malloc(sizeof *chunk + len);
        chunk->refs = 1;
        chunk->leaf = kind != SLC_CHUNKS_INDEX;
        chunk->len = len;
        memcpy(chunk->sha256, sha256, sizeof sha256);
        memcpy(chunk->data, data, len);
    }
    slc_free_secret(data, len);
    compile->chunks = grow(compile->chunks, compile->chunk_count, &compile->chunk_cap, sizeof *compile->chunks);
    compile->chunks[compile->chunk_count++] = chunk;
    Sluice__Snapshot__V1__ChunkRef *ref = slc_compile_alloc(compile, sizeof *ref);
    sluice__snapshot__v1__chunk_ref__init(ref);
    ref->kind = kind;
    ref->sha256 = slc_compile_bytes(compile, sha256, sizeof sha256);
    ref->size_bytes = (uint32_t)len;
    return ref;
}

static unsigned nibble_of(const slc_item *item, unsigned n)
{
    return n % 2 == 0 ? item->hash[n / 2] >> 4 : item->hash[n / 2] & 15u;
}

static Sluice__Snapshot__V1__ChunkRef *emit_tree(slc_compile *compile, struct place place, slc_items *items);

static Sluice__Snapshot__V1__ChunkRef *emit_index(slc_compile *compile, struct place place,
                                                  const slc_items *items)
{
    Sluice__Snapshot__V1__Index index = SLUICE__SNAPSHOT__V1__INDEX__INIT;
    Sluice__Snapshot__V1__ChunkRef *parts[PARTS];
    struct place below = place;
    uint8_t *data;
    below.nibble++;
    below.depth++;
    index.parts = parts;
    for (unsigned part = 0; part < PARTS; part++) {
        slc_items share = {0};
        for (size_t i = 0; i < items->count; i++)
            if (nibble_of(&items->items[i], place.nibble) == part)
                slc_items_add_hashed(&share, items->items[i].message, items->items[i].key,
                                     items->items[i].hash);
        if (share.count > 0) {
            parts[index.n_parts] = emit_tree(compile, below, &share);
            parts[index.n_parts++]->bucket = part;
        }
        slc_items_release(&share);
    }
    size_t len = pack(&index.base, &data);
    Sluice__Snapshot__V1__ChunkRef *ref = add_chunk(compile, SLC_CHUNKS_INDEX, data, len);
    ref->parts_kind = place.kind;
    return ref;
}

static Sluice__Snapshot__V1__ChunkRef *emit_tree(slc_compile *compile, struct place place, slc_items *items)
{
    uint8_t *data;
    qsort(items->items, items->count, sizeof *items->items, compare_items);
    size_t len = pack_leaf(&place, items->items, items->count, &data);
    if (len <= SLC_COMPILE_CHUNK_BYTES || items->count == 1 || place.depth + 1 >= MAX_DEPTH)
        return add_chunk(compile, place.kind, data, len);
    slc_free_secret(data, len);
    return emit_index(compile, place, items);
}

/* ---- roots ---- */

slc_root *slc_compile_root(slc_compile *compile, Sluice__Snapshot__V1__ChunkKind kind, unsigned section,
                           slc_items *items)
{
    bool sections = kind == SLC_CHUNKS_CONFIGURATION;
    struct place place = {.kind = kind, .section = section, .nibble = sections ? 0 : 2};
    if (items->count == 0)
        return NULL;
    compile->chunk_count = 0;
    emit_tree(compile, place, items);
    size_t list_bytes = compile->chunk_count * sizeof *compile->chunks;
    slc_root *root = slc_malloc(sizeof *root + list_bytes);
    root->refs = 1;
    root->expires_ms = items->expires_ms;
    root->count = compile->chunk_count;
    memcpy(root->chunks, compile->chunks, list_bytes);
    return root;
}

void slc_compile_section(slc_compile *compile, Sluice__Snapshot__V1__Section section, slc_items *items)
{
    slc_root *root = slc_compile_root(compile, SLC_CHUNKS_CONFIGURATION, section, items);
    slc_root *earlier = compile->previous != NULL ? compile->previous->roots.sections[section] : NULL;
    compile->roots.sections[section] = slc_root_share(root, earlier);
    slc_items_release(items);
}

slc_root *slc_root_ref(slc_root *root)
{
    if (root != NULL)
        __atomic_add_fetch(&root->refs, 1, __ATOMIC_RELAXED);
    return root;
}

void slc_root_unref(slc_root *root)
{
    if (root == NULL || __atomic_sub_fetch(&root->refs, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    for (size_t i = 0; i < root->count; i++)
        unref_chunk(root->chunks[i]);
    free(root);
}

bool slc_root_equal(const slc_root *a, const slc_root *b)
{
    if (a == b || a == NULL || b == NULL)
        return a == b;
    return memcmp(a->chunks[a->count - 1]->sha256, b->chunks[b->count - 1]->sha256, SLC_SHA256_BYTES) == 0;
}

slc_root *slc_root_share(slc_root *root, slc_root *earlier)
{
    if (root == NULL || root == earlier || !slc_root_equal(root, earlier))
        return root;
    slc_root_unref(root);
    return slc_root_ref(earlier);
}

void slc_roots_release(slc_roots *roots)
{
    for (unsigned i = 0; i < SLC_COMPILE_SECTIONS; i++)
        slc_root_unref(roots->sections[i]);
    for (unsigned i = 0; i < SLC_COMPILE_BUCKETS; i++) {
        slc_root_unref(roots->credentials[i]);
        slc_root_unref(roots->applications[i]);
    }
    memset(roots, 0, sizeof *roots);
}
