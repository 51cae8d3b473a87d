/* SASL as the gateway terminates it: PLAIN, SCRAM-SHA-256 and -512 by an application's secret, OAUTHBEARER by a
 * token of an issuer (KIP-255); and again on the same connection before it expires (KIP-368). */
#include <event2/event.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/clock.h"
#include "common/crypto.h"
#include "dataplane/identity/tokens.h"
#include "dataplane/kafka/oauth_message.h"
#include "dataplane/kafka/sasl_codec.h"
#include "dataplane/kafka/scram_server.h"
#include "dataplane/policy/credential.h"
#include "dataplane/policy/failures.h"
#include "dataplane/proxy/session_private.h"

#define ERROR_UNSUPPORTED_MECHANISM 33
#define ERROR_AUTHENTICATION_FAILED 58
#define MAX_ANSWER                  4096

/* KIP-255: a refused token is answered by this, and the failure follows when the client has acknowledged it. */
#define INVALID_TOKEN "{\"status\":\"invalid_token\"}"

enum mechanism { PLAIN, SCRAM_SHA_256, SCRAM_SHA_512, OAUTHBEARER, MECHANISMS };

static const struct {
    const char *name;
    const char *way; /* of a virtual cluster's client_authentication */
} mechanisms[MECHANISMS] = {
    {"PLAIN", "plain"}, {"SCRAM-SHA-256", "scram"}, {"SCRAM-SHA-512", "scram"}, {"OAUTHBEARER", "oauthbearer"}};

/* One exchange, from its SaslHandshake to its end. */
struct slc_sasl {
    slc_session *session;
    enum mechanism mechanism;
    slc_scram_server scram;
    bool challenged;   /* SCRAM: the first message was answered. OAUTHBEARER: the token was refused */
    char refusal[256]; /* why, then */
    char why[200];     /* policies do not take it */
    slc_token_waiter waiter;
    slc_token *token;   /* what the client's was found to be: own reference */
    struct event *hold; /* too many attempts have failed: the refusal waits for it; NULL: it does not */
    bool held;          /* long enough */
};

/* What a message leads to. */
struct outcome {
    enum { GOOD, MORE, REFUSED } kind;
    char reason[256];  /* REFUSED: for the log */
    char message[256]; /* and for the client */
    slc_principal principal;
};

static bool takes(const slc_session *session, const char *way)
{
    return slc_vcluster_takes(session->vcluster, way);
}

void slc_session_forget_sasl(slc_session *session)
{
    struct slc_sasl *sasl = session->sasl;
    session->sasl = NULL;
    if (sasl == NULL)
        return;
    slc_token_unwait(&sasl->waiter);
    slc_token_unref(sasl->token);
    if (sasl->hold != NULL)
        event_free(sasl->hold);
    slc_scram_server_release(&sasl->scram);
    free(sasl);
}

/* ---- SaslHandshake ---- */

static enum mechanism find_mechanism(const slc_session *session, const char *name)
{
    enum mechanism i = 0;
    while (i < MECHANISMS && (strcmp(mechanisms[i].name, name) != 0 || !takes(session, mechanisms[i].way)))
        i++;
    return i;
}

static void begin(slc_session *session, enum mechanism mechanism)
{
    struct slc_sasl *sasl = slc_calloc(1, sizeof *sasl);
    sasl->session = session;
    sasl->mechanism = mechanism;
    slc_scram_server_init(&sasl->scram, mechanism == SCRAM_SHA_512);
    session->sasl = sasl;
}

