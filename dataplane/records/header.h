/* A header of a record. */
#ifndef SLC_DATAPLANE_RECORDS_HEADER_H
#define SLC_DATAPLANE_RECORDS_HEADER_H

#include <stdint.h>

typedef struct slc_record_header {
    const char *name; /* need not be terminated, nor UTF-8 */
    uint32_t name_len;
    uint32_t value_len;
    const uint8_t *value; /* NULL: null */
} slc_record_header;

#endif
