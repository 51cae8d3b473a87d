#include "dataplane/proxy/topology.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/clock.h"
#include "common/log.h"
#include "dataplane/broker/backend_tls.h"
#include "dataplane/proxy/question.h"

#define MAX_FEATURES_BYTES (256u * 1024)

static void try_next(slc_topology *topology);

void slc_topologies_init(slc_topologies *all, struct event_base *base, struct evdns_base *dns,
                         int64_t timeout_ms)
{
    *all = (slc_topologies){.base = base, .dns = dns, .timeout_ms = timeout_ms};
    TAILQ_INIT(&all->list);
}

void slc_topologies_release(slc_topologies *all)
{
    SLC_BUG_ON(!TAILQ_EMPTY(&all->list));
}

static slc_topology *find(slc_topologies *all, const slc_backend *backend, bool with_credentials)
{
    slc_topology *topology;
    TAILQ_FOREACH (topology, &all->list, entry) {
        if (topology->with_credentials == with_credentials &&
            memcmp(topology->backend->digest, backend->digest, sizeof backend->digest) == 0)
            return topology;
    }
    return NULL;
}

slc_topology *slc_topology_get(slc_topologies *all, slc_backend *backend, bool passthrough, slc_error *err)
{
    slc_topology *topology = find(all, backend, !passthrough);
    if (topology != NULL)
        return slc_topology_ref(topology);
    SSL_CTX *tls = NULL;
    const Sluice__Snapshot__V1__ClientTls *settings = backend->msg->tls;
    if (settings != NULL && settings->enabled && (tls = slc_backend_tls_new(settings, err)) == NULL)
        return NULL;
    topology = slc_calloc(1, sizeof *topology);
    slc_topic_ids_init(&topology->topic_ids, SLC_TOPOLOGY_MAX_TOPICS);
    topology->refs = 1;
    topology->all = all;
    topology->backend = slc_backend_ref(backend);
    topology->tls = tls;
    topology->with_credentials = !passthrough;
    slc_buf_init(&topology->features, MAX_FEATURES_BYTES);
    TAILQ_INIT(&topology->waiters);
    TAILQ_INSERT_TAIL(&all->list, topology, entry);
    return topology;
}

slc_topology *slc_topology_ref(slc_topology *topology)
{
    topology->refs++;
    return topology;
}

void slc_topology_unref(slc_topology *topology)
{
    if (topology == NULL || --topology->refs > 0)
        return;
    SLC_BUG_ON(!TAILQ_EMPTY(&topology->waiters));
    if (topology->dial != NULL)
        slc_dial_cancel(topology->dial);
    slc_question_free(topology->question);
    TAILQ_REMOVE(&topology->all->list, topology, entry);
    slc_backend_unref(topology->backend);
    SSL_CTX_free(topology->tls);
    slc_buf_release(&topology->features);
    slc_topic_ids_release(&topology->topic_ids);
    free(topology->nodes);
    free(topology);
}

/* ---- asking ---- */

static void tell(slc_topology *topology, const slc_error *err)
{
    slc_topology_ref(topology); /* a waiter may let go of the last reference */
    slc_topology_waiter *waiter;
    while ((waiter = TAILQ_FIRST(&topology->waiters)) != NULL) {
        slc_topology_unwait(topology, waiter);
        waiter->ready(waiter, err);
    }
    slc_topology_unref(topology);
}

static void give_up(slc_topology *topology, const slc_error *err)
{
    if (topology->tried < topology->backend->msg->n_bootstrap_servers) {
        try_next(topology);
        return;
    }
    slc_log_error(SLC_LOG_WARN, "a backend cannot be asked for its brokers", err);
    tell(topology, err);
}

static void on_answer(void *ctx, const slc_kafka_metadata *metadata, const slc_error *err)
{
    slc_topology *topology = ctx;
    topology->question = NULL;
    if (metadata == NULL) {
        give_up(topology, err);
        return;
    }
    for (size_t i = 0; i < metadata->n_brokers; i++) {
        const slc_kafka_broker *broker = &metadata->brokers[i];
        slc_topology_learn(topology, broker->id, broker->host, strlen(broker->host), broker->port);
    }
    memcpy(topology->cluster_id, metadata->cluster_id, sizeof topology->cluster_id);
    topology->answered_ms = slc_monotonic_ms();
    topology->known = true;
    tell(topology, NULL);
}

static void on_dialled(void *ctx, const slc_dialled *dialled, const slc_error *err)
{
    slc_topology *topology = ctx;
    topology->dial = NULL;
    if (dialled == NULL) {
        give_up(topology, err);
        return;
    }
    slc_topology_narrow(topology, dialled);
    if (topology->with_credentials) {
        topology->question = slc_question_ask(topology->all->base, dialled->fd, dialled->ssl, dialled->versions,
                                              topology->all->timeout_ms, on_answer, topology);
        return;
    }
    slc_question_close(dialled->fd, dialled->ssl);
    topology->known = true;
    tell(topology, NULL);
}

