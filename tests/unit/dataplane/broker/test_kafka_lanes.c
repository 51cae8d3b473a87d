/* Which records go to librdkafka when, and by which producer. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/broker/kafka_lanes.h"

#define RECORDS 400

/* What was sent, in order. */
struct sent {
    int number;
    enum slc_lane_way way;
    int32_t wish;
};

struct fixture {
    slc_lanes lanes;
    slc_lane_item items[RECORDS];
    struct sent sent[RECORDS];
    int staged, count;
    bool refuse; /* what is sent leaves at once */
};

static void take(void *owner, slc_lane_item *item, enum slc_lane_way way, int32_t wish)
{
    struct fixture *f = owner;
    f->sent[f->count++] = (struct sent){(int)(item - f->items), way, wish};
    if (f->refuse)
        slc_lane_leave(&f->lanes, item);
}

static struct fixture *fixture_new(int64_t gather_ms)
{
    struct fixture *f = calloc(1, sizeof *f);
    slc_lanes_init(&f->lanes, gather_ms, take, f);
    return f;
}

static void fixture_free(struct fixture *f)
{
    slc_lanes_release(&f->lanes);
    free(f);
}

static void stage(struct fixture *f, int count, const char *key, int32_t partitions, size_t bytes,
                  int64_t now_ms)
{
    for (int i = 0; i < count; i++) {
        slc_lane_wish wish = {.topic = "t",
                              .key = key,
                              .key_len = key != NULL ? strlen(key) : 0,
                              .partitions = partitions,
                              .request_bytes = 10000};
        slc_lane_item *item = &f->items[f->staged++];
        item->bytes = bytes;
        slc_lanes_stage(&f->lanes, item, &wish, now_ms);
    }
}

static void decide(struct fixture *f, int from, int to)
{
    for (int i = from; i < to; i++)
        slc_lane_leave(&f->lanes, &f->items[f->sent[i].number]);
}

static void ck_in_order(const struct fixture *f)
{
    for (int i = 0; i < f->count; i++)
        ck_assert_int_eq(f->sent[i].number, i);
}

START_TEST(no_more_than_four_of_a_partition_are_under_way)
{
    struct fixture *f = fixture_new(1);
    stage(f, 10, "k", 3, 100, 1000);
    ck_assert_int_eq(slc_lanes_serve(&f->lanes, 1000), 100);
    ck_assert_int_eq(f->count, 4);
    ck_assert_int_eq(f->sent[0].way, SLC_LANE_QUICK);
    ck_assert_int_eq(f->sent[0].wish, -1);
    slc_lanes_serve(&f->lanes, 1050);
    ck_assert_int_eq(f->count, 4);
    decide(f, 0, 4);
    slc_lanes_serve(&f->lanes, 1050);
    ck_assert_int_eq(f->count, 8);
    decide(f, 4, 8);
    ck_assert_int_eq(slc_lanes_serve(&f->lanes, 1050), -1);
    ck_assert_int_eq(f->count, 10);
    ck_in_order(f);
    decide(f, 8, 10);
    ck_assert_uint_eq(f->lanes.under_way, 0);
    fixture_free(f);
}
END_TEST

START_TEST(what_waits_for_few_goes_after_a_while)
{
    struct fixture *f = fixture_new(2);
    stage(f, 2, "k", 3, 100, 1000);
    slc_lanes_serve(&f->lanes, 1000);
    stage(f, 3, "k", 3, 100, 1001);
    ck_assert_int_eq(slc_lanes_serve(&f->lanes, 1001), 2);
    ck_assert_int_eq(f->count, 2);
    ck_assert_int_eq(slc_lanes_serve(&f->lanes, 1003), 98); /* the fifth waits for the others */
    ck_assert_int_eq(f->count, 4);
    decide(f, 0, 1);
    slc_lanes_serve(&f->lanes, 1004);
    ck_assert_int_eq(f->count, 5);
    ck_in_order(f);
    decide(f, 1, 5);
    fixture_free(f);
}
END_TEST

START_TEST(many_go_together_up_to_a_request)
{
    struct fixture *f = fixture_new(1);
    stage(f, 150, "k", 3, 100, 1000);
    slc_lanes_serve(&f->lanes, 1000);
    ck_assert_int_eq(f->count, 100); /* of 100 bytes: a request */
    ck_assert_int_eq(f->sent[99].way, SLC_LANE_BULK);
    decide(f, 0, 99);
    slc_lanes_serve(&f->lanes, 1001);
    ck_assert_int_eq(f->count, 100); /* the other producer would not keep the order */
    decide(f, 99, 100);
    slc_lanes_serve(&f->lanes, 1001);
    ck_assert_int_eq(f->count, 104);
    ck_assert_int_eq(f->sent[100].way, SLC_LANE_QUICK);
    decide(f, 100, 104);
    stage(f, 1, "k", 3, 20000, 1001); /* more than a request: by itself */
    while (slc_lanes_serve(&f->lanes, 1001) >= 0)
        decide(f, 104, f->count);
    ck_in_order(f);
    ck_assert_int_eq(f->count, 151);
    decide(f, 104, 151);
    fixture_free(f);
}
END_TEST

