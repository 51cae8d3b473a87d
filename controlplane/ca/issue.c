/* What the node CA signs: certificates of nodes, and the one that the gRPC ports show. */
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/log.h"
#include "controlplane/ca/ca_private.h"
#include "controlplane/ca/x509.h"

#define SERVER_MS    (30 * 24 * 3600 * 1000LL)
#define SPIFFE_CHARS 512
#define MIN_RSA_BITS 2048
#define MAX_RSA_BITS 4096

/* Nothing outlives who signed it. */
static int64_t end_of(const slc_authority *by, int64_t now_ms, int64_t life_ms)
{
    int64_t last_ms = slc_x509_not_after_ms(by->certificate);
    return now_ms + life_ms < last_ms ? now_ms + life_ms : last_ms;
}

/* ---- the certificate of the gRPC ports ---- */

/* During a rotation the retiring authority signs, whom every node trusts. The chain leads from there to the
 * active one for those who pin that. The self-signed retiring one comes last, for those who pin it. */
static char *chain_of(const slc_authorities *set, X509 *leaf)
{
    X509 *parts[] = {leaf, set->cross, set->active.certificate, set->retiring.certificate};
    char *chain = slc_strdup("");
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        char *pem = parts[i] != NULL ? slc_x509_cert_pem(parts[i]) : NULL;
        char *longer = pem != NULL ? slc_asprintf("%s%s", chain, pem) : NULL;
        free(pem);
        if (longer == NULL)
            continue;
        free(chain);
        chain = longer;
    }
    return chain;
}

/* Under the mutex. */
static bool renew_server(slc_ca *ca, slc_error *err)
{
    slc_authorities *set = ca->authorities;
    const slc_authority *by = set->retiring.certificate != NULL ? &set->retiring : &set->active;
    int64_t now_ms = ca->clock();
    slc_x509_spec spec = {.common_name = SLC_CA_SERVER_NAME,
                          .subject_alt_name = ca->server_names,
                          .usage = "serverAuth",
                          .not_before_ms = now_ms - ca->skew_ms,
                          .not_after_ms = end_of(by, now_ms, SERVER_MS)};
    EVP_PKEY *key = slc_x509_new_key();
    X509 *certificate = slc_x509_sign(&spec, key, by->certificate, by->key, err);
    if (certificate != NULL) {
        free(ca->server_chain_pem);
        if (ca->server_key_pem != NULL)
            slc_free_secret(ca->server_key_pem, strlen(ca->server_key_pem));
        ca->server_chain_pem = chain_of(set, certificate);
        ca->server_key_pem = slc_x509_key_pem(key);
        ca->server_renew_ms = now_ms + (spec.not_after_ms - now_ms) / 3 * 2;
        slc_authorities_unref(ca->server_of);
        ca->server_of = slc_authorities_ref(set);
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
    bool current = ca->server_of == ca->authorities && ca->clock() < ca->server_renew_ms;
    if (!current && !renew_server(ca, &err))
        slc_log_error(SLC_LOG_ERROR, "the certificate of the gRPC ports cannot be renewed", &err);
    bool ok = ca->server_chain_pem != NULL;
    if (ok) {
        *cert_chain_pem = slc_strdup(ca->server_chain_pem);
        *key_pem = slc_strdup(ca->server_key_pem);
        *client_ca_pem = slc_strdup(ca->authorities->bundle_pem);
    }
    pthread_mutex_unlock(&ca->mutex);
    return ok;
}

/* ---- certificates of nodes ---- */

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

bool slc_ca_issue(slc_ca *ca, const char *group, const char *node_id, const uint8_t *csr_der, size_t csr_len,
                  slc_ca_leaf *leaf, slc_error *err)
{
    SLC_CHECK_MAGIC(ca, SLC_CA_MAGIC);
    char uri[SPIFFE_CHARS];
    int64_t now_ms = ca->clock();
    memset(leaf, 0, sizeof *leaf);
    EVP_PKEY *key = key_of_request(csr_der, csr_len, err);
    if (key == NULL)
        return false;
    slc_authorities *set = slc_ca_authorities(ca);
    const slc_authority *by = &set->active;
    snprintf(uri, sizeof uri, "URI:spiffe://%s/group/%s/node/%s", ca->trust_domain, group, node_id);
    slc_x509_spec spec = {.common_name = node_id,
                          .subject_alt_name = uri,
                          .usage = "clientAuth",
                          .not_before_ms = now_ms - ca->skew_ms,
                          .not_after_ms = end_of(by, now_ms, ca->leaf_ms)};
    X509 *certificate = slc_x509_sign(&spec, key, by->certificate, by->key, err);
    if (certificate != NULL) {
        char *serial = slc_x509_serial(certificate);
        leaf->pem = slc_x509_cert_pem(certificate);
        leaf->not_after_ms = slc_x509_not_after_ms(certificate);
        snprintf(leaf->serial, sizeof leaf->serial, "%s", serial);
        snprintf(leaf->authority, sizeof leaf->authority, "%s", by->id);
        free(serial);
    }
    X509_free(certificate);
    EVP_PKEY_free(key);
    slc_authorities_unref(set);
    return leaf->pem != NULL;
}
