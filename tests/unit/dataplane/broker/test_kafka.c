/* Against librdkafka's mock cluster: no server, no JVM. */
#include "broker_case.h"

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <openssl/rand.h>

#include "dataplane/broker/kafka_private.h"

static const slc_broker_ops *ops = &slc_broker_kafka;

struct fixture {
    rd_kafka_t *rk;
    rd_kafka_mock_cluster_t *cluster;
    slc_broker *broker;
    struct collector *c;
};

static void fixture_init(struct fixture *f)
{
    char text[256];
    f->rk = rd_kafka_new(RD_KAFKA_PRODUCER, rd_kafka_conf_new(), text, sizeof text);
    f->cluster = rd_kafka_mock_cluster_new(f->rk, 1);
    rd_kafka_mock_topic_create(f->cluster, "t", 3, 1);
    f->c = calloc(1, sizeof *f->c);
    collector_init(f->c);
    f->broker = case_open(ops, rd_kafka_mock_cluster_bootstraps(f->cluster));
    ops->topic_info(f->broker, "t", 0, 10000, case_info,
                    f->c); /* tells that it is the mock: short fetch waits */
    WAIT_UNTIL(f->c, f->c->answers == 1);
    ck_assert_int_eq(f->c->info.partitions, 3);
    f->c->answers = 0;
}

static void fixture_release(struct fixture *f)
{
    ops->close(f->broker);
    rd_kafka_mock_cluster_destroy(f->cluster);
    rd_kafka_destroy(f->rk);
    collector_release(f->c);
    free(f->c);
}

static void stop(struct fixture *f, slc_consumer *consumer)
{
    ops->stop(consumer, case_stopped, f->c);
    WAIT_UNTIL(f->c, f->c->stopped);
}

static void publish(struct fixture *f, const char *key, const void *value, size_t len)
{
    const slc_broker_header headers[] = {{"h", "1", 1}, {"h", NULL, 0}, {"h", "", 0}};
    const slc_outgoing record = {.topic = "t",
                                 .key = key,
                                 .key_len = key != NULL ? strlen(key) : 0,
                                 .value = value,
                                 .value_len = len,
                                 .headers = headers,
                                 .header_count = 3};
    slc_error err;
    ck_assert_msg(ops->publish(f->broker, &record, case_published, f->c, &err), "%s", err.message);
}

START_TEST(publishes_and_consumes_everything_faithfully)
{
    struct fixture f;
    fixture_init(&f);
    for (int i = 0; i < 1000; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%d", i % 10);
        publish(&f, key, "value", 5);
    }
    publish(&f, "gone", NULL, 0);
    publish(&f, NULL, "", 0);
    WAIT_UNTIL(f.c, f.c->answers == 1002);
    int64_t ends[3] = {0};
    for (int i = 0; i < 1002; i++) {
        ck_assert_int_eq(f.c->outcomes[i], SLC_PUBLISHED);
        ends[f.c->partitions[i]]++;
    }
    const int64_t offsets[] = {0, 0, 0};
    slc_consumer *consumer = ops->consume(f.broker, "t", case_any_id, offsets, 3, &case_callbacks, f.c);
    WAIT_UNTIL(f.c, f.c->count == 1002 && f.c->end_count >= 3);
    int64_t next[3] = {0};
    unsigned tombstones = 0, keyless = 0;
    for (size_t i = 0; i < f.c->count; i++) {
        const slc_record *record = f.c->records[i];
        ck_assert_int_eq(record->offset, next[record->partition]++);
        ck_assert_uint_eq(record->header_count, 3);
        ck_assert_mem_eq(record->headers[0].value, "1", 1);
        ck_assert_ptr_null(record->headers[1].value);
        ck_assert_ptr_nonnull(record->headers[2].value);
        tombstones += record->value == NULL;
        keyless += record->key == NULL;
        ck_assert_int_gt(record->timestamp_ms, 0);
    }
    ck_assert_uint_eq(tombstones, 1);
    ck_assert_uint_eq(keyless, 1);
    ck_assert_mem_eq(f.c->ends, ends, sizeof ends);
    stop(&f, consumer);
    fixture_release(&f);
}
END_TEST

