/* Exchanges live exactly as long as they should, at whatever moment the client goes. Run with AddressSanitizer.
 */
#include <check.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "common/file.h"
#include "rig.h"
#include "tests/unit/common/unit.h"

#define GET    "GET /orders/v1/events HTTP/1.1\r\nHost: g\r\n" RIG_KEY "\r\n"
#define STREAM "GET /orders/v1/events HTTP/1.1\r\nHost: g\r\nAccept: text/event-stream\r\n" RIG_KEY "\r\n"

static struct rig *rig;

static void setup(enum rig_mode mode)
{
    rig = rig_new();
    rig_open(rig);
    rig_set_mode(rig, mode);
}

static void teardown(void)
{
    rig_close(rig);
    rig_free(rig);
}

/* The next client is served as if nothing had happened. */
static void serves_on(void)
{
    RIG_WAIT(rig_idle(rig));
    rig_set_mode(rig, RIG_REPLY);
    char *text = rig_ask(rig, "GET /orders/v1/events", RIG_KEY, NULL);
    ck_assert_int_eq(rig_status(text), 200);
    free(text);
}

static void answer_held(struct rig *self)
{
    slc_exchange *exchange = self->held;
    self->held = NULL;
    exchange->on_abort = NULL;
    slc_exchange_problem(exchange, 503, "not-persisted", "Not stored", NULL, json_pack("{s:i}", "extra", 7));
}

static void finish_stream(struct rig *self)
{
    slc_exchange *exchange = self->held;
    self->held = NULL;
    slc_exchange_stream_finish(exchange);
}

static void write_more(struct rig *self)
{
    struct evbuffer *chunk = evbuffer_new();
    evbuffer_add(chunk, "more;", 5);
    slc_exchange_write(self->held, chunk, NULL);
    evbuffer_free(chunk);
}

START_TEST(a_late_answer_arrives)
{
    setup(RIG_HOLD);
    int fd = rig_connect(rig);
    rig_send(fd, GET);
    RIG_WAIT(rig_holds(rig));
    rig_call(rig, answer_held);
    char *text = rig_answer_of(fd, false);
    ck_assert_int_eq(rig_status(text), 503);
    ck_assert_ptr_nonnull(strstr(text, "\"extra\":7"));
    free(text);
    close(fd);
    serves_on();
    teardown();
}
END_TEST

/* A loop over how a client goes: close, RST. */
START_TEST(a_client_that_goes_before_the_answer_is_noticed)
{
    setup(RIG_HOLD);
    for (unsigned i = 0; i < 6; i++) {
        int fd = rig_connect(rig);
        rig_send(fd, GET);
        RIG_WAIT(rig_holds(rig));
        if (i % 2 == 0)
            close(fd);
        else
            rig_reset(fd);
        RIG_WAIT(rig_aborted(rig) == i + 1);
    }
    serves_on();
    rig_close(rig);
    char *log = slc_file_read(rig->access_log, 65536, NULL, NULL);
    ck_assert_ptr_nonnull(strstr(log, "\"status\":499"));
    free(log);
    rig_free(rig);
}
END_TEST

START_TEST(a_handler_that_does_not_listen_is_let_go)
{
    setup(RIG_HOLD_BLINDLY);
    for (unsigned i = 0; i < 4; i++) {
        int fd = rig_connect(rig);
        rig_send(fd, GET);
        RIG_WAIT(!rig_idle(rig));
        if (i % 2 == 0)
            close(fd);
        else
            rig_reset(fd);
        RIG_WAIT(rig_idle(rig));
    }
    serves_on();
    teardown();
}
END_TEST

