#include "dataplane/policy/native_limits.h"

#include <stdio.h>
#include <string.h>

#include "dataplane/policy/chain_private.h"

struct taking {
    const slc_access_subject *subject;
    slc_snapshot *snapshot;
    slc_limits *table;
    slc_shared_limits *shared; /* NULL: no Redis */
    slc_native_limits *limits;
    slc_policy_request request;
    int64_t now_ns;
    bool is_in;
    char *why;
};

/* A connection is a stream of the native side: it is counted under a key of its own. */
static bool hold(struct taking *taking, const char *limit, const char *subject, const slc_rates *rates,
                 const slc_chain_entry *entry)
{
    bool held =
        slc_charges_hold(&taking->limits->connections, limit, subject, rates, taking->now_ns) || taking->is_in;
    bool dry = entry != NULL && entry->dry_run;
    if (entry != NULL)
        slc_chain_count(entry, &taking->request,
                        held  ? SLC_OUTCOME_ALLOWED
                        : dry ? SLC_OUTCOME_DRY_DENIED
                              : SLC_OUTCOME_DENIED);
    if (!held && dry)
        slc_decisions_tell(entry->decisions, entry->name, "rate-limit: as many connections as may be");
    if (held || dry)
        return true;
    snprintf(taking->why, 200, "as many connections as may be: %u by the limit %.40s of %.60s",
             rates->connections, limit, subject);
    return false;
}

/* The limit that was joined last. */
static void share(struct taking *taking, const char *limit, const char *subject)
{
    const char *group = slc_snapshot_group(taking->request.snapshot)->name;
    slc_charges *rates = &taking->limits->rates;
    slc_shared_bucket *bucket = slc_shared_bucket_get(taking->shared, group, limit, subject);
    if (bucket != NULL && rates->count > 0 && rates->list[rates->count - 1].shared == NULL)
        slc_charges_share(rates, bucket);
    else
        slc_shared_bucket_unref(bucket);
}

/* `entry` NULL: the limit is a plan's. */
static bool add(struct taking *taking, const char *limit, const char *subject, const slc_rates *rates,
                const slc_chain_entry *entry)
{
    uint64_t any = rates->per_second[0] | rates->per_second[1] | rates->per_second[2];
    if (any != 0) {
        uint64_t hash = slc_limits_hash(taking->table, limit, subject);
        unsigned at = taking->limits->rates.count;
        slc_charges_join(&taking->limits->rates, hash, rates, entry != NULL && entry->dry_run);
        if (entry != NULL && entry->dry_run && at < taking->limits->rates.count)
            taking->limits->dry[at] = slc_decisions_series(entry->name, SLC_OUTCOME_DRY_DENIED);
        if (rates->shared && taking->shared != NULL && (entry == NULL || !entry->dry_run))
            share(taking, limit, subject);
        taking->limits->events = taking->limits->events || rates->per_second[SLC_LIMIT_EVENTS] > 0;
    }
    return rates->connections == 0 || hold(taking, limit, subject, rates, entry);
}

/* Does the plan grant anything here by native Kafka? Its limits hold then for all that the session does. */
static bool is_used(const struct taking *taking, const slc_plan *plan)
{
    for (size_t i = 0; i < plan->msg->n_event_api_ids; i++) {
        const slc_event_api *api =
            slc_snapshot_event_api_by_id(taking->request.snapshot, plan->msg->event_api_ids[i]);
        if (api != NULL && strcmp(api->msg->virtual_cluster_id, taking->subject->vcluster->msg->id) == 0 &&
            slc_event_api_exposes(api, "kafka"))
            return true;
    }
    return false;
}

static bool holds_api(const slc_plan *plan, const char *event_api_id)
{
    for (size_t i = 0; i < plan->msg->n_event_api_ids; i++)
        if (strcmp(plan->msg->event_api_ids[i], event_api_id) == 0)
            return true;
    return false;
}

/* The first of the application's plans that has the event API; NULL: none. */
static const char *plan_of(const struct taking *taking, const char *event_api_id)
{
    const slc_snapshot *snapshot = taking->request.snapshot;
    const Sluice__Snapshot__V1__Application *application =
        slc_snapshot_application(snapshot, taking->subject->principal->application_id);
    for (size_t i = 0; application != NULL && i < application->n_subscriptions; i++) {
        const slc_plan *plan = slc_snapshot_plan(snapshot, application->subscriptions[i]->plan_id);
        if (plan != NULL && holds_api(plan, event_api_id))
            return plan->msg->id;
    }
    return NULL;
}

static bool take_plans(struct taking *taking)
{
    const slc_snapshot *snapshot = taking->request.snapshot;
    const char *id = taking->subject->principal->application_id;
    const Sluice__Snapshot__V1__Application *application = slc_snapshot_application(snapshot, id);
    for (size_t i = 0; application != NULL && i < application->n_subscriptions; i++) {
        const slc_plan *plan = slc_snapshot_plan(snapshot, application->subscriptions[i]->plan_id);
        const Sluice__Snapshot__V1__Limits *limits = plan != NULL ? plan->msg->limits : NULL;
        if (limits == NULL || !is_used(taking, plan))
            continue;
        const slc_rates rates = {
            .per_second = {limits->requests_per_second, limits->events_per_second, limits->bytes_per_second},
            .connections = limits->connections,
            .burst_s = 1};
        if (!add(taking, plan->msg->id, id, &rates, NULL))
            return false;
    }
    return true;
}

