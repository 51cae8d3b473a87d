/* produce: in a namespace, the records of one topic pass while they come, and what cannot pass reaches no
 * broker. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/kafka/encode.h"
#include "dataplane/kafka/metadata_codec.h"
#include "dataplane/kafka/wire.h"
#include "stage.h"
#include "tests/unit/common/unit.h"

#define PRODUCE    0
#define BY_NAME    9
#define BY_ID      13
#define PARTITIONS 2
#define MOST       (8u * 1024 * 1024)
#define PREFIX     "a."

static struct stage stage;
static slc_buf sent, wanted;
static uint8_t *got;
static size_t got_len;
static slc_error err;

static const int64_t thresholds[] = {0, 1, 32 * 1024};
static const size_t pieces[] = {MOST, 70001, 4097};

#define EACH_WAY (int)((sizeof thresholds / sizeof thresholds[0]) * (sizeof pieces / sizeof pieces[0]))

static void begin(int64_t splice_bytes)
{
    stage_init(&stage, "anonymous", PREFIX);
    stage.settings.limits.kafka_splice_bytes = splice_bytes;
    stage_connect(&stage);
    slc_buf_init(&sent, MOST);
    slc_buf_init(&wanted, MOST);
    got = malloc(MOST);
    got_len = 0;
}

static void end(void)
{
    stage_release(&stage);
    slc_buf_release(&sent);
    slc_buf_release(&wanted);
    free(got);
}

/* Produce of the topics, each a name or an id, of `len` bytes of records for each partition. */
static void add_produce(slc_buf *out, int version, int16_t acks, const char *const *topics, size_t len)
{
    int32_t count = 0;
    while (topics[count] != NULL)
        count++;
    size_t at = slc_kafka_request_begin(out, PRODUCE, version, 7, "unit");
    slc_kafka_add_string(out, true, NULL, 0);
    slc_kafka_add_int16(out, acks);
    slc_kafka_add_int32(out, 1000);
    slc_kafka_add_count(out, true, count);
    for (int32_t i = 0; i < count; i++) {
        if (version >= BY_ID)
            ck_assert(slc_buf_add(out, topics[i], 16));
        else
            slc_kafka_add_string(out, true, topics[i], strlen(topics[i]));
        slc_kafka_add_count(out, true, PARTITIONS);
        for (int32_t partition = 0; partition < PARTITIONS; partition++) {
            slc_kafka_add_int32(out, partition);
            slc_kafka_add_count(out, true, (int32_t)len);
            uint8_t *records = slc_buf_extend(out, len);
            for (size_t n = 0; n < len; n++)
                records[n] = (uint8_t)(n * 7 + n / 251);
            slc_kafka_add_no_tags(out);
        }
        slc_kafka_add_no_tags(out);
    }
    slc_kafka_add_no_tags(out);
    ck_assert(slc_kafka_frame_end(out, at, &err));
}

static void receive(void)
{
    size_t len;
    while ((len = stage_receive(stage.broker, got + got_len, MOST - got_len, NULL)) > 0) {
        got_len += len;
        stage_run(&stage);
    }
}

/* Sends up to byte `until` in pieces, and takes what comes out. Returns the most that was held meanwhile. */
static size_t carry(size_t from, size_t until, size_t piece)
{
    size_t most = 0;
    for (int idle = 0; idle < 100;) {
        size_t left = until - from, before = got_len;
        size_t len =
            left > 0 ? stage_send(&stage, stage.client, sent.data + from, left < piece ? left : piece) : 0;
        from += len;
        most = stage.front->pool.taken_bytes > most ? stage.front->pool.taken_bytes : most;
        receive();
        idle = len > 0 || got_len > before ? 0 : idle + 1;
    }
    return most;
}

static void expect(void)
{
    ck_assert_uint_eq(got_len, wanted.len);
    ck_assert_mem_eq(got, wanted.data, wanted.len);
    ck_assert_uint_eq(stage_open_sessions(&stage), 1);
    ck_assert_uint_eq(stage.front->pool.taken_bytes, 0);
}