enum slc_parse slc_session_answer_handshake(slc_session *session, const slc_kafka_request_header *header,
                                            const uint8_t *body, size_t len)
{
    const char *offered[MECHANISMS];
    size_t count = 0;
    char wanted[SLC_KAFKA_SASL_MECHANISM_MAX + 1];
    if (!slc_kafka_sasl_handshake_read(body, len, header->version, wanted, &session->why))
        return slc_session_refuse(session, SLC_INVALID, "protocol", "a broken SaslHandshake request");
    if (!slc_session_may_try(session))
        return SLC_PARSE_CLOSE;
    slc_buf *out = slc_session_begin_answer(session, header);
    if (out == NULL)
        return SLC_PARSE_WAIT;
    for (enum mechanism i = 0; i < MECHANISMS; i++)
        if (takes(session, mechanisms[i].way))
            offered[count++] = mechanisms[i].name;
    bool old = header->version < SLC_KAFKA_SASL_HANDSHAKE_VERSION; /* tokens without frames would follow */
    enum mechanism mechanism = find_mechanism(session, wanted);
    bool good = mechanism != MECHANISMS && !old;
    int16_t error = good ? 0 : old ? SLC_KAFKA_ERROR_UNSUPPORTED_VERSION : ERROR_UNSUPPORTED_MECHANISM;
    slc_session_forget_sasl(session);
    if (good) {
        begin(session, mechanism);
    } else {
        slc_session_refuse(
            session, SLC_UNAUTHENTICATED, "authentication",
            old ? "SaslHandshake version 0: the client is older than Kafka 1.0"
                : "the client wants the SASL mechanism %.60s, which the virtual cluster does not take",
            wanted);
        session->closing = true;
    }
    return slc_kafka_sasl_handshake_answer(out, header->version, header->correlation_id, error, offered, count,
                                           &session->why)
               ? SLC_PARSE_MORE
               : SLC_PARSE_CLOSE;
}

/* ---- outcomes ---- */

static void refuse(struct outcome *outcome, const char *reason, const char *message)
{
    outcome->kind = REFUSED;
    snprintf(outcome->reason, sizeof outcome->reason, "%s", reason);
    snprintf(outcome->message, sizeof outcome->message, "%s", message);
}

static void decide(struct outcome *outcome, enum slc_credential_answer answer, const char *message)
{
    outcome->kind = GOOD;
    if (answer != SLC_CREDENTIAL_GOOD)
        refuse(outcome, slc_credential_reason(answer), message);
}

/* ---- PLAIN ---- */

#define WRONG_SECRET "Authentication failed: send the credential's id and secret as user name and password."

/* RFC 4616: [authorisation identity] NUL user NUL password. */
static bool read_plain(const uint8_t *token, size_t len, char *id, char *secret)
{
    const uint8_t *user = memchr(token, 0, len);
    const uint8_t *password = user != NULL ? memchr(user + 1, 0, len - (size_t)(user + 1 - token)) : NULL;
    if (password == NULL)
        return false;
    size_t id_len = (size_t)(password - user) - 1, secret_len = len - (size_t)(password + 1 - token);
    if (id_len == 0 || id_len > SLC_CREDENTIAL_ID_MAX || secret_len == 0 ||
        secret_len > SLC_CREDENTIAL_SECRET_MAX || memchr(password + 1, 0, secret_len) != NULL)
        return false;
    memcpy(id, user + 1, id_len);
    id[id_len] = '\0';
    memcpy(secret, password + 1, secret_len);
    secret[secret_len] = '\0';
    return true;
}

static void step_plain(const struct slc_sasl *sasl, const uint8_t *message, size_t len, struct outcome *outcome)
{
    char id[SLC_CREDENTIAL_ID_MAX + 1], secret[SLC_CREDENTIAL_SECRET_MAX + 1];
    if (!read_plain(message, len, id, secret)) {
        refuse(outcome, "not a user name and password of this gateway", WRONG_SECRET);
        return;
    }
    decide(outcome,
           slc_credential_check(sasl->session->front->worker->snapshot, id, secret, &outcome->principal),
           WRONG_SECRET);
    explicit_bzero(secret, sizeof secret);
}

/* ---- SCRAM ---- */

#define PEPPER_BYTES 32

static uint8_t own_pepper[PEPPER_BYTES]; /* of a configuration that has none */
static pthread_once_t pepper_once = PTHREAD_ONCE_INIT;

