/* What is kept of a generated secret so that SCRAM can check it (RFC 5802, RFC 7677). Private to catalog/. */
#ifndef SLC_CATALOG_VERIFIER_H
#define SLC_CATALOG_VERIFIER_H

#include <stdint.h>

#define SLC_SCRAM_SALT_BYTES   16
#define SLC_SCRAM_ITERATIONS   4096 /* the least that RFC 7677 allows: the secret is random, not a password */
#define SLC_SCRAM_SHA256_BYTES (SLC_SCRAM_SALT_BYTES + 4 + 2 * 32)
#define SLC_SCRAM_SHA512_BYTES (SLC_SCRAM_SALT_BYTES + 4 + 2 * 64)

/* salt(16) || iterations(4, big endian) || StoredKey || ServerKey, with a new salt. `bits`: 256 or 512. */
void slc_scram_verifier(const char *secret, int bits, uint8_t *out);

#endif
