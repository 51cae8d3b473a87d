/* Consuming one topic from given offsets. No group is joined: partitions are assigned by hand, and where to go
 * on is the reader's business. A paused consumer is one whose queue nobody empties: librdkafka stops fetching
 * when its small prefetch is full, and nothing is thrown away.
 */
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/clock.h"
#include "common/log.h"
#include "dataplane/broker/kafka_inflate.h"
#include "dataplane/broker/kafka_private.h"

#define CONSUMER_MAGIC 0x4b434f4eU
#define BATCH          256 /* records handed over at once */
#define SERVE_BATCHES  16  /* before other handles get their turn */
#define BOUNDS_MS      5000
#define TELL_AGAIN_MS  60000

typedef struct slc_kafka_consumer {
    unsigned magic;
    TAILQ_ENTRY(slc_kafka_consumer) link;
    slc_kafka *kafka;
    slc_kafka_handle *handle; /* NULL: could not be made, or is being destroyed */
    char *topic;
    uint8_t topic_id[16]; /* zero: unknown */
    int64_t *offsets;     /* to start from */
    bool *left;           /* by partition: not assigned, until it is known where to go on */
    int32_t partitions;
    slc_consumer_callbacks callbacks;
    void *ctx;
    bool paused, stopping, down;
    slc_record_builder builder;
    size_t taken_bytes; /* since the queue was empty */
    unsigned questions; /* bounds and batches asked for and not answered */
    int64_t told_ms;    /* of a batch that cannot be read; monotonic */
    void (*done)(void *ctx);
    void *done_ctx;
} slc_kafka_consumer;

/* A request from another thread. */
struct command {
    slc_message msg;
    slc_kafka_consumer *consumer;
    int32_t partition;
    int64_t offset, earliest, latest;
    bool failed, other_topic;
    slc_kafka_batch_place batch;
};

static void post(slc_kafka_consumer *consumer, struct command *command, void (*run)(slc_message *, void *))
{
    SLC_CHECK_MAGIC(consumer, CONSUMER_MAGIC);
    command->msg.run = run;
    command->consumer = consumer;
    slc_mailbox_post(slc_loop_mailbox(consumer->kafka->loop), &command->msg);
}

/* Records
 * ------------------------------------------------------------------------------------------------------ */

