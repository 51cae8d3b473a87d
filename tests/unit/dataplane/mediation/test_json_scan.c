#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/mediation/json_scan.h"

static const char *const good[] = {
    "{}",
    "[]",
    "null",
    "true",
    "false",
    "0",
    "-0",
    "1.5e+10",
    "1E-2",
    "-12.34",
    "\"\"",
    " {\"a\" : [1 , 2 , {\"b\":null}] } \r\n\t",
    "\"\\u0041\\n\\\"\\\\\\/\\b\\f\\r\\t\"",
    "\"\\ud83d\\ude00\"",
    "\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\"",
    "[[[[[]]]]]",
    "{\"a\":1,\"a\":2}",
    "\"\\u0000\"",
    "\"\x7f\"",
};

static const char *const bad[] = {
    "",
    " ",
    "{",
    "}",
    "[",
    "]",
    "[1,]",
    "{,}",
    "{\"a\"}",
    "{\"a\":}",
    "{\"a\":1,}",
    "{a:1}",
    "{1:2}",
    "[1 2]",
    "nul",
    "nullx",
    "True",
    "01",
    "-",
    "1.",
    ".5",
    "1e",
    "1e+",
    "+1",
    "0x10",
    "NaN",
    "Infinity",
    "'a'",
    "\"",
    "\"a",
    "\"\\",
    "\"\\x\"",
    "\"\\u12\"",
    "\"\\u12g4\"",
    "\"\\ud800\"",
    "\"\\ud800\\u0041\"",
    "\"\\udc00\"",
    "\"\n\"",
    "\"\t\"",
    "\"\x01\"",
    "\"\x80\"",
    "\"\xc0\x80\"",
    "\"\xe0\x80\x80\"",
    "\"\xed\xa0\x80\"",
    "\"\xf4\x90\x80\x80\"",
    "\"\xf8\x88\x80\x80\x80\"",
    "\"\xc3\"",
    "{} {}",
    "1 2",
    "[1]]",
    "{\"a\":1]",
    "[1}",
    "// c\n1",
    "\xef\xbb\xbf{}",
    "[,1]",
    "{\"a\" 1}",
    "\"a\" \"b\"",
};

START_TEST(json_is_accepted)
{
    slc_json_info info;
    ck_assert_msg(slc_json_scan(good[_i], strlen(good[_i]), &info), "%s: %s at %zu", good[_i], info.error,
                  info.error_at);
}
END_TEST

START_TEST(what_is_not_json_is_refused_with_a_place)
{
    slc_json_info info;
    ck_assert_msg(!slc_json_scan(bad[_i], strlen(bad[_i]), &info), "%s", bad[_i]);
    ck_assert_ptr_nonnull(info.error);
    ck_assert_uint_le(info.error_at, strlen(bad[_i]));
}
END_TEST

START_TEST(a_nul_is_no_end)
{
    slc_json_info info;
    ck_assert(!slc_json_scan("1\0", 2, &info));
    ck_assert(!slc_json_scan("\"\0\"", 3, &info));
    ck_assert(!slc_json_scan("\"\\\0\"", 4, &info));
}
END_TEST

START_TEST(every_byte_is_judged_wherever_it_stands)
{
    for (int place = 0; place < 21; place++) {
        for (int byte = 0; byte < 256; byte++) {
            slc_json_info info;
            char text[] = "\"aaaaaaaaaaaaaaaaaaaaa\"";
            bool plain = byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\';
            text[1 + place] = (char)byte;
            ck_assert_msg(slc_json_scan(text, 23, &info) == plain, "byte %d at %d", byte, place);
            if (byte < 0x20 || byte >= 0x80)
                ck_assert_uint_eq(info.error_at, (size_t)(1 + place));
            ck_assert_msg(slc_utf8_valid(text, 23) == (byte < 0x80), "byte %d at %d", byte, place);
        }
    }
}
END_TEST

START_TEST(nesting_is_limited)
{
    char text[2 * (SLC_JSON_SCAN_DEPTH + 1)];
    slc_json_info info;
    for (int depth = SLC_JSON_SCAN_DEPTH; depth <= SLC_JSON_SCAN_DEPTH + 1; depth++) {
        memset(text, '[', (size_t)depth);
        memset(text + depth, ']', (size_t)depth);
        ck_assert_int_eq(slc_json_scan(text, (size_t)depth * 2, &info), depth <= SLC_JSON_SCAN_DEPTH);
    }
}
END_TEST

START_TEST(type_and_line_breaks_are_told)
{
    slc_json_info info;
    ck_assert(slc_json_scan("{\"a\":\n1}", 8, &info));
    ck_assert_int_eq(info.type, '{');
    ck_assert(info.line_breaks);
    ck_assert(slc_json_scan("-5", 2, &info));
    ck_assert_int_eq(info.type, '0');
    ck_assert(slc_json_scan("\"a\\n\"", 5, &info));
    ck_assert(!info.line_breaks);
}
END_TEST

