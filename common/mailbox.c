#include "common/mailbox.h"

#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/assert.h"

#define MAILBOX_MAGIC 0x6d61696cU

struct slc_mailbox {
    unsigned magic;
    void *owner;
    int fd;
    struct event *readable;
    bool draining; /* the owner's thread only */

    pthread_mutex_t mutex;
    slc_message *first; /* locked */
    slc_message **last; /* locked; where the next message's address goes */
};

static void wake(slc_mailbox *box)
{
    uint64_t one = 1;
    ssize_t n;
    do
        n = write(box->fd, &one, sizeof(one));
    while (n < 0 && errno == EINTR);
    SLC_BUG_ON(n != (ssize_t)sizeof(one)); /* the counter never holds more than a few */
}

static void acknowledge(slc_mailbox *box)
{
    uint64_t count;
    while (read(box->fd, &count, sizeof(count)) < 0) {
        if (errno == EAGAIN)
            return;
        SLC_BUG_ON(errno != EINTR);
    }
}

static slc_message *take_all(slc_mailbox *box)
{
    pthread_mutex_lock(&box->mutex);
    slc_message *first = box->first;
    box->first = NULL;
    box->last = &box->first;
    pthread_mutex_unlock(&box->mutex);
    return first;
}

static void drain(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    slc_mailbox *box = arg;
    SLC_CHECK_MAGIC(box, MAILBOX_MAGIC);
    /* In this order: a post between the two finds an empty list and writes again. */
    acknowledge(box);
    slc_message *msg = take_all(box);
    box->draining = true;
    while (msg != NULL) {
        slc_message *next = msg->next; /* run may free msg */
        msg->next = NULL;
        msg->run(msg, box->owner);
        msg = next;
    }
    box->draining = false;
}

slc_mailbox *slc_mailbox_new(struct event_base *base, void *owner)
{
    slc_mailbox *box = slc_calloc(1, sizeof(*box));
    box->magic = MAILBOX_MAGIC;
    box->owner = owner;
    box->last = &box->first;
    SLC_BUG_ON(pthread_mutex_init(&box->mutex, NULL) != 0);
    box->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    SLC_BUG_ON(box->fd < 0);
    box->readable = event_new(base, box->fd, EV_READ | EV_PERSIST, drain, box);
    SLC_BUG_ON(box->readable == NULL || event_add(box->readable, NULL) != 0);
    return box;
}

void slc_mailbox_free(slc_mailbox *box)
{
    if (box == NULL)
        return;
    SLC_CHECK_MAGIC(box, MAILBOX_MAGIC);
    SLC_BUG_ON(box->draining); /* a message may not free the mailbox that runs it */
    event_free(box->readable);
    /* What is dropped may post again, to say so. */
    for (slc_message *msg = take_all(box); msg != NULL; msg = take_all(box)) {
        while (msg != NULL) {
            slc_message *next = msg->next;
            msg->next = NULL;
            if (msg->drop != NULL)
                msg->drop(msg);
            else
                msg->run(msg, box->owner);
            msg = next;
        }
    }
    close(box->fd);
    pthread_mutex_destroy(&box->mutex);
    box->magic = 0;
    free(box);
}

void slc_mailbox_post(slc_mailbox *box, slc_message *msg)
{
    SLC_CHECK_MAGIC(box, MAILBOX_MAGIC);
    msg->next = NULL;
    pthread_mutex_lock(&box->mutex);
    bool was_empty = box->first == NULL;
    *box->last = msg;
    box->last = &msg->next;
    pthread_mutex_unlock(&box->mutex);
    if (was_empty)
        wake(box);
}
