/* The node CA: made once, kept sealed, used to sign. */
#include "controlplane/ca/ca.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalog/read.h"
#include "common/alloc.h"
#include "common/assert.h"
#include "common/buf.h"
#include "common/clock.h"
#include "controlplane/ca/x509.h"

#define SLC_CA_MAGIC   0x51c0ca00u
#define CA_LIFETIME_MS (10 * 365 * 24 * 3600 * 1000LL)
#define SERVER_MS      (30 * 24 * 3600 * 1000LL)
#define SPIFFE_CHARS   512
#define MIN_RSA_BITS   2048
#define MAX_RSA_BITS   4096

struct slc_ca {
    unsigned magic;
    char *trust_domain;
    char *server_names; /* OpenSSL's notation */
    int64_t (*clock)(void);
    X509 *certificate;
    EVP_PKEY *key;
    char *bundle_pem;
    pthread_mutex_t mutex; /* guards the server's certificate */
    char *server_chain_pem;
    char *server_key_pem;
    int64_t server_renew_ms;
};

static bool load_or_make(slc_txn *txn, void *arg, slc_error *err);

/* ---- opening ---- */

static bool is_ip(const char *text, size_t len)
{
    return strspn(text, "0123456789.") >= len || memchr(text, ':', len) != NULL;
}

/* "a.example, 10.0.0.1" becomes "DNS:sluice-control,DNS:localhost,IP:127.0.0.1,DNS:a.example,IP:10.0.0.1". */
static char *alternative_names(const char *names)
{
    char *all = slc_strdup("DNS:" SLC_CA_SERVER_NAME ",DNS:localhost,IP:127.0.0.1,IP:::1");
    while (names != NULL && *names != '\0') {
        names += strspn(names, ", ");
        size_t len = strcspn(names, ", ");
        if (len == 0)
            break;
        char *more = slc_asprintf("%s,%s:%.*s", all, is_ip(names, len) ? "IP" : "DNS", (int)len, names);
        free(all);
        all = more;
        names += len;
    }
    return all;
}

slc_ca *slc_ca_open(slc_catalog *catalog, const slc_ca_options *options, slc_error *err)
{
    slc_actor actor = {.kind = "system", .id = "system", .name = "node CA"};
    slc_ca *ca = slc_calloc(1, sizeof *ca);
    ca->magic = SLC_CA_MAGIC;
    ca->trust_domain = slc_strdup(options->trust_domain != NULL ? options->trust_domain : "sluice");
    ca->server_names = alternative_names(options->server_names);
    ca->clock = options->clock != NULL ? options->clock : slc_wall_ms;
    pthread_mutex_init(&ca->mutex, NULL);
    if (!slc_catalog_write_sync(catalog, &actor, load_or_make, ca, err)) {
        slc_fail_context(err, "node CA");
        slc_ca_free(ca);
        return NULL;
    }
    return ca;
}

void slc_ca_free(slc_ca *ca)
{
    if (ca == NULL)
        return;
    SLC_CHECK_MAGIC(ca, SLC_CA_MAGIC);
    X509_free(ca->certificate);
    EVP_PKEY_free(ca->key);
    free(ca->bundle_pem);
    free(ca->trust_domain);
    free(ca->server_names);
    free(ca->server_chain_pem);
    if (ca->server_key_pem != NULL)
        slc_free_secret(ca->server_key_pem, strlen(ca->server_key_pem));
    pthread_mutex_destroy(&ca->mutex);
    ca->magic = 0;
    free(ca);
}

static void context_of(const char *id, char out[64])
{
    snprintf(out, 64, "node_ca/%s", id);
}

static bool load_active(slc_txn *txn, slc_ca *ca, sqlite3_stmt *stmt, slc_error *err)
{
    char context[64];
    size_t len = 0;
    context_of(slc_column_text(stmt, 0), context);
    ca->certificate = slc_x509_read_cert(slc_column_text(stmt, 1), err);
    if (ca->certificate == NULL)
        return false;
    uint8_t *pem = slc_txn_unseal(txn, context, sqlite3_column_blob(stmt, 2),
                                  (size_t)sqlite3_column_bytes(stmt, 2), &len, err);
    if (pem == NULL)
        return false;
    ca->key = slc_x509_read_key((const char *)pem, len, err);
    slc_free_secret(pem, len);
    return ca->key != NULL;
}

