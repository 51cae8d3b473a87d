/* Opening and closing a catalog. */
#include "catalog/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "catalog/history.h"
#include "catalog/migrate.h"
#include "common/alloc.h"
#include "common/assert.h"
#include "common/clock.h"
#include "common/file.h"
#include "common/log.h"

#define CATALOG_MAGIC      0x63617461u
#define QUICK_CHECK_MAX_MS 5000
#define KEY_CHECK_CONTEXT  "catalog_meta/key_check"
#define KEY_CHECK_TEXT     "sluice"

/* ---- integrity ---- */

static int out_of_time(void *arg)
{
    return slc_monotonic_ms() > *(const int64_t *)arg;
}

/* A large file is checked for a bounded time: what would take longer shows when it is read. */
static bool quick_check(slc_conn *conn, const char *path, slc_error *err)
{
    sqlite3 *db = slc_conn_db(conn);
    int64_t deadline_ms = slc_monotonic_ms() + QUICK_CHECK_MAX_MS;
    sqlite3_progress_handler(db, 10000, out_of_time, &deadline_ms);
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(db, "PRAGMA quick_check(1)", -1, &stmt, NULL);
    rc = rc == SQLITE_OK ? sqlite3_step(stmt) : rc;
    bool ok = true;
    if (rc == SQLITE_ROW && strcmp(slc_column_text(stmt, 0), "ok") != 0)
        ok = slc_fail(
            err, SLC_CORRUPT, NULL,
            "%s is damaged (%s): stop the control plane, keep the file for inspection and restore the last "
            "backup in its place; gateways go on serving meanwhile",
            path, slc_column_text(stmt, 0));
    else if (rc == SQLITE_INTERRUPT)
        slc_log(SLC_LOG_INFO, "integrity check not finished in time, going on", LS("path", path));
    else if (rc != SQLITE_ROW)
        ok = slc_sqlite_fail(db, rc, err);
    sqlite3_finalize(stmt);
    sqlite3_progress_handler(db, 0, NULL, NULL);
    return ok;
}

static bool migrate(slc_conn *conn, const char *path, const slc_migration *embedded, const char *dir,
                    slc_error *err)
{
    if (dir == NULL)
        return slc_migrate(slc_conn_db(conn), path, embedded, err);
    slc_migration *list = slc_migrations_read(dir, err);
    bool ok = list != NULL && slc_migrate(slc_conn_db(conn), path, list, err);
    slc_migrations_free(list);
    return ok;
}

/* ---- the master key ---- */

/* The catalog holds a sealed constant from its first start on, so that a lost or wrong key is noticed at once
 * and not when a gateway asks for a secret. `*sealed` is new memory, NULL in a new catalog. */
static bool read_key_check(slc_conn *conn, uint8_t **sealed, size_t *len, slc_error *err)
{
    *sealed = NULL;
    sqlite3_stmt *stmt =
        slc_conn_prepare(conn, "SELECT blob_value FROM catalog_meta WHERE name = 'key_check'", err);
    if (stmt == NULL)
        return false;
    int rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW) {
        *len = (size_t)sqlite3_column_bytes(stmt, 0);
        *sealed = slc_memdup(sqlite3_column_blob(stmt, 0), *len);
    }
    slc_conn_finish(conn, stmt);
    return rc == SQLITE_ROW || rc == SQLITE_DONE || slc_sqlite_fail(slc_conn_db(conn), rc, err);
}

static bool write_key_check(slc_catalog *catalog, slc_conn *conn, slc_error *err)
{
    size_t len;
    uint8_t *sealed =
        slc_master_seal(&catalog->master, KEY_CHECK_CONTEXT, KEY_CHECK_TEXT, strlen(KEY_CHECK_TEXT), &len);
    sqlite3_stmt *stmt =
        slc_conn_prepare(conn, "INSERT INTO catalog_meta (name, blob_value) VALUES ('key_check', ?1)", err);
    int rc = SQLITE_ERROR;
    if (stmt != NULL) {
        sqlite3_bind_blob64(stmt, 1, sealed, len, SQLITE_TRANSIENT);
        rc = sqlite3_step(stmt);
        slc_conn_finish(conn, stmt);
    }
    free(sealed);
    if (stmt == NULL)
        return false;
    return rc == SQLITE_DONE || slc_sqlite_fail(slc_conn_db(conn), rc, err);
}

