/* The node CA: P-256 keys that sign gateway nodes' certificates and the certificate of the gRPC ports.
 *
 * One authority is active and signs; after a rotation the former one is still trusted until it is retired
 * (docs/decisions/0006-node-ca-rotation.md). Keys are sealed in the catalog and held in memory while the
 * process lives. Thread safe: gRPC asks for the server's certificate on its own threads.
 */
#ifndef SLC_CONTROLPLANE_CA_H
#define SLC_CONTROLPLANE_CA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "catalog/catalog.h"
#include "common/crypto.h"
#include "common/error.h"

typedef struct slc_ca slc_ca;

#define SLC_CA_SERVER_NAME  "sluice-control" /* always a DNS name of the server's certificate */
#define SLC_CA_ID_CHARS     16
#define SLC_CA_SERIAL_CHARS 40

typedef struct slc_ca_options {
    const char *trust_domain; /* of SPIFFE ids; NULL: "sluice" */
    /* More DNS names and IP addresses of the gRPC ports, comma separated; NULL: none */
    const char *server_names;
    int64_t (*clock)(void);    /* wall clock in ms; NULL: slc_wall_ms */
    int64_t leaf_ms;           /* life of a node's certificate; 0: 24 h */
    int64_t authority_ms;      /* life of an authority; 0: ten years */
    int64_t renewal_window_ms; /* how long after its end a certificate may renew; -1: 30 days */
    int64_t skew_ms;           /* how far nodes' clocks may be off; certificates begin that early; -1: 10 min */
} slc_ca_options;

/* Loads the CA, or makes it on the first start. A certificate must live at least twice as long as clocks may
 * differ, and an authority longer than what it signs: SLC_INVALID. */
slc_ca *slc_ca_open(slc_catalog *catalog, const slc_ca_options *options, slc_error *err) SLC_CHECKED;
void slc_ca_free(slc_ca *ca);

/* SHA-256 of the active authority's SubjectPublicKeyInfo: what new join strings pin. */
void slc_ca_pin(slc_ca *ca, uint8_t out[SLC_SHA256_BYTES]);
/* The same as the transaction sees it, which may be newer than what the process has loaded. */
bool slc_ca_stored_pin(slc_txn *txn, uint8_t out[SLC_SHA256_BYTES], slc_error *err) SLC_CHECKED;
/* Every authority that is trusted, PEM: new. `pin` (may be NULL) gets the active one's. */
char *slc_ca_bundle(slc_ca *ca, uint8_t pin[SLC_SHA256_BYTES]);
const char *slc_ca_trust_domain(const slc_ca *ca);
int64_t slc_ca_expiry_ms(slc_ca *ca); /* of the active authority */
int64_t slc_ca_now_ms(const slc_ca *ca);
int64_t slc_ca_skew_ms(const slc_ca *ca);

/* The current certificate of the gRPC ports with what a peer needs to find the key that it pins or trusts, and
 * its key; new strings. Renewed here when a third of its life is left, and after a rotation or a retirement.
 * Fits slc_rpc_server_identity.fetch, `arg` being the CA. client_ca_pem is the bundle. */
bool slc_ca_fetch_server(void *ca, char **cert_chain_pem, char **key_pem, char **client_ca_pem);

typedef struct slc_ca_leaf {
    char *pem;                            /* new */
    char serial[SLC_CA_SERIAL_CHARS + 1]; /* hexadecimal */
    char authority[SLC_CA_ID_CHARS + 1];  /* who signed it */
    int64_t not_after_ms;
} slc_ca_leaf;

/* A node's leaf for the public key of a PKCS #10 request (nothing else of it is used; its signature must
 * verify, as proof of possession). Keys: P-256, P-384 or RSA of 2048..4096 bits. */
bool slc_ca_issue(slc_ca *ca, const char *group, const char *node_id, const uint8_t *csr_der, size_t csr_len,
                  slc_ca_leaf *leaf, slc_error *err) SLC_CHECKED;

/* Who a SPIFFE id of this trust domain names. */
typedef struct slc_ca_node {
    char group[64];
    char node_id[24];
} slc_ca_node;
bool slc_ca_parse_spiffe(const slc_ca *ca, const char *spiffe, slc_ca_node *node, slc_error *err) SLC_CHECKED;

/* Is this a certificate that a trusted authority issued to a node, within the renewal window? On success also
 * checks `signature` over `signed_data` with the certificate's key (SHA-256). */
bool slc_ca_check_renewal(slc_ca *ca, const char *certificate_pem, const void *signed_data, size_t signed_len,
                          const void *signature, size_t signature_len, slc_ca_node *node,
                          slc_error *err) SLC_CHECKED;

/* ---- rotation, inside a transaction of the catalog ---- */

/* Makes a new active authority; the former one is retiring. SLC_CONFLICT while another still is. Takes effect
 * with slc_ca_sync, after the commit. */
bool slc_ca_rotate(slc_ca *ca, slc_txn *txn, slc_error *err) SLC_CHECKED;
/* Ends the trust in the retiring authority and erases its key. SLC_CONFLICT when there is none, or when nodes
 * hold certificates of it that they could still use or renew, unless `force`. */
bool slc_ca_retire(slc_ca *ca, slc_txn *txn, bool force, slc_error *err) SLC_CHECKED;
/* Retires by itself what nobody can need any more, at the earliest `after_ms` after the rotation; and what has
 * expired. `*retired` tells whether it did. */
bool slc_ca_retire_if_unused(slc_ca *ca, slc_txn *txn, int64_t after_ms, bool *retired,
                             slc_error *err) SLC_CHECKED;
/* Every authority there was, oldest first, with how many nodes hold certificates of it: new. */
json_t *slc_ca_describe(slc_ca *ca, slc_txn *txn, slc_error *err) SLC_CHECKED;
/* Loads what the transaction sees; `*changed` tells whether it differs from before. In a read transaction. */
bool slc_ca_sync(slc_ca *ca, slc_txn *txn, bool *changed, slc_error *err) SLC_CHECKED;

#endif
