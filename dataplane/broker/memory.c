#include "dataplane/broker/memory.h"

#include <event2/event.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/clock.h"
#include "common/crypto.h"
#include "common/loop.h"

#define MEMORY_MAGIC 0x4d454d42U
#define BATCH        64

struct partition {
    slc_record **records; /* index = offset; NULL: a hole */
    int64_t start, end, cap;
};

struct topic {
    TAILQ_ENTRY(topic) link;
    char *name;
    struct partition *partitions;
    int32_t count;
    uint8_t id[16];
    int64_t max_message_bytes;
    bool compacted;
};

struct memory;

struct consumer {
    TAILQ_ENTRY(consumer) link;
    struct memory *memory;
    char *topic;
    uint8_t topic_id[16]; /* zero: any */
    int64_t *next;
    int64_t *ended_at; /* on_end was told for this offset; -1: not */
    bool *stuck;       /* out of range, waits for a seek */
    int32_t partitions;
    slc_consumer_callbacks callbacks;
    void *ctx;
    bool paused, down;
    void (*done)(void *ctx);
    void *done_ctx;
};

typedef struct memory {
    unsigned magic;
    slc_loop *loop;
    struct event *again;
    pthread_mutex_t lock; /* everything below */
    TAILQ_HEAD(, topic) topics;
    bool down;
    int64_t since_ms;
    enum slc_publish_outcome outcome;
    uint64_t delivered;
    unsigned consumer_count;
    TAILQ_HEAD(, consumer) consumers; /* loop only */
} memory;

static memory *check(slc_broker *broker)
{
    memory *mem = (memory *)broker;
    SLC_CHECK_MAGIC(mem, MEMORY_MAGIC);
    return mem;
}

static struct topic *find_locked(memory *mem, const char *name)
{
    struct topic *topic;
    TAILQ_FOREACH (topic, &mem->topics, link) {
        if (strcmp(topic->name, name) == 0)
            return topic;
    }
    return NULL;
}

/* Storage
 * ------------------------------------------------------------------------------------------------------ */

static int64_t append_locked(struct partition *partition, slc_record *record)
{
    if (partition->end == partition->cap) {
        partition->cap = partition->cap == 0 ? 64 : partition->cap * 2;
        partition->records =
            slc_realloc(partition->records, (size_t)partition->cap * sizeof *partition->records);
    }
    partition->records[partition->end] = record;
    return partition->end++;
}

static void serve(void *arg);

static void wake(memory *mem)
{
    slc_loop_call(mem->loop, serve, mem);
}

void slc_memory_topic_create(slc_broker *broker, const char *name, int32_t partitions)
{
    memory *mem = check(broker);
    pthread_mutex_lock(&mem->lock);
    SLC_BUG_ON(find_locked(mem, name) != NULL);
    struct topic *topic = slc_calloc(1, sizeof *topic);
    topic->name = slc_strdup(name);
    topic->count = partitions;
    slc_random(topic->id, sizeof topic->id);
    topic->partitions = slc_calloc((size_t)partitions, sizeof *topic->partitions);
    TAILQ_INSERT_TAIL(&mem->topics, topic, link);
    pthread_mutex_unlock(&mem->lock);
}

static void free_topic(struct topic *topic);

void slc_memory_topic_delete(slc_broker *broker, const char *name)
{
    memory *mem = check(broker);
    pthread_mutex_lock(&mem->lock);
    struct topic *topic = find_locked(mem, name);
    SLC_BUG_ON(topic == NULL);
    TAILQ_REMOVE(&mem->topics, topic, link);
    pthread_mutex_unlock(&mem->lock);
    free_topic(topic);
    wake(mem);
}

void slc_memory_set_limit(slc_broker *broker, const char *name, int64_t max_message_bytes, bool compacted)
{
    memory *mem = check(broker);
    pthread_mutex_lock(&mem->lock);
    struct topic *topic = find_locked(mem, name);
    SLC_BUG_ON(topic == NULL);
    topic->max_message_bytes = max_message_bytes;
    topic->compacted = compacted;
    pthread_mutex_unlock(&mem->lock);
}

