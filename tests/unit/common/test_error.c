#include "common/error.h"

#include <string.h>

#include "tests/unit/common/unit.h"

START_TEST(fail_fills_and_returns_false)
{
    slc_error err;
    ck_assert(!slc_fail(&err, SLC_CONFLICT, "/name", "%s exists", "orders"));
    ck_assert_int_eq(err.code, SLC_CONFLICT);
    ck_assert_str_eq(err.message, "orders exists");
    ck_assert_str_eq(err.field, "/name");
    ck_assert(!slc_fail(NULL, SLC_IO, NULL, "nobody listens"));
}
END_TEST

START_TEST(a_long_message_is_not_cut_inside_a_sequence)
{
    static const char *const sequences[] = {"\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x98\x80"};
    for (size_t s = 0; s < 3; s++) {
        for (size_t before = 370; before < 400; before++) {
            char text[512] = "";
            memset(text, 'a', before);
            text[before] = '\0';
            strcat(text, sequences[s]);
            strcat(text, "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz");
            slc_error err;
            slc_fail(&err, SLC_IO, NULL, "%s", text);
            size_t len = strlen(err.message);
            ck_assert_uint_lt(len, sizeof err.message);
            ck_assert_uint_ge(len, sizeof err.message - 1 - 3);
            ck_assert(memcmp(err.message, text, len) == 0);
            /* The next byte of the text starts a character. */
            ck_assert_uint_ne((unsigned char)text[len] & 0xC0, 0x80);
        }
    }
}
END_TEST

START_TEST(an_error_may_be_built_from_its_own_parts)
{
    slc_error err;
    slc_fail(&err, SLC_IO, "/a", "disk");
    slc_fail(&err, SLC_UNAVAILABLE, err.field, "no %s", err.message);
    ck_assert_str_eq(err.message, "no disk");
    ck_assert_str_eq(err.field, "/a");
}
END_TEST

START_TEST(a_message_is_always_utf8)
{
    slc_error err;
    slc_fail(&err, SLC_IO, "\xFF", "%.2s|%s", "\xE2\x82\xAC", "a\x80z");
    ck_assert_str_eq(err.message, "\?\?|a\?z");
    ck_assert_str_eq(err.field, "\?");
}
END_TEST

START_TEST(context_goes_in_front)
{
    slc_error err;
    slc_fail(&err, SLC_IO, "/a", "disk");
    ck_assert(!slc_fail_context(&err, "reading %d", 7));
    ck_assert_str_eq(err.message, "reading 7: disk");
    ck_assert_int_eq(err.code, SLC_IO);
    ck_assert_str_eq(err.field, "/a");
    char text[600];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    slc_fail_context(&err, "%s", text);
    ck_assert_uint_eq(strlen(err.message), sizeof err.message - 1);
}
END_TEST

START_TEST(every_code_has_a_name_of_its_own)
{
    for (int a = SLC_OK; a <= SLC_INTERNAL; a++) {
        ck_assert_ptr_nonnull(slc_code_name((enum slc_code)a));
        for (int b = SLC_OK; b < a; b++)
            ck_assert_str_ne(slc_code_name((enum slc_code)a), slc_code_name((enum slc_code)b));
    }
    ck_assert_str_eq(slc_code_name((enum slc_code)9999), "internal");
}
END_TEST

UNIT_MAIN("error", fail_fills_and_returns_false, a_long_message_is_not_cut_inside_a_sequence,
          an_error_may_be_built_from_its_own_parts, a_message_is_always_utf8, context_goes_in_front,
          every_code_has_a_name_of_its_own)
