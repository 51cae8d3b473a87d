/* The scripted control plane. */
#include "fake_control.h"

#include <check.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "common/join.h"
#include "controlplane/ca/x509.h"
#include "sluice/config.pb-c.h"
#include "sluice/enrolment.pb-c.h"

#define HEARTBEAT_MS  200
#define SERVER_LIFE   (24 * 3600 * 1000LL)
#define RENEW_CONTEXT "sluice-renew-v1"

struct fake_queue {
    struct fake_queue *next;
    slc_rpc_bytes *bytes;
};

/* ---- waiting ---- */

bool fake_turn(struct fake *fake, int64_t since_ms)
{
    int64_t left_ms = since_ms + FAKE_WAIT_MS - slc_monotonic_ms();
    struct timespec until;

    if (left_ms <= 0)
        return false;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += left_ms / 1000;
    until.tv_nsec += (left_ms % 1000) * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    (void)pthread_cond_timedwait(&fake->changed, &fake->lock, &until); /* late or not, the condition decides */
    return true;
}

static struct fake_seen *lock(struct fake *fake)
{
    pthread_mutex_lock(&fake->lock);
    return &fake->seen;
}

static void unlock(struct fake *fake)
{
    pthread_cond_broadcast(&fake->changed);
    pthread_mutex_unlock(&fake->lock);
}

/* ---- the stream ---- */

static void send_next(struct fake *fake)
{
    struct fake_queue *first = fake->queue;

    if (first == NULL || fake->stream == NULL || !slc_rpc_call_can_send(fake->stream))
        return;
    fake->queue = first->next;
    if (fake->queue == NULL)
        fake->tail = &fake->queue;
    slc_rpc_call_send(fake->stream, first->bytes);
    slc_rpc_bytes_unref(first->bytes);
    free(first);
}

static void drop_queue(struct fake *fake)
{
    while (fake->queue != NULL) {
        struct fake_queue *first = fake->queue;

        fake->queue = first->next;
        slc_rpc_bytes_unref(first->bytes);
        free(first);
    }
    fake->tail = &fake->queue;
}

static void send_bytes(struct fake *fake, const void *data, size_t len)
{
    struct fake_queue *item = slc_calloc(1, sizeof *item);

    item->bytes = slc_rpc_bytes_new(data, len);
    *fake->tail = item;
    fake->tail = &item->next;
    send_next(fake);
}

static void send_message(struct fake *fake, const Sluice__Config__V1__ToNode *message)
{
    size_t len = sluice__config__v1__to_node__get_packed_size(message);
    uint8_t *packed = slc_malloc(len + 1);

    sluice__config__v1__to_node__pack(message, packed);
    send_bytes(fake, packed, len);
    free(packed);
}

static void send_welcome(struct fake *fake)
{
    Sluice__Config__V1__ToNode message = SLUICE__CONFIG__V1__TO_NODE__INIT;
    Sluice__Config__V1__Welcome welcome = SLUICE__CONFIG__V1__WELCOME__INIT;

    welcome.node_id = "node-1";
    welcome.group = "dev";
    welcome.heartbeat_ms = HEARTBEAT_MS;
    message.message_case = SLUICE__CONFIG__V1__TO_NODE__MESSAGE_WELCOME;
    message.welcome = &welcome;
    send_message(fake, &message);
}

static void send_manifest(struct fake *fake)
{
    Sluice__Config__V1__ToNode message = SLUICE__CONFIG__V1__TO_NODE__INIT;
    Sluice__Config__V1__ManifestPush push = SLUICE__CONFIG__V1__MANIFEST_PUSH__INIT;
    char nonce[16];

    if (fake->maker == NULL || fake->stream == NULL)
        return;
    snprintf(nonce, sizeof nonce, "n%u", ++fake->nonce);
    push.nonce = nonce;
    push.manifest = &fake->maker->manifest;
    message.message_case = SLUICE__CONFIG__V1__TO_NODE__MESSAGE_MANIFEST;
    message.manifest = &push;
    if (fake->push_garbage)
        send_bytes(fake, "\xff\xff\xff", 3);
    else
        send_message(fake, &message);
}

static void send_chunk(struct fake *fake, const uint8_t *sha256)
{
    Sluice__Config__V1__ToNode message = SLUICE__CONFIG__V1__TO_NODE__INIT;
    Sluice__Config__V1__Chunk chunk = SLUICE__CONFIG__V1__CHUNK__INIT;
    struct maker_chunk *found = maker_find(fake->maker, sha256);

    ck_assert_ptr_nonnull(found);
    chunk.sha256 = (ProtobufCBinaryData){32, (uint8_t *)sha256};
    chunk.content = (ProtobufCBinaryData){found->len, found->content};
    if (fake->lie_about_chunks)
        chunk.content = (ProtobufCBinaryData){3, (uint8_t *)"lie"};
    message.message_case = SLUICE__CONFIG__V1__TO_NODE__MESSAGE_CHUNK;
    message.chunk = &chunk;
    send_message(fake, &message);
    fake->seen.chunks_sent++;
}