static int64_t store_locked(struct partition *partition, const slc_record *parts)
{
    slc_record copy = *parts;
    copy.offset = partition->end;
    copy.timestamp_ms = parts->timestamp_ms == 0 ? slc_wall_ms() : parts->timestamp_ms;
    return append_locked(partition, slc_record_new(&copy));
}

int64_t slc_memory_append(slc_broker *broker, const char *name, const slc_record *parts)
{
    memory *mem = check(broker);
    pthread_mutex_lock(&mem->lock);
    struct topic *topic = find_locked(mem, name);
    SLC_BUG_ON(topic == NULL || parts->partition >= topic->count);
    int64_t offset = store_locked(&topic->partitions[parts->partition], parts);
    pthread_mutex_unlock(&mem->lock);
    wake(mem);
    return offset;
}

static struct partition *partition_locked(memory *mem, const char *name, int32_t partition)
{
    struct topic *topic = find_locked(mem, name);
    SLC_BUG_ON(topic == NULL || partition >= topic->count);
    return &topic->partitions[partition];
}

void slc_memory_expire(slc_broker *broker, const char *name, int32_t number, int64_t start)
{
    memory *mem = check(broker);
    pthread_mutex_lock(&mem->lock);
    struct partition *partition = partition_locked(mem, name, number);
    for (; partition->start < start && partition->start < partition->end; partition->start++) {
        slc_record_unref(partition->records[partition->start]);
        partition->records[partition->start] = NULL;
    }
    pthread_mutex_unlock(&mem->lock);
    wake(mem);
}

void slc_memory_truncate(slc_broker *broker, const char *name, int32_t number, int64_t end)
{
    memory *mem = check(broker);
    pthread_mutex_lock(&mem->lock);
    struct partition *partition = partition_locked(mem, name, number);
    while (partition->end > end)
        slc_record_unref(partition->records[--partition->end]);
    pthread_mutex_unlock(&mem->lock);
    wake(mem);
}

void slc_memory_skip(slc_broker *broker, const char *name, int32_t number, int64_t count)
{
    memory *mem = check(broker);
    pthread_mutex_lock(&mem->lock);
    while (count-- > 0)
        append_locked(partition_locked(mem, name, number), NULL);
    pthread_mutex_unlock(&mem->lock);
    wake(mem);
}

void slc_memory_add_partition(slc_broker *broker, const char *name)
{
    memory *mem = check(broker);
    pthread_mutex_lock(&mem->lock);
    struct topic *topic = find_locked(mem, name);
    SLC_BUG_ON(topic == NULL);
    topic->partitions = slc_realloc(topic->partitions, ((size_t)topic->count + 1) * sizeof *topic->partitions);
    topic->partitions[topic->count++] = (struct partition){0};
    pthread_mutex_unlock(&mem->lock);
}

slc_record *slc_memory_record(slc_broker *broker, const char *name, int32_t number, int64_t offset)
{
    memory *mem = check(broker);
    slc_record *record = NULL;
    pthread_mutex_lock(&mem->lock);
    struct partition *partition = partition_locked(mem, name, number);
    if (offset >= partition->start && offset < partition->end && partition->records[offset] != NULL)
        record = slc_record_ref(partition->records[offset]);
    pthread_mutex_unlock(&mem->lock);
    return record;
}

void slc_memory_set_down(slc_broker *broker, bool down)
{
    memory *mem = check(broker);
    pthread_mutex_lock(&mem->lock);
    mem->down = down;
    mem->since_ms = slc_wall_ms();
    pthread_mutex_unlock(&mem->lock);
    wake(mem);
}

void slc_memory_set_outcome(slc_broker *broker, enum slc_publish_outcome outcome)
{
    memory *mem = check(broker);
    pthread_mutex_lock(&mem->lock);
    mem->outcome = outcome;
    pthread_mutex_unlock(&mem->lock);
}

uint64_t slc_memory_delivered(slc_broker *broker)
{
    memory *mem = check(broker);
    pthread_mutex_lock(&mem->lock);
    uint64_t delivered = mem->delivered;
    pthread_mutex_unlock(&mem->lock);
    return delivered;
}

