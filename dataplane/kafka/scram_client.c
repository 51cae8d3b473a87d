/* SCRAM, the client's side. */
#include "dataplane/kafka/scram_client.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/assert.h"
#include "common/crypto.h"

#define NONCE_CHARS    32
#define MAX_SALT_BYTES 256
#define GS2_HEADER     "n,,"
#define GS2_BASE64     "biws"

void slc_scram_client_init(slc_scram_client *scram, bool sha512, const char *nonce)
{
    *scram = (slc_scram_client){.sha512 = sha512};
    slc_buf_init(&scram->first_bare, SLC_SCRAM_MAX_MESSAGE);
    if (nonce != NULL) {
        SLC_BUG_ON(strlen(nonce) > SLC_SCRAM_MAX_NONCE);
        memcpy(scram->nonce, nonce, strlen(nonce) + 1);
    } else {
        slc_random_id(scram->nonce, NONCE_CHARS);
    }
}

void slc_scram_client_release(slc_scram_client *scram)
{
    slc_buf_release(&scram->first_bare);
    explicit_bzero(scram->server_signature, sizeof scram->server_signature);
}

static bool check_fits(const slc_buf *out, slc_error *err)
{
    return !out->overflow ||
           slc_fail(err, SLC_LIMIT, NULL, "a SCRAM message has more than %zu bytes", out->max);
}

/* '=' and ',' have a meaning in the messages (RFC 5802 section 5.1). */
static void add_name(slc_buf *out, const char *name)
{
    for (; *name != '\0'; name++) {
        if (*name == '=')
            slc_buf_adds(out, "=3D");
        else if (*name == ',')
            slc_buf_adds(out, "=2C");
        else
            slc_buf_addc(out, *name);
    }
}

bool slc_scram_client_first(slc_scram_client *scram, const char *username, slc_buf *out, slc_error *err)
{
    slc_buf *bare = &scram->first_bare;
    slc_buf_adds(bare, "n=");
    add_name(bare, username);
    slc_buf_addf(bare, ",r=%s", scram->nonce);
    if (!check_fits(bare, err))
        return false;
    slc_buf_adds(out, GS2_HEADER);
    slc_buf_add(out, bare->data, bare->len);
    return check_fits(out, err);
}

/* The server's first message, taken apart. */
struct challenge {
    const char *nonce;
    size_t nonce_len;
    uint8_t salt[MAX_SALT_BYTES];
    int salt_len;
    int iterations;
};

/* The value of the attribute that `text` begins with; NULL when it is another one. Moves `*text` behind it. */
static const char *take(const char **text, const char *end, char name, size_t *len)
{
    if (end - *text < 2 || (*text)[0] != name || (*text)[1] != '=')
        return NULL;
    const char *value = *text + 2;
    const char *comma = memchr(value, ',', (size_t)(end - value));
    *len = comma != NULL ? (size_t)(comma - value) : (size_t)(end - value);
    *text = comma != NULL ? comma + 1 : end;
    return value;
}

static int parse_iterations(const char *text, size_t len)
{
    int value = 0;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9' || value > SLC_SCRAM_MAX_ITERATIONS)
            return 0;
        value = value * 10 + (text[i] - '0');
    }
    return value <= SLC_SCRAM_MAX_ITERATIONS ? value : 0;
}

static bool read_challenge(const slc_scram_client *scram, const char *text, size_t len, struct challenge *out,
                           slc_error *err)
{
    const char *end = text + len;
    size_t salt_len = 0, count_len = 0, own = strlen(scram->nonce);
    out->nonce = take(&text, end, 'r', &out->nonce_len);
    const char *salt = out->nonce != NULL ? take(&text, end, 's', &salt_len) : NULL;
    const char *count = salt != NULL ? take(&text, end, 'i', &count_len) : NULL;
    if (count == NULL)
        return slc_fail(err, SLC_INVALID, NULL, "the server's SCRAM challenge is malformed");
    if (out->nonce_len <= own || memcmp(out->nonce, scram->nonce, own) != 0)
        return slc_fail(err, SLC_INVALID, NULL, "the server's SCRAM challenge is for another request");
    long decoded = slc_base64_decode(salt, salt_len, out->salt, sizeof out->salt);
    out->salt_len = (int)decoded;
    out->iterations = parse_iterations(count, count_len);
    if (decoded <= 0 || out->iterations == 0)
        return slc_fail(err, SLC_INVALID, NULL,
                        "the server's SCRAM challenge has no usable salt, or not 1 to %d iterations",
                        SLC_SCRAM_MAX_ITERATIONS);
    return true;
}

