/* RFC 5297: S2V (section 2.4) on AES-CMAC (RFC 4493), then CTR (sections 2.6 and 2.7). */
#include "dataplane/crypt/siv.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>

#include "common/alloc.h"
#include "common/assert.h"

#define BLOCK 16
#define CHUNK 512 /* of what is enciphered for a MAC: a multiple of the block */

struct slc_siv {
    EVP_CIPHER_CTX *cbc; /* AES-CBC, begun anew from zero for each MAC: a CMAC but for its last block */
    EVP_CIPHER_CTX *ctr;
    uint8_t full[BLOCK], cut[BLOCK]; /* RFC 4493's K1 and K2 */
    uint8_t zero[BLOCK];             /* the MAC of a block of zeros, with which S2V begins */
};

static const uint8_t zeros[BLOCK];

/* Multiplies by x in GF(2^128). */
static void twice(uint8_t block[BLOCK])
{
    uint8_t carry = (uint8_t)(block[0] >> 7);
    for (size_t i = 0; i + 1 < BLOCK; i++)
        block[i] = (uint8_t)(block[i] << 1 | block[i + 1] >> 7);
    block[BLOCK - 1] = (uint8_t)(block[BLOCK - 1] << 1 ^ (carry != 0 ? 0x87 : 0));
}

static void add(uint8_t *to, const uint8_t *from, size_t len)
{
    for (size_t i = 0; i < len; i++)
        to[i] ^= from[i];
}

/* Enciphers whole blocks; the last of them is left in `last`. */
static void chain(slc_siv *siv, const uint8_t *data, size_t len, uint8_t last[BLOCK])
{
    uint8_t out[CHUNK];
    while (len > 0) {
        size_t part = len < CHUNK ? len : CHUNK;
        int n = 0;
        SLC_BUG_ON(EVP_EncryptUpdate(siv->cbc, out, &n, data, (int)part) != 1 || n != (int)part);
        memcpy(last, out + part - BLOCK, BLOCK);
        data += part;
        len -= part;
    }
}

/* The MAC of `len` bytes, the last of which (as far as there are) have `end` added to them when it is not NULL:
 * the "xorend" of S2V. */
static void mac(slc_siv *siv, const uint8_t *data, size_t len, const uint8_t *end, uint8_t out[BLOCK])
{
    uint8_t tail[3 * BLOCK] = {0};
    size_t tail_len = len < 2 * BLOCK ? len : BLOCK + (len - 1) % BLOCK + 1; /* holds all that `end` touches */
    size_t before = len - tail_len, padded = tail_len;
    SLC_BUG_ON(EVP_EncryptInit_ex(siv->cbc, NULL, NULL, NULL, zeros) != 1);
    if (tail_len > 0)
        memcpy(tail, data + before, tail_len);
    if (end != NULL)
        add(tail + tail_len - BLOCK, end, BLOCK);
    if (tail_len == 0 || tail_len % BLOCK != 0) {
        tail[tail_len] = 0x80;
        padded = tail_len / BLOCK * BLOCK + BLOCK;
        add(tail + padded - BLOCK, siv->cut, BLOCK);
    } else {
        add(tail + padded - BLOCK, siv->full, BLOCK);
    }
    chain(siv, data, before, out);
    chain(siv, tail, padded, out);
    OPENSSL_cleanse(tail, sizeof tail);
}

static void subkeys(slc_siv *siv)
{
    int n = 0;
    SLC_BUG_ON(EVP_EncryptInit_ex(siv->cbc, NULL, NULL, NULL, zeros) != 1 ||
               EVP_EncryptUpdate(siv->cbc, siv->full, &n, zeros, BLOCK) != 1 || n != BLOCK);
    twice(siv->full);
    memcpy(siv->cut, siv->full, BLOCK);
    twice(siv->cut);
    mac(siv, zeros, BLOCK, NULL, siv->zero);
}

slc_siv *slc_siv_new(const uint8_t key[SLC_SIV_KEY_BYTES])
{
    slc_siv *siv = slc_calloc(1, sizeof *siv);
    siv->cbc = EVP_CIPHER_CTX_new();
    siv->ctr = EVP_CIPHER_CTX_new();
    SLC_BUG_ON(siv->cbc == NULL || siv->ctr == NULL);
    SLC_BUG_ON(EVP_EncryptInit_ex(siv->cbc, EVP_aes_256_cbc(), NULL, key, zeros) != 1 ||
               EVP_CIPHER_CTX_set_padding(siv->cbc, 0) != 1);
    SLC_BUG_ON(EVP_EncryptInit_ex(siv->ctr, EVP_aes_256_ctr(), NULL, key + SLC_SIV_KEY_BYTES / 2, zeros) != 1);
    subkeys(siv);
    return siv;
}

void slc_siv_free(slc_siv *siv)
{
    if (siv == NULL)
        return;
    EVP_CIPHER_CTX_free(siv->cbc);
    EVP_CIPHER_CTX_free(siv->ctr);
    slc_free_secret(siv, sizeof *siv);
}

static void s2v(slc_siv *siv, const uint8_t *aad, size_t aad_len, const uint8_t *in, size_t len,
                uint8_t tag[BLOCK])
{
    uint8_t d[BLOCK], m[BLOCK];
    memcpy(d, siv->zero, BLOCK);
    mac(siv, aad, aad_len, NULL, m);
    twice(d);
    add(d, m, BLOCK);
    if (len >= BLOCK) {
        mac(siv, in, len, d, tag);
    } else {
        uint8_t padded[BLOCK] = {0};
        if (len > 0)
            memcpy(padded, in, len);
        padded[len] = 0x80;
        twice(d);
        add(padded, d, BLOCK);
        mac(siv, padded, BLOCK, NULL, tag);
        OPENSSL_cleanse(padded, sizeof padded);
    }
}

static void count_through(slc_siv *siv, const uint8_t tag[BLOCK], const uint8_t *in, size_t len, uint8_t *out)
{
    uint8_t start[BLOCK];
    int n = 0;
    memcpy(start, tag, BLOCK);
    start[8] &= 0x7f;
    start[12] &= 0x7f;
    SLC_BUG_ON(EVP_EncryptInit_ex(siv->ctr, NULL, NULL, NULL, start) != 1);
    SLC_BUG_ON(len > 0 && (EVP_EncryptUpdate(siv->ctr, out, &n, in, (int)len) != 1 || (size_t)n != len));
}

void slc_siv_seal(slc_siv *siv, const uint8_t *aad, size_t aad_len, const uint8_t *in, size_t len,
                  uint8_t tag[SLC_SIV_TAG_BYTES], uint8_t *out)
{
    SLC_BUG_ON(len > INT32_MAX);
    s2v(siv, aad, aad_len, in, len, tag);
    count_through(siv, tag, in, len, out);
}

bool slc_siv_open(slc_siv *siv, const uint8_t *aad, size_t aad_len, const uint8_t tag[SLC_SIV_TAG_BYTES],
                  const uint8_t *in, size_t len, uint8_t *out)
{
    uint8_t wanted[BLOCK];
    if (len > INT32_MAX)
        return false;
    count_through(siv, tag, in, len, out);
    s2v(siv, aad, aad_len, out, len, wanted);
    if (CRYPTO_memcmp(wanted, tag, BLOCK) == 0)
        return true;
    OPENSSL_cleanse(out, len);
    return false;
}
