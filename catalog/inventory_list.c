/* Showing what is on a backend: which topics deployments use, whose grants cover them, and how groups do. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalog/entity.h"
#include "catalog/inventory.h"
#include "catalog/namespace.h"
#include "catalog/store.h"
#include "common/alloc.h"
#include "common/clock.h"
#include "common/crypto.h"
#include "common/glob.h"

#define LIMIT_DEFAULT   100
#define TOPIC_CHARS     250
#define DEPLOYMENTS_MAX 20 /* shown of one topic */

/* What is known of the backend's virtual clusters. */
struct view {
    json_t *vclusters; /* by id, in stored form */
    json_t *uses;      /* by topic of the backend: keys of deployments */
    json_t *grants;    /* [{team, key, vcluster, topic}] */
};

/* ---- names ---- */

/* Does the grant cover the backend's topic? A glob is over the names that clients use. */
static bool covers(const json_t *grant, const json_t *vclusters, const char *topic)
{
    const json_t *vcluster = json_object_get(vclusters, slc_get_text(grant, "vcluster"));
    const json_t *namespace = json_object_get(vcluster, "namespace");
    const char *mode = slc_get_text(namespace, "mode"), *prefix = slc_get_text(namespace, "prefix");
    const char *glob = slc_get_text(grant, "topic"), *name = topic;
    if (mode != NULL && strcmp(mode, "hide") == 0 && prefix != NULL) {
        if (strncmp(topic, prefix, strlen(prefix)) != 0)
            return false;
        name = topic + strlen(prefix);
    }
    return slc_namespace_has_topic(vcluster, name) && slc_glob_match(glob, name, strlen(name));
}

/* ---- the backend's view ---- */

static bool load_vclusters(slc_txn *txn, const char *backend_id, json_t *out, slc_error *err)
{
    json_t *ids = json_array(), *id;
    size_t i;
    sqlite3_stmt *stmt =
        slc_txn_query(txn, err, "SELECT id FROM virtual_clusters WHERE backend_cluster = ?1", "s", backend_id);
    int rc = stmt == NULL ? -1 : 1;
    while (rc == 1 && (rc = slc_txn_step(txn, stmt, err)) == 1)
        json_array_append_new(ids, json_string(slc_column_text(stmt, 0)));
    slc_txn_finish(txn, stmt);
    bool ok = rc == 0;
    json_array_foreach (ids, i, id) {
        json_t *stored =
            ok ? slc_entity_load(txn, slc_kind_find("virtual-clusters"), json_string_value(id), err) : NULL;
        ok = ok && stored != NULL;
        if (stored != NULL)
            json_object_set_new(out, json_string_value(id), stored);
    }
    json_decref(ids);
    return ok;
}

static void add_use(json_t *uses, const char *topic, const char *deployment)
{
    json_t *list = json_object_get(uses, topic);
    if (list == NULL) {
        list = json_array();
        json_object_set_new(uses, topic, list);
    }
    if (json_array_size(list) < DEPLOYMENTS_MAX)
        json_array_append_new(list, json_string(deployment));
}

static bool load_uses(slc_txn *txn, const char *backend_id, struct view *view, slc_error *err)
{
    static const char sql[] =
        "SELECT d.key, d.virtual_cluster, d.topic FROM deployments AS d JOIN virtual_clusters AS "
        "v ON v.id = d.virtual_cluster WHERE v.backend_cluster = ?1";
    char topic[SLC_BACKEND_TOPIC_CHARS];
    sqlite3_stmt *stmt = slc_txn_query(txn, err, sql, "s", backend_id);
    int rc = stmt == NULL ? -1 : 1;
    while (rc == 1 && (rc = slc_txn_step(txn, stmt, err)) == 1) {
        slc_namespace_backend_topic(json_object_get(view->vclusters, slc_column_text(stmt, 1)),
                                    slc_column_text(stmt, 2), topic);
        add_use(view->uses, topic, slc_column_text(stmt, 0));
    }
    slc_txn_finish(txn, stmt);
    return rc == 0;
}

static bool load_grants(slc_txn *txn, const char *backend_id, struct view *view, slc_error *err)
{
    static const char sql[] =
        "SELECT g.team, t.key, g.virtual_cluster, g.topic FROM grants AS g JOIN teams AS t ON t.id "
        "= g.team JOIN virtual_clusters AS v ON v.id = g.virtual_cluster WHERE "
        "v.backend_cluster = ?1";
    sqlite3_stmt *stmt = slc_txn_query(txn, err, sql, "s", backend_id);
    int rc = stmt == NULL ? -1 : 1;
    while (rc == 1 && (rc = slc_txn_step(txn, stmt, err)) == 1)
        json_array_append_new(view->grants,
                              json_pack("{s:s, s:s, s:s, s:s}", "team", slc_column_text(stmt, 0), "key",
                                        slc_column_text(stmt, 1), "vcluster", slc_column_text(stmt, 2), "topic",
                                        slc_column_text(stmt, 3)));
    slc_txn_finish(txn, stmt);
    return rc == 0;
}

