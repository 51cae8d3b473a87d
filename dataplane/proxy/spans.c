#include "dataplane/proxy/spans.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "common/crypto.h"
#include "dataplane/proxy/session_private.h"
#include "dataplane/records/batch.h"

#define PRODUCE_KEY     0
#define FETCH_KEY       1
#define SHARE_FETCH_KEY 78
#define MAX_TOPIC       250 /* with the NUL */
#define MAX_EVENT_API   96
#define MAX_INFLATION   8 /* of a batch, times tracing.kafka-records */
#define CONTEXT         "traceparent"

struct slc_proxy_span {
    slc_span *span;
    int key, version;
    bool unanswered; /* acks=0: it ends with the request */
    unsigned topics; /* of those that are told */
    char topic[MAX_TOPIC];
    char event_api[MAX_EVENT_API];
    uint64_t events;
    int64_t broker_us;
    char error[8];   /* the first; "": none */
    int64_t left;    /* bytes of records that may still be looked into */
    size_t wanted;   /* of the records at hand */
    slc_buf records; /* of those, when they come in pieces */
};

/* ---- which ---- */

/* xorshift: chance enough for samples, and cheap where RAND_bytes would be a cost of every request. */
static uint32_t draw(slc_proxy_front *front)
{
    uint32_t state = front->chance;
    while (state == 0)
        slc_random(&state, sizeof state);
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return front->chance = state;
}

slc_proxy_span *slc_proxy_span_begin(slc_session *session, int key, int version, bool answered, int64_t held_us)
{
    slc_tracer *tracer = session->front->worker->tracer;
    if (tracer == NULL || (key != PRODUCE_KEY && key != FETCH_KEY && key != SHARE_FETCH_KEY))
        return NULL;
    const slc_trace_options *options = slc_tracer_options(tracer);
    if (draw(session->front) % 1000 >= (uint64_t)options->native_per_mille)
        return NULL;
    slc_proxy_span *span = slc_calloc(1, sizeof *span);
    span->span = slc_span_begin_root(tracer, slc_monotonic_us() - held_us);
    span->key = key;
    span->version = version;
    span->unanswered = !answered;
    span->left = options->native_records;
    slc_buf_init(&span->records, (size_t)options->native_records + 1);
    return span;
}

/* ---- what is seen of it ---- */

void slc_proxy_span_topic(slc_proxy_span *span, const void *name, size_t len, const slc_event_api *api)
{
    if (len >= sizeof span->topic ||
        (span->topics > 0 && strlen(span->topic) == len && memcmp(span->topic, name, len) == 0))
        return;
    memcpy(span->topic, name, len);
    span->topic[len] = '\0';
    span->topics++;
    span->event_api[0] = '\0';
    if (api != NULL)
        snprintf(span->event_api, sizeof span->event_api, "%.80s.v%u", api->msg->name, api->msg->major);
}

void slc_proxy_span_count(slc_proxy_span *span, uint64_t events)
{
    span->events += events;
}

static void see_record(slc_proxy_span *span, const slc_batch_record *record)
{
    slc_batch_headers headers;
    slc_record_header header;
    slc_batch_headers_init(&headers, record);
    while (slc_batch_headers_next(&headers, &header))
        if (header.value != NULL && header.name_len == strlen(CONTEXT) &&
            memcmp(header.name, CONTEXT, header.name_len) == 0)
            slc_span_link(span->span, header.value, header.value_len);
}

static void see_batch(slc_proxy_span *span, slc_proxy_front *front, const slc_batch *batch)
{
    const uint8_t *data = batch->records;
    size_t len = batch->records_len;
    slc_batch_cursor cursor;
    slc_batch_record record;
    slc_error err = {0};
    if ((batch->attributes & SLC_BATCH_CONTROL) != 0)
        return;
    if (slc_batch_codec(batch) != SLC_CODEC_NONE) {
        if (front->trace_codecs == NULL) {
            slc_compression_options options = SLC_COMPRESSION_DEFAULTS;
            int64_t most = slc_tracer_options(front->worker->tracer)->native_records;
            options.inflated_max_bytes = MAX_INFLATION * (size_t)most;
            options.keep_bytes = 0;
            front->trace_codecs = slc_compression_new(&options);
        }
        if (!slc_inflate(front->trace_codecs, slc_batch_codec(batch), batch->records, batch->records_len, &data,
                         &len, &err))
            return;
    }
    slc_batch_cursor_init(&cursor, batch, data, len);
    while (slc_batch_cursor_next(&cursor, &record, &err) == SLC_RECORD)
        see_record(span, &record);
    if (data != batch->records)
        slc_compression_trim(front->trace_codecs);
}

