/* key-auth: who is let in, who is not, and that the refusals do not tell why. */
#include <check.h>
#include <string.h>

#include "asker.h"
#include "common/clock.h"
#include "tests/unit/common/unit.h"

static struct asker *asker;

static void setup(void)
{
    asker = asker_new();
}

static void refused(const char *reason)
{
    ck_assert_int_eq(asker_ask(asker, "GET"), SLC_DENY);
    ck_assert_int_eq(asker->denial.status, 401);
    ck_assert_str_eq(asker->denial.type, "unauthenticated");
    ck_assert_uint_eq(asker_answer_count(asker, "WWW-Authenticate"), 1);
    ck_assert_msg(strstr(asker->denial.reason, reason) != NULL, "%s", asker->denial.reason);
    ck_assert_msg(strstr(asker->denial.reason, ASKER_SECRET) == NULL, "the log holds a secret");
    ck_assert(!asker->principal.authenticated);
}

START_TEST(a_key_names_its_application)
{
    setup();
    asker_send(asker, "X-API-Key", ASKER_KEY);
    ck_assert_int_eq(asker_ask(asker, "GET"), SLC_ALLOW);
    ck_assert(asker->principal.authenticated);
    ck_assert_str_eq(asker->principal.application_id, "app-1");
    ck_assert_str_eq(asker->principal.application_name, "app-1");
    ck_assert_str_eq(asker->principal.credential_id, "cred-1");
    ck_assert_str_eq(asker->principal.credential_lookup, "secret:cred-1");
    ck_assert_int_eq(asker->principal.expires_at_ms, 0);
    asker_free(asker);
}
END_TEST

START_TEST(basic_carries_the_same_credential)
{
    setup();
    asker_send(asker, "Authorization", ASKER_BASIC);
    ck_assert_int_eq(asker_ask(asker, "GET"), SLC_ALLOW);
    ck_assert_str_eq(asker->principal.application_id, "app-1");
    asker_send(asker, "Authorization", "bAsIc   Y3JlZC0xOmNvcnJlY3QtaG9yc2UtYmF0dGVyeS1zdGFwbGUtMDEyMw==");
    ck_assert_int_eq(asker_ask(asker, "GET"), SLC_ALLOW);
    asker_free(asker);
}
END_TEST

START_TEST(other_authorization_schemes_are_not_ours)
{
    setup();
    asker_send(asker, "Authorization", "Bearer " ASKER_KEY);
    refused("no policy authenticated");
    asker_send(asker, "X-API-Key", ASKER_KEY);
    ck_assert_int_eq(asker_ask(asker, "GET"), SLC_ALLOW);
    asker_free(asker);
}
END_TEST

START_TEST(unknown_and_wrong_get_the_same_answer)
{
    slc_denial first;
    setup();
    asker_send(asker, "X-API-Key", "slk_cred-1_wrong");
    refused("wrong secret");
    first = asker->denial;
    asker_send(asker, "X-API-Key", "slk_cred-9_" ASKER_SECRET);
    refused("unknown credential");
    ck_assert_str_eq(asker->denial.title, first.title);
    ck_assert_str_eq(asker->denial.detail, first.detail);
    asker_send(asker, "X-API-Key", "not a key");
    refused("not a key of this gateway");
    ck_assert_str_eq(asker->denial.title, first.title);
    ck_assert_str_eq(asker->denial.detail, first.detail);
    asker_free(asker);
}
END_TEST

START_TEST(only_the_whole_secret_counts)
{
    static const char *const wrong[] = {
        "",
        "slk_",
        "slk_cred-1",
        "slk_cred-1_",
        "slk__" ASKER_SECRET,
        "SLK_cred-1_" ASKER_SECRET,
        " " ASKER_KEY,
        ASKER_KEY "x",
        ASKER_KEY "_",
        "slk_cred-1_correct-horse-battery-staple-012",
        "slk_CRED-1_" ASKER_SECRET,
        "slk_a-credential-id-that-is-too-long_" ASKER_SECRET,
        "slk_cred-1_0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890"
        "1234567890123456789012345678901234567890",
    };
    setup();
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        asker_send(asker, "X-API-Key", wrong[i]);
        refused("key-auth: ");
    }
    asker_free(asker);
}
END_TEST

START_TEST(malformed_basic_is_refused)
{
    static const char *const wrong[] = {
        "Basic ",
        "Basic !!!!",
        "Basic Y3JlZC0x" /* cred-1 */,
        "Basic Y3JlZC0xOg==" /* cred-1: */,
        "Basic Og==", /* : */
        "Basic Y3JlZC0xOmNvcnJlY3QtaG9yc2UtYmF0dGVyeS1zdGFwbGUtMDEyMwA=" /* a NUL behind the secret */,
    };
    setup();
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        asker_send(asker, "Authorization", wrong[i]);
        refused("key-auth: ");
    }
    asker_free(asker);
}
END_TEST

/* Else a request could be tried with two secrets, and logs would name the wrong one. */
START_TEST(a_wrong_key_is_not_saved_by_basic)
{
    setup();
    asker_send(asker, "X-API-Key", "slk_cred-1_wrong");
    asker_send(asker, "Authorization", ASKER_BASIC);
    refused("wrong secret");
    asker_free(asker);
}
END_TEST

