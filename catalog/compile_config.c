/* The sections of a snapshot: from rows of the catalog to messages. What is not reachable from the group's
 * deployments and listeners is left out. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalog/compile_private.h"
#include "catalog/rules.h"
#include "common/alloc.h"

#define FEATURES_MAX 4 /* that a listener may require */

bool slc_compile_secret(slc_compile *compile, const char *kind, const char *id, const char *path,
                        const json_t *stored, Sluice__Snapshot__V1__Secret **out, slc_error *err)
{
    enum slc_secret_source source;
    char *text = NULL;
    size_t len = 0;
    *out = NULL;
    if (!slc_secret_open(compile->txn, slc_kind_find(kind), id, path, stored, &source, &text, &len, err))
        return slc_fail_context(err, "%s %s", kind, id);
    if (source == SLC_SECRET_NONE)
        return true;
    Sluice__Snapshot__V1__Secret *secret = slc_compile_alloc(compile, sizeof *secret);
    sluice__snapshot__v1__secret__init(secret);
    if (source == SLC_SECRET_VALUE) {
        secret->source_case = SLUICE__SNAPSHOT__V1__SECRET__SOURCE_VALUE;
        secret->value = slc_compile_bytes(compile, text, len);
    } else if (source == SLC_SECRET_FILE) {
        secret->source_case = SLUICE__SNAPSHOT__V1__SECRET__SOURCE_FILE;
        secret->file = slc_compile_text(compile, text);
    } else {
        secret->source_case = SLUICE__SNAPSHOT__V1__SECRET__SOURCE_ENV;
        secret->env = slc_compile_text(compile, text);
    }
    slc_free_secret(text, len + 1);
    *out = secret;
    return true;
}

/* ---- group ---- */

static bool compile_group(slc_compile *compile, slc_error *err)
{
    slc_items items = {0};
    sqlite3_stmt *stmt = slc_txn_query(
        compile->txn, err,
        "SELECT id, name, environment, rest_url, kafka_url, max_staleness, (SELECT blob_value FROM "
        "catalog_meta WHERE name = 'scram_pepper') FROM gateway_groups WHERE id = ?",
        "s", compile->group_id);
    if (stmt == NULL)
        return false;
    int row = slc_txn_step(compile->txn, stmt, err);
    if (row == 1) {
        Sluice__Snapshot__V1__Group *group = slc_compile_alloc(compile, sizeof *group);
        sluice__snapshot__v1__group__init(group);
        group->id = slc_compile_text(compile, slc_column_text(stmt, 0));
        group->name = slc_compile_text(compile, slc_column_text(stmt, 1));
        group->environment = slc_compile_text(compile, slc_column_text(stmt, 2));
        group->rest_url = slc_compile_text(compile, slc_column_text(stmt, 3));
        group->kafka_url = slc_compile_text(compile, slc_column_text(stmt, 4));
        group->max_staleness_ms = sqlite3_column_int64(stmt, 5);
        group->scram_pepper =
            slc_compile_bytes(compile, sqlite3_column_blob(stmt, 6), (size_t)sqlite3_column_bytes(stmt, 6));
        compile->group_name = group->name;
        compile->environment = group->environment;
        slc_items_add(&items, &group->base, group->id);
        slc_compile_section(compile, SLUICE__SNAPSHOT__V1__SECTION__SECTION_GROUP, &items);
    } else if (row == 0) {
        slc_fail(err, SLC_NOT_FOUND, NULL, "there is no gateway group %s", compile->group_id);
    }
    slc_txn_finish(compile->txn, stmt);
    return row == 1;
}

/* ---- event APIs ---- */

static size_t operations_of(slc_compile *compile, const json_t *names, Sluice__Snapshot__V1__Operation **out)
{
    size_t count = json_array_size(names);
    *out = slc_compile_alloc(compile, (count + 1) * sizeof **out);
    for (size_t i = 0; i < count; i++)
        (*out)[i] = strcmp(json_string_value(json_array_get(names, i)), "publish") == 0
                        ? SLUICE__SNAPSHOT__V1__OPERATION__OPERATION_PUBLISH
                        : SLUICE__SNAPSHOT__V1__OPERATION__OPERATION_READ;
    return count;
}

