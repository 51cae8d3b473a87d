#include "catalog/document_facts.h"

#include <stdio.h>
#include <string.h>

#include "catalog/namespace.h"
#include "catalog/rules.h"

#define DEFAULT_KEY_HEADER "X-API-Key"

/* JSON comes first. */
#define JSON_COLUMNS 7
static const char deployment_sql[] =
    "SELECT a.operations, a.exposures, a.event_key, a.schema, "
    "v.namespace, v.extra_topics, v.client_authentication, "
    "a.id, a.name, a.major, a.title, a.description, a.lifecycle, a.sunset_at, a.max_event_bytes, "
    "t.name AS team, g.id AS gateway_group, g.rest_url, g.kafka_url, "
    "d.topic, d.listener, d.virtual_cluster, v.backend_cluster FROM deployments d JOIN event_apis a ON a.id = "
    "d.event_api JOIN teams t ON t.id = a.team JOIN "
    "gateway_groups g ON g.id = d.gateway_group JOIN virtual_clusters v ON v.id = d.virtual_cluster WHERE "
    "d.event_api = ?1 AND d.gateway_group = ?2";

/* Of several listeners that lead to the virtual cluster: the deployment's own, else the one at the port that
 * clients are told. */
#define PORT(address) "CAST(substr(" address ", length(rtrim(" address ", '0123456789')) + 1) AS INTEGER)"
static const char listener_sql[] =
    "SELECT tls IS NOT NULL, coalesce(json_extract(tls, '$.client_auth'), 'none') FROM listeners WHERE "
    "gateway_group = ?1 AND protocol = 'kafka' AND (kafka_virtual_cluster = ?2 OR kafka_virtual_cluster IS "
    "NULL) ORDER BY id = ?3 DESC, coalesce(advertised_port, " PORT("address") ") = " PORT(
        "?4") " DESC, key LIMIT 1";

static json_t *value_of(sqlite3_stmt *stmt, int column)
{
    if (sqlite3_column_type(stmt, column) == SQLITE_NULL)
        return NULL;
    if (column < JSON_COLUMNS)
        return slc_column_json(stmt, column);
    if (sqlite3_column_type(stmt, column) == SQLITE_INTEGER)
        return json_integer(sqlite3_column_int64(stmt, column));
    return json_string(slc_column_text(stmt, column));
}

static int read_row(slc_txn *txn, const char *event_api_id, const char *group_id, slc_document_facts *facts,
                    slc_error *err)
{
    sqlite3_stmt *stmt = slc_txn_query(txn, err, deployment_sql, "ss", event_api_id, group_id);
    int rc = stmt != NULL ? slc_txn_step(txn, stmt, err) : -1;
    facts->row = json_object();
    for (int i = 0; rc == 1 && i < sqlite3_column_count(stmt); i++) {
        json_t *value = value_of(stmt, i);
        if (value != NULL)
            json_object_set_new(facts->row, sqlite3_column_name(stmt, i), value);
    }
    slc_txn_finish(txn, stmt);
    return rc;
}

/* ---- ways in over HTTP ---- */

/* A policy that says how clients authenticate. */
static void add_way(slc_document_facts *facts, sqlite3_stmt *stmt)
{
    const char *type = slc_column_text(stmt, 0), *header = slc_column_text(stmt, 1);
    size_t count = json_array_size(facts->headers);
    const char *last = count > 0 ? json_string_value(json_array_get(facts->headers, count - 1)) : "";
    bool key = strcmp(type, "key-auth") == 0;
    if (key && strcmp(header, last) != 0)
        json_array_append_new(facts->headers, json_string(header));
    facts->source.basic |= strcmp(type, "basic-auth") == 0 || (key && sqlite3_column_int(stmt, 2) != 0);
    facts->source.bearer |= strcmp(type, "oidc") == 0;
    facts->source.certificate |= strcmp(type, "mtls") == 0;
}

/* What gateways take when no policy says anything: of tokens only when there can be any. */
static bool add_default_ways(slc_txn *txn, slc_document_facts *facts, slc_error *err)
{
    sqlite3_stmt *stmt = slc_txn_prepare(
        txn, "SELECT 1 FROM credentials WHERE oidc_issuer IS NOT NULL AND revoked_at IS NULL LIMIT 1", err);
    int row = stmt != NULL ? slc_txn_step(txn, stmt, err) : -1;
    json_array_append_new(facts->headers, json_string(DEFAULT_KEY_HEADER));
    facts->source.basic = true;
    facts->source.bearer = row == 1;
    slc_txn_finish(txn, stmt);
    return row >= 0;
}

/* Every way in that some policy on the way to the API opens. */
static bool read_http_ways(slc_txn *txn, slc_document_facts *facts, slc_error *err)
{
    int row = 0;
    size_t rows = 0;
    sqlite3_stmt *stmt = slc_txn_query(
        txn, err,
        "SELECT DISTINCT type, coalesce(json_extract(config, '$.header'), '" DEFAULT_KEY_HEADER "'), "
        "coalesce(json_extract(config, '$.basic'), 1) FROM policies WHERE "
        "type IN ('key-auth', 'basic-auth', 'oidc', 'mtls') AND "
        "enabled = 1 AND dry_run = 0 AND (scope_group = ?1 OR scope_listener = ?2 OR "
        "scope_virtual_cluster = ?3 "
        "OR scope_event_api = ?4) ORDER BY 1, 2",
        "ssss", slc_get_text(facts->row, "gateway_group"), slc_get_text(facts->row, "listener"),
        slc_get_text(facts->row, "virtual_cluster"), slc_get_text(facts->row, "id"));
    for (; stmt != NULL && (row = slc_txn_step(txn, stmt, err)) == 1; rows++)
        add_way(facts, stmt);
    slc_txn_finish(txn, stmt);
    if (stmt == NULL || row != 0)
        return false;
    return rows > 0 || add_default_ways(txn, facts, err);
}

