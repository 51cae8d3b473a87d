/* People whom sign-in providers vouch for: who they are here, and what the providers' rules give them. Inside a
 * transaction; what a provider said was verified before.
 */
#ifndef SLC_CATALOG_FEDERATION_H
#define SLC_CATALOG_FEDERATION_H

#include "catalog/token.h"

/* A sign-in provider with its secret in the clear. */
typedef struct slc_provider {
    char id[SLC_TOKEN_ID_CHARS + 1];
    char *name, *issuer, *client_id, *groups_claim, *name_claim;
    char *client_secret;      /* NULL: a public client */
    char *ca_pem;             /* NULL: the system's */
    json_t *scopes, *domains; /* arrays; NULL: none */
    bool trust_email;
} slc_provider;

/* By its key; SLC_NOT_FOUND also when it is disabled. A secret in a file or the environment is read here, on
 * the control plane. Released in every case. */
bool slc_provider_load(slc_txn *txn, const char *key, slc_provider *provider, slc_error *err) SLC_CHECKED;
void slc_provider_release(slc_provider *provider);
/* Those that are not disabled: new array of {name, title}. */
json_t *slc_provider_list(slc_txn *txn, slc_error *err) SLC_CHECKED;

/* What a provider says of somebody. Everything is borrowed; texts but the subject may be NULL. */
typedef struct slc_vouched {
    const char *subject;
    const char *email; /* verified */
    const char *name;  /* what an account's name may be made of */
    const char *title;
    const json_t *groups; /* array of strings */
} slc_vouched;

/* Whom nobody here knows yet is let in ... */
enum slc_admission {
    SLC_ADMIT_KNOWN,   /* never */
    SLC_ADMIT_RULES,   /* when a rule is about a group of theirs */
    SLC_ADMIT_DOMAINS, /* or with an address of one of the provider's domains */
    SLC_ADMIT_ALL,
};

/* The user of whoever is vouched for, who is made if need be: by the invitation (NULL: none), or as `admission`
 * allows, with `role` (NULL: none) when no rule gives one. Rules are applied: what they gave at an earlier
 * sign-in and give no more is taken away again; what people gave stays. SLC_DENIED when they are not to come
 * in. */
bool slc_federation_admit(slc_txn *txn, const slc_provider *provider, const slc_vouched *who,
                          enum slc_admission admission, const char *role, const char *invitation,
                          char user_id[SLC_TOKEN_ID_CHARS + 1], slc_error *err) SLC_CHECKED;

#endif
