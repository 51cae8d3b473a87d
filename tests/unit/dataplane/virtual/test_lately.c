/* Lately: what a broker's list of topics does not show yet counts all the same. */
#include <stdio.h>

#include "../kafka/message.h"
#include "common/clock.h"
#include "dataplane/virtual/lately.h"
#include "dataplane/virtual/view.h"

#define CREATE            19
#define DELETE            20
#define CREATE_PARTITIONS 37
#define LAG_MS            5000

static Sluice__Snapshot__V1__VirtualCluster msg;
static slc_names *names;
static slc_topic_ids ids;
static slc_view view;
static slc_kafka_edits edits;
static slc_buf in, out, seen;
static slc_error err;
static int64_t now_ms;

static void see(void *ctx, const uint8_t *name, size_t len, int64_t partitions)
{
    (void)ctx;
    slc_buf_addf(&seen, "%.*s:%d ", (int)len, (const char *)name, (int)partitions);
}

static const char *all_since(const char *backend, int64_t since_ms)
{
    slc_buf_clear(&seen);
    slc_lately_each(backend, since_ms, see, NULL);
    return slc_buf_addc(&seen, '\0') ? (const char *)seen.data : "";
}

static void note(const char *name, int64_t partitions, int64_t at_ms)
{
    slc_lately_note("one", (const uint8_t *)name, strlen(name), partitions, at_ms);
}

static void undo(const char *name)
{
    slc_lately_undo("one", (const uint8_t *)name, strlen(name));
}

START_TEST(what_was_noted_is_told_for_a_while)
{
    slc_buf_init(&seen, MESSAGE_MAX);
    note("a", 2, 50);
    slc_lately_answered("one", (const uint8_t *)"a", 1, 100);
    note("b", 1, 150);
    slc_lately_answered("one", (const uint8_t *)"b", 1, 200);
    slc_lately_note("two", (const uint8_t *)"c", 1, 1, 200);
    ck_assert_str_eq(all_since("one", 99), "a:2 b:1 ");
    ck_assert_str_eq(all_since("one", 100), "b:1 ");
    ck_assert_str_eq(all_since("two", 0), "c:1 ");
    note("a", 3, 300); /* grows, and then does not */
    undo("a");
    ck_assert_str_eq(all_since("one", 250), "a:2 ");
    undo("a");
    undo("nothing");
    ck_assert_str_eq(all_since("one", 0), "b:1 ");
    note("b", 0, 400);
    ck_assert_str_eq(all_since("one", 0), "b:0 ");
    slc_buf_release(&seen);
}
END_TEST

/* How long a broker takes is not the list's lag. */
START_TEST(what_is_not_answered_yet_counts_longer)
{
    slc_buf_init(&seen, MESSAGE_MAX);
    note("a", 1, 100);
    note("b", 0, 100); /* a deletion is noted when it is answered */
    ck_assert_str_eq(all_since("one", 99 + SLC_LATELY_WAITS_MS), "a:1 ");
    ck_assert_str_eq(all_since("one", 100 + SLC_LATELY_WAITS_MS), "");
    slc_lately_answered("one", (const uint8_t *)"a", 1, 200);
    slc_lately_answered("one", (const uint8_t *)"c", 1, 200);
    ck_assert_str_eq(all_since("one", 199), "a:1 ");
    ck_assert_str_eq(all_since("one", 200), "");
    slc_buf_release(&seen);
}
END_TEST

START_TEST(the_oldest_is_forgotten_when_there_are_too_many)
{
    char name[300];
    slc_buf_init(&seen, MESSAGE_MAX);
    memset(name, 'x', sizeof name);
    name[SLC_LATELY_LONGEST + 1] = '\0';
    note(name, 1, 5);
    note("", 1, 5);
    ck_assert_str_eq(all_since("one", 0), "");
    for (int i = 0; i <= SLC_LATELY_MAX; i++) {
        snprintf(name, sizeof name, "t%d", i);
        note(name, 1, i + 1);
    }
    ck_assert_ptr_null(strstr(all_since("one", 0), "t0:"));
    ck_assert_ptr_nonnull(strstr(all_since("one", 0), "t1:"));
    ck_assert_ptr_nonnull(strstr(all_since("one", 0), "t256:"));
    slc_buf_release(&seen);
}
END_TEST

