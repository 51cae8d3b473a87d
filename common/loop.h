/* A thread that runs an event_base and has a mailbox: workers, the control plane's loops, the gRPC owner.
 *
 * The base has no locks: only the loop's own thread touches it, before that the thread that sets it up.
 * Everybody else uses the mailbox. The first loop makes the process ignore SIGPIPE and sends libevent's
 * messages to the log. */
#ifndef SLC_COMMON_LOOP_H
#define SLC_COMMON_LOOP_H

#include "common/error.h"
#include "common/mailbox.h"

struct event_base;
typedef struct slc_loop slc_loop;

/* `name` (at most 15 characters) becomes the thread's name. `owner` is what the mailbox hands to messages. */
slc_loop *slc_loop_new(const char *name, void *owner);
/* Starts the thread, on which signals are blocked, so that they go to the main thread. */
bool slc_loop_start(slc_loop *loop, slc_error *err) SLC_CHECKED;
/* Instead of slc_loop_start: runs on the calling thread until slc_loop_stop. For main(). */
void slc_loop_run(slc_loop *loop);
struct event_base *slc_loop_base(slc_loop *loop);
slc_mailbox *slc_loop_mailbox(slc_loop *loop);
/* Is the caller on the loop's thread, while it runs? */
bool slc_loop_is_current(const slc_loop *loop);

/* Any thread, any number of times. Ends the loop after what was posted before has run; then slc_loop_join waits
 * for the thread. */
void slc_loop_stop(slc_loop *loop);
void slc_loop_join(slc_loop *loop);
/* After join, or after run returned, or when it never ran. Messages that came too late are dropped. */
void slc_loop_free(slc_loop *loop);

/* Runs fn(arg) on the loop's thread: at once when called from it, else posted. Allocates. When the loop has
 * ended, fn is not called. */
void slc_loop_call(slc_loop *loop, void (*fn)(void *arg), void *arg);
/* The same, but the caller waits until it has run. The loop must be running and may not be stopped meanwhile.
 * Never from another loop's thread that this one may wait for. For start and stop sequences, not for traffic.
 */
void slc_loop_call_sync(slc_loop *loop, void (*fn)(void *arg), void *arg);

#endif
