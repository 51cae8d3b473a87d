/* LZ4 frames. What Java's reader wants of them (it is its own, not the library's): one frame, of independent
 * blocks. It skips checksums of content and verifies those of blocks, and neither is written. The header
 * checksum that old clients computed wrongly is a matter of the message formats before the record batch. */
#include "common/assert.h"
#include "dataplane/records/compression_private.h"

#define FIRST_ROOM   (64 * 1024)
#define LIKELY_RATIO 4

static bool fail_inflate(slc_compression *c, const char *why, slc_error *err)
{
    LZ4F_resetDecompressionContext(c->lz4_in);
    return slc_not_of_codec(SLC_CODEC_LZ4, why, err);
}

bool slc_lz4_inflate(slc_compression *c, const uint8_t *in, size_t len, slc_error *err)
{
    if (c->lz4_in == NULL)
        SLC_BUG_ON(LZ4F_isError(LZ4F_createDecompressionContext(&c->lz4_in, LZ4F_VERSION)));
    LZ4F_resetDecompressionContext(c->lz4_in);
    size_t at = 0, hint = 1;
    while (hint != 0) {
        size_t room, taken = len - at;
        uint8_t *to = slc_inflated_room(c, FIRST_ROOM + LIKELY_RATIO * taken, &room, err);
        if (to == NULL)
            return false;
        size_t made = room;
        hint = LZ4F_decompress(c->lz4_in, to, &made, in + at, &taken, NULL);
        if (LZ4F_isError(hint)) {
            c->inflated.len -= room;
            return fail_inflate(c, LZ4F_getErrorName(hint), err);
        }
        c->inflated.len -= room - made;
        at += taken;
        if (hint != 0 && made == 0 && taken == 0)
            return fail_inflate(c, "they end early", err);
    }
    return at == len || fail_inflate(c, "there is more behind the frame", err);
}

bool slc_lz4_deflate(slc_compression *c, const uint8_t *in, size_t len, slc_buf *out, slc_error *err)
{
    const LZ4F_preferences_t preferences = {
        .frameInfo = {.blockSizeID = LZ4F_max64KB, .blockMode = LZ4F_blockIndependent},
        .compressionLevel = c->options.lz4_level,
        .autoFlush = 1,
    };
    if (c->lz4_out == NULL)
        SLC_BUG_ON(LZ4F_isError(LZ4F_createCompressionContext(&c->lz4_out, LZ4F_VERSION)));
    size_t most = LZ4F_HEADER_SIZE_MAX + LZ4F_compressBound(len, &preferences);
    uint8_t *room = slc_deflated_room(out, most, err);
    if (room == NULL)
        return false;
    size_t size = LZ4F_compressBegin(c->lz4_out, room, most, &preferences);
    SLC_BUG_ON(LZ4F_isError(size));
    size_t body = LZ4F_compressUpdate(c->lz4_out, room + size, most - size, in, len, NULL);
    SLC_BUG_ON(LZ4F_isError(body));
    size += body;
    size_t end = LZ4F_compressEnd(c->lz4_out, room + size, most - size, NULL);
    SLC_BUG_ON(LZ4F_isError(end));
    out->len -= most - size - end;
    return true;
}
