#include "dataplane/broker/survey.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "dataplane/broker/kafka_private.h"

#define SLICE_MS     1000 /* between looks whether to stop */
#define CONFIG_BATCH 200  /* topics in a question */
#define GROUP_BATCH  50   /* groups in a question, and questions about groups at once */

struct asking {
    const slc_survey_options *options;
    slc_kafka *kafka;
    rd_kafka_t *rk;
    rd_kafka_queue_t *queue;
    slc_survey *survey;
    slc_strmap by_name; /* topics */
};

static bool stopped(const struct asking *asking)
{
    return asking->options->stop != NULL && atomic_load(asking->options->stop);
}

/* ---- topics ---- */

static int compare_topics(const void *a, const void *b)
{
    return strcmp(((const slc_survey_topic *)a)->name, ((const slc_survey_topic *)b)->name);
}

static void take_topics(struct asking *asking, const rd_kafka_metadata_t *metadata)
{
    slc_survey *survey = asking->survey;
    survey->topics = slc_calloc((size_t)metadata->topic_cnt + 1, sizeof *survey->topics);
    for (int i = 0; i < metadata->topic_cnt; i++) {
        const rd_kafka_metadata_topic_t *from = &metadata->topics[i];
        if (from->err != RD_KAFKA_RESP_ERR_NO_ERROR)
            continue;
        slc_survey_topic *topic = &survey->topics[survey->topic_count++];
        topic->name = slc_strdup(from->topic);
        topic->partitions = from->partition_cnt;
        topic->replication = from->partition_cnt > 0 ? from->partitions[0].replica_cnt : 0;
    }
    qsort(survey->topics, survey->topic_count, sizeof *survey->topics, compare_topics);
    slc_strmap_init(&asking->by_name, survey->topic_count);
    for (size_t i = 0; i < survey->topic_count; i++)
        (void)slc_strmap_add(&asking->by_name, survey->topics[i].name, strlen(survey->topics[i].name),
                             &survey->topics[i]);
}

static bool ask_topics(struct asking *asking, slc_error *err)
{
    const rd_kafka_metadata_t *metadata = NULL;
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR__TIMED_OUT;
    for (int waited_ms = 0; waited_ms < asking->options->timeout_ms; waited_ms += SLICE_MS) {
        if (stopped(asking))
            return slc_fail(err, SLC_UNAVAILABLE, NULL, "the gateway stops");
        code = rd_kafka_metadata(asking->rk, 1, NULL, &metadata, SLICE_MS);
        if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
            break;
    }
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        char text[300];
        int64_t since_ms;
        bool up = slc_broker_kafka.health((slc_broker *)asking->kafka, text, sizeof text, &since_ms);
        return !up && text[0] != '\0' ? slc_fail(err, SLC_UNAVAILABLE, NULL, "%.290s", text)
                                      : slc_kafka_fail(err, code, "metadata");
    }
    take_topics(asking, metadata);
    rd_kafka_metadata_destroy(metadata);
    return true;
}

/* ---- questions of administration ---- */

static rd_kafka_AdminOptions_t *options_for(struct asking *asking, rd_kafka_admin_op_t op)
{
    char text[200];
    rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(asking->rk, op);
    (void)rd_kafka_AdminOptions_set_request_timeout(options, asking->options->timeout_ms, text, sizeof text);
    return options;
}

/* The next answer; NULL when the process stops, or nothing came in time. To be destroyed. */
static rd_kafka_event_t *next_answer(struct asking *asking)
{
    for (int waited_ms = 0; waited_ms < asking->options->timeout_ms + 2 * SLICE_MS; waited_ms += SLICE_MS) {
        rd_kafka_event_t *event = rd_kafka_queue_poll(asking->queue, SLICE_MS);
        if (event != NULL)
            return event;
        if (stopped(asking))
            return NULL;
    }
    return NULL;
}

