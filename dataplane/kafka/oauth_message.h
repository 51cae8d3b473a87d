/* The client's message of SASL OAUTHBEARER (RFC 7628, section 3.1; KIP-255). Pure. */
#ifndef SLC_DATAPLANE_KAFKA_OAUTH_MESSAGE_H
#define SLC_DATAPLANE_KAFKA_OAUTH_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

#define SLC_OAUTH_MAX_IDENTITY 255

typedef struct slc_oauth_message {
    char identity[SLC_OAUTH_MAX_IDENTITY + 1]; /* on whose behalf; "" : the token's own */
    const char *token;                         /* in the message, without a NUL */
    size_t token_len;
} slc_oauth_message;

/* SLC_INVALID when it is something else. Extensions are read over. */
bool slc_oauth_message_read(const uint8_t *data, size_t len, slc_oauth_message *message,
                            slc_error *err) SLC_CHECKED;

#endif
