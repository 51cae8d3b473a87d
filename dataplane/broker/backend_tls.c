#include "dataplane/broker/backend_tls.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "common/alloc.h"
#include "dataplane/config/secret.h"

static const char *ssl_reason(void)
{
    unsigned long code = ERR_get_error();
    ERR_clear_error();
    const char *text = code != 0 ? ERR_reason_error_string(code) : NULL;
    return text != NULL ? text : "the connection was closed (is it a plain port?)";
}

static bool add_authorities(SSL_CTX *tls, const char *pem, slc_error *err)
{
    X509 *certificate;
    int count = 0;
    BIO *bio = BIO_new_mem_buf(pem, -1);
    while ((certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
        count += X509_STORE_add_cert(SSL_CTX_get_cert_store(tls), certificate) == 1;
        X509_free(certificate);
    }
    BIO_free(bio);
    ERR_clear_error(); /* the end of the text counts as one */
    return count > 0 || slc_fail(err, SLC_INVALID, "/tls/ca_pem", "the backend's CA holds no certificate");
}

static bool use_chain(SSL_CTX *tls, const char *pem, slc_error *err)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    X509 *certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    bool ok = certificate != NULL && SSL_CTX_use_certificate(tls, certificate) == 1;
    X509_free(certificate);
    while (ok && (certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL)
        ok = SSL_CTX_add0_chain_cert(tls, certificate) == 1;
    BIO_free(bio);
    ERR_clear_error();
    return ok || slc_fail(err, SLC_INVALID, "/tls/certificate_pem", "the client certificate is not usable");
}

static bool use_key(SSL_CTX *tls, const Sluice__Snapshot__V1__Secret *secret, slc_error *err)
{
    size_t len;
    char *pem = slc_secret_resolve(secret, &len, err);
    if (pem == NULL)
        return slc_fail_context(err, "key of the client certificate");
    BIO *bio = BIO_new_mem_buf(pem, (int)len);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, (void *)"");
    bool ok = key != NULL && SSL_CTX_use_PrivateKey(tls, key) == 1 && SSL_CTX_check_private_key(tls) == 1;
    EVP_PKEY_free(key);
    BIO_free(bio);
    slc_free_secret(pem, len);
    if (!ok)
        ERR_clear_error();
    return ok || slc_fail(err, SLC_INVALID, "/tls/key", "the key does not fit the client certificate");
}

SSL_CTX *slc_backend_tls_new(const Sluice__Snapshot__V1__ClientTls *msg, slc_error *err)
{
    bool own_ca = msg->ca_pem != NULL && msg->ca_pem[0] != '\0';
    bool certificate = msg->certificate_pem != NULL && msg->certificate_pem[0] != '\0';
    SSL_CTX *tls = SSL_CTX_new(TLS_client_method());
    if (tls == NULL) {
        slc_fail(err, SLC_INTERNAL, NULL, "no TLS context: %s", ssl_reason());
        return NULL;
    }
    SSL_CTX_set_min_proto_version(tls, TLS1_2_VERSION);
    SSL_CTX_set_mode(tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_verify(tls, msg->skip_verify ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
    bool ok = own_ca ? add_authorities(tls, msg->ca_pem, err) : SSL_CTX_set_default_verify_paths(tls) == 1;
    ok = ok && (!certificate || (use_chain(tls, msg->certificate_pem, err) && use_key(tls, msg->key, err)));
    if (ok)
        return tls;
    SSL_CTX_free(tls);
    return NULL;
}

static bool is_address(const char *host)
{
    uint8_t bytes[16];
    return inet_pton(AF_INET, host, bytes) == 1 || inet_pton(AF_INET6, host, bytes) == 1;
}

bool slc_backend_tls_expect(SSL *ssl, const Sluice__Snapshot__V1__ClientTls *settings, const char *host)
{
    const char *own = settings->server_name, *name = own != NULL && own[0] != '\0' ? own : host;
    if (is_address(name))
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) == 1;
    return SSL_set_tlsext_host_name(ssl, name) == 1 && SSL_set1_host(ssl, name) == 1;
}

const char *slc_backend_tls_reason(SSL *ssl, const Sluice__Snapshot__V1__ClientTls *settings)
{
    long verified = SSL_get_verify_result(ssl);
    if (verified == X509_V_OK || settings->skip_verify)
        return ssl_reason();
    ERR_clear_error();
    return X509_verify_cert_error_string(verified);
}
