/* Transactions: begin, run, commit or roll back; and SQL inside them. */
#include <stdlib.h>
#include <string.h>

#include "catalog/store.h"
#include "common/alloc.h"
#include "common/assert.h"
#include "common/clock.h"
#include "common/log.h"

#define TXN_MAGIC 0x7478006eu

static bool commit(slc_txn *txn, slc_error *err)
{
    /* SQLite rolls back by itself on some errors (disk full); a function that overlooked it must not seem to
     * succeed. */
    if (sqlite3_get_autocommit(slc_conn_db(txn->conn)))
        return slc_fail(err, SLC_IO, NULL, "the transaction was rolled back by the database");
    return slc_conn_run(txn->conn, "COMMIT", err);
}

static void roll_back(slc_txn *txn)
{
    if (!sqlite3_get_autocommit(slc_conn_db(txn->conn)))
        sqlite3_exec(slc_conn_db(txn->conn), "ROLLBACK", NULL, NULL, NULL);
}

bool slc_txn_run(slc_catalog *catalog, slc_conn *conn, enum slc_lane_id lane, const slc_actor *actor,
                 slc_txn_fn fn, void *arg, slc_error *err)
{
    static const slc_actor system_actor = {.kind = "system", .id = "system", .name = "system"};
    slc_txn txn = {.magic = TXN_MAGIC,
                   .catalog = catalog,
                   .conn = conn,
                   .lane = lane,
                   .actor = actor != NULL ? *actor : system_actor,
                   .now_ms = slc_wall_ms()};
    slc_error_clear(err);
    (void)slc_sqlite_saw_damage(); /* on this thread, before */
    bool ok = (lane != SLC_LANE_WRITE || slc_health_check(catalog, err)) &&
              slc_conn_run(conn, lane == SLC_LANE_READ ? "BEGIN" : "BEGIN IMMEDIATE", err) &&
              fn(&txn, arg, err);
    slc_conn_finish_all(conn);
    ok = ok && commit(&txn, err);
    if (!ok)
        roll_back(&txn);
    if (slc_sqlite_saw_damage())
        slc_health_suspect(catalog);
    json_decref(txn.problems);
    json_decref(txn.published);
    if (ok && lane == SLC_LANE_WRITE && txn.revision != 0 && catalog->on_commit != NULL)
        catalog->on_commit(catalog->on_commit_arg, txn.revision);
    return ok;
}

/* ---- SQL ---- */

sqlite3_stmt *slc_txn_prepare(slc_txn *txn, const char *sql, slc_error *err)
{
    SLC_CHECK_MAGIC(txn, TXN_MAGIC);
    return slc_conn_prepare(txn->conn, sql, err);
}

void slc_txn_finish(slc_txn *txn, sqlite3_stmt *stmt)
{
    slc_conn_finish(txn->conn, stmt);
}

int slc_txn_step(slc_txn *txn, sqlite3_stmt *stmt, slc_error *err)
{
    int rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW)
        return 1;
    if (rc == SQLITE_DONE)
        return 0;
    slc_sqlite_fail(slc_conn_db(txn->conn), rc, err);
    return -1;
}

static sqlite3_stmt *query_va(slc_txn *txn, slc_error *err, const char *sql, const char *types, va_list args)
{
    sqlite3_stmt *stmt = slc_txn_prepare(txn, sql, err);
    if (stmt == NULL)
        return NULL;
    int rc = SQLITE_OK;
    for (int i = 0; types[i] != '\0' && rc == SQLITE_OK; i++) {
        if (types[i] == 's') {
            rc = sqlite3_bind_text(stmt, i + 1, va_arg(args, const char *), -1, SQLITE_TRANSIENT);
        } else if (types[i] == 'i') {
            rc = sqlite3_bind_int64(stmt, i + 1, va_arg(args, int64_t));
        } else {
            SLC_BUG_ON(types[i] != 'b');
            const void *data = va_arg(args, const void *);
            rc = sqlite3_bind_blob64(stmt, i + 1, data, va_arg(args, size_t), SQLITE_TRANSIENT);
        }
    }
    if (rc != SQLITE_OK) {
        slc_sqlite_fail(slc_conn_db(txn->conn), rc, err);
        slc_txn_finish(txn, stmt);
        return NULL;
    }
    return stmt;
}

