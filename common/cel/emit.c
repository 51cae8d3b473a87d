#include "common/cel/emit.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/tz/tz_face.h"

#define MAX_OPS (SLC_CEL_MAX_CHARS * 2)

static const char *const kind_names[] = {"any value", "null", "bool", "int", "uint",      "double",   "string",
                                         "bytes",     "list", "map",  "map", "timestamp", "duration", "error"};

const char *slc_cel_kind_name(enum slc_cel_kind kind)
{
    return kind_names[kind];
}

/* Grows an array by doubling; `count` is what it holds. */
#define ROOM_FOR_ONE(array, count)                                                                             \
    do {                                                                                                       \
        if (((count) & ((count)-1)) == 0)                                                                      \
            (array) = slc_realloc((array), ((count) > 0 ? (count)*2 : 1) * sizeof *(array));                   \
    } while (0)

bool slc_cel_emit(slc_cel_emitter *emitter, slc_cel_op op)
{
    slc_cel *cel = emitter->cel;
    if (cel->op_count >= MAX_OPS)
        return slc_cel_fail_at(emitter->err, op.at, "the expression is too long");
    ROOM_FOR_ONE(cel->ops, cel->op_count);
    cel->ops[cel->op_count++] = op;
    return true;
}

static size_t add_constant(slc_cel *cel, slc_cel_value value)
{
    ROOM_FOR_ONE(cel->constants, cel->constant_count);
    cel->constants[cel->constant_count] = value;
    return cel->constant_count++;
}

bool slc_cel_emit_constant(slc_cel_emitter *emitter, slc_cel_value value, size_t at)
{
    return slc_cel_emit(emitter, (slc_cel_op){.code = SLC_CEL_CONST,
                                              .at = (uint16_t)at,
                                              .a = (uint16_t)add_constant(emitter->cel, value)});
}

bool slc_cel_expect(slc_cel_emitter *emitter, enum slc_cel_kind kind, enum slc_cel_kind wanted, size_t at)
{
    if (kind == wanted || kind == SLC_CEL_ANY || wanted == SLC_CEL_ANY)
        return true;
    return slc_cel_fail_at(emitter->err, at, "this is a value of kind %s, and must be of kind %s",
                           kind_names[kind], kind_names[wanted]);
}

/* ---- constants that stand together ---- */

/* Are the operations since `start` exactly `count` constants? */
static bool are_constants(const slc_cel *cel, size_t start, size_t count)
{
    if (cel->op_count != start + count)
        return false;
    for (size_t i = 0; i < count; i++)
        if (cel->ops[start + i].code != SLC_CEL_CONST)
            return false;
    return true;
}

static void gather(const slc_cel *cel, size_t start, size_t count, slc_cel_value *out)
{
    for (size_t i = 0; i < count; i++)
        out[i] = cel->constants[cel->ops[start + i].a];
}

/* A call of constants is made now, if its result needs no memory. One that fails is left: it may never be
 * evaluated. */
static bool fold_call(slc_cel_emitter *emitter, const slc_cel_function *first, size_t start, size_t argc,
                      size_t at, bool *folded)
{
    slc_cel_value args[SLC_CEL_MAX_ARGS], result;
    slc_cel_scratch scratch;
    *folded = false;
    if (argc > SLC_CEL_MAX_ARGS || !are_constants(emitter->cel, start, argc))
        return true;
    gather(emitter->cel, start, argc, args);
    const slc_cel_function *function = slc_cel_overload(first, args, argc);
    if (function == NULL || function->result == SLC_CEL_ANY || function->result == SLC_CEL_STRING ||
        function->result == SLC_CEL_BYTES || function->result == SLC_CEL_LIST)
        return true;
    scratch.used = 0;
    result = function->run(args, &scratch);
    if (result.kind == SLC_CEL_ERROR)
        return true;
    *folded = true;
    emitter->cel->op_count = start;
    return slc_cel_emit_constant(emitter, result, at);
}

