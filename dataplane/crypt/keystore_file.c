/* The keystore's file: JSON around sealed JSON. */
#include <jansson.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/buf.h"
#include "common/crypto.h"
#include "common/file.h"
#include "common/json.h"
#include "dataplane/crypt/keystore_private.h"

#define FORMAT     "sluice-keystore"
#define SALT_BYTES 16
#define MEMORY_MAX (1u << 30) /* that a file may make us take */

/* RFC 7914: 16 MiB. */
struct kdf {
    json_int_t n, r, p;
    uint8_t salt[SALT_BYTES];
};
static const struct kdf usual = {.n = 16384, .r = 8, .p = 5};

/* ---- from a passphrase to a key ---- */

static bool derive(const struct kdf *kdf, const char *passphrase, size_t len, uint8_t key[SLC_SEAL_KEY_BYTES],
                   slc_error *err)
{
    bool ok = kdf->n >= 1024 && kdf->n <= 1 << 22 && kdf->r >= 1 && kdf->r <= 32 && kdf->p >= 1 &&
              kdf->p <= 64 && kdf->n * kdf->r * 128 <= (json_int_t)MEMORY_MAX &&
              EVP_PBE_scrypt(passphrase, len, kdf->salt, SALT_BYTES, (uint64_t)kdf->n, (uint64_t)kdf->r,
                             (uint64_t)kdf->p, MEMORY_MAX + (64u << 20), key, SLC_SEAL_KEY_BYTES) == 1;
    return ok || slc_fail(err, SLC_CORRUPT, NULL, "The keystore's \"kdf\" is none that can be computed.");
}

/* The file's open part cannot be changed without notice. */
static char *bind(const struct kdf *kdf)
{
    char salt[2 * SALT_BYTES + 1];
    slc_hex_encode(kdf->salt, SALT_BYTES, salt);
    return slc_asprintf(FORMAT " 1 scrypt %lld %lld %lld %s", (long long)kdf->n, (long long)kdf->r,
                        (long long)kdf->p, salt);
}

/* ---- what is sealed ---- */

/* In JSON by hand: nobody else's buffers get to see a key. */
static void add_secret(slc_buf *out, const char *member, const uint8_t *secret, size_t len)
{
    char text[2 * SLC_FIXED_KEY_BYTES + 1];
    slc_hex_encode(secret, len, text);
    slc_buf_addf(out, ",\"%s\":\"", member);
    slc_buf_adds(out, text);
    slc_buf_addc(out, '"');
    OPENSSL_cleanse(text, sizeof text);
}

/* Its name needs no escapes. */
static void add_kek(slc_buf *out, const struct slc_kek *kek)
{
    slc_buf_addf(out, "{\"name\":\"%s\",\"created\":%lld", kek->name, (long long)kek->created_ms);
    if (kek->destroyed_ms != 0) {
        slc_buf_addf(out, ",\"destroyed\":%lld}", (long long)kek->destroyed_ms);
        return;
    }
    add_secret(out, "fixed", kek->fixed, sizeof kek->fixed);
    slc_buf_adds(out, ",\"versions\":[");
    for (size_t i = 0; i < kek->count; i++) {
        const struct slc_kek_version *version = &kek->versions[i];
        slc_buf_addf(out, "%s{\"version\":%u,\"created\":%lld", i > 0 ? "," : "", version->number,
                     (long long)version->created_ms);
        add_secret(out, "key", version->key, sizeof version->key);
        slc_buf_addc(out, '}');
    }
    slc_buf_adds(out, "]}");
}

/* What was read is overwritten. */
static bool read_secret(const json_t *object, const char *member, uint8_t *out, size_t len)
{
    const char *text = json_string_value(json_object_get(object, member));
    bool ok = text != NULL && slc_hex_decode(text, strlen(text), out, len);
    if (text != NULL)
        OPENSSL_cleanse((char *)text, strlen(text));
    return ok;
}

