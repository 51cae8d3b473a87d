/* One consistent copy of a database, checked and safely on the disk. */
#include "catalog/backup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "catalog/store.h"
#include "common/alloc.h"
#include "common/clock.h"
#include "common/file.h"
#include "common/log.h"

#define PAGES_PER_STEP    256
#define BUSY_WAIT_MS      10
#define BUSY_TIMEOUT_MS   5000
#define PROGRESS_EVERY_MS 5000

/* Made here so that nobody else can read it, and so that an existing file is never overwritten. */
static bool make_file(const char *path, slc_error *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return slc_fail(err,
                        errno == EEXIST   ? SLC_CONFLICT
                        : errno == ENOSPC ? SLC_NO_SPACE
                                          : SLC_IO,
                        NULL, "%s: %s", path, strerror(errno));
    close(fd);
    return true;
}

static void log_progress(sqlite3_backup *backup, const char *path, int64_t *next_ms)
{
    int total = sqlite3_backup_pagecount(backup), left = sqlite3_backup_remaining(backup);
    if (slc_monotonic_ms() < *next_ms || total <= 0)
        return;
    *next_ms = slc_monotonic_ms() + PROGRESS_EVERY_MS;
    slc_log(SLC_LOG_INFO, "copying the catalog", LS("path", path),
            LI("percent", (int64_t)(total - left) * 100 / total));
}

static bool copy_pages(sqlite3 *from, sqlite3 *to, const char *path, const atomic_bool *stop, slc_error *err)
{
    sqlite3_backup *backup = sqlite3_backup_init(to, "main", from, "main");
    if (backup == NULL)
        return slc_sqlite_fail(to, sqlite3_extended_errcode(to), err);
    int64_t next_ms = slc_monotonic_ms() + PROGRESS_EVERY_MS;
    int rc;
    do {
        rc = sqlite3_backup_step(backup, PAGES_PER_STEP);
        if (rc == SQLITE_BUSY || rc == SQLITE_LOCKED)
            sqlite3_sleep(BUSY_WAIT_MS);
        log_progress(backup, path, &next_ms);
    } while ((rc == SQLITE_OK || rc == SQLITE_BUSY || rc == SQLITE_LOCKED) && !atomic_load(stop));
    sqlite3_backup_finish(backup);
    if (rc == SQLITE_OK || rc == SQLITE_BUSY || rc == SQLITE_LOCKED)
        return slc_fail(err, SLC_UNAVAILABLE, NULL, "the control plane stops");
    return rc == SQLITE_DONE || slc_sqlite_fail(to, rc, err);
}

/* One file that can be opened anywhere, without a write-ahead log beside it, and that says when it was made. */
static bool finish_copy(sqlite3 *to, const char *path, slc_error *err)
{
    /* A copy of a backup is as old as the backup. */
    char *note = sqlite3_mprintf(
        "PRAGMA journal_mode = DELETE; "
        "INSERT OR IGNORE INTO catalog_meta (name, int_value) VALUES ('backup_created_at', %lld)",
        (long long)slc_wall_ms());
    int rc = sqlite3_exec(to, note, NULL, NULL, NULL);
    sqlite3_free(note);
    if (rc != SQLITE_OK)
        return slc_sqlite_fail(to, rc, err);
    return slc_integrity_check(to, path, true, 0, err);
}

bool slc_copy_database(const char *from_path, const char *path, const atomic_bool *stop, slc_error *err)
{
    sqlite3 *from = NULL, *to = NULL;
    if (!make_file(path, err))
        return false;
    /* A connection of its own whose read transaction lasts for the whole copy: one state, whatever is written
     * meanwhile, and the writer never waits. */
    int rc = sqlite3_open_v2(from_path, &from, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL);
    if (rc == SQLITE_OK) {
        sqlite3_busy_timeout(from, BUSY_TIMEOUT_MS);
        rc = sqlite3_exec(from, "BEGIN; SELECT count(*) FROM catalog_meta", NULL, NULL, NULL);
    }
    bool ok = rc == SQLITE_OK || slc_sqlite_fail(from, rc, err);
    if (ok && (rc = sqlite3_open_v2(path, &to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL)) != SQLITE_OK)
        ok = slc_sqlite_fail(to, rc, err);
    ok = ok && copy_pages(from, to, path, stop, err) && finish_copy(to, path, err);
    sqlite3_close(to);
    sqlite3_close(from);
    (void)slc_sqlite_saw_damage(); /* of a file that may be another's */
    ok = ok && slc_file_sync(path, err);
    if (!ok)
        slc_database_remove(path);
    return ok;
}

void slc_database_remove(const char *path)
{
    static const char *const suffixes[] = {"", "-journal", "-wal", "-shm"};
    for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
        char *name = slc_asprintf("%s%s", path, suffixes[i]);
        unlink(name);
        free(name);
    }
}

bool slc_catalog_backup(slc_catalog *catalog, const char *path, slc_error *err)
{
    return slc_copy_database(catalog->db_path, path, &catalog->stopping, err) ||
           slc_fail_context(err, "backup to %s", path);
}
