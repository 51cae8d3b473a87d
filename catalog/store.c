/* Opening and closing a catalog. */
#include "catalog/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "catalog/backup.h"
#include "catalog/history.h"
#include "catalog/migrate.h"
#include "common/alloc.h"
#include "common/assert.h"
#include "common/file.h"
#include "common/log.h"

#define CATALOG_MAGIC          0x63617461u
#define DEFAULT_CHECK_LIMIT_MS 5000
#define DEFAULT_QUEUE          1000
#define DEFAULT_BACKUPS_KEPT   7
#define DEFAULT_LOST_AFTER_MS  30000
#define DEFAULT_DOCUMENT_BYTES (1 << 20)
/* One may be busy with a backup for long; files are sent meanwhile. */
#define TASK_THREADS 4 /* backups, and people who sign in */

/* ---- the data directory ---- */

/* Two control planes on one directory would each keep their own idea of what is current. The lock goes with the
 * process, however it ends. */
static bool lock_dir(slc_catalog *catalog, slc_error *err)
{
    char *path = slc_asprintf("%s/lock", catalog->data_dir);
    catalog->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    bool ok =
        catalog->lock_fd >= 0 || slc_fail(err, errno == ENOSPC ? SLC_NO_SPACE : SLC_IO, NULL,
                                          "cannot write in the data directory: %s: %s", path, strerror(errno));
    free(path);
    if (ok && flock(catalog->lock_fd, LOCK_EX | LOCK_NB) != 0)
        ok = slc_fail(err, SLC_UNAVAILABLE, NULL,
                      "another process uses the data directory %s: stop it first, only one control plane may",
                      catalog->data_dir);
    return ok;
}

slc_catalog *slc_store_lock(const slc_catalog_options *options, slc_error *err)
{
    if (!slc_dir_make(options->data_dir, 0700, err))
        return NULL;
    slc_catalog *catalog = slc_calloc(1, sizeof(*catalog));
    catalog->magic = CATALOG_MAGIC;
    catalog->data_dir = slc_strdup(options->data_dir);
    catalog->db_path = slc_asprintf("%s/catalog.db", options->data_dir);
    catalog->usage_path = slc_asprintf("%s/usage.db", options->data_dir);
    catalog->key_path = options->master_key_file != NULL ? slc_strdup(options->master_key_file)
                                                         : slc_asprintf("%s/master.key", options->data_dir);
    catalog->backup_dir = options->backup_dir != NULL ? slc_strdup(options->backup_dir)
                                                      : slc_asprintf("%s/backups", options->data_dir);
    catalog->backup_keep = options->backup_keep > 0 ? options->backup_keep : DEFAULT_BACKUPS_KEPT;
    catalog->check_definition = options->check_definition;
    catalog->document_bytes = options->document_bytes > 0 ? options->document_bytes : DEFAULT_DOCUMENT_BYTES;
    catalog->node_lost_after_ms =
        options->node_lost_after_ms > 0 ? options->node_lost_after_ms : DEFAULT_LOST_AFTER_MS;
    pthread_rwlock_init(&catalog->key_lock, NULL);
    unsigned limit = options->queue_limit > 0 ? options->queue_limit : DEFAULT_QUEUE;
    slc_lane_init(catalog, SLC_LANE_WRITE, 1, limit);
    slc_lane_init(catalog, SLC_LANE_USAGE, 1, limit);
    slc_lane_init(catalog, SLC_LANE_READ, 1 + (options->readers > 0 ? options->readers : 2), limit);
    slc_lane_init(catalog, SLC_LANE_TASK, TASK_THREADS, limit);
    if (!lock_dir(catalog, err)) {
        slc_catalog_close(catalog);
        return NULL;
    }
    return catalog;
}

bool slc_maintenance_begin(slc_catalog *catalog, slc_error *err)
{
    return !atomic_exchange(&catalog->maintaining, true) ||
           slc_fail(err, SLC_CONFLICT, NULL,
                    "a backup or a rotation of the master key runs: wait until it has ended");
}

void slc_maintenance_end(slc_catalog *catalog)
{
    atomic_store(&catalog->maintaining, false);
}

/* ---- usage.db ---- */

static bool open_usage_once(slc_catalog *catalog, const slc_catalog_options *options, slc_error *err)
{
    slc_conn_options usage = {.path = catalog->usage_path, .busy_timeout_ms = options->busy_timeout_ms};
    slc_conn **conn = &catalog->lanes[SLC_LANE_USAGE].threads[0].conn;
    int64_t limit_ms = options->check_limit_ms > 0 ? options->check_limit_ms : DEFAULT_CHECK_LIMIT_MS;
    *conn = slc_conn_open(&usage, err);
    return *conn != NULL &&
           slc_integrity_check(slc_conn_db(*conn), catalog->usage_path, options->full_check, limit_ms, err) &&
           slc_migrate(slc_conn_db(*conn), catalog->usage_path, slc_usage_migrations, err);
}

static void move_aside(const char *path)
{
    static const char *const suffixes[] = {"", "-wal", "-shm"};
    for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
        char *from = slc_asprintf("%s%s", path, suffixes[i]);
        char *to = slc_asprintf("%s.damaged%s", path, suffixes[i]);
        if (rename(from, to) != 0 && errno != ENOENT)
            slc_log(SLC_LOG_WARN, "a damaged file cannot be moved aside", LS("path", from),
                    LS("why", strerror(errno)));
        free(from);
        free(to);
    }
}

