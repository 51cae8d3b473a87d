/* JSON form to stored form: every field is checked, and every problem noted with its pointer. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalog/entity.h"
#include "catalog/store.h"
#include "common/alloc.h"
#include "common/assert.h"
#include "common/clock.h"
#include "common/json.h"

#define PATH_CHARS 100

/* Where in the document we are, and what everything below needs. */
struct reading {
    slc_txn *txn;
    const slc_kind *kind; /* NULL for an action's body */
    const char *id;
    enum slc_body_mode mode;
    json_t *args; /* NULL below the top */
    bool ok;
    slc_error *err;
    char pointer[SLC_POINTER_CHARS];
    char path[PATH_CHARS]; /* dotted, for secrets */
};

#define PROBLEM(r, ...) ((r)->ok = slc_txn_problem((r)->txn, (r)->pointer, (r)->err, __VA_ARGS__))

static json_t *read_object(struct reading *r, const slc_field *fields, const json_t *body,
                           const json_t *before);

/* ---- scalars ---- */

static size_t characters(const char *text)
{
    size_t count = 0;
    for (; *text != '\0'; text++)
        count += ((unsigned char)*text & 0xc0) != 0x80;
    return count;
}

static bool has_control(const char *text, bool lines)
{
    for (const unsigned char *p = (const unsigned char *)text; *p != '\0'; p++)
        if ((*p < 0x20 && !(lines && (*p == '\n' || *p == '\r' || *p == '\t'))) || *p == 0x7f)
            return true;
    return false;
}

bool slc_text_check(slc_txn *txn, const slc_field *field, const char *text, const char *pointer, slc_error *err)
{
    int64_t min, max;
    slc_field_bounds(field, &min, &max);
    bool list = field->type == SLC_F_STRING_LIST;
    if (list) {
        min = 1;
        max = field->item_max > 0 ? field->item_max : 1024;
    }
    int64_t length = (int64_t)characters(text);
    if (length < min || length > max)
        return slc_txn_problem(txn, pointer, err, "must have %lld to %lld characters, has %lld", (long long)min,
                               (long long)max, (long long)length);
    if (has_control(text, field->type == SLC_F_TEXT))
        return slc_txn_problem(txn, pointer, err, "must not contain control characters");
    const slc_format *format = slc_format_get(field->format);
    /* An optional text that is empty is as good as absent. */
    if (*text != '\0' && !format->check(text, strlen(text)))
        return slc_txn_problem(txn, pointer, err, "must be %s", format->name);
    if (*text == '\0' && (field->flags & SLC_F_REQUIRED) != 0)
        return slc_txn_problem(txn, pointer, err, "must not be empty");
    return true;
}

static json_t *read_text(struct reading *r, const slc_field *field, const json_t *value)
{
    if (!json_is_string(value)) {
        PROBLEM(r, "must be a string");
        return NULL;
    }
    if (!slc_text_check(r->txn, field, json_string_value(value), r->pointer, r->err)) {
        r->ok = false;
        return NULL;
    }
    if (json_string_length(value) > 0)
        return json_deep_copy(value);
    /* An empty text is kept apart from none only where it means something. */
    bool means = slc_format_get(field->format)->check("", 0) && (field->flags & SLC_F_UNIQUE) == 0;
    return means ? json_string("") : NULL;
}

/* 1.0 is an integer in JSON Schema. */
static bool is_whole(const json_t *value)
{
    double real = json_is_real(value) ? json_real_value(value) : 0;
    return json_is_integer(value) || (json_is_real(value) && real >= -9007199254740991.0 &&
                                      real <= 9007199254740991.0 && (double)(int64_t)real == real);
}

static int64_t whole_of(const json_t *value)
{
    return json_is_real(value) ? (int64_t)json_real_value(value) : json_integer_value(value);
}

static json_t *read_int(struct reading *r, const slc_field *field, const json_t *value)
{
    int64_t min, max;
    slc_field_bounds(field, &min, &max);
    if (!is_whole(value)) {
        PROBLEM(r, "must be an integer");
        return NULL;
    }
    int64_t number = whole_of(value);
    if (number < min || number > max) {
        PROBLEM(r, "must be from %lld to %lld", (long long)min, (long long)max);
        return NULL;
    }
    return json_integer(number);
}

