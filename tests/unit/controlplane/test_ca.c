/* The node CA, with a clock that tests move. */
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "../catalog/fixture.h"
#include "common/alloc.h"
#include "common/clock.h"
#include "controlplane/ca/ca.h"
#include "controlplane/ca/x509.h"
#include "dataplane/config/keys.h"

#define DAY_MS  (24 * 3600 * 1000LL)
#define SKEW_MS (10 * 60 * 1000LL)

static int64_t now_ms;
static slc_ca *ca;
static char *key;

static int64_t test_clock(void)
{
    return now_ms;
}

static slc_ca *open_ca(void)
{
    slc_ca_options options = {.server_names = "control.example, 192.0.2.7",
                              .clock = test_clock,
                              .renewal_window_ms = -1,
                              .skew_ms = -1};
    slc_error err;
    slc_ca *opened = slc_ca_open(t_catalog, &options, &err);

    ck_assert_msg(opened != NULL, "%s", err.message);
    return opened;
}

static void setup(void)
{
    now_ms = slc_wall_ms();
    t_setup();
    ca = open_ca();
    key = slc_key_generate();
}

static void teardown(void)
{
    free(key);
    slc_ca_free(ca);
    t_teardown();
}

static char *issue(const char *with)
{
    size_t len;
    slc_ca_leaf leaf;
    slc_error err;
    uint8_t *csr = slc_key_request(with, &len, &err);

    ck_assert_msg(slc_ca_issue(ca, "dev", "0123456789abcdef", csr, len, &leaf, &err), "%s", err.message);
    ck_assert_int_le(llabs(leaf.not_after_ms - now_ms - DAY_MS), 1000);
    ck_assert_uint_eq(strlen(leaf.serial), 32);
    free(csr);
    return leaf.pem;
}

START_TEST(authority_is_the_same_after_a_restart)
{
    uint8_t before[SLC_SHA256_BYTES], after[SLC_SHA256_BYTES];
    char *bundle = slc_ca_bundle(ca, NULL), *again;

    slc_ca_pin(ca, before);
    slc_ca_free(ca);
    t_close();
    t_open();
    ca = open_ca();
    slc_ca_pin(ca, after);
    ck_assert_int_eq(memcmp(before, after, sizeof before), 0);
    again = slc_ca_bundle(ca, NULL);
    ck_assert_str_eq(again, bundle);
    free(again);
    free(bundle);
}
END_TEST

START_TEST(leaf_holds_the_key_the_name_and_little_else)
{
    char *pem = issue(key), uri[200];
    int64_t not_before_ms, not_after_ms;
    slc_error err;
    X509 *leaf = slc_x509_read_cert(pem, &err);

    ck_assert(slc_key_check_certificate(key, pem, &not_before_ms, &not_after_ms, &err));
    ck_assert_int_le(llabs(not_before_ms - now_ms + SKEW_MS), 1000);
    ck_assert(slc_x509_uri(leaf, uri, sizeof uri));
    ck_assert_str_eq(uri, "spiffe://sluice/group/dev/node/0123456789abcdef");
    ck_assert_int_eq(X509_check_ca(leaf), 0);
    ck_assert_int_ne(X509_check_purpose(leaf, X509_PURPOSE_SSL_CLIENT, 0), 0);
    ck_assert_int_eq(X509_check_purpose(leaf, X509_PURPOSE_SSL_SERVER, 0), 0);
    X509_free(leaf);
    free(pem);
}
END_TEST

START_TEST(request_must_be_signed_by_its_key)
{
    size_t len;
    slc_ca_leaf leaf;
    slc_error err;
    uint8_t *csr = slc_key_request(key, &len, &err);

    csr[len - 1] ^= 1;
    ck_assert(!slc_ca_issue(ca, "dev", "n", csr, len, &leaf, &err));
    ck_assert(!slc_ca_issue(ca, "dev", "n", csr, len / 2, &leaf, &err));
    ck_assert(!slc_ca_issue(ca, "dev", "n", csr, 0, &leaf, &err));
    free(csr);
}
END_TEST

static char *pem_of(EVP_PKEY *generated)
{
    char *pem;

    ck_assert_ptr_nonnull(generated);
    pem = slc_x509_key_pem(generated);
    EVP_PKEY_free(generated);
    return pem;
}

START_TEST(weak_keys_are_refused)
{
    char *weak[] = {pem_of(EVP_RSA_gen(1024)), pem_of(EVP_EC_gen("P-224"))};
    char *strong[] = {pem_of(EVP_RSA_gen(2048)), pem_of(EVP_EC_gen("P-384"))};

    for (unsigned i = 0; i < 2; i++) {
        size_t len;
        slc_ca_leaf leaf;
        slc_error err;
        uint8_t *csr = slc_key_request(weak[i], &len, &err);

        ck_assert(!slc_ca_issue(ca, "dev", "n", csr, len, &leaf, &err));
        free(csr);
        free(issue(strong[i]));
        free(weak[i]);
        free(strong[i]);
    }
}
END_TEST

