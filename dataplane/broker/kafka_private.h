/* Inside of the Kafka broker. Three threads for each backend: `loop` polls every librdkafka handle through
 * eventfds, `queries` makes the calls of librdkafka that block, and `meta` asks what librdkafka does not know.
 * A sick cluster delays nobody but itself.
 */
#ifndef SLC_DATAPLANE_BROKER_KAFKA_PRIVATE_H
#define SLC_DATAPLANE_BROKER_KAFKA_PRIVATE_H

#include <event2/event.h>
#include <librdkafka/rdkafka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>

#include "common/loop.h"
#include "dataplane/broker/broker.h"
#include "dataplane/broker/kafka_lanes.h"
#include "dataplane/broker/kafka_wire.h"
#include "dataplane/config/strmap.h"

#define SLC_KAFKA_MAGIC 0x4b41464bU

struct slc_kafka;

/* What a librdkafka handle's opaque points at. */
typedef struct slc_kafka_handle {
    struct slc_kafka *kafka; /* not after it was given to be reaped */
    slc_backend *backend;    /* own references: librdkafka's threads ask and log until the very end */
    slc_kafka_tokens *tokens;
    void *owner; /* the consumer; NULL for producers */
    rd_kafka_t *rk;
    rd_kafka_queue_t *queue; /* where everything of the handle arrives; NULL: not polled */
    int wake_fd;
    struct event *wake;
    void (*serve)(struct slc_kafka_handle *handle); /* on `loop`: drain the queue */
    slc_strmap topics;                              /* of a producer, by name: rd_kafka_topic_t */
} slc_kafka_handle;

enum slc_kafka_use {
    SLC_KAFKA_QUICK_PRODUCER,
    SLC_KAFKA_BULK_PRODUCER,
    SLC_KAFKA_SINGLE_PRODUCER,
    SLC_KAFKA_CONSUMER,
    SLC_KAFKA_QUERY
};

/* A configuration for one handle of the backend: connection, security, and the role's table. NULL on error. */
rd_kafka_conf_t *slc_kafka_conf_new(struct slc_kafka *kafka, enum slc_kafka_use role,
                                    slc_error *err) SLC_CHECKED;
/* kafka_tunnel.c: does this librdkafka need us to authenticate for it? Then it speaks plaintext, to us. */
bool slc_kafka_tunnel_needed(const slc_backend *backend);
void slc_kafka_tunnel_prepare(rd_kafka_conf_t *conf, const slc_backend *backend);

/* kafka_oauth.c: has the handle ask us for access tokens, on a thread of its own. Before and after
 * rd_kafka_new. */
void slc_kafka_oauth_prepare(rd_kafka_conf_t *conf, const slc_backend *backend);
void slc_kafka_oauth_start(slc_kafka_handle *handle);

/* Of a producer: its largest batch. */
bool slc_kafka_conf_batch(rd_kafka_conf_t *conf, int64_t bytes, slc_error *err) SLC_CHECKED;
/* Creates the handle (conf is consumed either way). */
bool slc_kafka_handle_open(slc_kafka_handle *handle, rd_kafka_conf_t *conf, rd_kafka_type_t type,
                           slc_error *err) SLC_CHECKED;
/* On `loop`: starts and stops polling. */
void slc_kafka_handle_poll(slc_kafka_handle *handle, void (*serve)(slc_kafka_handle *handle));
void slc_kafka_handle_unpoll(slc_kafka_handle *handle);

/* librdkafka's codes as ours, with a message that may name brokers: for logs and health, not for clients. */
bool slc_kafka_fail(slc_error *err, rd_kafka_resp_err_t code, const char *what);
bool slc_kafka_is_outage(rd_kafka_resp_err_t code);

/* Producers by the topic's limit: a batch must stay under it, or the broker fails all of its records. */
#define SLC_KAFKA_SMALLEST_BATCH 10 /* 1 KiB, as a power of two */
#define SLC_KAFKA_LARGEST_BATCH  19 /* 512 KiB: a topic that takes more takes the main producer's batches */
#define SLC_KAFKA_SIZES          (SLC_KAFKA_LARGEST_BATCH - SLC_KAFKA_SMALLEST_BATCH + 1)
#define SLC_KAFKA_MAIN_BATCH     900000

/* A place for a producer, which is made at need. */
typedef struct slc_kafka_slot {
    slc_kafka_handle *handle; /* NULL: not yet */
    enum slc_kafka_use use;
    int64_t batch_bytes;
} slc_kafka_slot;

typedef struct slc_kafka_producer {
    /* By the largest batch, the last for topics with the usual limit; and by how they wait (slc_lane_way). */
    slc_kafka_slot slots[SLC_KAFKA_SIZES + 1][2];
    slc_kafka_slot single; /* one record a request: for what failed in company */
    pthread_mutex_t inbox_lock;
    TAILQ_HEAD(slc_publish_ops, slc_publish_op) inbox; /* locked */
    bool woken;                                        /* locked: `wake` is posted */
    slc_message wake;
    slc_lanes lanes; /* the loop's, as all that follow */
    struct event *flush;
    unsigned retiring; /* replaced handles whose records are not all decided */
} slc_kafka_producer;

