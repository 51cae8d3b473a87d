/* What mediation needs of a broker, as an operations table: Kafka by librdkafka (kafka.c), an in-memory one for
 * unit tests (memory.c), others later.
 *
 * Calls never block, except `close`, and may come from any thread. Results come back on the broker's own
 * threads by the callbacks given, never before the call returned to a caller on another thread's loop; the
 * callee must not do more than post to a mailbox.
 */
#ifndef SLC_DATAPLANE_BROKER_BROKER_H
#define SLC_DATAPLANE_BROKER_BROKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "dataplane/broker/record.h"
#include "dataplane/config/snapshot.h"

typedef struct slc_broker slc_broker;

typedef struct slc_broker_settings {
    int64_t publish_deadline_ms;  /* a record is acknowledged or given up within it */
    int64_t producer_queue_bytes; /* records that are not acknowledged yet; over it SLC_LIMIT */
    int64_t gather_ms;      /* a record waits so long for company while few of its partition are under way */
    int64_t fetch_bytes;    /* of one answer to a consumer; with half of it in advance it asks for more */
    int64_t inflated_bytes; /* of one batch that is read, at most; what is larger is an unreadable record */
    int64_t refresh_ms;     /* how often callers look at a topic again */
    int64_t metadata_timeout_ms; /* of one question about topics */
} slc_broker_settings;

enum slc_publish_outcome {
    SLC_PUBLISHED,        /* acknowledged by all in-sync replicas */
    SLC_NOT_PERSISTED,    /* certainly not stored: safe to retry (503) */
    SLC_OUTCOME_UNKNOWN,  /* may be stored (504) */
    SLC_RECORD_TOO_LARGE, /* 413 */
    SLC_TOPIC_MISSING,    /* 502 */
    SLC_QUEUE_FULL,       /* 429 */
    SLC_NOT_AUTHORISED,   /* the gateway's own credentials are refused: 502 */
    SLC_RECORD_REFUSED,   /* the broker does not store such a record, alone or not: 422 */
    SLC_PUBLISH_OUTCOMES,
};

typedef struct slc_broker_header {
    const char *name;
    const void *value; /* NULL: null value */
    size_t value_len;
} slc_broker_header;

typedef struct slc_outgoing {
    const char *topic;
    const void *key; /* NULL: none */
    size_t key_len;
    /* By what the partition is chosen, when it is not the key: as it was before it was encrypted. NULL: the key
     */
    const void *partition_key;
    size_t partition_key_len;
    const void *value; /* NULL: tombstone */
    size_t value_len;
    const slc_broker_header *headers;
    size_t header_count;
    int64_t limit_bytes; /* the topic's largest batch; 0: unknown */
    int32_t partitions;  /* of the topic; 0: unknown */
} slc_outgoing;

typedef void (*slc_published_fn)(void *ctx, enum slc_publish_outcome outcome, int32_t partition,
                                 int64_t offset);

/* A consumer of one topic with assigned partitions; no group is ever joined. */
typedef struct slc_consumer slc_consumer;
typedef struct slc_consumer_callbacks {
    /* Records in partition order; the callee owns one reference of each. False: enough for now; the consumer
     * pauses at once, until `pause(false)`. */
    bool (*on_records)(void *ctx, slc_record **records, size_t count);
    /* The end of a partition was reached: next offset to be written (last stable offset). */
    void (*on_end)(void *ctx, int32_t partition, int64_t offset);
    /* The offset asked for is outside of what the broker holds: earliest and latest it has. The partition is
     * paused until `seek`. */
    void (*on_out_of_range)(void *ctx, int32_t partition, int64_t requested, int64_t earliest, int64_t latest);
    /* SLC_UNAVAILABLE: retried by the broker library; SLC_NOT_FOUND: the topic is missing; SLC_DENIED;
     * SLC_STALE: the topic was made anew, so that the offsets mean nothing: stop. NULL: it works again. */
    void (*on_error)(void *ctx, const slc_error *err);
} slc_consumer_callbacks;

