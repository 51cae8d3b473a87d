/* subscription: an application may do what its subscriptions' plans grant, when they grant it, and nothing
 * else. */
#include <check.h>
#include <string.h>

#include "asker.h"
#include "common/clock.h"
#include "tests/unit/common/unit.h"

static struct asker *asker;

static void setup(void)
{
    asker = asker_new();
    asker_send(asker, "X-API-Key", ASKER_KEY);
}

static void not_subscribed(const char *api_id, const char *method, Sluice__Snapshot__V1__Operation operation)
{
    ck_assert_int_eq(asker_ask_api(asker, api_id, method, operation), SLC_DENY);
    ck_assert_int_eq(asker->denial.status, 403);
    ck_assert_str_eq(asker->denial.type, "not-subscribed");
    ck_assert_str_eq(asker->principal.plan_id, "");
    ck_assert_str_eq(asker->principal.subscription_id, "");
    /* Who it was is known, for the log. */
    ck_assert_str_eq(asker->principal.application_id, "app-1");
}

START_TEST(a_plan_grants_its_operations)
{
    setup();
    ck_assert_int_eq(asker_ask(asker, "POST"), SLC_ALLOW);
    ck_assert_str_eq(asker->principal.plan_id, "plan-1");
    ck_assert_str_eq(asker->principal.subscription_id, "app-1");
    ck_assert_int_eq(asker_ask(asker, "GET"), SLC_ALLOW);
    ck_assert_int_eq(asker->principal.expires_at_ms, 0);
    asker_free(asker);
}
END_TEST

START_TEST(an_operation_outside_of_the_plan_is_denied)
{
    setup();
    asker->maker->plan[0].n_operations = 1; /* publish */
    ck_assert_int_eq(asker_ask(asker, "POST"), SLC_ALLOW);
    not_subscribed("api-1", "GET", READ);
    not_subscribed("api-1", "GET", SLUICE__SNAPSHOT__V1__OPERATION__OPERATION_UNSPECIFIED);
    asker_free(asker);
}
END_TEST

START_TEST(another_event_api_is_denied)
{
    setup();
    asker->maker->apis = 2;
    ck_assert_int_eq(asker_ask_api(asker, "api-1", "GET", READ), SLC_ALLOW);
    not_subscribed("api-2", "GET", READ);
    not_subscribed("api-2", "POST", PUBLISH);
    asker_free(asker);
}
END_TEST

/* Publish from one plan and the API from another must not add up. */
START_TEST(two_plans_do_not_add_up_to_a_grant)
{
    Sluice__Snapshot__V1__Subscription *both[2];
    Sluice__Snapshot__V1__Subscription second = SLUICE__SNAPSHOT__V1__SUBSCRIPTION__INIT;
    Sluice__Snapshot__V1__Operation read_only[] = {READ};
    char *second_api[] = {"api-2"};
    setup();
    struct maker *maker = asker->maker;
    maker->apis = maker->plans = 2;
    maker->plan[0].operations = read_only;
    maker->plan[0].n_operations = 1;
    maker->plan[1].event_api_ids = second_api;
    second.id = "sub-2";
    second.plan_id = "plan-2";
    both[0] = maker->application[0].subscriptions[0];
    both[1] = &second;
    maker->application[0].subscriptions = both;
    maker->application[0].n_subscriptions = 2;
    not_subscribed("api-1", "POST", PUBLISH);
    ck_assert_int_eq(asker_ask_api(asker, "api-1", "GET", READ), SLC_ALLOW);
    ck_assert_str_eq(asker->principal.plan_id, "plan-1");
    ck_assert_int_eq(asker_ask_api(asker, "api-2", "POST", PUBLISH), SLC_ALLOW);
    ck_assert_str_eq(asker->principal.plan_id, "plan-2");
    ck_assert_str_eq(asker->principal.subscription_id, "sub-2");
    asker_free(asker);
}
END_TEST

START_TEST(expiry_holds_without_a_new_snapshot)
{
    setup();
    int64_t expires_at_ms = slc_wall_ms() + 300;
    asker->maker->application[0].subscriptions[0]->expires_at_ms = expires_at_ms;
    enum slc_verdict verdict = asker_ask(asker, "GET");
    ck_assert(verdict == SLC_ALLOW || slc_wall_ms() >= expires_at_ms);
    /* The principal ends with what granted it, so that a stream can be closed then. */
    if (verdict == SLC_ALLOW)
        ck_assert_int_eq(asker->principal.expires_at_ms, expires_at_ms);
    while (slc_wall_ms() < expires_at_ms)
        ck_assert_int_ge(asker_ask(asker, "GET"), SLC_PASS);
    not_subscribed("api-1", "GET", READ);
    asker_free(asker);
}
END_TEST

