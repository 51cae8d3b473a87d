/* A reader of an event API: a place in a ring, and the way from one ring to the next. Streams and pages are
 * readers; this part knows nothing of HTTP. All on the worker's thread.
 */
#ifndef SLC_DATAPLANE_MEDIATION_READER_H
#define SLC_DATAPLANE_MEDIATION_READER_H

#include "dataplane/mediation/mediation_private.h"

#define SLC_READER_MAGIC 0x52454144U

struct slc_reader;

typedef struct slc_reader_ops {
    /* There may be something to take, or the state changed (`failing`, `placed`). May take, may end the reader.
     */
    void (*wake)(struct slc_reader *reader);
    /* Records were lost to the reader: `from` is where it wanted to go on, `to` is where it will. Called before
     * it does. False: it ended. */
    bool (*gap)(struct slc_reader *reader, int32_t partition, int64_t from, int64_t to);
    /* The topic was deleted and made anew: the reader has no place any more, and goes on at the beginning of
     * the new one. Called before it does. False: it ended. */
    bool (*recreated)(struct slc_reader *reader);
    /* It is behind the ring, and too many wait to catch up already. It is woken when there may be room. False:
     * it ended. */
    bool (*crowded)(struct slc_reader *reader);
    /* The position is not known any more, or a question about it failed. The reader must end. */
    void (*refused)(struct slc_reader *reader, const slc_error *err);
    /* The event API is gone: the reader must end. */
    void (*removed)(struct slc_reader *reader);
} slc_reader_ops;

enum slc_start { SLC_START_CURSOR, SLC_START_EARLIEST, SLC_START_LATEST, SLC_START_TIME };

typedef struct slc_reader {
    unsigned magic;
    slc_api *api;
    const slc_reader_ops *ops;
    enum slc_start start;
    int64_t start_ms;     /* TIME: the time asked for; LATEST: of the arrival */
    slc_cursor cursor;    /* CURSOR: until it is placed */
    bool placed;          /* has a position: `seq` in a ring, or `own` */
    uint8_t topic_id[16]; /* the position's topic; zero: unknown */
    slc_ring *ring;       /* where it reads; NULL: nowhere yet */
    uint64_t seq;         /* next number */
    slc_scan *scan;       /* whose ring that is; NULL: the API's */
    slc_position *own; /* its own position while it differs from the ring's; as many as the API's partitions */
    int32_t own_count;
    slc_lens *lens;           /* what it sees of the records; own reference; NULL: all of them, as they are */
    slc_frame *seen;          /* of the record that peek found, by the lens; own reference */
    slc_record_waiter waiter; /* for what the lens' policies need */
    unsigned followed;        /* worker->applied when its policies were found */
    bool unreachable;         /* that is out of reach: it is tried again with each tick */
    bool keep_own;            /* pages: always track it */
    bool checked_end;         /* `own` was compared with the topic's end */
    slc_frame_id
        *last; /* the id of its place when it last had one; behind it are records that it does not see */
    struct slc_lookup *lookup;
    int64_t hold_until_ms; /* no questions before then: the last one failed; monotonic */
    bool waiting;          /* in the tail list of its ring, or outside */
    bool outside;
    bool passed;    /* such records, since it had an id */
    unsigned woken; /* api->wakes when it began to wait */
    TAILQ_ENTRY(slc_reader) entry;
    TAILQ_ENTRY(slc_reader) tail_entry;
    TAILQ_ENTRY(slc_reader) scan_entry;
} slc_reader;

/* Starts. For SLC_START_CURSOR the cursor's content is taken over. `wake` is called from the loop later at the
 * earliest when something came; call slc_reader_peek first. */
void slc_reader_init(slc_reader *reader, slc_api *api, const slc_reader_ops *ops, enum slc_start start,
                     int64_t start_ms, slc_cursor *cursor, bool keep_own);
/* From here on it sees the records by this lens (takes the reference; NULL: as they are). */
void slc_reader_set_lens(slc_reader *reader, slc_lens *lens);
void slc_reader_release(slc_reader *reader);

/* The configuration may be another: the policies of the exchange are found anew, and the lens with them. False:
 * a condition cannot be evaluated. */
bool slc_reader_follow(slc_reader *reader, slc_exchange *exchange, slc_snapshot *snapshot) SLC_CHECKED;

/* True when a record is there for the reader: number `seq` of `ring`. Else it is registered and will be woken.
 * May call `gap` and `refused`: check that the reader still lives, by their results, before touching it. */
/* Does it wait at a record for what policies need? Then it is woken when that is there. */
bool slc_reader_waits_for_policies(const slc_reader *reader);
enum slc_peek { SLC_PEEK_RECORD, SLC_PEEK_NOTHING, SLC_PEEK_ENDED };
enum slc_peek slc_reader_peek(slc_reader *reader);
/* The event's JSON of the record that peek found is added. False: `out` is full. */
bool slc_reader_add_json(const slc_reader *reader, slc_buf *out) SLC_CHECKED;
/* Its frame; borrowed until the reader goes on. */
slc_frame *slc_reader_frame(slc_reader *reader);
/* The trace that the record came by becomes a link of the span. */
void slc_reader_trace(const slc_reader *reader, struct slc_span *span);
/* Behind the record that peek found. */
void slc_reader_advance(slc_reader *reader);
/* The id of the reader's place; borrowed until it moves; NULL before it is placed. */
slc_frame_id *slc_reader_id(slc_reader *reader);
/* Has it read everything up to the last stable offset of every partition, as far as is known? */
bool slc_reader_caught_up(const slc_reader *reader);

/* The API's ring grew: those who wait at its end. */
void slc_readers_wake_tail(slc_api *api);
/* Something changed for everybody: a view begins (anew), the backend comes or goes. */
void slc_readers_wake_all(slc_api *api);
/* Those who wait for what policies need, and are told by nobody. */
void slc_readers_retry(slc_api *api);
/* Those who wait outside, as far as catch-up takes more. */
void slc_readers_wake_outside(slc_api *api);
/* A scan's window grew, or it changed otherwise. */
void slc_readers_wake_scan(slc_scan *scan);
/* Leaves the scan, keeping the position: goes on another way when it is asked next. */
void slc_reader_leave_scan(slc_reader *reader);

#endif
