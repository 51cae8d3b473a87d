#include "dataplane/identity/token_cache.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/clock.h"

#define WAYS 4

struct slc_token_cache {
    size_t sets; /* a power of two */
    int64_t max_age_ms;
    slc_token *slots[];
};

slc_token_cache *slc_token_cache_new(size_t tokens, int64_t max_age_ms)
{
    size_t sets = 1;
    while (sets * WAYS < tokens)
        sets *= 2;
    slc_token_cache *cache = slc_calloc(1, sizeof *cache + sets * WAYS * sizeof cache->slots[0]);
    cache->sets = sets;
    cache->max_age_ms = max_age_ms;
    return cache;
}

void slc_token_cache_free(slc_token_cache *cache)
{
    if (cache == NULL)
        return;
    for (size_t i = 0; i < cache->sets * WAYS; i++)
        slc_token_unref(cache->slots[i]);
    free(cache);
}

/* The digest is one of SHA-256: its first bytes are as good as any hash. */
static slc_token **set_of(slc_token_cache *cache, const uint8_t digest[SLC_SHA256_BYTES])
{
    uint64_t hash;
    memcpy(&hash, digest, sizeof hash);
    return &cache->slots[(hash & (cache->sets - 1)) * WAYS];
}

slc_token *slc_token_cache_find(slc_token_cache *cache, const uint8_t digest[SLC_SHA256_BYTES],
                                const slc_snapshot *snapshot)
{
    slc_token **set = set_of(cache, digest);
    for (size_t i = 0; i < WAYS; i++) {
        if (set[i] == NULL || memcmp(set[i]->digest, digest, SLC_SHA256_BYTES) != 0)
            continue;
        if (slc_monotonic_ms() - set[i]->verified_ms < cache->max_age_ms && slc_token_holds(set[i], snapshot))
            return set[i];
        slc_token_unref(set[i]);
        set[i] = NULL;
    }
    return NULL;
}

void slc_token_cache_put(slc_token_cache *cache, slc_token *token)
{
    if (token->state != SLC_TOKEN_GOOD)
        return;
    slc_token **set = set_of(cache, token->digest), **place = set;
    for (size_t i = 0; i < WAYS; i++) {
        if (set[i] != NULL && memcmp(set[i]->digest, token->digest, SLC_SHA256_BYTES) == 0) {
            place = &set[i];
            break;
        }
        if (*place != NULL && (set[i] == NULL || set[i]->verified_ms < (*place)->verified_ms))
            place = &set[i];
    }
    slc_token_unref(*place);
    *place = slc_token_ref(token);
}
