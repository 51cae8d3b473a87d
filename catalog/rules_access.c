/* Rules: roles, users and API tokens. Nobody gives more than they hold. */
#include <stdio.h>
#include <string.h>

#include "catalog/access.h"
#include "catalog/entity.h"
#include "catalog/session.h"
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

/* ---- roles ---- */

static bool check_role(slc_txn *txn, slc_change *change, slc_error *err)
{
    return !is_built_in(change, err) &&
           slc_access_give(txn, json_object_get(change->next, "permissions"),
                           json_object_get(change->before, "permissions"), "/permissions", err);
}

static bool remove_role(slc_txn *txn, slc_change *change, slc_error *err)
{
    (void)txn;
    return !is_built_in(change, err);
}

const struct slc_kind_rules slc_rules_role = {.check = check_role, .removing = remove_role};

/* ---- users ---- */

typedef bool (*give_fn)(slc_txn *txn, const char *id, const char *pointer, slc_error *err);

/* What `had` has not. */
static bool give_new(slc_txn *txn, const char *field, const json_t *next, const json_t *had, give_fn give,
                     slc_error *err)
{
    bool ok = true;
    size_t index;
    json_t *id;
    json_array_foreach (json_object_get(next, field), index, id) {
        char pointer[SLC_POINTER_CHARS];
        snprintf(pointer, sizeof(pointer), "/%s/%zu", field, index);
        if (!slc_has_text(json_object_get(had, field), json_string_value(id)))
            ok = give(txn, json_string_value(id), pointer, err) && ok;
    }
    return ok;
}

static bool check_owned(slc_txn *txn, const json_t *next, slc_error *err)
{
    bool ok = true;
    size_t index;
    json_t *id;
    json_array_foreach (json_object_get(next, "owned_teams"), index, id) {
        char pointer[SLC_POINTER_CHARS];
        snprintf(pointer, sizeof(pointer), "/owned_teams/%zu", index);
        if (!slc_has_text(json_object_get(next, "teams"), json_string_value(id)))
            ok = slc_txn_problem(txn, pointer, err, "must be one of the user's teams");
    }
    return ok;
}

/* Whoever enables a user gives all that the user has. */
static bool check_user(slc_txn *txn, slc_change *change, slc_error *err)
{
    const json_t *before = change->before;
    bool enabled = json_is_true(json_object_get(before, "disabled")) &&
                   !json_is_true(json_object_get(change->next, "disabled"));
    const json_t *had = enabled ? NULL : before;
    bool ok = check_owned(txn, change->next, err);
    ok = give_new(txn, "roles", change->next, had, slc_access_give_role, err) && ok;
    ok = give_new(txn, "owned_teams", change->next, had, slc_access_owner, err) && ok;
    return give_new(txn, "teams", change->next, had, slc_access_team, err) && ok;
}

/* Who is disabled is signed out; enabled again, they sign in anew. */
static bool end_sessions(slc_txn *txn, slc_change *change, slc_error *err)
{
    return !json_is_true(json_object_get(change->next, "disabled")) ||
           slc_session_end_all(txn, change->id, NULL, err);
}

const struct slc_kind_rules slc_rules_user = {
    .check = check_user, .written = end_sessions, .act = slc_account_act};

/* ---- API tokens ---- */

static bool covers_all(const json_t *scopes, const json_t *wanted)
{
    size_t index;
    json_t *item;
    json_array_foreach (wanted, index, item)
        if (!slc_permission_granted(scopes, json_string_value(item)))
            return false;
    return true;
}

static bool is_later(int64_t time, int64_t than)
{
    return than != 0 && (time == 0 || time > than);
}

/* A token acts as its owner, and who makes it sees it: for others, and without an owner, only administrators
 * make one or add to it. It does not outlive the token that it was made with either. */
static bool check_gift(slc_txn *txn, const slc_change *change, slc_error *err)
{
    const slc_identity *giver = slc_access_bound(txn);
    const json_t *next = change->next, *before = change->before;
    int64_t expires_at = slc_get_int(next, "expires_at");
    bool longer = before == NULL || is_later(expires_at, slc_get_int(before, "expires_at"));
    const json_t *had = longer ? NULL : json_object_get(before, "scopes");
    const char *owner = slc_get_text(next, "owner");
    bool ok = true;
    if (giver == NULL || (!longer && covers_all(had, json_object_get(next, "scopes"))))
        return true;
    if (owner == NULL || strcmp(owner, giver->user_id) != 0)
        ok = slc_txn_refuse(
            txn, SLC_DENIED, "/owner", err,
            "a token of somebody else, or of nobody, needs the permission *, which the token lacks");
    if (longer && is_later(expires_at, giver->expires_at_ms))
        ok = slc_txn_refuse(
            txn, SLC_DENIED, "/expires_at", err,
            "must not be after the end of the token that the request was made with, but with the "
            "permission *");
    return slc_access_give(txn, json_object_get(next, "scopes"), had, "/scopes", err) && ok;
}

static bool check_token(slc_txn *txn, slc_change *change, slc_error *err)
{
    int64_t expires_at = slc_get_int(change->next, "expires_at");
    if (change->before == NULL && expires_at != 0 && expires_at <= slc_txn_now_ms(txn))
        return slc_txn_problem(txn, "/expires_at", err, "must be in the future");
    return check_gift(txn, change, err);
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
