/* AsyncAPI documents as people get them from the catalog: where a deployment is, and who may know. */
#include <stdlib.h>
#include <string.h>

#include "catalog/compile.h"
#include "catalog/discover.h"
#include "catalog/entity.h"
#include "catalog/inventory.h"
#include "fixture.h"

static const char *wanted, *group;
static bool visitor;
static json_t *document;

static bool get(slc_txn *txn, void *arg, slc_error *err)
{
    (void)arg;
    const slc_discover_viewer viewer =
        visitor ? slc_discover_visitor() : slc_discover_viewer_of(t_actor.identity);
    size_t len;
    char *text = slc_discover_asyncapi(txn, wanted, group, &viewer, &len, err);
    document = text != NULL ? json_loadb(text, len, 0, NULL) : NULL;
    ck_assert(document != NULL || text == NULL);
    free(text);
    return document != NULL;
}

/* The document of an event API on "dev": borrowed until the next one. */
static json_t *document_of(const char *key)
{
    json_decref(document);
    wanted = key;
    group = "dev";
    ck_assert_msg(t_read(get, NULL, &t_error), "%s", t_error.message);
    return document;
}

static void check_not_found(const char *key, const char *of_group)
{
    wanted = key;
    group = of_group;
    json_decref(document);
    ck_assert(!t_read(get, NULL, &t_error));
    ck_assert_int_eq(t_error.code, SLC_NOT_FOUND);
}

static json_t *part(const char *first, const char *second)
{
    return json_object_get(json_object_get(document, first), second);
}

static const char *protocol(void)
{
    return t_text(part("servers", "kafka"), "protocol");
}

/* The names of the Kafka server's security schemes with a space behind each, in static memory. */
static const char *ways(void)
{
    static char text[400];
    size_t i;
    json_t *way;
    text[0] = '\0';
    json_array_foreach (json_object_get(part("servers", "kafka"), "security"), i, way) {
        strcat(text, strrchr(t_text(way, "$ref"), '/') + 1);
        strcat(text, " ");
    }
    return text;
}

static json_t *kafka_binding(json_t *of)
{
    return json_object_get(json_object_get(of, "bindings"), "kafka");
}

static void make_listener(const char *name, const char *address, const char *more)
{
    char body[8000];
    snprintf(body, sizeof body,
             "{'name': '%s', 'gateway_group': 'dev', 'protocol': 'kafka', 'address': '%s'%s}", name, address,
             more);
    t_make("listeners", body);
}

#define PORTS(base)                                                                                            \
    ", 'kafka': {'routing': 'ports', 'virtual_cluster': 'local', 'port_ranges': [{'first_node_id': 0, "        \
    "'last_node_id': 1, 'port_base': " base "}]}"

static void make_tls_listener(const char *name, const char *address, const char *base, const char *client_auth)
{
    char more[7000];
    snprintf(more, sizeof more,
             ", 'kafka': {'routing': 'ports', 'virtual_cluster': 'local', 'port_ranges': [{'first_node_id': 0, "
             "'last_node_id': 1, 'port_base': %s}]}, 'tls': {'certificate_pem': '%s', 'key_pem': '%s', "
             "'client_ca_pem': '%s', 'client_auth': '%s'}",
             base, t_certificate, t_certificate_key, t_certificate, client_auth);
    make_listener(name, address, more);
}

static void make_api(const char *name, const char *exposures, const char *listener)
{
    char body[500];
    snprintf(body, sizeof body,
             "{'name': '%s', 'major': 1, 'team': 'shop', 'operations': ['publish', 'read'], 'exposures': [%s], "
             "'lifecycle': 'published', 'key': {'source': 'json_pointer', 'pointer': '/id'}, 'schema': "
             "{'format': 'json_schema', 'definition': '{}'}}",
             name, exposures);
    t_make("event-apis", body);
    snprintf(body, sizeof body,
             "{'event_api': '%s.v1', 'gateway_group': 'dev', 'virtual_cluster': 'local', 'topic': 'orders', "
             "'listener': '%s'}",
             name, listener);
    t_make("deployments", body);
}

