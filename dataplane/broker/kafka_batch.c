/* Where a batch ends that librdkafka cannot read. It tells of such a batch where it begins, and asks for it
 * again for ever; to go on behind it one must know its last offset, which only its header says. So the gateway
 * fetches that one batch itself, and looks at nothing else of it: it may be of a format that is not known here
 * either. On `queries`.
 */
#include <stdlib.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "dataplane/broker/kafka_private.h"
#include "dataplane/kafka/fetch_codec.h"
#include "dataplane/records/batch.h"

#define ANSWER_MS 5000

struct search {
    slc_message msg;
    char *topic;
    int32_t partition;
    int64_t offset;
    slc_kafka_batch_fn fn;
    void *ctx;
};

/* "host:port" of the partition's leader, as the cluster tells it to everybody. New; NULL: there is none. */
static char *leader_of(const rd_kafka_metadata_t *metadata, int32_t partition)
{
    const rd_kafka_metadata_topic_t *topic = metadata->topic_cnt == 1 ? &metadata->topics[0] : NULL;
    int32_t leader = -1;
    for (int i = 0; topic != NULL && i < topic->partition_cnt; i++)
        if (topic->partitions[i].id == partition)
            leader = topic->partitions[i].leader;
    for (int i = 0; leader >= 0 && i < metadata->broker_cnt; i++) {
        const rd_kafka_metadata_broker_t *broker = &metadata->brokers[i];
        if (broker->id == leader)
            return slc_asprintf(strchr(broker->host, ':') != NULL ? "[%s]:%d" : "%s:%d", broker->host,
                                broker->port);
    }
    return NULL;
}

static char *find_leader(slc_kafka *kafka, const struct search *search, slc_error *err)
{
    const rd_kafka_metadata_t *metadata = NULL;
    char *server = NULL;
    rd_kafka_topic_t *topic = rd_kafka_topic_new(kafka->query->rk, search->topic, NULL);
    if (topic == NULL) {
        slc_kafka_fail(err, rd_kafka_last_error(), "topic");
        return NULL;
    }
    rd_kafka_resp_err_t code = rd_kafka_metadata(kafka->query->rk, 0, topic, &metadata, ANSWER_MS);
    rd_kafka_topic_destroy(topic);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        slc_kafka_fail(err, code, "metadata");
        return NULL;
    }
    if ((server = leader_of(metadata, search->partition)) == NULL)
        slc_fail(err, SLC_UNAVAILABLE, NULL, "the partition %d of %s has no leader", search->partition,
                 search->topic);
    rd_kafka_metadata_destroy(metadata);
    return server;
}

/* The first batch that ends at the offset or behind it. One that says to end behind all that there is does not:
 * what comes next has the high watermark for its offset. */
static bool read_place(const slc_kafka_fetched *fetched, int64_t offset, slc_kafka_batch_place *place,
                       slc_error *err)
{
    slc_batch_extent extent;
    if (fetched->error != 0)
        return slc_kafka_fail(err, (rd_kafka_resp_err_t)fetched->error, "fetching a batch");
    for (size_t at = 0; slc_batch_extent_at(fetched->records, fetched->len, at, &extent); at += extent.len) {
        if (extent.last < offset)
            continue;
        int64_t last = extent.last < fetched->high_watermark ? extent.last : fetched->high_watermark - 1;
        *place = (slc_kafka_batch_place){extent.first, last > offset ? last : offset, extent.max_timestamp};
        return true;
    }
    return slc_fail(err, SLC_CORRUPT, NULL, "the broker has no batch with the offset %lld", (long long)offset);
}

static bool ask(slc_kafka_wire *wire, const struct search *search, slc_kafka_batch_place *place, slc_error *err)
{
    slc_kafka_fetched fetched;
    int32_t id = slc_kafka_wire_next_id(wire);
    if (!slc_kafka_wire_knows(wire, SLC_KAFKA_FETCH_KEY, SLC_KAFKA_FETCH_VERSION))
        return slc_fail(err, SLC_UNSUPPORTED, NULL, "the broker has no Fetch version %d",
                        SLC_KAFKA_FETCH_VERSION);
    return slc_kafka_fetch_request(&wire->out, id, SLC_KAFKA_WIRE_CLIENT, search->topic, search->partition,
                                   search->offset, err) &&
           slc_kafka_wire_call(wire, err) &&
           slc_kafka_fetch_response(wire->in.data, wire->in.len, id, &fetched, err) &&
           read_place(&fetched, search->offset, place, err);
}

static bool find(slc_kafka *kafka, const struct search *search, slc_kafka_batch_place *place, slc_error *err)
{
    slc_kafka_wire wire;
    char *server = find_leader(kafka, search, err);
    if (server == NULL)
        return false;
    slc_kafka_wire_init(&wire, kafka->backend, kafka->tokens, -1);
    wire.deadline_ms = slc_monotonic_ms() + ANSWER_MS;
    bool found = slc_kafka_wire_open(&wire, server, err) && ask(&wire, search, place, err);
    slc_kafka_wire_release(&wire);
    free(server);
    return found;
}

static void run_find(slc_message *msg, void *owner)
{
    struct search *search = (struct search *)msg;
    slc_kafka_batch_place place;
    slc_error err;
    bool found = find(owner, search, &place, &err);
    search->fn(search->ctx, found ? &place : NULL, found ? NULL : &err);
    free(search->topic);
    free(search);
}

void slc_kafka_find_batch(slc_kafka *kafka, const char *topic, int32_t partition, int64_t offset,
                          slc_kafka_batch_fn fn, void *ctx)
{
    struct search *search = slc_calloc(1, sizeof *search);
    search->msg.run = run_find;
    search->topic = slc_strdup(topic);
    search->partition = partition;
    search->offset = offset;
    search->fn = fn;
    search->ctx = ctx;
    slc_mailbox_post(slc_loop_mailbox(kafka->queries), &search->msg);
}