size_t slc_compile_operations(slc_compile *compile, sqlite3_stmt *stmt, int column,
                              Sluice__Snapshot__V1__Operation **out)
{
    json_t *names = slc_column_json(stmt, column);
    size_t count = operations_of(compile, names, out);
    json_decref(names);
    return count;
}

static void compile_key_rule(slc_compile *compile, const json_t *rule, Sluice__Snapshot__V1__EventApi *api)
{
    const char *source = json_string_value(json_object_get(rule, "source"));
    if (source == NULL || strcmp(source, "none") == 0)
        return;
    if (strcmp(source, "json_pointer") == 0) {
        api->key_source = SLUICE__SNAPSHOT__V1__KEY_SOURCE__KEY_SOURCE_JSON_POINTER;
        api->key_selector = slc_compile_json_text(compile, rule, "pointer");
    } else if (strcmp(source, "header") == 0) {
        api->key_source = SLUICE__SNAPSHOT__V1__KEY_SOURCE__KEY_SOURCE_HEADER;
        api->key_selector = slc_compile_json_text(compile, rule, "header");
    } else {
        api->key_source = SLUICE__SNAPSHOT__V1__KEY_SOURCE__KEY_SOURCE_CLOUDEVENTS;
    }
}

#define MAX_CURSOR_KEYS 16

/* The newest first: it signs. */
static bool compile_cursor_keys(slc_compile *compile, Sluice__Snapshot__V1__EventApi *api, slc_error *err)
{
    char context[96];
    bool ok = true;
    int row = 0;
    sqlite3_stmt *stmt = slc_txn_query(compile->txn, err,
                                       "SELECT key_id, sealed_key FROM cursor_keys WHERE event_api = ? AND "
                                       "(retired_at IS NULL OR retired_at > ?) ORDER BY key_id DESC LIMIT 16",
                                       "si", api->id, compile->now_ms);
    if (stmt == NULL)
        return false;
    api->cursor_keys = slc_compile_alloc(compile, MAX_CURSOR_KEYS * sizeof *api->cursor_keys);
    while (ok && (row = slc_txn_step(compile->txn, stmt, err)) == 1) {
        size_t len = 0;
        Sluice__Snapshot__V1__CursorKey *key = slc_compile_alloc(compile, sizeof *key);
        sluice__snapshot__v1__cursor_key__init(key);
        key->id = (uint32_t)sqlite3_column_int64(stmt, 0);
        snprintf(context, sizeof context, "cursor_keys/%s/%u", api->id, key->id);
        uint8_t *plain = slc_txn_unseal(compile->txn, context, sqlite3_column_blob(stmt, 1),
                                        (size_t)sqlite3_column_bytes(stmt, 1), &len, err);
        ok = plain != NULL;
        if (ok) {
            key->key = slc_compile_bytes(compile, plain, len);
            slc_free_secret(plain, len);
            api->cursor_keys[api->n_cursor_keys++] = key;
        }
    }
    slc_txn_finish(compile->txn, stmt);
    return ok && row == 0;
}

static Sluice__Snapshot__V1__EventApi *read_event_api(slc_compile *compile, sqlite3_stmt *stmt)
{
    Sluice__Snapshot__V1__EventApi *api = slc_compile_alloc(compile, sizeof *api);
    json_t *exposures = slc_column_json(stmt, 7), *rule = slc_column_json(stmt, 8);
    sluice__snapshot__v1__event_api__init(api);
    api->id = slc_compile_text(compile, slc_column_text(stmt, 0));
    api->name = slc_compile_text(compile, slc_column_text(stmt, 1));
    api->major = (uint32_t)sqlite3_column_int64(stmt, 2);
    api->title = slc_compile_text(compile, slc_column_text(stmt, 3));
    api->lifecycle = slc_compile_text(compile, slc_column_text(stmt, 4));
    api->sunset_at_ms = sqlite3_column_int64(stmt, 5);
    api->n_operations = slc_compile_operations(compile, stmt, 6, &api->operations);
    api->exposures = slc_compile_texts(compile, exposures, &api->n_exposures);
    compile_key_rule(compile, rule, api);
    api->max_event_bytes = sqlite3_column_int64(stmt, 9);
    api->deployment_id = slc_compile_text(compile, slc_column_text(stmt, 10));
    api->virtual_cluster_id = slc_compile_text(compile, slc_column_text(stmt, 11));
    api->topic = slc_compile_text(compile, slc_column_text(stmt, 12));
    api->listener_id = slc_compile_text(compile, slc_column_text(stmt, 13));
    api->deprecated_at_ms = sqlite3_column_int64(stmt, 14);
    json_decref(exposures);
    json_decref(rule);
    return api;
}

