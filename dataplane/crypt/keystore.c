#include "dataplane/crypt/keystore.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/clock.h"
#include "common/crypto.h"
#include "dataplane/crypt/envelope.h"
#include "dataplane/crypt/keystore_private.h"

#define VERSION_BYTES 4 /* before the sealed key in an EDEK */

_Static_assert(SLC_KEYSTORE_EDEK_BYTES == VERSION_BYTES + SLC_DATA_KEY_BYTES + SLC_SEAL_OVERHEAD,
               "an EDEK is a version and a sealed key");

/* ---- the list ---- */

slc_keystore *slc_keystore_new(void)
{
    return slc_calloc(1, sizeof(slc_keystore));
}

static void wipe(struct slc_kek *kek)
{
    slc_free_secret(kek->versions, kek->count * sizeof *kek->versions);
    kek->versions = NULL;
    kek->count = 0;
    OPENSSL_cleanse(kek->fixed, sizeof kek->fixed);
}

void slc_keystore_free(slc_keystore *store)
{
    for (size_t i = 0; store != NULL && i < store->count; i++) {
        wipe(&store->keks[i]);
        free(store->keks[i].name);
    }
    if (store != NULL)
        slc_free_secret(store->keks, store->cap * sizeof *store->keks);
    free(store);
}

/* Where it is, or would be. */
static size_t place_of(const slc_keystore *store, const char *name, bool *found)
{
    size_t low = 0, high = store->count;
    *found = false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(store->keks[middle].name, name);
        *found = *found || order == 0;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct slc_kek *slc_keystore_find(const slc_keystore *store, const char *name)
{
    bool found;
    size_t at = place_of(store, name, &found);
    return found ? &store->keks[at] : NULL;
}

/* Like realloc, but what is left behind is overwritten. */
static void grow(slc_keystore *store)
{
    size_t cap = store->cap > 0 ? 2 * store->cap : 8;
    struct slc_kek *keks = slc_calloc(cap, sizeof *keks);
    if (store->count > 0)
        memcpy(keks, store->keks, store->count * sizeof *keks);
    slc_free_secret(store->keks, store->cap * sizeof *keks);
    store->keks = keks;
    store->cap = cap;
}

struct slc_kek *slc_keystore_insert(slc_keystore *store, const char *name)
{
    bool found;
    size_t at = place_of(store, name, &found);
    SLC_BUG_ON(found);
    if (store->count == store->cap)
        grow(store);
    memmove(&store->keks[at + 1], &store->keks[at], (store->count - at) * sizeof *store->keks);
    store->count++;
    store->keks[at] = (struct slc_kek){.name = slc_strdup(name)};
    return &store->keks[at];
}

struct slc_kek_version *slc_kek_add_version(struct slc_kek *kek)
{
    struct slc_kek_version *versions = slc_calloc(kek->count + 1, sizeof *versions);
    if (kek->count > 0)
        memcpy(versions, kek->versions, kek->count * sizeof *versions);
    slc_free_secret(kek->versions, kek->count * sizeof *versions);
    kek->versions = versions;
    return &kek->versions[kek->count++];
}

bool slc_kek_name_holds(const char *name)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    size_t len = strlen(name);
    return len > 0 && len <= SLC_KEK_NAME_MAX && strspn(name, letters) == len && strchr("._-", name[0]) == NULL;
}

/* ---- changes ---- */

static void fresh_version(struct slc_kek *kek, uint32_t number)
{
    struct slc_kek_version *version = slc_kek_add_version(kek);
    version->number = number;
    version->created_ms = slc_wall_ms();
    slc_random(version->key, sizeof version->key);
}

bool slc_keystore_add(slc_keystore *store, const char *name, slc_error *err)
{
    if (!slc_kek_name_holds(name))
        return slc_fail(
            err, SLC_INVALID, NULL,
            "A key's name has 1 to %d letters, digits, dots, underscores and dashes, and begins with a "
            "letter or digit.",
            SLC_KEK_NAME_MAX);
    const struct slc_kek *there = slc_keystore_find(store, name);
    if (there != NULL)
        return slc_fail(err, SLC_CONFLICT, NULL,
                        there->destroyed_ms != 0 ? "The key %s was destroyed; choose another name."
                                                 : "The key %s is there already.",
                        name);
    if (store->count >= SLC_KEYSTORE_KEYS_MAX)
        return slc_fail(err, SLC_LIMIT, NULL, "A keystore holds at most %d keys.", SLC_KEYSTORE_KEYS_MAX);
    struct slc_kek *kek = slc_keystore_insert(store, name);
    kek->created_ms = slc_wall_ms();
    slc_random(kek->fixed, sizeof kek->fixed);
    fresh_version(kek, 1);
    return true;
}

