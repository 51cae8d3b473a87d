/* Reading the answers to the gateway's own requests, whole in memory: the walker with the frame's header
 * checked. */
#ifndef SLC_DATAPLANE_KAFKA_DECODE_H
#define SLC_DATAPLANE_KAFKA_DECODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "dataplane/kafka/walk.h"

/* Gets every event of the body in wire order. False stops the reading, with `err` filled. */
typedef bool slc_kafka_visit_fn(void *ctx, const slc_kafka_event *event, slc_error *err);

/* Reads a response frame (its length prefix excluded) to a request of that key and version. False with `err`:
 * SLC_INVALID when it is malformed or answers another correlation id, SLC_UNSUPPORTED, or the visitor's. */
bool slc_kafka_response_decode(int key, int version, int32_t correlation_id, const uint8_t *frame, size_t len,
                               slc_kafka_visit_fn *visit, void *ctx, slc_error *err) SLC_CHECKED;

/* The same for a request whose header was read; `body` is what follows it. */
bool slc_kafka_body_decode(const slc_kafka_message *message, int version, const uint8_t *body, size_t len,
                           slc_kafka_visit_fn *visit, void *ctx, slc_error *err) SLC_CHECKED;

/* Is this a value of the field with that name? */
bool slc_kafka_event_is(const slc_kafka_event *event, const char *name);

/* Copies a string's content and a NUL into `to`; null becomes "". SLC_LIMIT when it does not fit. A NUL inside
 * is SLC_INVALID. */
bool slc_kafka_event_copy(const slc_kafka_event *event, char *to, size_t cap, slc_error *err) SLC_CHECKED;

#endif
