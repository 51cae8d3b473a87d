/* Rules of issuers. */
#include <string.h>

#include "catalog/rules.h"
#include "catalog/store.h"

static bool check_issuer(slc_txn *txn, slc_change *change, slc_error *err)
{
    const char *file = slc_get_text(change->next, "jwks_file");
    bool ok = true;
    if (file != NULL && slc_get_text(change->next, "jwks_url") != NULL)
        ok = slc_txn_problem(txn, "/jwks_file", err, "the keys come from a URL or from a file, not from both");
    if (file != NULL && file[0] != '/')
        ok = slc_txn_problem(txn, "/jwks_file", err, "the path must be absolute");
    return ok;
}

/* From claim to claim along the index, whatever the number of credentials. */
static const char claims_sql[] =
    "WITH RECURSIVE claims(claim) AS ("
    "SELECT min(json_extract(oidc, '$.claim')) FROM credentials WHERE oidc_issuer = ?1 AND revoked_at IS NULL "
    "UNION ALL SELECT (SELECT min(json_extract(oidc, '$.claim')) FROM credentials WHERE oidc_issuer = ?1 AND "
    "revoked_at IS NULL AND json_extract(oidc, '$.claim') > claims.claim) FROM claims WHERE claims.claim IS "
    "NOT NULL) "
    "SELECT claim FROM claims WHERE claim IS NOT NULL";

bool slc_issuer_claims(slc_txn *txn, const char *issuer_id, json_t *claims, slc_error *err)
{
    int row = 0;
    sqlite3_stmt *stmt = slc_txn_query(txn, err, claims_sql, "s", issuer_id);
    while (stmt != NULL && (row = slc_txn_step(txn, stmt, err)) == 1)
        json_array_append_new(claims, json_string(slc_column_text(stmt, 0)));
    slc_txn_finish(txn, stmt);
    return stmt != NULL && row == 0;
}

const struct slc_kind_rules slc_rules_issuer = {.check = check_issuer};
