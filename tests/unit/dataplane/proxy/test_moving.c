/* moving: bytes that nobody sees go by a pipe, and the client and the broker cannot tell. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/kafka/encode.h"
#include "dataplane/kafka/wire.h"
#include "stage.h"
#include "tests/unit/common/unit.h"

#define PRODUCE        0
#define FETCH          1
#define LIST_GROUPS    16
#define API_VERSIONS   18
#define ENDPOINTS_TAG  0
#define PARTITIONS     3
#define PARTITION_LEN  300000
#define LEAST_VERSIONS 100 /* bytes of an answer to ApiVersions */
#define MOST           (4u * 1024 * 1024)

static struct stage stage;
static slc_error err;

/* Where one side's bytes go, and how far they have come. */
struct stream {
    int *from, *to;
    slc_buf sent;
    size_t sent_len;
    uint8_t *got;
    size_t got_len;
};

static void begin_stream(struct stream *stream, int *from, int *to)
{
    *stream = (struct stream){.from = from, .to = to, .got = malloc(MOST)};
    slc_buf_init(&stream->sent, MOST);
}

static void end_stream(struct stream *stream)
{
    slc_buf_release(&stream->sent);
    free(stream->got);
}

/* Writes pieces of `piece` bytes and reads until everything has come. */
static void carry(struct stream *stream, size_t piece, size_t expected)
{
    int idle = 0;
    while (stream->got_len < expected && idle < 1000) {
        size_t left = stream->sent.len - stream->sent_len, len = left < piece ? left : piece;
        size_t sent =
            len > 0 ? stage_send(&stage, *stream->from, stream->sent.data + stream->sent_len, len) : 0;
        size_t got = stage_receive(*stream->to, stream->got + stream->got_len, MOST - stream->got_len, NULL);
        stream->sent_len += sent;
        stream->got_len += got;
        stage_run(&stage);
        idle = sent + got > 0 ? 0 : idle + 1;
    }
    ck_assert_uint_ge(stream->got_len, expected);
}

static void begin(int64_t splice_bytes)
{
    stage_init(&stage, "anonymous", NULL);
    stage.settings.limits.kafka_splice_bytes = splice_bytes;
    stage_connect(&stage);
}

static void fill(slc_buf *out, size_t len)
{
    uint8_t *room = slc_buf_extend(out, len);
    ck_assert_ptr_nonnull(room);
    for (size_t i = 0; i < len; i++)
        room[i] = (uint8_t)(i * 7 + i / 251);
}

/* Produce of version 9 (flexible), of `len` bytes of records; acks=0. */
static void add_produce(slc_buf *out, int32_t id, size_t len)
{
    size_t at = slc_kafka_request_begin(out, PRODUCE, 9, id, "unit");
    slc_kafka_add_string(out, true, NULL, 0);
    slc_kafka_add_int16(out, 0);
    slc_kafka_add_int32(out, 1000);
    fill(out, len); /* the gateway looks no further than acks */
    ck_assert(slc_kafka_frame_end(out, at, &err));
}

static void add_fetch_request(slc_buf *out, int32_t id)
{
    size_t at = slc_kafka_request_begin(out, FETCH, 16, id, "unit");
    fill(out, 40);
    ck_assert(slc_kafka_frame_end(out, at, &err));
}

/* Fetch of version 16 of one topic, and where the tag with the leader's address is. Returns the offset of the
 * tag's number. */
