/* What is read of OpenAPI documents, and what hostile ones get. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalog/rest_document.h"
#include "fixture.h"

#define MAX_BYTES (1 << 20)

static slc_error error;

static json_t *read_text(const char *text)
{
    error = (slc_error){0};
    return slc_rest_document_read(text, strlen(text), MAX_BYTES, &error);
}

static void refused(const char *text, const char *why)
{
    json_t *facts = read_text(text);
    ck_assert_msg(facts == NULL, "taken: %.200s", text);
    ck_assert_msg(strstr(error.message, why) != NULL, "%.200s: %s", text, error.message);
    ck_assert(error.code == SLC_INVALID || error.code == SLC_TOO_LARGE);
}

/* count times `piece` between `head` and `tail`: new. */
static char *repeated(const char *head, const char *piece, size_t count, const char *tail)
{
    size_t len = strlen(piece), used = strlen(head);
    char *text = malloc(used + count * len + strlen(tail) + 1);
    strcpy(text, head);
    for (size_t i = 0; i < count; i++, used += len)
        memcpy(text + used, piece, len);
    strcpy(text + used, tail);
    return text;
}

START_TEST(json_and_yaml_say_the_same)
{
    json_t *json = read_text(" {\"openapi\": \"3.0.3\", \"info\": {\"title\": \"Stock\", \"version\": \"2.1\", "
                             "\"description\": \"How\\n"
                             "much.\"}, \"servers\": [{\"url\": \"https://a.example\", \"description\": "
                             "\"Live\"}], \"paths\": {\"/items\": "
                             "{\"summary\": \"Items\", \"get\": {\"summary\": \"All\", \"operationId\": "
                             "\"all\"}, \"post\": {\"deprecated\": "
                             "true}, \"parameters\": []}, \"x-own\": 5}}");
    json_t *yaml =
        read_text("openapi: 3.0.3\ninfo:\n  title: Stock\n  version: '2.1'\n  description: |-\n    How\n    "
                  "much.\nservers:\n- {url: 'https://a.example', description: Live}\npaths:\n  /items:\n    "
                  "summary: Items\n    get: {summary: All, operationId: all}\n    post: {deprecated: true}\n");
    json_t *wanted = t_json(
        "{'title': 'Stock', 'openapi': '3.0.3', 'version': '2.1', 'description': 'How\\nmuch.', 'servers': "
        "[{'url': 'https://a.example', 'description': 'Live'}], 'operations': [{'method': 'get', 'path': "
        "'/items', 'summary': 'All', 'operation_id': 'all'}, {'method': 'post', 'path': '/items', 'summary': "
        "'Items', 'deprecated': true}]}");
    ck_assert(json_equal(json, wanted));
    ck_assert(json_equal(yaml, wanted));
    json_decref(json);
    json_decref(yaml);
    json_decref(wanted);
}
END_TEST

