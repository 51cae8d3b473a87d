/* What the broker says: passed, rewritten, or followed while it passes. */
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "dataplane/kafka/wire.h"
#include "dataplane/proxy/parts.h"
#include "dataplane/proxy/session_private.h"
#include "dataplane/proxy/spans.h"

#define SHARE_FETCH_KEY 78
#define FETCH_KEY       1
#define ERROR_HEAD      64   /* no answer has the code of the whole behind more */
#define ANSWER          0    /* in pauses */
#define FETCH_HEAD      10   /* bytes of an answer that tell the session */
#define FETCH_BY_ID     13   /* topics have no names from here on */
#define UNKNOWN_TAG     0x7f /* of one byte, like the one that it replaces; no version knows it */

/* A fetch answer that is too large to be held. */
struct slc_fetch_stream {
    slc_kafka_walk walk;
    slc_usage_count count;
    size_t before; /* bytes of the frame that lie before the body: length and header */
    bool denied;   /* the topic at hand */
};

void slc_session_forget_stream(slc_session *session)
{
    if (session->fetch != NULL)
        slc_usage_count_end(&session->fetch->count);
    free(session->fetch);
    session->fetch = NULL;
}

static void arrived(slc_session *session, slc_flight *flight, size_t size)
{
    slc_proxy_cluster_metrics *metrics = slc_proxy_metrics_of(session->front, session->vcluster->msg->name);
    slc_proxy_series *series = slc_proxy_series_of(metrics, flight->key);
    int64_t now_us = slc_monotonic_us();
    slc_series_add(series->response_bytes, (int64_t)size + 4);
    slc_series_observe(series->broker, (double)(now_us - flight->started_us) / 1e6);
    session->answer_since_us = now_us;
    session->answer_held_us = flight->held_us;
    session->answer_gateway = series->gateway;
    session->answer_span = flight->span;
    flight->span = NULL;
    if (session->answer_span != NULL)
        slc_proxy_span_answered(session->answer_span, now_us - flight->started_us);
}

/* The last byte of an answer is on its way to the client. */
static void departed(slc_session *session)
{
    int64_t us = slc_monotonic_us() - session->answer_since_us + session->answer_held_us;
    if (session->answer_gateway != NULL)
        slc_series_observe(session->answer_gateway, (double)us / 1e6);
    session->answer_gateway = NULL;
    slc_proxy_span_end(session, session->answer_span, NULL);
    session->answer_span = NULL;
}

/* An answer of the gateway's own whose turn it is. */
static bool give_local(slc_session *session, slc_flight *flight)
{
    if (!slc_end_settle(&session->client, &session->broker) ||
        !slc_buf_add(&session->client.out, flight->answer.data, flight->answer.len))
        return false;
    slc_flights_pop(&session->flights);
    return true;
}

/* ---- whole answers ---- */

static enum slc_parse put(slc_session *session, size_t header, size_t size, const slc_kafka_edits *edits)
{
    if (!slc_end_settle(&session->client, &session->broker))
        return SLC_PARSE_WAIT;
    const uint8_t *frame = session->broker.chunk + session->broker.start + 4;
    uint8_t length[4];
    slc_parts parts;
    slc_kafka_put(length, (uint64_t)((int64_t)size + edits->growth), 4);
    slc_parts_init(&parts, &session->client);
    slc_parts_add(&parts, length, sizeof length);
    slc_parts_add(&parts, frame, header);
    slc_parts_add_changed(&parts, edits, frame + header, size - header);
    if (!slc_parts_send(&parts, false))
        return slc_session_refuse(session, SLC_LIMIT, "limit", "too much waits for the client");
    slc_end_skip(&session->broker, 4 + size);
    return SLC_PARSE_MORE;
}

/* Most answers that may hold addresses hold none: they need not be copied. */
static enum slc_parse pass_whole(slc_session *session, size_t size)
{
    session->broker.pass += (uint32_t)(4 + size);
    return SLC_PARSE_MORE;
}

