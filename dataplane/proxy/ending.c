/* Why sessions end: counted always, logged the first time, and how often it came again once in an interval
 * (kafka.log-interval), so that a client that tries for ever does not fill the log. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "common/log.h"
#include "dataplane/proxy/session_private.h"

#define TEXT "native session closed"

/* What a line says. Texts are cut to fit. */
struct ending {
    char reason[384];
    char listener[64], virtual_cluster[64];
    char client[64], client_id[64];
    char application[64], credential[24];
    char api[40];
    int64_t version;
};

static void describe(const slc_session *session, struct ending *out)
{
    *out = (struct ending){.version = session->version};
    snprintf(out->reason, sizeof out->reason, "%s", session->why.message);
    snprintf(out->listener, sizeof out->listener, "%s", session->entity->msg->name);
    if (session->vcluster != NULL)
        snprintf(out->virtual_cluster, sizeof out->virtual_cluster, "%s", session->vcluster->msg->name);
    snprintf(out->client, sizeof out->client, "%s", session->address);
    snprintf(out->client_id, sizeof out->client_id, "%s", session->client_id);
    snprintf(out->application, sizeof out->application, "%s", session->principal.application_name);
    snprintf(out->credential, sizeof out->credential, "%s", session->principal.credential_id);
    if (session->key >= 0 && session->key < SLC_KAFKA_KEYS)
        snprintf(out->api, sizeof out->api, "%s", slc_kafka_apis[session->key].name);
    else if (session->version >= 0)
        snprintf(out->api, sizeof out->api, "key %d", session->key);
}

static void write_line(const struct ending *ending, uint64_t repeated)
{
    slc_log(SLC_LOG_WARN, TEXT, LS("reason", ending->reason), LS("listener", ending->listener),
            LS("virtual_cluster", ending->virtual_cluster), LS("client", ending->client),
            LS("client_id", ending->client_id), LS("application", ending->application),
            LS("credential", ending->credential), LS("api", ending->api), LI("version", ending->version),
            LI("repeated", (int64_t)repeated));
}

/* The port is another one each time. */
static uint64_t key_of(const struct ending *ending)
{
    char host[64];
    const char *colon = strrchr(ending->client, ':');
    size_t len = colon != NULL ? (size_t)(colon - ending->client) : strlen(ending->client);
    snprintf(host, sizeof host, "%.*s", (int)len, ending->client);
    const char *const parts[] = {
        host,          ending->listener, ending->virtual_cluster, ending->client_id, ending->application,
        ending->reason};
    uint64_t key = SLC_REPEATS_KEY;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        key = slc_repeats_key(key, parts[i]);
    return key;
}

void slc_session_log_end(slc_session *session)
{
    struct ending ending;
    slc_repeat *repeat;
    slc_proxy_front *front = session->front;
    slc_session_audit_end(session);
    if (session->why.code == SLC_OK)
        return;
    if (strcmp(session->why.field, SLC_ENDING_STALE) == 0) { /* all at once: the configuration client says it */
        slc_proxy_metrics_closed(SLC_ENDING_STALE, NULL, NULL);
        return;
    }
    describe(session, &ending);
    slc_proxy_metrics_closed(session->why.field, session->vcluster != NULL ? ending.virtual_cluster : NULL,
                             session->key >= 0 && session->key < SLC_KAFKA_KEYS ? ending.api : NULL);
    if (front->limits->kafka_log_interval_ms == 0) {
        write_line(&ending, 0);
    } else if (slc_repeats_first(&front->endings, key_of(&ending), slc_monotonic_ms(), &repeat)) {
        write_line(&ending, 0);
        repeat->about = slc_malloc(sizeof ending);
        memcpy(repeat->about, &ending, sizeof ending);
    }
}

static void tell(const slc_repeat *repeat)
{
    write_line(repeat->about, repeat->count);
}

void slc_proxy_endings_tell(slc_proxy_front *front, int64_t now_ms, bool all)
{
    int64_t interval_ms = all ? 0 : front->limits->kafka_log_interval_ms;
    uint64_t others = slc_repeats_expire(&front->endings, now_ms, interval_ms, tell, free);
    if (others > 0)
        slc_log(SLC_LOG_WARN, "native sessions closed for more reasons than are told apart",
                LI("sessions", (int64_t)others));
}

void slc_proxy_endings_free(slc_proxy_front *front)
{
    slc_proxy_endings_tell(front, slc_monotonic_ms(), true);
    slc_repeats_release(&front->endings, free);
}
