/* Building snapshots: what is looked up, what is shared with the version before, and what is refused. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../common_rpc/certs.h"
#include "common/alloc.h"
#include "common/file.h"
#include "dataplane/config/snapshot_private.h"
#include "maker.h"
#include "proto/bounded.h"

static struct maker *maker;

static void setup(void)
{
    maker = maker_new();
}

static void teardown(void)
{
    maker_free(maker);
}

static const Sluice__Snapshot__V1__Credential *credential(const slc_snapshot *snapshot, const char *lookup)
{
    return slc_snapshot_credential(snapshot, lookup, strlen(lookup));
}

/* ---- lookups ---- */

START_TEST(sample_is_found_by_url_id_and_lookup)
{
    slc_snapshot *snapshot = maker_build(maker, NULL);
    slc_event_api *api = slc_snapshot_find_api(snapshot, "listener-1", "orders", 6, 1);

    ck_assert_ptr_nonnull(api);
    ck_assert_ptr_eq(api, slc_snapshot_find_api(snapshot, NULL, "orders/events", 6, 1));
    ck_assert_ptr_eq(api, slc_snapshot_event_api_by_id(snapshot, "api-1"));
    ck_assert_ptr_null(slc_snapshot_find_api(snapshot, "listener-2", "orders", 6, 1));
    ck_assert_ptr_null(slc_snapshot_find_api(snapshot, "listener-1", "orders", 6, 2));
    ck_assert_ptr_null(slc_snapshot_find_api(snapshot, "listener-1", "order", 5, 1));
    ck_assert_str_eq(api->backend_topic, "orders");
    ck_assert_str_eq(api->vcluster->backend->msg->name, "local");
    ck_assert_ptr_nonnull(api->chain);
    ck_assert_str_eq(credential(snapshot, "secret:cred-1")->application_id, "app-1");
    ck_assert_ptr_null(credential(snapshot, "secret:cred-2"));
    ck_assert_ptr_null(slc_snapshot_credential(snapshot, "secret:cred-12", 12));
    ck_assert_ptr_null(credential(snapshot, ""));
    ck_assert_str_eq(slc_snapshot_application(snapshot, "app-1")->subscriptions[0]->plan_id, "plan-1");
    ck_assert_str_eq(slc_snapshot_plan(snapshot, "plan-1")->msg->name, "free");
    slc_snapshot_unref(snapshot);
}
END_TEST

START_TEST(every_identity_is_found_in_split_buckets_too)
{
    slc_snapshot *snapshot;
    char key[40];

    for (unsigned n = 2; n < 1000; n++)
        maker_add_application(maker, n);
    for (int split = 0; split < 2; split++) {
        maker->split = split == 1;
        snapshot = maker_build(maker, NULL);
        for (unsigned n = 1; n < 1000; n++) {
            snprintf(key, sizeof key, "secret:cred-%u", n);
            ck_assert_ptr_nonnull(credential(snapshot, key));
            snprintf(key, sizeof key, "app-%u", n);
            ck_assert_ptr_nonnull(slc_snapshot_application(snapshot, key));
        }
        ck_assert_ptr_null(credential(snapshot, "secret:cred-1000"));
        slc_snapshot_unref(snapshot);
    }
}
END_TEST

START_TEST(namespace_makes_the_backend_topic)
{
    char *extra[] = {"shared-*"};
    slc_snapshot *snapshot;

    maker->vcluster[0].mode = SLUICE__SNAPSHOT__V1__NAMESPACE_MODE__NAMESPACE_MODE_HIDE;
    maker->vcluster[0].prefix = "team.";
    maker->vcluster[0].extra_topics = extra;
    maker->vcluster[0].n_extra_topics = 1;
    snapshot = maker_build(maker, NULL);
    ck_assert_str_eq(slc_snapshot_event_api_by_id(snapshot, "api-1")->backend_topic, "team.orders");
    slc_snapshot_unref(snapshot);

    maker->api[0].topic = "shared-orders";
    snapshot = maker_build(maker, NULL);
    ck_assert_str_eq(slc_snapshot_event_api_by_id(snapshot, "api-1")->backend_topic, "shared-orders");
    slc_snapshot_unref(snapshot);

    maker->vcluster[0].mode = SLUICE__SNAPSHOT__V1__NAMESPACE_MODE__NAMESPACE_MODE_ENFORCE;
    maker->api[0].topic = "team.orders";
    snapshot = maker_build(maker, NULL);
    ck_assert_str_eq(slc_snapshot_event_api_by_id(snapshot, "api-1")->backend_topic, "team.orders");
    slc_snapshot_unref(snapshot);

    maker->api[0].topic = "orders";
    maker_fails(maker, NULL, "event-api/orders.v1");
}
END_TEST

