/* The configuration stream: connect, Hello, messages both ways, reconnect. */
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/clock.h"
#include "common/log.h"
#include "dataplane/config/client_private.h"
#include "proto/bounded.h"

#define STREAM_METHOD        "/sluice.config.v1.Config/Stream"
#define RECEIVE_MAX_BYTES    (5 * 1024 * 1024) /* a chunk of 4 MiB and its frame */
#define MAX_OUTGOING         64
#define KEEPALIVE_MS         20000
#define KEEPALIVE_TIMEOUT_MS 10000
#define HEARTBEAT_MIN_MS     100
#define INVENTORY_MIN_MS     100
#define INVENTORY_MAX_MS     60000
#define INVENTORY_GROUPS     100000
#define HEARTBEAT_MAX_MS     600000

struct slc_outgoing {
    struct slc_outgoing *next;
    slc_rpc_bytes *bytes;
};

/* ---- sending ---- */

static void send_next(slc_config_client *client)
{
    struct slc_outgoing *first = client->outgoing;

    if (first == NULL || client->call == NULL || !slc_rpc_call_can_send(client->call))
        return;
    client->outgoing = first->next;
    if (client->outgoing == NULL)
        client->outgoing_tail = &client->outgoing;
    client->outgoing_count--;
    slc_rpc_call_send(client->call, first->bytes);
    slc_rpc_bytes_unref(first->bytes);
    free(first);
}

static void drop_outgoing(slc_config_client *client)
{
    while (client->outgoing != NULL) {
        struct slc_outgoing *first = client->outgoing;

        client->outgoing = first->next;
        slc_rpc_bytes_unref(first->bytes);
        free(first);
    }
    client->outgoing_tail = &client->outgoing;
    client->outgoing_count = 0;
}

void slc_client_send_bytes(slc_config_client *client, slc_rpc_bytes *bytes)
{
    struct slc_outgoing *item;

    if (client->call == NULL) { /* the next Hello says what is held */
        slc_rpc_bytes_unref(bytes);
        return;
    }
    if (client->outgoing_count >= MAX_OUTGOING) {
        slc_rpc_bytes_unref(bytes);
        slc_client_disconnect(client, "the control plane does not take what this node sends");
        return;
    }
    item = slc_calloc(1, sizeof(*item));
    item->bytes = bytes;
    *client->outgoing_tail = item;
    client->outgoing_tail = &item->next;
    client->outgoing_count++;
    send_next(client);
}

static slc_rpc_bytes *pack(const Sluice__Config__V1__FromNode *message)
{
    size_t len = sluice__config__v1__from_node__get_packed_size(message);
    uint8_t *packed = slc_malloc(len + 1);
    slc_rpc_bytes *bytes;

    sluice__config__v1__from_node__pack(message, packed);
    bytes = slc_rpc_bytes_new(packed, len);
    free(packed);
    return bytes;
}

void slc_client_send(slc_config_client *client, Sluice__Config__V1__FromNode *message)
{
    if (client->call != NULL)
        slc_client_send_bytes(client, pack(message));
}

struct reported {
    slc_message msg;
    slc_config_client *client;
    slc_rpc_bytes *bytes;
};

static void drop_reported(slc_message *msg)
{
    slc_rpc_bytes_unref(((struct reported *)msg)->bytes);
    free(msg);
}

static void run_reported(slc_message *msg, void *owner)
{
    struct reported *reported = (struct reported *)msg;

    (void)owner;
    SLC_CHECK_MAGIC(reported->client, SLC_CLIENT_MAGIC);
    if (!atomic_load(&reported->client->connected)) {
        drop_reported(msg);
        return;
    }
    slc_client_send_bytes(reported->client, reported->bytes);
    free(reported);
}

void slc_config_client_report(slc_config_client *client, Sluice__Config__V1__FromNode *message)
{
    struct reported *reported = slc_calloc(1, sizeof(*reported));

    SLC_CHECK_MAGIC(client, SLC_CLIENT_MAGIC);
    reported->msg.run = run_reported;
    reported->msg.drop = drop_reported;
    reported->client = client;
    reported->bytes = pack(message);
    slc_mailbox_post(slc_loop_mailbox(client->loop), &reported->msg);
}

