/* The audit trail: what changed, without secrets, in the transaction of the change. */
#include <stdlib.h>
#include <string.h>

#include "catalog/entity.h"
#include "catalog/store.h"
#include "common/crypto.h"

#define DIGEST_SHOWN_BYTES 8

/* These change with every write and say nothing. */
static bool is_bookkeeping(const char *name)
{
    return strcmp(name, "revision") == 0 || strcmp(name, "updated_at") == 0;
}

static void add_change(json_t *changes, const char *name, const json_t *from, const json_t *to)
{
    json_t *change = json_object();
    if (from != NULL && to != NULL && json_equal(from, to)) {
        json_object_set_new(change, "secret", json_string("changed")); /* differs only where it is not shown */
    } else {
        if (from != NULL)
            json_object_set_new(change, "from", json_deep_copy(from));
        if (to != NULL)
            json_object_set_new(change, "to", json_deep_copy(to));
    }
    json_object_set_new(changes, name, change);
}

/* Of what is large only its digest: the trail is read a page at a time. */
static json_t *brief(const slc_field *field, const json_t *value)
{
    uint8_t digest[SLC_SHA256_BYTES];
    char hex[2 * DIGEST_SHOWN_BYTES + 1];
    if (value == NULL || (field->flags & SLC_F_BULKY) == 0)
        return json_incref((json_t *)value);
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_SORT_KEYS);
    size_t len = strlen(text);
    slc_sha256(text, len, digest);
    slc_hex_encode(digest, DIGEST_SHOWN_BYTES, hex);
    free(text);
    return json_sprintf("SHA-256 %s, %zu bytes", hex, len);
}

static void compare(const slc_field *fields, const json_t *before, const json_t *next,
                    const json_t *shown_before, const json_t *shown_next, json_t *changes)
{
    for (const slc_field *field = fields; field->name != NULL; field++) {
        const json_t *from = json_object_get(before, field->name);
        const json_t *to = json_object_get(next, field->name);
        bool same = from == NULL || to == NULL ? from == to : json_equal(from, to);
        if (same || is_bookkeeping(field->name) || (field->flags & SLC_F_HIDDEN) != 0)
            continue;
        json_t *shown_from = brief(field, json_object_get(shown_before, field->name));
        json_t *shown_to = brief(field, json_object_get(shown_next, field->name));
        add_change(changes, field->name, shown_from, shown_to);
        json_decref(shown_from);
        json_decref(shown_to);
    }
}

json_t *slc_changes(slc_txn *txn, const slc_kind *kind, const json_t *before, const json_t *next,
                    slc_error *err)
{
    json_t *shown_before = before != NULL ? slc_entity_show(txn, kind, before, err) : json_object();
    json_t *shown_next = next != NULL ? slc_entity_show(txn, kind, next, err) : json_object();
    json_t *changes = NULL;
    if (shown_before != NULL && shown_next != NULL) {
        changes = json_object();
        compare(slc_kind_common_fields(kind), before, next, shown_before, shown_next, changes);
        compare(kind->fields, before, next, shown_before, shown_next, changes);
    }
    json_decref(shown_before);
    json_decref(shown_next);
    return changes;
}

static json_t *actor_json(const slc_actor *actor)
{
    json_t *out = json_object();
    if (actor->kind != NULL)
        json_object_set_new(out, "kind", json_string(actor->kind));
    if (actor->id != NULL)
        json_object_set_new(out, "id", json_string(actor->id));
    if (actor->name != NULL)
        json_object_set_new(out, "name", json_string(actor->name));
    return out;
}

bool slc_audit(slc_txn *txn, const char *action, const char *kind, const char *id, const char *key,
               const json_t *changes, slc_error *err)
{
    static const char sql[] =
        "INSERT INTO audit_events (created_at, actor, action, kind, ref, entity_id, revision, "
        "request_id, changes) VALUES (?1, ?2, ?3, ?4, ?5, ?6, nullif(?7, 0), ?8, ?9)";
    json_t *actor = actor_json(&txn->actor);
    char *actor_text = json_dumps(actor, JSON_COMPACT);
    char *changes_text = changes == NULL ? NULL : json_dumps(changes, JSON_COMPACT);
    bool ok = slc_txn_exec(txn, err, sql, "isssssiss", txn->now_ms, actor_text, action, kind, key, id,
                           (int64_t)txn->revision, txn->actor.request_id, changes_text);
    free(changes_text);
    free(actor_text);
    json_decref(actor);
    return ok;
}

bool slc_audit_note(slc_txn *txn, const char *action, const char *kind, const char *id, slc_error *err)
{
    return slc_audit(txn, action, kind, id, id, NULL, err);
}
