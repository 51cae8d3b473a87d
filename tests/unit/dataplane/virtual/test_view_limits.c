/* How much a namespace may hold, with which configurations, and what is told of that. */
#include "view_case.h"

/* CreateTopics version 2 of topics "x", "y", ... with so many partitions each; the first has a configuration.
 */
static void create(int count, int32_t partitions, const char *config)
{
    slc_buf_clear(&in);
    slc_kafka_add_count(&in, OLD, count);
    for (int i = 0; i < count; i++) {
        const char name[] = {(char)('x' + i), '\0'};
        text(&in, OLD, name);
        slc_kafka_add_int32(&in, partitions);
        slc_kafka_add_int16(&in, 1);
        slc_kafka_add_count(&in, OLD, 0); /* assignments */
        slc_kafka_add_count(&in, OLD, i == 0 && config != NULL);
        if (i == 0 && config != NULL) {
            text(&in, OLD, config);
            text(&in, OLD, "1");
        }
    }
    slc_kafka_add_int32(&in, 1000);
    slc_kafka_add_int8(&in, 0);
}

/* Metadata version 0 of topics that there are. */
static void there_are(const char *const *topics, int count)
{
    slc_buf there;
    slc_buf_init(&there, 1000);
    slc_kafka_add_count(&there, OLD, 0); /* brokers */
    slc_kafka_add_count(&there, OLD, count);
    for (int i = 0; i < count; i++) {
        slc_kafka_add_int16(&there, 0);
        text(&there, OLD, topics[i]);
        slc_kafka_add_count(&there, OLD, 1);
        slc_kafka_add_int16(&there, 0);
        for (int j = 0; j < 2; j++) /* partition, leader */
            slc_kafka_add_int32(&there, 0);
        slc_kafka_add_count(&there, OLD, 0);
        slc_kafka_add_count(&there, OLD, 0);
    }
    ck_assert_msg(slc_view_learn(&view, 0, there.data, there.len, &err), "%s", err.message);
    slc_buf_release(&there);
}

START_TEST(topics_over_a_limit_are_refused_one_by_one)
{
    static const char *const topics[] = {"a.old", "b.other", "a.older"};
    open_view(HIDE);
    msg.max_topics = 4;
    create(3, 1, NULL);
    ck_assert_int_eq(map(19, 2, false), SLC_VIEW_COUNT);
    there_are(topics, 3);
    ck_assert_int_eq(map(19, 2, true), SLC_VIEW_SEND);
    ck_assert(has(&out, "a.x", 3) && has(&out, "a.y", 3) && !has(&out, "a.z", 3) && has(&out, "a.\x1fz", 4));
    now_ms = 3600000; /* the list would show those that were made */
    msg.max_topics = 0;
    msg.max_partitions = 5;
    create(3, 2, NULL);
    ck_assert_int_eq(map(19, 2, false), SLC_VIEW_COUNT);
    there_are(topics, 3);
    ck_assert_int_eq(map(19, 2, true), SLC_VIEW_SEND);
    ck_assert(has(&out, "a.x", 3) && has(&out, "a.\x1fy", 4) && has(&out, "a.\x1fz", 4));
    close_view();
}
END_TEST

START_TEST(a_name_with_a_nul_is_counted_whole)
{
    static const char name[] = "x\0of a length that no text has which ends where a NUL is";
    open_view(HIDE);
    msg.max_topics = 4;
    for (int i = 0; i < 3; i++) { /* from the second on it was made lately */
        slc_buf_clear(&in);
        slc_kafka_add_count(&in, OLD, 1);
        slc_kafka_add_string(&in, OLD, name, sizeof name);
        slc_kafka_add_int32(&in, 1);
        slc_kafka_add_int16(&in, 1);
        slc_kafka_add_count(&in, OLD, 0); /* assignments */
        slc_kafka_add_count(&in, OLD, 0); /* configurations */
        slc_kafka_add_int32(&in, 1000);
        slc_kafka_add_int8(&in, 0);
        ck_assert_int_eq(map(19, 2, false), SLC_VIEW_COUNT);
        there_are(NULL, 0);
        ck_assert_int_eq(map(19, 2, true), SLC_VIEW_SEND);
        ck_assert(has(&out, name, sizeof name));
    }
    close_view();
}
END_TEST

