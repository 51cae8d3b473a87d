/* Request and response headers (KIP-482 for their versions, KIP-511 for ApiVersions'). */
#ifndef SLC_DATAPLANE_KAFKA_HEADER_H
#define SLC_DATAPLANE_KAFKA_HEADER_H

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "dataplane/kafka/walk.h"

typedef struct slc_kafka_request_header {
    int16_t key;
    int16_t version;
    int32_t correlation_id;
    const uint8_t *client_id; /* in the caller's bytes; NULL when null */
    size_t client_id_len;
    size_t size;                      /* of the header: the body begins here */
    const slc_kafka_message *message; /* the request's */
} slc_kafka_request_header;

/* Reads the header at the start of a frame of `size` bytes (its length prefix excluded), of which `len` are
 * there: DONE, MORE, or FAILED. A key or version that the table does not have is SLC_UNSUPPORTED, with key,
 * version and correlation id valid, so that it can be answered; SLC_INVALID is a broken header. */
enum slc_kafka_step slc_kafka_request_header_read(const uint8_t *data, size_t len, size_t size,
                                                  slc_kafka_request_header *header, slc_error *err) SLC_CHECKED;

/* The header of a response to `message` (a response of the table) in `version`: its correlation id, and in
 * `*header_size` its bytes. DONE, MORE or FAILED. */
enum slc_kafka_step slc_kafka_response_header_read(const slc_kafka_message *message, int version,
                                                   const uint8_t *data, size_t len, size_t size,
                                                   int32_t *correlation_id, size_t *header_size,
                                                   slc_error *err) SLC_CHECKED;

#endif