/* ---- sharing ---- */

START_TEST(unchanged_parts_are_shared_by_pointer)
{
    slc_snapshot *first, *second;

    for (unsigned n = 2; n < 500; n++)
        maker_add_application(maker, n);
    first = maker_build(maker, NULL);
    maker->version = 2;
    maker->credential[7].expires_at_ms = 1234; /* of cred-8: one bucket */
    second = maker_build(maker, first);
    ck_assert_ptr_eq(slc_snapshot_event_api_by_id(first, "api-1"),
                     slc_snapshot_event_api_by_id(second, "api-1"));
    ck_assert_ptr_eq(slc_snapshot_plan(first, "plan-1"), slc_snapshot_plan(second, "plan-1"));
    unsigned changed = 0;
    for (unsigned i = 0; i < SLC_BUCKETS; i++) {
        changed += first->credentials[i] != second->credentials[i];
        ck_assert_ptr_eq(first->applications[i], second->applications[i]);
    }
    ck_assert_uint_eq(changed, 1);
    for (unsigned i = 0; i < SLC_SECTIONS; i++)
        ck_assert_ptr_eq(first->sections[i], second->sections[i]);
    slc_snapshot_unref(first);
    ck_assert_int_eq(credential(second, "secret:cred-8")->expires_at_ms, 1234);
    ck_assert_ptr_nonnull(credential(second, "secret:cred-9"));
    slc_snapshot_unref(second);
}
END_TEST

START_TEST(part_of_a_split_bucket_is_replaced_alone)
{
    slc_snapshot *first, *second;
    unsigned parts = 0, changed = 0;

    maker->split = true;
    for (unsigned n = 2; n < 1000; n++)
        maker_add_application(maker, n);
    first = maker_build(maker, NULL);
    maker->credential[7].expires_at_ms = 1234;
    second = maker_build(maker, first);
    for (unsigned i = 0; i < SLC_BUCKETS; i++) {
        if (first->credentials[i] == second->credentials[i])
            continue;
        for (unsigned part = 0; part < SLC_TREE_PARTS; part++) {
            parts += second->credentials[i]->parts[part] != NULL;
            changed += second->credentials[i]->parts[part] != first->credentials[i]->parts[part];
        }
    }
    ck_assert_uint_eq(changed, 1);
    ck_assert_uint_gt(parts, 1);
    slc_snapshot_unref(first);
    slc_snapshot_unref(second);
}
END_TEST

START_TEST(entity_is_new_only_when_it_or_what_it_refers_to_changed)
{
    slc_snapshot *first, *second;
    slc_event_api *pinned;

    maker->backends = maker->vclusters = maker->apis = maker->listeners = 2;
    maker->vcluster[1].backend_id = maker->backend[1].id;
    maker->api[1].virtual_cluster_id = maker->vcluster[1].id;
    first = maker_build(maker, NULL);
    maker->servers[0] = "127.0.0.1:9093"; /* both share the array */
    maker->backend[1].bootstrap_servers = (char *[]){"127.0.0.1:9092"};
    second = maker_build(maker, first);
    ck_assert_ptr_eq(slc_snapshot_event_api_by_id(first, "api-2"),
                     slc_snapshot_event_api_by_id(second, "api-2"));
    ck_assert_ptr_ne(slc_snapshot_event_api_by_id(first, "api-1"),
                     slc_snapshot_event_api_by_id(second, "api-1"));
    ck_assert_ptr_eq(slc_snapshot_listener_by_id(first, "listener-1"),
                     slc_snapshot_listener_by_id(second, "listener-1"));
    pinned = slc_event_api_ref(slc_snapshot_event_api_by_id(first, "api-1"));
    ck_assert_int_ne(
        memcmp(pinned->digest, slc_snapshot_event_api_by_id(second, "api-1")->digest, sizeof pinned->digest),
        0);
    slc_snapshot_unref(first);
    slc_snapshot_unref(second);
    ck_assert_str_eq(pinned->vcluster->backend->msg->bootstrap_servers[0], "127.0.0.1:9092");
    slc_event_api_unref(pinned);
}
END_TEST

