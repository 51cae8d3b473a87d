/* The inside of a catalog and of a transaction. Private to catalog/. */
#ifndef SLC_CATALOG_STORE_H
#define SLC_CATALOG_STORE_H

#include <pthread.h>
#include <stdatomic.h>

#include "catalog/conn.h"
#include "catalog/master_key.h"
#include "catalog/read.h"

enum slc_lane_id { SLC_LANE_WRITE, SLC_LANE_READ, SLC_LANE_USAGE, SLC_LANE_TASK, SLC_LANES };

struct slc_job;

/* A queue and the threads that empty it. */
typedef struct slc_lane {
    slc_catalog *catalog;
    enum slc_lane_id id;
    pthread_mutex_t lock; /* guards the queue and `stopping` */
    pthread_cond_t wake;
    struct slc_job *head, *tail;
    unsigned waiting, limit;
    bool stopping;
    unsigned thread_count;
    struct slc_lane_thread {
        struct slc_lane *lane;
        slc_conn *conn;      /* NULL in the lane of tasks */
        pthread_mutex_t use; /* whoever runs a transaction on conn: the thread, or a _sync caller */
        pthread_t thread;
        bool started;
    } * threads;
} slc_lane;

/* What is known of catalog.db while it is in use. */
enum slc_damage {
    SLC_DAMAGE_NONE,
    SLC_DAMAGE_SUSPECTED, /* SQLite said so; the check that tells which file it is has not ended */
    SLC_DAMAGE_FOUND,     /* for good: until it is restored */
};

struct slc_catalog {
    unsigned magic;
    int lock_fd; /* held while the catalog is open */
    char *data_dir;
    char *db_path, *usage_path, *key_path;
    slc_master_key master; /* replaced under key_lock by a rotation */
    pthread_rwlock_t key_lock;
    int64_t node_lost_after_ms;
    bool (*check_definition)(const char *format, const char *text, size_t len, slc_error *err);
    int64_t document_bytes;
    char *backup_dir;
    unsigned backup_keep;
    atomic_bool maintaining;        /* a backup or a rotation runs: one at a time */
    atomic_int_least64_t backup_ms; /* when the last backup ended */
    atomic_int damage;              /* enum slc_damage */
    atomic_bool stopping;           /* long work should end early */
    slc_lane lanes[SLC_LANES];
    void (*on_commit)(void *arg, uint64_t revision);
    void *on_commit_arg;
};

struct slc_txn {
    unsigned magic;
    slc_catalog *catalog;
    slc_conn *conn;
    enum slc_lane_id lane;
    slc_actor actor;
    int64_t now_ms;
    uint64_t revision; /* what this transaction's changes carry; 0: nothing changed yet */
    bool unsettled;    /* more changes are to come: what must hold between entities is looked at later */
    bool restoring;    /* a rollback is under way: what only moves forward may go back */
    json_t *problems;  /* array, or NULL */
    json_t *published; /* {id: true} of event APIs that this transaction publishes, or NULL */
};

/* ---- lanes.c ---- */
void slc_lane_init(slc_catalog *catalog, enum slc_lane_id id, unsigned threads, unsigned limit);
/* Closes its connections. */
void slc_lane_release(slc_lane *lane);
/* Starts the threads; their connections are open already. */
bool slc_lanes_start(slc_catalog *catalog, slc_error *err) SLC_CHECKED;
/* Runs what is queued, then joins the threads. Also after a start that failed half-way. */
void slc_lanes_stop(slc_catalog *catalog);

/* ---- txn.c ---- */
/* One transaction on the connection. */
bool slc_txn_run(slc_catalog *catalog, slc_conn *conn, enum slc_lane_id lane, const slc_actor *actor,
                 slc_txn_fn fn, void *arg, slc_error *err) SLC_CHECKED;

/* Notes a problem with a field (all of them are shown to the caller) and fills err if it is the first. */
bool slc_txn_problem(slc_txn *txn, const char *pointer, slc_error *err, const char *fmt, ...) SLC_PRINTF(4, 5);
/* The same for a refusal with another code than SLC_INVALID; without a pointer it only fills err. */
bool slc_txn_refuse(slc_txn *txn, enum slc_code code, const char *pointer, slc_error *err, const char *fmt, ...)
    SLC_PRINTF(5, 6);
