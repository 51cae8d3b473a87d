/* What a batch becomes: changed, with records left out, refused, and not touched. */
#include "bench/allocations.h"
#include "build_batch.h"
#include "common/alloc.h"
#include "dataplane/records/rewrite.h"

static const struct build_record four[] = {
    {.timestamp_delta = 0, .key = "k1", .value = "v1", .headers = "a=1;a=2;b"},
    {.timestamp_delta = 2, .key = "k2", .value = "v2"},
    {.timestamp_delta = 1, .key = "k3"},
    {.timestamp_delta = 3, .value = "v4", .headers = "x=y"},
};

/* What happens to records by their value's or key's last character; others stay. */
struct fixture {
    slc_rewriter *rewriter;
    slc_buf in;
    slc_buf out;
    slc_rewrite_rules rules;
    slc_rewrite_report report;
    slc_error err;
    const char *change, *drop, *reject, *later; /* characters */
    enum slc_code reject_code;
    const char *new_key, *new_value;
    const slc_buf *new_headers;
    int n_new_headers;
    int calls;
};

static enum slc_record_verdict decide(void *ctx, const slc_batch *batch, const slc_batch_record *record,
                                      slc_batch_record *changed, slc_error *err)
{
    struct fixture *f = ctx;
    (void)batch;
    *changed = *record;
    char last = record->value_len > 0 ? (char)record->value[record->value_len - 1]
                                      : (char)record->key[record->key_len - 1];
    f->calls++;
    if (f->reject != NULL && strchr(f->reject, last) != NULL) {
        slc_fail(err, f->reject_code, NULL, "No.");
        return SLC_RECORD_REJECT;
    }
    if (f->later != NULL && strchr(f->later, last) != NULL)
        return SLC_RECORD_LATER;
    if (f->drop != NULL && strchr(f->drop, last) != NULL)
        return SLC_RECORD_DROP;
    if (f->change == NULL || strchr(f->change, last) == NULL)
        return SLC_RECORD_KEEP;
    changed->key = (const uint8_t *)f->new_key;
    changed->key_len = f->new_key != NULL ? strlen(f->new_key) : 0;
    changed->value = (const uint8_t *)f->new_value;
    changed->value_len = f->new_value != NULL ? strlen(f->new_value) : 0;
    if (f->new_headers != NULL) {
        changed->n_headers = f->n_new_headers;
        changed->headers = f->new_headers->data;
        changed->headers_len = f->new_headers->len;
    }
    return SLC_RECORD_CHANGE;
}

static void fixture_init(struct fixture *f, bool consume)
{
    memset(f, 0, sizeof(*f));
    f->rewriter = slc_rewriter_new(&SLC_COMPRESSION_DEFAULTS);
    slc_buf_init(&f->in, BUILD_MAX);
    slc_buf_init(&f->out, BUILD_MAX);
    f->rules = (slc_rewrite_rules){.record = decide, .ctx = f, .consume = consume};
    f->reject_code = SLC_DENIED;
}

static void fixture_release(struct fixture *f)
{
    slc_rewriter_free(f->rewriter);
    slc_buf_release(&f->in);
    slc_buf_release(&f->out);
}

static enum slc_rewritten rewrite(struct fixture *f)
{
    slc_error_clear(&f->err);
    return slc_records_rewrite(f->rewriter, f->in.data, f->in.len, &f->rules, &f->out, &f->report, &f->err);
}

static struct build_batch at(int64_t base_offset, int codec)
{
    return (struct build_batch){.base_offset = base_offset,
                                .attributes = (uint16_t)(codec | SLC_BATCH_TRANSACTIONAL),
                                .base_timestamp = 1000,
                                .max_timestamp = 1003};
}

/* The output is this batch, byte for byte. */
static void expect_batch(struct fixture *f, const struct build_batch *batch, const struct build_record *records,
                         int count)
{
    slc_buf expected;
    slc_buf_init(&expected, BUILD_MAX);
    put_batch(&expected, batch, records, count);
    ck_assert_uint_eq(f->out.len, expected.len);
    ck_assert_mem_eq(f->out.data, expected.data, expected.len);
    slc_buf_release(&expected);
}

