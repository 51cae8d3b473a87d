#include "common/tls.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/file.h"
#include "common/log.h"

#define TLS_MAGIC      0x746c7373U
#define PEM_MAX_BYTES  (1024 * 1024)
#define ALPN_MAX_BYTES 255

struct slc_tls {
    unsigned magic;
    atomic_uint refs;
    /* The options' strings, copied: a reload needs them again. */
    char *cert_file, *key_file, *cert_pem, *key_pem, *client_ca_file, *client_ca_pem;
    bool client_cert_required;
    int min_version;
    unsigned char alpn[ALPN_MAX_BYTES + 1]; /* wire form: length byte, name, ... */
    unsigned alpn_len;

    pthread_mutex_t mutex;
    SSL_CTX *ctx; /* locked; replaced as a whole. OpenSSL counts the references that live connections hold */
};

/* ---- reading ---- */

static int no_passphrase(char *buf, int size, int rwflag, void *arg)
{
    (void)buf;
    (void)size;
    (void)rwflag;
    (void)arg;
    return -1; /* never ask on a terminal */
}

/* Fails with the reason that OpenSSL left. */
static bool fail_openssl(slc_error *err, const char *what, const char *where)
{
    unsigned long code = ERR_peek_last_error();
    const char *reason = code != 0 ? ERR_reason_error_string(code) : NULL;
    ERR_clear_error();
    return slc_fail(err, SLC_INVALID, NULL, "%s in %s: %s", what, where,
                    reason != NULL ? reason : "not usable");
}

/* The text in memory or the file's; *where names it in errors. */
static char *load_pem(const char *file, const char *pem, const char *what, const char **where, slc_error *err)
{
    if (pem != NULL) {
        *where = "the given PEM text";
        return slc_strdup(pem);
    }
    *where = file;
    if (file != NULL)
        return slc_file_read(file, PEM_MAX_BYTES, NULL, err);
    slc_fail(err, SLC_INVALID, NULL, "no %s is configured", what);
    return NULL;
}

static BIO *memory_bio(const char *pem)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    SLC_BUG_ON(bio == NULL);
    return bio;
}

/* At the end of a PEM text the reader reports "no start line", which is not an error when something was read.
 */
static bool only_end_of_pem(void)
{
    unsigned long code = ERR_peek_last_error();
    bool end = code == 0 || (ERR_GET_LIB(code) == ERR_LIB_PEM && ERR_GET_REASON(code) == PEM_R_NO_START_LINE);
    if (end)
        ERR_clear_error();
    return end;
}

static void warn_about_validity(X509 *cert, const char *where)
{
    if (X509_cmp_current_time(X509_get0_notBefore(cert)) > 0)
        slc_log(SLC_LOG_WARN, "TLS certificate is not valid yet", LS("certificate", where));
    if (X509_cmp_current_time(X509_get0_notAfter(cert)) < 0)
        slc_log(SLC_LOG_WARN, "TLS certificate has expired", LS("certificate", where));
}

static bool use_chain(SSL_CTX *ctx, const char *pem, const char *where, slc_error *err)
{
    BIO *bio = memory_bio(pem);
    X509 *leaf = PEM_read_bio_X509_AUX(bio, NULL, no_passphrase, NULL);
    bool ok = leaf != NULL && SSL_CTX_use_certificate(ctx, leaf) == 1;
    if (!ok) {
        fail_openssl(err, "no usable certificate", where);
        goto done;
    }
    warn_about_validity(leaf, where);
    X509 *next;
    while (ok && (next = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL)) != NULL) {
        ok = SSL_CTX_add0_chain_cert(ctx, next) == 1; /* steals on success */
        if (!ok)
            X509_free(next);
    }
    if (!ok || !only_end_of_pem())
        ok = fail_openssl(err, "bad certificate chain", where);
done:
    X509_free(leaf);
    BIO_free(bio);
    return ok;
}

static bool use_key(SSL_CTX *ctx, const char *pem, const char *where, slc_error *err)
{
    BIO *bio = memory_bio(pem);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
    BIO_free(bio);
    /* A key of the certificate's type that is not its key is refused by the use, one of another type by the
     * check. */
    bool ok = key != NULL && SSL_CTX_use_PrivateKey(ctx, key) == 1 && SSL_CTX_check_private_key(ctx) == 1;
    if (key == NULL)
        fail_openssl(err, "no usable private key (encrypted keys are not supported)", where);
    else if (!ok)
        fail_openssl(err, "private key does not match the certificate", where);
    EVP_PKEY_free(key);
    return ok;
}

static bool use_client_ca(SSL_CTX *ctx, const char *pem, const char *where, bool required, slc_error *err)
{
    BIO *bio = memory_bio(pem);
    X509_STORE *store = SSL_CTX_get_cert_store(ctx);
    unsigned count = 0;
    bool ok = true;
    X509 *ca;
    while (ok && (ca = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL)) != NULL) {
        ok = X509_STORE_add_cert(store, ca) == 1 && SSL_CTX_add_client_CA(ctx, ca) == 1;
        X509_free(ca);
        count++;
    }
    BIO_free(bio);
    if (!ok || count == 0 || !only_end_of_pem())
        return fail_openssl(err, "no usable client CA certificates", where);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | (required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), NULL);
    return true;
}

