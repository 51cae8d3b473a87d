/* Records in requests and answers: whose they are said to be, and what becomes of what is answered about them.
 */
#include <stdio.h>

#include "../kafka/message.h"
#include "dataplane/kafka/decode.h"
#include "dataplane/virtual/view.h"

enum { PRODUCE = 0, FETCH = 1, BY_NAME = 12, BY_ID = 13, CORRUPT_MESSAGE = 2, UNKNOWN_TOPIC_ID = 100 };

static Sluice__Snapshot__V1__VirtualCluster msg = {
    .mode = SLUICE__SNAPSHOT__V1__NAMESPACE_MODE__NAMESPACE_MODE_HIDE, .prefix = "a."};
static slc_names *names;
static slc_topic_ids ids;
static slc_view view;
static slc_kafka_edits edits;
static slc_buf in, out;
static slc_error err;
static const uint8_t ours[16] = "ours----ours----", nobodys[16] = "nobody--nobody--";

/* Refuses "bad", keeps "good" and puts "changed" in place of all else; of orders alone. */
static char asked[200];

static enum slc_kafka_verdict decide(slc_view_records *records, const slc_view_batches *batches,
                                     slc_kafka_value *value, slc_view_failure *failure)
{
    const slc_kafka_span data = batches->data;
    (void)records;
    ck_assert_int_eq(strncmp(batches->backend, "a.", 2), 0);
    ck_assert_str_eq(batches->backend + 2, batches->topic);
    snprintf(asked + strlen(asked), sizeof asked - strlen(asked), "%s %s:%.*s;",
             batches->produce ? "produce" : "fetch", batches->topic, (int)data.len, (const char *)data.data);
    if ((data.len == 3 && memcmp(data.data, "bad", 3) == 0) ||
        (data.len == 5 && memcmp(data.data, "worse", 5) == 0)) {
        failure->code = data.len == 3 ? CORRUPT_MESSAGE : 999;
        snprintf(failure->why, sizeof failure->why, "why");
        return SLC_KAFKA_REFUSE;
    }
    if (data.len == 4 && memcmp(data.data, "good", 4) == 0)
        return SLC_KAFKA_KEEP;
    if (data.len % 2 == 0) { /* either way */
        value->made = true;
        value->made_from = batches->made->len;
        ck_assert(slc_buf_adds(batches->made, "changed"));
    } else {
        value->body = (slc_kafka_span){"changed", 7};
    }
    return SLC_KAFKA_REPLACE;
}

static slc_view_records hook = {.produce = true, .fetch = true, .map = decide};

static void open_view(void)
{
    names = slc_names_new(&msg);
    slc_topic_ids_init(&ids, 100);
    slc_topic_ids_learn(&ids, ours, (const uint8_t *)"a.orders", 8);
    slc_view_init(&view, names, &ids);
    view.records = &hook;
    slc_kafka_edits_init(&edits, 1000, MESSAGE_MAX);
    slc_buf_init(&in, MESSAGE_MAX);
    slc_buf_init(&out, MESSAGE_MAX);
    asked[0] = '\0';
}

static void close_view(void)
{
    slc_view_release(&view);
    slc_topic_ids_release(&ids);
    slc_names_free(names);
    slc_kafka_edits_release(&edits);
    slc_buf_release(&in);
    slc_buf_release(&out);
}

static void add_topic(int version, const uint8_t *id)
{
    slc_kafka_add_count(&in, COMPACT, 1);
    if (version >= BY_ID)
        slc_buf_add(&in, id, 16);
    else
        text(&in, COMPACT, "orders");
    slc_kafka_add_count(&in, COMPACT, 3);
}

static void end_message(void)
{
    slc_kafka_add_no_tags(&in); /* of the topic, of the message */
    slc_kafka_add_no_tags(&in);
}

/* Three partitions with these records; NULL: null. */
static enum slc_view_outcome produce(int version, const uint8_t *id, const char *const records[3],
                                     slc_view_request *request)
{
    static slc_kafka_request_header header;
    header = (slc_kafka_request_header){.key = PRODUCE,
                                        .version = (int16_t)version,
                                        .message = message_of(PRODUCE, version, SLC_KAFKA_REQUEST)};
    text(&in, COMPACT, NULL);
    slc_kafka_add_int16(&in, -1);
    slc_kafka_add_int32(&in, 1000);
    add_topic(version, id);
    for (int i = 0; i < 3; i++) {
        slc_kafka_add_int32(&in, i);
        slc_kafka_add_bytes(&in, COMPACT, (const uint8_t *)records[i],
                            records[i] != NULL ? strlen(records[i]) : 0);
        slc_kafka_add_no_tags(&in);
    }
    end_message();
    *request = (slc_view_request){.header = &header, .body = in.data, .there = in.len, .len = in.len};
    ck_assert_uint_eq(slc_view_head(&view, &header, in.data, in.len - 1, in.len), in.len);
    enum slc_view_outcome outcome = slc_view_map(&view, request, &edits, &err);
    if (outcome == SLC_VIEW_SEND)
        ck_assert(slc_kafka_edits_apply(&edits, in.data, in.len, &out, &err));
    return outcome;
}

