#include "catalog/documents_private.h"

#include <stdio.h>
#include <string.h>

#include "common/assert.h"
#include "common/clock.h"

#define SCHEMA_PLACE "#/components/schemas/EventData"

/* ---- shared ---- */

static json_t *load(const char *text)
{
    json_t *document = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    SLC_BUG_ON(document == NULL);
    return document;
}

static json_t *at(json_t *object, const char *first, const char *second)
{
    json_t *inner = json_object_get(object, first);
    return second != NULL ? json_object_get(inner, second) : inner;
}

static void set_info(const slc_document_source *source, json_t *info)
{
    char version[16], sunset[SLC_RFC3339_CHARS];
    snprintf(version, sizeof version, "%u.0.0", source->major);
    json_object_set_new(info, "title", json_string(source->title != NULL ? source->title : source->name));
    json_object_set_new(info, "version", json_string(version));
    if (source->description != NULL)
        json_object_set_new(info, "description", json_string(source->description));
    json_object_set_new(info, "x-owner-team", json_string(source->team));
    if (source->deprecated)
        json_object_set_new(info, "x-lifecycle", json_string("deprecated"));
    if (source->deprecated && source->sunset_ms > 0) {
        slc_rfc3339_format(source->sunset_ms, sunset);
        json_object_set_new(info, "x-sunset", json_string(sunset));
    }
}

/* References inside the schema meant its own root, which is now a part of the document. */
static void move_references(json_t *schema)
{
    const char *key;
    json_t *value;
    size_t i;
    if (json_is_array(schema)) {
        json_array_foreach (schema, i, value)
            move_references(value);
        return;
    }
    json_object_foreach (schema, key, value) {
        const char *target = json_string_value(value);
        if (strcmp(key, "$ref") == 0 && target != NULL && target[0] == '#')
            json_object_set_new(schema, key, json_sprintf("%s%s", SCHEMA_PLACE, target + 1));
        else
            move_references(value);
    }
}

static void set_schema(const slc_document_source *source, json_t *schemas)
{
    if (source->schema == NULL || source->schema_format == NULL)
        return;
    json_t *schema;
    if (strcmp(source->schema_format, "json_schema") == 0) {
        schema = json_deep_copy(source->schema);
        if (json_object_get(schema, "$id") == NULL)
            move_references(schema);
    } else { /* neither language describes JSON by an Avro schema */
        schema = json_pack("{s:s, s:O}", "description", "Encoded with the Avro schema in x-avro-schema.",
                           "x-avro-schema", (json_t *)source->schema);
    }
    json_object_set_new(schemas, "EventData", schema);
}

/* ---- OpenAPI ---- */

static void set_openapi_security(const slc_document_source *source, json_t *document)
{
    json_t *schemes = at(document, "components", "securitySchemes"), *ways = at(document, "security", NULL);
    char name[32] = "apiKey";
    size_t i;
    json_t *header;
    json_array_foreach (source->key_headers, i, header) {
        if (i > 0)
            snprintf(name, sizeof name, "apiKey%zu", i + 1);
        json_object_set_new(schemes, name,
                            json_pack("{s:s, s:s, s:O, s:s}", "type", "apiKey", "in", "header", "name", header,
                                      "description", "An application's API key: slk_<id>_<secret>."));
        json_array_append_new(ways, json_pack("{s:[]}", name));
    }
    if (source->basic) {
        json_object_set_new(schemes, "basic",
                            json_pack("{s:s, s:s, s:s}", "type", "http", "scheme", "basic", "description",
                                      "A credential's id and secret."));
        json_array_append_new(ways, json_pack("{s:[]}", "basic"));
    }
    if (source->bearer) {
        json_object_set_new(schemes, "bearer",
                            json_pack("{s:s, s:s, s:s, s:s}", "type", "http", "scheme", "bearer",
                                      "bearerFormat", "JWT", "description",
                                      "An access token of an application."));
        json_array_append_new(ways, json_pack("{s:[]}", "bearer"));
    }
    if (source->certificate) {
        json_object_set_new(schemes, "certificate", json_pack("{s:s}", "type", "mutualTLS"));
        json_array_append_new(ways, json_pack("{s:[]}", "certificate"));
    }
}

/* Streams can also be opened by a ticket, which opens nothing else. */
static void set_ticket(json_t *document, json_t *get)
{
    json_t *ways = json_deep_copy(at(document, "security", NULL));
    json_object_set_new(
        at(document, "components", "securitySchemes"), "ticket",
        json_pack("{s:s, s:s, s:s, s:s}", "type", "apiKey", "in", "query", "name", "ticket", "description",
                  "For a stream where no credential can be sent, such as a browser's EventSource: "
                  "from `mintTicket`."));
    json_array_append_new(ways, json_pack("{s:[]}", "ticket"));
    json_object_set_new(get, "security", ways);
}

