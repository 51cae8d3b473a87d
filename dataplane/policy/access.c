#include "dataplane/policy/access.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "dataplane/policy/access_private.h"

#define REMEMBERED 128 /* names of which the answers are kept; when they are all taken, all are forgotten */
#define SLOTS      SLC_ACCESS_SLOTS

/* ---- who asks ---- */

static const char *no_header(void *protocol, const char *name)
{
    (void)protocol, (void)name;
    return NULL;
}

static void add_no_header(void *protocol, const char *name, const char *value)
{
    (void)protocol, (void)name, (void)value;
}

slc_policy_request slc_access_request(const slc_access_subject *subject, const slc_snapshot *snapshot)
{
    return (slc_policy_request){.snapshot = snapshot,
                                .client_address = subject->client_address,
                                .header = no_header,
                                .query = no_header,
                                .add_header = add_no_header,
                                .token = subject->token,
                                .certificate = subject->certificate,
                                .principal = subject->principal,
                                .trace = subject->trace};
}

/* One that has expired stays in the snapshot until the control plane says so, which may be never. */
static bool is_live(const Sluice__Snapshot__V1__Subscription *subscription, int64_t now_ms)
{
    return subscription->expires_at_ms == 0 || subscription->expires_at_ms > now_ms;
}

static bool subscribes(const slc_access *access, const char *plan_id)
{
    int64_t now_ms = slc_wall_ms();
    for (size_t i = 0; access->application != NULL && i < access->application->n_subscriptions; i++)
        if (strcmp(access->application->subscriptions[i]->plan_id, plan_id) == 0 &&
            is_live(access->application->subscriptions[i], now_ms))
            return true;
    return false;
}

static bool is_topic_of(const slc_access_question *question, const char *api_id)
{
    const slc_event_api *api = slc_snapshot_event_api_by_id(question->request->snapshot, api_id);
    return api != NULL && question->resource == SLC_RESOURCE_TOPIC && question->names == SLC_GUARD_ONE &&
           strcmp(api->msg->virtual_cluster_id, question->vcluster->msg->id) == 0 &&
           strlen(api->msg->topic) == question->len &&
           memcmp(api->msg->topic, question->name, question->len) == 0;
}

/* A policy of an event API says nothing about any other name. Of all names together it would: who has one that
 * denies may not be taken for somebody who may do it everywhere. */
bool slc_access_concerns(const slc_access *access, const slc_chain_entry *entry,
                         const slc_access_question *question)
{
    switch (entry->scope) {
    case SLUICE__SNAPSHOT__V1__SCOPE_KIND__SCOPE_KIND_LISTENER:
        return strcmp(entry->scope_id, access->subject.listener_id) == 0;
    case SLUICE__SNAPSHOT__V1__SCOPE_KIND__SCOPE_KIND_EVENT_API:
        return is_topic_of(question, entry->scope_id) || question->names == SLC_GUARD_EVERY;
    case SLUICE__SNAPSHOT__V1__SCOPE_KIND__SCOPE_KIND_PLAN:
        return subscribes(access, entry->scope_id);
    case SLUICE__SNAPSHOT__V1__SCOPE_KIND__SCOPE_KIND_APPLICATION:
        return strcmp(entry->scope_id, access->subject.principal->application_id) == 0;
    default:
        return true;
    }
}

/* ---- asking ---- */

struct asking {
    const slc_access_question *question;
    slc_denial denial;
    const slc_chain_entry *policy; /* that denied it */
    bool allowed;
    bool tells; /* somebody asks to do it, and not only to look */
};

static void tell(const slc_access *access, const struct asking *asking, const slc_chain_entry *policy,
                 const char *reason)
{
    const slc_access_question *question = asking->question;
    const slc_access_denial denial = {.operation = question->operation,
                                      .resource = question->resource,
                                      .name = question->name,
                                      .len = question->len,
                                      .reason = reason,
                                      .policy = policy,
                                      .dry_run = policy != NULL && policy->dry_run};
    if (asking->tells && access->subject.denied != NULL)
        access->subject.denied(access->subject.ctx, &denial);
}

void slc_access_count(const slc_chain_entry *entry, const slc_policy_request *request,
                      enum slc_condition_answer answer, enum slc_verdict verdict)
{
    if (verdict == SLC_DENY && entry->dry_run)
        slc_chain_count(entry, request, SLC_OUTCOME_DRY_DENIED);
    else if (verdict != SLC_PASS)
        slc_chain_count(entry, request,
                        answer == SLC_CONDITION_UNKNOWN ? SLC_OUTCOME_ERROR
                        : verdict == SLC_DENY           ? SLC_OUTCOME_DENIED
                                                        : SLC_OUTCOME_ALLOWED);
}

