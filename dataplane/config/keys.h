/* The node's key pair, and finding the control plane's CA by its pin. Private to dataplane/config; any thread.
 */
#ifndef SLC_DATAPLANE_CONFIG_KEYS_H
#define SLC_DATAPLANE_CONFIG_KEYS_H

#include <stdint.h>

#include "common/crypto.h"
#include "common/error.h"
#include "common/join.h"

/* A new P-256 private key as PEM; free with slc_free_secret. */
char *slc_key_generate(void);
/* A PKCS #10 request signed by it (DER, new). */
uint8_t *slc_key_request(const char *key_pem, size_t *len, slc_error *err) SLC_CHECKED;
/* ECDSA or RSA signature with SHA-256 (new). */
uint8_t *slc_key_sign(const char *key_pem, const void *data, size_t data_len, size_t *len,
                      slc_error *err) SLC_CHECKED;
/* A secret that only who has the key can derive: HKDF over its PKCS #8 encoding. */
bool slc_key_derive(const char *key_pem, const char *info, uint8_t out[SLC_SEAL_KEY_BYTES],
                    slc_error *err) SLC_CHECKED;
/* Does the first certificate of the chain hold this key's public half? Also tells its validity. */
bool slc_key_check_certificate(const char *key_pem, const char *chain_pem, int64_t *not_before_ms,
                               int64_t *not_after_ms, slc_error *err) SLC_CHECKED;

/* Is this a list of 1..8 CA certificates in PEM, and one of them has the pinned key? */
bool slc_key_check_bundle(const char *bundle_pem, const uint8_t pin[SLC_SHA256_BYTES],
                          slc_error *err) SLC_CHECKED;
/* Did the key of the bundle that is pinned sign the first certificate of the chain? */
bool slc_key_issued_by(const char *chain_pem, const char *bundle_pem, const uint8_t pin[SLC_SHA256_BYTES]);

/* Connects to the join string's endpoint, takes the certificates that the server shows, looks for the CA whose
 * public key is the pinned one, and verifies the server's certificate with that CA alone, for the name
 * `server_name`. Nothing secret is sent. Of the join string only the endpoint and the pin are used. Returns the
 * CA as PEM (new). Blocks for at most `timeout_ms`. SLC_DENIED when the pin does not match, or when the
 * certificate is right but not valid by this node's clock. */
char *slc_pin_fetch_ca(const slc_join *join, const char *server_name, int64_t timeout_ms,
                       slc_error *err) SLC_CHECKED;

#endif
