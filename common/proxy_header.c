#include "common/proxy_header.h"

#include <netinet/in.h>
#include <string.h>

#define COMMAND_LOCAL 0x20 /* version 2 in the upper half */
#define COMMAND_PROXY 0x21
#define TCP_OVER_IPV4 0x11
#define TCP_OVER_IPV6 0x21
#define IPV4_BYTES    12 /* both addresses, both ports */
#define IPV6_BYTES    36

static const uint8_t signature[12] = {0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a};

bool slc_proxy_header_size(const uint8_t *data, size_t *size, slc_error *err)
{
    if (memcmp(data, "PROXY ", 6) == 0)
        return slc_fail(err, SLC_INVALID, NULL,
                        "the load balancer sends version 1 of the PROXY protocol: set it to version 2");
    if (memcmp(data, signature, sizeof signature) != 0)
        return slc_fail(err, SLC_INVALID, NULL,
                        "the load balancer sends no PROXY protocol header of version 2, which the listener's "
                        "proxy_protocol_from asks of its address");
    *size = SLC_PROXY_HEADER_FIRST + ((size_t)data[14] << 8 | data[15]);
    if (*size > SLC_PROXY_HEADER_MAX)
        return slc_fail(err, SLC_INVALID, NULL, "a PROXY protocol header of %zu bytes; at most %d are taken",
                        *size, SLC_PROXY_HEADER_MAX);
    return true;
}

static void read_ipv4(const uint8_t *data, struct sockaddr_storage *source)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    memcpy(&in.sin_addr, data, 4);
    memcpy(&in.sin_port, data + 8, 2);
    memcpy(source, &in, sizeof in);
}

static void read_ipv6(const uint8_t *data, struct sockaddr_storage *source)
{
    struct sockaddr_in6 in = {.sin6_family = AF_INET6};
    memcpy(&in.sin6_addr, data, 16);
    memcpy(&in.sin6_port, data + 32, 2);
    memcpy(source, &in, sizeof in);
}

bool slc_proxy_header_read(const uint8_t *data, size_t len, bool *told, struct sockaddr_storage *source,
                           slc_error *err)
{
    size_t size = 0;
    *told = false;
    if (len < SLC_PROXY_HEADER_FIRST)
        return slc_fail(err, SLC_INVALID, NULL, "a PROXY protocol header that ends too early");
    if (!slc_proxy_header_size(data, &size, err))
        return false;
    uint8_t command = data[12], family = data[13];
    if (command != COMMAND_LOCAL && command != COMMAND_PROXY)
        return slc_fail(err, SLC_INVALID, NULL, "a PROXY protocol header with version and command 0x%02x",
                        command);
    size_t wanted = family == TCP_OVER_IPV4 ? IPV4_BYTES : family == TCP_OVER_IPV6 ? IPV6_BYTES : 0;
    if (len != size || (command == COMMAND_PROXY && size < SLC_PROXY_HEADER_FIRST + wanted))
        return slc_fail(err, SLC_INVALID, NULL, "a PROXY protocol header that ends too early");
    if (command == COMMAND_LOCAL || wanted == 0)
        return true;
    *told = true;
    if (family == TCP_OVER_IPV4)
        read_ipv4(data + SLC_PROXY_HEADER_FIRST, source);
    else
        read_ipv6(data + SLC_PROXY_HEADER_FIRST, source);
    return true;
}
