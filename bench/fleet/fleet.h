/* Gateways as a control plane sees them, many in one process: each has its own key, certificate and connection,
 * asks for the chunks that it lacks, checks every digest, decodes and builds the whole snapshot with the
 * gateway's own code and acknowledges it. Left out are the workers and the disk.
 *
 * So that thousands of equal configurations fit into memory, a node that has built its snapshot keeps the equal
 * one of a node before it, and frees its own.
 *
 * Everything runs on one loop. */
#ifndef SLC_BENCH_FLEET_H
#define SLC_BENCH_FLEET_H

#include <event2/event.h>

#include "common/join.h"
#include "common/loop.h"
#include "common/rpc/rpc.h"
#include "dataplane/config/identity.h"
#include "dataplane/config/snapshot.h"
#include "dataplane/config/strmap.h"

#define FLEET_KEPT 4  /* snapshots that are shared: the newest versions */
#define FLEET_ACKS 64 /* noted for each node between two marks */

struct fleet;

/* A snapshot that equal nodes share. */
struct shared {
    slc_snapshot *snapshot; /* NULL: unused */
    uint8_t digest[SLC_SHA256_BYTES];
    uint8_t *chunks; /* their digests, in order */
    size_t chunk_count;
};

struct ack {
    uint64_t version;
    int64_t at_us; /* monotonic: when the transport had it */
};

struct node {
    struct fleet *fleet;
    unsigned number;
    slc_identity *identity;
    slc_rpc_channel *channel;
    slc_rpc_call *call; /* NULL: not connected */
    bool welcomed;
    struct event *reconnect, *heartbeat;
    int64_t heartbeat_ms;

    /* What is being fetched. */
    char nonce[64];
    Sluice__Snapshot__V1__Manifest *manifest; /* NULL: nothing */
    slc_strmap chunks;                        /* by digest */
    struct chunk *first_chunk;
    size_t outstanding;

    slc_snapshot *snapshot; /* what it runs on; NULL before the first */
    struct message *outgoing, **outgoing_tail;

    /* Since the last mark. */
    struct ack acks[FLEET_ACKS];
    unsigned ack_count;
    uint64_t bytes, chunk_count, push_count;
    uint64_t held_count; /* chunks that were sent though the node had them */
};

struct fleet {
    slc_loop *loop;
    slc_rpc *rpc;
    slc_join join;
    char *ca_pem;
    unsigned count, enrolled, enrolling;
    struct node *nodes;
    struct shared kept[FLEET_KEPT];
    unsigned kept_next;
    void (*changed)(struct fleet *fleet); /* a node was enrolled, welcomed or has acknowledged */
};

/* ---- enrol.c ---- */
/* Enrols every node, a few at a time; `changed` tells of each. */
void fleet_enrol(struct fleet *fleet);

/* ---- node.c ---- */
void node_init(struct node *node, struct fleet *fleet, unsigned number);
void node_connect(struct node *node);
void node_mark(struct node *node);
void node_release(struct node *node);
void fleet_forget(struct fleet *fleet); /* the shared snapshots */
/* Ends the process: a benchmark whose gateways fail has no result. */
void fleet_die(const char *what, const char *why) __attribute__((noreturn));

#endif
