/* One event API or REST API with what is around it. */
#include <stdlib.h>
#include <string.h>

#include "catalog/discover_private.h"
#include "catalog/document_facts.h"
#include "catalog/entity.h"
#include "common/alloc.h"
#include "common/json.h"

static const char api_visible_sql[] = "SELECT 1 FROM event_apis AS e WHERE e.id = ?2 AND " SLC_DISCOVER_API;
static const char rest_visible_sql[] =
    "SELECT 1 FROM rest_apis AS r WHERE r.id = ?2 AND " SLC_DISCOVER_REST("r", "?1", "?20");

static const char versions_sql[] =
    "SELECT json_object('key', e.key, 'lifecycle', e.lifecycle) FROM event_apis AS e WHERE e.name = (SELECT "
    "name FROM event_apis WHERE id = ?2) AND " SLC_DISCOVER_API " ORDER BY e.major DESC LIMIT 100";

/* A topic has a name for those who reach it by native Kafka alone. */
static const char deployments_sql[] =
    "SELECT json_object('group', g.key, 'group_title', g.title, 'environment', g.environment, 'rest_url', "
    "g.rest_url, 'kafka_url', g.kafka_url, 'topic', CASE WHEN EXISTS (SELECT 1 FROM json_each(e.exposures) "
    "WHERE value = 'kafka') THEN d.topic END) FROM deployments AS d JOIN gateway_groups AS g ON g.id = "
    "d.gateway_group JOIN event_apis AS e ON e.id = d.event_api WHERE d.event_api = ?2 AND ?20 = 0 ORDER BY "
    "g.environment, g.key LIMIT 200";

static const char products_sql[] =
    "SELECT json_object('name', p.name, 'title', p.title, 'lifecycle', p.lifecycle, 'id', p.id) FROM "
    "products_event_apis AS l JOIN products AS p ON p.id = l.owner_id WHERE l.target_id = ?2 "
    "AND " SLC_DISCOVER_PRODUCT " ORDER BY p.key LIMIT 100";

static const char plans_sql[] = "SELECT json_quote(key) FROM plans WHERE product = ?2 ORDER BY key LIMIT 100";

/* What visitors have of each. */
static const char *const api_public[] = {
    "name",      "major",    "title",         "description",     "team",      "lifecycle",
    "sunset_at", "tags",     "deprecated_at", "operations",      "exposures", "key",
    "schema",    "examples", "changelog",     "max_event_bytes", NULL};
static const char *const rest_public[] = {
    "name",      "title",   "description", "team",    "lifecycle",  "sunset_at",       "tags", "deprecated_at",
    "changelog", "version", "openapi",     "servers", "operations", "operation_count", NULL};
static const char *const plan_public[] = {"product", "name", "title", "operations", "approval", "limits", NULL};

static void keep(json_t *object, const char *const *names)
{
    const char *name;
    json_t *value;
    void *next;
    json_object_foreach_safe(object, next, name, value)
    {
        const char *const *kept = names;
        while (*kept != NULL && strcmp(*kept, name) != 0)
            kept++;
        if (*kept == NULL)
            json_object_del(object, name);
    }
}

