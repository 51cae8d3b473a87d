/* kafka-requests: how native clients may make and configure topics, write batches and call themselves. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/error.h"
#include "common/kafka_config_rule.h"
#include "common/re2/re2_face.h"
#include "dataplane/policy/types.h"

#define MAX_PARTITIONS 1000000
#define MAX_REPLICAS   32767
#define CLIENT_ID_MAX  1000

struct config_rule {
    char *name;
    bool required;
    char **values; /* NULL: it may not be set */
    size_t count;
};

struct kafka_requests {
    int64_t max_partitions;             /* 0: no limit */
    int64_t min_replicas, max_replicas; /* likewise */
    struct config_rule *configs;
    size_t config_count;
    unsigned codecs; /* bits of those that are allowed; 0: all */
    bool acks_all, idempotent;
    char *client_id;
    slc_re2 *pattern;
};

static const char *const codec_names[] = {"none", "gzip", "snappy", "lz4", "zstd"};
#define CODECS (sizeof codec_names / sizeof *codec_names)

/* ---- the configuration ---- */

static void release(void *compiled)
{
    struct kafka_requests *rules = compiled;
    for (size_t i = 0; i < rules->config_count; i++) {
        for (size_t j = 0; j < rules->configs[i].count; j++)
            free(rules->configs[i].values[j]);
        free(rules->configs[i].values);
        free(rules->configs[i].name);
    }
    free(rules->configs);
    free(rules->client_id);
    slc_re2_free(rules->pattern);
    free(rules);
}

static bool compile_config(const json_t *config, struct config_rule *rule, slc_error *err)
{
    static const char *const known[] = {"name", "values", "required", NULL};
    static const slc_policy_list list = {1, SLC_KAFKA_CONFIG_VALUES, SLC_KAFKA_CONFIG_VALUE_MAX,
                                         slc_kafka_config_is_value};
    const json_t *values = NULL;
    size_t i;
    json_t *item;
    if (!json_is_object(config))
        return slc_fail(err, SLC_INVALID, "/config/topic_configs", "a rule must be an object");
    const char *name = slc_policy_config_string(config, "name", "", SLC_KAFKA_CONFIG_NAME_MAX, err);
    if (name == NULL || !slc_policy_config_known(config, known, err) ||
        !slc_policy_config_strings(config, "values", &list, &values, err) ||
        !slc_policy_config_bool(config, "required", false, &rule->required, err))
        return false;
    if (!slc_kafka_config_is_name(name, strlen(name)))
        return slc_fail(err, SLC_INVALID, "/config/topic_configs", "name must be that of a configuration");
    if (rule->required && values == NULL)
        return slc_fail(err, SLC_INVALID, "/config/topic_configs", "what is required needs values");
    rule->name = slc_strdup(name);
    rule->values = slc_calloc(json_array_size(values) + 1, sizeof *rule->values);
    json_array_foreach ((json_t *)values, i, item) {
        rule->values[rule->count++] = slc_strdup(json_string_value(item));
    }
    return true;
}

static bool compile_configs(const json_t *config, struct kafka_requests *rules, slc_error *err)
{
    const json_t *list = json_object_get(config, "topic_configs");
    size_t i;
    json_t *item;
    if (list == NULL)
        return true;
    if (!json_is_array(list) || json_array_size(list) == 0 || json_array_size(list) > SLC_KAFKA_CONFIG_RULES)
        return slc_fail(err, SLC_INVALID, "/config/topic_configs", "must be a list of 1 to %d rules",
                        SLC_KAFKA_CONFIG_RULES);
    rules->configs = slc_calloc(json_array_size(list), sizeof *rules->configs);
    json_array_foreach ((json_t *)list, i, item) {
        rules->config_count++;
        if (!compile_config(item, &rules->configs[i], err))
            return false;
    }
    return true;
}

static int codec_of(const char *name)
{
    for (int i = 0; i < (int)CODECS; i++)
        if (strcmp(codec_names[i], name) == 0)
            return i;
    return -1;
}

static bool is_codec(const char *text, size_t len)
{
    return strlen(text) == len && codec_of(text) >= 0;
}

