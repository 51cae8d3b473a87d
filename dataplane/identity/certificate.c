#include "dataplane/identity/certificate.h"

#include <arpa/inet.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/crypto.h"

static int ssl_index;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void free_certificate(void *parent, void *certificate, CRYPTO_EX_DATA *data, int index, long argl,
                             void *argp)
{
    (void)parent, (void)data, (void)index, (void)argl, (void)argp;
    free(certificate);
}

static void make_index(void)
{
    ssl_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, free_certificate);
    SLC_BUG_ON(ssl_index < 0);
}

/* `text` is folded in place. */
static void add_lookup(slc_certificate *out, const char *property, const char *kind, char *text)
{
    if (text[0] == '\0' || out->lookup_count == sizeof out->lookups / sizeof *out->lookups)
        return;
    slc_lookup_fold(property, text);
    char *key = slc_asprintf("cert:%s:%s", kind, text);
    out->properties[out->lookup_count] = property;
    slc_lookup_key(key, out->lookups[out->lookup_count++]);
    free(key);
}

static void take_fingerprint(X509 *certificate, slc_certificate *out)
{
    uint8_t digest[SLC_SHA256_BYTES];
    char hex[2 * SLC_SHA256_BYTES + 1];
    unsigned len = 0;
    if (X509_digest(certificate, EVP_sha256(), digest, &len) != 1 || len != sizeof digest)
        return;
    slc_hex_encode(digest, sizeof digest, hex);
    add_lookup(out, "fingerprint", "sha256", hex);
}

/* A name that holds a NUL is nobody's: what is before it is somebody else's. */
static void add_name(slc_certificate *out, const char *property, const char *value, size_t len)
{
    if (len == 0 || memchr(value, '\0', len) != NULL)
        return;
    char *text = slc_strndup(value, len);
    add_lookup(out, property, property, text);
    free(text);
}

/* RFC 2253 as Java writes it: letters beyond ASCII stay as they are. */
static void take_subject(X509 *certificate, slc_certificate *out)
{
    unsigned long flags = XN_FLAG_RFC2253 & ~(unsigned long)ASN1_STRFLGS_ESC_MSB;
    BIO *bio = BIO_new(BIO_s_mem());
    char *text;
    if (bio != NULL && X509_NAME_print_ex(bio, X509_get_subject_name(certificate), 0, flags) >= 0) {
        long len = BIO_get_mem_data(bio, &text);
        add_name(out, "subject", text, len > 0 ? (size_t)len : 0);
        snprintf(out->subject, sizeof out->subject, "%.*s", (int)len, len > 0 ? text : "");
    }
    BIO_free(bio);
}

static void add_address(slc_certificate *out, const ASN1_OCTET_STRING *address)
{
    char text[INET6_ADDRSTRLEN];
    int len = ASN1_STRING_length(address);
    if ((len == 4 || len == 16) &&
        inet_ntop(len == 4 ? AF_INET : AF_INET6, ASN1_STRING_get0_data(address), text, sizeof text) != NULL)
        add_name(out, "ip", text, strlen(text));
}

static void take_alternative_names(X509 *certificate, slc_certificate *out)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        const char *property = name->type == GEN_DNS     ? "dns"
                               : name->type == GEN_URI   ? "uri"
                               : name->type == GEN_EMAIL ? "email"
                                                         : NULL;
        if (name->type == GEN_IPADD)
            add_address(out, name->d.iPAddress);
        else if (property != NULL)
            add_name(out, property, (const char *)ASN1_STRING_get0_data(name->d.ia5),
                     (size_t)ASN1_STRING_length(name->d.ia5));
    }
    GENERAL_NAMES_free(names);
}

static int64_t expiry_of(X509 *certificate)
{
    struct tm tm;
    if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &tm) != 1)
        return 1; /* long ago */
    return (int64_t)timegm(&tm) * 1000;
}

const slc_certificate *slc_certificate_of(SSL *ssl)
{
    X509 *certificate = ssl != NULL ? SSL_get0_peer_certificate(ssl) : NULL;
    if (certificate == NULL || SSL_get_verify_result(ssl) != X509_V_OK)
        return NULL;
    pthread_once(&once, make_index);
    slc_certificate *out = SSL_get_ex_data(ssl, ssl_index);
    if (out != NULL)
        return out;
    out = slc_calloc(1, sizeof *out);
    out->expires_ms = expiry_of(certificate);
    take_fingerprint(certificate, out);
    take_subject(certificate, out);
    take_alternative_names(certificate, out);
    SLC_BUG_ON(SSL_set_ex_data(ssl, ssl_index, out) != 1);
    return out;
}
