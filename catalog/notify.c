/* What is told to whom: from changes of entities, and from looking around. */
#include "catalog/notify.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalog/entity.h"
#include "catalog/notify_private.h"
#include "catalog/store.h"
#include "common/clock.h"
#include "common/crypto.h"

#define LOOK_MAX 200 /* nodes and credentials told of at a time */

/* ---- the outbox ---- */

static char *body_of(slc_txn *txn, const char *event, json_t *data)
{
    char now[SLC_RFC3339_CHARS];
    slc_rfc3339_format(slc_txn_now_ms(txn), now);
    json_t *body = json_pack("{s:s, s:s, s:O}", "type", event, "timestamp", now, "data", data);
    char *text = json_dumps(body, JSON_COMPACT);
    json_decref(body);
    return text;
}

bool slc_notify_enqueue(slc_txn *txn, const char *webhook_id, const char *event, json_t *data, slc_error *err)
{
    static const char sql[] =
        "INSERT INTO webhook_deliveries (id, webhook, event, body, created_at, state, next_at) "
        "VALUES (?1, ?2, ?3, ?4, ?5, 'pending', ?5)";
    char id[SLC_DELIVERY_ID_CHARS + 1] = "msg_";
    slc_random_id(id + 4, SLC_DELIVERY_ID_CHARS - 4);
    char *body = body_of(txn, event, data);
    bool ok = slc_txn_exec(txn, err, sql, "ssssi", id, webhook_id, event, body, slc_txn_now_ms(txn));
    free(body);
    return ok;
}

/* Webhooks of everybody; those of either team ("" for none); and, with `event_api` (else ""), those of the
 * teams whose applications use it, or wait to. */
static json_t *whom(slc_txn *txn, const char *event, const char *team, const char *other, const char *event_api,
                    slc_error *err)
{
    static const char sql[] =
        "SELECT w.id FROM webhooks AS w WHERE w.enabled = 1 AND (w.team IS NULL OR w.team IN (?2, ?3) OR "
        "w.team IN "
        "(SELECT a.team FROM products_event_apis AS p JOIN subscriptions AS s ON s.product = p.owner_id JOIN "
        "applications AS a ON a.id = s.application WHERE p.target_id = ?4 AND s.state IN ('pending', "
        "'approved', "
        "'suspended'))) AND EXISTS (SELECT 1 FROM json_each(w.events) WHERE value = ?1)";
    json_t *ids = json_array();
    sqlite3_stmt *stmt = slc_txn_query(txn, err, sql, "ssss", event, team, other, event_api);
    int rc = stmt == NULL ? -1 : 1;
    while (rc == 1 && (rc = slc_txn_step(txn, stmt, err)) == 1)
        json_array_append_new(ids, json_string(slc_column_text(stmt, 0)));
    slc_txn_finish(txn, stmt);
    if (rc == 0)
        return ids;
    json_decref(ids);
    return NULL;
}

/* To `ids` (NULL: they could not be read). Takes both. */
static bool tell_them(slc_txn *txn, json_t *ids, const char *event, json_t *data, slc_error *err)
{
    json_t *id;
    bool ok = ids != NULL;
    size_t i;
    json_array_foreach (ids, i, id)
        ok = ok && slc_notify_enqueue(txn, json_string_value(id), event, data, err);
    json_decref(ids);
    json_decref(data);
    return ok;
}

/* Takes `data`. */
static bool tell(slc_txn *txn, const char *event, const char *team, const char *other, json_t *data,
                 slc_error *err)
{
    json_t *ids = whom(txn, event, team != NULL ? team : "", other != NULL ? other : "", "", err);
    return tell_them(txn, ids, event, data, err);
}

/* ---- changes ---- */

static void add_key(slc_txn *txn, json_t *data, const char *name, const char *kind, const char *id)
{
    char key[SLC_KEY_CHARS];
    if (id == NULL)
        return;
    slc_key_of(txn, kind, id, key);
    json_object_set_new(data, name, json_string(key));
}

static void add_time(json_t *data, const char *name, int64_t ms)
{
    char text[SLC_RFC3339_CHARS];
    if (ms == 0)
        return;
    slc_rfc3339_format(ms, text);
    json_object_set_new(data, name, json_string(text));
}

/* The team of an application or a product; "" when it is gone. */
static bool team_of(slc_txn *txn, const char *kind, const char *id, char team[SLC_ID_CHARS + 1], slc_error *err)
{
    json_t *stored = slc_entity_load(txn, slc_kind_find(kind), id, err);
    const char *text = stored != NULL ? slc_get_text(stored, "team") : NULL;
    snprintf(team, SLC_ID_CHARS + 1, "%s", text != NULL ? text : "");
    json_decref(stored);
    return stored != NULL || err->code == SLC_NOT_FOUND;
}

