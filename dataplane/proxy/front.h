/* The native Kafka front of a worker: listeners, their broker ports, and sessions. All on the worker's thread,
 * unless it says otherwise. */
#ifndef SLC_DATAPLANE_PROXY_FRONT_H
#define SLC_DATAPLANE_PROXY_FRONT_H

#include <stdbool.h>
#include <stddef.h>

#include "common/tls.h"
#include "dataplane/config/snapshot.h"
#include "dataplane/connections.h"
#include "dataplane/worker.h"

typedef struct slc_proxy_front slc_proxy_front;

/* Registers the metrics of this module; once, before threads start. */
void slc_proxy_register_metrics(void);

slc_proxy_front *slc_proxy_front_new(slc_worker *worker);
/* Closes every listener and session, and frees. */
void slc_proxy_front_free(slc_proxy_front *front);

/* A port that a listener opens. */
typedef struct slc_proxy_port {
    char address[300]; /* as for slc_listen */
    int32_t node;      /* -1: bootstrap */
} slc_proxy_port;

/* The ports of a listener of either protocol, its own first: new array of `*count`. Any thread. */
slc_proxy_port *slc_proxy_ports(const slc_listener *listener, size_t *count);

/* Serves open sockets (stolen), one for each of slc_proxy_ports. `tls` NULL: plain; else a reference is taken.
 */
void slc_proxy_front_open(slc_proxy_front *front, slc_listener *listener, const int *fds, slc_tls *tls);
/* Listeners that `snapshot` no longer has are closed, those that it still has are rebound; sessions whose
 * virtual cluster, backend or authentication changed, or whose credential has gone, are closed. */
void slc_proxy_front_apply(slc_proxy_front *front, const slc_snapshot *snapshot);
/* Too old a configuration: takes no new sessions until it is fresh again; those that are open take no more
 * requests and end when the answers to earlier ones are out, at the latest after kafka.cut-off-grace. */
void slc_proxy_front_refuse(slc_proxy_front *front, bool refuse);
/* Nobody gets in any more; sessions go on. */
void slc_proxy_front_stop_accepting(slc_proxy_front *front);
/* Stops accepting; sessions end when their clients have what they asked for. */
void slc_proxy_front_drain(slc_proxy_front *front);
unsigned slc_proxy_front_connections(const slc_proxy_front *front);
/* list.c: the newest `limit` open sessions, into an empty list that the caller releases. */
void slc_proxy_front_list(slc_proxy_front *front, size_t limit, slc_connection_list *list);
bool slc_proxy_front_idle(const slc_proxy_front *front);

#endif
