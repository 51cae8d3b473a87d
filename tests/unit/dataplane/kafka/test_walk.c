/* The walker where the wire tests cannot look: what it says about bad input, and qualifiers. */
#include "dataplane/kafka/header.h"
#include "dataplane/kafka/walk.h"
#include "message.h"

/* Walks all of `buf`, or what the frame of `size` bytes has of it. */
static enum slc_kafka_step walk(const slc_kafka_message *message, int version, const slc_buf *buf, size_t size,
                                slc_error *err)
{
    slc_kafka_walk w;
    const slc_kafka_walk_options options = {.wants = SLC_KAFKA_WANT_FIELDS};
    ck_assert(slc_kafka_walk_init(&w, message, version, size, &options, err));
    slc_kafka_walk_feed(&w, buf->data, buf->len);
    slc_kafka_event ev;
    enum slc_kafka_step step;
    while ((step = slc_kafka_walk_next(&w, &ev, err)) == SLC_KAFKA_EVENT)
        ;
    return step;
}

/* Expects a refusal with that path and that text in its message. */
static void expect_refusal(int key, int version, enum slc_kafka_kind kind, const slc_buf *buf, const char *path,
                           const char *says)
{
    slc_error err = {0};
    ck_assert_int_eq(walk(message_of(key, version, kind), version, buf, buf->len, &err), SLC_KAFKA_FAILED);
    ck_assert_int_eq(err.code, SLC_INVALID);
    ck_assert_str_eq(err.field, path);
    ck_assert_msg(strstr(err.message, says) != NULL, "%s", err.message);
}

START_TEST(an_error_names_path_and_offset)
{
    slc_buf buf;
    slc_buf_init(&buf, MESSAGE_MAX);
    slc_kafka_add_count(&buf, OLD, 2); /* Metadata v0: topics */
    text(&buf, OLD, "fine");
    slc_kafka_add_int16(&buf, 300);
    slc_buf_adds(&buf, "short");
    expect_refusal(3, 0, SLC_KAFKA_REQUEST, &buf, "Topics[1].Name",
                   "claims 300 bytes where 5 are left at offset 10");
    slc_buf_release(&buf);
}
END_TEST

START_TEST(a_count_beyond_the_frame_is_refused_before_its_elements_come)
{
    slc_buf buf;
    slc_error err = {0};
    slc_buf_init(&buf, MESSAGE_MAX);
    slc_kafka_add_count(&buf, OLD, 1000000);
    ck_assert_int_eq(walk(message_of(3, 0, SLC_KAFKA_REQUEST), 0, &buf, 1000, &err), SLC_KAFKA_FAILED);
    ck_assert_str_eq(err.field, "Topics");
    ck_assert_ptr_nonnull(strstr(err.message, "claims 1000000 elements"));
    slc_buf_release(&buf);
}
END_TEST

START_TEST(a_fixed_array_is_measured_in_its_elements)
{
    slc_buf buf;
    slc_buf_init(&buf, MESSAGE_MAX);
    slc_buf_clear(&buf);
    slc_kafka_add_int8(&buf, 0);
    slc_kafka_add_count(&buf, COMPACT, 1);
    text(&buf, COMPACT, "t");
    slc_kafka_add_count(&buf, COMPACT, 3); /* needs 12 bytes */
    slc_kafka_add_int64(&buf, 0);
    expect_refusal(43, 2, SLC_KAFKA_REQUEST, &buf, "TopicPartitions[0].Partitions",
                   "claims 3 elements where 8 bytes are left");
    slc_buf_release(&buf);
}
END_TEST

START_TEST(null_is_refused_where_the_version_has_none)
{
    slc_buf buf;
    slc_buf_init(&buf, MESSAGE_MAX);
    slc_kafka_add_count(&buf, OLD, -1); /* Metadata v0 has no null topics, v1 has */
    expect_refusal(3, 0, SLC_KAFKA_REQUEST, &buf, "Topics", "is null");
    slc_error err = {0};
    ck_assert_int_eq(walk(message_of(3, 1, SLC_KAFKA_REQUEST), 1, &buf, buf.len, &err), SLC_KAFKA_DONE);
    slc_buf_release(&buf);
}
END_TEST

