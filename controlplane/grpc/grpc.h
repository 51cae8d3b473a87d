/* The control plane's gRPC side as one thing for main(): enrolment (server TLS), the configuration stream
 * (mTLS), the node CA, and the compiler that feeds the stream. Runs on its own thread.
 */
#ifndef SLC_CONTROLPLANE_GRPC_H
#define SLC_CONTROLPLANE_GRPC_H

#include <jansson.h>
#include <stdint.h>

#include "catalog/catalog.h"
#include "catalog/usage.h"
#include "catalog/versions.h"
#include "common/error.h"
#include "common/jose/jwks.h"
#include "common/loop.h"

typedef struct slc_control_grpc slc_control_grpc;

/* How a group's chosen gateway takes inventory of its backends. */
typedef struct slc_inventory_options {
    int64_t interval_ms; /* 0: nobody does */
    int64_t delay_ms;    /* before the first */
    int64_t timeout_ms;  /* of a question to a backend */
    int64_t groups;      /* looked at */
} slc_inventory_options;

typedef struct slc_control_grpc_options {
    const char *config_address;    /* "127.0.0.1:8005"; port 0 takes a free one */
    const char *enrolment_address; /* "127.0.0.1:8006" */
    const char *config_endpoint;   /* host:port that nodes dial; NULL: the address it listens on */
    const char *enrolment_endpoint;
    const char *trust_domain;    /* NULL: "sluice" */
    const char *server_names;    /* more names and addresses for the certificate, comma separated */
    int64_t debounce_ms;         /* 0: 50 */
    int64_t heartbeat_ms;        /* 0: 5,000 */
    int64_t lost_after_ms;       /* 0: 3 heartbeats */
    int64_t answer_timeout_ms;   /* 0: 60,000; how long a node may take to answer a push or take a chunk */
    slc_version_limits versions; /* how many compiled versions are kept, and how long */
    int64_t question_timeout_ms; /* 0: 3,000; how long somebody who asks about a node waits for its answer */
    int64_t count_settle_ms;     /* after the start, before gateways are told how many they are */
    int64_t stream_burst;        /* 0: 20; streams that a node may open at once, and then one a second */
    int64_t enrolment_burst;     /* 0: 50; failed enrolments from one address at once, and then one a second */
    int64_t memory_bytes;        /* 0: 256 MiB; what peers of each port may have sent that was not read yet */
    int64_t idle_ms;             /* a connection without a call is closed after it; 0: never */
    int64_t certificate_ms;      /* 0: 24 h */
    int64_t renewal_window_ms;   /* -1: 30 days */
    int64_t clock_skew_ms;       /* -1: 10 min */
    int64_t ca_lifetime_ms;      /* 0: ten years */
    int64_t ca_warn_ms;          /* how long before an authority ends that is logged */
    int64_t ca_rotation_spread_ms; /* over which connected nodes renew to a new authority */
    int64_t ca_retire_after_ms;    /* after a rotation, for an authority that nobody needs */
    int64_t forget_ephemeral_ms;   /* 0: 1 h */
    int64_t upkeep_ms;             /* 0: 1 min */
    slc_inventory_options inventory;
    slc_usage_keep usage;   /* each 0: as settings.c says */
    slc_jwks_options keys;  /* of token issuers */
    int64_t (*clock)(void); /* of certificates, wall clock in ms; NULL: slc_wall_ms */
} slc_control_grpc_options;

/* Registers the metrics of this module; once, before threads start. */
void slc_control_grpc_register_metrics(void);

/* Opens the CA, compiles every group and listens. `catalog` must outlive it; strings are copied. */
slc_control_grpc *slc_control_grpc_new(slc_catalog *catalog, const slc_control_grpc_options *options,
                                       slc_error *err) SLC_CHECKED;
/* Ends every stream, then the thread; blocks; frees. */
void slc_control_grpc_stop(slc_control_grpc *grpc);

uint16_t slc_control_grpc_config_port(const slc_control_grpc *grpc);
uint16_t slc_control_grpc_enrolment_port(const slc_control_grpc *grpc);

/* The join string for an enrolment token that was just made in this transaction; new, free with
 * slc_free_secret. Any thread. */
char *slc_control_grpc_join(const slc_control_grpc *grpc, slc_txn *txn, const char *token,
                            slc_error *err) SLC_CHECKED;

/* The node CA, borrowed; it is thread safe. */
struct slc_ca *slc_control_grpc_ca(const slc_control_grpc *grpc);

/* The open client connections of a node, as it says itself: {node, total, truncated, connections}, newest first
 * and at most SLC_CONNECTIONS_MAX of them. Any thread. `done` is called once on `loop`, with the answer
 * (borrowed), or with NULL and an error: SLC_CONFLICT when the node is not connected, SLC_TIMEOUT when it does
 * not answer, SLC_LIMIT when too many ask. Who asks while a question is under way shares its answer. */
#define SLC_CONNECTIONS_MAX 1000
typedef void (*slc_connections_done)(void *arg, json_t *answer, const slc_error *err);
void slc_control_grpc_connections(slc_control_grpc *grpc, const char *node_id, slc_loop *loop,
                                  slc_connections_done done, void *arg);

/* Tells a node to finish what is open, and to end. Any thread. `done` is called once on `loop`: NULL when it
 * was sent (what comes of it shows in the node's state), or an error: SLC_CONFLICT when the node is not
 * connected. */
typedef void (*slc_drain_done)(void *arg, const slc_error *err);
void slc_control_grpc_drain(slc_control_grpc *grpc, const char *node_id, slc_loop *loop, slc_drain_done done,
                            void *arg);

/* Topics that connected nodes have seen to be invisible in a virtual cluster, since something else has their
 * name: an array of {name, topic, winner, last_seen_at, nodes}, at most SLC_CONFLICTS_TOLD_MAX. Any thread.
 * `done` is called once on `loop`; the array is borrowed. */
#define SLC_CONFLICTS_TOLD_MAX 1000
typedef void (*slc_conflicts_done)(void *arg, json_t *found);
void slc_control_grpc_conflicts(slc_control_grpc *grpc, const char *vcluster_id, slc_loop *loop,
                                slc_conflicts_done done, void *arg);

/* Compiles now instead of at the next commit (a change that no commit announced, such as an expiry). Any
 * thread. */
void slc_control_grpc_recompile(slc_control_grpc *grpc);

#endif
