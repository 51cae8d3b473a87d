/* A SQLite connection as the catalog uses it: its pragmas, a cache of statements, and errors in our terms.
 * Private to catalog/. Used by one thread at a time. */
#ifndef SLC_CATALOG_CONN_H
#define SLC_CATALOG_CONN_H

#include <sqlite3.h>
#include <stdint.h>

#include "common/error.h"

typedef struct slc_conn slc_conn;

typedef struct slc_conn_options {
    const char *path;
    const char *attach_usage; /* NULL, or the path of usage.db: attached as "usage", to be read only */
    int64_t busy_timeout_ms;
    bool read_only;
    bool fsync_every_commit; /* synchronous=FULL; otherwise NORMAL */
} slc_conn_options;

slc_conn *slc_conn_open(const slc_conn_options *options, slc_error *err) SLC_CHECKED;
void slc_conn_free(slc_conn *conn); /* NULL is fine */
sqlite3 *slc_conn_db(slc_conn *conn);

/* See slc_txn_prepare and slc_txn_finish in read.h. */
sqlite3_stmt *slc_conn_prepare(slc_conn *conn, const char *sql, slc_error *err) SLC_CHECKED;
void slc_conn_finish(slc_conn *conn, sqlite3_stmt *stmt);
/* Takes back every statement. */
void slc_conn_finish_all(slc_conn *conn);
/* Runs SQL without rows or parameters. */
bool slc_conn_run(slc_conn *conn, const char *sql, slc_error *err) SLC_CHECKED;

/* Fills err for a SQLite result code; returns false. */
bool slc_sqlite_fail(sqlite3 *db, int rc, slc_error *err);
/* Did SQLite report damage on this thread since the last call? An error of the code SLC_CORRUPT may also be a
 * value that cannot be unsealed, in a file that is sound. */
bool slc_sqlite_saw_damage(void);

#endif
