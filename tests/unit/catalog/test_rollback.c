/* The configuration brought back to a kept version. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalog/versions.h"
#include "common/alloc.h"
#include "fixture.h"

static char then[24]; /* the version that the samples are in */

struct back {
    const char *id;
    slc_rollback_options options;
    slc_rollback_refusal refusal;
    json_t *answer;
    json_t *problems;
};

static bool run(slc_txn *txn, void *arg, slc_error *err)
{
    struct back *back = arg;
    back->answer = slc_version_rollback(txn, back->id, &back->options, &back->refusal, err);
    back->problems = json_deep_copy(slc_txn_problems(txn));
    return back->answer != NULL;
}

static void release(struct back *back)
{
    json_decref(back->answer);
    json_decref(back->problems);
    json_decref(back->refusal.referrers);
}

/* "action kind/key" of each change, comma separated. */
static const char *roll_back(slc_rollback_options options)
{
    static char text[4096];
    struct back back = {.id = then, .options = options};
    size_t index, len = 0;
    json_t *change;
    ck_assert_msg(t_write(run, &back, &t_error), "%s at %s", t_error.message, t_error.field);
    text[0] = '\0';
    json_array_foreach (json_object_get(back.answer, "changes"), index, change) {
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s %s/%s", len > 0 ? ", " : "",
                                t_text(change, "action"), t_text(change, "kind"), t_text(change, "key"));
    }
    release(&back);
    return text;
}

static void fails(struct back *back, enum slc_code code, enum slc_version_refusal why)
{
    char before[32];
    snprintf(before, sizeof(before), "%s", t_sql("SELECT int_value FROM catalog_meta WHERE name = 'revision'"));
    back->id = then;
    ck_assert(!t_write(run, back, &t_error));
    ck_assert_msg(t_error.code == code, "%s", t_error.message);
    ck_assert_int_eq(back->refusal.why, why);
    ck_assert_str_eq(t_sql("SELECT int_value FROM catalog_meta WHERE name = 'revision'"), before);
}

static const char *pointer(const struct back *back, size_t index)
{
    return t_text(json_array_get(back->problems, index), "pointer");
}

static bool keep(slc_txn *txn, void *arg, slc_error *err)
{
    slc_compiled *compiled = slc_compile_group(txn, arg, NULL, NULL, err);
    bool ok = compiled != NULL && slc_version_remember(txn, compiled, NULL, NULL, NULL, err);
    slc_compiled_unref(compiled);
    return ok;
}

/* Something in it must be new, or there is no new version. */
static void remember(void)
{
    char group[24], patch[64];
    snprintf(patch, sizeof(patch), "{'max_staleness': '%sm'}",
             t_sql("SELECT int_value FROM catalog_meta WHERE name = 'revision'"));
    json_decref(t_patch("gateway-groups", "dev", patch));
    snprintf(group, sizeof(group), "%s", t_sql("SELECT id FROM gateway_groups WHERE key = 'dev'"));
    ck_assert_msg(t_write(keep, group, &t_error), "%s", t_error.message);
    snprintf(then, sizeof(then), "%s", t_sql("SELECT id FROM config_versions ORDER BY seq DESC LIMIT 1"));
}

static void setup(void)
{
    t_setup();
    t_make_samples("applications"); /* and nothing that never rolls back and refers to them */
    t_make("policies", "{'name': 'pages', 'type': 'cors', 'scope': {'kind': 'event-api', 'ref': 'orders.v1'}, "
                       "'config': {'origins': ['https://a.example']}}");
    remember();
}

START_TEST(deleted_changed_and_new_entities_go_back)
{
    char id[24];
    json_t *policy = t_get("policies", "pages");
    snprintf(id, sizeof(id), "%s", t_text(policy, "id"));
    json_decref(policy);
    t_delete("policies", "pages");
    json_decref(t_patch("event-apis", "orders.v1", "{'title': 'Other', 'lifecycle': 'retired'}"));
    t_make("issuers", "{'name': 'new', 'url': 'https://new.example.com'}");
    ck_assert_str_eq(roll_back((slc_rollback_options){.dry_run = true}),
                     "delete issuers/new, update event-apis/orders.v1, create policies/pages");
    ck_assert_ptr_null(t_get("policies", "pages"));
    ck_assert_str_eq(roll_back((slc_rollback_options){.reason = "oops"}),
                     "delete issuers/new, update event-apis/orders.v1, create policies/pages");
    policy = t_get("policies", "pages");
    ck_assert_str_eq(t_text(policy, "id"), id);
    json_decref(policy);
    json_t *api = t_get("event-apis", "orders.v1");
    ck_assert_str_eq(t_text(api, "lifecycle"), "published");
    json_decref(api);
    ck_assert_str_eq(
        t_sql("SELECT action || ' ' || kind || ' ' || json_extract(changes, '$.rollback.reason') FROM "
              "audit_events ORDER BY seq DESC LIMIT 1"),
        "rollback config-versions oops");
    ck_assert_str_eq(roll_back((slc_rollback_options){.dry_run = false}), "");
}
END_TEST

