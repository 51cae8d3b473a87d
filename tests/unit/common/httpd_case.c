#include "tests/unit/common/httpd_case.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <event2/buffer.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/alloc.h"

const slc_httpd_limits httpd_case_limits = {
    .header_bytes = 4096, .body_bytes = 65536, .request_timeout_ms = 10000, .connections = 100};

/* ---- server ---- */

static void on_end(struct evhttp_request *req, bool completed, void *arg)
{
    struct httpd_case *c = arg;
    if (completed) {
        atomic_fetch_add(&c->completed, 1);
        return;
    }
    if (c->held == req) { /* an answer that goes nowhere frees it */
        c->held = NULL;
        slc_http_problem(req, 499, "gone", NULL, NULL, NULL);
    }
    atomic_fetch_add(&c->gone, 1);
}

/* As a load balancer has told it. */
static void describe_client(struct evhttp_request *req, char out[64])
{
    const struct sockaddr_storage *source = slc_httpd_source(req);
    snprintf(out, 64, "%s", "");
    if (source != NULL && source->ss_family == AF_INET)
        inet_ntop(AF_INET, &((const struct sockaddr_in *)source)->sin_addr, out, 64);
    else if (source != NULL)
        inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)source)->sin6_addr, out, 64);
}

static void echo(struct evhttp_request *req)
{
    char client[64];
    describe_client(req, client);
    struct evbuffer *input = evhttp_request_get_input_buffer(req);
    size_t len = evbuffer_get_length(input);
    json_t *answer =
        json_pack("{s:s,s:s,s:s#,s:s,s:s}", "method", slc_http_method(req), "uri", evhttp_request_get_uri(req),
                  "body", len > 0 ? (char *)evbuffer_pullup(input, -1) : "", (int)len, "tag",
                  (char *)slc_httpd_tag(req), "client", client);
    if (answer != NULL)
        slc_http_json(req, 200, answer);
    else /* the body is not UTF-8 */
        slc_http_send(req, 200, "text/plain", "damaged", 7);
}

static void start_stream(struct evhttp_request *req)
{
    struct evbuffer *chunk = evbuffer_new();
    evbuffer_add_printf(chunk, "first");
    evhttp_send_reply_start(req, 200, slc_http_reason(200));
    evhttp_send_reply_chunk(req, chunk);
    evbuffer_free(chunk);
}

static void handle(struct evhttp_request *req, void *arg)
{
    struct httpd_case *c = arg;
    char id[65], again[65];
    const char *uri = evhttp_request_get_uri(req);
    slc_error err;
    atomic_fetch_add(&c->handled, 1);
    slc_httpd_on_end(req, on_end, c);
    slc_http_request_id(req, id);
    slc_http_request_id(req, again);
    ck_assert_str_eq(id, again);
    if (strcmp(uri, "/later") == 0 || strcmp(uri, "/stream") == 0) {
        c->held = req;
        if (uri[1] == 's')
            start_stream(req);
    } else if (strcmp(uri, "/error") == 0) {
        slc_fail(&err, SLC_CONFLICT, "/name", "orders exists");
        slc_http_problem_error(req, &err);
    } else if (strcmp(uri, "/internal") == 0) {
        slc_fail(&err, SLC_IO, NULL, "a secret path");
        slc_http_problem_error(req, &err);
    } else if (strcmp(uri, "/empty") == 0) {
        slc_http_send(req, 204, NULL, NULL, 0);
    } else {
        echo(req);
    }
}

static void start(void *arg)
{
    struct httpd_case *c = arg;
    slc_error err;
    c->httpd = slc_httpd_new(slc_loop_base(c->loop), &c->limits, handle, c);
    int fd = slc_listen("127.0.0.1:0", false, &err);
    ck_assert_msg(fd >= 0, "%s", err.message);
    c->port = slc_listen_port(fd);
    c->listener = slc_httpd_serve(c->httpd, fd, c->tls, c->tag);
}

