#include <check.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "common/crypto.h"
#include "dataplane/crypt/siv.h"

#define LONGEST 1300 /* more than two of the pieces in which it is enciphered */

/* OpenSSL's own, made anew for each message. */
static void by_openssl(const uint8_t *key, const uint8_t *aad, size_t aad_len, const uint8_t *in, size_t len,
                       uint8_t tag[16], uint8_t *out)
{
    EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, "AES-256-SIV", NULL);
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int n;
    ck_assert_ptr_nonnull(cipher);
    ck_assert_int_eq(EVP_EncryptInit_ex(ctx, cipher, NULL, key, NULL), 1);
    ck_assert_int_eq(EVP_EncryptUpdate(ctx, NULL, &n, aad, (int)aad_len), 1);
    ck_assert_int_eq(EVP_EncryptUpdate(ctx, out, &n, in, (int)len), 1);
    ck_assert_int_eq(EVP_EncryptFinal_ex(ctx, out + n, &n), 1);
    ck_assert_int_eq(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, 16, tag), 1);
    EVP_CIPHER_CTX_free(ctx);
    EVP_CIPHER_free(cipher);
}

START_TEST(test_agrees_with_openssl_at_every_length)
{
    uint8_t key[64], aad[77], in[LONGEST], out[LONGEST], tag[16], right[LONGEST], right_tag[16], back[LONGEST];
    slc_random(key, sizeof key);
    slc_random(aad, sizeof aad);
    slc_random(in, sizeof in);
    slc_siv *siv = slc_siv_new(key);
    for (size_t len = 1; len < LONGEST; len += len < 70 ? 1 : 37) {
        size_t aad_len = 1 + len % (sizeof aad - 1);
        by_openssl(key, aad, aad_len, in, len, right_tag, right);
        slc_siv_seal(siv, aad, aad_len, in, len, tag, out);
        ck_assert_mem_eq(tag, right_tag, 16);
        ck_assert_mem_eq(out, right, len);
        ck_assert(slc_siv_open(siv, aad, aad_len, tag, out, len, back));
        ck_assert_mem_eq(back, in, len);
    }
    slc_siv_free(siv);
}
END_TEST

START_TEST(test_an_empty_text_has_a_tag)
{
    uint8_t key[64] = {1}, tag[16], other[16], none[1];
    slc_siv *siv = slc_siv_new(key);
    slc_siv_seal(siv, (const uint8_t *)"a", 1, none, 0, tag, none);
    slc_siv_seal(siv, (const uint8_t *)"b", 1, none, 0, other, none);
    ck_assert_mem_ne(tag, other, 16);
    ck_assert(slc_siv_open(siv, (const uint8_t *)"a", 1, tag, none, 0, none));
    ck_assert(!slc_siv_open(siv, (const uint8_t *)"b", 1, tag, none, 0, none));
    slc_siv_free(siv);
}
END_TEST

START_TEST(test_whatever_changes_is_noticed_and_wiped)
{
    uint8_t key[64] = {7}, text[20] = "twenty bytes of text", out[20], tag[16], back[20], zeros[20] = {0};
    slc_siv *siv = slc_siv_new(key);
    slc_siv_seal(siv, (const uint8_t *)"place", 5, text, sizeof text, tag, out);
    for (size_t bit = 0; bit < 8 * sizeof out; bit++) {
        out[bit / 8] ^= (uint8_t)(1 << bit % 8);
        ck_assert(!slc_siv_open(siv, (const uint8_t *)"place", 5, tag, out, sizeof out, back));
        ck_assert_mem_eq(back, zeros, sizeof zeros);
        out[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    tag[3] ^= 4;
    ck_assert(!slc_siv_open(siv, (const uint8_t *)"place", 5, tag, out, sizeof out, back));
    tag[3] ^= 4;
    ck_assert(!slc_siv_open(siv, (const uint8_t *)"elsewhere", 9, tag, out, sizeof out, back));
    ck_assert(slc_siv_open(siv, (const uint8_t *)"place", 5, tag, out, sizeof out, back));
    slc_siv_free(siv);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("siv");
    TCase *tcase = tcase_create("siv");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, test_agrees_with_openssl_at_every_length);
    tcase_add_test(tcase, test_an_empty_text_has_a_tag);
    tcase_add_test(tcase, test_whatever_changes_is_noticed_and_wiped);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
