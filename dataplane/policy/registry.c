/* The list of policy types. A new policy is one file and one line here. */
#include <string.h>

#include "dataplane/policy/types.h"

static const slc_policy_type *const types[] = {
    &slc_policy_cors,
    &slc_policy_key_auth,
    &slc_policy_basic_auth,
    &slc_policy_oidc,
    &slc_policy_mtls,
    &slc_policy_subscription,
    &slc_policy_acl,
    &slc_policy_rate_limit,
    &slc_policy_ip_restriction,
    &slc_policy_request_size,
    &slc_policy_headers,
    &slc_policy_kafka_requests,
    &slc_policy_filter,
    &slc_policy_mask,
    &slc_policy_encrypt,
    &slc_policy_schema,
    NULL,
};

const slc_policy_type *const *slc_policy_types(void)
{
    return types;
}

const slc_policy_type *slc_policy_type_find(const char *name)
{
    for (const slc_policy_type *const *type = types; *type != NULL; type++)
        if (strcmp((*type)->name, name) == 0)
            return *type;
    return NULL;
}
