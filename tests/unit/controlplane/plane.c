#include "plane.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "dataplane/config/build.h"
#include "dataplane/config/keys.h"

#define WAIT_MAX_MS 45000

/* ---- the plane ---- */

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what, (void)arg;
}

void plane_turn(struct plane *plane, int64_t since_ms, const char *what)
{
    ck_assert_msg(slc_monotonic_ms() - since_ms < WAIT_MAX_MS, "waited in vain for %s", what);
    ck_assert_int_ge(event_base_loop(slc_loop_base(plane->loop), EVLOOP_ONCE), 0);
}

static void make_sample(void)
{
    t_make("teams", "{'name':'platform'}");
    t_make("gateway-groups", "{'name':'dev','environment':'dev'}");
    t_make("backend-clusters", "{'name':'local','bootstrap_servers':['127.0.0.1:9092']}");
    t_make("virtual-clusters", "{'name':'local','backend_cluster':'local'}");
    t_make("listeners", "{'name':'edge','gateway_group':'dev','protocol':'http','address':'127.0.0.1:8000'}");
    t_make("event-apis", "{'name':'orders','major':1,'team':'platform','lifecycle':'published',"
                         "'operations':['publish','read'],'exposures':['rest','sse']}");
    t_make("deployments", "{'event_api':'orders.v1','gateway_group':'dev','virtual_cluster':'local',"
                          "'topic':'orders','listener':'edge'}");
    t_make("products",
           "{'name':'orders','team':'platform','event_apis':['orders.v1'],'lifecycle':'published'}");
    t_make("plans", "{'product':'orders','name':'free','operations':['publish','read'],'approval':'auto'}");
    t_make("applications", "{'name':'demo','team':'platform'}");
    t_make("credentials", "{'application':'demo','type':'secret'}");
    t_make("subscriptions", "{'application':'demo','plan':'orders.free','environment':'dev'}");
}

static void open_grpc(struct plane *plane)
{
    slc_error err;

    plane->grpc = slc_control_grpc_new(t_catalog, &plane->options, &err);
    ck_assert_msg(plane->grpc != NULL, "%s", err.message);
}

struct joining {
    struct plane *plane;
    char *token, *text;
};

static bool compose(slc_txn *txn, void *arg, slc_error *err)
{
    struct joining *joining = arg;

    joining->text = slc_control_grpc_join(joining->plane->grpc, txn, joining->token, err);
    return joining->text != NULL;
}

char *plane_join(struct plane *plane, const char *body)
{
    struct joining joining = {.plane = plane, .token = plane_token(plane, body)};
    slc_error err;

    ck_assert_msg(t_read(compose, &joining, &err), "%s", err.message);
    free(joining.token);
    return joining.text;
}

static void fetch_ca(struct plane *plane)
{
    char *text = plane_join(plane, "{'group':'dev'}");
    slc_error err;
    slc_join join;

    ck_assert(slc_join_parse(text, strlen(text), &join, &err));
    plane->ca_pem = slc_pin_fetch_ca(&join, "sluice-control", 5000, &err);
    ck_assert_msg(plane->ca_pem != NULL, "%s", err.message);
    free(text);
}

void plane_start(struct plane *plane)
{
    struct timeval often = {.tv_usec = 5000};
    slc_error err;

    t_setup();
    slc_control_grpc_register_metrics();
    make_sample();
    plane->options.config_address = "127.0.0.1:0";
    plane->options.enrolment_address = "127.0.0.1:0";
    if (plane->options.debounce_ms == 0)
        plane->options.debounce_ms = 10;
    if (plane->options.heartbeat_ms == 0)
        plane->options.heartbeat_ms = 60000; /* raw nodes send none by themselves */
    if (plane->options.certificate_ms == 0)
        plane->options.renewal_window_ms = plane->options.clock_skew_ms = -1;
    open_grpc(plane);
    plane->loop = slc_loop_new("test", plane);
    plane->tick = event_new(slc_loop_base(plane->loop), -1, EV_PERSIST, on_tick, plane);
    event_add(plane->tick, &often);
    plane->rpc = slc_rpc_start(plane->loop, &err);
    ck_assert_ptr_nonnull(plane->rpc);
    fetch_ca(plane);
}

void plane_stop(struct plane *plane)
{
    slc_rpc_stop(plane->rpc);
    event_free(plane->tick);
    slc_loop_free(plane->loop);
    slc_control_grpc_stop(plane->grpc);
    free(plane->ca_pem);
    t_teardown();
}