static uint32_t read_headers(const rd_kafka_message_t *message, slc_record_header **out)
{
    rd_kafka_headers_t *headers;
    *out = NULL;
    if (rd_kafka_message_headers(message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return 0;
    size_t count = rd_kafka_header_cnt(headers);
    if (count == 0)
        return 0;
    slc_record_header *list = slc_calloc(count, sizeof *list);
    for (size_t i = 0; i < count; i++) {
        const char *name;
        const void *value;
        size_t size;
        rd_kafka_header_get_all(headers, i, &name, &value, &size);
        list[i] = (slc_record_header){name, (uint32_t)strlen(name), (uint32_t)size, value};
    }
    *out = list;
    return (uint32_t)count;
}

static slc_record *to_record(slc_record_builder *builder, const rd_kafka_message_t *message)
{
    rd_kafka_timestamp_type_t type;
    slc_record_header *headers;
    slc_record parts = {
        .partition = message->partition,
        .offset = message->offset,
        .timestamp_ms = rd_kafka_message_timestamp(message, &type),
        .leader_epoch = -1, /* this librdkafka does not tell */
        .key = message->key,
        .key_len = (uint32_t)message->key_len,
        .value = message->payload,
        .value_len = (uint32_t)message->len,
    };
    parts.header_count = read_headers(message, &headers);
    parts.headers = headers;
    slc_record *record = slc_record_build(builder, &parts);
    free(headers);
    return record;
}

static void tell(slc_kafka_consumer *consumer, slc_record **records, size_t count)
{
    if (count > 0 && !consumer->callbacks.on_records(consumer->ctx, records, count))
        consumer->paused = true;
}

/* Trouble
 * ------------------------------------------------------------------------------------------------------ */

static void finish_stop(slc_kafka_consumer *consumer);

static void report(slc_kafka_consumer *consumer, const slc_error *err)
{
    consumer->down = err != NULL;
    consumer->callbacks.on_error(consumer->ctx, err);
}

static void report_other_topic(slc_kafka_consumer *consumer)
{
    slc_error err;
    slc_fail(&err, SLC_STALE, NULL, "the topic %s was deleted and made anew", consumer->topic);
    report(consumer, &err);
}

static void answer_bounds(slc_message *msg, void *owner)
{
    (void)owner;
    struct command *command = (struct command *)msg;
    slc_kafka_consumer *consumer = command->consumer;
    consumer->questions--;
    if (consumer->stopping)
        finish_stop(consumer);
    else if (command->other_topic)
        report_other_topic(consumer);
    else if (command->failed) /* ask by fetching again */
        slc_kafka_seek((slc_consumer *)consumer, command->partition, command->offset);
    else if (command->offset >= command->earliest && command->offset <= command->latest)
        slc_kafka_seek((slc_consumer *)consumer, command->partition, command->offset); /* has become valid */
    else
        consumer->callbacks.on_out_of_range(consumer->ctx, command->partition, command->offset,
                                            command->earliest, command->latest);
    free(command);
}

static void on_info(void *ctx, const slc_topic_info *info, const slc_error *err)
{
    struct command *command = ctx;
    (void)err;
    command->other_topic = info != NULL && slc_topic_id_differs(info->topic_id, command->consumer->topic_id);
    post(command->consumer, command, answer_bounds);
}

/* Is it the topic that the offset is of? */
static void on_bounds(void *ctx, int64_t earliest, int64_t latest, const slc_error *err)
{
    struct command *command = ctx;
    slc_kafka_consumer *consumer = command->consumer;
    command->earliest = earliest;
    command->latest = latest;
    command->failed = err != NULL;
    if (err == NULL && slc_topic_id_known(consumer->topic_id))
        slc_kafka_topic_info((slc_broker *)consumer->kafka, consumer->topic, 0, BOUNDS_MS, on_info, command);
    else
        post(consumer, command, answer_bounds);
}

static void on_reset(slc_kafka_consumer *consumer, const rd_kafka_message_t *message)
{
    struct command *command = slc_calloc(1, sizeof *command);
    command->consumer = consumer;
    command->partition = message->partition;
    command->offset = message->offset;
    consumer->questions++;
    slc_kafka_bounds(consumer->kafka, consumer->topic, message->partition, on_bounds, command);
}

/* Batches that cannot be read
 * ------------------------------------------------------------------------------------------------------ */

static void unassign(slc_kafka_consumer *consumer, int32_t partition)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, consumer->topic, partition);
    rd_kafka_error_destroy(rd_kafka_incremental_unassign(consumer->handle->rk, list));
    rd_kafka_topic_partition_list_destroy(list);
    consumer->left[partition] = true;
}

static void tell_unreadable(slc_kafka_consumer *consumer, const struct command *command)
{
    int64_t now_ms = slc_monotonic_ms();
    bool again = consumer->told_ms != 0 && now_ms - consumer->told_ms < TELL_AGAIN_MS;
    consumer->told_ms = again ? consumer->told_ms : now_ms;
    slc_log(again ? SLC_LOG_DEBUG : SLC_LOG_WARN,
            "a batch of records cannot be read: readers get an error for it",
            LS("backend", consumer->kafka->backend->msg->name), LS("topic", consumer->topic),
            LI("partition", command->partition), LI("first_offset", command->batch.first),
            LI("last_offset", command->batch.last));
}

static void fetch_again(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct command *command = arg;
    slc_kafka_consumer *consumer = command->consumer;
    consumer->questions--;
    if (consumer->stopping)
        finish_stop(consumer);
    else
        slc_kafka_seek((slc_consumer *)consumer, command->partition, command->offset);
    free(command);
}