START_TEST(test_what_stays_is_not_touched)
{
    struct fixture f;
    fixture_init(&f, false);
    put_batch(&f.in, &(struct build_batch){.attributes = (uint16_t)_i}, four, 4);
    ck_assert_int_eq(rewrite(&f), SLC_REWRITTEN_SAME);
    ck_assert_uint_eq(f.out.len, 0);
    ck_assert_uint_eq(f.report.used_bytes, f.in.len);
    ck_assert_uint_eq(f.report.records, 4);
    ck_assert_uint_eq(f.report.changed, 0);
    fixture_release(&f);
}
END_TEST

START_TEST(test_changed_records_keep_offset_timestamp_and_header_of_the_batch)
{
    const struct build_record expected[] = {
        four[0],
        {.timestamp_delta = 2, .key = "other", .value = "longer than it was"},
        four[2],
        {.timestamp_delta = 3, .key = "other", .value = "longer than it was", .headers = "x=y"}};
    const struct build_batch batch = at(70, _i);
    struct fixture f;
    fixture_init(&f, false);
    put_batch(&f.in, &batch, four, 4);
    f.change = "24";
    f.new_key = "other";
    f.new_value = "longer than it was";
    ck_assert_msg(rewrite(&f) == SLC_REWRITTEN_CHANGED, "%s", f.err.message);
    ck_assert_uint_eq(f.report.changed, 2);
    expect_batch(&f, &batch, expected, 4);
    fixture_release(&f);
}
END_TEST

START_TEST(test_null_and_headers)
{
    const struct build_record expected[] = {
        {.timestamp_delta = 0, .headers = "a=1;n;n="}, four[1], four[2], four[3]};
    const slc_record_header headers[] = {
        {.name = "a", .name_len = 1, .value = (const uint8_t *)"1", .value_len = 1},
        {.name = "n", .name_len = 1},
        {.name = "n", .name_len = 1, .value = (const uint8_t *)""}};
    const struct build_batch batch = at(0, SLC_CODEC_NONE);
    struct fixture f;
    slc_buf encoded;
    fixture_init(&f, false);
    slc_buf_init(&encoded, 100);
    for (int i = 0; i < 3; i++)
        ck_assert(slc_batch_headers_add(&encoded, &headers[i]));
    put_batch(&f.in, &batch, four, 4);
    f.change = "1";
    f.new_headers = &encoded;
    f.n_new_headers = 3;
    ck_assert_int_eq(rewrite(&f), SLC_REWRITTEN_CHANGED);
    expect_batch(&f, &batch, expected, 4);
    slc_buf_release(&encoded);
    fixture_release(&f);
}
END_TEST

START_TEST(test_dropped_records_leave_the_offsets_of_others)
{
    const struct build_record expected[] = {
        {.timestamp_delta = 2, .key = "k2", .value = "v2", .skip_offsets = 1}, four[2]};
    struct build_batch batch = at(70, _i);
    struct fixture f;
    fixture_init(&f, true);
    put_batch(&f.in, &batch, four, 4);
    f.drop = "14";
    ck_assert_int_eq(rewrite(&f), SLC_REWRITTEN_CHANGED);
    ck_assert_uint_eq(f.report.dropped, 2);
    batch.last_offset_delta = 3;
    expect_batch(&f, &batch, expected, 2);
    fixture_release(&f);
}
END_TEST

START_TEST(test_a_batch_without_records_is_its_header)
{
    struct build_batch batch = at(70, _i);
    struct fixture f;
    fixture_init(&f, true);
    put_batch(&f.in, &batch, four, 4);
    f.drop = "1234";
    ck_assert_int_eq(rewrite(&f), SLC_REWRITTEN_CHANGED);
    batch.attributes = SLC_BATCH_TRANSACTIONAL;
    batch.last_offset_delta = 3;
    expect_batch(&f, &batch, NULL, 0);
    ck_assert_uint_eq(f.out.len, SLC_BATCH_HEADER_BYTES);
    /* And such a one, as compaction makes them, is read. */
    slc_buf_clear(&f.in);
    ck_assert(slc_buf_add(&f.in, f.out.data, f.out.len));
    ck_assert_int_eq(rewrite(&f), SLC_REWRITTEN_SAME);
    fixture_release(&f);
}
END_TEST