/* One policy's word; of a policy in dry run the log alone hears. */
static enum slc_verdict ask_entry(const slc_access *access, const slc_chain_entry *entry, struct asking *asking)
{
    const slc_access_question *question = asking->question;
    slc_denial denial = {0};
    question->request->policy_id = entry->name;
    enum slc_condition_answer answer = slc_chain_condition(entry, question->request, &denial);
    enum slc_verdict verdict = answer == SLC_CONDITION_UNKNOWN ? SLC_DENY
                               : answer == SLC_CONDITION_TRUE
                                   ? entry->type->access(entry->compiled, question, &denial)
                                   : SLC_PASS;
    slc_chain_tell(entry, "access", question->request, answer, verdict, &denial);
    if (asking->tells)
        slc_access_count(entry, question->request, answer, verdict);
    if (!entry->dry_run) {
        if (verdict == SLC_DENY) {
            asking->denial = denial;
            asking->policy = entry;
        }
        return verdict;
    }
    if (verdict == SLC_DENY)
        tell(access, asking, entry, denial.reason);
    return SLC_PASS;
}

static enum slc_verdict ask_chain(const slc_access *access, const slc_chain *chain, struct asking *asking)
{
    enum slc_verdict verdict = SLC_PASS;
    for (size_t i = 0; chain != NULL && i < chain->count; i++) {
        const slc_chain_entry *entry = &chain->entries[i];
        if (!slc_chain_asks_access(entry) || !slc_access_concerns(access, entry, asking->question))
            continue;
        enum slc_verdict said = ask_entry(access, entry, asking);
        if (said == SLC_DENY)
            return SLC_DENY;
        if (said == SLC_ALLOW)
            verdict = SLC_ALLOW;
    }
    return verdict;
}

bool slc_access_each_chain(const slc_access *access,
                           bool (*fn)(const slc_access *access, const slc_chain *chain, void *arg), void *arg)
{
    const char *id = access->subject.principal->application_id;
    if (!fn(access, access->chain, arg))
        return false;
    for (size_t i = 0; access->application != NULL && i < access->application->n_subscriptions; i++) {
        const slc_chain *plan =
            slc_snapshot_narrow(access->snapshot, access->application->subscriptions[i]->plan_id);
        if (plan != NULL && !fn(access, plan, arg))
            return false;
    }
    const slc_chain *own = id[0] != '\0' ? slc_snapshot_narrow(access->snapshot, id) : NULL;
    return own == NULL || fn(access, own, arg);
}

static bool ask_one(const slc_access *access, const slc_chain *chain, void *arg)
{
    struct asking *asking = arg;
    enum slc_verdict verdict = ask_chain(access, chain, asking);
    asking->allowed = verdict != SLC_DENY && (asking->allowed || verdict == SLC_ALLOW);
    return verdict != SLC_DENY;
}

static bool decide(slc_access *access, enum slc_operation operation, enum slc_resource resource,
                   enum slc_guard_names names, const uint8_t *name, size_t len)
{
    slc_policy_request request = slc_access_request(&access->subject, access->snapshot);
    const slc_access_question question = {.request = &request,
                                          .vcluster = access->subject.vcluster,
                                          .operation = operation,
                                          .resource = resource,
                                          .names = names == SLC_GUARD_LOOK ? SLC_GUARD_ONE : names,
                                          .name = name,
                                          .len = len};
    struct asking asking = {.question = &question, .allowed = access->open, .tells = names == SLC_GUARD_ONE};
    (void)slc_access_each_chain(access, ask_one, &asking);
    if (asking.allowed &&
        !slc_access_token_reaches(access, &question, asking.tells, &asking.denial, &asking.policy))
        asking.allowed = false;
    if (!asking.allowed)
        tell(access, &asking, asking.policy,
             asking.policy != NULL ? asking.denial.reason : "nothing grants it");
    return asking.allowed;
}

struct visiting {
    bool (*fn)(const slc_chain_entry *entry, void *arg);
    void *arg;
    slc_access_question question; /* about nothing */
};

static bool visit(const slc_access *access, const slc_chain *chain, void *arg)
{
    struct visiting *visiting = arg;
    for (size_t i = 0; chain != NULL && i < chain->count; i++)
        if (slc_access_concerns(access, &chain->entries[i], &visiting->question) &&
            !visiting->fn(&chain->entries[i], visiting->arg))
            return false;
    return true;
}

bool slc_access_each_policy(const slc_access_subject *subject, slc_snapshot *snapshot, bool topics,
                            bool (*fn)(const slc_chain_entry *entry, void *arg), void *arg)
{
    slc_policy_request request = slc_access_request(subject, snapshot);
    struct visiting visiting = {.fn = fn,
                                .arg = arg,
                                .question = {.request = &request,
                                             .vcluster = subject->vcluster,
                                             .names = topics ? SLC_GUARD_EVERY : SLC_GUARD_ONE}};
    const slc_access access = {.subject = *subject,
                               .snapshot = snapshot,
                               .chain = slc_snapshot_native(snapshot, subject->vcluster->msg->id),
                               .application =
                                   slc_snapshot_application(snapshot, subject->principal->application_id)};
    return slc_access_each_chain(&access, visit, &visiting);
}

