/* gRPC core (C) behind an event loop. The only directory that includes <grpc/...>.
 *
 * One process-wide poller thread owns one NEXT completion queue; a tag is `struct op {fn, ctx}`; the thread
 * only posts to the mailbox of the loop that owns the call, and every start_batch runs on that loop's thread,
 * so calls need no locks. All functions here are for the loop's thread unless they say otherwise, and callbacks
 * run there. slc_rpc_start / slc_rpc_stop bracket everything; no fork in between. Callbacks come from the loop,
 * never from within a function of this header (but for the on_end of calls that slc_rpc_stop still finds on
 * freed channels).
 *
 * Messages are bytes: callers pack and unpack protobuf-c themselves. Bytes that are sent to many streams are a
 * shared, refcounted slc_rpc_bytes: serialise once.
 */
#ifndef SLC_COMMON_RPC_H
#define SLC_COMMON_RPC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "common/loop.h"

typedef struct slc_rpc slc_rpc;               /* poller, queue, owning loop */
typedef struct slc_rpc_server slc_rpc_server; /* ports and methods */
typedef struct slc_rpc_channel slc_rpc_channel;
typedef struct slc_rpc_call slc_rpc_call;   /* one call, either side; unary or bidirectional stream */
typedef struct slc_rpc_bytes slc_rpc_bytes; /* immutable, atomically refcounted */

slc_rpc_bytes *slc_rpc_bytes_new(const void *data, size_t len); /* copies */
/* A message of which only the head is copied. `body` stays as it is until done(arg), which comes when the last
 * reference goes, on any thread. */
slc_rpc_bytes *slc_rpc_bytes_wrap(const void *head, size_t head_len, const void *body, size_t body_len,
                                  void (*done)(void *arg), void *arg);
slc_rpc_bytes *slc_rpc_bytes_ref(slc_rpc_bytes *bytes);
void slc_rpc_bytes_unref(slc_rpc_bytes *bytes);

slc_rpc *slc_rpc_start(slc_loop *loop, slc_error *err) SLC_CHECKED;
/* After every server is done and every channel has been freed (a server's `done` may be the place). Blocks
 * until the calls of freed channels have ended, a matter of a few wake-ups, and then the poller. Before
 * slc_loop_free. */
void slc_rpc_stop(slc_rpc *rpc);

/* gRPC status codes used here (google.rpc.Code). */
enum slc_rpc_status {
    SLC_RPC_OK = 0,
    SLC_RPC_CANCELLED = 1,
    SLC_RPC_UNKNOWN = 2,
    SLC_RPC_INVALID_ARGUMENT = 3,
    SLC_RPC_DEADLINE_EXCEEDED = 4,
    SLC_RPC_NOT_FOUND = 5,
    SLC_RPC_ALREADY_EXISTS = 6,
    SLC_RPC_PERMISSION_DENIED = 7,
    SLC_RPC_RESOURCE_EXHAUSTED = 8,
    SLC_RPC_FAILED_PRECONDITION = 9,
    SLC_RPC_ABORTED = 10,
    SLC_RPC_UNIMPLEMENTED = 12,
    SLC_RPC_INTERNAL = 13,
    SLC_RPC_UNAVAILABLE = 14,
    SLC_RPC_UNAUTHENTICATED = 16,
};
enum slc_rpc_status slc_code_rpc_status(enum slc_code code);
enum slc_code slc_rpc_status_code(enum slc_rpc_status status);

/* ---- calls, both sides ---- */
typedef struct slc_rpc_call_ops {
    /* A message arrived (borrowed bytes, valid during the callback). Reading pauses until slc_rpc_call_read is
     * called again: back-pressure is the owner's choice. */
    void (*on_message)(slc_rpc_call *call, void *ctx, const uint8_t *data, size_t len);
    /* The one message in flight was handed to the transport: the next may be sent. Not a delivery. May be NULL.
     */
    void (*on_sent)(slc_rpc_call *call, void *ctx);
    /* Server: the client half-closed, so no message follows; seen while reading. NULL: the call is finished for
     * you, with OK, or with INVALID_ARGUMENT when it brought no message at all. */
    void (*on_half_close)(slc_rpc_call *call, void *ctx);
    /* Called exactly once, last; the call is freed after it returns. `message` is never NULL. Client: the
     * server's status, after the messages that came before it: while some are unread it waits for
     * slc_rpc_call_read. Server: how the call ended (CANCELLED when the peer went away or cancelled;
     * RESOURCE_EXHAUSTED when its message was over the limit). */
    void (*on_end)(slc_rpc_call *call, void *ctx, enum slc_rpc_status status, const char *message);
} slc_rpc_call_ops;

void slc_rpc_call_set(slc_rpc_call *call, const slc_rpc_call_ops *ops, void *ctx);
void slc_rpc_call_read(slc_rpc_call *call);
/* One in flight at a time: a second send before on_sent is a bug. Takes its own reference. False when the call
 * has ended or was finished already. */
