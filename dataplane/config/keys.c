/* The node's key pair. */
#include "dataplane/config/keys.h"

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <string.h>
#include <time.h>

#include "common/alloc.h"
#include "common/assert.h"

char *slc_key_generate(void)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    BIO *bio = BIO_new(BIO_s_secmem());
    char *data, *pem;
    long len;

    SLC_BUG_ON(key == NULL || bio == NULL ||
               PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) != 1);
    len = BIO_get_mem_data(bio, &data);
    pem = slc_strndup(data, (size_t)len);
    BIO_free(bio);
    EVP_PKEY_free(key);
    return pem;
}

static EVP_PKEY *read_key(const char *pem, slc_error *err)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    EVP_PKEY *key = bio != NULL ? PEM_read_bio_PrivateKey(bio, NULL, NULL, (void *)"") : NULL;

    BIO_free(bio);
    if (key == NULL)
        slc_fail(err, SLC_CORRUPT, NULL, "the node's private key does not load");
    return key;
}

uint8_t *slc_key_request(const char *key_pem, size_t *len, slc_error *err)
{
    EVP_PKEY *key = read_key(key_pem, err);
    X509_REQ *request = key != NULL ? X509_REQ_new() : NULL;
    uint8_t *der = NULL, *at;
    int size;

    if (request == NULL)
        goto done;
    SLC_BUG_ON(X509_REQ_set_pubkey(request, key) != 1 || X509_REQ_sign(request, key, EVP_sha256()) <= 0);
    size = i2d_X509_REQ(request, NULL);
    SLC_BUG_ON(size <= 0);
    der = at = slc_malloc((size_t)size);
    *len = (size_t)i2d_X509_REQ(request, &at);
done:
    X509_REQ_free(request);
    EVP_PKEY_free(key);
    return der;
}

uint8_t *slc_key_sign(const char *key_pem, const void *data, size_t data_len, size_t *len, slc_error *err)
{
    EVP_PKEY *key = read_key(key_pem, err);
    EVP_MD_CTX *ctx = key != NULL ? EVP_MD_CTX_new() : NULL;
    uint8_t *signature = NULL;

    if (ctx == NULL)
        goto done;
    SLC_BUG_ON(EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key) != 1 ||
               EVP_DigestSign(ctx, NULL, len, data, data_len) != 1);
    signature = slc_malloc(*len);
    SLC_BUG_ON(EVP_DigestSign(ctx, signature, len, data, data_len) != 1);
done:
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(key);
    return signature;
}

bool slc_key_derive(const char *key_pem, const char *info, uint8_t out[SLC_SEAL_KEY_BYTES], slc_error *err)
{
    EVP_PKEY *key = read_key(key_pem, err);
    uint8_t *der = NULL;
    int len;

    if (key == NULL)
        return false;
    len = i2d_PrivateKey(key, &der);
    SLC_BUG_ON(len <= 0);
    slc_hkdf_sha256(der, (size_t)len, NULL, 0, info, out, SLC_SEAL_KEY_BYTES);
    OPENSSL_clear_free(der, (size_t)len);
    EVP_PKEY_free(key);
    return true;
}

static int64_t asn1_ms(const ASN1_TIME *time)
{
    struct tm parts;

    return ASN1_TIME_to_tm(time, &parts) == 1 ? (int64_t)timegm(&parts) * 1000 : 0;
}

bool slc_key_check_certificate(const char *key_pem, const char *chain_pem, int64_t *not_before_ms,
                               int64_t *not_after_ms, slc_error *err)
{
    EVP_PKEY *key = read_key(key_pem, err);
    BIO *bio = BIO_new_mem_buf(chain_pem, -1);
    X509 *leaf = bio != NULL ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
    bool ok = false;

    if (key == NULL)
        goto done;
    if (leaf == NULL) {
        slc_fail(err, SLC_CORRUPT, NULL, "the node's certificate does not load");
        goto done;
    }
    if (X509_check_private_key(leaf, key) != 1) {
        slc_fail(err, SLC_CORRUPT, NULL, "the node's certificate does not belong to its key");
        goto done;
    }
    *not_before_ms = asn1_ms(X509_get0_notBefore(leaf));
    *not_after_ms = asn1_ms(X509_get0_notAfter(leaf));
    ok = true;
done:
    X509_free(leaf);
    BIO_free(bio);
    EVP_PKEY_free(key);
    return ok;
}

/* ---- authorities ---- */

#define MAX_BUNDLE 8

static bool has_key(X509 *certificate, const uint8_t pin[SLC_SHA256_BYTES])
{
    uint8_t digest[SLC_SHA256_BYTES], *der = NULL;
    int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &der);

    if (len <= 0)
        return false;
    slc_sha256(der, (size_t)len, digest);
    OPENSSL_free(der);
    return memcmp(digest, pin, sizeof(digest)) == 0;
}

/* The certificate with the pinned key (new), or NULL. `*count` tells how many there are in all. */
static X509 *find_pinned(const char *bundle_pem, const uint8_t pin[SLC_SHA256_BYTES], unsigned *count)
{
    BIO *bio = BIO_new_mem_buf(bundle_pem, -1);
    X509 *found = NULL, *next;

    *count = 0;
    while (bio != NULL && *count <= MAX_BUNDLE && (next = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
        ++*count;
        if (found == NULL && has_key(next, pin))
            found = next;
        else
            X509_free(next);
    }
    BIO_free(bio);
    ERR_clear_error(); /* the end of the text is an error to OpenSSL */
    return found;
}

bool slc_key_check_bundle(const char *bundle_pem, const uint8_t pin[SLC_SHA256_BYTES], slc_error *err)
{
    unsigned count;
    X509 *pinned = find_pinned(bundle_pem, pin, &count);

    X509_free(pinned);
    if (count == 0 || count > MAX_BUNDLE)
        return slc_fail(err, SLC_CORRUPT, NULL, "the list of authorities does not hold 1 to %d certificates",
                        MAX_BUNDLE);
    return pinned != NULL ||
           slc_fail(err, SLC_CORRUPT, NULL, "the active authority is not in the list of authorities");
}

bool slc_key_issued_by(const char *chain_pem, const char *bundle_pem, const uint8_t pin[SLC_SHA256_BYTES])
{
    unsigned count;
    X509 *authority = find_pinned(bundle_pem, pin, &count);
    BIO *bio = BIO_new_mem_buf(chain_pem, -1);
    X509 *leaf = bio != NULL ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
    bool ok = authority != NULL && leaf != NULL && X509_verify(leaf, X509_get0_pubkey(authority)) == 1;

    ERR_clear_error();
    X509_free(leaf);
    BIO_free(bio);
    X509_free(authority);
    return ok;
}
