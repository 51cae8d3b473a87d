/* CEL's functions: finding them, and arithmetic. */
#include <string.h>

#include "common/cel/cel_private.h"

#define I SLC_CEL_INT
#define U SLC_CEL_UINT
#define D SLC_CEL_DOUBLE

slc_cel_value slc_cel_error(const char *message)
{
    return (slc_cel_value){.kind = SLC_CEL_ERROR, .as.error.message = message};
}

slc_cel_value slc_cel_bool(bool value)
{
    return (slc_cel_value){.kind = SLC_CEL_BOOL, .as.boolean = value};
}

slc_cel_value slc_cel_int(int64_t value)
{
    return (slc_cel_value){.kind = SLC_CEL_INT, .as.integer = value};
}

slc_cel_value slc_cel_string(const char *text, size_t len)
{
    return (slc_cel_value){.kind = SLC_CEL_STRING, .as.text = {text, len}};
}

void *slc_cel_take(slc_cel_scratch *scratch, size_t len)
{
    size_t unit = sizeof(max_align_t), rounded = (len + unit - 1) / unit * unit;
    if (len > sizeof scratch->bytes || rounded > sizeof scratch->bytes - scratch->used)
        return NULL;
    void *taken = scratch->bytes + scratch->used;
    scratch->used += rounded;
    return taken;
}

slc_cel_value slc_cel_make_string(slc_cel_scratch *scratch, const char *data, size_t len)
{
    char *copy = slc_cel_take(scratch, len);
    if (copy == NULL)
        return slc_cel_error("the texts that are made here are too long");
    if (len > 0)
        memcpy(copy, data, len);
    return slc_cel_string(copy, len);
}

/* ---- finding ---- */

static const slc_cel_function *const tables[] = {slc_cel_arithmetic, slc_cel_strings, slc_cel_conversions,
                                                 slc_cel_times};

static bool is_called(const slc_cel_function *function, const char *name, size_t len, bool method)
{
    return function->method == method && strncmp(function->name, name, len) == 0 && function->name[len] == '\0';
}

const slc_cel_function *slc_cel_function_find(const char *name, size_t len, bool method)
{
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        for (const slc_cel_function *function = tables[i]; function->name != NULL; function++)
            if (is_called(function, name, len, method))
                return function;
    return NULL;
}

static bool takes(const slc_cel_function *function, const slc_cel_value *args)
{
    for (size_t i = 0; i < function->argc; i++)
        if (function->args[i] != SLC_CEL_ANY && function->args[i] != args[i].kind)
            return false;
    return true;
}

const slc_cel_function *slc_cel_overload(const slc_cel_function *first, const slc_cel_value *args, size_t argc)
{
    for (const slc_cel_function *function = first;
         function->name != NULL && is_called(function, first->name, strlen(first->name), first->method);
         function++)
        if (function->argc == argc && takes(function, args))
            return function;
    return NULL;
}

/* ---- arithmetic ---- */

static slc_cel_value make_uint(uint64_t value)
{
    return (slc_cel_value){.kind = SLC_CEL_UINT, .as.natural = value};
}

static slc_cel_value make_double(double value)
{
    return (slc_cel_value){.kind = SLC_CEL_DOUBLE, .as.real = value};
}

static const char overflow[] = "the result does not fit into a number";
static const char by_zero[] = "division by zero";

#define INTS(name, builtin)                                                                                    \
    static slc_cel_value name##_ints(const slc_cel_value *args, slc_cel_scratch *scratch)                      \
    {                                                                                                          \
        int64_t result;                                                                                        \
        (void)scratch;                                                                                         \
        return builtin(args[0].as.integer, args[1].as.integer, &result) ? slc_cel_error(overflow)              \
                                                                        : slc_cel_int(result);                 \
    }
#define UINTS(name, builtin)                                                                                   \
    static slc_cel_value name##_uints(const slc_cel_value *args, slc_cel_scratch *scratch)                     \
    {                                                                                                          \
        uint64_t result;                                                                                       \
        (void)scratch;                                                                                         \
        return builtin(args[0].as.natural, args[1].as.natural, &result) ? slc_cel_error(overflow)              \
                                                                        : make_uint(result);                   \
    }
#define DOUBLES(name, operator)                                                                                \
    static slc_cel_value name##_doubles(const slc_cel_value *args, slc_cel_scratch *scratch)                   \
    {                                                                                                          \
        (void)scratch;                                                                                         \
        return make_double(args[0].as.real operator args[1].as.real);                                          \
    }

INTS(add, __builtin_add_overflow)
INTS(subtract, __builtin_sub_overflow)
INTS(multiply, __builtin_mul_overflow)
UINTS(add, __builtin_add_overflow)
UINTS(subtract, __builtin_sub_overflow)
UINTS(multiply, __builtin_mul_overflow)
DOUBLES(add, +)
DOUBLES(subtract, -)
DOUBLES(multiply, *)

