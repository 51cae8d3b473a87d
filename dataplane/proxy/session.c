/* A session's life: the client's handshake, the way to the broker, and the end. */
#include <errno.h>
#include <event2/event.h>
#include <openssl/err.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/clock.h"
#include "common/log.h"
#include "dataplane/http/front.h" /* slc_listener_admits_otherwise */
#include "dataplane/policy/credential.h"
#include "dataplane/proxy/session_private.h"
#include "dataplane/proxy/spans.h"

#define TLS_HANDSHAKE 22 /* RFC 8446, 5.1: the type of the first record */
#define EXPIRED       "what the client authenticated by has expired"

static void on_client(evutil_socket_t fd, short what, void *arg)
{
    slc_session *session = arg;
    (void)fd;
    session->client.ready |= (what & EV_READ) != 0;
    session->active_ms = slc_monotonic_ms();
    slc_session_pump(session);
}

static void on_broker(evutil_socket_t fd, short what, void *arg)
{
    slc_session *session = arg;
    (void)fd;
    session->broker.ready |= (what & EV_READ) != 0;
    slc_session_pump(session);
}

static void on_memory(slc_pool_waiter *waiter)
{
    slc_session *session = (slc_session *)((char *)waiter - offsetof(slc_session, memory));
    event_active(&session->client.readable, EV_READ, 0); /* not from inside somebody else's give */
}

/* What the policies of its records needed is there. */
static void on_answer_ready(slc_record_waiter *waiter)
{
    slc_session_pump((slc_session *)((char *)waiter - offsetof(slc_session, pauses[0].waiter)));
}

static void on_request_ready(slc_record_waiter *waiter)
{
    slc_session_pump((slc_session *)((char *)waiter - offsetof(slc_session, pauses[1].waiter)));
}

enum slc_parse slc_session_refuse(slc_session *session, enum slc_code code, const char *reason, const char *fmt,
                                  ...)
{
    char text[256];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    slc_fail(&session->why, code, reason, "%s", text);
    return SLC_PARSE_CLOSE;
}

/* ---- what the virtual cluster wants of its clients ---- */

static bool enter_cluster(slc_session *session, slc_vcluster *vcluster)
{
    session->vcluster = slc_vcluster_ref(vcluster);
    session->passthrough = slc_vcluster_takes(vcluster, "passthrough");
    session->allowed = session->passthrough || slc_vcluster_takes(vcluster, "anonymous");
    session->topology =
        slc_topology_get(&session->front->topologies, vcluster->backend, session->passthrough, &session->why);
    if (session->topology == NULL)
        return false;
    if (vcluster->names != NULL) {
        session->view = slc_calloc(1, sizeof *session->view);
        slc_view_init(session->view, vcluster->names, &session->topology->topic_ids);
    }
    slc_series_add(slc_proxy_metrics_of(session->front, vcluster->msg->name)->sessions, 1);
    if (!session->passthrough && !slc_session_take_certificate(session))
        return false;
    session->state = SLC_SESSION_CLIENT;
    session->deadline_ms = slc_monotonic_ms() + session->front->limits->kafka_authentication_timeout_ms;
    return true;
}

/* ---- the client's handshake ---- */

/* "<virtual cluster>.<suffix>" or "b<node>-<virtual cluster>.<suffix>". */
static bool enter_by_name(slc_session *session, const char *name)
{
    const char *suffix = session->entity->msg->sni_suffix;
    size_t len = name != NULL ? strlen(name) : 0, suffix_len = strlen(suffix);
    char label[128];
    if (len <= suffix_len + 1 || strcasecmp(name + len - suffix_len, suffix) != 0 ||
        name[len - suffix_len - 1] != '.' || len - suffix_len - 1 >= sizeof label) {
        slc_session_refuse(session, SLC_NOT_FOUND, "name", "the TLS server name %.100s is not below %.100s",
                           name != NULL ? name : "(none)", suffix);
        return false;
    }
    for (size_t i = 0; i < len - suffix_len - 1; i++)
        label[i] = name[i] >= 'A' && name[i] <= 'Z' ? (char)(name[i] + 32) : name[i];
    label[len - suffix_len - 1] = '\0';
    char *end = label;
    long node = label[0] == 'b' && label[1] >= '0' && label[1] <= '9' ? strtol(label + 1, &end, 10) : -1;
    const char *cluster = node >= 0 && node <= INT32_MAX && *end == '-' ? end + 1 : label;
    session->node = cluster != label ? (int32_t)node : -1;
    size_t count;
    slc_vcluster *const *all = slc_snapshot_vclusters(session->front->worker->snapshot, &count);
    const slc_vcluster *only = session->entity->vcluster; /* NULL: all of the group */
    for (size_t i = 0; i < count; i++)
        if (strcmp(all[i]->msg->name, cluster) == 0 &&
            (only == NULL || strcmp(all[i]->msg->id, only->msg->id) == 0))
            return enter_cluster(session, all[i]);
    slc_session_refuse(session, SLC_NOT_FOUND, "name", "there is no virtual cluster %s here", cluster);
    return false;
}

