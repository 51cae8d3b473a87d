#include "dataplane/policy/condition.h"

#include <stdio.h>
#include <string.h>

#include "common/clock.h"

#define MAX_KEY 256 /* of a header or a parameter that is asked for; no longer one is ever there */

static bool text(const char *value, slc_cel_value *out)
{
    if (value == NULL || value[0] == '\0')
        return false;
    *out = slc_cel_string(value, strlen(value));
    return true;
}

static bool list(const slc_token_names *names, slc_cel_value *out)
{
    *out = (slc_cel_value){.kind = SLC_CEL_LIST, .as.list = {names->values, names->count}};
    return true;
}

/* Unlike an attribute, one that is there may be empty. */
static bool look_up(const char *(*get)(void *protocol, const char *name), void *protocol, const char *key,
                    size_t len, slc_cel_value *value)
{
    char name[MAX_KEY];
    if (len >= sizeof name || memchr(key, '\0', len) != NULL)
        return false;
    memcpy(name, key, len);
    name[len] = '\0';
    const char *found = get(protocol, name);
    if (found != NULL)
        *value = slc_cel_string(found, strlen(found));
    return found != NULL;
}

static bool find_header(void *ctx, const char *key, size_t len, slc_cel_value *value)
{
    const slc_policy_request *request = ctx;
    return look_up(request->header, request->protocol, key, len, value);
}

static bool find_parameter(void *ctx, const char *key, size_t len, slc_cel_value *value)
{
    const slc_policy_request *request = ctx;
    return look_up(request->query, request->protocol, key, len, value);
}

static bool of_request(slc_policy_request *request, enum slc_attribute attribute, slc_cel_value *value)
{
    bool http = request->api != NULL;
    switch (attribute) {
    case SLC_ATTRIBUTE_PROTOCOL:
        return text(http ? "http" : "kafka", value);
    case SLC_ATTRIBUTE_METHOD:
        return text(request->method, value);
    case SLC_ATTRIBUTE_PATH:
        return text(request->path, value);
    case SLC_ATTRIBUTE_HEADERS:
        if (!http)
            return false;
        *value = (slc_cel_value){.kind = SLC_CEL_LOOKUP, .as.lookup = {find_header, request}};
        return true;
    case SLC_ATTRIBUTE_QUERY:
        if (!http)
            return false;
        *value = (slc_cel_value){.kind = SLC_CEL_LOOKUP, .as.lookup = {find_parameter, request}};
        return true;
    case SLC_ATTRIBUTE_CLIENT_ADDRESS:
        return text(request->client_address, value);
    case SLC_ATTRIBUTE_OPERATION:
        return http && text(request->operation == SLUICE__SNAPSHOT__V1__OPERATION__OPERATION_PUBLISH ? "publish"
                                                                                                     : "read",
                            value);
    case SLC_ATTRIBUTE_STREAM:
        *value = slc_cel_bool(request->stream);
        return true;
    case SLC_ATTRIBUTE_API_NAME:
        return http && text(request->api->msg->name, value);
    case SLC_ATTRIBUTE_API_VERSION:
        *value = slc_cel_int(http ? request->api->msg->major : 0);
        return http;
    case SLC_ATTRIBUTE_API_LIFECYCLE:
        return http && text(request->api->msg->lifecycle, value);
    case SLC_ATTRIBUTE_TIME:
        *value = slc_cel_timestamp_ms(slc_wall_ms());
        return true;
    default:
        return false;
    }
}

/* A native session has no one plan that granted it: that of the application's only subscription is meant. */
static const Sluice__Snapshot__V1__Subscription *only_subscription(const slc_policy_request *request)
{
    const Sluice__Snapshot__V1__Subscription *only = NULL;
    const Sluice__Snapshot__V1__Application *application =
        request->api == NULL && request->snapshot != NULL
            ? slc_snapshot_application(request->snapshot, request->principal->application_id)
            : NULL;
    int64_t now_ms = slc_wall_ms();
    for (size_t i = 0; application != NULL && i < application->n_subscriptions; i++) {
        const Sluice__Snapshot__V1__Subscription *subscription = application->subscriptions[i];
        if (subscription->expires_at_ms != 0 && subscription->expires_at_ms <= now_ms)
            continue;
        if (only != NULL)
            return NULL;
        only = subscription;
    }
    return only;
}

