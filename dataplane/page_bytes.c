#include "dataplane/page_bytes.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/assert.h"

static unsigned bucket_of(const char *application)
{
    unsigned hash = 5381;
    for (; *application != '\0'; application++)
        hash = hash * 33 + (unsigned char)*application;
    return hash % SLC_PAGE_HOLDER_BUCKETS;
}

static slc_page_holder *find(const slc_page_bytes *all, const char *application)
{
    slc_page_holder *holder;
    LIST_FOREACH (holder, &all->holders[bucket_of(application)], entry) {
        if (strcmp(holder->application, application) == 0)
            return holder;
    }
    return NULL;
}

size_t slc_page_bytes_of(const slc_page_bytes *all, const char *application)
{
    const slc_page_holder *holder = find(all, application);
    return holder != NULL ? holder->bytes : 0;
}

slc_page_holder *slc_page_bytes_begin(slc_page_bytes *all, const char *application)
{
    slc_page_holder *holder = find(all, application);
    if (holder == NULL) {
        size_t size = strlen(application) + 1;
        holder = slc_calloc(1, sizeof *holder + size);
        memcpy(holder->application, application, size);
        LIST_INSERT_HEAD(&all->holders[bucket_of(application)], holder, entry);
    }
    holder->pages++;
    return holder;
}

void slc_page_bytes_add(slc_page_bytes *all, slc_page_holder *holder, size_t bytes)
{
    all->total += bytes;
    holder->bytes += bytes;
}

void slc_page_bytes_end(slc_page_bytes *all, slc_page_holder *holder, size_t bytes)
{
    SLC_BUG_ON(bytes > holder->bytes || bytes > all->total || holder->pages == 0);
    all->total -= bytes;
    holder->bytes -= bytes;
    if (--holder->pages > 0)
        return;
    SLC_BUG_ON(holder->bytes > 0);
    LIST_REMOVE(holder, entry);
    free(holder);
}
