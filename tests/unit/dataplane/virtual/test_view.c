/* Views: topic ids that must be asked for, fetch sessions of others, cursors, blobs, lists and texts. */
#include "../kafka/message.h"
#include "dataplane/kafka/consumer_protocol.h"
#include "dataplane/kafka/decode.h"
#include "dataplane/virtual/view.h"

#define HIDE    SLUICE__SNAPSHOT__V1__NAMESPACE_MODE__NAMESPACE_MODE_HIDE
#define ENFORCE SLUICE__SNAPSHOT__V1__NAMESPACE_MODE__NAMESPACE_MODE_ENFORCE

static Sluice__Snapshot__V1__VirtualCluster msg;
static slc_names *names;
static slc_topic_ids ids;
static slc_view view;
static slc_view_request request;
static int64_t now_ms;
static slc_kafka_request_header header;
static slc_kafka_edits edits;
static slc_buf in, out;
static slc_error err;

static const uint8_t ours[16] = "ours----ours----", theirs[16] = "theirs--theirs--",
                     nobodys[16] = "nobody--nobody--";

static void open_view(Sluice__Snapshot__V1__NamespaceMode mode)
{
    msg = (Sluice__Snapshot__V1__VirtualCluster){.mode = mode, .prefix = "a."};
    names = slc_names_new(&msg);
    slc_topic_ids_init(&ids, 100);
    slc_view_init(&view, names, &ids);
    slc_kafka_edits_init(&edits, 1000, MESSAGE_MAX);
    slc_buf_init(&in, MESSAGE_MAX);
    slc_buf_init(&out, MESSAGE_MAX);
}

