/* The keywords: one table of names, drafts, how they are compiled and what checks by them. */
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "dataplane/schema/json_schema_private.h"

typedef bool (*compile_fn)(struct compiler *compiler, const json_t *value, struct keyword *out);

/* What schemas lie in a keyword's value. */
enum inner { NONE, ONE, LIST, MAP, ONE_OR_LIST };

struct entry {
    const char *name;
    unsigned drafts;
    enum inner inner;
    compile_fn compile; /* NULL: nothing is checked by it alone */
    slc_keyword_check *check;
};

/* ---- parts of values ---- */

static struct part *inner_part(struct compiler *compiler, const json_t *value)
{
    return slc_part_of(compiler, value, compiler->current->base, compiler->current->dialect);
}

static bool one_part(struct compiler *compiler, const json_t *value, struct keyword *out)
{
    out->n = 1;
    out->parts = slc_calloc(1, sizeof *out->parts);
    out->parts[0] = inner_part(compiler, value);
    return out->parts[0] != NULL;
}

static bool some_parts(struct compiler *compiler, const json_t *value, struct keyword *out)
{
    size_t i;
    json_t *item;
    if (!json_is_array(value))
        return slc_part_fail(compiler, out->name, SLC_INVALID, "must be a list");
    out->parts = slc_calloc(json_array_size(value) + 1, sizeof *out->parts);
    json_array_foreach ((json_t *)value, i, item)
        if ((out->parts[out->n++] = inner_part(compiler, item)) == NULL)
            return false;
    return true;
}

static bool many_parts(struct compiler *compiler, const json_t *value, struct keyword *out)
{
    return some_parts(compiler, value, out) &&
           (out->n > 0 || slc_part_fail(compiler, out->name, SLC_INVALID, "must have an element"));
}

static bool strings_only(const json_t *value)
{
    size_t i;
    json_t *item;
    json_array_foreach ((json_t *)value, i, item)
        if (!json_is_string(item))
            return false;
    return json_is_array(value);
}

/* Schemas, or with `lists` lists of names, by name. */
static bool named_parts(struct compiler *compiler, const json_t *value, struct keyword *out, bool schemas,
                        bool lists)
{
    const char *name;
    json_t *item;
    if (!json_is_object(value))
        return slc_part_fail(compiler, out->name, SLC_INVALID, "must be an object");
    out->named = slc_calloc(json_object_size(value) + 1, sizeof *out->named);
    json_object_foreach ((json_t *)value, name, item) {
        struct named *named = &out->named[out->n++];
        *named = (struct named){.name = name, .len = strlen(name)};
        if (json_is_array(item) && lists) {
            if (!strings_only(item))
                return slc_part_fail(compiler, out->name, SLC_INVALID, "must list names");
            named->list = item;
        } else if (!schemas) {
            return slc_part_fail(compiler, out->name, SLC_INVALID, "must have lists of names");
        } else if ((named->schema = inner_part(compiler, item)) == NULL) {
            return false;
        }
        slc_strmap_add(&out->by_name, named->name, named->len, named);
        compiler->schema->bytes += sizeof *named + 48;
    }
    return true;
}

static slc_re2 *pattern_of(struct compiler *compiler, const char *name, const char *pattern)
{
    char reason[160];
    slc_re2 *re = slc_re2_new(pattern, strlen(pattern), reason, sizeof reason);
    if (re == NULL)
        slc_part_fail(compiler, name, SLC_INVALID, "has a pattern that is none of RE2's: %s", reason);
    compiler->schema->bytes += 2048 + 16 * strlen(pattern);
    return re;
}

/* ---- keywords ---- */

static bool compile_ref(struct compiler *compiler, const json_t *value, struct keyword *out)
{
    if (!json_is_string(value))
        return slc_part_fail(compiler, out->name, SLC_INVALID, "must be a string");
    out->n = 1;
    out->parts = slc_calloc(1, sizeof *out->parts);
    out->parts[0] = slc_refs_find(compiler, out->name, json_string_value(value));
    return out->parts[0] != NULL;
}

static bool compile_foreign(struct compiler *compiler, const json_t *value, struct keyword *out)
{
    (void)value;
    return slc_part_fail(compiler, out->name, SLC_UNSUPPORTED, "is not supported");
}

/* The places of json_schema_check.c's letters; 6 is integer. */
static int type_bit(const json_t *name)
{
    static const char *const names[] = {"object", "array", "string", "number", "boolean", "null", "integer"};
    for (int i = 0; json_is_string(name) && i < 7; i++)
        if (strcmp(names[i], json_string_value(name)) == 0)
            return i;
    return -1;
}

