/* The client's side of SCRAM (RFC 5802, RFC 7677) as Kafka speaks it: no channel binding, no authorisation
 * identity. Pure: it makes and reads messages, somebody else carries them. */
#ifndef SLC_DATAPLANE_KAFKA_SCRAM_CLIENT_H
#define SLC_DATAPLANE_KAFKA_SCRAM_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/error.h"

#define SLC_SCRAM_MAX_BYTES      64      /* of a digest */
#define SLC_SCRAM_MAX_ITERATIONS 1000000 /* more is an attack on this side's CPU */
#define SLC_SCRAM_MAX_MESSAGE    4096
#define SLC_SCRAM_MAX_NONCE      256

typedef struct slc_scram_client {
    bool sha512;
    char nonce[SLC_SCRAM_MAX_NONCE + 1];
    slc_buf first_bare;
    uint8_t server_signature[SLC_SCRAM_MAX_BYTES];
} slc_scram_client;

/* `nonce` NULL: a random one (tests give their own; at most SLC_SCRAM_MAX_NONCE characters). */
void slc_scram_client_init(slc_scram_client *scram, bool sha512, const char *nonce);
void slc_scram_client_release(slc_scram_client *scram);

/* The three steps, in order. Each adds its message to `out` (SLC_LIMIT in `err` when it does not fit). */
bool slc_scram_client_first(slc_scram_client *scram, const char *username, slc_buf *out,
                            slc_error *err) SLC_CHECKED;
/* Reads the server's first message. SLC_INVALID when it is malformed or asks for too many iterations. */
bool slc_scram_client_final(slc_scram_client *scram, const char *password, size_t password_len,
                            const uint8_t *server_first, size_t len, slc_buf *out, slc_error *err) SLC_CHECKED;
/* The server proves that it knows the password too: SLC_DENIED when it does not, or refuses. */
bool slc_scram_client_verify(const slc_scram_client *scram, const uint8_t *server_final, size_t len,
                             slc_error *err) SLC_CHECKED;

#endif
