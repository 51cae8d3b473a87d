/* common/rpc without gRPC: calls that a test feeds by hand. Linked instead of the real one, whose every
 * function it has; what is sent goes nowhere. */
#ifndef SLC_TEST_FUZZ_FAKE_RPC_H
#define SLC_TEST_FUZZ_FAKE_RPC_H

#include "common/rpc/rpc.h"

struct slc_rpc_call {
    const slc_rpc_call_ops *ops;
    void *ctx;
    const char *spiffe;
    bool finished; /* by its owner: only its end is still told */
    bool channel_freed;
    size_t sent;
};

/* The last call that was opened on a channel and has not ended; NULL: none. */
extern slc_rpc_call *fake_client_call;

slc_rpc_call *fake_call_new(const char *spiffe);
/* Unless it is finished. On the loop's thread, as all of it. */
void fake_call_deliver(slc_rpc_call *call, const void *data, size_t len);
/* Tells the end and frees it. */
void fake_call_end(slc_rpc_call *call);

#endif
