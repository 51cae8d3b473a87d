/* SCRAM, the server's side. */
#include "dataplane/kafka/scram_server.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>

#include "common/assert.h"
#include "common/crypto.h"

#define NONCE_CHARS       32
#define UNKNOWN_ITERATION 4096

void slc_scram_server_init(slc_scram_server *scram, bool sha512)
{
    *scram = (slc_scram_server){.sha512 = sha512};
    slc_buf_init(&scram->auth, 4 * SLC_SCRAM_SERVER_MAX_MESSAGE);
}

void slc_scram_server_release(slc_scram_server *scram)
{
    slc_buf_release(&scram->auth);
    OPENSSL_cleanse(scram->stored_key, sizeof scram->stored_key);
    OPENSSL_cleanse(scram->server_key, sizeof scram->server_key);
}

static bool malformed(slc_error *err, const char *what)
{
    return slc_fail(err, SLC_INVALID, NULL, "a malformed SCRAM message: %s", what);
}

/* ---- reading ---- */

struct text {
    const char *at, *end;
};

/* The value of an attribute that must come next, up to its comma. */
static bool take(struct text *text, char name, struct text *value)
{
    if (text->end - text->at < 2 || text->at[0] != name || text->at[1] != '=')
        return false;
    const char *comma = memchr(text->at, ',', (size_t)(text->end - text->at));
    value->at = text->at + 2;
    value->end = comma != NULL ? comma : text->end;
    text->at = comma != NULL ? comma + 1 : text->end;
    return true;
}

/* '=2C' and '=3D' are ',' and '='; no other '=' may be (RFC 5802, section 5.1). */
static bool read_name(struct text value, char out[SLC_SCRAM_SERVER_MAX_NAME + 1])
{
    size_t len = 0;
    while (value.at < value.end) {
        char c = *value.at++;
        if (c == '=') {
            bool comma = value.end - value.at >= 2 && memcmp(value.at, "2C", 2) == 0;
            bool equals = value.end - value.at >= 2 && memcmp(value.at, "3D", 2) == 0;
            if (!comma && !equals)
                return false;
            c = comma ? ',' : '=';
            value.at += 2;
        }
        if (c == '\0' || len == SLC_SCRAM_SERVER_MAX_NAME)
            return false;
        out[len++] = c;
    }
    out[len] = '\0';
    return len > 0;
}

static bool is_nonce(struct text value)
{
    for (const char *c = value.at; c < value.end; c++)
        if (*c < 0x21 || *c > 0x7e)
            return false;
    return value.end > value.at;
}

/* "n,," or "n,a=name,": what the last message must repeat in base64. */
static bool take_gs2(slc_scram_server *scram, struct text *text, char name[SLC_SCRAM_SERVER_MAX_NAME + 1],
                     slc_error *err)
{
    const char *begin = text->at;
    struct text value;
    name[0] = '\0';
    if (text->end - begin < 3 || begin[1] != ',' || (begin[0] != 'n' && begin[0] != 'y'))
        return malformed(err, "it wants channel binding, or does not begin as it must");
    text->at += 2;
    if (*text->at == 'a' && (!take(text, 'a', &value) || !read_name(value, name)))
        return malformed(err, "its authorisation identity");
    else if (name[0] == '\0' && *text->at++ != ',')
        return malformed(err, "its header");
    size_t len = (size_t)(text->at - begin);
    if (len > sizeof scram->binding / 2)
        return malformed(err, "its header is too long");
    slc_base64_encode(begin, len, scram->binding);
    return true;
}

