/* One connection of the httpd. evhttp owns it; we follow it:
 *
 *   accepted (slc_httpd_conn_new) -> adopted in the same turn of the loop -> requests -> closed (on_close)
 *
 * evhttp tells about a new connection only by asking for its bufferevent, before the evhttp_connection exists.
 * A little later that is the argument of the bufferevent's callbacks, which is how it is adopted, and from then
 * on its close callback is ours. */
#include <errno.h>
#include <event2/bufferevent_ssl.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/clock.h"
#include "common/crypto.h"
#include "common/httpd_private.h"
#include "common/log.h"

/* What a client that is being refused may still send before it must have read the answer. */
static const struct timeval linger_time = {.tv_sec = 5};

#define READ_AHEAD_BYTES 65536
#define GIVEN_BYTES      65536 /* of a request, that are not counted against bodies_bytes */
#define RETRY_S          5
#define SAY_AGAIN_MS     10000
#define WRITE_BYTES      (256 * 1024) /* at once */

static void restart_deadline(struct slc_httpd_conn *conn)
{
    SLC_BUG_ON(event_add(&conn->deadline, conn->httpd->deadline) != 0);
}

/* ---- the wire, as it passes ---- */

static void scan_from(struct slc_httpd_conn *conn, struct evbuffer *input, size_t offset)
{
    struct evbuffer_ptr at;
    if (evbuffer_ptr_set(input, &at, offset, EVBUFFER_PTR_SET) != 0)
        return;
    struct evbuffer_iovec pieces[16];
    size_t left = evbuffer_get_length(input) - offset;
    while (left > 0 && !conn->head.complete) {
        int n = evbuffer_peek(input, -1, &at, pieces, 16);
        for (int i = 0; i < n && i < 16; i++) {
            slc_http_head_scan(&conn->head, pieces[i].iov_base, pieces[i].iov_len);
            left -= pieces[i].iov_len;
            if (left > 0)
                evbuffer_ptr_set(input, &at, pieces[i].iov_len, EVBUFFER_PTR_ADD);
        }
    }
}

static size_t beyond_given(size_t held)
{
    return held > GIVEN_BYTES ? held - GIVEN_BYTES : 0;
}

static void set_held(struct slc_httpd_conn *conn, size_t held)
{
    conn->httpd->held = conn->httpd->held - beyond_given(conn->held) + beyond_given(held);
    conn->held = held;
}

static void say_crowded(slc_httpd *httpd)
{
    int64_t now_ms = slc_monotonic_ms();
    if (httpd->crowded_ms != 0 && now_ms - httpd->crowded_ms < SAY_AGAIN_MS)
        return;
    httpd->crowded_ms = now_ms;
    slc_log(SLC_LOG_WARN, "request bodies are refused: too many bytes of them are under way",
            LI("bytes", (int64_t)httpd->held), LI("limit", httpd->limits.bodies_bytes));
}

/* What came is held until the answer is out. Whoever makes it too much is refused, by evhttp when it looks at
 * the body next: not a body that is alone, so that one as large as allowed always passes. */
static void hold(struct slc_httpd_conn *conn, size_t added)
{
    slc_httpd *httpd = conn->httpd;
    if (conn->crowded)
        return;
    set_held(conn, conn->held + added);
    size_t own = beyond_given(conn->held);
    if (httpd->limits.bodies_bytes == 0 || httpd->held <= (size_t)httpd->limits.bodies_bytes || own == 0 ||
        own == httpd->held || conn->req != NULL || conn->evcon == NULL)
        return;
    conn->crowded = true;
    evhttp_connection_set_max_body_size(conn->evcon, 0);
    say_crowded(httpd);
    set_held(conn, 0); /* gone in a moment: nobody else is refused for it */
}

static void on_input(struct evbuffer *input, const struct evbuffer_cb_info *info, void *arg)
{
    struct slc_httpd_conn *conn = arg;
    SLC_CHECK_MAGIC(conn, SLC_HTTPD_CONN_MAGIC);
    if (info->n_added > 0)
        hold(conn, info->n_added);
    if (info->n_added == 0 || conn->req != NULL || conn->head.complete)
        return;
    /* The time for a request runs from its first byte. */
    if (slc_httpd_conn_idle(conn) && conn->evcon != NULL)
        restart_deadline(conn);
    scan_from(conn, input, info->orig_size - info->n_deleted);
}

