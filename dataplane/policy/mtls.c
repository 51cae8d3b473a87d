/* mtls: authenticates by the client certificate of the TLS connection, when the listener asks for one. */
#include <stdio.h>
#include <string.h>

#include "dataplane/policy/credential.h"
#include "dataplane/policy/types.h"

static bool compile(const json_t *config, void **compiled, slc_error *err)
{
    static const char *const known[] = {NULL};
    *compiled = NULL;
    return slc_policy_config_known(config, known, err);
}

/* A certificate that no credential matches says nothing: clients have them for other reasons, too. */
static enum slc_verdict authenticate(void *compiled, slc_policy_request *request, slc_denial *denial)
{
    const slc_certificate *certificate = request->certificate;
    (void)compiled;
    if (certificate == NULL)
        return SLC_PASS;
    enum slc_credential_answer answer =
        slc_credential_of_certificate(request->snapshot, request->listener, certificate, request->principal);
    if (answer == SLC_CREDENTIAL_GOOD)
        return SLC_ALLOW;
    if (answer == SLC_CREDENTIAL_UNKNOWN)
        return SLC_PASS;
    if (answer == SLC_CREDENTIAL_UNSUBSCRIBED)
        return slc_deny(denial, 403, "not-subscribed", "Not subscribed",
                        "The application has no subscription in this environment.",
                        "mtls: the application of %.120s has no subscriptions here", certificate->subject);
    return slc_deny(denial, 401, "unauthenticated", "Authentication failed",
                    "The client certificate is not accepted any more.", "mtls: %s, subject %.120s",
                    slc_credential_reason(answer), certificate->subject);
}

static bool keeps(const void *compiled, const slc_principal *principal)
{
    (void)compiled;
    return strcmp(principal->by, slc_policy_mtls.name) == 0;
}

static bool way(const void *compiled, const slc_policy_request *request, slc_way *out)
{
    (void)compiled;
    snprintf(out->text, sizeof out->text, "a client certificate");
    out->challenge = "Certificate realm=\"sluice\""; /* a 401 has one, and there is none for TLS */
    return request->listener != NULL && slc_listener_asks_certificate(request->listener);
}

const slc_policy_type slc_policy_mtls = {
    .name = "mtls",
    .summary =
        "Authenticates by the client certificate, where the listener asks for one: the application is the one "
        "whose credential matches its subject, an alternative name or its fingerprint.",
    .config_schema = "{\"type\":\"object\",\"additionalProperties\":false}",
    .compile = compile,
    .authenticate = authenticate,
    .keeps = keeps,
    .way = way,
};
