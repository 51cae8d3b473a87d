/* Enrolment by join string, and renewal at half-life: unary calls to the control plane's enrolment port. */
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/clock.h"
#include "common/log.h"
#include "dataplane/config/client_private.h"
#include "dataplane/config/keys.h"
#include "proto/bounded.h"

#define ENROL_METHOD      "/sluice.enrolment.v1.Enrolment/Enrol"
#define RENEW_METHOD      "/sluice.enrolment.v1.Enrolment/Renew"
#define RENEW_CONTEXT     "sluice-renew-v1"
#define RECEIVE_MAX_BYTES (256 * 1024)
#define PIN_TIMEOUT_MS    5000
#define CALL_TIMEOUT_MS   15000

/* A call under way. It outlives its client's interest: `client` is NULL then. */
struct slc_enrolment {
    slc_config_client *client;
    slc_rpc_channel *channel;
    char *key_pem; /* of the certificate that was asked for */
    char *endpoint;
    bool renewal;
    slc_identity *identity; /* the answer */
    slc_error err;
};

static void schedule(slc_config_client *client);

static void free_enrolment(struct slc_enrolment *enrolment)
{
    slc_free_secret(enrolment->key_pem, enrolment->key_pem != NULL ? strlen(enrolment->key_pem) : 0);
    slc_identity_free(enrolment->identity);
    free(enrolment->endpoint);
    free(enrolment);
}

static void retry_later(slc_config_client *client, const char *what, const slc_error *err)
{
    slc_log(SLC_LOG_ERROR, what, LS("reason", err->message), LI("retry_ms", client->enrol_backoff_ms));
    slc_client_arm(client->enrol_timer, slc_jitter_ms(client->enrol_backoff_ms, 50));
    client->enrol_backoff_ms *= 2;
    if (client->enrol_backoff_ms > client->reconnect_max_ms)
        client->enrol_backoff_ms = client->reconnect_max_ms;
}

/* ---- the answer ---- */

static Sluice__Enrolment__V1__Identity *answer_of(const struct slc_enrolment *enrolment,
                                                  ProtobufCMessage *message)
{
    return enrolment->renewal ? ((Sluice__Enrolment__V1__RenewResponse *)message)->identity
                              : ((Sluice__Enrolment__V1__EnrolResponse *)message)->identity;
}

static void on_message(slc_rpc_call *call, void *ctx, const uint8_t *data, size_t len)
{
    struct slc_enrolment *enrolment = ctx;
    const ProtobufCMessageDescriptor *descriptor = enrolment->renewal
                                                       ? &sluice__enrolment__v1__renew_response__descriptor
                                                       : &sluice__enrolment__v1__enrol_response__descriptor;
    ProtobufCMessage *message = slc_unpack_bounded(descriptor, data, len);

    (void)call;
    if (message == NULL) {
        slc_fail(&enrolment->err, SLC_CORRUPT, NULL, "the control plane's answer does not decode");
        return;
    }
    if (enrolment->client != NULL && enrolment->identity == NULL)
        enrolment->identity =
            slc_identity_from_answer(answer_of(enrolment, message), enrolment->key_pem, enrolment->endpoint,
                                     enrolment->client->identity, &enrolment->err);
    protobuf_c_message_free_unpacked(message, NULL);
}

static void on_sent(slc_rpc_call *call, void *ctx)
{
    (void)ctx;
    slc_rpc_call_finish(call, SLC_RPC_OK, NULL);
}

static void succeeded(slc_config_client *client, struct slc_enrolment *enrolment)
{
    slc_identity *identity = enrolment->identity;
    slc_error err;

    enrolment->identity = NULL;
    if (!slc_client_take_identity(client, identity, &err)) {
        retry_later(client, "the node's new identity cannot be kept", &err);
        return;
    }
    client->enrol_backoff_ms = client->retry_enrol_ms;
    slc_log(SLC_LOG_INFO, enrolment->renewal ? "certificate renewed" : "enrolled",
            LS("node", client->identity->node_id), LS("group", client->identity->group),
            LI("expires_in_ms", client->identity->not_after_ms - slc_wall_ms()));
    schedule(client);
    if (client->call == NULL) { /* at the first enrolment, or after an expired certificate kept it shut */
        client->backoff_ms = client->reconnect_min_ms;
        slc_client_connect(client);
    }
}