START_TEST(policy_change_makes_a_new_chain_under_the_same_digest)
{
    slc_snapshot *first = maker_build(maker, NULL), *second;
    const slc_event_api *before = slc_snapshot_event_api_by_id(first, "api-1"), *after;

    maker->policy[0].config_json = "{\"origins\":[\"https://other.test\"]}";
    second = maker_build(maker, first);
    after = slc_snapshot_event_api_by_id(second, "api-1");
    ck_assert_ptr_ne(before, after);
    ck_assert_int_eq(memcmp(before->digest, after->digest, sizeof before->digest), 0);
    ck_assert_ptr_eq(before->vcluster, after->vcluster);
    slc_snapshot_unref(first);
    slc_snapshot_unref(second);
}
END_TEST

START_TEST(issuer_is_new_only_when_it_changed)
{
    slc_snapshot *first, *second;

    maker->issuers = 2;
    first = maker_build(maker, NULL);
    maker->issuer[1].clock_skew_ms = 1000;
    second = maker_build(maker, first);
    ck_assert_str_eq(slc_snapshot_issuer(first, "issuer-1")->msg->url, "https://login.test");
    ck_assert_ptr_eq(slc_snapshot_issuer(first, "issuer-1"), slc_snapshot_issuer(second, "issuer-1"));
    ck_assert_ptr_ne(slc_snapshot_issuer(first, "issuer-2"), slc_snapshot_issuer(second, "issuer-2"));
    ck_assert_ptr_null(slc_snapshot_issuer(second, "issuer-3"));
    slc_snapshot_unref(first);
    slc_snapshot_unref(second);
}
END_TEST

START_TEST(key_ring_is_new_only_when_it_changed)
{
    slc_snapshot *first, *second;

    maker->key_rings = 2;
    first = maker_build(maker, NULL);
    maker->key_ring[1].path = "/elsewhere";
    second = maker_build(maker, first);
    ck_assert_ptr_eq(slc_snapshot_key_ring(first, "local"), slc_snapshot_key_ring(second, "local"));
    ck_assert_ptr_ne(slc_snapshot_key_ring(first, "other"), slc_snapshot_key_ring(second, "other"));
    ck_assert_ptr_null(slc_snapshot_key_ring(second, "ring-1"));
    ck_assert_ptr_null(slc_snapshot_key_ring(second, "local")->ring); /* nothing is encrypted in this process */
    slc_snapshot_unref(first);
    slc_snapshot_unref(second);
}
END_TEST

/* ---- what is refused ---- */

/* Each bends the sample; the entity named is where the error must point. */
static const struct bad {
    const char *what;
    void (*bend)(void);
    const char *entity;
} bads[];

