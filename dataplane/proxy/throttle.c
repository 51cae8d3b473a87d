/* Limits of a session, as brokers apply quotas: what was done is paid for, whoever owes is told so in
 * throttle_time_ms and is not read from until it is paid, at most kafka.throttle-max at a time. */
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "dataplane/kafka/wire.h"
#include "dataplane/policy/native_limits.h"
#include "dataplane/proxy/session_private.h"

#define MAX_TOPIC      600 /* Kafka's own is 249 */
#define BATCH_HEADER   61  /* of magic 2, up to its records */
#define BATCH_MAGIC_AT 16
#define BATCH_COUNT_AT 57
#define BATCH_LENGTH   12 /* bytes that the length does not count */

struct slc_throttle {
    slc_native_limits limits;
    int64_t until_ms;        /* monotonic: not read from until then; 0: read from */
    int64_t topics_until_ms; /* likewise: what was done with some topic's records is paid for then */
    int64_t answer_ms;       /* what the answer at hand says */
    struct event timer;
};

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    slc_session_pump(arg);
}

bool slc_session_limit(slc_session *session, const slc_access_subject *subject, slc_snapshot *snapshot,
                       bool is_in)
{
    slc_native_limits limits;
    struct slc_limits *table = session->front->worker->limits;
    char why[200];
    bool first = session->throttle == NULL;
    if (table == NULL)
        return true;
    if (!first)
        slc_native_limits_release(&session->throttle->limits);
    if (!slc_native_limits_take(subject, snapshot, table, session->front->worker->shared, is_in, &limits,
                                why)) {
        slc_session_refuse(session, SLC_LIMIT, "limit", "%.180s", why);
        return false;
    }
    if (limits.rates.count + limits.connections.count == 0 && limits.topics == NULL && first)
        return true;
    if (first) {
        session->throttle = slc_calloc(1, sizeof *session->throttle);
        evtimer_assign(&session->throttle->timer, session->front->base, on_timer, session);
    }
    session->throttle->limits = limits;
    session->throttle->answer_ms = session->throttle->until_ms = session->throttle->topics_until_ms = 0;
    return true;
}

void slc_session_limits_follow(slc_session *session, slc_snapshot *snapshot)
{
    if (session->throttle != NULL && session->throttle->limits.topics != NULL)
        slc_topic_limits_follow(session->throttle->limits.topics, snapshot);
}

void slc_session_unlimit(slc_session *session)
{
    if (session->throttle == NULL)
        return;
    evtimer_del(&session->throttle->timer);
    slc_native_limits_release(&session->throttle->limits);
    free(session->throttle);
    session->throttle = NULL;
}

bool slc_session_is_limited(const slc_session *session)
{
    const struct slc_throttle *throttle = session->throttle;
    return throttle != NULL && (throttle->limits.rates.count > 0 || throttle->limits.topics != NULL);
}

bool slc_session_counts_events(const slc_session *session)
{
    const struct slc_throttle *throttle = session->throttle;
    return throttle != NULL && (throttle->limits.events || throttle->limits.topics != NULL);
}

/* ---- paying ---- */

void slc_session_pay(slc_session *session, uint64_t requests, uint64_t events, uint64_t bytes)
{
    struct slc_throttle *throttle = session->throttle;
    int64_t now_ms = slc_monotonic_ms(), most = session->front->limits->kafka_throttle_max_ms;
    if (!slc_session_is_limited(session))
        return;
    int64_t owed = slc_native_limits_pay(&throttle->limits, requests, events, bytes);
    owed = owed < most ? owed : most;
    owed = owed > throttle->topics_until_ms - now_ms ? owed : throttle->topics_until_ms - now_ms;
    throttle->answer_ms = owed;
    if (owed > 0)
        throttle->until_ms = now_ms + owed;
}

bool slc_session_is_throttled(slc_session *session)
{
    struct slc_throttle *throttle = session->throttle;
    if (throttle == NULL || throttle->until_ms == 0)
        return false;
    int64_t left = throttle->until_ms - slc_monotonic_ms();
    if (left <= 0) {
        throttle->until_ms = 0;
        return false;
    }
    if (!evtimer_pending(&throttle->timer, NULL)) {
        const struct timeval wait = {left / 1000, (left % 1000) * 1000};
        evtimer_add(&throttle->timer, &wait);
        slc_proxy_metrics_throttled(session->vcluster->msg->name);
        slc_usage_count_throttled(session);
    }
    return true;
}

int64_t slc_session_throttle_ms(const slc_session *session)
{
    return session->throttle != NULL ? session->throttle->answer_ms : 0;
}

