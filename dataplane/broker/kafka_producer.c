/* Publishing. Workers copy a record into one allocation and put it into the inbox of the backend's thread,
 * which hands it to librdkafka when its lane lets it go (kafka_lanes.h); delivery reports come back there.
 */
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/clock.h"
#include "common/log.h"
#include "dataplane/broker/kafka_private.h"

#define RECORD_OVERHEAD 70 /* of a record in its request, at most, beside what is in it */

typedef struct slc_publish_op {
    slc_lane_item item;
    TAILQ_ENTRY(slc_publish_op) link; /* in the inbox */
    slc_kafka *kafka;
    slc_published_fn fn;
    void *ctx;
    rd_kafka_headers_t *headers; /* until librdkafka took them; kept as a copy for a resend */
    size_t size_bytes;
    const char *topic;
    const void *key;
    size_t key_len;
    const void *value;
    size_t value_len;
    int64_t limit_bytes;       /* of the topic's batches; 0: unknown */
    int32_t partitions;        /* of the topic; 0: unknown */
    const void *partition_key; /* by which the partition is chosen instead of by the key; NULL: by that */
    size_t partition_key_len;
    bool alone; /* was sent by the single producer */
    char data[];
} slc_publish_op;

/* Outcomes ----------------------------------------------------------------------------------------------------
 */

static void finish(slc_publish_op *op, enum slc_publish_outcome outcome, int32_t partition, int64_t offset)
{
    slc_kafka *kafka = op->kafka;
    long long size = (long long)op->size_bytes;
    op->fn(op->ctx, outcome, partition, offset);
    if (op->headers != NULL)
        rd_kafka_headers_destroy(op->headers);
    free(op);
    if (atomic_fetch_sub(&kafka->queued_bytes, size) == size) {
        pthread_mutex_lock(&kafka->queue_lock);
        pthread_cond_broadcast(&kafka->queue_empty);
        pthread_mutex_unlock(&kafka->queue_lock);
    }
}

static enum slc_publish_outcome outcome_of(rd_kafka_resp_err_t code, bool maybe_stored)
{
    if (maybe_stored)
        return SLC_OUTCOME_UNKNOWN;
    switch (code) {
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
        return SLC_TOPIC_MISSING;
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
        return SLC_RECORD_TOO_LARGE;
    case RD_KAFKA_RESP_ERR_INVALID_RECORD:
        return SLC_RECORD_REFUSED;
    case RD_KAFKA_RESP_ERR__QUEUE_FULL:
        return SLC_QUEUE_FULL;
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
        return SLC_NOT_AUTHORISED;
    default:
        return SLC_NOT_PERSISTED;
    }
}

/* Others of its lane may go now: as soon as the reports that are here have been taken. */
static void leave_lane(slc_publish_op *op)
{
    slc_kafka_producer *producer = &op->kafka->producer;
    if (op->item.lane == NULL)
        return;
    slc_lane_leave(&producer->lanes, &op->item);
    event_active(producer->flush, EV_TIMEOUT, 1);
}

/* Handles -----------------------------------------------------------------------------------------------------
 */

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque);

static void serve_producer(slc_kafka_handle *handle)
{
    while (rd_kafka_poll(handle->rk, 0) > 0)
        ;
}

static slc_kafka_handle *open_handle(slc_kafka *kafka, const slc_kafka_slot *slot, slc_error *err)
{
    rd_kafka_conf_t *conf = slc_kafka_conf_new(kafka, slot->use, err);
    if (conf == NULL)
        return NULL;
    if (!slc_kafka_conf_batch(conf, slot->batch_bytes, err)) {
        rd_kafka_conf_destroy(conf);
        return NULL;
    }
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    slc_kafka_handle *handle = slc_calloc(1, sizeof *handle);
    handle->kafka = kafka;
    if (!slc_kafka_handle_open(handle, conf, RD_KAFKA_PRODUCER, err)) {
        free(handle);
        return NULL;
    }
    handle->queue = rd_kafka_queue_get_main(handle->rk);
    return handle;
}