START_TEST(test_only_the_batches_that_change_are_new)
{
    const struct build_record changed = {.timestamp_delta = 2, .key = "k", .value = "w"};
    struct fixture f;
    slc_buf expected;
    fixture_init(&f, true);
    slc_buf_init(&expected, BUILD_MAX);
    for (int i = 0; i < 7; i++) {
        const struct build_batch batch = at(i, i % SLC_CODECS);
        bool changes = i == 2 || i == 3 || i == 5;
        put_batch(&f.in, &batch, changes ? &four[1] : &four[0], 1);
        put_batch(&expected, &batch, changes ? &changed : &four[0], 1);
    }
    f.change = "2";
    f.new_key = "k";
    f.new_value = "w";
    ck_assert_msg(rewrite(&f) == SLC_REWRITTEN_CHANGED, "%s", f.err.message);
    ck_assert_uint_eq(f.report.batches, 7);
    ck_assert_uint_eq(f.report.used_bytes, f.in.len);
    ck_assert_uint_eq(f.out.len, expected.len);
    ck_assert_mem_eq(f.out.data, expected.data, expected.len);
    slc_buf_release(&expected);
    fixture_release(&f);
}
END_TEST

START_TEST(test_what_is_cut_off_is_left_out_on_consume)
{
    const struct build_batch first = at(0, 0), second = at(4, 0);
    struct fixture f;
    fixture_init(&f, true);
    put_batch(&f.in, &first, four, 4);
    size_t whole = f.in.len;
    put_batch(&f.in, &second, four, 4);
    f.in.len -= 1;
    ck_assert_int_eq(rewrite(&f), SLC_REWRITTEN_SAME);
    ck_assert_uint_eq(f.report.used_bytes, whole);
    f.drop = "1";
    ck_assert_int_eq(rewrite(&f), SLC_REWRITTEN_CHANGED);
    slc_batch batch;
    size_t at_byte = 0;
    ck_assert_int_eq(slc_batch_next(f.out.data, f.out.len, &at_byte, &batch, &f.err), SLC_BATCH);
    ck_assert_uint_eq(at_byte, f.out.len);
    fixture_release(&f);
}
END_TEST

START_TEST(test_produce_wants_one_whole_batch)
{
    const struct build_batch batch = at(0, 0);
    struct fixture f;
    fixture_init(&f, false);
    ck_assert_int_eq(rewrite(&f), SLC_REWRITTEN_FAILED);
    ck_assert_int_eq(f.err.code, SLC_INVALID);
    put_batch(&f.in, &batch, four, 4);
    f.change = "1";
    f.in.len--;
    ck_assert_int_eq(rewrite(&f), SLC_REWRITTEN_FAILED);
    ck_assert_int_eq(f.err.code, SLC_CORRUPT);
    f.in.len++;
    put_batch(&f.in, &batch, four, 4);
    ck_assert_int_eq(rewrite(&f), SLC_REWRITTEN_FAILED);
    ck_assert_int_eq(f.err.code, SLC_INVALID);
    ck_assert_uint_eq(f.out.len, 0);
    fixture_release(&f);
}
END_TEST

START_TEST(test_control_batches_pass_to_consumers_and_not_from_producers)
{
    const struct build_batch batch = {.attributes = SLC_BATCH_CONTROL | SLC_BATCH_TRANSACTIONAL};
    struct fixture f;
    fixture_init(&f, true);
    put_batch(&f.in, &batch, four, 1);
    f.reject = "1234";
    ck_assert_int_eq(rewrite(&f), SLC_REWRITTEN_SAME);
    ck_assert_int_eq(f.calls, 0);
    f.rules.consume = false;
    ck_assert_int_eq(rewrite(&f), SLC_REWRITTEN_FAILED);
    ck_assert_int_eq(f.err.code, SLC_INVALID);
    fixture_release(&f);
}
END_TEST

