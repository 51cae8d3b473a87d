/* One compilation from start to end, and what comes out of it. */
#include "catalog/compile.h"

#include <stdlib.h>
#include <string.h>

#include "catalog/compile_private.h"
#include "common/alloc.h"
#include "common/assert.h"

#define COMPILED_MAGIC 0x51cc0318u

struct slc_compiled {
    unsigned magic;
    unsigned refs;
    char *group_id;
    uint64_t version;
    int64_t expires_ms;
    uint8_t *manifest;
    size_t manifest_len;
    uint8_t digest[SLC_SHA256_BYTES];
    slc_chunk **chunks; /* by address */
    size_t chunk_count;
};

static void release_compile(slc_compile *compile);
static slc_compiled *finish(slc_compile *compile, slc_compiled *previous);

static void init_sets(slc_compile *compile)
{
    json_t **sets[] = {&compile->event_apis, &compile->vclusters, &compile->backends, &compile->listeners,
                       &compile->plans};
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++)
        *sets[i] = json_object();
}

slc_compiled *slc_compile_group(slc_txn *txn, const char *group_id, slc_compiled *previous, slc_error *err)
{
    slc_compile compile = {.txn = txn,
                           .now_ms = slc_txn_now_ms(txn),
                           .group_id = group_id,
                           .environment = "",
                           .previous = previous};
    slc_compiled *compiled = NULL;
    init_sets(&compile);
    if (slc_compile_configuration(&compile, err) && slc_compile_identities(&compile, err))
        compiled = finish(&compile, previous);
    release_compile(&compile);
    return compiled;
}

static void release_compile(slc_compile *compile)
{
    for (size_t i = 0; i < compile->chunk_count; i++)
        slc_chunk_unref(compile->chunks[i]);
    for (size_t i = 0; i < compile->arena_count; i++)
        free(compile->arena[i]);
    free(compile->chunks);
    free(compile->refs);
    free(compile->arena);
    json_decref(compile->event_apis);
    json_decref(compile->vclusters);
    json_decref(compile->backends);
    json_decref(compile->listeners);
    json_decref(compile->plans);
}

/* ---- the manifest ---- */

static int leaf_kind(const Sluice__Snapshot__V1__ChunkRef *ref)
{
    return ref->kind == SLUICE__SNAPSHOT__V1__CHUNK_KIND__CHUNK_KIND_INDEX ? (int)ref->parts_kind
                                                                           : (int)ref->kind;
}

static int compare_refs(const void *a, const void *b)
{
    const Sluice__Snapshot__V1__ChunkRef *x = *(Sluice__Snapshot__V1__ChunkRef *const *)a;
    const Sluice__Snapshot__V1__ChunkRef *y = *(Sluice__Snapshot__V1__ChunkRef *const *)b;
    if (leaf_kind(x) != leaf_kind(y))
        return leaf_kind(x) < leaf_kind(y) ? -1 : 1;
    return x->bucket < y->bucket ? -1 : x->bucket > y->bucket;
}

static int compare_chunks(const void *a, const void *b)
{
    return memcmp((*(slc_chunk *const *)a)->sha256, (*(slc_chunk *const *)b)->sha256, SLC_SHA256_BYTES);
}

static uint8_t *pack_manifest(slc_compile *compile, uint64_t version, size_t *len)
{
    Sluice__Snapshot__V1__Manifest manifest = SLUICE__SNAPSHOT__V1__MANIFEST__INIT;
    manifest.version = version;
    manifest.group = (char *)compile->group_id;
    manifest.n_chunks = compile->ref_count;
    manifest.chunks = compile->refs;
    *len = sluice__snapshot__v1__manifest__get_packed_size(&manifest);
    uint8_t *data = slc_malloc(*len + 1);
    sluice__snapshot__v1__manifest__pack(&manifest, data);
    return data;
}

