/* An event API as a worker uses it: found or made for an exchange, fed by its subscription, retired when it
 * goes. */
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/clock.h"
#include "common/log.h"
#include "dataplane/mediation/problem.h"
#include "dataplane/mediation/reader.h"
#include "dataplane/policy/policy.h"

/* What a worker waits for before it goes
 * --------------------------------------------------------------------------- */

void slc_tally_begin(slc_tally *tally)
{
    pthread_mutex_lock(&tally->lock);
    tally->count++;
    pthread_mutex_unlock(&tally->lock);
}

void slc_tally_end(void *arg)
{
    slc_tally *tally = arg;
    pthread_mutex_lock(&tally->lock);
    if (--tally->count == 0)
        pthread_cond_broadcast(&tally->zero);
    pthread_mutex_unlock(&tally->lock);
}

/* The view
 * --------------------------------------------------------------------------------------------------------- */

static void append(slc_api *api, const slc_feed_update *update)
{
    for (size_t i = 0; i < update->count; i++)
        slc_ring_append(&api->ring, slc_record_ref(update->records[i]));
    while (api->ring.bytes > (size_t)api->worker->limits->feed_ring_bytes &&
           api->ring.next - api->ring.first > 1)
        slc_ring_drop_first(&api->ring);
    for (int32_t i = 0; i < update->partitions && i < api->ring.partitions; i++)
        slc_ring_move_end(&api->ring, i, update->end[i]);
    api->caught_up = update->caught_up;
}

/* The numbering goes on, so that everybody finds himself outside and looks for his place again. */
static void begin_view(slc_api *api, const slc_feed_update *update)
{
    bool other = api->live && (api->ring.partitions != update->partitions ||
                               slc_topic_id_differs(api->ring.topic_id, update->topic_id));
    uint64_t first = api->live ? api->ring.next + 1 : api->next_first;
    if (api->live)
        slc_ring_release(&api->ring);
    slc_ring_init(&api->ring, &api->codec, update->topic_id, update->start, update->partitions, first,
                  (size_t)api->worker->limits->feed_ring_bytes / 4, &api->worker->scratch);
    slc_lenses_clear(api);
    api->live = true;
    append(api, update);
    if (other)
        slc_scans_give_way(api);
    slc_readers_wake_all(api);
}

/* After the updates that have come, not after each: a worker that is behind writes to a reader once for
 * several. */
static void on_wake(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    slc_api *api = arg;
    slc_scan *next, *scan;
    SLC_CHECK_MAGIC(api, SLC_API_MAGIC);
    bool going_on = api->going_on;
    api->going_on = false;
    slc_readers_wake_tail(api);
    for (scan = TAILQ_FIRST(&api->scans); going_on && scan != NULL; scan = next) {
        next = TAILQ_NEXT(scan, entry);
        slc_readers_wake_scan(scan);
    }
}

static void on_update(void *ctx, const slc_feed_update *update)
{
    slc_api *api = ctx;
    SLC_CHECK_MAGIC(api, SLC_API_MAGIC);
    bool touch = update->lost_touch || update->regained;
    if (touch)
        api->failing = update->lost_touch;
    if (update->lost_touch)
        api->err = update->err;
    if (update->reset) {
        begin_view(api, update);
    } else if (api->live && update->partitions == api->ring.partitions) {
        append(api, update);
        event_active(api->wake, EV_TIMEOUT, 0);
    }
    if (touch)
        slc_readers_wake_all(api);
}

void slc_api_follow(slc_api *api)
{
    if (api->subscription != NULL)
        return;
    slc_tally_begin(api->worker->tally);
    api->subscription =
        slc_feed_subscribe(api->worker->mediation->feeds, api->link, api->api->backend_topic,
                           api->worker->worker->loop, on_update, api, slc_tally_end, api->worker->tally);
}

static void unfollow(slc_api *api)
{
    if (api->subscription != NULL)
        slc_feed_unsubscribe(api->subscription);
    api->subscription = NULL;
    if (api->live) {
        api->next_first = api->ring.next + 1;
        slc_ring_release(&api->ring);
    }
    api->live = api->failing = false;
}

/* Life
 * -------------------------------------------------------------------------------------------------------------
 */

static unsigned bucket_of(const char *id)
{
    unsigned hash = 5381;
    for (; *id != '\0'; id++)
        hash = hash * 33 + (unsigned char)*id;
    return hash % SLC_API_BUCKETS;
}

static slc_api *find(slc_mediation_worker *worker, const char *id)
{
    slc_api *api;
    TAILQ_FOREACH (api, &worker->apis[bucket_of(id)], entry) {
        if (strcmp(api->api->msg->id, id) == 0)
            return api;
    }
    return NULL;
}