static bool compile_type(struct compiler *compiler, const json_t *value, struct keyword *out)
{
    size_t count = json_is_array(value) ? json_array_size(value) : 1;
    bool ok = count > 0;
    for (size_t i = 0; i < count; i++) {
        int bit = type_bit(json_is_array(value) ? json_array_get(value, i) : value);
        ok = ok && bit >= 0;
        out->types |= bit >= 0 ? 1u << bit : 0;
    }
    out->value = value;
    return ok ||
           slc_part_fail(compiler, out->name, SLC_INVALID,
                         "must be one or some of object, array, string, number, integer, boolean and null");
}

static bool compile_enum(struct compiler *compiler, const json_t *value, struct keyword *out)
{
    out->value = value;
    return json_is_array(value) || slc_part_fail(compiler, out->name, SLC_INVALID, "must be a list");
}

static bool compile_const(struct compiler *compiler, const json_t *value, struct keyword *out)
{
    (void)compiler;
    out->value = value;
    return true;
}

static bool compile_number(struct compiler *compiler, const json_t *value, struct keyword *out)
{
    if (!json_is_number(value))
        return slc_part_fail(compiler, out->name, SLC_INVALID, "must be a number");
    out->number = slc_json_number(value);
    return true;
}

static bool compile_bound(struct compiler *compiler, const json_t *value, struct keyword *out)
{
    const struct part *part = compiler->current;
    const char *other = strcmp(out->name, "maximum") == 0 ? "exclusiveMaximum" : "exclusiveMinimum";
    out->exclusive = part->dialect == DRAFT_4 && json_is_true(json_object_get(part->source, other));
    return compile_number(compiler, value, out);
}

static bool compile_exclusive(struct compiler *compiler, const json_t *value, struct keyword *out)
{
    out->exclusive = true;
    return compile_number(compiler, value, out);
}

static bool compile_multiple(struct compiler *compiler, const json_t *value, struct keyword *out)
{
    return compile_number(compiler, value, out) &&
           (out->number.real > 0 || slc_part_fail(compiler, out->name, SLC_INVALID, "must be above 0"));
}

static bool read_count(struct compiler *compiler, const json_t *value, const char *name, uint64_t *out)
{
    int64_t count = -1;
    if (json_is_number(value)) {
        slc_number number = slc_json_number(value);
        if (!slc_number_int64(&number, &count))
            count = -1;
    }
    *out = (uint64_t)count;
    return count >= 0 || slc_part_fail(compiler, name, SLC_INVALID, "must be a whole number, 0 or above");
}

static bool compile_least(struct compiler *compiler, const json_t *value, struct keyword *out)
{
    out->max = UINT64_MAX;
    return read_count(compiler, value, out->name, &out->count);
}

static bool compile_most(struct compiler *compiler, const json_t *value, struct keyword *out)
{
    return read_count(compiler, value, out->name, &out->max);
}

static bool compile_pattern(struct compiler *compiler, const json_t *value, struct keyword *out)
{
    if (!json_is_string(value))
        return slc_part_fail(compiler, out->name, SLC_INVALID, "must be a string");
    out->re = pattern_of(compiler, out->name, json_string_value(value));
    return out->re != NULL;
}

static bool compile_unique(struct compiler *compiler, const json_t *value, struct keyword *out)
{
    if (!json_is_boolean(value))
        return slc_part_fail(compiler, out->name, SLC_INVALID, "must be true or false");
    if (json_is_false(value))
        out->check = NULL;
    return true;
}

/* minContains and maxContains mean nothing without it. */
static bool compile_contains(struct compiler *compiler, const json_t *value, struct keyword *out)
{
    const struct part *part = compiler->current;
    const json_t *least = json_object_get(part->source, "minContains");
    const json_t *most = json_object_get(part->source, "maxContains");
    bool counts = (part->dialect & SINCE_2019) != 0;
    out->count = 1;
    out->max = UINT64_MAX;
    out->marks = part->dialect == DRAFT_2020;
    return one_part(compiler, value, out) &&
           (!counts || least == NULL || read_count(compiler, least, "minContains", &out->count)) &&
           (!counts || most == NULL || read_count(compiler, most, "maxContains", &out->max));
}

/* Until 2019-09 a list is what prefixItems is now, and additionalItems is about the others. */
static bool compile_items(struct compiler *compiler, const json_t *value, struct keyword *out)
{
    const struct part *part = compiler->current;
    if (part->dialect != DRAFT_2020 && json_is_array(value)) {
        out->check = slc_check_prefix;
        return some_parts(compiler, value, out);
    }
    if (part->dialect == DRAFT_2020)
        out->count = json_array_size(json_object_get(part->source, "prefixItems"));
    return one_part(compiler, value, out);
}

