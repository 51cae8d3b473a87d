/* Compiled snapshots: what goes in, that bytes depend on content alone, and that the gateway's own build takes
 * them. */
#include <stdlib.h>
#include <string.h>

#include "../catalog/fixture.h"
#include "catalog/compile.h"
#include "catalog/rules.h"
#include "catalog/versions.h"
#include "common/alloc.h"
#include "dataplane/config/build.h"
#include "proto/lookup.h"

static char group_id[24];

struct compile {
    slc_compiled *previous, *result;
};

static bool run(slc_txn *txn, void *arg, slc_error *err)
{
    struct compile *compile = arg;

    compile->result = slc_compile_group(txn, group_id, compile->previous, NULL, err);
    return compile->result != NULL;
}

static slc_compiled *compile(slc_compiled *previous)
{
    struct compile arg = {previous, NULL};
    slc_error err;

    ck_assert_msg(t_read(run, &arg, &err), "%s", err.message);
    return arg.result;
}

static bool has(void *arg, const uint8_t sha256[SLC_SHA256_BYTES])
{
    return slc_compiled_chunk_find(arg, sha256) >= 0;
}

static uint8_t *get(void *arg, const uint8_t sha256[SLC_SHA256_BYTES], size_t *len)
{
    long index = slc_compiled_chunk_find(arg, sha256);
    const uint8_t *address,
        *content = index >= 0 ? slc_compiled_chunk(arg, (size_t)index, len, &address) : NULL;

    return content != NULL ? slc_memdup(content, *len) : NULL;
}

/* As a gateway takes it. */
static slc_snapshot *build(slc_compiled *compiled)
{
    slc_chunk_source source = {has, get, compiled};
    size_t len;
    const uint8_t *packed = slc_compiled_manifest(compiled, &len);
    slc_error err;
    Sluice__Snapshot__V1__Manifest *manifest = slc_manifest_decode(packed, len, &err);
    slc_snapshot *snapshot;

    ck_assert_msg(manifest != NULL, "%s", err.message);
    snapshot = slc_snapshot_build(manifest, &source, NULL, &err);
    ck_assert_msg(snapshot != NULL, "%s: %s", err.field, err.message);
    sluice__snapshot__v1__manifest__free_unpacked(manifest, NULL);
    return snapshot;
}

static void setup(void)
{
    json_t *group;

    t_setup();
    t_make("teams", "{'name':'platform'}");
    group = t_create("gateway-groups", "{'name':'dev','environment':'dev'}");
    snprintf(group_id, sizeof group_id, "%s", t_text(group, "id"));
    json_decref(group);
    t_make("gateway-groups", "{'name':'prod','environment':'prod'}");
    t_make("backend-clusters", "{'name':'local','bootstrap_servers':['127.0.0.1:9092'],"
                               "'authentication':{'mechanism':'PLAIN','username':'me','password':'hunter2'}}");
    t_make("virtual-clusters", "{'name':'local','backend_cluster':'local'}");
    t_make("listeners", "{'name':'edge','gateway_group':'dev','protocol':'http','address':'127.0.0.1:8000'}");
    t_make("event-apis", "{'name':'orders','major':1,'team':'platform','lifecycle':'published',"
                         "'operations':['publish','read'],'exposures':['rest','sse']}");
    t_make("event-apis",
           "{'name':'drafts','major':1,'team':'platform','operations':['read'],'exposures':['rest']}");
    t_make("deployments", "{'event_api':'orders.v1','gateway_group':'dev','virtual_cluster':'local',"
                          "'topic':'orders','listener':'edge'}");
    t_make("deployments", "{'event_api':'drafts.v1','gateway_group':'dev','virtual_cluster':'local',"
                          "'topic':'drafts','listener':'edge'}");
    t_make("products",
           "{'name':'orders','team':'platform','event_apis':['orders.v1'],'lifecycle':'published'}");
    t_make("plans", "{'product':'orders','name':'free','operations':['publish','read'],'approval':'auto'}");
    t_make("applications", "{'name':'demo','team':'platform'}");
    t_make("credentials", "{'application':'demo','type':'secret'}");
    t_make("subscriptions", "{'application':'demo','plan':'orders.free','environment':'dev'}");
}

