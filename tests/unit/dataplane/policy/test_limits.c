/* The table of limits: rates with their bursts, debts, streams, many keys, many threads. The test brings the
 * time. */
#include <check.h>
#include <pthread.h>
#include <stdio.h>

#include "dataplane/policy/limits.h"
#include "tests/unit/common/unit.h"

#define SECOND 1000000000LL
#define START  (1000 * SECOND)

static slc_limits *limits;

static bool take(const slc_rates *rates, const char *subject, bool stream, int64_t now,
                 slc_limit_answer *answer, slc_charges *charges)
{
    charges->limits = limits;
    slc_limit_place *place = slc_limits_place(limits, slc_limits_hash(limits, "limit", subject), now);
    return slc_charges_take(charges, place, rates, stream, now, answer);
}

/* How many requests are let through at once. */
static unsigned burst(const slc_rates *rates, const char *subject, int64_t now, slc_limit_answer *answer)
{
    unsigned count = 0;
    for (slc_charges charges = {.count = 0};
         count < 10000 && take(rates, subject, false, now, answer, &charges); count++)
        charges.count = 0;
    return count;
}

START_TEST(a_burst_is_followed_by_the_rate)
{
    static const struct {
        uint64_t per_second;
        uint32_t burst_s;
        unsigned first, after_half_a_second;
    } cases[] = {{10, 1, 10, 5}, {1, 1, 1, 0}, {1, 60, 60, 0}, {1000, 2, 2000, 500}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        slc_rates rates = {.per_second = {cases[i].per_second}, .burst_s = cases[i].burst_s};
        slc_limit_answer answer;
        limits = slc_limits_new(64);
        ck_assert_uint_eq(burst(&rates, "a", START, &answer), cases[i].first);
        ck_assert_int_eq(answer.refused, SLC_LIMIT_REQUESTS);
        ck_assert_int_gt(answer.retry_after_ms, 0);
        ck_assert_int_le(answer.retry_after_ms, 1001);
        ck_assert_uint_eq(burst(&rates, "a", START + SECOND / 2, &answer), cases[i].after_half_a_second);
        ck_assert_uint_eq(burst(&rates, "b", START, &answer), cases[i].first);
        ck_assert_uint_eq(burst(&rates, "a", START + 3600 * SECOND, &answer), cases[i].first);
        slc_limits_free(limits);
    }
}
END_TEST

/* Waiting as long as one is told is enough, and less is not. */
START_TEST(the_wait_is_what_is_needed)
{
    slc_rates rates = {.per_second = {3}, .burst_s = 1};
    slc_limit_answer answer;
    limits = slc_limits_new(64);
    ck_assert_uint_eq(burst(&rates, "a", START, &answer), 3);
    int64_t wait = answer.retry_after_ms * 1000000;
    ck_assert_uint_eq(burst(&rates, "a", START + wait - 2000000, &answer), 0);
    ck_assert_uint_eq(burst(&rates, "a", START + wait, &answer), 1);
    slc_limits_free(limits);
}
END_TEST

START_TEST(what_is_paid_afterwards_makes_debts)
{
    slc_rates rates = {.per_second = {0, 10, 1000}, .burst_s = 1};
    slc_charges charges = {.count = 0};
    slc_limit_answer answer;
    limits = slc_limits_new(64);
    ck_assert(take(&rates, "a", false, START, &answer, &charges));
    slc_charges_add(&charges, 9, 0, START);
    ck_assert_int_eq(slc_charges_owed_ms(&charges, START), 0);
    slc_charges_add(&charges, 21, 500, START); /* 30 of 10 a second: 2 s too many */
    ck_assert_int_ge(slc_charges_owed_ms(&charges, START), 2000);
    ck_assert_int_le(slc_charges_owed_ms(&charges, START), 2001);
    charges.count = 0;
    ck_assert(!take(&rates, "a", false, START + SECOND, &answer, &charges));
    ck_assert_int_eq(answer.refused, SLC_LIMIT_EVENTS);
    ck_assert_uint_eq(charges.count, 0);
    ck_assert(take(&rates, "a", false, START + 2 * SECOND + 1000000, &answer, &charges));
    slc_charges_add(&charges, 0, 1000000000000, START + 3 * SECOND);
    charges.count = 0;
    ck_assert(!take(&rates, "a", false, START + 4 * SECOND, &answer, &charges));
    ck_assert_int_eq(answer.refused, SLC_LIMIT_BYTES);
    ck_assert_int_le(answer.retry_after_ms, 86400001); /* a day at most */
    slc_limits_free(limits);
}
END_TEST

