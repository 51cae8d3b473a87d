#include "common/crypto.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <pthread.h>
#include <string.h>

#include "common/assert.h"

#define NONCE_BYTES 12
#define TAG_BYTES   16

/* Fetched once: SHA256() and HMAC() look their algorithm up at each call, which takes longer than to hash a
 * cursor. */
static EVP_MD *sha256;

static void fetch_sha256(void)
{
    sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    SLC_BUG_ON(sha256 == NULL);
}

static const EVP_MD *sha256_md(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    SLC_BUG_ON(pthread_once(&once, fetch_sha256) != 0);
    return sha256;
}

void slc_sha256(const void *data, size_t len, uint8_t out[SLC_SHA256_BYTES])
{
    SLC_BUG_ON(EVP_Digest(data, len, out, NULL, sha256_md(), NULL) != 1);
}

/* SHA-256 of a block, then `data`: half of an HMAC. */
static void hash_behind(EVP_MD_CTX *ctx, const uint8_t block[SHA256_CBLOCK], const void *data, size_t len,
                        uint8_t out[SLC_SHA256_BYTES])
{
    SLC_BUG_ON(EVP_DigestInit_ex2(ctx, sha256_md(), NULL) != 1 ||
               EVP_DigestUpdate(ctx, block, SHA256_CBLOCK) != 1 || EVP_DigestUpdate(ctx, data, len) != 1 ||
               EVP_DigestFinal_ex(ctx, out, NULL) != 1);
}

void slc_hmac_sha256(const void *key, size_t key_len, const void *data, size_t len,
                     uint8_t out[SLC_SHA256_BYTES])
{
    uint8_t inner[SHA256_CBLOCK] = {0}, outer[SHA256_CBLOCK]; /* RFC 2104 */
    if (key_len > sizeof inner)
        slc_sha256(key, key_len, inner);
    else if (key_len > 0)
        memcpy(inner, key, key_len);
    for (size_t i = 0; i < sizeof inner; i++) {
        outer[i] = inner[i] ^ 0x5c;
        inner[i] ^= 0x36;
    }
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    SLC_BUG_ON(ctx == NULL);
    hash_behind(ctx, inner, data, len, out);
    hash_behind(ctx, outer, out, SLC_SHA256_BYTES, out);
    EVP_MD_CTX_free(ctx);
    OPENSSL_cleanse(inner, sizeof inner);
    OPENSSL_cleanse(outer, sizeof outer);
}

/* RFC 5869 sections 2.2 and 2.3 on top of HMAC: OpenSSL's own HKDF refuses an empty key, which the RFC allows.
 */
void slc_hkdf_sha256(const void *key, size_t key_len, const void *salt, size_t salt_len, const char *info,
                     uint8_t *out, size_t out_len)
{
    size_t info_len = info != NULL ? strlen(info) : 0;
    uint8_t prk[SLC_SHA256_BYTES];
    uint8_t block[SLC_SHA256_BYTES + 256 + 1]; /* T(n-1) || info || n */
    SLC_BUG_ON(out_len > 255 * SLC_SHA256_BYTES || info_len > 256);
    slc_hmac_sha256(salt, salt_len, key, key_len, prk);
    size_t previous = 0;
    for (uint8_t n = 1; out_len > 0; n++) {
        if (info_len > 0)
            memcpy(block + previous, info, info_len);
        block[previous + info_len] = n;
        uint8_t t[SLC_SHA256_BYTES];
        slc_hmac_sha256(prk, sizeof(prk), block, previous + info_len + 1, t);
        size_t take = out_len < sizeof(t) ? out_len : sizeof(t);
        memcpy(out, t, take);
        memcpy(block, t, sizeof(t));
        OPENSSL_cleanse(t, sizeof(t));
        previous = sizeof(t);
        out += take;
        out_len -= take;
    }
    OPENSSL_cleanse(prk, sizeof(prk));
    OPENSSL_cleanse(block, sizeof(block));
}

void slc_random(void *out, size_t len)
{
    uint8_t *p = out;
    while (len > 0) {
        size_t take = len < (1U << 20) ? len : (1U << 20);
        SLC_BUG_ON(RAND_bytes(p, (int)take) != 1);
        p += take;
        len -= take;
    }
}

bool slc_equal_secret(const void *a, const void *b, size_t len)
{
    return CRYPTO_memcmp(a, b, len) == 0;
}

