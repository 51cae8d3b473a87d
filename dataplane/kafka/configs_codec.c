/* The gateway's own DescribeConfigs exchange. */
#include "dataplane/kafka/configs_codec.h"

#include <string.h>

#include "dataplane/kafka/decode.h"
#include "dataplane/kafka/encode.h"
#include "dataplane/kafka/metadata_codec.h"

#define NAME_MAX_BYTES  255
#define VALUE_MAX_BYTES 4095

bool slc_kafka_describe_configs_request(slc_buf *out, int32_t correlation_id, const char *client_id,
                                        const char *const *topics, size_t n_topics, const char *const *names,
                                        size_t n_names, slc_error *err)
{
    for (size_t i = 0; i < n_topics; i++) {
        if (strlen(topics[i]) > SLC_KAFKA_TOPIC_MAX)
            return slc_fail(err, SLC_INVALID, "Resources", "A topic name has at most %d bytes.",
                            SLC_KAFKA_TOPIC_MAX);
    }
    size_t begin = slc_kafka_request_begin(out, SLC_KAFKA_DESCRIBE_CONFIGS_KEY,
                                           SLC_KAFKA_DESCRIBE_CONFIGS_VERSION, correlation_id, client_id);
    slc_kafka_add_count(out, true, (int32_t)n_topics);
    for (size_t i = 0; i < n_topics; i++) {
        slc_kafka_add_int8(out, SLC_KAFKA_CONFIG_TOPIC);
        slc_kafka_add_string(out, true, topics[i], strlen(topics[i]));
        slc_kafka_add_count(out, true, (int32_t)n_names);
        for (size_t j = 0; j < n_names; j++)
            slc_kafka_add_string(out, true, names[j], strlen(names[j]));
        slc_kafka_add_no_tags(out);
    }
    slc_kafka_add_int8(out, 0); /* include_synonyms */
    slc_kafka_add_int8(out, 0); /* include_documentation */
    slc_kafka_add_no_tags(out);
    return slc_kafka_frame_end(out, begin, err);
}

struct reading {
    slc_kafka_config_fn *fn;
    void *ctx;
    int depth; /* 1: in a result, 2: in one of its settings, 3: in a synonym */
    int16_t error;
    bool null_value;
    char topic[SLC_KAFKA_TOPIC_MAX + 1];
    char name[NAME_MAX_BYTES + 1];
    char value[VALUE_MAX_BYTES + 1];
};

static bool read_result(struct reading *r, const slc_kafka_event *ev, slc_error *err)
{
    if (slc_kafka_event_is(ev, "ErrorCode"))
        r->error = (int16_t)ev->number;
    if (!slc_kafka_event_is(ev, "ResourceName"))
        return true;
    if (!slc_kafka_event_copy(ev, r->topic, sizeof(r->topic), err))
        return false;
    slc_kafka_config config = {.topic = r->topic};
    return r->error == 0 || r->fn(r->ctx, r->error, &config, err);
}

static bool read_setting(struct reading *r, const slc_kafka_event *ev, slc_error *err)
{
    if (slc_kafka_event_is(ev, "Name"))
        return slc_kafka_event_copy(ev, r->name, sizeof(r->name), err);
    if (!slc_kafka_event_is(ev, "Value"))
        return true;
    r->null_value = ev->data == NULL;
    return slc_kafka_event_copy(ev, r->value, sizeof(r->value), err);
}

static bool end_element(struct reading *r, slc_error *err)
{
    slc_kafka_config config = {r->topic, r->name, r->null_value ? NULL : r->value};
    return r->depth-- != 2 || r->fn(r->ctx, 0, &config, err);
}

static bool visit(void *ctx, const slc_kafka_event *ev, slc_error *err)
{
    struct reading *r = ctx;
    if (ev->kind == SLC_KAFKA_EV_ELEMENT)
        r->depth++;
    if (ev->kind == SLC_KAFKA_EV_ELEMENT_END)
        return end_element(r, err);
    if (r->depth == 1)
        return read_result(r, ev, err);
    return r->depth != 2 || read_setting(r, ev, err);
}

bool slc_kafka_describe_configs_response(const uint8_t *frame, size_t len, int32_t correlation_id,
                                         slc_kafka_config_fn *fn, void *ctx, slc_error *err)
{
    struct reading r = {.fn = fn, .ctx = ctx};
    return slc_kafka_response_decode(SLC_KAFKA_DESCRIBE_CONFIGS_KEY, SLC_KAFKA_DESCRIBE_CONFIGS_VERSION,
                                     correlation_id, frame, len, visit, &r, err);
}
