/* Publishing. Workers copy a record into one allocation and put it into the inbox of the backend's thread,
 * which hands what has gathered to librdkafka; delivery reports come back there.
 *
 * A record alone costs librdkafka some 29 us of CPU, one of many 0.5 us. So what comes while others are under
 * way gathers until those are decided, which is when the next ones go: the more load, the larger the batches.
 * It waits for at most settings.gather_ms, so that a long way to the broker does not cost twice; and a little
 * longer when there are nearly as many as a connection carries at once: more would only queue in librdkafka,
 * whose threads spin then. While something is under way the thread will look into its inbox anyway, and nobody
 * wakes it.
 */
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/log.h"
#include "dataplane/broker/kafka_private.h"

#define MANY_BATCHES 2 /* each is one request or several, and librdkafka has five of a connection in flight */
#define LONGER_MS    20

/* What was handed over in one go. */
typedef struct slc_publish_batch {
    unsigned left; /* records that are not decided */
} slc_publish_batch;

typedef struct slc_publish_op {
    TAILQ_ENTRY(slc_publish_op) link;
    slc_kafka *kafka;
    slc_publish_batch *batch; /* NULL: is in none (any more) */
    slc_published_fn fn;
    void *ctx;
    rd_kafka_headers_t *headers; /* until librdkafka took them; kept as a copy for a resend */
    size_t size_bytes;
    const char *topic;
    const void *key;
    size_t key_len;
    const void *value;
    size_t value_len;
    int64_t limit_bytes; /* of the topic's batches; 0: unknown */
    bool alone;          /* was sent by the single producer */
    char data[];
} slc_publish_op;

/* Batches -----------------------------------------------------------------------------------------------------
 */

/* From the inbox to the staged records. From then on nobody needs to wake the thread as long as something is
 * under way, since the end of it, or the timer, will. */
static void take_inbox(slc_kafka *kafka)
{
    slc_kafka_producer *producer = &kafka->producer;
    pthread_mutex_lock(&producer->inbox_lock);
    TAILQ_CONCAT(&producer->staged, &producer->inbox, link);
    producer->attentive =
        kafka->settings.gather_ms > 0 && (producer->batches > 0 || !TAILQ_EMPTY(&producer->staged));
    pthread_mutex_unlock(&producer->inbox_lock);
}

/* When the next records go: at once, or later by what is under way. */
static void schedule(slc_kafka *kafka)
{
    int64_t wait_ms = kafka->settings.gather_ms;
    slc_kafka_producer *producer = &kafka->producer;
    take_inbox(kafka);
    if (!TAILQ_EMPTY(&producer->staged) && (producer->batches == 0 || wait_ms == 0)) {
        event_active(producer->flush, EV_TIMEOUT, 1); /* after the mailbox is drained */
        return;
    }
    if (producer->batches == 0 || wait_ms == 0)
        return;
    if (producer->batches >= MANY_BATCHES && wait_ms < LONGER_MS)
        wait_ms = LONGER_MS;
    struct timeval wait = {.tv_sec = wait_ms / 1000, .tv_usec = wait_ms % 1000 * 1000};
    event_add(producer->flush, &wait);
}

static void leave_batch(slc_publish_op *op)
{
    slc_publish_batch *batch = op->batch;
    slc_kafka_producer *producer = &op->kafka->producer;
    op->batch = NULL;
    if (batch == NULL || --batch->left > 0)
        return;
    free(batch);
    producer->batches--;
    if (producer->batches == 0 || producer->batches == MANY_BATCHES - 1)
        schedule(op->kafka);
}

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

/* Handles -----------------------------------------------------------------------------------------------------
 */

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque);

static void serve_producer(slc_kafka_handle *handle)
{
    while (rd_kafka_poll(handle->rk, 0) > 0)
        ;
}

