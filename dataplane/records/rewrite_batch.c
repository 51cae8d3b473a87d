/* One batch: inflate, ask about each record, deflate. */
#include <inttypes.h>
#include <string.h>

#include "common/assert.h"
#include "dataplane/kafka/wire.h"
#include "dataplane/records/batch_layout.h"
#include "dataplane/records/crc32c.h"
#include "dataplane/records/rewrite_private.h"
#include "dataplane/records/varint.h"

#define LINE_BYTES 64
#define MOST_WARM  4096

/* A batch on its way. Records that stay are not copied one by one: `run` is where those begin that are still to
 * be. */
struct pass {
    slc_rewriter *rewriter;
    const slc_batch *batch;
    const slc_rewrite_rules *rules;
    slc_kafka_span before;
    slc_buf *out;
    size_t start; /* where the batch begins in `out` */
    slc_buf *
        to; /* where records go: `out`, or `plain` if they will be compressed; NULL while nothing has changed */
    const uint8_t *data;
    size_t data_len;
    const uint8_t *run;
    int32_t dropped;
    int32_t seen;           /* records that were asked about and did not fail */
    int32_t highest_delta;  /* of these; they need not be in order, whoever wrote the batch */
    bool reaches;           /* one of them is not below from_offset */
    const uint8_t *cut;     /* the record that fails behind them: the batch ends before it; NULL: it is whole */
    int32_t cut_last_delta; /* of its end then */
};

static bool too_large(const slc_batch *batch, const slc_buf *buf, slc_error *err)
{
    return slc_fail(err, SLC_TOO_LARGE, NULL,
                    "The record batch at offset %" PRId64 ", rewritten, is larger than the limit of %zu bytes.",
                    batch->base_offset, buf->max);
}

/* --- writing --- */

static bool begin(struct pass *p, slc_error *err)
{
    if (p->to != NULL)
        return true;
    p->to = slc_batch_codec(p->batch) == SLC_CODEC_NONE ? p->out : &p->rewriter->plain;
    slc_buf_clear(&p->rewriter->plain);
    bool added = slc_buf_add(p->out, p->before.data, p->before.len);
    p->start = p->out->len;
    if (added && slc_buf_add(p->out, p->batch->bytes, SLC_BATCH_HEADER_BYTES))
        return true;
    return too_large(p->batch, p->out, err);
}

/* Writes what stayed before `end`. */
static bool flush_run(struct pass *p, const uint8_t *end, slc_error *err)
{
    if (end == p->run || slc_buf_add(p->to, p->run, (size_t)(end - p->run)))
        return true;
    return too_large(p->batch, p->to, err);
}

static uint8_t *put_bytes(uint8_t *at, const uint8_t *data, size_t len)
{
    at = slc_varint_put(at, data != NULL ? (int64_t)len : -1);
    if (len > 0)
        memcpy(at, data, len);
    return at + len;
}

static size_t size_of_bytes(const uint8_t *data, size_t len)
{
    return slc_varint_size(data != NULL ? (int64_t)len : -1) + len;
}

/* Has the memory at hand into which the next record is likely to go, while that is being made: else each store
 * to a line that no near cache has would be waited for. */
static void warm(const slc_buf *to, size_t size)
{
    size_t end = to->len + (size < MOST_WARM ? size : MOST_WARM);
    for (size_t at = to->len; at < end && at < to->cap; at += LINE_BYTES)
        __builtin_prefetch(to->data + at, 1);
}

static bool write_record(struct pass *p, const slc_batch_record *was, const slc_batch_record *is,
                         slc_error *err)
{
    size_t size = 1 + slc_varint_size(was->timestamp_delta) + slc_varint_size(was->offset_delta) +
                  size_of_bytes(is->key, is->key_len) + size_of_bytes(is->value, is->value_len) +
                  slc_varint_size(is->n_headers) + is->headers_len;
    if (size > INT32_MAX)
        return too_large(p->batch, p->to, err);
    uint8_t *at = slc_buf_extend(p->to, slc_varint_size((int64_t)size) + size);
    if (at == NULL)
        return too_large(p->batch, p->to, err);
    at = slc_varint_put(at, (int64_t)size);
    *at++ = was->attributes;
    at = slc_varint_put(at, was->timestamp_delta);
    at = slc_varint_put(at, was->offset_delta);
    at = put_bytes(at, is->key, is->key_len);
    at = put_bytes(at, is->value, is->value_len);
    at = slc_varint_put(at, is->n_headers);
    if (is->headers_len > 0)
        memcpy(at, is->headers, is->headers_len);
    warm(p->to, size);
    return true;
}

