/* A server: its port, the requests for calls that are outstanding, dispatch by path, and the stop.
 *
 * The stop has no step that waits: shutdown_and_notify (clients get GOAWAY, nothing new is let in), a timer for
 * the grace, cancel_all_calls when it fires (which also closes connections that don't answer the GOAWAY). When
 * the shutdown's tag, all requests for calls and all calls have come back, the server is destroyed.
 */
#include <event2/event.h>
#include <grpc/grpc_security.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/log.h"
#include "common/rpc/internal.h"

/* Calls that arrive at once are taken in so many steps: more wait inside gRPC. */
#define REQUESTS_OUTSTANDING 32
/* For TCP's accept to HTTP/2's settings; gRPC's own default is two minutes. */
#define HANDSHAKE_TIMEOUT_MS 20000

/* One grpc_server_request_call. */
struct request {
    slc_rpc_server *server;
    struct slc_rpc_op op;
    grpc_call *call;
    grpc_call_details details;
    grpc_metadata_array metadata;
};

struct slc_rpc_server {
    unsigned magic;
    slc_rpc *rpc;
    grpc_server *server;
    slc_rpc_identity *identity;
    const slc_rpc_method *methods;
    uint16_t port;
    bool counted; /* among the servers that must be stopped before the slc_rpc */
    struct slc_rpc_call_list calls;
    struct request requests[REQUESTS_OUTSTANDING];
    unsigned outstanding; /* requests */

    bool stopping, shut_down; /* shut_down: the tag has come */
    struct slc_rpc_op shutdown_op;
    struct event *grace;
    void (*done)(void *arg);
    void *done_arg;
};

static slc_rpc_server *server_of(void *arg)
{
    slc_rpc_server *server = arg;
    SLC_CHECK_MAGIC(server, SLC_RPC_SERVER_MAGIC);
    return server;
}

/* ---- the end ---- */

static void server_free(slc_rpc_server *server)
{
    grpc_server_destroy(server->server);
    slc_rpc_identity_free(server->identity);
    if (server->grace != NULL)
        event_free(server->grace);
    if (server->counted)
        slc_rpc_live(server->rpc)->servers--;
    server->magic = 0;
    free(server);
}

static void maybe_done(slc_rpc_server *server)
{
    if (!server->shut_down || server->outstanding > 0 || !LIST_EMPTY(&server->calls))
        return;
    void (*done)(void *arg) = server->done;
    void *arg = server->done_arg;
    server_free(server);
    /* After the free, so that it may stop the slc_rpc. */
    if (done != NULL)
        done(arg);
}

static void on_call_ended(void *arg)
{
    maybe_done(server_of(arg));
}

static void on_shut_down(void *ctx, bool ok)
{
    (void)ok;
    slc_rpc_server *server = server_of(ctx);
    server->shut_down = true;
    maybe_done(server);
}

static void cancel_rest(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    slc_rpc_server *server = server_of(arg);
    if (!server->shut_down)
        grpc_server_cancel_all_calls(server->server);
}

void slc_rpc_server_stop(slc_rpc_server *server, int64_t grace_ms, void (*done)(void *arg), void *arg)
{
    SLC_CHECK_MAGIC(server, SLC_RPC_SERVER_MAGIC);
    SLC_BUG_ON(server->stopping);
    server->stopping = true;
    server->done = done;
    server->done_arg = arg;
    slc_rpc_expect(server->rpc, &server->shutdown_op, on_shut_down, server);
    grpc_server_shutdown_and_notify(server->server, slc_rpc_queue(server->rpc), &server->shutdown_op);
    if (grace_ms <= 0) {
        grpc_server_cancel_all_calls(server->server);
        return;
    }
    server->grace = event_new(slc_loop_base(slc_rpc_loop(server->rpc)), -1, 0, cancel_rest, server);
    SLC_BUG_ON(server->grace == NULL);
    struct timeval wait = {.tv_sec = grace_ms / 1000, .tv_usec = (grace_ms % 1000) * 1000};
    event_add(server->grace, &wait);
}

/* ---- calls that arrive ---- */

static const slc_rpc_method *find_method(const slc_rpc_server *server, grpc_slice path)
{
    for (const slc_rpc_method *method = server->methods; method->path != NULL; method++)
        if (grpc_slice_str_cmp(path, method->path) == 0)
            return method;
    return NULL;
}

static void dispatch(slc_rpc_server *server, grpc_call *grpc, grpc_slice path)
{
    const slc_rpc_method *method = find_method(server, path);
    slc_rpc_call *call = slc_rpc_call_accept(server->rpc, grpc, &server->calls, on_call_ended, server);
    if (method != NULL)
        method->on_call(call, method->arg);
    else
        slc_rpc_call_finish(call, SLC_RPC_UNIMPLEMENTED, "no such method");
}

