#include "dataplane/mediation/reader.h"
#include "dataplane/observe/trace.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/clock.h"

#define ASK_TIMEOUT_MS 5000
#define LOOK_EVERY     64  /* records between looks for a better place */
#define PASS_AT_ONCE   512 /* records that are not seen; then others have their turn */

/* Life
 * ---------------------------------------------------------------------------------------------------------- */

static void forget_lookup(slc_reader *reader);

static void stop_waiting(slc_reader *reader)
{
    if (!reader->waiting)
        return;
    reader->waiting = false;
    if (reader->outside)
        TAILQ_REMOVE(&reader->api->outside, reader, tail_entry);
    else if (reader->scan != NULL)
        TAILQ_REMOVE(&reader->scan->tail, reader, tail_entry);
    else
        TAILQ_REMOVE(&reader->api->tail, reader, tail_entry);
    reader->outside = false;
}

/* It does not look at a record any more. */
static void look_away(slc_reader *reader)
{
    slc_frame_unref(reader->seen);
    reader->seen = NULL;
    slc_record_unwait(&reader->waiter);
    if (reader->unreachable)
        reader->api->unreachable--;
    reader->unreachable = false;
}

static void detach(slc_reader *reader)
{
    stop_waiting(reader);
    look_away(reader);
    reader->ring = NULL;
    if (reader->scan != NULL) {
        slc_scan *scan = reader->scan;
        reader->scan = NULL;
        slc_scan_leave(scan, reader);
    }
}

void slc_reader_set_lens(slc_reader *reader, slc_lens *lens)
{
    look_away(reader);
    slc_lens_unref(reader->lens);
    reader->lens = lens;
}

bool slc_reader_follow(slc_reader *reader, slc_exchange *exchange, slc_snapshot *snapshot)
{
    unsigned applied = reader->api->worker->applied;
    if (reader->followed == applied)
        return true;
    reader->followed = applied;
    if (!slc_exchange_find_records(exchange, snapshot, reader->api->api))
        return false;
    if (!slc_lens_is_current(reader->lens, exchange, snapshot))
        slc_reader_set_lens(reader, slc_lens_get(reader->api, exchange, snapshot));
    return true;
}

static void on_policies(slc_record_waiter *waiter)
{
    slc_reader *reader = (slc_reader *)((char *)waiter - offsetof(slc_reader, waiter));
    SLC_CHECK_MAGIC(reader, SLC_READER_MAGIC);
    reader->ops->wake(reader);
}

bool slc_reader_waits_for_policies(const slc_reader *reader)
{
    return reader->unreachable || slc_record_waits(&reader->waiter);
}

void slc_reader_release(slc_reader *reader)
{
    SLC_CHECK_MAGIC(reader, SLC_READER_MAGIC);
    slc_reader_set_lens(reader, NULL);
    detach(reader);
    forget_lookup(reader);
    slc_cursor_release(&reader->cursor);
    slc_frame_id_unref(reader->last);
    free(reader->own);
    TAILQ_REMOVE(&reader->api->readers, reader, entry);
    reader->magic = 0;
}

/* Positions
 * ----------------------------------------------------------------------------------------------------- */

static void set_own(slc_reader *reader, const slc_position *positions, int32_t count)
{
    reader->own = slc_realloc(reader->own, (size_t)count * sizeof *positions + 1);
    reader->own_count = count;
    if (positions != NULL)
        memcpy(reader->own, positions, (size_t)count * sizeof *positions);
}

/* Partitions that were added since start at their beginning. */
static void fit_own(slc_reader *reader)
{
    int32_t old = reader->own_count, count = reader->api->ring.partitions;
    if (old >= count)
        return;
    set_own(reader, NULL, count);
    for (int32_t i = old; i < count; i++)
        reader->own[i] = (slc_position){0, -1};
}

/* It has a position now, in the topic that the API's ring is of. */
static void set_placed(slc_reader *reader)
{
    reader->placed = true;
    memcpy(reader->topic_id, reader->api->ring.topic_id, sizeof reader->topic_id);
}

static bool own_from_last(slc_reader *reader)
{
    slc_cursor cursor;
    slc_error err;
    if (reader->last == NULL ||
        !slc_cursor_decode(&reader->api->codec, reader->last->text + 4, reader->last->len - 5, &cursor, &err))
        return false;
    set_own(reader, cursor.positions, cursor.partitions);
    slc_cursor_release(&cursor);
    return true;
}

/* Makes the position the reader's own, whatever becomes of the ring. False when it is not known any more. */
static bool take_own(slc_reader *reader)
{
    if (reader->own != NULL)
        return true;
    if (reader->ring == NULL || reader->seq < reader->ring->first)
        return own_from_last(reader);
    set_own(reader, NULL, reader->ring->partitions);
    slc_ring_position_at(reader->ring, reader->seq, reader->own);
    return true;
}

