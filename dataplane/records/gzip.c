/* gzip by zlib. As Java does, several members one after the other are read as one. */
#include "common/assert.h"
#include "dataplane/records/compression_private.h"

#define GZIP_WINDOW     (15 + 16) /* zlib's way to say gzip */
#define MEMORY_LEVEL    8
#define FIRST_ROOM      (64 * 1024)
#define LIKELY_RATIO    4
#define PIECE_MAX_BYTES (1U << 30) /* zlib counts in unsigned int */

static void prepare_inflate(slc_compression *c)
{
    int result = c->inflate_ready ? inflateReset(&c->inflate) : inflateInit2(&c->inflate, GZIP_WINDOW);
    SLC_BUG_ON(result != Z_OK);
    c->inflate_ready = true;
}

/* The step's outcome; output goes behind what is there. Z_MEM_ERROR: over the limit, `err` is set. */
static int inflate_some(slc_compression *c, size_t in_len, slc_error *err)
{
    z_stream *z = &c->inflate;
    size_t room;
    uint8_t *to = slc_inflated_room(c, FIRST_ROOM + LIKELY_RATIO * in_len, &room, err);
    if (to == NULL)
        return Z_MEM_ERROR;
    z->next_out = to;
    z->avail_out = (unsigned)(room < PIECE_MAX_BYTES ? room : PIECE_MAX_BYTES);
    size_t asked = z->avail_out;
    int result = inflate(z, Z_NO_FLUSH);
    c->inflated.len -= room - (asked - z->avail_out);
    SLC_BUG_ON(result == Z_STREAM_ERROR || result == Z_MEM_ERROR);
    return result;
}

bool slc_gzip_inflate(slc_compression *c, const uint8_t *in, size_t len, slc_error *err)
{
    if (len > PIECE_MAX_BYTES)
        return slc_inflated_too_large(c, err);
    prepare_inflate(c);
    c->inflate.next_in = in;
    c->inflate.avail_in = (unsigned)len;
    for (;;) {
        int result = inflate_some(c, c->inflate.avail_in, err);
        if (result == Z_MEM_ERROR)
            return false;
        if (result == Z_STREAM_END) {
            if (c->inflate.avail_in == 0)
                return true;
            prepare_inflate(c);
            continue;
        }
        if (result != Z_OK)
            return slc_not_of_codec(SLC_CODEC_GZIP,
                                    result == Z_BUF_ERROR ? "they end early" : "zlib does not understand them",
                                    err);
    }
}

bool slc_gzip_deflate(slc_compression *c, const uint8_t *in, size_t len, slc_buf *out, slc_error *err)
{
    z_stream *z = &c->deflate;
    int result = c->deflate_ready ? deflateReset(z)
                                  : deflateInit2(z, c->options.gzip_level, Z_DEFLATED, GZIP_WINDOW,
                                                 MEMORY_LEVEL, Z_DEFAULT_STRATEGY);
    SLC_BUG_ON(result != Z_OK);
    c->deflate_ready = true;
    if (len > PIECE_MAX_BYTES)
        return slc_fail(err, SLC_TOO_LARGE, NULL, "The rewritten batch is larger than gzip takes at once.");
    size_t most = deflateBound(z, len);
    uint8_t *room = slc_deflated_room(out, most, err);
    if (room == NULL)
        return false;
    z->next_in = in;
    z->avail_in = (unsigned)len;
    z->next_out = room;
    z->avail_out = (unsigned)most;
    SLC_BUG_ON(deflate(z, Z_FINISH) != Z_STREAM_END);
    out->len -= z->avail_out;
    return true;
}
