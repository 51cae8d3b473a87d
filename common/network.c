#include "common/network.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_MAX    64
#define MAPPED_BITS 96

static void map_v4(const void *v4, uint8_t out[16])
{
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    memcpy(out, mapped, sizeof mapped);
    memcpy(out + 12, v4, 4);
}

/* One to three digits, at most `max`. */
static bool parse_bits(const char *text, unsigned max, unsigned *out)
{
    size_t len = strspn(text, "0123456789");
    if (len == 0 || len > 3 || text[len] != '\0')
        return false;
    *out = (unsigned)strtoul(text, NULL, 10);
    return *out <= max;
}

static bool is_clean(const slc_network *network)
{
    for (unsigned bit = network->bits; bit < 128; bit++)
        if ((network->address[bit / 8] & (0x80u >> bit % 8)) != 0)
            return false;
    return true;
}

bool slc_network_parse(const char *text, slc_network *out)
{
    char host[TEXT_MAX];
    struct in_addr v4;
    const char *slash = strchr(text, '/');
    size_t len = slash != NULL ? (size_t)(slash - text) : strlen(text);
    if (len >= sizeof host)
        return false;
    memcpy(host, text, len);
    host[len] = '\0';
    bool is_v4 = inet_pton(AF_INET, host, &v4) == 1;
    if (is_v4)
        map_v4(&v4, out->address);
    else if (inet_pton(AF_INET6, host, out->address) != 1)
        return false;
    unsigned width = is_v4 ? 32 : 128, bits = width;
    if (slash != NULL && !parse_bits(slash + 1, width, &bits))
        return false;
    out->bits = (uint8_t)(is_v4 ? MAPPED_BITS + bits : bits);
    return is_clean(out);
}

static bool is_mapped(const slc_network *network)
{
    slc_network v4;
    map_v4(network->address + 12, v4.address);
    return memcmp(v4.address, network->address, 16) == 0;
}

void slc_network_subject(const char *address, char out[SLC_NETWORK_SUBJECT])
{
    slc_network network;
    snprintf(out, SLC_NETWORK_SUBJECT, "%s", address);
    if (!slc_network_parse(address, &network))
        return;
    if (is_mapped(&network)) {
        inet_ntop(AF_INET, network.address + 12, out, SLC_NETWORK_SUBJECT);
        return;
    }
    memset(network.address + 8, 0, 8);
    inet_ntop(AF_INET6, network.address, out, SLC_NETWORK_SUBJECT);
    strncat(out, "/64", SLC_NETWORK_SUBJECT - strlen(out) - 1);
}

bool slc_network_contains(const slc_network *network, const struct sockaddr *address)
{
    uint8_t peer[16];
    if (address->sa_family == AF_INET)
        map_v4(&((const struct sockaddr_in *)address)->sin_addr, peer);
    else if (address->sa_family == AF_INET6)
        memcpy(peer, &((const struct sockaddr_in6 *)address)->sin6_addr, sizeof peer);
    else
        return false;
    unsigned whole = network->bits / 8, rest = network->bits % 8;
    if (memcmp(peer, network->address, whole) != 0)
        return false;
    return rest == 0 || ((peer[whole] ^ network->address[whole]) & (0xff00u >> rest & 0xff)) == 0;
}

bool slc_network_within(const slc_network *outer, const slc_network *inner)
{
    unsigned whole = outer->bits / 8, rest = outer->bits % 8;
    return outer->bits <= inner->bits && memcmp(outer->address, inner->address, whole) == 0 &&
           (rest == 0 || (outer->address[whole] ^ inner->address[whole]) >> (8 - rest) == 0);
}