/* ---- with a view ---- */

static void open_view(uint32_t topics, uint32_t partitions)
{
    msg = (Sluice__Snapshot__V1__VirtualCluster){.mode =
                                                     SLUICE__SNAPSHOT__V1__NAMESPACE_MODE__NAMESPACE_MODE_HIDE,
                                                 .backend_id = "one",
                                                 .prefix = "a.",
                                                 .max_topics = topics,
                                                 .max_partitions = partitions};
    names = slc_names_new(&msg);
    slc_topic_ids_init(&ids, 100);
    slc_view_init(&view, names, &ids);
    slc_kafka_edits_init(&edits, 1000, MESSAGE_MAX);
    slc_buf_init(&in, MESSAGE_MAX);
    slc_buf_init(&out, MESSAGE_MAX);
    slc_buf_init(&seen, MESSAGE_MAX);
    now_ms = slc_monotonic_ms();
}

static void close_view(void)
{
    slc_view_release(&view);
    slc_topic_ids_release(&ids);
    slc_names_free(names);
    slc_kafka_edits_release(&edits);
    slc_buf_release(&in);
    slc_buf_release(&out);
    slc_buf_release(&seen);
}

/* Metadata version 0 that shows no topic at all. */
static void learn_nothing(void)
{
    slc_buf empty;
    slc_buf_init(&empty, 100);
    slc_kafka_add_count(&empty, OLD, 0);
    slc_kafka_add_count(&empty, OLD, 0);
    ck_assert(slc_view_learn(&view, 0, empty.data, empty.len, &err));
    slc_buf_release(&empty);
}

/* Sends the request in `in` when the broker's list is empty. Does it go out with the name? */
static bool passes(int key, int version, const char *backend_name)
{
    slc_kafka_request_header header = {.key = (int16_t)key, .version = (int16_t)version};
    header.message = message_of(key, version, SLC_KAFKA_REQUEST);
    slc_view_request request = {.header = &header,
                                .body = in.data,
                                .there = in.len,
                                .len = in.len,
                                .now_ms = now_ms,
                                .list_lag_ms = LAG_MS};
    slc_kafka_edits_clear(&edits);
    slc_buf_clear(&out);
    ck_assert_int_eq(slc_view_map(&view, &request, &edits, &err), SLC_VIEW_COUNT);
    learn_nothing();
    request.asked = true;
    request.asked_ms = now_ms;
    request.now_ms = now_ms + 10 * LAG_MS; /* the answer is slow: what it says is as old as the question */
    ck_assert_int_eq(slc_view_map(&view, &request, &edits, &err), SLC_VIEW_SEND);
    ck_assert(slc_kafka_edits_apply(&edits, in.data, in.len, &out, &err));
    return memmem(out.data, out.len, backend_name, strlen(backend_name)) != NULL;
}

static bool creates(const char *name, int32_t partitions, bool only_tries)
{
    char backend_name[100];
    slc_buf_clear(&in); /* CreateTopics version 2 */
    slc_kafka_add_count(&in, OLD, 1);
    text(&in, OLD, name);
    slc_kafka_add_int32(&in, partitions);
    slc_kafka_add_int16(&in, 1);
    slc_kafka_add_count(&in, OLD, 0);
    slc_kafka_add_count(&in, OLD, 0);
    slc_kafka_add_int32(&in, 1000);
    slc_kafka_add_int8(&in, only_tries);
    snprintf(backend_name, sizeof backend_name, "a.%s", name);
    return passes(CREATE, 2, backend_name);
}

