/* Markdown that people wrote: what it may become, and what it may cost. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "controlplane/admin/markdown.h"

#define ROOM ((size_t)1 << 20)

static void becomes(const char *text, const char *html)
{
    char *got = slc_markdown_html(text, ROOM);
    ck_assert_str_eq(got, html);
    free(got);
}

START_TEST(github_markdown_is_understood)
{
    becomes("# A\n\n*b* ~~c~~", "<h1>A</h1>\n<p><em>b</em> <del>c</del></p>\n");
    becomes("|a|\n|-|\n|b|\n",
            "<table>\n<thead>\n<tr>\n<th>a</th>\n</tr>\n</thead>\n<tbody>\n<tr>\n<td>b</td>\n"
            "</tr>\n</tbody>\n</table>\n");
    becomes("", "");
}
END_TEST

START_TEST(no_markup_of_others_comes_through)
{
    static const char *const texts[] = {"<script>alert(1)</script>",
                                        "a <img src=x onerror=alert(1)> b",
                                        "[a](javascript:alert(1))",
                                        "[a](JaVaScRiPt:alert(1))",
                                        "![a](javascript:alert(1))",
                                        "<javascript:alert(1)>",
                                        "[a](data:text/html,<script>alert(1)</script>)",
                                        "[a](vbscript:x)",
                                        "<iframe src=//example.com></iframe>",
                                        "<svg/onload=alert(1)>",
                                        "|<b onclick=alert(1)>|\n|-|\n"};
    static const char *const never[] = {"<script",   "<img src=x",        "<iframe",     "<svg",
                                        "<b ",       "href=\"javascript", "href=\"Java", "src=\"javascript",
                                        "data:text", "vbscript"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        char *html = slc_markdown_html(texts[i], ROOM);
        for (size_t j = 0; j < sizeof never / sizeof *never; j++)
            ck_assert_msg(strstr(html, never[j]) == NULL, "%s: %s", texts[i], html);
        free(html);
    }
}
END_TEST

static char *wide_table(int columns, int rows)
{
    char *text = slc_malloc((size_t)(4 * columns + 3 * rows + 8)), *p = text;
    for (int i = 0; i < columns; i++)
        p += sprintf(p, "|a");
    p += sprintf(p, "|\n");
    for (int i = 0; i < columns; i++)
        p += sprintf(p, "|-");
    p += sprintf(p, "|\n");
    for (int i = 0; i < rows; i++)
        p += sprintf(p, "|b\n");
    return text;
}

/* With tables the second would have 64 million cells. */
START_TEST(tables_cost_no_more_than_they_may)
{
    char *small = wide_table(10, 100), *huge = wide_table(4000, 16000);
    char *html = slc_markdown_html(small, ROOM);
    ck_assert(strstr(html, "<table>") != NULL);
    free(html);
    html = slc_markdown_html(huge, ROOM);
    ck_assert(html != NULL && strstr(html, "<table>") == NULL);
    free(html);
    free(small);
    free(huge);
}
END_TEST

START_TEST(html_that_is_too_large_is_not_made)
{
    ck_assert_ptr_null(slc_markdown_html("12345678", 10));
    becomes("1", "<p>1</p>\n");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("controlplane/markdown");
    TCase *tc = tcase_create("markdown");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, github_markdown_is_understood);
    tcase_add_test(tc, no_markup_of_others_comes_through);
    tcase_add_test(tc, tables_cost_no_more_than_they_may);
    tcase_add_test(tc, html_that_is_too_large_is_not_made);
    suite_add_tcase(s, tc);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