/* Whatever cannot be read has no contexts; whose fault it is others tell. */
static void see_batches(slc_proxy_span *span, slc_proxy_front *front, const uint8_t *data, size_t len)
{
    size_t at = 0;
    slc_batch batch;
    slc_error err = {0};
    while (slc_batch_next(data, len, &at, &batch, &err) == SLC_BATCH)
        see_batch(span, front, &batch);
}

bool slc_proxy_span_records(slc_proxy_span *span, slc_proxy_front *front, const slc_kafka_event *event)
{
    if (event->piece_at == 0) {
        slc_buf_clear(&span->records);
        span->wanted = event->total < (size_t)span->left ? event->total : (size_t)span->left;
        span->left -= (int64_t)span->wanted;
    }
    if (span->wanted == 0)
        return false;
    if (event->piece_at == 0 && event->len >= span->wanted) {
        see_batches(span, front, event->data, span->wanted);
        span->wanted = 0;
        return false;
    }
    size_t missing = span->wanted - span->records.len;
    slc_buf_add(&span->records, event->data, event->len < missing ? event->len : missing);
    if (span->records.len < span->wanted)
        return true;
    see_batches(span, front, span->records.data, span->records.len);
    span->wanted = 0;
    return false;
}

void slc_proxy_span_error(slc_proxy_span *span, int code)
{
    if (code != 0 && span->error[0] == '\0')
        snprintf(span->error, sizeof span->error, "%d", code);
}

void slc_proxy_span_answered(slc_proxy_span *span, int64_t broker_us)
{
    span->broker_us = broker_us;
}

/* ---- its end ---- */

void slc_proxy_span_end(slc_session *session, slc_proxy_span *span, const char *why)
{
    if (span == NULL)
        return;
    if (session->request_span == span) { /* a broker that answers what it has not read yet */
        session->request_span = NULL;
        slc_usage_follow_untraced(session);
    }
    const char *error = span->error[0] != '\0' ? span->error : why;
    const slc_span_native native = {.api = slc_kafka_apis[span->key].name,
                                    .topic = span->topics == 1 ? span->topic : NULL,
                                    .client_id = session->client_id,
                                    .virtual_cluster = session->vcluster->msg->name,
                                    .error = error,
                                    .broker_us = span->broker_us,
                                    .version = span->version};
    const slc_span_facts facts = {.operation = span->key == PRODUCE_KEY ? "publish" : "read",
                                  .event_api = span->topics == 1 ? span->event_api : NULL,
                                  .application = session->principal.application_name,
                                  .events = span->events,
                                  .native = &native};
    slc_span_end(span->span, &facts);
    slc_buf_release(&span->records);
    free(span);
}

void slc_proxy_spans_sent(slc_session *session)
{
    slc_proxy_span *span = session->request_span;
    session->request_span = NULL;
    slc_usage_follow_untraced(session);
    if (span != NULL && span->unanswered)
        slc_proxy_span_end(session, span, NULL);
}

void slc_proxy_spans_end(slc_session *session)
{
    const char *why = session->why.field[0] != '\0' ? session->why.field : "closed";
    if (session->request_span != NULL && session->request_span->unanswered)
        slc_proxy_span_end(session, session->request_span, why);
    slc_proxy_span_end(session, session->answer_span, why);
    session->answer_span = NULL;
    for (uint32_t i = 0; i < session->flights.count; i++) {
        slc_flight *flight = slc_flights_at(&session->flights, i);
        slc_proxy_span_end(session, flight->span, why);
        flight->span = NULL;
    }
}

void slc_proxy_spans_release(slc_proxy_front *front)
{
    slc_compression_free(front->trace_codecs);
    front->trace_codecs = NULL;
}
