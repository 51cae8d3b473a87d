/* The cache on disk. A record of the log: length of the sealed content (4, big endian), digest (32), sealed
 * content, whose authenticated context is the digest, so that records cannot be swapped. */
#include "dataplane/config/cache.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/file.h"
#include "common/log.h"
#include "dataplane/config/build.h"
#include "dataplane/config/strmap.h"

#define RECORD_HEADER    (4 + SLC_SHA256_BYTES)
#define MANIFEST_CONTEXT "sluice-manifest-v1"
/* Below this a log is not worth compacting. */
#define COMPACT_MIN_BYTES (1024 * 1024)

struct record {
    uint8_t sha256[SLC_SHA256_BYTES];
    uint32_t sealed_len;
    off_t offset; /* of the sealed content; -1: forgotten */
};

struct slc_cache {
    uint8_t key[SLC_SEAL_KEY_BYTES];
    char *log_path;
    char *manifest_path;
    int fd;
    bool read_only; /* the file system: nothing can be kept */
    off_t end;      /* of the last good record */
    struct record **records;
    size_t count, capacity;
    slc_strmap index; /* digest → record */
};

/* ---- the index ---- */

static struct record *find(const slc_cache *cache, const uint8_t *sha256)
{
    struct record *record = slc_strmap_find(&cache->index, (const char *)sha256, SLC_SHA256_BYTES);

    return record != NULL && record->offset >= 0 ? record : NULL;
}

static void remember(slc_cache *cache, const uint8_t *sha256, uint32_t sealed_len, off_t offset)
{
    struct record *record = slc_strmap_find(&cache->index, (const char *)sha256, SLC_SHA256_BYTES);

    if (record == NULL) {
        record = slc_calloc(1, sizeof(*record));
        memcpy(record->sha256, sha256, SLC_SHA256_BYTES);
        if (cache->count == cache->capacity) {
            cache->capacity = cache->capacity > 0 ? 2 * cache->capacity : 64;
            cache->records = slc_realloc(cache->records, cache->capacity * sizeof(*cache->records));
        }
        cache->records[cache->count++] = record;
        (void)slc_strmap_add(&cache->index, (const char *)record->sha256, SLC_SHA256_BYTES, record);
    }
    record->sealed_len = sealed_len;
    record->offset = offset;
}

static void forget_all(slc_cache *cache)
{
    slc_strmap_release(&cache->index);
    for (size_t i = 0; i < cache->count; i++)
        free(cache->records[i]);
    free(cache->records);
    cache->records = NULL;
    cache->count = cache->capacity = 0;
}

/* ---- reading ---- */

static bool read_at(int fd, void *out, size_t len, off_t offset)
{
    uint8_t *at = out;

    while (len > 0) {
        ssize_t n = pread(fd, at, len, offset);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        at += n;
        len -= (size_t)n;
        offset += n;
    }
    return true;
}

/* Lists the records; a torn tail, from a crash while appending, is cut off by the next append. */
static void scan(slc_cache *cache)
{
    uint8_t header[RECORD_HEADER];
    struct stat file;
    uint32_t len;

    cache->end = 0;
    if (fstat(cache->fd, &file) != 0)
        return;
    while (read_at(cache->fd, header, sizeof(header), cache->end)) {
        len = (uint32_t)header[0] << 24 | (uint32_t)header[1] << 16 | (uint32_t)header[2] << 8 | header[3];
        if (len < SLC_SEAL_OVERHEAD || len > SLC_CHUNK_MAX_BYTES + SLC_SEAL_OVERHEAD ||
            cache->end + RECORD_HEADER + (off_t)len > file.st_size)
            break;
        remember(cache, header + 4, len, cache->end + RECORD_HEADER);
        cache->end += RECORD_HEADER + (off_t)len;
    }
    if (cache->end != file.st_size)
        slc_log(SLC_LOG_WARN, "the configuration cache ends in a damaged record, which is left out",
                LI("good_bytes", cache->end), LI("bytes", file.st_size));
}

bool slc_cache_has(const slc_cache *cache, const uint8_t sha256[SLC_SHA256_BYTES])
{
    return find(cache, sha256) != NULL;
}