START_TEST(what_is_let_through_is_paid_for_afterwards)
{
    const slc_rates rates = {.per_second = {10, 0, 1000}, .burst_s = 1};
    limits = slc_limits_new(64);
    slc_charges charges = {.limits = limits}, dry = {.limits = limits};
    uint64_t key = slc_limits_hash(limits, "limit", "a");
    slc_charges_join(&charges, key, &rates, false);
    slc_charges_join(&dry, key, &rates, true);
    slc_charges_pay(&charges, 9, 1000, 0, START); /* events are not limited */
    ck_assert_int_eq(slc_charges_debt_ms(&charges, START), 0);
    slc_charges_pay(&charges, 11, 0, 0, START); /* 20 of 10 a second */
    ck_assert_int_eq(slc_charges_debt_ms(&charges, START), 1001 - 0);
    ck_assert_int_eq(slc_charges_owed_ms(&charges, START), 0); /* bytes are not owed */
    ck_assert_int_eq(slc_charges_debt_ms(&dry, START), 0);
    ck_assert_int_eq(slc_charges_debt_ms(&charges, START + SECOND + 1), 0);
    slc_charges_pay(&dry, 0, 0, 5000, START + SECOND + 1); /* it counts, whoever waits */
    ck_assert_int_ge(slc_charges_debt_ms(&charges, START + SECOND + 1), 4000);
    for (int i = 0; i < 2 * SLC_MAX_CHARGES; i++)
        slc_charges_join(&charges, key, &rates, false);
    ck_assert_uint_eq(charges.count, SLC_MAX_CHARGES);
    slc_charges_release(&charges); /* which holds nothing */
    slc_limits_free(limits);
}
END_TEST

START_TEST(streams_are_counted_and_given_back)
{
    slc_rates rates = {.per_second = {100}, .streams = 2, .burst_s = 1};
    slc_charges charges[3] = {{.count = 0}};
    slc_limit_answer answer;
    limits = slc_limits_new(64);
    ck_assert(take(&rates, "a", true, START, &answer, &charges[0]));
    ck_assert(take(&rates, "a", true, START, &answer, &charges[1]));
    ck_assert(!take(&rates, "a", true, START + 3600 * SECOND, &answer, &charges[2]));
    ck_assert_int_eq(answer.refused, SLC_LIMIT_STREAMS);
    ck_assert(take(&rates, "a", false, START, &answer, &charges[2])); /* no stream */
    slc_charges_release(&charges[2]);
    slc_charges_release(&charges[0]);
    ck_assert(take(&rates, "a", true, START, &answer, &charges[0]));
    slc_charges_release(&charges[0]);
    slc_charges_release(&charges[1]);
    slc_limits_free(limits);
}
END_TEST

START_TEST(a_refused_request_holds_no_stream)
{
    slc_rates rates = {.per_second = {1}, .streams = 1, .burst_s = 1};
    slc_charges first = {.count = 0}, second = {.count = 0};
    slc_limit_answer answer;
    limits = slc_limits_new(64);
    ck_assert(take(&rates, "a", true, START, &answer, &first));
    slc_charges_release(&first);
    ck_assert(!take(&rates, "a", true, START, &answer, &second));
    ck_assert_int_eq(answer.refused, SLC_LIMIT_REQUESTS);
    ck_assert(take(&rates, "a", true, START + 2 * SECOND, &answer, &second));
    slc_charges_release(&second);
    slc_limits_free(limits);
}
END_TEST

