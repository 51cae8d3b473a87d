/* Pages of the catalog as text, kept for as long as the catalog's revision is the one that they were made at:
 * any change of anything forgets them all, so that nothing has to know what a page was made of. Any thread.
 *
 * Whoever asks gives a key that has all that the text depends on besides the catalog: the query, and what the
 * one who looks may see (slc_discover_key). */
#ifndef SLC_CONTROLPLANE_ADMIN_KEPT_PAGES_H
#define SLC_CONTROLPLANE_ADMIN_KEPT_PAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "catalog/discover.h"

typedef struct slc_kept_pages slc_kept_pages;

/* At most so many pages, and bytes of them with their keys; what was not asked for longest goes first. NULL,
 * which keeps nothing, when either is 0. After slc_admin_register_metrics. */
slc_kept_pages *slc_kept_pages_new(size_t count, size_t bytes);
void slc_kept_pages_free(slc_kept_pages *pages); /* NULL is fine */

/* The text that was kept under the key at this revision: new, of *len bytes. NULL when there is none, and
 * always with revision 0 (not known). Counts hits and misses. */
char *slc_kept_pages_get(slc_kept_pages *pages, uint64_t revision, const void *key, size_t key_len,
                         size_t *len);
/* Keeps a copy, unless something newer than this revision is kept, or it alone has more than an eighth of the
 * bytes. */
void slc_kept_pages_put(slc_kept_pages *pages, uint64_t revision, const void *key, size_t key_len,
                        const char *text, size_t len);

/* slc_discover_list, from what is kept where it can be. Only in a transaction that reads: what one that writes
 * sees may never come true. */
char *slc_kept_pages_list(slc_kept_pages *pages, slc_txn *txn, const slc_discover_query *query,
                          const slc_discover_viewer *viewer, size_t *len, slc_error *err) SLC_CHECKED;

#endif
