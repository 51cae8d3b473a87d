/* What a team may expose, and what rests on it. In the samples the team platform has a grant for ord*, and
 * orders.v1 (publish and read) is deployed on the topic orders. */
#include <stdio.h>
#include <string.h>

#include "catalog/declare.h"
#include "fixture.h"

static char grant[32];

static void setup(void)
{
    t_setup();
    t_make_samples(NULL);
    snprintf(grant, sizeof(grant), "%s", t_sql("SELECT id FROM grants"));
    t_make("teams", "{'name': 'other'}");
    t_make("users", "{'name': 'owner', 'teams': ['platform', 'other'], 'roles': ['api-owner']}");
}

static void deployment_fails(const char *patch)
{
    t_patch_fails("deployments", "orders.v1@dev", patch, SLC_DENIED, "/topic");
}

#define GRANT(team, topic, operations)                                                                         \
    "{'team': '" team "', 'virtual_cluster': 'local', 'topic': '" topic "', 'operations': " operations "}"

START_TEST(a_team_deploys_only_what_it_was_granted)
{
    t_make("grants", GRANT("other", "payments", "['publish', 'read']"));
    t_act_as("owner", "['*']");
    json_decref(t_patch("deployments", "orders.v1@dev", "{'topic': 'orders-eu'}")); /* ord* */
    deployment_fails("{'topic': 'payments'}");
    t_act_unbound();
    t_make("grants", GRANT("platform", "pay?ents", "['read']"));
    t_act_as("owner", "['*']");
    deployment_fails("{'topic': 'payments'}"); /* publish is missing */
    t_act_unbound();
    t_make("grants", GRANT("platform", "payments", "['publish']"));
    t_act_as("owner", "['*']");
    json_decref(t_patch("deployments", "orders.v1@dev", "{'topic': 'payments'}"));
    t_act_as(NULL, "['deployments:write']"); /* a machine is bound too, unless it may do everything */
    deployment_fails("{'topic': 'anything'}");
    t_act_as(NULL, "['*']");
    json_decref(t_patch("deployments", "orders.v1@dev", "{'topic': 'anything'}"));
}
END_TEST

/* ---- an event API that changes ---- */

START_TEST(an_api_takes_its_deployments_only_to_a_team_with_grants)
{
    t_act_as("owner", "['*']");
    t_patch_fails("event-apis", "orders.v1", "{'team': 'other'}", SLC_DENIED, "/team");
    ck_assert_ptr_nonnull(strstr(t_error.message, "orders.v1@dev"));
    t_act_unbound();
    t_make("grants", GRANT("other", "orders", "['publish']"));
    t_act_as("owner", "['*']");
    t_patch_fails("event-apis", "orders.v1", "{'team': 'other'}", SLC_DENIED, "/team");
    t_act_unbound();
    t_make("grants", GRANT("other", "*", "['read']"));
    t_act_as("owner", "['*']");
    json_decref(t_patch("event-apis", "orders.v1", "{'team': 'other'}"));
}
END_TEST

START_TEST(an_api_offers_more_only_with_grants)
{
    t_make("event-apis",
           "{'name': 'news', 'major': 1, 'team': 'platform', 'operations': ['read'], 'exposures': ['rest']}");
    t_make("grants", GRANT("platform", "news", "['read']"));
    t_make("deployments",
           "{'event_api': 'news.v1', 'gateway_group': 'dev', 'virtual_cluster': 'local', 'topic': "
           "'news', 'listener': 'edge'}");
    t_act_as("owner", "['*']");
    t_patch_fails("event-apis", "news.v1", "{'operations': ['read', 'publish']}", SLC_DENIED, "/operations");
    json_decref(t_patch("event-apis", "news.v1", "{'title': 'News'}"));
    t_act_unbound();
    json_decref(
        t_patch("event-apis", "news.v1", "{'operations': ['read', 'publish']}")); /* beyond the grants */
    t_act_as("owner", "['*']");
    json_decref(t_patch("event-apis", "news.v1", "{'title': 'All the news'}"));
    json_decref(t_patch("event-apis", "news.v1", "{'operations': ['read']}"));
}
END_TEST

