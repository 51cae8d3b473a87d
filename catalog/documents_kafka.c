/* The part of an AsyncAPI document that is for Kafka clients: the server with its ways to sign in, and the
 * channel, operations and message with their Kafka bindings, version 0.5.0. */
#include <string.h>

#include "catalog/documents_private.h"

#define BINDING_VERSION "0.5.0"
#define AVRO_FORMAT     "application/vnd.apache.avro+json;version=1.9.0"
#define AVRO_TYPE       "avro/binary" /* as Apache Avro's specification names it */

static json_t *part(json_t *document, const char *first, const char *second)
{
    return json_object_get(json_object_get(document, first), second);
}

/* ---- ways to sign in ---- */

static const struct {
    const char *way; /* of a virtual cluster's client_authentication */
    const char *name, *type, *description;
} schemes[] = {
    {"scram", "saslScramSha512", "scramSha512", "SASL SCRAM-SHA-512 with a credential's id and secret."},
    {"scram", "saslScramSha256", "scramSha256", "SASL SCRAM-SHA-256 with a credential's id and secret."},
    {"plain", "saslPlain", "plain", "SASL PLAIN with a credential's id and secret."},
    /* Where a token comes from is the issuer's to say, so that no flow can be named. */
    {"oauthbearer", "saslOauthbearer", "oauth2", "SASL OAUTHBEARER with an access token of an application."},
    {"mtls", "certificate", "X509", "A client certificate of an application."},
};

static bool takes(const slc_document_source *source, const char *way)
{
    size_t i;
    json_t *item;
    json_array_foreach (source->kafka_ways, i, item)
        if (strcmp(json_string_value(item), way) == 0)
            return strcmp(way, "mtls") != 0 || source->kafka_certificates;
    return false;
}

static void add_security(const slc_document_source *source, json_t *document, json_t *server)
{
    json_t *all = part(document, "components", "securitySchemes"), *ways = json_array();
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
        if (!takes(source, schemes[i].way))
            continue;
        json_t *scheme =
            json_pack("{s:s, s:s}", "type", schemes[i].type, "description", schemes[i].description);
        if (strcmp(schemes[i].type, "oauth2") == 0)
            json_object_set_new(scheme, "flows", json_object());
        json_object_set_new(all, schemes[i].name, scheme);
        json_array_append_new(
            ways, json_pack("{s:o}", "$ref", json_sprintf("#/components/securitySchemes/%s", schemes[i].name)));
    }
    if (json_array_size(ways) > 0)
        json_object_set(server, "security", ways);
    json_decref(ways);
}

static json_t *server_of(const slc_document_source *source, json_t *document)
{
    json_t *server = json_pack("{s:s, s:s}", "host", source->kafka_url, "protocol",
                               source->kafka_tls ? "kafka-secure" : "kafka");
    if (takes(source, "passthrough"))
        json_object_set_new(server, "description",
                            json_string("Clients sign in as the Kafka cluster behind it demands."));
    else if (takes(source, "anonymous"))
        json_object_set_new(server, "description", json_string("Clients need not sign in."));
    add_security(source, document, server);
    return server;
}

/* ---- names ---- */

static json_t *binding(void)
{
    return json_pack("{s:s}", "bindingVersion", BINDING_VERSION);
}

static void set_bindings(json_t *object, json_t *kafka)
{
    json_object_set_new(object, "bindings", json_pack("{s:o}", "kafka", kafka));
}

/* Prefixes have letters, digits, '.', '_' and '-'. */
static json_t *pattern_of(const char *prefix)
{
    json_t *pattern = json_string("^");
    for (; *prefix != '\0'; prefix++) {
        json_t *longer =
            json_sprintf("%s%s%c", json_string_value(pattern), *prefix == '.' ? "\\" : "", *prefix);
        json_decref(pattern);
        pattern = longer;
    }
    return pattern;
}

/* Appends a sentence to the description of the schema. */
static void tell(json_t *schema, const char *text, const char *what)
{
    const char *so_far = json_string_value(json_object_get(schema, "description"));
    json_t *description =
        json_sprintf("%s%s%s%s", so_far != NULL ? so_far : "", so_far != NULL ? " " : "", text, what);
    json_object_set_new(schema, "description", description);
}

/* What consumer groups may be called; NULL: anything. */
static json_t *group_of(const slc_document_source *source)
{
    json_t *schema = json_pack("{s:s}", "type", "string");
    size_t i;
    json_t *glob;
    if (source->group_prefix != NULL) {
        json_object_set_new(schema, "pattern", pattern_of(source->group_prefix));
        tell(schema, "Begins with ", source->group_prefix);
    } else if (!takes(source, "anonymous") && !takes(source, "passthrough")) {
        tell(schema, "Begins with the application's name and a dot, unless a policy allows more.", "");
    }
    json_array_foreach (source->group_filter, i, glob)
        tell(schema, i == 0 ? "Is one of: " : "or ", json_string_value(glob));
    if (json_object_size(schema) > 1)
        return schema;
    json_decref(schema);
    return NULL;
}

/* ---- the message ---- */

static bool is_format(const slc_document_source *source, const char *format)
{
    return source->schema_format != NULL && strcmp(source->schema_format, format) == 0;
}

static void fit_record(const slc_document_source *source, json_t *document)
{
    json_t *record = part(document, "components", "messages");
    record = json_object_get(record, "Record");
    if (is_format(source, "avro")) {
        json_object_set_new(record, "contentType", json_string(AVRO_TYPE));
        if (source->schema != NULL)
            json_object_set_new(
                record, "payload",
                json_pack("{s:s, s:O}", "schemaFormat", AVRO_FORMAT, "schema", (json_t *)source->schema));
    } else if (is_format(source, "json_schema") || source->rest) { /* what is published so is JSON */
        json_object_set_new(record, "contentType", json_string("application/json"));
    }
    if (source->key_rule != NULL) {
        json_t *kafka = binding();
        json_object_set_new(kafka, "key",
                            json_pack("{s:s, s:o}", "type", "string", "description",
                                      json_sprintf("The key is %s.", source->key_rule)));
        set_bindings(record, kafka);
    }
}

/* ---- the whole ---- */

void slc_document_fit_kafka(const slc_document_source *source, json_t *document)
{
    json_t *operations = json_object_get(document, "operations");
    bool offered = source->kafka && source->kafka_url != NULL;
    if (!offered || !source->publish)
        json_object_del(operations, "produce");
    if (!offered || !source->read)
        json_object_del(operations, "consume");
    if (!offered) {
        json_object_del(json_object_get(document, "channels"), "topic");
        json_object_del(part(document, "components", "messages"), "Record");
        return;
    }
    json_t *channel = part(document, "channels", "topic"), *kafka = binding(), *group = group_of(source);
    json_object_set_new(kafka, "topic", json_string(source->topic));
    if (source->partitions > 0)
        json_object_set_new(kafka, "partitions", json_integer(source->partitions));
    set_bindings(channel, kafka);
    json_object_set_new(channel, "address", json_string(source->topic));
    json_object_set_new(json_object_get(document, "servers"), "kafka", server_of(source, document));
    fit_record(source, document);
    if (group != NULL && source->read) {
        kafka = binding();
        json_object_set(kafka, "groupId", group);
        set_bindings(json_object_get(operations, "consume"), kafka);
    }
    json_decref(group);
}
