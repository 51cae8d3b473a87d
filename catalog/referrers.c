/* Who refers to an entity: every reference field of the table of kinds, also inside objects (whose references
 * have a generated column "<object>_<field>", or "<object>_<choice>" where a sibling tells the kind). */
#include <stdio.h>
#include <string.h>

#include "catalog/entity.h"

#define COLUMN_CHARS 80

/* A place that may refer to entities of `target`. */
struct place {
    const slc_kind *kind;
    const slc_field *field; /* the top-level one */
    bool link;              /* a link table instead of a column */
    char column[COLUMN_CHARS];
};

typedef bool (*place_fn)(slc_txn *txn, const struct place *place, const char *id, void *arg, slc_error *err);

static void choice_column(struct place *place, const slc_ref_choice *choice)
{
    snprintf(place->column, sizeof(place->column), "%s_%s", slc_field_column(place->field), choice->value);
    for (char *p = place->column; *p != '\0'; p++)
        if (*p == '-')
            *p = '_';
}

/* References inside an object. */
static bool each_inner(slc_txn *txn, struct place *place, const slc_kind *target, const char *id, place_fn fn,
                       void *arg, slc_error *err)
{
    for (const slc_field *inner = place->field->fields; inner->name != NULL; inner++) {
        if (inner->type != SLC_F_REF)
            continue;
        if (inner->ref != NULL && strcmp(inner->ref, target->name) == 0) {
            snprintf(place->column, sizeof(place->column), "%s_%s", slc_field_column(place->field),
                     inner->name);
            if (!fn(txn, place, id, arg, err))
                return false;
        }
        for (const slc_ref_choice *choice = inner->choices; choice != NULL && choice->value != NULL; choice++) {
            if (strcmp(choice->kind, target->name) != 0)
                continue;
            choice_column(place, choice);
            if (!fn(txn, place, id, arg, err))
                return false;
        }
    }
    return true;
}

static bool each_place(slc_txn *txn, const slc_kind *target, const char *id, place_fn fn, void *arg,
                       slc_error *err)
{
    for (const slc_kind *const *kind = slc_kinds(); *kind != NULL; kind++) {
        if (((*kind)->flags & SLC_KIND_LOG) != 0)
            continue; /* the schema deletes them with what they belong to */
        for (const slc_field *field = (*kind)->fields; field->name != NULL; field++) {
            struct place place = {.kind = *kind, .field = field, .link = field->type == SLC_F_REF_LIST};
            snprintf(place.column, sizeof(place.column), "%s", slc_field_column(field));
            bool ok = true;
            if (field->type == SLC_F_OBJECT)
                ok = each_inner(txn, &place, target, id, fn, arg, err);
            else if (field->ref != NULL && strcmp(field->ref, target->name) == 0)
                ok = fn(txn, &place, id, arg, err);
            if (!ok)
                return false;
        }
    }
    return true;
}

static sqlite3_stmt *find_at(slc_txn *txn, const struct place *place, const char *id, slc_error *err)
{
    char sql[400];
    if (place->link)
        snprintf(sql, sizeof(sql),
                 "SELECT t.id, t.key FROM \"%s_%s\" AS l JOIN \"%s\" AS t ON t.id = l.owner_id WHERE "
                 "l.target_id = ?1 "
                 "LIMIT 100",
                 place->kind->table, place->column, place->kind->table);
    else
        snprintf(sql, sizeof(sql), "SELECT id, key FROM \"%s\" WHERE \"%s\" = ?1 LIMIT 100", place->kind->table,
                 place->column);
    return slc_txn_query(txn, err, sql, "s", id);
}

static bool collect(slc_txn *txn, const struct place *place, const char *id, void *arg, slc_error *err)
{
    json_t *list = arg;
    if ((place->field->flags & SLC_F_OWNED) != 0)
        return true;
    sqlite3_stmt *stmt = find_at(txn, place, id, err);
    if (stmt == NULL)
        return false;
    int rc;
    while ((rc = slc_txn_step(txn, stmt, err)) == 1) {
        const char *referrer = slc_column_text(stmt, 0);
        /* Something that refers to itself does not stand in its own way. */
        if (json_array_size(list) < SLC_REFERRERS_MAX && strcmp(referrer, id) != 0)
            json_array_append_new(list,
                                  json_pack("{s:s, s:s, s:s, s:s}", "kind", place->kind->name, "id", referrer,
                                            "key", slc_column_text(stmt, 1), "field", place->field->name));
    }
    slc_txn_finish(txn, stmt);
    return rc == 0;
}

json_t *slc_referrers(slc_txn *txn, const slc_kind *kind, const char *id, slc_error *err)
{
    json_t *list = json_array();
    if (!each_place(txn, kind, id, collect, list, err)) {
        json_decref(list);
        return NULL;
    }
    return list;
}

static bool collect_lasting(slc_txn *txn, const struct place *place, const char *id, void *arg, slc_error *err)
{
    json_t *list = arg;
    if ((place->kind->flags & SLC_KIND_ROLLBACK) != 0)
        return true;
    sqlite3_stmt *stmt = find_at(txn, place, id, err);
    if (stmt == NULL)
        return false;
    int rc;
    while ((rc = slc_txn_step(txn, stmt, err)) == 1)
        if (json_array_size(list) < SLC_REFERRERS_MAX)
            json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s}", "kind", place->kind->name, "id",
                                                  slc_column_text(stmt, 0), "key", slc_column_text(stmt, 1),
                                                  "field", place->field->name));
    slc_txn_finish(txn, stmt);
    return rc == 0;
}

bool slc_lasting_referrers(slc_txn *txn, const slc_kind *kind, const char *id, json_t *list, slc_error *err)
{
    size_t from = json_array_size(list);
    char key[SLC_KEY_CHARS];
    if (!each_place(txn, kind, id, collect_lasting, list, err))
        return false;
    slc_key_of(txn, kind->name, id, key);
    for (; from < json_array_size(list); from++)
        json_object_set_new(json_array_get(list, from), "refers_to", json_sprintf("%s/%s", kind->name, key));
    return true;
}

static bool delete_at(slc_txn *txn, const struct place *place, const char *id, void *arg, slc_error *err)
{
    (void)arg;
    if ((place->field->flags & SLC_F_OWNED) == 0)
        return true;
    for (;;) {
        sqlite3_stmt *stmt = find_at(txn, place, id, err);
        int rc = stmt == NULL ? -1 : slc_txn_step(txn, stmt, err);
        char owned[SLC_ID_CHARS + 1];
        if (rc == 1)
            snprintf(owned, sizeof(owned), "%s", slc_column_text(stmt, 0));
        slc_txn_finish(txn, stmt);
        if (rc != 1)
            return rc == 0;
        json_t *stored = slc_entity_load(txn, place->kind, owned, err);
        bool ok = stored != NULL && slc_entity_remove(txn, place->kind, stored, err);
        json_decref(stored);
        if (!ok)
            return false;
    }
}

bool slc_delete_owned(slc_txn *txn, const slc_kind *kind, const char *id, slc_error *err)
{
    return each_place(txn, kind, id, delete_at, NULL, err);
}
