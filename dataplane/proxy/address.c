/* Brokers' addresses in answers become the gateway's own. Node ids stay. */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "dataplane/proxy/session_private.h"

#define ADDRESSES     (SLC_KAFKA_WANT(SLC_KAFKA_ROLE_HOST) | SLC_KAFKA_WANT(SLC_KAFKA_ROLE_PORT))
#define WANTED        (ADDRESSES | SLC_KAFKA_WANT(SLC_KAFKA_ROLE_BROKER_ID))
#define WHOLE         (SLC_KAFKA_WANT(SLC_KAFKA_ROLE_SUBSCRIPTION) | SLC_KAFKA_WANT(SLC_KAFKA_ROLE_ASSIGNMENT))
#define UNSERVED      "not-served-by-the-gateway.invalid"
#define UNSERVED_PORT 9 /* discard */
#define MAX_VERSIONS  24

bool slc_address_in(int key, int version)
{
    /* 0: not looked at yet; 1: no; 2: yes. Each worker may find it out for itself; the answer is the same. */
    static uint8_t known[SLC_KAFKA_KEYS][MAX_VERSIONS];
    if (version >= MAX_VERSIONS)
        return true;
    uint8_t is = __atomic_load_n(&known[key][version], __ATOMIC_RELAXED);
    if (is == 0) {
        is = (slc_kafka_message_roles(slc_kafka_apis[key].response, version) & ADDRESSES) != 0 ? 2 : 1;
        __atomic_store_n(&known[key][version], is, __ATOMIC_RELAXED);
    }
    return is == 2;
}

struct mapping {
    slc_session *session;
    int key;
    int64_t throttle_ms;
    slc_view_answer names;
    int32_t node;
    char real_host[256];
    size_t real_len;
    char host[300];
    uint16_t port;
};

/* Where clients reach the gateway when the configuration does not say: as this one did. */
static void own_host(const slc_session *session, char *out, size_t size)
{
    struct sockaddr_storage local = {0};
    socklen_t len = sizeof local;
    char text[INET6_ADDRSTRLEN] = "127.0.0.1";
    const char *name =
        session->client.ssl != NULL ? SSL_get_servername(session->client.ssl, TLSEXT_NAMETYPE_host_name) : NULL;
    if (session->entity->msg->advertised_host[0] != '\0')
        name = session->entity->msg->advertised_host;
    if (name != NULL) {
        snprintf(out, size, "%s", name);
        return;
    }
    getsockname(session->client.fd, (struct sockaddr *)&local, &len);
    if (local.ss_family == AF_INET)
        inet_ntop(AF_INET, &((const struct sockaddr_in *)&local)->sin_addr, text, sizeof text);
    else if (local.ss_family == AF_INET6)
        inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)&local)->sin6_addr, text, sizeof text);
    snprintf(out, size, "%s", text);
}

static bool port_of(const slc_session *session, int32_t node, uint16_t *port)
{
    const Sluice__Snapshot__V1__Listener *msg = session->entity->msg;
    for (size_t i = 0; i < msg->n_port_ranges; i++) {
        const Sluice__Snapshot__V1__PortRange *range = msg->port_ranges[i];
        if (node >= range->first_node_id && node <= range->last_node_id) {
            *port = (uint16_t)(range->port_base + (uint32_t)(node - range->first_node_id));
            return true;
        }
    }
    return false;
}

/* Every answer with its address says so: one line in an interval is enough. */
static void tell_unserved(const slc_session *session, int32_t node)
{
    int64_t now_ms = slc_monotonic_ms(), interval_ms = session->front->limits->kafka_log_interval_ms;
    slc_proxy_listener *listener = session->listener;
    if (listener != NULL && listener->unserved_told_ms != 0 &&
        now_ms - listener->unserved_told_ms < interval_ms)
        return;
    if (listener != NULL)
        listener->unserved_told_ms = now_ms;
    slc_log(SLC_LOG_ERROR, "a broker has no port here: add its node id to the listener's port_ranges",
            LS("listener", session->entity->msg->name), LI("node", (int64_t)node));
}

/* What a client is told of the node. */
static void place(struct mapping *mapping)
{
    const slc_session *session = mapping->session;
    const Sluice__Snapshot__V1__Listener *msg = session->entity->msg;
    if (strcmp(msg->kafka_routing, "sni") == 0) {
        snprintf(mapping->host, sizeof mapping->host, "b%d-%s.%s", mapping->node, session->vcluster->msg->name,
                 msg->sni_suffix);
        mapping->port = msg->advertised_port != 0   ? (uint16_t)msg->advertised_port
                        : session->listener != NULL ? session->listener->port
                                                    : 0;
        return;
    }
    own_host(session, mapping->host, sizeof mapping->host);
    if (port_of(session, mapping->node, &mapping->port))
        return;
    tell_unserved(session, mapping->node);
    snprintf(mapping->host, sizeof mapping->host, "%s", UNSERVED);
    mapping->port = UNSERVED_PORT;
}

