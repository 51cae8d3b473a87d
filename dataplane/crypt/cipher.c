/* A slot for each (key, context, use) that was used lately, with contexts of OpenSSL that have the schedule of
 * the subkey. The subkey of a context is HKDF-SHA-256 of the key with the context as salt. */
#include "dataplane/crypt/cipher.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/clock.h"
#include "common/crypto.h"
#include "dataplane/crypt/siv.h"

#define SLOTS      64
#define WAYS       4 /* slots in which a key may be: the one that was used longest ago goes */
#define TELL_EVERY 256
#define INFO_DATA  "sluice 1 data"
#define INFO_KEY   "sluice 1 key"

enum use { SEAL, OPEN, FIXED };

struct slot {
    slc_data_key *key; /* NULL: free */
    enum use use;
    size_t context_len;
    char context[SLC_CRYPT_CONTEXT_MAX];
    uint64_t used;
    EVP_CIPHER_CTX *gcm; /* SEAL, OPEN */
    slc_siv *siv;        /* FIXED */
    uint32_t records;    /* that the key has not been told of */
    uint64_t bytes;
    size_t aad_len; /* what is authenticated with the context alone; 0: not made yet */
    uint8_t aad[SLC_ENVELOPE_HEAD_BYTES + 5 + SLC_CRYPT_CONTEXT_MAX];
};

struct slc_ciphers {
    uint32_t thread;  /* no other ciphers of the process have it */
    uint64_t counter; /* of nonces; never goes back */
    uint64_t clock;
    slc_buf aad;
    struct slot *last[3]; /* by use: it is most often the same again */
    struct slot slots[SLOTS];
};

slc_ciphers *slc_ciphers_new(void)
{
    static atomic_uint threads;
    slc_ciphers *ciphers = slc_calloc(1, sizeof *ciphers);
    ciphers->thread = atomic_fetch_add(&threads, 1);
    SLC_BUG_ON(ciphers->thread == UINT32_MAX);
    slc_buf_init(&ciphers->aad, SIZE_MAX);
    return ciphers;
}

static void tell(struct slot *slot)
{
    atomic_fetch_add_explicit(&slot->key->records, slot->records, memory_order_relaxed);
    atomic_fetch_add_explicit(&slot->key->bytes, slot->bytes, memory_order_relaxed);
    slot->records = 0;
    slot->bytes = 0;
}

static void empty(struct slot *slot)
{
    if (slot->key == NULL)
        return;
    tell(slot);
    slc_data_key_unref(slot->key);
    EVP_CIPHER_CTX_free(slot->gcm);
    slc_siv_free(slot->siv);
    *slot = (struct slot){0};
}

void slc_ciphers_free(slc_ciphers *ciphers)
{
    for (size_t i = 0; ciphers != NULL && i < SLOTS; i++)
        empty(&ciphers->slots[i]);
    if (ciphers != NULL)
        slc_buf_release(&ciphers->aad);
    free(ciphers);
}

void slc_ciphers_trim(slc_ciphers *ciphers)
{
    int64_t now_ms = slc_monotonic_ms();
    for (size_t i = 0; i < SLOTS; i++) {
        struct slot *slot = &ciphers->slots[i];
        if (slot->key != NULL &&
            (atomic_load(&slot->key->dead) || atomic_load(&slot->key->expires_ms) <= now_ms))
            empty(slot);
    }
}

void slc_ciphers_tell(slc_ciphers *ciphers)
{
    for (size_t i = 0; i < SLOTS; i++)
        if (ciphers->slots[i].key != NULL)
            tell(&ciphers->slots[i]);
}

/* ---- slots ---- */

static void prepare(struct slot *slot)
{
    const slc_data_key *key = slot->key;
    uint8_t subkey[SLC_SIV_KEY_BYTES];
    if (slot->use == FIXED) {
        slc_hkdf_sha256(key->secret, key->secret_len, slot->context, slot->context_len, INFO_KEY, subkey,
                        SLC_SIV_KEY_BYTES);
        slot->siv = slc_siv_new(subkey);
    } else {
        slc_hkdf_sha256(key->secret, key->secret_len, slot->context, slot->context_len, INFO_DATA, subkey,
                        SLC_DATA_KEY_BYTES);
        slot->gcm = EVP_CIPHER_CTX_new();
        SLC_BUG_ON(slot->gcm == NULL ||
                   EVP_CipherInit_ex(slot->gcm, EVP_aes_256_gcm(), NULL, subkey, NULL, slot->use == SEAL) != 1);
    }
    OPENSSL_cleanse(subkey, sizeof subkey);
}