/* One record stands for it: readers learn that something was there, and go on behind it. */
static void answer_batch(slc_message *msg, void *owner)
{
    (void)owner;
    struct command *command = (struct command *)msg;
    static const struct timeval later = {.tv_sec = 1};
    slc_kafka_consumer *consumer = command->consumer;
    if (command->failed && !consumer->stopping && /* ask by fetching again, not as fast as it can */
        event_base_once(slc_loop_base(consumer->kafka->loop), -1, EV_TIMEOUT, fetch_again, command, &later) ==
            0)
        return;
    consumer->questions--;
    if (consumer->stopping) {
        finish_stop(consumer);
    } else if (command->failed) {
        slc_kafka_seek((slc_consumer *)consumer, command->partition, command->offset);
    } else {
        slc_record parts = {.partition = command->partition,
                            .offset = command->batch.last,
                            .timestamp_ms = command->batch.timestamp_ms,
                            .leader_epoch = -1,
                            .unreadable = true};
        slc_record *record = slc_record_build(&consumer->builder, &parts);
        tell_unreadable(consumer, command);
        slc_kafka_seek((slc_consumer *)consumer, command->partition, command->batch.last + 1);
        tell(consumer, &record, 1);
    }
    free(command);
}

static void on_batch(void *ctx, const slc_kafka_batch_place *place, const slc_error *err)
{
    struct command *command = ctx;
    command->failed = err != NULL;
    if (err != NULL)
        slc_log_error(SLC_LOG_INFO, "a batch that cannot be read cannot be looked for", err);
    else
        command->batch = *place;
    post(command->consumer, command, answer_batch);
}

/* librdkafka would fetch it again, and inflate it each time. */
static void on_unreadable(slc_kafka_consumer *consumer, const rd_kafka_message_t *message)
{
    if (message->offset < 0)
        return;
    struct command *command = slc_calloc(1, sizeof *command);
    command->consumer = consumer;
    command->partition = message->partition;
    command->offset = message->offset;
    consumer->questions++;
    unassign(consumer, message->partition);
    slc_kafka_find_batch(consumer->kafka, consumer->topic, message->partition, message->offset, on_batch,
                         command);
}

static void on_problem(slc_kafka_consumer *consumer, const rd_kafka_message_t *message)
{
    slc_error err;
    if (slc_kafka_is_unreadable(message->err)) {
        on_unreadable(consumer, message);
        return;
    }
    switch (message->err) {
    case RD_KAFKA_RESP_ERR__PARTITION_EOF:
        consumer->callbacks.on_end(consumer->ctx, message->partition, message->offset);
        break;
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
    case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
        on_reset(consumer, message);
        break;
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
        slc_kafka_fail(&err, message->err, "consuming");
        report(consumer, &err);
        break;
    default: /* librdkafka retries by itself; an outage is told by the backend's state */
        slc_log(SLC_LOG_DEBUG, "consumer event", LS("backend", consumer->kafka->backend->msg->name),
                LS("topic", consumer->topic), LS("error", rd_kafka_message_errstr(message)));
    }
}

/* Polling
 * ------------------------------------------------------------------------------------------------------ */

static size_t hand_over(slc_kafka_consumer *consumer, rd_kafka_message_t **messages, ssize_t count)
{
    slc_record *records[BATCH];
    size_t ready = 0, total = 0;
    for (ssize_t i = 0; i < count; i++) {
        rd_kafka_message_t *message = messages[i];
        if (message->partition >= 0 && message->partition < consumer->partitions &&
            consumer->left[message->partition]) {
            rd_kafka_message_destroy(message); /* it comes again, behind the batch that is looked for */
            continue;
        }
        if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
            records[ready] = to_record(&consumer->builder, message);
            consumer->taken_bytes += records[ready++]->size_bytes;
            total++;
        } else {
            tell(consumer, records, ready);
            ready = 0;
            on_problem(consumer, message);
        }
        rd_kafka_message_destroy(message);
    }
    tell(consumer, records, ready);
    return total;
}

/* Regression 2: a broker thread of this librdkafka that found the prefetch full looks again after a second, not
 * when there is room. Setting the credentials (to what they are) is the one call that wakes the threads and
 * does nothing else: a request would be a round trip, a seek would throw away what is under way. */
