/* What the broker in memory holds, and the means to make it misbehave. */
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/clock.h"
#include "common/crypto.h"
#include "dataplane/broker/memory_private.h"

struct slc_memory_topic *slc_memory_find_locked(slc_memory *mem, const char *name)
{
    struct slc_memory_topic *topic;
    TAILQ_FOREACH (topic, &mem->topics, link) {
        if (strcmp(topic->name, name) == 0)
            return topic;
    }
    return NULL;
}

static int64_t append_locked(struct slc_memory_partition *partition, slc_record *record)
{
    if (partition->end == partition->cap) {
        partition->cap = partition->cap == 0 ? 64 : partition->cap * 2;
        partition->records =
            slc_realloc(partition->records, (size_t)partition->cap * sizeof *partition->records);
    }
    partition->records[partition->end] = record;
    return partition->end++;
}

static void wake(slc_memory *mem)
{
    slc_loop_call(mem->loop, slc_memory_serve, mem);
}

void slc_memory_topic_create(slc_broker *broker, const char *name, int32_t partitions)
{
    slc_memory *mem = slc_memory_check(broker);
    pthread_mutex_lock(&mem->lock);
    SLC_BUG_ON(slc_memory_find_locked(mem, name) != NULL);
    struct slc_memory_topic *topic = slc_calloc(1, sizeof *topic);
    topic->name = slc_strdup(name);
    topic->count = partitions;
    slc_random(topic->id, sizeof topic->id);
    topic->partitions = slc_calloc((size_t)partitions, sizeof *topic->partitions);
    TAILQ_INSERT_TAIL(&mem->topics, topic, link);
    pthread_mutex_unlock(&mem->lock);
}

void slc_memory_topic_delete(slc_broker *broker, const char *name)
{
    slc_memory *mem = slc_memory_check(broker);
    pthread_mutex_lock(&mem->lock);
    struct slc_memory_topic *topic = slc_memory_find_locked(mem, name);
    SLC_BUG_ON(topic == NULL);
    TAILQ_REMOVE(&mem->topics, topic, link);
    pthread_mutex_unlock(&mem->lock);
    slc_memory_free_topic(topic);
    wake(mem);
}

void slc_memory_set_limit(slc_broker *broker, const char *name, int64_t max_message_bytes, bool compacted)
{
    slc_memory *mem = slc_memory_check(broker);
    pthread_mutex_lock(&mem->lock);
    struct slc_memory_topic *topic = slc_memory_find_locked(mem, name);
    SLC_BUG_ON(topic == NULL);
    topic->max_message_bytes = max_message_bytes;
    topic->compacted = compacted;
    pthread_mutex_unlock(&mem->lock);
}

int64_t slc_memory_store_locked(struct slc_memory_partition *partition, const slc_record *parts)
{
    slc_record copy = *parts;
    copy.offset = partition->end;
    copy.timestamp_ms = parts->timestamp_ms == 0 ? slc_wall_ms() : parts->timestamp_ms;
    return append_locked(partition, slc_record_new(&copy));
}

int64_t slc_memory_append(slc_broker *broker, const char *name, const slc_record *parts)
{
    slc_memory *mem = slc_memory_check(broker);
    pthread_mutex_lock(&mem->lock);
    struct slc_memory_topic *topic = slc_memory_find_locked(mem, name);
    SLC_BUG_ON(topic == NULL || parts->partition >= topic->count);
    int64_t offset = slc_memory_store_locked(&topic->partitions[parts->partition], parts);
    pthread_mutex_unlock(&mem->lock);
    wake(mem);
    return offset;
}

static struct slc_memory_partition *partition_locked(slc_memory *mem, const char *name, int32_t partition)
{
    struct slc_memory_topic *topic = slc_memory_find_locked(mem, name);
    SLC_BUG_ON(topic == NULL || partition >= topic->count);
    return &topic->partitions[partition];
}

