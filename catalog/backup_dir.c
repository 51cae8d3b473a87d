/* The directory of backups: making, listing, opening them, and how many are kept. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "catalog/backup.h"
#include "catalog/entity.h"
#include "catalog/store.h"
#include "common/alloc.h"
#include "common/clock.h"
#include "common/file.h"
#include "common/log.h"

#define NAME_PREFIX    "catalog-"
#define NAME_SUFFIX    ".db"
#define PARTIAL_SUFFIX ".partial"
#define NAME_CHARS     96

/* ---- names ---- */

/* Only what this makes itself: nothing else in the directory is listed, opened or removed. */
static bool is_backup_name(const char *name)
{
    size_t len = strlen(name), suffix = strlen(NAME_SUFFIX);
    return len < NAME_CHARS && strncmp(name, NAME_PREFIX, strlen(NAME_PREFIX)) == 0 && len > suffix &&
           strcmp(name + len - suffix, NAME_SUFFIX) == 0 &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzTZ0123456789-.") == len;
}

static char *path_of(const slc_catalog *catalog, const char *name)
{
    return slc_asprintf("%s/%s", catalog->backup_dir, name);
}

void slc_file_stamp(int64_t wall_ms, char out[SLC_FILE_STAMP_CHARS])
{
    char seconds[SLC_FILE_STAMP_CHARS / 2];
    struct tm utc;
    time_t wall = (time_t)(wall_ms / 1000);
    gmtime_r(&wall, &utc);
    strftime(seconds, sizeof(seconds), "%Y%m%dT%H%M%S", &utc);
    snprintf(out, SLC_FILE_STAMP_CHARS, "%s%03uZ", seconds, (unsigned)(wall_ms % 1000) % 1000);
}

/* catalog-20261124T201839123Z-r1234.db: by name is by time. */
static void name_now(int64_t revision, const char *why, char out[NAME_CHARS])
{
    char stamp[SLC_FILE_STAMP_CHARS];
    slc_file_stamp(slc_wall_ms(), stamp);
    snprintf(out, NAME_CHARS, NAME_PREFIX "%s-r%lld%s" NAME_SUFFIX, stamp, (long long)revision, why);
}

static void choose_name(const slc_catalog *catalog, int64_t revision, const char *why, char out[NAME_CHARS])
{
    for (bool taken = true; taken;) {
        name_now(revision, why, out);
        char *path = path_of(catalog, out);
        taken = slc_file_exists(path);
        free(path);
        if (taken)
            sqlite3_sleep(1); /* the next millisecond has another name */
    }
}

/* ---- what a file says of itself ---- */

struct facts {
    int64_t created_ms, revision;
    char schema[80];
    char key[SLC_FINGERPRINT_CHARS];
};

static bool read_facts(const char *path, struct facts *facts, slc_error *err)
{
    static const char sql[] = "SELECT (SELECT int_value FROM catalog_meta WHERE name = 'backup_created_at'), "
                              "(SELECT int_value FROM catalog_meta WHERE name = 'revision'), "
                              "(SELECT name FROM schema_migrations ORDER BY number DESC LIMIT 1), "
                              "(SELECT blob_value FROM catalog_meta WHERE name = 'key_check')";
    sqlite3 *db = NULL;
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL);
    rc = rc == SQLITE_OK ? sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) : rc;
    rc = rc == SQLITE_OK ? sqlite3_step(stmt) : rc;
    if (rc == SQLITE_ROW) {
        const char *schema = slc_column_text(stmt, 2);
        facts->created_ms = sqlite3_column_int64(stmt, 0);
        facts->revision = sqlite3_column_int64(stmt, 1);
        snprintf(facts->schema, sizeof(facts->schema), "%s", schema != NULL ? schema : "");
        slc_sealed_fingerprint(sqlite3_column_blob(stmt, 3), (size_t)sqlite3_column_bytes(stmt, 3), facts->key);
    } else {
        slc_sqlite_fail(db, rc, err);
    }
    sqlite3_finalize(stmt);
    sqlite3_close(db);
    (void)slc_sqlite_saw_damage(); /* a backup's, not the catalog's */
    return rc == SQLITE_ROW;
}

