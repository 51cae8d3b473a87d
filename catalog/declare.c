#include "catalog/declare.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalog/entity.h"
#include "catalog/store.h"
#include "common/alloc.h"
#include "common/json.h"

#define KEY_CHARS 1024

struct apply {
    slc_txn *txn;
    const slc_declare_options *options;
    const char *manager;
    json_t *wanted;  /* {kind: {declared key: index}} */
    json_t *changes; /* what was done */
    slc_error *err;
};

/* ---- which object is meant ---- */

/* A reference as its key, whether the document has the key or the id; what does not exist yet stays as it is.
 */
static void ref_key(slc_txn *txn, const char *kind_name, const char *text, char out[SLC_KEY_CHARS])
{
    char id[SLC_ID_CHARS + 1];
    if (slc_row_resolve(txn, slc_kind_find(kind_name), text, id, NULL) == 1)
        slc_key_of(txn, kind_name, id, out);
    else
        snprintf(out, SLC_KEY_CHARS, "%.150s", text);
}

/* The value of a field that is part of the key; false when it is missing: validation will say so. */
static bool key_part(slc_txn *txn, const slc_kind *kind, const json_t *body, const char *name,
                     char out[SLC_KEY_CHARS])
{
    const slc_field *field = slc_field_find(kind->fields, name);
    const json_t *value = json_object_get(body, name);
    if (json_is_integer(value))
        snprintf(out, SLC_KEY_CHARS, "%lld", (long long)json_integer_value(value));
    else if (!json_is_string(value))
        return false;
    else if (field->type == SLC_F_REF)
        ref_key(txn, field->ref, json_string_value(value), out);
    else
        snprintf(out, SLC_KEY_CHARS, "%.150s", json_string_value(value));
    return true;
}

static bool identity_key(slc_txn *txn, const slc_kind *kind, const json_t *body, char out[KEY_CHARS])
{
    size_t len = 0;
    for (const char *const *name = kind->identity; *name != NULL; name++) {
        char part[SLC_KEY_CHARS];
        if (!key_part(txn, kind, body, *name, part))
            return false;
        len += (size_t)snprintf(out + len, KEY_CHARS - len, "%s%s", len == 0 ? "" : " ", part);
    }
    return true;
}

/* The key that the object has or will have (kinds without one: their identity), from its JSON form. */
static bool declared_key(slc_txn *txn, const slc_kind *kind, const json_t *body, char out[KEY_CHARS])
{
    static const struct {
        const char *first, *separator, *second;
    } parts[] = {
        [SLC_KEY_NAME] = {"name", "", NULL},
        [SLC_KEY_EVENT_API] = {"name", ".v", "major"},
        [SLC_KEY_PLAN] = {"product", ".", "name"},
        [SLC_KEY_DEPLOYMENT] = {"event_api", "@", "gateway_group"},
    };
    if (kind->key == SLC_KEY_ID)
        return identity_key(txn, kind, body, out);
    char first[SLC_KEY_CHARS], second[SLC_KEY_CHARS] = "";
    if (!key_part(txn, kind, body, parts[kind->key].first, first))
        return false;
    if (parts[kind->key].second != NULL && !key_part(txn, kind, body, parts[kind->key].second, second))
        return false;
    snprintf(out, KEY_CHARS, "%s%s%s", first, parts[kind->key].separator, second);
    return true;
}

/* Kinds without a key have no index for their identity: the rows of what the identity's first reference leads
 * to are few, so they are compared one by one. */
static int find_by_identity(struct apply *a, const slc_kind *kind, const char *key, char id[SLC_ID_CHARS + 1])
{
    sqlite3_stmt *stmt = slc_txn_prepare(a->txn, slc_row_select(kind), a->err);
    int rc = stmt == NULL ? -1 : 1;
    bool found = false;
    while (!found && rc == 1 && (rc = slc_txn_step(a->txn, stmt, a->err)) == 1) {
        json_t *stored = slc_row_read(kind, stmt);
        char other[KEY_CHARS];
        found = identity_key(a->txn, kind, stored, other) && strcmp(key, other) == 0;
        if (found)
            snprintf(id, SLC_ID_CHARS + 1, "%s", slc_get_text(stored, "id"));
        json_decref(stored);
    }
    slc_txn_finish(a->txn, stmt);
    return found ? 1 : rc;
}

