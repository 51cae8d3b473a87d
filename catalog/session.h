/* Sessions of people who signed in to the portal: rows of the table sessions. The browser holds a secret of 256
 * bits in a cookie; here is only its SHA-256. Inside a transaction, unless it says otherwise.
 */
#ifndef SLC_CATALOG_SESSION_H
#define SLC_CATALOG_SESSION_H

#include "catalog/token.h"

#define SLC_SESSION_SECRET_CHARS 43 /* base64url of 32 bytes */
#define SLC_SESSION_CSRF_CHARS   64 /* hexadecimal */

typedef struct slc_session_limits {
    int64_t idle_ms;     /* it ends when nobody used it for so long */
    int64_t absolute_ms; /* and so long after it began, in any case */
    int64_t per_user;    /* one more ends the oldest */
} slc_session_limits;

typedef struct slc_session_facts {
    const char *address;  /* of the browser; may be NULL */
    const char *agent;    /* likewise; cut */
    const char *provider; /* who vouched; NULL: a password did */
} slc_session_facts;

/* A new session of the user; `secret` is for the cookie and nowhere else. Ends those that are over. Leaves an
 * audit row "sign-in". */
bool slc_session_begin(slc_txn *txn, const char *user_id, const slc_session_limits *limits,
                       const slc_session_facts *facts, char secret[SLC_SESSION_SECRET_CHARS + 1],
                       slc_error *err) SLC_CHECKED;

/* Who the secret stands for, with every right of their roles: SLC_UNAUTHENTICATED when it is none, is over, or
 * the user is disabled; always with the same message. identity->stale: its use should be noted
 * (slc_session_touch). The identity is released in every case. */
bool slc_session_check(slc_txn *txn, const char *secret, const slc_session_limits *limits,
                       slc_identity *identity, slc_error *err) SLC_CHECKED;
/* Notes that it was used now. */
bool slc_session_touch(slc_txn *txn, const char *session_id, slc_error *err) SLC_CHECKED;

/* What a page must send back to show that it is ours: bound to the secret. Pure. */
void slc_session_csrf(const char *secret, char out[SLC_SESSION_CSRF_CHARS + 1]);

/* Ends one, by its secret or (of this user alone) by its id: `*ended` tells whether there was one. */
bool slc_session_end(slc_txn *txn, const char *secret, bool *ended, slc_error *err) SLC_CHECKED;
bool slc_session_end_id(slc_txn *txn, const char *user_id, const char *session_id, bool *ended,
                        slc_error *err) SLC_CHECKED;
/* All of a user, but for one (may be NULL). */
bool slc_session_end_all(slc_txn *txn, const char *user_id, const char *but_id, slc_error *err) SLC_CHECKED;

/* Those of a user that are not over, the one used last first: new array of {id, created_at, used_at,
 * expires_at, address, agent, provider}. */
json_t *slc_session_list(slc_txn *txn, const char *user_id, const slc_session_limits *limits,
                         slc_error *err) SLC_CHECKED;

#endif