START_TEST(server_shows_its_names_and_the_pinned_authority)
{
    char *chain, *server_key, *client_ca;
    uint8_t pin[SLC_SHA256_BYTES], found[SLC_SHA256_BYTES];
    BIO *bio;
    X509 *leaf, *issuer;

    ck_assert(slc_ca_fetch_server(ca, &chain, &server_key, &client_ca));
    bio = BIO_new_mem_buf(chain, -1);
    leaf = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    issuer = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    ck_assert_ptr_nonnull(issuer);
    ck_assert_int_eq(X509_check_host(leaf, "sluice-control", 0, 0, NULL), 1);
    ck_assert_int_eq(X509_check_host(leaf, "control.example", 0, 0, NULL), 1);
    ck_assert_int_eq(X509_check_ip_asc(leaf, "192.0.2.7", 0), 1);
    slc_x509_pin(issuer, found);
    slc_ca_pin(ca, pin);
    ck_assert_int_eq(memcmp(pin, found, sizeof pin), 0);
    X509_free(leaf);
    X509_free(issuer);
    BIO_free(bio);
    free(chain);
    free(server_key);
    free(client_ca);
}
END_TEST

START_TEST(server_certificate_is_renewed_before_it_ends)
{
    char *chain[3], *server_key, *client_ca;

    for (unsigned i = 0; i < 3; i++) {
        ck_assert(slc_ca_fetch_server(ca, &chain[i], &server_key, &client_ca));
        free(server_key);
        free(client_ca);
        if (i == 1)
            now_ms += 21 * DAY_MS;
    }
    ck_assert_str_eq(chain[0], chain[1]);
    ck_assert_str_ne(chain[1], chain[2]);
    for (unsigned i = 0; i < 3; i++)
        free(chain[i]);
}
END_TEST

static bool renewable(const char *pem)
{
    static const char text[] = "what is signed";
    size_t len;
    slc_error err;
    slc_ca_node node;
    uint8_t *signature = slc_key_sign(key, text, sizeof text, &len, &err);
    bool ok = slc_ca_check_renewal(ca, pem, text, sizeof text, signature, len, &node, &err);

    if (ok) {
        ck_assert_str_eq(node.group, "dev");
        ck_assert_str_eq(node.node_id, "0123456789abcdef");
    }
    free(signature);
    return ok;
}

START_TEST(expired_certificate_renews_for_thirty_days)
{
    char *pem = issue(key);

    ck_assert(renewable(pem));
    now_ms += 30 * DAY_MS;
    ck_assert(renewable(pem));
    now_ms += DAY_MS + 2000;
    ck_assert(!renewable(pem));
    free(pem);
}
END_TEST

static const char *const bad_ids[] = {
    "",
    "spiffe://sluice",
    "spiffe://other/group/dev/node/0123456789abcdef",
    "spiffe://sluice/group/dev/node/",
    "spiffe://sluice/group//node/0123456789abcdef",
    "spiffe://sluice/group/dev/node/0123456789abcdef/more",
    "spiffe://sluice/node/dev/group/0123456789abcdef",
    "https://sluice/group/dev/node/0123456789abcdef",
    "spiffe://sluice/group/dev/node/0123456789abcdef0123456789abcdef",
};

START_TEST(only_nodes_of_the_trust_domain_are_named)
{
    slc_ca_node node;
    slc_error err;

    ck_assert(slc_ca_parse_spiffe(ca, "spiffe://sluice/group/dev/node/0123456789abcdef", &node, &err));
    ck_assert(!slc_ca_parse_spiffe(ca, bad_ids[_i], &node, &err));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ca");
    TCase *tcase = tcase_create("ca");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, authority_is_the_same_after_a_restart);
    tcase_add_test(tcase, leaf_holds_the_key_the_name_and_little_else);
    tcase_add_test(tcase, request_must_be_signed_by_its_key);
    tcase_add_test(tcase, weak_keys_are_refused);
    tcase_add_test(tcase, server_shows_its_names_and_the_pinned_authority);
    tcase_add_test(tcase, server_certificate_is_renewed_before_it_ends);
    tcase_add_test(tcase, expired_certificate_renews_for_thirty_days);
    tcase_add_loop_test(tcase, only_nodes_of_the_trust_domain_are_named, 0,
                        (int)(sizeof bad_ids / sizeof *bad_ids));
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
