/* pause: requests and answers whose records wait for what a policy needs, while everything else goes on. */
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/metrics.h"
#include "dataplane/kafka/encode.h"
#include "stage.h"
#include "tests/unit/common/unit.h"

#define PRODUCE 0
#define FETCH   1
#define BY_NAME 9
#define FETCHED 12
#define MOST    (1024 * 1024)

static struct stage stage;
static slc_buf message;
static char got[MOST];
static size_t got_len;
static slc_error err;
static bool blocked[2]; /* answers, requests */
static unsigned asked;
static int64_t from_offset;
static int16_t code; /* of the partition in the answer */

/* As the rules of a session, whose policies fetch something. */
static enum slc_kafka_verdict map(slc_view_records *records, const slc_view_batches *batches,
                                  slc_kafka_value *out, slc_view_failure *failure)
{
    (void)records, (void)failure;
    asked++;
    from_offset = batches->from_offset;
    if (blocked[batches->produce]) {
        stage.session->pauses[batches->produce].until_ms = slc_monotonic_ms() + 60000;
        return SLC_KAFKA_LATER;
    }
    out->body = (slc_kafka_span){"changed", 7};
    return SLC_KAFKA_REPLACE;
}

static slc_view_records hook = {.produce = true, .fetch = true, .map = map};

static void begin(void)
{
    stage_init(&stage, "anonymous", "a.");
    stage_connect(&stage);
    slc_buf_init(&message, MOST);
    blocked[0] = blocked[1] = false;
    asked = 0;
    code = 0;
}

static void end(void)
{
    stage_release(&stage);
    slc_buf_release(&message);
}

static void add_text(const char *text)
{
    slc_kafka_add_string(&message, true, text, strlen(text));
}

/* The view is made with the session's first request. */
static void produce(const char *records)
{
    slc_buf_clear(&message);
    size_t at = slc_kafka_request_begin(&message, PRODUCE, BY_NAME, 7, "unit");
    slc_kafka_add_string(&message, true, NULL, 0);
    slc_kafka_add_int16(&message, 1);
    slc_kafka_add_int32(&message, 1000);
    slc_kafka_add_count(&message, true, 1);
    add_text("orders");
    slc_kafka_add_count(&message, true, 1);
    slc_kafka_add_int32(&message, 0);
    slc_kafka_add_bytes(&message, true, (const uint8_t *)records, strlen(records));
    for (int i = 0; i < 3; i++)
        slc_kafka_add_no_tags(&message);
    ck_assert(slc_kafka_frame_end(&message, at, &err));
    stage.session->view->records = &hook;
    ck_assert_uint_eq(stage_send(&stage, stage.client, message.data, message.len), message.len);
}

/* A session's fetch of one partition, or of none that is new. */
static void fetch(int32_t epoch, int64_t offset)
{
    slc_buf_clear(&message);
    size_t at = slc_kafka_request_begin(&message, FETCH, FETCHED, 8, "unit");
    slc_kafka_add_int32(&message, -1);
    for (int i = 0; i < 3; i++) /* wait, least, most */
        slc_kafka_add_int32(&message, 1000);
    slc_kafka_add_int8(&message, 0);
    slc_kafka_add_int32(&message, epoch > 0 ? 5 : 0);
    slc_kafka_add_int32(&message, epoch);
    slc_kafka_add_count(&message, true, offset < 0 ? 0 : 1);
    if (offset >= 0) {
        add_text("orders");
        slc_kafka_add_count(&message, true, 1);
        slc_kafka_add_int32(&message, 0); /* partition */
        slc_kafka_add_int32(&message, -1);
        slc_kafka_add_int64(&message, offset);
        slc_kafka_add_int32(&message, -1);
        slc_kafka_add_int64(&message, -1);
        slc_kafka_add_int32(&message, 1000);
        slc_kafka_add_no_tags(&message);
        slc_kafka_add_no_tags(&message);
    }
    slc_kafka_add_count(&message, true, 0);
    add_text("");
    slc_kafka_add_no_tags(&message);
    ck_assert(slc_kafka_frame_end(&message, at, &err));
    stage.session->view->records = &hook;
    ck_assert_uint_eq(stage_send(&stage, stage.client, message.data, message.len), message.len);
}

static void answer_fetch(const char *records)
{
    slc_buf_clear(&message);
    size_t at = slc_kafka_response_begin(&message, FETCH, FETCHED, 8);
    slc_kafka_add_int32(&message, 0);
    slc_kafka_add_int16(&message, 0);
    slc_kafka_add_int32(&message, 5);
    slc_kafka_add_count(&message, true, 1);
    add_text("a.orders");
    slc_kafka_add_count(&message, true, 1);
    slc_kafka_add_int32(&message, 0);
    slc_kafka_add_int16(&message, code);
    for (int i = 0; i < 3; i++)
        slc_kafka_add_int64(&message, 9);
    slc_kafka_add_count(&message, true, -1);
    slc_kafka_add_int32(&message, -1);
    slc_kafka_add_bytes(&message, true, (const uint8_t *)records, strlen(records));
    for (int i = 0; i < 3; i++)
        slc_kafka_add_no_tags(&message);
    ck_assert(slc_kafka_frame_end(&message, at, &err));
    ck_assert_uint_eq(stage_send(&stage, stage.broker, message.data, message.len), message.len);
}

