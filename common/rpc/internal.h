/* What the files of common/rpc share: the queue's tags, the ready list and the call. Nobody else includes this.
 */
#ifndef SLC_COMMON_RPC_INTERNAL_H
#define SLC_COMMON_RPC_INTERNAL_H

#include <grpc/grpc.h>
#include <stdatomic.h>
#include <sys/queue.h>

#include "common/rpc/rpc.h"

#define SLC_RPC_MAGIC         0x5270634du
#define SLC_RPC_SERVER_MAGIC  0x52706353u
#define SLC_RPC_CHANNEL_MAGIC 0x52706343u
#define SLC_RPC_CALL_MAGIC    0x52706361u

/* A tag of the completion queue, embedded in whatever waits for it. `fn` runs on the loop's thread. */
struct slc_rpc_op {
    STAILQ_ENTRY(slc_rpc_op) link;
    void (*fn)(void *ctx, bool ok);
    void *ctx;
    bool ok;
    /* On its way. Also what orders the two threads' accesses for those who cannot see gRPC's locks (TSan). */
    atomic_bool expected;
};
STAILQ_HEAD(slc_rpc_op_list, slc_rpc_op);

/* ---- rpc.c ---- */

/* Counts of what must be gone before slc_rpc_stop: for the assertion there. */
struct slc_rpc_live {
    unsigned servers, channels, pending_ops;
};
struct slc_rpc_live *slc_rpc_live(slc_rpc *rpc);
slc_loop *slc_rpc_loop(slc_rpc *rpc);
grpc_completion_queue *slc_rpc_queue(slc_rpc *rpc);

/* Every operation that will put `op` on the queue is announced first: slc_rpc_stop waits for the answer. */
void slc_rpc_expect(slc_rpc *rpc, struct slc_rpc_op *op, void (*fn)(void *ctx, bool ok), void *ctx);

/* ---- channel arguments ---- */

/* A list of arguments with room for all that either side sets; the strings are borrowed. */
#define SLC_RPC_ARGS_MAX 20
struct slc_rpc_args {
    grpc_arg list[SLC_RPC_ARGS_MAX];
    size_t count;
};
/* `value` is clamped to an int's range: gRPC has no larger one. */
void slc_rpc_args_int(struct slc_rpc_args *args, const char *key, int64_t value);
void slc_rpc_args_string(struct slc_rpc_args *args, const char *key, const char *value);
void slc_rpc_args_quota(struct slc_rpc_args *args, grpc_resource_quota *quota); /* borrowed */
/* What both sides want: no compression, the message limit, pings. */
void slc_rpc_args_common(struct slc_rpc_args *args, int64_t receive_bytes, int64_t keepalive_ms,
                         int64_t keepalive_timeout_ms);

/* ---- call.c ---- */

LIST_HEAD(slc_rpc_call_list, slc_rpc_call);

/* A server's call, just accepted; takes over `call`. `ended(arg)` runs after on_end, when the call is gone. */
slc_rpc_call *slc_rpc_call_accept(slc_rpc *rpc, grpc_call *call, struct slc_rpc_call_list *list,
                                  void (*ended)(void *arg), void *arg);
/* A client's call that has not been started; takes over `call`, and starts it. */
slc_rpc_call *slc_rpc_call_start(slc_rpc *rpc, grpc_call *call, struct slc_rpc_call_list *list,
                                 void (*ended)(void *arg), void *arg);
/* Ends every call of a client's list at once; their on_end still come. */
void slc_rpc_calls_cancel(struct slc_rpc_call_list *list, const char *message);

/* ---- pem.c ---- */

/* Do the texts hold certificates, a key, and do they belong together? `field` prefixes nothing: the error names
 * the text at fault. Either of `chain`+`key` and `ca` may be NULL. */
bool slc_rpc_check_pem(const char *chain, const char *key, const char *ca, slc_error *err) SLC_CHECKED;

/* ---- identity.c ---- */

struct grpc_server_credentials;
/* Keeps the last texts that were served, so that a handshake costs a comparison and not a new TLS context. */
typedef struct slc_rpc_identity slc_rpc_identity;
slc_rpc_identity *slc_rpc_identity_new(const slc_rpc_server_identity *source);
/* After the server that uses the credentials has been destroyed. */
void slc_rpc_identity_free(slc_rpc_identity *identity);
/* Fetches for the first time, so that a bad certificate is an error of the start and not of every handshake. */
grpc_server_credentials *slc_rpc_identity_credentials(slc_rpc_identity *identity, slc_error *err) SLC_CHECKED;

/* ---- grpc_log.c ---- */

/* Process-wide: gRPC's own log lines go to slc_log. Before grpc_init. */
void slc_rpc_route_log(void);

/* ---- bytes.c ---- */

/* A buffer that shares the bytes (one more reference until gRPC is done with it). */
grpc_byte_buffer *slc_rpc_bytes_buffer(slc_rpc_bytes *bytes);

#endif