/* Which of the places in slc_kafka_producer a handle has, and what follows from it. */
static int64_t batch_of(const slc_kafka *kafka, slc_kafka_handle *const *slot)
{
    const slc_kafka_producer *producer = &kafka->producer;
    if (slot == &producer->main || slot == &producer->single)
        return SLC_KAFKA_MAIN_BATCH;
    return 1LL << (SLC_KAFKA_SMALLEST_BATCH + (slot - producer->sized));
}

static slc_kafka_handle *open_handle(slc_kafka *kafka, slc_kafka_handle *const *slot, slc_error *err)
{
    bool single = slot == &kafka->producer.single;
    rd_kafka_conf_t *conf =
        slc_kafka_conf_new(kafka, single ? SLC_KAFKA_SINGLE_PRODUCER : SLC_KAFKA_PRODUCER, err);
    if (conf == NULL)
        return NULL;
    if (!slc_kafka_conf_batch(conf, batch_of(kafka, slot), err)) {
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
static bool replace(slc_kafka *kafka, slc_kafka_handle **slot)
{
    char text[256];
    slc_error err;
    rd_kafka_fatal_error((*slot)->rk, text, sizeof text);
    slc_log(SLC_LOG_WARN, "replacing a producer after a fatal error", LS("backend", kafka->backend->msg->name),
            LS("error", text));
    slc_kafka_handle *fresh = open_handle(kafka, slot, &err);
    if (fresh == NULL) {
        slc_log_error(SLC_LOG_ERROR, "cannot replace a producer", &err);
        return false;
    }
    slc_kafka_handle *old = *slot;
    *slot = fresh;
    slc_kafka_handle_poll(fresh, serve_producer);
    retire(old);
    return true;
}

/* Sending -----------------------------------------------------------------------------------------------------
 */

/* Making the topic's object asks for its leaders at once; a record for a name alone would wait up to a second
 * for librdkafka's next look around. NULL when librdkafka refuses the name. */
static rd_kafka_topic_t *topic_of(slc_kafka_handle *handle, const char *name)
{
    size_t len = strlen(name);
    rd_kafka_topic_t *topic = slc_strmap_find(&handle->topics, name, len);
    if (topic == NULL && (topic = rd_kafka_topic_new(handle->rk, name, NULL)) != NULL)
        slc_strmap_add(&handle->topics, rd_kafka_topic_name(topic), len, topic);
    return topic;
}

static rd_kafka_resp_err_t produce(slc_kafka_handle *handle, slc_publish_op *op)
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
        {.vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = headers},
    };
    size_t count = headers != NULL ? 5 : 4;
    rd_kafka_error_t *error = rd_kafka_produceva(handle->rk, args, count);
    if (error == NULL)
        return RD_KAFKA_RESP_ERR_NO_ERROR;
    rd_kafka_resp_err_t code = rd_kafka_error_code(error);
    rd_kafka_error_destroy(error);
    if (headers != NULL)
        rd_kafka_headers_destroy(headers);
    return code;
}

/* Opens the producer at its first record. */
static bool is_open(slc_kafka *kafka, slc_kafka_handle **slot)
{
    slc_error err;
    if (*slot != NULL)
        return true;
    *slot = open_handle(kafka, slot, &err);
    if (*slot != NULL)
        slc_kafka_handle_poll(*slot, serve_producer);
    else
        slc_log_error(SLC_LOG_ERROR, "cannot open a producer", &err);
    return *slot != NULL;
}

static void send_by(slc_kafka *kafka, slc_kafka_handle **slot, slc_publish_op *op)
{
    if (!is_open(kafka, slot)) {
        leave_batch(op);
        finish(op, SLC_NOT_PERSISTED, -1, -1);
        return;
    }
    rd_kafka_resp_err_t code = produce(*slot, op);
    if (code == RD_KAFKA_RESP_ERR__FATAL && replace(kafka, slot))
        code = produce(*slot, op);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        return;
    leave_batch(op);
    finish(op, outcome_of(code, false), -1, -1);
}