static enum slc_parse rewrite(slc_session *session, slc_flight *flight, const uint8_t *data, size_t size)
{
    slc_kafka_edits *edits = &session->front->edits;
    int32_t correlation_id;
    size_t header;
    const slc_kafka_message *message = slc_kafka_apis[flight->key].response;
    slc_record_pause *pause = &session->pauses[ANSWER];
    if (slc_record_pause_holds(pause))
        return SLC_PARSE_WAIT;
    if (slc_kafka_response_header_read(message, flight->version, data + 4, size, size, &correlation_id, &header,
                                       &session->why) != SLC_KAFKA_DONE)
        return slc_session_refuse(session, SLC_INVALID, "protocol",
                                  "the broker's %s answer has a broken header", message->name);
    if (session->view != NULL)
        slc_view_note(session->view, flight->key, flight->version, data + 4 + header, size - header);
    bool again = pause->until_ms != 0; /* it was paid for */
    bool fetch = flight->key == FETCH_KEY || flight->key == SHARE_FETCH_KEY;
    if (!again && fetch && slc_session_counts_events(session))
        slc_session_pay_records(session, message, flight->version, data + 4 + header, size - header, true);
    if (!again)
        slc_session_pay(session, 0, 0, size + 4);
    if (fetch && !flight->counted)
        slc_usage_count_message(session, SLC_USAGE_KAFKA_FETCH, message, flight->version, data + 4 + header,
                                size - header, flight->span);
    flight->counted = true; /* it may have to wait, and come here again */
    slc_kafka_edits_clear(edits);
    if (session->view != NULL)
        session->view->shadowed = 0;
    enum slc_parse parsed = SLC_PARSE_CLOSE;
    enum slc_kafka_step step =
        slc_address_rewrite(session, flight, data + 4 + header, size - header, edits, &session->why);
    if (step == SLC_KAFKA_WAIT)
        return SLC_PARSE_WAIT;
    if (step == SLC_KAFKA_DONE)
        parsed = edits->count == 0 ? pass_whole(session, size) : put(session, header, size, edits);
    if (parsed == SLC_PARSE_MORE) {
        slc_record_pause_end(pause);
        session->errors_from = 0;
    }
    if (parsed == SLC_PARSE_MORE && session->view != NULL && session->view->shadowed > 0) {
        slc_series_add(slc_proxy_metrics_of(session->front, session->vcluster->msg->name)->shadowed,
                       session->view->shadowed);
        session->view->shadowed = 0;
    }
    return parsed;
}

/* ---- answers that stream ---- */

static enum slc_parse begin_stream(slc_session *session, const slc_flight *flight, const uint8_t *data,
                                   size_t len, size_t size)
{
    slc_kafka_walk_options options = {.wants = SLC_KAFKA_WANT_SHAPE | SLC_USAGE_WANTS |
                                               SLC_KAFKA_WANT(SLC_KAFKA_ROLE_ERROR_CODE)};
    const slc_kafka_message *message = slc_kafka_apis[flight->key].response;
    int32_t correlation_id;
    size_t header;
    slc_error err = {0};
    enum slc_kafka_step step = slc_kafka_response_header_read(message, flight->version, data + 4, len - 4, size,
                                                              &correlation_id, &header, &err);
    if (step == SLC_KAFKA_MORE || len < 4 + (size < header + FETCH_HEAD ? size : header + FETCH_HEAD))
        return SLC_PARSE_WAIT;
    if (session->view != NULL)
        slc_view_note(session->view, flight->key, flight->version, data + 4 + header, FETCH_HEAD);
    struct slc_fetch_stream *fetch = slc_calloc(1, sizeof *fetch);
    session->fetch = fetch;
    fetch->before = 4 + header;
    slc_usage_count_begin(&fetch->count, session, SLC_USAGE_KAFKA_FETCH, true, flight->span);
    if (step != SLC_KAFKA_DONE ||
        !slc_kafka_walk_init(&fetch->walk, message, flight->version, size - header, &options, &err))
        return slc_session_refuse(session, SLC_INVALID, "protocol", "%.200s", err.message);
    slc_session_pay(session, 0, 0, size + 4);
    if (slc_session_throttle_ms(session) > 0) /* the first field; what a broker owes is less */
        slc_kafka_put((uint8_t *)data + fetch->before, (uint64_t)slc_session_throttle_ms(session), 4);
    session->broker.pass += (uint32_t)fetch->before;
    session->response_left = (uint32_t)(4 + size - fetch->before);
    return SLC_PARSE_MORE;
}

