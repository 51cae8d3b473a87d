/* Memory for bytes on their way: chunks that a connection borrows while it holds unread or unsent bytes, and
 * pipes for bytes that nobody has to see. One pool per worker, without locks. */
#ifndef SLC_DATAPLANE_PROXY_POOL_H
#define SLC_DATAPLANE_PROXY_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#define SLC_CHUNK_SMALL  (16u * 1024)
#define SLC_CHUNK_MIDDLE (64u * 1024 + 4) /* the largest frame that is answered here */
#define SLC_CHUNK_LARGE  (256u * 1024)
#define SLC_PIPE_BYTES   (1024u * 1024) /* what an unprivileged process may ask for */

/* Embedded in whoever may have to wait for memory. */
typedef struct slc_pool_waiter {
    TAILQ_ENTRY(slc_pool_waiter) entry;
    void (*ready)(struct slc_pool_waiter *waiter); /* once, when there may be memory again */
    int waiting;
} slc_pool_waiter;

typedef struct slc_pipe {
    int in, out; /* written to and read from; neither blocks */
    struct slc_pipe *next;
} slc_pipe;

typedef struct slc_pool {
    size_t limit_bytes, taken_bytes;
    size_t stranger_bytes; /* of these, what is held for clients that have not authenticated yet */
    slc_pipe *free_pipes;
    unsigned pipe_count;              /* of these */
    uint8_t *free_small, *free_large; /* linked through their first bytes */
    unsigned small_count, large_count;
    TAILQ_HEAD(slc_pool_waiters, slc_pool_waiter) waiters;
} slc_pool;

void slc_pool_init(slc_pool *pool, size_t limit_bytes);
/* Everything must have been given back. */
void slc_pool_release(slc_pool *pool);

/* May so many more be held for clients that have not authenticated? They get a quarter of the limit in all, so
 * that whoever sends the beginnings of frames cannot take it all. */
bool slc_pool_admits_stranger(const slc_pool *pool, size_t size);

/* A chunk of at least `size` bytes; `*cap` tells how many. Small and large ones are kept for later.
 * NULL when the limit is reached. */
uint8_t *slc_pool_take(slc_pool *pool, size_t size, uint32_t *cap);
void slc_pool_give(slc_pool *pool, uint8_t *chunk, uint32_t cap);

/* An empty pipe that holds up to SLC_PIPE_BYTES of the kernel's memory, which count against the limit. NULL
 * when half of that is taken, so that slow readers leave enough for chunks, or when the system gives none. */
slc_pipe *slc_pool_take_pipe(slc_pool *pool);
/* `empty`: it may be used again. */
void slc_pool_give_pipe(slc_pool *pool, slc_pipe *pipe, bool empty);

/* A pipe of the same size outside any pool. NULL when the system gives none. */
slc_pipe *slc_pipe_open(void);
void slc_pipe_close(slc_pipe *pipe);

void slc_pool_wait(slc_pool *pool, slc_pool_waiter *waiter);
/* Nothing when it does not wait. */
void slc_pool_unwait(slc_pool *pool, slc_pool_waiter *waiter);
/* Calls everybody who waits while there is room. A chunk that comes back calls one, who may go away without
 * taking it, or need less: to be called now and then, so that nobody waits for ever. */
void slc_pool_retry(slc_pool *pool);

#endif
