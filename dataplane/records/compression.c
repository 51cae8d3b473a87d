/* What the codecs share: choosing one, the inflated buffer and its limit. */
#include "dataplane/records/compression.h"

#include <stdlib.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "dataplane/records/compression_private.h"

typedef struct slc_codec_ops {
    const char *name;
    bool (*inflate)(slc_compression *c, const uint8_t *in, size_t len, slc_error *err);
    bool (*deflate)(slc_compression *c, const uint8_t *in, size_t len, slc_buf *out, slc_error *err);
} slc_codec_ops;

static const slc_codec_ops codecs[SLC_CODECS] = {
    [SLC_CODEC_NONE] = {"none", NULL, NULL},
    [SLC_CODEC_GZIP] = {"gzip", slc_gzip_inflate, slc_gzip_deflate},
    [SLC_CODEC_SNAPPY] = {"snappy", slc_snappy_inflate, slc_snappy_deflate},
    [SLC_CODEC_LZ4] = {"lz4", slc_lz4_inflate, slc_lz4_deflate},
    [SLC_CODEC_ZSTD] = {"zstd", slc_zstd_inflate, slc_zstd_deflate},
};

slc_compression *slc_compression_new(const slc_compression_options *options)
{
    slc_compression *c = slc_calloc(1, sizeof(*c));
    c->options = *options;
    slc_buf_init(&c->inflated, options->inflated_max_bytes + 1);
    return c;
}

void slc_compression_free(slc_compression *c)
{
    if (c == NULL)
        return;
    if (c->inflate_ready)
        inflateEnd(&c->inflate);
    if (c->deflate_ready)
        deflateEnd(&c->deflate);
    LZ4F_freeDecompressionContext(c->lz4_in);
    LZ4F_freeCompressionContext(c->lz4_out);
    ZSTD_freeDCtx(c->zstd_in);
    ZSTD_freeCCtx(c->zstd_out);
    slc_buf_release(&c->inflated);
    free(c);
}

const char *slc_codec_name(unsigned codec)
{
    return codec < SLC_CODECS ? codecs[codec].name : "unknown";
}

bool slc_inflate(slc_compression *c, enum slc_codec codec, const uint8_t *in, size_t len, const uint8_t **data,
                 size_t *data_len, slc_error *err)
{
    SLC_BUG_ON(codec <= SLC_CODEC_NONE || codec >= SLC_CODECS);
    slc_buf_clear(&c->inflated);
    if (!codecs[codec].inflate(c, in, len, err))
        return false;
    if (c->inflated.len > c->options.inflated_max_bytes)
        return slc_inflated_too_large(c, err);
    *data = c->inflated.len > 0 ? c->inflated.data : in; /* never NULL: offsets are added to it */
    *data_len = c->inflated.len;
    return true;
}

bool slc_deflate(slc_compression *c, enum slc_codec codec, const uint8_t *in, size_t len, slc_buf *out,
                 slc_error *err)
{
    SLC_BUG_ON(codec <= SLC_CODEC_NONE || codec >= SLC_CODECS);
    size_t before = out->len;
    if (codecs[codec].deflate(c, in, len, out, err))
        return true;
    out->len = before;
    return false;
}

void slc_compression_trim(slc_compression *c)
{
    if (c->inflated.cap > c->options.keep_bytes)
        slc_buf_release(&c->inflated);
}

uint8_t *slc_inflated_room(slc_compression *c, size_t want, size_t *room, slc_error *err)
{
    slc_buf *buf = &c->inflated;
    size_t left = buf->max - buf->len;
    size_t allocated = buf->cap > buf->len ? buf->cap - buf->len - 1 : 0;
    size_t wanted = want > allocated ? want : allocated;
    *room = wanted < left ? wanted : left;
    if (*room > 0)
        return slc_buf_extend(buf, *room);
    slc_inflated_too_large(c, err);
    return NULL;
}

bool slc_inflated_too_large(const slc_compression *c, slc_error *err)
{
    return slc_fail(
        err, SLC_TOO_LARGE, NULL,
        "The batch's records are larger than %zu bytes when they are inflated. Send smaller batches, or "
        "raise the limit.",
        c->options.inflated_max_bytes);
}

bool slc_not_of_codec(enum slc_codec codec, const char *why, slc_error *err)
{
    return slc_fail(err, SLC_CORRUPT, NULL, "The batch's records are not valid %s: %s.", codecs[codec].name,
                    why);
}

uint8_t *slc_deflated_room(slc_buf *out, size_t most, slc_error *err)
{
    uint8_t *room = slc_buf_extend(out, most);
    if (room == NULL)
        slc_fail(err, SLC_TOO_LARGE, NULL, "The rewritten batch may be larger than the limit of %zu bytes.",
                 out->max);
    return room;
}