static int find_existing(struct apply *a, const slc_kind *kind, const char *key, char id[SLC_ID_CHARS + 1])
{
    if (kind->key == SLC_KEY_ID)
        return find_by_identity(a, kind, key, id);
    return slc_row_resolve(a->txn, kind, key, id, a->err);
}

/* ---- the document ---- */

static bool check_kind(const char *name, const json_t *list, slc_error *err)
{
    char pointer[SLC_POINTER_CHARS] = "/resources";
    slc_json_pointer_push(pointer, sizeof(pointer), name);
    const slc_kind *kind = slc_kind_find(name);
    if (kind == NULL)
        return slc_fail(err, SLC_INVALID, pointer, "there is no kind %.60s", name);
    if ((kind->flags & SLC_KIND_DECLARATIVE) == 0)
        return slc_fail(err, SLC_INVALID, pointer, "%s cannot be declared", kind->name);
    if (!json_is_array(list))
        return slc_fail(err, SLC_INVALID, pointer, "must be a list");
    return true;
}

static bool check_document(const json_t *document, slc_error *err)
{
    static const slc_field manager_field = {.name = "manager", .type = SLC_F_STRING, .format = SLC_FMT_NAME};
    const char *name;
    json_t *value;
    if (!json_is_object(document))
        return slc_fail(err, SLC_INVALID, "", "must be an object with manager and resources");
    json_object_foreach ((json_t *)document, name, value) {
        if (strcmp(name, "manager") != 0 && strcmp(name, "base_revision") != 0 &&
            strcmp(name, "resources") != 0) {
            char pointer[SLC_POINTER_CHARS] = "";
            slc_json_pointer_push(pointer, sizeof(pointer), name);
            return slc_fail(err, SLC_INVALID, pointer, "is not a field of this object");
        }
    }
    const char *manager = slc_get_text(document, "manager");
    if (manager == NULL || !slc_format_get(manager_field.format)->check(manager, strlen(manager)))
        return slc_fail(err, SLC_INVALID, "/manager", "must be %s", slc_format_get(manager_field.format)->name);
    if (strcmp(manager, "system") == 0)
        return slc_fail(err, SLC_INVALID, "/manager", "system is the program itself");
    const json_t *base = json_object_get(document, "base_revision");
    if (base != NULL && !json_is_integer(base))
        return slc_fail(err, SLC_INVALID, "/base_revision", "must be an integer");
    const json_t *resources = json_object_get(document, "resources");
    if (!json_is_object(resources))
        return slc_fail(err, SLC_INVALID, "/resources", "must be an object of lists by kind");
    json_object_foreach ((json_t *)resources, name, value) {
        if (!check_kind(name, value, err))
            return false;
    }
    return true;
}

static bool note_wanted(struct apply *a, const slc_kind *kind, const json_t *list)
{
    json_t *keys = json_object();
    json_object_set_new(a->wanted, kind->name, keys);
    size_t index;
    json_t *body;
    json_array_foreach (list, index, body) {
        char key[KEY_CHARS], pointer[SLC_POINTER_CHARS];
        if (!declared_key(a->txn, kind, body, key))
            continue;
        snprintf(pointer, sizeof(pointer), "/resources/%s/%zu", kind->name, index);
        if (json_object_get(keys, key) != NULL)
            return slc_fail(a->err, SLC_INVALID, pointer, "%s %.100s is in the document twice", kind->singular,
                            key);
        json_object_set_new(keys, key, json_integer((json_int_t)index));
    }
    return true;
}

/* ---- one object ---- */

static void note_change(struct apply *a, const char *action, const slc_kind *kind, const char *key,
                        json_t *changes)
{
    json_array_append_new(a->changes, json_pack("{s:s, s:s, s:s, s:o}", "action", action, "kind", kind->name,
                                                "key", key, "changes", changes));
}

static bool create(struct apply *a, const slc_kind *kind, const char *key, const json_t *body)
{
    json_t *made = slc_entity_create(a->txn, kind, body, a->err);
    if (made == NULL)
        return false;
    json_t *stored = slc_entity_load(a->txn, kind, slc_get_text(made, "id"), a->err);
    json_t *changes = stored == NULL ? NULL : slc_changes(a->txn, kind, NULL, stored, a->err);
    json_decref(stored);
    json_decref(made);
    if (changes == NULL)
        return false;
    note_change(a, "create", kind, key, changes);
    return true;
}

