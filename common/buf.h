/* A growable byte buffer with a limit from birth (as curl's dynbuf). Not thread safe; the holder owns it. */
#ifndef SLC_COMMON_BUF_H
#define SLC_COMMON_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

typedef struct slc_buf {
    uint8_t *data; /* NUL-terminated one byte past `len` once anything was added; NULL before */
    size_t len;
    size_t cap;
    size_t max;
    bool overflow; /* an addition was refused; sticky until slc_buf_clear */
} slc_buf;

void slc_buf_init(slc_buf *buf, size_t max_bytes);
void slc_buf_release(slc_buf *buf);
/* Forgets the content, keeps the memory. */
void slc_buf_clear(slc_buf *buf);

/* Each returns false and sets `overflow` when the limit would be passed; nothing is added then. Callers that
 * build a document may ignore single results and check `overflow` once at the end. */
bool slc_buf_add(slc_buf *buf, const void *data, size_t len);
bool slc_buf_adds(slc_buf *buf, const char *s);
bool slc_buf_addc(slc_buf *buf, char c);
bool slc_buf_add_int(slc_buf *buf, int64_t value); /* in decimal */
bool slc_buf_addf(slc_buf *buf, const char *fmt, ...) SLC_PRINTF(2, 3);
/* Makes room for `len` more bytes, so that adding them does not move the content; of no effect when over the
 * limit. */
void slc_buf_reserve(slc_buf *buf, size_t len);
/* Room for `len` more bytes at the end, which become content; NULL when over the limit. */
uint8_t *slc_buf_extend(slc_buf *buf, size_t len);

/* Adds `len` bytes as the inside of a JSON string (RFC 8259 section 7), without quotes; bytes that are not
 * UTF-8 become U+FFFD. */
bool slc_buf_add_json_string(slc_buf *buf, const char *s, size_t len);
bool slc_buf_add_base64(slc_buf *buf, const void *data, size_t len);

/* Hands the memory over: the caller frees it. The buffer is empty afterwards. */
char *slc_buf_steal(slc_buf *buf, size_t *len);

#endif
