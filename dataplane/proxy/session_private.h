/* A native session: what its files share. docs/decisions/0009-native-sessions.md has the design. The worker's
 * thread. */
#ifndef SLC_DATAPLANE_PROXY_SESSION_PRIVATE_H
#define SLC_DATAPLANE_PROXY_SESSION_PRIVATE_H

#include "dataplane/identity/token.h"
#include "dataplane/kafka/header.h"
#include "dataplane/kafka/rewrite.h"
#include "dataplane/policy/record_rules.h"
#include "dataplane/proxy/end.h"
#include "dataplane/proxy/flights.h"
#include "dataplane/proxy/front_private.h"
#include "dataplane/proxy/topology.h"
#include "dataplane/proxy/usage.h"
#include "dataplane/virtual/view.h"

#define SLC_SESSION_MAGIC    0x51c5e551u
#define SLC_SESSION_OUT_HIGH (256u * 1024) /* more than this waits to be written: no more is taken on */
#define SLC_SESSION_LOCAL    (64u * 1024)  /* largest request that is answered here */
#define SLC_SESSION_STREAM   (256u * 1024) /* a larger fetch answer is not held */
#define SLC_SESSION_OUT_MAX  (1024u * 1024 * 1024)

enum slc_session_state {
    SLC_SESSION_TLS,    /* the client's handshake */
    SLC_SESSION_CLIENT, /* the client talks; no broker is wanted yet */
    SLC_SESSION_ASKING, /* where the node is */
    SLC_SESSION_DIALLING,
    SLC_SESSION_READY,
    SLC_SESSION_LINGER, /* the client has gone; what it sent is on its way */
};

enum slc_parse {
    SLC_PARSE_MORE,   /* everything there is was dealt with */
    SLC_PARSE_WAIT,   /* something else must happen first */
    SLC_PARSE_MEMORY, /* a chunk must come back first */
    SLC_PARSE_CLOSE,  /* the session is to be closed; `session->why` says why */
};

typedef struct slc_session {
    unsigned magic;
    slc_proxy_front *front;
    slc_proxy_listener *listener; /* NULL after it was closed */
    slc_listener *entity;         /* own references, of the configuration that the session began with */
    slc_vcluster *vcluster;       /* NULL until the name in a TLS handshake told */
    slc_topology *topology;
    enum slc_session_state state;
    int32_t node; /* -1: any */
    char *guess;  /* "host:port" that was dialled for `node`: where it is known to be, or a bootstrap server */
    slc_end client, broker;
    slc_dial *dial;
    slc_topology_waiter asking;
    slc_pool_waiter memory;
    struct slc_intake *intake; /* of the PROXY protocol header that must come first; NULL: none, or it came */

    slc_vcluster
        *renamed; /* own reference: what `vcluster` becomes when nothing is under way; NULL: it stays */
    int64_t rename_until_ms; /* monotonic: then it is closed instead */
    slc_view *view;          /* of a virtual cluster with a namespace; NULL: names pass as they are */
    bool looking;            /* a question about topic ids is on its way to the broker */
    bool looked;             /* it was answered: for the request that waits */
    int64_t asked_ms;        /* when it was asked */

    slc_flights flights;
    uint32_t request_left; /* of the frame that passes */
    uint32_t response_left;
    struct slc_fetch_stream *fetch;      /* an answer that is followed on its way */
    size_t errors_from;                  /* of the answer at hand: where errors were not counted yet */
    struct slc_usage_follow *follow;     /* of Produce requests; NULL: there was none */
    struct slc_proxy_span *request_span; /* of the request that passes; NULL: it is not traced */
    struct slc_proxy_span *answer_span;  /* of the answer on its way; own */
    slc_kafka_api_versions *shown;       /* what the client was told; NULL: nothing yet */

    bool greeted;     /* the first byte of the client's TLS handshake came */
    bool allowed;     /* authenticated, or need not be */
    bool by_sasl;     /* and by SASL, not by a certificate */
    bool expired;     /* only authenticating again is accepted */
    bool passthrough; /* the client authenticates to the broker */
    bool misplaced;   /* dialled another than `node`: to be closed once the client has its answers */
    uint64_t round;   /* the front's, when it was last looked at for a changed configuration */
    bool cut_off;     /* the configuration is too old: no more requests, closed with the last answer */
    bool closing;     /* when what waits for the client is written */
    slc_principal principal;
    slc_record_rules records;      /* of `access`; the view has them when there are any */
    slc_record_pause pauses[2];    /* of answers and of requests whose records wait for what a policy needs */
    slc_access *access;            /* NULL: everything is allowed, if it is `authorised` */
    bool authorised;               /* `access` and `throttle` are those of `authorised_as` */
    char authorised_as[24];        /* the credential; empty: none */
    char authorised_for[24];       /* its application */
    struct slc_throttle *throttle; /* NULL: nothing is limited */
    slc_token *token;      /* that the client authenticated by: own reference; NULL: it did not by one */
    struct slc_sasl *sasl; /* an exchange under way; NULL: none */
    int64_t expires_ms;    /* wall clock: of the principal, or kafka.session-lifetime; 0: never */

    int16_t key, version;  /* of the request or answer that was looked at last; -1: none was */
    int64_t held_since_us; /* when the request that cannot go on yet was first seen; 0: none waits */
    int64_t answer_since_us, answer_held_us; /* of the answer on its way: its first byte; its request's wait */
    slc_series *answer_gateway;              /* where its time goes; NULL: no answer is on its way */
    int64_t opened_ms;                       /* wall clock */
    int64_t active_ms;                       /* monotonic: when the client last did something */
    int64_t deadline_ms; /* monotonic: of handshake, authentication, lingering, last answers; 0: none */
    char address[64];    /* the client's */
    char host[64];       /* the same without the port */
    char client_id[64];  /* the last that it called itself; cut, printable */
    slc_error why;
    TAILQ_ENTRY(slc_session) entry;

    slc_head *of_listener, *of_address; /* what it is counted in; NULL: in none */
    bool stranger;                      /* is in the front's list of those */
    int64_t came_ms;                    /* monotonic */
    TAILQ_ENTRY(slc_session) stranger_entry;
} slc_session;

