/* The header that a load balancer puts before a connection's own bytes to say whose it is: PROXY protocol,
 * version 2 (haproxy's doc/proxy-protocol.txt, section 2.2). Version 1, which is text, is not taken. */
#ifndef SLC_COMMON_PROXY_HEADER_H
#define SLC_COMMON_PROXY_HEADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "common/error.h"

#define SLC_PROXY_HEADER_FIRST 16   /* bytes that tell the size of the whole */
#define SLC_PROXY_HEADER_MAX   4096 /* of the whole, with whatever the balancer adds */

/* From the first SLC_PROXY_HEADER_FIRST bytes: how many there are in all. False for what is no header of
 * version 2, or one that is too large (SLC_INVALID). */
bool slc_proxy_header_size(const uint8_t *data, size_t *size, slc_error *err) SLC_CHECKED;

/* A whole header. `*told` says whether it names the client, whose address goes to `source`; it does not when
 * the balancer speaks for itself (LOCAL) or of something else than TCP over IP. What it adds is ignored. */
bool slc_proxy_header_read(const uint8_t *data, size_t len, bool *told, struct sockaddr_storage *source,
                           slc_error *err) SLC_CHECKED;

#endif
