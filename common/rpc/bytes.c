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
    const void *body; /* what follows `data`, in somebody else's memory */
    size_t body_len;
    void (*done)(void *arg);
    void *arg;
    size_t len;
    uint8_t data[];
};

static void no_owner(void *arg)
{
    (void)arg;
}

slc_rpc_bytes *slc_rpc_bytes_new(const void *data, size_t len)
{
    return slc_rpc_bytes_wrap(data, len, NULL, 0, no_owner, NULL);
}

slc_rpc_bytes *slc_rpc_bytes_wrap(const void *head, size_t head_len, const void *body, size_t body_len,
                                  void (*done)(void *arg), void *arg)
{
    slc_rpc_bytes *bytes = slc_malloc(sizeof(*bytes) + head_len);
    atomic_init(&bytes->refs, 1);
    bytes->body = body;
    bytes->body_len = body_len;
    bytes->done = done;
    bytes->arg = arg;
    bytes->len = head_len;
    if (head_len > 0)
        memcpy(bytes->data, head, head_len);
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
    if (before > 1)
        return;
    bytes->done(bytes->arg);
    free(bytes);
}

/* gRPC drops its slices on any of its threads. */
static void drop_slice(void *bytes)
{
    slc_rpc_bytes_unref(bytes);
}

static grpc_slice new_slice(slc_rpc_bytes *bytes, const void *data, size_t len)
{
    return grpc_slice_new_with_user_data((void *)(uintptr_t)data, len, drop_slice, slc_rpc_bytes_ref(bytes));
}

grpc_byte_buffer *slc_rpc_bytes_buffer(slc_rpc_bytes *bytes)
{
    grpc_slice slices[2];
    size_t count = 0;
    slices[count++] = new_slice(bytes, bytes->data, bytes->len);
    if (bytes->body_len > 0)
        slices[count++] = new_slice(bytes, bytes->body, bytes->body_len);
    grpc_byte_buffer *buffer = grpc_raw_byte_buffer_create(slices, count);
    for (size_t i = 0; i < count; i++)
        grpc_slice_unref(slices[i]);
    return buffer;
}
