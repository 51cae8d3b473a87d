/* Who is asking, on any protocol. */
#ifndef SLC_DATAPLANE_POLICY_PRINCIPAL_H
#define SLC_DATAPLANE_POLICY_PRINCIPAL_H

#include <stdbool.h>
#include <stdint.h>

typedef struct slc_principal {
    bool authenticated;
    const char *by; /* how, for logs: the type of the policy, or the SASL mechanism; NULL: not known. Static */
    const struct slc_token
        *token; /* that proved it over HTTP: borrowed from the request; NULL: something else */
    bool basic; /* a secret proved it, as HTTP Basic */
    char application_id[24];
    char application_name[64];
    char credential_id[24];
    char credential_lookup[128]; /* to look it up again after a configuration change */
    char plan_id[24];            /* the plan whose subscription granted the operation */
    char subscription_id[24];
    int64_t expires_at_ms;       /* of the credential and what proved it; 0: never */
    int64_t proof_expires_at_ms; /* of the token or the certificate; 0: never, or a secret proved it */
} slc_principal;

#endif
