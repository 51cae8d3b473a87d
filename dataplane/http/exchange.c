/* The life of an exchange. It ends exactly once, in `finish_exchange`: when the httpd says that the answer is
 * out, or when the client has gone and the handler has let go. */
#include "dataplane/http/exchange.h"

#include <arpa/inet.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/http.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/clock.h"
#include "dataplane/http/front_private.h"
#include "dataplane/observe/trace.h"

static void on_end(struct evhttp_request *req, bool completed, void *arg);
static void finish_exchange(struct slc_exchange_private *self);

static struct slc_exchange_private *private_of(slc_exchange *exchange)
{
    SLC_CHECK_MAGIC(exchange, SLC_EXCHANGE_MAGIC);
    return (struct slc_exchange_private *)exchange;
}

/* Whom a load balancer has named, or else whoever opened the connection. */
static void note_client(slc_exchange *exchange)
{
    const struct sockaddr_storage *source = slc_httpd_source(exchange->req);
    char *address = NULL;
    uint16_t port = 0;
    if (source != NULL && source->ss_family == AF_INET)
        inet_ntop(AF_INET, &((const struct sockaddr_in *)source)->sin_addr, exchange->client_address,
                  sizeof exchange->client_address);
    else if (source != NULL)
        inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)source)->sin6_addr, exchange->client_address,
                  sizeof exchange->client_address);
    else
        evhttp_connection_get_peer(evhttp_request_get_connection(exchange->req), &address, &port);
    if (address != NULL && strlen(address) < sizeof exchange->client_address)
        memcpy(exchange->client_address, address, strlen(address) + 1);
}

slc_exchange *slc_exchange_new(struct slc_http_front *front, struct evhttp_request *req)
{
    struct slc_exchange_private *self = slc_calloc(1, sizeof *self);
    slc_exchange *exchange = &self->base;
    exchange->magic = SLC_EXCHANGE_MAGIC;
    exchange->worker = front->worker;
    exchange->req = req;
    exchange->started_us = slc_monotonic_us();
    exchange->private_http = front;
    exchange->bytes_in = evbuffer_get_length(evhttp_request_get_input_buffer(req));
    if (front->worker->snapshot != NULL)
        exchange->snapshot = slc_snapshot_ref(front->worker->snapshot);
    note_client(exchange);
    slc_http_request_id(req, exchange->request_id);
    const char *uri = evhttp_request_get_uri(req);
    self->listener = slc_httpd_tag(req);
    if (self->listener != NULL) {
        snprintf(exchange->listener_id, sizeof exchange->listener_id, "%s", self->listener->listener->msg->id);
        exchange->outdated = self->listener->closed;
    }
    if (front->worker->tracer != NULL)
        exchange->span = slc_span_begin(front->worker->tracer, slc_exchange_header(exchange, "traceparent"),
                                        slc_exchange_header(exchange, "tracestate"));
    self->method = slc_http_method(req);
    self->path = slc_strndup(uri, strcspn(uri, "?"));
    TAILQ_INIT(&self->query);
    TAILQ_INSERT_TAIL(&front->exchanges, self, entry);
    slc_httpd_on_end(req, on_end, self);
    return exchange;
}

static void on_end(struct evhttp_request *req, bool completed, void *arg)
{
    struct slc_exchange_private *self = arg;
    slc_exchange *exchange = &self->base;
    (void)req;
    SLC_CHECK_MAGIC(exchange, SLC_EXCHANGE_MAGIC);
    self->aborted = !completed;
    self->listener = NULL;
    if (self->answered)
        finish_exchange(self);
    else if (exchange->on_abort != NULL)
        exchange->on_abort(exchange, exchange->ctx);
    else
        slc_exchange_abandon(exchange);
}

void slc_exchange_pay(slc_exchange *exchange)
{
    uint64_t events = exchange->events, bytes = exchange->bytes_in + exchange->bytes_out;
    if (exchange->charges == NULL)
        return;
    slc_charges_add(exchange->charges, events - exchange->paid_events, bytes - exchange->paid_bytes,
                    slc_limits_now_ns());
    exchange->paid_events = events;
    exchange->paid_bytes = bytes;
}

bool slc_exchange_owes(slc_exchange *exchange)
{
    if (exchange->charges == NULL)
        return false;
    slc_exchange_pay(exchange);
    return slc_charges_owed_ms(exchange->charges, slc_limits_now_ns()) > 0;
}

static void leave_limits(slc_exchange *exchange)
{
    if (exchange->charges == NULL)
        return;
    slc_exchange_pay(exchange);
    slc_charges_release(exchange->charges);
    free(exchange->charges);
}

