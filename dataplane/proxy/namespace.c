/* A virtual cluster's names in requests. A frame is held until all of it is there that may have to be changed;
 * what lies behind its last change passes from where it was read, or as it comes. When it names topic ids that
 * nobody has told us of, the broker is asked on the same connection, and the request waits with all that is
 * behind it. */
#include <string.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "dataplane/kafka/encode.h"
#include "dataplane/kafka/metadata_codec.h"
#include "dataplane/kafka/refusal.h"
#include "dataplane/kafka/wire.h"
#include "dataplane/proxy/parts.h"
#include "dataplane/proxy/session_private.h"
#include "dataplane/proxy/spans.h"

#define MAX_REFUSAL       (16u * 1024 * 1024)
#define PRODUCE_KEY       0
#define ELECT_LEADERS_KEY 43
#define REASSIGN_KEY      45
#define OWN_CORRELATION   0x51c51c
#define OWN_CLIENT_ID     "sluice"

/* ---- the gateway's own questions ---- */

/* Metadata of every topic: the codec asks for some. */
static bool add_question_for_all(slc_buf *out, slc_error *err)
{
    size_t begin = slc_kafka_request_begin(out, SLC_KAFKA_METADATA_KEY, SLC_KAFKA_METADATA_VERSION,
                                           OWN_CORRELATION, OWN_CLIENT_ID);
    slc_kafka_add_count(out, true, -1);
    slc_kafka_add_int8(out, 0); /* makes no topic */
    slc_kafka_add_int8(out, 0); /* no authorised operations */
    slc_kafka_add_no_tags(out);
    return slc_kafka_frame_end(out, begin, err);
}

static enum slc_parse await(slc_session *session)
{
    slc_flight *flight = slc_flights_push(&session->flights);
    flight->own = true;
    flight->correlation_id = OWN_CORRELATION;
    flight->key = SLC_KAFKA_METADATA_KEY;
    flight->version = SLC_KAFKA_METADATA_VERSION;
    session->looking = true;
    session->asked_ms = slc_monotonic_ms();
    return SLC_PARSE_WAIT;
}

/* Asks for the topics of the missing ids. */
static enum slc_parse ask(slc_session *session)
{
    const slc_view *view = session->view;
    slc_kafka_topic_query *topics = slc_calloc(view->missing_count, sizeof *topics);
    for (size_t i = 0; i < view->missing_count; i++)
        memcpy(topics[i].id, view->missing + i * SLC_TOPIC_ID_BYTES, SLC_TOPIC_ID_BYTES);
    bool asked = slc_kafka_metadata_request(&session->broker.out, OWN_CORRELATION, OWN_CLIENT_ID, topics,
                                            view->missing_count, &session->why);
    free(topics);
    return asked ? await(session) : SLC_PARSE_CLOSE;
}

enum slc_parse slc_session_learn(slc_session *session, const uint8_t *data, size_t len, size_t size,
                                 bool *progress)
{
    int32_t correlation_id;
    size_t header;
    const slc_kafka_message *message = slc_kafka_apis[SLC_KAFKA_METADATA_KEY].response;
    if (size > (size_t)session->front->limits->kafka_rewrite_bytes)
        return slc_session_refuse(session, SLC_TOO_LARGE, "limit",
                                  "the broker's answer about topic ids is too large");
    *progress = len >= 4 + size;
    if (!*progress)
        return slc_end_hold(&session->broker, &session->front->pool, 4 + size) == SLC_IO_OK ? SLC_PARSE_MORE
                                                                                            : SLC_PARSE_MEMORY;
    if (!slc_end_settle(&session->client, &session->broker))
        return SLC_PARSE_WAIT;
    data = session->broker.chunk + session->broker.start;
    if (slc_kafka_response_header_read(message, SLC_KAFKA_METADATA_VERSION, data + 4, size, size,
                                       &correlation_id, &header, &session->why) != SLC_KAFKA_DONE ||
        !slc_view_learn(session->view, SLC_KAFKA_METADATA_VERSION, data + 4 + header, size - header,
                        &session->why))
        return SLC_PARSE_CLOSE;
    slc_end_skip(&session->broker, 4 + size);
    slc_flights_pop(&session->flights);
    session->looking = false;
    session->looked = true;
    return SLC_PARSE_MORE;
}

/* ---- sending and refusing ---- */

/* From the last change on the frame passes. */
static enum slc_parse send_changed(slc_session *session, const slc_kafka_request_header *header, size_t size,
                                   const slc_kafka_edits *edits)
{
    size_t there;
    const uint8_t *data = slc_end_data(&session->client, &there);
    const slc_kafka_edit *last = &edits->items[edits->count - 1];
    size_t at = (size_t)last->at + last->remove, changed = 4 + header->size + at;
    uint8_t length[4];
    slc_parts parts;
    slc_kafka_put(length, (uint64_t)((int64_t)size + edits->growth), 4);
    slc_parts_init(&parts, &session->broker);
    slc_parts_add(&parts, length, sizeof length);
    slc_parts_add(&parts, data + 4, header->size);
    slc_parts_add_changed(&parts, edits, data + 4 + header->size, at);
    bool sent = slc_parts_send(&parts, changed < 4 + size && there > changed);
    slc_end_skip(&session->client, changed);
    if (!sent)
        return slc_session_refuse(session, SLC_LIMIT, "limit", "too much waits for the broker");
    session->request_left = (uint32_t)(size - header->size - at);
    if (session->request_left == 0)
        slc_session_sent(session);
    return SLC_PARSE_MORE;
}

