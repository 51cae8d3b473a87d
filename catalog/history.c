#include "catalog/history.h"

#include <stdlib.h>
#include <string.h>

#include "catalog/changeset.h"
#include "catalog/entity.h"
#include "common/log.h"

/* ---- writing ---- */

static json_t *sealed_mark(const json_t *before, const json_t *next, const json_t *old, uint64_t revision)
{
    const json_t *at = json_object_get(old, "sealed_at");
    if (at != NULL && before != NULL && json_equal(before, next))
        return json_deep_copy(old);
    return json_pack("{s:I}", "sealed_at", (json_int_t)revision);
}

/* Sealed secrets do not come with the declarative form: what is put in their place. `old` is the state before.
 */
static void mark_secrets(const slc_field *fields, const json_t *before, const json_t *next, const json_t *old,
                         uint64_t revision, json_t *body)
{
    for (const slc_field *field = fields; field->name != NULL; field++) {
        const json_t *value = json_object_get(next, field->name);
        const json_t *was = json_object_get(before, field->name);
        const json_t *seen = json_object_get(old, field->name);
        if (field->type == SLC_F_OBJECT && value != NULL)
            mark_secrets(field->fields, was, value, seen, revision, json_object_get(body, field->name));
        else if ((field->flags & SLC_F_SECRET) != 0 && json_object_get(value, "sealed") != NULL)
            json_object_set_new(body, field->name, sealed_mark(was, value, seen, revision));
    }
}

/* The state that stands, or NULL. */
static json_t *current(slc_txn *txn, const slc_kind *kind, const char *id)
{
    sqlite3_stmt *stmt = slc_txn_query(
        txn, NULL, "SELECT body FROM entity_history WHERE kind = ?1 AND entity_id = ?2 AND until IS NULL", "ss",
        kind->name, id);
    json_t *body = NULL;
    if (stmt != NULL && slc_txn_step(txn, stmt, NULL) == 1)
        body = slc_column_json(stmt, 0);
    slc_txn_finish(txn, stmt);
    return body;
}

static bool has_secrets(const slc_field *fields)
{
    for (const slc_field *field = fields; field->name != NULL; field++)
        if ((field->flags & SLC_F_SECRET) != 0 || (field->type == SLC_F_OBJECT && has_secrets(field->fields)))
            return true;
    return false;
}

static bool insert(slc_txn *txn, const slc_kind *kind, const json_t *before, const json_t *next,
                   uint64_t revision, slc_error *err)
{
    const char *id = slc_get_text(next, "id");
    char ref[SLC_REF_CHARS] = "";
    json_t *body = slc_entity_declare(txn, kind, next, err);
    if (body == NULL)
        return false;
    if (!slc_declared_ref(txn, kind, body, ref))
        snprintf(ref, sizeof(ref), "%s", id);
    json_t *old = before != NULL && has_secrets(kind->fields) ? current(txn, kind, id) : NULL;
    mark_secrets(kind->fields, before, next, old, revision, body);
    json_object_set(body, "manager", json_object_get(next, "manager"));
    char *text = json_dumps(body, JSON_COMPACT);
    static const char sql[] = "INSERT INTO entity_history (kind, entity_id, since, ref, body) "
                              "VALUES (?1, ?2, ?3, ?4, ?5)";
    bool ok =
        slc_txn_exec(txn, err, "DELETE FROM entity_history WHERE kind = ?1 AND entity_id = ?2 AND since = ?3",
                     "ssi", kind->name, id, (int64_t)revision) &&
        slc_txn_exec(
            txn, err,
            "UPDATE entity_history SET until = ?3 WHERE kind = ?1 AND entity_id = ?2 AND until IS NULL", "ssi",
            kind->name, id, (int64_t)revision) &&
        slc_txn_exec(txn, err, sql, "ssiss", kind->name, id, (int64_t)revision, ref, text);
    free(text);
    json_decref(old);
    json_decref(body);
    return ok;
}

