#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "common/assert.h"
#include "common/json.h"

#define POINTER_CHARS 1024

/* One parse, from libyaml's events to a JSON value by recursive descent. */
struct reader {
    yaml_parser_t parser;
    yaml_event_t event; /* the current one */
    slc_error *err;
    char pointer[POINTER_CHARS]; /* of the value that is being read */
    unsigned depth;

    const char *wanted; /* slc_yaml_locate: the pointer to look for, else NULL */
    bool found;
    yaml_mark_t found_at;
};

static json_t *read_value(struct reader *r);

SLC_PRINTF(3, 4)
static void *fail_at(struct reader *r, yaml_mark_t mark, const char *fmt, ...)
{
    char what[256];
    va_list args;
    va_start(args, fmt);
    vsnprintf(what, sizeof(what), fmt, args);
    va_end(args);
    slc_fail(r->err, SLC_INVALID, r->pointer, "line %zu column %zu: %s", mark.line + 1, mark.column + 1, what);
    return NULL;
}

static bool next_event(struct reader *r)
{
    yaml_event_delete(&r->event);
    if (yaml_parser_parse(&r->parser, &r->event))
        return true;
    const yaml_parser_t *p = &r->parser;
    memset(&r->event, 0, sizeof(r->event));
    /* A reader error (encoding) has an offset only; the others have a mark. */
    if (p->error == YAML_READER_ERROR)
        slc_fail(r->err, SLC_INVALID, NULL, "byte %zu: %s", p->problem_offset, p->problem);
    else
        fail_at(r, p->problem_mark, "%s", p->problem != NULL ? p->problem : "not YAML");
    return false;
}

/* ---- scalars: the YAML 1.2 core schema (section 10.3.2) ---- */

static bool any_of(const char *s, const char *const *words)
{
    for (; *words != NULL; words++)
        if (strcmp(s, *words) == 0)
            return true;
    return false;
}

static const char *skip(const char *s, const char *accept)
{
    return s + strspn(s, accept);
}

#define DIGITS "0123456789"

/* The base of an integer, or 0. Its digits start at *digits. */
static int integer_base(const char *s, const char **digits)
{
    if (s[0] == '0' && (s[1] == 'o' || s[1] == 'x')) {
        *digits = s + 2;
        const char *end = skip(s + 2, s[1] == 'o' ? "01234567" : DIGITS "abcdefABCDEF");
        return end > s + 2 && *end == '\0' ? (s[1] == 'o' ? 8 : 16) : 0;
    }
    *digits = s;
    const char *first = *s == '-' || *s == '+' ? s + 1 : s;
    const char *end = skip(first, DIGITS);
    return end > first && *end == '\0' ? 10 : 0;
}

static bool is_float(const char *s)
{
    s += *s == '-' || *s == '+';
    const char *whole = s;
    s = skip(s, DIGITS);
    size_t digits = (size_t)(s - whole);
    if (*s == '.') {
        const char *fraction = ++s;
        s = skip(s, DIGITS);
        digits += (size_t)(s - fraction);
    }
    if (digits == 0)
        return false;
    if (*s == 'e' || *s == 'E') {
        s++;
        s += *s == '-' || *s == '+';
        const char *exponent = s;
        s = skip(s, DIGITS);
        if (s == exponent)
            return false;
    }
    return *s == '\0';
}

static json_t *read_number(struct reader *r, const char *s, yaml_mark_t mark)
{
    const char *digits;
    int base = integer_base(s, &digits);
    errno = 0;
    if (base != 0) {
        long long value = strtoll(digits, NULL, base);
        if (errno == ERANGE)
            return fail_at(r, mark, "integer %.40s does not fit into 64 bits", s);
        return json_integer(value);
    }
    double value = strtod(s, NULL);
    if (!isfinite(value))
        return fail_at(r, mark, "number %.40s is too large", s);
    return json_real(value);
}

enum scalar_kind {
    SCALAR_STRING,
    SCALAR_NULL,
    SCALAR_TRUE,
    SCALAR_FALSE,
    SCALAR_INT,
    SCALAR_FLOAT,
    SCALAR_NOT_FINITE
};

static enum scalar_kind plain_kind(const char *s)
{
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL};
    static const char *const trues[] = {"true", "True", "TRUE", NULL};
    static const char *const falses[] = {"false", "False", "FALSE", NULL};
    static const char *const not_finite[] = {".inf",  ".Inf",  ".INF", "-.inf", "-.Inf", "-.INF", "+.inf",
                                             "+.Inf", "+.INF", ".nan", ".NaN",  ".NAN",  NULL};
    const char *digits;
    if (any_of(s, nulls))
        return SCALAR_NULL;
    if (any_of(s, trues))
        return SCALAR_TRUE;
    if (any_of(s, falses))
        return SCALAR_FALSE;
    if (any_of(s, not_finite))
        return SCALAR_NOT_FINITE;
    if (integer_base(s, &digits) != 0)
        return SCALAR_INT;
    return is_float(s) ? SCALAR_FLOAT : SCALAR_STRING;
}

