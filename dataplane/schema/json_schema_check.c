/* A value against a compiled schema. Stops at the first thing that is wrong. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "dataplane/schema/json_schema_private.h"

/* ---- helpers ---- */

static const slc_tape_node *at(const struct run *run, uint32_t node)
{
    return &run->tape->nodes[node];
}

/* The alternatives that do not fit are nobody's fault. */
static bool fault(struct run *run, uint32_t node, const char *fmt, ...) SLC_PRINTF(3, 4);
static bool fault(struct run *run, uint32_t node, const char *fmt, ...)
{
    if (run->quiet > 0 || run->fault->code != SLC_OK)
        return false;
    va_list args;
    va_start(args, fmt);
    vsnprintf(run->fault->message, sizeof run->fault->message, fmt, args);
    va_end(args);
    run->fault->code = SLC_INVALID;
    slc_tape_pointer(run->tape, node, run->fault->pointer, sizeof run->fault->pointer);
    return false;
}

/* Ends everything, alternatives too. */
static bool give_up(struct run *run, uint32_t node, const char *why)
{
    run->quiet = 0;
    run->steps_left = 0;
    if (run->fault->code != SLC_LIMIT) {
        run->fault->code = SLC_OK;
        fault(run, node, "%s", why);
        run->fault->code = SLC_LIMIT;
    }
    return false;
}

static bool gave_up(const struct run *run)
{
    return run->fault->code == SLC_LIMIT;
}

static bool spend(struct run *run, uint32_t node, uint64_t steps)
{
    if (run->steps_left < steps)
        return give_up(run, node, "takes more steps to check than it may take");
    run->steps_left -= steps;
    return true;
}

static bool step(struct run *run, uint32_t node)
{
    return spend(run, node, 1);
}

#define EACH_CHILD(run, node, child)                                                                           \
    for (uint32_t child = (node) + 1; child < at(run, node)->next; child = at(run, child)->next)

static slc_number number_at(const struct run *run, uint32_t node)
{
    return slc_number_read(run->tape->text + at(run, node)->at, at(run, node)->len);
}

/* Fits, or not; either way nobody is at fault. */
static bool fits(struct run *run, const struct part *part, uint32_t node, uint8_t *seen)
{
    run->quiet++;
    bool ok = slc_part_check(run, part, node, seen);
    if (!gave_up(run))
        run->quiet--;
    return ok;
}

static uint8_t *new_seen(const struct run *run, uint32_t node)
{
    return slc_calloc((size_t)at(run, node)->count + 1, 1);
}

static void merge_seen(const struct run *run, uint32_t node, uint8_t *into, const uint8_t *from)
{
    for (uint32_t i = 0; into != NULL && i < at(run, node)->count; i++)
        into[i] |= from[i];
}

/* What one of several schemas looked at counts only when it fits. */
static bool fits_apart(struct run *run, const struct part *part, uint32_t node, uint8_t *seen)
{
    if (seen == NULL)
        return fits(run, part, node, NULL);
    uint8_t *own = new_seen(run, node);
    bool ok = fits(run, part, node, own);
    if (ok)
        merge_seen(run, node, seen, own);
    free(own);
    return ok;
}

bool slc_part_check(struct run *run, const struct part *part, uint32_t node, uint8_t *seen)
{
    bool ok = true;
    if (!step(run, node))
        return false;
    if (run->depth == SLC_JSON_SCHEMA_MAX_DEPTH)
        return give_up(run, node, "leads to schemas within each other without end, or nearly");
    if (part->never)
        return fault(run, node, "is not allowed");
    uint8_t *own = part->wants_seen ? new_seen(run, node) : seen;
    run->depth++;
    for (size_t i = 0; ok && i < part->count; i++)
        ok = part->keywords[i].check(run, &part->keywords[i], node, own);
    run->depth--;
    if (part->wants_seen) {
        if (ok)
            merge_seen(run, node, seen, own);
        free(own);
    }
    return ok;
}

/* ---- any value ---- */

bool slc_check_ref(struct run *run, const struct keyword *keyword, uint32_t node, uint8_t *seen)
{
    return slc_part_check(run, keyword->parts[0], node, seen);
}

/* The bits are those of json_schema_keywords.c: the place in this text. */
static const char type_letters[] = "{[\"0tn";

