/* A registry that behaves as the test says, and who asks it: what is fetched, kept, forgotten, and when. */
#include "dataplane/schema/registry.h"

#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "common/loop.h"
#include "tests/unit/common/unit.h"

#define WAIT_MAX_MS 45000

/* ---- the registry, on a loop of its own ---- */

static slc_loop *server_loop, *loop;
static struct evhttp *server;
static uint16_t port;
static atomic_uint asked;
static atomic_int status; /* 200: as the table says */
static atomic_bool silent;
static char url[64], last_authorization[128];

static const struct {
    const char *path, *answer;
} pages[] = {
    {"/schemas/ids/1", "{\"schema\":\"\\\"string\\\"\"}"},
    {"/schemas/ids/1/versions", "[{\"subject\":\"orders-value\",\"version\":1}]"},
    {"/schemas/ids/2", "{\"schemaType\":\"JSON\",\"schema\":\"{\\\"type\\\":\\\"null\\\"}\"}"},
    {"/schemas/ids/3", "{\"schemaType\":\"PROTOBUF\",\"schema\":\"syntax\"}"},
    {"/schemas/ids/4", "{\"schema\":\"{}\"}"},
    {"/schemas/ids/5", "{\"schema\":\"{\\\"type\\\":\\\"array\\\",\\\"items\\\":\\\"n.A\\\"}\",\"references\":"
                       "[{\"name\":\"n.A\",\"subject\":\"a/b\",\"version\":7}]}"},
    {"/subjects/a%2Fb/versions/7",
     "{\"subject\":\"a/"
     "b\",\"id\":6,\"version\":7,\"schema\":\"{\\\"type\\\":\\\"fixed\\\",\\\"name\\\":\\\"n.A\\\","
     "\\\"size\\\":1}\"}"},
    {"/schemas/ids/6",
     "{\"schema\":\"\\\"n.A\\\"\",\"references\":[{\"name\":\"n.A\",\"subject\":\"no\",\"version\":1}]}"},
    {"/schemas/ids/7",
     "{\"schema\":\"\\\"x\\\"\",\"references\":[{\"name\":\"x\",\"subject\":\"loop\",\"version\":1}]}"},
    {"/subjects/loop/versions/1",
     "{\"schema\":\"\\\"x\\\"\",\"references\":[{\"name\":\"x\",\"subject\":\"loop\",\"version\":1}]}"},
    {"/schemas/guids/00112233-4455-6677-8899-aabbccddeeff", "{\"schema\":\"\\\"long\\\"\"}"},
    {"/subjects/orders-value/versions/latest",
     "{\"subject\":\"orders-value\",\"id\":1,\"version\":1,\"schema\":\"\\\"string\\\"\",\"guid\":"
     "\"00112233-4455-6677-8899-aabbccddeeff\"}"},
};

static void on_request(struct evhttp_request *request, void *arg)
{
    struct evbuffer *out = evbuffer_new();
    const char *authorization = evhttp_find_header(evhttp_request_get_input_headers(request), "Authorization");
    const char *answer = "{\"error_code\":40403,\"message\":\"Schema not found\"}";
    int code = 404;
    (void)arg;
    asked++;
    snprintf(last_authorization, sizeof last_authorization, "%s", authorization != NULL ? authorization : "");
    for (size_t i = 0; i < sizeof pages / sizeof pages[0]; i++) {
        if (strcmp(evhttp_request_get_uri(request), pages[i].path) == 0) {
            answer = pages[i].answer;
            code = 200;
        }
    }
    evbuffer_add_printf(out, "%s", answer);
    if (!silent)
        evhttp_send_reply(request, status != 200 ? status : code, "Status", out);
    evbuffer_free(out);
}

static void open_server(void *arg)
{
    struct evhttp_bound_socket *bound;
    struct sockaddr_in address;
    socklen_t size = sizeof address;
    (void)arg;
    server = evhttp_new(slc_loop_base(server_loop));
    evhttp_set_gencb(server, on_request, NULL);
    bound = evhttp_bind_socket_with_handle(server, "127.0.0.1", 0);
    ck_assert_ptr_nonnull(bound);
    ck_assert_int_eq(getsockname(evhttp_bound_socket_get_fd(bound), (struct sockaddr *)&address, &size), 0);
    port = ntohs(address.sin_port);
}

