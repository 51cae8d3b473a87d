/* Good tokens by the digest of their text: a table of fixed size, in which the oldest of a few places makes
 * room. Belongs to one thread.
 */
#ifndef SLC_DATAPLANE_IDENTITY_TOKEN_CACHE_H
#define SLC_DATAPLANE_IDENTITY_TOKEN_CACHE_H

#include "dataplane/identity/token.h"

typedef struct slc_token_cache slc_token_cache;

/* `tokens` places, rounded up; each holds a token of at most `max_age_ms`. */
slc_token_cache *slc_token_cache_new(size_t tokens, int64_t max_age_ms);
void slc_token_cache_free(slc_token_cache *cache);
/* Borrowed; NULL: it is not there, is too old, or no longer holds by this snapshot. */
slc_token *slc_token_cache_find(slc_token_cache *cache, const uint8_t digest[SLC_SHA256_BYTES],
                                const slc_snapshot *snapshot);
/* Takes a reference of a good one; any other is left out. */
void slc_token_cache_put(slc_token_cache *cache, slc_token *token);

#endif
