/* Policies: one C module each, one operations table, one list (registry.c). The same chain holds for REST, SSE
 * and, later, native Kafka: a request is protocol-neutral here.
 *
 * Order of phases: authenticate → authorise → limit → validate/transform; a chain is compiled when a snapshot
 * is built and is immutable and shared after that. Default deny: a request that no policy authenticated, or
 * that no policy granted, is refused; a policy that cannot be evaluated denies and says so in the log and a
 * metric.
 */
#ifndef SLC_DATAPLANE_POLICY_POLICY_H
#define SLC_DATAPLANE_POLICY_POLICY_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"
#include "common/network.h"
#include "dataplane/config/snapshot.h"
#include "dataplane/identity/certificate.h"
#include "dataplane/identity/token.h"
#include "dataplane/policy/headers.h"
#include "dataplane/policy/limits.h"
#include "dataplane/policy/principal.h"
#include "dataplane/policy/records.h"
#include "dataplane/policy/shared_limits.h"
#include "dataplane/virtual/guard.h"

/* What one policy said, for who wants to know why (slc_trace). Borrowed: valid while it is told. */
typedef struct slc_step {
    const char *phase; /* "request", "authenticate", "authorise", "limit", "transform", "records", "access",
                          "admit" */
    const char *id;    /* of the policy; "": it is built in */
    const char *name, *type;
    Sluice__Snapshot__V1__ScopeKind scope;
    const char *scope_id;
    const char *condition; /* "true", "false", "unknown"; NULL: it has none */
    bool dry_run;
    int verdict;        /* enum slc_verdict: of one in dry run what it would have said */
    const char *reason; /* why it denied or allowed; "": no more is to be said */
} slc_step;

/* Hears every policy that is asked, in order. */
typedef struct slc_trace {
    void (*told)(void *ctx, const slc_step *step);
    void *ctx;
    char why[200];            /* the policies': why the one that is asked allows */
    char subscription_id[24]; /* the subscription's that grants, on native Kafka */
} slc_trace;

/* Where the limits of a request wait for Redis: zeroed but for waiter.ready, until the request is answered. */
typedef struct slc_limit_pause {
    unsigned part; /* of the chain's, the plan's and the application's policies */
    size_t entry;
    slc_shared_waiter waiter;
    slc_shared_bucket *bucket; /* that is waited for: own reference */
} slc_limit_pause;
/* Nobody waits any more. */
void slc_limit_pause_release(slc_limit_pause *pause);

/* Which of the policies of a chain have been counted, each once for a request whatever the phases that it takes
 * part in: bits by their place. */
typedef struct slc_counted {
    uint64_t allowed, dry_denied;
} slc_counted;

/* What a policy sees. HTTP fields are NULL-returning on other protocols. */
typedef struct slc_policy_request {
    const slc_snapshot *snapshot;
    const slc_event_api *api; /* NULL on Kafka */
    Sluice__Snapshot__V1__Operation operation;
    const char *client_address;
    bool stream; /* a long-lived read */
    uint64_t body_bytes;
    /* Credentials as the protocol carried them: */
    const char *(*header)(void *protocol, const char *name); /* request header or NULL */
    /* Parameter of the URL's query, decoded, or NULL; NULL on Kafka. */
    const char *(*query)(void *protocol, const char *name);
    /* Adds a response header (value is copied). */
    void (*add_header)(void *protocol, const char *name, const char *value);
    const char *method; /* "POST", ...; NULL on Kafka */
    const char *path;   /* of the URL, as sent; NULL on Kafka */
    void *protocol;
    slc_principal *principal;
    slc_charges
        *charges; /* what it takes of limits: the caller's, who adds what it costs later and releases it */
    slc_shared_limits *shared;    /* NULL: there is no Redis */
    slc_limit_pause *pause;       /* the caller's; NULL: it cannot wait, and Redis is not asked */
    slc_header_policies *headers; /* the caller's, who releases it: gets the policies that change headers; NULL:
                                     nothing that they could change */
    struct slc_record_policies
        *records; /* record_chain.h; the caller's, who releases it: gets the policies that take
                     part in the records that are published or read; NULL: there are none */
    /* What the connection holds of limits, until it closes; NULL once the client has gone. NULL on Kafka. */
    slc_charges *(*connection)(void *protocol);
    struct slc_failures *failures; /* failures.h: of earlier attempts to authenticate; NULL: none is counted */
    const char *policy_id;         /* the chain's: of the policy that is asked */
    const struct slc_chain_entry *asked; /* the chain's: the same */
    /* What else the connection or the request brought: */
    const slc_token *token;                /* a bearer token, looked at; NULL: none */
    const slc_certificate *certificate;    /* of the TLS client, verified; NULL: none */
    const slc_listener *listener;          /* that it came by, when that is known */
    const struct slc_chain_entry *yielded; /* the chain's: a policy that denies unless another one grants */
    slc_counted
        counted[3]; /* the chain's: which of its policies, of the plan's and the application's have been */
    /* Of who explains a decision and serves nobody; NULL in whatever is served: */
    slc_trace *trace;
    const char *proved; /* the credential whose secret counts as presented and right */
} slc_policy_request;

