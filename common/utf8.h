/* UTF-8 as Unicode defines it (table 3-7): no overlong forms, no surrogates, nothing past U+10FFFF. */
#ifndef SLC_COMMON_UTF8_H
#define SLC_COMMON_UTF8_H

#include <stddef.h>

/* The length of the well-formed sequence at the start of `text`, 1 to 4, or 0 when there is none. */
size_t slc_utf8_sequence(const void *text, size_t len);
/* Replaces each byte that belongs to no sequence by '?', in place. */
void slc_utf8_clean(char *text);

#endif