void slc_txn_clear_problems(slc_txn *txn);

/* ---- store.c ---- */
/* A catalog with its paths and its lock on the data directory (SLC_UNAVAILABLE when another process has it),
 * nothing opened: what slc_catalog_open, a restore and a recovery begin with. Closed with slc_catalog_close. */
slc_catalog *slc_store_lock(const slc_catalog_options *options, slc_error *err) SLC_CHECKED;

/* SLC_CONFLICT when a backup or a rotation runs. */
bool slc_maintenance_begin(slc_catalog *catalog, slc_error *err) SLC_CHECKED;
void slc_maintenance_end(slc_catalog *catalog);

/* ---- backup.c, backup_dir.c ---- */
/* A checked copy of a catalog, safely on the disk. `path` must not exist, and does not after an error. `stop`
 * ends it early. */
bool slc_copy_database(const char *from_path, const char *path, const atomic_bool *stop,
                       slc_error *err) SLC_CHECKED;
/* "20261124T201839123Z", for names of files. */
#define SLC_FILE_STAMP_CHARS 32
void slc_file_stamp(int64_t wall_ms, char out[SLC_FILE_STAMP_CHARS]);
/* Unlinks a database and what SQLite keeps beside it. */
void slc_database_remove(const char *path);
/* Before something that cannot be undone; `why` ("-before-upgrade") becomes part of the name. */
bool slc_backup_before(slc_catalog *catalog, const char *why, slc_error *err) SLC_CHECKED;
/* Removes what a crash left of a backup. */
void slc_backup_tidy(const slc_catalog *catalog);

/* ---- health.c ---- */
/* SQLite reported damage during a transaction: has the files checked, once. Any thread. */
void slc_health_suspect(slc_catalog *catalog);
/* False with the damage that was found (SLC_CORRUPT). */
bool slc_health_check(slc_catalog *catalog, slc_error *err) SLC_CHECKED;
/* Tells in the log how to go on with a damaged catalog: its file, the newest backups, the command. */
void slc_health_advise(slc_catalog *catalog);
/* Checks a database: everything, or the quick check for at most `limit_ms`. False with SLC_CORRUPT. */
bool slc_integrity_check(sqlite3 *db, const char *path, bool full, int64_t limit_ms,
                         slc_error *err) SLC_CHECKED;

/* ---- key_check.c ---- */
/* The catalog holds a sealed constant from its first start on, so that a lost or wrong key is noticed at once
 * and not when a gateway asks for a secret. Loads the key file and unseals it; `make` allows a new key for a
 * new catalog. Errors name the file and the fingerprint that is needed. */
bool slc_key_open(slc_conn *conn, slc_master_key *master, const char *key_path, bool make,
                  slc_error *err) SLC_CHECKED;
/* The fingerprint of the key that a catalog needs (SLC_FINGERPRINT_CHARS); "" in a new one. */
bool slc_key_needed(slc_conn *conn, char *out, slc_error *err) SLC_CHECKED;
/* Seals the constant under the first key. */
bool slc_key_write_check(slc_conn *conn, const slc_master_key *master, slc_error *err) SLC_CHECKED;

/* ---- rotate.c ---- */
/* Ends a rotation that was cut off: more keys than one are in the file. When it cannot (a full disk), the
 * catalog opens with all of them, and the log says so. */
void slc_rotation_finish(slc_catalog *catalog);

/* ---- revision.c ---- */
/* Moves revision, versions and audit numbers beyond all that was seen of a later state of the catalog (`seen`:
 * the highest revision known of it), so that nothing that was handed out is ever handed out again. Inside a
 * write transaction. */
int64_t slc_revision_believe(int64_t known,
                             int64_t reported); /* the higher one, unless what nodes report is absurd */
bool slc_revision_leap(slc_conn *conn, int64_t seen, int64_t *now_at, slc_error *err) SLC_CHECKED;
/* Does that when nodes report configurations that this catalog has not made: an old file was put in place by
 * hand, or its log was lost. */
bool slc_revision_check(slc_conn *conn, const char *db_path, slc_error *err) SLC_CHECKED;

#endif
