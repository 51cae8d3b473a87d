/* What a session may do: its access, which guards its view; and what is said about denials. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "common/log.h"
#include "dataplane/mediation/mediation.h"
#include "dataplane/proxy/session_private.h"

#define TEXT     "native request denied"
#define DRY_TEXT "dry run: native request would have been denied"

/* What a line says. Texts are cut to fit. */
struct denial {
    char virtual_cluster[64], client[64], application[64], credential[24];
    char api[40], operation[24], resource[24], name[256], reason[200];
    bool dry_run;
};

static void write_line(const struct denial *denial, uint64_t repeated)
{
    slc_log(SLC_LOG_INFO, denial->dry_run ? DRY_TEXT : TEXT, LS("virtual_cluster", denial->virtual_cluster),
            LS("client", denial->client), LS("application", denial->application),
            LS("credential", denial->credential), LS("api", denial->api), LS("operation", denial->operation),
            LS("resource", denial->resource), LS("name", denial->name), LS("reason", denial->reason),
            LI("repeated", (int64_t)repeated));
}

static uint64_t key_of(const struct denial *denial)
{
    const char *const parts[] = {
        denial->virtual_cluster, denial->application, denial->credential, denial->api,
        denial->operation,       denial->resource,    denial->name,       denial->reason};
    uint64_t key = SLC_REPEATS_KEY;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        key = slc_repeats_key(key, parts[i]);
    return slc_repeats_key(key, denial->dry_run ? "dry" : "");
}

/* Only printable characters go to logs. */
static void print_name(char *out, size_t cap, const uint8_t *name, size_t len)
{
    size_t count = len < cap - 1 ? len : cap - 1;
    for (size_t i = 0; i < count; i++)
        out[i] = name[i] >= 0x20 && name[i] < 0x7f ? (char)name[i] : '?';
    out[count] = '\0';
}

static void on_denied(void *ctx, const slc_access_denial *what)
{
    slc_session *session = ctx;
    slc_proxy_front *front = session->front;
    struct denial denial = {0};
    slc_repeat *repeat;
    snprintf(denial.virtual_cluster, sizeof denial.virtual_cluster, "%s", session->vcluster->msg->name);
    snprintf(denial.client, sizeof denial.client, "%s", session->host);
    snprintf(denial.application, sizeof denial.application, "%s", session->principal.application_name);
    snprintf(denial.credential, sizeof denial.credential, "%s", session->principal.credential_id);
    snprintf(denial.api, sizeof denial.api, "%s", session->key >= 0 ? slc_kafka_apis[session->key].name : "");
    snprintf(denial.operation, sizeof denial.operation, "%s", slc_operation_name(what->operation));
    snprintf(denial.resource, sizeof denial.resource, "%s", slc_resource_name(what->resource));
    snprintf(denial.reason, sizeof denial.reason, "%s", what->reason);
    print_name(denial.name, sizeof denial.name, what->name, what->len);
    denial.dry_run = what->dry_run;
    if (!what->dry_run) {
        slc_proxy_metrics_denied(denial.virtual_cluster, denial.api, denial.resource);
        slc_usage_count_error(session, session->key);
        slc_session_audit_denial(session, denial.operation, denial.resource, denial.name, denial.reason);
    }
    if (front->limits->kafka_log_interval_ms == 0) {
        write_line(&denial, 0);
    } else if (slc_repeats_first(&front->denials, key_of(&denial), slc_monotonic_ms(), &repeat)) {
        write_line(&denial, 0);
        repeat->about = slc_malloc(sizeof denial);
        memcpy(repeat->about, &denial, sizeof denial);
    }
}

static void tell(const slc_repeat *repeat)
{
    write_line(repeat->about, repeat->count);
}

void slc_proxy_denials_tell(slc_proxy_front *front, int64_t now_ms, bool all)
{
    int64_t interval_ms = all ? 0 : front->limits->kafka_log_interval_ms;
    uint64_t others = slc_repeats_expire(&front->denials, now_ms, interval_ms, tell, free);
    if (others > 0)
        slc_log(SLC_LOG_INFO, "more native requests denied than are told apart",
                LI("denials", (int64_t)others));
}

void slc_proxy_denials_free(slc_proxy_front *front)
{
    slc_proxy_denials_tell(front, slc_monotonic_ms(), true);
    slc_repeats_release(&front->denials, free);
}

