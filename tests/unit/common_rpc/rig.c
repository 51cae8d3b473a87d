#include "rig.h"

#include <assert.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "common/log.h"

#define WAIT_MAX_MS 40000

/* ---- the loop ---- */

/* Keeps a turn short when nothing happens. */
static void tick(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what, (void)arg;
}

void rig_turn(struct rig *rig, int64_t since_ms, const char *what)
{
    if (slc_monotonic_ms() - since_ms > WAIT_MAX_MS)
        ck_abort_msg("waited in vain for: %s", what);
    ck_assert_int_ge(event_base_loop(slc_loop_base(rig->loop), EVLOOP_ONCE), 0);
}

/* ---- one side of a call ---- */

static void note_message(struct peer *peer, const uint8_t *data, size_t len)
{
    peer->received++;
    peer->received_bytes += len;
    size_t n = len < sizeof(peer->last) - 1 ? len : sizeof(peer->last) - 1;
    memcpy(peer->last, data, n);
    peer->last[n] = '\0';
}

static void send_next_number(struct peer *peer)
{
    if (peer->to_send == 0 || peer->call == NULL || !slc_rpc_call_can_send(peer->call))
        return;
    char *text = slc_calloc(1, peer->pad_bytes + 16);
    int len = snprintf(text, 16, "%u ", peer->next_number++);
    slc_rpc_bytes *bytes = slc_rpc_bytes_new(text, (size_t)len + peer->pad_bytes);
    free(text);
    peer->to_send--;
    ck_assert(slc_rpc_call_send(peer->call, bytes));
    slc_rpc_bytes_unref(bytes);
}

static void on_message(slc_rpc_call *call, void *ctx, const uint8_t *data, size_t len)
{
    struct peer *peer = ctx;
    char expected[16];
    snprintf(expected, sizeof(expected), "%u ", peer->received);
    note_message(peer, data, len);
    if (strncmp(peer->last, expected, strlen(expected)) != 0)
        peer->out_of_order = true;
    if (peer->keep_reading)
        slc_rpc_call_read(call);
}

static void on_sent(slc_rpc_call *call, void *ctx)
{
    (void)call;
    struct peer *peer = ctx;
    peer->sent++;
    send_next_number(peer);
}

static void on_half_close(slc_rpc_call *call, void *ctx)
{
    (void)call;
    struct peer *peer = ctx;
    peer->half_closed = true;
}

static void on_end(slc_rpc_call *call, void *ctx, enum slc_rpc_status status, const char *message)
{
    struct peer *peer = ctx;
    ck_assert(!peer->ended);
    peer->ended = true;
    peer->status = status;
    snprintf(peer->message, sizeof(peer->message), "%s", message);
    ck_assert(!slc_rpc_call_can_send(call));
    slc_rpc_bytes *late = slc_rpc_bytes_new("late", 4);
    ck_assert(!slc_rpc_call_send(call, late));
    slc_rpc_bytes_unref(late);
    slc_rpc_call_read(call);
    slc_rpc_call_finish(call, SLC_RPC_INTERNAL, "late");
    peer->call = NULL;
}

static const slc_rpc_call_ops stream_ops = {
    .on_message = on_message, .on_sent = on_sent, .on_half_close = on_half_close, .on_end = on_end};

static void on_echo_message(slc_rpc_call *call, void *ctx, const uint8_t *data, size_t len)
{
    note_message(ctx, data, len);
    slc_rpc_bytes *bytes = slc_rpc_bytes_new(data, len);
    ck_assert(slc_rpc_call_send(call, bytes));
    slc_rpc_bytes_unref(bytes);
    slc_rpc_call_finish(call, SLC_RPC_OK, NULL);
}

static const slc_rpc_call_ops echo_ops = {.on_message = on_echo_message, .on_end = on_end};

void peer_call(struct peer *peer, slc_rpc_channel *channel, const char *method, int64_t deadline_ms)
{
    peer->call = slc_rpc_channel_call(channel, method, deadline_ms, &stream_ops, peer);
    ck_assert_ptr_nonnull(peer->call);
    ck_assert_ptr_null(slc_rpc_call_peer_spiffe(peer->call));
    if (peer->keep_reading)
        slc_rpc_call_read(peer->call);
}

void peer_send(struct peer *peer, const char *text)
{
    slc_rpc_bytes *bytes = slc_rpc_bytes_new(text, strlen(text));
    ck_assert(slc_rpc_call_can_send(peer->call));
    ck_assert(slc_rpc_call_send(peer->call, bytes));
    ck_assert(!slc_rpc_call_can_send(peer->call));
    slc_rpc_bytes_unref(bytes);
}

void peer_send_numbered(struct peer *peer, unsigned count, size_t pad_bytes)
{
    peer->to_send = count;
    peer->pad_bytes = pad_bytes;
    send_next_number(peer);
}

