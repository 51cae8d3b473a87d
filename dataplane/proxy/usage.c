#include "dataplane/proxy/usage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "dataplane/config/strmap.h"
#include "dataplane/kafka/wire.h"
#include "dataplane/proxy/session_private.h"
#include "dataplane/proxy/spans.h"

#define PRODUCE_KEY     0
#define FETCH_KEY       1
#define SHARE_FETCH_KEY 78
#define MAX_TOPIC       600 /* with the id of the virtual cluster; Kafka's own is 249 */
#define OLD_HEADER      17  /* up to the magic */
#define BATCH_LENGTH    12  /* bytes that the length does not count */
#define MAGIC_AT        16
#define ATTRIBUTES_AT   21
#define COUNT_AT        57
#define CONTROL         0x20

/* ---- topics ---- */

/* Which event API a topic is, by "<virtual cluster> <topic on the backend>"; made anew when it is first asked
 * after the configuration has changed. */
struct slc_usage_topics {
    slc_snapshot *snapshot; /* own reference */
    slc_strmap map;
    char **keys;
    size_t count;
};

static void forget_topics(struct slc_usage_topics *topics)
{
    for (size_t i = 0; i < topics->count; i++)
        free(topics->keys[i]);
    free(topics->keys);
    slc_strmap_release(&topics->map);
    slc_snapshot_unref(topics->snapshot);
    memset(topics, 0, sizeof *topics);
}

void slc_usage_topics_release(slc_proxy_front *front)
{
    if (front->usage_topics == NULL)
        return;
    if (front->usage_topics->snapshot != NULL)
        forget_topics(front->usage_topics);
    free(front->usage_topics);
    front->usage_topics = NULL;
}

static void find_topics(struct slc_usage_topics *topics, slc_snapshot *snapshot)
{
    size_t count;
    slc_event_api *const *apis = slc_snapshot_event_apis(snapshot, &count);
    if (topics->snapshot != NULL)
        forget_topics(topics);
    topics->snapshot = slc_snapshot_ref(snapshot);
    topics->keys = slc_calloc(count + 1, sizeof *topics->keys);
    slc_strmap_init(&topics->map, count);
    for (size_t i = 0; i < count; i++) {
        char *key = slc_asprintf("%s %s", apis[i]->msg->virtual_cluster_id, apis[i]->backend_topic);
        topics->keys[topics->count++] = key;
        (void)slc_strmap_add(&topics->map, key, strlen(key), apis[i]);
    }
}

/* NULL: of none. Lives as long as the map. */
static const slc_event_api *api_of(slc_session *session, const slc_kafka_span *head, const slc_kafka_span *body)
{
    slc_proxy_front *front = session->front;
    slc_snapshot *snapshot = front->worker->snapshot;
    const char *vcluster = session->vcluster->msg->id;
    size_t len = strlen(vcluster);
    char key[MAX_TOPIC];
    if (snapshot == NULL || len + 1 + head->len + body->len > sizeof key)
        return NULL;
    if (front->usage_topics == NULL)
        front->usage_topics = slc_calloc(1, sizeof *front->usage_topics);
    if (front->usage_topics->snapshot != snapshot)
        find_topics(front->usage_topics, snapshot);
    memcpy(key, vcluster, len);
    key[len++] = ' ';
    if (head->len > 0)
        memcpy(key + len, head->data, head->len);
    if (body->len > 0)
        memcpy(key + len + head->len, body->data, body->len);
    return slc_strmap_find(&front->usage_topics->map, key, len + head->len + body->len);
}

/* ---- counting ---- */

static void add(const slc_session *session, enum slc_usage_operation operation, const char *api,
                const slc_usage_sum *sum)
{
    slc_usage_key key;
    slc_usage_key_make(&key, operation, session->principal.application_id, api, session->vcluster->msg->id);
    slc_usage_add(&session->front->worker->usage, &key, sum);
}

static void settle(slc_usage_count *count)
{
    if (count->sum.bytes > 0) {
        if (count->span != NULL)
            slc_proxy_span_count(count->span, count->sum.events);
        count->sum.requests = 1;
        add(count->session, count->operation, count->api, &count->sum);
    }
    count->sum = (slc_usage_sum){0};
    count->api[0] = '\0';
}

void slc_usage_count_begin(slc_usage_count *count, slc_session *session, enum slc_usage_operation operation,
                           bool mapped, struct slc_proxy_span *span)
{
    count->session = session;
    count->span = span;
    count->operation = operation;
    count->mapped = mapped;
    count->api[0] = '\0';
    count->sum = (slc_usage_sum){0};
    count->have = 0;
}

void slc_usage_count_end(slc_usage_count *count)
{
    settle(count);
}

/* As the client calls it: what it wrote, or what the backend's name is to it. */
static void tell_span(const slc_usage_count *count, const slc_kafka_event *event, const slc_kafka_span *body,
                      const slc_event_api *api)
{
    const slc_view *view = count->session->view;
    bool written = event->field->role == SLC_KAFKA_ROLE_TOPIC && !count->mapped;
    slc_kafka_span name = written ? (slc_kafka_span){event->data, event->len} : *body;
    if (!written && view != NULL && name.data != NULL &&
        !slc_names_unmap(view->names, SLC_NAME_TOPIC, name.data, name.len, &name))
        return;
    if (name.data != NULL)
        slc_proxy_span_topic(count->span, name.data, name.len, api);
}

