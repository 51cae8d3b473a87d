#include "common/join.h"

#include <string.h>

#include "common/alloc.h"
#include "tests/unit/common/unit.h"

static slc_error err;

static slc_join example(void)
{
    slc_join join = {.endpoint = "control.example:8006", .config = "[::1]:8005", .token = "slc_abc_secret"};
    memset(join.ca_sha256, 0xA5, sizeof join.ca_sha256);
    return join;
}

static bool parse(const char *text, slc_join *join)
{
    return slc_join_parse(text, strlen(text), join, &err);
}

START_TEST(a_join_string_goes_both_ways)
{
    slc_join join = example(), back;
    char *text = slc_join_compose(&join, &err);
    ck_assert_ptr_nonnull(text);
    ck_assert(strncmp(text, SLC_JOIN_PREFIX, strlen(SLC_JOIN_PREFIX)) == 0);
    char *pasted = slc_asprintf("%s \n", text);
    ck_assert(parse(pasted, &back));
    ck_assert_str_eq(back.endpoint, join.endpoint);
    ck_assert_str_eq(back.config, join.config);
    ck_assert_str_eq(back.token, join.token);
    ck_assert(memcmp(back.ca_sha256, join.ca_sha256, sizeof join.ca_sha256) == 0);
    free(pasted);
    free(text);
}
END_TEST

START_TEST(bad_fields_are_not_composed)
{
    static const struct {
        const char *endpoint, *config, *token, *field;
    } cases[] = {
        {"", "h:1", "slc_a_b", "/endpoint"},    {":8006", "h:1", "slc_a_b", "/endpoint"},
        {"h:0", "h:1", "slc_a_b", "/endpoint"}, {"h:1", "h", "slc_a_b", "/config"},
        {"h:1", "h:1", "", "/token"},           {"h:1", "h:1", "slc_a", "/token"},
        {"h:1", "h:1", "slc_a_", "/token"},     {"h:1", "h:1", "slc__b", "/token"},
        {"h:1", "h:1", "slc_a_b-", "/token"},   {"h:1", "h:1", "xyz_a_b", "/token"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        slc_join join = {0};
        strcpy(join.endpoint, cases[i].endpoint);
        strcpy(join.config, cases[i].config);
        strcpy(join.token, cases[i].token);
        ck_assert_ptr_null(slc_join_compose(&join, &err));
        ck_assert_str_eq(err.field, cases[i].field);
    }
}
END_TEST

START_TEST(a_damaged_string_is_refused_without_its_token)
{
    slc_join join = example(), back;
    char *text = slc_join_compose(&join, &err);
    for (size_t len = 0; len < strlen(text); len++) {
        ck_assert(!slc_join_parse(text, len, &back, &err));
        ck_assert_ptr_null(strstr(err.message, "secret"));
        ck_assert_str_eq(back.token, "");
    }
    free(text);
    ck_assert(!parse("sluice-join-2.e30", &back));
    ck_assert(!parse("sluice-join-1.e30", &back)); /* {} */
    ck_assert_str_eq(err.field, "/endpoint");
    ck_assert(!parse("sluice-join-1.W10", &back)); /* [] */
    ck_assert(!parse("sluice-join-1.###", &back));
    static char endless[SLC_JOIN_MAX_CHARS + 2];
    memset(endless, 'A', sizeof endless - 1);
    memcpy(endless, SLC_JOIN_PREFIX, strlen(SLC_JOIN_PREFIX));
    ck_assert(!parse(endless, &back));
    ck_assert_int_eq(err.code, SLC_TOO_LARGE);
}
END_TEST

UNIT_MAIN("join", a_join_string_goes_both_ways, bad_fields_are_not_composed,
          a_damaged_string_is_refused_without_its_token)