/* After a change of what is indexed. */
static void renew_names(void)
{
    slc_names_free(names);
    names = slc_names_new(&msg);
    view.names = names;
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

/* What becomes of the request in `in`; the changed one is in `out` when it is to be sent. */
static enum slc_view_outcome map(int key, int version, bool asked)
{
    header = (slc_kafka_request_header){.key = (int16_t)key, .version = (int16_t)version};
    header.message = message_of(key, version, SLC_KAFKA_REQUEST);
    request = (slc_view_request){.header = &header,
                                 .body = in.data,
                                 .there = in.len,
                                 .len = in.len,
                                 .asked = asked,
                                 .asked_ms = now_ms,
                                 .now_ms = now_ms};
    slc_kafka_edits_clear(&edits);
    slc_buf_clear(&out);
    enum slc_view_outcome outcome = slc_view_map(&view, &request, &edits, &err);
    if (outcome == SLC_VIEW_SEND)
        ck_assert(slc_kafka_edits_apply(&edits, in.data, in.len, &out, &err));
    return outcome;
}

static bool unmap(int key, int version, bool consumer)
{
    uint64_t more = 0;
    slc_view_answer answer = {.view = &view,
                              .key = (int16_t)key,
                              .version = (int16_t)version,
                              .consumer = consumer,
                              .body = in.data,
                              .len = in.len,
                              .denied = request.denied};
    slc_kafka_edits_clear(&edits);
    slc_buf_clear(&out);
    slc_error_clear(&err);
    ck_assert(slc_view_look_ahead(&answer, version, in.data, in.len, &more, &err));
    const slc_kafka_rewrite_ops ops = {.roles = slc_view_answer_roles(key) | more, .map = slc_view_unmap};
    return slc_kafka_rewrite(message_of(key, version, SLC_KAFKA_RESPONSE), version, in.data, in.len, &ops,
                             &answer, &edits, &err) &&
           slc_kafka_edits_apply(&edits, in.data, in.len, &out, &err);
}

static bool has(const slc_buf *buf, const void *bytes, size_t len)
{
    return buf->len > 0 && memmem(buf->data, buf->len, bytes, len) != NULL;
}

/* Fetch version 13 of one topic. */
static void fetch_of(const uint8_t *id, int32_t session)
{
    slc_buf_clear(&in);
    for (int i = 0; i < 4; i++) /* replica, wait, min and max bytes */
        slc_kafka_add_int32(&in, i == 0 ? -1 : 1);
    slc_kafka_add_int8(&in, 0);
    slc_kafka_add_int32(&in, session);
    slc_kafka_add_int32(&in, 1);
    slc_kafka_add_count(&in, COMPACT, 1);
    slc_buf_add(&in, id, 16);
    slc_kafka_add_count(&in, COMPACT, 0);
    slc_kafka_add_no_tags(&in);
    slc_kafka_add_count(&in, COMPACT, 0);
    text(&in, COMPACT, "");
    slc_kafka_add_no_tags(&in);
}

static void fetched(int32_t session, const uint8_t *id)
{
    slc_buf_clear(&in);
    slc_kafka_add_int32(&in, 0);
    slc_kafka_add_int16(&in, 0);
    slc_kafka_add_int32(&in, session);
    slc_kafka_add_count(&in, COMPACT, 1);
    slc_buf_add(&in, id, 16);
    slc_kafka_add_count(&in, COMPACT, 0);
    slc_kafka_add_no_tags(&in);
    slc_kafka_add_no_tags(&in);
    slc_view_note(&view, 1, 13, in.data, in.len);
}

static void learn(const uint8_t *id, const char *name)
{
    slc_topic_ids_learn(&ids, id, (const uint8_t *)name, strlen(name));
}

START_TEST(an_unknown_id_is_asked_for_and_then_ours_theirs_or_nobodys)
{
    open_view(HIDE);
    fetch_of(ours, 0);
    ck_assert_int_eq(map(1, 13, false), SLC_VIEW_ASK);
    ck_assert(view.missing_count == 1 && memcmp(view.missing, ours, 16) == 0);
    learn(ours, "a.orders");
    learn(theirs, "b.orders");
    ck_assert_int_eq(map(1, 13, true), SLC_VIEW_SEND);
    ck_assert(has(&out, ours, 16) && edits.count == 0);
    fetch_of(theirs, 0);
    ck_assert_int_eq(map(1, 13, false), SLC_VIEW_SEND);
    ck_assert(!has(&out, theirs, 16));
    const uint8_t *sent = view.foreign[0].sent;
    ck_assert(has(&out, sent, 16));
    ck_assert_ptr_nonnull(slc_view_id_back(&view, sent));
    fetched(0, sent);
    ck_assert(unmap(1, 13, false));
    ck_assert(has(&out, theirs, 16) && !has(&out, sent, 16));
    fetch_of(nobodys, 0);
    ck_assert_int_eq(map(1, 13, false), SLC_VIEW_ASK);
    ck_assert_int_eq(map(1, 13, true), SLC_VIEW_SEND);
    ck_assert(!has(&out, nobodys, 16));
    close_view();
}
END_TEST

START_TEST(a_fetch_session_belongs_to_its_connection)
{
    open_view(HIDE);
    learn(ours, "a.orders");
    fetch_of(ours, 77); /* of somebody else, or of before a change */
    ck_assert_int_eq(map(1, 13, false), SLC_VIEW_REFUSE);
    ck_assert_int_eq(request.refusal, 70);
    fetched(77, ours);
    fetch_of(ours, 77);
    ck_assert_int_eq(map(1, 13, false), SLC_VIEW_SEND);
    fetch_of(ours, 78);
    ck_assert_int_eq(map(1, 13, false), SLC_VIEW_REFUSE);
    close_view();
}
END_TEST

START_TEST(a_topic_that_appears_later_ends_the_fetch_session)
{
    open_view(HIDE);
    fetch_of(nobodys, 0);
    ck_assert_int_eq(map(1, 13, true), SLC_VIEW_SEND);
    fetched(77, view.foreign[0].sent);
    fetch_of(ours, 77);
    learn(ours, "a.orders");
    view.recheck_at_ms = 1; /* not yet */
    ck_assert_int_eq(map(1, 13, false), SLC_VIEW_SEND);
    view.recheck_at_ms = 0;
    ck_assert_int_eq(map(1, 13, false), SLC_VIEW_ASK);
    ck_assert(memcmp(view.missing, nobodys, 16) == 0);
    learn(nobodys, "a.new");
    ck_assert_int_eq(map(1, 13, true), SLC_VIEW_REFUSE);
    ck_assert_int_eq(request.refusal, 70);
    ck_assert_uint_eq(view.foreign_count, 0);
    fetch_of(nobodys, 0);
    ck_assert_int_eq(map(1, 13, false), SLC_VIEW_SEND);
    ck_assert(has(&out, nobodys, 16));
    close_view();
}
END_TEST

static slc_names *without_orders(Sluice__Snapshot__V1__VirtualCluster *later)
{
    static char *filter[] = {"other"};
    *later = msg;
    later->topic_filter = filter;
    later->n_topic_filter = 1;
    return slc_names_new(later);
}

START_TEST(a_topic_that_leaves_is_in_no_fetch_any_more)
{
    Sluice__Snapshot__V1__VirtualCluster later;
    open_view(HIDE);
    slc_names *next = without_orders(&later), *first = names;
    learn(ours, "a.orders");
    learn(nobodys, "a.other");
    fetched(77, ours);
    ck_assert(unmap(1, 13, false) && has(&out, ours, 16));
    slc_view_will_rename(&view, next); /* the request for it waits at the broker */
    ck_assert(unmap(1, 13, false) && !has(&out, ours, 16));
    fetched(77, nobodys);
    ck_assert(unmap(1, 13, false) && has(&out, nobodys, 16));
    slc_view_rename(&view);
    fetch_of(nobodys, 77);
    ck_assert_int_eq(map(1, 13, false), SLC_VIEW_REFUSE);
    ck_assert_int_eq(request.refusal, 70);
    fetch_of(ours, 0);
    ck_assert_int_eq(map(1, 13, false), SLC_VIEW_SEND);
    ck_assert(!has(&out, ours, 16));
    names = next;
    slc_names_free(first);
    close_view();
}
END_TEST

/* ConsumerGroupHeartbeat version 0: assigned is a partition of each. */
static void assigned(const uint8_t *const *topics, int count)
{
    slc_buf_clear(&in);
    slc_kafka_add_int32(&in, 0);
    slc_kafka_add_int16(&in, 0);
    text(&in, COMPACT, NULL);
    text(&in, COMPACT, "member");
    slc_kafka_add_int32(&in, 1);
    slc_kafka_add_int32(&in, 5000);
    slc_kafka_add_int8(&in, 1);
    slc_kafka_add_count(&in, COMPACT, count);
    for (int i = 0; i < count; i++) {
        slc_buf_add(&in, topics[i], 16);
        slc_kafka_add_count(&in, COMPACT, 1);
        slc_kafka_add_int32(&in, 0);
        slc_kafka_add_no_tags(&in);
    }
    slc_kafka_add_no_tags(&in);
    slc_kafka_add_no_tags(&in);
}

START_TEST(a_member_is_not_told_of_topics_that_have_left)
{
    static const uint8_t *const topics[] = {ours, nobodys};
    Sluice__Snapshot__V1__VirtualCluster later;
    open_view(HIDE);
    slc_names *next = without_orders(&later), *first = names;
    learn(ours, "a.orders");
    learn(nobodys, "a.other");
    assigned(topics, 2);
    ck_assert(unmap(68, 0, true) && has(&out, ours, 16) && has(&out, nobodys, 16));
    slc_view_will_rename(&view, next);
    slc_view_rename(&view);
    ck_assert(unmap(68, 0, true) && !has(&out, ours, 16) && has(&out, nobodys, 16));
    names = next;
    slc_names_free(first);
    close_view();
}
END_TEST

/* OffsetFetch version 10 of a group: what it has committed of all topics. */
static void committed(const uint8_t *const *topics, int count)
{
    slc_buf_clear(&in);
    slc_kafka_add_int32(&in, 0);
    slc_kafka_add_count(&in, COMPACT, 1);
    text(&in, COMPACT, "a.g");
    slc_kafka_add_count(&in, COMPACT, count);
    for (int i = 0; i < count; i++) {
        slc_buf_add(&in, topics[i], 16);
        slc_kafka_add_count(&in, COMPACT, 0);
        slc_kafka_add_no_tags(&in);
    }
    slc_kafka_add_int16(&in, 0);
    slc_kafka_add_no_tags(&in);
    slc_kafka_add_no_tags(&in);
}

START_TEST(a_group_has_no_offsets_of_topics_that_have_left)
{
    static const uint8_t *const topics[] = {ours, theirs, nobodys};
    open_view(HIDE);
    learn(ours, "a.orders");
    learn(theirs, "b.orders");
    committed(topics, 3);
    ck_assert_msg(unmap(9, 10, true), "%s", err.message);
    ck_assert(has(&out, ours, 16) && !has(&out, theirs, 16) && has(&out, nobodys, 16));
    close_view();
}
END_TEST

START_TEST(a_connection_may_name_so_many_foreign_ids)
{
    uint8_t id[16] = {1};
    open_view(HIDE);
    for (int i = 0; i < SLC_VIEW_MAX_FOREIGN; i++) {
        memcpy(id + 8, &i, sizeof i);
        fetch_of(id, 0);
        ck_assert_int_eq(map(1, 13, true), SLC_VIEW_SEND);
    }
    fetch_of(theirs, 0);
    ck_assert_int_eq(map(1, 13, true), SLC_VIEW_FAIL);
    ck_assert_int_eq(err.code, SLC_LIMIT);
    close_view();
}
END_TEST

/* DescribeTopicPartitions version 0. */
static void describe(const char *cursor)
{
    slc_buf_clear(&in);
    slc_kafka_add_count(&in, COMPACT, 0);
    slc_kafka_add_int32(&in, 10);
    slc_kafka_add_int8(&in, cursor != NULL ? 1 : -1);
    if (cursor != NULL) {
        text(&in, COMPACT, cursor);
        slc_kafka_add_int32(&in, 0);
        slc_kafka_add_no_tags(&in);
    }
    slc_kafka_add_no_tags(&in);
}

static void described(const char *topic, const char *next)
{
    slc_buf_clear(&in);
    slc_kafka_add_int32(&in, 0);
    slc_kafka_add_count(&in, COMPACT, 1);
    slc_kafka_add_int16(&in, 0);
    text(&in, COMPACT, topic);
    slc_buf_add(&in, theirs, 16);
    slc_kafka_add_int8(&in, 0);
    slc_kafka_add_count(&in, COMPACT, 0);
    slc_kafka_add_int32(&in, 0);
    slc_kafka_add_no_tags(&in);
    slc_kafka_add_int8(&in, 1);
    text(&in, COMPACT, next);
    slc_kafka_add_int32(&in, 3);
    slc_kafka_add_no_tags(&in);
    slc_kafka_add_no_tags(&in);
}

START_TEST(a_cursor_among_others_topics_goes_on_at_ours_or_ends)
{
    static const struct {
        const char *next, *shown, *sent;
    } cases[] = {
        {"a.x", "x", "a.x"}, {"A.secret", "\x1f<", "a."}, {"a", "\x1f<", "a."}, {"b.secret", "\x1f>", NULL}};
    open_view(HIDE);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        described("b.secret", cases[i].next);
        ck_assert_msg(unmap(75, 0, false), "%s", err.message);
        ck_assert(!has(&out, "secret", 6) && !has(&out, theirs, 16));
        ck_assert_msg(has(&out, cases[i].shown, strlen(cases[i].shown)), "%s", cases[i].next);
        describe(cases[i].shown);
        if (cases[i].sent == NULL) {
            ck_assert_int_eq(map(75, 0, false), SLC_VIEW_REFUSE);
            ck_assert_int_eq(request.refusal, 0);
        } else {
            ck_assert_int_eq(map(75, 0, false), SLC_VIEW_SEND);
            ck_assert_msg(has(&out, cases[i].sent, strlen(cases[i].sent)), "%s", cases[i].next);
        }
    }
    close_view();
}
END_TEST