static void see_name(slc_usage_count *count, const slc_kafka_event *event)
{
    slc_session *session = count->session;
    slc_name name = {.body = {event->data, event->len}};
    if (event->field->role == SLC_KAFKA_ROLE_TOPIC_ID)
        name.body.data = slc_topic_ids_find(&session->topology->topic_ids, event->data, &name.body.len);
    else if (!count->mapped && session->view != NULL && event->data != NULL)
        slc_names_map(session->view->names, SLC_NAME_TOPIC, event->data, event->len, &name);
    settle(count);
    const slc_event_api *api = name.body.data != NULL ? api_of(session, &name.head, &name.body) : NULL;
    snprintf(count->api, sizeof count->api, "%s", api != NULL ? api->msg->id : "");
    if (count->span != NULL)
        tell_span(count, event, &name.body, api);
}

/* The header of a batch is there. Only one that is whole counts: brokers cut the last one of an answer
 * anywhere. Returns its size, 0 when it is none. */
static size_t take_batch(slc_usage_count *count, size_t left)
{
    bool modern = count->head[MAGIC_AT] >= 2;
    int32_t length = (int32_t)slc_kafka_get32(count->head + 8);
    size_t header = modern ? SLC_USAGE_BATCH_HEADER : OLD_HEADER;
    if (length < 0 || (size_t)length + BATCH_LENGTH < header || (size_t)length + BATCH_LENGTH > left)
        return 0;
    int32_t records = modern ? (int32_t)slc_kafka_get32(count->head + COUNT_AT) : 1;
    bool control = modern && (slc_kafka_get16(count->head + ATTRIBUTES_AT) & CONTROL) != 0;
    if (records > 0 && !control)
        count->sum.events += (uint64_t)records;
    return (size_t)length + BATCH_LENGTH;
}

/* Takes what is missing of the header at hand; true when it is there. */
static bool take_header(slc_usage_count *count, const uint8_t *data, size_t len, size_t *used)
{
    size_t wanted = count->have < OLD_HEADER ? OLD_HEADER : SLC_USAGE_BATCH_HEADER;
    while (count->have < wanted && *used < len) {
        size_t n = wanted - count->have < len - *used ? wanted - count->have : len - *used;
        memcpy(count->head + count->have, data + *used, n);
        count->have += n;
        *used += n;
        if (count->have == OLD_HEADER && count->head[MAGIC_AT] >= 2)
            wanted = SLC_USAGE_BATCH_HEADER;
    }
    return count->have == wanted && (wanted == SLC_USAGE_BATCH_HEADER || count->head[MAGIC_AT] < 2);
}

/* A piece of records: from header to header. What lies between them is passed over unless the span reads it. */
static void see_records(slc_usage_count *count, slc_kafka_walk *walk, const slc_kafka_event *event)
{
    bool read = count->span != NULL && slc_proxy_span_records(count->span, count->session->front, event);
    if (event->piece_at == 0) {
        count->have = count->batch_at = 0;
        count->broken = false;
        count->sum.bytes += event->total;
    }
    size_t next = count->batch_at + count->have;
    size_t used = next > event->piece_at ? next - event->piece_at : 0;
    while (!count->broken && used < event->len) {
        if (!take_header(count, event->data, event->len, &used))
            return;
        size_t size = take_batch(count, event->total - count->batch_at), header = count->have;
        count->broken = size == 0;
        count->batch_at += size;
        count->have = 0;
        used += size > header ? size - header : 0;
    }
    size_t end = event->piece_at + event->len;
    if (read)
        return;
    if (count->broken)
        slc_kafka_walk_skip(walk, event->total - end);
    else if (count->batch_at > end)
        slc_kafka_walk_skip(walk, count->batch_at - end);
}

void slc_usage_count_event(slc_usage_count *count, slc_kafka_walk *walk, const slc_kafka_event *event)
{
    if (event->kind != SLC_KAFKA_EV_VALUE)
        return;
    switch (event->field->role) {
    case SLC_KAFKA_ROLE_TOPIC:
    case SLC_KAFKA_ROLE_TOPIC_ID:
        see_name(count, event);
        break;
    case SLC_KAFKA_ROLE_RECORDS:
        if (event->data != NULL)
            see_records(count, walk, event);
        break;
    default:
        break;
    }
}

void slc_usage_count_message(slc_session *session, enum slc_usage_operation operation,
                             const slc_kafka_message *message, int version, const uint8_t *body, size_t len,
                             struct slc_proxy_span *span)
{
    const slc_kafka_walk_options options = {.wants = SLC_USAGE_WANTS, .trailing_ok = true};
    slc_kafka_walk walk;
    slc_kafka_event event;
    slc_usage_count count;
    slc_error err = {0};
    if (!slc_kafka_walk_init(&walk, message, version, len, &options, &err))
        return;
    slc_usage_count_begin(&count, session, operation, true, span);
    slc_kafka_walk_feed(&walk, body, len);
    while (slc_kafka_walk_next(&walk, &event, &err) == SLC_KAFKA_EVENT)
        slc_usage_count_event(&count, &walk, &event);
    slc_usage_count_end(&count);
}

static enum slc_usage_operation operation_of(int key)
{
    return key == PRODUCE_KEY                           ? SLC_USAGE_KAFKA_PRODUCE
           : key == FETCH_KEY || key == SHARE_FETCH_KEY ? SLC_USAGE_KAFKA_FETCH
                                                        : SLC_USAGE_NOTHING;
}

void slc_usage_count_error(const slc_session *session, int key)
{
    if (operation_of(key) != SLC_USAGE_NOTHING)
        add(session, operation_of(key), "", &(slc_usage_sum){.errors = 1});
}

void slc_usage_count_throttled(const slc_session *session)
{
    if (operation_of(session->key) != SLC_USAGE_NOTHING)
        add(session, operation_of(session->key), "", &(slc_usage_sum){.throttled = 1});
}
