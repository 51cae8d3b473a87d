/* Heads: how much of a Produce must be there before it is mapped, and that nothing behind holds a name. */
#include "../kafka/message.h"
#include "dataplane/virtual/view.h"

#define PRODUCE 0
#define FIRST   3  /* versions */
#define BY_ID   13 /* from here on */
#define RECORDS 50

static Sluice__Snapshot__V1__VirtualCluster msg = {
    .mode = SLUICE__SNAPSHOT__V1__NAMESPACE_MODE__NAMESPACE_MODE_HIDE, .prefix = "a."};
static slc_names *names;
static slc_topic_ids ids;
static slc_view view;
static slc_kafka_request_header header;
static slc_buf in;
static slc_error err;
static const uint8_t ours[16] = "ours----ours----", theirs[16] = "theirs--theirs--";

static void open_view(void)
{
    names = slc_names_new(&msg);
    slc_topic_ids_init(&ids, 100);
    slc_topic_ids_learn(&ids, ours, (const uint8_t *)"a.orders", 8);
    slc_topic_ids_learn(&ids, theirs, (const uint8_t *)"b.orders", 8);
    slc_view_init(&view, names, &ids);
    slc_buf_init(&in, MESSAGE_MAX);
}

static void close_view(void)
{
    slc_view_release(&view);
    slc_topic_ids_release(&ids);
    slc_names_free(names);
    slc_buf_release(&in);
}

static int last_version(void)
{
    return slc_kafka_apis[PRODUCE].served.until;
}

/* One of `topics` topics, each of two partitions. Returns how much of it there is up to the first one's name.
 */
static size_t produce(int version, const char *txn_id, int topics, const uint8_t *id)
{
    size_t head = 0;
    header = (slc_kafka_request_header){.key = PRODUCE, .version = (int16_t)version};
    header.message = message_of(PRODUCE, version, SLC_KAFKA_REQUEST);
    bool compact = slc_kafka_within(header.message->flexible_in, version);
    slc_buf_clear(&in);
    text(&in, compact, txn_id);
    slc_kafka_add_int16(&in, -1);
    slc_kafka_add_int32(&in, 1000);
    slc_kafka_add_count(&in, compact, topics);
    for (int topic = 0; topic < topics; topic++) {
        if (version < BY_ID)
            text(&in, compact, topic == 0 ? "orders" : "payments");
        else
            slc_buf_add(&in, id, 16);
        head = topic == 0 ? in.len : head;
        slc_kafka_add_count(&in, compact, 2);
        for (int32_t partition = 0; partition < 2; partition++) {
            slc_kafka_add_int32(&in, partition);
            compact ? slc_kafka_add_count(&in, true, RECORDS) : slc_kafka_add_int32(&in, RECORDS);
            memset(slc_buf_extend(&in, RECORDS), 'r', RECORDS);
            if (compact)
                slc_kafka_add_no_tags(&in);
        }
        if (compact)
            slc_kafka_add_no_tags(&in);
    }
    if (compact)
        slc_kafka_add_no_tags(&in);
    return head;
}

static size_t head_of(size_t there)
{
    return slc_view_head(&view, &header, in.data, there, in.len);
}

/* What becomes of it when so much is there. */
static enum slc_view_outcome map(size_t there, slc_buf *out)
{
    slc_view_request request = {.header = &header, .body = in.data, .there = there, .len = in.len};
    slc_kafka_edits edits;
    slc_kafka_edits_init(&edits, 1000, MESSAGE_MAX);
    slc_buf_init(out, MESSAGE_MAX);
    enum slc_view_outcome outcome = slc_view_map(&view, &request, &edits, &err);
    if (outcome == SLC_VIEW_SEND)
        ck_assert(slc_kafka_edits_apply(&edits, in.data, in.len, out, &err));
    slc_kafka_edits_release(&edits);
    return outcome;
}

START_TEST(the_head_of_one_topic_says_all)
{
    open_view();
    for (int version = FIRST; version <= last_version(); version++)
        for (int n = 0; n < 4; n++) {
            size_t head = produce(version, n % 2 == 0 ? NULL : "txn", 1, n < 2 ? ours : theirs);
            slc_buf by_head, whole;
            for (size_t there = 0; there < head; there++)
                ck_assert_uint_eq(head_of(there), 0);
            for (size_t there = head; there < in.len; there++)
                ck_assert_uint_eq(head_of(there), head);
            ck_assert_uint_eq(head_of(in.len), in.len);
            ck_assert_int_eq(map(head, &by_head), SLC_VIEW_SEND);
            ck_assert_int_eq(map(in.len, &whole), SLC_VIEW_SEND);
            ck_assert_uint_eq(by_head.len, whole.len);
            ck_assert_mem_eq(by_head.data, whole.data, whole.len);
            ck_assert(memmem(whole.data, whole.len, theirs, 16) == NULL);
            ck_assert(version >= BY_ID || memmem(whole.data, whole.len, "a.orders", 8) != NULL);
            slc_buf_release(&by_head);
            slc_buf_release(&whole);
        }
    close_view();
}
END_TEST