static bool is_held(const struct fake *fake)
{
    uint8_t digest[32];

    if (fake->maker == NULL || !fake->seen.held)
        return false;
    slc_manifest_digest(&fake->maker->manifest, digest);
    return memcmp(digest, fake->seen.held_sha256, sizeof digest) == 0;
}

static void on_hello(struct fake *fake, const Sluice__Config__V1__Hello *hello)
{
    fake->seen.hellos++;
    fake->seen.held = hello->held_manifest_sha256.len == 32;
    fake->seen.held_version = hello->held_version;
    if (fake->seen.held)
        memcpy(fake->seen.held_sha256, hello->held_manifest_sha256.data, 32);
    if (fake->mute)
        return;
    if (!fake->push_before_welcome)
        send_welcome(fake);
    if (fake->welcome_twice)
        send_welcome(fake);
    if (fake->send_unasked_chunk)
        send_chunk(fake, fake->maker->chunks[0].sha256);
    if (!is_held(fake))
        send_manifest(fake);
}

static void dispatch(struct fake *fake, const Sluice__Config__V1__FromNode *message)
{
    struct fake_seen *seen = &fake->seen;

    switch (message->message_case) {
    case SLUICE__CONFIG__V1__FROM_NODE__MESSAGE_HELLO:
        on_hello(fake, message->hello);
        break;
    case SLUICE__CONFIG__V1__FROM_NODE__MESSAGE_CHUNK_REQUEST:
        seen->chunk_requests++;
        for (size_t i = 0; i < message->chunk_request->n_sha256; i++)
            send_chunk(fake, message->chunk_request->sha256[i].data);
        break;
    case SLUICE__CONFIG__V1__FROM_NODE__MESSAGE_ACK:
        seen->acks++;
        seen->acked_version = message->ack->version;
        break;
    case SLUICE__CONFIG__V1__FROM_NODE__MESSAGE_NACK:
        seen->nacks++;
        seen->nacked_version = message->nack->version;
        snprintf(seen->entity, sizeof seen->entity, "%s", message->nack->entity);
        snprintf(seen->message, sizeof seen->message, "%s", message->nack->message);
        break;
    case SLUICE__CONFIG__V1__FROM_NODE__MESSAGE_STATUS:
        seen->statuses++;
        break;
    case SLUICE__CONFIG__V1__FROM_NODE__MESSAGE_RETRIED:
        seen->retries++;
        seen->retried_version = message->retried->version;
        seen->retry_worked = message->retried->applied;
        snprintf(seen->message, sizeof seen->message, "%s", message->retried->message);
        break;
    case SLUICE__CONFIG__V1__FROM_NODE__MESSAGE_CONNECTIONS:
        seen->parts++;
        seen->connections += message->connections->n_connections;
        seen->total = message->connections->total;
        seen->last_part = message->connections->last;
        break;
    default:
        ck_abort_msg("a message of an unknown kind");
    }
}

static void send_question(void *arg)
{
    struct fake *fake = arg;
    Sluice__Config__V1__ConnectionsRequest body = SLUICE__CONFIG__V1__CONNECTIONS_REQUEST__INIT;
    Sluice__Config__V1__ToNode message = SLUICE__CONFIG__V1__TO_NODE__INIT;

    body.id = "question";
    body.limit = 5000;
    message.message_case = SLUICE__CONFIG__V1__TO_NODE__MESSAGE_CONNECTIONS_REQUEST;
    message.connections_request = &body;
    lock(fake);
    send_message(fake, &message);
    unlock(fake);
}

void fake_ask(struct fake *fake)
{
    slc_loop_call_sync(fake->loop, send_question, fake);
}

static void on_stream_message(slc_rpc_call *call, void *ctx, const uint8_t *data, size_t len)
{
    struct fake *fake = ctx;
    Sluice__Config__V1__FromNode *message = sluice__config__v1__from_node__unpack(NULL, len, data);

    ck_assert_ptr_nonnull(message);
    lock(fake);
    if (fake->stream == call)
        dispatch(fake, message);
    unlock(fake);
    sluice__config__v1__from_node__free_unpacked(message, NULL);
    slc_rpc_call_read(call);
}