static void make_pepper(void)
{
    slc_random(own_pepper, sizeof own_pepper);
}

/* The same in all gateways and after every start, as the salts of users are: else who asks twice would know
 * which are none. */
static const uint8_t *pepper_of(const slc_snapshot *snapshot)
{
    const ProtobufCBinaryData *shared = &slc_snapshot_group(snapshot)->scram_pepper;
    if (shared->len == PEPPER_BYTES)
        return shared->data;
    pthread_once(&pepper_once, make_pepper);
    return own_pepper;
}

/* The verifier of the user's secret, empty when there is none. */
static ProtobufCBinaryData find_verifier(const struct slc_sasl *sasl)
{
    char lookup[SLC_SCRAM_SERVER_MAX_NAME + 16];
    int len = snprintf(lookup, sizeof lookup, "secret:%s", sasl->scram.username);
    const Sluice__Snapshot__V1__Credential *credential =
        slc_snapshot_credential(sasl->session->front->worker->snapshot, lookup, (size_t)len);
    if (credential == NULL)
        return (ProtobufCBinaryData){0};
    return sasl->mechanism == SCRAM_SHA_512 ? credential->scram_sha512 : credential->scram_sha256;
}

static bool challenge(struct slc_sasl *sasl, const uint8_t *message, size_t len, slc_buf *out, slc_error *err)
{
    if (!slc_scram_server_first(&sasl->scram, message, len, err))
        return false;
    ProtobufCBinaryData verifier = find_verifier(sasl);
    return slc_scram_server_challenge(&sasl->scram, verifier.data, verifier.len,
                                      pepper_of(sasl->session->front->worker->snapshot), NULL, out, err);
}

static void step_scram(struct slc_sasl *sasl, const uint8_t *message, size_t len, slc_buf *out,
                       struct outcome *outcome)
{
    slc_error err = {0};
    bool first = !sasl->challenged;
    bool ok = first ? challenge(sasl, message, len, out, &err)
                    : slc_scram_server_final(&sasl->scram, message, len, out, &err);
    sasl->challenged = true;
    if (!ok)
        refuse(outcome, err.message, WRONG_SECRET);
    else if (first)
        outcome->kind = MORE;
    else
        decide(outcome,
               slc_credential_proved(sasl->session->front->worker->snapshot, sasl->scram.username,
                                     &outcome->principal),
               WRONG_SECRET);
}

/* ---- OAUTHBEARER ---- */

static void on_token(slc_token_waiter *waiter, slc_token *token)
{
    struct slc_sasl *sasl = (struct slc_sasl *)((char *)waiter - offsetof(struct slc_sasl, waiter));
    sasl->token = token;
    slc_session_pump(sasl->session);
}

/* Looks the message's token up. False: it must be waited for. */
static bool find_token(struct slc_sasl *sasl, const uint8_t *data, size_t len)
{
    slc_oauth_message message;
    slc_error err = {0};
    slc_worker *worker = sasl->session->front->worker;
    if (sasl->token != NULL || sasl->challenged)
        return true;
    if (sasl->waiter.wait != NULL)
        return false;
    if (!slc_oauth_message_read(data, len, &message, &err)) {
        sasl->token = slc_token_bad(SLC_TOKEN_REFUSED, err.message);
        return true;
    }
    char *text = slc_strndup(message.token, message.token_len);
    sasl->waiter.ready = on_token;
    sasl->token = slc_tokens_get(worker->tokens, worker->snapshot, text, &sasl->waiter);
    slc_free_secret(text, message.token_len);
    return sasl->token != NULL;
}

/* On behalf of whom the client wants to act must be who the token is of. */
static bool acts_for_itself(const struct slc_sasl *sasl, const uint8_t *data, size_t len)
{
    slc_oauth_message message;
    slc_error err = {0};
    return slc_oauth_message_read(data, len, &message, &err) &&
           (message.identity[0] == '\0' || strcmp(message.identity, sasl->token->subject) == 0);
}

