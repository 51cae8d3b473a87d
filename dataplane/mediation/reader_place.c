#include "dataplane/mediation/reader_private.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/clock.h"

#define ASK_TIMEOUT_MS 5000

/* Questions to the broker
 * ------------------------------------------------------------------------------------------ */

typedef struct slc_lookup {
    slc_message msg;
    slc_api *api;
    slc_tally *tally;
    slc_loop *loop;
    slc_reader *reader;   /* NULL: it has gone */
    uint8_t topic_id[16]; /* that was asked about */
    int64_t *offsets;
    int32_t count;
    bool failed;
    slc_error err;
} slc_lookup;

void slc_reader_forget_lookup(slc_reader *reader)
{
    if (reader->lookup != NULL)
        reader->lookup->reader = NULL;
    reader->lookup = NULL;
}

static void place_by_answer(slc_reader *reader, const slc_lookup *lookup);

static void take_answer(slc_message *msg, void *owner)
{
    (void)owner;
    slc_lookup *lookup = (slc_lookup *)msg;
    slc_api *api = lookup->api;
    slc_reader *reader = lookup->reader;
    api->references--;
    if (reader != NULL) {
        reader->lookup = NULL;
        if (slc_topic_id_differs(lookup->topic_id, api->ring.topic_id))
            reader->ops->wake(reader); /* asks again */
        else if (lookup->failed)
            reader->ops->refused(reader, &lookup->err);
        else
            place_by_answer(reader, lookup);
    }
    free(lookup->offsets);
    free(lookup);
    slc_api_settle(api);
}

static void on_answer(void *ctx, const int64_t *offsets, int32_t count, const slc_error *err)
{
    slc_lookup *lookup = ctx;
    slc_tally *tally = lookup->tally;
    if (err != NULL) {
        lookup->failed = true;
        lookup->err = *err;
    } else {
        lookup->offsets = slc_memdup(offsets, (size_t)count * sizeof *offsets);
        lookup->count = count;
    }
    lookup->msg.run = take_answer;
    slc_mailbox_post(slc_loop_mailbox(lookup->loop), &lookup->msg);
    slc_tally_end(tally);
}

static void ask(slc_reader *reader, int64_t time)
{
    slc_api *api = reader->api;
    if (reader->hold_until_ms > 0 && slc_monotonic_ms() < reader->hold_until_ms)
        return;
    slc_lookup *lookup = slc_calloc(1, sizeof *lookup);
    lookup->api = api;
    lookup->tally = api->worker->tally;
    lookup->loop = api->worker->worker->loop;
    lookup->reader = reader;
    memcpy(lookup->topic_id, api->ring.topic_id, sizeof lookup->topic_id);
    reader->lookup = lookup;
    api->references++;
    slc_tally_begin(lookup->tally);
    api->link->ops->offsets(api->link->broker, api->api->backend_topic, api->ring.partitions, time,
                            ASK_TIMEOUT_MS, on_answer, lookup);
}

/* `own` was past the end that the ring knows. The log's end decides. True when the reader lives. */
static bool check_end(slc_reader *reader, const slc_lookup *lookup)
{
    reader->checked_end = true;
    for (int32_t i = 0; i < reader->own_count && i < lookup->count; i++) {
        int64_t from = reader->own[i].next;
        if (from <= lookup->offsets[i])
            continue;
        reader->own[i] = (slc_position){lookup->offsets[i], -1};
        if (!reader->ops->gap(reader, i, from, lookup->offsets[i]))
            return false;
    }
    return true;
}

static void place_by_answer(slc_reader *reader, const slc_lookup *lookup)
{
    if (!reader->placed) {
        slc_reader_set_own(reader, NULL, lookup->count);
        for (int32_t i = 0; i < lookup->count; i++)
            reader->own[i] = (slc_position){lookup->offsets[i], -1};
        reader->checked_end = true;
        slc_reader_set_placed(reader);
    } else if (!check_end(reader, lookup)) {
        return;
    }
    reader->ops->wake(reader);
}

/* Finding a place
 * -------------------------------------------------------------------------------------------------- */

bool slc_reader_refuse(slc_reader *reader, const char *text)
{
    slc_error err;
    slc_fail(&err, SLC_STALE, "cursor", "%s", text);
    reader->ops->refused(reader, &err);
    return false;
}

/* Its position is of a topic that does not exist any more. True when the reader lives. */
static bool start_anew(slc_reader *reader)
{
    slc_reader_detach(reader);
    slc_reader_forget_lookup(reader);
    slc_cursor_release(&reader->cursor);
    slc_frame_id_unref(reader->last);
    free(reader->own);
    reader->last = NULL;
    reader->own = NULL;
    reader->own_count = 0;
    reader->placed = reader->checked_end = reader->passed = false;
    reader->start = SLC_START_EARLIEST;
    return reader->ops->recreated(reader);
}