START_TEST(negative_lengths_are_refused)
{
    slc_buf buf;
    slc_buf_init(&buf, MESSAGE_MAX);
    slc_kafka_add_count(&buf, OLD, 1);
    slc_kafka_add_int16(&buf, -2);
    expect_refusal(3, 0, SLC_KAFKA_REQUEST, &buf, "Topics[0].Name", "negative length -2");
    slc_buf_clear(&buf);
    slc_kafka_add_int32(&buf, INT32_MIN);
    expect_refusal(3, 0, SLC_KAFKA_REQUEST, &buf, "Topics", "negative length");
    slc_buf_release(&buf);
}
END_TEST

START_TEST(endless_and_huge_varints_are_refused)
{
    static const uint8_t endless[] = {0x80, 0x80, 0x80, 0x80, 0x80, 0x80};
    static const uint8_t huge[] = {0xff, 0xff, 0xff, 0xff, 0x0f, 0};
    slc_buf buf;
    slc_buf_init(&buf, MESSAGE_MAX);
    slc_buf_add(&buf, endless, sizeof(endless));
    expect_refusal(3, 9, SLC_KAFKA_REQUEST, &buf, "Topics", "varint longer than 5 bytes");
    slc_buf_clear(&buf);
    slc_buf_add(&buf, huge, sizeof(huge));
    expect_refusal(3, 9, SLC_KAFKA_REQUEST, &buf, "Topics", "varint above 2^31");
    slc_buf_release(&buf);
}
END_TEST

/* ApiVersions v3's answer up to its tagged section. */
static void api_versions_until_tags(slc_buf *buf)
{
    slc_buf_init(buf, MESSAGE_MAX);
    slc_kafka_add_int16(buf, 0);
    slc_kafka_add_count(buf, COMPACT, 0);
    slc_kafka_add_int32(buf, 0);
}

START_TEST(a_known_tag_must_fill_its_size)
{
    slc_buf buf;
    api_versions_until_tags(&buf);
    slc_kafka_add_uvarint(&buf, 1);
    slc_kafka_add_uvarint(&buf, 1); /* FinalizedFeaturesEpoch */
    slc_kafka_add_uvarint(&buf, 9); /* an int64 and one more */
    slc_kafka_add_int64(&buf, 7);
    slc_kafka_add_int8(&buf, 0);
    expect_refusal(18, 3, SLC_KAFKA_RESPONSE, &buf, "FinalizedFeaturesEpoch", "leaves 1 bytes");
    slc_buf_release(&buf);
}
END_TEST

START_TEST(a_value_may_not_leave_its_tag)
{
    slc_buf buf;
    api_versions_until_tags(&buf);
    slc_kafka_add_uvarint(&buf, 1);
    slc_kafka_add_uvarint(&buf, 1);
    slc_kafka_add_uvarint(&buf, 4);
    slc_kafka_add_int64(&buf, 7); /* the bytes are there, but not inside the tag */
    expect_refusal(18, 3, SLC_KAFKA_RESPONSE, &buf, "FinalizedFeaturesEpoch", "needs 8 bytes where 4 are left");
    slc_buf_release(&buf);
}
END_TEST

START_TEST(a_tag_larger_than_the_frame_is_refused)
{
    slc_buf buf;
    api_versions_until_tags(&buf);
    slc_kafka_add_uvarint(&buf, 1);
    slc_kafka_add_uvarint(&buf, 99);
    slc_kafka_add_uvarint(&buf, 1000);
    expect_refusal(18, 3, SLC_KAFKA_RESPONSE, &buf, "", "has tag 99 of 1000 bytes where 0 are left");
    slc_buf_release(&buf);
}
END_TEST