static bool tell_subscription(slc_txn *txn, const json_t *before, const json_t *next, slc_error *err)
{
    static const struct {
        const char *state, *event;
    } events[] = {{"pending", "subscription.requested"},
                  {"approved", "subscription.approved"},
                  {"refused", "subscription.refused"},
                  {"revoked", "subscription.revoked"}};
    const char *state = slc_get_text(next, "state"), *was = slc_get_text(before, "state");
    char team[SLC_ID_CHARS + 1], owner[SLC_ID_CHARS + 1];
    size_t i = 0;
    while (i < sizeof events / sizeof *events && strcmp(events[i].state, state) != 0)
        i++;
    if (i == sizeof events / sizeof *events || (was != NULL && strcmp(was, state) == 0))
        return true;
    if (!team_of(txn, "applications", slc_get_text(next, "application"), team, err) ||
        !team_of(txn, "products", slc_get_text(next, "product"), owner, err))
        return false;
    json_t *data = json_pack("{s:s, s:s, s:s}", "subscription", slc_get_text(next, "id"), "state", state,
                             "environment", slc_get_text(next, "environment"));
    add_key(txn, data, "application", "applications", slc_get_text(next, "application"));
    add_key(txn, data, "plan", "plans", slc_get_text(next, "plan"));
    add_key(txn, data, "product", "products", slc_get_text(next, "product"));
    add_key(txn, data, "team", "teams", team[0] != '\0' ? team : NULL);
    if (slc_get_text(next, "reason") != NULL)
        json_object_set_new(data, "reason", json_string(slc_get_text(next, "reason")));
    return tell(txn, events[i].event, team, owner, data, err);
}

static bool tell_event_api(slc_txn *txn, const json_t *before, const json_t *next, slc_error *err)
{
    const char *lifecycle = slc_get_text(next, "lifecycle"), *was = slc_get_text(before, "lifecycle");
    char event[64];
    if (strcmp(lifecycle, "draft") == 0 || (was != NULL && strcmp(was, lifecycle) == 0))
        return true;
    snprintf(event, sizeof event, "event_api.%s", lifecycle);
    json_t *data = json_pack("{s:s}", "lifecycle", lifecycle);
    add_key(txn, data, "event_api", "event-apis", slc_get_text(next, "id"));
    add_key(txn, data, "team", "teams", slc_get_text(next, "team"));
    add_time(data, "sunset_at", slc_get_int(next, "sunset_at"));
    bool ends = strcmp(lifecycle, "published") != 0; /* that concerns who uses it */
    json_t *ids = whom(txn, event, slc_get_text(next, "team"), "", ends ? slc_get_text(next, "id") : "", err);
    return tell_them(txn, ids, event, data, err);
}

static bool tell_node(slc_txn *txn, const char *event, const char *id, const char *name, const char *group,
                      const char *reason, int64_t seen_ms, slc_error *err)
{
    json_t *data = json_pack("{s:s, s:s}", "node", id, "reason", reason);
    if (name != NULL)
        json_object_set_new(data, "name", json_string(name));
    add_key(txn, data, "group", "gateway-groups", group);
    add_time(data, "last_seen", seen_ms);
    return tell(txn, event, NULL, NULL, data, err);
}

bool slc_notify_change(slc_txn *txn, const slc_kind *kind, const json_t *before, const json_t *next,
                       slc_error *err)
{
    if (strcmp(kind->name, "subscriptions") == 0)
        return tell_subscription(txn, before, next, err);
    if (strcmp(kind->name, "event-apis") == 0)
        return tell_event_api(txn, before, next, err);
    return true;
}

bool slc_notify_enrolled(slc_txn *txn, const json_t *node, slc_error *err)
{
    return tell_node(txn, "node.joined", slc_get_text(node, "id"), slc_get_text(node, "name"),
                     slc_get_text(node, "group"), "enrolled", 0, err);
}

/* ---- looking around ---- */

/* Does it for every row of `find` (id, and three more columns): `told` notes or takes back that it was. */
static bool for_each(slc_txn *txn, sqlite3_stmt *stmt,
                     bool (*fn)(slc_txn *txn, const json_t *row, slc_error *err), slc_error *err)
{
    json_t *rows = json_array(), *row;
    size_t i;
    int rc = stmt == NULL ? -1 : 1;
    while (rc == 1 && (rc = slc_txn_step(txn, stmt, err)) == 1)
        json_array_append_new(rows,
                              json_pack("[s, s?, s?, I]", slc_column_text(stmt, 0), slc_column_text(stmt, 1),
                                        slc_column_text(stmt, 2), (json_int_t)sqlite3_column_int64(stmt, 3)));
    slc_txn_finish(txn, stmt);
    bool ok = rc == 0;
    json_array_foreach (rows, i, row)
        ok = ok && fn(txn, row, err);
    json_decref(rows);
    return ok;
}