static bool enter(slc_session *session)
{
    bool sni = strcmp(session->entity->msg->kafka_routing, "sni") == 0;
    if (sni)
        return enter_by_name(session, SSL_get_servername(session->client.ssl, TLSEXT_NAMETYPE_host_name));
    return enter_cluster(session, session->entity->vcluster);
}

/* Whoever does not begin with a TLS handshake gets no alert: some Kafka clients would read it as the length of
 * a frame and want so much memory. Results as those of shake_hands. */
static int check_hello(slc_session *session)
{
    uint8_t first;
    ssize_t got = recv(session->client.fd, &first, 1, MSG_PEEK);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        slc_end_want_read(&session->client, true);
        return 0;
    }
    session->greeted = true;
    if (got == 0) /* a port check */
        return -1;
    if (got == 1 && first != TLS_HANDSHAKE) {
        slc_session_refuse(session, SLC_INVALID, "tls",
                           "the client does not speak TLS, which the listener wants");
        return -1;
    }
    return 1;
}

/* 1: done; 0: later; -1: closed. */
static int shake_hands(slc_session *session)
{
    int hello = session->greeted ? 1 : check_hello(session);
    if (hello <= 0)
        return hello;
    ERR_clear_error();
    int done = SSL_accept(session->client.ssl);
    if (done == 1)
        return enter(session) ? 1 : -1;
    int why = SSL_get_error(session->client.ssl, done);
    if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE) {
        slc_end_want_read(&session->client, true);
        slc_end_want_write(&session->client, why == SSL_ERROR_WANT_WRITE);
        return 0;
    }
    unsigned long code = ERR_get_error();
    slc_session_refuse(session, SLC_UNAUTHENTICATED, "tls", "the TLS handshake failed: %s",
                       code != 0 ? ERR_reason_error_string(code) : "the client closed the connection");
    ERR_clear_error();
    return -1;
}

slc_session *slc_session_new(slc_proxy_listener *listener, int fd, int32_t node, const char *address)
{
    slc_proxy_front *front = listener->front;
    slc_session *session = slc_calloc(1, sizeof *session);
    session->magic = SLC_SESSION_MAGIC;
    session->front = front;
    session->listener = listener;
    session->entity = slc_listener_ref(listener->entity);
    session->node = node;
    session->key = session->version = -1;
    session->memory.ready = on_memory;
    session->pauses[false].waiter =
        (slc_record_waiter){.ready = on_answer_ready, .mailbox = slc_loop_mailbox(front->worker->loop)};
    session->pauses[true].waiter =
        (slc_record_waiter){.ready = on_request_ready, .mailbox = slc_loop_mailbox(front->worker->loop)};
    session->opened_ms = slc_wall_ms();
    session->active_ms = slc_monotonic_ms();
    session->deadline_ms = slc_monotonic_ms() + front->limits->kafka_authentication_timeout_ms;
    snprintf(session->address, sizeof session->address, "%s", address);
    slc_end_init(&session->client, SLC_SESSION_OUT_MAX);
    slc_end_init(&session->broker, SLC_SESSION_OUT_MAX);
    session->client.stranger = true;
    session->round = front->round;
    SSL *ssl = listener->tls != NULL ? slc_tls_accept(listener->tls) : NULL;
    if (ssl != NULL)
        SSL_set_fd(ssl, fd);
    slc_end_attach(&session->client, front->base, fd, ssl, on_client, on_client, session);
    TAILQ_INSERT_TAIL(&front->sessions, session, entry);
    return session;
}

