#include "common/httpd.h"

#include <event2/listener.h>
#include <stdlib.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/httpd_private.h"
#include "common/log.h"

#define ALL_METHODS                                                                                            \
    (EVHTTP_REQ_GET | EVHTTP_REQ_POST | EVHTTP_REQ_HEAD | EVHTTP_REQ_PUT | EVHTTP_REQ_DELETE |                 \
     EVHTTP_REQ_OPTIONS | EVHTTP_REQ_TRACE | EVHTTP_REQ_CONNECT | EVHTTP_REQ_PATCH)

/* How long accepting rests after it failed (out of descriptors, mostly): without a rest the loop would spin. */
static const struct timeval accept_rest = {.tv_usec = 200000};

static void stop_accepting(struct slc_httpd_listener *listener)
{
    if (listener->bound == NULL)
        return;
    evhttp_del_accept_socket(listener->evhttp, listener->bound); /* closes the socket */
    listener->bound = NULL;
}

static void listener_free(struct slc_httpd_listener *listener)
{
    TAILQ_REMOVE(&listener->httpd->listeners, listener, entry);
    void (*ended)(void *tag) = listener->ended;
    void *tag = listener->tag;
    evhttp_free(listener->evhttp);
    slc_tls_unref(listener->tls);
    free(listener->balancers);
    listener->magic = 0;
    free(listener);
    if (ended != NULL)
        ended(tag);
}

static void on_tidy(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    slc_httpd *httpd = arg;
    SLC_CHECK_MAGIC(httpd, SLC_HTTPD_MAGIC);
    struct slc_httpd_conn *conn;
    while ((conn = TAILQ_FIRST(&httpd->todo)) != NULL) {
        TAILQ_REMOVE(&httpd->todo, conn, todo);
        conn->queued = false;
        slc_httpd_conn_tidy(conn);
    }
    struct slc_httpd_listener *listener = TAILQ_FIRST(&httpd->listeners);
    while (listener != NULL) {
        struct slc_httpd_listener *next = TAILQ_NEXT(listener, entry);
        if (listener->closed && listener->connections == 0)
            listener_free(listener);
        listener = next;
    }
}

void slc_httpd_later(slc_httpd *httpd, struct slc_httpd_conn *conn)
{
    if (conn != NULL && !conn->queued) {
        conn->queued = true;
        TAILQ_INSERT_TAIL(&httpd->todo, conn, todo);
    }
    event_active(httpd->tidy, EV_TIMEOUT, 0);
}

static void set_accepting(struct slc_httpd_listener *listener, bool on)
{
    if (listener->bound == NULL)
        return;
    struct evconnlistener *socket = evhttp_bound_socket_get_listener(listener->bound);
    if (on)
        evconnlistener_enable(socket);
    else
        evconnlistener_disable(socket);
}

static void set_paused(slc_httpd *httpd, bool paused)
{
    if (httpd->paused == paused)
        return;
    httpd->paused = paused;
    struct slc_httpd_listener *listener;
    TAILQ_FOREACH (listener, &httpd->listeners, entry)
        set_accepting(listener, !paused);
}

void slc_httpd_update_accepting(slc_httpd *httpd)
{
    bool resting = event_pending(httpd->resume, EV_TIMEOUT, NULL) != 0;
    set_paused(httpd, resting || httpd->connections >= httpd->limits.connections);
}

static void on_resume(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    slc_httpd_update_accepting(arg);
}

static void on_accept_error(struct evconnlistener *socket, void *arg)
{
    (void)socket;
    struct slc_httpd_listener *listener = arg;
    SLC_CHECK_MAGIC(listener, SLC_HTTPD_LISTENER_MAGIC);
    slc_log(SLC_LOG_ERROR, "accepting a connection failed",
            LS("error", evutil_socket_error_to_string(EVUTIL_SOCKET_ERROR())),
            LI("connections", listener->httpd->connections));
    event_add(listener->httpd->resume, &accept_rest);
    slc_httpd_update_accepting(listener->httpd);
}

slc_httpd *slc_httpd_new(struct event_base *base, const slc_httpd_limits *limits,
                         void (*handler)(struct evhttp_request *req, void *arg), void *arg)
{
    SLC_BUG_ON(limits->header_bytes <= 0 || limits->body_bytes < 0 || limits->request_timeout_ms <= 0 ||
               limits->connections == 0);
    slc_httpd *httpd = slc_calloc(1, sizeof(*httpd));
    httpd->magic = SLC_HTTPD_MAGIC;
    httpd->base = base;
    httpd->limits = *limits;
    httpd->handler = handler;
    httpd->arg = arg;
    TAILQ_INIT(&httpd->listeners);
    TAILQ_INIT(&httpd->conns);
    TAILQ_INIT(&httpd->todo);
    httpd->request_time.tv_sec = limits->request_timeout_ms / 1000;
    httpd->request_time.tv_usec = limits->request_timeout_ms % 1000 * 1000;
    /* All deadlines are equally long, so a queue serves better than libevent's heap. */
    httpd->deadline = event_base_init_common_timeout(base, &httpd->request_time);
    httpd->tidy = event_new(base, -1, 0, on_tidy, httpd);
    httpd->resume = event_new(base, -1, 0, on_resume, httpd);
    SLC_BUG_ON(httpd->deadline == NULL || httpd->tidy == NULL || httpd->resume == NULL);
    return httpd;
}

