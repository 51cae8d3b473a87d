/* The policy types that the catalog accepts, with their settings and where they may be attached. */
#ifndef SLC_CATALOG_POLICY_TYPE_H
#define SLC_CATALOG_POLICY_TYPE_H

#include "catalog/catalog.h"

enum slc_policy_scope {
    SLC_SCOPE_GROUP = 1 << 0,
    SLC_SCOPE_LISTENER = 1 << 1,
    SLC_SCOPE_VIRTUAL_CLUSTER = 1 << 2,
    SLC_SCOPE_EVENT_API = 1 << 3,
    SLC_SCOPE_PLAN = 1 << 4,
    SLC_SCOPE_APPLICATION = 1 << 5,
};

typedef struct slc_policy_kind {
    const char *name;
    const char *help;
    unsigned scopes;         /* enum slc_policy_scope */
    const slc_field *fields; /* of `config` */
    /* What the fields alone cannot say; NULL: nothing. Pointers start at the config. */
    bool (*check)(slc_txn *txn, const json_t *config, slc_error *err);
} slc_policy_kind;

/* Ends with a NULL name. */
const slc_policy_kind *slc_policy_kinds(void);

/* rules_schema.c: of the type schema. */
extern const slc_field slc_schema_fields[];
bool slc_schema_check(slc_txn *txn, const json_t *config, slc_error *err) SLC_CHECKED;
/* rules_encrypt.c: of the type encrypt. */
extern const slc_field slc_encrypt_fields[];
bool slc_encrypt_check(slc_txn *txn, const json_t *config, slc_error *err) SLC_CHECKED;

#endif
