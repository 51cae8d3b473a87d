/* The conversation with a broker before a session may use it. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/alloc.h"
#include "common/version.h"
#include "dataplane/config/secret.h"
#include "dataplane/kafka/sasl_codec.h"
#include "dataplane/proxy/dial_private.h"

#define MAX_TOKEN        4096
#define MAX_ACCESS_TOKEN (64 * 1024)

static const char *mechanism_of(const slc_dial *dial)
{
    return dial->authenticate ? dial->backend->msg->mechanism : "";
}

static bool is_scram(const char *mechanism)
{
    return strncmp(mechanism, "SCRAM-", 6) == 0;
}

static bool ask_versions(slc_dial *dial, int version, slc_error *err)
{
    dial->talk = SLC_TALK_VERSIONS;
    dial->asked_version = version;
    return slc_kafka_api_versions_request(&dial->out, version, ++dial->correlation, SLC_DIAL_CLIENT,
                                          SLC_DIAL_CLIENT, SLC_VERSION, err);
}

bool slc_dial_talk_begin(slc_dial *dial, slc_error *err)
{
    return ask_versions(dial, 4, err);
}

/* ---- SASL ---- */

static bool send_token(slc_dial *dial, enum slc_dial_talk talk, const slc_buf *token, slc_error *err)
{
    dial->talk = talk;
    return slc_kafka_sasl_authenticate_request(&dial->out, ++dial->correlation, SLC_DIAL_CLIENT, token->data,
                                               token->len, err);
}

static void forget(slc_buf *secret)
{
    if (secret->data != NULL)
        explicit_bzero(secret->data, secret->cap);
    slc_buf_release(secret);
}

/* RFC 4616: authorisation identity, NUL, user, NUL, password. */
static bool send_plain(slc_dial *dial, slc_error *err)
{
    slc_buf token;
    size_t len = 0;
    char *password = slc_secret_resolve(dial->backend->msg->password, &len, err);
    if (password == NULL)
        return slc_fail_context(err, "password of the backend");
    slc_buf_init(&token, MAX_TOKEN);
    slc_buf_addc(&token, '\0');
    slc_buf_adds(&token, dial->backend->msg->username);
    slc_buf_addc(&token, '\0');
    slc_buf_add(&token, password, len);
    slc_free_secret(password, len);
    bool ok = token.overflow ? slc_fail(err, SLC_LIMIT, NULL,
                                        "the backend's credentials have more than %d bytes", MAX_TOKEN)
                             : send_token(dial, SLC_TALK_PLAIN, &token, err);
    forget(&token);
    return ok;
}

static bool send_scram_first(slc_dial *dial, slc_error *err)
{
    slc_buf token;
    slc_buf_init(&token, MAX_TOKEN);
    slc_scram_client_init(&dial->scram, strcmp(mechanism_of(dial), "SCRAM-SHA-512") == 0, NULL);
    dial->scram_open = true;
    bool ok = slc_scram_client_first(&dial->scram, dial->backend->msg->username, &token, err) &&
              send_token(dial, SLC_TALK_SCRAM_FIRST, &token, err);
    slc_buf_release(&token);
    return ok;
}

static bool send_scram_final(slc_dial *dial, const slc_kafka_sasl_answer *answer, slc_error *err)
{
    slc_buf token;
    size_t len = 0;
    char *password = slc_secret_resolve(dial->backend->msg->password, &len, err);
    if (password == NULL)
        return slc_fail_context(err, "password of the backend");
    slc_buf_init(&token, MAX_TOKEN);
    bool ok =
        slc_scram_client_final(&dial->scram, password, len, answer->token, answer->token_len, &token, err) &&
        send_token(dial, SLC_TALK_SCRAM_FINAL, &token, err);
    slc_free_secret(password, len);
    slc_buf_release(&token);
    return ok;
}

/* RFC 7628 section 3.1; the token is stolen. */
static bool send_bearer(slc_dial *dial, char *access, slc_error *err)
{
    slc_buf token;
    slc_buf_init(&token, MAX_ACCESS_TOKEN);
    slc_buf_adds(&token, "n,,\001auth=Bearer ");
    slc_buf_adds(&token, access);
    slc_buf_adds(&token, "\001\001");
    slc_free_secret(access, strlen(access));
    bool ok = token.overflow ? slc_fail(err, SLC_LIMIT, "/token_url", "the access token has more than %d bytes",
                                        MAX_ACCESS_TOKEN)
                             : send_token(dial, SLC_TALK_BEARER, &token, err);
    forget(&token);
    return ok;
}

