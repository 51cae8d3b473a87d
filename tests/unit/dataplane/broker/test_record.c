#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/broker/record.h"

START_TEST(everything_is_copied_in_order)
{
    const slc_record_header headers[] = {
        {"a", 1, 1, (const uint8_t *)"1"}, {"a", 1, 0, NULL}, {"b", 1, 0, (const uint8_t *)""}};
    const slc_record parts = {.partition = 3,
                              .offset = 9,
                              .timestamp_ms = 77,
                              .leader_epoch = 2,
                              .key = (const uint8_t *)"k\0k",
                              .key_len = 3,
                              .value = (const uint8_t *)"value",
                              .value_len = 5,
                              .headers = headers,
                              .header_count = 3};
    slc_record *record = slc_record_new(&parts);
    ck_assert_int_eq(record->partition, 3);
    ck_assert_int_eq(record->offset, 9);
    ck_assert_mem_eq(record->key, "k\0k", 3);
    ck_assert_ptr_ne(record->key, parts.key);
    ck_assert_mem_eq(record->value, "value", 5);
    ck_assert_uint_eq(record->header_count, 3);
    ck_assert_mem_eq(record->headers[0].value, "1", 1);
    ck_assert_ptr_null(record->headers[1].value);
    ck_assert_ptr_nonnull(record->headers[2].value);
    ck_assert_uint_gt(record->size_bytes, sizeof *record + 8);
    slc_record_unref(record);
}
END_TEST

START_TEST(absent_and_empty_stay_different)
{
    const slc_record tombstone = {.key = (const uint8_t *)"", .key_len = 0};
    slc_record *record = slc_record_new(&tombstone);
    ck_assert_ptr_null(record->value);
    ck_assert_ptr_nonnull(record->key);
    slc_record_unref(slc_record_ref(record));
    slc_record_unref(record);
    slc_record_unref(NULL);
}
END_TEST

START_TEST(records_that_arrive_together_live_and_die_alone)
{
    enum { COUNT = 1000 };
    static slc_record *records[COUNT];
    static uint8_t large[8192];
    slc_record_builder builder = {0};
    for (int i = 0; i < COUNT; i++) {
        char value[128];
        size_t len = (size_t)snprintf(value, sizeof value, "value %d %.*s", i, i % 64, (const char *)large);
        slc_record parts = {.offset = i, .value = (const uint8_t *)value, .value_len = (uint32_t)len};
        if (i % 100 == 50)
            parts = (slc_record){.offset = i, .value = large, .value_len = sizeof large};
        records[i] = slc_record_build(&builder, &parts);
        ck_assert_uint_eq((uintptr_t)records[i] % 16, 0);
    }
    for (int i = 0; i < COUNT; i += 2)
        slc_record_unref(records[i]);
    slc_record_builder_release(&builder);
    slc_record_builder_release(&builder); /* holds nothing any more */
    for (int i = 1; i < COUNT; i += 2) {
        char value[32];
        ck_assert_int_eq(records[i]->offset, i);
        snprintf(value, sizeof value, "value %d ", i);
        ck_assert_mem_eq(records[i]->value, value, strlen(value));
        slc_record_unref(records[i]);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("record");
    TCase *tcase = tcase_create("record");
    suite_add_tcase(suite, tcase);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, everything_is_copied_in_order);
    tcase_add_test(tcase, absent_and_empty_stay_different);
    tcase_add_test(tcase, records_that_arrive_together_live_and_die_alone);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