static bool is_of(const struct slot *slot, const slc_data_key *key, enum use use, const slc_crypt_place *place)
{
    return slot->key == key && slot->use == use && slot->context_len == place->context_len &&
           memcmp(slot->context, place->context, place->context_len) == 0;
}

static struct slot *look_up(slc_ciphers *ciphers, slc_data_key *key, enum use use, const slc_crypt_place *place)
{
    uint64_t hash = (key->number * 3 + (uint64_t)use) * 0x9e3779b97f4a7c15u;
    for (size_t i = 0; i < place->context_len; i++) /* FNV-1a */
        hash = (hash ^ (uint8_t)place->context[i]) * 0x100000001b3u;
    size_t first = (size_t)(hash >> 32) % (SLOTS / WAYS) * WAYS;
    struct slot *oldest = NULL;
    for (size_t i = first; i < first + WAYS; i++) {
        struct slot *slot = &ciphers->slots[i];
        if (is_of(slot, key, use, place)) {
            slot->used = ++ciphers->clock;
            return slot;
        }
        if (oldest == NULL || slot->used < oldest->used)
            oldest = slot;
    }
    SLC_BUG_ON(place->context_len > sizeof oldest->context);
    empty(oldest);
    oldest->key = slc_data_key_ref(key);
    oldest->use = use;
    oldest->context_len = place->context_len;
    if (place->context_len > 0)
        memcpy(oldest->context, place->context, place->context_len);
    oldest->used = ++ciphers->clock;
    prepare(oldest);
    return oldest;
}

static struct slot *find(slc_ciphers *ciphers, slc_data_key *key, enum use use, const slc_crypt_place *place)
{
    struct slot *last = ciphers->last[use];
    if (last == NULL || !is_of(last, key, use, place))
        ciphers->last[use] = last = look_up(ciphers, key, use, place);
    return last;
}

/* ---- what is authenticated besides the text ---- */

static void add_item(slc_buf *aad, char kind, const void *data, size_t len)
{
    const uint8_t head[5] = {(uint8_t)kind, (uint8_t)(len >> 24), (uint8_t)(len >> 16), (uint8_t)(len >> 8),
                             (uint8_t)len};
    bool ok = slc_buf_add(aad, head, sizeof head) && (len == 0 || slc_buf_add(aad, data, len));
    SLC_BUG_ON(!ok);
}

struct aad {
    const uint8_t *data;
    size_t len;
};

static struct aad describe(slc_ciphers *ciphers, struct slot *slot, const uint8_t *head,
                           const slc_crypt_place *place)
{
    bool alone = !place->binds_key && place->field == NULL;
    slc_buf *aad = &ciphers->aad;
    if (alone && slot->aad_len > 0 && memcmp(slot->aad, head, SLC_ENVELOPE_HEAD_BYTES) == 0)
        return (struct aad){slot->aad, slot->aad_len};
    slc_buf_clear(aad);
    bool ok = slc_buf_add(aad, head, SLC_ENVELOPE_HEAD_BYTES);
    SLC_BUG_ON(!ok);
    add_item(aad, 'c', place->context, place->context_len);
    if (place->binds_key && place->record_key != NULL)
        add_item(aad, 'k', place->record_key, place->record_key_len);
    else if (place->binds_key)
        add_item(aad, 'n', NULL, 0);
    if (place->field != NULL)
        add_item(aad, 'f', place->field, place->field_len);
    if (alone) {
        memcpy(slot->aad, aad->data, aad->len);
        slot->aad_len = aad->len;
    }
    return (struct aad){aad->data, aad->len};
}

/* ---- sealing ---- */

static void next_nonce(slc_ciphers *ciphers, uint8_t nonce[SLC_ENVELOPE_NONCE_BYTES])
{
    uint64_t count = ciphers->counter++;
    for (size_t i = 0; i < 4; i++)
        nonce[i] = (uint8_t)(ciphers->thread >> (24 - 8 * i));
    for (size_t i = 0; i < 8; i++)
        nonce[4 + i] = (uint8_t)(count >> (56 - 8 * i));
}

