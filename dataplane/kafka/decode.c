/* Whole messages to a visitor. */
#include "dataplane/kafka/decode.h"

#include <string.h>

#include "dataplane/kafka/header.h"

bool slc_kafka_body_decode(const slc_kafka_message *message, int version, const uint8_t *body, size_t len,
                           slc_kafka_visit_fn *visit, void *ctx, slc_error *err)
{
    slc_kafka_walk walk;
    slc_kafka_walk_options options = {.wants = SLC_KAFKA_WANT_FIELDS | SLC_KAFKA_WANT_SHAPE};
    if (!slc_kafka_walk_init(&walk, message, version, len, &options, err))
        return false;
    slc_kafka_walk_feed(&walk, body, len);
    slc_kafka_event ev;
    enum slc_kafka_step step;
    while ((step = slc_kafka_walk_next(&walk, &ev, err)) == SLC_KAFKA_EVENT) {
        if (!visit(ctx, &ev, err))
            return false;
    }
    return step == SLC_KAFKA_DONE; /* never MORE: all of it was fed */
}

bool slc_kafka_response_decode(int key, int version, int32_t correlation_id, const uint8_t *frame, size_t len,
                               slc_kafka_visit_fn *visit, void *ctx, slc_error *err)
{
    const slc_kafka_message *message = slc_kafka_message_find(key, version, SLC_KAFKA_RESPONSE, err);
    if (message == NULL)
        return false;
    int32_t answers;
    size_t header;
    if (slc_kafka_response_header_read(message, version, frame, len, len, &answers, &header, err) !=
        SLC_KAFKA_DONE)
        return false;
    if (answers != correlation_id)
        return slc_fail(err, SLC_INVALID, "CorrelationId", "%s answers request %d where %d was expected.",
                        message->name, answers, correlation_id);
    return slc_kafka_body_decode(message, version, frame + header, len - header, visit, ctx, err);
}

bool slc_kafka_event_is(const slc_kafka_event *event, const char *name)
{
    return event->kind == SLC_KAFKA_EV_VALUE && strcmp(event->field->name, name) == 0;
}

bool slc_kafka_event_copy(const slc_kafka_event *event, char *to, size_t cap, slc_error *err)
{
    if (event->len >= cap)
        return slc_fail(err, SLC_LIMIT, event->field->name, "%s of %zu bytes is longer than %zu.",
                        event->field->name, event->len, cap - 1);
    if (event->len > 0) {
        if (memchr(event->data, '\0', event->len) != NULL)
            return slc_fail(err, SLC_INVALID, event->field->name, "%s holds a NUL byte.", event->field->name);
        memcpy(to, event->data, event->len);
    }
    to[event->len] = '\0';
    return true;
}
