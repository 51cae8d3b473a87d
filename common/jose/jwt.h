/* JSON Web Tokens (RFC 7519) in compact form (RFC 7515): read, checked, verified against a JWK set (RFC 7517).
 *
 * Signatures only, and only the algorithms that the caller lists: "none" and the HMAC ones are not among those
 * that can be listed. Pure functions, any thread; nothing here fetches keys (jwks.h does).
 */
#ifndef SLC_COMMON_JOSE_JWT_H
#define SLC_COMMON_JOSE_JWT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

#define SLC_JWT_MAX_BYTES (16 * 1024)

typedef struct slc_jwt {
    char *text;     /* as it came */
    json_t *claims; /* not to be believed before slc_jwt_verify */
    char algorithm[16];
    char kid[256]; /* empty: none */
} slc_jwt;

/* Splits and decodes. SLC_INVALID on anything that is no signed JWT, and on critical headers (RFC 7515 section
 * 4.1.11), of which none is understood. Released in every case. */
bool slc_jwt_parse(const char *text, slc_jwt *jwt, slc_error *err) SLC_CHECKED;
void slc_jwt_release(slc_jwt *jwt);

/* `algorithms`: an array of "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512",
 * "EdDSA" (borrowed). Is the token's among them? SLC_UNAUTHENTICATED if not. */
bool slc_jwt_check_algorithm(const slc_jwt *jwt, const json_t *algorithms, slc_error *err) SLC_CHECKED;

/* Is the signature by a key of the set (the object with "keys", borrowed)? A token with a key id is verified
 * with the keys of that id alone. A key counts only if it is of the algorithm's type (RSA from 2,048 bits), not
 * meant for something else ("use", "alg"), and one of the first 64. SLC_UNAUTHENTICATED otherwise;
 * `*unknown_key` tells that the set has no key that fits, so that a newer set may help. The algorithm must have
 * been checked. */
bool slc_jwt_verify(const slc_jwt *jwt, const json_t *jwks, bool *unknown_key, slc_error *err) SLC_CHECKED;

typedef struct slc_jwt_expect {
    const char *issuer;   /* iss must be this */
    const char *audience; /* aud must be or hold this; NULL: not checked */
    int64_t now_ms;
    int64_t skew_ms; /* how far the issuer's clock may be off */
} slc_jwt_expect;

/* iss, aud, exp (which must be there), nbf and iat. SLC_UNAUTHENTICATED with the claim at fault. */
bool slc_jwt_check_claims(const slc_jwt *jwt, const slc_jwt_expect *expect, slc_error *err) SLC_CHECKED;
/* Does aud, a string or an array of them, hold it? */
bool slc_jwt_has_audience(const slc_jwt *jwt, const char *audience);
/* A claim that is a string, or NULL. Borrowed. */
const char *slc_jwt_text(const slc_jwt *jwt, const char *claim);

#endif
