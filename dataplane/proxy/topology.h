/* What a worker knows about a backend: where its nodes are and which versions it speaks. Learnt from a question
 * of its own and from answers that pass. The worker's thread.
 */
#ifndef SLC_DATAPLANE_PROXY_TOPOLOGY_H
#define SLC_DATAPLANE_PROXY_TOPOLOGY_H

#include <event2/event.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <sys/queue.h>

#include "dataplane/config/snapshot.h"
#include "dataplane/kafka/api_versions_codec.h"
#include "dataplane/kafka/metadata_codec.h"
#include "dataplane/proxy/dial.h"
#include "dataplane/virtual/ids.h"

#define SLC_TOPOLOGY_MAX_NODES  10000
#define SLC_TOPOLOGY_MAX_TOPICS 200000 /* whose ids are remembered */

typedef struct slc_node {
    int32_t id;
    uint16_t port;
    char host[256];
} slc_node;

/* Embedded in whoever waits for the first answer. */
typedef struct slc_topology_waiter {
    TAILQ_ENTRY(slc_topology_waiter) entry;
    /* `err` NULL: versions are known now. Called from the loop. */
    void (*ready)(struct slc_topology_waiter *waiter, const slc_error *err);
    bool waiting;
} slc_topology_waiter;

typedef struct slc_topology {
    unsigned refs;
    struct slc_topologies *all;
    slc_backend *backend;
    SSL_CTX *tls;
    bool known;                      /* versions are */
    bool with_credentials;           /* the gateway may ask for metadata */
    slc_kafka_api_versions versions; /* what every broker seen lately can do */
    slc_kafka_api_versions lately;   /* the same, since `lately_ms` (monotonic; 0: never) */
    int64_t lately_ms;
    char cluster_id[SLC_KAFKA_CLUSTER_ID_MAX + 1]; /* "": not known, as without credentials */
    int64_t answered_ms;                           /* monotonic: when a broker last said so; 0: never */
    slc_buf features;                              /* the tags that ended the last ApiVersions answer */
    slc_topic_ids topic_ids;
    slc_node *nodes;
    size_t count, cap;
    size_t next_bootstrap, tried;
    slc_dial *dial;
    struct slc_topology_question *question;
    TAILQ_HEAD(, slc_topology_waiter) waiters;
    TAILQ_ENTRY(slc_topology) entry;
} slc_topology;

typedef struct slc_topologies {
    struct event_base *base;
    struct evdns_base *dns;
    int64_t timeout_ms;
    TAILQ_HEAD(, slc_topology) list;
} slc_topologies;

void slc_topologies_init(slc_topologies *all, struct event_base *base, struct evdns_base *dns,
                         int64_t timeout_ms);
/* Every reference must be gone. */
void slc_topologies_release(slc_topologies *all);

/* By the backend's digest; `passthrough`: clients authenticate to the brokers by themselves. NULL with `err`
 * when the backend's TLS settings cannot be used. */
slc_topology *slc_topology_get(slc_topologies *all, slc_backend *backend, bool passthrough,
                               slc_error *err) SLC_CHECKED;
slc_topology *slc_topology_ref(slc_topology *topology);
void slc_topology_unref(slc_topology *topology);

/* Asks the backend, unless somebody does already; the waiter hears of the end. Several bootstrap servers are
 * tried. */
void slc_topology_ask(slc_topology *topology, slc_topology_waiter *waiter);
void slc_topology_unwait(slc_topology *topology, slc_topology_waiter *waiter);

/* NULL: not known. */
const slc_node *slc_topology_node(const slc_topology *topology, int32_t id);
/* An answer names a node. */
void slc_topology_learn(slc_topology *topology, int32_t id, const char *host, size_t host_len, int32_t port);
/* Nobody answers there: its address is asked for again before the next one goes there. Nothing for -1. */
void slc_topology_forget(slc_topology *topology, int32_t id);
/* The next bootstrap server, in turn. False with `err` when none can be parsed. */
bool slc_topology_bootstrap(slc_topology *topology, char host[256], uint16_t *port, slc_error *err) SLC_CHECKED;

/* A broker was asked: what it cannot do, the backend cannot, until none has said so for SLC_TOPOLOGY_LATELY_MS
 * to twice that: a cluster that was upgraded under open sessions can do more then. */
#define SLC_TOPOLOGY_LATELY_MS 300000
void slc_topology_narrow(slc_topology *topology, const slc_dialled *dialled);
/* Does `versions` offer all that `shown` does? ApiVersions is left out: the gateway answers it itself, in
 * versions that an older broker does not know. */
bool slc_versions_cover(const slc_kafka_api_versions *versions, const slc_kafka_api_versions *shown);

#endif
