/* kafka-requests: what its rules say of each thing that a native client wants. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "dataplane/policy/types.h"
#include "tests/unit/common/unit.h"

#define SPAN(text)                                                                                             \
    {                                                                                                          \
        (const uint8_t *)(text), sizeof(text) - 1                                                              \
    }

static char reason[160];

static int16_t ask(const char *config, const slc_demand *demand)
{
    slc_error err = {0};
    void *rules = NULL;
    json_t *json = slc_json_parse(config, strlen(config), 65536, &err);
    ck_assert_msg(json != NULL && slc_policy_kafka_requests.compile(json, &rules, &err), "%s: %s", config,
                  err.message);
    ck_assert_msg((slc_policy_kafka_requests.demands(rules) & demand->kind) != 0, "%s", config);
    reason[0] = '\0';
    int16_t code = slc_policy_kafka_requests.meets(rules, demand, reason);
    ck_assert_msg((code != 0) == (reason[0] != '\0'), "%s: %d %s", config, code, reason);
    slc_policy_kafka_requests.release(rules);
    json_decref(json);
    return code;
}

#define CLEANUP "{\"topic_configs\":[{\"name\":\"cleanup.policy\",\"values\":[\"delete\"],\"required\":true}]}"
#define COMPACT "{\"topic_configs\":[{\"name\":\"cleanup.policy\",\"values\":[\"delete\",\"compact\"]}]}"
#define NOT_SET "{\"topic_configs\":[{\"name\":\"retention.ms\"}]}"

START_TEST(topics_have_partitions_and_copies)
{
    static const struct {
        const char *config;
        slc_demand demand;
        bool good;
    } cases[] = {
        {"{\"max_partitions\":4}", {.made = true, .partitions = 4}, true},
        {"{\"max_partitions\":4}", {.made = true, .partitions = 5}, false},
        {"{\"max_partitions\":4}", {.made = false, .partitions = 5}, false},
        {"{\"max_partitions\":4}", {.made = true, .partitions = -1}, true},
        {"{\"min_replication_factor\":2}", {.made = true, .replicas = 2, .most_replicas = 2}, true},
        {"{\"min_replication_factor\":2}", {.made = true, .replicas = 1, .most_replicas = 3}, false},
        {"{\"min_replication_factor\":2}", {.made = true, .replicas = -1, .most_replicas = -1}, true},
        {"{\"min_replication_factor\":2}", {.made = false, .replicas = 1, .most_replicas = 1}, true},
        {"{\"max_replication_factor\":2}", {.made = true, .replicas = 1, .most_replicas = 3}, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        slc_demand demand = cases[i].demand;
        demand.kind = SLC_DEMAND_TOPIC;
        ck_assert_msg(ask(cases[i].config, &demand) == (cases[i].good ? 0 : SLC_KAFKA_POLICY_VIOLATION),
                      "case %zu: %s", i, reason);
    }
}
END_TEST

START_TEST(configurations_are_fixed_required_or_forbidden)
{
    static const struct {
        const char *config;
        bool whole;
        slc_demand_config what;
        bool good;
    } cases[] = {
        {CLEANUP, true, {SPAN("cleanup.policy"), SPAN("delete"), SLC_CONFIG_SET}, true},
        {CLEANUP, true, {SPAN("cleanup.policy"), SPAN(" delete "), SLC_CONFIG_SET}, true},
        {CLEANUP, true, {SPAN("cleanup.policy"), SPAN("compact"), SLC_CONFIG_SET}, false},
        {CLEANUP, true, {SPAN("cleanup.policy"), SPAN("delete,compact"), SLC_CONFIG_SET}, false},
        {CLEANUP, true, {SPAN("segment.ms"), SPAN("1"), SLC_CONFIG_SET}, false},
        {CLEANUP, false, {SPAN("segment.ms"), SPAN("1"), SLC_CONFIG_SET}, true},
        {CLEANUP, true, {SPAN("cleanup.policy"), {NULL, 0}, SLC_CONFIG_SET}, false},
        {CLEANUP, false, {SPAN("cleanup.policy"), {NULL, 0}, SLC_CONFIG_DELETE}, false},
        {CLEANUP, false, {SPAN("cleanup.policy"), SPAN("delete"), SLC_CONFIG_APPEND}, false},
        {COMPACT, false, {SPAN("cleanup.policy"), {NULL, 0}, SLC_CONFIG_DELETE}, true},
        {COMPACT, true, {SPAN("cleanup.policy"), SPAN("compact"), SLC_CONFIG_SET}, true},
        {COMPACT, false, {SPAN("cleanup.policy"), SPAN("delete"), SLC_CONFIG_SUBTRACT}, false},
        {NOT_SET, true, {SPAN("retention.ms"), SPAN("1"), SLC_CONFIG_SET}, false},
        {NOT_SET, false, {SPAN("retention.ms"), {NULL, 0}, SLC_CONFIG_DELETE}, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        slc_demand demand = {
            .kind = SLC_DEMAND_CONFIGS, .whole = cases[i].whole, .configs = &cases[i].what, .config_count = 1};
        ck_assert_msg(ask(cases[i].config, &demand) == (cases[i].good ? 0 : SLC_KAFKA_POLICY_VIOLATION),
                      "case %zu: %s", i, reason);
        demand.kind = SLC_DEMAND_TOPIC;
        demand.made = true;
        ck_assert_msg(ask(cases[i].config, &demand) == (cases[i].good ? 0 : SLC_KAFKA_POLICY_VIOLATION),
                      "case %zu, made: %s", i, reason);
    }
}
END_TEST

START_TEST(batches_and_clients)
{
    slc_demand batch = {.kind = SLC_DEMAND_BATCH, .acks = -1, .codec = 4, .idempotent = true};
    static const char all[] = "{\"acks_all\":true,\"compression\":[\"zstd\"],\"idempotent\":true}";
    ck_assert_int_eq(ask(all, &batch), 0);
    batch.idempotent = false;
    ck_assert_int_eq(ask(all, &batch), SLC_KAFKA_POLICY_VIOLATION);
    batch.codec = 0;
    ck_assert_int_eq(ask(all, &batch), SLC_KAFKA_UNSUPPORTED_COMPRESSION_TYPE);
    batch.codec = 7;
    ck_assert_int_eq(ask(all, &batch), SLC_KAFKA_UNSUPPORTED_COMPRESSION_TYPE);
    batch.acks = 1;
    ck_assert_int_eq(ask(all, &batch), SLC_KAFKA_INVALID_REQUIRED_ACKS);
    ck_assert_int_eq(ask("{\"compression\":[\"none\"],\"idempotent\":false,\"acks_all\":false}",
                         &(slc_demand){.kind = SLC_DEMAND_BATCH}),
                     0);
    slc_demand client = {
        .kind = SLC_DEMAND_CLIENT_ID, .client_id = (const uint8_t *)"shop-1", .client_id_len = 6};
    ck_assert_int_eq(ask("{\"client_id\":\"shop-[0-9]\"}", &client), 0);
    ck_assert_int_eq(ask("{\"client_id\":\"shop-\"}", &client), SLC_KAFKA_POLICY_VIOLATION);
    client.client_id = NULL;
    client.client_id_len = 0;
    ck_assert_int_eq(ask("{\"client_id\":\"shop-[0-9]\"}", &client), SLC_KAFKA_POLICY_VIOLATION);
}
END_TEST

UNIT_MAIN("kafka-requests", topics_have_partitions_and_copies, configurations_are_fixed_required_or_forbidden,
          batches_and_clients)
