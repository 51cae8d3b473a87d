/* What the files of the HTTP front share. */
#ifndef SLC_DATAPLANE_HTTP_FRONT_PRIVATE_H
#define SLC_DATAPLANE_HTTP_FRONT_PRIVATE_H

#include <event2/keyvalq_struct.h>
#include <sys/queue.h>

#include "common/httpd.h"
#include "dataplane/http/access_log.h"
#include "dataplane/http/exchange.h"
#include "dataplane/http/front.h"
#include "dataplane/identity/tokens.h"
#include "dataplane/observe/metrics.h"
#include "dataplane/policy/policy.h"

#define SLC_EXCHANGE_MAGIC 0x51ce8c4au
#define SLC_FRONT_MAGIC    0x51cf4047u

/* One exchange with what only the front sees. */
struct slc_exchange_private {
    slc_exchange base;
    TAILQ_ENTRY(slc_exchange_private) entry; /* front->exchanges */
    struct evkeyvalq query;
    struct slc_front_listener *listener; /* that it came by; NULL once the client has gone */
    bool query_parsed;
    bool query_malformed;
    bool answered;  /* the answer is complete: the end only counts and frees */
    bool streaming; /* status line and headers are out */
    bool aborted;   /* the client has gone */
    int status;
    const char *method; /* for the access log: the request may be gone by then */
    char *path;         /* without the query, which may carry a ticket */
    char *denial;
    void (*on_written)(slc_exchange *exchange, void *ctx);
    struct slc_admission *admission; /* admit.c: of a request that waits for Redis */
    const char *allow;       /* route.c: what Allow says if no policy answers; NULL: the API's methods */
    slc_token_waiter waiter; /* proof.c: for what the request's token is */
    void (*next)(slc_exchange *exchange);
    size_t last_unsent;
    int64_t stalled_ms;  /* a stream: for how long its client has taken nothing */
    int64_t answered_ms; /* else */
};

/* A listener as one worker serves it. */
struct slc_front_listener {
    struct slc_http_front *front;
    slc_listener *listener; /* own reference */
    slc_httpd_listener *handle;
    bool closed; /* what is left of it are connections that end */
    TAILQ_ENTRY(slc_front_listener) entry;
};

#define SLC_STALL_CHECK_MS 500

struct slc_http_front {
    unsigned magic;
    slc_worker *worker;
    slc_httpd *httpd;
    slc_access_log *access_log;
    slc_api_metrics *metrics;
    struct event *stall_timer;
    int64_t stalls_checked_ms; /* 0: not yet */
    unsigned streams;
    bool refuse; /* the configuration is too old */
    bool draining;
    TAILQ_HEAD(, slc_exchange_private) exchanges;
    TAILQ_HEAD(, slc_front_listener) listeners;
};

/* Remembers who uses this connection and for what, for those who list connections. */
void slc_exchange_note_connection(slc_exchange *exchange);
void slc_connection_note_free(void *note);
/* The places that limits of connections hold for it, until it closes; NULL once the client has gone. */
slc_charges *slc_exchange_connection_charges(void *exchange);
slc_exchange *slc_exchange_new(struct slc_http_front *front, struct evhttp_request *req);
/* Tells the limits what it has cost so far. */
void slc_exchange_pay(slc_exchange *exchange);
/* route.c: the exchange as policies see it. */
slc_policy_request slc_exchange_policy_request(slc_exchange *exchange, const char *method);
/* rewrite.c: the request's fields, once it was allowed; the answer's, before they are sent. */
void slc_exchange_rewrite_request(slc_exchange *exchange);
void slc_exchange_rewrite_answer(slc_exchange *exchange);
/* For the access log: why it was refused. */
void slc_exchange_note_denial(slc_exchange *exchange, const char *reason);
void slc_exchange_empty(slc_exchange *exchange, int status);
/* trail.c: the policies have let the request in, or not (`denial`); and it is over. */
void slc_trail_decided(slc_exchange *exchange, const slc_denial *denial);
void slc_trail_over(slc_exchange *exchange, int status);
void slc_trail_end_span(slc_exchange *exchange, int status);
/* usage.c: counts what it was, when it is over. */
void slc_usage_exchange_over(slc_exchange *exchange, int status);
/* tickets.c: the chain has allowed to read. */
void slc_tickets_handle(slc_exchange *exchange);
/* Closes streams whose client has taken nothing for too long, and answers that are not taken in time. */
void slc_exchange_check_stalled(struct slc_http_front *front, const slc_gateway_limits *limits);

#endif