/* The header of a batch whose bytes from `start` on are all there. */
static bool finish_header(const slc_batch *batch, uint16_t attributes, int32_t count, slc_buf *out,
                          size_t start, slc_error *err)
{
    uint8_t *bytes = out->data + start;
    size_t len = out->len - start;
    if (len > INT32_MAX)
        return too_large(batch, out, err);
    slc_kafka_put(bytes + AT_LENGTH, len - SLC_BATCH_PREFIX_BYTES, 4);
    slc_kafka_put(bytes + AT_ATTRIBUTES, attributes, 2);
    slc_kafka_put(bytes + AT_COUNT, (uint32_t)count, 4);
    slc_kafka_put(bytes + AT_CRC, slc_crc32c(0, bytes + AT_ATTRIBUTES, len - AT_ATTRIBUTES), 4);
    return true;
}

bool slc_batch_add_empty(const slc_batch *batch, slc_buf *out, slc_error *err)
{
    size_t start = out->len;
    if (!slc_buf_add(out, batch->bytes, SLC_BATCH_HEADER_BYTES))
        return too_large(batch, out, err);
    return finish_header(batch, batch->attributes & (uint16_t)~SLC_BATCH_CODEC, 0, out, start, err);
}

/* --- one pass --- */

static bool take_change(struct pass *p, const slc_batch_record *record, const slc_batch_record *changed,
                        slc_error *err)
{
    if (!begin(p, err) || !flush_run(p, record->bytes, err))
        return false;
    p->run = record->bytes + record->bytes_len;
    return changed == NULL || write_record(p, record, changed, err);
}

static enum slc_rewritten take_record(struct pass *p, const slc_batch_record *record,
                                      slc_rewrite_report *report, slc_error *err)
{
    slc_batch_record changed; /* a copy here would wait for what the cursor has just stored */
    enum slc_record_verdict verdict = p->rules->record(p->rules->ctx, p->batch, record, &changed, err);
    report->records++;
    if (verdict == SLC_RECORD_REJECT && p->rules->consume &&
        (record->offset < p->rules->from_offset || slc_rewrite_forgives(p->rules, report, err))) {
        slc_error_clear(err);
        verdict = SLC_RECORD_DROP;
    }
    if (verdict != SLC_RECORD_REJECT && verdict != SLC_RECORD_LATER) {
        p->seen++;
        p->highest_delta = record->offset_delta > p->highest_delta ? record->offset_delta : p->highest_delta;
        p->reaches = p->reaches || record->offset >= p->rules->from_offset;
    }
    switch (verdict) {
    case SLC_RECORD_KEEP:
        return SLC_REWRITTEN_SAME;
    case SLC_RECORD_CHANGE:
        report->changed++;
        return take_change(p, record, &changed, err) ? SLC_REWRITTEN_CHANGED : SLC_REWRITTEN_FAILED;
    case SLC_RECORD_DROP:
        SLC_BUG_ON(!p->rules->consume);
        report->dropped++;
        p->dropped++;
        return take_change(p, record, NULL, err) ? SLC_REWRITTEN_CHANGED : SLC_REWRITTEN_FAILED;
    case SLC_RECORD_LATER:
        return SLC_REWRITTEN_LATER;
    case SLC_RECORD_REJECT:
        break;
    }
    /* Those before it are for the client, who comes again for this one. */
    if (p->rules->consume && !p->rules->share && p->reaches && record->offset_delta > p->highest_delta) {
        p->cut = record->bytes;
        p->cut_last_delta = record->offset_delta - 1;
    }
    return SLC_REWRITTEN_FAILED;
}

