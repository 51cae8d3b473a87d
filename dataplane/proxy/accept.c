/* Accepting native clients: who is let in when there are many, and who has to go. */
#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "dataplane/proxy/session_private.h"

#define BURST 64 /* connections in a row */

/* ---- pausing ---- */

void slc_proxy_pause(slc_proxy_front *front, bool pause)
{
    slc_proxy_listener *listener;
    if (front->paused == pause || front->closed_to_all)
        return;
    front->paused = pause;
    TAILQ_FOREACH (listener, &front->listeners, entry) {
        for (size_t i = 0; i < listener->socket_count; i++) {
            if (pause)
                event_del(&listener->sockets[i].accept);
            else
                event_add(&listener->sockets[i].accept, NULL);
        }
    }
}

static bool is_crowded(const slc_proxy_front *front)
{
    return front->stranger_count >= (unsigned)front->limits->kafka_strangers;
}

static void resume(slc_proxy_front *front)
{
    if (!front->starved && !is_crowded(front))
        slc_proxy_pause(front, false);
}

/* Is it time to say it again? */
static bool is_due(const slc_proxy_front *front, int64_t *told_ms, int64_t now_ms)
{
    if (*told_ms != 0 && now_ms - *told_ms < front->limits->kafka_log_interval_ms)
        return false;
    *told_ms = now_ms;
    return true;
}

/* Whoever waits to be accepted keeps the socket readable: trying again at once would only burn a core. */
static void starve(slc_proxy_front *front, int error)
{
    front->starved = true;
    slc_proxy_pause(front, true);
    slc_proxy_metrics_paused("system");
    if (is_due(front, &front->starved_told_ms, slc_monotonic_ms()))
        slc_log(SLC_LOG_WARN,
                "connections cannot be accepted; trying again (is the limit of open files too low?)",
                LS("error", strerror(error)), LI("sessions", (int64_t)front->session_count));
}

/* Those who come wait in the kernel's queue, which is fair to all listeners, until some have authenticated. */
static void crowd(slc_proxy_front *front)
{
    slc_proxy_pause(front, true);
    slc_proxy_metrics_paused("unauthenticated");
    if (is_due(front, &front->crowded_told_ms, slc_monotonic_ms()))
        slc_log(SLC_LOG_WARN,
                "native clients wait to be accepted: too many have not authenticated yet "
                "(kafka.unauthenticated)",
                LI("unauthenticated", (int64_t)front->stranger_count),
                LI("sessions", (int64_t)front->session_count));
}

/* ---- strangers: who has not authenticated yet, in the order in which they came ---- */

static void stranger_came(slc_session *session)
{
    session->came_ms = slc_monotonic_ms();
    session->stranger = true;
    session->front->stranger_count++;
    TAILQ_INSERT_TAIL(&session->front->strangers, session, stranger_entry);
    slc_proxy_metrics_strangers(1);
}

void slc_proxy_stranger_gone(slc_session *session)
{
    if (!session->stranger)
        return;
    session->stranger = false;
    session->front->stranger_count--;
    TAILQ_REMOVE(&session->front->strangers, session, stranger_entry);
    slc_proxy_metrics_strangers(-1);
    resume(session->front);
}

/* Whoever has waited longest goes, of all or of a listener, if that was long enough to authenticate. */
static bool make_room(slc_proxy_front *front, const slc_proxy_listener *listener, int64_t now_ms)
{
    slc_session *oldest = TAILQ_FIRST(&front->strangers);
    while (oldest != NULL && listener != NULL && oldest->listener != listener)
        oldest = TAILQ_NEXT(oldest, stranger_entry);
    if (oldest == NULL || now_ms - oldest->came_ms < front->limits->kafka_stranger_grace_ms)
        return false;
    slc_session_refuse(oldest, SLC_TIMEOUT, "limit", "the client did not authenticate while others waited");
    slc_session_close(oldest);
    return true;
}

void slc_proxy_accept_tick(slc_proxy_front *front, int64_t now_ms)
{
    front->starved = false;
    while ((is_crowded(front) || !slc_pool_admits_stranger(&front->pool, 1)) && make_room(front, NULL, now_ms))
        continue;
    resume(front);
}

void slc_proxy_front_left(slc_proxy_front *front)
{
    front->session_count--;
}

/* ---- letting in ---- */

static const char *const refusals[SLC_PROXY_REFUSALS] = {
    [SLC_PROXY_REFUSED_WORKER] = "worker",
    [SLC_PROXY_REFUSED_LISTENER] = "listener",
    [SLC_PROXY_REFUSED_ADDRESS] = "address",
};

static const char *const refusal_texts[SLC_PROXY_REFUSALS] = {
    [SLC_PROXY_REFUSED_WORKER] = "the worker has as many sessions as kafka.connections allows",
    [SLC_PROXY_REFUSED_LISTENER] = "the listener has as many as its kafka.max_connections allows",
    [SLC_PROXY_REFUSED_ADDRESS] = ("its address has as many as kafka.max_connections_per_address of the "
                                   "listener, or else kafka.connections-per-address, allows"),
};

static void tell_refusal(slc_proxy_listener *listener, enum slc_proxy_refusal why, const char *address)
{
    slc_proxy_metrics_refused(listener->entity->msg->name, refusals[why]);
    listener->refused[why]++;
    if (!is_due(listener->front, &listener->refused_told_ms[why], slc_monotonic_ms()))
        return;
    slc_log(SLC_LOG_WARN, "native connection refused", LS("reason", refusal_texts[why]),
            LS("listener", listener->entity->msg->name), LS("client", address),
            LI("refused", (int64_t)listener->refused[why]),
            LI("sessions", (int64_t)listener->front->session_count));
    listener->refused[why] = 0;
}