struct admission {
    slc_policy_request request;
    char *why;
    bool strangers;
};

static bool admit(const slc_chain_entry *entry, void *arg)
{
    struct admission *admission = arg;
    slc_denial denial = {0};
    if (entry->type != &slc_policy_ip_restriction ||
        (admission->strangers && (entry->dry_run || entry->condition != NULL)))
        return true;
    admission->request.policy_id = entry->name;
    enum slc_condition_answer answer = slc_chain_condition(entry, &admission->request, &denial);
    if (answer == SLC_CONDITION_FALSE) {
        slc_chain_tell(entry, "admit", &admission->request, answer, SLC_PASS, &denial);
        return true;
    }
    bool denied = answer == SLC_CONDITION_UNKNOWN ||
                  entry->type->limit(entry->compiled, &admission->request, &denial) == SLC_DENY;
    slc_chain_tell(entry, "admit", &admission->request, answer, denied ? SLC_DENY : SLC_PASS, &denial);
    if (denied || !admission->strangers) /* who is let in is asked again when it is known who he is */
        slc_access_count(entry, &admission->request, answer, denied ? SLC_DENY : SLC_ALLOW);
    if (denied && entry->dry_run)
        slc_chain_tell_dry(entry, &admission->request, &denial);
    if (!denied || entry->dry_run)
        return true;
    snprintf(admission->why, 200, "%s", denial.reason);
    return false;
}

bool slc_access_admits(const slc_access_subject *subject, slc_snapshot *snapshot, char why[200])
{
    struct admission admission = {.request = slc_access_request(subject, snapshot), .why = why};
    return slc_access_each_policy(subject, snapshot, false, admit, &admission) &&
           slc_access_takes_token(subject, snapshot, why);
}

bool slc_access_admits_strangers(const slc_access_subject *subject, slc_snapshot *snapshot, char why[200])
{
    struct admission admission = {
        .request = slc_access_request(subject, snapshot), .why = why, .strangers = true};
    return slc_access_each_policy(subject, snapshot, false, admit, &admission);
}

/* ---- remembering ---- */

static void forget(slc_access *access)
{
    for (size_t i = 0; i < SLOTS; i++) {
        free(access->answers[i].name);
        access->answers[i] = (struct slc_access_answer){0};
    }
    access->count = 0;
}

static struct slc_access_answer *answer_of(slc_access *access, enum slc_resource resource, const uint8_t *name,
                                           size_t len)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325) ^ resource;
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ name[i]) * UINT64_C(0x100000001b3);
    if (access->count == REMEMBERED)
        forget(access);
    for (size_t at = (hash >> 32) % SLOTS;; at = (at + 1) % SLOTS) {
        struct slc_access_answer *answer = &access->answers[at];
        if (answer->name == NULL) {
            *answer = (struct slc_access_answer){slc_memdup(name, len), len, resource, 0, 0, 0};
            access->count++;
            return answer;
        }
        if (answer->resource == resource && answer->len == len && memcmp(answer->name, name, len) == 0)
            return answer;
    }
}

/* The first of several expiries would do; all are looked at again after it. */
static int64_t next_expiry(const slc_access *access)
{
    int64_t next = 0;
    for (size_t i = 0; access->application != NULL && i < access->application->n_subscriptions; i++) {
        int64_t at = access->application->subscriptions[i]->expires_at_ms;
        if (at > slc_wall_ms() && (next == 0 || at < next))
            next = at;
    }
    return next;
}

static bool allows(slc_guard *guard, enum slc_operation operation, enum slc_resource resource,
                   enum slc_guard_names names, const uint8_t *name, size_t len)
{
    slc_access *access = (slc_access *)guard;
    if (access->until_ms != 0 && slc_wall_ms() >= access->until_ms) {
        forget(access);
        access->until_ms = next_expiry(access);
    }
    if ((names != SLC_GUARD_ONE && names != SLC_GUARD_LOOK) || access->conditional)
        return decide(access, operation, resource, names, name, len);
    struct slc_access_answer *answer = answer_of(access, resource, name, len);
    uint16_t bit = (uint16_t)(1u << operation);
    bool untold = names == SLC_GUARD_ONE && ((answer->allowed | answer->told) & bit) == 0;
    if ((answer->known & bit) == 0 || untold) {
        answer->known |= bit;
        answer->told |= names == SLC_GUARD_ONE ? bit : 0;
        if (decide(access, operation, resource, names, name, len))
            answer->allowed |= bit;
    }
    return (answer->allowed & bit) != 0;
}

