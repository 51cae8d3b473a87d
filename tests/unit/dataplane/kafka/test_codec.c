/* The messages that the gateway speaks itself. What kafka-clients thinks of them is tested against a broker. */
#include <stdio.h>

#include "dataplane/kafka/api_versions_codec.h"
#include "dataplane/kafka/configs_codec.h"
#include "dataplane/kafka/decode.h"
#include "dataplane/kafka/fetch_codec.h"
#include "dataplane/kafka/header.h"
#include "dataplane/kafka/metadata_codec.h"
#include "dataplane/kafka/sasl_codec.h"
#include "dataplane/kafka/wire.h"
#include "message.h"

static const slc_kafka_metadata_limits LIMITS = {.brokers = 10, .topics = 10, .partitions = 10};

static bool ignore(void *ctx, const slc_kafka_event *ev, slc_error *err)
{
    (void)ctx;
    (void)ev;
    (void)err;
    return true;
}

/* A request frame must be what the walker reads, to its end. */
static void expect_request(const slc_buf *out, int key, int version, int32_t correlation_id)
{
    slc_kafka_request_header header;
    slc_error err = {0};
    ck_assert_uint_eq(slc_kafka_get32(out->data), out->len - 4);
    ck_assert_int_eq(slc_kafka_request_header_read(out->data + 4, out->len - 4, out->len - 4, &header, &err),
                     SLC_KAFKA_DONE);
    ck_assert_int_eq(header.key, key);
    ck_assert_int_eq(header.version, version);
    ck_assert_int_eq(header.correlation_id, correlation_id);
    ck_assert_msg(slc_kafka_body_decode(header.message, version, out->data + 4 + header.size,
                                        out->len - 4 - header.size, ignore, NULL, &err),
                  "%s", err.message);
}

START_TEST(requests_are_well_formed)
{
    slc_buf out;
    slc_error err = {0};
    static const char *const names[] = {"max.message.bytes"};
    static const char *const topics[] = {"orders", "payments"};
    const slc_kafka_topic_query queries[] = {{.name = "orders"}, {.id = {1, 2, 3}}};
    slc_buf_init(&out, MESSAGE_MAX);
    ck_assert(slc_kafka_metadata_request(&out, 1, "sluice", queries, 2, &err));
    expect_request(&out, 3, 12, 1);
    slc_buf_clear(&out);
    ck_assert(slc_kafka_metadata_request(&out, 2, NULL, NULL, 0, &err));
    expect_request(&out, 3, 12, 2);
    slc_buf_clear(&out);
    ck_assert(slc_kafka_describe_configs_request(&out, 3, "sluice", topics, 2, names, 1, &err));
    expect_request(&out, 32, 4, 3);
    for (int version = 0; version <= 3; version += 3) {
        slc_buf_clear(&out);
        ck_assert(slc_kafka_api_versions_request(&out, version, 4, "sluice", "sluice", "0.1.0", &err));
        expect_request(&out, 18, version, 4);
    }
    slc_buf_clear(&out);
    ck_assert(slc_kafka_sasl_handshake_request(&out, 5, "sluice", "PLAIN", &err));
    expect_request(&out, 17, 1, 5);
    slc_buf_clear(&out);
    ck_assert(slc_kafka_sasl_authenticate_request(&out, 6, "sluice", (const uint8_t *)"\0u\0p", 4, &err));
    expect_request(&out, 36, 2, 6);
    slc_buf_clear(&out);
    ck_assert(slc_kafka_fetch_request(&out, 7, "sluice", "orders", 3, INT64_MAX, &err));
    expect_request(&out, 1, 11, 7);
    slc_buf_release(&out);
}
END_TEST

START_TEST(a_frame_over_the_limit_leaves_nothing)
{
    slc_buf out;
    slc_error err = {0};
    slc_buf_init(&out, 20);
    slc_buf_adds(&out, "before");
    ck_assert(!slc_kafka_sasl_handshake_request(&out, 5, "a-rather-long-client-id", "PLAIN", &err));
    ck_assert_int_eq(err.code, SLC_LIMIT);
    ck_assert_uint_eq(out.len, 6);
    slc_buf_release(&out);
}
END_TEST

