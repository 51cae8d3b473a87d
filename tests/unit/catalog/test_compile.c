/* Snapshots as they are compiled: the same content gives the same bytes, and a change moves no more than it
 * must. */
#include <stdlib.h>
#include <string.h>

#include "catalog/compile.h"
#include "fixture.h"
#include "sluice/snapshot.pb-c.h"

typedef Sluice__Snapshot__V1__Manifest manifest_msg;

static slc_compiled *compiled;

static bool compile_dev(slc_txn *txn, void *arg, slc_error *err)
{
    json_t *group = slc_entity_load(txn, slc_kind_find("gateway-groups"), "dev", err);
    compiled = slc_compile_group(txn, t_text(group, "id"), arg, NULL, err);
    json_decref(group);
    return compiled != NULL;
}

static slc_compiled *compile(slc_compiled *previous)
{
    ck_assert_msg(t_read(compile_dev, previous, &t_error), "%s: %s", t_error.field, t_error.message);
    return compiled;
}

static manifest_msg *manifest_of(const slc_compiled *of)
{
    size_t len = 0;
    const uint8_t *packed = slc_compiled_manifest(of, &len);
    manifest_msg *manifest = sluice__snapshot__v1__manifest__unpack(NULL, len, packed);
    ck_assert_ptr_nonnull(manifest);
    return manifest;
}

static bool has_ref(const manifest_msg *manifest, const Sluice__Snapshot__V1__ChunkRef *ref)
{
    for (size_t i = 0; i < manifest->n_chunks; i++)
        if (manifest->chunks[i]->kind == ref->kind && manifest->chunks[i]->bucket == ref->bucket &&
            memcmp(manifest->chunks[i]->sha256.data, ref->sha256.data, ref->sha256.len) == 0)
            return true;
    return false;
}

/* How many chunks of this kind `after` has that `before` has not; kind 0: of any. */
static unsigned changed(const slc_compiled *before, const slc_compiled *after, int kind)
{
    manifest_msg *old = manifest_of(before), *new = manifest_of(after);
    unsigned count = 0;
    for (size_t i = 0; i < new->n_chunks; i++)
        if (!has_ref(old, new->chunks[i]) && (kind == 0 || (int)new->chunks[i]->kind == kind))
            count++;
    sluice__snapshot__v1__manifest__free_unpacked(old, NULL);
    sluice__snapshot__v1__manifest__free_unpacked(new, NULL);
    return count;
}

static void setup(void)
{
    t_setup();
    t_make("teams", "{'name': 'shop'}");
    t_make("gateway-groups", "{'name': 'dev', 'environment': 'dev'}");
    t_make("backend-clusters",
           "{'name': 'kafka', 'bootstrap_servers': ['127.0.0.1:9092'], "
           "'authentication': {'mechanism': 'PLAIN', 'username': 'u', 'password': 'pw-7Hq'}}");
    t_make("virtual-clusters", "{'name': 'vc', 'backend_cluster': 'kafka'}");
    t_make("listeners",
           "{'name': 'edge', 'gateway_group': 'dev', 'protocol': 'http', 'address': '127.0.0.1:8000'}");
    t_make("event-apis", "{'name': 'orders', 'major': 1, 'team': 'shop', 'lifecycle': 'published', "
                         "'operations': ['publish', 'read'], 'exposures': ['rest', 'sse']}");
    t_make("deployments", "{'event_api': 'orders.v1', 'gateway_group': 'dev', 'virtual_cluster': 'vc', "
                          "'topic': 'orders', 'listener': 'edge'}");
    t_make("products", "{'name': 'orders', 'team': 'shop', 'visibility': 'public', 'lifecycle': 'published', "
                       "'event_apis': ['orders.v1']}");
    t_make("plans",
           "{'product': 'orders', 'name': 'free', 'operations': ['publish', 'read'], 'approval': 'auto'}");
    t_make("applications", "{'name': 'demo', 'title': 'Demo', 'team': 'shop'}");
    t_make("subscriptions", "{'application': 'demo', 'plan': 'orders.free', 'environment': 'dev'}");
}

START_TEST(equal_content_is_equal_bytes)
{
    slc_compiled *first = compile(NULL), *second = compile(NULL);
    ck_assert_ptr_ne(first, second);
    ck_assert_mem_eq(slc_compiled_digest(first), slc_compiled_digest(second), SLC_SHA256_BYTES);
    slc_compiled_unref(first);
    slc_compiled_unref(second);
}
END_TEST

START_TEST(what_did_not_change_is_no_new_version)
{
    slc_compiled *first = compile(NULL);
    t_make("teams", "{'name': 'elsewhere'}");
    slc_compiled *second = compile(first);
    ck_assert_ptr_eq(first, second);
    slc_compiled_unref(first);
    slc_compiled_unref(second);
}
END_TEST

