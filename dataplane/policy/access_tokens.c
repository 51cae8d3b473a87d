/* Which tokens oidc policies take of native clients: when they are let in those of wide scopes, and for the
 * topic of an event API those of the event API too. */
#include <stdio.h>
#include <string.h>

#include "dataplane/policy/access_private.h"

/* ---- who is let in ---- */

struct vetting {
    slc_policy_request request;
    char *why; /* of the last that did not take it */
    bool asked, taken;
};

/* One that takes the token is enough: they are ways in. */
static bool vet(const slc_chain_entry *entry, void *arg)
{
    struct vetting *vetting = arg;
    slc_policy_request *request = &vetting->request;
    slc_denial denial = {0};
    char why[160];
    if (entry->type != &slc_policy_oidc)
        return true;
    request->policy_id = entry->name;
    enum slc_condition_answer answer = slc_chain_condition(entry, request, &denial);
    bool taken = answer == SLC_CONDITION_TRUE && slc_oidc_takes(entry->compiled, request->token, why);
    enum slc_verdict verdict = answer == SLC_CONDITION_FALSE ? SLC_PASS : taken ? SLC_ALLOW : SLC_DENY;
    if (answer == SLC_CONDITION_TRUE && !taken)
        snprintf(denial.reason, sizeof denial.reason, "oidc %.30s: %.150s", entry->name, why);
    slc_chain_tell(entry, "admit", request, answer, verdict, &denial);
    slc_access_count(entry, request, answer, verdict);
    if (verdict == SLC_DENY && entry->dry_run)
        slc_chain_tell_dry(entry, request, &denial);
    if (entry->dry_run)
        return true;
    /* As on HTTP: one whose condition is false takes nobody's token, and still replaces what is built in. */
    vetting->asked = true;
    vetting->taken = vetting->taken || taken;
    if (verdict == SLC_PASS && vetting->why[0] == '\0')
        snprintf(vetting->why, 200, "oidc %.60s: its condition is false", entry->name);
    else if (!taken)
        snprintf(vetting->why, 200, "%s", denial.reason);
    return true;
}

bool slc_access_takes_token(const slc_access_subject *subject, slc_snapshot *snapshot, char why[200])
{
    struct vetting vetting = {.request = slc_access_request(subject, snapshot), .why = why};
    if (subject->token == NULL || subject->token->state != SLC_TOKEN_GOOD)
        return true;
    why[0] = '\0';
    (void)slc_access_each_policy(subject, snapshot, false, vet, &vetting);
    return !vetting.asked || vetting.taken;
}

/* ---- topics ---- */

struct reaching {
    const slc_access_question *question;
    const slc_token *token;
    slc_denial *denial;            /* of the last that did not take it */
    const slc_chain_entry *policy; /* which that is */
    bool tells;
    bool asked, taken, refused;
};

/* As on HTTP, one that takes the token is enough: of wide scopes, which have taken it already when the client
 * was let in, or of the event API. */
static void reach(const slc_access *access, const slc_chain_entry *entry, struct reaching *reaching)
{
    bool of_api = entry->scope == SLUICE__SNAPSHOT__V1__SCOPE_KIND__SCOPE_KIND_EVENT_API;
    slc_policy_request *request = reaching->question->request;
    slc_denial denial = {0};
    char why[160];
    request->policy_id = entry->name;
    enum slc_condition_answer answer = slc_chain_condition(entry, request, &denial);
    bool taken = answer == SLC_CONDITION_TRUE && slc_oidc_takes(entry->compiled, reaching->token, why);
    if (answer == SLC_CONDITION_FALSE)
        snprintf(denial.reason, sizeof denial.reason, "oidc %.60s: its condition is false", entry->name);
    else if (answer == SLC_CONDITION_TRUE && !taken)
        snprintf(denial.reason, sizeof denial.reason, "oidc %.30s: %.150s", entry->name, why);
    if (of_api && reaching->tells) {
        enum slc_verdict verdict = taken || answer == SLC_CONDITION_FALSE ? SLC_PASS : SLC_DENY;
        slc_chain_tell(entry, "access", request, answer, verdict, &denial);
        slc_access_count(entry, request, answer, taken ? SLC_ALLOW : verdict);
        if (entry->dry_run && verdict == SLC_DENY && access->subject.denied != NULL)
            access->subject.denied(access->subject.ctx,
                                   &(slc_access_denial){.operation = reaching->question->operation,
                                                        .resource = reaching->question->resource,
                                                        .name = reaching->question->name,
                                                        .len = reaching->question->len,
                                                        .reason = denial.reason,
                                                        .policy = entry,
                                                        .dry_run = true});
    }
    if (entry->dry_run)
        return;
    reaching->asked = reaching->asked || of_api;
    /* Of all topics together, what one event API's policy takes is nothing for the next one's. */
    reaching->taken = reaching->taken || (taken && (!of_api || reaching->question->names != SLC_GUARD_EVERY));
    reaching->refused = reaching->refused || (of_api && !taken);
    if (!of_api || taken)
        return;
    *reaching->denial = denial;
    reaching->policy = entry;
}

static bool reach_by(const slc_access *access, const slc_chain *chain, void *arg)
{
    struct reaching *reaching = arg;
    for (size_t i = 0; chain != NULL && i < chain->count; i++)
        if (chain->entries[i].type == &slc_policy_oidc && chain->entries[i].id[0] != '\0' &&
            slc_access_concerns(access, &chain->entries[i], reaching->question))
            reach(access, &chain->entries[i], reaching);
    return true;
}

bool slc_access_token_reaches(const slc_access *access, const slc_access_question *question, bool tells,
                              slc_denial *denial, const slc_chain_entry **policy)
{
    slc_denial last = {0};
    struct reaching reaching = {
        .question = question, .token = access->subject.token, .denial = &last, .tells = tells};
    if (reaching.token == NULL || reaching.token->state != SLC_TOKEN_GOOD ||
        question->resource != SLC_RESOURCE_TOPIC)
        return true;
    (void)reach_by(access, access->chain, &reaching);
    if (!reaching.asked || reaching.taken || !reaching.refused)
        return true;
    *denial = last;
    *policy = reaching.policy;
    return false;
}
