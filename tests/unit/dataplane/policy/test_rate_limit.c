/* rate-limit and the limits of plans: whom they count for, what they answer. */
#include <check.h>
#include <string.h>

#include "asker.h"
#include "common/clock.h"
#include "tests/unit/common/unit.h"

static struct asker *limited(const char *config)
{
    struct asker *asker = asker_new();
    asker_policy(asker, "limits", "rate-limit", config);
    asker_send(asker, "X-API-Key", ASKER_KEY);
    return asker;
}

static void refused(struct asker *asker)
{
    ck_assert_int_eq(asker->denial.status, 429);
    ck_assert_str_eq(asker->denial.type, "rate-limited");
    ck_assert_int_gt(asker->denial.retry_after_ms, 0);
}

/* What "1 per second" let through then it may let through again, if the machine stood still meanwhile. */
static bool second_has_passed(int64_t since_ms)
{
    return slc_monotonic_ms() - since_ms >= 1000;
}

START_TEST(what_is_over_is_429_and_says_when_to_come_again)
{
    struct asker *asker = limited("{\"requests_per_second\":2,\"burst\":3600}");
    int allowed = 0; /* on a slow machine more than the burst: time passes */
    while (asker_ask(asker, "GET") == SLC_ALLOW)
        ck_assert_int_lt(++allowed, 100000);
    ck_assert_int_ge(allowed, 7200);
    refused(asker);
    ck_assert_ptr_nonnull(strstr(asker->denial.reason, "requests of app-1"));
    ck_assert_str_eq(asker_answer(asker, "RateLimit-Policy"), "\"requests\";q=7200;w=3600");
    ck_assert_str_eq(asker_answer(asker, "RateLimit"), "\"requests\";r=0;t=3600");
    asker_free(asker);
}
END_TEST

START_TEST(answers_say_what_is_left)
{
    struct asker *asker =
        limited("{\"requests_per_second\":1,\"events_per_second\":5,\"streams\":3,\"burst\":60}");
    asker->stream = true;
    ck_assert_int_eq(asker_ask(asker, "GET"), SLC_ALLOW);
    ck_assert_str_eq(asker_answer(asker, "RateLimit-Policy"),
                     "\"requests\";q=60;w=60, \"events\";q=300;w=60, \"streams\";q=3");
    ck_assert_str_eq(asker_answer(asker, "RateLimit"), "\"requests\";r=59;t=1, \"events\";r=300;t=0, "
                                                       "\"streams\";r=2");
    asker_free(asker);
}
END_TEST

/* Nothing is counted for requests that are refused anyway. */
START_TEST(only_who_may_is_counted)
{
    struct asker *asker = limited("{\"requests_per_second\":1}");
    asker_send(asker, "X-API-Key", "slk_cred-1_wrong");
    for (int i = 0; i < 10; i++)
        ck_assert_int_eq(asker_ask(asker, "GET"), SLC_DENY);
    asker_send(asker, "X-API-Key", ASKER_KEY);
    ck_assert_int_eq(asker_ask(asker, "GET"), SLC_ALLOW);
    asker_free(asker);
}
END_TEST

