/* One batch at a time. */
#ifndef SLC_DATAPLANE_RECORDS_REWRITE_PRIVATE_H
#define SLC_DATAPLANE_RECORDS_REWRITE_PRIVATE_H

#include "dataplane/kafka/edit.h"
#include "dataplane/records/rewrite.h"

struct slc_rewriter {
    slc_compression *compression;
    slc_buf plain; /* records of a batch that will be compressed */
    size_t keep_bytes;
};

/* If the batch changes, adds the bytes `before` and then the batch to `out`. Counts records, changed and
 * dropped in `report`, also of batches that fail. */
enum slc_rewritten slc_batch_rewrite(slc_rewriter *rewriter, const slc_batch *batch,
                                     const slc_rewrite_rules *rules, slc_kafka_span before, slc_buf *out,
                                     slc_rewrite_report *report, slc_error *err) SLC_CHECKED;

/* May what fails be left out, because a share group has to do without it? Then `report` has the first such
 * error. */
bool slc_rewrite_forgives(const slc_rewrite_rules *rules, slc_rewrite_report *report, const slc_error *err);

/* Adds the batch without its records. */
bool slc_batch_add_empty(const slc_batch *batch, slc_buf *out, slc_error *err) SLC_CHECKED;

#endif