static void close_server(void *arg)
{
    (void)arg;
    evhttp_free(server);
}

/* ---- who asks ---- */

static slc_schemas *schemas;
static slc_registry *registry;
static atomic_uint told;
static slc_error err;

static void on_ready(slc_record_waiter *waiter)
{
    (void)waiter;
    told++;
}

static void setup(void)
{
    status = 200;
    server_loop = slc_loop_new("registry", NULL);
    loop = slc_loop_new("asker", NULL);
    ck_assert(slc_loop_start(server_loop, &err) && slc_loop_start(loop, &err));
    slc_loop_call_sync(server_loop, open_server, NULL);
    snprintf(url, sizeof url, "http://127.0.0.1:%u/", port);
}

static void open_registry(slc_registry_options options)
{
    options.name = "main";
    options.url = url;
    if (schemas == NULL)
        schemas = slc_schemas_new(&SLC_SCHEMAS_DEFAULTS);
    registry = slc_registry_get(schemas, &options);
}

static void stop_loop(slc_loop *which)
{
    slc_loop_stop(which);
    slc_loop_join(which);
    slc_loop_free(which);
}

static void teardown(void)
{
    slc_registry_unref(registry);
    slc_schemas_free(schemas);
    stop_loop(loop);
    slc_loop_call_sync(server_loop, close_server, NULL);
    stop_loop(server_loop);
}

struct question {
    const slc_schema_want *want;
    slc_record_waiter waiter;
    enum slc_schema_answer answer;
    slc_schema *schema;
};

static void ask_here(void *arg)
{
    struct question *question = arg;
    question->answer = slc_registry_ask(registry, question->want, &question->waiter, &question->schema, &err);
}

/* As a worker does: asks, waits until it is told, and asks again. Times it waited in `*waits`. */
static slc_schema *ask(slc_schema_want want, unsigned *waits)
{
    struct question question = {.want = &want,
                                .waiter = {.ready = on_ready, .mailbox = slc_loop_mailbox(loop)}};
    int64_t since_ms = slc_monotonic_ms();
    *waits = 0;
    for (;;) {
        unsigned before = told;
        slc_loop_call_sync(loop, ask_here, &question);
        if (question.answer != SLC_SCHEMA_LATER)
            return question.schema;
        ++*waits;
        while (told == before) {
            ck_assert_msg(slc_monotonic_ms() - since_ms < WAIT_MAX_MS, "waited in vain");
            usleep(1000);
        }
    }
}

static slc_schema_want by_id(int32_t id)
{
    return (slc_schema_want){.by = SLC_WANT_ID, .id = id};
}

/* ---- tests ---- */

START_TEST(a_schema_is_fetched_once)
{
    unsigned waits;
    open_registry(SLC_REGISTRY_DEFAULTS);
    slc_schema *first = ask(by_id(1), &waits);
    ck_assert_msg(first != NULL, "%s", err.message);
    ck_assert_uint_eq(waits, 1);
    ck_assert_int_eq(first->format, SLC_SCHEMA_AVRO);
    ck_assert_int_eq(first->id, 1);
    slc_schema *second = ask(by_id(1), &waits);
    ck_assert_uint_eq(waits, 0);
    ck_assert_ptr_eq(first, second);
    ck_assert_uint_eq(asked, 1);
    slc_schema_unref(first);
    slc_schema_unref(second);
    /* Another holder of the same registry finds what it has. */
    slc_registry *before = registry;
    slc_registry_unref(registry);
    open_registry(SLC_REGISTRY_DEFAULTS);
    ck_assert_ptr_eq(before, registry);
    slc_schema_unref(ask(by_id(1), &waits));
    ck_assert_uint_eq(waits, 0);
}
END_TEST

