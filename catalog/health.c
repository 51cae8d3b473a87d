/* Damage: found on opening, or while the catalog is in use. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalog/backup.h"
#include "catalog/store.h"
#include "common/alloc.h"
#include "common/clock.h"
#include "common/log.h"

#define ADVISED_BACKUPS 3

/* ---- checking a file ---- */

static int out_of_time(void *arg)
{
    return slc_monotonic_ms() > *(const int64_t *)arg;
}

/* A large file is checked for a bounded time: what would take longer shows when it is read. */
bool slc_integrity_check(sqlite3 *db, const char *path, bool full, int64_t limit_ms, slc_error *err)
{
    int64_t deadline_ms = slc_monotonic_ms() + limit_ms;
    if (!full)
        sqlite3_progress_handler(db, 10000, out_of_time, &deadline_ms);
    sqlite3_stmt *stmt = NULL;
    const char *sql = full ? "PRAGMA main.integrity_check(1)" : "PRAGMA main.quick_check(1)";
    int rc = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);
    rc = rc == SQLITE_OK ? sqlite3_step(stmt) : rc;
    bool ok = true;
    if (rc == SQLITE_ROW && strcmp((const char *)sqlite3_column_text(stmt, 0), "ok") != 0)
        ok = slc_fail(err, SLC_CORRUPT, NULL, "%s is damaged (%.100s)", path,
                      (const char *)sqlite3_column_text(stmt, 0));
    else if (rc == SQLITE_INTERRUPT)
        slc_log(SLC_LOG_INFO, "integrity check not finished in time, going on", LS("path", path));
    else if (rc != SQLITE_ROW)
        ok = slc_sqlite_fail(db, rc, err);
    sqlite3_finalize(stmt);
    sqlite3_progress_handler(db, 0, NULL, NULL);
    return ok;
}

/* ---- what to do ---- */

static void advise_backup(const slc_catalog *catalog, const json_t *backup)
{
    const char *name = json_string_value(json_object_get(backup, "name"));
    char *command = slc_asprintf("sluice-control --data-dir %s --restore %s/%s", catalog->data_dir,
                                 catalog->backup_dir, name);
    slc_log(SLC_LOG_ERROR, "a backup that can be restored", LS("backup", name),
            LS("created_at", json_string_value(json_object_get(backup, "created_at"))),
            LS("master_key", json_string_value(json_object_get(backup, "master_key"))), LS("command", command));
    free(command);
}

void slc_health_advise(slc_catalog *catalog)
{
    slc_error err;
    json_t *backups = slc_backup_list(catalog, &err);
    size_t i, advised = 0;
    json_t *backup;
    json_array_foreach (backups, i, backup) {
        if (json_is_true(json_object_get(backup, "usable")) && advised < ADVISED_BACKUPS) {
            advise_backup(catalog, backup);
            advised++;
        }
    }
    if (advised == 0)
        slc_log(SLC_LOG_ERROR,
                "there is no backup on this disk: fetch one from where copies are kept and restore it",
                LS("backups", catalog->backup_dir), LS("command", "sluice-control --restore FILE"));
    json_decref(backups);
}

/* ---- while in use ---- */

static bool is_sound(const char *path, slc_error *err)
{
    slc_conn_options options = {.path = path, .read_only = true};
    slc_conn *conn = slc_conn_open(&options, err);
    bool ok = conn != NULL && slc_integrity_check(slc_conn_db(conn), path, true, 0, err);
    slc_conn_free(conn);
    (void)slc_sqlite_saw_damage();
    return ok;
}

/* Both files are read by the same connections: only a check tells which one it is. */
static bool examine(slc_catalog *catalog, void *arg, slc_error *err)
{
    (void)arg;
    if (!is_sound(catalog->db_path, err)) {
        atomic_store(&catalog->damage, SLC_DAMAGE_FOUND);
        slc_log(SLC_LOG_ERROR,
                "the catalog's database is damaged: nothing more is written to it, gateways go on serving. "
                "Stop the "
                "control plane and restore a backup",
                LS("path", catalog->db_path), LS("found", err->message));
        slc_health_advise(catalog);
        return true;
    }
    atomic_store(&catalog->damage, SLC_DAMAGE_NONE);
    if (!is_sound(catalog->usage_path, err))
        slc_log(SLC_LOG_ERROR,
                "the file of the nodes' reports is damaged: restart the control plane, it is made anew. It "
                "holds no "
                "configuration",
                LS("path", catalog->usage_path), LS("found", err->message));
    else
        slc_log(SLC_LOG_WARN, "damage was reported, but a full check finds none", LS("path", catalog->db_path));
    return true;
}

void slc_health_suspect(slc_catalog *catalog)
{
    int none = SLC_DAMAGE_NONE;
    if (!atomic_load(&catalog->stopping) &&
        atomic_compare_exchange_strong(&catalog->damage, &none, SLC_DAMAGE_SUSPECTED))
        slc_catalog_task(catalog, NULL, examine, NULL, NULL);
}

bool slc_health_check(slc_catalog *catalog, slc_error *err)
{
    return atomic_load(&catalog->damage) != SLC_DAMAGE_FOUND ||
           slc_fail(err, SLC_CORRUPT, NULL,
                    "%s is damaged: nothing is written to it until a backup is restored (--restore FILE); "
                    "the log has the details",
                    catalog->db_path);
}
