/* subscription: an application may do what the plans that it subscribes to grant, and nothing else. */
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "dataplane/policy/types.h"

static bool compile(const json_t *config, void **compiled, slc_error *err)
{
    static const char *const known[] = {NULL};
    *compiled = NULL;
    return slc_policy_config_known(config, known, err);
}

static bool plan_grants(const slc_plan *plan, const char *event_api_id,
                        Sluice__Snapshot__V1__Operation operation)
{
    bool has_api = false, has_operation = false;
    for (size_t i = 0; i < plan->msg->n_event_api_ids; i++)
        has_api = has_api || strcmp(plan->msg->event_api_ids[i], event_api_id) == 0;
    for (size_t i = 0; i < plan->msg->n_operations; i++)
        has_operation = has_operation || plan->msg->operations[i] == operation;
    return has_api && has_operation;
}

bool slc_subscription_grant(const slc_snapshot *snapshot, const slc_event_api *api,
                            Sluice__Snapshot__V1__Operation operation, slc_principal *principal)
{
    const Sluice__Snapshot__V1__Application *application =
        slc_snapshot_application(snapshot, principal->application_id);
    int64_t now_ms = slc_wall_ms();
    for (size_t i = 0; application != NULL && i < application->n_subscriptions; i++) {
        const Sluice__Snapshot__V1__Subscription *subscription = application->subscriptions[i];
        const slc_plan *plan = slc_snapshot_plan(snapshot, subscription->plan_id);
        if (subscription->expires_at_ms != 0 && subscription->expires_at_ms <= now_ms)
            continue;
        if (plan == NULL || !plan_grants(plan, api->msg->id, operation))
            continue;
        snprintf(principal->plan_id, sizeof principal->plan_id, "%s", subscription->plan_id);
        snprintf(principal->subscription_id, sizeof principal->subscription_id, "%s", subscription->id);
        if (subscription->expires_at_ms != 0 &&
            (principal->expires_at_ms == 0 || subscription->expires_at_ms < principal->expires_at_ms))
            principal->expires_at_ms = subscription->expires_at_ms;
        return true;
    }
    return false;
}

static enum slc_verdict authorise(void *compiled, slc_policy_request *request, slc_denial *denial)
{
    (void)compiled;
    if (slc_subscription_grant(request->snapshot, request->api, request->operation, request->principal))
        return SLC_ALLOW;
    return slc_deny(
        denial, 403, "not-subscribed", "Not subscribed",
        "The application has no approved subscription whose plan grants this operation.",
        "subscription: application %s has none that grants %s on %s.v%u", request->principal->application_name,
        request->operation == SLUICE__SNAPSHOT__V1__OPERATION__OPERATION_PUBLISH ? "publish" : "read",
        request->api->msg->name, request->api->msg->major);
}

const slc_policy_type slc_policy_subscription = {
    .name = "subscription",
    .summary = "Authorises what the plans of the application's approved subscriptions grant.",
    .config_schema = "{\"type\":\"object\",\"additionalProperties\":false}",
    .compile = compile,
    .authorise = authorise,
};
