#include "dataplane/policy/record_wait.h"

#include <pthread.h>
#include <stdlib.h>

#include "common/alloc.h"
#include "common/assert.h"

/* In a list, or on its way to the worker. */
struct slc_wait_cell {
    slc_message msg;           /* first */
    slc_record_waiter *waiter; /* the worker's thread; NULL: nobody waits any more */
    slc_mailbox *mailbox;
    slc_record_waiters *list; /* NULL: on its way */
    struct slc_wait_cell *next, **link;
};

/* Of every list: somebody waits once in a while. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void drop(slc_message *msg)
{
    free(msg);
}

static void deliver(slc_message *msg, void *owner)
{
    struct slc_wait_cell *cell = (struct slc_wait_cell *)msg;
    slc_record_waiter *waiter = cell->waiter;
    (void)owner;
    free(cell);
    if (waiter == NULL)
        return;
    waiter->cell = NULL;
    waiter->ready(waiter);
}

static void leave(struct slc_wait_cell *cell)
{
    *cell->link = cell->next;
    if (cell->next != NULL)
        cell->next->link = cell->link;
    cell->list = NULL;
}

void slc_record_wait(slc_record_waiters *list, slc_record_waiter *waiter)
{
    slc_record_unwait(waiter);
    SLC_BUG_ON(waiter->ready == NULL || waiter->mailbox == NULL);
    struct slc_wait_cell *cell = slc_calloc(1, sizeof *cell);
    cell->msg.run = deliver;
    cell->msg.drop = drop;
    cell->waiter = waiter;
    cell->mailbox = waiter->mailbox;
    waiter->cell = cell;
    pthread_mutex_lock(&lock);
    cell->list = list;
    cell->next = list->first;
    cell->link = &list->first;
    if (cell->next != NULL)
        cell->next->link = &cell->next;
    list->first = cell;
    pthread_mutex_unlock(&lock);
}

void slc_record_unwait(slc_record_waiter *waiter)
{
    struct slc_wait_cell *cell = waiter->cell;
    if (cell == NULL)
        return;
    waiter->cell = NULL;
    cell->waiter = NULL;
    pthread_mutex_lock(&lock);
    bool listed = cell->list != NULL;
    if (listed)
        leave(cell);
    pthread_mutex_unlock(&lock);
    if (listed) /* else the mailbox has it, and frees it */
        free(cell);
}

bool slc_record_waits(const slc_record_waiter *waiter)
{
    return waiter->cell != NULL;
}

void slc_record_waiters_tell(slc_record_waiters *list)
{
    pthread_mutex_lock(&lock);
    while (list->first != NULL) {
        struct slc_wait_cell *cell = list->first;
        leave(cell);
        slc_mailbox_post(cell->mailbox, &cell->msg); /* under the lock: its worker cannot go meanwhile */
    }
    pthread_mutex_unlock(&lock);
}