sqlite3_stmt *slc_txn_query(slc_txn *txn, slc_error *err, const char *sql, const char *types, ...)
{
    va_list args;
    va_start(args, types);
    sqlite3_stmt *stmt = query_va(txn, err, sql, types, args);
    va_end(args);
    return stmt;
}

bool slc_txn_exec(slc_txn *txn, slc_error *err, const char *sql, const char *types, ...)
{
    va_list args;
    va_start(args, types);
    sqlite3_stmt *stmt = query_va(txn, err, sql, types, args);
    va_end(args);
    int rc = stmt == NULL ? -1 : slc_txn_step(txn, stmt, err);
    slc_txn_finish(txn, stmt);
    return rc >= 0;
}

int slc_txn_changes(slc_txn *txn)
{
    return sqlite3_changes(slc_conn_db(txn->conn));
}

const char *slc_column_text(sqlite3_stmt *stmt, int column)
{
    return (const char *)sqlite3_column_text(stmt, column);
}

json_t *slc_column_json(sqlite3_stmt *stmt, int column)
{
    const char *text = slc_column_text(stmt, column);
    if (text == NULL)
        return NULL;
    return json_loadb(text, (size_t)sqlite3_column_bytes(stmt, column), JSON_DECODE_ANY, NULL);
}

/* ---- the transaction itself ---- */

slc_catalog *slc_txn_catalog(slc_txn *txn)
{
    SLC_CHECK_MAGIC(txn, TXN_MAGIC);
    return txn->catalog;
}

const slc_actor *slc_txn_actor(slc_txn *txn)
{
    return &txn->actor;
}

int64_t slc_txn_now_ms(slc_txn *txn)
{
    return txn->now_ms;
}

uint64_t slc_catalog_revision(slc_txn *txn)
{
    if (txn->revision != 0)
        return txn->revision;
    sqlite3_stmt *stmt =
        slc_txn_prepare(txn, "SELECT int_value FROM catalog_meta WHERE name = 'revision'", NULL);
    uint64_t revision = 0;
    if (stmt != NULL && slc_txn_step(txn, stmt, NULL) == 1)
        revision = (uint64_t)sqlite3_column_int64(stmt, 0);
    slc_txn_finish(txn, stmt);
    return revision;
}

bool slc_txn_bump(slc_txn *txn, uint64_t *revision, slc_error *err)
{
    SLC_BUG_ON(txn->lane != SLC_LANE_WRITE);
    if (txn->revision == 0) {
        static const char sql[] = "UPDATE catalog_meta SET int_value = int_value + 1 WHERE name = 'revision' "
                                  "RETURNING int_value";
        sqlite3_stmt *stmt = slc_txn_prepare(txn, sql, err);
        if (stmt == NULL)
            return false;
        int rc = slc_txn_step(txn, stmt, err);
        if (rc == 1)
            txn->revision = (uint64_t)sqlite3_column_int64(stmt, 0);
        slc_txn_finish(txn, stmt);
        if (rc != 1)
            return rc == 0 ? slc_fail(err, SLC_CORRUPT, NULL, "the catalog has no revision") : false;
    }
    *revision = txn->revision;
    return true;
}

const json_t *slc_txn_problems(slc_txn *txn)
{
    return txn->problems;
}

static void note_problem(slc_txn *txn, const slc_error *problem, slc_error *err)
{
    if (txn->problems == NULL) {
        txn->problems = json_array();
        if (err != NULL)
            *err = *problem;
    }
    if (json_array_size(txn->problems) < 100)
        json_array_append_new(txn->problems,
                              json_pack("{s:s, s:s}", "pointer", problem->field, "detail", problem->message));
}

bool slc_txn_problem(slc_txn *txn, const char *pointer, slc_error *err, const char *fmt, ...)
{
    slc_error problem;
    va_list args;
    va_start(args, fmt);
    slc_vfail(&problem, SLC_INVALID, pointer, fmt, args);
    va_end(args);
    note_problem(txn, &problem, err);
    return false;
}

bool slc_txn_refuse(slc_txn *txn, enum slc_code code, const char *pointer, slc_error *err, const char *fmt, ...)
{
    slc_error problem;
    va_list args;
    va_start(args, fmt);
    slc_vfail(pointer != NULL ? &problem : err, code, pointer, fmt, args);
    va_end(args);
    if (pointer != NULL)
        note_problem(txn, &problem, err);
    return false;
}

void slc_txn_clear_problems(slc_txn *txn)
{
    json_decref(txn->problems);
    txn->problems = NULL;
}