/* The first column of each row, which is JSON: new. */
static json_t *collect(slc_txn *txn, const char *sql, const slc_discover_viewer *viewer, const char *id,
                       slc_error *err)
{
    sqlite3_stmt *stmt = slc_txn_prepare(txn, sql, err);
    json_t *list = json_array();
    int rc = -1;
    if (stmt != NULL) {
        char *teams = slc_discover_teams(viewer);
        sqlite3_bind_text(stmt, 1, teams, -1, SQLITE_TRANSIENT);
        free(teams);
        sqlite3_bind_text(stmt, 2, id, -1, SQLITE_TRANSIENT);
        sqlite3_bind_int(stmt, SLC_DISCOVER_VISITOR, viewer->visitor);
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
static bool add_plans(slc_txn *txn, json_t *products, const slc_discover_viewer *viewer, slc_error *err)
{
    size_t i, j;
    json_t *product, *key;
    json_array_foreach (products, i, product) {
        json_t *plans = json_array();
        json_t *keys = collect(txn, plans_sql, viewer, json_string_value(json_object_get(product, "id")), err);
        bool ok = keys != NULL;
        json_array_foreach (keys, j, key) {
            json_t *plan = ok ? slc_entity_get(txn, slc_kind_find("plans"), json_string_value(key), err) : NULL;
            if (plan != NULL && viewer->visitor)
                keep(plan, plan_public);
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

static bool add(slc_txn *txn, json_t *api, const char *name, const char *sql, const slc_discover_viewer *viewer,
                const char *id, slc_error *err)
{
    json_t *list = collect(txn, sql, viewer, id, err);
    return list != NULL && json_object_set_new(api, name, list) == 0;
}

static bool is_visible(slc_txn *txn, const char *sql, const slc_discover_viewer *viewer, const char *id,
                       slc_error *err)
{
    json_t *rows = collect(txn, sql, viewer, id, err);
    bool visible = json_array_size(rows) > 0;
    json_decref(rows);
    return visible;
}

/* The id of the one that the viewer may know of: 1 found, 0 not, -1 error. */
static int find(slc_txn *txn, const char *kind, const char *key, const slc_discover_viewer *viewer,
                char id[SLC_ID_CHARS + 1], slc_error *err)
{
    bool events = strcmp(kind, "event-apis") == 0;
    if (!(events ? viewer->event_apis : viewer->rest_apis))
        return 0;
    int rc = slc_row_resolve(txn, slc_kind_find(kind), key, id, err);
    slc_error trouble = {0};
    if (rc == 1 && !is_visible(txn, events ? api_visible_sql : rest_visible_sql, viewer, id, &trouble)) {
        rc = trouble.code == SLC_OK ? 0 : -1;
        if (rc < 0)
            *err = trouble;
    }
    return rc;
}

/* ---- the two kinds ---- */

static void strip_schema(json_t *schema)
{
    json_object_del(schema, "registry"); /* NULL is fine */
}

static json_t *event_api(slc_txn *txn, const char *id, const slc_discover_viewer *viewer, slc_error *err)
{
    json_t *api = slc_entity_get(txn, slc_kind_find("event-apis"), id, err);
    if (api == NULL)
        return NULL;
    if (viewer->visitor) {
        keep(api, api_public);
        strip_schema(json_object_get(api, "schema"));
    }
    json_object_set_new(api, "kind", json_string("event-apis"));
    if (add(txn, api, "deployments", deployments_sql, viewer, id, err) &&
        add(txn, api, "products", products_sql, viewer, id, err) &&
        add(txn, api, "versions", versions_sql, viewer, id, err) &&
        add_plans(txn, json_object_get(api, "products"), viewer, err))
        return api;
    json_decref(api);
    return NULL;
}

static json_t *rest_api(slc_txn *txn, const char *id, const slc_discover_viewer *viewer, slc_error *err)
{
    json_t *api = slc_entity_get(txn, slc_kind_find("rest-apis"), id, err);
    if (api == NULL)
        return NULL;
    if (viewer->visitor)
        keep(api, rest_public);
    json_object_del(api, "document");
    json_object_set_new(api, "kind", json_string("rest-apis"));
    json_object_set_new(api, "served", json_false());
    return api;
}

json_t *slc_discover_get(slc_txn *txn, const char *key, const slc_discover_viewer *viewer, slc_error *err)
{
    char id[SLC_ID_CHARS + 1];
    int rc = find(txn, "event-apis", key, viewer, id, err);
    if (rc == 1)
        return event_api(txn, id, viewer, err);
    rc = rc == 0 ? find(txn, "rest-apis", key, viewer, id, err) : rc;
    if (rc == 1)
        return rest_api(txn, id, viewer, err);
    if (rc == 0)
        slc_fail(err, SLC_NOT_FOUND, NULL, "there is no %s %.100s",
                 strchr(key, '.') != NULL ? "event API" : "REST API", key);
    return NULL;
}

char *slc_discover_document(slc_txn *txn, const char *key, const slc_discover_viewer *viewer, size_t *len,
                            slc_error *err)
{
    char id[SLC_ID_CHARS + 1], *text = NULL;
    int rc = find(txn, "rest-apis", key, viewer, id, err);
    if (rc == 0)
        slc_fail(err, SLC_NOT_FOUND, NULL, "there is no REST API %.100s", key);
    sqlite3_stmt *stmt =
        rc == 1 ? slc_txn_query(txn, err, "SELECT document FROM rest_apis WHERE id = ?1", "s", id) : NULL;
    if (stmt != NULL && slc_txn_step(txn, stmt, err) == 1) {
        text = slc_strdup(slc_column_text(stmt, 0));
        *len = strlen(text);
    }
    slc_txn_finish(txn, stmt);
    return text;
}

/* Of what people can be told where it is. */
static char *print_asyncapi(slc_txn *txn, slc_document_facts *facts, const char *group, size_t *len,
                            slc_error *err)
{
    slc_document_source *source = &facts->source;
    if (source->rest_url == NULL)
        source->rest = source->sse = false;
    if (source->kafka_url == NULL)
        source->kafka = false;
    if (!source->rest && !source->sse && !source->kafka) {
        slc_fail(err, SLC_NOT_FOUND, NULL,
                 "nobody is told an address of it on gateway group %.100s: the group lacks the rest_url or the "
                 "kafka_url, or no kafka listener leads to the virtual cluster",
                 group);
        return NULL;
    }
    if (source->kafka && !slc_document_facts_add_partitions(txn, facts, err))
        return NULL;
    json_t *document = slc_document_asyncapi(source);
    char *text = slc_json_print(document, len);
    json_decref(document);
    return text;
}

char *slc_discover_asyncapi(slc_txn *txn, const char *key, const char *group, const slc_discover_viewer *viewer,
                            size_t *len, slc_error *err)
{
    char id[SLC_ID_CHARS + 1], group_id[SLC_ID_CHARS + 1], *text = NULL;
    int rc = viewer->visitor ? 0 : find(txn, "event-apis", key, viewer, id, err);
    if (rc == 0)
        slc_fail(err, SLC_NOT_FOUND, NULL, "there is no event API %.100s", key);
    if (rc != 1)
        return NULL;
    slc_document_facts facts = {0};
    rc = slc_row_resolve(txn, slc_kind_find("gateway-groups"), group, group_id, err);
    if (rc == 1)
        rc = slc_document_facts_read(txn, id, group_id, &facts, err);
    if (rc == 0)
        slc_fail(err, SLC_NOT_FOUND, NULL, "event API %.100s is not deployed on a gateway group %.100s", key,
                 group);
    if (rc == 1)
        text = print_asyncapi(txn, &facts, group, len, err);
    slc_document_facts_release(&facts);
    return text;
}
