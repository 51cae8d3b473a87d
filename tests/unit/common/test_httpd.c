#include "common/httpd.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "common/json.h"
#include "tests/unit/common/certificate.h"
#include "tests/unit/common/httpd_case.h"
#include "tests/unit/common/unit.h"

static struct httpd_case c;
static struct client client;
static struct answer answer;

static void setup(const slc_httpd_limits *limits)
{
    httpd_case_start(&c, limits, NULL);
    client_open(&client, &c);
}

static void teardown(void)
{
    client_close(&client);
    httpd_case_stop(&c);
}

/* Asks on the open connection and looks at one member of the JSON answer. */
static void expect(const char *text, int status, const char *member, const char *value)
{
    client_ask(&client, text, &answer);
    ck_assert_msg(answer.status == status, "%d: %s", answer.status, answer.head);
    if (member != NULL) {
        json_t *body = json_loads(answer.body, 0, NULL);
        ck_assert_str_eq(json_string_value(json_object_get(body, member)), value);
        json_decref(body);
    }
    answer_release(&answer);
}

START_TEST(requests_of_every_method_share_a_connection)
{
    static const char *const methods[] = {"GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"};
    setup(&httpd_case_limits);
    for (size_t i = 0; i < 6; i++) {
        char *text = slc_asprintf("%s /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", methods[i]);
        expect(text, 200, "method", methods[i]);
        free(text);
    }
    expect("GET /x?y=%20z HTTP/1.1\r\nHost: a\r\n\r\n", 200, "uri", "/x?y=%20z");
    expect("GET /x HTTP/1.1\r\nHost: a\r\n\r\n", 200, "tag", "the tag");
    expect("TRACE /echo HTTP/1.1\r\nHost: a\r\n\r\n", 200, "method", "TRACE");
    WAIT_UNTIL(c.completed == 9);
    ck_assert_uint_eq(httpd_case_connections(&c), 1);
    teardown();
    ck_assert_int_eq(c.gone, 0);
}
END_TEST

START_TEST(head_and_204_have_no_body)
{
    setup(&httpd_case_limits);
    client_ask(&client, "HEAD /echo HTTP/1.1\r\nHost: a\r\n\r\n", &answer);
    ck_assert_int_eq(answer.status, 200);
    char *length = answer_header(&answer, "Content-Length");
    ck_assert_int_gt(atoi(length), 10);
    free(length);
    answer_release(&answer);
    client_ask(&client, "GET /empty HTTP/1.1\r\nHost: a\r\n\r\n", &answer);
    ck_assert_int_eq(answer.status, 204);
    ck_assert_ptr_null(answer_header(&answer, "Content-Length"));
    ck_assert_ptr_null(answer_header(&answer, "Content-Type"));
    answer_release(&answer);
    expect("GET /echo HTTP/1.1\r\nHost: a\r\n\r\n", 200, "method", "GET");
    teardown();
}
END_TEST