void plane_restart(struct plane *plane)
{
    static char config[32], enrolment[32];

    snprintf(config, sizeof config, "127.0.0.1:%u", slc_control_grpc_config_port(plane->grpc));
    snprintf(enrolment, sizeof enrolment, "127.0.0.1:%u", slc_control_grpc_enrolment_port(plane->grpc));
    plane->options.config_address = config;
    plane->options.enrolment_address = enrolment;
    slc_control_grpc_stop(plane->grpc);
    open_grpc(plane);
}

char *plane_token(struct plane *plane, const char *body)
{
    json_t *created = t_create("enrolment-tokens", body);
    char *token = slc_strdup(t_text(created, "token"));

    (void)plane;
    json_decref(created);
    return token;
}

/* ---- enrolment ---- */

static void on_answer(slc_rpc_call *call, void *ctx, const uint8_t *data, size_t len)
{
    struct answer *answer = ctx;
    /* Both answers are one field, the identity. */
    Sluice__Enrolment__V1__EnrolResponse *response =
        sluice__enrolment__v1__enrol_response__unpack(NULL, len, data);

    (void)call;
    ck_assert_ptr_nonnull(response);
    ck_assert_ptr_nonnull(response->identity);
    answer->node_id = slc_strdup(response->identity->node_id);
    answer->group = slc_strdup(response->identity->group);
    answer->certificate_pem = slc_strdup(response->identity->certificate_pem);
    answer->bundle_pem = slc_strdup(response->identity->trust_bundle_pem);
    sluice__enrolment__v1__enrol_response__free_unpacked(response, NULL);
}

static void on_asked(slc_rpc_call *call, void *ctx)
{
    (void)ctx;
    slc_rpc_call_finish(call, SLC_RPC_OK, NULL);
}

static void on_answered(slc_rpc_call *call, void *ctx, enum slc_rpc_status status, const char *message)
{
    struct answer *answer = ctx;

    (void)call;
    answer->ended = true;
    answer->status = status;
    snprintf(answer->message, sizeof answer->message, "%s", message);
}

static const slc_rpc_call_ops unary_ops = {.on_message = on_answer, .on_sent = on_asked, .on_end = on_answered};

static slc_rpc_channel *channel_to(struct plane *plane, uint16_t port, const char *cert, const char *key)
{
    char target[32];
    slc_rpc_channel_options options = {.target = target,
                                       .server_name = "sluice-control",
                                       .ca_pem = plane->ca_pem,
                                       .cert_chain_pem = cert,
                                       .key_pem = key,
                                       .receive_bytes = 5 << 20};
    slc_rpc_channel *channel;
    slc_error err;

    snprintf(target, sizeof target, "127.0.0.1:%u", port);
    channel = slc_rpc_channel_new(plane->rpc, &options, &err);
    ck_assert_msg(channel != NULL, "%s", err.message);
    return channel;
}

static slc_rpc_channel *ask_begin(struct plane *plane, const char *method, const ProtobufCMessage *request,
                                  struct answer *answer)
{
    slc_rpc_channel *channel = channel_to(plane, slc_control_grpc_enrolment_port(plane->grpc), NULL, NULL);
    size_t len = protobuf_c_message_get_packed_size(request);
    uint8_t *packed = slc_malloc(len + 1);
    slc_rpc_bytes *bytes;
    slc_rpc_call *call;

    memset(answer, 0, sizeof *answer);
    protobuf_c_message_pack(request, packed);
    bytes = slc_rpc_bytes_new(packed, len);
    free(packed);
    call = slc_rpc_channel_call(channel, method, 15000, &unary_ops, answer);
    slc_rpc_call_read(call);
    slc_rpc_call_send(call, bytes);
    slc_rpc_bytes_unref(bytes);
    return channel;
}

static void ask(struct plane *plane, const char *method, const ProtobufCMessage *request, struct answer *answer)
{
    slc_rpc_channel *channel = ask_begin(plane, method, request, answer);

    WAIT_FOR(plane, answer->ended);
    slc_rpc_channel_free(channel);
}

slc_rpc_channel *plane_enrol_begin(struct plane *plane, const char *token, const char *key_pem,
                                   struct answer *answer)
{
    Sluice__Enrolment__V1__EnrolRequest request = SLUICE__ENROLMENT__V1__ENROL_REQUEST__INIT;
    slc_rpc_channel *channel;
    slc_error err;

