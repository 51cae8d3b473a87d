/* One valid entity of every kind: what generic tests are driven by, and a small world for the others. */
#include <string.h>

#include "fixture.h"

/* Made for tests: CN=test.example.com, its key, and another key. */
const char t_certificate[] = "-----BEGIN CERTIFICATE-----\\n"
                             "MIIBjjCCATOgAwIBAgIUON/aZlTuLWqtEbmA7WA2XwBPt4owCgYIKoZIzj0EAwIw\\n"
                             "GzEZMBcGA1UEAwwQdGVzdC5leGFtcGxlLmNvbTAgFw0yNjExMjQyMTQwMjNaGA8y\\n"
                             "MTI2MTAzMTIxNDAyM1owGzEZMBcGA1UEAwwQdGVzdC5leGFtcGxlLmNvbTBZMBMG\\n"
                             "ByqGSM49AgEGCCqGSM49AwEHA0IABBmglpRk4eaJSmHph6hG385nikah2ljx9P6b\\n"
                             "y+J5DPRZKRKvo4U9kTPOfWMYxY1TbYsJptIPo6G+DXB0l9+oa9ajUzBRMB0GA1Ud\\n"
                             "DgQWBBSSTOvsR9WQTSFCkEEZypjkqXmhnjAfBgNVHSMEGDAWgBSSTOvsR9WQTSFC\\n"
                             "kEEZypjkqXmhnjAPBgNVHRMBAf8EBTADAQH/MAoGCCqGSM49BAMCA0kAMEYCIQDP\\n"
                             "sC2RatbXT5OT/GVxWbet3pPNTz09TRfyl5f7bJ3rzAIhAIu/RHzI7Fmp5Kg6ffzH\\n"
                             "AdZYrQ0MbOD2KD9lfLg6NfD8\\n"
                             "-----END CERTIFICATE-----\\n";
const char t_certificate_key[] = "-----BEGIN PRIVATE KEY-----\\n"
                                 "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgXcVmhFEhQMM6Q0K9\\n"
                                 "bEWWf3qe2PgZ/ULl5OnmK3ki97ShRANCAAQZoJaUZOHmiUph6YeoRt/OZ4pGodpY\\n"
                                 "8fT+m8vieQz0WSkSr6OFPZEzzn1jGMWNU22LCabSD6Ohvg1wdJffqGvW\\n"
                                 "-----END PRIVATE KEY-----\\n";
const char t_other_key[] = "-----BEGIN PRIVATE KEY-----\\n"
                           "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgr0je/hfV2PsUR91k\\n"
                           "5tWKai1Ua/qQk9cJHtlN6VY/yemhRANCAATw+SaVpDN3GengtG1pAnk3hCaq7CFU\\n"
                           "AN3ib/pmgr0yRHFIOXzMu92dOav9aJdnb22CShdKXkyRlB1l4h58EMDu\\n"
                           "-----END PRIVATE KEY-----\\n";

#define CERTIFICATE                                                                                            \
    "-----BEGIN CERTIFICATE-----\\n"                                                                           \
    "MIIBjjCCATOgAwIBAgIUON/aZlTuLWqtEbmA7WA2XwBPt4owCgYIKoZIzj0EAwIw\\n"                                      \
    "GzEZMBcGA1UEAwwQdGVzdC5leGFtcGxlLmNvbTAgFw0yNjExMjQyMTQwMjNaGA8y\\n"                                      \
    "MTI2MTAzMTIxNDAyM1owGzEZMBcGA1UEAwwQdGVzdC5leGFtcGxlLmNvbTBZMBMG\\n"                                      \
    "ByqGSM49AgEGCCqGSM49AwEHA0IABBmglpRk4eaJSmHph6hG385nikah2ljx9P6b\\n"                                      \
    "y+J5DPRZKRKvo4U9kTPOfWMYxY1TbYsJptIPo6G+DXB0l9+oa9ajUzBRMB0GA1Ud\\n"                                      \
    "DgQWBBSSTOvsR9WQTSFCkEEZypjkqXmhnjAfBgNVHSMEGDAWgBSSTOvsR9WQTSFC\\n"                                      \
    "kEEZypjkqXmhnjAPBgNVHRMBAf8EBTADAQH/MAoGCCqGSM49BAMCA0kAMEYCIQDP\\n"                                      \
    "sC2RatbXT5OT/GVxWbet3pPNTz09TRfyl5f7bJ3rzAIhAIu/RHzI7Fmp5Kg6ffzH\\n"                                      \
    "AdZYrQ0MbOD2KD9lfLg6NfD8\\n"                                                                              \
    "-----END CERTIFICATE-----\\n"