/* The reason, NULL when the token is good and a credential matches it. */
static const char *judge_token(struct slc_sasl *sasl, const uint8_t *data, size_t len, struct outcome *outcome)
{
    if (sasl->token->state != SLC_TOKEN_GOOD)
        return sasl->token->reason;
    if (!acts_for_itself(sasl, data, len))
        return "the client wants to act for somebody else than the token's subject";
    enum slc_credential_answer answer =
        slc_credential_of_token(sasl->session->front->worker->snapshot, sasl->token, &outcome->principal);
    if (answer != SLC_CREDENTIAL_GOOD)
        return slc_credential_reason(answer);
    return slc_session_takes_token(sasl->session, &outcome->principal, sasl->token, sasl->why) ? NULL
                                                                                               : sasl->why;
}

static void step_oauth(struct slc_sasl *sasl, const uint8_t *data, size_t len, slc_buf *out,
                       struct outcome *outcome)
{
    if (sasl->challenged) { /* whatever it says to the refusal */
        refuse(outcome, sasl->refusal, INVALID_TOKEN);
        return;
    }
    const char *reason = judge_token(sasl, data, len, outcome);
    outcome->kind = reason == NULL ? GOOD : MORE;
    if (reason == NULL)
        return;
    slc_session_find_host(sasl->session);
    slc_failures_failed(sasl->session->front->worker->failures, sasl->session->host, NULL);
    slc_session_audit_entry(sasl->session, mechanisms[OAUTHBEARER].name, reason);
    sasl->challenged = true;
    snprintf(sasl->refusal, sizeof sasl->refusal, "%s", reason);
    slc_buf_adds(out, INVALID_TOKEN);
}

/* ---- attempts that failed before ---- */

/* The credential that the message is about; NULL: it names none, or is not looked at yet. */
static const char *credential_in(const struct slc_sasl *sasl, const uint8_t *message, size_t len,
                                 char id[SLC_CREDENTIAL_ID_MAX + 1])
{
    char secret[SLC_CREDENTIAL_SECRET_MAX + 1];
    if (sasl->mechanism == PLAIN) {
        bool ok = read_plain(message, len, id, secret);
        explicit_bzero(secret, sizeof secret);
        return ok ? id : NULL;
    }
    return sasl->mechanism != OAUTHBEARER && sasl->challenged ? sasl->scram.username : NULL;
}

/* Is there something in this message that can fail? A good token is let in whatever failed before. */
static bool is_attempt(const struct slc_sasl *sasl)
{
    if (sasl->mechanism == OAUTHBEARER)
        return !sasl->challenged && sasl->token->state != SLC_TOKEN_GOOD;
    return sasl->mechanism == PLAIN || sasl->challenged;
}

static void on_held(evutil_socket_t fd, short what, void *arg)
{
    struct slc_sasl *sasl = arg;
    (void)fd, (void)what;
    sasl->held = true;
    slc_session_pump(sasl->session);
}

/* Must it wait? Whoever has waited is refused unheard. */
static bool must_wait(struct slc_sasl *sasl, const uint8_t *message, size_t len)
{
    slc_session *session = sasl->session;
    char id[SLC_CREDENTIAL_ID_MAX + 1];
    if (sasl->hold != NULL)
        return !sasl->held;
    if (!is_attempt(sasl))
        return false;
    slc_session_find_host(session);
    int64_t wait_ms = slc_failures_wait_ms(session->front->worker->failures, session->host,
                                           credential_in(sasl, message, len, id));
    if (wait_ms == 0)
        return false;
    int64_t most_ms = session->front->limits->kafka_failure_delay_ms;
    wait_ms = wait_ms < most_ms ? wait_ms : most_ms;
    struct timeval delay = {.tv_sec = wait_ms / 1000, .tv_usec = wait_ms % 1000 * 1000};
    slc_failures_count("kafka");
    sasl->hold = evtimer_new(slc_loop_base(session->front->worker->loop), on_held, sasl);
    SLC_BUG_ON(sasl->hold == NULL);
    event_add(sasl->hold, &delay);
    return true;
}

