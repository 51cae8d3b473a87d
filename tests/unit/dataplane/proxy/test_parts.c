/* Messages put together from pieces: written from where they lie, and none of it twice or out of turn. */
#include "dataplane/proxy/parts.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/alloc.h"
#include "tests/unit/common/unit.h"

#define LARGE (3u * 1024 * 1024)

static struct event_base *base;
static slc_pool pool;
static slc_end to;
static int peer;
static slc_buf got;
static uint8_t *large;

static void never(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what, (void)arg;
}

static void open_end(void)
{
    int fds[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    base = event_base_new();
    slc_pool_init(&pool, LARGE);
    slc_end_init(&to, 2 * LARGE);
    slc_end_attach(&to, base, fds[0], NULL, never, never, NULL);
    peer = fds[1];
    slc_buf_init(&got, 4 * LARGE);
    large = slc_malloc(LARGE);
    for (size_t i = 0; i < LARGE; i++)
        large[i] = (uint8_t)(i * 31 + i / 253);
}

static void close_end(void)
{
    slc_end_release(&to, &pool);
    slc_pool_release(&pool);
    event_base_free(base);
    close(peer);
    slc_buf_release(&got);
    free(large);
}

static void drain(void)
{
    static uint8_t piece[65536];
    ssize_t n;
    while ((n = read(peer, piece, sizeof piece)) > 0)
        ck_assert(slc_buf_add(&got, piece, (size_t)n));
}

/* Everything, as the peer reads it. */
static void send_rest(void)
{
    enum slc_io io;
    do {
        io = slc_end_send(&to, NULL);
        ck_assert(io == SLC_IO_OK || io == SLC_IO_AGAIN);
        drain();
    } while (io != SLC_IO_OK);
    drain();
}

START_TEST(what_is_short_waits_for_company)
{
    slc_parts parts;
    open_end();
    slc_parts_init(&parts, &to);
    slc_parts_add(&parts, "short", 5);
    slc_parts_add(&parts, "", 0);
    ck_assert(slc_parts_send(&parts, false));
    ck_assert_uint_eq(slc_end_waiting(&to), 5);
    drain();
    ck_assert_uint_eq(got.len, 0);
    send_rest();
    ck_assert_uint_eq(got.len, 5);
    close_end();
}
END_TEST

START_TEST(what_is_long_goes_from_where_it_lies_behind_what_waits)
{
    slc_parts parts;
    open_end();
    ck_assert(slc_buf_adds(&to.out, "first"));
    slc_parts_init(&parts, &to);
    slc_parts_add(&parts, "head", 4);
    slc_parts_add(&parts, large, 20000);
    ck_assert(slc_parts_send(&parts, true));
    ck_assert_uint_eq(slc_end_waiting(&to), 0);
    ck_assert_uint_eq(to.bytes_out, 20009);
    drain();
    ck_assert_uint_eq(got.len, 20009);
    ck_assert_mem_eq(got.data, "firsthead", 9);
    ck_assert_mem_eq(got.data + 9, large, 20000);
    close_end();
}
END_TEST

/* More than the socket takes, in more pieces than go at once. */
START_TEST(what_the_socket_does_not_take_is_kept)
{
    slc_parts parts;
    open_end();
    slc_parts_init(&parts, &to);
    for (size_t at = 0; at < LARGE; at += LARGE / 256)
        slc_parts_add(&parts, large + at, LARGE / 256);
    ck_assert(slc_parts_send(&parts, false));
    ck_assert_uint_gt(slc_end_waiting(&to), 0);
    ck_assert_uint_gt(to.bytes_out, 0);
    ck_assert_uint_eq(to.bytes_out + slc_end_waiting(&to), LARGE);
    slc_parts_add(&parts, "behind", 6);
    ck_assert(slc_parts_send(&parts, false));
    send_rest();
    ck_assert_uint_eq(got.len, LARGE + 6);
    ck_assert_mem_eq(got.data, large, LARGE);
    ck_assert_mem_eq(got.data + LARGE, "behind", 6);
    close_end();
}
END_TEST

START_TEST(too_much_that_waits_is_told)
{
    slc_parts parts;
    open_end();
    slc_parts_init(&parts, &to);
    slc_parts_add(&parts, large, LARGE);
    slc_parts_add(&parts, large, LARGE);
    slc_parts_add(&parts, large, LARGE);
    ck_assert(!slc_parts_send(&parts, false));
    close_end();
}
END_TEST

START_TEST(edits_swap_pieces_also_those_that_were_made_in_place)
{
    slc_kafka_edits edits;
    slc_parts parts;
    slc_error err = {0};
    slc_buf applied;
    open_end();
    slc_buf_init(&applied, LARGE);
    slc_kafka_edits_init(&edits, 10, LARGE);
    ck_assert(slc_kafka_edits_add(&edits, 1, 2, &(slc_kafka_span){"xyz", 3}, 1, &err));
    size_t from = edits.bytes.len;
    ck_assert(slc_buf_adds(&edits.bytes, "made"));
    ck_assert(slc_kafka_edits_add_made(&edits, 4, 1, (slc_kafka_span){"<4>", 3}, from, &err));
    ck_assert_int_eq(edits.growth, 7);
    ck_assert(slc_kafka_edits_apply(&edits, (const uint8_t *)"abcdefg", 7, &applied, &err));
    ck_assert_str_eq((char *)applied.data, "axyzd<4>madefg");
    slc_parts_init(&parts, &to);
    slc_parts_add_changed(&parts, &edits, (const uint8_t *)"abcdefg", 7);
    ck_assert(slc_parts_send(&parts, false));
    send_rest();
    ck_assert_uint_eq(got.len, applied.len);
    ck_assert_mem_eq(got.data, applied.data, applied.len);
    slc_kafka_edits_release(&edits);
    slc_buf_release(&applied);
    close_end();
}
END_TEST

/* The second of its two edits does not fit: neither is there. */
START_TEST(what_was_made_and_does_not_fit_leaves_nothing)
{
    slc_kafka_edits edits;
    slc_error err = {0};
    slc_kafka_edits_init(&edits, 2, 1000);
    ck_assert(slc_kafka_edits_add(&edits, 0, 1, &(slc_kafka_span){"a", 1}, 1, &err));
    const slc_kafka_edits_mark before = slc_kafka_edits_here(&edits);
    ck_assert(slc_buf_adds(&edits.bytes, "made"));
    ck_assert(!slc_kafka_edits_add_made(&edits, 4, 1, (slc_kafka_span){"<4>", 3}, before.bytes, &err));
    ck_assert_int_eq(err.code, SLC_LIMIT);
    ck_assert(edits.count == 1 && edits.bytes.len == before.bytes && edits.growth == before.growth);
    slc_kafka_edits_release(&edits);
}
END_TEST

UNIT_MAIN("dataplane/proxy/parts", what_is_short_waits_for_company,
          what_is_long_goes_from_where_it_lies_behind_what_waits, what_the_socket_does_not_take_is_kept,
          too_much_that_waits_is_told, edits_swap_pieces_also_those_that_were_made_in_place,
          what_was_made_and_does_not_fit_leaves_nothing)