/* The status of the answer that starts there, or -1. Only peeks: a socket bufferevent that has written once
 * keeps the front of its output frozen, and then copying out of it fails. */
static int status_at(struct evbuffer *output, size_t offset)
{
    char line[40] = "";
    size_t used = 0;
    struct evbuffer_ptr at;
    struct evbuffer_iovec pieces[4];
    int status;
    if (evbuffer_ptr_set(output, &at, offset, EVBUFFER_PTR_SET) != 0)
        return -1;
    int n = evbuffer_peek(output, sizeof(line) - 1, &at, pieces, 4);
    for (int i = 0; i < n && i < 4; i++) {
        size_t len = pieces[i].iov_len < sizeof(line) - 1 - used ? pieces[i].iov_len : sizeof(line) - 1 - used;
        memcpy(line + used, pieces[i].iov_base, len);
        used += len;
    }
    return sscanf(line, "HTTP/%*d.%*d %d", &status) == 1 ? status : -1;
}

/* Not by a bufferevent's timeout: in libevent it wins over a socket that can be written when one turn of the
 * loop finds both, so that a turn that takes long would cut clients. */
static void watch_stalls(struct slc_httpd_conn *conn, const struct evbuffer_cb_info *info)
{
    if (info->orig_size + info->n_added == info->n_deleted)
        event_del(&conn->stalled);
    else if (info->orig_size == 0 || info->n_deleted > 0)
        SLC_BUG_ON(event_add(&conn->stalled, conn->httpd->deadline) != 0);
}

static void on_stalled(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct slc_httpd_conn *conn = arg;
    SLC_CHECK_MAGIC(conn, SLC_HTTPD_CONN_MAGIC);
    struct pollfd socket = {.fd = bufferevent_getfd(conn->bev), .events = POLLOUT};
    bool late = poll(&socket, 1, 0) > 0 && (socket.revents & POLLOUT) != 0; /* we, and not the client */
    if (late && event_add(&conn->stalled, conn->httpd->deadline) == 0)
        return;
    bufferevent_disable(conn->bev, EV_WRITE);
    bufferevent_trigger_event(conn->bev, BEV_EVENT_WRITING | BEV_EVENT_TIMEOUT, 0);
}

/* Output without a request in progress is evhttp's own: "100 Continue" or an error page. */
static void on_output(struct evbuffer *output, const struct evbuffer_cb_info *info, void *arg)
{
    struct slc_httpd_conn *conn = arg;
    SLC_CHECK_MAGIC(conn, SLC_HTTPD_CONN_MAGIC);
    watch_stalls(conn, info);
    if (info->n_added == 0 || conn->req != NULL || conn->refused)
        return;
    int status = status_at(output, info->orig_size - info->n_deleted);
    if (status < 0 || status == 100)
        return;
    conn->refused = true;
    conn->page_pending = true;
    conn->page_status = status;
    slc_httpd_later(conn->httpd, conn);
}

/* ---- life ---- */

static void on_deadline(evutil_socket_t fd, short what, void *arg);
static void on_close(struct evhttp_connection *evcon, void *arg);

static struct bufferevent *new_bufferevent(struct event_base *base, slc_tls *tls)
{
    if (tls == NULL)
        return bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
    struct bufferevent *bev = bufferevent_openssl_socket_new(base, -1, slc_tls_accept(tls),
                                                             BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE);
    /* Many clients close without a close_notify; lengths and chunks tell us what is complete. */
    if (bev != NULL)
        bufferevent_openssl_set_allow_dirty_shutdown(bev, 1);
    return bev;
}

