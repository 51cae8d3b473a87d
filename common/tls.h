/* TLS contexts over OpenSSL 3, with certificates that can be replaced while connections live. */
#ifndef SLC_COMMON_TLS_H
#define SLC_COMMON_TLS_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"

typedef struct slc_tls slc_tls; /* shared: ref/unref from any thread */

typedef struct slc_tls_options {
    const char *cert_file; /* PEM chain, leaf first; or cert_pem */
    const char *key_file;  /* PEM; or key_pem */
    const char *cert_pem;
    const char *key_pem;
    const char *client_ca_file; /* server: verify client certificates against it; NULL: none asked for */
    const char *client_ca_pem;
    bool client_cert_required;
    const char *min_version; /* "1.2" (default) or "1.3" */
    const char *alpn;        /* comma separated, in order of preference; NULL: none */
} slc_tls_options;

/* A server context. Checks that key and certificate match and that the certificate is in its validity period (a
 * warning in the log when not). NULL on error, which names the file. Secure defaults: TLS 1.2+, no
 * renegotiation, no compression, server preference, session tickets on. */
slc_tls *slc_tls_server_new(const slc_tls_options *options, slc_error *err) SLC_CHECKED;
slc_tls *slc_tls_ref(slc_tls *tls);
void slc_tls_unref(slc_tls *tls);

/* Loads the files again and, if they are good, serves them to new connections; live ones go on. False keeps the
 * old. */
bool slc_tls_reload(slc_tls *tls, slc_error *err) SLC_CHECKED;

/* New connections of `tls` get what `fresh` would give them (a certificate that came with a new configuration);
 * live ones go on. A later reload of `tls` reads its own files again. */
void slc_tls_adopt(slc_tls *tls, slc_tls *fresh);

/* The end of the certificate that is shown, wall clock; 0 when it cannot be told. Any thread. */
int64_t slc_tls_expiry_ms(slc_tls *tls);

/* A new SSL in accept state for one connection; the caller frees it, before its reference to `tls`. Any thread.
 */
SSL *slc_tls_accept(slc_tls *tls);

#endif
