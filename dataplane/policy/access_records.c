/* Policies on records of native clients: which of an access's take part in those of a topic, and what they put
 * in. */
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "dataplane/policy/access_private.h"

#define MAX_BOUND 64 /* topics and directions of a session; then all are bound anew */

static bool is(const char *name, size_t len, const char *text)
{
    return strlen(text) == len && memcmp(name, text, len) == 0;
}

/* A session has no request of HTTP's, and a record's plan is not known where an application has several. */
static const char *value_of(void *ctx, const char *name, size_t len)
{
    const slc_access *access = ctx;
    const slc_principal *principal = access->subject.principal;
    if (is(name, len, "application.id"))
        return principal->application_id;
    if (is(name, len, "application.name"))
        return principal->application_name;
    if (is(name, len, "credential.id"))
        return principal->credential_id;
    if (is(name, len, "client.address"))
        return access->subject.client_address;
    if (is(name, len, "application.team"))
        return access->application != NULL ? access->application->team : NULL;
    if (is(name, len, "plan.name") && access->application != NULL &&
        access->application->n_subscriptions == 1) {
        const slc_plan *plan =
            slc_snapshot_plan(access->snapshot, access->application->subscriptions[0]->plan_id);
        return plan != NULL ? plan->msg->name : NULL;
    }
    return NULL;
}

static bool none_acts(const slc_access *access, const slc_chain *chain, void *arg)
{
    const enum slc_record_direction *direction = arg;
    (void)access;
    for (size_t i = 0; chain != NULL && i < chain->count; i++)
        if (!chain->entries[i].dry_run &&
            slc_record_ops_act(chain->entries[i].type->records, chain->entries[i].compiled, *direction))
            return false;
    return true;
}

bool slc_access_has_records(const slc_access *access, enum slc_record_direction direction)
{
    return access != NULL && !slc_access_each_chain(access, none_acts, &direction);
}

/* ---- which take part ---- */

struct gathering {
    const slc_access_question *question;
    enum slc_record_direction direction;
    slc_record_policies *policies;
};

static bool gather(const slc_access *access, const slc_chain *chain, void *arg)
{
    struct gathering *gathering = arg;
    slc_denial denial = {0};
    for (size_t i = 0; chain != NULL && i < chain->count; i++) {
        const slc_chain_entry *entry = &chain->entries[i];
        if (entry->dry_run ||
            !slc_record_ops_act(entry->type->records, entry->compiled, gathering->direction) ||
            !slc_access_concerns(access, entry, gathering->question))
            continue;
        gathering->question->request->policy_id = entry->name;
        enum slc_condition_answer answer = slc_chain_condition(entry, gathering->question->request, &denial);
        if (answer == SLC_CONDITION_UNKNOWN)
            return false;
        if (answer == SLC_CONDITION_TRUE)
            slc_record_policies_add(gathering->policies, entry);
    }
    return true;
}

/* ---- what was bound ---- */

static void release_bound(struct slc_access_bound *bound)
{
    slc_record_chain_free(bound->chain);
    slc_record_policies_release(&bound->policies);
    free(bound->topic);
}

void slc_access_forget_records(slc_access *access)
{
    for (size_t i = 0; i < access->bound_count; i++)
        release_bound(&access->bound[i]);
    access->bound_count = 0;
}

static struct slc_access_bound *find(slc_access *access, enum slc_record_direction direction, const char *topic)
{
    for (size_t i = 0; i < access->bound_count; i++)
        if (access->bound[i].direction == direction && strcmp(access->bound[i].topic, topic) == 0)
            return &access->bound[i];
    return NULL;
}

static struct slc_access_bound *add(slc_access *access)
{
    if (access->bound_count == MAX_BOUND)
        slc_access_forget_records(access);
    if (access->bound_count == access->bound_cap) {
        access->bound_cap = access->bound_cap == 0 ? 4 : 2 * access->bound_cap;
        access->bound = slc_realloc(access->bound, access->bound_cap * sizeof *access->bound);
    }
    return &access->bound[access->bound_count++];
}

static slc_record_chain *bind_topic(slc_access *access, const struct gathering *gathering, const char *topic,
                                    const char *backend_topic)
{
    struct slc_access_bound *bound = find(access, gathering->direction, topic);
    if (bound != NULL && slc_record_policies_same(&bound->policies, gathering->policies))
        return bound->chain;
    const slc_record_subject subject = {.direction = gathering->direction,
                                        .snapshot = access->snapshot,
                                        .vcluster = access->subject.vcluster,
                                        .topic = topic,
                                        .backend_topic = backend_topic,
                                        .request = gathering->question->request,
                                        .value_of = value_of,
                                        .value_ctx = access};
    if (bound != NULL)
        release_bound(bound);
    else
        bound = add(access);
    *bound = (struct slc_access_bound){.topic = slc_strdup(topic), .direction = gathering->direction};
    for (size_t i = 0; i < gathering->policies->count; i++)
        slc_record_policies_add(&bound->policies, gathering->policies->items[i]);
    bound->chain = slc_record_chain_bind(&bound->policies, &subject);
    return bound->chain;
}

bool slc_access_record_chain(slc_access *access, enum slc_record_direction direction, const char *topic,
                             const char *backend_topic, slc_record_chain **chain)
{
    slc_policy_request request = slc_access_request(&access->subject, access->snapshot);
    const slc_access_question question = {.request = &request,
                                          .vcluster = access->subject.vcluster,
                                          .operation =
                                              direction == SLC_RECORDS_CONSUME ? SLC_OP_READ : SLC_OP_WRITE,
                                          .resource = SLC_RESOURCE_TOPIC,
                                          .names = SLC_GUARD_ONE,
                                          .name = (const uint8_t *)topic,
                                          .len = strlen(topic)};
    struct gathering gathering = {
        .question = &question, .direction = direction, .policies = &access->taking_part};
    *chain = NULL;
    slc_record_policies_clear(&access->taking_part);
    if (!slc_access_each_chain(access, gather, &gathering))
        return false;
    if (access->taking_part.count > 0)
        *chain = bind_topic(access, &gathering, topic, backend_topic);
    return true;
}

void slc_access_tell(const slc_access *access, enum slc_operation operation, const uint8_t *topic, size_t len,
                     const char *reason)
{
    const slc_access_denial denial = {
        .operation = operation, .resource = SLC_RESOURCE_TOPIC, .name = topic, .len = len, .reason = reason};
    if (access->subject.denied != NULL)
        access->subject.denied(access->subject.ctx, &denial);
}
