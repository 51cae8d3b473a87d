/* The catalog's threads: one that writes, a few that read, one for usage.db, four for what takes long; each
 * empties a bounded queue. */
#include <stdlib.h>
#include <string.h>

#include "catalog/store.h"
#include "common/alloc.h"
#include "common/assert.h"

struct slc_job {
    slc_message msg; /* carries the result to the loop */
    struct slc_job *next;
    slc_loop *loop;
    slc_actor actor;
    bool has_actor;
    slc_txn_fn fn;
    slc_task_fn task; /* instead of fn */
    slc_txn_done done;
    void *arg;
    bool ok;
    slc_error err;
};

/* ---- jobs ---- */

static char *copy(const char *text)
{
    return text == NULL ? NULL : slc_strdup(text);
}

static void copy_actor(struct slc_job *job, const slc_actor *actor)
{
    job->actor = (slc_actor){.kind = copy(actor->kind),
                             .id = copy(actor->id),
                             .name = copy(actor->name),
                             .request_id = copy(actor->request_id),
                             .manager = copy(actor->manager),
                             .identity = actor->identity};
}

static void job_free(struct slc_job *job)
{
    free((char *)job->actor.kind);
    free((char *)job->actor.id);
    free((char *)job->actor.name);
    free((char *)job->actor.request_id);
    free((char *)job->actor.manager);
    free(job);
}

static void deliver(slc_message *msg, void *owner)
{
    struct slc_job *job = (struct slc_job *)((char *)msg - offsetof(struct slc_job, msg));
    (void)owner;
    if (job->done != NULL)
        job->done(job->arg, job->ok, &job->err);
    job_free(job);
}

/* The loop went away before it took the result: whoever stops a loop waits for its jobs, so nothing is owed. */
static void drop(slc_message *msg)
{
    job_free((struct slc_job *)((char *)msg - offsetof(struct slc_job, msg)));
}

static void answer(struct slc_job *job)
{
    job->msg = (slc_message){.run = deliver, .drop = drop};
    if (job->loop == NULL)
        deliver(&job->msg, NULL);
    else
        slc_mailbox_post(slc_loop_mailbox(job->loop), &job->msg);
}

/* ---- threads ---- */

static struct slc_job *take(slc_lane *lane)
{
    pthread_mutex_lock(&lane->lock);
    while (lane->head == NULL && !lane->stopping)
        pthread_cond_wait(&lane->wake, &lane->lock);
    struct slc_job *job = lane->head;
    if (job != NULL) {
        lane->head = job->next;
        lane->waiting--;
        if (lane->head == NULL)
            lane->tail = NULL;
    }
    pthread_mutex_unlock(&lane->lock);
    return job;
}

static void *lane_main(void *arg)
{
    struct slc_lane_thread *self = arg;
    static const char *const names[SLC_LANES] = {"catalog-write", "catalog-read", "catalog-usage",
                                                 "catalog-task"};
    pthread_setname_np(pthread_self(), names[self->lane->id]);
    struct slc_job *job;
    while ((job = take(self->lane)) != NULL) {
        pthread_mutex_lock(&self->use);
        if (job->task != NULL)
            job->ok = job->task(self->lane->catalog, job->arg, &job->err);
        else
            job->ok = slc_txn_run(self->lane->catalog, self->conn, self->lane->id,
                                  job->has_actor ? &job->actor : NULL, job->fn, job->arg, &job->err);
        pthread_mutex_unlock(&self->use);
        answer(job);
    }
    return NULL;
}

void slc_lane_init(slc_catalog *catalog, enum slc_lane_id id, unsigned threads, unsigned limit)
{
    slc_lane *lane = &catalog->lanes[id];
    lane->catalog = catalog;
    lane->id = id;
    lane->limit = limit;
    lane->thread_count = threads;
    lane->threads = slc_calloc(threads, sizeof(*lane->threads));
    pthread_mutex_init(&lane->lock, NULL);
    pthread_cond_init(&lane->wake, NULL);
    for (unsigned i = 0; i < threads; i++) {
        lane->threads[i].lane = lane;
        pthread_mutex_init(&lane->threads[i].use, NULL);
    }
}

void slc_lane_release(slc_lane *lane)
{
    for (unsigned i = 0; i < lane->thread_count; i++) {
        slc_conn_free(lane->threads[i].conn);
        pthread_mutex_destroy(&lane->threads[i].use);
    }
    free(lane->threads);
    pthread_cond_destroy(&lane->wake);
    pthread_mutex_destroy(&lane->lock);
}

bool slc_lanes_start(slc_catalog *catalog, slc_error *err)
{
    for (int id = 0; id < SLC_LANES; id++) {
        slc_lane *lane = &catalog->lanes[id];
        /* The first reader has no thread: it is for slc_catalog_read_sync. */
        for (unsigned i = id == SLC_LANE_READ ? 1 : 0; i < lane->thread_count; i++) {
            if (pthread_create(&lane->threads[i].thread, NULL, lane_main, &lane->threads[i]) != 0)
                return slc_fail(err, SLC_LIMIT, NULL, "cannot start the catalog's threads");
            lane->threads[i].started = true;
        }
    }
    return true;
}