bool slc_check_type(struct run *run, const struct keyword *keyword, uint32_t node, uint8_t *seen)
{
    char type = at(run, node)->type == 'f' ? 't' : at(run, node)->type;
    (void)seen;
    if ((keyword->types & 1u << (strchr(type_letters, type) - type_letters)) != 0)
        return true;
    if (type == '0' && (keyword->types & 1u << 6) != 0) { /* integer */
        slc_number number = number_at(run, node);
        if (slc_number_is_whole(&number))
            return true;
    }
    if (json_is_string(keyword->value))
        return fault(run, node, "must be of the type %.20s", json_string_value(keyword->value));
    return fault(run, node, "is of none of the %zu types that it may have", json_array_size(keyword->value));
}

slc_number slc_json_number(const json_t *value)
{
    char text[40] = "0";
    if (json_is_integer(value))
        snprintf(text, sizeof text, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    for (int digits = 15; json_is_real(value) && digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, json_real_value(value));
        if (strtod(text, NULL) == json_real_value(value))
            break;
    }
    return slc_number_read(text, strlen(text));
}

static char json_letter(const json_t *value)
{
    static const char letters[] = {
        [JSON_OBJECT] = '{', [JSON_ARRAY] = '[', [JSON_STRING] = '"', [JSON_INTEGER] = '0',
        [JSON_REAL] = '0',   [JSON_TRUE] = 't',  [JSON_FALSE] = 'f',  [JSON_NULL] = 'n'};
    return letters[json_typeof(value)];
}

static bool equals(struct run *run, uint32_t node, const json_t *value)
{
    const slc_tape_node *n = at(run, node);
    size_t i = 0;
    if (n->type != json_letter(value) || !step(run, node))
        return false;
    switch (n->type) {
    case '"':
        return slc_text_is(slc_tape_string(run->tape, node), json_string_value(value),
                           json_string_length(value));
    case '0': {
        slc_number a = number_at(run, node), b = slc_json_number(value);
        return slc_number_compare(&a, &b) == 0;
    }
    case '[':
        if (n->count != json_array_size(value))
            return false;
        EACH_CHILD(run, node, child)
        if (!equals(run, child, json_array_get(value, i++)))
            return false;
        return true;
    case '{':
        if (n->count != json_object_size(value))
            return false;
        EACH_CHILD(run, node, child)
        {
            slc_text name = slc_tape_name(run->tape, child);
            const json_t *other = json_object_getn(value, name.data, name.len);
            if (other == NULL || !equals(run, child, other))
                return false;
        }
        return true;
    default:
        return true;
    }
}

bool slc_check_enum(struct run *run, const struct keyword *keyword, uint32_t node, uint8_t *seen)
{
    size_t i;
    json_t *value;
    (void)seen;
    json_array_foreach (keyword->value, i, value)
        if (equals(run, node, value))
            return true;
    return fault(run, node, "is none of the %zu values that it may have", json_array_size(keyword->value));
}

bool slc_check_const(struct run *run, const struct keyword *keyword, uint32_t node, uint8_t *seen)
{
    (void)seen;
    return equals(run, node, keyword->value) || fault(run, node, "is not the one value that it may have");
}

/* ---- numbers and strings ---- */

bool slc_check_maximum(struct run *run, const struct keyword *keyword, uint32_t node, uint8_t *seen)
{
    (void)seen;
    if (at(run, node)->type != '0')
        return true;
    slc_number number = number_at(run, node);
    int order = slc_number_compare(&number, &keyword->number);
    return order < 0 || (order == 0 && !keyword->exclusive) ||
           fault(run, node, "is above its %s", keyword->name);
}

bool slc_check_minimum(struct run *run, const struct keyword *keyword, uint32_t node, uint8_t *seen)
{
    (void)seen;
    if (at(run, node)->type != '0')
        return true;
    slc_number number = number_at(run, node);
    int order = slc_number_compare(&number, &keyword->number);
    return order > 0 || (order == 0 && !keyword->exclusive) ||
           fault(run, node, "is below its %s", keyword->name);
}