enum slc_verdict {
    SLC_PASS,   /* nothing to say: go on */
    SLC_ALLOW,  /* authenticate: the principal is filled; authorise: granted */
    SLC_DENY,   /* refuse, as `denial` says */
    SLC_WAIT,   /* limit: Redis was asked, and the pause's waiter will be told */
    SLC_ANSWER, /* request phase: the policy answered by itself (a CORS preflight): status in denial */
};

typedef struct slc_denial {
    int status;       /* HTTP: 401, 403, 429, 204 for SLC_ANSWER */
    const char *type; /* problem type */
    const char *title;
    const char *detail;      /* for the caller: never names the rule */
    char reason[200];        /* for the log: names the rule */
    char text[320];          /* a detail that was put together for this request */
    int64_t retry_after_ms;  /* 0: none */
    bool unauthenticated;    /* nobody was let in: it was refused when they said who they are, or did not */
    const char *unevaluated; /* the policy whose condition could not be evaluated; NULL: none. Lives as long as
                                the chain */
} slc_denial;

/* What native Kafka asks: an operation on a resource of the virtual cluster, in the words of Kafka's
 * authoriser. The request has no API, no HTTP fields and no operation. */
typedef struct slc_access_question {
    slc_policy_request *request;
    const slc_vcluster *vcluster;
    enum slc_operation operation;
    enum slc_resource resource;
    enum slc_guard_names names;
    const uint8_t *name; /* as the client says it */
    size_t len;
} slc_access_question;

/* How clients may authenticate by a policy, for who did not. */
typedef struct slc_way {
    const char *challenge; /* of WWW-Authenticate; NULL: none */
    char text[160];        /* what to send: "an access token as Bearer" */
} slc_way;

/* A limit, as it holds for a native session. */
typedef struct slc_native_rates {
    slc_rates rates;
    enum { SLC_PER_SUBJECT, SLC_PER_PLAN, SLC_PER_EVENT_API } per;
    const char *subject;               /* PER_SUBJECT; lives as long as the principal and this */
    char address[SLC_NETWORK_SUBJECT]; /* the subject's text, when it is an address: do not copy it away */
} slc_native_rates;

typedef struct slc_policy_type {
    const char *name; /* "key-auth" */
    const char *summary;
    const char *config_schema; /* JSON Schema text: documentation and validation of `config` follow from it */
    /* Compiles the config (borrowed) into `*compiled`; NULL when the type has none. Errors carry a pointer. */
    bool (*compile)(const json_t *config, void **compiled, slc_error *err);
    void (*release)(void *compiled);
    /* Adds its fields to an answer that is given without the chain: a description, or a refusal before anybody
     * is asked. NULL: has none. */
    void (*on_other_answer)(void *compiled, slc_policy_request *request);
    /* Phases; NULL: not taken part in. */
    enum slc_verdict (*on_request)(void *compiled, slc_policy_request *request, slc_denial *denial);
    enum slc_verdict (*authenticate)(void *compiled, slc_policy_request *request, slc_denial *denial);
    enum slc_verdict (*authorise)(void *compiled, slc_policy_request *request, slc_denial *denial);
    bool yields; /* authorise: its denial holds only when nobody else grants, and then it is the answer */
    /* All of them are asked, of requests that were allowed: SLC_PASS or SLC_DENY. For limits, and for whatever
     * else restricts what is granted. */
    enum slc_verdict (*limit)(void *compiled, slc_policy_request *request, slc_denial *denial);
    /* All of them, of requests that got through all of this: what they change is noted in the request. */
    enum slc_verdict (*transform)(void *compiled, slc_policy_request *request, slc_denial *denial);
    /* What it does to records, on every protocol; NULL: nothing. In dry run it does nothing. */
    const slc_record_ops *records;
    /* Native Kafka. All of them are asked: one SLC_DENY outweighs every SLC_ALLOW, as Kafka's authoriser has
     * it. */
    enum slc_verdict (*access)(void *compiled, const slc_access_question *question, slc_denial *denial);
    /* Has it ever anything to say there? NULL: yes. */
    bool (*asks_access)(const void *compiled);
    /* What it demands of native requests (virtual/demands.h): the kinds; whether a request meets it, 0 or
     * Kafka's error with the reason for the log; and in sentences for who does not. */
    unsigned (*demands)(const void *compiled);
    int16_t (*meets)(const void *compiled, const slc_demand *demand, char reason[160]);
    void (*explain)(const void *compiled, slc_buf *out);
    /* Limits of native sessions: what they are and for whom it is counted; NULL: it counts nothing there. */
    void (*rates)(const void *compiled, const slc_policy_request *request, slc_native_rates *out);
    /* Does it still say so of an HTTP stream that is open? Without conditions, which are not looked at again.
     * NULL: it has nothing to say. */
    enum slc_verdict (*recheck)(void *compiled, slc_policy_request *request);
    /* Would it still let in who is in? Asked of all after a change; NULL: it lets nobody in. */
    bool (*keeps)(const void *compiled, const slc_principal *principal);
    /* False: not for such a request. NULL: clients need not know. `out` is zeroed. */
    bool (*way)(const void *compiled, const slc_policy_request *request, slc_way *out);
} slc_policy_type;

