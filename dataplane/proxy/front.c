/* Listeners, and the worker's view of its sessions. */
#include "dataplane/proxy/front.h"

#include <event2/dns.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/clock.h"
#include "common/httpd.h"
#include "common/log.h"
#include "dataplane/http/front.h" /* slc_listener_same_socket */
#include "dataplane/proxy/session_private.h"
#include "dataplane/proxy/spans.h"

#define TICK_MS          500
#define MAX_EDITS        1000000
#define MAX_EDIT_BYTES   (256u * 1024 * 1024)
#define KEPT_EDITS       4096
#define KEPT_EDIT_BYTES  (2u * 1024 * 1024)
#define SESSIONS_AT_ONCE 16 /* between two looks at the clock */

static void on_apply(evutil_socket_t fd, short what, void *arg);

/* Large ones are rare unless policies change records. */
static void trim_edits(slc_proxy_front *front)
{
    if (front->edits.bytes.cap <= KEPT_EDIT_BYTES && front->edits.cap <= KEPT_EDITS)
        return;
    slc_kafka_edits_release(&front->edits);
    slc_kafka_edits_init(&front->edits, MAX_EDITS, MAX_EDIT_BYTES);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    slc_proxy_front *front = arg;
    int64_t now_ms = slc_monotonic_ms();
    slc_session *next, *session = TAILQ_FIRST(&front->sessions);
    (void)fd, (void)what;
    for (; session != NULL; session = next) {
        next = TAILQ_NEXT(session, entry);
        slc_session_tick(session, now_ms);
    }
    slc_proxy_accept_tick(front, now_ms);
    slc_pool_retry(&front->pool);
    slc_proxy_endings_tell(front, now_ms, false);
    slc_proxy_denials_tell(front, now_ms, false);
    slc_record_work_trim(&front->records);
    trim_edits(front);
}

static void init_records(slc_proxy_front *front)
{
    slc_kafka_edits_init(&front->edits, MAX_EDITS, MAX_EDIT_BYTES);
    slc_compression_options options = SLC_COMPRESSION_DEFAULTS;
    options.inflated_max_bytes = (size_t)front->limits->records_inflated_bytes;
    options.gzip_level = (int)front->limits->records_gzip_level;
    options.lz4_level = (int)front->limits->records_lz4_level;
    options.zstd_level = (int)front->limits->records_zstd_level;
    slc_record_work_init(&front->records, &options, 2 * (size_t)front->limits->kafka_rewrite_bytes);
    front->records.wait_ms = front->limits->records_wait_ms;
}

slc_proxy_front *slc_proxy_front_new(slc_worker *worker)
{
    struct timeval interval = {.tv_usec = TICK_MS * 1000};
    slc_proxy_front *front = slc_calloc(1, sizeof *front);
    front->magic = SLC_PROXY_FRONT_MAGIC;
    front->worker = worker;
    front->limits = slc_gateway_limits_of(worker->gateway);
    front->base = slc_loop_base(worker->loop);
    front->dns =
        evdns_base_new(front->base, EVDNS_BASE_INITIALIZE_NAMESERVERS | EVDNS_BASE_DISABLE_WHEN_INACTIVE);
    if (front->dns == NULL) /* without a usable resolv.conf; the hosts file still works */
        front->dns = evdns_base_new(front->base, EVDNS_BASE_DISABLE_WHEN_INACTIVE);
    SLC_BUG_ON(front->dns == NULL);
    slc_pool_init(&front->pool, (size_t)front->limits->kafka_buffer_bytes);
    front->nowhere = -1;
    init_records(front);
    slc_topologies_init(&front->topologies, front->base, front->dns, front->limits->kafka_connect_timeout_ms);
    TAILQ_INIT(&front->listeners);
    TAILQ_INIT(&front->sessions);
    TAILQ_INIT(&front->strangers);
    TAILQ_INIT(&front->metrics);
    slc_repeats_init(&front->endings);
    slc_repeats_init(&front->denials);
    front->tick = event_new(front->base, -1, EV_PERSIST, on_tick, front);
    SLC_BUG_ON(front->tick == NULL);
    event_add(front->tick, &interval);
    front->apply = evtimer_new(front->base, on_apply, front);
    SLC_BUG_ON(front->apply == NULL);
    return front;
}