bool slc_check_multiple(struct run *run, const struct keyword *keyword, uint32_t node, uint8_t *seen)
{
    (void)seen;
    if (at(run, node)->type != '0')
        return true;
    slc_number number = number_at(run, node);
    return slc_number_is_multiple(&number, &keyword->number) ||
           fault(run, node, "is no multiple of its multipleOf");
}

static bool within(struct run *run, const struct keyword *keyword, uint32_t node, uint64_t count,
                   const char *what)
{
    if (count < keyword->count)
        return fault(run, node, "has %llu %s; it must have at least %llu", (unsigned long long)count, what,
                     (unsigned long long)keyword->count);
    return count <= keyword->max || fault(run, node, "has %llu %s; it may have at most %llu",
                                          (unsigned long long)count, what, (unsigned long long)keyword->max);
}

bool slc_check_length(struct run *run, const struct keyword *keyword, uint32_t node, uint8_t *seen)
{
    uint64_t count = 0;
    (void)seen;
    if (at(run, node)->type != '"')
        return true;
    slc_text text = slc_tape_string(run->tape, node);
    for (size_t i = 0; i < text.len; i++)
        count += ((uint8_t)text.data[i] & 0xc0) != 0x80 ? 1 : 0;
    return within(run, keyword, node, count, "characters");
}

bool slc_check_pattern(struct run *run, const struct keyword *keyword, uint32_t node, uint8_t *seen)
{
    (void)seen;
    if (at(run, node)->type != '"')
        return true;
    slc_text text = slc_tape_string(run->tape, node);
    return slc_re2_matches_within(keyword->re, text.data, text.len) ||
           fault(run, node, "does not match its pattern");
}

/* ---- arrays ---- */

bool slc_check_item_count(struct run *run, const struct keyword *keyword, uint32_t node, uint8_t *seen)
{
    (void)seen;
    return at(run, node)->type != '[' || within(run, keyword, node, at(run, node)->count, "elements");
}

struct hashed {
    uint64_t hash;
    uint32_t node;
};

static int by_hash(const void *a, const void *b)
{
    const struct hashed *x = a, *y = b;
    return x->hash != y->hash ? (x->hash > y->hash) - (x->hash < y->hash)
                              : (x->node > y->node) - (x->node < y->node);
}

bool slc_check_unique(struct run *run, const struct keyword *keyword, uint32_t node, uint8_t *seen)
{
    const slc_tape_node *n = at(run, node);
    (void)keyword, (void)seen;
    if (n->type != '[' || n->count < 2)
        return true;
    struct hashed *all = slc_calloc(n->count, sizeof *all);
    size_t count = 0;
    uint32_t twice = 0;
    EACH_CHILD(run, node, child)
    all[count++] = (struct hashed){slc_tape_hash(run->tape, child), child};
    qsort(all, count, sizeof *all, by_hash);
    for (size_t i = 0; twice == 0 && i < count; i++)
        for (size_t j = i + 1; twice == 0 && j < count && all[j].hash == all[i].hash && step(run, node); j++)
            twice = slc_tape_equal(run->tape, all[i].node, all[j].node) ? all[j].node : 0;
    free(all);
    return !gave_up(run) && (twice == 0 || fault(run, twice, "is there twice; the elements must be unique"));
}

bool slc_check_contains(struct run *run, const struct keyword *keyword, uint32_t node, uint8_t *seen)
{
    uint64_t found = 0;
    uint32_t i = 0;
    if (at(run, node)->type != '[')
        return true;
    EACH_CHILD(run, node, child)
    {
        bool ok = fits(run, keyword->parts[0], child, NULL);
        found += ok ? 1 : 0;
        if (ok && keyword->marks && seen != NULL)
            seen[i] = 1;
        i++;
    }
    if (gave_up(run))
        return false;
    return within(run, keyword, node, found, "elements as its contains wants them");
}

bool slc_check_prefix(struct run *run, const struct keyword *keyword, uint32_t node, uint8_t *seen)
{
    uint32_t i = 0;
    if (at(run, node)->type != '[')
        return true;
    EACH_CHILD(run, node, child)
    {
        if (i == keyword->n)
            break;
        if (!slc_part_check(run, keyword->parts[i], child, NULL))
            return false;
        if (seen != NULL)
            seen[i] = 1;
        i++;
    }
    return true;
}