static void on_end(slc_rpc_call *call, void *ctx, enum slc_rpc_status status, const char *message)
{
    struct slc_enrolment *enrolment = ctx;
    slc_config_client *client = enrolment->client;

    (void)call;
    if (client != NULL) {
        client->enrolment = NULL;
        slc_rpc_channel_free(enrolment->channel);
        if (status != SLC_RPC_OK)
            slc_fail(&enrolment->err, slc_rpc_status_code(status), NULL, "%s: %s", enrolment->endpoint,
                     message);
        else if (enrolment->identity == NULL && enrolment->err.code == SLC_OK)
            slc_fail(&enrolment->err, SLC_CORRUPT, NULL, "%s gave no answer", enrolment->endpoint);
        if (status == SLC_RPC_OK && enrolment->identity != NULL)
            succeeded(client, enrolment);
        else
            retry_later(client,
                        enrolment->renewal ? "the certificate could not be renewed" : "enrolment failed",
                        &enrolment->err);
    }
    free_enrolment(enrolment);
}

static const slc_rpc_call_ops enrol_ops = {.on_message = on_message, .on_sent = on_sent, .on_end = on_end};

/* ---- the question ---- */

static bool call(slc_config_client *client, struct slc_enrolment *enrolment, const char *server_name,
                 const char *ca_pem, const ProtobufCMessage *request, slc_error *err)
{
    slc_rpc_channel_options options = {.target = enrolment->endpoint,
                                       .server_name = server_name,
                                       .ca_pem = ca_pem,
                                       .receive_bytes = RECEIVE_MAX_BYTES};
    size_t len = protobuf_c_message_get_packed_size(request);
    slc_rpc_bytes *bytes;
    slc_rpc_call *unary;
    uint8_t *packed;

    enrolment->channel = slc_rpc_channel_new(client->rpc, &options, err);
    if (enrolment->channel == NULL)
        return false;
    packed = slc_malloc(len + 1);
    protobuf_c_message_pack(request, packed);
    bytes = slc_rpc_bytes_new(packed, len);
    slc_free_secret(packed, len);
    enrolment->client = client;
    client->enrolment = enrolment;
    unary = slc_rpc_channel_call(enrolment->channel, enrolment->renewal ? RENEW_METHOD : ENROL_METHOD,
                                 CALL_TIMEOUT_MS, &enrol_ops, enrolment);
    slc_rpc_call_read(unary);
    slc_rpc_call_send(unary, bytes);
    slc_rpc_bytes_unref(bytes);
    return true;
}

static struct slc_enrolment *new_enrolment(const char *endpoint, bool renewal)
{
    struct slc_enrolment *enrolment = slc_calloc(1, sizeof(*enrolment));

    enrolment->endpoint = slc_strdup(endpoint);
    enrolment->renewal = renewal;
    enrolment->key_pem = slc_key_generate();
    return enrolment;
}

static bool enrol(slc_config_client *client, slc_error *err)
{
    Sluice__Enrolment__V1__EnrolRequest request = SLUICE__ENROLMENT__V1__ENROL_REQUEST__INIT;
    struct slc_enrolment *enrolment;
    char *ca_pem;
    slc_join join;
    bool ok = false;

    if (!slc_join_parse(client->join_text, strlen(client->join_text), &join, err))
        return false;
    ca_pem = slc_pin_fetch_ca(&join, SLC_CONTROL_SERVER_NAME, PIN_TIMEOUT_MS, err);
    if (ca_pem == NULL)
        return false;
    enrolment = new_enrolment(join.endpoint, false);
    request.token = join.token;
    request.build = client->build;
    request.node_name = client->node_name;
    request.csr_der.data = slc_key_request(enrolment->key_pem, &request.csr_der.len, err);
    if (request.csr_der.data != NULL)
        ok = call(client, enrolment, SLC_CONTROL_SERVER_NAME, ca_pem, &request.base, err);
    if (!ok)
        free_enrolment(enrolment);
    free(request.csr_der.data);
    free(ca_pem);
    explicit_bzero(&join, sizeof(join));
    return ok;
}