START_TEST(a_client_that_goes_in_the_middle_of_its_request_is_nothing)
{
    static const char *const parts[] = {
        "",
        "G",
        "GET /orders/v1/events HTTP/1.1\r\nHost",
        "POST /orders/v1/events HTTP/1.1\r\nHost: g\r\n" RIG_KEY "Content-Length: 100\r\n\r\nhalf of",
        "POST /orders/v1/events HTTP/1.1\r\nHost: g\r\n" RIG_KEY "Transfer-Encoding: chunked\r\n\r\n5\r\nhel",
        "POST /orders/v1/events HTTP/1.1\r\nHost: g\r\n" RIG_KEY
        "Expect: 100-continue\r\nContent-Length: 9\r\n\r\n",
    };
    setup(RIG_HOLD);
    for (size_t i = 0; i < 2 * sizeof parts / sizeof *parts; i++) {
        int fd = rig_connect(rig);
        rig_send(fd, parts[i / 2]);
        if (i % 2 == 0)
            close(fd);
        else
            rig_reset(fd);
    }
    serves_on();
    ck_assert_uint_eq(rig_aborted(rig), 0);
    teardown();
}
END_TEST

START_TEST(a_stream_is_written_and_finished)
{
    setup(RIG_STREAM);
    int fd = rig_connect(rig);
    rig_send(fd, STREAM);
    char *text = rig_read(fd, "first;");
    ck_assert_str_eq(rig_header(text, "Transfer-Encoding"), "chunked");
    ck_assert_str_eq(rig_header(text, "Content-Type"), "text/event-stream");
    free(text);
    for (int i = 0; i < 3; i++) {
        rig_call(rig, write_more);
        free(rig_read(fd, "5\r\nmore;\r\n"));
    }
    rig_call(rig, finish_stream);
    free(rig_read(fd, "0\r\n\r\n"));
    /* And the connection is good for another request. */
    rig_set_mode(rig, RIG_REPLY);
    rig_send(fd, GET);
    text = rig_answer_of(fd, false);
    ck_assert_int_eq(rig_status(text), 200);
    free(text);
    close(fd);
    serves_on();
    teardown();
}
END_TEST

START_TEST(a_stream_to_http_1_0_ends_with_the_connection)
{
    setup(RIG_STREAM);
    int fd = rig_connect(rig);
    rig_send(fd, "GET /orders/v1/events HTTP/1.0\r\nAccept: text/event-stream\r\n" RIG_KEY "\r\n");
    char *text = rig_read(fd, "first;");
    ck_assert_ptr_null(rig_header(text, "Transfer-Encoding"));
    free(text);
    rig_call(rig, finish_stream);
    free(rig_read(fd, NULL));
    close(fd);
    serves_on();
    teardown();
}
END_TEST

START_TEST(a_client_that_goes_during_a_stream_is_noticed)
{
    setup(RIG_STREAM);
    for (unsigned i = 0; i < 6; i++) {
        int fd = rig_connect(rig);
        rig_send(fd, STREAM);
        if (i % 3 != 2)
            free(rig_read(fd, "first;"));
        if (i % 2 == 0)
            close(fd);
        else
            rig_reset(fd);
        RIG_WAIT(rig_aborted(rig) == i + 1);
    }
    serves_on();
    teardown();
}
END_TEST

START_TEST(a_client_that_goes_during_a_flood_is_noticed)
{
    setup(RIG_FLOOD);
    for (unsigned i = 0; i < 4; i++) {
        int fd = rig_connect(rig);
        rig_send(fd, STREAM);
        free(rig_read(fd, "xxxxxxxx"));
        if (i % 2 == 0)
            close(fd);
        else
            rig_reset(fd);
        RIG_WAIT(rig_aborted(rig) == i + 1);
    }
    ck_assert_uint_gt(rig->written, 0);
    serves_on();
    teardown();
}
END_TEST

START_TEST(a_client_that_goes_after_the_end_is_nothing)
{
    setup(RIG_STREAM);
    for (unsigned i = 0; i < 4; i++) {
        int fd = rig_connect(rig);
        rig_send(fd, STREAM);
        RIG_WAIT(rig_holds(rig));
        rig_call(rig, finish_stream);
        if (i % 2 == 0)
            close(fd);
        else
            rig_reset(fd);
        RIG_WAIT(rig_idle(rig));
    }
    ck_assert_uint_eq(rig_aborted(rig), 0);
    serves_on();
    teardown();
}
END_TEST

