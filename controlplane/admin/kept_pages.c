#include "controlplane/admin/kept_pages.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/buf.h"
#include "common/metrics.h"

#define KEY_MAX_BYTES (64 << 10) /* more: somebody in very many teams, whose pages are not kept */
#define LARGEST_PART  8          /* one page has at most this part of all bytes */

struct page {
    LIST_ENTRY(page) same_hash;
    TAILQ_ENTRY(page) use; /* what was asked for last is first */
    uint64_t hash;
    size_t key_len, len;
    char data[]; /* the key, then the text */
};

LIST_HEAD(slot, page);

struct slc_kept_pages {
    pthread_mutex_t mutex;
    TAILQ_HEAD(by_use, page) by_use;
    uint64_t revision; /* of all pages */
    size_t count, count_max;
    size_t bytes, bytes_max;
    slc_series *hits, *misses;
    size_t slot_count; /* a power of two */
    struct slot slots[];
};

slc_kept_pages *slc_kept_pages_new(size_t count, size_t bytes)
{
    static const char *const hit = "hit", *const miss = "miss";
    size_t slots = 1;
    if (count == 0 || bytes == 0)
        return NULL;
    while (slots < count)
        slots *= 2;
    slc_kept_pages *pages = slc_calloc(1, sizeof *pages + slots * sizeof pages->slots[0]);
    SLC_BUG_ON(pthread_mutex_init(&pages->mutex, NULL) != 0);
    TAILQ_INIT(&pages->by_use);
    pages->count_max = count;
    pages->bytes_max = bytes;
    pages->slot_count = slots;
    pages->hits = slc_metrics_series("sluice_catalog_pages_total", &hit);
    pages->misses = slc_metrics_series("sluice_catalog_pages_total", &miss);
    return pages;
}

static size_t size_of(size_t key_len, size_t len)
{
    return sizeof(struct page) + key_len + len;
}

static void forget(slc_kept_pages *pages, struct page *page)
{
    LIST_REMOVE(page, same_hash);
    TAILQ_REMOVE(&pages->by_use, page, use);
    pages->count--;
    pages->bytes -= size_of(page->key_len, page->len);
    free(page);
}

static void forget_all(slc_kept_pages *pages)
{
    struct page *page;
    while ((page = TAILQ_FIRST(&pages->by_use)) != NULL)
        forget(pages, page);
}

void slc_kept_pages_free(slc_kept_pages *pages)
{
    if (pages == NULL)
        return;
    forget_all(pages);
    pthread_mutex_destroy(&pages->mutex);
    free(pages);
}

/* FNV-1a. Whoever finds keys that meet makes a chain long, of count_max pages at most. */
static uint64_t hash_of(const void *key, size_t len)
{
    const uint8_t *bytes = key;
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ bytes[i]) * 0x100000001b3u;
    return hash;
}

static struct slot *slot_of(slc_kept_pages *pages, uint64_t hash)
{
    return &pages->slots[(hash ^ hash >> 32) & (pages->slot_count - 1)];
}

static struct page *find(slc_kept_pages *pages, uint64_t hash, const void *key, size_t key_len)
{
    struct page *page;
    LIST_FOREACH (page, slot_of(pages, hash), same_hash) {
        if (page->hash == hash && page->key_len == key_len && memcmp(page->data, key, key_len) == 0)
            return page;
    }
    return NULL;
}

/* Forgets what was made at an earlier revision. False when this one is the earlier: a reader that began before
 * the last change. */
static bool reach(slc_kept_pages *pages, uint64_t revision)
{
    if (revision > pages->revision) {
        forget_all(pages);
        pages->revision = revision;
    }
    return revision == pages->revision;
}

char *slc_kept_pages_get(slc_kept_pages *pages, uint64_t revision, const void *key, size_t key_len, size_t *len)
{
    char *text = NULL;
    if (pages == NULL || revision == 0)
        return NULL;
    uint64_t hash = hash_of(key, key_len);
    pthread_mutex_lock(&pages->mutex);
    struct page *page = reach(pages, revision) ? find(pages, hash, key, key_len) : NULL;
    if (page != NULL) {
        TAILQ_REMOVE(&pages->by_use, page, use);
        TAILQ_INSERT_HEAD(&pages->by_use, page, use);
        *len = page->len;
        text = slc_malloc(page->len + 1);
        memcpy(text, page->data + key_len, page->len);
        text[page->len] = '\0';
    }
    pthread_mutex_unlock(&pages->mutex);
    slc_series_add(text != NULL ? pages->hits : pages->misses, 1);
    return text;
}

static struct page *page_new(uint64_t hash, const void *key, size_t key_len, const char *text, size_t len)
{
    struct page *page = slc_malloc(size_of(key_len, len));
    page->hash = hash;
    page->key_len = key_len;
    page->len = len;
    memcpy(page->data, key, key_len);
    memcpy(page->data + key_len, text, len);
    return page;
}

void slc_kept_pages_put(slc_kept_pages *pages, uint64_t revision, const void *key, size_t key_len,
                        const char *text, size_t len)
{
    size_t size = size_of(key_len, len);
    if (pages == NULL || revision == 0 || size > pages->bytes_max / LARGEST_PART)
        return;
    struct page *page = page_new(hash_of(key, key_len), key, key_len, text, len);
    pthread_mutex_lock(&pages->mutex);
    /* Somebody else may have made the same one meanwhile. */
    bool wanted = reach(pages, revision) && find(pages, page->hash, key, key_len) == NULL;
    if (wanted) {
        while (pages->count == pages->count_max || pages->bytes + size > pages->bytes_max)
            forget(pages, TAILQ_LAST(&pages->by_use, by_use));
        LIST_INSERT_HEAD(slot_of(pages, page->hash), page, same_hash);
        TAILQ_INSERT_HEAD(&pages->by_use, page, use);
        pages->count++;
        pages->bytes += size;
    }
    pthread_mutex_unlock(&pages->mutex);
    if (!wanted)
        free(page);
}

char *slc_kept_pages_list(slc_kept_pages *pages, slc_txn *txn, const slc_discover_query *query,
                          const slc_discover_viewer *viewer, size_t *len, slc_error *err)
{
    slc_buf key;
    if (pages == NULL)
        return slc_discover_list(txn, query, viewer, len, err);
    slc_buf_init(&key, KEY_MAX_BYTES);
    slc_discover_key(query, viewer, &key);
    /* What this transaction sees, which may be older than the newest. */
    uint64_t revision = key.overflow ? 0 : slc_catalog_revision(txn);
    char *text = slc_kept_pages_get(pages, revision, key.data, key.len, len);
    if (text == NULL) {
        text = slc_discover_list(txn, query, viewer, len, err);
        if (text != NULL)
            slc_kept_pages_put(pages, revision, key.data, key.len, text, *len);
    }
    slc_buf_release(&key);
    return text;
}
