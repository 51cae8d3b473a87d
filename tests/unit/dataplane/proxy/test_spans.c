/* spans: what of native requests is traced, that nothing of them changes by it, and that every span ends. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/kafka/encode.h"
#include "dataplane/kafka/wire.h"
#include "dataplane/observe/trace_private.h"
#include "stage.h"
#include "tests/unit/common/unit.h"
#include "tests/unit/dataplane/records/build_batch.h"

#define PRODUCE     0
#define FETCH       1
#define PRODUCE_BY  9
#define FETCH_BY    12
#define MOST        (8u * 1024 * 1024)
#define PREFIX      "a."
#define TRACE_1     "4bf92f3577b34da6a3ce929d0e0e4736"
#define TRACE_2     "5bf92f3577b34da6a3ce929d0e0e4737"
#define SPAN        "00f067aa0ba902b7"
#define CONTEXT(id) "traceparent=00-" id "-" SPAN "-01"

static struct stage stage;
static slc_tracer *tracer;
static slc_buf sent, got;
static slc_error err;

static void begin(const char *prefix, int64_t per_mille, int64_t records)
{
    const slc_trace_options options = {.endpoint = "http://127.0.0.1:1/v1/traces",
                                       .service_name = "test",
                                       .native_per_mille = per_mille,
                                       .native_records = records,
                                       .queue = 10000,
                                       .batch = 10000, /* nothing is sent before the end */
                                       .interval_ms = 600000,
                                       .timeout_ms = 1000};
    slc_trace_register_metrics();
    ck_assert(slc_tracer_new(&options, &tracer, &err));
    stage_init(&stage, "anonymous", prefix);
    stage.worker.tracer = tracer;
    stage_connect(&stage);
    slc_buf_init(&sent, MOST);
    slc_buf_init(&got, MOST);
}

static void end(void)
{
    stage_release(&stage);
    slc_tracer_free(tracer);
    slc_buf_release(&sent);
    slc_buf_release(&got);
}

/* The finished spans, in order; NULL behind the last. */
static const char *span(int index)
{
    const struct slc_trace_item *item = STAILQ_FIRST(&tracer->waiting);
    while (item != NULL && index-- > 0)
        item = STAILQ_NEXT(item, entry);
    return item != NULL ? strndup(item->text, item->len) : NULL;
}

static void expect(int index, const char *const *texts)
{
    const char *text = span(index);
    ck_assert_msg(text != NULL, "no span %d", index);
    for (; *texts != NULL; texts++)
        ck_assert_msg((strstr(text, *texts + (**texts == '!')) != NULL) == (**texts != '!'), "%s: %s", *texts,
                      text);
    free((void *)text);
}
#define EXPECT(index, ...) expect(index, (const char *const[]){__VA_ARGS__, NULL})

static void expect_none(int index)
{
    const char *text = span(index);
    ck_assert_msg(text == NULL, "%s", text);
}

/* A batch of records, one for each of the headers; `fill` bytes of value in the last. */
static void add_batch(slc_buf *out, enum slc_codec codec, const char *const *headers, size_t fill)
{
    struct build_record records[8];
    size_t count = 0;
    char *value = calloc(1, fill + 1);
    memset(value, 'x', fill);
    for (; headers[count] != NULL; count++)
        records[count] =
            (struct build_record){.value = headers[count + 1] == NULL ? value : "v", .headers = headers[count]};
    const struct build_batch shape = {.attributes = (uint16_t)codec};
    put_batch(out, &shape, records, (int)count);
    free(value);
}

static void add_produce(int32_t id, int16_t acks, const char *const *topics, const slc_buf *records)
{
    int32_t count = 0;
    while (topics[count] != NULL)
        count++;
    size_t at = slc_kafka_request_begin(&sent, PRODUCE, PRODUCE_BY, id, "unit");
    slc_kafka_add_string(&sent, true, NULL, 0);
    slc_kafka_add_int16(&sent, acks);
    slc_kafka_add_int32(&sent, 1000);
    slc_kafka_add_count(&sent, true, count);
    for (int32_t i = 0; i < count; i++) {
        slc_kafka_add_string(&sent, true, topics[i], strlen(topics[i]));
        slc_kafka_add_count(&sent, true, 1);
        slc_kafka_add_int32(&sent, 0);
        slc_kafka_add_count(&sent, true, (int32_t)records->len);
        ck_assert(slc_buf_add(&sent, records->data, records->len));
        slc_kafka_add_no_tags(&sent);
        slc_kafka_add_no_tags(&sent);
    }
    slc_kafka_add_no_tags(&sent);
    ck_assert(slc_kafka_frame_end(&sent, at, &err));
}

