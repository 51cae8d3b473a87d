/* What the files of the compiler share. */
#ifndef SLC_CATALOG_COMPILE_PRIVATE_H
#define SLC_CATALOG_COMPILE_PRIVATE_H

#include "catalog/compile.h"
#include "catalog/read.h"
#include "sluice/snapshot.pb-c.h"

#define SLC_COMPILE_BUCKETS  256
#define SLC_COMPILE_SECTIONS 11

#define SLC_CHUNKS_CONFIGURATION SLUICE__SNAPSHOT__V1__CHUNK_KIND__CHUNK_KIND_CONFIGURATION
#define SLC_CHUNKS_CREDENTIALS   SLUICE__SNAPSHOT__V1__CHUNK_KIND__CHUNK_KIND_CREDENTIALS
#define SLC_CHUNKS_APPLICATIONS  SLUICE__SNAPSHOT__V1__CHUNK_KIND__CHUNK_KIND_APPLICATIONS
#define SLC_CHUNKS_INDEX         SLUICE__SNAPSHOT__V1__CHUNK_KIND__CHUNK_KIND_INDEX

typedef struct slc_chunk {
    uint8_t sha256[SLC_SHA256_BYTES];
    unsigned refs;
    bool leaf; /* else an index */
    size_t len;
    uint8_t data[];
} slc_chunk;

/* All chunks of one section or bucket: a leaf, or an index after its parts. Immutable; shared between versions
 * and groups. */
typedef struct slc_root {
    unsigned refs;
    int64_t expires_ms; /* the earliest expiry in it; 0: never */
    size_t count;
    slc_chunk *chunks[]; /* the last one is what the manifest names */
} slc_root;

/* The roots of a result; NULL: empty. */
typedef struct slc_roots {
    slc_root *sections[SLC_COMPILE_SECTIONS];
    slc_root *credentials[SLC_COMPILE_BUCKETS];
    slc_root *applications[SLC_COMPILE_BUCKETS];
} slc_roots;

/* When a result is true: what a later compilation starts from. */
typedef struct slc_as_of {
    bool known;  /* false: not a base */
    int64_t seq; /* of the audit trail */
    uint64_t revision;
    int64_t now_ms;
} slc_as_of;

struct slc_compiled {
    unsigned magic;
    unsigned refs;
    char *group_id;
    uint64_t version;
    int64_t expires_ms;
    uint8_t *manifest;
    size_t manifest_len;
    uint8_t digest[SLC_SHA256_BYTES];
    slc_roots roots;
    slc_chunk **chunks; /* of all roots, by address; borrowed from them */
    size_t chunk_count;
    /* For the next compilation; only one at a time may start from a result. */
    slc_as_of as_of;
    char *environment;
    json_t *plans;
    size_t rows; /* read by the last compilation that had this result */
};

/* An item of a chunk: one entity, credential or application. */
typedef struct slc_item {
    ProtobufCMessage *message;
    const char *key;                /* what items of a leaf are sorted by */
    uint8_t hash[SLC_SHA256_BYTES]; /* of the key: where it goes */
} slc_item;

typedef struct slc_items {
    slc_item *items;
    size_t count, cap;
    int64_t expires_ms; /* the earliest; 0: never */
} slc_items;

typedef struct slc_arena {
    void **blocks;
    size_t *sizes;
    size_t count, cap;
    size_t used; /* of the last block */
} slc_arena;

/* One compilation: everything that messages point at lives in its arena until the end. */
typedef struct slc_compile {
    slc_txn *txn;
    int64_t now_ms;
    slc_as_of as_of;
    slc_compiled *previous; /* the group's last result */
    slc_compiled *sibling;  /* another group's */
    slc_arena arena;
    size_t rows; /* of subscriptions and credentials that were read */

    /* The group. */
    const char *group_id;
    const char *group_name;
    const char *environment;

    /* Ids of what is in the snapshot, so that nothing else is: JSON objects as sets. */
    json_t *event_apis, *vclusters, *backends, *listeners, *plans;
    json_t *key_rings, *registries; /* by name */

    /* The chunks of the root that is being made: own references. */
    slc_chunk **chunks;
    size_t chunk_count, chunk_cap;

    slc_roots roots; /* the result: own references */
} slc_compile;

/* ---- compile_arena.c ---- */
void *slc_compile_alloc(slc_compile *compile, size_t size_bytes); /* zeroed; lives as long as the compilation */
char *slc_compile_text(slc_compile *compile, const char *text);   /* NULL gives "" */
char *slc_compile_json_text(slc_compile *compile, const json_t *object, const char *field);
ProtobufCBinaryData slc_compile_bytes(slc_compile *compile, const void *data, size_t len);
/* An array of strings as protobuf-c wants it; NULL is empty. */
char **slc_compile_texts(slc_compile *compile, const json_t *array, size_t *count);
/* Unpacks into the arena; NULL when the bytes are not such a message. */
ProtobufCMessage *slc_compile_unpack(slc_compile *compile, const ProtobufCMessageDescriptor *descriptor,
                                     const uint8_t *data, size_t len);
void slc_arena_release(slc_arena *arena);

/* ---- compile_chunks.c ---- */
void slc_items_add(slc_items *items, ProtobufCMessage *message, const char *key);
/* The same for a hash that is known. */
void slc_items_add_hashed(slc_items *items, ProtobufCMessage *message, const char *key,
                          const uint8_t hash[SLC_SHA256_BYTES]);