static void setup(void)
{
    t_setup();
    document = NULL;
    visitor = false;
    t_make("teams", "{'name': 'shop'}");
    t_make("teams", "{'name': 'bank'}");
    t_make("users", "{'name': 'ann', 'teams': ['shop'], 'roles': ['viewer']}");
    t_make("users", "{'name': 'bob', 'teams': ['bank'], 'roles': ['viewer']}");
    t_make("gateway-groups", "{'name': 'dev', 'environment': 'dev', 'rest_url': 'https://dev.example', "
                             "'kafka_url': 'dev.example:9093'}");
    t_make("backend-clusters", "{'name': 'kafka', 'bootstrap_servers': ['127.0.0.1:9092']}");
    t_make("virtual-clusters", "{'name': 'local', 'backend_cluster': 'kafka'}");
    t_make("listeners",
           "{'name': 'http', 'gateway_group': 'dev', 'protocol': 'http', 'address': '127.0.0.1:8000'}");
}

static void teardown(void)
{
    json_decref(document);
    t_teardown();
}

START_TEST(what_is_reached_by_kafka_alone_has_that_alone)
{
    make_listener("native", "0.0.0.0:9093", PORTS("9100"));
    make_api("native", "'kafka'", "native");
    document_of("native.v1");
    ck_assert_uint_eq(json_object_size(json_object_get(document, "servers")), 1);
    ck_assert_uint_eq(json_object_size(json_object_get(document, "channels")), 1);
    ck_assert_str_eq(t_text(part("servers", "kafka"), "host"), "dev.example:9093");
    ck_assert_str_eq(protocol(), "kafka");
    ck_assert_str_eq(ways(), "saslScramSha512 saslScramSha256 saslPlain ");
    ck_assert_uint_eq(json_object_size(part("components", "securitySchemes")), 3);
    ck_assert_str_eq(t_text(part("channels", "topic"), "address"), "orders");
    json_t *record = json_object_get(part("components", "messages"), "Record");
    ck_assert_str_eq(t_text(record, "contentType"), "application/json");
    ck_assert_str_eq(t_text(json_object_get(kafka_binding(record), "key"), "description"),
                     "The key is `/id` of the event (JSON pointer).");
}
END_TEST

START_TEST(both_ways_are_in_one_document)
{
    make_listener("native", "0.0.0.0:9093", PORTS("9100"));
    make_api("orders", "'rest', 'kafka'", "http");
    document_of("orders.v1");
    ck_assert_str_eq(t_text(part("servers", "http"), "host"), "dev.example");
    ck_assert_str_eq(protocol(), "kafka");
    ck_assert_uint_eq(json_object_size(json_object_get(document, "operations")), 4);
    /* Without its URL there is the other one. */
    json_decref(t_patch("gateway-groups", "dev", "{'rest_url': null}"));
    document_of("orders.v1");
    ck_assert_ptr_null(part("servers", "http"));
    ck_assert_str_eq(protocol(), "kafka");
}
END_TEST

START_TEST(the_ways_in_are_those_of_the_listener_that_clients_are_told)
{
    json_decref(t_patch("virtual-clusters", "local", "{'client_authentication': ['oauthbearer', 'mtls']}"));
    make_listener("a-plain", "0.0.0.0:9092", PORTS("9100"));
    make_api("native", "'kafka'", "a-plain");
    make_api("orders", "'rest', 'kafka'", "http");
    document_of("orders.v1");
    ck_assert_str_eq(protocol(), "kafka");
    ck_assert_str_eq(ways(), "saslOauthbearer "); /* nobody asks for a certificate there */
    make_tls_listener("b-tls", "0.0.0.0:9093", "9200", "request");
    document_of("orders.v1");
    ck_assert_str_eq(protocol(), "kafka-secure");
    ck_assert_str_eq(ways(), "saslOauthbearer certificate ");
    document_of("native.v1"); /* the deployment says which */
    ck_assert_str_eq(protocol(), "kafka");
    json_decref(t_patch("gateway-groups", "dev", "{'kafka_url': 'dev.example:9092'}"));
    document_of("orders.v1");
    ck_assert_str_eq(protocol(), "kafka");
}
END_TEST