static void take_config(struct asking *asking, const rd_kafka_ConfigResource_t *resource)
{
    const char *name = rd_kafka_ConfigResource_name(resource);
    slc_survey_topic *topic = slc_strmap_find(&asking->by_name, name, strlen(name));
    size_t count;
    const rd_kafka_ConfigEntry_t **entries = rd_kafka_ConfigResource_configs(resource, &count);
    if (topic == NULL || rd_kafka_ConfigResource_error(resource) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return;
    for (size_t i = 0; i < count; i++) {
        const char *key = rd_kafka_ConfigEntry_name(entries[i]),
                   *value = rd_kafka_ConfigEntry_value(entries[i]);
        if (value == NULL)
            continue;
        if (strcmp(key, "retention.ms") == 0)
            topic->retention_ms = strtoll(value, NULL, 10);
        else if (strcmp(key, "cleanup.policy") == 0)
            snprintf(topic->cleanup_policy, sizeof topic->cleanup_policy, "%s", value);
    }
    topic->configured = topic->cleanup_policy[0] != '\0';
}

/* What is not answered stays unknown: the credentials may not allow it. */
static void ask_configs(struct asking *asking)
{
    slc_survey *survey = asking->survey;
    for (size_t first = 0; first < survey->topic_count && !stopped(asking); first += CONFIG_BATCH) {
        rd_kafka_ConfigResource_t *resources[CONFIG_BATCH];
        size_t n = survey->topic_count - first < CONFIG_BATCH ? survey->topic_count - first : CONFIG_BATCH,
               count;
        for (size_t i = 0; i < n; i++)
            resources[i] = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, survey->topics[first + i].name);
        rd_kafka_AdminOptions_t *options = options_for(asking, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS);
        rd_kafka_DescribeConfigs(asking->rk, resources, n, options, asking->queue);
        rd_kafka_AdminOptions_destroy(options);
        rd_kafka_ConfigResource_destroy_array(resources, n);
        rd_kafka_event_t *event = next_answer(asking);
        if (event == NULL)
            return;
        const rd_kafka_DescribeConfigs_result_t *result = rd_kafka_event_DescribeConfigs_result(event);
        const rd_kafka_ConfigResource_t **answers =
            result != NULL ? rd_kafka_DescribeConfigs_result_resources(result, &count) : NULL;
        for (size_t i = 0; answers != NULL && i < count; i++)
            take_config(asking, answers[i]);
        rd_kafka_event_destroy(event);
    }
}

/* ---- groups ---- */

static void groups_fail(struct asking *asking, const char *what, const char *why)
{
    if (asking->survey->groups_error[0] == '\0')
        snprintf(asking->survey->groups_error, sizeof asking->survey->groups_error, "%s: %.150s", what, why);
}

static bool list_groups(struct asking *asking)
{
    slc_survey *survey = asking->survey;
    rd_kafka_AdminOptions_t *options = options_for(asking, RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPS);
    rd_kafka_ListConsumerGroups(asking->rk, options, asking->queue);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_event_t *event = next_answer(asking);
    const rd_kafka_ListConsumerGroups_result_t *result =
        event != NULL ? rd_kafka_event_ListConsumerGroups_result(event) : NULL;
    if (result == NULL || rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        groups_fail(asking, "groups", event != NULL ? rd_kafka_event_error_string(event) : "no answer in time");
        if (event != NULL)
            rd_kafka_event_destroy(event);
        return false;
    }
    size_t max = asking->options->groups_max;
    const rd_kafka_ConsumerGroupListing_t **found =
        rd_kafka_ListConsumerGroups_result_valid(result, &survey->group_total);
    survey->groups =
        slc_calloc((survey->group_total < max ? survey->group_total : max) + 1, sizeof *survey->groups);
    for (size_t i = 0; i < survey->group_total && i < max; i++) {
        slc_survey_group *group = &survey->groups[survey->group_count++];
        group->id = slc_strdup(rd_kafka_ConsumerGroupListing_group_id(found[i]));
        snprintf(group->state, sizeof group->state, "%s",
                 rd_kafka_consumer_group_state_name(rd_kafka_ConsumerGroupListing_state(found[i])));
        group->members = -1;
        group->lag = -1;
    }
    if (survey->group_total > max)
        groups_fail(asking, "groups", "more than inventory.groups allows");
    rd_kafka_event_destroy(event);
    return true;
}

static slc_survey_group *group_of(struct asking *asking, const char *id)
{
    for (size_t i = 0; i < asking->survey->group_count; i++)
        if (strcmp(asking->survey->groups[i].id, id) == 0)
            return &asking->survey->groups[i];
    return NULL;
}

static void describe_groups(struct asking *asking)
{
    slc_survey *survey = asking->survey;
    for (size_t first = 0; first < survey->group_count && !stopped(asking); first += GROUP_BATCH) {
        const char *ids[GROUP_BATCH];
        size_t n = survey->group_count - first < GROUP_BATCH ? survey->group_count - first : GROUP_BATCH,
               count = 0;
        for (size_t i = 0; i < n; i++)
            ids[i] = survey->groups[first + i].id;
        rd_kafka_AdminOptions_t *options = options_for(asking, RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS);
        rd_kafka_DescribeConsumerGroups(asking->rk, ids, n, options, asking->queue);
        rd_kafka_AdminOptions_destroy(options);
        rd_kafka_event_t *event = next_answer(asking);
        if (event == NULL)
            return;
        const rd_kafka_DescribeConsumerGroups_result_t *result =
            rd_kafka_event_DescribeConsumerGroups_result(event);
        const rd_kafka_ConsumerGroupDescription_t **found =
            result != NULL ? rd_kafka_DescribeConsumerGroups_result_groups(result, &count) : NULL;
        for (size_t i = 0; found != NULL && i < count; i++) {
            slc_survey_group *group = group_of(asking, rd_kafka_ConsumerGroupDescription_group_id(found[i]));
            if (group != NULL && rd_kafka_ConsumerGroupDescription_error(found[i]) == NULL)
                group->members = (int32_t)rd_kafka_ConsumerGroupDescription_member_count(found[i]);
        }
        rd_kafka_event_destroy(event);
    }
}

