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
    if (slc_subscription_grant(request->snapshot, request->api, request->operation, request->principal)) {
        slc_policy_why(request, "subscription %s grants it", request->principal->subscription_id);
        return SLC_ALLOW;
    }
    return slc_deny(
        denial, 403, "not-subscribed", "Not subscribed",
        "The application has no approved subscription whose plan grants this operation.",
        "subscription: application %s has none that grants %s on %s.v%u", request->principal->application_name,
        request->operation == SLUICE__SNAPSHOT__V1__OPERATION__OPERATION_PUBLISH ? "publish" : "read",
        request->api->msg->name, request->api->msg->major);
}

/* ---- native Kafka ---- */

/* Does the plan's operation bring Kafka's? As there, who may read or write may describe. */
static bool brings(const slc_plan *plan, enum slc_operation operation)
{
    for (size_t i = 0; i < plan->msg->n_operations; i++) {
        bool publish = plan->msg->operations[i] == SLUICE__SNAPSHOT__V1__OPERATION__OPERATION_PUBLISH;
        if (operation == SLC_OP_DESCRIBE || operation == (publish ? SLC_OP_WRITE : SLC_OP_READ))
            return true;
    }
    return false;
}

static bool grants_topic(const slc_access_question *question, const slc_plan *plan)
{
    for (size_t i = 0; i < plan->msg->n_event_api_ids; i++) {
        const slc_event_api *api =
            slc_snapshot_event_api_by_id(question->request->snapshot, plan->msg->event_api_ids[i]);
        if (api == NULL || !slc_event_api_exposes(api, "kafka") ||
            strcmp(api->msg->virtual_cluster_id, question->vcluster->msg->id) != 0)
            continue;
        if (question->names == SLC_GUARD_SOME || (strlen(api->msg->topic) == question->len &&
                                                  memcmp(api->msg->topic, question->name, question->len) == 0))
            return true;
    }
    return false;
}

/* A topic of a plan that the application subscribes to, or any such topic. */
static bool has_topic(const slc_access_question *question, enum slc_operation operation)
{
    const slc_snapshot *snapshot = question->request->snapshot;
    const Sluice__Snapshot__V1__Application *application =
        slc_snapshot_application(snapshot, question->request->principal->application_id);
    int64_t now_ms = slc_wall_ms();
    for (size_t i = 0; application != NULL && i < application->n_subscriptions; i++) {
        const Sluice__Snapshot__V1__Subscription *subscription = application->subscriptions[i];
        const slc_plan *plan = slc_snapshot_plan(snapshot, subscription->plan_id);
        if ((subscription->expires_at_ms == 0 || subscription->expires_at_ms > now_ms) && plan != NULL &&
            brings(plan, operation) && grants_topic(question, plan)) {
            slc_policy_why(question->request, "subscription %s grants it", subscription->id);
            if (question->request->trace != NULL)
                snprintf(question->request->trace->subscription_id,
                         sizeof question->request->trace->subscription_id, "%s", subscription->id);
            return true;
        }
    }
    return false;
}

/* Names below "<application>." are the application's own. Names of applications have no dots. */
static bool is_own(const slc_access_question *question)
{
    const char *application = question->request->principal->application_name;
    size_t len = strlen(application);
    bool own = question->names == SLC_GUARD_ONE && len > 0 && question->len > len + 1 &&
               memcmp(question->name, application, len) == 0 && question->name[len] == '.';
    if (own)
        slc_policy_why(question->request, "names below %s. are the application's own", application);
    return own;
}

static enum slc_verdict access_native(void *compiled, const slc_access_question *question, slc_denial *denial)
{
    slc_access_question writes = *question;
    bool allowed = false;
    (void)compiled, (void)denial;
    switch (question->resource) {
    case SLC_RESOURCE_TOPIC:
        allowed = question->names != SLC_GUARD_EVERY && has_topic(question, question->operation);
        break;
    case SLC_RESOURCE_GROUP:
    case SLC_RESOURCE_TXN_ID:
        allowed = is_own(question);
        break;
    case SLC_RESOURCE_CLUSTER:
        writes.names = SLC_GUARD_SOME;
        allowed = question->operation == SLC_OP_IDEMPOTENT_WRITE && has_topic(&writes, SLC_OP_WRITE);
        break;
    }
    return allowed ? SLC_ALLOW : SLC_PASS;
}

const slc_policy_type slc_policy_subscription = {
    .name = "subscription",
    .summary = "Authorises what the plans of the application's approved subscriptions grant. On native Kafka: "
               "the topics of their "
               "event APIs that are exposed as kafka, and groups and transactional ids below `<application>.`",
    .config_schema = "{\"type\":\"object\",\"additionalProperties\":false}",
    .compile = compile,
    .authorise = authorise,
    .yields = true,
    .access = access_native,
};