static size_t add_fetch_answer(slc_buf *out, int32_t id)
{
    size_t at = slc_kafka_response_begin(out, FETCH, 16, id);
    slc_kafka_add_int32(out, 0); /* throttle */
    slc_kafka_add_int16(out, 0);
    slc_kafka_add_int32(out, 77); /* session */
    slc_kafka_add_count(out, true, 1);
    fill(out, 16); /* topic id */
    slc_kafka_add_count(out, true, PARTITIONS);
    for (int32_t n = 0; n < PARTITIONS; n++) {
        slc_kafka_add_int32(out, n);
        slc_kafka_add_int16(out, 0);
        for (int i = 0; i < 6; i++) /* high watermark, last stable offset, log start */
            slc_kafka_add_int32(out, 0);
        slc_kafka_add_count(out, true, 0); /* aborted */
        slc_kafka_add_int32(out, -1);
        slc_kafka_add_count(out, true, PARTITION_LEN);
        fill(out, PARTITION_LEN);
        slc_kafka_add_no_tags(out);
    }
    slc_kafka_add_no_tags(out);
    const uint8_t tags[] = {1, ENDPOINTS_TAG};
    ck_assert(slc_buf_add(out, tags, sizeof tags));
    size_t tag = out->len - 1;
    slc_buf body;
    slc_buf_init(&body, 100);
    slc_kafka_add_count(&body, true, 1);
    slc_kafka_add_int32(&body, 2);
    slc_kafka_add_string(&body, true, "kafka-2.internal", 16);
    slc_kafka_add_int32(&body, 9092);
    slc_kafka_add_string(&body, true, NULL, 0);
    slc_kafka_add_no_tags(&body);
    ck_assert(slc_buf_addc(out, (char)body.len) && slc_buf_add(out, body.data, body.len));
    slc_buf_release(&body);
    ck_assert(slc_kafka_frame_end(out, at, &err));
    return tag;
}

static const int64_t thresholds[] = {0, 1, 32 * 1024};
static const size_t pieces[] = {MOST, 70001, 4097};

#define EACH_WAY (int)((sizeof thresholds / sizeof thresholds[0]) * (sizeof pieces / sizeof pieces[0]))

START_TEST(requests_pass_as_they_are)
{
    struct stream up;
    begin(thresholds[_i % 3]);
    begin_stream(&up, &stage.client, &stage.broker);
    for (int32_t id = 0; id < 6; id++)
        add_produce(&up.sent, id, id % 2 == 0 ? 100 : 400000);
    carry(&up, pieces[_i / 3], up.sent.len);
    ck_assert_uint_eq(up.got_len, up.sent.len);
    ck_assert_mem_eq(up.got, up.sent.data, up.sent.len);
    ck_assert_uint_eq(stage.front->pool.taken_bytes, 0);
    ck_assert_uint_eq(stage.front->pool.pipe_count, thresholds[_i % 3] == 0 ? 0 : 1);
    end_stream(&up);
    stage_release(&stage);
}
END_TEST

START_TEST(a_large_fetch_answer_passes_but_for_its_addresses)
{
    struct stream up, down;
    size_t tags[2];
    begin(thresholds[_i % 3]);
    begin_stream(&up, &stage.client, &stage.broker);
    begin_stream(&down, &stage.broker, &stage.client);
    for (int32_t id = 0; id < 2; id++) {
        add_fetch_request(&up.sent, id);
        tags[id] = add_fetch_answer(&down.sent, id);
    }
    carry(&up, MOST, up.sent.len);
    carry(&down, pieces[_i / 3], down.sent.len);
    for (int32_t id = 0; id < 2; id++) {
        ck_assert_uint_ne(down.got[tags[id]], ENDPOINTS_TAG);
        down.got[tags[id]] = ENDPOINTS_TAG;
    }
    ck_assert_uint_eq(down.got_len, down.sent.len);
    ck_assert_mem_eq(down.got, down.sent.data, down.sent.len);
    ck_assert_uint_eq(stage.front->pool.taken_bytes, 0);
    ck_assert_uint_eq(stage.front->pool.pipe_count, thresholds[_i % 3] == 0 ? 0 : 1);
    end_stream(&up);
    end_stream(&down);
    stage_release(&stage);
}
END_TEST

/* A request that the gateway answers itself comes while a large answer is on its way and the client does not
 * read.
 */
