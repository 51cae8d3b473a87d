/* A whole control plane in one process, and nodes that speak to it as raw as a test wants: real gRPC, real TLS.
 * The test's thread turns the nodes' loop (WAIT_FOR); the control plane has its own threads. */
#ifndef SLC_TEST_CONTROL_PLANE_H
#define SLC_TEST_CONTROL_PLANE_H

#include <stdbool.h>
#include <stdint.h>

#include "../catalog/fixture.h"
#include "common/clock.h"
#include "common/join.h"
#include "common/rpc/rpc.h"
#include "controlplane/grpc/grpc.h"
#include "sluice/config.pb-c.h"
#include "sluice/enrolment.pb-c.h"

struct plane {
    slc_control_grpc *grpc;
    slc_control_grpc_options options;
    slc_loop *loop;
    slc_rpc *rpc;
    struct event *tick;
    char *ca_pem;
    int64_t node_clock_off_ms; /* what nodes say that the time is, besides the time */
};

/* Starts with the sample: group dev with orders.v1, plan orders.free, application demo, subscribed, one
 * credential. */
void plane_start(struct plane *plane);
void plane_stop(struct plane *plane);
void plane_restart(struct plane *plane);                  /* the control plane alone; ports stay */
char *plane_token(struct plane *plane, const char *body); /* an enrolment token; new */
char *plane_join(struct plane *plane, const char *body);  /* a join string; new */

void plane_turn(struct plane *plane, int64_t since_ms, const char *what);
#define WAIT_FOR(plane, condition)                                                                             \
    do {                                                                                                       \
        int64_t since_ = slc_monotonic_ms();                                                                   \
        while (!(condition))                                                                                   \
            plane_turn(plane, since_, #condition);                                                             \
    } while (0)

/* ---- unary calls to the enrolment port ---- */
struct answer {
    bool ended;
    enum slc_rpc_status status;
    char message[400];
    char *node_id, *group, *certificate_pem, *bundle_pem; /* new; NULL without an answer */
};
void plane_enrol(struct plane *plane, const char *token, const char *key_pem, struct answer *answer);
/* Sends the request without waiting: WAIT_FOR answer->ended. The channel is the caller's to free. */
slc_rpc_channel *plane_enrol_begin(struct plane *plane, const char *token, const char *key_pem,
                                   struct answer *answer);
void plane_renew(struct plane *plane, const Sluice__Enrolment__V1__RenewRequest *request,
                 struct answer *answer);
void answer_release(struct answer *answer);

/* ---- a node ---- */
struct node {
    struct plane *plane;
    char *key_pem;
    struct answer identity;
    slc_rpc_channel *channel;
    slc_rpc_call *call; /* NULL: ended */
    unsigned welcomes, pushes, chunks, questions;
    unsigned group_size; /* as it was last told; 0: it was not */
    char question[80];   /* the last one's id */
    size_t chunk_bytes;
    bool ended;
    enum slc_rpc_status status;
    char message[400];
    /* The last push. */
    char nonce[64];
    uint8_t digest[32];
    Sluice__Snapshot__V1__Manifest *manifest;
    /* Waiting to be sent. */
    slc_rpc_bytes *queue[1024];
    size_t queue_head, queue_len;
};

void node_enrol(struct plane *plane, struct node *node);
void node_free(struct node *node);
void node_connect(struct node *node);
void node_disconnect(struct node *node);
void node_send(struct node *node, const Sluice__Config__V1__FromNode *message);
void node_send_bytes(struct node *node, const void *data, size_t len);
void node_hello(struct node *node, const uint8_t *held);
void node_request(struct node *node, const char *nonce, const ProtobufCBinaryData *digests, size_t count);
void node_request_all(struct node *node); /* what the manifest lists */
void node_ack(struct node *node, const char *nonce);
void node_nack(struct node *node, const char *entity, const char *why);
void node_status(struct node *node);
void node_retried(struct node *node, bool applied, const char *why);
/* `count` connections as one part of the answer to `question`. */
void node_connections(struct node *node, const char *question, size_t count, bool last);
/* Enrols, connects, says Hello, takes the current version and acknowledges it. */
void node_settle(struct plane *plane, struct node *node);

/* A change that every node of the group gets. */
void plane_change(void);
/* Does GET /v1/gateway-nodes show this value in the node's field? */
bool node_has(const struct node *node, const char *field, const char *value);
bool node_applied(const struct node *node, uint64_t version);
/* Its refusal that is on record; NULL: any. */
bool node_has_nack(const struct node *node, const char *message);

#endif
