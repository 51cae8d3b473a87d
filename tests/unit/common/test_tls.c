#include "common/tls.h"

#include <openssl/err.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/file.h"
#include "tests/unit/common/certificate.h"
#include "tests/unit/common/unit.h"

#define YEAR_S (365L * 24 * 3600)

static slc_error err;

/* What a client has to say in a handshake. */
struct client {
    int max_version; /* 0: any */
    const char *alpn;
    size_t alpn_len;
    const struct certificate *certificate;
};

static SSL *client_new(const struct client *options)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    if (options->max_version != 0)
        SSL_CTX_set_max_proto_version(ctx, options->max_version);
    if (options->certificate != NULL) {
        SSL_CTX_use_certificate(ctx, options->certificate->cert);
        SSL_CTX_use_PrivateKey(ctx, options->certificate->key);
    }
    SSL *ssl = SSL_new(ctx);
    if (options->alpn != NULL)
        SSL_set_alpn_protos(ssl, (const unsigned char *)options->alpn, (unsigned)options->alpn_len);
    SSL_set_connect_state(ssl);
    SSL_CTX_free(ctx);
    return ssl;
}

/* Both ends in one thread, over two memory BIOs. */
static bool shake_hands(SSL *client, SSL *server)
{
    BIO *one, *other;
    BIO_new_bio_pair(&one, 0, &other, 0);
    SSL_set_bio(client, one, one);
    SSL_set_bio(server, other, other);
    for (int i = 0; i < 20; i++) {
        int c = SSL_do_handshake(client), s = SSL_do_handshake(server);
        if (c == 1 && s == 1)
            return true;
        if ((c != 1 && SSL_get_error(client, c) == SSL_ERROR_SSL) ||
            (s != 1 && SSL_get_error(server, s) == SSL_ERROR_SSL))
            break;
    }
    ERR_clear_error();
    return false;
}

/* Shakes hands; on success `name` gets the server's common name and `alpn` the protocol. */
static bool try_client(slc_tls *tls, const struct client *options, char name[64], char alpn[32])
{
    SSL *client = client_new(options), *server = slc_tls_accept(tls);
    bool ok = shake_hands(client, server);
    if (ok) {
        X509 *cert = SSL_get1_peer_certificate(client);
        X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName, name, 64);
        X509_free(cert);
        const unsigned char *protocol;
        unsigned len;
        SSL_get0_alpn_selected(client, &protocol, &len);
        snprintf(alpn, 32, "%.*s", (int)len, len > 0 ? (const char *)protocol : "");
    }
    SSL_free(client);
    SSL_free(server);
    return ok;
}

static struct certificate server, other, client_ca, client_cert;
static char name[64], alpn[32];

static void make_certificates(void)
{
    certificate_make(&server, "server", -60, YEAR_S, NULL);
    certificate_make(&other, "other", -60, YEAR_S, NULL);
    certificate_make(&client_ca, "client-ca", -60, YEAR_S, NULL);
    certificate_make(&client_cert, "client", -60, YEAR_S, &client_ca);
}

static void release_certificates(void)
{
    certificate_release(&server);
    certificate_release(&other);
    certificate_release(&client_ca);
    certificate_release(&client_cert);
}

START_TEST(a_handshake_gives_the_certificate_and_the_preferred_protocol)
{
    make_certificates();
    slc_tls_options options = {.cert_pem = server.cert_pem, .key_pem = server.key_pem, .alpn = "h2,http/1.1"};
    slc_tls *tls = slc_tls_server_new(&options, &err);
    ck_assert_msg(tls != NULL, "%s", err.message);
    ck_assert(try_client(tls, &(struct client){.alpn = "\x08http/1.1\x02h2", .alpn_len = 12}, name, alpn));
    ck_assert_str_eq(name, "server");
    ck_assert_str_eq(alpn, "h2");
    ck_assert(try_client(tls, &(struct client){.alpn = "\x08http/1.1", .alpn_len = 9}, name, alpn));
    ck_assert_str_eq(alpn, "http/1.1");
    ck_assert(try_client(tls, &(struct client){.alpn = "\x05other", .alpn_len = 6}, name, alpn));
    ck_assert_str_eq(alpn, "");
    ck_assert(try_client(tls, &(struct client){.max_version = TLS1_2_VERSION}, name, alpn));
    ck_assert(!try_client(tls, &(struct client){.max_version = TLS1_1_VERSION}, name, alpn));
    slc_tls_unref(tls);
    options.min_version = "1.3";
    tls = slc_tls_server_new(&options, &err);
    ck_assert(!try_client(tls, &(struct client){.max_version = TLS1_2_VERSION}, name, alpn));
    ck_assert(try_client(tls, &(struct client){0}, name, alpn));
    slc_tls_unref(slc_tls_ref(tls));
    slc_tls_unref(tls);
    slc_tls_unref(NULL);
    release_certificates();
}
END_TEST

