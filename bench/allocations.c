/* In a build with a sanitizer by its hook, else by standing in front of glibc's functions. */
#include "bench/allocations.h"

#include <stdatomic.h>
#include <stddef.h>

static atomic_uint_fast64_t count;

uint64_t allocations_so_far(void)
{
    return atomic_load_explicit(&count, memory_order_relaxed);
}

static void another(void)
{
    atomic_fetch_add_explicit(&count, 1, memory_order_relaxed);
}

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define BY_HOOK 1
#endif
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define BY_HOOK 1
#endif

#ifdef BY_HOOK
void __sanitizer_malloc_hook(const volatile void *ptr, size_t size);

void __sanitizer_malloc_hook(const volatile void *ptr, size_t size)
{
    (void)ptr;
    (void)size;
    another();
}
#else
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *ptr, size_t size);
void *malloc(size_t size);
void *calloc(size_t n, size_t size);
void *realloc(void *ptr, size_t size);

void *malloc(size_t size)
{
    another();
    return __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
    another();
    return __libc_calloc(n, size);
}

void *realloc(void *ptr, size_t size)
{
    another();
    return __libc_realloc(ptr, size);
}
#endif