START_TEST(by_guid_and_by_subject)
{
    static const uint8_t guid[] = {0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77,
                                   0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff};
    slc_schema_want want = {.by = SLC_WANT_GUID};
    unsigned waits;
    open_registry(SLC_REGISTRY_DEFAULTS);
    memcpy(want.guid, guid, sizeof guid);
    slc_schema *schema = ask(want, &waits);
    ck_assert_msg(schema != NULL, "%s", err.message);
    ck_assert(schema->has_guid && memcmp(schema->guid, guid, sizeof guid) == 0);
    slc_schema_unref(schema);
    schema = ask((slc_schema_want){.by = SLC_WANT_LATEST, .subject = "orders-value"}, &waits);
    ck_assert_msg(schema != NULL, "%s", err.message);
    ck_assert_int_eq(schema->id, 1);
    ck_assert(schema->has_guid && memcmp(schema->guid, guid, sizeof guid) == 0);
    slc_schema_unref(schema);
    ck_assert_ptr_null(ask((slc_schema_want){.by = SLC_WANT_LATEST, .subject = "none"}, &waits));
    ck_assert_int_eq(err.code, SLC_NOT_FOUND);
}
END_TEST

START_TEST(a_schema_must_be_of_the_subject)
{
    unsigned waits;
    open_registry(SLC_REGISTRY_DEFAULTS);
    slc_schema *schema = ask((slc_schema_want){.by = SLC_WANT_ID, .id = 1, .subject = "orders-value"}, &waits);
    ck_assert_msg(schema != NULL, "%s", err.message);
    slc_schema_unref(schema);
    ck_assert_ptr_null(ask((slc_schema_want){.by = SLC_WANT_ID, .id = 1, .subject = "others-value"}, &waits));
    ck_assert_int_eq(err.code, SLC_NOT_FOUND);
    ck_assert(strstr(err.message, "none of the subject") != NULL);
}
END_TEST

START_TEST(what_is_of_no_use_is_told)
{
    static const struct {
        int32_t id;
        enum slc_code code;
        const char *message;
    } cases[] = {{3, SLC_UNSUPPORTED, "PROTOBUF"},
                 {4, SLC_INVALID, "needs a type"},
                 {6, SLC_INVALID, "no version 1 as n.A"},
                 {7, SLC_INVALID, "in a circle"},
                 {99, SLC_NOT_FOUND, "Schema not found"}};
    unsigned waits;
    open_registry(SLC_REGISTRY_DEFAULTS);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ck_assert_ptr_null(ask(by_id(cases[i].id), &waits));
        ck_assert_int_eq(err.code, cases[i].code);
        ck_assert_msg(strstr(err.message, cases[i].message) != NULL, "%d: %s", cases[i].id, err.message);
        /* And remembered. */
        unsigned before = asked;
        ck_assert_ptr_null(ask(by_id(cases[i].id), &waits));
        ck_assert_uint_eq(waits, 0);
        ck_assert_uint_eq(asked, before);
    }
}
END_TEST

START_TEST(references_are_fetched_too)
{
    unsigned waits;
    slc_buf out;
    slc_schema_fault fault;
    open_registry(SLC_REGISTRY_DEFAULTS);
    slc_schema *schema = ask(by_id(5), &waits);
    ck_assert_msg(schema != NULL, "%s", err.message);
    slc_buf_init(&out, 100);
    ck_assert(slc_avro_decode(schema->avro, (const uint8_t *)"\2a\0", 3, false, 100, &out, &fault));
    ck_assert_str_eq((char *)out.data, "[\"a\"]");
    slc_buf_release(&out);
    slc_schema_unref(schema);
}
END_TEST

START_TEST(a_registry_that_is_away_is_asked_again_later)
{
    unsigned waits;
    open_registry(SLC_REGISTRY_DEFAULTS);
    status = 503;
    ck_assert_ptr_null(ask(by_id(1), &waits));
    ck_assert_int_eq(err.code, SLC_UNAVAILABLE);
    ck_assert(strstr(err.message, "503") != NULL);
    status = 200;
    slc_schema *schema = NULL;
    for (int64_t since_ms = slc_monotonic_ms(); schema == NULL; schema = ask(by_id(1), &waits))
        ck_assert_int_lt(slc_monotonic_ms() - since_ms, WAIT_MAX_MS);
    slc_schema_unref(schema);
}
END_TEST

