#include "certs.h"

#include <check.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"

struct test_ca {
    X509 *cert;
    EVP_PKEY *key;
    char *pem;
};

static char *bio_text(BIO *bio)
{
    char *data = NULL;
    long len = BIO_get_mem_data(bio, &data);
    char *text = slc_strndup(data, (size_t)len);
    BIO_free(bio);
    return text;
}

static char *cert_text(X509 *cert)
{
    BIO *bio = BIO_new(BIO_s_mem());
    ck_assert_int_eq(PEM_write_bio_X509(bio, cert), 1);
    return bio_text(bio);
}

static char *key_text(EVP_PKEY *key)
{
    BIO *bio = BIO_new(BIO_s_mem());
    ck_assert_int_eq(PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL), 1);
    return bio_text(bio);
}

static void add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    ck_assert_ptr_nonnull(extension);
    X509_add_ext(cert, extension, -1);
    X509_EXTENSION_free(extension);
}

static X509 *cert_new(const char *name, EVP_PKEY *key, X509 *issuer)
{
    X509 *cert = X509_new();
    uint64_t serial = 0;
    ck_assert_int_eq(RAND_bytes((unsigned char *)&serial, sizeof(serial)), 1);
    X509_set_version(cert, 2);
    ASN1_INTEGER_set_uint64(X509_get_serialNumber(cert), serial >> 1);
    X509_gmtime_adj(X509_getm_notBefore(cert), -600);
    X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_UTF8, (const unsigned char *)name,
                               -1, -1, 0);
    X509_set_issuer_name(cert, X509_get_subject_name(issuer != NULL ? issuer : cert));
    X509_set_pubkey(cert, key);
    return cert;
}

test_ca *test_ca_new(const char *name)
{
    test_ca *ca = slc_calloc(1, sizeof(*ca));
    ca->key = EVP_EC_gen("P-256");
    ca->cert = cert_new(name, ca->key, NULL);
    add_extension(ca->cert, ca->cert, NID_basic_constraints, "critical,CA:TRUE");
    add_extension(ca->cert, ca->cert, NID_key_usage, "critical,keyCertSign,cRLSign");
    add_extension(ca->cert, ca->cert, NID_subject_key_identifier, "hash");
    ck_assert_int_gt(X509_sign(ca->cert, ca->key, EVP_sha256()), 0);
    ca->pem = cert_text(ca->cert);
    return ca;
}

void test_ca_free(test_ca *ca)
{
    X509_free(ca->cert);
    EVP_PKEY_free(ca->key);
    free(ca->pem);
    free(ca);
}

const char *test_ca_pem(const test_ca *ca)
{
    return ca->pem;
}

void test_ca_issue(test_ca *ca, const char *name, const char *san, char **cert_pem, char **key_pem)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = cert_new(name, key, ca->cert);
    add_extension(cert, ca->cert, NID_basic_constraints, "critical,CA:FALSE");
    /* Tells CAs of one name apart, as after a change of the CA's key. */
    add_extension(cert, ca->cert, NID_authority_key_identifier, "keyid:always");
    if (san != NULL)
        add_extension(cert, ca->cert, NID_subject_alt_name, san);
    ck_assert_int_gt(X509_sign(cert, ca->key, EVP_sha256()), 0);
    *cert_pem = cert_text(cert);
    *key_pem = key_text(key);
    X509_free(cert);
    EVP_PKEY_free(key);
}