static void send_alone(slc_kafka *kafka, slc_publish_op *op)
{
    op->alone = true;
    send_by(kafka, &kafka->producer.single, op);
}

static void send_first(slc_kafka *kafka, slc_publish_op *op)
{
    int size = SLC_KAFKA_LARGEST_BATCH;
    if (op->limit_bytes == 0 || op->limit_bytes > SLC_KAFKA_MAIN_BATCH) {
        send_by(kafka, &kafka->producer.main, op);
        return;
    }
    while (size >= SLC_KAFKA_SMALLEST_BATCH && 1LL << size > op->limit_bytes)
        size--;
    if (size < SLC_KAFKA_SMALLEST_BATCH)
        send_alone(kafka, op);
    else
        send_by(kafka, &kafka->producer.sized[size - SLC_KAFKA_SMALLEST_BATCH], op);
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
    leave_batch(op);
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

static void flush_staged(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    slc_kafka *kafka = arg;
    slc_kafka_producer *producer = &kafka->producer;
    slc_publish_op *op;
    take_inbox(kafka);
    if (TAILQ_EMPTY(&producer->staged)) {
        schedule(kafka); /* looks again */
        return;
    }
    slc_publish_batch *batch = slc_calloc(1, sizeof *batch);
    batch->left = 1; /* until all were handed over */
    producer->batches++;
    while ((op = TAILQ_FIRST(&producer->staged)) != NULL) {
        TAILQ_REMOVE(&producer->staged, op, link);
        batch->left++;
        op->batch = batch;
        send_first(kafka, op);
    }
    slc_publish_op handed_over = {.kafka = kafka, .batch = batch};
    leave_batch(&handed_over);
    schedule(kafka);
}

static void on_wake(slc_message *msg, void *owner)
{
    (void)msg;
    slc_kafka *kafka = owner;
    pthread_mutex_lock(&kafka->producer.inbox_lock);
    kafka->producer.woken = false;
    pthread_mutex_unlock(&kafka->producer.inbox_lock);
    schedule(kafka);
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
    if (!producer->attentive &&
        !producer->woken) { /* with the lock: there is one message, for one post at a time */
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
    size_t size = sizeof(slc_publish_op) + topic_bytes + record_bytes(record) + 1;
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
    op->headers = copy_headers(record);
    put(kafka, op);
    return true;
}

/* Life --------------------------------------------------------------------------------------------------------
 */

static void start_polling(void *arg)
{
    slc_kafka *kafka = arg;
    kafka->producer.flush = event_new(slc_loop_base(kafka->loop), -1, 0, flush_staged, kafka);
    slc_kafka_handle_poll(kafka->producer.main, serve_producer);
}

bool slc_kafka_producer_init(slc_kafka *kafka, slc_error *err)
{
    TAILQ_INIT(&kafka->producer.staged);
    TAILQ_INIT(&kafka->producer.inbox);
    pthread_mutex_init(&kafka->producer.inbox_lock, NULL);
    kafka->producer.wake.run = on_wake;
    kafka->producer.main = open_handle(kafka, &kafka->producer.main, err);
    if (kafka->producer.main == NULL)
        return false;
    slc_loop_call_sync(kafka->loop, start_polling, kafka);
    return true;
}

static void release_handle(slc_kafka *kafka, slc_kafka_handle **slot)
{
    if (*slot == NULL)
        return;
    slc_kafka_handle_unpoll(*slot);
    slc_kafka_reap(kafka, *slot);
    *slot = NULL;
}

void slc_kafka_producer_release(slc_kafka *kafka)
{
    release_handle(kafka, &kafka->producer.main);
    release_handle(kafka, &kafka->producer.single);
    for (size_t i = 0; i < SLC_KAFKA_SIZES; i++)
        release_handle(kafka, &kafka->producer.sized[i]);
    if (kafka->producer.flush != NULL)
        event_free(kafka->producer.flush);
    pthread_mutex_destroy(&kafka->producer.inbox_lock);
}