typedef struct slc_topic_info {
    int32_t partitions;
    uint8_t topic_id[16];      /* zero: unknown */
    int64_t max_message_bytes; /* the largest batch, whose only record may fill it; 0: unknown */
    bool compacted;            /* records need a key; false also when unknown */
} slc_topic_info;

enum { SLC_OFFSET_EARLIEST = -2, SLC_OFFSET_LATEST = -1 };

/* `info` or `offsets` is NULL when `err` is not. */
/* Both known, and not the same. */
bool slc_topic_id_differs(const uint8_t a[16], const uint8_t b[16]);
bool slc_topic_id_known(const uint8_t id[16]);

typedef void (*slc_topic_info_fn)(void *ctx, const slc_topic_info *info, const slc_error *err);
typedef void (*slc_offsets_fn)(void *ctx, const int64_t *offsets, int32_t count, const slc_error *err);

typedef struct slc_broker_ops {
    const char *name;
    /* Copies what it needs of `backend`. Succeeds also when the brokers cannot be reached now. */
    slc_broker *(*open)(const slc_backend *backend, const slc_broker_settings *settings, slc_error *err);
    /* After every consumer was stopped. Blocks until records under way are decided and the threads have ended;
     * the remaining callbacks of queries and publishes come before it returns. */
    void (*close)(slc_broker *broker);
    /* Copies the record. False with SLC_LIMIT when the queue is full, SLC_TOO_LARGE: `fn` is not called then;
     * it is called exactly once otherwise, within the publish deadline and a little. */
    bool (*publish)(slc_broker *broker, const slc_outgoing *record, slc_published_fn fn, void *ctx,
                    slc_error *err);
    /* What `record` takes as the only one of its batch, to compare with a topic's max_message_bytes. */
    size_t (*stored_bytes)(const slc_outgoing *record);
    /* Errors: SLC_NOT_FOUND, SLC_DENIED, SLC_UNAVAILABLE, SLC_TIMEOUT. `timeout_ms` from now. An answer that is
     * no older than `max_age_ms` will do; 0: ask. */
    void (*topic_info)(slc_broker *broker, const char *topic, int64_t max_age_ms, int timeout_ms,
                       slc_topic_info_fn fn, void *ctx);
    /* For each partition the first offset whose timestamp >= wall_ms, or its end; SLC_OFFSET_* give the start
     * and the end. SLC_UNSUPPORTED where the broker has no lookup by time. */
    void (*offsets)(slc_broker *broker, const char *topic, int32_t partitions, int64_t wall_ms_or_special,
                    int timeout_ms, slc_offsets_fn fn, void *ctx);
    /* Real offsets, one for each partition, of the topic with that id (zero: unknown). Problems, also those of
     * starting, come by on_error. An offset out of range is reported only after a look at the id; a topic that
     * was made anew and has grown past the offsets is the caller's to find, by topic_info. */
    slc_consumer *(*consume)(slc_broker *broker, const char *topic, const uint8_t topic_id[16],
                             const int64_t *offsets, int32_t partitions,
                             const slc_consumer_callbacks *callbacks, void *ctx);
    void (*seek)(slc_consumer *consumer, int32_t partition, int64_t offset);
    void (*pause)(slc_consumer *consumer, bool paused); /* all partitions: back-pressure */
    /* No callback comes after `done`, which comes once; the consumer is gone then. */
    void (*stop)(slc_consumer *consumer, void (*done)(void *ctx), void *ctx);
    /* True when connected; else the last error's text is copied. `since` is when that state began. */
    bool (*health)(slc_broker *broker, char *last_error, size_t size, int64_t *since_wall_ms);
} slc_broker_ops;

/* For Kafka, and for what stands in for it: with the overhead of record and batch, without compression. */
size_t slc_record_stored_bytes(const slc_outgoing *record);

extern const slc_broker_ops slc_broker_kafka;
extern const slc_broker_ops slc_broker_memory;

#endif