START_TEST(the_earlier_expiry_counts)
{
    setup();
    int64_t now_ms = slc_wall_ms();
    asker->maker->credential[0].expires_at_ms = now_ms + 1000000;
    asker->maker->application[0].subscriptions[0]->expires_at_ms = now_ms + 2000000;
    ck_assert_int_eq(asker_ask(asker, "GET"), SLC_ALLOW);
    ck_assert_int_eq(asker->principal.expires_at_ms, now_ms + 1000000);
    asker->maker->application[0].subscriptions[0]->expires_at_ms = now_ms + 500000;
    asker_rebuild(asker);
    ck_assert_int_eq(asker_ask(asker, "GET"), SLC_ALLOW);
    ck_assert_int_eq(asker->principal.expires_at_ms, now_ms + 500000);
    asker_free(asker);
}
END_TEST

START_TEST(configuration_takes_no_settings)
{
    setup();
    asker_policy(asker, "lenient", "subscription", "{\"required\":false}");
    maker_fails(asker->maker, NULL, "policy/lenient");
    asker_free(asker);
}
END_TEST

/* ---- open streams: slc_principal_still_granted ---- */

static bool still_granted(void)
{
    const slc_event_api *api = slc_snapshot_event_api_by_id(asker->snapshot, "api-1");
    ck_assert_ptr_nonnull(api);
    return slc_principal_still_granted(asker->snapshot, api, READ, NULL, &asker->principal);
}

static void open_stream(void)
{
    setup();
    ck_assert_int_eq(asker_ask(asker, "GET"), SLC_ALLOW);
    ck_assert(still_granted());
}

START_TEST(a_stream_ends_with_its_credential)
{
    open_stream();
    maker_add_application(asker->maker, 2); /* a change that does not concern it */
    asker_rebuild(asker);
    ck_assert(still_granted());
    asker->maker->credential[0] = asker->maker->credential[1];
    asker->maker->credentials = 1;
    asker_rebuild(asker);
    ck_assert(!still_granted());
    asker_free(asker);
}
END_TEST

START_TEST(a_stream_ends_when_the_credential_expires)
{
    open_stream();
    asker->maker->credential[0].expires_at_ms = slc_wall_ms() - 1;
    asker_rebuild(asker);
    ck_assert(!still_granted());
    asker_free(asker);
}
END_TEST

START_TEST(a_stream_ends_when_the_credential_is_given_to_another_application)
{
    open_stream();
    maker_add_application(asker->maker, 2);
    asker->maker->credential[0].application_id = "app-2";
    asker_rebuild(asker);
    ck_assert(!still_granted());
    asker_free(asker);
}
END_TEST

START_TEST(a_stream_ends_with_its_subscription)
{
    open_stream();
    asker->maker->application[0].subscriptions[0]->expires_at_ms = slc_wall_ms() - 1;
    asker_rebuild(asker);
    ck_assert(!still_granted());
    asker->maker->applications = 0;
    asker_rebuild(asker);
    ck_assert(!still_granted());
    asker_free(asker);
}
END_TEST

START_TEST(a_stream_moves_to_another_plan_that_grants_it)
{
    open_stream();
    asker->maker->plans = 2;
    asker->maker->application[0].subscriptions[0]->plan_id = "plan-2";
    asker->maker->application[0].subscriptions[0]->expires_at_ms = slc_wall_ms() + 1000000;
    asker_rebuild(asker);
    ck_assert(still_granted());
    ck_assert_str_eq(asker->principal.plan_id, "plan-2");
    ck_assert_int_eq(asker->principal.expires_at_ms,
                     asker->maker->application[0].subscriptions[0]->expires_at_ms);
    asker_free(asker);
}
END_TEST

START_TEST(a_stream_ends_when_the_plan_is_narrowed)
{
    open_stream();
    asker->maker->plan[0].n_operations = 1; /* publish */
    asker_rebuild(asker);
    ck_assert(!still_granted());
    asker_free(asker);
}
END_TEST

UNIT_MAIN("subscription", a_plan_grants_its_operations, an_operation_outside_of_the_plan_is_denied,
          another_event_api_is_denied, two_plans_do_not_add_up_to_a_grant, expiry_holds_without_a_new_snapshot,
          the_earlier_expiry_counts, configuration_takes_no_settings, a_stream_ends_with_its_credential,
          a_stream_ends_when_the_credential_expires,
          a_stream_ends_when_the_credential_is_given_to_another_application,
          a_stream_ends_with_its_subscription, a_stream_moves_to_another_plan_that_grants_it,
          a_stream_ends_when_the_plan_is_narrowed)