/* ---- policies ---- */

struct plan_limit {
    struct taking *taking;
    const slc_chain_entry *entry;
    const slc_rates *rates;
};

/* The application's plans that grant something here, once each. */
static bool each_plan(struct taking *taking, bool (*fn)(const slc_plan *plan, void *arg), void *arg)
{
    const slc_snapshot *snapshot = taking->request.snapshot;
    const Sluice__Snapshot__V1__Application *application =
        slc_snapshot_application(snapshot, taking->subject->principal->application_id);
    for (size_t i = 0; application != NULL && i < application->n_subscriptions; i++) {
        const slc_plan *plan = slc_snapshot_plan(snapshot, application->subscriptions[i]->plan_id);
        if (plan != NULL && is_used(taking, plan) && !fn(plan, arg))
            return false;
    }
    return true;
}

static bool add_for_plan(const slc_plan *plan, void *arg)
{
    const struct plan_limit *limit = arg;
    const slc_chain_entry *entry = limit->entry;
    if (entry->scope == SLUICE__SNAPSHOT__V1__SCOPE_KIND__SCOPE_KIND_PLAN &&
        strcmp(entry->scope_id, plan->msg->id) != 0)
        return true;
    return add(limit->taking, entry->id, plan->msg->id, limit->rates, entry);
}

static bool add_for_topics(struct taking *taking, const slc_chain_entry *entry, const slc_native_rates *rates)
{
    slc_native_limits *limits = taking->limits;
    bool of_api = entry->scope == SLUICE__SNAPSHOT__V1__SCOPE_KIND__SCOPE_KIND_EVENT_API;
    const char *subject = rates->per == SLC_PER_EVENT_API ? NULL : rates->subject;
    if (limits->topics == NULL)
        limits->topics =
            slc_topic_limits_new(taking->snapshot, taking->subject->vcluster->msg->id, taking->table);
    slc_topic_limits_add(limits->topics, entry->id, of_api ? entry->scope_id : NULL, subject, &rates->rates,
                         entry->dry_run ? entry->name : NULL);
    return true;
}

static bool take_policy(const slc_chain_entry *entry, void *arg)
{
    struct taking *taking = arg;
    slc_native_rates rates;
    slc_denial denial = {0};
    if (entry->type->rates == NULL)
        return true;
    enum slc_condition_answer answer = slc_chain_condition(entry, &taking->request, &denial);
    slc_chain_tell(entry, "limit", &taking->request, answer, SLC_PASS, &denial);
    /* What cannot be evaluated limits: nobody is let through by it. */
    if (answer == SLC_CONDITION_FALSE)
        return true;
    entry->type->rates(entry->compiled, &taking->request, &rates);
    struct plan_limit limit = {taking, entry, &rates.rates};
    bool of_api = entry->scope == SLUICE__SNAPSHOT__V1__SCOPE_KIND__SCOPE_KIND_EVENT_API;
    if (of_api && rates.per == SLC_PER_PLAN)
        rates.subject = plan_of(taking, entry->scope_id);
    if (of_api || rates.per == SLC_PER_EVENT_API)
        return (of_api && rates.per == SLC_PER_PLAN && rates.subject == NULL) ||
               add_for_topics(taking, entry, &rates);
    return rates.per == SLC_PER_PLAN ? each_plan(taking, add_for_plan, &limit)
                                     : add(taking, entry->id, rates.subject, &rates.rates, entry);
}

bool slc_native_limits_take(const slc_access_subject *subject, slc_snapshot *snapshot, slc_limits *table,
                            slc_shared_limits *shared, bool is_in, slc_native_limits *limits, char why[200])
{
    struct taking taking = {.subject = subject,
                            .snapshot = snapshot,
                            .table = table,
                            .shared = shared,
                            .limits = limits,
                            .now_ns = slc_limits_now_ns(),
                            .is_in = is_in,
                            .why = why};
    *limits = (slc_native_limits){.rates.limits = table, .connections.limits = table};
    taking.request = slc_access_request(subject, snapshot);
    /* There is room for so many: what is said of everybody comes before the plans that somebody picks. */
    if (!slc_access_each_policy(subject, snapshot, true, take_policy, &taking) || !take_plans(&taking)) {
        slc_native_limits_release(limits);
        return false;
    }
    return true;
}

int64_t slc_native_limits_pay(slc_native_limits *limits, uint64_t requests, uint64_t events, uint64_t bytes)
{
    int64_t now_ns = slc_limits_now_ns();
    slc_charges_pay(&limits->rates, requests, events, bytes, now_ns);
    for (unsigned i = 0; i < limits->rates.count; i++)
        if (limits->dry[i] != NULL && slc_charges_owes_dry(&limits->rates, i, now_ns))
            slc_series_add(limits->dry[i], 1);
    return slc_charges_debt_ms(&limits->rates, now_ns);
}

void slc_native_limits_release(slc_native_limits *limits)
{
    slc_charges_release(&limits->rates);
    slc_charges_release(&limits->connections);
    slc_topic_limits_free(limits->topics);
    limits->topics = NULL;
}