struct bufferevent *slc_httpd_conn_new(struct event_base *base, void *arg)
{
    struct slc_httpd_listener *listener = arg;
    SLC_CHECK_MAGIC(listener, SLC_HTTPD_LISTENER_MAGIC);
    slc_httpd *httpd = listener->httpd;
    struct slc_httpd_conn *conn = slc_calloc(1, sizeof(*conn));
    conn->magic = SLC_HTTPD_CONN_MAGIC;
    conn->httpd = httpd;
    conn->listener = listener;
    conn->fd = -1;
    conn->opened_ms = slc_wall_ms();
    conn->linger_fd = -1;
    conn->bev = new_bufferevent(base, listener->tls);
    SLC_BUG_ON(conn->bev == NULL);
    bufferevent_incref(conn->bev);
    SLC_BUG_ON(evbuffer_add_cb(bufferevent_get_input(conn->bev), on_input, conn) == NULL);
    SLC_BUG_ON(evbuffer_add_cb(bufferevent_get_output(conn->bev), on_output, conn) == NULL);
    /* evhttp reads on during an answer, to see the client close: there must be an end to it. */
    bufferevent_setwatermark(conn->bev, EV_READ, 0,
                             (size_t)(httpd->limits.header_bytes + httpd->limits.body_bytes) +
                                 READ_AHEAD_BYTES);
    SLC_BUG_ON(event_assign(&conn->deadline, base, -1, 0, on_deadline, conn) != 0 ||
               event_assign(&conn->stalled, base, -1, 0, on_stalled, conn) != 0);
    TAILQ_INSERT_TAIL(&httpd->conns, conn, entry);
    httpd->connections++;
    listener->connections++;
    slc_httpd_update_accepting(httpd);
    slc_httpd_later(httpd, conn);
    return conn->bev;
}

static void remember_fd(slc_httpd *httpd, int fd, struct slc_httpd_conn *conn)
{
    SLC_BUG_ON(fd < 0);
    if ((size_t)fd >= httpd->by_fd_size) {
        size_t size = httpd->by_fd_size > 0 ? httpd->by_fd_size : 64;
        while (size <= (size_t)fd)
            size *= 2;
        httpd->by_fd = slc_realloc(httpd->by_fd, size * sizeof(httpd->by_fd[0]));
        memset(httpd->by_fd + httpd->by_fd_size, 0, (size - httpd->by_fd_size) * sizeof(httpd->by_fd[0]));
        httpd->by_fd_size = size;
    }
    httpd->by_fd[fd] = conn;
}

static void forget_bufferevent(struct slc_httpd_conn *conn)
{
    /* libevent finalises the bufferevent later; until then its buffers could still call us. */
    evbuffer_remove_cb(bufferevent_get_input(conn->bev), on_input, conn);
    evbuffer_remove_cb(bufferevent_get_output(conn->bev), on_output, conn);
    event_del(&conn->stalled);
    conn->bev = NULL;
}

/* The last piece of an answer must not wait until the client has acknowledged the one before, which it may put
 * off for 40 ms. And libevent would write 16 KiB at a time, with a turn of the loop for each. */
static void tune(struct slc_httpd_conn *conn)
{
    int one = 1;
    setsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)); /* fails for other than TCP: no matter */
    bufferevent_set_max_single_write(conn->bev, WRITE_BYTES);
}

static void adopt(struct slc_httpd_conn *conn)
{
    struct bufferevent *bev = conn->bev;
    void *evcon = NULL;
    bufferevent_getcb(bev, NULL, NULL, NULL, &evcon);
    if (evcon == NULL) { /* evhttp gave it up at once */
        forget_bufferevent(conn);
        bufferevent_decref(bev);
        slc_httpd_conn_free(conn);
        return;
    }
    SLC_BUG_ON(evhttp_connection_get_bufferevent(evcon) != bev);
    conn->evcon = evcon;
    evhttp_connection_set_closecb(conn->evcon, on_close, conn);
    conn->fd = bufferevent_getfd(bev);
    tune(conn);
    remember_fd(conn->httpd, conn->fd, conn);
    bufferevent_decref(bev);
    restart_deadline(conn);
    slc_httpd_intake_start(conn);
}