static void on_stream_sent(slc_rpc_call *call, void *ctx)
{
    struct fake *fake = ctx;

    if (fake->stream == call)
        send_next(fake);
}

static void on_stream_end(slc_rpc_call *call, void *ctx, enum slc_rpc_status status, const char *message)
{
    struct fake *fake = ctx;

    (void)status;
    (void)message;
    lock(fake)->ends++;
    if (fake->stream == call) {
        fake->stream = NULL;
        drop_queue(fake);
    }
    unlock(fake);
}

static const slc_rpc_call_ops stream_ops = {
    .on_message = on_stream_message, .on_sent = on_stream_sent, .on_end = on_stream_end};

static void on_stream(slc_rpc_call *call, void *arg)
{
    struct fake *fake = arg;

    slc_rpc_call_set(call, &stream_ops, fake);
    lock(fake);
    ck_assert_str_eq(slc_rpc_call_peer_spiffe(call), "spiffe://sluice/group/dev/node/node-1");
    drop_queue(fake);
    fake->stream = call;
    if (fake->push_before_welcome)
        send_manifest(fake);
    unlock(fake);
    slc_rpc_call_read(call);
}

/* ---- enrolment ---- */

static X509 *issue(struct fake *fake, const ProtobufCBinaryData *csr)
{
    const unsigned char *at = csr->data;
    X509_REQ *request = d2i_X509_REQ(NULL, &at, (long)csr->len);
    slc_x509_spec spec = {.common_name = "node-1",
                          .subject_alt_name = "URI:spiffe://sluice/group/dev/node/node-1",
                          .usage = "clientAuth",
                          .not_before_ms = slc_wall_ms() - 1000,
                          .not_after_ms = slc_wall_ms() + fake->leaf_ms};
    slc_error err;
    X509 *leaf;

    ck_assert_ptr_nonnull(request);
    ck_assert_int_eq(X509_REQ_verify(request, X509_REQ_get0_pubkey(request)), 1);
    leaf = slc_x509_sign(&spec, X509_REQ_get0_pubkey(request), fake->ca, fake->ca_key, &err);
    ck_assert_ptr_nonnull(leaf);
    X509_REQ_free(request);
    return leaf;
}

/* Fills what both answers hold; the texts are the caller's to free. */
static void fill_identity(struct fake *fake, const ProtobufCBinaryData *csr,
                          Sluice__Enrolment__V1__Identity *identity)
{
    X509 *leaf = issue(fake, csr);

    sluice__enrolment__v1__identity__init(identity);
    identity->node_id = "node-1";
    identity->group = "dev";
    identity->certificate_pem = slc_x509_cert_pem(leaf);
    identity->trust_bundle_pem = slc_x509_cert_pem(fake->ca);
    identity->config_endpoint = slc_asprintf("127.0.0.1:%u", fake->config_port);
    identity->not_after_ms = slc_x509_not_after_ms(leaf);
    identity->server_name = "sluice-control";
    X509_free(leaf);
}

static void answer(slc_rpc_call *call, const ProtobufCMessage *message,
                   Sluice__Enrolment__V1__Identity *identity)
{
    size_t len = protobuf_c_message_get_packed_size(message);
    uint8_t *packed = slc_malloc(len + 1);
    slc_rpc_bytes *bytes;

    protobuf_c_message_pack(message, packed);
    bytes = slc_rpc_bytes_new(packed, len);
    slc_rpc_call_send(call, bytes);
    slc_rpc_call_finish(call, SLC_RPC_OK, NULL);
    slc_rpc_bytes_unref(bytes);
    free(packed);
    free(identity->certificate_pem);
    free(identity->trust_bundle_pem);
    free(identity->config_endpoint);
}

static void on_enrol_message(slc_rpc_call *call, void *ctx, const uint8_t *data, size_t len)
{
    struct fake *fake = ctx;
    Sluice__Enrolment__V1__EnrolRequest *request =
        sluice__enrolment__v1__enrol_request__unpack(NULL, len, data);
    Sluice__Enrolment__V1__EnrolResponse response = SLUICE__ENROLMENT__V1__ENROL_RESPONSE__INIT;
    Sluice__Enrolment__V1__Identity identity;

    ck_assert_ptr_nonnull(request);
    lock(fake)->enrols++;
    ck_assert_str_eq(request->token, FAKE_TOKEN);
    if (fake->enrol_status != SLC_RPC_OK) {
        slc_rpc_call_finish(call, fake->enrol_status, "the token is used up");
    } else {
        fill_identity(fake, &request->csr_der, &identity);
        response.identity = &identity;
        answer(call, &response.base, &identity);
    }
    unlock(fake);
    sluice__enrolment__v1__enrol_request__free_unpacked(request, NULL);
}

