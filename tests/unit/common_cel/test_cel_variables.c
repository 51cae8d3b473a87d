/* Variables: names with dots, values that are not there, maps that are only looked into; and the table that
 * conditions use. */
#include <string.h>

#include "common/cel/attributes.h"
#include "tests/unit/common/unit.h"

static const slc_cel_variable variables[] = {
    {"request.method", SLC_CEL_STRING, ""},
    {"request.headers", SLC_CEL_LOOKUP, ""},
    {"request", SLC_CEL_MAP, ""},
    {"count", SLC_CEL_INT, ""},
    {"maybe.there", SLC_CEL_STRING, ""},
    {"anything", SLC_CEL_ANY, ""},
    {NULL, SLC_CEL_ANY, NULL},
};

static bool find_header(void *ctx, const char *key, size_t len, slc_cel_value *value)
{
    (void)ctx;
    if (len != 8 || memcmp(key, "x-tenant", 8) != 0)
        return false;
    *value = slc_cel_string("shop", 4);
    return true;
}

static bool resolve(void *ctx, size_t variable, slc_cel_value *value)
{
    static slc_cel_value pair[2];
    unsigned *asked = ctx;
    *asked |= 1u << variable;
    pair[0] = slc_cel_string("path", 4);
    pair[1] = slc_cel_string("/orders", 7);
    switch (variable) {
    case 0:
        *value = slc_cel_string("GET", 3);
        return true;
    case 1:
        *value = (slc_cel_value){.kind = SLC_CEL_LOOKUP, .as.lookup = {find_header, NULL}};
        return true;
    case 2:
        *value = (slc_cel_value){.kind = SLC_CEL_MAP, .as.list = {pair, 1}};
        return true;
    case 3:
        *value = slc_cel_int(3);
        return true;
    default:
        return false;
    }
}

/* 1, 0; -1: an error; -2: does not compile. */
static int ask(const char *text, unsigned *asked)
{
    slc_cel_scratch scratch;
    slc_error err;
    slc_cel *cel = slc_cel_compile(text, strlen(text), variables, SLC_CEL_BOOL, &err);
    *asked = 0;
    if (cel == NULL)
        return -2;
    slc_cel_value value = slc_cel_eval(cel, resolve, asked, &scratch);
    slc_cel_free(cel);
    return value.kind == SLC_CEL_BOOL ? value.as.boolean : -1;
}

static const struct {
    const char *text;
    int result;
} examples[] = {
    {"request.method == 'GET'", 1},
    {"request . method == 'GET'", 1},
    {"request.method.startsWith('G')", 1},
    {"request.path == '/orders'", 1}, /* the longest name that is a variable is request */
    {"request.query == ''", -1},
    {"request.headers['x-tenant'] == 'shop'", 1},
    {"request.headers.`x-tenant` == 'shop'", 1},
    {"request.headers['x-other'] == 'shop'", -1},
    {"'x-tenant' in request.headers", 1},
    {"!('x-other' in request.headers)", 1},
    {"1 in request.headers", -2},
    {"has(request.headers.`x-tenant`)", 1},
    {"has(request.headers.accept)", 0},
    {"has(request.headers.accept) && request.headers.accept == 'a'", 0},
    {"size(request.headers) == 1", -2},
    {"request.headers == {}", -2},
    {"request == {'path': '/orders'}", 1},
    {"request.method", -2},
    {"request.method == 1", -2},
    {"request.method + 1 == ''", -2},
    {"count + 1 == 4", 1},
    {"count == 3u", 1},
    {"count.x == 1", -2},
    {"maybe == 'a'", -2},
    {"maybe.there == 'a'", -1},
    {"has(maybe.there)", 0},
    {"has(request.method)", 1},
    {"has(count)", -2},
    {"!has(maybe.there) || maybe.there == 'a'", 1},
    {"maybe.there == 'a' || count == 3", 1},
    {"anything == 1", -1},
    {"anything", -1},
    {"counter == 1", -2},
    {"cou == 1", -2},
    {"request.", -2},
    {"request..method == 'GET'", -2},
};

START_TEST(variables_are_found)
{
    unsigned asked;
    for (size_t i = 0; i < sizeof examples / sizeof *examples; i++)
        ck_assert_msg(ask(examples[i].text, &asked) == examples[i].result, "%s", examples[i].text);
}
END_TEST

START_TEST(only_what_is_needed_is_asked_for)
{
    unsigned asked;
    ck_assert_int_eq(ask("count == 3 || request.method == 'GET'", &asked), 1);
    ck_assert_uint_eq(asked, 1u << 3);
    ck_assert_int_eq(ask("count == 4 ? request.method == 'GET' : true", &asked), 1);
    ck_assert_uint_eq(asked, 1u << 3);
}
END_TEST

START_TEST(an_error_has_its_place)
{
    const char *text = "count > 5 || maybe.there == 'a'";
    slc_cel_scratch scratch;
    slc_error err;
    unsigned asked = 0;
    slc_cel *cel = slc_cel_compile(text, strlen(text), variables, SLC_CEL_BOOL, &err);
    ck_assert_ptr_nonnull(cel);
    slc_cel_value value = slc_cel_eval(cel, resolve, &asked, &scratch);
    ck_assert_int_eq(value.kind, SLC_CEL_ERROR);
    ck_assert_uint_eq(value.as.error.at, 13);
    ck_assert_str_eq(value.as.error.message, "this has no value here");
    slc_cel_free(cel);
}
END_TEST

START_TEST(conditions_have_a_table)
{
    slc_error err;
    for (size_t i = 0; i < SLC_ATTRIBUTES; i++) {
        ck_assert_msg(slc_attributes[i].name != NULL && slc_attributes[i].help != NULL, "attribute %zu", i);
        for (size_t j = 0; j < i; j++)
            ck_assert_str_ne(slc_attributes[i].name, slc_attributes[j].name);
    }
    ck_assert_ptr_null(slc_attributes[SLC_ATTRIBUTES].name);
    slc_cel *cel = slc_condition_compile("request.method == 'GET' && time < credential.expires && "
                                         "'x-a' in request.headers && api.version > 1",
                                         &err);
    ck_assert_msg(cel != NULL, "%s", err.message);
    slc_cel_free(cel);
    ck_assert_ptr_null(slc_condition_compile("request.method", &err));
    ck_assert_str_eq(err.message, "at character 1: this is a value of kind string, and must be of kind bool");
}
END_TEST

UNIT_MAIN("cel_variables", variables_are_found, only_what_is_needed_is_asked_for, an_error_has_its_place,
          conditions_have_a_table)
