#include "common/loop.h"

#include <event2/event.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/log.h"

#define LOOP_MAGIC 0x6c6f6f70U

enum loop_state { LOOP_NEW, LOOP_STARTED, LOOP_ENDED };

struct slc_loop {
    unsigned magic;
    char name[16];
    struct event_base *base;
    slc_mailbox *mailbox;
    pthread_t thread;
    bool has_thread;
    atomic_int state;
};

/* The loop that the calling thread runs, if it does. */
static _Thread_local const slc_loop *current;

static pthread_once_t prepare_once = PTHREAD_ONCE_INIT;

static void on_libevent_log(int severity, const char *message)
{
    static const enum slc_log_level levels[] = {[EVENT_LOG_DEBUG] = SLC_LOG_DEBUG,
                                                [EVENT_LOG_MSG] = SLC_LOG_INFO,
                                                [EVENT_LOG_WARN] = SLC_LOG_WARN,
                                                [EVENT_LOG_ERR] = SLC_LOG_ERROR};
    bool known = severity >= EVENT_LOG_DEBUG && severity <= EVENT_LOG_ERR;
    slc_log(known ? levels[severity] : SLC_LOG_WARN, "libevent", LS("text", message));
}

/* Of the process, before its first loop. */
static void prepare(void)
{
    /* A peer that closes while we write is an errno for that connection, not a signal for the process. */
    SLC_BUG_ON(signal(SIGPIPE, SIG_IGN) == SIG_ERR);
    event_set_log_callback(on_libevent_log);
}

slc_loop *slc_loop_new(const char *name, void *owner)
{
    pthread_once(&prepare_once, prepare);
    slc_loop *loop = slc_calloc(1, sizeof(*loop));
    loop->magic = LOOP_MAGIC;
    SLC_BUG_ON(strlen(name) >= sizeof(loop->name));
    memcpy(loop->name, name, strlen(name));
    loop->base = event_base_new();
    SLC_BUG_ON(loop->base == NULL);
    loop->mailbox = slc_mailbox_new(loop->base, owner);
    atomic_init(&loop->state, LOOP_NEW);
    return loop;
}

static void run(slc_loop *loop)
{
    current = loop;
    SLC_BUG_ON(event_base_dispatch(loop->base) < 0);
    current = NULL;
    atomic_store(&loop->state, LOOP_ENDED);
}

static void *thread_main(void *arg)
{
    slc_loop *loop = arg;
    SLC_CHECK_MAGIC(loop, LOOP_MAGIC);
    pthread_setname_np(pthread_self(), loop->name);
    run(loop);
    return NULL;
}

static void mark_started(slc_loop *loop)
{
    int expected = LOOP_NEW;
    SLC_BUG_ON(!atomic_compare_exchange_strong(&loop->state, &expected, LOOP_STARTED));
}

bool slc_loop_start(slc_loop *loop, slc_error *err)
{
    SLC_CHECK_MAGIC(loop, LOOP_MAGIC);
    mark_started(loop);
    /* Signals that ask something of the process go to the main thread; those that report a fault stay
     * deliverable. */
    sigset_t block, saved;
    sigfillset(&block);
    const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP};
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
        sigdelset(&block, faults[i]);
    pthread_sigmask(SIG_SETMASK, &block, &saved);
    int error = pthread_create(&loop->thread, NULL, thread_main, loop);
    pthread_sigmask(SIG_SETMASK, &saved, NULL);
    if (error != 0) {
        atomic_store(&loop->state, LOOP_ENDED);
        return slc_fail(err, SLC_UNAVAILABLE, NULL, "cannot start thread %s: %s", loop->name, strerror(error));
    }
    loop->has_thread = true;
    return true;
}

void slc_loop_run(slc_loop *loop)
{
    SLC_CHECK_MAGIC(loop, LOOP_MAGIC);
    mark_started(loop);
    run(loop);
}

