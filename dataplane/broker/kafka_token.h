/* Access tokens for brokers, by OAuth client credentials (RFC 6749 section 4.4): one for each backend, shared
 * by all that connect to it. Kept for 70 % of its life, then fetched anew, by one at a time. When that fails
 * the old one serves until it expires. Any thread. */
#ifndef SLC_DATAPLANE_BROKER_KAFKA_TOKEN_H
#define SLC_DATAPLANE_BROKER_KAFKA_TOKEN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/error.h"
#include "dataplane/config/snapshot.h"

typedef struct slc_kafka_tokens slc_kafka_tokens;

/* Of the backend as it is configured now. The reference is the caller's; with the last one the token is
 * forgotten. */
slc_kafka_tokens *slc_kafka_tokens_of(const slc_backend *backend);
slc_kafka_tokens *slc_kafka_tokens_ref(slc_kafka_tokens *tokens);
void slc_kafka_tokens_unref(slc_kafka_tokens *tokens); /* NULL is fine */

/* The token; blocks while it is fetched, if there is none, until the deadline (monotonic) or until `cancel_fd`
 * (-1: none) is readable. NUL-terminated, new; free it with slc_free_secret(token, strlen). NULL on error,
 * which never holds a secret. */
char *slc_kafka_tokens_get(slc_kafka_tokens *tokens, const slc_backend *backend, int64_t deadline_ms,
                           int cancel_fd, int64_t *expires_wall_ms, slc_error *err) SLC_CHECKED;

/* For loops, which may not block. */
typedef struct slc_kafka_token_wait {
    int fd; /* readable when it is settled; -1: nobody waits */
    /* private */
    bool listed;
    TAILQ_ENTRY(slc_kafka_token_wait) entry;
} slc_kafka_token_wait;

/* The token, as above; NULL: `wait` (with fd -1) now waits for a fetch, to which its starter's deadline holds.
 */
char *slc_kafka_tokens_now(slc_kafka_tokens *tokens, slc_backend *backend, int64_t deadline_ms,
                           slc_kafka_token_wait *wait) SLC_CHECKED;
/* After its fd was readable: the token, or NULL and why not. */
char *slc_kafka_tokens_waited(slc_kafka_tokens *tokens, slc_kafka_token_wait *wait, slc_error *err) SLC_CHECKED;
/* Waits no longer. */
void slc_kafka_tokens_unwait(slc_kafka_tokens *tokens, slc_kafka_token_wait *wait);

#endif