static void try_next(slc_topology *topology)
{
    slc_error err;
    slc_dial_options options = {.base = topology->all->base,
                                .dns = topology->all->dns,
                                .backend = topology->backend,
                                .tls = topology->tls,
                                .authenticate = topology->with_credentials,
                                .timeout_ms = topology->all->timeout_ms};
    char host[256];
    topology->tried++;
    options.host = host;
    if (!slc_topology_bootstrap(topology, host, &options.port, &err)) {
        tell(topology, &err);
        return;
    }
    topology->dial = slc_dial_start(&options, on_dialled, topology);
}

void slc_topology_ask(slc_topology *topology, slc_topology_waiter *waiter)
{
    waiter->waiting = true;
    TAILQ_INSERT_TAIL(&topology->waiters, waiter, entry);
    if (topology->dial != NULL || topology->question != NULL)
        return;
    topology->tried = 0;
    try_next(topology);
}

void slc_topology_unwait(slc_topology *topology, slc_topology_waiter *waiter)
{
    if (!waiter->waiting)
        return;
    waiter->waiting = false;
    TAILQ_REMOVE(&topology->waiters, waiter, entry);
}

/* ---- nodes ---- */

static slc_node *find_node(const slc_topology *topology, int32_t id)
{
    for (size_t i = 0; i < topology->count; i++)
        if (topology->nodes[i].id == id)
            return &topology->nodes[i];
    return NULL;
}

const slc_node *slc_topology_node(const slc_topology *topology, int32_t id)
{
    return find_node(topology, id);
}

void slc_topology_learn(slc_topology *topology, int32_t id, const char *host, size_t host_len, int32_t port)
{
    slc_node *node = find_node(topology, id);
    if (id < 0 || host_len == 0 || host_len > 255 || port < 1 || port > 65535)
        return;
    if (node != NULL && node->port == port && strlen(node->host) == host_len &&
        memcmp(node->host, host, host_len) == 0)
        return;
    if (node == NULL) {
        if (topology->count == SLC_TOPOLOGY_MAX_NODES)
            return;
        if (topology->count == topology->cap) {
            topology->cap = topology->cap == 0 ? 8 : topology->cap * 2;
            topology->nodes = slc_realloc(topology->nodes, topology->cap * sizeof *topology->nodes);
        }
        node = &topology->nodes[topology->count++];
        node->id = id;
    }
    node->port = (uint16_t)port;
    memcpy(node->host, host, host_len);
    node->host[host_len] = '\0';
}

void slc_topology_forget(slc_topology *topology, int32_t id)
{
    slc_node *node = find_node(topology, id);
    if (node != NULL)
        *node = topology->nodes[--topology->count];
}

bool slc_topology_bootstrap(slc_topology *topology, char host[256], uint16_t *port, slc_error *err)
{
    size_t count = topology->backend->msg->n_bootstrap_servers;
    for (size_t i = 0; i < count; i++) {
        const char *address = topology->backend->msg->bootstrap_servers[topology->next_bootstrap++ % count];
        if (slc_dial_parse(address, host, port))
            return true;
    }
    return slc_fail(err, SLC_INVALID, "/bootstrap_servers", "the backend %s has no usable bootstrap servers",
                    topology->backend->msg->name);
}

/* ---- versions ---- */

static void narrow(slc_kafka_api_versions *all, const slc_kafka_api_versions *versions)
{
    for (size_t key = 0; key < SLC_KAFKA_KEYS; key++) {
        if (versions->of[key].min > all->of[key].min)
            all->of[key].min = versions->of[key].min;
        if (versions->of[key].max < all->of[key].max)
            all->of[key].max = versions->of[key].max;
    }
}

void slc_topology_narrow(slc_topology *topology, const slc_dialled *dialled)
{
    const slc_kafka_api_versions *versions = dialled->versions;
    int64_t now_ms = slc_monotonic_ms();
    slc_buf_clear(&topology->features);
    (void)slc_buf_add(&topology->features, dialled->features->data, dialled->features->len);
    if (!topology->known)
        topology->versions = *versions;
    else if (topology->lately_ms != 0 && now_ms - topology->lately_ms >= SLC_TOPOLOGY_LATELY_MS)
        topology->versions = topology->lately;
    if (!topology->known || topology->lately_ms == 0 ||
        now_ms - topology->lately_ms >= SLC_TOPOLOGY_LATELY_MS) {
        topology->lately = *versions;
        topology->lately_ms = now_ms;
    }
    narrow(&topology->versions, versions);
    narrow(&topology->lately, versions);
}

bool slc_versions_cover(const slc_kafka_api_versions *versions, const slc_kafka_api_versions *shown)
{
    for (size_t key = 0; key < SLC_KAFKA_KEYS; key++) {
        if (shown->of[key].min > shown->of[key].max || key == SLC_KAFKA_API_VERSIONS_KEY)
            continue;
        if (versions->of[key].min > shown->of[key].min || versions->of[key].max < shown->of[key].max)
            return false;
    }
    return true;
}
