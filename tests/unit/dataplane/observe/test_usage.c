/* Tables of usage and the book that is told from: nothing is lost, whatever is merged, told twice or cut off.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/metrics.h"
#include "dataplane/observe/usage_book.h"

static slc_usage_table table;
static slc_usage_book book;

static void setup(void)
{
    static bool registered;
    if (!registered)
        slc_usage_register_metrics();
    registered = true;
    slc_usage_init(&table, 100);
    slc_usage_book_init(&book, 1000);
}

static void teardown(void)
{
    slc_usage_release(&table);
    slc_usage_book_release(&book);
}

/* Of an hour that the process's clock need not be at. */
static void count(uint32_t hour, const char *application, uint64_t events)
{
    slc_usage_key key;
    slc_usage_key_make(&key, SLC_USAGE_PUBLISH, application, "api", "");
    key.hour = hour;
    slc_usage_add(&table, &key, &(slc_usage_sum){.requests = 1, .events = events, .bytes = 10 * events});
}

static void collect(uint32_t hour)
{
    slc_usage_book_add(&book, &table);
    slc_usage_release(&table);
    slc_usage_book_settle(&book, hour);
}

static uint64_t sum_of(const slc_usage_table *of)
{
    uint64_t events = 0;
    for (size_t i = 0; i < of->slot_count; i++)
        events += of->slots[i] != NULL ? of->slots[i]->sum.events : 0;
    return events;
}

/* ---- tables ---- */

START_TEST(same_combination_is_one_row)
{
    count(1, "a", 2);
    count(1, "a", 3);
    count(1, "b", 5);
    count(2, "a", 7);
    ck_assert_uint_eq(table.count, 3);
    ck_assert_uint_eq(sum_of(&table), 17);
}
END_TEST

START_TEST(what_is_too_much_is_counted_together)
{
    char name[16];
    const char *none[] = {NULL};
    int64_t before = slc_series_value(slc_metrics_series("sluice_usage_merged_total", none));
    for (unsigned i = 0; i < 150; i++) {
        snprintf(name, sizeof name, "app%u", i);
        count(1, name, 1);
    }
    ck_assert_uint_eq(table.count, 101);
    ck_assert_uint_eq(sum_of(&table), 150);
    const slc_usage_key others = {.hour = 1, .operation = SLC_USAGE_PUBLISH};
    ck_assert_uint_eq(slc_usage_row_of(&table, &others)->sum.events, 50);
    ck_assert_int_eq(slc_series_value(slc_metrics_series("sluice_usage_merged_total", none)) - before, 50);
    count(1, "app7", 1); /* is still told apart */
    ck_assert_uint_eq(slc_usage_row_of(&table, &others)->sum.events, 50);
}
END_TEST

START_TEST(the_hour_never_goes_back)
{
    slc_usage_set_hour(500000 * SLC_USAGE_HOUR_MS);
    ck_assert_uint_eq(slc_usage_hour(), 500000);
    slc_usage_set_hour(499999 * SLC_USAGE_HOUR_MS);
    ck_assert_uint_eq(slc_usage_hour(), 500000);
    slc_usage_set_hour(-1);
    ck_assert_uint_eq(slc_usage_hour(), 500000);
}
END_TEST

/* ---- the book ---- */

static const slc_usage_row *rows[SLC_USAGE_PART_MAX];
static uint32_t oldest;

START_TEST(only_what_has_grown_is_told_and_one_part_at_a_time)
{
    count(1, "a", 2);
    count(1, "b", 3);
    collect(1);
    ck_assert_uint_eq(slc_usage_book_next(&book, rows, &oldest), 2);
    ck_assert_uint_eq(slc_usage_book_next(&book, rows, &oldest), 0);
    ck_assert(!slc_usage_book_acknowledged(&book, book.sequence + 1));
    ck_assert(slc_usage_book_acknowledged(&book, book.sequence));
    ck_assert(slc_usage_book_is_told(&book));
    count(1, "a", 4);
    collect(1);
    ck_assert_uint_eq(slc_usage_book_next(&book, rows, &oldest), 1);
    ck_assert_uint_eq(rows[0]->sum.events, 6); /* sums, not differences */
}
END_TEST

