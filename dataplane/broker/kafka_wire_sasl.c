/* SASL towards a broker, by the backend's credentials: one table of mechanisms. */
#include <string.h>
#include <strings.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "dataplane/broker/kafka_wire.h"
#include "dataplane/config/secret.h"
#include "dataplane/kafka/sasl_codec.h"
#include "dataplane/kafka/scram_client.h"

#define MAX_TOKEN (64UL * 1024)

static bool handshake(slc_kafka_wire *wire, const char *mechanism, slc_error *err)
{
    slc_kafka_sasl_handshake answer;
    int32_t id = slc_kafka_wire_next_id(wire);
    if (!slc_kafka_sasl_handshake_request(&wire->out, id, SLC_KAFKA_WIRE_CLIENT, mechanism, err) ||
        !slc_kafka_wire_call(wire, err) ||
        !slc_kafka_sasl_handshake_response(wire->in.data, wire->in.len, id, &answer, err))
        return false;
    return answer.error == 0 ||
           slc_fail(err, SLC_DENIED, NULL, "%s does not take %s: set the backend's mechanism to one it offers",
                    wire->peer, mechanism);
}

/* Sends a token; the server's is in `answer`, which points into `wire->in`. */
static bool exchange(slc_kafka_wire *wire, const slc_buf *token, slc_kafka_sasl_answer *answer, slc_error *err)
{
    int32_t id = slc_kafka_wire_next_id(wire);
    bool ok = slc_kafka_sasl_authenticate_request(&wire->out, id, SLC_KAFKA_WIRE_CLIENT, token->data,
                                                  token->len, err) &&
              slc_kafka_wire_call(wire, err) &&
              slc_kafka_sasl_authenticate_response(wire->in.data, wire->in.len, id, answer, err);
    explicit_bzero(wire->out.data, wire->out.len);
    if (!ok)
        return false;
    return answer->error == 0 ||
           slc_fail(err, SLC_DENIED, NULL, "%s refuses the credentials: %s", wire->peer, answer->message);
}

/* A new authentication is due before the session that was granted ends. */
static void note_lifetime(slc_kafka_wire *wire, const slc_kafka_sasl_answer *answer)
{
    if (answer->session_lifetime_ms > 0)
        wire->renew_ms = slc_monotonic_ms() + answer->session_lifetime_ms / 10 * 8;
}

static bool send_once(slc_kafka_wire *wire, const slc_buf *token, slc_error *err)
{
    slc_kafka_sasl_answer answer;
    if (token->overflow)
        return slc_fail(err, SLC_LIMIT, NULL, "the backend's credentials have more than %lu bytes", MAX_TOKEN);
    if (!exchange(wire, token, &answer, err))
        return false;
    note_lifetime(wire, &answer);
    return true;
}

/* RFC 4616. */
static bool plain(slc_kafka_wire *wire, const char *password, size_t len, slc_buf *token, slc_error *err)
{
    const char *name = wire->backend->msg->username;
    slc_buf_addc(token, '\0');
    slc_buf_adds(token, name != NULL ? name : "");
    slc_buf_addc(token, '\0');
    slc_buf_add(token, password, len);
    return send_once(wire, token, err);
}

static bool scram(slc_kafka_wire *wire, bool sha512, const char *password, size_t len, slc_buf *token,
                  slc_error *err)
{
    slc_scram_client client;
    slc_kafka_sasl_answer answer;
    const char *name = wire->backend->msg->username;
    slc_scram_client_init(&client, sha512, NULL);
    bool ok = slc_scram_client_first(&client, name != NULL ? name : "", token, err) &&
              exchange(wire, token, &answer, err);
    slc_buf_clear(token);
    ok = ok && slc_scram_client_final(&client, password, len, answer.token, answer.token_len, token, err) &&
         exchange(wire, token, &answer, err) &&
         slc_scram_client_verify(&client, answer.token, answer.token_len, err);
    if (ok)
        note_lifetime(wire, &answer);
    slc_scram_client_release(&client);
    return ok;
}

static bool scram_256(slc_kafka_wire *wire, const char *password, size_t len, slc_buf *token, slc_error *err)
{
    return scram(wire, false, password, len, token, err);
}

static bool scram_512(slc_kafka_wire *wire, const char *password, size_t len, slc_buf *token, slc_error *err)
{
    return scram(wire, true, password, len, token, err);
}

/* RFC 7628 section 3.1. */
static bool oauthbearer(slc_kafka_wire *wire, const char *password, size_t len, slc_buf *token, slc_error *err)
{
    (void)password, (void)len;
    int64_t expires_ms;
    char *access =
        slc_kafka_tokens_get(wire->tokens, wire->backend, wire->deadline_ms, wire->cancel_fd, &expires_ms, err);
    if (access == NULL)
        return false;
    slc_buf_adds(token, "n,,\001auth=Bearer ");
    slc_buf_adds(token, access);
    slc_buf_adds(token, "\001\001");
    slc_free_secret(access, strlen(access));
    return send_once(wire, token, err);
}

static const struct mechanism {
    const char *name;
    bool password;
    bool (*run)(slc_kafka_wire *wire, const char *password, size_t len, slc_buf *token, slc_error *err);
} mechanisms[] = {
    {"PLAIN", true, plain},
    {"SCRAM-SHA-256", true, scram_256},
    {"SCRAM-SHA-512", true, scram_512},
    {"OAUTHBEARER", false, oauthbearer},
};

static bool run(slc_kafka_wire *wire, const struct mechanism *mechanism, slc_error *err)
{
    size_t len = 0;
    slc_buf token;
    char *password = NULL;
    if (mechanism->password && (password = slc_secret_resolve(wire->backend->msg->password, &len, err)) == NULL)
        return slc_fail_context(err, "password of the backend");
    slc_buf_init(&token, MAX_TOKEN);
    bool ok = handshake(wire, mechanism->name, err) && mechanism->run(wire, password, len, &token, err);
    if (token.data != NULL)
        explicit_bzero(token.data, token.cap);
    slc_buf_release(&token);
    slc_free_secret(password, len);
    return ok;
}

bool slc_kafka_wire_authenticate(slc_kafka_wire *wire, slc_error *err)
{
    const char *name = wire->backend->msg->mechanism;
    for (size_t i = 0; i < sizeof mechanisms / sizeof *mechanisms; i++) {
        if (strcasecmp(mechanisms[i].name, name) == 0)
            return run(wire, &mechanisms[i], err);
    }
    return slc_fail(err, SLC_UNSUPPORTED, "/mechanism", "this gateway has no SASL mechanism %s", name);
}
