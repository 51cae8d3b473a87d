/* What is sent is signed, and where it is sent is looked at. */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/crypto.h"
#include "controlplane/webhooks/sender.h"

/* Standard Webhooks: HMAC-SHA-256 of "id.timestamp.body". */
void slc_webhook_sign(const void *secret, size_t secret_len, const char *id, int64_t timestamp_s,
                      const char *body, char out[SLC_SIGNATURE_CHARS])
{
    uint8_t mac[SLC_SHA256_BYTES];
    char *content = slc_asprintf("%s.%lld.%s", id, (long long)timestamp_s, body);
    slc_hmac_sha256(secret, secret_len, content, strlen(content), mac);
    memcpy(out, "v1,", 3);
    slc_base64_encode(mac, sizeof mac, out + 3);
    free(content);
}

/* RFC 6890: this host, private, shared, link-local (the metadata services of clouds), benchmarking, multicast.
 */
static bool is_private_v4(uint32_t ip)
{
    static const struct {
        uint32_t net, mask;
    } nets[] = {{0x00000000, 0xff000000}, {0x0a000000, 0xff000000}, {0x64400000, 0xffc00000},
                {0x7f000000, 0xff000000}, {0xa9fe0000, 0xffff0000}, {0xac100000, 0xfff00000},
                {0xc0000000, 0xffffff00}, {0xc0a80000, 0xffff0000}, {0xc6120000, 0xfffe0000},
                {0xe0000000, 0xe0000000}};
    for (size_t i = 0; i < sizeof nets / sizeof *nets; i++)
        if ((ip & nets[i].mask) == nets[i].net)
            return true;
    return false;
}

static uint32_t word_at(const struct in6_addr *address, size_t at)
{
    const uint8_t *b = address->s6_addr + at;
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

bool slc_webhook_is_private(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET)
        return is_private_v4(ntohl(((const struct sockaddr_in *)(const void *)address)->sin_addr.s_addr));
    if (address->sa_family != AF_INET6)
        return true; /* sockets of this machine */
    const struct in6_addr *six = &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
    bool nat64 = word_at(six, 0) == 0x0064ff9b;
    if (IN6_IS_ADDR_V4MAPPED(six) || IN6_IS_ADDR_V4COMPAT(six) || nat64)
        return is_private_v4(word_at(six, 12));
    if (six->s6_addr[0] == 0x20 && six->s6_addr[1] == 0x02) /* 6to4 */
        return is_private_v4(word_at(six, 2));
    return (six->s6_addr[0] & 0xe0) != 0x20; /* all but global unicast, 2000::/3 */
}
