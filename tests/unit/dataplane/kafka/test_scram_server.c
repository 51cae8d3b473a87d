/* SCRAM, the server's side: the example of the RFC, and our own client. */
#include <check.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>

#include "common/crypto.h"
#include "dataplane/kafka/scram_client.h"
#include "dataplane/kafka/scram_server.h"
#include "tests/unit/common/unit.h"

#define CLIENT_FIRST "n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
#define CLIENT_NONCE "rOprNGfwEbeRWgbNEkqO"
#define SERVER_NONCE "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
#define NONCE        CLIENT_NONCE SERVER_NONCE
#define PROOF        "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="

static const uint8_t pepper[32] = {7};
static slc_scram_server server;
static slc_buf out;
static slc_error err;

static void setup(void)
{
    slc_buf_init(&out, 4096);
    slc_scram_server_init(&server, false);
}

static void teardown(void)
{
    slc_buf_release(&out);
    slc_scram_server_release(&server);
}

/* As the catalog makes it, from the RFC's salt. */
static size_t verifier_of(const char *secret, bool sha512, uint8_t out_bytes[SLC_SCRAM_VERIFIER_512])
{
    const EVP_MD *md = sha512 ? EVP_sha512() : EVP_sha256();
    size_t digest = sha512 ? 64 : 32;
    uint8_t salted[64], client_key[64];
    unsigned len;

    ck_assert_int_eq(slc_base64_decode("W22ZaJ0SNY7soEsUEjb6gQ==", 24, out_bytes, 16), 16);
    memcpy(out_bytes + 16, "\0\0\x10\0", 4);
    PKCS5_PBKDF2_HMAC(secret, (int)strlen(secret), out_bytes, 16, 4096, md, (int)digest, salted);
    HMAC(md, salted, (int)digest, (const uint8_t *)"Client Key", 10, client_key, &len);
    EVP_Digest(client_key, digest, out_bytes + 20, NULL, md, NULL);
    HMAC(md, salted, (int)digest, (const uint8_t *)"Server Key", 10, out_bytes + 20 + digest, &len);
    return 20 + 2 * digest;
}

static bool first(const char *text)
{
    return slc_scram_server_first(&server, (const uint8_t *)text, strlen(text), &err);
}

static bool challenge(const char *secret)
{
    uint8_t verifier[SLC_SCRAM_VERIFIER_512];
    size_t len = secret != NULL ? verifier_of(secret, false, verifier) : 0;

    slc_buf_clear(&out);
    return slc_scram_server_challenge(&server, verifier, len, pepper, SERVER_NONCE, &out, &err);
}

static bool final(const char *text)
{
    slc_buf_clear(&out);
    return slc_scram_server_final(&server, (const uint8_t *)text, strlen(text), &out, &err);
}

