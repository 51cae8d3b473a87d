/* Tokens of every kind, signed here with OpenSSL, against the verifier. */
#include <check.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/crypto.h"
#include "common/jose/jwt.h"

#define NOW_S 1800000000LL

static slc_error err;

/* ---- making tokens ---- */

static char *base64url(const void *data, size_t len)
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
    text = base64url(data, (size_t)bytes);
    json_object_set_new(jwk, member, json_string(text));
    free(text);
    BN_free(number);
}

/* The public half as a JWK: new. */
static json_t *jwk_of(EVP_PKEY *key, const char *kid)
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
        text = base64url(raw, len);
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
    encoded = base64url(signature, len);
    token = slc_asprintf("%s.%s", text, encoded);
    EVP_MD_CTX_free(context);
    free(encoded);
    return token;
}

static char *token_of(EVP_PKEY *key, const char *algorithm, const char *kid, const char *claims)
{
    char *header = kid != NULL ? slc_asprintf("{\"alg\":\"%s\",\"kid\":\"%s\"}", algorithm, kid)
                               : slc_asprintf("{\"alg\":\"%s\"}", algorithm);
    char *head = base64url(header, strlen(header)), *body = base64url(claims, strlen(claims));
    char *text = slc_asprintf("%s.%s", head, body), *token = sign(key, algorithm, text);

    free(header);
    free(head);
    free(body);
    free(text);
    return token;
}

static const char good_claims[] =
    "{\"iss\":\"https://issuer.example\",\"aud\":[\"a\",\"b\"],\"exp\":1800000100}";

/* ---- checking them ---- */

static bool verify(const char *token, json_t *jwk, bool *unknown)
{
    slc_jwt jwt;
    json_t *jwks = json_pack("{s:[O]}", "keys", jwk);
    bool ok;

    ck_assert_msg(slc_jwt_parse(token, &jwt, &err), "%s", err.message);
    ok = slc_jwt_verify(&jwt, jwks, unknown, &err);
    slc_jwt_release(&jwt);
    json_decref(jwks);
    return ok;
}

static EVP_PKEY *new_key(const char *algorithm)
{
    if (algorithm[0] == 'R' || algorithm[0] == 'P')
        return EVP_RSA_gen(2048);
    if (strcmp(algorithm, "EdDSA") == 0)
        return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    return EVP_EC_gen(strcmp(algorithm, "ES256") == 0   ? "P-256"
                      : strcmp(algorithm, "ES384") == 0 ? "P-384"
                                                        : "P-521");
}

static const char *const algorithms[] = {"RS256", "RS384", "RS512", "PS256", "PS384",
                                         "PS512", "ES256", "ES384", "ES512", "EdDSA"};

START_TEST(every_algorithm_verifies_its_own_key_and_no_other)
{
    const char *algorithm = algorithms[_i];
    EVP_PKEY *key = new_key(algorithm), *other = new_key(algorithm);
    char *token = token_of(key, algorithm, "k", good_claims);
    json_t *jwk = jwk_of(key, "k"), *other_jwk = jwk_of(other, "k");
    bool unknown;

    ck_assert_msg(verify(token, jwk, &unknown), "%s", err.message);
    ck_assert(!verify(token, other_jwk, &unknown) && !unknown);
    ck_assert_int_eq(err.code, SLC_UNAUTHENTICATED);
    token[strlen(token) / 2] ^= 1; /* inside the claims: still base64url */
    slc_jwt jwt;
    if (slc_jwt_parse(token, &jwt, &err)) {
        json_t *jwks = json_pack("{s:[O]}", "keys", jwk);
        ck_assert(!slc_jwt_verify(&jwt, jwks, &unknown, &err));
        json_decref(jwks);
    }
    slc_jwt_release(&jwt);
    json_decref(jwk);
    json_decref(other_jwk);
    EVP_PKEY_free(key);
    EVP_PKEY_free(other);
    free(token);
}
END_TEST

START_TEST(a_key_counts_only_for_what_it_is_meant_for)
{
    static const char *const wrong[][2] = {{"kid", "another"}, {"use", "enc"}, {"alg", "RS512"},
                                           {"alg", "PS256"},   {"kty", "EC"},  {"kty", "oct"}};
    EVP_PKEY *key = new_key("RS256");
    char *token = token_of(key, "RS256", "k", good_claims);
    bool unknown;

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        json_t *jwk = jwk_of(key, "k");

        json_object_set_new(jwk, wrong[i][0], json_string(wrong[i][1]));
        ck_assert_msg(!verify(token, jwk, &unknown) && unknown, "%s %s", wrong[i][0], wrong[i][1]);
        json_decref(jwk);
    }
    EVP_PKEY_free(key);
    free(token);
}
END_TEST

