/* The inside of the node CA, shared by its files. */
#ifndef SLC_CONTROLPLANE_CA_PRIVATE_H
#define SLC_CONTROLPLANE_CA_PRIVATE_H

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <stdatomic.h>

#include "catalog/read.h"
#include "controlplane/ca/ca.h"

#define SLC_CA_MAGIC 0x51c0ca00u

/* One key that signs, or signed, certificates. */
typedef struct slc_authority {
    char id[SLC_CA_ID_CHARS + 1];
    X509 *certificate; /* self-signed */
    EVP_PKEY *key;
    uint8_t pin[SLC_SHA256_BYTES];
} slc_authority;

/* Those that are trusted at one time: immutable once made, shared by reference. */
typedef struct slc_authorities {
    atomic_uint refs;
    slc_authority active;
    slc_authority retiring; /* certificate NULL: none */
    X509 *cross;            /* the retiring one's name and key, signed by the active one */
    char *bundle_pem;       /* active first */
} slc_authorities;

struct slc_ca {
    unsigned magic;
    char *trust_domain;
    char *server_names; /* OpenSSL's notation */
    int64_t (*clock)(void);
    int64_t leaf_ms, authority_ms, renewal_window_ms, skew_ms;
    pthread_mutex_t mutex; /* guards what follows */
    slc_authorities *authorities;
    slc_authorities *server_of; /* whose certificate follows; own reference */
    char *server_chain_pem;
    char *server_key_pem;
    int64_t server_renew_ms;
};

/* ---- authority.c ---- */
/* What the catalog says now: new reference. NULL with SLC_NOT_FOUND when there is no active authority yet. */
slc_authorities *slc_authorities_load(slc_txn *txn, slc_error *err) SLC_CHECKED;
slc_authorities *slc_authorities_ref(slc_authorities *set);
void slc_authorities_unref(slc_authorities *set); /* NULL is fine */
bool slc_authorities_same(const slc_authorities *a, const slc_authorities *b);
/* The one that signed the certificate, or NULL. Borrowed. */
const slc_authority *slc_authorities_issuer(const slc_authorities *set, X509 *certificate);
/* Makes an authority and stores it as the active one (there must be none); `id` tells which. */
bool slc_authority_make(slc_txn *txn, const slc_ca *ca, char id[SLC_CA_ID_CHARS + 1],
                        slc_error *err) SLC_CHECKED;

/* ---- ca.c ---- */
slc_authorities *slc_ca_authorities(slc_ca *ca); /* those of now: new reference */

#endif