void slc_client_ack(slc_config_client *client, const char *nonce, uint64_t version)
{
    Sluice__Config__V1__FromNode message = SLUICE__CONFIG__V1__FROM_NODE__INIT;
    Sluice__Config__V1__Ack ack = SLUICE__CONFIG__V1__ACK__INIT;

    ack.nonce = (char *)nonce;
    ack.version = version;
    message.message_case = SLUICE__CONFIG__V1__FROM_NODE__MESSAGE_ACK;
    message.ack = &ack;
    slc_client_send(client, &message);
}

void slc_client_nack(slc_config_client *client, const char *nonce, uint64_t version, const slc_error *why)
{
    Sluice__Config__V1__FromNode message = SLUICE__CONFIG__V1__FROM_NODE__INIT;
    Sluice__Config__V1__Nack nack = SLUICE__CONFIG__V1__NACK__INIT;

    nack.nonce = (char *)nonce;
    nack.version = version;
    nack.entity = (char *)why->field;
    nack.message = (char *)why->message;
    message.message_case = SLUICE__CONFIG__V1__FROM_NODE__MESSAGE_NACK;
    message.nack = &nack;
    slc_client_send(client, &message);
}

static void send_hello(slc_config_client *client)
{
    Sluice__Config__V1__FromNode message = SLUICE__CONFIG__V1__FROM_NODE__INIT;
    Sluice__Config__V1__Hello hello = SLUICE__CONFIG__V1__HELLO__INIT;
    uint8_t digest[SLC_SHA256_BYTES];

    hello.build = client->build;
    hello.boot_id = client->boot_id;
    hello.features = (char **)slc_config_features();
    while (hello.features[hello.n_features] != NULL)
        hello.n_features++;
    if (client->current != NULL) {
        slc_manifest_digest(slc_snapshot_manifest(client->current), digest);
        hello.held_manifest_sha256 = (ProtobufCBinaryData){sizeof(digest), digest};
        hello.held_version = slc_snapshot_version(client->current);
    }
    message.message_case = SLUICE__CONFIG__V1__FROM_NODE__MESSAGE_HELLO;
    message.hello = &hello;
    slc_client_send(client, &message);
}

static void fill_conflicts(Sluice__Config__V1__Status *body, slc_config_status *status,
                           Sluice__Config__V1__NameConflict *items, Sluice__Config__V1__NameConflict **list)
{
    for (size_t i = 0; i < status->conflict_count; i++) {
        sluice__config__v1__name_conflict__init(&items[i]);
        items[i].virtual_cluster_id = status->conflicts[i].vcluster;
        items[i].name = status->conflicts[i].name;
        items[i].topic = status->conflicts[i].topic;
        items[i].alias = status->conflicts[i].alias;
        items[i].seen_at_ms = status->conflicts[i].seen_ms;
        list[i] = &items[i];
    }
    body->conflicts = list;
    body->n_conflicts = status->conflict_count;
}

void slc_client_heartbeat(slc_config_client *client)
{
    Sluice__Config__V1__NameConflict conflicts[SLC_CONFLICTS_MAX], *conflict_list[SLC_CONFLICTS_MAX];
    Sluice__Config__V1__FromNode message = SLUICE__CONFIG__V1__FROM_NODE__INIT;
    Sluice__Config__V1__Status body = SLUICE__CONFIG__V1__STATUS__INIT;
    Sluice__Config__V1__ListenerStatus listeners[SLC_CONFIG_MAX_LISTENERS], *list[SLC_CONFIG_MAX_LISTENERS];
    slc_config_status *status;

    if (!atomic_load(&client->connected))
        return;
    slc_client_contact(client);
    status = slc_calloc(1, sizeof(*status));
    client->gateway.status(client->gateway.arg, status);
    body.applied_version = atomic_load(&client->applied_version);
    body.connections = status->connections;
    body.draining = status->draining;
    body.problem = status->problem;
    body.n_listeners = status->listener_count;
    body.listeners = list;
    for (size_t i = 0; i < status->listener_count; i++) {
        sluice__config__v1__listener_status__init(&listeners[i]);
        listeners[i].name = status->listeners[i].name;
        listeners[i].address = status->listeners[i].address;
        listeners[i].connections = status->listeners[i].connections;
        list[i] = &listeners[i];
    }
    fill_conflicts(&body, status, conflicts, conflict_list);
    message.message_case = SLUICE__CONFIG__V1__FROM_NODE__MESSAGE_STATUS;
    message.status = &body;
    slc_client_send(client, &message);
    free(status);
}

/* ---- receiving ---- */