/* ---- session.c ---- */
slc_session *slc_session_new(slc_proxy_listener *listener, int fd, int32_t node, const char *address);
/* Logs `why` (unless it is an ordinary end) and frees. */
void slc_session_close(slc_session *session);
/* Follows the configuration if that has changed. False: it is closed. */
bool slc_session_apply(slc_session *session) SLC_CHECKED;
/* The configuration is too old: ends when the requests that were taken are answered. May close it. */
void slc_session_cut_off(slc_session *session);
/* A request came after the expiry: ends likewise. */
enum slc_parse slc_session_end_expired(slc_session *session);
void slc_session_tick(slc_session *session, int64_t now_ms);
/* Goes on with whatever can go on. May close the session. */
void slc_session_pump(slc_session *session);
/* Asks the backend for its versions and brokers; pumps when they are known. */
void slc_session_ask(slc_session *session);
/* Wants a broker: dials, or asks where it is first. False: the session is to be closed. */
bool slc_session_connect(slc_session *session, slc_error *err) SLC_CHECKED;

/* ---- moving.c ---- */
/* Both ways, of a session whose virtual cluster is known. May close it. */
void slc_session_move(slc_session *session);
/* The client has gone: reads and forgets until the broker closes too. May close the session. */
void slc_session_drain_broker(slc_session *session);
/* Everything that was taken from the client is answered, or on its way where no answer is wanted. */
bool slc_session_settled(const slc_session *session);

/* ---- renaming.c ---- */
/* The virtual cluster is `now` another, or as it was. False: the change is not one of names alone. */
bool slc_session_will_rename(slc_session *session, slc_vcluster *now);
/* With session->renamed: does it if nothing is under way. */
bool slc_session_rename(slc_session *session);

/* ---- ending.c ---- */
/* Counts and, unless it is an ordinary end, logs why the session is closed. */
void slc_session_log_end(slc_session *session);

/* ---- authorise.c ---- */
/* It is known who the client is: from here on the view's guard asks what he may, and he pays for what he does.
 * False: he has as many connections as he may; the session is to be closed. */
bool slc_session_authorise(slc_session *session) SLC_CHECKED;
/* May the client try to authenticate? False: the session is to be closed. */
bool slc_session_may_try(slc_session *session) SLC_CHECKED;
/* The same of every session that has been let in, however it was, before its request is taken: nothing is done
 * when it is known already. */
bool slc_session_is_authorised(slc_session *session) SLC_CHECKED;
/* Do policies take a token that is good, and whose application is known? False with the reason for the log. */
bool slc_session_takes_token(slc_session *session, slc_principal *principal, const slc_token *token,
                             char why[200]) SLC_CHECKED;
/* The configuration changed; the worker's snapshot is `snapshot` already. False: he may not be here any more.
 */
bool slc_session_rights_changed(slc_session *session, slc_snapshot *snapshot) SLC_CHECKED;

/* Fills session->host. */
void slc_session_find_host(slc_session *session);

/* ---- throttle.c ---- */
/* Finds the limits that hold. False: too many connections, and the session's `why` says so; not of one that is
 * in already. */
bool slc_session_limit(slc_session *session, const slc_access_subject *subject, slc_snapshot *snapshot,
                       bool is_in) SLC_CHECKED;
/* The configuration changed, and which limits hold did not. */
void slc_session_limits_follow(slc_session *session, slc_snapshot *snapshot);
void slc_session_unlimit(slc_session *session);
bool slc_session_is_limited(const slc_session *session);
/* Have records to be looked at, for what they cost? */
bool slc_session_counts_events(const slc_session *session);
void slc_session_pay(slc_session *session, uint64_t requests, uint64_t events, uint64_t bytes);
/* May no request be taken now? Then the session is pumped when one may. */
bool slc_session_is_throttled(slc_session *session);
/* What throttle_time_ms of the answer at hand says. */
int64_t slc_session_throttle_ms(const slc_session *session);
/* What the records of a whole message cost. `mapped`: its names are the backend's already. */
void slc_session_pay_records(slc_session *session, const slc_kafka_message *message, int version,
                             const uint8_t *body, size_t len, bool mapped);

