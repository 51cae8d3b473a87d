/* Snappy knows whole blocks only. librdkafka writes one raw block; snappy-java, and with it Kafka's own
 * clients, a header of 16 bytes and then blocks with their length in front. Streams of the second kind may
 * stand one behind the other. */
#include <snappy-c.h>
#include <string.h>

#include "common/assert.h"
#include "dataplane/kafka/wire.h"
#include "dataplane/records/compression_private.h"

#define HEADER_BYTES 16
#define BLOCK_BYTES  (64 * 1024) /* what libsnappy looks at at once, so that smaller ones compress less well */

/* The magic, then the version and the oldest version that can read it. */
static const uint8_t header[HEADER_BYTES] = {0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0, 0, 0, 0, 1, 0, 0, 0, 1};
#define MAGIC_BYTES 8

static bool inflate_block(slc_compression *c, const uint8_t *in, size_t len, slc_error *err)
{
    size_t size;
    if (snappy_uncompressed_length((const char *)in, len, &size) != SNAPPY_OK)
        return slc_not_of_codec(SLC_CODEC_SNAPPY, "a block has no length", err);
    if (size > c->options.inflated_max_bytes - c->inflated.len)
        return slc_inflated_too_large(c, err);
    uint8_t *to = slc_buf_extend(&c->inflated, size);
    SLC_BUG_ON(to == NULL);
    if (snappy_uncompress((const char *)in, len, (char *)to, &size) != SNAPPY_OK)
        return slc_not_of_codec(SLC_CODEC_SNAPPY, "a block is damaged", err);
    return true;
}

static bool has_magic(const uint8_t *in, size_t len)
{
    return len >= HEADER_BYTES && memcmp(in, header, MAGIC_BYTES) == 0;
}

static bool inflate_framed(slc_compression *c, const uint8_t *in, size_t len, slc_error *err)
{
    size_t at = 0;
    while (at < len) {
        if (has_magic(in + at, len - at)) {
            at += HEADER_BYTES;
            continue;
        }
        if (len - at < 4)
            return slc_not_of_codec(SLC_CODEC_SNAPPY, "they end early", err);
        uint32_t size = slc_kafka_get32(in + at);
        at += 4;
        if (size > len - at)
            return slc_not_of_codec(SLC_CODEC_SNAPPY, "a block is longer than what is left", err);
        if (!inflate_block(c, in + at, size, err))
            return false;
        at += size;
    }
    return true;
}

bool slc_snappy_inflate(slc_compression *c, const uint8_t *in, size_t len, slc_error *err)
{
    return has_magic(in, len) ? inflate_framed(c, in, len, err) : inflate_block(c, in, len, err);
}

static bool deflate_block(const uint8_t *in, size_t len, slc_buf *out, slc_error *err)
{
    size_t most = snappy_max_compressed_length(len), size = most;
    uint8_t *room = slc_deflated_room(out, 4 + most, err);
    if (room == NULL)
        return false;
    SLC_BUG_ON(snappy_compress((const char *)in, len, (char *)room + 4, &size) != SNAPPY_OK);
    slc_kafka_put(room, size, 4);
    out->len -= most - size;
    return true;
}

bool slc_snappy_deflate(slc_compression *c, const uint8_t *in, size_t len, slc_buf *out, slc_error *err)
{
    (void)c;
    uint8_t *room = slc_deflated_room(out, HEADER_BYTES, err);
    if (room == NULL)
        return false;
    memcpy(room, header, HEADER_BYTES);
    for (size_t at = 0; at < len; at += BLOCK_BYTES) {
        if (!deflate_block(in + at, len - at < BLOCK_BYTES ? len - at : BLOCK_BYTES, out, err))
            return false;
    }
    return true;
}
