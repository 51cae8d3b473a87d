/* One cursor for every Kafka message: reads any message by the table, checks every bound, and hands out events.
 *
 * Pull, not callbacks: slc_kafka_walk_next() until it says DONE or FAILED. Nothing is allocated and nothing
 * recurses; the state is this struct, which may be copied. Not thread safe. docs/decisions/0003-wire-walker.md
 * has the design.
 *
 * Feeding. The message's size is known from its frame (or its bytes field) and given at init. Its bytes come in
 * windows: slc_kafka_walk_feed() gives a window that begins where the cursor stands. After MORE, bytes before
 * slc_kafka_walk_offset() are done with; what is left of the window must be the beginning of the next one. A
 * whole message in one window never gives MORE.
 */
#ifndef SLC_DATAPLANE_KAFKA_WALK_H
#define SLC_DATAPLANE_KAFKA_WALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "dataplane/kafka/table.h"

#define SLC_KAFKA_WALK_DEPTH   12
#define SLC_KAFKA_MAX_ELEMENTS (16 * 1024 * 1024) /* of one array, whatever the frame's size would allow */
#define SLC_KAFKA_UNQUALIFIED  INT16_MIN          /* no resource type beside the field, in no version */

/* A caller that wants less than everything pays for less: see slc_kafka_walk_options.wants. */
#define SLC_KAFKA_WANT_SHAPE   (UINT64_C(1) << 62) /* ARRAY to TAG_END */
#define SLC_KAFKA_WANT_UNKNOWN (UINT64_C(1) << 63) /* UNKNOWN_TAG */

enum slc_kafka_event_kind {
    SLC_KAFKA_EV_VALUE, /* anything that is not made of other fields; also a null array or struct */
    SLC_KAFKA_EV_ARRAY, /* of structs, strings or bytes; `number` elements follow */
    SLC_KAFKA_EV_ARRAY_END,
    SLC_KAFKA_EV_ELEMENT, /* a struct in an array */
    SLC_KAFKA_EV_ELEMENT_END,
    SLC_KAFKA_EV_STRUCT, /* a struct that is a field */
    SLC_KAFKA_EV_STRUCT_END,
    SLC_KAFKA_EV_TAG, /* a tagged field that the table knows; its value's events follow */
    SLC_KAFKA_EV_TAG_END,
    SLC_KAFKA_EV_UNKNOWN_TAG, /* `number` is the tag; `data` is what it holds */
};

/* Offsets are from the message's first byte. Pointers are into the window and live until the next feed. */
typedef struct slc_kafka_event {
    enum slc_kafka_event_kind kind;
    const slc_kafka_field *field; /* NULL for an unknown tag */
    size_t at;           /* where the value begins, its length or count prefix (or tag and size) included */
    size_t prefix;       /* bytes of that prefix */
    size_t size_at;      /* TAG and UNKNOWN_TAG: where the size begins, after the tag's number */
    const uint8_t *data; /* content; NULL when null */
    size_t len;          /* content bytes in this event */
    size_t
        total; /* content bytes in all: more than `len` when bytes, records or a fixed array come in pieces */
    size_t piece_at; /* where in the content this piece stands; the last one has piece_at + len == total */
    int64_t number;  /* value of an integer or bool; elements of an array; tag */
    int32_t index;   /* in the innermost array when this is an element of it, else -1 */
    int16_t resource_type; /* qualifiers of a name, SLC_KAFKA_UNQUALIFIED where there are none */
    int16_t pattern_type;
    bool compact; /* the prefix is a varint of length + 1 */
} slc_kafka_event;

enum slc_kafka_step {
    SLC_KAFKA_EVENT,
    SLC_KAFKA_MORE,   /* feed the rest of the window and more */
    SLC_KAFKA_WAIT,   /* of a rewriter alone: its map function wants to be asked again later */
    SLC_KAFKA_DONE,   /* the message ended where its frame does */
    SLC_KAFKA_FAILED, /* `err` is set; the walk cannot go on */
};

typedef struct slc_kafka_walk_options {
    uint64_t wants; /* SLC_KAFKA_WANT(role) bits and the SLC_KAFKA_WANT_ sets */
    uint64_t whole; /* roles whose bytes or records must come in one piece; the caller's window must be able to
                       grow to it */
    bool any_null;  /* what may be null is so with any negative length, as Kafka itself reads it */
    bool trailing_ok; /* ignore bytes after the last field, as embedded data of a later version has them */
} slc_kafka_walk_options;

/* Private. */
struct slc_kafka_walk_frame {
    const slc_kafka_field *field; /* what holds this struct, array or tag; NULL for the message */
    size_t end;                   /* offset that the content may not pass */
    uint32_t count;               /* fields or elements */
    uint32_t index;               /* of the next one */
    uint32_t tags_left;
    uint16_t first; /* struct: its first field in the table */
    int16_t resource_type;
    int16_t pattern_type;
    uint8_t kind;
    bool in_tags; /* struct: the tagged section has begun; tag: the value has begun */
};

typedef struct slc_kafka_walk {
    const slc_kafka_message *message_;
    slc_kafka_walk_options options_;
    size_t size_;
    size_t offset_;
    const uint8_t *window_; /* the byte at offset_ */
    size_t avail_;
    size_t run_left_; /* of a value that comes in pieces */
    size_t run_skip_; /* of that, what nobody wants */
    slc_kafka_event run_;
    bool run_wanted_;
    bool flexible_;
    bool failed_;
    int8_t version_;
    uint8_t depth_;
    struct slc_kafka_walk_frame frames_[SLC_KAFKA_WALK_DEPTH];
} slc_kafka_walk;

/* Begins a message of `size` bytes (less than 2 GiB). `options` is copied. False with `err` (SLC_UNSUPPORTED)
 * when the message does not have this version, or SLC_TOO_LARGE. */
bool slc_kafka_walk_init(slc_kafka_walk *walk, const slc_kafka_message *message, int version, size_t size,
                         const slc_kafka_walk_options *options, slc_error *err) SLC_CHECKED;

/* Replaces the window. `data[0]` must be the byte at slc_kafka_walk_offset(); what exceeds the message is
 * ignored. The bytes must stay until the next feed or the walk's end. */
void slc_kafka_walk_feed(slc_kafka_walk *walk, const uint8_t *data, size_t len);

/* After MORE: how many of the next bytes are content that no event is wanted of, such as records; they need not
 * be fed. 0 when the cursor is elsewhere. */
size_t slc_kafka_walk_unseen(const slc_kafka_walk *walk);
/* Passes over so many of them. */
void slc_kafka_walk_pass(slc_kafka_walk *walk, size_t len);

/* After an event that is a piece of bytes or records: no event is wanted of the next `len` bytes of them, which
 * need not be fed either. More than there are: of all that are left. */
void slc_kafka_walk_skip(slc_kafka_walk *walk, size_t len);

/* The next wanted event. FAILED fills `err`: SLC_INVALID, `field` the path ("Topics[3].Name"), the message
 * naming it and the offset; SLC_TOO_LARGE for SLC_KAFKA_MAX_ELEMENTS. After DONE and FAILED it stays so. */
enum slc_kafka_step slc_kafka_walk_next(slc_kafka_walk *walk, slc_kafka_event *event,
                                        slc_error *err) SLC_CHECKED;

/* Where the cursor stands. */
size_t slc_kafka_walk_offset(const slc_kafka_walk *walk);

/* Writes the path of the field that the cursor is in, such as "Topics[3].Partitions[0]", truncated to `cap`. */
void slc_kafka_walk_path(const slc_kafka_walk *walk, char *path, size_t cap);

#endif