START_TEST(what_has_the_same_key_is_the_same_entity)
{
    /* Deleted and made again as something else: also what cannot change after creation goes back. */
    t_delete("policies", "pages");
    t_delete("deployments", "orders.v1@dev");
    t_delete("listeners", "edge");
    t_make("listeners",
           "{'name': 'edge', 'gateway_group': 'dev', 'protocol': 'kafka', 'address': '127.0.0.1:9', 'kafka': "
           "{'virtual_cluster': 'local', 'routing': 'ports', 'port_ranges': [{'first_node_id': 0, "
           "'last_node_id': 1, 'port_base': 10000}]}}");
    json_t *secrets = t_json("{'listeners/edge': {'tls': {'key_pem': {'file': '/key.pem'}}}}");
    const char *done = roll_back((slc_rollback_options){.secrets = secrets});
    ck_assert_msg(strstr(done, "update listeners/edge") != NULL, "%s", done);
    json_decref(secrets);
    json_t *listener = t_get("listeners", "edge");
    ck_assert_str_eq(t_text(listener, "protocol"), "http");
    json_decref(listener);
}
END_TEST

START_TEST(managers_go_back_too)
{
    json_decref(t_patch("trust-bundles", "corporate", "{'title': 'T'}"));
    t_actor.manager = "portal";
    t_delete("policies", "pages");
    ck_assert_str_eq(roll_back((slc_rollback_options){.dry_run = false}),
                     "update trust-bundles/corporate, create policies/pages");
    json_t *policy = t_get("policies", "pages");
    ck_assert_str_eq(t_text(policy, "manager"), "api");
    json_decref(policy);
}
END_TEST

START_TEST(two_that_trade_places_go_back)
{
    t_make("listeners",
           "{'name': 'one', 'gateway_group': 'dev', 'protocol': 'http', 'address': '127.0.0.1:1001'}");
    remember();
    json_decref(t_patch("listeners", "one", "{'address': '127.0.0.1:1002'}"));
    t_make("listeners",
           "{'name': 'two', 'gateway_group': 'dev', 'protocol': 'http', 'address': '127.0.0.1:1001'}");
    ck_assert_str_eq(roll_back((slc_rollback_options){.dry_run = false}),
                     "delete listeners/two, update listeners/one");
    /* Each in the other's place. */
    t_make("listeners",
           "{'name': 'two', 'gateway_group': 'dev', 'protocol': 'http', 'address': '127.0.0.1:1002'}");
    remember();
    json_decref(t_patch("listeners", "one", "{'address': '127.0.0.1:1003'}"));
    json_decref(t_patch("listeners", "two", "{'address': '127.0.0.1:1001'}"));
    json_decref(t_patch("listeners", "one", "{'address': '127.0.0.1:1002'}"));
    ck_assert_str_eq(roll_back((slc_rollback_options){.dry_run = false}),
                     "update listeners/one, update listeners/two");
    /* Rules that look at others are asked again when those have gone back. */
    json_decref(t_patch("plans", "orders.free", "{'operations': ['read']}"));
    json_decref(t_patch("event-apis", "orders.v1", "{'operations': ['read']}"));
    remember();
    json_decref(t_patch("event-apis", "orders.v1", "{'operations': ['publish', 'read']}"));
    json_decref(t_patch("plans", "orders.free", "{'operations': ['publish', 'read']}"));
    ck_assert_str_eq(roll_back((slc_rollback_options){.dry_run = false}),
                     "update event-apis/orders.v1, update plans/orders.free");
    ck_assert_str_eq(t_sql("SELECT count(*) FROM entity_history WHERE until = since"), "0");
}
END_TEST

