/* Getting a connection to a broker ready: name, TCP, TLS, ApiVersions, and the backend's SASL credentials.
 * Everything on the worker's loop, nothing blocks, and all of it together has one deadline.
 */
#ifndef SLC_DATAPLANE_PROXY_DIAL_H
#define SLC_DATAPLANE_PROXY_DIAL_H

#include <event2/event.h>
#include <openssl/ssl.h>
#include <stdbool.h>

#include "common/buf.h"
#include "common/error.h"
#include "dataplane/config/snapshot.h"
#include "dataplane/kafka/api_versions_codec.h"

struct evdns_base;

typedef struct slc_dial slc_dial;

typedef struct slc_dial_options {
    struct event_base *base;
    struct evdns_base *dns;
    slc_backend *backend; /* a reference is taken */
    SSL_CTX *tls;         /* NULL: plain; a reference is taken */
    const char *host;     /* name or address */
    uint16_t port;
    bool authenticate; /* with the backend's credentials, if it has any */
    int64_t timeout_ms;
} slc_dial_options;

typedef struct slc_dialled {
    int fd;
    SSL *ssl;                               /* NULL: plain */
    const slc_kafka_api_versions *versions; /* what this broker can do; lives as long as the call */
    const slc_buf *features;                /* the tags that end its answer; likewise */
} slc_dialled;

/* Called once, from the loop and never from inside slc_dial_start. `dialled` NULL: `err` says why
 * (SLC_UNAVAILABLE, SLC_TIMEOUT, SLC_DENIED for refused credentials, SLC_INVALID for what is no Kafka). The
 * dial has gone afterwards. */
typedef void slc_dial_fn(void *ctx, const slc_dialled *dialled, const slc_error *err);

slc_dial *slc_dial_start(const slc_dial_options *options, slc_dial_fn *fn, void *ctx);
/* Instead of the call. */
void slc_dial_cancel(slc_dial *dial);

/* Splits "host:port" and "[v6]:port". */
bool slc_dial_parse(const char *address, char host[256], uint16_t *port);

#endif