/* ---- Kafka ---- */

static bool read_kafka(slc_txn *txn, slc_document_facts *facts, slc_error *err)
{
    const json_t *row = facts->row, *namespace = json_object_get(row, "namespace");
    const char *mode = slc_get_text(namespace, "mode");
    slc_document_source *source = &facts->source;
    sqlite3_stmt *stmt =
        slc_txn_query(txn, err, listener_sql, "ssss", slc_get_text(row, "gateway_group"),
                      slc_get_text(row, "virtual_cluster"), slc_get_text(row, "listener"), source->kafka_url);
    int rc = stmt != NULL ? slc_txn_step(txn, stmt, err) : -1;
    source->kafka = rc == 1; /* it may be exposed where no listener leads to it */
    if (rc == 1) {
        source->kafka_tls = sqlite3_column_int(stmt, 0) != 0;
        source->kafka_certificates = strcmp(slc_column_text(stmt, 1), "none") != 0;
    }
    slc_txn_finish(txn, stmt);
    source->topic = slc_get_text(row, "topic");
    source->kafka_ways = json_object_get(row, "client_authentication");
    if (mode != NULL && strcmp(mode, "enforce") == 0)
        source->group_prefix = slc_get_text(namespace, "prefix");
    if (mode != NULL && strcmp(mode, "none") != 0)
        source->group_filter = json_object_get(namespace, "group_filter");
    return rc >= 0;
}

bool slc_document_facts_add_partitions(slc_txn *txn, slc_document_facts *facts, slc_error *err)
{
    static const char sql[] =
        "SELECT partitions FROM usage.inventory_topics WHERE backend_id = ?1 AND name = ?2";
    char topic[SLC_BACKEND_TOPIC_CHARS];
    slc_namespace_backend_topic(facts->row, slc_get_text(facts->row, "topic"), topic);
    sqlite3_stmt *stmt = slc_txn_query(txn, err, sql, "ss", slc_get_text(facts->row, "backend_cluster"), topic);
    int rc = stmt != NULL ? slc_txn_step(txn, stmt, err) : -1;
    if (rc == 1)
        facts->source.partitions = sqlite3_column_int64(stmt, 0);
    slc_txn_finish(txn, stmt);
    return rc >= 0;
}

/* ---- the whole ---- */

static const char *describe_key(const json_t *rule, char *out, size_t size)
{
    const char *source = slc_get_text(rule, "source");
    if (source == NULL || strcmp(source, "none") == 0)
        return NULL;
    if (strcmp(source, "json_pointer") == 0)
        snprintf(out, size, "`%s` of the event (JSON pointer)", slc_get_text(rule, "pointer"));
    else if (strcmp(source, "header") == 0)
        snprintf(out, size, "the request field `%s`", slc_get_text(rule, "header"));
    else
        snprintf(out, size, "the CloudEvents attribute `partitionkey`");
    return out;
}

/* NULL for an empty one, too. */
static const char *text_of(const json_t *row, const char *column)
{
    const char *text = slc_get_text(row, column);
    return text != NULL && text[0] != '\0' ? text : NULL;
}

static void fill(slc_document_facts *facts)
{
    slc_document_source *source = &facts->source;
    const json_t *row = facts->row, *schema = json_object_get(row, "schema");
    const json_t *operations = json_object_get(row, "operations"),
                 *exposures = json_object_get(row, "exposures");
    const char *definition = slc_get_text(schema, "definition");
    source->name = slc_get_text(row, "name");
    source->major = (unsigned)slc_get_int(row, "major");
    source->title = text_of(row, "title");
    source->description = text_of(row, "description");
    source->team = slc_get_text(row, "team");
    source->deprecated = strcmp(slc_get_text(row, "lifecycle"), "deprecated") == 0;
    source->sunset_ms = slc_get_int(row, "sunset_at");
    source->publish = slc_has_text(operations, "publish");
    source->read = slc_has_text(operations, "read");
    source->rest = slc_has_text(exposures, "rest");
    source->sse = slc_has_text(exposures, "sse");
    source->kafka = slc_has_text(exposures, "kafka");
    source->rest_url = text_of(row, "rest_url");
    source->kafka_url = text_of(row, "kafka_url");
    source->key_rule = describe_key(json_object_get(row, "event_key"), facts->key_rule, sizeof facts->key_rule);
    source->max_event_bytes = slc_get_int(row, "max_event_bytes");
    source->schema_format = slc_get_text(schema, "format");
    if (definition != NULL)
        facts->schema = json_loads(definition, JSON_DECODE_ANY, NULL);
    source->schema = facts->schema;
    source->key_headers = facts->headers;
}

int slc_document_facts_read(slc_txn *txn, const char *event_api_id, const char *group_id,
                            slc_document_facts *facts, slc_error *err)
{
    *facts = (slc_document_facts){.headers = json_array()};
    int rc = read_row(txn, event_api_id, group_id, facts, err);
    if (rc != 1)
        return rc;
    fill(facts);
    bool http = facts->source.rest || facts->source.sse;
    bool ok =
        (!http || read_http_ways(txn, facts, err)) && (!facts->source.kafka || read_kafka(txn, facts, err));
    return ok ? 1 : -1;
}

void slc_document_facts_release(slc_document_facts *facts)
{
    json_decref(facts->headers);
    json_decref(facts->schema);
    json_decref(facts->row);
}
