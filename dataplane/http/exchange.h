/* One HTTP request being answered: what routing and policies found out, and how to answer. Lives on one worker.
 *
 * A handler either answers at once or keeps the exchange and answers later on the same thread. When the client
 * goes away first, `on_abort` is called (once) and the exchange must be let go with slc_exchange_abandon.
 */
#ifndef SLC_DATAPLANE_HTTP_EXCHANGE_H
#define SLC_DATAPLANE_HTTP_EXCHANGE_H

#include <event2/http.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "dataplane/identity/token.h"
#include "dataplane/policy/headers.h"
#include "dataplane/policy/limits.h"
#include "dataplane/policy/principal.h"
#include "dataplane/policy/record_chain.h"
#include "dataplane/worker.h"

typedef struct slc_exchange {
    unsigned magic;
    slc_worker *worker;
    struct evhttp_request *req;
    slc_snapshot *
        snapshot; /* pinned for the exchange's life before streaming starts; own reference; may be NULL later */
    slc_event_api *api; /* own reference; NULL for requests that are not an event API's */
    Sluice__Snapshot__V1__Operation operation;
    slc_principal principal;     /* who; empty before authentication */
    slc_token *token;            /* the front's: what it brought, until policies were asked; NULL: none */
    slc_charges *charges;        /* the front's: what it takes of limits; NULL: of none */
    slc_header_policies headers; /* the front's: those that change what it says, is told, or publishes */
    slc_record_policies records; /* the front's: those that take part in its records */
    struct slc_span *span;       /* observe/trace.h; NULL: none */
    char request_id[65];
    char client_address[64]; /* the true client's */
    int64_t started_us;      /* monotonic */
    uint32_t events;         /* for the access log and metrics */
    uint64_t bytes_in, bytes_out;
    slc_page_holder *page_holder; /* NULL: no page */
    size_t page_bytes; /* what of the worker's page_bytes is its own; the front takes it back at the end */
    uint64_t paid_events, paid_bytes; /* the front's: what of them the limits know */
    uint32_t counted_events;          /* the front's: what of them is in the worker's usage */
    uint64_t counted_bytes;           /* likewise */
    char listener_id[24];             /* that the request came by */
    bool outdated; /* the front's: that listener is gone, or lets in others by now: no longer than it must */
    bool streamed; /* the front's: the answer is or was a stream */
    void (*on_abort)(struct slc_exchange *exchange, void *ctx);
    void *ctx; /* the handler's */
    void *private_http;
} slc_exchange;

/* Query parameter, decoded; NULL when absent. Borrowed. */
const char *slc_exchange_query(slc_exchange *exchange, const char *name);
/* False: the query is malformed, and none of its parameters is there. */
bool slc_exchange_query_is_valid(slc_exchange *exchange) SLC_CHECKED;
/* Does the parameter come more than once? */
bool slc_exchange_query_repeats(slc_exchange *exchange, const char *name) SLC_CHECKED;
const char *slc_exchange_header(slc_exchange *exchange, const char *name);

/* What policies do to the records that it publishes or reads, bound; NULL: nothing. The caller's, who may keep
 * it longer than the exchange. `snapshot` and `api` are those that exchange->records was found in. */
slc_record_chain *slc_exchange_record_chain(slc_exchange *exchange, const slc_snapshot *snapshot,
                                            slc_event_api *api);
/* The configuration changed: finds exchange->records anew. False: a condition cannot be evaluated. */
bool slc_exchange_find_records(slc_exchange *exchange, const slc_snapshot *snapshot,
                               slc_event_api *api) SLC_CHECKED;

/* Ends of an exchange: each answers, writes the access log line, counts, and frees it. */
void slc_exchange_problem(slc_exchange *exchange, int status, const char *type, const char *title,
                          const char *detail, json_t *extra /* stolen, may be NULL */);
/* Body as one evbuffer (drained, stays the caller's). */
void slc_exchange_reply(slc_exchange *exchange, int status, const char *content_type, struct evbuffer *body);
/* For the audit trail: a policy refused what the request brought. Call it once, before the answer. */
void slc_exchange_denied(slc_exchange *exchange, const char *policy, const char *reason);

/* Streaming: after start, chunks are written with slc_exchange_write, whose `done` (may be NULL) is called when
 * the socket took them; finish ends the response. A stream is closed by the gateway with finish; when the
 * client goes, on_abort. Chunked transfer coding on HTTP/1.1. */
void slc_exchange_stream_start(slc_exchange *exchange, int status, const char *content_type);
void slc_exchange_write(slc_exchange *exchange, struct evbuffer *chunk,
                        void (*done)(slc_exchange *exchange, void *ctx));
size_t slc_exchange_unsent(const slc_exchange *exchange); /* bytes that the socket has not taken */
void slc_exchange_stream_finish(slc_exchange *exchange);

/* Does it owe its limits for what it has delivered? Then it waits, and asks again. */
bool slc_exchange_owes(slc_exchange *exchange);

/* After on_abort: logs, counts, frees. */
void slc_exchange_abandon(slc_exchange *exchange);

#endif
