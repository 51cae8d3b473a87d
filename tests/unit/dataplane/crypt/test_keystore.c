#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/crypto.h"
#include "common/file.h"
#include "dataplane/crypt/keystore.h"

#define PASSPHRASE "correct horse battery"

static char folder[64], *path;

static void setup(void)
{
    snprintf(folder, sizeof folder, "/tmp/keystore-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    path = slc_asprintf("%s/keys.json", folder);
}

static void teardown(void)
{
    unlink(path);
    rmdir(folder);
    free(path);
}

static void save(const slc_keystore *store)
{
    slc_error err = {0};
    ck_assert_msg(slc_keystore_save(store, path, PASSPHRASE, strlen(PASSPHRASE), &err), "%s", err.message);
}

static slc_keystore *load(const char *passphrase, slc_error *err)
{
    return slc_keystore_load(path, passphrase, strlen(passphrase), err);
}

START_TEST(test_keys_survive_the_file)
{
    slc_error err = {0};
    uint8_t secret[32], edek[64], back[32], fixed[64], fixed_back[64];
    struct stat is;
    slc_keystore *store = slc_keystore_new();
    ck_assert(slc_keystore_add(store, "orders", &err));
    ck_assert(slc_keystore_add(store, "a.payments_2", &err));
    slc_random(secret, sizeof secret);
    ck_assert(slc_keystore_wrap(store, "orders", secret, edek, &err));
    ck_assert(slc_keystore_fixed(store, "orders", fixed, &err));
    ck_assert(slc_keystore_rotate(store, "orders", &err));
    save(store);
    slc_keystore_free(store);
    ck_assert_int_eq(stat(path, &is), 0);
    ck_assert_int_eq(is.st_mode & 0777, 0600);
    store = load(PASSPHRASE, &err);
    ck_assert_msg(store != NULL, "%s", err.message);
    ck_assert_uint_eq(slc_keystore_count(store), 2);
    ck_assert_str_eq(slc_keystore_at(store, 0).name, "a.payments_2");
    slc_keystore_entry entry = slc_keystore_at(store, 1);
    ck_assert_uint_eq(entry.version, 2);
    ck_assert_uint_eq(entry.versions, 2);
    ck_assert(slc_keystore_unwrap(store, "orders", edek, sizeof edek, back, &err));
    ck_assert_mem_eq(back, secret, 32);
    ck_assert(slc_keystore_fixed(store, "orders", fixed_back, &err));
    ck_assert_mem_eq(fixed, fixed_back, 64);
    slc_keystore_free(store);
}
END_TEST

START_TEST(test_an_edek_belongs_to_its_kek)
{
    slc_error err = {0};
    uint8_t secret[32] = {1}, edek[64], back[32];
    slc_keystore *store = slc_keystore_new();
    ck_assert(slc_keystore_add(store, "orders", &err) && slc_keystore_add(store, "other", &err));
    ck_assert(slc_keystore_wrap(store, "orders", secret, edek, &err));
    ck_assert(!slc_keystore_unwrap(store, "other", edek, sizeof edek, back, &err));
    ck_assert_int_eq(err.code, SLC_CORRUPT);
    ck_assert(!slc_keystore_unwrap(store, "nobody", edek, sizeof edek, back, &err));
    ck_assert_int_eq(err.code, SLC_NOT_FOUND);
    for (size_t i = 0; i < sizeof edek; i++) {
        edek[i] ^= 1;
        ck_assert(!slc_keystore_unwrap(store, "orders", edek, sizeof edek, back, &err));
        ck_assert_int_eq(err.code, SLC_CORRUPT);
        edek[i] ^= 1;
    }
    ck_assert(!slc_keystore_unwrap(store, "orders", edek, 63, back, &err));
    ck_assert(slc_keystore_unwrap(store, "orders", edek, sizeof edek, back, &err));
    slc_keystore_free(store);
}
END_TEST

START_TEST(test_what_is_destroyed_is_gone_and_nothing_else)
{
    slc_error err = {0};
    uint8_t secret[32] = {1}, edek[64], other[64], back[32], fixed[64];
    slc_keystore *store = slc_keystore_new();
    ck_assert(slc_keystore_add(store, "orders", &err) && slc_keystore_add(store, "other", &err));
    ck_assert(slc_keystore_wrap(store, "orders", secret, edek, &err));
    ck_assert(slc_keystore_wrap(store, "other", secret, other, &err));
    ck_assert(slc_keystore_destroy(store, "orders", &err));
    save(store);
    slc_keystore_free(store);
    store = load(PASSPHRASE, &err);
    ck_assert_ptr_nonnull(store);
    ck_assert_int_ne(slc_keystore_at(store, 0).destroyed_ms, 0);
    ck_assert(!slc_keystore_unwrap(store, "orders", edek, sizeof edek, back, &err));
    ck_assert_int_eq(err.code, SLC_NOT_FOUND);
    ck_assert(!slc_keystore_fixed(store, "orders", fixed, &err));
    ck_assert(!slc_keystore_wrap(store, "orders", secret, edek, &err));
    ck_assert(!slc_keystore_rotate(store, "orders", &err));
    ck_assert(!slc_keystore_destroy(store, "orders", &err));
    ck_assert(!slc_keystore_add(store, "orders", &err));
    ck_assert_int_eq(err.code, SLC_CONFLICT);
    ck_assert(slc_keystore_unwrap(store, "other", other, sizeof other, back, &err));
    slc_keystore_free(store);
}
END_TEST

START_TEST(test_a_wrong_passphrase_and_a_changed_file_are_refused)
{
    static const char *const changes[][2] = {
        {"\"n\":16384", "\"n\":8192"},
        {"\"p\":5", "\"p\":4"},
        {"\"format\":\"sluice", "\"format\":\"slu1ce"},
        {"\"version\":1", "\"version\":2"},
        {"\"sealed\":\"", "\"sealed\":\"AAAA"},
        {"\"n\":16384", "\"n\":99999999999"},
        {"scrypt", "scryp2"},
        {"\"salt\":\"", "\"salt\":\"0"},
    };
    slc_error err = {0};
    slc_keystore *store = slc_keystore_new();
    ck_assert(slc_keystore_add(store, "orders", &err));
    save(store);
    slc_keystore_free(store);
    ck_assert_ptr_null(load("correct horse batterY", &err));
    ck_assert_int_eq(err.code, SLC_CORRUPT);
    size_t len;
    char *text = slc_file_read(path, 1 << 20, &len, &err);
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        char *at = strstr(text, changes[i][0]);
        ck_assert_msg(at != NULL, "%s in %s", changes[i][0], text);
        char *changed =
            slc_asprintf("%.*s%s%s", (int)(at - text), text, changes[i][1], at + strlen(changes[i][0]));
        ck_assert(slc_file_write_atomic(path, changed, strlen(changed), 0600, &err));
        ck_assert_ptr_null(load(PASSPHRASE, &err));
        free(changed);
    }
    ck_assert(slc_file_write_atomic(path, text, len, 0600, &err));
    store = load(PASSPHRASE, &err);
    ck_assert_ptr_nonnull(store);
    slc_keystore_free(store);
    free(text);
}
END_TEST

START_TEST(test_names_and_passphrases_are_looked_at)
{
    static const char *const bad[] = {"", "a b", "-a", ".a", "a/b", "\xc3\xa9"};
    char longest[300];
    slc_error err = {0};
    slc_keystore *store = slc_keystore_new();
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert(!slc_keystore_add(store, bad[i], &err));
    memset(longest, 'x', sizeof longest);
    longest[256] = '\0';
    ck_assert(!slc_keystore_add(store, longest, &err));
    longest[255] = '\0';
    ck_assert(slc_keystore_add(store, longest, &err));
    ck_assert(!slc_keystore_add(store, longest, &err));
    ck_assert(!slc_keystore_save(store, path, "short", 5, &err));
    slc_keystore_free(store);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("keystore");
    TCase *tcase = tcase_create("keystore");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_keys_survive_the_file);
    tcase_add_test(tcase, test_an_edek_belongs_to_its_kek);
    tcase_add_test(tcase, test_what_is_destroyed_is_gone_and_nothing_else);
    tcase_add_test(tcase, test_a_wrong_passphrase_and_a_changed_file_are_refused);
    tcase_add_test(tcase, test_names_and_passphrases_are_looked_at);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