bool slc_history_write(slc_txn *txn, const slc_kind *kind, const json_t *before, const json_t *next,
                       slc_error *err)
{
    uint64_t revision;
    if ((kind->flags & SLC_KIND_ROLLBACK) == 0)
        return true;
    if (!slc_txn_bump(txn, &revision, err))
        return false;
    if (next != NULL)
        return insert(txn, kind, before, next, revision, err);
    const char *id = slc_get_text(before, "id");
    return slc_txn_exec(txn, err,
                        "DELETE FROM entity_history WHERE kind = ?1 AND entity_id = ?2 AND since = ?3", "ssi",
                        kind->name, id, (int64_t)revision) &&
           slc_txn_exec(
               txn, err,
               "UPDATE entity_history SET until = ?3 WHERE kind = ?1 AND entity_id = ?2 AND until IS NULL",
               "ssi", kind->name, id, (int64_t)revision);
}

/* ---- the beginning ---- */

static bool begin_kind(slc_txn *txn, const slc_kind *kind, uint64_t revision, int64_t *count, slc_error *err)
{
    sqlite3_stmt *stmt = slc_txn_prepare(txn, slc_row_select(kind), err);
    int rc = stmt == NULL ? -1 : 1;
    while (rc == 1 && (rc = slc_txn_step(txn, stmt, err)) == 1) {
        json_t *stored = slc_row_read(kind, stmt);
        if (!insert(txn, kind, NULL, stored, revision, err))
            rc = -1;
        json_decref(stored);
        ++*count;
    }
    slc_txn_finish(txn, stmt);
    return rc == 0;
}

bool slc_history_begin(slc_txn *txn, slc_error *err)
{
    slc_error_clear(err);
    uint64_t revision = slc_catalog_revision(txn);
    int64_t count = 0;
    if (slc_history_since(txn, err) != 0)
        return true;
    if (err->code != SLC_OK)
        return false;
    for (const slc_kind *const *kind = slc_kinds(); *kind != NULL; kind++)
        if (((*kind)->flags & SLC_KIND_ROLLBACK) != 0 && !begin_kind(txn, *kind, revision, &count, err))
            return false;
    if (count > 0)
        slc_log(SLC_LOG_INFO, "the history of the configuration begins", LI("revision", (int64_t)revision),
                LI("entities", count));
    return slc_txn_exec(txn, err, "INSERT INTO catalog_meta (name, int_value) VALUES ('history_since', ?1)",
                        "i", (int64_t)revision);
}

uint64_t slc_history_since(slc_txn *txn, slc_error *err)
{
    uint64_t since = 0;
    sqlite3_stmt *stmt =
        slc_txn_prepare(txn, "SELECT int_value FROM catalog_meta WHERE name = 'history_since'", err);
    if (stmt != NULL && slc_txn_step(txn, stmt, err) == 1)
        since = (uint64_t)sqlite3_column_int64(stmt, 0);
    slc_txn_finish(txn, stmt);
    return since;
}

/* ---- comparing ---- */

static bool collect(slc_txn *txn, const char *sql, const char *side, uint64_t at, uint64_t other, json_t *out,
                    slc_error *err)
{
    sqlite3_stmt *stmt = slc_txn_query(txn, err, sql, "ii", (int64_t)at, (int64_t)other);
    int rc = stmt == NULL ? -1 : 1;
    while (rc == 1 && (rc = slc_txn_step(txn, stmt, err)) == 1) {
        const char *kind = slc_column_text(stmt, 0), *ref = slc_column_text(stmt, 2);
        json_t *refs = json_object_get(out, kind);
        if (refs == NULL)
            json_object_set_new(out, kind, refs = json_object());
        json_t *pair = json_object_get(refs, ref);
        if (pair == NULL)
            json_object_set_new(refs, ref, pair = json_object());
        json_object_set_new(
            pair, side,
            json_pack("{s:s, s:o}", "id", slc_column_text(stmt, 1), "body", slc_column_json(stmt, 3)));
    }
    slc_txn_finish(txn, stmt);
    return rc == 0;
}

