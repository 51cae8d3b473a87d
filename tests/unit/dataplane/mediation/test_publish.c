#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "common/json.h"
#include "dataplane/mediation/publish.h"
#include "stage.h"

typedef struct field {
    const char *name, *value;
} field;

/* Posts and returns the answer; `fields` ends with a NULL name. */
static json_t *post_bytes(stage *s, const char *type, const void *body, size_t len, const field *fields,
                          int status)
{
    client *c = client_new(s, 0);
    if (type != NULL)
        client_header(c, "Content-Type", type);
    for (; fields != NULL && fields->name != NULL; fields++)
        client_header(c, fields->name, fields->value);
    client_body(c, body, len);
    client_post(c);
    client_wait(c);
    char *text = client_text(c);
    ck_assert_msg(client_status(c) == status, "%d, not %d: %s", client_status(c), status, text);
    slc_error err;
    json_t *answer = slc_json_parse(text, strlen(text), 16 << 20, &err);
    ck_assert_msg(answer != NULL, "%s in %s", err.message, text);
    free(text);
    client_free(c);
    return answer;
}

static json_t *post(stage *s, const char *type, const char *body, const field *fields, int status)
{
    return post_bytes(s, type, body, strlen(body), fields, status);
}

static void post_only(stage *s, const char *type, const char *body, const field *fields, int status)
{
    json_decref(post(s, type, body, fields, status));
}

static slc_record *record(stage *s, int64_t offset)
{
    slc_record *found = slc_memory_record(s->broker, "topic", 0, offset);
    ck_assert_ptr_nonnull(found);
    return found;
}

static void check_record(stage *s, int64_t offset, const char *key, const char *value)
{
    slc_record *found = record(s, offset);
    ck_assert_int_eq(found->key == NULL, key == NULL);
    if (key != NULL)
        ck_assert(found->key_len == strlen(key) && memcmp(found->key, key, found->key_len) == 0);
    ck_assert_int_eq(found->value == NULL, value == NULL);
    if (value != NULL)
        ck_assert(found->value_len == strlen(value) && memcmp(found->value, value, found->value_len) == 0);
    slc_record_unref(found);
}

static void check_header(stage *s, int64_t offset, const char *name, const char *value)
{
    slc_record *found = record(s, offset);
    bool seen = false;
    for (uint32_t i = 0; i < found->header_count; i++) {
        const slc_record_header *header = &found->headers[i];
        seen = seen ||
               (header->name_len == strlen(name) && memcmp(header->name, name, header->name_len) == 0 &&
                header->value_len == strlen(value) && memcmp(header->value, value, header->value_len) == 0);
    }
    ck_assert_msg(seen, "no header %s: %s", name, value);
    slc_record_unref(found);
}

static void use_key(stage *s, Sluice__Snapshot__V1__KeySource source, const char *selector)
{
    Sluice__Snapshot__V1__EventApi *msg = (Sluice__Snapshot__V1__EventApi *)s->api->msg;
    msg->key_source = source;
    msg->key_selector = (char *)selector;
}

START_TEST(json_is_stored_as_it_came)
{
    stage s;
    stage_defaults(&s);
    stage_open(&s, 1);
    json_t *answer = post(&s, "application/json; charset=utf-8", " {\"b\" : 1}\n", NULL, 201);
    ck_assert_str_eq(json_string_value(json_object_get(answer, "id")), "0-0");
    json_decref(answer);
    check_record(&s, 0, NULL, " {\"b\" : 1}\n");
    stage_close(&s);
}
END_TEST

START_TEST(bad_bodies_are_named)
{
    stage s;
    stage_defaults(&s);
    stage_open(&s, 1);
    ((Sluice__Snapshot__V1__EventApi *)s.api->msg)->max_event_bytes = 100;
    post_only(&s, "application/json", "", NULL, 400);
    json_t *answer = post(&s, "application/json", "{\"a\":1,}", NULL, 400);
    ck_assert_ptr_nonnull(strstr(json_string_value(json_object_get(answer, "detail")), "byte 7"));
    json_decref(answer);
    post_only(&s, "text/plain", "x", NULL, 415);
    post_only(&s, NULL, "x", NULL, 415);
    post_only(&s, "application/jsonx", "1", NULL, 415);
    char big[200];
    memset(big, '1', sizeof big);
    json_decref(post_bytes(&s, "application/json", big, 101, NULL, 413));
    json_decref(post_bytes(&s, "application/json", big, 100, NULL, 201));
    stage_close(&s);
}
END_TEST

