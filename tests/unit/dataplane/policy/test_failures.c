/* Failed attempts: who must wait, and who never does. An hour's window: the clock does not matter. */
#include <check.h>
#include <stdio.h>

#include "dataplane/policy/failures.h"
#include "tests/unit/common/unit.h"

#define ALLOWED 5
#define HOUR_MS 3600000

static slc_failures *make(int64_t keys)
{
    static bool registered;
    if (!registered)
        slc_failures_register_metrics();
    registered = true;
    return slc_failures_new(&(slc_failures_options){.allowed = ALLOWED, .window_ms = HOUR_MS, .keys = keys});
}

static void fail_often(slc_failures *failures, const char *address, const char *credential)
{
    for (unsigned i = 0; i < ALLOWED; i++)
        slc_failures_failed(failures, address, credential);
}

START_TEST(as_many_as_are_allowed_fail_without_waiting)
{
    slc_failures *failures = make(1024);
    for (unsigned i = 0; i < ALLOWED; i++) {
        ck_assert_int_eq(slc_failures_wait_ms(failures, "192.0.2.1", "a"), 0);
        slc_failures_failed(failures, "192.0.2.1", "a");
    }
    int64_t wait_ms = slc_failures_wait_ms(failures, "192.0.2.1", "a");
    ck_assert_int_gt(wait_ms, HOUR_MS / ALLOWED - 60000);
    ck_assert_int_le(wait_ms, HOUR_MS / ALLOWED + 1);
    fail_often(failures, "192.0.2.1", "a"); /* however often: one more is heard each window / allowed */
    ck_assert_int_le(slc_failures_wait_ms(failures, "192.0.2.1", "a"), HOUR_MS / ALLOWED + 1);
    slc_failures_free(failures);
}
END_TEST

START_TEST(an_address_waits_whatever_it_presents)
{
    slc_failures *failures = make(1024);
    fail_often(failures, "192.0.2.1", "a");
    ck_assert_int_gt(slc_failures_wait_ms(failures, "192.0.2.1", "b"), 0);
    ck_assert_int_gt(slc_failures_wait_ms(failures, "192.0.2.1", NULL), 0);
    ck_assert_int_eq(slc_failures_wait_ms(failures, "192.0.2.2", "b"), 0);
    slc_failures_free(failures);
}
END_TEST

START_TEST(a_credential_is_not_locked_out)
{
    slc_failures *failures = make(1024);
    fail_often(failures, "192.0.2.1", "a");
    ck_assert_int_eq(slc_failures_wait_ms(failures, "192.0.2.2", "a"), 0);
    slc_failures_failed(failures, "192.0.2.3", "b");
    ck_assert_int_eq(slc_failures_wait_ms(failures, "192.0.2.3", "b"), 0);
    ck_assert_int_gt(slc_failures_wait_ms(failures, "192.0.2.3", "a"),
                     0); /* it failed lately: no second guess */
    slc_failures_free(failures);
}
END_TEST

START_TEST(whoever_was_let_in_from_an_address_may_share_it_with_others_who_fail)
{
    slc_failures *failures = make(1024);
    slc_failures_passed(failures, "192.0.2.1", "good");
    fail_often(failures, "192.0.2.1", "a");
    ck_assert_int_eq(slc_failures_wait_ms(failures, "192.0.2.1", "good"), 0);
    ck_assert_int_gt(slc_failures_wait_ms(failures, "192.0.2.1", "other"), 0);
    fail_often(failures, "192.0.2.1", "good"); /* but not for guesses at itself */
    ck_assert_int_gt(slc_failures_wait_ms(failures, "192.0.2.1", "good"), 0);
    slc_failures_free(failures);
}
END_TEST

START_TEST(a_network_of_ipv6_is_one_address)
{
    slc_failures *failures = make(1024);
    char address[64];
    for (unsigned i = 0; i < ALLOWED; i++) {
        snprintf(address, sizeof address, "2001:db8::%x", i + 1);
        slc_failures_failed(failures, address, NULL);
    }
    ck_assert_int_gt(slc_failures_wait_ms(failures, "2001:db8::ffff:1", "a"), 0);
    ck_assert_int_eq(slc_failures_wait_ms(failures, "2001:db8:0:1::1", "a"), 0);
    fail_often(failures, "::ffff:192.0.2.1", "b"); /* IPv4, as a socket of both kinds has it */
    ck_assert_int_gt(slc_failures_wait_ms(failures, "192.0.2.1", NULL), 0);
    ck_assert_int_eq(slc_failures_wait_ms(failures, "::ffff:192.0.2.2", NULL), 0);
    slc_failures_free(failures);
}
END_TEST

/* A socket for both families names clients of IPv4 like this: they are not one network. */
START_TEST(addresses_of_ipv4_stay_apart_when_ipv6_wraps_them)
{
    slc_failures *failures = make(1024);
    fail_often(failures, "::ffff:192.0.2.1", "a");
    ck_assert_int_gt(slc_failures_wait_ms(failures, "192.0.2.1", "b"), 0);
    ck_assert_int_eq(slc_failures_wait_ms(failures, "::ffff:192.0.2.2", "b"), 0);
    slc_failures_free(failures);
}
END_TEST

/* Many more attackers than places: none of them makes an innocent one wait. */
START_TEST(a_full_table_locks_nobody_out)
{
    slc_failures *failures = make(1024);
    char address[64];
    for (unsigned i = 0; i < 20000; i++) {
        snprintf(address, sizeof address, "10.%u.%u.%u", i >> 16, i >> 8 & 255, i & 255);
        for (unsigned j = 0; j < ALLOWED; j++)
            slc_failures_failed(failures, address, "a");
    }
    for (unsigned i = 0; i < 1000; i++) {
        snprintf(address, sizeof address, "192.168.%u.%u", i >> 8, i & 255);
        ck_assert_int_eq(slc_failures_wait_ms(failures, address, "good"), 0);
    }
    slc_failures_free(failures);
}
END_TEST

START_TEST(nothing_is_counted_when_any_number_is_allowed)
{
    ck_assert_ptr_null(
        slc_failures_new(&(slc_failures_options){.allowed = 0, .window_ms = 1000, .keys = 1024}));
    slc_failures_failed(NULL, "192.0.2.1", "a");
    slc_failures_passed(NULL, "192.0.2.1", "a");
    ck_assert_int_eq(slc_failures_wait_ms(NULL, "192.0.2.1", "a"), 0);
    slc_failures_free(NULL);
}
END_TEST

UNIT_MAIN("failures", as_many_as_are_allowed_fail_without_waiting, an_address_waits_whatever_it_presents,
          a_credential_is_not_locked_out, whoever_was_let_in_from_an_address_may_share_it_with_others_who_fail,
          a_network_of_ipv6_is_one_address, addresses_of_ipv4_stay_apart_when_ipv6_wraps_them,
          a_full_table_locks_nobody_out, nothing_is_counted_when_any_number_is_allowed)
