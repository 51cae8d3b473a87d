/* What the front answers by itself, and what it hands over. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/file.h"
#include "common/json.h"
#include "rig.h"
#include "tests/unit/common/unit.h"

static struct rig *rig;

static void setup(void)
{
    rig = rig_new();
    rig_open(rig);
}

static void teardown(void)
{
    rig_close(rig);
    rig_free(rig);
}

/* Asks and checks the status and, if given, that of a problem document its type. */
static void expect(const char *request_line, const char *headers, const char *body, int status,
                   const char *type)
{
    char *text = rig_ask(rig, request_line, headers, body);
    ck_assert_msg(rig_status(text) == status, "%s: %s", request_line, text);
    ck_assert_ptr_nonnull(rig_header(text, "X-Request-Id"));
    if (type != NULL) {
        ck_assert_str_eq(rig_header(text, "Content-Type"), "application/problem+json");
        ck_assert_msg(strstr(text, type) != NULL, "%s", text);
    }
    free(text);
}

START_TEST(an_unknown_path_is_not_found_whoever_asks)
{
    setup();
    expect("GET /", "", NULL, 404, "not-found");
    expect("GET /orders", "", NULL, 404, "not-found");
    expect("GET /orders/v2", "", NULL, 404, "not-found");
    expect("GET /orders/v2/events", RIG_KEY, NULL, 404, "not-found");
    expect("POST /nothing/v1/events", RIG_KEY, "{}", 404, "not-found");
    expect("OPTIONS /orders/v9/events", "", NULL, 404, "not-found");
    ck_assert_uint_eq(rig->handled, 0);
    teardown();
}
END_TEST

START_TEST(only_the_granted_come_through)
{
    setup();
    expect("GET /orders/v1/events", "", NULL, 401, "unauthenticated");
    expect("GET /orders/v1/events", "X-API-Key: slk_cred-1_wrong\r\n", NULL, 401, "unauthenticated");
    expect("POST /orders/v1/events", "X-API-Key: slk_cred-1_wrong\r\n", "{}", 401, "unauthenticated");
    ck_assert_uint_eq(rig->handled, 0);
    expect("POST /orders/v1/events", RIG_KEY, "{\"a\":1}", 200, NULL);
    expect("GET /orders/v1/events", RIG_KEY, NULL, 200, NULL);
    expect("GET /orders/v1/events?cursor=a%20b", "Authorization: " ASKER_BASIC "\r\n", NULL, 200, NULL);
    ck_assert_uint_eq(rig->handled, 3);
    rig->asker->maker->plan[0].n_operations = 1; /* publish */
    rig_apply(rig);
    expect("GET /orders/v1/events", RIG_KEY, NULL, 403, "not-subscribed");
    expect("POST /orders/v1/events", RIG_KEY, "{}", 200, NULL);
    teardown();
}
END_TEST

START_TEST(a_refusal_names_how_to_authenticate_and_nothing_else)
{
    setup();
    char *text = rig_ask(rig, "GET /orders/v1/events", "X-API-Key: slk_cred-1_wrong\r\n", NULL);
    ck_assert_ptr_nonnull(rig_header(text, "WWW-Authenticate"));
    ck_assert_ptr_null(strstr(text, "cred-1"));
    ck_assert_ptr_null(strstr(text, "wrong secret"));
    free(text);
    teardown();
}
END_TEST

START_TEST(a_method_that_is_not_offered_is_not_allowed)
{
    setup();
    char *text = rig_ask(rig, "DELETE /orders/v1/events", RIG_KEY, NULL);
    ck_assert_int_eq(rig_status(text), 405);
    ck_assert_str_eq(rig_header(text, "Allow"), "GET, HEAD, POST, OPTIONS");
    free(text);
    text = rig_ask(rig, "POST /orders/v1", "", "{}");
    ck_assert_int_eq(rig_status(text), 405);
    ck_assert_str_eq(rig_header(text, "Allow"), "GET, HEAD, OPTIONS");
    free(text);
    rig->asker->maker->api[0].n_operations = 1; /* publish */
    rig_apply(rig);
    text = rig_ask(rig, "GET /orders/v1/events", RIG_KEY, NULL);
    ck_assert_int_eq(rig_status(text), 405);
    ck_assert_str_eq(rig_header(text, "Allow"), "POST, OPTIONS");
    free(text);
    ck_assert_uint_eq(rig->handled, 0);
    teardown();
}
END_TEST