static void trace_refusal(slc_session *session, const slc_view_request *request)
{
    const slc_kafka_request_header *header = request->header;
    slc_proxy_span *span = slc_proxy_span_begin(session, header->key, header->version, true, 0);
    if (span != NULL)
        slc_proxy_span_error(span, request->refusal);
    slc_proxy_span_end(session, span, NULL);
}

static enum slc_parse refuse(slc_session *session, const slc_view_request *request, size_t size, bool answered)
{
    int key = request->header->key;
    const slc_kafka_refusal refusal = {.code = request->refusal,
                                       .deep = key == ELECT_LEADERS_KEY || key == REASSIGN_KEY,
                                       .text = request->why[0] != '\0' ? request->why : NULL};
    if (!answered) /* as a broker does, which has no other way to say it */
        return slc_session_refuse(session, SLC_DENIED, "refused", "a %s request that wants no answer: %.150s",
                                  slc_kafka_apis[request->header->key].name, request->why);
    slc_buf *out = slc_session_begin_answer(session, request->header);
    if (out == NULL)
        return SLC_PARSE_WAIT;
    if (out->max < MAX_REFUSAL)
        out->max = MAX_REFUSAL;
    if (!slc_kafka_refuse(out, request->header, request->body, request->len, &refusal, &session->why))
        return SLC_PARSE_CLOSE;
    slc_end_skip(&session->client, 4 + size);
    slc_session_pay(session, 1, 0, size + 4);
    trace_refusal(session, request);
    return SLC_PARSE_MORE;
}

/* The request as the client sent it: what has changed lies before what passes. */
static void count_records(slc_session *session, const slc_view_request *request, const slc_kafka_edits *edits)
{
    const slc_kafka_request_header *header = request->header;
    const slc_kafka_edit *last = edits->count > 0 ? &edits->items[edits->count - 1] : NULL;
    if (last != NULL)
        slc_usage_follow_begin(session, header->message, header->version, request->len, request->body,
                               request->there, (size_t)last->at + last->remove, 0, false);
    else
        slc_usage_follow_begin(session, header->message, header->version, request->len, NULL, 0, 0,
                               4 + header->size, false);
}

static enum slc_parse pass_on(slc_session *session, const slc_view_request *request, size_t size, bool answered,
                              const slc_kafka_edits *edits)
{
    if (request->header->key == PRODUCE_KEY && slc_session_counts_events(session))
        slc_session_pay_records(session, request->header->message, request->header->version, request->body,
                                request->len, false);
    slc_flight *flight = slc_session_depart(session, request->header, size, answered);
    if (request->header->key == PRODUCE_KEY)
        count_records(session, request, edits);
    if (flight != NULL) {
        flight->consumer = request->consumer;
        flight->denied = request->denied;
    }
    if (edits->count > 0)
        return send_changed(session, request->header, size, edits);
    session->request_left = (uint32_t)(size + 4);
    return SLC_PARSE_MORE;
}

static enum slc_parse map(slc_session *session, const slc_kafka_request_header *header, size_t size,
                          size_t there, bool answered, slc_kafka_edits *edits)
{
    const uint8_t *data = session->client.chunk + session->client.start;
    slc_view_request request = {.header = header,
                                .body = data + 4 + header->size,
                                .there = there,
                                .len = size - header->size,
                                .asked = session->looked,
                                .asked_ms = session->asked_ms,
                                .now_ms = slc_monotonic_ms(),
                                .list_lag_ms = session->front->limits->kafka_list_lag_ms};
    enum slc_view_outcome outcome = slc_view_map(session->view, &request, edits, &session->why);
    if (outcome == SLC_VIEW_ASK)
        return ask(session);
    if (outcome == SLC_VIEW_COUNT)
        return add_question_for_all(&session->broker.out, &session->why) ? await(session) : SLC_PARSE_CLOSE;
    if (outcome == SLC_VIEW_LATER)
        return SLC_PARSE_WAIT;
    slc_record_pause_end(&session->pauses[true]);
    session->looked = false;
    switch (outcome) {
    case SLC_VIEW_SEND:
        return pass_on(session, &request, size, answered, edits);
    case SLC_VIEW_REFUSE:
        return refuse(session, &request, size, answered);
    default:
        return SLC_PARSE_CLOSE;
    }
}

enum slc_parse slc_session_map(slc_session *session, const slc_kafka_request_header *header, size_t size,
                               bool answered)
{
    size_t len, body = size - header->size;
    const uint8_t *data = slc_end_data(&session->client, &len);
    if (session->looking || slc_record_pause_holds(&session->pauses[true]))
        return SLC_PARSE_WAIT;
    len = len < 4 + size ? len : 4 + size;
    size_t before = 4 + header->size, there = len - before, wanted = body;
    if (!slc_session_counts_events(session)) /* which are counted in all of it */
        wanted = slc_view_head(session->view, header, data + before, there, body);
    if (wanted == 0)
        return slc_session_hold_some(session, 4 + size);
    if (wanted == body && size > (size_t)session->front->limits->kafka_rewrite_bytes)
        return slc_session_refuse(session, SLC_TOO_LARGE, "limit",
                                  "a %s request of %zu bytes; kafka.rewrite-limit allows less",
                                  slc_kafka_apis[header->key].name, size);
    if (there < wanted)
        return slc_end_hold(&session->client, &session->front->pool, 4 + size) == SLC_IO_OK ? SLC_PARSE_MORE
                                                                                            : SLC_PARSE_MEMORY;
    if (!slc_end_settle(&session->broker, &session->client))
        return SLC_PARSE_WAIT;
    slc_kafka_edits_clear(&session->front->edits);
    return map(session, header, size, wanted, answered, &session->front->edits);
}
