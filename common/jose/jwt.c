/* JSON Web Tokens. cjose verifies; which key and algorithm may be used for that is decided here. */
#include "common/jose/jwt.h"

#include <cjose/cjose.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/crypto.h"
#include "common/json.h"

#define MAX_KEYS      64
#define MIN_RSA_BYTES 256
#define ED25519_KEY   32
#define ED25519_SIG   64

/* ---- reading ---- */

/* cjose ends the process on some texts that are no base64url (padding where none can be): it must not see them.
 */
static bool is_base64url(const char *text, size_t len)
{
    uint8_t *data = slc_malloc(len + 1);
    bool ok = slc_base64url_decode(text, len, data, len) > 0;
    slc_free_secret(data, len);
    return ok;
}

/* A part of the token, decoded, as a JSON object (new). */
static json_t *decode_object(const char *part, size_t len, slc_error *err)
{
    uint8_t *data = slc_malloc(len + 1);
    long decoded = slc_base64url_decode(part, len, data, len);
    json_t *object = decoded > 0 ? slc_json_parse((const char *)data, (size_t)decoded, len, err) : NULL;
    free(data);
    if (json_is_object(object))
        return object;
    json_decref(object);
    slc_fail(err, SLC_INVALID, NULL, "a part of the token is not a JSON object in base64url");
    return NULL;
}

static bool take_text(const json_t *object, const char *name, char *out, size_t size)
{
    const json_t *value = json_object_get(object, name);
    out[0] = '\0';
    if (value == NULL)
        return true;
    if (!json_is_string(value) || json_string_length(value) >= size)
        return false;
    memcpy(out, json_string_value(value), json_string_length(value) + 1);
    return true;
}

static bool read_header(const char *part, size_t len, slc_jwt *jwt, slc_error *err)
{
    json_t *header = decode_object(part, len, err);
    if (header == NULL)
        return false;
    bool ok = take_text(header, "alg", jwt->algorithm, sizeof(jwt->algorithm)) && jwt->algorithm[0] != '\0' &&
              take_text(header, "kid", jwt->kid, sizeof(jwt->kid)) && json_object_get(header, "crit") == NULL;
    json_decref(header);
    return ok || slc_fail(err, SLC_INVALID, NULL,
                          "the token's header has no algorithm, or something in it that cannot be accepted");
}

bool slc_jwt_parse(const char *text, slc_jwt *jwt, slc_error *err)
{
    memset(jwt, 0, sizeof(*jwt));
    if (strnlen(text, SLC_JWT_MAX_BYTES + 1) > SLC_JWT_MAX_BYTES)
        return slc_fail(err, SLC_TOO_LARGE, NULL, "the token is longer than %d bytes", SLC_JWT_MAX_BYTES);
    size_t header_len = strcspn(text, ".");
    const char *claims = text + header_len;
    if (*claims != '.')
        return slc_fail(err, SLC_INVALID, NULL, "a signed token has three parts with dots between them");
    if (strchr(text, '=') != NULL) /* RFC 7515, section 2: without padding, so that a token has one spelling */
        return slc_fail(err, SLC_INVALID, NULL, "a signed token has no padding");
    claims++;
    size_t claims_len = strcspn(claims, ".");
    if (claims[claims_len] != '.' || strchr(claims + claims_len + 1, '.') != NULL)
        return slc_fail(err, SLC_INVALID, NULL, "a signed token has three parts with dots between them");
    if (!read_header(text, header_len, jwt, err) ||
        (jwt->claims = decode_object(claims, claims_len, err)) == NULL)
        return false;
    jwt->text = slc_strdup(text);
    return true;
}

void slc_jwt_release(slc_jwt *jwt)
{
    json_decref(jwt->claims);
    if (jwt->text != NULL)
        slc_free_secret(jwt->text, strlen(jwt->text));
    memset(jwt, 0, sizeof(*jwt));
}

/* ---- algorithms and keys ---- */

static const struct algorithm {
    const char *name;
    const char *kty;
    const char *crv; /* NULL: none */
} known[] = {
    {"RS256", "RSA", NULL},   {"RS384", "RSA", NULL},      {"RS512", "RSA", NULL},   {"PS256", "RSA", NULL},
    {"PS384", "RSA", NULL},   {"PS512", "RSA", NULL},      {"ES256", "EC", "P-256"}, {"ES384", "EC", "P-384"},
    {"ES512", "EC", "P-521"}, {"EdDSA", "OKP", "Ed25519"}, {NULL, NULL, NULL},
};

