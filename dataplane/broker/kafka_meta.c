/* What librdkafka 2.0 does not tell of a topic: its id, its largest batch, how it is cleaned. A thread for each
 * backend asks by a connection of its own, for all topics in use at once, and remembers the answers for a
 * while.
 *
 * What it cannot learn (an old broker, no right to read settings, no connection while librdkafka has one) stays
 * unknown: the question then goes to librdkafka, as if this client did not exist.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/clock.h"
#include "common/log.h"
#include "dataplane/broker/kafka_private.h"
#include "dataplane/broker/kafka_wire.h"
#include "dataplane/kafka/configs_codec.h"
#include "dataplane/kafka/metadata_codec.h"

#define BUCKETS        256
#define TOPICS_AT_ONCE 1000
#define FORGET_MS      600000 /* a topic that nobody asked for in so long */
#define BACKOFF_MIN_MS 250
#define BACKOFF_MAX_MS 30000
#define AGAIN_MS       600000 /* a broker that is too old is asked again: it may have been upgraded */

struct question {
    slc_message msg;
    TAILQ_ENTRY(question) entry;
    char *topic;
    int64_t max_age_ms;
    int timeout_ms;
    slc_topic_info_fn fn;
    void *ctx;
};

struct topic {
    TAILQ_ENTRY(topic) entry;
    char *name;
    bool failed;
    slc_topic_info info;
    slc_error err;
    int64_t answered_ms; /* monotonic; 0: never */
    int64_t used_ms;
    bool wanted; /* in the request that is being made */
    TAILQ_HEAD(questions, question) questions;
};

struct slc_kafka_meta {
    slc_kafka *kafka;
    slc_loop *loop;
    slc_kafka_wire wire;
    int cancel_fd;
    struct event *flush;
    TAILQ_HEAD(, topic) topics[BUCKETS];
    unsigned server; /* which bootstrap server is next */
    int64_t retry_ms, backoff_ms;
    bool told_down, told_old, told_configs;
};

/* Topics
 * -------------------------------------------------------------------------------------------------------
 */

static unsigned bucket_of(const char *name)
{
    unsigned hash = 5381;
    for (; *name != '\0'; name++)
        hash = hash * 33 + (unsigned char)*name;
    return hash % BUCKETS;
}

static struct topic *find(slc_kafka_meta *meta, const char *name)
{
    struct topic *topic;
    TAILQ_FOREACH (topic, &meta->topics[bucket_of(name)], entry) {
        if (strcmp(topic->name, name) == 0)
            return topic;
    }
    return NULL;
}

static struct topic *find_or_make(slc_kafka_meta *meta, const char *name)
{
    struct topic *topic = find(meta, name);
    if (topic != NULL)
        return topic;
    topic = slc_calloc(1, sizeof *topic);
    topic->name = slc_strdup(name);
    TAILQ_INIT(&topic->questions);
    TAILQ_INSERT_TAIL(&meta->topics[bucket_of(name)], topic, entry);
    return topic;
}

static void question_free(struct question *question)
{
    free(question->topic);
    free(question);
}

static void answer(struct topic *topic)
{
    struct question *question;
    while ((question = TAILQ_FIRST(&topic->questions)) != NULL) {
        TAILQ_REMOVE(&topic->questions, question, entry);
        question->fn(question->ctx, topic->failed ? NULL : &topic->info, topic->failed ? &topic->err : NULL);
        question_free(question);
    }
}

/* To librdkafka. */
static void pass_on(slc_kafka_meta *meta, struct topic *topic)
{
    struct question *question;
    while ((question = TAILQ_FIRST(&topic->questions)) != NULL) {
        TAILQ_REMOVE(&topic->questions, question, entry);
        slc_kafka_plain_topic_info(meta->kafka, question->topic, question->timeout_ms, question->fn,
                                   question->ctx);
        question_free(question);
    }
}

static void for_each(slc_kafka_meta *meta, void (*fn)(slc_kafka_meta *meta, struct topic *topic))
{
    for (unsigned i = 0; i < BUCKETS; i++) {
        struct topic *next, *topic = TAILQ_FIRST(&meta->topics[i]);
        for (; topic != NULL; topic = next) {
            next = TAILQ_NEXT(topic, entry);
            fn(meta, topic);
        }
    }
}

static void topic_free(slc_kafka_meta *meta, struct topic *topic)
{
    SLC_BUG_ON(!TAILQ_EMPTY(&topic->questions));
    TAILQ_REMOVE(&meta->topics[bucket_of(topic->name)], topic, entry);
    free(topic->name);
    free(topic);
}