/* JoinGroup version 0 with a subscription to `topic`. */
static void join(const char *group, const char *protocol_type, const char *topic)
{
    slc_buf blob;
    slc_buf_init(&blob, 1000);
    slc_kafka_add_int16(&blob, 0);
    slc_kafka_add_count(&blob, OLD, 1);
    text(&blob, OLD, topic);
    slc_kafka_add_bytes(&blob, OLD, (const uint8_t *)"user", 4);
    slc_buf_clear(&in);
    text(&in, OLD, group);
    slc_kafka_add_int32(&in, 1000);
    text(&in, OLD, "");
    text(&in, OLD, protocol_type);
    slc_kafka_add_count(&in, OLD, 1);
    text(&in, OLD, "range");
    slc_kafka_add_bytes(&in, OLD, blob.data, blob.len);
    slc_buf_release(&blob);
}

/* JoinGroup version 0 with these bytes for a subscription. */
static void join_with(const slc_buf *blob)
{
    slc_buf_clear(&in);
    text(&in, OLD, "g");
    slc_kafka_add_int32(&in, 1000);
    text(&in, OLD, "");
    text(&in, OLD, "consumer");
    slc_kafka_add_count(&in, OLD, 1);
    text(&in, OLD, "range");
    slc_kafka_add_bytes(&in, OLD, blob->data, blob->len);
}

