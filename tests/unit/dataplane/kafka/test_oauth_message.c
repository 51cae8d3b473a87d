/* The client's message of OAUTHBEARER. */
#include <check.h>
#include <string.h>

#include "dataplane/kafka/oauth_message.h"
#include "tests/unit/common/unit.h"

static slc_oauth_message message;
static slc_error err;

static bool reads(const char *text)
{
    return slc_oauth_message_read((const uint8_t *)text, strlen(text), &message, &err);
}

static void token_is(const char *token)
{
    ck_assert_uint_eq(message.token_len, strlen(token));
    ck_assert_int_eq(memcmp(message.token, token, message.token_len), 0);
}

START_TEST(token_identity_and_extensions)
{
    ck_assert(reads("n,,\001auth=Bearer a.b.c\001\001"));
    token_is("a.b.c");
    ck_assert_str_eq(message.identity, "");
    ck_assert(reads("n,a=shop,\001logicalCluster=lkc\001auth=bearer a.b.c\001identityPoolId=p=1\001\001"));
    token_is("a.b.c");
    ck_assert_str_eq(message.identity, "shop");
}
END_TEST

static const char *const bad[] = {
    "",
    "\001",
    "n,,",
    "n,,\001",
    "n,,\001\001",
    "n,,\001auth=Bearer \001\001",
    "n,,\001auth=Bearer a b\001\001",
    "n,,\001auth=Basic abc\001\001",
    "n,,\001auth=Bearer a.b.c\001",
    "n,,\001auth=Bearer a.b.c",
    "n,,\001auth=Bearer a.b.c\001\001x",
    "n,,\001auth=Bearer a.b.c\001auth=Bearer d.e.f\001\001",
    "n,,auth=Bearer a.b.c\001\001",
    "n,a=,\001auth=Bearer a.b.c\001\001",
    "n,b=x,\001auth=Bearer a.b.c\001\001",
    "p,,\001auth=Bearer a.b.c\001\001",
    "n,,\001=x\001auth=Bearer a.b.c\001\001",
    "n,,\001nothing\001auth=Bearer a.b.c\001\001",
};

START_TEST(anything_else_is_refused)
{
    ck_assert_msg(!reads(bad[_i]), "%s", bad[_i]);
    ck_assert_int_eq(err.code, SLC_INVALID);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("oauth message");
    TCase *tcase = tcase_create("oauth message");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, token_identity_and_extensions);
    tcase_add_loop_test(tcase, anything_else_is_refused, 0, (int)(sizeof bad / sizeof *bad));
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
