/* One gateway: its stream, what it fetches, what it runs on. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "dataplane/config/build.h"
#include "fleet.h"
#include "proto/bounded.h"
#include "sluice/config.pb-c.h"

#define STREAM_METHOD "/sluice.config.v1.Config/Stream"
#define RECEIVE_BYTES (5 * 1024 * 1024)
#define KEEPALIVE_MS  20000
#define RECONNECT_MS  500 /* the gateway's own first wait, with its jitter */
#define MAX_REQUESTED 1024

typedef Sluice__Config__V1__FromNode from_node;

struct chunk {
    struct chunk *next;
    uint8_t sha256[SLC_SHA256_BYTES];
    uint8_t *content; /* NULL: asked for */
    size_t len;
};

struct message {
    struct message *next;
    slc_rpc_bytes *bytes;
    uint64_t acks; /* the version, when it is an Ack */
    bool on_its_way;
};

void fleet_die(const char *what, const char *why)
{
    fprintf(stderr, "bench-fleet: %s: %s\n", what, why);
    exit(1);
}

/* ---- sending ---- */

static void send_next(struct node *node)
{
    struct message *first = node->outgoing;
    if (first == NULL || first->on_its_way || node->call == NULL || !slc_rpc_call_can_send(node->call))
        return;
    first->on_its_way = true;
    slc_rpc_call_send(node->call, first->bytes);
}

static void drop_first(struct node *node)
{
    struct message *first = node->outgoing;
    node->outgoing = first->next;
    if (node->outgoing == NULL)
        node->outgoing_tail = &node->outgoing;
    slc_rpc_bytes_unref(first->bytes);
    free(first);
}

static void note_ack(struct node *node, uint64_t version)
{
    if (node->ack_count < FLEET_ACKS)
        node->acks[node->ack_count++] = (struct ack){version, slc_monotonic_us()};
    node->fleet->changed(node->fleet);
}

static void on_sent(slc_rpc_call *call, void *ctx)
{
    struct node *node = ctx;
    if (node->call != call || node->outgoing == NULL)
        return;
    uint64_t acks = node->outgoing->acks;
    drop_first(node);
    if (acks != 0)
        note_ack(node, acks);
    send_next(node);
}

static void send_message(struct node *node, const from_node *message, uint64_t acks)
{
    size_t len = sluice__config__v1__from_node__get_packed_size(message);
    uint8_t *packed = slc_malloc(len + 1);
    struct message *item = slc_calloc(1, sizeof *item);
    sluice__config__v1__from_node__pack(message, packed);
    item->bytes = slc_rpc_bytes_new(packed, len);
    item->acks = acks;
    free(packed);
    *node->outgoing_tail = item;
    node->outgoing_tail = &item->next;
    send_next(node);
}

#define MESSAGE(name, type, TYPE, CASE)                                                                        \
    Sluice__Config__V1__##type name = SLUICE__CONFIG__V1__##TYPE##__INIT;                                      \
    from_node message = SLUICE__CONFIG__V1__FROM_NODE__INIT;                                                   \
    message.message_case = SLUICE__CONFIG__V1__FROM_NODE__MESSAGE_##CASE;                                      \
    message.name = &name

static void send_hello(struct node *node)
{
    uint8_t digest[SLC_SHA256_BYTES];
    MESSAGE(hello, Hello, HELLO, HELLO);
    hello.build = "bench";
    hello.boot_id = "bench";
    if (node->snapshot != NULL) {
        slc_manifest_digest(slc_snapshot_manifest(node->snapshot), digest);
        hello.held_manifest_sha256 = (ProtobufCBinaryData){sizeof digest, digest};
        hello.held_version = slc_snapshot_version(node->snapshot);
    }
    send_message(node, &message, 0);
}

static void send_ack(struct node *node, uint64_t version)
{
    MESSAGE(ack, Ack, ACK, ACK);
    ack.nonce = node->nonce;
    ack.version = version;
    send_message(node, &message, version);
}

