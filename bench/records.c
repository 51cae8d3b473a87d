/* What reading and rewriting record batches costs, one thread, CPU time. Prints one JSON object: for each codec
 *
 *   read_gb      GB of (inflated) record bytes a CPU second when every record is looked at and none changes
 *   change_gb    the same when every record's value is replaced by another of its kind and length
 *   bare_gb      for the library alone: inflate and deflate; without compression, a copy
 *   ratio        CPU of change / CPU of bare, the median of rounds in which both take turns
 *   allocations  for each record, once warm
 */
#include <inttypes.h>
#include <lz4frame.h>
#include <snappy-c.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zlib.h>
#include <zstd.h>

#include "bench/allocations.h"
#include "common/alloc.h"
#include "common/assert.h"
#include "dataplane/kafka/wire.h"
#include "dataplane/records/crc32c.h"
#include "dataplane/records/rewrite.h"
#include "dataplane/records/varint.h"

#define MAX_BYTES  (64 << 20)
#define MAX_ROUNDS 101
#define GZIP       (15 + 16)

static const char fields[] =
    "{\"order\":\"%08x\",\"customer\":%u,\"amount\":%u.%02u,\"currency\":\"EUR\",\"lines\":[";
static const char line[] =
    "{\"sku\":\"%08X-%04x\",\"quantity\":%u,\"price\":%u.%02u,\"note\":\"gift wrapped\"},";

struct bare {
    z_stream in, out;
    LZ4F_dctx *lz4_in;
    LZ4F_cctx *lz4_out;
    ZSTD_DCtx *zstd_in;
    ZSTD_CCtx *zstd_out;
    uint8_t *inflated;
    uint8_t *deflated;
};

struct sample {
    slc_buf batch;
    size_t plain_len; /* of its records, inflated */
    int count;
    uint8_t *others; /* values of the same kind, one for each record */
    size_t value_len;
    bool change;
};

static double cpu_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static uint32_t noise(void)
{
    static uint32_t state = 4711;
    state = state * 1664525 + 1013904223;
    return state >> 8;
}

/* --- the sample: orders in JSON, which compress about 4 : 1 --- */

static void fill_value(char *value, size_t len)
{
    char text[4096];
    size_t at =
        (size_t)snprintf(text, sizeof(text), fields, noise(), noise() % 100000, noise() % 1000, noise() % 100);
    while (at < len)
        at += (size_t)snprintf(text + at, sizeof(text) - at, line, noise(), noise() % 65536, noise() % 9,
                               noise() % 100, noise() % 100);
    memcpy(value, text, len);
}

static void add_record(slc_buf *records, int index, size_t value_len)
{
    uint8_t head[32], *at = head;
    char key[16];
    int key_len = snprintf(key, sizeof(key), "%08x", noise());
    *at++ = 0;
    at = slc_varint_put(at, index * 3);
    at = slc_varint_put(at, index);
    at = slc_varint_put(at, key_len);
    size_t size = (size_t)(at - head) + (size_t)key_len + slc_varint_size((int64_t)value_len) + value_len + 1;
    uint8_t length[8];
    bool ok = slc_buf_add(records, length, (size_t)(slc_varint_put(length, (int64_t)size) - length)) &&
              slc_buf_add(records, head, (size_t)(at - head)) && slc_buf_add(records, key, (size_t)key_len) &&
              slc_buf_add(records, length, (size_t)(slc_varint_put(length, (int64_t)value_len) - length));
    SLC_BUG_ON(!ok);
    uint8_t *value = slc_buf_extend(records, value_len + 1);
    fill_value((char *)value, value_len);
    value[value_len] = 0; /* headers */
}

static void make_sample(struct sample *s, enum slc_codec codec, int count, size_t value_len)
{
    slc_buf records;
    slc_error err = {0};
    uint8_t header[SLC_BATCH_HEADER_BYTES] = {[16] = 2};
    slc_buf_init(&records, MAX_BYTES);
    slc_buf_init(&s->batch, MAX_BYTES);
    for (int i = 0; i < count; i++)
        add_record(&records, i, value_len);
    slc_kafka_put(header + 21, codec, 2);
    slc_kafka_put(header + 23, (uint64_t)count - 1, 4);
    slc_kafka_put(header + 57, (uint64_t)count, 4);
    SLC_BUG_ON(!slc_buf_add(&s->batch, header, sizeof(header)));
    slc_compression *compression = slc_compression_new(&SLC_COMPRESSION_DEFAULTS);
    if (codec == SLC_CODEC_NONE)
        SLC_BUG_ON(!slc_buf_add(&s->batch, records.data, records.len));
    else
        SLC_BUG_ON(!slc_deflate(compression, codec, records.data, records.len, &s->batch, &err));
    slc_compression_free(compression);
    slc_kafka_put(s->batch.data + 8, s->batch.len - 12, 4);
    slc_kafka_put(s->batch.data + 17, slc_crc32c(0, s->batch.data + 21, s->batch.len - 21), 4);
    s->plain_len = records.len;
    s->count = count;
    s->value_len = value_len;
    s->others = slc_malloc((size_t)count * value_len);
    for (int i = 0; i < count; i++)
        fill_value((char *)s->others + (size_t)i * value_len, value_len);
    slc_buf_release(&records);
}