/* ---- trail.c: the audit trail ---- */
/* The client was let in, or why it was not. */
void slc_session_audit_entry(slc_session *session, const char *mechanism, const char *refused);
/* Any of them may be NULL but the reason. */
void slc_session_audit_denial(slc_session *session, const char *operation, const char *resource,
                              const char *name, const char *reason);
void slc_session_audit_end(slc_session *session);

/* ---- intake.c ---- */
/* A PROXY protocol header comes first. */
void slc_session_expect_header(slc_session *session);
/* 1: it came, and `address` is the client's; 0: later; -1: to be closed. */
int slc_session_intake(slc_session *session);
void slc_session_forget_intake(slc_session *session);

/* ---- requests.c, responses.c ---- */
enum slc_parse slc_session_requests(slc_session *session);
enum slc_parse slc_session_responses(slc_session *session);
/* After MORE: bytes to come that pass without being seen; and so many of them did. */
size_t slc_session_request_unseen(slc_session *session);
size_t slc_session_response_unseen(slc_session *session);
void slc_session_request_moved(slc_session *session, size_t len);
void slc_session_response_moved(slc_session *session, size_t len);
void slc_session_forget_stream(slc_session *session);
/* Makes room for a piece of the client's of `size` bytes, or as much as is likely to be seen of it next. */
enum slc_parse slc_session_hold_some(slc_session *session, size_t size);
/* Counts a request that goes to the broker, and remembers that it wants an answer: NULL when it does not. */
slc_flight *slc_session_depart(slc_session *session, const slc_kafka_request_header *header, size_t size,
                               bool answered);

/* All of it has passed. */
void slc_session_sent(slc_session *session);

/* ---- namespace.c: a virtual cluster's names in requests, and the gateway's own questions about topic ids ----
 */
enum slc_parse slc_session_map(slc_session *session, const slc_kafka_request_header *header, size_t size,
                               bool answered);
/* The broker's answer to such a question, of `size` bytes, of which `len` are there, with the length. */
enum slc_parse slc_session_learn(slc_session *session, const uint8_t *data, size_t len, size_t size,
                                 bool *progress);

/* ---- local.c: what the gateway answers itself; `body` is the request's, whole ---- */
enum slc_parse slc_session_answer(slc_session *session, const slc_kafka_request_header *header,
                                  const uint8_t *body, size_t len);
/* Where an answer goes: behind those that are still to come, or straight out. NULL: not now. */
slc_buf *slc_session_begin_answer(slc_session *session, const slc_kafka_request_header *header);
/* Is the key served in this virtual cluster? */
bool slc_session_serves(const slc_session *session, int key);
bool slc_session_is_local(const slc_session *session, int key);
/* The answer to ApiVersions in a version that nobody knows (KIP-511). */
enum slc_parse slc_session_answer_unknown_versions(slc_session *session,
                                                   const slc_kafka_request_header *header);

/* ---- errors.c: what brokers refuse ---- */
void slc_session_count_error(const slc_session *session, int key, int16_t code);
/* Of an answer that passes unread, of `size` bytes, of which `len` are there, with the length. False: too few.
 */
bool slc_session_count_whole_error(const slc_session *session, const slc_flight *flight, const uint8_t *data,
                                   size_t len, size_t size) SLC_CHECKED;

/* ---- sasl.c ---- */
enum slc_parse slc_session_answer_handshake(slc_session *session, const slc_kafka_request_header *header,
                                            const uint8_t *body, size_t len);
enum slc_parse slc_session_answer_authenticate(slc_session *session, const slc_kafka_request_header *header,
                                               const uint8_t *body, size_t len);
void slc_session_forget_sasl(slc_session *session);
/* Lets the client in by its certificate, if the virtual cluster takes any and this one is somebody's. False:
 * there is no other way in, and the session is to be closed. */
bool slc_session_take_certificate(slc_session *session);

/* ---- address.c: brokers' addresses become the gateway's, and names the client's ---- */
/* Does the response hold any address? */
bool slc_address_in(int key, int version);
/* DONE, FAILED, or WAIT: the records in it wait for what a policy needs; it comes again. */
enum slc_kafka_step slc_address_rewrite(slc_session *session, const slc_flight *flight, const uint8_t *body,
                                        size_t len, slc_kafka_edits *edits, slc_error *err) SLC_CHECKED;

/* Fails `why` with the session's place for the log; returns SLC_PARSE_CLOSE. */
enum slc_parse slc_session_refuse(slc_session *session, enum slc_code code, const char *reason, const char *fmt,
                                  ...) SLC_PRINTF(4, 5);

#endif