START_TEST(short_rsa_keys_and_other_curves_are_not_used)
{
    EVP_PKEY *weak = EVP_RSA_gen(1024), *other_curve = EVP_EC_gen("P-384");
    char *tokens[] = {token_of(weak, "RS256", "k", good_claims),
                      token_of(other_curve, "ES256", "k", good_claims)};
    json_t *jwks[] = {jwk_of(weak, "k"), jwk_of(other_curve, "k")};
    bool unknown;

    for (size_t i = 0; i < 2; i++) {
        ck_assert(!verify(tokens[i], jwks[i], &unknown) && unknown);
        free(tokens[i]);
        json_decref(jwks[i]);
    }
    EVP_PKEY_free(weak);
    EVP_PKEY_free(other_curve);
}
END_TEST

START_TEST(a_token_without_a_key_id_is_tried_with_every_key_that_fits)
{
    EVP_PKEY *keys[3];
    json_t *set = json_pack("{s:[]}", "keys");
    bool unknown;
    slc_jwt jwt;

    for (size_t i = 0; i < 3; i++) {
        keys[i] = new_key("ES256");
        json_array_append_new(json_object_get(set, "keys"), jwk_of(keys[i], i == 0 ? "a" : i == 1 ? "b" : "c"));
    }
    char *token = token_of(keys[2], "ES256", NULL, good_claims);
    ck_assert(slc_jwt_parse(token, &jwt, &err));
    ck_assert(slc_jwt_verify(&jwt, set, &unknown, &err));
    slc_jwt_release(&jwt);
    json_decref(set);
    for (size_t i = 0; i < 3; i++)
        EVP_PKEY_free(keys[i]);
    free(token);
}
END_TEST

START_TEST(only_listed_algorithms_are_taken)
{
    json_t *listed = json_pack("[s, s, s]", "ES256", "none", "HS256");
    slc_jwt jwt = {.algorithm = "ES256"};

    ck_assert(slc_jwt_check_algorithm(&jwt, listed, &err));
    for (size_t i = 0; i < 3; i++) {
        static const char *const never[] = {"none", "HS256", "RS256"};

        snprintf(jwt.algorithm, sizeof jwt.algorithm, "%s", never[i]);
        ck_assert_msg(!slc_jwt_check_algorithm(&jwt, listed, &err), "%s", never[i]);
        ck_assert_int_eq(err.code, SLC_UNAUTHENTICATED);
    }
    json_decref(listed);
}
END_TEST

static const char *const malformed[] = {
    "",
    ".",
    "..",
    "a.b",
    "a.b.c",
    "e30.e30.",
    "e30.e30.AA.AA",
    "eyJhbGciOiJSUzI1NiJ9.W10.AA",
    "eyJhbGciOiJSUzI1NiIsImNyaXQiOlsiZXhwIl19.e30.AA",      /* crit */
    "eyJhbGciOjF9.e30.AA",                                  /* alg is a number */
    "eyJhbGciOiJSUzI1NiIsImFsZyI6Im5vbmUifQ.e30.AA",        /* alg twice */
    "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIiwic3ViIjoiYiJ9.AA", /* a claim twice */
    "eyJhbGciOiJSUzI1NiJ9.e31.AA",                          /* another spelling of e30 */
    "eyJhbGciOiJSUzI1NiJ9.e30=.AA",                         /* padded */
    "eyJhbGciOiJSUzI1NiJ9.e30.AA==",
    "eyJhbGciOiJSUzI1NiJ9.e3\n0.AA",
    "eyJhbGciOiJSUzI1NiJ9.e30+.AA",
    "eyJhbGciOiJSUzI1NiIsImtpZCI6MX0.e30.AA", /* kid is a number */
};

START_TEST(malformed_tokens_are_refused)
{
    slc_jwt jwt;

    ck_assert_msg(!slc_jwt_parse(malformed[_i], &jwt, &err), "%s", malformed[_i]);
    ck_assert_int_eq(err.code, SLC_INVALID);
    slc_jwt_release(&jwt);
}
END_TEST