START_TEST(names_are_mapped_and_records_pass)
{
    static const char *const one[] = {"orders", NULL}, *const mapped[] = {PREFIX "orders", NULL},
                             *const two[] = {"orders", "payments", NULL},
                             *const both[] = {PREFIX "orders", PREFIX "payments", NULL};
    begin(thresholds[_i % 3]);
    for (int i = 0; i < 4; i++) {
        add_produce(&sent, BY_NAME, 0, one, i % 2 == 0 ? 10 : 300000);
        add_produce(&wanted, BY_NAME, 0, mapped, i % 2 == 0 ? 10 : 300000);
        add_produce(&sent, BY_NAME, 0, two, i % 2 == 0 ? 300000 : 10);
        add_produce(&wanted, BY_NAME, 0, both, i % 2 == 0 ? 300000 : 10);
    }
    carry(0, sent.len, pieces[_i / 3]);
    expect();
    end();
}
END_TEST

/* A frame larger than anything that is held here, in pieces: of one topic it never has to be held. */
START_TEST(a_frame_of_one_topic_is_not_held)
{
    static const char *const one[] = {"orders", NULL}, *const mapped[] = {PREFIX "orders", NULL};
    begin(thresholds[_i % 3]);
    stage.settings.limits.kafka_rewrite_bytes = 100000;
    add_produce(&sent, BY_NAME, 0, one, 1000000);
    add_produce(&wanted, BY_NAME, 0, mapped, 1000000);
    ck_assert_uint_le(carry(0, sent.len, 70001), SLC_CHUNK_LARGE + SLC_PIPE_BYTES);
    expect();
    end();
}
END_TEST

START_TEST(a_frame_of_several_topics_that_is_too_large_to_be_held_ends_the_session)
{
    static const char *const two[] = {"orders", "payments", NULL};
    begin(32 * 1024);
    stage.settings.limits.kafka_rewrite_bytes = 100000;
    add_produce(&sent, BY_NAME, 0, two, 100000);
    carry(0, sent.len, 70001);
    ck_assert_uint_eq(stage_open_sessions(&stage), 0);
    ck_assert_uint_eq(got_len, 0);
    end();
}
END_TEST

/* However little of a name is there, nothing of it goes out unmapped. */
START_TEST(a_name_is_never_passed_before_it_is_mapped)
{
    static const char *const one[] = {"orders", NULL}, *const mapped[] = {PREFIX "orders", NULL};
    begin(1);
    add_produce(&sent, BY_NAME, 0, one, 30000);
    add_produce(&wanted, BY_NAME, 0, mapped, 30000);
    size_t behind = (size_t)((uint8_t *)memmem(sent.data, sent.len, "orders", 6) - sent.data) + 6;
    for (size_t i = 0; i + 1 < behind; i++) {
        carry(i, i + 1, 1);
        ck_assert_uint_eq(got_len, 0);
    }
    carry(behind - 1, behind, 1);
    ck_assert_uint_eq(got_len, behind + strlen(PREFIX));
    carry(behind, sent.len, MOST);
    expect();
    end();
}
END_TEST

START_TEST(a_client_that_is_cut_off_among_records_ends_the_session_and_the_request)
{
    static const char *const one[] = {"orders", NULL}, *const mapped[] = {PREFIX "orders", NULL};
    bool closed = false;
    begin(thresholds[_i]);
    add_produce(&sent, BY_NAME, 1, one, 300000);
    add_produce(&wanted, BY_NAME, 1, mapped, 300000);
    carry(0, 400000, 70001);
    stage_disconnect(&stage, &stage.client);
    receive();
    ck_assert_uint_eq(got_len, 400000 + strlen(PREFIX));
    ck_assert_mem_eq(got, wanted.data, got_len);
    ck_assert_uint_eq(stage_receive(stage.broker, got, 1, &closed), 0);
    ck_assert(closed); /* in the middle of the frame: a broker forgets it */
    stage_disconnect(&stage, &stage.broker);
    ck_assert_uint_eq(stage_open_sessions(&stage), 0);
    end();
}
END_TEST

