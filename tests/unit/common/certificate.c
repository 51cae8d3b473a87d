#include "tests/unit/common/certificate.h"

#include <check.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"

static void add_extension(X509 *cert, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, cert, cert, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    ck_assert_ptr_nonnull(extension);
    X509_add_ext(cert, extension, -1);
    X509_EXTENSION_free(extension);
}

static char *to_text(BIO *bio)
{
    char *data;
    long len = BIO_get_mem_data(bio, &data);
    char *text = slc_strndup(data, (size_t)len);
    BIO_free(bio);
    return text;
}

void certificate_make(struct certificate *certificate, const char *name, long from_s, long until_s,
                      const struct certificate *issuer)
{
    long serial;
    X509 *cert = X509_new();
    certificate->key = EVP_EC_gen("P-256");
    certificate->cert = cert;
    ck_assert_ptr_nonnull(certificate->key);
    RAND_bytes((unsigned char *)&serial, sizeof serial);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), serial & 0x7FFFFFFF);
    X509_set_version(cert, X509_VERSION_3);
    X509_gmtime_adj(X509_getm_notBefore(cert), from_s);
    X509_gmtime_adj(X509_getm_notAfter(cert), until_s);
    X509_set_pubkey(cert, certificate->key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC, (const unsigned char *)name, -1,
                               -1, 0);
    X509_set_issuer_name(cert, X509_get_subject_name(issuer != NULL ? issuer->cert : cert));
    add_extension(cert, NID_subject_alt_name, "IP:127.0.0.1,DNS:localhost");
    add_extension(cert, NID_basic_constraints, issuer != NULL ? "CA:FALSE" : "critical,CA:TRUE");
    ck_assert_int_gt(X509_sign(cert, issuer != NULL ? issuer->key : certificate->key, EVP_sha256()), 0);

    BIO *bio = BIO_new(BIO_s_mem());
    PEM_write_bio_X509(bio, cert);
    certificate->cert_pem = to_text(bio);
    bio = BIO_new(BIO_s_mem());
    PEM_write_bio_PrivateKey(bio, certificate->key, NULL, NULL, 0, NULL, NULL);
    certificate->key_pem = to_text(bio);
}

void certificate_release(struct certificate *certificate)
{
    EVP_PKEY_free(certificate->key);
    X509_free(certificate->cert);
    free(certificate->key_pem);
    free(certificate->cert_pem);
}