/* ---- events ---- */

/* How many records the batches hold, as their headers say. What is older than magic 2 counts as one each. */
static uint64_t records_in(const uint8_t *data, size_t len)
{
    uint64_t count = 0;
    for (size_t at = 0; len - at >= BATCH_LENGTH + 5;) {
        size_t size = slc_kafka_get32(data + at + 8);
        bool counted = data[at + BATCH_MAGIC_AT] >= 2 && len - at >= BATCH_HEADER;
        int32_t records = counted ? (int32_t)slc_kafka_get32(data + at + BATCH_COUNT_AT) : 1;
        count += records > 0 ? (uint64_t)records : 0;
        if (size > len - at - BATCH_LENGTH)
            break;
        at += BATCH_LENGTH + size;
    }
    return count;
}

/* What is read of a message: the records of one topic after the other. */
struct counting {
    slc_session *session;
    bool mapped;
    uint8_t name[MAX_TOPIC]; /* of the topic, on the backend */
    size_t len;
    uint64_t events, bytes; /* of the topic */
    uint64_t all;
    int64_t owed_ms;
};

static void settle(struct counting *counting)
{
    slc_topic_limits *topics = counting->session->throttle->limits.topics;
    counting->all += counting->events;
    if (topics != NULL && counting->bytes > 0) {
        int64_t owed_ms = slc_topic_limits_pay(topics, counting->name, counting->len, 1, counting->events,
                                               counting->bytes, slc_limits_now_ns());
        counting->owed_ms = owed_ms > counting->owed_ms ? owed_ms : counting->owed_ms;
    }
    counting->events = counting->bytes = 0;
    counting->len = 0;
}

static void name_topic(struct counting *counting, const slc_kafka_span *head, const slc_kafka_span *body)
{
    if (head->len + body->len > sizeof counting->name)
        return;
    if (head->len > 0)
        memcpy(counting->name, head->data, head->len);
    if (body->len > 0)
        memcpy(counting->name + head->len, body->data, body->len);
    counting->len = head->len + body->len;
}

static void see(struct counting *counting, const slc_kafka_event *event)
{
    const slc_view *view = counting->session->view;
    slc_name name = {.body = {event->data, event->len}};
    switch (event->field->role) {
    case SLC_KAFKA_ROLE_TOPIC:
        settle(counting);
        if (!counting->mapped && event->data != NULL)
            slc_names_map(view->names, SLC_NAME_TOPIC, event->data, event->len, &name);
        name_topic(counting, &name.head, &name.body);
        break;
    case SLC_KAFKA_ROLE_TOPIC_ID:
        settle(counting);
        name.body.data = slc_topic_ids_find(view->ids, event->data, &name.body.len);
        if (name.body.data != NULL)
            name_topic(counting, &name.head, &name.body);
        break;
    default:
        counting->events += event->data != NULL ? records_in(event->data, event->len) : 0;
        counting->bytes += event->len;
    }
}

void slc_session_pay_records(slc_session *session, const slc_kafka_message *message, int version,
                             const uint8_t *body, size_t len, bool mapped)
{
    const uint64_t names = session->throttle->limits.topics != NULL && session->view != NULL
                               ? SLC_KAFKA_WANT(SLC_KAFKA_ROLE_TOPIC) | SLC_KAFKA_WANT(SLC_KAFKA_ROLE_TOPIC_ID)
                               : 0;
    const slc_kafka_walk_options options = {.wants = SLC_KAFKA_WANT(SLC_KAFKA_ROLE_RECORDS) | names,
                                            .trailing_ok = true};
    slc_kafka_walk walk;
    slc_kafka_event event;
    slc_error err = {0};
    struct counting counting;
    counting.session = session;
    counting.mapped = mapped;
    counting.len = 0;
    counting.events = counting.bytes = counting.all = 0;
    counting.owed_ms = 0;
    if (!slc_kafka_walk_init(&walk, message, version, len, &options, &err))
        return;
    slc_kafka_walk_feed(&walk, body, len);
    while (slc_kafka_walk_next(&walk, &event, &err) == SLC_KAFKA_EVENT)
        see(&counting, &event);
    settle(&counting);
    int64_t most = session->front->limits->kafka_throttle_max_ms;
    int64_t owed_ms = counting.owed_ms < most ? counting.owed_ms : most,
            until_ms = slc_monotonic_ms() + owed_ms;
    if (owed_ms > 0 && until_ms > session->throttle->topics_until_ms)
        session->throttle->topics_until_ms = until_ms;
    slc_session_pay(session, 0, counting.all, 0);
}
