/* What the files of the gRPC side share. Everything here belongs to its loop's thread, unless it says
 * otherwise. */
#ifndef SLC_CONTROLPLANE_GRPC_PRIVATE_H
#define SLC_CONTROLPLANE_GRPC_PRIVATE_H

#include <sys/queue.h>

#include "catalog/compile.h"
#include "catalog/nodes.h"
#include "common/rpc/rpc.h"
#include "controlplane/ca/ca.h"
#include "controlplane/grpc/grpc.h"
#include "sluice/config.pb-c.h"
#include "sluice/enrolment.pb-c.h"

#define SLC_CONTROL_GRPC_MAGIC  0x51c69c60u
#define SLC_CONFIG_STREAM_MAGIC 0x51c57e3au
#define SLC_NODE_ID_CHARS       24

/* A compiled version as it is sent: serialised once, shared by every stream. */
typedef struct slc_release {
    unsigned refs;
    slc_compiled *compiled;
    char nonce[33];
    slc_rpc_bytes *push;    /* ToNode with the manifest */
    slc_rpc_bytes **chunks; /* ToNode with a chunk, made when the first stream asks for it */
} slc_release;

slc_release *slc_release_new(slc_compiled *compiled); /* steals the reference */
slc_release *slc_release_ref(slc_release *release);
void slc_release_unref(slc_release *release);                         /* NULL is fine */
slc_rpc_bytes *slc_release_chunk(slc_release *release, size_t index); /* borrowed */

typedef struct slc_group {
    char id[SLC_NODE_ID_CHARS];
    slc_release *release; /* NULL until compiled */
    bool seen;            /* in the pass that is being taken over */
    TAILQ_ENTRY(slc_group) entry;
} slc_group;

typedef struct slc_config_stream slc_config_stream;
TAILQ_HEAD(slc_config_streams, slc_config_stream);

struct slc_control_grpc {
    unsigned magic;
    slc_catalog *catalog;
    slc_loop *loop;
    slc_rpc *rpc;
    slc_ca *ca;
    slc_jwks *jwks; /* NULL when it is stopping */
    slc_rpc_server *config_server, *enrolment_server;
    slc_rpc_method config_methods[2], enrolment_methods[3];
    uint16_t config_port, enrolment_port;
    char config_endpoint[272], enrolment_endpoint[272];
    slc_control_grpc_options options; /* numbers only */

    TAILQ_HEAD(, slc_group) groups;
    struct slc_config_streams streams;
    struct slc_guard *guard; /* guard.c */
    struct slc_reports *reports;
    struct slc_usage_inbox *usage; /* usage.c */
    unsigned inventory_waiting;    /* inventory.c: parts on their way to usage.db */
    unsigned pending;              /* catalog work whose callback has not come yet */

    struct event *debounce;
    struct event *expiry;
    struct event *upkeep;
    struct event *group_size;
    int64_t started_ms; /* monotonic */
    bool ca_warned;     /* that the node CA ends soon */
    bool compiling, dirty, stopping;
};

/* ---- publisher.c: compiling and offering ---- */
void slc_publisher_init(slc_control_grpc *grpc);
void slc_publisher_release(slc_control_grpc *grpc);
void slc_publisher_schedule(slc_control_grpc *grpc);
slc_group *slc_publisher_group(slc_control_grpc *grpc, const char *group_id); /* made when it is new */

/* ---- stream.c: a node's configuration stream ---- */
void slc_config_stream_on_call(slc_rpc_call *call, void *grpc);
/* Pushes the group's release to those of its nodes that need it and are free. */
void slc_config_streams_offer(slc_control_grpc *grpc, const slc_group *group);
void slc_config_streams_end(slc_control_grpc *grpc);
/* Ids of nodes with a stream: new array. Ends the streams of those in `gone`, an object of {status, reason}
 * by id. */
json_t *slc_config_streams_nodes(const slc_control_grpc *grpc);
void slc_config_streams_cut(slc_control_grpc *grpc, const json_t *gone);

/* Tells every node which authorities to trust. */
void slc_config_streams_trust(slc_control_grpc *grpc);

/* ---- upkeep.c: what is done from time to time ---- */
void slc_upkeep_init(slc_control_grpc *grpc);
void slc_upkeep_release(slc_control_grpc *grpc);

/* ---- inventory.c ---- */
/* Sees to it that one gateway of the group takes inventory, and tells those that it concerns. */
void slc_inventory_choose(slc_control_grpc *grpc, const slc_group *group);

/* ---- usage.c: what gateways count ---- */
void slc_usage_inbox_init(slc_control_grpc *grpc);
void slc_usage_inbox_release(slc_control_grpc *grpc);
/* Removes what is older than it is kept, unless that is under way. */
void slc_usage_prune_old(slc_control_grpc *grpc);

/* ---- group_size.c: how many gateways share a limit ---- */
void slc_group_size_init(slc_control_grpc *grpc);
void slc_group_size_release(slc_control_grpc *grpc);

/* ---- enrolment.c ---- */
void slc_enrolment_on_enrol(slc_rpc_call *call, void *grpc);
void slc_enrolment_on_renew(slc_rpc_call *call, void *grpc);

/* ---- service_account.c ---- */
/* What the token of a service account was found to be. */
typedef struct slc_account {
    char rule_id[SLC_NODE_ID_CHARS], rule[64];
    char group_id[SLC_NODE_ID_CHARS];
    char subject[400]; /* "system:serviceaccount:<namespace>:<name>" */
    char pod[254];
    char pod_uid[64]; /* never used again by another pod */
} slc_account;

/* Exactly one of `account` and `err` is given; borrowed. */
typedef void (*slc_account_done)(void *arg, const slc_account *account, const slc_error *err);
/* Finds the rule that takes the token and verifies it. `done` runs on the loop, possibly before this returns.
 */
void slc_account_check(slc_control_grpc *grpc, const char *token, slc_account_done done, void *arg);

/* Packs into shared bytes; the caller's reference. */
slc_rpc_bytes *slc_pack_bytes(const ProtobufCMessage *message);

#endif