START_TEST(test_a_wrong_checksum_is_never_made_right)
{
    const struct build_batch batch = at(0, _i);
    struct fixture f;
    fixture_init(&f, false);
    put_batch(&f.in, &batch, four, 4);
    f.change = "1";
    f.in.data[17] ^= 1;
    ck_assert_int_eq(rewrite(&f), SLC_REWRITTEN_FAILED);
    ck_assert_int_eq(f.err.code, SLC_CORRUPT);
    ck_assert_int_eq(f.calls, 0);
    fixture_release(&f);
}
END_TEST

START_TEST(test_a_rejected_record_refuses_all_on_produce)
{
    const struct build_batch batch = at(0, _i);
    struct fixture f;
    fixture_init(&f, false);
    put_batch(&f.in, &batch, four, 4);
    ck_assert(slc_buf_adds(&f.out, "before"));
    f.change = "12";
    f.reject = "4";
    ck_assert_int_eq(rewrite(&f), SLC_REWRITTEN_FAILED);
    ck_assert_int_eq(f.err.code, SLC_DENIED);
    ck_assert_uint_eq(f.out.len, 6);
    fixture_release(&f);
}
END_TEST

START_TEST(test_later_leaves_nothing_and_works_when_asked_again)
{
    const struct build_batch batch = at(0, _i);
    struct fixture f;
    fixture_init(&f, true);
    put_batch(&f.in, &batch, four, 4);
    f.change = "12";
    f.new_value = "n2";
    f.later = "4";
    ck_assert_int_eq(rewrite(&f), SLC_REWRITTEN_LATER);
    ck_assert_uint_eq(f.out.len, 0);
    f.later = NULL;
    ck_assert_int_eq(rewrite(&f), SLC_REWRITTEN_CHANGED);
    ck_assert_uint_eq(f.report.changed, 2);
    fixture_release(&f);
}
END_TEST

/* Three batches of which the second has a record that fails, at offset 12. */
static void put_poisoned(struct fixture *f)
{
    for (int i = 0; i < 3; i++) {
        const struct build_batch batch = at(10 * i, SLC_CODEC_LZ4);
        put_batch(&f->in, &batch, i == 1 ? &four[1] : four, i == 1 ? 3 : 1);
    }
    f->reject = "4";
}

/* The output is the first batch and what is before offset 12 of the second. */
static void expect_prefix(struct fixture *f, const struct build_record *first)
{
    const struct build_batch batches[] = {at(0, SLC_CODEC_LZ4), at(10, SLC_CODEC_LZ4)};
    slc_buf expected;
    slc_buf_init(&expected, BUILD_MAX);
    put_batch(&expected, &batches[0], first, 1);
    put_batch(&expected, &batches[1], &four[1], 2);
    ck_assert(f->report.stopped);
    ck_assert_int_eq(f->err.code, SLC_DENIED);
    ck_assert_uint_eq(f->out.len, expected.len);
    ck_assert_mem_eq(f->out.data, expected.data, expected.len);
    slc_buf_release(&expected);
}

START_TEST(test_what_is_before_a_record_that_fails_is_delivered)
{
    const struct build_record changed = {.key = NULL, .value = "w", .headers = four[0].headers};
    struct fixture f;
    fixture_init(&f, true);
    put_poisoned(&f);
    ck_assert_int_eq(rewrite(&f), SLC_REWRITTEN_CHANGED);
    expect_prefix(&f, &four[0]);
    f.change = "1";
    f.new_value = "w";
    slc_buf_clear(&f.out);
    ck_assert_int_eq(rewrite(&f), SLC_REWRITTEN_CHANGED);
    expect_prefix(&f, &changed);
    f.rules.from_offset = 11;
    slc_buf_clear(&f.out);
    ck_assert_int_eq(rewrite(&f), SLC_REWRITTEN_CHANGED);
    expect_prefix(&f, &changed);
    f.drop = "3"; /* the second batch ends before the record all the same */
    slc_buf_clear(&f.out);
    ck_assert_int_eq(rewrite(&f), SLC_REWRITTEN_CHANGED);
    slc_batch batch;
    size_t at_byte = 0;
    ck_assert_int_eq(slc_batch_next(f.out.data, f.out.len, &at_byte, &batch, &f.err), SLC_BATCH);
    ck_assert_int_eq(slc_batch_next(f.out.data, f.out.len, &at_byte, &batch, &f.err), SLC_BATCH);
    ck_assert(batch.count == 1 && batch.last_offset_delta == 1 && slc_batch_crc_holds(&batch));
    ck_assert_uint_eq(f.out.len, at_byte);
    fixture_release(&f);
}
END_TEST

