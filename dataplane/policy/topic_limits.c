#include "dataplane/policy/topic_limits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "dataplane/policy/decisions.h"

#define REMEMBERED 32 /* topics of which it is known what they are charged to; the oldest goes */

struct rule {
    char limit[24], event_api[24], subject[64];
    bool all, by_api; /* event APIs; the subject is the event API */
    slc_rates rates;
    bool dry;
    slc_series *would; /* counts what it would have slowed down; NULL: nobody counts */
};

struct topic {
    uint8_t *name; /* on the backend */
    size_t len;
    unsigned count;
    struct {
        uint64_t hash;
        uint32_t rule;
    } charges[SLC_MAX_CHARGES];
};

struct slc_topic_limits {
    slc_snapshot *snapshot;
    char vcluster_id[24];
    slc_limits *table;
    struct rule *rules;
    uint32_t rule_count;
    struct topic *topics[REMEMBERED];
    unsigned topic_count;
};

slc_topic_limits *slc_topic_limits_new(slc_snapshot *snapshot, const char *vcluster_id, slc_limits *table)
{
    slc_topic_limits *limits = slc_calloc(1, sizeof *limits);
    limits->snapshot = slc_snapshot_ref(snapshot);
    limits->table = table;
    snprintf(limits->vcluster_id, sizeof limits->vcluster_id, "%s", vcluster_id);
    return limits;
}

static void free_topic(struct topic *topic)
{
    free(topic->name);
    free(topic);
}

static void forget(slc_topic_limits *limits)
{
    for (unsigned i = 0; i < limits->topic_count; i++)
        free_topic(limits->topics[i]);
    limits->topic_count = 0;
}

void slc_topic_limits_follow(slc_topic_limits *limits, slc_snapshot *snapshot)
{
    slc_snapshot *before = limits->snapshot;
    forget(limits);
    limits->snapshot = slc_snapshot_ref(snapshot);
    slc_snapshot_unref(before);
}

void slc_topic_limits_free(slc_topic_limits *limits)
{
    if (limits == NULL)
        return;
    forget(limits);
    slc_snapshot_unref(limits->snapshot);
    free(limits->rules);
    free(limits);
}

void slc_topic_limits_add(slc_topic_limits *limits, const char *limit, const char *event_api,
                          const char *subject, const slc_rates *rates, const char *dry)
{
    limits->rules = slc_realloc(limits->rules, (limits->rule_count + 1) * sizeof *limits->rules);
    struct rule *rule = &limits->rules[limits->rule_count++];
    *rule =
        (struct rule){.all = event_api == NULL, .by_api = subject == NULL, .rates = *rates, .dry = dry != NULL};
    if (dry != NULL)
        rule->would = slc_decisions_series(dry, SLC_OUTCOME_DRY_DENIED);
    snprintf(rule->limit, sizeof rule->limit, "%s", limit);
    snprintf(rule->event_api, sizeof rule->event_api, "%s", event_api != NULL ? event_api : "");
    snprintf(rule->subject, sizeof rule->subject, "%s", subject != NULL ? subject : "");
}

/* ---- topics ---- */

static void charge(struct topic *topic, uint64_t hash, uint32_t rule)
{
    for (unsigned i = 0; i < topic->count; i++)
        if (topic->charges[i].hash == hash)
            return;
    if (topic->count == SLC_MAX_CHARGES)
        return;
    topic->charges[topic->count].hash = hash;
    topic->charges[topic->count++].rule = rule;
}

/* By every event API that is on the topic. */
static void find_charges(const slc_topic_limits *limits, struct topic *topic)
{
    size_t count;
    slc_event_api *const *apis = slc_snapshot_event_apis(limits->snapshot, &count);
    for (size_t i = 0; i < count; i++) {
        const slc_event_api *api = apis[i];
        if (strcmp(api->msg->virtual_cluster_id, limits->vcluster_id) != 0 ||
            strlen(api->backend_topic) != topic->len ||
            memcmp(api->backend_topic, topic->name, topic->len) != 0)
            continue;
        for (uint32_t r = 0; r < limits->rule_count; r++) {
            const struct rule *rule = &limits->rules[r];
            const char *subject = rule->by_api ? api->msg->id : rule->subject;
            if (rule->all || strcmp(rule->event_api, api->msg->id) == 0)
                charge(topic, slc_limits_hash(limits->table, rule->limit, subject), r);
        }
    }
}

static struct topic *topic_of(slc_topic_limits *limits, const uint8_t *name, size_t len)
{
    for (unsigned i = 0; i < limits->topic_count; i++)
        if (limits->topics[i]->len == len && memcmp(limits->topics[i]->name, name, len) == 0)
            return limits->topics[i];
    if (limits->topic_count == REMEMBERED) {
        free_topic(limits->topics[0]);
        memmove(limits->topics, limits->topics + 1, --limits->topic_count * sizeof(limits->topics[0]));
    }
    struct topic *topic = slc_calloc(1, sizeof *topic);
    topic->name = slc_memdup(name, len);
    topic->len = len;
    find_charges(limits, topic);
    limits->topics[limits->topic_count++] = topic;
    return topic;
}

int64_t slc_topic_limits_pay(slc_topic_limits *limits, const uint8_t *topic, size_t len, uint64_t requests,
                             uint64_t events, uint64_t bytes, int64_t now_ns)
{
    const struct topic *known = topic_of(limits, topic, len);
    slc_charges charges = {.limits = limits->table};
    for (unsigned i = 0; i < known->count; i++) {
        const struct rule *rule = &limits->rules[known->charges[i].rule];
        slc_charges_join(&charges, known->charges[i].hash, &rule->rates, rule->dry);
    }
    slc_charges_pay(&charges, requests, events, bytes, now_ns);
    for (unsigned i = 0; i < charges.count; i++) {
        slc_series *would = limits->rules[known->charges[i].rule].would;
        if (would != NULL && slc_charges_owes_dry(&charges, i, now_ns))
            slc_series_add(would, 1);
    }
    return slc_charges_debt_ms(&charges, now_ns);
}
