#include "catalog/verifier.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

#include "common/assert.h"
#include "common/crypto.h"

static void hmac(const EVP_MD *md, const uint8_t *key, size_t len, const char *text, uint8_t *out)
{
    unsigned out_len;
    SLC_BUG_ON(HMAC(md, key, (int)len, (const uint8_t *)text, strlen(text), out, &out_len) == NULL);
}

void slc_scram_verifier(const char *secret, int bits, uint8_t *out)
{
    const EVP_MD *md = bits == 256 ? EVP_sha256() : EVP_sha512();
    size_t size = (size_t)bits / 8;
    uint8_t salted[64], client_key[64];
    uint8_t *salt = out;
    uint8_t *iterations = salt + SLC_SCRAM_SALT_BYTES;
    uint8_t *stored_key = iterations + 4;
    uint8_t *server_key = stored_key + size;
    slc_random(salt, SLC_SCRAM_SALT_BYTES);
    for (int i = 0; i < 4; i++)
        iterations[i] = (uint8_t)(SLC_SCRAM_ITERATIONS >> (24 - 8 * i));
    SLC_BUG_ON(PKCS5_PBKDF2_HMAC(secret, (int)strlen(secret), salt, SLC_SCRAM_SALT_BYTES, SLC_SCRAM_ITERATIONS,
                                 md, (int)size, salted) != 1);
    hmac(md, salted, size, "Client Key", client_key);
    SLC_BUG_ON(EVP_Digest(client_key, size, stored_key, NULL, md, NULL) != 1);
    hmac(md, salted, size, "Server Key", server_key);
    OPENSSL_cleanse(salted, sizeof(salted));
    OPENSSL_cleanse(client_key, sizeof(client_key));
}