static slc_head *count_address(const slc_proxy_listener *listener, const struct sockaddr_storage *peer,
                               bool *admitted)
{
    uint8_t address[SLC_HEAD_ADDRESS_BYTES];
    const Sluice__Snapshot__V1__Listener *msg = listener->entity->msg;
    int64_t limit = msg->max_connections_per_address;
    if (limit == 0)
        limit = listener->front->limits->kafka_address_connections;
    if (!slc_headcount_address(peer, address))
        return NULL;
    slc_head *head = slc_headcount_take(listener->front->worker->headcount, msg->id, address, (uint64_t)limit);
    *admitted = head != NULL;
    return head;
}

bool slc_proxy_admit_address(slc_session *session, const struct sockaddr_storage *peer)
{
    bool admitted = true;
    if (session->listener == NULL || session->of_address != NULL)
        return true;
    session->of_address = count_address(session->listener, peer, &admitted);
    if (!admitted)
        tell_refusal(session->listener, SLC_PROXY_REFUSED_ADDRESS, session->address);
    return admitted;
}

static slc_head *count_listener(slc_proxy_listener *listener, int64_t now_ms)
{
    slc_headcount *headcount = listener->front->worker->headcount;
    const Sluice__Snapshot__V1__Listener *msg = listener->entity->msg;
    slc_head *head;
    do {
        head = slc_headcount_take(headcount, msg->id, NULL, msg->max_connections);
    } while (head == NULL && make_room(listener->front, listener, now_ms));
    return head;
}

/* What of its limits keeps the client out; SLC_PROXY_REFUSALS: nothing. `peer` NULL: it is told later. */
static enum slc_proxy_refusal admit(slc_proxy_listener *listener, const struct sockaddr_storage *peer,
                                    slc_head **of_listener, slc_head **of_address)
{
    slc_proxy_front *front = listener->front;
    slc_headcount *headcount = front->worker->headcount;
    int64_t now_ms = slc_monotonic_ms();
    bool admitted = true;
    enum slc_proxy_refusal why = SLC_PROXY_REFUSALS;
    *of_address = NULL;
    *of_listener = count_listener(listener, now_ms);
    if (*of_listener == NULL)
        return SLC_PROXY_REFUSED_LISTENER;
    if (peer != NULL)
        *of_address = count_address(listener, peer, &admitted);
    if (!admitted)
        why = SLC_PROXY_REFUSED_ADDRESS;
    else if (front->session_count >= (unsigned)front->limits->kafka_connections &&
             !make_room(front, NULL, now_ms))
        why = SLC_PROXY_REFUSED_WORKER;
    if (why != SLC_PROXY_REFUSALS) {
        slc_headcount_give(headcount, *of_listener);
        slc_headcount_give(headcount, *of_address);
    }
    return why;
}

void slc_proxy_describe(const struct sockaddr_storage *peer, char out[64])
{
    char host[INET6_ADDRSTRLEN] = "?";
    if (peer->ss_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)peer;
        inet_ntop(AF_INET, &v4->sin_addr, host, sizeof host);
        snprintf(out, 64, "%s:%u", host, ntohs(v4->sin_port));
    } else if (peer->ss_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)peer;
        inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof host);
        snprintf(out, 64, "[%s]:%u", host, ntohs(v6->sin6_port));
    } else {
        snprintf(out, 64, "?");
    }
}

static bool from_balancer(const slc_proxy_listener *listener, const struct sockaddr_storage *peer)
{
    for (size_t i = 0; i < listener->balancer_count; i++)
        if (slc_network_contains(&listener->balancers[i], (const struct sockaddr *)peer))
            return true;
    return false;
}

static void take_client(struct slc_proxy_socket *socket, int client, const struct sockaddr_storage *peer)
{
    slc_proxy_listener *listener = socket->listener;
    slc_proxy_front *front = listener->front;
    slc_head *of_listener, *of_address;
    char address[64];
    int on = 1;
    bool balanced = from_balancer(listener, peer);
    slc_proxy_describe(peer, address);
    enum slc_proxy_refusal why = admit(listener, balanced ? NULL : peer, &of_listener, &of_address);
    if (why != SLC_PROXY_REFUSALS) {
        tell_refusal(listener, why, address);
        close(client);
        return;
    }
    setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(client, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    front->session_count++;
    slc_session *session = slc_session_new(listener, client, socket->node, address);
    session->of_listener = of_listener;
    session->of_address = of_address;
    stranger_came(session);
    if (balanced)
        slc_session_expect_header(session);
    slc_session_pump(session);
}

void slc_proxy_accept(evutil_socket_t fd, short what, void *arg)
{
    struct slc_proxy_socket *socket = arg;
    slc_proxy_front *front = socket->listener->front;
    (void)what;
    for (int i = 0; i < BURST; i++) {
        struct sockaddr_storage peer = {0};
        socklen_t peer_len = sizeof peer;
        if (is_crowded(front) && !make_room(front, NULL, slc_monotonic_ms())) {
            crowd(front);
            return;
        }
        int client = accept4(fd, (struct sockaddr *)&peer, &peer_len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (client < 0) {
            if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
                starve(front, errno);
            return;
        }
        if (front->refuse) /* no configuration that may be served */
            close(client);
        else
            take_client(socket, client, &peer);
    }
}
