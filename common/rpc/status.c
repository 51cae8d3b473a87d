/* Between our error codes and gRPC's status codes. */
#include "common/rpc/rpc.h"

static const enum slc_code status_to_code[] = {
    [SLC_RPC_OK] = SLC_OK,
    [SLC_RPC_CANCELLED] = SLC_UNAVAILABLE,
    [SLC_RPC_UNKNOWN] = SLC_INTERNAL,
    [SLC_RPC_INVALID_ARGUMENT] = SLC_INVALID,
    [SLC_RPC_DEADLINE_EXCEEDED] = SLC_TIMEOUT,
    [SLC_RPC_NOT_FOUND] = SLC_NOT_FOUND,
    [SLC_RPC_ALREADY_EXISTS] = SLC_CONFLICT,
    [SLC_RPC_PERMISSION_DENIED] = SLC_DENIED,
    [SLC_RPC_RESOURCE_EXHAUSTED] = SLC_LIMIT,
    [SLC_RPC_FAILED_PRECONDITION] = SLC_CONFLICT,
    [SLC_RPC_ABORTED] = SLC_STALE,
    [11 /* OUT_OF_RANGE, which we never send */] = SLC_INVALID,
    [SLC_RPC_UNIMPLEMENTED] = SLC_UNSUPPORTED,
    [SLC_RPC_INTERNAL] = SLC_INTERNAL,
    [SLC_RPC_UNAVAILABLE] = SLC_UNAVAILABLE,
    [15 /* DATA_LOSS, likewise */] = SLC_CORRUPT,
    [SLC_RPC_UNAUTHENTICATED] = SLC_UNAUTHENTICATED,
};

static const enum slc_rpc_status code_to_status[] = {
    [SLC_OK] = SLC_RPC_OK,
    [SLC_INVALID] = SLC_RPC_INVALID_ARGUMENT,
    [SLC_NOT_FOUND] = SLC_RPC_NOT_FOUND,
    [SLC_CONFLICT] = SLC_RPC_ALREADY_EXISTS,
    [SLC_STALE] = SLC_RPC_ABORTED,
    [SLC_UNAUTHENTICATED] = SLC_RPC_UNAUTHENTICATED,
    [SLC_DENIED] = SLC_RPC_PERMISSION_DENIED,
    [SLC_LIMIT] = SLC_RPC_RESOURCE_EXHAUSTED,
    [SLC_TOO_LARGE] = SLC_RPC_RESOURCE_EXHAUSTED,
    [SLC_UNSUPPORTED] = SLC_RPC_UNIMPLEMENTED,
    [SLC_UNAVAILABLE] = SLC_RPC_UNAVAILABLE,
    [SLC_TIMEOUT] = SLC_RPC_DEADLINE_EXCEEDED,
    [SLC_NO_SPACE] = SLC_RPC_RESOURCE_EXHAUSTED,
    [SLC_CORRUPT] = SLC_RPC_INTERNAL,
    [SLC_IO] = SLC_RPC_INTERNAL,
    [SLC_INTERNAL] = SLC_RPC_INTERNAL,
};

enum slc_rpc_status slc_code_rpc_status(enum slc_code code)
{
    size_t i = (size_t)code;
    return i < sizeof(code_to_status) / sizeof(code_to_status[0]) ? code_to_status[i] : SLC_RPC_UNKNOWN;
}

/* A status comes from a peer, so any number may. */
enum slc_code slc_rpc_status_code(enum slc_rpc_status status)
{
    size_t i = (size_t)status;
    return i < sizeof(status_to_code) / sizeof(status_to_code[0]) ? status_to_code[i] : SLC_INTERNAL;
}
