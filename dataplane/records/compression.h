/* The compression of Kafka's record batches: gzip, snappy (raw, and framed as snappy-java does), lz4 frames,
 * zstd.
 *
 * Everything is done in buffers that are kept: a codec's state is made when it is first needed, and after that
 * nothing is allocated but what libsnappy takes for itself for each block. Not thread safe: one for each
 * worker.
 */
#ifndef SLC_DATAPLANE_RECORDS_COMPRESSION_H
#define SLC_DATAPLANE_RECORDS_COMPRESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/error.h"

/* The numbers are those in a batch's attributes. */
enum slc_codec {
    SLC_CODEC_NONE,
    SLC_CODEC_GZIP,
    SLC_CODEC_SNAPPY,
    SLC_CODEC_LZ4,
    SLC_CODEC_ZSTD,
    SLC_CODECS,
};

typedef struct slc_compression_options {
    size_t inflated_max_bytes; /* of one batch, however small it was: over it is SLC_TOO_LARGE */
    size_t keep_bytes;         /* slc_compression_trim() leaves no more of the inflated buffer than this */
    int gzip_level;            /* 1 to 9 */
    int lz4_level;             /* 0 is the fast one; from 3 on the slow ones, to 12 */
    int zstd_level;            /* 1 to 22 */
} slc_compression_options;

#define SLC_COMPRESSION_DEFAULTS                                                                               \
    ((slc_compression_options){.inflated_max_bytes = 64 << 20,                                                 \
                               .keep_bytes = 2 << 20,                                                          \
                               .gzip_level = 6,                                                                \
                               .lz4_level = 0,                                                                 \
                               .zstd_level = 3})

typedef struct slc_compression slc_compression;

slc_compression *slc_compression_new(const slc_compression_options *options);
void slc_compression_free(slc_compression *compression);

/* "none", "gzip", ... or "unknown". */
const char *slc_codec_name(unsigned codec);

/* Inflates `len` bytes. `*data` is the compression's own until the next inflate, trim or free. False with
 * `err`: SLC_CORRUPT when the bytes are not of that codec, end early or have more behind them; SLC_TOO_LARGE
 * over the limit, before more than that was written. Not for SLC_CODEC_NONE. */
bool slc_inflate(slc_compression *compression, enum slc_codec codec, const uint8_t *in, size_t len,
                 const uint8_t **data, size_t *data_len, slc_error *err) SLC_CHECKED;

/* Adds the bytes to `out`, compressed. lz4 is one frame of independent 64 KiB blocks and snappy is framed as
 * snappy-java writes it, which every client reads. False with `err` (SLC_TOO_LARGE) when it may not fit; `out`
 * is then as it was. */
bool slc_deflate(slc_compression *compression, enum slc_codec codec, const uint8_t *in, size_t len,
                 slc_buf *out, slc_error *err) SLC_CHECKED;

/* Gives memory back that one large batch took. */
void slc_compression_trim(slc_compression *compression);

#endif
