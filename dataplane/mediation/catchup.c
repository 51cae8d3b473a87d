#include "dataplane/mediation/catchup.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/clock.h"
#include "dataplane/mediation/reader.h"
#include "dataplane/policy/policy.h"

#define SCAN_MAGIC   0x5343414eU
#define NEAR_RECORDS 20000 /* readers this close share a scan */
#define SLICE_MS     5000  /* then it gives way to those who wait for a place */
#define SLOW_MS      2000  /* nobody took anything for so long, and others wait */
#define STARVED_MS   1000  /* a reader waits for so long because of a slower one */

/* Places
 * --------------------------------------------------------------------------------------------------------- */

void slc_catchup_pool_init(slc_catchup_pool *pool, unsigned places, unsigned queue_limit)
{
    *pool = (slc_catchup_pool){.places = places > 0 ? places : 1, .queue_limit = queue_limit};
    pthread_mutex_init(&pool->lock, NULL);
    TAILQ_INIT(&pool->queue);
    pool->scans = slc_metrics_series("sluice_catchup_scans", NULL);
    pool->waiting = slc_metrics_series("sluice_catchup_waiting", NULL);
    pool->fetched_bytes = slc_metrics_series("sluice_catchup_fetched_bytes_total", NULL);
}

void slc_catchup_pool_release(slc_catchup_pool *pool)
{
    SLC_BUG_ON(pool->taken > 0 || !TAILQ_EMPTY(&pool->queue));
    pthread_mutex_destroy(&pool->lock);
}

static bool has_room_locked(const slc_catchup_pool *pool)
{
    return pool->taken < pool->places || atomic_load(&pool->queued) < pool->queue_limit;
}

bool slc_catchup_has_room(slc_catchup_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    bool room = has_room_locked(pool);
    pthread_mutex_unlock(&pool->lock);
    return room;
}

static slc_catchup_pool *pool_of(const slc_scan *scan)
{
    return &scan->api->worker->mediation->catchup;
}

static size_t window_of(const slc_scan *scan)
{
    return (size_t)scan->api->worker->limits->catchup_window_bytes;
}

static slc_mailbox *mailbox_of(const slc_scan *scan)
{
    return slc_loop_mailbox(scan->api->worker->worker->loop);
}

static void take_grant(slc_message *msg, void *owner);

/* Whoever is next in the queue gets the place; its worker hears of it. */
static void grant_locked(slc_catchup_pool *pool)
{
    slc_scan *scan = TAILQ_FIRST(&pool->queue);
    if (scan == NULL || pool->taken == pool->places)
        return;
    TAILQ_REMOVE(&pool->queue, scan, waiting);
    scan->in_queue = false;
    atomic_fetch_sub(&pool->queued, 1);
    slc_series_add(pool->waiting, -1);
    pool->taken++;
    scan->grant.run = take_grant;
    slc_mailbox_post(mailbox_of(scan), &scan->grant);
}

/* False when nothing is free and too many wait already. */
static bool ask_for_place(slc_scan *scan)
{
    slc_catchup_pool *pool = pool_of(scan);
    pthread_mutex_lock(&pool->lock);
    bool room = has_room_locked(pool);
    if (room) {
        TAILQ_INSERT_TAIL(&pool->queue, scan, waiting);
        scan->in_queue = true;
        atomic_fetch_add(&pool->queued, 1);
        slc_series_add(pool->waiting, 1);
        grant_locked(pool);
    }
    pthread_mutex_unlock(&pool->lock);
    return room;
}

static void give_place(slc_catchup_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    pool->taken--;
    grant_locked(pool);
    pthread_mutex_unlock(&pool->lock);
}

/* True when it was still queued: no grant comes. */
static bool leave_queue(slc_scan *scan)
{
    slc_catchup_pool *pool = pool_of(scan);
    pthread_mutex_lock(&pool->lock);
    bool queued = scan->in_queue;
    if (queued) {
        TAILQ_REMOVE(&pool->queue, scan, waiting);
        scan->in_queue = false;
        atomic_fetch_sub(&pool->queued, 1);
        slc_series_add(pool->waiting, -1);
    }
    pthread_mutex_unlock(&pool->lock);
    return queued;
}

/* Ending
 * --------------------------------------------------------------------------------------------------------- */

