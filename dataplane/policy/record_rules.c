#include "dataplane/policy/record_rules.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/clock.h"

/* ---- a worker's buffers ---- */

void slc_record_work_init(slc_record_work *work, const slc_compression_options *options, size_t max_bytes)
{
    *work = (slc_record_work){.options = *options, .max_bytes = max_bytes};
    slc_buf_init(&work->headers, max_bytes);
    slc_record_scratch_init(&work->scratch, max_bytes);
}

void slc_record_work_release(slc_record_work *work)
{
    slc_rewriter_free(work->rewriter);
    slc_buf_release(&work->headers);
    free(work->before);
    slc_record_scratch_release(&work->scratch);
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
    trim(&work->headers, work->options.keep_bytes);
    slc_record_scratch_trim(&work->scratch, work->options.keep_bytes);
}

/* ---- what a message that comes again has told ---- */

static slc_record_pause *pause_of(const slc_record_rules *rules, bool produce)
{
    return rules->pauses != NULL ? &rules->pauses[produce] : NULL;
}

static bool was_told(const slc_record_pause *pause, size_t at, int64_t offset)
{
    return pause != NULL && (at < pause->told_at || (at == pause->told_at && offset < pause->told_offset));
}

/* All before that place was told. */
static void told_until(slc_record_pause *pause, size_t at, int64_t offset)
{
    if (pause == NULL || was_told(pause, at, offset))
        return;
    pause->told_at = at;
    pause->told_offset = offset;
}

/* ---- one record ---- */

struct pass {
    slc_record_work *work;
    slc_record_chain *chain;
    slc_record_turn turn;
    int32_t partition;
    int64_t from_offset;
    size_t at;
    slc_record_pause *pause; /* NULL: nothing is asked about again */
};

static uint32_t read_headers(slc_record_work *work, const slc_batch_record *record)
{
    slc_batch_headers headers;
    uint32_t count = 0;
    if ((size_t)record->n_headers > work->before_cap) {
        work->before_cap = 2 * (size_t)record->n_headers;
        work->before = slc_realloc(work->before, work->before_cap * sizeof *work->before);
    }
    slc_batch_headers_init(&headers, record);
    while (count < (uint32_t)record->n_headers && slc_batch_headers_next(&headers, &work->before[count]))
        count++;
    return count;
}

static bool encode(slc_record_work *work, const slc_policy_record *record, slc_error *err)
{
    slc_buf_clear(&work->headers);
    for (uint32_t i = 0; i < record->header_count; i++)
        if (!slc_batch_headers_add(&work->headers, &record->headers[i]))
            return slc_fail(err, SLC_TOO_LARGE, NULL, "The headers of a record are too large.");
    return true;
}

/* What the policies made of it, as the batch has it. */
static bool take_over(struct pass *pass, const slc_batch_record *came, const slc_policy_record *record,
                      slc_batch_record *changed, slc_error *err)
{
    changed->key = record->key;
    changed->key_len = record->key_len;
    changed->value = record->value;
    changed->value_len = record->value_len;
    if (record->headers == pass->work->before) { /* nobody changed them, or looked at them */
        changed->n_headers = came->n_headers;
        changed->headers = came->headers;
        changed->headers_len = came->headers_len;
        return true;
    }
    if (!encode(pass->work, record, err))
        return false;
    changed->n_headers = (int32_t)record->header_count;
    changed->headers = pass->work->headers.data;
    changed->headers_len = pass->work->headers.len;
    return true;
}

static enum slc_record_verdict fail_record(const slc_batch_record *record, const slc_record_problem *problem,
                                           slc_error *err)
{
    slc_fail(err, problem->code != SLC_OK ? problem->code : SLC_INVALID, NULL,
             "policy %.60s, record at offset %lld: %.200s", problem->policy, (long long)record->offset,
             problem->why);
    return SLC_RECORD_REJECT;
}