START_TEST(what_is_no_such_document_is_told_where)
{
    static const char *const cases[][2] = {
        {"", "must be an object"},
        {"[]", "must be an object"},
        {"{", "is not JSON: line 1"},
        {"a: [", "is not YAML"},
        {"a: *b", "aliases are not supported"},
        {"a: &b c", "anchors are not supported"},
        {"{\"a\": 1, \"a\": 2}", "duplicate"},
        {"<html></html>", "must be an object"},
        {"swagger: '2.0'", "Swagger 2"},
        {"asyncapi: 3.0.0", "no member \"openapi\""},
        {"openapi: 3.1", "/openapi must be a text"},
        {"openapi: 4.0.0", "only 3.0 and 3.1"},
        {"openapi: 3.10.0", "only 3.0 and 3.1"},
        {"openapi: 3.1.0-------------", "only 3.0 and 3.1"},
        {"openapi: 3.1.0", "/info must be an object"},
        {"openapi: 3.1.0\ninfo: {}", "/info/title"},
        {"openapi: 3.1.0\ninfo: {title: ' '}", "/info/title"},
        {"openapi: 3.1.0\ninfo: {title: [a]}", "/info/title"},
        {"openapi: 3.1.0\ninfo: {title: a, version: 1.0}", "/info/version must be a text"},
        {"openapi: 3.1.0\ninfo: {title: a}", "/paths must be an object"},
        {"openapi: 3.1.0\ninfo: {title: a}\npaths: []", "/paths must be an object"},
        {"openapi: 3.1.0\ninfo: {title: a}\npaths: {items: {}}", "must begin with /"},
        {"openapi: 3.1.0\ninfo: {title: a}\npaths: {/a: 1}", "must be an object"},
        {"openapi: 3.1.0\ninfo: {title: a}\npaths: {/a: {get: x}}", "get of \"/a\""},
        {"openapi: 3.1.0\ninfo: {title: a}\npaths: {}\nservers: {}", "/servers must be a list"},
        {"openapi: 3.1.0\ninfo: {title: a}\npaths: {}\nservers: [x]", "/servers/0"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        refused(cases[i][0], cases[i][1]);
}
END_TEST

START_TEST(references_are_not_followed)
{
    json_t *facts =
        read_text("openapi: 3.1.0\ninfo: {title: a}\npaths:\n  /a: {$ref: '#/paths/~1a'}\n  /b:\n    get: "
                  "{$ref: '#/paths/~1b/get', requestBody: {$ref: 'file:///etc/passwd'}}\n");
    ck_assert_msg(facts != NULL, "%s", error.message);
    ck_assert_uint_eq(json_array_size(json_object_get(facts, "operations")), 1);
    json_decref(facts);
}
END_TEST

START_TEST(what_is_too_deep_or_too_much_is_refused)
{
    static const char head[] =
        "{\"openapi\": \"3.1.0\", \"info\": {\"title\": \"a\"}, \"paths\": {}, \"x-a\": ";
    char *text = repeated(head, "[", 200000, "");
    refused(text, "is not JSON");
    free(text);
    text = repeated(head, "{\"a\":", 100, "");
    refused(text, "is not JSON");
    free(text);
    text = repeated("a: ", "[", 200000, "");
    refused(text, "nested deeper than");
    free(text);
    text = repeated("a: ", "{a: ", 1000, "");
    refused(text, "nested deeper than");
    free(text);
    text = repeated("", "- - ", 1000, "");
    refused(text, "nested deeper than");
    free(text);
    text = repeated("# ", "x", MAX_BYTES, "");
    refused(text, "is over the limit");
    ck_assert_int_eq(error.code, SLC_TOO_LARGE);
    free(text);
    text = repeated("{\"openapi\": \"3.1.0\", \"info\": {\"title\": \"a\"}, \"paths\": {\"/", "x",
                    SLC_REST_PATH_CHARS, "\": {}}}");
    refused(text, "is longer than");
    free(text);
}
END_TEST

static char *with_operations(int count)
{
    char *text = malloc((size_t)count * 40 + 200), *end = text;
    end += sprintf(end, "openapi: 3.1.0\ninfo: {title: a}\npaths:\n");
    for (int i = 0; i < count; i++)
        end += sprintf(end, "  /%d: {get: {}}\n", i);
    return text;
}

START_TEST(operations_are_bounded)
{
    char *text = with_operations(SLC_REST_OPERATIONS_MAX);
    json_t *facts = read_text(text);
    ck_assert_uint_eq(json_array_size(json_object_get(facts, "operations")), SLC_REST_OPERATIONS_MAX);
    json_decref(facts);
    free(text);
    text = with_operations(SLC_REST_OPERATIONS_MAX + 1);
    refused(text, "operations: split it");
    free(text);
}
END_TEST

/* A title is one line; what is long is cut between characters. */
START_TEST(texts_are_cut_and_without_control_characters)
{
    char *title = repeated("", "\xc3\xa4", SLC_REST_TITLE_CHARS + 1, "");
    char *text = repeated("{\"openapi\": \"3.1.0\", \"info\": {\"title\": \"\\u0007a\\n<b>", title, 1,
                          "\", \"description\": \"a\\r\\n\\u001b[1m\\tb\"}, \"paths\": {\"/\\u0000\": {}}}");
    refused(text, "NUL");
    char *nul = strstr(text, "\\u0000");
    memcpy(nul, "\\u0001", 6);
    json_t *facts = read_text(text);
    ck_assert_msg(facts != NULL, "%s", error.message);
    const char *shown = t_text(facts, "title");
    ck_assert(strncmp(shown, " a <b>\xc3\xa4", 8) == 0);
    ck_assert_uint_eq(strlen(shown), 6 + 2 * (SLC_REST_TITLE_CHARS - 6));
    ck_assert_str_eq(t_text(facts, "description"), "a\n [1m\tb");
    json_decref(facts);
    free(text);
    free(title);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("catalog/rest_document");
    TCase *tc = tcase_create("rest_document");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, json_and_yaml_say_the_same);
    tcase_add_test(tc, what_is_no_such_document_is_told_where);
    tcase_add_test(tc, references_are_not_followed);
    tcase_add_test(tc, what_is_too_deep_or_too_much_is_refused);
    tcase_add_test(tc, operations_are_bounded);
    tcase_add_test(tc, texts_are_cut_and_without_control_characters);
    suite_add_tcase(s, tc);
    return s;
}

TEST_MAIN(suite)
