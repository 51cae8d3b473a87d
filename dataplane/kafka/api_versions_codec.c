/* The gateway's own ApiVersions exchange. */
#include "dataplane/kafka/api_versions_codec.h"

#include <string.h>

#include "dataplane/kafka/decode.h"
#include "dataplane/kafka/encode.h"
#include "dataplane/kafka/wire.h"

#define FIRST_FLEXIBLE 3
#define ERROR_AT       4 /* after the correlation id of a header of version 0 */

bool slc_kafka_api_versions_request(slc_buf *out, int version, int32_t correlation_id, const char *client_id,
                                    const char *software, const char *software_version, slc_error *err)
{
    size_t begin = slc_kafka_request_begin(out, SLC_KAFKA_API_VERSIONS_KEY, version, correlation_id, client_id);
    if (version >= FIRST_FLEXIBLE) {
        slc_kafka_add_string(out, true, software, strlen(software));
        slc_kafka_add_string(out, true, software_version, strlen(software_version));
        slc_kafka_add_no_tags(out);
    }
    return slc_kafka_frame_end(out, begin, err);
}

struct reading {
    slc_kafka_api_versions *versions;
    int64_t key;
    int64_t min;
    bool inside; /* an element of ApiKeys, not of the features */
};

static void read_api(struct reading *r, const slc_kafka_event *ev)
{
    if (slc_kafka_event_is(ev, "ApiKey"))
        r->key = ev->number;
    else if (slc_kafka_event_is(ev, "MinVersion"))
        r->min = ev->number;
    else if (slc_kafka_event_is(ev, "MaxVersion") && r->key >= 0 && r->key < SLC_KAFKA_KEYS) {
        r->versions->of[r->key].min = (int16_t)r->min;
        r->versions->of[r->key].max = (int16_t)ev->number;
    }
}

static bool visit(void *ctx, const slc_kafka_event *ev, slc_error *err)
{
    struct reading *r = ctx;
    (void)err;
    if (ev->kind == SLC_KAFKA_EV_ELEMENT)
        r->inside = strcmp(ev->field->name, "ApiKeys") == 0;
    else if (ev->kind == SLC_KAFKA_EV_ELEMENT_END)
        r->inside = false;
    else if (r->inside)
        read_api(r, ev);
    else if (slc_kafka_event_is(ev, "ErrorCode"))
        r->versions->error = (int16_t)ev->number;
    return true;
}

bool slc_kafka_api_versions_response(const uint8_t *frame, size_t len, int version, int32_t correlation_id,
                                     slc_kafka_api_versions *versions, slc_error *err)
{
    struct reading r = {.versions = versions, .key = -1};
    versions->error = 0;
    for (size_t i = 0; i < SLC_KAFKA_KEYS; i++) {
        versions->of[i].min = 0;
        versions->of[i].max = -1;
    }
    if (len >= ERROR_AT + 2 && slc_kafka_get16(frame + ERROR_AT) == SLC_KAFKA_ERROR_UNSUPPORTED_VERSION)
        version = 0;
    return slc_kafka_response_decode(SLC_KAFKA_API_VERSIONS_KEY, version, correlation_id, frame, len, visit, &r,
                                     err);
}

bool slc_kafka_api_versions_tags(const uint8_t *frame, size_t len, int version, const uint8_t **tags,
                                 size_t *tags_len)
{
    const slc_kafka_walk_options options = {.wants = SLC_KAFKA_WANT(SLC_KAFKA_ROLE_THROTTLE)};
    const slc_kafka_message *message = slc_kafka_apis[SLC_KAFKA_API_VERSIONS_KEY].response;
    slc_kafka_walk walk;
    slc_kafka_event event;
    slc_error err;
    if (version < FIRST_FLEXIBLE || len <= ERROR_AT ||
        slc_kafka_get16(frame + ERROR_AT) == SLC_KAFKA_ERROR_UNSUPPORTED_VERSION ||
        !slc_kafka_walk_init(&walk, message, version, len - ERROR_AT, &options, &err))
        return false;
    slc_kafka_walk_feed(&walk, frame + ERROR_AT, len - ERROR_AT);
    if (slc_kafka_walk_next(&walk, &event, &err) != SLC_KAFKA_EVENT)
        return false;
    size_t at = ERROR_AT + event.at + 4;
    *tags = frame + at;
    *tags_len = len - at;
    return at < len;
}
