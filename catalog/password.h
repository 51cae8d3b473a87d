/* Passwords of people: argon2id (RFC 9106) in its encoded form, which carries parameters and salt. Takes time
 * and memory on purpose: not inside a transaction and not on a loop. Any thread. */
#ifndef SLC_CATALOG_PASSWORD_H
#define SLC_CATALOG_PASSWORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

#define SLC_PASSWORD_MAX        1024 /* bytes of a password */
#define SLC_PASSWORD_HASH_CHARS 160

typedef struct slc_password_cost {
    uint32_t memory_kib;
    uint32_t passes;
    uint32_t lanes;
} slc_password_cost;

/* SLC_UNAVAILABLE when there is no memory for it. */
bool slc_password_hash(const slc_password_cost *cost, const char *password, char out[SLC_PASSWORD_HASH_CHARS],
                       slc_error *err) SLC_CHECKED;
/* Is it the one that was hashed? */
bool slc_password_matches(const char *hash, const char *password);
/* Was it hashed at this cost? */
bool slc_password_costs(const char *hash, const slc_password_cost *cost);

#endif
