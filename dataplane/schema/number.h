/* Numbers as JSON writes them: exact where 19 digits are enough, which is where money and identifiers are. */
#ifndef SLC_DATAPLANE_SCHEMA_NUMBER_H
#define SLC_DATAPLANE_SCHEMA_NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

__extension__ typedef __int128 slc_wide;

typedef struct slc_number {
    bool exact; /* it is digits * 10^exponent */
    slc_wide digits;
    int exponent; /* with no zero at the end of `digits` */
    double real;  /* the nearest; infinite beyond what there is */
} slc_number;

/* `text` must be a JSON number. */
slc_number slc_number_read(const char *text, size_t len);
/* Below, above or 0. */
int slc_number_compare(const slc_number *a, const slc_number *b);
/* Has it no fraction: 1, 1.0, 1e3? */
bool slc_number_is_whole(const slc_number *number);
/* Is `a` a whole multiple of `b`, which is above 0? */
bool slc_number_is_multiple(const slc_number *a, const slc_number *b);
/* Whole and within 64 bits. */
bool slc_number_int64(const slc_number *number, int64_t *out);

#endif