static void begin_subscription(slc_buf *blob, int16_t version, int32_t topics)
{
    slc_buf_clear(blob);
    slc_kafka_add_int16(blob, version);
    slc_kafka_add_int32(blob, topics);
    text(blob, OLD, "b.secret");
}

/* Whatever a broker would make of it: it reads topics as of version 0, and any negative length as null. */
START_TEST(what_a_broker_can_read_of_a_subscription_is_mapped)
{
    slc_buf blob;
    slc_buf_init(&blob, MESSAGE_MAX);
    open_view(HIDE);
    static const struct {
        int16_t version;
        int32_t user_data;
    } cases[] = {{0, -1}, {0, -2}, {1, -1}, {1, -2}, {3, INT32_MIN}, {-1, -1}, {INT16_MIN, -7}, {9, -1}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        begin_subscription(&blob, cases[i].version, 1);
        slc_kafka_add_int32(&blob, cases[i].user_data);
        join_with(&blob); /* versions above 0 would have more fields, which are not there */
        ck_assert_int_eq(map(11, 0, false), SLC_VIEW_SEND);
        ck_assert_msg(has(&out, "a.b.secret", 10), "version %d", cases[i].version);
        slc_kafka_add_int32(&blob, 1); /* owned partitions */
        text(&blob, OLD, "b.owned");
        slc_kafka_add_int32(&blob, 0);
        join_with(&blob);
        ck_assert_int_eq(map(11, 0, false), SLC_VIEW_SEND);
        ck_assert_msg(has(&out, "a.b.secret", 10), "version %d", cases[i].version);
        ck_assert(cases[i].version != 1 || has(&out, "a.b.owned", 9));
    }
    close_view();
    slc_buf_release(&blob);
}
END_TEST