/* ---- the answer ---- */

static void add_time(json_t *out, const char *name, sqlite3_stmt *stmt, int column)
{
    char text[SLC_RFC3339_CHARS];
    if (sqlite3_column_type(stmt, column) == SQLITE_NULL)
        return;
    slc_rfc3339_format(sqlite3_column_int64(stmt, column), text);
    json_object_set_new(out, name, json_string(text));
}

static void add_int(json_t *out, const char *name, sqlite3_stmt *stmt, int column)
{
    if (sqlite3_column_type(stmt, column) != SQLITE_NULL)
        json_object_set_new(out, name, json_integer(sqlite3_column_int64(stmt, column)));
}

static void add_text(json_t *out, const char *name, sqlite3_stmt *stmt, int column)
{
    if (slc_column_text(stmt, column) != NULL)
        json_object_set_new(out, name, json_string(slc_column_text(stmt, column)));
}

/* {backend, reachable, ...}: new. */
static json_t *head(slc_txn *txn, const char *backend, char id[SLC_ID_CHARS + 1], slc_error *err)
{
    static const char sql[] = "SELECT node_id, seen_at, error, error_since, groups_error, group_total FROM "
                              "usage.inventory_backends WHERE backend_id = ?1";
    json_t *stored = slc_entity_load(txn, slc_kind_find("backend-clusters"), backend, err);
    if (stored == NULL)
        return NULL;
    snprintf(id, SLC_ID_CHARS + 1, "%s", slc_get_text(stored, "id"));
    json_t *out = json_pack("{s:s}", "backend", slc_get_text(stored, "name"));
    json_decref(stored);
    sqlite3_stmt *stmt = slc_txn_query(txn, err, sql, "s", id);
    int rc = stmt == NULL ? -1 : slc_txn_step(txn, stmt, err);
    if (rc == 1) {
        add_text(out, "node", stmt, 0);
        add_time(out, "seen_at", stmt, 1);
        add_text(out, "error", stmt, 2);
        add_time(out, "error_since", stmt, 3);
        add_text(out, "groups_error", stmt, 4);
        add_int(out, "group_total", stmt, 5);
        json_object_set_new(out, "reachable", json_boolean(slc_column_text(stmt, 2) == NULL));
    }
    slc_txn_finish(txn, stmt);
    if (rc >= 0)
        return out;
    json_decref(out);
    return NULL;
}

static bool cursor_parse(const char *cursor, char name[2 * TOPIC_CHARS], slc_error *err)
{
    long len = slc_base64url_decode(cursor, strlen(cursor), (uint8_t *)name, 2 * TOPIC_CHARS - 1);
    name[len > 0 ? len : 0] = '\0';
    return (len > 0 && strlen(name) == (size_t)len) ||
           slc_fail(err, SLC_INVALID, "cursor", "the cursor is not one that an inventory gave out");
}

static json_t *cursor_make(const char *name)
{
    char *out = slc_malloc(4 * ((strlen(name) + 2) / 3) + 1);
    slc_base64url_encode(name, strlen(name), out);
    json_t *cursor = json_string(out);
    free(out);
    return cursor;
}

static bool has_team(const json_t *teams, const json_t *grant)
{
    return teams == NULL || slc_has_text(teams, slc_get_text(grant, "team"));
}

/* NULL: not wanted. `teams` as in inventory.h. */
static json_t *show_topic(sqlite3_stmt *stmt, const struct view *view, const slc_inventory_query *query,
                          const json_t *teams)
{
    const char *name = slc_column_text(stmt, 0);
    json_t *uses = json_object_get(view->uses, name), *owners = json_array(), *grant;
    bool covered = teams == NULL;
    size_t i;
    if (query->managed >= 0 && (query->managed == 1) != (uses != NULL)) {
        json_decref(owners);
        return NULL;
    }
    json_array_foreach (view->grants, i, grant) {
        if (!covers(grant, view->vclusters, name))
            continue;
        covered = covered || has_team(teams, grant);
        if (!slc_has_text(owners, slc_get_text(grant, "key")))
            json_array_append_new(owners, json_string(slc_get_text(grant, "key")));
    }
    if (!covered) {
        json_decref(owners);
        return NULL;
    }
    json_t *item = json_pack("{s:s, s:b, s:o, s:b, s:o}", "name", name, "managed", (int)(uses != NULL),
                             "deployments", uses != NULL ? json_deep_copy(uses) : json_array(), "internal",
                             (int)slc_namespace_is_internal(name), "teams", owners);
    add_int(item, "partitions", stmt, 1);
    add_int(item, "replication", stmt, 2);
    add_int(item, "retention_ms", stmt, 3);
    add_text(item, "cleanup_policy", stmt, 4);
    add_time(item, "seen_at", stmt, 5);
    return item;
}

