/* Conditions: a subset of CEL, the Common Expression Language (https://github.com/google/cel-spec,
 * doc/langdef.md).
 *
 * An expression is compiled once, into a list of operations without jumps backwards, and evaluated as often as
 * one likes: each operation runs at most once, nothing is allocated, nothing is changed. A compiled expression
 * may be evaluated by many threads at once.
 *
 * In: null, bool, int, uint, double, string, bytes, list, map, timestamp, duration; their literals and
 * operators; `in`, `[]`, `.`, has(), `?:`, and && and || that absorb errors; size, startsWith, endsWith,
 * contains, matches (RE2, found anywhere, the pattern a literal), conversions, the parts of a timestamp (in
 * UTC, or in a time zone that is a literal). Out: the macros that loop (all, exists, exists_one, map, filter),
 * messages, types as values.
 */
#ifndef SLC_COMMON_CEL_CEL_H
#define SLC_COMMON_CEL_CEL_H

#include <stdalign.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

#define SLC_CEL_MAX_CHARS   1000 /* of an expression, in bytes */
#define SLC_CEL_MAX_NESTING 48   /* brackets, calls, ?: and signs within each other */
#define SLC_CEL_SCRATCH     4096 /* bytes of texts and lists that one evaluation may make */

enum slc_cel_kind {
    SLC_CEL_ANY, /* of a declaration: not known before it is evaluated. Never of a value. */
    SLC_CEL_NULL,
    SLC_CEL_BOOL,
    SLC_CEL_INT,
    SLC_CEL_UINT,
    SLC_CEL_DOUBLE,
    SLC_CEL_STRING,
    SLC_CEL_BYTES,
    SLC_CEL_LIST,
    SLC_CEL_MAP,
    SLC_CEL_LOOKUP, /* a map that can only be looked into, by text: it has no size and equals nothing */
    SLC_CEL_TIMESTAMP,
    SLC_CEL_DURATION,
    SLC_CEL_ERROR, /* a value of CEL, too: `true || 1 / 0 == 1` is true */
};

typedef struct slc_cel_value slc_cel_value;

struct slc_cel_value {
    enum slc_cel_kind kind;
    uint32_t nanos; /* of times, 0 to 999,999,999, also before 1970 and below zero */
    union {
        bool boolean;
        int64_t integer;
        uint64_t natural;
        double real;
        int64_t seconds; /* of a timestamp since 1970; of a duration */
        struct {
            const char *data; /* borrowed; strings are UTF-8; no NUL at the end */
            size_t len;
        } text;
        struct {
            const slc_cel_value *items; /* borrowed; of a map: key, value, key, value, ... */
            size_t count;               /* of a map: pairs */
        } list;
        struct {
            /* False: there is nothing at this key. */
            bool (*find)(void *ctx, const char *key, size_t len, slc_cel_value *value);
            void *ctx;
        } lookup;
        struct {
            const char *message; /* static */
            size_t at;           /* byte of the expression, from 0 */
        } error;
    } as;
};

/* What an expression may speak of. Names may have dots: `request.method` is one variable. */
typedef struct slc_cel_variable {
    const char *name;
    enum slc_cel_kind kind;
    const char *help; /* for the documentation */
} slc_cel_variable;

/* For one evaluation. Results may point into it. */
typedef struct slc_cel_scratch {
    alignas(max_align_t) char bytes[SLC_CEL_SCRATCH];
    size_t used;
} slc_cel_scratch;

typedef struct slc_cel slc_cel;

/* `variables` ends with a NULL name and must live as long as the result. `result`: what the expression must
 * give, as far as that can be told from the text; SLC_CEL_ANY: all the same. NULL with err, whose message says
 * where
 * ("at character 7: ...") and whose field is empty. */
slc_cel *slc_cel_compile(const char *text, size_t len, const slc_cel_variable *variables,
                         enum slc_cel_kind result, slc_error *err) SLC_CHECKED;
void slc_cel_free(slc_cel *cel);
/* A time zone in it that this machine does not know, with its length; NULL: there is none. Evaluating it is an
 * error here. */
const char *slc_cel_unknown_zone(const slc_cel *cel, size_t *len);

/* Gives the variable at this place of the table; false: it has no value now, which makes an error, or
 * `has(name)` false. The value is borrowed until the evaluation's result was used. Of another kind than
 * declared: a bug. */
typedef bool slc_cel_resolve(void *ctx, size_t variable, slc_cel_value *value);

/* The result is SLC_CEL_ERROR when it cannot be evaluated. `scratch` need not be initialised. */
slc_cel_value slc_cel_eval(const slc_cel *cel, slc_cel_resolve *resolve, void *ctx, slc_cel_scratch *scratch);

/* "string", "int", ... */
const char *slc_cel_kind_name(enum slc_cel_kind kind);

/* Values. `text` is borrowed. */
slc_cel_value slc_cel_bool(bool value);
slc_cel_value slc_cel_int(int64_t value);
slc_cel_value slc_cel_string(const char *text, size_t len);
slc_cel_value slc_cel_timestamp_ms(int64_t wall_ms);

#endif
