/* All that this process has counted and the control plane has not stored for good: sums of each hour and
 * combination, told in parts, one at a time, each again until it is acknowledged. What was acknowledged is kept
 * while its hour may still grow. Not thread safe; the config thread's.
 */
#ifndef SLC_DATAPLANE_OBSERVE_USAGE_BOOK_H
#define SLC_DATAPLANE_OBSERVE_USAGE_BOOK_H

#include <stdbool.h>

#include "dataplane/observe/usage.h"

#define SLC_USAGE_PART_MAX 500

typedef struct slc_usage_book {
    slc_usage_table rows;
    uint32_t floor;    /* nothing will be added to an earlier hour */
    uint64_t sequence; /* of the part under way */
    bool under_way;
    size_t untold; /* rows that have grown since they were told, those under way not counted */
} slc_usage_book;

/* At most `max` rows; what is more is merged. */
void slc_usage_book_init(slc_usage_book *book, size_t max);
void slc_usage_book_release(slc_usage_book *book);

/* Adds what a worker has counted. */
void slc_usage_book_add(slc_usage_book *book, const slc_usage_table *counted);
/* Every worker's table has been taken since that hour began. */
void slc_usage_book_settle(slc_usage_book *book, uint32_t hour);

/* Begins the next part, unless one is under way or nothing is left to tell: how many rows, into `rows` (which
 * holds SLC_USAGE_PART_MAX, and lives until the book changes), and the earliest hour that may still be told of.
 */
size_t slc_usage_book_next(slc_usage_book *book, const slc_usage_row **rows, uint32_t *oldest_hour);
/* False: that is not the part under way. */
bool slc_usage_book_acknowledged(slc_usage_book *book, uint64_t sequence);
/* The part under way was perhaps not stored: it is told again. */
void slc_usage_book_again(slc_usage_book *book);
/* Is there nothing that was not acknowledged? */
bool slc_usage_book_is_told(const slc_usage_book *book);

#endif
