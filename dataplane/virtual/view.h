/* One connection's view of a virtual cluster: requests are made the backend's, answers the client's, by the
 * role of each field. docs/decisions/0011-virtual-clusters.md has the design. No sockets; not thread safe.
 */
#ifndef SLC_DATAPLANE_VIRTUAL_VIEW_H
#define SLC_DATAPLANE_VIRTUAL_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/error.h"
#include "dataplane/kafka/header.h"
#include "dataplane/kafka/rewrite.h"
#include "dataplane/virtual/guard.h"
#include "dataplane/virtual/ids.h"
#include "dataplane/virtual/names.h"
#include "dataplane/virtual/records.h"

#define SLC_VIEW_MAX_FOREIGN  1000   /* topic ids of others that a connection may name */
#define SLC_VIEW_MAX_MISSING  100000 /* topic ids to be asked for at once */
#define SLC_VIEW_METADATA_MIN 4      /* of Metadata, in which a client can say that no topic is to be made */
#define SLC_VIEW_RECHECK_MS   INT64_C(1000)

typedef struct slc_view_id {
    uint8_t id[SLC_TOPIC_ID_BYTES];
    uint8_t sent[SLC_TOPIC_ID_BYTES]; /* in its place; no topic has it */
    bool unknown;                     /* nobody's yet: it may become a topic of ours */
    bool denied;                      /* ours, and the guard says no */
} slc_view_id;

/* A part of an answer that speaks of what the guard denied. */
typedef struct slc_view_span {
    size_t begin, end;
    int16_t code;
    bool hollow; /* its members are left out */
} slc_view_span;

typedef struct slc_view {
    const slc_names *names;
    const slc_names *next; /* from the next request on, and for answers with records already; NULL: the same */
    slc_topic_ids *ids;
    uint8_t secret[SLC_TOPIC_ID_BYTES];
    slc_view_id *foreign;
    size_t foreign_count;
    uint8_t *missing; /* of SLC_TOPIC_ID_BYTES each */
    size_t missing_count, missing_cap;
    int64_t recheck_at_ms;
    int32_t fetch_session;    /* that a broker began on this connection; 0: none */
    bool shares;              /* has a share session, or had */
    struct slc_view_own *own; /* the namespace's topics, while a request waits for them */
    size_t own_count, own_cap;
    int64_t own_partitions;
    bool counting;
    bool *over; /* which of the request's topics are over a limit */
    size_t over_count, over_cap;
    slc_guard *guard; /* NULL: everything is allowed. The holder's; may change between requests */
    int16_t *batches; /* the errors of a Produce request's partitions, in order; 0: none */
    size_t batch_count, batch_cap, batch_at;
    bool batch_refused;         /* one of them has one */
    slc_demand_config *configs; /* of the topic at hand */
    size_t config_count, config_cap;
    struct slc_view_offset *offsets; /* from where the connection fetches, where its records are looked at */
    size_t offset_count, offset_cap;
    slc_view_records *records; /* NULL: they pass as they are. The holder's; may change between requests */
    bool fetch_denied; /* a fetch of this connection named what it may not read: the broker's session may hold
                          it */
    slc_view_span *spans; /* of the answer at hand */
    size_t span_count, span_cap;
    unsigned shadowed; /* topics left out of answers by slc_names_shadowed; for the holder to count and clear */
    slc_buf scratch;
    slc_kafka_edits inner;
} slc_view;

enum slc_view_outcome {
    SLC_VIEW_SEND,   /* with the edits, if there are any */
    SLC_VIEW_ASK,    /* what `missing` belongs to, and come again */
    SLC_VIEW_COUNT,  /* ask for all topics, and come again */
    SLC_VIEW_LATER,  /* records wait for what a policy needs: come again when the holder of `records` is told */
    SLC_VIEW_REFUSE, /* answer with `refusal`; `code` 0 is an answer without content */
    SLC_VIEW_FAIL,   /* `err`: close the connection */
};

typedef struct slc_view_request {
    const slc_kafka_request_header *header;
    const uint8_t *body;
    size_t there; /* bytes of the body: all, or as many as slc_view_head says */
    size_t len;   /* of all of it */
    bool asked;   /* for the missing ids of this request, or all topics: what is not known now is nobody's */
    int64_t asked_ms; /* when that was asked */
    int64_t now_ms;
    int64_t list_lag_ms; /* how long a broker's list of topics may not show what was made or deleted */
    /* out */
    int16_t refusal;
    char why[384];
    bool consumer;  /* to be given to the answer */
    int16_t denied; /* likewise: the error code of something that the guard or a limit denied; 0: nothing was */
} slc_view_request;

