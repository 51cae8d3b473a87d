/* The records of a partition: batch after batch, and what becomes of those that fail. */
#include "dataplane/records/rewrite.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "dataplane/kafka/wire.h"
#include "dataplane/records/batch_layout.h"
#include "dataplane/records/rewrite_private.h"
#include "dataplane/records/varint.h"

#define PLAIN_GROWTH 2 /* how often the inflated limit what is made of the records may be */

slc_rewriter *slc_rewriter_new(const slc_compression_options *options)
{
    slc_rewriter *rewriter = slc_calloc(1, sizeof(*rewriter));
    rewriter->compression = slc_compression_new(options);
    rewriter->keep_bytes = options->keep_bytes;
    slc_buf_init(&rewriter->plain, PLAIN_GROWTH * options->inflated_max_bytes);
    return rewriter;
}

void slc_rewriter_free(slc_rewriter *rewriter)
{
    if (rewriter == NULL)
        return;
    slc_compression_free(rewriter->compression);
    slc_buf_release(&rewriter->plain);
    free(rewriter);
}

void slc_rewriter_trim(slc_rewriter *rewriter)
{
    slc_compression_trim(rewriter->compression);
    if (rewriter->plain.cap > rewriter->keep_bytes)
        slc_buf_release(&rewriter->plain);
}

/* The walk over a partition's batches. `copied` bytes of the input are in `out`, once anything has changed. */
struct walk {
    slc_rewriter *rewriter;
    const uint8_t *data;
    const slc_rewrite_rules *rules;
    slc_buf *out;
    slc_rewrite_report *report;
    size_t copied;
    bool changed;
    bool reaches; /* a batch reaches from_offset */
};

/* Puts batches that stayed as they are before the one that begins at `at`. */
static bool catch_up(struct walk *w, size_t at, slc_error *err)
{
    if (slc_buf_add(w->out, w->data + w->copied, at - w->copied)) {
        w->copied = at;
        return true;
    }
    return slc_fail(err, SLC_TOO_LARGE, NULL, "The rewritten records are larger than the limit of %zu bytes.",
                    w->out->max);
}

bool slc_rewrite_forgives(const slc_rewrite_rules *rules, slc_rewrite_report *report, const slc_error *err)
{
    if (!rules->share || err->code == SLC_UNAVAILABLE || err->code == SLC_TIMEOUT)
        return false;
    if (report->left_out.code == SLC_OK)
        report->left_out = *err;
    return true;
}

/* A batch that fails where the client does not read, or that a share group has to do without. */
static enum slc_rewritten leave_out(struct walk *w, const slc_batch *batch, size_t at, slc_error *err)
{
    slc_error_clear(err);
    if (catch_up(w, at, err) && slc_batch_add_empty(batch, w->out, err))
        return SLC_REWRITTEN_CHANGED;
    return SLC_REWRITTEN_FAILED;
}

/* As brokers write one of which compaction has left nothing. */
static bool add_gap(const slc_batch_extent *extent, slc_buf *out, slc_error *err)
{
    uint8_t header[SLC_BATCH_HEADER_BYTES];
    slc_batch empty = {.bytes = header, .base_offset = extent->first};
    memset(header, 0xff, sizeof header); /* no leader epoch, no times, no producer */
    slc_kafka_put(header + AT_BASE_OFFSET, (uint64_t)extent->first, 8);
    header[AT_MAGIC] = 2;
    slc_kafka_put(header + AT_LAST_OFFSET_DELTA, (uint64_t)(extent->last - extent->first), 4);
    return slc_batch_add_empty(&empty, out, err);
}

/* A batch of a format or codec that is not known: the same as one that is damaged. */
static bool pass_over(struct walk *w, size_t *at, size_t len, slc_error *err)
{
    slc_batch_extent extent;
    if (!w->rules->consume || !slc_batch_extent_at(w->data, len, *at, &extent))
        return false;
    if (extent.last >= w->rules->from_offset && !slc_rewrite_forgives(w->rules, w->report, err))
        return slc_fail_context(err, "the record batch that ends with %" PRId64, extent.last);
    slc_error_clear(err);
    if (!catch_up(w, *at, err) || !add_gap(&extent, w->out, err))
        return false;
    w->report->batches++;
    w->changed = true;
    *at += extent.len;
    w->copied = w->report->used_bytes = *at;
    return true;
}

