/* What was taken away since the backup stays taken away, as main.taken_away tells it (restore_recall.c). It
 * goes by ids, so an object that the replaced catalog never knew is not touched. */
#include "catalog/restore_carry.h"

#include <stdio.h>
#include <stdlib.h>

#include "catalog/entity.h"
#include "catalog/store.h"

/* What is known of a row of this kind. */
#define KNOWN(kind, table) "main.taken_away AS o WHERE o.kind = '" kind "' AND o.entity_id = " table ".id AND "
#define SOME(kind)         "(SELECT o.entity_id FROM main.taken_away AS o WHERE o.kind = '" kind "' AND o."
/* ?1 is the revision that the change gets, ?2 the time. */
#define STAMP "revision = ?1, updated_at = ?2 "
/* An end that was brought forward. */
#define EARLIER(kind, table, live)                                                                             \
    "UPDATE main." table " SET expires_at = o.expires_at, " STAMP                                              \
    "FROM " KNOWN(kind, table) "o.expires_at < coalesce(" table ".expires_at, o.expires_at + 1) AND " table    \
                               "." live " RETURNING id, key"
/* Members of a list that the user no longer has. */
#define CUT_FROM(list)                                                                                         \
    "FROM main.users_" list " AS m JOIN main.taken_away AS o ON o.kind = 'users' AND o.entity_id = "           \
    "m.owner_id WHERE o." list " IS NOT NULL AND m.target_id NOT IN (SELECT value FROM json_each(o." list "))"
#define TOUCH_CUT(list)                                                                                        \
    "UPDATE main.users SET " STAMP "WHERE id IN (SELECT m.owner_id " CUT_FROM(list) ") RETURNING id, key"
#define CUT(list)                                                                                              \
    "DELETE FROM main.users_" list                                                                             \
    " WHERE (owner_id, target_id) IN (SELECT m.owner_id, m.target_id " CUT_FROM(list) ")"
#define LIVE "subscriptions.state IN ('pending', 'approved', 'suspended')"

/* In this order: what was revoked is not also called suspended. Statements return id and key of each. */
static const struct step {
    const char *kind;
    const char *what;   /* in the report */
    const char *action; /* in the audit trail */
    const char *sql;
    const char *then; /* without rows, or NULL */
} steps[] = {
    {"credentials", "revoked", "revoke",
     "UPDATE main.credentials SET revoked_at = o.revoked_at, " STAMP
     "FROM " KNOWN("credentials",
                   "credentials") "credentials.revoked_at IS NULL AND o.revoked_at IS NOT NULL RETURNING id, "
                                  "key",
     NULL},
    {"credentials", "deleted", "revoke",
     "UPDATE main.credentials SET revoked_at = ?2, " STAMP
     "WHERE revoked_at IS NULL AND id IN " SOME("credentials") "deleted) RETURNING id, key",
     NULL},
    {"credentials", "disabled", "update",
     "UPDATE main.credentials SET disabled = 1, " STAMP
     "WHERE disabled = 0 AND revoked_at IS NULL AND id IN " SOME("credentials") "disabled) RETURNING id, key",
     NULL},
    {"credentials", "shortened", "update", EARLIER("credentials", "credentials", "revoked_at IS NULL"), NULL},
    {"subscriptions", "ended", "revoke",
     "UPDATE main.subscriptions SET state = o.state, reason = o.reason, " STAMP
     "FROM " KNOWN("subscriptions", "subscriptions") LIVE
     " AND o.state IN ('revoked', 'refused', 'expired') RETURNING id, key",
     NULL},
    {"subscriptions", "suspended", "suspend",
     "UPDATE main.subscriptions SET state = o.state, reason = o.reason, " STAMP "FROM " KNOWN(
         "subscriptions", "subscriptions") "subscriptions.state IN ('pending', 'approved') AND o.state = "
                                           "'suspended' RETURNING id, key",
     NULL},
    {"subscriptions", "deleted", "revoke",
     "UPDATE main.subscriptions SET state = 'revoked', reason = 'deleted before a restore', " STAMP
     "WHERE " LIVE " AND id IN " SOME("subscriptions") "deleted) RETURNING id, key",
     NULL},
    {"subscriptions", "shortened", "update",
     EARLIER("subscriptions", "subscriptions", "state IN ('pending', 'approved', 'suspended')"), NULL},
    {"gateway-nodes", "revoked", "revoke",
     "UPDATE main.gateway_nodes SET revoked_at = o.revoked_at, " STAMP
     "FROM " KNOWN("gateway-nodes",
                   "gateway_nodes") "o.revoked_at IS NOT NULL AND gateway_nodes.revoked_at IS NULL RETURNING "
                                    "id, key",
     "INSERT OR IGNORE INTO main.catalog_meta (name, int_value) SELECT name, int_value FROM old.catalog_meta "
     "WHERE name LIKE 'revoked-pod/%'"},
    {"gateway-nodes", "deleted", "delete",
     "DELETE FROM main.gateway_nodes WHERE revoked_at IS NULL AND id IN " SOME(
         "gateway-nodes") "deleted) AND ?1 > 0 AND ?2 > 0 RETURNING id, key",
     NULL},
    {"users", "disabled", "update",
     "UPDATE main.users SET disabled = 1, " STAMP
     "WHERE disabled = 0 AND id IN " SOME("users") "disabled) RETURNING id, key",
     NULL},
    {"users", "deleted", "update",
     "UPDATE main.users SET disabled = 1, " STAMP
     "WHERE disabled = 0 AND id IN " SOME("users") "deleted) RETURNING id, key",
     NULL},
    {"users", "roles cut", "update", TOUCH_CUT("roles"), CUT("roles")},
    {"users", "teams cut", "update", TOUCH_CUT("teams"), CUT("teams")},
    {"api-tokens", "deleted", "update",
     "UPDATE main.api_tokens SET expires_at = ?2, " STAMP
     "WHERE coalesce(expires_at, ?2 + 1) > ?2 AND id IN " SOME("api-tokens") "deleted) RETURNING id, key",
     NULL},
    {"api-tokens", "shortened", "update", EARLIER("api-tokens", "api_tokens", "id IS NOT NULL"), NULL},
};

