/* Manifests and chunks as a gateway decodes them. The first byte says what the rest is: 255 a manifest,
 * anything else the content of one chunk of an otherwise good snapshot, built with and without a version before
 * it. */
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/log.h"
#include "dataplane/config/build.h"
#include "tests/unit/dataplane/config/maker.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct maker *maker;
static slc_snapshot *good;

static void start(void)
{
    slc_log_init("fuzz", SLC_LOG_ERROR, true);
    maker = maker_new();
    maker_add_application(maker, 2);
    maker->split = true;
    good = maker_build(maker, NULL);
}

static void fuzz_manifest(const uint8_t *data, size_t size)
{
    slc_error err;
    Sluice__Snapshot__V1__Manifest *manifest = slc_manifest_decode(data, size, &err);

    if (manifest != NULL)
        sluice__snapshot__v1__manifest__free_unpacked(manifest, NULL);
}

static void build(slc_snapshot *previous)
{
    slc_chunk_source source = maker_source(maker);
    slc_error err;

    slc_snapshot_unref(slc_snapshot_build(&maker->manifest, &source, previous, &err));
}

static void fuzz_chunk(unsigned which, const uint8_t *data, size_t size)
{
    Sluice__Snapshot__V1__ChunkRef *ref = maker->refs[which % maker->manifest.n_chunks];
    struct maker_chunk *chunk = maker_find(maker, ref->sha256.data);
    struct maker_chunk kept = *chunk;
    uint32_t kept_size = ref->size_bytes;

    chunk->content = slc_memdup(data, size);
    chunk->len = size;
    slc_sha256(data, size, chunk->sha256);
    memcpy(ref->sha256.data, chunk->sha256, 32);
    ref->size_bytes = (uint32_t)size;
    build(NULL);
    build(good);
    free(chunk->content);
    *chunk = kept;
    memcpy(ref->sha256.data, chunk->sha256, 32);
    ref->size_bytes = kept_size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (maker == NULL)
        start();
    if (size == 0 || size > 256 * 1024)
        return 0;
    if (data[0] == 255)
        fuzz_manifest(data + 1, size - 1);
    else
        fuzz_chunk(data[0], data + 1, size - 1);
    return 0;
}
