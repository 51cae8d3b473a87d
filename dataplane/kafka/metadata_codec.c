/* The gateway's own Metadata client messages. */
#include "dataplane/kafka/metadata_codec.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "dataplane/kafka/decode.h"
#include "dataplane/kafka/encode.h"

bool slc_kafka_metadata_request(slc_buf *out, int32_t correlation_id, const char *client_id,
                                const slc_kafka_topic_query *topics, size_t n, slc_error *err)
{
    static const uint8_t zero_id[16];
    for (size_t i = 0; i < n; i++) {
        if (topics[i].name != NULL && strlen(topics[i].name) > SLC_KAFKA_TOPIC_MAX)
            return slc_fail(err, SLC_INVALID, "Topics", "A topic name has at most %d bytes.",
                            SLC_KAFKA_TOPIC_MAX);
    }
    size_t begin = slc_kafka_request_begin(out, SLC_KAFKA_METADATA_KEY, SLC_KAFKA_METADATA_VERSION,
                                           correlation_id, client_id);
    slc_kafka_add_count(out, true, (int32_t)n);
    for (size_t i = 0; i < n; i++) {
        const char *name = topics[i].name;
        (void)slc_buf_add(out, name != NULL ? zero_id : topics[i].id, sizeof(zero_id));
        slc_kafka_add_string(out, true, name, name != NULL ? strlen(name) : 0);
        slc_kafka_add_no_tags(out);
    }
    slc_kafka_add_int8(out, 0); /* allow_auto_topic_creation */
    slc_kafka_add_int8(out, 0); /* include_topic_authorized_operations */
    slc_kafka_add_no_tags(out);
    return slc_kafka_frame_end(out, begin, err);
}

enum { BROKERS, TOPICS, PARTITIONS, NOWHERE };

struct reading {
    slc_kafka_metadata *metadata;
    const slc_kafka_metadata_limits *limits;
    int inside; /* of which array's element */
};

/* One more zeroed item at the end of an array. */
static void *grow(void *items, size_t *count, size_t *cap, size_t size)
{
    if (*count == *cap) {
        *cap = *cap > 0 ? *cap * 2 : 8;
        items = slc_realloc(items, *cap * size);
    }
    memset((char *)items + *count * size, 0, size);
    (*count)++;
    return items;
}

static bool check_limit(size_t count, size_t max, const char *what, slc_error *err)
{
    if (count < max)
        return true;
    return slc_fail(err, SLC_LIMIT, what, "The backend's metadata has more than %zu %s.", max, what);
}

static bool begin_element(struct reading *r, const slc_kafka_event *ev, slc_error *err)
{
    slc_kafka_metadata *m = r->metadata;
    const char *name = ev->field->name;
    if (strcmp(name, "Brokers") == 0) {
        r->inside = BROKERS;
        if (!check_limit(m->n_brokers, r->limits->brokers, "brokers", err))
            return false;
        m->brokers = grow(m->brokers, &m->n_brokers, &m->caps_[BROKERS], sizeof(*m->brokers));
    } else if (strcmp(name, "Topics") == 0) {
        r->inside = TOPICS;
        if (!check_limit(m->n_topics, r->limits->topics, "topics", err))
            return false;
        m->topics = grow(m->topics, &m->n_topics, &m->caps_[TOPICS], sizeof(*m->topics));
        m->topics[m->n_topics - 1].first_partition = m->n_partitions;
    } else if (strcmp(name, "Partitions") == 0) {
        r->inside = PARTITIONS;
        if (!check_limit(m->n_partitions, r->limits->partitions, "partitions", err))
            return false;
        m->partitions = grow(m->partitions, &m->n_partitions, &m->caps_[PARTITIONS], sizeof(*m->partitions));
        m->topics[m->n_topics - 1].partitions++;
    }
    return true;
}