void slc_items_note_expiry(slc_items *items, int64_t expires_ms); /* 0: never */
void slc_items_release(slc_items *items);
/* The items as one section or bucket: a chunk, or a tree of them. NULL when there are none. */
slc_root *slc_compile_root(slc_compile *compile, Sluice__Snapshot__V1__ChunkKind kind, unsigned section,
                           slc_items *items);
/* Makes it the section. The items are released. */
void slc_compile_section(slc_compile *compile, Sluice__Snapshot__V1__Section section, slc_items *items);
slc_root *slc_root_ref(slc_root *root); /* NULL is fine, here and below */
void slc_root_unref(slc_root *root);
bool slc_root_equal(const slc_root *a, const slc_root *b);
/* An earlier root with the same content instead of the new one, which is released then. */
slc_root *slc_root_share(slc_root *root, slc_root *earlier);
void slc_roots_release(slc_roots *roots);

/* ---- compile_config.c: the sections ---- */
bool slc_compile_configuration(slc_compile *compile, slc_error *err) SLC_CHECKED;
size_t slc_compile_operations(slc_compile *compile, sqlite3_stmt *stmt, int column,
                              Sluice__Snapshot__V1__Operation **out);
/* A stored secret as gateways get it: unsealed, or the reference that only they resolve. NULL when there is
 * none. */
bool slc_compile_secret(slc_compile *compile, const char *kind, const char *id, const char *path,
                        const json_t *stored, Sluice__Snapshot__V1__Secret **out, slc_error *err) SLC_CHECKED;
/* ---- compile_key_rings.c: those that the policies which are in the snapshot name ---- */
bool slc_compile_key_rings(slc_compile *compile, slc_error *err) SLC_CHECKED;
/* ---- compile_schemas.c ---- */
/* The schema of an event API, `stored` as its row has it, if some policy checks by those of event APIs. */
bool slc_compile_schema(slc_compile *compile, const json_t *stored, Sluice__Snapshot__V1__EventApi *api,
                        slc_error *err) SLC_CHECKED;
/* The registries that policies and schemas which are in the snapshot name. */
bool slc_compile_registries(slc_compile *compile, slc_error *err) SLC_CHECKED;
/* ---- compile_documents.c ---- */
/* Fills the documents of an event API that is filled otherwise. */
bool slc_compile_documents(slc_compile *compile, Sluice__Snapshot__V1__EventApi *api,
                           slc_error *err) SLC_CHECKED;
/* ---- compile_issuers.c ---- */
bool slc_compile_issuers(slc_compile *compile, slc_error *err) SLC_CHECKED;
/* ---- compile_policies.c ---- */
bool slc_compile_plans(slc_compile *compile, slc_error *err) SLC_CHECKED;
bool slc_compile_policies(slc_compile *compile, slc_error *err) SLC_CHECKED;

/* ---- compile_identity.c: applications and credentials, from their rows ---- */
bool slc_compile_identities(slc_compile *compile, slc_error *err) SLC_CHECKED;
/* Adds the application as the group knows it, or nothing when it has no live subscription here. */
bool slc_compile_application(slc_compile *compile, const char *id, slc_items *buckets,
                             slc_error *err) SLC_CHECKED;
/* Adds the credential, or nothing when it is not live. */
bool slc_compile_credential(slc_compile *compile, const char *id, slc_items *buckets,
                            slc_error *err) SLC_CHECKED;

/* ---- compile_delta.c: what has changed since ---- */
typedef struct slc_delta {
    bool usable;          /* false: everything must be read */
    json_t *applications; /* ids, as sets */
    json_t *credentials;
    json_t *subscriptions;
    json_t *teams;
} slc_delta;

/* Where the transaction stands. */
bool slc_as_of_read(slc_txn *txn, slc_as_of *as_of, slc_error *err) SLC_CHECKED;
bool slc_delta_read(const slc_compile *compile, const slc_as_of *since, slc_delta *delta,
                    slc_error *err) SLC_CHECKED;
void slc_delta_release(slc_delta *delta);
/* Adds to delta->applications those that the other changes concern, `before` being the plans of the base. */
bool slc_delta_follow(const slc_compile *compile, const json_t *before, slc_delta *delta,
                      slc_error *err) SLC_CHECKED;

/* ---- compile_buckets.c: buckets from those of an earlier result ---- */
bool slc_compile_changed_applications(slc_compile *compile, const slc_compiled *base, const slc_delta *delta,
                                      slc_error *err) SLC_CHECKED;
bool slc_compile_changed_credentials(slc_compile *compile, const slc_compiled *base, const slc_delta *delta,
                                     slc_error *err) SLC_CHECKED;

/* ---- compile_result.c ---- */
/* Moves the roots out of the compilation. */
slc_compiled *slc_compiled_new(slc_compile *compile, uint64_t version);
/* It is what this compilation found, too. */
void slc_compiled_confirm(slc_compiled *compiled, const slc_compile *compile);
/* The manifest that these roots would have as that version: new memory. */
uint8_t *slc_roots_manifest(const slc_roots *roots, const char *group_id, uint64_t version, size_t *len);
slc_chunk *slc_compiled_find(const slc_compiled *compiled, const uint8_t sha256[SLC_SHA256_BYTES]);

static inline void slc_set_add(json_t *set, const char *id)
{
    json_object_set_new(set, id, json_true());
}

static inline bool slc_set_has(const json_t *set, const char *id)
{
    return id != NULL && json_object_get(set, id) != NULL;
}

static inline int64_t slc_earlier_ms(int64_t a, int64_t b) /* 0: never */
{
    return a == 0 || (b != 0 && b < a) ? b : a;
}

#endif
