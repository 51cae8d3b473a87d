/* The server's side of SCRAM (RFC 5802, RFC 7677) as Kafka's clients speak it: no channel binding. Pure: it
 * makes and reads messages, somebody else carries them and knows the verifiers. */
#ifndef SLC_DATAPLANE_KAFKA_SCRAM_SERVER_H
#define SLC_DATAPLANE_KAFKA_SCRAM_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/error.h"

#define SLC_SCRAM_SERVER_MAX_MESSAGE 4096
#define SLC_SCRAM_SERVER_MAX_NAME    255
#define SLC_SCRAM_SERVER_MAX_DIGEST  64
#define SLC_SCRAM_SERVER_SALT        16

/* What is kept of a secret: salt(16) || iterations(4, big endian) || StoredKey || ServerKey. */
#define SLC_SCRAM_VERIFIER_256 (SLC_SCRAM_SERVER_SALT + 4 + 2 * 32)
#define SLC_SCRAM_VERIFIER_512 (SLC_SCRAM_SERVER_SALT + 4 + 2 * 64)

typedef struct slc_scram_server {
    bool sha512;
    bool known; /* there is such a user */
    char username[SLC_SCRAM_SERVER_MAX_NAME + 1];
    char binding[16 + 2 * SLC_SCRAM_SERVER_MAX_NAME]; /* what c= of the last message must be */
    slc_buf auth;                                     /* AuthMessage so far */
    size_t nonce_at, nonce_len;                       /* the whole nonce, in auth */
    size_t client_nonce_len;                          /* of it, the client's part */
    uint8_t stored_key[SLC_SCRAM_SERVER_MAX_DIGEST], server_key[SLC_SCRAM_SERVER_MAX_DIGEST];
} slc_scram_server;

void slc_scram_server_init(slc_scram_server *scram, bool sha512);
void slc_scram_server_release(slc_scram_server *scram);

/* The client's first message: fills `username`. SLC_INVALID when it is malformed, wants channel binding, or
 * another identity than the user's. */
bool slc_scram_server_first(slc_scram_server *scram, const uint8_t *message, size_t len,
                            slc_error *err) SLC_CHECKED;
/* The answer to it, added to `out`. `verifier` as above, or empty when there is no such user, who then gets a
 * salt that looks like any (made from `pepper`) and a refusal in the end. `nonce` NULL: a random one (tests
 * give theirs).
 */
bool slc_scram_server_challenge(slc_scram_server *scram, const uint8_t *verifier, size_t len,
                                const uint8_t pepper[32], const char *nonce, slc_buf *out,
                                slc_error *err) SLC_CHECKED;
/* The client's last message. True: it knows the secret; `out` gets the server's proof. SLC_UNAUTHENTICATED when
 * it does not, SLC_INVALID when the message is malformed. */
bool slc_scram_server_final(slc_scram_server *scram, const uint8_t *message, size_t len, slc_buf *out,
                            slc_error *err) SLC_CHECKED;

#endif
