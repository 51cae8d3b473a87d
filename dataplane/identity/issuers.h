/* The issuers of tokens and their keys: one thread for the process, on which every token is verified, once.
 *
 * Keys are fetched when a configuration names an issuer and again in the background; a key id that nobody knows
 * makes one fetch, not more often than the settings allow. While an issuer is away its last keys serve, for a
 * while (common/jose/jwks.h). A token waits for keys for a bounded time. Good tokens are kept by their digest.
 */
#ifndef SLC_DATAPLANE_IDENTITY_ISSUERS_H
#define SLC_DATAPLANE_IDENTITY_ISSUERS_H

#include "common/loop.h"
#include "dataplane/identity/token.h"

typedef struct slc_issuers slc_issuers;

typedef struct slc_issuers_options {
    int64_t refresh_ms;       /* keys are fetched again */
    int64_t retry_ms;         /* least time between two fetches of an issuer's keys */
    int64_t stale_ms;         /* how long keys serve beyond that while they cannot be fetched */
    int64_t fetch_timeout_ms; /* of one fetch */
    int64_t fetches;          /* under way at once, each of another issuer */
    int64_t wait_ms;          /* longest that a token waits */
    int64_t queue;            /* tokens that wait or are looked at; over it they are SLC_TOKEN_UNAVAILABLE */
    int64_t cache_tokens;     /* good ones that are kept */
    int64_t cache_ms;         /* and for how long: then the signature is checked again */
} slc_issuers_options;

/* Registers the metrics of this module; once, before threads start. */
void slc_issuers_register_metrics(void);

slc_issuers *slc_issuers_new(const slc_issuers_options *options, slc_error *err) SLC_CHECKED;
/* Ends the thread. What waits is answered before this returns (SLC_TOKEN_UNAVAILABLE), what is asked afterwards
 * at once. */
void slc_issuers_stop(slc_issuers *issuers);
/* After stop, and when nobody asks any more. NULL is fine. */
void slc_issuers_free(slc_issuers *issuers);

/* Any thread: these issuers are in force from now on; keys of new ones are fetched. */
void slc_issuers_apply(slc_issuers *issuers, slc_snapshot *snapshot);

/* `token`: the callee's reference. */
typedef void (*slc_issuers_done)(void *arg, slc_token *token);
/* Any thread; `text` is copied. NULL: `done` will run on `loop`, in every case, unless the loop has ended. Else
 * the answer, the caller's reference, and `done` is not called. */
slc_token *slc_issuers_ask(slc_issuers *issuers, const char *text, slc_snapshot *snapshot, slc_loop *loop,
                           slc_issuers_done done, void *arg);

/* For the workers' own caches. */
const slc_issuers_options *slc_issuers_options_of(const slc_issuers *issuers);

#endif