bool slc_scram_server_first(slc_scram_server *scram, const uint8_t *message, size_t len, slc_error *err)
{
    char identity[SLC_SCRAM_SERVER_MAX_NAME + 1];
    struct text text = {(const char *)message, (const char *)message + len}, name, nonce;
    if (len > SLC_SCRAM_SERVER_MAX_MESSAGE)
        return malformed(err, "it is too long");
    if (!take_gs2(scram, &text, identity, err))
        return false;
    struct text bare = text;
    if (!take(&text, 'n', &name) || !read_name(name, scram->username))
        return malformed(err, "its user name");
    if (!take(&text, 'r', &nonce) || !is_nonce(nonce))
        return malformed(err, "its nonce");
    if (identity[0] != '\0' && strcmp(identity, scram->username) != 0)
        return slc_fail(err, SLC_INVALID, NULL, "it wants to act for somebody else");
    slc_buf_add(&scram->auth, bare.at, (size_t)(bare.end - bare.at));
    slc_buf_addc(&scram->auth, ',');
    scram->nonce_at = (size_t)(nonce.at - bare.at);
    scram->nonce_len = (size_t)(nonce.end - nonce.at);
    return true;
}

/* ---- answering ---- */

static size_t digest_bytes(const slc_scram_server *scram)
{
    return scram->sha512 ? 64 : 32;
}

static const EVP_MD *md_of(const slc_scram_server *scram)
{
    return scram->sha512 ? EVP_sha512() : EVP_sha256();
}

/* The same for a name and mechanism each time, as a stored one would be: a secret's verifiers have salts of
 * their own. */
static void invent_salt(const slc_scram_server *scram, const uint8_t pepper[32],
                        uint8_t salt[SLC_SCRAM_SERVER_SALT])
{
    uint8_t mac[SLC_SHA256_BYTES];
    char text[SLC_SCRAM_SERVER_MAX_NAME + 16];
    int len = snprintf(text, sizeof text, "%d:%s", scram->sha512 ? 512 : 256, scram->username);
    slc_hmac_sha256(pepper, 32, text, (size_t)len, mac);
    memcpy(salt, mac, SLC_SCRAM_SERVER_SALT);
}

bool slc_scram_server_challenge(slc_scram_server *scram, const uint8_t *verifier, size_t len,
                                const uint8_t pepper[32], const char *nonce, slc_buf *out, slc_error *err)
{
    size_t digest = digest_bytes(scram);
    uint8_t salt[SLC_SCRAM_SERVER_SALT];
    char own[NONCE_CHARS + 1], salt_text[32];
    uint32_t iterations = UNKNOWN_ITERATION;
    scram->known = len == SLC_SCRAM_SERVER_SALT + 4 + 2 * digest;
    if (scram->known) {
        const uint8_t *count = verifier + SLC_SCRAM_SERVER_SALT;
        memcpy(salt, verifier, sizeof salt);
        iterations = (uint32_t)count[0] << 24 | (uint32_t)count[1] << 16 | (uint32_t)count[2] << 8 | count[3];
        memcpy(scram->stored_key, count + 4, digest);
        memcpy(scram->server_key, count + 4 + digest, digest);
    } else {
        invent_salt(scram, pepper, salt);
    }
    if (nonce == NULL) {
        slc_random_id(own, NONCE_CHARS);
        nonce = own;
    }
    slc_base64_encode(salt, sizeof salt, salt_text);
    size_t begin = scram->auth.len;
    char client[SLC_SCRAM_SERVER_MAX_MESSAGE];
    memcpy(client, scram->auth.data + scram->nonce_at, scram->nonce_len);
    slc_buf_addf(&scram->auth, "r=%.*s%s,s=%s,i=%u", (int)scram->nonce_len, client, nonce, salt_text,
                 iterations);
    scram->nonce_at = begin + 2;
    scram->client_nonce_len = scram->nonce_len;
    scram->nonce_len += strlen(nonce);
    slc_buf_add(out, scram->auth.data + begin, scram->auth.len - begin);
    return (!out->overflow && !scram->auth.overflow) ||
           slc_fail(err, SLC_LIMIT, NULL, "a SCRAM message has more than %zu bytes", out->max);
}

static void hmac(const slc_scram_server *scram, const uint8_t *key, const slc_buf *text, uint8_t *out)
{
    unsigned len;
    SLC_BUG_ON(HMAC(md_of(scram), key, (int)digest_bytes(scram), text->data, text->len, out, &len) == NULL);
}