START_TEST(test_a_record_that_fails_where_one_reads_is_an_error)
{
    struct fixture f;
    fixture_init(&f, true);
    put_poisoned(&f);
    f.rules.from_offset = 12; /* what is before it is of no use */
    ck_assert_int_eq(rewrite(&f), SLC_REWRITTEN_FAILED);
    ck_assert_int_eq(f.err.code, SLC_DENIED);
    ck_assert_uint_eq(f.out.len, 0);
    fixture_release(&f);
}
END_TEST

START_TEST(test_one_can_seek_past_a_record_that_fails)
{
    struct fixture f;
    fixture_init(&f, true);
    put_poisoned(&f);
    f.rules.from_offset = 13;
    ck_assert_int_eq(rewrite(&f), SLC_REWRITTEN_CHANGED);
    ck_assert(!f.report.stopped);
    ck_assert_int_eq(f.err.code, SLC_OK);
    ck_assert_uint_eq(f.report.batches, 3);
    fixture_release(&f);
}
END_TEST

START_TEST(test_one_can_seek_past_a_batch_that_is_damaged)
{
    struct fixture f;
    slc_batch batch;
    size_t at_byte = 0;
    fixture_init(&f, true);
    put_poisoned(&f);
    ck_assert_int_eq(slc_batch_next(f.in.data, f.in.len, &at_byte, &batch, &f.err), SLC_BATCH);
    f.in.data[at_byte + 70] ^= 0x55;
    f.rules.from_offset = 20;
    ck_assert_int_eq(rewrite(&f), SLC_REWRITTEN_CHANGED);
    ck_assert_int_eq(f.err.code, SLC_OK);
    ck_assert_int_eq(slc_batch_next(f.out.data, f.out.len, &at_byte, &batch, &f.err), SLC_BATCH);
    ck_assert_int_eq(batch.base_offset, 10);
    ck_assert_int_eq(batch.count, 0);
    ck_assert_int_eq(batch.last_offset_delta, 2);
    ck_assert(slc_batch_crc_holds(&batch));
    f.rules.from_offset = 12;
    slc_buf_clear(&f.out);
    ck_assert_int_eq(rewrite(&f), SLC_REWRITTEN_FAILED);
    ck_assert_int_eq(f.err.code, SLC_CORRUPT);
    fixture_release(&f);
}
END_TEST

/* It takes what is not there for gone: only what fails may be missing. */
START_TEST(test_a_share_group_does_without_a_record_that_fails)
{
    struct fixture f;
    slc_batch batch;
    size_t at_byte = 0;
    fixture_init(&f, true);
    put_poisoned(&f);
    f.rules.from_offset = INT64_MIN;
    f.rules.share = true;
    ck_assert_int_eq(rewrite(&f), SLC_REWRITTEN_CHANGED);
    ck_assert(!f.report.stopped);
    ck_assert_int_eq(f.report.left_out.code, SLC_DENIED);
    ck_assert_uint_eq(f.report.used_bytes, f.in.len);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(slc_batch_next(f.out.data, f.out.len, &at_byte, &batch, &f.err), SLC_BATCH);
        ck_assert_int_eq(batch.count, i == 1 ? 2 : 1);
        ck_assert_int_eq(batch.last_offset_delta, i == 1 ? 2 : 0);
    }
    fixture_release(&f);
}
END_TEST

START_TEST(test_a_share_group_does_without_a_batch_that_is_damaged)
{
    struct fixture f;
    slc_batch batch;
    size_t at_byte = 0;
    fixture_init(&f, true);
    put_poisoned(&f);
    f.reject = NULL;
    f.rules.from_offset = INT64_MIN;
    f.rules.share = true;
    ck_assert_int_eq(slc_batch_next(f.in.data, f.in.len, &at_byte, &batch, &f.err), SLC_BATCH);
    f.in.data[at_byte + 70] ^= 0x55;
    ck_assert_int_eq(rewrite(&f), SLC_REWRITTEN_CHANGED);
    ck_assert_int_eq(f.report.left_out.code, SLC_CORRUPT);
    at_byte = 0;
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(slc_batch_next(f.out.data, f.out.len, &at_byte, &batch, &f.err), SLC_BATCH);
        ck_assert_int_eq(batch.base_offset, 10 * i);
        ck_assert_int_eq(batch.count, i == 1 ? 0 : 1);
    }
    fixture_release(&f);
}
END_TEST

