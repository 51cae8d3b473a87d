/* repeats: the first time is told, the next ones are counted, and nothing grows without a limit. */
#include <check.h>
#include <string.h>

#include "common/alloc.h"
#include "dataplane/observe/repeats.h"
#include "tests/unit/common/unit.h"

#define INTERVAL 1000

static unsigned told_times;
static uint64_t told_count;
static unsigned gone_times;

static void told(const slc_repeat *repeat)
{
    ck_assert_str_eq(repeat->about, "about");
    told_times++;
    told_count += repeat->count;
}

static void gone(void *about)
{
    gone_times++;
    free(about);
}

static bool happens(slc_repeats *repeats, uint64_t key, int64_t now)
{
    slc_repeat *repeat;
    bool first = slc_repeats_first(repeats, key, now, &repeat);
    ck_assert_int_eq(first, repeat != NULL);
    if (first)
        repeat->about = slc_strdup("about");
    return first;
}

START_TEST(repeated_things_are_counted_and_told_once_in_an_interval)
{
    slc_repeats repeats;
    slc_repeats_init(&repeats);
    ck_assert(happens(&repeats, 1, 0));
    ck_assert(!happens(&repeats, 1, 1));
    ck_assert(!happens(&repeats, 1, 2));
    ck_assert(happens(&repeats, 2, 500));
    ck_assert_uint_eq(slc_repeats_expire(&repeats, INTERVAL - 1, INTERVAL, told, gone), 0);
    ck_assert_uint_eq(told_times + gone_times, 0);
    slc_repeats_expire(&repeats, INTERVAL, INTERVAL, told, gone);
    ck_assert_uint_eq(told_times, 1);
    ck_assert_uint_eq(told_count, 2);
    ck_assert(!happens(&repeats, 1, INTERVAL + 1)); /* still known: it goes on for ever */
    slc_repeats_expire(&repeats, 1500, INTERVAL, told, gone);
    ck_assert_uint_eq(gone_times, 1); /* the second one was quiet */
    ck_assert(happens(&repeats, 2, 1501));
    slc_repeats_release(&repeats, gone);
    ck_assert_uint_eq(gone_times, 3);
}
END_TEST

START_TEST(without_an_interval_everything_counted_is_told)
{
    slc_repeats repeats;
    slc_repeats_init(&repeats);
    happens(&repeats, 1, 0);
    happens(&repeats, 1, 0);
    slc_repeats_expire(&repeats, 0, 0, told, gone);
    ck_assert_uint_eq(told_count, 1);
    slc_repeats_release(&repeats, gone);
}
END_TEST

START_TEST(what_finds_no_place_is_counted_together)
{
    slc_repeats repeats;
    slc_repeats_init(&repeats);
    for (uint64_t key = 0; key < SLC_REPEATS_MAX; key++)
        ck_assert(happens(&repeats, key, 0));
    ck_assert(!happens(&repeats, 100000, 10));
    ck_assert(!happens(&repeats, 100001, 20));
    ck_assert(!happens(&repeats, 3, 20));
    ck_assert_uint_eq(repeats.others, 2);
    ck_assert_uint_eq(slc_repeats_expire(&repeats, INTERVAL + 5, INTERVAL, told, gone), 0);
    ck_assert_uint_eq(slc_repeats_expire(&repeats, INTERVAL + 10, INTERVAL, told, gone), 2);
    ck_assert_uint_eq(slc_repeats_expire(&repeats, INTERVAL + 10, INTERVAL, told, gone), 0);
    ck_assert_uint_eq(repeats.size, 1); /* the one that was counted */
    slc_repeats_release(&repeats, gone);
}
END_TEST

START_TEST(keys_tell_where_texts_end)
{
    uint64_t a = slc_repeats_key(slc_repeats_key(SLC_REPEATS_KEY, "ab"), "c");
    uint64_t b = slc_repeats_key(slc_repeats_key(SLC_REPEATS_KEY, "a"), "bc");
    ck_assert(a != b);
}
END_TEST

UNIT_MAIN("dataplane/proxy/repeats", repeated_things_are_counted_and_told_once_in_an_interval,
          without_an_interval_everything_counted_is_told, what_finds_no_place_is_counted_together,
          keys_tell_where_texts_end)
