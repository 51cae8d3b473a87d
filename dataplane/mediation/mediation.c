/* Life of mediation: the process's part, a worker's part, snapshots, the tick, draining. */
#include "dataplane/mediation/mediation.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/clock.h"
#include "common/log.h"
#include "dataplane/mediation/mediation_private.h"
#include "dataplane/mediation/rejections.h"

/* A value of the largest request grows at most sixfold (control characters of a key as \u00xx), with room to
 * spare. */
#define SCRATCH_MAX (1ULL << 30)

#define KEEP_BYTES (1u << 20) /* of a buffer for one record, from tick to tick */

/* Process
 * ---------------------------------------------------------------------------------------------------------- */

slc_mediation *slc_mediation_new_over(const slc_gateway_limits *limits, const slc_broker_ops *ops,
                                      slc_error *err)
{
    const slc_broker_settings settings = {.publish_deadline_ms = limits->publish_deadline_ms,
                                          .producer_queue_bytes = limits->producer_queue_bytes,
                                          .gather_ms = limits->publish_gather_ms,
                                          .fetch_bytes = limits->feed_fetch_bytes,
                                          .inflated_bytes = limits->records_inflated_bytes,
                                          .refresh_ms = limits->metadata_refresh_ms,
                                          .metadata_timeout_ms = limits->metadata_timeout_ms};
    slc_feeds *feeds = slc_feeds_new(limits, err);
    if (feeds == NULL)
        return NULL;
    slc_mediation *mediation = slc_calloc(1, sizeof *mediation);
    mediation->magic = SLC_MEDIATION_MAGIC;
    mediation->limits = limits;
    mediation->feeds = feeds;
    pthread_mutex_init(&mediation->tallies_lock, NULL);
    slc_links_init(&mediation->links, ops, &settings);
    slc_catchup_pool_init(&mediation->catchup, (unsigned)limits->catchup_consumers,
                          (unsigned)limits->catchup_queue);
    slc_letter_box_init(&mediation->letters, &mediation->links, limits->records_letters);
    return mediation;
}

void slc_mediation_register_metrics(void)
{
    slc_metrics_register(slc_mediation_metrics);
}

slc_mediation *slc_mediation_new(struct slc_gateway *gateway, slc_error *err)
{
    return slc_mediation_new_over(slc_gateway_limits_of(gateway), &slc_broker_kafka, err);
}

void slc_mediation_free(slc_mediation *mediation)
{
    if (mediation == NULL)
        return;
    SLC_CHECK_MAGIC(mediation, SLC_MEDIATION_MAGIC);
    slc_feeds_free(mediation->feeds);
    slc_links_release(&mediation->links);
    slc_letter_box_release(&mediation->letters);
    slc_catchup_pool_release(&mediation->catchup);
    slc_tally *tally;
    while ((tally = mediation->tallies) != NULL) {
        mediation->tallies = tally->next;
        pthread_mutex_destroy(&tally->lock);
        pthread_cond_destroy(&tally->zero);
        free(tally);
    }
    pthread_mutex_destroy(&mediation->tallies_lock);
    mediation->magic = 0;
    free(mediation);
}

json_t *slc_mediation_backend_health(slc_mediation *mediation)
{
    SLC_CHECK_MAGIC(mediation, SLC_MEDIATION_MAGIC);
    return slc_links_health(&mediation->links);
}

slc_link *slc_mediation_link(slc_mediation_worker *mediation, const slc_backend *backend, slc_error *err)
{
    return slc_link_get(&mediation->mediation->links, backend, err);
}

slc_dead_letters *slc_mediation_letters(slc_mediation_worker *mediation)
{
    return mediation->letters;
}

static slc_tally *tally_new(slc_mediation *mediation)
{
    slc_tally *tally = slc_calloc(1, sizeof *tally);
    pthread_mutex_init(&tally->lock, NULL);
    pthread_cond_init(&tally->zero, NULL);
    pthread_mutex_lock(&mediation->tallies_lock);
    tally->next = mediation->tallies;
    mediation->tallies = tally;
    pthread_mutex_unlock(&mediation->tallies_lock);
    return tally;
}

static void tally_wait(slc_tally *tally)
{
    pthread_mutex_lock(&tally->lock);
    while (tally->count > 0)
        pthread_cond_wait(&tally->zero, &tally->lock);
    pthread_mutex_unlock(&tally->lock);
}

/* Worker
 * -----------------------------------------------------------------------------------------------------------
 */

static void for_each_api(slc_mediation_worker *worker, void (*fn)(slc_api *api, const void *arg),
                         const void *arg)
{
    for (unsigned i = 0; i < SLC_API_BUCKETS; i++) {
        slc_api *next, *api = TAILQ_FIRST(&worker->apis[i]);
        for (; api != NULL; api = next) { /* the API may retire */
            next = TAILQ_NEXT(api, entry);
            fn(api, arg);
        }
    }
}

static void tick_api(slc_api *api, const void *arg)
{
    slc_api_tick(api, *(const int64_t *)arg);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    slc_mediation_worker *worker = arg;
    SLC_CHECK_MAGIC(worker, SLC_MEDIATION_WORKER_MAGIC);
    int64_t now_ms = slc_monotonic_ms();
    slc_publishes_tick(worker, now_ms);
    slc_record_scratch_trim(&worker->records, KEEP_BYTES);
    slc_rejections_tick(worker, now_ms, false);
    slc_streams_tick(worker, now_ms);
    for_each_api(worker, tick_api, &now_ms);
    slc_api *next, *api = TAILQ_FIRST(&worker->retired);
    for (; api != NULL; api = next) {
        next = TAILQ_NEXT(api, entry);
        slc_scans_tick(api, now_ms);
    }
}

