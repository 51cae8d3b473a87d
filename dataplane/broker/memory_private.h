/* Inside of the broker in memory. One loop serves the consumers; what is stored is under a lock. */
#ifndef SLC_DATAPLANE_BROKER_MEMORY_PRIVATE_H
#define SLC_DATAPLANE_BROKER_MEMORY_PRIVATE_H

#include <event2/event.h>
#include <pthread.h>
#include <sys/queue.h>

#include "common/loop.h"
#include "dataplane/broker/memory.h"

#define SLC_MEMORY_MAGIC 0x4d454d42U

struct slc_memory_partition {
    slc_record **records; /* index = offset; NULL: a hole */
    int64_t start, end, cap;
};

struct slc_memory_topic {
    TAILQ_ENTRY(slc_memory_topic) link;
    char *name;
    struct slc_memory_partition *partitions;
    int32_t count;
    uint8_t id[16];
    int64_t max_message_bytes;
    bool compacted;
};

struct slc_memory;

struct slc_memory_consumer {
    TAILQ_ENTRY(slc_memory_consumer) link;
    struct slc_memory *memory;
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

typedef struct slc_memory {
    unsigned magic;
    slc_loop *loop;
    struct event *again;
    pthread_mutex_t lock; /* everything below */
    TAILQ_HEAD(, slc_memory_topic) topics;
    bool down, held;
    int64_t since_ms;
    enum slc_publish_outcome outcome;
    uint64_t delivered;
    unsigned consumer_count;
    TAILQ_HEAD(, slc_memory_consumer) consumers; /* loop only */
} slc_memory;

/* memory.c */
slc_memory *slc_memory_check(slc_broker *broker);

/* memory_storage.c */
struct slc_memory_topic *slc_memory_find_locked(slc_memory *mem, const char *name);
/* Appends a copy; returns its offset. */
int64_t slc_memory_store_locked(struct slc_memory_partition *partition, const slc_record *parts);
void slc_memory_free_topic(struct slc_memory_topic *topic);

/* memory_consumer.c: gives every consumer what there is for it. On the loop. */
void slc_memory_serve(void *mem);
void slc_memory_serve_again(evutil_socket_t fd, short what, void *mem);
slc_consumer *slc_memory_consume(slc_broker *broker, const char *topic, const uint8_t *topic_id,
                                 const int64_t *offsets, int32_t partitions,
                                 const slc_consumer_callbacks *callbacks, void *ctx);
void slc_memory_seek(slc_consumer *consumer, int32_t partition, int64_t offset);
void slc_memory_pause(slc_consumer *consumer, bool paused);
void slc_memory_stop(slc_consumer *consumer, void (*done)(void *ctx), void *ctx);

#endif