START_TEST(topics_with_a_configuration_that_is_not_allowed_are_refused_one_by_one)
{
    static char *allowed[] = {"retention.ms"};
    open_view(HIDE);
    msg.topic_configs = allowed;
    msg.n_topic_configs = 1;
    create(2, 1, "cleanup.policy");
    ck_assert_int_eq(map(19, 2, false), SLC_VIEW_SEND);
    ck_assert(has(&out, "a.\x1fx", 4) && has(&out, "a.y", 3));
    create(2, 1, "retention.ms");
    ck_assert_int_eq(map(19, 2, false), SLC_VIEW_SEND);
    ck_assert(has(&out, "a.x", 3) && has(&out, "a.y", 3));
    close_view();
}
END_TEST

/* Metadata version 1 or 9 of one topic that the broker takes for impossible. */
static bool is_told_that_it_is_not_there(int version, const char *topic)
{
    bool compact = version == 9;
    slc_buf_clear(&in);
    if (compact)
        slc_kafka_add_int32(&in, 0);
    slc_kafka_add_count(&in, compact, 0); /* brokers */
    if (compact)
        text(&in, COMPACT, "cluster");
    slc_kafka_add_int32(&in, 1);
    slc_kafka_add_count(&in, compact, 1);
    slc_kafka_add_int16(&in, 17);
    text(&in, compact, topic);
    slc_kafka_add_int8(&in, 0);
    slc_kafka_add_count(&in, compact, 0);
    if (compact) {
        slc_kafka_add_int32(&in, 0);
        slc_kafka_add_no_tags(&in);
        slc_kafka_add_int32(&in, 0);
        slc_kafka_add_no_tags(&in);
    }
    ck_assert_msg(unmap(3, version, false), "%s", err.message);
    bool invalid = has(&out, "\0\x11", 2), unknown = has(&out, "\0\3", 2);
    ck_assert(invalid != unknown);
    return unknown;
}

/* AlterConfigs version 2 or IncrementalAlterConfigs version 1, of one configuration of each topic. */
static void alter(int key, const char *const names_and_configs[][2], int count)
{
    slc_buf_clear(&in);
    slc_kafka_add_count(&in, COMPACT, count);
    for (int i = 0; i < count; i++) {
        slc_kafka_add_int8(&in, SLC_KAFKA_CONFIG_TOPIC);
        text(&in, COMPACT, names_and_configs[i][0]);
        slc_kafka_add_count(&in, COMPACT, 1);
        text(&in, COMPACT, names_and_configs[i][1]);
        if (key == 44)
            slc_kafka_add_int8(&in, 0);
        text(&in, COMPACT, "1");
        slc_kafka_add_no_tags(&in);
        slc_kafka_add_no_tags(&in);
    }
    slc_kafka_add_int8(&in, 0);
    slc_kafka_add_no_tags(&in);
}

/* Their answer: the name comes behind the error. */
static void altered(const char *const names_and_texts[][2], int count)
{
    slc_buf_clear(&in);
    slc_kafka_add_int32(&in, 0);
    slc_kafka_add_count(&in, COMPACT, count);
    for (int i = 0; i < count; i++) {
        slc_kafka_add_int16(&in, names_and_texts[i][1] != NULL ? 3 : 0);
        text(&in, COMPACT, names_and_texts[i][1]);
        slc_kafka_add_int8(&in, SLC_KAFKA_CONFIG_TOPIC);
        text(&in, COMPACT, names_and_texts[i][0]);
        slc_kafka_add_no_tags(&in);
    }
    slc_kafka_add_no_tags(&in);
}

START_TEST(a_configuration_that_is_not_allowed_is_refused_topic_by_topic)
{
    static char *allowed[] = {"retention.ms"};
    static const char *const changes[][2] = {
        {"x", "cleanup.policy"}, {"y", "retention.ms"}, {"z", "retention.ms"}};
    static const char *const answers[][2] = {{"a.\x1fx", "no topic"}, {"a.y", NULL}, {"a.z", "no topic"}};
    static const uint8_t violation[] = {0, 44}, unknown[] = {0, 3, 9, 'n', 'o'};
    open_view(HIDE);
    msg.topic_configs = allowed;
    msg.n_topic_configs = 1;
    for (int key = 33; key <= 44; key += 11) {
        int version = key == 33 ? 2 : 1;
        alter(key, changes, 3);
        ck_assert_int_eq(map(key, version, false), SLC_VIEW_SEND);
        ck_assert(has(&out, "a.\x1fx", 4) && !has(&out, "a.x", 3) && has(&out, "a.y", 3) &&
                  has(&out, "a.z", 3));
        ck_assert_int_ne(request.denied, 0);
        altered(answers, 3);
        ck_assert(unmap(key, version, false));
        ck_assert(has(&out, violation, 2) && has(&out, "of configurations retention.ms", 30));
        ck_assert(has(&out, unknown, sizeof unknown)); /* z is not there: the broker's own word */
        ck_assert(has(&out, "\2x", 2) && has(&out, "\2y", 2) && !has(&out, "a.", 2));
        alter(key, changes + 1, 2);
        ck_assert_int_eq(map(key, version, false), SLC_VIEW_SEND);
        ck_assert_int_eq(request.denied, 0);
    }
    close_view();
}
END_TEST