START_TEST(outcomes_have_their_status)
{
    static const struct {
        enum slc_publish_outcome outcome;
        int status;
        const char *type;
    } cases[] = {
        {SLC_NOT_PERSISTED, 503, "not-persisted"},
        {SLC_OUTCOME_UNKNOWN, 504, "outcome-unknown"},
        {SLC_RECORD_TOO_LARGE, 413, "event-too-large"},
        {SLC_TOPIC_MISSING, 502, "topic-missing"},
        {SLC_QUEUE_FULL, 429, "queue-full"},
        {SLC_NOT_AUTHORISED, 502, "backend-refused"},
    };
    stage s;
    stage_defaults(&s);
    stage_open(&s, 1);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        slc_memory_set_outcome(s.broker, cases[i].outcome);
        json_t *answer = post(&s, "application/json", "1", NULL, cases[i].status);
        ck_assert_str_eq(json_string_value(json_object_get(answer, "type")), cases[i].type);
        ck_assert_ptr_null(strstr(json_string_value(json_object_get(answer, "title")), "topic1"));
        json_decref(answer);
        post_only(&s, "application/x-ndjson", "1\n2\n", NULL, cases[i].status); /* none stored: never 2xx */
    }
    stage_close(&s);
}
END_TEST

START_TEST(keys_follow_the_rule)
{
    stage s;
    stage_defaults(&s);
    stage_open(&s, 1);
    use_key(&s, SLUICE__SNAPSHOT__V1__KEY_SOURCE__KEY_SOURCE_JSON_POINTER, "/id");
    post_only(&s, "application/json", "{\"id\":\"a\\u00e4\"}", NULL, 201);
    check_record(&s, 0, "a\xc3\xa4", "{\"id\":\"a\\u00e4\"}");
    post_only(&s, "application/json", "{\"id\":42}", NULL, 201);
    check_record(&s, 1, "42", "{\"id\":42}");
    post_only(&s, "application/json", "{}", NULL, 422);
    post_only(&s, "application/json", "{\"id\":null}", NULL, 422);
    post_only(&s, "application/json", "{\"id\":{}}", NULL, 422);
    post_only(&s, "application/octet-stream", "x", NULL, 422);
    use_key(&s, SLUICE__SNAPSHOT__V1__KEY_SOURCE__KEY_SOURCE_HEADER, "X-Key");
    post_only(&s, "application/json", "1", NULL, 422);
    post_only(&s, "application/json", "1", (const field[]){{"X-Key", "k"}, {0}}, 201);
    check_record(&s, 2, "k", "1");
    post_only(&s, "application/json", "1", (const field[]){{"X-Key", "k"}, {"x-key", "l"}, {0}}, 422);
    stage_close(&s);
}
END_TEST

START_TEST(lines_are_stored_one_by_one_and_failures_named)
{
    stage s;
    stage_defaults(&s);
    stage_open(&s, 1);
    json_t *answer = post(&s, "application/x-ndjson", "1\n\n{\"a\":2}\r\n3", NULL, 201);
    ck_assert_uint_eq(json_array_size(json_object_get(answer, "results")), 3);
    json_decref(answer);
    answer = post(&s, "application/x-ndjson", "4\noops\n5\n", NULL, 207);
    json_t *results = json_object_get(answer, "results");
    ck_assert_str_eq(json_string_value(json_object_get(json_array_get(results, 0), "id")), "0-3");
    ck_assert_int_eq(json_integer_value(json_object_get(json_array_get(results, 1), "status")), 400);
    ck_assert_str_eq(json_string_value(json_object_get(json_array_get(results, 2), "id")), "0-4");
    json_decref(answer);
    post_only(&s, "application/x-ndjson", "oops\nworse\n", NULL, 400);
    post_only(&s, "application/x-ndjson", "\n\n", NULL, 400);
    post_only(&s, "application/x-ndjson", "", NULL, 400);
    stage_close(&s);
}
END_TEST

