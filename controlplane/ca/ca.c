/* The node CA as a whole: opening, what is known of it, whose certificates it recognises. */
#include "controlplane/ca/ca.h"

#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/clock.h"
#include "controlplane/ca/ca_private.h"
#include "controlplane/ca/x509.h"

#define DAY_MS            (24 * 3600 * 1000LL)
#define DEFAULT_LEAF_MS   DAY_MS
#define DEFAULT_CA_MS     (10 * 365 * DAY_MS)
#define DEFAULT_WINDOW_MS (30 * DAY_MS)
#define DEFAULT_SKEW_MS   (10 * 60 * 1000LL)
#define SPIFFE_CHARS      512

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

static void set_times(slc_ca *ca, const slc_ca_options *options)
{
    ca->clock = options->clock != NULL ? options->clock : slc_wall_ms;
    ca->leaf_ms = options->leaf_ms > 0 ? options->leaf_ms : DEFAULT_LEAF_MS;
    ca->authority_ms = options->authority_ms > 0 ? options->authority_ms : DEFAULT_CA_MS;
    ca->renewal_window_ms = options->renewal_window_ms >= 0 ? options->renewal_window_ms : DEFAULT_WINDOW_MS;
    ca->skew_ms = options->skew_ms >= 0 ? options->skew_ms : DEFAULT_SKEW_MS;
}

static bool check_times(const slc_ca *ca, slc_error *err)
{
    if (ca->leaf_ms < 2 * ca->skew_ms)
        return slc_fail(
            err, SLC_INVALID, NULL,
            "node certificates that live %lld s are too short for clocks that may differ by %lld s: "
            "give them at least twice that",
            (long long)(ca->leaf_ms / 1000), (long long)(ca->skew_ms / 1000));
    if (ca->authority_ms <= ca->leaf_ms)
        return slc_fail(err, SLC_INVALID, NULL,
                        "an authority must live longer than the node certificates that it signs");
    return true;
}

static bool load_or_make(slc_txn *txn, void *arg, slc_error *err)
{
    slc_ca *ca = arg;
    char id[SLC_CA_ID_CHARS + 1];
    ca->authorities = slc_authorities_load(txn, err);
    if (ca->authorities != NULL || err->code != SLC_NOT_FOUND)
        return ca->authorities != NULL;
    return slc_authority_make(txn, ca, id, err) && (ca->authorities = slc_authorities_load(txn, err)) != NULL;
}

