/* Channel arguments, as gRPC calls the settings of both sides. */
#include <limits.h>

#include "common/assert.h"
#include "common/rpc/internal.h"

static grpc_arg *next_arg(struct slc_rpc_args *args, grpc_arg_type type, const char *key)
{
    SLC_BUG_ON(args->count >= SLC_RPC_ARGS_MAX);
    grpc_arg *arg = &args->list[args->count++];
    arg->type = type;
    arg->key = (char *)(uintptr_t)key; /* the API is not const-correct; it copies */
    return arg;
}

void slc_rpc_args_int(struct slc_rpc_args *args, const char *key, int64_t value)
{
    grpc_arg *arg = next_arg(args, GRPC_ARG_INTEGER, key);
    arg->value.integer = value > INT_MAX ? INT_MAX : value < INT_MIN ? INT_MIN : (int)value;
}

void slc_rpc_args_string(struct slc_rpc_args *args, const char *key, const char *value)
{
    grpc_arg *arg = next_arg(args, GRPC_ARG_STRING, key);
    arg->value.string = (char *)(uintptr_t)value;
}

void slc_rpc_args_quota(struct slc_rpc_args *args, grpc_resource_quota *quota)
{
    grpc_arg *arg = next_arg(args, GRPC_ARG_POINTER, GRPC_ARG_RESOURCE_QUOTA);
    arg->value.pointer.p = quota;
    arg->value.pointer.vtable = grpc_resource_quota_arg_vtable();
}

void slc_rpc_args_common(struct slc_rpc_args *args, int64_t receive_bytes, int64_t keepalive_ms,
                         int64_t keepalive_timeout_ms)
{
    /* gRPC checks the limit before it inflates, so a compressed message could be any size: take none. Identity
     * is bit 0 of the set. */
    slc_rpc_args_int(args, GRPC_COMPRESSION_CHANNEL_ENABLED_ALGORITHMS_BITSET, 1);
    slc_rpc_args_int(args, GRPC_ARG_ENABLE_PER_MESSAGE_COMPRESSION, 0);
    slc_rpc_args_int(args, GRPC_ARG_ENABLE_PER_MESSAGE_DECOMPRESSION, 0);
    if (receive_bytes > 0)
        slc_rpc_args_int(args, GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, receive_bytes);
    if (keepalive_ms > 0)
        slc_rpc_args_int(args, GRPC_ARG_KEEPALIVE_TIME_MS, keepalive_ms);
    if (keepalive_timeout_ms > 0)
        slc_rpc_args_int(args, GRPC_ARG_KEEPALIVE_TIMEOUT_MS, keepalive_timeout_ms);
    /* By default gRPC stops pinging a quiet connection after two pings. */
    slc_rpc_args_int(args, GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
}