/* ---- a grant that changes ---- */

START_TEST(a_grant_stays_while_a_deployment_rests_on_it)
{
    t_delete_fails("grants", grant, SLC_CONFLICT);
    ck_assert_ptr_nonnull(strstr(t_error.message, "deployments/orders.v1@dev"));
    t_patch_fails("grants", grant, "{'operations': ['read']}", SLC_CONFLICT, "/operations");
    ck_assert_ptr_nonnull(strstr(t_error.message, "orders.v1@dev"));
    t_make("grants", GRANT("platform", "orders", "['publish']"));
    json_decref(t_patch("grants", grant, "{'operations': ['read']}")); /* the rest is allowed by the other */
    t_delete_fails("grants", grant, SLC_CONFLICT);
    json_decref(t_patch("deployments", "orders.v1@dev", "{'topic': 'elsewhere'}"));
    t_delete("grants", grant);
}
END_TEST

START_TEST(what_an_administrator_deployed_beyond_the_grants_holds_none)
{
    t_make("grants", GRANT("platform", "pay*", "['read']"));
    json_decref(t_patch("deployments", "orders.v1@dev", "{'topic': 'payments'}")); /* publish is not granted */
    t_delete("grants", t_sql("SELECT id FROM grants WHERE topic = 'pay*'"));
    t_delete("grants", grant);
}
END_TEST

/* ---- together ---- */

struct document {
    const char *text;
    bool prune;
};

static bool apply(slc_txn *txn, void *arg, slc_error *err)
{
    const struct document *document = arg;
    slc_declare_options options = {.prune = document->prune, .adopt = true};
    json_t *parsed = t_json(document->text);
    json_t *answer = slc_catalog_apply(txn, parsed, &options, err);
    json_decref(parsed);
    json_decref(answer);
    return answer != NULL;
}

static bool applies(const char *text, bool prune)
{
    struct document document = {.text = text, .prune = prune};
    return t_write(apply, &document, &t_error);
}

#define OPEN        "{'manager': 'm', 'resources': {"
#define GRANTS_READ "'grants': [" GRANT("platform", "ord*", "['read']") "]"
#define API_READ                                                                                               \
    "'event-apis': [{'name': 'orders', 'major': 1, 'team': 'platform', 'lifecycle': 'published', "             \
    "'operations': ['read'], 'exposures': ['rest']}]"
#define PLAN_READ "'plans': [{'product': 'orders', 'name': 'free', 'operations': ['read']}]"

START_TEST(a_grant_and_what_rests_on_it_may_shrink_together)
{
    ck_assert(!applies(OPEN GRANTS_READ "}}", false));
    ck_assert_int_eq(t_error.code, SLC_CONFLICT);
    ck_assert_str_eq(t_error.field, "/resources/grants/0/operations");
    ck_assert_msg(applies(OPEN GRANTS_READ ", " API_READ ", " PLAN_READ "}}", false), "%s", t_error.message);
}
END_TEST

START_TEST(a_grant_and_what_rests_on_it_may_go_together)
{
    ck_assert(applies(OPEN "'grants': [" GRANT("platform", "ord*", "['publish', 'read']") "]}}", false));
    ck_assert(!applies("{'manager': 'm', 'resources': {}}", true));
    ck_assert_int_eq(t_error.code, SLC_CONFLICT);
    json_decref(t_patch("deployments", "orders.v1@dev", "{'labels': {'a': 'b'}}"));
    ck_assert_msg(applies(OPEN "'deployments': [{'event_api': 'orders.v1', 'gateway_group': 'dev', "
                               "'virtual_cluster': 'local', 'topic': 'elsewhere', 'listener': 'edge'}]}}",
                          true),
                  "%s", t_error.message);
    ck_assert_str_eq(t_sql("SELECT count(*) FROM grants"), "0");
}
END_TEST

/* ---- documents ---- */

