/* The second half of the compiler: operations for what compile.c has read, kinds as far as they are known, and
 * what can be said before any evaluation. Private to cel/. */
#ifndef SLC_COMMON_CEL_EMIT_H
#define SLC_COMMON_CEL_EMIT_H

#include "common/cel/cel_private.h"

typedef struct slc_cel_emitter {
    slc_cel *cel;
    slc_error *err;
    size_t selected; /* count of operations right after a field or variable: what has() may ask for */
} slc_cel_emitter;

/* Each fails when the expression cannot work, or would get too large. `at` is its place. */
bool slc_cel_emit(slc_cel_emitter *emitter, slc_cel_op op) SLC_CHECKED;
bool slc_cel_emit_constant(slc_cel_emitter *emitter, slc_cel_value value, size_t at) SLC_CHECKED;
/* The last `argc` values are the arguments; `start` is the count of operations before the first of them. */
bool slc_cel_emit_call(slc_cel_emitter *emitter, const char *name, size_t len, bool method, size_t start,
                       const enum slc_cel_kind *kinds, size_t argc, size_t at,
                       enum slc_cel_kind *result) SLC_CHECKED;
/* ==, <, in and so on. */
bool slc_cel_emit_relation(slc_cel_emitter *emitter, const char *sign, enum slc_cel_kind a, enum slc_cel_kind b,
                           size_t at) SLC_CHECKED;
bool slc_cel_emit_index(slc_cel_emitter *emitter, enum slc_cel_kind container, enum slc_cel_kind key,
                        size_t at) SLC_CHECKED;
bool slc_cel_emit_select(slc_cel_emitter *emitter, enum slc_cel_kind map, const char *name, size_t len,
                         size_t at) SLC_CHECKED;
/* The last operation becomes a question. */
bool slc_cel_emit_has(slc_cel_emitter *emitter, size_t at) SLC_CHECKED;
/* The last constant becomes a pattern for the value before it. */
bool slc_cel_emit_matches(slc_cel_emitter *emitter, enum slc_cel_kind text, size_t pattern_start,
                          size_t at) SLC_CHECKED;
/* Is it a method that may be called with a time zone? That must be a text that is written here: `start` is
 * where it begins. */
bool slc_cel_takes_zone(const char *name, size_t len);
bool slc_cel_expect_zone(slc_cel_emitter *emitter, size_t start, size_t at) SLC_CHECKED;
/* A list of `count` values, a map of `count` pairs. */
bool slc_cel_emit_made(slc_cel_emitter *emitter, enum slc_cel_code code, size_t count, size_t start,
                       size_t at) SLC_CHECKED;
/* Is it this kind, or may it be? */
bool slc_cel_expect(slc_cel_emitter *emitter, enum slc_cel_kind kind, enum slc_cel_kind wanted,
                    size_t at) SLC_CHECKED;
/* Is the stack deep enough for it? */
bool slc_cel_check_stack(slc_cel_emitter *emitter) SLC_CHECKED;

#endif
