#include "catalog/password.h"

#include <argon2.h>
#include <stdio.h>
#include <string.h>

#include "common/assert.h"
#include "common/crypto.h"

#define SALT_BYTES 16
#define HASH_BYTES 32

bool slc_password_hash(const slc_password_cost *cost, const char *password, char out[SLC_PASSWORD_HASH_CHARS],
                       slc_error *err)
{
    uint8_t salt[SALT_BYTES];
    slc_random(salt, sizeof(salt));
    int rc = argon2id_hash_encoded(cost->passes, cost->memory_kib, cost->lanes, password, strlen(password),
                                   salt, sizeof(salt), HASH_BYTES, out, SLC_PASSWORD_HASH_CHARS);
    if (rc == ARGON2_MEMORY_ALLOCATION_ERROR)
        return slc_fail(err, SLC_UNAVAILABLE, NULL,
                        "there is no memory to hash a password: try again, or lower portal-password.memory");
    if (rc != ARGON2_OK)
        return slc_fail(err, SLC_INVALID, NULL, "the password cannot be hashed: %s", argon2_error_message(rc));
    return true;
}

bool slc_password_matches(const char *hash, const char *password)
{
    return argon2id_verify(hash, password, strlen(password)) == ARGON2_OK;
}

bool slc_password_costs(const char *hash, const slc_password_cost *cost)
{
    char start[80];
    int len = snprintf(start, sizeof(start), "$argon2id$v=%d$m=%u,t=%u,p=%u$", (int)ARGON2_VERSION_NUMBER,
                       cost->memory_kib, cost->passes, cost->lanes);
    return strncmp(hash, start, (size_t)len) == 0;
}
