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
#include "tests/unit/common_jose/signer.h"

#define NOW_S 1800000000LL

static slc_error err;

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

static const char *const algorithms[] = {"RS256", "RS384", "RS512", "PS256", "PS384",
                                         "PS512", "ES256", "ES384", "ES512", "EdDSA"};

START_TEST(every_algorithm_verifies_its_own_key_and_no_other)
{
    const char *algorithm = algorithms[_i];
    EVP_PKEY *key = t_new_key(algorithm), *other = t_new_key(algorithm);
    char *token = t_token_of(key, algorithm, "k", good_claims);
    json_t *jwk = t_jwk_of(key, "k"), *other_jwk = t_jwk_of(other, "k");
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
    EVP_PKEY *key = t_new_key("RS256");
    char *token = t_token_of(key, "RS256", "k", good_claims);
    bool unknown;

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        json_t *jwk = t_jwk_of(key, "k");

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
    char *tokens[] = {t_token_of(weak, "RS256", "k", good_claims),
                      t_token_of(other_curve, "ES256", "k", good_claims)};
    json_t *jwks[] = {t_jwk_of(weak, "k"), t_jwk_of(other_curve, "k")};
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
        keys[i] = t_new_key("ES256");
        json_array_append_new(json_object_get(set, "keys"), t_jwk_of(keys[i], i == 0   ? "a"
                                                                              : i == 1 ? "b"
                                                                                       : "c"));
    }
    char *token = t_token_of(keys[2], "ES256", NULL, good_claims);
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

/* The public key, which everybody has, as the secret of an HMAC. */
static char *token_by_public_key(EVP_PKEY *key)
{
    char *text = NULL, *header = t_base64url("{\"alg\":\"HS256\",\"kid\":\"k\"}", 26),
         *body = t_base64url(good_claims, strlen(good_claims)), *signature, *token;
    uint8_t mac[SLC_SHA256_BYTES];
    unsigned char *der = NULL;
    int len = i2d_PUBKEY(key, &der);

    text = slc_asprintf("%s.%s", header, body);
    slc_hmac_sha256(der, (size_t)len, text, strlen(text), mac);
    signature = t_base64url(mac, sizeof mac);
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
    EVP_PKEY *key = t_new_key("RS256");
    json_t *jwks = json_pack("{s:[o]}", "keys", t_jwk_of(key, "k"));
    char *good = t_token_of(key, "RS256", "k", good_claims), *confused = token_by_public_key(key);

    ck_assert(passes(good, jwks));
    ck_assert(!passes(confused, jwks));
    for (size_t i = 0; i < sizeof nones / sizeof *nones; i++) {
        char *header = slc_asprintf("{\"alg\":\"%s\",\"kid\":\"k\"}", nones[i]);
        char *token = t_token_with(NULL, NULL, header, good_claims);

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
    EVP_PKEY *ours = t_new_key("ES256"), *theirs = t_new_key("ES256");
    json_t *jwks = json_pack("{s:[o]}", "keys", t_jwk_of(ours, "k")), *jwk = t_jwk_of(theirs, "k");
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
        char *token = t_token_with(theirs, "ES256", headers[i], good_claims);

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