/* clang-format off */
static void no_backend(void) { maker->vcluster[0].backend_id = "gone"; }
static void no_vcluster(void) { maker->api[0].virtual_cluster_id = "gone"; }
static void no_listener(void) { maker->api[0].listener_id = "gone"; }
static void no_api(void) { maker->api_ids[0] = "gone"; }
static void no_plan(void) { maker->subscription[0].plan_id = "gone"; }
static void no_application(void) { maker->credential[0].application_id = ""; }
static void no_scope(void) { maker->policy[0].scope_id = "gone"; }
static void scope_unknown(void) { maker->policy[0].scope = 77; }
static void listener_vcluster(void)
{
    maker->listener[0].protocol = "kafka";
    maker->listener[0].virtual_cluster_id = "gone";
}
static void same_backend_id(void)
{
    maker->backends = 2;
    maker->backend[1].id = maker->backend[0].id;
}
static void same_address(void)
{
    maker->listeners = 2;
    maker->listener[1].address = maker->listener[0].address;
}
static void same_url(void)
{
    maker->apis = 2;
    maker->api[1].major = 1;
}
static void bad_address(void) { maker->listener[0].address = "8000"; }
static void bad_bootstrap(void) { maker->servers[0] = "localhost"; }
static void no_bootstrap(void) { maker->backend[0].n_bootstrap_servers = 0; }
static void bad_mechanism(void) { maker->backend[0].mechanism = "GSSAPI"; }
static void no_password(void)
{
    maker->backend[0].mechanism = "PLAIN";
    maker->backend[0].username = "me";
}
static void no_env_password(void)
{
    static Sluice__Snapshot__V1__Secret secret;

    no_password();
    sluice__snapshot__v1__secret__init(&secret);
    secret.source_case = SLUICE__SNAPSHOT__V1__SECRET__SOURCE_ENV;
    secret.env = "SLUICE_TEST_NOT_SET";
    maker->backend[0].password = &secret;
}
static void bad_protocol(void) { maker->listener[0].protocol = "amqp"; }
static void bad_tls(void)
{
    maker->listener[0].tls = true;
    maker->listener[0].certificate_pem = "not a certificate";
}
static void bad_policy_type(void) { maker->policy[0].type = "teleport"; }
static void bad_policy_json(void) { maker->policy[0].config_json = "{\"origins\":"; }
static void bad_policy_config(void) { maker->policy[0].config_json = "{\"origins\":7}"; }
static void bad_feature(void)
{
    static char *features[] = {"time-travel"};

    maker->listener[0].required_features = features;
    maker->listener[0].n_required_features = 1;
}
static void no_cursor_key(void) { maker->api[0].n_cursor_keys = 0; }
static void short_cursor_key(void) { maker->cursor_key.key.len = 16; }
static void no_prefix(void) { maker->vcluster[0].mode = SLUICE__SNAPSHOT__V1__NAMESPACE_MODE__NAMESPACE_MODE_HIDE; }
static void short_verifier(void) { maker->credential[0].secret_sha256.len = 31; }
static void no_topic(void) { maker->api[0].topic = ""; }
static void issuer_without_algorithms(void)
{
    maker->issuers = 1;
    maker->issuer[0].n_algorithms = 0;
}
static void bad_issuer_ca(void)
{
    maker->issuers = 1;
    maker->issuer[0].ca_pem = "not a certificate";
}
static void bad_clock_skew(void)
{
    maker->issuers = 1;
    maker->issuer[0].clock_skew_ms = -1;
}
static void same_issuer_id(void)
{
    maker->issuers = 2;
    maker->issuer[1].id = maker->issuer[0].id;
}

static void bad_provider(void)
{
    maker->key_rings = 1;
    maker->key_ring[0].provider = "safe";
}
static void keystore_without_path(void)
{
    maker->key_rings = 1;
    maker->key_ring[0].path = "";
}
static void keystore_without_passphrase(void)
{
    maker->key_rings = 1;
    maker->key_ring[0].passphrase = NULL;
}
static void vault_without_token(void)
{
    maker->key_rings = 1;
    maker->key_ring[0].provider = "vault";
    maker->key_ring[0].url = "https://vault.test";
}
static void no_key_ring(void)
{
    maker->key_rings = 1;
    maker->policy[0].type = "encrypt";
    maker->policy[0].config_json = "{\"key_ring\":\"gone\"}";
}
static void no_key(void)
{
    maker->key_rings = 1;
    maker->key_ring[0].key = "";
    maker->policy[0].type = "encrypt";
    maker->policy[0].config_json = "{\"key_ring\":\"local\"}";
}

/* clang-format on */

