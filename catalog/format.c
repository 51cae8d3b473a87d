/* What strings must look like: the same rule as a check here and as a pattern for JSON Schema. */
#include <arpa/inet.h>
#include <ctype.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>

#include "catalog/kind.h"
#include "common/http_text.h"
#include "common/network.h"

#define NAME_PATTERN      "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
#define HOST_PATTERN      "([A-Za-z0-9._-]+|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*)"
#define HOST_PORT_PATTERN "([A-Za-z0-9._-]+|\\[[0-9A-Fa-f:.]+\\]):[1-9][0-9]{0,4}"

static bool all_of(const char *text, size_t len, const char *extra)
{
    for (size_t i = 0; i < len; i++)
        if (!isalnum((unsigned char)text[i]) && (text[i] == '\0' || strchr(extra, text[i]) == NULL))
            return false;
    return true;
}

static bool check_any(const char *text, size_t len)
{
    (void)text;
    (void)len;
    return true;
}

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool check_name(const char *text, size_t len)
{
    if (len == 0 || len > 63 || !is_name_char(text[0]) || !is_name_char(text[len - 1]))
        return false;
    for (size_t i = 0; i < len; i++)
        if (!is_name_char(text[i]) && text[i] != '-')
            return false;
    return true;
}

static bool check_topic(const char *text, size_t len)
{
    if (len == 0 || len > 249 || strcmp(text, ".") == 0 || strcmp(text, "..") == 0)
        return false;
    return all_of(text, len, "._-");
}

static bool check_prefix(const char *text, size_t len)
{
    return len > 0 && all_of(text, len, "._-");
}

static bool check_glob(const char *text, size_t len)
{
    return len > 0 && all_of(text, len, "._-*?");
}

static bool check_port(const char *text, size_t len)
{
    if (len == 0 || len > 5)
        return false;
    for (size_t i = 0; i < len; i++)
        if (!isdigit((unsigned char)text[i]))
            return false;
    long port = strtol(text, NULL, 10);
    return port >= 1 && port <= 65535;
}

static bool is_ipv6(const char *text, size_t len)
{
    char copy[INET6_ADDRSTRLEN];
    struct in6_addr address;
    if (len >= sizeof(copy))
        return false;
    memcpy(copy, text, len);
    copy[len] = '\0';
    return inet_pton(AF_INET6, copy, &address) == 1;
}

static bool is_dns_name(const char *text, size_t len)
{
    if (len == 0 || len > 253 || !all_of(text, len, "._-"))
        return false;
    return text[0] != '.' && text[0] != '-' && memmem(text, len, "..", 2) == NULL;
}

static bool check_host(const char *text, size_t len)
{
    return is_dns_name(text, len) || is_ipv6(text, len);
}

static bool check_host_port(const char *text, size_t len)
{
    const char *colon = memrchr(text, ':', len);
    if (colon == NULL || !check_port(colon + 1, len - (size_t)(colon - text) - 1))
        return false;
    size_t host_len = (size_t)(colon - text);
    if (host_len > 2 && text[0] == '[' && text[host_len - 1] == ']')
        return is_ipv6(text + 1, host_len - 2);
    return is_dns_name(text, host_len);
}

static bool check_address(const char *text, size_t len)
{
    if (len > 1 && text[0] == ':')
        return check_port(text + 1, len - 1);
    return check_host_port(text, len);
}

/* scheme://host[:port][/...] without user, spaces or fragments. */
static bool check_url(const char *text, size_t len)
{
    size_t skip = strncmp(text, "http://", 7) == 0 ? 7 : strncmp(text, "https://", 8) == 0 ? 8 : 0;
    if (skip == 0)
        return false;
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)text[i] <= ' ' || (unsigned char)text[i] >= 0x7f || strchr("\"<>\\^`{|}#@", text[i]))
            return false;
    const char *host = text + skip;
    size_t host_len = strcspn(host, "/?");
    return check_host_port(host, host_len) || is_dns_name(host, host_len) ||
           (host_len > 2 && host[0] == '[' && host[host_len - 1] == ']' && is_ipv6(host + 1, host_len - 2));
}

static bool check_email(const char *text, size_t len)
{
    const char *at = memchr(text, '@', len);
    if (at == NULL || at == text || !all_of(text, (size_t)(at - text), "!#$%&'*+/=?^_`{|}~.-"))
        return false;
    return is_dns_name(at + 1, len - (size_t)(at - text) - 1);
}

