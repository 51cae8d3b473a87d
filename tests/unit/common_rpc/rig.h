/* A server and its clients in one process, on 127.0.0.1.
 *
 * The test turns the loop itself (WAIT_FOR), so callbacks and assertions are on one thread, and what a test
 * waits for is a condition with a deadline.
 */
#ifndef SLC_TESTS_COMMON_RPC_RIG_H
#define SLC_TESTS_COMMON_RPC_RIG_H

#include <check.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "certs.h"
#include "common/clock.h"
#include "common/rpc/rpc.h"

#define RIG_SERVER_NAME "sluice-control"
#define RIG_NODE_SPIFFE "spiffe://sluice.test/group/g1/node/n1"
#define RIG_STREAMS_MAX 64

/* One side of a call and what it has seen. */
struct peer {
    slc_rpc_call *call; /* NULL once it has ended */
    bool keep_reading;
    bool half_closed;
    unsigned received, sent;
    size_t received_bytes;
    char last[64]; /* the start of the last message, as text */
    /* Streams of numbered messages: how many are still to send, and whether those that came were in order. */
    unsigned to_send, next_number;
    size_t pad_bytes;
    bool out_of_order;
    bool ended;
    enum slc_rpc_status status;
    char message[256];
    char spiffe[128];
    bool has_pem;
};

struct rig {
    slc_loop *loop;
    slc_rpc *rpc;
    struct event *tick;
    test_ca *ca;
    char *node_cert, *node_key;

    pthread_mutex_t identity_lock; /* gRPC's threads fetch */
    char *server_cert, *server_key;
    const char *client_ca;
    unsigned fetches;
    bool no_identity;

    slc_rpc_method methods[5];
    slc_rpc_server *server;
    bool server_done;
    slc_rpc_channel *channel;
    struct peer streams[RIG_STREAMS_MAX]; /* the server's sides of /test.Test/Stream and /test.Test/Hang */
    size_t stream_count;
    struct peer unary; /* the server's side of the last /test.Test/Echo */
    int64_t idle_ms;   /* of servers that are made from now on; 0: never */
    bool streams_read; /* do new streams read at once? */
};

/* In two steps for a test that forks in between: what needs no thread, and the loop with gRPC. */
void rig_prepare(struct rig *rig);
void rig_start_rpc(struct rig *rig);
void rig_start(struct rig *rig); /* both */
/* Stops what is left, in order. */
void rig_stop(struct rig *rig);
void rig_server(struct rig *rig, bool require_client_cert);
void rig_server_at(struct rig *rig, const char *address, bool require_client_cert);
bool rig_try_server(struct rig *rig, const char *address, slc_error *err); /* one more; expected to fail */
void rig_server_stop(struct rig *rig, int64_t grace_ms);                   /* does not wait: server_done */
void rig_new_server_cert(struct rig *rig, const char *san);

slc_rpc_channel_options rig_channel_options(const struct rig *rig, const char *target);
slc_rpc_channel *rig_connect(struct rig *rig, uint16_t port); /* with the node's certificate */
slc_rpc_channel *rig_connect_with(struct rig *rig, uint16_t port, const char *cert, const char *key);
slc_rpc_channel *rig_connect_pinging(struct rig *rig, uint16_t port, int64_t keepalive_ms, int64_t timeout_ms);

void peer_call(struct peer *peer, slc_rpc_channel *channel, const char *method, int64_t deadline_ms);
void peer_send(struct peer *peer, const char *text);
/* Sends `count` numbered messages of `pad_bytes` and more, one after the other. */
void peer_send_numbered(struct peer *peer, unsigned count, size_t pad_bytes);
/* A whole unary call to Echo; true when the text came back with OK. */
bool rig_echo(struct rig *rig, slc_rpc_channel *channel, const char *text);
/* The status of a whole unary call. */
enum slc_rpc_status rig_echo_status(struct rig *rig, slc_rpc_channel *channel);

/* One turn of the loop; fails the test when `since_ms` is too long ago. */
void rig_turn(struct rig *rig, int64_t since_ms, const char *what);
#define WAIT_FOR(rig, condition)                                                                               \
    do {                                                                                                       \
        int64_t wait_since_ = slc_monotonic_ms();                                                              \
        while (!(condition))                                                                                   \
            rig_turn(rig, wait_since_, #condition);                                                            \
    } while (0)

#endif
