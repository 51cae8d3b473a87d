/* The rewriter at the edges: prefixes that change width, answers that come later, limits. */
#include "dataplane/kafka/consumer_protocol.h"
#include "dataplane/kafka/decode.h"
#include "dataplane/kafka/rewrite.h"
#include "message.h"

/* What the map function does with every value of its roles. */
struct plan {
    enum slc_kafka_verdict verdict;
    slc_kafka_value value;
    int later; /* how often it is undecided first */
    int calls;
    size_t drop_from; /* drop only values whose number in order is not below this */
};

static enum slc_kafka_verdict follow(void *ctx, const slc_kafka_event *ev, slc_kafka_value *out, slc_error *err)
{
    struct plan *plan = ctx;
    (void)ev;
    if (plan->later > 0) {
        plan->later--;
        return SLC_KAFKA_LATER;
    }
    size_t number = (size_t)plan->calls++;
    if (plan->verdict == SLC_KAFKA_REFUSE)
        slc_fail(err, SLC_DENIED, NULL, "No.");
    if (plan->verdict == SLC_KAFKA_DROP && number < plan->drop_from)
        return SLC_KAFKA_KEEP;
    *out = plan->value;
    return plan->verdict;
}

struct fixture {
    slc_buf in;
    slc_buf out;
    slc_kafka_edits edits;
    slc_error err;
    struct plan plan;
    slc_kafka_rewrite_ops ops;
};

static void fixture_init(struct fixture *f, enum slc_kafka_role role)
{
    memset(f, 0, sizeof(*f));
    slc_buf_init(&f->in, MESSAGE_MAX);
    slc_buf_init(&f->out, MESSAGE_MAX);
    slc_kafka_edits_init(&f->edits, 1000, MESSAGE_MAX);
    f->ops = (slc_kafka_rewrite_ops){.roles = SLC_KAFKA_WANT(role), .map = follow};
}

static void fixture_release(struct fixture *f)
{
    slc_kafka_edits_release(&f->edits);
    slc_buf_release(&f->out);
    slc_buf_release(&f->in);
}

static bool rewrite(struct fixture *f, int key, int version, enum slc_kafka_kind kind)
{
    return slc_kafka_rewrite(message_of(key, version, kind), version, f->in.data, f->in.len, &f->ops, &f->plan,
                             &f->edits, &f->err) &&
           slc_kafka_edits_apply(&f->edits, f->in.data, f->in.len, &f->out, &f->err);
}

static bool ignore(void *ctx, const slc_kafka_event *ev, slc_error *err)
{
    (void)ctx;
    (void)ev;
    (void)err;
    return true;
}

static void metadata_v0(slc_buf *buf, int32_t topics)
{
    slc_kafka_add_count(buf, OLD, topics);
    for (int32_t i = 0; i < topics; i++)
        text(buf, OLD, "t");
}

/* Fetch v16's answer with one node in its tag. */
static void fetch_v16(slc_buf *buf, const char *host)
{
    slc_buf node;
    slc_buf_init(&node, MESSAGE_MAX);
    slc_kafka_add_count(&node, COMPACT, 1);
    slc_kafka_add_int32(&node, 1);
    text(&node, COMPACT, host);
    slc_kafka_add_int32(&node, 9092);
    text(&node, COMPACT, NULL);
    slc_kafka_add_no_tags(&node);
    slc_kafka_add_int32(buf, 0);
    slc_kafka_add_int16(buf, 0);
    slc_kafka_add_int32(buf, 0);
    slc_kafka_add_count(buf, COMPACT, 0);
    slc_kafka_add_uvarint(buf, 1);
    slc_kafka_add_uvarint(buf, 0);
    slc_kafka_add_uvarint(buf, (uint32_t)node.len);
    slc_buf_add(buf, node.data, node.len);
    slc_buf_release(&node);
}

