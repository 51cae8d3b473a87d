#include "catalog/conn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/assert.h"

/* Lists with filters make many different statements: when half of the slots are taken, unused ones are dropped.
 */
#define CACHE_SLOTS 1024

struct cached {
    char *sql; /* NULL: free slot */
    sqlite3_stmt *stmt;
    bool in_use;
};

struct slc_conn {
    sqlite3 *db;
    unsigned cached_count;
    struct cached cache[CACHE_SLOTS];
};

static const struct {
    int rc; /* primary result code */
    enum slc_code code;
    const char *advice;
} sqlite_errors[] = {
    {SQLITE_FULL, SLC_NO_SPACE, "the disk is full: free some space; nothing was changed"},
    {SQLITE_CORRUPT, SLC_CORRUPT,
     "the database file is damaged: stop the control plane and restore the last backup (--restore FILE)"},
    {SQLITE_NOTADB, SLC_CORRUPT,
     "the file is not a catalog database: stop the control plane and restore the last backup (--restore FILE)"},
    {SQLITE_IOERR, SLC_IO,
     "the database file cannot be read or written: check the disk and the file's permissions"},
    {SQLITE_READONLY, SLC_IO,
     "the database file cannot be written: check the permissions of file and directory"},
    {SQLITE_CANTOPEN, SLC_IO,
     "the database file cannot be opened: check that its directory exists and is writable"},
    {SQLITE_BUSY, SLC_UNAVAILABLE,
     "another process holds the database: only one control plane may use a data directory"},
    {SQLITE_LOCKED, SLC_UNAVAILABLE, "the database is locked"},
    {SQLITE_CONSTRAINT, SLC_CONFLICT, "the change breaks a rule of the schema"},
    {SQLITE_TOOBIG, SLC_TOO_LARGE, "a value is too large to be stored"},
};

/* A transaction runs on one thread from its begin to its end. */
static _Thread_local bool saw_damage;

bool slc_sqlite_saw_damage(void)
{
    bool saw = saw_damage;
    saw_damage = false;
    return saw;
}

static bool means_no_space(int error)
{
    return error == ENOSPC || error == EDQUOT || error == EFBIG;
}

/* The last error of the database's file, or of its log, which is a file of its own. */
static int file_errno(sqlite3 *db, int which)
{
    sqlite3_file *file = NULL;
    int error = 0;
    if (sqlite3_file_control(db, "main", which, &file) == SQLITE_OK && file != NULL && file->pMethods != NULL)
        file->pMethods->xFileControl(file, SQLITE_FCNTL_LAST_ERRNO, &error);
    return error;
}

/* Only a full disk comes as SQLITE_FULL; a quota and a limit on the size of files come as I/O errors. */
static bool is_out_of_space(sqlite3 *db, int rc)
{
    if ((rc & 0xff) != SQLITE_IOERR || db == NULL)
        return false;
    return means_no_space(sqlite3_system_errno(db)) ||
           means_no_space(file_errno(db, SQLITE_FCNTL_FILE_POINTER)) ||
           means_no_space(file_errno(db, SQLITE_FCNTL_JOURNAL_POINTER));
}

bool slc_sqlite_fail(sqlite3 *db, int rc, slc_error *err)
{
    const char *detail = db != NULL ? sqlite3_errmsg(db) : sqlite3_errstr(rc);
    if (is_out_of_space(db, rc))
        rc = SQLITE_FULL;
    if ((rc & 0xff) == SQLITE_CORRUPT || (rc & 0xff) == SQLITE_NOTADB)
        saw_damage = true;
    for (size_t i = 0; i < sizeof(sqlite_errors) / sizeof(sqlite_errors[0]); i++)
        if (sqlite_errors[i].rc == (rc & 0xff))
            return slc_fail(err, sqlite_errors[i].code, NULL, "%s (SQLite %d: %s)", sqlite_errors[i].advice, rc,
                            detail);
    return slc_fail(err, SLC_INTERNAL, NULL, "SQLite %d: %s", rc, detail);
}