static bool compile_event_apis(slc_compile *compile, slc_error *err)
{
    slc_items items = {0};
    bool ok = true;
    int row = 0;
    sqlite3_stmt *stmt = slc_txn_query(
        compile->txn, err,
        "SELECT a.id, a.name, a.major, a.title, a.lifecycle, a.sunset_at, a.operations, "
        "a.exposures, a.event_key, "
        "a.max_event_bytes, d.id, d.virtual_cluster, d.topic, d.listener, a.deprecated_at, a.schema FROM "
        "deployments d "
        "JOIN event_apis a ON a.id = d.event_api WHERE d.gateway_group = ? AND "
        "a.lifecycle IN ('published', 'deprecated') ORDER BY a.id",
        "s", compile->group_id);
    if (stmt == NULL)
        return false;
    while (ok && (row = slc_txn_step(compile->txn, stmt, err)) == 1) {
        Sluice__Snapshot__V1__EventApi *api = read_event_api(compile, stmt);
        slc_set_add(compile->event_apis, api->id);
        slc_set_add(compile->vclusters, api->virtual_cluster_id);
        slc_items_add(&items, &api->base, api->id);
        json_t *schema = slc_column_json(stmt, 15);
        ok = compile_cursor_keys(compile, api, err) && slc_compile_documents(compile, api, err) &&
             slc_compile_schema(compile, schema, api, err);
        json_decref(schema);
    }
    slc_txn_finish(compile->txn, stmt);
    slc_compile_section(compile, SLUICE__SNAPSHOT__V1__SECTION__SECTION_EVENT_APIS, &items);
    return ok && row == 0;
}

/* ---- listeners ---- */

/* A gateway that does not know it refuses the configuration, rather than to take the balancer for the client,
 * or to let everybody in. */
static void require_feature(slc_compile *compile, Sluice__Snapshot__V1__Listener *listener, const char *feature)
{
    if (listener->required_features == NULL)
        listener->required_features = slc_compile_alloc(compile, FEATURES_MAX * sizeof(char *));
    listener->required_features[listener->n_required_features++] = slc_compile_text(compile, feature);
}

static bool compile_listener_tls(slc_compile *compile, const json_t *tls,
                                 Sluice__Snapshot__V1__Listener *listener, slc_error *err)
{
    if (!json_is_object(tls))
        return true;
    listener->tls = 1;
    listener->certificate_pem = slc_compile_json_text(compile, tls, "certificate_pem");
    listener->certificate_file = slc_compile_json_text(compile, tls, "certificate_file");
    if (listener->certificate_file[0] != '\0')
        require_feature(compile, listener, "listener-certificate-file");
    listener->client_ca_pem = slc_compile_json_text(compile, tls, "client_ca_pem");
    listener->client_auth = slc_compile_json_text(compile, tls, "client_auth");
    listener->client_identity =
        slc_compile_texts(compile, json_object_get(tls, "client_identity"), &listener->n_client_identity);
    listener->min_tls_version = slc_compile_json_text(compile, tls, "min_version");
    return slc_compile_secret(compile, "listeners", listener->id, "tls.key_pem",
                              json_object_get(tls, "key_pem"), &listener->key, err);
}

static void compile_balancers(slc_compile *compile, const json_t *protocol, const char *feature,
                              Sluice__Snapshot__V1__Listener *listener)
{
    listener->proxy_protocol_from = slc_compile_texts(compile, json_object_get(protocol, "proxy_protocol_from"),
                                                      &listener->n_proxy_protocol_from);
    if (listener->n_proxy_protocol_from > 0)
        require_feature(compile, listener, feature);
}