/* A connection holds one place for each limit and subject, however often it asks. */
START_TEST(connections_hold_a_place_each)
{
    const slc_rates two = {.connections = 2, .burst_s = 1};
    char subject[16];
    limits = slc_limits_new(64);
    slc_charges a = {.limits = limits}, b = {.limits = limits}, c = {.limits = limits};
    ck_assert(slc_charges_hold(&a, "limit", "app", &two, START));
    ck_assert(slc_charges_hold(&a, "limit", "app", &two, START));
    ck_assert_uint_eq(a.count, 1);
    ck_assert(slc_charges_hold(&b, "limit", "app", &two, START));
    ck_assert(!slc_charges_hold(&c, "limit", "app", &two, START));
    ck_assert(slc_charges_hold(&c, "limit", "other", &two, START));
    slc_charges_release(&a);
    ck_assert(slc_charges_hold(&c, "limit", "app", &two, START));
    slc_charges_release(&b);
    for (int i = 0; i <= SLC_MAX_CHARGES; i++) { /* the oldest gives way, and its place is free */
        snprintf(subject, sizeof subject, "%d", i);
        ck_assert(slc_charges_hold(&b, "limit", subject, &two, START));
        ck_assert_uint_le(b.count, SLC_MAX_CHARGES);
    }
    ck_assert(slc_charges_hold(&a, "limit", "0", &two, START) &&
              slc_charges_hold(&c, "limit", "0", &two, START));
    slc_charges_release(&a);
    slc_charges_release(&b);
    slc_charges_release(&c);
    slc_limits_free(limits);
}
END_TEST

START_TEST(gateways_share_a_limit)
{
    slc_rates rates = {.per_second = {100, 100}, .streams = 10, .burst_s = 1};
    slc_limit_answer answer;
    uint64_t left;
    int64_t full_ms;
    limits = slc_limits_new(64);
    slc_limits_set_gateways(limits, 4);
    ck_assert_uint_eq(burst(&rates, "a", START, &answer), 25);
    slc_limit_place *place = slc_limits_place(limits, slc_limits_hash(limits, "limit", "b"), START);
    slc_limits_left(limits, place, &rates, SLC_LIMIT_EVENTS, START, &left, &full_ms);
    ck_assert_uint_eq(left, 25);
    slc_limits_left(limits, place, &rates, SLC_LIMIT_STREAMS, START, &left, &full_ms);
    ck_assert_uint_eq(left, 2);
    slc_limits_set_gateways(limits, 1000); /* one a second is still possible when the limit is less */
    rates.per_second[0] = 1;
    ck_assert_uint_eq(burst(&rates, "c", START, &answer), 1);
    slc_limits_set_gateways(limits, 0);
    rates.per_second[0] = 7;
    ck_assert_uint_eq(burst(&rates, "d", START, &answer), 7);
    slc_limits_free(limits);
}
END_TEST

START_TEST(the_largest_rates_and_debts_do_not_overflow)
{
    slc_rates rates = {.per_second = {1000000000000, 1000000000000, 1}, .burst_s = 3600};
    slc_charges charges = {.count = 0};
    slc_limit_answer answer;
    limits = slc_limits_new(64);
    slc_limits_set_gateways(limits, UINT32_MAX);
    ck_assert(take(&rates, "a", false, START, &answer, &charges));
    for (int i = 0; i < 100; i++)
        slc_charges_add(&charges, UINT64_MAX, UINT64_MAX, START);
    ck_assert_int_gt(slc_charges_owed_ms(&charges, START), 0);
    ck_assert_int_le(slc_charges_owed_ms(&charges, START), 86400001);
    slc_limits_free(limits);
}
END_TEST

START_TEST(a_request_has_few_limits)
{
    slc_rates rates = {.per_second = {100}, .burst_s = 1};
    slc_charges charges = {.count = 0};
    slc_limit_answer answer;
    char subject[16];
    limits = slc_limits_new(64);
    for (int i = 0; i < SLC_MAX_CHARGES; i++) {
        snprintf(subject, sizeof subject, "%d", i);
        ck_assert(take(&rates, subject, false, START, &answer, &charges));
    }
    ck_assert(!take(&rates, "more", false, START, &answer, &charges));
    slc_limits_free(limits);
}
END_TEST

/* Places of keys that owe nothing go to others; when all are taken the new ones share, and are not let through.
 */
START_TEST(a_full_table_lets_nobody_exceed_a_limit)
{
    slc_rates rates = {.per_second = {1}, .burst_s = 1};
    slc_limit_answer answer;
    char subject[16];
    unsigned let_through = 0;
    limits = slc_limits_new(64);
    for (int i = 0; i < 1000; i++) {
        snprintf(subject, sizeof subject, "s%d", i);
        let_through += burst(&rates, subject, START, &answer);
    }
    ck_assert_uint_ge(let_through, 32);
    ck_assert_uint_le(let_through, 64);
    ck_assert_uint_eq(burst(&rates, "later", START + 10 * SECOND, &answer), 1);
    slc_limits_free(limits);
}
END_TEST