bool slc_cel_emit_made(slc_cel_emitter *emitter, enum slc_cel_code code, size_t count, size_t start, size_t at)
{
    slc_cel *cel = emitter->cel;
    bool map = code == SLC_CEL_MAKE_MAP;
    size_t values = map ? count * 2 : count;
    if (!are_constants(cel, start, values))
        return slc_cel_emit(emitter,
                            (slc_cel_op){.code = (uint8_t)code, .at = (uint16_t)at, .a = (uint16_t)count});
    slc_cel_value *items = slc_calloc(values + 1, sizeof *items);
    gather(cel, start, values, items);
    const char *fault = map ? slc_cel_map_fault(items, count) : NULL;
    ROOM_FOR_ONE(cel->owned, cel->owned_count);
    cel->owned[cel->owned_count++] = items;
    if (fault != NULL)
        return slc_cel_fail_at(emitter->err, at, "%s", fault);
    cel->op_count = start;
    return slc_cel_emit_constant(
        emitter, (slc_cel_value){.kind = map ? SLC_CEL_MAP : SLC_CEL_LIST, .as.list = {items, count}}, at);
}

/* ---- calls ---- */

static bool may_take(const slc_cel_function *function, const enum slc_cel_kind *kinds, size_t argc)
{
    if (function->argc != argc)
        return false;
    for (size_t i = 0; i < argc; i++)
        if (function->args[i] != SLC_CEL_ANY && kinds[i] != SLC_CEL_ANY && function->args[i] != kinds[i])
            return false;
    return true;
}

/* How many overloads may be meant, and the kind of all their results. */
static size_t overloads(const slc_cel_function *first, const enum slc_cel_kind *kinds, size_t argc,
                        enum slc_cel_kind *result)
{
    size_t count = 0;
    for (const slc_cel_function *function = first;
         function->name != NULL && function->method == first->method &&
         strcmp(function->name, first->name) == 0;
         function++) {
        if (!may_take(function, kinds, argc))
            continue;
        *result = count == 0 || *result == function->result ? function->result : SLC_CEL_ANY;
        count++;
    }
    return count;
}

static bool unknown_function(slc_cel_emitter *emitter, const char *name, size_t len, bool method, size_t at)
{
    static const char *const loops[] = {"all", "exists", "exists_one", "map", "filter"};
    for (size_t i = 0; method && i < sizeof loops / sizeof *loops; i++)
        if (strlen(loops[i]) == len && memcmp(loops[i], name, len) == 0)
            return slc_cel_fail_at(emitter->err, at, "%s() is a loop, and there are no loops here", loops[i]);
    if (slc_cel_function_find(name, len, !method) != NULL)
        return slc_cel_fail_at(emitter->err, at,
                               method ? "%.*s() is called without a value before it"
                                      : "%.*s() is called with a value and a dot before it",
                               (int)len, name);
    return slc_cel_fail_at(emitter->err, at, "there is no function %.*s()", (int)len, name);
}

bool slc_cel_emit_call(slc_cel_emitter *emitter, const char *name, size_t len, bool method, size_t start,
                       const enum slc_cel_kind *kinds, size_t argc, size_t at, enum slc_cel_kind *result)
{
    const slc_cel_function *first = slc_cel_function_find(name, len, method);
    bool folded;
    if (first == NULL)
        return unknown_function(emitter, name, len, method, at);
    if (overloads(first, kinds, argc, result) == 0)
        return slc_cel_fail_at(emitter->err, at, "%s cannot be used with %s%s%s", first->name,
                               argc > 0 ? kind_names[kinds[0]] : "nothing", argc > 1 ? " and " : "",
                               argc > 1 ? kind_names[kinds[1]] : "");
    if (!fold_call(emitter, first, start, argc, at, &folded))
        return false;
    return folded || slc_cel_emit(emitter, (slc_cel_op){.code = SLC_CEL_CALL,
                                                        .argc = (uint8_t)argc,
                                                        .at = (uint16_t)at,
                                                        .function = first});
}

