/* Rewriting by role: walks a message, asks a function about each value whose role it cares for, and notes the
 * answers as edits. Lengths, the sizes of tagged fields and the counts of arrays follow by themselves. */
#ifndef SLC_DATAPLANE_KAFKA_REWRITE_H
#define SLC_DATAPLANE_KAFKA_REWRITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "dataplane/kafka/edit.h"
#include "dataplane/kafka/walk.h"

enum slc_kafka_verdict {
    SLC_KAFKA_KEEP,
    SLC_KAFKA_REPLACE, /* by `out` */
    SLC_KAFKA_DROP,   /* the innermost array element that this value is or belongs to, with all that is in it */
    SLC_KAFKA_LATER,  /* stop here and ask again: the answer is not known yet */
    SLC_KAFKA_REFUSE, /* the message as a whole; `err` was filled */
};

/* What a value becomes. Strings, bytes and records: `head` followed by `body`, so that a prefix needs no
 * scratch memory; or null. Integers: `number`. Uuids: 16 bytes in `body`. An array of fixed-size elements:
 * their bytes. */
typedef struct slc_kafka_value {
    bool null;
    slc_kafka_span head;
    slc_kafka_span body;
    bool made; /* instead of head and body: what was added to edits->bytes from `made_from` on */
    size_t made_from;
    int64_t number;
} slc_kafka_value;

/* Asked about each VALUE event whose role is in `roles`; `out` is zeroed. Null strings and bytes come as well
 * (event->data is NULL), null arrays do not. A value that comes in pieces may be replaced or dropped at its
 * last piece only. With SLC_KAFKA_WANT_SHAPE in `roles` also asked about ELEMENT and ELEMENT_END, to be kept,
 * dropped or refused. Not asked about anything inside an element after it was dropped. */
typedef enum slc_kafka_verdict slc_kafka_map_fn(void *ctx, const slc_kafka_event *event, slc_kafka_value *out,
                                                slc_error *err);

typedef struct slc_kafka_rewrite_ops {
    uint64_t roles; /* SLC_KAFKA_WANT bits */
    uint64_t whole; /* as in slc_kafka_walk_options */
    bool any_null;
    bool trailing_ok;
    slc_kafka_map_fn *map;
} slc_kafka_rewrite_ops;

/* Private. */
struct slc_kafka_rewrite_frame {
    enum slc_kafka_event_kind kind; /* ARRAY, ELEMENT or TAG */
    slc_kafka_event event;
    slc_kafka_edits_mark mark;
    uint32_t dropped; /* elements of an array */
};

typedef struct slc_kafka_rewriter {
    slc_kafka_walk walk_;
    const slc_kafka_rewrite_ops *ops_;
    void *ctx_;
    slc_kafka_edits *edits_;
    slc_kafka_event held_; /* the event that was answered with LATER */
    bool holding_;
    uint8_t depth_;
    uint8_t dropping_; /* depth of the element that is being dropped, 0 for none */
    struct slc_kafka_rewrite_frame frames_[SLC_KAFKA_WALK_DEPTH];
} slc_kafka_rewriter;

/* Begins a message of `size` bytes. `ops` and `edits` must outlive the rewriter; edits are added to those there
 * are, so it begins with an empty list. Errors as slc_kafka_walk_init. */
bool slc_kafka_rewriter_init(slc_kafka_rewriter *rewriter, const slc_kafka_message *message, int version,
                             size_t size, const slc_kafka_rewrite_ops *ops, void *ctx, slc_kafka_edits *edits,
                             slc_error *err) SLC_CHECKED;

/* As slc_kafka_walk_feed; the offset is slc_kafka_rewriter_offset(). */
void slc_kafka_rewriter_feed(slc_kafka_rewriter *rewriter, const uint8_t *data, size_t len);
size_t slc_kafka_rewriter_offset(const slc_kafka_rewriter *rewriter);

/* Goes on until MORE, WAIT, DONE or FAILED (`err`: as slc_kafka_walk_next, SLC_LIMIT from the edits,
 * SLC_TOO_LARGE for a name that became too long, or the map function's own). After WAIT the bytes that were fed
 * must stay where they are. */
enum slc_kafka_step slc_kafka_rewriter_run(slc_kafka_rewriter *rewriter, slc_error *err) SLC_CHECKED;

/* A whole message at once, with a map function that never answers LATER. */
bool slc_kafka_rewrite(const slc_kafka_message *message, int version, const uint8_t *in, size_t len,
                       const slc_kafka_rewrite_ops *ops, void *ctx, slc_kafka_edits *edits,
                       slc_error *err) SLC_CHECKED;

#endif
