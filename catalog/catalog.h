/* The catalog: entities, their rules, and the SQLite store that holds them. No sockets.
 *
 * Entities are described by one table (kind.h): fields, types, references, what is unique, immutable or secret.
 * Storage, validation, JSON in and out, referrers, dumps and the OpenAPI schemas follow from it; rules that a
 * table cannot say are one function per kind.
 *
 * Threads: a catalog owns one writer connection and a few reader connections. slc_catalog_write and
 * slc_catalog_read run a function inside a transaction on the catalog's own threads and then hand the result
 * back on the caller's loop; the functions below that take a slc_txn are for inside such a function.
 */
#ifndef SLC_CATALOG_CATALOG_H
#define SLC_CATALOG_CATALOG_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "catalog/kind.h"
#include "common/error.h"
#include "common/loop.h"

typedef struct slc_catalog slc_catalog;
typedef struct slc_txn slc_txn;

typedef struct slc_catalog_options {
    const char *data_dir;        /* catalog.db, usage.db and the master key live here */
    const char *migrations_dir;  /* NULL: those compiled into the program */
    const char *master_key_file; /* NULL: data_dir/master.key, made on first start (mode 0600) */
    int64_t busy_timeout_ms;     /* 0: 5 seconds */
    unsigned readers;            /* threads; 0: 2 */
    unsigned queue_limit;        /* transactions that may wait for each kind of thread; 0: 1,000 */
    int64_t node_lost_after_ms;  /* a node unheard of for so long is "lost"; 0: 30 seconds */
    bool full_check;             /* on opening check everything, however long it takes */
    int64_t check_limit_ms;      /* otherwise: how long the quick check may take; 0: 5 seconds */
    const char *backup_dir;      /* NULL: data_dir/backups */
    unsigned backup_keep;        /* 0: 7 */
    bool no_upgrade_backup;      /* migrate an older catalog without a backup before it */
    /* Can gateways use the definition of an event API's schema, in this language? NULL: it need only be JSON.
     */
    bool (*check_definition)(const char *format, const char *text, size_t len, slc_error *err);
    int64_t document_bytes; /* of the OpenAPI document of a REST API; 0: 1 MiB */
} slc_catalog_options;

/* Opens or creates, checks integrity, makes a backup before it migrates an older schema, ends a master key
 * rotation that was cut off. Errors say what to do (damaged file, newer schema, lost key). A damaged usage.db
 * is moved aside and made anew. */
slc_catalog *slc_catalog_open(const slc_catalog_options *options, slc_error *err) SLC_CHECKED;
/* Waits for queued work. */
void slc_catalog_close(slc_catalog *catalog);

/* ---- work ---- */
/* Who asks: goes to the audit row. All strings are copied when the work is queued. */
typedef struct slc_actor {
    const char *kind; /* "token", "user", "node", "system" */
    const char *id;
    const char *name;
    const char *request_id;
    const char *manager; /* who owns what is created; NULL: "api" */
    /* Whose rights bound what may be touched and given away: borrowed until the work is done, and may be filled
     * by it. NULL: the control plane itself, which nothing bounds. */
    const struct slc_identity *identity;
} slc_actor;

/* Runs on a catalog thread. Writes are one BEGIN IMMEDIATE transaction that commits when it returns true and
 * rolls back when it returns false (with err filled). */
typedef bool (*slc_txn_fn)(slc_txn *txn, void *arg, slc_error *err);
/* Runs on `loop` afterwards (on the catalog's thread when `loop` is NULL). `ok` false: `err` says why (also
 * when the commit failed: SLC_NO_SPACE on a full disk). */
typedef void (*slc_txn_done)(void *arg, bool ok, const slc_error *err);

/* When as many transactions wait as may (queue_limit), `fn` is not called and `done` gets SLC_UNAVAILABLE: on
 * the loop, or without one before this returns. The actor kind "system" is the control plane itself, which
 * bounds its own work: its writes are never refused. */
void slc_catalog_write(slc_catalog *catalog, slc_loop *loop, const slc_actor *actor, slc_txn_fn fn,
                       slc_txn_done done, void *arg);
void slc_catalog_read(slc_catalog *catalog, slc_loop *loop, slc_txn_fn fn, slc_txn_done done, void *arg);
/* The same for the control plane's own reads, which bound themselves: never refused. */
void slc_catalog_read_own(slc_catalog *catalog, slc_loop *loop, slc_txn_fn fn, slc_txn_done done, void *arg);
/* A transaction on usage.db, for the slc_usage_... functions of nodes.h: never waits for the catalog's writer.
 */