/* Counts how it went. */
static void count(const struct slc_sasl *sasl, const uint8_t *message, size_t len,
                  const struct outcome *outcome)
{
    slc_failures *failures = sasl->session->front->worker->failures;
    char id[SLC_CREDENTIAL_ID_MAX + 1];
    const char *credential = credential_in(sasl, message, len, id);
    slc_session_find_host(sasl->session);
    if (outcome->kind == GOOD && credential != NULL)
        slc_failures_passed(failures, sasl->session->host, credential);
    if (outcome->kind == REFUSED)
        slc_failures_failed(failures, sasl->session->host, credential);
}

/* ---- SaslAuthenticate ---- */

static void step(struct slc_sasl *sasl, const uint8_t *message, size_t len, slc_buf *out,
                 struct outcome *outcome)
{
    if (sasl->held)
        refuse(outcome, "too many attempts to authenticate have failed",
               sasl->mechanism == OAUTHBEARER ? INVALID_TOKEN : WRONG_SECRET);
    else if (sasl->mechanism == PLAIN)
        step_plain(sasl, message, len, outcome);
    else if (sasl->mechanism == OAUTHBEARER)
        step_oauth(sasl, message, len, out, outcome);
    else
        step_scram(sasl, message, len, out, outcome);
}

/* KIP-368: a connection stays one application's. What the client says comes before its certificate, until it
 * has done something by that. */
static void check_same(const slc_session *session, struct outcome *outcome)
{
    const slc_principal *before = &session->principal;
    bool settled = session->by_sasl || (session->authorised && before->authenticated);
    if (outcome->kind == GOOD && settled &&
        strcmp(before->application_id, outcome->principal.application_id) != 0)
        refuse(outcome, "another application than before (KIP-368)",
               "Authentication failed: a connection cannot become another application's.");
}

/* Until when it may go on, and how long that is; 0: for ever. */
static int64_t limit_life(slc_session *session)
{
    int64_t now_ms = slc_wall_ms(), most_ms = session->front->limits->kafka_session_lifetime_ms;
    int64_t until_ms = session->principal.expires_at_ms;
    if (most_ms > 0 && (until_ms == 0 || until_ms > now_ms + most_ms))
        until_ms = now_ms + most_ms;
    session->expires_ms = until_ms;
    if (until_ms == 0)
        return 0;
    return until_ms > now_ms ? until_ms - now_ms : 1;
}

/* False: a limit of its own keeps it out, and the session is to be closed. */
static bool let_in(slc_session *session, const struct outcome *outcome, slc_kafka_sasl_answer *answer)
{
    slc_token *before = session->token; /* what the session may do still looks at it */
    session->principal = outcome->principal;
    session->principal.by = mechanisms[session->sasl->mechanism].name;
    slc_session_audit_entry(session, session->principal.by, NULL);
    session->allowed = session->by_sasl = true;
    session->expired = false;
    session->deadline_ms = 0;
    session->token = session->sasl->token;
    session->sasl->token = NULL;
    slc_session_forget_sasl(session);
    answer->session_lifetime_ms = limit_life(session);
    bool admitted = !session->authorised || slc_session_authorise(session);
    slc_token_unref(before);
    return admitted;
}

static void turn_away(slc_session *session, const struct outcome *outcome, slc_kafka_sasl_answer *answer)
{
    answer->error = ERROR_AUTHENTICATION_FAILED;
    snprintf(answer->message, sizeof answer->message, "%s", outcome->message);
    slc_session_refuse(session, SLC_UNAUTHENTICATED, "authentication", "%s", outcome->reason);
    const struct slc_sasl *sasl = session->sasl;
    if (sasl == NULL || sasl->mechanism != OAUTHBEARER || sasl->held) /* else when the token was refused */
        slc_session_audit_entry(session, sasl != NULL ? mechanisms[sasl->mechanism].name : NULL,
                                outcome->reason);
    session->closing = true;
}

