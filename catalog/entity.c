/* Create, read, update, delete and act: the order in which the steps of entity.h are taken. */
#include "catalog/entity.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalog/access.h"
#include "catalog/history.h"
#include "catalog/notify.h"
#include "catalog/store.h"
#include "common/assert.h"
#include "common/crypto.h"

static const struct slc_kind_rules no_rules = {.check = NULL};

static const struct slc_kind_rules *rules_of(const slc_kind *kind)
{
    return kind->rules != NULL ? kind->rules : &no_rules;
}

static bool refuse_method(const slc_kind *kind, const char *what, slc_error *err)
{
    return slc_fail(err, SLC_UNSUPPORTED, NULL, "a %s cannot be %s through the API", kind->singular, what);
}

/* ---- keys ---- */

static void make_key(slc_txn *txn, const slc_kind *kind, const json_t *next, char out[SLC_KEY_CHARS])
{
    char first[SLC_KEY_CHARS], second[SLC_KEY_CHARS];
    switch (kind->key) {
    case SLC_KEY_NAME:
        snprintf(out, SLC_KEY_CHARS, "%s", slc_get_text(next, "name"));
        return;
    case SLC_KEY_ID:
        snprintf(out, SLC_KEY_CHARS, "%s", slc_get_text(next, "id"));
        return;
    case SLC_KEY_EVENT_API:
        snprintf(out, SLC_KEY_CHARS, "%s.v%lld", slc_get_text(next, "name"),
                 (long long)slc_get_int(next, "major"));
        return;
    case SLC_KEY_PLAN:
        slc_key_of(txn, "products", slc_get_text(next, "product"), first);
        snprintf(out, SLC_KEY_CHARS, "%.63s.%.63s", first, slc_get_text(next, "name"));
        return;
    case SLC_KEY_DEPLOYMENT:
        slc_key_of(txn, "event-apis", slc_get_text(next, "event_api"), first);
        slc_key_of(txn, "gateway-groups", slc_get_text(next, "gateway_group"), second);
        snprintf(out, SLC_KEY_CHARS, "%.80s@%.63s", first, second);
        return;
    }
}

static bool check_key(slc_txn *txn, const slc_kind *kind, const char *key, slc_error *err)
{
    char id[SLC_ID_CHARS + 1];
    int rc = slc_row_resolve(txn, kind, key, id, err);
    if (rc == 1)
        slc_fail(err, SLC_CONFLICT, kind->key == SLC_KEY_DEPLOYMENT ? "/gateway_group" : "/name",
                 "there is a %s %s already", kind->singular, key);
    return rc == 0;
}

/* Unique fields other than the key. */
static bool check_unique(slc_txn *txn, const slc_kind *kind, const json_t *next, slc_error *err)
{
    for (const slc_field *field = kind->fields; field->name != NULL; field++) {
        const char *value = slc_get_text(next, field->name);
        if ((field->flags & SLC_F_UNIQUE) == 0 || value == NULL || strcmp(field->name, "name") == 0)
            continue;
        char sql[200], pointer[SLC_POINTER_CHARS];
        snprintf(sql, sizeof(sql), "SELECT 1 FROM \"%s\" WHERE \"%s\" = ?1 AND id <> ?2", kind->table,
                 slc_field_column(field));
        sqlite3_stmt *stmt = slc_txn_query(txn, err, sql, "ss", value, slc_get_text(next, "id"));
        int rc = stmt == NULL ? -1 : slc_txn_step(txn, stmt, err);
        slc_txn_finish(txn, stmt);
        snprintf(pointer, sizeof(pointer), "/%s", field->name);
        if (rc == 1)
            slc_fail(err, SLC_CONFLICT, pointer, "another %s has it already", kind->singular);
        if (rc != 0)
            return false;
    }
    return true;
}

static bool settle(slc_txn *txn, const slc_change *change, slc_error *err)
{
    const struct slc_kind_rules *rules = rules_of(change->kind);
    return txn->unsettled || rules->settled == NULL || rules->settled(txn, change, err);
}

bool slc_entity_settle(slc_txn *txn, const slc_kind *kind, const char *id, slc_error *err)
{
    if (rules_of(kind)->settled == NULL)
        return true;
    json_t *stored = slc_entity_load(txn, kind, id, err);
    slc_change change = {.kind = kind, .id = id, .next = stored};
    bool ok = stored != NULL && rules_of(kind)->settled(txn, &change, err);
    json_decref(stored);
    return ok;
}

