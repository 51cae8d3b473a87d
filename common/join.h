/* Join strings: what a person hands to a new gateway so that it can enrol (proto/sluice/enrolment.proto).
 *
 *   sluice-join-1.<base64url of {"endpoint","config","token","ca"}>
 *
 * It holds a secret (the token) and the pin of the server's CA, so it must not be logged. */
#ifndef SLC_COMMON_JOIN_H
#define SLC_COMMON_JOIN_H

#include <stddef.h>
#include <stdint.h>

#include "common/crypto.h"
#include "common/error.h"

#define SLC_JOIN_PREFIX    "sluice-join-1."
#define SLC_JOIN_MAX_CHARS 2048

typedef struct slc_join {
    char endpoint[272]; /* host:port of enrolment */
    char config[272];   /* host:port of the configuration stream; the answer to Enrol has the last word */
    char token[160];    /* slc_<public id>_<secret> */
    uint8_t ca_sha256[SLC_SHA256_BYTES]; /* of the CA's SubjectPublicKeyInfo (DER) */
} slc_join;

/* The text; the caller frees it (slc_free_secret). Fields that do not pass slc_join_parse are an error; NULL
 * then. */
char *slc_join_compose(const slc_join *join, slc_error *err) SLC_CHECKED;
/* Anything may come in. The error names the part at fault and never repeats the token. */
bool slc_join_parse(const char *text, size_t len, slc_join *join, slc_error *err) SLC_CHECKED;

#endif
