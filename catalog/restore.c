/* A backup in the place of the catalog. docs/decisions/0007-restore.md says why it is so. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "catalog/backup.h"
#include "catalog/entity.h"
#include "catalog/migrate.h"
#include "catalog/restore_carry.h"
#include "catalog/store.h"
#include "common/alloc.h"
#include "common/clock.h"
#include "common/file.h"
#include "common/log.h"

struct restoring {
    slc_catalog *catalog;
    const slc_restore *restore;
    const slc_migration *migrations;
    char *partial;
    slc_conn *conn; /* of the partial */
    bool readable;  /* the replaced catalog is attached as "old" */
    bool compared;  /* all that was taken away since the backup is known from it */
    int64_t seen;   /* the highest revision known of it, and of what gateways report */
    json_t *report;
};

/* ---- what is replaced ---- */

static int64_t read_one(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *stmt = NULL;
    int64_t value = 0;
    if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) == SQLITE_OK && sqlite3_step(stmt) == SQLITE_ROW)
        value = sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    return value;
}

/* Opens a file of the data directory if it is there and sound; its log is folded into it. The restore goes on
 * without: that it is damaged may be why there is one. */
static sqlite3 *open_if_sound(const char *path)
{
    sqlite3 *db = NULL;
    slc_error err;
    if (!slc_file_exists(path))
        return NULL;
    bool ok = sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK &&
              slc_integrity_check(db, path, true, 0, &err) &&
              sqlite3_exec(db, "PRAGMA wal_checkpoint(TRUNCATE)", NULL, NULL, NULL) == SQLITE_OK;
    if (!ok) {
        sqlite3_close(db);
        return NULL;
    }
    return db;
}

static void look_at_replaced(struct restoring *self)
{
    sqlite3 *db = open_if_sound(self->catalog->db_path);
    if (db != NULL) {
        self->readable = true;
        self->seen = read_one(db, "SELECT int_value FROM catalog_meta WHERE name = 'revision'");
    }
    sqlite3_close(db);
    db = open_if_sound(self->catalog->usage_path);
    if (db != NULL) {
        int64_t reported = read_one(db, "SELECT max(applied_version) FROM node_status");
        self->seen = slc_revision_believe(self->seen, reported);
    }
    sqlite3_close(db);
}

/* ---- the restored catalog ---- */

/* The report without its long list, of which each entry is an audit event. */
static json_t *summary_of(const struct restoring *self)
{
    json_t *summary = json_copy(self->report);
    json_object_del(summary, "taken_away");
    return summary;
}

/* What the replaced catalog knows. */
static bool carry(struct restoring *self, slc_txn *txn, slc_error *err)
{
    return self->restore->undo_revocations ||
           (slc_restore_carry(txn, self->report, err) && slc_restore_node_ca(txn, self->report, err));
}

static bool adapt(slc_txn *txn, void *arg, slc_error *err)
{
    struct restoring *self = arg;
    int64_t now_at;
    uint64_t revision;
    if (self->readable && !slc_restore_recall(txn, &self->compared, err))
        return false;
    json_object_set_new(self->report, "compared", json_boolean(self->compared));
    if (!slc_revision_leap(txn->conn, self->seen, &now_at, err) || !slc_txn_bump(txn, &revision, err))
        return false;
    /* A token that has been used would be good for another node. */
    if (!slc_txn_exec(txn, err, "DELETE FROM enrolment_tokens", ""))
        return false;
    json_object_set_new(self->report, "enrolment_tokens_voided", json_integer(slc_txn_changes(txn)));
    if ((self->readable && !carry(self, txn, err)) ||
        !slc_restore_people(txn, self->readable && !self->restore->undo_revocations, self->report, err) ||
        !slc_restore_settle(txn, err))
        return false;
    json_object_set_new(self->report, "revision", json_integer((json_int_t)revision));
    json_t *summary = summary_of(self);
    bool ok = slc_txn_exec(txn, err, "DELETE FROM catalog_meta WHERE name = 'backup_created_at'", "") &&
              slc_audit(txn, "restore", "backups", "catalog", self->restore->file, summary, err);
    json_decref(summary);
    return ok;
}

