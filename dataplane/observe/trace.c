/* Spans: their context, and what becomes of them as OTLP. */
#include "dataplane/observe/trace.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "common/crypto.h"
#include "dataplane/observe/trace_private.h"

#define TRACE_ID_CHARS  32
#define SPAN_ID_CHARS   16
#define PARENT_CHARS    55 /* 00-<trace id>-<span id>-<flags> */
#define STATE_MAX_CHARS 512
#define SPAN_MAX_BYTES  (16 * 1024)
#define KIND_SERVER     2
#define STATUS_ERROR    2
#define FLAG_SAMPLED    1

struct context {
    char trace_id[TRACE_ID_CHARS + 1];
    char span_id[SPAN_ID_CHARS + 1];
};

struct slc_span {
    slc_tracer *tracer;
    struct context own;                     /* of a span that is not recorded: its parent's */
    char parent_span_id[SPAN_ID_CHARS + 1]; /* empty: it is a root */
    char traceparent[PARENT_CHARS + 1];
    char *state; /* NULL: none */
    bool recorded;
    int64_t start_ms, start_us; /* wall clock, and monotonic for its length */
    unsigned link_count, links_dropped;
    struct context links[SLC_SPAN_LINKS];
};

static const slc_metric metrics[] = {
    {"sluice_trace_spans_total",
     SLC_COUNTER,
     "Spans by what became of them: exported, dropped for want of room, failed at the collector.",
     {"outcome"},
     3,
     NULL},
    {NULL, SLC_COUNTER, NULL, {NULL}, 0, NULL},
};

void slc_trace_register_metrics(void)
{
    slc_metrics_register(metrics);
}

/* ---- the process's tracer ---- */

bool slc_tracer_new(const slc_trace_options *options, slc_tracer **tracer, slc_error *err)
{
    static const char *const names[SLC_TRACE_OUTCOMES] = {"exported", "dropped", "failed"};
    *tracer = NULL;
    if (options->endpoint == NULL || options->endpoint[0] == '\0')
        return true;
    if (strncmp(options->endpoint, "http://", 7) != 0 && strncmp(options->endpoint, "https://", 8) != 0)
        return slc_fail(err, SLC_INVALID, "tracing.endpoint",
                        "tracing.endpoint must be a URL such as http://collector:4318/v1/traces, not %.200s",
                        options->endpoint);
    slc_tracer *self = slc_calloc(1, sizeof *self);
    self->options = *options;
    STAILQ_INIT(&self->waiting);
    for (size_t i = 0; i < SLC_TRACE_OUTCOMES; i++)
        self->outcomes[i] = slc_metrics_series("sluice_trace_spans_total", &names[i]);
    if (!slc_trace_start_export(self, err)) {
        free(self);
        return false;
    }
    *tracer = self;
    return true;
}

void slc_tracer_free(slc_tracer *tracer)
{
    if (tracer == NULL)
        return;
    slc_trace_stop_export(tracer);
    free(tracer);
}

const slc_trace_options *slc_tracer_options(const slc_tracer *tracer)
{
    return &tracer->options;
}

/* ---- context: W3C Trace Context, section 3.2 ---- */

static bool is_hex(const char *text, size_t len)
{
    return strspn(text, "0123456789abcdef") >= len;
}

static bool is_zero(const char *text, size_t len)
{
    return strspn(text, "0") >= len;
}

static int hex_digit(char c)
{
    return c <= '9' ? c - '0' : c - 'a' + 10;
}

/* `text` ends with a NUL. A later version than ours may have more after another dash. */
static bool parse_traceparent(const char *text, struct context *out, bool *sampled)
{
    size_t len = strlen(text);
    const char *trace = text + 3, *span = trace + TRACE_ID_CHARS + 1, *flags = span + SPAN_ID_CHARS + 1;
    if (len < PARENT_CHARS || !is_hex(text, 2) || strncmp(text, "ff", 2) == 0)
        return false;
    if (text[2] != '-' || span[-1] != '-' || flags[-1] != '-')
        return false;
    if (len > PARENT_CHARS && (strncmp(text, "00", 2) == 0 || text[PARENT_CHARS] != '-'))
        return false;
    if (!is_hex(trace, TRACE_ID_CHARS) || !is_hex(span, SPAN_ID_CHARS) || !is_hex(flags, 2) ||
        is_zero(trace, TRACE_ID_CHARS) || is_zero(span, SPAN_ID_CHARS))
        return false;
    memcpy(out->trace_id, trace, TRACE_ID_CHARS);
    memcpy(out->span_id, span, SPAN_ID_CHARS);
    out->trace_id[TRACE_ID_CHARS] = out->span_id[SPAN_ID_CHARS] = '\0';
    *sampled = (hex_digit(flags[1]) & FLAG_SAMPLED) != 0;
    return true;
}