static void finish_exchange(struct slc_exchange_private *self)
{
    slc_exchange *exchange = &self->base;
    struct slc_http_front *front = exchange->private_http;
    int status = self->aborted && !self->streaming && !self->answered ? 499 : self->status;
    slc_access_log_add(front->access_log, exchange, status, self->method, self->path, self->denial);
    slc_api_metrics_count(front->metrics, exchange, status);
    slc_usage_exchange_over(exchange, status);
    slc_trail_over(exchange, status);
    slc_trail_end_span(exchange, status);
    leave_limits(exchange);
    if (exchange->page_holder != NULL)
        slc_page_bytes_end(&exchange->worker->page_bytes, exchange->page_holder, exchange->page_bytes);
    slc_token_unref(exchange->token);
    slc_header_policies_release(&exchange->headers);
    slc_record_policies_release(&exchange->records);
    if (self->streaming)
        front->streams--;
    TAILQ_REMOVE(&front->exchanges, self, entry);
    if (exchange->api != NULL)
        slc_event_api_unref(exchange->api);
    if (exchange->snapshot != NULL)
        slc_snapshot_unref(exchange->snapshot);
    evhttp_clear_headers(&self->query);
    free(self->path);
    free(self->denial);
    exchange->magic = 0;
    free(self);
}

/* Gives the request back after the client has gone: the answer goes nowhere, and frees it. */
void slc_exchange_abandon(slc_exchange *exchange)
{
    struct slc_exchange_private *self = private_of(exchange);
    struct evhttp_request *req = exchange->req;
    bool streaming = self->streaming;
    SLC_BUG_ON(!self->aborted);
    finish_exchange(self);
    if (streaming)
        evhttp_send_reply_end(req);
    else
        evhttp_send_reply(req, 503, "Gone", NULL);
}

void slc_exchange_note_denial(slc_exchange *exchange, const char *reason)
{
    struct slc_exchange_private *self = private_of(exchange);
    free(self->denial);
    self->denial = slc_strdup(reason);
}

/* True when there is still somebody to answer; else the exchange is gone. */
static bool begin_answer(struct slc_exchange_private *self, int status)
{
    if (self->aborted) {
        slc_exchange_abandon(&self->base);
        return false;
    }
    SLC_BUG_ON(self->answered || self->streaming);
    self->answered = true;
    self->status = status;
    self->answered_ms = slc_monotonic_ms();
    return true;
}

void slc_exchange_problem(slc_exchange *exchange, int status, const char *type, const char *title,
                          const char *detail, json_t *extra)
{
    if (!begin_answer(private_of(exchange), status)) {
        json_decref(extra);
        return;
    }
    slc_exchange_rewrite_answer(exchange);
    slc_http_problem(exchange->req, status, type, title, detail, extra);
}

void slc_exchange_empty(slc_exchange *exchange, int status)
{
    if (!begin_answer(private_of(exchange), status))
        return;
    slc_exchange_rewrite_answer(exchange);
    slc_http_send(exchange->req, status, NULL, NULL, 0);
}

/* evhttp would send a body with HEAD, which the client would take for the next answer. */
static void keep_length_only(struct evkeyvalq *headers, struct evbuffer *body)
{
    char text[24];
    size_t len = evbuffer_get_length(body);
    if (len == 0)
        return;
    snprintf(text, sizeof text, "%zu", len);
    evhttp_add_header(headers, "Content-Length", text);
    evbuffer_drain(body, len);
}

void slc_exchange_reply(slc_exchange *exchange, int status, const char *content_type, struct evbuffer *body)
{
    struct evhttp_request *req = exchange->req;
    exchange->bytes_out += evbuffer_get_length(body);
    if (!begin_answer(private_of(exchange), status)) {
        evbuffer_drain(body, evbuffer_get_length(body));
        return;
    }
    struct evkeyvalq *headers = evhttp_request_get_output_headers(req);
    if (content_type != NULL)
        evhttp_add_header(headers, "Content-Type", content_type);
    if (evhttp_request_get_command(req) == EVHTTP_REQ_HEAD)
        keep_length_only(headers, body);
    slc_exchange_rewrite_answer(exchange);
    evhttp_send_reply(req, status, slc_http_reason(status), body);
}

void slc_exchange_stream_start(slc_exchange *exchange, int status, const char *content_type)
{
    struct slc_exchange_private *self = private_of(exchange);
    struct slc_http_front *front = exchange->private_http;
    SLC_BUG_ON(self->answered || self->streaming);
    self->status = status;
    self->streaming = true;
    exchange->streamed = true;
    front->streams++;
    if (self->aborted)
        return;
    evhttp_add_header(evhttp_request_get_output_headers(exchange->req), "Content-Type", content_type);
    slc_exchange_rewrite_answer(exchange);
    evhttp_send_reply_start(exchange->req, status, slc_http_reason(status));
}

static void on_written(struct evhttp_connection *evcon, void *arg)
{
    struct slc_exchange_private *self = arg;
    (void)evcon;
    SLC_CHECK_MAGIC(&self->base, SLC_EXCHANGE_MAGIC);
    void (*done)(slc_exchange *, void *) = self->on_written;
    self->on_written = NULL;
    if (done != NULL && !self->aborted)
        done(&self->base, self->base.ctx);
}