START_TEST(what_people_refer_to_does_not_vanish)
{
    struct back back = {.options = {.dry_run = false}};
    t_make("gateway-groups", "{'name': 'new', 'environment': 'dev'}");
    t_make("enrolment-tokens", "{'group': 'new'}");
    t_make("issuers", "{'name': 'new', 'url': 'https://new.example.com'}");
    t_make("applications", "{'name': 'app', 'team': 'platform'}");
    t_make("credentials",
           "{'application': 'app', 'type': 'oidc', 'oidc': {'issuer': 'new', 'claim': 'sub', 'value': "
           "'x'}}");
    fails(&back, SLC_CONFLICT, SLC_VERSION_REFERRED);
    ck_assert_uint_eq(json_array_size(back.refusal.referrers), 2);
    ck_assert_str_eq(t_text(json_array_get(back.refusal.referrers, 0), "kind"), "credentials");
    ck_assert_str_eq(t_text(json_array_get(back.refusal.referrers, 0), "refers_to"), "issuers/new");
    /* A single deletion takes enrolment tokens along; a rollback does not. */
    ck_assert_str_eq(t_text(json_array_get(back.refusal.referrers, 1), "kind"), "enrolment-tokens");
    ck_assert_str_eq(t_text(json_array_get(back.refusal.referrers, 1), "refers_to"), "gateway-groups/new");
    release(&back);
}
END_TEST

START_TEST(a_team_that_is_gone_is_asked_for)
{
    struct back back = {.options = {.dry_run = false}};
    t_make("teams", "{'name': 'other'}");
    t_make("event-apis",
           "{'name': 'more', 'major': 1, 'team': 'other', 'operations': ['read'], 'exposures': ['rest']}");
    remember();
    t_delete("event-apis", "more.v1");
    t_delete("teams", "other");
    fails(&back, SLC_CONFLICT, SLC_VERSION_OK);
    ck_assert_str_eq(pointer(&back, 0), "/event-apis/more.v1/team");
    release(&back);
    t_make("teams", "{'name': 'other'}"); /* another one by the same name will do */
    ck_assert_str_eq(roll_back((slc_rollback_options){.dry_run = false}), "create event-apis/more.v1");
}
END_TEST

/* No type of policy can be attached to an application yet, so the state is put into the history by hand. */
START_TEST(what_has_lost_its_subject_stays_away)
{
    sqlite3 *db;
    struct back back = {.id = then};
    t_close();
    ck_assert_int_eq(sqlite3_open(t_path("catalog.db"), &db), SQLITE_OK);
    ck_assert_int_eq(
        sqlite3_exec(db,
                     "INSERT INTO entity_history (kind, entity_id, since, until, ref, body) SELECT 'policies', "
                     "'gone', 2, "
                     "int_value + 1, 'gone', "
                     "'{\"name\":\"gone\",\"type\":\"cors\",\"scope\":{\"kind\":\"application\",\"ref\":"
                     "\"gone\"},\"manager\":\"api\"}' FROM catalog_meta WHERE name = 'revision'; UPDATE "
                     "catalog_meta SET "
                     "int_value = int_value + 1 WHERE name = 'revision'",
                     NULL, NULL, NULL),
        SQLITE_OK);
    sqlite3_close(db);
    t_open();
    ck_assert_msg(t_write(run, &back, &t_error), "%s", t_error.message);
    const json_t *skipped = json_array_get(json_object_get(back.answer, "skipped"), 0);
    ck_assert_str_eq(t_text(skipped, "kind"), "policies");
    ck_assert_str_eq(t_text(skipped, "key"), "gone");
    ck_assert_uint_eq(json_array_size(json_object_get(back.answer, "changes")), 0);
    release(&back);
}
END_TEST

/* ---- secrets ---- */

static void delete_backend(void)
{
    t_delete("policies", "pages");
    t_delete("deployments", "orders.v1@dev");
    json_t *grants = t_list("grants", NULL, 0, NULL);
    t_delete("grants", t_text(json_array_get(json_object_get(grants, "items"), 0), "id"));
    json_decref(grants);
    t_delete("virtual-clusters", "local");
    t_delete("backend-clusters", "local");
}

