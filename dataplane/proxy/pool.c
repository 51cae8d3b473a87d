#include "dataplane/proxy/pool.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/assert.h"

#define KEPT_SMALL 64
#define KEPT_LARGE 16
#define KEPT_PIPES 8

void slc_pool_init(slc_pool *pool, size_t limit_bytes)
{
    *pool = (slc_pool){.limit_bytes = limit_bytes};
    TAILQ_INIT(&pool->waiters);
}

static void push(uint8_t **list, uint8_t *chunk)
{
    memcpy(chunk, list, sizeof *list);
    *list = chunk;
}

static uint8_t *pop(uint8_t **list)
{
    uint8_t *chunk = *list;
    memcpy(list, chunk, sizeof *list);
    return chunk;
}

void slc_pipe_close(slc_pipe *pipe)
{
    close(pipe->in);
    close(pipe->out);
    free(pipe);
}

void slc_pool_release(slc_pool *pool)
{
    SLC_BUG_ON(pool->taken_bytes > 0 || !TAILQ_EMPTY(&pool->waiters));
    for (slc_pipe *next, *pipe = pool->free_pipes; pipe != NULL; pipe = next) {
        next = pipe->next;
        slc_pipe_close(pipe);
    }
    while (pool->free_small != NULL)
        free(pop(&pool->free_small));
    while (pool->free_large != NULL)
        free(pop(&pool->free_large));
}

static size_t round_up(size_t size)
{
    if (size <= SLC_CHUNK_SMALL)
        return SLC_CHUNK_SMALL;
    if (size <= SLC_CHUNK_MIDDLE)
        return SLC_CHUNK_MIDDLE;
    return size <= SLC_CHUNK_LARGE ? SLC_CHUNK_LARGE : size;
}

bool slc_pool_admits_stranger(const slc_pool *pool, size_t size)
{
    return pool->stranger_bytes == 0 || pool->stranger_bytes + round_up(size) <= pool->limit_bytes / 4;
}

uint8_t *slc_pool_take(slc_pool *pool, size_t size, uint32_t *cap)
{
    size_t rounded = round_up(size);
    /* One chunk may always be taken, so that a limit below the largest frame cannot stop everything for ever.
     */
    if (pool->taken_bytes > 0 && pool->taken_bytes + rounded > pool->limit_bytes)
        return NULL;
    pool->taken_bytes += rounded;
    *cap = (uint32_t)rounded;
    if (rounded == SLC_CHUNK_SMALL && pool->free_small != NULL) {
        pool->small_count--;
        return pop(&pool->free_small);
    }
    if (rounded == SLC_CHUNK_LARGE && pool->free_large != NULL) {
        pool->large_count--;
        return pop(&pool->free_large);
    }
    return slc_malloc(rounded);
}

static void call_first(slc_pool *pool)
{
    slc_pool_waiter *waiter = TAILQ_FIRST(&pool->waiters);
    if (waiter == NULL)
        return;
    slc_pool_unwait(pool, waiter);
    waiter->ready(waiter);
}

static void gave(slc_pool *pool, size_t bytes)
{
    SLC_BUG_ON(pool->taken_bytes < bytes);
    pool->taken_bytes -= bytes;
}

void slc_pool_give(slc_pool *pool, uint8_t *chunk, uint32_t cap)
{
    gave(pool, cap);
    if (cap == SLC_CHUNK_SMALL && pool->small_count < KEPT_SMALL) {
        pool->small_count++;
        push(&pool->free_small, chunk);
    } else if (cap == SLC_CHUNK_LARGE && pool->large_count < KEPT_LARGE) {
        pool->large_count++;
        push(&pool->free_large, chunk);
    } else {
        free(chunk);
    }
    call_first(pool);
}

void slc_pool_retry(slc_pool *pool)
{
    slc_pool_waiter *last = TAILQ_LAST(&pool->waiters, slc_pool_waiters), *first = NULL;
    if (pool->taken_bytes >= pool->limit_bytes)
        return;
    while (first != last) { /* those that wait again while they are called are not called again */
        first = TAILQ_FIRST(&pool->waiters);
        call_first(pool);
    }
}

slc_pipe *slc_pipe_open(void)
{
    int fds[2];
    if (pipe2(fds, O_NONBLOCK | O_CLOEXEC) != 0)
        return NULL;
    slc_pipe *pipe = slc_calloc(1, sizeof *pipe);
    pipe->out = fds[0];
    pipe->in = fds[1];
    if (fcntl(pipe->in, F_SETPIPE_SZ, (int)SLC_PIPE_BYTES) >= 0)
        return pipe;
    slc_pipe_close(pipe); /* the user has too many: a small one would cost more than it saves */
    return NULL;
}

slc_pipe *slc_pool_take_pipe(slc_pool *pool)
{
    if (pool->taken_bytes + SLC_PIPE_BYTES > pool->limit_bytes / 2)
        return NULL;
    slc_pipe *pipe = pool->free_pipes;
    if (pipe != NULL) {
        pool->free_pipes = pipe->next;
        pool->pipe_count--;
    } else {
        pipe = slc_pipe_open();
    }
    if (pipe != NULL)
        pool->taken_bytes += SLC_PIPE_BYTES;
    return pipe;
}

void slc_pool_give_pipe(slc_pool *pool, slc_pipe *pipe, bool empty)
{
    gave(pool, SLC_PIPE_BYTES);
    if (empty && pool->pipe_count < KEPT_PIPES) {
        pipe->next = pool->free_pipes;
        pool->free_pipes = pipe;
        pool->pipe_count++;
    } else {
        slc_pipe_close(pipe);
    }
    call_first(pool);
}

void slc_pool_wait(slc_pool *pool, slc_pool_waiter *waiter)
{
    if (waiter->waiting)
        return;
    waiter->waiting = 1;
    TAILQ_INSERT_TAIL(&pool->waiters, waiter, entry);
}

void slc_pool_unwait(slc_pool *pool, slc_pool_waiter *waiter)
{
    if (!waiter->waiting)
        return;
    waiter->waiting = 0;
    TAILQ_REMOVE(&pool->waiters, waiter, entry);
}