START_TEST(a_partition_that_does_not_answer_holds_up_itself_and_not_for_ever)
{
    struct fixture *f = fixture_new(1);
    stage(f, 8, "k", 3, 100, 1000);
    slc_lanes_serve(&f->lanes, 1000);
    stage(f, 1, "other", 3, 100, 1001); /* murmur2: not the partition of "k" */
    slc_lanes_serve(&f->lanes, 1001);
    ck_assert_int_eq(f->count, 5);
    ck_assert_int_eq(f->sent[4].number, 8);
    ck_assert_int_eq(slc_lanes_serve(&f->lanes, 1099), 1);
    ck_assert_int_eq(f->count, 5);
    ck_assert_int_eq(slc_lanes_serve(&f->lanes, 1100), -1);
    ck_assert_int_eq(f->count, 9);
    decide(f, 0, 9);
    fixture_free(f);
}
END_TEST

START_TEST(without_a_key_they_take_partitions_that_are_free)
{
    struct fixture *f = fixture_new(1);
    int32_t seen[8] = {0};
    for (int i = 0; i < 3; i++) {
        stage(f, 1, NULL, 8, 100, 1000);
        slc_lanes_serve(&f->lanes, 1000);
    }
    ck_assert_int_eq(f->count, 3);
    stage(f, 6, NULL, 8, 100, 1000); /* three are busy: company first */
    ck_assert_int_eq(slc_lanes_serve(&f->lanes, 1000), 1);
    ck_assert_int_eq(f->count, 3);
    slc_lanes_serve(&f->lanes, 1001);
    ck_assert_int_eq(f->count, 9);
    for (int i = 0; i < f->count; i++)
        seen[f->sent[i].wish]++;
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(seen[i], 1);
    ck_assert_int_eq(seen[3], 4);
    ck_assert_int_eq(seen[4], 2);
    decide(f, 0, 9);
    fixture_free(f);
}
END_TEST

START_TEST(without_a_key_none_waits_for_ever_either)
{
    struct fixture *f = fixture_new(1);
    stage(f, 8, NULL, 1, 100, 1000);
    ck_assert_int_eq(slc_lanes_serve(&f->lanes, 1000), 1);
    ck_assert_int_eq(slc_lanes_serve(&f->lanes, 1001), 99);
    ck_assert_int_eq(f->count, 4);
    slc_lanes_serve(&f->lanes, 1100);
    ck_assert_int_eq(f->count, 8);
    decide(f, 0, 8);
    fixture_free(f);
}
END_TEST

START_TEST(nothing_waits_when_nothing_shall_gather)
{
    struct fixture *f = fixture_new(0);
    stage(f, 200, "k", 3, 100, 1000);
    stage(f, 100, NULL, 3, 100, 1000);
    ck_assert_int_eq(slc_lanes_serve(&f->lanes, 1000), -1);
    ck_assert_int_eq(f->count, 300);
    decide(f, 0, 300);
    fixture_free(f);
}
END_TEST

START_TEST(what_is_refused_leaves_the_lane_free)
{
    struct fixture *f = fixture_new(1);
    f->refuse = true;
    stage(f, 30, "k", 0, 100, 1000); /* partitions unknown */
    stage(f, 30, NULL, 0, 100, 1000);
    stage(f, 30, "k", 6, 100, 1000); /* and more than before */
    ck_assert_int_eq(slc_lanes_serve(&f->lanes, 1000), -1);
    ck_assert_int_eq(f->count, 90);
    ck_assert_uint_eq(f->lanes.under_way, 0);
    fixture_free(f);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("kafka_lanes");
    TCase *tcase = tcase_create("lanes");
    tcase_set_timeout(tcase, 60);
    suite_add_tcase(suite, tcase);
    tcase_add_test(tcase, no_more_than_four_of_a_partition_are_under_way);
    tcase_add_test(tcase, what_waits_for_few_goes_after_a_while);
    tcase_add_test(tcase, many_go_together_up_to_a_request);
    tcase_add_test(tcase, a_partition_that_does_not_answer_holds_up_itself_and_not_for_ever);
    tcase_add_test(tcase, without_a_key_they_take_partitions_that_are_free);
    tcase_add_test(tcase, without_a_key_none_waits_for_ever_either);
    tcase_add_test(tcase, nothing_waits_when_nothing_shall_gather);
    tcase_add_test(tcase, what_is_refused_leaves_the_lane_free);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