static const struct algorithm *algorithm_of(const slc_jwt *jwt)
{
    for (const struct algorithm *algorithm = known; algorithm->name != NULL; algorithm++)
        if (strcmp(algorithm->name, jwt->algorithm) == 0)
            return algorithm;
    return NULL;
}

bool slc_jwt_check_algorithm(const slc_jwt *jwt, const json_t *algorithms, slc_error *err)
{
    size_t i;
    json_t *allowed;
    json_array_foreach ((json_t *)algorithms, i, allowed) {
        if (json_is_string(allowed) && strcmp(json_string_value(allowed), jwt->algorithm) == 0 &&
            algorithm_of(jwt) != NULL)
            return true;
    }
    return slc_fail(err, SLC_UNAUTHENTICATED, "alg", "tokens signed with %s are not accepted", jwt->algorithm);
}

static bool member_is(const json_t *key, const char *name, const char *wanted, bool required)
{
    const char *value = json_string_value(json_object_get(key, name));
    return value != NULL ? strcmp(value, wanted) == 0 : !required && json_object_get(key, name) == NULL;
}

static bool rsa_is_strong(const json_t *key)
{
    const char *n = json_string_value(json_object_get(key, "n"));
    /* Base64url of 256 bytes has 342 characters. */
    return n != NULL && strlen(n) >= (MIN_RSA_BYTES * 4 + 2) / 3;
}

static bool key_fits(const json_t *key, const slc_jwt *jwt, const struct algorithm *algorithm)
{
    return json_is_object(key) && member_is(key, "kty", algorithm->kty, true) &&
           (algorithm->crv == NULL || member_is(key, "crv", algorithm->crv, true)) &&
           member_is(key, "use", "sig", false) && member_is(key, "alg", algorithm->name, false) &&
           (jwt->kid[0] == '\0' || member_is(key, "kid", jwt->kid, true)) &&
           (strcmp(algorithm->kty, "RSA") != 0 || rsa_is_strong(key));
}

/* ---- verifying ---- */

/* cjose has no EdDSA. */
static bool verify_eddsa(const slc_jwt *jwt, const json_t *key)
{
    const char *x = json_string_value(json_object_get(key, "x")), *last = strrchr(jwt->text, '.');
    uint8_t public_key[ED25519_KEY + 1], signature[ED25519_SIG + 1];
    if (x == NULL || slc_base64url_decode(x, strlen(x), public_key, sizeof(public_key)) != ED25519_KEY ||
        slc_base64url_decode(last + 1, strlen(last + 1), signature, sizeof(signature)) != ED25519_SIG)
        return false;
    EVP_PKEY *pkey = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, public_key, ED25519_KEY);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool ok = pkey != NULL && context != NULL && EVP_DigestVerifyInit(context, NULL, NULL, NULL, pkey) == 1 &&
              EVP_DigestVerify(context, signature, ED25519_SIG, (const unsigned char *)jwt->text,
                               (size_t)(last - jwt->text)) == 1;
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(pkey);
    return ok;
}

/* The public members alone: a set that shows private ones is somebody's mistake, and none of ours to load. */
static cjose_jwk_t *import_key(const json_t *key)
{
    static const char *const members[] = {"kty", "n", "e", "crv", "x", "y"};
    cjose_err ignored;
    json_t *public_key = json_object();
    for (size_t i = 0; i < sizeof(members) / sizeof(*members); i++) {
        json_t *member = json_object_get(key, members[i]);
        bool number = strlen(members[i]) == 1;
        if (number && member != NULL &&
            (!json_is_string(member) || !is_base64url(json_string_value(member), json_string_length(member)))) {
            json_decref(public_key);
            return NULL;
        }
        if (member != NULL)
            json_object_set(public_key, members[i], member);
    }
    char *text = json_dumps(public_key, JSON_COMPACT);
    cjose_jwk_t *jwk = text != NULL ? cjose_jwk_import(text, strlen(text), &ignored) : NULL;
    free(text);
    json_decref(public_key);
    return jwk;
}

static bool verify_with(const slc_jwt *jwt, const json_t *key)
{
    cjose_err ignored;
    const char *signature = strrchr(jwt->text, '.') + 1;
    if (!is_base64url(signature, strlen(signature)))
        return false;
    if (strcmp(jwt->algorithm, "EdDSA") == 0)
        return verify_eddsa(jwt, key);
    cjose_jwk_t *jwk = import_key(key);
    cjose_jws_t *jws = jwk != NULL ? cjose_jws_import(jwt->text, strlen(jwt->text), &ignored) : NULL;
    bool ok = jws != NULL && cjose_jws_verify(jws, jwk, &ignored);
    cjose_jws_release(jws);
    cjose_jwk_release(jwk);
    return ok;
}