slc_ca *slc_ca_open(slc_catalog *catalog, const slc_ca_options *options, slc_error *err)
{
    slc_actor actor = {.kind = "system", .id = "system", .name = "node CA"};
    slc_ca *ca = slc_calloc(1, sizeof *ca);
    ca->magic = SLC_CA_MAGIC;
    ca->trust_domain = slc_strdup(options->trust_domain != NULL ? options->trust_domain : "sluice");
    ca->server_names = alternative_names(options->server_names);
    set_times(ca, options);
    pthread_mutex_init(&ca->mutex, NULL);
    if (!check_times(ca, err) || !slc_catalog_write_sync(catalog, &actor, load_or_make, ca, err)) {
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
    slc_authorities_unref(ca->authorities);
    slc_authorities_unref(ca->server_of);
    free(ca->trust_domain);
    free(ca->server_names);
    free(ca->server_chain_pem);
    if (ca->server_key_pem != NULL)
        slc_free_secret(ca->server_key_pem, strlen(ca->server_key_pem));
    pthread_mutex_destroy(&ca->mutex);
    ca->magic = 0;
    free(ca);
}

/* ---- what is known of it ---- */

slc_authorities *slc_ca_authorities(slc_ca *ca)
{
    SLC_CHECK_MAGIC(ca, SLC_CA_MAGIC);
    pthread_mutex_lock(&ca->mutex);
    slc_authorities *set = slc_authorities_ref(ca->authorities);
    pthread_mutex_unlock(&ca->mutex);
    return set;
}

bool slc_ca_sync(slc_ca *ca, slc_txn *txn, bool *changed, slc_error *err)
{
    *changed = false;
    slc_authorities *next = slc_authorities_load(txn, err);
    if (next == NULL)
        return slc_fail_context(err, "node CA");
    pthread_mutex_lock(&ca->mutex);
    *changed = !slc_authorities_same(ca->authorities, next);
    if (*changed) {
        slc_authorities *before = ca->authorities;
        ca->authorities = next;
        next = before;
    }
    pthread_mutex_unlock(&ca->mutex);
    slc_authorities_unref(next);
    return true;
}

void slc_ca_pin(slc_ca *ca, uint8_t out[SLC_SHA256_BYTES])
{
    slc_authorities *set = slc_ca_authorities(ca);
    memcpy(out, set->active.pin, SLC_SHA256_BYTES);
    slc_authorities_unref(set);
}

bool slc_ca_stored_pin(slc_txn *txn, uint8_t out[SLC_SHA256_BYTES], slc_error *err)
{
    sqlite3_stmt *stmt =
        slc_txn_prepare(txn, "SELECT certificate_pem FROM node_ca WHERE state = 'active'", err);
    int row = stmt != NULL ? slc_txn_step(txn, stmt, err) : -1;
    X509 *certificate = row == 1 ? slc_x509_read_cert(slc_column_text(stmt, 0), err) : NULL;
    slc_txn_finish(txn, stmt);
    if (certificate == NULL)
        return row != 0 ? false : slc_fail(err, SLC_NOT_FOUND, NULL, "there is no active authority");
    slc_x509_pin(certificate, out);
    X509_free(certificate);
    return true;
}

char *slc_ca_bundle(slc_ca *ca, uint8_t pin[SLC_SHA256_BYTES])
{
    slc_authorities *set = slc_ca_authorities(ca);
    char *bundle = slc_strdup(set->bundle_pem);
    if (pin != NULL)
        memcpy(pin, set->active.pin, SLC_SHA256_BYTES);
    slc_authorities_unref(set);
    return bundle;
}

const char *slc_ca_trust_domain(const slc_ca *ca)
{
    return ca->trust_domain;
}

int64_t slc_ca_expiry_ms(slc_ca *ca)
{
    slc_authorities *set = slc_ca_authorities(ca);
    int64_t expiry_ms = slc_x509_not_after_ms(set->active.certificate);
    slc_authorities_unref(set);
    return expiry_ms;
}

int64_t slc_ca_now_ms(const slc_ca *ca)
{
    return ca->clock();
}

int64_t slc_ca_skew_ms(const slc_ca *ca)
{
    return ca->skew_ms;
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

static bool is_ours(slc_ca *ca, X509 *certificate, char *uri, size_t uri_size, slc_error *err)
{
    slc_authorities *set = slc_ca_authorities(ca);
    bool ours = slc_authorities_issuer(set, certificate) != NULL;
    slc_authorities_unref(set);
    if (!ours || !slc_x509_uri(certificate, uri, uri_size))
        return slc_fail(err, SLC_UNAUTHENTICATED, NULL,
                        "no authority that this control plane trusts issued the certificate to a node (its "
                        "authority may have been retired): enrol again with a new join string");
    if (slc_x509_not_after_ms(certificate) + ca->renewal_window_ms < ca->clock())
        return slc_fail(
            err, SLC_UNAUTHENTICATED, NULL,
            "the certificate expired too long ago to be renewed: enrol again with a new join string");
    return true;
}

bool slc_ca_check_renewal(slc_ca *ca, const char *certificate_pem, const void *signed_data, size_t signed_len,
                          const void *signature, size_t signature_len, slc_ca_node *node, slc_error *err)
{
    char uri[SPIFFE_CHARS];
    SLC_CHECK_MAGIC(ca, SLC_CA_MAGIC);
    X509 *certificate = slc_x509_read_cert(certificate_pem, err);
    if (certificate == NULL)
        return false;
    bool ok =
        is_ours(ca, certificate, uri, sizeof uri, err) &&
        (signed_by(certificate, signed_data, signed_len, signature, signature_len) ||
         slc_fail(err, SLC_UNAUTHENTICATED, NULL, "the renewal is not signed by the certificate's key")) &&
        slc_ca_parse_spiffe(ca, uri, node, err);
    X509_free(certificate);
    return ok;
}
