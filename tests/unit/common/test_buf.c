#include "common/buf.h"
#include <stdio.h>

#include <string.h>

#include "tests/unit/common/unit.h"

START_TEST(grows_and_stays_terminated)
{
    slc_buf buf;
    slc_buf_init(&buf, 100000);
    for (int i = 0; i < 10000; i++) {
        ck_assert(slc_buf_addf(&buf, "%d,", i % 10));
        ck_assert_uint_eq(buf.data[buf.len], 0);
    }
    ck_assert_uint_eq(buf.len, 20000);
    ck_assert_uint_eq(strlen((char *)buf.data), 20000);
    slc_buf_release(&buf);
}
END_TEST

START_TEST(the_limit_holds_and_is_remembered)
{
    slc_buf buf;
    slc_buf_init(&buf, 5);
    ck_assert(slc_buf_adds(&buf, "12345"));
    ck_assert(!buf.overflow);
    ck_assert(!slc_buf_addc(&buf, '6'));
    ck_assert(buf.overflow);
    ck_assert(!slc_buf_addf(&buf, "%d", 6));
    ck_assert_ptr_null(slc_buf_extend(&buf, SIZE_MAX));
    ck_assert_str_eq((char *)buf.data, "12345");
    ck_assert(slc_buf_add(&buf, NULL, 0));
    slc_buf_clear(&buf);
    ck_assert(!buf.overflow);
    ck_assert_str_eq((char *)buf.data, "");
    slc_buf_release(&buf);
    slc_buf_init(&buf, 0);
    ck_assert(!slc_buf_addc(&buf, 'x'));
    slc_buf_release(&buf);
}
END_TEST

static void check_json(const char *in, size_t len, const char *want)
{
    slc_buf buf;
    slc_buf_init(&buf, 1000);
    ck_assert(slc_buf_add_json_string(&buf, in, len));
    ck_assert_str_eq(buf.len > 0 ? (char *)buf.data : "", want);
    slc_buf_release(&buf);
}

START_TEST(reserved_room_does_not_move_and_a_limit_stays_one)
{
    slc_buf buf;
    slc_buf_init(&buf, 100);
    ck_assert(slc_buf_adds(&buf, "ab"));
    slc_buf_reserve(&buf, 90);
    const uint8_t *data = buf.data;
    ck_assert_str_eq((const char *)buf.data, "ab");
    for (int i = 0; i < 90; i++)
        ck_assert(slc_buf_addc(&buf, 'c'));
    ck_assert_ptr_eq(buf.data, data);
    slc_buf_reserve(&buf, 9);
    ck_assert(!buf.overflow);
    ck_assert(!slc_buf_adds(&buf, "123456789"));
    slc_buf_release(&buf);
    slc_buf_reserve(&buf, SIZE_MAX);
    ck_assert_ptr_null(buf.data);
    slc_buf_reserve(&buf, 100);
    ck_assert_str_eq((const char *)buf.data, "");
    slc_buf_release(&buf);
}
END_TEST

START_TEST(json_strings_are_escaped)
{
    check_json("", 0, "");
    check_json("a\"b\\c/", 6, "a\\\"b\\\\c/");
    check_json("\b\f\n\r\t", 5, "\\b\\f\\n\\r\\t");
    check_json("\0\x1f\x7f", 3, "\\u0000\\u001f\\u007f");
    check_json("\xC3\xA9\xF0\x9F\x98\x80", 6, "\xC3\xA9\xF0\x9F\x98\x80");
}
END_TEST

START_TEST(what_is_not_utf8_is_replaced)
{
#define R "\xEF\xBF\xBD"
    check_json("a\xFFz", 3, "a" R "z");
    check_json("\xC0\xAF", 2, R R);             /* overlong */
    check_json("\xED\xA0\x80", 3, R R R);       /* surrogate */
    check_json("\xF4\x90\x80\x80", 4, R R R R); /* past U+10FFFF */
    check_json("\xE2\x82", 2, R R);             /* cut */
    check_json("\x80", 1, R);
}
END_TEST

START_TEST(a_json_string_that_does_not_fit_is_not_added_at_all)
{
    slc_buf buf;
    slc_buf_init(&buf, 10);
    slc_buf_adds(&buf, "12345");
    ck_assert(!slc_buf_add_json_string(&buf, "ab\ncd", 5));
    ck_assert(buf.overflow);
    ck_assert_str_eq((char *)buf.data, "12345");
    slc_buf_release(&buf);
}
END_TEST

START_TEST(base64_and_steal)
{
    slc_buf buf;
    size_t len = 99;
    slc_buf_init(&buf, 12);
    ck_assert(slc_buf_add_base64(&buf, "hello", 5));
    ck_assert(!slc_buf_add_base64(&buf, "hello", 5));
    char *text = slc_buf_steal(&buf, &len);
    ck_assert_str_eq(text, "aGVsbG8=");
    ck_assert_uint_eq(len, 8);
    ck_assert_ptr_null(buf.data);
    free(text);
    text = slc_buf_steal(&buf, &len);
    ck_assert_str_eq(text, "");
    ck_assert_uint_eq(len, 0);
    free(text);
}
END_TEST

START_TEST(integers_are_written_in_decimal)
{
    static const int64_t values[] = {0, 7, -7, 10, 1234567890123, INT64_MAX, INT64_MIN};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        char expected[32];
        slc_buf buf;
        slc_buf_init(&buf, 20);
        ck_assert(slc_buf_add_int(&buf, values[i]));
        snprintf(expected, sizeof expected, "%lld", (long long)values[i]);
        ck_assert_str_eq((char *)buf.data, expected);
        slc_buf_release(&buf);
    }
}
END_TEST

UNIT_MAIN("buf", integers_are_written_in_decimal, grows_and_stays_terminated, the_limit_holds_and_is_remembered,
          reserved_room_does_not_move_and_a_limit_stays_one, json_strings_are_escaped,
          what_is_not_utf8_is_replaced, a_json_string_that_does_not_fit_is_not_added_at_all, base64_and_steal)