bool slc_cel_emit_matches(slc_cel_emitter *emitter, enum slc_cel_kind text, size_t pattern_start, size_t at)
{
    slc_cel *cel = emitter->cel;
    char reason[128];
    if (!slc_cel_expect(emitter, text, SLC_CEL_STRING, at))
        return false;
    if (!are_constants(cel, pattern_start, 1) ||
        cel->constants[cel->ops[pattern_start].a].kind != SLC_CEL_STRING)
        return slc_cel_fail_at(emitter->err, at,
                               "the pattern of matches() must be a text that is written here");
    const slc_cel_value *pattern = &cel->constants[cel->ops[pattern_start].a];
    slc_re2 *re2 = slc_re2_new(pattern->as.text.data, pattern->as.text.len, reason, sizeof reason);
    if (re2 == NULL)
        return slc_cel_fail_at(emitter->err, cel->ops[pattern_start].at, "no regular expression of RE2: %s",
                               reason);
    ROOM_FOR_ONE(cel->patterns, cel->pattern_count);
    cel->patterns[cel->pattern_count] = re2;
    cel->op_count--;
    return slc_cel_emit(
        emitter,
        (slc_cel_op){.code = SLC_CEL_MATCHES, .at = (uint16_t)at, .a = (uint16_t)cel->pattern_count++});
}

bool slc_cel_takes_zone(const char *name, size_t len)
{
    const slc_cel_function *function = slc_cel_function_find(name, len, true);
    for (; function != NULL && function->name != NULL && strlen(function->name) == len &&
           memcmp(function->name, name, len) == 0;
         function++)
        if (function->argc == 2 && function->args[0] == SLC_CEL_TIMESTAMP)
            return true;
    return false;
}

bool slc_cel_expect_zone(slc_cel_emitter *emitter, size_t start, size_t at)
{
    const slc_cel *cel = emitter->cel;
    const slc_cel_value *zone = are_constants(cel, start, 1) ? &cel->constants[cel->ops[start].a] : NULL;
    if (zone == NULL || zone->kind != SLC_CEL_STRING)
        return slc_cel_fail_at(emitter->err, at, "a time zone must be a text that is written here");
    return slc_tz_is_name(zone->as.text.data, zone->as.text.len) ||
           slc_cel_fail_at(emitter->err, cel->ops[start].at,
                           "a time zone is written like Europe/Berlin or +02:00");
}

const char *slc_cel_unknown_zone(const slc_cel *cel, size_t *len)
{
    for (size_t i = 1; i < cel->op_count; i++) {
        const slc_cel_op *call = &cel->ops[i], *last = &cel->ops[i - 1];
        if (call->code != SLC_CEL_CALL || call->argc != 2 || last->code != SLC_CEL_CONST ||
            !slc_cel_takes_zone(call->function->name, strlen(call->function->name)))
            continue;
        const slc_cel_value *zone = &cel->constants[last->a];
        if (slc_tz_is_known(zone->as.text.data, zone->as.text.len))
            continue;
        *len = zone->as.text.len;
        return zone->as.text.data;
    }
    return NULL;
}

/* ---- relations and containers ---- */

static bool check_looked_into(slc_cel_emitter *emitter, enum slc_cel_kind container, enum slc_cel_kind key,
                              size_t at)
{
    if (container != SLC_CEL_ANY && container != SLC_CEL_LIST && container != SLC_CEL_MAP &&
        container != SLC_CEL_LOOKUP)
        return slc_cel_fail_at(emitter->err, at, "this looks into a list or a map, not into a value of kind %s",
                               kind_names[container]);
    return container != SLC_CEL_LOOKUP || slc_cel_expect(emitter, key, SLC_CEL_STRING, at);
}

static bool check_equality(slc_cel_emitter *emitter, enum slc_cel_kind a, enum slc_cel_kind b, size_t at)
{
    bool numbers = slc_cel_is_number(a) && slc_cel_is_number(b);
    if (a == SLC_CEL_LOOKUP || b == SLC_CEL_LOOKUP)
        return slc_cel_fail_at(emitter->err, at, "this map cannot be compared, only looked into");
    if (a == b || numbers || a == SLC_CEL_ANY || b == SLC_CEL_ANY || a == SLC_CEL_NULL || b == SLC_CEL_NULL)
        return true;
    return slc_cel_fail_at(emitter->err, at, "a value of kind %s never equals one of kind %s", kind_names[a],
                           kind_names[b]);
}

