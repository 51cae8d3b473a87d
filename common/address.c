#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "common/settings.h"

static bool fail_address(slc_error *err, const char *address)
{
    return slc_fail(err, SLC_INVALID, NULL, "\"%.100s\" is not HOST:PORT, [IPv6]:PORT or :PORT", address);
}

static bool parse_port(const char *text, uint16_t *port)
{
    unsigned value = 0;
    size_t len = strlen(text);
    if (len < 1 || len > 5 || strspn(text, "0123456789") != len)
        return false;
    for (size_t i = 0; i < len; i++)
        value = value * 10 + (unsigned)(text[i] - '0');
    *port = (uint16_t)value;
    return value <= 65535;
}

/* A DNS name or a dotted IPv4 address; what it means is the resolver's affair. */
static bool is_host_name(const char *host, size_t len)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._";
    return len > 0 && len <= 253 && strspn(host, allowed) >= len;
}

bool slc_address_split(const char *address, char *host, size_t host_size, uint16_t *port, slc_error *err)
{
    const char *start = address;
    host[0] = '\0';
    const char *colon = strrchr(address, ':');
    if (colon == NULL || !parse_port(colon + 1, port))
        return fail_address(err, address);
    size_t len = (size_t)(colon - address);
    bool bracketed = len >= 2 && address[0] == '[' && colon[-1] == ']';
    if (bracketed) {
        start++;
        len -= 2;
    }
    if (len >= host_size)
        return fail_address(err, address);
    memcpy(host, start, len);
    host[len] = '\0';
    struct in6_addr six;
    if (bracketed ? inet_pton(AF_INET6, host, &six) == 1 : len == 0 || is_host_name(host, len))
        return true;
    host[0] = '\0';
    return fail_address(err, address);
}
