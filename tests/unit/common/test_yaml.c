#include <string.h>

#include "common/alloc.h"
#include "common/json.h"
#include "tests/unit/common/unit.h"

static void expect(const char *yaml, const char *json)
{
    slc_error err;
    json_t *value = slc_yaml_parse(yaml, strlen(yaml), 100000, &err);
    ck_assert_msg(value != NULL, "%s: %s", yaml, err.message);
    char *text = slc_json_print(value, NULL);
    ck_assert_str_eq(text, json);
    free(text);
    json_decref(value);
}

static void refuse(const char *yaml, const char *message_part)
{
    slc_error err;
    ck_assert_msg(slc_yaml_parse(yaml, strlen(yaml), 100000, &err) == NULL, "%s", yaml);
    ck_assert_int_eq(err.code, SLC_INVALID);
    ck_assert_msg(strstr(err.message, message_part) != NULL, "%s: %s", yaml, err.message);
}

START_TEST(scalars_follow_the_core_schema)
{
    expect("[true, True, FALSE, null, ~, Null]", "[true,true,false,null,null,null]");
    expect("[yes, no, on, off, y, n, tRUE, nULL]",
           "[\"yes\",\"no\",\"on\",\"off\",\"y\",\"n\",\"tRUE\",\"nULL\"]");
    expect("[1, -7, +3, 0x1F, 0o17, 0123, -0x1]", "[1,-7,3,31,15,123,\"-0x1\"]");
    expect("[1.5, .5, 1., 1e3, -1.25E-2, 1_000, 0b1, 1.2.3, 0x, ., -]",
           "[1.5,0.5,1.0,1000.0,-0.0125,\"1_000\",\"0b1\",\"1.2.3\",\"0x\",\".\",\"-\"]");
    expect("[\"1\", 'true', !!str 1, ! 2, !!int 3, !!float 4, !!null '', !!bool \"true\"]",
           "[\"1\",\"true\",\"1\",\"2\",3,4,null,true]");
    expect("2026-11-24", "\"2026-11-24\"");
    expect("12:30", "\"12:30\"");
    expect("9223372036854775807", "9223372036854775807");
    expect("-9223372036854775808", "-9223372036854775808");
}
END_TEST

START_TEST(collections_and_block_texts)
{
    expect("a:\n  b: [1, {c: d}]\n  1: x\n  true: y\ne: |\n  two\n  lines\nf: >-\n  one\n  line\n",
           "{\"a\":{\"b\":[1,{\"c\":\"d\"}],\"1\":\"x\",\"true\":\"y\"},\"e\":\"two\\nlines\\n\",\"f\":\"one "
           "line\"}");
    expect("", "null");
    expect("# only a comment\n", "null");
    expect("---\n", "null");
    expect("--- {}\n...\n", "{}");
    expect("a:\nb: \n", "{\"a\":null,\"b\":null}");
    expect("\xEF\xBB\xBF"
           "a: \xC3\xA9\n",
           "{\"a\":\"\xC3\xA9\"}");
    expect("'<<': 1", "{\"<<\":1}");
}
END_TEST

START_TEST(what_could_surprise_is_refused_with_its_place)
{
    refuse("a: 1\nb:\n  c: &x 1\n", "line 3 column 6: anchors");
    refuse("a: *x\n", "line 1 column 4: aliases");
    refuse("*x : 1\n", "line 1 column 1: aliases");
    refuse("a: &x [1]\n", "anchors");
    refuse("&x a: 1\n", "anchors");
    refuse("a: 1\nb: 2\na: 3\n", "line 3 column 1: key \"a\" is given twice");
    refuse("a: {x: 1, \"x\": 2}\n", "line 1 column 11");
    refuse("a: 1\n---\nb: 2\n", "line 2 column 1: more than one document");
    refuse("<<: {a: 1}\n", "merge keys");
    refuse("[1, 2]: x\n", "a key must be a text");
    refuse("!!int 1: x\n", "a key must be a text");
    refuse("a: !!python/object x\n", "tag");
    refuse("a: !custom {}\n", "tag");
    refuse("a: !!map []\n", "tag");
    refuse("a: !!int x\n", "tag");
    refuse("a: !!binary aGk=\n", "tag");
    refuse("a: \"x\\0y\"\n", "NUL");
    refuse("\"x\\0y\": 1\n", "NUL");
    refuse(".inf", "JSON");
    refuse("-.INF", "JSON");
    refuse(".nan", "JSON");
    refuse("1e999", "too large");
    refuse("9223372036854775808", "64 bits");
    refuse("0xFFFFFFFFFFFFFFFF", "64 bits");
    refuse("a: [1, 2\n", "line 2");
    refuse("a: b: c\n", "line 1 column 5");
    refuse("\ta: 1\n", "line 1");
    refuse("a: 'x\n", "line 2");
    refuse("a: \xFF\n", "invalid");
    refuse("a: \xED\xA0\x80\n", "invalid");
    refuse("%TAG ! tag:x,2000:\n--- !y z\n", "tag");
}
END_TEST

START_TEST(size_and_depth_have_limits)
{
    slc_error err;
    ck_assert_ptr_null(slc_yaml_parse("a: 1", 4, 3, &err));
    ck_assert_int_eq(err.code, SLC_TOO_LARGE);
    char text[2 * (SLC_JSON_MAX_DEPTH + 1)];
    for (size_t depth = SLC_JSON_MAX_DEPTH; depth <= SLC_JSON_MAX_DEPTH + 1; depth++) {
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        json_t *value = slc_yaml_parse(text, 2 * depth, sizeof text, &err);
        ck_assert(depth <= SLC_JSON_MAX_DEPTH ? value != NULL : value == NULL);
        json_decref(value);
    }
    ck_assert_ptr_nonnull(strstr(err.message, "nested deeper"));
}
END_TEST

START_TEST(errors_point_to_the_field)
{
    slc_error err;
    const char *text = "a/b:\n- x\n- c: .nan\n";
    ck_assert_ptr_null(slc_yaml_parse(text, strlen(text), 1000, &err));
    ck_assert_str_eq(err.field, "/a~1b/1/c");
}
END_TEST

static void locate(const char *text, const char *pointer, size_t line, size_t column)
{
    size_t l = 0, c = 0;
    bool found = slc_yaml_locate(text, strlen(text), pointer, &l, &c);
    ck_assert_msg(found == (line > 0), "%s", pointer);
    if (found)
        ck_assert_msg(l == line && c == column, "%s: %zu:%zu", pointer, l, c);
}

START_TEST(places_are_found)
{
    const char *text = "a:\n  b: [1, {c: 2}]\n\"d/e\": 3\nnull: 4\n";
    locate(text, "/a", 1, 1);
    locate(text, "/a/b", 2, 3);
    locate(text, "/a/b/0", 2, 7);
    locate(text, "/a/b/1/c", 2, 11);
    locate(text, "/d~1e", 3, 1);
    locate(text, "/null", 4, 1);
    locate(text, "", 1, 1);
    locate(text, "/x", 0, 0);
    locate(text, "/a/b/2", 0, 0);
    locate("", "", 0, 0);
}
END_TEST

UNIT_MAIN("yaml", scalars_follow_the_core_schema, collections_and_block_texts,
          what_could_surprise_is_refused_with_its_place, size_and_depth_have_limits, errors_point_to_the_field,
          places_are_found)
