/* What the files of the gateway process share. */
#ifndef SLC_DATAPLANE_GATEWAY_PRIVATE_H
#define SLC_DATAPLANE_GATEWAY_PRIVATE_H

#include <stdatomic.h>

#include "common/tls.h"
#include "dataplane/config/client.h"
#include "dataplane/gateway.h"
#include "dataplane/worker_control.h"

#define SLC_GATEWAY_MAGIC 0x51c6a7e0u

/* A listening address, as the config thread knows it. The sockets themselves are the workers'. */
struct slc_open_listener {
    slc_listener *listener; /* own reference: as it was last applied */
    slc_tls *tls;           /* NULL: plain */
};

struct slc_gateway {
    unsigned magic;
    const slc_gateway_settings *settings;
    slc_loop *loop; /* main thread */
    slc_mediation *mediation;
    slc_access_file *access_file;
    struct slc_audit *audit;
    struct slc_tracer *tracer; /* NULL: no traces */
    struct slc_limits *limits;
    struct slc_headcount *headcount;
    struct slc_failures *failures;
    struct slc_issuers *issuers;
    struct slc_keys *keys;
    struct slc_schemas *schemas;
    slc_worker **workers;
    unsigned worker_count;
    slc_config_client *client;

    struct slc_open_listener *open; /* config thread */
    size_t open_count;
    struct slc_apply_plan *pending_plan; /* being swapped in; at most one at a time */

    atomic_bool applied; /* a snapshot is in force on every worker */
    atomic_bool stale;   /* and too old to be served */
    atomic_bool draining;

    struct event *usage_tick;
    int64_t collect_at_ms; /* monotonic */
    bool collecting;       /* the workers' tables are on their way */

    struct slc_inventory *inventory; /* inventory.h */
    struct slc_certificates *certificates;

    struct slc_observe *observe;
    struct event *signals[4];
    struct event *drain_timer;
    int64_t drain_until_ms;
};

/* apply.c: the config client's callback, on its thread. */
bool slc_gateway_apply(void *arg, slc_snapshot *snapshot, slc_error *err) SLC_CHECKED;
/* What connections of a listener with TLS get, read from wherever it is. Any thread. */
slc_tls *slc_gateway_load_tls(const slc_listener *listener, slc_error *err) SLC_CHECKED;
void slc_gateway_release_listeners(struct slc_gateway *gateway);
/* Lets go of a plan whose end nobody reports any more. After the config client and the workers have stopped. */
void slc_gateway_drop_plan(struct slc_gateway *gateway);

/* NULL: there is no Redis to count shared limits. */
const struct slc_shared_options *slc_gateway_shared_limits(const struct slc_gateway *gateway);

/* connections.c: the config client's callback, on its thread. */
void slc_gateway_connections_list(void *arg, const char *id, size_t limit);

/* usage.c, main thread. */
void slc_gateway_usage_start(struct slc_gateway *gateway);
/* Collects for the last time, and waits for the control plane to store it. */
void slc_gateway_usage_stop(struct slc_gateway *gateway);

/* drain.c, main thread. */
void slc_gateway_begin_drain(struct slc_gateway *gateway);
/* The config client's callback, on its thread. */
void slc_gateway_asked_to_drain(void *arg);
/* Open connections of all workers; not from a worker's thread. */
unsigned slc_gateway_connections(struct slc_gateway *gateway);

#endif
