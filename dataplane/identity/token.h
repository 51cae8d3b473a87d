/* What a bearer token was found to be: whose it is and until when, or why it is refused. Immutable and shared:
 * any thread may hold a reference. The token's own text is not kept, only its digest.
 */
#ifndef SLC_DATAPLANE_IDENTITY_TOKEN_H
#define SLC_DATAPLANE_IDENTITY_TOKEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cel/cel.h"
#include "common/crypto.h"
#include "common/error.h"
#include "common/jose/jwt.h"
#include "dataplane/config/snapshot.h"
#include "proto/lookup.h"

#define SLC_TOKEN_MAX_BYTES SLC_JWT_MAX_BYTES
#define SLC_TOKEN_MAX_NAMES 64  /* groups, and scopes, that are kept: more are cut off */
#define SLC_TOKEN_NAME_MAX  256 /* bytes of one; a longer one is left out */

enum slc_token_state {
    SLC_TOKEN_GOOD,
    SLC_TOKEN_REFUSED,     /* it will not become good */
    SLC_TOKEN_UNAVAILABLE, /* nobody could look: its issuer's keys are not to be had, or too many wait */
};

typedef struct slc_token_names {
    char **names;
    slc_cel_value *values; /* the same, for conditions */
    size_t count;
} slc_token_names;

typedef struct slc_token {
    unsigned refs;
    enum slc_token_state state;
    char reason[256];                 /* of what is not good: for the log */
    uint8_t digest[SLC_SHA256_BYTES]; /* of its text */
    /* The rest only of good ones. */
    uint8_t issuer_digest[SLC_SHA256_BYTES]; /* of the issuer's configuration that it was looked at by */
    char issuer_id[24];
    char *issuer;        /* its name */
    int64_t expires_ms;  /* wall clock, with the skew that the issuer is allowed */
    int64_t verified_ms; /* monotonic */
    char *subject;       /* "" when it has none */
    slc_token_names groups, scopes;
    /* Keys of the credentials that would take it: one, by the first of the issuer's identifying claims that it
     * has; if the issuer lists none, one for each claim that credentials name. */
    char (*lookups)[SLC_LOOKUP_MAX + 1];
    size_t lookup_count;
} slc_token;

slc_token *slc_token_ref(slc_token *token);
void slc_token_unref(slc_token *token); /* NULL is fine */

/* Has it the name? */
bool slc_token_has(const slc_token_names *names, const char *name);

/* One that is not good. `why` is for the log. */
slc_token *slc_token_bad(enum slc_token_state state, const char *why);

/* Does the issuer take a token that says this, its signature apart? Algorithm, iss, aud, times, required
 * claims. `now_ms`: wall clock. */
bool slc_token_claims_hold(const slc_jwt *jwt, const Sluice__Snapshot__V1__Issuer *issuer, int64_t now_ms,
                           slc_error *err) SLC_CHECKED;
/* The first of the snapshot's issuers that takes what the token says of itself; NULL with the reason. Borrowed.
 */
slc_issuer *slc_token_issuer(const slc_jwt *jwt, const slc_snapshot *snapshot, int64_t now_ms,
                             slc_error *err) SLC_CHECKED;
/* What a verified token says. */
slc_token *slc_token_good(const slc_jwt *jwt, const slc_issuer *issuer, const uint8_t digest[SLC_SHA256_BYTES]);

/* Is it still what it was by this snapshot's issuers, and not expired? Good ones only. */
bool slc_token_holds(const slc_token *token, const slc_snapshot *snapshot);

#endif
