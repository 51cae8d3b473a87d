/* Policies on records, whatever the protocol: what a policy sees of one, what it may say, and what it is bound
 * to.
 *
 * A policy type that has `records` (policy.h) takes part in a chain of records (record_chain.h), which is bound
 * for one principal, topic and direction: conditions, scopes and whatever else does not depend on the record
 * are looked at then, once for a request or an answer. Each record then goes through the chain. The same chain
 * holds for batches of native clients, events that are published over HTTP, pages and streams.
 * docs/decisions/0018-record-policies.md has the design, docs/records.md what users see of it.
 *
 * All on the worker's thread.
 */
#ifndef SLC_DATAPLANE_POLICY_RECORDS_H
#define SLC_DATAPLANE_POLICY_RECORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/error.h"
#include "common/header_rule.h"
#include "dataplane/config/snapshot.h"
#include "dataplane/policy/record_wait.h"
#include "dataplane/records/header.h"
#include "dataplane/records/rewrite.h"

struct slc_policy_request;

enum slc_record_direction { SLC_RECORDS_PRODUCE, SLC_RECORDS_CONSUME };

/* One record. Everything is borrowed; what a policy puts in must live until the next record: take buffers of
 * the scratch for it. */
typedef struct slc_policy_record {
    int32_t partition;    /* -1: not known yet */
    int64_t offset;       /* -1: not known yet */
    int64_t timestamp_ms; /* -1: none */
    const uint8_t *key;   /* NULL: none */
    size_t key_len;
    const uint8_t *value; /* NULL: a tombstone */
    size_t value_len;
    const slc_record_header *headers; /* in order, duplicates kept; only for chains of which some policy wants
                                         them (slc_record_ops.headers), else none */
    uint32_t header_count;
} slc_policy_record;

/* Buffers of a worker, for one record at a time. */
typedef struct slc_record_scratch {
    slc_buf **bufs;
    unsigned used, count;
    size_t max_bytes;
} slc_record_scratch;

/* `max_bytes`: of one buffer. */
void slc_record_scratch_init(slc_record_scratch *scratch, size_t max_bytes);
void slc_record_scratch_release(slc_record_scratch *scratch);
/* Gives back buffers that have become larger than `keep_bytes`. */
void slc_record_scratch_trim(slc_record_scratch *scratch, size_t keep_bytes);
/* An empty buffer that is the caller's until the next record. Kept from record to record: once it has grown
 * nothing is allocated. */
slc_buf *slc_record_scratch_buf(slc_record_scratch *scratch);
/* Room for so many headers, likewise; NULL: over the limit. */
slc_record_header *slc_record_scratch_headers(slc_record_scratch *scratch, uint32_t count);
/* The next record: everything is free again. The chain's. */
void slc_record_scratch_reset(slc_record_scratch *scratch);

/* What is there while a record goes through. */
typedef struct slc_record_turn {
    slc_record_scratch *scratch;
    slc_record_waiter *waiter; /* for LATER: slc_record_wait(); NULL: nobody can wait (any more) */
    bool told;                 /* it went through before: it is neither counted nor put aside again */
} slc_record_turn;

/* Why a record is rejected. */
typedef struct slc_record_problem {
    enum slc_code code; /* SLC_INVALID: it is the record's fault (422, INVALID_RECORD); SLC_DENIED (403);
                           SLC_TOO_LARGE (413); SLC_CORRUPT, SLC_UNSUPPORTED; SLC_UNAVAILABLE: retriable (503, a
                           retriable Kafka error): something is out of reach */
    char why[200];      /* for the log: what is wrong and where, never a value */
    char detail[200];   /* for the client: the same without names of the inside; "": a general one */
    char pointer[128];  /* RFC 6901: the place in the value; "": not one */
    const char *policy; /* the chain's: its name */
} slc_record_problem;

/* Fills code, and `why` and `detail` with the same text. Returns SLC_RECORD_REJECT. */
enum slc_record_verdict slc_record_reject(slc_record_problem *problem, enum slc_code code, const char *fmt, ...)
    SLC_PRINTF(3, 4);

