/* Finding the control plane's CA by its pin. gRPC's C API cannot pin a key, so one plain TLS handshake, in
 * which nothing is sent, learns the CA certificate; gRPC then trusts that one alone. */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "common/settings.h"
#include "dataplane/config/keys.h"

#define MAX_CHAIN 8

/* Waits until the socket is ready or the deadline has passed. */
static bool wait_fd(int fd, short events, int64_t deadline_ms)
{
    struct pollfd pfd = {.fd = fd, .events = events};
    int64_t left;
    int ready;

    do {
        left = deadline_ms - slc_monotonic_ms();
        ready = left > 0 ? poll(&pfd, 1, (int)left) : 0;
    } while (ready < 0 && errno == EINTR);
    return ready > 0;
}

static int connect_one(const struct addrinfo *address, int64_t deadline_ms)
{
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int failure = 0;
    socklen_t size = sizeof(failure);

    if (fd < 0)
        return -1;
    if (connect(fd, address->ai_addr, address->ai_addrlen) != 0 && errno != EINPROGRESS)
        failure = errno;
    else if (!wait_fd(fd, POLLOUT, deadline_ms))
        failure = ETIMEDOUT;
    else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &failure, &size) != 0)
        failure = errno;
    if (failure != 0) {
        close(fd);
        errno = failure;
        return -1;
    }
    return fd;
}

static int dial(const char *endpoint, int64_t deadline_ms, slc_error *err)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
    char host[256], service[8];
    int fd = -1, failure;
    uint16_t port;

    if (!slc_address_split(endpoint, host, sizeof(host), &port, err))
        return -1;
    snprintf(service, sizeof(service), "%u", (unsigned)port);
    failure = getaddrinfo(host, service, &hints, &found);
    if (failure != 0) {
        slc_fail(err, SLC_UNAVAILABLE, NULL, "%s: %s", endpoint, gai_strerror(failure));
        return -1;
    }
    for (struct addrinfo *address = found; address != NULL && fd < 0; address = address->ai_next)
        fd = connect_one(address, deadline_ms);
    if (fd < 0)
        slc_fail(err, SLC_UNAVAILABLE, NULL, "cannot connect to %s: %s", endpoint, strerror(errno));
    freeaddrinfo(found);
    return fd;
}

static bool handshake(SSL *ssl, int fd, const char *endpoint, int64_t deadline_ms, slc_error *err)
{
    int result;

    while ((result = SSL_connect(ssl)) != 1) {
        int why = SSL_get_error(ssl, result);
        short events = why == SSL_ERROR_WANT_READ ? POLLIN : why == SSL_ERROR_WANT_WRITE ? POLLOUT : 0;
        char text[160] = "the peer closed the connection";

        if (events != 0 && wait_fd(fd, events, deadline_ms))
            continue;
        if (events != 0)
            return slc_fail(err, SLC_TIMEOUT, NULL, "the TLS handshake with %s took too long", endpoint);
        if (ERR_peek_error() != 0)
            ERR_error_string_n(ERR_peek_error(), text, sizeof(text));
        return slc_fail(err, SLC_UNAVAILABLE, NULL, "the TLS handshake with %s failed: %s", endpoint, text);
    }
    return true;
}

static bool matches_pin(X509 *certificate, const uint8_t pin[SLC_SHA256_BYTES])
{
    uint8_t digest[SLC_SHA256_BYTES], *der = NULL;
    int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &der);

    if (len <= 0)
        return false;
    slc_sha256(der, (size_t)len, digest);
    OPENSSL_free(der);
    return memcmp(digest, pin, sizeof(digest)) == 0;
}

static int64_t asn1_ms(const ASN1_TIME *time)
{
    struct tm parts;

    return ASN1_TIME_to_tm(time, &parts) == 1 ? (int64_t)timegm(&parts) * 1000 : 0;
}

/* "certificate is not yet valid" would send people to the certificates, when a clock is wrong. */
static bool check_time(X509 *leaf, slc_error *err)
{
    int64_t now_ms = slc_wall_ms(), begin_ms = asn1_ms(X509_get0_notBefore(leaf));
    int64_t end_ms = asn1_ms(X509_get0_notAfter(leaf));
    int64_t off_s = (now_ms < begin_ms ? begin_ms - now_ms : now_ms - end_ms) / 1000;
    char now[SLC_RFC3339_CHARS];

    if (now_ms >= begin_ms && now_ms <= end_ms)
        return true;
    slc_rfc3339_format(now_ms, now);
    return slc_fail(
        err, SLC_DENIED, NULL,
        "the clocks differ: by this node's (%s) the control plane's certificate %s %lld min %lld s %s: "
        "set the clock that is wrong, by NTP for example",
        now, now_ms < begin_ms ? "begins in" : "ended", (long long)(off_s / 60), (long long)(off_s % 60),
        now_ms < begin_ms ? "from now" : "ago");
}

