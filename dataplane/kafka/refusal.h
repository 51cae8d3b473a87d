/* Answers of the gateway's own that refuse a request: shaped by the table, with the request's own names and
 * partitions, and one error wherever an error code is. No API has code of its own here. */
#ifndef SLC_DATAPLANE_KAFKA_REFUSAL_H
#define SLC_DATAPLANE_KAFKA_REFUSAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/error.h"
#include "dataplane/kafka/header.h"

typedef struct slc_kafka_refusal {
    int16_t code; /* Kafka's */
    bool deep; /* the arrays below an error code repeat the request's as well, for keys whose brokers do so */
    const char *text; /* for fields of free text; NULL: null, or empty where that cannot be */
} slc_kafka_refusal;

/* Adds the answer, length prefix included. Where the answer has an error code its arrays are empty; above it
 * they repeat the request's. Everything else is zero, null or empty. False with `err`: SLC_INVALID (the request
 * is malformed), SLC_LIMIT; `out` is then as it was. */
bool slc_kafka_refuse(slc_buf *out, const slc_kafka_request_header *header, const uint8_t *body, size_t len,
                      const slc_kafka_refusal *refusal, slc_error *err) SLC_CHECKED;

#endif
