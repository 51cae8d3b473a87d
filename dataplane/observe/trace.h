/* OpenTelemetry traces of requests, exported over OTLP/HTTP (protobuf's JSON form, OTLP 1.x).
 *
 * The context of W3C Trace Context (traceparent, tracestate) comes in with a request, goes out in the headers
 * of the records that it publishes, and is read from the records that a request delivers: those traces are
 * links of the reading request's span. Sampling follows the parent; without one it is by chance. Kafka's
 * protocol has no context: its requests are sampled by chance alone, and the traces of their records are links.
 *
 * Off unless there is an endpoint: then there is no tracer, no span, and nothing of this is asked.
 *
 * A tracer is the process's (any thread); a span is its worker's. Nothing here blocks: finished spans wait,
 * bounded by `queue`, for a thread that sends them; what does not fit is dropped and counted.
 */
#ifndef SLC_DATAPLANE_OBSERVE_TRACE_H
#define SLC_DATAPLANE_OBSERVE_TRACE_H

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

typedef struct slc_tracer slc_tracer;
typedef struct slc_span slc_span;

typedef struct slc_trace_options {
    const char *endpoint;     /* URL; NULL or "": no traces */
    const char *header_file;  /* one "Name: value" a line, read anew for each request; NULL: none */
    const char *ca_file;      /* NULL: the system's */
    const char *service_name; /* service.name */
    const char *instance;     /* service.instance.id; NULL: left out */
    int64_t per_mille;        /* of the traces that begin here */
    int64_t native_per_mille; /* of native requests that produce or fetch */
    int64_t native_records;   /* bytes of records in one of them that are looked into for contexts */
    int64_t queue;            /* spans that wait */
    int64_t batch;            /* of them, sent at once */
    int64_t interval_ms;      /* longest wait for a batch to fill */
    int64_t timeout_ms;       /* of one request */
} slc_trace_options;

/* Once, before threads start. */
void slc_trace_register_metrics(void);

/* `*tracer` is NULL when there is no endpoint. False: a setting is wrong. Strings are borrowed for the tracer's
 * life. */
bool slc_tracer_new(const slc_trace_options *options, slc_tracer **tracer, slc_error *err) SLC_CHECKED;
/* After the last span. Sends what waits, within one timeout. NULL is fine. */
void slc_tracer_free(slc_tracer *tracer);
const slc_trace_options *slc_tracer_options(const slc_tracer *tracer);

/* A request begins. `traceparent` and `tracestate` as it brought them; NULL: it did not. One that is malformed
 * is as if it were not there. NULL: there is nothing to record and no context to carry. */
slc_span *slc_span_begin(slc_tracer *tracer, const char *traceparent, const char *tracestate);
/* A recorded span that is nobody's child and began at this monotonic time. */
slc_span *slc_span_begin_root(slc_tracer *tracer, int64_t started_us);
/* What records carry on; borrowed for the span's life. The tracestate is NULL when there is none. */
const char *slc_span_traceparent(const slc_span *span);
const char *slc_span_tracestate(const slc_span *span);
/* For logs; NULL when the span is not recorded. */
const char *slc_span_trace_id(const slc_span *span);
/* The trace of a record that the request delivers, as its traceparent header has it; the first SLC_SPAN_LINKS
 * count. */
#define SLC_SPAN_LINKS 32
void slc_span_link(slc_span *span, const void *traceparent, size_t len);

/* Of a native request, by OpenTelemetry's conventions for messaging. NULL and "" are left out. */
typedef struct slc_span_native {
    const char *api;   /* "Produce" */
    const char *topic; /* as the client calls it; NULL: there are several, or none is known */
    const char *client_id, *virtual_cluster;
    const char *error; /* Kafka's code, or why the session ended */
    int64_t broker_us; /* of the time, the broker's; 0: unknown */
    int version;
} slc_span_native;

/* What the request was. NULL and "" are left out. */
typedef struct slc_span_facts {
    const char *operation; /* "publish", "read"; NULL: another */
    const char *event_api; /* "orders.v1" */
    const char *method, *path, *application, *request_id;
    int status;
    uint64_t events;
    const slc_span_native *native; /* NULL: it is one over HTTP; else method, path, request_id and status are
                                      not looked at */
} slc_span_facts;
/* Hands it over and frees it. NULL is fine. */
void slc_span_end(slc_span *span, const slc_span_facts *facts);

#endif