void slc_memory_expire(slc_broker *broker, const char *name, int32_t number, int64_t start)
{
    slc_memory *mem = slc_memory_check(broker);
    pthread_mutex_lock(&mem->lock);
    struct slc_memory_partition *partition = partition_locked(mem, name, number);
    for (; partition->start < start && partition->start < partition->end; partition->start++) {
        slc_record_unref(partition->records[partition->start]);
        partition->records[partition->start] = NULL;
    }
    pthread_mutex_unlock(&mem->lock);
    wake(mem);
}

void slc_memory_truncate(slc_broker *broker, const char *name, int32_t number, int64_t end)
{
    slc_memory *mem = slc_memory_check(broker);
    pthread_mutex_lock(&mem->lock);
    struct slc_memory_partition *partition = partition_locked(mem, name, number);
    while (partition->end > end)
        slc_record_unref(partition->records[--partition->end]);
    pthread_mutex_unlock(&mem->lock);
    wake(mem);
}

void slc_memory_skip(slc_broker *broker, const char *name, int32_t number, int64_t count)
{
    slc_memory *mem = slc_memory_check(broker);
    pthread_mutex_lock(&mem->lock);
    while (count-- > 0)
        append_locked(partition_locked(mem, name, number), NULL);
    pthread_mutex_unlock(&mem->lock);
    wake(mem);
}

void slc_memory_add_partition(slc_broker *broker, const char *name)
{
    slc_memory *mem = slc_memory_check(broker);
    pthread_mutex_lock(&mem->lock);
    struct slc_memory_topic *topic = slc_memory_find_locked(mem, name);
    SLC_BUG_ON(topic == NULL);
    topic->partitions = slc_realloc(topic->partitions, ((size_t)topic->count + 1) * sizeof *topic->partitions);
    topic->partitions[topic->count++] = (struct slc_memory_partition){0};
    pthread_mutex_unlock(&mem->lock);
}

slc_record *slc_memory_record(slc_broker *broker, const char *name, int32_t number, int64_t offset)
{
    slc_memory *mem = slc_memory_check(broker);
    slc_record *record = NULL;
    pthread_mutex_lock(&mem->lock);
    struct slc_memory_partition *partition = partition_locked(mem, name, number);
    if (offset >= partition->start && offset < partition->end && partition->records[offset] != NULL)
        record = slc_record_ref(partition->records[offset]);
    pthread_mutex_unlock(&mem->lock);
    return record;
}

void slc_memory_set_down(slc_broker *broker, bool down)
{
    slc_memory *mem = slc_memory_check(broker);
    pthread_mutex_lock(&mem->lock);
    mem->down = down;
    mem->since_ms = slc_wall_ms();
    pthread_mutex_unlock(&mem->lock);
    wake(mem);
}

void slc_memory_set_held(slc_broker *broker, bool held)
{
    slc_memory *mem = slc_memory_check(broker);
    pthread_mutex_lock(&mem->lock);
    mem->held = held;
    pthread_mutex_unlock(&mem->lock);
    wake(mem);
}

void slc_memory_set_outcome(slc_broker *broker, enum slc_publish_outcome outcome)
{
    slc_memory *mem = slc_memory_check(broker);
    pthread_mutex_lock(&mem->lock);
    mem->outcome = outcome;
    pthread_mutex_unlock(&mem->lock);
}

uint64_t slc_memory_delivered(slc_broker *broker)
{
    slc_memory *mem = slc_memory_check(broker);
    pthread_mutex_lock(&mem->lock);
    uint64_t delivered = mem->delivered;
    pthread_mutex_unlock(&mem->lock);
    return delivered;
}

unsigned slc_memory_consumers(slc_broker *broker)
{
    slc_memory *mem = slc_memory_check(broker);
    pthread_mutex_lock(&mem->lock);
    unsigned count = mem->consumer_count;
    pthread_mutex_unlock(&mem->lock);
    return count;
}

void slc_memory_free_topic(struct slc_memory_topic *topic)
{
    for (int32_t i = 0; i < topic->count; i++) {
        struct slc_memory_partition *partition = &topic->partitions[i];
        for (int64_t offset = 0; offset < partition->end; offset++)
            slc_record_unref(partition->records[offset]);
        free(partition->records);
    }
    free(topic->partitions);
    free(topic->name);
    free(topic);
}