START_TEST(a_tailing_consumer_sees_new_records)
{
    struct fixture f;
    fixture_init(&f);
    const int64_t offsets[] = {0, 0, 0};
    slc_consumer *consumer = ops->consume(f.broker, "t", case_any_id, offsets, 3, &case_callbacks, f.c);
    WAIT_UNTIL(f.c, f.c->end_count == 3);
    publish(&f, "a", "1", 1);
    WAIT_UNTIL(f.c, f.c->count == 1);
    ops->pause(consumer, true);
    ops->pause(consumer, false);
    publish(&f, "a", "2", 1);
    WAIT_UNTIL(f.c, f.c->count == 2);
    ck_assert_mem_eq(f.c->records[1]->value, "2", 1);
    /* Regression 1: what came during a pause was not taken after it until something else came. */
    ops->pause(consumer, true);
    publish(&f, "a", "3", 1);
    WAIT_UNTIL(f.c, f.c->answers == 3);
    struct timespec fetched = {.tv_nsec =
                                   300000000}; /* the mock's fetch waits 50 ms: it is in the queue by then */
    nanosleep(&fetched, NULL);
    ops->pause(consumer, false);
    WAIT_UNTIL(f.c, f.c->count == 3);
    stop(&f, consumer);
    fixture_release(&f);
}
END_TEST

static bool take_one_portion(void *ctx, slc_record **records, size_t count)
{
    case_records(ctx, records, count);
    return false;
}

/* Regression 2: a broker thread of librdkafka that found the prefetch full looked again only after a second.
 * Here the consumer pauses after all that it hands over, for long enough that the prefetch is full again, some
 * fifty times. The mock cluster forgets what is over 5 MiB of a partition: all together is less, wherever
 * librdkafka puts it. */
START_TEST(a_full_prefetch_does_not_hold_up_the_next_one)
{
    enum { RECORDS = 600, RECORD_BYTES = 8 * 1024, PORTION = 10, LIMIT_MS = 30000 };
    static const slc_consumer_callbacks callbacks = {take_one_portion, case_end, case_out_of_range, case_error};
    static char value[RECORD_BYTES];
    struct fixture f;
    case_settings.fetch_bytes = 32L * 1024;
    fixture_init(&f);
    for (unsigned i = 0; i < RECORDS; i++) {
        RAND_bytes((unsigned char *)value, sizeof value); /* nothing to compress */
        publish(&f, NULL, value, sizeof value);
        if (i % PORTION == PORTION - 1)
            WAIT_UNTIL(f.c, f.c->answers == i + 1);
    }
    const int64_t offsets[] = {0, 0, 0};
    slc_consumer *consumer = ops->consume(f.broker, "t", case_any_id, offsets, 3, &callbacks, f.c);
    const struct timespec to_fill = {.tv_nsec = 10000000};
    int64_t limit_ms = slc_monotonic_ms() + LIMIT_MS;
    size_t seen = 0, pauses = 0;
    while (seen < RECORDS && slc_monotonic_ms() < limit_ms) {
        WAIT_UNTIL(f.c, f.c->count > seen || f.c->out_of_range);
        ck_assert(!f.c->out_of_range);
        nanosleep(&to_fill, NULL);
        pthread_mutex_lock(&f.c->lock);
        seen = f.c->count;
        pthread_mutex_unlock(&f.c->lock);
        ops->pause(consumer, false);
        pauses++;
    }
    ck_assert_msg(seen == RECORDS, "%zu of %d records within %d ms, %zu pauses", seen, RECORDS, LIMIT_MS,
                  pauses);
    stop(&f, consumer);
    fixture_release(&f);
}
END_TEST

START_TEST(offsets_past_the_end_are_out_of_range_until_a_seek)
{
    struct fixture f;
    fixture_init(&f);
    publish(&f, "a", "1", 1);
    WAIT_UNTIL(f.c, f.c->answers == 1);
    int32_t partition = f.c->partitions[0];
    int64_t offsets[] = {0, 0, 0};
    offsets[partition] = 50;
    slc_consumer *consumer = ops->consume(f.broker, "t", case_any_id, offsets, 3, &case_callbacks, f.c);
    WAIT_UNTIL(f.c, f.c->out_of_range);
    ck_assert_int_eq(f.c->requested, 50);
    ck_assert_int_eq(f.c->earliest, 0);
    ck_assert_int_eq(f.c->latest, 1);
    ops->seek(consumer, partition, 0);
    WAIT_UNTIL(f.c, f.c->count == 1);
    stop(&f, consumer);
    fixture_release(&f);
}
END_TEST