static bool compile_codecs(const json_t *config, struct kafka_requests *rules, slc_error *err)
{
    static const slc_policy_list list = {1, CODECS, 10, is_codec};
    const json_t *names = NULL;
    size_t i;
    json_t *item;
    if (!slc_policy_config_strings(config, "compression", &list, &names, err))
        return false;
    json_array_foreach ((json_t *)names, i, item) {
        rules->codecs |= 1u << codec_of(json_string_value(item));
    }
    return true;
}

static bool compile_pattern(const json_t *config, struct kafka_requests *rules, slc_error *err)
{
    char reason[128];
    if (json_object_get(config, "client_id") == NULL)
        return true;
    const char *pattern = slc_policy_config_string(config, "client_id", NULL, CLIENT_ID_MAX, err);
    if (pattern == NULL)
        return false;
    for (const char *at = pattern; *at != '\0'; at++)
        if ((unsigned char)*at < 0x20 || *at == 0x7f)
            return slc_fail(err, SLC_INVALID, "/config/client_id", "must not contain control characters");
    rules->client_id = slc_strdup(pattern);
    rules->pattern = slc_re2_new(pattern, strlen(pattern), reason, sizeof reason);
    return rules->pattern != NULL ||
           slc_fail(err, SLC_INVALID, "/config/client_id", "is no regular expression of RE2: %s", reason);
}

static bool compile_all(const json_t *config, struct kafka_requests *rules, slc_error *err)
{
    static const char *const known[] = {"max_partitions",
                                        "min_replication_factor",
                                        "max_replication_factor",
                                        "topic_configs",
                                        "compression",
                                        "acks_all",
                                        "idempotent",
                                        "client_id",
                                        NULL};
    if (!slc_policy_config_known(config, known, err) ||
        !slc_policy_config_int(config, "max_partitions", 0, 1, MAX_PARTITIONS, &rules->max_partitions, err) ||
        !slc_policy_config_int(config, "min_replication_factor", 0, 1, MAX_REPLICAS, &rules->min_replicas,
                               err) ||
        !slc_policy_config_int(config, "max_replication_factor", 0, 1, MAX_REPLICAS, &rules->max_replicas,
                               err) ||
        !slc_policy_config_bool(config, "acks_all", false, &rules->acks_all, err) ||
        !slc_policy_config_bool(config, "idempotent", false, &rules->idempotent, err) ||
        !compile_configs(config, rules, err) || !compile_codecs(config, rules, err) ||
        !compile_pattern(config, rules, err))
        return false;
    if (rules->min_replicas > 0 && rules->max_replicas > 0 && rules->min_replicas > rules->max_replicas)
        return slc_fail(err, SLC_INVALID, "/config/max_replication_factor", "is below min_replication_factor");
    return rules->max_partitions > 0 || rules->min_replicas > 0 || rules->max_replicas > 0 || rules->acks_all ||
           rules->idempotent || rules->config_count > 0 || rules->codecs != 0 || rules->pattern != NULL ||
           slc_fail(err, SLC_INVALID, "/config", "at least one rule must be set");
}

static bool compile(const json_t *config, void **compiled, slc_error *err)
{
    struct kafka_requests *rules = slc_calloc(1, sizeof *rules);
    if (!compile_all(config, rules, err)) {
        release(rules);
        return false;
    }
    *compiled = rules;
    return true;
}

/* ---- topics ---- */

static bool violates(char reason[160], const char *fmt, ...) SLC_PRINTF(2, 3);
static bool violates(char reason[160], const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(reason, 160, fmt, args);
    va_end(args);
    return true;
}

static bool is(const slc_kafka_span *span, const char *text)
{
    return span->data != NULL && span->len == strlen(text) && memcmp(span->data, text, span->len) == 0;
}

/* Kafka trims the items of lists, so that " delete" is "delete". */
static slc_kafka_span trimmed(slc_kafka_span value)
{
    const uint8_t *data = value.data;
    while (data != NULL && value.len > 0 && (data[0] == ' ' || data[0] == '\t')) {
        data++;
        value.len--;
    }
    while (data != NULL && value.len > 0 && (data[value.len - 1] == ' ' || data[value.len - 1] == '\t'))
        value.len--;
    return (slc_kafka_span){data, value.len};
}

static bool has_value(const struct config_rule *rule, const slc_demand_config *config)
{
    slc_kafka_span value = trimmed(config->value);
    for (size_t i = 0; i < rule->count; i++)
        if (is(&value, rule->values[i]))
            return true;
    return false;
}