START_TEST(the_example_of_the_rfc)
{
    ck_assert(first(CLIENT_FIRST));
    ck_assert_str_eq(server.username, "user");
    ck_assert(challenge("pencil"));
    ck_assert_str_eq((const char *)out.data, "r=" NONCE ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096");
    ck_assert_msg(final("c=biws,r=" NONCE ",p=" PROOF), "%s", err.message);
    ck_assert_str_eq((const char *)out.data, "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
}
END_TEST

START_TEST(a_wrong_secret_is_refused)
{
    ck_assert(first(CLIENT_FIRST));
    ck_assert(challenge("pencils"));
    ck_assert(!final("c=biws,r=" NONCE ",p=" PROOF));
    ck_assert_int_eq(err.code, SLC_UNAUTHENTICATED);
    ck_assert_uint_eq(out.len, 0);
}
END_TEST

/* librdkafka before 2.6.1. */
START_TEST(a_client_that_says_its_nonce_once_more_gets_in)
{
    ck_assert(first(CLIENT_FIRST));
    ck_assert(challenge("pencil"));
    ck_assert_msg(final("c=biws,r=" CLIENT_NONCE NONCE ",p=1Y75+q7XaCGJj/r6vyQWwoNxSzV5ksS8xhp5Lqyriec="), "%s",
                  err.message);
    teardown();
    setup();
    ck_assert(first(CLIENT_FIRST));
    ck_assert(challenge("pencil"));
    ck_assert(!final("c=biws,r=" CLIENT_NONCE NONCE ",p=" PROOF)); /* the proof is of what was said */
    ck_assert_int_eq(err.code, SLC_UNAUTHENTICATED);
}
END_TEST

/* And looks the same until then: a salt of its own, each time the same. */
START_TEST(nobody_is_refused_at_the_end)
{
    char salt[2][256];

    for (int i = 0; i < 2; i++) {
        teardown();
        setup();
        ck_assert(first(CLIENT_FIRST));
        ck_assert(challenge(NULL));
        snprintf(salt[i], sizeof salt[i], "%s", (const char *)out.data);
        ck_assert(!final("c=biws,r=" NONCE ",p=" PROOF));
        ck_assert_int_eq(err.code, SLC_UNAUTHENTICATED);
    }
    ck_assert_str_eq(salt[0], salt[1]);
    ck_assert_ptr_nonnull(strstr(salt[0], ",i=4096"));
    teardown();
    slc_buf_init(&out, 4096);
    slc_scram_server_init(&server, true); /* a secret has another one for each mechanism */
    ck_assert(first(CLIENT_FIRST));
    ck_assert(challenge(NULL));
    ck_assert_str_ne(salt[0], (const char *)out.data);
}
END_TEST

START_TEST(our_client_gets_in)
{
    static const char *const names[] = {"user", "a,b=c", "0123456789abcdefghijk"};
    for (int sha512 = 0; sha512 < 2; sha512++) {
        for (size_t i = 0; i < 3; i++) {
            slc_scram_client client;
            uint8_t verifier[SLC_SCRAM_VERIFIER_512];
            size_t len = verifier_of("secret", sha512, verifier);
            slc_buf message;

            teardown();
            slc_buf_init(&out, 4096);
            slc_buf_init(&message, 4096);
            slc_scram_server_init(&server, sha512);
            slc_scram_client_init(&client, sha512, NULL);
            ck_assert(slc_scram_client_first(&client, names[i], &message, &err));
            ck_assert_msg(slc_scram_server_first(&server, message.data, message.len, &err), "%s", err.message);
            ck_assert_str_eq(server.username, names[i]);
            ck_assert(slc_scram_server_challenge(&server, verifier, len, pepper, NULL, &out, &err));
            slc_buf_clear(&message);
            ck_assert(slc_scram_client_final(&client, "secret", 6, out.data, out.len, &message, &err));
            slc_buf_clear(&out);
            ck_assert_msg(slc_scram_server_final(&server, message.data, message.len, &out, &err), "%s",
                          err.message);
            ck_assert(slc_scram_client_verify(&client, out.data, out.len, &err));
            slc_scram_client_release(&client);
            slc_buf_release(&message);
        }
    }
}
END_TEST

static const char *const bad_firsts[] = {
    "",
    "n",
    "n,",
    "n,,",
    "n,,n=user",
    "n,,r=x,n=user",
    "n,,n=,r=x",
    "n,,n=user,r=",
    "p=tls-unique,,n=user,r=x",
    "n,a=other,n=user,r=x",
    "n,,n=us=er,r=x",
    "n,,n=user,r=a b",
    "n,a=,n=user,r=x",
    "x,,n=user,r=x",
    "n,,m=1,n=user,r=x",
};

START_TEST(malformed_first_messages_are_refused)
{
    ck_assert_msg(!first(bad_firsts[_i]), "%s", bad_firsts[_i]);
    ck_assert_int_eq(err.code, SLC_INVALID);
}
END_TEST

START_TEST(an_identity_of_ones_own_is_taken_and_extensions_are_read_over)
{
    ck_assert_msg(first("n,a=user,n=user,r=x,tokenauth=true"), "%s", err.message);
    ck_assert(challenge("pencil"));
    ck_assert(!final("c=biws,r=x" SERVER_NONCE ",p=" PROOF)); /* not the header that it began with */
    ck_assert_int_eq(err.code, SLC_INVALID);
}
END_TEST

static const char *const bad_finals[] = {
    "",
    "c=biws",
    "c=biws,r=" NONCE,
    "c=biws,r=" NONCE ",p=",
    "c=biws,r=" NONCE ",p=AAAA",
    "r=" NONCE ",c=biws,p=" PROOF,
    "c=biws,r=x" NONCE ",p=" PROOF,
    "c=biws,r=" CLIENT_NONCE CLIENT_NONCE NONCE ",p=" PROOF,
    "c=biws,r=" SERVER_NONCE NONCE ",p=" PROOF,
    "c=biws,r=" CLIENT_NONCE ",p=" PROOF,
    "c=eSws,r=" NONCE ",p=" PROOF,
    "c=biws,r=" NONCE ",p=" PROOF ",x=1",
    "c=biws,r=" NONCE ",x=1,",
    "c=biws,r=" NONCE ",x=1",
};

START_TEST(malformed_last_messages_are_refused)
{
    ck_assert(first(CLIENT_FIRST));
    ck_assert(challenge("pencil"));
    ck_assert_msg(!final(bad_finals[_i]), "%s", bad_finals[_i]);
    ck_assert_int_eq(err.code, SLC_INVALID);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("scram server");
    TCase *tcase = tcase_create("scram server");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, the_example_of_the_rfc);
    tcase_add_test(tcase, a_wrong_secret_is_refused);
    tcase_add_test(tcase, a_client_that_says_its_nonce_once_more_gets_in);
    tcase_add_test(tcase, nobody_is_refused_at_the_end);
    tcase_add_test(tcase, our_client_gets_in);
    tcase_add_loop_test(tcase, malformed_first_messages_are_refused, 0,
                        (int)(sizeof bad_firsts / sizeof *bad_firsts));
    tcase_add_test(tcase, an_identity_of_ones_own_is_taken_and_extensions_are_read_over);
    tcase_add_loop_test(tcase, malformed_last_messages_are_refused, 0,
                        (int)(sizeof bad_finals / sizeof *bad_finals));
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