START_TEST(a_secret_that_is_there_is_kept)
{
    static const char sealed[] =
        "SELECT json_extract(authentication, '$.password.sealed') FROM backend_clusters";
    char kept[200];
    json_decref(
        t_patch("backend-clusters", "local", "{'title': 'T', 'authentication': {'password': 'another'}}"));
    snprintf(kept, sizeof(kept), "%s", t_sql(sealed));
    ck_assert_str_eq(roll_back((slc_rollback_options){.dry_run = false}), "update backend-clusters/local");
    ck_assert_str_eq(t_sql(sealed), kept);
    json_decref(t_patch("backend-clusters", "local", "{'title': 'T'}"));
    json_t *secrets = t_json("{'backend-clusters/local': {'authentication': {'password': 'given'}}}");
    roll_back((slc_rollback_options){.secrets = secrets});
    ck_assert_str_ne(t_sql(sealed), kept);
    json_decref(secrets);
}
END_TEST

START_TEST(a_secret_that_is_gone_is_asked_for_by_name)
{
    struct back back = {.options = {.dry_run = true}};
    delete_backend();
    fails(&back, SLC_INVALID, SLC_VERSION_SECRETS);
    ck_assert_uint_eq(json_array_size(back.problems), 2);
    ck_assert_str_eq(pointer(&back, 0), "/secrets/backend-clusters~1local/tls/client_key_pem");
    ck_assert_str_eq(pointer(&back, 1), "/secrets/backend-clusters~1local/authentication/password");
    release(&back);
    json_t *secrets =
        t_json("{'backend-clusters/local': {'authentication': {'password': 'x'}, 'tls': {'client_key_pem': "
               "{'file': '/key.pem'}}}}");
    const char *done = roll_back((slc_rollback_options){.secrets = secrets});
    ck_assert_msg(strstr(done, "create backend-clusters/local, create virtual-clusters/local") != NULL, "%s",
                  done);
    json_decref(secrets);
}
END_TEST

START_TEST(a_secret_that_was_removed_since_is_asked_for_and_one_that_came_goes)
{
    struct back back = {.options = {.dry_run = false}};
    json_decref(t_patch("backend-clusters", "local", "{'authentication': null}"));
    fails(&back, SLC_INVALID, SLC_VERSION_SECRETS);
    release(&back);
    remember();
    json_decref(t_patch("schema-registries", "main",
                        "{'authentication': {'mechanism': 'basic', 'username': 'u', "
                        "'password': 'p'}}"));
    ck_assert_str_eq(roll_back((slc_rollback_options){.dry_run = false}), "update schema-registries/main");
    ck_assert_str_eq(t_sql("SELECT json_extract(authentication, '$.password') FROM schema_registries"), "");
    ck_assert_str_ne(t_sql("SELECT json_extract(authentication, '$.token') FROM schema_registries"), "");
}
END_TEST

START_TEST(secrets_that_are_none_are_refused)
{
    static const char *const wrong[][2] = {
        {"{'policies/other': {}}", "/secrets/policies~1other"},
        {"{'nothing': {}}", "/secrets/nothing"},
        {"{'policies/pages': 7}", "/secrets/policies~1pages"},
        {"{'policies/pages': {'config': 'x'}}", "/secrets/policies~1pages/config"},
        {"{'policies/pages': {'colour': 'x'}}", "/secrets/policies~1pages/colour"},
    };
    t_delete("policies", "pages");
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        json_t *secrets = t_json(wrong[i][0]);
        struct back back = {.options = {.secrets = secrets}};
        fails(&back, SLC_INVALID, SLC_VERSION_OK);
        ck_assert_str_eq(pointer(&back, 0), wrong[i][1]);
        release(&back);
        json_decref(secrets);
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("catalog/rollback");
    TCase *tc = tcase_create("rollback");
    tcase_add_checked_fixture(tc, setup, t_teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, deleted_changed_and_new_entities_go_back);
    tcase_add_test(tc, what_has_the_same_key_is_the_same_entity);
    tcase_add_test(tc, managers_go_back_too);
    tcase_add_test(tc, two_that_trade_places_go_back);
    tcase_add_test(tc, what_people_refer_to_does_not_vanish);
    tcase_add_test(tc, a_team_that_is_gone_is_asked_for);
    tcase_add_test(tc, what_has_lost_its_subject_stays_away);
    tcase_add_test(tc, a_secret_that_is_there_is_kept);
    tcase_add_test(tc, a_secret_that_is_gone_is_asked_for_by_name);
    tcase_add_test(tc, a_secret_that_was_removed_since_is_asked_for_and_one_that_came_goes);
    tcase_add_test(tc, secrets_that_are_none_are_refused);
    suite_add_tcase(s, tc);
    return s;
}

TEST_MAIN(suite)
