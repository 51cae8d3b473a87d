/* One request to the admin API on its way: parsed on the loop, run inside a catalog transaction, answered on
 * the loop.
 *
 * A route's function runs on a catalog thread with everything it needs in the call, and fills the answer; it
 * never touches the connection.
 */
#ifndef SLC_CONTROLPLANE_ADMIN_CALL_H
#define SLC_CONTROLPLANE_ADMIN_CALL_H

#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "catalog/catalog.h"
#include "catalog/token.h"
#include "controlplane/admin/route.h"

#define SLC_CALL_MAGIC    0x51c0ca11u
#define SLC_IF_MATCH_NONE (-1)
#define SLC_IF_MATCH_ANY  (-2)

/* Those that do work outside of a transaction (work.h). */
typedef TAILQ_HEAD(slc_works, slc_call) slc_works;

/* What a browser says beside the request; filled where there is a surface. */
typedef struct slc_call_browser {
    char *flow;       /* the cookie of a sign-in under way; own memory, may be NULL */
    char session[64]; /* the cookie's value; empty: none, or several */
    char csrf[72];    /* X-CSRF-Token */
    char *origin;     /* own memory, may be NULL, as the next three */
    char *fetch_site; /* Sec-Fetch-Site */
    char *host;
    char *agent;
    char address[64]; /* the client's */
} slc_call_browser;

typedef struct slc_call {
    unsigned magic;
    struct slc_admin *admin;
    struct evhttp_request *req; /* the loop's */

    /* As they came; NULL when absent, own memory. */
    char *if_match_text;
    char *idempotency_text;
    char *query_text;
    char *content_type;

    /* What was asked. */
    const slc_route *route;
    slc_route_target target;
    struct evkeyvalq query;
    json_t *body;    /* own reference; NULL when there is none. Parsed once the caller may ask this at all */
    char *body_text; /* as received */
    size_t body_len;
    int64_t if_match; /* a revision, SLC_IF_MATCH_NONE or SLC_IF_MATCH_ANY */
    char idempotency_key[129];
    bool body_is_yaml;
    bool wants_yaml; /* Accept prefers it to JSON */
    char token[160];
    char request_id[65];
    char permission[96];

    /* Of a request that came in by another surface than the admin API's own; NULL: by that. */
    const struct slc_surface *surface;
    slc_call_browser browser;
    bool visitor; /* by a route of the surface for whoever is not signed in: sees what is public */

    /* Who asks; valid once authenticated. */
    slc_identity identity;

    /* Set by a route whose answer takes more than the transaction: called on the loop after it, and owes a
     * slc_admin_resume. */
    void (*after)(struct slc_call *call);
    int64_t limit; /* for `after` */

    /* work.c's */
    slc_works *works;
    slc_txn_done work_done;
    bool replayed;
    TAILQ_ENTRY(slc_call) work;

    /* The answer. */
    int status;     /* 0: the route's success */
    json_t *answer; /* own reference; NULL: no body */
    char *text;     /* own memory; an answer that is not JSON */
    size_t text_len;
    const char *text_type;
    int file_fd; /* own descriptor; the answer of a SLC_ROUTE_FILE, -1: none */
    int64_t file_bytes;
    json_t *problem;          /* own reference; more members for a problem document */
    const char *problem_type; /* static; NULL: the error's code names it */
    int64_t etag;             /* -1: none */
    char location[300];
    int64_t retry_after_s; /* of a refusal; 0: not said */
    char *cookies[2];      /* own memory: Set-Cookie of the answer, also of an error */
} slc_call;

/* The value of a query parameter, or NULL. */
const char *slc_call_query(const slc_call *call, const char *name);
/* A boolean parameter, "true" or "false"; absent is false. False with an error on anything else. */
bool slc_call_query_bool(const slc_call *call, const char *name, bool *value, slc_error *err) SLC_CHECKED;
/* Fails the call with a status that the error's code alone would not give. Returns false. */
bool slc_call_fail(slc_call *call, int status, slc_error *err, enum slc_code code, const char *field,
                   const char *fmt, ...) SLC_PRINTF(6, 7);

/* A query parameter that is none of these (ends with NULL) fails: a misspelt `dry_run` must not do the thing.
 */
bool slc_call_query_only(const slc_call *call, const char *const *names, slc_error *err) SLC_CHECKED;

/* Who asks, for the audit trail: borrowed from the call. */
slc_actor slc_call_actor(const slc_call *call);

/* Takes what is needed from the request, on the loop, without looking into it. False with SLC_UNAUTHENTICATED
 * when what is there can be no token of ours. */
bool slc_call_take(slc_call *call, slc_error *err) SLC_CHECKED;
/* Makes sense of it, on a catalog thread and only for a caller who has been let in: strangers learn nothing
 * from errors and cost no parsing. False: err says why and call->status may override the code's own. */
bool slc_call_parse(slc_call *call, int64_t max_body_bytes, slc_error *err) SLC_CHECKED;
void slc_call_free(slc_call *call);

#endif