unsigned slc_memory_consumers(slc_broker *broker)
{
    memory *mem = check(broker);
    pthread_mutex_lock(&mem->lock);
    unsigned count = mem->consumer_count;
    pthread_mutex_unlock(&mem->lock);
    return count;
}

/* Consuming
 * ---------------------------------------------------------------------------------------------------- */

/* What one partition has for a consumer now, taken under the lock and told without it. */
struct delivery {
    slc_record *records[BATCH];
    size_t count;
    bool out_of_range, at_end, more;
    int64_t start, end;
};

static bool is_other(const struct consumer *consumer, const struct topic *topic)
{
    return slc_topic_id_differs(consumer->topic_id, topic->id);
}

static void take_locked(memory *mem, struct consumer *consumer, int32_t number, struct delivery *out)
{
    *out = (struct delivery){0};
    struct topic *topic = find_locked(mem, consumer->topic);
    if (topic == NULL || number >= topic->count || consumer->stuck[number] || is_other(consumer, topic))
        return;
    struct partition *partition = &topic->partitions[number];
    int64_t *next = &consumer->next[number];
    out->start = partition->start;
    out->end = partition->end;
    if (*next < partition->start || *next > partition->end) {
        out->out_of_range = consumer->stuck[number] = true;
        return;
    }
    for (; *next < partition->end && out->count < BATCH; (*next)++) {
        if (partition->records[*next] != NULL)
            out->records[out->count++] = slc_record_ref(partition->records[*next]);
    }
    mem->delivered += out->count;
    out->more = *next < partition->end;
    out->at_end = !out->more && consumer->ended_at[number] != partition->end;
    if (out->at_end)
        consumer->ended_at[number] = partition->end;
}

static bool serve_partition(memory *mem, struct consumer *consumer, int32_t number)
{
    struct delivery delivery;
    pthread_mutex_lock(&mem->lock);
    take_locked(mem, consumer, number, &delivery);
    pthread_mutex_unlock(&mem->lock);
    if (delivery.out_of_range)
        consumer->callbacks.on_out_of_range(consumer->ctx, number, consumer->next[number], delivery.start,
                                            delivery.end);
    if (delivery.count > 0)
        consumer->callbacks.on_records(consumer->ctx, delivery.records, delivery.count);
    if (delivery.at_end)
        consumer->callbacks.on_end(consumer->ctx, number, delivery.end);
    return delivery.more;
}

static bool serve_state(memory *mem, struct consumer *consumer)
{
    slc_error err;
    pthread_mutex_lock(&mem->lock);
    bool down = mem->down;
    const struct topic *topic = find_locked(mem, consumer->topic);
    bool missing = topic == NULL;
    bool other = topic != NULL && is_other(consumer, topic);
    pthread_mutex_unlock(&mem->lock);
    bool bad = down || missing || other;
    if (bad && !consumer->down) {
        slc_fail(&err,
                 down      ? SLC_UNAVAILABLE
                 : missing ? SLC_NOT_FOUND
                           : SLC_STALE,
                 NULL,
                 down      ? "down"
                 : missing ? "no such topic"
                           : "another topic");
        consumer->callbacks.on_error(consumer->ctx, &err);
    } else if (!bad && consumer->down) {
        consumer->callbacks.on_error(consumer->ctx, NULL);
    }
    consumer->down = bad;
    return !bad;
}

static void serve(void *arg)
{
    memory *mem = arg;
    struct consumer *consumer;
    bool more = false;
    TAILQ_FOREACH (consumer, &mem->consumers, link) {
        if (consumer->paused || !serve_state(mem, consumer))
            continue;
        for (int32_t i = 0; i < consumer->partitions; i++)
            more = serve_partition(mem, consumer, i) || more;
    }
    if (more) /* by way of the loop, so that commands get their turn */
        event_active(mem->again, EV_TIMEOUT, 1);
}

static void serve_again(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    serve(arg);
}

static void start(void *arg)
{
    struct consumer *consumer = arg;
    TAILQ_INSERT_TAIL(&consumer->memory->consumers, consumer, link);
    serve(consumer->memory);
}