static bool kek_from_json(slc_keystore *store, const json_t *object)
{
    const char *name = json_string_value(json_object_get(object, "name"));
    const json_t *versions = json_object_get(object, "versions");
    size_t i;
    json_t *item;
    if (name == NULL || !slc_kek_name_holds(name) || slc_keystore_find(store, name) != NULL ||
        store->count >= SLC_KEYSTORE_KEYS_MAX)
        return false;
    struct slc_kek *kek = slc_keystore_insert(store, name);
    kek->created_ms = json_integer_value(json_object_get(object, "created"));
    kek->destroyed_ms = json_integer_value(json_object_get(object, "destroyed"));
    if (kek->destroyed_ms != 0)
        return true;
    json_array_foreach ((json_t *)versions, i, item) {
        struct slc_kek_version *version = slc_kek_add_version(kek);
        version->number = (uint32_t)json_integer_value(json_object_get(item, "version"));
        version->created_ms = json_integer_value(json_object_get(item, "created"));
        if (!read_secret(item, "key", version->key, sizeof version->key))
            return false;
    }
    return kek->count > 0 && read_secret(object, "fixed", kek->fixed, sizeof kek->fixed);
}

static slc_keystore *from_text(const uint8_t *text, size_t len, slc_error *err)
{
    json_t *root = slc_json_parse((const char *)text, len, SLC_KEYSTORE_FILE_MAX, err), *item;
    slc_keystore *store = slc_keystore_new();
    bool ok = json_is_array(json_object_get(root, "keys"));
    size_t i;
    json_array_foreach (json_object_get(root, "keys"), i, item)
        ok = ok && kek_from_json(store, item);
    json_decref(root);
    if (ok)
        return store;
    slc_keystore_free(store);
    slc_fail(err, SLC_CORRUPT, NULL, "What is sealed in the keystore is not what was written.");
    return NULL;
}

/* ---- the file ---- */

/* New, with what it is sealed by. */
static uint8_t *open_parts(const json_t *root, struct kdf *kdf, size_t *sealed_len, slc_error *err)
{
    const json_t *options = json_object_get(root, "kdf");
    const char *sealed = json_string_value(json_object_get(root, "sealed"));
    const char *format = json_string_value(json_object_get(root, "format"));
    const char *name = json_string_value(json_object_get(options, "name"));
    if (format == NULL || strcmp(format, FORMAT) != 0 || sealed == NULL || name == NULL ||
        !read_secret(options, "salt", kdf->salt, SALT_BYTES)) {
        slc_fail(err, SLC_CORRUPT, NULL, "It is no keystore.");
        return NULL;
    }
    if (json_integer_value(json_object_get(root, "version")) != 1 || strcmp(name, "scrypt") != 0) {
        slc_fail(err, SLC_UNSUPPORTED, NULL, "It is a keystore of a later version.");
        return NULL;
    }
    kdf->n = json_integer_value(json_object_get(options, "n"));
    kdf->r = json_integer_value(json_object_get(options, "r"));
    kdf->p = json_integer_value(json_object_get(options, "p"));
    size_t max = strlen(sealed) / 4 * 3 + 3;
    uint8_t *bytes = slc_malloc(max);
    long len = slc_base64_decode(sealed, strlen(sealed), bytes, max);
    if (len >= SLC_SEAL_OVERHEAD) {
        *sealed_len = (size_t)len;
        return bytes;
    }
    free(bytes);
    slc_fail(err, SLC_CORRUPT, NULL, "It is no keystore.");
    return NULL;
}

static slc_keystore *unseal(const json_t *root, const char *passphrase, size_t passphrase_len, slc_error *err)
{
    struct kdf kdf;
    uint8_t key[SLC_SEAL_KEY_BYTES];
    size_t len = 0;
    slc_keystore *store = NULL;
    uint8_t *sealed = open_parts(root, &kdf, &len, err);
    if (sealed == NULL)
        return NULL;
    if (derive(&kdf, passphrase, passphrase_len, key, err)) {
        char *aad = bind(&kdf);
        uint8_t *text = slc_malloc(len);
        if (slc_unseal(key, sealed, len, aad, strlen(aad), text, err))
            store = from_text(text, len - SLC_SEAL_OVERHEAD, err);
        else
            slc_fail(err, SLC_CORRUPT, NULL, "The passphrase is wrong, or the keystore was changed.");
        slc_free_secret(text, len);
        free(aad);
    }
    OPENSSL_cleanse(key, sizeof key);
    free(sealed);
    return store;
}

