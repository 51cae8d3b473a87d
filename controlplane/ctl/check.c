#define PCRE2_CODE_UNIT_WIDTH 8
#include "controlplane/ctl/check.h"

#include <pcre2.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/json.h"
#include "common/utf8.h"
#include "controlplane/ctl/suggest.h"

#define MATCH_STEPS 100000u /* of one pattern over one text */

void slc_check_problem(slc_check *check, const char *fmt, ...)
{
    char detail[512];
    va_list args;
    check->found++;
    if (check->problems == NULL)
        return;
    va_start(args, fmt);
    vsnprintf(detail, sizeof detail, fmt, args);
    va_end(args);
    slc_utf8_clean(detail);
    json_array_append_new(check->problems,
                          json_pack("{s:s, s:s}", "pointer", check->pointer, "detail", detail));
}

/* ---- types ---- */

static bool is_type(const json_t *value, const char *type)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return strcmp(type, "object") == 0;
    case JSON_ARRAY:
        return strcmp(type, "array") == 0;
    case JSON_STRING:
        return strcmp(type, "string") == 0;
    case JSON_INTEGER:
        return strcmp(type, "integer") == 0 || strcmp(type, "number") == 0;
    case JSON_REAL:
        return strcmp(type, "number") == 0;
    case JSON_TRUE:
    case JSON_FALSE:
        return strcmp(type, "boolean") == 0;
    case JSON_NULL:
        return strcmp(type, "null") == 0;
    }
    return false;
}

static const char *type_name(const json_t *value)
{
    static const char *const names[] = {
        [JSON_OBJECT] = "an object", [JSON_ARRAY] = "a list",  [JSON_STRING] = "text",
        [JSON_INTEGER] = "a number", [JSON_REAL] = "a number", [JSON_TRUE] = "true",
        [JSON_FALSE] = "false",      [JSON_NULL] = "nothing"};
    return names[json_typeof(value)];
}

static const char *wanted_name(const char *type)
{
    static const struct {
        const char *type, *name;
    } names[] = {{"object", "an object"},       {"array", "a list"},    {"string", "text"},
                 {"integer", "a whole number"}, {"number", "a number"}, {"boolean", "true or false"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i].type, type) == 0)
            return names[i].name;
    return type;
}

/* False after saying so. */
static bool check_type(slc_check *check, const json_t *type, const json_t *value)
{
    size_t i;
    json_t *one;
    const char *wanted = json_string_value(type);
    if (type == NULL || (wanted != NULL && is_type(value, wanted)))
        return true;
    json_array_foreach ((json_t *)type, i, one) {
        if (is_type(value, json_string_value(one)))
            return true;
        if (wanted == NULL)
            wanted = json_string_value(one);
    }
    slc_check_problem(check, "must be %s, not %s", wanted_name(wanted), type_name(value));
    return false;
}

/* ---- text and numbers ---- */

static size_t characters(const char *text)
{
    size_t count = 0;
    for (; *text != '\0'; text++)
        count += ((unsigned char)*text & 0xc0) != 0x80;
    return count;
}

/* A pattern that cannot be used, or takes too long, is the control plane's to check. */
static bool matches(const char *pattern, const char *text)
{
    int code;
    PCRE2_SIZE at;
    pcre2_code *compiled = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED,
                                         PCRE2_UTF | PCRE2_DOLLAR_ENDONLY, &code, &at, NULL);
    if (compiled == NULL)
        return true;
    pcre2_match_data *data = pcre2_match_data_create_from_pattern(compiled, NULL);
    pcre2_match_context *limits = pcre2_match_context_create(NULL);
    pcre2_set_match_limit(limits, MATCH_STEPS);
    int found = pcre2_match(compiled, (PCRE2_SPTR)text, strlen(text), 0, 0, data, limits);
    pcre2_match_context_free(limits);
    pcre2_match_data_free(data);
    pcre2_code_free(compiled);
    return found != PCRE2_ERROR_NOMATCH;
}

static void check_pattern(slc_check *check, const char *pattern, const char *text)
{
    if (matches(pattern, text))
        return;
    const char *bare = strncmp(pattern, "^$|", 3) == 0 ? pattern + 3 : pattern;
    const char *form = json_string_value(json_object_get(check->forms, bare));
    if (form != NULL)
        slc_check_problem(check, "must be %s", form);
    else
        slc_check_problem(check, "does not have the form %s", bare);
}

static void check_bound(slc_check *check, const json_t *schema, const char *low, const char *high,
                        json_int_t number, const char *what)
{
    const json_t *min = json_object_get(schema, low), *max = json_object_get(schema, high);
    if (json_is_integer(min) && number < json_integer_value(min))
        slc_check_problem(check, "must %s at least %" JSON_INTEGER_FORMAT, what, json_integer_value(min));
    if (json_is_integer(max) && number > json_integer_value(max))
        slc_check_problem(check, "must %s at most %" JSON_INTEGER_FORMAT, what, json_integer_value(max));
}

static void check_text(slc_check *check, const json_t *schema, const json_t *value)
{
    const char *text = json_string_value(value), *format = json_string_value(json_object_get(schema, "format"));
    const char *pattern = json_string_value(json_object_get(schema, "pattern"));
    int64_t when;
    check_bound(check, schema, "minLength", "maxLength", (json_int_t)characters(text), "have a length of");
    if (pattern != NULL)
        check_pattern(check, pattern, text);
    if (format != NULL && strcmp(format, "date-time") == 0 && text[0] != '\0' &&
        !slc_rfc3339_parse(text, strlen(text), &when))
        slc_check_problem(check, "must be a time such as 2027-01-31T08:00:00Z");
}