static bool check_references(slc_conn *conn, const char *file, slc_error *err)
{
    sqlite3_stmt *stmt = slc_conn_prepare(conn, "PRAGMA main.foreign_key_check", err);
    if (stmt == NULL)
        return false;
    int rc = sqlite3_step(stmt);
    bool ok = rc == SQLITE_DONE;
    if (rc == SQLITE_ROW)
        slc_fail(err, SLC_CORRUPT, NULL, "%s is damaged: a row of %s refers to nothing", file,
                 (const char *)sqlite3_column_text(stmt, 0));
    else if (!ok)
        slc_sqlite_fail(slc_conn_db(conn), rc, err);
    slc_conn_finish(conn, stmt);
    return ok;
}

static void note_origin(struct restoring *self)
{
    char created[SLC_RFC3339_CHARS];
    slc_rfc3339_format(read_one(slc_conn_db(self->conn),
                                "SELECT int_value FROM catalog_meta WHERE name = 'backup_created_at'"),
                       created);
    json_object_set_new(self->report, "backup", json_string(self->restore->file));
    json_object_set_new(self->report, "created_at", json_string(created));
}

static bool attach_old(struct restoring *self, slc_error *err)
{
    if (!self->readable)
        return true;
    char *sql = sqlite3_mprintf("ATTACH %Q AS old", self->catalog->db_path);
    bool ok = slc_conn_run(self->conn, sql, err);
    sqlite3_free(sql);
    return ok;
}

static bool prepare(struct restoring *self, slc_error *err)
{
    static const slc_actor actor = {.kind = "system", .id = "system", .name = "restore"};
    slc_conn_options options = {.path = self->partial, .fsync_every_commit = true};
    self->conn = slc_conn_open(&options, err);
    bool ok = self->conn != NULL &&
              slc_migrate(slc_conn_db(self->conn), self->restore->file, self->migrations, err) &&
              check_references(self->conn, self->restore->file, err) &&
              slc_key_open(self->conn, &self->catalog->master, self->catalog->key_path, false, err);
    if (ok)
        note_origin(self);
    ok = ok && attach_old(self, err) &&
         slc_txn_run(self->catalog, self->conn, SLC_LANE_WRITE, &actor, adapt, self, err);
    if (ok && self->readable)
        ok = slc_conn_run(self->conn, "DETACH old", err);
    /* One file again, which can be put in its place by a rename. */
    ok = ok && slc_conn_run(self->conn, "PRAGMA journal_mode = DELETE", err);
    slc_conn_free(self->conn);
    self->conn = NULL;
    return ok && slc_file_sync(self->partial, err);
}

/* ---- the exchange ---- */

static bool keep_file(const char *path, const char *kept, slc_error *err)
{
    return link(path, kept) == 0 || errno == ENOENT ||
           slc_fail(err, SLC_IO, NULL, "the catalog that is replaced cannot be kept as %s: %s", kept,
                    strerror(errno));
}

/* The old file gets a second name and is then replaced in one step, so that there is a catalog at every moment.
 * A log that could not be folded into it (it is damaged) must go first: it would be applied to the new file. */
static bool exchange(struct restoring *self, slc_error *err)
{
    char stamp[SLC_FILE_STAMP_CHARS];
    const char *path = self->catalog->db_path;
    slc_file_stamp(slc_wall_ms(), stamp);
    char *kept = slc_asprintf("%s.replaced-%s", path, stamp);
    char *log = slc_asprintf("%s-wal", path), *kept_log = slc_asprintf("%s-wal", kept);
    char *index = slc_asprintf("%s-shm", path);
    bool was_there = slc_file_exists(path);
    bool ok = keep_file(path, kept, err) && keep_file(log, kept_log, err);
    if (ok) {
        unlink(log);
        unlink(index);
        ok = slc_file_rename(self->partial, path, err);
    }
    json_object_set_new(self->report, "replaced", ok && was_there ? json_string(kept) : json_null());
    free(index);
    free(kept_log);
    free(log);
    free(kept);
    return ok;
}

