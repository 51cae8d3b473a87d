/* The globs of ACL rules: * stands for any number of bytes, ? for one, \ takes the next byte as it is, and
 * ${name} is what the name stands for. What is put in is text: a * in it is a star and not a wildcard. Pure;
 * any thread. */
#ifndef SLC_COMMON_ACL_GLOB_H
#define SLC_COMMON_ACL_GLOB_H

#include <stdbool.h>
#include <stddef.h>

#define SLC_ACL_GLOB_MAX 300 /* bytes of one */

/* Is it one, with names out of `known` (ends with NULL) alone? */
bool slc_acl_glob_check(const char *glob, size_t len, const char *const *known);

/* What a name stands for; NULL: nothing, and the glob matches nothing. */
typedef const char *slc_acl_glob_fn(void *ctx, const char *name, size_t len);

/* Does the glob, which was checked, match the whole text? */
bool slc_acl_glob_match(const char *glob, slc_acl_glob_fn *value, void *ctx, const char *text, size_t len);

/* Does it match every text? */
bool slc_acl_glob_is_any(const char *glob);

#endif