    request.token = (char *)token;
    request.csr_der.data = slc_key_request(key_pem, &request.csr_der.len, &err);
    channel = ask_begin(plane, "/sluice.enrolment.v1.Enrolment/Enrol", &request.base, answer);
    free(request.csr_der.data);
    return channel;
}

void plane_enrol(struct plane *plane, const char *token, const char *key_pem, struct answer *answer)
{
    Sluice__Enrolment__V1__EnrolRequest request = SLUICE__ENROLMENT__V1__ENROL_REQUEST__INIT;
    slc_error err;

    request.token = (char *)token;
    request.node_name = "test";
    request.sent_at_ms = slc_wall_ms() + plane->node_clock_off_ms;
    request.csr_der.data = slc_key_request(key_pem, &request.csr_der.len, &err);
    ask(plane, "/sluice.enrolment.v1.Enrolment/Enrol", &request.base, answer);
    free(request.csr_der.data);
}

void plane_renew(struct plane *plane, const Sluice__Enrolment__V1__RenewRequest *request, struct answer *answer)
{
    ask(plane, "/sluice.enrolment.v1.Enrolment/Renew", &request->base, answer);
}

void answer_release(struct answer *answer)
{
    free(answer->node_id);
    free(answer->group);
    free(answer->certificate_pem);
    free(answer->bundle_pem);
    memset(answer, 0, sizeof *answer);
}

/* ---- a node's stream ---- */

static void take_push(struct node *node, const Sluice__Config__V1__ManifestPush *push)
{
    size_t len = sluice__snapshot__v1__manifest__get_packed_size(push->manifest);
    uint8_t *packed = slc_malloc(len + 1);

    node->pushes++;
    snprintf(node->nonce, sizeof node->nonce, "%s", push->nonce);
    sluice__snapshot__v1__manifest__pack(push->manifest, packed);
    slc_manifest_digest(push->manifest, node->digest);
    if (node->manifest != NULL)
        sluice__snapshot__v1__manifest__free_unpacked(node->manifest, NULL);
    node->manifest = sluice__snapshot__v1__manifest__unpack(NULL, len, packed);
    free(packed);
}

static void take_chunk(struct node *node, const Sluice__Config__V1__Chunk *chunk)
{
    uint8_t digest[32];

    slc_sha256(chunk->content.data, chunk->content.len, digest);
    ck_assert_uint_eq(chunk->sha256.len, 32);
    ck_assert_int_eq(memcmp(digest, chunk->sha256.data, 32), 0);
    node->chunks++;
    node->chunk_bytes += chunk->content.len;
}

static void on_message(slc_rpc_call *call, void *ctx, const uint8_t *data, size_t len)
{
    struct node *node = ctx;
    Sluice__Config__V1__ToNode *message = sluice__config__v1__to_node__unpack(NULL, len, data);

    ck_assert_ptr_nonnull(message);
    if (message->message_case == SLUICE__CONFIG__V1__TO_NODE__MESSAGE_WELCOME)
        node->welcomes++;
    else if (message->message_case == SLUICE__CONFIG__V1__TO_NODE__MESSAGE_MANIFEST)
        take_push(node, message->manifest);
    else if (message->message_case == SLUICE__CONFIG__V1__TO_NODE__MESSAGE_CHUNK)
        take_chunk(node, message->chunk);
    else if (message->message_case == SLUICE__CONFIG__V1__TO_NODE__MESSAGE_CONNECTIONS_REQUEST) {
        node->questions++;
        snprintf(node->question, sizeof node->question, "%s", message->connections_request->id);
    } else if (message->message_case == SLUICE__CONFIG__V1__TO_NODE__MESSAGE_GROUP_SIZE)
        node->group_size = message->group_size->gateways;
    sluice__config__v1__to_node__free_unpacked(message, NULL);
    slc_rpc_call_read(call);
}

static void send_next(struct node *node)
{
    if (node->call == NULL || node->queue_len == 0 || !slc_rpc_call_can_send(node->call))
        return;
    slc_rpc_bytes *bytes = node->queue[node->queue_head];
    node->queue_head = (node->queue_head + 1) % (sizeof node->queue / sizeof *node->queue);
    node->queue_len--;
    slc_rpc_call_send(node->call, bytes);
    slc_rpc_bytes_unref(bytes);
}

