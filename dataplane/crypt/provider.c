#include "dataplane/crypt/provider.h"

#include <string.h>

#include "common/crypto.h"

static const slc_key_provider_ops *const providers[] = {&slc_provider_local, &slc_provider_vault,
                                                        &slc_provider_aws};

const slc_key_provider_ops *slc_key_provider_find(const char *name)
{
    for (size_t i = 0; i < sizeof providers / sizeof *providers; i++)
        if (strcmp(providers[i]->name, name) == 0)
            return providers[i];
    return NULL;
}

bool slc_provider_secret(const json_t *object, const char *member, uint8_t *out, size_t len)
{
    const json_t *text = json_object_get(object, member);
    return json_is_string(text) &&
           slc_base64_decode(json_string_value(text), json_string_length(text), out, len) == (long)len;
}