static bool update(struct apply *a, const slc_kind *kind, const char *key, const json_t *before,
                   const json_t *body)
{
    const char *owner = slc_get_text(before, "manager");
    bool foreign = strcmp(owner, a->manager) != 0;
    if (foreign && (!a->options->adopt || strcmp(owner, "system") == 0))
        return slc_fail(a->err, SLC_CONFLICT, "", "the %s %s belongs to manager %s", kind->singular, key,
                        owner);
    json_t *next =
        slc_body_read(a->txn, kind, slc_get_text(before, "id"), body, before, SLC_BODY_REPLACE, NULL, a->err);
    if (next == NULL)
        return false;
    if (foreign)
        json_object_set_new(next, "manager", json_string(a->manager));
    const char *action = foreign ? "adopt" : "update";
    json_t *changes = NULL;
    bool ok = slc_entity_save(a->txn, kind, action, before, next, &changes, a->err);
    if (ok && json_object_size(changes) > 0)
        note_change(a, action, kind, key, changes);
    else
        json_decref(changes);
    json_decref(next);
    return ok;
}

static bool apply_object(struct apply *a, const slc_kind *kind, const json_t *body)
{
    char key[KEY_CHARS] = "", id[SLC_ID_CHARS + 1];
    int rc = 0;
    if (declared_key(a->txn, kind, body, key))
        rc = find_existing(a, kind, key, id);
    if (rc < 0)
        return false;
    if (rc == 0)
        return create(a, kind, key, body);
    json_t *before = slc_entity_load(a->txn, kind, id, a->err);
    bool ok = before != NULL && update(a, kind, key, before, body);
    json_decref(before);
    return ok;
}

/* Problems are told from the document's top. */
static void prefix_problems(struct apply *a, const char *prefix)
{
    char inner[sizeof(a->err->field)];
    snprintf(inner, sizeof(inner), "%s", a->err->field);
    snprintf(a->err->field, sizeof(a->err->field), "%.60s%.90s", prefix, inner);
    size_t index;
    json_t *problem;
    json_array_foreach ((json_t *)slc_txn_problems(a->txn), index, problem) {
        json_object_set_new(problem, "pointer", json_sprintf("%s%s", prefix, slc_get_text(problem, "pointer")));
    }
}

static bool apply_kind(struct apply *a, const slc_kind *kind, const json_t *list)
{
    size_t index;
    json_t *body;
    json_array_foreach (list, index, body) {
        slc_txn_clear_problems(a->txn);
        if (!apply_object(a, kind, body)) {
            char prefix[64];
            snprintf(prefix, sizeof(prefix), "/resources/%s/%zu", kind->name, index);
            prefix_problems(a, prefix);
            return false;
        }
    }
    return true;
}

/* ---- pruning ---- */

static bool is_wanted(struct apply *a, const slc_kind *kind, const char *key, const json_t *stored)
{
    char identity[KEY_CHARS];
    if (kind->key == SLC_KEY_ID) {
        if (!identity_key(a->txn, kind, stored, identity))
            return true;
        key = identity;
    }
    return json_object_get(json_object_get(a->wanted, kind->name), key) != NULL;
}

/* What the manager owns and the document does not have: new array of {id, key}. */
static json_t *superfluous(struct apply *a, const slc_kind *kind)
{
    sqlite3_stmt *stmt = slc_txn_prepare(a->txn, slc_row_select(kind), a->err);
    int rc = stmt == NULL ? -1 : 1;
    json_t *out = json_array();
    while (rc == 1 && (rc = slc_txn_step(a->txn, stmt, a->err)) == 1) {
        json_t *stored = slc_row_read(kind, stmt);
        const char *key = slc_column_text(stmt, slc_row_width(kind) - 1);
        if (strcmp(slc_get_text(stored, "manager"), a->manager) == 0 && !is_wanted(a, kind, key, stored))
            json_array_append_new(out,
                                  json_pack("{s:O, s:s}", "id", json_object_get(stored, "id"), "key", key));
        json_decref(stored);
    }
    slc_txn_finish(a->txn, stmt);
    if (rc < 0) {
        json_decref(out);
        return NULL;
    }
    return out;
}