/* Pipelining, or a client that talks during a stream: its bytes wait. */
START_TEST(bytes_during_an_answer_are_the_next_request)
{
    setup(RIG_STREAM);
    int fd = rig_connect(rig);
    rig_send(fd, STREAM);
    free(rig_read(fd, "first;"));
    rig_send(fd, "GET /orders/v1 HTTP/1.1\r\nHost: g\r\n\r\n");
    rig_call(rig, write_more);
    free(rig_read(fd, "more;\r\n"));
    ck_assert(rig_holds(rig));
    rig_call(rig, finish_stream);
    char *text = rig_read(fd, "/orders/v1/events");
    ck_assert_ptr_nonnull(strstr(text, "0\r\n\r\nHTTP/1.1 200 "));
    free(text);
    close(fd);
    serves_on();
    teardown();
}
END_TEST

START_TEST(a_reader_that_takes_nothing_is_closed)
{
    rig = rig_new();
    rig->limits.stalled_write_ms = 300;
    rig_open(rig);
    rig_set_mode(rig, RIG_FLOOD);
    int fd = rig_connect(rig);
    rig_send(fd, STREAM);
    RIG_WAIT(rig_aborted(rig) == 1);
    close(fd);
    serves_on();
    teardown();
}
END_TEST

#define LARGE (32 * 1024 * 1024) /* more than sockets take by themselves */

static size_t page_bytes;

static void note_page_bytes(struct rig *r)
{
    page_bytes = r->worker.page_bytes.total;
}

static void answer_large(struct rig *r)
{
    slc_exchange *exchange = r->held;
    struct evbuffer *body = evbuffer_new();
    char *text = slc_calloc(1, LARGE);
    r->held = NULL;
    exchange->page_holder = slc_page_bytes_begin(&r->worker.page_bytes, "app-1");
    slc_page_bytes_add(&r->worker.page_bytes, exchange->page_holder, exchange->page_bytes = LARGE);
    evbuffer_add(body, text, LARGE);
    slc_exchange_reply(exchange, 200, "application/octet-stream", body);
    evbuffer_free(body);
    free(text);
    note_page_bytes(r); /* before any of it can be out */
}

/* A write that goes on, drop by drop, would hold the answer for as long as the client likes. */
START_TEST(an_answer_that_is_not_taken_in_time_is_cut)
{
    rig = rig_new();
    rig->limits.request_timeout_ms = 3600000; /* of writes that make no progress, too */
    rig->limits.answer_timeout_ms = 300;
    rig_open(rig);
    rig_set_mode(rig, RIG_HOLD);
    int fd = rig_connect(rig);
    rig_send(fd, GET);
    RIG_WAIT(rig_holds(rig));
    rig_call(rig, answer_large);
    ck_assert_uint_eq(page_bytes, LARGE);
    RIG_WAIT(rig_idle(rig));
    rig_call(rig, note_page_bytes);
    ck_assert_uint_eq(page_bytes, 0);
    close(fd);
    serves_on();
    teardown();
}
END_TEST

/* Until connections that came later have run into their timeout, one after the other: it and the check for
 * stalled streams, each half second, have then had their time. */
static void outlast_the_timeouts(void)
{
    char byte;
    for (int i = 0; i < 5; i++) {
        int fd = rig_connect(rig);
        rig_send(fd, "GET /");
        ck_assert_int_eq(recv(fd, &byte, 1, 0), 0); /* the socket's own time limit bounds it */
        close(fd);
    }
}

static bool writes_in_the_next_turn;
static int wakes[2];

static void write_now(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    write_more(arg);
}

/* A turn of the loop that takes long, as on a machine with too much to do. The stream is written to at its end,
 * or in the next turn, before the check of what clients have taken, which is due by then. */
static void stand_still(struct rig *r)
{
    int64_t until_ms = slc_monotonic_ms() + 1500;
    while (slc_monotonic_ms() < until_ms)
        (void)poll(NULL, 0, 100);
    if (!writes_in_the_next_turn) {
        write_more(r);
        return;
    }
    struct event_base *base = slc_loop_base(r->worker.loop);
    ck_assert_int_eq(event_base_once(base, wakes[0], EV_READ, write_now, r, NULL), 0);
    ck_assert_int_eq(write(wakes[1], "x", 1), 1);
}