void slc_httpd_free(slc_httpd *httpd)
{
    if (httpd == NULL)
        return;
    SLC_CHECK_MAGIC(httpd, SLC_HTTPD_MAGIC);
    struct slc_httpd_listener *listener;
    TAILQ_FOREACH (listener, &httpd->listeners, entry)
        stop_accepting(listener);
    on_tidy(-1, 0, httpd); /* so that every connection is adopted */
    struct slc_httpd_conn *conn;
    while ((conn = TAILQ_FIRST(&httpd->conns)) != NULL) {
        if (conn->linger_fd >= 0) {
            slc_httpd_conn_free(conn);
        } else {
            conn->refused = false; /* no lingering now */
            slc_httpd_conn_abort(conn);
        }
    }
    while ((listener = TAILQ_FIRST(&httpd->listeners)) != NULL)
        listener_free(listener);
    event_free(httpd->tidy);
    event_free(httpd->resume);
    free(httpd->by_fd);
    httpd->magic = 0;
    free(httpd);
}

slc_httpd_listener *slc_httpd_serve(slc_httpd *httpd, int fd, slc_tls *tls, void *tag)
{
    SLC_CHECK_MAGIC(httpd, SLC_HTTPD_MAGIC);
    struct slc_httpd_listener *listener = slc_calloc(1, sizeof(*listener));
    listener->magic = SLC_HTTPD_LISTENER_MAGIC;
    listener->httpd = httpd;
    listener->tls = tls != NULL ? slc_tls_ref(tls) : NULL;
    listener->tag = tag;
    listener->evhttp = evhttp_new(httpd->base);
    SLC_BUG_ON(listener->evhttp == NULL);
    evhttp_set_max_headers_size(listener->evhttp, (ev_ssize_t)httpd->limits.header_bytes);
    evhttp_set_max_body_size(listener->evhttp, (ev_ssize_t)httpd->limits.body_bytes);
    evhttp_set_allowed_methods(listener->evhttp, ALL_METHODS);
    evhttp_set_default_content_type(listener->evhttp, NULL);
    evhttp_set_bevcb(listener->evhttp, slc_httpd_conn_new, listener);
    evhttp_set_gencb(listener->evhttp, slc_httpd_conn_request, listener);
    listener->bound = evhttp_accept_socket_with_handle(listener->evhttp, fd);
    SLC_BUG_ON(listener->bound == NULL);
    evconnlistener_set_error_cb(evhttp_bound_socket_get_listener(listener->bound), on_accept_error);
    TAILQ_INSERT_TAIL(&httpd->listeners, listener, entry);
    if (httpd->draining)
        stop_accepting(listener);
    else if (httpd->paused)
        set_accepting(listener, false);
    return listener;
}

void slc_httpd_close_listener(slc_httpd_listener *listener, void (*ended)(void *tag))
{
    SLC_CHECK_MAGIC(listener, SLC_HTTPD_LISTENER_MAGIC);
    SLC_BUG_ON(listener->closed);
    stop_accepting(listener);
    listener->closed = true;
    listener->ended = ended;
    slc_httpd_later(listener->httpd, NULL);
}

static void drain_conn(struct slc_httpd_conn *conn)
{
    conn->last = true;
    if (conn->req != NULL) {
        /* Too late for an answer that has started, but evhttp looks at it again when the answer is out. */
        struct evkeyvalq *headers = evhttp_request_get_output_headers(conn->req);
        evhttp_remove_header(headers, "Connection");
        evhttp_add_header(headers, "Connection", "close");
    } else if (slc_httpd_conn_idle(conn)) {
        slc_httpd_conn_abort(conn);
    }
}

/* NULL: of every listener. */
static void drain_conns(slc_httpd *httpd, const slc_httpd_listener *listener)
{
    struct slc_httpd_conn *conn = TAILQ_FIRST(&httpd->conns);
    while (conn != NULL) {
        struct slc_httpd_conn *next = TAILQ_NEXT(conn, entry);
        if (listener == NULL || conn->listener == listener)
            drain_conn(conn);
        conn = next;
    }
}

void slc_httpd_drain_listener(slc_httpd_listener *listener)
{
    SLC_CHECK_MAGIC(listener, SLC_HTTPD_LISTENER_MAGIC);
    drain_conns(listener->httpd, listener);
}

void slc_httpd_stop_accepting(slc_httpd *httpd)
{
    SLC_CHECK_MAGIC(httpd, SLC_HTTPD_MAGIC);
    httpd->draining = true;
    struct slc_httpd_listener *listener;
    TAILQ_FOREACH (listener, &httpd->listeners, entry)
        stop_accepting(listener);
}

void slc_httpd_drain(slc_httpd *httpd)
{
    slc_httpd_stop_accepting(httpd);
    drain_conns(httpd, NULL);
}

unsigned slc_httpd_connections(const slc_httpd *httpd)
{
    return httpd->connections;
}

size_t slc_httpd_held(const slc_httpd *httpd)
{
    return httpd->held;
}