/* ---- create ---- */

static bool stamp(slc_txn *txn, json_t *next, slc_error *err)
{
    uint64_t revision;
    if (!slc_txn_bump(txn, &revision, err))
        return false;
    json_object_set_new(next, "revision", json_integer((json_int_t)revision));
    json_object_set_new(next, "updated_at", json_integer(txn->now_ms));
    return true;
}

static bool insert(slc_txn *txn, slc_change *change, json_t **changes, slc_error *err)
{
    const slc_kind *kind = change->kind;
    const struct slc_kind_rules *rules = rules_of(kind);
    json_t *next = change->next;
    char key[SLC_KEY_CHARS];
    json_object_set_new(next, "id", json_string(change->id));
    json_object_set_new(next, "manager", json_string(txn->actor.manager != NULL ? txn->actor.manager : "api"));
    json_object_set_new(next, "created_at", json_integer(txn->now_ms));
    make_key(txn, kind, next, key);
    if (!slc_access_write(txn, kind, NULL, next, err) || !check_key(txn, kind, key, err) ||
        !check_unique(txn, kind, next, err))
        return false;
    if (rules->check != NULL && !rules->check(txn, change, err))
        return false;
    if (!stamp(txn, next, err) || !slc_row_insert(txn, kind, key, next, err))
        return false;
    if ((rules->written != NULL && !rules->written(txn, change, err)) || !settle(txn, change, err))
        return false;
    *changes = slc_changes(txn, kind, NULL, next, err);
    return *changes != NULL && slc_notify_change(txn, kind, NULL, next, err) &&
           slc_history_write(txn, kind, NULL, next, err) &&
           slc_audit(txn, "create", kind->name, change->id, key, *changes, err);
}

/* The stored form: new. `once` and `changes` are new too; NULL when it failed. */
static json_t *make(slc_txn *txn, const slc_kind *kind, const char *given_id, const json_t *body, json_t **once,
                    json_t **changes, slc_error *err)
{
    char id[SLC_ID_CHARS + 1];
    *once = *changes = NULL;
    if (given_id != NULL)
        snprintf(id, sizeof(id), "%s", given_id);
    else
        slc_random_id(id, SLC_ID_CHARS);
    json_t *args = NULL;
    json_t *next = slc_body_read(txn, kind, id, body, NULL, SLC_BODY_CREATE, &args, err);
    if (next == NULL)
        return NULL;
    slc_change change = {.kind = kind, .id = id, .next = next, .once = json_object(), .args = args};
    bool ok = insert(txn, &change, changes, err);
    json_decref(args);
    if (ok) {
        *once = change.once;
        return next;
    }
    json_decref(change.once);
    json_decref(*changes);
    json_decref(next);
    *changes = NULL;
    return NULL;
}

json_t *slc_entity_make(slc_txn *txn, const slc_kind *kind, const char *id, const json_t *body,
                        json_t **changes, slc_error *err)
{
    json_t *once;
    json_t *stored = make(txn, kind, id, body, &once, changes, err);
    json_decref(once);
    return stored;
}

json_t *slc_entity_create(slc_txn *txn, const slc_kind *kind, const json_t *body, slc_error *err)
{
    if ((kind->flags & SLC_KIND_CREATE) == 0) {
        refuse_method(kind, "created", err);
        return NULL;
    }
    json_t *once, *changes;
    json_t *stored = make(txn, kind, NULL, body, &once, &changes, err);
    json_t *out = stored == NULL ? NULL : slc_entity_show(txn, kind, stored, err);
    if (out != NULL)
        json_object_update(out, once);
    json_decref(once);
    json_decref(changes);
    json_decref(stored);
    return out;
}

/* ---- read ---- */

json_t *slc_entity_get(slc_txn *txn, const slc_kind *kind, const char *key, slc_error *err)
{
    json_t *stored = slc_entity_load(txn, kind, key, err);
    json_t *out = stored == NULL ? NULL : slc_entity_show(txn, kind, stored, err);
    json_decref(stored);
    return out;
}

/* ---- update ---- */

