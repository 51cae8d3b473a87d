/* pool: chunks that are used again, a limit, and who waits for memory. */
#include <check.h>
#include <fcntl.h>

#include "dataplane/proxy/pool.h"
#include "tests/unit/common/unit.h"

struct waiting {
    slc_pool_waiter waiter; /* first: it is what the pool gives back */
    int called;
};

static void on_ready(slc_pool_waiter *waiter)
{
    ((struct waiting *)waiter)->called++;
}

START_TEST(a_chunk_is_the_next_size_and_comes_back)
{
    slc_pool pool;
    uint32_t cap;
    slc_pool_init(&pool, 4 * SLC_CHUNK_LARGE);
    uint8_t *small = slc_pool_take(&pool, 1, &cap);
    ck_assert_uint_eq(cap, SLC_CHUNK_SMALL);
    slc_pool_give(&pool, small, cap);
    ck_assert_uint_eq(pool.taken_bytes, 0);
    ck_assert_ptr_eq(slc_pool_take(&pool, SLC_CHUNK_SMALL, &cap), small);
    uint8_t *middle = slc_pool_take(&pool, SLC_CHUNK_SMALL + 1, &cap);
    ck_assert_uint_eq(cap, SLC_CHUNK_MIDDLE);
    slc_pool_give(&pool, middle, cap);
    uint8_t *large = slc_pool_take(&pool, SLC_CHUNK_MIDDLE + 1, &cap);
    ck_assert_uint_eq(cap, SLC_CHUNK_LARGE);
    slc_pool_give(&pool, large, cap);
    uint8_t *huge = slc_pool_take(&pool, SLC_CHUNK_LARGE + 1, &cap);
    ck_assert_uint_eq(cap, SLC_CHUNK_LARGE + 1);
    huge[SLC_CHUNK_LARGE] = 1;
    slc_pool_give(&pool, huge, cap);
    slc_pool_give(&pool, small, SLC_CHUNK_SMALL);
    slc_pool_release(&pool);
}
END_TEST

START_TEST(over_the_limit_there_is_none_but_one_is_always_given)
{
    slc_pool pool;
    uint32_t cap, none;
    slc_pool_init(&pool, SLC_CHUNK_SMALL);
    uint8_t *large = slc_pool_take(&pool, SLC_CHUNK_LARGE, &cap);
    ck_assert_ptr_nonnull(large);
    ck_assert_ptr_null(slc_pool_take(&pool, 1, &none));
    slc_pool_give(&pool, large, cap);
    uint8_t *small = slc_pool_take(&pool, 1, &cap);
    ck_assert_ptr_nonnull(small);
    slc_pool_give(&pool, small, cap);
    slc_pool_release(&pool);
}
END_TEST

START_TEST(who_waits_is_called_in_turn_once)
{
    slc_pool pool;
    struct waiting a = {.waiter.ready = on_ready}, b = a, c = a;
    uint32_t cap;
    slc_pool_init(&pool, SLC_CHUNK_SMALL);
    uint8_t *chunk = slc_pool_take(&pool, 1, &cap);
    slc_pool_wait(&pool, &a.waiter);
    slc_pool_wait(&pool, &a.waiter);
    slc_pool_wait(&pool, &b.waiter);
    slc_pool_wait(&pool, &c.waiter);
    slc_pool_unwait(&pool, &b.waiter);
    slc_pool_unwait(&pool, &b.waiter);
    slc_pool_give(&pool, chunk, cap);
    ck_assert_int_eq(a.called, 1);
    ck_assert_int_eq(c.called, 0);
    slc_pool_give(&pool, slc_pool_take(&pool, 1, &cap), cap);
    ck_assert_int_eq(a.called, 1);
    ck_assert_int_eq(b.called, 0);
    ck_assert_int_eq(c.called, 1);
    slc_pool_release(&pool);
}
END_TEST

START_TEST(nobody_waits_for_ever_while_there_is_room)
{
    slc_pool pool;
    struct waiting a = {.waiter.ready = on_ready}, b = a, c = a;
    uint32_t cap;
    slc_pool_init(&pool, SLC_CHUNK_SMALL);
    uint8_t *chunk = slc_pool_take(&pool, 1, &cap);
    slc_pool_wait(&pool, &a.waiter);
    slc_pool_wait(&pool, &b.waiter);
    slc_pool_wait(&pool, &c.waiter);
    slc_pool_retry(&pool);
    ck_assert_int_eq(a.called + b.called + c.called, 0);
    slc_pool_give(&pool, chunk, cap); /* calls the first, which does not want it any more */
    slc_pool_retry(&pool);
    ck_assert_int_eq(a.called, 1);
    ck_assert_int_eq(b.called, 1);
    ck_assert_int_eq(c.called, 1);
    slc_pool_retry(&pool);
    ck_assert_int_eq(c.called, 1);
    slc_pool_release(&pool);
}
END_TEST

START_TEST(an_empty_pipe_is_used_again_and_pipes_leave_half_for_chunks)
{
    slc_pool pool;
    slc_pool_init(&pool, 4 * SLC_PIPE_BYTES);
    slc_pipe *pipe = slc_pool_take_pipe(&pool);
    ck_assert_ptr_nonnull(pipe);
    ck_assert_int_eq(fcntl(pipe->in, F_GETPIPE_SZ), SLC_PIPE_BYTES);
    slc_pool_give_pipe(&pool, pipe, true);
    ck_assert_uint_eq(pool.taken_bytes, 0);
    ck_assert_ptr_eq(slc_pool_take_pipe(&pool), pipe);
    slc_pipe *other = slc_pool_take_pipe(&pool);
    ck_assert_ptr_nonnull(other);
    ck_assert_uint_eq(pool.taken_bytes, 2 * SLC_PIPE_BYTES);
    ck_assert_ptr_null(slc_pool_take_pipe(&pool));
    slc_pool_give_pipe(&pool, pipe, false);
    ck_assert_uint_eq(pool.pipe_count, 0); /* whoever got it next would send what is in it */
    slc_pool_give_pipe(&pool, other, true);
    ck_assert_uint_eq(pool.pipe_count, 1);
    slc_pool_release(&pool);
}
END_TEST

UNIT_MAIN("dataplane/proxy/pool", a_chunk_is_the_next_size_and_comes_back,
          over_the_limit_there_is_none_but_one_is_always_given, who_waits_is_called_in_turn_once,
          nobody_waits_for_ever_while_there_is_room,
          an_empty_pipe_is_used_again_and_pipes_leave_half_for_chunks)