static void scan_free(slc_scan *scan)
{
    slc_api *api = scan->api;
    SLC_BUG_ON(scan->reader_count > 0);
    TAILQ_REMOVE(&api->scans, scan, entry);
    slc_ring_release(&scan->ring);
    scan->magic = 0;
    free(scan);
    api->references--;
    slc_api_settle(api);
}

struct scan_news {
    slc_message msg;
    slc_scan *scan;
    enum { NEWS_RECORDS, NEWS_END, NEWS_OUT_OF_RANGE, NEWS_ERROR, NEWS_STOPPED } kind;
    int32_t partition;
    int64_t requested, earliest, latest;
    bool failed;
    bool enough; /* the consumer has paused */
    slc_error err;
    size_t bytes, count;
    slc_record *records[];
};

static void take_news(slc_message *msg, void *owner);

static void post(slc_scan *scan, struct scan_news *news)
{
    news->scan = scan;
    news->msg.run = take_news;
    slc_mailbox_post(mailbox_of(scan), &news->msg);
}

static struct scan_news *news_new(int kind, size_t count)
{
    struct scan_news *news = slc_calloc(1, sizeof *news + count * sizeof *news->records);
    news->kind = kind;
    news->count = count;
    return news;
}

static void on_stopped(void *ctx)
{
    slc_scan *scan = ctx;
    slc_tally *tally = scan->api->worker->tally;
    give_place(pool_of(scan));
    post(scan, news_new(NEWS_STOPPED, 0));
    slc_tally_end(tally);
}

static void stop(slc_scan *scan)
{
    enum slc_scan_state state = scan->state;
    if (state == SLC_SCAN_STOPPING)
        return;
    scan->state = SLC_SCAN_STOPPING;
    if (state == SLC_SCAN_RUNNING) {
        slc_series_add(pool_of(scan)->scans, -1);
        slc_tally_begin(scan->api->worker->tally);
        scan->api->link->ops->stop(scan->consumer, on_stopped, scan);
    } else if (leave_queue(scan)) {
        scan_free(scan);
    } /* else the grant is under way, and ends it */
}

/* Its readers go on elsewhere, or wait again. */
static void give_way(slc_scan *scan)
{
    slc_reader *reader;
    scan->gives_way = true;
    while ((reader = TAILQ_FIRST(&scan->readers)) != NULL) {
        bool waited = reader->waiting;
        slc_reader_leave_scan(reader);
        if (waited)
            reader->ops->wake(reader);
    }
    stop(scan);
}

/* The consumer's events
 * -------------------------------------------------------------------------------------------- */

/* The worker may be busy: what it has not taken must not grow meanwhile. */
static bool on_records(void *ctx, slc_record **records, size_t count)
{
    slc_scan *scan = ctx;
    struct scan_news *news = news_new(NEWS_RECORDS, count);
    memcpy(news->records, records, count * sizeof *records);
    for (size_t i = 0; i < count; i++)
        news->bytes += records[i]->size_bytes;
    size_t before = atomic_fetch_add(&scan->under_way_bytes, news->bytes);
    bool enough = news->enough = before + news->bytes > window_of(scan) / 2;
    post(scan, news);
    return !enough;
}

static void on_end(void *ctx, int32_t partition, int64_t offset)
{
    struct scan_news *news = news_new(NEWS_END, 0);
    news->partition = partition;
    news->latest = offset;
    post(ctx, news);
}

static void on_out_of_range(void *ctx, int32_t partition, int64_t requested, int64_t earliest, int64_t latest)
{
    struct scan_news *news = news_new(NEWS_OUT_OF_RANGE, 0);
    news->partition = partition;
    news->requested = requested;
    news->earliest = earliest;
    news->latest = latest;
    post(ctx, news);
}

static void on_error(void *ctx, const slc_error *err)
{
    struct scan_news *news = news_new(NEWS_ERROR, 0);
    news->failed = err != NULL;
    if (err != NULL)
        news->err = *err;
    post(ctx, news);
}

static void run(slc_scan *scan)
{
    static const slc_consumer_callbacks callbacks = {on_records, on_end, on_out_of_range, on_error};
    const slc_ring *ring = &scan->ring;
    int64_t *offsets = slc_malloc((size_t)ring->partitions * sizeof *offsets + 1);
    for (int32_t i = 0; i < ring->partitions; i++)
        offsets[i] = ring->start[i].next;
    slc_link *link = scan->api->link;
    scan->state = SLC_SCAN_RUNNING;
    slc_series_add(pool_of(scan)->scans, 1);
    scan->granted_ms = scan->used_ms = slc_monotonic_ms();
    scan->consumer = link->ops->consume(link->broker, scan->api->api->backend_topic, ring->topic_id, offsets,
                                        ring->partitions, &callbacks, scan);
    free(offsets);
}