static void wake_fetchers(slc_kafka_consumer *consumer)
{
    char name[512] = "-", password[4096] = "-";
    size_t name_size = sizeof name, password_size = sizeof password;
    const rd_kafka_conf_t *conf = rd_kafka_conf(consumer->handle->rk);
    if (rd_kafka_conf_get(conf, "sasl.username", name, &name_size) != RD_KAFKA_CONF_OK || name_size == 0)
        snprintf(name, sizeof name, "-");
    if (rd_kafka_conf_get(conf, "sasl.password", password, &password_size) != RD_KAFKA_CONF_OK ||
        password_size == 0)
        snprintf(password, sizeof password, "-");
    rd_kafka_error_destroy(rd_kafka_sasl_set_credentials(consumer->handle->rk, name, password));
    OPENSSL_cleanse(password, sizeof password);
}

static void serve_consumer(slc_kafka_handle *handle)
{
    rd_kafka_message_t *messages[BATCH];
    slc_kafka_consumer *consumer = handle->owner;
    SLC_CHECK_MAGIC(consumer, CONSUMER_MAGIC);
    for (int turn = 0; turn < SERVE_BATCHES; turn++) {
        if (consumer->paused || consumer->stopping)
            return;
        ssize_t count = rd_kafka_consume_batch_queue(handle->queue, 0, messages, BATCH);
        if (count <= 0) {
            if (consumer->taken_bytes >= (size_t)consumer->kafka->settings.fetch_bytes / 2)
                wake_fetchers(consumer);
            consumer->taken_bytes = 0;
            return;
        }
        if (hand_over(consumer, messages, count) > 0 && consumer->down)
            report(consumer, NULL);
    }
    event_active(handle->wake, EV_READ, 1); /* there is more */
}

void slc_kafka_consumers_state(slc_kafka *kafka, const slc_error *err)
{
    slc_kafka_consumer *consumer;
    TAILQ_FOREACH (consumer, &kafka->consumers, link) {
        if (!consumer->stopping && (err != NULL || consumer->down))
            report(consumer, err);
    }
}

/* Assignment
 * --------------------------------------------------------------------------------------------------- */

static void assign(slc_kafka_consumer *consumer, int32_t partition, int64_t offset)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(consumer->partitions);
    for (int32_t i = 0; i < consumer->partitions; i++) {
        if (partition < 0 || partition == i)
            rd_kafka_topic_partition_list_add(list, consumer->topic, i)->offset =
                partition < 0 ? consumer->offsets[i] : offset;
    }
    if (partition >= 0 && !consumer->left[partition])
        rd_kafka_error_destroy(rd_kafka_incremental_unassign(consumer->handle->rk, list));
    if (partition >= 0)
        consumer->left[partition] = false;
    rd_kafka_error_t *error = rd_kafka_incremental_assign(consumer->handle->rk, list);
    rd_kafka_topic_partition_list_destroy(list);
    if (error != NULL) {
        slc_error err;
        slc_kafka_fail(&err, rd_kafka_error_code(error), "assigning");
        rd_kafka_error_destroy(error);
        report(consumer, &err);
    }
}

static bool open_consumer(slc_kafka_consumer *consumer, slc_error *err)
{
    rd_kafka_conf_t *conf = slc_kafka_conf_new(consumer->kafka, SLC_KAFKA_CONSUMER, err);
    if (conf == NULL)
        return false;
    slc_kafka_handle *handle = slc_calloc(1, sizeof *handle);
    handle->kafka = consumer->kafka;
    handle->owner = consumer;
    if (!slc_kafka_handle_open(handle, conf, RD_KAFKA_CONSUMER, err)) {
        free(handle);
        return false;
    }
    rd_kafka_poll_set_consumer(handle->rk);
    handle->queue = rd_kafka_queue_get_consumer(handle->rk);
    consumer->handle = handle;
    return true;
}