static void release_sample(struct sample *s)
{
    slc_buf_release(&s->batch);
    free(s->others);
}

/* --- the library alone --- */

static void bare_init(struct bare *b)
{
    memset(b, 0, sizeof(*b));
    SLC_BUG_ON(inflateInit2(&b->in, GZIP) != Z_OK || deflateInit2(&b->out, 6, Z_DEFLATED, GZIP, 8, 0) != Z_OK);
    SLC_BUG_ON(LZ4F_isError(LZ4F_createDecompressionContext(&b->lz4_in, LZ4F_VERSION)));
    SLC_BUG_ON(LZ4F_isError(LZ4F_createCompressionContext(&b->lz4_out, LZ4F_VERSION)));
    b->zstd_in = ZSTD_createDCtx();
    b->zstd_out = ZSTD_createCCtx();
    b->inflated = slc_malloc(MAX_BYTES);
    b->deflated = slc_malloc(MAX_BYTES);
}

static void bare_release(struct bare *b)
{
    inflateEnd(&b->in);
    deflateEnd(&b->out);
    LZ4F_freeDecompressionContext(b->lz4_in);
    LZ4F_freeCompressionContext(b->lz4_out);
    ZSTD_freeDCtx(b->zstd_in);
    ZSTD_freeCCtx(b->zstd_out);
    free(b->inflated);
    free(b->deflated);
}

static void bare_gzip(struct bare *b, const uint8_t *in, size_t len)
{
    inflateReset(&b->in);
    b->in.next_in = (Bytef *)(uintptr_t)in;
    b->in.avail_in = (unsigned)len;
    b->in.next_out = b->inflated;
    b->in.avail_out = MAX_BYTES;
    SLC_BUG_ON(inflate(&b->in, Z_FINISH) != Z_STREAM_END);
    deflateReset(&b->out);
    b->out.next_in = b->inflated;
    b->out.avail_in = (unsigned)(MAX_BYTES - b->in.avail_out);
    b->out.next_out = b->deflated;
    b->out.avail_out = MAX_BYTES;
    SLC_BUG_ON(deflate(&b->out, Z_FINISH) != Z_STREAM_END);
}

/* One block, as librdkafka writes it; the sample is framed. */
static void bare_snappy(struct bare *b, const uint8_t *in, size_t len)
{
    size_t made = 0, size = MAX_BYTES;
    for (size_t at = 16; at < len;) {
        uint32_t block = slc_kafka_get32(in + at);
        size_t room = MAX_BYTES - made;
        snappy_status status =
            snappy_uncompress((const char *)in + at + 4, block, (char *)b->inflated + made, &room);
        SLC_BUG_ON(status != SNAPPY_OK);
        made += room;
        at += 4 + block;
    }
    SLC_BUG_ON(snappy_compress((const char *)b->inflated, made, (char *)b->deflated, &size) != SNAPPY_OK);
}

static void bare_lz4(struct bare *b, const uint8_t *in, size_t len)
{
    const LZ4F_preferences_t preferences = {
        .frameInfo = {.blockSizeID = LZ4F_max64KB, .blockMode = LZ4F_blockIndependent}, .autoFlush = 1};
    size_t made = MAX_BYTES, taken = len;
    SLC_BUG_ON(LZ4F_decompress(b->lz4_in, b->inflated, &made, in, &taken, NULL) != 0);
    size_t size = LZ4F_compressBegin(b->lz4_out, b->deflated, MAX_BYTES, &preferences);
    size += LZ4F_compressUpdate(b->lz4_out, b->deflated + size, MAX_BYTES - size, b->inflated, made, NULL);
    size_t end = LZ4F_compressEnd(b->lz4_out, b->deflated + size, MAX_BYTES - size, NULL);
    SLC_BUG_ON(LZ4F_isError(end));
}

static void bare_zstd(struct bare *b, const uint8_t *in, size_t len)
{
    size_t made = ZSTD_decompressDCtx(b->zstd_in, b->inflated, MAX_BYTES, in, len);
    SLC_BUG_ON(ZSTD_isError(made));
    size_t size = ZSTD_compressCCtx(b->zstd_out, b->deflated, MAX_BYTES, b->inflated, made, 3);
    SLC_BUG_ON(ZSTD_isError(size));
}

static void bare_copy(struct bare *b, const uint8_t *in, size_t len)
{
    memcpy(b->inflated, in, len);
    __asm__ volatile("" : : "r"(b->inflated) : "memory"); /* so that it happens */
}

static void bare_once(struct bare *b, enum slc_codec codec, const struct sample *s)
{
    static void (*const by_codec[SLC_CODECS])(struct bare *, const uint8_t *, size_t) = {
        bare_copy, bare_gzip, bare_snappy, bare_lz4, bare_zstd};
    by_codec[codec](b, s->batch.data + SLC_BATCH_HEADER_BYTES, s->batch.len - SLC_BATCH_HEADER_BYTES);
}

