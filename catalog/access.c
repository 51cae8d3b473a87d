#include "catalog/access.h"

#include <stdio.h>
#include <string.h>

#include "catalog/entity.h"
#include "catalog/store.h"

const slc_identity *slc_access_bound(slc_txn *txn)
{
    const slc_identity *identity = txn->actor.identity;
    return identity == NULL || slc_identity_may(identity, "*") ? NULL : identity;
}

/* ---- teams ---- */

static bool crosses_teams(slc_txn *txn)
{
    const slc_identity *identity = slc_access_bound(txn);
    return identity == NULL || identity->user_id[0] == '\0' ||
           slc_identity_may(identity, SLC_PERMISSION_ALL_TEAMS);
}

bool slc_access_team(slc_txn *txn, const char *team_id, const char *pointer, slc_error *err)
{
    char name[SLC_KEY_CHARS];
    if (crosses_teams(txn) || slc_has_text(txn->actor.identity->teams, team_id))
        return true;
    slc_key_of(txn, "teams", team_id, name);
    return slc_txn_refuse(txn, SLC_DENIED, pointer, err,
                          "the token's owner is no member of the team %s: to write for it the token needs the "
                          "permission " SLC_PERMISSION_ALL_TEAMS,
                          name);
}

bool slc_access_owner(slc_txn *txn, const char *team_id, const char *pointer, slc_error *err)
{
    char name[SLC_KEY_CHARS];
    if (crosses_teams(txn) || (team_id != NULL && slc_has_text(txn->actor.identity->owned, team_id)))
        return true;
    if (team_id == NULL)
        return slc_txn_refuse(txn, SLC_DENIED, pointer, err,
                              "without a team of yours the permission " SLC_PERMISSION_ALL_TEAMS " is needed");
    slc_key_of(txn, "teams", team_id, name);
    return slc_txn_refuse(
        txn, SLC_DENIED, pointer, err,
        "only owners of the team %s manage its members, or who has the permission " SLC_PERMISSION_ALL_TEAMS,
        name);
}

/* A step towards the team. */
struct step {
    const slc_kind *kind; /* what is referred to; NULL: nothing */
    const char *id;
    char pointer[SLC_POINTER_CHARS];
};

static struct step step_from(const slc_kind *kind, const char *through, const json_t *stored)
{
    struct step step = {.kind = NULL};
    const slc_field *field = slc_field_find(kind->fields, through);
    const json_t *value = json_object_get(stored, through);
    snprintf(step.pointer, sizeof(step.pointer), "/%s", through);
    if (field->type != SLC_F_OBJECT) {
        step.kind = slc_kind_find(field->ref);
        step.id = json_string_value(value);
        return step;
    }
    for (const slc_field *inner = field->fields; inner->name != NULL; inner++) {
        if (inner->type != SLC_F_REF)
            continue;
        snprintf(step.pointer, sizeof(step.pointer), "/%s/%s", through, inner->name);
        step.id = slc_get_text(value, inner->name);
        for (const slc_ref_choice *choice = inner->choices; choice != NULL && choice->value != NULL; choice++)
            if (strcmp(choice->value, slc_get_text(value, "kind")) == 0)
                step.kind = slc_kind_find(choice->kind);
    }
    return step;
}

/* 1: belongs to `team`; 0: to none; -1: error. */
static int team_of(slc_txn *txn, const struct step *step, char team[SLC_ID_CHARS + 1], slc_error *err)
{
    if (step->kind == NULL || step->id == NULL)
        return 0;
    if (strcmp(step->kind->name, "teams") == 0) {
        snprintf(team, SLC_ID_CHARS + 1, "%s", step->id);
        return 1;
    }
    if (step->kind->team_through == NULL)
        return 0;
    json_t *stored = slc_entity_load(txn, step->kind, step->id, err);
    if (stored == NULL)
        return -1;
    struct step next = step_from(step->kind, step->kind->team_through, stored);
    int rc = team_of(txn, &next, team, err);
    json_decref(stored);
    return rc;
}

static bool check_step(slc_txn *txn, const struct step *step, const char *pointer, slc_error *err)
{
    char team[SLC_ID_CHARS + 1];
    int rc = team_of(txn, step, team, err);
    if (rc == 0)
        return slc_txn_refuse(
            txn, SLC_DENIED, pointer, err,
            "a %s belongs to no team: to write for all of them the token needs the permission "
            "" SLC_PERMISSION_ALL_TEAMS,
            step->kind != NULL ? step->kind->singular : "missing entity");
    return rc == 1 && slc_access_team(txn, team, pointer, err);
}

bool slc_access_write(slc_txn *txn, const slc_kind *kind, const json_t *before, const json_t *next,
                      slc_error *err)
{
    if (kind->team_through == NULL || crosses_teams(txn))
        return true;
    if (before != NULL) {
        struct step step = step_from(kind, kind->team_through, before);
        if (!check_step(txn, &step, NULL, err))
            return false;
    }
    if (next == NULL)
        return true;
    struct step step = step_from(kind, kind->team_through, next);
    return check_step(txn, &step, step.pointer, err);
}

bool slc_access_act(slc_txn *txn, const slc_kind *kind, const slc_action *action, const json_t *before,
                    slc_error *err)
{
    if (action->team_through == NULL || crosses_teams(txn))
        return slc_access_write(txn, kind, before, NULL, err);
    struct step step = step_from(kind, action->team_through, before);
    return check_step(txn, &step, NULL, err);
}

bool slc_access_use(slc_txn *txn, const slc_kind *kind, const char *id, const char *pointer, slc_error *err)
{
    struct step step = {.kind = kind, .id = id};
    return crosses_teams(txn) || check_step(txn, &step, pointer, err);
}

/* ---- rights ---- */

bool slc_access_give(slc_txn *txn, const json_t *permissions, const json_t *before, const char *pointer,
                     slc_error *err)
{
    const slc_identity *identity = slc_access_bound(txn);
    bool ok = true;
    size_t index;
    json_t *item;
    if (identity == NULL)
        return true;
    json_array_foreach (permissions, index, item) {
        const char *permission = json_string_value(item);
        char place[SLC_POINTER_CHARS];
        if (slc_permission_granted(before, permission) || slc_identity_may(identity, permission))
            continue;
        snprintf(place, sizeof(place), "%s/%zu", pointer, index);
        ok = slc_txn_refuse(txn, SLC_DENIED, place, err,
                            "the token lacks the permission %s, and nobody gives what they do not hold",
                            permission);
    }
    return ok;
}

bool slc_access_give_role(slc_txn *txn, const char *role_id, const char *pointer, slc_error *err)
{
    const slc_identity *identity = slc_access_bound(txn);
    if (identity == NULL)
        return true;
    json_t *role = slc_entity_load(txn, slc_kind_find("roles"), role_id, err);
    bool ok = role != NULL;
    size_t index;
    json_t *item;
    json_array_foreach (json_object_get(role, "permissions"), index, item) {
        if (!ok || slc_identity_may(identity, json_string_value(item)))
            continue;
        ok = slc_txn_refuse(
            txn, SLC_DENIED, pointer, err,
            "the role %s has the permission %s, which the token lacks, and nobody gives what they "
            "do not hold",
            slc_get_text(role, "name"), json_string_value(item));
    }
    json_decref(role);
    return ok;
}