/* Active first, then those that are still trusted. */
static bool load(slc_txn *txn, slc_ca *ca, slc_error *err)
{
    slc_buf bundle;
    bool ok = true;
    int row = 0;
    sqlite3_stmt *stmt = slc_txn_prepare(
        txn, "SELECT id, certificate_pem, sealed_key, state = 'active' FROM node_ca ORDER BY state, created_at",
        err);
    if (stmt == NULL)
        return false;
    slc_buf_init(&bundle, 1u << 20);
    while (ok && (row = slc_txn_step(txn, stmt, err)) == 1) {
        slc_buf_adds(&bundle, slc_column_text(stmt, 1));
        if (sqlite3_column_int(stmt, 3) != 0)
            ok = load_active(txn, ca, stmt, err);
    }
    slc_txn_finish(txn, stmt);
    if (ok && row == 0 && bundle.len > 0)
        ca->bundle_pem = slc_strndup((const char *)bundle.data, bundle.len);
    slc_buf_release(&bundle);
    return ok && row == 0;
}

static bool store(slc_txn *txn, X509 *certificate, EVP_PKEY *key, slc_error *err)
{
    char id[17], context[64];
    size_t sealed_len = 0;
    slc_random_id(id, 16);
    context_of(id, context);
    char *cert_pem = slc_x509_cert_pem(certificate), *key_pem = slc_x509_key_pem(key);
    uint8_t *sealed = slc_txn_seal(txn, context, key_pem, strlen(key_pem), &sealed_len);
    bool ok =
        slc_txn_exec(txn, err,
                     "INSERT INTO node_ca (id, state, certificate_pem, sealed_key, created_at, expires_at) "
                     "VALUES (?, 'active', ?, ?, ?, ?)",
                     "ssbii", id, cert_pem, (const void *)sealed, sealed_len, slc_txn_now_ms(txn),
                     slc_x509_not_after_ms(certificate));
    slc_free_secret(key_pem, strlen(key_pem));
    free(cert_pem);
    free(sealed);
    return ok;
}

static bool make(slc_txn *txn, slc_ca *ca, slc_error *err)
{
    int64_t now_ms = ca->clock();
    slc_x509_spec spec = {.common_name = "Sluice node CA",
                          .not_before_ms = now_ms - SLC_CA_BACKDATE_MS,
                          .not_after_ms = now_ms + CA_LIFETIME_MS};
    EVP_PKEY *key = slc_x509_new_key();
    X509 *certificate = slc_x509_sign(&spec, key, NULL, key, err);
    bool ok = certificate != NULL && store(txn, certificate, key, err);
    X509_free(certificate);
    EVP_PKEY_free(key);
    return ok;
}

static bool load_or_make(slc_txn *txn, void *arg, slc_error *err)
{
    slc_ca *ca = arg;
    if (!load(txn, ca, err))
        return false;
    if (ca->key == NULL && (!make(txn, ca, err) || !load(txn, ca, err)))
        return false;
    SLC_BUG_ON(ca->key == NULL || ca->bundle_pem == NULL);
    return true;
}

/* ---- what is known of it ---- */

void slc_ca_pin(const slc_ca *ca, uint8_t out[SLC_SHA256_BYTES])
{
    slc_x509_pin(ca->certificate, out);
}

const char *slc_ca_bundle_pem(const slc_ca *ca)
{
    return ca->bundle_pem;
}

const char *slc_ca_trust_domain(const slc_ca *ca)
{
    return ca->trust_domain;
}

/* ---- issuing ---- */

