/* Questions to the cluster: topics, offsets, is it there. librdkafka answers these by blocking, so they have a
 * thread. */
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "dataplane/broker/kafka_private.h"

#define PING_DOWN_S     1
#define PING_UP_S       10
#define PING_TIMEOUT_MS 3000
#define BOUNDS_MS       5000
#define DOWN_MS         1000 /* instead of the caller's time, while only the ping waits for the cluster */

struct query {
    slc_message msg;
    char *topic;
    int32_t partitions; /* offsets: how many; bounds: which */
    int64_t wall_ms;
    int timeout_ms;
    slc_topic_info_fn info_fn;
    slc_offsets_fn offsets_fn;
    slc_kafka_bounds_fn bounds_fn;
    void *ctx;
};

static void query_free(struct query *query)
{
    free(query->topic);
    free(query);
}

/* Topic ------------------------------------------------------------------------------------------------------
 */

static bool read_topic(const rd_kafka_metadata_t *metadata, slc_topic_info *info, slc_error *err)
{
    if (metadata->topic_cnt != 1)
        return slc_fail(err, SLC_NOT_FOUND, NULL, "the cluster does not know the topic");
    const rd_kafka_metadata_topic_t *topic = &metadata->topics[0];
    if (topic->err != RD_KAFKA_RESP_ERR_NO_ERROR)
        return slc_kafka_fail(err, topic->err, topic->topic);
    if (topic->partition_cnt == 0)
        return slc_fail(err, SLC_NOT_FOUND, NULL, "the cluster does not know the topic");
    info->partitions = topic->partition_cnt;
    return true;
}

static void note_cluster(slc_kafka *kafka)
{
    char *id = rd_kafka_clusterid(kafka->query->rk, 0);
    if (id != NULL) {
        atomic_store(&kafka->embedded, strncmp(id, "mockCluster", 11) == 0);
        rd_kafka_mem_free(kafka->query->rk, id);
    }
}

/* librdkafka sits a timeout out when no broker is there, and questions behind it wait: not one after the other
 * for each its whole time. */
static int patience(slc_kafka *kafka, int timeout_ms)
{
    pthread_mutex_lock(&kafka->health_lock);
    bool down = !kafka->up && kafka->since_ms != 0;
    pthread_mutex_unlock(&kafka->health_lock);
    return down && timeout_ms > DOWN_MS ? DOWN_MS : timeout_ms;
}

static bool ask_topic(slc_kafka *kafka, const char *name, int timeout_ms, slc_topic_info *info, slc_error *err)
{
    const rd_kafka_metadata_t *metadata = NULL;
    rd_kafka_topic_t *topic = rd_kafka_topic_new(kafka->query->rk, name, NULL);
    if (topic == NULL)
        return slc_kafka_fail(err, rd_kafka_last_error(), "topic");
    rd_kafka_resp_err_t code =
        rd_kafka_metadata(kafka->query->rk, 0, topic, &metadata, patience(kafka, timeout_ms));
    bool ok = code == RD_KAFKA_RESP_ERR_NO_ERROR ? read_topic(metadata, info, err)
                                                 : slc_kafka_fail(err, code, "metadata");
    if (metadata != NULL)
        rd_kafka_metadata_destroy(metadata);
    rd_kafka_topic_destroy(topic);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
        note_cluster(kafka);
        slc_kafka_set_up(kafka);
    } else if (slc_kafka_is_outage(code)) {
        slc_kafka_set_down(kafka, SLC_KAFKA_SILENT, err);
    }
    return ok;
}

static void run_info(slc_message *msg, void *owner)
{
    struct query *query = (struct query *)msg;
    slc_topic_info info = {0};
    slc_error err;
    if (ask_topic(owner, query->topic, query->timeout_ms, &info, &err))
        query->info_fn(query->ctx, &info, NULL);
    else
        query->info_fn(query->ctx, NULL, &err);
    query_free(query);
}

/* Offsets ----------------------------------------------------------------------------------------------------
 */

/* librdkafka passes the special values on as ListOffsets' timestamps. */
static bool list_offsets(slc_kafka *kafka, const char *topic, int32_t first, int32_t count, int64_t time,
                         int timeout_ms, int64_t *out, slc_error *err)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(count);
    for (int32_t i = 0; i < count; i++)
        rd_kafka_topic_partition_list_add(list, topic, first + i)->offset = time;
    rd_kafka_resp_err_t code = rd_kafka_offsets_for_times(kafka->query->rk, list, patience(kafka, timeout_ms));
    for (int i = 0; i < list->cnt && code == RD_KAFKA_RESP_ERR_NO_ERROR; i++)
        code = list->elems[i].err;
    for (int i = 0; i < list->cnt && code == RD_KAFKA_RESP_ERR_NO_ERROR; i++)
        out[list->elems[i].partition - first] = list->elems[i].offset;
    rd_kafka_topic_partition_list_destroy(list);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        return true;
    slc_kafka_fail(err, code, "offsets");
    if (slc_kafka_is_outage(code))
        slc_kafka_set_down(kafka, SLC_KAFKA_SILENT, err);
    return false;
}

static bool ask_offsets(slc_kafka *kafka, const struct query *query, int64_t *out, slc_error *err)
{
    bool by_time = query->wall_ms >= 0;
    if (by_time && atomic_load(&kafka->embedded))
        return slc_fail(err, SLC_UNSUPPORTED, NULL, "the embedded broker has no lookup by time");
    if (!list_offsets(kafka, query->topic, 0, query->partitions, query->wall_ms, query->timeout_ms, out, err))
        return false;
    bool beyond = false;
    for (int32_t i = 0; i < query->partitions; i++)
        beyond = beyond || out[i] < 0;
    if (!beyond)
        return true;
    /* Later than every record: the end. */
    int64_t *ends = slc_calloc((size_t)query->partitions, sizeof *ends);
    bool ok = list_offsets(kafka, query->topic, 0, query->partitions, SLC_OFFSET_LATEST, query->timeout_ms,
                           ends, err);
    for (int32_t i = 0; i < query->partitions && ok; i++)
        out[i] = out[i] < 0 ? ends[i] : out[i];
    free(ends);
    return ok;
}