/* A replaced handle goes on being polled until its records are decided. */
static void retire_when_empty(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    static const struct timeval pause = {.tv_usec = 100000};
    slc_kafka_handle *handle = arg;
    serve_producer(handle);
    if (rd_kafka_outq_len(handle->rk) > 0) {
        event_base_once(slc_loop_base(handle->kafka->loop), -1, EV_TIMEOUT, retire_when_empty, handle, &pause);
        return;
    }
    handle->kafka->producer.retiring--;
    slc_kafka_handle_unpoll(handle);
    slc_kafka_reap(handle->kafka, handle);
}

static void retire(slc_kafka_handle *handle)
{
    static const struct timeval now = {0};
    rd_kafka_purge(handle->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_NON_BLOCKING);
    handle->kafka->producer.retiring++;
    event_base_once(slc_loop_base(handle->kafka->loop), -1, EV_TIMEOUT, retire_when_empty, handle, &now);
}

/* An idempotent producer that cannot vouch for its sequence any more is of no use: a new one takes its place.
 */
static bool replace(slc_kafka *kafka, slc_kafka_slot *slot)
{
    char text[256];
    slc_error err;
    rd_kafka_fatal_error(slot->handle->rk, text, sizeof text);
    slc_log(SLC_LOG_WARN, "replacing a producer after a fatal error", LS("backend", kafka->backend->msg->name),
            LS("error", text));
    slc_kafka_handle *fresh = open_handle(kafka, slot, &err);
    if (fresh == NULL) {
        slc_log_error(SLC_LOG_ERROR, "cannot replace a producer", &err);
        return false;
    }
    slc_kafka_handle *old = slot->handle;
    slot->handle = fresh;
    slc_kafka_handle_poll(fresh, serve_producer);
    retire(old);
    return true;
}

/* Sending -----------------------------------------------------------------------------------------------------
 */

/* As Java's clients do, who know a key before it is encrypted. Any of librdkafka's threads. */
static int32_t choose_partition(const rd_kafka_topic_t *topic, const void *key, size_t key_len, int32_t count,
                                void *topic_opaque, void *opaque)
{
    const slc_publish_op *op = opaque;
    (void)topic_opaque;
    if (op->partition_key != NULL)
        return rd_kafka_msg_partitioner_murmur2(topic, op->partition_key, op->partition_key_len, count, NULL,
                                                NULL);
    return rd_kafka_msg_partitioner_murmur2_random(topic, key, key_len, count, NULL, NULL);
}

static rd_kafka_topic_t *new_topic(rd_kafka_t *rk, const char *name)
{
    rd_kafka_topic_conf_t *conf = rd_kafka_default_topic_conf_dup(rk);
    rd_kafka_topic_conf_set_partitioner_cb(conf, choose_partition);
    rd_kafka_topic_t *topic = rd_kafka_topic_new(rk, name, conf);
    if (topic == NULL)
        rd_kafka_topic_conf_destroy(conf);
    return topic;
}

/* Making the topic's object asks for its leaders at once; a record for a name alone would wait up to a second
 * for librdkafka's next look around. NULL when librdkafka refuses the name. */
static rd_kafka_topic_t *topic_of(slc_kafka_handle *handle, const char *name)
{
    size_t len = strlen(name);
    rd_kafka_topic_t *topic = slc_strmap_find(&handle->topics, name, len);
    if (topic == NULL && (topic = new_topic(handle->rk, name)) != NULL)
        slc_strmap_add(&handle->topics, rd_kafka_topic_name(topic), len, topic);
    return topic;
}

static rd_kafka_resp_err_t produce(slc_kafka_handle *handle, slc_publish_op *op, int32_t partition)
{
    rd_kafka_topic_t *topic = topic_of(handle, op->topic);
    if (topic == NULL)
        return rd_kafka_last_error();
    rd_kafka_headers_t *headers = op->headers != NULL ? rd_kafka_headers_copy(op->headers) : NULL;
    rd_kafka_vu_t args[] = {
        {.vtype = RD_KAFKA_VTYPE_RKT, .u.rkt = topic},
        {.vtype = RD_KAFKA_VTYPE_VALUE, .u.mem = {(void *)op->value, op->value_len}}, /* stays ours */
        {.vtype = RD_KAFKA_VTYPE_KEY, .u.mem = {(void *)op->key, op->key_len}},
        {.vtype = RD_KAFKA_VTYPE_OPAQUE, .u.ptr = op},
        {.vtype = RD_KAFKA_VTYPE_PARTITION, .u.i32 = partition},
        {.vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = headers},
    };
    size_t count = headers != NULL ? 6 : 5;
    rd_kafka_error_t *error = rd_kafka_produceva(handle->rk, args, count);
    if (error == NULL)
        return RD_KAFKA_RESP_ERR_NO_ERROR;
    rd_kafka_resp_err_t code = rd_kafka_error_code(error);
    rd_kafka_error_destroy(error);
    if (headers != NULL)
        rd_kafka_headers_destroy(headers);
    return code;
}

