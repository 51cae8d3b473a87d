/* One call, either side. Its life:
 *
 *   - `end_op` waits for how the call ends: RECV_CLOSE_ON_SERVER alone in its batch (with anything else in it a
 * client's cancel is never seen), or the client's RECV_STATUS_ON_CLIENT.
 *   - `recv_op`, `send_op` and `finish_op` are in flight at most once each; a finish waits for the message in
 * flight.
 *   - The call is over when `end_op` has come and nothing is pending. Callbacks run from completions only,
 * never from within a function that the owner calls.
 */
#include <grpc/byte_buffer.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/grpc_security.h>
#include <grpc/support/alloc.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/rpc/internal.h"

enum finish_state {
    FINISH_NONE,
    FINISH_WANTED,  /* waits for the message in flight */
    FINISH_STARTED, /* server: status; client: half-close */
};

struct slc_rpc_call {
    unsigned magic;
    slc_rpc *rpc;
    grpc_call *call;
    bool server;
    LIST_ENTRY(slc_rpc_call) link;
    void (*ended)(void *arg);
    void *ended_arg;
    const slc_rpc_call_ops *ops;
    void *ctx;

    unsigned pending; /* operations in flight */
    struct slc_rpc_op end_op, recv_op, send_op, finish_op;
    bool over;   /* end_op has come */
    bool silent; /* the owner finished (server) or cancelled (client): only on_end still comes */
    bool reading;
    bool read_any; /* a message has come; on the client, the peer is known since then */
    bool read_end; /* the peer sends no more */
    bool sending;
    bool send_broken;   /* the transport refused a message: the end is on its way */
    bool sent_metadata; /* server */
    enum finish_state finish;

    grpc_byte_buffer *received;
    grpc_metadata_array initial_metadata, trailing_metadata; /* client */
    grpc_slice status_details;                               /* client */
    grpc_status_code received_status;                        /* client */
    int cancelled;                                           /* server */
    bool receive_failed;                                     /* server: a message over the limit */
    enum slc_rpc_status finish_status;
    char *finish_message;

    char *peer_spiffe, *peer_pem, *peer_address; /* filled when asked for */
};

static void ignore_message(slc_rpc_call *call, void *ctx, const uint8_t *data, size_t len)
{
    (void)call, (void)ctx, (void)data, (void)len;
}

static void ignore_end(slc_rpc_call *call, void *ctx, enum slc_rpc_status status, const char *message)
{
    (void)call, (void)ctx, (void)status, (void)message;
}

/* Of a server's call that its method finishes without setting any. */
static const slc_rpc_call_ops no_ops = {.on_message = ignore_message, .on_end = ignore_end};

/* ---- starting operations ---- */

static void start_batch(slc_rpc_call *call, const grpc_op *ops, size_t count, struct slc_rpc_op *op,
                        void (*fn)(void *ctx, bool ok))
{
    call->pending++;
    slc_rpc_expect(call->rpc, op, fn, call);
    grpc_call_error rc = grpc_call_start_batch(call->call, ops, count, op, NULL);
    SLC_BUG_ON(rc != GRPC_CALL_OK); /* only misuse of the API gets here */
}

/* The server's headers travel with its first message or its status. */
static size_t add_server_metadata(slc_rpc_call *call, grpc_op *op)
{
    if (!call->server || call->sent_metadata)
        return 0;
    call->sent_metadata = true;
    op->op = GRPC_OP_SEND_INITIAL_METADATA;
    return 1;
}

static void on_finished(void *ctx, bool ok);

static void start_finish(slc_rpc_call *call)
{
    call->finish = FINISH_STARTED;
    grpc_op ops[2] = {0};
    size_t count = add_server_metadata(call, ops);
    if (!call->server) {
        ops[count++].op = GRPC_OP_SEND_CLOSE_FROM_CLIENT;
        start_batch(call, ops, count, &call->finish_op, on_finished);
        return;
    }
    grpc_slice details = grpc_slice_from_copied_string(call->finish_message);
    ops[count].op = GRPC_OP_SEND_STATUS_FROM_SERVER;
    ops[count].data.send_status_from_server.status = (grpc_status_code)call->finish_status;
    ops[count].data.send_status_from_server.status_details = &details;
    start_batch(call, ops, count + 1, &call->finish_op, on_finished);
    grpc_slice_unref(details);
}

