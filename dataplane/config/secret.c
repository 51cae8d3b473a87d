/* Secrets of the configuration, resolved. */
#include "dataplane/config/secret.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/file.h"

static char *from_file(const char *path, size_t *len, slc_error *err)
{
    char *value = slc_file_read(path, SLC_SECRET_MAX_BYTES, len, err);

    if (value == NULL)
        return NULL;
    if (*len > 0 && value[*len - 1] == '\n')
        value[--*len] = '\0';
    return value;
}

static char *from_env(const char *name, size_t *len, slc_error *err)
{
    const char *value = getenv(name);

    if (value == NULL) {
        slc_fail(err, SLC_NOT_FOUND, NULL, "the environment variable %s is not set", name);
        return NULL;
    }
    *len = strlen(value);
    return slc_strdup(value);
}

char *slc_secret_resolve(const Sluice__Snapshot__V1__Secret *secret, size_t *len, slc_error *err)
{
    char *value;

    *len = 0;
    if (secret == NULL) {
        slc_fail(err, SLC_INVALID, NULL, "a secret is missing");
        return NULL;
    }
    switch (secret->source_case) {
    case SLUICE__SNAPSHOT__V1__SECRET__SOURCE_VALUE:
        *len = secret->value.len;
        value = slc_malloc(*len + 1);
        if (*len > 0)
            memcpy(value, secret->value.data, *len);
        value[*len] = '\0';
        return value;
    case SLUICE__SNAPSHOT__V1__SECRET__SOURCE_FILE:
        return from_file(secret->file, len, err);
    case SLUICE__SNAPSHOT__V1__SECRET__SOURCE_ENV:
        return from_env(secret->env, len, err);
    case SLUICE__SNAPSHOT__V1__SECRET__SOURCE__NOT_SET:
    default:
        slc_fail(err, SLC_INVALID, NULL, "a secret is missing");
        return NULL;
    }
}