START_TEST(ninety_nine_of_a_hundred)
{
    stage s;
    stage_defaults(&s);
    stage_open(&s, 1);
    ((Sluice__Snapshot__V1__EventApi *)s.api->msg)->max_event_bytes = 20;
    char body[2048] = "";
    for (int i = 0; i < 100; i++)
        strcat(body, i == 41 ? "\"much longer than twenty bytes\"\n" : "{\"n\":1}\n");
    json_t *answer = post(&s, "application/x-ndjson", body, NULL, 207),
           *results = json_object_get(answer, "results");
    for (size_t i = 0; i < 100; i++)
        ck_assert_int_eq(json_object_get(json_array_get(results, i), "id") == NULL, i == 41);
    ck_assert_int_eq(json_integer_value(json_object_get(json_array_get(results, 41), "status")), 413);
    json_decref(answer);
    slc_record_unref(record(&s, 98));
    stage_close(&s);
}
END_TEST

static void fill_lines(slc_buf *body, int count, int large, size_t size)
{
    slc_buf_clear(body);
    for (int i = 0; i < count; i++) {
        slc_buf_addf(body, "{\"n\":%d,\"x\":\"", i);
        for (size_t j = 0; i == large && j < size; j++)
            slc_buf_addc(body, 'x');
        slc_buf_adds(body, "\"}\n");
    }
}

/* The topic's limit is asked for with the first publish. */
static bool limit_is_known(stage *s, int64_t limit)
{
    json_t *answer = post(s, "application/json", "1", NULL, 201);
    json_decref(answer);
    return stage_topic(s).max_message_bytes == limit;
}

START_TEST(an_event_over_the_topics_limit_is_named_and_the_others_are_stored)
{
    stage s;
    slc_buf body;
    stage_defaults(&s);
    stage_open(&s, 1);
    slc_memory_set_limit(s.broker, "topic", 2000, false);
    STAGE_WAIT(limit_is_known(&s, 2000));
    slc_buf_init(&body, 1 << 20);
    fill_lines(&body, 100, 41, 2000);
    json_t *answer = post_bytes(&s, "application/x-ndjson", body.data, body.len, NULL, 207);
    const json_t *results = json_object_get(answer, "results");
    for (size_t i = 0; i < 100; i++) {
        json_int_t status = json_integer_value(json_object_get(json_array_get(results, i), "status"));
        ck_assert_int_eq(status, i == 41 ? 413 : 0);
    }
    json_decref(answer);
    slc_memory_set_limit(s.broker, "topic", 4000, false);
    STAGE_WAIT(limit_is_known(&s, 4000));
    answer = post_bytes(&s, "application/x-ndjson", body.data, body.len, NULL, 201);
    json_decref(answer);
    slc_buf_release(&body);
    stage_close(&s);
}
END_TEST

START_TEST(a_compacted_topic_wants_keys)
{
    stage s;
    stage_defaults(&s);
    stage_open(&s, 1);
    slc_memory_set_limit(s.broker, "topic", 77, true);
    STAGE_WAIT(stage_topic(&s).compacted || limit_is_known(&s, 77));
    json_t *problem = post(&s, "application/json", "1", NULL, 422);
    ck_assert_str_eq(json_string_value(json_object_get(problem, "type")), "invalid-key");
    json_decref(problem);
    stage_close(&s);
}
END_TEST

START_TEST(the_stored_size_is_kafkas)
{
    /* Taken from a batch that Kafka stored: 61 bytes before the record, whose lengths are zigzag varints. */
    const slc_outgoing smallest = {.topic = "t"};
    ck_assert_uint_eq(slc_record_stored_bytes(&smallest), 61 + 1 + 6);
    const slc_broker_header header = {"h", "v", 1};
    const slc_outgoing some = {.topic = "t",
                               .key = "k",
                               .key_len = 1,
                               .value = "0",
                               .value_len = 64,
                               .headers = &header,
                               .header_count = 1};
    ck_assert_uint_eq(slc_record_stored_bytes(&some), 61 + 2 + (3 + 2 + 66 + 1 + 4));
}
END_TEST

