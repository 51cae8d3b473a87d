#include "dataplane/broker/record.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/assert.h"

#define ALIGNMENT   16u
#define BLOCK_BYTES (16u * 1024)

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

static size_t total_bytes(const slc_record *parts)
{
    size_t total =
        sizeof(slc_record) + parts->header_count * sizeof(slc_record_header) + content_bytes(parts) + 1;
    SLC_BUG_ON(total > UINT32_MAX - ALIGNMENT);
    return (total + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

/* Copies to `record`, where total_bytes are free. */
static void fill(slc_record *record, const slc_record *parts, size_t total)
{
    size_t headers_bytes = parts->header_count * sizeof(slc_record_header);
    slc_record_header *headers = (slc_record_header *)(record + 1);
    uint8_t *at = (uint8_t *)headers + headers_bytes;
    *record = *parts;
    record->refs = 1;
    record->block = NULL;
    record->size_bytes = (uint32_t)total;
    record->key = place(&at, parts->key, parts->key_len);
    record->value = place(&at, parts->value, parts->value_len);
    for (uint32_t i = 0; i < parts->header_count; i++) {
        headers[i] = parts->headers[i];
        headers[i].name = (const char *)place(&at, parts->headers[i].name, parts->headers[i].name_len);
        headers[i].value = place(&at, parts->headers[i].value, parts->headers[i].value_len);
    }
    record->headers = parts->header_count > 0 ? headers : NULL;
}

slc_record *slc_record_new(const slc_record *parts)
{
    size_t total = total_bytes(parts);
    slc_record *record = slc_malloc(total);
    fill(record, parts, total);
    return record;
}

/* Blocks
 * ----------------------------------------------------------------------------------------------------- */

struct slc_record_block {
    unsigned refs; /* its records, and the builder while it may add some */
    size_t used;
    _Alignas(ALIGNMENT) uint8_t room[];
};

static void block_unref(struct slc_record_block *block)
{
    if (__atomic_sub_fetch(&block->refs, 1, __ATOMIC_ACQ_REL) == 0)
        free(block);
}

slc_record *slc_record_build(slc_record_builder *builder, const slc_record *parts)
{
    size_t total = total_bytes(parts);
    if (total > BLOCK_BYTES / 8) /* a large one would keep its neighbours' memory, or they its own */
        return slc_record_new(parts);
    struct slc_record_block *block = builder->block;
    if (block == NULL || block->used + total > BLOCK_BYTES) {
        slc_record_builder_release(builder);
        block = builder->block = slc_malloc(sizeof *block + BLOCK_BYTES);
        block->refs = 1;
        block->used = 0;
    }
    slc_record *record = (slc_record *)(block->room + block->used);
    block->used += total;
    fill(record, parts, total);
    __atomic_add_fetch(&block->refs, 1, __ATOMIC_RELAXED);
    record->block = block;
    return record;
}

void slc_record_builder_release(slc_record_builder *builder)
{
    struct slc_record_block *block = builder->block;
    builder->block = NULL;
    if (block != NULL)
        block_unref(block);
}

slc_record *slc_record_ref(slc_record *record)
{
    __atomic_add_fetch(&record->refs, 1, __ATOMIC_RELAXED);
    return record;
}

void slc_record_unref(slc_record *record)
{
    if (record == NULL || __atomic_sub_fetch(&record->refs, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    if (record->block != NULL)
        block_unref(record->block);
    else
        free(record);
}
