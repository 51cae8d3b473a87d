/* How many native connections there are by a key: of a listener, and of an address at a listener. One for the
 * process, because the kernel spreads connections unevenly over the workers. A lock is taken when a connection
 * comes and when it goes, and never in between. Any thread. */
#ifndef SLC_DATAPLANE_PROXY_HEADCOUNT_H
#define SLC_DATAPLANE_PROXY_HEADCOUNT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "common/error.h"

typedef struct slc_headcount slc_headcount;
typedef struct slc_head slc_head; /* the count of one key, while it is not 0 */

#define SLC_HEAD_ADDRESS_BYTES 16

slc_headcount *slc_headcount_new(void);
/* Everything must have been given back. */
void slc_headcount_free(slc_headcount *headcount);

/* The part of an address that is one client's: all of an IPv4 address, also of one that IPv6 wraps, and the
 * first 64 bits of an IPv6 address, since a single host may use all that begin with them. False: it is neither.
 */
bool slc_headcount_address(const struct sockaddr_storage *peer, uint8_t out[SLC_HEAD_ADDRESS_BYTES]);

/* One more of a listener (by its id, cut at 40 characters), and of `address` there unless that is NULL. At most
 * `limit` are let in; 0: all are. NULL: there are so many already. */
slc_head *slc_headcount_take(slc_headcount *headcount, const char *listener_id, const uint8_t *address,
                             uint64_t limit) SLC_CHECKED;
/* NULL: nothing was taken. */
void slc_headcount_give(slc_headcount *headcount, slc_head *head);

#endif