/* For whom and for what a chain is bound. Valid during bind() alone: copy what is needed. */
typedef struct slc_record_subject {
    enum slc_record_direction direction;
    const slc_snapshot *snapshot;
    const slc_vcluster *vcluster;
    const slc_event_api *api;  /* of HTTP, or that the policy's scope is; NULL: none */
    const char *topic;         /* as clients of the virtual cluster name it */
    const char *backend_topic; /* as the backend names it */
    struct slc_policy_request
        *request;                  /* who asks: principal, token, certificate, address; api is NULL on Kafka */
    slc_header_value_fn *value_of; /* what ${...} stands for; `value_ctx` is its */
    void *value_ctx;
    const char *policy_id, *policy_name; /* the chain's: of the policy that is being bound */
} slc_record_subject;

/* On what, beside the policies that take part, their result depends: what is rendered for a reader is shared by
 * all readers for whom that is the same. */
enum slc_record_audience {
    SLC_AUDIENCE_ALL,         /* on nothing */
    SLC_AUDIENCE_APPLICATION, /* on application, plan and subscription */
    SLC_AUDIENCE_ONE,         /* on whatever else the request has: credential, token, address */
};

/* Where a policy stands. On produce in this order, on consume encryption comes first. Of one rank: wide scopes
 * first; encryption on consume the other way round. */
enum slc_record_rank {
    SLC_RANK_SCHEMA,  /* validates, converts */
    SLC_RANK_FILTER,  /* leaves out, on consume */
    SLC_RANK_MASK,    /* hides parts */
    SLC_RANK_HEADERS, /* changes headers */
    SLC_RANK_ENCRYPT, /* encrypts, decrypts */
};

/* KEEP; CHANGE: key, value or headers of `record` are others now; DROP: on consume alone, with a code in
 * `problem` when it is because the record cannot be judged; REJECT: `problem` says why (see slc_record_reject);
 * LATER: slc_record_wait() was called with turn->waiter and the record will be asked about again from the start
 * of the chain, perhaps with others before it. Only while turn->waiter is there; without one what cannot be
 * answered now is rejected with SLC_UNAVAILABLE. `bound` is what bind() gave.
 */
typedef enum slc_record_verdict slc_policy_record_fn(void *bound, slc_record_turn *turn,
                                                     slc_policy_record *record, slc_record_problem *problem);

/* What a policy type does to records. `compiled` is of its compile(). */
typedef struct slc_record_ops {
    enum slc_record_rank rank;
    bool headers; /* it looks at headers, or changes them */
    /* Has it anything to do in that direction? NULL: where it has a function. */
    bool (*acts)(const void *compiled, enum slc_record_direction direction);
    enum slc_record_audience (*audience)(const void *compiled); /* NULL: ALL */
    /* The compiled policy for a subject; NULL: `bound` is `compiled` itself. `*bound` NULL: it does nothing
     * here. False: every record is rejected for that reason (SLC_UNAVAILABLE: retriable). */
    bool (*bind)(const void *compiled, const slc_record_subject *subject, void **bound, slc_error *err);
    void (*unbind)(void *bound);
    /* The configuration changed and the policy did not: is what was bound still what bind() would give? NULL:
     * yes. */
    bool (*holds)(const void *bound, const slc_snapshot *snapshot);
    slc_policy_record_fn *on_produce_record, *on_consume_record; /* NULL: takes no part */
    /* Where what it rejects goes as well: a topic of the same backend; NULL, or a NULL result: nowhere. */
    const char *(*dead_letter_topic)(const void *compiled);
} slc_record_ops;

/* Does the type do anything to records of that direction? */
static inline bool slc_record_ops_act(const slc_record_ops *ops, const void *compiled,
                                      enum slc_record_direction direction)
{
    if (ops == NULL)
        return false;
    slc_policy_record_fn *fn =
        direction == SLC_RECORDS_PRODUCE ? ops->on_produce_record : ops->on_consume_record;
    return fn != NULL && (ops->acts == NULL || ops->acts(compiled, direction));
}

#endif