static bool renew_server(slc_ca *ca, slc_error *err)
{
    int64_t now_ms = ca->clock();
    slc_x509_spec spec = {.common_name = SLC_CA_SERVER_NAME,
                          .subject_alt_name = ca->server_names,
                          .usage = "serverAuth",
                          .not_before_ms = now_ms - SLC_CA_BACKDATE_MS,
                          .not_after_ms = now_ms + SERVER_MS};
    EVP_PKEY *key = slc_x509_new_key();
    X509 *certificate = slc_x509_sign(&spec, key, ca->certificate, ca->key, err);
    if (certificate != NULL) {
        char *leaf = slc_x509_cert_pem(certificate), *issuer = slc_x509_cert_pem(ca->certificate);
        free(ca->server_chain_pem);
        if (ca->server_key_pem != NULL)
            slc_free_secret(ca->server_key_pem, strlen(ca->server_key_pem));
        ca->server_chain_pem = slc_asprintf("%s%s", leaf, issuer);
        ca->server_key_pem = slc_x509_key_pem(key);
        ca->server_renew_ms = now_ms + SERVER_MS / 3 * 2;
        free(leaf);
        free(issuer);
    }
    X509_free(certificate);
    EVP_PKEY_free(key);
    return certificate != NULL;
}

bool slc_ca_fetch_server(void *arg, char **cert_chain_pem, char **key_pem, char **client_ca_pem)
{
    slc_ca *ca = arg;
    slc_error err = {0};
    SLC_CHECK_MAGIC(ca, SLC_CA_MAGIC);
    pthread_mutex_lock(&ca->mutex);
    bool ok = (ca->server_chain_pem != NULL && ca->clock() < ca->server_renew_ms) || renew_server(ca, &err) ||
              ca->server_chain_pem != NULL;
    if (ok) {
        *cert_chain_pem = slc_strdup(ca->server_chain_pem);
        *key_pem = slc_strdup(ca->server_key_pem);
        *client_ca_pem = slc_strdup(ca->bundle_pem);
    }
    pthread_mutex_unlock(&ca->mutex);
    return ok;
}

static bool key_is_strong(EVP_PKEY *key)
{
    char curve[32];
    size_t len = 0;
    int bits = EVP_PKEY_get_bits(key);
    if (EVP_PKEY_is_a(key, "RSA"))
        return bits >= MIN_RSA_BITS && bits <= MAX_RSA_BITS;
    return EVP_PKEY_is_a(key, "EC") && EVP_PKEY_get_group_name(key, curve, sizeof curve, &len) == 1 &&
           (strcmp(curve, "prime256v1") == 0 || strcmp(curve, "secp384r1") == 0);
}

/* The public key of a request that its owner signed. */
static EVP_PKEY *key_of_request(const uint8_t *csr_der, size_t csr_len, slc_error *err)
{
    const unsigned char *end = csr_der;
    X509_REQ *request = d2i_X509_REQ(NULL, &end, (long)csr_len);
    EVP_PKEY *key = request != NULL && end == csr_der + csr_len ? X509_REQ_get_pubkey(request) : NULL;
    if (key == NULL) {
        slc_fail(err, SLC_INVALID, "csr_der", "the certificate request cannot be parsed");
    } else if (X509_REQ_verify(request, key) != 1 || !key_is_strong(key)) {
        slc_fail(
            err, SLC_INVALID, "csr_der",
            "the certificate request must be signed by its own P-256, P-384 or RSA (2048 to 4096 bits) key");
        EVP_PKEY_free(key);
        key = NULL;
    }
    X509_REQ_free(request);
    return key;
}

char *slc_ca_issue(slc_ca *ca, const char *group, const char *node_id, const uint8_t *csr_der, size_t csr_len,
                   int64_t *not_after_ms, slc_error *err)
{
    SLC_CHECK_MAGIC(ca, SLC_CA_MAGIC);
    char uri[SPIFFE_CHARS];
    int64_t now_ms = ca->clock();
    EVP_PKEY *key = key_of_request(csr_der, csr_len, err);
    if (key == NULL)
        return NULL;
    snprintf(uri, sizeof uri, "URI:spiffe://%s/group/%s/node/%s", ca->trust_domain, group, node_id);
    slc_x509_spec spec = {.common_name = node_id,
                          .subject_alt_name = uri,
                          .usage = "clientAuth",
                          .not_before_ms = now_ms - SLC_CA_BACKDATE_MS,
                          .not_after_ms = now_ms + SLC_CA_LEAF_MS};
    X509 *certificate = slc_x509_sign(&spec, key, ca->certificate, ca->key, err);
    char *pem = certificate != NULL ? slc_x509_cert_pem(certificate) : NULL;
    *not_after_ms = certificate != NULL ? slc_x509_not_after_ms(certificate) : 0;
    X509_free(certificate);
    EVP_PKEY_free(key);
    return pem;
}

