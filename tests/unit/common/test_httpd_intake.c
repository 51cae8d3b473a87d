/* httpd_intake: whose connection it is that a load balancer passes on. */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/alloc.h"
#include "tests/unit/common/certificate.h"
#include "tests/unit/common/httpd_case.h"
#include "tests/unit/common/unit.h"

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define TCP4                                                                                                   \
    SIGNATURE "\x21\x11\0\x0c"                                                                                 \
              "\xcb\0\x71\x07\x7f\0\0\1\x9c\xbb\x23\x84"
#define LOCAL     SIGNATURE "\x20\0\0\0"
#define REQUEST   "GET /echo HTTP/1.1\r\nHost: a\r\n\r\n"
#define LEN(text) (sizeof text - 1)

static struct httpd_case c;
static struct client client;

static void setup(const slc_httpd_limits *limits)
{
    httpd_case_start(&c, limits, NULL);
    httpd_case_trust(&c, "127.0.0.0/8");
    client_connect(&client, &c);
}

static void teardown(void)
{
    client_close(&client);
    httpd_case_stop(&c);
}

static void expect_client(const char *name)
{
    struct answer answer;
    client_read(&client, &answer, false);
    ck_assert_int_eq(answer.status, 200);
    json_t *body = json_loads(answer.body, 0, NULL);
    ck_assert_str_eq(json_string_value(json_object_get(body, "client")), name);
    json_decref(body);
    answer_release(&answer);
}

START_TEST(the_client_is_told_for_all_requests)
{
    setup(&httpd_case_limits);
    ck_assert(client_send(&client, TCP4 REQUEST, LEN(TCP4 REQUEST))); /* in one piece */
    expect_client("203.0.113.7");
    client_say(&client, REQUEST);
    expect_client("203.0.113.7");
    teardown();
}
END_TEST

START_TEST(the_header_comes_in_pieces)
{
    setup(&httpd_case_limits);
    for (size_t i = 0; i < LEN(TCP4); i++)
        ck_assert(client_send(&client, &TCP4[i], 1));
    WAIT_UNTIL(httpd_case_connections(&c) == 1);
    client_say(&client, REQUEST);
    expect_client("203.0.113.7");
    teardown();
}
END_TEST

START_TEST(the_balancer_may_speak_for_itself)
{
    setup(&httpd_case_limits);
    ck_assert(client_send(&client, LOCAL REQUEST, LEN(LOCAL REQUEST)));
    expect_client("");
    teardown();
}
END_TEST

START_TEST(tls_begins_behind_the_header)
{
    struct certificate certificate;
    slc_error err;
    certificate_make(&certificate, "localhost", -60, 86400, NULL);
    slc_tls_options options = {
        .cert_pem = certificate.cert_pem, .key_pem = certificate.key_pem, .alpn = "http/1.1"};
    slc_tls *tls = slc_tls_server_new(&options, &err);
    ck_assert_ptr_nonnull(tls);
    httpd_case_start(&c, &httpd_case_limits, tls);
    httpd_case_trust(&c, "127.0.0.1");
    client_connect(&client, &c);
    ck_assert(client_send(&client, TCP4, LEN(TCP4)));
    client_start_tls(&client);
    client_say(&client, REQUEST);
    expect_client("203.0.113.7");
    client_close(&client);
    client_connect(&client, &c); /* TLS without a header */
    ck_assert(client_send(&client, "\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03pqrst", 16));
    ck_assert(client_at_end(&client));
    teardown();
    slc_tls_unref(tls);
    certificate_release(&certificate);
}
END_TEST

static void expect_closed(const char *data, size_t len)
{
    client_connect(&client, &c);
    ck_assert(client_send(&client, data, len));
    ck_assert(client_at_end(&client));
    client_close(&client);
}

START_TEST(a_balancer_without_a_good_header_is_cut)
{
    setup(&httpd_case_limits);
    client_close(&client);
    expect_closed(REQUEST, LEN(REQUEST));
    expect_closed("PROXY TCP4 203.0.113.7 127.0.0.1 40123 80\r\n" REQUEST, 60);
    expect_closed(SIGNATURE "\x11\x11\0\0" REQUEST, 40);
    expect_closed(SIGNATURE "\x21\x11\0\x04"
                            "abcd",
                  LEN(SIGNATURE) + 8);
    expect_closed(SIGNATURE "\x21\x11\xff\xff", LEN(SIGNATURE) + 4);
    WAIT_UNTIL(httpd_case_connections(&c) == 0);
    ck_assert_int_eq(c.handled, 0);
    client_connect(&client, &c);
    teardown();
}
END_TEST

/* From an address that nobody trusts it is no HTTP: never is it believed, never skipped. */
START_TEST(others_send_none)
{
    struct answer answer;
    setup(&httpd_case_limits);
    client_close(&client);
    httpd_case_trust(&c, "198.51.100.0/24");
    client_connect(&client, &c);
    client_say(&client, REQUEST);
    expect_client("");
    client_close(&client);
    client_connect(&client, &c);
    ck_assert(client_send(&client, TCP4 REQUEST, LEN(TCP4 REQUEST)));
    client_read(&client, &answer, false);
    ck_assert_int_eq(answer.status, 400);
    answer_release(&answer);
    ck_assert(client_at_end(&client));
    ck_assert_int_eq(c.handled, 1);
    teardown();
}
END_TEST

START_TEST(a_header_that_never_ends_is_cut)
{
    slc_httpd_limits limits = httpd_case_limits;
    limits.request_timeout_ms = 200;
    setup(&limits);
    ck_assert(client_send(&client, TCP4, LEN(TCP4) - 1));
    ck_assert(client_at_end(&client));
    WAIT_UNTIL(httpd_case_connections(&c) == 0);
    teardown();
}
END_TEST

/* Drained, closed by the client, or freed with the server: each in the middle of a header. */
START_TEST(a_connection_may_end_before_its_header)
{
    struct client other;
    setup(&httpd_case_limits);
    ck_assert(client_send(&client, TCP4, 7));
    WAIT_UNTIL(httpd_case_connections(&c) == 1);
    client_connect(&other, &c);
    ck_assert(client_send(&other, TCP4, 20));
    WAIT_UNTIL(httpd_case_connections(&c) == 2);
    client_close(&other);
    WAIT_UNTIL(httpd_case_connections(&c) == 1);
    client_connect(&other, &c);
    WAIT_UNTIL(httpd_case_connections(&c) == 2);
    httpd_case_drain(&c);
    ck_assert(client_at_end(&client));
    ck_assert(client_at_end(&other));
    client_close(&other);
    teardown();
    setup(&httpd_case_limits);
    ck_assert(client_send(&client, TCP4, 7));
    WAIT_UNTIL(httpd_case_connections(&c) == 1);
    teardown();
}
END_TEST

UNIT_MAIN("httpd_intake", the_client_is_told_for_all_requests, the_header_comes_in_pieces,
          the_balancer_may_speak_for_itself, tls_begins_behind_the_header,
          a_balancer_without_a_good_header_is_cut, others_send_none, a_header_that_never_ends_is_cut,
          a_connection_may_end_before_its_header)