static void drop_parameters(json_t *document, json_t *operation, const char *const *names)
{
    json_t *list = json_object_get(operation, "parameters");
    for (; *names != NULL; names++) {
        json_t *item;
        size_t i;
        json_object_del(at(document, "components", "parameters"), *names);
        json_array_foreach (list, i, item) {
            const char *target = json_string_value(json_object_get(item, "$ref"));
            if (strcmp(strrchr(target, '/') + 1, *names) == 0) {
                json_array_remove(list, i);
                break;
            }
        }
    }
}

static void drop_schemas(json_t *document, const char *const *names)
{
    for (; *names != NULL; names++)
        json_object_del(at(document, "components", "schemas"), *names);
}

static void fit_read(const slc_document_source *source, json_t *document)
{
    static const char *const page[] = {"Limit", "Wait", NULL};
    static const char *const stream[] = {"LastEventId", NULL};
    static const char *const all[] = {"Cursor", "From", "Limit", "Wait", "LastEventId", NULL};
    static const char *const schemas[] = {"Event", "Header", "Page", NULL};
    static const char *const tickets[] = {"TicketRequest", "Ticket", NULL};
    json_t *resource = at(document, "paths", "/events"), *get = json_object_get(resource, "get");
    json_t *content = at(at(get, "responses", "200"), "content", NULL);
    if (!source->rest) {
        json_object_del(content, "application/json");
        drop_parameters(document, get, page);
    }
    if (!source->sse) {
        json_object_del(content, "text/event-stream");
        drop_parameters(document, get, stream);
    }
    if (!source->sse || !source->read) {
        json_object_del(at(document, "paths", NULL), "/events/tickets");
        drop_schemas(document, tickets);
    }
    if (source->sse && source->read)
        set_ticket(document, get);
    if (source->deprecated)
        json_object_set_new(get, "deprecated", json_true());
    if (!source->read || (!source->rest && !source->sse)) {
        drop_parameters(document, get, all);
        drop_schemas(document, schemas);
        json_object_del(at(document, "components", "responses"), "CursorExpired");
        json_object_del(resource, "get");
    }
}

static void describe_key(const slc_document_source *source, json_t *operation)
{
    json_t *text =
        json_sprintf("%s Key: %s. At most %lld bytes an event.",
                     json_string_value(json_object_get(operation, "description")),
                     source->key_rule != NULL ? source->key_rule : "none", (long long)source->max_event_bytes);
    json_object_set_new(operation, "description", text);
}

static void fit_publish(const slc_document_source *source, json_t *document)
{
    static const char *const parameters[] = {
        "Prefer", "IdempotencyKey", "CeSpecversion", "CeId",           "CeSource",
        "CeType", "CeSubject",      "CeTime",        "CePartitionkey", NULL};
    static const char *const schemas[] = {"CloudEvent", "Stored", "Published", NULL};
    json_t *resource = at(document, "paths", "/events"), *post = json_object_get(resource, "post");
    describe_key(source, post);
    if (source->deprecated)
        json_object_set_new(post, "deprecated", json_true());
    if (!source->publish || !source->rest) {
        drop_parameters(document, post, parameters);
        drop_schemas(document, schemas);
        json_object_del(resource, "post");
    }
}

static json_t *base_url(const slc_document_source *source)
{
    const char *base = source->rest_url != NULL ? source->rest_url : "";
    size_t len = strlen(base);
    while (len > 0 && base[len - 1] == '/')
        len--;
    return json_sprintf("%.*s/%s/v%u", (int)len, base, source->name, source->major);
}

json_t *slc_document_openapi(const slc_document_source *source)
{
    json_t *document = load(slc_document_openapi_text);
    set_info(source, at(document, "info", NULL));
    json_array_append_new(at(document, "servers", NULL), json_pack("{s:o}", "url", base_url(source)));
    set_openapi_security(source, document);
    set_schema(source, at(document, "components", "schemas"));
    fit_read(source, document);
    fit_publish(source, document);
    return document;
}

/* ---- AsyncAPI ---- */