static void add_applications(unsigned count)
{
    char body[200];

    for (unsigned i = 0; i < count; i++) {
        snprintf(body, sizeof body, "{'name':'app-%u','team':'platform'}", i);
        t_make("applications", body);
        snprintf(body, sizeof body, "{'application':'app-%u','type':'secret'}", i);
        t_make("credentials", body);
        snprintf(body, sizeof body, "{'application':'app-%u','plan':'orders.free','environment':'dev'}", i);
        t_make("subscriptions", body);
    }
}

/* How many chunks of `next` are not in `before`. */
static size_t new_chunks(const slc_compiled *before, const slc_compiled *next)
{
    size_t fresh = 0, len;
    const uint8_t *sha256;

    for (size_t i = 0; i < slc_compiled_chunk_count(next); i++) {
        (void)slc_compiled_chunk(next, i, &len, &sha256);
        fresh += slc_compiled_chunk_find(before, sha256) < 0;
    }
    return fresh;
}

START_TEST(gateway_takes_what_is_compiled)
{
    slc_compiled *compiled = compile(NULL);
    slc_snapshot *snapshot = build(compiled);
    json_t *list = t_list("credentials", NULL, 0, NULL);
    const char *id = t_text(json_array_get(json_object_get(list, "items"), 0), "id");
    char lookup[64];
    const slc_event_api *api = slc_snapshot_find_api(snapshot, NULL, "orders", 6, 1);

    snprintf(lookup, sizeof lookup, "secret:%s", id);
    ck_assert_ptr_nonnull(api);
    ck_assert_ptr_null(slc_snapshot_find_api(snapshot, NULL, "drafts", 6, 1));
    ck_assert_uint_eq(slc_snapshot_version(snapshot), slc_compiled_version(compiled));
    ck_assert_str_eq(slc_snapshot_group(snapshot)->name, "dev");
    ck_assert_uint_eq(slc_snapshot_group(snapshot)->scram_pepper.len, 32);
    ck_assert_ptr_nonnull(slc_snapshot_credential(snapshot, lookup, strlen(lookup)));
    ck_assert_uint_eq(api->vcluster->backend->msg->password->value.len, 7);
    ck_assert_int_eq(memcmp(api->vcluster->backend->msg->password->value.data, "hunter2", 7), 0);
    json_decref(list);
    slc_snapshot_unref(snapshot);
    slc_compiled_unref(compiled);
}
END_TEST