static bool one_of(const char *const *values, const char *text)
{
    for (; *values != NULL; values++)
        if (strcmp(*values, text) == 0)
            return true;
    return false;
}

static void values_problem(struct reading *r, const slc_field *field)
{
    char list[160] = "";
    for (const char *const *value = field->values; *value != NULL; value++) {
        size_t len = strlen(list);
        snprintf(list + len, sizeof(list) - len, "%s%s", len == 0 ? "" : ", ", *value);
    }
    PROBLEM(r, "must be one of %s", list);
}

static json_t *read_enum(struct reading *r, const slc_field *field, const json_t *value)
{
    if (json_is_string(value) && one_of(field->values, json_string_value(value)))
        return json_deep_copy(value);
    values_problem(r, field);
    return NULL;
}

static json_t *read_duration(struct reading *r, const slc_field *field, const json_t *value)
{
    const char *text = json_string_value(value);
    if (text != NULL && *text == '\0' && (field->flags & SLC_F_REQUIRED) == 0)
        return NULL;
    int64_t min, max, ms;
    slc_field_bounds(field, &min, &max);
    if (text == NULL || !slc_duration_parse(text, &ms)) {
        PROBLEM(r, "must be a duration such as \"500ms\", \"15s\", \"10m\", \"24h\" or \"30d\"");
        return NULL;
    }
    if (ms < min || ms > max) {
        char low[SLC_DURATION_CHARS], high[SLC_DURATION_CHARS];
        slc_duration_format(min, low);
        slc_duration_format(max, high);
        PROBLEM(r, "must be from %s to %s", low, high);
        return NULL;
    }
    return json_integer(ms);
}

static json_t *read_timestamp(struct reading *r, const json_t *value)
{
    int64_t ms;
    if (!json_is_string(value) ||
        !slc_rfc3339_parse(json_string_value(value), json_string_length(value), &ms)) {
        PROBLEM(r, "must be a time as in \"2026-11-24T20:18:39Z\" (RFC 3339)");
        return NULL;
    }
    if (ms < 0) {
        PROBLEM(r, "must not be before 1970");
        return NULL;
    }
    return json_integer(ms);
}

/* ---- references ---- */

static json_t *read_ref(struct reading *r, const char *kind_name, const json_t *value)
{
    const slc_kind *kind = slc_kind_find(kind_name);
    if (!json_is_string(value)) {
        PROBLEM(r, "must be the id or key of a %s", kind->singular);
        return NULL;
    }
    char id[SLC_ID_CHARS + 1];
    slc_error failure;
    int rc = slc_row_resolve(r->txn, kind, json_string_value(value), id, &failure);
    if (rc == 1)
        return json_string(id);
    if (rc == 0)
        PROBLEM(r, "there is no %s %.100s", kind->singular, json_string_value(value));
    else
        PROBLEM(r, "%s", failure.message);
    return NULL;
}

/* The sibling "kind" says what is referred to; when that is wrong, its own problem is enough. */
static json_t *read_choice(struct reading *r, const slc_field *field, const json_t *value,
                           const json_t *siblings)
{
    const char *kind = json_string_value(json_object_get(siblings, "kind"));
    for (const slc_ref_choice *choice = field->choices; kind != NULL && choice->value != NULL; choice++)
        if (strcmp(choice->value, kind) == 0)
            return read_ref(r, choice->kind, value);
    return NULL;
}

/* ---- lists and maps ---- */

static json_t *read_item(struct reading *r, const slc_field *field, const json_t *item)
{
    switch (field->type) {
    case SLC_F_REF_LIST:
        return read_ref(r, field->ref, item);
    case SLC_F_ENUM_LIST:
        return read_enum(r, field, item);
    case SLC_F_OBJECT_LIST:
        return read_object(r, field->fields, item, NULL);
    default:
        return read_text(r, field, item);
    }
}

static bool contains(const json_t *list, const json_t *value)
{
    size_t index;
    json_t *entry;
    json_array_foreach (list, index, entry) {
        if (json_equal(entry, value))
            return true;
    }
    return false;
}