static bool prune_one(struct apply *a, const slc_kind *kind, const char *id, const char *key, bool last)
{
    json_t *before = slc_entity_load(a->txn, kind, id, a->err);
    json_t *changes = before == NULL ? NULL : slc_changes(a->txn, kind, before, NULL, a->err);
    json_decref(before);
    if (changes == NULL)
        return false;
    if (slc_entity_delete(a->txn, kind, id, -1, NULL, a->err)) {
        note_change(a, "delete", kind, key, changes);
        return true;
    }
    json_decref(changes);
    /* The first time something may still refer to it that the document is about to change. */
    return !last && a->err->code == SLC_CONFLICT;
}

/* Those that depend on others first. */
static bool prune(struct apply *a, bool last)
{
    size_t count = 0;
    while (slc_kinds()[count] != NULL)
        count++;
    while (count-- > 0) {
        const slc_kind *kind = slc_kinds()[count];
        if ((kind->flags & SLC_KIND_DECLARATIVE) == 0)
            continue;
        json_t *list = superfluous(a, kind);
        bool ok = list != NULL;
        size_t index;
        json_t *entry;
        json_array_foreach (list, index, entry) {
            ok = ok && prune_one(a, kind, slc_get_text(entry, "id"), slc_get_text(entry, "key"), last);
        }
        json_decref(list);
        if (!ok)
            return false;
    }
    return true;
}

/* ---- the whole ---- */

static bool apply_all(struct apply *a, const json_t *document)
{
    const json_t *resources = json_object_get(document, "resources");
    for (const slc_kind *const *kind = slc_kinds(); *kind != NULL; kind++)
        if (!note_wanted(a, *kind, json_object_get(resources, (*kind)->name)))
            return false;
    /* Before, so that what is new may take the place of what goes; after, for what was still referred to. */
    if (a->options->prune && !prune(a, false))
        return false;
    for (const slc_kind *const *kind = slc_kinds(); *kind != NULL; kind++)
        if (!apply_kind(a, *kind, json_object_get(resources, (*kind)->name)))
            return false;
    return !a->options->prune || prune(a, true);
}

static bool check_base(slc_txn *txn, const json_t *document, slc_error *err)
{
    const json_t *base = json_object_get(document, "base_revision");
    uint64_t revision = slc_catalog_revision(txn);
    if (base == NULL || (uint64_t)json_integer_value(base) == revision)
        return true;
    return slc_fail(err, SLC_STALE, "/base_revision", "the catalog is at revision %llu, not %lld",
                    (unsigned long long)revision, (long long)json_integer_value(base));
}

static bool run(struct apply *a, const json_t *document)
{
    slc_txn *txn = a->txn;
    const char *manager = txn->actor.manager;
    if (!slc_conn_run(txn->conn, "SAVEPOINT declare", a->err))
        return false;
    txn->actor.manager = a->manager;
    bool ok = apply_all(a, document);
    txn->actor.manager = manager;
    if (ok && !a->options->dry_run)
        return slc_conn_run(txn->conn, "RELEASE declare", a->err);
    uint64_t revision = txn->revision;
    txn->revision = 0; /* nothing was changed after all */
    slc_error undo;
    if (!slc_conn_run(txn->conn, "ROLLBACK TO declare; RELEASE declare", &undo)) {
        txn->revision = revision;
        if (ok)
            *a->err = undo;
        return false;
    }
    return ok;
}

json_t *slc_catalog_apply(slc_txn *txn, const json_t *document, const slc_declare_options *options,
                          slc_error *err)
{
    slc_error own;
    err = err != NULL ? err : &own;
    if (!check_document(document, err) || !check_base(txn, document, err))
        return NULL;
    struct apply a = {.txn = txn,
                      .options = options,
                      .manager = slc_get_text(document, "manager"),
                      .wanted = json_object(),
                      .changes = json_array(),
                      .err = err};
    json_t *out = NULL;
    if (run(&a, document))
        out = json_pack("{s:I, s:b, s:O}", "revision", (json_int_t)slc_catalog_revision(txn), "dry_run",
                        (int)options->dry_run, "changes", a.changes);
    json_decref(a.changes);
    json_decref(a.wanted);
    return out;
}
