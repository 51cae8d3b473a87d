#include "dataplane/mediation/reader_private.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "dataplane/observe/trace.h"

#define LOOK_EVERY   64  /* records between looks for a better place */
#define PASS_AT_ONCE 512 /* records that are not seen; then others have their turn */

/* Life
 * ---------------------------------------------------------------------------------------------------------- */

void slc_reader_stop_waiting(slc_reader *reader)
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

void slc_reader_detach(slc_reader *reader)
{
    slc_reader_stop_waiting(reader);
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
    slc_reader_detach(reader);
    slc_reader_forget_lookup(reader);
    slc_cursor_release(&reader->cursor);
    slc_frame_id_unref(reader->last);
    free(reader->own);
    TAILQ_REMOVE(&reader->api->readers, reader, entry);
    reader->magic = 0;
}

/* Positions
 * ----------------------------------------------------------------------------------------------------- */

void slc_reader_set_own(slc_reader *reader, const slc_position *positions, int32_t count)
{
    reader->own = slc_realloc(reader->own, (size_t)count * sizeof *positions + 1);
    reader->own_count = count;
    if (positions != NULL)
        memcpy(reader->own, positions, (size_t)count * sizeof *positions);
}

void slc_reader_set_placed(slc_reader *reader)
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
    slc_reader_set_own(reader, cursor.positions, cursor.partitions);
    slc_cursor_release(&cursor);
    return true;
}

bool slc_reader_take_own(slc_reader *reader)
{
    if (reader->own != NULL)
        return true;
    if (reader->ring == NULL || reader->seq < reader->ring->first)
        return own_from_last(reader);
    slc_reader_set_own(reader, NULL, reader->ring->partitions);
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
        slc_reader_set_placed(reader);
        if (keep_own)
            slc_reader_take_own(reader);
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
    if (!slc_reader_take_own(reader))
        reader->placed = false;
    slc_reader_detach(reader);
}

/* Reading
 * ------------------------------------------------------------------------------------------------------------
 */

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

/* At the end of its ring. */
static enum slc_peek at_tail(slc_reader *reader, bool *again)
{
    *again = true;
    if (reader->scan != NULL && reader->scan->broken)
        return slc_reader_leave_broken(reader) ? SLC_PEEK_NOTHING : SLC_PEEK_ENDED;
    if (reader->scan != NULL && slc_reader_join_ring(reader))
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
    if (!slc_reader_check_topic(reader) || (!reader->placed && !slc_reader_place(reader))) {
        *result = SLC_PEEK_ENDED;
        return false;
    }
    if (reader->placed && reader->ring != NULL && reader->seq < reader->ring->first) { /* overtaken */
        if (!slc_reader_take_own(reader)) {
            slc_reader_refuse(reader, "The position is not known any more.");
            *result = SLC_PEEK_ENDED;
            return false;
        }
        slc_reader_detach(reader);
    }
    if (reader->placed && reader->ring == NULL && !slc_reader_locate(reader)) {
        *result = SLC_PEEK_ENDED;
        return false;
    }
    return reader->ring != NULL;
}

static void improve(slc_reader *reader)
{
    if (reader->scan != NULL && slc_reader_join_ring(reader))
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
        slc_reader_stop_waiting(reader);
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
        slc_reader_stop_waiting(reader);
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
        slc_reader_stop_waiting(reader);
        reader->ops->wake(reader);
    }
}

void slc_readers_wake_scan(slc_scan *scan)
{
    slc_reader *reader;
    unsigned round = ++scan->api->wakes;
    while ((reader = TAILQ_FIRST(&scan->tail)) != NULL && reader->woken != round) {
        slc_reader_stop_waiting(reader);
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