static void welcome(slc_config_client *client, const Sluice__Config__V1__Welcome *message)
{
    int64_t heartbeat_ms = message->heartbeat_ms;

    heartbeat_ms = heartbeat_ms < HEARTBEAT_MIN_MS ? HEARTBEAT_MIN_MS : heartbeat_ms;
    client->heartbeat_ms = heartbeat_ms > HEARTBEAT_MAX_MS ? HEARTBEAT_MAX_MS : heartbeat_ms;
    client->backoff_ms = client->reconnect_min_ms;
    atomic_store(&client->connected, true);
    slc_series_set(client->m_connected, 1);
    slc_log(SLC_LOG_INFO, "configuration stream open", LS("endpoint", client->identity->config_endpoint),
            LS("node", message->node_id), LS("group", message->group));
    client->turned_away = false;
    slc_client_compare_clock(client, message->now_ms);
    slc_client_trust(client, message->trust);
    slc_client_heartbeat(client);
    slc_client_arm(client->heartbeat_timer, slc_jitter_ms(client->heartbeat_ms, 50));
}

static void take_turn(slc_config_client *client, const Sluice__Config__V1__InventoryTurn *message)
{
    const slc_inventory_turn_options turn = {
        .take = message->take,
        .interval_ms = message->interval_ms > INVENTORY_MIN_MS ? message->interval_ms : INVENTORY_MIN_MS,
        .delay_ms = message->delay_ms,
        .timeout_ms = message->timeout_ms < INVENTORY_MAX_MS ? (int)message->timeout_ms : INVENTORY_MAX_MS,
        .groups = message->groups < INVENTORY_GROUPS ? message->groups : INVENTORY_GROUPS};

    if (client->gateway.inventory_turn != NULL)
        client->gateway.inventory_turn(client->gateway.arg, &turn);
}

static const char *dispatch(slc_config_client *client, const Sluice__Config__V1__ToNode *message)
{
    bool connected = atomic_load(&client->connected);

    switch (message->message_case) {
    case SLUICE__CONFIG__V1__TO_NODE__MESSAGE_WELCOME:
        if (connected)
            return "the control plane said Welcome twice";
        welcome(client, message->welcome);
        return NULL;
    case SLUICE__CONFIG__V1__TO_NODE__MESSAGE_MANIFEST:
        if (!connected)
            return "the control plane pushed a manifest before Welcome";
        slc_client_pushed(client, message->manifest);
        return NULL;
    case SLUICE__CONFIG__V1__TO_NODE__MESSAGE_CHUNK:
        return slc_client_chunk(client, message->chunk)
                   ? NULL
                   : "the control plane sent a chunk that was not asked for or is not what its digest says";
    case SLUICE__CONFIG__V1__TO_NODE__MESSAGE_CONNECTIONS_REQUEST:
        return slc_client_asked(client, message->connections_request)
                   ? NULL
                   : "the control plane asks a second question before the first is answered";
    case SLUICE__CONFIG__V1__TO_NODE__MESSAGE_GROUP_SIZE:
        if (client->gateway.group_size != NULL)
            client->gateway.group_size(client->gateway.arg, message->group_size->gateways);
        return NULL;
    case SLUICE__CONFIG__V1__TO_NODE__MESSAGE_DRAIN:
        if (client->gateway.drain != NULL)
            client->gateway.drain(client->gateway.arg);
        return NULL;
    case SLUICE__CONFIG__V1__TO_NODE__MESSAGE_INVENTORY_TURN:
        take_turn(client, message->inventory_turn);
        return NULL;
    case SLUICE__CONFIG__V1__TO_NODE__MESSAGE_USAGE_ACK:
        slc_client_usage_acknowledged(client, message->usage_ack);
        return NULL;
    case SLUICE__CONFIG__V1__TO_NODE__MESSAGE_TRUST_BUNDLE:
        if (connected)
            slc_client_trust(client, message->trust_bundle);
        return connected ? NULL : "the control plane sent authorities before Welcome";
    default:
        return NULL; /* of a later version */
    }
}