/* To the groups alone that have a policy which names it. */
START_TEST(key_rings_are_sent_where_records_are_encrypted)
{
    size_t count;
    t_make("key-rings",
           "{'name':'vault','provider':'vault','config':{'url':'https://vault.example','token':'s.secret',"
           "'namespace':'shop','key':'orders-{topic}'}}");
    t_make("key-rings",
           "{'name':'files','provider':'local','config':{'path':'/keys','passphrase':{'file':'/run/p'}}}");
    t_make("gateway-groups", "{'name': 'elsewhere', 'environment': 'dev'}");
    t_make("policies",
           "{'name':'e','type':'encrypt','scope':{'kind':'group','ref':'elsewhere'},'config':{'key_ring':"
           "'files','key':'k'}}");
    slc_compiled *before = compile(NULL);
    slc_snapshot *snapshot = build(before);
    (void)slc_snapshot_key_rings(snapshot, &count);
    ck_assert_uint_eq(count, 0);
    slc_snapshot_unref(snapshot);

    t_make("policies",
           "{'name':'f','type':'encrypt','scope':{'kind':'event-api','ref':'orders.v1'},'config':{'key_ring':"
           "'vault'}}");
    slc_compiled *after = compile(before);
    snapshot = build(after);
    (void)slc_snapshot_key_rings(snapshot, &count);
    ck_assert_uint_eq(count, 1);
    const Sluice__Snapshot__V1__KeyRing *msg = slc_snapshot_key_ring(snapshot, "vault")->msg;
    ck_assert_str_eq(msg->url, "https://vault.example");
    ck_assert_str_eq(msg->namespace_name, "shop");
    ck_assert_str_eq(msg->key, "orders-{topic}");
    ck_assert_uint_eq(msg->token->value.len, 8);
    ck_assert_int_eq(memcmp(msg->token->value.data, "s.secret", 8), 0);
    slc_snapshot_unref(snapshot);
    slc_compiled_unref(before);
    slc_compiled_unref(after);
    t_delete_fails("key-rings", "vault", SLC_CONFLICT);
    t_patch_fails("key-rings", "vault", "{'config': {'key': null}}", SLC_CONFLICT, "/config/key");
    t_create_fails("policies",
                   "{'name':'g','type':'encrypt','scope':{'kind':'group','ref':'dev'},'config':{'key_ring':"
                   "'none'}}",
                   SLC_INVALID, "/config/key_ring");
    t_create_fails("policies",
                   "{'name':'g','type':'encrypt','scope':{'kind':'group','ref':'dev'},'config':{'key_ring':"
                   "'files'}}",
                   SLC_INVALID, "/config/key");
}
END_TEST

/* Those that a credential names, with the claims by which credentials are found. */
START_TEST(issuers_are_sent_when_a_credential_needs_them)
{
    char value[301], long_match[500], lookup[600], key[SLC_LOOKUP_MAX + 1];
    size_t count;

    t_make("issuers", "{'name':'login','url':'https://login.example','audiences':['sluice'],"
                      "'claims':{'b':'2','a':'1'},'clock_skew':'5s','groups_claim':'roles',"
                      "'identifying_claims':['sub','azp']}");
    t_make("issuers", "{'name':'pods','url':'https://pods.example'}");
    slc_compiled *before = compile(NULL);
    slc_snapshot *snapshot = build(before);
    (void)slc_snapshot_issuers(snapshot, &count);
    ck_assert_uint_eq(count, 0);
    slc_snapshot_unref(snapshot);

    memset(value, 'v', sizeof value - 1);
    value[sizeof value - 1] = '\0';
    snprintf(long_match, sizeof long_match,
             "{'application':'demo','type':'oidc','oidc':{'issuer':'login','claim':'azp','value':'%s'}}",
             value);
    t_make("credentials", long_match);
    t_make("credentials", "{'application':'demo','type':'oidc','oidc':{'issuer':'login','value':'x'}}");
    t_make("credentials", "{'application':'demo','type':'oidc','oidc':{'issuer':'login','value':'y'}}");
    slc_compiled *after = compile(before);
    snapshot = build(after);
    slc_issuer *const *issuers = slc_snapshot_issuers(snapshot, &count);
    ck_assert_uint_eq(count, 1);
    const Sluice__Snapshot__V1__Issuer *msg = issuers[0]->msg;
    ck_assert_str_eq(msg->url, "https://login.example");
    ck_assert_str_eq(msg->audiences[0], "sluice");
    ck_assert_uint_eq(msg->n_algorithms, 2);
    ck_assert_int_eq(msg->clock_skew_ms, 5000);
    ck_assert_str_eq(msg->principal_claim, "sub");
    ck_assert_str_eq(msg->groups_claim, "roles");
    ck_assert_uint_eq(msg->n_claims, 2);
    ck_assert_str_eq(msg->claims[0]->name, "a");
    ck_assert_str_eq(msg->claims[1]->value, "2");
    ck_assert_uint_eq(msg->n_credential_claims, 2);
    ck_assert_str_eq(msg->credential_claims[0], "azp");
    ck_assert_str_eq(msg->credential_claims[1], "sub");
    ck_assert_uint_eq(msg->n_identifying_claims, 2);
    ck_assert_str_eq(msg->identifying_claims[0], "sub");
    snprintf(lookup, sizeof lookup, "oidc:%s:azp=%s", msg->id, value);
    slc_lookup_key(lookup, key);
    ck_assert_ptr_nonnull(slc_snapshot_credential(snapshot, key, strlen(key)));
    snprintf(lookup, sizeof lookup, "oidc:%s:sub=y", msg->id);
    ck_assert_ptr_nonnull(slc_snapshot_credential(snapshot, lookup, strlen(lookup)));
    slc_snapshot_unref(snapshot);

    /* The same, compiled from nothing. */
    slc_compiled *anew = compile(NULL);
    ck_assert_int_eq(memcmp(slc_compiled_digest(anew), slc_compiled_digest(after), 32), 0);
    slc_compiled_unref(anew);
    slc_compiled_unref(after);
    slc_compiled_unref(before);
}
END_TEST