static enum slc_rewritten take_batch(struct walk *w, const slc_batch *batch, slc_error *err)
{
    const slc_rewrite_rules *rules = w->rules;
    size_t at = (size_t)(batch->bytes - w->data);
    const slc_kafka_span before = {.data = w->data + w->copied, .len = at - w->copied};
    w->report->batches++;
    enum slc_rewritten done = slc_batch_rewrite(w->rewriter, batch, rules, before, w->out, w->report, err);
    if (done == SLC_REWRITTEN_FAILED && rules->consume &&
        (slc_batch_last_offset(batch) < rules->from_offset || slc_rewrite_forgives(rules, w->report, err)))
        done = leave_out(w, batch, at, err);
    if (done == SLC_REWRITTEN_CHANGED) {
        w->changed = true;
        w->copied = at + batch->len;
    }
    return done;
}

/* How the walk ends at a batch that fails. */
static enum slc_rewritten stop(struct walk *w, size_t start, slc_error *err)
{
    if (w->rules->consume && !w->rules->share && w->reaches &&
        (!w->changed || catch_up(w, w->report->used_bytes, err))) {
        w->report->stopped = true;
        return w->changed ? SLC_REWRITTEN_CHANGED : SLC_REWRITTEN_SAME;
    }
    w->out->len = start;
    w->report->used_bytes = 0;
    return SLC_REWRITTEN_FAILED;
}

static bool one_batch(const struct walk *w, enum slc_batch_step step, slc_error *err)
{
    if (w->rules->consume || (step == SLC_BATCH_DONE && w->report->batches == 1))
        return true;
    if (step == SLC_BATCH_PARTIAL)
        return slc_fail(err, SLC_CORRUPT, NULL, "The record batch is cut off.");
    return slc_fail(err, SLC_INVALID, NULL,
                    "A Produce request has exactly one record batch for each partition.");
}

enum slc_rewritten slc_records_rewrite(slc_rewriter *rewriter, const uint8_t *data, size_t len,
                                       const slc_rewrite_rules *rules, slc_buf *out, slc_rewrite_report *report,
                                       slc_error *err)
{
    struct walk w = {.rewriter = rewriter, .data = data, .rules = rules, .out = out, .report = report};
    size_t start = out->len, at = 0;
    slc_batch batch;
    enum slc_batch_step step;
    *report = (slc_rewrite_report){0};
    while ((step = slc_batch_next(data, len, &at, &batch, err)) == SLC_BATCH ||
           (step == SLC_BATCH_FAILED && pass_over(&w, &at, len, err))) {
        if (step == SLC_BATCH_FAILED)
            continue;
        enum slc_rewritten done = take_batch(&w, &batch, err);
        if (done == SLC_REWRITTEN_FAILED)
            return stop(&w, start, err);
        if (done == SLC_REWRITTEN_LATER) {
            out->len = start;
            return done;
        }
        report->used_bytes = at;
        if (report->stopped) /* within the batch */
            return SLC_REWRITTEN_CHANGED;
        w.reaches = w.reaches || slc_batch_last_offset(&batch) >= rules->from_offset;
    }
    if (step == SLC_BATCH_FAILED || !one_batch(&w, step, err) || (w.changed && !catch_up(&w, at, err)))
        return stop(&w, start, err);
    return w.changed ? SLC_REWRITTEN_CHANGED : SLC_REWRITTEN_SAME;
}

static size_t size_of(const void *data, size_t len)
{
    return slc_varint_size(data != NULL ? (int64_t)len : -1) + len;
}

static uint8_t *put(uint8_t *at, const void *data, size_t len)
{
    at = slc_varint_put(at, data != NULL ? (int64_t)len : -1);
    if (len > 0)
        memcpy(at, data, len);
    return at + len;
}

bool slc_batch_headers_add(slc_buf *headers, const slc_record_header *header)
{
    uint8_t *at = slc_buf_extend(headers, size_of(header->name, header->name_len) +
                                              size_of(header->value, header->value_len));
    if (at == NULL)
        return false;
    at = put(at, header->name, header->name_len);
    put(at, header->value, header->value_len);
    return true;
}