bool slc_jwt_verify(const slc_jwt *jwt, const json_t *jwks, bool *unknown_key, slc_error *err)
{
    const struct algorithm *algorithm = algorithm_of(jwt);
    size_t i;
    json_t *key;
    *unknown_key = true;
    if (algorithm == NULL)
        return slc_fail(err, SLC_UNAUTHENTICATED, "alg", "tokens signed with %s are not accepted",
                        jwt->algorithm);
    json_array_foreach (json_object_get(jwks, "keys"), i, key) {
        if (i >= MAX_KEYS)
            break;
        if (!key_fits(key, jwt, algorithm))
            continue;
        *unknown_key = false;
        if (verify_with(jwt, key))
            return true;
    }
    if (*unknown_key)
        return slc_fail(err, SLC_UNAUTHENTICATED, "kid", "the issuer has no key \"%.80s\" for %s", jwt->kid,
                        jwt->algorithm);
    return slc_fail(err, SLC_UNAUTHENTICATED, NULL, "the token's signature is not by a key of its issuer");
}

/* ---- claims ---- */

const char *slc_jwt_text(const slc_jwt *jwt, const char *claim)
{
    return json_string_value(json_object_get(jwt->claims, claim));
}

bool slc_jwt_has_audience(const slc_jwt *jwt, const char *audience)
{
    const json_t *claim = json_object_get(jwt->claims, "aud");
    size_t i;
    json_t *one;
    if (json_is_string(claim))
        return strcmp(json_string_value(claim), audience) == 0;
    json_array_foreach ((json_t *)claim, i, one) {
        if (json_is_string(one) && strcmp(json_string_value(one), audience) == 0)
            return true;
    }
    return false;
}

/* Seconds since 1970, which RFC 7519 allows to have a fraction. False when it is there and no such number. */
static bool time_claim(const slc_jwt *jwt, const char *name, bool *present, int64_t *ms)
{
    const json_t *claim = json_object_get(jwt->claims, name);
    double seconds = json_number_value(claim);
    *present = claim != NULL;
    *ms = 0;
    if (claim == NULL)
        return true;
    if (!json_is_number(claim) || !(seconds >= 0 && seconds < 1e12))
        return false;
    *ms = (int64_t)(seconds * 1000);
    return true;
}

static bool check_times(const slc_jwt *jwt, const slc_jwt_expect *expect, slc_error *err)
{
    static const char *const starts[] = {"nbf", "iat"};
    int64_t at_ms;
    bool present;
    if (!time_claim(jwt, "exp", &present, &at_ms) || !present)
        return slc_fail(err, SLC_UNAUTHENTICATED, "exp", "the token does not say when it expires");
    if (expect->now_ms - expect->skew_ms >= at_ms)
        return slc_fail(err, SLC_UNAUTHENTICATED, "exp", "the token expired %lld s ago",
                        (long long)((expect->now_ms - at_ms) / 1000));
    for (size_t i = 0; i < sizeof(starts) / sizeof(*starts); i++) {
        if (!time_claim(jwt, starts[i], &present, &at_ms))
            return slc_fail(err, SLC_UNAUTHENTICATED, starts[i], "the token's %s is no time", starts[i]);
        if (present && expect->now_ms + expect->skew_ms < at_ms)
            return slc_fail(err, SLC_UNAUTHENTICATED, starts[i],
                            "the token is valid only in %lld s: the issuer's clock and this one differ",
                            (long long)((at_ms - expect->now_ms) / 1000));
    }
    return true;
}

bool slc_jwt_check_claims(const slc_jwt *jwt, const slc_jwt_expect *expect, slc_error *err)
{
    const char *issuer = slc_jwt_text(jwt, "iss");
    if (issuer == NULL || strcmp(issuer, expect->issuer) != 0)
        return slc_fail(err, SLC_UNAUTHENTICATED, "iss", "the token's issuer is \"%.200s\", not \"%.200s\"",
                        issuer != NULL ? issuer : "", expect->issuer);
    if (expect->audience != NULL && !slc_jwt_has_audience(jwt, expect->audience))
        return slc_fail(err, SLC_UNAUTHENTICATED, "aud", "the token is not for the audience \"%.200s\"",
                        expect->audience);
    return check_times(jwt, expect, err);
}