static void add_produced(slc_buf *out, int32_t id, const char *topic, int16_t code)
{
    size_t at = slc_kafka_response_begin(out, PRODUCE, PRODUCE_BY, id);
    slc_kafka_add_count(out, true, 1);
    slc_kafka_add_string(out, true, topic, strlen(topic));
    slc_kafka_add_count(out, true, 1);
    slc_kafka_add_int32(out, 0);
    slc_kafka_add_int16(out, code);
    for (int i = 0; i < 6; i++) /* base offset, time, start */
        slc_kafka_add_int32(out, 0);
    slc_kafka_add_count(out, true, 0);
    slc_kafka_add_string(out, true, NULL, 0);
    for (int i = 0; i < 2; i++)
        slc_kafka_add_no_tags(out);
    slc_kafka_add_int32(out, 0);
    slc_kafka_add_no_tags(out);
    ck_assert(slc_kafka_frame_end(out, at, &err));
}

static void add_fetch(int32_t id)
{
    size_t at = slc_kafka_request_begin(&sent, FETCH, FETCH_BY, id, "unit");
    slc_kafka_add_int32(&sent, -1);
    for (int i = 0; i < 3; i++)
        slc_kafka_add_int32(&sent, 1);
    slc_kafka_add_int8(&sent, 0);
    slc_kafka_add_int32(&sent, 0);
    slc_kafka_add_int32(&sent, -1);
    slc_kafka_add_count(&sent, true, 0);
    slc_kafka_add_count(&sent, true, 0);
    slc_kafka_add_string(&sent, true, "", 0);
    slc_kafka_add_no_tags(&sent);
    ck_assert(slc_kafka_frame_end(&sent, at, &err));
}

static void add_fetched(slc_buf *out, int32_t id, const char *topic, int16_t code, const slc_buf *records)
{
    size_t at = slc_kafka_response_begin(out, FETCH, FETCH_BY, id);
    slc_kafka_add_int32(out, 0);
    slc_kafka_add_int16(out, 0);
    slc_kafka_add_int32(out, 0);
    slc_kafka_add_count(out, true, 1);
    slc_kafka_add_string(out, true, topic, strlen(topic));
    slc_kafka_add_count(out, true, 1);
    slc_kafka_add_int32(out, 0);
    slc_kafka_add_int16(out, code);
    for (int i = 0; i < 6; i++) /* high watermark, last stable offset, start */
        slc_kafka_add_int32(out, 0);
    slc_kafka_add_count(out, true, -1);
    slc_kafka_add_int32(out, -1);
    slc_kafka_add_count(out, true, (int32_t)records->len);
    ck_assert(slc_buf_add(out, records->data, records->len));
    for (int i = 0; i < 3; i++)
        slc_kafka_add_no_tags(out);
    ck_assert(slc_kafka_frame_end(out, at, &err));
}

/* All of it, in pieces; what comes out at `to` is in `got`. */
static void carry(const slc_buf *bytes, int from, int to, size_t piece)
{
    static uint8_t room[1 << 20];
    size_t at = 0;
    for (int idle = 0; idle < 100;) {
        size_t left = bytes->len - at, len;
        size_t moved = left > 0 ? stage_send(&stage, from, bytes->data + at, left < piece ? left : piece) : 0;
        at += moved;
        while ((len = stage_receive(to, room, sizeof room, NULL)) > 0) {
            ck_assert(slc_buf_add(&got, room, len));
            moved += len;
            stage_run(&stage);
        }
        idle = moved > 0 ? 0 : idle + 1;
    }
}

static void request(size_t piece)
{
    slc_buf_clear(&got);
    carry(&sent, stage.client, stage.broker, piece);
}

static void answer(const slc_buf *bytes, size_t piece)
{
    slc_buf_clear(&got);
    carry(bytes, stage.broker, stage.client, piece);
}

