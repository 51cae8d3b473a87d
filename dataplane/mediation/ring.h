/* Records in the order in which everybody reads them, bounded, with what was rendered from them. A worker's
 * view of a feed is one, and so is the window of a catch-up scan. All of it belongs to one worker's thread.
 */
#ifndef SLC_DATAPLANE_MEDIATION_RING_H
#define SLC_DATAPLANE_MEDIATION_RING_H

#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "dataplane/broker/record.h"
#include "dataplane/mediation/cursor.h"

/* The line "id: <cursor>\n", shared by everybody who is at that place. */
typedef struct slc_frame_id {
    unsigned refs;
    uint32_t len;
    char text[];
} slc_frame_id;

/* The line "data: <event>\n" and the empty one that ends it; the event's JSON is inside. */
typedef struct slc_frame {
    unsigned refs;
    uint32_t len;
    slc_frame_id *id; /* of the place behind the record; NULL until somebody asks */
    char text[];
} slc_frame;

#define SLC_FRAME_JSON(frame)     ((frame)->text + 6)
#define SLC_FRAME_JSON_LEN(frame) ((frame)->len - 8)

typedef struct slc_entry {
    slc_record *record;
    slc_frame *frame; /* NULL: not rendered, or forgotten */
} slc_entry;

typedef struct slc_ring {
    slc_cursor_codec codec;
    uint8_t topic_id[16];
    slc_buf *scratch;
    slc_entry *entries; /* of sequence number n: entries[n & (capacity - 1)] */
    uint64_t first, next;
    uint64_t capacity;
    slc_position **checkpoints; /* every 256 numbers, the position before it */
    size_t bytes;               /* of the records */
    size_t frame_bytes;
    size_t frame_max_bytes;
    uint64_t *rendered; /* numbers with frames, in the order in which they were rendered; circular */
    size_t rendered_first, rendered_count, rendered_capacity;
    int32_t partitions;
    slc_position *start, *end; /* before `first` and behind the last */
    slc_frame_id *tail_id;     /* of `end`; NULL: stale */
} slc_ring;

/* Starts (again) empty at these positions, numbering from `first`. `scratch` is for rendering, borrowed. */
void slc_ring_init(slc_ring *ring, const slc_cursor_codec *codec, const uint8_t *topic_id,
                   const slc_position *start, int32_t partitions, uint64_t first, size_t frame_max_bytes,
                   slc_buf *scratch);
void slc_ring_release(slc_ring *ring);
/* Takes one reference of the record, whose partition must be one of the ring's. */
void slc_ring_append(slc_ring *ring, slc_record *record);
/* The end of a partition is at `next`, without records up to there (control records, aborted transactions). */
void slc_ring_move_end(slc_ring *ring, int32_t partition, int64_t next);
void slc_ring_drop_first(slc_ring *ring);

slc_record *slc_ring_record(const slc_ring *ring, uint64_t seq); /* borrowed */

/* The position before record `seq` (first..next). `out` holds `partitions`. */
void slc_ring_position_at(const slc_ring *ring, uint64_t seq, slc_position *out);
/* Is no partition of `own` before the ring's start? */
bool slc_ring_covers(const slc_ring *ring, const slc_position *own);
/* For a position that is covered: a number from which on everything unseen follows. */
uint64_t slc_ring_join(const slc_ring *ring, const slc_position *own);
/* Is `own` at most the position before `seq`, everywhere? Then they are as good as equal. */
bool slc_ring_reached(const slc_ring *ring, uint64_t seq, const slc_position *own);

/* Renders at the first call; borrowed until the ring changes (take a reference to keep it). */
slc_frame *slc_ring_frame(slc_ring *ring, uint64_t seq);
/* Appends the event's JSON, from its frame if there is one, else without keeping any. False: `out` is full. */
bool slc_ring_add_json(const slc_ring *ring, uint64_t seq, slc_buf *out);
/* The same with its id. */
slc_frame *slc_ring_frame_with_id(slc_ring *ring, uint64_t seq);
/* The id of the place before `seq`; new reference. */
slc_frame_id *slc_ring_id_at(slc_ring *ring, uint64_t seq);
slc_frame_id *slc_frame_id_new(const slc_cursor_codec *codec, const uint8_t *topic_id,
                               const slc_position *positions, int32_t partitions);
slc_frame_id *slc_frame_id_ref(slc_frame_id *id);
void slc_frame_id_unref(slc_frame_id *id);
slc_frame *slc_frame_ref(slc_frame *frame);
void slc_frame_unref(slc_frame *frame);

#endif