static bool ask_token(slc_dial *dial, slc_error *err)
{
    dial->tokens = slc_kafka_tokens_of(dial->backend);
    char *access = slc_kafka_tokens_now(dial->tokens, dial->backend, dial->deadline_ms, &dial->token);
    if (access != NULL)
        return send_bearer(dial, access, err);
    dial->talk = SLC_TALK_TOKEN;
    return true;
}

bool slc_dial_talk_token(slc_dial *dial, slc_error *err)
{
    char *access = slc_kafka_tokens_waited(dial->tokens, &dial->token, err);
    return access != NULL && send_bearer(dial, access, err);
}

static bool after_versions(slc_dial *dial, slc_error *err)
{
    const char *mechanism = mechanism_of(dial);
    if (mechanism[0] == '\0') {
        dial->talk = SLC_TALK_READY;
        return true;
    }
    if (strcmp(mechanism, "PLAIN") != 0 && strcmp(mechanism, "OAUTHBEARER") != 0 && !is_scram(mechanism))
        return slc_fail(err, SLC_UNSUPPORTED, "/mechanism", "this gateway has no SASL mechanism %s", mechanism);
    dial->talk = SLC_TALK_HANDSHAKE;
    return slc_kafka_sasl_handshake_request(&dial->out, ++dial->correlation, SLC_DIAL_CLIENT, mechanism, err);
}

/* ---- answers ---- */

/* A broker that does not know the version says in version 0 which ones it knows (KIP-511). */
static bool read_versions(slc_dial *dial, const uint8_t *frame, size_t len, slc_error *err)
{
    const uint8_t *tags;
    size_t tags_len;
    int version = dial->asked_version;
    if (!slc_kafka_api_versions_response(frame, len, version, dial->correlation, &dial->versions, err))
        return false;
    if (dial->versions.error == SLC_KAFKA_ERROR_UNSUPPORTED_VERSION && version > 0)
        return ask_versions(dial, version > 3 && dial->versions.of[SLC_KAFKA_API_VERSIONS_KEY].max >= 3 ? 3 : 0,
                            err);
    if (dial->versions.error != 0)
        return slc_fail(err, SLC_UNAVAILABLE, NULL, "the broker answers ApiVersions with error %d",
                        dial->versions.error);
    if (slc_kafka_api_versions_tags(frame, len, version, &tags, &tags_len))
        (void)slc_buf_add(&dial->features, tags, tags_len);
    return after_versions(dial, err);
}

static bool read_handshake(slc_dial *dial, const uint8_t *frame, size_t len, slc_error *err)
{
    slc_kafka_sasl_handshake answer;
    if (!slc_kafka_sasl_handshake_response(frame, len, dial->correlation, &answer, err))
        return false;
    if (answer.error != 0)
        return slc_fail(err, SLC_DENIED, NULL,
                        "the broker does not take %s: set the backend's mechanism to one it offers",
                        mechanism_of(dial));
    if (strcmp(mechanism_of(dial), "OAUTHBEARER") == 0)
        return ask_token(dial, err);
    return is_scram(mechanism_of(dial)) ? send_scram_first(dial, err) : send_plain(dial, err);
}

static bool read_token(slc_dial *dial, const uint8_t *frame, size_t len, slc_error *err)
{
    slc_kafka_sasl_answer answer;
    if (!slc_kafka_sasl_authenticate_response(frame, len, dial->correlation, &answer, err))
        return false;
    if (answer.error != 0)
        return slc_fail(err, SLC_DENIED, NULL, "the broker refuses the backend's credentials: %s",
                        answer.message);
    if (dial->talk == SLC_TALK_SCRAM_FIRST)
        return send_scram_final(dial, &answer, err);
    if (dial->talk == SLC_TALK_SCRAM_FINAL &&
        !slc_scram_client_verify(&dial->scram, answer.token, answer.token_len, err))
        return false;
    dial->talk = SLC_TALK_READY;
    return true;
}

bool slc_dial_talk_answer(slc_dial *dial, const uint8_t *frame, size_t len, slc_error *err)
{
    switch (dial->talk) {
    case SLC_TALK_VERSIONS:
        return read_versions(dial, frame, len, err);
    case SLC_TALK_HANDSHAKE:
        return read_handshake(dial, frame, len, err);
    case SLC_TALK_PLAIN:
    case SLC_TALK_SCRAM_FIRST:
    case SLC_TALK_SCRAM_FINAL:
    case SLC_TALK_BEARER:
        return read_token(dial, frame, len, err);
    case SLC_TALK_TOKEN:
    case SLC_TALK_READY:
        break;
    }
    return slc_fail(err, SLC_INVALID, NULL, "the broker answers what was not asked");
}
