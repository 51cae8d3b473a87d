/* What the parts of CEL share: tokens (lex.c), operations (compile.c makes them, eval.c runs them), the table
 * of functions (functions.c, strings.c, convert.c, times.c), comparison (compare.c). */
#ifndef SLC_COMMON_CEL_CEL_PRIVATE_H
#define SLC_COMMON_CEL_CEL_PRIVATE_H

#include "common/cel/cel.h"
#include "common/re2/re2_face.h"

/* ---- tokens ---- */

enum slc_cel_token_kind {
    SLC_CEL_T_END,
    SLC_CEL_T_NAME,
    SLC_CEL_T_QUOTED, /* `content-type`: a field's name; `at` and `len` without the quotes */
    SLC_CEL_T_INT,    /* `natural`, which may be one more than the largest int: a minus may stand before it */
    SLC_CEL_T_UINT,
    SLC_CEL_T_DOUBLE,
    SLC_CEL_T_STRING,
    SLC_CEL_T_BYTES,
    SLC_CEL_T_SIGN,
};

typedef struct slc_cel_token {
    enum slc_cel_token_kind kind;
    size_t at, len; /* in the expression */
    char sign[3];   /* "&&", "[", "in", ... */
    uint64_t natural;
    double real;
    const char *data; /* of a string or bytes, decoded */
    size_t data_len;
} slc_cel_token;

typedef struct slc_cel_lexer {
    const char *text;
    size_t len, pos;
    char *decoded; /* room for as many bytes as the text has: no escape gets longer */
    size_t decoded_len;
} slc_cel_lexer;

bool slc_cel_next(slc_cel_lexer *lexer, slc_cel_token *token, slc_error *err) SLC_CHECKED;
/* Always false. */
bool slc_cel_fail_at(slc_error *err, size_t at, const char *fmt, ...) SLC_PRINTF(3, 4);

/* ---- functions ---- */

typedef slc_cel_value slc_cel_fn(const slc_cel_value *args, slc_cel_scratch *scratch);

#define SLC_CEL_MAX_ARGS 3

typedef struct slc_cel_function {
    const char *name; /* operators: "+", "-", ... */
    bool method;      /* x.name(): the receiver is the first argument */
    uint8_t argc;
    enum slc_cel_kind args[SLC_CEL_MAX_ARGS];
    enum slc_cel_kind result;
    slc_cel_fn *run;
} slc_cel_function;

/* All overloads of a name and style lie together in one table, which ends with a NULL name. The first of them;
 * NULL: there is none. */
const slc_cel_function *slc_cel_function_find(const char *name, size_t len, bool method);
/* The overload for these values; NULL: there is none. `first` as found. */
const slc_cel_function *slc_cel_overload(const slc_cel_function *first, const slc_cel_value *args, size_t argc);

extern const slc_cel_function slc_cel_arithmetic[], slc_cel_strings[], slc_cel_conversions[], slc_cel_times[];

/* Overloads of "+", "-" and string() that other files bring. */
slc_cel_fn slc_cel_add_texts, slc_cel_add_lists, slc_cel_add_times, slc_cel_subtract_times,
    slc_cel_string_of_timestamp, slc_cel_string_of_duration;

slc_cel_value slc_cel_error(const char *message);
/* NULL when it is used up. */
void *slc_cel_take(slc_cel_scratch *scratch, size_t len);
/* A string made in the scratch, or an error. */
slc_cel_value slc_cel_make_string(slc_cel_scratch *scratch, const char *data, size_t len);
bool slc_cel_is_number(enum slc_cel_kind kind);

/* ---- comparison ---- */

/* A bool, or an error. Values of different kinds are different; numbers are compared as numbers. */
slc_cel_value slc_cel_equal(const slc_cel_value *a, const slc_cel_value *b);
enum slc_cel_order { SLC_CEL_LESS = -1, SLC_CEL_SAME, SLC_CEL_MORE, SLC_CEL_UNORDERED, SLC_CEL_INCOMPARABLE };
enum slc_cel_order slc_cel_compare(const slc_cel_value *a, const slc_cel_value *b);
/* May values of these kinds be ordered? SLC_CEL_ANY: perhaps. */
bool slc_cel_orderable(enum slc_cel_kind a, enum slc_cel_kind b);

/* `key` in the container, or container[key]. An error when there is no such thing. */
slc_cel_value slc_cel_contains(const slc_cel_value *key, const slc_cel_value *container);
slc_cel_value slc_cel_index(const slc_cel_value *container, const slc_cel_value *key);
/* The error of a map of these pairs: a key of a wrong kind, or twice the same; NULL: none. */
const char *slc_cel_map_fault(const slc_cel_value *items, size_t pairs);

/* ---- operations ---- */

enum slc_cel_code {
    SLC_CEL_CONST,     /* push constants[a] */
    SLC_CEL_VARIABLE,  /* push variable a */
    SLC_CEL_HAS_VAR,   /* push whether variable a has a value */
    SLC_CEL_SELECT,    /* constants[a] is the field's name */
    SLC_CEL_HAS_FIELD, /* the same, and only whether it is there */
    SLC_CEL_INDEX,
    SLC_CEL_MAKE_LIST, /* of the a topmost */
    SLC_CEL_MAKE_MAP,  /* of a pairs */
    SLC_CEL_CALL,
    SLC_CEL_MATCHES, /* patterns[a] */
    SLC_CEL_EQUAL,
    SLC_CEL_DIFFERENT,
    SLC_CEL_BEFORE,         /* < */
    SLC_CEL_BEFORE_OR_SAME, /* <= */
    SLC_CEL_AFTER,
    SLC_CEL_AFTER_OR_SAME,
    SLC_CEL_IN,
    SLC_CEL_NOT,
    SLC_CEL_AND_JUMP, /* false: go to a and leave it */
    SLC_CEL_AND,
    SLC_CEL_OR_JUMP,
    SLC_CEL_OR,
    SLC_CEL_CHOOSE, /* pop; true: go on; false: go to a; else push an error and go to b */
    SLC_CEL_JUMP,   /* to a */
};

typedef struct slc_cel_op {
    uint8_t code;
    uint8_t argc; /* of a call */
    uint16_t at;  /* in the expression, for errors */
    uint16_t a, b;
    const slc_cel_function *function; /* the first overload */
} slc_cel_op;

#define SLC_CEL_MAX_STACK 64

struct slc_cel {
    unsigned magic;
    const slc_cel_variable *variables;
    slc_cel_op *ops;
    size_t op_count;
    slc_cel_value *constants;
    size_t constant_count;
    slc_re2 **patterns;
    size_t pattern_count;
    void **owned; /* items of lists and maps that are constant */
    size_t owned_count;
    char *decoded; /* what constants of text point to */
    char *text;    /* names of fields point into it */
};

#define SLC_CEL_MAGIC 0x51cce1e1u

#endif