/* Of a format that comes after those that are known, and of a codec: one that is sealed says which. */
START_TEST(test_a_batch_that_nobody_here_can_read_is_passed_like_one_that_is_damaged)
{
    for (int turn = 0; turn < 4; turn++) {
        bool share = turn % 2 != 0;
        struct fixture f;
        slc_batch batch;
        size_t at_byte = 0;
        fixture_init(&f, true);
        put_poisoned(&f);
        f.reject = NULL;
        f.rules.from_offset = share ? INT64_MIN : 20;
        f.rules.share = share;
        ck_assert_int_eq(slc_batch_next(f.in.data, f.in.len, &at_byte, &batch, &f.err), SLC_BATCH);
        f.in.data[at_byte + (turn < 2 ? 16 : 22)] |= 7;
        ck_assert_int_eq(rewrite(&f), SLC_REWRITTEN_CHANGED);
        ck_assert_int_eq(f.report.left_out.code, share ? SLC_UNSUPPORTED : SLC_OK);
        ck_assert_uint_eq(f.report.used_bytes, f.in.len);
        at_byte = 0;
        for (int i = 0; i < 3; i++) {
            ck_assert_int_eq(slc_batch_next(f.out.data, f.out.len, &at_byte, &batch, &f.err), SLC_BATCH);
            ck_assert_int_eq(batch.base_offset, 10 * i);
            ck_assert_int_eq(slc_batch_last_offset(&batch), i == 1 ? 12 : 10 * i);
            ck_assert_int_eq(batch.count, i == 1 ? 0 : 1);
            ck_assert(slc_batch_crc_holds(&batch));
        }
        f.rules = (slc_rewrite_rules){.record = decide, .ctx = &f, .consume = true, .from_offset = 12};
        slc_buf_clear(&f.out);
        ck_assert_int_eq(rewrite(&f), SLC_REWRITTEN_FAILED);
        ck_assert_int_eq(f.err.code, SLC_UNSUPPORTED);
        ck_assert_ptr_nonnull(strstr(f.err.message, "ends with 12"));
        fixture_release(&f);
    }
}
END_TEST

/* Else what is behind it, and would be there a moment later, were lost. */
START_TEST(test_a_share_group_gets_nothing_while_something_is_out_of_reach)
{
    struct fixture f;
    fixture_init(&f, true);
    put_poisoned(&f);
    f.rules.from_offset = INT64_MIN;
    f.rules.share = true;
    f.reject_code = SLC_UNAVAILABLE;
    ck_assert_int_eq(rewrite(&f), SLC_REWRITTEN_FAILED);
    ck_assert_int_eq(f.err.code, SLC_UNAVAILABLE);
    ck_assert_int_eq(f.report.left_out.code, SLC_OK);
    ck_assert_uint_eq(f.out.len, 0);
    fixture_release(&f);
}
END_TEST

START_TEST(test_an_old_format_fails_clearly)
{
    const struct build_batch batch = at(0, 0);
    struct fixture f;
    fixture_init(&f, true);
    put_batch(&f.in, &batch, four, 4);
    f.in.data[16] = 1;
    ck_assert_int_eq(rewrite(&f), SLC_REWRITTEN_FAILED);
    ck_assert_int_eq(f.err.code, SLC_UNSUPPORTED);
    fixture_release(&f);
}
END_TEST

