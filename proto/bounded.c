#include "proto/bounded.h"

#include <stdlib.h>

#include "common/alloc.h"

#define DECODE_FACTOR      16
#define DECODE_SLACK_BYTES (64 * 1024)

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
