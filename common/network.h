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

#define SLC_NETWORK_SUBJECT 48
/* Whom an address is counted as: IPv4 in one spelling, also as IPv6 wraps it; of IPv6 the network of 64 bits,
 * which is one customer's, who may have any address in it. What is no address stays as it is, cut to fit. */
void slc_network_subject(const char *address, char out[SLC_NETWORK_SUBJECT]);

/* Is the address in the network? False for what is no IP address. */
bool slc_network_contains(const slc_network *network, const struct sockaddr *address);
/* Is all of `inner`, an address or a smaller network, in `outer`? */
bool slc_network_within(const slc_network *outer, const slc_network *inner);

#endif
