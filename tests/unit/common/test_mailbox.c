#include "common/mailbox.h"

#include <event2/event.h>
#include <pthread.h>

#include "common/alloc.h"
#include "tests/unit/common/unit.h"

#define PRODUCERS 4
#define EACH      20000

struct owner {
    struct event_base *base;
    slc_mailbox *box;
    unsigned received;
    unsigned wanted;
    int last[PRODUCERS];
    bool in_order;
};

struct note {
    slc_message message;
    int producer;
    int number;
};

static void note_run(slc_message *msg, void *arg)
{
    struct owner *owner = arg;
    struct note *note = (struct note *)msg;
    owner->in_order = owner->in_order && note->number == owner->last[note->producer] + 1;
    owner->last[note->producer] = note->number;
    if (++owner->received == owner->wanted)
        event_base_loopexit(owner->base, NULL);
    free(note);
}

static unsigned dropped;

static void note_drop(slc_message *msg)
{
    dropped++;
    free(msg);
}

static struct note *note_new(int producer, int number)
{
    struct note *note = slc_calloc(1, sizeof *note);
    *note = (struct note){{NULL, note_run, note_drop}, producer, number};
    return note;
}

static void owner_init(struct owner *owner, unsigned wanted)
{
    *owner = (struct owner){.base = event_base_new(), .wanted = wanted, .in_order = true};
    owner->box = slc_mailbox_new(owner->base, owner);
    for (int i = 0; i < PRODUCERS; i++)
        owner->last[i] = -1;
}

static void owner_release(struct owner *owner)
{
    slc_mailbox_free(owner->box);
    event_base_free(owner->base);
}

struct producer {
    struct owner *owner;
    int number;
};

static void *produce(void *arg)
{
    struct producer *producer = arg;
    for (int i = 0; i < EACH; i++)
        slc_mailbox_post(producer->owner->box, &note_new(producer->number, i)->message);
    return NULL;
}

START_TEST(every_message_arrives_once_and_in_its_producers_order)
{
    struct owner owner;
    pthread_t threads[PRODUCERS];
    struct producer producers[PRODUCERS];
    owner_init(&owner, PRODUCERS * EACH);
    for (int i = 0; i < PRODUCERS; i++) {
        producers[i] = (struct producer){&owner, i};
        pthread_create(&threads[i], NULL, produce, &producers[i]);
    }
    event_base_dispatch(owner.base);
    for (int i = 0; i < PRODUCERS; i++)
        pthread_join(threads[i], NULL);
    ck_assert_uint_eq(owner.received, PRODUCERS * EACH);
    ck_assert(owner.in_order);
    owner_release(&owner);
}
END_TEST

static void post_two_more(slc_message *msg, void *arg)
{
    struct owner *owner = arg;
    slc_mailbox_post(owner->box, &note_new(0, 0)->message);
    slc_mailbox_post(owner->box, &note_new(0, 1)->message);
    free(msg);
}

START_TEST(a_message_may_post)
{
    struct owner owner;
    owner_init(&owner, 2);
    struct note *first = note_new(0, 0);
    first->message.run = post_two_more;
    slc_mailbox_post(owner.box, &first->message);
    event_base_dispatch(owner.base);
    ck_assert_uint_eq(owner.received, 2);
    ck_assert(owner.in_order);
    owner_release(&owner);
}
END_TEST

START_TEST(what_was_not_delivered_is_dropped)
{
    struct owner owner;
    owner_init(&owner, 100);
    for (int i = 0; i < 3; i++)
        slc_mailbox_post(owner.box, &note_new(0, i)->message);
    struct note *no_drop = note_new(1, 0);
    no_drop->message.drop = NULL;
    slc_mailbox_post(owner.box, &no_drop->message);
    owner_release(&owner);
    ck_assert_uint_eq(dropped, 3);
    ck_assert_uint_eq(owner.received, 1); /* without drop, run is called */
}
END_TEST

UNIT_MAIN("mailbox", every_message_arrives_once_and_in_its_producers_order, a_message_may_post,
          what_was_not_delivered_is_dropped)
