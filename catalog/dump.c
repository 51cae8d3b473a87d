/* The catalog as a declarative document. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalog/declare.h"
#include "catalog/entity.h"
#include "common/alloc.h"

#define DEFAULT_MANAGER "api"

/* Leaves what a document may have: no read-only fields, no secrets that are only said to be set. */
static void strip(const slc_field *fields, json_t *object)
{
    for (const slc_field *field = fields; field->name != NULL; field++) {
        json_t *value = json_object_get(object, field->name);
        bool sealed = (field->flags & SLC_F_SECRET) != 0 && json_object_get(value, "set") != NULL;
        if (value != NULL && ((field->flags & (SLC_F_READ_ONLY | SLC_F_COMPUTED)) != 0 || sealed))
            json_object_del(object, field->name);
        else if (field->type == SLC_F_OBJECT && value != NULL)
            strip(field->fields, value);
    }
}

json_t *slc_entity_declare(slc_txn *txn, const slc_kind *kind, const json_t *stored, slc_error *err)
{
    json_t *shown = slc_entity_show(txn, kind, stored, err);
    if (shown != NULL) {
        strip(slc_kind_common_fields(kind), shown);
        strip(kind->fields, shown);
    }
    return shown;
}

static bool dump_row(slc_txn *txn, const slc_kind *kind, sqlite3_stmt *stmt, const char *manager, json_t *list,
                     slc_error *err)
{
    json_t *stored = slc_row_read(kind, stmt);
    char owner[128];
    snprintf(owner, sizeof(owner), "%s", slc_get_text(stored, "manager"));
    bool skip = manager != NULL ? strcmp(owner, manager) != 0 : strcmp(owner, "system") == 0;
    json_t *shown = skip ? NULL : slc_entity_declare(txn, kind, stored, err);
    json_decref(stored);
    if (shown == NULL)
        return skip;
    if (manager == NULL && strcmp(owner, DEFAULT_MANAGER) != 0)
        json_object_set_new(shown, "manager", json_string(owner));
    json_array_append_new(list, shown);
    return true;
}

static bool dump_kind(slc_txn *txn, const slc_kind *kind, const char *manager, json_t *resources,
                      slc_error *err)
{
    char *sql = slc_asprintf("%s ORDER BY t.key", slc_row_select(kind));
    sqlite3_stmt *stmt = slc_txn_prepare(txn, sql, err);
    free(sql);
    int rc = stmt == NULL ? -1 : 1;
    json_t *list = json_array();
    while (rc == 1 && (rc = slc_txn_step(txn, stmt, err)) == 1)
        if (!dump_row(txn, kind, stmt, manager, list, err))
            rc = -1;
    slc_txn_finish(txn, stmt);
    if (rc == 0 && json_array_size(list) > 0)
        json_object_set(resources, kind->name, list);
    json_decref(list);
    return rc == 0;
}

json_t *slc_catalog_dump(slc_txn *txn, const char *manager, slc_error *err)
{
    json_t *resources = json_object();
    for (const slc_kind *const *kind = slc_kinds(); *kind != NULL; kind++) {
        if (((*kind)->flags & SLC_KIND_DECLARATIVE) != 0 && !dump_kind(txn, *kind, manager, resources, err)) {
            json_decref(resources);
            return NULL;
        }
    }
    return json_pack("{s:s, s:o}", "manager", manager != NULL ? manager : DEFAULT_MANAGER, "resources",
                     resources);
}