static void random_hex(char *out, size_t chars)
{
    static const char digits[] = "0123456789abcdef";
    uint8_t bytes[TRACE_ID_CHARS / 2];
    do {
        slc_random(bytes, chars / 2);
        for (size_t i = 0; i < chars; i++)
            out[i] = digits[i % 2 == 0 ? bytes[i / 2] >> 4 : bytes[i / 2] & 15];
        out[chars] = '\0';
    } while (is_zero(out, chars));
}

/* By chance, as often as the setting says. */
static bool sample(const slc_tracer *tracer)
{
    uint32_t number;
    if (tracer->options.per_mille >= 1000)
        return true;
    slc_random(&number, sizeof number);
    return number % 1000 < (uint64_t)tracer->options.per_mille;
}

slc_span *slc_span_begin(slc_tracer *tracer, const char *traceparent, const char *tracestate)
{
    struct context parent;
    bool sampled = false;
    bool has_parent = traceparent != NULL && parse_traceparent(traceparent, &parent, &sampled);
    if (!has_parent && !sample(tracer))
        return NULL;
    slc_span *span = slc_calloc(1, sizeof *span);
    span->tracer = tracer;
    span->recorded = !has_parent || sampled;
    span->start_ms = slc_wall_ms();
    span->start_us = slc_monotonic_us();
    if (has_parent) {
        span->own = parent;
        memcpy(span->parent_span_id, parent.span_id, sizeof parent.span_id);
        if (tracestate != NULL && tracestate[0] != '\0' && strlen(tracestate) <= STATE_MAX_CHARS)
            span->state = slc_strdup(tracestate);
    } else {
        random_hex(span->own.trace_id, TRACE_ID_CHARS);
    }
    if (span->recorded)
        random_hex(span->own.span_id, SPAN_ID_CHARS);
    snprintf(span->traceparent, sizeof span->traceparent, "00-%s-%s-%02x", span->own.trace_id,
             span->own.span_id, span->recorded ? FLAG_SAMPLED : 0);
    return span;
}

slc_span *slc_span_begin_root(slc_tracer *tracer, int64_t started_us)
{
    slc_span *span = slc_calloc(1, sizeof *span);
    span->tracer = tracer;
    span->recorded = true;
    span->start_us = started_us;
    span->start_ms = slc_wall_ms() - (slc_monotonic_us() - started_us) / 1000;
    random_hex(span->own.trace_id, TRACE_ID_CHARS);
    random_hex(span->own.span_id, SPAN_ID_CHARS);
    return span;
}

const char *slc_span_traceparent(const slc_span *span)
{
    return span->traceparent;
}

const char *slc_span_tracestate(const slc_span *span)
{
    return span->state;
}

const char *slc_span_trace_id(const slc_span *span)
{
    return span->recorded ? span->own.trace_id : NULL;
}

static bool same_context(const struct context *a, const struct context *b)
{
    return strcmp(a->span_id, b->span_id) == 0 && strcmp(a->trace_id, b->trace_id) == 0;
}

void slc_span_link(slc_span *span, const void *traceparent, size_t len)
{
    char text[PARENT_CHARS + 1];
    struct context context;
    bool ignored;
    if (!span->recorded || len != PARENT_CHARS)
        return;
    memcpy(text, traceparent, len);
    text[len] = '\0';
    if (!parse_traceparent(text, &context, &ignored))
        return;
    /* The events of one batch have one context, and come one after the other. */
    if (span->link_count > 0 && same_context(&span->links[span->link_count - 1], &context))
        return;
    if (span->link_count < SLC_SPAN_LINKS)
        span->links[span->link_count++] = context;
    else
        span->links_dropped++;
}

/* ---- as OTLP: opentelemetry-proto trace/v1, in protobuf's JSON form with hexadecimal ids ---- */

static void add_text(slc_buf *out, const char *key, const char *value)
{
    if (value == NULL || value[0] == '\0')
        return;
    slc_buf_addf(out, "%s{\"key\":\"%s\",\"value\":{\"stringValue\":\"",
                 out->data[out->len - 1] == '[' ? "" : ",", key);
    slc_buf_add_json_string(out, value, strnlen(value, 1024));
    slc_buf_adds(out, "\"}}");
}

static void add_number(slc_buf *out, const char *key, int64_t value)
{
    slc_buf_addf(out, "%s{\"key\":\"%s\",\"value\":{\"intValue\":\"%lld\"}}",
                 out->data[out->len - 1] == '[' ? "" : ",", key, (long long)value);
}

