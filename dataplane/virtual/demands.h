/* What may be demanded of native requests beside rights: how topics are made and configured, how batches are
 * written, what clients call themselves. A view tells its guard each thing that a request wants; the guard asks
 * the policies (dataplane/policy/kafka_requests.c).
 *
 * What is refused: topics and configurations go to the backend under a name that cannot exist, as what the
 * guard denies does; batches go to a partition that cannot exist. So the broker makes the answer, in which
 * everything else has its own, and the view puts the error there. Which error a batch gets is told by the
 * partition's number, so that nothing has to be remembered.
 *
 * The worker's thread. */
#ifndef SLC_DATAPLANE_VIRTUAL_DEMANDS_H
#define SLC_DATAPLANE_VIRTUAL_DEMANDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "dataplane/kafka/edit.h"
#include "dataplane/kafka/walk.h"

/* Kafka's error codes. */
enum {
    SLC_KAFKA_CORRUPT_MESSAGE = 2,
    SLC_KAFKA_MESSAGE_TOO_LARGE = 10,
    SLC_KAFKA_NOT_ENOUGH_REPLICAS = 19,
    SLC_KAFKA_INVALID_REQUIRED_ACKS = 21,
    SLC_KAFKA_TOPIC_AUTHORIZATION_FAILED = 29,
    SLC_KAFKA_UNSUPPORTED_FOR_MESSAGE_FORMAT = 43,
    SLC_KAFKA_POLICY_VIOLATION = 44,
    SLC_KAFKA_STORAGE_ERROR = 56,
    SLC_KAFKA_UNSUPPORTED_COMPRESSION_TYPE = 76,
    SLC_KAFKA_INVALID_RECORD = 87,
};

enum slc_demand_kind {
    SLC_DEMAND_TOPIC = 1 << 0,     /* a topic is made, or gets more partitions */
    SLC_DEMAND_CONFIGS = 1 << 1,   /* configurations of a topic are changed */
    SLC_DEMAND_BATCH = 1 << 2,     /* a batch is written */
    SLC_DEMAND_CLIENT_ID = 1 << 3, /* any request is made */
};
#define SLC_DEMAND_TOPICS (SLC_DEMAND_TOPIC | SLC_DEMAND_CONFIGS)

/* As in IncrementalAlterConfigs. */
enum slc_config_operation { SLC_CONFIG_SET, SLC_CONFIG_DELETE, SLC_CONFIG_APPEND, SLC_CONFIG_SUBTRACT };

typedef struct slc_demand_config {
    slc_kafka_span name;
    slc_kafka_span value; /* `data` NULL: null */
    enum slc_config_operation operation;
} slc_demand_config;

/* What a request wants; only what belongs to the kind is filled. */
typedef struct slc_demand {
    enum slc_demand_kind kind;
    const uint8_t *topic; /* as the client says it; NULL: not known, or of none */
    size_t topic_len;
    bool made;                        /* TOPIC: it is new; else it gets more partitions */
    int64_t partitions;               /* TOPIC: -1: as many as the broker chooses */
    int32_t replicas;                 /* TOPIC: the fewest of a partition; -1: likewise, or not said */
    int32_t most_replicas;            /* TOPIC: the most of one */
    bool whole;                       /* CONFIGS: all others go back to their defaults; so has a new topic */
    const slc_demand_config *configs; /* TOPIC, CONFIGS */
    size_t config_count;
    int16_t acks;             /* BATCH */
    uint8_t codec;            /* BATCH: 0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd */
    bool idempotent;          /* BATCH: it has a producer id */
    const uint8_t *client_id; /* CLIENT_ID: NULL: none */
    size_t client_id_len;
} slc_demand;

/* Batches as a Produce request holds them: calls `fn` for each that the records hold whole headers of, until it
 * says false. Kafka's record batch, magic 2, and the messages before it. */
typedef struct slc_batch_head {
    uint8_t codec;
    bool idempotent;
} slc_batch_head;
bool slc_batches_each(const uint8_t *records, size_t len, bool (*fn)(const slc_batch_head *head, void *arg),
                      void *arg);

/* A partition that does not exist, and says of `index` that it was refused, and why. False: it cannot be said
 * of this index or code. */
bool slc_refused_partition(int64_t index, int16_t code, int64_t *sent);
/* The way back. False: it is an ordinary one. */
bool slc_refused_partition_of(int64_t sent, int64_t *index, int16_t *code);

#endif