#define THREADS 4
#define EACH    20000

static void *hammer(void *arg)
{
    slc_rates rates = {.per_second = {EACH}, .streams = 3, .burst_s = 1};
    unsigned *taken = arg;
    for (int i = 0; i < EACH; i++) {
        slc_charges charges = {.limits = limits};
        slc_limit_answer answer;
        slc_limit_place *place = slc_limits_place(limits, slc_limits_hash(limits, "limit", "all"), START);
        *taken += slc_charges_take(&charges, place, &rates, i % 2 == 0, START, &answer);
        slc_charges_release(&charges);
    }
    return NULL;
}

START_TEST(threads_together_get_no_more_than_the_limit)
{
    pthread_t threads[THREADS];
    unsigned taken[THREADS] = {0}, sum = 0;
    slc_rates streams = {.streams = 1, .burst_s = 1};
    slc_charges charges = {.count = 0};
    slc_limit_answer answer;
    limits = slc_limits_new(64);
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, hammer, &taken[i]), 0);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        sum += taken[i];
    }
    ck_assert_uint_eq(sum, EACH);
    ck_assert(take(&streams, "all", true, START, &answer, &charges)); /* all were given back */
    slc_charges_release(&charges);
    slc_limits_free(limits);
}
END_TEST

/* Twice as many a second: half the time. Whoever says so first does it, for all. */
START_TEST(debts_are_paid_at_the_present_rate)
{
    slc_rates slow = {.per_second = {[SLC_LIMIT_EVENTS] = 1}, .burst_s = 1},
              fast = {.per_second = {[SLC_LIMIT_EVENTS] = 100}, .burst_s = 1};
    limits = slc_limits_new(64);
    uint64_t key = slc_limits_hash(limits, "limit", "a"), other = slc_limits_hash(limits, "limit", "b");
    int64_t now = slc_limits_now_ns();
    slc_charges charges = {.limits = limits};
    slc_charges_join(&charges, key, &slow, false);
    slc_charges_pay(&charges, 0, 301, 0, now);
    ck_assert_int_eq(slc_charges_debt_ms(&charges, now), 300001);
    slc_limit_place *place = charges.list[0].place;
    slc_limits_settle(place, other, &fast, now); /* is not its own */
    slc_limits_settle(place, key, &(slc_rates){.burst_s = 1}, now);
    ck_assert_int_eq(slc_charges_debt_ms(&charges, now), 300001);
    for (int i = 0; i < 2; i++) {
        slc_limits_settle(place, key, &fast, now);
        charges.list[0].rates = fast;
        ck_assert_int_eq(slc_charges_debt_ms(&charges, now), 2011); /* 301 events, less a second's worth */
    }
    slc_limits_settle(place, key, &slow, now);
    charges.list[0].rates = slow;
    ck_assert_int_eq((slc_charges_debt_ms(&charges, now) + 500) / 1000, 300);
    slc_charges_pay(&charges, 0, 80000, 0, now);
    fast.per_second[SLC_LIMIT_EVENTS] = 2;
    slow.per_second[SLC_LIMIT_EVENTS] = 1;
    slc_limits_settle(place, key, &fast, now);
    slc_charges_pay(&charges, 0, 1000000, 0, now);
    ck_assert_int_le(slc_charges_debt_ms(&charges, now), 86400000); /* a day, whatever happens */
    slc_charges_release(&charges);
    slc_limits_free(limits);
}
END_TEST

UNIT_MAIN("limits", debts_are_paid_at_the_present_rate, what_is_let_through_is_paid_for_afterwards,
          a_burst_is_followed_by_the_rate, the_wait_is_what_is_needed, what_is_paid_afterwards_makes_debts,
          streams_are_counted_and_given_back, a_refused_request_holds_no_stream, connections_hold_a_place_each,
          gateways_share_a_limit, the_largest_rates_and_debts_do_not_overflow, a_request_has_few_limits,
          a_full_table_lets_nobody_exceed_a_limit, threads_together_get_no_more_than_the_limit)
