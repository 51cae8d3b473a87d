#include "common/redact.h"

#include <stdbool.h>
#include <string.h>

#define ID_CHARS 16
#define STARS    3

static bool is_alnum(int c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static int hex(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* The character at `*at`, decoded; -1 at the end. `*at` goes behind it. */
static int next(const char *text, size_t len, size_t *at)
{
    if (*at == len)
        return -1;
    if (text[*at] == '%' && len - *at > 2 && hex(text[*at + 1]) >= 0 && hex(text[*at + 2]) >= 0) {
        int c = hex(text[*at + 1]) * 16 + hex(text[*at + 2]);
        *at += 3;
        return c;
    }
    return (unsigned char)text[(*at)++];
}

static bool takes(const char *text, size_t len, size_t *at, int lower)
{
    int c = next(text, len, at);
    return c == lower || (c >= 'A' && c <= 'Z' && c - 'A' + 'a' == lower);
}

/* Is there a key at `at`? Then where its secret begins; else 0. */
static size_t secret_at(const char *text, size_t len, size_t at)
{
    if (!takes(text, len, &at, 's') || !takes(text, len, &at, 'l') || !is_alnum(next(text, len, &at)) ||
        next(text, len, &at) != '_')
        return 0;
    for (int i = 0; i < ID_CHARS; i++)
        if (!is_alnum(next(text, len, &at)))
            return 0;
    size_t begin;
    if (next(text, len, &at) != '_')
        return 0;
    begin = at;
    return is_alnum(next(text, len, &at)) ? begin : 0;
}

static size_t end_of_secret(const char *text, size_t len, size_t at)
{
    for (size_t end = at;; at = end)
        if (!is_alnum(next(text, len, &end)))
            return at;
}

size_t slc_redact(char *text, size_t len)
{
    for (size_t at = 0; at < len; at++) {
        if (text[at] != 's' && text[at] != 'S' && text[at] != '%')
            continue;
        size_t begin = secret_at(text, len, at);
        if (begin == 0)
            continue;
        size_t end = end_of_secret(text, len, begin);
        size_t put = end - begin < STARS ? end - begin : STARS;
        memset(text + begin, '*', put);
        memmove(text + begin + put, text + end, len - end);
        len -= end - begin - put;
        at = begin + put - 1;
    }
    return len;
}