/* Whether a tag that was written out agrees with what the text is. */
static bool tag_allows(const char *tag, enum scalar_kind kind)
{
    static const struct {
        const char *tag;
        unsigned kinds;
    } rules[] = {
        {YAML_NULL_TAG, 1U << SCALAR_NULL},
        {YAML_BOOL_TAG, 1U << SCALAR_TRUE | 1U << SCALAR_FALSE},
        {YAML_INT_TAG, 1U << SCALAR_INT},
        {YAML_FLOAT_TAG, 1U << SCALAR_FLOAT | 1U << SCALAR_INT},
    };
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
        if (strcmp(tag, rules[i].tag) == 0)
            return (rules[i].kinds >> kind & 1) != 0;
    return false;
}

static json_t *read_scalar(struct reader *r)
{
    const char *s = (const char *)r->event.data.scalar.value;
    size_t len = r->event.data.scalar.length;
    const char *tag = (const char *)r->event.data.scalar.tag;
    bool plain = r->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    yaml_mark_t mark = r->event.start_mark;
    if (memchr(s, '\0', len) != NULL)
        return fail_at(r, mark, "a text holds a NUL character");
    bool as_string = tag == NULL ? !plain : strcmp(tag, YAML_STR_TAG) == 0 || strcmp(tag, "!") == 0;
    enum scalar_kind kind = as_string ? SCALAR_STRING : plain_kind(s);
    if (tag != NULL && !as_string && !tag_allows(tag, kind))
        return fail_at(r, mark, "tag %.80s is not supported here", tag);
    json_t *value = NULL;
    switch (kind) {
    case SCALAR_NULL:
        return json_null();
    case SCALAR_TRUE:
        return json_true();
    case SCALAR_FALSE:
        return json_false();
    case SCALAR_NOT_FINITE:
        return fail_at(r, mark, "%s has no JSON form; quote it if it is a text", s);
    case SCALAR_INT:
    case SCALAR_FLOAT:
        return read_number(r, s, mark);
    case SCALAR_STRING:
        break;
    }
    value = json_stringn(s, len);
    return value != NULL ? value : fail_at(r, mark, "a text is not UTF-8");
}

/* ---- collections ---- */

/* Called at the place that the pointer names. */
static void note_place(struct reader *r, yaml_mark_t mark)
{
    if (r->wanted != NULL && !r->found && strcmp(r->wanted, r->pointer) == 0) {
        r->found = true;
        r->found_at = mark;
    }
}

/* The current event is a key. Adds it and its value. */
static bool read_member(struct reader *r, json_t *object)
{
    yaml_mark_t mark = r->event.start_mark;
    if (r->event.type == YAML_ALIAS_EVENT)
        return fail_at(r, mark, "aliases are not supported") != NULL;
    if (r->event.type != YAML_SCALAR_EVENT)
        return fail_at(r, mark, "a key must be a text") != NULL;
    if (r->event.data.scalar.anchor != NULL)
        return fail_at(r, mark, "anchors are not supported") != NULL;
    if (r->event.data.scalar.tag != NULL && strcmp((char *)r->event.data.scalar.tag, YAML_STR_TAG) != 0)
        return fail_at(r, mark, "a key must be a text") != NULL;
    size_t len = r->event.data.scalar.length;
    const char *text = (const char *)r->event.data.scalar.value;
    if (memchr(text, '\0', len) != NULL)
        return fail_at(r, mark, "a key holds a NUL character") != NULL;
    if (strcmp(text, "<<") == 0 && r->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE)
        return fail_at(r, mark, "merge keys are not supported") != NULL;
    if (json_object_get(object, text) != NULL)
        return fail_at(r, mark, "key \"%.80s\" is given twice", text) != NULL;

    char *key = strdup(text);
    SLC_BUG_ON(key == NULL);
    size_t pointer_len = strlen(r->pointer);
    slc_json_pointer_push(r->pointer, sizeof(r->pointer), key);
    note_place(r, mark);
    json_t *value = next_event(r) ? read_value(r) : NULL;
    bool ok = value != NULL && json_object_set_new(object, key, value) == 0;
    r->pointer[pointer_len] = '\0';
    free(key);
    return ok;
}

