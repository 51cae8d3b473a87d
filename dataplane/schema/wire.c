#include "dataplane/schema/wire.h"

#include <string.h>

static int32_t read_id(const uint8_t *p)
{
    return (int32_t)((uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3]);
}

static bool is_mark(const slc_record_header *header)
{
    const size_t len = sizeof SLC_SCHEMA_VALUE_HEADER - 1;
    return header->name_len == len && memcmp(header->name, SLC_SCHEMA_VALUE_HEADER, len) == 0;
}

static bool read_header(const slc_record_header *header, slc_schema_mark *out)
{
    const uint8_t *value = header->value;
    if (value == NULL || header->value_len == 0)
        return false;
    out->place = SLC_SCHEMA_IN_HEADER;
    if (value[0] == 0 && header->value_len == SLC_SCHEMA_PREFIX) {
        out->id = read_id(value + 1);
        return true;
    }
    out->by_guid = true;
    if (value[0] != 1 || header->value_len != 1 + SLC_SCHEMA_GUID)
        return false;
    memcpy(out->guid, value + 1, SLC_SCHEMA_GUID);
    return true;
}

bool slc_schema_mark_read(const uint8_t *value, size_t len, const slc_record_header *headers,
                          uint32_t header_count, slc_schema_mark *out)
{
    *out = (slc_schema_mark){0};
    for (uint32_t i = header_count; i-- > 0;) /* the last of several, as Kafka's lastHeader() has it */
        if (is_mark(&headers[i]))
            return read_header(&headers[i], out);
    if (len < SLC_SCHEMA_PREFIX || value[0] != 0)
        return true;
    *out = (slc_schema_mark){.place = SLC_SCHEMA_IN_VALUE, .id = read_id(value + 1), .skip = SLC_SCHEMA_PREFIX};
    return true;
}

bool slc_schema_prefix_add(slc_buf *out, int32_t id)
{
    const uint32_t bits = (uint32_t)id;
    const uint8_t prefix[SLC_SCHEMA_PREFIX] = {0, (uint8_t)(bits >> 24), (uint8_t)(bits >> 16),
                                               (uint8_t)(bits >> 8), (uint8_t)bits};
    return slc_buf_add(out, prefix, sizeof prefix);
}
