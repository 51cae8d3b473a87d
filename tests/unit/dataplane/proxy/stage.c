#include "stage.h"

#include <errno.h>
#include <event2/event.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/assert.h"
#include "dataplane/virtual/names.h"

#define ROUNDS 64 /* of the loop, without anybody else doing something */

static void make_limits(slc_gateway_limits *limits)
{
    limits->kafka_connections = 100;
    limits->kafka_address_connections = 100;
    limits->kafka_strangers = 100;
    limits->kafka_frame_bytes = 16 * 1024 * 1024;
    limits->kafka_rewrite_bytes = 4 * 1024 * 1024;
    limits->kafka_buffer_bytes = 8 * 1024 * 1024;
    limits->kafka_in_flight = 100;
    limits->kafka_splice_bytes = 32 * 1024;
    limits->kafka_throttle_max_ms = 30000;
    limits->kafka_log_interval_ms = 60000;
    limits->kafka_connect_timeout_ms = 10000;
    limits->kafka_authentication_timeout_ms = 10000;
    limits->kafka_idle_timeout_ms = 600000;
}

static void make_messages(struct stage *stage, const char *authentication, const char *prefix)
{
    sluice__snapshot__v1__backend__init(&stage->backend_msg);
    sluice__snapshot__v1__virtual_cluster__init(&stage->vcluster_msg);
    sluice__snapshot__v1__listener__init(&stage->listener_msg);
    sluice__snapshot__v1__port_range__init(&stage->range);
    stage->servers[0] = (char *)"127.0.0.1:1"; /* nobody listens there */
    stage->backend_msg.name = (char *)"local";
    stage->backend_msg.n_bootstrap_servers = 1;
    stage->backend_msg.bootstrap_servers = stage->servers;
    stage->authentication[0] = (char *)authentication;
    stage->vcluster_msg.id = stage->vcluster_msg.name = (char *)STAGE_CLUSTER;
    stage->vcluster_msg.n_client_authentication = 1;
    stage->vcluster_msg.client_authentication = stage->authentication;
    if (prefix != NULL) {
        stage->vcluster_msg.mode = SLUICE__SNAPSHOT__V1__NAMESPACE_MODE__NAMESPACE_MODE_HIDE;
        stage->vcluster_msg.prefix = (char *)prefix;
    }
    stage->range = (Sluice__Snapshot__V1__PortRange){
        .base = stage->range.base, .first_node_id = 1, .last_node_id = 3, .port_base = STAGE_PORT};
    stage->ranges[0] = &stage->range;
    stage->listener_msg.name = (char *)"native";
    stage->listener_msg.kafka_routing = (char *)"ports";
    stage->listener_msg.n_port_ranges = 1;
    stage->listener_msg.port_ranges = stage->ranges;
}

static void know_backend(struct stage *stage)
{
    slc_error err = {0};
    bool passthrough = strcmp(stage->authentication[0], "passthrough") == 0;
    stage->topology = slc_topology_get(&stage->front->topologies, &stage->backend, passthrough, &err);
    SLC_BUG_ON(stage->topology == NULL);
    stage->topology->known = true;
    for (int key = 0; key < SLC_KAFKA_KEYS; key++) {
        stage->topology->versions.of[key].min = slc_kafka_apis[key].served.since;
        stage->topology->versions.of[key].max = slc_kafka_apis[key].served.until;
    }
}

void stage_init(struct stage *stage, const char *authentication, const char *prefix)
{
    static bool registered;
    if (!registered)
        slc_proxy_register_metrics();
    registered = true;
    *stage = (struct stage){.client = -1, .broker = -1};
    make_limits(&stage->settings.limits);
    make_messages(stage, authentication, prefix);
    stage->gateway.settings = &stage->settings;
    stage->worker.gateway = &stage->gateway;
    slc_usage_init(&stage->worker.usage, 100);
    stage->worker.headcount = slc_headcount_new();
    stage->worker.loop = slc_loop_new("stage", &stage->worker);
    stage->backend = (slc_backend){.refs = 1, .msg = &stage->backend_msg};
    stage->vcluster = (slc_vcluster){.refs = 1, .msg = &stage->vcluster_msg, .backend = &stage->backend};
    if (prefix != NULL)
        stage->vcluster.names = slc_names_new(&stage->vcluster_msg);
    stage->entity = (slc_listener){.refs = 1, .msg = &stage->listener_msg, .vcluster = &stage->vcluster};
    stage->front = slc_proxy_front_new(&stage->worker);
    stage->listener = (slc_proxy_listener){.front = stage->front, .entity = &stage->entity};
    know_backend(stage);
}

void stage_disconnect(struct stage *stage, int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
    stage_run(stage);
}

void stage_release(struct stage *stage)
{
    stage_disconnect(stage, &stage->client);
    stage_disconnect(stage, &stage->broker);
    slc_topology_unref(stage->topology);
    slc_proxy_front_free(stage->front); /* the pool finds out whether a chunk was lost */
    slc_usage_release(&stage->worker.usage);
    slc_names_free(stage->vcluster.names);
    slc_headcount_free(stage->worker.headcount);
    slc_loop_free(stage->worker.loop);
}

static void make_pair(int pair[2])
{
    SLC_BUG_ON(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) != 0);
}

static void on_broker(evutil_socket_t fd, short what, void *arg)
{
    slc_session *session = arg;
    (void)fd;
    session->broker.ready |= (what & EV_READ) != 0;
    slc_session_pump(session);
}

void stage_connect(struct stage *stage)
{
    int client[2], broker[2];
    make_pair(client);
    make_pair(broker);
    stage->client = client[0];
    stage->broker = broker[0];
    stage->front->session_count++; /* accepting does it */
    stage->session = slc_session_new(&stage->listener, client[1], 1, "203.0.113.7:40123");
    slc_session_pump(stage->session);
    slc_end_attach(&stage->session->broker, stage->front->base, broker[1], NULL, on_broker, on_broker,
                   stage->session);
    stage->session->state = SLC_SESSION_READY;
    slc_session_pump(stage->session);
}

void stage_connect_behind_balancer(struct stage *stage)
{
    int client[2];
    make_pair(client);
    stage->client = client[0];
    stage->front->session_count++;
    stage->session = slc_session_new(&stage->listener, client[1], 1, "203.0.113.7:40123");
    slc_session_expect_header(stage->session);
    slc_session_pump(stage->session);
}

unsigned stage_open_sessions(const struct stage *stage)
{
    return stage->front->session_count;
}

void stage_run(struct stage *stage)
{
    for (int i = 0; i < ROUNDS; i++)
        event_base_loop(stage->front->base, EVLOOP_NONBLOCK);
}

size_t stage_send(struct stage *stage, int fd, const void *data, size_t len)
{
    ssize_t sent = send(fd, data, len, MSG_NOSIGNAL);
    stage_run(stage);
    return sent > 0 ? (size_t)sent : 0;
}

size_t stage_receive(int fd, void *data, size_t room, bool *end)
{
    ssize_t got = recv(fd, data, room, 0);
    if (end != NULL)
        *end = got == 0 || (got < 0 && errno != EAGAIN);
    return got > 0 ? (size_t)got : 0;
}
