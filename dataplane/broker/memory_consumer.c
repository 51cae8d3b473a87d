/* Consuming from the broker in memory. */
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "dataplane/broker/memory_private.h"

#define BATCH 64

/* What one partition has for a consumer now, taken under the lock and told without it. */
struct delivery {
    slc_record *records[BATCH];
    size_t count;
    bool out_of_range, at_end, more;
    int64_t start, end;
};

static bool is_other(const struct slc_memory_consumer *consumer, const struct slc_memory_topic *topic)
{
    return slc_topic_id_differs(consumer->topic_id, topic->id);
}

static void take_locked(slc_memory *mem, struct slc_memory_consumer *consumer, int32_t number,
                        struct delivery *out)
{
    *out = (struct delivery){0};
    struct slc_memory_topic *topic = slc_memory_find_locked(mem, consumer->topic);
    if (mem->held || topic == NULL || number >= topic->count || consumer->stuck[number] ||
        is_other(consumer, topic))
        return;
    struct slc_memory_partition *partition = &topic->partitions[number];
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

static bool serve_partition(slc_memory *mem, struct slc_memory_consumer *consumer, int32_t number)
{
    struct delivery delivery;
    pthread_mutex_lock(&mem->lock);
    take_locked(mem, consumer, number, &delivery);
    pthread_mutex_unlock(&mem->lock);
    if (delivery.out_of_range)
        consumer->callbacks.on_out_of_range(consumer->ctx, number, consumer->next[number], delivery.start,
                                            delivery.end);
    if (delivery.count > 0 && !consumer->callbacks.on_records(consumer->ctx, delivery.records, delivery.count))
        consumer->paused = true;
    if (delivery.at_end)
        consumer->callbacks.on_end(consumer->ctx, number, delivery.end);
    return delivery.more;
}

static bool serve_state(slc_memory *mem, struct slc_memory_consumer *consumer)
{
    slc_error err;
    pthread_mutex_lock(&mem->lock);
    bool down = mem->down;
    const struct slc_memory_topic *topic = slc_memory_find_locked(mem, consumer->topic);
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

void slc_memory_serve(void *arg)
{
    slc_memory *mem = arg;
    struct slc_memory_consumer *consumer;
    bool more = false;
    TAILQ_FOREACH (consumer, &mem->consumers, link) {
        if (consumer->paused || !serve_state(mem, consumer))
            continue;
        for (int32_t i = 0; i < consumer->partitions && !consumer->paused; i++)
            more = serve_partition(mem, consumer, i) || more;
    }
    if (more) /* by way of the loop, so that commands get their turn */
        event_active(mem->again, EV_TIMEOUT, 1);
}

void slc_memory_serve_again(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    slc_memory_serve(arg);
}

static void start(void *arg)
{
    struct slc_memory_consumer *consumer = arg;
    TAILQ_INSERT_TAIL(&consumer->memory->consumers, consumer, link);
    slc_memory_serve(consumer->memory);
}

slc_consumer *slc_memory_consume(slc_broker *broker, const char *topic, const uint8_t *topic_id,
                                 const int64_t *offsets, int32_t partitions,
                                 const slc_consumer_callbacks *callbacks, void *ctx)
{
    slc_memory *mem = slc_memory_check(broker);
    size_t count = (size_t)partitions;
    struct slc_memory_consumer *consumer = slc_calloc(1, sizeof *consumer);
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
    struct slc_memory_consumer *consumer;
    int32_t partition;
    int64_t offset;
    bool paused;
};

static void run_seek(void *arg)
{
    struct command *command = arg;
    struct slc_memory_consumer *consumer = command->consumer;
    consumer->next[command->partition] = command->offset;
    consumer->ended_at[command->partition] = -1;
    consumer->stuck[command->partition] = false;
    free(command);
    slc_memory_serve(consumer->memory);
}

void slc_memory_seek(slc_consumer *opaque, int32_t partition, int64_t offset)
{
    struct command *command = slc_calloc(1, sizeof *command);
    *command = (struct command){
        .consumer = (struct slc_memory_consumer *)opaque, .partition = partition, .offset = offset};
    slc_loop_call(command->consumer->memory->loop, run_seek, command);
}

static void run_pause(void *arg)
{
    struct command *command = arg;
    struct slc_memory_consumer *consumer = command->consumer;
    consumer->paused = command->paused;
    free(command);
    slc_memory_serve(consumer->memory);
}

void slc_memory_pause(slc_consumer *opaque, bool paused)
{
    struct command *command = slc_calloc(1, sizeof *command);
    *command = (struct command){.consumer = (struct slc_memory_consumer *)opaque, .paused = paused};
    slc_loop_call(command->consumer->memory->loop, run_pause, command);
}

static void run_stop(void *arg)
{
    struct slc_memory_consumer *consumer = arg;
    slc_memory *mem = consumer->memory;
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

void slc_memory_stop(slc_consumer *opaque, void (*done)(void *ctx), void *ctx)
{
    struct slc_memory_consumer *consumer = (struct slc_memory_consumer *)opaque;
    consumer->done = done;
    consumer->done_ctx = ctx;
    slc_loop_call(consumer->memory->loop, run_stop, consumer);
}
