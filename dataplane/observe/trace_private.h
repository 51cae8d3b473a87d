/* What the files of traces share. Private to observe/. */
#ifndef SLC_DATAPLANE_OBSERVE_TRACE_PRIVATE_H
#define SLC_DATAPLANE_OBSERVE_TRACE_PRIVATE_H

#include <pthread.h>
#include <stdbool.h>
#include <sys/queue.h>

#include "common/buf.h"
#include "common/metrics.h"
#include "dataplane/observe/trace.h"

enum slc_trace_outcome { SLC_TRACE_EXPORTED, SLC_TRACE_DROPPED, SLC_TRACE_FAILED, SLC_TRACE_OUTCOMES };

/* A finished span, as a JSON object. */
struct slc_trace_item {
    STAILQ_ENTRY(slc_trace_item) entry;
    size_t len;
    char text[];
};

STAILQ_HEAD(slc_trace_items, slc_trace_item);

struct slc_tracer {
    slc_trace_options options;
    slc_series *outcomes[SLC_TRACE_OUTCOMES];
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t wake;            /* on the monotonic clock */
    struct slc_trace_items waiting; /* locked */
    int64_t count;                  /* locked */
    bool stop;                      /* locked */
};

/* trace_export.c */
bool slc_trace_start_export(slc_tracer *tracer, slc_error *err) SLC_CHECKED;
void slc_trace_stop_export(slc_tracer *tracer);
/* Queues `text` (copied), or drops and counts it. */
void slc_trace_post(slc_tracer *tracer, const slc_buf *text);

#endif