/* What came at an end since it was looked at last. */
static size_t receive(int fd)
{
    got_len = stage_receive(fd, got, sizeof got, NULL);
    return got_len;
}

static bool has(const char *what)
{
    return memmem(got, got_len, what, strlen(what)) != NULL;
}

/* What it waited for is there. */
static void go_on(bool request)
{
    blocked[request] = false;
    slc_session_pump(stage.session);
    stage_run(&stage);
}

START_TEST(a_request_waits_with_all_behind_it_and_answers_go_on)
{
    begin();
    fetch(0, 3);
    ck_assert_uint_gt(receive(stage.broker), 0);
    blocked[true] = true;
    produce("first");
    produce("second");
    ck_assert_uint_eq(receive(stage.broker), 0);
    answer_fetch("records");
    ck_assert_uint_gt(receive(stage.client), 0);
    ck_assert(has("changed") && !has("a.orders"));
    go_on(true);
    ck_assert_uint_gt(receive(stage.broker), 0);
    ck_assert(has("a.orders") && has("changed") && !has("first") && !has("second"));
    ck_assert_int_eq(stage.session->pauses[true].until_ms, 0);
    end();
}
END_TEST

START_TEST(an_answer_waits_and_requests_go_on)
{
    begin();
    fetch(0, 3);
    ck_assert_uint_gt(receive(stage.broker), 0);
    blocked[false] = true;
    answer_fetch("records");
    ck_assert_uint_eq(receive(stage.client), 0);
    produce("first");
    ck_assert_uint_gt(receive(stage.broker), 0);
    ck_assert(has("changed"));
    go_on(false);
    ck_assert_uint_gt(receive(stage.client), 0);
    ck_assert(has("changed") && has("orders") && !has("records"));
    ck_assert_int_eq(stage.session->pauses[false].until_ms, 0);
    end();
}
END_TEST

static int64_t errors_counted(void)
{
    const char *const labels[] = {STAGE_CLUSTER, "Fetch", "7"};
    return slc_series_value(slc_metrics_series("sluice_kafka_answer_errors_total", labels));
}

START_TEST(errors_in_an_answer_that_waits_are_counted_once)
{
    begin();
    int64_t before = errors_counted();
    code = 7;
    for (int answers = 1; answers <= 2; answers++) {
        fetch(0, 3);
        blocked[false] = true;
        answer_fetch("records");
        slc_session_pump(stage.session);
        ck_assert_uint_eq(receive(stage.client), 0);
        go_on(false);
        ck_assert_uint_gt(receive(stage.client), 0);
        ck_assert_int_eq(errors_counted() - before, answers);
    }
    ck_assert_uint_gt(asked, 2 * 2);
    end();
}
END_TEST

START_TEST(what_waits_too_long_is_asked_once_more_by_the_tick)
{
    begin();
    blocked[true] = true;
    produce("first");
    unsigned before = asked;
    slc_session_tick(stage.session, slc_monotonic_ms());
    ck_assert_uint_eq(asked, before);
    blocked[true] = false; /* the rules say what they can without */
    slc_session_tick(stage.session, slc_monotonic_ms() + 60001);
    stage_run(&stage);
    ck_assert_uint_gt(receive(stage.broker), 0);
    end();
}
END_TEST

START_TEST(a_client_that_leaves_while_it_waits_is_let_go)
{
    begin();
    blocked[true] = true;
    produce("first");
    stage_disconnect(&stage, &stage.client);
    ck_assert_uint_eq(receive(stage.broker), 0);
    go_on(true);
    ck_assert_uint_gt(receive(stage.broker), 0); /* it was taken before */
    stage_disconnect(&stage, &stage.broker);
    ck_assert_uint_eq(stage_open_sessions(&stage), 0);
    end();
}
END_TEST

START_TEST(from_where_a_session_fetches_is_remembered)
{
    begin();
    fetch(0, 3);
    answer_fetch("records");
    ck_assert_int_eq(from_offset, 3);
    fetch(1, 8); /* within a session: what is new */
    answer_fetch("records");
    ck_assert_int_eq(from_offset, 8);
    fetch(2, -1); /* nothing is */
    answer_fetch("records");
    ck_assert_int_eq(from_offset, 8);
    fetch(0, -1); /* another session, of nothing */
    answer_fetch("records");
    ck_assert_int_eq(from_offset, INT64_MIN);
    end();
}
END_TEST

UNIT_MAIN("dataplane/proxy/pause", a_request_waits_with_all_behind_it_and_answers_go_on,
          an_answer_waits_and_requests_go_on, errors_in_an_answer_that_waits_are_counted_once,
          what_waits_too_long_is_asked_once_more_by_the_tick, a_client_that_leaves_while_it_waits_is_let_go,
          from_where_a_session_fetches_is_remembered)