/* ---- recognising ---- */

static bool take_segment(const char **text, const char *prefix, char *out, size_t size)
{
    size_t prefix_len = strlen(prefix);
    if (strncmp(*text, prefix, prefix_len) != 0)
        return false;
    const char *start = *text + prefix_len;
    size_t len = strcspn(start, "/");
    if (len == 0 || len >= size)
        return false;
    memcpy(out, start, len);
    out[len] = '\0';
    *text = start + len;
    return true;
}

bool slc_ca_parse_spiffe(const slc_ca *ca, const char *spiffe, slc_ca_node *node, slc_error *err)
{
    char domain[256];
    const char *rest = spiffe;
    bool ok = take_segment(&rest, "spiffe://", domain, sizeof domain) &&
              strcmp(domain, ca->trust_domain) == 0 &&
              take_segment(&rest, "/group/", node->group, sizeof node->group) &&
              take_segment(&rest, "/node/", node->node_id, sizeof node->node_id) && *rest == '\0';
    return ok || slc_fail(err, SLC_UNAUTHENTICATED, NULL, "%.200s names no node of the trust domain %s", spiffe,
                          ca->trust_domain);
}

static bool issued_by(const slc_ca *ca, X509 *certificate)
{
    BIO *bio = BIO_new_mem_buf(ca->bundle_pem, -1);
    X509 *issuer = NULL;
    bool ok = false;
    while (!ok && (issuer = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
        ok = X509_check_issued(issuer, certificate) == X509_V_OK &&
             X509_verify(certificate, X509_get0_pubkey(issuer)) == 1;
        X509_free(issuer);
    }
    ERR_clear_error();
    BIO_free(bio);
    return ok;
}

static bool signed_by(X509 *certificate, const void *data, size_t len, const void *signature,
                      size_t signature_len)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    SLC_BUG_ON(context == NULL);
    bool ok = EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, X509_get0_pubkey(certificate)) == 1 &&
              EVP_DigestVerify(context, signature, signature_len, data, len) == 1;
    ERR_clear_error();
    EVP_MD_CTX_free(context);
    return ok;
}

bool slc_ca_check_renewal(slc_ca *ca, const char *certificate_pem, int64_t expired_ms, const void *signed_data,
                          size_t signed_len, const void *signature, size_t signature_len, slc_ca_node *node,
                          slc_error *err)
{
    char uri[SPIFFE_CHARS];
    SLC_CHECK_MAGIC(ca, SLC_CA_MAGIC);
    X509 *certificate = slc_x509_read_cert(certificate_pem, err);
    if (certificate == NULL)
        return false;
    bool ok = false;
    if (!issued_by(ca, certificate) || !slc_x509_uri(certificate, uri, sizeof uri))
        slc_fail(err, SLC_UNAUTHENTICATED, NULL,
                 "the certificate is not one that this control plane issued to a node");
    else if (slc_x509_not_after_ms(certificate) + expired_ms < ca->clock())
        slc_fail(err, SLC_UNAUTHENTICATED, NULL,
                 "the certificate expired too long ago to be renewed: enrol again");
    else if (!signed_by(certificate, signed_data, signed_len, signature, signature_len))
        slc_fail(err, SLC_UNAUTHENTICATED, NULL, "the renewal is not signed by the certificate's key");
    else
        ok = slc_ca_parse_spiffe(ca, uri, node, err);
    X509_free(certificate);
    return ok;
}