static void close_sockets(slc_proxy_listener *listener)
{
    for (size_t i = 0; i < listener->socket_count; i++) {
        event_del(&listener->sockets[i].accept);
        if (listener->sockets[i].fd >= 0)
            close(listener->sockets[i].fd);
        listener->sockets[i].fd = -1;
    }
}

static void close_listener(slc_proxy_listener *listener)
{
    slc_session *session;
    TAILQ_FOREACH (session, &listener->front->sessions, entry) {
        if (session->listener == listener)
            session->listener = NULL;
    }
    close_sockets(listener);
    TAILQ_REMOVE(&listener->front->listeners, listener, entry);
    slc_listener_unref(listener->entity);
    slc_tls_unref(listener->tls);
    free(listener->balancers);
    free(listener->sockets);
    free(listener);
}

void slc_proxy_front_free(slc_proxy_front *front)
{
    SLC_CHECK_MAGIC(front, SLC_PROXY_FRONT_MAGIC);
    while (!TAILQ_EMPTY(&front->listeners))
        close_listener(TAILQ_FIRST(&front->listeners));
    while (!TAILQ_EMPTY(&front->sessions))
        slc_session_close(TAILQ_FIRST(&front->sessions));
    slc_topologies_release(&front->topologies);
    slc_usage_look_release(front);
    slc_pool_release(&front->pool);
    slc_record_work_release(&front->records);
    slc_proxy_spans_release(front);
    slc_usage_topics_release(front);
    slc_kafka_edits_release(&front->edits);
    slc_proxy_endings_free(front);
    slc_proxy_denials_free(front);
    slc_proxy_metrics_free(front);
    event_free(front->tick);
    event_free(front->apply);
    evdns_base_free(front->dns, 1);
    front->magic = 0;
    free(front);
}

static void take_balancers(slc_proxy_listener *listener)
{
    free(listener->balancers);
    listener->balancers = slc_listener_balancers(listener->entity, &listener->balancer_count);
}

void slc_proxy_front_open(slc_proxy_front *front, slc_listener *entity, const int *fds, slc_tls *tls)
{
    slc_proxy_listener *listener = slc_calloc(1, sizeof *listener);
    slc_proxy_port *ports = slc_proxy_ports(entity, &listener->socket_count);
    listener->front = front;
    listener->entity = slc_listener_ref(entity);
    listener->tls = tls != NULL ? slc_tls_ref(tls) : NULL;
    take_balancers(listener);
    listener->port = slc_listen_port(fds[0]);
    listener->sockets = slc_calloc(listener->socket_count, sizeof *listener->sockets);
    for (size_t i = 0; i < listener->socket_count; i++) {
        struct slc_proxy_socket *socket = &listener->sockets[i];
        *socket = (struct slc_proxy_socket){.listener = listener, .fd = fds[i], .node = ports[i].node};
        evutil_make_socket_nonblocking(socket->fd);
        event_assign(&socket->accept, front->base, socket->fd, EV_READ | EV_PERSIST, slc_proxy_accept, socket);
        if (!front->paused && !front->closed_to_all)
            event_add(&socket->accept, NULL);
    }
    free(ports);
    TAILQ_INSERT_TAIL(&front->listeners, listener, entry);
}

/* ---- configuration ---- */