uint8_t *slc_cache_get(slc_cache *cache, const uint8_t sha256[SLC_SHA256_BYTES], size_t *len)
{
    struct record *record = find(cache, sha256);
    uint8_t *sealed, *content, digest[SLC_SHA256_BYTES];
    slc_error err = {0};
    bool ok;

    if (record == NULL)
        return NULL;
    *len = record->sealed_len - SLC_SEAL_OVERHEAD;
    sealed = slc_malloc(record->sealed_len);
    content = slc_malloc(*len + 1);
    ok = read_at(cache->fd, sealed, record->sealed_len, record->offset) &&
         slc_unseal(cache->key, sealed, record->sealed_len, sha256, SLC_SHA256_BYTES, content, &err);
    if (ok) {
        slc_sha256(content, *len, digest);
        ok = memcmp(digest, sha256, SLC_SHA256_BYTES) == 0;
    }
    free(sealed);
    if (ok)
        return content;
    slc_log(SLC_LOG_WARN, "a chunk of the configuration cache is damaged and will be fetched again");
    record->offset = -1;
    free(content);
    return NULL;
}

uint8_t *slc_cache_manifest(slc_cache *cache, size_t *len, slc_error *err)
{
    size_t sealed_len;
    char *sealed =
        slc_file_read(cache->manifest_path, SLC_MANIFEST_MAX_BYTES + SLC_SEAL_OVERHEAD, &sealed_len, err);
    uint8_t *manifest = NULL;

    if (sealed == NULL)
        return NULL;
    if (sealed_len < SLC_SEAL_OVERHEAD) {
        slc_fail(err, SLC_CORRUPT, NULL, "the cached manifest is cut short");
        goto done;
    }
    *len = sealed_len - SLC_SEAL_OVERHEAD;
    manifest = slc_malloc(*len + 1);
    if (!slc_unseal(cache->key, sealed, sealed_len, MANIFEST_CONTEXT, strlen(MANIFEST_CONTEXT), manifest,
                    err)) {
        free(manifest);
        manifest = NULL;
    }
done:
    free(sealed);
    return manifest;
}

/* ---- writing ---- */

static bool write_at(int fd, const void *data, size_t len, off_t offset, slc_error *err)
{
    const uint8_t *at = data;

    while (len > 0) {
        ssize_t n = pwrite(fd, at, len, offset);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return slc_fail(err, errno == ENOSPC || errno == EDQUOT ? SLC_NO_SPACE : SLC_IO, NULL,
                            "the configuration cache cannot be written: %s", strerror(errno));
        at += n;
        len -= (size_t)n;
        offset += n;
    }
    return true;
}

/* Writes a record at `*end` and moves it. */
static bool append(slc_cache *cache, int fd, off_t *end, const slc_cache_chunk *chunk, slc_error *err)
{
    size_t sealed_len = chunk->len + SLC_SEAL_OVERHEAD;
    uint8_t *record = slc_malloc(RECORD_HEADER + sealed_len);
    bool ok;

    for (unsigned i = 0; i < 4; i++)
        record[i] = (uint8_t)(sealed_len >> (24 - 8 * i));
    memcpy(record + 4, chunk->sha256, SLC_SHA256_BYTES);
    slc_seal(cache->key, chunk->content, chunk->len, chunk->sha256, SLC_SHA256_BYTES, record + RECORD_HEADER);
    ok = write_at(fd, record, RECORD_HEADER + sealed_len, *end, err);
    if (ok)
        *end += (off_t)(RECORD_HEADER + sealed_len);
    free(record);
    return ok;
}

static bool append_new(slc_cache *cache, const slc_cache_chunk *chunks, size_t count, slc_error *err)
{
    if (ftruncate(cache->fd, cache->end) != 0) /* what a crash left behind the last good record */
        return slc_fail(err, SLC_IO, NULL, "the configuration cache cannot be cut: %s", strerror(errno));
    for (size_t i = 0; i < count; i++) {
        off_t start = cache->end;

        if (slc_cache_has(cache, chunks[i].sha256))
            continue;
        if (!append(cache, cache->fd, &cache->end, &chunks[i], err))
            return false;
        remember(cache, chunks[i].sha256, (uint32_t)(chunks[i].len + SLC_SEAL_OVERHEAD), start + RECORD_HEADER);
    }
    if (fdatasync(cache->fd) != 0)
        return slc_fail(err, SLC_IO, NULL, "the configuration cache cannot be synced: %s", strerror(errno));
    return true;
}

/* Bytes of the log that the manifest needs. */
static off_t live_bytes(const slc_cache *cache, const uint8_t *live, size_t live_count)
{
    off_t bytes = 0;

    for (size_t i = 0; i < live_count; i++) {
        const struct record *record = find(cache, live + SLC_SHA256_BYTES * i);

        if (record != NULL)
            bytes += RECORD_HEADER + (off_t)record->sealed_len;
    }
    return bytes;
}