START_TEST(bytes_depend_on_content_alone)
{
    slc_compiled *first, *second, *third;

    add_applications(30);
    first = compile(NULL);
    second = compile(NULL);
    ck_assert_int_eq(memcmp(slc_compiled_digest(first), slc_compiled_digest(second), 32), 0);
    third = compile(first); /* nothing changed: the same one */
    ck_assert_ptr_eq(third, first);
    slc_compiled_unref(third);
    slc_compiled_unref(second);
    t_make("users", "{'name':'somebody'}"); /* a new revision of what no gateway sees */
    third = compile(first);
    ck_assert_ptr_eq(third, first);
    slc_compiled_unref(third);
    slc_compiled_unref(first);
}
END_TEST

START_TEST(one_credential_changes_one_bucket)
{
    slc_compiled *first, *second;

    add_applications(60);
    first = compile(NULL);
    t_make("credentials", "{'application':'demo','type':'secret'}");
    second = compile(first);
    ck_assert_uint_gt(slc_compiled_version(second), slc_compiled_version(first));
    ck_assert_uint_eq(new_chunks(first, second), 1);
    slc_snapshot_unref(build(second));
    slc_compiled_unref(first);
    slc_compiled_unref(second);
}
END_TEST

START_TEST(every_chunk_is_found_by_its_digest)
{
    slc_compiled *all = compile(NULL);

    ck_assert_uint_gt(slc_compiled_chunk_count(all), 5);
    for (size_t i = 0; i < slc_compiled_chunk_count(all); i++) {
        uint8_t digest[SLC_SHA256_BYTES];
        const uint8_t *sha256 = NULL;
        size_t len = 0;
        const uint8_t *content = slc_compiled_chunk(all, i, &len, &sha256);

        slc_sha256(content, len, digest);
        ck_assert_mem_eq(digest, sha256, sizeof digest);
        ck_assert_int_eq(slc_compiled_chunk_find(all, digest), (long)i);
        digest[0] ^= 1;
        ck_assert_int_eq(slc_compiled_chunk_find(all, digest), -1);
    }
    slc_compiled_unref(all);
}
END_TEST

/* ---- splitting ---- */

/* More event APIs than fit into 32 KiB become an index with parts, each within the limit. */
START_TEST(a_section_over_the_limit_is_split)
{
    char body[512];
    size_t len;
    const uint8_t *sha256;
    slc_compiled *before = compile(NULL), *all;

    for (int i = 0; i < 160; i++) {
        snprintf(body, sizeof body,
                 "{'name': 'api-%d', 'major': 1, 'team': 'platform', 'lifecycle': 'published', 'title': "
                 "'A title that is long enough to fill a section with few of them, number %d', 'operations': "
                 "['read'], 'exposures': ['sse']}",
                 i, i);
        t_make("event-apis", body);
        snprintf(body, sizeof body,
                 "{'event_api': 'api-%d.v1', 'gateway_group': 'dev', 'virtual_cluster': 'local', 'topic': "
                 "'a-topic-with-a-name-that-is-not-short-%d', 'listener': 'edge'}",
                 i, i);
        t_make("deployments", body);
    }
    all = compile(before);
    for (size_t i = 0; i < slc_compiled_chunk_count(all); i++) {
        (void)slc_compiled_chunk(all, i, &len, &sha256);
        ck_assert_uint_le(len, SLC_COMPILE_CHUNK_BYTES);
    }
    ck_assert_uint_gt(slc_compiled_chunk_count(all), slc_compiled_chunk_count(before) + 2);
    slc_snapshot_unref(build(all));
    slc_compiled_unref(before);
    slc_compiled_unref(all);
}
END_TEST