static void partition(slc_buf *buf, int32_t index, int32_t epoch)
{
    slc_kafka_add_int16(buf, 0);
    slc_kafka_add_int32(buf, index);
    slc_kafka_add_int32(buf, 1);
    slc_kafka_add_int32(buf, epoch);
    slc_kafka_add_count(buf, COMPACT, 1);
    slc_kafka_add_int32(buf, 1);
    slc_kafka_add_count(buf, COMPACT, 0);
    slc_kafka_add_count(buf, COMPACT, 0);
    slc_kafka_add_no_tags(buf);
}

/* A Metadata v12 answer with one broker, and two topics: one of two partitions, one that is not known. */
static size_t metadata_answer(slc_buf *buf)
{
    static const uint8_t id[16] = {7, 7};
    slc_buf_init(buf, MESSAGE_MAX);
    size_t begin = slc_kafka_response_begin(buf, 3, 12, 9);
    slc_kafka_add_int32(buf, 11);
    slc_kafka_add_count(buf, COMPACT, 1);
    slc_kafka_add_int32(buf, 1);
    text(buf, COMPACT, "b1.internal");
    slc_kafka_add_int32(buf, 9092);
    text(buf, COMPACT, NULL);
    slc_kafka_add_no_tags(buf);
    text(buf, COMPACT, "cluster");
    slc_kafka_add_int32(buf, 1);
    slc_kafka_add_count(buf, COMPACT, 2);
    slc_kafka_add_int16(buf, 0);
    text(buf, COMPACT, "orders");
    slc_buf_add(buf, id, sizeof(id));
    slc_kafka_add_int8(buf, 0);
    slc_kafka_add_count(buf, COMPACT, 2);
    partition(buf, 1, 50);
    partition(buf, 0, 40);
    slc_kafka_add_int32(buf, INT32_MIN);
    slc_kafka_add_no_tags(buf);
    slc_kafka_add_int16(buf, 100); /* UNKNOWN_TOPIC_ID */
    text(buf, COMPACT, NULL);
    slc_buf_add(buf, id, sizeof(id));
    slc_kafka_add_int8(buf, 0);
    slc_kafka_add_count(buf, COMPACT, 0);
    slc_kafka_add_int32(buf, INT32_MIN);
    slc_kafka_add_no_tags(buf);
    slc_kafka_add_no_tags(buf);
    return begin;
}

START_TEST(metadata_is_read)
{
    slc_buf buf;
    slc_error err = {0};
    slc_kafka_metadata m = {0};
    metadata_answer(&buf);
    ck_assert_msg(slc_kafka_metadata_response(buf.data + 4, buf.len - 4, 9, &LIMITS, &m, &err), "%s",
                  err.message);
    ck_assert_int_eq(m.throttle_ms, 11);
    ck_assert_uint_eq(m.n_brokers, 1);
    ck_assert_str_eq(m.brokers[0].host, "b1.internal");
    ck_assert_int_eq(m.brokers[0].port, 9092);
    ck_assert_str_eq(m.cluster_id, "cluster");
    ck_assert_uint_eq(m.n_topics, 2);
    ck_assert_str_eq(m.topics[0].name, "orders");
    ck_assert_uint_eq(m.topics[0].id[1], 7);
    ck_assert_uint_eq(m.topics[0].partitions, 2);
    ck_assert_int_eq(m.partitions[m.topics[0].first_partition].index, 1);
    ck_assert_int_eq(m.partitions[m.topics[0].first_partition].leader_epoch, 50);
    ck_assert_int_eq(m.topics[1].error, 100);
    ck_assert_str_eq(m.topics[1].name, "");
    ck_assert_uint_eq(m.topics[1].partitions, 0);
    slc_kafka_metadata_release(&m);
    slc_buf_release(&buf);
}
END_TEST

