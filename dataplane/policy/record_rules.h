/* What policies do to records of native clients, in their batches: for now, rules of headers policies. */
#ifndef SLC_DATAPLANE_POLICY_RECORD_RULES_H
#define SLC_DATAPLANE_POLICY_RECORD_RULES_H

#include "dataplane/policy/access.h"
#include "dataplane/records/rewrite.h"
#include "dataplane/virtual/records.h"

/* Buffers that all sessions of a worker use one after the other. */
typedef struct slc_record_work {
    slc_rewriter *rewriter; /* NULL until it is needed */
    slc_compression_options options;
    slc_buf out;     /* records of one partition, rewritten */
    slc_buf headers; /* of one record, encoded */
    slc_record_header *before, *after;
    size_t before_cap, after_cap;
} slc_record_work;

/* `max_bytes`: of the rewritten records of one partition. */
void slc_record_work_init(slc_record_work *work, const slc_compression_options *options, size_t max_bytes);
void slc_record_work_release(slc_record_work *work);
/* Gives back what large batches took. */
void slc_record_work_trim(slc_record_work *work);

/* The rules of one session. */
typedef struct slc_record_rules {
    slc_view_records hook; /* first */
    const slc_access *access;
    slc_record_work *work;
} slc_record_rules;

/* False: there are none. Both must outlive the rules, which need no release. */
bool slc_record_rules_init(slc_record_rules *rules, const slc_access *access, slc_record_work *work);

#endif
