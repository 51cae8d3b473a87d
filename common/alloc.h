/* Allocation that cannot fail: out of memory is a bug report, not an error path that nobody tests. Sizes that
 * come from outside are checked against a limit by the caller before they get here. Free with free(). */
#ifndef SLC_COMMON_ALLOC_H
#define SLC_COMMON_ALLOC_H

#include <stddef.h>

void *slc_malloc(size_t size_bytes) __attribute__((malloc, returns_nonnull));
void *slc_calloc(size_t count, size_t size_bytes) __attribute__((malloc, returns_nonnull));
void *slc_realloc(void *ptr, size_t size_bytes) __attribute__((returns_nonnull));
void *slc_memdup(const void *ptr, size_t size_bytes) __attribute__((returns_nonnull));
char *slc_strdup(const char *s) __attribute__((malloc, returns_nonnull));
char *slc_strndup(const char *s, size_t max) __attribute__((malloc, returns_nonnull));
char *slc_asprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2), returns_nonnull));

/* Overwrites memory in a way the compiler keeps, then frees it. NULL is fine. */
void slc_free_secret(void *ptr, size_t size_bytes);

#endif
