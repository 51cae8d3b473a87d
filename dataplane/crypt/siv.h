/* AES-256-SIV (RFC 5297) with one string of associated data, in contexts that are kept: OpenSSL's own must be
 * made anew for each message, which allocates. Not thread safe. */
#ifndef SLC_DATAPLANE_CRYPT_SIV_H
#define SLC_DATAPLANE_CRYPT_SIV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SLC_SIV_KEY_BYTES 64
#define SLC_SIV_TAG_BYTES 16

typedef struct slc_siv slc_siv;

slc_siv *slc_siv_new(const uint8_t key[SLC_SIV_KEY_BYTES]);
/* NULL is fine. */
void slc_siv_free(slc_siv *siv);
/* `out` has room for `len` bytes and may not overlap `in`. */
void slc_siv_seal(slc_siv *siv, const uint8_t *aad, size_t aad_len, const uint8_t *in, size_t len,
                  uint8_t tag[SLC_SIV_TAG_BYTES], uint8_t *out);
/* False when key, associated data, tag or text are not those that were sealed; `out` is then wiped. */
bool slc_siv_open(slc_siv *siv, const uint8_t *aad, size_t aad_len, const uint8_t tag[SLC_SIV_TAG_BYTES],
                  const uint8_t *in, size_t len, uint8_t *out);

#endif
