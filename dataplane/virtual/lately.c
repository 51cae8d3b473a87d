#include "dataplane/virtual/lately.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define NOTHING (-1)

struct item {
    char backend[64]; /* its id */
    uint8_t name[SLC_LATELY_LONGEST];
    size_t len;
    int64_t partitions, before; /* NOTHING: it was not noted */
    int64_t at_ms;              /* when it was answered, or noted */
    bool waits;                 /* for the answer */
};

static pthread_mutex_t deciding = PTHREAD_MUTEX_INITIALIZER; /* taken before the lock */

static struct {
    pthread_mutex_t lock;
    struct item items[SLC_LATELY_MAX];
    size_t count;
} lately = {.lock = PTHREAD_MUTEX_INITIALIZER};

static struct item *find(const char *backend, const uint8_t *name, size_t len)
{
    for (size_t i = 0; i < lately.count; i++) {
        struct item *item = &lately.items[i];
        if (item->len == len && memcmp(item->name, name, len) == 0 && strcmp(item->backend, backend) == 0)
            return item;
    }
    return NULL;
}

/* A free place, or the oldest's. */
static struct item *take_place(void)
{
    struct item *oldest = &lately.items[0];
    if (lately.count < SLC_LATELY_MAX)
        return &lately.items[lately.count++];
    for (size_t i = 1; i < lately.count; i++)
        if (lately.items[i].at_ms < oldest->at_ms)
            oldest = &lately.items[i];
    return oldest;
}

void slc_lately_note(const char *backend, const uint8_t *name, size_t len, int64_t partitions, int64_t now_ms)
{
    if (len == 0 || len > SLC_LATELY_LONGEST)
        return;
    pthread_mutex_lock(&lately.lock);
    struct item *item = find(backend, name, len);
    int64_t before = item != NULL ? item->partitions : NOTHING;
    if (item == NULL)
        item = take_place();
    *item = (struct item){
        .len = len, .partitions = partitions, .before = before, .at_ms = now_ms, .waits = partitions > 0};
    snprintf(item->backend, sizeof item->backend, "%s", backend);
    memcpy(item->name, name, len);
    pthread_mutex_unlock(&lately.lock);
}

void slc_lately_answered(const char *backend, const uint8_t *name, size_t len, int64_t now_ms)
{
    pthread_mutex_lock(&lately.lock);
    struct item *item = find(backend, name, len);
    if (item != NULL) {
        item->at_ms = now_ms;
        item->waits = false;
    }
    pthread_mutex_unlock(&lately.lock);
}

void slc_lately_undo(const char *backend, const uint8_t *name, size_t len)
{
    pthread_mutex_lock(&lately.lock);
    struct item *item = find(backend, name, len);
    if (item != NULL && item->before != NOTHING) {
        item->partitions = item->before;
        item->before = NOTHING;
        item->waits = false;
    } else if (item != NULL) {
        *item = lately.items[--lately.count];
    }
    pthread_mutex_unlock(&lately.lock);
}

void slc_lately_begin(void)
{
    pthread_mutex_lock(&deciding);
}

void slc_lately_end(void)
{
    pthread_mutex_unlock(&deciding);
}

void slc_lately_each(const char *backend, int64_t since_ms, slc_lately_fn *call, void *ctx)
{
    pthread_mutex_lock(&lately.lock);
    for (size_t i = 0; i < lately.count; i++) {
        const struct item *item = &lately.items[i];
        int64_t until_ms = item->at_ms + (item->waits ? SLC_LATELY_WAITS_MS : 0);
        if (until_ms > since_ms && strcmp(item->backend, backend) == 0)
            call(ctx, item->name, item->len, item->partitions);
    }
    pthread_mutex_unlock(&lately.lock);
}
