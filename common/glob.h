/* Globs over names: * stands for any number of bytes, ? for one. */
#ifndef SLC_COMMON_GLOB_H
#define SLC_COMMON_GLOB_H

#include <stdbool.h>
#include <stddef.h>

/* Does it match the whole text? */
bool slc_glob_match(const char *glob, const char *text, size_t len);

/* Does it match one text alone? */
bool slc_glob_is_exact(const char *glob);

#endif