/* The proof: the old key's signature over what is asked for and when. New. */
static uint8_t *sign_renewal(const slc_identity *identity, int64_t signed_at_ms, const ProtobufCBinaryData *csr,
                             size_t *len, slc_error *err)
{
    const size_t context_len = strlen(RENEW_CONTEXT);
    uint8_t *text = slc_malloc(context_len + 8 + csr->len), *signature;

    memcpy(text, RENEW_CONTEXT, context_len);
    for (unsigned i = 0; i < 8; i++)
        text[context_len + i] = (uint8_t)((uint64_t)signed_at_ms >> (56 - 8 * i));
    memcpy(text + context_len + 8, csr->data, csr->len);
    signature = slc_key_sign(identity->key_pem, text, context_len + 8 + csr->len, len, err);
    free(text);
    return signature;
}

static bool renew(slc_config_client *client, slc_error *err)
{
    const slc_identity *identity = client->identity;
    Sluice__Enrolment__V1__RenewRequest request = SLUICE__ENROLMENT__V1__RENEW_REQUEST__INIT;
    struct slc_enrolment *enrolment = new_enrolment(identity->enrolment_endpoint, true);
    bool ok = false;

    request.certificate_pem = identity->certificate_pem;
    request.signed_at_ms = slc_wall_ms();
    request.csr_der.data = slc_key_request(enrolment->key_pem, &request.csr_der.len, err);
    if (request.csr_der.data != NULL)
        request.signature.data =
            sign_renewal(identity, request.signed_at_ms, &request.csr_der, &request.signature.len, err);
    if (request.signature.data != NULL)
        ok = call(client, enrolment, identity->server_name, identity->bundle_pem, &request.base, err);
    if (!ok)
        free_enrolment(enrolment);
    free(request.signature.data);
    free(request.csr_der.data);
    return ok;
}

/* ---- when ---- */

/* Half-life, spread so that gateways that enrolled together do not renew together. */
static void schedule(slc_config_client *client)
{
    const slc_identity *identity = client->identity;
    int64_t life_ms = identity->not_after_ms - identity->not_before_ms;
    int64_t at_ms = identity->not_before_ms + life_ms / 2 + slc_jitter_ms(life_ms / 10, 100) - life_ms / 10;
    int64_t delay_ms = at_ms - slc_wall_ms();

    slc_client_arm(client->enrol_timer, delay_ms > 0 ? delay_ms : 0);
}

static bool renewal_is_due(const slc_identity *identity)
{
    int64_t life_ms = identity->not_after_ms - identity->not_before_ms;

    /* the earliest time that schedule() may choose */
    return slc_wall_ms() >= identity->not_before_ms + life_ms / 2 - life_ms / 10;
}

void slc_client_enrol(slc_config_client *client)
{
    slc_error err;

    if (client->stopping || client->rpc == NULL || client->enrolment != NULL)
        return;
    if (client->identity == NULL) {
        if (!enrol(client, &err))
            retry_later(client, "enrolment failed", &err);
    } else if (!renewal_is_due(client->identity)) {
        schedule(client);
    } else if (!renew(client, &err)) {
        retry_later(client, "the certificate could not be renewed", &err);
    }
}

void slc_client_enrol_release(slc_config_client *client)
{
    struct slc_enrolment *enrolment = client->enrolment;

    event_del(client->enrol_timer);
    if (enrolment == NULL)
        return;
    client->enrolment = NULL;
    enrolment->client = NULL;
    slc_rpc_channel_free(enrolment->channel); /* its call ends, and frees the enrolment */
}
