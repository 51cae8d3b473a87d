/* Enrolment by join string or by a service account's token, and renewal at half-life: unary calls to the
 * control plane's enrolment port. */
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/clock.h"
#include "common/file.h"
#include "common/log.h"
#include "common/settings.h"
#include "dataplane/config/client_private.h"
#include "dataplane/config/keys.h"
#include "proto/bounded.h"

#define ENROL_METHOD      "/sluice.enrolment.v1.Enrolment/Enrol"
#define RENEW_METHOD      "/sluice.enrolment.v1.Enrolment/Renew"
#define RENEW_CONTEXT     "sluice-renew-v1"
#define RECEIVE_MAX_BYTES (256 * 1024)
#define PIN_TIMEOUT_MS    5000
#define CALL_TIMEOUT_MS   15000
#define TOKEN_MAX_BYTES   16384
#define RENEW_PAUSE_MS    100 /* the least between two renewals, whatever clocks and certificates say */

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

/* ---- how to enrol ---- */

static bool read_service_account(slc_config_client *client, const slc_config_client_options *options,
                                 slc_error *err)
{
    const char *pin = options->enrolment_ca_sha256;
    char host[256];
    uint16_t port;

    if (options->enrolment_endpoint == NULL || pin == NULL || options->service_account_token_file == NULL)
        return slc_fail(
            err, SLC_INVALID, NULL,
            "enrolment with a service account's token needs the control plane's endpoint, the SHA-256 of "
            "its CA's key and the token's file");
    if (strlen(options->enrolment_endpoint) >= sizeof(client->join.endpoint) ||
        !slc_address_split(options->enrolment_endpoint, host, sizeof(host), &port, NULL) || host[0] == '\0')
        return slc_fail(err, SLC_INVALID, NULL, "the endpoint of enrolment is not HOST:PORT");
    if (!slc_hex_decode(pin, strlen(pin), client->join.ca_sha256, SLC_SHA256_BYTES))
        return slc_fail(err, SLC_INVALID, NULL, "the SHA-256 of the CA's key is not 64 hexadecimal digits");
    strcpy(client->join.endpoint, options->enrolment_endpoint);
    client->token_file = slc_strdup(options->service_account_token_file);
    return true;
}

bool slc_client_read_means(slc_config_client *client, const slc_config_client_options *options, slc_error *err)
{
    bool account = options->enrolment_endpoint != NULL || options->enrolment_ca_sha256 != NULL ||
                   options->service_account_token_file != NULL;

    if (options->join != NULL && account)
        return slc_fail(err, SLC_INVALID, NULL,
                        "enrolment is either by a join string or by a service account's token, not by both");
    if (account)
        return read_service_account(client, options, err);
    /* The string of a node that has its identity may have been lost or emptied. */
    if (options->join == NULL || options->join[0] == '\0')
        return true;
    return slc_join_parse(options->join, strlen(options->join), &client->join, err);
}

/* A revoked node stays out, whatever tokens it holds. Another is let in again when its identity is refused, or
 * when the control plane that it was told to trust is not the one of its identity. */
static bool may_enrol_anew(const slc_config_client *client, enum slc_rpc_status status)
{
    slc_error err;

    if (client->join.endpoint[0] == '\0' || status == SLC_RPC_PERMISSION_DENIED)
        return false;
    return status == SLC_RPC_UNAUTHENTICATED || status == SLC_RPC_NOT_FOUND ||
           !slc_key_check_bundle(client->identity->bundle_pem, client->join.ca_sha256, &err);
}

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
    client->enrol_anew = false;
    if (!slc_client_take_identity(client, identity, &err)) {
        retry_later(client, "the node's new identity cannot be kept", &err);
        return;
    }
    client->enrol_backoff_ms = client->retry_enrol_ms;
    slc_log(SLC_LOG_INFO, enrolment->renewal ? "certificate renewed" : "enrolled",
            LS("node", client->identity->node_id), LS("group", client->identity->group),
            LI("expires_in_ms", client->identity->not_after_ms - slc_wall_ms()));
    client->turned_away = false;
    schedule(client);
    if (!enrolment->renewal)
        slc_client_disconnect(client, "this node enrolled anew");
    if (client->call == NULL) { /* at the first enrolment, or after an expired certificate kept it shut */
        client->backoff_ms = client->reconnect_min_ms;
        slc_client_connect(client);
    }
}