static void take_grant(slc_message *msg, void *owner)
{
    (void)owner;
    slc_scan *scan = (slc_scan *)((char *)msg - offsetof(slc_scan, grant));
    SLC_CHECK_MAGIC(scan, SCAN_MAGIC);
    if (scan->state == SLC_SCAN_QUEUED) {
        run(scan);
        return;
    }
    give_place(pool_of(scan)); /* nobody wants it any more */
    scan_free(scan);
}

static void set_paused(slc_scan *scan, bool paused)
{
    if (scan->paused == paused || scan->state != SLC_SCAN_RUNNING)
        return;
    scan->paused = paused;
    scan->full_since_ms = slc_monotonic_ms();
    scan->api->link->ops->pause(scan->consumer, paused);
}

static void take_records(slc_scan *scan, struct scan_news *news)
{
    atomic_fetch_sub(&scan->under_way_bytes, news->bytes);
    for (size_t i = 0; i < news->count; i++) {
        slc_record *record = news->records[i];
        if (scan->state == SLC_SCAN_RUNNING && record->offset >= scan->ring.end[record->partition].next)
            slc_ring_append(&scan->ring, record);
        else
            slc_record_unref(record);
    }
    slc_series_add(pool_of(scan)->fetched_bytes, (int64_t)news->bytes);
    if (scan->state != SLC_SCAN_RUNNING)
        return;
    if (news->enough) {
        scan->paused = true;
        scan->full_since_ms = slc_monotonic_ms();
    }
    if (scan->ring.bytes > window_of(scan))
        set_paused(scan, true);
    else if (scan->ring.bytes <= window_of(scan) / 2)
        set_paused(scan, false);
    slc_readers_wake_scan(scan);
}

static void take_range(slc_scan *scan, const struct scan_news *news)
{
    scan->broken = true;
    scan->broken_partition = news->partition;
    scan->broken_from = news->requested;
    scan->earliest = news->earliest;
    scan->latest = news->latest;
    slc_readers_wake_scan(scan);
}

static void take_error(slc_scan *scan, const struct scan_news *news)
{
    bool other_topic = news->failed && news->err.code == SLC_STALE;
    /* The feed finds out what it is, and the view that begins then sends the readers on their way. */
    if ((other_topic || (news->failed && news->err.code == SLC_NOT_FOUND)) && scan->api->subscription != NULL)
        slc_feed_suspect(scan->api->subscription);
    if (other_topic)
        return;
    scan->failing = news->failed;
    if (news->failed)
        scan->err = news->err;
    slc_readers_wake_scan(scan);
}

static void take_news(slc_message *msg, void *owner)
{
    (void)owner;
    struct scan_news *news = (struct scan_news *)msg;
    slc_scan *scan = news->scan;
    SLC_CHECK_MAGIC(scan, SCAN_MAGIC);
    bool running = scan->state == SLC_SCAN_RUNNING;
    if (news->kind == NEWS_RECORDS) {
        take_records(scan, news);
    } else if (news->kind == NEWS_STOPPED) {
        scan_free(scan);
    } else if (running && news->kind == NEWS_END) {
        slc_ring_move_end(&scan->ring, news->partition, news->latest);
        slc_readers_wake_scan(scan);
    } else if (running && news->kind == NEWS_OUT_OF_RANGE) {
        take_range(scan, news);
    } else if (running && news->kind == NEWS_ERROR) {
        take_error(scan, news);
    }
    free(news);
}

/* Readers
 * ---------------------------------------------------------------------------------------------------------- */

/* How many offsets the reader is ahead of the scan's window; -1 when it is behind it somewhere. */
static int64_t distance(const slc_ring *ring, const slc_position *own)
{
    int64_t total = 0;
    for (int32_t i = 0; i < ring->partitions; i++) {
        if (own[i].next < ring->start[i].next)
            return -1;
        if (own[i].next > ring->end[i].next)
            total += own[i].next - ring->end[i].next;
    }
    return total;
}