static enum slc_parse answer(slc_session *session, const slc_kafka_request_header *header,
                             const uint8_t *message, size_t len, slc_buf *out)
{
    slc_kafka_sasl_answer answer = {0};
    struct outcome outcome = {.kind = REFUSED};
    bool ok = true;
    slc_buf reply;
    slc_buf_init(&reply, MAX_ANSWER);
    if (session->sasl == NULL)
        refuse(&outcome, "no SaslHandshake came first", WRONG_SECRET);
    else
        step(session->sasl, message, len, &reply, &outcome);
    if (session->sasl != NULL && session->sasl->mechanism != OAUTHBEARER && !session->sasl->held)
        count(session->sasl, message, len, &outcome);
    check_same(session, &outcome);
    if (outcome.kind == REFUSED)
        turn_away(session, &outcome, &answer);
    else if (outcome.kind == GOOD)
        ok = let_in(session, &outcome, &answer);
    answer.token = reply.data;
    answer.token_len = answer.error == 0 ? reply.len : 0;
    ok = ok && slc_kafka_sasl_authenticate_answer(out, header->version, header->correlation_id, &answer,
                                                  &session->why);
    slc_buf_release(&reply);
    return ok ? SLC_PARSE_MORE : SLC_PARSE_CLOSE;
}

enum slc_parse slc_session_answer_authenticate(slc_session *session, const slc_kafka_request_header *header,
                                               const uint8_t *body, size_t len)
{
    struct slc_sasl *sasl = session->sasl;
    const uint8_t *message;
    size_t message_len;
    if (!slc_kafka_sasl_authenticate_read(body, len, header->version, &message, &message_len, &session->why))
        return slc_session_refuse(session, SLC_INVALID, "protocol", "a broken SaslAuthenticate request");
    if (sasl != NULL && sasl->mechanism == OAUTHBEARER && !find_token(sasl, message, message_len))
        return SLC_PARSE_WAIT;
    /* A failure would make clients give up; a connection that closes they try again. */
    if (sasl != NULL && sasl->token != NULL && sasl->token->state == SLC_TOKEN_UNAVAILABLE)
        return slc_session_refuse(session, SLC_UNAVAILABLE, "authentication", "%s", sasl->token->reason);
    if (sasl != NULL && must_wait(sasl, message, message_len))
        return SLC_PARSE_WAIT;
    slc_buf *out = slc_session_begin_answer(session, header);
    return out != NULL ? answer(session, header, message, message_len, out) : SLC_PARSE_WAIT;
}

/* ---- certificates ---- */

bool slc_session_take_certificate(slc_session *session)
{
    const slc_certificate *certificate = slc_certificate_of(session->client.ssl);
    bool alone = session->vcluster->msg->n_client_authentication == 1;
    if (!takes(session, "mtls"))
        return true;
    if (certificate == NULL) {
        if (alone)
            slc_session_refuse(session, SLC_UNAUTHENTICATED, "authentication",
                               "the client brought no certificate, which the virtual cluster wants");
        return !alone;
    }
    enum slc_credential_answer found = slc_credential_of_certificate(
        session->front->worker->snapshot, session->entity, certificate, &session->principal);
    if (found == SLC_CREDENTIAL_GOOD) {
        session->principal.by = "mtls";
        slc_session_audit_entry(session, "mtls", NULL);
        session->allowed = true;
        (void)limit_life(session);
    } else if (alone) {
        slc_session_refuse(session, SLC_UNAUTHENTICATED, "authentication", "%s, certificate %.150s",
                           slc_credential_reason(found), certificate->subject);
        slc_session_audit_entry(session, "mtls", session->why.message);
    }
    return found == SLC_CREDENTIAL_GOOD || !alone;
}