void slc_lanes_stop(slc_catalog *catalog)
{
    for (int id = 0; id < SLC_LANES; id++) {
        slc_lane *lane = &catalog->lanes[id];
        pthread_mutex_lock(&lane->lock);
        lane->stopping = true;
        pthread_cond_broadcast(&lane->wake);
        pthread_mutex_unlock(&lane->lock);
        for (unsigned i = 0; i < lane->thread_count; i++)
            if (lane->threads[i].started)
                pthread_join(lane->threads[i].thread, NULL);
    }
}

/* ---- work ---- */

static bool append(slc_lane *lane, struct slc_job *job, bool own)
{
    pthread_mutex_lock(&lane->lock);
    /* Tasks may be wanted by what still runs while the catalog closes; everybody else has ended before. */
    SLC_BUG_ON(lane->stopping && lane->id != SLC_LANE_TASK);
    bool room = !lane->stopping && (own || lane->waiting < lane->limit);
    if (room) {
        lane->waiting++;
        if (lane->tail != NULL)
            lane->tail->next = job;
        else
            lane->head = job;
        lane->tail = job;
        pthread_cond_signal(&lane->wake);
    }
    pthread_mutex_unlock(&lane->lock);
    return room;
}

/* `own`: the control plane's own work, which is never refused. */
static void queue(slc_catalog *catalog, enum slc_lane_id id, const struct slc_job *wanted, bool own)
{
    slc_lane *lane = &catalog->lanes[id];
    struct slc_job *job = slc_memdup(wanted, sizeof(*wanted));
    if (wanted->has_actor)
        copy_actor(job, &wanted->actor);
    if (append(lane, job, own))
        return;
    slc_fail(&job->err, SLC_UNAVAILABLE, NULL,
             "%u requests wait for the catalog already (catalog.queue): try again in a moment", lane->limit);
    answer(job);
}

void slc_catalog_write(slc_catalog *catalog, slc_loop *loop, const slc_actor *actor, slc_txn_fn fn,
                       slc_txn_done done, void *arg)
{
    struct slc_job job = {.loop = loop, .fn = fn, .done = done, .arg = arg, .has_actor = actor != NULL};
    if (actor != NULL)
        job.actor = *actor;
    queue(catalog, SLC_LANE_WRITE, &job,
          actor == NULL || (actor->kind != NULL && strcmp(actor->kind, "system") == 0));
}

void slc_catalog_read(slc_catalog *catalog, slc_loop *loop, slc_txn_fn fn, slc_txn_done done, void *arg)
{
    struct slc_job job = {.loop = loop, .fn = fn, .done = done, .arg = arg};
    queue(catalog, SLC_LANE_READ, &job, false);
}

void slc_catalog_read_own(slc_catalog *catalog, slc_loop *loop, slc_txn_fn fn, slc_txn_done done, void *arg)
{
    struct slc_job job = {.loop = loop, .fn = fn, .done = done, .arg = arg};
    queue(catalog, SLC_LANE_READ, &job, true);
}

void slc_catalog_usage(slc_catalog *catalog, slc_loop *loop, slc_txn_fn fn, slc_txn_done done, void *arg)
{
    struct slc_job job = {.loop = loop, .fn = fn, .done = done, .arg = arg};
    queue(catalog, SLC_LANE_USAGE, &job, false);
}

void slc_catalog_task(slc_catalog *catalog, slc_loop *loop, slc_task_fn fn, slc_txn_done done, void *arg)
{
    struct slc_job job = {.loop = loop, .task = fn, .done = done, .arg = arg};
    queue(catalog, SLC_LANE_TASK, &job, loop == NULL);
}

static bool run_sync(slc_catalog *catalog, enum slc_lane_id id, const slc_actor *actor, slc_txn_fn fn,
                     void *arg, slc_error *err)
{
    struct slc_lane_thread *thread = &catalog->lanes[id].threads[0];
    slc_error ignored;
    pthread_mutex_lock(&thread->use);
    bool ok = slc_txn_run(catalog, thread->conn, id, actor, fn, arg, err != NULL ? err : &ignored);
    pthread_mutex_unlock(&thread->use);
    return ok;
}

bool slc_catalog_write_sync(slc_catalog *catalog, const slc_actor *actor, slc_txn_fn fn, void *arg,
                            slc_error *err)
{
    return run_sync(catalog, SLC_LANE_WRITE, actor, fn, arg, err);
}

bool slc_catalog_read_sync(slc_catalog *catalog, slc_txn_fn fn, void *arg, slc_error *err)
{
    return run_sync(catalog, SLC_LANE_READ, NULL, fn, arg, err);
}

bool slc_catalog_usage_sync(slc_catalog *catalog, slc_txn_fn fn, void *arg, slc_error *err)
{
    return run_sync(catalog, SLC_LANE_USAGE, NULL, fn, arg, err);
}

static unsigned waiting_in(slc_lane *lane)
{
    pthread_mutex_lock(&lane->lock);
    unsigned waiting = lane->waiting;
    pthread_mutex_unlock(&lane->lock);
    return waiting;
}

void slc_catalog_get_status(slc_catalog *catalog, slc_catalog_status *status)
{
    status->data_dir = catalog->data_dir;
    status->damaged = atomic_load(&catalog->damage) != SLC_DAMAGE_NONE;
    status->last_backup_ms = atomic_load(&catalog->backup_ms);
    for (int id = SLC_LANE_WRITE; id <= SLC_LANE_USAGE; id++)
        status->waiting[id] = waiting_in(&catalog->lanes[id]);
}
