/* What of a gateway group's URL may stand in the content security policy. */
#include <check.h>

#include "controlplane/portal/connect.h"

static void becomes(const char *url, const char *source)
{
    char out[SLC_CONNECT_SOURCE_CHARS];
    ck_assert_msg(slc_connect_source(url, out), "%s", url);
    ck_assert_str_eq(out, source);
}

START_TEST(a_source_is_the_origin_of_the_url)
{
    becomes("https://eu.example.com", "https://eu.example.com");
    becomes("https://eu.example.com:8443/events/", "https://eu.example.com:8443");
    becomes("http://127.0.0.1:8000?x", "http://127.0.0.1:8000");
}
END_TEST

START_TEST(nothing_else_gets_into_the_policy)
{
    static const char *const urls[] = {"",
                                       "https://",
                                       "https://:80",
                                       "https:///path",
                                       "https://a;script-src",
                                       "https://a,b",
                                       "https://*",
                                       "https://*.example.com",
                                       "https://a'unsafe-inline'",
                                       "https://a b",
                                       "https://a\r\nX: y",
                                       "https://me@a",
                                       "https://[::1]:8000",
                                       "javascript:alert(1)",
                                       "//a",
                                       "ftp://a"};
    char out[SLC_CONNECT_SOURCE_CHARS], much[600] = "https://";
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++)
        ck_assert_msg(!slc_connect_source(urls[i], out), "%s", urls[i]);
    for (size_t i = 8; i < sizeof much - 1; i++)
        much[i] = 'a';
    ck_assert(!slc_connect_source(much, out));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("controlplane/connect");
    TCase *tc = tcase_create("connect");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, a_source_is_the_origin_of_the_url);
    tcase_add_test(tc, nothing_else_gets_into_the_policy);
    suite_add_tcase(s, tc);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
