/* What the files of the compiler share. */
#ifndef SLC_CATALOG_COMPILE_PRIVATE_H
#define SLC_CATALOG_COMPILE_PRIVATE_H

#include "catalog/compile.h"
#include "catalog/read.h"
#include "sluice/snapshot.pb-c.h"

#define SLC_COMPILE_BUCKETS 256

typedef struct slc_chunk {
    uint8_t sha256[SLC_SHA256_BYTES];
    unsigned refs;
    size_t len;
    uint8_t data[];
} slc_chunk;

/* An item of a chunk: one entity, credential or application. */
typedef struct slc_item {
    ProtobufCMessage *message;
    const char *key;                /* what items of a leaf are sorted by */
    uint8_t hash[SLC_SHA256_BYTES]; /* of the key: where it goes */
} slc_item;

typedef struct slc_items {
    slc_item *items;
    size_t count, cap;
} slc_items;

/* One compilation: everything that messages point at lives in its arena until the end. */
typedef struct slc_compile {
    slc_txn *txn;
    int64_t now_ms;
    int64_t expires_ms;
    const slc_compiled *previous;

    void **arena;
    size_t arena_count, arena_cap;

    /* The group. */
    const char *group_id;
    const char *group_name;
    const char *environment;

    /* Ids of what is in the snapshot, so that nothing else is: JSON objects as sets. */
    json_t *event_apis, *vclusters, *backends, *listeners, *plans;

    /* The result. */
    slc_chunk **chunks;
    size_t chunk_count, chunk_cap;
    Sluice__Snapshot__V1__ChunkRef **refs;
    size_t ref_count, ref_cap;
} slc_compile;

/* ---- compile_chunks.c ---- */
void *slc_compile_alloc(slc_compile *compile, size_t size_bytes); /* zeroed; lives as long as the compilation */
char *slc_compile_text(slc_compile *compile, const char *text);   /* NULL gives "" */
char *slc_compile_json_text(slc_compile *compile, const json_t *object, const char *field);
ProtobufCBinaryData slc_compile_bytes(slc_compile *compile, const void *data, size_t len);
/* An array of strings as protobuf-c wants it; NULL is empty. */
char **slc_compile_texts(slc_compile *compile, const json_t *array, size_t *count);
void slc_items_add(slc_items *items, ProtobufCMessage *message, const char *key);
void slc_items_release(slc_items *items);
/* Adds the items as one section or bucket: a chunk, or a tree of them. Empty ones are left out. */
void slc_compile_emit(slc_compile *compile, Sluice__Snapshot__V1__ChunkKind kind, unsigned bucket,
                      slc_items *items);
void slc_compile_note_expiry(slc_compile *compile, int64_t expires_ms);
void slc_chunk_unref(slc_chunk *chunk);

/* ---- compile_config.c: the sections ---- */
bool slc_compile_configuration(slc_compile *compile, slc_error *err) SLC_CHECKED;
size_t slc_compile_operations(slc_compile *compile, sqlite3_stmt *stmt, int column,
                              Sluice__Snapshot__V1__Operation **out);
/* ---- compile_policies.c ---- */
bool slc_compile_plans(slc_compile *compile, slc_error *err) SLC_CHECKED;
bool slc_compile_policies(slc_compile *compile, slc_error *err) SLC_CHECKED;
/* ---- compile_identity.c: applications and credentials ---- */
bool slc_compile_identities(slc_compile *compile, slc_error *err) SLC_CHECKED;

/* ---- compile.c ---- */
slc_chunk *slc_compiled_find(const slc_compiled *compiled, const uint8_t sha256[SLC_SHA256_BYTES]);

static inline void slc_set_add(json_t *set, const char *id)
{
    json_object_set_new(set, id, json_true());
}

static inline bool slc_set_has(const json_t *set, const char *id)
{
    return id != NULL && json_object_get(set, id) != NULL;
}

#endif
