/* TLS towards a backend's brokers, by its settings. */
#ifndef SLC_DATAPLANE_BROKER_BACKEND_TLS_H
#define SLC_DATAPLANE_BROKER_BACKEND_TLS_H

#include <openssl/ssl.h>
#include <stdbool.h>

#include "common/error.h"
#include "dataplane/config/snapshot.h"

/* A client context: the backend's authorities (or the system's), its client certificate, and whether to verify.
 * NULL with `err` (SLC_INVALID, with a pointer into the backend cluster) when the settings cannot be used. Any
 * thread. */
SSL_CTX *slc_backend_tls_new(const Sluice__Snapshot__V1__ClientTls *settings, slc_error *err) SLC_CHECKED;

/* Names the server for SNI and for the check of its certificate: `server_name` of the settings, else `host`.
 * False when it cannot be a name. */
bool slc_backend_tls_expect(SSL *ssl, const Sluice__Snapshot__V1__ClientTls *settings, const char *host);

/* Why the handshake on `ssl` failed: the certificate's fault, or the library's last error, which is taken off
 * its queue. */
const char *slc_backend_tls_reason(SSL *ssl, const Sluice__Snapshot__V1__ClientTls *settings);

#endif