/* ---- life ---- */

static bool has_condition(const slc_access *access, const slc_chain *chain, void *arg)
{
    (void)access, (void)arg;
    for (size_t i = 0; chain != NULL && i < chain->count; i++) {
        const slc_chain_entry *entry = &chain->entries[i];
        if ((slc_chain_asks_access(entry) || entry->type == &slc_policy_oidc) && entry->condition != NULL)
            return false;
    }
    return true;
}

/* What clients without an application may do: everything; everything that no policy refuses; or what policies
 * allow, if there is an acl. */
enum openness { OPEN, RESTRICTED, CLOSED };

/* Has it a say in what they do, once they are in? */
static bool restricts(const slc_chain_entry *entry)
{
    bool of_api = entry->scope == SLUICE__SNAPSHOT__V1__SCOPE_KIND__SCOPE_KIND_EVENT_API;
    return entry->type->demands != NULL || (entry->type->records != NULL && slc_chain_asks_access(entry)) ||
           (entry->type == &slc_policy_ip_restriction && of_api);
}

static enum openness openness_of(const slc_chain *chain, const char *listener_id)
{
    enum openness openness = OPEN;
    for (size_t i = 0; chain != NULL && i < chain->count; i++) {
        const slc_chain_entry *entry = &chain->entries[i];
        bool elsewhere = entry->scope == SLUICE__SNAPSHOT__V1__SCOPE_KIND__SCOPE_KIND_LISTENER &&
                         strcmp(entry->scope_id, listener_id) != 0;
        if (elsewhere)
            continue;
        if (entry->type == &slc_policy_acl && !entry->dry_run)
            return CLOSED;
        if (restricts(entry))
            openness = RESTRICTED;
    }
    return openness;
}

slc_access *slc_access_new(const slc_access_subject *subject, slc_snapshot *snapshot)
{
    slc_chain *chain = slc_snapshot_native(snapshot, subject->vcluster->msg->id);
    enum openness openness =
        subject->principal->authenticated ? CLOSED : openness_of(chain, subject->listener_id);
    if (openness == OPEN)
        return NULL;
    slc_access *access = slc_calloc(1, sizeof *access);
    access->guard.allows = allows;
    access->subject = *subject;
    access->open = openness == RESTRICTED;
    access->snapshot = slc_snapshot_ref(snapshot);
    access->chain = chain != NULL ? slc_chain_ref(chain) : NULL;
    access->application = slc_snapshot_application(snapshot, subject->principal->application_id);
    access->until_ms = next_expiry(access);
    slc_access_find_demands(access);
    access->conditional = access->chain != NULL && !slc_access_each_chain(access, has_condition, NULL);
    return access;
}

void slc_access_free(slc_access *access)
{
    if (access == NULL)
        return;
    forget(access);
    slc_access_forget_records(access);
    slc_record_policies_release(&access->taking_part);
    free(access->bound);
    slc_chain_free(access->chain);
    slc_snapshot_unref(access->snapshot);
    free(access);
}

slc_guard *slc_access_guard(slc_access *access)
{
    return access != NULL ? &access->guard : NULL;
}

/* Plans, event APIs and what hangs on them are compared as well: a rule may grant by any of them. */
static bool same_grants(const slc_access *access, const slc_snapshot *now)
{
    const Sluice__Snapshot__V1__Application *application = access->application;
    for (size_t i = 0; application != NULL && i < application->n_subscriptions; i++) {
        const char *id = application->subscriptions[i]->plan_id;
        const slc_plan *before = slc_snapshot_plan(access->snapshot, id), *after = slc_snapshot_plan(now, id);
        if (before != after || slc_snapshot_narrow(access->snapshot, id) != slc_snapshot_narrow(now, id))
            return false;
        for (size_t api = 0; before != NULL && api < before->msg->n_event_api_ids; api++)
            if (slc_snapshot_event_api_by_id(access->snapshot, before->msg->event_api_ids[api]) !=
                slc_snapshot_event_api_by_id(now, before->msg->event_api_ids[api]))
                return false;
    }
    return true;
}

bool slc_access_apply(slc_access *access, slc_snapshot *snapshot)
{
    const char *id = access->subject.principal->application_id;
    if (slc_snapshot_native(snapshot, access->subject.vcluster->msg->id) != access->chain ||
        slc_snapshot_application(snapshot, id) != access->application ||
        slc_snapshot_narrow(snapshot, id) != slc_snapshot_narrow(access->snapshot, id) ||
        !same_grants(access, snapshot))
        return false;
    slc_access_forget_records(access); /* what policies refer to may be another */
    slc_snapshot_unref(access->snapshot);
    access->snapshot = slc_snapshot_ref(snapshot);
    return true;
}