void httpd_case_start(struct httpd_case *c, const slc_httpd_limits *limits, slc_tls *tls)
{
    slc_error err;
    memset(c, 0, sizeof *c);
    c->limits = *limits;
    c->tls = tls;
    strcpy(c->tag, "the tag");
    c->loop = slc_loop_new("httpd", NULL);
    ck_assert(slc_loop_start(c->loop, &err));
    slc_loop_call_sync(c->loop, start, c);
}

static void stop(void *arg)
{
    struct httpd_case *c = arg;
    slc_httpd_free(c->httpd);
}

void httpd_case_stop(struct httpd_case *c)
{
    slc_loop_call_sync(c->loop, stop, c);
    ck_assert_ptr_null(c->held);
    slc_loop_stop(c->loop);
    slc_loop_join(c->loop);
    slc_loop_free(c->loop);
}

static void release_held(void *arg)
{
    struct httpd_case *c = arg;
    struct evhttp_request *req = c->held;
    ck_assert_ptr_nonnull(req);
    c->held = NULL;
    if (strcmp(evhttp_request_get_uri(req), "/stream") == 0)
        evhttp_send_reply_end(req);
    else
        slc_http_send(req, 200, "text/plain", "held", 4);
}

void httpd_case_release_held(struct httpd_case *c)
{
    slc_loop_call_sync(c->loop, release_held, c);
}

static struct httpd_case *of_listener;

static void listener_ended(void *tag)
{
    ck_assert_str_eq(tag, "the tag");
    atomic_fetch_add(&of_listener->ended, 1);
}

static void close_listener(void *arg)
{
    struct httpd_case *c = arg;
    of_listener = c;
    slc_httpd_close_listener(c->listener, listener_ended);
    ck_assert_int_eq(atomic_load(&c->ended), 0);
}

void httpd_case_close_listener(struct httpd_case *c)
{
    slc_loop_call_sync(c->loop, close_listener, c);
}

static void stop_accepting(void *arg)
{
    struct httpd_case *c = arg;
    slc_httpd_stop_accepting(c->httpd);
}

void httpd_case_stop_accepting(struct httpd_case *c)
{
    slc_loop_call_sync(c->loop, stop_accepting, c);
}

static void drain(void *arg)
{
    struct httpd_case *c = arg;
    slc_httpd_drain(c->httpd);
}

void httpd_case_drain(struct httpd_case *c)
{
    slc_loop_call_sync(c->loop, drain, c);
}

static void trust(void *arg)
{
    struct httpd_case *c = arg;
    slc_network networks[2];
    ck_assert(slc_network_parse("203.0.113.0/24", &networks[0]) &&
              slc_network_parse(c->balancer, &networks[1]));
    slc_httpd_set_balancers(c->listener, networks, 2);
}

void httpd_case_trust(struct httpd_case *c, const char *balancer)
{
    c->balancer = balancer;
    slc_loop_call_sync(c->loop, trust, c);
}

struct count {
    struct httpd_case *c;
    unsigned connections;
    size_t held;
};

static void count(void *arg)
{
    struct count *count = arg;
    count->connections = slc_httpd_connections(count->c->httpd);
    count->held = slc_httpd_held(count->c->httpd);
}

unsigned httpd_case_connections(struct httpd_case *c)
{
    struct count result = {.c = c};
    slc_loop_call_sync(c->loop, count, &result);
    return result.connections;
}

size_t httpd_case_held(struct httpd_case *c)
{
    struct count result = {.c = c};
    slc_loop_call_sync(c->loop, count, &result);
    return result.held;
}

/* ---- client ---- */