START_TEST(a_tag_size_follows_a_longer_host_over_a_varint_border)
{
    struct fixture f;
    char host[201];
    slc_buf expected;
    memset(host, 'h', 200);
    host[200] = '\0';
    fixture_init(&f, SLC_KAFKA_ROLE_HOST);
    slc_buf_init(&expected, MESSAGE_MAX);
    fetch_v16(&f.in, "b1");
    fetch_v16(&expected, host);
    f.plan = (struct plan){.verdict = SLC_KAFKA_REPLACE, .value = {.body = {host, 200}}};
    ck_assert_msg(rewrite(&f, 1, 16, SLC_KAFKA_RESPONSE), "%s", f.err.message);
    ck_assert_uint_eq(f.out.len, expected.len);
    ck_assert_mem_eq(f.out.data, expected.data, expected.len);
    ck_assert_int_eq(f.edits.growth, (int64_t)expected.len - (int64_t)f.in.len);
    slc_buf_release(&expected);
    fixture_release(&f);
}
END_TEST

START_TEST(a_count_follows_dropped_elements_over_a_varint_border)
{
    struct fixture f;
    fixture_init(&f, SLC_KAFKA_ROLE_GROUP);
    slc_kafka_add_count(&f.in, COMPACT, 200); /* DeleteGroups v2: 201 takes two bytes */
    for (int i = 0; i < 200; i++)
        text(&f.in, COMPACT, "g");
    slc_kafka_add_no_tags(&f.in);
    f.plan = (struct plan){.verdict = SLC_KAFKA_DROP, .drop_from = 100};
    ck_assert_msg(rewrite(&f, 42, 2, SLC_KAFKA_REQUEST), "%s", f.err.message);
    ck_assert_uint_eq(f.out.len, 1 + 100 * 2 + 1);
    ck_assert_uint_eq(f.out.data[0], 101);
    fixture_release(&f);
}
END_TEST

START_TEST(dropping_everything_leaves_an_empty_array)
{
    struct fixture f;
    fixture_init(&f, SLC_KAFKA_ROLE_TOPIC);
    metadata_v0(&f.in, 3);
    f.plan = (struct plan){.verdict = SLC_KAFKA_DROP};
    ck_assert_msg(rewrite(&f, 3, 0, SLC_KAFKA_REQUEST), "%s", f.err.message);
    ck_assert_uint_eq(f.out.len, 4);
    ck_assert_mem_eq(f.out.data, "\0\0\0\0", 4);
    fixture_release(&f);
}
END_TEST

START_TEST(a_value_outside_any_array_cannot_be_dropped)
{
    struct fixture f;
    fixture_init(&f, SLC_KAFKA_ROLE_GROUP);
    text(&f.in, OLD, "g"); /* Heartbeat v0 */
    slc_kafka_add_int32(&f.in, 1);
    text(&f.in, OLD, "m");
    f.plan = (struct plan){.verdict = SLC_KAFKA_DROP};
    ck_assert(!rewrite(&f, 12, 0, SLC_KAFKA_REQUEST));
    ck_assert_int_eq(f.err.code, SLC_INVALID);
    fixture_release(&f);
}
END_TEST

START_TEST(an_answer_may_come_later)
{
    struct fixture f;
    slc_kafka_rewriter rw;
    fixture_init(&f, SLC_KAFKA_ROLE_TOPIC);
    metadata_v0(&f.in, 2);
    f.plan = (struct plan){.verdict = SLC_KAFKA_REPLACE, .value = {.body = {"xx", 2}}, .later = 2};
    ck_assert(slc_kafka_rewriter_init(&rw, message_of(3, 0, SLC_KAFKA_REQUEST), 0, f.in.len, &f.ops, &f.plan,
                                      &f.edits, &f.err));
    slc_kafka_rewriter_feed(&rw, f.in.data, f.in.len);
    ck_assert_int_eq(slc_kafka_rewriter_run(&rw, &f.err), SLC_KAFKA_WAIT);
    ck_assert_int_eq(slc_kafka_rewriter_run(&rw, &f.err), SLC_KAFKA_WAIT);
    ck_assert_int_eq(slc_kafka_rewriter_run(&rw, &f.err), SLC_KAFKA_DONE);
    ck_assert_int_eq(f.plan.calls, 2);
    ck_assert_int_eq(f.edits.growth, 2);
    fixture_release(&f);
}
END_TEST