/* By the file, not by what is in memory: after a rotation only the file tells what a restore will find. */
static bool is_usable(const slc_catalog *catalog, const char *fingerprint)
{
    slc_master_key master = {0};
    bool has =
        slc_master_key_load(&master, catalog->key_path, NULL) && slc_master_key_has(&master, fingerprint);
    slc_master_key_release(&master);
    return has;
}

json_t *slc_backup_describe(slc_catalog *catalog, const char *name, slc_error *err)
{
    struct stat st;
    struct facts facts;
    slc_error problem;
    char created[SLC_RFC3339_CHARS];
    char *path = path_of(catalog, name);
    json_t *out = NULL;
    if (!is_backup_name(name) || stat(path, &st) != 0) {
        slc_fail(err, SLC_NOT_FOUND, NULL, "there is no backup %.96s", name);
    } else if (read_facts(path, &facts, &problem)) {
        slc_rfc3339_format(facts.created_ms, created);
        out = json_pack("{s:s, s:s, s:I, s:I, s:s, s:s, s:b}", "name", name, "created_at", created,
                        "size_bytes", (json_int_t)st.st_size, "revision", (json_int_t)facts.revision, "schema",
                        facts.schema, "master_key", facts.key, "usable", is_usable(catalog, facts.key) ? 1 : 0);
    } else {
        out = json_pack("{s:s, s:I, s:b, s:s}", "name", name, "size_bytes", (json_int_t)st.st_size, "usable", 0,
                        "problem", problem.message);
    }
    free(path);
    return out;
}

/* ---- listing ---- */

static int newest_first(const void *a, const void *b)
{
    return strcmp(*(char *const *)b, *(char *const *)a);
}

/* The names, newest first; freed with free_names. NULL with an error; a directory that is not there has none.
 */
static char **read_names(const slc_catalog *catalog, size_t *count, slc_error *err)
{
    size_t room = 16;
    char **names = slc_calloc(room, sizeof(*names));
    *count = 0;
    DIR *dir = opendir(catalog->backup_dir);
    if (dir == NULL && errno != ENOENT) {
        slc_fail(err, SLC_IO, NULL, "cannot read the directory of backups %s: %s", catalog->backup_dir,
                 strerror(errno));
        free(names);
        return NULL;
    }
    for (struct dirent *entry = NULL; dir != NULL && (entry = readdir(dir)) != NULL;) {
        if (!is_backup_name(entry->d_name))
            continue;
        if (*count == room)
            names = slc_realloc(names, (room *= 2) * sizeof(*names));
        names[(*count)++] = slc_strdup(entry->d_name);
    }
    if (dir != NULL)
        closedir(dir);
    qsort(names, *count, sizeof(*names), newest_first);
    return names;
}

static void free_names(char **names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(names[i]);
    free(names);
}

json_t *slc_backup_list(slc_catalog *catalog, slc_error *err)
{
    size_t count;
    char **names = read_names(catalog, &count, err);
    if (names == NULL)
        return NULL;
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        json_t *one = slc_backup_describe(catalog, names[i], err);
        if (one != NULL) /* removed meanwhile otherwise */
            json_array_append_new(list, one);
    }
    free_names(names, count);
    return list;
}

int64_t slc_backup_newest_ms(slc_catalog *catalog)
{
    size_t count;
    int64_t newest_ms = 0;
    char **names = read_names(catalog, &count, NULL);
    for (size_t i = 0; names != NULL && i < count && newest_ms == 0; i++) {
        struct facts facts = {0};
        char *path = path_of(catalog, names[i]);
        if (read_facts(path, &facts, NULL))
            newest_ms = facts.created_ms;
        free(path);
    }
    if (names != NULL)
        free_names(names, count);
    return newest_ms;
}

/* ---- making ---- */

static void remove_oldest(const slc_catalog *catalog)
{
    size_t count;
    char **names = read_names(catalog, &count, NULL);
    for (size_t i = catalog->backup_keep; names != NULL && i < count; i++) {
        char *path = path_of(catalog, names[i]);
        if (unlink(path) == 0)
            slc_log(SLC_LOG_INFO, "removed an old backup", LS("backup", names[i]));
        free(path);
    }
    if (names != NULL)
        free_names(names, count);
}

