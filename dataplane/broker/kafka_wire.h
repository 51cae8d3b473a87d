/* One connection to one Kafka broker for the gateway's own few questions, over which librdkafka has no say:
 * plain or TLS, authenticated by what the backend's configuration says. Calls block, each until a deadline, and
 * belong to one thread; another thread may break them by making `cancel_fd` readable.
 */
#ifndef SLC_DATAPLANE_BROKER_KAFKA_WIRE_H
#define SLC_DATAPLANE_BROKER_KAFKA_WIRE_H

#include <openssl/ssl.h>
#include <sys/socket.h>

#include "common/buf.h"
#include "common/error.h"
#include "dataplane/broker/kafka_token.h"
#include "dataplane/config/snapshot.h"
#include "dataplane/kafka/api_versions_codec.h"

#define SLC_KAFKA_WIRE_CLIENT    "sluice"
#define SLC_KAFKA_WIRE_MAX_FRAME (64UL * 1024 * 1024) /* metadata of a large cluster */

/* The access token of one backend, for all of its connections. Shared, any thread. */

typedef struct slc_kafka_wire {
    const slc_backend *backend; /* borrowed */
    slc_kafka_tokens *tokens;   /* borrowed */
    int cancel_fd;              /* an eventfd, borrowed; -1: none */
    int fd;                     /* -1: closed */
    SSL_CTX *tls;
    SSL *ssl;
    int64_t deadline_ms; /* monotonic; of everything that blocks */
    int32_t correlation; /* of the last request */
    int64_t renew_ms;    /* monotonic; 0: never: the broker wants a new authentication then (KIP-368) */
    char peer[300];      /* host:port, for messages */
    slc_kafka_api_versions versions;
    slc_buf out; /* the request that is being made */
    slc_buf in;  /* the last answer, without its length */
} slc_kafka_wire;

void slc_kafka_wire_init(slc_kafka_wire *wire, const slc_backend *backend, slc_kafka_tokens *tokens,
                         int cancel_fd);
void slc_kafka_wire_release(slc_kafka_wire *wire);

/* Connects to `server` ("host:port"), authenticates, asks for ApiVersions. False: closed again. Errors:
 * SLC_UNAVAILABLE, SLC_TIMEOUT, SLC_DENIED for refused credentials, SLC_INVALID for unusable configuration or
 * answers. */
bool slc_kafka_wire_open(slc_kafka_wire *wire, const char *server, slc_error *err) SLC_CHECKED;
/* The same to an address that was resolved already; `host` is the name that certificates must be for. */
bool slc_kafka_wire_open_at(slc_kafka_wire *wire, const struct sockaddr *address, socklen_t len,
                            const char *host, slc_error *err) SLC_CHECKED;
void slc_kafka_wire_close(slc_kafka_wire *wire);

/* For the next request's frame. */
int32_t slc_kafka_wire_next_id(slc_kafka_wire *wire);
/* Sends what is in `out` and reads the answer into `in`. False: closed; the answer must not be believed. */
bool slc_kafka_wire_call(slc_kafka_wire *wire, slc_error *err) SLC_CHECKED;
/* For who carries bytes of others: bytes moved, 0 when none can be now, -1 when the connection has ended. */
long slc_kafka_wire_try(slc_kafka_wire *wire, void *data, size_t len, bool write);
/* Bytes that have arrived and that poll does not tell of. */
bool slc_kafka_wire_has_more(const slc_kafka_wire *wire);
/* Does the broker take this version of the request? */
bool slc_kafka_wire_knows(const slc_kafka_wire *wire, int key, int version);

/* kafka_wire_tls.c: the handshake on the connected socket. */
bool slc_kafka_wire_start_tls(slc_kafka_wire *wire, const char *host, slc_error *err) SLC_CHECKED;
/* kafka_wire_sasl.c */
bool slc_kafka_wire_authenticate(slc_kafka_wire *wire, slc_error *err) SLC_CHECKED;
/* Waits until the socket is ready for `events` (POLLIN, POLLOUT). */
bool slc_kafka_wire_wait(slc_kafka_wire *wire, short events, slc_error *err) SLC_CHECKED;

#endif