static void seal_gcm(slc_ciphers *ciphers, struct slot *slot, struct aad aad, const uint8_t *in, size_t len,
                     uint8_t *out)
{
    EVP_CIPHER_CTX *gcm = slot->gcm;
    uint8_t *text = out + SLC_ENVELOPE_NONCE_BYTES;
    int n = 0;
    next_nonce(ciphers, out);
    SLC_BUG_ON(EVP_EncryptInit_ex(gcm, NULL, NULL, NULL, out) != 1 ||
               EVP_EncryptUpdate(gcm, NULL, &n, aad.data, (int)aad.len) != 1);
    SLC_BUG_ON(len > 0 && (EVP_EncryptUpdate(gcm, text, &n, in, (int)len) != 1 || (size_t)n != len));
    SLC_BUG_ON(EVP_EncryptFinal_ex(gcm, text + len, &n) != 1 ||
               EVP_CIPHER_CTX_ctrl(gcm, EVP_CTRL_GCM_GET_TAG, SLC_ENVELOPE_TAG_BYTES, text + len) != 1);
}

static void count(struct slot *slot, size_t len)
{
    slot->bytes += len;
    if (++slot->records == TELL_EVERY)
        tell(slot);
}

bool slc_crypt_seal(slc_ciphers *ciphers, slc_data_key *key, enum slc_envelope_part part,
                    const slc_crypt_place *place, const uint8_t *in, size_t len, slc_buf *out, slc_error *err)
{
    bool fixed = part == SLC_PART_KEY;
    size_t overhead = slc_envelope_overhead(part, key->kek_len, key->edek_len);
    SLC_BUG_ON(fixed != (key->secret_len == SLC_FIXED_KEY_BYTES));
    uint8_t *room = len <= INT32_MAX - overhead ? slc_buf_extend(out, overhead + len) : NULL;
    if (room == NULL)
        return slc_fail(err, SLC_TOO_LARGE, NULL, "A record grows too large when it is encrypted.");
    struct slot *slot = find(ciphers, key, fixed ? FIXED : SEAL, place);
    size_t head = slc_envelope_write(part, key->kek, key->kek_len, key->edek, key->edek_len, room);
    struct aad aad = describe(ciphers, slot, room, place);
    if (fixed)
        slc_siv_seal(slot->siv, aad.data, aad.len, in, len, room + head, room + head + SLC_ENVELOPE_TAG_BYTES);
    else
        seal_gcm(ciphers, slot, aad, in, len, room + head);
    count(slot, len);
    return true;
}

/* ---- opening ---- */

static bool open_gcm(EVP_CIPHER_CTX *gcm, struct aad aad, const slc_envelope *envelope, uint8_t *out)
{
    uint8_t tag[SLC_ENVELOPE_TAG_BYTES], rest[1];
    int n = 0, len = (int)envelope->text_len;
    memcpy(tag, envelope->tag, sizeof tag);
    SLC_BUG_ON(EVP_DecryptInit_ex(gcm, NULL, NULL, NULL, envelope->nonce) != 1 ||
               EVP_DecryptUpdate(gcm, NULL, &n, aad.data, (int)aad.len) != 1);
    return (len == 0 || EVP_DecryptUpdate(gcm, out, &n, envelope->text, len) == 1) &&
           EVP_CIPHER_CTX_ctrl(gcm, EVP_CTRL_GCM_SET_TAG, SLC_ENVELOPE_TAG_BYTES, tag) == 1 &&
           EVP_DecryptFinal_ex(gcm, rest, &n) == 1;
}

bool slc_crypt_open(slc_ciphers *ciphers, slc_data_key *key, const slc_envelope *envelope,
                    const slc_crypt_place *place, slc_buf *out, slc_error *err)
{
    bool fixed = envelope->part == SLC_PART_KEY, ok;
    SLC_BUG_ON(fixed != (key->secret_len == SLC_FIXED_KEY_BYTES));
    size_t before = out->len;
    uint8_t *room = envelope->text_len <= INT32_MAX ? slc_buf_extend(out, envelope->text_len) : NULL;
    if (room == NULL)
        return slc_fail(err, SLC_TOO_LARGE, NULL, "What was encrypted is too large.");
    struct slot *slot = find(ciphers, key, fixed ? FIXED : OPEN, place);
    struct aad aad = describe(ciphers, slot, envelope->head, place);
    if (fixed)
        ok =
            slc_siv_open(slot->siv, aad.data, aad.len, envelope->tag, envelope->text, envelope->text_len, room);
    else
        ok = open_gcm(slot->gcm, aad, envelope, room);
    if (ok)
        return true;
    OPENSSL_cleanse(room, envelope->text_len); /* nobody vouches for it */
    out->len = before;
    return slc_fail(err, SLC_CORRUPT, NULL,
                    "It was encrypted for another place or with another key, or changed since.");
}