static json_t *async_security(const slc_document_source *source, json_t *document)
{
    json_t *schemes = at(document, "components", "securitySchemes"), *ways = json_array();
    char name[32] = "apiKey";
    size_t i;
    json_t *header;
    json_array_foreach (source->key_headers, i, header) {
        if (i > 0)
            snprintf(name, sizeof name, "apiKey%zu", i + 1);
        json_object_set_new(schemes, name,
                            json_pack("{s:s, s:s, s:O}", "type", "httpApiKey", "in", "header", "name", header));
        json_array_append_new(
            ways, json_pack("{s:o}", "$ref", json_sprintf("#/components/securitySchemes/%s", name)));
    }
    if (source->basic) {
        json_object_set_new(schemes, "basic", json_pack("{s:s, s:s}", "type", "http", "scheme", "basic"));
        json_array_append_new(ways, json_pack("{s:s}", "$ref", "#/components/securitySchemes/basic"));
    }
    if (source->bearer) {
        json_object_set_new(
            schemes, "bearer",
            json_pack("{s:s, s:s, s:s}", "type", "http", "scheme", "bearer", "bearerFormat", "JWT"));
        json_array_append_new(ways, json_pack("{s:s}", "$ref", "#/components/securitySchemes/bearer"));
    }
    if (source->certificate) {
        json_object_set_new(schemes, "certificate", json_pack("{s:s}", "type", "X509"));
        json_array_append_new(ways, json_pack("{s:s}", "$ref", "#/components/securitySchemes/certificate"));
    }
    return ways;
}

/* "https://host:port/base" as AsyncAPI wants it. Without a URL the host is whatever served the document, which
 * the language can only say with a variable. */
static json_t *http_server(const slc_document_source *source, json_t *security)
{
    const char *url = source->rest_url, *scheme_end = url != NULL ? strstr(url, "://") : NULL;
    json_t *server = json_object();
    if (scheme_end == NULL) {
        json_object_set_new(server, "host", json_string("{gateway}"));
        json_object_set_new(server, "protocol", json_string("http"));
        json_object_set_new(server, "variables",
                            json_pack("{s:{s:s, s:s}}", "gateway", "default", "localhost:8000", "description",
                                      "host:port of the gateway"));
    } else {
        const char *host = scheme_end + 3;
        size_t host_len = strcspn(host, "/"), path_len = strlen(host + host_len);
        while (path_len > 0 && host[host_len + path_len - 1] == '/')
            path_len--;
        json_object_set_new(server, "host", json_stringn(host, host_len));
        json_object_set_new(server, "protocol", json_stringn(url, (size_t)(scheme_end - url)));
        if (path_len > 0)
            json_object_set_new(server, "pathname", json_stringn(host + host_len, path_len));
    }
    if (json_array_size(security) > 0)
        json_object_set(server, "security", security);
    return server;
}

static void fit_http(const slc_document_source *source, json_t *document)
{
    json_t *operations = at(document, "operations", NULL);
    bool publish = source->publish && source->rest, read = source->read && (source->rest || source->sse);
    json_t *messages = at(document, "channels", "events");
    messages = json_object_get(messages, "messages");
    if (!publish) {
        json_object_del(operations, "publish");
        json_object_del(messages, "event");
    }
    if (!read) {
        json_object_del(operations, "read");
        json_object_del(messages, "readEvent");
        json_object_del(at(document, "components", "messages"), "ReadEvent");
        json_object_del(at(document, "components", "schemas"), "ReadEvent");
    }
    if (!publish && !read) {
        json_object_del(at(document, "channels", NULL), "events");
        return;
    }
    json_object_set_new(at(document, "channels", "events"), "address",
                        json_sprintf("/%s/v%u/events", source->name, source->major));
    json_t *security = async_security(source, document);
    json_object_set_new(at(document, "servers", NULL), "http", http_server(source, security));
    json_decref(security);
}

/* Messages and schemas that nothing refers to any more. */
static void drop_unused(json_t *document)
{
    json_t *messages = at(document, "components", "messages");
    bool http = at(document, "channels", "events") != NULL, topic = at(document, "channels", "topic") != NULL;
    json_t *record = json_object_get(messages, "Record");
    if (at(document, "operations", "publish") == NULL)
        json_object_del(messages, "Event");
    if (topic && !http && at(record, "payload", "$ref") == NULL)
        json_object_del(at(document, "components", "schemas"), "EventData");
    if (!http)
        json_object_del(document, "defaultContentType");
}

json_t *slc_document_asyncapi(const slc_document_source *source)
{
    json_t *document = load(slc_document_asyncapi_text);
    set_info(source, at(document, "info", NULL));
    set_schema(source, at(document, "components", "schemas"));
    fit_http(source, document);
    slc_document_fit_kafka(source, document);
    drop_unused(document);
    return document;
}
