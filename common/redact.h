/* Keys that somebody put where they do not belong, such as in the path of a URL: what is written down must not
 * hold them. */
#ifndef SLC_COMMON_REDACT_H
#define SLC_COMMON_REDACT_H

#include <stddef.h>

/* In place: the secret of whatever looks like a credential, a token or a join string of ours
 * (`slk_<id>_<secret>`; also percent-encoded, in letters of any case, or cut off) becomes "***". Returns the
 * new length, which is `len` or less. A NUL behind the text does not move. Any thread. */
size_t slc_redact(char *text, size_t len);

#endif