void slc_random_id(char *out, size_t chars)
{
    static const char alphabet[] = "0123456789abcdefghjkmnpqrstvwxyz";
    uint8_t random[256];
    size_t have = 0;
    for (size_t i = 0; i < chars; i++) {
        if (have == 0) {
            have = chars - i < sizeof(random) ? chars - i : sizeof(random);
            slc_random(random, have);
        }
        out[i] = alphabet[random[--have] & 31];
    }
    out[chars] = '\0';
    OPENSSL_cleanse(random, sizeof(random));
}

void slc_hex_encode(const void *data, size_t len, char *out)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *p = data;
    for (size_t i = 0; i < len; i++) {
        out[2 * i] = digits[p[i] >> 4];
        out[2 * i + 1] = digits[p[i] & 15];
    }
    out[2 * len] = '\0';
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

bool slc_hex_decode(const char *hex, size_t hex_len, uint8_t *out, size_t out_len)
{
    if (hex_len % 2 != 0 || hex_len / 2 != out_len)
        return false;
    for (size_t i = 0; i < out_len; i++) {
        int high = hex_digit(hex[2 * i]), low = hex_digit(hex[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

static bool gcm_header(EVP_CIPHER_CTX *ctx, const uint8_t *key, const uint8_t *nonce, const void *aad,
                       size_t aad_len, int encrypt)
{
    int n;
    return EVP_CipherInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, nonce, encrypt) == 1 &&
           (aad_len == 0 || EVP_CipherUpdate(ctx, NULL, &n, aad, (int)aad_len) == 1);
}

void slc_seal(const uint8_t key[SLC_SEAL_KEY_BYTES], const void *data, size_t len, const void *aad,
              size_t aad_len, uint8_t *out)
{
    SLC_BUG_ON(len > INT32_MAX || aad_len > INT32_MAX);
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    SLC_BUG_ON(ctx == NULL);
    slc_random(out, NONCE_BYTES);
    uint8_t *body = out + NONCE_BYTES;
    int n = 0;
    SLC_BUG_ON(!gcm_header(ctx, key, out, aad, aad_len, 1));
    SLC_BUG_ON(len > 0 && (EVP_CipherUpdate(ctx, body, &n, data, (int)len) != 1 || (size_t)n != len));
    SLC_BUG_ON(EVP_CipherFinal_ex(ctx, body + len, &n) != 1 || n != 0);
    SLC_BUG_ON(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, TAG_BYTES, body + len) != 1);
    EVP_CIPHER_CTX_free(ctx);
}

static bool gcm_open(EVP_CIPHER_CTX *ctx, const uint8_t *key, const uint8_t *sealed, size_t len,
                     const void *aad, size_t aad_len, uint8_t *out)
{
    uint8_t tag[TAG_BYTES];
    uint8_t rest[1];
    int n;
    memcpy(tag, sealed + NONCE_BYTES + len, TAG_BYTES);
    return gcm_header(ctx, key, sealed, aad, aad_len, 0) &&
           (len == 0 || EVP_CipherUpdate(ctx, out, &n, sealed + NONCE_BYTES, (int)len) == 1) &&
           EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, TAG_BYTES, tag) == 1 &&
           EVP_CipherFinal_ex(ctx, rest, &n) == 1;
}

bool slc_unseal(const uint8_t key[SLC_SEAL_KEY_BYTES], const void *sealed, size_t sealed_len, const void *aad,
                size_t aad_len, uint8_t *out, slc_error *err)
{
    if (sealed_len < SLC_SEAL_OVERHEAD || sealed_len > INT32_MAX || aad_len > INT32_MAX)
        return slc_fail(err, SLC_CORRUPT, NULL, "sealed value of %zu bytes is not one of ours", sealed_len);
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    SLC_BUG_ON(ctx == NULL);
    size_t len = sealed_len - SLC_SEAL_OVERHEAD;
    bool ok = gcm_open(ctx, key, sealed, len, aad, aad_len, out);
    EVP_CIPHER_CTX_free(ctx);
    if (ok)
        return true;
    /* Unverified plaintext must not reach the caller. */
    OPENSSL_cleanse(out, len);
    return slc_fail(err, SLC_CORRUPT, NULL, "sealed value does not match its key or its place");
}