static const struct bad bads[] = {
    {"virtual cluster → backend", no_backend, "virtual-cluster/local"},
    {"event API → virtual cluster", no_vcluster, "event-api/orders.v1"},
    {"event API → listener", no_listener, "event-api/orders.v1"},
    {"plan → event API", no_api, "plan/orders.free"},
    {"subscription → plan", no_plan, "application/app-1"},
    {"credential of nobody", no_application, "credential/cred-1"},
    {"policy → scope", no_scope, "policy/browsers"},
    {"policy with an unknown scope", scope_unknown, "policy/browsers"},
    {"listener → virtual cluster", listener_vcluster, "listener/edge"},
    {"two backends with one id", same_backend_id, "backend/backend-1"},
    {"two listeners on one address", same_address, "listener/inner"},
    {"two event APIs with one URL", same_url, "event-api/orders.v1"},
    {"listener address", bad_address, "listener/edge"},
    {"bootstrap server", bad_bootstrap, "backend/local"},
    {"no bootstrap server", no_bootstrap, "backend/local"},
    {"SASL mechanism", bad_mechanism, "backend/local"},
    {"no password", no_password, "backend/local"},
    {"password in a variable that is not set", no_env_password, "backend/local"},
    {"protocol", bad_protocol, "listener/edge"},
    {"TLS certificate", bad_tls, "listener/edge"},
    {"policy type", bad_policy_type, "policy/browsers"},
    {"policy config that is no JSON", bad_policy_json, "policy/browsers"},
    {"policy config of a wrong shape", bad_policy_config, "policy/browsers"},
    {"feature", bad_feature, "listener/edge"},
    {"no cursor key", no_cursor_key, "event-api/orders.v1"},
    {"short cursor key", short_cursor_key, "event-api/orders.v1"},
    {"namespace without a prefix", no_prefix, "virtual-cluster/local"},
    {"short verifier", short_verifier, "credential/cred-1"},
    {"no topic", no_topic, "event-api/orders.v1"},
    {"issuer without algorithms", issuer_without_algorithms, "issuer/login"},
    {"issuer's CA", bad_issuer_ca, "issuer/login"},
    {"issuer's clock skew", bad_clock_skew, "issuer/login"},
    {"two issuers with one id", same_issuer_id, "issuer/issuer-1"},
    {"key ring's provider", bad_provider, "key-ring/local"},
    {"keystore without a path", keystore_without_path, "key-ring/local"},
    {"keystore without a passphrase", keystore_without_passphrase, "key-ring/local"},
    {"Vault without a token", vault_without_token, "key-ring/local"},
    {"policy → key ring", no_key_ring, "policy/browsers"},
    {"policy without a key", no_key, "policy/browsers"},
};

START_TEST(what_is_wrong_is_refused_by_name)
{
    bads[_i].bend();
    maker_fails(maker, NULL, bads[_i].entity);
}
END_TEST

START_TEST(what_is_wrong_is_refused_after_a_good_one_too)
{
    slc_snapshot *good = maker_build(maker, NULL);

    bads[_i].bend();
    maker_fails(maker, good, bads[_i].entity);
    slc_snapshot_unref(good);
}
END_TEST

/* A caller that is known but has subscribed to nothing here is 403, not 401. */
START_TEST(credential_of_an_application_that_is_not_sent_is_known)
{
    slc_snapshot *snapshot;

    maker->applications = 0;
    snapshot = maker_build(maker, NULL);
    ck_assert_ptr_nonnull(credential(snapshot, "secret:cred-1"));
    ck_assert_ptr_null(slc_snapshot_application(snapshot, "app-1"));
    slc_snapshot_unref(snapshot);
}
END_TEST

/* Files are read again by themselves: what they hold by now keeps nothing else out. */
START_TEST(an_unchanged_certificate_is_not_looked_at_again)
{
    slc_error err;
    test_ca *ca = test_ca_new("test");
    char *cert, *key, path[] = "/tmp/sluice-test-key-XXXXXX";
    Sluice__Snapshot__V1__Secret secret = SLUICE__SNAPSHOT__V1__SECRET__INIT;

    test_ca_issue(ca, "edge", "DNS:localhost", &cert, &key);
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    close(fd);
    ck_assert(slc_file_write_atomic(path, key, strlen(key), 0600, &err));
    secret.source_case = SLUICE__SNAPSHOT__V1__SECRET__SOURCE_FILE;
    secret.file = path;
    maker->listener[0].tls = true;
    maker->listener[0].certificate_pem = cert;
    maker->listener[0].key = &secret;
    slc_snapshot *first = maker_build(maker, NULL), *second;
    ck_assert(slc_file_write_atomic(path, "none", 4, 0600, &err));
    maker->listener[0].advertised_host = "edge.test";
    maker->group.max_staleness_ms = 5000;
    second = maker_build(maker, first);
    ck_assert_str_eq(slc_snapshot_listener_by_id(second, "listener-1")->msg->advertised_host, "edge.test");
    maker_fails(maker, NULL, "listener/edge"); /* to somebody who has none yet it matters */
    maker->listener[0].min_tls_version = "1.3";
    maker_fails(maker, first, "listener/edge"); /* and it would have to be loaded for this */
    slc_snapshot_unref(second);
    slc_snapshot_unref(first);
    unlink(path);
    free(cert);
    free(key);
    test_ca_free(ca);
}
END_TEST

