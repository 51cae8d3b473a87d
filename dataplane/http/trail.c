/* What the audit trail says of HTTP requests. */
#include <stdio.h>

#include "common/clock.h"
#include "dataplane/http/front_private.h"
#include "dataplane/observe/audit.h"
#include "dataplane/observe/trace.h"

#define NAME_CHARS   96
#define REASON_CHARS 288

static slc_audit_event describe(const slc_exchange *exchange, char name[NAME_CHARS])
{
    const struct slc_exchange_private *self = (const struct slc_exchange_private *)exchange;
    const Sluice__Snapshot__V1__EventApi *api = exchange->api->msg;
    bool publish = exchange->operation == SLUICE__SNAPSHOT__V1__OPERATION__OPERATION_PUBLISH;
    bool read = exchange->operation == SLUICE__SNAPSHOT__V1__OPERATION__OPERATION_READ;
    snprintf(name, NAME_CHARS, "%s.v%u", api->name, api->major);
    return (slc_audit_event){.protocol = "http",
                             .mechanism = exchange->principal.by,
                             .client = exchange->client_address,
                             .event_api = name,
                             .application = exchange->principal.application_name,
                             .credential = exchange->principal.credential_id,
                             .operation = publish ? "publish"
                                          : read  ? "read"
                                                  : NULL,
                             .request_id = exchange->request_id,
                             .method = self->method,
                             .path = self->path};
}

void slc_trail_decided(slc_exchange *exchange, const slc_denial *denial)
{
    slc_audit_log *audit = exchange->worker->audit;
    char name[NAME_CHARS];
    if (audit == NULL || exchange->api == NULL)
        return;
    slc_audit_event event = describe(exchange, name);
    bool kept_out = denial != NULL && denial->unauthenticated;
    if (kept_out || exchange->principal.authenticated) {
        event.class = SLC_AUDIT_AUTHENTICATION;
        event.outcome = kept_out ? "refused" : "good";
        event.reason = kept_out ? denial->reason : NULL;
        event.status = kept_out ? denial->status : 0;
        slc_audit_add(audit, &event);
    }
    if (denial == NULL || kept_out)
        return;
    event.class = SLC_AUDIT_DENIAL;
    event.outcome = "denied";
    event.reason = denial->reason;
    event.status = denial->status;
    slc_audit_add(audit, &event);
}

void slc_exchange_denied(slc_exchange *exchange, const char *policy, const char *reason)
{
    slc_audit_log *audit = exchange->worker->audit;
    char name[NAME_CHARS], why[REASON_CHARS];
    if (!slc_audit_wants(audit, SLC_AUDIT_DENIAL) || exchange->api == NULL)
        return;
    snprintf(why, sizeof why, "policy %.60s: %.200s", policy != NULL ? policy : "", reason);
    slc_audit_event event = describe(exchange, name);
    event.class = SLC_AUDIT_DENIAL;
    event.outcome = "denied";
    event.reason = why;
    slc_audit_add(audit, &event);
}

void slc_trail_over(slc_exchange *exchange, int status)
{
    slc_audit_log *audit = exchange->worker->audit;
    char name[NAME_CHARS];
    if (!slc_audit_wants(audit, SLC_AUDIT_ACCESS) || exchange->api == NULL)
        return;
    slc_audit_event event = describe(exchange, name);
    event.class = SLC_AUDIT_ACCESS;
    event.outcome = "over";
    event.status = status;
    event.events = exchange->events;
    event.bytes_in = exchange->bytes_in;
    event.bytes_out = exchange->bytes_out;
    event.duration_ms = (slc_monotonic_us() - exchange->started_us) / 1000;
    slc_audit_add(audit, &event);
}

void slc_trail_end_span(slc_exchange *exchange, int status)
{
    const struct slc_exchange_private *self = (const struct slc_exchange_private *)exchange;
    char name[NAME_CHARS];
    if (exchange->span == NULL)
        return;
    slc_span_facts facts = {.method = self->method,
                            .path = self->path,
                            .request_id = exchange->request_id,
                            .application = exchange->principal.application_name,
                            .status = status,
                            .events = exchange->events};
    if (exchange->api != NULL) {
        slc_audit_event event = describe(exchange, name);
        facts.event_api = event.event_api;
        facts.operation = event.operation;
    }
    slc_span_end(exchange->span, &facts);
    exchange->span = NULL;
}