/* Handles on their way out. Outlives the backend when one of them never ends: see slc_kafka_reap. */
typedef struct slc_kafka_reaper {
    pthread_mutex_t lock;
    pthread_cond_t done;
    unsigned refs, left;
} slc_kafka_reaper;

typedef struct slc_kafka_meta slc_kafka_meta;

/* Why a backend is down; the later ones say more. That nobody answers follows from each of the others. */
enum slc_kafka_trouble {
    SLC_KAFKA_SILENT,  /* no answer, no connection */
    SLC_KAFKA_REFUSED, /* the handshake fails: a certificate, a mechanism. librdkafka says so once in 30 s */
    SLC_KAFKA_DENIED,  /* the credentials are refused: said until it is up again */
};

typedef struct slc_kafka {
    unsigned magic;
    slc_backend *backend;
    slc_broker_settings settings;
    slc_loop *loop;
    slc_loop *queries;
    slc_kafka_meta *meta;
    slc_kafka_producer producer;
    TAILQ_HEAD(, slc_kafka_consumer) consumers; /* loop's */
    atomic_llong queued_bytes;
    atomic_bool embedded; /* librdkafka's mock cluster: no lookup by time, fetches wait their whole time */
    slc_kafka_handle *query;
    struct event *ping;
    pthread_mutex_t health_lock;
    bool up;
    enum slc_kafka_trouble trouble; /* what last_error tells of, since told_ms (monotonic) */
    char last_error[384];
    int64_t told_ms;
    int64_t since_ms;
    pthread_mutex_t queue_lock;
    pthread_cond_t queue_empty; /* queued_bytes became 0 */
    slc_kafka_reaper *reaper;
    slc_kafka_tokens *tokens;
} slc_kafka;

/* The state of the backend, told to health and to every consumer on a change. Any thread. */
void slc_kafka_set_up(slc_kafka *kafka);
void slc_kafka_set_down(slc_kafka *kafka, enum slc_kafka_trouble trouble, const slc_error *err);

/* Destroys a handle on a thread of its own, since that waits for librdkafka's threads. Polling must have
 * stopped. Regression 3: a consumer of librdkafka 2.0 whose topic was deleted never ends, so nothing may wait
 * for that without a bound: its threads are left behind. */
void slc_kafka_reap(slc_kafka *kafka, slc_kafka_handle *handle);

/* kafka_producer.c */
bool slc_kafka_producer_init(slc_kafka *kafka, slc_error *err) SLC_CHECKED;
void slc_kafka_producer_release(slc_kafka *kafka); /* loop; every record is decided */
bool slc_kafka_publish(slc_broker *broker, const slc_outgoing *record, slc_published_fn fn, void *ctx,
                       slc_error *err);

/* kafka_meta.c */
bool slc_kafka_meta_init(slc_kafka *kafka, slc_error *err) SLC_CHECKED;
/* Breaks off what is under way; open questions go to `queries`, which must still run. */
void slc_kafka_meta_release(slc_kafka *kafka);
void slc_kafka_topic_info(slc_broker *broker, const char *topic, int64_t max_age_ms, int timeout_ms,
                          slc_topic_info_fn fn, void *ctx);

/* kafka_query.c */
bool slc_kafka_query_init(slc_kafka *kafka, slc_error *err) SLC_CHECKED;
void slc_kafka_query_release(slc_kafka *kafka);
/* By librdkafka: partitions alone. */
void slc_kafka_plain_topic_info(slc_kafka *kafka, const char *topic, int timeout_ms, slc_topic_info_fn fn,
                                void *ctx);
void slc_kafka_offsets(slc_broker *broker, const char *topic, int32_t partitions, int64_t wall_ms_or_special,
                       int timeout_ms, slc_offsets_fn fn, void *ctx);
/* Any thread: the backend went down, so ask sooner. */
void slc_kafka_ping_soon(slc_kafka *kafka);
/* The bounds of one partition. */
typedef void (*slc_kafka_bounds_fn)(void *ctx, int64_t earliest, int64_t latest, const slc_error *err);
void slc_kafka_bounds(slc_kafka *kafka, const char *topic, int32_t partition, slc_kafka_bounds_fn fn,
                      void *ctx);

/* kafka_consumer.c */
slc_consumer *slc_kafka_consume(slc_broker *broker, const char *topic, const uint8_t *topic_id,
                                const int64_t *offsets, int32_t partitions,
                                const slc_consumer_callbacks *callbacks, void *ctx);
void slc_kafka_seek(slc_consumer *consumer, int32_t partition, int64_t offset);
void slc_kafka_pause(slc_consumer *consumer, bool paused);
void slc_kafka_stop(slc_consumer *consumer, void (*done)(void *ctx), void *ctx);
void slc_kafka_consumers_state(slc_kafka *kafka, const slc_error *err); /* loop */

/* kafka_batch.c: the batch that has an offset, as its header says. */
typedef struct slc_kafka_batch_place {
    int64_t first, last, timestamp_ms;
} slc_kafka_batch_place;
/* On `queries`; `place` is NULL when `err` is not. */
typedef void (*slc_kafka_batch_fn)(void *ctx, const slc_kafka_batch_place *place, const slc_error *err);
void slc_kafka_find_batch(slc_kafka *kafka, const char *topic, int32_t partition, int64_t offset,
                          slc_kafka_batch_fn fn, void *ctx);

#endif
