/* SQL inside a transaction, for the parts that iterate over rows themselves: the snapshot compiler, dumps,
 * rules.
 *
 * The schema is migrations/NNNN_*.sql: one STRICT table per kind (slc_kind.table) with the columns
 *   id, key, revision, manager, labels, created_at, updated_at
 * and one per field (slc_field.column, else its name) in its stored form (kind.h): references are ids, times
 * and durations are milliseconds, booleans 0 or 1, lists and objects JSON text. A list of references is the
 * table "<table>_<field>" (owner_id, target_id, position). A secret is {"sealed": base64}, {"file": path} or
 * {"env": name}: as the column's JSON text, or inside an object's.
 */
#ifndef SLC_CATALOG_READ_H
#define SLC_CATALOG_READ_H

#include <sqlite3.h>

#include "catalog/catalog.h"

/* A statement of the connection's cache, reset and without bindings; NULL on error. It is the caller's until
 * slc_txn_finish, which every path must reach; the end of the transaction takes back what was forgotten. */
sqlite3_stmt *slc_txn_prepare(slc_txn *txn, const char *sql, slc_error *err) SLC_CHECKED;
void slc_txn_finish(slc_txn *txn, sqlite3_stmt *stmt); /* NULL is fine */
/* 1: a row; 0: no more; -1: error, in the terms of slc_error (SLC_NO_SPACE, SLC_CORRUPT, ...). */
int slc_txn_step(slc_txn *txn, sqlite3_stmt *stmt, slc_error *err) SLC_CHECKED;

/* Prepares and binds. `types` has a letter for each parameter: s (const char *, NULL binds NULL), i (int64_t),
 * b (const void *, size_t). Values are copied. */
sqlite3_stmt *slc_txn_query(slc_txn *txn, slc_error *err, const char *sql, const char *types, ...) SLC_CHECKED;
/* The same for a statement without rows; `slc_txn_changes` then tells how many it changed. */
bool slc_txn_exec(slc_txn *txn, slc_error *err, const char *sql, const char *types, ...) SLC_CHECKED;
int slc_txn_changes(slc_txn *txn);

/* A text column, or NULL; valid until the next step. */
const char *slc_column_text(sqlite3_stmt *stmt, int column);
/* A JSON column parsed: new, NULL for SQL NULL. What the catalog wrote always parses. */
json_t *slc_column_json(sqlite3_stmt *stmt, int column);

/* The same as stored form, every column of the kind as {field: value} plus the common ones: new; NULL with
 * SLC_NOT_FOUND. */
json_t *slc_entity_load(slc_txn *txn, const slc_kind *kind, const char *key, slc_error *err) SLC_CHECKED;

/* ---- secrets ---- */
enum slc_secret_source { SLC_SECRET_NONE, SLC_SECRET_VALUE, SLC_SECRET_FILE, SLC_SECRET_ENV };
/* Opens a stored secret: `path` is the field's, dotted ("authentication.password"); `stored` the JSON value
 * (borrowed, may be NULL or null). `*text` is the plain value, path or variable name; the caller frees it with
 * slc_free_secret
 * (`len` + 1 bytes). False with SLC_CORRUPT when it cannot be unsealed. */
bool slc_secret_open(slc_txn *txn, const slc_kind *kind, const char *id, const char *path, const json_t *stored,
                     enum slc_secret_source *source, char **text, size_t *len, slc_error *err) SLC_CHECKED;

/* Sealing under the master key for the catalog's other tables (node_ca, cursor_keys, idempotency_keys):
 * `context` binds the value to its place ("node_ca/<id>"). New memory. */
uint8_t *slc_txn_seal(slc_txn *txn, const char *context, const void *data, size_t len, size_t *sealed_len);
uint8_t *slc_txn_unseal(slc_txn *txn, const char *context, const void *sealed, size_t sealed_len, size_t *len,
                        slc_error *err) SLC_CHECKED;

/* ---- the transaction ---- */
slc_catalog *slc_txn_catalog(slc_txn *txn);
const slc_actor *slc_txn_actor(slc_txn *txn);
int64_t slc_txn_now_ms(slc_txn *txn); /* wall clock, the same for the whole transaction */
/* The revision that this transaction's changes carry; the first call of a write bumps it. */
bool slc_txn_bump(slc_txn *txn, uint64_t *revision, slc_error *err) SLC_CHECKED;
/* An audit row for what is no entity ("node-ca"); after slc_txn_bump when the catalog changes with it. */
bool slc_audit_note(slc_txn *txn, const char *action, const char *kind, const char *id,
                    slc_error *err) SLC_CHECKED;
/* All fields that the last validation found wrong: borrowed array of {pointer, detail}; the first is also in
 * its err. NULL when there were none. Lives as long as the transaction. */
const json_t *slc_txn_problems(slc_txn *txn);

#endif
