/* Kafka as HTTP: publish, pages and streams of one event API. The HTTP front routes, runs the policy chain and
 * then hands the exchange over; everything below answers it.
 */
#ifndef SLC_DATAPLANE_MEDIATION_MEDIATION_H
#define SLC_DATAPLANE_MEDIATION_MEDIATION_H

#include "common/error.h"
#include "dataplane/http/exchange.h"
#include "dataplane/worker.h"

typedef struct slc_mediation
    slc_mediation; /* shared by the workers: producers, feeds, catch-up consumers and their threads */

/* Once, before threads start. */
void slc_mediation_register_metrics(void);
slc_mediation *slc_mediation_new(struct slc_gateway *gateway, slc_error *err) SLC_CHECKED;
/* After every worker detached. */
void slc_mediation_free(slc_mediation *mediation);

/* On the worker's thread, once at start and end. */
struct slc_mediation_worker *slc_mediation_attach(slc_mediation *mediation, slc_worker *worker);
void slc_mediation_detach(struct slc_mediation_worker *mediation);

/* A new snapshot was swapped in (worker->snapshot): closes or rebinds what changed, re-checks open streams. */
void slc_mediation_apply(struct slc_mediation_worker *mediation);
/* SIGTERM: end streams with a resumable id, finish publishes. */
void slc_mediation_drain(struct slc_mediation_worker *mediation);
/* The configuration is too old to be served: streams end with an id and the problem `unavailable`, pages with
 * that problem. What was handed to a backend is still answered for. */
void slc_mediation_cut_off(struct slc_mediation_worker *mediation);
/* Streams and publishes still open on this worker. */
unsigned slc_mediation_pending(const struct slc_mediation_worker *mediation);

/* Each takes the exchange over. The chain has allowed it. */
void slc_publish_handle(slc_exchange *exchange);
void slc_read_handle(slc_exchange *exchange); /* a page or a stream, by Accept */

/* What a read is answered with, by its Accept fields and by what the event API offers. Of both: without any
 * Accept a page; a stream if it is named and not less wanted than a page. */
enum slc_read_kind { SLC_READ_PAGE, SLC_READ_STREAM, SLC_READ_NEITHER };
enum slc_read_kind slc_read_kind_of(const struct evkeyvalq *fields, bool pages, bool streams);
enum slc_read_kind slc_read_kind(const slc_exchange *exchange);
/* Do the Prefer fields have this preference? */
bool slc_prefers(const struct evkeyvalq *fields, const char *preference);

/* The way to a backend that the worker's snapshot has: its producer is shared with event APIs. New reference
 * (link.h); NULL with an error when its configuration is unusable. The worker's thread. */
struct slc_link *slc_mediation_link(struct slc_mediation_worker *mediation, const slc_backend *backend,
                                    slc_error *err) SLC_CHECKED;

/* Where what policies reject is put aside, also by native sessions. */
struct slc_dead_letters *slc_mediation_letters(struct slc_mediation_worker *mediation);

/* {backend name: {up, last_error, since}} for /health/backends; new reference; any thread. */
json_t *slc_mediation_backend_health(slc_mediation *mediation);

#endif