/* Chunks that occur twice (two equal buckets cannot, but equal indexes of one item may) are kept once. */
static void take_chunks(slc_compile *compile, slc_compiled *compiled)
{
    compiled->chunks = slc_calloc(compile->chunk_count + 1, sizeof *compiled->chunks);
    qsort(compile->chunks, compile->chunk_count, sizeof *compile->chunks, compare_chunks);
    for (size_t i = 0; i < compile->chunk_count; i++) {
        if (i > 0 && compare_chunks(&compile->chunks[i - 1], &compile->chunks[i]) == 0)
            continue;
        __atomic_add_fetch(&compile->chunks[i]->refs, 1, __ATOMIC_RELAXED);
        compiled->chunks[compiled->chunk_count++] = compile->chunks[i];
    }
}

static slc_compiled *make(slc_compile *compile, uint64_t version)
{
    slc_compiled *compiled = slc_calloc(1, sizeof *compiled);
    compiled->magic = COMPILED_MAGIC;
    compiled->refs = 1;
    compiled->group_id = slc_strdup(compile->group_id);
    compiled->version = version;
    compiled->expires_ms = compile->expires_ms;
    compiled->manifest = pack_manifest(compile, version, &compiled->manifest_len);
    slc_sha256(compiled->manifest, compiled->manifest_len, compiled->digest);
    take_chunks(compile, compiled);
    return compiled;
}

/* The last version's number, when the last version says the same: a restart or a change elsewhere makes no new
 * one. */
static uint64_t unchanged_version(slc_compile *compile, const slc_compiled *previous)
{
    uint64_t version = 0;
    size_t len = 0;
    slc_error err = {0};
    if (previous != NULL) {
        uint8_t *same = pack_manifest(compile, previous->version, &len);
        if (len == previous->manifest_len && memcmp(same, previous->manifest, len) == 0)
            version = previous->version;
        free(same);
        return version;
    }
    sqlite3_stmt *stmt = slc_txn_query(
        compile->txn, &err,
        "SELECT version, manifest FROM config_versions WHERE \"group\" = ? ORDER BY seq DESC LIMIT 1", "s",
        compile->group_id);
    if (stmt != NULL && slc_txn_step(compile->txn, stmt, &err) == 1) {
        uint64_t last = (uint64_t)sqlite3_column_int64(stmt, 0);
        uint8_t *same = pack_manifest(compile, last, &len);
        if ((size_t)sqlite3_column_bytes(stmt, 1) == len &&
            memcmp(same, sqlite3_column_blob(stmt, 1), len) == 0)
            version = last;
        free(same);
    }
    slc_txn_finish(compile->txn, stmt);
    return version;
}

static slc_compiled *finish(slc_compile *compile, slc_compiled *previous)
{
    qsort(compile->refs, compile->ref_count, sizeof *compile->refs, compare_refs);
    uint64_t version = unchanged_version(compile, previous);
    if (version != 0 && previous != NULL) {
        __atomic_store_n(&previous->expires_ms, compile->expires_ms, __ATOMIC_RELAXED);
        return slc_compiled_ref(previous);
    }
    return make(compile, version != 0 ? version : slc_catalog_revision(compile->txn));
}

/* ---- results ---- */

slc_compiled *slc_compiled_ref(slc_compiled *compiled)
{
    SLC_CHECK_MAGIC(compiled, COMPILED_MAGIC);
    __atomic_add_fetch(&compiled->refs, 1, __ATOMIC_RELAXED);
    return compiled;
}