START_TEST(it_is_counted_for_each_on_its_own)
{
    static const struct {
        const char *config;
        bool by_address, by_api;
    } cases[] = {{"{\"requests_per_second\":1,\"burst\":1,\"per\":\"application\"}", false, false},
                 {"{\"requests_per_second\":1,\"burst\":1,\"per\":\"address\"}", true, false},
                 {"{\"requests_per_second\":1,\"burst\":1,\"per\":\"event-api\"}", false, true},
                 {"{\"requests_per_second\":1,\"burst\":1,\"per\":\"all\"}", false, false},
                 {"{\"requests_per_second\":1,\"burst\":1,\"per\":\"plan\"}", false, false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct asker *asker = limited(cases[i].config);
        int64_t since_ms = slc_monotonic_ms();
        ck_assert_int_eq(asker_ask(asker, "GET"), SLC_ALLOW);
        asker->address = "192.0.2.2";
        bool allowed = asker_ask(asker, "GET") == SLC_ALLOW;
        ck_assert_msg(allowed == cases[i].by_address || (allowed && second_has_passed(since_ms)), "%s",
                      cases[i].config);
        asker_free(asker);
    }
}
END_TEST

/* Who has one address of IPv6 has all of the network. */
START_TEST(an_address_is_one_in_each_spelling)
{
    static const char *const pairs[][2] = {{"2001:db8::1", "2001:db8::abcd:1"},
                                           {"192.0.2.7", "::ffff:192.0.2.7"}};
    for (size_t i = 0; i < 2; i++) {
        struct asker *asker = limited("{\"requests_per_second\":1,\"burst\":1,\"per\":\"address\"}");
        int64_t since_ms = slc_monotonic_ms();
        asker->address = pairs[i][0];
        ck_assert_int_eq(asker_ask(asker, "GET"), SLC_ALLOW);
        asker->address = pairs[i][1];
        ck_assert(asker_ask(asker, "GET") == SLC_DENY || second_has_passed(since_ms));
        asker->address = "2001:db8:0:1::1";
        ck_assert_int_eq(asker_ask(asker, "GET"), SLC_ALLOW);
        asker_free(asker);
    }
}
END_TEST

START_TEST(two_policies_both_hold)
{
    struct asker *asker = limited("{\"requests_per_second\":1,\"burst\":100}");
    asker_policy(asker, "narrow", "rate-limit", "{\"streams\":1}");
    asker->stream = asker->keep = true;
    ck_assert_int_eq(asker_ask(asker, "GET"), SLC_ALLOW);
    ck_assert_uint_eq(asker->charges.count, 2);
    ck_assert_uint_eq(asker_answer_count(asker, "RateLimit"), 2);
    slc_charges held = asker->charges;
    ck_assert_int_eq(asker_ask(asker, "GET"), SLC_DENY);
    refused(asker);
    slc_charges_release(&asker->charges);
    slc_charges_release(&held);
    ck_assert_int_eq(asker_ask(asker, "GET"), SLC_ALLOW);
    slc_charges_release(&asker->charges);
    asker_free(asker);
}
END_TEST

START_TEST(who_owes_waits)
{
    struct asker *asker = limited("{\"bytes_per_second\":1000}");
    asker->keep = true;
    ck_assert_int_eq(asker_ask(asker, "POST"), SLC_ALLOW);
    slc_charges_add(&asker->charges, 1, 100000, slc_limits_now_ns());
    slc_charges_release(&asker->charges);
    ck_assert_int_eq(asker_ask(asker, "POST"), SLC_DENY);
    refused(asker);
    ck_assert_int_gt(asker->denial.retry_after_ms, 60000);
    asker_free(asker);
}
END_TEST

START_TEST(a_dry_run_counts_and_lets_through)
{
    struct asker *asker = limited("{\"requests_per_second\":1}");
    asker->maker->policy[0].dry_run = true;
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(asker_ask(asker, "GET"), SLC_ALLOW);
    ck_assert_ptr_null(asker_answer(asker, "RateLimit"));
    asker_free(asker);
}
END_TEST

/* What it would have made wait does not wait. */
START_TEST(a_dry_run_slows_nobody_down)
{
    struct asker *asker = limited("{\"events_per_second\":1}");
    asker->maker->policy[0].dry_run = true;
    asker->stream = asker->keep = true;
    ck_assert_int_eq(asker_ask(asker, "GET"), SLC_ALLOW);
    ck_assert_uint_eq(asker->charges.count, 1);
    slc_charges_add(&asker->charges, 1000, 0, slc_limits_now_ns());
    ck_assert_int_eq(slc_charges_owed_ms(&asker->charges, slc_limits_now_ns()), 0);
    asker->charges.list[0].dry = false;
    ck_assert_int_gt(slc_charges_owed_ms(&asker->charges, slc_limits_now_ns()), 900000);
    slc_charges_release(&asker->charges);
    asker_free(asker);
}
END_TEST

START_TEST(a_plan_has_limits_of_its_own)
{
    Sluice__Snapshot__V1__Limits limits = SLUICE__SNAPSHOT__V1__LIMITS__INIT;
    struct asker *asker = asker_new();
    limits.requests_per_second = 1;
    asker->maker->plan[0].limits = &limits;
    asker_send(asker, "X-API-Key", ASKER_KEY);
    int64_t since_ms = slc_monotonic_ms();
    ck_assert_int_eq(asker_ask(asker, "GET"), SLC_ALLOW);
    ck_assert_str_eq(asker_answer(asker, "RateLimit-Policy"), "\"requests\";q=1;w=1");
    if (asker_ask(asker, "GET") == SLC_DENY)
        refused(asker);
    else
        ck_assert(second_has_passed(since_ms));
    limits.requests_per_second = 0;
    asker_rebuild(asker);
    ck_assert_int_eq(asker_ask(asker, "GET"), SLC_ALLOW);
    ck_assert_ptr_null(asker_answer(asker, "RateLimit"));
    asker_free(asker);
}
END_TEST

START_TEST(a_changed_limit_reaches_what_is_open)
{
    struct asker *who = asker_new();
    asker_send(who, "X-API-Key", ASKER_KEY);
    who->stream = who->keep = true;
    asker_policy(who, "slow", "rate-limit", "{\"events_per_second\":1}");
    ck_assert_int_eq(asker_ask(who, "GET"), SLC_ALLOW);
    ck_assert_uint_eq(who->charges.count, 1);
    ck_assert_uint_eq(who->charges.list[0].rates.per_second[SLC_LIMIT_EVENTS], 1);
    who->maker->policy[0].config_json = (char *)"{\"events_per_second\":1000}";
    asker_rebuild(who);
    const slc_event_api *api = slc_snapshot_event_api_by_id(who->snapshot, "api-1");
    slc_limits_changed(who->snapshot, api, &who->principal, &who->charges);
    ck_assert_uint_eq(who->charges.list[0].rates.per_second[SLC_LIMIT_EVENTS], 1000);
    who->maker->policies = 0;
    asker_rebuild(who);
    api = slc_snapshot_event_api_by_id(who->snapshot, "api-1");
    slc_limits_changed(who->snapshot, api, &who->principal, &who->charges);
    slc_charges_add(&who->charges, 1000000, 0, slc_limits_now_ns());
    ck_assert_int_eq(slc_charges_owed_ms(&who->charges, slc_limits_now_ns()), 0);
    slc_charges_release(&who->charges);
    asker_free(who);
}
END_TEST

UNIT_MAIN("rate_limit", a_changed_limit_reaches_what_is_open, what_is_over_is_429_and_says_when_to_come_again,
          answers_say_what_is_left, only_who_may_is_counted, it_is_counted_for_each_on_its_own,
          an_address_is_one_in_each_spelling, two_policies_both_hold, who_owes_waits,
          a_dry_run_counts_and_lets_through, a_dry_run_slows_nobody_down, a_plan_has_limits_of_its_own)
