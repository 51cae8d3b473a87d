/* The little of RE2 that Sluice needs, for C. Thread safe. */
#ifndef SLC_COMMON_RE2_RE2_FACE_H
#define SLC_COMMON_RE2_RE2_FACE_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct slc_re2 slc_re2;

/* NULL when it does not compile: `reason` (of `cap` bytes) says why. */
slc_re2 *slc_re2_new(const char *pattern, size_t len, char *reason, size_t cap);
void slc_re2_free(slc_re2 *re2);

/* Does it match the whole text? */
bool slc_re2_matches(const slc_re2 *re2, const char *text, size_t len);
/* Does it match somewhere in the text? */
bool slc_re2_matches_within(const slc_re2 *re2, const char *text, size_t len);

/* Does everything that it matches as a whole begin with `prefix`? False also when that cannot be told. */
bool slc_re2_begins_with(const slc_re2 *re2, const char *prefix);

#ifdef __cplusplus
}
#endif

#endif
