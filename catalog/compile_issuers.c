/* Issuers of tokens: those that a live credential names. */
#include <string.h>

#include "catalog/compile_private.h"
#include "catalog/rules.h"

static bool compile_credential_claims(slc_compile *compile, Sluice__Snapshot__V1__Issuer *issuer,
                                      slc_error *err)
{
    json_t *claims = json_array();
    bool ok = slc_issuer_claims(compile->txn, issuer->id, claims, err);
    issuer->credential_claims = slc_compile_texts(compile, claims, &issuer->n_credential_claims);
    json_decref(claims);
    return ok;
}

/* In order of their names: equal content gives equal bytes. */
static void compile_required_claims(slc_compile *compile, const json_t *map,
                                    Sluice__Snapshot__V1__Issuer *issuer)
{
    const char *name;
    json_t *value;
    size_t count = json_object_size(map), at = 0;
    issuer->claims = slc_compile_alloc(compile, (count + 1) * sizeof *issuer->claims);
    json_object_foreach ((json_t *)map, name, value) {
        Sluice__Snapshot__V1__Claim *claim = slc_compile_alloc(compile, sizeof *claim);
        sluice__snapshot__v1__claim__init(claim);
        claim->name = slc_compile_text(compile, name);
        claim->value = slc_compile_text(compile, json_string_value(value));
        for (at = issuer->n_claims++; at > 0 && strcmp(issuer->claims[at - 1]->name, name) > 0; at--)
            issuer->claims[at] = issuer->claims[at - 1];
        issuer->claims[at] = claim;
    }
}

static bool compile_issuer(slc_compile *compile, sqlite3_stmt *stmt, slc_items *items, slc_error *err)
{
    Sluice__Snapshot__V1__Issuer *issuer = slc_compile_alloc(compile, sizeof *issuer);
    json_t *audiences = slc_column_json(stmt, 6), *algorithms = slc_column_json(stmt, 7),
           *claims = slc_column_json(stmt, 8), *identifying = slc_column_json(stmt, 13);
    sluice__snapshot__v1__issuer__init(issuer);
    issuer->id = slc_compile_text(compile, slc_column_text(stmt, 0));
    issuer->name = slc_compile_text(compile, slc_column_text(stmt, 1));
    issuer->url = slc_compile_text(compile, slc_column_text(stmt, 2));
    issuer->jwks_url = slc_compile_text(compile, slc_column_text(stmt, 3));
    issuer->jwks_file = slc_compile_text(compile, slc_column_text(stmt, 4));
    issuer->ca_pem = slc_compile_text(compile, slc_column_text(stmt, 5));
    issuer->audiences = slc_compile_texts(compile, audiences, &issuer->n_audiences);
    issuer->algorithms = slc_compile_texts(compile, algorithms, &issuer->n_algorithms);
    compile_required_claims(compile, claims, issuer);
    issuer->clock_skew_ms = sqlite3_column_int64(stmt, 9);
    issuer->principal_claim = slc_compile_text(compile, slc_column_text(stmt, 10));
    issuer->groups_claim = slc_compile_text(compile, slc_column_text(stmt, 11));
    issuer->scopes_claim = slc_compile_text(compile, slc_column_text(stmt, 12));
    issuer->identifying_claims = slc_compile_texts(compile, identifying, &issuer->n_identifying_claims);
    json_decref(identifying);
    json_decref(audiences);
    json_decref(algorithms);
    json_decref(claims);
    if (!compile_credential_claims(compile, issuer, err))
        return false;
    slc_items_add(items, &issuer->base, issuer->id);
    return true;
}

bool slc_compile_issuers(slc_compile *compile, slc_error *err)
{
    slc_items items = {0};
    bool ok = true;
    int row = 0;
    sqlite3_stmt *stmt = slc_txn_prepare(
        compile->txn,
        "SELECT id, name, url, jwks_url, jwks_file, ca_pem, audiences, algorithms, claims, clock_skew, "
        "principal_claim, groups_claim, scopes_claim, identifying_claims FROM issuers i WHERE EXISTS (SELECT 1 "
        "FROM credentials c "
        "WHERE c.oidc_issuer = i.id AND c.revoked_at IS NULL) ORDER BY id",
        err);
    if (stmt == NULL)
        return false;
    while (ok && (row = slc_txn_step(compile->txn, stmt, err)) == 1)
        ok = compile_issuer(compile, stmt, &items, err);
    slc_txn_finish(compile->txn, stmt);
    slc_compile_section(compile, SLUICE__SNAPSHOT__V1__SECTION__SECTION_ISSUERS, &items);
    return ok && row == 0;
}