/* `wish` is what the topic's metadata said when it was asked; librdkafka may know of fewer. */
static rd_kafka_resp_err_t produce_by_wish(slc_kafka_handle *handle, slc_publish_op *op, int32_t wish)
{
    rd_kafka_resp_err_t code = produce(handle, op, wish);
    if (code == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION && wish >= 0)
        code = produce(handle, op, RD_KAFKA_PARTITION_UA);
    return code;
}

/* Opens the producer at its first record. */
static bool is_open(slc_kafka *kafka, slc_kafka_slot *slot)
{
    slc_error err;
    if (slot->handle != NULL)
        return true;
    slot->handle = open_handle(kafka, slot, &err);
    if (slot->handle != NULL)
        slc_kafka_handle_poll(slot->handle, serve_producer);
    else
        slc_log_error(SLC_LOG_ERROR, "cannot open a producer", &err);
    return slot->handle != NULL;
}

static void send_by(slc_kafka *kafka, slc_kafka_slot *slot, slc_publish_op *op, int32_t wish)
{
    if (!is_open(kafka, slot)) {
        leave_lane(op);
        finish(op, SLC_NOT_PERSISTED, -1, -1);
        return;
    }
    rd_kafka_resp_err_t code = produce_by_wish(slot->handle, op, wish);
    if (code == RD_KAFKA_RESP_ERR__FATAL && replace(kafka, slot))
        code = produce_by_wish(slot->handle, op, wish);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        return;
    leave_lane(op);
    finish(op, outcome_of(code, false), -1, -1);
}

static void send_alone(slc_kafka *kafka, slc_publish_op *op)
{
    op->alone = true;
    send_by(kafka, &kafka->producer.single, op, RD_KAFKA_PARTITION_UA);
}

/* The producer whose batches the topic takes. */
static slc_kafka_slot *slot_for(slc_kafka *kafka, int64_t limit_bytes, enum slc_lane_way way)
{
    int size = SLC_KAFKA_LARGEST_BATCH;
    slc_kafka_producer *producer = &kafka->producer;
    if (limit_bytes == 0 || limit_bytes > SLC_KAFKA_MAIN_BATCH)
        return &producer->slots[SLC_KAFKA_SIZES][way];
    while (size >= SLC_KAFKA_SMALLEST_BATCH && 1LL << size > limit_bytes)
        size--;
    return size < SLC_KAFKA_SMALLEST_BATCH ? &producer->single
                                           : &producer->slots[size - SLC_KAFKA_SMALLEST_BATCH][way];
}

static void send_first(void *owner, slc_lane_item *item, enum slc_lane_way way, int32_t wish)
{
    slc_kafka *kafka = owner;
    slc_publish_op *op = (slc_publish_op *)((char *)item - offsetof(slc_publish_op, item));
    slc_kafka_slot *slot = slot_for(kafka, op->limit_bytes, way);
    op->alone = slot == &kafka->producer.single;
    send_by(kafka, slot, op, wish);
}

/* What a broker says of a batch need not be true of each of its records: too large is the batch, and one record
 * that it does not take fails the others. */
static bool is_shared_fault(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE || code == RD_KAFKA_RESP_ERR_INVALID_RECORD;
}

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
    (void)rk;
    slc_kafka *kafka = ((slc_kafka_handle *)opaque)->kafka;
    slc_publish_op *op = message->_private;
    leave_lane(op);
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        finish(op, SLC_PUBLISHED, message->partition, message->offset);
        return;
    }
    rd_kafka_msg_status_t status = rd_kafka_message_status(message);
    if (status ==
        RD_KAFKA_MSG_STATUS_PERSISTED) { /* a duplicate of what is stored: acknowledged, place unknown */
        finish(op, SLC_OUTCOME_UNKNOWN, -1, -1);
        return;
    }
    bool maybe_stored = status == RD_KAFKA_MSG_STATUS_POSSIBLY_PERSISTED && !is_shared_fault(message->err);
    if (is_shared_fault(message->err) && !op->alone)
        send_alone(kafka, op);
    else
        finish(op, outcome_of(message->err, maybe_stored), -1, -1);
}

