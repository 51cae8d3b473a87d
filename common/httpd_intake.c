/* The PROXY protocol header, before anything else on a connection that a load balancer passes on. It is read
 * from the socket to its last byte and no further, while the bufferevent has no socket: then what follows,
 * TLS's first byte or HTTP's, is the first that the bufferevent sees. The deadline of the connection's first
 * request runs. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/clock.h"
#include "common/httpd_private.h"
#include "common/log.h"
#include "common/proxy_header.h"

#define SAY_AGAIN_MS 10000

struct slc_httpd_intake {
    struct event readable;
    size_t len, wanted;
    uint8_t data[SLC_PROXY_HEADER_MAX];
};

void slc_httpd_set_balancers(slc_httpd_listener *listener, const slc_network *networks, size_t count)
{
    SLC_CHECK_MAGIC(listener, SLC_HTTPD_LISTENER_MAGIC);
    free(listener->balancers);
    listener->balancers = count > 0 ? slc_memdup(networks, count * sizeof(*networks)) : NULL;
    listener->balancer_count = count;
}

static bool from_balancer(const struct slc_httpd_conn *conn)
{
    const struct slc_httpd_listener *listener = conn->listener;
    struct sockaddr_storage peer = {0};
    socklen_t len = sizeof(peer);
    if (listener->balancer_count == 0 || getpeername(conn->fd, (struct sockaddr *)&peer, &len) != 0)
        return false;
    for (size_t i = 0; i < listener->balancer_count; i++)
        if (slc_network_contains(&listener->balancers[i], (const struct sockaddr *)&peer))
            return true;
    return false;
}

void slc_httpd_intake_stop(struct slc_httpd_conn *conn)
{
    if (conn->intake == NULL)
        return;
    event_del(&conn->intake->readable);
    free(conn->intake);
    conn->intake = NULL;
    /* From here on the bufferevent reads, and closes the socket when it goes. */
    SLC_BUG_ON(bufferevent_setfd(conn->bev, conn->fd) != 0);
}

static void refuse(struct slc_httpd_conn *conn, const slc_error *err)
{
    slc_httpd *httpd = conn->httpd;
    int64_t now_ms = slc_monotonic_ms();
    if (httpd->header_told_ms == 0 || now_ms - httpd->header_told_ms >= SAY_AGAIN_MS) {
        char *address = NULL;
        uint16_t port;
        evhttp_connection_get_peer(conn->evcon, &address, &port);
        httpd->header_told_ms = now_ms;
        slc_log(SLC_LOG_WARN,
                "a load balancer's connection was closed: it must begin with a PROXY protocol header",
                LS("error", err->message), LS("balancer", address != NULL ? address : "?"));
    }
    slc_httpd_conn_abort(conn);
}

static void take(struct slc_httpd_conn *conn)
{
    struct slc_httpd_intake *intake = conn->intake;
    slc_error err = {0};
    if (!slc_proxy_header_read(intake->data, intake->len, &conn->told, &conn->source, &err)) {
        conn->told = false;
        refuse(conn, &err);
        return;
    }
    slc_httpd_intake_stop(conn);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    (void)what;
    struct slc_httpd_conn *conn = arg;
    SLC_CHECK_MAGIC(conn, SLC_HTTPD_CONN_MAGIC);
    struct slc_httpd_intake *intake = conn->intake;
    slc_error err = {0};
    while (intake->len < intake->wanted) {
        ssize_t got = recv(fd, intake->data + intake->len, intake->wanted - intake->len, MSG_DONTWAIT);
        if (got < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (got <= 0) { /* a port check: nobody has said anything */
            slc_httpd_conn_abort(conn);
            return;
        }
        intake->len += (size_t)got;
        if (intake->len == SLC_PROXY_HEADER_FIRST &&
            !slc_proxy_header_size(intake->data, &intake->wanted, &err)) {
            refuse(conn, &err);
            return;
        }
    }
    take(conn);
}

void slc_httpd_intake_start(struct slc_httpd_conn *conn)
{
    if (!from_balancer(conn))
        return;
    conn->intake = slc_calloc(1, sizeof(*conn->intake));
    conn->intake->wanted = SLC_PROXY_HEADER_FIRST;
    SLC_BUG_ON(bufferevent_setfd(conn->bev, -1) != 0);
    SLC_BUG_ON(event_assign(&conn->intake->readable, conn->httpd->base, conn->fd, EV_READ | EV_PERSIST,
                            on_readable, conn) != 0);
    SLC_BUG_ON(event_add(&conn->intake->readable, NULL) != 0);
}
