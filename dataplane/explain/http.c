/* A request over HTTP: what routing and the policies would say (http/route.c). */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "dataplane/explain/explain_private.h"

#define LIMIT_KEYS 64 /* of a table of its own, larger than what counts a request: nothing is used up */

static const json_t *request_of(void *protocol)
{
    const slc_explain_case *asked = protocol;
    return json_object_get(asked->question, "request");
}

static const char *find_header(void *protocol, const char *name)
{
    const char *key;
    json_t *value;
    json_object_foreach ((json_t *)json_object_get(request_of(protocol), "headers"), key, value) {
        if (strcasecmp(key, name) == 0)
            return json_string_value(value);
    }
    return NULL;
}

static const char *find_parameter(void *protocol, const char *name)
{
    return json_string_value(json_object_get(json_object_get(request_of(protocol), "query"), name));
}

static void add_header(void *protocol, const char *name, const char *value)
{
    (void)protocol, (void)name, (void)value;
}

/* As route.c has it: what is not offered is not asked for. False: refused. */
static bool is_offered(const slc_explain_case *asked, slc_explain_outcome *outcome)
{
    bool publish = asked->operation == SLUICE__SNAPSHOT__V1__OPERATION__OPERATION_PUBLISH;
    const char *exposure = asked->stream ? "sse" : "rest";
    char why[120];
    if (!slc_event_api_offers(asked->api, asked->operation)) {
        slc_explain_refuse(outcome, 405, "method-not-allowed", "the event API does not offer the operation");
        return false;
    }
    if (slc_event_api_exposes(asked->api, exposure))
        return true;
    snprintf(why, sizeof why, "the event API is not exposed as %s", exposure);
    slc_explain_refuse(outcome, publish ? 405 : 406, publish ? "method-not-allowed" : "not-acceptable", why);
    return false;
}

static const char *or_else(const char *text, const char *otherwise)
{
    return text != NULL ? text : otherwise;
}

static slc_policy_request request_for(const slc_explain_case *asked, const slc_explain_proof *proof,
                                      slc_explain_outcome *outcome, const char *path)
{
    const json_t *request = request_of((void *)asked);
    bool publish = asked->operation == SLUICE__SNAPSHOT__V1__OPERATION__OPERATION_PUBLISH;
    bool asks = asked->listener != NULL && slc_listener_asks_certificate(asked->listener);
    bool secret = proof->type != NULL && strcmp(proof->type, "secret") == 0;
    return (slc_policy_request){
        .snapshot = asked->snapshot,
        .api = asked->api,
        .operation = asked->operation,
        .client_address = or_else(asked->address, ""),
        .stream = asked->stream,
        .body_bytes = (uint64_t)json_integer_value(json_object_get(request, "body_bytes")),
        .header = find_header,
        .query = find_parameter,
        .add_header = add_header,
        .method = or_else(json_string_value(json_object_get(request, "method")), publish ? "POST" : "GET"),
        .path = or_else(json_string_value(json_object_get(request, "path")), path),
        .protocol = (void *)asked,
        .token = proof->token,
        .certificate = asks ? proof->certificate : NULL,
        .listener = asked->listener,
        .principal = &outcome->principal,
        .trace = &outcome->trace,
        .proved = secret ? proof->credential_id : NULL};
}

void slc_explain_http(const slc_explain_case *asked, const slc_explain_proof *proof,
                      slc_explain_outcome *outcome)
{
    char path[SLC_LOOKUP_MAX + 40];
    slc_denial denial = {0};
    if (!is_offered(asked, outcome))
        return;
    snprintf(path, sizeof path, "/%s/v%u/events", asked->api->msg->name, asked->api->msg->major);
    slc_policy_request request = request_for(asked, proof, outcome, path);
    slc_charges charges = {.limits = slc_limits_new(LIMIT_KEYS)};
    request.charges = &charges;
    outcome->allowed = slc_chain_run(asked->api->chain, &request, &denial) == SLC_ALLOW;
    if (!outcome->allowed)
        slc_explain_refuse(outcome, denial.status, denial.type, denial.reason);
    slc_charges_release(&charges);
    slc_limits_free(charges.limits);
}
