/* The certificate that a TLS client has proved to have, as credentials match it. */
#ifndef SLC_DATAPLANE_IDENTITY_CERTIFICATE_H
#define SLC_DATAPLANE_IDENTITY_CERTIFICATE_H

#include <openssl/ssl.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/lookup.h"

#define SLC_CERTIFICATE_MAX_NAMES 32 /* subject alternative names that are looked at: more are left out */

typedef struct slc_certificate {
    /* Keys of the credentials that would take it: fingerprint, subject, alternative names (DNS, URI, email,
     * IP). */
    char lookups[SLC_CERTIFICATE_MAX_NAMES + 2][SLC_LOOKUP_MAX + 1];
    const char *properties[SLC_CERTIFICATE_MAX_NAMES + 2]; /* which each is of: "dns" */
    size_t lookup_count;
    char subject[256];  /* RFC 2253, cut: for the log */
    int64_t expires_ms; /* wall clock */
} slc_certificate;

/* NULL: the client brought none, or it was not verified. Read when first asked for, and kept with the
 * connection. The connection's thread. */
const slc_certificate *slc_certificate_of(SSL *ssl);

#endif