/* ---- the end ---- */

void slc_session_close(slc_session *session)
{
    slc_proxy_front *front = session->front;
    SLC_CHECK_MAGIC(session, SLC_SESSION_MAGIC);
    slc_session_log_end(session);
    if (session->dial != NULL)
        slc_dial_cancel(session->dial);
    if (session->vcluster != NULL && session->topology != NULL)
        slc_series_add(slc_proxy_metrics_of(front, session->vcluster->msg->name)->sessions, -1);
    slc_pool_unwait(&front->pool, &session->memory);
    TAILQ_REMOVE(&front->sessions, session, entry);
    slc_proxy_stranger_gone(session);
    slc_headcount_give(front->worker->headcount, session->of_listener);
    slc_headcount_give(front->worker->headcount, session->of_address);
    slc_end_release(&session->client, &front->pool);
    slc_end_release(&session->broker, &front->pool);
    if (session->view != NULL) {
        slc_view_release(session->view);
        free(session->view);
    }
    slc_session_unlimit(session);
    slc_record_pause_end(&session->pauses[false]);
    slc_record_pause_end(&session->pauses[true]);
    slc_access_free(session->access);
    slc_session_forget_stream(session);
    slc_usage_follow_end(session);
    slc_proxy_spans_end(session);
    free(session->follow);
    if (session->topology != NULL) {
        slc_topology_unwait(session->topology, &session->asking);
        slc_topology_unref(session->topology);
    }
    slc_session_forget_intake(session);
    slc_session_forget_sasl(session);
    slc_token_unref(session->token);
    slc_flights_release(&session->flights);
    free(session->shown);
    free(session->guess);
    slc_vcluster_unref(session->renamed);
    slc_vcluster_unref(session->vcluster);
    slc_listener_unref(session->entity);
    session->magic = 0;
    free(session);
    slc_proxy_front_left(front);
}

/* ---- towards the broker ---- */

static void on_dialled(void *ctx, const slc_dialled *dialled, const slc_error *err)
{
    slc_session *session = ctx;
    SLC_CHECK_MAGIC(session, SLC_SESSION_MAGIC);
    session->dial = NULL;
    if (dialled == NULL) {
        bool unreachable = err->code == SLC_UNAVAILABLE || err->code == SLC_TIMEOUT;
        if (unreachable && !session->passthrough) /* it may be elsewhere now: the next one asks */
            slc_topology_forget(session->topology, session->node);
        session->why = *err;
        snprintf(session->why.field, sizeof session->why.field, "broker");
        slc_session_close(session);
        return;
    }
    slc_end_attach(&session->broker, session->front->base, dialled->fd, dialled->ssl, on_broker, on_broker,
                   session);
    slc_topology_narrow(session->topology, dialled);
    if (session->shown != NULL && !slc_versions_cover(dialled->versions, session->shown)) {
        slc_session_refuse(
            session, SLC_UNSUPPORTED, "versions",
            "the broker offers less than the client was told; its next connection is told the truth");
        slc_session_close(session);
        return;
    }
    session->state = SLC_SESSION_READY;
    slc_session_pump(session);
}

static bool dial(slc_session *session, slc_error *err)
{
    char host[256];
    const slc_node *node = session->node >= 0 ? slc_topology_node(session->topology, session->node) : NULL;
    slc_dial_options options = {.base = session->front->base,
                                .dns = session->front->dns,
                                .backend = session->vcluster->backend,
                                .tls = session->topology->tls,
                                .authenticate = !session->passthrough,
                                .timeout_ms = session->front->limits->kafka_connect_timeout_ms};
    if (node != NULL) {
        snprintf(host, sizeof host, "%s", node->host);
        options.port = node->port;
    } else if (session->node >= 0 && !session->passthrough) {
        return slc_fail(err, SLC_NOT_FOUND, "node", "the backend has no node %d", session->node);
    } else if (!slc_topology_bootstrap(session->topology, host, &options.port, err)) {
        return false;
    }
    if (session->node >= 0)
        session->guess = slc_asprintf("%s:%u", host, options.port);
    options.host = host;
    session->state = SLC_SESSION_DIALLING;
    session->dial = slc_dial_start(&options, on_dialled, session);
    return true;
}

