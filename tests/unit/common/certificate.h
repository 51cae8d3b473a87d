/* Certificates for tests, made on the spot. */
#ifndef SLC_TESTS_UNIT_COMMON_CERTIFICATE_H
#define SLC_TESTS_UNIT_COMMON_CERTIFICATE_H

#include <openssl/evp.h>
#include <openssl/x509.h>

struct certificate {
    EVP_PKEY *key;
    X509 *cert;
    char *key_pem;
    char *cert_pem;
};

/* P-256, for 127.0.0.1 and localhost, valid from now + `from_s` until now + `until_s`. Self-signed (a CA) when
 * `issuer` is NULL. */
void certificate_make(struct certificate *certificate, const char *name, long from_s, long until_s,
                      const struct certificate *issuer);
void certificate_release(struct certificate *certificate);

#endif
