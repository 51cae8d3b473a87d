/* Who may touch and give what: rights do not grow, and teams keep to what is theirs. The world is that of the
 * samples, whose entities belong to the team platform. */
#include <stdio.h>
#include <string.h>

#include "catalog/token.h"
#include "fixture.h"

#define EVERYTHING                                                                                             \
    "['api-owner', 'developer']" /* all that people do with event APIs and applications; no administrator */

static void setup(void)
{
    t_setup();
    t_make_samples(NULL);
    t_make("teams", "{'name': 'other'}");
    t_make("roles", "{'name': 'staff', 'permissions': ['users:*', 'roles:*', 'api-tokens:*', 'teams:*']}");
    t_make("users", "{'name': 'clerk', 'teams': ['platform'], 'roles': ['staff']}");
    t_make("users", "{'name': 'member', 'teams': ['platform'], 'roles': " EVERYTHING "}");
    t_make("users", "{'name': 'stranger', 'teams': ['other'], 'roles': " EVERYTHING "}");
    t_make("users", "{'name': 'root', 'roles': ['platform-admin']}");
}

static void ck_says(const char *text)
{
    ck_assert_msg(strstr(t_error.message, text) != NULL, "no %s in: %s", text, t_error.message);
}

/* ---- roles ---- */

START_TEST(a_role_has_no_more_than_its_maker)
{
    t_act_as("clerk", "['*']");
    t_create_fails("roles", "{'name': 'x', 'permissions': ['teams:read', 'listeners:write']}", SLC_DENIED,
                   "/permissions/1");
    ck_says("listeners:write");
    t_create_fails("roles", "{'name': 'x', 'permissions': ['*']}", SLC_DENIED, "/permissions/0");
    t_make("roles", "{'name': 'x', 'permissions': ['teams:read', 'users:*']}");
    t_patch_fails("roles", "x", "{'permissions': ['event-apis:write']}", SLC_DENIED, "/permissions/0");
    t_put_fails("roles", "x", "{'name': 'x', 'permissions': ['event-apis:*']}", SLC_DENIED, "/permissions/0");
    json_decref(t_patch("roles", "x", "{'permissions': ['teams:write']}"));
    /* What it has already is not given, and can be taken away. */
    json_decref(t_patch("roles", "operator", "{'permissions': ['listeners:read', 'teams:write']}"));
    t_patch_fails("roles", "operator", "{'permissions': ['listeners:*', 'teams:write']}", SLC_DENIED,
                  "/permissions/0");
}
END_TEST

START_TEST(scopes_bound_what_may_be_given_too)
{
    t_act_as("root", "['roles:write', 'teams:read']");
    t_create_fails("roles", "{'name': 'x', 'permissions': ['teams:write']}", SLC_DENIED, "/permissions/0");
    t_make("roles", "{'name': 'x', 'permissions': ['teams:read']}");
    t_act_as(NULL, "['roles:*']");
    t_create_fails("roles", "{'name': 'y', 'permissions': ['teams:read']}", SLC_DENIED, "/permissions/0");
    t_act_as("root", "['*']");
    t_make("roles", "{'name': 'y', 'permissions': ['*']}");
}
END_TEST

/* ---- users ---- */

START_TEST(a_user_gets_no_role_beyond_the_giver)
{
    t_act_as("clerk", "['*']");
    t_patch_fails("users", "clerk", "{'roles': ['staff', 'platform-admin']}", SLC_DENIED, "/roles/1");
    ck_says("platform-admin");
    t_patch_fails("users", "clerk", "{'roles': ['viewer']}", SLC_DENIED, "/roles/0");
    t_create_fails("users", "{'name': 'new', 'roles': ['api-owner']}", SLC_DENIED, "/roles/0");
    t_make("users", "{'name': 'new', 'roles': ['staff'], 'teams': ['platform']}");
    json_decref(t_patch("users", "ann", "{'title': 'Ann', 'roles': ['operator']}"));
    t_patch_fails("users", "ann", "{'roles': ['operator', 'viewer']}", SLC_DENIED,
                  "/roles/1"); /* was taken away */
}
END_TEST

START_TEST(a_user_gets_no_team_beyond_the_giver)
{
    t_act_as("clerk", "['*']");
    t_patch_fails("users", "clerk", "{'teams': ['platform', 'other']}", SLC_DENIED, "/teams/1");
    ck_says("all-teams:write");
    t_create_fails("users", "{'name': 'new', 'teams': ['other']}", SLC_DENIED, "/teams/0");
    json_decref(t_patch("users", "stranger", "{'teams': []}"));
    t_act_as(NULL, "['users:write']");
    json_decref(t_patch("users", "stranger", "{'teams': ['other']}")); /* an administrator made this one */
}
END_TEST