START_TEST(bodies_come_whole_in_whatever_pieces)
{
    setup(&httpd_case_limits);
    const char *chunked = "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n"
                          "3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n";
    expect(chunked, 200, "body", "abcdefg");
    for (const char *p = chunked; *p != '\0'; p++)
        ck_assert(client_send(&client, p, 1));
    expect("", 200, "body", "abcdefg");
    client_say(&client, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    char interim[64] = "";
    ck_assert_int_gt(recv(client.fd, interim, sizeof interim - 1, MSG_PEEK), 0);
    ck_assert(strncmp(interim, "HTTP/1.1 100", 12) == 0);
    expect("hello", 200, "body", "hello");
    char *big = slc_calloc(1, 65537);
    memset(big, 'b', 65536);
    client_say(&client, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 65536\r\n\r\n");
    expect(big, 200, "body", big);
    free(big);
    teardown();
}
END_TEST

START_TEST(pipelined_requests_are_answered_in_order)
{
    setup(&httpd_case_limits);
    client_say(&client,
               "POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nxxGET /2 HTTP/1.1\r\nHost: a\r\n\r\n"
               "GET /later HTTP/1.1\r\nHost: a\r\n\r\nGET /4 HTTP/1.1\r\nHost: a\r\n\r\n");
    expect("", 200, "uri", "/1");
    expect("", 200, "uri", "/2");
    WAIT_UNTIL(c.handled == 3);
    client_say(&client, "GET /5 HTTP/1.1\r\nHost: a\r\n\r\n");
    httpd_case_release_held(&c);
    expect("", 200, NULL, NULL);
    expect("", 200, "uri", "/4");
    expect("", 200, "uri", "/5");
    teardown();
}
END_TEST

static json_t *problem(const char *text, int status)
{
    client_ask(&client, text, &answer);
    ck_assert_msg(answer.status == status, "%d instead of %d: %s", answer.status, status, text);
    char *type = answer_header(&answer, "Content-Type");
    ck_assert_str_eq(type, "application/problem+json");
    free(type);
    if (strncmp(text, "HEAD", 4) == 0) {
        answer_release(&answer);
        return NULL;
    }
    json_t *body = json_loads(answer.body, 0, NULL);
    ck_assert_ptr_nonnull(body);
    ck_assert_int_eq(json_integer_value(json_object_get(body, "status")), status);
    char *id = answer_header(&answer, "X-Request-Id");
    const char *instance = json_string_value(json_object_get(body, "instance"));
    if (id != NULL) {
        ck_assert(strncmp(instance, "urn:request:", 12) == 0);
        ck_assert_str_eq(instance + 12, id);
    }
    free(id);
    answer_release(&answer);
    return body;
}

START_TEST(problems_are_documents)
{
    setup(&httpd_case_limits);
    json_t *body = problem("GET /error HTTP/1.1\r\nHost: a\r\nX-Request-Id: my.id-1_2\r\n\r\n", 409);
    ck_assert_str_eq(json_string_value(json_object_get(body, "type")), "https://sluice.dev/problems/conflict");
    ck_assert_str_eq(json_string_value(json_object_get(body, "detail")), "orders exists");
    ck_assert_str_eq(json_string_value(json_object_get(body, "instance")), "urn:request:my.id-1_2");
    const json_t *error = json_array_get(json_object_get(body, "errors"), 0);
    ck_assert_str_eq(json_string_value(json_object_get(error, "pointer")), "/name");
    ck_assert_str_eq(json_string_value(json_object_get(error, "detail")), "orders exists");
    json_decref(body);
    body = problem("GET /internal HTTP/1.1\r\nHost: a\r\nX-Request-Id: not valid\r\n\r\n", 500);
    ck_assert_ptr_null(strstr(json_string_value(json_object_get(body, "detail")), "secret"));
    ck_assert_uint_eq(strlen(json_string_value(json_object_get(body, "instance"))), 12 + 26);
    json_decref(body);
    teardown();
}
END_TEST

/* On a connection of its own, fresh or one that has answered before: answered with a problem, closed, never
 * handled; nor is the request that is smuggled behind it. */
static void refused_on(const char *text, int status, bool used)
{
    struct client saved = client;
    client_open(&client, &c);
    if (used)
        expect("GET /echo HTTP/1.1\r\nHost: a\r\n\r\n", 200, "method", "GET");
    int handled = c.handled;
    char *all = slc_asprintf("%sGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n", text);
    json_decref(problem(all, status));
    ck_assert(client_at_end(&client));
    ck_assert_int_eq(c.handled, handled);
    free(all);
    client_close(&client);
    client = saved;
}

static void refused(const char *text, int status)
{
    refused_on(text, status, false);
    refused_on(text, status, true);
}

START_TEST(what_could_be_framed_in_two_ways_is_refused)
{
    setup(&httpd_case_limits);
    static const char *const ambiguous[] = {
        "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
        "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: \tchunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        "Content-Length : 5\r\n\r\nhello",
        "Content-Length: +5\r\n\r\nhello",
        "Content-Length: 5, 5\r\n\r\nhello",
        "Content-Length: 0x5\r\n\r\nhello",
        "Content-Length: \r\n\r\n",
        "Content-Length: -1\r\n\r\n",
        "Content-Length: 99999999999999999999\r\n\r\n",
        "X y: z\r\n\r\n",
        ": z\r\n\r\n",
        "X: a\rb\r\n\r\n",
        "X: a\001b\r\n\r\n",
        "no colon\r\n\r\n",
        "Host: b\r\n\r\n",
    };
    for (size_t i = 0; i < sizeof ambiguous / sizeof ambiguous[0]; i++) {
        char *text = slc_asprintf("POST /echo HTTP/1.1\r\nHost: a\r\n%s", ambiguous[i]);
        refused(text, i == 15 ? 413 : 400);
        free(text);
    }
    refused("POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400);
    refused("HEAD /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 40\r\n\r\n", 400);
    refused("TRACE /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400);
    refused("GET /echo HTTP/1.1\r\n\r\n", 400);
    refused("GET /echo HTTP/2.0\r\nHost: a\r\n\r\n", 400);
    refused("GET /echo HTTP/0.9\r\nHost: a\r\n\r\n", 400);
    refused("GET /echo HTTP/-1.5\r\nHost: a\r\n\r\n", 400);
    refused("GET /echo HTTP/-1.5\r\nHost\r\n\r\n", 400);
    refused("GET /\xC3\xA9 HTTP/1.1\r\nHost: a\r\n\r\n", 400);
    refused("GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", 400);
    refused("GET /echo\r\n\r\n", 400);
    refused("\r\n\r\nGET /echo HTTP/1.1\r\nHost: a\r\n\r\n", 400);
    refused("\x16\x03\x01\x02\r\n\r\n", 400);
    expect("GET /echo HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n", 200, "method", "GET");
    expect("HEAD /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", 200, NULL, NULL);
    expect("GET /echo HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", 200, "method", "GET");
    teardown();
}
END_TEST

START_TEST(a_nul_in_the_header_is_refused)
{
    setup(&httpd_case_limits);
    static const char text[] = "GET /echo HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n";
    ck_assert(client_send(&client, text, sizeof text - 1));
    json_decref(problem("", 400));
    ck_assert(client_at_end(&client));
    teardown();
}
END_TEST

START_TEST(trailer_fields_do_not_pass_for_header_fields)
{
    setup(&httpd_case_limits);
    client_ask(
        &client,
        "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Request-Id: forged\r\n\r\n",
        &answer);
    /* By libevent's version: it drops them, or we refuse them. */
    ck_assert(answer.status == 200 || answer.status == 400);
    ck_assert_ptr_null(strstr(answer.head, "forged"));
    answer_release(&answer);
    teardown();
}
END_TEST

START_TEST(limits_have_their_status)
{
    setup(&httpd_case_limits);
    char *text = slc_asprintf("GET /%04000d HTTP/1.1\r\nHost: a\r\nX: %0100d\r\n\r\n", 0, 0);
    refused(text, 431);
    free(text);
    text = slc_asprintf("GET /%05000d HTTP/1.1\r\nHost: a\r\n\r\n", 0);
    refused(text, 431);
    free(text);
    text = slc_asprintf("GET / HTTP/1.1\r\nHost: a\r\nX: %09000d\r\n\r\n", 0);
    refused(text, 431);
    free(text);
    refused("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 65537\r\n\r\n", 413);
    refused("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 65537\r\n\r\n", 413);
    refused("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n10001\r\n", 413);
    refused("FROB / HTTP/1.1\r\nHost: a\r\n\r\n", 501);
    refused("get / HTTP/1.1\r\nHost: a\r\n\r\n", 501);
    refused("POST / HTTP/1.1\r\nHost: a\r\nExpect: magic\r\nContent-Length: 1\r\n\r\nx", 417);
    text = slc_asprintf("GET /echo HTTP/1.1\r\nHost: a\r\nX: %04000d\r\n\r\n", 0);
    expect(text, 200, "method", "GET");
    free(text);
    teardown();
}
END_TEST

/* Without lingering the close would reset the connection, and the answer would be lost. */
static void check_answer_survives_upload(void)
{
    static char block[1 << 20];
    memset(block, 'x', sizeof block);
    client_say(&client, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8388608\r\n\r\n");
    for (int i = 0; i < 8; i++)
        ck_assert(client_send(&client, block, sizeof block));
    json_decref(problem("", 413));
    ck_assert(client_at_end(&client));
}

START_TEST(a_client_that_is_still_sending_gets_to_read_the_refusal)
{
    setup(&httpd_case_limits);
    check_answer_survives_upload();
    client_close(&client);
    WAIT_UNTIL(httpd_case_connections(&c) == 0);
    client_open(&client, &c);
    teardown();
}
END_TEST

#define LARGE (600 * 1024)

/* Most of a body that is as large as it may be. */
static void begin_large(struct client *sender, bool chunked)
{
    static char block[LARGE];
    memset(block, 'x', sizeof block);
    client_say(sender, "POST /echo HTTP/1.1\r\nHost: a\r\n");
    client_say(sender,
               chunked ? "Transfer-Encoding: chunked\r\n\r\n100000\r\n" : "Content-Length: 1048576\r\n\r\n");
    ck_assert(client_send(sender, block, sizeof block));
}

static void end_large(struct client *sender)
{
    static char block[1048576 - LARGE];
    memset(block, 'x', sizeof block);
    ck_assert(client_send(sender, block, sizeof block));
    client_read(sender, &answer, false);
    ck_assert_int_eq(answer.status, 200);
    answer_release(&answer);
}

START_TEST(bodies_that_are_too_much_together_are_refused)
{
    slc_httpd_limits limits = httpd_case_limits;
    limits.body_bytes = 1048576;
    limits.bodies_bytes = 700 * 1024;
    setup(&limits);
    for (int chunked = 0; chunked < 2; chunked++) {
        struct client second;
        begin_large(&client, false);
        WAIT_UNTIL(httpd_case_held(&c) > LARGE - 70000);
        client_open(&second, &c);
        begin_large(&second, chunked);
        client_read(&second, &answer, false);
        char *retry = answer_header(&answer, "Retry-After");
        ck_assert_int_eq(answer.status, 503);
        ck_assert_str_eq(retry, "5");
        free(retry);
        answer_release(&answer);
        ck_assert(client_at_end(&second));
        client_close(&second);
        client_open(&second, &c); /* small ones are let in meanwhile */
        client_ask(&second, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi", &answer);
        ck_assert_int_eq(answer.status, 200);
        answer_release(&answer);
        end_large(&client);
        begin_large(&second, false);
        end_large(&second);
        client_close(&second);
        WAIT_UNTIL(httpd_case_connections(&c) == 1);
        ck_assert_uint_eq(httpd_case_held(&c), 0);
    }
    teardown();
}
END_TEST

START_TEST(a_client_that_goes_away_is_noticed)
{
    setup(&httpd_case_limits);
    client_say(&client, "GET /later HTTP/1.1\r\nHost: a\r\n\r\n");
    WAIT_UNTIL(c.handled == 1);
    client_close(&client);
    WAIT_UNTIL(c.gone == 1);
    WAIT_UNTIL(httpd_case_connections(&c) == 0);

    client_open(&client, &c);
    client_say(&client, "GET /stream HTTP/1.1\r\nHost: a\r\n\r\n");
    WAIT_UNTIL(c.handled == 2);
    client_close(&client);
    WAIT_UNTIL(c.gone == 2);

    client_open(&client, &c);
    client_say(&client, "GET /stream HTTP/1.1\r\nHost: a\r\n\r\n");
    WAIT_UNTIL(c.handled == 3);
    httpd_case_release_held(&c);
    client_read(&client, &answer, false);
    ck_assert_str_eq(answer.body, "first");
    answer_release(&answer);
    WAIT_UNTIL(c.completed == 1);
    expect("GET /echo HTTP/1.1\r\nHost: a\r\n\r\n", 200, "method", "GET");
    teardown();
}
END_TEST

START_TEST(freeing_the_server_ends_what_is_held)
{
    setup(&httpd_case_limits);
    struct client others[4];
    client_say(&client, "GET /stream HTTP/1.1\r\nHost: a\r\n\r\n");
    static const char *const states[] = {"", "GET / HT",
                                         "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nx",
                                         "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\nx"};
    for (int i = 0; i < 4; i++) {
        client_open(&others[i], &c);
        client_say(&others[i], states[i]);
    }
    WAIT_UNTIL(c.handled == 1 && httpd_case_connections(&c) == 5);
    httpd_case_stop(&c);
    ck_assert_int_eq(c.gone, 1);
    for (int i = 0; i < 4; i++)
        client_close(&others[i]);
    client_close(&client);
}
END_TEST

START_TEST(slow_requests_and_idle_connections_time_out_but_not_slow_answers)
{
    slc_httpd_limits limits = httpd_case_limits;
    limits.request_timeout_ms = 300;
    setup(&limits);
    struct client idle, slow;
    client_say(&client, "GET /later HTTP/1.1\r\nHost: a\r\n\r\n");
    client_open(&idle, &c);
    client_open(&slow, &c);
    /* A byte now and then does not buy more time: else this would never end. */
    for (int sent = 0; client_send(&slow, "G", 1); sent++) {
        ck_assert_int_lt(sent, 700);
        poll(NULL, 0, 20);
    }
    ck_assert(client_at_end(&idle));
    WAIT_UNTIL(httpd_case_connections(&c) == 1);
    httpd_case_release_held(&c);
    expect("", 200, NULL, NULL);
    ck_assert(client_at_end(&client)); /* idle after its answer */
    client_close(&idle);
    client_close(&slow);
    teardown();
}
END_TEST

START_TEST(at_the_limit_of_connections_accepting_pauses)
{
    slc_httpd_limits limits = httpd_case_limits;
    limits.connections = 2;
    setup(&limits);
    struct client second, third;
    client_open(&second, &c);
    WAIT_UNTIL(httpd_case_connections(&c) == 2);
    client_open(&third, &c); /* the kernel completes it */
    client_say(&third, "GET /third HTTP/1.1\r\nHost: a\r\n\r\n");
    expect("GET /first HTTP/1.1\r\nHost: a\r\n\r\n", 200, "uri", "/first");
    ck_assert_uint_eq(httpd_case_connections(&c), 2);
    ck_assert_int_eq(c.handled, 1);
    client_close(&second);
    client_read(&third, &answer, false);
    ck_assert_int_eq(answer.status, 200);
    answer_release(&answer);
    client_close(&third);
    teardown();
}
END_TEST

static void expect_no_way_in(void)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(c.port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof address), -1);
    ck_assert_int_eq(errno, ECONNREFUSED);
    close(fd);
}

START_TEST(draining_lets_answers_finish)
{
    setup(&httpd_case_limits);
    struct client idle, partial;
    client_open(&idle, &c);
    client_open(&partial, &c);
    client_say(&partial, "GET /echo HTTP/1.1\r\n");
    client_say(&client, "GET /later HTTP/1.1\r\nHost: a\r\n\r\n");
    WAIT_UNTIL(c.handled == 1 && httpd_case_connections(&c) == 3);
    httpd_case_stop_accepting(&c);
    expect_no_way_in();
    ck_assert_int_eq(httpd_case_connections(&c), 3); /* who was in stays */
    httpd_case_drain(&c);
    httpd_case_drain(&c);
    ck_assert(client_at_end(&idle));
    struct answer second;
    client_say(&partial, "Host: a\r\n\r\n");
    client_read(&partial, &second, false);
    ck_assert_int_eq(second.status, 200);
    char *connection = answer_header(&second, "Connection");
    ck_assert_str_eq(connection, "close");
    free(connection);
    answer_release(&second);
    ck_assert(client_at_end(&partial));
    httpd_case_release_held(&c);
    client_read(&client, &answer, false);
    ck_assert_str_eq(answer.body, "held");
    connection = answer_header(&answer, "Connection");
    ck_assert_str_eq(connection, "close");
    free(connection);
    answer_release(&answer);
    ck_assert(client_at_end(&client));
    WAIT_UNTIL(httpd_case_connections(&c) == 0);
    char *address = slc_asprintf("127.0.0.1:%u", c.port);
    int probe = slc_listen(address, false, NULL); /* the port is free */
    ck_assert_int_ge(probe, 0);
    close(probe);
    free(address);
    client_close(&idle);
    client_close(&partial);
    teardown();
}
END_TEST

START_TEST(a_closed_listener_keeps_its_connections)
{
    setup(&httpd_case_limits);
    expect("GET /echo HTTP/1.1\r\nHost: a\r\n\r\n", 200, "tag", "the tag");
    httpd_case_close_listener(&c);
    expect("GET /echo HTTP/1.1\r\nHost: a\r\n\r\n", 200, "tag", "the tag");
    ck_assert_int_eq(c.ended, 0);
    client_close(&client);
    WAIT_UNTIL(c.ended == 1);
    httpd_case_stop(&c);
    ck_assert_int_eq(c.ended, 1);
}
END_TEST

START_TEST(what_a_client_sends_during_a_stream_is_bounded)
{
    setup(&httpd_case_limits);
    static char block[1 << 16];
    size_t sent = 0;
    client_say(&client, "GET /stream HTTP/1.1\r\nHost: a\r\n\r\n");
    WAIT_UNTIL(c.handled == 1);
    fcntl(client.fd, F_SETFL, O_NONBLOCK);
    for (struct pollfd p = {client.fd, POLLOUT, 0}; poll(&p, 1, 500) > 0 && sent < (64U << 20);) {
        ssize_t n = send(client.fd, block, sizeof block, MSG_NOSIGNAL);
        if (n > 0)
            sent += (size_t)n;
    }
    ck_assert_uint_lt(sent, 32U << 20); /* socket buffers and the read-ahead */
    teardown();
}
END_TEST

START_TEST(tls_serves_and_closes_cleanly)
{
    struct certificate certificate;
    slc_error err;
    certificate_make(&certificate, "localhost", -60, 86400, NULL);
    slc_tls_options options = {
        .cert_pem = certificate.cert_pem, .key_pem = certificate.key_pem, .alpn = "http/1.1"};
    slc_tls *tls = slc_tls_server_new(&options, &err);
    ck_assert_ptr_nonnull(tls);
    httpd_case_start(&c, &httpd_case_limits, tls);
    client_open(&client, &c);
    expect("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", 200, "body", "hello");
    expect("GET /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 200, "method", "GET");
    ck_assert(client_at_end(&client));
    ck_assert_int_eq(SSL_get_shutdown(client.ssl) & SSL_RECEIVED_SHUTDOWN, SSL_RECEIVED_SHUTDOWN);
    client_close(&client);

    client_open(&client, &c);
    check_answer_survives_upload();
    client_close(&client);

    /* Neither TLS nor HTTP. */
    c.tls = NULL;
    client_open(&client, &c);
    client_say(&client, "GET /echo HTTP/1.1\r\nHost: a\r\n\r\n");
    client_at_end(&client);
    client_close(&client);
    WAIT_UNTIL(httpd_case_connections(&c) == 0);
    slc_tls_unref(tls);
    httpd_case_stop(&c);
    certificate_release(&certificate);
}
END_TEST

/* A small linear congruential generator: the same every time. */
static unsigned random_below(unsigned *state, unsigned n)
{
    *state = *state * 1103515245 + 12345;
    return (*state >> 16) % n;
}

START_TEST(random_damage_does_not_hurt)
{
    static const char request[] =
        "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nX: yyyyyyyy\r\n\r\n"
        "5\r\nhello\r\n0\r\n\r\nGET /stream HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx"
        "GET /later HTTP/1.1\r\nHost: a\r\n\r\nHEAD / HTTP/1.1\r\n\r\n";
    unsigned state = 1;
    setup(&httpd_case_limits);
    for (int round = 0; round < 600; round++) {
        char text[sizeof request];
        struct client mad;
        memcpy(text, request, sizeof request);
        for (unsigned n = random_below(&state, 4) + 1; n > 0; n--)
            text[random_below(&state, sizeof request - 1)] = "\r\n\0: 0A\xFF"[random_below(&state, 8)];
        client_open(&mad, &c);
        client_send(&mad, text, random_below(&state, sizeof request));
        if (random_below(&state, 2) == 0)
            shutdown(mad.fd, SHUT_WR);
        if (random_below(&state, 2) == 0) {
            char some[512];
            struct pollfd p = {mad.fd, POLLIN, 0};
            if (poll(&p, 1, 5) > 0)
                recv(mad.fd, some, sizeof some, 0);
        }
        client_close(&mad);
    }
    WAIT_UNTIL(httpd_case_connections(&c) == 1);
    expect("GET /echo HTTP/1.1\r\nHost: a\r\n\r\n", 200, "method", "GET");
    teardown();
}
END_TEST

START_TEST(listening_has_clear_errors)
{
    slc_error err;
    int fd = slc_listen("127.0.0.1:0", true, &err);
    ck_assert_int_ge(fd, 0);
    char *address = slc_asprintf("127.0.0.1:%u", slc_listen_port(fd));
    int same = slc_listen(address, true, &err);
    ck_assert_int_ge(same, 0);
    ck_assert_int_eq(slc_listen_port(same), slc_listen_port(fd));
    ck_assert_int_eq(slc_listen(address, false, &err), -1);
    ck_assert_int_eq(err.code, SLC_CONFLICT);
    ck_assert_ptr_nonnull(strstr(err.message, address));
    ck_assert_int_eq(slc_listen("nowhere", false, &err), -1);
    ck_assert_int_eq(err.code, SLC_INVALID);
    ck_assert_int_eq(slc_listen("203.0.113.1:0", false, &err), -1);
    int any = slc_listen(":0", false, &err);
    ck_assert_int_ge(any, 0);
    ck_assert_int_gt(slc_listen_port(any), 0);
    close(fd);
    close(same);
    close(any);
    free(address);
}
END_TEST

START_TEST(every_code_has_a_status)
{
    for (int code = SLC_INVALID; code <= SLC_INTERNAL; code++) {
        int status = slc_code_http_status((enum slc_code)code);
        ck_assert_int_ge(status, 400);
        ck_assert_str_ne(slc_http_reason(status), "Unknown");
    }
    ck_assert_int_eq(slc_code_http_status((enum slc_code)999), 500);
}
END_TEST

UNIT_MAIN("httpd", requests_of_every_method_share_a_connection, head_and_204_have_no_body,
          bodies_come_whole_in_whatever_pieces, pipelined_requests_are_answered_in_order,
          problems_are_documents, what_could_be_framed_in_two_ways_is_refused, a_nul_in_the_header_is_refused,
          trailer_fields_do_not_pass_for_header_fields, limits_have_their_status,
          a_client_that_is_still_sending_gets_to_read_the_refusal,
          bodies_that_are_too_much_together_are_refused, a_client_that_goes_away_is_noticed,
          freeing_the_server_ends_what_is_held,
          slow_requests_and_idle_connections_time_out_but_not_slow_answers,
          at_the_limit_of_connections_accepting_pauses, draining_lets_answers_finish,
          a_closed_listener_keeps_its_connections, what_a_client_sends_during_a_stream_is_bounded,
          tls_serves_and_closes_cleanly, random_damage_does_not_hurt, listening_has_clear_errors,
          every_code_has_a_status)
