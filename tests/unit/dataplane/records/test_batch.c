/* Reading batches and records: every field, and every way in which the bytes may lie. */
#include "build_batch.h"
#include "common/alloc.h"

static const struct build_record three[] = {
    {.timestamp_delta = 0, .key = "k1", .value = "v1", .headers = "a=1;a=2;b;c="},
    {.timestamp_delta = -5, .value = ""},
    {.timestamp_delta = 1000000007, .key = "", .skip_offsets = 3},
};

struct fixture {
    slc_buf in;
    slc_batch batch;
    slc_batch_record record;
    slc_error err;
};

static void fixture_init(struct fixture *f)
{
    memset(f, 0, sizeof(*f));
    slc_buf_init(&f->in, BUILD_MAX);
}

static void expect_text(const void *data, size_t len, const char *text)
{
    ck_assert_int_eq(data == NULL, text == NULL);
    ck_assert_uint_eq(len, text != NULL ? strlen(text) : 0);
    if (len > 0)
        ck_assert_mem_eq(data, text, len);
}

static enum slc_batch_step first_batch(struct fixture *f)
{
    size_t at = 0;
    return slc_batch_next(f->in.data, f->in.len, &at, &f->batch, &f->err);
}

static const struct build_batch plain = {.base_offset = 70, .base_timestamp = 5000, .max_timestamp = 9000};

START_TEST(test_every_field_of_a_batch)
{
    struct fixture f;
    fixture_init(&f);
    put_batch(&f.in,
              &(struct build_batch){.base_offset = INT64_C(1) << 40,
                                    .attributes = SLC_BATCH_TRANSACTIONAL,
                                    .base_timestamp = 5000,
                                    .max_timestamp = 9000},
              three, 3);
    ck_assert_int_eq(first_batch(&f), SLC_BATCH);
    ck_assert_ptr_eq(f.batch.bytes, f.in.data);
    ck_assert_uint_eq(f.batch.len, f.in.len);
    ck_assert_int_eq(f.batch.base_offset, INT64_C(1) << 40);
    ck_assert_int_eq(f.batch.leader_epoch, 7);
    ck_assert_uint_eq(f.batch.attributes, SLC_BATCH_TRANSACTIONAL);
    ck_assert_int_eq(f.batch.last_offset_delta, 5);
    ck_assert_int_eq(slc_batch_last_offset(&f.batch), (INT64_C(1) << 40) + 5);
    ck_assert_int_eq(f.batch.base_timestamp, 5000);
    ck_assert_int_eq(f.batch.max_timestamp, 9000);
    ck_assert_int_eq(f.batch.producer_id, 4711);
    ck_assert_int_eq(f.batch.producer_epoch, 3);
    ck_assert_int_eq(f.batch.base_sequence, 100);
    ck_assert_int_eq(f.batch.count, 3);
    ck_assert(slc_batch_crc_holds(&f.batch));
    f.in.data[f.in.len - 1] ^= 1;
    ck_assert(!slc_batch_crc_holds(&f.batch));
    slc_buf_release(&f.in);
}
END_TEST

START_TEST(test_every_field_of_a_record)
{
    struct fixture f;
    slc_batch_cursor cursor;
    fixture_init(&f);
    put_batch(&f.in, &plain, three, 3);
    ck_assert_int_eq(first_batch(&f), SLC_BATCH);
    slc_batch_cursor_init(&cursor, &f.batch, f.batch.records, f.batch.records_len);
    ck_assert_int_eq(slc_batch_cursor_next(&cursor, &f.record, &f.err), SLC_RECORD);
    ck_assert_int_eq(f.record.offset, 70);
    ck_assert_int_eq(f.record.timestamp, 5000);
    expect_text(f.record.key, f.record.key_len, "k1");
    expect_text(f.record.value, f.record.value_len, "v1");
    ck_assert_int_eq(f.record.n_headers, 4);
    ck_assert_int_eq(slc_batch_cursor_next(&cursor, &f.record, &f.err), SLC_RECORD);
    ck_assert_int_eq(f.record.timestamp, 4995);
    expect_text(f.record.key, f.record.key_len, NULL);
    expect_text(f.record.value, f.record.value_len, "");
    ck_assert_int_eq(f.record.n_headers, 0);
    ck_assert_int_eq(slc_batch_cursor_next(&cursor, &f.record, &f.err), SLC_RECORD);
    ck_assert_int_eq(f.record.offset, 75);
    ck_assert_int_eq(f.record.timestamp, 1000005007);
    expect_text(f.record.key, f.record.key_len, "");
    expect_text(f.record.value, f.record.value_len, NULL);
    ck_assert_int_eq(slc_batch_cursor_next(&cursor, &f.record, &f.err), SLC_RECORD_DONE);
    slc_buf_release(&f.in);
}
END_TEST