START_TEST(enabling_a_user_gives_what_they_have)
{
    json_decref(t_patch("users", "root", "{'disabled': true}"));
    t_act_as("clerk", "['*']");
    t_patch_fails("users", "root", "{'disabled': false}", SLC_DENIED, "/roles/0");
    json_decref(t_patch("users", "ann", "{'disabled': true}"));
    t_patch_fails("users", "ann", "{'disabled': false}", SLC_DENIED, "/roles/0");
}
END_TEST

/* ---- tokens ---- */

START_TEST(a_token_has_no_more_than_its_maker)
{
    t_act_as("clerk", "['api-tokens:*', 'teams:read']");
    t_create_fails("api-tokens", "{'name': 'x', 'owner': 'clerk', 'scopes': ['teams:read', '*']}", SLC_DENIED,
                   "/scopes/1");
    t_create_fails("api-tokens", "{'name': 'x', 'owner': 'clerk', 'scopes': ['users:write']}", SLC_DENIED,
                   "/scopes/0");
    ck_says("users:write");
    json_t *made = t_create("api-tokens", "{'name': 'x', 'owner': 'clerk', 'scopes': ['teams:read']}");
    t_patch_fails("api-tokens", t_text(made, "id"), "{'scopes': ['teams:*']}", SLC_DENIED, "/scopes/0");
    json_decref(t_patch("api-tokens", t_text(made, "id"), "{'name': 'y', 'scopes': ['api-tokens:write']}"));
    json_decref(made);
}
END_TEST

START_TEST(a_token_is_for_its_maker)
{
    t_act_as("clerk", "['*']");
    t_create_fails("api-tokens", "{'name': 'x', 'scopes': ['teams:read']}", SLC_DENIED, "/owner");
    t_create_fails("api-tokens", "{'name': 'x', 'owner': 'root', 'scopes': ['teams:read']}", SLC_DENIED,
                   "/owner");
    t_act_as(NULL, "['api-tokens:*']");
    t_create_fails("api-tokens", "{'name': 'x', 'scopes': ['api-tokens:read']}", SLC_DENIED, "/owner");
    t_act_as("root", "['*']");
    t_make("api-tokens", "{'name': 'x', 'scopes': ['*']}");
    t_make("api-tokens", "{'name': 'x', 'owner': 'clerk', 'scopes': ['*']}");
}
END_TEST

START_TEST(a_token_of_others_can_only_lose)
{
    json_t *made = t_create("api-tokens", "{'name': 'x', 'scopes': ['teams:*'], 'expires_at': "
                                          "'2098-01-01T00:00:00Z'}");
    const char *id = t_text(made, "id");
    t_act_as("clerk", "['*']");
    t_patch_fails("api-tokens", id, "{'scopes': ['teams:*', 'users:read']}", SLC_DENIED, "/owner");
    t_patch_fails("api-tokens", id, "{'expires_at': '2099-01-01T00:00:00Z'}", SLC_DENIED, "/owner");
    t_patch_fails("api-tokens", id, "{'expires_at': null}", SLC_DENIED, "/owner");
    json_decref(t_patch("api-tokens", id, "{'scopes': ['teams:read'], 'expires_at': '2097-01-01T00:00:00Z'}"));
    t_delete("api-tokens", id);
    json_decref(made);
}
END_TEST

START_TEST(a_token_does_not_outlive_the_one_that_made_it)
{
    t_act_as("clerk", "['*']");
    slc_identity ending = *t_actor.identity;
    ending.expires_at_ms = 4070908800000; /* 2099-01-01 */
    t_actor.identity = &ending;
    t_create_fails("api-tokens", "{'name': 'x', 'owner': 'clerk', 'scopes': ['teams:read']}", SLC_DENIED,
                   "/expires_at");
    json_t *made =
        t_create("api-tokens", "{'name': 'x', 'owner': 'clerk', 'scopes': ['teams:read'], 'expires_at': "
                               "'2099-01-01T00:00:00Z'}");
    t_patch_fails("api-tokens", t_text(made, "id"), "{'expires_at': '2099-01-01T00:00:01Z'}", SLC_DENIED,
                  "/expires_at");
    json_decref(made);
}
END_TEST