START_TEST(metadata_over_a_limit_or_of_another_request_is_an_error)
{
    slc_buf buf;
    slc_error err = {0};
    slc_kafka_metadata m = {0};
    slc_kafka_metadata_limits one = {.brokers = 1, .topics = 1, .partitions = 10};
    metadata_answer(&buf);
    ck_assert(!slc_kafka_metadata_response(buf.data + 4, buf.len - 4, 9, &one, &m, &err));
    ck_assert_int_eq(err.code, SLC_LIMIT);
    one = (slc_kafka_metadata_limits){.brokers = 1, .topics = 2, .partitions = 1};
    ck_assert(!slc_kafka_metadata_response(buf.data + 4, buf.len - 4, 9, &one, &m, &err));
    ck_assert_int_eq(err.code, SLC_LIMIT);
    ck_assert(!slc_kafka_metadata_response(buf.data + 4, buf.len - 4, 8, &LIMITS, &m, &err));
    ck_assert_int_eq(err.code, SLC_INVALID);
    ck_assert(!slc_kafka_metadata_response(buf.data + 4, buf.len - 5, 9, &LIMITS, &m, &err));
    ck_assert_ptr_null(m.topics);
    slc_buf_release(&buf);
}
END_TEST

START_TEST(api_versions_are_read_also_from_a_broker_that_is_too_old)
{
    slc_buf buf;
    slc_error err = {0};
    slc_kafka_api_versions versions;
    slc_buf_init(&buf, MESSAGE_MAX);
    slc_kafka_response_begin(&buf, 18, 3, 1);
    slc_kafka_add_int16(&buf, 0);
    slc_kafka_add_count(&buf, COMPACT, 2);
    static const int16_t rows[2][3] = {{0, 3, 13}, {500, 0, 1}}; /* the second one is not in the table */
    for (int i = 0; i < 2; i++) {
        for (int j = 0; j < 3; j++)
            slc_kafka_add_int16(&buf, rows[i][j]);
        slc_kafka_add_no_tags(&buf);
    }
    slc_kafka_add_int32(&buf, 0);
    slc_kafka_add_no_tags(&buf);
    ck_assert_msg(slc_kafka_api_versions_response(buf.data + 4, buf.len - 4, 3, 1, &versions, &err), "%s",
                  err.message);
    ck_assert_int_eq(versions.of[0].min, 3);
    ck_assert_int_eq(versions.of[0].max, 13);
    ck_assert_int_eq(versions.of[1].max, -1);

    slc_buf_clear(&buf);
    slc_kafka_response_begin(&buf, 18, 0, 1);
    slc_kafka_add_int16(&buf, SLC_KAFKA_ERROR_UNSUPPORTED_VERSION);
    slc_kafka_add_count(&buf, OLD, 1);
    slc_kafka_add_int16(&buf, 18);
    slc_kafka_add_int16(&buf, 0);
    slc_kafka_add_int16(&buf, 2);
    ck_assert_msg(slc_kafka_api_versions_response(buf.data + 4, buf.len - 4, 3, 1, &versions, &err), "%s",
                  err.message);
    ck_assert_int_eq(versions.error, SLC_KAFKA_ERROR_UNSUPPORTED_VERSION);
    ck_assert_int_eq(versions.of[18].max, 2);
    slc_buf_release(&buf);
}
END_TEST

