/* The documents of an event API on this group: gathers what they speak of. */
#include <stdlib.h>
#include <string.h>

#include "catalog/compile_private.h"
#include "catalog/documents.h"
#include "common/alloc.h"
#include "common/json.h"

#define TEXT_CHARS         600
#define DEFAULT_KEY_HEADER "X-API-Key"

/* What rows hold is copied, since documents are made when the statements are gone. */
struct gathered {
    slc_document_source source;
    char *rest_url, *kafka_url, *description, *team;
    json_t *schema;      /* the parsed definition */
    json_t *schema_kept; /* the row's JSON, which schema_format is in */
    json_t *headers;
    char key_rule[TEXT_CHARS];
};

static char *copy(const char *text)
{
    return text != NULL && text[0] != '\0' ? slc_strdup(text) : NULL;
}

static bool gather_api(slc_compile *compile, const Sluice__Snapshot__V1__EventApi *api, struct gathered *all,
                       slc_error *err)
{
    sqlite3_stmt *stmt = slc_txn_query(compile->txn, err,
                                       "SELECT a.description, t.name, a.schema, g.rest_url, g.kafka_url, "
                                       "EXISTS (SELECT 1 FROM listeners l WHERE l.gateway_group = g.id AND "
                                       "l.protocol = 'kafka' AND l.tls IS NOT NULL) "
                                       "FROM event_apis a JOIN teams t ON t.id = a.team, gateway_groups g "
                                       "WHERE a.id = ? AND g.id = ?",
                                       "ss", api->id, compile->group_id);
    int row = stmt != NULL ? slc_txn_step(compile->txn, stmt, err) : -1;
    if (row == 1) {
        all->description = copy(slc_column_text(stmt, 0));
        all->team = copy(slc_column_text(stmt, 1));
        all->schema_kept = slc_column_json(stmt, 2);
        all->rest_url = copy(slc_column_text(stmt, 3));
        all->kafka_url = copy(slc_column_text(stmt, 4));
        all->source.kafka_tls = sqlite3_column_int(stmt, 5) != 0;
    }
    slc_txn_finish(compile->txn, stmt);
    return row == 1;
}

/* A policy that says how clients authenticate. */
static void add_way(struct gathered *all, sqlite3_stmt *stmt)
{
    const char *type = slc_column_text(stmt, 0), *header = slc_column_text(stmt, 1);
    size_t count = json_array_size(all->headers);
    const char *last = count > 0 ? json_string_value(json_array_get(all->headers, count - 1)) : "";
    bool key = strcmp(type, "key-auth") == 0;
    if (key && strcmp(header, last) != 0)
        json_array_append_new(all->headers, json_string(header));
    all->source.basic |= strcmp(type, "basic-auth") == 0 || (key && sqlite3_column_int(stmt, 2) != 0);
    all->source.bearer |= strcmp(type, "oidc") == 0;
    all->source.certificate |= strcmp(type, "mtls") == 0;
}

/* What gateways take when no policy says anything: of tokens only when there can be any. */
static bool add_default_ways(slc_compile *compile, struct gathered *all, slc_error *err)
{
    sqlite3_stmt *stmt = slc_txn_prepare(
        compile->txn, "SELECT 1 FROM credentials WHERE oidc_issuer IS NOT NULL AND revoked_at IS NULL LIMIT 1",
        err);
    int row = stmt != NULL ? slc_txn_step(compile->txn, stmt, err) : -1;
    json_array_append_new(all->headers, json_string(DEFAULT_KEY_HEADER));
    all->source.basic = true;
    all->source.bearer = row == 1;
    slc_txn_finish(compile->txn, stmt);
    return row >= 0;
}

/* Every way in that some policy on the way to the API opens. */
static bool gather_security(slc_compile *compile, const Sluice__Snapshot__V1__EventApi *api,
                            struct gathered *all, slc_error *err)
{
    int row = 0;
    size_t rows = 0;
    sqlite3_stmt *stmt = slc_txn_query(
        compile->txn, err,
        "SELECT DISTINCT type, coalesce(json_extract(config, '$.header'), '" DEFAULT_KEY_HEADER "'), "
        "coalesce(json_extract(config, '$.basic'), 1) FROM policies WHERE "
        "type IN ('key-auth', 'basic-auth', 'oidc', 'mtls') AND "
        "enabled = 1 AND dry_run = 0 AND (scope_group = ?1 OR scope_listener = ?2 OR "
        "scope_virtual_cluster = ?3 "
        "OR scope_event_api = ?4) ORDER BY 1, 2",
        "ssss", compile->group_id, api->listener_id, api->virtual_cluster_id, api->id);
    all->headers = json_array();
    for (; stmt != NULL && (row = slc_txn_step(compile->txn, stmt, err)) == 1; rows++)
        add_way(all, stmt);
    slc_txn_finish(compile->txn, stmt);
    if (stmt == NULL || row != 0)
        return false;
    return rows > 0 || add_default_ways(compile, all, err);
}

