/* What others need to know of encrypt policies. */
#ifndef SLC_DATAPLANE_POLICY_ENCRYPT_H
#define SLC_DATAPLANE_POLICY_ENCRYPT_H

#include <stdbool.h>
#include <stddef.h>

#define SLC_ENCRYPT_RING_MAX 63 /* characters of a key ring's name */

/* The header of records that are encrypted: a version, and what was encrypted ("1 key value"). */
#define SLC_ENCRYPT_HEADER "sluice-encryption"

/* The key ring that a policy's configuration (checked before) names, and whether it names a key. False: it is
 * no such configuration. */
bool slc_encrypt_names(const char *config_json, char name[SLC_ENCRYPT_RING_MAX + 1], bool *has_key);

#endif
