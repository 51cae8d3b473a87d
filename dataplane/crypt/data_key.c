#include "dataplane/crypt/data_key.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "dataplane/crypt/envelope.h"

slc_data_key *slc_data_key_new(const char *kek, size_t kek_len, const uint8_t *edek, size_t edek_len,
                               const uint8_t *secret, size_t secret_len)
{
    static atomic_uint_least64_t numbers;
    SLC_BUG_ON(kek_len == 0 || kek_len > SLC_KEK_NAME_MAX || edek_len > SLC_EDEK_MAX);
    SLC_BUG_ON(secret_len != (edek_len > 0 ? SLC_DATA_KEY_BYTES : SLC_FIXED_KEY_BYTES));
    slc_data_key *key = slc_calloc(1, sizeof *key + kek_len + 1 + edek_len);
    atomic_init(&key->refs_, 1);
    key->number = atomic_fetch_add(&numbers, 1) + 1;
    key->secret_len = secret_len;
    memcpy(key->secret, secret, secret_len);
    key->kek = (const char *)key->texts_;
    key->kek_len = kek_len;
    memcpy(key->texts_, kek, kek_len);
    if (edek_len > 0) {
        key->edek = key->texts_ + kek_len + 1;
        key->edek_len = edek_len;
        memcpy(key->texts_ + kek_len + 1, edek, edek_len);
    }
    return key;
}

slc_data_key *slc_data_key_ref(slc_data_key *key)
{
    atomic_fetch_add_explicit(&key->refs_, 1, memory_order_relaxed);
    return key;
}

void slc_data_key_unref(slc_data_key *key)
{
    if (key == NULL || atomic_fetch_sub_explicit(&key->refs_, 1, memory_order_acq_rel) > 1)
        return;
    OPENSSL_cleanse(key->secret, sizeof key->secret);
    free(key);
}