void slc_reader_init(slc_reader *reader, slc_api *api, const slc_reader_ops *ops, enum slc_start start,
                     int64_t start_ms, slc_cursor *cursor, bool keep_own)
{
    *reader =
        (slc_reader){.magic = SLC_READER_MAGIC,
                     .api = api,
                     .ops = ops,
                     .start = start,
                     .start_ms = start_ms,
                     .waiter = {.ready = on_policies, .mailbox = slc_loop_mailbox(api->worker->worker->loop)},
                     .keep_own = keep_own};
    if (cursor != NULL) {
        reader->cursor = *cursor;
        *cursor = (slc_cursor){0};
    }
    reader->followed = api->worker->applied;
    TAILQ_INSERT_TAIL(&api->readers, reader, entry);
    slc_api_follow(api);
    if (start == SLC_START_LATEST && api->live) { /* now, whenever it is asked for */
        reader->ring = &api->ring;
        reader->seq = api->ring.next;
        set_placed(reader);
        if (keep_own)
            take_own(reader);
        else
            reader->last = slc_ring_id_at(reader->ring, reader->seq);
    }
}

static void share(slc_reader *reader)
{
    free(reader->own);
    reader->own = NULL;
    reader->own_count = 0;
    slc_frame_id_unref(reader->last);
    reader->last = slc_ring_id_at(reader->ring, reader->seq);
    reader->passed = false;
}

void slc_reader_leave_scan(slc_reader *reader)
{
    SLC_BUG_ON(reader->scan == NULL);
    if (!take_own(reader))
        reader->placed = false;
    detach(reader);
}

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

static void forget_lookup(slc_reader *reader)
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
        set_own(reader, NULL, lookup->count);
        for (int32_t i = 0; i < lookup->count; i++)
            reader->own[i] = (slc_position){lookup->offsets[i], -1};
        reader->checked_end = true;
        set_placed(reader);
    } else if (!check_end(reader, lookup)) {
        return;
    }
    reader->ops->wake(reader);
}

/* Finding a place
 * -------------------------------------------------------------------------------------------------- */

static bool refuse(slc_reader *reader, const char *text)
{
    slc_error err;
    slc_fail(&err, SLC_STALE, "cursor", "%s", text);
    reader->ops->refused(reader, &err);
    return false;
}

/* Its position is of a topic that does not exist any more. True when the reader lives. */
static bool start_anew(slc_reader *reader)
{
    detach(reader);
    forget_lookup(reader);
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
    set_own(reader, cursor->positions, cursor->partitions);
    slc_cursor_release(&reader->cursor);
    set_placed(reader);
    return true;
}

/* The view may have begun anew with another topic since the reader was placed. True when the reader lives. */
static bool check_topic(slc_reader *reader)
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
    set_placed(reader);
    if (reader->keep_own)
        take_own(reader);
    else
        reader->last = slc_ring_id_at(ring, seq);
}

/* True when the reader lives; `placed` tells whether there is something to go on with. */
static bool place(slc_reader *reader)
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

/* From its own position into a ring, if there is one to go to now. True when the reader lives. */
static bool locate(slc_reader *reader)
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
        stop_waiting(reader);
        reader->ring = &api->ring;
    } else {
        slc_scan *scan = slc_scan_for(api, reader->own);
        if (scan == NULL)
            return wait_outside(reader);
        stop_waiting(reader);
        reader->scan = scan;
        slc_scan_enter(scan, reader);
        reader->ring = &scan->ring;
    }
    reader->seq = slc_ring_join(reader->ring, reader->own);
    return true;
}

/* From a scan into the ring, once nothing lies between. */
static bool join_ring(slc_reader *reader)
{
    slc_api *api = reader->api;
    if (!api->live || !slc_ring_covers(&api->ring, reader->scan->ring.end) || !take_own(reader) ||
        !slc_ring_covers(&api->ring, reader->own))
        return false;
    reader->checked_end = true;
    detach(reader);
    return true;
}

/* The scan's partition is out of range where this reader stands, or behind it. False: the reader ended. */
static bool leave_broken(slc_reader *reader)
{
    const slc_scan *scan = reader->scan;
    int32_t partition = scan->broken_partition;
    int64_t earliest = scan->earliest, latest = scan->latest;
    if (!take_own(reader))
        return refuse(reader, "The position is not known any more.");
    int64_t from = reader->own[partition].next;
    detach(reader);
    if (from >= earliest && from <= latest)
        return true;
    int64_t to = from < earliest ? earliest : latest;
    reader->own[partition] = (slc_position){to, -1};
    return reader->ops->gap(reader, partition, from, to);
}