bool rig_echo(struct rig *rig, slc_rpc_channel *channel, const char *text)
{
    struct peer client = {.keep_reading = true};
    peer_call(&client, channel, "/test.Test/Echo", 30000);
    peer_send(&client, text);
    slc_rpc_call_finish(client.call, SLC_RPC_OK, NULL);
    WAIT_FOR(rig, client.ended);
    return client.status == SLC_RPC_OK && client.received == 1 && strcmp(client.last, text) == 0;
}

enum slc_rpc_status rig_echo_status(struct rig *rig, slc_rpc_channel *channel)
{
    struct peer client = {.keep_reading = true};
    peer_call(&client, channel, "/test.Test/Echo", 30000);
    peer_send(&client, "status?");
    WAIT_FOR(rig, client.ended);
    return client.status;
}

/* ---- the server ---- */

static void note_peer(struct peer *peer, slc_rpc_call *call)
{
    *peer = (struct peer){.call = call};
    const char *spiffe = slc_rpc_call_peer_spiffe(call);
    snprintf(peer->spiffe, sizeof(peer->spiffe), "%s", spiffe != NULL ? spiffe : "");
    const char *pem = slc_rpc_call_peer_pem(call);
    peer->has_pem = pem != NULL && strstr(pem, "BEGIN CERTIFICATE") != NULL;
    ck_assert(strncmp(slc_rpc_call_peer_address(call), "ipv4:127.0.0.1:", 15) == 0);
}

static void on_echo(slc_rpc_call *call, void *arg)
{
    struct rig *rig = arg;
    note_peer(&rig->unary, call);
    slc_rpc_call_set(call, &echo_ops, &rig->unary);
    slc_rpc_call_read(call);
}

static void on_stream(slc_rpc_call *call, void *arg)
{
    struct rig *rig = arg;
    ck_assert_uint_lt(rig->stream_count, RIG_STREAMS_MAX);
    struct peer *peer = &rig->streams[rig->stream_count++];
    note_peer(peer, call);
    peer->keep_reading = rig->streams_read;
    slc_rpc_call_set(call, &stream_ops, peer);
    if (peer->keep_reading)
        slc_rpc_call_read(call);
}

/* Finishes without ever setting ops. */
static void on_deny(slc_rpc_call *call, void *arg)
{
    (void)arg;
    slc_rpc_call_finish(call, SLC_RPC_PERMISSION_DENIED, "100% nicht f\303\274r dich");
    slc_rpc_call_finish(call, SLC_RPC_OK, "ignored");
}

static void on_default_message(slc_rpc_call *call, void *ctx, const uint8_t *data, size_t len)
{
    note_message(ctx, data, len);
    slc_rpc_call_read(call);
}

static const slc_rpc_call_ops default_ops = {.on_message = on_default_message, .on_end = on_end};

/* Leaves the half-close to the default. */
static void on_default(slc_rpc_call *call, void *arg)
{
    struct rig *rig = arg;
    note_peer(&rig->unary, call);
    slc_rpc_call_set(call, &default_ops, &rig->unary);
    slc_rpc_call_read(call);
}

static bool fetch_identity(void *arg, char **cert_chain_pem, char **key_pem, char **client_ca_pem)
{
    struct rig *rig = arg;
    pthread_mutex_lock(&rig->identity_lock);
    rig->fetches++;
    bool have = !rig->no_identity;
    if (have) {
        *cert_chain_pem = slc_strdup(rig->server_cert);
        *key_pem = slc_strdup(rig->server_key);
        *client_ca_pem = rig->client_ca != NULL ? slc_strdup(rig->client_ca) : NULL;
    }
    pthread_mutex_unlock(&rig->identity_lock);
    return have;
}

void rig_new_server_cert(struct rig *rig, const char *san)
{
    pthread_mutex_lock(&rig->identity_lock);
    free(rig->server_cert);
    free(rig->server_key);
    test_ca_issue(rig->ca, "server", san, &rig->server_cert, &rig->server_key);
    pthread_mutex_unlock(&rig->identity_lock);
}

/* `address` with a port of 0 for a free one. */
static slc_rpc_server *server_new(struct rig *rig, const char *address, bool require_client_cert,
                                  slc_error *err)
{
    const slc_rpc_method table[] = {{"/test.Test/Echo", on_echo, rig},
                                    {"/test.Test/Stream", on_stream, rig},
                                    {"/test.Test/Deny", on_deny, rig},
                                    {"/test.Test/Default", on_default, rig},
                                    {NULL, NULL, NULL}};
    static_assert(sizeof(table) == sizeof(rig->methods), "room for the table");
    memcpy(rig->methods, table, sizeof(table));
    const slc_rpc_server_identity identity = {
        .fetch = fetch_identity, .arg = rig, .require_client_cert = require_client_cert};
    const slc_rpc_server_limits limits = {.receive_bytes = 8 << 20,
                                          .keepalive_min_ms = 50,
                                          .keepalive_ms = 30000,
                                          .keepalive_timeout_ms = 10000,
                                          .max_concurrent_streams_per_connection = 100,
                                          .idle_ms = rig->idle_ms};
    return slc_rpc_server_new(rig->rpc, address, &identity, &limits, rig->methods, err);
}