static bool compile_additional_items(struct compiler *compiler, const json_t *value, struct keyword *out)
{
    const json_t *items = json_object_get(compiler->current->source, "items");
    if (!json_is_array(items))
        out->check = NULL;
    out->count = json_array_size(items);
    return one_part(compiler, value, out);
}

static bool compile_required(struct compiler *compiler, const json_t *value, struct keyword *out)
{
    out->value = value;
    return strings_only(value) || slc_part_fail(compiler, out->name, SLC_INVALID, "must list names");
}

static bool compile_properties(struct compiler *compiler, const json_t *value, struct keyword *out)
{
    return named_parts(compiler, value, out, true, false);
}

static bool compile_patterns(struct compiler *compiler, const json_t *value, struct keyword *out)
{
    bool ok = named_parts(compiler, value, out, true, false);
    for (size_t i = 0; ok && i < out->n; i++)
        ok = (out->named[i].re = pattern_of(compiler, out->name, out->named[i].name)) != NULL;
    return ok;
}

static bool compile_dependencies(struct compiler *compiler, const json_t *value, struct keyword *out)
{
    return named_parts(compiler, value, out, true, true);
}

static bool compile_dependent(struct compiler *compiler, const json_t *value, struct keyword *out)
{
    bool schemas = strcmp(out->name, "dependentSchemas") == 0;
    return named_parts(compiler, value, out, schemas, !schemas);
}

static bool compile_if(struct compiler *compiler, const json_t *value, struct keyword *out)
{
    static const char *const branches[] = {"then", "else"};
    const json_t *source = compiler->current->source;
    out->n = 3;
    out->parts = slc_calloc(3, sizeof *out->parts);
    bool ok = (out->parts[0] = inner_part(compiler, value)) != NULL;
    for (size_t i = 0; ok && i < 2; i++) {
        const json_t *branch = json_object_get(source, branches[i]);
        ok = branch == NULL || (out->parts[1 + i] = inner_part(compiler, branch)) != NULL;
    }
    return ok;
}

static bool compile_unevaluated(struct compiler *compiler, const json_t *value, struct keyword *out)
{
    compiler->current->wants_seen = true;
    out->max = (uint64_t)(strcmp(out->name, "unevaluatedItems") == 0 ? '[' : '{');
    return one_part(compiler, value, out);
}

/* In the order in which they are checked: what looks at all others comes last. */
static const struct entry table[] = {
    {"$ref", ALWAYS, NONE, compile_ref, slc_check_ref},
    {"$dynamicRef", DRAFT_2020, NONE, compile_foreign, NULL},
    {"$recursiveRef", DRAFT_2019, NONE, compile_foreign, NULL},
    {"$defs", SINCE_2019, MAP, NULL, NULL},
    {"definitions", ALWAYS, MAP, NULL, NULL},
    {"type", ALWAYS, NONE, compile_type, slc_check_type},
    {"enum", ALWAYS, NONE, compile_enum, slc_check_enum},
    {"const", SINCE_6, NONE, compile_const, slc_check_const},
    {"maximum", ALWAYS, NONE, compile_bound, slc_check_maximum},
    {"minimum", ALWAYS, NONE, compile_bound, slc_check_minimum},
    {"exclusiveMaximum", SINCE_6, NONE, compile_exclusive, slc_check_maximum},
    {"exclusiveMinimum", SINCE_6, NONE, compile_exclusive, slc_check_minimum},
    {"multipleOf", ALWAYS, NONE, compile_multiple, slc_check_multiple},
    {"minLength", ALWAYS, NONE, compile_least, slc_check_length},
    {"maxLength", ALWAYS, NONE, compile_most, slc_check_length},
    {"pattern", ALWAYS, NONE, compile_pattern, slc_check_pattern},
    {"minItems", ALWAYS, NONE, compile_least, slc_check_item_count},
    {"maxItems", ALWAYS, NONE, compile_most, slc_check_item_count},
    {"minProperties", ALWAYS, NONE, compile_least, slc_check_property_count},
    {"maxProperties", ALWAYS, NONE, compile_most, slc_check_property_count},
    {"required", ALWAYS, NONE, compile_required, slc_check_required},
    {"propertyNames", SINCE_6, ONE, one_part, slc_check_names},
    {"properties", ALWAYS, MAP, compile_properties, slc_check_properties},
    {"patternProperties", ALWAYS, MAP, compile_patterns, slc_check_patterns},
    {"additionalProperties", ALWAYS, ONE, one_part, slc_check_additional},
    {"dependencies", ALWAYS, MAP, compile_dependencies, slc_check_dependencies},
    {"dependentRequired", SINCE_2019, NONE, compile_dependent, slc_check_dependencies},
    {"dependentSchemas", SINCE_2019, MAP, compile_dependent, slc_check_dependencies},
    {"prefixItems", DRAFT_2020, LIST, many_parts, slc_check_prefix},
    {"items", ALWAYS, ONE_OR_LIST, compile_items, slc_check_items},
    {"additionalItems", UNTIL_2019, ONE, compile_additional_items, slc_check_items},
    {"contains", SINCE_6, ONE, compile_contains, slc_check_contains},
    {"uniqueItems", ALWAYS, NONE, compile_unique, slc_check_unique},
    {"allOf", ALWAYS, LIST, many_parts, slc_check_all_of},
    {"anyOf", ALWAYS, LIST, many_parts, slc_check_any_of},
    {"oneOf", ALWAYS, LIST, many_parts, slc_check_one_of},
    {"not", ALWAYS, ONE, one_part, slc_check_not},
    {"if", SINCE_7, ONE, compile_if, slc_check_if},
    {"then", SINCE_7, ONE, NULL, NULL},
    {"else", SINCE_7, ONE, NULL, NULL},
    {"unevaluatedItems", SINCE_2019, ONE, compile_unevaluated, slc_check_unevaluated},
    {"unevaluatedProperties", SINCE_2019, ONE, compile_unevaluated, slc_check_unevaluated},
};