static bool write_change(slc_txn *txn, slc_change *change, const char *action, json_t **changes, slc_error *err)
{
    const slc_kind *kind = change->kind;
    const struct slc_kind_rules *rules = rules_of(kind);
    char key[SLC_KEY_CHARS];
    if (!check_unique(txn, kind, change->next, err))
        return false;
    *changes = slc_changes(txn, kind, change->before, change->next, err);
    if (*changes == NULL || !stamp(txn, change->next, err) ||
        !slc_row_update(txn, kind, change->before, change->next, err))
        return false;
    if ((rules->written != NULL && !rules->written(txn, change, err)) || !settle(txn, change, err))
        return false;
    slc_key_of(txn, kind->name, change->id, key);
    return slc_notify_change(txn, kind, change->before, change->next, err) &&
           slc_history_write(txn, kind, change->before, change->next, err) &&
           slc_audit(txn, action, kind->name, change->id, key, *changes, err);
}

bool slc_entity_unchanged(slc_txn *txn, const slc_kind *kind, const json_t *before, json_t *next)
{
    const struct slc_kind_rules *rules = rules_of(kind);
    slc_change change = {.kind = kind, .id = slc_get_text(before, "id"), .before = before, .next = next};
    slc_error ignored;
    if (json_equal(before, next))
        return true;
    return rules->check != NULL && rules->check(txn, &change, &ignored) && json_equal(before, next);
}

bool slc_entity_save(slc_txn *txn, const slc_kind *kind, const char *action, const json_t *before, json_t *next,
                     json_t **changes, slc_error *err)
{
    const struct slc_kind_rules *rules = rules_of(kind);
    slc_change change = {.kind = kind, .id = slc_get_text(before, "id"), .before = before, .next = next};
    json_t *made = NULL;
    bool ok = json_equal(before, next);
    if (!ok) {
        ok = (rules->check == NULL || rules->check(txn, &change, err)) &&
             (json_equal(before, next) || write_change(txn, &change, action, &made, err));
    }
    if (ok && changes != NULL)
        *changes = made != NULL ? made : json_object();
    else
        json_decref(made);
    return ok;
}

static bool fail_stale(const slc_kind *kind, const json_t *before, int64_t if_match, slc_error *err)
{
    long long revision = (long long)slc_get_int(before, "revision");
    if (if_match < 0)
        return slc_fail(err, SLC_STALE, NULL,
                        "a change of the %s needs the revision that it is based on (now %lld)", kind->singular,
                        revision);
    return slc_fail(err, SLC_STALE, NULL,
                    "the %s is at revision %lld, not %lld: read it again and repeat the change", kind->singular,
                    revision, (long long)if_match);
}

static json_t *read_update(slc_txn *txn, const slc_kind *kind, const json_t *before, const json_t *body,
                           bool patch, slc_error *err)
{
    const char *id = slc_get_text(before, "id");
    if (!patch)
        return slc_body_read(txn, kind, id, body, before, SLC_BODY_REPLACE, NULL, err);
    json_t *target = slc_entity_show(txn, kind, before, err);
    if (target == NULL)
        return NULL;
    json_t *merged = slc_body_merge(kind, target, body);
    json_t *next = slc_body_read(txn, kind, id, merged, before, SLC_BODY_PATCHED, NULL, err);
    json_decref(merged);
    json_decref(target);
    return next;
}

static bool update(slc_txn *txn, const slc_kind *kind, const json_t *before, json_t **next, const json_t *body,
                   bool patch, int64_t if_match, slc_error *err)
{
    bool stale = if_match != slc_get_int(before, "revision");
    *next = read_update(txn, kind, before, body, patch, err);
    if (*next == NULL)
        return stale && if_match >= 0 ? fail_stale(kind, before, if_match, err) : false;
    if (stale && !slc_entity_unchanged(txn, kind, before, *next)) {
        slc_txn_clear_problems(txn);
        return fail_stale(kind, before, if_match, err);
    }
    return slc_access_write(txn, kind, NULL, *next, err) &&
           slc_entity_save(txn, kind, "update", before, *next, NULL, err);
}

json_t *slc_entity_update(slc_txn *txn, const slc_kind *kind, const char *key, const json_t *body, bool patch,
                          int64_t if_match, slc_error *err)
{
    if ((kind->flags & SLC_KIND_UPDATE) == 0) {
        refuse_method(kind, "changed", err);
        return NULL;
    }
    json_t *before = slc_entity_load(txn, kind, key, err);
    if (before == NULL)
        return NULL;
    json_t *next = NULL;
    json_t *out = NULL;
    if (slc_access_write(txn, kind, before, NULL, err) &&
        update(txn, kind, before, &next, body, patch, if_match, err))
        out = slc_entity_show(txn, kind, next, err);
    json_decref(next);
    json_decref(before);
    return out;
}

