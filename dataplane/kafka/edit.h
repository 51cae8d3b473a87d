/* A list of edits: the only way in which a message is changed. "At offset A, remove N bytes and put these
 * instead", sorted by offset and not overlapping, so that a changed message is the old buffer with pieces
 * swapped: untouched bytes are never copied, and the new size is known before the first byte is written. */
#ifndef SLC_DATAPLANE_KAFKA_EDIT_H
#define SLC_DATAPLANE_KAFKA_EDIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/error.h"

typedef struct slc_kafka_edit {
    uint32_t at;     /* offset in the original */
    uint32_t remove; /* bytes of it */
    uint32_t from;   /* where in slc_kafka_edits.bytes the new bytes begin */
    uint32_t put;    /* how many */
} slc_kafka_edit;

/* Not thread safe; the holder owns it. Read `items`, `count` and `bytes` freely, change them through the
 * functions; what is made for slc_kafka_edits_add_made() is added to `bytes` itself. */
typedef struct slc_kafka_edits {
    slc_kafka_edit *items;
    size_t count;
    size_t cap;
    size_t max;     /* of items */
    slc_buf bytes;  /* all new bytes */
    int64_t growth; /* new size minus old size */
} slc_kafka_edits;

/* Bytes of somebody else. */
typedef struct slc_kafka_span {
    const void *data; /* may be NULL when len is 0 */
    size_t len;
} slc_kafka_span;

/* A place to come back to. */
typedef struct slc_kafka_edits_mark {
    size_t count;
    size_t bytes;
    int64_t growth;
} slc_kafka_edits_mark;

void slc_kafka_edits_init(slc_kafka_edits *edits, size_t max_edits, size_t max_bytes);
void slc_kafka_edits_release(slc_kafka_edits *edits);
/* Forgets the edits, keeps the memory. */
void slc_kafka_edits_clear(slc_kafka_edits *edits);

/* Adds an edit behind the others; `at` is not before the last one's end (a bug otherwise). The new bytes are
 * the `n` spans one after the other, copied. False with `err` (SLC_LIMIT) over the limits; nothing is added
 * then. */
bool slc_kafka_edits_add(slc_kafka_edits *edits, size_t at, size_t remove, const slc_kafka_span *put, size_t n,
                         slc_error *err) SLC_CHECKED;

/* The same for new bytes that the caller has added to edits->bytes, from `from` to its end: `head` stands
 * before them, and only that is copied. Takes two edits. On false the caller's bytes are gone as well. */
bool slc_kafka_edits_add_made(slc_kafka_edits *edits, size_t at, size_t remove, slc_kafka_span head,
                              size_t from, slc_error *err) SLC_CHECKED;

/* Adds an edit before those that were made since `mark`, all of which lie behind at + remove. */
bool slc_kafka_edits_insert(slc_kafka_edits *edits, const slc_kafka_edits_mark *mark, size_t at, size_t remove,
                            slc_kafka_span put, slc_error *err) SLC_CHECKED;

slc_kafka_edits_mark slc_kafka_edits_here(const slc_kafka_edits *edits);
/* Forgets what was added since `mark`. */
void slc_kafka_edits_rewind(slc_kafka_edits *edits, const slc_kafka_edits_mark *mark);

/* Adds the changed message to `out`. False with `err` (SLC_LIMIT) when it does not fit; `out` is then as it
 * was. */
bool slc_kafka_edits_apply(const slc_kafka_edits *edits, const uint8_t *in, size_t len, slc_buf *out,
                           slc_error *err) SLC_CHECKED;

#endif
