/* question: a Metadata request of the gateway's own, and everything that can come of it. */
#include <check.h>
#include <event2/event.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dataplane/kafka/encode.h"
#include "dataplane/proxy/question.h"
#include "tests/unit/common/unit.h"

static struct event_base *base;
static int broker;
static unsigned called;
static size_t brokers;
static char host[SLC_KAFKA_HOST_MAX + 1];
static slc_error why;

static void on_answer(void *ctx, const slc_kafka_metadata *metadata, const slc_error *err)
{
    ck_assert_ptr_eq(ctx, &called);
    called++;
    if (metadata == NULL) {
        why = *err;
        return;
    }
    brokers = metadata->n_brokers;
    strcpy(host, metadata->brokers[0].host);
}

static slc_question *ask(int16_t max_version, int64_t timeout_ms)
{
    int pair[2];
    slc_kafka_api_versions versions = {0};
    versions.of[SLC_KAFKA_METADATA_KEY].max = max_version;
    base = event_base_new();
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    broker = pair[0];
    return slc_question_ask(base, pair[1], NULL, &versions, timeout_ms, on_answer, &called);
}

static void run(void)
{
    for (int i = 0; i < 16; i++)
        event_base_loop(base, EVLOOP_NONBLOCK);
}

static void end(void)
{
    close(broker);
    event_base_free(base);
}

static void make_answer(slc_buf *out)
{
    slc_error err = {0};
    slc_buf_init(out, 4096);
    size_t at = slc_kafka_response_begin(out, SLC_KAFKA_METADATA_KEY, SLC_KAFKA_METADATA_VERSION, 1);
    slc_kafka_add_int32(out, 0);
    slc_kafka_add_count(out, true, 1);
    slc_kafka_add_int32(out, 7);
    slc_kafka_add_string(out, true, "kafka-7", 7);
    slc_kafka_add_int32(out, 9092);
    slc_kafka_add_string(out, true, NULL, 0);
    slc_kafka_add_no_tags(out);
    slc_kafka_add_string(out, true, "cluster", 7);
    slc_kafka_add_int32(out, 7);
    slc_kafka_add_count(out, true, 0);
    slc_kafka_add_no_tags(out);
    ck_assert(slc_kafka_frame_end(out, at, &err));
}

START_TEST(the_answer_may_come_in_pieces)
{
    uint8_t request[512];
    slc_buf answer;
    ask(SLC_KAFKA_METADATA_VERSION, 60000);
    run();
    ck_assert_int_gt(recv(broker, request, sizeof request, 0), 8);
    make_answer(&answer);
    for (size_t i = 0; i < answer.len; i++) {
        ck_assert_uint_eq(called, 0);
        ck_assert_int_eq(send(broker, answer.data + i, 1, 0), 1);
        run();
    }
    ck_assert_uint_eq(called, 1);
    ck_assert_uint_eq(brokers, 1);
    ck_assert_str_eq(host, "kafka-7");
    slc_buf_release(&answer);
    end();
}
END_TEST

START_TEST(a_broker_that_closes_or_talks_nonsense_is_an_error)
{
    static const char nonsense[] = "HTTP/1.1 400 Bad Request\r\n\r\n";
    ask(SLC_KAFKA_METADATA_VERSION, 60000);
    run();
    shutdown(broker, SHUT_RDWR);
    run();
    ck_assert_uint_eq(called, 1);
    ck_assert_int_eq(why.code, SLC_UNAVAILABLE);
    end();
    ask(SLC_KAFKA_METADATA_VERSION, 60000);
    ck_assert_int_gt(send(broker, nonsense, sizeof nonsense, 0), 0);
    run();
    ck_assert_uint_eq(called, 2);
    ck_assert_int_eq(why.code, SLC_INVALID);
    end();
}
END_TEST

START_TEST(silence_and_old_brokers_are_errors)
{
    ask(SLC_KAFKA_METADATA_VERSION, 1);
    event_base_loop(base, EVLOOP_ONCE); /* the request goes out, or the time is over */
    while (called == 0)
        event_base_loop(base, EVLOOP_ONCE);
    ck_assert_int_eq(why.code, SLC_TIMEOUT);
    end();
    ask(SLC_KAFKA_METADATA_VERSION - 1, 60000);
    while (called == 1)
        event_base_loop(base, EVLOOP_ONCE);
    ck_assert_int_eq(why.code, SLC_UNSUPPORTED);
    end();
}
END_TEST

START_TEST(it_may_be_given_up)
{
    slc_question_free(ask(SLC_KAFKA_METADATA_VERSION, 60000));
    slc_question_free(NULL);
    run();
    ck_assert_uint_eq(called, 0);
    ck_assert_int_eq(recv(broker, host, 1, 0), 0); /* closed */
    end();
}
END_TEST

UNIT_MAIN("dataplane/proxy/question", the_answer_may_come_in_pieces,
          a_broker_that_closes_or_talks_nonsense_is_an_error, silence_and_old_brokers_are_errors,
          it_may_be_given_up)