void rig_server_at(struct rig *rig, const char *address, bool require_client_cert)
{
    slc_error err;
    rig->server_done = false;
    rig->server = server_new(rig, address, require_client_cert, &err);
    if (rig->server == NULL)
        ck_abort_msg("%s", err.message);
    ck_assert_uint_gt(slc_rpc_server_port(rig->server), 0);
}

void rig_server(struct rig *rig, bool require_client_cert)
{
    rig_server_at(rig, "127.0.0.1:0", require_client_cert);
}

bool rig_try_server(struct rig *rig, const char *address, slc_error *err)
{
    return server_new(rig, address, true, err) != NULL;
}

static void on_server_done(void *arg)
{
    struct rig *rig = arg;
    rig->server_done = true;
}

void rig_server_stop(struct rig *rig, int64_t grace_ms)
{
    slc_rpc_server_stop(rig->server, grace_ms, on_server_done, rig);
    rig->server = NULL;
}

/* ---- clients ---- */

slc_rpc_channel_options rig_channel_options(const struct rig *rig, const char *target)
{
    return (slc_rpc_channel_options){.target = target,
                                     .server_name = RIG_SERVER_NAME,
                                     .ca_pem = test_ca_pem(rig->ca),
                                     .cert_chain_pem = rig->node_cert,
                                     .key_pem = rig->node_key,
                                     .receive_bytes = 8 << 20,
                                     .keepalive_ms = 10000,
                                     .keepalive_timeout_ms = 5000,
                                     .reconnect_min_ms = 100,
                                     .reconnect_max_ms = 1000};
}

static slc_rpc_channel *connect_by(struct rig *rig, const slc_rpc_channel_options *options)
{
    slc_error err;
    slc_rpc_channel *channel = slc_rpc_channel_new(rig->rpc, options, &err);
    if (channel == NULL)
        ck_abort_msg("%s", err.message);
    return channel;
}

slc_rpc_channel *rig_connect_with(struct rig *rig, uint16_t port, const char *cert, const char *key)
{
    char target[32];
    snprintf(target, sizeof(target), "127.0.0.1:%u", port);
    slc_rpc_channel_options options = rig_channel_options(rig, target);
    options.cert_chain_pem = cert;
    options.key_pem = key;
    return connect_by(rig, &options);
}

slc_rpc_channel *rig_connect(struct rig *rig, uint16_t port)
{
    return rig_connect_with(rig, port, rig->node_cert, rig->node_key);
}

slc_rpc_channel *rig_connect_pinging(struct rig *rig, uint16_t port, int64_t keepalive_ms, int64_t timeout_ms)
{
    char target[32];
    snprintf(target, sizeof(target), "127.0.0.1:%u", port);
    slc_rpc_channel_options options = rig_channel_options(rig, target);
    options.keepalive_ms = keepalive_ms;
    options.keepalive_timeout_ms = timeout_ms;
    return connect_by(rig, &options);
}

/* ---- beginning and end ---- */

void rig_prepare(struct rig *rig)
{
    memset(rig, 0, sizeof(*rig));
    slc_log_init("test", SLC_LOG_ERROR, true);
    rig->streams_read = true;
    pthread_mutex_init(&rig->identity_lock, NULL);
    rig->ca = test_ca_new("test CA");
    rig->client_ca = test_ca_pem(rig->ca);
    test_ca_issue(rig->ca, "node", "URI:" RIG_NODE_SPIFFE, &rig->node_cert, &rig->node_key);
    rig_new_server_cert(rig, "DNS:" RIG_SERVER_NAME);
}

void rig_start_rpc(struct rig *rig)
{
    rig->loop = slc_loop_new("test", rig);
    rig->tick = event_new(slc_loop_base(rig->loop), -1, EV_PERSIST, tick, NULL);
    const struct timeval interval = {.tv_sec = 0, .tv_usec = 20000};
    event_add(rig->tick, &interval);
    slc_error err;
    rig->rpc = slc_rpc_start(rig->loop, &err);
    ck_assert_ptr_nonnull(rig->rpc);
}

void rig_start(struct rig *rig)
{
    rig_prepare(rig);
    rig_start_rpc(rig);
}

void rig_stop(struct rig *rig)
{
    slc_rpc_channel_free(rig->channel);
    if (rig->server != NULL) {
        rig_server_stop(rig, 0);
        WAIT_FOR(rig, rig->server_done);
    }
    slc_rpc_stop(rig->rpc);
    event_free(rig->tick);
    slc_loop_free(rig->loop);
    test_ca_free(rig->ca);
    free(rig->node_cert);
    free(rig->node_key);
    free(rig->server_cert);
    free(rig->server_key);
    pthread_mutex_destroy(&rig->identity_lock);
}