/* 350 bytes each, so that a bucket of a few hundred outgrows its chunk: by ids that all hash into one bucket.
 */
static bool crowd_bucket(slc_txn *txn, void *arg, slc_error *err)
{
    unsigned *made = arg;

    for (unsigned i = 0; *made < 150; i++) {
        char id[24], lookup[40];
        uint8_t hash[32], verifier[148] = {0};

        snprintf(id, sizeof id, "crowded%09u", i);
        snprintf(lookup, sizeof lookup, "secret:%s", id);
        slc_sha256(lookup, strlen(lookup), hash);
        if (hash[0] != 0)
            continue;
        if (!slc_txn_exec(
                txn, err,
                "INSERT INTO credentials (id, key, revision, manager, created_at, updated_at, application, "
                "type, disabled, lookup, secret_sha256, scram_sha256, scram_sha512) SELECT ?1, ?1, 1, "
                "'api', 1, 1, id, 'secret', 0, ?2, ?3, ?4, ?5 FROM applications WHERE name = 'demo'",
                "ssbbb", id, lookup, (const void *)hash, (size_t)32, (const void *)verifier, (size_t)84,
                (const void *)verifier, (size_t)148))
            return false;
        (*made)++;
    }
    return true;
}

/* A change that nobody audits: the revision without a row is noticed, and everything is read again. */
static bool change_one(slc_txn *txn, void *arg, slc_error *err)
{
    uint64_t revision;

    (void)arg;
    return slc_txn_bump(txn, &revision, err) &&
           slc_txn_exec(txn, err,
                        "UPDATE credentials SET expires_at = 9999999999999 WHERE id = (SELECT min(id) FROM "
                        "credentials WHERE id LIKE 'crowded%')",
                        "");
}

START_TEST(crowded_bucket_is_split_and_a_change_moves_a_part)
{
    slc_compiled *first, *second;
    slc_snapshot *snapshot;
    unsigned made = 0;
    slc_error err;
    size_t len, largest = 0;
    const uint8_t *sha256;

    ck_assert_msg(t_write(crowd_bucket, &made, &err), "%s", err.message);
    first = compile(NULL);
    for (size_t i = 0; i < slc_compiled_chunk_count(first); i++) {
        (void)slc_compiled_chunk(first, i, &len, &sha256);
        largest = len > largest ? len : largest;
    }
    ck_assert_uint_le(largest, SLC_COMPILE_CHUNK_BYTES);
    ck_assert_uint_gt(slc_compiled_chunk_count(first), 20);
    ck_assert(t_write(change_one, NULL, &err));
    second = compile(first);
    ck_assert_uint_eq(new_chunks(first, second), 2); /* the index and one part */
    snapshot = build(second);
    ck_assert_ptr_nonnull(slc_snapshot_group(snapshot));
    slc_snapshot_unref(snapshot);
    slc_compiled_unref(first);
    slc_compiled_unref(second);
}
END_TEST

/* ---- only live things ---- */

