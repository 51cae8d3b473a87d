/* Plans and policies: what may be done, and under which rules. */
#include <stdlib.h>
#include <string.h>

#include "catalog/compile_private.h"

/* ---- plans ---- */

/* Those of the product's event APIs that are deployed here. */
static bool compile_plan_apis(slc_compile *compile, const char *product_id, Sluice__Snapshot__V1__Plan *plan,
                              slc_error *err)
{
    json_t *ids = json_array();
    int row = 0;
    sqlite3_stmt *stmt = slc_txn_query(
        compile->txn, err, "SELECT target_id FROM products_event_apis WHERE owner_id = ? ORDER BY target_id",
        "s", product_id);
    while (stmt != NULL && (row = slc_txn_step(compile->txn, stmt, err)) == 1)
        if (slc_set_has(compile->event_apis, slc_column_text(stmt, 0)))
            json_array_append_new(ids, json_string(slc_column_text(stmt, 0)));
    plan->event_api_ids = slc_compile_texts(compile, ids, &plan->n_event_api_ids);
    slc_txn_finish(compile->txn, stmt);
    json_decref(ids);
    return stmt != NULL && row == 0;
}

static Sluice__Snapshot__V1__Limits *compile_limits(slc_compile *compile, const json_t *object)
{
    if (!json_is_object(object))
        return NULL;
    Sluice__Snapshot__V1__Limits *limits = slc_compile_alloc(compile, sizeof *limits);
    sluice__snapshot__v1__limits__init(limits);
    limits->events_per_second = (uint64_t)json_integer_value(json_object_get(object, "events_per_second"));
    limits->bytes_per_second = (uint64_t)json_integer_value(json_object_get(object, "bytes_per_second"));
    limits->requests_per_second = (uint64_t)json_integer_value(json_object_get(object, "requests_per_second"));
    limits->connections = (uint32_t)json_integer_value(json_object_get(object, "connections"));
    limits->streams = (uint32_t)json_integer_value(json_object_get(object, "streams"));
    return limits;
}

static bool compile_plan(slc_compile *compile, sqlite3_stmt *stmt, slc_items *items, slc_error *err)
{
    Sluice__Snapshot__V1__Plan *plan = slc_compile_alloc(compile, sizeof *plan);
    char *product_id = slc_compile_text(compile, slc_column_text(stmt, 2));
    json_t *limits = slc_column_json(stmt, 5);
    sluice__snapshot__v1__plan__init(plan);
    plan->id = slc_compile_text(compile, slc_column_text(stmt, 0));
    plan->name = slc_compile_text(compile, slc_column_text(stmt, 1));
    plan->product = slc_compile_text(compile, slc_column_text(stmt, 3));
    plan->n_operations = slc_compile_operations(compile, stmt, 4, &plan->operations);
    plan->limits = compile_limits(compile, limits);
    json_decref(limits);
    if (!compile_plan_apis(compile, product_id, plan, err))
        return false;
    if (plan->n_event_api_ids == 0)
        return true;
    slc_set_add(compile->plans, plan->id);
    slc_items_add(items, &plan->base, plan->id);
    return true;
}

/* A draft has no subscribers yet; a retired product grants nothing any more. */
bool slc_compile_plans(slc_compile *compile, slc_error *err)
{
    slc_items items = {0};
    bool ok = true;
    int row = 0;
    sqlite3_stmt *stmt =
        slc_txn_prepare(compile->txn,
                        "SELECT p.id, p.name, r.id, r.name, p.operations, p.limits FROM plans p "
                        "JOIN products r ON r.id = p.product "
                        "WHERE r.lifecycle IN ('published', 'deprecated') ORDER BY p.id",
                        err);
    if (stmt == NULL)
        return false;
    while (ok && (row = slc_txn_step(compile->txn, stmt, err)) == 1)
        ok = compile_plan(compile, stmt, &items, err);
    slc_txn_finish(compile->txn, stmt);
    slc_compile_section(compile, SLUICE__SNAPSHOT__V1__SECTION__SECTION_PLANS, &items);
    return ok && row == 0;
}

/* ---- policies ---- */