/* A header of the test's own. */
static char *token_with(EVP_PKEY *key, const char *algorithm, const char *header, const char *claims)
{
    char *head = base64url(header, strlen(header)), *body = base64url(claims, strlen(claims));
    char *text = slc_asprintf("%s.%s", head, body);
    char *token = key != NULL ? sign(key, algorithm, text) : slc_asprintf("%s.", text);

    free(head);
    free(body);
    free(text);
    return token;
}

/* The public key, which everybody has, as the secret of an HMAC. */
static char *token_by_public_key(EVP_PKEY *key)
{
    char *text = NULL, *header = base64url("{\"alg\":\"HS256\",\"kid\":\"k\"}", 26),
         *body = base64url(good_claims, strlen(good_claims)), *signature, *token;
    uint8_t mac[SLC_SHA256_BYTES];
    unsigned char *der = NULL;
    int len = i2d_PUBKEY(key, &der);

    text = slc_asprintf("%s.%s", header, body);
    slc_hmac_sha256(der, (size_t)len, text, strlen(text), mac);
    signature = base64url(mac, sizeof mac);
    token = slc_asprintf("%s.%s", text, signature);
    OPENSSL_free(der);
    free(header);
    free(body);
    free(signature);
    free(text);
    return token;
}

static bool passes(const char *token, json_t *jwks)
{
    json_t *all = json_pack("[s,s,s,s]", "RS256", "ES256", "none", "HS256");
    bool unknown;
    slc_jwt jwt;
    bool ok = slc_jwt_parse(token, &jwt, &err) && slc_jwt_check_algorithm(&jwt, all, &err) &&
              slc_jwt_verify(&jwt, jwks, &unknown, &err);

    slc_jwt_release(&jwt);
    json_decref(all);
    return ok;
}

START_TEST(none_and_a_public_key_as_a_secret_sign_nothing)
{
    static const char *const nones[] = {"none", "None", "NONE", "nOnE", ""};
    EVP_PKEY *key = new_key("RS256");
    json_t *jwks = json_pack("{s:[o]}", "keys", jwk_of(key, "k"));
    char *good = token_of(key, "RS256", "k", good_claims), *confused = token_by_public_key(key);

    ck_assert(passes(good, jwks));
    ck_assert(!passes(confused, jwks));
    for (size_t i = 0; i < sizeof nones / sizeof *nones; i++) {
        char *header = slc_asprintf("{\"alg\":\"%s\",\"kid\":\"k\"}", nones[i]);
        char *token = token_with(NULL, NULL, header, good_claims);

        ck_assert_msg(!passes(token, jwks), "%s", nones[i]);
        free(header);
        free(token);
    }
    json_decref(jwks);
    EVP_PKEY_free(key);
    free(good);
    free(confused);
}
END_TEST

/* What a header says of keys is not looked at, and a key id is a name and no path. */
START_TEST(a_header_cannot_bring_its_own_key)
{
    EVP_PKEY *ours = new_key("ES256"), *theirs = new_key("ES256");
    json_t *jwks = json_pack("{s:[o]}", "keys", jwk_of(ours, "k")), *jwk = jwk_of(theirs, "k");
    char *jwk_text = json_dumps(jwk, JSON_COMPACT);
    char *headers[] = {
        slc_asprintf("{\"alg\":\"ES256\",\"kid\":\"k\",\"jwk\":%s}", jwk_text),
        slc_asprintf("{\"alg\":\"ES256\",\"jwk\":%s}", jwk_text),
        slc_asprintf("{\"alg\":\"ES256\",\"kid\":\"k\",\"jku\":\"http://127.0.0.1:1/keys\"}"),
        slc_asprintf("{\"alg\":\"ES256\",\"kid\":\"k\",\"x5u\":\"http://127.0.0.1:1/cert\",\"x5c\":[\"AA\"]}"),
        slc_asprintf("{\"alg\":\"ES256\",\"kid\":\"../../../../dev/null\"}"),
        slc_asprintf("{\"alg\":\"ES256\",\"kid\":\"k' OR '1'='1\"}"),
    };

    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
        char *token = token_with(theirs, "ES256", headers[i], good_claims);

        ck_assert_msg(!passes(token, jwks), "%s", headers[i]);
        ck_assert_int_eq(err.code, SLC_UNAUTHENTICATED);
        free(token);
        free(headers[i]);
    }
    json_decref(jwks);
    json_decref(jwk);
    free(jwk_text);
    EVP_PKEY_free(ours);
    EVP_PKEY_free(theirs);
}
END_TEST