/* Does the change leave the configuration with what the rule does not allow? A change of a list's items is not
 * known to end well. */
static bool breaks(const struct config_rule *rule, const slc_demand_config *config)
{
    if (config->operation == SLC_CONFIG_DELETE || config->value.data == NULL)
        return rule->required;
    return config->operation != SLC_CONFIG_SET || !has_value(rule, config);
}

static bool config_violates(const struct config_rule *rule, const slc_demand *demand, char reason[160])
{
    bool there = false;
    for (size_t i = 0; i < demand->config_count; i++) {
        const slc_demand_config *config = &demand->configs[i];
        if (!is(&config->name, rule->name))
            continue;
        there = true;
        if (breaks(rule, config))
            return violates(reason, "the configuration %s may not be that", rule->name);
    }
    return rule->required && demand->whole && !there &&
           violates(reason, "the configuration %s is required", rule->name);
}

static bool configs_violate(const struct kafka_requests *rules, const slc_demand *demand, char reason[160])
{
    for (size_t i = 0; i < rules->config_count; i++)
        if (config_violates(&rules->configs[i], demand, reason))
            return true;
    return false;
}

static bool topic_violates(const struct kafka_requests *rules, const slc_demand *demand, char reason[160])
{
    if (rules->max_partitions > 0 && demand->partitions > rules->max_partitions)
        return violates(reason, "%lld partitions", (long long)demand->partitions);
    if (!demand->made)
        return false;
    if (rules->min_replicas > 0 && demand->replicas >= 0 && demand->replicas < rules->min_replicas)
        return violates(reason, "replication factor %d", demand->replicas);
    if (rules->max_replicas > 0 && demand->most_replicas > rules->max_replicas)
        return violates(reason, "replication factor %d", demand->most_replicas);
    return configs_violate(rules, demand, reason);
}

/* ---- asking ---- */

static unsigned demands(const void *compiled)
{
    const struct kafka_requests *rules = compiled;
    bool topics = rules->max_partitions > 0 || rules->min_replicas > 0 || rules->max_replicas > 0;
    return (topics || rules->config_count > 0 ? SLC_DEMAND_TOPIC : 0u) |
           (rules->config_count > 0 ? SLC_DEMAND_CONFIGS : 0u) |
           (rules->acks_all || rules->idempotent || rules->codecs != 0 ? SLC_DEMAND_BATCH : 0u) |
           (rules->pattern != NULL ? SLC_DEMAND_CLIENT_ID : 0u);
}

static int16_t batch_error(const struct kafka_requests *rules, const slc_demand *demand, char reason[160])
{
    if (rules->acks_all && demand->acks != -1 && violates(reason, "acks=%d", demand->acks))
        return SLC_KAFKA_INVALID_REQUIRED_ACKS;
    if (rules->codecs != 0 && (rules->codecs & 1u << demand->codec) == 0 &&
        violates(reason, "compression %s", demand->codec < CODECS ? codec_names[demand->codec] : "unknown"))
        return SLC_KAFKA_UNSUPPORTED_COMPRESSION_TYPE;
    return rules->idempotent && !demand->idempotent && violates(reason, "the producer is not idempotent")
               ? SLC_KAFKA_POLICY_VIOLATION
               : 0;
}

static int16_t meets(const void *compiled, const slc_demand *demand, char reason[160])
{
    const struct kafka_requests *rules = compiled;
    bool violated = false;
    switch (demand->kind) {
    case SLC_DEMAND_TOPIC:
        violated = topic_violates(rules, demand, reason);
        break;
    case SLC_DEMAND_CONFIGS:
        violated = configs_violate(rules, demand, reason);
        break;
    case SLC_DEMAND_BATCH:
        return batch_error(rules, demand, reason);
    case SLC_DEMAND_CLIENT_ID:
        violated =
            rules->pattern != NULL &&
            !slc_re2_matches(rules->pattern, demand->client_id_len > 0 ? (const char *)demand->client_id : "",
                             demand->client_id_len) &&
            violates(reason, "the client.id does not match");
        break;
    }
    return violated ? SLC_KAFKA_POLICY_VIOLATION : 0;
}

static void explain_config(const struct config_rule *rule, slc_buf *out)
{
    slc_buf_addf(out, " Configuration %s: ", rule->name);
    if (rule->count == 0)
        slc_buf_adds(out, "not to be set");
    for (size_t i = 0; i < rule->count; i++)
        slc_buf_addf(out, "%s%s", i > 0 ? " or " : "", rule->values[i]);
    slc_buf_adds(out, rule->required ? ", required." : ".");
}

