#include "common/crypto.h"

#include <string.h>

#include "common/alloc.h"
#include "tests/unit/common/unit.h"

static void check_hex(const uint8_t *bytes, size_t len, const char *want)
{
    char hex[512];
    slc_hex_encode(bytes, len, hex);
    ck_assert_str_eq(hex, want);
}

START_TEST(hashes_agree_with_published_values)
{
    uint8_t out[SLC_SHA256_BYTES];
    slc_sha256("abc", 3, out);
    check_hex(out, sizeof out, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    slc_sha256("", 0, out);
    check_hex(out, sizeof out, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    /* RFC 4231, case 2 */
    slc_hmac_sha256("Jefe", 4, "what do ya want for nothing?", 28, out);
    check_hex(out, sizeof out, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    uint8_t key[131]; /* case 6: longer than a block */
    memset(key, 0xaa, sizeof key);
    slc_hmac_sha256(key, sizeof key, "Test Using Larger Than Block-Size Key - Hash Key First", 54, out);
    check_hex(out, sizeof out, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    slc_hmac_sha256(NULL, 0, "", 0, out);
    check_hex(out, sizeof out, "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}
END_TEST

START_TEST(hkdf_agrees_with_rfc_5869)
{
    uint8_t key[22], salt[13], out[82];
    memset(key, 0x0b, sizeof key);
    for (size_t i = 0; i < sizeof salt; i++)
        salt[i] = (uint8_t)i;
    slc_hkdf_sha256(key, sizeof key, salt, sizeof salt, "\xf0\xf1\xf2\xf3\xf4\xf5\xf6\xf7\xf8\xf9", out, 42);
    check_hex(out, 42, "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865");
    slc_hkdf_sha256(key, sizeof key, NULL, 0, NULL, out, 42);
    check_hex(out, 42, "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8");
}
END_TEST

START_TEST(secrets_compare)
{
    ck_assert(slc_equal_secret("abcd", "abcd", 4));
    ck_assert(!slc_equal_secret("abcd", "abce", 4));
    ck_assert(slc_equal_secret("x", "y", 0));
}
END_TEST

START_TEST(ids_use_every_letter_of_the_alphabet_and_no_other)
{
    char id[201];
    unsigned seen[256] = {0};
    for (int i = 0; i < 50; i++) {
        slc_random_id(id, 200);
        ck_assert_uint_eq(strlen(id), 200);
        for (int j = 0; j < 200; j++)
            seen[(unsigned char)id[j]]++;
    }
    for (int c = 0; c < 256; c++) {
        bool allowed = c != 0 && strchr("0123456789abcdefghjkmnpqrstvwxyz", c) != NULL;
        ck_assert_msg((seen[c] > 0) == allowed, "%c", c);
    }
    slc_random_id(id, 0);
    ck_assert_str_eq(id, "");
}
END_TEST

START_TEST(hex_is_strict)
{
    uint8_t out[4];
    ck_assert(slc_hex_decode("00fFa1", 6, out, 3));
    ck_assert(out[0] == 0 && out[1] == 0xFF && out[2] == 0xA1);
    ck_assert(!slc_hex_decode("00fFa", 5, out, 3));
    ck_assert(!slc_hex_decode("00fFa1", 6, out, 4));
    ck_assert(!slc_hex_decode("00fg", 4, out, 2));
    ck_assert(slc_hex_decode("", 0, out, 0));
}
END_TEST

START_TEST(base64_goes_both_ways)
{
    static const char *const pairs[][3] = {
        {"", "", ""},
        {"f", "Zg==", "Zg"},
        {"fo", "Zm8=", "Zm8"},
        {"foo", "Zm9v", "Zm9v"},
        {"foob", "Zm9vYg==", "Zm9vYg"},
        {"\xFB\xFF", "+/8=", "-_8"},
        {"\xFF\xFF\xFE", "///+", "___-"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        char text[16];
        uint8_t back[16];
        size_t len = strlen(pairs[i][0]);
        ck_assert_uint_eq(slc_base64_encode(pairs[i][0], len, text), strlen(pairs[i][1]));
        ck_assert_str_eq(text, pairs[i][1]);
        ck_assert_int_eq(slc_base64_decode(text, strlen(text), back, len), (long)len);
        ck_assert(memcmp(back, pairs[i][0], len) == 0);
        ck_assert_uint_eq(slc_base64url_encode(pairs[i][0], len, text), strlen(pairs[i][2]));
        ck_assert_str_eq(text, pairs[i][2]);
        ck_assert_int_eq(slc_base64url_decode(text, strlen(text), back, len), (long)len);
        ck_assert(memcmp(back, pairs[i][0], len) == 0);
    }
}
END_TEST

START_TEST(base64_is_strict)
{
    static const char *const bad[] = {"Z",    "Zg",    "Zg=",   "Zg===", "=",        "==",   "====", "Zh==",
                                      "Zm9=", "Z\n==", "Zm9v=", "-_8=",  "Zg==Zg==", "Z=g=", " Zg="};
    static const char *const bad_url[] = {"Z", "Zg=", "Zh", "+/8", "Zm9v=", "Zm9", "Zg==="};
    uint8_t out[16];
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ck_assert_msg(slc_base64_decode(bad[i], strlen(bad[i]), out, sizeof out) == -1, "%s", bad[i]);
    ck_assert_int_eq(slc_base64_decode("Zm9v\0===", 8, out, sizeof out), -1);
    for (size_t i = 0; i < sizeof bad_url / sizeof bad_url[0]; i++)
        ck_assert_msg(slc_base64url_decode(bad_url[i], strlen(bad_url[i]), out, sizeof out) == -1, "%s",
                      bad_url[i]);
    ck_assert_int_eq(slc_base64url_decode("Zg==", 4, out, sizeof out), 1);
    ck_assert_int_eq(slc_base64_decode("Zm9v", 4, out, 2), -1);
    ck_assert_int_eq(slc_base64_decode("", 0, out, 0), 0);
}
END_TEST

START_TEST(a_sealed_value_opens_only_as_it_was_sealed)
{
    uint8_t key[SLC_SEAL_KEY_BYTES], other[SLC_SEAL_KEY_BYTES];
    slc_random(key, sizeof key);
    slc_random(other, sizeof other);
    const char secret[] = "correct horse";
    size_t len = sizeof secret;
    uint8_t *sealed = slc_malloc(len + SLC_SEAL_OVERHEAD), *again = slc_malloc(len + SLC_SEAL_OVERHEAD);
    uint8_t *out = slc_malloc(len);
    slc_error err;
    slc_seal(key, secret, len, "t/c/1", 5, sealed);
    slc_seal(key, secret, len, "t/c/1", 5, again);
    ck_assert(memcmp(sealed, again, len + SLC_SEAL_OVERHEAD) != 0);
    ck_assert(slc_unseal(key, sealed, len + SLC_SEAL_OVERHEAD, "t/c/1", 5, out, &err));
    ck_assert(memcmp(out, secret, len) == 0);

    ck_assert(!slc_unseal(other, sealed, len + SLC_SEAL_OVERHEAD, "t/c/1", 5, out, &err));
    ck_assert_int_eq(err.code, SLC_CORRUPT);
    ck_assert(!slc_unseal(key, sealed, len + SLC_SEAL_OVERHEAD, "t/c/2", 5, out, &err));
    ck_assert(!slc_unseal(key, sealed, len + SLC_SEAL_OVERHEAD - 1, "t/c/1", 5, out, &err));
    ck_assert(!slc_unseal(key, sealed, SLC_SEAL_OVERHEAD - 1, "t/c/1", 5, out, &err));
    ck_assert(!slc_unseal(key, sealed, 0, NULL, 0, out, &err));
    for (size_t i = 0; i < len + SLC_SEAL_OVERHEAD; i++) {
        sealed[i] ^= 1;
        memset(out, 'x', len);
        ck_assert(!slc_unseal(key, sealed, len + SLC_SEAL_OVERHEAD, "t/c/1", 5, out, &err));
        for (size_t j = 0; j < len; j++)
            ck_assert_uint_eq(out[j], 0); /* unverified plaintext does not get out */
        sealed[i] ^= 1;
    }
    free(sealed);
    free(again);
    free(out);
}
END_TEST

START_TEST(nothing_can_be_sealed_too)
{
    uint8_t key[SLC_SEAL_KEY_BYTES] = {1}, sealed[SLC_SEAL_OVERHEAD], out[1];
    slc_error err;
    slc_seal(key, "", 0, NULL, 0, sealed);
    ck_assert(slc_unseal(key, sealed, sizeof sealed, NULL, 0, out, &err));
    ck_assert(!slc_unseal(key, sealed, sizeof sealed, "a", 1, out, &err));
}
END_TEST

UNIT_MAIN("crypto", hashes_agree_with_published_values, hkdf_agrees_with_rfc_5869, secrets_compare,
          ids_use_every_letter_of_the_alphabet_and_no_other, hex_is_strict, base64_goes_both_ways,
          base64_is_strict, a_sealed_value_opens_only_as_it_was_sealed, nothing_can_be_sealed_too)
