/* What policies demand of native requests, asked through the guard of a session's view. */
#include <stdio.h>
#include <string.h>

#include "dataplane/policy/access_private.h"

struct asking {
    slc_policy_request request;
    slc_access_question question; /* what it is about, for scopes */
    const slc_demand *demand;
    int16_t code;
};

static enum slc_operation operation_of(const slc_demand *demand)
{
    switch (demand->kind) {
    case SLC_DEMAND_TOPIC:
        return demand->made ? SLC_OP_CREATE : SLC_OP_ALTER;
    case SLC_DEMAND_CONFIGS:
        return SLC_OP_ALTER_CONFIGS;
    case SLC_DEMAND_BATCH:
        return SLC_OP_WRITE;
    default:
        return SLC_OP_ALL;
    }
}

static void tell(const slc_access *access, const struct asking *asking, const slc_chain_entry *entry,
                 const char *why)
{
    const slc_access_question *question = &asking->question;
    const slc_access_denial denial = {.operation = question->operation,
                                      .resource = question->resource,
                                      .name = question->name,
                                      .len = question->len,
                                      .reason = why,
                                      .policy = entry,
                                      .dry_run = entry->dry_run};
    if (access->subject.denied != NULL)
        access->subject.denied(access->subject.ctx, &denial);
}

/* 0, or the error with the reason; -1: it does not take part. */
static int16_t judge(const slc_chain_entry *entry, struct asking *asking, char reason[200], bool *error)
{
    slc_denial denial = {0};
    char why[160];
    asking->request.policy_id = entry->name;
    enum slc_condition_answer answer = slc_chain_condition(entry, &asking->request, &denial);
    if ((entry->type->demands(entry->compiled) & asking->demand->kind) == 0)
        return -1;
    int16_t code = answer == SLC_CONDITION_UNKNOWN ? SLC_KAFKA_POLICY_VIOLATION
                   : answer == SLC_CONDITION_TRUE  ? entry->type->meets(entry->compiled, asking->demand, why)
                                                   : 0;
    *error = answer == SLC_CONDITION_UNKNOWN;
    if (code != 0 && !*error)
        snprintf(denial.reason, sizeof denial.reason, "%s %.63s: %.110s", entry->type->name, entry->name, why);
    slc_chain_tell(entry, "demand", &asking->request, answer, code != 0 ? SLC_DENY : SLC_PASS, &denial);
    snprintf(reason, 200, "%s", denial.reason);
    return answer == SLC_CONDITION_FALSE ? -1 : code;
}

/* The first that refuses decides; one in dry run says what it would have refused. */
static bool ask(const slc_access *access, const slc_chain *chain, void *arg)
{
    struct asking *asking = arg;
    for (size_t i = 0; chain != NULL && i < chain->count; i++) {
        const slc_chain_entry *entry = &chain->entries[i];
        char reason[200];
        if (entry->type->demands == NULL || !slc_access_concerns(access, entry, &asking->question))
            continue;
        bool error = false;
        int16_t code = judge(entry, asking, reason, &error);
        if (code < 0)
            continue;
        slc_chain_count(entry, &asking->request,
                        code == 0        ? SLC_OUTCOME_ALLOWED
                        : entry->dry_run ? SLC_OUTCOME_DRY_DENIED
                        : error          ? SLC_OUTCOME_ERROR
                                         : SLC_OUTCOME_DENIED);
        if (code == 0)
            continue;
        tell(access, asking, entry, reason);
        asking->code = entry->dry_run ? 0 : code;
        if (asking->code != 0)
            return false;
    }
    return true;
}

static int16_t meets(slc_guard *guard, const slc_demand *demand)
{
    slc_access *access = (slc_access *)guard;
    bool named = demand->kind != SLC_DEMAND_CLIENT_ID;
    struct asking asking = {.request = slc_access_request(&access->subject, access->snapshot),
                            .demand = demand};
    asking.question = (slc_access_question){.request = &asking.request,
                                            .vcluster = access->subject.vcluster,
                                            .operation = operation_of(demand),
                                            .resource = named ? SLC_RESOURCE_TOPIC : SLC_RESOURCE_CLUSTER,
                                            .names = SLC_GUARD_ONE,
                                            .name = named ? demand->topic : (const uint8_t *)SLC_GUARD_CLUSTER,
                                            .len = named ? demand->topic_len : strlen(SLC_GUARD_CLUSTER)};
    (void)slc_access_each_chain(access, ask, &asking);
    return asking.code;
}

static bool explain_chain(const slc_access *access, const slc_chain *chain, void *arg)
{
    (void)access;
    for (size_t i = 0; chain != NULL && i < chain->count; i++)
        if (chain->entries[i].type->explain != NULL && !chain->entries[i].dry_run)
            chain->entries[i].type->explain(chain->entries[i].compiled, arg);
    return true;
}

static void explain(slc_guard *guard, slc_buf *out)
{
    (void)slc_access_each_chain((slc_access *)guard, explain_chain, out);
}

static bool find(const slc_access *access, const slc_chain *chain, void *arg)
{
    unsigned *kinds = arg;
    (void)access;
    for (size_t i = 0; chain != NULL && i < chain->count; i++)
        if (chain->entries[i].type->demands != NULL)
            *kinds |= chain->entries[i].type->demands(chain->entries[i].compiled);
    return true;
}

void slc_access_find_demands(slc_access *access)
{
    (void)slc_access_each_chain(access, find, &access->guard.demands);
    access->guard.meets = meets;
    access->guard.explain = explain;
}
