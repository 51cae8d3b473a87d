/* Publishing: a request becomes records, their acknowledgements become one answer. */
#ifndef SLC_DATAPLANE_MEDIATION_PUBLISH_H
#define SLC_DATAPLANE_MEDIATION_PUBLISH_H

#include "dataplane/mediation/mediation_private.h"
#include "dataplane/mediation/problem.h"

#define SLC_PUBLISH_MAX_EVENTS  10000
#define SLC_PUBLISH_MAX_HEADERS 64
/* What every record of a request may get beside them: idempotency-key, traceparent, tracestate. */
#define SLC_PUBLISH_OWN_HEADERS 3

typedef struct slc_publish slc_publish;

/* Between these two, `event` and `reject` are called once for each item, in order. `max_items` bounds them. */
slc_publish *slc_publish_begin(slc_exchange *exchange, slc_api *api, size_t max_items, bool batch);
void slc_publish_end(slc_publish *publish);
/* `record` is copied; its topic and the headers that every record gets are added. */
void slc_publish_event(slc_publish *publish, slc_outgoing *record);
/* `detail` NULL: the table's. */
void slc_publish_reject(slc_publish *publish, enum slc_problem_kind kind, const char *detail);

/* publish_body.c: takes the body apart by its media type. Answers the exchange itself when nothing can be made
 * of it. */
void slc_publish_body(slc_exchange *exchange, slc_api *api);

/* cloudevents.c */
/* Is this JSON (checked) an event? False with a detail. */
bool slc_cloudevent_check(const char *text, size_t len, const char **detail);
/* Is there any field of an event in binary mode? */
bool slc_cloudevent_is_binary(const struct evkeyvalq *fields);
/* `ce-*` fields of the request as record headers. `out` holds SLC_PUBLISH_MAX_HEADERS; the text they point at
 * is in `text`. Returns their count, or -1 with a detail. */
int slc_cloudevent_headers(slc_exchange *exchange, slc_broker_header *out, slc_buf *text, const char **detail);

#endif
