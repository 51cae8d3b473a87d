/* Documents of event APIs: they speak of what is offered and of nothing else, and every reference in them leads
 * somewhere. That validators of others take them is integration.documents' to show. */
#include <string.h>

#include "catalog/documents.h"
#include "fixture.h"

static slc_document_source source_of(unsigned bits)
{
    return (slc_document_source){.name = "orders",
                                 .major = 3,
                                 .team = "shop",
                                 .publish = bits & 1,
                                 .read = bits & 2,
                                 .rest = bits & 4,
                                 .sse = bits & 8,
                                 .kafka = bits & 16,
                                 .kafka_url = "kafka.example.com:9092",
                                 .topic = "shop.orders",
                                 .rest_url = bits & 32 ? "https://api.example.com:8443/events/" : NULL,
                                 .max_event_bytes = 1000,
                                 .basic = bits & 32,
                                 .bearer = bits & 16,
                                 .certificate = bits & 8};
}

/* Follows "#/a/b" through the document. */
static json_t *find(json_t *document, const char *reference)
{
    json_t *place = document;
    char part[100];
    ck_assert_msg(reference[0] == '#', "%s", reference);
    for (const char *at = reference + 1; place != NULL && *at == '/';) {
        size_t len = strcspn(++at, "/");
        ck_assert_uint_lt(len, sizeof part);
        snprintf(part, sizeof part, "%.*s", (int)len, at);
        place = json_object_get(place, part);
        at += len;
    }
    return place;
}

static void check_references(json_t *document, json_t *value)
{
    const char *key;
    json_t *inner;
    size_t i;
    json_array_foreach (value, i, inner)
        check_references(document, inner);
    json_object_foreach (value, key, inner) {
        if (strcmp(key, "$ref") == 0)
            ck_assert_msg(find(document, json_string_value(inner)) != NULL, "%s leads nowhere",
                          json_string_value(inner));
        else
            check_references(document, inner);
    }
}

static bool mentions(json_t *document, const char *text)
{
    char *printed = json_dumps(document, JSON_COMPACT);
    bool found = strstr(printed, text) != NULL;
    free(printed);
    return found;
}

/* Every component of the sort is used. */
static void check_every(json_t *document, const char *sort)
{
    const char *name;
    char reference[100];
    json_t *component, *place = json_object_get(json_object_get(document, "components"), sort);
    json_object_foreach (place, name, component) {
        snprintf(reference, sizeof reference, "\"#/components/%s/%s\"", sort, name);
        ck_assert_msg(mentions(document, reference), "%s is not used", reference);
    }
}

static void check_components(json_t *document)
{
    check_every(document, "parameters");
    check_every(document, "responses");
    check_every(document, "schemas");
}

START_TEST(openapi_of_every_combination)
{
    slc_document_source source = source_of((unsigned)_i);
    json_t *document = slc_document_openapi(&source);
    json_t *events = json_object_get(json_object_get(document, "paths"), "/events");
    check_references(document, document);
    ck_assert_int_eq(json_object_get(events, "post") != NULL, source.publish && source.rest);
    ck_assert_int_eq(json_object_get(events, "get") != NULL, source.read && (source.rest || source.sse));
    ck_assert_int_eq(mentions(document, "text/event-stream"), source.read && source.sse);
    ck_assert_int_eq(mentions(document, "#/components/schemas/Page"), source.read && source.rest);
    ck_assert(!mentions(document, "shop.orders"));
    if (source.publish && source.read && source.rest && source.sse)
        check_components(document);
    json_decref(document);
}
END_TEST

START_TEST(asyncapi_of_every_combination)
{
    slc_document_source source = source_of((unsigned)_i);
    json_t *document = slc_document_asyncapi(&source);
    json_t *operations = json_object_get(document, "operations");
    bool read = source.read && (source.rest || source.sse);
    check_references(document, document);
    ck_assert_int_eq(json_object_get(operations, "publish") != NULL, source.publish && source.rest);
    ck_assert_int_eq(json_object_get(operations, "read") != NULL, read);
    ck_assert_int_eq(json_object_get(operations, "produce") != NULL, source.publish && source.kafka);
    ck_assert_int_eq(json_object_get(operations, "consume") != NULL, source.read && source.kafka);
    ck_assert_int_eq(mentions(document, "shop.orders"), source.kafka);
    ck_assert_int_eq(mentions(document, "\"#/components/messages/Record\""), source.kafka);
    ck_assert_int_eq(mentions(document, "bindingVersion\":\"0.5.0"), source.kafka);
    ck_assert_int_eq(json_object_get(document, "defaultContentType") != NULL,
                     read || (source.publish && source.rest));
    check_every(document, "messages");
    check_every(document, "securitySchemes");
    /* Readers get the event with its key and headers around it, publishers send it bare. */
    ck_assert_int_eq(mentions(document, "\"#/channels/events/messages/readEvent\""), read);
    ck_assert_int_eq(mentions(document, "\"#/components/schemas/ReadEvent\""), read);
    ck_assert_int_eq(mentions(document, "\"#/channels/events/messages/event\""), source.publish && source.rest);
    json_decref(document);
}
END_TEST

