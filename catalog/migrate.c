#include "catalog/migrate.h"

#include <glob.h>
#include <stdlib.h>
#include <string.h>

#include "catalog/conn.h"
#include "common/alloc.h"
#include "common/clock.h"
#include "common/crypto.h"
#include "common/file.h"
#include "common/log.h"

#define MIGRATION_MAX_BYTES (1 << 20)
#define DIGEST_CHARS        (2 * SLC_SHA256_BYTES + 1)

static void digest_of(const slc_migration *migration, char out[DIGEST_CHARS])
{
    uint8_t digest[SLC_SHA256_BYTES];
    slc_sha256(migration->sql, migration->len, digest);
    slc_hex_encode(digest, sizeof(digest), out);
}

static const slc_migration *find(const slc_migration *migrations, int number)
{
    for (const slc_migration *migration = migrations; migration->number != 0; migration++)
        if (migration->number == number)
            return migration;
    return NULL;
}

static bool check_applied(sqlite3_stmt *stmt, const char *path, const slc_migration *migrations, slc_error *err)
{
    int number = sqlite3_column_int(stmt, 0);
    const char *name = (const char *)sqlite3_column_text(stmt, 1);
    const char *recorded = (const char *)sqlite3_column_text(stmt, 2);
    const slc_migration *migration = find(migrations, number);
    if (migration == NULL)
        return slc_fail(
            err, SLC_UNSUPPORTED, NULL,
            "%s was written by a newer version (migration %s is unknown here): run that version, or "
            "restore a backup made before the upgrade",
            path, name);
    char digest[DIGEST_CHARS];
    digest_of(migration, digest);
    if (strcmp(digest, recorded) != 0)
        return slc_fail(
            err, SLC_CORRUPT, NULL,
            "migration %s was changed after it was applied to %s (it was %.12s, this program has %.12s): "
            "run the version that applied it; landed migrations are never edited",
            name, path, recorded, digest);
    return true;
}

static bool has_history(sqlite3 *db, bool *has, slc_error *err)
{
    sqlite3_stmt *stmt = NULL;
    int rc =
        sqlite3_prepare_v2(db, "SELECT 1 FROM sqlite_master WHERE name = 'schema_migrations'", -1, &stmt, NULL);
    rc = rc == SQLITE_OK ? sqlite3_step(stmt) : rc;
    *has = rc == SQLITE_ROW;
    bool ok = rc == SQLITE_ROW || rc == SQLITE_DONE || slc_sqlite_fail(db, rc, err);
    sqlite3_finalize(stmt);
    return ok;
}

bool slc_migrations_check(sqlite3 *db, const char *path, const slc_migration *migrations, int *last,
                          slc_error *err)
{
    bool has;
    *last = 0;
    if (!has_history(db, &has, err))
        return false;
    if (!has)
        return true;
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(db, "SELECT number, name, sha256 FROM schema_migrations ORDER BY number", -1,
                                &stmt, NULL);
    if (rc != SQLITE_OK)
        return slc_sqlite_fail(db, rc, err);
    bool ok = true;
    while (ok && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        *last = sqlite3_column_int(stmt, 0);
        ok = check_applied(stmt, path, migrations, err);
    }
    if (ok && rc != SQLITE_DONE)
        ok = slc_sqlite_fail(db, rc, err);
    sqlite3_finalize(stmt);
    return ok;
}

static bool record(sqlite3 *db, const slc_migration *migration)
{
    char digest[DIGEST_CHARS];
    digest_of(migration, digest);
    char *sql = sqlite3_mprintf("INSERT INTO schema_migrations VALUES (%d, %Q, %Q, %lld)", migration->number,
                                migration->name, digest, (long long)slc_wall_ms());
    int rc = sqlite3_exec(db, sql, NULL, NULL, NULL);
    sqlite3_free(sql);
    return rc == SQLITE_OK;
}

static bool apply(sqlite3 *db, const char *path, const slc_migration *migration, slc_error *err)
{
    if (sqlite3_exec(db, migration->sql, NULL, NULL, NULL) == SQLITE_OK && record(db, migration))
        return true;
    slc_sqlite_fail(db, sqlite3_extended_errcode(db), err);
    return slc_fail_context(err, "migration %s of %s failed, nothing was changed", migration->name, path);
}

static bool apply_all(sqlite3 *db, const char *path, const slc_migration *first, slc_error *err)
{
    static const char create[] = "CREATE TABLE IF NOT EXISTS schema_migrations ("
                                 "number INTEGER PRIMARY KEY, name TEXT NOT NULL, sha256 TEXT NOT NULL, "
                                 "applied_at INTEGER NOT NULL) STRICT";
    int rc = sqlite3_exec(db, create, NULL, NULL, NULL);
    if (rc != SQLITE_OK)
        return slc_sqlite_fail(db, rc, err);
    for (const slc_migration *migration = first; migration->number != 0; migration++)
        if (!apply(db, path, migration, err))
            return false;
    return true;
}

bool slc_migrate(sqlite3 *db, const char *path, const slc_migration *migrations, slc_error *err)
{
    int last;
    if (!slc_migrations_check(db, path, migrations, &last, err))
        return false;
    const slc_migration *first = migrations;
    while (first->number != 0 && first->number <= last)
        first++;
    if (first->number == 0)
        return true;
    int rc = sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
    if (rc != SQLITE_OK)
        return slc_sqlite_fail(db, rc, err);
    bool ok = apply_all(db, path, first, err);
    if (ok && (rc = sqlite3_exec(db, "COMMIT", NULL, NULL, NULL)) != SQLITE_OK)
        ok = slc_sqlite_fail(db, rc, err);
    if (!ok)
        sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    for (const slc_migration *migration = first; ok && migration->number != 0; migration++)
        slc_log(SLC_LOG_INFO, "migrated", LS("database", path), LS("migration", migration->name));
    return ok;
}

static bool read_one(const char *path, int number, slc_migration *out, slc_error *err)
{
    const char *slash = strrchr(path, '/');
    const char *base = slash == NULL ? path : slash + 1;
    if (strtol(base, NULL, 10) != number)
        return slc_fail(err, SLC_INVALID, NULL, "%s: migration number %d is missing before it", path, number);
    char *sql = slc_file_read(path, MIGRATION_MAX_BYTES, &out->len, err);
    if (sql == NULL)
        return false;
    out->number = number;
    out->sql = sql;
    out->name = slc_strndup(base, strlen(base) - strlen(".sql"));
    return true;
}

slc_migration *slc_migrations_read(const char *dir, slc_error *err)
{
    char *pattern = slc_asprintf("%s/[0-9]*.sql", dir);
    glob_t found;
    int rc = glob(pattern, 0, NULL, &found);
    free(pattern);
    if (rc != 0) {
        slc_fail(err, SLC_NOT_FOUND, NULL, "no migrations in %s", dir);
        return NULL;
    }
    slc_migration *list = slc_calloc(found.gl_pathc + 1, sizeof(*list));
    bool ok = true;
    for (size_t i = 0; ok && i < found.gl_pathc; i++)
        ok = read_one(found.gl_pathv[i], (int)i + 1, &list[i], err);
    globfree(&found);
    if (!ok) {
        slc_migrations_free(list);
        return NULL;
    }
    return list;
}

void slc_migrations_free(slc_migration *migrations)
{
    for (slc_migration *migration = migrations; migration != NULL && migration->number != 0; migration++) {
        free((char *)migration->name);
        free((char *)migration->sql);
    }
    free(migrations);
}