START_TEST(an_exposure_that_is_not_offered_is_not_acceptable)
{
    setup();
    rig->asker->maker->api[0].n_exposures = 1; /* rest */
    rig_apply(rig);
    expect("GET /orders/v1/events", RIG_KEY "Accept: text/event-stream\r\n", NULL, 406, "not-acceptable");
    expect("GET /orders/v1/events", RIG_KEY "Accept: application/json\r\n", NULL, 200, NULL);
    rig->asker->maker->exposures[0] = "sse";
    rig_apply(rig);
    expect("GET /orders/v1/events", RIG_KEY "Accept: application/json\r\n", NULL, 406, "not-acceptable");
    expect("GET /orders/v1/events", RIG_KEY, NULL, 200, NULL);
    char *text = rig_ask(rig, "POST /orders/v1/events", RIG_KEY, "{}");
    ck_assert_int_eq(rig_status(text), 405);
    ck_assert_str_eq(rig_header(text, "Allow"), "GET, HEAD, OPTIONS");
    free(text);
    ck_assert_uint_eq(rig->handled, 2);
    teardown();
}
END_TEST

/* A cache may keep either, and tells them apart by the same fields. */
START_TEST(head_is_told_what_get_would_be)
{
    setup();
    static const struct {
        const char *accept;
        int status;
    } cases[] = {{"", 200}, {"Accept: text/event-stream\r\n", 200}, {"Accept: text/html\r\n", 406}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char headers[200];
        snprintf(headers, sizeof headers, "%s%s", RIG_KEY, cases[i].accept);
        char *text = rig_ask(rig, "HEAD /orders/v1/events", headers, NULL);
        ck_assert_int_eq(rig_status(text), cases[i].status);
        ck_assert_str_eq(rig_header(text, "Vary"), "Accept");
        free(text);
    }
    ck_assert_uint_eq(rig->handled, 0);
    teardown();
}
END_TEST

START_TEST(options_lists_the_methods)
{
    setup();
    char *text = rig_ask(rig, "OPTIONS /orders/v1/events", "", NULL);
    ck_assert_int_eq(rig_status(text), 204);
    ck_assert_str_eq(rig_header(text, "Allow"), "GET, HEAD, POST, OPTIONS");
    ck_assert_ptr_null(rig_header(text, "WWW-Authenticate"));
    free(text);
    /* Without a CORS policy a preflight is told nothing more. */
    text = rig_ask(rig, "OPTIONS /orders/v1/events",
                   "Origin: https://shop.example\r\nAccess-Control-Request-Method: GET\r\n", NULL);
    ck_assert_int_eq(rig_status(text), 204);
    ck_assert_ptr_null(rig_header(text, "Access-Control-Allow-Origin"));
    free(text);
    teardown();
}
END_TEST

START_TEST(a_preflight_is_answered_by_the_cors_policy)
{
    rig = rig_new();
    asker_policy(rig->asker, "browsers", "cors", "{\"origins\":[\"https://shop.example\"]}");
    rig_open(rig);
    char *text = rig_ask(rig, "OPTIONS /orders/v1/events",
                         "Origin: https://shop.example\r\nAccess-Control-Request-Method: POST\r\n", NULL);
    ck_assert_int_eq(rig_status(text), 204);
    ck_assert_str_eq(rig_header(text, "Access-Control-Allow-Origin"), "https://shop.example");
    ck_assert_ptr_nonnull(strstr(rig_header(text, "Access-Control-Allow-Headers"), "X-API-Key"));
    free(text);
    text = rig_ask(rig, "POST /orders/v1/events", "Origin: https://shop.example\r\n", "{}");
    ck_assert_int_eq(rig_status(text), 401);
    ck_assert_str_eq(rig_header(text, "Access-Control-Allow-Origin"), "https://shop.example");
    free(text);
    teardown();
}
END_TEST

