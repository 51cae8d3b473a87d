/* Where a record says which schema its value or key is of, as Confluent's serializers write it: in front of the
 * value a zero byte and the schema's number, four bytes, big endian; or in a header, __value_schema_id or
 * __key_schema_id, that number behind a zero byte, or the schema's GUID, sixteen bytes, behind a one. The
 * header counts more. */
#ifndef SLC_DATAPLANE_SCHEMA_WIRE_H
#define SLC_DATAPLANE_SCHEMA_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "dataplane/records/header.h"

#define SLC_SCHEMA_VALUE_HEADER "__value_schema_id"
#define SLC_SCHEMA_KEY_HEADER   "__key_schema_id"
#define SLC_SCHEMA_PREFIX       5
#define SLC_SCHEMA_GUID         16

enum slc_schema_place { SLC_SCHEMA_NOWHERE, SLC_SCHEMA_IN_VALUE, SLC_SCHEMA_IN_HEADER };

typedef struct slc_schema_mark {
    enum slc_schema_place place;
    bool by_guid;
    int32_t id;
    uint8_t guid[SLC_SCHEMA_GUID];
    size_t skip; /* so many bytes of the value come before what the schema describes */
} slc_schema_mark;

/* False: a header that is none. Whether a value without a header begins with a number is a guess: any value may
 * begin with a zero byte, but JSON and text do not. */
bool slc_schema_mark_read(const uint8_t *value, size_t len, const slc_record_header *headers,
                          uint32_t header_count, slc_schema_mark *out);
bool slc_schema_prefix_add(slc_buf *out, int32_t id);

#endif