/* ---- teams ---- */

static const char *id_of(const char *table)
{
    char sql[100];
    snprintf(sql, sizeof(sql), "SELECT id FROM \"%s\" LIMIT 1", table);
    return t_sql(sql);
}

START_TEST(applications_are_their_teams)
{
    char credential[32], subscription[32];
    snprintf(credential, sizeof(credential), "%s", id_of("credentials"));
    snprintf(subscription, sizeof(subscription), "%s", id_of("subscriptions"));
    t_act_as("stranger", "['*']");
    t_patch_fails("applications", "demo", "{'title': 'Mine'}", SLC_DENIED, NULL);
    ck_says("platform");
    ck_says("all-teams:write");
    t_delete_fails("applications", "demo", SLC_DENIED);
    t_create_fails("applications", "{'name': 'new', 'team': 'platform'}", SLC_DENIED, "/team");
    t_create_fails("credentials", "{'application': 'demo', 'type': 'secret'}", SLC_DENIED, "/application");
    t_patch_fails("credentials", credential, "{'disabled': true}", SLC_DENIED, NULL);
    t_act_fails("credentials", credential, "revoke", SLC_DENIED);
    t_delete_fails("credentials", credential, SLC_DENIED);
    t_patch_fails("subscriptions", subscription, "{'expires_at': '2099-01-01T00:00:00Z'}", SLC_DENIED, NULL);
    t_delete_fails("subscriptions", subscription, SLC_DENIED);
    t_make("applications", "{'name': 'own', 'team': 'other'}");
    t_patch_fails("applications", "own", "{'team': 'platform'}", SLC_DENIED, "/team"); /* nor put upon others */
    t_act_as("member", "['*']");
    json_decref(t_patch("applications", "demo", "{'title': 'Ours'}"));
    json_decref(t_act("credentials", credential, "revoke"));
    t_delete("subscriptions", subscription);
}
END_TEST

START_TEST(what_is_offered_is_its_teams)
{
    t_act_as("stranger", "['*']");
    t_create_fails(
        "event-apis",
        "{'name': 'x', 'major': 1, 'team': 'platform', 'operations': ['read'], 'exposures': ['rest']}",
        SLC_DENIED, "/team");
    t_patch_fails("event-apis", "orders.v1", "{'team': 'other'}", SLC_DENIED, NULL);
    t_patch_fails("deployments", "orders.v1@dev", "{'topic': 'x'}", SLC_DENIED, NULL);
    t_delete_fails("deployments", "orders.v1@dev", SLC_DENIED);
    t_patch_fails("plans", "orders.free", "{'approval': 'manual'}", SLC_DENIED, NULL);
    t_create_fails("plans", "{'product': 'orders', 'name': 'x', 'operations': ['read']}", SLC_DENIED,
                   "/product");
    t_patch_fails("policies", "pages", "{'enabled': false}", SLC_DENIED, NULL);
    t_create_fails("products", "{'name': 'x', 'team': 'other', 'event_apis': ['orders.v1']}", SLC_DENIED,
                   "/event_apis/0"); /* it would decide who uses it */
    t_make("event-apis",
           "{'name': 'x', 'major': 1, 'team': 'other', 'operations': ['read'], 'exposures': ['rest']}");
    t_make("products", "{'name': 'x', 'team': 'other', 'event_apis': ['x.v1'], 'lifecycle': 'published', "
                       "'visibility': 'teams', 'visible_to': ['platform']}");
    t_make("plans", "{'product': 'x', 'name': 'free', 'operations': ['read']}");
    t_act_as("member", "['*']");
    json_decref(t_patch("plans", "orders.free", "{'approval': 'manual'}"));
    t_patch_fails("products", "x", "{'title': 'x'}", SLC_DENIED, NULL);
}
END_TEST

START_TEST(a_policy_belongs_to_what_it_is_attached_to)
{
    t_act_as("member", "['*']");
    json_decref(t_patch("policies", "pages", "{'order': 7}"));
    t_patch_fails("policies", "pages", "{'scope': {'kind': 'listener', 'ref': 'edge'}}", SLC_DENIED,
                  "/scope/ref");
    ck_says("a listener belongs to no team");
    t_create_fails("policies",
                   "{'name': 'x', 'type': 'subscription', 'scope': {'kind': 'group', 'ref': 'dev'}}",
                   SLC_DENIED, "/scope/ref");
    t_act_as("stranger", "['*']");
    t_create_fails("policies",
                   "{'name': 'x', 'type': 'subscription', 'scope': {'kind': 'event-api', 'ref': 'orders.v1'}}",
                   SLC_DENIED, "/scope/ref");
    t_act_as("root", "['*']");
    t_make("policies", "{'name': 'x', 'type': 'subscription', 'scope': {'kind': 'group', 'ref': 'dev'}}");
}
END_TEST