static const char *const one[] = {"orders", NULL}, *const two[] = {"orders", "payments", NULL},
                         *const contexts[] = {CONTEXT(TRACE_1), "other=1;" CONTEXT(TRACE_2), NULL, NULL};
static const size_t pieces[] = {MOST, 70001, 4097, 97};

/* Records that come whole, in pieces, and compressed: nothing changes, and both contexts are links. */
START_TEST(a_produce_request_has_a_span_with_links_to_its_records)
{
    slc_buf records, produced;
    slc_buf_init(&records, MOST);
    slc_buf_init(&produced, MOST);
    begin(NULL, 1000, 256 * 1024);
    add_batch(&records, (enum slc_codec)(_i / 4), contexts, 100000);
    add_produce(1, 1, one, &records);
    request(pieces[_i % 4]);
    ck_assert_uint_eq(got.len, sent.len);
    ck_assert_mem_eq(got.data, sent.data, sent.len);
    expect_none(0);
    add_produced(&produced, 1, "orders", 0);
    answer(&produced, MOST);
    ck_assert_uint_eq(got.len, produced.len);
    EXPECT(0, "\"name\":\"Produce orders\",\"kind\":2", "\"links\":[{\"traceId\":\"" TRACE_1, TRACE_2,
           "\"droppedLinksCount\":0", "\"messaging.system\",\"value\":{\"stringValue\":\"kafka\"",
           "\"messaging.operation.type\",\"value\":{\"stringValue\":\"send\"",
           "\"messaging.batch.message_count\",\"value\":{\"intValue\":\"2\"",
           "\"messaging.client.id\",\"value\":{\"stringValue\":\"unit\"",
           "\"messaging.destination.name\",\"value\":{\"stringValue\":\"orders\"",
           "\"sluice.virtual_cluster\",\"value\":{\"stringValue\":\"shop\"", "!error.type", "!\"status\"",
           "!http.");
    expect_none(1);
    slc_buf_release(&records);
    slc_buf_release(&produced);
    end();
}
END_TEST

START_TEST(without_an_answer_it_ends_with_the_request)
{
    slc_buf records;
    slc_buf_init(&records, MOST);
    begin(PREFIX, 1000, 256 * 1024);
    add_batch(&records, SLC_CODEC_NONE, contexts, _i % 2 == 0 ? 10 : 300000);
    add_produce(1, 0, _i < 2 ? one : two, &records);
    request(70001);
    if (_i < 2)
        EXPECT(0, "\"name\":\"Produce orders\"", "!" PREFIX, "!error.type");
    else
        EXPECT(0, "\"name\":\"Produce\",", "!messaging.destination.name",
               "\"messaging.batch.message_count\",\"value\":{\"intValue\":\"4\"");
    expect_none(1);
    slc_buf_release(&records);
    end();
}
END_TEST

/* Of 8 records behind the limit nothing is read, and the request is the same. */
START_TEST(no_more_is_read_than_the_setting_says)
{
    slc_buf records;
    slc_buf_init(&records, MOST);
    begin(NULL, 1000, _i == 0 ? 0 : 1000);
    add_batch(&records, SLC_CODEC_NONE, contexts, 300000);
    add_produce(1, 0, one, &records);
    request(70001);
    ck_assert_uint_eq(got.len, sent.len);
    ck_assert_mem_eq(got.data, sent.data, sent.len);
    EXPECT(0, "\"messaging.batch.message_count\",\"value\":{\"intValue\":\"2\"", "!links");
    slc_buf_release(&records);
    end();
}
END_TEST

/* Answers that are held, and those that pass while they are followed. */
START_TEST(a_fetch_answer_has_links_to_its_records)
{
    static const size_t fills[] = {10, 200000, 600000};
    slc_buf records, fetched;
    slc_buf_init(&records, MOST);
    slc_buf_init(&fetched, MOST);
    begin(_i < 6 ? NULL : PREFIX, 1000, 16 * 1024 * 1024);
    stage.settings.limits.kafka_splice_bytes = _i % 2 == 0 ? 0 : 4096;
    add_batch(&records, SLC_CODEC_NONE, contexts, fills[_i / 2 % 3]);
    add_fetch(1);
    request(MOST);
    add_fetched(&fetched, 1, _i < 6 ? "orders" : PREFIX "orders", 0, &records);
    answer(&fetched, 70001);
    EXPECT(0, "\"name\":\"Fetch orders\"", TRACE_1, TRACE_2,
           "\"messaging.operation.type\",\"value\":{\"stringValue\":\"receive\"",
           "\"messaging.batch.message_count\",\"value\":{\"intValue\":\"2\"", "sluice.broker_us",
           "!error.type");
    expect_none(1);
    slc_buf_release(&records);
    slc_buf_release(&fetched);
    end();
}
END_TEST