/* ---- the end ---- */

static void call_free(slc_rpc_call *call)
{
    LIST_REMOVE(call, link);
    grpc_call_unref(call->call);
    grpc_metadata_array_destroy(&call->initial_metadata);
    grpc_metadata_array_destroy(&call->trailing_metadata);
    grpc_slice_unref(call->status_details);
    free(call->finish_message);
    free(call->peer_spiffe);
    free(call->peer_pem);
    free(call->peer_address);
    call->magic = 0;
    free(call);
}

static void end_server_call(slc_rpc_call *call)
{
    if (call->receive_failed)
        call->ops->on_end(call, call->ctx, SLC_RPC_RESOURCE_EXHAUSTED, "a message over the receive limit");
    else if (call->cancelled)
        call->ops->on_end(call, call->ctx, SLC_RPC_CANCELLED, "the peer went away or cancelled");
    else
        call->ops->on_end(call, call->ctx, call->finish_status, call->finish_message);
}

static void end_client_call(slc_rpc_call *call)
{
    char *details = grpc_slice_to_c_string(call->status_details);
    call->ops->on_end(call, call->ctx, (enum slc_rpc_status)call->received_status, details);
    gpr_free(details);
}

static void maybe_end(slc_rpc_call *call)
{
    if (!call->over || call->pending > 0)
        return;
    if (call->server)
        end_server_call(call);
    else
        end_client_call(call);
    void (*ended)(void *arg) = call->ended;
    void *arg = call->ended_arg;
    call_free(call);
    ended(arg);
}

/* Every completion begins here. */
static slc_rpc_call *completed(void *ctx)
{
    slc_rpc_call *call = ctx;
    SLC_CHECK_MAGIC(call, SLC_RPC_CALL_MAGIC);
    SLC_BUG_ON(call->pending == 0);
    call->pending--;
    return call;
}

static void on_over(void *ctx, bool ok)
{
    (void)ok; /* both kinds always succeed */
    slc_rpc_call *call = completed(ctx);
    call->over = true;
    maybe_end(call);
}

static void on_finished(void *ctx, bool ok)
{
    (void)ok; /* how it ended is end_op's to say */
    maybe_end(completed(ctx));
}

/* ---- receiving ---- */

static void deliver(slc_rpc_call *call, grpc_byte_buffer *buffer)
{
    grpc_slice_buffer *slices = &buffer->data.raw.slice_buffer;
    if (slices->count == 1) {
        grpc_slice slice = slices->slices[0];
        call->ops->on_message(call, call->ctx, GRPC_SLICE_START_PTR(slice), GRPC_SLICE_LENGTH(slice));
        return;
    }
    grpc_byte_buffer_reader reader;
    int ok = grpc_byte_buffer_reader_init(&reader, buffer);
    SLC_BUG_ON(!ok); /* fails on compressed buffers alone, which the channel's arguments refuse */
    grpc_slice whole = grpc_byte_buffer_reader_readall(&reader);
    call->ops->on_message(call, call->ctx, GRPC_SLICE_START_PTR(whole), GRPC_SLICE_LENGTH(whole));
    grpc_slice_unref(whole);
    grpc_byte_buffer_reader_destroy(&reader);
}

/* The client sends no more messages. Owners that have nothing left to say need no callback for it. */
static void half_closed(slc_rpc_call *call)
{
    if (call->ops->on_half_close != NULL)
        call->ops->on_half_close(call, call->ctx);
    else if (call->read_any)
        slc_rpc_call_finish(call, SLC_RPC_OK, NULL);
    else
        slc_rpc_call_finish(call, SLC_RPC_INVALID_ARGUMENT, "the call ended without a message");
}

