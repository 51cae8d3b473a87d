/* The inside of a catalog and of a transaction. Private to catalog/. */
#ifndef SLC_CATALOG_STORE_H
#define SLC_CATALOG_STORE_H

#include <pthread.h>
#include <stdatomic.h>

#include "catalog/conn.h"
#include "catalog/master_key.h"
#include "catalog/read.h"

enum slc_lane_id { SLC_LANE_WRITE, SLC_LANE_READ, SLC_LANE_USAGE, SLC_LANES };

struct slc_job;

/* A queue and the threads that empty it. */
typedef struct slc_lane {
    slc_catalog *catalog;
    enum slc_lane_id id;
    pthread_mutex_t lock; /* guards the queue and `stopping` */
    pthread_cond_t wake;
    struct slc_job *head, *tail;
    bool stopping;
    unsigned thread_count;
    struct slc_lane_thread {
        struct slc_lane *lane;
        slc_conn *conn;
        pthread_mutex_t use; /* whoever runs a transaction on conn: the thread, or a _sync caller */
        pthread_t thread;
        bool started;
    } * threads;
} slc_lane;

struct slc_catalog {
    unsigned magic;
    int lock_fd; /* held while the catalog is open */
    char *db_path, *usage_path, *key_path;
    slc_master_key master; /* replaced under key_lock by a rotation */
    pthread_rwlock_t key_lock;
    int64_t node_lost_after_ms;
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
    bool restoring;    /* a rollback is under way: what only moves forward may go back */
    json_t *problems;  /* array, or NULL */
};

/* Starts the threads; their connections are open already. */
bool slc_lanes_start(slc_catalog *catalog, slc_error *err) SLC_CHECKED;
/* Runs what is queued, then joins the threads. Also after a start that failed half-way. */
void slc_lanes_stop(slc_catalog *catalog);

/* One transaction on the connection. */
bool slc_txn_run(slc_catalog *catalog, slc_conn *conn, enum slc_lane_id lane, const slc_actor *actor,
                 slc_txn_fn fn, void *arg, slc_error *err) SLC_CHECKED;

/* Notes a problem with a field (all of them are shown to the caller) and fills err if it is the first. */
bool slc_txn_problem(slc_txn *txn, const char *pointer, slc_error *err, const char *fmt, ...) SLC_PRINTF(4, 5);
void slc_txn_clear_problems(slc_txn *txn);

#endif
