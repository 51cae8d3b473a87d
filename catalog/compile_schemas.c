/* Schemas of event APIs, and the registries that they and policies name. */
#include "catalog/compile_private.h"
#include "catalog/rules.h"

/* ---- schemas ---- */

/* A definition is up to a quarter of a megabyte, which nobody needs who checks nothing by it. */
static bool is_asked_for(slc_compile *compile, bool *asked, slc_error *err)
{
    sqlite3_stmt *stmt = slc_txn_prepare(compile->txn,
                                         "SELECT 1 FROM policies WHERE enabled = 1 AND type = 'schema' AND "
                                         "json_extract(config, '$.source') = 'event-api' LIMIT 1",
                                         err);
    int row = stmt == NULL ? -1 : slc_txn_step(compile->txn, stmt, err);
    slc_txn_finish(compile->txn, stmt);
    *asked = row == 1;
    return row >= 0;
}

static bool registry_name(slc_compile *compile, const char *id, char **name, slc_error *err)
{
    sqlite3_stmt *stmt =
        slc_txn_query(compile->txn, err, "SELECT name FROM schema_registries WHERE id = ?", "s", id);
    int row = stmt == NULL ? -1 : slc_txn_step(compile->txn, stmt, err);
    *name = slc_compile_text(compile, row == 1 ? slc_column_text(stmt, 0) : "");
    slc_txn_finish(compile->txn, stmt);
    return row >= 0;
}

bool slc_compile_schema(slc_compile *compile, const json_t *stored, Sluice__Snapshot__V1__EventApi *api,
                        slc_error *err)
{
    const char *registry = json_string_value(json_object_get(stored, "registry"));
    const char *definition = json_string_value(json_object_get(stored, "definition"));
    bool asked = false;
    if (registry == NULL && definition == NULL)
        return true;
    if (!is_asked_for(compile, &asked, err) || !asked)
        return err->code == SLC_OK || asked;
    Sluice__Snapshot__V1__Schema *schema = slc_compile_alloc(compile, sizeof *schema);
    sluice__snapshot__v1__schema__init(schema);
    schema->format = slc_compile_json_text(compile, stored, "format");
    schema->definition = slc_compile_json_text(compile, stored, "definition");
    if (registry != NULL && !registry_name(compile, registry, &schema->registry, err))
        return false;
    if (registry != NULL)
        slc_set_add(compile->registries, schema->registry);
    api->schema = schema;
    return true;
}

/* ---- registries ---- */

static bool compile_tls(slc_compile *compile, const json_t *object,
                        Sluice__Snapshot__V1__SchemaRegistry *registry, slc_error *err)
{
    if (!json_is_object(object))
        return true;
    registry->tls = slc_compile_alloc(compile, sizeof *registry->tls);
    sluice__snapshot__v1__client_tls__init(registry->tls);
    registry->tls->enabled = 1;
    registry->tls->ca_pem = slc_compile_json_text(compile, object, "ca_pem");
    registry->tls->certificate_pem = slc_compile_json_text(compile, object, "client_certificate_pem");
    return slc_compile_secret(compile, "schema-registries", registry->id, "tls.client_key_pem",
                              json_object_get(object, "client_key_pem"), &registry->tls->key, err);
}

static bool compile_registry(slc_compile *compile, sqlite3_stmt *stmt, slc_items *items, slc_error *err)
{
    Sluice__Snapshot__V1__SchemaRegistry *registry = slc_compile_alloc(compile, sizeof *registry);
    json_t *authentication = slc_column_json(stmt, 3), *tls = slc_column_json(stmt, 4);
    sluice__snapshot__v1__schema_registry__init(registry);
    registry->id = slc_compile_text(compile, slc_column_text(stmt, 0));
    registry->name = slc_compile_text(compile, slc_column_text(stmt, 1));
    registry->url = slc_compile_text(compile, slc_column_text(stmt, 2));
    registry->username = slc_compile_json_text(compile, authentication, "username");
    registry->timeout_ms = sqlite3_column_int64(stmt, 5);
    registry->cache_schemas = (uint32_t)sqlite3_column_int64(stmt, 6);
    registry->ttl_ms = sqlite3_column_int64(stmt, 7);
    registry->latest_ttl_ms = sqlite3_column_int64(stmt, 8);
    registry->missing_ttl_ms = sqlite3_column_int64(stmt, 9);
    registry->stale_ms = sqlite3_column_int64(stmt, 10);
    bool ok = slc_compile_secret(compile, "schema-registries", registry->id, "authentication.password",
                                 json_object_get(authentication, "password"), &registry->password, err) &&
              slc_compile_secret(compile, "schema-registries", registry->id, "authentication.token",
                                 json_object_get(authentication, "token"), &registry->token, err) &&
              compile_tls(compile, tls, registry, err);
    json_decref(authentication);
    json_decref(tls);
    slc_items_add(items, &registry->base, registry->id);
    return ok;
}

bool slc_compile_registries(slc_compile *compile, slc_error *err)
{
    slc_items items = {0};
    bool ok = true;
    int row = 0;
    sqlite3_stmt *stmt =
        slc_txn_prepare(compile->txn,
                        "SELECT id, name, url, authentication, tls, timeout, cache_schemas, cache_ttl, "
                        "latest_ttl, missing_ttl, stale FROM schema_registries ORDER BY id",
                        err);
    if (stmt == NULL)
        return false;
    while (ok && (row = slc_txn_step(compile->txn, stmt, err)) == 1)
        if (slc_set_has(compile->registries, slc_column_text(stmt, 1)))
            ok = compile_registry(compile, stmt, &items, err);
    slc_txn_finish(compile->txn, stmt);
    slc_compile_section(compile, SLUICE__SNAPSHOT__V1__SECTION__SECTION_SCHEMA_REGISTRIES, &items);
    return ok && row == 0;
}