/* ---- a context ---- */

/* What a context offers by ALPN belongs to the context: it may be adopted by another slc_tls and outlive the
 * one that it was made for. */
struct alpn {
    unsigned len;
    unsigned char wire[ALPN_MAX_BYTES + 1];
};

static int alpn_index;
static pthread_once_t alpn_once = PTHREAD_ONCE_INIT;

static void free_alpn(void *parent, void *alpn, CRYPTO_EX_DATA *data, int index, long argl, void *argp)
{
    (void)parent, (void)data, (void)index, (void)argl, (void)argp;
    free(alpn);
}

static void make_alpn_index(void)
{
    alpn_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, free_alpn);
    SLC_BUG_ON(alpn_index < 0);
}

/* The first of our protocols that the client offers. Without one the handshake goes on without ALPN: clients
 * that offer none of ours still speak HTTP/1.1 to us. */
static int select_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *in,
                       unsigned in_len, void *arg)
{
    (void)ssl;
    const struct alpn *alpn = arg;
    for (unsigned i = 0; i < alpn->len; i += 1U + alpn->wire[i]) {
        for (unsigned j = 0; j < in_len && in[j] < in_len - j; j += 1U + in[j]) {
            if (alpn->wire[i] == in[j] && memcmp(alpn->wire + i + 1, in + j + 1, in[j]) == 0) {
                *out = in + j + 1;
                *out_len = in[j];
                return SSL_TLSEXT_ERR_OK;
            }
        }
    }
    return SSL_TLSEXT_ERR_NOACK;
}

static void offer_alpn(SSL_CTX *ctx, const slc_tls *tls)
{
    struct alpn *alpn = slc_calloc(1, sizeof *alpn);
    pthread_once(&alpn_once, make_alpn_index);
    alpn->len = tls->alpn_len;
    memcpy(alpn->wire, tls->alpn, tls->alpn_len);
    SLC_BUG_ON(SSL_CTX_set_ex_data(ctx, alpn_index, alpn) != 1);
    SSL_CTX_set_alpn_select_cb(ctx, select_alpn, alpn);
}

static SSL_CTX *bare_context(const slc_tls *tls)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    SLC_BUG_ON(ctx == NULL);
    SLC_BUG_ON(SSL_CTX_set_min_proto_version(ctx, tls->min_version) != 1);
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                              SSL_MODE_RELEASE_BUFFERS);
    /* Resumption with client certificates needs a context of its own, or OpenSSL refuses the session. */
    static const unsigned char session_context[] = "sluice";
    SLC_BUG_ON(SSL_CTX_set_session_id_context(ctx, session_context, sizeof(session_context) - 1) != 1);
    if (tls->alpn_len > 0)
        offer_alpn(ctx, tls);
    return ctx;
}

static bool fill_context(SSL_CTX *ctx, const slc_tls *tls, slc_error *err)
{
    const char *where;
    char *pem = load_pem(tls->cert_file, tls->cert_pem, "TLS certificate", &where, err);
    if (pem == NULL)
        return false;
    bool ok = use_chain(ctx, pem, where, err);
    free(pem);
    if (!ok || (pem = load_pem(tls->key_file, tls->key_pem, "TLS private key", &where, err)) == NULL)
        return false;
    ok = use_key(ctx, pem, where, err);
    slc_free_secret(pem, strlen(pem));
    if (!ok || (tls->client_ca_file == NULL && tls->client_ca_pem == NULL))
        return ok;
    if ((pem = load_pem(tls->client_ca_file, tls->client_ca_pem, "client CA", &where, err)) == NULL)
        return false;
    ok = use_client_ca(ctx, pem, where, tls->client_cert_required, err);
    free(pem);
    return ok;
}

static SSL_CTX *build_context(const slc_tls *tls, slc_error *err)
{
    ERR_clear_error();
    SSL_CTX *ctx = bare_context(tls);
    if (fill_context(ctx, tls, err))
        return ctx;
    SSL_CTX_free(ctx);
    return NULL;
}

/* ---- the shared object ---- */

static bool parse_alpn(slc_tls *tls, const char *list, slc_error *err)
{
    while (list != NULL && *list != '\0') {
        size_t len = strcspn(list, ",");
        if (len == 0 || len + 1 > sizeof(tls->alpn) - tls->alpn_len)
            return slc_fail(err, SLC_INVALID, NULL, "bad ALPN list");
        tls->alpn[tls->alpn_len] = (unsigned char)len;
        memcpy(tls->alpn + tls->alpn_len + 1, list, len);
        tls->alpn_len += (unsigned)len + 1;
        list += len;
        list += *list == ',';
    }
    return true;
}

static char *copy(const char *s)
{
    return s != NULL ? slc_strdup(s) : NULL;
}