/* An id that was not the client's to name, or not his to read, was sent as another. What stands behind it in
 * the answer is about it. */
static void put_id_back(const slc_session *session, uint8_t *id)
{
    const slc_view_id *written = session->view != NULL ? slc_view_id_back(session->view, id) : NULL;
    session->fetch->denied = written != NULL && written->denied;
    if (written != NULL)
        memcpy(id, written->id, SLC_TOPIC_ID_BYTES);
}

static void see_code(slc_session *session, uint8_t *at, int16_t code)
{
    if (session->fetch->denied)
        slc_kafka_put(at, (uint64_t)slc_guard_code(SLC_RESOURCE_TOPIC), 2);
    slc_session_count_error(session, FETCH_KEY, code);
}

/* Passes what the walker has seen; the tag with node endpoints becomes one that nobody knows. */
static enum slc_parse follow_stream(slc_session *session, uint8_t *data, size_t len)
{
    slc_kafka_walk *walk = &session->fetch->walk;
    slc_kafka_event event;
    slc_error err = {0};
    size_t base = slc_kafka_walk_offset(walk);
    enum slc_kafka_step step;
    slc_kafka_walk_feed(walk, data, len);
    while ((step = slc_kafka_walk_next(walk, &event, &err)) == SLC_KAFKA_EVENT) {
        slc_usage_count_event(&session->fetch->count, walk, &event);
        if (event.kind == SLC_KAFKA_EV_TAG && strcmp(event.field->name, "NodeEndpoints") == 0)
            data[event.at - base] = UNKNOWN_TAG;
        else if (event.kind == SLC_KAFKA_EV_VALUE && event.field->role == SLC_KAFKA_ROLE_TOPIC_ID)
            put_id_back(session, data + (event.at - base));
        else if (event.kind == SLC_KAFKA_EV_VALUE && event.field->role == SLC_KAFKA_ROLE_ERROR_CODE)
            see_code(session, data + (event.at - base), (int16_t)event.number);
    }
    size_t seen = slc_kafka_walk_offset(walk) - base;
    if (step == SLC_KAFKA_FAILED)
        return slc_session_refuse(session, SLC_INVALID, "protocol",
                                  "the broker's fetch answer is broken: %.180s", err.message);
    session->broker.pass += (uint32_t)seen;
    session->response_left -= (uint32_t)seen;
    if (session->response_left == 0) {
        slc_session_forget_stream(session);
        departed(session);
    }
    return step == SLC_KAFKA_MORE && seen == 0 ? SLC_PARSE_WAIT : SLC_PARSE_MORE;
}

/* ---- all of them ---- */

/* Addresses can be taken away while they pass where they lie in a tag of their own. In a ShareFetch answer they
 * are an ordinary field, which must be rewritten. Of names only ids can be put back. */
static bool may_stream(const slc_session *session, const slc_flight *flight, size_t size)
{
    return flight->key == FETCH_KEY && size > SLC_SESSION_STREAM && session->renamed == NULL &&
           !slc_session_counts_events(session) &&
           (session->view == NULL ||
            (flight->version >= FETCH_BY_ID && !slc_view_changes_records(session->view, flight->key)));
}

static bool is_rewritten(const slc_session *session, const slc_flight *flight)
{
    return slc_address_in(flight->key, flight->version) || slc_session_is_limited(session) ||
           (session->view != NULL &&
            (slc_view_concerns(slc_kafka_apis[flight->key].response, flight->version) ||
             slc_view_guards(session->view, flight->key)));
}

