/* What comes out of a compilation: immutable but for what the next one starts from. */
#include <stdlib.h>
#include <string.h>

#include "catalog/compile_private.h"
#include "common/alloc.h"
#include "common/assert.h"

#define COMPILED_MAGIC 0x51cc0318u
#define MAX_ROOTS      (SLC_COMPILE_SECTIONS + 2 * SLC_COMPILE_BUCKETS)

/* ---- the manifest ---- */

static void set_ref(Sluice__Snapshot__V1__ChunkRef *ref, Sluice__Snapshot__V1__ChunkKind kind, unsigned bucket,
                    const slc_root *root)
{
    slc_chunk *top = root->chunks[root->count - 1];
    sluice__snapshot__v1__chunk_ref__init(ref);
    ref->kind = top->leaf ? kind : SLC_CHUNKS_INDEX;
    ref->parts_kind = top->leaf ? SLUICE__SNAPSHOT__V1__CHUNK_KIND__CHUNK_KIND_UNSPECIFIED : kind;
    ref->bucket = bucket;
    ref->sha256 = (ProtobufCBinaryData){SLC_SHA256_BYTES, top->sha256};
    ref->size_bytes = (uint32_t)top->len;
}

static void set_refs(Sluice__Snapshot__V1__ChunkRef *refs, size_t *count, Sluice__Snapshot__V1__ChunkKind kind,
                     slc_root *const *roots, unsigned root_count)
{
    for (unsigned i = 0; i < root_count; i++)
        if (roots[i] != NULL)
            set_ref(&refs[(*count)++], kind, i, roots[i]);
}

/* In the order of a manifest: kind, bucket. */
uint8_t *slc_roots_manifest(const slc_roots *roots, const char *group_id, uint64_t version, size_t *len)
{
    Sluice__Snapshot__V1__Manifest manifest = SLUICE__SNAPSHOT__V1__MANIFEST__INIT;
    Sluice__Snapshot__V1__ChunkRef refs[MAX_ROOTS], *list[MAX_ROOTS];
    set_refs(refs, &manifest.n_chunks, SLC_CHUNKS_CONFIGURATION, roots->sections, SLC_COMPILE_SECTIONS);
    set_refs(refs, &manifest.n_chunks, SLC_CHUNKS_CREDENTIALS, roots->credentials, SLC_COMPILE_BUCKETS);
    set_refs(refs, &manifest.n_chunks, SLC_CHUNKS_APPLICATIONS, roots->applications, SLC_COMPILE_BUCKETS);
    for (size_t i = 0; i < manifest.n_chunks; i++)
        list[i] = &refs[i];
    manifest.version = version;
    manifest.group = (char *)group_id;
    manifest.chunks = list;
    *len = sluice__snapshot__v1__manifest__get_packed_size(&manifest);
    uint8_t *data = slc_malloc(*len + 1);
    sluice__snapshot__v1__manifest__pack(&manifest, data);
    return data;
}

/* ---- the chunks ---- */

static int compare_chunks(const void *a, const void *b)
{
    return memcmp((*(slc_chunk *const *)a)->sha256, (*(slc_chunk *const *)b)->sha256, SLC_SHA256_BYTES);
}

static void list_chunks(slc_compiled *compiled, const slc_root *root)
{
    for (size_t i = 0; root != NULL && i < root->count; i++)
        compiled->chunks[compiled->chunk_count++] = root->chunks[i];
}

static size_t count_chunks(const slc_root *root)
{
    return root != NULL ? root->count : 0;
}

/* Chunks that occur twice (two equal buckets cannot, but equal indexes of one item may) are kept once. */
static void sort_chunks(slc_compiled *compiled)
{
    size_t kept = 0;
    qsort(compiled->chunks, compiled->chunk_count, sizeof *compiled->chunks, compare_chunks);
    for (size_t i = 0; i < compiled->chunk_count; i++)
        if (i == 0 || compare_chunks(&compiled->chunks[i - 1], &compiled->chunks[i]) != 0)
            compiled->chunks[kept++] = compiled->chunks[i];
    compiled->chunk_count = kept;
}

static void take_chunks(slc_compiled *compiled)
{
    slc_roots *roots = &compiled->roots;
    size_t count = 1;
    for (unsigned i = 0; i < SLC_COMPILE_SECTIONS; i++)
        count += count_chunks(roots->sections[i]);
    for (unsigned i = 0; i < SLC_COMPILE_BUCKETS; i++)
        count += count_chunks(roots->credentials[i]) + count_chunks(roots->applications[i]);
    compiled->chunks = slc_calloc(count, sizeof *compiled->chunks);
    for (unsigned i = 0; i < SLC_COMPILE_SECTIONS; i++)
        list_chunks(compiled, roots->sections[i]);
    for (unsigned i = 0; i < SLC_COMPILE_BUCKETS; i++) {
        list_chunks(compiled, roots->credentials[i]);
        list_chunks(compiled, roots->applications[i]);
    }
    sort_chunks(compiled);
}

static int64_t earliest_expiry(const slc_roots *roots)
{
    int64_t first = 0;
    for (unsigned i = 0; i < SLC_COMPILE_BUCKETS; i++) {
        if (roots->credentials[i] != NULL)
            first = slc_earlier_ms(first, roots->credentials[i]->expires_ms);
        if (roots->applications[i] != NULL)
            first = slc_earlier_ms(first, roots->applications[i]->expires_ms);
    }
    return first;
}

/* ---- a result ---- */

void slc_compiled_confirm(slc_compiled *compiled, const slc_compile *compile)
{
    compiled->rows = compile->rows;
    /* A write transaction's own view is no base, but what was one stays one. */
    if (!compile->as_of.known && compiled->as_of.known)
        return;
    json_t *before = compiled->plans;
    compiled->as_of = compile->as_of;
    compiled->plans = json_incref(compile->plans);
    free(compiled->environment);
    compiled->environment = slc_strdup(compile->environment);
    json_decref(before);
}

slc_compiled *slc_compiled_new(slc_compile *compile, uint64_t version)
{
    slc_compiled *compiled = slc_calloc(1, sizeof *compiled);
    compiled->magic = COMPILED_MAGIC;
    compiled->refs = 1;
    compiled->group_id = slc_strdup(compile->group_id);
    compiled->version = version;
    compiled->roots = compile->roots;
    memset(&compile->roots, 0, sizeof compile->roots);
    compiled->expires_ms = earliest_expiry(&compiled->roots);
    compiled->manifest =
        slc_roots_manifest(&compiled->roots, compile->group_id, version, &compiled->manifest_len);
    slc_sha256(compiled->manifest, compiled->manifest_len, compiled->digest);
    take_chunks(compiled);
    slc_compiled_confirm(compiled, compile);
    return compiled;
}

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
    slc_roots_release(&compiled->roots);
    free(compiled->chunks);
    free(compiled->manifest);
    free(compiled->group_id);
    free(compiled->environment);
    json_decref(compiled->plans);
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
    return compiled->expires_ms;
}

size_t slc_compiled_rows(const slc_compiled *compiled)
{
    return compiled->rows;
}
