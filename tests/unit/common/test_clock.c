#include "common/clock.h"

#include <string.h>

#include "tests/unit/common/unit.h"

static const struct {
    const char *text;
    int64_t ms;
    const char *printed; /* NULL: as `text` */
} good[] = {
    {"1970-01-01T00:00:00.000Z", 0, NULL},
    {"1969-12-31T23:59:59.999Z", -1, NULL},
    {"2026-11-24T20:18:39.123Z", 1795551519123, NULL},
    {"2000-02-29T00:00:00.000Z", 951782400000, NULL},
    {"0000-01-01T00:00:00.000Z", -62167219200000, NULL},
    {"9999-12-31T23:59:59.999Z", 253402300799999, NULL},
    {"2026-11-24t20:18:39z", 1795551519000, "2026-11-24T20:18:39.000Z"},
    {"2026-11-24 20:18:39Z", 1795551519000, "2026-11-24T20:18:39.000Z"},
    {"2026-11-24T20:18:39.1Z", 1795551519100, "2026-11-24T20:18:39.100Z"},
    {"2026-11-24T20:18:39.123999999999Z", 1795551519123, "2026-11-24T20:18:39.123Z"},
    {"2026-11-24T22:48:39+02:30", 1795551519000, "2026-11-24T20:18:39.000Z"},
    {"2026-11-24T17:48:39-02:30", 1795551519000, "2026-11-24T20:18:39.000Z"},
    {"2026-11-24T20:18:39-00:00", 1795551519000, "2026-11-24T20:18:39.000Z"},
    {"2016-12-31T23:59:60Z", 1483228799999, "2016-12-31T23:59:59.999Z"},
    {"2017-01-01T00:59:60+01:00", 1483228799999, "2016-12-31T23:59:59.999Z"},
};

static const char *const bad[] = {
    "",
    "2026",
    "2026-11-24",
    "2026-11-24T20:18:39",
    "2026-11-24T20:18Z",
    "2026-11-24T20:18:39.Z",
    "2026-11-24T20:18:39Zx",
    "2026-11-24T20:18:39+0230",
    "2026-11-24T20:18:39+24:00",
    "2026-11-24T20:18:39+02:60",
    "2026-11-24T24:00:00Z",
    "2026-11-24T20:60:00Z",
    "2026-11-24T20:18:61Z",
    "2026-11-24T20:18:60Z", /* a leap second in the middle of a day */
    "2026-13-01T00:00:00Z",
    "2026-00-01T00:00:00Z",
    "2026-02-29T00:00:00Z",
    "1900-02-29T00:00:00Z",
    "2026-04-31T00:00:00Z",
    "2026-11-00T00:00:00Z",
    "+026-11-24T20:18:39Z",
    "2026-11-24T20:18:39,5Z",
    " 2026-11-24T20:18:39Z",
};

START_TEST(good_times_are_read_and_written)
{
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        int64_t ms;
        char text[SLC_RFC3339_CHARS];
        ck_assert_msg(slc_rfc3339_parse(good[i].text, strlen(good[i].text), &ms), "%s", good[i].text);
        ck_assert_msg(ms == good[i].ms, "%s is %lld", good[i].text, (long long)ms);
        slc_rfc3339_format(ms, text);
        ck_assert_str_eq(text, good[i].printed != NULL ? good[i].printed : good[i].text);
    }
}
END_TEST

START_TEST(bad_times_are_refused)
{
    int64_t ms;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ck_assert_msg(!slc_rfc3339_parse(bad[i], strlen(bad[i]), &ms), "%s", bad[i]);
    ck_assert(!slc_rfc3339_parse("2026-11-24T20:18:39Z", 19, &ms)); /* the length counts, not the NUL */
}
END_TEST

START_TEST(the_calendar_agrees_with_the_system)
{
    /* Every 41st hour over four centuries. */
    for (int64_t ms = -6000000000000; ms < 7000000000000; ms += 41 * 3600 * 1000 + 1) {
        char text[SLC_RFC3339_CHARS];
        int64_t again;
        slc_rfc3339_format(ms, text);
        ck_assert(slc_rfc3339_parse(text, strlen(text), &again));
        ck_assert_int_eq(again, ms);
    }
}
END_TEST

START_TEST(out_of_range_is_clamped)
{
    char text[SLC_RFC3339_CHARS];
    slc_rfc3339_format(INT64_MAX, text);
    ck_assert_str_eq(text, "9999-12-31T23:59:59.999Z");
    slc_rfc3339_format(INT64_MIN, text);
    ck_assert_str_eq(text, "0000-01-01T00:00:00.000Z");
}
END_TEST

START_TEST(jitter_stays_within_its_percentage)
{
    int64_t low = INT64_MAX, high = 0;
    for (int i = 0; i < 20000; i++) {
        int64_t ms = slc_jitter_ms(1000, 20);
        low = ms < low ? ms : low;
        high = ms > high ? ms : high;
    }
    ck_assert_int_ge(low, 800);
    ck_assert_int_le(high, 1200);
    ck_assert_int_lt(low, 820);
    ck_assert_int_gt(high, 1180);
    ck_assert_int_eq(slc_jitter_ms(1000, 0), 1000);
    ck_assert_int_eq(slc_jitter_ms(0, 50), 0);
}
END_TEST

START_TEST(clocks_go_forward)
{
    int64_t before = slc_monotonic_us();
    ck_assert_int_gt(slc_wall_ms(), 1700000000000);
    ck_assert_int_ge(slc_monotonic_us(), before);
    ck_assert_int_ge(slc_monotonic_ms(), before / 1000);
}
END_TEST

UNIT_MAIN("clock", good_times_are_read_and_written, bad_times_are_refused, the_calendar_agrees_with_the_system,
          out_of_range_is_clamped, jitter_stays_within_its_percentage, clocks_go_forward)