START_TEST(what_grows_while_it_is_told_is_told_again)
{
    count(1, "a", 2);
    collect(1);
    ck_assert_uint_eq(slc_usage_book_next(&book, rows, &oldest), 1);
    count(1, "a", 1);
    collect(1);
    ck_assert(slc_usage_book_acknowledged(&book, book.sequence));
    ck_assert(!slc_usage_book_is_told(&book));
    ck_assert_uint_eq(slc_usage_book_next(&book, rows, &oldest), 1);
    ck_assert_uint_eq(rows[0]->sum.events, 3);
}
END_TEST

START_TEST(what_was_cut_off_is_told_again)
{
    uint64_t before;
    count(1, "a", 2);
    collect(1);
    ck_assert_uint_eq(slc_usage_book_next(&book, rows, &oldest), 1);
    before = book.sequence;
    slc_usage_book_again(&book);
    ck_assert_uint_eq(slc_usage_book_next(&book, rows, &oldest), 1);
    ck_assert(!slc_usage_book_acknowledged(&book, before)); /* a late word of the part that was cut off */
    ck_assert(slc_usage_book_acknowledged(&book, book.sequence));
}
END_TEST

START_TEST(an_hour_is_kept_until_it_is_over_and_stored)
{
    count(1, "a", 2);
    collect(1);
    ck_assert_uint_eq(slc_usage_book_next(&book, rows, &oldest), 1);
    ck_assert_uint_eq(oldest, 1);
    ck_assert(slc_usage_book_acknowledged(&book, book.sequence));
    ck_assert_uint_eq(book.rows.count, 1); /* it may grow */
    count(1, "a", 1);
    count(2, "a", 1);
    collect(2);
    ck_assert_uint_eq(book.rows.count, 2);
    ck_assert_uint_eq(slc_usage_book_next(&book, rows, &oldest), 2);
    ck_assert_uint_eq(oldest, 1);
    ck_assert(slc_usage_book_acknowledged(&book, book.sequence));
    ck_assert_uint_eq(book.rows.count, 1);
    count(2, "a", 1);
    collect(2);
    ck_assert_uint_eq(slc_usage_book_next(&book, rows, &oldest), 1);
    ck_assert_uint_eq(oldest, 2);
}
END_TEST

START_TEST(much_is_told_in_parts)
{
    char name[16];
    size_t told = 0, count_of_parts = 0, n;
    table.max = 2000;
    book.rows.max = 2000;
    for (unsigned i = 0; i < 1201; i++) {
        snprintf(name, sizeof name, "app%u", i);
        count(1, name, 1);
    }
    collect(1);
    while ((n = slc_usage_book_next(&book, rows, &oldest)) > 0) {
        told += n;
        count_of_parts++;
        ck_assert(slc_usage_book_acknowledged(&book, book.sequence));
    }
    ck_assert_uint_eq(told, 1201);
    ck_assert_uint_eq(count_of_parts, 3);
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("usage");
    TCase *tc = tcase_create("usage");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, same_combination_is_one_row);
    tcase_add_test(tc, what_is_too_much_is_counted_together);
    tcase_add_test(tc, the_hour_never_goes_back);
    tcase_add_test(tc, only_what_has_grown_is_told_and_one_part_at_a_time);
    tcase_add_test(tc, what_grows_while_it_is_told_is_told_again);
    tcase_add_test(tc, what_was_cut_off_is_told_again);
    tcase_add_test(tc, an_hour_is_kept_until_it_is_over_and_stored);
    tcase_add_test(tc, much_is_told_in_parts);
    suite_add_tcase(suite, tc);
    return suite;
}

int main(void)
{
    SRunner *runner = srunner_create(suite());
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