static slc_consumer *memory_consume(slc_broker *broker, const char *topic, const uint8_t *topic_id,
                                    const int64_t *offsets, int32_t partitions,
                                    const slc_consumer_callbacks *callbacks, void *ctx)
{
    memory *mem = check(broker);
    size_t count = (size_t)partitions;
    struct consumer *consumer = slc_calloc(1, sizeof *consumer);
    consumer->memory = mem;
    consumer->topic = slc_strdup(topic);
    memcpy(consumer->topic_id, topic_id, sizeof consumer->topic_id);
    consumer->next = slc_memdup(offsets, count * sizeof *offsets);
    consumer->ended_at = slc_malloc(count * sizeof *consumer->ended_at);
    for (size_t i = 0; i < count; i++)
        consumer->ended_at[i] = -1;
    consumer->stuck = slc_calloc(count, sizeof *consumer->stuck);
    consumer->partitions = partitions;
    consumer->callbacks = *callbacks;
    consumer->ctx = ctx;
    pthread_mutex_lock(&mem->lock);
    mem->consumer_count++;
    pthread_mutex_unlock(&mem->lock);
    slc_loop_call(mem->loop, start, consumer);
    return (slc_consumer *)consumer;
}

struct command {
    struct consumer *consumer;
    int32_t partition;
    int64_t offset;
    bool paused;
};

static void run_seek(void *arg)
{
    struct command *command = arg;
    struct consumer *consumer = command->consumer;
    consumer->next[command->partition] = command->offset;
    consumer->ended_at[command->partition] = -1;
    consumer->stuck[command->partition] = false;
    free(command);
    serve(consumer->memory);
}

static void memory_seek(slc_consumer *opaque, int32_t partition, int64_t offset)
{
    struct command *command = slc_calloc(1, sizeof *command);
    *command =
        (struct command){.consumer = (struct consumer *)opaque, .partition = partition, .offset = offset};
    slc_loop_call(command->consumer->memory->loop, run_seek, command);
}

static void run_pause(void *arg)
{
    struct command *command = arg;
    struct consumer *consumer = command->consumer;
    consumer->paused = command->paused;
    free(command);
    serve(consumer->memory);
}

static void memory_pause(slc_consumer *opaque, bool paused)
{
    struct command *command = slc_calloc(1, sizeof *command);
    *command = (struct command){.consumer = (struct consumer *)opaque, .paused = paused};
    slc_loop_call(command->consumer->memory->loop, run_pause, command);
}

static void run_stop(void *arg)
{
    struct consumer *consumer = arg;
    memory *mem = consumer->memory;
    TAILQ_REMOVE(&mem->consumers, consumer, link);
    pthread_mutex_lock(&mem->lock);
    mem->consumer_count--;
    pthread_mutex_unlock(&mem->lock);
    consumer->done(consumer->done_ctx);
    free(consumer->topic);
    free(consumer->next);
    free(consumer->ended_at);
    free(consumer->stuck);
    free(consumer);
}

static void memory_stop(slc_consumer *opaque, void (*done)(void *ctx), void *ctx)
{
    struct consumer *consumer = (struct consumer *)opaque;
    consumer->done = done;
    consumer->done_ctx = ctx;
    slc_loop_call(consumer->memory->loop, run_stop, consumer);
}

/* Publishing and questions
 * --------------------------------------------------------------------------------------- */

struct request {
    memory *mem;
    slc_record *record; /* publish */
    char *topic;
    slc_published_fn published_fn;
    slc_topic_info_fn info_fn;
    slc_offsets_fn offsets_fn;
    int32_t partitions;
    int64_t wall_ms;
    void *ctx;
};

static void request_free(struct request *request)
{
    slc_record_unref(request->record);
    free(request->topic);
    free(request);
}

static struct request *request_new(memory *mem, const char *topic, void *ctx)
{
    struct request *request = slc_calloc(1, sizeof *request);
    request->mem = mem;
    request->topic = slc_strdup(topic);
    request->ctx = ctx;
    return request;
}

static int32_t choose_partition(const slc_record *record, int32_t count)
{
    uint32_t hash = 0;
    for (uint32_t i = 0; i < record->key_len; i++)
        hash = hash * 31 + record->key[i];
    return (int32_t)(hash % (uint32_t)count);
}

