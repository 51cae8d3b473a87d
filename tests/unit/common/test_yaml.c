#include <stdlib.h>
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

/* ---- printing ---- */

static void round_trip(const json_t *value)
{
    slc_error err;
    size_t len;
    char *text = slc_yaml_print(value, 1 << 20, &len, &err);
    ck_assert_msg(text != NULL, "%s", err.message);
    json_t *again = slc_yaml_parse(text, len, 1 << 20, &err);
    char *was = json_dumps(value, JSON_ENCODE_ANY);
    ck_assert_msg(again != NULL, "%s of %s: %s", text, was, err.message);
    ck_assert_msg(json_equal(value, again), "%s\nprinted as\n%s", was, text);
    free(was);
    json_decref(again);
    free(text);
}

START_TEST(what_is_printed_is_for_people)
{
    json_t *value =
        json_loads("{\"name\": \"orders\", \"on\": [\"yes\", \"1.5\", 7, true, null, 2.0, \"\"], \"text\": "
                   "\"two\\nlines\\n\", \"none\": {}, \"empty\": [], \"a b\": \"x: y\"}",
                   0, NULL);
    slc_error err;
    size_t len;
    char *text = slc_yaml_print(value, 1 << 20, &len, &err);
    ck_assert_str_eq(
        text,
        "name: orders\n\"on\":\n- \"yes\"\n- \"1.5\"\n- 7\n- true\n- null\n- 2.0\n- \"\"\ntext: |\n  two\n"
        "  lines\nnone: {}\nempty: []\n\"a b\": \"x: y\"\n");
    free(text);
    ck_assert_ptr_null(slc_yaml_print(value, 20, &len, &err));
    ck_assert_int_eq(err.code, SLC_TOO_LARGE);
    json_decref(value);
}
END_TEST

START_TEST(what_is_printed_reads_the_same)
{
    static const char *const texts[] = {
        "",
        " ",
        "\n",
        "a\n\nb\n\n",
        " a\nb",
        "a \nb",
        "a\n b\n  c",
        "\ta\nb",
        "a\tb\nc",
        "# a\nb",
        "- a",
        "a: b",
        "null",
        "Yes",
        "0x1F",
        "1e5",
        ".inf",
        "~",
        "<<",
        "---\na\n",
        "...",
        "a\r\nb",
        "a\x7f\nb",
        ("a\xc2\x85"
         "b\nc"),
        "a\xe2\x80\xa8\nb",
        "\xef\xbb\xbf\nb",
        "2026-11-27",
        "12:30:00",
        "!!str x",
        "&a",
        "*a\n",
        "'a'\n\"b\"",
        "a\n...\nb",
        "a\n---\nb",
        "%YAML",
        "é\nü\n",
        "😀\n😀",
        "a\n\n",
        "\n\na",
        "a\nb ",
    };
    json_t *list = json_array(), *object = json_object();
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        json_array_append_new(list, json_string(texts[i]));
        json_object_set_new(object, texts[i], json_string(texts[i]));
    }
    round_trip(list);
    round_trip(object);
    json_object_set_new(object, "nested", json_pack("[[O, {}], {s:{s:[]}}]", list, "a", "b"));
    round_trip(object);
    json_decref(list);
    json_decref(object);
}
END_TEST

/* Texts of characters that mean something in YAML, in all sorts of order. */
START_TEST(random_texts_read_the_same)
{
    static const char *const parts[] = {"a", "b", " ",  "\n", ":", "-",  "#", "'", "\"", "|",
                                        ">", "%", "\t", "é",  "1", "\\", "{", "]", ",",  "&"};
    unsigned seed = 7;
    for (int i = 0; i < 3000; i++) {
        char text[64] = "";
        for (int k = rand_r(&seed) % 12; k >= 0; k--)
            strcat(text, parts[(size_t)rand_r(&seed) % (sizeof(parts) / sizeof(parts[0]))]);
        json_t *value = json_pack("{s:s, s:[s, {s:s}]}", "key", text, "list", text, text, text);
        round_trip(value);
        json_decref(value);
    }
}
END_TEST

UNIT_MAIN("yaml", scalars_follow_the_core_schema, collections_and_block_texts,
          what_could_surprise_is_refused_with_its_place, size_and_depth_have_limits, errors_point_to_the_field,
          places_are_found, what_is_printed_is_for_people, what_is_printed_reads_the_same,
          random_texts_read_the_same)
