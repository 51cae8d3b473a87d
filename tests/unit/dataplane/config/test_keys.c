/* Lists of authorities, as a control plane tells them. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "controlplane/ca/x509.h"
#include "dataplane/config/keys.h"

struct authority {
    EVP_PKEY *key;
    X509 *certificate;
    char *pem;
    uint8_t pin[SLC_SHA256_BYTES];
};

static struct authority a, b;
static slc_error err;

static void make(struct authority *authority, const char *name)
{
    slc_x509_spec spec = {
        .common_name = name, .not_before_ms = slc_wall_ms() - 1000, .not_after_ms = slc_wall_ms() + 3600000};

    authority->key = slc_x509_new_key();
    authority->certificate = slc_x509_sign(&spec, authority->key, NULL, authority->key, &err);
    ck_assert_ptr_nonnull(authority->certificate);
    authority->pem = slc_x509_cert_pem(authority->certificate);
    slc_x509_pin(authority->certificate, authority->pin);
}

static void drop(struct authority *authority)
{
    X509_free(authority->certificate);
    EVP_PKEY_free(authority->key);
    free(authority->pem);
}

static void setup(void)
{
    make(&a, "A");
    make(&b, "B");
}

static void teardown(void)
{
    drop(&a);
    drop(&b);
}

static bool fine(char *bundle, const uint8_t *pin)
{
    bool ok = slc_key_check_bundle(bundle, pin, &err);

    ck_assert(ok || err.code == SLC_CORRUPT);
    free(bundle);
    return ok;
}

START_TEST(a_list_must_hold_the_active_authority_and_not_too_many)
{
    char *many = slc_strdup("");

    ck_assert(fine(slc_strdup(a.pem), a.pin));
    ck_assert(fine(slc_asprintf("%s%s", b.pem, a.pem), a.pin));
    ck_assert(!fine(slc_strdup(b.pem), a.pin));
    ck_assert(!fine(slc_strdup(""), a.pin));
    ck_assert(!fine(slc_strdup("no certificate"), a.pin));
    for (unsigned i = 0; i < 9; i++) {
        char *longer = slc_asprintf("%s%s", many, a.pem);

        free(many);
        many = longer;
    }
    ck_assert(!fine(many, a.pin));
}
END_TEST

START_TEST(a_certificate_is_of_whose_key_signed_it)
{
    slc_x509_spec spec = {.common_name = "node",
                          .usage = "clientAuth",
                          .not_before_ms = slc_wall_ms() - 1000,
                          .not_after_ms = slc_wall_ms() + 3600000};
    EVP_PKEY *key = slc_x509_new_key();
    X509 *leaf = slc_x509_sign(&spec, key, a.certificate, a.key, &err);
    char *pem = slc_x509_cert_pem(leaf), *both = slc_asprintf("%s%s", a.pem, b.pem);

    ck_assert(slc_key_issued_by(pem, both, a.pin));
    ck_assert(!slc_key_issued_by(pem, both, b.pin));
    ck_assert(!slc_key_issued_by(pem, b.pem, a.pin)); /* A is not in the list */
    ck_assert(!slc_key_issued_by("", both, a.pin));
    free(pem);
    free(both);
    X509_free(leaf);
    EVP_PKEY_free(key);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("keys");
    TCase *tcase = tcase_create("keys");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_list_must_hold_the_active_authority_and_not_too_many);
    tcase_add_test(tcase, a_certificate_is_of_whose_key_signed_it);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
