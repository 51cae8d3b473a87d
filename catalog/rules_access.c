/* Rules: roles and API tokens. */
#include <string.h>

#include "catalog/entity.h"
#include "catalog/store.h"
#include "catalog/token.h"

static bool is_built_in(const slc_change *change, slc_error *err)
{
    if (change->before != NULL && json_is_true(json_object_get(change->before, "built_in")))
        return !slc_fail(err, SLC_CONFLICT, NULL,
                         "the role %s comes with the program and cannot be changed or deleted",
                         slc_get_text(change->before, "name"));
    return false;
}

static bool check_role(slc_txn *txn, slc_change *change, slc_error *err)
{
    (void)txn;
    return !is_built_in(change, err);
}

const struct slc_kind_rules slc_rules_role = {.check = check_role, .removing = check_role};

static bool check_token(slc_txn *txn, slc_change *change, slc_error *err)
{
    int64_t expires_at = slc_get_int(change->next, "expires_at");
    if (change->before == NULL && expires_at != 0 && expires_at <= slc_txn_now_ms(txn))
        return slc_txn_problem(txn, "/expires_at", err, "must be in the future");
    return true;
}

static bool make_token(slc_txn *txn, slc_change *change, slc_error *err)
{
    if (change->before != NULL)
        return true;
    slc_token token;
    slc_token_make(&token, SLC_TOKEN_API, change->id);
    json_object_set_new(change->once, "token", json_string(token.text));
    bool ok = slc_txn_exec(txn, err, "UPDATE api_tokens SET secret_sha256 = ?2 WHERE id = ?1", "sb", change->id,
                           token.sha256, sizeof(token.sha256));
    slc_token_release(&token);
    return ok;
}

const struct slc_kind_rules slc_rules_api_token = {.check = check_token, .written = make_token};
