#include "dataplane/policy/record_rules.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/alloc.h"

/* ---- a worker's buffers ---- */

void slc_record_work_init(slc_record_work *work, const slc_compression_options *options, size_t max_bytes)
{
    *work = (slc_record_work){.options = *options};
    slc_buf_init(&work->out, max_bytes);
    slc_buf_init(&work->headers, max_bytes);
}

void slc_record_work_release(slc_record_work *work)
{
    slc_rewriter_free(work->rewriter);
    slc_buf_release(&work->out);
    slc_buf_release(&work->headers);
    free(work->before);
    free(work->after);
    *work = (slc_record_work){0};
}

static void trim(slc_buf *buf, size_t keep_bytes)
{
    if (buf->cap > keep_bytes)
        slc_buf_release(buf);
}

void slc_record_work_trim(slc_record_work *work)
{
    if (work->rewriter != NULL)
        slc_rewriter_trim(work->rewriter);
    trim(&work->out, work->options.keep_bytes);
    trim(&work->headers, work->options.keep_bytes);
}

static void make_room(slc_record_header **list, size_t *cap, size_t count)
{
    if (count <= *cap)
        return;
    *cap = 2 * count;
    *list = slc_realloc(*list, *cap * sizeof **list);
}

/* ---- one record ---- */

struct pass {
    slc_record_work *work;
    const slc_header_edits *edits;
};

static uint32_t read_headers(slc_record_work *work, const slc_batch_record *record)
{
    slc_batch_headers headers;
    uint32_t count = 0;
    make_room(&work->before, &work->before_cap, (size_t)record->n_headers);
    slc_batch_headers_init(&headers, record);
    while (slc_batch_headers_next(&headers, &work->before[count]))
        if (++count == (uint32_t)record->n_headers)
            break;
    return count;
}

static bool encode(slc_record_work *work, uint32_t count, slc_error *err)
{
    slc_buf_clear(&work->headers);
    for (uint32_t i = 0; i < count; i++)
        if (!slc_batch_headers_add(&work->headers, &work->after[i]))
            return slc_fail(err, SLC_TOO_LARGE, NULL, "The headers of a record are too large.");
    return true;
}

static enum slc_record_verdict change_headers(void *ctx, const slc_batch *batch, const slc_batch_record *record,
                                              slc_batch_record *changed, slc_error *err)
{
    const struct pass *pass = ctx;
    slc_record_work *work = pass->work;
    (void)batch;
    uint32_t count = read_headers(work, record);
    make_room(&work->after, &work->after_cap, count + pass->edits->count);
    count = slc_header_edits_record(pass->edits, work->before, count, work->after);
    if (!encode(work, count, err))
        return SLC_RECORD_REJECT;
    if (work->headers.len == record->headers_len &&
        (record->headers_len == 0 || memcmp(work->headers.data, record->headers, record->headers_len) == 0))
        return SLC_RECORD_KEEP;
    changed->n_headers = (int32_t)count;
    changed->headers = work->headers.data;
    changed->headers_len = work->headers.len;
    return SLC_RECORD_CHANGE;
}

/* ---- the records of a partition ---- */

/* Consumers know few errors: of any other Kafka's own would not say that something is wrong with the records.
 */
static int16_t code_of(enum slc_code code, bool produce)
{
    if (!produce)
        return SLC_KAFKA_CORRUPT_MESSAGE;
    switch (code) {
    case SLC_CORRUPT:
        return SLC_KAFKA_CORRUPT_MESSAGE;
    case SLC_UNSUPPORTED:
        return SLC_KAFKA_UNSUPPORTED_FOR_MESSAGE_FORMAT;
    case SLC_TOO_LARGE:
    case SLC_LIMIT:
        return SLC_KAFKA_MESSAGE_TOO_LARGE;
    default:
        return SLC_KAFKA_INVALID_RECORD;
    }
}

static enum slc_kafka_verdict fail(const slc_record_rules *rules, bool produce, slc_kafka_span topic,
                                   int16_t code, const char *why, slc_view_failure *failure)
{
    failure->code = code;
    snprintf(failure->why, sizeof failure->why, "%s", why);
    slc_access_tell(rules->access, produce ? SLC_OP_WRITE : SLC_OP_READ, topic.data, topic.len, why);
    return SLC_KAFKA_REFUSE;
}

static enum slc_kafka_verdict apply(const slc_record_rules *rules, const slc_header_edits *edits, bool produce,
                                    slc_kafka_span topic, slc_kafka_span data, slc_kafka_value *out,
                                    slc_view_failure *failure)
{
    slc_record_work *work = rules->work;
    struct pass pass = {.work = work, .edits = edits};
    const slc_rewrite_rules rewrite = {
        .record = change_headers, .ctx = &pass, .consume = !produce, .from_offset = INT64_MIN};
    slc_rewrite_report report;
    slc_error err = {0};
    if (work->rewriter == NULL)
        work->rewriter = slc_rewriter_new(&work->options);
    slc_buf_clear(&work->out);
    enum slc_rewritten done =
        slc_records_rewrite(work->rewriter, data.data, data.len, &rewrite, &work->out, &report, &err);
    if (done == SLC_REWRITTEN_FAILED)
        return fail(rules, produce, topic, code_of(err.code, produce), err.message, failure);
    if (report.stopped)
        slc_access_tell(rules->access, SLC_OP_READ, topic.data, topic.len, err.message);
    if (done == SLC_REWRITTEN_SAME && report.used_bytes == data.len)
        return SLC_KAFKA_KEEP;
    out->body = done == SLC_REWRITTEN_SAME ? (slc_kafka_span){data.data, report.used_bytes}
                                           : (slc_kafka_span){work->out.data, work->out.len};
    return SLC_KAFKA_REPLACE;
}

static enum slc_kafka_verdict map(slc_view_records *records, bool produce, slc_kafka_span topic,
                                  slc_kafka_span data, slc_kafka_value *out, slc_view_failure *failure)
{
    const slc_record_rules *rules = (const slc_record_rules *)records;
    const enum slc_header_place place = produce ? SLC_HEADERS_PUBLISH : SLC_HEADERS_READ;
    slc_header_edits *edits;
    if (!slc_access_header_edits(rules->access, place, topic.data, topic.len, &edits))
        return fail(rules, produce, topic,
                    produce ? SLC_KAFKA_TOPIC_AUTHORIZATION_FAILED : SLC_KAFKA_CORRUPT_MESSAGE,
                    "the condition of a headers policy cannot be evaluated", failure);
    if (edits == NULL)
        return SLC_KAFKA_KEEP;
    enum slc_kafka_verdict verdict = apply(rules, edits, produce, topic, data, out, failure);
    slc_header_edits_free(edits);
    return verdict;
}

bool slc_record_rules_init(slc_record_rules *rules, const slc_access *access, slc_record_work *work)
{
    *rules = (slc_record_rules){.hook = {.produce = slc_access_changes_headers(access, SLC_HEADERS_PUBLISH),
                                         .fetch = slc_access_changes_headers(access, SLC_HEADERS_READ),
                                         .map = map},
                                .access = access,
                                .work = work};
    return rules->hook.produce || rules->hook.fetch;
}
