/* Certificates and keys are looked at before gRPC gets them: it reports a bad one in its log, once per
 * handshake. */
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <string.h>

#include "common/rpc/internal.h"

static int no_passphrase(char *buf, int size, int rwflag, void *arg)
{
    (void)buf, (void)size, (void)rwflag, (void)arg;
    return -1; /* or OpenSSL would ask on the terminal */
}

static X509 *first_certificate(const char *pem)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    X509 *cert = bio != NULL ? PEM_read_bio_X509(bio, NULL, no_passphrase, NULL) : NULL;
    BIO_free(bio);
    return cert;
}

static EVP_PKEY *private_key(const char *pem)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    EVP_PKEY *key = bio != NULL ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL;
    BIO_free(bio);
    return key;
}

static bool check_pair(const char *chain, const char *key, slc_error *err)
{
    X509 *cert = first_certificate(chain);
    EVP_PKEY *pkey = key != NULL ? private_key(key) : NULL;
    bool ok = false;
    if (cert == NULL)
        slc_fail(err, SLC_INVALID, NULL, "the certificate chain holds no certificate in PEM");
    else if (pkey == NULL)
        slc_fail(err, SLC_INVALID, NULL, "the key is not an unencrypted private key in PEM");
    else if (X509_check_private_key(cert, pkey) != 1)
        slc_fail(err, SLC_INVALID, NULL, "the key does not belong to the certificate");
    else
        ok = true;
    EVP_PKEY_free(pkey);
    X509_free(cert);
    return ok;
}

static bool check_ca(const char *ca, slc_error *err)
{
    X509 *cert = first_certificate(ca);
    if (cert == NULL)
        return slc_fail(err, SLC_INVALID, NULL, "the trust anchors hold no certificate in PEM");
    X509_free(cert);
    return true;
}

bool slc_rpc_check_pem(const char *chain, const char *key, const char *ca, slc_error *err)
{
    ERR_clear_error();
    bool ok = (chain == NULL || check_pair(chain, key, err)) && (ca == NULL || check_ca(ca, err));
    ERR_clear_error();
    return ok;
}