START_TEST(a_subscription_whose_names_do_not_fit_is_not_sent)
{
    static const uint8_t longest[32767] = {'x'};
    slc_buf blob;
    slc_buf_init(&blob, MESSAGE_MAX);
    open_view(HIDE);
    begin_subscription(&blob, 0, 2);
    slc_kafka_add_int16(&blob, sizeof longest);
    slc_buf_add(&blob, longest, sizeof longest);
    slc_kafka_add_int32(&blob, -1);
    join_with(&blob);
    ck_assert_int_eq(map(11, 0, false), SLC_VIEW_FAIL);
    ck_assert_int_eq(err.code, SLC_TOO_LARGE);
    close_view();
    slc_buf_release(&blob);
}
END_TEST

/* SyncGroup with an assignment; before version 5 it does not say the protocol type, and later need not. */
static void sync_group(int version, const char *protocol_type)
{
    bool how = version >= 4 ? COMPACT : OLD;
    slc_buf blob;
    slc_buf_init(&blob, 1000);
    slc_kafka_add_int16(&blob, 0);
    slc_kafka_add_count(&blob, OLD, 1);
    text(&blob, OLD, "b.secret");
    slc_kafka_add_count(&blob, OLD, 0);
    slc_kafka_add_int32(&blob, -1);
    slc_buf_clear(&in);
    text(&in, how, "g");
    slc_kafka_add_int32(&in, 1);
    text(&in, how, "member");
    if (version >= 3)
        slc_kafka_add_string(&in, how, NULL, 0);
    if (version >= 5) {
        slc_kafka_add_string(&in, how, protocol_type, protocol_type == NULL ? 0 : strlen(protocol_type));
        slc_kafka_add_string(&in, how, NULL, 0);
    }
    slc_kafka_add_count(&in, how, 1);
    text(&in, how, "member");
    slc_kafka_add_bytes(&in, how, blob.data, blob.len);
    if (how == COMPACT) {
        slc_kafka_add_no_tags(&in);
        slc_kafka_add_no_tags(&in);
    }
    slc_buf_release(&blob);
}

