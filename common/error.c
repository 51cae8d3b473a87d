#include "common/error.h"

#include <stdio.h>
#include <string.h>

#include "common/utf8.h"

static const char *const code_names[] = {
    [SLC_OK] = "ok",
    [SLC_INVALID] = "invalid",
    [SLC_NOT_FOUND] = "not-found",
    [SLC_CONFLICT] = "conflict",
    [SLC_STALE] = "stale",
    [SLC_UNAUTHENTICATED] = "unauthenticated",
    [SLC_DENIED] = "denied",
    [SLC_LIMIT] = "limit",
    [SLC_TOO_LARGE] = "too-large",
    [SLC_UNSUPPORTED] = "unsupported",
    [SLC_UNAVAILABLE] = "unavailable",
    [SLC_TIMEOUT] = "timeout",
    [SLC_NO_SPACE] = "no-space",
    [SLC_CORRUPT] = "corrupt",
    [SLC_IO] = "io",
    [SLC_INTERNAL] = "internal",
};

/* A cut text may end inside a sequence: removes the incomplete tail. */
static void drop_partial_utf8(char *text)
{
    size_t len = strlen(text);
    size_t start = len;
    while (start > 0 && len - start < 3 && ((unsigned char)text[start - 1] & 0xC0) == 0x80)
        start--;
    if (start > 0 && ((unsigned char)text[start - 1] & 0xC0) == 0xC0 &&
        slc_utf8_sequence(text + start - 1, len - start + 1) == 0)
        text[start - 1] = '\0';
}

static void finish(char *text, size_t size, int written)
{
    if (written < 0)
        text[0] = '\0';
    else if ((size_t)written >= size)
        drop_partial_utf8(text);
    /* Messages quote what came from outside, and precisions such as %.80s cut where they like. */
    slc_utf8_clean(text);
}

bool slc_vfail(slc_error *err, enum slc_code code, const char *field, const char *fmt, va_list args)
{
    if (err == NULL)
        return false;
    /* Callers may pass parts of *err itself as arguments: build apart, then assign. */
    slc_error built = {.code = code};
    finish(built.message, sizeof(built.message), vsnprintf(built.message, sizeof(built.message), fmt, args));
    if (field != NULL)
        finish(built.field, sizeof(built.field), snprintf(built.field, sizeof(built.field), "%s", field));
    *err = built;
    return false;
}

bool slc_fail(slc_error *err, enum slc_code code, const char *field, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    slc_vfail(err, code, field, fmt, args);
    va_end(args);
    return false;
}

bool slc_fail_context(slc_error *err, const char *fmt, ...)
{
    if (err == NULL)
        return false;
    char text[sizeof(err->message)];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    finish(text, sizeof(text), n);
    size_t len = strlen(text);
    if (len < sizeof(text))
        finish(text + len, sizeof(text) - len, snprintf(text + len, sizeof(text) - len, ": %s", err->message));
    memcpy(err->message, text, sizeof(text));
    return false;
}

void slc_error_clear(slc_error *err)
{
    if (err != NULL)
        *err = (slc_error){.code = SLC_OK};
}

const char *slc_code_name(enum slc_code code)
{
    size_t i = (size_t)code;
    return i < sizeof(code_names) / sizeof(code_names[0]) ? code_names[i] : "internal";
}