START_TEST(test_headers_keep_order_repetition_and_null)
{
    static const char *const expected[][2] = {{"a", "1"}, {"a", "2"}, {"b", NULL}, {"c", ""}};
    struct fixture f;
    slc_batch_cursor cursor;
    slc_batch_headers headers;
    slc_record_header header;
    fixture_init(&f);
    put_batch(&f.in, &plain, three, 1);
    ck_assert_int_eq(first_batch(&f), SLC_BATCH);
    slc_batch_cursor_init(&cursor, &f.batch, f.batch.records, f.batch.records_len);
    ck_assert_int_eq(slc_batch_cursor_next(&cursor, &f.record, &f.err), SLC_RECORD);
    slc_batch_headers_init(&headers, &f.record);
    for (int i = 0; i < 4; i++) {
        ck_assert(slc_batch_headers_next(&headers, &header));
        expect_text(header.name, header.name_len, expected[i][0]);
        expect_text(header.value, header.value_len, expected[i][1]);
    }
    ck_assert(!slc_batch_headers_next(&headers, &header));
    slc_buf_release(&f.in);
}
END_TEST

START_TEST(test_log_append_time_is_that_of_the_batch)
{
    struct fixture f;
    slc_batch_cursor cursor;
    fixture_init(&f);
    put_batch(&f.in,
              &(struct build_batch){
                  .attributes = SLC_BATCH_LOG_APPEND_TIME, .base_timestamp = 5000, .max_timestamp = 9000},
              three, 3);
    ck_assert_int_eq(first_batch(&f), SLC_BATCH);
    slc_batch_cursor_init(&cursor, &f.batch, f.batch.records, f.batch.records_len);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(slc_batch_cursor_next(&cursor, &f.record, &f.err), SLC_RECORD);
        ck_assert_int_eq(f.record.timestamp, 9000);
    }
    slc_buf_release(&f.in);
}
END_TEST

START_TEST(test_batches_behind_each_other_and_one_that_is_cut_off)
{
    struct fixture f;
    fixture_init(&f);
    put_batch(&f.in, &plain, three, 3);
    size_t first = f.in.len;
    put_batch(&f.in, &(struct build_batch){.base_offset = 76}, three, 1);
    for (size_t len = 0; len <= f.in.len; len++) {
        uint8_t *copy = slc_memdup(f.in.data, len);
        size_t at = 0;
        int whole = len == f.in.len ? 2 : len >= first ? 1 : 0;
        for (int i = 0; i < whole; i++)
            ck_assert_int_eq(slc_batch_next(copy, len, &at, &f.batch, &f.err), SLC_BATCH);
        bool ends = len == 0 || len == first || len == f.in.len;
        ck_assert_int_eq(slc_batch_next(copy, len, &at, &f.batch, &f.err),
                         ends ? SLC_BATCH_DONE : SLC_BATCH_PARTIAL);
        free(copy);
    }
    slc_buf_release(&f.in);
}
END_TEST