START_TEST(the_products_team_decides_on_subscriptions)
{
    t_make("plans", "{'product': 'orders', 'name': 'manual', 'operations': ['read']}");
    json_decref(t_patch("products", "orders", "{'visible_to': ['other']}"));
    t_make("applications", "{'name': 'theirs', 'team': 'other'}");
    t_act_as("stranger", "['*']");
    json_t *made =
        t_create("subscriptions", "{'application': 'theirs', 'plan': 'orders.manual', 'environment': 'dev'}");
    t_act_fails("subscriptions", t_text(made, "id"), "approve", SLC_DENIED);
    t_act_as("member", "['*']");
    json_decref(t_act("subscriptions", t_text(made, "id"), "approve"));
    t_patch_fails("subscriptions", t_text(made, "id"), "{'expires_at': '2099-01-01T00:00:00Z'}", SLC_DENIED,
                  NULL);
    json_decref(made);
}
END_TEST

/* Marking what has run out is no act of whoever happens to subscribe next. */
static bool lapse(slc_txn *txn, void *arg, slc_error *err)
{
    (void)arg;
    return slc_txn_exec(txn, err, "UPDATE subscriptions SET expires_at = ?1", "i", slc_txn_now_ms(txn) - 1);
}

START_TEST(what_has_run_out_elsewhere_is_in_nobodys_way)
{
    ck_assert(t_write(lapse, NULL, &t_error));
    json_decref(t_patch("products", "orders", "{'visible_to': ['other']}"));
    t_act_as("stranger", "['*']");
    t_make("applications", "{'name': 'theirs', 'team': 'other'}");
    t_make("subscriptions", "{'application': 'theirs', 'plan': 'orders.free', 'environment': 'dev'}");
    ck_assert_str_eq(t_sql("SELECT count(*) FROM subscriptions WHERE state = 'expired'"), "1");
}
END_TEST

START_TEST(some_write_for_all_teams)
{
    t_make("roles", "{'name': 'support', 'permissions': ['all-teams:write']}");
    json_decref(t_patch("users", "stranger", "{'roles': ['api-owner', 'developer', 'support']}"));
    t_act_as("stranger", "['*']");
    json_decref(t_patch("applications", "demo", "{'title': 'Helped'}"));
    t_act_as("stranger", "['applications:write']"); /* not with this token */
    t_patch_fails("applications", "demo", "{'title': 'Again'}", SLC_DENIED, NULL);
    t_act_as(NULL, "['applications:write']"); /* a machine, by an administrator's will */
    json_decref(t_patch("applications", "demo", "{'title': 'Pipeline'}"));
    t_act_as("root", "['*']");
    json_decref(t_patch("applications", "demo", "{'title': 'Root'}"));
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("catalog/access");
    TCase *tc = tcase_create("access");
    tcase_add_checked_fixture(tc, setup, t_teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, a_role_has_no_more_than_its_maker);
    tcase_add_test(tc, scopes_bound_what_may_be_given_too);
    tcase_add_test(tc, a_user_gets_no_role_beyond_the_giver);
    tcase_add_test(tc, a_user_gets_no_team_beyond_the_giver);
    tcase_add_test(tc, enabling_a_user_gives_what_they_have);
    tcase_add_test(tc, a_token_has_no_more_than_its_maker);
    tcase_add_test(tc, a_token_is_for_its_maker);
    tcase_add_test(tc, a_token_of_others_can_only_lose);
    tcase_add_test(tc, a_token_does_not_outlive_the_one_that_made_it);
    tcase_add_test(tc, applications_are_their_teams);
    tcase_add_test(tc, what_is_offered_is_its_teams);
    tcase_add_test(tc, a_policy_belongs_to_what_it_is_attached_to);
    tcase_add_test(tc, the_products_team_decides_on_subscriptions);
    tcase_add_test(tc, what_has_run_out_elsewhere_is_in_nobodys_way);
    tcase_add_test(tc, some_write_for_all_teams);
    suite_add_tcase(s, tc);
    return s;
}

TEST_MAIN(suite)