static bool renewal_is_signed(const Sluice__Enrolment__V1__RenewRequest *request)
{
    size_t context_len = strlen(RENEW_CONTEXT), len = context_len + 8 + request->csr_der.len;
    uint8_t *text = slc_malloc(len);
    slc_error err;
    X509 *certificate = slc_x509_read_cert(request->certificate_pem, &err);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ok;

    ck_assert_ptr_nonnull(certificate);
    memcpy(text, RENEW_CONTEXT, context_len);
    for (unsigned i = 0; i < 8; i++)
        text[context_len + i] = (uint8_t)((uint64_t)request->signed_at_ms >> (56 - 8 * i));
    memcpy(text + context_len + 8, request->csr_der.data, request->csr_der.len);
    ok = EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, X509_get0_pubkey(certificate)) == 1 &&
         EVP_DigestVerify(ctx, request->signature.data, request->signature.len, text, len) == 1;
    EVP_MD_CTX_free(ctx);
    X509_free(certificate);
    free(text);
    return ok;
}

static void on_renew_message(slc_rpc_call *call, void *ctx, const uint8_t *data, size_t len)
{
    struct fake *fake = ctx;
    Sluice__Enrolment__V1__RenewRequest *request =
        sluice__enrolment__v1__renew_request__unpack(NULL, len, data);
    Sluice__Enrolment__V1__RenewResponse response = SLUICE__ENROLMENT__V1__RENEW_RESPONSE__INIT;
    Sluice__Enrolment__V1__Identity identity;

    ck_assert_ptr_nonnull(request);
    lock(fake);
    if (renewal_is_signed(request))
        fake->seen.renewals++;
    else
        fake->seen.bad_renewals++;
    fill_identity(fake, &request->csr_der, &identity);
    response.identity = &identity;
    answer(call, &response.base, &identity);
    unlock(fake);
    sluice__enrolment__v1__renew_request__free_unpacked(request, NULL);
}

static void on_unary_end(slc_rpc_call *call, void *ctx, enum slc_rpc_status status, const char *message)
{
    (void)call;
    (void)ctx;
    (void)status;
    (void)message;
}

static const slc_rpc_call_ops enrol_ops = {.on_message = on_enrol_message, .on_end = on_unary_end};
static const slc_rpc_call_ops renew_ops = {.on_message = on_renew_message, .on_end = on_unary_end};

static void on_enrol(slc_rpc_call *call, void *arg)
{
    slc_rpc_call_set(call, &enrol_ops, arg);
    slc_rpc_call_read(call);
}

static void on_renew(slc_rpc_call *call, void *arg)
{
    slc_rpc_call_set(call, &renew_ops, arg);
    slc_rpc_call_read(call);
}

/* ---- ports ---- */

static bool fetch(void *arg, char **chain, char **key, char **client_ca)
{
    struct fake *fake = arg;
    char *leaf = slc_x509_cert_pem(fake->server), *ca = slc_x509_cert_pem(fake->ca);

    *chain = slc_asprintf("%s%s", leaf, ca);
    *key = slc_x509_key_pem(fake->server_key);
    *client_ca = ca;
    free(leaf);
    return true;
}

static slc_rpc_server *open_port(struct fake *fake, uint16_t port, bool mutual, const slc_rpc_method *methods)
{
    slc_rpc_server_identity identity = {.fetch = fetch, .arg = fake, .require_client_cert = mutual};
    slc_rpc_server_limits limits = {.receive_bytes = 1 << 20, .keepalive_min_ms = 1000};
    slc_rpc_server *server;
    char address[32];
    slc_error err;

    snprintf(address, sizeof address, "127.0.0.1:%u", port);
    server = slc_rpc_server_new(fake->rpc, address, &identity, &limits, methods, &err);
    ck_assert_msg(server != NULL, "%s", err.message);
    return server;
}

static void open_on_loop(void *arg)
{
    struct fake *fake = arg;

    fake->config = open_port(fake, fake->config_port, true, fake->config_methods);
    fake->enrolment = open_port(fake, fake->enrolment_port, false, fake->enrolment_methods);
    fake->config_port = slc_rpc_server_port(fake->config);
    fake->enrolment_port = slc_rpc_server_port(fake->enrolment);
}

static void on_stopped(void *arg)
{
    struct fake *fake = arg;

    lock(fake);
    fake->stopping--;
    unlock(fake);
}