void slc_compiled_unref(slc_compiled *compiled)
{
    if (compiled == NULL)
        return;
    SLC_CHECK_MAGIC(compiled, COMPILED_MAGIC);
    if (__atomic_sub_fetch(&compiled->refs, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    for (size_t i = 0; i < compiled->chunk_count; i++)
        slc_chunk_unref(compiled->chunks[i]);
    free(compiled->chunks);
    free(compiled->manifest);
    free(compiled->group_id);
    compiled->magic = 0;
    free(compiled);
}

uint64_t slc_compiled_version(const slc_compiled *compiled)
{
    return compiled->version;
}

const char *slc_compiled_group_id(const slc_compiled *compiled)
{
    return compiled->group_id;
}

const uint8_t *slc_compiled_manifest(const slc_compiled *compiled, size_t *len)
{
    *len = compiled->manifest_len;
    return compiled->manifest;
}

const uint8_t *slc_compiled_digest(const slc_compiled *compiled)
{
    return compiled->digest;
}

long slc_compiled_chunk_find(const slc_compiled *compiled, const uint8_t sha256[SLC_SHA256_BYTES])
{
    size_t low = 0, high = compiled->chunk_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = memcmp(compiled->chunks[middle]->sha256, sha256, SLC_SHA256_BYTES);
        if (order == 0)
            return (long)middle;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return -1;
}

slc_chunk *slc_compiled_find(const slc_compiled *compiled, const uint8_t sha256[SLC_SHA256_BYTES])
{
    long index = slc_compiled_chunk_find(compiled, sha256);
    return index < 0 ? NULL : compiled->chunks[index];
}

const uint8_t *slc_compiled_chunk(const slc_compiled *compiled, size_t index, size_t *len,
                                  const uint8_t **sha256)
{
    const slc_chunk *chunk = compiled->chunks[index];
    *len = chunk->len;
    *sha256 = chunk->sha256;
    return chunk->data;
}

size_t slc_compiled_chunk_count(const slc_compiled *compiled)
{
    return compiled->chunk_count;
}

int64_t slc_compiled_expires_ms(const slc_compiled *compiled)
{
    return __atomic_load_n(&compiled->expires_ms, __ATOMIC_RELAXED);
}

/* ---- groups and versions ---- */

json_t *slc_compile_groups(slc_txn *txn, slc_error *err)
{
    json_t *ids = json_array();
    int row = 0;
    sqlite3_stmt *stmt = slc_txn_prepare(txn, "SELECT id FROM gateway_groups ORDER BY id", err);
    while (stmt != NULL && (row = slc_txn_step(txn, stmt, err)) == 1)
        json_array_append_new(ids, json_string(slc_column_text(stmt, 0)));
    slc_txn_finish(txn, stmt);
    if (stmt != NULL && row == 0)
        return ids;
    json_decref(ids);
    return NULL;
}

bool slc_compile_remember(slc_txn *txn, const slc_compiled *compiled, const char *actor_json,
                          const char *reason, int64_t keep, slc_error *err)
{
    char digest[2 * SLC_SHA256_BYTES + 1];
    slc_hex_encode(compiled->digest, SLC_SHA256_BYTES, digest);
    return slc_txn_exec(
               txn, err,
               "INSERT OR IGNORE INTO config_versions (\"group\", version, created_at, actor, reason, digest, "
               "manifest) SELECT id, ?2, ?3, coalesce(?4, (SELECT actor FROM audit_events WHERE revision <= ?2 "
               "ORDER BY seq DESC LIMIT 1)), coalesce(?5, (SELECT action || ' ' || kind || '/' || ref FROM "
               "audit_events WHERE revision <= ?2 ORDER BY seq DESC LIMIT 1)), ?6, ?7 FROM gateway_groups "
               "WHERE "
               "id = ?1",
               "siisssb", compiled->group_id, (int64_t)compiled->version, slc_txn_now_ms(txn), actor_json,
               reason, digest, (const void *)compiled->manifest, compiled->manifest_len) &&
           slc_txn_exec(
               txn, err,
               "DELETE FROM config_versions WHERE \"group\" = ?1 AND seq <= "
               "(SELECT seq FROM config_versions WHERE \"group\" = ?1 ORDER BY seq DESC LIMIT 1 OFFSET ?2)",
               "si", compiled->group_id, keep);
}