/* ---- delete ---- */

bool slc_entity_remove(slc_txn *txn, const slc_kind *kind, const json_t *stored, slc_error *err)
{
    const struct slc_kind_rules *rules = rules_of(kind);
    char id[SLC_ID_CHARS + 1], key[SLC_KEY_CHARS];
    snprintf(id, sizeof(id), "%s", slc_get_text(stored, "id"));
    slc_key_of(txn, kind->name, id, key);
    slc_change change = {.kind = kind, .id = id, .before = stored};
    if (rules->removing != NULL && !rules->removing(txn, &change, err))
        return false;
    uint64_t revision;
    if (!slc_delete_owned(txn, kind, id, err) || !slc_txn_bump(txn, &revision, err))
        return false;
    json_t *changes = slc_changes(txn, kind, stored, NULL, err);
    bool ok = changes != NULL && slc_row_delete(txn, kind, id, err) &&
              slc_history_write(txn, kind, stored, NULL, err) &&
              slc_audit(txn, "delete", kind->name, id, key, changes, err);
    json_decref(changes);
    return ok;
}

static bool check_unreferenced(slc_txn *txn, const slc_kind *kind, const json_t *stored, json_t **referrers,
                               slc_error *err)
{
    const struct slc_kind_rules *rules = rules_of(kind);
    json_t *list = slc_referrers(txn, kind, slc_get_text(stored, "id"), err);
    if (list == NULL || (rules->dependents != NULL && !rules->dependents(txn, stored, list, err))) {
        json_decref(list);
        return false;
    }
    const json_t *first = json_array_get(list, 0);
    if (first == NULL) {
        json_decref(list);
        return true;
    }
    slc_fail(err, SLC_CONFLICT, NULL, "the %s is still referred to, by %s/%s for one (%zu in all)",
             kind->singular, slc_get_text(first, "kind"), slc_get_text(first, "key"), json_array_size(list));
    if (referrers != NULL)
        *referrers = list;
    else
        json_decref(list);
    return false;
}

bool slc_entity_delete(slc_txn *txn, const slc_kind *kind, const char *key, int64_t if_match,
                       json_t **referrers, slc_error *err)
{
    if (referrers != NULL)
        *referrers = NULL;
    if ((kind->flags & SLC_KIND_DELETE) == 0)
        return refuse_method(kind, "deleted", err);
    json_t *stored = slc_entity_load(txn, kind, key, err);
    if (stored == NULL)
        return false;
    bool ok = slc_access_write(txn, kind, stored, NULL, err);
    if (ok && if_match >= 0 && if_match != slc_get_int(stored, "revision"))
        ok = fail_stale(kind, stored, if_match, err);
    ok = ok && check_unreferenced(txn, kind, stored, referrers, err) &&
         slc_entity_remove(txn, kind, stored, err);
    json_decref(stored);
    return ok;
}

/* ---- act ---- */

static json_t *act(slc_txn *txn, const slc_kind *kind, const slc_action *action, const json_t *before,
                   const json_t *body, slc_error *err)
{
    json_t *next = json_deep_copy(before);
    slc_change change = {
        .kind = kind, .id = slc_get_text(before, "id"), .before = before, .next = next, .once = json_object()};
    json_t *out = NULL;
    if (slc_access_act(txn, kind, action, before, err) && kind->rules->act(txn, &change, action, body, err) &&
        slc_entity_save(txn, kind, action->name, before, next, NULL, err))
        out = slc_entity_show(txn, kind, next, err);
    if (out != NULL)
        json_object_update(out, change.once);
    json_decref(change.once);
    json_decref(next);
    return out;
}

json_t *slc_entity_act(slc_txn *txn, const slc_kind *kind, const char *key, const char *action_name,
                       const json_t *body, slc_error *err)
{
    const slc_action *action = slc_kind_action(kind, action_name);
    if (action == NULL) {
        slc_fail(err, SLC_NOT_FOUND, NULL, "a %s has no action %.60s", kind->singular, action_name);
        return NULL;
    }
    SLC_BUG_ON(kind->rules == NULL || kind->rules->act == NULL);
    if (!slc_body_check(txn, action->fields, body, err))
        return NULL;
    json_t *before = slc_entity_load(txn, kind, key, err);
    json_t *out = before == NULL ? NULL : act(txn, kind, action, before, body, err);
    json_decref(before);
    return out;
}