START_TEST(a_refusal_is_the_map_functions_own)
{
    struct fixture f;
    fixture_init(&f, SLC_KAFKA_ROLE_TOPIC);
    metadata_v0(&f.in, 1);
    f.plan = (struct plan){.verdict = SLC_KAFKA_REFUSE};
    ck_assert(!rewrite(&f, 3, 0, SLC_KAFKA_REQUEST));
    ck_assert_int_eq(f.err.code, SLC_DENIED);
    fixture_release(&f);
}
END_TEST

START_TEST(a_name_that_becomes_too_long_or_null_is_an_error)
{
    struct fixture f;
    fixture_init(&f, SLC_KAFKA_ROLE_TOPIC);
    static char longest[SLC_KAFKA_MAX_STRING];
    memset(longest, 'x', sizeof(longest));
    metadata_v0(&f.in, 1);
    f.plan = (struct plan){.verdict = SLC_KAFKA_REPLACE,
                           .value = {.head = {"y", 1}, .body = {longest, sizeof(longest)}}};
    ck_assert(!rewrite(&f, 3, 0, SLC_KAFKA_REQUEST));
    ck_assert_int_eq(f.err.code, SLC_TOO_LARGE);
    slc_kafka_edits_clear(&f.edits);
    f.plan.value = (slc_kafka_value){.null = true};
    ck_assert(!rewrite(&f, 3, 0, SLC_KAFKA_REQUEST));
    ck_assert_int_eq(f.err.code, SLC_INVALID);
    fixture_release(&f);
}
END_TEST

START_TEST(edits_have_a_limit)
{
    struct fixture f;
    fixture_init(&f, SLC_KAFKA_ROLE_TOPIC);
    slc_kafka_edits_release(&f.edits);
    slc_kafka_edits_init(&f.edits, 2, MESSAGE_MAX);
    metadata_v0(&f.in, 3);
    f.plan = (struct plan){.verdict = SLC_KAFKA_REPLACE, .value = {.body = {"x", 1}}};
    ck_assert(!rewrite(&f, 3, 0, SLC_KAFKA_REQUEST));
    ck_assert_int_eq(f.err.code, SLC_LIMIT);
    slc_kafka_edits_release(&f.edits);
    slc_kafka_edits_init(&f.edits, 10, 7); /* two names of three bytes */
    ck_assert(!rewrite(&f, 3, 0, SLC_KAFKA_REQUEST));
    ck_assert_int_eq(f.err.code, SLC_LIMIT);
    fixture_release(&f);
}
END_TEST

START_TEST(a_message_without_names_costs_no_edit)
{
    struct fixture f;
    fixture_init(&f, SLC_KAFKA_ROLE_TOPIC);
    slc_kafka_add_int16(&f.in, 0); /* SaslHandshake's answer */
    slc_kafka_add_count(&f.in, OLD, 1);
    text(&f.in, OLD, "PLAIN");
    ck_assert(rewrite(&f, 17, 1, SLC_KAFKA_RESPONSE));
    ck_assert_uint_eq(f.edits.count, 0);
    ck_assert_uint_eq(f.out.len, f.in.len);
    fixture_release(&f);
}
END_TEST

static void subscription(slc_buf *buf, int16_t version, const char *topic)
{
    slc_kafka_add_int16(buf, version);
    slc_kafka_add_count(buf, OLD, 1);
    text(buf, OLD, topic);
    slc_kafka_add_bytes(buf, OLD, (const uint8_t *)"user", 4);
    if (version >= 1)
        slc_kafka_add_count(buf, OLD, 0);
    if (version >= 2)
        slc_kafka_add_int32(buf, 5);
    if (version >= 3)
        text(buf, OLD, "rack");
}

