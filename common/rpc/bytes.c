/* Messages that are serialised once and sent to many calls: gRPC's slices point into the shared bytes. */
#include <grpc/byte_buffer.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/rpc/internal.h"

struct slc_rpc_bytes {
    atomic_uint refs;
    size_t len;
    uint8_t data[];
};

slc_rpc_bytes *slc_rpc_bytes_new(const void *data, size_t len)
{
    slc_rpc_bytes *bytes = slc_malloc(sizeof(*bytes) + len);
    atomic_init(&bytes->refs, 1);
    bytes->len = len;
    if (len > 0)
        memcpy(bytes->data, data, len);
    return bytes;
}

slc_rpc_bytes *slc_rpc_bytes_ref(slc_rpc_bytes *bytes)
{
    unsigned before = atomic_fetch_add_explicit(&bytes->refs, 1, memory_order_relaxed);
    SLC_BUG_ON(before == 0);
    return bytes;
}

void slc_rpc_bytes_unref(slc_rpc_bytes *bytes)
{
    if (bytes == NULL)
        return;
    unsigned before = atomic_fetch_sub_explicit(&bytes->refs, 1, memory_order_acq_rel);
    SLC_BUG_ON(before == 0);
    if (before == 1)
        free(bytes);
}

const uint8_t *slc_rpc_bytes_data(const slc_rpc_bytes *bytes, size_t *len)
{
    *len = bytes->len;
    return bytes->data;
}

/* gRPC drops its slices on any of its threads. */
static void drop_slice(void *bytes)
{
    slc_rpc_bytes_unref(bytes);
}

grpc_byte_buffer *slc_rpc_bytes_buffer(slc_rpc_bytes *bytes)
{
    slc_rpc_bytes_ref(bytes);
    grpc_slice slice = grpc_slice_new_with_user_data(bytes->data, bytes->len, drop_slice, bytes);
    grpc_byte_buffer *buffer = grpc_raw_byte_buffer_create(&slice, 1);
    grpc_slice_unref(slice);
    return buffer;
}
