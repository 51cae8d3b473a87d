/* A limit for what librdkafka inflates. It has none of its own for gzip and LZ4, and offers no place between
 * what has arrived and what comes of it; a gzip batch of 400 KB becomes 400 MiB there. But it inflates by
 * calling libraries, and a function that the program itself defines comes before one of a library: these here
 * do what the library's do, and fail on librdkafka's threads when a batch is over the limit. What librdkafka
 * says then, and how one goes on behind the batch, is in kafka_consumer.c. Snappy, which it has built in, makes
 * at most 21 bytes of one.
 *
 * Were they not called there would be no limit: a librdkafka that has these libraries within itself would call
 * its own. A gateway looks when it starts (slc_kafka_inflates_unlimited).
 */
#include "dataplane/broker/kafka_inflate.h"

#include <dlfcn.h>
#include <lz4frame.h>
#include <pthread.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "common/assert.h"
#include "dataplane/broker/interposed.h"

#define NAME "sluice-inflate"

/* Of the thread; 0: no limit, as on all threads that are not librdkafka's. */
static _Thread_local size_t limit_bytes;
static _Thread_local size_t lz4_bytes; /* of the frame that is being read */

typedef int inflate_fn(z_streamp stream, int flush);
typedef size_t lz4_info_fn(LZ4F_dctx *ctx, LZ4F_frameInfo_t *info, const void *data, size_t *size);
typedef size_t lz4_fn(LZ4F_dctx *ctx, void *out, size_t *out_size, const void *data, size_t *size,
                      const LZ4F_decompressOptions_t *options);
typedef size_t zstd_fn(void *out, size_t capacity, const void *data, size_t size);

static struct {
    inflate_fn *inflate;
    lz4_info_fn *lz4_info;
    lz4_fn *lz4;
    zstd_fn *zstd;
} library;

static void look_up(void *to, const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);
    SLC_BUG_ON(found == NULL);
    memcpy(to, &found, sizeof found);
}

static void look_up_all(void)
{
    look_up(&library.inflate, "inflate");
    look_up(&library.lz4_info, "LZ4F_getFrameInfo");
    look_up(&library.lz4, "LZ4F_decompress");
    look_up(&library.zstd, "ZSTD_decompress");
}

static void prepare(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    SLC_BUG_ON(pthread_once(&once, look_up_all) != 0);
}

int inflate(z_streamp stream, int flush)
{
    prepare();
    int result = library.inflate(stream, flush);
    return limit_bytes > 0 && stream->total_out > limit_bytes ? Z_DATA_ERROR : result;
}

/* LZ4F_isError() is true of it. */
static size_t lz4_failure(void)
{
    return (size_t)-1;
}

size_t LZ4F_getFrameInfo(LZ4F_dctx *ctx, LZ4F_frameInfo_t *info, const void *data, size_t *size)
{
    prepare();
    size_t result = library.lz4_info(ctx, info, data, size);
    lz4_bytes = 0;
    bool too_large = limit_bytes > 0 && !LZ4F_isError(result) && info->contentSize > limit_bytes;
    return too_large ? lz4_failure() : result;
}

size_t LZ4F_decompress(LZ4F_dctx *ctx, void *out, size_t *out_size, const void *data, size_t *size,
                       const LZ4F_decompressOptions_t *options)
{
    prepare();
    size_t result = library.lz4(ctx, out, out_size, data, size, options);
    lz4_bytes += *out_size;
    return limit_bytes > 0 && lz4_bytes > limit_bytes ? lz4_failure() : result;
}

/* librdkafka tries with more and more room, up to receive.message.max.bytes (100 MB), while it is too small. */
size_t ZSTD_decompress(void *out, size_t capacity, const void *data, size_t size)
{
    prepare();
    if (limit_bytes == 0 || capacity <= limit_bytes)
        return library.zstd(out, capacity, data, size);
    size_t result = library.zstd(out, limit_bytes, data, size);
    return ZSTD_isError(result) && ZSTD_getErrorCode(result) == ZSTD_error_dstSize_tooSmall
               ? (size_t)-ZSTD_error_memory_allocation
               : result;
}

/* On the new thread, before anything else. */
static rd_kafka_resp_err_t on_thread_start(rd_kafka_t *rk, rd_kafka_thread_type_t type, const char *name,
                                           void *opaque)
{
    (void)rk, (void)name;
    if (type == RD_KAFKA_THREAD_BROKER)
        limit_bytes = (size_t)(uintptr_t)opaque;
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

static rd_kafka_resp_err_t on_new(rd_kafka_t *rk, const rd_kafka_conf_t *conf, void *opaque, char *text,
                                  size_t text_size)
{
    (void)conf, (void)text, (void)text_size;
    return rd_kafka_interceptor_add_on_thread_start(rk, NAME, on_thread_start, opaque);
}

void slc_kafka_limit_inflated(rd_kafka_conf_t *conf, size_t bytes)
{
    rd_kafka_conf_interceptor_add_on_new(conf, NAME, on_new, (void *)(uintptr_t)bytes);
}

const char *slc_kafka_inflates_unlimited(void)
{
    const struct {
        const char *name;
        uintptr_t function;
    } ours[] = {{"inflate", (uintptr_t)inflate},
                {"LZ4F_getFrameInfo", (uintptr_t)LZ4F_getFrameInfo},
                {"LZ4F_decompress", (uintptr_t)LZ4F_decompress},
                {"ZSTD_decompress", (uintptr_t)ZSTD_decompress}};
    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++)
        if (!slc_is_interposed((uintptr_t)rd_kafka_version, ours[i].name, ours[i].function))
            return ours[i].name;
    return NULL;
}
