#include "catalog/master_key.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/file.h"
#include "common/log.h"

#define HEX_CHARS      (2 * SLC_SEAL_KEY_BYTES)
#define FILE_MAX_BYTES 1024

static void set_id(slc_master_key *master, unsigned index)
{
    uint8_t digest[SLC_SHA256_BYTES];
    slc_sha256(master->keys[index].key, SLC_SEAL_KEY_BYTES, digest);
    memcpy(master->keys[index].id, digest, SLC_MASTER_KEY_ID_BYTES);
}

static bool parse(slc_master_key *master, const char *text, const char *path, slc_error *err)
{
    master->count = 0;
    for (const char *line = text; *line != '\0';) {
        size_t len = strcspn(line, "\n");
        if (master->count == SLC_MASTER_KEYS_MAX || len != HEX_CHARS ||
            !slc_hex_decode(line, len, master->keys[master->count].key, SLC_SEAL_KEY_BYTES))
            return slc_fail(
                err, SLC_CORRUPT, NULL,
                "master key file %s is damaged (a key is a line of %d hexadecimal digits): restore it "
                "from the place where its copy is kept",
                path, HEX_CHARS);
        set_id(master, master->count++);
        line += len + (line[len] == '\n');
    }
    if (master->count == 0)
        return slc_fail(err, SLC_CORRUPT, NULL, "master key file %s is empty: restore its copy", path);
    return true;
}

static void warn_about_mode(const char *path)
{
    struct stat st;
    if (stat(path, &st) == 0 && (st.st_mode & (S_IRWXG | S_IRWXO)) != 0)
        slc_log(SLC_LOG_WARN, "others may read the master key file: chmod 600", LS("path", path));
}

bool slc_master_key_load(slc_master_key *master, const char *path, slc_error *err)
{
    if (access(path, F_OK) != 0)
        return slc_fail(err, SLC_NOT_FOUND, NULL, "there is no master key file %s", path);
    warn_about_mode(path);
    size_t len;
    char *text = slc_file_read(path, FILE_MAX_BYTES, &len, err);
    if (text == NULL)
        return false;
    bool ok = parse(master, text, path, err);
    slc_free_secret(text, len);
    return ok;
}

bool slc_master_key_save(const slc_master_key *master, const char *path, slc_error *err)
{
    char text[SLC_MASTER_KEYS_MAX * (HEX_CHARS + 1) + 1];
    size_t len = 0;
    for (unsigned i = 0; i < master->count; i++) {
        slc_hex_encode(master->keys[i].key, SLC_SEAL_KEY_BYTES, text + len);
        len += HEX_CHARS;
        text[len++] = '\n';
    }
    bool ok = slc_file_write_atomic(path, text, len, 0600, err);
    OPENSSL_cleanse(text, sizeof(text));
    return ok;
}

bool slc_master_key_push(slc_master_key *master, slc_error *err)
{
    if (master->count == SLC_MASTER_KEYS_MAX)
        return slc_fail(err, SLC_LIMIT, NULL,
                        "the master key file holds %d keys already: an earlier rotation did not "
                        "finish",
                        SLC_MASTER_KEYS_MAX);
    memmove(&master->keys[1], &master->keys[0], master->count * sizeof(master->keys[0]));
    slc_random(master->keys[0].key, SLC_SEAL_KEY_BYTES);
    set_id(master, 0);
    master->count++;
    return true;
}

void slc_master_key_fingerprint(const slc_master_key *master, unsigned index, char out[SLC_FINGERPRINT_CHARS])
{
    slc_hex_encode(master->keys[index].id, SLC_MASTER_KEY_ID_BYTES, out);
}

void slc_sealed_fingerprint(const void *sealed, size_t len, char out[SLC_FINGERPRINT_CHARS])
{
    out[0] = '\0';
    if (len >= SLC_MASTER_KEY_ID_BYTES)
        slc_hex_encode(sealed, SLC_MASTER_KEY_ID_BYTES, out);
}

bool slc_master_key_has(const slc_master_key *master, const char *fingerprint)
{
    char own[SLC_FINGERPRINT_CHARS];
    for (unsigned i = 0; i < master->count; i++) {
        slc_master_key_fingerprint(master, i, own);
        if (strcmp(own, fingerprint) == 0)
            return true;
    }
    return false;
}

void slc_master_key_release(slc_master_key *master)
{
    OPENSSL_cleanse(master, sizeof(*master));
}

uint8_t *slc_master_seal(const slc_master_key *master, const char *context, const void *data, size_t len,
                         size_t *sealed_len)
{
    *sealed_len = SLC_MASTER_KEY_ID_BYTES + len + SLC_SEAL_OVERHEAD;
    uint8_t *out = slc_malloc(*sealed_len);
    memcpy(out, master->keys[0].id, SLC_MASTER_KEY_ID_BYTES);
    slc_seal(master->keys[0].key, data, len, context, strlen(context), out + SLC_MASTER_KEY_ID_BYTES);
    return out;
}

static const uint8_t *find_key(const slc_master_key *master, const uint8_t *id)
{
    for (unsigned i = 0; i < master->count; i++)
        if (memcmp(master->keys[i].id, id, SLC_MASTER_KEY_ID_BYTES) == 0)
            return master->keys[i].key;
    return NULL;
}

uint8_t *slc_master_unseal(const slc_master_key *master, const char *context, const void *sealed,
                           size_t sealed_len, size_t *len, slc_error *err)
{
    if (sealed_len < SLC_MASTER_KEY_ID_BYTES + SLC_SEAL_OVERHEAD) {
        slc_fail(err, SLC_CORRUPT, NULL, "a sealed value is cut (%s)", context);
        return NULL;
    }
    const uint8_t *key = find_key(master, sealed);
    if (key == NULL) {
        slc_fail(err, SLC_CORRUPT, NULL, "a value was sealed with another master key (%s)", context);
        return NULL;
    }
    *len = sealed_len - SLC_MASTER_KEY_ID_BYTES - SLC_SEAL_OVERHEAD;
    uint8_t *out = slc_malloc(*len + 1);
    if (!slc_unseal(key, (const uint8_t *)sealed + SLC_MASTER_KEY_ID_BYTES,
                    sealed_len - SLC_MASTER_KEY_ID_BYTES, context, strlen(context), out, err)) {
        slc_fail_context(err, "%s", context);
        slc_free_secret(out, *len + 1);
        return NULL;
    }
    out[*len] = '\0';
    return out;
}
