#include "common/alloc.h"

#include <openssl/crypto.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/assert.h"

static void *checked(void *ptr)
{
    SLC_BUG_ON(ptr == NULL); /* out of memory */
    return ptr;
}

void *slc_malloc(size_t size_bytes)
{
    return checked(malloc(size_bytes > 0 ? size_bytes : 1));
}

void *slc_calloc(size_t count, size_t size_bytes)
{
    if (count == 0 || size_bytes == 0)
        count = size_bytes = 1;
    return checked(calloc(count, size_bytes));
}

void *slc_realloc(void *ptr, size_t size_bytes)
{
    return checked(realloc(ptr, size_bytes > 0 ? size_bytes : 1));
}

void *slc_memdup(const void *ptr, size_t size_bytes)
{
    void *copy = slc_malloc(size_bytes);
    if (size_bytes > 0)
        memcpy(copy, ptr, size_bytes);
    return copy;
}

char *slc_strdup(const char *s)
{
    return checked(strdup(s));
}

/* Not strndup: sanitizers that check strings strictly want its source terminated, which ours need not be. */
char *slc_strndup(const char *s, size_t max)
{
    size_t len = strnlen(s, max);
    char *copy = slc_malloc(len + 1);
    memcpy(copy, s, len);
    copy[len] = '\0';
    return copy;
}

char *slc_asprintf(const char *fmt, ...)
{
    char *text = NULL;
    va_list args;
    va_start(args, fmt);
    int n = vasprintf(&text, fmt, args);
    va_end(args);
    SLC_BUG_ON(n < 0);
    return checked(text);
}

void slc_free_secret(void *ptr, size_t size_bytes)
{
    if (ptr == NULL)
        return;
    OPENSSL_cleanse(ptr, size_bytes);
    free(ptr);
}