START_TEST(a_tag_tells_where_its_number_stands)
{
    slc_buf buf;
    slc_error err = {0};
    slc_kafka_walk w;
    slc_kafka_event ev;
    const slc_kafka_walk_options options = {.wants = SLC_KAFKA_WANT_SHAPE | SLC_KAFKA_WANT_UNKNOWN};
    slc_buf_init(&buf, MESSAGE_MAX);
    slc_kafka_add_int32(&buf, 0); /* Fetch v16's answer: throttle, error, session, no responses */
    slc_kafka_add_int16(&buf, 0);
    slc_kafka_add_int32(&buf, 0);
    slc_kafka_add_count(&buf, COMPACT, 0);
    slc_kafka_add_uvarint(&buf, 2);
    size_t known = buf.len;
    slc_kafka_add_uvarint(&buf, 0); /* NodeEndpoints */
    slc_kafka_add_uvarint(&buf, 1);
    slc_kafka_add_count(&buf, COMPACT, 0);
    size_t unknown = buf.len;
    slc_kafka_add_uvarint(&buf, 300);
    slc_kafka_add_uvarint(&buf, 2);
    slc_buf_adds(&buf, "xy");
    ck_assert(slc_kafka_walk_init(&w, message_of(1, 16, SLC_KAFKA_RESPONSE), 16, buf.len, &options, &err));
    slc_kafka_walk_feed(&w, buf.data, buf.len);
    do
        ck_assert_int_eq(slc_kafka_walk_next(&w, &ev, &err), SLC_KAFKA_EVENT);
    while (ev.kind != SLC_KAFKA_EV_TAG);
    ck_assert_uint_eq(ev.at, known);
    ck_assert_uint_eq(ev.size_at, known + 1);
    ck_assert_str_eq(ev.field->name, "NodeEndpoints");
    do
        ck_assert_int_eq(slc_kafka_walk_next(&w, &ev, &err), SLC_KAFKA_EVENT);
    while (ev.kind != SLC_KAFKA_EV_UNKNOWN_TAG);
    ck_assert_uint_eq(ev.at, unknown);
    ck_assert_uint_eq(ev.size_at, unknown + 2);
    ck_assert_int_eq(ev.number, 300);
    ck_assert_mem_eq(ev.data, "xy", 2);
    ck_assert_int_eq(slc_kafka_walk_next(&w, &ev, &err), SLC_KAFKA_DONE);
    slc_buf_release(&buf);
}
END_TEST

/* The first event of a role, when the message comes byte by byte. */
static slc_kafka_event find(int key, int version, enum slc_kafka_kind kind, const slc_buf *buf,
                            enum slc_kafka_role role)
{
    slc_kafka_walk w;
    slc_error err = {0};
    const slc_kafka_walk_options options = {.wants = SLC_KAFKA_WANT(role)};
    ck_assert(slc_kafka_walk_init(&w, message_of(key, version, kind), version, buf->len, &options, &err));
    slc_kafka_event ev;
    enum slc_kafka_step step;
    for (size_t fed = 0; (step = slc_kafka_walk_next(&w, &ev, &err)) == SLC_KAFKA_MORE && fed < buf->len;) {
        fed++;
        size_t offset = slc_kafka_walk_offset(&w);
        slc_kafka_walk_feed(&w, buf->data + offset, fed - offset);
    }
    ck_assert_int_eq(step, SLC_KAFKA_EVENT);
    return ev;
}

START_TEST(a_name_knows_its_type_before_and_its_pattern_behind_it)
{
    slc_buf buf;
    slc_buf_init(&buf, MESSAGE_MAX);
    slc_kafka_add_int8(&buf, SLC_KAFKA_ACL_GROUP); /* DescribeAcls v1 */
    text(&buf, OLD, "billing");
    slc_kafka_add_int8(&buf, 4); /* prefixed */
    text(&buf, OLD, NULL);
    text(&buf, OLD, NULL);
    slc_kafka_add_int16(&buf, 0);
    slc_kafka_event ev = find(29, 1, SLC_KAFKA_REQUEST, &buf, SLC_KAFKA_ROLE_RESOURCE);
    ck_assert_int_eq(ev.resource_type, SLC_KAFKA_ACL_GROUP);
    ck_assert_int_eq(ev.pattern_type, 4);
    slc_buf_release(&buf);
}
END_TEST

START_TEST(a_coordinator_key_knows_its_type_in_every_version)
{
    slc_buf buf;
    slc_buf_init(&buf, MESSAGE_MAX);
    text(&buf, OLD, "k"); /* v0 has no type: a group */
    ck_assert_int_eq(find(10, 0, SLC_KAFKA_REQUEST, &buf, SLC_KAFKA_ROLE_COORDINATOR_KEY).resource_type,
                     SLC_KAFKA_COORDINATOR_GROUP);
    slc_kafka_add_int8(&buf, SLC_KAFKA_COORDINATOR_TXN); /* v1 has it behind the key */
    ck_assert_int_eq(find(10, 1, SLC_KAFKA_REQUEST, &buf, SLC_KAFKA_ROLE_COORDINATOR_KEY).resource_type,
                     SLC_KAFKA_COORDINATOR_TXN);
    slc_buf_clear(&buf);
    slc_kafka_add_int8(&buf, SLC_KAFKA_COORDINATOR_SHARE); /* v4 before the keys */
    slc_kafka_add_count(&buf, COMPACT, 1);
    text(&buf, COMPACT, "k");
    slc_kafka_add_no_tags(&buf);
    ck_assert_int_eq(find(10, 4, SLC_KAFKA_REQUEST, &buf, SLC_KAFKA_ROLE_COORDINATOR_KEY).resource_type,
                     SLC_KAFKA_COORDINATOR_SHARE);
    slc_buf_release(&buf);
}
END_TEST

