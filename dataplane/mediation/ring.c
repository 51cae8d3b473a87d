#include "dataplane/mediation/ring.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "dataplane/mediation/event_json.h"

#define CHECKPOINT_EVERY 256u
#define FIRST_CAPACITY   256u

/* Frames
 * -------------------------------------------------------------------------------------------------------- */

slc_frame_id *slc_frame_id_new(const slc_cursor_codec *codec, const uint8_t *topic_id,
                               const slc_position *positions, int32_t partitions)
{
    char cursor[SLC_CURSOR_MAX_CHARS + 1];
    size_t len = slc_cursor_encode(codec, topic_id, positions, partitions, cursor);
    slc_frame_id *id = slc_malloc(sizeof *id + len + 6);
    id->refs = 1;
    id->len = (uint32_t)len + 5;
    memcpy(id->text, "id: ", 4);
    memcpy(id->text + 4, cursor, len);
    memcpy(id->text + 4 + len, "\n", 2);
    return id;
}

slc_frame_id *slc_frame_id_ref(slc_frame_id *id)
{
    id->refs++;
    return id;
}

void slc_frame_id_unref(slc_frame_id *id)
{
    if (id != NULL && --id->refs == 0)
        free(id);
}

slc_frame *slc_frame_ref(slc_frame *frame)
{
    frame->refs++;
    return frame;
}

void slc_frame_unref(slc_frame *frame)
{
    if (frame == NULL || --frame->refs > 0)
        return;
    slc_frame_id_unref(frame->id);
    free(frame);
}

static slc_frame *render(slc_ring *ring, const slc_record *record)
{
    slc_buf *buf = ring->scratch;
    slc_buf_clear(buf);
    slc_buf_adds(buf, "data: ");
    slc_event_json(buf, record);
    slc_buf_adds(buf, "\n\n");
    SLC_BUG_ON(buf->overflow); /* its limit is that of what the largest record can become */
    slc_frame *frame = slc_malloc(sizeof *frame + buf->len);
    frame->refs = 1;
    frame->len = (uint32_t)buf->len;
    frame->id = NULL;
    memcpy(frame->text, buf->data, buf->len);
    return frame;
}

/* Entries
 * ------------------------------------------------------------------------------------------------------- */

static slc_entry *entry_at(const slc_ring *ring, uint64_t seq)
{
    SLC_BUG_ON(seq < ring->first || seq >= ring->next);
    return &ring->entries[seq & (ring->capacity - 1)];
}

slc_record *slc_ring_record(const slc_ring *ring, uint64_t seq)
{
    return entry_at(ring, seq)->record;
}

/* Twice as many places as can be in use, so that neighbours never meet. */
static uint64_t checkpoint_places(uint64_t capacity)
{
    return capacity / CHECKPOINT_EVERY * 2;
}

static slc_position **checkpoint_of(const slc_ring *ring, uint64_t seq)
{
    return &ring->checkpoints[seq / CHECKPOINT_EVERY & (checkpoint_places(ring->capacity) - 1)];
}

void slc_ring_init(slc_ring *ring, const slc_cursor_codec *codec, const uint8_t *topic_id,
                   const slc_position *start, int32_t partitions, uint64_t first, size_t frame_max_bytes,
                   slc_buf *scratch)
{
    size_t size = (size_t)partitions * sizeof *start;
    *ring = (slc_ring){.codec = *codec,
                       .scratch = scratch,
                       .first = first,
                       .next = first,
                       .capacity = FIRST_CAPACITY,
                       .frame_max_bytes = frame_max_bytes,
                       .partitions = partitions};
    if (topic_id != NULL)
        memcpy(ring->topic_id, topic_id, sizeof ring->topic_id);
    ring->entries = slc_calloc(ring->capacity, sizeof *ring->entries);
    ring->checkpoints = slc_calloc(checkpoint_places(ring->capacity), sizeof *ring->checkpoints);
    ring->start = slc_memdup(start, size);
    ring->end = slc_memdup(start, size);
}

static void forget_frame(slc_ring *ring, slc_entry *entry)
{
    if (entry->frame == NULL)
        return;
    ring->frame_bytes -= entry->frame->len;
    slc_frame_unref(entry->frame);
    entry->frame = NULL;
}

