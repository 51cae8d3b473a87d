/* API tokens, the bootstrap token, enrolment tokens. */
#include <stdio.h>
#include <string.h>

#include "catalog/token.h"
#include "common/alloc.h"
#include "fixture.h"

struct checked {
    const char *token;
    const char *permission;
    bool may;
    bool user;
    size_t teams;
};

static bool check(slc_txn *txn, void *arg, slc_error *err)
{
    struct checked *checked = arg;
    slc_identity identity;
    bool ok = slc_catalog_token_check(txn, checked->token, &identity, err);
    if (ok) {
        checked->may = slc_identity_may(&identity, checked->permission);
        checked->user = identity.user_id[0] != '\0';
        checked->teams = json_array_size(identity.teams);
    }
    slc_identity_release(&identity);
    return ok;
}

static bool may(const char *token, const char *permission)
{
    struct checked checked = {.token = token, .permission = permission};
    ck_assert_msg(t_read(check, &checked, &t_error), "%s", t_error.message);
    return checked.may;
}

static void ck_refused(const char *token)
{
    struct checked checked = {.token = token, .permission = "teams:read"};
    ck_assert(!t_read(check, &checked, &t_error));
    ck_assert_int_eq(t_error.code, SLC_UNAUTHENTICATED);
    ck_assert_str_eq(t_error.message, "the token is not valid");
}

START_TEST(a_token_has_its_scopes)
{
    json_t *made = t_create("api-tokens", "{'name': 'ci', 'scopes': ['teams:*', 'listeners:read']}");
    const char *token = t_text(made, "token");
    ck_assert(strncmp(token, "sla_", 4) == 0);
    ck_assert(may(token, "teams:write") && may(token, "listeners:read"));
    ck_assert(!may(token, "listeners:write") && !may(token, "users:read"));
    json_decref(t_patch("api-tokens", t_text(made, "id"), "{'scopes': ['*']}"));
    ck_assert(may(token, "users:read")); /* the token itself lives on */
    json_decref(made);
}
END_TEST

START_TEST(wrong_tokens_are_all_refused_alike)
{
    json_t *made = t_create("api-tokens", "{'name': 'ci', 'scopes': ['*']}");
    char token[SLC_TOKEN_CHARS + 8];
    ck_refused("");
    ck_refused("sla_");
    ck_refused("rubbish");
    snprintf(token, sizeof(token), "%s", t_text(made, "token"));
    token[SLC_TOKEN_CHARS - 1] ^= 1;
    ck_refused(token);
    snprintf(token, sizeof(token), "%sx", t_text(made, "token"));
    ck_refused(token);
    snprintf(token, sizeof(token), "%s", t_text(made, "token"));
    memcpy(token, "slc", 3);
    ck_refused(token);
    memcpy(token, "sla_0000000000000000", 20);
    ck_refused(token);
    t_delete("api-tokens", t_text(made, "id"));
    ck_refused(t_text(made, "token"));
    json_decref(made);
}
END_TEST

START_TEST(a_users_token_cannot_do_more_than_the_user)
{
    t_make("teams", "{'name': 'a'}");
    t_make("users", "{'name': 'ann', 'roles': ['viewer'], 'teams': ['a']}");
    json_t *made = t_create("api-tokens", "{'name': 'ann', 'owner': 'ann', 'scopes': ['*']}");
    const char *token = t_text(made, "token");
    ck_assert(may(token, "teams:read"));
    ck_assert(!may(token, "teams:write") && !may(token, "*"));
    json_decref(t_patch("users", "ann", "{'roles': ['viewer', 'platform-admin']}"));
    ck_assert(may(token, "teams:write"));
    struct checked checked = {.token = token, .permission = "teams:read"};
    ck_assert(t_read(check, &checked, &t_error));
    ck_assert(checked.user && checked.teams == 1);
    json_decref(t_patch("users", "ann", "{'disabled': true}"));
    ck_refused(token);
    json_decref(made);
}
END_TEST

/* The schema does not let it happen; a token is worth nothing all the same. */
static bool check_orphan(slc_txn *txn, void *arg, slc_error *err)
{
    slc_identity identity;
    ck_assert(slc_txn_exec(txn, err, "PRAGMA defer_foreign_keys = ON", ""));
    ck_assert(slc_txn_exec(txn, err, "DELETE FROM users WHERE name = 'ann'", ""));
    ck_assert(!slc_catalog_token_check(txn, arg, &identity, err));
    slc_identity_release(&identity);
    return false; /* undone */
}

START_TEST(a_token_does_not_outlive_its_owner)
{
    t_make("users", "{'name': 'ann', 'roles': ['viewer']}");
    json_t *made = t_create("api-tokens", "{'name': 'ann', 'owner': 'ann', 'scopes': ['*']}");
    t_delete_fails("users", "ann", SLC_CONFLICT);
    ck_assert(!t_write(check_orphan, (char *)t_text(made, "token"), &t_error));
    ck_assert_int_eq(t_error.code, SLC_UNAUTHENTICATED);
    ck_assert(may(t_text(made, "token"), "teams:read"));
    t_delete("api-tokens", t_text(made, "id"));
    t_delete("users", "ann");
    json_decref(made);
}
END_TEST