static void on_received(void *ctx, bool ok)
{
    slc_rpc_call *call = completed(ctx);
    grpc_byte_buffer *buffer = call->received;
    call->received = NULL;
    call->reading = false;
    if (ok && buffer != NULL) {
        call->read_any = true;
        if (!call->silent)
            deliver(call, buffer);
    } else {
        call->read_end = true;
        call->receive_failed = !ok;
        bool graceful = ok && !grpc_call_failed_before_recv_message(call->call);
        if (graceful && call->server && !call->over && !call->silent)
            half_closed(call);
    }
    if (buffer != NULL)
        grpc_byte_buffer_destroy(buffer);
    maybe_end(call);
}

void slc_rpc_call_read(slc_rpc_call *call)
{
    SLC_CHECK_MAGIC(call, SLC_RPC_CALL_MAGIC);
    if (call->reading || call->read_end || call->over || call->silent)
        return;
    call->reading = true;
    grpc_op op = {.op = GRPC_OP_RECV_MESSAGE};
    op.data.recv_message.recv_message = &call->received;
    start_batch(call, &op, 1, &call->recv_op, on_received);
}

/* ---- sending ---- */

static void on_sent(void *ctx, bool ok)
{
    slc_rpc_call *call = completed(ctx);
    call->sending = false;
    if (!ok)
        call->send_broken = true;
    if (call->finish == FINISH_WANTED && !call->over)
        start_finish(call);
    else if (ok && !call->silent && call->ops->on_sent != NULL)
        call->ops->on_sent(call, call->ctx);
    maybe_end(call);
}

static bool takes_messages(const slc_rpc_call *call)
{
    return !call->over && !call->silent && !call->send_broken && call->finish == FINISH_NONE;
}

bool slc_rpc_call_can_send(const slc_rpc_call *call)
{
    return takes_messages(call) && !call->sending;
}

bool slc_rpc_call_send(slc_rpc_call *call, slc_rpc_bytes *bytes)
{
    SLC_CHECK_MAGIC(call, SLC_RPC_CALL_MAGIC);
    if (!takes_messages(call))
        return false;
    SLC_BUG_ON(call->sending);
    call->sending = true;
    grpc_byte_buffer *buffer = slc_rpc_bytes_buffer(bytes);
    grpc_op ops[2] = {0};
    size_t count = add_server_metadata(call, ops);
    ops[count].op = GRPC_OP_SEND_MESSAGE;
    ops[count].data.send_message.send_message = buffer;
    start_batch(call, ops, count + 1, &call->send_op, on_sent);
    grpc_byte_buffer_destroy(buffer); /* start_batch took the slices */
    return true;
}

/* ---- finishing ---- */

static void cancel(slc_rpc_call *call, enum slc_rpc_status status, const char *message)
{
    if (call->silent || call->over)
        return;
    call->silent = true;
    grpc_call_cancel_with_status(call->call, (grpc_status_code)status, message, NULL);
}

void slc_rpc_call_finish(slc_rpc_call *call, enum slc_rpc_status status, const char *message)
{
    SLC_CHECK_MAGIC(call, SLC_RPC_CALL_MAGIC);
    if (message == NULL)
        message = "";
    if (!call->server && status != SLC_RPC_OK) {
        cancel(call, status, message);
        return;
    }
    if (call->finish != FINISH_NONE || call->over || call->silent)
        return;
    call->finish_status = status;
    call->finish_message = slc_strdup(message);
    call->silent = call->server;
    if (call->sending)
        call->finish = FINISH_WANTED;
    else
        start_finish(call);
}

void slc_rpc_calls_cancel(struct slc_rpc_call_list *list, const char *message)
{
    slc_rpc_call *call;
    LIST_FOREACH (call, list, link)
        cancel(call, SLC_RPC_CANCELLED, message);
}

/* ---- who is there ---- */

static char *auth_property(slc_rpc_call *call, const char *name)
{
    grpc_auth_context *auth = grpc_call_auth_context(call->call);
    if (auth == NULL)
        return NULL;
    char *value = NULL;
    grpc_auth_property_iterator it = grpc_auth_context_find_properties_by_name(auth, name);
    const grpc_auth_property *property = grpc_auth_property_iterator_next(&it);
    if (property != NULL)
        value = slc_strndup(property->value, property->value_length);
    grpc_auth_context_release(auth);
    return value;
}