/* IEEE 754 has an answer for zero, C only with Annex F; both compilers follow it. */
__attribute__((no_sanitize("float-divide-by-zero"))) DOUBLES(divide, /)

    static slc_cel_value divide_ints(const slc_cel_value *args, slc_cel_scratch *scratch)
{
    (void)scratch;
    if (args[1].as.integer == 0)
        return slc_cel_error(by_zero);
    if (args[0].as.integer == INT64_MIN && args[1].as.integer == -1)
        return slc_cel_error(overflow);
    return slc_cel_int(args[0].as.integer / args[1].as.integer);
}

static slc_cel_value divide_uints(const slc_cel_value *args, slc_cel_scratch *scratch)
{
    (void)scratch;
    return args[1].as.natural == 0 ? slc_cel_error(by_zero)
                                   : make_uint(args[0].as.natural / args[1].as.natural);
}

static slc_cel_value rest_of_ints(const slc_cel_value *args, slc_cel_scratch *scratch)
{
    (void)scratch;
    if (args[1].as.integer == 0)
        return slc_cel_error(by_zero);
    if (args[0].as.integer == INT64_MIN && args[1].as.integer == -1)
        return slc_cel_error(overflow);
    return slc_cel_int(args[0].as.integer % args[1].as.integer);
}

static slc_cel_value rest_of_uints(const slc_cel_value *args, slc_cel_scratch *scratch)
{
    (void)scratch;
    return args[1].as.natural == 0 ? slc_cel_error(by_zero)
                                   : make_uint(args[0].as.natural % args[1].as.natural);
}

static slc_cel_value negate_int(const slc_cel_value *args, slc_cel_scratch *scratch)
{
    (void)scratch;
    return args[0].as.integer == INT64_MIN ? slc_cel_error(overflow) : slc_cel_int(-args[0].as.integer);
}

static slc_cel_value negate_double(const slc_cel_value *args, slc_cel_scratch *scratch)
{
    (void)scratch;
    return make_double(-args[0].as.real);
}

/* "+" is continued for texts and times: all of its overloads must lie together. */
const slc_cel_function slc_cel_arithmetic[] = {
    {"+", false, 2, {I, I}, I, add_ints},
    {"+", false, 2, {U, U}, U, add_uints},
    {"+", false, 2, {D, D}, D, add_doubles},
    {"+", false, 2, {SLC_CEL_STRING, SLC_CEL_STRING}, SLC_CEL_STRING, slc_cel_add_texts},
    {"+", false, 2, {SLC_CEL_BYTES, SLC_CEL_BYTES}, SLC_CEL_BYTES, slc_cel_add_texts},
    {"+", false, 2, {SLC_CEL_LIST, SLC_CEL_LIST}, SLC_CEL_LIST, slc_cel_add_lists},
    {"+", false, 2, {SLC_CEL_TIMESTAMP, SLC_CEL_DURATION}, SLC_CEL_TIMESTAMP, slc_cel_add_times},
    {"+", false, 2, {SLC_CEL_DURATION, SLC_CEL_TIMESTAMP}, SLC_CEL_TIMESTAMP, slc_cel_add_times},
    {"+", false, 2, {SLC_CEL_DURATION, SLC_CEL_DURATION}, SLC_CEL_DURATION, slc_cel_add_times},
    {"-", false, 2, {I, I}, I, subtract_ints},
    {"-", false, 2, {U, U}, U, subtract_uints},
    {"-", false, 2, {D, D}, D, subtract_doubles},
    {"-", false, 2, {SLC_CEL_TIMESTAMP, SLC_CEL_DURATION}, SLC_CEL_TIMESTAMP, slc_cel_subtract_times},
    {"-", false, 2, {SLC_CEL_TIMESTAMP, SLC_CEL_TIMESTAMP}, SLC_CEL_DURATION, slc_cel_subtract_times},
    {"-", false, 2, {SLC_CEL_DURATION, SLC_CEL_DURATION}, SLC_CEL_DURATION, slc_cel_subtract_times},
    {"-", false, 1, {I}, I, negate_int},
    {"-", false, 1, {D}, D, negate_double},
    {"*", false, 2, {I, I}, I, multiply_ints},
    {"*", false, 2, {U, U}, U, multiply_uints},
    {"*", false, 2, {D, D}, D, multiply_doubles},
    {"/", false, 2, {I, I}, I, divide_ints},
    {"/", false, 2, {U, U}, U, divide_uints},
    {"/", false, 2, {D, D}, D, divide_doubles},
    {"%", false, 2, {I, I}, I, rest_of_ints},
    {"%", false, 2, {U, U}, U, rest_of_uints},
    {.name = NULL},
};
