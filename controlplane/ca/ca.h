/* The node CA: one P-256 key that signs gateway nodes' certificates and the certificate of the gRPC ports.
 *
 * The CA's key is sealed in the catalog and held in memory while the process lives. Thread safe: gRPC asks for
 * the server's certificate on its own threads.
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

#define SLC_CA_SERVER_NAME "sluice-control" /* always a DNS name of the server's certificate */
#define SLC_CA_LEAF_MS     (24 * 3600 * 1000LL)
#define SLC_CA_BACKDATE_MS (10 * 60 * 1000LL)
#define SLC_CA_RENEWAL_WINDOW_MS                                                                               \
    (30 * 24 * 3600 * 1000LL) /* how long after its expiry a certificate may renew */

typedef struct slc_ca_options {
    const char *trust_domain; /* of SPIFFE ids; NULL: "sluice" */
    const char
        *server_names;      /* more DNS names and IP addresses of the gRPC ports, comma separated; NULL: none */
    int64_t (*clock)(void); /* wall clock in ms; NULL: slc_wall_ms */
} slc_ca_options;

/* Loads the CA, or makes it on the first start. */
slc_ca *slc_ca_open(slc_catalog *catalog, const slc_ca_options *options, slc_error *err) SLC_CHECKED;
void slc_ca_free(slc_ca *ca);

/* SHA-256 of the CA's SubjectPublicKeyInfo: what join strings pin. */
void slc_ca_pin(const slc_ca *ca, uint8_t out[SLC_SHA256_BYTES]);
/* Every CA certificate that is trusted, PEM. Borrowed. */
const char *slc_ca_bundle_pem(const slc_ca *ca);
const char *slc_ca_trust_domain(const slc_ca *ca);

/* The current certificate of the gRPC ports, CA appended (so that a joining node can find the pinned key), and
 * its key; new strings. Renewed here when a third of its life is left. Fits slc_rpc_server_identity.fetch,
 * `arg` being the CA. client_ca_pem is the bundle. */
bool slc_ca_fetch_server(void *ca, char **cert_chain_pem, char **key_pem, char **client_ca_pem);

/* A node's leaf for the public key of a PKCS #10 request (nothing else of it is used; its signature must
 * verify, as proof of possession). Keys: P-256, P-384 or RSA of 2048..4096 bits. Returns PEM (new) and the end
 * of validity. */
char *slc_ca_issue(slc_ca *ca, const char *group, const char *node_id, const uint8_t *csr_der, size_t csr_len,
                   int64_t *not_after_ms, slc_error *err) SLC_CHECKED;

/* Who a SPIFFE id of this trust domain names. */
typedef struct slc_ca_node {
    char group[64];
    char node_id[24];
} slc_ca_node;
bool slc_ca_parse_spiffe(const slc_ca *ca, const char *spiffe, slc_ca_node *node, slc_error *err) SLC_CHECKED;

/* Is this a certificate that this CA issued to a node, at most `expired_ms` past its end? On success also
 * checks `signature` over `signed_data` with the certificate's key (SHA-256). */
bool slc_ca_check_renewal(slc_ca *ca, const char *certificate_pem, int64_t expired_ms, const void *signed_data,
                          size_t signed_len, const void *signature, size_t signature_len, slc_ca_node *node,
                          slc_error *err) SLC_CHECKED;

#endif
