/* Who this gateway is: its key, certificate and what it trusts, in one file of the state directory, so that a
 * renewal is one atomic write. Private to dataplane/config; config thread. */
#ifndef SLC_DATAPLANE_CONFIG_IDENTITY_H
#define SLC_DATAPLANE_CONFIG_IDENTITY_H

#include <stdint.h>

#include "common/crypto.h"
#include "common/error.h"
#include "sluice/enrolment.pb-c.h"

#define SLC_IDENTITY_FILE       "identity.json"
#define SLC_CONTROL_SERVER_NAME "sluice-control"

typedef struct slc_identity {
    char *node_id;
    char *group;
    char *key_pem;
    char *certificate_pem; /* leaf first */
    char *bundle_pem;      /* CAs that are trusted */
    char *config_endpoint;
    char *enrolment_endpoint;
    char *server_name; /* in the control plane's certificates */
    int64_t not_before_ms, not_after_ms;
    int64_t obtained_ms; /* when it came, by this node's clock; 0: not known (an older file) */
    /* Random for the life of the state directory; in the file it is wrapped by a key that the node key yields.
     */
    uint8_t cache_key[SLC_SEAL_KEY_BYTES];
} slc_identity;

/* SLC_NOT_FOUND when there is no file; SLC_CORRUPT, with what to do, when it cannot be used. */
slc_identity *slc_identity_load(const char *state_dir, slc_error *err) SLC_CHECKED;
/* Replaces the file. */
bool slc_identity_save(const slc_identity *identity, const char *state_dir, slc_error *err) SLC_CHECKED;
/* From the control plane's answer and the key that was asked for; `previous` (may be NULL) lends its cache key.
 * Checks that the answer is whole and belongs to the key. */
slc_identity *slc_identity_from_answer(const Sluice__Enrolment__V1__Identity *answer, const char *key_pem,
                                       const char *enrolment_endpoint, const slc_identity *previous,
                                       slc_error *err) SLC_CHECKED;
void slc_identity_free(slc_identity *identity); /* NULL is fine */

#endif
