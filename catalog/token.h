/* Tokens of all sorts: <prefix>_<id>_<secret>, of which only SHA-256 of the secret is kept; and what they let
 * in.
 *
 * The secret has 160 bits. */
#ifndef SLC_CATALOG_TOKEN_H
#define SLC_CATALOG_TOKEN_H

#include "catalog/catalog.h"
#include "common/crypto.h"

#define SLC_TOKEN_API       "sla" /* admin API */
#define SLC_TOKEN_ENROLMENT "slc"
#define SLC_TOKEN_KEY       "slk" /* an application's API key */
#define SLC_TOKEN_INVITE    "sli" /* in the link of an invitation */
#define SLC_TOKEN_RESET     "slp" /* in the link for a new password */

#define SLC_TOKEN_ID_CHARS     16
#define SLC_TOKEN_SECRET_CHARS 32
#define SLC_TOKEN_CHARS        (3 + 1 + SLC_TOKEN_ID_CHARS + 1 + SLC_TOKEN_SECRET_CHARS)

typedef struct slc_token {
    char text[SLC_TOKEN_CHARS + 1];
    const char *secret; /* inside text */
    uint8_t sha256[SLC_SHA256_BYTES];
} slc_token;

void slc_token_make(slc_token *token, const char *prefix, const char *id);
void slc_token_release(slc_token *token); /* wipes it */
/* Splits a token that came in: false when it cannot be one. `id` holds SLC_TOKEN_ID_CHARS + 1. */
bool slc_token_parse(const char *text, const char *prefix, char id[SLC_TOKEN_ID_CHARS + 1],
                     uint8_t sha256[SLC_SHA256_BYTES]) SLC_CHECKED;

/* Who a bearer token, or a session (session.h), stands for. */
typedef struct slc_identity {
    char token_id[SLC_TOKEN_ID_CHARS + 1];
    char token_name[128];
    char user_id[SLC_TOKEN_ID_CHARS + 1]; /* empty: a machine's */
    char user_name[64];
    char session_id[SLC_TOKEN_ID_CHARS +
                    1];    /* who signed in to the portal; empty: a token's. Then token_id is it too */
    json_t *scopes;        /* the token's; everything for a session */
    json_t *rights;        /* the owner's, from their roles; NULL for a machine: then the scopes alone count */
    json_t *teams;         /* ids of the owner's teams; NULL for a machine */
    json_t *owned;         /* of those whose members they manage */
    int64_t expires_at_ms; /* 0: never */
    bool stale;            /* that it was used is noted as of some time ago */
} slc_identity;

/* SLC_UNAUTHENTICATED when the token is unknown, wrong, expired or its owner disabled or gone; always with the
 * same message. Released by slc_identity_release in every case. */
bool slc_catalog_token_check(slc_txn *txn, const char *token, slc_identity *identity,
                             slc_error *err) SLC_CHECKED;
/* Notes that it was used now. A use should be noted when identity->stale says so: each is a write. */
bool slc_catalog_token_touch(slc_txn *txn, const char *token_id, slc_error *err) SLC_CHECKED;
void slc_identity_release(slc_identity *identity);
/* Fills in rights and teams of identity->user_id, as they are now; a machine has none. */
bool slc_identity_load_rights(slc_txn *txn, slc_identity *identity, slc_error *err) SLC_CHECKED;
/* Scopes ∩ rights. */
bool slc_identity_may(const slc_identity *identity, const char *permission);

/* In a catalog without any API token: makes "bootstrap" with every right; `*token` is new memory, shown once
 * (free with slc_free_secret). Otherwise `*token` is NULL. */
bool slc_catalog_bootstrap(slc_txn *txn, char **token, slc_error *err) SLC_CHECKED;

/* The same in any catalog, under this name: for those who have lost theirs. */
bool slc_catalog_admin_token(slc_txn *txn, const char *name, char **token, slc_error *err) SLC_CHECKED;

/* Uses up one use of an enrolment token, in one statement; `group_id` is where the node joins.
 * SLC_UNAUTHENTICATED when the token is unknown, wrong, expired or used up. A change like any other: call it in
 * slc_catalog_write. */
bool slc_catalog_enrolment_consume(slc_txn *txn, const char *token, char group_id[SLC_TOKEN_ID_CHARS + 1],
                                   slc_error *err) SLC_CHECKED;

#endif
