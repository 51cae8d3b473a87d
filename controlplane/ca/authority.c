/* The authorities of the node CA: their rows, and what follows from who is active and who is retiring. */
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/buf.h"
#include "controlplane/ca/ca_private.h"
#include "controlplane/ca/x509.h"

#define BUNDLE_MAX_BYTES (1u << 16)
#define CONTEXT_CHARS    64

static void context_of(const char *id, char out[CONTEXT_CHARS])
{
    snprintf(out, CONTEXT_CHARS, "node_ca/%s", id);
}

static void authority_release(slc_authority *authority)
{
    X509_free(authority->certificate);
    EVP_PKEY_free(authority->key);
}

slc_authorities *slc_authorities_ref(slc_authorities *set)
{
    atomic_fetch_add(&set->refs, 1);
    return set;
}

void slc_authorities_unref(slc_authorities *set)
{
    if (set == NULL || atomic_fetch_sub(&set->refs, 1) > 1)
        return;
    authority_release(&set->active);
    authority_release(&set->retiring);
    X509_free(set->cross);
    free(set->bundle_pem);
    free(set);
}

bool slc_authorities_same(const slc_authorities *a, const slc_authorities *b)
{
    return strcmp(a->active.id, b->active.id) == 0 && strcmp(a->retiring.id, b->retiring.id) == 0;
}

/* ---- loading ---- */

static bool load_one(slc_txn *txn, sqlite3_stmt *stmt, slc_authority *authority, slc_error *err)
{
    char context[CONTEXT_CHARS];
    size_t len = 0;
    snprintf(authority->id, sizeof authority->id, "%s", slc_column_text(stmt, 0));
    context_of(authority->id, context);
    authority->certificate = slc_x509_read_cert(slc_column_text(stmt, 1), err);
    if (authority->certificate == NULL)
        return false;
    slc_x509_pin(authority->certificate, authority->pin);
    uint8_t *pem = slc_txn_unseal(txn, context, sqlite3_column_blob(stmt, 2),
                                  (size_t)sqlite3_column_bytes(stmt, 2), &len, err);
    if (pem == NULL)
        return false;
    authority->key = slc_x509_read_key((const char *)pem, len, err);
    slc_free_secret(pem, len);
    return authority->key != NULL;
}

static bool load_rows(slc_txn *txn, slc_authorities *set, slc_error *err)
{
    static const char sql[] = "SELECT id, certificate_pem, sealed_key, state = 'active' FROM node_ca "
                              "WHERE retired_at IS NULL ORDER BY created_at";
    int row = 0;
    bool ok = true;
    sqlite3_stmt *stmt = slc_txn_prepare(txn, sql, err);
    if (stmt == NULL)
        return false;
    while (ok && (row = slc_txn_step(txn, stmt, err)) == 1) {
        slc_authority *authority = sqlite3_column_int(stmt, 3) != 0 ? &set->active : &set->retiring;
        SLC_BUG_ON(authority->certificate != NULL);
        ok = load_one(txn, stmt, authority, err);
    }
    slc_txn_finish(txn, stmt);
    return ok && row == 0;
}

/* The retiring authority's name and key under the active one's signature: whoever trusts only the active one
 * can then verify what the retiring one signs. */
static X509 *cross_sign(const slc_authorities *set, slc_error *err)
{
    slc_x509_spec spec = {.certified = set->retiring.certificate,
                          .not_before_ms = slc_x509_not_before_ms(set->active.certificate),
                          .not_after_ms = slc_x509_not_after_ms(set->retiring.certificate)};
    int64_t last_ms = slc_x509_not_after_ms(set->active.certificate);
    if (spec.not_after_ms > last_ms)
        spec.not_after_ms = last_ms;
    return slc_x509_sign(&spec, set->retiring.key, set->active.certificate, set->active.key, err);
}

static void make_bundle(slc_authorities *set)
{
    const slc_authority *all[] = {&set->active, &set->retiring};
    slc_buf bundle;
    slc_buf_init(&bundle, BUNDLE_MAX_BYTES);
    for (size_t i = 0; i < 2; i++) {
        char *pem = all[i]->certificate != NULL ? slc_x509_cert_pem(all[i]->certificate) : NULL;
        if (pem != NULL)
            slc_buf_adds(&bundle, pem);
        free(pem);
    }
    SLC_BUG_ON(bundle.overflow || bundle.len == 0);
    set->bundle_pem = slc_strndup((const char *)bundle.data, bundle.len);
    slc_buf_release(&bundle);
}

slc_authorities *slc_authorities_load(slc_txn *txn, slc_error *err)
{
    slc_authorities *set = slc_calloc(1, sizeof *set);
    atomic_init(&set->refs, 1);
    if (!load_rows(txn, set, err))
        goto failed;
    if (set->active.certificate == NULL) {
        slc_fail(err, SLC_NOT_FOUND, NULL, "there is no active authority");
        goto failed;
    }
    if (set->retiring.certificate != NULL && (set->cross = cross_sign(set, err)) == NULL)
        goto failed;
    make_bundle(set);
    return set;
failed:
    slc_authorities_unref(set);
    return NULL;
}

const slc_authority *slc_authorities_issuer(const slc_authorities *set, X509 *certificate)
{
    const slc_authority *all[] = {&set->active, &set->retiring};
    const slc_authority *found = NULL;
    for (size_t i = 0; i < 2 && found == NULL; i++)
        if (all[i]->certificate != NULL && X509_check_issued(all[i]->certificate, certificate) == X509_V_OK &&
            X509_verify(certificate, X509_get0_pubkey(all[i]->certificate)) == 1)
            found = all[i];
    ERR_clear_error();
    return found;
}

/* ---- making ---- */

static bool store(slc_txn *txn, const char *id, X509 *certificate, EVP_PKEY *key, slc_error *err)
{
    char context[CONTEXT_CHARS];
    size_t sealed_len = 0;
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

bool slc_authority_make(slc_txn *txn, const slc_ca *ca, char id[SLC_CA_ID_CHARS + 1], slc_error *err)
{
    char name[64];
    int64_t now_ms = ca->clock();
    slc_random_id(id, SLC_CA_ID_CHARS);
    /* The id is in the name, because peers look authorities up by name first. */
    snprintf(name, sizeof name, "Sluice node CA %s", id);
    slc_x509_spec spec = {
        .common_name = name, .not_before_ms = now_ms - ca->skew_ms, .not_after_ms = now_ms + ca->authority_ms};
    EVP_PKEY *key = slc_x509_new_key();
    X509 *certificate = slc_x509_sign(&spec, key, NULL, key, err);
    bool ok = certificate != NULL && store(txn, id, certificate, key, err);
    X509_free(certificate);
    EVP_PKEY_free(key);
    return ok;
}
