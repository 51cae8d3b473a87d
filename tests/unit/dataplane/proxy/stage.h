/* A worker's native front without its surroundings: sessions whose client and broker are the test's own ends of
 * socket pairs. The broker is dialled already; it can do everything that the gateway serves. One thread. */
#ifndef SLC_TEST_PROXY_STAGE_H
#define SLC_TEST_PROXY_STAGE_H

#include "dataplane/gateway_private.h"
#include "dataplane/proxy/session_private.h"

#define STAGE_CLUSTER "shop"
#define STAGE_PORT    19093 /* of node 1; up to node 3 */

struct stage {
    slc_gateway_settings settings; /* bend before stage_connect */
    struct slc_gateway gateway;
    slc_worker worker;
    slc_proxy_front *front;
    Sluice__Snapshot__V1__Backend backend_msg;
    Sluice__Snapshot__V1__VirtualCluster vcluster_msg;
    Sluice__Snapshot__V1__Listener listener_msg;
    Sluice__Snapshot__V1__PortRange range, *ranges[1];
    char *servers[1], *authentication[1];
    slc_backend backend;
    slc_vcluster vcluster;
    slc_listener entity;
    slc_proxy_listener listener;
    slc_topology *topology;
    slc_session *session; /* the last one; gone when stage_open_sessions says 0 */
    int client, broker;   /* the test's ends; -1: closed */
};

/* `authentication`: what clients may do, as in the configuration. `prefix` not NULL: a namespace that hides it.
 */
void stage_init(struct stage *stage, const char *authentication, const char *prefix);
/* Ends what is open. */
void stage_release(struct stage *stage);

/* A session, whose broker is ready unless it has to authenticate first. */
void stage_connect(struct stage *stage);
/* One that waits for a PROXY protocol header before anything else; its broker is not there. */
void stage_connect_behind_balancer(struct stage *stage);
void stage_disconnect(struct stage *stage, int *fd);
unsigned stage_open_sessions(const struct stage *stage);

/* Lets the session do all that it can do now. */
void stage_run(struct stage *stage);
/* Writes what the socket takes, and runs. */
size_t stage_send(struct stage *stage, int fd, const void *data, size_t len);
/* What has come, up to `room` bytes; 0: nothing now, or the end (`*end`, which may be NULL). */
size_t stage_receive(int fd, void *data, size_t room, bool *end);

#endif