/* `count`: so many are others' business. */
bool slc_check_items(struct run *run, const struct keyword *keyword, uint32_t node, uint8_t *seen)
{
    uint32_t i = 0;
    if (at(run, node)->type != '[')
        return true;
    EACH_CHILD(run, node, child)
    {
        if (i >= keyword->count) {
            if (!slc_part_check(run, keyword->parts[0], child, NULL))
                return false;
            if (seen != NULL)
                seen[i] = 1;
        }
        i++;
    }
    return true;
}

/* ---- objects ---- */

bool slc_check_property_count(struct run *run, const struct keyword *keyword, uint32_t node, uint8_t *seen)
{
    (void)seen;
    return at(run, node)->type != '{' || within(run, keyword, node, at(run, node)->count, "members");
}

static bool has(struct run *run, uint32_t node, const char *name, size_t len)
{
    EACH_CHILD(run, node, child)
    if (slc_text_is(slc_tape_name(run->tape, child), name, len))
        return true;
    return false;
}

static bool has_all(struct run *run, uint32_t node, const json_t *names)
{
    size_t i;
    json_t *name;
    json_array_foreach (names, i, name) {
        if (!spend(run, node, at(run, node)->count + 1))
            return false;
        if (!has(run, node, json_string_value(name), json_string_length(name)))
            return fault(run, node, "lacks the member \"%.100s\"", json_string_value(name));
    }
    return true;
}

bool slc_check_required(struct run *run, const struct keyword *keyword, uint32_t node, uint8_t *seen)
{
    (void)seen;
    return at(run, node)->type != '{' || has_all(run, node, keyword->value);
}

bool slc_check_properties(struct run *run, const struct keyword *keyword, uint32_t node, uint8_t *seen)
{
    uint32_t i = 0;
    if (at(run, node)->type != '{')
        return true;
    EACH_CHILD(run, node, child)
    {
        slc_text name = slc_tape_name(run->tape, child);
        const struct named *named = slc_strmap_find(&keyword->by_name, name.data, name.len);
        if (named != NULL && !slc_part_check(run, named->schema, child, NULL))
            return false;
        if (named != NULL && seen != NULL)
            seen[i] = 1;
        i++;
    }
    return true;
}

bool slc_check_patterns(struct run *run, const struct keyword *keyword, uint32_t node, uint8_t *seen)
{
    uint32_t i = 0;
    if (at(run, node)->type != '{')
        return true;
    EACH_CHILD(run, node, child)
    {
        for (size_t j = 0; j < keyword->n; j++) {
            slc_text name = slc_tape_name(run->tape, child);
            if (!step(run, node))
                return false;
            if (!slc_re2_matches_within(keyword->named[j].re, name.data, name.len))
                continue;
            if (!slc_part_check(run, keyword->named[j].schema, child, NULL))
                return false;
            if (seen != NULL)
                seen[i] = 1;
        }
        i++;
    }
    return true;
}

static bool is_anothers(struct run *run, const struct keyword *keyword, uint32_t child)
{
    slc_text name = slc_tape_name(run->tape, child);
    if (keyword->properties != NULL &&
        slc_strmap_find(&keyword->properties->by_name, name.data, name.len) != NULL)
        return true;
    for (size_t i = 0; keyword->patterns != NULL && i < keyword->patterns->n && step(run, child); i++)
        if (slc_re2_matches_within(keyword->patterns->named[i].re, name.data, name.len))
            return true;
    return false;
}

bool slc_check_additional(struct run *run, const struct keyword *keyword, uint32_t node, uint8_t *seen)
{
    uint32_t i = 0;
    if (at(run, node)->type != '{')
        return true;
    EACH_CHILD(run, node, child)
    {
        if (!is_anothers(run, keyword, child)) {
            if (gave_up(run) || !slc_part_check(run, keyword->parts[0], child, NULL))
                return false;
            if (seen != NULL)
                seen[i] = 1;
        }
        i++;
    }
    return true;
}