static json_t *read_mapping(struct reader *r)
{
    json_t *object = json_object();
    while (next_event(r)) {
        if (r->event.type == YAML_MAPPING_END_EVENT)
            return object;
        if (!read_member(r, object))
            break;
    }
    json_decref(object);
    return NULL;
}

static json_t *read_sequence(struct reader *r)
{
    json_t *array = json_array();
    while (next_event(r)) {
        if (r->event.type == YAML_SEQUENCE_END_EVENT)
            return array;
        size_t pointer_len = strlen(r->pointer);
        slc_json_pointer_push_index(r->pointer, sizeof(r->pointer), json_array_size(array));
        note_place(r, r->event.start_mark);
        json_t *value = read_value(r);
        if (value == NULL || json_array_append_new(array, value) != 0)
            break;
        r->pointer[pointer_len] = '\0';
    }
    json_decref(array);
    return NULL;
}

static json_t *read_collection(struct reader *r, const yaml_char_t *anchor, const yaml_char_t *tag,
                               const char *core, json_t *(*read)(struct reader *r))
{
    yaml_mark_t mark = r->event.start_mark;
    if (anchor != NULL)
        return fail_at(r, mark, "anchors are not supported");
    if (tag != NULL && strcmp((const char *)tag, core) != 0 && strcmp((const char *)tag, "!") != 0)
        return fail_at(r, mark, "tag %.80s is not supported here", (const char *)tag);
    if (r->depth == SLC_JSON_MAX_DEPTH)
        return fail_at(r, mark, "nested deeper than %d levels", SLC_JSON_MAX_DEPTH);
    r->depth++;
    json_t *value = read(r);
    r->depth--;
    return value;
}

/* The current event starts a value. Leaves its last event as the current one. */
static json_t *read_value(struct reader *r)
{
    switch (r->event.type) {
    case YAML_SCALAR_EVENT:
        if (r->event.data.scalar.anchor != NULL)
            return fail_at(r, r->event.start_mark, "anchors are not supported");
        return read_scalar(r);
    case YAML_MAPPING_START_EVENT:
        return read_collection(r, r->event.data.mapping_start.anchor, r->event.data.mapping_start.tag,
                               YAML_MAP_TAG, read_mapping);
    case YAML_SEQUENCE_START_EVENT:
        return read_collection(r, r->event.data.sequence_start.anchor, r->event.data.sequence_start.tag,
                               YAML_SEQ_TAG, read_sequence);
    case YAML_ALIAS_EVENT:
        return fail_at(r, r->event.start_mark, "aliases are not supported");
    default:
        return fail_at(r, r->event.start_mark, "a value was expected");
    }
}

/* STREAM-START (DOCUMENT-START value DOCUMENT-END)? STREAM-END: nothing at all is null. */
static json_t *read_stream(struct reader *r)
{
    json_t *value = NULL;
    if (!next_event(r) || !next_event(r))
        return NULL;
    if (r->event.type == YAML_STREAM_END_EVENT)
        return json_null();
    note_place(r, r->event.start_mark);
    if (!next_event(r) || (value = read_value(r)) == NULL)
        return NULL;
    if (next_event(r) && next_event(r)) {
        if (r->event.type == YAML_STREAM_END_EVENT)
            return value;
        fail_at(r, r->event.start_mark, "more than one document");
    }
    json_decref(value);
    return NULL;
}

static json_t *parse(struct reader *r, const char *text, size_t len)
{
    SLC_BUG_ON(!yaml_parser_initialize(&r->parser));
    yaml_parser_set_input_string(&r->parser, (const unsigned char *)text, len);
    yaml_parser_set_encoding(&r->parser, YAML_UTF8_ENCODING);
    json_t *value = read_stream(r);
    yaml_event_delete(&r->event);
    yaml_parser_delete(&r->parser);
    return value;
}

json_t *slc_yaml_parse(const char *text, size_t len, size_t max_len, slc_error *err)
{
    if (len > max_len) {
        slc_fail(err, SLC_TOO_LARGE, NULL, "YAML text of %zu bytes is over the limit of %zu bytes", len,
                 max_len);
        return NULL;
    }
    struct reader reader = {.err = err};
    return parse(&reader, text, len);
}

bool slc_yaml_locate(const char *text, size_t len, const char *pointer, size_t *line, size_t *column)
{
    struct reader reader = {.wanted = pointer};
    json_decref(parse(&reader, text, len));
    if (!reader.found)
        return false;
    *line = reader.found_at.line + 1;
    *column = reader.found_at.column + 1;
    return true;
}