START_TEST(client_certificates_are_verified)
{
    make_certificates();
    slc_tls_options options = {.cert_pem = server.cert_pem,
                               .key_pem = server.key_pem,
                               .client_ca_pem = client_ca.cert_pem,
                               .client_cert_required = true};
    slc_tls *tls = slc_tls_server_new(&options, &err);
    ck_assert_msg(tls != NULL, "%s", err.message);
    ck_assert(try_client(tls, &(struct client){.certificate = &client_cert}, name, alpn));
    /* In TLS 1.3 the client has finished before the server looks at its certificate. */
    ck_assert(!try_client(tls, &(struct client){.max_version = TLS1_2_VERSION}, name, alpn));
    ck_assert(!try_client(tls, &(struct client){0}, name, alpn));
    ck_assert(!try_client(tls, &(struct client){.certificate = &other}, name, alpn));
    slc_tls_unref(tls);
    options.client_cert_required = false;
    tls = slc_tls_server_new(&options, &err);
    ck_assert(try_client(tls, &(struct client){0}, name, alpn));
    ck_assert(!try_client(tls, &(struct client){.certificate = &other}, name, alpn));
    slc_tls_unref(tls);
    release_certificates();
}
END_TEST

static void refuse(const slc_tls_options *options, const char *message_part)
{
    ck_assert_ptr_null(slc_tls_server_new(options, &err));
    ck_assert_msg(strstr(err.message, message_part) != NULL, "%s", err.message);
}

START_TEST(bad_options_are_named)
{
    make_certificates();
    const char *cert = server.cert_pem, *key = server.key_pem;
    char *torn = slc_asprintf("%s-----BEGIN CERTIFICATE-----\nxxxx\n-----END CERTIFICATE-----\n", cert);
    refuse(&(slc_tls_options){.key_pem = key}, "no TLS certificate is configured");
    refuse(&(slc_tls_options){.cert_pem = cert}, "no TLS private key is configured");
    refuse(&(slc_tls_options){.cert_pem = cert, .key_pem = other.key_pem}, "does not match");
    refuse(&(slc_tls_options){.cert_pem = "x", .key_pem = key}, "no usable certificate");
    refuse(&(slc_tls_options){.cert_pem = torn, .key_pem = key}, "bad certificate chain");
    refuse(&(slc_tls_options){.cert_pem = cert, .key_pem = cert}, "no usable private key");
    refuse(&(slc_tls_options){.cert_file = "/no/such/cert.pem", .key_pem = key}, "/no/such/cert.pem");
    refuse(&(slc_tls_options){.cert_pem = cert, .key_pem = key, .min_version = "1.1"}, "\"1.1\" is neither");
    refuse(&(slc_tls_options){.cert_pem = cert, .key_pem = key, .alpn = "h2,,x"}, "ALPN");
    refuse(&(slc_tls_options){.cert_pem = cert, .key_pem = key, .client_cert_required = true}, "no client CA");
    refuse(&(slc_tls_options){.cert_pem = cert, .key_pem = key, .client_ca_pem = "x"}, "client CA");
    free(torn);
    release_certificates();
}
END_TEST

START_TEST(an_expired_certificate_is_served_with_a_warning)
{
    struct certificate expired;
    certificate_make(&expired, "expired", -YEAR_S, -60, NULL);
    slc_tls_options options = {.cert_pem = expired.cert_pem, .key_pem = expired.key_pem};
    slc_tls *tls = slc_tls_server_new(&options, &err);
    ck_assert_msg(tls != NULL, "%s", err.message);
    slc_tls_unref(tls);
    certificate_release(&expired);
}
END_TEST