START_TEST(bytes_stay_bytes)
{
    stage s;
    stage_defaults(&s);
    stage_open(&s, 1);
    json_decref(post_bytes(&s, "application/octet-stream", "\x00\xff\n", 3, NULL, 201));
    json_decref(post_bytes(&s, "application/octet-stream", "", 0, NULL, 201));
    slc_record *first = record(&s, 0), *second = record(&s, 1);
    ck_assert_uint_eq(first->value_len, 3);
    ck_assert_mem_eq(first->value, "\x00\xff\n", 3);
    ck_assert_ptr_nonnull(second->value);
    ck_assert_uint_eq(second->value_len, 0);
    slc_record_unref(first);
    slc_record_unref(second);
    stage_close(&s);
}
END_TEST

#define EVENT(id)                                                                                              \
    "{\"specversion\":\"1.0\",\"id\":\"" id                                                                    \
    "\",\"source\":\"/s\",\"type\":\"t\",\"partitionkey\":\"p\",\"data\":1}"

START_TEST(cloudevents_in_three_modes)
{
    stage s;
    stage_defaults(&s);
    stage_open(&s, 1);
    use_key(&s, SLUICE__SNAPSHOT__V1__KEY_SOURCE__KEY_SOURCE_CLOUDEVENTS, "");
    post_only(&s, "application/cloudevents+json", EVENT("1"), NULL, 201);
    check_record(&s, 0, "p", EVENT("1"));
    check_header(&s, 0, "content-type", "application/cloudevents+json");
    const field attributes[] = {{"ce-specversion", "1.0"}, {"ce-id", "2"},           {"ce-source", "/s"},
                                {"ce-type", "t%20%C3%A4"}, {"CE-PartitionKey", "q"}, {0}};
    post_only(&s, "application/json", "{\"d\":1}", attributes, 201);
    check_record(&s, 1, "q", "{\"d\":1}");
    check_header(&s, 1, "ce_type", "t \xc3\xa4");
    check_header(&s, 1, "content-type", "application/json");
    post_only(&s, NULL, "", attributes, 201); /* no data: a tombstone */
    check_record(&s, 2, "q", NULL);
    json_t *answer = post(&s, "application/cloudevents-batch+json",
                          "[" EVENT("4") ",{\"id\":\"x\"}," EVENT("5") "]", NULL, 207);
    ck_assert_int_eq(
        json_integer_value(json_object_get(json_array_get(json_object_get(answer, "results"), 1), "status")),
        422);
    json_decref(answer);
    check_record(&s, 4, "p", EVENT("5"));
    post_only(&s, "application/cloudevents-batch+json", "[]", NULL, 400);
    post_only(&s, "application/cloudevents-batch+json", "{}", NULL, 422);
    post_only(&s, "application/cloudevents+json", "{\"specversion\":\"0.3\"}", NULL, 422);
    post_only(&s, "application/json", "1", (const field[]){{"ce-specversion", "1.0"}, {"ce-id", "1"}, {0}},
              422);
    post_only(
        &s, "application/json", "1",
        (const field[]){{"ce-specversion", "1.0"}, {"ce-id", "%zz"}, {"ce-source", "s"}, {"ce-type", "t"}, {0}},
        422);
    stage_close(&s);
}
END_TEST

static void post_attribute(stage *s, const char *name, const char *value, int status)
{
    const field fields[] = {{"ce-specversion", "1.0"}, {"ce-id", "1"}, {"ce-source", "s"},
                            {"ce-type", "t"},          {name, value},  {0}};
    post_only(s, "application/json", "1", fields, status);
}

static const field complete[] = {
    {"ce-specversion", "1.0"}, {"ce-id", "1"}, {"ce-source", "s"}, {"ce-type", "t"}, {0}};

