/* Metrics of native sessions. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "dataplane/proxy/front_private.h"

static const slc_metric metrics[] = {
    {"sluice_kafka_sessions", SLC_GAUGE, "Open native Kafka sessions", {"virtual_cluster"}, 1000, NULL},
    {"sluice_kafka_requests_total",
     SLC_COUNTER,
     "Requests of native Kafka clients",
     {"virtual_cluster", "api"},
     20000,
     NULL},
    {"sluice_kafka_request_bytes_total",
     SLC_COUNTER,
     "Bytes of these requests",
     {"virtual_cluster", "api"},
     20000,
     NULL},
    {"sluice_kafka_response_bytes_total",
     SLC_COUNTER,
     "Bytes of their answers",
     {"virtual_cluster", "api"},
     20000,
     NULL},
    {"sluice_kafka_broker_seconds",
     SLC_HISTOGRAM,
     "From a request's last byte to the answer's first, as seen from the gateway",
     {"virtual_cluster", "api"},
     20000,
     NULL},
    {"sluice_kafka_shadowed_topics_total",
     SLC_COUNTER,
     "Topics of a namespace that answers left out because an alias or an extra topic has their name",
     {"virtual_cluster"},
     1000,
     NULL},
    {"sluice_kafka_gateway_seconds",
     SLC_HISTOGRAM,
     "What the gateway added: a request's wait before it went on, and from the answer's first byte to its last "
     "on the way to the client",
     {"virtual_cluster", "api"},
     20000,
     NULL},
    {"sluice_kafka_errors_total",
     SLC_COUNTER,
     "Requests and answers for which the gateway ended the session, by cause",
     {"virtual_cluster", "api", "reason"},
     20000,
     NULL},
    {"sluice_kafka_answer_errors_total",
     SLC_COUNTER,
     "Error codes (Kafka's numbers) in brokers' answers: all that are in answers which name brokers, topics or "
     "groups, of others that of the answer as a whole",
     {"virtual_cluster", "api", "code"},
     20000,
     NULL},
    {"sluice_kafka_denied_total",
     SLC_COUNTER,
     "What native clients were not allowed, by kind of resource; a name that a session asks for again is not "
     "counted "
     "again",
     {"virtual_cluster", "api", "resource"},
     20000,
     NULL},
    {"sluice_kafka_throttled_total",
     SLC_COUNTER,
     "Times that a session was not read from because of a limit",
     {"virtual_cluster"},
     1000,
     NULL},
    {"sluice_kafka_proxy_headers_total",
     SLC_COUNTER,
     "PROXY protocol headers: taken, local (the balancer's own connection) or refused",
     {"result"},
     10,
     NULL},
    {"sluice_kafka_unauthenticated_sessions",
     SLC_GAUGE,
     "Native sessions whose client has not authenticated yet",
     {NULL},
     1,
     NULL},
    {"sluice_kafka_connections_refused_total",
     SLC_COUNTER,
     "Native connections that were closed at once, by listener and by what has enough of them: the worker, the "
     "listener or the client's address",
     {"listener", "reason"},
     1000,
     NULL},
    {"sluice_kafka_accept_pauses_total",
     SLC_COUNTER,
     "Times that a worker stopped to accept native connections for a while: too many have not authenticated, "
     "or "
     "the system gives no more",
     {"reason"},
     2,
     NULL},
    {"sluice_kafka_sessions_closed_total",
     SLC_COUNTER,
     "Sessions that the gateway ended, by cause",
     {"reason"},
     100,
     NULL},
    {0},
};

void slc_proxy_register_metrics(void)
{
    slc_metrics_register(metrics);
}

slc_proxy_cluster_metrics *slc_proxy_metrics_of(slc_proxy_front *front, const char *virtual_cluster)
{
    slc_proxy_cluster_metrics *found;
    TAILQ_FOREACH (found, &front->metrics, entry) {
        if (strcmp(found->name, virtual_cluster) == 0)
            return found;
    }
    found = slc_calloc(1, sizeof *found);
    snprintf(found->name, sizeof found->name, "%s", virtual_cluster);
    const char *const labels[] = {found->name};
    found->sessions = slc_metrics_series("sluice_kafka_sessions", labels);
    found->shadowed = slc_metrics_series("sluice_kafka_shadowed_topics_total", labels);
    TAILQ_INSERT_HEAD(&front->metrics, found, entry);
    return found;
}

void slc_proxy_metrics_free(slc_proxy_front *front)
{
    slc_proxy_cluster_metrics *one;
    while ((one = TAILQ_FIRST(&front->metrics)) != NULL) {
        TAILQ_REMOVE(&front->metrics, one, entry);
        free(one);
    }
}

slc_proxy_series *slc_proxy_series_of(slc_proxy_cluster_metrics *of, int key)
{
    slc_proxy_series *series = &of->keys[key];
    if (series->requests == NULL) {
        const char *const labels[] = {of->name, slc_kafka_apis[key].name};
        series->requests = slc_metrics_series("sluice_kafka_requests_total", labels);
        series->request_bytes = slc_metrics_series("sluice_kafka_request_bytes_total", labels);
        series->response_bytes = slc_metrics_series("sluice_kafka_response_bytes_total", labels);
        series->broker = slc_metrics_series("sluice_kafka_broker_seconds", labels);
        series->gateway = slc_metrics_series("sluice_kafka_gateway_seconds", labels);
    }
    return series;
}

static const char *known_reason(const char *reason)
{
    static const char *const known[] = {"authentication",
                                        "broker",
                                        "configuration",
                                        "expired",
                                        "limit",
                                        "name",
                                        "node",
                                        "protocol",
                                        "refused",
                                        "revoked",
                                        "tls",
                                        "versions",
                                        "proxy-protocol",
                                        SLC_ENDING_STALE,
                                        NULL};
    for (size_t i = 0; known[i] != NULL; i++)
        if (strcmp(known[i], reason) == 0)
            return known[i];
    return "other";
}

void slc_proxy_metrics_closed(const char *reason, const char *virtual_cluster, const char *api)
{
    const char *const labels[] = {known_reason(reason)};
    slc_series_add(slc_metrics_series("sluice_kafka_sessions_closed_total", labels), 1);
    if (virtual_cluster == NULL || api == NULL)
        return;
    const char *const more[] = {virtual_cluster, api, labels[0]};
    slc_series_add(slc_metrics_series("sluice_kafka_errors_total", more), 1);
}

void slc_proxy_metrics_answer_error(const char *virtual_cluster, const char *api, const char *code)
{
    const char *const labels[] = {virtual_cluster, api, code};
    slc_series_add(slc_metrics_series("sluice_kafka_answer_errors_total", labels), 1);
}

void slc_proxy_metrics_refused(const char *listener, const char *reason)
{
    const char *const labels[] = {listener, reason};
    slc_series_add(slc_metrics_series("sluice_kafka_connections_refused_total", labels), 1);
}

void slc_proxy_metrics_paused(const char *reason)
{
    const char *const labels[] = {reason};
    slc_series_add(slc_metrics_series("sluice_kafka_accept_pauses_total", labels), 1);
}

void slc_proxy_metrics_strangers(int change)
{
    slc_series_add(slc_metrics_series("sluice_kafka_unauthenticated_sessions", NULL), change);
}

void slc_proxy_metrics_denied(const char *virtual_cluster, const char *api, const char *resource)
{
    const char *const labels[] = {virtual_cluster, api, resource};
    slc_series_add(slc_metrics_series("sluice_kafka_denied_total", labels), 1);
}

void slc_proxy_metrics_throttled(const char *virtual_cluster)
{
    const char *const labels[] = {virtual_cluster};
    slc_series_add(slc_metrics_series("sluice_kafka_throttled_total", labels), 1);
}

void slc_proxy_metrics_header(const char *result)
{
    const char *const labels[] = {result};
    slc_series_add(slc_metrics_series("sluice_kafka_proxy_headers_total", labels), 1);
}