static void compile_listener_kafka(slc_compile *compile, const json_t *kafka,
                                   Sluice__Snapshot__V1__Listener *listener)
{
    const json_t *ranges = json_object_get(kafka, "port_ranges");
    listener->kafka_routing = slc_compile_json_text(compile, kafka, "routing");
    listener->sni_suffix = slc_compile_json_text(compile, kafka, "sni_suffix");
    listener->virtual_cluster_id = slc_compile_json_text(compile, kafka, "virtual_cluster");
    if (listener->virtual_cluster_id[0] != '\0')
        slc_set_add(compile->vclusters, listener->virtual_cluster_id);
    compile_balancers(compile, kafka, "kafka-proxy-protocol", listener);
    listener->max_connections = (uint32_t)slc_get_int(kafka, "max_connections");
    listener->max_connections_per_address = (uint32_t)slc_get_int(kafka, "max_connections_per_address");
    if (listener->max_connections > 0 || listener->max_connections_per_address > 0)
        require_feature(compile, listener, "kafka-connection-limits");
    listener->n_port_ranges = json_array_size(ranges);
    listener->port_ranges = slc_compile_alloc(compile, (listener->n_port_ranges + 1) * sizeof(void *));
    for (size_t i = 0; i < listener->n_port_ranges; i++) {
        const json_t *item = json_array_get(ranges, i);
        Sluice__Snapshot__V1__PortRange *range = slc_compile_alloc(compile, sizeof *range);
        sluice__snapshot__v1__port_range__init(range);
        range->first_node_id = (int32_t)json_integer_value(json_object_get(item, "first_node_id"));
        range->last_node_id = (int32_t)json_integer_value(json_object_get(item, "last_node_id"));
        range->port_base = (uint32_t)json_integer_value(json_object_get(item, "port_base"));
        listener->port_ranges[i] = range;
    }
}

static bool compile_listener(slc_compile *compile, sqlite3_stmt *stmt, slc_items *items, slc_error *err)
{
    Sluice__Snapshot__V1__Listener *listener = slc_compile_alloc(compile, sizeof *listener);
    json_t *tls = slc_column_json(stmt, 6), *kafka = slc_column_json(stmt, 7), *http = slc_column_json(stmt, 8);
    sluice__snapshot__v1__listener__init(listener);
    listener->id = slc_compile_text(compile, slc_column_text(stmt, 0));
    listener->name = slc_compile_text(compile, slc_column_text(stmt, 1));
    listener->protocol = slc_compile_text(compile, slc_column_text(stmt, 2));
    listener->address = slc_compile_text(compile, slc_column_text(stmt, 3));
    listener->advertised_host = slc_compile_text(compile, slc_column_text(stmt, 4));
    listener->advertised_port = (uint32_t)sqlite3_column_int64(stmt, 5);
    if (json_is_object(kafka))
        compile_listener_kafka(compile, kafka, listener);
    if (json_is_object(http))
        compile_balancers(compile, http, "http-proxy-protocol", listener);
    bool ok = compile_listener_tls(compile, tls, listener, err);
    slc_set_add(compile->listeners, listener->id);
    slc_items_add(items, &listener->base, listener->id);
    json_decref(tls);
    json_decref(kafka);
    json_decref(http);
    return ok;
}

static bool compile_listeners(slc_compile *compile, slc_error *err)
{
    slc_items items = {0};
    bool ok = true;
    int row = 0;
    sqlite3_stmt *stmt =
        slc_txn_query(compile->txn, err,
                      "SELECT id, name, protocol, address, advertised_host, advertised_port, tls, kafka, http "
                      "FROM listeners WHERE gateway_group = ? ORDER BY id",
                      "s", compile->group_id);
    if (stmt == NULL)
        return false;
    while (ok && (row = slc_txn_step(compile->txn, stmt, err)) == 1)
        ok = compile_listener(compile, stmt, &items, err);
    slc_txn_finish(compile->txn, stmt);
    slc_compile_section(compile, SLUICE__SNAPSHOT__V1__SECTION__SECTION_LISTENERS, &items);
    return ok && row == 0;
}

/* ---- virtual clusters ---- */

static Sluice__Snapshot__V1__NamespaceMode mode_of(const char *mode)
{
    if (mode != NULL && strcmp(mode, "hide") == 0)
        return SLUICE__SNAPSHOT__V1__NAMESPACE_MODE__NAMESPACE_MODE_HIDE;
    if (mode != NULL && strcmp(mode, "enforce") == 0)
        return SLUICE__SNAPSHOT__V1__NAMESPACE_MODE__NAMESPACE_MODE_ENFORCE;
    return SLUICE__SNAPSHOT__V1__NAMESPACE_MODE__NAMESPACE_MODE_NONE;
}

