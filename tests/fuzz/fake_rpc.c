#include "fake_rpc.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"

slc_rpc_call *fake_client_call;

/* Nobody reads what is sent: all that counts is who owns it, and for how long. */
struct slc_rpc_bytes {
    int refs;
    void (*done)(void *arg);
    void *arg;
};

slc_rpc_bytes *slc_rpc_bytes_wrap(const void *head, size_t head_len, const void *body, size_t body_len,
                                  void (*done)(void *arg), void *arg)
{
    (void)head, (void)head_len, (void)body, (void)body_len;
    slc_rpc_bytes *bytes = slc_calloc(1, sizeof *bytes);
    *bytes = (slc_rpc_bytes){.refs = 1, .done = done, .arg = arg};
    return bytes;
}

slc_rpc_bytes *slc_rpc_bytes_new(const void *data, size_t len)
{
    return slc_rpc_bytes_wrap(data, len, NULL, 0, NULL, NULL);
}

slc_rpc_bytes *slc_rpc_bytes_ref(slc_rpc_bytes *bytes)
{
    bytes->refs++;
    return bytes;
}

void slc_rpc_bytes_unref(slc_rpc_bytes *bytes)
{
    if (bytes == NULL || --bytes->refs > 0)
        return;
    if (bytes->done != NULL)
        bytes->done(bytes->arg);
    free(bytes);
}

/* ---- calls ---- */

slc_rpc_call *fake_call_new(const char *spiffe)
{
    slc_rpc_call *call = slc_calloc(1, sizeof *call);
    call->spiffe = spiffe;
    return call;
}

void fake_call_deliver(slc_rpc_call *call, const void *data, size_t len)
{
    if (!call->finished && call->ops != NULL)
        call->ops->on_message(call, call->ctx, data, len);
}

void fake_call_end(slc_rpc_call *call)
{
    if (call->ops != NULL)
        call->ops->on_end(call, call->ctx, SLC_RPC_CANCELLED, "");
    if (fake_client_call == call)
        fake_client_call = NULL;
    free(call);
}

void slc_rpc_call_set(slc_rpc_call *call, const slc_rpc_call_ops *ops, void *ctx)
{
    call->ops = ops;
    call->ctx = ctx;
}

void slc_rpc_call_read(slc_rpc_call *call)
{
    (void)call;
}

bool slc_rpc_call_send(slc_rpc_call *call, slc_rpc_bytes *bytes)
{
    (void)bytes;
    call->sent++;
    return !call->finished;
}

bool slc_rpc_call_can_send(const slc_rpc_call *call)
{
    return !call->finished;
}

void slc_rpc_call_finish(slc_rpc_call *call, enum slc_rpc_status status, const char *message)
{
    (void)status, (void)message;
    call->finished = true;
}

const char *slc_rpc_call_peer_spiffe(const slc_rpc_call *call)
{
    return call->spiffe;
}

const char *slc_rpc_call_peer_pem(const slc_rpc_call *call)
{
    (void)call;
    return NULL;
}

const char *slc_rpc_call_peer_address(const slc_rpc_call *call)
{
    (void)call;
    return "ipv4:127.0.0.1:1";
}

/* ---- what carries them ---- */

static char something;

slc_rpc *slc_rpc_start(slc_loop *loop, slc_error *err)
{
    (void)loop, (void)err;
    return (slc_rpc *)&something;
}

void slc_rpc_stop(slc_rpc *rpc)
{
    (void)rpc;
}

slc_rpc_server *slc_rpc_server_new(slc_rpc *rpc, const char *address, const slc_rpc_server_identity *identity,
                                   const slc_rpc_server_limits *limits, const slc_rpc_method *methods,
                                   slc_error *err)
{
    (void)rpc, (void)address, (void)identity, (void)limits, (void)methods, (void)err;
    return (slc_rpc_server *)&something;
}

uint16_t slc_rpc_server_port(const slc_rpc_server *server)
{
    (void)server;
    return 1;
}

void slc_rpc_server_stop(slc_rpc_server *server, int64_t grace_ms, void (*done)(void *arg), void *arg)
{
    (void)server, (void)grace_ms;
    done(arg);
}

slc_rpc_channel *slc_rpc_channel_new(slc_rpc *rpc, const slc_rpc_channel_options *options, slc_error *err)
{
    (void)rpc, (void)options, (void)err;
    return (slc_rpc_channel *)&something;
}

/* Ends its call, as the real one does a little later. */
void slc_rpc_channel_free(slc_rpc_channel *channel)
{
    (void)channel;
    if (fake_client_call != NULL)
        fake_client_call->finished = fake_client_call->channel_freed = true;
}

slc_rpc_call *slc_rpc_channel_call(slc_rpc_channel *channel, const char *method, int64_t deadline_ms,
                                   const slc_rpc_call_ops *ops, void *ctx)
{
    (void)channel, (void)method, (void)deadline_ms;
    fake_client_call = fake_call_new(NULL);
    slc_rpc_call_set(fake_client_call, ops, ctx);
    return fake_client_call;
}
