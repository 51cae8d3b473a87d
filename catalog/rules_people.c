/* Rules: members of teams, and what sign-in providers give. */
#include <stdio.h>
#include <string.h>

#include "catalog/access.h"
#include "catalog/entity.h"
#include "catalog/store.h"

/* ---- members of teams ---- */

static void add_to(json_t *user, const char *field, const char *team_id)
{
    json_t *list = json_object_get(user, field);
    if (list == NULL) {
        list = json_array();
        json_object_set_new(user, field, list);
    }
    if (!slc_has_text(list, team_id))
        json_array_append_new(list, json_string(team_id));
}

static void take_from(json_t *user, const char *field, const char *team_id)
{
    json_t *list = json_object_get(user, field);
    for (size_t i = json_array_size(list); i-- > 0;)
        if (strcmp(json_string_value(json_array_get(list, i)), team_id) == 0)
            json_array_remove(list, i);
    if (list != NULL && json_array_size(list) == 0) /* absent is the same, and what is stored */
        json_object_del(user, field);
}

/* An owner takes in whom they like: what members have is the team's, and the owner speaks for it. */
static bool change_member(slc_txn *txn, const char *team_id, bool add, const json_t *body, slc_error *err)
{
    const slc_kind *users = slc_kind_find("users");
    json_t *before = slc_entity_load(txn, users, slc_get_text(body, "user"), err);
    if (before == NULL)
        return false;
    json_t *next = json_deep_copy(before);
    if (add)
        add_to(next, "teams", team_id);
    else
        take_from(next, "teams", team_id);
    if (add && json_is_true(json_object_get(body, "owner")))
        add_to(next, "owned_teams", team_id);
    else
        take_from(next, "owned_teams", team_id);
    bool ok = slc_entity_save(txn, users, "update", before, next, NULL, err);
    json_decref(next);
    json_decref(before);
    return ok;
}

static bool act_on_team(slc_txn *txn, slc_change *change, const slc_action *action, const json_t *body,
                        slc_error *err)
{
    if (body == NULL)
        return slc_fail(err, SLC_INVALID, "/user", "is required");
    return slc_access_owner(txn, change->id, NULL, err) &&
           change_member(txn, change->id, strcmp(action->name, "add-member") == 0, body, err);
}

const struct slc_kind_rules slc_rules_team = {.act = act_on_team};

/* ---- sign-in ---- */

/* Whoever says where people come from can be anybody. */
static bool check_provider(slc_txn *txn, slc_change *change, slc_error *err)
{
    (void)change;
    return slc_access_bound(txn) == NULL ||
           slc_fail(err, SLC_DENIED, NULL,
                    "sign-in providers are for platform administrators (the permission *)");
}

static bool check_rule(slc_txn *txn, slc_change *change, slc_error *err)
{
    const char *team = slc_get_text(change->next, "team"), *role = slc_get_text(change->next, "role");
    if (team == NULL && role == NULL)
        return slc_txn_problem(txn, "/team", err, "the rule gives nothing: name a team, a role, or both");
    bool ok = role == NULL || slc_access_give_role(txn, role, "/role", err);
    return (team == NULL || slc_access_owner(txn, team, "/team", err)) && ok;
}

const struct slc_kind_rules slc_rules_sign_in_provider = {.check = check_provider, .removing = check_provider};
const struct slc_kind_rules slc_rules_sign_in_rule = {.check = check_rule};
