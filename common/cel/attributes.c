#include "common/cel/attributes.h"

#include <string.h>

const slc_cel_variable slc_attributes[SLC_ATTRIBUTES + 1] = {
    [SLC_ATTRIBUTE_PROTOCOL] = {"request.protocol", SLC_CEL_STRING,
                                "`http` or `kafka`; on `kafka` only the attributes of the client, the "
                                "application, the credential, the group and the time are there"},
    [SLC_ATTRIBUTE_METHOD] = {"request.method", SLC_CEL_STRING, "method of HTTP: `GET`, `POST`, ..."},
    [SLC_ATTRIBUTE_PATH] = {"request.path", SLC_CEL_STRING,
                            "path of the URL, as it was sent, without the query"},
    [SLC_ATTRIBUTE_HEADERS] = {"request.headers", SLC_CEL_LOOKUP,
                               "fields of the request, by name in any case; of several, the first"},
    [SLC_ATTRIBUTE_QUERY] = {"request.query", SLC_CEL_LOOKUP, "parameters of the URL's query, decoded"},
    [SLC_ATTRIBUTE_CLIENT_ADDRESS] = {"client.address", SLC_CEL_STRING, "IP address of the client"},
    [SLC_ATTRIBUTE_OPERATION] = {"operation", SLC_CEL_STRING, "`publish` or `read`"},
    [SLC_ATTRIBUTE_STREAM] = {"stream", SLC_CEL_BOOL, "is it a read that stays open?"},
    [SLC_ATTRIBUTE_API_NAME] = {"api.name", SLC_CEL_STRING, "name of the event API"},
    [SLC_ATTRIBUTE_API_VERSION] = {"api.version", SLC_CEL_INT, "its major version"},
    [SLC_ATTRIBUTE_API_LIFECYCLE] = {"api.lifecycle", SLC_CEL_STRING, "`published` or `deprecated`"},
    [SLC_ATTRIBUTE_APPLICATION_ID] = {"application.id", SLC_CEL_STRING, "the application, once authenticated"},
    [SLC_ATTRIBUTE_APPLICATION_NAME] = {"application.name", SLC_CEL_STRING, "its name"},
    [SLC_ATTRIBUTE_APPLICATION_TEAM] = {"application.team", SLC_CEL_STRING, "name of the team that owns it"},
    [SLC_ATTRIBUTE_CREDENTIAL_ID] = {"credential.id", SLC_CEL_STRING, "the credential, once authenticated"},
    [SLC_ATTRIBUTE_CREDENTIAL_EXPIRES] = {"credential.expires", SLC_CEL_TIMESTAMP,
                                          "when it expires; no value if it never does"},
    [SLC_ATTRIBUTE_TOKEN_ISSUER] = {"token.issuer", SLC_CEL_STRING,
                                    "name of the issuer of the request's access token, when that is good"},
    [SLC_ATTRIBUTE_TOKEN_SUBJECT] = {"token.subject", SLC_CEL_STRING,
                                     "its subject (the issuer's `principal_claim`)"},
    [SLC_ATTRIBUTE_TOKEN_GROUPS] = {"token.groups", SLC_CEL_LIST, "its groups (`groups_claim`), at most 64"},
    [SLC_ATTRIBUTE_TOKEN_SCOPES] = {"token.scopes", SLC_CEL_LIST, "its scopes (`scopes_claim`), at most 64"},
    [SLC_ATTRIBUTE_CERTIFICATE_SUBJECT] = {"certificate.subject", SLC_CEL_STRING,
                                           "distinguished name (RFC 2253) in the client's certificate"},
    [SLC_ATTRIBUTE_PLAN_NAME] = {"plan.name", SLC_CEL_STRING,
                                 "the plan that granted the operation; natively that of the only subscription, "
                                 "if there is one alone, as the next two"},
    [SLC_ATTRIBUTE_PLAN_PRODUCT] = {"plan.product", SLC_CEL_STRING, "the product that it belongs to"},
    [SLC_ATTRIBUTE_SUBSCRIPTION_ID] = {"subscription.id", SLC_CEL_STRING, "the subscription to the plan"},
    [SLC_ATTRIBUTE_GROUP_NAME] = {"group.name", SLC_CEL_STRING, "the gateway's group"},
    [SLC_ATTRIBUTE_GROUP_ENVIRONMENT] = {"group.environment", SLC_CEL_STRING, "its environment"},
    [SLC_ATTRIBUTE_TIME] = {"time", SLC_CEL_TIMESTAMP, "when the request is looked at"},
    [SLC_ATTRIBUTES] = {NULL, SLC_CEL_ANY, NULL},
};

slc_cel *slc_condition_compile(const char *text, slc_error *err)
{
    return slc_cel_compile(text, strlen(text), slc_attributes, SLC_CEL_BOOL, err);
}
