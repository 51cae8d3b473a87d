/* The audit trail as records of a topic, by the producer that event APIs of the same backend have. */
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/log.h"
#include "dataplane/mediation/link.h"
#include "dataplane/mediation/mediation.h"
#include "dataplane/observe/audit_private.h"

struct slc_audit_topic {
    slc_audit *audit;
    slc_worker *worker;
    slc_link *link;     /* own reference; NULL: none yet */
    uint8_t digest[32]; /* of the backend that it is to */
    bool told;          /* the log has it that there is none */
};

/* A line under way; the broker's threads end it. */
struct sent {
    slc_audit *audit;
    int64_t bytes;
};

slc_audit_topic *slc_audit_topic_new(slc_audit *audit, slc_worker *worker)
{
    slc_audit_topic *topic = slc_calloc(1, sizeof *topic);
    topic->audit = audit;
    topic->worker = worker;
    return topic;
}

void slc_audit_topic_free(slc_audit_topic *topic)
{
    if (topic == NULL)
        return;
    if (topic->link != NULL)
        slc_link_unref(topic->link);
    free(topic);
}

static slc_backend *find_backend(const slc_audit_topic *topic)
{
    size_t count = 0;
    slc_backend *const *backends =
        topic->worker->snapshot != NULL ? slc_snapshot_backends(topic->worker->snapshot, &count) : NULL;
    for (size_t i = 0; i < count; i++)
        if (strcmp(backends[i]->msg->name, topic->audit->backend) == 0)
            return backends[i];
    return NULL;
}

/* The backend's configuration may have changed since. */
static slc_link *find_link(slc_audit_topic *topic)
{
    slc_backend *backend = find_backend(topic);
    slc_error err = {0};
    if (backend == NULL || topic->worker->mediation == NULL) {
        if (!topic->told)
            slc_log(SLC_LOG_WARN,
                    "the audit trail has no backend: its lines for Kafka are lost until there is one",
                    LS("backend", topic->audit->backend));
        topic->told = true;
        return NULL;
    }
    if (topic->link != NULL && memcmp(topic->digest, backend->digest, sizeof topic->digest) == 0)
        return topic->link;
    if (topic->link != NULL)
        slc_link_unref(topic->link);
    topic->link = slc_mediation_link(topic->worker->mediation, backend, &err);
    memcpy(topic->digest, backend->digest, sizeof topic->digest);
    topic->told = topic->link == NULL;
    if (topic->link == NULL)
        slc_log_error(SLC_LOG_WARN, "the audit trail cannot use its backend", &err);
    return topic->link;
}

static void end(struct sent *sent, bool lost)
{
    atomic_fetch_sub(&sent->audit->topic_bytes, sent->bytes);
    if (lost)
        slc_series_add(sent->audit->lost, 1);
    free(sent);
}

static void on_published(void *ctx, enum slc_publish_outcome outcome, int32_t partition, int64_t offset)
{
    (void)partition, (void)offset;
    end(ctx, outcome != SLC_PUBLISHED);
}

static void send_line(slc_audit_topic *topic, slc_link *link, const char *line, size_t len)
{
    slc_audit *audit = topic->audit;
    const slc_outgoing record = {.topic = audit->topic, .value = line, .value_len = len};
    slc_error err = {0};
    struct sent *sent = slc_malloc(sizeof *sent);
    *sent = (struct sent){audit, (int64_t)len};
    int64_t before = atomic_fetch_add(&audit->topic_bytes, sent->bytes);
    if (link == NULL || before + sent->bytes > audit->topic_limit_bytes ||
        !link->ops->publish(link->broker, &record, on_published, sent, &err))
        end(sent, true);
}

void slc_audit_topic_send(slc_audit_topic *topic, const char *text, size_t len)
{
    slc_link *link = find_link(topic);
    while (len > 0) {
        const char *stop = memchr(text, '\n', len);
        size_t line = stop != NULL ? (size_t)(stop - text) : len;
        send_line(topic, link, text, line);
        len -= line + (stop != NULL ? 1 : 0);
        text += line + (stop != NULL ? 1 : 0);
    }
}
