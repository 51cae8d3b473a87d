/* SASL frames. */
#include "dataplane/kafka/sasl_codec.h"

#include <string.h>

#include "dataplane/kafka/decode.h"
#include "dataplane/kafka/encode.h"

#define AUTHENTICATE_FLEXIBLE 2 /* the first flexible version; the handshake has none */
#define AUTHENTICATE_LIFETIME 1 /* the first version with the session's lifetime */

/* --- handshake --- */

bool slc_kafka_sasl_handshake_request(slc_buf *out, int32_t correlation_id, const char *client_id,
                                      const char *mechanism, slc_error *err)
{
    size_t begin = slc_kafka_request_begin(out, SLC_KAFKA_SASL_HANDSHAKE_KEY, SLC_KAFKA_SASL_HANDSHAKE_VERSION,
                                           correlation_id, client_id);
    slc_kafka_add_string(out, false, mechanism, strlen(mechanism));
    return slc_kafka_frame_end(out, begin, err);
}

static bool visit_handshake(void *ctx, const slc_kafka_event *ev, slc_error *err)
{
    slc_kafka_sasl_handshake *handshake = ctx;
    if (slc_kafka_event_is(ev, "ErrorCode"))
        handshake->error = (int16_t)ev->number;
    if (!slc_kafka_event_is(ev, "Mechanisms") || handshake->n == SLC_KAFKA_SASL_MECHANISMS_MAX)
        return true;
    return slc_kafka_event_copy(ev, handshake->mechanisms[handshake->n++], SLC_KAFKA_SASL_MECHANISM_MAX + 1,
                                err);
}

bool slc_kafka_sasl_handshake_response(const uint8_t *frame, size_t len, int32_t correlation_id,
                                       slc_kafka_sasl_handshake *handshake, slc_error *err)
{
    *handshake = (slc_kafka_sasl_handshake){0};
    return slc_kafka_response_decode(SLC_KAFKA_SASL_HANDSHAKE_KEY, SLC_KAFKA_SASL_HANDSHAKE_VERSION,
                                     correlation_id, frame, len, visit_handshake, handshake, err);
}

static bool visit_mechanism(void *ctx, const slc_kafka_event *ev, slc_error *err)
{
    return !slc_kafka_event_is(ev, "Mechanism") ||
           slc_kafka_event_copy(ev, ctx, SLC_KAFKA_SASL_MECHANISM_MAX + 1, err);
}

bool slc_kafka_sasl_handshake_read(const uint8_t *body, size_t len, int version,
                                   char mechanism[SLC_KAFKA_SASL_MECHANISM_MAX + 1], slc_error *err)
{
    const slc_kafka_message *message =
        slc_kafka_message_find(SLC_KAFKA_SASL_HANDSHAKE_KEY, version, SLC_KAFKA_REQUEST, err);
    return message != NULL &&
           slc_kafka_body_decode(message, version, body, len, visit_mechanism, mechanism, err);
}

bool slc_kafka_sasl_handshake_answer(slc_buf *out, int version, int32_t correlation_id, int16_t error,
                                     const char *const *mechanisms, size_t n, slc_error *err)
{
    size_t begin = slc_kafka_response_begin(out, SLC_KAFKA_SASL_HANDSHAKE_KEY, version, correlation_id);
    slc_kafka_add_int16(out, error);
    slc_kafka_add_count(out, false, (int32_t)n);
    for (size_t i = 0; i < n; i++)
        slc_kafka_add_string(out, false, mechanisms[i], strlen(mechanisms[i]));
    return slc_kafka_frame_end(out, begin, err);
}

/* --- authenticate --- */

bool slc_kafka_sasl_authenticate_request(slc_buf *out, int32_t correlation_id, const char *client_id,
                                         const uint8_t *token, size_t token_len, slc_error *err)
{
    size_t begin = slc_kafka_request_begin(out, SLC_KAFKA_SASL_AUTHENTICATE_KEY,
                                           SLC_KAFKA_SASL_AUTHENTICATE_VERSION, correlation_id, client_id);
    slc_kafka_add_bytes(out, true, token_len > 0 ? token : (const uint8_t *)"", token_len);
    slc_kafka_add_no_tags(out);
    return slc_kafka_frame_end(out, begin, err);
}

/* An error's text is for people: what does not fit is cut. */
static void copy_cut(const slc_kafka_event *ev, char *to, size_t cap)
{
    size_t n = ev->len < cap - 1 ? ev->len : cap - 1;
    if (n > 0)
        memcpy(to, ev->data, n);
    to[n] = '\0';
}

static bool visit_answer(void *ctx, const slc_kafka_event *ev, slc_error *err)
{
    slc_kafka_sasl_answer *answer = ctx;
    (void)err;
    if (slc_kafka_event_is(ev, "ErrorCode")) {
        answer->error = (int16_t)ev->number;
    } else if (slc_kafka_event_is(ev, "ErrorMessage")) {
        copy_cut(ev, answer->message, sizeof(answer->message));
    } else if (slc_kafka_event_is(ev, "AuthBytes")) {
        answer->token = ev->data;
        answer->token_len = ev->len;
    } else if (slc_kafka_event_is(ev, "SessionLifetimeMs")) {
        answer->session_lifetime_ms = ev->number;
    }
    return true;
}

bool slc_kafka_sasl_authenticate_response(const uint8_t *frame, size_t len, int32_t correlation_id,
                                          slc_kafka_sasl_answer *answer, slc_error *err)
{
    *answer = (slc_kafka_sasl_answer){0};
    return slc_kafka_response_decode(SLC_KAFKA_SASL_AUTHENTICATE_KEY, SLC_KAFKA_SASL_AUTHENTICATE_VERSION,
                                     correlation_id, frame, len, visit_answer, answer, err);
}

bool slc_kafka_sasl_authenticate_read(const uint8_t *body, size_t len, int version, const uint8_t **token,
                                      size_t *token_len, slc_error *err)
{
    slc_kafka_sasl_answer read = {0}; /* the token has the same name in both directions */
    const slc_kafka_message *message =
        slc_kafka_message_find(SLC_KAFKA_SASL_AUTHENTICATE_KEY, version, SLC_KAFKA_REQUEST, err);
    if (message == NULL || !slc_kafka_body_decode(message, version, body, len, visit_answer, &read, err))
        return false;
    *token = read.token;
    *token_len = read.token_len;
    return true;
}

bool slc_kafka_sasl_authenticate_answer(slc_buf *out, int version, int32_t correlation_id,
                                        const slc_kafka_sasl_answer *answer, slc_error *err)
{
    bool compact = version >= AUTHENTICATE_FLEXIBLE;
    size_t begin = slc_kafka_response_begin(out, SLC_KAFKA_SASL_AUTHENTICATE_KEY, version, correlation_id);
    slc_kafka_add_int16(out, answer->error);
    slc_kafka_add_string(out, compact, answer->message[0] != '\0' ? answer->message : NULL,
                         strlen(answer->message));
    slc_kafka_add_bytes(out, compact, answer->token_len > 0 ? answer->token : (const uint8_t *)"",
                        answer->token_len);
    if (version >= AUTHENTICATE_LIFETIME)
        slc_kafka_add_int64(out, answer->session_lifetime_ms);
    if (compact)
        slc_kafka_add_no_tags(out);
    return slc_kafka_frame_end(out, begin, err);
}