/* Attributes are never dropped in silence. */
START_TEST(half_a_cloudevent_is_none)
{
    stage s;
    stage_defaults(&s);
    stage_open(&s, 1);
    use_key(&s, SLUICE__SNAPSHOT__V1__KEY_SOURCE__KEY_SOURCE_CLOUDEVENTS, "");
    post_only(&s, "application/json", "1", complete + 1, 422); /* no ce-specversion */
    post_only(&s, "application/json", "1", (const field[]){{"ce-", "x"}, {0}}, 422);
    post_attribute(&s, "ce-", "x", 422);
    post_only(&s, "application/cloudevents+avro", "1", complete, 415); /* structured, whatever else is sent */
    post_only(&s, "application/vnd.order+json; v=1", "{", complete, 400);
    post_only(&s, "application/cloudevents+json",
              "{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"s\",\"type\":\"t\",\"data\":1,\"data_"
              "base64\":\"\"}",
              NULL, 422);
    post_only(&s, "application/cloudevents+json",
              "{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"s\",\"type\":\"t\",\"partitionkey\":null}",
              NULL, 201);
    slc_record *found = record(&s, 0);
    ck_assert_ptr_null(found->key);
    slc_record_unref(found);
    use_key(&s, SLUICE__SNAPSHOT__V1__KEY_SOURCE__KEY_SOURCE_JSON_POINTER, "/k");
    post_only(&s, "application/vnd.order+json; v=1", "{\"k\":\"a\"}", complete, 201);
    check_record(&s, 1, "a", "{\"k\":\"a\"}");
    stage_close(&s);
}
END_TEST

static void post_members(stage *s, const char *members, int status)
{
    char text[512];
    snprintf(text, sizeof text, "{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"s\",%s}", members);
    post_only(s, "application/cloudevents+json", text, NULL, status);
}

/* The gateway and a reader's parser could take different ones. */
START_TEST(a_structured_event_has_each_attribute_once)
{
    stage s;
    stage_defaults(&s);
    stage_open(&s, 1);
    post_members(&s, "\"type\":\"t\",\"id\":\"2\"", 422);
    post_members(&s, "\"type\":\"t\",\"i\\u0064\":\"1\"", 422);
    post_members(&s, "\"type\":\"t\" , \"data\":{}, \"data\" : {}", 422);
    post_members(&s, "\"type\":\"t\",\"i\":\"2\",\"idd\":\"2\",\"\\\\id\":\"2\"", 201);
    post_members(&s, "\"type\":\"t\",\"data\":{\"id\":1,\"id\":2}", 201); /* the publisher's own */
    slc_buf text;
    slc_buf_init(&text, 4096);
    slc_buf_adds(&text, "{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"s\",\"type\":\"t\"");
    for (int i = 4; i < SLC_PUBLISH_MAX_HEADERS - 1; i++)
        slc_buf_addf(&text, ",\"x%d\":1", i);
    char *most = slc_asprintf("%.*s}", (int)text.len, (const char *)text.data);
    post_only(&s, "application/cloudevents+json", most, NULL, 201);
    char *more = slc_asprintf("%.*s,\"y\":1}", (int)text.len, (const char *)text.data);
    post_only(&s, "application/cloudevents+json", more, NULL, 422);
    free(most);
    free(more);
    slc_buf_release(&text);
    stage_close(&s);
}
END_TEST

START_TEST(content_type_comes_once)
{
    stage s;
    stage_defaults(&s);
    stage_open(&s, 1);
    const field again[] = {{"content-type", "application/octet-stream"}, {0}};
    json_t *problem = post(&s, "application/json", "1", again, 400);
    ck_assert_str_eq(json_string_value(json_object_get(problem, "type")), "invalid-parameter");
    json_decref(problem);
    post_only(&s, NULL, "1", again, 201);
    stage_close(&s);
}
END_TEST

START_TEST(encoded_bodies_are_refused)
{
    stage s;
    stage_defaults(&s);
    stage_open(&s, 1);
    static const char *const types[] = {"application/octet-stream", "application/json",
                                        "application/cloudevents+json"};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        post_only(&s, types[i], "1", (const field[]){{"Content-Encoding", "gzip"}, {0}}, 415);
    post_only(&s, "application/json", "1", (const field[]){{"content-encoding", "Identity"}, {0}}, 201);
    stage_close(&s);
}
END_TEST