static void add_http(slc_buf *out, const slc_span_facts *facts)
{
    add_text(out, "http.request.method", facts->method);
    add_text(out, "url.path", facts->path);
    add_number(out, "http.response.status_code", facts->status);
    add_text(out, "sluice.request_id", facts->request_id);
}

static void add_native(slc_buf *out, const slc_span_native *native)
{
    add_text(out, "messaging.operation.name", native->api);
    add_text(out, "messaging.destination.name", native->topic);
    add_text(out, "messaging.client.id", native->client_id);
    add_text(out, "error.type", native->error);
    add_text(out, "sluice.virtual_cluster", native->virtual_cluster);
    add_number(out, "sluice.api_version", native->version);
    if (native->broker_us > 0)
        add_number(out, "sluice.broker_us", native->broker_us);
}

static void add_attributes(slc_buf *out, const slc_span_facts *facts)
{
    bool publish = facts->operation != NULL && strcmp(facts->operation, "publish") == 0;
    slc_buf_adds(out, ",\"attributes\":[");
    if (facts->native != NULL)
        add_native(out, facts->native);
    else
        add_http(out, facts);
    if (facts->operation != NULL) {
        add_text(out, "messaging.system", "kafka");
        add_text(out, "messaging.operation.type", publish ? "send" : "receive");
        add_number(out, "messaging.batch.message_count", (int64_t)facts->events);
    }
    add_text(out, "sluice.event_api", facts->event_api);
    add_text(out, "sluice.application", facts->application);
    slc_buf_addc(out, ']');
}

static void add_links(slc_buf *out, const slc_span *span)
{
    if (span->link_count == 0)
        return;
    slc_buf_adds(out, ",\"links\":[");
    for (unsigned i = 0; i < span->link_count; i++)
        slc_buf_addf(out, "%s{\"traceId\":\"%s\",\"spanId\":\"%s\"}", i > 0 ? "," : "", span->links[i].trace_id,
                     span->links[i].span_id);
    slc_buf_addf(out, "],\"droppedLinksCount\":%u", span->links_dropped);
}

static void add_name(slc_buf *out, const slc_span_facts *facts)
{
    const slc_span_native *native = facts->native;
    slc_buf_adds(out, ",\"name\":\"");
    if (native != NULL && native->topic != NULL) {
        slc_buf_addf(out, "%s ", native->api);
        slc_buf_add_json_string(out, native->topic, strlen(native->topic));
    } else if (native != NULL) {
        slc_buf_adds(out, native->api);
    } else if (facts->operation != NULL && facts->event_api != NULL) {
        slc_buf_addf(out, "%s %s", facts->operation, facts->event_api);
    } else {
        slc_buf_add_json_string(out, facts->method, strnlen(facts->method, 32));
    }
}

static void render(slc_buf *out, const slc_span *span, const slc_span_facts *facts)
{
    int64_t start_ns = span->start_ms * 1000000, length_ns = (slc_monotonic_us() - span->start_us) * 1000;
    slc_buf_addf(out, "{\"traceId\":\"%s\",\"spanId\":\"%s\"", span->own.trace_id, span->own.span_id);
    if (span->parent_span_id[0] != '\0')
        slc_buf_addf(out, ",\"parentSpanId\":\"%s\"", span->parent_span_id);
    if (span->state != NULL) {
        slc_buf_adds(out, ",\"traceState\":\"");
        slc_buf_add_json_string(out, span->state, strlen(span->state));
        slc_buf_addc(out, '"');
    }
    add_name(out, facts);
    slc_buf_addf(out, "\",\"kind\":%d,\"startTimeUnixNano\":\"%lld\",\"endTimeUnixNano\":\"%lld\"", KIND_SERVER,
                 (long long)start_ns, (long long)(start_ns + length_ns));
    add_attributes(out, facts);
    add_links(out, span);
    bool failed = facts->native != NULL ? facts->native->error != NULL : facts->status >= 500;
    if (failed)
        slc_buf_addf(out, ",\"status\":{\"code\":%d}", STATUS_ERROR);
    slc_buf_addc(out, '}');
}

void slc_span_end(slc_span *span, const slc_span_facts *facts)
{
    slc_buf text;
    if (span == NULL)
        return;
    if (span->recorded) {
        slc_buf_init(&text, SPAN_MAX_BYTES);
        render(&text, span, facts);
        slc_trace_post(span->tracer, &text);
        slc_buf_release(&text);
    }
    free(span->state);
    free(span);
}
