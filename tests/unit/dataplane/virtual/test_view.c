/* Views: topic ids that must be asked for, fetch sessions of others, cursors, blobs, lists and texts. */
#include "view_case.h"

static const uint8_t ours[16] = "ours----ours----", theirs[16] = "theirs--theirs--",
                     nobodys[16] = "nobody--nobody--";

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
          a_member_is_not_told_of_topics_that_have_left, nobody_is_a_replica,
          texts_do_not_name_what_a_new_topic_collides_with, texts_do_not_repeat_patterns_as_they_were_sent,
          what_a_broker_can_read_of_a_subscription_is_mapped, a_subscription_whose_names_do_not_fit_is_not_sent,
          an_assignment_is_mapped_whatever_the_connection_joined_before,
          a_group_has_no_offsets_of_topics_that_have_left,
          ids_are_learnt_from_names_beside_them_and_forgotten_when_there_are_too_many)
