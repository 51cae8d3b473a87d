/* Operating errors as values.
 *
 * A function that can fail takes a `slc_error *err` last and returns false, NULL or -1 (its header says which)
 * after filling it. The caller owns the struct; it holds no pointers, so it may be copied and needs no release.
 * A bug is not an error: see assert.h.
 */
#ifndef SLC_COMMON_ERROR_H
#define SLC_COMMON_ERROR_H

#include <stdarg.h>
#include <stdbool.h>

#define SLC_CHECKED           __attribute__((warn_unused_result))
#define SLC_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

/* Broad classes, so that a surface can map an error to its own code (HTTP status, gRPC status, exit code). */
enum slc_code {
    SLC_OK = 0,
    SLC_INVALID, /* the input is wrong; `field` points to the place */
    SLC_NOT_FOUND,
    SLC_CONFLICT, /* exists already, is referenced, is another manager's */
    SLC_STALE,    /* a revision or ETag did not match */
    SLC_UNAUTHENTICATED,
    SLC_DENIED,
    SLC_LIMIT, /* a configured limit was reached */
    SLC_TOO_LARGE,
    SLC_UNSUPPORTED,
    SLC_UNAVAILABLE, /* retry later */
    SLC_TIMEOUT,
    SLC_NO_SPACE, /* disk full */
    SLC_CORRUPT,  /* stored or received bytes fail their check */
    SLC_IO,
    SLC_INTERNAL,
};

typedef struct slc_error {
    enum slc_code code;
    char message[384]; /* one sentence: what, where and what to do; UTF-8 */
    char field[160];   /* JSON pointer or entity key of the field at fault; empty when there is none */
} slc_error;

/* Fills `err` (which may be NULL) and returns false, so that `return slc_fail(err, ...)` reads well. `field`
 * may be NULL. The message is truncated to fit, never split inside a UTF-8 sequence. */
bool slc_fail(slc_error *err, enum slc_code code, const char *field, const char *fmt, ...) SLC_PRINTF(4, 5);
bool slc_vfail(slc_error *err, enum slc_code code, const char *field, const char *fmt, va_list args)
    SLC_PRINTF(4, 0);

/* Prepends "context: " to the message of an error that is passed on. Returns false. */
bool slc_fail_context(slc_error *err, const char *fmt, ...) SLC_PRINTF(2, 3);

/* Empties `err`. */
void slc_error_clear(slc_error *err);

/* "invalid", "not-found", ...: stable, used in logs and problem types. */
const char *slc_code_name(enum slc_code code);

#endif