static void add_lag(slc_survey_group *group, const char *topic, int64_t lag)
{
    group->lag = (group->lag < 0 ? 0 : group->lag) + lag;
    for (size_t i = 0; i < group->lag_count; i++) {
        if (strcmp(group->lags[i].topic, topic) == 0) {
            group->lags[i].lag += lag;
            return;
        }
    }
    if (group->lag_count == SLC_SURVEY_LAGS)
        return;
    group->lags[group->lag_count].topic = slc_strdup(topic);
    group->lags[group->lag_count++].lag = lag;
}

/* Where the partitions end that a group has committed offsets of. */
static void measure(struct asking *asking, slc_survey_group *group,
                    const rd_kafka_topic_partition_list_t *committed)
{
    rd_kafka_topic_partition_list_t *ends = rd_kafka_topic_partition_list_new(committed->cnt);
    for (int i = 0; i < committed->cnt; i++)
        if (committed->elems[i].offset >= 0)
            rd_kafka_topic_partition_list_add(ends, committed->elems[i].topic, committed->elems[i].partition)
                ->offset = SLC_OFFSET_LATEST;
    if (ends->cnt == 0)
        group->lag = 0;
    else if (rd_kafka_offsets_for_times(asking->rk, ends, asking->options->timeout_ms) !=
             RD_KAFKA_RESP_ERR_NO_ERROR)
        groups_fail(asking, "lag", "the ends of some partitions are not known");
    else
        for (int i = 0, k = 0; i < committed->cnt; i++) {
            if (committed->elems[i].offset < 0)
                continue;
            const rd_kafka_topic_partition_t *end = &ends->elems[k++];
            int64_t lag = end->offset - committed->elems[i].offset;
            if (end->err == RD_KAFKA_RESP_ERR_NO_ERROR && end->offset >= 0)
                add_lag(group, end->topic, lag > 0 ? lag : 0);
        }
    rd_kafka_topic_partition_list_destroy(ends);
}

/* One group a question, as this librdkafka has it. */
static void ask_lag(struct asking *asking, slc_survey_group *group)
{
    rd_kafka_ListConsumerGroupOffsets_t *question = rd_kafka_ListConsumerGroupOffsets_new(group->id, NULL);
    rd_kafka_AdminOptions_t *options = options_for(asking, RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS);
    size_t count = 0;
    rd_kafka_ListConsumerGroupOffsets(asking->rk, &question, 1, options, asking->queue);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_ListConsumerGroupOffsets_destroy(question);
    rd_kafka_event_t *event = next_answer(asking);
    if (event == NULL)
        return;
    const rd_kafka_ListConsumerGroupOffsets_result_t *result =
        rd_kafka_event_ListConsumerGroupOffsets_result(event);
    const rd_kafka_group_result_t **found =
        result != NULL ? rd_kafka_ListConsumerGroupOffsets_result_groups(result, &count) : NULL;
    if (count == 1 && rd_kafka_group_result_error(found[0]) == NULL)
        measure(asking, group, rd_kafka_group_result_partitions(found[0]));
    rd_kafka_event_destroy(event);
}

static void ask_groups(struct asking *asking)
{
    slc_survey *survey = asking->survey;
    if (asking->options->groups_max == 0 || !list_groups(asking))
        return;
    describe_groups(asking);
    for (size_t i = 0; i < survey->group_count && !stopped(asking); i++)
        ask_lag(asking, &survey->groups[i]);
}

/* ---- all of it ---- */

bool slc_survey_take(const slc_backend *backend, const slc_survey_options *options, slc_survey *survey,
                     slc_error *err)
{
    const slc_broker_settings settings = {.publish_deadline_ms = 10000,
                                          .producer_queue_bytes = 1 << 20,
                                          .gather_ms = 1,
                                          .fetch_bytes = 65536,
                                          .inflated_bytes = 1 << 20,
                                          .refresh_ms = 60000,
                                          .metadata_timeout_ms = options->timeout_ms};
    struct asking asking = {.options = options, .survey = survey};
    memset(survey, 0, sizeof *survey);
    slc_broker *broker = slc_broker_kafka.open(backend, &settings, err);
    if (broker == NULL)
        return false;
    asking.kafka = (slc_kafka *)broker;
    asking.rk = asking.kafka->query->rk;
    asking.queue = rd_kafka_queue_new(asking.rk);
    bool ok = ask_topics(&asking, err);
    if (ok) {
        ask_configs(&asking);
        ask_groups(&asking);
        slc_strmap_release(&asking.by_name);
    }
    rd_kafka_queue_destroy(asking.queue);
    slc_broker_kafka.close(broker);
    return ok;
}

void slc_survey_release(slc_survey *survey)
{
    for (size_t i = 0; i < survey->topic_count; i++)
        free(survey->topics[i].name);
    for (size_t i = 0; i < survey->group_count; i++) {
        for (size_t k = 0; k < survey->groups[i].lag_count; k++)
            free(survey->groups[i].lags[k].topic);
        free(survey->groups[i].id);
    }
    free(survey->topics);
    free(survey->groups);
    memset(survey, 0, sizeof *survey);
}