static void run_publish(void *arg)
{
    struct request *request = arg;
    memory *mem = request->mem;
    int64_t offset = -1;
    int32_t partition = -1;
    pthread_mutex_lock(&mem->lock);
    enum slc_publish_outcome outcome = mem->down ? SLC_NOT_PERSISTED : mem->outcome;
    struct topic *topic = find_locked(mem, request->topic);
    if (topic == NULL)
        outcome = SLC_TOPIC_MISSING;
    if (outcome == SLC_PUBLISHED) {
        slc_record parts = *request->record;
        partition = parts.partition = choose_partition(&parts, topic->count);
        offset = store_locked(&topic->partitions[partition], &parts);
    }
    pthread_mutex_unlock(&mem->lock);
    request->published_fn(request->ctx, outcome, partition, offset);
    request_free(request);
    serve(mem);
}

static bool memory_publish(slc_broker *broker, const slc_outgoing *record, slc_published_fn fn, void *ctx,
                           slc_error *err)
{
    memory *mem = check(broker);
    pthread_mutex_lock(&mem->lock);
    bool full = mem->outcome == SLC_QUEUE_FULL;
    pthread_mutex_unlock(&mem->lock);
    if (full)
        return slc_fail(err, SLC_LIMIT, NULL, "the queue is full");
    slc_record_header headers[64];
    SLC_BUG_ON(record->header_count > 64);
    for (size_t i = 0; i < record->header_count; i++) {
        const slc_broker_header *header = &record->headers[i];
        headers[i] = (slc_record_header){header->name, (uint32_t)strlen(header->name),
                                         (uint32_t)header->value_len, header->value};
    }
    slc_record parts = {.leader_epoch = -1,
                        .key = record->key,
                        .key_len = (uint32_t)record->key_len,
                        .value = record->value,
                        .value_len = (uint32_t)record->value_len,
                        .headers = headers,
                        .header_count = (uint32_t)record->header_count};
    struct request *request = request_new(mem, record->topic, ctx);
    request->record = slc_record_new(&parts);
    request->published_fn = fn;
    slc_loop_call(mem->loop, run_publish, request);
    return true;
}

static bool look(memory *mem, const char *name, slc_topic_info *info, slc_error *err)
{
    pthread_mutex_lock(&mem->lock);
    struct topic *topic = find_locked(mem, name);
    bool down = mem->down;
    *info = (slc_topic_info){0};
    if (topic != NULL) {
        info->partitions = topic->count;
        memcpy(info->topic_id, topic->id, sizeof info->topic_id);
        info->max_message_bytes = topic->max_message_bytes;
        info->compacted = topic->compacted;
    }
    pthread_mutex_unlock(&mem->lock);
    if (down)
        return slc_fail(err, SLC_UNAVAILABLE, NULL, "down");
    return topic != NULL || slc_fail(err, SLC_NOT_FOUND, NULL, "no such topic");
}

static void run_info(void *arg)
{
    struct request *request = arg;
    slc_topic_info info;
    slc_error err;
    if (look(request->mem, request->topic, &info, &err))
        request->info_fn(request->ctx, &info, NULL);
    else
        request->info_fn(request->ctx, NULL, &err);
    request_free(request);
}

static void memory_topic_info(slc_broker *broker, const char *topic, int64_t max_age_ms, int timeout_ms,
                              slc_topic_info_fn fn, void *ctx)
{
    (void)max_age_ms;
    (void)timeout_ms;
    struct request *request = request_new(check(broker), topic, ctx);
    request->info_fn = fn;
    slc_loop_call(request->mem->loop, run_info, request);
}

static int64_t find_time(const struct partition *partition, int64_t wall_ms)
{
    for (int64_t i = partition->start; i < partition->end; i++) {
        if (partition->records[i] != NULL && partition->records[i]->timestamp_ms >= wall_ms)
            return i;
    }
    return partition->end;
}

