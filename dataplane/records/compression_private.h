/* What the codecs share. */
#ifndef SLC_DATAPLANE_RECORDS_COMPRESSION_PRIVATE_H
#define SLC_DATAPLANE_RECORDS_COMPRESSION_PRIVATE_H

#define ZLIB_CONST /* input of zlib is const */

#include <lz4frame.h>
#include <zlib.h>
#include <zstd.h>

#include "dataplane/records/compression.h"

/* A codec's state is NULL (or `ready` false) until it is needed. */
struct slc_compression {
    slc_compression_options options;
    slc_buf inflated; /* its max is one more than the limit, so that a stream that ends there can say so */
    z_stream inflate;
    z_stream deflate;
    bool inflate_ready;
    bool deflate_ready;
    LZ4F_dctx *lz4_in;
    LZ4F_cctx *lz4_out;
    ZSTD_DCtx *zstd_in;
    ZSTD_CCtx *zstd_out;
};

/* Each adds to c->inflated, which is empty. */
bool slc_gzip_inflate(slc_compression *c, const uint8_t *in, size_t len, slc_error *err) SLC_CHECKED;
bool slc_snappy_inflate(slc_compression *c, const uint8_t *in, size_t len, slc_error *err) SLC_CHECKED;
bool slc_lz4_inflate(slc_compression *c, const uint8_t *in, size_t len, slc_error *err) SLC_CHECKED;
bool slc_zstd_inflate(slc_compression *c, const uint8_t *in, size_t len, slc_error *err) SLC_CHECKED;

/* Each adds to `out`. */
bool slc_gzip_deflate(slc_compression *c, const uint8_t *in, size_t len, slc_buf *out,
                      slc_error *err) SLC_CHECKED;
bool slc_snappy_deflate(slc_compression *c, const uint8_t *in, size_t len, slc_buf *out,
                        slc_error *err) SLC_CHECKED;
bool slc_lz4_deflate(slc_compression *c, const uint8_t *in, size_t len, slc_buf *out,
                     slc_error *err) SLC_CHECKED;
bool slc_zstd_deflate(slc_compression *c, const uint8_t *in, size_t len, slc_buf *out,
                      slc_error *err) SLC_CHECKED;

/* The room behind the content of c->inflated: all that is allocated, and `want` bytes at least as far as the
 * limit lets. It becomes content; what is not used must be taken back from `len`. NULL with `err` over the
 * limit. */
uint8_t *slc_inflated_room(slc_compression *c, size_t want, size_t *room, slc_error *err) SLC_CHECKED;

bool slc_inflated_too_large(const slc_compression *c, slc_error *err);
bool slc_not_of_codec(enum slc_codec codec, const char *why, slc_error *err);
/* Room for `most` bytes in `out`, which become content; NULL with `err`. */
uint8_t *slc_deflated_room(slc_buf *out, size_t most, slc_error *err) SLC_CHECKED;

#endif