void slc_exchange_write(slc_exchange *exchange, struct evbuffer *chunk,
                        void (*done)(slc_exchange *exchange, void *ctx))
{
    struct slc_exchange_private *self = private_of(exchange);
    SLC_BUG_ON(!self->streaming || self->answered);
    exchange->bytes_out += evbuffer_get_length(chunk);
    slc_exchange_pay(exchange);
    if (self->aborted) {
        evbuffer_drain(chunk, evbuffer_get_length(chunk));
        return;
    }
    self->on_written = done;
    evhttp_send_reply_chunk_with_cb(exchange->req, chunk, on_written, self);
}

size_t slc_exchange_unsent(const slc_exchange *exchange)
{
    struct evhttp_connection *evcon = evhttp_request_get_connection(exchange->req);
    if (evcon == NULL)
        return 0;
    return evbuffer_get_length(bufferevent_get_output(evhttp_connection_get_bufferevent(evcon)));
}

void slc_exchange_stream_finish(slc_exchange *exchange)
{
    struct slc_exchange_private *self = private_of(exchange);
    SLC_BUG_ON(!self->streaming || self->answered);
    if (self->aborted) {
        slc_exchange_abandon(exchange);
        return;
    }
    self->answered = true;
    self->on_written = NULL;
    evhttp_send_reply_end(exchange->req);
}

/* A shut down socket ends like any other that the client closed. */
static void cut(slc_exchange *exchange)
{
    struct evhttp_connection *evcon = evhttp_request_get_connection(exchange->req);
    if (evcon != NULL)
        shutdown(bufferevent_getfd(evhttp_connection_get_bufferevent(evcon)), SHUT_RDWR);
}

/* `elapsed_ms` since the last look. What was written after it had no time to leave yet. */
static bool is_stream_stalled(struct slc_exchange_private *self, int64_t elapsed_ms, int64_t limit_ms)
{
    size_t unsent = slc_exchange_unsent(&self->base);
    if (unsent == 0 || unsent < self->last_unsent || self->last_unsent == 0)
        self->stalled_ms = 0;
    else
        self->stalled_ms += elapsed_ms;
    self->last_unsent = unsent;
    return unsent > 0 && self->stalled_ms >= limit_ms;
}

/* A stream may be slow as long as it moves; an answer is held as a whole until the last of it is taken. */
void slc_exchange_check_stalled(struct slc_http_front *front, const slc_gateway_limits *limits)
{
    int64_t now_ms = slc_monotonic_ms(), elapsed_ms = now_ms - front->stalls_checked_ms;
    struct slc_exchange_private *self;
    front->stalls_checked_ms = now_ms;
    if (elapsed_ms > 2 * SLC_STALL_CHECK_MS) /* the worker stood still, and not its clients */
        elapsed_ms = 2 * SLC_STALL_CHECK_MS;
    TAILQ_FOREACH (self, &front->exchanges, entry) {
        if (self->aborted)
            continue;
        if (self->streaming ? is_stream_stalled(self, elapsed_ms, limits->stalled_write_ms)
                            : self->answered && now_ms - self->answered_ms >= limits->answer_timeout_ms)
            cut(&self->base);
    }
}

static void parse_query(struct slc_exchange_private *self)
{
    const char *query = evhttp_uri_get_query(evhttp_request_get_evhttp_uri(self->base.req));
    self->query_parsed = true;
    self->query_malformed = query != NULL && query[0] != '\0' &&
                            (strstr(query, "%00") != NULL || /* what follows would not be seen */
                             evhttp_parse_query_str(query, &self->query) != 0);
    if (self->query_malformed)
        evhttp_clear_headers(&self->query);
}

const char *slc_exchange_query(slc_exchange *exchange, const char *name)
{
    struct slc_exchange_private *self = private_of(exchange);
    if (!self->query_parsed)
        parse_query(self);
    return evhttp_find_header(&self->query, name);
}

bool slc_exchange_query_is_valid(slc_exchange *exchange)
{
    struct slc_exchange_private *self = private_of(exchange);
    if (!self->query_parsed)
        parse_query(self);
    return !self->query_malformed;
}

bool slc_exchange_query_repeats(slc_exchange *exchange, const char *name)
{
    struct slc_exchange_private *self = private_of(exchange);
    const struct evkeyval *parameter;
    unsigned count = 0;
    if (!self->query_parsed)
        parse_query(self);
    TAILQ_FOREACH (parameter, &self->query, next)
        count += strcasecmp(parameter->key, name) == 0;
    return count > 1;
}

const char *slc_exchange_header(slc_exchange *exchange, const char *name)
{
    return evhttp_find_header(evhttp_request_get_input_headers(exchange->req), name);
}