static void run_offsets(void *arg)
{
    struct request *request = arg;
    memory *mem = request->mem;
    slc_error err;
    slc_topic_info known;
    if (!look(mem, request->topic, &known, &err) ||
        (known.partitions < request->partitions && !slc_fail(&err, SLC_NOT_FOUND, NULL, "no such partition"))) {
        request->offsets_fn(request->ctx, NULL, 0, &err);
        request_free(request);
        return;
    }
    int64_t *offsets = slc_calloc((size_t)request->partitions, sizeof *offsets);
    pthread_mutex_lock(&mem->lock);
    const struct topic *topic = find_locked(mem, request->topic);
    for (int32_t i = 0; topic != NULL && i < request->partitions; i++) {
        const struct partition *partition = &topic->partitions[i];
        offsets[i] = request->wall_ms == SLC_OFFSET_EARLIEST ? partition->start
                     : request->wall_ms == SLC_OFFSET_LATEST ? partition->end
                                                             : find_time(partition, request->wall_ms);
    }
    pthread_mutex_unlock(&mem->lock);
    request->offsets_fn(request->ctx, offsets, request->partitions, NULL);
    free(offsets);
    request_free(request);
}

static void memory_offsets(slc_broker *broker, const char *topic, int32_t partitions,
                           int64_t wall_ms_or_special, int timeout_ms, slc_offsets_fn fn, void *ctx)
{
    (void)timeout_ms;
    struct request *request = request_new(check(broker), topic, ctx);
    request->offsets_fn = fn;
    request->partitions = partitions;
    request->wall_ms = wall_ms_or_special;
    slc_loop_call(request->mem->loop, run_offsets, request);
}

/* Life
 * -----------------------------------------------------------------------------------------------------------
 */

static bool memory_health(slc_broker *broker, char *last_error, size_t size, int64_t *since_wall_ms)
{
    memory *mem = check(broker);
    pthread_mutex_lock(&mem->lock);
    bool up = !mem->down;
    *since_wall_ms = mem->since_ms;
    pthread_mutex_unlock(&mem->lock);
    snprintf(last_error, size, "%s", up ? "" : "down");
    return up;
}

static void make_event(void *arg)
{
    memory *mem = arg;
    mem->again = event_new(slc_loop_base(mem->loop), -1, 0, serve_again, mem);
}

static slc_broker *memory_open(const slc_backend *backend, const slc_broker_settings *settings, slc_error *err)
{
    (void)backend;
    (void)settings;
    memory *mem = slc_calloc(1, sizeof *mem);
    mem->magic = MEMORY_MAGIC;
    mem->since_ms = slc_wall_ms();
    pthread_mutex_init(&mem->lock, NULL);
    TAILQ_INIT(&mem->topics);
    TAILQ_INIT(&mem->consumers);
    mem->loop = slc_loop_new("memory", mem);
    if (!slc_loop_start(mem->loop, err)) {
        slc_loop_free(mem->loop);
        pthread_mutex_destroy(&mem->lock);
        free(mem);
        return NULL;
    }
    slc_loop_call_sync(mem->loop, make_event, mem);
    return (slc_broker *)mem;
}

static void free_topic(struct topic *topic)
{
    for (int32_t i = 0; i < topic->count; i++) {
        struct partition *partition = &topic->partitions[i];
        for (int64_t offset = 0; offset < partition->end; offset++)
            slc_record_unref(partition->records[offset]);
        free(partition->records);
    }
    free(topic->partitions);
    free(topic->name);
    free(topic);
}

static void memory_close(slc_broker *broker)
{
    memory *mem = check(broker);
    slc_loop_stop(mem->loop);
    slc_loop_join(mem->loop);
    SLC_BUG_ON(!TAILQ_EMPTY(&mem->consumers));
    struct topic *topic;
    while ((topic = TAILQ_FIRST(&mem->topics)) != NULL) {
        TAILQ_REMOVE(&mem->topics, topic, link);
        free_topic(topic);
    }
    event_free(mem->again);
    slc_loop_free(mem->loop);
    pthread_mutex_destroy(&mem->lock);
    mem->magic = 0;
    free(mem);
}

const slc_broker_ops slc_broker_memory = {
    .name = "memory",
    .open = memory_open,
    .close = memory_close,
    .publish = memory_publish,
    .stored_bytes = slc_record_stored_bytes,
    .topic_info = memory_topic_info,
    .offsets = memory_offsets,
    .consume = memory_consume,
    .seek = memory_seek,
    .pause = memory_pause,
    .stop = memory_stop,
    .health = memory_health,
};
