#include "common/pages.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/queue.h>

#include "common/alloc.h"
#include "common/assert.h"

/* AddressSanitizer knows malloc; of these pages it has to be told. */
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(memory, size)   ((void)(memory), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(memory, size) ((void)(memory), (void)(size))
#endif

#define PIECE       (2UL * 1024 * 1024)
#define PAGE        4096UL
#define PAGES       (PIECE / PAGE)
#define PIECE_MAGIC 0x70616765u

/* Lies in its own first page. */
struct piece {
    unsigned magic, free;
    bool used[PAGES];
    TAILQ_ENTRY(piece) entry;
};

static struct {
    pthread_mutex_t lock;
    TAILQ_HEAD(, piece) list;
    unsigned count;
} pieces = {.lock = PTHREAD_MUTEX_INITIALIZER, .list = TAILQ_HEAD_INITIALIZER(pieces.list)};

/* The rest is malloc's. */
static bool is_ours(size_t size)
{
    return size >= PAGE / 2 && size <= PIECE - PAGE;
}

static size_t pages_of(size_t size)
{
    return (size + PAGE - 1) / PAGE;
}

static struct piece *new_piece(void)
{
    struct piece *piece = aligned_alloc(PIECE, PIECE);
    SLC_BUG_ON(piece == NULL);
    if (pieces.count > 0)
        (void)madvise(piece, PIECE, MADV_HUGEPAGE);
    memset(piece, 0, sizeof *piece);
    piece->magic = PIECE_MAGIC;
    piece->used[0] = true;
    piece->free = PAGES - 1;
    ASAN_POISON_MEMORY_REGION((uint8_t *)piece + PAGE, PIECE - PAGE);
    TAILQ_INSERT_HEAD(&pieces.list, piece, entry);
    pieces.count++;
    return piece;
}

/* So many free pages in a row; 0: there are none. */
static size_t find_run(const struct piece *piece, size_t pages)
{
    for (size_t at = 1, run = 0; at < PAGES; at++) {
        run = piece->used[at] ? 0 : run + 1;
        if (run == pages)
            return at + 1 - pages;
    }
    return 0;
}

static void *take(struct piece *piece, size_t at, size_t size)
{
    uint8_t *memory = (uint8_t *)piece + at * PAGE;
    memset(&piece->used[at], true, pages_of(size));
    piece->free -= (unsigned)pages_of(size);
    ASAN_UNPOISON_MEMORY_REGION(memory, size);
    return memory;
}

void *slc_pages_alloc(size_t size)
{
    size_t pages = pages_of(size), at = 0;
    struct piece *piece;
    if (!is_ours(size))
        return slc_malloc(size);
    pthread_mutex_lock(&pieces.lock);
    TAILQ_FOREACH (piece, &pieces.list, entry)
        if (piece->free >= pages && (at = find_run(piece, pages)) != 0)
            break;
    if (piece == NULL) {
        piece = new_piece();
        at = 1;
    }
    void *memory = take(piece, at, size);
    pthread_mutex_unlock(&pieces.lock);
    return memory;
}

void slc_pages_free(void *memory, size_t size)
{
    struct piece *piece = (struct piece *)((uintptr_t)memory & ~(PIECE - 1));
    size_t pages = pages_of(size), at = ((uintptr_t)memory & (PIECE - 1)) / PAGE;
    if (memory == NULL || !is_ours(size)) {
        free(memory);
        return;
    }
    SLC_CHECK_MAGIC(piece, PIECE_MAGIC);
    pthread_mutex_lock(&pieces.lock);
    for (size_t i = at; i < at + pages; i++) {
        SLC_BUG_ON(!piece->used[i]);
        piece->used[i] = false;
    }
    piece->free += (unsigned)pages;
    ASAN_POISON_MEMORY_REGION(memory, pages * PAGE);
    if (piece->free == PAGES - 1) {
        TAILQ_REMOVE(&pieces.list, piece, entry);
        pieces.count--;
        piece->magic = 0;
        ASAN_UNPOISON_MEMORY_REGION(piece, PIECE);
        free(piece);
    }
    pthread_mutex_unlock(&pieces.lock);
}
