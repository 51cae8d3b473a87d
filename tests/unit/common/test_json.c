#include "common/json.h"

#include <string.h>

#include "common/alloc.h"
#include "tests/unit/common/unit.h"

static void refuse(const char *text, const char *message_part)
{
    slc_error err;
    ck_assert_msg(slc_json_parse(text, strlen(text), 1000, &err) == NULL, "%s", text);
    ck_assert_int_eq(err.code, SLC_INVALID);
    ck_assert_msg(strstr(err.message, message_part) != NULL, "%s: %s", text, err.message);
}

START_TEST(bad_texts_are_refused_with_their_place)
{
    refuse("{\"a\":1,\"a\":2}", "duplicate");
    refuse("{\"a\":1,\n  x}", "line 2 column 3");
    refuse("\"\\u0000\"", "line 1");
    refuse("{\"\\u0000\":1}", "line 1");
    refuse("[1] x", "line 1 column 5");
    refuse("\"\xFF\"", "line 1 column 1");
    refuse("\"\xED\xA0\x80\"", "line 1");
    refuse("", "line 1");
    refuse("[1e999]", "line 1");
    refuse("[12345678901234567890123]", "line 1");
    refuse("[01]", "line 1");
    refuse("[NaN]", "line 1");
    refuse("{'a':1}", "line 1");
    slc_error err;
    ck_assert_ptr_null(slc_json_parse("1\0", 2, 10, &err));
}
END_TEST

START_TEST(any_value_may_stand_at_the_top)
{
    static const char *const texts[] = {"1", "-0.5", "\"x\"", "true", "null", "[]", "{}", " [ 1 ] "};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        slc_error err;
        json_t *value = slc_json_parse(texts[i], strlen(texts[i]), 1000, &err);
        ck_assert_msg(value != NULL, "%s", err.message);
        json_decref(value);
    }
}
END_TEST

START_TEST(size_and_depth_have_limits)
{
    slc_error err;
    ck_assert_ptr_null(slc_json_parse("[1,2]", 5, 4, &err));
    ck_assert_int_eq(err.code, SLC_TOO_LARGE);
    char text[2 * (SLC_JSON_MAX_DEPTH + 1) + 1];
    for (size_t depth = SLC_JSON_MAX_DEPTH; depth <= SLC_JSON_MAX_DEPTH + 1; depth++) {
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        json_t *value = slc_json_parse(text, 2 * depth, sizeof text, &err);
        ck_assert(depth <= SLC_JSON_MAX_DEPTH ? value != NULL : value == NULL);
        json_decref(value);
    }
    ck_assert_int_eq(err.code, SLC_INVALID);
}
END_TEST

START_TEST(printing_keeps_the_order_and_canonical_sorts)
{
    slc_error err;
    size_t len;
    const char *text = "{\"b\":[1,{\"d\":2,\"c\":3}],\"a\":\"\xC3\xA9\"}";
    json_t *value = slc_json_parse(text, strlen(text), 1000, &err);
    char *printed = slc_json_print(value, &len);
    ck_assert_str_eq(printed, text);
    ck_assert_uint_eq(len, strlen(text));
    free(printed);
    printed = slc_json_canonical(value, NULL);
    ck_assert_str_eq(printed, "{\"a\":\"\xC3\xA9\",\"b\":[1,{\"c\":3,\"d\":2}]}");
    free(printed);
    json_decref(value);
    printed = slc_json_print(json_null(), NULL);
    ck_assert_str_eq(printed, "null");
    free(printed);
}
END_TEST

START_TEST(reals_come_back_as_they_were_written)
{
    static const char *const texts[] = {"0.1",           "-1.5", "1.0", "1e300", "0.30000000000000004",
                                        "123456789.125", "-0.0"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        slc_error err;
        json_t *value = slc_json_parse(texts[i], strlen(texts[i]), 100, &err);
        char *printed = slc_json_print(value, NULL);
        ck_assert_double_eq(strtod(printed, NULL), strtod(texts[i], NULL));
        ck_assert_str_eq(printed, i == 3 ? "1e+300" : texts[i]);
        free(printed);
        json_decref(value);
    }
}
END_TEST

START_TEST(pointers_are_escaped)
{
    char pointer[64] = "";
    slc_json_pointer_push(pointer, sizeof pointer, "a/b~c");
    slc_json_pointer_push_index(pointer, sizeof pointer, 12);
    slc_json_pointer_push(pointer, sizeof pointer, "");
    ck_assert_str_eq(pointer, "/a~1b~0c/12/");
    slc_json_pointer_pop(pointer);
    slc_json_pointer_pop(pointer);
    ck_assert_str_eq(pointer, "/a~1b~0c");
    slc_json_pointer_pop(pointer);
    ck_assert_str_eq(pointer, "");
    slc_json_pointer_pop(pointer);
    ck_assert_str_eq(pointer, "");
}
END_TEST

START_TEST(a_pointer_that_does_not_fit_is_cut_between_characters)
{
    for (size_t size = 1; size < 16; size++) {
        char *pointer = slc_calloc(1, size);
        slc_json_pointer_push(pointer, size, "a~\xE2\x82\xAC/b");
        ck_assert_uint_lt(strlen(pointer), size);
        ck_assert(strncmp("/a~0\xE2\x82\xAC~1b", pointer, strlen(pointer)) == 0);
        json_t *text = json_string(pointer);
        ck_assert_ptr_nonnull(text);
        size_t len = strlen(pointer);
        ck_assert(len == 0 || pointer[len - 1] != '~');
        json_decref(text);
        free(pointer);
    }
}
END_TEST

UNIT_MAIN("json", bad_texts_are_refused_with_their_place, any_value_may_stand_at_the_top,
          size_and_depth_have_limits, printing_keeps_the_order_and_canonical_sorts,
          reals_come_back_as_they_were_written, pointers_are_escaped,
          a_pointer_that_does_not_fit_is_cut_between_characters)