/* All types, ending with NULL. */
const slc_policy_type *const *slc_policy_types(void);
const slc_policy_type *slc_policy_type_find(const char *name);

typedef struct slc_chain slc_chain;
/* Compiles those of `policies` that apply (sorted by scope, wide to narrow, then order, then name); the
 * built-in subscription and ticket are always there unless a policy of the same type replaces them, the
 * built-in key-auth, oidc and mtls unless some policy says how clients authenticate. One in dry run replaces
 * and changes nothing: it is asked, and the log says what it would have refused. One with a condition takes
 * part while that is true, and still replaces what is built in when it is not; when the condition cannot be
 * evaluated the request is refused. */
slc_chain *slc_chain_compile(const Sluice__Snapshot__V1__Policy *const *policies, size_t count,
                             slc_error *err) SLC_CHECKED;
/* Those of one plan or application, without what is built in. */
slc_chain *slc_chain_compile_narrow(const Sluice__Snapshot__V1__Policy *const *policies, size_t count,
                                    slc_error *err) SLC_CHECKED;
slc_chain *slc_chain_ref(slc_chain *chain);
/* Gives a reference back. */
void slc_chain_free(slc_chain *chain);
/* Runs every phase, with the policies of the plan and the application that turn out to ask. SLC_ALLOW, SLC_DENY
 * or SLC_ANSWER; SLC_WAIT if the request has a pause. */
enum slc_verdict slc_chain_run(const slc_chain *chain, slc_policy_request *request, slc_denial *denial);
/* After SLC_WAIT, when the waiter was told: goes on with the same request. */
enum slc_verdict slc_chain_resume(const slc_chain *chain, slc_policy_request *request, slc_denial *denial);
/* Of a request that did not get through it: the policies of wide scopes that change headers, for its answer. */
void slc_chain_answer_headers(const slc_chain *chain, slc_policy_request *request);
/* The policies that take part in the records of a request that was let in earlier, by what holds now: fills
 * request->records. False: a condition cannot be evaluated. */
bool slc_chain_records(const slc_chain *chain, slc_policy_request *request) SLC_CHECKED;
/* For an answer that is given without running it: adds what the policies want on every answer. */
void slc_chain_other_answer(const slc_chain *chain, slc_policy_request *request);
/* The configuration changed while something is open: the limits that it was charged to have their present
 * rates, those that are gone none. Limits that are new hold for what is opened later. */
void slc_limits_changed(const slc_snapshot *snapshot, const slc_event_api *api, const slc_principal *principal,
                        slc_charges *charges);
/* Does the principal's credential still exist, unexpired, is the way that it came in by still one, is the
 * operation still granted, and may it come from `client_address` (NULL: not known, not looked at)? For open
 * streams after a snapshot swap and on timers. */
bool slc_principal_still_granted(const slc_snapshot *snapshot, const slc_event_api *api,
                                 Sluice__Snapshot__V1__Operation operation, const char *client_address,
                                 slc_principal *principal);

#endif
