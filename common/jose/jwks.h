/* The key sets of token issuers: fetched over HTTP or from a file, cached, on threads of their own: an issuer
 * that is slow delays none of the others.
 *
 * A set is fetched when it is first asked for and again when its TTL is over; asking for a key that it lacks
 * fetches it sooner, but never more often than `retry_ms`, so that tokens with invented key ids cannot make us
 * hammer an issuer. While a fetch fails the last set is used, for at most `stale_ms`.
 */
#ifndef SLC_COMMON_JOSE_JWKS_H
#define SLC_COMMON_JOSE_JWKS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "common/loop.h"

typedef struct slc_jwks slc_jwks;

typedef struct slc_jwks_options {
    int64_t ttl_ms;     /* 0: 1 h */
    int64_t retry_ms;   /* least time between two fetches of a set; 0: 10 s */
    int64_t stale_ms;   /* how long a set may be used beyond its TTL; 0: 24 h */
    int64_t timeout_ms; /* of one fetch; 0: 5 s */
    int64_t max_bytes;  /* of one set; 0: 1 MiB */
    int64_t fetches;    /* under way at once, each on a thread of its own; 0: 16 */
} slc_jwks_options;

/* Where a set is. Exactly one of `url` and `file` is used, `url` if both are there; neither: the issuer's
 * discovery document says (OpenID Connect Discovery 1.0 section 4). Strings are copied. */
typedef struct slc_jwks_source {
    const char *issuer; /* its URL; also what people know it by */
    const char *url;    /* http or https; NULL: none */
    const char *file;   /* NULL: none */
    const char *ca_pem; /* authorities for https; NULL: the system's */
} slc_jwks_source;

slc_jwks *slc_jwks_new(const slc_jwks_options *options, slc_error *err) SLC_CHECKED;
/* Ends the fetches under way (within a second) and answers what waits with SLC_UNAVAILABLE: every callback is
 * posted when this returns, and nobody may ask after it. */
void slc_jwks_stop(slc_jwks *jwks);
/* Stops, if that was not done, and frees. NULL is fine. */
void slc_jwks_free(slc_jwks *jwks);

/* `keys`: a copy of the set (object with "keys") for this caller alone, borrowed for the call: take a reference
 * to keep it. NULL when there is none. `err`: SLC_UNAVAILABLE, why the last fetch failed, also when older keys
 * serve; NULL: it did not. */
typedef void (*slc_jwks_done)(void *arg, json_t *keys, const slc_error *err);

/* Any thread; `done` runs on `loop`. `fresh`: the set that came before lacked a key; fetch again if that may
 * be. */
void slc_jwks_get(slc_jwks *jwks, const slc_jwks_source *source, bool fresh, slc_loop *loop, slc_jwks_done done,
                  void *arg);

#endif