/* SAME when every record stays. */
static enum slc_rewritten take_records(struct pass *p, slc_rewrite_report *report, slc_error *err)
{
    slc_batch_cursor cursor;
    slc_batch_record record;
    enum slc_batch_cursor_step step;
    slc_batch_cursor_init(&cursor, p->batch, p->data, p->data_len);
    while ((step = slc_batch_cursor_next(&cursor, &record, err)) == SLC_RECORD) {
        enum slc_rewritten done = take_record(p, &record, report, err);
        if (done == SLC_REWRITTEN_FAILED && p->cut != NULL && begin(p, err))
            return SLC_REWRITTEN_CHANGED;
        if (done == SLC_REWRITTEN_FAILED || done == SLC_REWRITTEN_LATER)
            return done;
    }
    if (step == SLC_RECORD_FAILED)
        return SLC_REWRITTEN_FAILED;
    return p->to != NULL ? SLC_REWRITTEN_CHANGED : SLC_REWRITTEN_SAME;
}

static bool finish(struct pass *p, slc_error *err)
{
    enum slc_codec codec = slc_batch_codec(p->batch);
    uint16_t attributes = p->batch->attributes;
    int32_t count = p->seen - p->dropped;
    if (!flush_run(p, p->cut != NULL ? p->cut : p->data + p->data_len, err))
        return false;
    if (p->cut != NULL)
        slc_kafka_put(p->out->data + p->start + AT_LAST_OFFSET_DELTA, (uint64_t)p->cut_last_delta, 4);
    if (count == 0)
        attributes &= (uint16_t)~SLC_BATCH_CODEC;
    else if (codec != SLC_CODEC_NONE &&
             !slc_deflate(p->rewriter->compression, codec, p->to->data, p->to->len, p->out, err))
        return false;
    return finish_header(p->batch, attributes, count, p->out, p->start, err);
}

static bool inflate_records(struct pass *p, slc_error *err)
{
    const slc_batch *batch = p->batch;
    enum slc_codec codec = slc_batch_codec(batch);
    p->data = batch->records;
    p->data_len = batch->records_len;
    /* Compaction leaves the header alone. */
    if (codec != SLC_CODEC_NONE && batch->records_len > 0 &&
        !slc_inflate(p->rewriter->compression, codec, batch->records, batch->records_len, &p->data,
                     &p->data_len, err))
        return slc_fail_context(err, "the record batch at offset %" PRId64 ", which ends with %" PRId64,
                                batch->base_offset, slc_batch_last_offset(batch));
    p->run = p->data;
    return true;
}

static bool admit(const slc_batch *batch, const slc_rewrite_rules *rules, slc_error *err)
{
    if (!slc_batch_crc_holds(batch))
        return slc_fail(err, SLC_CORRUPT, NULL,
                        "The checksum of the record batch at offset %" PRId64 ", which ends with %" PRId64
                        ", does not match its %zu bytes.",
                        batch->base_offset, slc_batch_last_offset(batch), batch->len);
    if ((batch->attributes & SLC_BATCH_CONTROL) != 0 && !rules->consume)
        return slc_fail(err, SLC_INVALID, NULL, "Clients may not write control batches.");
    return true;
}

enum slc_rewritten slc_batch_rewrite(slc_rewriter *rewriter, const slc_batch *batch,
                                     const slc_rewrite_rules *rules, slc_kafka_span before, slc_buf *out,
                                     slc_rewrite_report *report, slc_error *err)
{
    struct pass p = {.rewriter = rewriter,
                     .batch = batch,
                     .rules = rules,
                     .before = before,
                     .out = out,
                     .highest_delta = -1};
    size_t start = out->len;
    if (!admit(batch, rules, err))
        return SLC_REWRITTEN_FAILED;
    if ((batch->attributes & SLC_BATCH_CONTROL) != 0)
        return SLC_REWRITTEN_SAME;
    if (!inflate_records(&p, err))
        return SLC_REWRITTEN_FAILED;
    enum slc_rewritten done = take_records(&p, report, err);
    if (done == SLC_REWRITTEN_CHANGED && !finish(&p, err))
        done = SLC_REWRITTEN_FAILED;
    report->stopped = done == SLC_REWRITTEN_CHANGED && p.cut != NULL;
    if (done != SLC_REWRITTEN_CHANGED)
        out->len = start;
    return done;
}
