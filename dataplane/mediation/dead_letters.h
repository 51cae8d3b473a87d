/* Dead letters: records that policies rejected are put aside in a topic of their backend, with the reason.
 * Nobody waits for it; what does not fit, or is not stored, is counted as lost. */
#ifndef SLC_DATAPLANE_MEDIATION_DEAD_LETTERS_H
#define SLC_DATAPLANE_MEDIATION_DEAD_LETTERS_H

#include <stdatomic.h>

#include "dataplane/mediation/link.h"
#include "dataplane/policy/record_chain.h"

#define SLC_LETTERS_REMEMBERED 4096

/* The process's; any thread. */
typedef struct slc_letter_box {
    slc_dead_letters sink; /* first */
    slc_links *links;
    atomic_llong under_way; /* letters that are not stored yet */
    int64_t most_under_way;
    pthread_mutex_t lock;
    uint64_t seen[SLC_LETTERS_REMEMBERED]; /* hashes of records that were read: each is put aside once for a
                                              policy, however many read it, as far as is remembered */
} slc_letter_box;

/* `links` is borrowed. */
void slc_letter_box_init(slc_letter_box *box, slc_links *links, int64_t most_under_way);
/* Before the links are released; letters that are under way keep theirs. */
void slc_letter_box_release(slc_letter_box *box);

#endif