/* What is put where, and what comes of it. */
static const struct {
    size_t at;
    int bytes;
    uint64_t value;
    enum slc_batch_step step;
    enum slc_code code;
    const char *says;
} lies[] = {
    {16, 1, 1, SLC_BATCH_FAILED, SLC_UNSUPPORTED, "message format 1"},
    {16, 1, 0, SLC_BATCH_FAILED, SLC_UNSUPPORTED, "message format 0"},
    {16, 1, 3, SLC_BATCH_FAILED, SLC_UNSUPPORTED, "message format 3"},
    {8, 4, 48, SLC_BATCH_FAILED, SLC_CORRUPT, "length 48"},
    {8, 4, 0xffffffff, SLC_BATCH_FAILED, SLC_CORRUPT, "length -1"},
    {8, 4, 0x7fffffff, SLC_BATCH_PARTIAL, SLC_OK, ""},
    {57, 4, 0xffffffff, SLC_BATCH_FAILED, SLC_CORRUPT, "count of records -1"},
    {23, 4, 0x80000000, SLC_BATCH_FAILED, SLC_CORRUPT, "last offset delta"},
    {21, 2, 5, SLC_BATCH_FAILED, SLC_UNSUPPORTED, "compression 5"},
    {21, 2, 7, SLC_BATCH_FAILED, SLC_UNSUPPORTED, "compression 7"},
};

START_TEST(test_header_that_lies)
{
    struct fixture f;
    fixture_init(&f);
    put_batch(&f.in, &plain, three, 3);
    for (int i = 0; i < lies[_i].bytes; i++)
        f.in.data[lies[_i].at + (size_t)i] = (uint8_t)(lies[_i].value >> 8 * (lies[_i].bytes - 1 - i));
    ck_assert_int_eq(first_batch(&f), lies[_i].step);
    ck_assert_int_eq(f.err.code, lies[_i].code);
    ck_assert_ptr_nonnull(strstr(f.err.message, lies[_i].says));
    slc_buf_release(&f.in);
}
END_TEST

START_TEST(test_where_a_batch_lies_is_known_of_whatever_format)
{
    static const struct {
        size_t at;
        int bytes;
        uint64_t value;
        int64_t last;
    } cases[] = {
        {16, 1, 3, 75},          {16, 1, 1, 70}, {16, 1, 0, 70},          {21, 2, 7, 75},
        {23, 4, 0xfffffffb, 70}, {23, 4, 9, 79}, {57, 4, 0xffffffff, 75}, {70, 1, 0x55, 75},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fixture f;
        slc_batch_extent extent;
        fixture_init(&f);
        put_batch(&f.in, &plain, three, 3);
        ck_assert(slc_batch_extent_at(f.in.data, f.in.len, 0, &extent));
        ck_assert_int_eq(extent.max_timestamp, (int64_t)plain.max_timestamp);
        for (int byte = 0; byte < cases[i].bytes; byte++)
            f.in.data[cases[i].at + (size_t)byte] =
                (uint8_t)(cases[i].value >> 8 * (cases[i].bytes - 1 - byte));
        ck_assert(slc_batch_extent_at(f.in.data, f.in.len, 0, &extent));
        ck_assert_int_eq(extent.first, 70);
        ck_assert_int_eq(extent.last, cases[i].last);
        ck_assert_uint_eq(extent.len, f.in.len);
        ck_assert(extent.max_timestamp == -1 || cases[i].at == 16); /* which the checksum does not cover */
        for (size_t len = 0; len < f.in.len; len++) {
            uint8_t *copy = slc_memdup(f.in.data, len);
            ck_assert(!slc_batch_extent_at(copy, len, 0, &extent));
            free(copy);
        }
        slc_buf_release(&f.in);
    }
}
END_TEST

static enum slc_batch_cursor_step read_all(struct fixture *f, const uint8_t *data, size_t len)
{
    slc_batch_cursor cursor;
    enum slc_batch_cursor_step step;
    slc_batch_cursor_init(&cursor, &f->batch, data, len);
    while ((step = slc_batch_cursor_next(&cursor, &f->record, &f->err)) == SLC_RECORD) {
    }
    return step;
}

