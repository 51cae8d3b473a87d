/* What holds for requests that are still open (streams, pages that wait) after the configuration changed: who
 * they are, and what they may do. */
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "dataplane/policy/chain_private.h"
#include "dataplane/policy/credential.h"
#include "dataplane/policy/types.h"

/* What the rules of acl and ip-restriction policies say now: a denial by one without a condition, a permission
 * by any. */
static enum slc_verdict recheck(const slc_chain *chain, slc_policy_request *request)
{
    enum slc_verdict verdict = SLC_PASS;
    for (size_t i = 0; chain != NULL && i < chain->count; i++) {
        const slc_chain_entry *entry = &chain->entries[i];
        if (entry->type->recheck == NULL || entry->dry_run || !slc_chain_concerns(entry, request->principal))
            continue;
        request->policy_id = entry->id;
        enum slc_verdict said = entry->type->recheck(entry->compiled, request);
        if (said == SLC_DENY && entry->condition == NULL)
            return SLC_DENY;
        if (said == SLC_ALLOW)
            verdict = SLC_ALLOW;
    }
    return verdict;
}

/* The rules of all plans that the application subscribes to. */
static enum slc_verdict recheck_plans(slc_policy_request *request)
{
    const Sluice__Snapshot__V1__Application *application =
        slc_snapshot_application(request->snapshot, request->principal->application_id);
    slc_principal principal = *request->principal;
    slc_policy_request copy = *request;
    enum slc_verdict verdict = SLC_PASS;
    copy.principal = &principal;
    for (size_t i = 0; application != NULL && i < application->n_subscriptions; i++) {
        const slc_chain *rules = slc_chain_of_subscription(request->snapshot, application->subscriptions[i]);
        snprintf(principal.plan_id, sizeof principal.plan_id, "%s", application->subscriptions[i]->plan_id);
        enum slc_verdict said = recheck(rules, &copy);
        if (said == SLC_DENY)
            return SLC_DENY;
        if (said == SLC_ALLOW)
            verdict = SLC_ALLOW;
    }
    return verdict;
}

static bool still_allowed(slc_policy_request *request)
{
    slc_principal *principal = request->principal;
    bool granted = slc_subscription_grant(request->snapshot, request->api, request->operation, principal);
    const enum slc_verdict said[] = {
        recheck(request->api->chain, request),
        recheck_plans(request),
        recheck(slc_snapshot_narrow(request->snapshot, principal->application_id), request),
    };
    for (size_t i = 0; i < sizeof said / sizeof said[0]; i++) {
        if (said[i] == SLC_DENY)
            return false;
        granted = granted || said[i] == SLC_ALLOW;
    }
    return granted;
}

/* Is there still a way in that took who this is? Conditions are not looked at again. */
static bool still_let_in(const slc_chain *chain, const slc_principal *principal)
{
    if (principal->by == NULL || chain == NULL)
        return true;
    for (size_t i = 0; i < chain->count; i++) {
        const slc_chain_entry *entry = &chain->entries[i];
        if (entry->type->keeps != NULL && !entry->dry_run && entry->type->keeps(entry->compiled, principal))
            return true;
    }
    return false;
}

bool slc_principal_still_granted(const slc_snapshot *snapshot, const slc_event_api *api,
                                 Sluice__Snapshot__V1__Operation operation, const char *client_address,
                                 slc_principal *principal)
{
    slc_policy_request request = {.snapshot = snapshot,
                                  .api = api,
                                  .operation = operation,
                                  .client_address = client_address,
                                  .principal = principal};
    const Sluice__Snapshot__V1__Credential *credential =
        slc_snapshot_credential(snapshot, principal->credential_lookup, strlen(principal->credential_lookup));
    if (credential == NULL || strcmp(credential->application_id, principal->application_id) != 0)
        return false;
    principal->expires_at_ms = slc_expiry_of(principal, credential);
    if (principal->expires_at_ms != 0 && principal->expires_at_ms <= slc_wall_ms())
        return false;
    return still_let_in(api->chain, principal) && still_allowed(&request);
}