static void on_message(slc_rpc_call *call, void *ctx, const uint8_t *data, size_t len)
{
    slc_config_client *client = ctx;
    Sluice__Config__V1__ToNode *message;
    const char *broken = "the control plane sent what does not decode";

    SLC_CHECK_MAGIC(client, SLC_CLIENT_MAGIC);
    message =
        (Sluice__Config__V1__ToNode *)slc_unpack_bounded(&sluice__config__v1__to_node__descriptor, data, len);
    if (message != NULL) {
        broken = dispatch(client, message);
        sluice__config__v1__to_node__free_unpacked(message, NULL);
    }
    if (broken != NULL)
        slc_client_disconnect(client, broken);
    else if (client->call == call)
        slc_rpc_call_read(call);
}

static void on_sent(slc_rpc_call *call, void *ctx)
{
    slc_config_client *client = ctx;

    if (client->call == call)
        send_next(client);
}

/* ---- connecting ---- */

/* The stream is over, whoever ended it. */
static void closed(slc_config_client *client)
{
    client->call = NULL;
    client->question[0] = '\0';
    drop_outgoing(client);
    slc_client_forget_fetch(client);
    event_del(client->heartbeat_timer);
    if (atomic_exchange(&client->connected, false)) {
        client->contact_ms = slc_wall_ms();
        client->warned_ms = slc_monotonic_ms();
    }
    slc_series_set(client->m_connected, 0);
    slc_client_usage_cut(client);
    if (client->gateway.inventory_turn != NULL && !client->stopping)
        client->gateway.inventory_turn(client->gateway.arg, &(slc_inventory_turn_options){.take = false});
    if (client->channel != NULL)
        slc_rpc_channel_free(client->channel);
    client->channel = NULL;
}

static void reconnect_later(slc_config_client *client)
{
    if (client->stopping)
        return;
    slc_client_arm(client->reconnect_timer, slc_jitter_ms(client->backoff_ms, 50));
    client->backoff_ms *= 2;
    if (client->backoff_ms > client->reconnect_max_ms)
        client->backoff_ms = client->reconnect_max_ms;
}

static void on_end(slc_rpc_call *call, void *ctx, enum slc_rpc_status status, const char *message)
{
    slc_config_client *client = ctx;

    SLC_CHECK_MAGIC(client, SLC_CLIENT_MAGIC);
    if (client->call != call)
        return; /* closed by this side before */
    slc_log(client->backoff_ms > client->reconnect_min_ms ? SLC_LOG_INFO : SLC_LOG_WARN,
            "configuration stream ended", LI("status", status), LS("reason", message),
            LI("retry_ms", client->backoff_ms));
    if (!atomic_load(&client->connected) || status != SLC_RPC_UNAVAILABLE)
        slc_client_refused(client, status);
    closed(client);
    reconnect_later(client);
}

static const slc_rpc_call_ops stream_ops = {.on_message = on_message, .on_sent = on_sent, .on_end = on_end};

void slc_client_disconnect(slc_config_client *client, const char *why)
{
    if (client->call == NULL)
        return;
    slc_log(SLC_LOG_WARN, "configuration stream cut", LS("reason", why), LI("retry_ms", client->backoff_ms));
    closed(client);
    reconnect_later(client);
}

void slc_client_connect(slc_config_client *client)
{
    const slc_identity *identity = client->identity;
    slc_rpc_channel_options options;
    slc_error err;

    if (client->stopping || client->rpc == NULL || identity == NULL || client->call != NULL)
        return;
    options = (slc_rpc_channel_options){.target = identity->config_endpoint,
                                        .server_name = identity->server_name,
                                        .ca_pem = identity->bundle_pem,
                                        .cert_chain_pem = identity->certificate_pem,
                                        .key_pem = identity->key_pem,
                                        .receive_bytes = RECEIVE_MAX_BYTES,
                                        .keepalive_ms = KEEPALIVE_MS,
                                        .keepalive_timeout_ms = KEEPALIVE_TIMEOUT_MS,
                                        .reconnect_min_ms = client->reconnect_min_ms,
                                        .reconnect_max_ms = client->reconnect_max_ms};
    slc_series_add(client->m_attempts, 1);
    client->channel = slc_rpc_channel_new(client->rpc, &options, &err);
    if (client->channel == NULL) {
        slc_log_error(SLC_LOG_ERROR, "the configuration stream cannot be opened", &err);
        reconnect_later(client);
        return;
    }
    client->call = slc_rpc_channel_call(client->channel, STREAM_METHOD, 0, &stream_ops, client);
    slc_rpc_call_read(client->call);
    send_hello(client);
}

void slc_client_stream_release(slc_config_client *client)
{
    event_del(client->reconnect_timer);
    closed(client);
}