START_TEST(several_topics_are_held_whole)
{
    open_view();
    for (int version = FIRST; version <= last_version(); version++)
        for (int topics = 2; topics < 4; topics++) {
            (void)produce(version, NULL, topics, ours);
            ck_assert_uint_eq(head_of(in.len - 1), in.len);
        }
    close_view();
}
END_TEST

START_TEST(what_is_refused_is_held_whole)
{
    slc_buf out;
    open_view();
    for (int version = FIRST; version <= last_version(); version++) {
        (void)produce(version, "", 1, ours); /* no transactional id of anybody's */
        ck_assert_uint_eq(head_of(in.len - 1), in.len);
        ck_assert_int_eq(map(in.len, &out), SLC_VIEW_REFUSE);
        slc_buf_release(&out);
    }
    close_view();
}
END_TEST

START_TEST(a_head_that_cannot_be_read_fails_at_once)
{
    slc_buf out;
    open_view();
    (void)produce(9, NULL, 1, ours);
    in.data[8] = 0xff; /* the length of the name: five bytes of a number too large */
    memset(in.data + 9, 0xff, 4);
    size_t head = head_of(in.len / 2);
    ck_assert_uint_eq(head, in.len / 2);
    ck_assert_int_eq(map(head, &out), SLC_VIEW_FAIL);
    ck_assert_int_eq(err.code, SLC_INVALID);
    slc_buf_release(&out);
    close_view();
}
END_TEST

START_TEST(an_id_that_nobody_told_of_is_asked_for_by_the_head)
{
    static const uint8_t fresh[16] = "fresh---fresh---";
    slc_buf out;
    open_view();
    size_t head = produce(BY_ID, NULL, 1, fresh);
    ck_assert_int_eq(map(head, &out), SLC_VIEW_ASK);
    slc_buf_release(&out);
    slc_topic_ids_learn(&ids, fresh, (const uint8_t *)"a.fresh", 7);
    ck_assert_int_eq(map(head, &out), SLC_VIEW_SEND);
    ck_assert_ptr_nonnull(memmem(out.data, out.len, fresh, 16));
    slc_buf_release(&out);
    close_view();
}
END_TEST

/* Other requests have no head: all of them is wanted. */
START_TEST(no_other_request_has_a_head)
{
    open_view();
    for (int key = 0; key < SLC_KAFKA_KEYS; key++) {
        if (key == PRODUCE || slc_kafka_apis[key].request == NULL)
            continue;
        header = (slc_kafka_request_header){.key = (int16_t)key, .message = slc_kafka_apis[key].request};
        ck_assert_uint_eq(slc_view_head(&view, &header, in.data, 0, 1000), 1000);
    }
    close_view();
}
END_TEST

static uint64_t roles_of(const slc_kafka_field *field)
{
    uint64_t roles = SLC_KAFKA_WANT(field->role);
    for (unsigned i = 0; field->type == SLC_KAFKA_STRUCT && i < slc_kafka_nodes[field->node].count; i++)
        roles |= roles_of(&slc_kafka_fields[slc_kafka_nodes[field->node].first + i]);
    return roles;
}

/* In the table, whatever the version: behind a topic's name and its id stands nothing that has a role but
 * records, and nothing at all behind the topics. A new version of Kafka's that puts a name there fails here. */
START_TEST(nothing_behind_the_topic_has_a_name)
{
    const slc_kafka_node *all = &slc_kafka_nodes[slc_kafka_apis[PRODUCE].request->node];
    const slc_kafka_field *topics = &slc_kafka_fields[all->first + all->count - 1];
    const slc_kafka_node *topic = &slc_kafka_nodes[topics->node];
    ck_assert_str_eq(topics->name, "TopicData");
    ck_assert_int_eq(slc_kafka_fields[topic->first].role, SLC_KAFKA_ROLE_TOPIC);
    ck_assert_int_eq(slc_kafka_fields[topic->first + 1].role, SLC_KAFKA_ROLE_TOPIC_ID);
    ck_assert_int_lt(slc_kafka_fields[topic->first].in.until, slc_kafka_fields[topic->first + 1].in.since);
    for (unsigned i = 2; i < topic->count; i++)
        ck_assert_uint_eq(roles_of(&slc_kafka_fields[topic->first + i]) &
                              ~(SLC_KAFKA_WANT(SLC_KAFKA_ROLE_NONE) | SLC_KAFKA_WANT(SLC_KAFKA_ROLE_RECORDS)),
                          0);
}
END_TEST

TEST_MAIN("head", the_head_of_one_topic_says_all, several_topics_are_held_whole, what_is_refused_is_held_whole,
          a_head_that_cannot_be_read_fails_at_once, an_id_that_nobody_told_of_is_asked_for_by_the_head,
          no_other_request_has_a_head, nothing_behind_the_topic_has_a_name)