static size_t credentials_of(const char *name, bool *subscribed)
{
    slc_compiled *compiled = compile(NULL);
    slc_snapshot *snapshot = build(compiled);
    json_t *application = t_get("applications", name), *list;
    size_t found = 0, i;
    json_t *item;
    const Sluice__Snapshot__V1__Application *sent =
        slc_snapshot_application(snapshot, t_text(application, "id"));

    list = t_list("credentials", NULL, 0, NULL);
    json_array_foreach (json_object_get(list, "items"), i, item) {
        char lookup[64];

        snprintf(lookup, sizeof lookup, "secret:%s", t_text(item, "id"));
        if (strcmp(t_text(item, "application"), name) == 0)
            found += slc_snapshot_credential(snapshot, lookup, strlen(lookup)) != NULL;
    }
    *subscribed = sent != NULL && sent->n_subscriptions > 0;
    json_decref(list);
    json_decref(application);
    slc_snapshot_unref(snapshot);
    slc_compiled_unref(compiled);
    return found;
}

static char *first_id(const char *kind)
{
    json_t *list = t_list(kind, NULL, 0, NULL);
    char *id = slc_strdup(t_text(json_array_get(json_object_get(list, "items"), 0), "id"));

    json_decref(list);
    return id;
}

START_TEST(what_is_not_live_is_left_out)
{
    char *credential = first_id("credentials"), *subscription = first_id("subscriptions");
    bool subscribed;

    ck_assert_uint_eq(credentials_of("demo", &subscribed), 1);
    ck_assert(subscribed);
    json_decref(t_patch("credentials", credential, "{'disabled':true}"));
    ck_assert_uint_eq(credentials_of("demo", &subscribed), 0);
    json_decref(t_patch("credentials", credential, "{'disabled':false}"));
    ck_assert_uint_eq(credentials_of("demo", &subscribed), 1);
    json_decref(t_act("subscriptions", subscription, "suspend"));
    ck_assert_uint_eq(credentials_of("demo", &subscribed), 1);
    ck_assert(!subscribed);
    json_decref(t_act("subscriptions", subscription, "resume"));
    ck_assert_uint_eq(credentials_of("demo", &subscribed), 1);
    ck_assert(subscribed);
    json_decref(t_act("credentials", credential, "revoke"));
    ck_assert_uint_eq(credentials_of("demo", &subscribed), 0);
    free(credential);
    free(subscription);
}
END_TEST

START_TEST(more_subscriptions_than_there_may_be_hold_nothing_up)
{
    json_t *application = t_get("applications", "demo");

    t_subscribe_to_many(2 * SLC_LIVE_SUBSCRIPTIONS_MAX);
    slc_compiled *compiled = compile(NULL);
    slc_snapshot *snapshot = build(compiled);
    const Sluice__Snapshot__V1__Application *sent =
        slc_snapshot_application(snapshot, t_text(application, "id"));
    ck_assert_ptr_nonnull(sent);
    ck_assert_uint_eq(sent->n_subscriptions, SLC_LIVE_SUBSCRIPTIONS_MAX);
    slc_snapshot_unref(snapshot);
    slc_compiled_unref(compiled);
    json_decref(application);
}
END_TEST

/* ---- groups ---- */

struct two {
    slc_compiled *dev, *prod;
};

static bool compile_two(slc_txn *txn, void *arg, slc_error *err)
{
    struct two *two = arg;
    json_t *prod = slc_entity_load(txn, slc_kind_find("gateway-groups"), "prod", err);

    two->dev = slc_compile_group(txn, group_id, NULL, NULL, err);
    two->prod = slc_compile_group(txn, t_text(prod, "id"), NULL, two->dev, err);
    json_decref(prod);
    return two->dev != NULL && two->prod != NULL;
}

START_TEST(groups_share_the_memory_of_credentials)
{
    struct two two;
    size_t shared = 0, len;
    const uint8_t *sha256;
    slc_error err;

    add_applications(20);
    ck_assert_msg(t_read(compile_two, &two, &err), "%s", err.message);
    for (size_t i = 0; i < slc_compiled_chunk_count(two.prod); i++) {
        const uint8_t *content = slc_compiled_chunk(two.prod, i, &len, &sha256);
        long twin = slc_compiled_chunk_find(two.dev, sha256);

        if (twin < 0)
            continue;
        ck_assert_ptr_eq(slc_compiled_chunk(two.dev, (size_t)twin, &len, &sha256), content);
        shared++;
    }
    ck_assert_uint_gt(shared, 10);
    /* The second group read none of them again. */
    ck_assert_uint_ge(slc_compiled_rows(two.dev), 42);
    ck_assert_uint_eq(slc_compiled_rows(two.prod), 0);
    slc_compiled_unref(two.dev);
    slc_compiled_unref(two.prod);
}
END_TEST

