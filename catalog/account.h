/* Accounts of people: how they come to be and what opens them. Whether somebody may sign up at all is the
 * caller's to know. Inside a transaction; passwords come hashed (password.h), because hashing takes longer than
 * a transaction should.
 */
#ifndef SLC_CATALOG_ACCOUNT_H
#define SLC_CATALOG_ACCOUNT_H

#include "catalog/password.h"
#include "catalog/token.h"

typedef struct slc_account {
    char user_id[SLC_TOKEN_ID_CHARS + 1]; /* empty: there is none */
    bool disabled;
    char hash[SLC_PASSWORD_HASH_CHARS]; /* empty: no password opens it */
} slc_account;

/* By name or address. That there is none is no error. */
bool slc_account_find(slc_txn *txn, const char *name, slc_account *account, slc_error *err) SLC_CHECKED;
bool slc_account_load(slc_txn *txn, const char *user_id, slc_account *account, slc_error *err) SLC_CHECKED;
/* Sets the password; every session of the user but one (may be NULL) ends. Audited. */
bool slc_account_set_password(slc_txn *txn, const char *user_id, const char *hash, const char *but_session_id,
                              slc_error *err) SLC_CHECKED;
/* The same password at another cost. */
bool slc_account_rehash(slc_txn *txn, const char *user_id, const char *old_hash, const char *new_hash,
                        slc_error *err) SLC_CHECKED;

/* Whose password a link is for: new {name, expires_at}; SLC_NOT_FOUND, always with the same message, when the
 * token is unknown, wrong, over or used, or the user is disabled. Links are made by the users' action
 * reset-password, which also ends the sessions and the password that there are. */
json_t *slc_reset_show(slc_txn *txn, const char *token, slc_error *err) SLC_CHECKED;
/* Uses it up: the user has this password. */
bool slc_reset_use(slc_txn *txn, const char *token, const char *hash, char user_id[SLC_TOKEN_ID_CHARS + 1],
                   slc_error *err) SLC_CHECKED;

/* What an invitation promises: new {email, team, role, expires_at} with keys; SLC_NOT_FOUND, always with the
 * same message, when the token is unknown, wrong, over or used. */
json_t *slc_invitation_show(slc_txn *txn, const char *token, slc_error *err) SLC_CHECKED;

/* Who comes: name, email and title as the kind "users" has them (email and title may be NULL). */
typedef struct slc_newcomer {
    const char *name;
    const char *email;
    const char *title;
    const char *hash; /* NULL: somebody else vouches for them */
} slc_newcomer;

/* Uses the invitation up and makes the user that it promised; who invited must still be there and hold what
 * they promised. `user_id` is the new user's. */
bool slc_invitation_accept(slc_txn *txn, const char *token, const slc_newcomer *newcomer,
                           char user_id[SLC_TOKEN_ID_CHARS + 1], slc_error *err) SLC_CHECKED;
/* Makes a user with this role (key; NULL: none), uninvited. */
bool slc_account_open(slc_txn *txn, const slc_newcomer *newcomer, const char *role,
                      char user_id[SLC_TOKEN_ID_CHARS + 1], slc_error *err) SLC_CHECKED;

#endif
