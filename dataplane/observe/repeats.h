/* Keeps a log readable when the same thing happens for ever: the first time is to be logged, the next ones are
 * counted, and once in an interval somebody is told how many there were. Bounded: what finds no place any more
 * is counted together. Not thread safe; one per worker. */
#ifndef SLC_DATAPLANE_OBSERVE_REPEATS_H
#define SLC_DATAPLANE_OBSERVE_REPEATS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#define SLC_REPEATS_MAX 512 /* different things in one interval */

typedef struct slc_repeat {
    uint64_t key;
    int64_t since_ms; /* monotonic: when its interval began */
    uint64_t count;   /* in it, beyond the one that was logged */
    void *about;      /* the caller's */
    TAILQ_ENTRY(slc_repeat) entry;
} slc_repeat;

typedef struct slc_repeats {
    unsigned size;
    uint64_t others; /* that found no place */
    int64_t others_since_ms;
    TAILQ_HEAD(slc_repeat_list, slc_repeat) list; /* the oldest interval first */
} slc_repeats;

void slc_repeats_init(slc_repeats *repeats);
/* Calls `gone` for each `about`. */
void slc_repeats_release(slc_repeats *repeats, void (*gone)(void *about));

/* It happened. New: *`repeat` is its entry, whose `about` the caller may set, and it is to be logged. NULL
 * in *`repeat` and false: counted. */
bool slc_repeats_first(slc_repeats *repeats, uint64_t key, int64_t now_ms, slc_repeat **repeat);

/* Entries whose interval of `interval_ms` is over: `told` hears of those that were counted, which begin a new
 * interval; the others go, with `gone`. Returns how many found no place in an interval that is over. */
uint64_t slc_repeats_expire(slc_repeats *repeats, int64_t now_ms, int64_t interval_ms,
                            void (*told)(const slc_repeat *repeat), void (*gone)(void *about));

/* FNV-1a, 64 bits: of one more text. Begin with SLC_REPEATS_KEY. */
#define SLC_REPEATS_KEY UINT64_C(0xcbf29ce484222325)
uint64_t slc_repeats_key(uint64_t key, const char *text);

#endif