/* Does the CA alone vouch for the leaf, under that name? `chain` may help from the one to the other. */
static bool verify(STACK_OF(X509) * chain, X509 *ca, const char *server_name, slc_error *err)
{
    X509 *leaf = sk_X509_value(chain, 0);
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    X509_VERIFY_PARAM *param;
    bool ok = store != NULL && ctx != NULL && X509_STORE_add_cert(store, ca) == 1 &&
              X509_STORE_CTX_init(ctx, store, leaf, chain) == 1;

    if (ok) {
        param = X509_STORE_CTX_get0_param(ctx);
        X509_VERIFY_PARAM_set_purpose(param, X509_PURPOSE_SSL_SERVER);
        X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_NO_CHECK_TIME); /* check_time says it better */
        ok = X509_VERIFY_PARAM_set1_host(param, server_name, 0) == 1 && X509_verify_cert(ctx) == 1;
    }
    if (!ok)
        slc_fail(err, SLC_DENIED, NULL, "the server's certificate is not good for \"%s\": %s", server_name,
                 ctx != NULL ? X509_verify_cert_error_string(X509_STORE_CTX_get_error(ctx)) : "no memory");
    X509_STORE_CTX_free(ctx);
    X509_STORE_free(store);
    return ok;
}

static char *to_pem(X509 *certificate)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *data = NULL, *pem;
    long len;

    PEM_write_bio_X509(bio, certificate);
    len = BIO_get_mem_data(bio, &data);
    pem = slc_strndup(data, (size_t)len);
    BIO_free(bio);
    return pem;
}

/* During a rotation of the control plane's CA more than one certificate may have the pinned key. */
static char *pinned_ca(SSL *ssl, const slc_join *join, const char *server_name, slc_error *err)
{
    STACK_OF(X509) *chain = SSL_get_peer_cert_chain(ssl); /* borrowed; a client's includes the leaf */
    X509 *ca = NULL;
    bool pinned = false;

    for (int i = 0; chain != NULL && i < sk_X509_num(chain) && i < MAX_CHAIN && ca == NULL; i++) {
        if (!matches_pin(sk_X509_value(chain, i), join->ca_sha256))
            continue;
        pinned = true;
        if (verify(chain, sk_X509_value(chain, i), server_name, err))
            ca = sk_X509_value(chain, i);
    }
    if (!pinned)
        slc_fail(err, SLC_DENIED, NULL,
                 "%s shows no CA with the key that is pinned: it is not the control plane that made the join "
                 "string, or its CA was replaced since: make a new join string",
                 join->endpoint);
    return ca != NULL && check_time(sk_X509_value(chain, 0), err) ? to_pem(ca) : NULL;
}

char *slc_pin_fetch_ca(const slc_join *join, const char *server_name, int64_t timeout_ms, slc_error *err)
{
    static const unsigned char alpn[] = {2, 'h', '2'};
    int64_t deadline_ms = slc_monotonic_ms() + timeout_ms;
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL *ssl = NULL;
    char *pem = NULL;
    int fd = -1;

    ERR_clear_error();
    if (ctx == NULL || (ssl = SSL_new(ctx)) == NULL) {
        slc_fail(err, SLC_INTERNAL, NULL, "TLS cannot be set up");
        goto done;
    }
    SSL_set_verify(ssl, SSL_VERIFY_NONE, NULL); /* the pin decides, once the certificates are seen */
    SSL_set_tlsext_host_name(ssl, server_name);
    SSL_set_alpn_protos(ssl, alpn, sizeof(alpn));
    fd = dial(join->endpoint, deadline_ms, err);
    if (fd < 0 || SSL_set_fd(ssl, fd) != 1 || !handshake(ssl, fd, join->endpoint, deadline_ms, err))
        goto done;
    pem = pinned_ca(ssl, join, server_name, err);
done:
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    if (fd >= 0)
        close(fd);
    ERR_clear_error();
    return pem;
}
