/* A thread that runs an event_base and has a mailbox: workers, the control plane's loops, the gRPC owner. */
#ifndef SLC_COMMON_LOOP_H
#define SLC_COMMON_LOOP_H

#include "common/error.h"
#include "common/mailbox.h"

struct event_base;
typedef struct slc_loop slc_loop;

/* `name` (at most 15 characters) becomes the thread's name. `owner` is what the mailbox hands to messages. */
slc_loop *slc_loop_new(const char *name, void *owner);
/* A loop on the calling thread: slc_loop_run blocks. For main(). */
bool slc_loop_start(slc_loop *loop, slc_error *err) SLC_CHECKED; /* starts the thread */
void slc_loop_run(slc_loop *loop);                               /* or run here until slc_loop_stop */
struct event_base *slc_loop_base(slc_loop *loop);
slc_mailbox *slc_loop_mailbox(slc_loop *loop);
bool slc_loop_is_current(const slc_loop *loop); /* is the caller on the loop's thread? */

/* Any thread. Ends the loop after what is pending has run; then slc_loop_join waits for the thread. */
void slc_loop_stop(slc_loop *loop);
void slc_loop_join(slc_loop *loop);
void slc_loop_free(slc_loop *loop); /* after join (or after run returned) */

/* Runs fn(arg) on the loop's thread: at once when called from it, else posted. Allocates. */
void slc_loop_call(slc_loop *loop, void (*fn)(void *arg), void *arg);
/* The same, but the caller waits until it has run. Never from the loop's own thread of another loop that may wait
 * back. For start and stop sequences, not for traffic. */
void slc_loop_call_sync(slc_loop *loop, void (*fn)(void *arg), void *arg);

#endif