static void wait_at_tail(slc_reader *reader)
{
    if (reader->waiting)
        return;
    reader->waiting = true;
    reader->woken = reader->api->wakes;
    if (reader->scan != NULL)
        TAILQ_INSERT_TAIL(&reader->scan->tail, reader, tail_entry);
    else
        TAILQ_INSERT_TAIL(&reader->api->tail, reader, tail_entry);
}

/* Reading
 * ------------------------------------------------------------------------------------------------------------
 */

/* At the end of its ring. */
static enum slc_peek at_tail(slc_reader *reader, bool *again)
{
    *again = true;
    if (reader->scan != NULL && reader->scan->broken)
        return leave_broken(reader) ? SLC_PEEK_NOTHING : SLC_PEEK_ENDED;
    if (reader->scan != NULL && join_ring(reader))
        return SLC_PEEK_NOTHING;
    *again = false;
    if (reader->own != NULL && !reader->keep_own && slc_ring_reached(reader->ring, reader->seq, reader->own))
        share(reader);
    wait_at_tail(reader);
    if (reader->scan != NULL)
        slc_scan_consumed(reader->scan);
    return SLC_PEEK_NOTHING;
}

/* True when the reader lives and is in a ring. */
static bool find_ring(slc_reader *reader, enum slc_peek *result)
{
    *result = SLC_PEEK_NOTHING;
    if (!check_topic(reader) || (!reader->placed && !place(reader))) {
        *result = SLC_PEEK_ENDED;
        return false;
    }
    if (reader->placed && reader->ring != NULL && reader->seq < reader->ring->first) { /* overtaken */
        if (!take_own(reader)) {
            refuse(reader, "The position is not known any more.");
            *result = SLC_PEEK_ENDED;
            return false;
        }
        detach(reader);
    }
    if (reader->placed && reader->ring == NULL && !locate(reader)) {
        *result = SLC_PEEK_ENDED;
        return false;
    }
    return reader->ring != NULL;
}

static void improve(slc_reader *reader)
{
    if (reader->scan != NULL && join_ring(reader))
        return;
    if (reader->own != NULL && !reader->keep_own && slc_ring_reached(reader->ring, reader->seq, reader->own))
        share(reader);
}

/* The record at its place is not for it. */
static void pass_over(slc_reader *reader, const slc_record *record)
{
    if (reader->own != NULL)
        reader->own[record->partition] = (slc_position){record->offset + 1, record->leader_epoch};
    else
        reader->passed = true;
    reader->seq++;
}

/* What does the reader see of the record at its place? */
static enum slc_sight look(slc_reader *reader, const slc_record *record)
{
    if (reader->lens == NULL || reader->seen != NULL)
        return SLC_SEEN;
    look_away(reader);
    enum slc_sight sight = slc_lens_look(reader->lens, record, &reader->waiter, &reader->seen);
    reader->unreachable = sight == SLC_UNREACHABLE;
    reader->api->unreachable += reader->unreachable;
    return sight;
}

/* Much was passed over and there may be more: the others first. */
static enum slc_peek pause_a_while(slc_reader *reader)
{
    slc_api *api = reader->api;
    wait_at_tail(reader);
    if (reader->scan != NULL)
        slc_scan_consumed(reader->scan);
    api->going_on = true;
    event_active(api->wake, EV_TIMEOUT, 0);
    return SLC_PEEK_NOTHING;
}

/* Is there a better place by now? */
static bool moves(slc_reader *reader)
{
    if (reader->seq % LOOK_EVERY != 0 || (reader->scan == NULL && (reader->own == NULL || reader->keep_own)))
        return false;
    const slc_ring *before = reader->ring;
    improve(reader);
    return reader->ring != before;
}

enum slc_peek slc_reader_peek(slc_reader *reader)
{
    enum slc_peek result;
    for (unsigned passed = 0; passed < PASS_AT_ONCE;) {
        if (!find_ring(reader, &result))
            return result;
        if (reader->seq == reader->ring->next) {
            bool again;
            result = at_tail(reader, &again);
            if (!again || result == SLC_PEEK_ENDED)
                return result;
            continue;
        }
        const slc_record *record = slc_ring_record(reader->ring, reader->seq);
        if (reader->own != NULL && record->offset < reader->own[record->partition].next) {
            reader->seq++;
            continue;
        }
        if (moves(reader))
            continue;
        stop_waiting(reader);
        switch (look(reader, record)) {
        case SLC_SEEN:
            return SLC_PEEK_RECORD;
        case SLC_HIDDEN:
            pass_over(reader, record);
            passed++;
            break;
        case SLC_NOT_YET:
        case SLC_UNREACHABLE:
            return SLC_PEEK_NOTHING;
        }
    }
    return pause_a_while(reader);
}