START_TEST(a_new_credential_moves_one_bucket)
{
    slc_compiled *before = compile(NULL);
    t_make("credentials", "{'application': 'demo', 'type': 'secret'}");
    slc_compiled *after = compile(before);
    ck_assert_uint_eq(changed(before, after, 0), 1);
    ck_assert_uint_eq(changed(before, after, SLUICE__SNAPSHOT__V1__CHUNK_KIND__CHUNK_KIND_CREDENTIALS), 1);
    ck_assert(slc_compiled_version(after) > slc_compiled_version(before));
    slc_compiled_unref(before);
    slc_compiled_unref(after);
}
END_TEST

START_TEST(a_revoked_credential_is_gone)
{
    json_t *credential = t_create("credentials", "{'application': 'demo', 'type': 'secret'}");
    slc_compiled *with = compile(NULL);
    json_decref(t_act("credentials", t_text(credential, "id"), "revoke"));
    slc_compiled *without = compile(with);
    manifest_msg *manifest = manifest_of(without);
    for (size_t i = 0; i < manifest->n_chunks; i++)
        ck_assert(manifest->chunks[i]->kind != SLUICE__SNAPSHOT__V1__CHUNK_KIND__CHUNK_KIND_CREDENTIALS);
    sluice__snapshot__v1__manifest__free_unpacked(manifest, NULL);
    json_decref(credential);
    slc_compiled_unref(with);
    slc_compiled_unref(without);
}
END_TEST

START_TEST(a_draft_is_not_served)
{
    slc_compiled *before = compile(NULL);
    t_make("event-apis", "{'name': 'secret-plans', 'major': 1, 'team': 'shop', 'operations': ['read'], "
                         "'exposures': ['sse']}");
    t_make("deployments", "{'event_api': 'secret-plans.v1', 'gateway_group': 'dev', 'virtual_cluster': 'vc', "
                          "'topic': 'plans', 'listener': 'edge'}");
    slc_compiled *after = compile(before);
    ck_assert_ptr_eq(before, after);
    slc_compiled_unref(before);
    slc_compiled_unref(after);
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

/* More event APIs than fit into 32 KiB become an index with parts, each within the limit. */
START_TEST(a_section_over_the_limit_is_split)
{
    char body[512];
    for (int i = 0; i < 160; i++) {
        snprintf(body, sizeof body,
                 "{'name': 'api-%d', 'major': 1, 'team': 'shop', 'lifecycle': 'published', 'title': "
                 "'A title that is long enough to fill a section with few of them, number %d', 'operations': "
                 "['read'], "
                 "'exposures': ['sse']}",
                 i, i);
        t_make("event-apis", body);
        snprintf(body, sizeof body,
                 "{'event_api': 'api-%d.v1', 'gateway_group': 'dev', 'virtual_cluster': 'vc', 'topic': "
                 "'a-topic-with-a-name-that-is-not-short-%d', 'listener': 'edge'}",
                 i, i);
        t_make("deployments", body);
    }
    slc_compiled *all = compile(NULL);
    manifest_msg *manifest = manifest_of(all);
    unsigned indexes = 0;
    for (size_t i = 0; i < manifest->n_chunks; i++) {
        indexes += manifest->chunks[i]->kind == SLUICE__SNAPSHOT__V1__CHUNK_KIND__CHUNK_KIND_INDEX;
        ck_assert_uint_le(manifest->chunks[i]->size_bytes, SLC_COMPILE_CHUNK_BYTES);
    }
    ck_assert_uint_eq(indexes, 1);
    sluice__snapshot__v1__manifest__free_unpacked(manifest, NULL);
    slc_compiled_unref(all);
}
END_TEST

static bool compile_nothing(slc_txn *txn, void *arg, slc_error *err)
{
    (void)arg;
    return slc_compile_group(txn, "no-such-group", NULL, NULL, err) != NULL;
}

START_TEST(an_unknown_group_is_an_error)
{
    ck_assert(!t_read(compile_nothing, NULL, &t_error));
    ck_assert_int_eq(t_error.code, SLC_NOT_FOUND);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("compile");
    TCase *tcase = tcase_create("all");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, t_teardown);
    tcase_add_test(tcase, equal_content_is_equal_bytes);
    tcase_add_test(tcase, what_did_not_change_is_no_new_version);
    tcase_add_test(tcase, a_new_credential_moves_one_bucket);
    tcase_add_test(tcase, a_revoked_credential_is_gone);
    tcase_add_test(tcase, a_draft_is_not_served);
    tcase_add_test(tcase, every_chunk_is_found_by_its_digest);
    tcase_add_test(tcase, a_section_over_the_limit_is_split);
    tcase_add_test(tcase, an_unknown_group_is_an_error);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
