/* Talking to an OpenID provider (OpenID Connect Core 1.0): discovery, the code's exchange, and what the answers
 * prove. Every function may wait for the network, for `timeout_ms` for each request: on the catalog's task
 * threads.
 */
#ifndef SLC_CONTROLPLANE_PORTAL_PROVIDER_H
#define SLC_CONTROLPLANE_PORTAL_PROVIDER_H

#include <jansson.h>
#include <stdint.h>

#include "catalog/federation.h"

typedef struct slc_provider_client {
    const slc_provider *provider;
    int64_t timeout_ms; /* of one request */
    int64_t max_bytes;  /* of one answer */
    int64_t skew_ms;    /* how far its clock may be off */
} slc_provider_client;

/* Its discovery document, with the endpoints that are needed: new. SLC_UNAVAILABLE. */
json_t *slc_provider_discover(const slc_provider_client *client, slc_error *err) SLC_CHECKED;

typedef struct slc_provider_code {
    const char *code, *redirect_uri;
    const char *verifier; /* RFC 7636 */
    const char *nonce;    /* that the ID token must have */
} slc_provider_code;

/* Exchanges the code and verifies the ID token: its claims with those of the user info endpoint, if there is
 * one: new. SLC_UNAUTHENTICATED when the provider refuses or proves nothing, SLC_UNAVAILABLE when it cannot be
 * reached. */
json_t *slc_provider_exchange(const slc_provider_client *client, const json_t *discovered,
                              const slc_provider_code *code, slc_error *err) SLC_CHECKED;

#endif