/* Under another name until it is complete: what is listed can be restored. */
static bool write_backup(slc_catalog *catalog, const char *name, slc_error *err)
{
    char *path = path_of(catalog, name);
    char *partial = slc_asprintf("%s/.%s" PARTIAL_SUFFIX, catalog->backup_dir, name);
    bool ok = slc_dir_make(catalog->backup_dir, 0700, err) && slc_catalog_backup(catalog, partial, err) &&
              slc_file_rename(partial, path, err);
    if (!ok)
        slc_database_remove(partial);
    free(partial);
    free(path);
    return ok;
}

static bool read_revision(const slc_catalog *catalog, int64_t *revision, slc_error *err)
{
    struct facts facts;
    bool ok = read_facts(catalog->db_path, &facts, err);
    *revision = ok ? facts.revision : 0;
    return ok;
}

static bool make_named(slc_catalog *catalog, const char *why, char name[NAME_CHARS], slc_error *err)
{
    int64_t revision, began_ms = slc_monotonic_ms();
    if (!read_revision(catalog, &revision, err))
        return false;
    choose_name(catalog, revision, why, name);
    slc_log(SLC_LOG_INFO, "backup begins", LS("backup", name));
    if (!write_backup(catalog, name, err))
        return false;
    atomic_store(&catalog->backup_ms, slc_wall_ms());
    slc_log(SLC_LOG_INFO, "backup made", LS("backup", name), LS("directory", catalog->backup_dir),
            LI("ms", slc_monotonic_ms() - began_ms));
    remove_oldest(catalog);
    return true;
}

static bool audit(slc_txn *txn, void *arg, slc_error *err)
{
    const char *const *action_and_name = arg;
    return slc_audit(txn, action_and_name[0], "backups", action_and_name[1], action_and_name[1], NULL, err);
}

json_t *slc_backup_make(slc_catalog *catalog, const slc_actor *actor, slc_error *err)
{
    char name[NAME_CHARS];
    if (!slc_maintenance_begin(catalog, err))
        return NULL;
    bool ok = make_named(catalog, "", name, err);
    slc_maintenance_end(catalog);
    if (!ok)
        return NULL;
    const char *what[] = {"create", name};
    if (!slc_catalog_write_sync(catalog, actor, audit, what, err))
        return NULL;
    return slc_backup_describe(catalog, name, err);
}

bool slc_backup_before(slc_catalog *catalog, const char *why, slc_error *err)
{
    char name[NAME_CHARS];
    return make_named(catalog, why, name, err);
}

int slc_backup_open(slc_catalog *catalog, const slc_actor *actor, const char *name, int64_t *size_bytes,
                    slc_error *err)
{
    struct stat st;
    const char *what[] = {"download", name};
    char *path = path_of(catalog, name);
    int fd = is_backup_name(name) ? open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW) : -1;
    free(path);
    if (fd < 0 || fstat(fd, &st) != 0)
        slc_fail(err, SLC_NOT_FOUND, NULL, "there is no backup %.96s", name);
    else if (slc_catalog_write_sync(catalog, actor, audit, what, err)) {
        *size_bytes = st.st_size;
        return fd;
    }
    if (fd >= 0)
        close(fd);
    return -1;
}

/* ---- what a crash left ---- */

void slc_backup_tidy(const slc_catalog *catalog)
{
    DIR *dir = opendir(catalog->backup_dir);
    for (struct dirent *entry = NULL; dir != NULL && (entry = readdir(dir)) != NULL;) {
        if (strncmp(entry->d_name, "." NAME_PREFIX, strlen("." NAME_PREFIX)) != 0 ||
            strstr(entry->d_name, PARTIAL_SUFFIX) == NULL)
            continue;
        char *path = path_of(catalog, entry->d_name);
        slc_log(SLC_LOG_INFO, "removing a backup that was cut off", LS("path", path));
        unlink(path);
        free(path);
    }
    if (dir != NULL)
        closedir(dir);
}
