#include "dataplane/broker/record.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/assert.h"

static uint8_t *put(uint8_t *at, const void *data, size_t len)
{
    if (len > 0)
        memcpy(at, data, len);
    return at + len;
}

/* Empty and absent stay different: an empty value points somewhere. */
static const uint8_t *place(uint8_t **at, const void *data, size_t len)
{
    if (data == NULL)
        return NULL;
    const uint8_t *start = *at;
    *at = put(*at, data, len);
    return start;
}

static size_t content_bytes(const slc_record *parts)
{
    size_t total = (size_t)parts->key_len + parts->value_len;
    for (uint32_t i = 0; i < parts->header_count; i++)
        total += (size_t)parts->headers[i].name_len + parts->headers[i].value_len;
    return total;
}

slc_record *slc_record_new(const slc_record *parts)
{
    size_t headers_bytes = parts->header_count * sizeof(slc_record_header);
    size_t total = sizeof(slc_record) + headers_bytes + content_bytes(parts);
    SLC_BUG_ON(total > UINT32_MAX);
    slc_record *record = slc_malloc(total + 1);
    slc_record_header *headers = (slc_record_header *)(record + 1);
    uint8_t *at = (uint8_t *)headers + headers_bytes;
    *record = *parts;
    record->refs = 1;
    record->size_bytes = (uint32_t)total;
    record->key = place(&at, parts->key, parts->key_len);
    record->value = place(&at, parts->value, parts->value_len);
    for (uint32_t i = 0; i < parts->header_count; i++) {
        headers[i] = parts->headers[i];
        headers[i].name = (const char *)place(&at, parts->headers[i].name, parts->headers[i].name_len);
        headers[i].value = place(&at, parts->headers[i].value, parts->headers[i].value_len);
    }
    record->headers = parts->header_count > 0 ? headers : NULL;
    return record;
}

slc_record *slc_record_ref(slc_record *record)
{
    __atomic_add_fetch(&record->refs, 1, __ATOMIC_RELAXED);
    return record;
}

void slc_record_unref(slc_record *record)
{
    if (record != NULL && __atomic_sub_fetch(&record->refs, 1, __ATOMIC_ACQ_REL) == 0)
        free(record);
}