static bool read_broker(slc_kafka_broker *broker, const slc_kafka_event *ev, slc_error *err)
{
    if (slc_kafka_event_is(ev, "NodeId"))
        broker->id = (int32_t)ev->number;
    else if (slc_kafka_event_is(ev, "Port"))
        broker->port = (int32_t)ev->number;
    else if (slc_kafka_event_is(ev, "Host"))
        return slc_kafka_event_copy(ev, broker->host, sizeof(broker->host), err);
    return true;
}

static bool read_topic(slc_kafka_topic *topic, const slc_kafka_event *ev, slc_error *err)
{
    if (slc_kafka_event_is(ev, "ErrorCode"))
        topic->error = (int16_t)ev->number;
    else if (slc_kafka_event_is(ev, "IsInternal"))
        topic->internal = ev->number != 0;
    else if (slc_kafka_event_is(ev, "TopicId"))
        memcpy(topic->id, ev->data, sizeof(topic->id));
    else if (slc_kafka_event_is(ev, "Name"))
        return slc_kafka_event_copy(ev, topic->name, sizeof(topic->name), err);
    return true;
}

static bool read_partition(slc_kafka_partition *partition, const slc_kafka_event *ev)
{
    if (slc_kafka_event_is(ev, "ErrorCode"))
        partition->error = (int16_t)ev->number;
    else if (slc_kafka_event_is(ev, "PartitionIndex"))
        partition->index = (int32_t)ev->number;
    else if (slc_kafka_event_is(ev, "LeaderId"))
        partition->leader = (int32_t)ev->number;
    else if (slc_kafka_event_is(ev, "LeaderEpoch"))
        partition->leader_epoch = (int32_t)ev->number;
    return true;
}

static bool read_top(slc_kafka_metadata *m, const slc_kafka_event *ev, slc_error *err)
{
    if (slc_kafka_event_is(ev, "ThrottleTimeMs"))
        m->throttle_ms = (int32_t)ev->number;
    else if (slc_kafka_event_is(ev, "ControllerId"))
        m->controller = (int32_t)ev->number;
    else if (slc_kafka_event_is(ev, "ClusterId"))
        return slc_kafka_event_copy(ev, m->cluster_id, sizeof(m->cluster_id), err);
    return true;
}

static bool visit(void *ctx, const slc_kafka_event *ev, slc_error *err)
{
    struct reading *r = ctx;
    slc_kafka_metadata *m = r->metadata;
    if (ev->kind == SLC_KAFKA_EV_ELEMENT)
        return begin_element(r, ev, err);
    if (ev->kind == SLC_KAFKA_EV_ELEMENT_END)
        r->inside = r->inside == PARTITIONS ? TOPICS : NOWHERE;
    if (ev->kind != SLC_KAFKA_EV_VALUE)
        return true;
    switch (r->inside) {
    case BROKERS:
        return read_broker(&m->brokers[m->n_brokers - 1], ev, err);
    case TOPICS:
        return read_topic(&m->topics[m->n_topics - 1], ev, err);
    case PARTITIONS:
        return read_partition(&m->partitions[m->n_partitions - 1], ev);
    default:
        return read_top(m, ev, err);
    }
}

bool slc_kafka_metadata_response(const uint8_t *frame, size_t len, int32_t correlation_id,
                                 const slc_kafka_metadata_limits *limits, slc_kafka_metadata *metadata,
                                 slc_error *err)
{
    struct reading r = {.metadata = metadata, .limits = limits, .inside = NOWHERE};
    if (slc_kafka_response_decode(SLC_KAFKA_METADATA_KEY, SLC_KAFKA_METADATA_VERSION, correlation_id, frame,
                                  len, visit, &r, err))
        return true;
    slc_kafka_metadata_release(metadata);
    return false;
}

void slc_kafka_metadata_release(slc_kafka_metadata *metadata)
{
    free(metadata->brokers);
    free(metadata->topics);
    free(metadata->partitions);
    *metadata = (slc_kafka_metadata){0};
}
