#include "broker_case.h"
#include "dataplane/broker/memory.h"

static const slc_broker_ops *ops = &slc_broker_memory;

static void append(slc_broker *broker, int32_t partition, const char *value)
{
    const slc_record parts = {.partition = partition,
                              .leader_epoch = -1,
                              .value = (const uint8_t *)value,
                              .value_len = (uint32_t)strlen(value)};
    slc_memory_append(broker, "t", &parts);
}

START_TEST(consumes_from_offsets_and_tells_the_end)
{
    struct collector *c = calloc(1, sizeof *c);
    collector_init(c);
    slc_broker *broker = case_open(ops, "memory");
    slc_memory_topic_create(broker, "t", 2);
    for (int i = 0; i < 200; i++)
        append(broker, i % 2, "x");
    const int64_t offsets[] = {90, 0};
    slc_consumer *consumer = ops->consume(broker, "t", case_any_id, offsets, 2, &case_callbacks, c);
    WAIT_UNTIL(c, c->count == 110 && c->end_count == 2);
    ck_assert_int_eq(c->ends[0], 100);
    append(broker, 1, "y");
    WAIT_UNTIL(c, c->count == 111 && c->ends[1] == 101);
    ops->stop(consumer, case_stopped, c);
    WAIT_UNTIL(c, c->stopped);
    ops->close(broker);
    collector_release(c);
    free(c);
}
END_TEST

START_TEST(an_expired_offset_waits_for_a_seek)
{
    struct collector *c = calloc(1, sizeof *c);
    collector_init(c);
    slc_broker *broker = case_open(ops, "memory");
    slc_memory_topic_create(broker, "t", 1);
    for (int i = 0; i < 10; i++)
        append(broker, 0, "x");
    slc_memory_expire(broker, "t", 0, 6);
    const int64_t offsets[] = {2};
    slc_consumer *consumer = ops->consume(broker, "t", case_any_id, offsets, 1, &case_callbacks, c);
    WAIT_UNTIL(c, c->out_of_range);
    ck_assert_int_eq(c->requested, 2);
    ck_assert_int_eq(c->earliest, 6);
    ck_assert_int_eq(c->latest, 10);
    ops->seek(consumer, 0, 6);
    WAIT_UNTIL(c, c->count == 4);
    ops->stop(consumer, case_stopped, c);
    WAIT_UNTIL(c, c->stopped);
    ops->close(broker);
    collector_release(c);
    free(c);
}
END_TEST

START_TEST(an_outage_is_told_and_so_is_its_end)
{
    struct collector *c = calloc(1, sizeof *c);
    collector_init(c);
    slc_broker *broker = case_open(ops, "memory");
    slc_memory_topic_create(broker, "t", 1);
    const int64_t offsets[] = {0};
    slc_consumer *consumer = ops->consume(broker, "t", case_any_id, offsets, 1, &case_callbacks, c);
    slc_memory_set_down(broker, true);
    WAIT_UNTIL(c, c->errors == 1);
    const slc_outgoing record = {.topic = "t", .value = "v", .value_len = 1};
    slc_error err;
    ck_assert(ops->publish(broker, &record, case_published, c, &err));
    WAIT_UNTIL(c, c->answers == 1);
    ck_assert_int_eq(c->outcomes[0], SLC_NOT_PERSISTED);
    slc_memory_set_down(broker, false);
    WAIT_UNTIL(c, c->recoveries == 1);
    ck_assert(ops->publish(broker, &record, case_published, c, &err));
    WAIT_UNTIL(c, c->answers == 2 && c->count == 1);
    ck_assert_int_eq(c->outcomes[1], SLC_PUBLISHED);
    ops->stop(consumer, case_stopped, c);
    WAIT_UNTIL(c, c->stopped);
    ops->close(broker);
    collector_release(c);
    free(c);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("memory");
    TCase *tcase = tcase_create("memory");
    tcase_set_timeout(tcase, 60);
    suite_add_tcase(suite, tcase);
    tcase_add_test(tcase, consumes_from_offsets_and_tells_the_end);
    tcase_add_test(tcase, an_expired_offset_waits_for_a_seek);
    tcase_add_test(tcase, an_outage_is_told_and_so_is_its_end);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
