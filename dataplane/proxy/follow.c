/* A Produce request that passes: its walk for usage goes beside the bytes and never holds them up. Bytes that
 * are moved past us are looked at in a copy of the pipe, which tee(2) makes without copying what is in it: what
 * no event is wanted of is thrown away unread. docs/decisions/0010 has what that saves. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"
#include "dataplane/proxy/session_private.h"
#include "dataplane/proxy/usage.h"

#define CARRY_BYTES 1024 /* a topic's name, or the fields around it, of which part has not come yet */
#define LOOK_BYTES  128  /* from the end of one batch to the end of the next one's header, usually */

/* Kept with the session once it has produced. */
struct slc_usage_follow {
    bool active;
    size_t before; /* bytes that pass before the walk goes on */
    slc_kafka_walk walk;
    slc_usage_count count;
    uint8_t carry[CARRY_BYTES]; /* what has passed, and is still to be fed together with what follows */
    size_t carried;
};

/* Whatever cannot be read is the broker's to refuse; it is not counted. */
static void stop(struct slc_usage_follow *follow)
{
    if (follow->active)
        slc_usage_count_end(&follow->count);
    follow->active = false;
}

/* Returns how many bytes are done with. */
static size_t walk_on(struct slc_usage_follow *follow, const uint8_t *data, size_t len)
{
    size_t from = slc_kafka_walk_offset(&follow->walk);
    slc_kafka_event event;
    slc_error err = {0};
    enum slc_kafka_step step;
    slc_kafka_walk_feed(&follow->walk, data, len);
    while ((step = slc_kafka_walk_next(&follow->walk, &event, &err)) == SLC_KAFKA_EVENT)
        slc_usage_count_event(&follow->count, &follow->walk, &event);
    if (step != SLC_KAFKA_MORE)
        stop(follow);
    return slc_kafka_walk_offset(&follow->walk) - from;
}

/* Feeds the carry with as much behind it as it has room for; returns how many bytes of `data` it has taken. */
static size_t feed_carry(struct slc_usage_follow *follow, const uint8_t *data, size_t len)
{
    size_t room = sizeof follow->carry - follow->carried, taken = len < room ? len : room;
    memcpy(follow->carry + follow->carried, data, taken);
    size_t there = follow->carried + taken, done = walk_on(follow, follow->carry, there);
    if (done == 0 && there == sizeof follow->carry) {
        stop(follow); /* no name is so long */
    } else if (done > 0 && done >= follow->carried) {
        taken = done - follow->carried;
        follow->carried = 0;
    } else {
        memmove(follow->carry, follow->carry + done, there - done);
        follow->carried = there - done;
    }
    return taken;
}

static void feed(struct slc_usage_follow *follow, const uint8_t *data, size_t len)
{
    while (len > 0 && follow->active) {
        size_t taken = follow->before < len ? follow->before : len;
        follow->before -= taken;
        if (taken == 0 && follow->carried > 0)
            taken = feed_carry(follow, data, len);
        else if (taken == 0)
            taken = walk_on(follow, data, len);
        if (taken == 0 && follow->carried == 0)
            taken = feed_carry(follow, data, len);
        data += taken;
        len -= taken;
    }
}

void slc_usage_follow_begin(slc_session *session, const slc_kafka_message *message, int version, size_t size,
                            const uint8_t *body, size_t there, size_t passes_from, size_t before, bool mapped)
{
    const slc_kafka_walk_options options = {.wants = SLC_USAGE_WANTS, .trailing_ok = true};
    slc_error err = {0};
    if (session->follow == NULL)
        session->follow = slc_calloc(1, sizeof *session->follow);
    struct slc_usage_follow *follow = session->follow;
    follow->active = slc_kafka_walk_init(&follow->walk, message, version, size, &options, &err);
    if (!follow->active)
        return;
    slc_usage_count_begin(&follow->count, session, SLC_USAGE_KAFKA_PRODUCE, mapped, session->request_span);
    follow->before = before;
    follow->carried = 0;
    if (there == 0)
        return;
    size_t seen = walk_on(follow, body, there);
    if (seen < passes_from)
        stop(follow);
    else
        follow->before += seen - passes_from;
}

void slc_usage_follow_see(slc_session *session, const uint8_t *data, size_t len)
{
    if (session->follow != NULL)
        feed(session->follow, data, len);
}

/* ---- what is moved ---- */

bool slc_usage_follow_may_move(slc_session *session)
{
    slc_proxy_front *front = session->front;
    if (session->follow == NULL || !session->follow->active)
        return true;
    if (front->look == NULL)
        front->look = slc_pipe_open();
    if (front->look != NULL && front->nowhere < 0)
        front->nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    return front->look != NULL && front->nowhere >= 0;
}

void slc_usage_look_release(slc_proxy_front *front)
{
    if (front->look != NULL)
        slc_pipe_close(front->look);
    front->look = NULL;
    if (front->nowhere >= 0)
        close(front->nowhere);
    front->nowhere = -1;
}

/* How many of the next bytes need not be looked at. */
static size_t unseen(const struct slc_usage_follow *follow)
{
    if (!follow->active)
        return SIZE_MAX;
    if (follow->before > 0)
        return follow->before;
    return follow->carried > 0 ? 0 : slc_kafka_walk_unseen(&follow->walk);
}

static void pass(struct slc_usage_follow *follow, size_t len)
{
    if (!follow->active)
        return;
    if (follow->before > 0)
        follow->before -= len;
    else
        slc_kafka_walk_pass(&follow->walk, len);
}

/* Takes up to `left` bytes from the copy, all of which are there; 0: the system has refused. */
static size_t look_on(struct slc_usage_follow *follow, const slc_proxy_front *front, size_t left)
{
    size_t skip = unseen(follow);
    if (skip > 0) {
        ssize_t gone =
            splice(front->look->out, NULL, front->nowhere, NULL, skip < left ? skip : left, SPLICE_F_NONBLOCK);
        if (gone > 0)
            pass(follow, (size_t)gone);
        return gone > 0 ? (size_t)gone : 0;
    }
    uint8_t data[LOOK_BYTES];
    ssize_t got = read(front->look->out, data, left < sizeof data ? left : sizeof data);
    if (got > 0)
        feed(follow, data, (size_t)got);
    return got > 0 ? (size_t)got : 0;
}

void slc_usage_follow_moved(slc_session *session, const slc_pipe *from, size_t len)
{
    slc_proxy_front *front = session->front;
    struct slc_usage_follow *follow = session->follow;
    if (follow == NULL || !follow->active)
        return;
    if (unseen(follow) >= len) {
        pass(follow, len);
        return;
    }
    ssize_t there = tee(from->out, front->look->in, len, SPLICE_F_NONBLOCK);
    size_t left = there > 0 ? (size_t)there : 0;
    bool whole = left == len; /* both pipes are of one size, and this one is empty */
    for (size_t taken; left > 0; left -= taken)
        if ((taken = look_on(follow, front, left)) == 0)
            break;
    if (!whole || left > 0)
        stop(follow);
    if (left > 0) {
        slc_pipe_close(front->look); /* another is opened when it is needed */
        front->look = NULL;
    }
}

void slc_usage_follow_end(slc_session *session)
{
    if (session->follow != NULL)
        stop(session->follow);
}

void slc_usage_follow_untraced(slc_session *session)
{
    if (session->follow != NULL)
        session->follow->count.span = NULL;
}