/* Takes the same steps whether or not there is such a user. */
static bool proof_holds(const slc_scram_server *scram, const uint8_t *proof)
{
    uint8_t signature[SLC_SCRAM_SERVER_MAX_DIGEST], stored[SLC_SCRAM_SERVER_MAX_DIGEST];
    size_t digest = digest_bytes(scram);
    hmac(scram, scram->stored_key, &scram->auth, signature);
    for (size_t i = 0; i < digest; i++)
        signature[i] ^= proof[i]; /* the client's key */
    SLC_BUG_ON(EVP_Digest(signature, digest, stored, NULL, md_of(scram), NULL) != 1);
    bool equal = slc_equal_secret(stored, scram->stored_key, digest);
    OPENSSL_cleanse(signature, sizeof signature);
    return equal && scram->known;
}

/* After extensions, which nobody has defined, and at the end. */
static bool take_proof(struct text text, uint8_t *decoded, size_t digest, const char **proof_at)
{
    struct text proof;
    for (;;) {
        *proof_at = text.at;
        if (take(&text, 'p', &proof))
            break;
        const char *comma = memchr(text.at, ',', (size_t)(text.end - text.at));
        if (comma == NULL)
            return false;
        text.at = comma + 1;
    }
    return proof.end == text.end &&
           slc_base64_decode(proof.at, (size_t)(proof.end - proof.at), decoded, digest) == (long)digest;
}

/* librdkafka before 2.6.1, which Debian 12 has, says its own part once more in front, and Kafka before 4.0
 * takes it. What a replay would have to guess is the end. */
static bool same_nonce(const slc_scram_server *scram, struct text nonce)
{
    const char *whole = (const char *)scram->auth.data + scram->nonce_at;
    size_t len = (size_t)(nonce.end - nonce.at), own = scram->client_nonce_len;
    if (len == scram->nonce_len + own && memcmp(nonce.at, whole, own) == 0) {
        nonce.at += own;
        len -= own;
    }
    return len == scram->nonce_len && memcmp(nonce.at, whole, len) == 0;
}

bool slc_scram_server_final(slc_scram_server *scram, const uint8_t *message, size_t len, slc_buf *out,
                            slc_error *err)
{
    struct text text = {(const char *)message, (const char *)message + len}, binding, nonce;
    uint8_t decoded[SLC_SCRAM_SERVER_MAX_DIGEST], signature[SLC_SCRAM_SERVER_MAX_DIGEST];
    char proof_text[4 * (SLC_SCRAM_SERVER_MAX_DIGEST / 3 + 1) + 1];
    size_t digest = digest_bytes(scram);
    const char *proof_at;
    if (len > SLC_SCRAM_SERVER_MAX_MESSAGE)
        return malformed(err, "it is too long");
    if (!take(&text, 'c', &binding) || (size_t)(binding.end - binding.at) != strlen(scram->binding) ||
        memcmp(binding.at, scram->binding, strlen(scram->binding)) != 0)
        return malformed(err, "its header is another one than before");
    if (!take(&text, 'r', &nonce) || !same_nonce(scram, nonce))
        return malformed(err, "its nonce is another one than before");
    if (!take_proof(text, decoded, digest, &proof_at))
        return malformed(err, "its proof");
    slc_buf_addc(&scram->auth, ',');
    slc_buf_add(&scram->auth, message, (size_t)(proof_at - 1 - (const char *)message));
    if (scram->auth.overflow)
        return malformed(err, "it is too long");
    if (!proof_holds(scram, decoded))
        return slc_fail(err, SLC_UNAUTHENTICATED, NULL, scram->known ? "wrong secret" : "unknown credential");
    hmac(scram, scram->server_key, &scram->auth, signature);
    slc_base64_encode(signature, digest, proof_text);
    slc_buf_addf(out, "v=%s", proof_text);
    return !out->overflow ||
           slc_fail(err, SLC_LIMIT, NULL, "a SCRAM message has more than %zu bytes", out->max);
}