/* ---- in all ---- */

static const char *why_valid_again(const struct restoring *self)
{
    if (self->restore->undo_revocations)
        return "--restore-undo-revocations";
    return self->readable
               ? "the replaced catalog does not know all that happened since the backup; what it knows "
                 "is in taken_away"
               : "the replaced catalog cannot be read";
}

static void warn_about(const struct restoring *self)
{
    json_t *summary = summary_of(self);
    char *report = json_dumps(summary, JSON_COMPACT | JSON_PRESERVE_ORDER);
    slc_log(SLC_LOG_INFO, "restored the catalog", LS("backup", self->restore->file), LS("report", report));
    free(report);
    json_decref(summary);
    if (json_array_size(json_object_get(self->report, "returned")) > 0)
        slc_log(SLC_LOG_WARN,
                "grants, enrolment rules or issuers that were changed or deleted after the backup was "
                "made hold again as they were: look at `returned`");
    if (json_array_size(json_object_get(self->report, "node_ca")) > 0)
        slc_log(SLC_LOG_WARN, "the node CA is not that of the backup: look at `node_ca`");
    if (!self->compared || self->restore->undo_revocations)
        slc_log(
            SLC_LOG_WARN,
            "what was revoked, suspended, disabled, cut or deleted after the backup was made is valid again: "
            "credentials, subscriptions, API tokens, users, roles, gateway nodes and authorities of the node "
            "CA. "
            "Take it away once more before gateways reconnect",
            LS("backup", self->restore->file), LS("why", why_valid_again(self)));
    slc_log(SLC_LOG_WARN,
            "enrolment tokens were voided, and gateways that joined after the backup must join again: make "
            "new join strings");
}

static bool copy_in(struct restoring *self, slc_error *err)
{
    const char *file = self->restore->file;
    if (!slc_file_exists(file))
        return slc_fail(err, SLC_NOT_FOUND, NULL, "there is no backup %s", file);
    slc_database_remove(self->partial);
    if (slc_copy_database(file, self->partial, &self->catalog->stopping, err))
        return true;
    if (err->code != SLC_CORRUPT && err->code != SLC_INTERNAL) /* another program's tables come as the latter */
        return slc_fail_context(err, "%s cannot be restored", file);
    slc_error why = *err;
    return slc_fail(err, SLC_CORRUPT, NULL,
                    "%s cannot be restored: it is damaged, or no backup of a catalog (%.150s)", file,
                    why.message);
}

bool slc_catalog_restore(const slc_catalog_options *options, const slc_restore *restore, json_t **report,
                         slc_error *err)
{
    *report = NULL;
    struct restoring self = {.restore = restore, .catalog = slc_store_lock(options, err)};
    if (self.catalog == NULL)
        return false;
    slc_migration *read =
        options->migrations_dir != NULL ? slc_migrations_read(options->migrations_dir, err) : NULL;
    self.migrations = read != NULL ? read : slc_catalog_migrations;
    self.partial = slc_asprintf("%s.restoring", self.catalog->db_path);
    self.report = json_object();
    bool ok = (options->migrations_dir == NULL || read != NULL) && copy_in(&self, err);
    if (ok) {
        look_at_replaced(&self);
        ok = prepare(&self, err) && exchange(&self, err);
    }
    if (ok) {
        warn_about(&self);
        *report = json_incref(self.report);
    } else {
        slc_database_remove(self.partial);
    }
    json_decref(self.report);
    free(self.partial);
    slc_migrations_free(read);
    slc_catalog_close(self.catalog);
    return ok;
}