static void compile_aliases(slc_compile *compile, const json_t *aliases,
                            Sluice__Snapshot__V1__VirtualCluster *vcluster)
{
    vcluster->n_aliases = json_array_size(aliases);
    vcluster->aliases = slc_compile_alloc(compile, (vcluster->n_aliases + 1) * sizeof(void *));
    for (size_t i = 0; i < vcluster->n_aliases; i++) {
        Sluice__Snapshot__V1__TopicAlias *alias = slc_compile_alloc(compile, sizeof *alias);
        sluice__snapshot__v1__topic_alias__init(alias);
        alias->name = slc_compile_json_text(compile, json_array_get(aliases, i), "name");
        alias->topic = slc_compile_json_text(compile, json_array_get(aliases, i), "topic");
        vcluster->aliases[i] = alias;
    }
}

static void compile_vcluster(slc_compile *compile, sqlite3_stmt *stmt, slc_items *items)
{
    Sluice__Snapshot__V1__VirtualCluster *vcluster = slc_compile_alloc(compile, sizeof *vcluster);
    json_t *names = slc_column_json(stmt, 3), *extra = slc_column_json(stmt, 4),
           *auth = slc_column_json(stmt, 5);
    sluice__snapshot__v1__virtual_cluster__init(vcluster);
    vcluster->id = slc_compile_text(compile, slc_column_text(stmt, 0));
    vcluster->name = slc_compile_text(compile, slc_column_text(stmt, 1));
    vcluster->backend_id = slc_compile_text(compile, slc_column_text(stmt, 2));
    vcluster->mode = mode_of(json_string_value(json_object_get(names, "mode")));
    vcluster->prefix = slc_compile_json_text(compile, names, "prefix");
    compile_aliases(compile, json_object_get(names, "aliases"), vcluster);
    vcluster->topic_filter =
        slc_compile_texts(compile, json_object_get(names, "topic_filter"), &vcluster->n_topic_filter);
    vcluster->group_filter =
        slc_compile_texts(compile, json_object_get(names, "group_filter"), &vcluster->n_group_filter);
    const json_t *limits = json_object_get(names, "limits");
    vcluster->max_topics = (uint32_t)json_integer_value(json_object_get(limits, "topics"));
    vcluster->max_partitions = (uint32_t)json_integer_value(json_object_get(limits, "partitions"));
    vcluster->topic_configs =
        slc_compile_texts(compile, json_object_get(limits, "topic_configs"), &vcluster->n_topic_configs);
    vcluster->admin_apis =
        slc_compile_texts(compile, json_object_get(names, "admin_apis"), &vcluster->n_admin_apis);
    vcluster->extra_topics = slc_compile_texts(compile, extra, &vcluster->n_extra_topics);
    vcluster->client_authentication = slc_compile_texts(compile, auth, &vcluster->n_client_authentication);
    slc_set_add(compile->backends, vcluster->backend_id);
    slc_items_add(items, &vcluster->base, vcluster->id);
    json_decref(names);
    json_decref(extra);
    json_decref(auth);
}

static bool compile_vclusters(slc_compile *compile, slc_error *err)
{
    slc_items items = {0};
    int row = 0;
    sqlite3_stmt *stmt = slc_txn_prepare(compile->txn,
                                         "SELECT id, name, backend_cluster, namespace, extra_topics, "
                                         "client_authentication FROM virtual_clusters ORDER BY id",
                                         err);
    if (stmt == NULL)
        return false;
    while ((row = slc_txn_step(compile->txn, stmt, err)) == 1)
        if (slc_set_has(compile->vclusters, slc_column_text(stmt, 0)))
            compile_vcluster(compile, stmt, &items);
    slc_txn_finish(compile->txn, stmt);
    slc_compile_section(compile, SLUICE__SNAPSHOT__V1__SECTION__SECTION_VIRTUAL_CLUSTERS, &items);
    return row == 0;
}

/* ---- backends ---- */

