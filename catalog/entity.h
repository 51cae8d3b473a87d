/* The steps that entity operations are made of. Private to catalog/; all run inside a transaction. */
#ifndef SLC_CATALOG_ENTITY_H
#define SLC_CATALOG_ENTITY_H

#include "catalog/read.h"
#include "catalog/rules.h"

#define SLC_ID_CHARS      16
#define SLC_POINTER_CHARS 160

/* ---- entity_in.c: JSON form to stored form ---- */
enum slc_body_mode {
    SLC_BODY_CREATE,
    SLC_BODY_REPLACE, /* an absent secret keeps its value */
    SLC_BODY_PATCHED, /* the result of a merge: what is absent was taken away */
    SLC_BODY_RESTORE, /* as REPLACE, and what is fixed after creation may change: a rollback */
};

/* Validates every field and returns the stored form (new), or NULL with err and the transaction's problems
 * filled. Read-only and hidden fields come from `before` (NULL at creation). Write-only ones go to `*args` (new
 * object). */
json_t *slc_body_read(slc_txn *txn, const slc_kind *kind, const char *id, const json_t *body,
                      const json_t *before, enum slc_body_mode mode, json_t **args, slc_error *err) SLC_CHECKED;
/* An action's body against its fields: true when it is fine. */
bool slc_body_check(slc_txn *txn, const slc_field *fields, const json_t *body, slc_error *err) SLC_CHECKED;
/* A body that is no entity's, against its fields: its stored form (new), or NULL. */
json_t *slc_body_take(slc_txn *txn, const slc_field *fields, const json_t *body, slc_error *err) SLC_CHECKED;
/* RFC 7396 on the JSON form; secrets are replaced as a whole. Returns a new value. */
json_t *slc_body_merge(const slc_kind *kind, const json_t *target, const json_t *patch);

/* A secret's new stored value (new), NULL for none; *ok false with the problem noted when the value is wrong.
 */
json_t *slc_secret_read(slc_txn *txn, const char *context, const slc_field *field, const json_t *value,
                        const json_t *before, const char *pointer, bool *ok, slc_error *err);
/* "kind/id/path": what a sealed value is bound to. */
#define SLC_SECRET_CONTEXT_CHARS 200
void slc_secret_context(char out[SLC_SECRET_CONTEXT_CHARS], const slc_kind *kind, const char *id,
                        const char *path);
/* What a secret looks like from outside: new. */
json_t *slc_secret_show(const json_t *stored);

/* Length, control characters and format; notes a problem. */
bool slc_text_check(slc_txn *txn, const slc_field *field, const char *text, const char *pointer,
                    slc_error *err) SLC_CHECKED;

/* ---- entity_out.c ---- */
/* Stored form to JSON form: new; NULL with err. */
json_t *slc_entity_show(slc_txn *txn, const slc_kind *kind, const json_t *stored, slc_error *err) SLC_CHECKED;

/* ---- dump.c ---- */
/* Stored form to what a declarative document has: no read-only or computed fields, no sealed secrets. New; NULL
 * with err. */
json_t *slc_entity_declare(slc_txn *txn, const slc_kind *kind, const json_t *stored,
                           slc_error *err) SLC_CHECKED;

/* ---- entity_row.c ---- */
/* The id of an id or key: 1 found, 0 not, -1 error. */
int slc_row_resolve(slc_txn *txn, const slc_kind *kind, const char *id_or_key, char id[SLC_ID_CHARS + 1],
                    slc_error *err) SLC_CHECKED;
/* The stored form in the current row of a statement over slc_row_columns. */
json_t *slc_row_read(const slc_kind *kind, sqlite3_stmt *stmt);
/* "SELECT <columns> FROM <table> AS t"; lives as long as the process. The key is the last column. */
const char *slc_row_select(const slc_kind *kind);
/* The same without what is bulky. */
const char *slc_row_select_brief(const slc_kind *kind);
/* The number of columns of slc_row_select. */
int slc_row_width(const slc_kind *kind);
bool slc_row_insert(slc_txn *txn, const slc_kind *kind, const char *key, const json_t *stored,
                    slc_error *err) SLC_CHECKED;
bool slc_row_update(slc_txn *txn, const slc_kind *kind, const json_t *before, const json_t *stored,
                    slc_error *err) SLC_CHECKED;
bool slc_row_delete(slc_txn *txn, const slc_kind *kind, const char *id, slc_error *err) SLC_CHECKED;
/* The column of a field: new text. `prefix` is the object's column, or NULL. */
bool slc_field_stored(const slc_field *field); /* has it a column of its own? */
const char *slc_field_column(const slc_field *field);

/* ---- referrers.c ---- */
#define SLC_REFERRERS_MAX 100
/* New array of {kind, id, key, field}, at most SLC_REFERRERS_MAX; NULL on error. Owned entities are not listed.
 */
json_t *slc_referrers(slc_txn *txn, const slc_kind *kind, const char *id, slc_error *err) SLC_CHECKED;
/* Appends to `list` those of kinds that never roll back, owned ones too, each with `refers_to`. */
bool slc_lasting_referrers(slc_txn *txn, const slc_kind *kind, const char *id, json_t *list,
                           slc_error *err) SLC_CHECKED;
/* Deletes what the entity owns, and what that owns. */
bool slc_delete_owned(slc_txn *txn, const slc_kind *kind, const char *id, slc_error *err) SLC_CHECKED;

/* ---- audit.c ---- */
/* {field: {from, to}} of what differs: new, empty when nothing does. Secrets are only said to have changed. */
json_t *slc_changes(slc_txn *txn, const slc_kind *kind, const json_t *before, const json_t *next,
                    slc_error *err) SLC_CHECKED;
/* `changes` is borrowed and may be NULL. */
bool slc_audit(slc_txn *txn, const char *action, const char *kind, const char *id, const char *key,
               const json_t *changes, slc_error *err) SLC_CHECKED;

/* ---- entity.c ---- */
/* slc_entity_create with an id of the caller's (NULL: any) that returns the stored form (new) and in `*changes`
 * (new) what its audit row has. What only the answer to a creation shows is lost. */
json_t *slc_entity_make(slc_txn *txn, const slc_kind *kind, const char *id, const json_t *body,
                        json_t **changes, slc_error *err) SLC_CHECKED;
/* Would slc_entity_save have nothing to write? Rules may adjust `next`, as they do there; problems that they
 * note are the transaction's. */
bool slc_entity_unchanged(slc_txn *txn, const slc_kind *kind, const json_t *before, json_t *next);
/* Writes `next` over `before` when they differ, with rules and audit. `*changes` (may be NULL) is new. */
bool slc_entity_save(slc_txn *txn, const slc_kind *kind, const char *action, const json_t *before, json_t *next,
                     json_t **changes, slc_error *err) SLC_CHECKED;
/* The kind's rule `settled` of an entity that was written while it was put off (slc_txn.unsettled). */
bool slc_entity_settle(slc_txn *txn, const slc_kind *kind, const char *id, slc_error *err) SLC_CHECKED;
bool slc_entity_remove(slc_txn *txn, const slc_kind *kind, const json_t *stored, slc_error *err) SLC_CHECKED;

#endif
