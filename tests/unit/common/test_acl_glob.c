/* Globs of ACL rules: what they match, and that what is put in is text. */
#include "common/acl_glob.h"

#include <check.h>
#include <string.h>

#include "unit.h"

static const char *const known[] = {"name", "empty", NULL};

static const char *value(void *ctx, const char *name, size_t len)
{
    return len == 4 && memcmp(name, "name", 4) == 0 ? ctx : "";
}

static bool match(const char *glob, const char *inside, const char *text)
{
    ck_assert_msg(slc_acl_glob_check(glob, strlen(glob), known), "%s", glob);
    return slc_acl_glob_match(glob, value, (void *)inside, text, strlen(text));
}

START_TEST(stars_and_questions_stand_for_bytes)
{
    static const struct {
        const char *glob, *text;
        bool matches;
    } cases[] = {{"orders", "orders", true},
                 {"orders", "orders2", false},
                 {"orders", "order", false},
                 {"orders*", "orders", true},
                 {"*", "", true},
                 {"*.eu", "orders.eu", true},
                 {"*.eu", "orders.eus", false},
                 {"o?ders", "orders", true},
                 {"o?ders", "oders", false},
                 {"*a*b*", "xxaxxbxx", true},
                 {"*a*b*", "xxbxxaxx", false},
                 {"a\\*", "a*", true},
                 {"a\\*", "ab", false},
                 {"a\\?", "a?", true},
                 {"a\\\\", "a\\", true},
                 {"${name}", "shop", true},
                 {"${name}.*", "shop.x", true},
                 {"${name}.*", "shopx", false},
                 {"*${name}", "my-shop", true},
                 {"${empty}*", "anything", false},
                 {"$x", "$x", true},
                 {"\\${name}", "${name}", true},
                 {"?", "", false},
                 {"**", "x", true}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        ck_assert_msg(match(cases[i].glob, "shop", cases[i].text) == cases[i].matches, "%s %s", cases[i].glob,
                      cases[i].text);
}
END_TEST

START_TEST(what_is_put_in_is_text)
{
    ck_assert(!match("${name}", "*", "anything"));
    ck_assert(match("${name}", "*", "*"));
    ck_assert(!match("${name}.x", "a?", "ab.x"));
    ck_assert(match("${name}.x", "a?", "a?.x"));
    ck_assert(match("${name}", "${name}", "${name}"));
    ck_assert(match("${name}", "\\", "\\"));
}
END_TEST

START_TEST(what_is_no_glob_is_refused)
{
    static const char *const wrong[] = {"", "a\\", "${other}", "${name", "${}", "${name}${x}"};
    char longest[SLC_ACL_GLOB_MAX + 2];
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        ck_assert_msg(!slc_acl_glob_check(wrong[i], strlen(wrong[i]), known), "%s", wrong[i]);
    memset(longest, 'a', sizeof longest);
    longest[SLC_ACL_GLOB_MAX + 1] = '\0';
    ck_assert(!slc_acl_glob_check(longest, SLC_ACL_GLOB_MAX + 1, known));
    longest[SLC_ACL_GLOB_MAX] = '\0';
    ck_assert(slc_acl_glob_check(longest, SLC_ACL_GLOB_MAX, known));
    ck_assert(!slc_acl_glob_check("a\0b", 3, known));
    ck_assert(slc_acl_glob_is_any("*") && slc_acl_glob_is_any("**"));
    ck_assert(!slc_acl_glob_is_any("") && !slc_acl_glob_is_any("*?") && !slc_acl_glob_is_any("\\*"));
}
END_TEST

/* The longest values and names there are end, and do not run over. */
START_TEST(long_values_are_bounded)
{
    static char huge[5000];
    memset(huge, 'a', sizeof huge - 1);
    ck_assert(!match("${name}", huge, huge));
    ck_assert(match("*", "", huge));
    ck_assert(!match("*a*a*a*a*a*b", "", huge));
}
END_TEST

UNIT_MAIN("common/acl_glob", stars_and_questions_stand_for_bytes, what_is_put_in_is_text,
          what_is_no_glob_is_refused, long_values_are_bounded)
