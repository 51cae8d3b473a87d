/* What the audit trail says of native sessions. */
#include "common/clock.h"
#include "dataplane/observe/audit.h"
#include "dataplane/proxy/session_private.h"

static slc_audit_event describe(slc_session *session)
{
    slc_session_find_host(session);
    return (slc_audit_event){.protocol = "kafka",
                             .mechanism = session->principal.by,
                             .client = session->host,
                             .client_id = session->client_id,
                             .listener = session->entity->msg->name,
                             .virtual_cluster = session->vcluster != NULL ? session->vcluster->msg->name : NULL,
                             .application = session->principal.application_name,
                             .credential = session->principal.credential_id};
}

void slc_session_audit_entry(slc_session *session, const char *mechanism, const char *refused)
{
    slc_audit_log *audit = session->front->worker->audit;
    if (!slc_audit_wants(audit, SLC_AUDIT_AUTHENTICATION))
        return;
    slc_audit_event event = describe(session);
    event.class = SLC_AUDIT_AUTHENTICATION;
    event.mechanism = mechanism;
    event.outcome = refused == NULL ? "good" : "refused";
    event.reason = refused;
    slc_audit_add(audit, &event);
}

void slc_session_audit_denial(slc_session *session, const char *operation, const char *resource,
                              const char *name, const char *reason)
{
    slc_audit_log *audit = session->front->worker->audit;
    if (!slc_audit_wants(audit, SLC_AUDIT_DENIAL))
        return;
    slc_audit_event event = describe(session);
    event.class = SLC_AUDIT_DENIAL;
    event.outcome = "denied";
    event.operation = operation;
    event.resource = resource;
    event.name = name;
    event.reason = reason;
    slc_audit_add(audit, &event);
}

void slc_session_audit_end(slc_session *session)
{
    slc_audit_log *audit = session->front->worker->audit;
    if (!slc_audit_wants(audit, SLC_AUDIT_ACCESS) || !session->allowed)
        return;
    slc_audit_event event = describe(session);
    event.class = SLC_AUDIT_ACCESS;
    event.outcome = "over";
    event.reason = session->why.message;
    event.duration_ms = slc_wall_ms() - session->opened_ms;
    slc_audit_add(audit, &event);
}
