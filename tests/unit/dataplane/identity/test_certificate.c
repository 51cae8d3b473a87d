/* Client certificates as credentials match them: a handshake in memory, and what is read of its client. */
#include <check.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/tls.h"
#include "dataplane/identity/certificate.h"
#include "tests/unit/common_rpc/certs.h"

static test_ca *ca;
static slc_tls *tls;
static SSL *server, *client;
static SSL_CTX *client_ctx;
static slc_error err;

static void setup(void)
{
    char *cert, *key;

    ca = test_ca_new("ca");
    test_ca_issue(ca, "server", "DNS:localhost", &cert, &key);
    slc_tls_options options = {.cert_pem = cert, .key_pem = key, .client_ca_pem = test_ca_pem(ca)};
    tls = slc_tls_server_new(&options, &err);
    ck_assert_msg(tls != NULL, "%s", err.message);
    client_ctx = SSL_CTX_new(TLS_client_method());
    free(cert);
    free(key);
}

static void teardown(void)
{
    SSL_free(server);
    SSL_free(client);
    SSL_CTX_free(client_ctx);
    slc_tls_unref(tls);
    test_ca_free(ca);
    server = client = NULL;
}

static void use_certificate(const char *name, const char *san)
{
    char *cert, *key;
    BIO *bio;
    X509 *x509;
    EVP_PKEY *pkey;

    test_ca_issue(ca, name, san, &cert, &key);
    bio = BIO_new_mem_buf(cert, -1);
    x509 = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    ck_assert_int_eq(SSL_CTX_use_certificate(client_ctx, x509), 1);
    BIO_free(bio);
    bio = BIO_new_mem_buf(key, -1);
    pkey = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    ck_assert_int_eq(SSL_CTX_use_PrivateKey(client_ctx, pkey), 1);
    BIO_free(bio);
    X509_free(x509);
    EVP_PKEY_free(pkey);
    free(cert);
    free(key);
}

static void shake_hands(void)
{
    BIO *ours, *theirs;

    server = slc_tls_accept(tls);
    client = SSL_new(client_ctx);
    ck_assert_int_eq(BIO_new_bio_pair(&ours, 0, &theirs, 0), 1);
    SSL_set_bio(server, ours, ours);
    SSL_set_bio(client, theirs, theirs);
    SSL_set_connect_state(client);
    for (int i = 0; i < 20 && (!SSL_is_init_finished(server) || !SSL_is_init_finished(client)); i++) {
        SSL_do_handshake(client);
        SSL_do_handshake(server);
    }
    ck_assert(SSL_is_init_finished(server));
}

static bool has_lookup(const slc_certificate *certificate, const char *lookup)
{
    for (size_t i = 0; i < certificate->lookup_count; i++)
        if (strcmp(certificate->lookups[i], lookup) == 0)
            return true;
    return false;
}

START_TEST(who_brings_none_has_none)
{
    ck_assert_ptr_null(slc_certificate_of(NULL));
    shake_hands();
    ck_assert_ptr_null(slc_certificate_of(server));
}
END_TEST

START_TEST(subject_names_and_fingerprint)
{
    use_certificate("shop", "DNS:Shop.Example,URI:spiffe://example/Shop,email:Shop@Example.org,IP:192.0.2.1");
    shake_hands();
    const slc_certificate *certificate = slc_certificate_of(server);
    ck_assert_ptr_nonnull(certificate);
    ck_assert_ptr_eq(certificate, slc_certificate_of(server)); /* read once */
    ck_assert_str_eq(certificate->subject, "CN=shop");
    ck_assert_uint_eq(certificate->lookup_count, 6);
    ck_assert_int_eq(strncmp(certificate->lookups[0], "cert:sha256:", 12), 0);
    ck_assert_uint_eq(strlen(certificate->lookups[0]), 12 + 64);
    ck_assert(has_lookup(certificate, "cert:subject:CN=shop"));
    ck_assert(has_lookup(certificate, "cert:dns:shop.example"));
    ck_assert(has_lookup(certificate, "cert:uri:spiffe://example/Shop"));
    ck_assert(has_lookup(certificate, "cert:email:Shop@example.org"));
    ck_assert(has_lookup(certificate, "cert:ip:192.0.2.1"));
    static const char *const properties[] = {"fingerprint", "subject", "dns", "uri", "email", "ip"};
    for (size_t i = 0; i < 6; i++)
        ck_assert_str_eq(certificate->properties[i], properties[i]);
    ck_assert_int_gt(certificate->expires_ms, slc_wall_ms());
}
END_TEST

/* As it is written in a credential, with letters beyond ASCII and commas. */
START_TEST(subjects_are_written_as_in_rfc_2253)
{
    use_certificate("Sch\xc3\xb6n, GmbH", NULL);
    shake_hands();
    const slc_certificate *certificate = slc_certificate_of(server);
    ck_assert_str_eq(certificate->subject, "CN=Sch\xc3\xb6n\\, GmbH");
    ck_assert_uint_eq(certificate->lookup_count, 2);
}
END_TEST

/* A name that goes on behind a NUL is not the one before it. */
START_TEST(a_name_with_a_nul_is_nobodys)
{
    use_certificate("shop", "DER:30:10:82:0e:73:68:6f:70:2e:65:78:61:6d:70:6c:65:00:78");
    shake_hands();
    const slc_certificate *certificate = slc_certificate_of(server);
    ck_assert_ptr_nonnull(certificate);
    ck_assert(!has_lookup(certificate, "cert:dns:shop.example"));
    ck_assert_uint_eq(certificate->lookup_count, 2);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("certificate");
    TCase *tcase = tcase_create("certificate");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, who_brings_none_has_none);
    tcase_add_test(tcase, subject_names_and_fingerprint);
    tcase_add_test(tcase, subjects_are_written_as_in_rfc_2253);
    tcase_add_test(tcase, a_name_with_a_nul_is_nobodys);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