static void drop_equal(json_t *out)
{
    const char *kind, *ref;
    json_t *refs, *pair;
    void *next;
    json_object_foreach (out, kind, refs) {
        json_object_foreach_safe(refs, next, ref, pair)
        {
            if (json_equal(json_object_get(json_object_get(pair, "from"), "body"),
                           json_object_get(json_object_get(pair, "to"), "body")))
                json_object_del(refs, ref);
        }
    }
}

json_t *slc_history_between(slc_txn *txn, uint64_t from, uint64_t to, slc_error *err)
{
    /* ?1: seen at this revision; ?2: not at that one. The first is for ?1 < ?2, the second for ?1 > ?2. */
    static const char gone[] = "SELECT kind, entity_id, ref, body FROM entity_history "
                               "WHERE since <= ?1 AND until > ?1 AND until <= ?2 ORDER BY kind, ref";
    static const char come[] = "SELECT kind, entity_id, ref, body FROM entity_history "
                               "WHERE since > ?2 AND since <= ?1 AND (until IS NULL OR until > ?1) "
                               "ORDER BY kind, ref";
    bool forward = from <= to;
    json_t *out = json_object();
    if (!collect(txn, forward ? gone : come, "from", from, to, out, err) ||
        !collect(txn, forward ? come : gone, "to", to, from, out, err)) {
        json_decref(out);
        return NULL;
    }
    drop_equal(out); /* deleted and made again, or back where it was */
    return out;
}

/* As reading shows it. `field` is NULL for what is in no table. */
static json_t *show(const slc_field *field, const json_t *value)
{
    if (value == NULL)
        return NULL;
    if (field != NULL && (field->flags & SLC_F_SECRET) != 0 && json_object_get(value, "sealed_at") != NULL)
        return json_pack("{s:b}", "set", 1);
    if (field == NULL || field->type != SLC_F_OBJECT)
        return json_deep_copy(value);
    json_t *out = json_object();
    for (const slc_field *inner = field->fields; inner->name != NULL; inner++) {
        json_t *member = show(inner, json_object_get(value, inner->name));
        if (member != NULL)
            json_object_set_new(out, inner->name, member);
    }
    return out;
}

static void compare(const char *name, const slc_field *field, const json_t *from, const json_t *to,
                    json_t *changes)
{
    const json_t *a = json_object_get(from, name), *b = json_object_get(to, name);
    if (a == NULL || b == NULL ? a == b : json_equal(a, b))
        return;
    json_t *shown_a = show(field, a), *shown_b = show(field, b);
    json_t *change = json_object();
    if (shown_a != NULL && shown_b != NULL && json_equal(shown_a, shown_b)) {
        json_object_set_new(change, "secret", json_string("changed"));
    } else {
        if (shown_a != NULL)
            json_object_set(change, "from", shown_a);
        if (shown_b != NULL)
            json_object_set(change, "to", shown_b);
    }
    json_object_set_new(changes, name, change);
    json_decref(shown_a);
    json_decref(shown_b);
}

json_t *slc_history_changes(const slc_kind *kind, const json_t *from, const json_t *to)
{
    json_t *changes = json_object();
    compare("manager", NULL, from, to, changes);
    compare("labels", NULL, from, to, changes);
    for (const slc_field *field = kind->fields; field->name != NULL; field++)
        compare(field->name, field, from, to, changes);
    return changes;
}

/* ---- pruning ---- */

bool slc_history_prune(slc_txn *txn, uint64_t after, uint64_t until, slc_error *err)
{
    return slc_txn_exec(txn, err, "DELETE FROM entity_history WHERE until > ?1 AND until <= ?2 AND since > ?1",
                        "ii", (int64_t)after, (int64_t)until);
}

bool slc_history_sweep(slc_txn *txn, slc_error *err)
{
    return slc_txn_exec(txn, err,
                        "DELETE FROM entity_history WHERE until IS NOT NULL AND NOT EXISTS (SELECT 1 FROM "
                        "config_versions AS v WHERE v.version >= since AND v.version < until)",
                        "");
}
