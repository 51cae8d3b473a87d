/* Making and reading certificates with OpenSSL. Private to controlplane/ca. All functions are thread safe. */
#ifndef SLC_CONTROLPLANE_CA_X509_H
#define SLC_CONTROLPLANE_CA_X509_H

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdint.h>

#include "common/crypto.h"
#include "common/error.h"

typedef struct slc_x509_spec {
    const char *common_name;
    const char *subject_alt_name; /* OpenSSL's notation: "DNS:a,IP:::1,URI:spiffe://..."; NULL for a CA */
    const char *usage;            /* extended key usage: "serverAuth", "clientAuth"; NULL for a CA */
    X509 *certified; /* an authority that is to be certified by another: its name is taken; else NULL */
    int64_t not_before_ms, not_after_ms;
} slc_x509_spec;

EVP_PKEY *slc_x509_new_key(void); /* P-256 */
/* Signs `subject_key` as a leaf by the issuer; as a CA by itself when `issuer` is NULL; as a CA by the issuer
 * when the spec has `certified`. */
X509 *slc_x509_sign(const slc_x509_spec *spec, EVP_PKEY *subject_key, X509 *issuer, EVP_PKEY *issuer_key,
                    slc_error *err) SLC_CHECKED;

/* New NUL-terminated text; free keys with slc_free_secret. */
char *slc_x509_cert_pem(X509 *certificate);
char *slc_x509_key_pem(EVP_PKEY *key);
X509 *slc_x509_read_cert(const char *pem, slc_error *err) SLC_CHECKED;
EVP_PKEY *slc_x509_read_key(const char *pem, size_t len, slc_error *err) SLC_CHECKED;

void slc_x509_pin(X509 *certificate, uint8_t out[SLC_SHA256_BYTES]); /* SHA-256 of its SubjectPublicKeyInfo */
int64_t slc_x509_not_before_ms(X509 *certificate);
int64_t slc_x509_not_after_ms(X509 *certificate);
/* Hexadecimal; new. */
char *slc_x509_serial(X509 *certificate);
/* The one URI among its alternative names; false when there is none or more than one. */
bool slc_x509_uri(X509 *certificate, char *out, size_t size);

#endif