/* ---- versions ---- */

static bool remember(slc_txn *txn, void *arg, slc_error *err)
{
    static const slc_version_limits limits = {.kept = 3, .limit = 3};
    return slc_version_remember(txn, arg, NULL, NULL, &limits, err);
}

START_TEST(version_stands_over_a_restart_and_says_who_made_it)
{
    slc_compiled *first = compile(NULL), *again;
    slc_error err;
    json_t *list;

    ck_assert_msg(t_write(remember, first, &err), "%s", err.message);
    t_make("users", "{'name':'somebody'}");
    again = compile(NULL); /* as a new process would */
    ck_assert_uint_eq(slc_compiled_version(again), slc_compiled_version(first));
    ck_assert_int_eq(memcmp(slc_compiled_digest(again), slc_compiled_digest(first), 32), 0);
    list = t_list("config-versions", NULL, 0, NULL);
    ck_assert_uint_eq(json_array_size(json_object_get(list, "items")), 1);
    ck_assert_str_ne(t_text(json_array_get(json_object_get(list, "items"), 0), "reason"), "");
    json_decref(list);
    slc_compiled_unref(first);
    slc_compiled_unref(again);
}
END_TEST

START_TEST(oldest_versions_are_forgotten)
{
    slc_compiled *last = compile(NULL);
    slc_error err;
    json_t *list;

    for (unsigned i = 0; i < 6; i++) {
        slc_compiled *next;

        ck_assert(t_write(remember, last, &err));
        t_make("credentials", "{'application':'demo','type':'secret'}");
        next = compile(last);
        slc_compiled_unref(last);
        last = next;
    }
    list = t_list("config-versions", NULL, 0, NULL);
    ck_assert_uint_eq(json_array_size(json_object_get(list, "items")), 3);
    json_decref(list);
    slc_compiled_unref(last);
}
END_TEST

START_TEST(unknown_group_is_not_found)
{
    struct compile arg = {NULL, NULL};
    slc_error err;

    snprintf(group_id, sizeof group_id, "nothing");
    ck_assert(!t_read(run, &arg, &err));
    ck_assert_int_eq(err.code, SLC_NOT_FOUND);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("compile");
    TCase *tcase = tcase_create("compile");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tcase, setup, t_teardown);
    tcase_set_timeout(tcase, 90);
    tcase_add_test(tcase, gateway_takes_what_is_compiled);
    tcase_add_test(tcase, issuers_are_sent_when_a_credential_needs_them);
    tcase_add_test(tcase, key_rings_are_sent_where_records_are_encrypted);
    tcase_add_test(tcase, bytes_depend_on_content_alone);
    tcase_add_test(tcase, one_credential_changes_one_bucket);
    tcase_add_test(tcase, every_chunk_is_found_by_its_digest);
    tcase_add_test(tcase, a_section_over_the_limit_is_split);
    tcase_add_test(tcase, groups_share_the_memory_of_credentials);
    tcase_add_test(tcase, crowded_bucket_is_split_and_a_change_moves_a_part);
    tcase_add_test(tcase, what_is_not_live_is_left_out);
    tcase_add_test(tcase, more_subscriptions_than_there_may_be_hold_nothing_up);
    tcase_add_test(tcase, version_stands_over_a_restart_and_says_who_made_it);
    tcase_add_test(tcase, oldest_versions_are_forgotten);
    tcase_add_test(tcase, unknown_group_is_not_found);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