static bool place_cursor(slc_reader *reader)
{
    const slc_ring *ring = &reader->api->ring;
    const slc_cursor *cursor = &reader->cursor;
    if ((cursor->has_topic_id && slc_topic_id_differs(ring->topic_id, cursor->topic_id)) ||
        cursor->partitions > ring->partitions)
        return start_anew(reader);
    slc_reader_set_own(reader, cursor->positions, cursor->partitions);
    slc_cursor_release(&reader->cursor);
    slc_reader_set_placed(reader);
    return true;
}

bool slc_reader_check_topic(slc_reader *reader)
{
    const slc_api *api = reader->api;
    if (!reader->placed || !api->live)
        return true;
    if (!slc_topic_id_known(reader->topic_id))
        memcpy(reader->topic_id, api->ring.topic_id, sizeof reader->topic_id);
    return !slc_topic_id_differs(reader->topic_id, api->ring.topic_id) || start_anew(reader);
}

/* The ring began after the reader came: what it holds from that moment on is new to it. */
static void place_latest(slc_reader *reader)
{
    slc_ring *ring = &reader->api->ring;
    uint64_t seq = ring->first;
    while (seq < ring->next && slc_ring_record(ring, seq)->timestamp_ms < reader->start_ms)
        seq++;
    reader->ring = ring;
    reader->seq = seq;
    slc_reader_set_placed(reader);
    if (reader->keep_own)
        slc_reader_take_own(reader);
    else
        reader->last = slc_ring_id_at(ring, seq);
}

bool slc_reader_place(slc_reader *reader)
{
    if (!reader->api->live || reader->lookup != NULL)
        return true;
    switch (reader->start) {
    case SLC_START_CURSOR:
        return place_cursor(reader);
    case SLC_START_LATEST:
        place_latest(reader);
        return true;
    case SLC_START_EARLIEST:
        ask(reader, SLC_OFFSET_EARLIEST);
        return true;
    case SLC_START_TIME:
        ask(reader, reader->start_ms);
        return true;
    }
    return true;
}

static bool ahead_of_end(const slc_reader *reader)
{
    for (int32_t i = 0; i < reader->own_count; i++) {
        if (reader->own[i].next > reader->api->ring.end[i].next)
            return true;
    }
    return false;
}

static bool wait_outside(slc_reader *reader)
{
    if (!reader->ops->crowded(reader))
        return false;
    if (reader->waiting)
        return true;
    reader->waiting = reader->outside = true;
    reader->woken = reader->api->wakes;
    TAILQ_INSERT_TAIL(&reader->api->outside, reader, tail_entry);
    return true;
}

/* Partitions that were added since start at their beginning. */
static void fit_own(slc_reader *reader)
{
    int32_t old = reader->own_count, count = reader->api->ring.partitions;
    if (old >= count)
        return;
    slc_reader_set_own(reader, NULL, count);
    for (int32_t i = old; i < count; i++)
        reader->own[i] = (slc_position){0, -1};
}

bool slc_reader_locate(slc_reader *reader)
{
    slc_api *api = reader->api;
    if (!api->live || reader->lookup != NULL)
        return true;
    fit_own(reader);
    if (slc_ring_covers(&api->ring, reader->own)) {
        if (!reader->checked_end && ahead_of_end(reader)) {
            ask(reader, SLC_OFFSET_LATEST);
            return true;
        }
        slc_reader_stop_waiting(reader);
        reader->ring = &api->ring;
    } else {
        slc_scan *scan = slc_scan_for(api, reader->own);
        if (scan == NULL)
            return wait_outside(reader);
        slc_reader_stop_waiting(reader);
        reader->scan = scan;
        slc_scan_enter(scan, reader);
        reader->ring = &scan->ring;
    }
    reader->seq = slc_ring_join(reader->ring, reader->own);
    return true;
}

bool slc_reader_join_ring(slc_reader *reader)
{
    slc_api *api = reader->api;
    if (!api->live || !slc_ring_covers(&api->ring, reader->scan->ring.end) || !slc_reader_take_own(reader) ||
        !slc_ring_covers(&api->ring, reader->own))
        return false;
    reader->checked_end = true;
    slc_reader_detach(reader);
    return true;
}

bool slc_reader_leave_broken(slc_reader *reader)
{
    const slc_scan *scan = reader->scan;
    int32_t partition = scan->broken_partition;
    int64_t earliest = scan->earliest, latest = scan->latest;
    if (!slc_reader_take_own(reader))
        return slc_reader_refuse(reader, "The position is not known any more.");
    int64_t from = reader->own[partition].next;
    slc_reader_detach(reader);
    if (from >= earliest && from <= latest)
        return true;
    int64_t to = from < earliest ? earliest : latest;
    reader->own[partition] = (slc_position){to, -1};
    return reader->ops->gap(reader, partition, from, to);
}