START_TEST(a_topic_that_filters_leave_out_is_not_there)
{
    static char *filter[] = {"other"};
    open_view(HIDE);
    ck_assert(!is_told_that_it_is_not_there(9, "a.\x1forders"));
    msg.topic_filter = filter;
    msg.n_topic_filter = 1;
    ck_assert(is_told_that_it_is_not_there(1, "a.\x1forders"));
    ck_assert(is_told_that_it_is_not_there(9, "a.\x1forders"));
    ck_assert(!is_told_that_it_is_not_there(9, "a.\x1f.."));
    ck_assert(!is_told_that_it_is_not_there(9, "a.\x1fno good"));
    ck_assert(!is_told_that_it_is_not_there(9, "a.other"));
    close_view();
}
END_TEST

/* CreateTopics version 2. */
static void created(const char *topic, int16_t code)
{
    slc_buf_clear(&in);
    slc_kafka_add_int32(&in, 0);
    slc_kafka_add_count(&in, OLD, 1);
    text(&in, OLD, topic);
    slc_kafka_add_int16(&in, code);
    text(&in, OLD, "words of the broker");
}

START_TEST(a_refusal_by_a_limit_says_what_the_limit_is)
{
    static const uint8_t violation[] = {0, 44}, controller[] = {0, 41};
    open_view(HIDE);
    msg.max_topics = 3;
    created("a.\x1fx", 17);
    ck_assert(unmap(19, 2, false));
    ck_assert(has(&out, violation, 2) && has(&out, "3 topics", 8) && !has(&out, "\x1f", 1) &&
              !has(&out, "words", 5));
    created("a.\x1fx", 41); /* to be tried again elsewhere */
    ck_assert(unmap(19, 2, false));
    ck_assert(has(&out, controller, 2) && has(&out, "words", 5) && !has(&out, "3 topics", 8));
    created("a.\x1f.", 17); /* illegal by itself */
    ck_assert(unmap(19, 2, false));
    ck_assert(!has(&out, violation, 2) && has(&out, "words", 5));
    close_view();
}
END_TEST

/* Metadata version 4 of one topic; `at` is where it says whether it makes topics. */
static bool makes(const char *topic)
{
    slc_buf_clear(&in);
    slc_kafka_add_count(&in, OLD, 1);
    text(&in, OLD, topic);
    slc_kafka_add_int8(&in, 1);
    ck_assert_int_eq(map(3, 4, false), SLC_VIEW_SEND);
    return out.data[out.len - 1] != 0;
}

START_TEST(asking_for_a_topic_makes_none_where_that_is_limited)
{
    static char *extras[] = {"shared-*"};
    open_view(HIDE);
    ck_assert(makes("x"));
    msg.extra_topics = extras;
    msg.n_extra_topics = 1;
    renew_names();
    ck_assert(makes("x") && !makes("shared-x"));
    ck_assert_int_eq(slc_view_min_version(names, 3), 4);
    slc_buf_clear(&in); /* version 1 cannot say it */
    slc_kafka_add_count(&in, OLD, 1);
    text(&in, OLD, "shared-x");
    ck_assert_int_eq(map(3, 1, false), SLC_VIEW_FAIL);
    ck_assert_int_eq(err.code, SLC_UNSUPPORTED);
    msg.n_extra_topics = 0;
    renew_names();
    ck_assert_int_eq(slc_view_min_version(names, 3), 0);
    msg.max_topics = 10;
    ck_assert(!makes("x"));
    ck_assert_int_eq(slc_view_min_version(names, 3), 4);
    close_view();
}
END_TEST

TEST_MAIN("view limits", a_topic_that_filters_leave_out_is_not_there,
          topics_over_a_limit_are_refused_one_by_one, a_name_with_a_nul_is_counted_whole,
          topics_with_a_configuration_that_is_not_allowed_are_refused_one_by_one,
          a_configuration_that_is_not_allowed_is_refused_topic_by_topic,
          a_refusal_by_a_limit_says_what_the_limit_is, asking_for_a_topic_makes_none_where_that_is_limited)
