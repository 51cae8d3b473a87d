#include "common/loop.h"

#include <event2/event.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/common/unit.h"

struct probe {
    slc_loop *loop;
    pthread_t caller;
    int calls;
    bool was_current;
    bool was_other_thread;
    char name[16];
};

static void look(void *arg)
{
    struct probe *probe = arg;
    probe->calls++;
    probe->was_current = slc_loop_is_current(probe->loop);
    probe->was_other_thread = !pthread_equal(pthread_self(), probe->caller);
    pthread_getname_np(pthread_self(), probe->name, sizeof probe->name);
}

static slc_loop *started(const char *name)
{
    slc_error err;
    slc_loop *loop = slc_loop_new(name, NULL);
    ck_assert_msg(slc_loop_start(loop, &err), "%s", err.message);
    return loop;
}

static void stop(slc_loop *loop)
{
    slc_loop_stop(loop);
    slc_loop_join(loop);
    slc_loop_free(loop);
}

START_TEST(a_synchronous_call_runs_on_the_loops_thread)
{
    struct probe probe = {.caller = pthread_self()};
    probe.loop = started("worker-0");
    for (int i = 0; i < 1000; i++)
        slc_loop_call_sync(probe.loop, look, &probe);
    ck_assert_int_eq(probe.calls, 1000);
    ck_assert(probe.was_current);
    ck_assert(probe.was_other_thread);
    ck_assert_str_eq(probe.name, "worker-0");
    ck_assert(!slc_loop_is_current(probe.loop));
    stop(probe.loop);
}
END_TEST

START_TEST(stop_lets_what_was_posted_before_it_run)
{
    struct probe probe = {.caller = pthread_self()};
    probe.loop = started("worker");
    for (int i = 0; i < 1000; i++)
        slc_loop_call(probe.loop, look, &probe);
    slc_loop_stop(probe.loop);
    slc_loop_stop(probe.loop);
    slc_loop_join(probe.loop);
    slc_loop_join(probe.loop);
    ck_assert_int_eq(probe.calls, 1000);
    slc_loop_call(probe.loop, look, &probe); /* too late: dropped */
    slc_loop_free(probe.loop);
    ck_assert_int_eq(probe.calls, 1000);
}
END_TEST

struct nested {
    struct probe probe;
    int calls_after;
};

static void call_inside(void *arg)
{
    struct nested *nested = arg;
    slc_loop_call(nested->probe.loop, look, &nested->probe);
    slc_loop_call_sync(nested->probe.loop, look, &nested->probe);
    nested->calls_after = nested->probe.calls;
}

START_TEST(a_call_from_the_loop_itself_runs_at_once)
{
    struct nested nested = {.probe.caller = pthread_self()};
    nested.probe.loop = started("worker");
    slc_loop_call_sync(nested.probe.loop, call_inside, &nested);
    ck_assert_int_eq(nested.calls_after, 2);
    stop(nested.probe.loop);
}
END_TEST

static void stop_main(void *arg)
{
    struct probe *probe = arg;
    look(probe);
    slc_loop_stop(probe->loop);
}

START_TEST(a_loop_can_run_on_the_calling_thread)
{
    struct probe probe = {.caller = pthread_self()};
    probe.loop = slc_loop_new("main", NULL);
    slc_loop_call(probe.loop, stop_main, &probe);
    slc_loop_run(probe.loop);
    ck_assert_int_eq(probe.calls, 1);
    ck_assert(probe.was_current);
    ck_assert(!probe.was_other_thread);
    slc_loop_join(probe.loop);
    slc_loop_free(probe.loop);
}
END_TEST

START_TEST(a_loop_that_was_never_started_can_be_freed)
{
    slc_loop *loop = slc_loop_new("idle", NULL);
    ck_assert_ptr_nonnull(slc_loop_base(loop));
    slc_loop_free(loop);
}
END_TEST

static void read_mask(void *arg)
{
    pthread_sigmask(SIG_BLOCK, NULL, arg);
}

START_TEST(signals_are_the_main_threads_and_sigpipe_is_nobodys)
{
    sigset_t mask;
    slc_loop *loop = started("worker");
    slc_loop_call_sync(loop, read_mask, &mask);
    ck_assert_int_eq(sigismember(&mask, SIGTERM), 1);
    ck_assert_int_eq(sigismember(&mask, SIGSEGV), 0);
    read_mask(&mask);
    ck_assert_int_eq(sigismember(&mask, SIGTERM), 0);
    int fds[2];
    ck_assert_int_eq(pipe(fds), 0);
    close(fds[0]);
    ck_assert_int_eq(write(fds[1], "x", 1), -1);
    close(fds[1]);
    stop(loop);
}
END_TEST

UNIT_MAIN("loop", a_synchronous_call_runs_on_the_loops_thread, stop_lets_what_was_posted_before_it_run,
          a_call_from_the_loop_itself_runs_at_once, a_loop_can_run_on_the_calling_thread,
          a_loop_that_was_never_started_can_be_freed, signals_are_the_main_threads_and_sigpipe_is_nobodys)
