/* Patterns: what a client may write, and that nothing of it can match outside. */
#include "../kafka/message.h"
#include "common/re2/re2_face.h"
#include "dataplane/virtual/pattern.h"

#define HIDE    SLUICE__SNAPSHOT__V1__NAMESPACE_MODE__NAMESPACE_MODE_HIDE
#define ENFORCE SLUICE__SNAPSHOT__V1__NAMESPACE_MODE__NAMESPACE_MODE_ENFORCE

static Sluice__Snapshot__V1__VirtualCluster msg;
static slc_names *names;
static slc_buf out;
static slc_error err;

static void with(Sluice__Snapshot__V1__NamespaceMode mode)
{
    msg = (Sluice__Snapshot__V1__VirtualCluster){.mode = mode, .prefix = "a."};
    names = slc_names_new(&msg);
    slc_buf_init(&out, 4096);
}

static void done(void)
{
    slc_names_free(names);
    slc_buf_release(&out);
}

static const char *mapped(const char *pattern)
{
    slc_buf_clear(&out);
    slc_error_clear(&err);
    if (!slc_pattern_map(names, SLC_NAME_TOPIC, (const uint8_t *)pattern, strlen(pattern), &out, &err))
        return NULL;
    slc_buf back;
    slc_buf_init(&back, 4096);
    ck_assert_msg(slc_pattern_unmap(names, out.data, out.len, &back), "%s", (const char *)out.data);
    ck_assert_msg(back.len == strlen(pattern) && (back.len == 0 || memcmp(back.data, pattern, back.len) == 0),
                  "%s", pattern);
    slc_buf_release(&back);
    return (const char *)out.data;
}

/* As a broker would. */
static bool matches(const char *topic)
{
    char reason[100];
    slc_re2 *re2 = slc_re2_new((const char *)out.data, out.len, reason, sizeof reason);
    ck_assert_msg(re2 != NULL, "%s", reason);
    bool is = slc_re2_matches(re2, topic, strlen(topic));
    slc_re2_free(re2);
    return is;
}

START_TEST(hide_puts_the_prefix_before_the_expression)
{
    with(HIDE);
    ck_assert_str_eq(mapped("orders.*"), "a\\.(?:orders.*)");
    ck_assert(matches("a.orders-1") && !matches("b.orders-1") && !matches("ab orders"));
    ck_assert_str_eq(mapped("x|y"), "a\\.(?:x|y)");
    ck_assert(matches("a.x") && matches("a.y") && !matches("y"));
    ck_assert_str_eq(mapped("(?i)x"), "a\\.(?:(?i)x)");
    ck_assert(matches("a.X") && !matches("A.x"));
    ck_assert_ptr_nonnull(mapped("^x$"));
    ck_assert(matches("a.x"));
    ck_assert_str_eq(mapped("^x|(^y)"), "a\\.(?:(?:)x|((?:)y))");
    ck_assert(matches("a.x") && matches("a.y") && !matches("x"));
    ck_assert_ptr_nonnull(mapped("[^x^]y\\^[]^][[:^alpha:]^]\\Q^\\E"));
    ck_assert(matches("a.ay^^^^") && !matches("a.xy^^^^"));
    ck_assert_ptr_nonnull(mapped(""));
    done();
}
END_TEST

START_TEST(an_expression_must_compile_alone)
{
    static const char *const bad[] = {"x)|(?:.*",     ")|.*|(", "x)|(.*", "(",       "[",        "\\",
                                      "x)(?:",        "(?i",    "*",      "a{1001}", "(?#x",     "[[:what:]]",
                                      "\\p{Nothing}", ")",      "(?P<n",  "\xff",    "x|)|(?:.*"};
    with(HIDE);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        ck_assert_msg(mapped(bad[i]) == NULL, "%s became %s", bad[i], (const char *)out.data);
        ck_assert_int_eq(err.code, SLC_INVALID);
        ck_assert_ptr_null(strstr(err.message, "a."));
    }
    done();
}
END_TEST

START_TEST(a_quotation_without_end_takes_the_bracket_with_it)
{
    char reason[100];
    with(HIDE);
    ck_assert_ptr_nonnull(mapped("x\\Q)|(?:.*"));
    slc_re2 *re2 = slc_re2_new((const char *)out.data, out.len, reason, sizeof reason);
    ck_assert_msg(re2 == NULL || !slc_re2_matches(re2, "b.x", 3), "it got out");
    slc_re2_free(re2);
    done();
}
END_TEST

START_TEST(enforce_takes_what_stays_inside)
{
    static const char *const good[] = {"a\\..*",  "a\\.x|a\\.y", "a[.]x.*", "a\\.(x|y)+",
                                       "^a\\.x$", "a\\.",        "a\\.x"};
    static const char *const bad[] = {".*",        "a.*", "a.x", "b\\.x", "a\\.x|b\\.x", "(a\\.)?x",
                                      "(?i)a\\.x", "x",   "",    "a",     "a\\..*|a/"};
    with(ENFORCE);
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        ck_assert_msg(mapped(good[i]) != NULL, "%s: %s", good[i], err.message);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ck_assert_msg(mapped(bad[i]) == NULL, "%s became %s", bad[i], (const char *)out.data);
    done();
}
END_TEST

START_TEST(fixed_topics_outside_are_added_when_they_match)
{
    static char *extras[] = {"shared-*", "fixed.one"};
    static Sluice__Snapshot__V1__TopicAlias alias = {.name = "orders", .topic = "legacy.orders"};
    static Sluice__Snapshot__V1__TopicAlias *aliases[] = {&alias};
    with(HIDE);
    msg.extra_topics = extras;
    msg.n_extra_topics = 2;
    msg.aliases = aliases;
    msg.n_aliases = 1;
    ck_assert_str_eq(mapped("ord.*"), "legacy\\.orders|a\\.(?:ord.*)");
    ck_assert_str_eq(mapped(".*"), "legacy\\.orders|fixed\\.one|a\\.(?:.*)");
    ck_assert_str_eq(mapped("legacy.*"), "a\\.(?:legacy.*)");
    ck_assert(!matches("legacy.orders"));
    done();
}
END_TEST

START_TEST(filters_and_patterns_do_not_go_together)
{
    static char *filter[] = {"public-*"};
    with(HIDE);
    msg.topic_filter = filter;
    msg.n_topic_filter = 1;
    ck_assert_ptr_null(mapped(".*"));
    done();
}
END_TEST

START_TEST(foreign_expressions_have_no_way_back)
{
    slc_buf back;
    slc_buf_init(&back, 100);
    static const char *const foreign[] = {"", ")", "b\\.(?:x)", ".*", "xa\\.(?:y)", "a\\.(?:y"};
    with(HIDE);
    for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++)
        ck_assert_msg(!slc_pattern_unmap(names, (const uint8_t *)foreign[i], strlen(foreign[i]), &back), "%s",
                      foreign[i]);
    ck_assert_uint_eq(back.len, 0);
    slc_buf_release(&back);
    done();
}
END_TEST

TEST_MAIN("pattern", hide_puts_the_prefix_before_the_expression, an_expression_must_compile_alone,
          a_quotation_without_end_takes_the_bracket_with_it, enforce_takes_what_stays_inside,
          fixed_topics_outside_are_added_when_they_match, filters_and_patterns_do_not_go_together,
          foreign_expressions_have_no_way_back)
