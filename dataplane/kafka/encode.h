/* Writing the few messages that the gateway itself speaks. All functions add to a slc_buf and leave errors to
 * its sticky `overflow`, which slc_kafka_frame_end checks. */
#ifndef SLC_DATAPLANE_KAFKA_ENCODE_H
#define SLC_DATAPLANE_KAFKA_ENCODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/error.h"

void slc_kafka_add_int8(slc_buf *out, int8_t value);
void slc_kafka_add_int16(slc_buf *out, int16_t value);
void slc_kafka_add_int32(slc_buf *out, int32_t value);
void slc_kafka_add_int64(slc_buf *out, int64_t value);
void slc_kafka_add_uvarint(slc_buf *out, uint32_t value);

/* `data` NULL writes null. At most SLC_KAFKA_MAX_STRING bytes (a bug otherwise). */
void slc_kafka_add_string(slc_buf *out, bool compact, const char *data, size_t len);
void slc_kafka_add_bytes(slc_buf *out, bool compact, const uint8_t *data, size_t len);
/* -1 writes a null array. */
void slc_kafka_add_count(slc_buf *out, bool compact, int32_t count);
/* An empty tagged section. */
void slc_kafka_add_no_tags(slc_buf *out);

/* Begins a request frame: room for its length, then the header of its version. `client_id` may be NULL. Returns
 * where the frame begins in `out`, for slc_kafka_frame_end. The key and version must be in the table (a bug
 * otherwise). */
size_t slc_kafka_request_begin(slc_buf *out, int key, int version, int32_t correlation_id,
                               const char *client_id);

/* The same for a response. */
size_t slc_kafka_response_begin(slc_buf *out, int key, int version, int32_t correlation_id);

/* Writes the frame's length. False with `err` (SLC_LIMIT) when anything since the beginning did not fit; `out`
 * is then cut back to the frame's beginning. */
bool slc_kafka_frame_end(slc_buf *out, size_t begin, slc_error *err) SLC_CHECKED;

#endif
