/* Join strings, theirs and hostile ones. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/join.h"

#define TOKEN "slc_0123456789abcdef_secretsecretsecret"
#define PIN   "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

static slc_join sample(void)
{
    slc_join join = {.endpoint = "control.example:8006", .config = "[2001:db8::1]:8005", .token = TOKEN};

    for (unsigned i = 0; i < sizeof join.ca_sha256; i++)
        join.ca_sha256[i] = (uint8_t)i;
    return join;
}

static char *encode(const char *json)
{
    char *text = slc_malloc(strlen(SLC_JOIN_PREFIX) + 2 * strlen(json) + 8);

    strcpy(text, SLC_JOIN_PREFIX);
    slc_base64url_encode(json, strlen(json), text + strlen(SLC_JOIN_PREFIX));
    return text;
}

START_TEST(what_is_composed_parses)
{
    slc_join join = sample(), back;
    slc_error err;
    char *text = slc_join_compose(&join, &err);

    ck_assert_ptr_nonnull(text);
    ck_assert(slc_join_parse(text, strlen(text), &back, &err));
    ck_assert_str_eq(back.endpoint, join.endpoint);
    ck_assert_str_eq(back.config, join.config);
    ck_assert_str_eq(back.token, join.token);
    ck_assert_int_eq(memcmp(back.ca_sha256, join.ca_sha256, sizeof join.ca_sha256), 0);
    free(text);
}
END_TEST

START_TEST(trailing_newline_is_fine)
{
    slc_join join = sample(), back;
    slc_error err;
    char *text = slc_join_compose(&join, &err), *line = slc_asprintf("%s\r\n", text);

    ck_assert(slc_join_parse(line, strlen(line), &back, &err));
    free(line);
    free(text);
}
END_TEST

START_TEST(every_cut_is_refused)
{
    slc_join join = sample(), back;
    slc_error err;
    char *text = slc_join_compose(&join, &err);

    for (size_t len = 0; len < strlen(text); len++) {
        ck_assert(!slc_join_parse(text, len, &back, &err));
        ck_assert_ptr_null(strstr(err.message, "secretsecret"));
    }
    free(text);
}
END_TEST

static const char *const hostile[] = {
    "[]",
    "7",
    "",
    "{}",
    "{\"endpoint\":7,\"config\":\"a:1\",\"token\":\"" TOKEN "\",\"ca\":\"" PIN "\"}",
    "{\"endpoint\":\"a\",\"config\":\"a:1\",\"token\":\"" TOKEN "\",\"ca\":\"" PIN "\"}",
    "{\"endpoint\":\":1\",\"config\":\"a:1\",\"token\":\"" TOKEN "\",\"ca\":\"" PIN "\"}",
    "{\"endpoint\":\"a:0\",\"config\":\"a:1\",\"token\":\"" TOKEN "\",\"ca\":\"" PIN "\"}",
    "{\"endpoint\":\"a:1\",\"config\":\"a:99999\",\"token\":\"" TOKEN "\",\"ca\":\"" PIN "\"}",
    "{\"endpoint\":\"a:1\",\"config\":\"a:1\",\"token\":\"sla_a_b\",\"ca\":\"" PIN "\"}",
    "{\"endpoint\":\"a:1\",\"config\":\"a:1\",\"token\":\"slc__b\",\"ca\":\"" PIN "\"}",
    "{\"endpoint\":\"a:1\",\"config\":\"a:1\",\"token\":\"slc_a_\",\"ca\":\"" PIN "\"}",
    "{\"endpoint\":\"a:1\",\"config\":\"a:1\",\"token\":\"slc_a_b c\",\"ca\":\"" PIN "\"}",
    "{\"endpoint\":\"a:1\",\"config\":\"a:1\",\"token\":\"" TOKEN "\",\"ca\":\"00\"}",
    "{\"endpoint\":\"a:1\",\"config\":\"a:1\",\"token\":\"" TOKEN "\",\"ca\":\"" PIN "00\"}",
    "{\"endpoint\":\"a:1\",\"config\":\"a:1\",\"token\":\"" TOKEN
    "\",\"ca\":\"zz0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\"}",
    "{\"endpoint\":\"a:1\",\"endpoint\":\"b:1\",\"config\":\"a:1\",\"token\":\"" TOKEN "\",\"ca\":\"" PIN "\"}",
    "{\"endpoint\":\"a:1\\u0000\",\"config\":\"a:1\",\"token\":\"" TOKEN "\",\"ca\":\"" PIN "\"}",
};

START_TEST(hostile_content_is_refused)
{
    char *text = encode(hostile[_i]);
    slc_join join;
    slc_error err;

    ck_assert(!slc_join_parse(text, strlen(text), &join, &err));
    ck_assert_ptr_null(strstr(err.message, "secretsecret"));
    ck_assert_str_eq(join.token, "");
    free(text);
}
END_TEST

START_TEST(too_long_is_refused)
{
    char *text = slc_malloc(SLC_JOIN_MAX_CHARS + 2);
    slc_join join;
    slc_error err;

    memset(text, 'A', SLC_JOIN_MAX_CHARS + 1);
    memcpy(text, SLC_JOIN_PREFIX, strlen(SLC_JOIN_PREFIX));
    ck_assert(!slc_join_parse(text, SLC_JOIN_MAX_CHARS + 1, &join, &err));
    ck_assert_int_eq(err.code, SLC_TOO_LARGE);
    free(text);
}
END_TEST

START_TEST(bad_parts_are_not_composed)
{
    slc_join join = sample();
    slc_error err;

    strcpy(join.token, "nothing");
    ck_assert_ptr_null(slc_join_compose(&join, &err));
    ck_assert_str_eq(err.field, "/token");
    join = sample();
    strcpy(join.endpoint, "control.example");
    ck_assert_ptr_null(slc_join_compose(&join, &err));
    ck_assert_str_eq(err.field, "/endpoint");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("join");
    TCase *tcase = tcase_create("join");
    SRunner *runner;
    int failed;

    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, what_is_composed_parses);
    tcase_add_test(tcase, trailing_newline_is_fine);
    tcase_add_test(tcase, every_cut_is_refused);
    tcase_add_loop_test(tcase, hostile_content_is_refused, 0, (int)(sizeof hostile / sizeof *hostile));
    tcase_add_test(tcase, too_long_is_refused);
    tcase_add_test(tcase, bad_parts_are_not_composed);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