START_TEST(a_credential_without_a_secret_takes_none)
{
    setup();
    asker->maker->credential[0].secret_sha256 = (ProtobufCBinaryData){0, NULL};
    asker_send(asker, "X-API-Key", ASKER_KEY);
    refused("unknown credential");
    asker_free(asker);
}
END_TEST

START_TEST(expiry_holds_without_a_new_snapshot)
{
    setup();
    int64_t expires_at_ms = slc_wall_ms() + 300;
    asker->maker->credential[0].expires_at_ms = expires_at_ms;
    asker_send(asker, "X-API-Key", ASKER_KEY);
    enum slc_verdict verdict = asker_ask(asker, "GET");
    /* A machine that was asleep for 300 ms may have missed the first half of this test. */
    ck_assert(verdict == SLC_ALLOW || slc_wall_ms() >= expires_at_ms);
    if (verdict == SLC_ALLOW)
        ck_assert_int_eq(asker->principal.expires_at_ms, expires_at_ms);
    while (slc_wall_ms() < expires_at_ms)
        ck_assert_int_ge(asker_ask(asker, "GET"), SLC_PASS);
    refused("expired");
    asker_free(asker);
}
END_TEST

START_TEST(an_application_without_subscriptions_here_is_known_but_denied)
{
    setup();
    asker->maker->applications = 0;
    asker_send(asker, "X-API-Key", ASKER_KEY);
    ck_assert_int_eq(asker_ask(asker, "GET"), SLC_DENY);
    ck_assert_int_eq(asker->denial.status, 403);
    asker_send(asker, "X-API-Key", "slk_cred-1_wrong");
    refused("wrong secret");
    asker_free(asker);
}
END_TEST

START_TEST(the_header_is_configurable)
{
    setup();
    asker_policy(asker, "own-header", "key-auth", "{\"header\":\"X-Shop-Key\",\"basic\":false}");
    asker_send(asker, "X-API-Key", ASKER_KEY);
    asker_send(asker, "Authorization", ASKER_BASIC);
    refused("no policy authenticated");
    asker_send(asker, "x-shop-key", ASKER_KEY);
    ck_assert_int_eq(asker_ask(asker, "GET"), SLC_ALLOW);
    asker_free(asker);
}
END_TEST

START_TEST(a_wrong_config_is_an_error_with_a_pointer)
{
    static const struct {
        const char *config, *pointer;
    } wrong[] = {
        {"{\"heder\":\"X-Key\"}", "/config/heder"},
        {"{\"header\":7}", "/config/header"},
        {"{\"header\":\"\"}", "/config/header"},
        {"{\"header\":\"X Key\"}", "/config/header"},
        {"{\"header\":\"X-Key:\"}", "/config/header"},
        {"{\"header\":\"X-Key\\r\\nA: b\"}", "/config/header"},
        {"{\"basic\":\"yes\"}", "/config/basic"},
        {"{\"basic\":null}", "/config/basic"},
        {"{\"header\":\"X\",\"a/b\":1}", "/config/a~1b"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        Sluice__Snapshot__V1__Policy policy = SLUICE__SNAPSHOT__V1__POLICY__INIT;
        const Sluice__Snapshot__V1__Policy *list[] = {&policy};
        slc_error err = {0};
        policy.name = "limits";
        policy.type = "key-auth";
        policy.config_json = (char *)wrong[i].config;
        ck_assert_ptr_null(slc_chain_compile(list, 1, &err));
        ck_assert_int_eq(err.code, SLC_INVALID);
        ck_assert_str_eq(err.field, "policy/limits");
        ck_assert_msg(strncmp(err.message, wrong[i].pointer, strlen(wrong[i].pointer)) == 0, "%s: %s",
                      wrong[i].config, err.message);
    }
}
END_TEST

START_TEST(basic_auth_takes_basic_and_no_api_key)
{
    struct asker *basic = asker_new();
    asker_policy(basic, "basic", "basic-auth", "");
    asker_send(basic, "X-API-Key", ASKER_KEY);
    ck_assert_int_eq(asker_ask(basic, "GET"), SLC_DENY);
    ck_assert_int_eq(basic->denial.status, 401);
    asker_send(basic, "X-API-Key", NULL);
    asker_send(basic, "Authorization", ASKER_BASIC);
    ck_assert_int_eq(asker_ask(basic, "GET"), SLC_ALLOW);
    ck_assert_str_eq(basic->principal.application_id, "app-1");
    asker_send(basic, "Authorization", "Basic Y3JlZC0xOndyb25n");
    ck_assert_int_eq(asker_ask(basic, "GET"), SLC_DENY);
    ck_assert_uint_eq(asker_answer_count(basic, "WWW-Authenticate"), 1);
    asker_free(basic);
}
END_TEST

UNIT_MAIN("key-auth", a_key_names_its_application, basic_carries_the_same_credential,
          other_authorization_schemes_are_not_ours, unknown_and_wrong_get_the_same_answer,
          only_the_whole_secret_counts, malformed_basic_is_refused, a_wrong_key_is_not_saved_by_basic,
          a_credential_without_a_secret_takes_none, expiry_holds_without_a_new_snapshot,
          an_application_without_subscriptions_here_is_known_but_denied, the_header_is_configurable,
          a_wrong_config_is_an_error_with_a_pointer, basic_auth_takes_basic_and_no_api_key)
