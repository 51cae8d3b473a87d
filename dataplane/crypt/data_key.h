/* A key that encrypts records, shared by threads. Its secret is overwritten when the last reference goes. */
#ifndef SLC_DATAPLANE_CRYPT_DATA_KEY_H
#define SLC_DATAPLANE_CRYPT_DATA_KEY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SLC_DATA_KEY_BYTES  32 /* of data keys */
#define SLC_FIXED_KEY_BYTES 64 /* of those that encrypt keys of records */

typedef struct slc_data_key {
    atomic_uint refs_;
    atomic_bool dead;                /* not to be used any more: forgotten, or its KEK was destroyed */
    atomic_uint_least64_t records;   /* that it encrypted, as workers told */
    atomic_uint_least64_t bytes;     /* likewise */
    uint64_t number;                 /* no other key of the process ever has it */
    atomic_int_least64_t expires_ms; /* monotonic: when whoever keeps it must ask anew */
    size_t secret_len;               /* one of the two above */
    size_t kek_len, edek_len;
    const char *kek;     /* terminated */
    const uint8_t *edek; /* NULL with a fixed key */
    uint8_t secret[SLC_FIXED_KEY_BYTES];
    uint8_t texts_[];
} slc_data_key;

/* Copies everything; the caller has the first reference. Lengths are limited by the envelope's. */
slc_data_key *slc_data_key_new(const char *kek, size_t kek_len, const uint8_t *edek, size_t edek_len,
                               const uint8_t *secret, size_t secret_len);
slc_data_key *slc_data_key_ref(slc_data_key *key);
/* NULL is fine. */
void slc_data_key_unref(slc_data_key *key);

#endif