static bool read_topics(slc_txn *txn, const char *backend_id, const struct view *view,
                        const slc_inventory_query *query, const char *after, const json_t *teams, json_t *out,
                        slc_error *err)
{
    static const char sql[] =
        "SELECT name, partitions, replication, retention_ms, cleanup_policy, seen_at FROM "
        "usage.inventory_topics WHERE backend_id = ?1 AND name > ?2 AND (?3 IS NULL OR "
        "instr(lower(name), lower(?3)) > 0) ORDER BY name";
    size_t limit = (size_t)(query->limit > 0 ? query->limit : LIMIT_DEFAULT);
    json_t *items = json_object_get(out, "items"), *item;
    char last[2 * TOPIC_CHARS] = "";
    sqlite3_stmt *stmt = slc_txn_query(txn, err, sql, "sss", backend_id, after, query->search);
    int rc = stmt == NULL ? -1 : 1;
    while (rc == 1 && (rc = slc_txn_step(txn, stmt, err)) == 1) {
        if ((item = show_topic(stmt, view, query, teams)) == NULL)
            continue;
        if (json_array_size(items) == limit) {
            json_decref(item);
            json_object_set_new(out, "next", cursor_make(last));
            rc = 0;
            break;
        }
        snprintf(last, sizeof last, "%s", slc_column_text(stmt, 0));
        json_array_append_new(items, item);
    }
    slc_txn_finish(txn, stmt);
    return rc == 0;
}

json_t *slc_inventory_topics(slc_txn *txn, const char *backend, const slc_inventory_query *query,
                             const json_t *teams, slc_error *err)
{
    struct view view = {json_object(), json_object(), json_array()};
    char after[2 * TOPIC_CHARS] = "", id[SLC_ID_CHARS + 1];
    json_t *out =
        query->cursor == NULL || cursor_parse(query->cursor, after, err) ? head(txn, backend, id, err) : NULL;
    bool ok = out != NULL;
    if (ok) {
        json_object_set_new(out, "items", json_array());
        json_object_set_new(out, "next", json_null());
        ok = load_vclusters(txn, id, view.vclusters, err) && load_uses(txn, id, &view, err) &&
             load_grants(txn, id, &view, err) && read_topics(txn, id, &view, query, after, teams, out, err);
    }
    json_decref(view.vclusters);
    json_decref(view.uses);
    json_decref(view.grants);
    if (ok)
        return out;
    json_decref(out);
    return NULL;
}

static json_t *show_group(sqlite3_stmt *stmt)
{
    json_t *item = json_pack("{s:s, s:s, s:o}", "id", slc_column_text(stmt, 0), "state",
                             slc_column_text(stmt, 1), "topics", slc_column_json(stmt, 4));
    add_int(item, "members", stmt, 2);
    add_int(item, "lag", stmt, 3);
    add_time(item, "seen_at", stmt, 5);
    return item;
}

json_t *slc_inventory_groups(slc_txn *txn, const char *backend, const slc_inventory_query *query,
                             slc_error *err)
{
    static const char sql[] =
        "SELECT id, state, members, lag, topics, seen_at FROM usage.inventory_groups WHERE "
        "backend_id = ?1 AND id > ?2 AND (?3 IS NULL OR instr(lower(id), lower(?3)) > 0) ORDER BY "
        "id LIMIT ?4";
    size_t limit = (size_t)(query->limit > 0 ? query->limit : LIMIT_DEFAULT);
    char after[2 * TOPIC_CHARS] = "", id[SLC_ID_CHARS + 1], last[2 * TOPIC_CHARS] = "";
    json_t *out =
        query->cursor == NULL || cursor_parse(query->cursor, after, err) ? head(txn, backend, id, err) : NULL;
    if (out == NULL)
        return NULL;
    json_t *items = json_array();
    json_object_set_new(out, "items", items);
    json_object_set_new(out, "next", json_null());
    sqlite3_stmt *stmt = slc_txn_query(txn, err, sql, "sssi", id, after, query->search, (int64_t)limit + 1);
    int rc = stmt == NULL ? -1 : 1;
    while (rc == 1 && (rc = slc_txn_step(txn, stmt, err)) == 1) {
        if (json_array_size(items) == limit) {
            json_object_set_new(out, "next", cursor_make(last));
            rc = 0;
            break;
        }
        snprintf(last, sizeof last, "%s", slc_column_text(stmt, 0));
        json_array_append_new(items, show_group(stmt));
    }
    slc_txn_finish(txn, stmt);
    if (rc == 0)
        return out;
    json_decref(out);
    return NULL;
}