static void drop_queue(struct node *node)
{
    while (node->queue_len > 0) {
        slc_rpc_bytes_unref(node->queue[node->queue_head]);
        node->queue_head = (node->queue_head + 1) % (sizeof node->queue / sizeof *node->queue);
        node->queue_len--;
    }
}

static void on_sent(slc_rpc_call *call, void *ctx)
{
    (void)call;
    send_next(ctx);
}

static void on_end(slc_rpc_call *call, void *ctx, enum slc_rpc_status status, const char *message)
{
    struct node *node = ctx;

    if (node->call != call)
        return;
    node->call = NULL;
    node->ended = true;
    node->status = status;
    snprintf(node->message, sizeof node->message, "%s", message);
    drop_queue(node);
}

static const slc_rpc_call_ops stream_ops = {.on_message = on_message, .on_sent = on_sent, .on_end = on_end};

void node_enrol(struct plane *plane, struct node *node)
{
    char *token = plane_token(plane, "{'group':'dev'}");

    memset(node, 0, sizeof *node);
    node->plane = plane;
    node->key_pem = slc_key_generate();
    plane_enrol(plane, token, node->key_pem, &node->identity);
    ck_assert_msg(node->identity.status == SLC_RPC_OK, "%s", node->identity.message);
    free(token);
}

void node_connect(struct node *node)
{
    ck_assert_ptr_null(node->call);
    if (node->channel != NULL)
        slc_rpc_channel_free(node->channel);
    node->channel = channel_to(node->plane, slc_control_grpc_config_port(node->plane->grpc),
                               node->identity.certificate_pem, node->key_pem);
    node->ended = false;
    node->welcomes = node->pushes = node->chunks = 0;
    node->call = slc_rpc_channel_call(node->channel, "/sluice.config.v1.Config/Stream", 0, &stream_ops, node);
    slc_rpc_call_read(node->call);
}

void node_disconnect(struct node *node)
{
    if (node->call != NULL)
        slc_rpc_call_finish(node->call, SLC_RPC_CANCELLED, NULL);
    WAIT_FOR(node->plane, node->call == NULL);
    if (node->channel != NULL)
        slc_rpc_channel_free(node->channel);
    node->channel = NULL;
}

void node_free(struct node *node)
{
    node_disconnect(node);
    drop_queue(node);
    if (node->manifest != NULL)
        sluice__snapshot__v1__manifest__free_unpacked(node->manifest, NULL);
    answer_release(&node->identity);
    free(node->key_pem);
}

void node_send_bytes(struct node *node, const void *data, size_t len)
{
    size_t max = sizeof node->queue / sizeof *node->queue;

    if (node->call == NULL)
        return;
    ck_assert_uint_lt(node->queue_len, max);
    node->queue[(node->queue_head + node->queue_len++) % max] = slc_rpc_bytes_new(data, len);
    send_next(node);
}

void node_send(struct node *node, const Sluice__Config__V1__FromNode *message)
{
    size_t len = sluice__config__v1__from_node__get_packed_size(message);
    uint8_t *packed = slc_malloc(len + 1);

    sluice__config__v1__from_node__pack(message, packed);
    node_send_bytes(node, packed, len);
    free(packed);
}

#define MESSAGE(name, CASE)                                                                                    \
    Sluice__Config__V1__FromNode message = SLUICE__CONFIG__V1__FROM_NODE__INIT;                                \
    message.message_case = SLUICE__CONFIG__V1__FROM_NODE__MESSAGE_##CASE;                                      \
    message.name = &body

void node_hello(struct node *node, const uint8_t *held)
{
    Sluice__Config__V1__Hello body = SLUICE__CONFIG__V1__HELLO__INIT;
    MESSAGE(hello, HELLO);

    body.build = "test";
    body.boot_id = "boot";
    if (held != NULL)
        body.held_manifest_sha256 = (ProtobufCBinaryData){32, (uint8_t *)held};
    node_send(node, &message);
}

void node_request(struct node *node, const char *nonce, const ProtobufCBinaryData *digests, size_t count)
{
    Sluice__Config__V1__ChunkRequest body = SLUICE__CONFIG__V1__CHUNK_REQUEST__INIT;
    MESSAGE(chunk_request, CHUNK_REQUEST);

    body.nonce = (char *)nonce;
    body.sha256 = (ProtobufCBinaryData *)digests;
    body.n_sha256 = count;
    node_send(node, &message);
}