static void close_on_loop(void *arg)
{
    struct fake *fake = arg;

    lock(fake);
    fake->stopping = 2;
    unlock(fake);
    slc_rpc_server_stop(fake->config, 0, on_stopped, fake);
    slc_rpc_server_stop(fake->enrolment, 0, on_stopped, fake);
}

void fake_open_ports(struct fake *fake)
{
    slc_loop_call_sync(fake->loop, open_on_loop, fake);
}

void fake_close_ports(struct fake *fake)
{
    slc_loop_call_sync(fake->loop, close_on_loop, fake);
    fake_wait(fake, fake->stopping == 0);
}

/* ---- start, stop, push ---- */

static void make_authority(struct fake *fake)
{
    slc_x509_spec ca = {.common_name = "test CA",
                        .not_before_ms = slc_wall_ms() - 1000,
                        .not_after_ms = slc_wall_ms() + SERVER_LIFE};
    slc_x509_spec server = {.common_name = "server",
                            .subject_alt_name = "DNS:sluice-control",
                            .usage = "serverAuth",
                            .not_before_ms = ca.not_before_ms,
                            .not_after_ms = ca.not_after_ms};
    slc_error err;

    fake->ca_key = slc_x509_new_key();
    fake->server_key = slc_x509_new_key();
    fake->ca = slc_x509_sign(&ca, fake->ca_key, NULL, fake->ca_key, &err);
    ck_assert_msg(fake->ca != NULL, "%s", err.message);
    fake->server = slc_x509_sign(&server, fake->server_key, fake->ca, fake->ca_key, &err);
    ck_assert_msg(fake->server != NULL, "%s", err.message);
}

static void start_on_loop(void *arg)
{
    struct fake *fake = arg;
    slc_error err;

    fake->rpc = slc_rpc_start(fake->loop, &err);
    ck_assert_ptr_nonnull(fake->rpc);
}

static void stop_on_loop(void *arg)
{
    struct fake *fake = arg;

    slc_rpc_stop(fake->rpc);
}

void fake_start(struct fake *fake)
{
    slc_error err;

    memset(fake, 0, sizeof *fake);
    pthread_mutex_init(&fake->lock, NULL);
    pthread_cond_init(&fake->changed, NULL);
    fake->tail = &fake->queue;
    fake->leaf_ms = SERVER_LIFE;
    make_authority(fake);
    fake->config_methods[0] = (slc_rpc_method){"/sluice.config.v1.Config/Stream", on_stream, fake};
    fake->enrolment_methods[0] = (slc_rpc_method){"/sluice.enrolment.v1.Enrolment/Enrol", on_enrol, fake};
    fake->enrolment_methods[1] = (slc_rpc_method){"/sluice.enrolment.v1.Enrolment/Renew", on_renew, fake};
    fake->loop = slc_loop_new("fake", fake);
    ck_assert(slc_loop_start(fake->loop, &err));
    slc_loop_call_sync(fake->loop, start_on_loop, fake);
    fake_open_ports(fake);
}

void fake_stop(struct fake *fake)
{
    fake_close_ports(fake);
    slc_loop_call_sync(fake->loop, stop_on_loop, fake);
    slc_loop_stop(fake->loop);
    slc_loop_join(fake->loop);
    slc_loop_free(fake->loop);
    drop_queue(fake);
    X509_free(fake->ca);
    X509_free(fake->server);
    EVP_PKEY_free(fake->ca_key);
    EVP_PKEY_free(fake->server_key);
    pthread_cond_destroy(&fake->changed);
    pthread_mutex_destroy(&fake->lock);
}

static void push_on_loop(void *arg)
{
    struct fake *fake = arg;

    lock(fake);
    send_manifest(fake);
    unlock(fake);
}

void fake_push(struct fake *fake, struct maker *maker)
{
    lock(fake);
    maker_seal(maker);
    fake->maker = maker;
    unlock(fake);
    slc_loop_call_sync(fake->loop, push_on_loop, fake);
}

void fake_push_as_it_is(struct fake *fake)
{
    slc_loop_call_sync(fake->loop, push_on_loop, fake);
}

char *fake_join(struct fake *fake, bool wrong_pin)
{
    slc_join join = {.token = FAKE_TOKEN};
    slc_error err;
    char *text;

    snprintf(join.endpoint, sizeof join.endpoint, "127.0.0.1:%u", fake->enrolment_port);
    snprintf(join.config, sizeof join.config, "127.0.0.1:%u", fake->config_port);
    slc_x509_pin(fake->ca, join.ca_sha256);
    join.ca_sha256[0] ^= wrong_pin ? 1 : 0;
    text = slc_join_compose(&join, &err);
    ck_assert_msg(text != NULL, "%s", err.message);
    return text;
}