void slc_httpd_conn_free(struct slc_httpd_conn *conn)
{
    SLC_CHECK_MAGIC(conn, SLC_HTTPD_CONN_MAGIC);
    slc_httpd *httpd = conn->httpd;
    event_del(&conn->deadline);
    event_del(&conn->stalled);
    if (conn->linger_fd >= 0) {
        event_del(&conn->linger);
        close(conn->linger_fd);
    }
    if (conn->queued)
        TAILQ_REMOVE(&httpd->todo, conn, todo);
    set_held(conn, 0);
    TAILQ_REMOVE(&httpd->conns, conn, entry);
    httpd->connections--;
    conn->listener->connections--;
    if (conn->listener->closed && conn->listener->connections == 0)
        slc_httpd_later(httpd, NULL);
    conn->magic = 0;
    if (conn->note != NULL)
        (httpd->note_free != NULL ? httpd->note_free : free)(conn->note);
    free(conn);
    slc_httpd_update_accepting(httpd);
}

bool slc_httpd_conn_idle(const struct slc_httpd_conn *conn)
{
    return conn->req == NULL && !conn->refused && conn->head.lines == 0 && conn->head.line_bytes == 0 &&
           !conn->head.after_cr;
}

void slc_httpd_conn_abort(struct slc_httpd_conn *conn)
{
    slc_httpd_intake_stop(conn);
    /* The one way that evhttp has to let go of a connection whose request is still being answered. */
    bufferevent_trigger_event(conn->bev, BEV_EVENT_READING | BEV_EVENT_EOF, 0);
}

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct slc_httpd_conn *conn = arg;
    SLC_CHECK_MAGIC(conn, SLC_HTTPD_CONN_MAGIC);
    if (conn->linger_fd >= 0)
        slc_httpd_conn_free(conn);
    else
        slc_httpd_conn_abort(conn);
}

/* ---- closing ---- */

static void end_request(struct slc_httpd_conn *conn, bool completed)
{
    struct evhttp_request *req = conn->req;
    void (*fn)(struct evhttp_request *, bool, void *) = conn->on_end;
    void *arg = conn->on_end_arg;
    conn->req = NULL;
    conn->on_end = NULL;
    if (req == NULL)
        return;
    evhttp_request_set_on_complete_cb(req, NULL, NULL);
    if (fn != NULL)
        fn(req, completed, arg);
}

static void on_linger(evutil_socket_t fd, short what, void *arg)
{
    (void)what;
    struct slc_httpd_conn *conn = arg;
    SLC_CHECK_MAGIC(conn, SLC_HTTPD_CONN_MAGIC);
    char nowhere[16384];
    ssize_t n = recv(fd, nowhere, sizeof(nowhere), MSG_DONTWAIT);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        slc_httpd_conn_free(conn);
}

/* Closing a socket that holds unread bytes resets the connection, and a reset takes the answer away from the
 * client that has not read it yet. So the socket stays open for a while on a second descriptor, of which evhttp
 * knows nothing; evhttp itself shuts it down for writing. */
static bool start_lingering(struct slc_httpd_conn *conn, int fd)
{
    conn->linger_fd = dup(fd);
    if (conn->linger_fd < 0)
        return false;
    struct event_base *base = conn->httpd->base;
    SLC_BUG_ON(event_assign(&conn->linger, base, conn->linger_fd, EV_READ | EV_PERSIST, on_linger, conn) != 0);
    SLC_BUG_ON(event_add(&conn->linger, NULL) != 0 || event_add(&conn->deadline, &linger_time) != 0);
    return true;
}

static void say_goodbye(struct bufferevent *bev)
{
    SSL *ssl = bufferevent_openssl_get_ssl(bev);
    if (ssl != NULL && SSL_is_init_finished(ssl)) {
        SSL_shutdown(ssl);
        ERR_clear_error();
    }
}

static void on_close(struct evhttp_connection *evcon, void *arg)
{
    (void)evcon;
    struct slc_httpd_conn *conn = arg;
    SLC_CHECK_MAGIC(conn, SLC_HTTPD_CONN_MAGIC);
    conn->httpd->by_fd[conn->fd] = NULL;
    event_del(&conn->deadline);
    if (conn->listener->tls != NULL)
        say_goodbye(conn->bev);
    forget_bufferevent(conn);
    conn->evcon = NULL;
    set_held(conn, 0);
    end_request(conn, false);
    if (!conn->refused || !start_lingering(conn, conn->fd))
        slc_httpd_conn_free(conn);
}

/* ---- requests ---- */