START_TEST(test_counts_that_lie)
{
    struct fixture f;
    fixture_init(&f);
    put_batch(&f.in, &(struct build_batch){.count_more = 1}, three, 3);
    ck_assert_int_eq(first_batch(&f), SLC_BATCH);
    ck_assert_int_eq(read_all(&f, f.batch.records, f.batch.records_len), SLC_RECORD_FAILED);
    ck_assert_int_eq(f.err.code, SLC_CORRUPT);
    slc_buf_clear(&f.in);
    put_batch(&f.in, &(struct build_batch){.count_more = -1}, three, 3);
    ck_assert_int_eq(first_batch(&f), SLC_BATCH);
    ck_assert_int_eq(read_all(&f, f.batch.records, f.batch.records_len), SLC_RECORD_FAILED);
    ck_assert_ptr_nonnull(strstr(f.err.message, "more than its 2 records"));
    slc_buf_release(&f.in);
}
END_TEST

/* Records byte by byte: length, attributes, timestamp, offset, key, value, count of headers. */
static const struct {
    const char *bytes;
    size_t len;
    const char *says;
} damaged[] = {
    {"\x0c\0\0\0\1\1\0", 7, NULL},
    {"\x0c\0\0\0\1\1", 6, "length"},
    {"\x0e\0\0\0\1\1\0\0", 8, "behind its headers"},
    {"\x00", 1, "length"},
    {"\x01", 1, "length"},
    {"\xff\xff\xff\xff\xff\xff", 6, "length"},
    {"\xfe\xff\xff\xff\x0f\0", 6, "length"},
    {"\x0c\0\x80\x80\x80\x80\x80", 7, "timestamp"},
    {"\x0c\0\0\2\1\1\0", 7, "offset"},
    {"\x0c\0\0\1\1\1\0", 7, "offset"},
    {"\x0c\0\0\0\3\1\0", 7, "key"},
    {"\x0c\0\0\0\x7e\1\0", 7, "key"},
    {"\x0c\0\0\0\1\x7e\0", 7, "value"},
    {"\x0c\0\0\0\1\1\1", 7, "count of its headers"},
    {"\x0c\0\0\0\1\1\2", 7, "one of its headers"},
    {"\x0c\0\0\0\1\1\x7e", 7, "one of its headers"},
    {"\x10\0\0\0\1\1\2\1\1", 9, "one of its headers"}, /* a header without a name */
    {"\x10\0\0\0\1\1\2\0\1", 9, NULL},                 /* with an empty one */
    {"\x8c\x80\0\0\0\0\1\1\0", 9, NULL},               /* a length that is longer than it need be */
};

START_TEST(test_damaged_record)
{
    struct fixture f;
    fixture_init(&f);
    uint8_t *copy = slc_memdup(damaged[_i].bytes, damaged[_i].len);
    f.batch = (slc_batch){.count = 1};
    enum slc_batch_cursor_step step = read_all(&f, copy, damaged[_i].len);
    ck_assert_int_eq(step, damaged[_i].says != NULL ? SLC_RECORD_FAILED : SLC_RECORD_DONE);
    if (damaged[_i].says != NULL)
        ck_assert_msg(strstr(f.err.message, damaged[_i].says) != NULL, "%s", f.err.message);
    free(copy);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("batch");
    TCase *tcase = tcase_create("batch");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, test_every_field_of_a_batch);
    tcase_add_test(tcase, test_every_field_of_a_record);
    tcase_add_test(tcase, test_headers_keep_order_repetition_and_null);
    tcase_add_test(tcase, test_log_append_time_is_that_of_the_batch);
    tcase_add_test(tcase, test_batches_behind_each_other_and_one_that_is_cut_off);
    tcase_add_loop_test(tcase, test_header_that_lies, 0, sizeof(lies) / sizeof(lies[0]));
    tcase_add_test(tcase, test_where_a_batch_lies_is_known_of_whatever_format);
    tcase_add_test(tcase, test_counts_that_lie);
    tcase_add_loop_test(tcase, test_damaged_record, 0, sizeof(damaged) / sizeof(damaged[0]));
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