START_TEST(a_listener_that_routes_by_name_leads_there_too)
{
    char more[7000];
    snprintf(more, sizeof more,
             ", 'advertised_port': 9093, 'kafka': {'routing': 'sni', 'sni_suffix': 'dev.example'}, 'tls': "
             "{'certificate_pem': '%s', 'key_pem': '%s'}",
             t_certificate, t_certificate_key);
    make_api("orders", "'rest', 'kafka'", "http");
    document_of("orders.v1");
    ck_assert_ptr_null(part("servers", "kafka")); /* it is exposed, but no listener leads to it */
    make_listener("names", "0.0.0.0:19093", more);
    make_listener("another", "0.0.0.0:9091", PORTS("9100"));
    document_of("orders.v1");
    ck_assert_str_eq(protocol(), "kafka-secure");
}
END_TEST

START_TEST(an_enforced_prefix_binds_consumer_groups)
{
    make_listener("native", "0.0.0.0:9093", PORTS("9100"));
    make_api("native", "'kafka'", "native");
    json_t *consume, *schema;
    document_of("native.v1");
    consume = part("operations", "consume");
    schema = json_object_get(kafka_binding(consume), "groupId");
    ck_assert_str_eq(t_text(schema, "pattern"), "");
    ck_assert_ptr_nonnull(strstr(t_text(schema, "description"), "application's name and a dot"));
    json_decref(t_patch("virtual-clusters", "local",
                        "{'namespace': {'mode': 'enforce', 'prefix': 'or.', 'group_filter': ['or.a*'], "
                        "'aliases': [{'name': 'orders', 'topic': 'retail.orders'}]}}"));
    document_of("native.v1");
    consume = part("operations", "consume");
    schema = json_object_get(kafka_binding(consume), "groupId");
    ck_assert_str_eq(t_text(schema, "pattern"), "^or\\.");
    ck_assert_ptr_nonnull(strstr(t_text(schema, "description"), "or.a*"));
    ck_assert_ptr_null(kafka_binding(part("operations", "produce")));
}
END_TEST

static bool find_topic(slc_txn *txn, void *arg, slc_error *err)
{
    const slc_found_topic topic = {.name = "retail.orders", .partitions = 12, .replication = 1};
    return slc_inventory_topic(txn, arg, "run", &topic, err);
}

START_TEST(partitions_are_told_once_gateways_have_found_them)
{
    json_decref(t_patch("virtual-clusters", "local", "{'namespace': {'mode': 'hide', 'prefix': 'retail.'}}"));
    make_listener("native", "0.0.0.0:9093", PORTS("9100"));
    make_api("native", "'kafka'", "native");
    document_of("native.v1");
    ck_assert_ptr_null(json_object_get(kafka_binding(part("channels", "topic")), "partitions"));
    json_t *backend = t_get("backend-clusters", "kafka");
    char id[SLC_ID_CHARS + 1];
    snprintf(id, sizeof id, "%s", t_text(backend, "id"));
    json_decref(backend);
    ck_assert_msg(slc_catalog_usage_sync(t_catalog, find_topic, id, &t_error), "%s", t_error.message);
    document_of("native.v1");
    json_t *binding = kafka_binding(part("channels", "topic"));
    ck_assert_int_eq(json_integer_value(json_object_get(binding, "partitions")), 12);
    ck_assert_str_eq(t_text(binding, "topic"), "orders");
}
END_TEST

