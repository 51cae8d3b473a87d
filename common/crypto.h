/* Small cryptographic helpers over OpenSSL. All functions are thread safe. */
#ifndef SLC_COMMON_CRYPTO_H
#define SLC_COMMON_CRYPTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

#define SLC_SHA256_BYTES 32

void slc_sha256(const void *data, size_t len, uint8_t out[SLC_SHA256_BYTES]);
void slc_hmac_sha256(const void *key, size_t key_len, const void *data, size_t len,
                     uint8_t out[SLC_SHA256_BYTES]);
/* HKDF-SHA-256 (RFC 5869). An empty salt is allowed; `info` may be NULL and has at most 256 bytes, `out_len` is
 * at most 8,160. */
void slc_hkdf_sha256(const void *key, size_t key_len, const void *salt, size_t salt_len, const char *info,
                     uint8_t *out, size_t out_len);

/* From the system's generator; a failure is a bug. */
void slc_random(void *out, size_t len);

/* True when equal; time depends on `len` only. */
bool slc_equal_secret(const void *a, const void *b, size_t len);

/* A random identifier: `chars` characters of lower-case Crockford base32 (0123456789abcdefghjkmnpqrstvwxyz: no
 * i, l, o or u), 5 random bits each. Not sortable. `out` holds chars + 1. */
void slc_random_id(char *out, size_t chars);

void slc_hex_encode(const void *data, size_t len, char *out /* 2 * len + 1 */);
bool slc_hex_decode(const char *hex, size_t hex_len, uint8_t *out, size_t out_len) SLC_CHECKED;

/* Base64 and base64url (no padding written for url; padding accepted). Decoders return the byte count or -1 on
 * a character outside the alphabet, bad padding, non-zero trailing bits, or a result over `out_max`. */
size_t slc_base64_encode(const void *data, size_t len, char *out /* 4 * ((len + 2) / 3) + 1 */);
size_t slc_base64url_encode(const void *data, size_t len, char *out /* 4 * ((len + 2) / 3) + 1 */);
long slc_base64_decode(const char *text, size_t len, uint8_t *out, size_t out_max) SLC_CHECKED;
long slc_base64url_decode(const char *text, size_t len, uint8_t *out, size_t out_max) SLC_CHECKED;

/* AES-256-GCM, 96-bit random nonce: out = nonce(12) || ciphertext || tag(16), so out_len = len +
 * SLC_SEAL_OVERHEAD. `aad` binds the context (for example "table/column/id"), so a sealed value cannot be moved
 * to another row. */
#define SLC_SEAL_KEY_BYTES 32
#define SLC_SEAL_OVERHEAD  28
void slc_seal(const uint8_t key[SLC_SEAL_KEY_BYTES], const void *data, size_t len, const void *aad,
              size_t aad_len, uint8_t *out);
/* False (SLC_CORRUPT) when the key, the context or the bytes are not those that were sealed. */
bool slc_unseal(const uint8_t key[SLC_SEAL_KEY_BYTES], const void *sealed, size_t sealed_len, const void *aad,
                size_t aad_len, uint8_t *out, slc_error *err) SLC_CHECKED;

#endif
