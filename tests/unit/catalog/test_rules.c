/* Rules that the table of kinds cannot say. The world is that of the samples. */
#include <stdio.h>
#include <string.h>

#include "fixture.h"

static void setup(void)
{
    t_setup();
    t_make_samples(NULL);
}

/* ---- clusters ---- */

START_TEST(a_mechanism_needs_its_credentials)
{
    const struct {
        const char *authentication, *pointer;
    } cases[] = {
        {"{'mechanism': 'PLAIN'}", "/authentication/username"},
        {"{'mechanism': 'SCRAM-SHA-512', 'username': 'u'}", "/authentication/password"},
        {"{'mechanism': 'OAUTHBEARER', 'token_url': 'https://t', 'client_id': 'c'}",
         "/authentication/client_secret"},
        {"{'mechanism': 'GSSAPI'}", "/authentication/mechanism"},
        {"{}", "/authentication/mechanism"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char body[300];
        snprintf(body, sizeof(body), "{'name': 'x', 'bootstrap_servers': ['a:1'], 'authentication': %s}",
                 cases[i].authentication);
        t_create_fails("backend-clusters", body, SLC_INVALID, cases[i].pointer);
    }
    t_make("backend-clusters",
           "{'name': 'x', 'bootstrap_servers': ['a:1'], 'authentication': {'mechanism': 'none'}}");
    t_create_fails("backend-clusters",
                   "{'name': 'y', 'bootstrap_servers': ['a:1'], 'tls': {'client_key_pem': {'file': '/k'}}}",
                   SLC_INVALID, "/tls/client_certificate_pem");
}
END_TEST

START_TEST(no_virtual_cluster_is_named_like_a_broker)
{
    t_create_fails("virtual-clusters", "{'name': 'b1-shop', 'backend_cluster': 'local'}", SLC_INVALID, "/name");
    t_create_fails("virtual-clusters", "{'name': 'b23-a', 'backend_cluster': 'local'}", SLC_INVALID, "/name");
    t_make("virtual-clusters", "{'name': 'b-shop', 'backend_cluster': 'local'}");
    t_make("virtual-clusters", "{'name': 'b1', 'backend_cluster': 'local'}");
}
END_TEST

START_TEST(namespaces_of_a_backend_do_not_overlap)
{
    t_make("virtual-clusters",
           "{'name': 'one', 'backend_cluster': 'local', 'namespace': {'mode': 'hide', 'prefix': 'a.'}}");
    t_create_fails(
        "virtual-clusters",
        "{'name': 'two', 'backend_cluster': 'local', 'namespace': {'mode': 'hide', 'prefix': 'a.b.'}}",
        SLC_CONFLICT, "/namespace/prefix");
    t_create_fails(
        "virtual-clusters",
        "{'name': 'two', 'backend_cluster': 'local', 'namespace': {'mode': 'enforce', 'prefix': 'a'}}",
        SLC_CONFLICT, "/namespace/prefix");
    t_create_fails("virtual-clusters",
                   "{'name': 'two', 'backend_cluster': 'local', 'namespace': {'mode': 'hide', 'prefix': 'a_'}}",
                   SLC_CONFLICT, "/namespace/prefix");
    t_make("virtual-clusters",
           "{'name': 'same', 'backend_cluster': 'local', 'namespace': {'mode': 'enforce', 'prefix': 'a.'}}");
    t_make("virtual-clusters",
           "{'name': 'two', 'backend_cluster': 'local', 'namespace': {'mode': 'hide', 'prefix': 'b.'}}");
    t_patch_fails("virtual-clusters", "two", "{'namespace': {'mode': 'hide', 'prefix': 'a.x'}}", SLC_CONFLICT,
                  "/namespace/prefix");
}
END_TEST

START_TEST(a_deployments_topic_has_a_name_in_the_virtual_cluster)
{
    static const struct {
        const char *namespace, *extra_topics;
        bool named;
    } cases[] = {
        {"{'mode': 'hide', 'prefix': 'a.'}", "[]", true},
        {"{'mode': 'hide', 'prefix': 'a.', 'topic_filter': ['x', 'orders-*']}", "[]", false},
        {"{'mode': 'hide', 'prefix': 'a.', 'topic_filter': ['x', 'ord*']}", "[]", true},
        {"{'mode': 'enforce', 'prefix': 'a.'}", "[]", false},
        {"{'mode': 'enforce', 'prefix': 'ord'}", "[]", true},
        {"{'mode': 'enforce', 'prefix': 'a.'}", "['o*s']", true},
        {"{'mode': 'enforce', 'prefix': 'a.', 'aliases': [{'name': 'orders', 'topic': 'y'}]}", "[]", true},
        {"{'mode': 'enforce', 'prefix': 'a.', 'aliases': [{'name': 'y', 'topic': 'orders'}]}", "[]", false},
        {"{'mode': 'none', 'prefix': null}", "[]", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char patch[300];
        json_decref(t_patch("virtual-clusters", "local",
                            "{'namespace': {'mode': 'hide', 'prefix': 'a.', 'aliases': [], 'topic_filter': []},"
                            "'extra_topics': []}"));
        snprintf(patch, sizeof patch, "{'namespace': %s, 'extra_topics': %s}", cases[i].namespace,
                 cases[i].extra_topics);
        if (cases[i].named)
            json_decref(t_patch("virtual-clusters", "local", patch));
        else
            t_patch_fails("virtual-clusters", "local", patch, SLC_CONFLICT, "/namespace");
    }
    json_decref(t_patch("virtual-clusters", "local",
                        "{'namespace': {'mode': 'hide', 'prefix': 'a.', 'topic_filter': ['ord*']}}"));
    t_patch_fails("deployments", "orders.v1@dev", "{'topic': 'payments'}", SLC_INVALID, "/topic");
    json_decref(t_patch("deployments", "orders.v1@dev", "{'topic': 'ordinary'}"));
    t_delete("deployments", "orders.v1@dev");
    json_decref(t_patch("virtual-clusters", "local", "{'namespace': {'mode': 'enforce', 'prefix': 'b.'}}"));
}
END_TEST

START_TEST(nothing_leads_to_kafkas_own_topics)
{
    static const char *const prefixes[] = {"_",        "__", "__c", "__consumer_offsets", "__transaction_",
                                           "__remote_"};
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
        char patch[100];
        snprintf(patch, sizeof patch, "{'namespace': {'mode': '%s', 'prefix': '%s'}}",
                 i % 2 ? "hide" : "enforce", prefixes[i]);
        t_patch_fails("virtual-clusters", "local", patch, SLC_INVALID, "/namespace/prefix");
    }
    json_decref(t_patch("virtual-clusters", "local", "{'namespace': {'mode': 'hide', 'prefix': '__team.'}}"));
    t_patch_fails("virtual-clusters", "local",
                  "{'namespace': {'mode': 'hide', 'prefix': 'a.', 'aliases': [{'name': 'x', 'topic': 'y'},"
                  "{'name': 'z', 'topic': '__consumer_offsets'}]}}",
                  SLC_INVALID, "/namespace/aliases/1/topic");
}
END_TEST

START_TEST(aliases_are_distinct)
{
    t_patch_fails("virtual-clusters", "local",
                  "{'namespace': {'mode': 'hide', 'prefix': 'a.', 'aliases': [{'name': 'x', 'topic': 'y'},"
                  "{'name': 'x', 'topic': 'z'}]}}",
                  SLC_INVALID, "/namespace/aliases/1/name");
    t_patch_fails("virtual-clusters", "local",
                  "{'namespace': {'mode': 'hide', 'prefix': 'a.', 'aliases': [{'name': 'x', 'topic': 'y'},"
                  "{'name': 'z', 'topic': 'y'}]}}",
                  SLC_INVALID, "/namespace/aliases/1/topic");
    t_patch_fails("virtual-clusters", "local", "{'namespace': {'mode': 'none', 'topic_filter': ['x']}}",
                  SLC_INVALID, "/namespace/topic_filter");
}
END_TEST

START_TEST(principals_belong_to_no_namespace)
{
    t_make("virtual-clusters",
           "{'name': 'open', 'backend_cluster': 'local', 'namespace': {'mode': 'hide', 'prefix': "
           "'a.', 'admin_apis': ['acls', 'client-metrics']}}");
    t_patch_fails("virtual-clusters", "open",
                  "{'namespace': {'mode': 'hide', 'prefix': 'a.', 'admin_apis': ['acls', 'quotas']}}",
                  SLC_INVALID, "/namespace/admin_apis/1");
    t_patch_fails("virtual-clusters", "open", "{'namespace': {'mode': 'none', 'admin_apis': ['everything']}}",
                  SLC_INVALID, "/namespace/admin_apis/0");
}
END_TEST

START_TEST(a_namespace_needs_its_prefix)
{
    t_patch_fails("virtual-clusters", "local", "{'namespace': {'mode': 'hide'}}", SLC_INVALID,
                  "/namespace/prefix");
    t_patch_fails("virtual-clusters", "local", "{'namespace': {'prefix': 'a-'}}", SLC_INVALID,
                  "/namespace/prefix");
    t_patch_fails("virtual-clusters", "local", "{'namespace': {'mode': 'hide', 'prefix': 'a b'}}", SLC_INVALID,
                  "/namespace/prefix");
    t_patch_fails("virtual-clusters", "local", "{'extra_topics': ['x']}", SLC_INVALID, "/extra_topics");
    t_patch_fails("virtual-clusters", "local", "{'client_authentication': ['passthrough', 'plain']}",
                  SLC_INVALID, "/client_authentication");
    t_patch_fails("virtual-clusters", "local", "{'backend_cluster': 'nowhere'}", SLC_INVALID,
                  "/backend_cluster");
}
END_TEST

START_TEST(a_key_ring_needs_what_its_provider_needs)
{
    t_create_fails("key-rings", "{'name': 'x', 'provider': 'local'}", SLC_INVALID, "/config/path");
    t_create_fails("key-rings", "{'name': 'x', 'provider': 'local', 'config': {'path': '/keys'}}", SLC_INVALID,
                   "/config/passphrase");
    t_create_fails("key-rings", "{'name': 'x', 'provider': 'vault', 'config': {'url': 'https://v'}}",
                   SLC_INVALID, "/config/token");
    t_create_fails("key-rings", "{'name': 'x', 'provider': 'aws-kms', 'config': {'key': 'k'}}", SLC_INVALID,
                   "/config/region");
    t_create_fails("key-rings",
                   "{'name': 'x', 'provider': 'aws-kms', 'config': {'region': 'r', 'access_key_id': 'a'}}",
                   SLC_INVALID, "/config/secret_access_key");
    t_create_fails("key-rings",
                   "{'name': 'x', 'provider': 'aws-kms', 'config': {'region': 'r', 'key': 'alias/{tenant}'}}",
                   SLC_INVALID, "/config/key");
    t_create_fails("schema-registries",
                   "{'name': 'x', 'url': 'http://r', 'authentication': {'mechanism': 'basic'}}", SLC_INVALID,
                   "/authentication/username");
}
END_TEST

/* ---- listeners ---- */

static void listener_fails(const char *rest, enum slc_code code, const char *field)
{
    char body[3000];
    snprintf(body, sizeof(body), "{'name': 'x', 'gateway_group': 'dev', %s}", rest);
    t_create_fails("listeners", body, code, field);
}

START_TEST(no_two_listeners_of_a_group_share_a_port)
{
    listener_fails("'protocol': 'http', 'address': '127.0.0.1:8000'", SLC_CONFLICT, "/address");
    listener_fails("'protocol': 'http', 'address': ':8000'", SLC_CONFLICT, "/address");
    listener_fails("'protocol': 'http', 'address': '0.0.0.0:8000'", SLC_CONFLICT, "/address");
    listener_fails("'protocol': 'http', 'address': '[::]:8000'", SLC_CONFLICT, "/address");
    t_make("listeners",
           "{'name': 'a', 'gateway_group': 'dev', 'protocol': 'http', 'address': '127.0.0.2:8000'}");
    t_make("listeners", "{'name': 'b', 'gateway_group': 'dev', 'protocol': 'http', 'address': ':8001'}");
    t_patch_fails("listeners", "b", "{'address': ':8000'}", SLC_CONFLICT, "/address");
    t_make("gateway-groups", "{'name': 'prod', 'environment': 'prod'}");
    t_make("listeners",
           "{'name': 'c', 'gateway_group': 'prod', 'protocol': 'http', 'address': '127.0.0.1:8000'}");
    json_decref(t_patch("listeners", "b", "{'advertised_host': 'b.example.com'}")); /* not in its own way */
}
END_TEST

#define PORTS(ranges)                                                                                          \
    "'protocol': 'kafka', 'address': ':19092', 'kafka': {'routing': 'ports', 'virtual_cluster': "              \
    "'local', 'port_ranges': [" ranges "]}"
#define RANGE(first, last, base)                                                                               \
    "{'first_node_id': " #first ", 'last_node_id': " #last ", 'port_base': " #base "}"

START_TEST(broker_ports_are_checked)
{
    listener_fails(PORTS(""), SLC_INVALID, "/kafka/port_ranges");
    listener_fails(PORTS(RANGE(3, 1, 19100)), SLC_INVALID, "/kafka/port_ranges/0");
    listener_fails(PORTS(RANGE(0, 9, 19090)), SLC_INVALID, "/kafka/port_ranges/0");
    listener_fails(PORTS(RANGE(0, 9, 65530)), SLC_INVALID, "/kafka/port_ranges/0");
    listener_fails(PORTS(RANGE(0, 2, 19100) ", " RANGE(2, 4, 19200)), SLC_INVALID, "/kafka/port_ranges/1");
    listener_fails(PORTS(RANGE(0, 9, 19100) ", " RANGE(10, 19, 19109)), SLC_INVALID, "/kafka/port_ranges/1");
    listener_fails(PORTS(RANGE(0, 9, 7995)), SLC_CONFLICT, "/address"); /* 8000 is taken by edge */
    t_make("listeners", "{'name': 'k', 'gateway_group': 'dev', " PORTS(RANGE(0, 9, 19100)) "}");
    listener_fails("'protocol': 'http', 'address': ':19105'", SLC_CONFLICT, "/address");
    t_delete_fails("virtual-clusters", "local", SLC_CONFLICT);
}
END_TEST

START_TEST(a_kafka_listener_says_how_it_routes)
{
    listener_fails("'protocol': 'kafka', 'address': ':1'", SLC_INVALID, "/kafka");
    listener_fails(
        "'protocol': 'http', 'address': ':1', 'kafka': {'routing': 'sni', 'sni_suffix': 'k.example'}",
        SLC_INVALID, "/kafka");
    listener_fails("'protocol': 'kafka', 'address': ':1', 'kafka': {'routing': 'sni'}", SLC_INVALID,
                   "/kafka/sni_suffix");
    listener_fails(
        "'protocol': 'kafka', 'address': ':1', 'kafka': {'routing': 'sni', 'sni_suffix': 'k.example'}",
        SLC_INVALID, "/tls");
    listener_fails("'protocol': 'kafka', 'address': ':1', 'kafka': {'routing': 'ports'}", SLC_INVALID,
                   "/kafka/virtual_cluster");
    listener_fails("'advertised_port': 443, " PORTS(RANGE(0, 9, 19100)), SLC_INVALID, "/advertised_port");
}
END_TEST

START_TEST(a_key_must_fit_its_certificate)
{
    char tls[2500];
    snprintf(tls, sizeof(tls),
             "'protocol': 'http', 'address': ':1', 'tls': {'certificate_pem': '%s', 'key_pem': '%s'}",
             t_certificate, t_other_key);
    listener_fails(tls, SLC_INVALID, "/tls/key_pem");
    snprintf(tls, sizeof(tls),
             "'protocol': 'http', 'address': ':1', 'tls': {'certificate_pem': 'x', 'key_pem': '%s'}",
             t_certificate_key);
    listener_fails(tls, SLC_INVALID, "/tls/certificate_pem");
    snprintf(tls, sizeof(tls),
             "'protocol': 'http', 'address': ':1', 'tls': {'certificate_pem': '%s', 'key_pem': {'file': '/k'}, "
             "'client_auth': 'require'}",
             t_certificate);
    listener_fails(tls, SLC_INVALID, "/tls/client_ca_pem");
}
END_TEST

START_TEST(a_certificate_is_given_or_a_file_with_its_key)
{
    char tls[2500];
    listener_fails("'protocol': 'http', 'address': ':1', 'tls': {'key_pem': {'file': '/k'}}", SLC_INVALID,
                   "/tls/certificate_pem");
    listener_fails(
        "'protocol': 'http', 'address': ':1', 'tls': {'certificate_file': '/c', 'key_pem': {'env': 'K'}}",
        SLC_INVALID, "/tls/key_pem");
    snprintf(tls, sizeof(tls),
             "'protocol': 'http', 'address': ':1', 'tls': {'certificate_file': '/c', 'key_pem': '%s'}",
             t_certificate_key);
    listener_fails(tls, SLC_INVALID, "/tls/key_pem");
    snprintf(tls, sizeof(tls),
             "'protocol': 'http', 'address': ':1', 'tls': {'certificate_file': '/c', 'certificate_pem': '%s', "
             "'key_pem': {'file': '/k'}}",
             t_certificate);
    listener_fails(tls, SLC_INVALID, "/tls/certificate_pem");
    t_make("listeners",
           "{'name': 'renewed', 'gateway_group': 'dev', 'protocol': 'http', 'address': ':1', 'tls': "
           "{'certificate_file': '/c', 'key_pem': {'file': '/k'}}}");
}
END_TEST

static void patch_identity(const char *list, bool good)
{
    char patch[3000];
    snprintf(
        patch, sizeof(patch),
        "{'tls': {'certificate_pem': '%s', 'key_pem': {'file': '/k'}, 'client_ca_pem': '%s', 'client_auth': "
        "'request', 'client_identity': %s}}",
        t_certificate, t_certificate, list);
    if (good)
        json_decref(t_patch("listeners", "asks", patch));
    else
        t_patch_fails("listeners", "asks", patch, SLC_CONFLICT, "/tls/client_identity");
}

#define BY(match) "{'application': 'demo', 'type': 'certificate', 'certificate': {" match "}}"

START_TEST(listeners_say_what_certificates_are_matched_by)
{
    char body[3000];
    t_make("credentials", BY("'san': 'DNS:early.example'")); /* nobody has said anything yet */
    snprintf(body, sizeof(body),
             "{'name': 'asks', 'gateway_group': 'dev', 'protocol': 'http', 'address': ':1', 'tls': "
             "{'certificate_pem': '%s', 'key_pem': {'file': '/k'}, 'client_ca_pem': '%s', 'client_auth': "
             "'request'}}",
             t_certificate, t_certificate);
    t_make("listeners", body);
    t_make("credentials", BY("'subject': 'CN=demo'"));
    t_create_fails("credentials", BY("'san': 'DNS:demo.example'"), SLC_INVALID, "/certificate/san");
    t_create_fails("credentials", BY("'san': 'URI:spiffe://demo'"), SLC_INVALID, "/certificate/san");
    patch_identity("['uri', 'dns', 'subject']", true);
    t_make("credentials", BY("'san': 'DNS:demo.example'"));
    patch_identity("['dns', 'subject']", true); /* uri: nobody's */
    patch_identity("['subject']", false);
    patch_identity("[]", true);
    t_make("credentials", BY("'san': 'email:me@demo.example'"));
    patch_identity("['dns', 'subject']", false);
    json_decref(t_patch("listeners", "asks", "{'tls': null}"));
}
END_TEST

/* ---- event APIs and deployments ---- */

START_TEST(a_lifecycle_only_moves_forward)
{
    t_patch_fails("event-apis", "orders.v1", "{'lifecycle': 'draft'}", SLC_INVALID, "/lifecycle");
    json_decref(t_patch("event-apis", "orders.v1", "{'lifecycle': 'retired'}")); /* stages may be left out */
    t_patch_fails("event-apis", "orders.v1", "{'lifecycle': 'published'}", SLC_INVALID, "/lifecycle");
    t_patch_fails("products", "orders", "{'lifecycle': 'draft'}", SLC_INVALID, "/lifecycle");
}
END_TEST

START_TEST(an_event_api_is_consistent_in_itself)
{
    const struct {
        const char *patch, *pointer;
    } cases[] = {
        {"{'key': {'source': 'header'}}", "/key/pointer"}, /* the pointer is still there */
        {"{'key': {'source': 'header', 'pointer': null}}", "/key/header"},
        {"{'key': {'pointer': null}}", "/key/pointer"},
        {"{'schema': {'format': 'none'}}", "/schema/format"},
        {"{'schema': {'definition': '{}'}}", "/schema"}, /* and a registry */
        {"{'schema': {'registry': null, 'definition': '{'}}", "/schema/definition"},
        {"{'operations': ['publish']}", "/exposures"}, /* sse */
        {"{'operations': []}", "/operations"},
        {"{'exposures': ['rest', 'smoke']}", "/exposures/1"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        t_patch_fails("event-apis", "orders.v1", cases[i].patch, SLC_INVALID, cases[i].pointer);
    t_create_fails("event-apis",
                   "{'name': 'orders', 'major': 1, 'team': 'platform', 'operations': ['read'], "
                   "'exposures': ['rest']}",
                   SLC_CONFLICT, "/name");
    t_make("event-apis",
           "{'name': 'orders', 'major': 2, 'team': 'platform', 'operations': ['read'], 'exposures': "
           "['rest']}");
}
END_TEST

START_TEST(an_event_api_gets_a_cursor_key)
{
    ck_assert_str_eq(
        t_sql("SELECT count(*) || ' ' || min(key_id) || ' ' || min(length(sealed_key)) FROM cursor_keys"),
        "1 1 64");
}
END_TEST

START_TEST(what_is_deployed_must_stay_reachable)
{
    t_patch_fails("event-apis", "orders.v1", "{'exposures': ['kafka']}", SLC_CONFLICT, "/exposures");
    json_decref(t_patch("event-apis", "orders.v1", "{'exposures': ['rest', 'kafka']}"));
}
END_TEST

static void deployment_fails(const char *patch, enum slc_code code, const char *field)
{
    t_patch_fails("deployments", "orders.v1@dev", patch, code, field);
}

START_TEST(a_deployment_fits_together)
{
    t_make("gateway-groups", "{'name': 'prod', 'environment': 'prod'}");
    t_make("listeners", "{'name': 'far', 'gateway_group': 'prod', 'protocol': 'http', 'address': ':1'}");
    t_make("listeners", "{'name': 'k', 'gateway_group': 'dev', " PORTS(RANGE(0, 9, 19100)) "}");
    t_make("virtual-clusters", "{'name': 'second', 'backend_cluster': 'local'}");
    deployment_fails("{'listener': 'far'}", SLC_INVALID, "/listener");
    deployment_fails("{'listener': 'k'}", SLC_INVALID, "/listener");
    deployment_fails("{'topic': '..'}", SLC_INVALID, "/topic");
    deployment_fails("{'topic': 'a/b'}", SLC_INVALID, "/topic");
    deployment_fails("{'virtual_cluster': 'none'}", SLC_INVALID, "/virtual_cluster");
    deployment_fails("{'gateway_group': 'prod'}", SLC_INVALID, "/gateway_group");
    t_create_fails(
        "deployments",
        "{'event_api': 'orders.v1', 'gateway_group': 'dev', 'virtual_cluster': 'local', 'topic': 'x', "
        "'listener': 'edge'}",
        SLC_CONFLICT, "/gateway_group");
    t_make("event-apis", "{'name': 'raw', 'major': 1, 'team': 'platform', 'operations': ['read'], 'exposures': "
                         "['kafka']}");
    t_create_fails("deployments",
                   "{'event_api': 'raw.v1', 'gateway_group': 'dev', 'virtual_cluster': 'second', 'topic': 'x', "
                   "'listener': 'k'}",
                   SLC_INVALID, "/virtual_cluster");
    t_make("deployments",
           "{'event_api': 'raw.v1', 'gateway_group': 'dev', 'virtual_cluster': 'local', 'topic': 'x', "
           "'listener': 'k'}");
    t_patch_fails("listeners", "k", "{'kafka': {'virtual_cluster': 'second'}}", SLC_CONFLICT,
                  "/kafka/virtual_cluster");
}
END_TEST

/* ---- products and plans ---- */

START_TEST(a_plan_grants_only_what_its_product_offers)
{
    t_make("event-apis",
           "{'name': 'news', 'major': 1, 'team': 'platform', 'operations': ['read'], 'exposures': "
           "['rest']}");
    t_make("products", "{'name': 'news', 'team': 'platform', 'event_apis': ['news.v1']}");
    t_create_fails("plans", "{'product': 'news', 'name': 'all', 'operations': ['read', 'publish']}",
                   SLC_CONFLICT, "/operations");
    t_make("plans", "{'product': 'news', 'name': 'all', 'operations': ['read']}");
    t_patch_fails("products", "orders", "{'event_apis': ['news.v1']}", SLC_CONFLICT, "/event_apis");
    t_patch_fails("event-apis", "orders.v1", "{'operations': ['read'], 'exposures': ['rest']}", SLC_CONFLICT,
                  "/operations");
    t_create_fails("plans", "{'product': 'news', 'name': 'all', 'operations': ['read']}", SLC_CONFLICT,
                   "/name");
    t_create_fails("plans",
                   "{'product': 'news', 'name': 'x', 'operations': ['read'], 'limits': {'streams': 0}}",
                   SLC_INVALID, "/limits/streams");
}
END_TEST

START_TEST(visible_to_is_for_teams_only)
{
    t_patch_fails("products", "orders", "{'visibility': 'public'}", SLC_INVALID, "/visible_to");
    t_patch_fails("products", "orders", "{'event_apis': []}", SLC_INVALID, "/event_apis");
    t_patch_fails("products", "orders", "{'event_apis': ['orders.v1', 'orders.v1']}", SLC_INVALID,
                  "/event_apis/1");
}
END_TEST

/* ---- policies ---- */

START_TEST(a_policy_is_of_a_known_type_with_valid_settings)
{
    t_create_fails("policies", "{'name': 'x', 'type': 'magic', 'scope': {'kind': 'group', 'ref': 'dev'}}",
                   SLC_INVALID, "/type");
    t_create_fails("policies", "{'name': 'x', 'type': 'cors', 'scope': {'kind': 'group', 'ref': 'dev'}}",
                   SLC_INVALID, "/config/origins");
    t_create_fails("policies",
                   "{'name': 'x', 'type': 'key-auth', 'scope': {'kind': 'group', 'ref': 'dev'}, 'config': "
                   "{'header': 'a b'}}",
                   SLC_INVALID, "/config/header");
    t_create_fails("policies",
                   "{'name': 'x', 'type': 'subscription', 'scope': {'kind': 'group', 'ref': 'dev'}, "
                   "'config': {'x': 1}}",
                   SLC_INVALID, "/config/x");
    t_create_fails("policies",
                   "{'name': 'x', 'type': 'key-auth', 'scope': {'kind': 'plan', 'ref': 'orders.free'}}",
                   SLC_INVALID, "/scope/kind");
    t_create_fails("policies", "{'name': 'x', 'type': 'key-auth', 'scope': {'kind': 'group', 'ref': 'edge'}}",
                   SLC_INVALID, "/scope/ref");
    t_create_fails("policies", "{'name': 'x', 'type': 'key-auth', 'scope': {'kind': 'planet', 'ref': 'edge'}}",
                   SLC_INVALID, "/scope/kind");
    t_create_fails("policies",
                   "{'name': 'x', 'type': 'key-auth', 'scope': {'kind': 'group', 'ref': 'dev'}, "
                   "'condition': 'request.method == 1'}",
                   SLC_INVALID, "/condition");
    t_patch_fails("policies", "pages", "{'condition': 'request.method'}", SLC_INVALID, "/condition");
    json_decref(t_patch("policies", "pages", "{'condition': 'has(request.headers.origin)'}"));
    json_decref(t_patch("policies", "pages", "{'scope': {'kind': 'listener', 'ref': 'edge'}}"));
    t_delete("deployments", "orders.v1@dev");
    t_delete_fails("listeners", "edge", SLC_CONFLICT);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("catalog/rules");
    TCase *tc = tcase_create("rules");
    tcase_add_checked_fixture(tc, setup, t_teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, a_mechanism_needs_its_credentials);
    tcase_add_test(tc, principals_belong_to_no_namespace);
    tcase_add_test(tc, a_namespace_needs_its_prefix);
    tcase_add_test(tc, no_virtual_cluster_is_named_like_a_broker);
    tcase_add_test(tc, namespaces_of_a_backend_do_not_overlap);
    tcase_add_test(tc, a_deployments_topic_has_a_name_in_the_virtual_cluster);
    tcase_add_test(tc, nothing_leads_to_kafkas_own_topics);
    tcase_add_test(tc, aliases_are_distinct);
    tcase_add_test(tc, a_key_ring_needs_what_its_provider_needs);
    tcase_add_test(tc, no_two_listeners_of_a_group_share_a_port);
    tcase_add_test(tc, broker_ports_are_checked);
    tcase_add_test(tc, a_kafka_listener_says_how_it_routes);
    tcase_add_test(tc, a_key_must_fit_its_certificate);
    tcase_add_test(tc, a_certificate_is_given_or_a_file_with_its_key);
    tcase_add_test(tc, listeners_say_what_certificates_are_matched_by);
    tcase_add_test(tc, a_lifecycle_only_moves_forward);
    tcase_add_test(tc, an_event_api_is_consistent_in_itself);
    tcase_add_test(tc, an_event_api_gets_a_cursor_key);
    tcase_add_test(tc, what_is_deployed_must_stay_reachable);
    tcase_add_test(tc, a_deployment_fits_together);
    tcase_add_test(tc, a_plan_grants_only_what_its_product_offers);
    tcase_add_test(tc, visible_to_is_for_teams_only);
    tcase_add_test(tc, a_policy_is_of_a_known_type_with_valid_settings);
    suite_add_tcase(s, tc);
    return s;
}

TEST_MAIN(suite)