/* One that lives; NULL with SLC_NOT_FOUND. */
static struct slc_kek *live(const slc_keystore *store, const char *name, slc_error *err)
{
    struct slc_kek *kek = slc_keystore_find(store, name);
    if (kek != NULL && kek->destroyed_ms == 0)
        return kek;
    slc_fail(err, SLC_NOT_FOUND, NULL,
             kek != NULL ? "The key %.200s was destroyed." : "There is no key %.200s in the keystore.", name);
    return NULL;
}

bool slc_keystore_rotate(slc_keystore *store, const char *name, slc_error *err)
{
    struct slc_kek *kek = live(store, name, err);
    if (kek == NULL)
        return false;
    fresh_version(kek, kek->versions[kek->count - 1].number + 1);
    return true;
}

bool slc_keystore_destroy(slc_keystore *store, const char *name, slc_error *err)
{
    struct slc_kek *kek = live(store, name, err);
    if (kek == NULL)
        return false;
    wipe(kek);
    kek->destroyed_ms = slc_wall_ms();
    return true;
}

size_t slc_keystore_count(const slc_keystore *store)
{
    return store->count;
}

slc_keystore_entry slc_keystore_at(const slc_keystore *store, size_t index)
{
    SLC_BUG_ON(index >= store->count);
    const struct slc_kek *kek = &store->keks[index];
    const struct slc_kek_version *newest = kek->count > 0 ? &kek->versions[kek->count - 1] : NULL;
    return (slc_keystore_entry){.name = kek->name,
                                .version = newest != NULL ? newest->number : 0,
                                .versions = kek->count,
                                .created_ms = kek->created_ms,
                                .rotated_ms = newest != NULL ? newest->created_ms : 0,
                                .destroyed_ms = kek->destroyed_ms};
}

/* ---- data keys ---- */

/* What an EDEK is bound to: its KEK and that one's version. */
static size_t bind(const char *name, const uint8_t version[VERSION_BYTES], uint8_t aad[300])
{
    static const char what[] = "sluice edek 1";
    size_t len = strlen(name);
    SLC_BUG_ON(len > SLC_KEK_NAME_MAX);
    memcpy(aad, what, sizeof what); /* with its NUL */
    memcpy(aad + sizeof what, version, VERSION_BYTES);
    memcpy(aad + sizeof what + VERSION_BYTES, name, len);
    return sizeof what + VERSION_BYTES + len;
}

bool slc_keystore_wrap(const slc_keystore *store, const char *name, const uint8_t secret[SLC_DATA_KEY_BYTES],
                       uint8_t edek[SLC_KEYSTORE_EDEK_BYTES], slc_error *err)
{
    const struct slc_kek *kek = live(store, name, err);
    if (kek == NULL)
        return false;
    const struct slc_kek_version *newest = &kek->versions[kek->count - 1];
    uint8_t aad[300];
    for (size_t i = 0; i < VERSION_BYTES; i++)
        edek[i] = (uint8_t)(newest->number >> (24 - 8 * i));
    slc_seal(newest->key, secret, SLC_DATA_KEY_BYTES, aad, bind(name, edek, aad), edek + VERSION_BYTES);
    return true;
}

bool slc_keystore_unwrap(const slc_keystore *store, const char *name, const uint8_t *edek, size_t edek_len,
                         uint8_t secret[SLC_DATA_KEY_BYTES], slc_error *err)
{
    const struct slc_kek *kek = live(store, name, err);
    uint8_t aad[300];
    if (kek == NULL)
        return false;
    if (edek_len != SLC_KEYSTORE_EDEK_BYTES)
        return slc_fail(err, SLC_CORRUPT, NULL, "A data key of %zu bytes is not one of a keystore's.",
                        edek_len);
    uint32_t number = (uint32_t)edek[0] << 24 | (uint32_t)edek[1] << 16 | (uint32_t)edek[2] << 8 | edek[3];
    for (size_t i = 0; i < kek->count; i++)
        if (kek->versions[i].number == number)
            return slc_unseal(kek->versions[i].key, edek + VERSION_BYTES, edek_len - VERSION_BYTES, aad,
                              bind(name, edek, aad), secret, err);
    return slc_fail(err, SLC_CORRUPT, NULL, "The key %s has no version %u in the keystore.", name, number);
}

bool slc_keystore_fixed(const slc_keystore *store, const char *name, uint8_t secret[SLC_FIXED_KEY_BYTES],
                        slc_error *err)
{
    const struct slc_kek *kek = live(store, name, err);
    if (kek != NULL)
        memcpy(secret, kek->fixed, SLC_FIXED_KEY_BYTES);
    return kek != NULL;
}