static void send_status(struct node *node)
{
    MESSAGE(status, Status, STATUS, STATUS);
    status.applied_version = node->snapshot != NULL ? slc_snapshot_version(node->snapshot) : 0;
    send_message(node, &message, 0);
}

/* ---- the chunks of a push ---- */

static struct chunk *find_chunk(const struct node *node, const uint8_t *sha256)
{
    return slc_strmap_find(&node->chunks, (const char *)sha256, SLC_SHA256_BYTES);
}

static void drop_chunks(struct node *node)
{
    slc_strmap_release(&node->chunks);
    while (node->first_chunk != NULL) {
        struct chunk *chunk = node->first_chunk;
        node->first_chunk = chunk->next;
        free(chunk->content);
        free(chunk);
    }
}

static void drop_push(struct node *node)
{
    if (node->manifest != NULL)
        sluice__snapshot__v1__manifest__free_unpacked(node->manifest, NULL);
    node->manifest = NULL;
    node->outstanding = 0;
    drop_chunks(node);
}

static bool source_has(void *arg, const uint8_t sha256[SLC_SHA256_BYTES])
{
    const struct chunk *chunk = find_chunk(arg, sha256);
    return chunk != NULL && chunk->content != NULL;
}

static uint8_t *source_get(void *arg, const uint8_t sha256[SLC_SHA256_BYTES], size_t *len)
{
    const struct chunk *chunk = find_chunk(arg, sha256);
    if (chunk == NULL || chunk->content == NULL)
        return NULL;
    *len = chunk->len;
    return slc_memdup(chunk->content, chunk->len);
}

struct wanted {
    struct node *node;
    ProtobufCBinaryData digests[MAX_REQUESTED];
    size_t count;
};

static void want(void *arg, const uint8_t *sha256)
{
    struct wanted *wanted = arg;
    if (find_chunk(wanted->node, sha256) != NULL || wanted->count == MAX_REQUESTED)
        return;
    struct chunk *chunk = slc_calloc(1, sizeof *chunk);
    memcpy(chunk->sha256, sha256, SLC_SHA256_BYTES);
    chunk->next = wanted->node->first_chunk;
    wanted->node->first_chunk = chunk;
    if (!slc_strmap_add(&wanted->node->chunks, (const char *)chunk->sha256, SLC_SHA256_BYTES, chunk))
        fleet_die("a chunk", "asked for twice");
    wanted->digests[wanted->count++] = (ProtobufCBinaryData){SLC_SHA256_BYTES, chunk->sha256};
}

static void ask(struct node *node, struct wanted *wanted)
{
    MESSAGE(chunk_request, ChunkRequest, CHUNK_REQUEST, CHUNK_REQUEST);
    chunk_request.nonce = node->nonce;
    chunk_request.n_sha256 = wanted->count;
    chunk_request.sha256 = wanted->digests;
    node->outstanding += wanted->count;
    send_message(node, &message, 0);
}

/* ---- a whole snapshot ---- */

static int compare_digests(const void *a, const void *b)
{
    return memcmp(a, b, SLC_SHA256_BYTES);
}

static void forget(struct shared *shared)
{
    slc_snapshot_unref(shared->snapshot);
    free(shared->chunks);
    memset(shared, 0, sizeof *shared);
}

void fleet_forget(struct fleet *fleet)
{
    for (unsigned i = 0; i < FLEET_KEPT; i++)
        forget(&fleet->kept[i]);
}