START_TEST(long_tokens_are_refused)
{
    static const size_t lengths[] = {SLC_JWT_MAX_BYTES + 1, 10 * 1024 * 1024};

    for (size_t i = 0; i < 2; i++) {
        char *text = slc_malloc(lengths[i] + 1);
        slc_jwt jwt;

        memset(text, 'a', lengths[i]);
        text[lengths[i]] = '\0';
        ck_assert(!slc_jwt_parse(text, &jwt, &err));
        ck_assert_int_eq(err.code, SLC_TOO_LARGE);
        slc_jwt_release(&jwt);
        free(text);
    }
}
END_TEST

static const struct claims_case {
    const char *claims;
    const char *field; /* at fault; NULL: fine */
} claims_cases[] = {
    {"{'iss':'i','aud':'a','exp':1800000001}", NULL},
    {"{'iss':'i','aud':['x','a'],'exp':1800000001.5,'nbf':1800000000,'iat':1799999999}", NULL},
    {"{'iss':'i','aud':'a','exp':1799999941}", NULL}, /* within the skew of a minute */
    {"{'iss':'i','aud':'a','exp':1799999940}", "exp"},
    {"{'iss':'i','aud':'a','exp':1800000001,'nbf':1800000060}", NULL},
    {"{'iss':'i','aud':'a','exp':1800000001,'nbf':1800000061}", "nbf"},
    {"{'iss':'i','aud':'a','exp':1800000001,'iat':1800000061}", "iat"},
    {"{'iss':'i','aud':'a','exp':1800000001,'nbf':'soon'}", "nbf"},
    {"{'iss':'i','aud':'a'}", "exp"},
    {"{'iss':'i','aud':'a','exp':'never'}", "exp"},
    {"{'iss':'i','aud':'a','exp':1e300}", "exp"},
    {"{'iss':'j','aud':'a','exp':1800000001}", "iss"},
    {"{'aud':'a','exp':1800000001}", "iss"},
    {"{'iss':['i'],'aud':'a','exp':1800000001}", "iss"},
    {"{'iss':'i','aud':'ab','exp':1800000001}", "aud"},
    {"{'iss':'i','aud':[],'exp':1800000001}", "aud"},
    {"{'iss':'i','aud':{'a':1},'exp':1800000001}", "aud"},
    {"{'iss':'i','exp':1800000001}", "aud"},
};

START_TEST(claims_must_hold)
{
    const struct claims_case *c = &claims_cases[_i];
    slc_jwt_expect expect = {.issuer = "i", .audience = "a", .now_ms = NOW_S * 1000, .skew_ms = 60000};
    char *text = slc_strdup(c->claims);
    slc_jwt jwt = {.text = NULL};

    for (char *at = text; *at != '\0'; at++)
        *at = *at == '\'' ? '"' : *at;
    jwt.claims = json_loads(text, 0, NULL);
    ck_assert_ptr_nonnull(jwt.claims);
    slc_error_clear(&err);
    ck_assert_msg(slc_jwt_check_claims(&jwt, &expect, &err) == (c->field == NULL), "%s: %s", c->claims,
                  err.message);
    ck_assert_str_eq(err.field, c->field != NULL ? c->field : "");
    slc_jwt_release(&jwt);
    free(text);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("jwt");
    TCase *tcase = tcase_create("jwt");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, every_algorithm_verifies_its_own_key_and_no_other, 0,
                        (int)(sizeof algorithms / sizeof *algorithms));
    tcase_add_test(tcase, a_key_counts_only_for_what_it_is_meant_for);
    tcase_add_test(tcase, short_rsa_keys_and_other_curves_are_not_used);
    tcase_add_test(tcase, a_token_without_a_key_id_is_tried_with_every_key_that_fits);
    tcase_add_test(tcase, only_listed_algorithms_are_taken);
    tcase_add_loop_test(tcase, malformed_tokens_are_refused, 0, (int)(sizeof malformed / sizeof *malformed));
    tcase_add_test(tcase, none_and_a_public_key_as_a_secret_sign_nothing);
    tcase_add_test(tcase, a_header_cannot_bring_its_own_key);
    tcase_add_test(tcase, long_tokens_are_refused);
    tcase_add_loop_test(tcase, claims_must_hold, 0, (int)(sizeof claims_cases / sizeof *claims_cases));
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