static bool read_options(slc_tls *tls, const slc_tls_options *options, slc_error *err)
{
    tls->cert_file = copy(options->cert_file);
    tls->key_file = copy(options->key_file);
    tls->cert_pem = copy(options->cert_pem);
    tls->key_pem = copy(options->key_pem);
    tls->client_ca_file = copy(options->client_ca_file);
    tls->client_ca_pem = copy(options->client_ca_pem);
    tls->client_cert_required = options->client_cert_required;
    const char *version = options->min_version != NULL ? options->min_version : "1.2";
    if (strcmp(version, "1.2") == 0)
        tls->min_version = TLS1_2_VERSION;
    else if (strcmp(version, "1.3") == 0)
        tls->min_version = TLS1_3_VERSION;
    else
        return slc_fail(err, SLC_INVALID, NULL, "minimum TLS version \"%.20s\" is neither 1.2 nor 1.3",
                        version);
    if (tls->client_cert_required && tls->client_ca_file == NULL && tls->client_ca_pem == NULL)
        return slc_fail(err, SLC_INVALID, NULL,
                        "client certificates are required but no client CA is configured");
    return parse_alpn(tls, options->alpn, err);
}

slc_tls *slc_tls_server_new(const slc_tls_options *options, slc_error *err)
{
    slc_tls *tls = slc_calloc(1, sizeof(*tls));
    tls->magic = TLS_MAGIC;
    atomic_init(&tls->refs, 1);
    SLC_BUG_ON(pthread_mutex_init(&tls->mutex, NULL) != 0);
    if (read_options(tls, options, err))
        tls->ctx = build_context(tls, err);
    if (tls->ctx != NULL)
        return tls;
    slc_tls_unref(tls);
    return NULL;
}

slc_tls *slc_tls_ref(slc_tls *tls)
{
    SLC_CHECK_MAGIC(tls, TLS_MAGIC);
    atomic_fetch_add_explicit(&tls->refs, 1, memory_order_relaxed);
    return tls;
}

void slc_tls_unref(slc_tls *tls)
{
    if (tls == NULL)
        return;
    SLC_CHECK_MAGIC(tls, TLS_MAGIC);
    if (atomic_fetch_sub_explicit(&tls->refs, 1, memory_order_acq_rel) > 1)
        return;
    SSL_CTX_free(tls->ctx);
    pthread_mutex_destroy(&tls->mutex);
    free(tls->cert_file);
    free(tls->key_file);
    free(tls->cert_pem);
    if (tls->key_pem != NULL)
        slc_free_secret(tls->key_pem, strlen(tls->key_pem));
    free(tls->client_ca_file);
    free(tls->client_ca_pem);
    tls->magic = 0;
    free(tls);
}

bool slc_tls_reload(slc_tls *tls, slc_error *err)
{
    SLC_CHECK_MAGIC(tls, TLS_MAGIC);
    SSL_CTX *fresh = build_context(tls, err);
    if (fresh == NULL)
        return false;
    pthread_mutex_lock(&tls->mutex);
    SSL_CTX *old = tls->ctx;
    tls->ctx = fresh;
    pthread_mutex_unlock(&tls->mutex);
    SSL_CTX_free(old); /* live connections hold their own references */
    return true;
}

SSL *slc_tls_accept(slc_tls *tls)
{
    SLC_CHECK_MAGIC(tls, TLS_MAGIC);
    pthread_mutex_lock(&tls->mutex);
    SSL *ssl = SSL_new(tls->ctx);
    pthread_mutex_unlock(&tls->mutex);
    SLC_BUG_ON(ssl == NULL);
    SSL_set_accept_state(ssl);
    return ssl;
}

int64_t slc_tls_expiry_ms(slc_tls *tls)
{
    struct tm parts;
    int64_t expiry_ms = 0;
    SLC_CHECK_MAGIC(tls, TLS_MAGIC);
    pthread_mutex_lock(&tls->mutex);
    const X509 *cert = SSL_CTX_get0_certificate(tls->ctx);
    if (cert != NULL && ASN1_TIME_to_tm(X509_get0_notAfter(cert), &parts) == 1)
        expiry_ms = (int64_t)timegm(&parts) * 1000;
    pthread_mutex_unlock(&tls->mutex);
    return expiry_ms;
}

void slc_tls_adopt(slc_tls *tls, slc_tls *fresh)
{
    SLC_CHECK_MAGIC(tls, TLS_MAGIC);
    SLC_CHECK_MAGIC(fresh, TLS_MAGIC);
    pthread_mutex_lock(&fresh->mutex);
    SSL_CTX *ctx = fresh->ctx;
    SLC_BUG_ON(SSL_CTX_up_ref(ctx) != 1);
    pthread_mutex_unlock(&fresh->mutex);
    pthread_mutex_lock(&tls->mutex);
    SSL_CTX *old = tls->ctx;
    tls->ctx = ctx;
    pthread_mutex_unlock(&tls->mutex);
    SSL_CTX_free(old);
}
