/* The master key file and sealing under it. Private to catalog/.
 *
 * The file (mode 0600) has a line for each key, 64 hexadecimal digits: the first seals, all unseal, so that a
 * rotation survives a crash between its steps. A sealed value starts with the first 4 bytes of its key's
 * SHA-256. */
#ifndef SLC_CATALOG_MASTER_KEY_H
#define SLC_CATALOG_MASTER_KEY_H

#include <stddef.h>
#include <stdint.h>

#include "common/crypto.h"
#include "common/error.h"

#define SLC_MASTER_KEYS_MAX     4
#define SLC_MASTER_KEY_ID_BYTES 4
#define SLC_FINGERPRINT_CHARS   9 /* the id in hexadecimal, and NUL */

typedef struct slc_master_key {
    unsigned count;
    struct {
        uint8_t id[SLC_MASTER_KEY_ID_BYTES];
        uint8_t key[SLC_SEAL_KEY_BYTES];
    } keys[SLC_MASTER_KEYS_MAX];
} slc_master_key;

/* SLC_NOT_FOUND when there is no such file. */
bool slc_master_key_load(slc_master_key *master, const char *path, slc_error *err) SLC_CHECKED;
bool slc_master_key_save(const slc_master_key *master, const char *path, slc_error *err) SLC_CHECKED;
/* A new random key in front of the others. */
bool slc_master_key_push(slc_master_key *master, slc_error *err) SLC_CHECKED;
void slc_master_key_release(slc_master_key *master);

/* Is the key with this fingerprint among them? */
bool slc_master_key_has(const slc_master_key *master, const char *fingerprint);
void slc_master_key_fingerprint(const slc_master_key *master, unsigned index, char out[SLC_FINGERPRINT_CHARS]);
/* That of the key that a value was sealed under; "" when it is too short to be one. */
void slc_sealed_fingerprint(const void *sealed, size_t len, char out[SLC_FINGERPRINT_CHARS]);

/* New memory; `context` is authenticated with the value. */
uint8_t *slc_master_seal(const slc_master_key *master, const char *context, const void *data, size_t len,
                         size_t *sealed_len);
/* New memory with a NUL after `len` bytes; NULL with SLC_CORRUPT. */
uint8_t *slc_master_unseal(const slc_master_key *master, const char *context, const void *sealed,
                           size_t sealed_len, size_t *len, slc_error *err) SLC_CHECKED;

#endif
