#include "catalog/sealed.h"

#include <stdio.h>
#include <string.h>

const slc_sealed_column slc_sealed_columns[] = {
    {"SELECT 'catalog_meta/' || name, blob_value, name, '' FROM catalog_meta WHERE name = 'key_check'",
     "UPDATE catalog_meta SET blob_value = ?1 WHERE name = ?2 AND ?3 = ''",
     "DELETE FROM catalog_meta WHERE name = 'key_check'"},
    {"SELECT 'node_ca/' || id, sealed_key, id, '' FROM node_ca WHERE retired_at IS NULL",
     "UPDATE node_ca SET sealed_key = ?1 WHERE id = ?2 AND ?3 = ''", "DELETE FROM node_ca"},
    {"SELECT 'cursor_keys/' || event_api || '/' || key_id, sealed_key, event_api, CAST(key_id AS TEXT) FROM "
     "cursor_keys",
     "UPDATE cursor_keys SET sealed_key = ?1 WHERE event_api = ?2 AND key_id = CAST(?3 AS INTEGER)",
     "DELETE FROM cursor_keys"},
    {"SELECT 'idempotency_keys/' || actor || '/' || key, sealed_response, actor, key FROM idempotency_keys",
     "UPDATE idempotency_keys SET sealed_response = ?1 WHERE actor = ?2 AND key = ?3",
     "DELETE FROM idempotency_keys"},
    {"SELECT 'webhook_secrets/' || webhook || '/' || number, sealed_secret, webhook, CAST(number AS TEXT) FROM "
     "webhook_secrets",
     "UPDATE webhook_secrets SET sealed_secret = ?1 WHERE webhook = ?2 AND number = CAST(?3 AS INTEGER)",
     "DELETE FROM webhook_secrets"},
    {NULL, NULL, NULL},
};

struct walk {
    slc_txn *txn;
    const slc_kind *kind;
    json_t *entity;
    slc_sealed_fn fn;
    void *arg;
};

static bool visit(const struct walk *walk, const char *path, json_t *holder, const char *name, slc_error *err)
{
    char context[SLC_SECRET_CONTEXT_CHARS];
    const json_t *stored = json_object_get(holder, name);
    if (json_object_get(stored, "sealed") == NULL || slc_secret_is_forgotten(stored))
        return true;
    slc_secret_context(context, walk->kind, slc_get_text(walk->entity, "id"), path);
    return walk->fn(walk->txn, walk->entity, walk->kind, path, context, holder, name, walk->arg, err);
}

static bool walk_fields(const struct walk *walk, const slc_field *fields, const char *prefix, json_t *holder,
                        slc_error *err)
{
    for (const slc_field *field = fields; field->name != NULL; field++) {
        char path[100];
        snprintf(path, sizeof(path), "%s%s%s", prefix, *prefix != '\0' ? "." : "", field->name);
        json_t *value = json_object_get(holder, field->name);
        bool ok = true;
        if (field->type == SLC_F_OBJECT && value != NULL)
            ok = walk_fields(walk, field->fields, path, value, err);
        else if ((field->flags & SLC_F_SECRET) != 0)
            ok = visit(walk, path, holder, field->name, err);
        if (!ok)
            return false;
    }
    return true;
}

static bool has_secret(const slc_field *fields)
{
    for (const slc_field *field = fields; field->name != NULL; field++)
        if ((field->flags & SLC_F_SECRET) != 0 || (field->type == SLC_F_OBJECT && has_secret(field->fields)))
            return true;
    return false;
}

static bool walk_kind(slc_txn *txn, const slc_kind *kind, slc_sealed_fn fn, void *arg, slc_error *err)
{
    json_t *rows = json_array();
    sqlite3_stmt *stmt = slc_txn_prepare(txn, slc_row_select(kind), err);
    int rc = stmt == NULL ? -1 : 1;
    while (rc == 1 && (rc = slc_txn_step(txn, stmt, err)) == 1)
        json_array_append_new(rows, slc_row_read(kind, stmt));
    slc_txn_finish(txn, stmt);
    bool ok = rc == 0;
    size_t index;
    json_t *before;
    json_array_foreach (rows, index, before) {
        json_t *next = json_deep_copy(before);
        struct walk walk = {.txn = txn, .kind = kind, .entity = next, .fn = fn, .arg = arg};
        ok = ok && walk_fields(&walk, kind->fields, "", next, err) &&
             (json_equal(before, next) || slc_row_update(txn, kind, before, next, err));
        json_decref(next);
    }
    json_decref(rows);
    return ok;
}

bool slc_sealed_fields(slc_txn *txn, slc_sealed_fn fn, void *arg, slc_error *err)
{
    for (const slc_kind *const *kind = slc_kinds(); *kind != NULL; kind++)
        if (has_secret((*kind)->fields) && !walk_kind(txn, *kind, fn, arg, err))
            return false;
    return true;
}