/* Else a page sees "network error" where the others see why. */
START_TEST(what_no_policy_is_asked_about_can_be_read_by_pages)
{
    static const struct {
        const char *line, *headers;
        int status;
    } cases[] = {
        {"GET /orders/v1", "", 200},
        {"GET /orders/v1/openapi.json", "", 404}, /* this configuration holds none */
        {"POST /orders/v1", "", 405},
        {"OPTIONS /orders/v1", "", 204},
        {"OPTIONS /orders/v1/events", "", 204},
        {"DELETE /orders/v1/events", "", 405},
        {"GET /orders/v1/events", "Accept: text/html\r\n", 406},
        {"GET /orders/v1/events/tickets", "", 405},
    };
    rig = rig_new();
    asker_policy(rig->asker, "browsers", "cors", "{\"origins\":[\"https://shop.example\"]}");
    rig_open(rig);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char headers[200];
        snprintf(headers, sizeof headers, "Origin: https://shop.example\r\n%s", cases[i].headers);
        char *text = rig_ask(rig, cases[i].line, headers, NULL);
        ck_assert_msg(rig_status(text) == cases[i].status, "%s: %s", cases[i].line, text);
        ck_assert_msg(rig_header(text, "Access-Control-Allow-Origin") != NULL, "%s: %s", cases[i].line, text);
        ck_assert_ptr_nonnull(rig_header(text, "Access-Control-Expose-Headers"));
        free(text);
        text = rig_ask(rig, cases[i].line, "Origin: https://evil.example\r\nAccept: text/html\r\n", NULL);
        ck_assert_ptr_null(rig_header(text, "Access-Control-Allow-Origin"));
        free(text);
    }
    char *text = rig_ask(rig, "OPTIONS /orders/v1",
                         "Origin: https://shop.example\r\nAccess-Control-Request-Method: GET\r\n", NULL);
    ck_assert_int_eq(rig_status(text), 204);
    ck_assert_ptr_nonnull(strstr(rig_header(text, "Access-Control-Allow-Headers"), "ce-partitionkey"));
    free(text);
    teardown();
}
END_TEST

/* Also answers that no policy was asked about, and refusals. */
START_TEST(headers_policies_change_requests_and_answers)
{
    static const struct {
        const char *line, *headers, *body;
        int status;
        bool allowed;
    } cases[] = {
        {"POST /orders/v1/events", RIG_KEY "X-Old: 1\r\n", "{}", 200, true},
        {"GET /orders/v1/events", RIG_KEY, NULL, 200, true},
        {"POST /orders/v1/events", "", "{}", 401, false},
        {"DELETE /orders/v1/events", "", NULL, 405, false},
        {"GET /orders/v1", "", NULL, 200, false},
    };
    rig = rig_new();
    asker_policy(
        rig->asker, "h", "headers",
        "{\"rules\":[{\"in\":\"response\",\"action\":\"set\",\"name\":\"X-Who\",\"value\":\"${application."
        "name}\"},{\"in\":\"response\",\"action\":\"add\",\"name\":\"X-Many\",\"value\":\"1\"},"
        "{\"in\":\"response\",\"action\":\"rename\",\"name\":\"x-MANY\",\"to\":\"X-One\"},"
        "{\"in\":\"response\",\"action\":\"remove\",\"name\":\"www-authenticate\"}]}");
    rig_open(rig);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *text = rig_ask(rig, cases[i].line, cases[i].headers, cases[i].body);
        ck_assert_msg(rig_status(text) == cases[i].status, "%s: %s", cases[i].line, text);
        ck_assert_msg((rig_header(text, "X-Who") != NULL) == cases[i].allowed, "%s: %s", cases[i].line, text);
        ck_assert_msg(rig_header(text, "X-One") != NULL, "%s: %s", cases[i].line, text);
        ck_assert_ptr_null(rig_header(text, "X-Many"));
        ck_assert_ptr_null(rig_header(text, "WWW-Authenticate"));
        free(text);
    }
    teardown();
}
END_TEST

START_TEST(the_description_says_what_is_offered)
{
    setup();
    char *text = rig_ask(rig, "GET /orders/v1", "", NULL);
    ck_assert_int_eq(rig_status(text), 200);
    ck_assert_str_eq(rig_header(text, "Content-Type"), "application/json");
    const char *body = strstr(text, "\r\n\r\n") + 4;
    json_t *json = slc_json_parse(body, strlen(body), 65536, NULL);
    ck_assert_ptr_nonnull(json);
    ck_assert_str_eq(json_string_value(json_object_get(json, "name")), "orders");
    ck_assert_int_eq(json_integer_value(json_object_get(json, "major")), 1);
    ck_assert_uint_eq(json_array_size(json_object_get(json, "operations")), 2);
    json_t *events = json_object_get(json_object_get(json, "links"), "events");
    ck_assert_str_eq(json_string_value(json_object_get(events, "href")), "/orders/v1/events");
    json_decref(json);
    free(text);
    teardown();
}
END_TEST