/* A client's call has no peer until it is connected, and gRPC writes it from its own threads: after a message
 * has come it is settled. */
static bool peer_known(const slc_rpc_call *call)
{
    return call->server || call->read_any;
}

const char *slc_rpc_call_peer_spiffe(const slc_rpc_call *call)
{
    slc_rpc_call *cache = (slc_rpc_call *)(uintptr_t)call;
    if (call->peer_spiffe == NULL && peer_known(call))
        cache->peer_spiffe = auth_property(cache, GRPC_PEER_SPIFFE_ID_PROPERTY_NAME);
    return call->peer_spiffe;
}

const char *slc_rpc_call_peer_pem(const slc_rpc_call *call)
{
    slc_rpc_call *cache = (slc_rpc_call *)(uintptr_t)call;
    if (call->peer_pem == NULL && peer_known(call))
        cache->peer_pem = auth_property(cache, GRPC_X509_PEM_CERT_PROPERTY_NAME);
    return call->peer_pem;
}

const char *slc_rpc_call_peer_address(const slc_rpc_call *call)
{
    if (!peer_known(call))
        return "";
    if (call->peer_address == NULL) {
        slc_rpc_call *cache = (slc_rpc_call *)(uintptr_t)call;
        char *peer = grpc_call_get_peer(call->call);
        cache->peer_address = slc_strdup(peer);
        gpr_free(peer);
    }
    return call->peer_address;
}

/* ---- beginning ---- */

static slc_rpc_call *call_new(slc_rpc *rpc, grpc_call *grpc, struct slc_rpc_call_list *list,
                              void (*ended)(void *arg), void *arg)
{
    slc_rpc_call *call = slc_calloc(1, sizeof(*call));
    call->magic = SLC_RPC_CALL_MAGIC;
    call->rpc = rpc;
    call->call = grpc;
    call->ended = ended;
    call->ended_arg = arg;
    call->ops = &no_ops;
    call->status_details = grpc_empty_slice();
    grpc_metadata_array_init(&call->initial_metadata);
    grpc_metadata_array_init(&call->trailing_metadata);
    LIST_INSERT_HEAD(list, call, link);
    return call;
}

slc_rpc_call *slc_rpc_call_accept(slc_rpc *rpc, grpc_call *grpc, struct slc_rpc_call_list *list,
                                  void (*ended)(void *arg), void *arg)
{
    slc_rpc_call *call = call_new(rpc, grpc, list, ended, arg);
    call->server = true;
    grpc_op op = {.op = GRPC_OP_RECV_CLOSE_ON_SERVER};
    op.data.recv_close_on_server.cancelled = &call->cancelled;
    start_batch(call, &op, 1, &call->end_op, on_over);
    return call;
}

slc_rpc_call *slc_rpc_call_start(slc_rpc *rpc, grpc_call *grpc, struct slc_rpc_call_list *list,
                                 void (*ended)(void *arg), void *arg)
{
    slc_rpc_call *call = call_new(rpc, grpc, list, ended, arg);
    grpc_op ops[3] = {
        {.op = GRPC_OP_SEND_INITIAL_METADATA},
        {.op = GRPC_OP_RECV_INITIAL_METADATA},
        {.op = GRPC_OP_RECV_STATUS_ON_CLIENT},
    };
    ops[1].data.recv_initial_metadata.recv_initial_metadata = &call->initial_metadata;
    ops[2].data.recv_status_on_client.trailing_metadata = &call->trailing_metadata;
    ops[2].data.recv_status_on_client.status = &call->received_status;
    ops[2].data.recv_status_on_client.status_details = &call->status_details;
    start_batch(call, ops, 3, &call->end_op, on_over);
    return call;
}

void slc_rpc_call_set(slc_rpc_call *call, const slc_rpc_call_ops *ops, void *ctx)
{
    SLC_CHECK_MAGIC(call, SLC_RPC_CALL_MAGIC);
    SLC_BUG_ON(ops->on_message == NULL || ops->on_end == NULL);
    call->ops = ops;
    call->ctx = ctx;
}
