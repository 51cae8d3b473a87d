/* Any bytes as an envelope. What is parsed must lie within the bytes and write the same head again; opening it
 * with keys that are known either gives what sealing it again shows to be right (keys), or fails. The first
 * byte chooses: as it is, or a true envelope that the rest changes somewhere. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/assert.h"
#include "dataplane/crypt/cipher.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct keys {
    slc_ciphers *ciphers;
    slc_data_key *data, *fixed;
    slc_buf sealed, opened, again;
};

static struct keys *keys(void)
{
    static struct keys all;
    static const uint8_t secret[SLC_FIXED_KEY_BYTES] = {1, 2, 3};
    if (all.ciphers != NULL)
        return &all;
    all.ciphers = slc_ciphers_new();
    all.data = slc_data_key_new("orders", 6, (const uint8_t *)"EDEK", 4, secret, SLC_DATA_KEY_BYTES);
    all.fixed = slc_data_key_new("orders", 6, NULL, 0, secret, SLC_FIXED_KEY_BYTES);
    slc_buf_init(&all.sealed, 1 << 20);
    slc_buf_init(&all.opened, 1 << 20);
    slc_buf_init(&all.again, 1 << 20);
    return &all;
}

static const slc_crypt_place place = {.context = "topic", .context_len = 5};

static void within(const uint8_t *data, size_t size, const void *part, size_t len)
{
    const uint8_t *at = part;
    SLC_BUG_ON(at < data || len > size || at > data + size - len);
}

static void look(struct keys *k, const uint8_t *data, size_t size)
{
    slc_envelope envelope;
    slc_error err = {0};
    uint8_t head[SLC_ENVELOPE_HEAD_BYTES + 1 + SLC_KEK_NAME_MAX + 2 + SLC_EDEK_MAX];
    if (!slc_envelope_parse(data, size, &envelope, &err)) {
        SLC_BUG_ON(err.code != SLC_CORRUPT && err.code != SLC_UNSUPPORTED);
        return;
    }
    within(data, size, envelope.kek, envelope.kek_len);
    within(data, size, envelope.edek, envelope.edek_len);
    within(data, size, envelope.tag, SLC_ENVELOPE_TAG_BYTES);
    within(data, size, envelope.text, envelope.text_len);
    size_t len = slc_envelope_write(envelope.part, envelope.kek, envelope.kek_len, envelope.edek,
                                    envelope.edek_len, head);
    SLC_BUG_ON(len > size || memcmp(head, data, len) != 0);
    SLC_BUG_ON(slc_envelope_overhead(envelope.part, envelope.kek_len, envelope.edek_len) + envelope.text_len !=
               size);
    bool fixed = envelope.part == SLC_PART_KEY;
    slc_buf_clear(&k->opened);
    if (!slc_crypt_open(k->ciphers, fixed ? k->fixed : k->data, &envelope, &place, &k->opened, &err)) {
        SLC_BUG_ON(err.code != SLC_CORRUPT || k->opened.len != 0);
        return;
    }
    slc_buf_clear(&k->again);
    SLC_BUG_ON(!slc_crypt_seal(k->ciphers, fixed ? k->fixed : k->data, envelope.part, &place, k->opened.data,
                               k->opened.len, &k->again, &err));
    size_t same = fixed ? SLC_ENVELOPE_TAG_BYTES + envelope.text_len : 0;
    SLC_BUG_ON(fixed && memcmp(k->again.data + k->again.len - same, envelope.tag, same) != 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct keys *k = keys();
    slc_error err = {0};
    if (size == 0)
        return 0;
    unsigned what = data[0];
    data++;
    size--;
    if ((what & 1) == 0) {
        look(k, data, size);
        return 0;
    }
    slc_buf_clear(&k->sealed);
    SLC_BUG_ON(!slc_crypt_seal(k->ciphers, (what & 2) != 0 ? k->fixed : k->data,
                               (what & 2) != 0 ? SLC_PART_KEY : SLC_PART_VALUE, &place, data, size, &k->sealed,
                               &err));
    for (size_t i = 0; i + 1 < size && i < 16 && (what & 4) != 0; i += 2)
        k->sealed.data[data[i] % k->sealed.len] ^= data[i + 1];
    size_t cut = (what & 8) != 0 ? k->sealed.len * (what >> 4) / 16 : k->sealed.len;
    uint8_t *exact = malloc(cut + 1);
    memcpy(exact, k->sealed.data, cut);
    look(k, exact, cut);
    free(exact);
    return 0;
}