static void check_enum(slc_check *check, const json_t *values, const json_t *value)
{
    size_t i, used = 0;
    json_t *one;
    char all[300] = "";
    const char *typed = json_string_value(value);
    slc_suggestion near = slc_suggestion_for(typed != NULL ? typed : "");
    json_array_foreach ((json_t *)values, i, one) {
        if (json_equal(one, value))
            return;
        if (json_is_string(one) && used < sizeof all) {
            used += (size_t)snprintf(all + used, sizeof all - used, "%s%s", used > 0 ? ", " : "",
                                     json_string_value(one));
            slc_suggest(&near, json_string_value(one));
        }
    }
    slc_check_problem(check, "must be one of: %s%s%s%s", all, near.best != NULL ? "; did you mean \"" : "",
                      near.best != NULL ? near.best : "", near.best != NULL ? "\"?" : "");
}

/* ---- objects and lists ---- */

static void unknown_member(slc_check *check, const json_t *properties, const char *name)
{
    slc_suggestion near = slc_suggestion_for(name);
    const char *known;
    json_t *schema;
    json_object_foreach ((json_t *)properties, known, schema)
        slc_suggest(&near, known);
    if (near.best != NULL)
        slc_check_problem(check, "there is no field \"%s\" here: did you mean \"%s\"?", name, near.best);
    else
        slc_check_problem(check, "there is no field \"%s\" here", name);
}

static void check_object(slc_check *check, const json_t *schema, const json_t *value)
{
    const json_t *properties = json_object_get(schema, "properties");
    const json_t *others = json_object_get(schema, "additionalProperties");
    const json_t *names = json_object_get(schema, "propertyNames");
    const char *name;
    json_t *member, *one;
    size_t i, here = strlen(check->pointer);
    json_object_foreach ((json_t *)value, name, member) {
        const json_t *known = json_object_get(properties, name);
        slc_json_pointer_push(check->pointer, sizeof check->pointer, name);
        if (known != NULL)
            slc_check_value(check, known, member);
        else if (json_is_false(others))
            unknown_member(check, properties, name);
        else if (json_is_object(others))
            slc_check_value(check, others, member);
        if (names != NULL) {
            json_t *text = json_string(name);
            slc_check_value(check, names, text);
            json_decref(text);
        }
        check->pointer[here] = '\0';
    }
    json_array_foreach (json_object_get(schema, "required"), i, one) {
        const json_t *there = json_object_get(value, json_string_value(one));
        if (there == NULL || json_is_null(there))
            slc_check_problem(check, "the field \"%s\" is missing", json_string_value(one));
    }
    check_bound(check, schema, "minProperties", "maxProperties", (json_int_t)json_object_size(value),
                "have members:");
}

static void check_list(slc_check *check, const json_t *schema, const json_t *value)
{
    const json_t *items = json_object_get(schema, "items");
    bool distinct = json_is_true(json_object_get(schema, "uniqueItems"));
    size_t i, here = strlen(check->pointer);
    json_t *item;
    json_array_foreach ((json_t *)value, i, item) {
        slc_json_pointer_push_index(check->pointer, sizeof check->pointer, i);
        if (items != NULL)
            slc_check_value(check, items, item);
        for (size_t before = 0; distinct && before < i; before++) {
            if (json_equal(json_array_get(value, before), item)) {
                slc_check_problem(check, "stands in the list twice");
                break;
            }
        }
        check->pointer[here] = '\0';
    }
    check_bound(check, schema, "minItems", "maxItems", (json_int_t)json_array_size(value), "have entries:");
}

/* ---- one value ---- */

/* Of several forms: the problems of the one that fits the value's type, if none fits entirely. */
static void check_any(slc_check *check, const json_t *forms, const json_t *value)
{
    const json_t *closest = NULL;
    size_t i;
    json_t *form;
    json_array_foreach ((json_t *)forms, i, form) {
        slc_check trial = *check;
        trial.problems = NULL;
        trial.found = 0;
        slc_check_value(&trial, form, value);
        if (trial.found == 0)
            return;
        trial.found = 0;
        if (closest == NULL && check_type(&trial, json_object_get(form, "type"), value))
            closest = form;
    }
    if (closest != NULL && !json_is_object(value))
        slc_check_value(check, closest, value);
    else
        slc_check_problem(check, "has none of the forms that it may have");
}

void slc_check_value(slc_check *check, const json_t *schema, const json_t *value)
{
    const json_t *values = json_object_get(schema, "enum"), *any = json_object_get(schema, "anyOf");
    if (json_is_null(value))
        return;
    if (any != NULL) {
        check_any(check, any, value);
        return;
    }
    if (!check_type(check, json_object_get(schema, "type"), value))
        return;
    if (values != NULL)
        check_enum(check, values, value);
    if (json_is_string(value))
        check_text(check, schema, value);
    else if (json_is_integer(value))
        check_bound(check, schema, "minimum", "maximum", json_integer_value(value), "be");
    else if (json_is_object(value))
        check_object(check, schema, value);
    else if (json_is_array(value))
        check_list(check, schema, value);
}