static void on_topology(slc_topology_waiter *waiter, const slc_error *err)
{
    slc_session *session = (slc_session *)((char *)waiter - offsetof(slc_session, asking));
    SLC_CHECK_MAGIC(session, SLC_SESSION_MAGIC);
    bool wanted = session->state == SLC_SESSION_ASKING;
    if (err != NULL) {
        session->why = *err;
        snprintf(session->why.field, sizeof session->why.field, "broker");
    }
    if (err != NULL || (wanted && !dial(session, &session->why))) {
        slc_session_close(session);
        return;
    }
    slc_session_pump(session);
}

void slc_session_ask(slc_session *session)
{
    if (session->asking.waiting)
        return;
    session->asking.ready = on_topology;
    slc_topology_ask(session->topology, &session->asking);
}

bool slc_session_connect(slc_session *session, slc_error *err)
{
    if (session->state != SLC_SESSION_CLIENT)
        return true;
    bool unknown = session->node >= 0 && slc_topology_node(session->topology, session->node) == NULL;
    if (session->topology->known && !(unknown && !session->passthrough))
        return dial(session, err);
    session->state = SLC_SESSION_ASKING;
    slc_session_ask(session);
    return true;
}

void slc_session_pump(slc_session *session)
{
    SLC_CHECK_MAGIC(session, SLC_SESSION_MAGIC);
    if (!slc_session_apply(session)) /* nothing is done by rules that hold no more */
        return;
    if (session->intake != NULL) {
        int taken = slc_session_intake(session);
        if (taken < 0)
            slc_session_close(session);
        if (taken <= 0)
            return;
    }
    if (session->vcluster == NULL) {
        bool plain = session->client.ssl == NULL;
        int done = plain ? (enter(session) ? 1 : -1) : shake_hands(session);
        if (done < 0)
            slc_session_close(session);
        if (done <= 0)
            return;
        slc_end_want_write(&session->client, false);
    }
    if (session->state == SLC_SESSION_LINGER) {
        slc_session_drain_broker(session);
        return;
    }
    slc_session_move(session);
}

/* ---- time and configuration ---- */

void slc_session_cut_off(slc_session *session)
{
    if (session->cut_off || session->state == SLC_SESSION_LINGER)
        return;
    session->cut_off = true;
    session->deadline_ms = slc_monotonic_ms() + session->front->limits->kafka_cut_off_grace_ms;
    slc_session_refuse(session, SLC_UNAVAILABLE, SLC_ENDING_STALE,
                       "the configuration is older than the group allows");
    if (slc_session_settled(session))
        slc_session_close(session);
}

/* It may authenticate again (KIP-368), also after a while of silence, as with Kafka; but not for ever. */
static void tick_expired(slc_session *session, int64_t now_ms)
{
    if (!session->expired) {
        session->expired = true;
        session->deadline_ms = now_ms + session->front->limits->kafka_expiry_grace_ms;
    } else if (now_ms >= session->deadline_ms) {
        slc_session_refuse(session, SLC_DENIED, "expired", EXPIRED);
        slc_session_close(session);
    }
}

enum slc_parse slc_session_end_expired(slc_session *session)
{
    session->cut_off = true;
    session->deadline_ms = slc_monotonic_ms() + session->front->limits->kafka_expiry_grace_ms;
    slc_session_refuse(session, SLC_DENIED, "expired", EXPIRED);
    return slc_session_settled(session) ? SLC_PARSE_CLOSE : SLC_PARSE_WAIT;
}

/* Does something wait for a policy for too long? Then it goes on without. */
static bool waits_too_long(const slc_session *session, int64_t now_ms)
{
    for (int i = 0; i < 2; i++)
        if (session->pauses[i].until_ms != 0 && session->pauses[i].until_ms <= now_ms)
            return true;
    return false;
}

