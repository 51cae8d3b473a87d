/* From items to chunks: packing, splitting, addressing. */
#include <stdlib.h>
#include <string.h>

#include "catalog/compile_private.h"
#include "common/alloc.h"

#define KIND_CONFIGURATION SLUICE__SNAPSHOT__V1__CHUNK_KIND__CHUNK_KIND_CONFIGURATION
#define KIND_CREDENTIALS   SLUICE__SNAPSHOT__V1__CHUNK_KIND__CHUNK_KIND_CREDENTIALS
#define KIND_INDEX         SLUICE__SNAPSHOT__V1__CHUNK_KIND__CHUNK_KIND_INDEX
#define PARTS              16
#define MAX_DEPTH          4

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
    *cap = *cap == 0 ? 64 : *cap * 2;
    return slc_realloc(array, *cap * item_size);
}

void *slc_compile_alloc(slc_compile *compile, size_t size_bytes)
{
    compile->arena = grow(compile->arena, compile->arena_count, &compile->arena_cap, sizeof *compile->arena);
    void *memory = slc_calloc(1, size_bytes);
    compile->arena[compile->arena_count++] = memory;
    return memory;
}

char *slc_compile_text(slc_compile *compile, const char *text)
{
    if (text == NULL || text[0] == '\0')
        return (char *)protobuf_c_empty_string;
    size_t len = strlen(text);
    return memcpy(slc_compile_alloc(compile, len + 1), text, len);
}

char *slc_compile_json_text(slc_compile *compile, const json_t *object, const char *field)
{
    return slc_compile_text(compile, json_string_value(json_object_get(object, field)));
}

ProtobufCBinaryData slc_compile_bytes(slc_compile *compile, const void *data, size_t len)
{
    ProtobufCBinaryData out = {.len = len};
    if (len > 0)
        out.data = memcpy(slc_compile_alloc(compile, len), data, len);
    return out;
}

char **slc_compile_texts(slc_compile *compile, const json_t *array, size_t *count)
{
    *count = json_array_size(array);
    char **texts = slc_compile_alloc(compile, (*count + 1) * sizeof *texts);
    for (size_t i = 0; i < *count; i++)
        texts[i] = slc_compile_text(compile, json_string_value(json_array_get(array, i)));
    return texts;
}

void slc_compile_note_expiry(slc_compile *compile, int64_t expires_ms)
{
    if (expires_ms > 0 && (compile->expires_ms == 0 || expires_ms < compile->expires_ms))
        compile->expires_ms = expires_ms;
}

void slc_items_add(slc_items *items, ProtobufCMessage *message, const char *key)
{
    items->items = grow(items->items, items->count, &items->cap, sizeof *items->items);
    slc_item *item = &items->items[items->count++];
    item->message = message;
    item->key = key;
    slc_sha256(key, strlen(key), item->hash);
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
    }
#undef LIST
}

static size_t pack_leaf(const struct place *place, const slc_item *items, size_t count, uint8_t **data)
{
    size_t len;
    ProtobufCMessage **messages = slc_calloc(count, sizeof *messages);
    for (size_t i = 0; i < count; i++)
        messages[i] = items[i].message;
    if (place->kind == KIND_CONFIGURATION) {
        Sluice__Snapshot__V1__Configuration chunk = SLUICE__SNAPSHOT__V1__CONFIGURATION__INIT;
        set_section(&chunk, place->section, messages, count);
        len = pack(&chunk.base, data);
    } else if (place->kind == KIND_CREDENTIALS) {
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

void slc_chunk_unref(slc_chunk *chunk)
{
    if (__atomic_sub_fetch(&chunk->refs, 1, __ATOMIC_ACQ_REL) == 0)
        slc_free_secret(chunk, sizeof *chunk + chunk->len);
}

/* Keeps the content, or the previous version's copy of it. */
static Sluice__Snapshot__V1__ChunkRef *add_chunk(slc_compile *compile, Sluice__Snapshot__V1__ChunkKind kind,
                                                 uint8_t *data, size_t len)
{
    uint8_t sha256[SLC_SHA256_BYTES];
    slc_sha256(data, len, sha256);
    slc_chunk *chunk = compile->previous != NULL ? slc_compiled_find(compile->previous, sha256) : NULL;
    if (chunk != NULL) {
        __atomic_add_fetch(&chunk->refs, 1, __ATOMIC_RELAXED);
    } else {
        chunk = slc_malloc(sizeof *chunk + len);
        chunk->refs = 1;
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
                slc_items_add(&share, items->items[i].message, items->items[i].key);
        if (share.count > 0) {
            parts[index.n_parts] = emit_tree(compile, below, &share);
            parts[index.n_parts++]->bucket = part;
        }
        slc_items_release(&share);
    }
    size_t len = pack(&index.base, &data);
    Sluice__Snapshot__V1__ChunkRef *ref = add_chunk(compile, KIND_INDEX, data, len);
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

void slc_compile_emit(slc_compile *compile, Sluice__Snapshot__V1__ChunkKind kind, unsigned bucket,
                      slc_items *items)
{
    bool section = kind == KIND_CONFIGURATION;
    struct place place = {.kind = kind, .section = section ? bucket : 0, .nibble = section ? 0 : 2};
    if (items->count == 0)
        return;
    Sluice__Snapshot__V1__ChunkRef *ref = emit_tree(compile, place, items);
    ref->bucket = bucket;
    compile->refs = grow(compile->refs, compile->ref_count, &compile->ref_cap, sizeof *compile->refs);
    compile->refs[compile->ref_count++] = ref;
}