static json_t *read_list(struct reading *r, const slc_field *field, const json_t *value)
{
    int64_t min, max;
    slc_field_bounds(field, &min, &max);
    if (!json_is_array(value)) {
        PROBLEM(r, "must be a list");
        return NULL;
    }
    if ((int64_t)json_array_size(value) < min || (int64_t)json_array_size(value) > max) {
        PROBLEM(r, "must have %lld to %lld items, has %zu", (long long)min, (long long)max,
                json_array_size(value));
        return NULL;
    }
    json_t *out = json_array();
    size_t index;
    json_t *item;
    json_array_foreach (value, index, item) {
        slc_json_pointer_push_index(r->pointer, sizeof(r->pointer), index);
        json_t *stored = read_item(r, field, item);
        if (stored != NULL && contains(out, stored))
            PROBLEM(r, "is in the list twice");
        if (stored != NULL)
            json_array_append_new(out, stored);
        slc_json_pointer_pop(r->pointer);
    }
    /* Rows of a link table: none is the same as absent. */
    if (field->type == SLC_F_REF_LIST && json_array_size(out) == 0) {
        json_decref(out);
        return NULL;
    }
    return out;
}

static json_t *read_map(struct reading *r, const slc_field *field, const json_t *value)
{
    int64_t min, max;
    slc_field_bounds(field, &min, &max);
    if (!json_is_object(value) || (int64_t)json_object_size(value) > max) {
        PROBLEM(r, "must be an object of at most %lld strings", (long long)max);
        return NULL;
    }
    const char *key;
    json_t *entry;
    json_object_foreach ((json_t *)value, key, entry) {
        slc_json_pointer_push(r->pointer, sizeof(r->pointer), key);
        if (*key == '\0' || characters(key) > SLC_MAP_KEY_MAX || has_control(key, false))
            PROBLEM(r, "a key must have 1 to %d characters", SLC_MAP_KEY_MAX);
        if (!json_is_string(entry) || characters(json_string_value(entry)) > SLC_MAP_VALUE_MAX ||
            has_control(json_string_value(entry), false))
            PROBLEM(r, "must be a string of at most %d characters", SLC_MAP_VALUE_MAX);
        slc_json_pointer_pop(r->pointer);
    }
    return json_deep_copy(value);
}

/* The same value in one form, however it was written: whole numbers are integers, members that are null are
 * absent. The depth is bounded by the parser. */
static json_t *tidy(const json_t *value)
{
    json_t *out, *child;
    const char *name;
    size_t index;
    if (json_is_real(value) && is_whole(value))
        return json_integer(whole_of(value));
    if (json_is_array(value)) {
        out = json_array();
        json_array_foreach (value, index, child)
            json_array_append_new(out, tidy(child));
        return out;
    }
    if (!json_is_object(value))
        return json_deep_copy(value);
    out = json_object();
    json_object_foreach ((json_t *)value, name, child) {
        if (!json_is_null(child))
            json_object_set_new(out, name, tidy(child));
    }
    return out;
}

static json_t *read_json(struct reading *r, const slc_field *field, const json_t *value)
{
    int64_t min, max;
    slc_field_bounds(field, &min, &max);
    if (!json_is_object(value)) {
        PROBLEM(r, "must be an object");
        return NULL;
    }
    if ((int64_t)json_dumpb(value, NULL, 0, JSON_COMPACT) > max) {
        PROBLEM(r, "must have at most %lld bytes", (long long)max);
        return NULL;
    }
    return tidy(value);
}

/* ---- one field ---- */