static enum slc_record_verdict ask(void *ctx, const slc_batch *batch, const slc_batch_record *record,
                                   slc_batch_record *changed, slc_error *err)
{
    struct pass *pass = ctx;
    slc_record_work *work = pass->work;
    slc_record_problem problem;
    bool below = record->offset < pass->from_offset; /* read before, or passed over: nobody gets it */
    (void)batch;
    slc_policy_record at_hand = {.partition = pass->partition,
                                 .offset = record->offset,
                                 .timestamp_ms = record->timestamp,
                                 .key = record->key,
                                 .key_len = record->key_len,
                                 .value = record->value,
                                 .value_len = record->value_len,
                                 .headers = work->before};
    if (slc_record_chain_wants_headers(pass->chain)) {
        at_hand.header_count = read_headers(work, record);
        at_hand.headers = work->before;
    }
    pass->turn.told = was_told(pass->pause, pass->at, record->offset);
    enum slc_record_verdict verdict =
        slc_record_chain_run(pass->chain, &pass->turn, below ? NULL : work->letters, &at_hand, &problem);
    if (verdict != SLC_RECORD_LATER && record->offset < INT64_MAX)
        told_until(pass->pause, pass->at, record->offset + 1);
    switch (verdict) {
    case SLC_RECORD_KEEP:
        return SLC_RECORD_KEEP;
    case SLC_RECORD_CHANGE:
        return take_over(pass, record, &at_hand, changed, err) ? SLC_RECORD_CHANGE : SLC_RECORD_REJECT;
    case SLC_RECORD_DROP:
        return SLC_RECORD_DROP;
    case SLC_RECORD_LATER:
        return SLC_RECORD_LATER;
    case SLC_RECORD_REJECT:
        break;
    }
    return fail_record(record, &problem, err);
}

/* ---- the records of a partition ---- */

static bool is_retriable(enum slc_code code)
{
    return code == SLC_UNAVAILABLE || code == SLC_TIMEOUT;
}

/* Consumers know few errors: of any other Kafka's own would not say that something is wrong with the records.
 */
static int16_t code_of(enum slc_code code, bool produce)
{
    if (!produce)
        return is_retriable(code) ? SLC_KAFKA_STORAGE_ERROR : SLC_KAFKA_CORRUPT_MESSAGE;
    if (is_retriable(code)) /* the one that clients take for "not stored, try again" */
        return SLC_KAFKA_NOT_ENOUGH_REPLICAS;
    switch (code) {
    case SLC_CORRUPT:
        return SLC_KAFKA_CORRUPT_MESSAGE;
    case SLC_UNSUPPORTED:
        return SLC_KAFKA_UNSUPPORTED_FOR_MESSAGE_FORMAT;
    case SLC_TOO_LARGE:
    case SLC_LIMIT:
        return SLC_KAFKA_MESSAGE_TOO_LARGE;
    case SLC_DENIED:
        return SLC_KAFKA_TOPIC_AUTHORIZATION_FAILED;
    default:
        return SLC_KAFKA_INVALID_RECORD;
    }
}

/* Of a partition whose records were told to their end this is as well. */
static void tell(const slc_record_rules *rules, const slc_view_batches *batches, const char *why)
{
    if (was_told(pause_of(rules, batches->produce), batches->at, INT64_MAX))
        return;
    slc_access_tell(rules->access, batches->produce ? SLC_OP_WRITE : SLC_OP_READ,
                    (const uint8_t *)batches->topic, strlen(batches->topic), why);
}

static enum slc_kafka_verdict fail(const slc_record_rules *rules, const slc_view_batches *batches, int16_t code,
                                   const char *why, slc_view_failure *failure)
{
    failure->code = code;
    snprintf(failure->why, sizeof failure->why, "%s", why);
    tell(rules, batches, why);
    return SLC_KAFKA_REFUSE;
}

bool slc_record_pause_holds(const slc_record_pause *pause)
{
    return slc_record_waits(&pause->waiter) && slc_monotonic_ms() < pause->until_ms;
}

void slc_record_pause_end(slc_record_pause *pause)
{
    slc_record_unwait(&pause->waiter);
    pause->until_ms = 0;
    pause->told_at = 0;
    pause->told_offset = 0;
}

/* NULL: it has waited long enough, or nobody can. */
static slc_record_waiter *waiter_of(const slc_record_rules *rules, bool produce)
{
    slc_record_pause *pause = pause_of(rules, produce);
    bool waits = pause != NULL && (pause->until_ms == 0 || slc_monotonic_ms() < pause->until_ms);
    return waits ? &pause->waiter : NULL;
}

static enum slc_kafka_verdict wait(const slc_record_rules *rules, bool produce)
{
    slc_record_pause *pause = &rules->pauses[produce];
    if (pause->until_ms == 0)
        pause->until_ms = slc_monotonic_ms() + rules->work->wait_ms;
    return SLC_KAFKA_LATER;
}