/* An equal one of a node before, or this one for those to come. */
static slc_snapshot *share(struct fleet *fleet, slc_snapshot *snapshot)
{
    uint8_t digest[SLC_SHA256_BYTES];
    slc_manifest_digest(slc_snapshot_manifest(snapshot), digest);
    for (unsigned i = 0; i < FLEET_KEPT; i++)
        if (fleet->kept[i].snapshot != NULL && memcmp(fleet->kept[i].digest, digest, sizeof digest) == 0) {
            slc_snapshot_unref(snapshot);
            return slc_snapshot_ref(fleet->kept[i].snapshot);
        }
    struct shared *shared = &fleet->kept[fleet->kept_next++ % FLEET_KEPT];
    forget(shared);
    shared->snapshot = slc_snapshot_ref(snapshot);
    memcpy(shared->digest, digest, sizeof digest);
    shared->chunks = slc_snapshot_digests(snapshot, &shared->chunk_count);
    qsort(shared->chunks, shared->chunk_count, SLC_SHA256_BYTES, compare_digests);
    return snapshot;
}

static bool holds(const struct node *node, const uint8_t *sha256)
{
    for (unsigned i = 0; i < FLEET_KEPT; i++) {
        const struct shared *shared = &node->fleet->kept[i];
        if (shared->snapshot != NULL && shared->snapshot == node->snapshot)
            return bsearch(sha256, shared->chunks, shared->chunk_count, SLC_SHA256_BYTES, compare_digests) !=
                   NULL;
    }
    return false;
}

static void build(struct node *node)
{
    slc_chunk_source source = {source_has, source_get, node};
    slc_error err;
    slc_snapshot *snapshot = slc_snapshot_build(node->manifest, &source, node->snapshot, &err);
    if (snapshot == NULL)
        fleet_die("a configuration", err.message);
    slc_snapshot_unref(node->snapshot);
    node->snapshot = share(node->fleet, snapshot);
    drop_push(node);
    send_ack(node, slc_snapshot_version(node->snapshot));
}

static void advance(struct node *node)
{
    slc_chunk_source source = {source_has, source_get, node};
    struct wanted wanted = {.node = node};
    slc_error err;
    if (!slc_snapshot_missing(node->manifest, &source, node->snapshot, want, &wanted, &err))
        fleet_die("a manifest", err.message);
    if (wanted.count > 0)
        ask(node, &wanted);
    else if (node->outstanding == 0)
        build(node);
}

static void take_push(struct node *node, const Sluice__Config__V1__ManifestPush *push)
{
    size_t len = sluice__snapshot__v1__manifest__get_packed_size(push->manifest);
    uint8_t *packed = slc_malloc(len + 1);
    slc_error err;
    drop_push(node);
    node->push_count++;
    snprintf(node->nonce, sizeof node->nonce, "%s", push->nonce);
    sluice__snapshot__v1__manifest__pack(push->manifest, packed);
    node->manifest = slc_manifest_decode(packed, len, &err);
    free(packed);
    if (node->manifest == NULL)
        fleet_die("a manifest", err.message);
    advance(node);
}

static void take_chunk(struct node *node, const Sluice__Config__V1__Chunk *message)
{
    uint8_t digest[SLC_SHA256_BYTES];
    struct chunk *chunk =
        message->sha256.len == SLC_SHA256_BYTES ? find_chunk(node, message->sha256.data) : NULL;
    if (chunk == NULL || chunk->content != NULL)
        fleet_die("a chunk", "that was not asked for");
    slc_sha256(message->content.data, message->content.len, digest);
    if (memcmp(digest, chunk->sha256, sizeof digest) != 0)
        fleet_die("a chunk", "that is not what its digest says");
    chunk->content = slc_malloc(message->content.len + 1);
    memcpy(chunk->content, message->content.data, message->content.len);
    chunk->len = message->content.len;
    node->chunk_count++;
    node->held_count += holds(node, digest);
    if (--node->outstanding == 0)
        advance(node);
}

/* ---- the stream ---- */

static void later(struct event *timer, int64_t ms)
{
    struct timeval wait = {.tv_sec = ms / 1000, .tv_usec = (ms % 1000) * 1000};
    event_add(timer, &wait);
}

static void take_welcome(struct node *node, const Sluice__Config__V1__Welcome *welcome)
{
    node->welcomed = true;
    node->heartbeat_ms = welcome->heartbeat_ms;
    send_status(node);
    later(node->heartbeat, slc_jitter_ms(node->heartbeat_ms, 50));
    node->fleet->changed(node->fleet);
}