static void hmac(const EVP_MD *md, const uint8_t *key, const void *data, size_t len, uint8_t *out)
{
    unsigned out_len = 0;
    SLC_BUG_ON(HMAC(md, key, EVP_MD_get_size(md), data, len, out, &out_len) == NULL);
}

/* `proof` gets ClientProof; the client keeps ServerSignature. */
static void prove(slc_scram_client *scram, const char *password, size_t password_len,
                  const struct challenge *challenge, const slc_buf *auth, uint8_t *proof)
{
    uint8_t salted[SLC_SCRAM_MAX_BYTES], client_key[SLC_SCRAM_MAX_BYTES], stored[SLC_SCRAM_MAX_BYTES];
    uint8_t signature[SLC_SCRAM_MAX_BYTES], server_key[SLC_SCRAM_MAX_BYTES];
    const EVP_MD *md = scram->sha512 ? EVP_sha512() : EVP_sha256();
    int size = EVP_MD_get_size(md);
    SLC_BUG_ON(PKCS5_PBKDF2_HMAC(password, (int)password_len, challenge->salt, challenge->salt_len,
                                 challenge->iterations, md, size, salted) != 1);
    hmac(md, salted, "Client Key", 10, client_key);
    SLC_BUG_ON(EVP_Digest(client_key, (size_t)size, stored, NULL, md, NULL) != 1);
    hmac(md, stored, auth->data, auth->len, signature);
    for (int i = 0; i < size; i++)
        proof[i] = client_key[i] ^ signature[i];
    hmac(md, salted, "Server Key", 10, server_key);
    hmac(md, server_key, auth->data, auth->len, scram->server_signature);
    explicit_bzero(salted, sizeof salted);
    explicit_bzero(client_key, sizeof client_key);
    explicit_bzero(server_key, sizeof server_key);
}

bool slc_scram_client_final(slc_scram_client *scram, const char *password, size_t password_len,
                            const uint8_t *server_first, size_t len, slc_buf *out, slc_error *err)
{
    struct challenge challenge;
    uint8_t proof[SLC_SCRAM_MAX_BYTES];
    slc_buf auth;
    if (!read_challenge(scram, (const char *)server_first, len, &challenge, err))
        return false;
    size_t begin = out->len;
    slc_buf_addf(out, "c=" GS2_BASE64 ",r=%.*s", (int)challenge.nonce_len, challenge.nonce);
    slc_buf_init(&auth, 3 * SLC_SCRAM_MAX_MESSAGE);
    slc_buf_add(&auth, scram->first_bare.data, scram->first_bare.len);
    slc_buf_addc(&auth, ',');
    slc_buf_add(&auth, server_first, len);
    slc_buf_addc(&auth, ',');
    slc_buf_add(&auth, out->data + begin, out->len - begin);
    bool ok = check_fits(&auth, err) && check_fits(out, err);
    if (ok) {
        prove(scram, password, password_len, &challenge, &auth, proof);
        slc_buf_adds(out, ",p=");
        slc_buf_add_base64(out, proof, scram->sha512 ? 64 : 32);
        ok = check_fits(out, err);
    }
    slc_buf_release(&auth);
    return ok;
}

bool slc_scram_client_verify(const slc_scram_client *scram, const uint8_t *server_final, size_t len,
                             slc_error *err)
{
    const char *text = (const char *)server_final, *end = text + len;
    uint8_t signature[SLC_SCRAM_MAX_BYTES];
    size_t size = scram->sha512 ? 64 : 32, value_len = 0;
    const char *value = take(&text, end, 'v', &value_len);
    if (value == NULL) {
        value = take(&text, end, 'e', &value_len);
        return slc_fail(err, SLC_DENIED, NULL, "the server refuses the SCRAM credentials: %.*s",
                        value != NULL && value_len < 100 ? (int)value_len : 0, value != NULL ? value : "");
    }
    if (slc_base64_decode(value, value_len, signature, sizeof signature) != (long)size ||
        !slc_equal_secret(signature, scram->server_signature, size))
        return slc_fail(err, SLC_DENIED, NULL, "the server does not prove that it knows the password");
    return true;
}