START_TEST(a_secret_of_an_unchanged_backend_that_is_away_keeps_nothing_out)
{
    slc_error err;
    char path[] = "/tmp/sluice-test-password-XXXXXX";
    Sluice__Snapshot__V1__Secret secret = SLUICE__SNAPSHOT__V1__SECRET__INIT;

    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    close(fd);
    ck_assert(slc_file_write_atomic(path, "password", 8, 0600, &err));
    secret.source_case = SLUICE__SNAPSHOT__V1__SECRET__SOURCE_FILE;
    secret.file = path;
    maker->backend[0].mechanism = "PLAIN";
    maker->backend[0].username = "sluice";
    maker->backend[0].password = &secret;
    slc_snapshot *first = maker_build(maker, NULL), *second;
    unlink(path);
    maker->group.max_staleness_ms = 5000;
    second = maker_build(maker, first);
    ck_assert_int_eq(slc_snapshot_group(second)->max_staleness_ms, 5000);
    maker->backend[0].username = "another";
    maker_fails(maker, first, "backend/local");
    slc_snapshot_unref(second);
    slc_snapshot_unref(first);
}
END_TEST

START_TEST(certificate_and_key_must_belong_together)
{
    test_ca *ca = test_ca_new("test");
    char *cert, *key, *other_cert, *other_key;
    Sluice__Snapshot__V1__Secret secret = SLUICE__SNAPSHOT__V1__SECRET__INIT;

    test_ca_issue(ca, "edge", "DNS:localhost", &cert, &key);
    test_ca_issue(ca, "other", "DNS:localhost", &other_cert, &other_key);
    secret.source_case = SLUICE__SNAPSHOT__V1__SECRET__SOURCE_VALUE;
    secret.value = (ProtobufCBinaryData){strlen(key), (uint8_t *)key};
    maker->listener[0].tls = true;
    maker->listener[0].certificate_pem = cert;
    maker->listener[0].key = &secret;
    slc_snapshot_unref(maker_build(maker, NULL));
    maker->listener[0].certificate_pem = other_cert;
    maker_fails(maker, NULL, "listener/edge");
    free(cert);
    free(key);
    free(other_cert);
    free(other_key);
    test_ca_free(ca);
}
END_TEST

/* ---- manifests and chunks ---- */

static bool build_fails(slc_error *err)
{
    slc_chunk_source source = maker_source(maker);
    slc_snapshot *snapshot = slc_snapshot_build(&maker->manifest, &source, NULL, err);

    slc_snapshot_unref(snapshot);
    return snapshot == NULL;
}

START_TEST(manifest_out_of_order_is_refused)
{
    Sluice__Snapshot__V1__ChunkRef *swap;
    slc_error err;

    maker_seal(maker);
    swap = maker->refs[1];
    maker->refs[1] = maker->refs[2];
    maker->refs[2] = swap;
    ck_assert(build_fails(&err));
    ck_assert_int_eq(err.code, SLC_INVALID);
}
END_TEST

START_TEST(manifest_with_unknown_kind_or_bucket_is_refused)
{
    slc_error err;

    maker_seal(maker);
    maker->refs[0]->kind = 42;
    ck_assert(build_fails(&err));
    maker->refs[0]->kind = SLUICE__SNAPSHOT__V1__CHUNK_KIND__CHUNK_KIND_CONFIGURATION;
    maker->refs[0]->bucket = 8;
    ck_assert(build_fails(&err));
    maker->refs[0]->bucket = 0;
    ck_assert(build_fails(&err));
    maker->refs[0]->bucket = 1;
    maker->refs[0]->sha256.len = 31;
    ck_assert(build_fails(&err));
    maker->refs[0]->sha256.len = 32;
    maker->refs[0]->size_bytes++;
    ck_assert(build_fails(&err));
    maker->refs[0]->size_bytes--;
    ck_assert(!build_fails(&err));
}
END_TEST

START_TEST(identity_in_a_wrong_bucket_is_refused)
{
    Sluice__Snapshot__V1__ChunkRef *last;
    slc_error err;

    maker_seal(maker);
    last = maker->refs[maker->manifest.n_chunks - 1];
    last->bucket = last->bucket == 255 ? 254 : last->bucket + 1;
    ck_assert(build_fails(&err));
    ck_assert_str_eq(err.field, "application/app-1");
}
END_TEST

