/* Changes records in their batches, one pass over each: inflate, ask about each record, deflate, checksum.
 *
 * A batch of which no record changes is left as it is, byte for byte. One that changes keeps all of its header
 * but length, checksum and count, and each record keeps its offset and timestamp: producer id, epoch and
 * sequence, transactions, compaction and timestamps work as before. docs/decisions/0015-record-batches.md has
 * the design.
 */
#ifndef SLC_DATAPLANE_RECORDS_REWRITE_H
#define SLC_DATAPLANE_RECORDS_REWRITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/error.h"
#include "dataplane/records/batch.h"
#include "dataplane/records/compression.h"

enum slc_record_verdict {
    SLC_RECORD_KEEP,
    SLC_RECORD_CHANGE,
    SLC_RECORD_DROP,   /* on consume alone; a bug otherwise */
    SLC_RECORD_REJECT, /* the whole batch; `err` says why */
    SLC_RECORD_LATER,  /* something is being fetched: nothing happened, and the caller asks again */
};

/* Asked once for each record, in order. For CHANGE `changed` takes key, value and headers (encoded, see
 * slc_batch_headers_add), also those that stay; all must live until the next call. Its other members are
 * ignored. */
typedef enum slc_record_verdict slc_record_fn(void *ctx, const slc_batch *batch, const slc_batch_record *record,
                                              slc_batch_record *changed, slc_error *err);

typedef struct slc_rewrite_rules {
    slc_record_fn *record;
    void *ctx;
    bool consume;        /* else produce: exactly one batch, no control batch, nothing dropped */
    int64_t from_offset; /* consume: where the client reads from. What fails below it is left out, so that one
                            can always seek past a record that fails */
    bool share; /* consume: for a share group, which cannot seek and takes what is not there for gone. What
                   fails for good is left out, alone; what fails for now (SLC_UNAVAILABLE, SLC_TIMEOUT) fails
                   everything, so that all of it comes again */
} slc_rewrite_rules;

typedef struct slc_rewrite_report {
    size_t batches; /* whole ones that were seen */
    size_t records;
    size_t changed;
    size_t dropped;
    size_t used_bytes; /* of the input: what is behind was cut off, or failed */
    bool stopped; /* at a batch that fails, or within one before the record that does, behind others that are
                     good; `err` says why */
    slc_error left_out; /* share: why the first that failed did, record or batch; SLC_OK: none did */
} slc_rewrite_report;

/* Buffers and codecs, kept from batch to batch. Not thread safe: one for each worker. */
typedef struct slc_rewriter slc_rewriter;

slc_rewriter *slc_rewriter_new(const slc_compression_options *options);
void slc_rewriter_free(slc_rewriter *rewriter);
/* Gives back what a large batch took; to be called when there is nothing to do. */
void slc_rewriter_trim(slc_rewriter *rewriter);

enum slc_rewritten {
    SLC_REWRITTEN_SAME,    /* the first used_bytes of the input are the result; nothing was added to `out` */
    SLC_REWRITTEN_CHANGED, /* the result was added to `out` */
    SLC_REWRITTEN_LATER,   /* as the record function said; `out` is as it was */
    SLC_REWRITTEN_FAILED,  /* `err` says why; `out` is as it was */
};

/* Rewrites the records of one partition, as they stand in a Produce request or a Fetch answer.
 *
 * Produce: FAILED when anything fails: SLC_CORRUPT for damaged bytes, SLC_UNSUPPORTED for other formats,
 * SLC_TOO_LARGE over a limit, SLC_INVALID for anything but one batch of data, or what the record function said.
 * Consume: a batch that is cut off at the end is left out, for nobody looked at what is in it. A batch that
 * fails below from_offset becomes one without records. Where a record is rejected, those of its batch before it
 * stay in it if one of them is at from_offset or behind it: the batch ends before the one that was rejected,
 * and `stopped` is set. Where a batch fails otherwise, the batches before it are the result, and `stopped` is
 * set; FAILED if none of those reaches from_offset. Nothing of that with `share`: see there. */
enum slc_rewritten slc_records_rewrite(slc_rewriter *rewriter, const uint8_t *data, size_t len,
                                       const slc_rewrite_rules *rules, slc_buf *out, slc_rewrite_report *report,
                                       slc_error *err) SLC_CHECKED;

/* Adds a header in a record's encoding. False when it does not fit. */
bool slc_batch_headers_add(slc_buf *headers, const slc_record_header *header) SLC_CHECKED;

#endif
