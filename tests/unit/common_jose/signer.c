#include "tests/unit/common_jose/signer.h"

#include <check.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/rsa.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/crypto.h"

char *t_base64url(const void *data, size_t len)
{
    char *text = slc_malloc(4 * ((len + 2) / 3) + 1);

    slc_base64url_encode(data, len, text);
    return text;
}

static void set_number(json_t *jwk, const char *member, EVP_PKEY *key, const char *param, int bytes)
{
    BIGNUM *number = NULL;
    uint8_t data[1024];
    char *text;

    ck_assert_int_eq(EVP_PKEY_get_bn_param(key, param, &number), 1);
    bytes = bytes > 0 ? bytes : BN_num_bytes(number);
    ck_assert_int_eq(BN_bn2binpad(number, data, bytes), bytes);
    text = t_base64url(data, (size_t)bytes);
    json_object_set_new(jwk, member, json_string(text));
    free(text);
    BN_free(number);
}

json_t *t_jwk_of(EVP_PKEY *key, const char *kid)
{
    json_t *jwk = json_pack("{s:s}", "kid", kid);

    if (EVP_PKEY_is_a(key, "RSA")) {
        json_object_set_new(jwk, "kty", json_string("RSA"));
        set_number(jwk, "n", key, "n", 0);
        set_number(jwk, "e", key, "e", 0);
    } else if (EVP_PKEY_is_a(key, "EC")) {
        int bits = EVP_PKEY_get_bits(key), bytes = (bits + 7) / 8;

        json_object_set_new(jwk, "kty", json_string("EC"));
        json_object_set_new(jwk, "crv", json_string(bits == 256 ? "P-256" : bits == 384 ? "P-384" : "P-521"));
        set_number(jwk, "x", key, "qx", bytes);
        set_number(jwk, "y", key, "qy", bytes);
    } else {
        uint8_t raw[32];
        size_t len = sizeof raw;
        char *text;

        ck_assert_int_eq(EVP_PKEY_get_raw_public_key(key, raw, &len), 1);
        text = t_base64url(raw, len);
        json_object_update_new(jwk, json_pack("{s:s, s:s, s:s}", "kty", "OKP", "crv", "Ed25519", "x", text));
        free(text);
    }
    return jwk;
}

static const EVP_MD *digest_of(const char *algorithm)
{
    return strstr(algorithm, "256") != NULL   ? EVP_sha256()
           : strstr(algorithm, "384") != NULL ? EVP_sha384()
           : strstr(algorithm, "512") != NULL ? EVP_sha512()
                                              : NULL;
}

/* ASN.1 to the two numbers that JWS wants. */
static size_t raw_signature(EVP_PKEY *key, uint8_t *signature, size_t len)
{
    int bytes = (EVP_PKEY_get_bits(key) + 7) / 8;
    const unsigned char *at = signature;
    ECDSA_SIG *numbers = d2i_ECDSA_SIG(NULL, &at, (long)len);

    ck_assert_ptr_nonnull(numbers);
    BN_bn2binpad(ECDSA_SIG_get0_r(numbers), signature, bytes);
    BN_bn2binpad(ECDSA_SIG_get0_s(numbers), signature + bytes, bytes);
    ECDSA_SIG_free(numbers);
    return 2 * (size_t)bytes;
}

static char *sign(EVP_PKEY *key, const char *algorithm, const char *text)
{
    uint8_t signature[1024];
    size_t len = sizeof signature;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_PKEY_CTX *options;
    char *encoded, *token;

    ck_assert_int_eq(EVP_DigestSignInit(context, &options, digest_of(algorithm), NULL, key), 1);
    if (algorithm[0] == 'P') {
        EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING);
        EVP_PKEY_CTX_set_rsa_pss_saltlen(options, RSA_PSS_SALTLEN_DIGEST);
    }
    ck_assert_int_eq(EVP_DigestSign(context, signature, &len, (const uint8_t *)text, strlen(text)), 1);
    if (algorithm[1] == 'S' && algorithm[0] == 'E')
        len = raw_signature(key, signature, len);
    encoded = t_base64url(signature, len);
    token = slc_asprintf("%s.%s", text, encoded);
    EVP_MD_CTX_free(context);
    free(encoded);
    return token;
}

char *t_token_of(EVP_PKEY *key, const char *algorithm, const char *kid, const char *claims)
{
    char *header = kid != NULL ? slc_asprintf("{\"alg\":\"%s\",\"kid\":\"%s\"}", algorithm, kid)
                               : slc_asprintf("{\"alg\":\"%s\"}", algorithm);
    char *head = t_base64url(header, strlen(header)), *body = t_base64url(claims, strlen(claims));
    char *text = slc_asprintf("%s.%s", head, body), *token = sign(key, algorithm, text);

    free(header);
    free(head);
    free(body);
    free(text);
    return token;
}

EVP_PKEY *t_new_key(const char *algorithm)
{
    if (algorithm[0] == 'R' || algorithm[0] == 'P')
        return EVP_RSA_gen(2048);
    if (strcmp(algorithm, "EdDSA") == 0)
        return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    return EVP_EC_gen(strcmp(algorithm, "ES256") == 0   ? "P-256"
                      : strcmp(algorithm, "ES384") == 0 ? "P-384"
                                                        : "P-521");
}

char *t_token_with(EVP_PKEY *key, const char *algorithm, const char *header, const char *claims)
{
    char *head = t_base64url(header, strlen(header)), *body = t_base64url(claims, strlen(claims));
    char *text = slc_asprintf("%s.%s", head, body);
    char *token = key != NULL ? sign(key, algorithm, text) : slc_asprintf("%s.", text);

    free(head);
    free(body);
    free(text);
    return token;
}