START_TEST(test_limits)
{
    const struct build_batch batch = at(0, _i);
    slc_compression_options options = SLC_COMPRESSION_DEFAULTS;
    struct fixture f;
    char *large = slc_malloc(100001);
    memset(large, 'z', 100000);
    large[100000] = '\0';
    fixture_init(&f, false);
    put_batch(&f.in, &batch, four, 4);
    f.change = "1";
    f.new_value = large;
    slc_buf_release(&f.out);
    slc_buf_init(&f.out, 200);
    ck_assert_int_eq(rewrite(&f), SLC_REWRITTEN_FAILED);
    ck_assert_int_eq(f.err.code, SLC_TOO_LARGE);
    ck_assert_uint_eq(f.out.len, 0);
    slc_rewriter_free(f.rewriter);
    options.inflated_max_bytes = 20;
    f.rewriter = slc_rewriter_new(&options);
    ck_assert_int_eq(rewrite(&f), SLC_REWRITTEN_FAILED);
    ck_assert_int_eq(f.err.code, SLC_TOO_LARGE);
    free(large);
    fixture_release(&f);
}
END_TEST

START_TEST(test_no_allocation_for_each_record)
{
    enum { MANY = 1000 };
    struct build_record *many = slc_calloc(MANY, sizeof(*many));
    const struct build_batch batch = at(0, _i);
    struct fixture f;
    fixture_init(&f, true);
    for (int i = 0; i < MANY; i++)
        many[i] = four[i % 4];
    put_batch(&f.in, &batch, many, MANY);
    f.change = "13";
    f.new_value = "another value";
    f.drop = "4";
    for (int round = 0; round < 3; round++) {
        uint64_t before = allocations_so_far();
        slc_buf_clear(&f.out);
        enum slc_rewritten done = rewrite(&f);
        uint64_t allocated = allocations_so_far() - before; /* before libcheck, which allocates */
        ck_assert_int_eq(done, SLC_REWRITTEN_CHANGED);
        ck_assert_uint_eq(f.report.records, MANY);
        ck_assert(round == 0 ? allocated > 0 : allocated <= (_i == SLC_CODEC_SNAPPY ? 1 : 0));
    }
    slc_rewriter_trim(f.rewriter);
    free(many);
    fixture_release(&f);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("rewrite");
    TCase *tcase = tcase_create("rewrite");
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, test_what_stays_is_not_touched, 0, SLC_CODECS);
    tcase_add_loop_test(tcase, test_changed_records_keep_offset_timestamp_and_header_of_the_batch, 0,
                        SLC_CODECS);
    tcase_add_test(tcase, test_null_and_headers);
    tcase_add_loop_test(tcase, test_dropped_records_leave_the_offsets_of_others, 0, SLC_CODECS);
    tcase_add_loop_test(tcase, test_a_batch_without_records_is_its_header, 0, SLC_CODECS);
    tcase_add_test(tcase, test_only_the_batches_that_change_are_new);
    tcase_add_test(tcase, test_what_is_cut_off_is_left_out_on_consume);
    tcase_add_test(tcase, test_produce_wants_one_whole_batch);
    tcase_add_test(tcase, test_control_batches_pass_to_consumers_and_not_from_producers);
    tcase_add_loop_test(tcase, test_a_wrong_checksum_is_never_made_right, 0, SLC_CODECS);
    tcase_add_loop_test(tcase, test_a_rejected_record_refuses_all_on_produce, 0, SLC_CODECS);
    tcase_add_loop_test(tcase, test_later_leaves_nothing_and_works_when_asked_again, 0, SLC_CODECS);
    tcase_add_test(tcase, test_what_is_before_a_record_that_fails_is_delivered);
    tcase_add_test(tcase, test_a_record_that_fails_where_one_reads_is_an_error);
    tcase_add_test(tcase, test_one_can_seek_past_a_record_that_fails);
    tcase_add_test(tcase, test_one_can_seek_past_a_batch_that_is_damaged);
    tcase_add_test(tcase, test_a_share_group_does_without_a_record_that_fails);
    tcase_add_test(tcase, test_a_share_group_does_without_a_batch_that_is_damaged);
    tcase_add_test(tcase, test_a_batch_that_nobody_here_can_read_is_passed_like_one_that_is_damaged);
    tcase_add_test(tcase, test_a_share_group_gets_nothing_while_something_is_out_of_reach);
    tcase_add_test(tcase, test_an_old_format_fails_clearly);
    tcase_add_loop_test(tcase, test_limits, 1, SLC_CODECS);
    tcase_add_loop_test(tcase, test_no_allocation_for_each_record, 0, SLC_CODECS);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
