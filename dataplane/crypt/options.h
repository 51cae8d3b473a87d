/* A key ring as it was configured. */
#ifndef SLC_DATAPLANE_CRYPT_OPTIONS_H
#define SLC_DATAPLANE_CRYPT_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/crypto.h"
#include "common/error.h"

/* One of three, or none. Files and variables are read anew each time. */
typedef struct slc_key_secret {
    char *value;
    size_t len;
    char *file;
    char *env;
} slc_key_secret;

/* All texts are owned; NULL: absent. */
typedef struct slc_key_ring_options {
    char *name;     /* of the entity, for messages and metrics */
    char *provider; /* "local", "vault", "aws-kms" */
    char *path;     /* local: the keystore */
    slc_key_secret passphrase;
    char *url;   /* vault; aws-kms: an endpoint */
    char *mount; /* vault: of the transit engine; absent: "transit" */
    char *namespace_name;
    char *ca_pem; /* vault, aws-kms: authorities to trust; absent: the system's */
    slc_key_secret token;
    char *region;
    char *access_key_id; /* absent: environment, then file */
    slc_key_secret secret_access_key;
    slc_key_secret session_token;
    char *mac_key; /* aws-kms: the HMAC key from which keys of records are encrypted */
} slc_key_ring_options;

void slc_key_ring_options_release(slc_key_ring_options *options);
void slc_key_ring_options_copy(slc_key_ring_options *to, const slc_key_ring_options *from);
/* Equal options give equal digests. */
void slc_key_ring_options_digest(const slc_key_ring_options *options, uint8_t out[SLC_SHA256_BYTES]);
/* The provider is known and has what it needs. Whether secrets resolve is not looked at. `field` of the error
 * is a pointer into the entity. */
bool slc_key_ring_options_check(const slc_key_ring_options *options, slc_error *err) SLC_CHECKED;

bool slc_key_secret_given(const slc_key_secret *secret);
/* New, NUL-terminated; free it with slc_free_secret(value, len). A file loses one trailing newline. */
char *slc_key_secret_read(const slc_key_secret *secret, const char *what, size_t *len,
                          slc_error *err) SLC_CHECKED;

#endif