static void drop_checkpoint(slc_ring *ring, uint64_t seq)
{
    slc_position **place = checkpoint_of(ring, seq);
    free(*place);
    *place = NULL;
}

void slc_ring_drop_first(slc_ring *ring)
{
    slc_entry *entry = entry_at(ring, ring->first);
    slc_record *record = entry->record;
    ring->start[record->partition] = (slc_position){record->offset + 1, record->leader_epoch};
    ring->bytes -= record->size_bytes;
    forget_frame(ring, entry);
    entry->record = NULL;
    slc_record_unref(record);
    if (ring->first % CHECKPOINT_EVERY == 0)
        drop_checkpoint(ring, ring->first);
    ring->first++;
}

void slc_ring_release(slc_ring *ring)
{
    while (ring->first < ring->next)
        slc_ring_drop_first(ring);
    slc_frame_id_unref(ring->tail_id);
    free(ring->rendered);
    free(ring->entries);
    free(ring->checkpoints);
    free(ring->start);
    free(ring->end);
    *ring = (slc_ring){0};
}

static void grow(slc_ring *ring)
{
    slc_ring bigger = *ring;
    bigger.capacity = ring->capacity * 2;
    bigger.entries = slc_calloc(bigger.capacity, sizeof *bigger.entries);
    bigger.checkpoints = slc_calloc(checkpoint_places(bigger.capacity), sizeof *bigger.checkpoints);
    for (uint64_t seq = ring->first; seq < ring->next; seq++) {
        *entry_at(&bigger, seq) = *entry_at(ring, seq);
        if (seq % CHECKPOINT_EVERY == 0)
            *checkpoint_of(&bigger, seq) = *checkpoint_of(ring, seq);
    }
    free(ring->entries);
    free(ring->checkpoints);
    *ring = bigger;
}

static void stale_tail(slc_ring *ring)
{
    slc_frame_id_unref(ring->tail_id);
    ring->tail_id = NULL;
}

void slc_ring_append(slc_ring *ring, slc_record *record)
{
    SLC_BUG_ON(record->partition < 0 || record->partition >= ring->partitions);
    if (ring->next - ring->first == ring->capacity)
        grow(ring);
    if (ring->next % CHECKPOINT_EVERY == 0)
        *checkpoint_of(ring, ring->next) = slc_memdup(ring->end, (size_t)ring->partitions * sizeof *ring->end);
    uint64_t seq = ring->next++;
    *entry_at(ring, seq) = (slc_entry){.record = record};
    ring->bytes += record->size_bytes;
    ring->end[record->partition] = (slc_position){record->offset + 1, record->leader_epoch};
    stale_tail(ring);
}

void slc_ring_move_end(slc_ring *ring, int32_t partition, int64_t next)
{
    if (partition < 0 || partition >= ring->partitions || ring->end[partition].next >= next)
        return;
    ring->end[partition].next = next;
    stale_tail(ring);
}

/* Positions
 * ----------------------------------------------------------------------------------------------------- */

void slc_ring_position_at(const slc_ring *ring, uint64_t seq, slc_position *out)
{
    SLC_BUG_ON(seq < ring->first || seq > ring->next);
    size_t size = (size_t)ring->partitions * sizeof *out;
    if (seq == ring->next) {
        memcpy(out, ring->end, size);
        return;
    }
    uint64_t from = seq / CHECKPOINT_EVERY * CHECKPOINT_EVERY;
    if (from < ring->first) {
        from = ring->first;
        memcpy(out, ring->start, size);
    } else {
        memcpy(out, *checkpoint_of(ring, from), size);
    }
    for (; from < seq; from++) {
        const slc_record *record = slc_ring_record(ring, from);
        out[record->partition] = (slc_position){record->offset + 1, record->leader_epoch};
    }
}

static bool at_most(const slc_position *a, const slc_position *b, int32_t count)
{
    for (int32_t i = 0; i < count; i++) {
        if (a[i].next > b[i].next)
            return false;
    }
    return true;
}

bool slc_ring_covers(const slc_ring *ring, const slc_position *own)
{
    return at_most(ring->start, own, ring->partitions);
}