START_TEST(an_old_schema_serves_while_the_registry_is_away)
{
    slc_registry_options options = SLC_REGISTRY_DEFAULTS;
    unsigned waits;
    options.ttl_ms = 1;
    open_registry(options);
    slc_schema_unref(ask(by_id(1), &waits));
    status = 500;
    for (unsigned before = asked; asked == before;) { /* it is asked all the time, and nobody waits for it */
        slc_schema *schema = ask(by_id(1), &waits);
        ck_assert_ptr_nonnull(schema);
        ck_assert_uint_eq(waits, 0);
        slc_schema_unref(schema);
        usleep(1000);
    }
    status = 404; /* now it is gone for good */
    slc_schema *schema;
    for (int64_t since_ms = slc_monotonic_ms(); (schema = ask(by_id(1), &waits)) != NULL;) {
        ck_assert_int_lt(slc_monotonic_ms() - since_ms, WAIT_MAX_MS);
        slc_schema_unref(schema);
        usleep(1000);
    }
    ck_assert_int_eq(err.code, SLC_NOT_FOUND);
}
END_TEST

START_TEST(but_not_for_ever)
{
    slc_registry_options options = SLC_REGISTRY_DEFAULTS;
    unsigned waits;
    options.ttl_ms = options.stale_ms = 1;
    open_registry(options);
    slc_schema_unref(ask(by_id(1), &waits));
    status = 500;
    slc_schema *schema;
    for (int64_t since_ms = slc_monotonic_ms(); (schema = ask(by_id(1), &waits)) != NULL;) {
        ck_assert_int_lt(slc_monotonic_ms() - since_ms, WAIT_MAX_MS);
        slc_schema_unref(schema);
    }
    ck_assert_int_eq(err.code, SLC_UNAVAILABLE);
}
END_TEST

START_TEST(no_more_schemas_are_kept_than_may_be)
{
    slc_registry_options options = SLC_REGISTRY_DEFAULTS;
    unsigned waits;
    options.cache_schemas = 1;
    open_registry(options);
    slc_schema_unref(ask(by_id(1), &waits));
    slc_schema_unref(ask(by_id(2), &waits));
    unsigned before = asked;
    slc_schema_unref(ask(by_id(2), &waits));
    ck_assert_uint_eq(asked, before);
    slc_schema_unref(ask(by_id(1), &waits));
    ck_assert_uint_eq(asked, before + 1);
    /* What does not exist drives out nothing that does. */
    for (int32_t id = 100; id < 110; id++)
        ck_assert_ptr_null(ask(by_id(id), &waits));
    before = asked;
    slc_schema_unref(ask(by_id(1), &waits));
    ck_assert_uint_eq(asked, before);
    ck_assert_ptr_null(ask(by_id(100), &waits));
    ck_assert_uint_eq(asked, before + 1);
}
END_TEST

START_TEST(credentials_are_sent)
{
    slc_registry_options options = SLC_REGISTRY_DEFAULTS;
    unsigned waits;
    options.username = "me";
    options.password = "p:w";
    open_registry(options);
    slc_schema_unref(ask(by_id(1), &waits));
    ck_assert_str_eq(last_authorization, "Basic bWU6cDp3");
    slc_registry_unref(registry);
    options.username = options.password = NULL;
    options.token = "abc";
    open_registry(options);
    slc_schema_unref(ask(by_id(1), &waits));
    ck_assert_str_eq(last_authorization, "Bearer abc");
}
END_TEST

static void ask_and_stop_waiting(void *arg)
{
    struct question *question = arg;
    ask_here(arg);
    slc_record_unwait(&question->waiter);
}