START_TEST(a_document_gives_no_more_than_its_applier_holds)
{
    t_make("roles", "{'name': 'staff', 'permissions': ['users:*', 'roles:*', 'applications:*']}");
    t_make("users", "{'name': 'clerk', 'teams': ['platform'], 'roles': ['staff']}");
    t_act_as("clerk", "['*']");
    ck_assert(!applies(OPEN
                       "'roles': [{'name': 'all', 'permissions': ['*']}], 'users': [{'name': 'clerk', 'teams': "
                       "['platform'], 'roles': ['all']}]}}",
                       false));
    ck_assert_int_eq(t_error.code, SLC_DENIED);
    ck_assert_str_eq(t_error.field, "/resources/roles/0/permissions/0");
    ck_assert(!applies(
        OPEN "'users': [{'name': 'clerk', 'teams': ['platform'], 'roles': ['platform-admin']}]}}", false));
    ck_assert_int_eq(t_error.code, SLC_DENIED);
    ck_assert_str_eq(t_error.field, "/resources/users/0/roles/0");
    ck_assert(!applies(OPEN "'applications': [{'name': 'new', 'team': 'other'}]}}", false));
    ck_assert_int_eq(t_error.code, SLC_DENIED);
    ck_assert_str_eq(t_error.field, "/resources/applications/0/team");
    ck_assert(applies(OPEN "'applications': [{'name': 'new', 'team': 'platform'}], 'roles': [{'name': 'some', "
                           "'permissions': ['users:read']}], 'users': [{'name': 'bob', 'roles': ['some']}]}}",
                      false));
}
END_TEST

START_TEST(a_document_touches_only_what_belongs_to_ones_teams)
{
    t_make("roles", "{'name': 'staff', 'permissions': ['applications:*']}");
    t_make("users", "{'name': 'theirs', 'teams': ['other'], 'roles': ['staff']}");
    json_decref(t_patch("applications", "demo", "{'title': 'Demo'}"));
    t_act_unbound();
    ck_assert(applies(OPEN "'applications': [{'name': 'demo', 'team': 'platform', 'title': 'Demo'}]}}", false));
    t_act_as("theirs", "['*']");
    /* What is unchanged may stand in it. */
    ck_assert_msg(
        applies(OPEN "'applications': [{'name': 'demo', 'team': 'platform', 'title': 'Demo'}]}}", false), "%s",
        t_error.message);
    ck_assert(!applies(OPEN "'applications': [{'name': 'demo', 'team': 'other', 'title': 'Taken'}]}}", false));
    ck_assert_int_eq(t_error.code, SLC_DENIED);
    ck_assert(
        !applies("{'manager': 'thief', 'resources': {'applications': [{'name': 'demo', 'team': 'platform', "
                 "'title': 'Demo'}]}}",
                 false));
    ck_assert_int_eq(t_error.code, SLC_DENIED); /* another manager is a change */
    ck_assert(!applies("{'manager': 'm', 'resources': {}}", true));
    ck_assert_int_eq(t_error.code, SLC_DENIED); /* nor is it pruned */
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("catalog/grants");
    TCase *tc = tcase_create("grants");
    tcase_add_checked_fixture(tc, setup, t_teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, a_team_deploys_only_what_it_was_granted);
    tcase_add_test(tc, an_api_takes_its_deployments_only_to_a_team_with_grants);
    tcase_add_test(tc, an_api_offers_more_only_with_grants);
    tcase_add_test(tc, a_grant_stays_while_a_deployment_rests_on_it);
    tcase_add_test(tc, what_an_administrator_deployed_beyond_the_grants_holds_none);
    tcase_add_test(tc, a_grant_and_what_rests_on_it_may_shrink_together);
    tcase_add_test(tc, a_grant_and_what_rests_on_it_may_go_together);
    tcase_add_test(tc, a_document_gives_no_more_than_its_applier_holds);
    tcase_add_test(tc, a_document_touches_only_what_belongs_to_ones_teams);
    suite_add_tcase(s, tc);
    return s;
}

TEST_MAIN(suite)