static json_t *convert(struct reading *r, const slc_field *field, const json_t *value, const json_t *before,
                       const json_t *siblings)
{
    switch (field->type) {
    case SLC_F_STRING:
    case SLC_F_TEXT:
        return read_text(r, field, value);
    case SLC_F_INT:
        return read_int(r, field, value);
    case SLC_F_BOOL:
        if (json_is_boolean(value))
            return json_boolean(json_is_true(value));
        PROBLEM(r, "must be true or false");
        return NULL;
    case SLC_F_ENUM:
        return read_enum(r, field, value);
    case SLC_F_DURATION:
        return read_duration(r, field, value);
    case SLC_F_TIMESTAMP:
        return read_timestamp(r, value);
    case SLC_F_REF:
        return field->choices != NULL ? read_choice(r, field, value, siblings) : read_ref(r, field->ref, value);
    case SLC_F_OBJECT:
        return read_object(r, field->fields, value, before);
    case SLC_F_MAP:
        return read_map(r, field, value);
    case SLC_F_JSON:
        return read_json(r, field, value);
    default:
        return read_list(r, field, value);
    }
}

static json_t *read_secret(struct reading *r, const slc_field *field, const json_t *given, const json_t *before)
{
    if (given == NULL && (r->mode == SLC_BODY_PATCHED))
        before = NULL;
    char context[SLC_SECRET_CONTEXT_CHARS];
    slc_secret_context(context, r->kind, r->id, r->path);
    bool ok;
    json_t *stored = slc_secret_read(r->txn, context, field, given, before, r->pointer, &ok, r->err);
    r->ok = r->ok && ok;
    if (ok && stored == NULL && (field->flags & SLC_F_REQUIRED) != 0)
        PROBLEM(r, "is required");
    return stored;
}

static json_t *read_default(struct reading *r, const slc_field *field)
{
    if (field->default_json == NULL)
        return NULL;
    json_t *value = json_loads(field->default_json, JSON_DECODE_ANY, NULL);
    json_t *stored = convert(r, field, value, NULL, NULL);
    json_decref(value);
    return stored;
}

/* *fine: is this value all right, whatever was wrong before it? */
static json_t *convert_alone(struct reading *r, const slc_field *field, const json_t *value,
                             const json_t *before, const json_t *siblings, bool *fine)
{
    bool was_ok = r->ok;
    r->ok = true;
    json_t *stored = convert(r, field, value, before, siblings);
    *fine = r->ok;
    r->ok = was_ok && r->ok;
    return stored;
}

/* Something given for a field that the caller does not set: fine when it is what is there already. */
static void check_read_only(struct reading *r, const slc_field *field, const json_t *value,
                            const json_t *before)
{
    const unsigned shown = SLC_F_COMPUTED | SLC_F_VOLATILE; /* is in no stored form */
    if (before == NULL) {
        if (r->mode == SLC_BODY_CREATE || (field->flags & shown) != shown)
            PROBLEM(r, "is read-only");
        return;
    }
    bool fine;
    json_t *stored = convert_alone(r, field, value, NULL, NULL, &fine);
    if (fine && (field->flags & SLC_F_VOLATILE) == 0 && !json_equal(stored, before))
        PROBLEM(r, "is read-only and cannot change");
    json_decref(stored);
}

static json_t *carry(const json_t *before)
{
    return before == NULL ? NULL : json_deep_copy(before);
}

static json_t *read_field(struct reading *r, const slc_field *field, const json_t *body, const json_t *before)
{
    const json_t *given = json_object_get(body, field->name);
    const json_t *value = json_is_null(given) ? NULL : given;
    if ((field->flags & (SLC_F_READ_ONLY | SLC_F_HIDDEN)) != 0) {
        if (value != NULL)
            check_read_only(r, field, value, before);
        return before == NULL && r->mode == SLC_BODY_CREATE ? read_default(r, field) : carry(before);
    }
    if ((field->flags & SLC_F_SECRET) != 0)
        return read_secret(r, field, given, before);
    bool updating = r->mode != SLC_BODY_CREATE;
    if ((field->flags & SLC_F_WRITE_ONLY) != 0 && updating) {
        if (value != NULL)
            PROBLEM(r, "can only be given at creation");
        return NULL;
    }
    bool fixed = updating && r->mode != SLC_BODY_RESTORE && (field->flags & SLC_F_IMMUTABLE) != 0;
    if (value == NULL) {
        if (fixed && r->mode == SLC_BODY_PATCHED && before != NULL)
            PROBLEM(r, "cannot change after creation"); /* a merge patch took it away */
        if (fixed)
            return carry(before);
        if ((field->flags & SLC_F_REQUIRED) != 0)
            PROBLEM(r, "is required");
        return read_default(r, field);
    }
    bool fine;
    json_t *stored = convert_alone(r, field, value, before, body, &fine);
    if (fixed && fine && !(before != NULL && json_equal(stored, before)))
        PROBLEM(r, "cannot change after creation");
    if (fine && stored == NULL && !fixed && json_is_string(value))
        return read_default(r, field); /* an empty text is the same as none */
    return stored;
}