static void on_message(slc_rpc_call *call, void *ctx, const uint8_t *data, size_t len)
{
    struct node *node = ctx;
    Sluice__Config__V1__ToNode *message =
        (Sluice__Config__V1__ToNode *)slc_unpack_bounded(&sluice__config__v1__to_node__descriptor, data, len);
    if (message == NULL)
        fleet_die("a message", "that does not decode");
    node->bytes += len;
    if (message->message_case == SLUICE__CONFIG__V1__TO_NODE__MESSAGE_WELCOME)
        take_welcome(node, message->welcome);
    else if (message->message_case == SLUICE__CONFIG__V1__TO_NODE__MESSAGE_MANIFEST)
        take_push(node, message->manifest);
    else if (message->message_case == SLUICE__CONFIG__V1__TO_NODE__MESSAGE_CHUNK)
        take_chunk(node, message->chunk);
    sluice__config__v1__to_node__free_unpacked(message, NULL);
    slc_rpc_call_read(call);
}

static void closed(struct node *node)
{
    node->call = NULL;
    node->welcomed = false;
    event_del(node->heartbeat);
    drop_push(node);
    while (node->outgoing != NULL)
        drop_first(node);
    slc_rpc_channel_free(node->channel);
    node->channel = NULL;
}

static void on_end(slc_rpc_call *call, void *ctx, enum slc_rpc_status status, const char *message)
{
    struct node *node = ctx;
    (void)status, (void)message;
    if (node->call != call)
        return;
    closed(node);
    later(node->reconnect, slc_jitter_ms(RECONNECT_MS, 50));
}

static const slc_rpc_call_ops ops = {.on_message = on_message, .on_sent = on_sent, .on_end = on_end};

void node_connect(struct node *node)
{
    const slc_identity *identity = node->identity;
    slc_rpc_channel_options options = {.target = identity->config_endpoint,
                                       .server_name = identity->server_name,
                                       .ca_pem = identity->bundle_pem,
                                       .cert_chain_pem = identity->certificate_pem,
                                       .key_pem = identity->key_pem,
                                       .receive_bytes = RECEIVE_BYTES,
                                       .keepalive_ms = KEEPALIVE_MS,
                                       .keepalive_timeout_ms = KEEPALIVE_MS / 2,
                                       .reconnect_min_ms = RECONNECT_MS};
    slc_error err;
    node->channel = slc_rpc_channel_new(node->fleet->rpc, &options, &err);
    if (node->channel == NULL)
        fleet_die("a channel", err.message);
    node->call = slc_rpc_channel_call(node->channel, STREAM_METHOD, 0, &ops, node);
    slc_rpc_call_read(node->call);
    send_hello(node);
}

static void on_reconnect(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    node_connect(arg);
}

static void on_heartbeat(evutil_socket_t fd, short what, void *arg)
{
    struct node *node = arg;
    (void)fd, (void)what;
    send_status(node);
    later(node->heartbeat, slc_jitter_ms(node->heartbeat_ms, 10));
}

/* ---- its life ---- */

void node_init(struct node *node, struct fleet *fleet, unsigned number)
{
    struct event_base *base = slc_loop_base(fleet->loop);
    node->fleet = fleet;
    node->number = number;
    node->outgoing_tail = &node->outgoing;
    node->reconnect = evtimer_new(base, on_reconnect, node);
    node->heartbeat = evtimer_new(base, on_heartbeat, node);
}

void node_mark(struct node *node)
{
    node->ack_count = 0;
    node->bytes = node->chunk_count = node->push_count = node->held_count = 0;
}

void node_release(struct node *node)
{
    if (node->call != NULL)
        closed(node);
    event_free(node->reconnect);
    event_free(node->heartbeat);
    slc_snapshot_unref(node->snapshot);
    slc_identity_free(node->identity);
}