/* A body after the head of HEAD's answer would be read as the next answer. */
START_TEST(head_keeps_the_connection_in_step)
{
    setup();
    int fd = rig_connect(rig);
    static const char *const paths[] = {"/orders/v1", "/orders/v1/events", "/nothing"};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        char request[256];
        snprintf(request, sizeof request, "HEAD %s HTTP/1.1\r\nHost: g\r\n" RIG_KEY "\r\n", paths[i]);
        rig_send(fd, request);
        char *text = rig_answer_of(fd, true);
        ck_assert_int_eq(rig_status(text), i == 2 ? 404 : 200);
        /* Of a page that nobody reads the length is not known. */
        ck_assert_int_eq(rig_header(text, "Content-Length") != NULL, i != 1);
        free(text);
        rig_send(fd, "GET /orders/v1 HTTP/1.1\r\nHost: g\r\n\r\n");
        text = rig_answer_of(fd, false);
        ck_assert_int_eq(rig_status(text), 200);
        free(text);
    }
    close(fd);
    teardown();
}
END_TEST

START_TEST(connect_makes_no_tunnel)
{
    rig = rig_new();
    rig->limits.request_timeout_ms = 3600000;
    rig_open(rig);
    int fd = rig_connect(rig);
    rig_send(fd, "CONNECT /orders/v1/events HTTP/1.1\r\nHost: g\r\nConnection: close\r\n\r\n");
    char *text = rig_read(fd, NULL); /* to its end */
    ck_assert_int_eq(rig_status(text), 404);
    free(text);
    close(fd);
    teardown();
}
END_TEST

START_TEST(head_starts_no_stream)
{
    setup();
    rig_set_mode(rig, RIG_STREAM);
    int fd = rig_connect(rig);
    rig_send(fd, "HEAD /orders/v1/events HTTP/1.1\r\nHost: g\r\nAccept: text/event-stream\r\n" RIG_KEY "\r\n");
    char *text = rig_answer_of(fd, true);
    ck_assert_int_eq(rig_status(text), 200);
    ck_assert_str_eq(rig_header(text, "Content-Type"), "text/event-stream");
    free(text);
    ck_assert(rig_idle(rig));
    rig_send(fd, "GET /orders/v1 HTTP/1.1\r\nHost: g\r\n\r\n");
    text = rig_answer_of(fd, false);
    ck_assert_int_eq(rig_status(text), 200);
    free(text);
    close(fd);
    expect("HEAD /orders/v1/events", "", NULL, 401, NULL);
    teardown();
}
END_TEST

START_TEST(one_connection_serves_many_requests)
{
    setup();
    int fd = rig_connect(rig);
    for (int i = 0; i < 50; i++) {
        rig_send(fd, "POST /orders/v1/events HTTP/1.1\r\nHost: g\r\n" RIG_KEY "Content-Length: 3\r\n\r\nabc"
                     "GET /orders/v1/events HTTP/1.1\r\nHost: g\r\n\r\n");
        char *text = rig_answer_of(fd, false);
        ck_assert_msg(strstr(text, "{\"got\":3}") != NULL, "%s", text);
        free(text);
        text = rig_answer_of(fd, false);
        ck_assert_int_eq(rig_status(text), 401);
        free(text);
    }
    close(fd);
    teardown();
}
END_TEST

