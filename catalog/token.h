/* Tokens: who may call the admin API, and who may enrol. Inside a transaction. */
#ifndef SLC_CATALOG_TOKEN_H
#define SLC_CATALOG_TOKEN_H

#include "catalog/catalog.h"

/* Who a token is. `scopes` is what it may do now: its own scopes, and for a user's token only as far as that
 * user's roles still reach. */
typedef struct slc_token_identity {
    char id[24];
    char name[64];
    char owner_id[24]; /* the user; empty for a machine's token */
    json_t *scopes;    /* array of strings; own reference */
} slc_token_identity;

/* Checks "sla_<id>_<secret>": SLC_UNAUTHENTICATED when it is unknown, wrong, expired or its owner is disabled,
 * without telling which. Compares in constant time. */
bool slc_token_check(slc_txn *txn, const char *token, slc_token_identity *identity, slc_error *err) SLC_CHECKED;
void slc_token_identity_release(slc_token_identity *identity);

/* When there is no API token at all: makes "bootstrap" with the scope "*" and hands its text out (new, free
 * with slc_free_secret), else `*token` is NULL. */
bool slc_catalog_bootstrap(slc_txn *txn, char **token, slc_error *err) SLC_CHECKED;

#endif
