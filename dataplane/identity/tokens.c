#include "dataplane/identity/tokens.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "dataplane/identity/token_cache.h"

#define WORKER_SHARE 4 /* a worker's own table has this part of the places of the process's */

struct slc_tokens {
    slc_issuers *issuers;
    slc_loop *loop;
    slc_token_cache *cache;
    unsigned waiting;
};

/* Outlives its waiter. */
struct slc_token_wait {
    slc_tokens *tokens;
    slc_token_waiter *waiter; /* NULL: nobody any more */
};

slc_tokens *slc_tokens_new(slc_issuers *issuers, slc_loop *loop)
{
    const slc_issuers_options *options = slc_issuers_options_of(issuers);
    slc_tokens *tokens = slc_calloc(1, sizeof *tokens);
    tokens->issuers = issuers;
    tokens->loop = loop;
    tokens->cache = slc_token_cache_new((size_t)options->cache_tokens / WORKER_SHARE, options->cache_ms);
    return tokens;
}

void slc_tokens_free(slc_tokens *tokens)
{
    if (tokens == NULL)
        return;
    SLC_BUG_ON(tokens->waiting > 0);
    slc_token_cache_free(tokens->cache);
    free(tokens);
}

static void on_token(void *arg, slc_token *token)
{
    struct slc_token_wait *wait = arg;
    slc_token_waiter *waiter = wait->waiter;
    wait->tokens->waiting--;
    slc_token_cache_put(wait->tokens->cache, token);
    free(wait);
    if (waiter == NULL) {
        slc_token_unref(token);
        return;
    }
    waiter->wait = NULL;
    waiter->ready(waiter, token);
}

/* What is no token costs the issuers' thread nothing. */
static const char *obvious_fault(const char *text)
{
    const char *first = strchr(text, '.'), *second = first != NULL ? strchr(first + 1, '.') : NULL;
    if (strnlen(text, SLC_TOKEN_MAX_BYTES + 1) > SLC_TOKEN_MAX_BYTES)
        return "the token is too long";
    return second == NULL || first == text || second[1] == '\0' || strchr(second + 1, '.') != NULL
               ? "it is no signed JSON Web Token"
               : NULL;
}

slc_token *slc_tokens_get(slc_tokens *tokens, slc_snapshot *snapshot, const char *text,
                          slc_token_waiter *waiter)
{
    uint8_t digest[SLC_SHA256_BYTES];
    size_t issuers;
    SLC_BUG_ON(waiter->wait != NULL);
    const char *fault = obvious_fault(text);
    if (fault != NULL)
        return slc_token_bad(SLC_TOKEN_REFUSED, fault);
    (void)slc_snapshot_issuers(snapshot, &issuers);
    if (tokens == NULL || issuers == 0)
        return slc_token_bad(SLC_TOKEN_REFUSED, "there is no issuer here that a credential names");
    slc_sha256(text, strlen(text), digest);
    slc_token *known = slc_token_cache_find(tokens->cache, digest, snapshot);
    if (known != NULL)
        return slc_token_ref(known);
    struct slc_token_wait *wait = slc_calloc(1, sizeof *wait);
    *wait = (struct slc_token_wait){tokens, waiter};
    slc_token *token = slc_issuers_ask(tokens->issuers, text, snapshot, tokens->loop, on_token, wait);
    if (token != NULL) {
        free(wait);
        return token;
    }
    waiter->wait = wait;
    tokens->waiting++;
    return NULL;
}

void slc_token_unwait(slc_token_waiter *waiter)
{
    if (waiter->wait != NULL)
        waiter->wait->waiter = NULL;
    waiter->wait = NULL;
}