static bool of_plan(const slc_policy_request *request, enum slc_attribute attribute, slc_cel_value *value)
{
    const slc_principal *principal = request->principal;
    const char *plan_id = principal->plan_id, *subscription_id = principal->subscription_id;
    const Sluice__Snapshot__V1__Subscription *only = plan_id[0] == '\0' ? only_subscription(request) : NULL;
    if (only != NULL) {
        plan_id = only->plan_id;
        subscription_id = only->id;
    }
    if (attribute == SLC_ATTRIBUTE_SUBSCRIPTION_ID)
        return text(subscription_id, value);
    const slc_plan *plan = plan_id[0] != '\0' ? slc_snapshot_plan(request->snapshot, plan_id) : NULL;
    return plan != NULL &&
           text(attribute == SLC_ATTRIBUTE_PLAN_NAME ? plan->msg->name : plan->msg->product, value);
}

/* What is known of who asks: nothing before authentication, the plan and the subscription once it is granted.
 */
static bool of_principal(const slc_policy_request *request, enum slc_attribute attribute, slc_cel_value *value)
{
    const slc_principal *principal = request->principal;
    const Sluice__Snapshot__V1__Application *application;
    switch (attribute) {
    case SLC_ATTRIBUTE_APPLICATION_ID:
        return text(principal->application_id, value);
    case SLC_ATTRIBUTE_APPLICATION_NAME:
        return text(principal->application_name, value);
    case SLC_ATTRIBUTE_APPLICATION_TEAM:
        application = slc_snapshot_application(request->snapshot, principal->application_id);
        return application != NULL && text(application->team, value);
    case SLC_ATTRIBUTE_CREDENTIAL_ID:
        return text(principal->credential_id, value);
    case SLC_ATTRIBUTE_CREDENTIAL_EXPIRES:
        *value = slc_cel_timestamp_ms(principal->expires_at_ms);
        return principal->authenticated && principal->expires_at_ms != 0 && value->kind == SLC_CEL_TIMESTAMP;
    case SLC_ATTRIBUTE_PLAN_NAME:
    case SLC_ATTRIBUTE_PLAN_PRODUCT:
    case SLC_ATTRIBUTE_SUBSCRIPTION_ID:
        return of_plan(request, attribute, value);
    case SLC_ATTRIBUTE_GROUP_NAME:
        return text(slc_snapshot_group(request->snapshot)->name, value);
    case SLC_ATTRIBUTE_GROUP_ENVIRONMENT:
        return text(slc_snapshot_group(request->snapshot)->environment, value);
    default:
        return false;
    }
}

/* What was brought to prove who asks, once it was found good. */
static bool of_proof(const slc_policy_request *request, enum slc_attribute attribute, slc_cel_value *value)
{
    const slc_token *token =
        request->token != NULL && request->token->state == SLC_TOKEN_GOOD ? request->token : NULL;
    switch (attribute) {
    case SLC_ATTRIBUTE_TOKEN_ISSUER:
        return token != NULL && text(token->issuer, value);
    case SLC_ATTRIBUTE_TOKEN_SUBJECT:
        return token != NULL && text(token->subject, value);
    case SLC_ATTRIBUTE_TOKEN_GROUPS:
        return token != NULL && list(&token->groups, value);
    case SLC_ATTRIBUTE_TOKEN_SCOPES:
        return token != NULL && list(&token->scopes, value);
    case SLC_ATTRIBUTE_CERTIFICATE_SUBJECT:
        return request->certificate != NULL && text(request->certificate->subject, value);
    default:
        return false;
    }
}

bool slc_condition_resolve(slc_policy_request *request, enum slc_attribute attribute, slc_cel_value *value)
{
    return of_request(request, attribute, value) || of_principal(request, attribute, value) ||
           of_proof(request, attribute, value);
}

static bool resolve(void *ctx, size_t variable, slc_cel_value *value)
{
    return slc_condition_resolve(ctx, (enum slc_attribute)variable, value);
}

enum slc_condition_answer slc_condition_ask(const slc_cel *condition, slc_policy_request *request, char *why,
                                            size_t cap)
{
    slc_cel_scratch scratch;
    slc_cel_value value = slc_cel_eval(condition, resolve, request, &scratch);
    if (value.kind == SLC_CEL_BOOL)
        return value.as.boolean ? SLC_CONDITION_TRUE : SLC_CONDITION_FALSE;
    if (value.kind == SLC_CEL_ERROR)
        snprintf(why, cap, "at character %zu: %s", value.as.error.at + 1, value.as.error.message);
    else
        snprintf(why, cap, "it gives a value of kind %s, not of kind bool", slc_cel_kind_name(value.kind));
    return SLC_CONDITION_UNKNOWN;
}