static void forget_unused(slc_kafka_meta *meta, struct topic *topic)
{
    if (TAILQ_EMPTY(&topic->questions) && slc_monotonic_ms() - topic->used_ms > FORGET_MS)
        topic_free(meta, topic);
}

/* The request
 * --------------------------------------------------------------------------------------------------
 */

/* Those that were asked for, and with them those in use, so that the next question finds an answer. */
struct wanted {
    const char *names[TOPICS_AT_ONCE];
    slc_kafka_topic_query queries[TOPICS_AT_ONCE];
    size_t count;
    int timeout_ms;
};

static void want(struct wanted *wanted, struct topic *topic)
{
    topic->wanted = true;
    wanted->queries[wanted->count] = (slc_kafka_topic_query){.name = topic->name};
    wanted->names[wanted->count++] = topic->name;
}

static void gather(slc_kafka_meta *meta, struct wanted *wanted, bool asked)
{
    struct topic *topic;
    int64_t now_ms = slc_monotonic_ms();
    for (unsigned i = 0; i < BUCKETS; i++) {
        TAILQ_FOREACH (topic, &meta->topics[i], entry) {
            bool has = !TAILQ_EMPTY(&topic->questions);
            if (wanted->count == TOPICS_AT_ONCE)
                return;
            if (has != asked || (!asked && now_ms - topic->used_ms > 3 * meta->kafka->settings.refresh_ms))
                continue;
            want(wanted, topic);
            if (asked && TAILQ_FIRST(&topic->questions)->timeout_ms < wanted->timeout_ms)
                wanted->timeout_ms = TAILQ_FIRST(&topic->questions)->timeout_ms;
        }
    }
}

static void fill(slc_kafka_meta *meta, const slc_kafka_topic *got)
{
    struct topic *topic = find(meta, got->name);
    if (topic == NULL || !topic->wanted)
        return;
    slc_topic_info before = topic->info;
    topic->info = (slc_topic_info){.partitions = (int32_t)got->partitions};
    topic->failed = got->error != 0 || got->partitions == 0;
    topic->answered_ms = slc_monotonic_ms();
    if (got->error != 0)
        slc_kafka_fail(&topic->err, (rd_kafka_resp_err_t)got->error, got->name);
    else if (topic->failed)
        slc_fail(&topic->err, SLC_NOT_FOUND, NULL, "the cluster does not know the topic %s", got->name);
    memcpy(topic->info.topic_id, got->id, sizeof topic->info.topic_id);
    /* Until the settings are read again. */
    if (memcmp(before.topic_id, got->id, sizeof before.topic_id) == 0) {
        topic->info.max_message_bytes = before.max_message_bytes;
        topic->info.compacted = before.compacted;
    }
}

static bool ask_metadata(slc_kafka_meta *meta, const struct wanted *wanted, slc_error *err)
{
    static const slc_kafka_metadata_limits limits = {10000, TOPICS_AT_ONCE, 1000000};
    slc_kafka_wire *wire = &meta->wire;
    slc_kafka_metadata metadata = {0};
    int32_t id = slc_kafka_wire_next_id(wire);
    if (!slc_kafka_metadata_request(&wire->out, id, SLC_KAFKA_WIRE_CLIENT, wanted->queries, wanted->count,
                                    err) ||
        !slc_kafka_wire_call(wire, err) ||
        !slc_kafka_metadata_response(wire->in.data, wire->in.len, id, &limits, &metadata, err))
        return false;
    for (size_t i = 0; i < metadata.n_topics; i++)
        fill(meta, &metadata.topics[i]);
    slc_kafka_metadata_release(&metadata);
    return true;
}

static bool on_config(void *ctx, int16_t error, const slc_kafka_config *config, slc_error *err)
{
    slc_kafka_meta *meta = ctx;
    struct topic *topic = find(meta, config->topic);
    (void)err;
    if (error != 0 && error != RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART && !meta->told_configs) {
        meta->told_configs = true;
        slc_log(SLC_LOG_INFO, "a topic's settings cannot be read: the largest event is not known beforehand",
                LS("backend", meta->kafka->backend->msg->name), LS("topic", config->topic),
                LS("error", rd_kafka_err2str((rd_kafka_resp_err_t)error)));
    }
    if (topic == NULL || error != 0 || config->value == NULL)
        return true;
    if (strcmp(config->name, "max.message.bytes") == 0)
        topic->info.max_message_bytes = strtoll(config->value, NULL, 10);
    else if (strcmp(config->name, "cleanup.policy") == 0)
        topic->info.compacted = strstr(config->value, "compact") != NULL;
    return true;
}