static bool compile_backend_tls(slc_compile *compile, const json_t *object,
                                Sluice__Snapshot__V1__Backend *backend, slc_error *err)
{
    const json_t *verify = json_object_get(object, "verify");
    if (!json_is_true(json_object_get(object, "enabled")))
        return true;
    Sluice__Snapshot__V1__ClientTls *tls = slc_compile_alloc(compile, sizeof *tls);
    sluice__snapshot__v1__client_tls__init(tls);
    tls->enabled = 1;
    tls->ca_pem = slc_compile_json_text(compile, object, "ca_pem");
    tls->server_name = slc_compile_json_text(compile, object, "server_name");
    tls->skip_verify = json_is_false(verify);
    tls->certificate_pem = slc_compile_json_text(compile, object, "client_certificate_pem");
    backend->tls = tls;
    return slc_compile_secret(compile, "backend-clusters", backend->id, "tls.client_key_pem",
                              json_object_get(object, "client_key_pem"), &tls->key, err);
}

static bool compile_backend_authentication(slc_compile *compile, const json_t *object,
                                           Sluice__Snapshot__V1__Backend *backend, slc_error *err)
{
    const char *mechanism = json_string_value(json_object_get(object, "mechanism"));
    if (mechanism == NULL || strcmp(mechanism, "none") == 0)
        return true;
    backend->mechanism = slc_compile_text(compile, mechanism);
    backend->username = slc_compile_json_text(compile, object, "username");
    backend->token_url = slc_compile_json_text(compile, object, "token_url");
    backend->client_id = slc_compile_json_text(compile, object, "client_id");
    backend->scope = slc_compile_json_text(compile, object, "scope");
    return slc_compile_secret(compile, "backend-clusters", backend->id, "authentication.password",
                              json_object_get(object, "password"), &backend->password, err) &&
           slc_compile_secret(compile, "backend-clusters", backend->id, "authentication.client_secret",
                              json_object_get(object, "client_secret"), &backend->client_secret, err);
}

static bool compile_backend(slc_compile *compile, sqlite3_stmt *stmt, slc_items *items, slc_error *err)
{
    Sluice__Snapshot__V1__Backend *backend = slc_compile_alloc(compile, sizeof *backend);
    json_t *servers = slc_column_json(stmt, 2), *tls = slc_column_json(stmt, 3),
           *auth = slc_column_json(stmt, 4);
    sluice__snapshot__v1__backend__init(backend);
    backend->id = slc_compile_text(compile, slc_column_text(stmt, 0));
    backend->name = slc_compile_text(compile, slc_column_text(stmt, 1));
    backend->bootstrap_servers = slc_compile_texts(compile, servers, &backend->n_bootstrap_servers);
    bool ok = compile_backend_tls(compile, tls, backend, err) &&
              compile_backend_authentication(compile, auth, backend, err);
    slc_items_add(items, &backend->base, backend->id);
    json_decref(servers);
    json_decref(tls);
    json_decref(auth);
    return ok;
}

static bool compile_backends(slc_compile *compile, slc_error *err)
{
    slc_items items = {0};
    bool ok = true;
    int row = 0;
    sqlite3_stmt *stmt = slc_txn_prepare(
        compile->txn,
        "SELECT id, name, bootstrap_servers, tls, authentication FROM backend_clusters ORDER BY id", err);
    if (stmt == NULL)
        return false;
    while (ok && (row = slc_txn_step(compile->txn, stmt, err)) == 1)
        if (slc_set_has(compile->backends, slc_column_text(stmt, 0)))
            ok = compile_backend(compile, stmt, &items, err);
    slc_txn_finish(compile->txn, stmt);
    slc_compile_section(compile, SLUICE__SNAPSHOT__V1__SECTION__SECTION_BACKENDS, &items);
    return ok && row == 0;
}

bool slc_compile_configuration(slc_compile *compile, slc_error *err)
{
    return compile_group(compile, err) && compile_event_apis(compile, err) && compile_listeners(compile, err) &&
           compile_vclusters(compile, err) && compile_backends(compile, err) &&
           slc_compile_plans(compile, err) && slc_compile_policies(compile, err) &&
           slc_compile_issuers(compile, err) && slc_compile_key_rings(compile, err) &&
           slc_compile_registries(compile, err);
}
