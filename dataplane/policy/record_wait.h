/* Waiting for what a policy has asked for, such as a key or a schema. Whoever fetches it has a list of those
 * who wait, on any number of workers, and tells them once when there is an answer, good or bad. */
#ifndef SLC_DATAPLANE_POLICY_RECORD_WAIT_H
#define SLC_DATAPLANE_POLICY_RECORD_WAIT_H

#include <stdbool.h>

#include "common/mailbox.h"

struct slc_wait_cell;

/* Of one request, answer or reader; it waits for one thing at a time. */
typedef struct slc_record_waiter {
    void (*ready)(
        struct slc_record_waiter *waiter); /* on the worker's thread, never from inside slc_record_wait */
    slc_mailbox *mailbox;                  /* the worker's */
    struct slc_wait_cell *cell;            /* private; NULL: does not wait */
} slc_record_waiter;

/* Zeroed at first. */
typedef struct slc_record_waiters {
    struct slc_wait_cell *first;
} slc_record_waiters;

/* Puts the waiter into the list, instead of whatever else it waits for. The worker's thread. To miss nothing:
 * call it under the lock under which the answer is stored. */
void slc_record_wait(slc_record_waiters *list, slc_record_waiter *waiter);
/* It waits no more. The worker's thread; always before the waiter goes. */
void slc_record_unwait(slc_record_waiter *waiter);
bool slc_record_waits(const slc_record_waiter *waiter);

/* Tells all that wait, who leave the list. Any thread, also with the holder's lock held. Before a list goes it
 * must be told. */
void slc_record_waiters_tell(slc_record_waiters *list);

#endif