static void explain(const void *compiled, slc_buf *out)
{
    const struct kafka_requests *rules = compiled;
    if (rules->max_partitions > 0)
        slc_buf_addf(out, " At most %lld partitions.", (long long)rules->max_partitions);
    if (rules->min_replicas > 0)
        slc_buf_addf(out, " Replication factor at least %lld.", (long long)rules->min_replicas);
    if (rules->max_replicas > 0)
        slc_buf_addf(out, " Replication factor at most %lld.", (long long)rules->max_replicas);
    for (size_t i = 0; i < rules->config_count; i++)
        explain_config(&rules->configs[i], out);
    if (rules->idempotent)
        slc_buf_adds(out, " Producers are idempotent.");
}

#define FACTOR(name, text)                                                                                     \
    "\"" name "\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":32767,\"description\":\"" text "\"},"

const slc_policy_type slc_policy_kafka_requests = {
    .name = "kafka-requests",
    .summary =
        "Rules for requests of native Kafka clients; HTTP has none of this to choose. A topic that may not be "
        "made, or configured like that,\nis refused with POLICY_VIOLATION, the others of the request are not. "
        "Where rules for topics hold, none is made by the way of Metadata.\nWhat a client leaves to the broker "
        "(partitions or replication factor -1) is the broker's defaults, which are yours to choose.\n\n"
        "Batches are refused one by one: INVALID_REQUIRED_ACKS, UNSUPPORTED_COMPRESSION_TYPE, or "
        "POLICY_VIOLATION for a producer that is not\nidempotent; the gateway reads their headers and does not "
        "decompress them. A client whose `client.id` does not match gets POLICY_VIOLATION\nfor everything but "
        "Metadata. Clients that authenticate to the broker themselves (pass-through) are the broker's to "
        "judge.",
    .config_schema =
        "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{"
        "\"max_partitions\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":1000000,"
        "\"description\":\"Partitions that a topic may be made with, or get.\"}," FACTOR(
            "min_replication_factor", "Of topics that are made.")
            FACTOR(
                "max_replication_factor",
                "Of topics that are made.") "\"topic_configs\":{\"type\":\"array\",\"minItems\":1,\"maxItems\":"
                                            "50,"
                                            "\"description\":\"Configurations of topics, when they are made "
                                            "and when they are changed.\","
                                            "\"items\":{\"type\":\"object\",\"additionalProperties\":false,"
                                            "\"required\":[\"name\"],\"properties\":{"
                                            "\"name\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":100,"
                                            "\"description\":\"Such as `cleanup.policy`.\"},"
                                            "\"values\":{\"type\":\"array\",\"minItems\":1,\"maxItems\":20,"
                                            "\"uniqueItems\":true,"
                                            "\"items\":{\"type\":\"string\",\"maxLength\":200},"
                                            "\"description\":\"What it may be set to; absent: it may not be "
                                            "set.\"},"
                                            "\"required\":{\"type\":\"boolean\",\"default\":false,"
                                            "\"description\":\"Who makes a topic must set it, and nobody may "
                                            "take it back.\"}}}},"
                                            "\"compression\":{\"type\":\"array\",\"minItems\":1,\"maxItems\":5,"
                                            "\"uniqueItems\":true,"
                                            "\"items\":{\"type\":\"string\",\"enum\":[\"none\",\"gzip\","
                                            "\"snappy\",\"lz4\",\"zstd\"]},"
                                            "\"description\":\"Of batches: those that are taken. Without "
                                            "`none` it is required.\"},"
                                            "\"acks_all\":{\"type\":\"boolean\",\"default\":false,"
                                            "\"description\":\"Records are written with `acks=all` alone.\"},"
                                            "\"idempotent\":{\"type\":\"boolean\",\"default\":false,"
                                            "\"description\":\"Records are written by idempotent producers "
                                            "alone.\"},"
                                            "\"client_id\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":"
                                            "1000,"
                                            "\"description\":\"Regular expression (RE2) that the whole "
                                            "`client.id` must match.\"}}}",
    .compile = compile,
    .release = release,
    .demands = demands,
    .meets = meets,
    .explain = explain,
};