/* --- ours --- */

static enum slc_record_verdict replace(void *ctx, const slc_batch *batch, const slc_batch_record *record,
                                       slc_batch_record *changed, slc_error *err)
{
    const struct sample *s = ctx;
    (void)batch;
    *changed = *record;
    (void)err;
    changed->value = s->others + (size_t)record->offset_delta * s->value_len;
    return s->change ? SLC_RECORD_CHANGE : SLC_RECORD_KEEP;
}

static void rewrite_once(slc_rewriter *rewriter, struct sample *s, slc_buf *out)
{
    const slc_rewrite_rules rules = {.record = replace, .ctx = s};
    slc_rewrite_report report;
    slc_error err = {0};
    slc_buf_clear(out);
    enum slc_rewritten done =
        slc_records_rewrite(rewriter, s->batch.data, s->batch.len, &rules, out, &report, &err);
    SLC_BUG_ON(done != (s->change ? SLC_REWRITTEN_CHANGED : SLC_REWRITTEN_SAME));
}

/* --- measuring --- */

struct figures {
    double read, change, bare; /* CPU seconds for each byte, medians */
    double ratio;
    double allocations;
};

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, int count)
{
    qsort(values, (size_t)count, sizeof(*values), by_size);
    return values[count / 2];
}

/* CPU seconds of `times` turns at one of: reading, changing, the library alone. */
static double take_turn(int what, int times, struct bare *b, slc_rewriter *rewriter, enum slc_codec codec,
                        struct sample *s, slc_buf *out)
{
    s->change = what == 1;
    double begin = cpu_seconds();
    for (int i = 0; i < times; i++) {
        if (what == 2)
            bare_once(b, codec, s);
        else
            rewrite_once(rewriter, s, out);
    }
    return cpu_seconds() - begin;
}

static struct figures measure(enum slc_codec codec, struct sample *s, int rounds, double round_seconds)
{
    double cpu[3][MAX_ROUNDS], ratio[MAX_ROUNDS];
    struct bare b;
    struct figures f = {0};
    slc_rewriter *rewriter = slc_rewriter_new(&SLC_COMPRESSION_DEFAULTS);
    slc_buf out;
    slc_buf_init(&out, MAX_BYTES);
    bare_init(&b);
    for (int what = 0; what < 3; what++)
        take_turn(what, 3, &b, rewriter, codec, s, &out);
    double once = take_turn(1, 3, &b, rewriter, codec, s, &out) / 3;
    int times = (int)(round_seconds / once) + 1;
    uint64_t allocated = 0;
    for (int round = 0; round < rounds; round++) {
        for (int what = 0; what < 3; what++) {
            uint64_t before = allocations_so_far();
            cpu[what][round] = take_turn(what, times, &b, rewriter, codec, s, &out);
            allocated += what == 1 ? allocations_so_far() - before : 0;
        }
        ratio[round] = cpu[1][round] / cpu[2][round];
    }
    double bytes = (double)times * (double)s->plain_len;
    f.read = median(cpu[0], rounds) / bytes;
    f.change = median(cpu[1], rounds) / bytes;
    f.bare = median(cpu[2], rounds) / bytes;
    f.ratio = median(ratio, rounds);
    f.allocations = (double)allocated / ((double)rounds * times * s->count);
    slc_rewriter_free(rewriter);
    slc_buf_release(&out);
    bare_release(&b);
    return f;
}

int main(int argc, char **argv)
{
    if (argc != 5) {
        fprintf(stderr, "usage: bench-records VALUE_BYTES BATCH_BYTES ROUNDS ROUND_SECONDS\n");
        return 2;
    }
    size_t value_len = strtoul(argv[1], NULL, 10), batch_len = strtoul(argv[2], NULL, 10);
    int rounds = atoi(argv[3]), count = (int)(batch_len / value_len);
    SLC_BUG_ON(value_len < 1 || value_len > 2048 || count < 1 || rounds < 1 || rounds > MAX_ROUNDS);
    printf("{");
    for (int codec = 0; codec < SLC_CODECS; codec++) {
        struct sample s;
        make_sample(&s, (enum slc_codec)codec, count, value_len);
        struct figures f = measure((enum slc_codec)codec, &s, rounds, atof(argv[4]));
        printf("%s\"%s\": {\"read_gb\": %.3f, \"change_gb\": %.3f, \"bare_gb\": %.3f, \"ratio\": %.3f, "
               "\"allocations\": %.4f, \"compressed\": %.3f}",
               codec > 0 ? ", " : "", slc_codec_name((unsigned)codec), 1e-9 / f.read, 1e-9 / f.change,
               1e-9 / f.bare, f.ratio, f.allocations, (double)s.batch.len / (double)s.plain_len);
        fflush(stdout);
        release_sample(&s);
    }
    printf("}\n");
    return 0;
}
