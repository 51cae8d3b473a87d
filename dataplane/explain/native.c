/* A native client: how it gets in (proxy/sasl.c), whether it may be there, and what its guard says. */
#include <stdio.h>
#include <string.h>

#include "dataplane/explain/explain_private.h"
#include "dataplane/policy/access.h"
#include "dataplane/policy/credential.h"
#include "dataplane/policy/native_limits.h"

#define LIMIT_KEYS 8

static void on_denied(void *ctx, const slc_access_denial *denial)
{
    slc_explain_outcome *outcome = ctx;
    if (!denial->dry_run)
        snprintf(outcome->reason, sizeof outcome->reason, "%s", denial->reason);
}

static bool takes_proof(const slc_explain_case *asked, const slc_explain_proof *proof)
{
    if (strcmp(proof->type, "secret") == 0)
        return slc_vcluster_takes(asked->vcluster, "plain") || slc_vcluster_takes(asked->vcluster, "scram");
    if (strcmp(proof->type, "oidc") == 0)
        return slc_vcluster_takes(asked->vcluster, "oauthbearer");
    return slc_vcluster_takes(asked->vcluster, "mtls") && asked->listener->msg->tls;
}

static enum slc_credential_answer check(const slc_explain_case *asked, const slc_explain_proof *proof,
                                        slc_principal *principal)
{
    if (proof->token != NULL)
        return slc_credential_of_token(asked->snapshot, proof->token, principal);
    if (proof->certificate != NULL)
        return slc_credential_of_certificate(asked->snapshot, asked->listener, proof->certificate, principal);
    return slc_credential_proved(asked->snapshot, proof->credential_id, principal);
}

static bool keep_out(slc_explain_outcome *outcome, const char *reason)
{
    slc_explain_note(outcome, "authenticate", false, reason);
    slc_explain_refuse(outcome, 0, "authentication", reason);
    return false;
}

static bool authenticate(const slc_explain_case *asked, const slc_explain_proof *proof,
                         slc_explain_outcome *outcome)
{
    bool anonymous = slc_vcluster_takes(asked->vcluster, "anonymous");
    char why[200];
    if (proof->type == NULL || (anonymous && !takes_proof(asked, proof))) {
        if (anonymous)
            slc_explain_note(outcome, "authenticate", true, "the virtual cluster takes anonymous clients");
        return anonymous ||
               keep_out(outcome, "nothing is presented, and the virtual cluster takes no anonymous clients");
    }
    if (!takes_proof(asked, proof)) {
        snprintf(why, sizeof why,
                 "the virtual cluster takes no credentials of the type %s here (client_authentication)",
                 proof->type);
        return keep_out(outcome, why);
    }
    if (proof->token != NULL && proof->token->state != SLC_TOKEN_GOOD)
        return keep_out(outcome, proof->token->reason);
    enum slc_credential_answer answer = check(asked, proof, &outcome->principal);
    if (answer != SLC_CREDENTIAL_GOOD)
        return keep_out(outcome, slc_credential_reason(answer));
    snprintf(why, sizeof why, "credential %s is good", outcome->principal.credential_id);
    slc_explain_note(outcome, "authenticate", true, why);
    return true;
}

static void ask_guard(const slc_explain_case *asked, const slc_access_subject *subject,
                      slc_explain_outcome *outcome)
{
    slc_access *access = slc_access_new(subject, asked->snapshot);
    slc_guard *guard = slc_access_guard(access);
    outcome->allowed = guard == NULL || guard->allows(guard, asked->access, asked->resource, SLC_GUARD_ONE,
                                                      (const uint8_t *)asked->name, strlen(asked->name));
    if (guard == NULL)
        slc_explain_note(outcome, "access", true,
                         "anonymous clients may do everything: no acl policy holds here");
    slc_access_free(access);
    if (!outcome->allowed)
        slc_explain_refuse(outcome, 0, "authorization", outcome->reason);
}

static bool is_let_in(const slc_explain_case *asked, const slc_access_subject *subject,
                      slc_explain_outcome *outcome)
{
    slc_native_limits limits;
    char why[200];
    if (!slc_access_admits(subject, asked->snapshot, why)) {
        slc_explain_refuse(outcome, 0, "refused", why);
        return false;
    }
    slc_limits *table = slc_limits_new(LIMIT_KEYS);
    bool limited = !slc_native_limits_take(subject, asked->snapshot, table, NULL, false, &limits, why);
    if (limited)
        slc_explain_refuse(outcome, 0, "refused", why);
    else
        slc_native_limits_release(&limits);
    slc_limits_free(table);
    return !limited;
}

void slc_explain_native(const slc_explain_case *asked, const slc_explain_proof *proof,
                        slc_explain_outcome *outcome)
{
    if (asked->listener == NULL) {
        slc_explain_refuse(outcome, 0, "refused", "no native listener of the group serves the virtual cluster");
        return;
    }
    if (slc_vcluster_takes(asked->vcluster, "passthrough")) {
        outcome->allowed = true;
        slc_explain_note(outcome, "access", true, "passthrough: the backend authenticates and authorises");
        return;
    }
    if (!authenticate(asked, proof, outcome))
        return;
    const slc_access_subject subject = {.vcluster = asked->vcluster,
                                        .listener_id = asked->listener->msg->id,
                                        .client_address = asked->address != NULL ? asked->address : "",
                                        .principal = &outcome->principal,
                                        .token = proof->token,
                                        .certificate = proof->certificate,
                                        .denied = on_denied,
                                        .ctx = outcome,
                                        .trace = &outcome->trace};
    if (is_let_in(asked, &subject, outcome))
        ask_guard(asked, &subject, outcome);
}