START_TEST(offsets_are_answered_and_times_refused_by_the_mock)
{
    struct fixture f;
    fixture_init(&f);
    publish(&f, "a", "1", 1);
    WAIT_UNTIL(f.c, f.c->answers == 1);
    int32_t partition = f.c->partitions[0];
    ops->offsets(f.broker, "t", 3, SLC_OFFSET_LATEST, 5000, case_offsets, f.c);
    WAIT_UNTIL(f.c, f.c->answers == 2);
    ck_assert_int_eq(f.c->offsets[partition], 1);
    ops->offsets(f.broker, "t", 3, 1700000000000, 5000, case_offsets, f.c);
    WAIT_UNTIL(f.c, f.c->answers == 3);
    ck_assert_int_eq(f.c->err.code, SLC_UNSUPPORTED);
    fixture_release(&f);
}
END_TEST

START_TEST(a_missing_topic_is_said_and_not_made)
{
    struct fixture f;
    case_settings.publish_deadline_ms = 8000; /* a topic is missing after a part of that */
    fixture_init(&f);
    /* The mock makes any topic that it is asked for, whatever the client wants, unless told so. */
    rd_kafka_mock_topic_set_error(f.cluster, "missing", RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
    ops->topic_info(f.broker, "missing", 0, 5000, case_info, f.c);
    WAIT_UNTIL(f.c, f.c->answers == 1);
    ck_assert_int_eq(f.c->err.code, SLC_NOT_FOUND);
    const slc_outgoing record = {.topic = "missing", .value = "v", .value_len = 1};
    slc_error err;
    ck_assert(ops->publish(f.broker, &record, case_published, f.c, &err));
    WAIT_UNTIL(f.c, f.c->answers == 2);
    ck_assert_int_eq(f.c->outcomes[1], SLC_TOPIC_MISSING);
    fixture_release(&f);
}
END_TEST

START_TEST(what_fails_in_company_is_sent_alone)
{
    struct fixture f;
    fixture_init(&f);
    rd_kafka_mock_push_request_errors(f.cluster, 0 /* Produce */, 1, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
    publish(&f, "a", "1", 1);
    WAIT_UNTIL(f.c, f.c->answers == 1);
    ck_assert_int_eq(f.c->outcomes[0], SLC_PUBLISHED);
    fixture_release(&f);
}
END_TEST

START_TEST(a_dead_cluster_is_decided_within_the_deadline)
{
    struct fixture f;
    char text[256];
    int64_t since;
    case_settings.publish_deadline_ms = 4000;
    fixture_init(&f);
    publish(&f, "a", "1", 1);
    WAIT_UNTIL(f.c, f.c->answers == 1);
    ck_assert(ops->health(f.broker, text, sizeof text, &since));
    const int64_t offsets[] = {0, 0, 0};
    slc_consumer *consumer = ops->consume(f.broker, "t", case_any_id, offsets, 3, &case_callbacks, f.c);
    WAIT_UNTIL(f.c, f.c->count == 1);
    rd_kafka_mock_broker_set_down(f.cluster, 1);
    int64_t started = slc_monotonic_ms();
    publish(&f, "a", "2", 1);
    WAIT_UNTIL(f.c, f.c->answers == 2);
    ck_assert_int_lt(slc_monotonic_ms() - started, case_settings.publish_deadline_ms + 10000);
    ck_assert_msg(f.c->outcomes[1] == SLC_NOT_PERSISTED || f.c->outcomes[1] == SLC_OUTCOME_UNKNOWN,
                  "outcome %d", f.c->outcomes[1]);
    WAIT_UNTIL(f.c, f.c->errors > 0);
    ck_assert(!ops->health(f.broker, text, sizeof text, &since));
    ck_assert_uint_gt(strlen(text), 0);
    rd_kafka_mock_broker_set_up(f.cluster, 1);
    WAIT_UNTIL(f.c, f.c->recoveries > 0);
    ck_assert(ops->health(f.broker, text, sizeof text, &since));
    publish(&f, "a", "3", 1);
    WAIT_UNTIL(f.c, f.c->answers == 3 && f.c->count >= 2);
    ck_assert_int_eq(f.c->outcomes[2], SLC_PUBLISHED);
    stop(&f, consumer);
    fixture_release(&f);
}
END_TEST

static bool is_up(const struct fixture *f, char *text, size_t size)
{
    int64_t since;
    return ops->health(f->broker, text, size, &since);
}

static void wait_up(const struct fixture *f, bool up, char *text, size_t size)
{
    const struct timespec pause = {.tv_nsec = 10000000};
    int64_t until_ms = slc_monotonic_ms() + 40000;
    while (is_up(f, text, size) != up) {
        ck_assert_int_lt(slc_monotonic_ms(), until_ms);
        nanosleep(&pause, NULL);
    }
}

static void say_down(const struct fixture *f, enum slc_kafka_trouble trouble, const char *why)
{
    slc_error err;
    slc_fail(&err, SLC_UNAVAILABLE, NULL, "%s", why);
    slc_kafka_set_down((slc_kafka *)f->broker, trouble, &err);
}

/* The cluster is down, so that the pings say SLC_KAFKA_SILENT in between. */
START_TEST(health_says_the_cause_and_not_what_follows_from_it)
{
    struct fixture f;
    char text[256];
    fixture_init(&f);
    rd_kafka_mock_broker_set_down(f.cluster, 1);
    wait_up(&f, false, text, sizeof text);
    say_down(&f, SLC_KAFKA_REFUSED, "the certificate");
    say_down(&f, SLC_KAFKA_SILENT, "nobody answers");
    ck_assert(!is_up(&f, text, sizeof text));
    ck_assert_str_eq(text, "the certificate");
    say_down(&f, SLC_KAFKA_REFUSED, "another certificate");
    ck_assert(!is_up(&f, text, sizeof text));
    ck_assert_str_eq(text, "another certificate");
    say_down(&f, SLC_KAFKA_DENIED, "the password");
    say_down(&f, SLC_KAFKA_REFUSED, "the certificate");
    ck_assert(!is_up(&f, text, sizeof text));
    ck_assert_str_eq(text, "the password");
    rd_kafka_mock_broker_set_up(f.cluster, 1);
    wait_up(&f, true, text, sizeof text);
    rd_kafka_mock_broker_set_down(f.cluster, 1);
    wait_up(&f, false, text, sizeof text);
    ck_assert_str_ne(text, "the password");
    fixture_release(&f);
}
END_TEST

START_TEST(a_full_queue_refuses)
{
    struct fixture f;
    fixture_init(&f);
    rd_kafka_mock_broker_set_down(f.cluster, 1);
    char *big = calloc(1, 1024 * 1024);
    const slc_outgoing record = {.topic = "t", .value = big, .value_len = 1024 * 1024};
    slc_error err = {0};
    unsigned accepted = 0;
    while (accepted < 100 && ops->publish(f.broker, &record, case_published, f.c, &err))
        accepted++;
    ck_assert_uint_eq(accepted, 7);
    ck_assert_int_eq(err.code, SLC_LIMIT);
    free(big);
    fixture_release(&f); /* close waits until they are decided */
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("kafka");
    TCase *tcase = tcase_create("mock cluster");
    tcase_set_timeout(tcase, 90);
    suite_add_tcase(suite, tcase);
    tcase_add_test(tcase, publishes_and_consumes_everything_faithfully);
    tcase_add_test(tcase, a_tailing_consumer_sees_new_records);
    tcase_add_test(tcase, offsets_past_the_end_are_out_of_range_until_a_seek);
    tcase_add_test(tcase, offsets_are_answered_and_times_refused_by_the_mock);
    tcase_add_test(tcase, a_missing_topic_is_said_and_not_made);
    tcase_add_test(tcase, what_fails_in_company_is_sent_alone);
    tcase_add_test(tcase, a_dead_cluster_is_decided_within_the_deadline);
    tcase_add_test(tcase, health_says_the_cause_and_not_what_follows_from_it);
    tcase_add_test(tcase, a_full_queue_refuses);
    tcase = tcase_create("full prefetch");
    tcase_set_timeout(tcase, 90);
    suite_add_tcase(suite, tcase);
    tcase_add_test(tcase, a_full_prefetch_does_not_hold_up_the_next_one);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