/* What nodes reported is reported again: a damaged file must not stop the control plane. */
static bool open_usage(slc_catalog *catalog, const slc_catalog_options *options, slc_error *err)
{
    slc_conn **conn = &catalog->lanes[SLC_LANE_USAGE].threads[0].conn;
    bool ok = open_usage_once(catalog, options, err);
    if (!ok && err->code == SLC_CORRUPT) {
        slc_log(SLC_LOG_WARN,
                "the file of the nodes' reports is damaged: it is moved aside and made anew. It holds no "
                "configuration",
                LS("path", catalog->usage_path), LS("found", err->message));
        slc_conn_free(*conn);
        *conn = NULL;
        move_aside(catalog->usage_path);
        ok = open_usage_once(catalog, options, err);
    }
    return ok || slc_fail_context(err, "%s (it holds usage and no configuration: moved away, it is made anew)",
                                  catalog->usage_path);
}

/* ---- catalog.db ---- */

static bool migrate(slc_catalog *catalog, slc_conn *conn, const slc_catalog_options *options, slc_error *err)
{
    slc_migration *read = NULL;
    if (options->migrations_dir != NULL && (read = slc_migrations_read(options->migrations_dir, err)) == NULL)
        return false;
    const slc_migration *list = read != NULL ? read : slc_catalog_migrations;
    int from = 0;
    bool ok = slc_migrations_check(slc_conn_db(conn), catalog->db_path, list, &from, err);
    bool upgrade = false;
    for (const slc_migration *one = list; ok && one->number != 0; one++)
        upgrade = upgrade || (from > 0 && one->number > from);
    if (upgrade && !options->no_upgrade_backup)
        ok = slc_backup_before(catalog, "-before-upgrade", err) ||
             slc_fail_context(err, "no backup could be made before the upgrade, so nothing was changed "
                                   "(--no-backup-before-upgrade goes without)");
    ok = ok && slc_migrate(slc_conn_db(conn), catalog->db_path, list, err);
    slc_migrations_free(read);
    return ok;
}

static bool check_catalog(slc_catalog *catalog, slc_conn *conn, const slc_catalog_options *options,
                          slc_error *err)
{
    int64_t limit_ms = options->check_limit_ms > 0 ? options->check_limit_ms : DEFAULT_CHECK_LIMIT_MS;
    if (slc_integrity_check(slc_conn_db(conn), catalog->db_path, options->full_check, limit_ms, err))
        return true;
    if (err->code != SLC_CORRUPT)
        return false;
    return slc_fail(err, SLC_CORRUPT, NULL, "%.200s: %s; gateways go on serving", err->message,
                    "restore the last backup with --restore FILE, which keeps the damaged file aside");
}

static bool tend_history(slc_txn *txn, void *arg, slc_error *err)
{
    (void)arg;
    return slc_history_begin(txn, err) && slc_history_sweep(txn, err);
}

static bool open_catalog(slc_catalog *catalog, const slc_catalog_options *options, slc_error *err)
{
    slc_conn_options main = {.path = catalog->db_path,
                             .attach_usage = catalog->usage_path,
                             .busy_timeout_ms = options->busy_timeout_ms,
                             .fsync_every_commit = true};
    slc_conn **conn = &catalog->lanes[SLC_LANE_WRITE].threads[0].conn;
    bool ok = (*conn = slc_conn_open(&main, err)) != NULL && check_catalog(catalog, *conn, options, err);
    if (!ok && err->code == SLC_CORRUPT)
        slc_health_advise(catalog);
    return ok && migrate(catalog, *conn, options, err) &&
           slc_key_open(*conn, &catalog->master, catalog->key_path, true, err) &&
           slc_revision_check(*conn, catalog->db_path, err) &&
           slc_txn_run(catalog, *conn, SLC_LANE_WRITE, NULL, tend_history, NULL, err);
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

/* ---- opening ---- */

/* Until its last step a restore has changed nothing. */
static void drop_half_restore(const slc_catalog *catalog)
{
    char *partial = slc_asprintf("%s.restoring", catalog->db_path);
    if (slc_file_exists(partial)) {
        slc_log(SLC_LOG_WARN,
                "a restore was cut off before it changed anything: run it again if it is still wanted",
                LS("removed", partial));
        slc_database_remove(partial);
    }
    free(partial);
}

slc_catalog *slc_catalog_open(const slc_catalog_options *options, slc_error *err)
{
    slc_error own;
    err = err != NULL ? err : &own;
    slc_catalog *catalog = slc_store_lock(options, err);
    if (catalog == NULL)
        return NULL;
    slc_backup_tidy(catalog);
    drop_half_restore(catalog);
    if (!open_usage(catalog, options, err) || !open_catalog(catalog, options, err) ||
        !open_readers(catalog, options, err) || !slc_lanes_start(catalog, err)) {
        slc_catalog_close(catalog);
        return NULL;
    }
    slc_rotation_finish(catalog);
    atomic_store(&catalog->backup_ms, slc_backup_newest_ms(catalog));
    return catalog;
}

void slc_catalog_close(slc_catalog *catalog)
{
    if (catalog == NULL)
        return;
    SLC_CHECK_MAGIC(catalog, CATALOG_MAGIC);
    atomic_store(&catalog->stopping, true);
    slc_lanes_stop(catalog);
    /* Readers first: the last connection to close, which checkpoints the log, should be one that may write. */
    slc_lane_release(&catalog->lanes[SLC_LANE_READ]);
    slc_lane_release(&catalog->lanes[SLC_LANE_WRITE]);
    slc_lane_release(&catalog->lanes[SLC_LANE_USAGE]);
    slc_lane_release(&catalog->lanes[SLC_LANE_TASK]);
    slc_master_key_release(&catalog->master);
    pthread_rwlock_destroy(&catalog->key_lock);
    if (catalog->lock_fd >= 0)
        close(catalog->lock_fd);
    free(catalog->data_dir);
    free(catalog->db_path);
    free(catalog->usage_path);
    free(catalog->key_path);
    free(catalog->backup_dir);
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
