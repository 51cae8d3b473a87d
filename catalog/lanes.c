/* The catalog's threads: one that writes, a few that read, one for usage.db; each empties a queue of
 * transactions. */
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
    if (actor == NULL)
        return;
    job->has_actor = true;
    job->actor = (slc_actor){.kind = copy(actor->kind),
                             .id = copy(actor->id),
                             .name = copy(actor->name),
                             .request_id = copy(actor->request_id),
                             .manager = copy(actor->manager),
                             .bound_by_grants = actor->bound_by_grants};
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
        if (lane->head == NULL)
            lane->tail = NULL;
    }
    pthread_mutex_unlock(&lane->lock);
    return job;
}

static void *lane_main(void *arg)
{
    struct slc_lane_thread *self = arg;
    static const char *const names[SLC_LANES] = {"catalog-write", "catalog-read", "catalog-usage"};
    pthread_setname_np(pthread_self(), names[self->lane->id]);
    struct slc_job *job;
    while ((job = take(self->lane)) != NULL) {
        pthread_mutex_lock(&self->use);
        job->ok = slc_txn_run(self->lane->catalog, self->conn, self->lane->id,
                              job->has_actor ? &job->actor : NULL, job->fn, job->arg, &job->err);
        pthread_mutex_unlock(&self->use);
        answer(job);
    }
    return NULL;
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

static void queue(slc_catalog *catalog, enum slc_lane_id id, slc_loop *loop, const slc_actor *actor,
                  slc_txn_fn fn, slc_txn_done done, void *arg)
{
    slc_lane *lane = &catalog->lanes[id];
    struct slc_job *job = slc_calloc(1, sizeof(*job));
    job->loop = loop;
    job->fn = fn;
    job->done = done;
    job->arg = arg;
    copy_actor(job, actor);
    pthread_mutex_lock(&lane->lock);
    SLC_BUG_ON(lane->stopping);
    if (lane->tail != NULL)
        lane->tail->next = job;
    else
        lane->head = job;
    lane->tail = job;
    pthread_cond_signal(&lane->wake);
    pthread_mutex_unlock(&lane->lock);
}

void slc_catalog_write(slc_catalog *catalog, slc_loop *loop, const slc_actor *actor, slc_txn_fn fn,
                       slc_txn_done done, void *arg)
{
    queue(catalog, SLC_LANE_WRITE, loop, actor, fn, done, arg);
}

void slc_catalog_read(slc_catalog *catalog, slc_loop *loop, slc_txn_fn fn, slc_txn_done done, void *arg)
{
    queue(catalog, SLC_LANE_READ, loop, NULL, fn, done, arg);
}

void slc_catalog_usage(slc_catalog *catalog, slc_loop *loop, slc_txn_fn fn, slc_txn_done done, void *arg)
{
    queue(catalog, SLC_LANE_USAGE, loop, NULL, fn, done, arg);
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