static const struct {
    const char *pointer, *value; /* NULL: nothing there */
} places[] = {
    {"", "{ \"a\": {\"b\": [10, \"x\", {\"c\": true}]}, \"\": 1, \"a/b\": 2, \"m~n\": 3, \"\\u00e4\": 4, "
         "\"d\": 5, \"d\" : 6 }"},
    {"/a/b/0", "10"},
    {"/a/b/1", "\"x\""},
    {"/a/b/2/c", "true"},
    {"/a/b", "[10, \"x\", {\"c\": true}]"},
    {"/", "1"},
    {"/a~1b", "2"},
    {"/m~0n", "3"},
    {"/\xc3\xa4", "4"},
    {"/d", "6"},
    {"/a/b/3", NULL},
    {"/a/b/-", NULL},
    {"/a/b/01", NULL},
    {"/x", NULL},
    {"/a/b/0/c", NULL},
    {"a", NULL},
};

START_TEST(pointers_find_values)
{
    const char *text = places[0].value;
    slc_json_slice slice;
    bool found = slc_json_find(text, strlen(text), places[_i].pointer, &slice);
    ck_assert_int_eq(found, places[_i].value != NULL);
    if (found) {
        ck_assert_uint_eq(slice.len, strlen(places[_i].value));
        ck_assert_mem_eq(slice.text, places[_i].value, slice.len);
    }
}
END_TEST

START_TEST(strings_are_unescaped)
{
    const char *text = "\"a\\u00e4\\ud83d\\ude00\\n\\\"\\/\xc3\xa4\\u20ac\"";
    slc_json_slice slice = {text, strlen(text)};
    char out[64];
    size_t len = slc_json_unescape(&slice, out);
    const char *expected = "a\xc3\xa4\xf0\x9f\x98\x80\n\"/\xc3\xa4\xe2\x82\xac";
    ck_assert_uint_eq(len, strlen(expected));
    ck_assert_mem_eq(out, expected, len);
}
END_TEST

START_TEST(elements_come_in_order)
{
    const char *text = "[1, [2,3] ,\"x\"]";
    slc_json_slice array = {text, strlen(text)}, element;
    const char *at = NULL;
    ck_assert(slc_json_next_element(&array, &at, &element) && element.len == 1);
    ck_assert(slc_json_next_element(&array, &at, &element) && element.len == 5);
    ck_assert(slc_json_next_element(&array, &at, &element) && element.len == 3);
    ck_assert(!slc_json_next_element(&array, &at, &element));
    array = (slc_json_slice){"[ ]", 3};
    at = NULL;
    ck_assert(!slc_json_next_element(&array, &at, &element));
}
END_TEST

START_TEST(members_come_in_order)
{
    const char *text = "{\"a\" : [2,3] ,\"\":\"x\"}";
    slc_json_slice object = {text, strlen(text)}, name, value;
    const char *at = NULL;
    ck_assert(slc_json_next_member(&object, &at, &name, &value) && name.len == 3 && value.len == 5);
    ck_assert(slc_json_next_member(&object, &at, &name, &value) && name.len == 2 && value.len == 3);
    ck_assert(!slc_json_next_member(&object, &at, &name, &value));
    object = (slc_json_slice){"{ }", 3};
    at = NULL;
    ck_assert(!slc_json_next_member(&object, &at, &name, &value));
}
END_TEST

#define COUNT(list) ((int)(sizeof(list) / sizeof *(list)))

/* Every kind of byte at every place of a string of every length up to some registers: the scanner takes many at
 * a time, and none of them may hide one that ends the string. */
START_TEST(a_byte_counts_wherever_it_stands)
{
    static const struct {
        char byte;
        bool valid;
    } kinds[] = {{'x', true}, {'"', false},   {'\\', false},   {'\n', false},   {'\x1f', false},
                 {' ', true}, {'\x7f', true}, {'\x80', false}, {'\xff', false}, {'\0', false}};
    for (size_t len = 1; len <= 70; len++) {
        for (size_t at = 0; at < len; at++) {
            for (size_t kind = 0; kind < sizeof kinds / sizeof *kinds; kind++) {
                slc_json_info info;
                char *text = malloc(len + 2); /* exactly: a look beyond it is found */
                memset(text, 'a', len + 2);
                text[0] = text[len + 1] = '"';
                text[at + 1] = kinds[kind].byte;
                bool valid = slc_json_scan(text, len + 2, &info);
                ck_assert_msg(valid == kinds[kind].valid, "%02x at %zu of %zu", kinds[kind].byte & 0xff, at,
                              len);
                free(text);
            }
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("json_scan");
    TCase *tcase = tcase_create("json_scan");
    suite_add_tcase(suite, tcase);
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, json_is_accepted, 0, COUNT(good));
    tcase_add_loop_test(tcase, what_is_not_json_is_refused_with_a_place, 0, COUNT(bad));
    tcase_add_test(tcase, a_nul_is_no_end);
    tcase_add_test(tcase, a_byte_counts_wherever_it_stands);
    tcase_add_test(tcase, every_byte_is_judged_wherever_it_stands);
    tcase_add_test(tcase, nesting_is_limited);
    tcase_add_test(tcase, type_and_line_breaks_are_told);
    tcase_add_loop_test(tcase, pointers_find_values, 0, COUNT(places));
    tcase_add_test(tcase, strings_are_unescaped);
    tcase_add_test(tcase, elements_come_in_order);
    tcase_add_test(tcase, members_come_in_order);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
