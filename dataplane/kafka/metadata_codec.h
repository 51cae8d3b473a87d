/* Metadata version 12: topics by name or by id (KIP-516), for the gateway's own questions to a backend. */
#ifndef SLC_DATAPLANE_KAFKA_METADATA_CODEC_H
#define SLC_DATAPLANE_KAFKA_METADATA_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/error.h"

#define SLC_KAFKA_METADATA_KEY     3
#define SLC_KAFKA_METADATA_VERSION 12
#define SLC_KAFKA_TOPIC_MAX        249 /* bytes of a topic's name */
#define SLC_KAFKA_HOST_MAX         255
#define SLC_KAFKA_CLUSTER_ID_MAX   63

/* Asks for one topic: by name, or by id when `name` is NULL. */
typedef struct slc_kafka_topic_query {
    const char *name;
    uint8_t id[16];
} slc_kafka_topic_query;

typedef struct slc_kafka_broker {
    int32_t id;
    int32_t port;
    char host[SLC_KAFKA_HOST_MAX + 1];
} slc_kafka_broker;

typedef struct slc_kafka_partition {
    int32_t index;
    int32_t leader;       /* broker id, -1 when there is none */
    int32_t leader_epoch; /* -1 when unknown */
    int16_t error;
} slc_kafka_partition;

typedef struct slc_kafka_topic {
    int16_t error; /* Kafka's error code, 0 for none */
    bool internal;
    char name[SLC_KAFKA_TOPIC_MAX + 1]; /* "" when it was asked by id and is not known */
    uint8_t id[16];                     /* zero when it is not known */
    size_t first_partition;             /* index into slc_kafka_metadata.partitions */
    size_t partitions;
} slc_kafka_topic;

/* Init with zeroes; release frees the arrays. Order is the broker's: partitions are not sorted. */
typedef struct slc_kafka_metadata {
    int32_t throttle_ms;
    int32_t controller;
    char cluster_id[SLC_KAFKA_CLUSTER_ID_MAX + 1];
    slc_kafka_broker *brokers;
    size_t n_brokers;
    slc_kafka_topic *topics;
    size_t n_topics;
    slc_kafka_partition *partitions;
    size_t n_partitions;
    size_t caps_[3];
} slc_kafka_metadata;

typedef struct slc_kafka_metadata_limits {
    size_t brokers;
    size_t topics;
    size_t partitions; /* of all topics together */
} slc_kafka_metadata_limits;

/* Adds a request frame, length prefix included. `n` 0 asks for the brokers alone. Never creates topics.
 * `client_id` may be NULL. False with `err` (SLC_LIMIT, SLC_INVALID for a name that is too long); `out` is then
 * as it was. */
bool slc_kafka_metadata_request(slc_buf *out, int32_t correlation_id, const char *client_id,
                                const slc_kafka_topic_query *topics, size_t n, slc_error *err) SLC_CHECKED;

/* Reads the answer (a frame without its length prefix) into `metadata`, which must be zeroed or released. False
 * with `err`: SLC_INVALID, or SLC_LIMIT over the limits; `metadata` is then released. */
bool slc_kafka_metadata_response(const uint8_t *frame, size_t len, int32_t correlation_id,
                                 const slc_kafka_metadata_limits *limits, slc_kafka_metadata *metadata,
                                 slc_error *err) SLC_CHECKED;

/* Frees the arrays and zeroes the struct. */
void slc_kafka_metadata_release(slc_kafka_metadata *metadata);

#endif