bool slc_rpc_call_send(slc_rpc_call *call, slc_rpc_bytes *bytes);
bool slc_rpc_call_can_send(const slc_rpc_call *call);
/* Server: ends the call with a status (after the message in flight). Client: half-closes when status is OK,
 * else cancels. Idempotent; on_end still comes, and after a server's finish or a client's cancel nothing but
 * on_end. `message` may be NULL. */
void slc_rpc_call_finish(slc_rpc_call *call, enum slc_rpc_status status, const char *message);
/* Who is at the other end. On a server from the start; on a client from its first message on (NULL, "" before).
 *
 * The peer's verified "spiffe://..." URI; NULL when it showed no certificate, or one with none or several URIs.
 * Borrowed, lives as long as the call. */
const char *slc_rpc_call_peer_spiffe(const slc_rpc_call *call);
/* The peer's leaf certificate (PEM) as verified, or NULL. Borrowed. */
const char *slc_rpc_call_peer_pem(const slc_rpc_call *call);
/* "ipv4:127.0.0.1:5000": for logs, never for identity. Borrowed. */
const char *slc_rpc_call_peer_address(const slc_rpc_call *call);

/* ---- server ---- */
typedef struct slc_rpc_method {
    const char *path; /* "/sluice.config.v1.Config/Stream" */
    /* A call arrived: set its ops with slc_rpc_call_set and start reading, or finish it. For a unary method:
     * read once, send once, finish OK. */
    void (*on_call)(slc_rpc_call *call, void *arg);
    void *arg;
} slc_rpc_method;

/* Certificates are asked for again at every handshake (hot reload): `fetch` fills PEM texts that the server
 * copies, and returns false to keep the last ones. Called on gRPC's threads: lock what it reads. */
typedef struct slc_rpc_server_identity {
    bool (*fetch)(void *arg, char **cert_chain_pem, char **key_pem,
                  char **client_ca_pem); /* malloc'd, stolen */
    void *arg;
    bool require_client_cert; /* mTLS (config, 8005) or server TLS only (enrolment, 8006) */
} slc_rpc_server_identity;

typedef struct slc_rpc_server_limits {
    int64_t receive_bytes;    /* per message: over it the call ends RESOURCE_EXHAUSTED */
    int64_t keepalive_min_ms; /* the shortest client ping interval that is tolerated */
    int64_t keepalive_ms;     /* our own pings */
    int64_t keepalive_timeout_ms;
    unsigned max_concurrent_streams_per_connection;
    int64_t memory_bytes; /* of what all connections of the server send and have not been read; 0: no limit.
                           * Over it gRPC ends streams until it fits. */
    int64_t idle_ms; /* a connection without a call for so long is closed; 0: never. Clients were seen to keep
                      * more of them than they have channels, after they had connected again and again to a
                      * server that was away (gRPC 1.51). */
} slc_rpc_server_limits;

/* `address` is "host:port", port 0 for a free one; a port that another server has is an error. `methods` ends
 * with a NULL path and must outlive the server; unknown methods answer UNIMPLEMENTED. Compressed messages are
 * refused on both sides: gRPC applies the limit before it inflates them. */
slc_rpc_server *slc_rpc_server_new(slc_rpc *rpc, const char *address, const slc_rpc_server_identity *identity,
                                   const slc_rpc_server_limits *limits, const slc_rpc_method *methods,
                                   slc_error *err) SLC_CHECKED;
uint16_t slc_rpc_server_port(const slc_rpc_server *server);
/* Stops accepting, gives open calls `grace_ms` (the owner finishes its streams meanwhile), cancels the rest,
 * frees, then calls done(arg) on the loop. */
void slc_rpc_server_stop(slc_rpc_server *server, int64_t grace_ms, void (*done)(void *arg), void *arg);

/* ---- client ---- */
typedef struct slc_rpc_channel_options {
    const char *target;         /* "host:port" */
    const char *server_name;    /* name checked in the server's certificate; NULL: the host of target */
    const char *ca_pem;         /* trust anchors (PEM, several allowed) */
    const char *cert_chain_pem; /* client certificate, or NULL */
    const char *key_pem;
    int64_t receive_bytes;
    int64_t keepalive_ms, keepalive_timeout_ms;
    int64_t reconnect_min_ms,
        reconnect_max_ms; /* between attempts; meanwhile calls fail at once with UNAVAILABLE */
} slc_rpc_channel_options;

slc_rpc_channel *slc_rpc_channel_new(slc_rpc *rpc, const slc_rpc_channel_options *options,
                                     slc_error *err) SLC_CHECKED;
/* Open calls are cancelled first; frees when the last has ended. */
void slc_rpc_channel_free(slc_rpc_channel *channel);
/* `deadline_ms` 0: infinite (streams only). Starts the call; set ops are required. */
slc_rpc_call *slc_rpc_channel_call(slc_rpc_channel *channel, const char *method, int64_t deadline_ms,
                                   const slc_rpc_call_ops *ops, void *ctx);

#endif
