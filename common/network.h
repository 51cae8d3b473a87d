/* Ranges of IP addresses in CIDR notation (RFC 4632, RFC 4291 section 2.3). Any thread. */
#ifndef SLC_COMMON_NETWORK_H
#define SLC_COMMON_NETWORK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/* IPv4 is kept as IPv4-mapped IPv6, so that a dual-stack socket's peers compare. */
typedef struct slc_network {
    uint8_t address[16];
    uint8_t bits; /* of the prefix, 0 to 128 */
} slc_network;

/* "10.0.0.0/8", "2001:db8::/32", or one address. False for anything else, also when a bit is set behind the
 * prefix: "10.1.0.0/8" is more likely a mistake than a wish. */
bool slc_network_parse(const char *text, slc_network *out) __attribute__((warn_unused_result));

/* Is the address in the network? False for what is no IP address. */
bool slc_network_contains(const slc_network *network, const struct sockaddr *address);
/* Is all of `inner`, an address or a smaller network, in `outer`? */
bool slc_network_within(const slc_network *outer, const slc_network *inner);

#endif
