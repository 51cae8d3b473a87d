/* Rules of issuers. */
#include <stdio.h>
#include <string.h>

#include "catalog/rules.h"
#include "catalog/store.h"

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

bool slc_claim_is_common(const char *claim)
{
    static const char *const common[] = {"iss", "aud", "exp", "nbf", "iat", "jti", "typ", "scope"};
    for (size_t i = 0; i < sizeof(common) / sizeof(*common); i++)
        if (strcmp(claim + (claim[0] == '/'), common[i]) == 0)
            return true;
    return false;
}

/* Whose credentials name a claim would be locked out without a word if it went. */
static bool check_claims_in_use(slc_txn *txn, const slc_change *change, const json_t *listed, slc_error *err)
{
    json_t *used = json_array();
    bool ok = slc_issuer_claims(txn, change->id, used, err);
    for (size_t i = 0; ok && i < json_array_size(used); i++) {
        const char *claim = json_string_value(json_array_get(used, i));
        if (!slc_has_text(listed, claim))
            ok = slc_fail(err, SLC_CONFLICT, "/identifying_claims",
                          "live credentials name the claim %.100s: list it too, or revoke them first", claim);
    }
    json_decref(used);
    return ok;
}

static bool check_identifying(slc_txn *txn, const slc_change *change, slc_error *err)
{
    const json_t *listed = json_object_get(change->next, "identifying_claims");
    for (size_t i = 0; i < json_array_size(listed); i++) {
        const char *claim = json_string_value(json_array_get(listed, i));
        char pointer[64];
        snprintf(pointer, sizeof(pointer), "/identifying_claims/%zu", i);
        if (claim[0] == '\0')
            return slc_txn_problem(txn, pointer, err, "must not be empty");
        if (slc_claim_is_common(claim))
            return slc_txn_problem(txn, pointer, err, "does not tell one application from another");
    }
    return change->before == NULL || json_array_size(listed) == 0 ||
           check_claims_in_use(txn, change, listed, err);
}

static bool check_issuer(slc_txn *txn, slc_change *change, slc_error *err)
{
    const char *file = slc_get_text(change->next, "jwks_file");
    bool ok = true;
    if (file != NULL && slc_get_text(change->next, "jwks_url") != NULL)
        ok = slc_txn_problem(txn, "/jwks_file", err, "the keys come from a URL or from a file, not from both");
    if (file != NULL && file[0] != '/')
        ok = slc_txn_problem(txn, "/jwks_file", err, "the path must be absolute");
    return check_identifying(txn, change, err) && ok;
}

const struct slc_kind_rules slc_rules_issuer = {.check = check_issuer};