START_TEST(an_assignment_is_mapped_whatever_the_connection_joined_before)
{
    open_view(HIDE);
    join("another", "connect", "topic");
    ck_assert_int_eq(map(11, 0, false), SLC_VIEW_SEND);
    for (int version = 0; version <= 5; version++) {
        sync_group(version, NULL);
        ck_assert_int_eq(map(14, version, false), SLC_VIEW_SEND);
        ck_assert_msg(has(&out, "a.b.secret", 10) && request.consumer, "version %d", version);
    }
    sync_group(5, "connect"); /* a broker refuses it for a group of consumers */
    ck_assert_int_eq(map(14, 5, false), SLC_VIEW_SEND);
    ck_assert(!has(&out, "a.b.secret", 10) && !request.consumer);
    close_view();
}
END_TEST

START_TEST(subscriptions_are_mapped_for_consumers_alone)
{
    open_view(HIDE);
    join("g", "consumer", "topic");
    ck_assert_int_eq(map(11, 0, false), SLC_VIEW_SEND);
    ck_assert(has(&out, "a.topic", 7) && has(&out, "a.g", 3) && has(&out, "user", 4) && request.consumer);
    join("g", "connect", "topic");
    ck_assert_int_eq(map(11, 0, false), SLC_VIEW_SEND);
    ck_assert(!has(&out, "a.topic", 7) && has(&out, "a.g", 3) && !request.consumer);
    close_view();
}
END_TEST

START_TEST(groups_outside_of_an_enforced_namespace_are_refused)
{
    open_view(ENFORCE);
    join("b.g", "consumer", "a.topic");
    ck_assert_int_eq(map(11, 0, false), SLC_VIEW_REFUSE);
    ck_assert_int_eq(request.refusal, 30);
    join("", "consumer", "a.topic");
    ck_assert_int_eq(map(11, 0, false), SLC_VIEW_REFUSE);
    ck_assert_int_eq(request.refusal, 24);
    join("a.g", "consumer", "a.topic");
    ck_assert_int_eq(map(11, 0, false), SLC_VIEW_SEND);
    ck_assert(out.len == in.len && memcmp(out.data, in.data, in.len) == 0);
    close_view();
}
END_TEST

START_TEST(lists_lose_what_is_anothers)
{
    static const char *const groups[] = {"b.secret", "a.mine", "other"};
    open_view(HIDE);
    slc_kafka_add_int16(&in, 0); /* ListGroups version 0 */
    slc_kafka_add_count(&in, OLD, 3);
    for (int i = 0; i < 3; i++) {
        text(&in, OLD, groups[i]);
        text(&in, OLD, "consumer");
    }
    ck_assert(unmap(16, 0, false));
    ck_assert(has(&out, "mine", 4) && !has(&out, "secret", 6) && !has(&out, "other", 5) && !has(&out, "a.", 2));
    ck_assert_int_eq(out.data[5], 1); /* the count */
    close_view();
}
END_TEST

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

/* The first field of older versions, and in a tag since Fetch 15. */
START_TEST(nobody_is_a_replica)
{
    static const int keys[][2] = {{1, 13}, {2, 1}, {23, 3}};
    static const uint8_t nobody[] = {0xff, 0xff, 0xff, 0xff}, one[] = {0, 0, 0, 1};
    open_view(HIDE);
    learn(ours, "a.orders");
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        fetch_of(ours, 0);
        if (keys[i][0] != 1) {
            slc_buf_clear(&in);
            slc_kafka_add_int32(&in, -1);
            slc_kafka_add_count(&in, OLD, 0);
        }
        memcpy(in.data, one, 4);
        ck_assert_int_eq(map(keys[i][0], keys[i][1], false), SLC_VIEW_SEND);
        ck_assert_uint_eq(out.len, in.len);
        ck_assert_mem_eq(out.data, nobody, 4);
        memcpy(in.data, nobody, 4);
        ck_assert_int_eq(map(keys[i][0], keys[i][1], false), SLC_VIEW_SEND);
        ck_assert_uint_eq(edits.count, 0);
    }
    const uint8_t state[] = {1, 1, 13, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 7, 0};
    fetch_of(ours, 0);
    memmove(in.data, in.data + 4, in.len -= 4);
    in.len--;
    slc_buf_add(&in, state, sizeof state);
    ck_assert_int_eq(map(1, 15, false), SLC_VIEW_SEND);
    ck_assert_mem_eq(out.data + out.len - 13, nobody, 4);
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

