#include "catalog/namespace.h"

#include <stdio.h>
#include <string.h>

#include "catalog/rules.h"
#include "common/glob.h"

static const char *const internal_topics[] = {"__consumer_offsets", "__transaction_state",
                                              "__share_group_state", "__cluster_metadata",
                                              "__remote_log_metadata"};
#define INTERNAL_TOPICS (sizeof internal_topics / sizeof internal_topics[0])

bool slc_namespace_is_internal(const char *topic)
{
    for (size_t i = 0; i < INTERNAL_TOPICS; i++)
        if (strcmp(internal_topics[i], topic) == 0)
            return true;
    return false;
}

bool slc_namespace_holds_internal(const char *prefix)
{
    for (size_t i = 0; i < INTERNAL_TOPICS; i++)
        if (strncmp(internal_topics[i], prefix, strlen(prefix)) == 0)
            return true;
    return false;
}

static bool matches_some(const json_t *globs, const char *topic)
{
    size_t i;
    json_t *glob;
    json_array_foreach (globs, i, glob) {
        if (slc_glob_match(json_string_value(glob), topic, strlen(topic)))
            return true;
    }
    return false;
}

static bool is_alias(const json_t *aliases, const char *topic)
{
    size_t i;
    json_t *alias;
    json_array_foreach (aliases, i, alias) {
        if (strcmp(slc_get_text(alias, "name"), topic) == 0)
            return true;
    }
    return false;
}

bool slc_namespace_has_topic(const json_t *vcluster, const char *topic)
{
    const json_t *namespace = json_object_get(vcluster, "namespace");
    const json_t *filter = json_object_get(namespace, "topic_filter");
    const char *mode = slc_get_text(namespace, "mode"), *prefix = slc_get_text(namespace, "prefix");
    if (mode == NULL || strcmp(mode, "none") == 0)
        return true;
    if (is_alias(json_object_get(namespace, "aliases"), topic) ||
        (matches_some(json_object_get(vcluster, "extra_topics"), topic) && !slc_namespace_is_internal(topic)))
        return true;
    if (strcmp(mode, "enforce") == 0 && strncmp(topic, prefix, strlen(prefix)) != 0)
        return false;
    return strcmp(topic, ".") != 0 && strcmp(topic, "..") != 0 &&
           (json_array_size(filter) == 0 || matches_some(filter, topic));
}

void slc_namespace_backend_topic(const json_t *vcluster, const char *topic, char out[SLC_BACKEND_TOPIC_CHARS])
{
    const json_t *namespace = json_object_get(vcluster, "namespace");
    const char *mode = slc_get_text(namespace, "mode"), *prefix = slc_get_text(namespace, "prefix");
    size_t i;
    json_t *item;
    json_array_foreach (json_object_get(namespace, "aliases"), i, item) {
        if (strcmp(slc_get_text(item, "name"), topic) == 0) {
            snprintf(out, SLC_BACKEND_TOPIC_CHARS, "%s", slc_get_text(item, "topic"));
            return;
        }
    }
    bool prefixed = mode != NULL && strcmp(mode, "hide") == 0 && prefix != NULL &&
                    !matches_some(json_object_get(vcluster, "extra_topics"), topic);
    snprintf(out, SLC_BACKEND_TOPIC_CHARS, "%s%s", prefixed ? prefix : "", topic);
}
