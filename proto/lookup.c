#include "proto/lookup.h"

#include <string.h>

#include "common/crypto.h"

#define PREFIX "sha256:"

_Static_assert(sizeof PREFIX - 1 + 2 * SLC_SHA256_BYTES <= SLC_LOOKUP_MAX, "a digest fits");

/* Not tolower: a locale is nobody's business here. */
static void lower(char *text)
{
    for (; *text != '\0'; text++)
        if (*text >= 'A' && *text <= 'Z')
            *text = (char)(*text - 'A' + 'a');
}

void slc_lookup_fold(const char *property, char *name)
{
    char *domain = strcmp(property, "email") == 0 ? strrchr(name, '@') : NULL;
    if (strcmp(property, "dns") == 0)
        lower(name);
    else if (domain != NULL)
        lower(domain);
}

void slc_lookup_key(const char *text, char out[SLC_LOOKUP_MAX + 1])
{
    size_t len = strlen(text);
    uint8_t digest[SLC_SHA256_BYTES];
    if (len <= SLC_LOOKUP_MAX) {
        memcpy(out, text, len + 1);
        return;
    }
    slc_sha256(text, len, digest);
    memcpy(out, PREFIX, sizeof PREFIX - 1);
    slc_hex_encode(digest, sizeof digest, out + sizeof PREFIX - 1);
}