/* Scope kinds, and where a policy of that scope concerns this group. */
static bool scope_of(const slc_compile *compile, const char *kind, const char *id,
                     Sluice__Snapshot__V1__ScopeKind *scope)
{
    const struct {
        const char *kind;
        Sluice__Snapshot__V1__ScopeKind scope;
        const json_t *set; /* NULL: all of them */
    } scopes[] = {
        {"group", SLUICE__SNAPSHOT__V1__SCOPE_KIND__SCOPE_KIND_GROUP, NULL},
        {"listener", SLUICE__SNAPSHOT__V1__SCOPE_KIND__SCOPE_KIND_LISTENER, compile->listeners},
        {"virtual-cluster", SLUICE__SNAPSHOT__V1__SCOPE_KIND__SCOPE_KIND_VIRTUAL_CLUSTER, compile->vclusters},
        {"event-api", SLUICE__SNAPSHOT__V1__SCOPE_KIND__SCOPE_KIND_EVENT_API, compile->event_apis},
        {"plan", SLUICE__SNAPSHOT__V1__SCOPE_KIND__SCOPE_KIND_PLAN, compile->plans},
        {"application", SLUICE__SNAPSHOT__V1__SCOPE_KIND__SCOPE_KIND_APPLICATION, NULL},
    };
    for (size_t i = 0; kind != NULL && i < sizeof scopes / sizeof *scopes; i++) {
        if (strcmp(scopes[i].kind, kind) != 0)
            continue;
        *scope = scopes[i].scope;
        if (*scope == SLUICE__SNAPSHOT__V1__SCOPE_KIND__SCOPE_KIND_GROUP)
            return strcmp(id, compile->group_id) == 0;
        return scopes[i].set == NULL || slc_set_has(scopes[i].set, id);
    }
    return false;
}

/* Key rings and schema registries go to those groups alone that use them. */
static void note_names(slc_compile *compile, sqlite3_stmt *stmt)
{
    const char *type = slc_column_text(stmt, 2);
    bool encrypts = strcmp(type, "encrypt") == 0, checks = strcmp(type, "schema") == 0;
    json_t *config = encrypts || checks ? slc_column_json(stmt, 7) : NULL;
    const char *name = json_string_value(json_object_get(config, encrypts ? "key_ring" : "registry"));
    if (name != NULL)
        slc_set_add(encrypts ? compile->key_rings : compile->registries, name);
    json_decref(config);
}

static void compile_policy(slc_compile *compile, sqlite3_stmt *stmt, slc_items *items)
{
    Sluice__Snapshot__V1__ScopeKind kind;
    json_t *scope = slc_column_json(stmt, 3);
    const char *scope_id = json_string_value(json_object_get(scope, "ref"));
    if (scope_of(compile, json_string_value(json_object_get(scope, "kind")), scope_id, &kind)) {
        Sluice__Snapshot__V1__Policy *policy = slc_compile_alloc(compile, sizeof *policy);
        sluice__snapshot__v1__policy__init(policy);
        policy->id = slc_compile_text(compile, slc_column_text(stmt, 0));
        policy->name = slc_compile_text(compile, slc_column_text(stmt, 1));
        policy->type = slc_compile_text(compile, slc_column_text(stmt, 2));
        policy->scope = kind;
        policy->scope_id = slc_compile_text(compile, scope_id);
        policy->order = (int32_t)sqlite3_column_int64(stmt, 4);
        policy->dry_run = sqlite3_column_int(stmt, 5) != 0;
        policy->condition = slc_compile_text(compile, slc_column_text(stmt, 6));
        policy->config_json = slc_compile_text(compile, slc_column_text(stmt, 7));
        slc_items_add(items, &policy->base, policy->id);
        note_names(compile, stmt);
    }
    json_decref(scope);
}

bool slc_compile_policies(slc_compile *compile, slc_error *err)
{
    slc_items items = {0};
    int row = 0;
    sqlite3_stmt *stmt = slc_txn_prepare(compile->txn,
                                         "SELECT id, name, type, scope, \"order\", dry_run, condition, config "
                                         "FROM policies WHERE enabled = 1 ORDER BY id",
                                         err);
    if (stmt == NULL)
        return false;
    while ((row = slc_txn_step(compile->txn, stmt, err)) == 1)
        compile_policy(compile, stmt, &items);
    slc_txn_finish(compile->txn, stmt);
    slc_compile_section(compile, SLUICE__SNAPSHOT__V1__SECTION__SECTION_POLICIES, &items);
    return row == 0;
}