slc_proxy_port *slc_proxy_ports(const slc_listener *listener, size_t *count)
{
    const Sluice__Snapshot__V1__Listener *msg = listener->msg;
    const char *colon = strrchr(msg->address, ':');
    size_t total = 1, at = 1;
    for (size_t i = 0; i < msg->n_port_ranges; i++)
        total += (size_t)(msg->port_ranges[i]->last_node_id - msg->port_ranges[i]->first_node_id) + 1;
    slc_proxy_port *ports = slc_calloc(total, sizeof *ports);
    snprintf(ports[0].address, sizeof ports[0].address, "%s", msg->address);
    ports[0].node = -1;
    for (size_t i = 0; i < msg->n_port_ranges; i++) {
        const Sluice__Snapshot__V1__PortRange *range = msg->port_ranges[i];
        for (int64_t node = range->first_node_id; node <= range->last_node_id; node++, at++) {
            ports[at].node = (int32_t)node;
            snprintf(ports[at].address, sizeof ports[at].address, "%.*s:%u", (int)(colon - msg->address),
                     msg->address, range->port_base + (uint32_t)(node - range->first_node_id));
        }
    }
    *count = total;
    return ports;
}

static slc_listener *find_same_socket(const slc_snapshot *snapshot, const slc_proxy_listener *open)
{
    size_t count = 0;
    slc_listener *const *listeners = slc_snapshot_listeners(snapshot, &count);
    for (size_t i = 0; i < count; i++)
        if (slc_listener_same_socket(listeners[i], open->entity))
            return listeners[i];
    return NULL;
}

/* As many sessions as there is time for; the others wait for the loop's next turn, or until they have something
 * to do. */
static void apply_to_sessions(slc_proxy_front *front)
{
    static const struct timeval at_once = {0};
    int64_t until_us = slc_monotonic_us() + front->limits->apply_slice_ms * 1000;
    slc_session *next, *session = TAILQ_FIRST(&front->sessions);
    unsigned count = 0;
    for (; session != NULL; session = next) {
        next = TAILQ_NEXT(session, entry);
        if (session->round == front->round)
            continue;
        if (++count % SESSIONS_AT_ONCE == 0 && slc_monotonic_us() >= until_us) {
            event_add(front->apply, &at_once);
            return;
        }
        (void)!slc_session_apply(session);
    }
}

static void on_apply(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    apply_to_sessions(arg);
}

void slc_proxy_front_apply(slc_proxy_front *front, const slc_snapshot *snapshot)
{
    slc_proxy_listener *next_listener, *listener = TAILQ_FIRST(&front->listeners);
    for (; listener != NULL; listener = next_listener) {
        next_listener = TAILQ_NEXT(listener, entry);
        slc_listener *same = find_same_socket(snapshot, listener);
        if (same == NULL) {
            close_listener(listener);
        } else if (same != listener->entity) {
            slc_listener_unref(listener->entity);
            listener->entity = slc_listener_ref(same);
            take_balancers(listener);
        }
    }
    front->round++;
    apply_to_sessions(front);
}

void slc_proxy_front_refuse(slc_proxy_front *front, bool refuse)
{
    slc_session *next, *session = TAILQ_FIRST(&front->sessions);
    front->refuse = refuse;
    for (; refuse && session != NULL; session = next) {
        next = TAILQ_NEXT(session, entry);
        slc_session_cut_off(session);
    }
}

void slc_proxy_front_stop_accepting(slc_proxy_front *front)
{
    slc_proxy_listener *listener;
    slc_proxy_pause(front, true);
    front->closed_to_all = true;
    TAILQ_FOREACH (listener, &front->listeners, entry)
        close_sockets(listener); /* who comes now is refused, and not left to wait */
}

void slc_proxy_front_drain(slc_proxy_front *front)
{
    slc_session *next, *session = TAILQ_FIRST(&front->sessions);
    slc_proxy_front_stop_accepting(front);
    front->draining = true;
    for (; session != NULL; session = next) {
        next = TAILQ_NEXT(session, entry);
        slc_session_tick(session, slc_monotonic_ms()); /* idle ones end at once */
    }
}

unsigned slc_proxy_front_connections(const slc_proxy_front *front)
{
    return front->session_count;
}

bool slc_proxy_front_idle(const slc_proxy_front *front)
{
    return front->session_count == 0;
}