static void fetch(int version, const uint8_t *id, const char *const records[3])
{
    slc_kafka_add_int32(&in, 0);
    slc_kafka_add_int16(&in, 0);
    slc_kafka_add_int32(&in, 0);
    if (version >= BY_ID) {
        slc_kafka_add_count(&in, COMPACT, 1);
        slc_buf_add(&in, id, 16);
    } else {
        slc_kafka_add_count(&in, COMPACT, 1);
        text(&in, COMPACT, "a.orders");
    }
    slc_kafka_add_count(&in, COMPACT, 3);
    for (int i = 0; i < 3; i++) {
        slc_kafka_add_int32(&in, i);
        slc_kafka_add_int16(&in, 0);
        for (int offset = 0; offset < 3; offset++) /* high watermark, last stable, first */
            slc_kafka_add_int64(&in, 7);
        slc_kafka_add_count(&in, COMPACT, -1);
        slc_kafka_add_int32(&in, -1);
        slc_kafka_add_bytes(&in, COMPACT, (const uint8_t *)records[i],
                            records[i] != NULL ? strlen(records[i]) : 0);
        slc_kafka_add_no_tags(&in);
    }
    end_message();
    const uint64_t wanted = SLC_KAFKA_WANT(SLC_KAFKA_ROLE_RECORDS);
    const slc_kafka_rewrite_ops ops = {.roles = slc_view_answer_roles(FETCH) | wanted |
                                                SLC_KAFKA_WANT(SLC_KAFKA_ROLE_ERROR_CODE),
                                       .whole = wanted,
                                       .map = slc_view_unmap};
    slc_view_answer answer = {.view = &view, .key = FETCH, .version = (int16_t)version, .edits = &edits};
    ck_assert_msg(slc_kafka_rewrite(message_of(FETCH, version, SLC_KAFKA_RESPONSE), version, in.data, in.len,
                                    &ops, &answer, &edits, &err),
                  "%s", err.message);
    ck_assert(slc_kafka_edits_apply(&edits, in.data, in.len, &out, &err));
}

/* "code:records;" of every partition, as a client reads them. */
static const char *found(const slc_kafka_message *message, int version)
{
    static char all[300];
    const slc_kafka_walk_options options = {.wants = SLC_KAFKA_WANT(SLC_KAFKA_ROLE_ERROR_CODE) |
                                                     SLC_KAFKA_WANT(SLC_KAFKA_ROLE_RECORDS)};
    slc_kafka_walk walk;
    slc_kafka_event event;
    enum slc_kafka_step step;
    int64_t code = 0;
    all[0] = '\0';
    ck_assert(slc_kafka_walk_init(&walk, message, version, out.len, &options, &err));
    slc_kafka_walk_feed(&walk, out.data, out.len);
    while ((step = slc_kafka_walk_next(&walk, &event, &err)) == SLC_KAFKA_EVENT) {
        if (event.field->role == SLC_KAFKA_ROLE_ERROR_CODE)
            code = event.number;
        else
            snprintf(all + strlen(all), sizeof all - strlen(all), "%d:%.*s;", (int)code, (int)event.len,
                     event.data != NULL ? (const char *)event.data : "");
    }
    ck_assert_msg(step == SLC_KAFKA_DONE, "%s", err.message);
    return all;
}

START_TEST(test_what_is_written_is_changed_under_the_clients_name)
{
    for (int version = BY_NAME; version <= BY_ID; version++) {
        slc_view_request request;
        open_view();
        ck_assert_int_eq(produce(version, ours, (const char *[]){"one", NULL, "good"}, &request),
                         SLC_VIEW_SEND);
        ck_assert_str_eq(asked, "produce orders:one;produce orders:good;");
        ck_assert_str_eq(found(message_of(PRODUCE, version, SLC_KAFKA_REQUEST), version),
                         "0:changed;0:;0:good;");
        close_view();
    }
}
END_TEST

