#include "proto/bounded.h"

#include <stddef.h>
#include <stdlib.h>

#include "common/alloc.h"
#include "common/pages.h"

/* A two-byte submessage decodes to a struct of a hundred: real content stays far below this. */
#define DECODE_FACTOR      16
#define DECODE_SLACK_BYTES (64 * 1024)
#define BLOCK_BYTES        1024 /* beside as much as the message itself */

static void *budget_alloc(void *data, size_t size)
{
    size_t *budget = data;

    if (size > *budget)
        return NULL;
    *budget -= size;
    return slc_malloc(size);
}

static void budget_free(void *data, void *pointer)
{
    (void)data;
    free(pointer);
}

ProtobufCMessage *slc_unpack_bounded(const ProtobufCMessageDescriptor *descriptor, const uint8_t *data,
                                     size_t len)
{
    size_t budget = DECODE_FACTOR * len + DECODE_SLACK_BYTES;
    ProtobufCAllocator allocator = {budget_alloc, budget_free, &budget};

    return protobuf_c_message_unpack(descriptor, &allocator, len, data);
}

/* ---- in few pieces ---- */

struct slc_pieces {
    slc_pieces *next;
    size_t used, size;
    max_align_t data[];
};

struct cutting {
    slc_pieces *blocks; /* the one in use first */
    size_t block_bytes, budget;
};

static void *cut_alloc(void *data, size_t size)
{
    struct cutting *cutting = data;
    slc_pieces *block = cutting->blocks;
    size_t taken = (size + sizeof(max_align_t) - 1) / sizeof(max_align_t) * sizeof(max_align_t);

    if (taken < size || taken > cutting->budget)
        return NULL;
    cutting->budget -= taken;
    if (block == NULL || taken > block->size - block->used) {
        size_t room = taken > cutting->block_bytes ? taken : cutting->block_bytes;

        block = slc_pages_alloc(sizeof(*block) + room);
        *block = (slc_pieces){.next = cutting->blocks, .size = room};
        cutting->blocks = block;
    }
    block->used += taken;
    return (uint8_t *)block->data + block->used - taken;
}

static void cut_free(void *data, void *pointer)
{
    (void)data;
    (void)pointer;
}

ProtobufCMessage *slc_unpack_together(const ProtobufCMessageDescriptor *descriptor, const uint8_t *data,
                                      size_t len, slc_pieces **memory)
{
    struct cutting cutting = {.block_bytes = len + BLOCK_BYTES,
                              .budget = DECODE_FACTOR * len + DECODE_SLACK_BYTES};
    ProtobufCAllocator allocator = {cut_alloc, cut_free, &cutting};
    ProtobufCMessage *msg = protobuf_c_message_unpack(descriptor, &allocator, len, data);

    if (msg == NULL)
        slc_pieces_free(cutting.blocks);
    *memory = msg != NULL ? cutting.blocks : NULL;
    return msg;
}

void slc_pieces_free(slc_pieces *memory)
{
    while (memory != NULL) {
        slc_pieces *next = memory->next;

        slc_pages_free(memory, sizeof(*memory) + memory->size);
        memory = next;
    }
}