static void failed(slc_config_client *client, const struct slc_enrolment *enrolment, enum slc_rpc_status status)
{
    /* Renewal and enrolment take turns: either may work when the other does not. */
    client->enrol_anew = enrolment->renewal && may_enrol_anew(client, status);
    retry_later(client, enrolment->renewal ? "the certificate could not be renewed" : "enrolment failed",
                &enrolment->err);
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
            failed(client, enrolment, status);
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

/* The file is a projected volume's, which is renewed behind it. */
static char *read_token(const slc_config_client *client, slc_error *err)
{
    size_t len;
    char *token;

    if (client->token_file == NULL)
        return slc_strdup("");
    token = slc_file_read(client->token_file, TOKEN_MAX_BYTES, &len, err);
    if (token == NULL)
        return NULL;
    token[strcspn(token, " \r\n")] = '\0';
    return token;
}

static bool ask_to_enrol(slc_config_client *client, char *account_token, const char *ca_pem, slc_error *err)
{
    Sluice__Enrolment__V1__EnrolRequest request = SLUICE__ENROLMENT__V1__ENROL_REQUEST__INIT;
    struct slc_enrolment *enrolment = new_enrolment(client->join.endpoint, false);
    bool ok = false;

    request.token = client->join.token;
    request.service_account_token = account_token;
    request.build = client->build;
    request.node_name = client->node_name;
    request.sent_at_ms = slc_wall_ms();
    request.csr_der.data = slc_key_request(enrolment->key_pem, &request.csr_der.len, err);
    if (request.csr_der.data != NULL)
        ok = call(client, enrolment, SLC_CONTROL_SERVER_NAME, ca_pem, &request.base, err);
    if (!ok)
        free_enrolment(enrolment);
    free(request.csr_der.data);
    return ok;
}

static bool enrol(slc_config_client *client, slc_error *err)
{
    char *token = read_token(client, err), *ca_pem = NULL;
    bool ok = false;

    if (token != NULL)
        ca_pem = slc_pin_fetch_ca(&client->join, SLC_CONTROL_SERVER_NAME, PIN_TIMEOUT_MS, err);
    if (ca_pem != NULL)
        ok = ask_to_enrol(client, token, ca_pem, err);
    free(ca_pem);
    slc_free_secret(token, token != NULL ? strlen(token) : 0);
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

static void arm(slc_config_client *client)
{
    int64_t delay_ms = client->renew_at_ms - slc_wall_ms();

    slc_client_arm(client->enrol_timer, delay_ms > RENEW_PAUSE_MS ? delay_ms : RENEW_PAUSE_MS);
}

/* Half of what was left when it came, spread so that gateways that enrolled together do not renew together. */
static void schedule(slc_config_client *client)
{
    const slc_identity *identity = client->identity;
    int64_t from_ms = identity->obtained_ms > 0 ? identity->obtained_ms : identity->not_before_ms;
    int64_t life_ms = identity->not_after_ms - from_ms;

    client->renew_at_ms = from_ms + (life_ms > 0 ? slc_jitter_ms(life_ms / 2, 10) : 0);
    arm(client);
    slc_client_follow_authority(client);
}

void slc_client_renew_within(slc_config_client *client, int64_t within_ms)
{
    int64_t at_ms = slc_wall_ms() + slc_jitter_ms(within_ms / 2, 100);

    if (at_ms >= client->renew_at_ms)
        return;
    client->renew_at_ms = at_ms;
    if (client->enrolment == NULL)
        arm(client);
}

/* A renewal shows whether the identity is still good, and says why if it is not: the handshake of a stream that
 * fails says nothing. Not for every outage, but when the authority that this node was told to trust is not the
 * one of its certificate. */
static bool renewal_may_help(const slc_config_client *client, enum slc_rpc_status status)
{
    const slc_identity *identity = client->identity;

    if (client->join.endpoint[0] == '\0')
        return false;
    if (status == SLC_RPC_UNAVAILABLE)
        return !slc_key_issued_by(identity->certificate_pem, identity->bundle_pem, client->join.ca_sha256);
    return status == SLC_RPC_UNAUTHENTICATED || status == SLC_RPC_NOT_FOUND;
}

void slc_client_refused(slc_config_client *client, enum slc_rpc_status status)
{
    if (client->turned_away || client->enrolment != NULL || !renewal_may_help(client, status))
        return;
    client->turned_away = true;
    client->renew_at_ms = slc_wall_ms();
    arm(client);
}

void slc_client_enrol(slc_config_client *client)
{
    slc_error err;

    if (client->stopping || client->rpc == NULL || client->enrolment != NULL)
        return;
    if (client->identity == NULL || client->enrol_anew) {
        if (enrol(client, &err))
            return;
        client->enrol_anew = false;
        retry_later(client, "enrolment failed", &err);
    } else if (slc_wall_ms() < client->renew_at_ms) {
        arm(client);
    } else if (!renew(client, &err)) {
        retry_later(client, "the certificate could not be renewed", &err);
    }
}

void slc_client_enrol_start(slc_config_client *client)
{
    if (client->identity != NULL)
        schedule(client);
    else
        slc_client_enrol(client);
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
