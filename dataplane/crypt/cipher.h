/* Encrypts and decrypts values, keys and fields of records, in contexts that a worker keeps: in the steady
 * state nothing is allocated. Not thread safe: one for each worker, which has a number of its own in every
 * nonce.
 */
#ifndef SLC_DATAPLANE_CRYPT_CIPHER_H
#define SLC_DATAPLANE_CRYPT_CIPHER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/error.h"
#include "dataplane/crypt/data_key.h"
#include "dataplane/crypt/envelope.h"

#define SLC_CRYPT_CONTEXT_MAX 500 /* bytes */

typedef struct slc_ciphers slc_ciphers;

slc_ciphers *slc_ciphers_new(void);
/* NULL is fine. */
void slc_ciphers_free(slc_ciphers *ciphers);
/* Lets go of keys that are dead or expired. To be called now and then. */
void slc_ciphers_trim(slc_ciphers *ciphers);

/* What the ciphertext is bound to: it opens nowhere else. */
typedef struct slc_crypt_place {
    const char *context; /* such as the backend's name of the topic; at most SLC_CRYPT_CONTEXT_MAX */
    size_t context_len;
    const uint8_t *record_key; /* as it is stored; with `binds_key` */
    size_t record_key_len;
    bool binds_key;    /* to the record's key too; a key that is null is another than an empty one */
    const char *field; /* of SLC_PART_FIELD: which one */
    size_t field_len;
} slc_crypt_place;

/* Adds the envelope of `in` to `out`. `key` is a data key, or with SLC_PART_KEY a fixed one. False with
 * SLC_TOO_LARGE when it does not fit; `out` is then as it was. */
bool slc_crypt_seal(slc_ciphers *ciphers, slc_data_key *key, enum slc_envelope_part part,
                    const slc_crypt_place *place, const uint8_t *in, size_t len, slc_buf *out,
                    slc_error *err) SLC_CHECKED;

/* Adds what is in the envelope to `out`. False with SLC_CORRUPT when key, place or bytes are others than those
 * that were sealed, or SLC_TOO_LARGE; `out` is then as it was. */
bool slc_crypt_open(slc_ciphers *ciphers, slc_data_key *key, const slc_envelope *envelope,
                    const slc_crypt_place *place, slc_buf *out, slc_error *err) SLC_CHECKED;

/* Tells the keys what they encrypted since: they are told now and then by themselves. */
void slc_ciphers_tell(slc_ciphers *ciphers);

#endif
