/* Fetch version 11, of one partition: for the gateway's own look at a batch. Everything else that is read of
 * Kafka goes through librdkafka or through sessions. */
#ifndef SLC_DATAPLANE_KAFKA_FETCH_CODEC_H
#define SLC_DATAPLANE_KAFKA_FETCH_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/error.h"

#define SLC_KAFKA_FETCH_KEY     1
#define SLC_KAFKA_FETCH_VERSION 11

/* Asks for one byte of the partition from `offset` on, at once, which brings the whole batch that has the
 * offset (KIP-74). `client_id` may be NULL. False with `err` (SLC_LIMIT, SLC_INVALID for a name that is too
 * long); `out` is then as it was. */
bool slc_kafka_fetch_request(slc_buf *out, int32_t correlation_id, const char *client_id, const char *topic,
                             int32_t partition, int64_t offset, slc_error *err) SLC_CHECKED;

typedef struct slc_kafka_fetched {
    int16_t error;          /* of the answer or of the partition: Kafka's code, 0 for none */
    int64_t high_watermark; /* the offset of what comes next that consumers may read */
    const uint8_t *records; /* batches, into the frame; NULL: none */
    size_t len;
} slc_kafka_fetched;

/* Reads the answer (a frame without its length prefix). False with `err` (SLC_INVALID). */
bool slc_kafka_fetch_response(const uint8_t *frame, size_t len, int32_t correlation_id,
                              slc_kafka_fetched *fetched, slc_error *err) SLC_CHECKED;

#endif
