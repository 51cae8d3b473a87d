/* One event API with what is around it. */
#include <stdlib.h>
#include <string.h>

#include "catalog/discover_private.h"
#include "catalog/entity.h"
#include "catalog/token.h"

static const char visible_sql[] = "SELECT 1 FROM event_apis AS e WHERE e.id = ?2 AND " SLC_DISCOVER_API;

static const char versions_sql[] =
    "SELECT json_object('key', e.key, 'lifecycle', e.lifecycle) FROM event_apis AS e WHERE e.name = (SELECT "
    "name FROM event_apis WHERE id = ?2) AND " SLC_DISCOVER_API " ORDER BY e.major DESC LIMIT 100";

/* A topic has a name for those who reach it by native Kafka alone. */
static const char deployments_sql[] =
    "SELECT json_object('group', g.key, 'group_title', g.title, 'environment', g.environment, 'rest_url', "
    "g.rest_url, 'kafka_url', g.kafka_url, 'topic', CASE WHEN EXISTS (SELECT 1 FROM json_each(e.exposures) "
    "WHERE value = 'kafka') THEN d.topic END) FROM deployments AS d JOIN gateway_groups AS g ON g.id = "
    "d.gateway_group JOIN event_apis AS e ON e.id = d.event_api WHERE d.event_api = ?2 ORDER BY g.environment, "
    "g.key LIMIT 200";

static const char products_sql[] =
    "SELECT json_object('name', p.name, 'title', p.title, 'lifecycle', p.lifecycle, 'id', p.id) FROM "
    "products_event_apis AS l JOIN products AS p ON p.id = l.owner_id WHERE l.target_id = ?2 "
    "AND " SLC_DISCOVER_PRODUCT " ORDER BY p.key LIMIT 100";

static const char plans_sql[] = "SELECT json_quote(key) FROM plans WHERE product = ?2 ORDER BY key LIMIT 100";

/* The first column of each row, which is JSON: new. */
static json_t *collect(slc_txn *txn, const char *sql, const char *teams, const char *id, slc_error *err)
{
    sqlite3_stmt *stmt = slc_txn_prepare(txn, sql, err);
    json_t *list = json_array();
    int rc = -1;
    if (stmt != NULL) {
        sqlite3_bind_text(stmt, 1, teams, -1, SQLITE_TRANSIENT);
        sqlite3_bind_text(stmt, 2, id, -1, SQLITE_TRANSIENT);
        while ((rc = slc_txn_step(txn, stmt, err)) == 1) {
            const char *text = slc_column_text(stmt, 0);
            json_array_append_new(list, json_loads(text, JSON_DECODE_ANY, NULL));
        }
    }
    slc_txn_finish(txn, stmt);
    if (rc == 0)
        return list;
    json_decref(list);
    return NULL;
}

/* The plans of each product, as their kind shows them. */
static bool add_plans(slc_txn *txn, json_t *products, slc_error *err)
{
    size_t i, j;
    json_t *product, *key;
    json_array_foreach (products, i, product) {
        json_t *plans = json_array();
        json_t *keys = collect(txn, plans_sql, NULL, json_string_value(json_object_get(product, "id")), err);
        bool ok = keys != NULL;
        json_array_foreach (keys, j, key) {
            json_t *plan = ok ? slc_entity_get(txn, slc_kind_find("plans"), json_string_value(key), err) : NULL;
            ok = plan != NULL && json_array_append_new(plans, plan) == 0;
        }
        json_object_set_new(product, "plans", plans);
        json_object_del(product, "id");
        json_decref(keys);
        if (!ok)
            return false;
    }
    return true;
}

static bool add(slc_txn *txn, json_t *api, const char *name, const char *sql, const char *teams, slc_error *err)
{
    const char *id = json_string_value(json_object_get(api, "id"));
    json_t *list = collect(txn, sql, teams, id, err);
    return list != NULL && json_object_set_new(api, name, list) == 0;
}

static bool is_visible(slc_txn *txn, const json_t *api, const char *teams, slc_error *err)
{
    json_t *rows = collect(txn, visible_sql, teams, json_string_value(json_object_get(api, "id")), err);
    bool visible = json_array_size(rows) > 0;
    if (rows != NULL && !visible)
        slc_fail(err, SLC_NOT_FOUND, NULL, "there is no event API %.100s",
                 json_string_value(json_object_get(api, "name")));
    json_decref(rows);
    return visible;
}

json_t *slc_discover_get(slc_txn *txn, const char *key, const slc_identity *viewer, slc_error *err)
{
    json_t *api = slc_entity_get(txn, slc_kind_find("event-apis"), key, err);
    char *teams = slc_discover_teams(viewer);
    bool ok = api != NULL && is_visible(txn, api, teams, err) &&
              add(txn, api, "deployments", deployments_sql, teams, err) &&
              add(txn, api, "products", products_sql, teams, err) &&
              add(txn, api, "versions", versions_sql, teams, err) &&
              add_plans(txn, json_object_get(api, "products"), err);
    free(teams);
    if (ok)
        return api;
    json_decref(api);
    return NULL;
}