static void on_complete(struct evhttp_request *req, void *arg)
{
    struct slc_httpd_conn *conn = arg;
    SLC_CHECK_MAGIC(conn, SLC_HTTPD_CONN_MAGIC);
    SLC_BUG_ON(conn->req != req);
    end_request(conn, true);
    /* evhttp keeps what it takes for a tunnel, whatever was agreed; here no CONNECT ever makes one. */
    if (req->type == EVHTTP_REQ_CONNECT)
        req->type = EVHTTP_REQ_OPTIONS;
    /* Either evhttp closes now, or the next request begins, perhaps with bytes that are here already. */
    conn->head = (struct slc_http_head){0};
    set_held(conn, evbuffer_get_length(bufferevent_get_input(conn->bev)));
    if (conn->crowded) { /* its body had come whole by then */
        conn->crowded = false;
        evhttp_connection_set_max_body_size(conn->evcon, (ev_ssize_t)conn->httpd->limits.body_bytes);
    }
    scan_from(conn, bufferevent_get_input(conn->bev), 0);
    restart_deadline(conn);
}

/* evhttp stops reading while a handler has the request. We read on, so that a client that goes away is seen,
 * but evhttp's read callback must not be called in this state. */
static void watch_for_close(struct bufferevent *bev)
{
    bufferevent_data_cb on_write;
    bufferevent_event_cb on_event;
    void *arg;
    bufferevent_getcb(bev, NULL, &on_write, &on_event, &arg);
    bufferevent_setcb(bev, NULL, on_write, on_event, arg);
    bufferevent_enable(bev, EV_READ);
}

static struct slc_httpd_conn *find_conn(slc_httpd *httpd, struct bufferevent *bev)
{
    int fd = bufferevent_getfd(bev);
    SLC_BUG_ON(fd < 0 || (size_t)fd >= httpd->by_fd_size);
    struct slc_httpd_conn *conn = httpd->by_fd[fd];
    SLC_CHECK_MAGIC(conn, SLC_HTTPD_CONN_MAGIC);
    SLC_BUG_ON(conn->bev != bev);
    return conn;
}

void slc_httpd_conn_request(struct evhttp_request *req, void *arg)
{
    struct slc_httpd_listener *listener = arg;
    SLC_CHECK_MAGIC(listener, SLC_HTTPD_LISTENER_MAGIC);
    slc_httpd *httpd = listener->httpd;
    struct bufferevent *bev = evhttp_connection_get_bufferevent(evhttp_request_get_connection(req));
    struct slc_httpd_conn *conn = find_conn(httpd, bev);
    /* Set: somebody replaced the completion callback of the last request, which httpd.h forbids. */
    SLC_BUG_ON(conn->req != NULL);
    conn->req = req;
    event_del(&conn->deadline);
    evhttp_request_set_on_complete_cb(req, on_complete, conn);
    const char *wrong = slc_http_head_check(&conn->head, req);
    /* evhttp answers in the request's version, whatever that was. */
    req->major = 1;
    req->minor = req->minor == 0 ? 0 : 1;
    if (wrong != NULL)
        conn->refused = true;
    if (wrong != NULL || httpd->draining || conn->last)
        evhttp_add_header(evhttp_request_get_output_headers(req), "Connection", "close");
    watch_for_close(bev);
    if (wrong != NULL) {
        char id[65];
        slc_http_request_id(req, id);
        slc_http_problem(req, 400, "invalid", NULL, wrong, NULL);
    } else {
        httpd->handler(req, httpd->arg);
    }
}

static struct slc_httpd_conn *conn_of(struct evhttp_request *req)
{
    return req->on_complete_cb == on_complete ? req->on_complete_cb_arg : NULL;
}

void *slc_httpd_tag(struct evhttp_request *req)
{
    struct slc_httpd_conn *conn = conn_of(req);
    return conn != NULL ? conn->listener->tag : NULL;
}

const struct sockaddr_storage *slc_httpd_source(struct evhttp_request *req)
{
    const struct slc_httpd_conn *conn = conn_of(req);
    return conn != NULL && conn->told ? &conn->source : NULL;
}

void slc_httpd_set_note_free(slc_httpd *httpd, void (*fn)(void *note))
{
    httpd->note_free = fn;
}