START_TEST(servers_are_the_groups_url)
{
    slc_document_source source = source_of(15 | 32);
    json_t *openapi = slc_document_openapi(&source), *asyncapi = slc_document_asyncapi(&source);
    json_t *http = json_object_get(json_object_get(asyncapi, "servers"), "http");
    ck_assert(mentions(openapi, "{\"url\":\"https://api.example.com:8443/events/orders/v3\"}"));
    ck_assert_str_eq(json_string_value(json_object_get(http, "host")), "api.example.com:8443");
    ck_assert_str_eq(json_string_value(json_object_get(http, "protocol")), "https");
    ck_assert_str_eq(json_string_value(json_object_get(http, "pathname")), "/events");
    json_decref(openapi);
    json_decref(asyncapi);

    source = source_of(15);
    openapi = slc_document_openapi(&source);
    ck_assert(mentions(openapi, "{\"url\":\"/orders/v3\"}"));
    json_decref(openapi);
}
END_TEST

START_TEST(a_schemas_own_references_still_lead_somewhere)
{
    slc_document_source source = source_of(31);
    json_t *schema = json_loads("{\"$defs\": {\"money\": {\"type\": \"number\"}}, \"type\": \"object\","
                                " \"properties\": {\"total\": {\"$ref\": \"#/$defs/money\"},"
                                " \"parent\": {\"$ref\": \"#\"}}}",
                                0, NULL);
    source.schema = schema;
    source.schema_format = "json_schema";
    json_t *openapi = slc_document_openapi(&source), *asyncapi = slc_document_asyncapi(&source);
    check_references(openapi, openapi);
    check_references(asyncapi, asyncapi);
    ck_assert(mentions(openapi, "\"#/components/schemas/EventData/$defs/money\""));
    ck_assert(mentions(asyncapi, "\"#/components/schemas/EventData/$defs/money\""));
    json_decref(openapi);
    json_decref(asyncapi);
    json_decref(schema);
}
END_TEST

/* Avro is what the topic holds; over HTTP it is JSON. */
START_TEST(kafka_clients_are_told_of_avro)
{
    slc_document_source source = source_of(16 | 2 | 1);
    json_t *schema = json_loads("{\"type\": \"record\", \"name\": \"R\", \"fields\": []}", 0, NULL);
    source.schema = schema;
    source.schema_format = "avro";
    for (int rest = 0; rest < 2; rest++) {
        source.rest = rest == 1;
        json_t *document = slc_document_asyncapi(&source);
        json_t *record = find(document, "#/components/messages/Record");
        json_t *payload = json_object_get(record, "payload");
        check_references(document, document);
        ck_assert_str_eq(json_string_value(json_object_get(record, "contentType")), "avro/binary");
        ck_assert_str_eq(json_string_value(json_object_get(payload, "schemaFormat")),
                         "application/vnd.apache.avro+json;version=1.9.0");
        ck_assert(json_equal(json_object_get(payload, "schema"), schema));
        ck_assert_int_eq(find(document, "#/components/schemas/EventData") != NULL, rest);
        json_decref(document);
    }
    json_decref(schema);
}
END_TEST

/* Any of these ways alone: those who come so are told, and of the others nothing. */
START_TEST(ways_in_are_those_of_the_virtual_cluster)
{
    static const struct {
        const char *way;
        size_t schemes;
        const char *told;
    } cases[] = {{"scram", 2, "\"scramSha512\""},
                 {"plain", 1, "\"plain\""},
                 {"oauthbearer", 1, "\"oauth2\""},
                 {"mtls", 1, "\"X509\""},
                 {"anonymous", 0, "Clients need not sign in."},
                 {"passthrough", 0, "as the Kafka cluster behind it demands."}};
    slc_document_source source = source_of(16 | 2);
    source.kafka_certificates = true;
    json_t *ways = json_pack("[s]", cases[_i].way);
    source.kafka_ways = ways;
    json_t *document = slc_document_asyncapi(&source);
    json_t *server = find(document, "#/servers/kafka");
    ck_assert_uint_eq(json_array_size(json_object_get(server, "security")), cases[_i].schemes);
    ck_assert_uint_eq(json_object_size(find(document, "#/components/securitySchemes")), cases[_i].schemes);
    ck_assert(mentions(document, cases[_i].told));
    check_references(document, document);
    json_decref(document);
    source.kafka_certificates = false;
    document = slc_document_asyncapi(&source);
    ck_assert_int_eq(mentions(document, "\"X509\""), false);
    json_decref(document);
    json_decref(ways);
}
END_TEST

START_TEST(deprecation_is_marked)
{
    slc_document_source source = source_of(15);
    source.deprecated = true;
    source.sunset_ms = 1893456000000;
    json_t *openapi = slc_document_openapi(&source);
    json_t *events = json_object_get(json_object_get(openapi, "paths"), "/events");
    ck_assert(json_is_true(json_object_get(json_object_get(events, "get"), "deprecated")));
    ck_assert(json_is_true(json_object_get(json_object_get(events, "post"), "deprecated")));
    ck_assert(mentions(openapi, "\"x-sunset\":\"2030-01-01T00:00:00.000Z\""));
    json_decref(openapi);
}
END_TEST

static Suite *suite(void)
{
    TCase *tcase = tcase_create("documents");
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, openapi_of_every_combination, 0, 64);
    tcase_add_loop_test(tcase, asyncapi_of_every_combination, 0, 64);
    tcase_add_test(tcase, servers_are_the_groups_url);
    tcase_add_test(tcase, a_schemas_own_references_still_lead_somewhere);
    tcase_add_test(tcase, kafka_clients_are_told_of_avro);
    tcase_add_loop_test(tcase, ways_in_are_those_of_the_virtual_cluster, 0, 6);
    tcase_add_test(tcase, deprecation_is_marked);
    Suite *suite = suite_create("documents");
    suite_add_tcase(suite, tcase);
    return suite;
}
TEST_MAIN(suite)
