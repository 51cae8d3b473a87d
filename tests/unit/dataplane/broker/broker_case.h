/* Collects what a broker calls back with, for tests that wait on conditions. */
#ifndef SLC_TESTS_BROKER_CASE_H
#define SLC_TESTS_BROKER_CASE_H

#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"
#include "dataplane/broker/broker.h"

#define CASE_MAX 20000

struct collector {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    slc_record *records[CASE_MAX];
    size_t count;
    int64_t ends[16];
    unsigned end_count;
    bool out_of_range;
    int64_t requested, earliest, latest;
    unsigned errors, recoveries;
    enum slc_code last_code;
    bool stopped;
    unsigned answers;
    enum slc_publish_outcome outcomes[CASE_MAX];
    int32_t partitions[CASE_MAX];
    int64_t offsets[CASE_MAX];
    slc_topic_info info;
    slc_error err;
};

static inline void collector_init(struct collector *c)
{
    memset(c, 0, sizeof *c);
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->changed, NULL);
}

static inline void collector_release(struct collector *c)
{
    for (size_t i = 0; i < c->count; i++)
        slc_record_unref(c->records[i]);
    pthread_mutex_destroy(&c->lock);
    pthread_cond_destroy(&c->changed);
}

static inline void collector_note(struct collector *c)
{
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->lock);
}

/* Waits for at most 45 s until the condition holds, with the lock held meanwhile. */
#define WAIT_UNTIL(c, condition)                                                                               \
    do {                                                                                                       \
        struct timespec limit;                                                                                 \
        clock_gettime(CLOCK_REALTIME, &limit);                                                                 \
        limit.tv_sec += 45;                                                                                    \
        pthread_mutex_lock(&(c)->lock);                                                                        \
        int waited = 0;                                                                                        \
        while (!(condition) && waited == 0)                                                                    \
            waited = pthread_cond_timedwait(&(c)->changed, &(c)->lock, &limit);                                \
        bool reached = (condition);                                                                            \
        pthread_mutex_unlock(&(c)->lock);                                                                      \
        ck_assert_msg(reached, "not reached within 45 s: %s", #condition);                                     \
    } while (0)

static inline bool case_records(void *ctx, slc_record **records, size_t count)
{
    struct collector *c = ctx;
    pthread_mutex_lock(&c->lock);
    for (size_t i = 0; i < count && c->count < CASE_MAX; i++)
        c->records[c->count++] = records[i];
    collector_note(c);
    return true;
}

static inline void case_end(void *ctx, int32_t partition, int64_t offset)
{
    struct collector *c = ctx;
    pthread_mutex_lock(&c->lock);
    c->ends[partition] = offset;
    c->end_count++;
    collector_note(c);
}

static inline void case_out_of_range(void *ctx, int32_t partition, int64_t requested, int64_t earliest,
                                     int64_t latest)
{
    struct collector *c = ctx;
    (void)partition;
    pthread_mutex_lock(&c->lock);
    c->out_of_range = true;
    c->requested = requested;
    c->earliest = earliest;
    c->latest = latest;
    collector_note(c);
}

static inline void case_error(void *ctx, const slc_error *err)
{
    struct collector *c = ctx;
    pthread_mutex_lock(&c->lock);
    if (err == NULL) {
        c->recoveries++;
    } else {
        c->errors++;
        c->last_code = err->code;
    }
    collector_note(c);
}

static inline void case_stopped(void *ctx)
{
    struct collector *c = ctx;
    pthread_mutex_lock(&c->lock);
    c->stopped = true;
    collector_note(c);
}

static inline void case_published(void *ctx, enum slc_publish_outcome outcome, int32_t partition,
                                  int64_t offset)
{
    struct collector *c = ctx;
    pthread_mutex_lock(&c->lock);
    c->outcomes[c->answers] = outcome;
    c->partitions[c->answers] = partition;
    c->offsets[c->answers] = offset;
    c->answers++;
    collector_note(c);
}

static inline void case_info(void *ctx, const slc_topic_info *info, const slc_error *err)
{
    struct collector *c = ctx;
    pthread_mutex_lock(&c->lock);
    c->err = (slc_error){0};
    if (info != NULL)
        c->info = *info;
    else
        c->err = *err;
    c->answers++;
    collector_note(c);
}

static inline void case_offsets(void *ctx, const int64_t *offsets, int32_t count, const slc_error *err)
{
    struct collector *c = ctx;
    pthread_mutex_lock(&c->lock);
    c->err = (slc_error){0};
    if (offsets == NULL)
        c->err = *err;
    for (int32_t i = 0; i < count; i++)
        c->offsets[i] = offsets[i];
    c->answers++;
    collector_note(c);
}

static const uint8_t case_any_id[16]; /* the topic's id is not known */
static const slc_consumer_callbacks case_callbacks = {case_records, case_end, case_out_of_range, case_error};

/* A backend that lives as long as the test program. */
static Sluice__Snapshot__V1__Backend case_msg = SLUICE__SNAPSHOT__V1__BACKEND__INIT;
static char case_bootstrap[128];
static char *case_servers[] = {case_bootstrap};
static slc_backend case_backend = {.refs = 1000, .msg = &case_msg};
static slc_broker_settings case_settings = {.publish_deadline_ms = 15000,
                                            .producer_queue_bytes = 8 * 1024 * 1024,
                                            .gather_ms = 5,
                                            .fetch_bytes = 512 * 1024,
                                            .inflated_bytes = 1 << 20,
                                            .refresh_ms = 5000,
                                            .metadata_timeout_ms = 5000};

static inline slc_broker *case_open(const slc_broker_ops *ops, const char *bootstrap)
{
    slc_error err;
    snprintf(case_bootstrap, sizeof case_bootstrap, "%s", bootstrap);
    case_msg.name = (char *)"test";
    case_msg.bootstrap_servers = case_servers;
    case_msg.n_bootstrap_servers = 1;
    slc_broker *broker = ops->open(&case_backend, &case_settings, &err);
    ck_assert_msg(broker != NULL, "%s", err.message);
    return broker;
}

#endif
