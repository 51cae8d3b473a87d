/* What the conditions of policies may speak of. One table, by which the control plane checks them, the gateway
 * evaluates them and the documentation lists them. */
#ifndef SLC_COMMON_CEL_ATTRIBUTES_H
#define SLC_COMMON_CEL_ATTRIBUTES_H

#include "common/cel/cel.h"

/* In the order of slc_attributes. */
enum slc_attribute {
    SLC_ATTRIBUTE_PROTOCOL,
    SLC_ATTRIBUTE_METHOD,
    SLC_ATTRIBUTE_PATH,
    SLC_ATTRIBUTE_HEADERS,
    SLC_ATTRIBUTE_QUERY,
    SLC_ATTRIBUTE_CLIENT_ADDRESS,
    SLC_ATTRIBUTE_OPERATION,
    SLC_ATTRIBUTE_STREAM,
    SLC_ATTRIBUTE_API_NAME,
    SLC_ATTRIBUTE_API_VERSION,
    SLC_ATTRIBUTE_API_LIFECYCLE,
    SLC_ATTRIBUTE_APPLICATION_ID,
    SLC_ATTRIBUTE_APPLICATION_NAME,
    SLC_ATTRIBUTE_APPLICATION_TEAM,
    SLC_ATTRIBUTE_CREDENTIAL_ID,
    SLC_ATTRIBUTE_CREDENTIAL_EXPIRES,
    SLC_ATTRIBUTE_TOKEN_ISSUER,
    SLC_ATTRIBUTE_TOKEN_SUBJECT,
    SLC_ATTRIBUTE_TOKEN_GROUPS,
    SLC_ATTRIBUTE_TOKEN_SCOPES,
    SLC_ATTRIBUTE_CERTIFICATE_SUBJECT,
    SLC_ATTRIBUTE_PLAN_NAME,
    SLC_ATTRIBUTE_PLAN_PRODUCT,
    SLC_ATTRIBUTE_SUBSCRIPTION_ID,
    SLC_ATTRIBUTE_GROUP_NAME,
    SLC_ATTRIBUTE_GROUP_ENVIRONMENT,
    SLC_ATTRIBUTE_TIME,
    SLC_ATTRIBUTES,
};

extern const slc_cel_variable slc_attributes[SLC_ATTRIBUTES + 1];

/* A condition: an expression over slc_attributes that gives a bool. NULL with err (no field). */
slc_cel *slc_condition_compile(const char *text, slc_error *err) SLC_CHECKED;

#endif