static const char *text_at(const json_t *row, size_t i)
{
    return json_string_value(json_array_get(row, i));
}

static bool note_told(slc_txn *txn, const char *kind, const char *id, slc_error *err)
{
    return slc_txn_exec(txn, err,
                        "INSERT OR REPLACE INTO told_states (kind, entity_id, told_at) VALUES (?1, ?2, ?3)",
                        "ssi", kind, id, slc_txn_now_ms(txn));
}

static bool tell_lost(slc_txn *txn, const json_t *row, slc_error *err)
{
    return note_told(txn, "gateway-nodes", text_at(row, 0), err) &&
           tell_node(txn, "node.lost", text_at(row, 0), text_at(row, 1), text_at(row, 2), "silent",
                     json_integer_value(json_array_get(row, 3)), err);
}

static bool tell_back(slc_txn *txn, const json_t *row, slc_error *err)
{
    return slc_txn_exec(txn, err, "DELETE FROM told_states WHERE kind = 'gateway-nodes' AND entity_id = ?1",
                        "s", text_at(row, 0)) &&
           tell_node(txn, "node.joined", text_at(row, 0), text_at(row, 1), text_at(row, 2), "back",
                     json_integer_value(json_array_get(row, 3)), err);
}

/* One that was draining when it left has left on purpose. */
static bool look_at_nodes(slc_txn *txn, slc_error *err)
{
    static const char lost[] =
        "SELECT n.id, n.name, n.\"group\", s.last_seen FROM gateway_nodes AS n JOIN usage.node_status AS s ON "
        "s.node_id = n.id WHERE n.revoked_at IS NULL AND s.draining = 0 AND (s.connected = 0 OR s.last_seen < "
        "?2) AND "
        "s.last_seen < ?2 AND NOT EXISTS (SELECT 1 FROM told_states AS t WHERE t.kind = 'gateway-nodes' AND "
        "t.entity_id = n.id) LIMIT ?1";
    static const char back[] =
        "SELECT n.id, n.name, n.\"group\", s.last_seen FROM told_states AS t JOIN gateway_nodes AS n ON n.id = "
        "t.entity_id JOIN usage.node_status AS s ON s.node_id = n.id WHERE t.kind = 'gateway-nodes' AND "
        "s.connected = "
        "1 AND s.last_seen >= ?2 LIMIT ?1";
    int64_t before_ms = txn->now_ms - txn->catalog->node_lost_after_ms;
    return for_each(txn, slc_txn_query(txn, err, lost, "ii", (int64_t)LOOK_MAX, before_ms), tell_lost, err) &&
           for_each(txn, slc_txn_query(txn, err, back, "ii", (int64_t)LOOK_MAX, before_ms), tell_back, err);
}

static bool tell_expiring(slc_txn *txn, const json_t *row, slc_error *err)
{
    json_t *data = json_pack("{s:s}", "credential", text_at(row, 0));
    add_key(txn, data, "application", "applications", text_at(row, 1));
    add_key(txn, data, "team", "teams", text_at(row, 2));
    add_time(data, "expires_at", json_integer_value(json_array_get(row, 3)));
    if (note_told(txn, "credentials", text_at(row, 0), err))
        return tell(txn, "credential.expiring", text_at(row, 2), NULL, data, err);
    json_decref(data);
    return false;
}

static bool look_at_credentials(slc_txn *txn, int64_t before_ms, slc_error *err)
{
    static const char sql[] = "SELECT c.id, c.application, a.team, c.expires_at FROM credentials AS c JOIN "
                              "applications AS a ON a.id = "
                              "c.application WHERE c.revoked_at IS NULL AND c.expires_at BETWEEN ?2 AND ?3 AND "
                              "NOT EXISTS (SELECT 1 FROM "
                              "told_states AS t WHERE t.kind = 'credentials' AND t.entity_id = c.id) LIMIT ?1";
    return for_each(
        txn, slc_txn_query(txn, err, sql, "iii", (int64_t)LOOK_MAX, txn->now_ms, txn->now_ms + before_ms),
        tell_expiring, err);
}

static bool forget_gone(slc_txn *txn, slc_error *err)
{
    return slc_txn_exec(
        txn, err,
        "DELETE FROM told_states WHERE (kind = 'gateway-nodes' AND entity_id NOT IN (SELECT id FROM "
        "gateway_nodes)) OR (kind = 'credentials' AND entity_id NOT IN (SELECT id FROM credentials))",
        "");
}

bool slc_notify_look_around(slc_txn *txn, const slc_notify_look *look, slc_error *err)
{
    return (!look->nodes || look_at_nodes(txn, err)) &&
           look_at_credentials(txn, look->credential_before_ms, err) && forget_gone(txn, err);
}
