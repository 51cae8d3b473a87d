/* Bearer tokens as a worker sees them: those that it knows at once, the others when the issuers' thread has
 * looked at them. The worker's thread.
 */
#ifndef SLC_DATAPLANE_IDENTITY_TOKENS_H
#define SLC_DATAPLANE_IDENTITY_TOKENS_H

#include "dataplane/identity/issuers.h"

typedef struct slc_tokens slc_tokens;

/* Whoever waits for a token; zeroed at first. */
typedef struct slc_token_waiter {
    void (*ready)(struct slc_token_waiter *waiter, slc_token *token); /* `token`: the callee's reference */
    struct slc_token_wait *wait;                                      /* NULL: not waiting */
} slc_token_waiter;

slc_tokens *slc_tokens_new(slc_issuers *issuers, slc_loop *loop);
/* Nobody waits any more. NULL is fine. */
void slc_tokens_free(slc_tokens *tokens);

/* The caller's reference; or NULL, and waiter->ready is called later, unless unwaited. `tokens` NULL: no token
 * is ever good. `text` is the token alone. */
slc_token *slc_tokens_get(slc_tokens *tokens, slc_snapshot *snapshot, const char *text,
                          slc_token_waiter *waiter);
/* Also when it does not wait. */
void slc_token_unwait(slc_token_waiter *waiter);

#endif