void **slc_httpd_note(struct evhttp_request *req)
{
    struct slc_httpd_conn *conn = conn_of(req);
    return conn != NULL ? &conn->note : NULL;
}

void slc_httpd_each(slc_httpd *httpd, bool (*fn)(const slc_httpd_open *open, void *arg), void *arg)
{
    struct slc_httpd_conn *conn;
    SLC_CHECK_MAGIC(httpd, SLC_HTTPD_MAGIC);
    TAILQ_FOREACH_REVERSE(conn, &httpd->conns, slc_httpd_conns, entry)
    {
        slc_httpd_open open = {.tag = conn->listener->tag,
                               .tls = conn->listener->tls != NULL,
                               .fd = conn->fd,
                               .source = conn->told ? &conn->source : NULL,
                               .opened_ms = conn->opened_ms,
                               .note = conn->note,
                               .end_arg = conn->on_end != NULL ? conn->on_end_arg : NULL};
        if (conn->evcon != NULL && !fn(&open, arg))
            return;
    }
}

void slc_httpd_on_end(struct evhttp_request *req,
                      void (*fn)(struct evhttp_request *req, bool completed, void *arg), void *arg)
{
    struct slc_httpd_conn *conn = conn_of(req);
    SLC_CHECK_MAGIC(conn, SLC_HTTPD_CONN_MAGIC);
    SLC_BUG_ON(conn->req != req || conn->on_end != NULL);
    conn->on_end = fn;
    conn->on_end_arg = arg;
}

/* ---- evhttp's error pages ---- */

/* evhttp's page for too long a header says 400, and the one for an unknown method 0. */
static int true_status(const struct slc_httpd_conn *conn)
{
    if (conn->page_status == 400 && conn->head.bytes > (size_t)conn->httpd->limits.header_bytes)
        return 431;
    if (conn->page_status == 413 && conn->crowded)
        return 503;
    return conn->page_status == 0 ? 501 : conn->page_status;
}

static const char *problem_type(int status)
{
    switch (status) {
    case 413:
        return "too-large";
    case 417:
        return "expectation-failed";
    case 431:
        return "header-too-large";
    case 501:
        return "method-not-supported";
    case 503:
        return "unavailable";
    default:
        return "invalid";
    }
}

/* Socket bufferevents freeze the front of their output against others than themselves, TLS ones do not (and
 * would never get to drain a frozen one). */
static void discard(struct evbuffer *output)
{
    size_t len = evbuffer_get_length(output);
    if (evbuffer_drain(output, len) == 0)
        return;
    evbuffer_unfreeze(output, 1);
    evbuffer_drain(output, len);
    evbuffer_freeze(output, 1);
}

/* The page waits in the output: nothing can have been written in this turn of the loop, except behind an
 * earlier "100 Continue"; then it stays. */
static void replace_page(struct slc_httpd_conn *conn)
{
    struct evbuffer *output = bufferevent_get_output(conn->bev);
    if (status_at(output, 0) != conn->page_status)
        return;
    char id[27];
    slc_random_id(id, sizeof(id) - 1);
    int status = true_status(conn);
    char retry[32] = "";
    size_t len;
    if (status == 503)
        snprintf(retry, sizeof(retry), "Retry-After: %d\r\n", RETRY_S);
    char *body = slc_http_problem_text(status, problem_type(status), NULL, NULL, id, NULL, &len);
    discard(output);
    evbuffer_add_printf(output,
                        "HTTP/1.1 %d %s\r\nContent-Type: application/problem+json\r\nContent-Length: %zu\r\n"
                        "Connection: close\r\n%sX-Request-Id: %s\r\n\r\n",
                        status, slc_http_reason(status), len, retry, id);
    evbuffer_add(output, body, len);
    free(body);
}

void slc_httpd_conn_tidy(struct slc_httpd_conn *conn)
{
    SLC_CHECK_MAGIC(conn, SLC_HTTPD_CONN_MAGIC);
    if (conn->evcon == NULL) {
        if (conn->bev != NULL)
            adopt(conn);
        return;
    }
    if (conn->page_pending) {
        conn->page_pending = false;
        replace_page(conn);
    }
}
