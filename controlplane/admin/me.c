#include "controlplane/admin/me.h"

#include <string.h>

#include "catalog/read.h"
#include "controlplane/admin/handlers.h"

static bool is_owned(const slc_identity *identity, const json_t *team)
{
    const char *id = json_string_value(json_object_get(team, "id"));
    size_t index;
    json_t *owned;
    json_array_foreach (identity->owned, index, owned) {
        if (strcmp(json_string_value(owned), id) == 0)
            return true;
    }
    return false;
}

static bool name_teams(slc_txn *txn, const slc_identity *identity, const json_t *keys, json_t *out,
                       slc_error *err)
{
    size_t index;
    json_t *key;
    json_array_foreach (keys, index, key) {
        json_t *team = slc_entity_get(txn, slc_kind_find("teams"), json_string_value(key), err);
        if (team == NULL)
            return false;
        json_array_append_new(out,
                              json_pack("{s:O, s:O, s:O?, s:b}", "id", json_object_get(team, "id"), "name",
                                        json_object_get(team, "name"), "title", json_object_get(team, "title"),
                                        "owner", (int)is_owned(identity, team)));
        json_decref(team);
    }
    return true;
}

static json_t *or_null(const json_t *object, const char *field)
{
    json_t *value = json_object_get(object, field);
    return value != NULL ? json_incref(value) : json_null();
}

static json_t *or_empty(const json_t *object, const char *field)
{
    json_t *value = json_object_get(object, field);
    return value != NULL ? json_incref(value) : json_array();
}

static json_t *describe_user(slc_txn *txn, const slc_identity *identity, slc_error *err)
{
    if (identity->user_id[0] == '\0')
        return json_null();
    json_t *user = slc_entity_get(txn, slc_kind_find("users"), identity->user_id, err);
    if (user == NULL)
        return NULL;
    json_t *teams = json_array(), *out = NULL;
    if (name_teams(txn, identity, json_object_get(user, "teams"), teams, err))
        out = json_pack("{s:s, s:s, s:o, s:o, s:O, s:o}", "id", identity->user_id, "name", identity->user_name,
                        "title", or_null(user, "title"), "email", or_null(user, "email"), "teams", teams,
                        "roles", or_empty(user, "roles"));
    json_decref(teams);
    json_decref(user);
    return out;
}

static json_t *rights_of(const slc_identity *identity)
{
    json_t *all = slc_permissions(), *held = json_array(), *permission;
    size_t index;
    json_array_foreach (all, index, permission) {
        if (slc_identity_may(identity, json_string_value(permission)))
            json_array_append(held, permission);
    }
    json_decref(all);
    return held;
}

bool slc_me_describe(slc_txn *txn, const slc_identity *identity, json_t *out, slc_error *err)
{
    bool session = identity->session_id[0] != '\0';
    json_t *user = describe_user(txn, identity, err);
    if (user == NULL)
        return false;
    json_object_set_new(out, "user", user);
    json_object_set_new(out, "rights", rights_of(identity));
    json_object_set_new(out, "session", session ? json_pack("{s:s}", "id", identity->session_id) : json_null());
    json_object_set_new(out, "token",
                        session ? json_null()
                                : json_pack("{s:s, s:s, s:O}", "id", identity->token_id, "name",
                                            identity->token_name, "scopes", identity->scopes));
    return true;
}

bool slc_route_me(slc_txn *txn, slc_call *call, slc_error *err)
{
    call->answer = json_object();
    return slc_me_describe(txn, &call->identity, call->answer, err);
}