/* Its records do not reach the broker; those of the other partitions do. */
START_TEST(test_what_must_not_be_written_goes_to_a_partition_that_is_none)
{
    for (int version = BY_NAME; version <= BY_ID; version++) {
        slc_view_request request;
        const slc_kafka_message *message = message_of(PRODUCE, version, SLC_KAFKA_REQUEST);
        const slc_kafka_walk_options options = {.wants = SLC_KAFKA_WANT(SLC_KAFKA_ROLE_NONE)};
        slc_kafka_walk walk;
        slc_kafka_event event;
        int64_t index = -1, sent[3], count = 0;
        int16_t code = 0;
        open_view();
        ck_assert_int_eq(produce(version, ours, (const char *[]){"one", "bad", "good"}, &request),
                         SLC_VIEW_SEND);
        ck_assert_int_eq(request.denied, CORRUPT_MESSAGE);
        ck_assert_str_eq(found(message, version), "0:changed;0:;0:good;");
        ck_assert(slc_kafka_walk_init(&walk, message, version, out.len, &options, &err));
        slc_kafka_walk_feed(&walk, out.data, out.len);
        while (slc_kafka_walk_next(&walk, &event, &err) == SLC_KAFKA_EVENT)
            if (strcmp(event.field->name, "Index") == 0)
                sent[count++] = event.number;
        ck_assert_int_eq(count, 3);
        ck_assert(sent[0] == 0 && sent[2] == 2);
        ck_assert(slc_refused_partition_of(sent[1], &index, &code) && index == 1 && code == CORRUPT_MESSAGE);
        close_view();
    }
}
END_TEST

/* A code that no mark stands for. */
START_TEST(test_what_cannot_be_told_of_one_partition_refuses_the_request)
{
    slc_view_request request;
    open_view();
    ck_assert_int_eq(produce(BY_ID, ours, (const char *[]){"one", "worse", "good"}, &request), SLC_VIEW_REFUSE);
    ck_assert_int_eq(request.refusal, 999);
    ck_assert_str_eq(request.why, "why");
    close_view();
}
END_TEST

START_TEST(test_records_for_nobodys_topic_are_not_looked_at)
{
    slc_view_request request;
    open_view();
    ck_assert_int_eq(produce(BY_ID, nobodys, (const char *[]){"one", "bad", "two"}, &request), SLC_VIEW_ASK);
    ck_assert_str_eq(asked, "");
    close_view();
}
END_TEST

START_TEST(test_what_is_read_is_changed_and_what_fails_is_an_error_of_its_partition)
{
    for (int version = BY_NAME; version <= BY_ID; version++) {
        open_view();
        fetch(version, ours, (const char *[]){"one", "bad", "good"});
        ck_assert_str_eq(asked, "fetch orders:one;fetch orders:bad;fetch orders:good;");
        ck_assert_str_eq(found(message_of(FETCH, version, SLC_KAFKA_RESPONSE), version),
                         "0:changed;2:;0:good;");
        close_view();
    }
}
END_TEST

START_TEST(test_records_of_a_topic_that_was_forgotten_do_not_get_past)
{
    open_view();
    fetch(BY_ID, nobodys, (const char *[]){"one", NULL, "two"});
    ck_assert_str_eq(asked, "");
    ck_assert_str_eq(found(message_of(FETCH, BY_ID, SLC_KAFKA_RESPONSE), BY_ID), "100:;0:;100:;");
    close_view();
}
END_TEST

START_TEST(test_without_a_hook_or_its_direction_nothing_is_held)
{
    open_view();
    ck_assert(slc_view_changes_records(&view, PRODUCE) && slc_view_changes_records(&view, FETCH));
    ck_assert(!slc_view_changes_records(&view, 3));
    slc_view_records fetches = {.fetch = true, .map = decide};
    view.records = &fetches;
    ck_assert(!slc_view_changes_records(&view, PRODUCE) && slc_view_changes_records(&view, FETCH));
    view.records = NULL;
    ck_assert(!slc_view_changes_records(&view, FETCH));
    close_view();
}
END_TEST

TEST_MAIN("records in a view", test_what_is_written_is_changed_under_the_clients_name,
          test_what_must_not_be_written_goes_to_a_partition_that_is_none,
          test_what_cannot_be_told_of_one_partition_refuses_the_request,
          test_records_for_nobodys_topic_are_not_looked_at,
          test_what_is_read_is_changed_and_what_fails_is_an_error_of_its_partition,
          test_records_of_a_topic_that_was_forgotten_do_not_get_past,
          test_without_a_hook_or_its_direction_nothing_is_held)