bool slc_reader_add_json(const slc_reader *reader, slc_buf *out)
{
    return reader->seen != NULL
               ? slc_buf_add(out, SLC_FRAME_JSON(reader->seen), SLC_FRAME_JSON_LEN(reader->seen))
               : slc_ring_add_json(reader->ring, reader->seq, out);
}

slc_frame *slc_reader_frame(slc_reader *reader)
{
    return reader->seen != NULL ? reader->seen : slc_ring_frame(reader->ring, reader->seq);
}

/* The id of the place behind the record at hand; new reference. */
static slc_frame_id *id_behind(const slc_reader *reader)
{
    if (reader->lens != NULL)
        return slc_lens_id(reader->lens, reader->ring, reader->seq);
    return slc_frame_id_ref(slc_ring_frame_with_id(reader->ring, reader->seq)->id);
}

static void set_last(slc_reader *reader, slc_frame_id *id)
{
    slc_frame_id_unref(reader->last);
    reader->last = id;
    reader->passed = false;
}

void slc_reader_trace(const slc_reader *reader, struct slc_span *span)
{
    static const char name[] = "traceparent";
    const slc_record *record = slc_ring_record(reader->ring, reader->seq);
    for (uint32_t i = 0; i < record->header_count; i++) {
        const slc_record_header *header = &record->headers[i];
        if (header->name_len == sizeof name - 1 && memcmp(header->name, name, sizeof name - 1) == 0 &&
            header->value != NULL)
            slc_span_link(span, header->value, header->value_len);
    }
}

void slc_reader_advance(slc_reader *reader)
{
    const slc_record *record = slc_ring_record(reader->ring, reader->seq);
    if (reader->own != NULL)
        reader->own[record->partition] = (slc_position){record->offset + 1, record->leader_epoch};
    else
        set_last(reader, id_behind(reader));
    reader->seq++;
    look_away(reader);
}

slc_frame_id *slc_reader_id(slc_reader *reader)
{
    if (!reader->placed)
        return NULL;
    slc_frame_id *id = NULL;
    if (reader->own != NULL)
        id = slc_frame_id_new(&reader->api->codec, reader->topic_id, reader->own, reader->own_count);
    else if (reader->ring != NULL &&
             (reader->seq == reader->ring->next || (reader->passed && reader->seq >= reader->ring->first)))
        id = slc_ring_id_at(reader->ring, reader->seq);
    if (id != NULL)
        set_last(reader, id);
    return reader->last;
}

bool slc_reader_caught_up(const slc_reader *reader)
{
    const slc_api *api = reader->api;
    return reader->placed && api->live && api->caught_up && !api->failing && reader->ring == &api->ring &&
           reader->seq == api->ring.next;
}

/* Waking
 * -------------------------------------------------------------------------------------------------------------
 */

void slc_readers_wake_tail(slc_api *api)
{
    slc_reader *reader;
    unsigned round = ++api->wakes;
    while ((reader = TAILQ_FIRST(&api->tail)) != NULL && reader->woken != round) {
        stop_waiting(reader);
        reader->ops->wake(reader);
    }
}

void slc_readers_retry(slc_api *api)
{
    slc_reader *reader = api->unreachable > 0 ? TAILQ_FIRST(&api->readers) : NULL;
    while (reader != NULL) { /* a reader may end itself, no other */
        slc_reader *next = TAILQ_NEXT(reader, entry);
        if (reader->unreachable)
            reader->ops->wake(reader);
        reader = next;
    }
}

void slc_readers_wake_outside(slc_api *api)
{
    slc_reader *reader;
    slc_catchup_pool *pool = &api->worker->mediation->catchup;
    unsigned round = ++api->wakes;
    while ((reader = TAILQ_FIRST(&api->outside)) != NULL && reader->woken != round &&
           slc_catchup_has_room(pool)) {
        stop_waiting(reader);
        reader->ops->wake(reader);
    }
}

void slc_readers_wake_scan(slc_scan *scan)
{
    slc_reader *reader;
    unsigned round = ++scan->api->wakes;
    while ((reader = TAILQ_FIRST(&scan->tail)) != NULL && reader->woken != round) {
        stop_waiting(reader);
        reader->ops->wake(reader);
    }
}

void slc_readers_wake_all(slc_api *api)
{
    slc_reader *reader = TAILQ_FIRST(&api->readers);
    while (reader != NULL) { /* a reader may end itself, no other */
        slc_reader *next = TAILQ_NEXT(reader, entry);
        reader->ops->wake(reader);
        reader = next;
    }
}
