/* Bugs stop the process; operating errors are values (error.h). */
#ifndef SLC_COMMON_ASSERT_H
#define SLC_COMMON_ASSERT_H

/* Prints file, line, condition and a backtrace to stderr, then aborts. Safe on every thread. */
_Noreturn void slc_bug(const char *file, int line, const char *func, const char *condition);

/* Always compiled in. */
#define SLC_BUG_ON(cond)                                                                                       \
    do {                                                                                                       \
        if (__builtin_expect(!!(cond), 0))                                                                     \
            slc_bug(__FILE__, __LINE__, __func__, #cond);                                                      \
    } while (0)

/* A struct that travels through a `void *` starts with `unsigned magic`, set at creation, cleared when freed
 * and checked on every arrival: `struct slc_feed *feed = arg; SLC_CHECK_MAGIC(feed, SLC_FEED_MAGIC);` */
#define SLC_CHECK_MAGIC(ptr, value) SLC_BUG_ON((ptr) == NULL || (ptr)->magic != (value))

#endif