/* Positions grow with the numbers, so the last checkpoint that is not ahead is found by halving. */
uint64_t slc_ring_join(const slc_ring *ring, const slc_position *own)
{
    uint64_t low = ring->first / CHECKPOINT_EVERY; /* known not to be ahead, or before the ring */
    uint64_t high = ring->next == 0 ? 0 : (ring->next - 1) / CHECKPOINT_EVERY;
    if (ring->first == ring->next || at_most(ring->end, own, ring->partitions))
        return ring->next;
    while (low < high) {
        uint64_t middle = low + (high - low + 1) / 2;
        if (at_most(*checkpoint_of(ring, middle * CHECKPOINT_EVERY), own, ring->partitions))
            low = middle;
        else
            high = middle - 1;
    }
    return low * CHECKPOINT_EVERY < ring->first ? ring->first : low * CHECKPOINT_EVERY;
}

bool slc_ring_reached(const slc_ring *ring, uint64_t seq, const slc_position *own)
{
    if (seq == ring->next)
        return at_most(own, ring->end, ring->partitions);
    slc_position *here = slc_malloc((size_t)ring->partitions * sizeof *here + 1);
    slc_ring_position_at(ring, seq, here);
    bool reached = at_most(own, here, ring->partitions);
    free(here);
    return reached;
}

/* Rendering
 * ----------------------------------------------------------------------------------------------------- */

static void grow_rendered(slc_ring *ring)
{
    size_t capacity = ring->rendered_capacity == 0 ? 64 : ring->rendered_capacity * 2;
    uint64_t *bigger = slc_malloc(capacity * sizeof *bigger);
    for (size_t i = 0; i < ring->rendered_count; i++)
        bigger[i] = ring->rendered[(ring->rendered_first + i) & (ring->rendered_capacity - 1)];
    free(ring->rendered);
    ring->rendered = bigger;
    ring->rendered_first = 0;
    ring->rendered_capacity = capacity;
}

/* Forgets what was rendered longest ago. Numbers that the ring has dropped leave on the way. */
static void bound_frames(slc_ring *ring, uint64_t newest)
{
    while (ring->rendered_count > 0) {
        uint64_t seq = ring->rendered[ring->rendered_first];
        if (seq >= ring->first && ring->frame_bytes <= ring->frame_max_bytes)
            break;
        if (seq >= ring->first)
            forget_frame(ring, entry_at(ring, seq));
        ring->rendered_first = (ring->rendered_first + 1) & (ring->rendered_capacity - 1);
        ring->rendered_count--;
    }
    if (ring->rendered_count == ring->rendered_capacity)
        grow_rendered(ring);
    ring->rendered[(ring->rendered_first + ring->rendered_count++) & (ring->rendered_capacity - 1)] = newest;
}

slc_frame *slc_ring_frame(slc_ring *ring, uint64_t seq)
{
    slc_entry *entry = entry_at(ring, seq);
    if (entry->frame == NULL) {
        bound_frames(ring, seq);
        entry->frame = render(ring, entry->record);
        ring->frame_bytes += entry->frame->len;
    }
    return entry->frame;
}

bool slc_ring_add_json(const slc_ring *ring, uint64_t seq, slc_buf *out)
{
    const slc_entry *entry = entry_at(ring, seq);
    if (entry->frame != NULL)
        return slc_buf_add(out, SLC_FRAME_JSON(entry->frame), SLC_FRAME_JSON_LEN(entry->frame));
    slc_event_json(out, entry->record);
    return !out->overflow;
}

slc_frame_id *slc_ring_id_at(slc_ring *ring, uint64_t seq)
{
    if (seq == ring->next && ring->tail_id != NULL)
        return slc_frame_id_ref(ring->tail_id);
    slc_position *here = slc_malloc((size_t)ring->partitions * sizeof *here + 1);
    slc_ring_position_at(ring, seq, here);
    slc_frame_id *id = slc_frame_id_new(&ring->codec, ring->topic_id, here, ring->partitions);
    free(here);
    if (seq == ring->next)
        ring->tail_id = slc_frame_id_ref(id);
    return id;
}

slc_frame *slc_ring_frame_with_id(slc_ring *ring, uint64_t seq)
{
    slc_frame *frame = slc_ring_frame(ring, seq);
    if (frame->id == NULL)
        frame->id = slc_ring_id_at(ring, seq + 1);
    return frame;
}
