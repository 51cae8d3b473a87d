/* The completion queue, its poller thread, and the way from there to the loop.
 *
 * The poller appends finished operations to a ready list and posts one wake message to the loop's mailbox when
 * the list was idle, so a burst costs one wake. The list is ours, and not the mailbox itself, because
 * slc_rpc_stop has to wait on the loop's thread for the last operations: no start_batch is allowed after the
 * queue's shutdown (gRPC aborts), so all calls must have ended before it.
 */
#include <openssl/crypto.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/log.h"
#include "common/rpc/internal.h"

/* Outlives the slc_rpc when it is still in the mailbox at the time of the stop. */
struct wake {
    slc_message msg;
    slc_rpc *rpc;  /* NULL: stopped; the loop's thread alone touches it */
    bool posted;   /* under the lock; the loop's thread alone once the poller has ended */
    bool draining; /* run() is on the stack */
};

struct slc_rpc {
    unsigned magic;
    slc_loop *loop;
    grpc_completion_queue *queue;
    pthread_t poller;
    struct slc_rpc_live live;
    struct slc_rpc_op_list running; /* taken from `ready`; the loop's */

    pthread_mutex_t lock; /* of the two below and wake->posted */
    pthread_cond_t arrived;
    struct slc_rpc_op_list ready;
    struct wake *wake;
};

struct slc_rpc_live *slc_rpc_live(slc_rpc *rpc)
{
    return &rpc->live;
}

slc_loop *slc_rpc_loop(slc_rpc *rpc)
{
    return rpc->loop;
}

grpc_completion_queue *slc_rpc_queue(slc_rpc *rpc)
{
    return rpc->queue;
}

void slc_rpc_expect(slc_rpc *rpc, struct slc_rpc_op *op, void (*fn)(void *ctx, bool ok), void *ctx)
{
    SLC_CHECK_MAGIC(rpc, SLC_RPC_MAGIC);
    op->fn = fn;
    op->ctx = ctx;
    rpc->live.pending_ops++;
    bool twice = atomic_exchange_explicit(&op->expected, true, memory_order_release);
    SLC_BUG_ON(twice);
}

/* ---- the poller's thread ---- */

static void hand_over(slc_rpc *rpc, struct slc_rpc_op *op)
{
    pthread_mutex_lock(&rpc->lock);
    STAILQ_INSERT_TAIL(&rpc->ready, op, link);
    bool post = !rpc->wake->posted;
    rpc->wake->posted = true;
    pthread_cond_signal(&rpc->arrived);
    pthread_mutex_unlock(&rpc->lock);
    /* The wake cannot be freed in between: slc_rpc_stop joins this thread first. */
    if (post)
        slc_mailbox_post(slc_loop_mailbox(rpc->loop), &rpc->wake->msg);
}

static void *poll_queue(void *arg)
{
    slc_rpc *rpc = arg;
    SLC_CHECK_MAGIC(rpc, SLC_RPC_MAGIC);
    for (;;) {
        grpc_event event = grpc_completion_queue_next(rpc->queue, gpr_inf_future(GPR_CLOCK_REALTIME), NULL);
        if (event.type == GRPC_QUEUE_SHUTDOWN)
            return NULL;
        if (event.type != GRPC_OP_COMPLETE)
            continue;
        struct slc_rpc_op *op = event.tag;
        bool expected = atomic_exchange_explicit(&op->expected, false, memory_order_acquire);
        SLC_BUG_ON(!expected);
        op->ok = event.success != 0;
        hand_over(rpc, op);
    }
}

/* ---- the loop's thread ---- */

/* Runs what is in `running`. An operation may stop the slc_rpc (a server's `done` does), hence the wake as
 * handle. */
static void run_ops(struct wake *wake)
{
    while (wake->rpc != NULL && !STAILQ_EMPTY(&wake->rpc->running)) {
        struct slc_rpc_op *op = STAILQ_FIRST(&wake->rpc->running);
        STAILQ_REMOVE_HEAD(&wake->rpc->running, link);
        wake->rpc->live.pending_ops--;
        op->fn(op->ctx, op->ok);
    }
}

