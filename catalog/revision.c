/* Revisions only grow, also when an older catalog takes the place of a newer one.
 *
 * Gateways hold configuration versions, clients hold ETags and exporters hold positions in the audit trail; all
 * of them come from the catalog's counters. What an older file does not know of it must not hand out a second
 * time, so the counters leap: further than could have been used since that file was written. */
#include "catalog/store.h"
#include "common/clock.h"
#include "common/log.h"

/* A writer that commits for every revision does not reach one a millisecond. */
#define LEAP_PER_MS 1
#define LEAP_MIN    1000000
/* What nodes report comes from outside: more than the leaps of decades is not believed. */
#define BELIEVED_MAX ((int64_t)1 << 40)

static bool read_int(slc_conn *conn, const char *sql, int64_t *value, slc_error *err)
{
    sqlite3_stmt *stmt = slc_conn_prepare(conn, sql, err);
    if (stmt == NULL)
        return false;
    int rc = sqlite3_step(stmt);
    *value = rc == SQLITE_ROW ? sqlite3_column_int64(stmt, 0) : 0;
    slc_conn_finish(conn, stmt);
    return rc == SQLITE_ROW || rc == SQLITE_DONE || slc_sqlite_fail(slc_conn_db(conn), rc, err);
}

static bool set_int(slc_conn *conn, const char *sql, int64_t value, slc_error *err)
{
    sqlite3_stmt *stmt = slc_conn_prepare(conn, sql, err);
    if (stmt == NULL)
        return false;
    sqlite3_bind_int64(stmt, 1, value);
    int rc = sqlite3_step(stmt);
    slc_conn_finish(conn, stmt);
    return rc == SQLITE_DONE || slc_sqlite_fail(slc_conn_db(conn), rc, err);
}

static bool last_change(slc_conn *conn, int64_t *at_ms, slc_error *err)
{
    return read_int(conn, "SELECT created_at FROM audit_events ORDER BY seq DESC LIMIT 1", at_ms, err);
}

bool slc_revision_leap(slc_conn *conn, int64_t seen, int64_t *now_at, slc_error *err)
{
    int64_t revision, changed_ms;
    if (!read_int(conn, "SELECT int_value FROM catalog_meta WHERE name = 'revision'", &revision, err) ||
        !last_change(conn, &changed_ms, err))
        return false;
    int64_t leap = changed_ms > 0 ? (slc_wall_ms() - changed_ms) * LEAP_PER_MS : 0;
    leap = leap > LEAP_MIN ? leap : LEAP_MIN;
    *now_at = (seen > revision ? seen : revision) + leap;
    return set_int(conn, "UPDATE catalog_meta SET int_value = ?1 WHERE name = 'revision'", *now_at, err) &&
           set_int(conn, "INSERT OR REPLACE INTO catalog_meta (name, int_value) VALUES ('version_floor', ?1)",
                   *now_at, err) &&
           set_int(
               conn,
               "UPDATE sqlite_sequence SET seq = seq + ?1 WHERE name IN ('audit_events', 'config_versions')",
               *now_at - revision, err);
}

int64_t slc_revision_believe(int64_t known, int64_t reported)
{
    return reported > known && reported - known <= BELIEVED_MAX ? reported : known;
}

bool slc_revision_check(slc_conn *conn, const char *db_path, slc_error *err)
{
    int64_t revision, reported, now_at;
    if (!read_int(conn, "SELECT int_value FROM catalog_meta WHERE name = 'revision'", &revision, err) ||
        !read_int(conn, "SELECT max(applied_version) FROM usage.node_status", &reported, err))
        return false;
    if (slc_revision_believe(revision, reported) == revision)
        return true;
    bool ok =
        slc_conn_run(conn, "BEGIN IMMEDIATE", err) && slc_revision_leap(conn, reported, &now_at, err) &&
        /* What was taken away in the era of the file after it was written is not known here. */
        slc_conn_run(conn, "UPDATE catalog_eras SET id = lower(hex(randomblob(8))) WHERE until IS NULL", err) &&
        slc_conn_run(conn, "COMMIT", err);
    if (!ok) {
        sqlite3_exec(slc_conn_db(conn), "ROLLBACK", NULL, NULL, NULL);
        return false;
    }
    slc_log(
        SLC_LOG_WARN,
        "the catalog is older than what gateways run on: a file was put in place by hand, or its -wal file was "
        "lost. Changes made since are gone; what was revoked since is valid again",
        LS("path", db_path), LI("catalog_revision", revision), LI("gateways_have", reported),
        LI("goes_on_at", now_at));
    return true;
}
