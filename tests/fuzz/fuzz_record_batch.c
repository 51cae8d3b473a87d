/* Any bytes as the records of a partition. The first byte chooses what is done to records; checksums are made
 * right, so that what is behind them is reached. What comes out must read as what went in, with what was done
 * to it: the records are described once before and once after, and the descriptions compared. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/assert.h"
#include "dataplane/kafka/wire.h"
#include "dataplane/records/crc32c.h"
#include "dataplane/records/rewrite.h"

#define INFLATED_MAX (1 << 20)
#define OUT_MAX      (8 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CONSUME = 1, CHANGE = 2, DROP = 4, REJECT = 8, KEEP_CHECKSUM = 16, SHARE = 32 };

struct plan {
    unsigned what;
    uint32_t seen; /* the running description of what the reader must get */
};

/* One number for all that a reader sees of a record. */
static uint32_t describe(uint32_t seen, const slc_batch_record *record)
{
    const int64_t numbers[] = {record->offset,
                               record->timestamp,
                               record->key != NULL ? (int64_t)record->key_len : -1,
                               record->value != NULL ? (int64_t)record->value_len : -1,
                               record->n_headers,
                               (int64_t)record->headers_len};
    seen = slc_crc32c(seen, numbers, sizeof(numbers));
    seen = slc_crc32c(seen, record->key, record->key_len);
    seen = slc_crc32c(seen, record->value, record->value_len);
    return slc_crc32c(seen, record->headers, record->headers_len);
}

static enum slc_record_verdict decide(void *ctx, const slc_batch *batch, const slc_batch_record *record,
                                      slc_batch_record *changed, slc_error *err)
{
    struct plan *plan = ctx;
    unsigned turn = (unsigned)record->offset % 4;
    *changed = *record;
    SLC_BUG_ON(record->offset_delta > batch->last_offset_delta);
    if ((plan->what & REJECT) != 0 && turn == 3) {
        slc_fail(err, SLC_DENIED, NULL, "No.");
        return SLC_RECORD_REJECT;
    }
    if ((plan->what & DROP) != 0 && turn == 0)
        return SLC_RECORD_DROP;
    if ((plan->what & CHANGE) == 0 || turn == 1) {
        plan->seen = describe(plan->seen, record);
        return SLC_RECORD_KEEP;
    }
    changed->key = NULL;
    changed->key_len = 0;
    changed->value = (const uint8_t *)"changed";
    changed->value_len = turn * 2;
    plan->seen = describe(plan->seen, changed);
    return SLC_RECORD_CHANGE;
}

static enum slc_record_verdict only_look(void *ctx, const slc_batch *batch, const slc_batch_record *record,
                                         slc_batch_record *changed, slc_error *err)
{
    struct plan *plan = ctx;
    (void)batch;
    (void)changed;
    (void)err;
    plan->seen = describe(plan->seen, record);
    return SLC_RECORD_KEEP;
}

static void make_checksums_right(uint8_t *data, size_t len)
{
    slc_batch batch;
    slc_error err;
    size_t at = 0;
    while (slc_batch_next(data, len, &at, &batch, &err) == SLC_BATCH)
        slc_kafka_put(data + at - batch.len + 17, slc_crc32c(0, batch.bytes + 21, batch.len - 21), 4);
}

/* Records of batches that failed or were left out have been described also, so that those are only compared
 * when none did. */
static void check(slc_rewriter *rewriter, const struct plan *plan, const slc_rewrite_report *report,
                  const slc_buf *out, bool complete)
{
    struct plan again = {0};
    const slc_rewrite_rules look = {
        .record = only_look, .ctx = &again, .consume = true, .from_offset = INT64_MIN};
    slc_rewrite_report second;
    slc_buf none;
    slc_error err = {0};
    slc_buf_init(&none, 1);
    enum slc_rewritten done = slc_records_rewrite(rewriter, out->data, out->len, &look, &none, &second, &err);
    SLC_BUG_ON(done != SLC_REWRITTEN_SAME || second.stopped);
    SLC_BUG_ON(second.used_bytes != out->len || second.batches > report->batches);
    SLC_BUG_ON(complete && again.seen != plan->seen);
    SLC_BUG_ON(complete && second.records + report->dropped != report->records);
    slc_buf_release(&none);
}

static void rewrite(const uint8_t *data, size_t len, unsigned what)
{
    slc_compression_options options = SLC_COMPRESSION_DEFAULTS;
    options.inflated_max_bytes = INFLATED_MAX;
    options.zstd_level = 1;
    options.gzip_level = 1;
    if ((what & CONSUME) == 0)
        what &= ~(unsigned)DROP;
    struct plan plan = {.what = what};
    const slc_rewrite_rules rules = {.record = decide,
                                     .ctx = &plan,
                                     .consume = (what & CONSUME) != 0,
                                     .share = (what & (CONSUME | SHARE)) == (CONSUME | SHARE),
                                     .from_offset = INT64_MIN};
    slc_rewriter *rewriter = slc_rewriter_new(&options);
    slc_rewrite_report report;
    slc_buf out;
    slc_error err = {0};
    slc_buf_init(&out, OUT_MAX);
    enum slc_rewritten done = slc_records_rewrite(rewriter, data, len, &rules, &out, &report, &err);
    SLC_BUG_ON((done == SLC_REWRITTEN_FAILED || report.stopped) != (err.code != SLC_OK));
    SLC_BUG_ON(report.used_bytes > len || (done != SLC_REWRITTEN_CHANGED && out.len != 0));
    if (done == SLC_REWRITTEN_SAME)
        SLC_BUG_ON(!slc_buf_add(&out, data, report.used_bytes));
    if (done != SLC_REWRITTEN_FAILED)
        check(rewriter, &plan, &report, &out, !report.stopped && report.left_out.code == SLC_OK);
    slc_buf_release(&out);
    slc_rewriter_free(rewriter);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    uint8_t *copy = malloc(size);
    SLC_BUG_ON(copy == NULL);
    memcpy(copy, data + 1, size - 1);
    if ((data[0] & KEEP_CHECKSUM) == 0)
        make_checksums_right(copy, size - 1);
    rewrite(copy, size - 1, data[0]);
    free(copy);
    return 0;
}