/* Nobody is asked again after it stopped; a request that hangs ends within a second. */
START_TEST(stopping_ends_what_is_under_way)
{
    slc_schema_want want = by_id(1);
    struct question waits = {.want = &want, .waiter = {.ready = on_ready, .mailbox = slc_loop_mailbox(loop)}};
    struct question leaves = waits;
    open_registry(SLC_REGISTRY_DEFAULTS);
    silent = true;
    slc_loop_call_sync(loop, ask_here, &waits);
    slc_loop_call_sync(loop, ask_and_stop_waiting, &leaves);
    ck_assert_int_eq(waits.answer, SLC_SCHEMA_LATER);
    ck_assert_int_eq(leaves.answer, SLC_SCHEMA_LATER);
    for (int64_t since_ms = slc_monotonic_ms(); asked == 0; usleep(1000))
        ck_assert_int_lt(slc_monotonic_ms() - since_ms, WAIT_MAX_MS);
    slc_schemas_stop(schemas);
    for (int64_t since_ms = slc_monotonic_ms(); told == 0; usleep(1000))
        ck_assert_int_lt(slc_monotonic_ms() - since_ms, WAIT_MAX_MS);
    slc_loop_call_sync(loop, ask_here, &waits);
    ck_assert_int_eq(waits.answer, SLC_SCHEMA_FAILED);
    ck_assert_int_eq(err.code, SLC_UNAVAILABLE);
    ck_assert_uint_eq(told, 1);
}
END_TEST

static slc_record_header header_of(const char *name, const char *value, uint32_t len)
{
    return (slc_record_header){name, (uint32_t)strlen(name), len, (const uint8_t *)value};
}

START_TEST(where_a_record_names_its_schema)
{
    const slc_record_header number = header_of(SLC_SCHEMA_VALUE_HEADER, "\0\0\0\1\2", 5);
    const slc_record_header guid = header_of(SLC_SCHEMA_VALUE_HEADER, "\1abcdefghijklmnop", 17);
    const slc_record_header wrong = header_of(SLC_SCHEMA_VALUE_HEADER, "\1abc", 4);
    const slc_record_header other = header_of(SLC_SCHEMA_KEY_HEADER, "\0\0\0\1\2", 5);
    const uint8_t value[] = {0, 0, 0, 0, 7, 'x'};
    slc_schema_mark mark;
    ck_assert(slc_schema_mark_read(value, 6, NULL, 0, &mark));
    ck_assert(mark.place == SLC_SCHEMA_IN_VALUE && mark.id == 7 && mark.skip == 5);
    ck_assert(slc_schema_mark_read(value, 4, &other, 1, &mark) && mark.place == SLC_SCHEMA_NOWHERE);
    ck_assert(slc_schema_mark_read((const uint8_t *)"{\"a\":1}", 7, NULL, 0, &mark));
    ck_assert(mark.place == SLC_SCHEMA_NOWHERE);
    ck_assert(slc_schema_mark_read(value, 6, &number, 1, &mark));
    ck_assert(mark.place == SLC_SCHEMA_IN_HEADER && mark.id == 258 && mark.skip == 0 && !mark.by_guid);
    ck_assert(slc_schema_mark_read(value, 6, &guid, 1, &mark));
    ck_assert(mark.by_guid && memcmp(mark.guid, "abcdefghijklmnop", 16) == 0);
    ck_assert(!slc_schema_mark_read(value, 6, &wrong, 1, &mark));
    slc_buf out;
    slc_buf_init(&out, 100);
    ck_assert(slc_schema_prefix_add(&out, 7) && out.len == 5 && memcmp(out.data, value, 5) == 0);
    slc_buf_release(&out);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {a_schema_is_fetched_once,
                                  by_guid_and_by_subject,
                                  a_schema_must_be_of_the_subject,
                                  what_is_of_no_use_is_told,
                                  references_are_fetched_too,
                                  a_registry_that_is_away_is_asked_again_later,
                                  an_old_schema_serves_while_the_registry_is_away,
                                  but_not_for_ever,
                                  no_more_schemas_are_kept_than_may_be,
                                  credentials_are_sent,
                                  stopping_ends_what_is_under_way,
                                  where_a_record_names_its_schema};
    Suite *suite = suite_create("registry");
    TCase *tcase = tcase_create("registry");
    tcase_set_timeout(tcase, UNIT_TIMEOUT_S);
    tcase_add_checked_fixture(tcase, setup, teardown);
    for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++)
        tcase_add_test(tcase, tests[i]);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