static char dir[] = "/tmp/slc-test-tls-XXXXXX";
static char *cert_file, *key_file;

static void write_files(const struct certificate *certificate)
{
    ck_assert(
        slc_file_write_atomic(cert_file, certificate->cert_pem, strlen(certificate->cert_pem), 0600, &err));
    ck_assert(slc_file_write_atomic(key_file, certificate->key_pem, strlen(certificate->key_pem), 0600, &err));
}

static slc_tls *tls_from_files(void)
{
    ck_assert_ptr_nonnull(mkdtemp(dir));
    cert_file = slc_asprintf("%s/cert.pem", dir);
    key_file = slc_asprintf("%s/key.pem", dir);
    write_files(&server);
    slc_tls_options options = {.cert_file = cert_file, .key_file = key_file};
    slc_tls *tls = slc_tls_server_new(&options, &err);
    ck_assert_msg(tls != NULL, "%s", err.message);
    return tls;
}

static void remove_files(void)
{
    unlink(cert_file);
    unlink(key_file);
    rmdir(dir);
    free(cert_file);
    free(key_file);
}

START_TEST(a_reload_serves_new_connections_and_keeps_live_ones)
{
    make_certificates();
    slc_tls *tls = tls_from_files();
    SSL *live_client = client_new(&(struct client){0}), *live_server = slc_tls_accept(tls);
    ck_assert(shake_hands(live_client, live_server));

    write_files(&other);
    ck_assert(slc_tls_reload(tls, &err));
    ck_assert(try_client(tls, &(struct client){0}, name, alpn));
    ck_assert_str_eq(name, "other");
    char byte;
    ck_assert_int_eq(SSL_write(live_server, "x", 1), 1);
    ck_assert_int_eq(SSL_read(live_client, &byte, 1), 1);

    ck_assert(slc_file_write_atomic(key_file, "broken", 6, 0600, &err));
    ck_assert(!slc_tls_reload(tls, &err));
    ck_assert_ptr_nonnull(strstr(err.message, key_file));
    ck_assert(try_client(tls, &(struct client){0}, name, alpn));
    ck_assert_str_eq(name, "other");
    SSL_free(live_client);
    SSL_free(live_server);
    slc_tls_unref(tls);
    remove_files();
    release_certificates();
}
END_TEST

static void *accept_many(void *arg)
{
    char n[64], a[32];
    for (int i = 0; i < 50; i++)
        ck_assert(try_client(arg, &(struct client){0}, n, a));
    return NULL;
}

/* The new one's protocols go along, though the new one itself is gone. */
START_TEST(an_adopted_context_outlives_what_it_was_made_for)
{
    make_certificates();
    slc_tls_options options = {.cert_pem = server.cert_pem, .key_pem = server.key_pem, .alpn = "http/1.1"};
    slc_tls *tls = slc_tls_server_new(&options, &err);
    options.cert_pem = other.cert_pem;
    options.key_pem = other.key_pem;
    options.alpn = "h2,http/1.1";
    slc_tls *fresh = slc_tls_server_new(&options, &err);
    ck_assert(tls != NULL && fresh != NULL);
    slc_tls_adopt(tls, fresh);
    slc_tls_unref(fresh);
    ck_assert(try_client(tls, &(struct client){.alpn = "\x08http/1.1\x02h2", .alpn_len = 12}, name, alpn));
    ck_assert_str_eq(name, "other");
    ck_assert_str_eq(alpn, "h2");
    slc_tls_unref(tls);
    release_certificates();
}
END_TEST

START_TEST(a_reload_may_run_beside_handshakes)
{
    make_certificates();
    slc_tls *tls = tls_from_files();
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        pthread_create(&threads[i], NULL, accept_many, tls);
    for (int i = 0; i < 50; i++)
        ck_assert(slc_tls_reload(tls, &err));
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    slc_tls_unref(tls);
    remove_files();
    release_certificates();
}
END_TEST

UNIT_MAIN("tls", a_handshake_gives_the_certificate_and_the_preferred_protocol, client_certificates_are_verified,
          bad_options_are_named, an_expired_certificate_is_served_with_a_warning,
          a_reload_serves_new_connections_and_keeps_live_ones, an_adopted_context_outlives_what_it_was_made_for,
          a_reload_may_run_beside_handshakes)