START_TEST(both_sides_of_a_handshake_understand_each_other)
{
    slc_buf buf;
    slc_error err = {0};
    slc_kafka_request_header header;
    slc_kafka_sasl_handshake handshake;
    char mechanism[SLC_KAFKA_SASL_MECHANISM_MAX + 1];
    static const char *const mechanisms[] = {"PLAIN", "SCRAM-SHA-512"};
    slc_buf_init(&buf, MESSAGE_MAX);
    ck_assert(slc_kafka_sasl_handshake_request(&buf, 5, NULL, "SCRAM-SHA-512", &err));
    ck_assert_int_eq(slc_kafka_request_header_read(buf.data + 4, buf.len - 4, buf.len - 4, &header, &err),
                     SLC_KAFKA_DONE);
    ck_assert(slc_kafka_sasl_handshake_read(buf.data + 4 + header.size, buf.len - 4 - header.size,
                                            header.version, mechanism, &err));
    ck_assert_str_eq(mechanism, "SCRAM-SHA-512");
    slc_buf_clear(&buf);
    ck_assert(slc_kafka_sasl_handshake_answer(&buf, 1, 5, 33, mechanisms, 2, &err));
    ck_assert(slc_kafka_sasl_handshake_response(buf.data + 4, buf.len - 4, 5, &handshake, &err));
    ck_assert_int_eq(handshake.error, 33);
    ck_assert_uint_eq(handshake.n, 2);
    ck_assert_str_eq(handshake.mechanisms[1], "SCRAM-SHA-512");
    slc_buf_release(&buf);
}
END_TEST

START_TEST(both_sides_of_an_authentication_understand_each_other)
{
    slc_buf buf;
    slc_error err = {0};
    slc_kafka_request_header header;
    slc_kafka_sasl_answer answer = {
        .token = (const uint8_t *)"v=1", .token_len = 3, .session_lifetime_ms = 60000};
    const uint8_t *token;
    size_t len;
    slc_buf_init(&buf, MESSAGE_MAX);
    ck_assert(slc_kafka_sasl_authenticate_request(&buf, 6, NULL, (const uint8_t *)"\0u\0p", 4, &err));
    ck_assert_int_eq(slc_kafka_request_header_read(buf.data + 4, buf.len - 4, buf.len - 4, &header, &err),
                     SLC_KAFKA_DONE);
    ck_assert(slc_kafka_sasl_authenticate_read(buf.data + 4 + header.size, buf.len - 4 - header.size,
                                               header.version, &token, &len, &err));
    ck_assert_uint_eq(len, 4);
    ck_assert_mem_eq(token, "\0u\0p", 4);
    slc_buf_clear(&buf);
    ck_assert(slc_kafka_sasl_authenticate_answer(&buf, 2, 6, &answer, &err));
    slc_kafka_sasl_answer read;
    ck_assert(slc_kafka_sasl_authenticate_response(buf.data + 4, buf.len - 4, 6, &read, &err));
    ck_assert_int_eq(read.error, 0);
    ck_assert_int_eq(read.session_lifetime_ms, 60000);
    ck_assert_mem_eq(read.token, "v=1", 3);
    for (int version = 0; version <= 2; version++) { /* an error in every version that a client may speak */
        slc_buf_clear(&buf);
        answer = (slc_kafka_sasl_answer){.error = 58, .message = "Authentication failed."};
        ck_assert(slc_kafka_sasl_authenticate_answer(&buf, version, 6, &answer, &err));
        ck_assert(slc_kafka_response_decode(36, version, 6, buf.data + 4, buf.len - 4, ignore, NULL, &err));
    }
    slc_buf_release(&buf);
}
END_TEST

struct configs {
    int calls;
    int16_t error;
    char value[32];
};

static bool see_config(void *ctx, int16_t error, const slc_kafka_config *config, slc_error *err)
{
    struct configs *seen = ctx;
    (void)err;
    seen->calls++;
    if (error != 0)
        seen->error = error;
    else if (strcmp(config->name, "max.message.bytes") == 0)
        snprintf(seen->value, sizeof(seen->value), "%s=%s", config->topic, config->value);
    return true;
}