START_TEST(who_may_not_know_of_it_gets_none)
{
    make_listener("native", "0.0.0.0:9093", PORTS("9100"));
    make_api("native", "'kafka'", "native");
    t_make("gateway-groups", "{'name': 'prod', 'environment': 'prod'}");
    check_not_found("native.v1", "prod"); /* not deployed there */
    check_not_found("native.v1", "nowhere");
    check_not_found("nothing.v1", "dev");
    t_act_as("ann", "['*']");
    document_of("native.v1");
    t_act_as("bob", "['*']");
    check_not_found("native.v1", "dev");
    t_act_unbound();
    t_make("products", "{'name': 'all', 'team': 'shop', 'event_apis': ['native.v1'], 'visibility': 'public', "
                       "'lifecycle': 'published'}");
    t_act_as("bob", "['*']");
    document_of("native.v1");
    visitor = true;
    check_not_found("native.v1", "dev"); /* no addresses for visitors */
    visitor = false;
    t_act_unbound();
    json_decref(t_patch("gateway-groups", "dev", "{'kafka_url': null}"));
    check_not_found("native.v1", "dev");
    ck_assert_ptr_nonnull(strstr(t_error.message, "kafka_url"));
}
END_TEST

static bool compile(slc_txn *txn, void *arg, slc_error *err)
{
    slc_compiled **out = arg;
    *out = slc_compile_group(txn, group, NULL, NULL, err);
    return *out != NULL;
}

/* How many chunks of the group's configuration hold the text. */
static size_t chunks_with(const char *text)
{
    slc_compiled *compiled = NULL;
    size_t found = 0;
    ck_assert_msg(t_read(compile, &compiled, &t_error), "%s", t_error.message);
    for (size_t i = 0; i < slc_compiled_chunk_count(compiled); i++) {
        size_t len;
        const uint8_t *sha256, *data = slc_compiled_chunk(compiled, i, &len, &sha256);
        found += memmem(data, len, text, strlen(text)) != NULL;
    }
    slc_compiled_unref(compiled);
    return found;
}

START_TEST(gateways_have_documents_of_what_they_serve_over_http_alone)
{
    json_t *dev = t_get("gateway-groups", "dev");
    char id[SLC_ID_CHARS + 1];
    snprintf(id, sizeof id, "%s", t_text(dev, "id"));
    json_decref(dev);
    group = id;
    make_listener("native", "0.0.0.0:9093", PORTS("9100"));
    make_api("native", "'kafka'", "native");
    ck_assert_uint_eq(chunks_with("native"), 2); /* the API and the listener */
    ck_assert_uint_eq(chunks_with("\"asyncapi\""), 0);
    ck_assert_uint_eq(chunks_with("\"openapi\""), 0);
    make_api("orders", "'sse', 'kafka'", "http");
    ck_assert_uint_eq(chunks_with("\"asyncapi\""), 1);
    ck_assert_uint_eq(chunks_with("\"openapi\""), 1);
    ck_assert_uint_eq(chunks_with("\"kafka\":{\"bindingVersion\""), 1);
}
END_TEST

static Suite *suite(void)
{
    TCase *tcase = tcase_create("document_facts");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, what_is_reached_by_kafka_alone_has_that_alone);
    tcase_add_test(tcase, both_ways_are_in_one_document);
    tcase_add_test(tcase, the_ways_in_are_those_of_the_listener_that_clients_are_told);
    tcase_add_test(tcase, a_listener_that_routes_by_name_leads_there_too);
    tcase_add_test(tcase, an_enforced_prefix_binds_consumer_groups);
    tcase_add_test(tcase, partitions_are_told_once_gateways_have_found_them);
    tcase_add_test(tcase, who_may_not_know_of_it_gets_none);
    tcase_add_test(tcase, gateways_have_documents_of_what_they_serve_over_http_alone);
    Suite *suite = suite_create("document_facts");
    suite_add_tcase(suite, tcase);
    return suite;
}
TEST_MAIN(suite)