START_TEST(texts_do_not_name_what_a_new_topic_collides_with)
{
    open_view(HIDE);
    slc_kafka_add_int32(&in, 0); /* CreateTopics version 2 */
    slc_kafka_add_count(&in, OLD, 1);
    text(&in, OLD, "a.x");
    slc_kafka_add_int16(&in, 17);
    text(&in, OLD, "Topic 'a.x' collides with existing topics: a_x");
    ck_assert(unmap(19, 2, false));
    ck_assert(has(&out, "Topic 'x' collides with existing topics", 39) && !has(&out, "a_x", 3));
    close_view();
}
END_TEST

START_TEST(texts_do_not_repeat_patterns_as_they_were_sent)
{
    open_view(HIDE);
    slc_kafka_add_int32(&in, 0); /* ConsumerGroupHeartbeat version 1 */
    slc_kafka_add_int16(&in, 128);
    text(&in, COMPACT, "SubscribedTopicRegex `b\\.secret|a\\.(?:x)` is not a valid regular expression: no.");
    text(&in, COMPACT, "member");
    slc_kafka_add_int32(&in, 1);
    slc_kafka_add_int32(&in, 1);
    slc_kafka_add_int8(&in, -1);
    slc_kafka_add_no_tags(&in);
    ck_assert_msg(unmap(68, 1, false), "%s", err.message);
    ck_assert(has(&out, "regular expression", 18) && !has(&out, "secret", 6) && !has(&out, "a\\.", 3));
    close_view();
}
END_TEST

START_TEST(ids_are_learnt_from_names_beside_them_and_forgotten_when_there_are_too_many)
{
    size_t len;
    slc_topic_ids_init(&ids, 2);
    learn(ours, "one");
    learn(ours, "other"); /* an id keeps its topic */
    ck_assert(slc_topic_ids_find(&ids, ours, &len) != NULL && len == 3);
    ck_assert_ptr_null(slc_topic_ids_find(&ids, theirs, &len));
    learn(theirs, "two");
    learn(nobodys, "three");
    ck_assert_ptr_nonnull(slc_topic_ids_find(&ids, nobodys, &len));
    ck_assert_ptr_null(slc_topic_ids_find(&ids, ours, &len));
    slc_topic_ids_release(&ids);
}
END_TEST

TEST_MAIN("view", an_unknown_id_is_asked_for_and_then_ours_theirs_or_nobodys,
          a_fetch_session_belongs_to_its_connection, a_topic_that_appears_later_ends_the_fetch_session,
          a_connection_may_name_so_many_foreign_ids, a_cursor_among_others_topics_goes_on_at_ours_or_ends,
          subscriptions_are_mapped_for_consumers_alone, groups_outside_of_an_enforced_namespace_are_refused,
          lists_lose_what_is_anothers, a_topic_that_leaves_is_in_no_fetch_any_more,
          a_member_is_not_told_of_topics_that_have_left, a_topic_that_filters_leave_out_is_not_there,
          topics_over_a_limit_are_refused_one_by_one,
          topics_with_a_configuration_that_is_not_allowed_are_refused_one_by_one,
          a_configuration_that_is_not_allowed_is_refused_topic_by_topic, nobody_is_a_replica,
          a_refusal_by_a_limit_says_what_the_limit_is, asking_for_a_topic_makes_none_where_that_is_limited,
          texts_do_not_name_what_a_new_topic_collides_with, texts_do_not_repeat_patterns_as_they_were_sent,
          what_a_broker_can_read_of_a_subscription_is_mapped, a_subscription_whose_names_do_not_fit_is_not_sent,
          an_assignment_is_mapped_whatever_the_connection_joined_before,
          a_group_has_no_offsets_of_topics_that_have_left,
          ids_are_learnt_from_names_beside_them_and_forgotten_when_there_are_too_many)
