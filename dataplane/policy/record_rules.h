/* What policies do to records of native clients, in their batches. */
#ifndef SLC_DATAPLANE_POLICY_RECORD_RULES_H
#define SLC_DATAPLANE_POLICY_RECORD_RULES_H

#include "dataplane/policy/access.h"
#include "dataplane/records/rewrite.h"
#include "dataplane/virtual/records.h"

/* Buffers that all sessions of a worker use one after the other. */
typedef struct slc_record_work {
    slc_rewriter *rewriter; /* NULL until it is needed */
    slc_compression_options options;
    size_t max_bytes; /* of the rewritten records of one partition */
    slc_buf headers;  /* of one record, encoded */
    slc_record_header *before;
    size_t before_cap;
    slc_record_scratch scratch;
    slc_dead_letters *letters; /* the holder's; NULL: there are none */
    int64_t wait_ms;           /* the holder's: longest that a message waits for what policies need */
} slc_record_work;

/* `max_bytes`: of the rewritten records of one partition. */
void slc_record_work_init(slc_record_work *work, const slc_compression_options *options, size_t max_bytes);
void slc_record_work_release(slc_record_work *work);
/* Gives back what large batches took. */
void slc_record_work_trim(slc_record_work *work);

/* Of the requests of a session, and of its answers: what waits for something that a policy needs. */
typedef struct slc_record_pause {
    slc_record_waiter waiter; /* `ready` and `mailbox` are the session's */
    int64_t until_ms;         /* monotonic: then it waits no more; 0: it does not wait */
    /* The message is asked about again from its beginning: what happened to its records is counted, told and
     * put aside from here on, and was before. */
    size_t told_at;      /* of the partition: where its records stand */
    int64_t told_offset; /* in it */
} slc_record_pause;

/* It has not been told yet, and has time: there is no use in asking again. */
bool slc_record_pause_holds(const slc_record_pause *pause);
/* The message goes on, or away. */
void slc_record_pause_end(slc_record_pause *pause);

/* The rules of one session. */
typedef struct slc_record_rules {
    slc_view_records hook; /* first */
    slc_access *access;
    slc_record_work *work;
    slc_record_pause *pauses; /* of answers, of requests; NULL: nothing can wait */
} slc_record_rules;

/* False: there are none. All must outlive the rules, which need no release. */
bool slc_record_rules_init(slc_record_rules *rules, slc_access *access, slc_record_work *work,
                           slc_record_pause pauses[2]);

#endif