static bool age_tokens(slc_txn *txn, void *arg, slc_error *err)
{
    return slc_txn_exec(txn, err, arg, "i", slc_txn_now_ms(txn) - 1);
}

START_TEST(tokens_expire)
{
    t_create_fails("api-tokens", "{'name': 'x', 'scopes': ['*'], 'expires_at': '2001-01-01T00:00:00Z'}",
                   SLC_INVALID, "/expires_at");
    json_t *made =
        t_create("api-tokens", "{'name': 'x', 'scopes': ['*'], 'expires_at': '2099-01-01T00:00:00Z'}");
    ck_assert(may(t_text(made, "token"), "*"));
    ck_assert(t_write(age_tokens, (char *)"UPDATE api_tokens SET expires_at = ?1", &t_error));
    ck_refused(t_text(made, "token"));
    json_decref(made);
}
END_TEST

static bool bootstrap(slc_txn *txn, void *arg, slc_error *err)
{
    return slc_catalog_bootstrap(txn, arg, err);
}

START_TEST(the_bootstrap_token_is_made_once)
{
    char *token = NULL, *again = NULL;
    ck_assert(t_write(bootstrap, &token, &t_error));
    ck_assert_ptr_nonnull(token);
    ck_assert(may(token, "*") && may(token, "config:apply"));
    ck_assert(t_write(bootstrap, &again, &t_error));
    ck_assert_ptr_null(again);
    ck_assert_str_eq(t_sql("SELECT name || ' ' || scopes FROM api_tokens"), "bootstrap [\"*\"]");
    slc_free_secret(token, strlen(token));
}
END_TEST

/* ---- enrolment ---- */

struct consumed {
    const char *token;
    char group_id[SLC_TOKEN_ID_CHARS + 1];
};

static bool consume(slc_txn *txn, void *arg, slc_error *err)
{
    struct consumed *consumed = arg;
    return slc_catalog_enrolment_consume(txn, consumed->token, consumed->group_id, err);
}

static bool use(const char *token)
{
    struct consumed consumed = {.token = token};
    bool ok = t_write(consume, &consumed, &t_error);
    if (ok)
        ck_assert_str_eq(consumed.group_id, t_sql("SELECT id FROM gateway_groups"));
    else
        ck_assert_int_eq(t_error.code, SLC_UNAUTHENTICATED);
    return ok;
}

START_TEST(an_enrolment_token_has_its_uses)
{
    t_make("gateway-groups", "{'name': 'dev', 'environment': 'dev'}");
    json_t *made = t_create("enrolment-tokens", "{'group': 'dev', 'uses': 2}");
    const char *token = t_text(made, "token");
    ck_assert_int_eq(json_integer_value(json_object_get(made, "uses_left")), 2);
    ck_assert(use(token) && use(token));
    ck_assert(!use(token));
    json_t *got = t_get("enrolment-tokens", t_text(made, "id"));
    ck_assert_int_eq(json_integer_value(json_object_get(got, "uses_left")), 0);
    json_decref(got);
    json_decref(made);
}
END_TEST

START_TEST(an_empty_lifetime_is_the_usual_one)
{
    t_make("gateway-groups", "{'name': 'dev', 'environment': 'dev'}");
    json_t *made = t_create("enrolment-tokens", "{'group': 'dev', 'expires_in': ''}");
    ck_assert(use(t_text(made, "token")));
    ck_assert_str_eq(t_sql("SELECT expires_at - created_at FROM enrolment_tokens"), "3600000");
    json_decref(made);
}
END_TEST

START_TEST(an_enrolment_token_ends)
{
    t_make("gateway-groups", "{'name': 'dev', 'environment': 'dev'}");
    t_create_fails("enrolment-tokens", "{'group': 'dev', 'uses': 0}", SLC_INVALID, "/uses");
    t_create_fails("enrolment-tokens", "{'group': 'dev', 'expires_in': '1ms'}", SLC_INVALID, "/expires_in");
    json_t *made = t_create("enrolment-tokens", "{'group': 'dev'}");
    char wrong[SLC_TOKEN_CHARS + 1];
    snprintf(wrong, sizeof(wrong), "%s", t_text(made, "token"));
    wrong[SLC_TOKEN_CHARS - 1] ^= 1;
    ck_assert(!use(wrong));
    ck_assert(!use("slc_x_y"));
    ck_assert(t_write(age_tokens, (char *)"UPDATE enrolment_tokens SET expires_at = ?1", &t_error));
    ck_assert(!use(t_text(made, "token")));
    json_decref(made);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("catalog/token");
    TCase *tc = tcase_create("token");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, t_setup, t_teardown);
    tcase_add_test(tc, a_token_has_its_scopes);
    tcase_add_test(tc, wrong_tokens_are_all_refused_alike);
    tcase_add_test(tc, a_users_token_cannot_do_more_than_the_user);
    tcase_add_test(tc, a_token_does_not_outlive_its_owner);
    tcase_add_test(tc, tokens_expire);
    tcase_add_test(tc, the_bootstrap_token_is_made_once);
    tcase_add_test(tc, an_enrolment_token_has_its_uses);
    tcase_add_test(tc, an_empty_lifetime_is_the_usual_one);
    tcase_add_test(tc, an_enrolment_token_ends);
    suite_add_tcase(s, tc);
    return s;
}

TEST_MAIN(suite)