/* A name is checked as the string that it is: on a tape of its own, which is rare enough. */
bool slc_check_names(struct run *run, const struct keyword *keyword, uint32_t node, uint8_t *seen)
{
    bool ok = true;
    (void)seen;
    if (at(run, node)->type != '{')
        return true;
    EACH_CHILD(run, node, child)
    {
        const slc_tape_node *n = at(run, child);
        slc_tape_node alone = {
            .at = n->name_at - 1, .len = n->name_len + 2, .next = 1, .type = '"', .escaped = n->name_escaped};
        slc_tape tape = {.text = run->tape->text, .nodes = &alone, .count = 1, .cap = 1};
        slc_schema_fault unused = {0};
        slc_buf_init(&tape.scratch, UINT32_MAX);
        struct run inner = {
            .tape = &tape, .fault = &unused, .steps_left = run->steps_left, .depth = run->depth};
        ok = slc_part_check(&inner, keyword->parts[0], 0, NULL);
        run->steps_left = inner.steps_left;
        slc_buf_release(&tape.scratch);
        if (!ok && unused.code == SLC_LIMIT)
            return give_up(run, child, unused.message);
        if (!ok)
            return fault(run, child, "has a name that it may not have: it %.150s", unused.message);
    }
    return ok;
}

bool slc_check_dependencies(struct run *run, const struct keyword *keyword, uint32_t node, uint8_t *seen)
{
    if (at(run, node)->type != '{')
        return true;
    for (size_t i = 0; i < keyword->n; i++) {
        const struct named *named = &keyword->named[i];
        if (!spend(run, node, at(run, node)->count + 1))
            return false;
        if (!has(run, node, named->name, named->len))
            continue;
        if (named->schema != NULL ? !slc_part_check(run, named->schema, node, seen)
                                  : !has_all(run, node, named->list))
            return false;
    }
    return true;
}

/* ---- several schemas ---- */

bool slc_check_all_of(struct run *run, const struct keyword *keyword, uint32_t node, uint8_t *seen)
{
    for (size_t i = 0; i < keyword->n; i++)
        if (!slc_part_check(run, keyword->parts[i], node, seen))
            return false;
    return true;
}

bool slc_check_any_of(struct run *run, const struct keyword *keyword, uint32_t node, uint8_t *seen)
{
    bool any = false;
    for (size_t i = 0; i < keyword->n && (!any || seen != NULL); i++) /* what all of them see is asked for */
        any = fits_apart(run, keyword->parts[i], node, seen) || any;
    return !gave_up(run) && (any || fault(run, node, "fits none of its %zu alternatives (anyOf)", keyword->n));
}

bool slc_check_one_of(struct run *run, const struct keyword *keyword, uint32_t node, uint8_t *seen)
{
    size_t found = 0;
    for (size_t i = 0; i < keyword->n && found < 2; i++)
        found += fits_apart(run, keyword->parts[i], node, seen) ? 1 : 0;
    if (gave_up(run))
        return false;
    if (found == 0)
        return fault(run, node, "fits none of its %zu alternatives (oneOf)", keyword->n);
    return found == 1 || fault(run, node, "fits more than one of its alternatives (oneOf)");
}

bool slc_check_not(struct run *run, const struct keyword *keyword, uint32_t node, uint8_t *seen)
{
    (void)seen;
    bool ok = fits(run, keyword->parts[0], node, NULL);
    return !gave_up(run) && (!ok || fault(run, node, "is what it must not be (not)"));
}

/* parts: if, then, else; either of the latter may be NULL. */
bool slc_check_if(struct run *run, const struct keyword *keyword, uint32_t node, uint8_t *seen)
{
    bool ok = fits_apart(run, keyword->parts[0], node, seen);
    if (gave_up(run))
        return false;
    const struct part *then = keyword->parts[ok ? 1 : 2];
    return then == NULL || slc_part_check(run, then, node, seen);
}

bool slc_check_unevaluated(struct run *run, const struct keyword *keyword, uint32_t node, uint8_t *seen)
{
    uint32_t i = 0;
    if (at(run, node)->type != (char)keyword->max)
        return true;
    EACH_CHILD(run, node, child)
    {
        if (!seen[i] && !slc_part_check(run, keyword->parts[0], child, NULL))
            return false;
        seen[i++] = 1;
    }
    return true;
}

bool slc_json_schema_check(const slc_json_schema *schema, slc_tape *tape, uint64_t max_steps,
                           slc_schema_fault *fault)
{
    struct run run = {.tape = tape, .fault = fault, .steps_left = max_steps};
    fault->code = SLC_OK;
    return slc_part_check(&run, schema->root, 0, NULL);
}
