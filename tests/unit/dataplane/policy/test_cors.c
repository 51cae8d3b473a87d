/* cors: what a browser is told, and that it changes nothing for anybody else. */
#include <check.h>
#include <string.h>
#include <strings.h>

#include "asker.h"
#include "tests/unit/common/unit.h"

#define SHOP  "https://shop.example"
#define OTHER "https://evil.example"

static struct asker *asker;

static void setup(const char *config)
{
    asker = asker_new();
    asker_policy(asker, "browsers", "cors", config);
}

static void no_cors_headers(void)
{
    for (size_t i = 0; i < asker->answered_count; i++)
        ck_assert_msg(strncasecmp(asker->answered[i].name, "Access-Control-", 15) != 0, "%s",
                      asker->answered[i].name);
}

START_TEST(a_preflight_is_answered_before_authentication)
{
    setup("{\"origins\":[\"" SHOP "\"],\"methods\":[\"GET\"],\"headers\":[\"X-A\",\"X-B\"],\"max_age\":5}");
    asker_send(asker, "Origin", SHOP);
    asker_send(asker, "Access-Control-Request-Method", "GET");
    ck_assert_int_eq(asker_ask(asker, "OPTIONS"), SLC_ANSWER);
    ck_assert_int_eq(asker->denial.status, 204);
    ck_assert_str_eq(asker_answer(asker, "Access-Control-Allow-Origin"), SHOP);
    ck_assert_str_eq(asker_answer(asker, "Access-Control-Allow-Methods"), "GET");
    ck_assert_str_eq(asker_answer(asker, "Access-Control-Allow-Headers"), "X-A, X-B");
    ck_assert_str_eq(asker_answer(asker, "Access-Control-Max-Age"), "5");
    ck_assert_ptr_null(asker_answer(asker, "Access-Control-Allow-Credentials"));
    ck_assert_str_eq(asker_answer(asker, "Vary"), "Origin");
    ck_assert(!asker->principal.authenticated);
    asker_free(asker);
}
END_TEST

START_TEST(a_preflight_of_another_origin_learns_nothing)
{
    static const char *const others[] = {
        OTHER, "null", "https://shop.example.evil.example", "http://shop.example", "https://shop.example:8443",
        ""};
    setup("{\"origins\":[\"" SHOP "\"]}");
    asker_send(asker, "Access-Control-Request-Method", "GET");
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        asker_send(asker, "Origin", others[i]);
        ck_assert_int_eq(asker_ask(asker, "OPTIONS"), SLC_ANSWER);
        no_cors_headers();
    }
    asker_free(asker);
}
END_TEST

START_TEST(options_without_a_preflight_is_not_answered_here)
{
    setup("{\"origins\":[\"" SHOP "\"]}");
    asker_send(asker, "Origin", SHOP);
    ck_assert_int_eq(asker_ask(asker, "OPTIONS"), SLC_DENY);
    ck_assert_int_eq(asker->denial.status, 401);
    asker_free(asker);
}
END_TEST

/* Else a page could not read why it was refused. */
START_TEST(a_refusal_carries_the_headers_too)
{
    setup("{\"origins\":[\"" SHOP "\"]}");
    asker_send(asker, "Origin", SHOP);
    ck_assert_int_eq(asker_ask(asker, "GET"), SLC_DENY);
    ck_assert_int_eq(asker->denial.status, 401);
    ck_assert_str_eq(asker_answer(asker, "Access-Control-Allow-Origin"), SHOP);
    ck_assert_ptr_nonnull(strstr(asker_answer(asker, "Access-Control-Expose-Headers"), "X-Request-Id"));
    asker_free(asker);
}
END_TEST

START_TEST(an_origin_that_is_not_listed_is_no_refusal)
{
    setup("{\"origins\":[\"" SHOP "\"]}");
    asker_send(asker, "X-API-Key", ASKER_KEY);
    asker_send(asker, "Origin", OTHER);
    ck_assert_int_eq(asker_ask(asker, "POST"), SLC_ALLOW);
    no_cors_headers();
    asker_free(asker);
}
END_TEST

START_TEST(an_allowed_origin_does_not_authenticate)
{
    setup("{\"origins\":[\"*\"]}");
    asker_send(asker, "Origin", SHOP);
    ck_assert_int_eq(asker_ask(asker, "POST"), SLC_DENY);
    asker_free(asker);
}
END_TEST