/* Lists of permissions, of which the smaller set is kept. The built-in roles come with the program. */
static const struct narrowing {
    const char *kind;
    const char *what;
    const char *differ; /* id, key, the list in the backup, the one since */
    const char *set;    /* ?1 and ?2 as above, ?3 the list, ?4 the id */
} narrowings[] = {
    {"roles", "permissions cut",
     "SELECT m.id, m.key, m.permissions, o.permissions FROM main.roles AS m JOIN main.taken_away AS o ON "
     "o.kind = "
     "'roles' AND o.entity_id = m.id WHERE m.permissions <> o.permissions AND m.built_in = 0",
     "UPDATE main.roles SET permissions = ?3, " STAMP "WHERE id = ?4"},
    {"api-tokens", "scopes cut",
     "SELECT m.id, m.key, m.scopes, o.permissions FROM main.api_tokens AS m JOIN main.taken_away AS o ON "
     "o.kind = "
     "'api-tokens' AND o.entity_id = m.id WHERE m.scopes <> o.permissions",
     "UPDATE main.api_tokens SET scopes = ?3, " STAMP "WHERE id = ?4"},
};

/* Configuration goes back as a whole; of what admits somebody it is at least told. */
#define RETURNED(kind, table)                                                                                  \
    {                                                                                                          \
        kind, "SELECT m.key FROM main." table " AS m JOIN main.taken_away AS o ON o.kind = '" kind             \
              "' AND o.entity_id = m.id WHERE o.deleted OR o.revision > m.revision ORDER BY m.key"             \
    }
static const struct returned {
    const char *kind;
    const char *sql;
} returned[] = {
    RETURNED("grants", "grants"),
    RETURNED("enrolment-rules", "enrolment_rules"),
    RETURNED("issuers", "issuers"),
    RETURNED("sign-in-providers", "sign_in_providers"),
    RETURNED("sign-in-rules", "sign_in_rules"),
};

/* ---- telling ---- */

static bool note(slc_txn *txn, const char *kind, const char *what, const char *action, const json_t *pair,
                 json_t *report, slc_error *err)
{
    const char *id = json_string_value(json_array_get(pair, 0)),
               *key = json_string_value(json_array_get(pair, 1));
    json_t *counts = json_object_get(report, "revoked_again");
    json_int_t before = json_integer_value(json_object_get(counts, kind));
    json_object_set_new(counts, kind, json_integer(before + 1));
    json_array_append_new(json_object_get(report, "taken_away"),
                          json_pack("{s:s, s:s, s:s}", "kind", kind, "key", key, "what", what));
    json_t *why = json_pack("{s:{s:s}}", "restore", "to", what);
    bool ok = slc_audit(txn, action, kind, id, key, why, err);
    json_decref(why);
    return ok;
}

/* Reads all rows first: others are written while they are told. */
static bool rows_of(slc_txn *txn, sqlite3_stmt *stmt, int columns, json_t *rows, slc_error *err)
{
    int rc = stmt == NULL ? -1 : 1;
    while (rc == 1 && (rc = slc_txn_step(txn, stmt, err)) == 1) {
        json_t *row = json_array();
        for (int i = 0; i < columns; i++)
            json_array_append_new(row, json_string(slc_column_text(stmt, i)));
        json_array_append_new(rows, row);
    }
    slc_txn_finish(txn, stmt);
    return rc == 0;
}

