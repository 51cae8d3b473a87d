/* SASL frames in both roles: the gateway is a server to its clients and a client to its backends (KIP-43,
 * KIP-152, KIP-368). SaslHandshake version 1 alone: version 0 is followed by tokens without Kafka framing. */
#ifndef SLC_DATAPLANE_KAFKA_SASL_CODEC_H
#define SLC_DATAPLANE_KAFKA_SASL_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/error.h"

#define SLC_KAFKA_SASL_HANDSHAKE_KEY        17
#define SLC_KAFKA_SASL_HANDSHAKE_VERSION    1
#define SLC_KAFKA_SASL_AUTHENTICATE_KEY     36
#define SLC_KAFKA_SASL_AUTHENTICATE_VERSION 2
#define SLC_KAFKA_SASL_MECHANISM_MAX        63
#define SLC_KAFKA_SASL_MECHANISMS_MAX       8

typedef struct slc_kafka_sasl_handshake {
    int16_t error;
    size_t n; /* of those the other side offers; further ones are left out */
    char mechanisms[SLC_KAFKA_SASL_MECHANISMS_MAX][SLC_KAFKA_SASL_MECHANISM_MAX + 1];
} slc_kafka_sasl_handshake;

typedef struct slc_kafka_sasl_answer {
    int16_t error;
    char message[256];    /* the server's error text, cut; "" when there is none */
    const uint8_t *token; /* in the frame that was read */
    size_t token_len;
    int64_t session_lifetime_ms; /* 0: no re-authentication is asked for */
} slc_kafka_sasl_answer;

/* Client side. Requests are added to `out` as frames with their length; false with `err` is SLC_LIMIT.
 * Responses are frames without it; false with `err` is SLC_INVALID. */
bool slc_kafka_sasl_handshake_request(slc_buf *out, int32_t correlation_id, const char *client_id,
                                      const char *mechanism, slc_error *err) SLC_CHECKED;
bool slc_kafka_sasl_handshake_response(const uint8_t *frame, size_t len, int32_t correlation_id,
                                       slc_kafka_sasl_handshake *handshake, slc_error *err) SLC_CHECKED;
bool slc_kafka_sasl_authenticate_request(slc_buf *out, int32_t correlation_id, const char *client_id,
                                         const uint8_t *token, size_t token_len, slc_error *err) SLC_CHECKED;
bool slc_kafka_sasl_authenticate_response(const uint8_t *frame, size_t len, int32_t correlation_id,
                                          slc_kafka_sasl_answer *answer, slc_error *err) SLC_CHECKED;

/* Server side. `body` is what follows the request's header, in the client's `version`. */
bool slc_kafka_sasl_handshake_read(const uint8_t *body, size_t len, int version,
                                   char mechanism[SLC_KAFKA_SASL_MECHANISM_MAX + 1],
                                   slc_error *err) SLC_CHECKED;
bool slc_kafka_sasl_handshake_answer(slc_buf *out, int version, int32_t correlation_id, int16_t error,
                                     const char *const *mechanisms, size_t n, slc_error *err) SLC_CHECKED;
/* `*token` points into `body`. */
bool slc_kafka_sasl_authenticate_read(const uint8_t *body, size_t len, int version, const uint8_t **token,
                                      size_t *token_len, slc_error *err) SLC_CHECKED;
/* `answer->message` goes out when it is not empty. */
bool slc_kafka_sasl_authenticate_answer(slc_buf *out, int version, int32_t correlation_id,
                                        const slc_kafka_sasl_answer *answer, slc_error *err) SLC_CHECKED;

#endif