START_TEST(every_origin_means_a_star)
{
    setup("{\"origins\":[\"" SHOP "\",\"*\"]}");
    asker_send(asker, "X-API-Key", ASKER_KEY);
    asker_send(asker, "Origin", OTHER);
    ck_assert_int_eq(asker_ask(asker, "GET"), SLC_ALLOW);
    ck_assert_str_eq(asker_answer(asker, "Access-Control-Allow-Origin"), "*");
    ck_assert_ptr_null(asker_answer(asker, "Vary"));
    asker_free(asker);
}
END_TEST

START_TEST(credentials_go_with_listed_origins)
{
    setup("{\"origins\":[\"" SHOP "\"],\"credentials\":true}");
    asker_send(asker, "X-API-Key", ASKER_KEY);
    asker_send(asker, "Origin", SHOP);
    ck_assert_int_eq(asker_ask(asker, "GET"), SLC_ALLOW);
    ck_assert_str_eq(asker_answer(asker, "Access-Control-Allow-Credentials"), "true");
    asker_send(asker, "Origin", OTHER);
    ck_assert_int_eq(asker_ask(asker, "GET"), SLC_ALLOW);
    no_cors_headers();
    asker_free(asker);
}
END_TEST

/* A cache must not give a page what was stored for a client without Origin. */
START_TEST(answers_vary_by_origin_whoever_asks)
{
    setup("{\"origins\":[\"" SHOP "\"]}");
    asker_send(asker, "X-API-Key", ASKER_KEY);
    ck_assert_int_eq(asker_ask(asker, "GET"), SLC_ALLOW);
    ck_assert_str_eq(asker_answer(asker, "Vary"), "Origin");
    no_cors_headers();
    asker_free(asker);
}
END_TEST

START_TEST(a_wrong_config_is_an_error_with_a_pointer)
{
    static const struct {
        const char *config, *pointer;
    } wrong[] = {
        {"{}", "/config/origins"},
        {"{\"origins\":[]}", "/config/origins"},
        {"{\"origins\":\"*\"}", "/config/origins"},
        {"{\"origins\":[\"\"]}", "/config/origins"},
        {"{\"origins\":[7]}", "/config/origins"},
        {"{\"origins\":[\"*\"],\"credentials\":true}", "/config/credentials"},
        {"{\"origins\":[\"*\"],\"credentials\":1}", "/config/credentials"},
        {"{\"origins\":[\"*\"],\"max_age\":-1}", "/config/max_age"},
        {"{\"origins\":[\"*\"],\"max_age\":86401}", "/config/max_age"},
        {"{\"origins\":[\"*\"],\"max_age\":1.5}", "/config/max_age"},
        {"{\"origins\":[\"*\"],\"methods\":\"GET\"}", "/config/methods"},
        {"{\"origins\":[\"*\"],\"headers\":[\"X-A\\r\\nX-B: 1\"]}", "/config"},
        {"{\"origins\":[\"*\"],\"exposed_headers\":[null]}", "/config/exposed_headers"},
        {"{\"origins\":[\"*\"],\"origin\":1}", "/config/origin"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        Sluice__Snapshot__V1__Policy policy = SLUICE__SNAPSHOT__V1__POLICY__INIT;
        const Sluice__Snapshot__V1__Policy *list[] = {&policy};
        slc_error err = {0};
        policy.name = "browsers";
        policy.type = "cors";
        policy.config_json = (char *)wrong[i].config;
        ck_assert_msg(slc_chain_compile(list, 1, &err) == NULL, "%s", wrong[i].config);
        ck_assert_int_eq(err.code, SLC_INVALID);
        ck_assert_str_eq(err.field, "policy/browsers");
        ck_assert_msg(strncmp(err.message, wrong[i].pointer, strlen(wrong[i].pointer)) == 0, "%s: %s",
                      wrong[i].config, err.message);
    }
}
END_TEST

UNIT_MAIN("cors", a_preflight_is_answered_before_authentication, a_preflight_of_another_origin_learns_nothing,
          options_without_a_preflight_is_not_answered_here, a_refusal_carries_the_headers_too,
          an_origin_that_is_not_listed_is_no_refusal, an_allowed_origin_does_not_authenticate,
          every_origin_means_a_star, credentials_go_with_listed_origins, answers_vary_by_origin_whoever_asks,
          a_wrong_config_is_an_error_with_a_pointer)
