/* Listeners and lifetime of a worker's HTTP front. Routing is in route.c. */
#include "dataplane/http/front.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/log.h"
#include "dataplane/http/front_private.h"
#include "dataplane/http/route.h"

static void on_stall_timer(evutil_socket_t fd, short what, void *arg)
{
    struct slc_http_front *front = arg;
    (void)fd, (void)what;
    slc_exchange_check_stalled(front, slc_gateway_limits_of(front->worker->gateway));
}

slc_http_front *slc_http_front_new(slc_worker *worker, slc_access_file *access_file)
{
    const slc_gateway_limits *limits = slc_gateway_limits_of(worker->gateway);
    slc_httpd_limits httpd_limits = {.header_bytes = limits->request_header_bytes,
                                     .body_bytes = limits->request_body_bytes,
                                     .bodies_bytes = limits->request_bodies_bytes,
                                     .request_timeout_ms = limits->request_timeout_ms,
                                     .connections = (unsigned)limits->connections};
    struct timeval interval = {.tv_usec = SLC_STALL_CHECK_MS * 1000};
    struct event_base *base = slc_loop_base(worker->loop);
    slc_http_front *front = slc_calloc(1, sizeof *front);
    front->magic = SLC_FRONT_MAGIC;
    front->worker = worker;
    TAILQ_INIT(&front->exchanges);
    TAILQ_INIT(&front->listeners);
    front->access_log = slc_access_log_new(base, access_file);
    front->metrics = slc_api_metrics_new();
    front->httpd = slc_httpd_new(base, &httpd_limits, slc_http_route, front);
    slc_httpd_set_note_free(front->httpd, slc_connection_note_free);
    front->stall_timer = event_new(base, -1, EV_PERSIST, on_stall_timer, front);
    SLC_BUG_ON(front->stall_timer == NULL);
    event_add(front->stall_timer, &interval);
    return front;
}

static void free_listener(void *tag)
{
    struct slc_front_listener *listener = tag;
    slc_listener_unref(listener->listener);
    free(listener);
}

static void close_listener(struct slc_front_listener *listener)
{
    TAILQ_REMOVE(&listener->front->listeners, listener, entry);
    slc_httpd_close_listener(listener->handle, free_listener);
}

void slc_http_front_close(slc_http_front *front)
{
    SLC_CHECK_MAGIC(front, SLC_FRONT_MAGIC);
    while (!TAILQ_EMPTY(&front->listeners))
        close_listener(TAILQ_FIRST(&front->listeners));
    slc_httpd_free(front->httpd);
    front->httpd = NULL;
    event_free(front->stall_timer);
}

void slc_http_front_free(slc_http_front *front)
{
    SLC_CHECK_MAGIC(front, SLC_FRONT_MAGIC);
    SLC_BUG_ON(front->httpd != NULL || !TAILQ_EMPTY(&front->exchanges));
    slc_access_log_free(front->access_log);
    slc_api_metrics_free(front->metrics);
    front->magic = 0;
    free(front);
}

/* The configuration's networks were checked when it came. */
slc_network *slc_listener_balancers(const slc_listener *listener, size_t *count)
{
    const Sluice__Snapshot__V1__Listener *msg = listener->msg;
    slc_network *networks = slc_calloc(msg->n_proxy_protocol_from + 1, sizeof *networks);
    *count = 0;
    for (size_t i = 0; i < msg->n_proxy_protocol_from; i++)
        if (slc_network_parse(msg->proxy_protocol_from[i], &networks[*count]))
            ++*count;
    return networks;
}

static void take_balancers(struct slc_front_listener *self)
{
    size_t count;
    slc_network *networks = slc_listener_balancers(self->listener, &count);
    slc_httpd_set_balancers(self->handle, networks, count);
    free(networks);
}

void slc_http_front_open(slc_http_front *front, slc_listener *listener, int fd, slc_tls *tls)
{
    struct slc_front_listener *self = slc_calloc(1, sizeof *self);
    self->front = front;
    self->listener = slc_listener_ref(listener);
    TAILQ_INSERT_TAIL(&front->listeners, self, entry);
    self->handle = slc_httpd_serve(front->httpd, fd, tls, self);
    take_balancers(self);
}

static slc_listener *find_same_socket(const slc_snapshot *snapshot, const slc_listener *open)
{
    size_t count = 0;
    slc_listener *const *listeners = slc_snapshot_listeners(snapshot, &count);
    for (size_t i = 0; i < count; i++)
        if (slc_listener_same_socket(listeners[i], open))
            return listeners[i];
    return NULL;
}

/* Who came by it ends as soon as that costs nothing: idle connections now, requests with their answer, streams
 * when mediation looks at them. */
static void end_connections(struct slc_front_listener *listener)
{
    struct slc_exchange_private *exchange;
    TAILQ_FOREACH (exchange, &listener->front->exchanges, entry) {
        if (exchange->listener == listener)
            exchange->base.outdated = true;
    }
    slc_httpd_drain_listener(listener->handle);
}

bool slc_listener_admits_otherwise(const slc_listener *a, const slc_listener *b)
{
    return strcmp(a->msg->client_auth, b->msg->client_auth) != 0 ||
           strcmp(a->msg->client_ca_pem, b->msg->client_ca_pem) != 0;
}

void slc_http_front_apply(slc_http_front *front, const slc_snapshot *snapshot)
{
    struct slc_front_listener *self = TAILQ_FIRST(&front->listeners);
    while (self != NULL) {
        struct slc_front_listener *next = TAILQ_NEXT(self, entry);
        slc_listener *same = find_same_socket(snapshot, self->listener);
        if (same == NULL) {
            self->closed = true;
            end_connections(self);
            close_listener(self);
        } else if (same != self->listener) {
            if (slc_listener_admits_otherwise(same, self->listener))
                end_connections(self);
            slc_listener_unref(self->listener);
            self->listener = slc_listener_ref(same);
            take_balancers(self);
        }
        self = next;
    }
}

static bool same_ranges(const Sluice__Snapshot__V1__Listener *a, const Sluice__Snapshot__V1__Listener *b)
{
    if (a->n_port_ranges != b->n_port_ranges || strcmp(a->kafka_routing, b->kafka_routing) != 0)
        return false;
    for (size_t i = 0; i < a->n_port_ranges; i++)
        if (a->port_ranges[i]->first_node_id != b->port_ranges[i]->first_node_id ||
            a->port_ranges[i]->last_node_id != b->port_ranges[i]->last_node_id ||
            a->port_ranges[i]->port_base != b->port_ranges[i]->port_base)
            return false;
    return true;
}

bool slc_listener_same_socket(const slc_listener *a, const slc_listener *b)
{
    return strcmp(a->msg->protocol, b->msg->protocol) == 0 && strcmp(a->msg->address, b->msg->address) == 0 &&
           !a->msg->tls == !b->msg->tls && same_ranges(a->msg, b->msg);
}

void slc_http_front_refuse(slc_http_front *front, bool refuse)
{
    front->refuse = refuse;
}

void slc_http_front_stop_accepting(slc_http_front *front)
{
    slc_httpd_stop_accepting(front->httpd);
}

void slc_http_front_drain(slc_http_front *front)
{
    front->draining = true;
    slc_httpd_drain(front->httpd);
}

unsigned slc_http_front_connections(const slc_http_front *front)
{
    return slc_httpd_connections(front->httpd);
}

bool slc_http_front_idle(const slc_http_front *front)
{
    return TAILQ_EMPTY(&front->exchanges);
}