START_TEST(subscriptions_of_old_and_future_versions_are_mapped)
{
    static const int16_t versions[] = {0, 1, 2, 3, 9};
    for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++) {
        struct fixture f;
        slc_buf expected;
        fixture_init(&f, SLC_KAFKA_ROLE_TOPIC);
        slc_buf_init(&expected, MESSAGE_MAX);
        subscription(&f.in, versions[i], "t");
        subscription(&expected, versions[i], "ns-t");
        slc_buf_adds(&f.in, "something later"); /* Kafka ignores what follows */
        slc_buf_adds(&expected, "something later");
        f.plan = (struct plan){.verdict = SLC_KAFKA_REPLACE, .value = {.head = {"ns-", 3}, .body = {"t", 1}}};
        ck_assert_msg(slc_kafka_consumer_protocol_rewrite(SLC_KAFKA_ROLE_SUBSCRIPTION, f.in.data, f.in.len,
                                                          &f.ops, &f.plan, &f.edits, &f.out, &f.err),
                      "%s", f.err.message);
        ck_assert_uint_eq(f.out.len, expected.len);
        ck_assert_mem_eq(f.out.data, expected.data, expected.len);
        slc_buf_release(&expected);
        fixture_release(&f);
    }
}
END_TEST

START_TEST(an_empty_assignment_stays_and_garbage_is_refused)
{
    struct fixture f;
    fixture_init(&f, SLC_KAFKA_ROLE_TOPIC);
    ck_assert(slc_kafka_consumer_protocol_rewrite(SLC_KAFKA_ROLE_ASSIGNMENT, NULL, 0, &f.ops, &f.plan, &f.edits,
                                                  &f.out, &f.err));
    ck_assert_uint_eq(f.out.len, 0);
    ck_assert(!slc_kafka_consumer_protocol_rewrite(SLC_KAFKA_ROLE_ASSIGNMENT, (const uint8_t *)"\xff\xff\1\2",
                                                   4, &f.ops, &f.plan, &f.edits, &f.out, &f.err));
    ck_assert_int_eq(f.err.code, SLC_INVALID);
    ck_assert(!slc_kafka_consumer_protocol_rewrite(SLC_KAFKA_ROLE_ASSIGNMENT,
                                                   (const uint8_t *)"\0\1\x7f\xff\0\0", 6, &f.ops, &f.plan,
                                                   &f.edits, &f.out, &f.err));
    ck_assert_int_eq(f.err.code, SLC_INVALID);
    fixture_release(&f);
}
END_TEST

START_TEST(a_dropped_element_takes_its_edits_with_it)
{
    /* DescribeGroups v0's answer: the group's name decides after nothing else was edited; its members are not
     * asked. */
    struct fixture f;
    fixture_init(&f, SLC_KAFKA_ROLE_GROUP);
    slc_kafka_add_count(&f.in, OLD, 2);
    for (int i = 0; i < 2; i++) {
        slc_kafka_add_int16(&f.in, 0);
        text(&f.in, OLD, "group");
        text(&f.in, OLD, "Stable");
        text(&f.in, OLD, "consumer");
        text(&f.in, OLD, "range");
        slc_kafka_add_count(&f.in, OLD, 0);
    }
    f.plan = (struct plan){.verdict = SLC_KAFKA_DROP, .drop_from = 1};
    ck_assert(rewrite(&f, 15, 0, SLC_KAFKA_RESPONSE));
    ck_assert_uint_eq(f.edits.count, 2); /* the count and the removal */
    slc_error err = {0};
    ck_assert(slc_kafka_body_decode(message_of(15, 0, SLC_KAFKA_RESPONSE), 0, f.out.data, f.out.len, ignore,
                                    NULL, &err));
    ck_assert_uint_eq(f.out.len, 4 + (f.in.len - 4) / 2);
    fixture_release(&f);
}
END_TEST

TEST_MAIN("kafka-rewrite", a_tag_size_follows_a_longer_host_over_a_varint_border,
          a_count_follows_dropped_elements_over_a_varint_border, dropping_everything_leaves_an_empty_array,
          a_value_outside_any_array_cannot_be_dropped, an_answer_may_come_later,
          a_refusal_is_the_map_functions_own, a_name_that_becomes_too_long_or_null_is_an_error,
          edits_have_a_limit, a_message_without_names_costs_no_edit,
          subscriptions_of_old_and_future_versions_are_mapped, an_empty_assignment_stays_and_garbage_is_refused,
          a_dropped_element_takes_its_edits_with_it)