#define CERTIFICATE_KEY                                                                                        \
    "-----BEGIN PRIVATE KEY-----\\n"                                                                           \
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgXcVmhFEhQMM6Q0K9\\n"                                      \
    "bEWWf3qe2PgZ/ULl5OnmK3ki97ShRANCAAQZoJaUZOHmiUph6YeoRt/OZ4pGodpY\\n"                                      \
    "8fT+m8vieQz0WSkSr6OFPZEzzn1jGMWNU22LCabSD6Ohvg1wdJffqGvW\\n"                                              \
    "-----END PRIVATE KEY-----\\n"

const struct sample t_samples[] = {
    {"teams", "platform", "{'name': 'platform', 'title': 'Platform', 'labels': {'a': 'b'}}",
     "{'title': 'Team'}"},
    {"roles", "operator", "{'name': 'operator', 'permissions': ['listeners:*', 'teams:read']}",
     "{'permissions': ['*']}"},
    {"users", "ann",
     "{'name': 'ann', 'email': 'ann@example.com', 'teams': ['platform'], 'roles': ['operator', 'viewer']}",
     "{'disabled': true, 'roles': []}"},
    {"api-tokens", NULL, "{'name': 'ci', 'owner': 'ann', 'scopes': ['teams:read']}", "{'name': 'cd'}"},
    {"invitations", NULL,
     "{'email': 'eve@example.com', 'team': 'platform', 'role': 'developer', 'expires_in': '2d'}", NULL},
    {"sign-in-providers", "corp",
     "{'name': 'corp', 'issuer': 'https://login.example.com', 'client_id': 'portal', 'client_secret': "
     "'provider-secret', 'domains': ['example.com']}",
     "{'scopes': ['openid', 'groups'], 'trust_email': true}"},
    {"sign-in-rules", NULL, "{'provider': 'corp', 'group': 'staff', 'team': 'platform', 'role': 'viewer'}",
     "{'team': null}"},
    {"gateway-groups", "dev",
     "{'name': 'dev', 'environment': 'dev', 'rest_url': 'http://127.0.0.1:8000', 'max_staleness': '90s'}",
     "{'max_staleness': '', 'kafka_url': 'localhost:19092'}"},
    {"enrolment-tokens", NULL, "{'group': 'dev', 'expires_in': '2h', 'uses': 3}", NULL},
    {"backend-clusters", "local",
     "{'name': 'local', 'bootstrap_servers': ['127.0.0.1:9092', '[::1]:9093'], 'tls': {'enabled': true, "
     "'client_certificate_pem': '" CERTIFICATE "', 'client_key_pem': '" CERTIFICATE_KEY "'}, 'authentication': "
     "{'mechanism': 'PLAIN', 'username': 'gw', 'password': 'backend-password'}, 'options': {'connect_timeout': "
     "'5s'}}",
     "{'authentication': {'username': 'gateway'}}"},
    {"virtual-clusters", "local", "{'name': 'local', 'backend_cluster': 'local'}",
     "{'namespace': {'mode': 'hide', 'prefix': 'team-'}, 'extra_topics': ['shared.*']}"},
    {"listeners", "edge",
     "{'name': 'edge', 'gateway_group': 'dev', 'protocol': 'http', 'address': '127.0.0.1:8000', 'tls': "
     "{'certificate_pem': '" CERTIFICATE "', 'key_pem': '" CERTIFICATE_KEY "'}}",
     "{'address': '127.0.0.1:8443', 'tls': {'min_version': '1.3'}}"},
    {"issuers", "login", "{'name': 'login', 'url': 'https://login.example.com', 'claims': {'azp': 'x'}}",
     "{'audiences': ['events']}"},
    {"enrolment-rules", "pods",
     "{'name': 'pods', 'group': 'dev', 'issuer': 'login', 'audience': 'sluice', 'namespace': 'edge'}",
     "{'namespace': 'edge-*', 'service_account': 'gateway'}"},
    {"webhooks", "told",
     "{'name':'told','url':'https://hooks.example.com/in','events':['subscription.requested']}",
     "{'events':['event_api.published','node.lost']}"},
    {"scorecard-rules", "told",
     "{'name': 'told', 'condition': 'size(api.description) > 0', 'hint': 'Describe it.', 'teams': "
     "['platform']}",
     "{'points': 5, 'level': 'gold', 'teams': [], 'lifecycles': ['published', 'deprecated']}"},
    {"schema-registries", "main",
     "{'name': 'main', 'url': 'http://registry:8081', 'authentication': {'mechanism': 'bearer', 'token': "
     "'registry-token'}}",
     "{'authentication': {'mechanism': 'basic', 'username': 'u', 'password': 'registry-password', 'token': "
     "null}}"},
    {"key-rings", "vault",
     "{'name': 'vault', 'provider': 'vault', 'config': {'url': 'https://vault:8200', 'token': {'env': "
     "'VAULT_TOKEN'}, 'key': 'k'}}",
     "{'config': {'token': {'file': '/run/vault-token'}}}"},
    {"trust-bundles", "corporate", "{'name': 'corporate', 'pem': '" CERTIFICATE "'}", "{'title': 'Corporate'}"},
    {"grants", NULL,
     "{'team': 'platform', 'virtual_cluster': 'local', 'topic': 'ord*', 'operations': ['publish', 'read']}",
     "{'labels': {'reviewed': 'yes'}}"},
    {"event-apis", "orders.v1",
     "{'name': 'orders', 'major': 1, 'team': 'platform', 'lifecycle': 'published', 'operations': ['publish', "
     "'read'], "
     "'exposures': ['rest', 'sse'], 'key': {'source': 'json_pointer', 'pointer': '/customer/id'}, 'schema': "
     "{'format': 'json_schema', 'registry': 'main'}, 'tags': ['shop']}",
     "{'lifecycle': 'deprecated', 'sunset_at': '2030-01-01T00:00:00Z', 'schema': null}"},
    {"deployments", "orders.v1@dev",
     "{'event_api': 'orders.v1', 'gateway_group': 'dev', 'virtual_cluster': 'local', 'topic': 'orders', "
     "'listener': "
     "'edge'}",
     "{'topic': 'orders-2'}"},
    {"products", "orders",
     "{'name': 'orders', 'team': 'platform', 'event_apis': ['orders.v1'], 'lifecycle': 'published', "
     "'visibility': "
     "'teams', 'visible_to': ['platform']}",
     "{'visibility': 'public', 'visible_to': null}"},
    {"plans", "orders.free",
     "{'product': 'orders', 'name': 'free', 'operations': ['publish', 'read'], 'approval': 'auto', 'limits': "
     "{'events_per_second': 10}}",
     "{'operations': ['read'], 'limits': {'streams': 2}}"},
    {"rest-apis", "stock",
     "{'name': 'stock', 'team': 'platform', 'lifecycle': 'published', 'visibility': 'teams', 'visible_to': "
     "['platform'], 'tags': ['shop'], 'document': 'openapi: 3.1.0\\ninfo: {title: Stock, version: 1.2.0}\\n"
     "servers: [{url: https://stock.example.com}]\\npaths:\\n  /items: {get: {summary: What there is}}\\n'}",
     "{'lifecycle': 'deprecated', 'description': 'How much there is.'}"},
    {"applications", "demo", "{'name': 'demo', 'team': 'platform'}", "{'description': 'Shows *it*.\\n'}"},
    {"credentials", NULL, "{'application': 'demo', 'type': 'secret'}", "{'disabled': true}"},
    {"subscriptions", NULL, "{'application': 'demo', 'plan': 'orders.free', 'environment': 'dev'}",
     "{'expires_at': '2099-01-01T00:00:00Z'}"},
    {"policies", "pages",
     "{'name': 'pages', 'type': 'cors', 'scope': {'kind': 'event-api', 'ref': 'orders.v1'}, 'config': "
     "{'origins': "
     "['https://shop.example']}}",
     "{'scope': {'kind': 'listener', 'ref': 'edge'}, 'order': 5}"},
    {NULL, NULL, NULL, NULL},
};

void t_make_samples(const char *until)
{
    for (const struct sample *sample = t_samples; sample->kind != NULL; sample++) {
        if (until != NULL && strcmp(sample->kind, until) == 0)
            return;
        t_make(sample->kind, sample->body);
    }
}