/* Copies the live records to a new log and swaps it in. The sealed bytes are copied as they are. */
static bool compact(slc_cache *cache, const uint8_t *live, size_t live_count, slc_error *err)
{
    char *path = slc_asprintf("%s.new", cache->log_path);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    off_t end = 0;
    bool ok = fd >= 0;

    for (size_t i = 0; ok && i < live_count; i++) {
        const struct record *record = find(cache, live + SLC_SHA256_BYTES * i);
        size_t len = record != NULL ? RECORD_HEADER + record->sealed_len : 0;
        uint8_t *bytes = slc_malloc(len + 1);

        ok = record == NULL || (read_at(cache->fd, bytes, len, record->offset - RECORD_HEADER) &&
                                write_at(fd, bytes, len, end, NULL));
        end += (off_t)len;
        free(bytes);
    }
    if (ok && fdatasync(fd) == 0 && rename(path, cache->log_path) == 0) {
        close(cache->fd);
        cache->fd = fd;
        forget_all(cache);
        scan(cache);
    } else {
        ok = slc_fail(err, SLC_IO, NULL, "the configuration cache cannot be compacted: %s", strerror(errno));
        if (fd >= 0)
            close(fd);
        unlink(path);
    }
    free(path);
    return ok;
}

bool slc_cache_store(slc_cache *cache, const uint8_t *manifest, size_t manifest_len,
                     const slc_cache_chunk *chunks, size_t count, const uint8_t *live, size_t live_count,
                     slc_error *err)
{
    uint8_t *sealed;
    slc_error cause;
    bool ok;

    if (cache->read_only)
        return slc_fail(err, SLC_IO, NULL, "%s: %s; the next start begins with what is there", cache->log_path,
                        strerror(EROFS));
    if (!append_new(cache, chunks, count, err))
        return false;
    sealed = slc_malloc(manifest_len + SLC_SEAL_OVERHEAD);
    slc_seal(cache->key, manifest, manifest_len, MANIFEST_CONTEXT, strlen(MANIFEST_CONTEXT), sealed);
    ok = slc_file_write_atomic(cache->manifest_path, sealed, manifest_len + SLC_SEAL_OVERHEAD, 0600, err);
    free(sealed);
    if (ok && cache->end > COMPACT_MIN_BYTES && live_bytes(cache, live, live_count) * 2 < cache->end &&
        !compact(cache, live, live_count, &cause))
        slc_log_error(SLC_LOG_WARN, "the configuration cache stays larger than it need be", &cause);
    return ok;
}

/* ---- contact, open, free ---- */

int64_t slc_cache_contact_ms(const slc_cache *cache)
{
    struct stat file;

    if (stat(cache->manifest_path, &file) != 0)
        return 0;
    return (int64_t)file.st_mtim.tv_sec * 1000 + file.st_mtim.tv_nsec / 1000000;
}

void slc_cache_touch(slc_cache *cache)
{
    (void)utimensat(AT_FDCWD, cache->manifest_path, NULL, 0); /* no manifest yet: nothing to date */
}

slc_cache *slc_cache_open(const char *state_dir, const uint8_t key[SLC_SEAL_KEY_BYTES], slc_error *err)
{
    char *dir = slc_asprintf("%s/cache", state_dir);
    slc_cache *cache = NULL;

    if (!slc_dir_make(dir, 0700, err))
        goto done;
    cache = slc_calloc(1, sizeof(*cache));
    memcpy(cache->key, key, sizeof(cache->key));
    cache->log_path = slc_asprintf("%s/chunks", dir);
    cache->manifest_path = slc_asprintf("%s/manifest", dir);
    cache->fd = open(cache->log_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (cache->fd < 0 && errno == EROFS) { /* what is there is good to start from */
        cache->fd = open(cache->log_path, O_RDONLY | O_CLOEXEC);
        cache->read_only = true;
        errno = cache->fd < 0 ? EROFS : 0;
    }
    if (cache->fd < 0) {
        slc_fail(err, SLC_IO, NULL, "%s cannot be opened: %s", cache->log_path, strerror(errno));
        slc_cache_free(cache);
        cache = NULL;
        goto done;
    }
    scan(cache);
done:
    free(dir);
    return cache;
}

void slc_cache_free(slc_cache *cache)
{
    if (cache == NULL)
        return;
    if (cache->fd >= 0)
        close(cache->fd);
    forget_all(cache);
    free(cache->log_path);
    free(cache->manifest_path);
    slc_free_secret(cache, sizeof(*cache));
}