static const char *describe_key(const Sluice__Snapshot__V1__EventApi *api, char out[TEXT_CHARS])
{
    switch (api->key_source) {
    case SLUICE__SNAPSHOT__V1__KEY_SOURCE__KEY_SOURCE_JSON_POINTER:
        snprintf(out, TEXT_CHARS, "`%s` of the event (JSON pointer)", api->key_selector);
        return out;
    case SLUICE__SNAPSHOT__V1__KEY_SOURCE__KEY_SOURCE_HEADER:
        snprintf(out, TEXT_CHARS, "the request field `%s`", api->key_selector);
        return out;
    case SLUICE__SNAPSHOT__V1__KEY_SOURCE__KEY_SOURCE_CLOUDEVENTS:
        return "the CloudEvents attribute `partitionkey`";
    default:
        return NULL;
    }
}

static bool exposes(const Sluice__Snapshot__V1__EventApi *api, const char *exposure)
{
    for (size_t i = 0; i < api->n_exposures; i++)
        if (strcmp(api->exposures[i], exposure) == 0)
            return true;
    return false;
}

static bool offers(const Sluice__Snapshot__V1__EventApi *api, Sluice__Snapshot__V1__Operation operation)
{
    for (size_t i = 0; i < api->n_operations; i++)
        if (api->operations[i] == operation)
            return true;
    return false;
}

static void fill(const Sluice__Snapshot__V1__EventApi *api, struct gathered *all)
{
    slc_document_source *source = &all->source;
    const char *definition = json_string_value(json_object_get(all->schema_kept, "definition"));
    source->name = api->name;
    source->major = api->major;
    source->title = api->title[0] != '\0' ? api->title : NULL;
    source->description = all->description;
    source->team = all->team;
    source->deprecated = strcmp(api->lifecycle, "deprecated") == 0;
    source->sunset_ms = api->sunset_at_ms;
    source->publish = offers(api, SLUICE__SNAPSHOT__V1__OPERATION__OPERATION_PUBLISH);
    source->read = offers(api, SLUICE__SNAPSHOT__V1__OPERATION__OPERATION_READ);
    source->rest = exposes(api, "rest");
    source->sse = exposes(api, "sse");
    source->kafka = exposes(api, "kafka");
    source->rest_url = all->rest_url;
    source->kafka_url = all->kafka_url;
    source->topic = api->topic;
    source->key_rule = describe_key(api, all->key_rule);
    source->max_event_bytes = api->max_event_bytes;
    source->schema_format = json_string_value(json_object_get(all->schema_kept, "format"));
    if (definition != NULL)
        all->schema = json_loads(definition, JSON_DECODE_ANY, NULL);
    source->schema = all->schema;
    source->key_headers = all->headers;
}

static char *print(slc_compile *compile, json_t *document)
{
    size_t len;
    char *text = slc_json_print(document, &len), *kept = slc_compile_text(compile, text);
    free(text);
    json_decref(document);
    return kept;
}

static void release(struct gathered *all)
{
    free(all->rest_url);
    free(all->kafka_url);
    free(all->description);
    free(all->team);
    json_decref(all->schema);
    json_decref(all->schema_kept);
    json_decref(all->headers);
}

bool slc_compile_documents(slc_compile *compile, Sluice__Snapshot__V1__EventApi *api, slc_error *err)
{
    struct gathered all = {0};
    bool ok = gather_api(compile, api, &all, err) && gather_security(compile, api, &all, err);
    if (ok) {
        fill(api, &all);
        api->openapi_json = print(compile, slc_document_openapi(&all.source));
        api->asyncapi_json = print(compile, slc_document_asyncapi(&all.source));
    }
    release(&all);
    return ok;
}