static bool ask_configs(slc_kafka_meta *meta, const struct wanted *wanted, slc_error *err)
{
    static const char *const names[] = {"max.message.bytes", "cleanup.policy"};
    slc_kafka_wire *wire = &meta->wire;
    int32_t id = slc_kafka_wire_next_id(wire);
    return slc_kafka_describe_configs_request(&wire->out, id, SLC_KAFKA_WIRE_CLIENT, wanted->names,
                                              wanted->count, names, 2, err) &&
           slc_kafka_wire_call(wire, err) &&
           slc_kafka_describe_configs_response(wire->in.data, wire->in.len, id, on_config, meta, err);
}

/* Connecting
 * ---------------------------------------------------------------------------------------------------
 */

static bool connect_any(slc_kafka_meta *meta, slc_error *err)
{
    const Sluice__Snapshot__V1__Backend *msg = meta->kafka->backend->msg;
    for (size_t i = 0; i < msg->n_bootstrap_servers; i++) {
        const char *server = msg->bootstrap_servers[meta->server++ % msg->n_bootstrap_servers];
        if (slc_kafka_wire_open(&meta->wire, server, err))
            return true;
        if (slc_monotonic_ms() >= meta->wire.deadline_ms)
            return false;
    }
    return false;
}

static bool is_old(slc_kafka_meta *meta, slc_error *err)
{
    if (slc_kafka_wire_knows(&meta->wire, SLC_KAFKA_METADATA_KEY, SLC_KAFKA_METADATA_VERSION))
        return false;
    if (!meta->told_old)
        slc_log(SLC_LOG_INFO, "the backend's brokers tell no topic ids: topics made anew are not detected",
                LS("backend", meta->kafka->backend->msg->name));
    meta->told_old = true;
    meta->retry_ms = slc_monotonic_ms() + AGAIN_MS;
    slc_kafka_wire_close(&meta->wire);
    slc_fail(err, SLC_UNSUPPORTED, NULL, "the brokers have no Metadata version %d", SLC_KAFKA_METADATA_VERSION);
    return true;
}

static bool ask(slc_kafka_meta *meta, const struct wanted *wanted, slc_error *err)
{
    slc_kafka_wire *wire = &meta->wire;
    bool configs =
        slc_kafka_wire_knows(wire, SLC_KAFKA_DESCRIBE_CONFIGS_KEY, SLC_KAFKA_DESCRIBE_CONFIGS_VERSION);
    if (is_old(meta, err) || !ask_metadata(meta, wanted, err))
        return false;
    if (configs)
        return ask_configs(meta, wanted, err);
    if (!meta->told_configs)
        slc_log(SLC_LOG_INFO, "the backend's brokers do not tell topics' settings",
                LS("backend", meta->kafka->backend->msg->name));
    meta->told_configs = true;
    return true;
}

/* A connection that was open may have been closed meanwhile: that is no failure yet. */
static bool ask_connected(slc_kafka_meta *meta, const struct wanted *wanted, slc_error *err)
{
    slc_kafka_wire *wire = &meta->wire;
    wire->deadline_ms = slc_monotonic_ms() + wanted->timeout_ms;
    if (wire->renew_ms != 0 && slc_monotonic_ms() >= wire->renew_ms)
        slc_kafka_wire_close(wire);
    if (wire->fd >= 0) {
        if (ask(meta, wanted, err))
            return true;
        if (wire->fd >= 0) /* it answered, and not as it should */
            return false;
    }
    return connect_any(meta, err) && ask(meta, wanted, err);
}

/* Going round
 * --------------------------------------------------------------------------------------------------
 */

static void note_down(slc_kafka_meta *meta, const slc_error *err)
{
    if (err->code == SLC_UNSUPPORTED && meta->told_old)
        return;
    if (!meta->told_down)
        slc_log_error(SLC_LOG_WARN, "topics cannot be asked for by the gateway's own connection", err);
    meta->told_down = true;
    if (err->code == SLC_DENIED)
        slc_kafka_set_down(meta->kafka, SLC_KAFKA_DENIED, err);
    meta->backoff_ms = meta->backoff_ms == 0 ? BACKOFF_MIN_MS : meta->backoff_ms * 2;
    if (meta->backoff_ms > BACKOFF_MAX_MS)
        meta->backoff_ms = BACKOFF_MAX_MS;
    meta->retry_ms = slc_monotonic_ms() + slc_jitter_ms(meta->backoff_ms, 30);
    slc_kafka_wire_close(&meta->wire);
}