START_TEST(a_client_that_waits_for_continue_gets_it)
{
    setup();
    int fd = rig_connect(rig);
    rig_send(fd, "POST /orders/v1/events HTTP/1.1\r\nHost: g\r\n" RIG_KEY
                 "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    free(rig_read(fd, "100 Continue\r\n\r\n"));
    rig_send(fd, "12345");
    char *text = rig_answer_of(fd, false);
    ck_assert_msg(strstr(text, "{\"got\":5}") != NULL, "%s", text);
    free(text);
    close(fd);
    teardown();
}
END_TEST

START_TEST(a_chunked_body_is_one_body)
{
    setup();
    char *text = rig_ask(rig, "POST /orders/v1/events",
                         RIG_KEY "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n", NULL);
    ck_assert_msg(strstr(text, "{\"got\":11}") != NULL, "%s", text);
    free(text);
    teardown();
}
END_TEST

START_TEST(a_request_id_comes_back)
{
    setup();
    char *text = rig_ask(rig, "GET /orders/v1/events", RIG_KEY "X-Request-Id: abc-1.2_3\r\n", NULL);
    ck_assert_str_eq(rig_header(text, "X-Request-Id"), "abc-1.2_3");
    free(text);
    text = rig_ask(rig, "GET /orders/v1/events", RIG_KEY "X-Request-Id: not {valid}\r\n", NULL);
    ck_assert_str_ne(rig_header(text, "X-Request-Id"), "not {valid}");
    free(text);
    teardown();
}
END_TEST

static void refuse_here(struct rig *self)
{
    slc_http_front_refuse(self->worker.http, true);
}

START_TEST(a_configuration_that_is_too_old_serves_nobody)
{
    setup();
    rig_call(rig, refuse_here);
    char *text = rig_ask(rig, "GET /orders/v1/events", RIG_KEY, NULL);
    ck_assert_int_eq(rig_status(text), 503);
    ck_assert_ptr_nonnull(rig_header(text, "Retry-After"));
    free(text);
    teardown();
}
END_TEST

START_TEST(streams_have_a_limit)
{
    rig = rig_new();
    rig->limits.streams = 1;
    rig_open(rig);
    rig_set_mode(rig, RIG_STREAM);
    int fd = rig_connect(rig);
    rig_send(fd, "GET /orders/v1/events HTTP/1.1\r\nHost: g\r\nAccept: text/event-stream\r\n" RIG_KEY "\r\n");
    free(rig_read(fd, "first;"));
    expect("GET /orders/v1/events", RIG_KEY "Accept: text/event-stream\r\n", NULL, 503, "too-many-streams");
    close(fd);
    RIG_WAIT(rig_idle(rig));
    fd = rig_connect(rig);
    rig_send(fd, "GET /orders/v1/events HTTP/1.1\r\nHost: g\r\nAccept: text/event-stream\r\n" RIG_KEY "\r\n");
    free(rig_read(fd, "first;"));
    close(fd);
    RIG_WAIT(rig_idle(rig));
    teardown();
}
END_TEST

static void answer_held(struct rig *self)
{
    slc_exchange *exchange = self->held;
    self->held = NULL;
    exchange->on_abort = NULL;
    slc_exchange_problem(exchange, 503, "not-persisted", "Not stored", NULL, NULL);
}

/* An idle connection has no address any more that it is of. */
START_TEST(a_listener_that_is_gone_closes_its_idle_connections)
{
    setup();
    int fd = rig_connect(rig);
    rig_send(fd, "GET /orders/v1/events HTTP/1.1\r\nHost: g\r\n" RIG_KEY "\r\n");
    free(rig_answer_of(fd, false));
    /* The API moves to another address; the sample's first listener is served no more. */
    rig->asker->maker->listener[0].address = "127.0.0.1:1";
    rig_apply(rig);
    char *rest = rig_read(fd, NULL);
    ck_assert_str_eq(rest, "");
    free(rest);
    close(fd);
    teardown();
}
END_TEST

START_TEST(a_listener_that_is_gone_answers_what_it_has_taken)
{
    setup();
    int half = rig_connect(rig);
    rig_send(half, "GET /orders/v1/events HTTP/1.1\r\n");
    free(rig_ask(rig, "GET /orders/v1", "", NULL)); /* which the worker sees after that half */
    int fd = rig_connect(rig);
    rig_set_mode(rig, RIG_HOLD);
    rig_send(fd, "GET /orders/v1/events HTTP/1.1\r\nHost: g\r\n" RIG_KEY "\r\n");
    RIG_WAIT(rig_holds(rig));
    rig->asker->maker->listener[0].address = "127.0.0.1:1";
    rig_apply(rig);
    rig_call(rig, answer_held);
    char *text = rig_read(fd, NULL);
    ck_assert_int_eq(rig_status(text), 503);
    ck_assert_str_eq(rig_header(text, "Connection"), "close");
    free(text);
    rig_set_mode(rig, RIG_REPLY);
    rig_send(half, "Host: g\r\n" RIG_KEY "\r\n");
    text = rig_read(half, NULL);
    ck_assert_int_ge(rig_status(text), 200);
    ck_assert_str_eq(rig_header(text, "Connection"), "close");
    free(text);
    close(fd);
    close(half);
    teardown();
}
END_TEST

START_TEST(other_client_certificates_end_connections_and_keep_the_socket)
{
    setup();
    int fd = rig_connect(rig);
    rig_send(fd, "GET /orders/v1/events HTTP/1.1\r\nHost: g\r\n" RIG_KEY "\r\n");
    free(rig_answer_of(fd, false));
    rig->asker->maker->listener[0].client_auth = "request";
    rig_apply(rig);
    char *rest = rig_read(fd, NULL);
    ck_assert_str_eq(rest, "");
    free(rest);
    close(fd);
    char *text = rig_ask(rig, "GET /orders/v1/events", RIG_KEY, NULL);
    ck_assert_int_eq(rig_status(text), 200);
    free(text);
    teardown();
}
END_TEST

/* ---- the access log ---- */

static json_t *line_of(const char *log, const char *request_id)
{
    char wanted[128];
    snprintf(wanted, sizeof wanted, "\"request_id\":\"%s\"", request_id);
    const char *at = strstr(log, wanted);
    ck_assert_msg(at != NULL, "%s is not in: %s", request_id, log);
    while (at > log && at[-1] != '\n')
        at--;
    json_t *line = slc_json_parse(at, strcspn(at, "\n"), 65536, NULL);
    ck_assert_msg(line != NULL, "%s", at);
    return line;
}

static const char *text_of(const json_t *line, const char *name)
{
    const char *text = json_string_value(json_object_get(line, name));
    return text != NULL ? text : "";
}

START_TEST(the_access_log_tells_who_did_what)
{
    setup();
    expect("POST /orders/v1/events", RIG_KEY "X-Request-Id: one\r\n", "{\"a\":1}", 200, NULL);
    expect("GET /orders/v1/events?ticket=very-secret&limit=1", "X-Request-Id: two\r\n", NULL, 401, NULL);
    expect("GET /x%22%0a/v1", "X-Request-Id: three\r\n", NULL, 404, NULL);
    rig_close(rig);
    char *log = slc_file_read(rig->access_log, 65536, NULL, NULL);
    ck_assert_ptr_null(strstr(log, "very-secret"));
    ck_assert_ptr_null(strstr(log, ASKER_SECRET));
    json_t *line = line_of(log, "one");
    ck_assert_str_eq(text_of(line, "method"), "POST");
    ck_assert_str_eq(text_of(line, "path"), "/orders/v1/events");
    ck_assert_str_eq(text_of(line, "application"), "app-1");
    ck_assert_str_eq(text_of(line, "credential"), "cred-1");
    ck_assert_str_eq(text_of(line, "api"), "orders.v1");
    ck_assert_str_eq(text_of(line, "client"), "127.0.0.1");
    ck_assert_int_eq(json_integer_value(json_object_get(line, "status")), 200);
    ck_assert_int_eq(json_integer_value(json_object_get(line, "bytes_in")), 7);
    ck_assert_int_eq(json_integer_value(json_object_get(line, "bytes_out")), 9);
    ck_assert_int_eq(json_integer_value(json_object_get(line, "events")), 1);
    ck_assert(json_is_number(json_object_get(line, "duration_ms")));
    ck_assert_uint_gt(strlen(text_of(line, "time")), 0);
    json_decref(line);
    line = line_of(log, "two");
    ck_assert_int_eq(json_integer_value(json_object_get(line, "status")), 401);
    ck_assert_str_eq(text_of(line, "path"), "/orders/v1/events");
    ck_assert_uint_gt(strlen(text_of(line, "denied")), 0);
    ck_assert_str_eq(text_of(line, "application"), "");
    json_decref(line);
    line = line_of(log, "three");
    ck_assert_int_eq(json_integer_value(json_object_get(line, "status")), 404);
    json_decref(line);
    free(log);
    rig_free(rig);
}
END_TEST

UNIT_MAIN("front", an_unknown_path_is_not_found_whoever_asks, only_the_granted_come_through,
          a_refusal_names_how_to_authenticate_and_nothing_else, a_method_that_is_not_offered_is_not_allowed,
          an_exposure_that_is_not_offered_is_not_acceptable, head_is_told_what_get_would_be,
          options_lists_the_methods, a_preflight_is_answered_by_the_cors_policy,
          what_no_policy_is_asked_about_can_be_read_by_pages, headers_policies_change_requests_and_answers,
          the_description_says_what_is_offered, head_keeps_the_connection_in_step, head_starts_no_stream,
          connect_makes_no_tunnel, one_connection_serves_many_requests,
          a_client_that_waits_for_continue_gets_it, a_chunked_body_is_one_body, a_request_id_comes_back,
          a_configuration_that_is_too_old_serves_nobody, streams_have_a_limit,
          a_listener_that_is_gone_closes_its_idle_connections,
          a_listener_that_is_gone_answers_what_it_has_taken,
          other_client_certificates_end_connections_and_keep_the_socket, the_access_log_tells_who_did_what)