/* ---- taking away ---- */

static bool take(slc_txn *txn, const struct step *step, json_t *report, slc_error *err)
{
    json_t *rows = json_array(), *row;
    size_t i;
    sqlite3_stmt *stmt = slc_txn_query(txn, err, step->sql, "ii", (int64_t)txn->revision, slc_txn_now_ms(txn));
    bool ok =
        rows_of(txn, stmt, 2, rows, err) && (step->then == NULL || slc_txn_exec(txn, err, step->then, ""));
    json_array_foreach (rows, i, row) {
        ok = ok && note(txn, step->kind, step->what, step->action, row, report, err);
    }
    json_decref(rows);
    return ok;
}

/* What both allow. */
static json_t *smaller_set(const json_t *one, const json_t *other)
{
    json_t *out = json_array(), *entry;
    size_t i;
    json_array_foreach (one, i, entry) {
        if (slc_permission_granted(other, json_string_value(entry)))
            json_array_append(out, entry);
    }
    json_array_foreach (other, i, entry) {
        const char *text = json_string_value(entry);
        if (slc_permission_granted(one, text) && !slc_permission_granted(out, text))
            json_array_append(out, entry);
    }
    return out;
}

static bool narrow_one(slc_txn *txn, const struct narrowing *narrowing, const json_t *row, json_t *report,
                       slc_error *err)
{
    json_t *had = json_loads(json_string_value(json_array_get(row, 2)), 0, NULL);
    json_t *since = json_loads(json_string_value(json_array_get(row, 3)), 0, NULL);
    json_t *both = smaller_set(had, since), *entry;
    bool cut = false, ok = true;
    size_t i;
    json_array_foreach (had, i, entry) {
        cut = cut || !slc_permission_granted(both, json_string_value(entry));
    }
    if (cut) {
        char *text = json_dumps(both, JSON_COMPACT);
        ok = slc_txn_exec(txn, err, narrowing->set, "iiss", (int64_t)txn->revision, slc_txn_now_ms(txn), text,
                          json_string_value(json_array_get(row, 0))) &&
             note(txn, narrowing->kind, narrowing->what, "update", row, report, err);
        free(text);
    }
    json_decref(both);
    json_decref(since);
    json_decref(had);
    return ok;
}

static bool narrow(slc_txn *txn, const struct narrowing *narrowing, json_t *report, slc_error *err)
{
    json_t *rows = json_array(), *row;
    size_t i;
    bool ok = rows_of(txn, slc_txn_query(txn, err, narrowing->differ, ""), 4, rows, err);
    json_array_foreach (rows, i, row) {
        ok = ok && narrow_one(txn, narrowing, row, report, err);
    }
    json_decref(rows);
    return ok;
}

static bool tell_returned(slc_txn *txn, const struct returned *kind, json_t *list, slc_error *err)
{
    json_t *rows = json_array(), *row;
    size_t i;
    bool ok = rows_of(txn, slc_txn_query(txn, err, kind->sql, ""), 1, rows, err);
    json_array_foreach (rows, i, row) {
        json_array_append_new(list, json_pack("{s:s, s:O}", "kind", kind->kind, "key", json_array_get(row, 0)));
    }
    json_decref(rows);
    return ok;
}

bool slc_restore_carry(slc_txn *txn, json_t *report, slc_error *err)
{
    json_t *counts = json_object(), *list = json_array();
    bool ok = true;
    json_object_set_new(report, "revoked_again", counts);
    json_object_set_new(report, "taken_away", json_array());
    json_object_set_new(report, "returned", list);
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
        json_object_set_new(counts, steps[i].kind, json_integer(0));
    for (size_t i = 0; i < sizeof(narrowings) / sizeof(narrowings[0]); i++)
        json_object_set_new(counts, narrowings[i].kind, json_integer(0));
    for (size_t i = 0; ok && i < sizeof(steps) / sizeof(steps[0]); i++)
        ok = take(txn, &steps[i], report, err);
    for (size_t i = 0; ok && i < sizeof(narrowings) / sizeof(narrowings[0]); i++)
        ok = narrow(txn, &narrowings[i], report, err);
    for (size_t i = 0; ok && i < sizeof(returned) / sizeof(returned[0]); i++)
        ok = tell_returned(txn, &returned[i], list, err);
    return ok || slc_fail_context(err, "what was taken away since the backup cannot be taken away again "
                                       "(--restore-undo-revocations goes without)");
}