/* HTTP binding 1.0, section 3.1.3.2. */
START_TEST(attributes_are_unquoted_and_decoded_once)
{
    stage s;
    stage_defaults(&s);
    stage_open(&s, 1);
    use_key(&s, SLUICE__SNAPSHOT__V1__KEY_SOURCE__KEY_SOURCE_CLOUDEVENTS, "");
    post_attribute(&s, "ce-x", "Euro%20%E2%82%AC", 201);
    check_header(&s, 0, "ce_x", "Euro \xe2\x82\xac");
    post_attribute(&s, "ce-x", "%2541", 201); /* once */
    check_header(&s, 1, "ce_x", "%41");
    post_attribute(&s, "ce-x", "\"a \\\"b\\\" %41\"", 201);
    check_header(&s, 2, "ce_x", "a \"b\" A");
    post_attribute(&s, "ce-x", "5\" disk", 201); /* no quoted string */
    check_header(&s, 3, "ce_x", "5\" disk");
    post_attribute(&s, "ce-x", "\"", 201);
    check_header(&s, 4, "ce_x", "\"");
    post_attribute(&s, "ce-x", "\"a\\\"", 422); /* the quote that would end it is escaped */
    post_attribute(&s, "ce-x", "\"%4\"", 422);
    post_attribute(&s, "ce-x", "%4", 422);
    post_attribute(&s, "ce-x", "%FF", 422); /* no UTF-8 */
    post_attribute(&s, "ce-x_y", "1", 422);
    post_attribute(&s, "ce-id", "2", 422); /* twice */
    /* A NUL does not end a key: others that begin alike would be the same. */
    post_attribute(&s, "ce-partitionkey", "a%00b", 201);
    slc_record *found = record(&s, 5);
    ck_assert_uint_eq(found->key_len, 3);
    ck_assert_mem_eq(found->key, "a\0b", 3);
    slc_record_unref(found);
    stage_close(&s);
}
END_TEST

START_TEST(preferences_and_idempotency)
{
    stage s;
    stage_defaults(&s);
    stage_open(&s, 1);
    json_t *answer = post(&s, "application/json", "1", (const field[]){{"Prefer", "respond-async"}, {0}}, 202);
    ck_assert_int_eq(json_integer_value(json_object_get(answer, "accepted")), 1);
    json_decref(answer);
    post_only(&s, "application/json", "2", (const field[]){{"Idempotency-Key", "abc"}, {0}}, 201);
    check_header(&s, 1, "idempotency-key", "abc");
    char longest[257];
    memset(longest, 'k', sizeof longest);
    longest[255] = '\0';
    post_only(&s, "application/json", "3", (const field[]){{"Idempotency-Key", longest}, {0}}, 201);
    memset(longest, 'k', sizeof longest);
    longest[256] = '\0';
    post_only(&s, "application/json", "4", (const field[]){{"Idempotency-Key", longest}, {0}}, 400);
    post_only(&s, "application/json", "4", (const field[]){{"Idempotency-Key", ""}, {0}}, 400);
    const field two[] = {{"Idempotency-Key", "a"}, {"idempotency-key", "b"}, {0}};
    post_only(&s, "application/json", "4", two, 400);
    stage_close(&s);
}
END_TEST

/* Nobody hears of an acknowledgement, but what never went out is known at once. */
START_TEST(respond_async_names_what_was_refused)
{
    stage s;
    stage_defaults(&s);
    stage_open(&s, 1);
    const field preference[] = {{"Prefer", "respond-async"}, {0}};
    json_t *answer = post(&s, "application/x-ndjson", "1\noops\n2\n", preference, 202);
    const json_t *refused = json_object_get(answer, "refused"), *first = json_array_get(refused, 0);
    ck_assert_int_eq(json_integer_value(json_object_get(answer, "accepted")), 2);
    ck_assert_uint_eq(json_array_size(refused), 1);
    ck_assert_int_eq(json_integer_value(json_object_get(first, "index")), 1);
    ck_assert_int_eq(json_integer_value(json_object_get(first, "status")), 400);
    json_decref(answer);
    answer = post(&s, "application/x-ndjson", "3\n", preference, 202);
    ck_assert_ptr_null(json_object_get(answer, "refused"));
    json_decref(answer);
    post_only(&s, "application/x-ndjson", "oops\n", preference, 400);
    stage_close(&s);
}
END_TEST