slc_mediation_worker *slc_mediation_attach(slc_mediation *mediation, slc_worker *worker)
{
    static const struct timeval every = {.tv_usec = SLC_TICK_MS * 1000};
    SLC_CHECK_MAGIC(mediation, SLC_MEDIATION_MAGIC);
    slc_mediation_worker *self = slc_calloc(1, sizeof *self);
    self->magic = SLC_MEDIATION_WORKER_MAGIC;
    self->mediation = mediation;
    self->worker = worker;
    self->limits = mediation->limits;
    self->letters = &mediation->letters.sink;
    self->tally = tally_new(mediation);
    self->out = evbuffer_new();
    SLC_BUG_ON(self->out == NULL);
    slc_buf_init(&self->scratch, SCRATCH_MAX);
    for (unsigned i = 0; i < SLC_API_BUCKETS; i++)
        TAILQ_INIT(&self->apis[i]);
    TAILQ_INIT(&self->retired);
    slc_streams_init(self);
    TAILQ_INIT(&self->all_pages);
    TAILQ_INIT(&self->publishes_by_deadline);
    TAILQ_INIT(&self->publishes_waiting);
    slc_record_scratch_init(&self->records, SCRATCH_MAX);
    slc_repeats_init(&self->rejections);
    self->tick = event_new(slc_loop_base(worker->loop), -1, EV_PERSIST, on_tick, self);
    event_add(self->tick, &every);
    return self;
}

static void drop_kept(slc_link **kept, size_t count)
{
    for (size_t i = 0; i < count; i++)
        slc_link_unref(kept[i]);
    free(kept);
}

static void retire_api(slc_api *api, const void *arg)
{
    (void)arg;
    slc_api_retire(api);
}

/* Messages that were posted before the last thread let go are still in the mailbox: what they need stays until
 * they have run. */
void slc_mediation_worker_settle(slc_mediation_worker *worker)
{
    if (!worker->detached || !TAILQ_EMPTY(&worker->retired))
        return;
    slc_buf_release(&worker->scratch);
    slc_record_scratch_release(&worker->records);
    slc_rejections_release(worker);
    evbuffer_free(worker->out);
    worker->magic = 0;
    free(worker);
}

void slc_mediation_detach(slc_mediation_worker *worker)
{
    SLC_CHECK_MAGIC(worker, SLC_MEDIATION_WORKER_MAGIC);
    event_free(worker->tick);
    worker->tick = NULL;
    if (worker->judge != NULL)
        event_free(worker->judge);
    worker->judge = NULL;
    slc_publishes_stop(worker);
    for_each_api(worker, retire_api, NULL);
    drop_kept(worker->kept, worker->kept_count);
    worker->kept = NULL;
    worker->kept_count = 0;
    tally_wait(worker->tally);
    worker->detached = true;
    slc_mediation_worker_settle(worker);
}

/* Snapshots
 * -------------------------------------------------------------------------------------------------------- */

/* One worker keeps in touch with every backend of the snapshot, so that its health is known before anybody
 * asks. */
static void keep_backends(slc_mediation_worker *worker, const slc_snapshot *snapshot)
{
    slc_error err;
    size_t count, kept_count = 0;
    slc_backend *const *backends = slc_snapshot_backends(snapshot, &count);
    slc_link **kept = slc_calloc(count + 1, sizeof *kept);
    for (size_t i = 0; i < count; i++) {
        kept[kept_count] = slc_link_get(&worker->mediation->links, backends[i], &err);
        if (kept[kept_count] != NULL)
            kept_count++;
        else
            slc_log_error(SLC_LOG_ERROR, "a backend cannot be used", &err);
    }
    drop_kept(worker->kept, worker->kept_count);
    worker->kept = kept;
    worker->kept_count = kept_count;
}

static void apply_api(slc_api *api, const void *arg)
{
    slc_api_apply(api, arg);
}

void slc_mediation_apply(slc_mediation_worker *worker)
{
    SLC_CHECK_MAGIC(worker, SLC_MEDIATION_WORKER_MAGIC);
    const slc_snapshot *snapshot = worker->worker->snapshot;
    worker->applied++;
    if (worker->worker->index == 0 && snapshot != NULL)
        keep_backends(worker, snapshot);
    for_each_api(worker, apply_api, snapshot);
    slc_streams_judge(worker);
}

void slc_mediation_drain(slc_mediation_worker *worker)
{
    SLC_CHECK_MAGIC(worker, SLC_MEDIATION_WORKER_MAGIC);
    worker->draining = true;
    slc_streams_drain(worker);
    slc_pages_drain(worker);
}

void slc_mediation_cut_off(slc_mediation_worker *worker)
{
    SLC_CHECK_MAGIC(worker, SLC_MEDIATION_WORKER_MAGIC);
    slc_reads_cut_off("stream", slc_streams_cut_off(worker));
    slc_reads_cut_off("page", slc_pages_cut_off(worker));
}

unsigned slc_mediation_pending(const slc_mediation_worker *worker)
{
    SLC_CHECK_MAGIC(worker, SLC_MEDIATION_WORKER_MAGIC);
    return worker->publishes + worker->streams + worker->pages;
}