/* busy_timeout comes first: the other pragmas may have to wait already. */
static bool configure(slc_conn *conn, const slc_conn_options *options, slc_error *err)
{
    int64_t timeout_ms = options->busy_timeout_ms > 0 ? options->busy_timeout_ms : 5000;
    sqlite3_busy_timeout(conn->db, (int)timeout_ms);
    sqlite3_extended_result_codes(conn->db, 1);
    sqlite3_db_config(conn->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(conn->db, SQLITE_DBCONFIG_DQS_DML, 0, NULL);
    sqlite3_db_config(conn->db, SQLITE_DBCONFIG_DQS_DDL, 0, NULL);
    if (!options->read_only && !slc_conn_run(conn, "PRAGMA journal_mode = WAL", err))
        return false;
    if (!slc_conn_run(conn,
                      options->fsync_every_commit ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL",
                      err))
        return false;
    if (!slc_conn_run(conn, "PRAGMA foreign_keys = ON", err) ||
        !slc_conn_run(conn, "PRAGMA secure_delete = ON", err) ||
        !slc_conn_run(conn, "PRAGMA temp_store = MEMORY", err))
        return false;
    return !options->read_only || slc_conn_run(conn, "PRAGMA query_only = ON", err);
}

/* As mode=ro, so that BEGIN IMMEDIATE on the catalog does not lock usage.db for writing. */
static bool attach_usage(slc_conn *conn, const char *path, slc_error *err)
{
    char *uri = sqlite3_mprintf("file:%s?mode=ro", path);
    char *sql = sqlite3_mprintf("ATTACH %Q AS usage", uri);
    bool ok = slc_conn_run(conn, sql, err);
    sqlite3_free(sql);
    sqlite3_free(uri);
    return ok;
}

slc_conn *slc_conn_open(const slc_conn_options *options, slc_error *err)
{
    slc_conn *conn = slc_calloc(1, sizeof(*conn));
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_URI;
    int rc = sqlite3_open_v2(options->path, &conn->db, flags, NULL);
    bool ok = rc == SQLITE_OK ? configure(conn, options, err) : slc_sqlite_fail(conn->db, rc, err);
    if (ok && options->attach_usage != NULL)
        ok = attach_usage(conn, options->attach_usage, err);
    if (!ok) {
        slc_fail_context(err, "%s", options->path);
        slc_conn_free(conn);
        return NULL;
    }
    return conn;
}

void slc_conn_free(slc_conn *conn)
{
    if (conn == NULL)
        return;
    for (size_t i = 0; i < CACHE_SLOTS; i++) {
        sqlite3_finalize(conn->cache[i].stmt);
        free(conn->cache[i].sql);
    }
    SLC_BUG_ON(sqlite3_close(conn->db) != SQLITE_OK);
    free(conn);
}

sqlite3 *slc_conn_db(slc_conn *conn)
{
    return conn->db;
}

static size_t slot_of(const char *sql)
{
    uint64_t hash = 14695981039346656037ULL; /* FNV-1a */
    for (const char *p = sql; *p != '\0'; p++)
        hash = (hash ^ (unsigned char)*p) * 1099511628211ULL;
    return (size_t)(hash % CACHE_SLOTS);
}

static void put(slc_conn *conn, struct cached cached)
{
    size_t slot = slot_of(cached.sql);
    while (conn->cache[slot].sql != NULL)
        slot = (slot + 1) % CACHE_SLOTS;
    conn->cache[slot] = cached;
    conn->cached_count++;
}

static void drop_unused(slc_conn *conn)
{
    struct cached *kept = slc_calloc(CACHE_SLOTS, sizeof(*kept));
    size_t count = 0;
    for (size_t i = 0; i < CACHE_SLOTS; i++) {
        if (conn->cache[i].in_use) {
            kept[count++] = conn->cache[i];
        } else {
            sqlite3_finalize(conn->cache[i].stmt);
            free(conn->cache[i].sql);
        }
    }
    memset(conn->cache, 0, sizeof(conn->cache));
    conn->cached_count = 0;
    for (size_t i = 0; i < count; i++)
        put(conn, kept[i]);
    free(kept);
    SLC_BUG_ON(conn->cached_count >= CACHE_SLOTS / 2); /* statements are not given back */
}

/* The same SQL may be wanted again while an outer loop still steps through it: then it gets a second statement.
 */
sqlite3_stmt *slc_conn_prepare(slc_conn *conn, const char *sql, slc_error *err)
{
    size_t slot = slot_of(sql);
    for (; conn->cache[slot].sql != NULL; slot = (slot + 1) % CACHE_SLOTS) {
        if (!conn->cache[slot].in_use && strcmp(conn->cache[slot].sql, sql) == 0) {
            conn->cache[slot].in_use = true;
            return conn->cache[slot].stmt;
        }
    }
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v3(conn->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &stmt, NULL);
    if (rc != SQLITE_OK) {
        slc_sqlite_fail(conn->db, rc, err);
        slc_fail_context(err, "%s", sql);
        return NULL;
    }
    if (conn->cached_count >= CACHE_SLOTS / 2)
        drop_unused(conn);
    put(conn, (struct cached){slc_strdup(sql), stmt, true});
    return stmt;
}

static void take_back(struct cached *cached)
{
    sqlite3_reset(cached->stmt);
    sqlite3_clear_bindings(cached->stmt);
    cached->in_use = false;
}

void slc_conn_finish(slc_conn *conn, sqlite3_stmt *stmt)
{
    if (stmt == NULL)
        return;
    size_t slot = slot_of(sqlite3_sql(stmt));
    while (conn->cache[slot].stmt != stmt) {
        SLC_BUG_ON(conn->cache[slot].sql == NULL);
        slot = (slot + 1) % CACHE_SLOTS;
    }
    take_back(&conn->cache[slot]);
}

void slc_conn_finish_all(slc_conn *conn)
{
    for (size_t i = 0; i < CACHE_SLOTS; i++)
        if (conn->cache[i].in_use)
            take_back(&conn->cache[i]);
}

bool slc_conn_run(slc_conn *conn, const char *sql, slc_error *err)
{
    int rc = sqlite3_exec(conn->db, sql, NULL, NULL, NULL);
    return rc == SQLITE_OK || slc_sqlite_fail(conn->db, rc, err);
}