START_TEST(configs_are_read_with_their_topics_and_errors)
{
    slc_buf buf;
    slc_error err = {0};
    struct configs seen = {0};
    slc_buf_init(&buf, MESSAGE_MAX);
    slc_kafka_response_begin(&buf, 32, 4, 3);
    slc_kafka_add_int32(&buf, 0);
    slc_kafka_add_count(&buf, COMPACT, 2);
    for (int i = 0; i < 2; i++) {
        slc_kafka_add_int16(&buf, i == 0 ? 0 : 3);
        text(&buf, COMPACT, NULL);
        slc_kafka_add_int8(&buf, SLC_KAFKA_CONFIG_TOPIC);
        text(&buf, COMPACT, i == 0 ? "orders" : "gone");
        slc_kafka_add_count(&buf, COMPACT, i == 0);
        if (i == 0) {
            text(&buf, COMPACT, "max.message.bytes");
            text(&buf, COMPACT, "1048588");
            slc_kafka_add_int8(&buf, 0);
            slc_kafka_add_int8(&buf, 5);
            slc_kafka_add_int8(&buf, 0);
            slc_kafka_add_count(&buf, COMPACT, 1); /* a synonym has a name and a value as well */
            text(&buf, COMPACT, "message.max.bytes");
            text(&buf, COMPACT, "7");
            slc_kafka_add_int8(&buf, 5);
            slc_kafka_add_no_tags(&buf);
            slc_kafka_add_int8(&buf, 3);
            text(&buf, COMPACT, NULL);
            slc_kafka_add_no_tags(&buf);
        }
        slc_kafka_add_no_tags(&buf);
    }
    slc_kafka_add_no_tags(&buf);
    ck_assert_msg(slc_kafka_describe_configs_response(buf.data + 4, buf.len - 4, 3, see_config, &seen, &err),
                  "%s", err.message);
    ck_assert_int_eq(seen.calls, 2);
    ck_assert_int_eq(seen.error, 3);
    ck_assert_str_eq(seen.value, "orders=1048588");
    slc_buf_release(&buf);
}
END_TEST

START_TEST(what_is_fetched_is_found_with_its_error)
{
    for (int error = 0; error <= 6; error += 6) {
        slc_buf buf;
        slc_error err = {0};
        slc_kafka_fetched fetched;
        slc_buf_init(&buf, MESSAGE_MAX);
        slc_kafka_response_begin(&buf, 1, 11, 3);
        slc_kafka_add_int32(&buf, 0); /* throttle */
        slc_kafka_add_int16(&buf, 0);
        slc_kafka_add_int32(&buf, 0); /* session */
        slc_kafka_add_count(&buf, false, 1);
        text(&buf, false, "orders");
        slc_kafka_add_count(&buf, false, 1);
        slc_kafka_add_int32(&buf, 3);
        slc_kafka_add_int16(&buf, (int16_t)error); /* NOT_LEADER_OR_FOLLOWER */
        for (int i = 0; i < 3; i++)
            slc_kafka_add_int64(&buf, 100 - i); /* high watermark, last stable, begin of the log */
        slc_kafka_add_count(&buf, false, -1);   /* aborted transactions */
        slc_kafka_add_int32(&buf, -1);
        slc_kafka_add_bytes(&buf, false, (const uint8_t *)"batch", error == 0 ? 5 : 0);
        ck_assert_msg(slc_kafka_fetch_response(buf.data + 4, buf.len - 4, 3, &fetched, &err), "%s",
                      err.message);
        ck_assert_int_eq(fetched.error, error);
        ck_assert_int_eq(fetched.high_watermark, 100);
        ck_assert_uint_eq(fetched.len, error == 0 ? 5 : 0);
        ck_assert(error != 0 || memcmp(fetched.records, "batch", 5) == 0);
        ck_assert(!slc_kafka_fetch_response(buf.data + 4, buf.len - 5, 3, &fetched, &err));
        slc_buf_release(&buf);
    }
}
END_TEST

TEST_MAIN("kafka-codec", requests_are_well_formed, a_frame_over_the_limit_leaves_nothing, metadata_is_read,
          metadata_over_a_limit_or_of_another_request_is_an_error,
          api_versions_are_read_also_from_a_broker_that_is_too_old,
          both_sides_of_a_handshake_understand_each_other,
          both_sides_of_an_authentication_understand_each_other, configs_are_read_with_their_topics_and_errors,
          what_is_fetched_is_found_with_its_error)