void slc_catalog_usage(slc_catalog *catalog, slc_loop *loop, slc_txn_fn fn, slc_txn_done done, void *arg);
/* Work that may wait for long and is no transaction (copies, files), on threads of its own. Bounded as the
 * others are, unless there is no loop. */
typedef bool (*slc_task_fn)(slc_catalog *catalog, void *arg, slc_error *err);
void slc_catalog_task(slc_catalog *catalog, slc_loop *loop, slc_task_fn fn, slc_txn_done done, void *arg);
/* The same on the calling thread, for start-up, tools and tests. */
bool slc_catalog_write_sync(slc_catalog *catalog, const slc_actor *actor, slc_txn_fn fn, void *arg,
                            slc_error *err) SLC_CHECKED;
bool slc_catalog_read_sync(slc_catalog *catalog, slc_txn_fn fn, void *arg, slc_error *err) SLC_CHECKED;
bool slc_catalog_usage_sync(slc_catalog *catalog, slc_txn_fn fn, void *arg, slc_error *err) SLC_CHECKED;

/* Called on a catalog thread after a commit that changed the catalog (not after heartbeats): the new revision.
 */
void slc_catalog_on_commit(slc_catalog *catalog, void (*fn)(void *arg, uint64_t revision), void *arg);
uint64_t slc_catalog_revision(slc_txn *txn);

/* ---- its state ---- */
typedef struct slc_catalog_status {
    /* SQLite found catalog.db damaged: writes are refused; the log has the file, its backups and the command.
     */
    bool damaged;
    unsigned waiting[3];    /* transactions in the queues: writes, reads, usage */
    const char *data_dir;   /* borrowed of the catalog */
    int64_t last_backup_ms; /* when the newest backup was made; 0: there is none */
} slc_catalog_status;
/* Any thread. */
void slc_catalog_get_status(slc_catalog *catalog, slc_catalog_status *status);

/* ---- entities, inside a transaction ---- */
/* All JSON objects are borrowed in, new out. `key` is an id or a natural key. Errors carry a JSON pointer to
 * the field. */
json_t *slc_entity_create(slc_txn *txn, const slc_kind *kind, const json_t *body, slc_error *err) SLC_CHECKED;
json_t *slc_entity_get(slc_txn *txn, const slc_kind *kind, const char *key, slc_error *err) SLC_CHECKED;
/* `if_match`: the revision the caller saw, or -1 for none (then SLC_STALE unless nothing would change).
 * `patch`: JSON merge patch (RFC 7396) instead of a full replacement. An absent secret keeps its value. */
json_t *slc_entity_update(slc_txn *txn, const slc_kind *kind, const char *key, const json_t *body, bool patch,
                          int64_t if_match, slc_error *err) SLC_CHECKED;
/* SLC_CONFLICT with `*referrers` (new array of {kind, key}) when something refers to it. */
bool slc_entity_delete(slc_txn *txn, const slc_kind *kind, const char *key, int64_t if_match,
                       json_t **referrers, slc_error *err) SLC_CHECKED;
/* An action such as "approve" on a subscription: see slc_kind.actions. `body` may be NULL. */
json_t *slc_entity_act(slc_txn *txn, const slc_kind *kind, const char *key, const char *action,
                       const json_t *body, slc_error *err) SLC_CHECKED;

typedef struct slc_list_query {
    int limit;             /* 1..1000; 0: 100 */
    const char *cursor;    /* from the last page's `next`; NULL: the start */
    const json_t *filters; /* {field: value}; only filterable fields */
    /* Of a kind that is not visible to all who may read it: to whom; NULL: to who sees everything. */
    const struct slc_identity *viewer;
} slc_list_query;
/* {items: [...], next: string or null}; items without what is bulky */
json_t *slc_entity_list(slc_txn *txn, const slc_kind *kind, const slc_list_query *query,
                        slc_error *err) SLC_CHECKED;

/* May they know of it, in as far as they may read the kind at all? Else SLC_NOT_FOUND, as if it were not there.
 */
bool slc_entity_visible(slc_txn *txn, const slc_kind *kind, const char *key, const struct slc_identity *viewer,
                        slc_error *err) SLC_CHECKED;

/* ---- the passing of time ---- */
/* Marks the subscriptions that have run out (gateways refuse them without it). `*next_ms` (may be NULL): when
 * the next one does, 0 when none will. */
bool slc_catalog_expire(slc_txn *txn, int64_t *next_ms, slc_error *err) SLC_CHECKED;
/* When the next subscription runs out, or has run out and is not marked yet; 0: none does. One look-up. */
bool slc_catalog_next_expiry(slc_txn *txn, int64_t *next_ms, slc_error *err) SLC_CHECKED;

#endif