/* ---- objects ---- */

static void check_names(struct reading *r, const slc_field *common, const slc_field *fields, const json_t *body)
{
    const char *name;
    json_t *value;
    json_object_foreach ((json_t *)body, name, value) {
        const slc_field *field = slc_field_find(fields, name);
        if (field == NULL && common != NULL)
            field = slc_field_find(common, name);
        if (field != NULL && (field->flags & SLC_F_HIDDEN) == 0)
            continue;
        slc_json_pointer_push(r->pointer, sizeof(r->pointer), name);
        PROBLEM(r, "is not a field of this object");
        slc_json_pointer_pop(r->pointer);
    }
}

static void read_fields(struct reading *r, const slc_field *fields, const json_t *body, const json_t *before,
                        json_t *out)
{
    size_t path_len = strlen(r->path);
    for (const slc_field *field = fields; field->name != NULL; field++) {
        slc_json_pointer_push(r->pointer, sizeof(r->pointer), field->name);
        snprintf(r->path + path_len, sizeof(r->path) - path_len, "%s%s", path_len > 0 ? "." : "", field->name);
        json_t *stored = read_field(r, field, body, json_object_get(before, field->name));
        if (stored != NULL && (field->flags & SLC_F_WRITE_ONLY) != 0 && r->args != NULL)
            json_object_set_new(r->args, field->name, stored);
        else if (stored != NULL)
            json_object_set_new(out, field->name, stored);
        slc_json_pointer_pop(r->pointer);
        r->path[path_len] = '\0';
    }
}

static json_t *read_object(struct reading *r, const slc_field *fields, const json_t *body, const json_t *before)
{
    if (!json_is_object(body)) {
        PROBLEM(r, "must be an object");
        return NULL;
    }
    check_names(r, NULL, fields, body);
    json_t *out = json_object();
    read_fields(r, fields, body, before, out);
    return out;
}

json_t *slc_body_read(slc_txn *txn, const slc_kind *kind, const char *id, const json_t *body,
                      const json_t *before, enum slc_body_mode mode, json_t **args, slc_error *err)
{
    slc_txn_clear_problems(txn);
    struct reading r = {
        .txn = txn, .kind = kind, .id = id, .mode = mode, .args = json_object(), .ok = true, .err = err};
    json_t *out = json_object();
    if (json_is_object(body)) {
        const slc_field *common = slc_kind_common_fields(kind);
        check_names(&r, common, kind->fields, body);
        read_fields(&r, common, body, before, out);
        read_fields(&r, kind->fields, body, before, out);
    } else {
        PROBLEM(&r, "must be a JSON object");
    }
    if (!r.ok) {
        json_decref(out);
        json_decref(r.args);
        return NULL;
    }
    if (args != NULL)
        *args = r.args;
    else
        json_decref(r.args);
    return out;
}

bool slc_body_check(slc_txn *txn, const slc_field *fields, const json_t *body, slc_error *err)
{
    static const slc_field none[] = {{.name = NULL}};
    slc_txn_clear_problems(txn);
    struct reading r = {.txn = txn, .mode = SLC_BODY_CREATE, .ok = true, .err = err};
    if (body != NULL && !json_is_null(body))
        json_decref(read_object(&r, fields != NULL ? fields : none, body, NULL));
    return r.ok;
}

json_t *slc_body_take(slc_txn *txn, const slc_field *fields, const json_t *body, slc_error *err)
{
    slc_txn_clear_problems(txn);
    struct reading r = {.txn = txn, .mode = SLC_BODY_CREATE, .ok = true, .err = err};
    json_t *stored = read_object(&r, fields, body, NULL);
    if (r.ok)
        return stored;
    json_decref(stored);
    return NULL;
}
