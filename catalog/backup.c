#include "catalog/backup.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "catalog/store.h"

#define PAGES_PER_STEP 256 /* between steps the writer gets its turn */

/* Made here so that nobody else can read it, and so that an existing file is never overwritten. */
static bool make_file(const char *path, slc_error *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return slc_fail(err, errno == EEXIST ? SLC_CONFLICT : SLC_IO, NULL, "%s: %s", path, strerror(errno));
    close(fd);
    return true;
}

static bool copy_pages(sqlite3 *from, sqlite3 *to, slc_error *err)
{
    sqlite3_backup *backup = sqlite3_backup_init(to, "main", from, "main");
    if (backup == NULL)
        return slc_sqlite_fail(to, sqlite3_extended_errcode(to), err);
    int rc;
    do {
        rc = sqlite3_backup_step(backup, PAGES_PER_STEP);
        if (rc == SQLITE_BUSY || rc == SQLITE_LOCKED)
            sqlite3_sleep(10);
    } while (rc == SQLITE_OK || rc == SQLITE_BUSY || rc == SQLITE_LOCKED);
    sqlite3_backup_finish(backup);
    return rc == SQLITE_DONE || slc_sqlite_fail(to, rc, err);
}

/* The copy is one file that can be opened anywhere: no write-ahead log beside it. */
static bool finish_copy(sqlite3 *to, slc_error *err)
{
    int rc = sqlite3_exec(to, "PRAGMA journal_mode = DELETE", NULL, NULL, NULL);
    return rc == SQLITE_OK || slc_sqlite_fail(to, rc, err);
}

bool slc_catalog_backup(slc_catalog *catalog, const char *path, slc_error *err)
{
    if (!make_file(path, err))
        return false;
    /* A connection of its own whose read transaction lasts for the whole copy: one state, whatever is written
     * meanwhile. */
    slc_conn_options options = {.path = catalog->db_path, .read_only = true};
    slc_conn *from = slc_conn_open(&options, err);
    sqlite3 *to = NULL;
    bool ok = from != NULL && slc_conn_run(from, "BEGIN; SELECT 1 FROM catalog_meta", err);
    if (ok && sqlite3_open_v2(path, &to, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK)
        ok = slc_sqlite_fail(to, sqlite3_extended_errcode(to), err);
    ok = ok && copy_pages(slc_conn_db(from), to, err) && finish_copy(to, err);
    sqlite3_close(to);
    slc_conn_free(from);
    if (!ok) {
        unlink(path);
        return slc_fail_context(err, "backup to %s", path);
    }
    return true;
}
