/* Spans of native requests that produce or fetch (observe/trace.h): what of them is traced, and what is seen of
 * it while it passes. The worker's thread.
 *
 * Without a tracer there is none, and a request costs one look at a pointer. One that is traced is followed as
 * usage.h follows it; the records at its beginning are read, not moved past the gateway, so that the trace
 * contexts in their headers become links. Nothing of a request or answer is changed.
 */
#ifndef SLC_DATAPLANE_PROXY_SPANS_H
#define SLC_DATAPLANE_PROXY_SPANS_H

#include "dataplane/config/snapshot.h"
#include "dataplane/kafka/walk.h"
#include "dataplane/observe/trace.h"

struct slc_session;
struct slc_proxy_front;

typedef struct slc_proxy_span slc_proxy_span;

/* A request goes on to the broker, `held_us` after it came. `answered`: it wants an answer. NULL: it is not
 * traced. */
slc_proxy_span *slc_proxy_span_begin(struct slc_session *session, int key, int version, bool answered,
                                     int64_t held_us);
/* A topic of the message at hand, as the client calls it, and its event API; NULL: of none. */
void slc_proxy_span_topic(slc_proxy_span *span, const void *name, size_t len, const slc_event_api *api);
void slc_proxy_span_count(slc_proxy_span *span, uint64_t events);
/* A piece of records. True: it wants to see what follows it of them. */
bool slc_proxy_span_records(slc_proxy_span *span, struct slc_proxy_front *front, const slc_kafka_event *event);
/* The first that is not 0 counts. */
void slc_proxy_span_error(slc_proxy_span *span, int code);
void slc_proxy_span_answered(slc_proxy_span *span, int64_t broker_us);
/* Frees it; the session forgets it. `why` NULL: it went well, or an error code was told. NULL is fine for a
 * span. */
void slc_proxy_span_end(struct slc_session *session, slc_proxy_span *span, const char *why);

/* The last byte of a request has gone to the broker: ends the span of one that wants no answer. */
void slc_proxy_spans_sent(struct slc_session *session);
/* The session is closed: so are all of its spans. */
void slc_proxy_spans_end(struct slc_session *session);
void slc_proxy_spans_release(struct slc_proxy_front *front);

#endif