START_TEST(a_local_answer_waits_for_the_end_of_the_answer_before_it)
{
    struct stream up, down;
    begin(thresholds[_i % 3]);
    begin_stream(&up, &stage.client, &stage.broker);
    begin_stream(&down, &stage.broker, &stage.client);
    size_t at = slc_kafka_request_begin(&up.sent, LIST_GROUPS, 0, 1, "unit");
    ck_assert(slc_kafka_frame_end(&up.sent, at, &err));
    carry(&up, MOST, up.sent.len);
    at = slc_kafka_response_begin(&down.sent, LIST_GROUPS, 0, 1);
    fill(&down.sent, 1000000);
    ck_assert(slc_kafka_frame_end(&down.sent, at, &err));
    down.sent_len = stage_send(&stage, stage.broker, down.sent.data, 900000);
    up.sent.len = 0;
    at = slc_kafka_request_begin(&up.sent, API_VERSIONS, 0, 2, "unit");
    ck_assert(slc_kafka_frame_end(&up.sent, at, &err));
    ck_assert_uint_eq(stage_send(&stage, stage.client, up.sent.data, up.sent.len), up.sent.len);
    carry(&down, MOST, down.sent.len + LEAST_VERSIONS);
    ck_assert_mem_eq(down.got, down.sent.data, down.sent.len);
    const uint8_t *versions = down.got + down.sent.len;
    ck_assert_uint_eq(slc_kafka_get32(versions), down.got_len - down.sent.len - 4);
    ck_assert_uint_eq(slc_kafka_get32(versions + 4), 2);
    end_stream(&up);
    end_stream(&down);
    stage_release(&stage);
}
END_TEST

/* Neither what the client has not read yet nor the rest of a request that it is still sending is cut. */
START_TEST(a_drain_waits_for_what_is_on_its_way)
{
    struct stream up, down;
    begin(thresholds[_i % 3]);
    begin_stream(&up, &stage.client, &stage.broker);
    begin_stream(&down, &stage.broker, &stage.client);
    size_t at = slc_kafka_request_begin(&up.sent, LIST_GROUPS, 0, 1, "unit");
    ck_assert(slc_kafka_frame_end(&up.sent, at, &err));
    add_produce(&up.sent, 2, 400000);
    up.sent_len = stage_send(&stage, stage.client, up.sent.data, 100000);
    ck_assert_uint_eq(up.sent_len, 100000);
    slc_proxy_front_drain(stage.front);
    ck_assert_uint_eq(stage_open_sessions(&stage), 1);
    carry(&up, MOST, up.sent.len);
    ck_assert_mem_eq(up.got, up.sent.data, up.sent.len);
    ck_assert_uint_eq(stage_open_sessions(&stage), 1);
    at = slc_kafka_response_begin(&down.sent, LIST_GROUPS, 0, 1);
    fill(&down.sent, 1000000);
    ck_assert(slc_kafka_frame_end(&down.sent, at, &err));
    down.sent_len = stage_send(&stage, stage.broker, down.sent.data, down.sent.len);
    slc_session_tick(stage.session, 0);
    ck_assert_uint_eq(stage_open_sessions(&stage), 1); /* the client has not read it */
    carry(&down, MOST, down.sent.len);
    ck_assert_mem_eq(down.got, down.sent.data, down.sent.len);
    stage_run(&stage);
    ck_assert_uint_eq(stage_open_sessions(&stage), 0);
    end_stream(&up);
    end_stream(&down);
    stage_release(&stage);
}
END_TEST

START_TEST(a_side_that_goes_away_amid_what_is_moved_ends_the_session)
{
    struct stream up;
    begin(1);
    begin_stream(&up, &stage.client, &stage.broker);
    add_produce(&up.sent, 1, 400000);
    stage_send(&stage, stage.client, up.sent.data, 300000);
    stage_disconnect(&stage, _i == 0 ? &stage.client : &stage.broker);
    bool over = false;
    while (stage_receive(_i == 0 ? stage.broker : stage.client, up.got, MOST, &over) > 0)
        stage_run(&stage);
    ck_assert(over);
    stage_disconnect(&stage, _i == 0 ? &stage.broker : &stage.client);
    ck_assert_uint_eq(stage_open_sessions(&stage), 0);
    end_stream(&up);
    stage_release(&stage); /* the pool finds out whether a pipe was lost */
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("dataplane/proxy/moving");
    TCase *tcase = tcase_create("moving");
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, requests_pass_as_they_are, 0, EACH_WAY);
    tcase_add_loop_test(tcase, a_large_fetch_answer_passes_but_for_its_addresses, 0, EACH_WAY);
    tcase_add_loop_test(tcase, a_local_answer_waits_for_the_end_of_the_answer_before_it, 0, 3);
    tcase_add_loop_test(tcase, a_drain_waits_for_what_is_on_its_way, 0, 3);
    tcase_add_loop_test(tcase, a_side_that_goes_away_amid_what_is_moved_ends_the_session, 0, 2);
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
