/* Memory for what is large, lives long and is visited at random: the identities of a configuration.
 *
 * With pages of 4 KiB the processor has to look up where each of them lies, which costs as much again as the
 * memory itself. Here it comes from pieces of 2 MiB that the system is asked to back by one page each; what is
 * given back is used again. The first piece is an ordinary one, so that a small configuration costs no more
 * than it did. Any thread; takes a lock. Memory is not zeroed. */
#ifndef SLC_COMMON_PAGES_H
#define SLC_COMMON_PAGES_H

#include <stddef.h>

/* Aligned to a cache line, or to 16 bytes when it is less than half a page. Never NULL. */
void *slc_pages_alloc(size_t size);
/* `size` as it was asked for. NULL is fine. */
void slc_pages_free(void *memory, size_t size);

#endif