START_TEST(a_worker_that_stood_still_blames_no_reader)
{
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, wakes), 0);
    for (int i = 0; i < 2; i++) { /* neither by the one limit nor by the other */
        rig = rig_new();
        writes_in_the_next_turn = i == 0;
        rig->limits.stalled_write_ms = i == 0 ? 1000 : 60000;
        rig->limits.request_timeout_ms = i == 0 ? 60000 : 1000;
        rig_open(rig);
        rig_set_mode(rig, RIG_STREAM);
        int fd = rig_connect(rig);
        rig_send(fd, STREAM);
        free(rig_read(fd, "first;"));
        rig_call(rig, stand_still);
        free(rig_read(fd, "more;"));
        ck_assert(rig_holds(rig));
        close(fd);
        RIG_WAIT(rig_aborted(rig) == 1);
        teardown();
    }
    close(wakes[0]);
    close(wakes[1]);
}
END_TEST

START_TEST(a_quiet_stream_outlives_the_request_timeout)
{
    rig = rig_new();
    rig->limits.request_timeout_ms = 200;
    rig->limits.stalled_write_ms = 200;
    rig_open(rig);
    rig_set_mode(rig, RIG_STREAM);
    int fd = rig_connect(rig);
    rig_send(fd, STREAM);
    free(rig_read(fd, "first;"));
    outlast_the_timeouts();
    ck_assert(rig_holds(rig));
    rig_call(rig, write_more);
    free(rig_read(fd, "more;"));
    close(fd);
    RIG_WAIT(rig_aborted(rig) == 1);
    rig_set_mode(rig, RIG_HOLD);
    fd = rig_connect(rig);
    rig_send(fd, GET);
    RIG_WAIT(rig_holds(rig));
    outlast_the_timeouts();
    rig_call(rig, answer_held);
    char *text = rig_answer_of(fd, false);
    ck_assert_int_eq(rig_status(text), 503);
    free(text);
    close(fd);
    serves_on();
    teardown();
}
END_TEST

static void drain(struct rig *self)
{
    slc_http_front_drain(self->worker.http);
}

START_TEST(draining_finishes_what_is_open)
{
    setup(RIG_HOLD);
    int idle = rig_connect(rig), busy = rig_connect(rig);
    rig_send(busy, GET);
    RIG_WAIT(rig_holds(rig));
    rig_call(rig, drain);
    free(rig_read(idle, NULL)); /* closed */
    rig_call(rig, answer_held);
    char *text = rig_answer_of(busy, false);
    ck_assert_int_eq(rig_status(text), 503);
    ck_assert_str_eq(rig_header(text, "Connection"), "close");
    free(text);
    free(rig_read(busy, NULL));
    close(idle);
    close(busy);
    ck_assert(rig_idle(rig));
    teardown();
}
END_TEST

START_TEST(closing_the_front_ends_what_is_open)
{
    setup(RIG_STREAM);
    int fd = rig_connect(rig);
    rig_send(fd, STREAM);
    free(rig_read(fd, "first;"));
    rig_close(rig);
    ck_assert_uint_eq(rig_aborted(rig), 1);
    free(rig_read(fd, NULL));
    close(fd);
    rig_free(rig);
}
END_TEST

UNIT_MAIN("exchange", a_late_answer_arrives, a_client_that_goes_before_the_answer_is_noticed,
          a_handler_that_does_not_listen_is_let_go, a_client_that_goes_in_the_middle_of_its_request_is_nothing,
          a_stream_is_written_and_finished, a_stream_to_http_1_0_ends_with_the_connection,
          a_client_that_goes_during_a_stream_is_noticed, a_client_that_goes_during_a_flood_is_noticed,
          a_client_that_goes_after_the_end_is_nothing, bytes_during_an_answer_are_the_next_request,
          a_reader_that_takes_nothing_is_closed, an_answer_that_is_not_taken_in_time_is_cut,
          a_worker_that_stood_still_blames_no_reader, a_quiet_stream_outlives_the_request_timeout,
          draining_finishes_what_is_open, closing_the_front_ends_what_is_open)