void node_request_all(struct node *node)
{
    size_t count = node->manifest->n_chunks;
    ProtobufCBinaryData *digests = slc_calloc(count, sizeof *digests);

    for (size_t i = 0; i < count; i++)
        digests[i] = node->manifest->chunks[i]->sha256;
    node_request(node, node->nonce, digests, count);
    free(digests);
}

void node_ack(struct node *node, const char *nonce)
{
    Sluice__Config__V1__Ack body = SLUICE__CONFIG__V1__ACK__INIT;
    MESSAGE(ack, ACK);

    body.nonce = (char *)nonce;
    body.version = node->manifest != NULL ? node->manifest->version : 0;
    node_send(node, &message);
}

void node_nack(struct node *node, const char *entity, const char *why)
{
    Sluice__Config__V1__Nack body = SLUICE__CONFIG__V1__NACK__INIT;
    MESSAGE(nack, NACK);

    body.nonce = node->nonce;
    body.version = node->manifest->version;
    body.entity = (char *)entity;
    body.message = (char *)why;
    node_send(node, &message);
}

void node_retried(struct node *node, bool applied, const char *why)
{
    Sluice__Config__V1__Retried body = SLUICE__CONFIG__V1__RETRIED__INIT;
    MESSAGE(retried, RETRIED);

    body.version = node->manifest->version;
    body.manifest_sha256 = (ProtobufCBinaryData){sizeof node->digest, node->digest};
    body.applied = applied;
    body.entity = (char *)"listener/edge";
    body.message = (char *)why;
    node_send(node, &message);
}

void node_connections(struct node *node, const char *question, size_t count, bool last)
{
    Sluice__Config__V1__Connections body = SLUICE__CONFIG__V1__CONNECTIONS__INIT;
    Sluice__Config__V1__Connection one = SLUICE__CONFIG__V1__CONNECTION__INIT;
    Sluice__Config__V1__Connection **all = slc_calloc(count + 1, sizeof *all);
    MESSAGE(connections, CONNECTIONS);

    one.protocol = (char *)"http";
    one.client_address = (char *)"127.0.0.1:\xff"; /* nobody says that it must be UTF-8 */
    for (size_t i = 0; i < count; i++)
        all[i] = &one;
    body.id = (char *)question;
    body.connections = all;
    body.n_connections = count;
    body.total = 7000;
    body.last = last;
    node_send(node, &message);
    free(all);
}

void node_status(struct node *node)
{
    Sluice__Config__V1__Status body = SLUICE__CONFIG__V1__STATUS__INIT;
    MESSAGE(status, STATUS);

    body.connections = 7;
    node_send(node, &message);
}

void node_settle(struct plane *plane, struct node *node)
{
    node_enrol(plane, node);
    node_connect(node);
    node_hello(node, NULL);
    WAIT_FOR(plane, node->pushes == 1);
    ck_assert_uint_eq(node->welcomes, 1);
    node_request_all(node);
    WAIT_FOR(plane, node->chunks == node->manifest->n_chunks);
    node_ack(node, node->nonce);
}

/* A change that every node of the group gets. */
void plane_change(void)
{
    static unsigned n;
    char body[80];

    snprintf(body, sizeof body, "{'title':'change %u'}", ++n);
    json_decref(t_patch("event-apis", "orders.v1", body));
}

/* The node's field in GET /v1/gateway-nodes. */
bool node_has(const struct node *node, const char *field, const char *value)
{
    json_t *object = t_get("gateway-nodes", node->identity.node_id), *found = json_object_get(object, field);
    char *text =
        json_is_string(found) ? slc_strdup(json_string_value(found)) : json_dumps(found, JSON_ENCODE_ANY);
    bool same = text != NULL && strcmp(text, value) == 0;

    free(text);
    json_decref(object);
    return same;
}

bool node_applied(const struct node *node, uint64_t version)
{
    char text[24];

    snprintf(text, sizeof text, "%llu", (unsigned long long)version);
    return node_has(node, "applied_version", text);
}

/* Its refusal that is on record; NULL: any. */
bool node_has_nack(const struct node *node, const char *message)
{
    json_t *object = t_get("gateway-nodes", node->identity.node_id);
    const char *found = json_string_value(json_object_get(json_object_get(object, "last_nack"), "message"));
    bool has = found != NULL && (message == NULL || strcmp(found, message) == 0);

    json_decref(object);
    return has;
}