void client_connect(struct client *client, const struct httpd_case *c)
{
    struct sockaddr_in addr = {
        .sin_family = AF_INET, .sin_port = htons(c->port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    struct timeval limit = {.tv_sec = 20};
    *client = (struct client){.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    ck_assert_int_eq(connect(client->fd, (struct sockaddr *)&addr, sizeof addr), 0);
    setsockopt(client->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(client->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
}

void client_start_tls(struct client *client)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    client->ssl = SSL_new(ctx);
    SSL_CTX_free(ctx);
    SSL_set_fd(client->ssl, client->fd);
    ck_assert_int_eq(SSL_connect(client->ssl), 1);
}

void client_open(struct client *client, const struct httpd_case *c)
{
    client_connect(client, c);
    if (c->tls != NULL)
        client_start_tls(client);
}

void client_close(struct client *client)
{
    SSL_free(client->ssl);
    close(client->fd);
    free(client->input);
}

bool client_send(struct client *client, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = client->ssl != NULL ? SSL_write(client->ssl, data, (int)(len < 65536 ? len : 65536))
                                        : send(client->fd, data, len, MSG_NOSIGNAL);
        if (n <= 0)
            return false;
        data += n;
        len -= (size_t)n;
    }
    return true;
}

void client_say(struct client *client, const char *text)
{
    ck_assert(client_send(client, text, strlen(text)));
}

/* Reads some more. False at the end. */
static bool fill(struct client *client)
{
    client->input = slc_realloc(client->input, client->input_len + 65537);
    char *room = client->input + client->input_len;
    ssize_t n = client->ssl != NULL ? SSL_read(client->ssl, room, 65536) : recv(client->fd, room, 65536, 0);
    if (n < 0 && client->ssl == NULL)
        ck_assert_msg(errno != EAGAIN, "nothing came for 20 s");
    if (n > 0)
        client->input_len += (size_t)n;
    client->input[client->input_len] = '\0';
    client->closed = n <= 0;
    return n > 0;
}

static char *take(struct client *client, size_t len)
{
    char *text = slc_strndup(client->input, len);
    memmove(client->input, client->input + len, client->input_len - len + 1);
    client->input_len -= len;
    return text;
}

static bool fill_to(struct client *client, size_t len)
{
    while (client->input_len < len)
        if (!fill(client))
            return false;
    return true;
}

/* The bytes up to and with `end`; NULL when the connection ends first. */
static char *take_until(struct client *client, const char *end)
{
    char *found;
    while (client->input == NULL || (found = strstr(client->input, end)) == NULL)
        if (!fill(client))
            return NULL;
    return take(client, (size_t)(found - client->input) + strlen(end));
}

static void read_chunks(struct client *client, struct answer *answer)
{
    for (;;) {
        char *line = take_until(client, "\r\n");
        size_t len = line != NULL ? strtoul(line, NULL, 16) : 0;
        free(line);
        if (!fill_to(client, len + 2))
            return;
        char *chunk = take(client, len);
        free(take(client, 2));
        answer->body = slc_realloc(answer->body, answer->body_len + len + 1);
        memcpy(answer->body + answer->body_len, chunk, len + 1);
        answer->body_len += len;
        free(chunk);
        if (len == 0)
            return;
    }
}

char *answer_header(const struct answer *answer, const char *name)
{
    char *pattern = slc_asprintf("\r\n%s: ", name);
    char *found = strcasestr(answer->head, pattern);
    char *value = NULL;
    if (found != NULL) {
        found += strlen(pattern);
        value = slc_strndup(found, strcspn(found, "\r"));
    }
    free(pattern);
    return value;
}

void client_read(struct client *client, struct answer *answer, bool head)
{
    *answer = (struct answer){0};
    do {
        free(answer->head);
        answer->head = take_until(client, "\r\n\r\n");
        answer->status = 0;
        if (answer->head == NULL)
            return;
        ck_assert_int_eq(sscanf(answer->head, "HTTP/1.%*d %d", &answer->status), 1);
    } while (answer->status == 100);
    char *length = answer_header(answer, "Content-Length"),
         *coding = answer_header(answer, "Transfer-Encoding");
    if (coding != NULL) {
        read_chunks(client, answer);
    } else if (!head && length != NULL) {
        answer->body_len = strtoul(length, NULL, 10);
        ck_assert(fill_to(client, answer->body_len));
        answer->body = take(client, answer->body_len);
    }
    free(length);
    free(coding);
}

void answer_release(struct answer *answer)
{
    free(answer->head);
    free(answer->body);
}

bool client_at_end(struct client *client)
{
    size_t before = client->input_len;
    while (fill(client))
        ;
    return before == 0 && client->input_len == 0;
}

void client_ask(struct client *client, const char *text, struct answer *answer)
{
    client_say(client, text);
    client_read(client, answer, strncmp(text, "HEAD", 4) == 0);
}
