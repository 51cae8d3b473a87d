/* Private to the walker (walk.c): its frames and the reads that look ahead without moving the cursor. */
#ifndef SLC_DATAPLANE_KAFKA_WALK_READ_H
#define SLC_DATAPLANE_KAFKA_WALK_READ_H

#include "dataplane/kafka/walk.h"

enum { FRAME_STRUCT, FRAME_ARRAY, FRAME_TAG };

/* The outcome of one step; AGAIN when there was nothing to tell. */
enum progress { AGAIN, EVENT, MORE, DONE, FAILED };

/* A length or count as it was read: -1 for null. */
struct prefix {
    int64_t length;
    size_t width;
};

typedef struct slc_kafka_walk_frame frame_t;

static inline frame_t *top(slc_kafka_walk *w)
{
    return &w->frames_[w->depth_ - 1];
}

static inline size_t left_in_scope(slc_kafka_walk *w)
{
    return top(w)->end - w->offset_;
}

static inline void skip(slc_kafka_walk *w, size_t n)
{
    w->window_ += n;
    w->offset_ += n;
    w->avail_ -= n;
}

static inline bool is_compact(const slc_kafka_walk *w, const slc_kafka_field *field)
{
    return w->flexible_ && (field->flags & SLC_KAFKA_FIELD_RIGID) == 0;
}

/* Fails the walk. `field` is what was being read, NULL when that is the innermost frame itself. */
enum progress slc_kafka_walk_refuse(slc_kafka_walk *w, slc_error *err, enum slc_code code,
                                    const slc_kafka_field *field, const char *fmt, ...) SLC_PRINTF(5, 6);

/* AGAIN when `n` bytes are inside the scope and in the window, MORE when only in the scope. */
enum progress slc_kafka_walk_need(slc_kafka_walk *w, const slc_kafka_field *field, size_t n, slc_error *err);

/* A varint `from` bytes ahead of the cursor. */
enum progress slc_kafka_walk_peek_uvarint(slc_kafka_walk *w, const slc_kafka_field *field, size_t from,
                                          uint32_t *value, size_t *width, slc_error *err);

/* The length or count at the cursor, checked for null; `fixed` is its width where it is not compact. */
enum progress slc_kafka_walk_peek_prefix(slc_kafka_walk *w, const slc_kafka_field *field, size_t fixed,
                                         struct prefix *out, slc_error *err);

#endif