/* Into their lanes. */
static void take_inbox(slc_kafka *kafka, int64_t now_ms)
{
    slc_publish_op *op;
    slc_kafka_producer *producer = &kafka->producer;
    struct slc_publish_ops taken = TAILQ_HEAD_INITIALIZER(taken);
    pthread_mutex_lock(&producer->inbox_lock);
    TAILQ_CONCAT(&taken, &producer->inbox, link);
    pthread_mutex_unlock(&producer->inbox_lock);
    while ((op = TAILQ_FIRST(&taken)) != NULL) {
        TAILQ_REMOVE(&taken, op, link);
        slc_lane_wish wish = {.topic = op->topic,
                              .key = op->partition_key != NULL ? op->partition_key : op->key,
                              .key_len = op->partition_key != NULL ? op->partition_key_len : op->key_len,
                              .partitions = op->partitions,
                              .request_bytes =
                                  (size_t)slot_for(kafka, op->limit_bytes, SLC_LANE_BULK)->batch_bytes};
        slc_lanes_stage(&producer->lanes, &op->item, &wish, now_ms);
    }
}

static void flush_lanes(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    slc_kafka *kafka = arg;
    slc_kafka_producer *producer = &kafka->producer;
    int64_t now_ms = slc_monotonic_ms();
    take_inbox(kafka, now_ms);
    int64_t wait_ms = slc_lanes_serve(&producer->lanes, now_ms);
    if (wait_ms < 0)
        return;
    struct timeval wait = {.tv_sec = wait_ms / 1000, .tv_usec = wait_ms % 1000 * 1000};
    event_add(producer->flush, &wait);
}

static void on_wake(slc_message *msg, void *owner)
{
    (void)msg;
    slc_kafka *kafka = owner;
    pthread_mutex_lock(&kafka->producer.inbox_lock);
    kafka->producer.woken = false;
    pthread_mutex_unlock(&kafka->producer.inbox_lock);
    event_active(kafka->producer.flush, EV_TIMEOUT, 1); /* after the mailbox is drained */
}

/* Called from anywhere
 * ----------------------------------------------------------------------------------------- */

static void *copy_in(char **at, const void *data, size_t len)
{
    if (data == NULL)
        return NULL;
    char *start = *at;
    if (len > 0)
        memcpy(start, data, len);
    *at += len;
    return start;
}

static rd_kafka_headers_t *copy_headers(const slc_outgoing *record)
{
    if (record->header_count == 0)
        return NULL;
    rd_kafka_headers_t *headers = rd_kafka_headers_new(record->header_count);
    for (size_t i = 0; i < record->header_count; i++) {
        const slc_broker_header *header = &record->headers[i];
        rd_kafka_header_add(headers, header->name, -1, header->value, (ssize_t)header->value_len);
    }
    return headers;
}

static size_t record_bytes(const slc_outgoing *record)
{
    size_t total = record->key_len + record->value_len;
    for (size_t i = 0; i < record->header_count; i++)
        total += strlen(record->headers[i].name) + record->headers[i].value_len;
    return total;
}

static void put(slc_kafka *kafka, slc_publish_op *op)
{
    slc_kafka_producer *producer = &kafka->producer;
    pthread_mutex_lock(&producer->inbox_lock);
    TAILQ_INSERT_TAIL(&producer->inbox, op, link);
    if (!producer->woken) { /* with the lock: there is one message, for one post at a time */
        producer->woken = true;
        slc_mailbox_post(slc_loop_mailbox(kafka->loop), &producer->wake);
    }
    pthread_mutex_unlock(&producer->inbox_lock);
}