START_TEST(a_head_that_cannot_be_read_ends_the_session)
{
    static const char *const one[] = {"orders", NULL};
    bool closed = false;
    begin(1);
    add_produce(&sent, BY_NAME, 0, one, 300000);
    uint8_t *name = memmem(sent.data, sent.len, "orders", 6);
    memset(name - 1, 0xff, 6); /* no length */
    carry(0, sent.len, 70001);
    ck_assert_uint_eq(stage_open_sessions(&stage), 0);
    ck_assert_uint_eq(got_len, 0);
    ck_assert_uint_eq(stage_receive(stage.broker, got, 1, &closed), 0);
    ck_assert(closed);
    end();
}
END_TEST

/* Metadata of version SLC_KAFKA_METADATA_VERSION (12) of one topic. */
static void answer_question(int32_t correlation_id, const char *id, const char *name)
{
    slc_buf answer;
    slc_buf_init(&answer, 1000);
    size_t at =
        slc_kafka_response_begin(&answer, SLC_KAFKA_METADATA_KEY, SLC_KAFKA_METADATA_VERSION, correlation_id);
    slc_kafka_add_int32(&answer, 0);
    slc_kafka_add_count(&answer, true, 0); /* brokers */
    slc_kafka_add_string(&answer, true, NULL, 0);
    slc_kafka_add_int32(&answer, 1);
    slc_kafka_add_count(&answer, true, 1);
    slc_kafka_add_int16(&answer, 0);
    slc_kafka_add_string(&answer, true, name, strlen(name));
    ck_assert(slc_buf_add(&answer, id, 16));
    slc_kafka_add_int8(&answer, 0);
    slc_kafka_add_count(&answer, true, 0); /* partitions */
    slc_kafka_add_int32(&answer, 0);
    slc_kafka_add_no_tags(&answer);
    slc_kafka_add_no_tags(&answer);
    ck_assert(slc_kafka_frame_end(&answer, at, &err));
    stage_send(&stage, stage.broker, answer.data, answer.len);
    slc_buf_release(&answer);
}

/* The rest of the frame waits with its head until the broker has said whose the id is. */
START_TEST(an_id_is_asked_for_while_records_wait)
{
    static const char id[] = "0123456789abcdef";
    static const char *const one[] = {id, NULL};
    begin(1);
    add_produce(&sent, BY_ID, 0, one, 300000);
    carry(0, 100000, 70001);
    ck_assert_uint_ge(got_len, 12);
    ck_assert_uint_eq(slc_kafka_get16(got + 4), SLC_KAFKA_METADATA_KEY);
    ck_assert_uint_eq(got_len, 4 + slc_kafka_get32(got));
    int32_t correlation_id = (int32_t)slc_kafka_get32(got + 8);
    got_len = 0;
    answer_question(correlation_id, id, _i == 0 ? PREFIX "orders" : "b.orders");
    carry(100000, sent.len, 70001);
    ck_assert_uint_eq(got_len, sent.len);
    ck_assert((memmem(got, got_len, id, 16) != NULL) == (_i == 0)); /* another's is never said */
    uint8_t *said = got + ((uint8_t *)memmem(sent.data, sent.len, id, 16) - sent.data);
    memcpy(said, id, 16);
    ck_assert(slc_buf_add(&wanted, sent.data, sent.len));
    expect();
    end();
}
END_TEST

static Suite *suite(void)
{
    Suite *made = suite_create("produce");
    TCase *tcase = tcase_create("produce");
    tcase_set_timeout(tcase, UNIT_TIMEOUT_S);
    suite_add_tcase(made, tcase);
    tcase_add_loop_test(tcase, names_are_mapped_and_records_pass, 0, EACH_WAY);
    tcase_add_loop_test(tcase, a_frame_of_one_topic_is_not_held, 0, 3);
    tcase_add_test(tcase, a_frame_of_several_topics_that_is_too_large_to_be_held_ends_the_session);
    tcase_add_test(tcase, a_name_is_never_passed_before_it_is_mapped);
    tcase_add_loop_test(tcase, a_client_that_is_cut_off_among_records_ends_the_session_and_the_request, 0, 3);
    tcase_add_test(tcase, a_head_that_cannot_be_read_ends_the_session);
    tcase_add_loop_test(tcase, an_id_is_asked_for_while_records_wait, 0, 2);
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