void slc_session_tick(slc_session *session, int64_t now_ms)
{
    bool early = session->vcluster == NULL || !session->allowed;
    int64_t idle_ms = session->front->limits->kafka_idle_timeout_ms;
    if (session->state == SLC_SESSION_LINGER) {
        if (now_ms >= session->deadline_ms)
            slc_session_close(session);
    } else if (session->cut_off) {
        if (now_ms >= session->deadline_ms)
            slc_session_close(session);
    } else if (session->renamed != NULL && !slc_session_rename(session) && now_ms >= session->rename_until_ms) {
        slc_session_refuse(session, SLC_DENIED, "configuration",
                           "its virtual cluster changed and a request was not answered in time");
        slc_session_close(session);
    } else if (early && now_ms >= session->deadline_ms) {
        slc_session_refuse(session, SLC_TIMEOUT, "authentication", "the client did not authenticate in time");
        slc_session_close(session);
    } else if (waits_too_long(session, now_ms)) {
        slc_session_pump(session);
    } else if (session->state == SLC_SESSION_CLIENT && now_ms - session->active_ms >= idle_ms) {
        slc_session_close(session); /* with a broker, it is the broker that tells idle clients to go */
    } else if (session->expires_ms != 0 && session->expires_ms <= slc_wall_ms()) {
        tick_expired(session, now_ms);
    } else if (session->front->draining && slc_session_settled(session) &&
               session->client.start == session->client.stop) {
        slc_session_close(session);
    }
}

static slc_vcluster *cluster_now(const slc_session *session, const slc_snapshot *snapshot)
{
    size_t count;
    slc_vcluster *const *all = slc_snapshot_vclusters(snapshot, &count);
    for (size_t i = 0; i < count; i++)
        if (strcmp(all[i]->msg->id, session->vcluster->msg->id) == 0)
            return all[i];
    return NULL;
}

/* What clients are told is as it is configured now. False: this one was let in by other rules, or to another
 * virtual cluster. */
static bool follow_listener(slc_session *session)
{
    slc_listener *now = session->listener->entity, *then = session->entity;
    if (now == then)
        return true;
    if (slc_listener_admits_otherwise(now, then) ||
        strcmp(now->msg->virtual_cluster_id, then->msg->virtual_cluster_id) != 0)
        return false;
    session->entity = slc_listener_ref(now);
    slc_listener_unref(then);
    return true;
}

static bool close_it(slc_session *session)
{
    slc_session_close(session);
    return false;
}

/* Is the certificate still the application's, by what the listener lists now? Where it lists nothing somebody
 * else could make it match two, which is no reason to end what is open. */
static bool is_matched(const slc_session *session, const slc_snapshot *snapshot)
{
    const slc_listener *listener = session->entity;
    slc_principal principal = {0};
    bool by_certificate = session->principal.by != NULL && strcmp(session->principal.by, "mtls") == 0;
    const slc_certificate *certificate = by_certificate ? slc_certificate_of(session->client.ssl) : NULL;
    if (certificate == NULL || listener->msg->n_client_identity == 0)
        return true;
    enum slc_credential_answer answer =
        slc_credential_of_certificate(snapshot, listener, certificate, &principal);
    return answer == SLC_CREDENTIAL_EXPIRED || /* which ends by itself */
           (answer == SLC_CREDENTIAL_GOOD &&
            strcmp(principal.application_id, session->principal.application_id) == 0);
}

bool slc_session_apply(slc_session *session)
{
    slc_snapshot *snapshot = session->front->worker->snapshot;
    if (session->round == session->front->round)
        return true;
    session->round = session->front->round;
    if (session->vcluster == NULL || session->state == SLC_SESSION_LINGER)
        return (session->listener != NULL && follow_listener(session)) || close_it(session);
    slc_vcluster *now = cluster_now(session, snapshot);
    if (session->listener == NULL)
        slc_session_refuse(session, SLC_DENIED, "configuration", "its listener is gone or has moved");
    else if (!follow_listener(session))
        slc_session_refuse(session, SLC_DENIED, "configuration", "its listener admits clients otherwise now");
    else if (now == NULL || !slc_session_will_rename(session, now))
        slc_session_refuse(session, SLC_DENIED, "configuration", "its virtual cluster or backend changed");
    else if (session->principal.authenticated && !slc_credential_alive(snapshot, &session->principal))
        slc_session_refuse(session, SLC_DENIED, "revoked", "its credential or subscription is gone");
    else if (!is_matched(session, snapshot))
        slc_session_refuse(session, SLC_DENIED, "revoked", "its certificate is matched by something else now");
    else if (slc_session_rights_changed(session, snapshot))
        return true;
    return close_it(session);
}
