#include "common/cel/record_attributes.h"

#include <string.h>

#define FOR_ALL         (SLC_RECORD_ATTRIBUTES_OF_RECORD + 6)
#define FOR_APPLICATION (FOR_ALL + 6)

/* Behind those of the record: first what is the same for all who read, then what is for an application. */
static const enum slc_attribute others[SLC_RECORD_ATTRIBUTES - SLC_RECORD_ATTRIBUTES_OF_RECORD] = {
    SLC_ATTRIBUTE_PROTOCOL,
    SLC_ATTRIBUTE_API_NAME,
    SLC_ATTRIBUTE_API_VERSION,
    SLC_ATTRIBUTE_API_LIFECYCLE,
    SLC_ATTRIBUTE_GROUP_NAME,
    SLC_ATTRIBUTE_GROUP_ENVIRONMENT,
    SLC_ATTRIBUTE_APPLICATION_ID,
    SLC_ATTRIBUTE_APPLICATION_NAME,
    SLC_ATTRIBUTE_APPLICATION_TEAM,
    SLC_ATTRIBUTE_PLAN_NAME,
    SLC_ATTRIBUTE_PLAN_PRODUCT,
    SLC_ATTRIBUTE_SUBSCRIPTION_ID,
    SLC_ATTRIBUTE_CLIENT_ADDRESS,
    SLC_ATTRIBUTE_CREDENTIAL_ID,
    SLC_ATTRIBUTE_TOKEN_ISSUER,
    SLC_ATTRIBUTE_TOKEN_SUBJECT,
    SLC_ATTRIBUTE_TOKEN_GROUPS,
    SLC_ATTRIBUTE_TOKEN_SCOPES,
    SLC_ATTRIBUTE_CERTIFICATE_SUBJECT,
    SLC_ATTRIBUTE_CREDENTIAL_EXPIRES,
};

const slc_cel_variable slc_record_attributes[SLC_RECORD_ATTRIBUTES + 1] = {
    [SLC_RECORD_KEY] = {"record.key", SLC_CEL_ANY,
                        "a string, or bytes when it is not UTF-8; no value without a key"},
    [SLC_RECORD_VALUE] =
        {"record.value", SLC_CEL_ANY,
         "the value when it is JSON: members by name, elements by number; whole numbers are int, others "
         "double. No value when it is something else"},
    [SLC_RECORD_HEADERS] =
        {"record.headers", SLC_CEL_LOOKUP,
         "headers by name, byte by byte; of several the last. A string, or bytes; null when it has "
         "no value"},
    [SLC_RECORD_TOMBSTONE] = {"record.tombstone", SLC_CEL_BOOL, "has it no value at all?"},
    [SLC_RECORD_PARTITION] = {"record.partition", SLC_CEL_INT, "its partition"},
    [SLC_RECORD_OFFSET] = {"record.offset", SLC_CEL_INT, "its offset"},
    [SLC_RECORD_TIME] = {"record.time", SLC_CEL_TIMESTAMP, "its timestamp; no value when it has none"},
    {"request.protocol", SLC_CEL_STRING, "`http` or `kafka`"},
    {"api.name", SLC_CEL_STRING, "name of the event API; on `http` alone, as the next two"},
    {"api.version", SLC_CEL_INT, "its major version"},
    {"api.lifecycle", SLC_CEL_STRING, "`published` or `deprecated`"},
    {"group.name", SLC_CEL_STRING, "the gateway's group"},
    {"group.environment", SLC_CEL_STRING, "its environment"},
    {"application.id", SLC_CEL_STRING, "the application that reads"},
    {"application.name", SLC_CEL_STRING, "its name"},
    {"application.team", SLC_CEL_STRING, "name of the team that owns it"},
    {"plan.name", SLC_CEL_STRING,
     "the plan that granted it; natively that of the only subscription, if there is one alone, as the next "
     "two"},
    {"plan.product", SLC_CEL_STRING, "the product that it belongs to"},
    {"subscription.id", SLC_CEL_STRING, "the subscription to the plan"},
    {"client.address", SLC_CEL_STRING, "IP address of the client"},
    {"credential.id", SLC_CEL_STRING, "its credential"},
    {"token.issuer", SLC_CEL_STRING, "name of the issuer of its access token"},
    {"token.subject", SLC_CEL_STRING, "the token's subject"},
    {"token.groups", SLC_CEL_LIST, "its groups"},
    {"token.scopes", SLC_CEL_LIST, "its scopes"},
    {"certificate.subject", SLC_CEL_STRING, "distinguished name in the client's certificate"},
    {"credential.expires", SLC_CEL_TIMESTAMP, "when the credential expires; no value if it never does"},
    {NULL, SLC_CEL_ANY, NULL},
};

enum slc_attribute slc_record_attribute_of(size_t variable)
{
    return others[variable - SLC_RECORD_ATTRIBUTES_OF_RECORD];
}

/* Does it speak of nothing behind the first `count`? */
static bool does_with(const char *text, size_t count)
{
    slc_cel_variable few[SLC_RECORD_ATTRIBUTES + 1];
    slc_error err = {0};
    memcpy(few, slc_record_attributes, count * sizeof *few);
    few[count] = (slc_cel_variable){NULL, SLC_CEL_ANY, NULL};
    slc_cel *cel = slc_cel_compile(text, strlen(text), few, SLC_CEL_BOOL, &err);
    slc_cel_free(cel);
    return cel != NULL;
}

slc_cel *slc_record_expression_compile(const char *text, enum slc_record_readers *readers, slc_error *err)
{
    slc_cel *cel = slc_cel_compile(text, strlen(text), slc_record_attributes, SLC_CEL_BOOL, err);
    if (cel != NULL && readers != NULL)
        *readers = does_with(text, FOR_ALL)           ? SLC_READERS_ALL
                   : does_with(text, FOR_APPLICATION) ? SLC_READERS_APPLICATION
                                                      : SLC_READERS_ONE;
    return cel;
}