static void start(slc_message *msg, void *owner)
{
    (void)owner;
    struct command *command = (struct command *)msg;
    slc_kafka_consumer *consumer = command->consumer;
    slc_error err;
    free(command);
    TAILQ_INSERT_TAIL(&consumer->kafka->consumers, consumer, link);
    if (!open_consumer(consumer, &err)) {
        report(consumer, &err);
        return;
    }
    slc_kafka_handle_poll(consumer->handle, serve_consumer);
    assign(consumer, -1, 0);
}

slc_consumer *slc_kafka_consume(slc_broker *broker, const char *topic, const uint8_t *topic_id,
                                const int64_t *offsets, int32_t partitions,
                                const slc_consumer_callbacks *callbacks, void *ctx)
{
    slc_kafka *kafka = (slc_kafka *)broker;
    SLC_CHECK_MAGIC(kafka, SLC_KAFKA_MAGIC);
    slc_kafka_consumer *consumer = slc_calloc(1, sizeof *consumer);
    consumer->magic = CONSUMER_MAGIC;
    consumer->kafka = kafka;
    consumer->topic = slc_strdup(topic);
    memcpy(consumer->topic_id, topic_id, sizeof consumer->topic_id);
    consumer->offsets = slc_memdup(offsets, (size_t)partitions * sizeof *offsets);
    consumer->left = slc_calloc((size_t)partitions + 1, sizeof *consumer->left);
    consumer->partitions = partitions;
    consumer->callbacks = *callbacks;
    consumer->ctx = ctx;
    post(consumer, slc_calloc(1, sizeof(struct command)), start);
    return (slc_consumer *)consumer;
}

/* Control
 * ------------------------------------------------------------------------------------------------------ */

static void run_seek(slc_message *msg, void *owner)
{
    (void)owner;
    struct command *command = (struct command *)msg;
    slc_kafka_consumer *consumer = command->consumer;
    if (!consumer->stopping && consumer->handle != NULL)
        assign(consumer, command->partition, command->offset);
    free(command);
}

void slc_kafka_seek(slc_consumer *opaque, int32_t partition, int64_t offset)
{
    struct command *command = slc_calloc(1, sizeof *command);
    command->partition = partition;
    command->offset = offset;
    post((slc_kafka_consumer *)opaque, command, run_seek);
}

static void run_pause(slc_message *msg, void *owner)
{
    (void)owner;
    struct command *command = (struct command *)msg;
    slc_kafka_consumer *consumer = command->consumer;
    consumer->paused = command->partition != 0;
    if (!consumer->paused && consumer->handle != NULL && !consumer->stopping)
        event_active(consumer->handle->wake, EV_READ, 1);
    free(command);
}

void slc_kafka_pause(slc_consumer *opaque, bool paused)
{
    struct command *command = slc_calloc(1, sizeof *command);
    command->partition = paused;
    post((slc_kafka_consumer *)opaque, command, run_pause);
}

/* Nobody polls its handle any more, so nothing comes after this. */
static void gone(slc_kafka_consumer *consumer)
{
    consumer->done(consumer->done_ctx);
    consumer->magic = 0;
    free(consumer->topic);
    free(consumer->offsets);
    free(consumer->left);
    free(consumer);
}

static void finish_stop(slc_kafka_consumer *consumer)
{
    if (consumer->questions > 0)
        return;
    slc_kafka_handle *handle = consumer->handle;
    TAILQ_REMOVE(&consumer->kafka->consumers, consumer, link);
    slc_record_builder_release(&consumer->builder);
    if (handle != NULL) {
        slc_kafka_handle_unpoll(handle);
        slc_kafka_reap(consumer->kafka, handle);
    }
    gone(consumer);
}

static void run_stop(slc_message *msg, void *owner)
{
    (void)owner;
    struct command *command = (struct command *)msg;
    slc_kafka_consumer *consumer = command->consumer;
    free(command);
    consumer->stopping = true;
    finish_stop(consumer);
}

void slc_kafka_stop(slc_consumer *opaque, void (*done)(void *ctx), void *ctx)
{
    slc_kafka_consumer *consumer = (slc_kafka_consumer *)opaque;
    consumer->done = done;
    consumer->done_ctx = ctx;
    post(consumer, slc_calloc(1, sizeof(struct command)), run_stop);
}