static void request_call(struct request *request);

static void on_request(void *ctx, bool ok)
{
    struct request *request = ctx;
    slc_rpc_server *server = server_of(request->server);
    server->outstanding--;
    if (ok)
        dispatch(server, request->call, request->details.method);
    grpc_call_details_destroy(&request->details);
    grpc_metadata_array_destroy(&request->metadata);
    if (ok && !server->stopping)
        request_call(request);
    maybe_done(server);
}

static void request_call(struct request *request)
{
    slc_rpc_server *server = request->server;
    grpc_completion_queue *queue = slc_rpc_queue(server->rpc);
    request->call = NULL;
    grpc_call_details_init(&request->details);
    grpc_metadata_array_init(&request->metadata);
    slc_rpc_expect(server->rpc, &request->op, on_request, request);
    server->outstanding++;
    grpc_call_error rc = grpc_server_request_call(server->server, &request->call, &request->details,
                                                  &request->metadata, queue, queue, &request->op);
    SLC_BUG_ON(rc != GRPC_CALL_OK);
}

/* ---- the beginning ---- */

static grpc_server *server_create(const slc_rpc_server_limits *limits)
{
    struct slc_rpc_args args = {.count = 0};
    slc_rpc_args_common(&args, limits->receive_bytes, limits->keepalive_ms, limits->keepalive_timeout_ms);
    /* Two servers on one port are a mistake, not a way to share it. */
    slc_rpc_args_int(&args, GRPC_ARG_ALLOW_REUSEPORT, 0);
    slc_rpc_args_int(&args, GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, HANDSHAKE_TIMEOUT_MS);
    /* Without it a client's ping on a connection that has no call for the moment is a strike, two hours long.
     */
    slc_rpc_args_int(&args, GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
    if (limits->keepalive_min_ms > 0)
        slc_rpc_args_int(&args, GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
                         limits->keepalive_min_ms);
    if (limits->max_concurrent_streams_per_connection > 0)
        slc_rpc_args_int(&args, GRPC_ARG_MAX_CONCURRENT_STREAMS, limits->max_concurrent_streams_per_connection);
    if (limits->idle_ms > 0)
        slc_rpc_args_int(&args, GRPC_ARG_MAX_CONNECTION_IDLE_MS, limits->idle_ms);
    /* The limit of a message is looked at when all of it has come, so a peer may announce one of 4 GiB. */
    grpc_resource_quota *quota = grpc_resource_quota_create(NULL);
    if (limits->memory_bytes > 0) {
        grpc_resource_quota_resize(quota, (size_t)limits->memory_bytes);
        slc_rpc_args_quota(&args, quota);
    }
    grpc_channel_args list = {.num_args = args.count, .args = args.list};
    grpc_server *server = grpc_server_create(&list, NULL);
    grpc_resource_quota_unref(quota);
    return server;
}

static bool listen_on(slc_rpc_server *server, const char *address, slc_error *err)
{
    grpc_server_credentials *credentials = slc_rpc_identity_credentials(server->identity, err);
    if (credentials == NULL)
        return false;
    int port = grpc_server_add_http2_port(server->server, address, credentials);
    grpc_server_credentials_release(credentials);
    if (port <= 0)
        return slc_fail(err, SLC_UNAVAILABLE, NULL, "cannot listen on %s: the address is in use or not ours",
                        address);
    server->port = (uint16_t)port;
    return true;
}

/* gRPC destroys no server that was not shut down, and that takes a round of the queue. */
static void abandon(slc_rpc_server *server)
{
    slc_rpc_server_stop(server, 0, NULL, NULL);
}

slc_rpc_server *slc_rpc_server_new(slc_rpc *rpc, const char *address, const slc_rpc_server_identity *identity,
                                   const slc_rpc_server_limits *limits, const slc_rpc_method *methods,
                                   slc_error *err)
{
    slc_rpc_server *server = slc_calloc(1, sizeof(*server));
    server->magic = SLC_RPC_SERVER_MAGIC;
    server->rpc = rpc;
    server->methods = methods;
    server->identity = slc_rpc_identity_new(identity);
    LIST_INIT(&server->calls);
    server->server = server_create(limits);
    grpc_server_register_completion_queue(server->server, slc_rpc_queue(rpc), NULL);
    bool listening = listen_on(server, address, err);
    grpc_server_start(server->server);
    if (!listening) {
        abandon(server);
        return NULL;
    }
    server->counted = true;
    slc_rpc_live(rpc)->servers++;
    for (size_t i = 0; i < REQUESTS_OUTSTANDING; i++) {
        server->requests[i].server = server;
        request_call(&server->requests[i]);
    }
    return server;
}

uint16_t slc_rpc_server_port(const slc_rpc_server *server)
{
    return server->port;
}