/* The same stream, whatever else changed. */
static bool is_same_stream(const slc_event_api *a, const slc_event_api *b)
{
    return memcmp(a->vcluster->backend->digest, b->vcluster->backend->digest, sizeof a->digest) == 0 &&
           strcmp(a->backend_topic, b->backend_topic) == 0;
}

static slc_api *make(slc_mediation_worker *worker, slc_event_api *event_api, slc_error *err)
{
    slc_cursor_codec codec;
    if (!slc_cursor_codec_init(&codec, event_api, err))
        return NULL;
    slc_link *link = slc_link_get(&worker->mediation->links, event_api->vcluster->backend, err);
    if (link == NULL)
        return NULL;
    slc_api *api = slc_calloc(1, sizeof *api);
    api->magic = SLC_API_MAGIC;
    api->worker = worker;
    api->api = slc_event_api_ref(event_api);
    api->link = link;
    api->codec = codec;
    api->unused_since_ms = slc_monotonic_ms();
    api->wake = event_new(slc_loop_base(worker->worker->loop), -1, 0, on_wake, api);
    TAILQ_INIT(&api->readers);
    TAILQ_INIT(&api->tail);
    TAILQ_INIT(&api->outside);
    TAILQ_INIT(&api->scans);
    TAILQ_INIT(&api->lenses);
    slc_api_metrics_init(api);
    TAILQ_INSERT_TAIL(&worker->apis[bucket_of(event_api->msg->id)], api, entry);
    return api;
}

slc_api *slc_api_of(slc_exchange *exchange)
{
    slc_error err;
    slc_mediation_worker *worker = exchange->worker->mediation;
    slc_api *api = find(worker, exchange->api->msg->id);
    if (api == NULL)
        api = make(worker, exchange->api, &err);
    if (api == NULL) {
        slc_log_error(SLC_LOG_ERROR, "an event API cannot be served", &err);
        slc_problem(exchange, SLC_PROBLEM_BACKEND_UNUSABLE, NULL);
        return NULL;
    }
    /* The request began before a change of the API's address and is late. */
    if (!is_same_stream(api->api, exchange->api)) {
        slc_problem(exchange, SLC_PROBLEM_CHANGING, NULL);
        return NULL;
    }
    return api;
}

void slc_api_settle(slc_api *api)
{
    slc_mediation_worker *worker = api->worker;
    if (!api->retired || api->references > 0 || !TAILQ_EMPTY(&api->readers) || !TAILQ_EMPTY(&api->scans))
        return;
    TAILQ_REMOVE(&worker->retired, api, entry);
    slc_lenses_expire(api, 0, INT64_MIN);
    slc_link_unref(api->link);
    slc_event_api_unref(api->api);
    event_free(api->wake);
    api->magic = 0;
    free(api);
    slc_mediation_worker_settle(worker);
}

void slc_api_retire(slc_api *api)
{
    slc_mediation_worker *worker = api->worker;
    TAILQ_REMOVE(&worker->apis[bucket_of(api->api->msg->id)], api, entry);
    TAILQ_INSERT_TAIL(&worker->retired, api, entry);
    api->retired = true;
    api->references++; /* until all of this is done */
    slc_readers_end(api);
    slc_scans_stop(api);
    unfollow(api);
    api->references--;
    slc_api_settle(api);
}

static void rebind(slc_api *api, slc_event_api *event_api)
{
    slc_scan *scan;
    slc_error err;
    slc_cursor_codec codec;
    if (api->api == event_api)
        return;
    if (!slc_cursor_codec_init(&codec, event_api, &err)) {
        slc_log_error(SLC_LOG_ERROR, "a cursor key is unusable: the old ones stay", &err);
        return;
    }
    slc_event_api *old = api->api;
    api->api = slc_event_api_ref(event_api);
    api->codec = api->ring.codec = codec;
    TAILQ_FOREACH (scan, &api->scans, entry)
        scan->ring.codec = codec;
    slc_lenses_expire(api, 0, INT64_MIN);
    slc_event_api_unref(old);
}

void slc_api_apply(slc_api *api, const slc_snapshot *snapshot)
{
    slc_event_api *now = snapshot != NULL ? slc_snapshot_event_api_by_id(snapshot, api->api->msg->id) : NULL;
    if (now == NULL || !is_same_stream(api->api, now)) {
        slc_api_retire(api);
        return;
    }
    rebind(api, now);
    slc_pages_recheck(api);
}

void slc_api_tick(slc_api *api, int64_t now_ms)
{
    slc_scans_tick(api, now_ms);
    slc_readers_wake_outside(api);
    slc_readers_retry(api);
    slc_lenses_expire(api, now_ms, api->worker->limits->feed_idle_ms);
    if (!TAILQ_EMPTY(&api->readers) || !TAILQ_EMPTY(&api->scans) || api->references > 0)
        api->unused_since_ms = now_ms;
    else if (api->subscription != NULL && now_ms - api->unused_since_ms > api->worker->limits->feed_idle_ms)
        unfollow(api);
}