static void run_offsets(slc_message *msg, void *owner)
{
    struct query *query = (struct query *)msg;
    slc_error err;
    int64_t *offsets = slc_calloc((size_t)query->partitions, sizeof *offsets);
    if (ask_offsets(owner, query, offsets, &err))
        query->offsets_fn(query->ctx, offsets, query->partitions, NULL);
    else
        query->offsets_fn(query->ctx, NULL, 0, &err);
    free(offsets);
    query_free(query);
}

static void run_bounds(slc_message *msg, void *owner)
{
    struct query *query = (struct query *)msg;
    slc_error err;
    int64_t first = -1, last = -1;
    if (list_offsets(owner, query->topic, query->partitions, 1, SLC_OFFSET_EARLIEST, BOUNDS_MS, &first, &err) &&
        list_offsets(owner, query->topic, query->partitions, 1, SLC_OFFSET_LATEST, BOUNDS_MS, &last, &err))
        query->bounds_fn(query->ctx, first, last, NULL);
    else
        query->bounds_fn(query->ctx, -1, -1, &err);
    query_free(query);
}

/* Posting -----------------------------------------------------------------------------------------------------
 */

static struct query *query_new(const char *topic, void (*run)(slc_message *msg, void *owner), void *ctx)
{
    struct query *query = slc_calloc(1, sizeof *query);
    query->msg.run = run;
    query->topic = slc_strdup(topic);
    query->ctx = ctx;
    return query;
}

static void post(slc_kafka *kafka, struct query *query)
{
    SLC_CHECK_MAGIC(kafka, SLC_KAFKA_MAGIC);
    slc_mailbox_post(slc_loop_mailbox(kafka->queries), &query->msg);
}

void slc_kafka_plain_topic_info(slc_kafka *kafka, const char *topic, int timeout_ms, slc_topic_info_fn fn,
                                void *ctx)
{
    struct query *query = query_new(topic, run_info, ctx);
    query->timeout_ms = timeout_ms;
    query->info_fn = fn;
    post(kafka, query);
}

void slc_kafka_offsets(slc_broker *broker, const char *topic, int32_t partitions, int64_t wall_ms_or_special,
                       int timeout_ms, slc_offsets_fn fn, void *ctx)
{
    struct query *query = query_new(topic, run_offsets, ctx);
    query->partitions = partitions;
    query->wall_ms = wall_ms_or_special;
    query->timeout_ms = timeout_ms;
    query->offsets_fn = fn;
    post((slc_kafka *)broker, query);
}

void slc_kafka_bounds(slc_kafka *kafka, const char *topic, int32_t partition, slc_kafka_bounds_fn fn, void *ctx)
{
    struct query *query = query_new(topic, run_bounds, ctx);
    query->partitions = partition;
    query->bounds_fn = fn;
    post(kafka, query);
}

/* Is it there -------------------------------------------------------------------------------------------------
 */

static void ping(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    slc_kafka *kafka = arg;
    slc_error err;
    const rd_kafka_metadata_t *metadata = NULL;
    rd_kafka_poll(kafka->query->rk, 0); /* nobody else takes its error events */
    rd_kafka_resp_err_t code = rd_kafka_metadata(kafka->query->rk, 0, NULL, &metadata, PING_TIMEOUT_MS);
    struct timeval next = {.tv_sec = PING_UP_S};
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
        rd_kafka_metadata_destroy(metadata);
        note_cluster(kafka);
        slc_kafka_set_up(kafka);
    } else {
        next.tv_sec = PING_DOWN_S;
        slc_kafka_fail(&err, code, "metadata");
        slc_kafka_set_down(kafka, SLC_KAFKA_SILENT, &err);
    }
    event_add(kafka->ping, &next);
}

static void ping_soon(void *arg)
{
    static const struct timeval soon = {.tv_sec = PING_DOWN_S};
    slc_kafka *kafka = arg;
    if (kafka->ping != NULL)
        event_add(kafka->ping, &soon);
}

void slc_kafka_ping_soon(slc_kafka *kafka)
{
    slc_loop_call(kafka->queries, ping_soon, kafka);
}

static void start_ping(void *arg)
{
    slc_kafka *kafka = arg;
    kafka->ping = event_new(slc_loop_base(kafka->queries), -1, 0, ping, kafka);
    event_active(kafka->ping, EV_TIMEOUT, 1);
}

bool slc_kafka_query_init(slc_kafka *kafka, slc_error *err)
{
    rd_kafka_conf_t *conf = slc_kafka_conf_new(kafka, SLC_KAFKA_QUERY, err);
    if (conf == NULL)
        return false;
    kafka->query = slc_calloc(1, sizeof *kafka->query);
    kafka->query->kafka = kafka;
    if (!slc_kafka_handle_open(kafka->query, conf, RD_KAFKA_CONSUMER, err)) {
        free(kafka->query);
        kafka->query = NULL;
        return false;
    }
    slc_loop_call_sync(kafka->queries, start_ping, kafka);
    return true;
}

void slc_kafka_query_release(slc_kafka *kafka)
{
    event_free(kafka->ping);
    kafka->ping = NULL;
    slc_kafka_reap(kafka, kafka->query);
    kafka->query = NULL;
}