slc_keystore *slc_keystore_load(const char *path, const char *passphrase, size_t passphrase_len, slc_error *err)
{
    size_t len;
    slc_keystore *store = NULL;
    char *text = slc_file_read(path, SLC_KEYSTORE_FILE_MAX, &len, err);
    if (text == NULL)
        return NULL;
    json_t *root = slc_json_parse(text, len, SLC_KEYSTORE_FILE_MAX, err);
    if (root != NULL)
        store = unseal(root, passphrase, passphrase_len, err);
    json_decref(root);
    free(text);
    if (store == NULL)
        slc_fail_context(err, "%s", path);
    return store;
}

static char *seal(const struct kdf *kdf, const uint8_t key[SLC_SEAL_KEY_BYTES], const char *text, size_t len)
{
    char *aad = bind(kdf);
    uint8_t *sealed = slc_malloc(len + SLC_SEAL_OVERHEAD);
    char *base64 = slc_malloc((len + SLC_SEAL_OVERHEAD + 2) / 3 * 4 + 1);
    slc_seal(key, text, len, aad, strlen(aad), sealed);
    slc_base64_encode(sealed, len + SLC_SEAL_OVERHEAD, base64);
    free(sealed);
    free(aad);
    return base64;
}

/* Of the size that it needs from the beginning, so that it never moves. Free it with slc_free_secret. */
static char *to_text(const slc_keystore *store, size_t *len)
{
    slc_buf out;
    size_t most = 64;
    for (size_t i = 0; i < store->count; i++)
        most += strlen(store->keks[i].name) + 256 + store->keks[i].count * 160;
    slc_buf_init(&out, most);
    slc_buf_reserve(&out, most);
    slc_buf_adds(&out, "{\"keys\":[");
    for (size_t i = 0; i < store->count; i++) {
        slc_buf_adds(&out, i > 0 ? "," : "");
        add_kek(&out, &store->keks[i]);
    }
    slc_buf_adds(&out, "]}");
    SLC_BUG_ON(out.overflow);
    return slc_buf_steal(&out, len);
}

bool slc_keystore_save(const slc_keystore *store, const char *path, const char *passphrase,
                       size_t passphrase_len, slc_error *err)
{
    struct kdf kdf = usual;
    uint8_t key[SLC_SEAL_KEY_BYTES];
    char salt[2 * SALT_BYTES + 1];
    size_t len;
    if (passphrase_len < SLC_PASSPHRASE_MIN)
        return slc_fail(err, SLC_INVALID, NULL, "A keystore's passphrase has at least %d bytes.",
                        SLC_PASSPHRASE_MIN);
    slc_random(kdf.salt, sizeof kdf.salt);
    slc_hex_encode(kdf.salt, sizeof kdf.salt, salt);
    if (!derive(&kdf, passphrase, passphrase_len, key, err))
        return false;
    char *text = to_text(store, &len);
    char *sealed = seal(&kdf, key, text, len);
    json_t *root =
        json_pack("{s:s, s:i, s:{s:s, s:I, s:I, s:I, s:s}, s:s}", "format", FORMAT, "version", 1, "kdf", "name",
                  "scrypt", "n", kdf.n, "r", kdf.r, "p", kdf.p, "salt", salt, "sealed", sealed);
    slc_free_secret(text, len);
    OPENSSL_cleanse(key, sizeof key);
    text = slc_json_print(root, &len);
    bool ok = slc_file_write_atomic(path, text, len, 0600, err);
    json_decref(root);
    free(text);
    free(sealed);
    return ok;
}