static void note_up(slc_kafka_meta *meta)
{
    meta->told_down = meta->told_old = false;
    meta->backoff_ms = meta->retry_ms = 0;
    slc_kafka_set_up(meta->kafka);
}

static void settle(slc_kafka_meta *meta, struct topic *topic)
{
    if (topic->wanted && topic->answered_ms > 0)
        answer(topic);
    else
        pass_on(meta, topic);
    topic->wanted = false;
}

static void give_up(slc_kafka_meta *meta, struct topic *topic)
{
    topic->wanted = false;
    pass_on(meta, topic);
}

static void on_flush(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    slc_kafka_meta *meta = arg;
    slc_error err = {0};
    if (slc_monotonic_ms() < meta->retry_ms) {
        for_each(meta, give_up);
        return;
    }
    struct wanted *wanted = slc_calloc(1, sizeof *wanted);
    wanted->timeout_ms = (int)meta->kafka->settings.metadata_timeout_ms;
    gather(meta, wanted, true);
    if (wanted->count > 0) {
        gather(meta, wanted, false);
        bool ok = ask_connected(meta, wanted, &err);
        if (ok)
            note_up(meta);
        else
            note_down(meta, &err);
        for_each(meta, ok ? settle : give_up);
    }
    free(wanted);
    for_each(meta, forget_unused);
}

static void run_question(slc_message *msg, void *owner)
{
    struct question *question = (struct question *)msg;
    slc_kafka_meta *meta = ((slc_kafka *)owner)->meta;
    struct topic *topic = find_or_make(meta, question->topic);
    int64_t now_ms = slc_monotonic_ms();
    topic->used_ms = now_ms;
    TAILQ_INSERT_TAIL(&topic->questions, question, entry);
    if (topic->answered_ms > 0 && now_ms - topic->answered_ms < question->max_age_ms)
        answer(topic);
    else
        event_active(meta->flush, EV_TIMEOUT, 1); /* once, after what is in the mailbox */
}

void slc_kafka_topic_info(slc_broker *broker, const char *name, int64_t max_age_ms, int timeout_ms,
                          slc_topic_info_fn fn, void *ctx)
{
    slc_kafka *kafka = (slc_kafka *)broker;
    SLC_CHECK_MAGIC(kafka, SLC_KAFKA_MAGIC);
    struct question *question = slc_calloc(1, sizeof *question);
    question->msg.run = run_question;
    question->topic = slc_strdup(name);
    question->max_age_ms = max_age_ms;
    question->timeout_ms = timeout_ms;
    question->fn = fn;
    question->ctx = ctx;
    slc_mailbox_post(slc_loop_mailbox(kafka->meta->loop), &question->msg);
}

/* Life
 * ---------------------------------------------------------------------------------------------------------
 */

static void make_flush(void *arg)
{
    slc_kafka_meta *meta = arg;
    meta->flush = event_new(slc_loop_base(meta->loop), -1, 0, on_flush, meta);
}

bool slc_kafka_meta_init(slc_kafka *kafka, slc_error *err)
{
    slc_kafka_meta *meta = slc_calloc(1, sizeof *meta);
    meta->kafka = kafka;
    for (unsigned i = 0; i < BUCKETS; i++)
        TAILQ_INIT(&meta->topics[i]);
    meta->cancel_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    SLC_BUG_ON(meta->cancel_fd < 0);
    slc_kafka_wire_init(&meta->wire, kafka->backend, kafka->tokens, meta->cancel_fd);
    meta->loop = slc_loop_new("kafka-meta", kafka);
    kafka->meta = meta;
    if (!slc_loop_start(meta->loop, err)) {
        slc_loop_free(meta->loop);
        slc_kafka_wire_release(&meta->wire);
        close(meta->cancel_fd);
        free(meta);
        kafka->meta = NULL;
        return false;
    }
    slc_loop_call_sync(meta->loop, make_flush, meta);
    return true;
}

static void end(void *arg)
{
    slc_kafka_meta *meta = arg;
    for_each(meta, give_up);
    for_each(meta, topic_free);
    event_free(meta->flush);
}

void slc_kafka_meta_release(slc_kafka *kafka)
{
    static const uint64_t one = 1;
    slc_kafka_meta *meta = kafka->meta;
    SLC_BUG_ON(write(meta->cancel_fd, &one, sizeof one) != sizeof one);
    slc_loop_call_sync(meta->loop, end, meta);
    slc_loop_stop(meta->loop);
    slc_loop_join(meta->loop);
    slc_loop_free(meta->loop);
    slc_kafka_wire_release(&meta->wire);
    close(meta->cancel_fd);
    free(meta);
    kafka->meta = NULL;
}
