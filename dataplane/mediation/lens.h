/* What some readers of an event API see of its records: the policies that take part for them, bound, and what
 * was rendered by these. Readers for whom it is the same share one, whichever ring they read from. A worker's.
 */
#ifndef SLC_DATAPLANE_MEDIATION_LENS_H
#define SLC_DATAPLANE_MEDIATION_LENS_H

#include "dataplane/http/exchange.h"
#include "dataplane/mediation/ring.h"
#include "dataplane/policy/record_chain.h"

struct slc_api;

typedef struct slc_lens_slot {
    int32_t partition;
    int64_t offset;
    bool hidden;          /* nobody sees it: `frame` is NULL */
    slc_frame *frame;     /* NULL with `hidden` false: free */
    const slc_ring *ring; /* whose place behind the record frame->id is of, if there is one */
    uint64_t seq;
} slc_lens_slot;

typedef struct slc_lens {
    unsigned refs; /* readers */
    struct slc_api *api;
    slc_record_policies policies;
    slc_record_chain *chain;
    enum slc_record_audience audience;
    char who[96]; /* of AUDIENCE_APPLICATION */
    int64_t unused_since_ms;
    slc_lens_slot *slots; /* by a hash of partition and offset: what comes later takes the place */
    size_t slot_count;    /* a power of two */
    size_t bytes;         /* of frames */
    size_t hand;          /* the slot that is forgotten next, where they are too many */
    TAILQ_ENTRY(slc_lens) entry;
} slc_lens;

/* The lens of a reader, by the policies that were found for the exchange; new reference. NULL: it sees the
 * records as they are. */
slc_lens *slc_lens_get(struct slc_api *api, slc_exchange *exchange, const slc_snapshot *snapshot);
slc_lens *slc_lens_ref(slc_lens *lens);
void slc_lens_unref(slc_lens *lens); /* NULL is fine; it is kept for a while */
/* Would getting it for the same exchange give another? */
bool slc_lens_is_current(const slc_lens *lens, const slc_exchange *exchange, const slc_snapshot *snapshot);

enum slc_sight {
    SLC_SEEN,        /* `frame` is what is seen of it */
    SLC_HIDDEN,      /* the reader goes on behind it */
    SLC_NOT_YET,     /* the waiter will be told */
    SLC_UNREACHABLE, /* what a policy needs is out of reach; nobody is told when that ends */
};
/* `*frame` gets a new reference. */
enum slc_sight slc_lens_look(slc_lens *lens, const slc_record *record, slc_record_waiter *waiter,
                             slc_frame **frame);
/* The id of the place behind record `seq` of the ring, which it has looked at; new reference. */
slc_frame_id *slc_lens_id(slc_lens *lens, slc_ring *ring, uint64_t seq);

/* The topic is another, perhaps: forgets what was rendered. */
void slc_lenses_clear(struct slc_api *api);
/* Forgets those that nobody has used for `idle_ms`. */
void slc_lenses_expire(struct slc_api *api, int64_t now_ms, int64_t idle_ms);

#endif