/* What a policy makes of the headers is stored, behind what the gateway puts there itself. */
/* Takes the third away, renames the second and adds two. */
static enum slc_record_verdict edit_headers(void *bound, slc_record_turn *turn, slc_policy_record *record,
                                            slc_record_problem *problem)
{
    slc_record_header *headers = slc_record_scratch_headers(turn->scratch, record->header_count + 2);
    uint32_t count = 0;
    (void)bound, (void)problem;
    for (uint32_t i = 0; i < record->header_count; i++)
        if (record->headers[i].name_len != 9 || memcmp(record->headers[i].name, "ce_secret", 9) != 0)
            headers[count++] = record->headers[i];
    headers[1].name = "id and more"; /* without an end of its own */
    headers[1].name_len = 2;
    headers[count++] = (slc_record_header){"via", 3, 3, (const uint8_t *)"one"};
    headers[count++] = (slc_record_header){"via", 3, 3, (const uint8_t *)"two"};
    record->headers = headers;
    record->header_count = count;
    return SLC_RECORD_CHANGE;
}

START_TEST(policies_change_the_headers_of_records)
{
    static const slc_record_ops ops = {
        .rank = SLC_RANK_HEADERS, .headers = true, .on_produce_record = edit_headers};
    stage s;
    stage_defaults(&s);
    stage_open(&s, 1);
    stage_records(&ops, NULL);
    const field fields[] = {{"ce-specversion", "1.0"},
                            {"ce-id", "7"},
                            {"ce-source", "/t"},
                            {"ce-type", "t"},
                            {"ce-secret", "x"},
                            {"Idempotency-Key", "k"},
                            {0}};
    post_only(&s, "application/json", "1", fields, 201);
    static const char *const wanted[][2] = {{"ce_specversion", "1.0"},
                                            {"id", "7"},
                                            {"ce_source", "/t"},
                                            {"ce_type", "t"},
                                            {"content-type", "application/json"},
                                            {"idempotency-key", "k"},
                                            {"via", "one"},
                                            {"via", "two"}};
    slc_record *found = record(&s, 0);
    ck_assert_uint_eq(found->header_count, sizeof wanted / sizeof *wanted);
    for (uint32_t i = 0; i < found->header_count; i++) {
        ck_assert_uint_eq(found->headers[i].name_len, strlen(wanted[i][0]));
        ck_assert_mem_eq(found->headers[i].name, wanted[i][0], strlen(wanted[i][0]));
        ck_assert_uint_eq(found->headers[i].value_len, strlen(wanted[i][1]));
        ck_assert_mem_eq(found->headers[i].value, wanted[i][1], strlen(wanted[i][1]));
    }
    slc_record_unref(found);
    stage_records(NULL, NULL);
    stage_close(&s);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("publish");
    TCase *tcase = tcase_create("publish");
    tcase_set_timeout(tcase, 60);
    suite_add_tcase(suite, tcase);
    tcase_add_test(tcase, json_is_stored_as_it_came);
    tcase_add_test(tcase, bad_bodies_are_named);
    tcase_add_test(tcase, outcomes_have_their_status);
    tcase_add_test(tcase, keys_follow_the_rule);
    tcase_add_test(tcase, lines_are_stored_one_by_one_and_failures_named);
    tcase_add_test(tcase, ninety_nine_of_a_hundred);
    tcase_add_test(tcase, an_event_over_the_topics_limit_is_named_and_the_others_are_stored);
    tcase_add_test(tcase, a_compacted_topic_wants_keys);
    tcase_add_test(tcase, the_stored_size_is_kafkas);
    tcase_add_test(tcase, bytes_stay_bytes);
    tcase_add_test(tcase, cloudevents_in_three_modes);
    tcase_add_test(tcase, half_a_cloudevent_is_none);
    tcase_add_test(tcase, a_structured_event_has_each_attribute_once);
    tcase_add_test(tcase, content_type_comes_once);
    tcase_add_test(tcase, encoded_bodies_are_refused);
    tcase_add_test(tcase, attributes_are_unquoted_and_decoded_once);
    tcase_add_test(tcase, preferences_and_idempotency);
    tcase_add_test(tcase, respond_async_names_what_was_refused);
    tcase_add_test(tcase, policies_change_the_headers_of_records);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
