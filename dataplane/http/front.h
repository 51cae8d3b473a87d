/* The HTTP front of a worker: listeners, routing, the policy chain, and the hand-over to mediation. */
#ifndef SLC_DATAPLANE_HTTP_FRONT_H
#define SLC_DATAPLANE_HTTP_FRONT_H

#include "common/network.h"
#include "dataplane/config/snapshot.h"
#include "dataplane/connections.h"
#include "dataplane/http/access_log.h"
#include "dataplane/worker.h"

typedef struct slc_http_front slc_http_front;

/* All on the worker's thread. */
slc_http_front *slc_http_front_new(slc_worker *worker, slc_access_file *access_file);
/* Closes every listener and connection; exchanges that wait for their answer are aborted. */
void slc_http_front_close(slc_http_front *front);
/* After close, and after mediation let go of every exchange. */
void slc_http_front_free(slc_http_front *front);

/* Serves an open socket (stolen) as this listener. */
void slc_http_front_open(slc_http_front *front, slc_listener *listener, int fd, slc_tls *tls);
/* Listeners that `snapshot` no longer has are closed, those that it still has are rebound to its entities. By
 * address: open ones whose address and use of TLS stay keep their socket and connections. Connections of closed
 * ones, and of those that now ask for other client certificates, end without cutting an answer short. */
void slc_http_front_apply(slc_http_front *front, const slc_snapshot *snapshot);
/* Too old a configuration: answers 503 until it is fresh again. Reads that are open are mediation's to end. */
void slc_http_front_refuse(slc_http_front *front, bool refuse);
/* Nobody gets in any more; what is open goes on. */
void slc_http_front_stop_accepting(slc_http_front *front);
void slc_http_front_drain(slc_http_front *front);
unsigned slc_http_front_connections(const slc_http_front *front);
/* The newest `limit` open connections; the caller releases the list. A few microseconds for each. */
void slc_http_front_list(slc_http_front *front, size_t limit, slc_connection_list *list);
/* Adds what open streams have delivered to what the worker has counted. */
void slc_http_front_count_usage(slc_http_front *front);
/* Exchanges that are not over. */
bool slc_http_front_idle(const slc_http_front *front);

/* Would both be served by the same sockets: protocol, address, TLS or not, brokers' ports? */
bool slc_listener_same_socket(const slc_listener *a, const slc_listener *b);
/* Whoever was let in by one of them might not be by the other: client certificates. */
bool slc_listener_admits_otherwise(const slc_listener *a, const slc_listener *b);
/* The networks whose connections begin with a PROXY protocol header; the caller frees. */
slc_network *slc_listener_balancers(const slc_listener *listener, size_t *count);

#endif