/* What an answer is to. Zeroed, then filled. */
typedef struct slc_view_answer {
    slc_view *view;
    int16_t key, version;
    bool consumer;
    const uint8_t *body; /* the answer's */
    size_t len;
    int16_t denied;
    slc_kafka_edits *edits; /* that are being made; NULL: records are not looked at */
    /* private */
    slc_kafka_span client; /* the names of the topic at hand, where records are looked at */
    slc_kafka_span backend;
    int32_t partition;
    size_t code_at; /* of the error code that was passed last */
    slc_kafka_edits_mark code_mark;
    const uint8_t *topic;
    size_t topic_len;
    int16_t acl_pattern;
    bool over;            /* the topic at hand was refused by a limit */
    const uint8_t *named; /* what an AuthorizedOperations that comes is of */
    size_t named_len;
    size_t span;
} slc_view_answer;

/* Both must outlive the view. */
void slc_view_init(slc_view *view, const slc_names *names, slc_topic_ids *ids);
void slc_view_release(slc_view *view);
/* Names change in two steps. slc_view_will_rename: from here on no answer has records of topics that are not in
 * `next`; such topics are left out of it. slc_view_rename, when no answer is still to come: requests and all
 * answers have the names of `next`, and fetch sessions begin anew. */
void slc_view_will_rename(slc_view *view, const slc_names *next);
void slc_view_rename(slc_view *view);

/* Another guard, or the same whose answers have changed: the next fetch begins a new session. */
void slc_view_set_guard(slc_view *view, slc_guard *guard);

/* Is the key served in a namespace at all? */
bool slc_view_serves(const slc_names *names, int key);
/* The first version of a key that can be served, where later ones can. */
int slc_view_min_version(const slc_names *names, int key);
/* Does a request or answer hold anything to be mapped? */
bool slc_view_concerns(const slc_kafka_message *message, int version);
/* Has the guard to be asked about the key, or to look at its answer, whatever it holds? */
bool slc_view_guards(const slc_view *view, int key);

/* Has a request of the key to be looked at for what the guard demands? */
bool slc_view_judges(const slc_view *view, int key);
/* Are there records in it that must be looked at? */
bool slc_view_changes_records(const slc_view *view, int key);

/* How many bytes of a request's body must be there before it is mapped, of which `there` are: what is behind
 * them holds nothing to be mapped, and passes as it is. `len`: all. 0: nobody knows yet; more than `there`. */
size_t slc_view_head(const slc_view *view, const slc_kafka_request_header *header, const uint8_t *body,
                     size_t there, size_t len);
/* Puts the changes of a request into `edits`, which is empty. Only of one that is there whole it is certain
 * that all of it can be read, and only that one is ever refused. */
enum slc_view_outcome slc_view_map(slc_view *view, slc_view_request *request, slc_kafka_edits *edits,
                                   slc_error *err) SLC_CHECKED;

/* Before a whole answer's body, or its first bytes, is mapped: fetch sessions. */
void slc_view_note(slc_view *view, int key, int version, const uint8_t *body, size_t len);
/* A map function (rewrite.h) over slc_view_answer for values of these roles. */
uint64_t slc_view_answer_roles(int key);
slc_kafka_map_fn slc_view_unmap;
/* Before the answer is mapped: finds what a guard or a limit has to say about what was denied. Returns the
 * roles that are to be mapped as well. */
bool slc_view_look_ahead(slc_view_answer *answer, int version, const uint8_t *body, size_t len, uint64_t *roles,
                         slc_error *err) SLC_CHECKED;

/* The topic id that the client wrote where `sent` went out, and whether the guard denied it; NULL: it was not
 * changed. */
const slc_view_id *slc_view_id_back(const slc_view *view, const uint8_t sent[SLC_TOPIC_ID_BYTES]);

/* Reads the body of a Metadata answer to what SLC_VIEW_ASK or SLC_VIEW_COUNT wanted. */
bool slc_view_learn(slc_view *view, int version, const uint8_t *body, size_t len, slc_error *err) SLC_CHECKED;

#endif
