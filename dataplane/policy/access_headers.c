/* Headers policies on native Kafka: which of an access's take part in a topic's records, and what they put in.
 */
#include <string.h>

#include "dataplane/policy/access_private.h"

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

static bool has_place(const slc_chain_entry *entry, enum slc_header_place place)
{
    return entry->type == &slc_policy_headers && !entry->dry_run &&
           ((const slc_headers *)entry->compiled)->places[place];
}

static bool no_such(const slc_access *access, const slc_chain *chain, void *arg)
{
    const enum slc_header_place *place = arg;
    (void)access;
    for (size_t i = 0; chain != NULL && i < chain->count; i++)
        if (has_place(&chain->entries[i], *place))
            return false;
    return true;
}

bool slc_access_changes_headers(const slc_access *access, enum slc_header_place place)
{
    return access != NULL && !slc_access_each_chain(access, no_such, &place);
}

struct gathering {
    const slc_access_question *question;
    enum slc_header_place place;
    slc_header_policies policies;
};

static bool gather(const slc_access *access, const slc_chain *chain, void *arg)
{
    struct gathering *gathering = arg;
    slc_denial denial = {0};
    for (size_t i = 0; chain != NULL && i < chain->count; i++) {
        const slc_chain_entry *entry = &chain->entries[i];
        if (!has_place(entry, gathering->place) || !slc_access_concerns(access, entry, gathering->question))
            continue;
        gathering->question->request->policy_id = entry->name;
        enum slc_condition_answer answer = slc_chain_condition(entry, gathering->question->request, &denial);
        if (answer == SLC_CONDITION_UNKNOWN)
            return false;
        if (answer == SLC_CONDITION_TRUE)
            slc_header_policies_add(&gathering->policies, entry->compiled);
    }
    return true;
}

bool slc_access_header_edits(const slc_access *access, enum slc_header_place place, const uint8_t *name,
                             size_t len, slc_header_edits **edits)
{
    slc_policy_request request = slc_access_request(&access->subject, access->snapshot);
    const slc_access_question question = {.request = &request,
                                          .vcluster = access->subject.vcluster,
                                          .operation = place == SLC_HEADERS_READ ? SLC_OP_READ : SLC_OP_WRITE,
                                          .resource = SLC_RESOURCE_TOPIC,
                                          .names = SLC_GUARD_ONE,
                                          .name = name,
                                          .len = len};
    struct gathering gathering = {.question = &question, .place = place};
    bool known = slc_access_each_chain(access, gather, &gathering);
    *edits = known ? slc_header_edits_new(&gathering.policies, place, value_of, (void *)access) : NULL;
    slc_header_policies_release(&gathering.policies);
    return known;
}

void slc_access_tell(const slc_access *access, enum slc_operation operation, const uint8_t *topic, size_t len,
                     const char *reason)
{
    const slc_access_denial denial = {
        .operation = operation, .resource = SLC_RESOURCE_TOPIC, .name = topic, .len = len, .reason = reason};
    if (access->subject.denied != NULL)
        access->subject.denied(access->subject.ctx, &denial);
}