bool slc_kafka_publish(slc_broker *broker, const slc_outgoing *record, slc_published_fn fn, void *ctx,
                       slc_error *err)
{
    slc_kafka *kafka = (slc_kafka *)broker;
    SLC_CHECK_MAGIC(kafka, SLC_KAFKA_MAGIC);
    size_t topic_bytes = strlen(record->topic) + 1;
    size_t size = sizeof(slc_publish_op) + topic_bytes + record_bytes(record) + record->partition_key_len + 1;
    if (atomic_fetch_add(&kafka->queued_bytes, (long long)size) + (long long)size >
        (long long)kafka->settings.producer_queue_bytes) {
        atomic_fetch_sub(&kafka->queued_bytes, (long long)size);
        return slc_fail(err, SLC_LIMIT, NULL,
                        "the queue of records that wait for their acknowledgement is full");
    }
    slc_publish_op *op = slc_malloc(size);
    *op = (slc_publish_op){.kafka = kafka, .fn = fn, .ctx = ctx, .size_bytes = size};
    char *at = op->data;
    op->topic = copy_in(&at, record->topic, topic_bytes);
    op->key = copy_in(&at, record->key, record->key_len);
    op->key_len = record->key_len;
    op->value = copy_in(&at, record->value, record->value_len);
    op->value_len = record->value_len;
    op->limit_bytes = record->limit_bytes;
    op->partitions = record->partitions;
    op->partition_key = copy_in(&at, record->partition_key, record->partition_key_len);
    op->partition_key_len = record->partition_key_len;
    op->item.bytes = record_bytes(record) + RECORD_OVERHEAD;
    op->headers = copy_headers(record);
    put(kafka, op);
    return true;
}

/* Life --------------------------------------------------------------------------------------------------------
 */

static slc_kafka_slot *usual_slot(slc_kafka *kafka)
{
    return &kafka->producer.slots[SLC_KAFKA_SIZES][SLC_LANE_QUICK];
}

static void start_polling(void *arg)
{
    slc_kafka *kafka = arg;
    kafka->producer.flush = event_new(slc_loop_base(kafka->loop), -1, 0, flush_lanes, kafka);
    slc_kafka_handle_poll(usual_slot(kafka)->handle, serve_producer);
}

static void init_slots(slc_kafka_producer *producer)
{
    for (int i = 0; i <= SLC_KAFKA_SIZES; i++) {
        int64_t bytes =
            i < SLC_KAFKA_SIZES ? INT64_C(1) << (SLC_KAFKA_SMALLEST_BATCH + i) : SLC_KAFKA_MAIN_BATCH;
        producer->slots[i][SLC_LANE_QUICK] = (slc_kafka_slot){NULL, SLC_KAFKA_QUICK_PRODUCER, bytes};
        producer->slots[i][SLC_LANE_BULK] = (slc_kafka_slot){NULL, SLC_KAFKA_BULK_PRODUCER, bytes};
    }
    producer->single = (slc_kafka_slot){NULL, SLC_KAFKA_SINGLE_PRODUCER, SLC_KAFKA_MAIN_BATCH};
}

bool slc_kafka_producer_init(slc_kafka *kafka, slc_error *err)
{
    init_slots(&kafka->producer);
    slc_lanes_init(&kafka->producer.lanes, kafka->settings.gather_ms, send_first, kafka);
    TAILQ_INIT(&kafka->producer.inbox);
    pthread_mutex_init(&kafka->producer.inbox_lock, NULL);
    kafka->producer.wake.run = on_wake;
    slc_kafka_slot *usual = usual_slot(kafka);
    usual->handle = open_handle(kafka, usual, err);
    if (usual->handle == NULL)
        return false;
    slc_loop_call_sync(kafka->loop, start_polling, kafka);
    return true;
}

static void release_slot(slc_kafka *kafka, slc_kafka_slot *slot)
{
    if (slot->handle == NULL)
        return;
    slc_kafka_handle_unpoll(slot->handle);
    slc_kafka_reap(kafka, slot->handle);
    slot->handle = NULL;
}

void slc_kafka_producer_release(slc_kafka *kafka)
{
    for (size_t i = 0; i <= SLC_KAFKA_SIZES; i++) {
        release_slot(kafka, &kafka->producer.slots[i][SLC_LANE_QUICK]);
        release_slot(kafka, &kafka->producer.slots[i][SLC_LANE_BULK]);
    }
    release_slot(kafka, &kafka->producer.single);
    if (kafka->producer.flush != NULL)
        event_free(kafka->producer.flush);
    slc_lanes_release(&kafka->producer.lanes);
    pthread_mutex_destroy(&kafka->producer.inbox_lock);
}