struct event_base *slc_loop_base(slc_loop *loop)
{
    return loop->base;
}

slc_mailbox *slc_loop_mailbox(slc_loop *loop)
{
    return loop->mailbox;
}

bool slc_loop_is_current(const slc_loop *loop)
{
    return current == loop;
}

struct call {
    slc_message message; /* first: a message is its call */
    void (*fn)(void *arg);
    void *arg;
};

static void call_run(slc_message *msg, void *owner)
{
    (void)owner;
    struct call *call = (struct call *)msg;
    call->fn(call->arg);
    free(call);
}

static void call_drop(slc_message *msg)
{
    free(msg);
}

static void post_call(slc_loop *loop, void (*fn)(void *arg), void *arg)
{
    struct call *call = slc_calloc(1, sizeof(*call));
    *call = (struct call){{NULL, call_run, call_drop}, fn, arg};
    slc_mailbox_post(loop->mailbox, &call->message);
}

void slc_loop_call(slc_loop *loop, void (*fn)(void *arg), void *arg)
{
    SLC_CHECK_MAGIC(loop, LOOP_MAGIC);
    if (slc_loop_is_current(loop))
        fn(arg);
    else
        post_call(loop, fn, arg);
}

struct sync_call {
    slc_message message; /* first */
    void (*fn)(void *arg);
    void *arg;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool done;
};

static void sync_run(slc_message *msg, void *owner)
{
    (void)owner;
    struct sync_call *call = (struct sync_call *)msg;
    call->fn(call->arg);
    pthread_mutex_lock(&call->mutex);
    call->done = true;
    pthread_cond_signal(&call->changed); /* inside the lock: `call` is on the waiter's stack */
    pthread_mutex_unlock(&call->mutex);
}

static void sync_drop(slc_message *msg)
{
    SLC_BUG_ON(msg != NULL); /* somebody waits for a loop that has ended */
}

void slc_loop_call_sync(slc_loop *loop, void (*fn)(void *arg), void *arg)
{
    SLC_CHECK_MAGIC(loop, LOOP_MAGIC);
    if (slc_loop_is_current(loop)) {
        fn(arg);
        return;
    }
    SLC_BUG_ON(atomic_load(&loop->state) != LOOP_STARTED);
    struct sync_call call = {{NULL, sync_run, sync_drop}, fn,   arg, PTHREAD_MUTEX_INITIALIZER,
                             PTHREAD_COND_INITIALIZER,    false};
    slc_mailbox_post(loop->mailbox, &call.message);
    pthread_mutex_lock(&call.mutex);
    while (!call.done)
        pthread_cond_wait(&call.changed, &call.mutex);
    pthread_mutex_unlock(&call.mutex);
    pthread_cond_destroy(&call.changed);
    pthread_mutex_destroy(&call.mutex);
}

static void exit_loop(void *arg)
{
    slc_loop *loop = arg;
    event_base_loopexit(loop->base, NULL);
}

void slc_loop_stop(slc_loop *loop)
{
    SLC_CHECK_MAGIC(loop, LOOP_MAGIC);
    /* Always by the mailbox: what was posted before runs before. */
    post_call(loop, exit_loop, loop);
}

void slc_loop_join(slc_loop *loop)
{
    SLC_CHECK_MAGIC(loop, LOOP_MAGIC);
    if (!loop->has_thread)
        return;
    SLC_BUG_ON(pthread_join(loop->thread, NULL) != 0);
    loop->has_thread = false;
}

void slc_loop_free(slc_loop *loop)
{
    if (loop == NULL)
        return;
    SLC_CHECK_MAGIC(loop, LOOP_MAGIC);
    SLC_BUG_ON(loop->has_thread || atomic_load(&loop->state) == LOOP_STARTED);
    slc_mailbox_free(loop->mailbox);
    event_base_free(loop->base);
    loop->magic = 0;
    free(loop);
}
