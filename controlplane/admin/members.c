/* Who is in a team: for its members, and whoever may read users. */
#include <string.h>

#include "catalog/read.h"
#include "common/clock.h"
#include "controlplane/admin/handlers.h"

#define MEMBERS_MAX 1000

static const char members_sql[] = "SELECT u.id, u.name, u.title, u.email, EXISTS (SELECT 1 FROM "
                                  "users_owned_teams AS o WHERE o.owner_id = u.id AND "
                                  "o.target_id = ?1), u.disabled FROM users_teams AS l JOIN users AS u ON u.id "
                                  "= l.owner_id WHERE l.target_id = ?1 "
                                  "AND u.name > ?2 ORDER BY u.name LIMIT ?3";
static const char invitations_sql[] = "SELECT i.id, i.email, r.name, i.expires_at FROM invitations AS i JOIN "
                                      "roles AS r ON r.id = i.role WHERE i.team = "
                                      "?1 AND i.expires_at > ?2 ORDER BY i.expires_at, i.id LIMIT ?3";

static bool is_listed(const json_t *list, const char *id)
{
    size_t index;
    json_t *item;
    json_array_foreach (list, index, item) {
        if (strcmp(json_string_value(item), id) == 0)
            return true;
    }
    return false;
}

/* A machine's token has no teams: its scopes alone count. */
static bool may_see(const slc_identity *who, const char *team_id)
{
    return who->user_id[0] == '\0' || slc_identity_may(who, "users:read") || is_listed(who->teams, team_id);
}

static json_t *text_or_null(sqlite3_stmt *stmt, int column)
{
    const char *text = slc_column_text(stmt, column);
    return text != NULL ? json_string(text) : json_null();
}

static json_t *list_members(slc_txn *txn, const char *team_id, const char *after, int limit, slc_error *err)
{
    sqlite3_stmt *stmt = slc_txn_query(txn, err, members_sql, "ssi", team_id, after, (int64_t)limit);
    json_t *list = json_array();
    int rc = stmt == NULL ? -1 : 1;
    while (rc == 1 && (rc = slc_txn_step(txn, stmt, err)) == 1)
        json_array_append_new(list,
                              json_pack("{s:o, s:o, s:o, s:o, s:b, s:b}", "id", text_or_null(stmt, 0), "name",
                                        text_or_null(stmt, 1), "title", text_or_null(stmt, 2), "email",
                                        text_or_null(stmt, 3), "owner", sqlite3_column_int(stmt, 4), "disabled",
                                        sqlite3_column_int(stmt, 5)));
    slc_txn_finish(txn, stmt);
    if (rc == 0)
        return list;
    json_decref(list);
    return NULL;
}

static json_t *list_invitations(slc_txn *txn, const char *team_id, slc_error *err)
{
    sqlite3_stmt *stmt =
        slc_txn_query(txn, err, invitations_sql, "sii", team_id, slc_txn_now_ms(txn), (int64_t)MEMBERS_MAX);
    json_t *list = json_array();
    int rc = stmt == NULL ? -1 : 1;
    while (rc == 1 && (rc = slc_txn_step(txn, stmt, err)) == 1) {
        char expires_at[SLC_RFC3339_CHARS];
        slc_rfc3339_format(sqlite3_column_int64(stmt, 3), expires_at);
        json_array_append_new(list, json_pack("{s:o, s:o, s:o, s:s}", "id", text_or_null(stmt, 0), "email",
                                              text_or_null(stmt, 1), "role", text_or_null(stmt, 2),
                                              "expires_at", expires_at));
    }
    slc_txn_finish(txn, stmt);
    if (rc == 0)
        return list;
    json_decref(list);
    return NULL;
}

/* `next` is the last name of a full page. */
static bool answer(slc_txn *txn, slc_call *call, const char *team_id, int limit, slc_error *err)
{
    const char *after = slc_call_query(call, "cursor");
    json_t *members = list_members(txn, team_id, after != NULL ? after : "", limit, err);
    json_t *invitations = members != NULL ? list_invitations(txn, team_id, err) : NULL;
    if (invitations == NULL) {
        json_decref(members);
        return false;
    }
    size_t count = json_array_size(members);
    json_t *last = count == (size_t)limit ? json_object_get(json_array_get(members, count - 1), "name") : NULL;
    call->answer = json_pack("{s:o, s:o, s:O?}", "items", members, "invitations", invitations, "next", last);
    return true;
}

bool slc_route_members(slc_txn *txn, slc_call *call, slc_error *err)
{
    static const char *const names[] = {"limit", "cursor", NULL};
    int limit = slc_call_limit(call, err);
    if (limit < 0 || !slc_call_query_only(call, names, err))
        return false;
    json_t *team = slc_entity_load(txn, slc_kind_find("teams"), call->target.key, err);
    if (team == NULL)
        return false;
    const char *id = json_string_value(json_object_get(team, "id"));
    bool ok =
        may_see(&call->identity, id)
            ? answer(txn, call, id, limit > 0 ? limit : 100, err)
            : slc_fail(err, SLC_DENIED, NULL,
                       "the members of a team are shown to its members, and with the permission users:read");
    json_decref(team);
    return ok;
}
