/* A file of key-encryption keys (KEKs), sealed by a passphrase: for those who have no key management service.
 *
 * The file is JSON: {"format": "sluice-keystore", "version": 1, "kdf": {"name": "scrypt", "n", "r", "p",
 * "salt"}, "sealed"}; docs/encryption.md says what is sealed and how. Not thread safe.
 */
#ifndef SLC_DATAPLANE_CRYPT_KEYSTORE_H
#define SLC_DATAPLANE_CRYPT_KEYSTORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "dataplane/crypt/data_key.h"

#define SLC_KEYSTORE_EDEK_BYTES 64
#define SLC_KEYSTORE_KEYS_MAX   100000
#define SLC_KEYSTORE_FILE_MAX   (64 << 20)
#define SLC_PASSPHRASE_MIN      12 /* bytes */

typedef struct slc_keystore slc_keystore;

/* What one may know of a KEK. */
typedef struct slc_keystore_entry {
    const char *name;
    uint32_t version; /* that encrypts; the older ones decrypt */
    size_t versions;
    int64_t created_ms, rotated_ms;
    int64_t destroyed_ms; /* 0: it lives */
} slc_keystore_entry;

slc_keystore *slc_keystore_new(void);
/* Overwrites the keys. NULL is fine. */
void slc_keystore_free(slc_keystore *store);

/* Both derive a key from the passphrase, which takes 16 MiB and a tenth of a second. Load: NULL with
 * SLC_CORRUPT when the passphrase is wrong or the file was changed. */
slc_keystore *slc_keystore_load(const char *path, const char *passphrase, size_t passphrase_len,
                                slc_error *err) SLC_CHECKED;
bool slc_keystore_save(const slc_keystore *store, const char *path, const char *passphrase,
                       size_t passphrase_len, slc_error *err) SLC_CHECKED;

/* A name has 1 to 255 of a-z A-Z 0-9 . _ - and begins with a letter or digit. SLC_CONFLICT when the KEK is
 * there, or was and has been destroyed: its name would tell old data from new no more. */
bool slc_keystore_add(slc_keystore *store, const char *name, slc_error *err) SLC_CHECKED;
/* A new version encrypts from now on. */
bool slc_keystore_rotate(slc_keystore *store, const char *name, slc_error *err) SLC_CHECKED;
/* Overwrites all its versions: what they protect is lost. The name stays, as destroyed. */
bool slc_keystore_destroy(slc_keystore *store, const char *name, slc_error *err) SLC_CHECKED;

size_t slc_keystore_count(const slc_keystore *store);
/* In order of their names. */
slc_keystore_entry slc_keystore_at(const slc_keystore *store, size_t index);

/* SLC_NOT_FOUND for a KEK that is not there or was destroyed; SLC_CORRUPT for an EDEK that is not that KEK's.
 */
bool slc_keystore_wrap(const slc_keystore *store, const char *name, const uint8_t secret[SLC_DATA_KEY_BYTES],
                       uint8_t edek[SLC_KEYSTORE_EDEK_BYTES], slc_error *err) SLC_CHECKED;
bool slc_keystore_unwrap(const slc_keystore *store, const char *name, const uint8_t *edek, size_t edek_len,
                         uint8_t secret[SLC_DATA_KEY_BYTES], slc_error *err) SLC_CHECKED;
/* The secret of a KEK that never changes, for keys of records. */
bool slc_keystore_fixed(const slc_keystore *store, const char *name, uint8_t secret[SLC_FIXED_KEY_BYTES],
                        slc_error *err) SLC_CHECKED;

#endif