static bool make_key(slc_catalog *catalog, slc_conn *conn, slc_error *err)
{
    if (!slc_master_key_push(&catalog->master, err) ||
        !slc_master_key_save(&catalog->master, catalog->key_path, err))
        return false;
    slc_log(SLC_LOG_INFO, "made the master key: keep a copy of it apart from the backups",
            LS("path", catalog->key_path));
    return write_key_check(catalog, conn, err);
}

static bool lost_key(slc_catalog *catalog, const char *what, slc_error *err)
{
    return slc_fail(
        err, SLC_CORRUPT, NULL,
        "%s %s, but the secrets in %s are sealed under it: put the copy of the key file back; without it "
        "they cannot be read",
        what, catalog->key_path, catalog->db_path);
}

static bool open_key(slc_catalog *catalog, slc_conn *conn, slc_error *err)
{
    uint8_t *sealed;
    size_t len;
    if (!read_key_check(conn, &sealed, &len, err))
        return false;
    bool ok = slc_master_key_load(&catalog->master, catalog->key_path, err);
    if (!ok && err->code == SLC_NOT_FOUND)
        ok = sealed == NULL ? make_key(catalog, conn, err)
                            : lost_key(catalog, "there is no master key file", err);
    else if (ok && sealed == NULL)
        ok = write_key_check(catalog, conn, err); /* a key file that was there before the catalog */
    else if (ok) {
        uint8_t *text = slc_master_unseal(&catalog->master, KEY_CHECK_CONTEXT, sealed, len, &len, err);
        ok = text != NULL || lost_key(catalog, "another key is in the master key file", err);
        free(text);
    }
    free(sealed);
    return ok;
}

/* ---- opening ---- */

/* Two control planes on one directory would each keep their own idea of what is current. The lock goes with the
 * process, however it ends. */
static bool lock_dir(slc_catalog *catalog, const char *data_dir, slc_error *err)
{
    char *path = slc_asprintf("%s/lock", data_dir);
    catalog->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    bool ok = catalog->lock_fd >= 0 || slc_fail(err, SLC_IO, NULL, "%s: %s", path, strerror(errno));
    free(path);
    if (ok && flock(catalog->lock_fd, LOCK_EX | LOCK_NB) != 0)
        ok = slc_fail(err, SLC_UNAVAILABLE, NULL,
                      "another process uses the data directory %s: only one control plane may", data_dir);
    return ok;
}

static void lane_init(slc_catalog *catalog, enum slc_lane_id id, unsigned threads)
{
    slc_lane *lane = &catalog->lanes[id];
    lane->catalog = catalog;
    lane->id = id;
    lane->thread_count = threads;
    lane->threads = slc_calloc(threads, sizeof(*lane->threads));
    pthread_mutex_init(&lane->lock, NULL);
    pthread_cond_init(&lane->wake, NULL);
    for (unsigned i = 0; i < threads; i++) {
        lane->threads[i].lane = lane;
        pthread_mutex_init(&lane->threads[i].use, NULL);
    }
}

static void lane_release(slc_lane *lane)
{
    for (unsigned i = 0; i < lane->thread_count; i++) {
        slc_conn_free(lane->threads[i].conn);
        pthread_mutex_destroy(&lane->threads[i].use);
    }
    free(lane->threads);
    pthread_cond_destroy(&lane->wake);
    pthread_mutex_destroy(&lane->lock);
}

static bool tend_history(slc_txn *txn, void *arg, slc_error *err)
{
    (void)arg;
    return slc_history_begin(txn, err) && slc_history_sweep(txn, err);
}

