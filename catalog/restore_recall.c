/* What a replaced catalog knows: its rows, the audit trail of what is gone from them, and what it was told by
 * restores before it. It is kept by id in taken_away, so that it survives any order of restores. */
#include "catalog/restore_carry.h"

#include <stdio.h>

#include "catalog/store.h"

/* A new fact takes the place of an older one. */
#define FACT(columns) "INSERT OR REPLACE INTO main.taken_away (kind, entity_id, " columns ") "

/* In this order: rows tell more than the trail of an earlier time. */
static const char *const recalls[] = {
    /* A configuration entity that admits somebody: only that it changed. */
    FACT("deleted, revision") "SELECT kind, entity_id, max(action = 'delete'), max(revision) FROM "
                              "old.audit_events "
                              "WHERE kind IN ('grants', 'enrolment-rules', 'issuers', 'sign-in-providers', "
                              "'sign-in-rules') AND revision IS NOT NULL "
                              "GROUP BY kind, entity_id",
    FACT("deleted") "SELECT DISTINCT kind, entity_id, 1 FROM old.audit_events WHERE action = 'delete' AND kind "
                    "IN "
                    "('credentials', 'subscriptions', 'users', 'api-tokens', 'gateway-nodes')",
    /* Also those that were deleted after it: their certificates may still be about. */
    FACT("revoked_at") "SELECT kind, entity_id, max(created_at) FROM old.audit_events WHERE kind = "
                       "'gateway-nodes' AND action = 'revoke' GROUP BY entity_id",
    FACT("revoked_at") "SELECT 'gateway-nodes', id, revoked_at FROM old.gateway_nodes WHERE revoked_at IS NOT "
                       "NULL",
    FACT("revoked_at, disabled, expires_at") "SELECT 'credentials', id, revoked_at, disabled, expires_at FROM "
                                             "old.credentials WHERE revoked_at IS NOT NULL OR disabled = 1 OR "
                                             "expires_at IS NOT NULL",
    FACT("state, reason, expires_at") "SELECT 'subscriptions', id, state, reason, expires_at FROM "
                                      "old.subscriptions "
                                      "WHERE state NOT IN ('pending', 'approved') OR expires_at IS NOT NULL",
    FACT(
        "disabled, roles, teams") "SELECT 'users', id, disabled, (SELECT json_group_array(target_id) FROM "
                                  "old.users_roles WHERE owner_id = u.id), (SELECT json_group_array(target_id) "
                                  "FROM old.users_teams WHERE owner_id = u.id) FROM old.users AS u",
    FACT("expires_at, permissions") "SELECT 'api-tokens', id, expires_at, scopes FROM old.api_tokens",
    FACT("permissions") "SELECT 'roles', id, permissions FROM old.roles WHERE built_in = 0",
};

/* What node certificates are of: the node CA goes on. In a catalog whose CA can be rotated. */
static const char recall_certificates[] =
    "INSERT INTO main.taken_away (kind, entity_id, certificate) SELECT 'gateway-nodes', id, "
    "json_object('serial', certificate_serial, 'authority', "
    "certificate_authority, 'expires_at', certificate_expires_at) FROM old.gateway_nodes WHERE "
    "true ON CONFLICT DO UPDATE SET certificate = excluded.certificate";

/* 1 or 0: the query has a row or not; -1: error. */
static int ask(slc_txn *txn, const char *sql, slc_error *err)
{
    sqlite3_stmt *stmt = slc_txn_prepare(txn, sql, err);
    int row = stmt != NULL ? slc_txn_step(txn, stmt, err) : -1;
    slc_txn_finish(txn, stmt);
    return row;
}

/* ---- eras ---- */

static const char learn_eras[] = "INSERT INTO temp.learnt_eras SELECT id, coalesce(until, (SELECT int_value "
                                 "FROM old.catalog_meta WHERE name = "
                                 "'revision')), until IS NULL FROM old.catalog_eras";
/* A catalog that an earlier version wrote: as migration 0007 would name it. */
static const char derive_era[] =
    "INSERT INTO temp.learnt_eras SELECT printf('%x-%s', created_at, entity_id), (SELECT int_value FROM "
    "old.catalog_meta WHERE name = 'revision'), 1 FROM old.audit_events ORDER BY seq LIMIT 1";

