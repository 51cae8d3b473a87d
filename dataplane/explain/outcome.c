/* The trail of a decision, and the answer that is made of it. */
#include <stdio.h>
#include <string.h>

#include "dataplane/explain/explain_private.h"

static const char *const verdicts[] = {
    [SLC_PASS] = "pass", [SLC_ALLOW] = "allow", [SLC_DENY] = "deny", [SLC_ANSWER] = "answer"};

static const char *scope_name(Sluice__Snapshot__V1__ScopeKind scope)
{
    static const char *const names[] = {NULL,        "group", "listener",   "virtual-cluster",
                                        "event-api", "plan",  "application"};
    return (size_t)scope < sizeof names / sizeof *names ? names[scope] : NULL;
}

static void set_text(json_t *object, const char *name, const char *value)
{
    if (value != NULL && value[0] != '\0')
        json_object_set_new(object, name, json_string(value));
}

/* What decides is known at the end: several may be ways in, of which one is enough. */
static void keep(slc_explain_outcome *outcome, json_t *step, bool grants, bool denies)
{
    json_array_append_new(outcome->trail, step);
    if (grants && outcome->granted == NULL)
        outcome->granted = json_incref(step);
    if (!denies)
        return;
    json_decref(outcome->denied);
    outcome->denied = json_incref(step);
}

static void on_step(void *ctx, const slc_step *said)
{
    slc_explain_outcome *outcome = ctx;
    json_t *step = json_pack("{s:s, s:s, s:s, s:b, s:s}", "phase", said->phase, "policy", said->name, "type",
                             said->type, "dry_run", said->dry_run, "verdict", verdicts[said->verdict]);
    bool grants = strcmp(said->phase, "authorise") == 0 || strcmp(said->phase, "access") == 0;
    set_text(step, "id", said->id);
    set_text(step, "scope", said->id[0] != '\0' ? scope_name(said->scope) : NULL);
    set_text(step, "scope_id", said->scope_id);
    set_text(step, "condition", said->condition);
    set_text(step, "reason", said->reason);
    keep(outcome, step, !said->dry_run && said->verdict == SLC_ALLOW && grants,
         !said->dry_run && said->verdict == SLC_DENY);
}

void slc_explain_outcome_init(slc_explain_outcome *outcome)
{
    *outcome = (slc_explain_outcome){.trail = json_array()};
    outcome->trace = (slc_trace){.told = on_step, .ctx = outcome};
}

void slc_explain_outcome_release(slc_explain_outcome *outcome)
{
    json_decref(outcome->trail);
    json_decref(outcome->granted);
    json_decref(outcome->denied);
}

void slc_explain_note(slc_explain_outcome *outcome, const char *phase, bool allow, const char *reason)
{
    json_t *step = json_pack("{s:s, s:b, s:s, s:s}", "phase", phase, "dry_run", 0, "verdict",
                             allow ? "allow" : "deny", "reason", reason);
    keep(outcome, step, allow && strcmp(phase, "access") == 0, !allow);
}

void slc_explain_refuse(slc_explain_outcome *outcome, int status, const char *type, const char *reason)
{
    char copy[sizeof outcome->reason];
    snprintf(copy, sizeof copy, "%s", reason);
    outcome->allowed = false;
    outcome->status = status;
    snprintf(outcome->type, sizeof outcome->type, "%s", type);
    memcpy(outcome->reason, copy, sizeof copy);
}

/* ---- the answer ---- */

static void add_plan(json_t *answer, const slc_explain_case *asked, const slc_explain_outcome *outcome,
                     const Sluice__Snapshot__V1__Application *application)
{
    const char *id = outcome->principal.subscription_id[0] != '\0' ? outcome->principal.subscription_id
                                                                   : outcome->trace.subscription_id;
    for (size_t i = 0; i < application->n_subscriptions; i++) {
        const Sluice__Snapshot__V1__Subscription *subscription = application->subscriptions[i];
        const slc_plan *plan = slc_snapshot_plan(asked->snapshot, subscription->plan_id);
        if (strcmp(subscription->id, id) != 0)
            continue;
        json_object_set_new(answer, "subscription", json_pack("{s:s}", "id", id));
        if (plan != NULL)
            json_object_set_new(answer, "plan",
                                json_pack("{s:s, s:s, s:s}", "id", plan->msg->id, "name", plan->msg->name,
                                          "product", plan->msg->product));
    }
}

static void add_identity(json_t *answer, const slc_explain_case *asked, const slc_explain_proof *proof,
                         const slc_explain_outcome *outcome)
{
    const slc_principal *principal = &outcome->principal;
    const Sluice__Snapshot__V1__Application *application =
        principal->authenticated ? slc_snapshot_application(asked->snapshot, principal->application_id) : NULL;
    const char *id = principal->authenticated ? principal->credential_id : proof->credential_id;
    if (id != NULL)
        json_object_set_new(answer, "credential", json_pack("{s:s, s:s}", "id", id, "type", proof->type));
    if (application == NULL)
        return;
    json_object_set_new(answer, "application",
                        json_pack("{s:s, s:s, s:s}", "id", application->id, "name", application->name, "team",
                                  application->team));
    add_plan(answer, asked, outcome, application);
}

json_t *slc_explain_answer(const slc_explain_case *asked, const slc_explain_proof *proof,
                           const slc_explain_outcome *outcome)
{
    json_t *decided = outcome->allowed ? outcome->granted : outcome->denied;
    const char *why = json_string_value(json_object_get(decided, "reason"));
    json_t *answer =
        json_pack("{s:b, s:s, s:O, s:I}", "allowed", outcome->allowed, "reason",
                  outcome->reason[0] != '\0' ? outcome->reason
                  : why != NULL              ? why
                                             : "",
                  "trail", outcome->trail, "version", (json_int_t)slc_snapshot_version(asked->snapshot));
    if (decided != NULL)
        json_object_set(answer, "decided_by", decided);
    if (!outcome->allowed) {
        json_t *told = json_pack("{s:s}", "type", outcome->type);
        if (outcome->status != 0)
            json_object_set_new(told, "status", json_integer(outcome->status));
        json_object_set_new(answer, "told", told);
    }
    add_identity(answer, asked, proof, outcome);
    return answer;
}
