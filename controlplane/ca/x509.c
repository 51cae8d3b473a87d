/* Certificates with OpenSSL. */
#include "controlplane/ca/x509.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/assert.h"

#define SERIAL_BYTES 16

static bool fail_openssl(slc_error *err, const char *what)
{
    unsigned long code = ERR_peek_last_error();
    const char *reason = code != 0 ? ERR_reason_error_string(code) : NULL;
    ERR_clear_error();
    return slc_fail(err, SLC_INVALID, NULL, "%s: %s", what, reason != NULL ? reason : "not usable");
}

EVP_PKEY *slc_x509_new_key(void)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    SLC_BUG_ON(key == NULL);
    return key;
}

static bool add_extension(X509 *certificate, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    bool ok = extension != NULL && X509_add_ext(certificate, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return ok;
}

static bool set_serial(X509 *certificate)
{
    uint8_t bytes[SERIAL_BYTES];
    slc_random(bytes, sizeof bytes);
    bytes[0] = (uint8_t)((bytes[0] & 0x7f) | 0x40); /* positive and of full length (RFC 5280 section 4.1.2.2) */
    BIGNUM *number = BN_bin2bn(bytes, sizeof bytes, NULL);
    bool ok = number != NULL && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != NULL;
    BN_free(number);
    return ok;
}

static bool set_names(X509 *certificate, const slc_x509_spec *spec, X509 *issuer)
{
    X509_NAME *name =
        spec->certified != NULL ? X509_NAME_dup(X509_get_subject_name(spec->certified)) : X509_NAME_new();
    bool ok = name != NULL &&
              (spec->certified != NULL ||
               X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)spec->common_name,
                                          -1, -1, 0) == 1) &&
              X509_set_subject_name(certificate, name) == 1 &&
              X509_set_issuer_name(certificate, issuer != NULL ? X509_get_subject_name(issuer) : name) == 1;
    X509_NAME_free(name);
    return ok;
}

static bool set_validity(X509 *certificate, const slc_x509_spec *spec)
{
    return ASN1_TIME_set(X509_getm_notBefore(certificate), (time_t)(spec->not_before_ms / 1000)) != NULL &&
           ASN1_TIME_set(X509_getm_notAfter(certificate), (time_t)(spec->not_after_ms / 1000)) != NULL;
}

static bool add_extensions(X509 *certificate, const slc_x509_spec *spec, X509 *issuer)
{
    X509 *by = issuer != NULL ? issuer : certificate;
    bool ca = issuer == NULL || spec->certified != NULL;
    /* An authority may certify one below it, its predecessor; that one only leaves. */
    const char *constraints = issuer == NULL ? "critical,CA:TRUE,pathlen:1"
                              : ca           ? "critical,CA:TRUE,pathlen:0"
                                             : "critical,CA:FALSE";
    return add_extension(certificate, by, NID_basic_constraints, constraints) &&
           add_extension(certificate, by, NID_key_usage,
                         ca ? "critical,keyCertSign,cRLSign" : "critical,digitalSignature") &&
           add_extension(certificate, by, NID_subject_key_identifier, "hash") &&
           add_extension(certificate, by, NID_authority_key_identifier, "keyid") &&
           (spec->usage == NULL || add_extension(certificate, by, NID_ext_key_usage, spec->usage)) &&
           (spec->subject_alt_name == NULL ||
            add_extension(certificate, by, NID_subject_alt_name, spec->subject_alt_name));
}

X509 *slc_x509_sign(const slc_x509_spec *spec, EVP_PKEY *subject_key, X509 *issuer, EVP_PKEY *issuer_key,
                    slc_error *err)
{
    X509 *certificate = X509_new();
    SLC_BUG_ON(certificate == NULL);
    bool ok = X509_set_version(certificate, X509_VERSION_3) == 1 && set_serial(certificate) &&
              set_names(certificate, spec, issuer) && set_validity(certificate, spec) &&
              X509_set_pubkey(certificate, subject_key) == 1 && add_extensions(certificate, spec, issuer) &&
              X509_sign(certificate, issuer_key, EVP_sha256()) > 0;
    if (ok)
        return certificate;
    X509_free(certificate);
    fail_openssl(err, "cannot make a certificate");
    return NULL;
}

static char *take_text(BIO *bio)
{
    char *data = NULL;
    long len = BIO_get_mem_data(bio, &data);
    char *text = slc_strndup(data, (size_t)len);
    OPENSSL_cleanse(data, (size_t)len);
    BIO_free(bio);
    return text;
}

char *slc_x509_cert_pem(X509 *certificate)
{
    BIO *bio = BIO_new(BIO_s_mem());
    SLC_BUG_ON(bio == NULL || PEM_write_bio_X509(bio, certificate) != 1);
    return take_text(bio);
}

char *slc_x509_key_pem(EVP_PKEY *key)
{
    BIO *bio = BIO_new(BIO_s_mem());
    SLC_BUG_ON(bio == NULL || PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) != 1);
    return take_text(bio);
}

X509 *slc_x509_read_cert(const char *pem, slc_error *err)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    X509 *certificate = bio != NULL ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
    BIO_free(bio);
    if (certificate == NULL)
        fail_openssl(err, "this is no PEM certificate");
    return certificate;
}

static int no_passphrase(char *buf, int size, int rwflag, void *arg)
{
    (void)buf, (void)size, (void)rwflag, (void)arg;
    return -1;
}

EVP_PKEY *slc_x509_read_key(const char *pem, size_t len, slc_error *err)
{
    BIO *bio = BIO_new_mem_buf(pem, (int)len);
    EVP_PKEY *key = bio != NULL ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL;
    BIO_free(bio);
    if (key == NULL)
        fail_openssl(err, "this is no PEM private key");
    return key;
}

void slc_x509_pin(X509 *certificate, uint8_t out[SLC_SHA256_BYTES])
{
    unsigned char *der = NULL;
    int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &der);
    SLC_BUG_ON(len <= 0);
    slc_sha256(der, (size_t)len, out);
    OPENSSL_free(der);
}

static int64_t wall_ms(const ASN1_TIME *time)
{
    struct tm tm;
    memset(&tm, 0, sizeof tm);
    SLC_BUG_ON(ASN1_TIME_to_tm(time, &tm) != 1);
    return (int64_t)timegm(&tm) * 1000;
}

int64_t slc_x509_not_before_ms(X509 *certificate)
{
    return wall_ms(X509_get0_notBefore(certificate));
}

int64_t slc_x509_not_after_ms(X509 *certificate)
{
    return wall_ms(X509_get0_notAfter(certificate));
}

char *slc_x509_serial(X509 *certificate)
{
    BIGNUM *number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), NULL);
    char *hex = number != NULL ? BN_bn2hex(number) : NULL;
    char *serial = slc_strdup(hex != NULL ? hex : "");
    OPENSSL_free(hex);
    BN_free(number);
    return serial;
}

bool slc_x509_uri(X509 *certificate, char *out, size_t size)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    int found = 0;
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type != GEN_URI)
            continue;
        const ASN1_IA5STRING *uri = name->d.uniformResourceIdentifier;
        size_t len = (size_t)ASN1_STRING_length(uri);
        found++;
        if (len >= size || memchr(ASN1_STRING_get0_data(uri), '\0', len) != NULL) {
            found = 2;
            break;
        }
        memcpy(out, ASN1_STRING_get0_data(uri), len);
        out[len] = '\0';
    }
    GENERAL_NAMES_free(names);
    return found == 1;
}