static enum slc_parse next_response(slc_session *session, const uint8_t *data, size_t len, bool *progress)
{
    slc_flight *flight = slc_flights_first(&session->flights);
    size_t size = slc_kafka_get32(data);
    if (flight == NULL || size < 4 || size > INT32_MAX ||
        (int32_t)slc_kafka_get32(data + 4) != flight->correlation_id)
        return slc_session_refuse(session, SLC_INVALID, "protocol", "the broker answers what was not asked");
    if (flight->own)
        return slc_session_learn(session, data, len, size, progress);
    session->key = flight->key;
    session->version = flight->version;
    enum slc_parse parsed = SLC_PARSE_MORE;
    *progress = true;
    bool plain = !is_rewritten(session, flight);
    if (plain && flight->key != FETCH_KEY) {
        *progress = slc_session_count_whole_error(session, flight, data, len, size);
        if (!*progress) /* the next read brings it: a chunk has room */
            return slc_end_hold(&session->broker, &session->front->pool, ERROR_HEAD) == SLC_IO_OK
                       ? SLC_PARSE_MORE
                       : SLC_PARSE_MEMORY;
        session->response_left = (uint32_t)(size + 4);
    } else if (plain || may_stream(session, flight, size)) {
        parsed = begin_stream(session, flight, data, len, size);
        *progress = parsed == SLC_PARSE_MORE;
        if (parsed == SLC_PARSE_WAIT) /* for the rest of the header, which is short */
            return slc_end_hold(&session->broker, &session->front->pool, ERROR_HEAD) == SLC_IO_OK
                       ? SLC_PARSE_MORE
                       : SLC_PARSE_MEMORY;
    } else {
        if (size > (size_t)session->front->limits->kafka_rewrite_bytes)
            return slc_session_refuse(session, SLC_TOO_LARGE, "limit",
                                      "a %s answer of %zu bytes; kafka.rewrite-limit allows less",
                                      slc_kafka_apis[flight->key].name, size);
        if (len < 4 + size) {
            *progress = false;
            return slc_end_hold(&session->broker, &session->front->pool, 4 + size) == SLC_IO_OK
                       ? SLC_PARSE_MORE
                       : SLC_PARSE_MEMORY;
        }
        parsed = rewrite(session, flight, data, size);
    }
    if (parsed == SLC_PARSE_MORE) {
        arrived(session, flight, size);
        slc_flights_pop(&session->flights);
        if (session->response_left == 0)
            departed(session);
    }
    return parsed;
}

size_t slc_session_response_unseen(slc_session *session)
{
    return session->fetch != NULL ? slc_kafka_walk_unseen(&session->fetch->walk) : session->response_left;
}

void slc_session_response_moved(slc_session *session, size_t len)
{
    if (session->fetch != NULL)
        slc_kafka_walk_pass(&session->fetch->walk, len);
    session->response_left -= (uint32_t)len;
    if (session->response_left == 0) {
        slc_session_forget_stream(session);
        departed(session);
    }
}

enum slc_parse slc_session_responses(slc_session *session)
{
    for (;;) {
        size_t len;
        const uint8_t *data = slc_end_data(&session->broker, &len);
        slc_flight *first = slc_flights_first(&session->flights);
        bool progress = false;
        if (session->response_left > 0 && len > 0 && session->fetch == NULL) {
            uint32_t passing = len < session->response_left ? (uint32_t)len : session->response_left;
            session->broker.pass += passing;
            session->response_left -= passing;
            if (session->response_left == 0)
                departed(session);
            continue;
        }
        if (session->response_left > 0) {
            if (len == 0)
                return SLC_PARSE_MORE;
            enum slc_parse followed = follow_stream(
                session, session->broker.chunk + session->broker.start + session->broker.pass, len);
            if (followed == SLC_PARSE_WAIT)
                return SLC_PARSE_MORE;
            if (followed != SLC_PARSE_MORE)
                return followed;
            continue;
        }
        if (first != NULL && first->local) {
            if (!give_local(session, first))
                return SLC_PARSE_WAIT;
            continue;
        }
        if (len < 8)
            return SLC_PARSE_MORE;
        if (slc_end_waiting(&session->client) > SLC_SESSION_OUT_HIGH)
            return SLC_PARSE_WAIT;
        enum slc_parse parsed = next_response(session, data, len, &progress);
        if (parsed != SLC_PARSE_MORE || !progress)
            return parsed;
    }
}