static void learn(struct mapping *mapping, int32_t port)
{
    slc_session *session = mapping->session;
    char dialled[300];
    slc_topology_learn(session->topology, mapping->node, mapping->real_host, mapping->real_len, port);
    if (session->guess == NULL || mapping->node != session->node)
        return;
    snprintf(dialled, sizeof dialled, "%.*s:%d", (int)mapping->real_len, mapping->real_host, port);
    session->misplaced = strcmp(dialled, session->guess) != 0;
}

static enum slc_kafka_verdict map_host(struct mapping *mapping, const slc_kafka_event *event,
                                       slc_kafka_value *out)
{
    if (mapping->node < 0 || event->data == NULL || event->len == 0 || event->len >= sizeof mapping->real_host)
        return SLC_KAFKA_KEEP; /* "no coordinator" has an empty host */
    memcpy(mapping->real_host, event->data, event->len);
    mapping->real_len = event->len;
    place(mapping);
    out->body = (slc_kafka_span){mapping->host, strlen(mapping->host)};
    return SLC_KAFKA_REPLACE;
}

/* Once, also in an answer that had to wait and is begun anew. */
static void count_error(slc_session *session, int key, const slc_kafka_event *event)
{
    if (event->at < session->errors_from)
        return;
    session->errors_from = event->at + 1;
    slc_session_count_error(session, key, (int16_t)event->number);
}

/* Node, host, port come in this order in every message that has them. */
static enum slc_kafka_verdict map(void *ctx, const slc_kafka_event *event, slc_kafka_value *out, slc_error *err)
{
    struct mapping *mapping = ctx;
    if (event->kind == SLC_KAFKA_EV_VALUE && event->field->role == SLC_KAFKA_ROLE_ERROR_CODE) {
        count_error(mapping->session, mapping->key, event);
        if (mapping->session->view == NULL)
            return SLC_KAFKA_KEEP;
    }
    if (event->kind == SLC_KAFKA_EV_VALUE && event->field->role == SLC_KAFKA_ROLE_THROTTLE) {
        out->number = event->number > mapping->throttle_ms ? event->number : mapping->throttle_ms;
        return SLC_KAFKA_REPLACE;
    }
    if ((WANTED & SLC_KAFKA_WANT(event->field->role)) == 0)
        return slc_view_unmap(&mapping->names, event, out, err);
    switch (event->field->role) {
    case SLC_KAFKA_ROLE_BROKER_ID:
        if ((event->field->flags & SLC_KAFKA_FIELD_ARRAY) == 0) {
            mapping->node = (int32_t)event->number;
            mapping->real_len = 0;
        }
        return SLC_KAFKA_KEEP;
    case SLC_KAFKA_ROLE_HOST:
        return map_host(mapping, event, out);
    default:
        if (mapping->real_len == 0)
            return SLC_KAFKA_KEEP;
        learn(mapping, (int32_t)event->number);
        mapping->real_len = 0;
        out->number = mapping->port;
        return SLC_KAFKA_REPLACE;
    }
}

/* All of it at once. */
static enum slc_kafka_step rewrite(struct mapping *mapping, const slc_flight *flight, const uint8_t *body,
                                   size_t len, const slc_kafka_rewrite_ops *ops, slc_kafka_edits *edits,
                                   slc_error *err)
{
    slc_kafka_rewriter rewriter;
    if (!slc_kafka_rewriter_init(&rewriter, slc_kafka_apis[flight->key].response, flight->version, len, ops,
                                 mapping, edits, err))
        return SLC_KAFKA_FAILED;
    slc_kafka_rewriter_feed(&rewriter, body, len);
    return slc_kafka_rewriter_run(&rewriter, err);
}

enum slc_kafka_step slc_address_rewrite(slc_session *session, const slc_flight *flight, const uint8_t *body,
                                        size_t len, slc_kafka_edits *edits, slc_error *err)
{
    struct mapping mapping = {.session = session, .key = flight->key, .node = -1};
    uint64_t more = SLC_KAFKA_WANT(SLC_KAFKA_ROLE_ERROR_CODE), denied = 0;
    mapping.names = (slc_view_answer){.view = session->view,
                                      .key = flight->key,
                                      .version = flight->version,
                                      .consumer = flight->consumer,
                                      .denied = flight->denied,
                                      .body = body,
                                      .len = len};
    const bool records = session->view != NULL && slc_view_changes_records(session->view, flight->key);
    mapping.names.edits = records ? edits : NULL;
    if (records)
        more |= SLC_KAFKA_WANT(SLC_KAFKA_ROLE_RECORDS) | SLC_KAFKA_WANT(SLC_KAFKA_ROLE_NONE);
    mapping.throttle_ms = slc_session_throttle_ms(session);
    if (session->view != NULL && !slc_view_look_ahead(&mapping.names, flight->version, body, len, &denied, err))
        return SLC_KAFKA_FAILED;
    if (mapping.throttle_ms > 0)
        more |= SLC_KAFKA_WANT(SLC_KAFKA_ROLE_THROTTLE);
    const slc_kafka_rewrite_ops ops = {
        .roles = WANTED | more | denied | (session->view != NULL ? slc_view_answer_roles(flight->key) : 0),
        .whole = WHOLE | (records ? SLC_KAFKA_WANT(SLC_KAFKA_ROLE_RECORDS) : 0),
        .map = map};
    return rewrite(&mapping, flight, body, len, &ops, edits, err);
}