/* ---- the session's ---- */

/* "192.0.2.1" of "192.0.2.1:40123", "2001:db8::1" of "[2001:db8::1]:40123". */
void slc_session_find_host(slc_session *session)
{
    const char *from = session->address, *end = strrchr(from, ':');
    size_t len = end != NULL ? (size_t)(end - from) : strlen(from);
    if (len > 1 && from[0] == '[' && from[len - 1] == ']') {
        from++;
        len -= 2;
    }
    snprintf(session->host, sizeof session->host, "%.*s", (int)len, from);
}

static void guard(slc_session *session)
{
    bool needed = session->access != NULL || slc_session_is_limited(session);
    if (needed && session->view == NULL) {
        session->view = slc_calloc(1, sizeof *session->view);
        slc_view_init(session->view, slc_names_identity(), &session->topology->topic_ids);
    }
    if (session->view == NULL)
        return;
    if (session->front->worker->mediation != NULL)
        session->front->records.letters = slc_mediation_letters(session->front->worker->mediation);
    bool changes =
        slc_record_rules_init(&session->records, session->access, &session->front->records, session->pauses);
    session->view->records = changes ? &session->records.hook : NULL;
    slc_view_set_guard(session->view, slc_access_guard(session->access));
}

bool slc_session_is_authorised(slc_session *session)
{
    bool known = session->authorised && strcmp(session->authorised_as, session->principal.credential_id) == 0;
    return known || slc_session_authorise(session);
}

static slc_access_subject subject_of(slc_session *session, slc_principal *principal, const slc_token *token)
{
    slc_session_find_host(session);
    return (slc_access_subject){.vcluster = session->vcluster,
                                .listener_id = session->entity->msg->id,
                                .client_address = session->host,
                                .principal = principal,
                                .token = token,
                                .certificate = slc_certificate_of(session->client.ssl),
                                .denied = on_denied,
                                .ctx = session};
}

bool slc_session_takes_token(slc_session *session, slc_principal *principal, const slc_token *token,
                             char why[200])
{
    const slc_access_subject subject = subject_of(session, principal, token);
    return slc_access_takes_token(&subject, session->front->worker->snapshot, why);
}

bool slc_session_authorise(slc_session *session)
{
    slc_snapshot *snapshot = session->front->worker->snapshot;
    slc_access *before = session->access;
    bool is_in = session->authorised && strcmp(session->authorised_for, session->principal.application_id) == 0;
    char why[200];
    session->authorised = true;
    snprintf(session->authorised_as, sizeof session->authorised_as, "%s", session->principal.credential_id);
    snprintf(session->authorised_for, sizeof session->authorised_for, "%s", session->principal.application_id);
    if (snapshot == NULL || session->passthrough)
        return true;
    const slc_access_subject subject = subject_of(session, &session->principal, session->token);
    if (!slc_access_admits(&subject, snapshot, why)) {
        slc_session_refuse(session, SLC_DENIED, "refused", "%.190s", why);
        slc_session_audit_denial(session, NULL, NULL, NULL, why);
        return false;
    }
    session->access = slc_access_new(&subject, snapshot);
    bool let_in = slc_session_limit(session, &subject, snapshot, is_in);
    guard(session);
    slc_access_free(before);
    return let_in;
}

bool slc_session_may_try(slc_session *session)
{
    slc_snapshot *snapshot = session->front->worker->snapshot;
    slc_principal nobody = {0};
    char why[200];
    if (snapshot == NULL)
        return true;
    slc_session_find_host(session);
    const slc_access_subject subject = {.vcluster = session->vcluster,
                                        .listener_id = session->entity->msg->id,
                                        .client_address = session->host,
                                        .principal = &nobody};
    if (slc_access_admits_strangers(&subject, snapshot, why))
        return true;
    slc_session_refuse(session, SLC_DENIED, "refused", "%.190s", why);
    return false;
}

bool slc_session_rights_changed(slc_session *session, slc_snapshot *snapshot)
{
    bool restricted = session->access != NULL;
    if (!session->allowed || !session->authorised)
        return true;
    if (restricted && slc_access_apply(session->access, snapshot)) {
        slc_session_limits_follow(session, snapshot);
        return true;
    }
    return slc_session_authorise(session);
}