bool slc_cel_emit_relation(slc_cel_emitter *emitter, const char *sign, enum slc_cel_kind a, enum slc_cel_kind b,
                           size_t at)
{
    static const struct {
        const char *sign;
        enum slc_cel_code code;
    } codes[] = {{"==", SLC_CEL_EQUAL}, {"!=", SLC_CEL_DIFFERENT},
                 {"<", SLC_CEL_BEFORE}, {"<=", SLC_CEL_BEFORE_OR_SAME},
                 {">", SLC_CEL_AFTER},  {">=", SLC_CEL_AFTER_OR_SAME},
                 {"in", SLC_CEL_IN}};
    size_t i = 0;
    while (strcmp(codes[i].sign, sign) != 0)
        i++;
    bool ok = codes[i].code == SLC_CEL_IN ? check_looked_into(emitter, b, a, at)
              : i < 2                     ? check_equality(emitter, a, b, at)
                                          : slc_cel_orderable(a, b) ||
                            slc_cel_fail_at(emitter->err, at, "%s cannot be used with %s and %s", sign,
                                            kind_names[a], kind_names[b]);
    return ok && slc_cel_emit(emitter, (slc_cel_op){.code = (uint8_t)codes[i].code, .at = (uint16_t)at});
}

bool slc_cel_emit_index(slc_cel_emitter *emitter, enum slc_cel_kind container, enum slc_cel_kind key, size_t at)
{
    return check_looked_into(emitter, container, key, at) &&
           slc_cel_emit(emitter, (slc_cel_op){.code = SLC_CEL_INDEX, .at = (uint16_t)at});
}

bool slc_cel_emit_select(slc_cel_emitter *emitter, enum slc_cel_kind map, const char *name, size_t len,
                         size_t at)
{
    if (map != SLC_CEL_ANY && map != SLC_CEL_MAP && map != SLC_CEL_LOOKUP)
        return slc_cel_fail_at(emitter->err, at, "a value of kind %s has no field %.*s", kind_names[map],
                               (int)len, name);
    slc_cel_op op = {.code = SLC_CEL_SELECT,
                     .at = (uint16_t)at,
                     .a = (uint16_t)add_constant(emitter->cel, slc_cel_string(name, len))};
    if (!slc_cel_emit(emitter, op))
        return false;
    emitter->selected = emitter->cel->op_count;
    return true;
}

bool slc_cel_emit_has(slc_cel_emitter *emitter, size_t at)
{
    slc_cel *cel = emitter->cel;
    if (emitter->selected != cel->op_count)
        return slc_cel_fail_at(emitter->err, at, "has() asks for a field, as in has(request.headers.accept)");
    slc_cel_op *op = &cel->ops[cel->op_count - 1];
    op->code = op->code == SLC_CEL_SELECT ? SLC_CEL_HAS_FIELD : SLC_CEL_HAS_VAR;
    emitter->selected = 0;
    return true;
}

/* ---- the stack ---- */

/* What an operation adds to the stack, in the order of the text: after a jump the other branch begins with one
 * value less. */
static int growth(const slc_cel_op *op)
{
    switch ((enum slc_cel_code)op->code) {
    case SLC_CEL_CONST:
    case SLC_CEL_VARIABLE:
    case SLC_CEL_HAS_VAR:
        return 1;
    case SLC_CEL_SELECT:
    case SLC_CEL_HAS_FIELD:
    case SLC_CEL_MATCHES:
    case SLC_CEL_NOT:
    case SLC_CEL_AND_JUMP:
    case SLC_CEL_OR_JUMP:
        return 0;
    case SLC_CEL_MAKE_LIST:
        return 1 - op->a;
    case SLC_CEL_MAKE_MAP:
        return 1 - 2 * op->a;
    case SLC_CEL_CALL:
        return 1 - op->argc;
    default:
        return -1;
    }
}

bool slc_cel_check_stack(slc_cel_emitter *emitter)
{
    int depth = 0;
    for (size_t i = 0; i < emitter->cel->op_count; i++) {
        depth += growth(&emitter->cel->ops[i]);
        if (depth > SLC_CEL_MAX_STACK)
            return slc_cel_fail_at(emitter->err, emitter->cel->ops[i].at,
                                   "too many values at once: write shorter lists, or constants");
    }
    return true;
}
