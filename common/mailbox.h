/* How threads talk: a multi-producer, single-consumer queue of messages that wakes an event loop.
 *
 * A mutex guards an intrusive list; an eventfd is written on the change from empty to non-empty only, so a
 * burst costs one wake. The owner's loop drains everything that is there in one go and then calls each message.
 */
#ifndef SLC_COMMON_MAILBOX_H
#define SLC_COMMON_MAILBOX_H

#include <stdbool.h>

struct event_base;
typedef struct slc_mailbox slc_mailbox;

/* A message is embedded in whatever is sent. `run` is called once on the owner's thread and owns the message
 * from then on. `drop` (may be NULL: then `run` is responsible too) is called instead when the mailbox is freed
 * undrained. */
typedef struct slc_message {
    struct slc_message *next; /* the mailbox's */
    void (*run)(struct slc_message *msg, void *owner);
    void (*drop)(struct slc_message *msg);
} slc_message;

/* Created and freed on the loop's thread. `owner` is handed to every message. */
slc_mailbox *slc_mailbox_new(struct event_base *base, void *owner);
/* No post may race with it: the producers are gone by then. Undelivered messages are dropped. */
void slc_mailbox_free(slc_mailbox *box);

/* Any thread; never blocks for longer than the list's mutex. The message belongs to the mailbox until it runs.
 */
void slc_mailbox_post(slc_mailbox *box, slc_message *msg);

#endif