/* The backup's last event must be in the trail of the catalog that claims to go on from it: a file that was put
 * in place by hand may be another branch of the same era. */
static const char is_complete[] =
    "SELECT 1 FROM main.catalog_eras AS e JOIN temp.learnt_eras AS l ON l.id = e.id WHERE e.until IS NULL AND "
    "l.until >= (SELECT int_value FROM main.catalog_meta WHERE name = 'revision') AND (l.current = 0 OR NOT "
    "EXISTS "
    "(SELECT 1 FROM main.audit_events) OR EXISTS (SELECT 1 FROM old.audit_events AS o JOIN main.audit_events "
    "AS m "
    "ON m.seq = o.seq AND m.created_at = o.created_at AND m.action = o.action AND m.entity_id = o.entity_id "
    "WHERE "
    "m.seq = (SELECT max(seq) FROM main.audit_events)))";

static const char remember_eras[] =
    "INSERT INTO main.catalog_eras (id, until) SELECT id, until FROM temp.learnt_eras WHERE true "
    "ON CONFLICT (id) DO UPDATE SET until = max(coalesce(until, 0), excluded.until)";

static bool recall_eras(slc_txn *txn, bool knows_eras, bool *complete, slc_error *err)
{
    if (!slc_txn_exec(txn, err,
                      "CREATE TEMP TABLE learnt_eras (id TEXT PRIMARY KEY, until INTEGER, current INTEGER)",
                      "") ||
        !slc_txn_exec(txn, err, knows_eras ? learn_eras : derive_era, ""))
        return false;
    int row = ask(txn, is_complete, err);
    *complete = row == 1;
    /* What came after the backup in its own era may be unknown. */
    return row >= 0 && slc_txn_exec(txn, err, "DELETE FROM main.catalog_eras WHERE until IS NULL", "") &&
           slc_txn_exec(txn, err, remember_eras, "") &&
           slc_txn_exec(txn, err, "DROP TABLE temp.learnt_eras", "");
}

/* ---- facts ---- */

bool slc_restore_recall(slc_txn *txn, bool *complete, slc_error *err)
{
    int row = ask(txn, "SELECT 1 FROM old.sqlite_schema WHERE name = 'taken_away'", err);
    bool ok = row >= 0 && recall_eras(txn, row == 1, complete, err);
    if (ok && row == 1)
        ok = slc_txn_exec(txn, err, "INSERT OR REPLACE INTO main.taken_away SELECT * FROM old.taken_away", "");
    for (size_t i = 0; ok && i < sizeof(recalls) / sizeof(recalls[0]); i++)
        ok = slc_txn_exec(txn, err, recalls[i], "");
    row = ok ? ask(txn, "SELECT 1 FROM old.schema_migrations WHERE number >= 4", err) : -1;
    ok = row == 0 || (row == 1 && slc_txn_exec(txn, err, recall_certificates, ""));
    return ok || slc_fail_context(err, "what was taken away since the backup cannot be told from the replaced "
                                       "catalog: move it aside to go without");
}

/* ---- the end ---- */

bool slc_restore_settle(slc_txn *txn, slc_error *err)
{
    /* What is kept of the others is not in their rows. */
    static const char *const tables[][2] = {
        {"credentials", "credentials"},     {"subscriptions", "subscriptions"},
        {"gateway-nodes", "gateway_nodes"}, {"users", "users"},
        {"api-tokens", "api_tokens"},       {"roles", "roles"},
    };
    bool ok = true;
    for (size_t i = 0; ok && i < sizeof(tables) / sizeof(tables[0]); i++) {
        char sql[160];
        snprintf(sql, sizeof(sql),
                 "DELETE FROM taken_away WHERE kind = '%s' AND entity_id IN (SELECT id FROM main.%s)",
                 tables[i][0], tables[i][1]);
        ok = slc_txn_exec(txn, err, sql, "");
    }
    return ok && slc_txn_exec(txn, err, "DELETE FROM main.catalog_eras WHERE until IS NULL", "") &&
           slc_txn_exec(txn, err, "INSERT INTO main.catalog_eras (id) VALUES (lower(hex(randomblob(8))))", "");
}
