/* The broker in memory: publishing, questions, life. */
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/clock.h"
#include "dataplane/broker/memory_private.h"

slc_memory *slc_memory_check(slc_broker *broker)
{
    slc_memory *mem = (slc_memory *)broker;
    SLC_CHECK_MAGIC(mem, SLC_MEMORY_MAGIC);
    return mem;
}

/* Publishing and questions
 * --------------------------------------------------------------------------------------- */

struct request {
    slc_memory *mem;
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

static struct request *request_new(slc_memory *mem, const char *topic, void *ctx)
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
    slc_memory *mem = request->mem;
    int64_t offset = -1;
    int32_t partition = -1;
    pthread_mutex_lock(&mem->lock);
    enum slc_publish_outcome outcome = mem->down ? SLC_NOT_PERSISTED : mem->outcome;
    struct slc_memory_topic *topic = slc_memory_find_locked(mem, request->topic);
    if (topic == NULL)
        outcome = SLC_TOPIC_MISSING;
    if (outcome == SLC_PUBLISHED) {
        slc_record parts = *request->record;
        partition = parts.partition = choose_partition(&parts, topic->count);
        offset = slc_memory_store_locked(&topic->partitions[partition], &parts);
    }
    pthread_mutex_unlock(&mem->lock);
    request->published_fn(request->ctx, outcome, partition, offset);
    request_free(request);
    slc_memory_serve(mem);
}

static bool memory_publish(slc_broker *broker, const slc_outgoing *record, slc_published_fn fn, void *ctx,
                           slc_error *err)
{
    slc_memory *mem = slc_memory_check(broker);
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

static bool look(slc_memory *mem, const char *name, slc_topic_info *info, slc_error *err)
{
    pthread_mutex_lock(&mem->lock);
    struct slc_memory_topic *topic = slc_memory_find_locked(mem, name);
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
    struct request *request = request_new(slc_memory_check(broker), topic, ctx);
    request->info_fn = fn;
    slc_loop_call(request->mem->loop, run_info, request);
}

static int64_t find_time(const struct slc_memory_partition *partition, int64_t wall_ms)
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
    slc_memory *mem = request->mem;
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
    const struct slc_memory_topic *topic = slc_memory_find_locked(mem, request->topic);
    for (int32_t i = 0; topic != NULL && i < request->partitions; i++) {
        const struct slc_memory_partition *partition = &topic->partitions[i];
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
    struct request *request = request_new(slc_memory_check(broker), topic, ctx);
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
    slc_memory *mem = slc_memory_check(broker);
    pthread_mutex_lock(&mem->lock);
    bool up = !mem->down;
    *since_wall_ms = mem->since_ms;
    pthread_mutex_unlock(&mem->lock);
    snprintf(last_error, size, "%s", up ? "" : "down");
    return up;
}

static void make_event(void *arg)
{
    slc_memory *mem = arg;
    mem->again = event_new(slc_loop_base(mem->loop), -1, 0, slc_memory_serve_again, mem);
}

static slc_broker *memory_open(const slc_backend *backend, const slc_broker_settings *settings, slc_error *err)
{
    (void)backend;
    (void)settings;
    slc_memory *mem = slc_calloc(1, sizeof *mem);
    mem->magic = SLC_MEMORY_MAGIC;
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

static void memory_close(slc_broker *broker)
{
    slc_memory *mem = slc_memory_check(broker);
    slc_loop_stop(mem->loop);
    slc_loop_join(mem->loop);
    SLC_BUG_ON(!TAILQ_EMPTY(&mem->consumers));
    struct slc_memory_topic *topic;
    while ((topic = TAILQ_FIRST(&mem->topics)) != NULL) {
        TAILQ_REMOVE(&mem->topics, topic, link);
        slc_memory_free_topic(topic);
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
    .consume = slc_memory_consume,
    .seek = slc_memory_seek,
    .pause = slc_memory_pause,
    .stop = slc_memory_stop,
    .health = memory_health,
};