#define TABLE_SIZE (sizeof table / sizeof table[0])

/* ---- a part ---- */

static const struct keyword *sibling(const struct part *part, const char *name)
{
    for (size_t i = 0; i < part->count; i++)
        if (strcmp(part->keywords[i].name, name) == 0)
            return &part->keywords[i];
    return NULL;
}

static bool compile_one(struct compiler *compiler, struct part *part, const struct entry *entry,
                        const json_t *value)
{
    struct keyword *out = &part->keywords[part->count++];
    out->name = entry->name;
    out->check = entry->check;
    if (entry->check == slc_check_additional) {
        out->properties = sibling(part, "properties");
        out->patterns = sibling(part, "patternProperties");
    }
    if (!entry->compile(compiler, value, out))
        return false;
    if (out->check == NULL) {
        slc_keyword_release(out);
        part->count--;
    }
    return true;
}

bool slc_keywords_compile(struct compiler *compiler, struct part *part)
{
    const json_t *reference = json_object_get(part->source, "$ref");
    bool alone = (part->dialect & UNTIL_7) != 0 && reference != NULL;
    part->keywords = slc_calloc(json_object_size(part->source) + 1, sizeof *part->keywords);
    compiler->schema->bytes += (json_object_size(part->source) + 1) * sizeof *part->keywords;
    for (size_t i = 0; i < TABLE_SIZE; i++) {
        const struct entry *entry = &table[i];
        const json_t *value = json_object_get(part->source, entry->name);
        if (value == NULL || entry->compile == NULL || (entry->drafts & (unsigned)part->dialect) == 0 ||
            (alone && i > 0))
            continue;
        if (!compile_one(compiler, part, entry, value))
            return false;
    }
    return true;
}

void slc_keyword_release(struct keyword *keyword)
{
    for (size_t i = 0; keyword->named != NULL && i < keyword->n; i++)
        slc_re2_free(keyword->named[i].re);
    free(keyword->named);
    free(keyword->parts);
    slc_strmap_release(&keyword->by_name);
    slc_re2_free(keyword->re);
    *keyword = (struct keyword){0};
}

void slc_keywords_each_inner(const json_t *source, enum dialect dialect,
                             bool (*fn)(void *ctx, const json_t *inner), void *ctx, bool *ok)
{
    for (size_t i = 0; i < TABLE_SIZE; i++) {
        const json_t *value = json_object_get(source, table[i].name), *item;
        enum inner inner = (table[i].drafts & (unsigned)dialect) != 0 && value != NULL ? table[i].inner : NONE;
        const char *name;
        size_t j;
        if (inner == ONE || (inner == ONE_OR_LIST && !json_is_array(value)))
            *ok = fn(ctx, value) && *ok;
        else if (inner == MAP)
            json_object_foreach ((json_t *)value, name, item)
                *ok = fn(ctx, item) && *ok;
        else if (inner != NONE)
            json_array_foreach ((json_t *)value, j, item)
                *ok = fn(ctx, item) && *ok;
    }
}
