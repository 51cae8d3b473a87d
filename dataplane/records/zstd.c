/* zstd, always from one buffer into one buffer: then the output is its own window, and a frame that asks for a
 * window of 128 MiB costs no memory. Streams do not say how large they get (Java's never do), so that a buffer
 * that was too small is doubled and the work done again; the buffer is kept, so that this is rare. */
#include <zstd_errors.h>

#include "common/assert.h"
#include "dataplane/records/compression_private.h"

#define FIRST_ROOM   (64 * 1024)
#define LIKELY_RATIO 8

/* How much to ask for at first. False: the frame itself says that it is too large. */
static bool first_room(const slc_compression *c, const uint8_t *in, size_t len, size_t *want)
{
    unsigned long long told = ZSTD_getFrameContentSize(in, len);
    *want = FIRST_ROOM + LIKELY_RATIO * len;
    if (told == ZSTD_CONTENTSIZE_UNKNOWN || told == ZSTD_CONTENTSIZE_ERROR)
        return true;
    if (told > c->options.inflated_max_bytes)
        return false;
    *want = told > 0 ? (size_t)told : 1;
    return true;
}

bool slc_zstd_inflate(slc_compression *c, const uint8_t *in, size_t len, slc_error *err)
{
    size_t want;
    if (len == 0)
        return slc_not_of_codec(SLC_CODEC_ZSTD, "there is no frame", err);
    if (!first_room(c, in, len, &want))
        return slc_inflated_too_large(c, err);
    if (c->zstd_in == NULL)
        c->zstd_in = ZSTD_createDCtx();
    SLC_BUG_ON(c->zstd_in == NULL);
    for (;;) {
        size_t room;
        uint8_t *to = slc_inflated_room(c, want, &room, err);
        if (to == NULL)
            return false;
        size_t size = ZSTD_decompressDCtx(c->zstd_in, to, room, in, len);
        c->inflated.len = ZSTD_isError(size) ? 0 : size;
        if (!ZSTD_isError(size))
            return true;
        if (ZSTD_getErrorCode(size) != ZSTD_error_dstSize_tooSmall)
            return slc_not_of_codec(SLC_CODEC_ZSTD, ZSTD_getErrorName(size), err);
        if (room == c->inflated.max)
            return slc_inflated_too_large(c, err);
        want = 2 * room;
    }
}

bool slc_zstd_deflate(slc_compression *c, const uint8_t *in, size_t len, slc_buf *out, slc_error *err)
{
    if (c->zstd_out == NULL) {
        c->zstd_out = ZSTD_createCCtx();
        SLC_BUG_ON(c->zstd_out == NULL);
        size_t set = ZSTD_CCtx_setParameter(c->zstd_out, ZSTD_c_compressionLevel, c->options.zstd_level);
        SLC_BUG_ON(ZSTD_isError(set));
    }
    size_t most = ZSTD_compressBound(len);
    uint8_t *room = slc_deflated_room(out, most, err);
    if (room == NULL)
        return false;
    size_t size = ZSTD_compress2(c->zstd_out, room, most, in, len);
    SLC_BUG_ON(ZSTD_isError(size));
    out->len -= most - size;
    return true;
}
