/* What the files of the native front share. */
#ifndef SLC_DATAPLANE_PROXY_FRONT_PRIVATE_H
#define SLC_DATAPLANE_PROXY_FRONT_PRIVATE_H

#include <event2/event.h>
#include <event2/event_struct.h>

#include "common/metrics.h"
#include "common/network.h"
#include "dataplane/kafka/table.h"
#include "dataplane/observe/repeats.h"
#include "dataplane/policy/record_rules.h"
#include "dataplane/proxy/front.h"
#include "dataplane/proxy/headcount.h"
#include "dataplane/proxy/pool.h"
#include "dataplane/proxy/topology.h"

#define SLC_PROXY_FRONT_MAGIC 0x51cf4aeau

struct slc_session;
TAILQ_HEAD(slc_sessions, slc_session);

/* Why a client is not let in. */
enum slc_proxy_refusal {
    SLC_PROXY_REFUSED_WORKER,
    SLC_PROXY_REFUSED_LISTENER,
    SLC_PROXY_REFUSED_ADDRESS,
    SLC_PROXY_REFUSALS,
};

/* An open port of a listener. */
struct slc_proxy_socket {
    struct slc_proxy_listener *listener;
    struct event accept;
    int fd;
    int32_t node;
};

typedef struct slc_proxy_listener {
    slc_proxy_front *front;
    slc_listener *entity; /* own reference: of the present configuration */
    slc_tls *tls;
    uint16_t port;          /* its own */
    slc_network *balancers; /* whose connections begin with a PROXY protocol header */
    size_t balancer_count;
    size_t socket_count;
    struct slc_proxy_socket *sockets;
    int64_t unserved_told_ms;                    /* when the log last named a broker without a port; 0: never */
    int64_t refused_told_ms[SLC_PROXY_REFUSALS]; /* when the log last named a client that was; 0: never */
    uint64_t refused[SLC_PROXY_REFUSALS];        /* since then */
    TAILQ_ENTRY(slc_proxy_listener) entry;
} slc_proxy_listener;

/* Of one API key of one virtual cluster, looked up when it is first used. */
typedef struct slc_proxy_series {
    slc_series *requests, *request_bytes, *response_bytes, *broker, *gateway;
} slc_proxy_series;

typedef struct slc_proxy_cluster_metrics {
    char name[64];
    slc_series *sessions, *shadowed;
    slc_proxy_series keys[SLC_KAFKA_KEYS];
    TAILQ_ENTRY(slc_proxy_cluster_metrics) entry;
} slc_proxy_cluster_metrics;

struct slc_proxy_front {
    unsigned magic;
    slc_worker *worker;
    const slc_gateway_limits *limits;
    struct event_base *base;
    struct evdns_base *dns;
    struct event *tick;
    struct event *apply; /* goes on with telling sessions of a changed configuration */
    uint64_t round;      /* of that: what a session has of the last one told */
    slc_pool pool;
    slc_record_work records;
    struct slc_usage_topics *usage_topics; /* usage.c; NULL: nobody has asked */
    slc_pipe *look;                        /* follow.c: a copy of what is moved; NULL: nothing was */
    int nowhere;                           /* where what is not looked at of it goes; -1 */
    slc_kafka_edits edits;                 /* of the message at hand; sessions use them one after the other */
    slc_topologies topologies;
    slc_repeats endings; /* why sessions were closed, lately */
    slc_repeats denials; /* what was not allowed */
    TAILQ_HEAD(, slc_proxy_listener) listeners;
    struct slc_sessions sessions;
    struct slc_sessions strangers; /* of these, who has not authenticated yet; the oldest first */
    TAILQ_HEAD(, slc_proxy_cluster_metrics) metrics;
    unsigned session_count, stranger_count;
    bool paused;  /* accepting: starved, or too many strangers */
    bool starved; /* the system has nothing left for a connection; until the next tick */
    int64_t starved_told_ms, crowded_told_ms; /* when the log last said so; 0: never */
    bool refuse, closed_to_all, draining;
    uint32_t chance;                      /* spans.c: the last draw; 0: none yet */
    struct slc_compression *trace_codecs; /* likewise; NULL until it is needed */
};

/* ---- accept.c ---- */
/* The event of a struct slc_proxy_socket: somebody is there. */
void slc_proxy_accept(evutil_socket_t fd, short what, void *arg);
void slc_proxy_accept_tick(slc_proxy_front *front, int64_t now_ms);
void slc_proxy_pause(slc_proxy_front *front, bool pause);
/* A session has gone. */
void slc_proxy_front_left(slc_proxy_front *front);
/* Authenticated, or gone; nothing when it was no stranger. */
void slc_proxy_stranger_gone(struct slc_session *session);
/* The client's address, when a load balancer has told it. False: it has too many, which was logged. */
bool slc_proxy_admit_address(struct slc_session *session, const struct sockaddr_storage *peer) SLC_CHECKED;
/* "host:port" or "[v6]:port"; "?" for what is neither. */
void slc_proxy_describe(const struct sockaddr_storage *peer, char out[64]);

/* ending.c: logs how often what was logged before has come again. `all`: whether its interval is over or not.
 */
void slc_proxy_endings_tell(slc_proxy_front *front, int64_t now_ms, bool all);
void slc_proxy_endings_free(slc_proxy_front *front);

/* authorise.c: the same of denials. */
void slc_proxy_denials_tell(slc_proxy_front *front, int64_t now_ms, bool all);
void slc_proxy_denials_free(slc_proxy_front *front);

/* observe.c */
slc_proxy_cluster_metrics *slc_proxy_metrics_of(slc_proxy_front *front, const char *virtual_cluster);
void slc_proxy_metrics_free(slc_proxy_front *front);
slc_proxy_series *slc_proxy_series_of(slc_proxy_cluster_metrics *metrics, int key);
/* Why a session ended that should not: one of the words in observe.c, "other" for any other. NULL for
 * `virtual_cluster`: not known yet; for `api`: no request was under way. */
#define SLC_ENDING_STALE "stale" /* the configuration is too old */
void slc_proxy_metrics_closed(const char *reason, const char *virtual_cluster, const char *api);
/* An error code in a broker's answer. */
void slc_proxy_metrics_answer_error(const char *virtual_cluster, const char *api, const char *code);
/* A connection that was not let in: "worker", "listener" or "address" has enough. */
void slc_proxy_metrics_refused(const char *listener, const char *reason);
/* Accepting pauses: "system" or "unauthenticated". */
void slc_proxy_metrics_paused(const char *reason);
void slc_proxy_metrics_strangers(int change);
/* An authorisation that was refused. */
void slc_proxy_metrics_denied(const char *virtual_cluster, const char *api, const char *resource);
/* A session that owes something was left unread for a while. */
void slc_proxy_metrics_throttled(const char *virtual_cluster);
/* A PROXY protocol header: "taken", "local" or "refused". */
void slc_proxy_metrics_header(const char *result);

#endif