static slc_scan *find_near(slc_api *api, const slc_position *own)
{
    slc_scan *scan;
    TAILQ_FOREACH (scan, &api->scans, entry) {
        if (scan->state == SLC_SCAN_STOPPING || scan->gives_way || scan->broken ||
            scan->ring.partitions != api->ring.partitions)
            continue;
        int64_t far = distance(&scan->ring, own);
        if (far >= 0 && far <= NEAR_RECORDS)
            return scan;
    }
    return NULL;
}

slc_scan *slc_scan_for(slc_api *api, const slc_position *own)
{
    slc_scan *scan = find_near(api, own);
    if (scan != NULL)
        return scan;
    scan = slc_calloc(1, sizeof *scan);
    scan->magic = SCAN_MAGIC;
    scan->api = api;
    if (!ask_for_place(scan)) {
        free(scan);
        return NULL;
    }
    slc_ring_init(&scan->ring, &api->codec, api->ring.topic_id, own, api->ring.partitions, 0,
                  window_of(scan) / 2, &api->worker->scratch);
    TAILQ_INIT(&scan->readers);
    TAILQ_INIT(&scan->tail);
    TAILQ_INSERT_TAIL(&api->scans, scan, entry);
    api->references++;
    return scan;
}

void slc_scan_enter(slc_scan *scan, slc_reader *reader)
{
    scan->reader_count++;
    scan->used_ms = slc_monotonic_ms();
    TAILQ_INSERT_TAIL(&scan->readers, reader, scan_entry);
}

void slc_scan_leave(slc_scan *scan, slc_reader *reader)
{
    scan->reader_count--;
    scan->used_ms = slc_monotonic_ms();
    TAILQ_REMOVE(&scan->readers, reader, scan_entry);
}

static void make_room(slc_scan *scan, uint64_t up_to)
{
    slc_ring *ring = &scan->ring;
    while (ring->first < up_to && ring->bytes > window_of(scan) / 4)
        slc_ring_drop_first(ring);
    if (ring->bytes <= window_of(scan) / 2)
        set_paused(scan, false);
}

void slc_scan_consumed(slc_scan *scan)
{
    slc_reader *reader;
    slc_ring *ring = &scan->ring;
    scan->used_ms = slc_monotonic_ms();
    if (!scan->paused && ring->bytes < window_of(scan) / 2)
        return;
    uint64_t slowest = ring->next;
    TAILQ_FOREACH (reader, &scan->readers, scan_entry) {
        if (reader->seq < slowest)
            slowest = reader->seq;
    }
    make_room(scan, slowest);
}

/* The window keeps what its slowest reader needs, but not while another one starves: then the slow one falls
 * out. */
static bool is_starving(const slc_scan *scan, int64_t now_ms)
{
    return scan->paused && !TAILQ_EMPTY(&scan->tail) && now_ms - scan->full_since_ms > STARVED_MS;
}

void slc_scans_tick(slc_api *api, int64_t now_ms)
{
    slc_scan *next, *scan = TAILQ_FIRST(&api->scans);
    int64_t park_ms = api->worker->limits->catchup_park_ms;
    bool others_wait = atomic_load(&api->worker->mediation->catchup.queued) > 0;
    for (; scan != NULL; scan = next) {
        next = TAILQ_NEXT(scan, entry);
        int64_t unused_ms = now_ms - scan->used_ms;
        if (is_starving(scan, now_ms))
            make_room(scan, scan->ring.next);
        if (scan->state == SLC_SCAN_STOPPING) {
            continue;
        } else if (scan->reader_count == 0) {
            if (scan->state == SLC_SCAN_QUEUED || scan->broken || others_wait || unused_ms > park_ms)
                stop(scan);
        } else if (scan->state == SLC_SCAN_RUNNING && others_wait) {
            if (now_ms - scan->granted_ms > SLICE_MS || (scan->paused && unused_ms > SLOW_MS))
                give_way(scan);
        }
    }
}

void slc_scans_give_way(slc_api *api)
{
    slc_scan *next, *scan = TAILQ_FIRST(&api->scans);
    api->references++;
    for (; scan != NULL; scan = next) {
        next = TAILQ_NEXT(scan, entry);
        give_way(scan);
    }
    api->references--;
}

void slc_scans_stop(slc_api *api)
{
    slc_scan *next, *scan = TAILQ_FIRST(&api->scans);
    api->references++; /* the last scan must not take the API along */
    for (; scan != NULL; scan = next) {
        next = TAILQ_NEXT(scan, entry);
        stop(scan);
    }
    api->references--;
}