/* Adds to `made`, within the limit for one partition. */
static enum slc_rewritten rewrite(slc_record_work *work, slc_kafka_span data, const slc_rewrite_rules *rules,
                                  slc_buf *made, slc_rewrite_report *report, slc_error *err)
{
    size_t max = made->max;
    if (max - made->len > work->max_bytes)
        made->max = made->len + work->max_bytes;
    enum slc_rewritten done =
        slc_records_rewrite(work->rewriter, data.data, data.len, rules, made, report, err);
    made->max = max;
    made->overflow = false; /* it was told */
    return done;
}

static enum slc_kafka_verdict apply(const slc_record_rules *rules, slc_record_chain *chain,
                                    const slc_view_batches *batches, slc_kafka_value *out,
                                    slc_view_failure *failure)
{
    slc_record_work *work = rules->work;
    const slc_kafka_span data = batches->data;
    struct pass pass = {.work = work,
                        .chain = chain,
                        .turn = {.scratch = &work->scratch, .waiter = waiter_of(rules, batches->produce)},
                        .partition = batches->partition,
                        .at = batches->at,
                        .pause = pause_of(rules, batches->produce),
                        .from_offset = batches->produce ? INT64_MIN : batches->from_offset};
    const slc_rewrite_rules rules_of_pass = {.record = ask,
                                             .ctx = &pass,
                                             .consume = !batches->produce,
                                             .from_offset = pass.from_offset,
                                             .share = batches->share};
    slc_rewrite_report report;
    slc_error err = {0};
    if (work->rewriter == NULL)
        work->rewriter = slc_rewriter_new(&work->options);
    size_t before = batches->made->len;
    enum slc_rewritten done = rewrite(work, data, &rules_of_pass, batches->made, &report, &err);
    if (done == SLC_REWRITTEN_LATER)
        return wait(rules, batches->produce);
    if (done == SLC_REWRITTEN_FAILED)
        return fail(rules, batches, code_of(err.code, batches->produce), err.message, failure);
    if (report.stopped)
        tell(rules, batches, err.message);
    if (report.left_out.code != SLC_OK)
        tell(rules, batches, report.left_out.message);
    if (done == SLC_REWRITTEN_SAME && report.used_bytes == data.len)
        return SLC_KAFKA_KEEP;
    if (done == SLC_REWRITTEN_SAME)
        out->body = (slc_kafka_span){data.data, report.used_bytes};
    out->made = done == SLC_REWRITTEN_CHANGED;
    out->made_from = before;
    return SLC_KAFKA_REPLACE;
}

static enum slc_kafka_verdict map_partition(const slc_record_rules *rules, const slc_view_batches *batches,
                                            slc_kafka_value *out, slc_view_failure *failure)
{
    slc_record_chain *chain;
    if (!slc_access_record_chain(rules->access, batches->produce ? SLC_RECORDS_PRODUCE : SLC_RECORDS_CONSUME,
                                 batches->topic, batches->backend, &chain))
        return fail(rules, batches,
                    batches->produce ? SLC_KAFKA_TOPIC_AUTHORIZATION_FAILED : SLC_KAFKA_CORRUPT_MESSAGE,
                    "the condition of a policy on records cannot be evaluated", failure);
    return chain != NULL ? apply(rules, chain, batches, out, failure) : SLC_KAFKA_KEEP;
}

static enum slc_kafka_verdict map(slc_view_records *records, const slc_view_batches *batches,
                                  slc_kafka_value *out, slc_view_failure *failure)
{
    const slc_record_rules *rules = (const slc_record_rules *)records;
    enum slc_kafka_verdict verdict = map_partition(rules, batches, out, failure);
    if (verdict != SLC_KAFKA_LATER)
        told_until(pause_of(rules, batches->produce), batches->at + 1, 0);
    return verdict;
}

bool slc_record_rules_init(slc_record_rules *rules, slc_access *access, slc_record_work *work,
                           slc_record_pause pauses[2])
{
    *rules = (slc_record_rules){.hook = {.produce = slc_access_has_records(access, SLC_RECORDS_PRODUCE),
                                         .fetch = slc_access_has_records(access, SLC_RECORDS_CONSUME),
                                         .map = map},
                                .access = access,
                                .work = work,
                                .pauses = pauses};
    return rules->hook.produce || rules->hook.fetch;
}