static bool open_writers(slc_catalog *catalog, const slc_catalog_options *options, slc_error *err)
{
    slc_conn_options usage = {.path = catalog->usage_path, .busy_timeout_ms = options->busy_timeout_ms};
    slc_conn_options main = {.path = catalog->db_path,
                             .attach_usage = catalog->usage_path,
                             .busy_timeout_ms = options->busy_timeout_ms,
                             .fsync_every_commit = true};
    slc_conn **usage_conn = &catalog->lanes[SLC_LANE_USAGE].threads[0].conn;
    slc_conn **main_conn = &catalog->lanes[SLC_LANE_WRITE].threads[0].conn;
    if ((*usage_conn = slc_conn_open(&usage, err)) == NULL ||
        !migrate(*usage_conn, catalog->usage_path, slc_usage_migrations, NULL, err))
        return slc_fail_context(err, "%s (it holds no configuration: it may be deleted)", catalog->usage_path);
    if ((*main_conn = slc_conn_open(&main, err)) == NULL)
        return false;
    return quick_check(*main_conn, catalog->db_path, err) &&
           migrate(*main_conn, catalog->db_path, slc_catalog_migrations, options->migrations_dir, err) &&
           open_key(catalog, *main_conn, err) &&
           slc_txn_run(catalog, *main_conn, SLC_LANE_WRITE, NULL, tend_history, NULL, err);
}

static bool open_readers(slc_catalog *catalog, const slc_catalog_options *options, slc_error *err)
{
    slc_conn_options reader = {.path = catalog->db_path,
                               .attach_usage = catalog->usage_path,
                               .busy_timeout_ms = options->busy_timeout_ms,
                               .read_only = true};
    slc_lane *lane = &catalog->lanes[SLC_LANE_READ];
    for (unsigned i = 0; i < lane->thread_count; i++)
        if ((lane->threads[i].conn = slc_conn_open(&reader, err)) == NULL)
            return false;
    return true;
}

slc_catalog *slc_catalog_open(const slc_catalog_options *options, slc_error *err)
{
    slc_error own;
    err = err != NULL ? err : &own;
    if (!slc_dir_make(options->data_dir, 0700, err))
        return NULL;
    slc_catalog *catalog = slc_calloc(1, sizeof(*catalog));
    catalog->magic = CATALOG_MAGIC;
    catalog->db_path = slc_asprintf("%s/catalog.db", options->data_dir);
    catalog->usage_path = slc_asprintf("%s/usage.db", options->data_dir);
    catalog->key_path = options->master_key_file != NULL ? slc_strdup(options->master_key_file)
                                                         : slc_asprintf("%s/master.key", options->data_dir);
    catalog->node_lost_after_ms = options->node_lost_after_ms > 0 ? options->node_lost_after_ms : 30000;
    pthread_rwlock_init(&catalog->key_lock, NULL);
    lane_init(catalog, SLC_LANE_WRITE, 1);
    lane_init(catalog, SLC_LANE_USAGE, 1);
    lane_init(catalog, SLC_LANE_READ, 1 + (options->readers > 0 ? options->readers : 2));
    if (!lock_dir(catalog, options->data_dir, err) || !open_writers(catalog, options, err) ||
        !open_readers(catalog, options, err) || !slc_lanes_start(catalog, err)) {
        slc_catalog_close(catalog);
        return NULL;
    }
    return catalog;
}

void slc_catalog_close(slc_catalog *catalog)
{
    if (catalog == NULL)
        return;
    SLC_CHECK_MAGIC(catalog, CATALOG_MAGIC);
    slc_lanes_stop(catalog);
    /* Readers first: the last connection to close, which checkpoints the log, should be one that may write. */
    lane_release(&catalog->lanes[SLC_LANE_READ]);
    lane_release(&catalog->lanes[SLC_LANE_WRITE]);
    lane_release(&catalog->lanes[SLC_LANE_USAGE]);
    slc_master_key_release(&catalog->master);
    pthread_rwlock_destroy(&catalog->key_lock);
    if (catalog->lock_fd >= 0)
        close(catalog->lock_fd);
    free(catalog->db_path);
    free(catalog->usage_path);
    free(catalog->key_path);
    catalog->magic = 0;
    free(catalog);
}

void slc_catalog_on_commit(slc_catalog *catalog, void (*fn)(void *arg, uint64_t revision), void *arg)
{
    /* The writer reads them while it holds its connection. */
    pthread_mutex_t *use = &catalog->lanes[SLC_LANE_WRITE].threads[0].use;
    pthread_mutex_lock(use);
    catalog->on_commit = fn;
    catalog->on_commit_arg = arg;
    pthread_mutex_unlock(use);
}