START_TEST(an_error_is_that_of_its_own_answer)
{
    slc_buf records, answers;
    slc_buf_init(&records, MOST);
    slc_buf_init(&answers, MOST);
    begin(PREFIX, 1000, 1000);
    add_fetch(1);
    add_fetch(2);
    add_fetch(3);
    request(MOST);
    add_batch(&records, SLC_CODEC_NONE, contexts, 10);
    add_fetched(&answers, 1, PREFIX "orders", 0, &records);
    add_fetched(&answers, 2, PREFIX "orders", 6, &records);
    add_fetched(&answers, 3, PREFIX "orders", 0, &records);
    answer(&answers, MOST);
    EXPECT(0, "!error.type");
    EXPECT(1, "\"error.type\",\"value\":{\"stringValue\":\"6\"", "\"status\":{\"code\":2}");
    EXPECT(2, "!error.type");
    slc_buf_release(&records);
    slc_buf_release(&answers);
    end();
}
END_TEST

/* The first answer passes while it is followed, and is not traced; the second is. */
START_TEST(an_error_of_an_answer_that_is_not_traced_is_nobodys)
{
    slc_buf records, answers;
    slc_buf_init(&records, MOST);
    slc_buf_init(&answers, MOST);
    begin(NULL, 0, 1000);
    add_fetch(1);
    request(MOST);
    tracer->options.native_per_mille = 1000;
    slc_buf_clear(&sent);
    add_fetch(2);
    request(MOST);
    add_batch(&records, SLC_CODEC_NONE, contexts, 600000);
    add_fetched(&answers, 1, "orders", 6, &records);
    add_fetched(&answers, 2, "orders", 0, &records);
    answer(&answers, 4097);
    ck_assert_uint_eq(got.len, answers.len);
    EXPECT(0, "\"name\":\"Fetch orders\"", "!error.type");
    expect_none(1);
    slc_buf_release(&records);
    slc_buf_release(&answers);
    end();
}
END_TEST

/* Whenever it happens, every span that was begun ends. */
START_TEST(a_session_that_ends_ends_its_spans)
{
    slc_buf records, fetched;
    slc_buf_init(&records, MOST);
    slc_buf_init(&fetched, MOST);
    begin(NULL, 1000, 16 * 1024 * 1024);
    add_batch(&records, SLC_CODEC_NONE, contexts, 600000);
    add_fetch(1);
    add_fetch(2);
    request(MOST);
    slc_buf_clear(&sent);
    add_produce(3, _i == 0 ? 1 : 0, one, &records);
    sent.len = 300000;
    request(70001);
    add_fetched(&fetched, 1, "orders", 0, &records);
    fetched.len = 400000;
    answer(&fetched, 70001);
    expect_none(0);
    stage_disconnect(&stage, &stage.broker);
    stage_disconnect(&stage, &stage.client);
    stage_run(&stage);
    ck_assert_uint_eq(stage_open_sessions(&stage), 0);
    for (int i = 0; i < 3; i++)
        EXPECT(i, "\"error.type\",\"value\":{\"stringValue\":\"closed\"");
    expect_none(3);
    slc_buf_release(&records);
    slc_buf_release(&fetched);
    end();
}
END_TEST