static bool grows(const char *name, int32_t partitions)
{
    char backend_name[100];
    slc_buf_clear(&in); /* CreatePartitions version 0 */
    slc_kafka_add_count(&in, OLD, 1);
    text(&in, OLD, name);
    slc_kafka_add_int32(&in, partitions);
    slc_kafka_add_count(&in, OLD, -1);
    slc_kafka_add_int32(&in, 1000);
    slc_kafka_add_int8(&in, 0);
    snprintf(backend_name, sizeof backend_name, "a.%s", name);
    return passes(CREATE_PARTITIONS, 0, backend_name);
}

/* The broker answers about one topic. */
static void answered(int key, int version, const char *backend_name, int16_t code)
{
    slc_kafka_rewrite_ops ops = {.roles = slc_view_answer_roles(key), .map = slc_view_unmap};
    slc_buf_clear(&in);
    slc_kafka_add_int32(&in, 0);
    slc_kafka_add_count(&in, OLD, 1);
    text(&in, OLD, backend_name);
    slc_kafka_add_int16(&in, code);
    if (key != DELETE)
        text(&in, OLD, NULL);
    slc_view_answer answer = {
        .view = &view, .key = (int16_t)key, .version = (int16_t)version, .body = in.data, .len = in.len};
    slc_kafka_edits_clear(&edits);
    ck_assert(slc_kafka_rewrite(message_of(key, version, SLC_KAFKA_RESPONSE), version, in.data, in.len, &ops,
                                &answer, &edits, &err));
}

START_TEST(a_topic_counts_before_the_list_shows_it)
{
    open_view(1, 0);
    ck_assert(creates("tried", 1, true));
    ck_assert(creates("first", 1, false));
    ck_assert(!creates("second", 1, false)); /* also while the first is under way */
    ck_assert(creates("first", 1, false));   /* is no more than there is */
    now_ms += 2 * LAG_MS;
    ck_assert(!creates("second", 1, false)); /* however long it is under way */
    answered(CREATE, 2, "a.first", 36);
    now_ms = slc_monotonic_ms();
    ck_assert(!creates("second", 1, false));
    now_ms = slc_monotonic_ms() + LAG_MS;
    ck_assert(creates("second", 1, false)); /* the list would show it by now */
    close_view();
}
END_TEST

START_TEST(a_topic_that_the_broker_refuses_counts_no_more)
{
    open_view(1, 0);
    ck_assert(creates("first", 1, false));
    answered(CREATE, 2, "a.first", 40);
    ck_assert(creates("second", 1, false));
    answered(CREATE, 2, "a.second", 7); /* which may come all the same */
    ck_assert(!creates("third", 1, false));
    answered(CREATE, 2, "a.second", 0);
    ck_assert(!creates("third", 1, false));
    answered(CREATE, 2, "a.\x1fthird", 17); /* refused by the limit: nothing is taken back */
    ck_assert(!creates("third", 1, false));
    close_view();
}
END_TEST

START_TEST(partitions_count_before_the_list_shows_them)
{
    open_view(0, 4);
    ck_assert(creates("first", 2, false));
    ck_assert(!creates("second", 3, false));
    ck_assert(grows("first", 3));
    ck_assert(!creates("second", 2, false));
    answered(CREATE_PARTITIONS, 0, "a.first", 37); /* it stays as it was */
    ck_assert(creates("second", 2, false));
    ck_assert(!grows("first", 3));
    close_view();
}
END_TEST

START_TEST(a_deleted_topic_counts_no_more)
{
    open_view(1, 0);
    ck_assert(creates("first", 1, false));
    answered(DELETE, 1, "a.first", 3);
    ck_assert(!creates("second", 1, false));
    answered(DELETE, 1, "a.first", 0);
    ck_assert_str_eq(all_since("one", 0), "a.first:0 ");
    ck_assert(creates("second", 1, false));
    close_view();
}
END_TEST

TEST_MAIN("lately", what_was_noted_is_told_for_a_while, what_is_not_answered_yet_counts_longer,
          the_oldest_is_forgotten_when_there_are_too_many, a_topic_counts_before_the_list_shows_it,
          a_topic_that_the_broker_refuses_counts_no_more, partitions_count_before_the_list_shows_them,
          a_deleted_topic_counts_no_more)
