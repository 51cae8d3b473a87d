/* follow: what Produce requests carry is counted however they come, whether their bytes are read or moved. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/kafka/encode.h"
#include "dataplane/kafka/wire.h"
#include "stage.h"
#include "tests/unit/common/unit.h"

#define PRODUCE 0
#define HEADER  61 /* of a batch */
#define CONTROL 0x20
#define MOST    (4u * 1024 * 1024)

static struct stage stage;
static slc_buf sent;
static uint8_t *got;
static uint64_t events, bytes, requests; /* what must be counted */
static slc_error err;

static void begin(int64_t splice_bytes, const char *prefix)
{
    stage_init(&stage, "anonymous", prefix);
    stage.settings.limits.kafka_splice_bytes = splice_bytes;
    stage_connect(&stage);
    slc_buf_init(&sent, MOST);
    got = malloc(MOST);
    events = bytes = requests = 0;
}

static void end(void)
{
    stage_release(&stage);
    slc_buf_release(&sent);
    free(got);
}

/* Of `len` bytes; `records` are claimed in its header, which is all that is looked at. */
static void add_batch(slc_buf *out, size_t len, int32_t records, uint16_t attributes)
{
    uint8_t *batch = slc_buf_extend(out, len);
    for (size_t i = 0; i < len; i++)
        batch[i] = (uint8_t)(i * 7 + i / 251);
    slc_kafka_put(batch + 8, len - 12, 4);
    batch[16] = 2;
    slc_kafka_put(batch + 21, attributes, 2);
    slc_kafka_put(batch + 57, (uint64_t)records, 4);
    if ((attributes & CONTROL) == 0)
        events += (uint64_t)records;
}

static void add_partition(slc_buf *out, int32_t number, const slc_buf *records)
{
    slc_kafka_add_int32(out, number);
    slc_kafka_add_count(out, true, (int32_t)records->len);
    ck_assert(slc_buf_add(out, records->data, records->len));
    slc_kafka_add_no_tags(out);
    bytes += records->len;
}

/* Two topics of three partitions, with batches from `least` bytes on; acks=0. */
static void add_produce(slc_buf *out, int32_t id, size_t least)
{
    slc_buf records;
    slc_buf_init(&records, MOST);
    size_t at = slc_kafka_request_begin(out, PRODUCE, 9, id, "unit");
    slc_kafka_add_string(out, true, "a-transaction", 13);
    slc_kafka_add_int16(out, 0);
    slc_kafka_add_int32(out, 1000);
    slc_kafka_add_count(out, true, 2);
    for (int topic = 0; topic < 2; topic++) {
        slc_kafka_add_string(out, true, topic == 0 ? "orders" : "payments", topic == 0 ? 6 : 8);
        slc_kafka_add_count(out, true, 3);
        for (int32_t partition = 0; partition < 3; partition++) {
            slc_buf_clear(&records);
            add_batch(&records, least, 1 + partition, 0);
            if (partition == 1) {
                add_batch(&records, HEADER, 5, CONTROL);
                add_batch(&records, 3 * least + 17, 1000, 0);
            }
            if (partition == 2) /* what ends amid a header is no batch */
                ck_assert(slc_buf_add(&records, "broken", 6));
            add_partition(out, partition, &records);
        }
        slc_kafka_add_no_tags(out);
        requests++;
    }
    slc_kafka_add_no_tags(out);
    ck_assert(slc_kafka_frame_end(out, at, &err));
    slc_buf_release(&records);
}

static void carry(size_t piece)
{
    size_t gone = 0;
    for (int idle = 0; idle < 10;) {
        size_t left = sent.len - gone, len = left < piece ? left : piece;
        size_t went = len > 0 ? stage_send(&stage, stage.client, sent.data + gone, len) : 0;
        size_t came = stage_receive(stage.broker, got, MOST, NULL);
        gone += went;
        stage_run(&stage);
        idle = went + came > 0 ? 0 : idle + 1;
    }
    ck_assert_uint_eq(gone, sent.len);
    ck_assert_uint_eq(stage_open_sessions(&stage), 1);
}

static int add_up(slc_usage_row *row, void *arg)
{
    slc_usage_sum *sum = arg;
    ck_assert_uint_eq(row->key.operation, SLC_USAGE_KAFKA_PRODUCE);
    sum->requests += row->sum.requests;
    sum->events += row->sum.events;
    sum->bytes += row->sum.bytes;
    return 1;
}

static void expect_counted(void)
{
    slc_usage_sum sum = {0};
    slc_usage_sift(&stage.worker.usage, add_up, &sum);
    ck_assert_uint_eq(sum.events, events);
    ck_assert_uint_eq(sum.bytes, bytes);
    ck_assert_uint_eq(sum.requests, requests);
}

static const int64_t thresholds[] = {0, 1, 32 * 1024};
static const size_t pieces[] = {MOST, 70001, 4097, 61, 7};
static const size_t sizes[] = {64, 9000, 66000};
static const char *const prefixes[] = {NULL, "a."};

START_TEST(records_are_counted_however_they_come)
{
    for (size_t size = 0; size < 3; size++) {
        for (size_t piece = 0; piece < 5; piece++) {
            if (pieces[piece] < 100 && sizes[size] > 100)
                continue; /* nothing new, and slow */
            begin(thresholds[_i % 3], prefixes[_i / 3]);
            for (int32_t id = 0; id < 3; id++)
                add_produce(&sent, id, sizes[size]);
            carry(pieces[piece]);
            expect_counted();
            end();
        }
    }
}
END_TEST

/* Every place where a request may be cut by what happens to be there. */
START_TEST(records_are_counted_wherever_they_are_cut)
{
    begin(thresholds[_i % 3], prefixes[_i / 3]);
    add_produce(&sent, 1, 64);
    size_t len = sent.len;
    slc_buf all;
    slc_buf_init(&all, MOST);
    ck_assert(slc_buf_add(&all, sent.data, len));
    uint64_t each[] = {events, bytes, requests};
    for (size_t cut = 1; cut < len; cut += 5) {
        slc_buf_clear(&sent);
        ck_assert(slc_buf_add(&sent, all.data, cut));
        carry(MOST);
        slc_buf_clear(&sent);
        ck_assert(slc_buf_add(&sent, all.data + cut, len - cut));
        carry(MOST);
        expect_counted();
        events += each[0];
        bytes += each[1];
        requests += each[2];
    }
    slc_buf_release(&all);
    end();
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("dataplane/proxy/follow");
    TCase *tcase = tcase_create("follow");
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, records_are_counted_however_they_come, 0, 6);
    tcase_add_loop_test(tcase, records_are_counted_wherever_they_are_cut, 0, 6);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    SRunner *runner = srunner_create(suite());
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
