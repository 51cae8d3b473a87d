/* What pages take of a worker's memory until their readers have taken them: in all, and of each application, so
 * that one which takes nothing leaves room for the others. On the worker's thread.
 */
#ifndef SLC_DATAPLANE_PAGE_BYTES_H
#define SLC_DATAPLANE_PAGE_BYTES_H

#include <stddef.h>
#include <sys/queue.h>

#define SLC_PAGE_HOLDER_BUCKETS 64

/* An application that has pages under way. */
typedef struct slc_page_holder {
    LIST_ENTRY(slc_page_holder) entry;
    size_t bytes;
    unsigned pages;
    char application[];
} slc_page_holder;

/* All zero: nobody has any. */
typedef struct slc_page_bytes {
    size_t total;
    LIST_HEAD(, slc_page_holder) holders[SLC_PAGE_HOLDER_BUCKETS];
} slc_page_bytes;

/* What the application's pages take now. */
size_t slc_page_bytes_of(const slc_page_bytes *all, const char *application);
/* A page begins; the holder lives until as many have ended. */
slc_page_holder *slc_page_bytes_begin(slc_page_bytes *all, const char *application);
void slc_page_bytes_add(slc_page_bytes *all, slc_page_holder *holder, size_t bytes);
/* A page ends, and with it the bytes that it had added. */
void slc_page_bytes_end(slc_page_bytes *all, slc_page_holder *holder, size_t bytes);

#endif
