/* What people do with their own account: sessions, password, API tokens. For whoever signed in, with any
 * rights: a token cannot do these things, so that one that leaks makes no others. */
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>

#include "catalog/read.h"
#include "controlplane/admin/handlers.h"
#include "controlplane/portal/portal_private.h"

/* ---- sessions ---- */

bool slc_portal_sessions(slc_txn *txn, slc_call *call, slc_error *err)
{
    json_t *list = slc_session_list(txn, call->identity.user_id, &slc_portal_of(call)->options.sessions, err);
    size_t index;
    json_t *session;
    if (list == NULL)
        return false;
    json_array_foreach (list, index, session) {
        const char *id = json_string_value(json_object_get(session, "id"));
        json_object_set_new(session, "current", json_boolean(strcmp(id, call->identity.session_id) == 0));
    }
    call->answer = json_pack("{s:o}", "items", list);
    return true;
}

bool slc_portal_end_session(slc_txn *txn, slc_call *call, slc_error *err)
{
    bool ended;
    if (!slc_session_end_id(txn, call->identity.user_id, call->target.key, &ended, err))
        return false;
    if (!ended)
        return slc_fail(err, SLC_NOT_FOUND, NULL, "you have no such session");
    if (strcmp(call->target.key, call->identity.session_id) == 0)
        slc_portal_set_session(call, NULL);
    return true;
}

bool slc_portal_end_others(slc_txn *txn, slc_call *call, slc_error *err)
{
    return slc_session_end_all(txn, call->identity.user_id, call->identity.session_id, err);
}

/* ---- how others see them ---- */

/* The address is not theirs to change: by it others find them. */
bool slc_portal_change_profile(slc_txn *txn, slc_call *call, slc_error *err)
{
    static const char *const fields[] = {"title", NULL};
    const slc_kind *users = slc_kind_find("users");
    json_t *current =
        slc_portal_fields(call, fields, err) ? slc_entity_get(txn, users, call->identity.user_id, err) : NULL;
    if (current == NULL)
        return false;
    json_t *updated = slc_entity_update(txn, users, call->identity.user_id, call->body, true,
                                        json_integer_value(json_object_get(current, "revision")), err);
    json_decref(current);
    if (updated == NULL)
        return slc_call_keep_problems(txn, call);
    json_decref(updated);
    return slc_portal_session(txn, call, err);
}

/* ---- password ---- */

struct change {
    slc_call *call;
    slc_account account;
    char hash[SLC_PASSWORD_HASH_CHARS];
    char secret[SLC_SESSION_SECRET_CHARS + 1];
};

static bool load(slc_txn *txn, void *arg, slc_error *err)
{
    struct change *change = arg;
    return slc_account_load(txn, change->call->identity.user_id, &change->account, err);
}

/* Every session ends, also this one: what somebody may have copied is worth nothing afterwards. */
static bool store(slc_txn *txn, void *arg, slc_error *err)
{
    struct change *change = arg;
    const char *user_id = change->account.user_id;
    return slc_account_set_password(txn, user_id, change->hash, NULL, err) &&
           slc_portal_begin(txn, change->call, user_id, NULL, change->secret, err);
}

static bool check_current(slc_call *call, const struct change *change, const char *current, slc_error *err)
{
    slc_portal *portal = slc_portal_of(call);
    if (change->account.hash[0] == '\0')
        return slc_fail(err, SLC_CONFLICT, NULL,
                        "the account has no password: it is opened by a sign-in provider");
    if (slc_password_matches(change->account.hash, current))
        return true;
    slc_failures_failed(portal->failures, call->browser.address, call->identity.user_name);
    return slc_fail(err, SLC_DENIED, "/current", "is not your password");
}

bool slc_portal_change_password(slc_txn *txn, slc_call *call, slc_error *err)
{
    static const char *const fields[] = {"current", "password", NULL};
    struct change change = {.call = call};
    slc_portal *portal = slc_portal_of(call);
    char user_id[SLC_TOKEN_ID_CHARS + 1], user_name[sizeof call->identity.user_name];
    slc_actor actor = {
        .kind = "user", .id = user_id, .name = user_name, .request_id = call->request_id, .manager = "portal"};
    const char *current;
    (void)txn;
    /* The identity is replaced by that of the session that begins. */
    memcpy(user_id, call->identity.user_id, sizeof user_id);
    memcpy(user_name, call->identity.user_name, sizeof user_name);
    if (!slc_portal_fields(call, fields, err) ||
        (current = slc_portal_text(call, "current", 1, SLC_PASSWORD_MAX / 4, err)) == NULL ||
        !slc_portal_may_try(call, portal->failures, user_name, err) ||
        !slc_catalog_read_sync(portal->catalog, load, &change, err) ||
        !check_current(call, &change, current, err) ||
        !slc_portal_new_password(call, "password", user_name, change.hash, err) ||
        !slc_catalog_write_sync(portal->catalog, &actor, store, &change, err))
        return false;
    slc_portal_set_session(call, change.secret);
    OPENSSL_cleanse(change.secret, sizeof change.secret);
    return true;
}

/* ---- API tokens ---- */

static const slc_kind *token_kind(void)
{
    return slc_kind_find("api-tokens");
}

bool slc_portal_tokens(slc_txn *txn, slc_call *call, slc_error *err)
{
    json_t *filters = json_pack("{s:s}", "owner", call->identity.user_id);
    slc_list_query query = {
        .limit = slc_call_limit(call, err), .cursor = slc_call_query(call, "cursor"), .filters = filters};
    if (query.limit >= 0)
        call->answer = slc_entity_list(txn, token_kind(), &query, err);
    json_decref(filters);
    return call->answer != NULL;
}

/* Nobody gives it more than they hold (rules_access.c), and it is theirs. */
bool slc_portal_make_token(slc_txn *txn, slc_call *call, slc_error *err)
{
    static const char *const fields[] = {"name", "scopes", "expires_at", NULL};
    if (!slc_portal_fields(call, fields, err))
        return false;
    json_t *body = json_copy(call->body);
    json_object_set_new(body, "owner", json_string(call->identity.user_id));
    call->answer = slc_entity_create(txn, token_kind(), body, err);
    json_decref(body);
    if (call->answer == NULL)
        return slc_call_keep_problems(txn, call);
    snprintf(call->location, sizeof call->location, "/auth/tokens/%s",
             json_string_value(json_object_get(call->answer, "id")));
    return true;
}

static bool is_own(slc_txn *txn, const slc_call *call, slc_error *err)
{
    json_t *stored = slc_entity_load(txn, token_kind(), call->target.key, err);
    const char *owner = json_string_value(json_object_get(stored, "owner"));
    bool own = owner != NULL && strcmp(owner, call->identity.user_id) == 0;
    bool failed = stored == NULL && err->code != SLC_NOT_FOUND;
    json_decref(stored);
    if (own || failed)
        return own;
    return slc_fail(err, SLC_NOT_FOUND, NULL, "you have no such token");
}

bool slc_portal_delete_token(slc_txn *txn, slc_call *call, slc_error *err)
{
    json_t *referrers = NULL;
    if (!is_own(txn, call, err))
        return false;
    bool ok = slc_entity_delete(txn, token_kind(), call->target.key, -1, &referrers, err);
    json_decref(referrers);
    return ok;
}