/* A broker that answers before it has the request: its span ends, and the rest of the request is not its. */
START_TEST(an_answer_before_the_request_is_whole_harms_nothing)
{
    slc_buf records, produced;
    slc_buf_init(&records, MOST);
    slc_buf_init(&produced, MOST);
    begin(NULL, 1000, 16 * 1024 * 1024);
    add_batch(&records, SLC_CODEC_NONE, contexts, 600000);
    add_produce(1, 1, one, &records);
    size_t whole = sent.len;
    sent.len = 300000;
    request(70001);
    add_produced(&produced, 1, "orders", 0);
    answer(&produced, MOST);
    EXPECT(0, "\"name\":\"Produce orders\"");
    slc_buf rest = {.data = sent.data + 300000, .len = whole - 300000};
    slc_buf_clear(&got);
    carry(&rest, stage.client, stage.broker, 70001);
    ck_assert_uint_eq(got.len, rest.len);
    ck_assert_mem_eq(got.data, rest.data, rest.len);
    expect_none(1);
    sent.len = whole;
    slc_buf_release(&records);
    slc_buf_release(&produced);
    end();
}
END_TEST

/* Records that are none, and those that cannot be inflated. */
START_TEST(records_that_cannot_be_read_pass_without_links)
{
    slc_buf records;
    slc_buf_init(&records, MOST);
    begin(NULL, 1000, 256 * 1024);
    add_batch(&records, SLC_CODEC_NONE, contexts, 10);
    if (_i == 0)
        memset(records.data + 61, 0xff, records.len - 61);
    else if (_i < 5)
        records.data[22] = (uint8_t)_i; /* a codec that it is not */
    else
        memset(records.data, 0xff, records.len);
    add_produce(1, 0, one, &records);
    request(MOST);
    ck_assert_uint_eq(got.len, sent.len);
    ck_assert_mem_eq(got.data, sent.data, sent.len);
    EXPECT(0, "\"name\":\"Produce orders\"", "!links");
    slc_buf_release(&records);
    end();
}
END_TEST

START_TEST(of_many_requests_so_many_are_traced_as_the_setting_says)
{
    slc_buf records;
    int count = 0;
    slc_buf_init(&records, MOST);
    begin(NULL, 250, 1000);
    add_batch(&records, SLC_CODEC_NONE, contexts, 10);
    for (int i = 0; i < 4000; i++)
        add_produce(i, 0, one, &records);
    request(70001);
    for (const struct slc_trace_item *item = STAILQ_FIRST(&tracer->waiting); item != NULL;
         item = STAILQ_NEXT(item, entry))
        count++;
    ck_assert_int_gt(count, 800); /* 1,000, and 27 of them are its standard deviation */
    ck_assert_int_lt(count, 1200);
    slc_buf_release(&records);
    end();
}
END_TEST

START_TEST(nothing_is_traced_where_none_of_a_thousand_is)
{
    slc_buf records;
    slc_buf_init(&records, MOST);
    begin(NULL, 0, 1000);
    add_batch(&records, SLC_CODEC_NONE, contexts, 10);
    for (int i = 0; i < 100; i++)
        add_produce(i, 0, one, &records);
    request(MOST);
    expect_none(0);
    slc_buf_release(&records);
    end();
}
END_TEST

static Suite *suite(void)
{
    Suite *made = suite_create("spans");
    TCase *tcase = tcase_create("spans");
    tcase_set_timeout(tcase, UNIT_TIMEOUT_S);
    suite_add_tcase(made, tcase);
    tcase_add_loop_test(tcase, a_produce_request_has_a_span_with_links_to_its_records, 0, 4 * SLC_CODECS);
    tcase_add_loop_test(tcase, without_an_answer_it_ends_with_the_request, 0, 4);
    tcase_add_loop_test(tcase, no_more_is_read_than_the_setting_says, 0, 2);
    tcase_add_loop_test(tcase, a_fetch_answer_has_links_to_its_records, 0, 12);
    tcase_add_test(tcase, an_error_is_that_of_its_own_answer);
    tcase_add_test(tcase, an_error_of_an_answer_that_is_not_traced_is_nobodys);
    tcase_add_loop_test(tcase, a_session_that_ends_ends_its_spans, 0, 2);
    tcase_add_test(tcase, an_answer_before_the_request_is_whole_harms_nothing);
    tcase_add_loop_test(tcase, records_that_cannot_be_read_pass_without_links, 0, 6);
    tcase_add_test(tcase, of_many_requests_so_many_are_traced_as_the_setting_says);
    tcase_add_test(tcase, nothing_is_traced_where_none_of_a_thousand_is);
    return made;
}

int main(void)
{
    SRunner *runner = srunner_create(suite());
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