static bool check_certs_pem(const char *text, size_t len)
{
    BIO *bio = BIO_new_mem_buf(text, (int)len);
    unsigned count = 0;
    X509 *cert;
    while ((cert = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
        X509_free(cert);
        count++;
    }
    bool clean = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
    ERR_clear_error();
    BIO_free(bio);
    return count > 0 && clean;
}

static int no_passphrase(char *buf, int size, int rwflag, void *arg)
{
    (void)buf;
    (void)size;
    (void)rwflag;
    (void)arg;
    return -1;
}

static bool check_key_pem(const char *text, size_t len)
{
    BIO *bio = BIO_new_mem_buf(text, (int)len);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
    ERR_clear_error();
    bool ok = key != NULL;
    EVP_PKEY_free(key);
    BIO_free(bio);
    return ok;
}

static bool check_permission(const char *text, size_t len)
{
    (void)len;
    return slc_permission_known(text);
}

static bool check_pointer(const char *text, size_t len)
{
    if (len > 0 && text[0] != '/')
        return false;
    for (size_t i = 0; i < len; i++)
        if (text[i] == '~' && text[i + 1] != '0' && text[i + 1] != '1')
            return false;
    return true;
}

static bool check_sha256_hex(const char *text, size_t len)
{
    return len == 64 && strspn(text, "0123456789abcdef") == 64;
}

static bool check_network(const char *text, size_t len)
{
    slc_network network;
    return strlen(text) == len && slc_network_parse(text, &network);
}

static const slc_format formats[SLC_FMT_COUNT] = {
    [SLC_FMT_ANY] = {"text", NULL, check_any},
    [SLC_FMT_NAME] = {"1 to 63 of a-z, 0-9 and '-', not starting or ending with '-'", "^" NAME_PATTERN "$",
                      check_name},
    [SLC_FMT_TOPIC] = {"a Kafka topic name: 1 to 249 of a-z, A-Z, 0-9, '.', '_' and '-', and not '.' or '..'",
                       "^(?!\\.{1,2}$)[a-zA-Z0-9._-]{1,249}$", check_topic},
    [SLC_FMT_PREFIX] = {"the start of a Kafka topic name: a-z, A-Z, 0-9, '.', '_' and '-'", "^[a-zA-Z0-9._-]+$",
                        check_prefix},
    [SLC_FMT_GLOB] = {"a topic name in which * and ? may stand for others", "^[a-zA-Z0-9._*?-]+$", check_glob},
    [SLC_FMT_URL] = {"an http:// or https:// URL", "^https?://[^\\s\"<>\\\\^`{|}#@]+$", check_url},
    [SLC_FMT_HOST] = {"a host name or an IP address", "^" HOST_PATTERN "$", check_host},
    [SLC_FMT_HOST_PORT] = {"host:port with a port from 1 to 65535", "^" HOST_PORT_PATTERN "$", check_host_port},
    [SLC_FMT_ADDRESS] = {"host:port or :port to listen on, with a port from 1 to 65535",
                         "^([A-Za-z0-9._-]+|\\[[0-9A-Fa-f:.]+\\])?:[1-9][0-9]{0,4}$", check_address},
    [SLC_FMT_EMAIL] = {"an email address", "^[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+@[A-Za-z0-9._-]+$", check_email},
    [SLC_FMT_CERTS_PEM] = {"certificates in PEM", NULL, check_certs_pem},
    [SLC_FMT_KEY_PEM] = {"an unencrypted private key in PEM", NULL, check_key_pem},
    [SLC_FMT_PERMISSION] = {"a permission (kind:verb, kind:* or *)", "^(\\*|[a-z-]+:(\\*|[a-z-]+))$",
                            check_permission},
    [SLC_FMT_POINTER] = {"a JSON pointer (RFC 6901)", "^(/([^~/]|~[01])*)*$", check_pointer},
    [SLC_FMT_HEADER] = {"an HTTP field name", "^[A-Za-z0-9!#$%&'*+.^_`|~-]+$", slc_http_is_token},
    [SLC_FMT_SHA256_HEX] = {"64 lower-case hexadecimal digits", "^[0-9a-f]{64}$", check_sha256_hex},
    [SLC_FMT_NETWORK] = {"an IP address, or a network such as 10.0.0.0/8 with no bit set behind its prefix",
                         "^[0-9A-Fa-f:.]+(/[0-9]{1,3})?$", check_network},
    [SLC_FMT_ORIGIN] = {"* or an origin such as https://shop.example",
                        "^(\\*|[A-Za-z][A-Za-z0-9+.-]*://[A-Za-z0-9._:\\[\\]-]+)$", slc_http_is_origin},
    [SLC_FMT_SCOPE] = {"an OAuth scope", "^[!#-\\[\\]-~]+$", slc_oauth_is_scope},
};

const slc_format *slc_format_get(enum slc_format_id id)
{
    return &formats[id];
}