START_TEST(bucket_with_an_identity_twice_is_refused)
{
    maker_add_application(maker, 1);
    maker->applications = 1;
    maker_fails(maker, NULL, "credential/cred-1");
}
END_TEST

START_TEST(snapshot_of_another_group_is_refused)
{
    slc_error err;

    maker_seal(maker);
    maker->manifest.group = "group-2";
    ck_assert(build_fails(&err));
}
END_TEST

static void count_missing(void *arg, const uint8_t *sha256)
{
    (void)sha256;
    (*(unsigned *)arg)++;
}

static bool has_none(void *arg, const uint8_t sha256[SLC_SHA256_BYTES])
{
    (void)arg;
    (void)sha256;
    return false;
}

static unsigned missing(const slc_chunk_source *source, const slc_snapshot *previous)
{
    unsigned count = 0;
    slc_error err;

    ck_assert(slc_snapshot_missing(&maker->manifest, source, previous, count_missing, &count, &err));
    return count;
}

START_TEST(only_what_changed_is_missing)
{
    slc_chunk_source full = maker_source(maker), empty = full;
    slc_snapshot *first;

    empty.has = has_none;
    maker->split = true;
    for (unsigned n = 2; n < 1000; n++)
        maker_add_application(maker, n);
    first = maker_build(maker, NULL);
    ck_assert_uint_eq(missing(&full, NULL), 0);
    ck_assert_uint_eq(missing(&empty, first), 0);
    ck_assert_uint_eq(missing(&empty, NULL), maker->manifest.n_chunks);
    maker->credential[7].expires_at_ms = 1234;
    maker_seal(maker);
    ck_assert_uint_eq(missing(&empty, first), 1); /* the index; its part is known when it is there */
    slc_snapshot_unref(first);
}
END_TEST

START_TEST(decoding_has_a_budget)
{
    /* 1 MiB of empty credentials, two bytes each, would become a hundred times as much. */
    size_t len = 1 << 20;
    uint8_t *bytes = slc_malloc(len);

    for (size_t i = 0; i < len; i += 2) {
        bytes[i] = 0x0a;
        bytes[i + 1] = 0;
    }
    ck_assert_ptr_null(slc_unpack_bounded(&sluice__snapshot__v1__credential_bucket__descriptor, bytes, len));
    free(bytes);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("build");
    TCase *tcase = tcase_create("build");
    SRunner *runner;
    int failed, bad_count = sizeof bads / sizeof *bads;

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, sample_is_found_by_url_id_and_lookup);
    tcase_add_test(tcase, every_identity_is_found_in_split_buckets_too);
    tcase_add_test(tcase, namespace_makes_the_backend_topic);
    tcase_add_test(tcase, unchanged_parts_are_shared_by_pointer);
    tcase_add_test(tcase, part_of_a_split_bucket_is_replaced_alone);
    tcase_add_test(tcase, entity_is_new_only_when_it_or_what_it_refers_to_changed);
    tcase_add_test(tcase, policy_change_makes_a_new_chain_under_the_same_digest);
    tcase_add_test(tcase, issuer_is_new_only_when_it_changed);
    tcase_add_test(tcase, key_ring_is_new_only_when_it_changed);
    tcase_add_loop_test(tcase, what_is_wrong_is_refused_by_name, 0, bad_count);
    tcase_add_loop_test(tcase, what_is_wrong_is_refused_after_a_good_one_too, 0, bad_count);
    tcase_add_test(tcase, credential_of_an_application_that_is_not_sent_is_known);
    tcase_add_test(tcase, certificate_and_key_must_belong_together);
    tcase_add_test(tcase, a_secret_of_an_unchanged_backend_that_is_away_keeps_nothing_out);
    tcase_add_test(tcase, an_unchanged_certificate_is_not_looked_at_again);
    tcase_add_test(tcase, manifest_out_of_order_is_refused);
    tcase_add_test(tcase, manifest_with_unknown_kind_or_bucket_is_refused);
    tcase_add_test(tcase, identity_in_a_wrong_bucket_is_refused);
    tcase_add_test(tcase, bucket_with_an_identity_twice_is_refused);
    tcase_add_test(tcase, snapshot_of_another_group_is_refused);
    tcase_add_test(tcase, only_what_changed_is_missing);
    tcase_add_test(tcase, decoding_has_a_budget);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