START_TEST(a_listed_resource_without_a_type_is_client_metrics)
{
    slc_buf buf;
    slc_buf_init(&buf, MESSAGE_MAX);
    slc_kafka_add_int32(&buf, 0); /* ListConfigResources v0 */
    slc_kafka_add_int16(&buf, 0);
    slc_kafka_add_count(&buf, COMPACT, 1);
    text(&buf, COMPACT, "m");
    slc_kafka_add_no_tags(&buf);
    slc_kafka_add_no_tags(&buf);
    slc_kafka_event ev = find(74, 0, SLC_KAFKA_RESPONSE, &buf, SLC_KAFKA_ROLE_CONFIG_RESOURCE);
    ck_assert_int_eq(ev.resource_type, SLC_KAFKA_CONFIG_CLIENT_METRICS);
    ck_assert_int_eq(ev.pattern_type, SLC_KAFKA_UNQUALIFIED);
    slc_buf_release(&buf);
}
END_TEST

START_TEST(a_walk_that_failed_stays_failed)
{
    slc_kafka_walk w;
    slc_kafka_event ev;
    slc_error err = {0};
    const slc_kafka_walk_options options = {0};
    ck_assert(slc_kafka_walk_init(&w, message_of(3, 0, SLC_KAFKA_REQUEST), 0, 2, &options, &err));
    slc_kafka_walk_feed(&w, (const uint8_t *)"ab", 2);
    ck_assert_int_eq(slc_kafka_walk_next(&w, &ev, &err), SLC_KAFKA_FAILED);
    ck_assert_int_eq(slc_kafka_walk_next(&w, &ev, &err), SLC_KAFKA_FAILED);
    ck_assert(!slc_kafka_walk_init(&w, message_of(3, 0, SLC_KAFKA_REQUEST), 0, (size_t)INT32_MAX + 1, &options,
                                   &err));
    ck_assert_int_eq(err.code, SLC_TOO_LARGE);
}
END_TEST

START_TEST(a_request_header_is_read_as_far_as_it_can_be)
{
    slc_buf buf;
    slc_error err = {0};
    slc_kafka_request_header header;
    slc_buf_init(&buf, MESSAGE_MAX);
    slc_kafka_request_begin(&buf, 3, 12, 77, "cli");
    const uint8_t *frame = buf.data + 4;
    size_t size = buf.len - 4;
    for (size_t len = 0; len < size; len++)
        ck_assert_int_eq(slc_kafka_request_header_read(frame, len, size, &header, &err), SLC_KAFKA_MORE);
    ck_assert_int_eq(slc_kafka_request_header_read(frame, size, size + 9, &header, &err), SLC_KAFKA_DONE);
    ck_assert_int_eq(header.correlation_id, 77);
    ck_assert_uint_eq(header.size, size);
    ck_assert_mem_eq(header.client_id, "cli", 3);
    buf.data[4 + 3] = 99; /* a version that nobody has */
    ck_assert_int_eq(slc_kafka_request_header_read(frame, size, size, &header, &err), SLC_KAFKA_FAILED);
    ck_assert_int_eq(err.code, SLC_UNSUPPORTED);
    ck_assert_int_eq(header.key, 3);
    ck_assert_int_eq(header.version, 99);
    ck_assert_int_eq(header.correlation_id, 77);
    ck_assert_int_eq(slc_kafka_request_header_read(frame, 7, 7, &header, &err), SLC_KAFKA_FAILED);
    ck_assert_int_eq(err.code, SLC_INVALID);
    slc_buf_release(&buf);
}
END_TEST

TEST_MAIN("kafka-walk", an_error_names_path_and_offset,
          a_count_beyond_the_frame_is_refused_before_its_elements_come,
          a_fixed_array_is_measured_in_its_elements, null_is_refused_where_the_version_has_none,
          negative_lengths_are_refused, endless_and_huge_varints_are_refused, a_known_tag_must_fill_its_size,
          a_value_may_not_leave_its_tag, a_tag_larger_than_the_frame_is_refused,
          a_tag_tells_where_its_number_stands, a_name_knows_its_type_before_and_its_pattern_behind_it,
          a_coordinator_key_knows_its_type_in_every_version, a_listed_resource_without_a_type_is_client_metrics,
          a_walk_that_failed_stays_failed, a_request_header_is_read_as_far_as_it_can_be)
