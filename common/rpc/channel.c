/* A client's channel: one connection at a time, its TLS, and the calls on it. */
#include <grpc/grpc_security.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/rpc/internal.h"

/* How long one attempt to connect may take, handshakes included. */
#define CONNECT_TIMEOUT_MS 10000

struct slc_rpc_channel {
    unsigned magic;
    slc_rpc *rpc;
    grpc_channel *channel;
    struct slc_rpc_call_list calls;
    bool freed; /* by the owner; lives until the last call has ended */
};

static grpc_channel_credentials *credentials_new(const slc_rpc_channel_options *options, slc_error *err)
{
    /* NULL would mean gRPC's built-in list of public CAs. */
    if (options->ca_pem == NULL) {
        slc_fail(err, SLC_INVALID, NULL, "a channel to %s needs trust anchors", options->target);
        return NULL;
    }
    if (!slc_rpc_check_pem(options->cert_chain_pem, options->key_pem, options->ca_pem, err)) {
        slc_fail_context(err, "channel to %s", options->target);
        return NULL;
    }
    grpc_ssl_pem_key_cert_pair pair = {.private_key = options->key_pem, .cert_chain = options->cert_chain_pem};
    return grpc_ssl_credentials_create_ex(options->ca_pem, options->cert_chain_pem != NULL ? &pair : NULL, NULL,
                                          NULL);
}

static void fill_args(struct slc_rpc_args *args, const slc_rpc_channel_options *options)
{
    slc_rpc_args_common(args, options->receive_bytes, options->keepalive_ms, options->keepalive_timeout_ms);
    if (options->server_name != NULL) {
        slc_rpc_args_string(args, GRPC_SSL_TARGET_NAME_OVERRIDE_ARG, options->server_name);
        slc_rpc_args_string(args, GRPC_ARG_DEFAULT_AUTHORITY, options->server_name);
    }
    if (options->reconnect_min_ms > 0)
        slc_rpc_args_int(args, GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, options->reconnect_min_ms);
    if (options->reconnect_max_ms > 0)
        slc_rpc_args_int(args, GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, options->reconnect_max_ms);
    /* Despite its name this is the time that an attempt may take. */
    slc_rpc_args_int(args, GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, CONNECT_TIMEOUT_MS);
    /* A name is looked up again at once when its address has moved; the default is 30 s. */
    slc_rpc_args_int(args, GRPC_ARG_DNS_MIN_TIME_BETWEEN_RESOLUTIONS_MS, 1000);
    /* Retries are the owner's, who knows what may be repeated. */
    slc_rpc_args_int(args, GRPC_ARG_ENABLE_RETRIES, 0);
    slc_rpc_args_int(args, GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1);
    /* The settings name the peer: no detour that the environment's https_proxy suggests. */
    slc_rpc_args_int(args, GRPC_ARG_ENABLE_HTTP_PROXY, 0);
    /* A new channel makes a new connection, with its own certificate and without another's backoff. */
    slc_rpc_args_int(args, GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
}

slc_rpc_channel *slc_rpc_channel_new(slc_rpc *rpc, const slc_rpc_channel_options *options, slc_error *err)
{
    grpc_channel_credentials *credentials = credentials_new(options, err);
    if (credentials == NULL)
        return NULL;
    struct slc_rpc_args args = {.count = 0};
    fill_args(&args, options);
    grpc_channel_args list = {.num_args = args.count, .args = args.list};

    slc_rpc_channel *channel = slc_calloc(1, sizeof(*channel));
    channel->magic = SLC_RPC_CHANNEL_MAGIC;
    channel->rpc = rpc;
    LIST_INIT(&channel->calls);
    channel->channel = grpc_channel_create(options->target, credentials, &list);
    grpc_channel_credentials_release(credentials);
    slc_rpc_live(rpc)->channels++;
    return channel;
}

static void maybe_release(slc_rpc_channel *channel)
{
    if (!channel->freed || !LIST_EMPTY(&channel->calls))
        return;
    grpc_channel_destroy(channel->channel);
    channel->magic = 0;
    free(channel);
}

static void on_call_ended(void *arg)
{
    slc_rpc_channel *channel = arg;
    SLC_CHECK_MAGIC(channel, SLC_RPC_CHANNEL_MAGIC);
    maybe_release(channel);
}

void slc_rpc_channel_free(slc_rpc_channel *channel)
{
    if (channel == NULL)
        return;
    SLC_CHECK_MAGIC(channel, SLC_RPC_CHANNEL_MAGIC);
    SLC_BUG_ON(channel->freed);
    channel->freed = true;
    slc_rpc_live(channel->rpc)->channels--;
    slc_rpc_calls_cancel(&channel->calls, "the channel was closed");
    maybe_release(channel);
}

slc_rpc_call *slc_rpc_channel_call(slc_rpc_channel *channel, const char *method, int64_t deadline_ms,
                                   const slc_rpc_call_ops *ops, void *ctx)
{
    SLC_CHECK_MAGIC(channel, SLC_RPC_CHANNEL_MAGIC);
    SLC_BUG_ON(channel->freed);
    gpr_timespec deadline = gpr_inf_future(GPR_CLOCK_MONOTONIC);
    if (deadline_ms > 0)
        deadline = gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_millis(deadline_ms, GPR_TIMESPAN));
    grpc_slice path = grpc_slice_from_copied_string(method);
    grpc_call *grpc = grpc_channel_create_call(channel->channel, NULL, GRPC_PROPAGATE_DEFAULTS,
                                               slc_rpc_queue(channel->rpc), path, NULL, deadline, NULL);
    grpc_slice_unref(path);
    slc_rpc_call *call = slc_rpc_call_start(channel->rpc, grpc, &channel->calls, on_call_ended, channel);
    slc_rpc_call_set(call, ops, ctx);
    return call;
}