static void wake_run(slc_message *msg, void *owner)
{
    (void)owner;
    struct wake *wake = (struct wake *)msg;
    slc_rpc *rpc = wake->rpc;
    if (rpc == NULL) {
        free(wake);
        return;
    }
    pthread_mutex_lock(&rpc->lock);
    wake->posted = false;
    STAILQ_CONCAT(&rpc->running, &rpc->ready);
    pthread_mutex_unlock(&rpc->lock);
    wake->draining = true;
    run_ops(wake);
    wake->draining = false;
    if (wake->rpc == NULL && !wake->posted)
        free(wake);
}

static void wake_drop(slc_message *msg)
{
    struct wake *wake = (struct wake *)msg;
    SLC_BUG_ON(wake->rpc != NULL); /* the loop is freed before slc_rpc_stop */
    free(wake);
}

/* ---- start and stop ---- */

/* gRPC's pool has detached threads that may still be ending when the process exits. OpenSSL's own exit handler
 * would take away the key under which it keeps their error queues, and with it their destructor: at best a
 * leak, at worst a thread that uses OpenSSL after its end. The handler can be declined only before anything
 * else has used OpenSSL. */
__attribute__((constructor)) static void decline_openssl_cleanup(void)
{
    OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT, NULL);
}

/* gRPC's threads inherit the mask: signals are for the main loop, except those that report a fault. */
static int start_threads(slc_rpc *rpc)
{
    sigset_t blocked, before;
    sigfillset(&blocked);
    const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP};
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
        sigdelset(&blocked, faults[i]);
    pthread_sigmask(SIG_SETMASK, &blocked, &before);
    grpc_init();
    rpc->queue = grpc_completion_queue_create_for_next(NULL);
    int rc = pthread_create(&rpc->poller, NULL, poll_queue, rpc);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc;
}

static void release(slc_rpc *rpc)
{
    grpc_completion_queue_destroy(rpc->queue);
    grpc_shutdown();
    pthread_cond_destroy(&rpc->arrived);
    pthread_mutex_destroy(&rpc->lock);
    rpc->magic = 0;
    free(rpc);
}

slc_rpc *slc_rpc_start(slc_loop *loop, slc_error *err)
{
    slc_rpc *rpc = slc_calloc(1, sizeof(*rpc));
    rpc->magic = SLC_RPC_MAGIC;
    rpc->loop = loop;
    STAILQ_INIT(&rpc->running);
    STAILQ_INIT(&rpc->ready);
    pthread_mutex_init(&rpc->lock, NULL);
    pthread_cond_init(&rpc->arrived, NULL);
    rpc->wake = slc_calloc(1, sizeof(*rpc->wake));
    rpc->wake->msg.run = wake_run;
    rpc->wake->msg.drop = wake_drop;
    rpc->wake->rpc = rpc;

    slc_rpc_route_log();
    int rc = start_threads(rpc);
    if (rc != 0) {
        slc_fail(err, SLC_INTERNAL, NULL, "cannot start the gRPC poller's thread: %s", strerror(rc));
        grpc_completion_queue_shutdown(rpc->queue);
        free(rpc->wake);
        release(rpc);
        return NULL;
    }
    pthread_setname_np(rpc->poller, "slc-rpc");
    return rpc;
}

/* Calls of freed channels may still be ending: their last operations are run here. */
static void finish_ops(slc_rpc *rpc)
{
    while (rpc->live.pending_ops > 0) {
        pthread_mutex_lock(&rpc->lock);
        while (STAILQ_EMPTY(&rpc->running) && STAILQ_EMPTY(&rpc->ready))
            pthread_cond_wait(&rpc->arrived, &rpc->lock);
        STAILQ_CONCAT(&rpc->running, &rpc->ready);
        pthread_mutex_unlock(&rpc->lock);
        run_ops(rpc->wake);
    }
}

void slc_rpc_stop(slc_rpc *rpc)
{
    if (rpc == NULL)
        return;
    SLC_CHECK_MAGIC(rpc, SLC_RPC_MAGIC);
    SLC_BUG_ON(rpc->live.servers > 0 || rpc->live.channels > 0);
    finish_ops(rpc);
    grpc_completion_queue_shutdown(rpc->queue);
    pthread_join(rpc->poller, NULL);

    struct wake *wake = rpc->wake;
    wake->rpc = NULL;
    if (!wake->posted && !wake->draining)
        free(wake);
    release(rpc);
}
