/* Policies on records over HTTP: what is published goes through them, and what is read is seen by them; also
 * when they have to wait for something, and when a record cannot be shown. */
#include <check.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/json.h"
#include "stage.h"

/* By the value: "hide" is left out, "bad" rejected, "later" waits until it is released, "away" is out of reach
 * until it is; numbers get a letter before them. */
static atomic_bool released;
static atomic_uint asked;
static slc_record_waiters waiting;

static bool is(const slc_policy_record *record, const char *text)
{
    return record->value_len == strlen(text) && memcmp(record->value, text, record->value_len) == 0;
}

static enum slc_record_verdict judge(void *bound, slc_record_turn *turn, slc_policy_record *record,
                                     slc_record_problem *problem)
{
    const char *letter = bound;
    asked++;
    if (is(record, "\"hide\""))
        return SLC_RECORD_DROP;
    if (is(record, "\"bad\""))
        snprintf(problem->pointer, sizeof problem->pointer, "/here");
    if (is(record, "\"bad\""))
        return slc_record_reject(problem, SLC_INVALID, "it is bad");
    if (is(record, "\"away\"") && !released)
        return slc_record_reject(problem, SLC_UNAVAILABLE, "nobody is there");
    if (is(record, "\"later\"") && !released && turn->waiter == NULL)
        return slc_record_reject(problem, SLC_UNAVAILABLE, "too late");
    if (is(record, "\"later\"") && !released) {
        slc_record_wait(&waiting, turn->waiter);
        return SLC_RECORD_LATER;
    }
    slc_buf *value = slc_record_scratch_buf(turn->scratch);
    slc_buf_addf(value, "{\"%s\":%.*s}", letter, (int)record->value_len, (const char *)record->value);
    record->value = value->data;
    record->value_len = value->len;
    return SLC_RECORD_CHANGE;
}

static const slc_record_ops ops = {
    .rank = SLC_RANK_MASK, .on_produce_record = judge, .on_consume_record = judge};

static void begin(stage *s)
{
    released = false;
    asked = 0;
    stage_defaults(s);
    stage_open(s, 1);
    stage_records(&ops, (char *)"a");
}

static void end(stage *s)
{
    stage_records(NULL, NULL);
    stage_close(s);
}

static void release(void)
{
    released = true;
    slc_record_waiters_tell(&waiting);
}

static client *post(stage *s, const char *type, const char *body)
{
    client *c = client_new(s, 0);
    client_header(c, "Content-Type", type);
    client_body(c, body, strlen(body));
    client_post(c);
    return c;
}

/* The answer, when it is there; the client goes. */
static json_t *answer(client *c, int status)
{
    slc_error err;
    client_wait(c);
    char *text = client_text(c);
    ck_assert_msg(client_status(c) == status, "%d, not %d: %s", client_status(c), status, text);
    json_t *body = slc_json_parse(text, strlen(text), 1 << 20, &err);
    ck_assert_msg(body != NULL, "%s in %s", err.message, text);
    free(text);
    client_free(c);
    return body;
}

static void expect_stored(stage *s, int64_t offset, const char *value)
{
    slc_record *found = slc_memory_record(s->broker, "topic", 0, offset);
    ck_assert_msg((found != NULL) == (value != NULL), "record %d", (int)offset);
    if (found == NULL)
        return;
    ck_assert_uint_eq(found->value_len, strlen(value));
    ck_assert_mem_eq(found->value, value, found->value_len);
    slc_record_unref(found);
}

static json_t *page(stage *s, const char *query, int status)
{
    client *c = client_new(s, 0);
    client_get(c, query);
    return answer(c, status);
}

static bool is_caught_up(const json_t *page_)
{
    return json_is_true(json_object_get(page_, "caught_up"));
}

/* With the pages after it: behind an event a feed learns of the end a moment later. */
static json_t *to_the_end(stage *s, json_t *page_)
{
    char query[SLC_CURSOR_MAX_CHARS + 64];
    for (int pages = 0; !is_caught_up(page_); pages++) {
        ck_assert_int_lt(pages, 100);
        snprintf(query, sizeof query, "cursor=%s", json_string_value(json_object_get(page_, "next")));
        json_t *next = page(s, query, 200);
        json_t *events = json_incref(json_object_get(page_, "events"));
        json_array_extend(events, json_object_get(next, "events"));
        json_object_set_new(next, "events", events);
        json_decref(page_);
        page_ = next;
    }
    return page_;
}

/* "{"a":1},error,..." of a page. */
static void expect_events(const json_t *page_, const char *expected)
{
    char seen[1000] = "";
    size_t i;
    json_t *event;
    json_array_foreach (json_object_get(page_, "events"), i, event) {
        const json_t *problem = json_object_get(event, "error");
        char *data = problem != NULL ? strdup(json_string_value(json_object_get(problem, "detail")))
                                     : json_dumps(json_object_get(event, "data"), JSON_COMPACT);
        ck_assert(problem == NULL || json_object_get(event, "data") == NULL);
        snprintf(seen + strlen(seen), sizeof seen - strlen(seen), "%s%s", i > 0 ? "," : "", data);
        free(data);
    }
    ck_assert_str_eq(seen, expected);
}

START_TEST(what_is_published_goes_through)
{
    stage s;
    begin(&s);
    json_decref(answer(post(&s, "application/json", "1"), 201));
    json_t *refused = answer(post(&s, "application/json", "\"bad\""), 422);
    ck_assert_str_eq(json_string_value(json_object_get(refused, "detail")), "it is bad");
    const json_t *place = json_array_get(json_object_get(refused, "errors"), 0);
    ck_assert_str_eq(json_string_value(json_object_get(place, "pointer")), "/here");
    json_decref(refused);
    json_t *mixed = answer(post(&s, "application/x-ndjson", "2\n\"bad\"\n3"), 207);
    const json_t *results = json_object_get(mixed, "results");
    ck_assert_ptr_nonnull(json_object_get(json_array_get(results, 0), "id"));
    ck_assert_int_eq(json_integer_value(json_object_get(json_array_get(results, 1), "status")), 422);
    json_decref(mixed);
    expect_stored(&s, 0, "{\"a\":1}");
    expect_stored(&s, 1, "{\"a\":2}");
    expect_stored(&s, 2, "{\"a\":3}");
    end(&s);
}
END_TEST

START_TEST(what_waits_keeps_its_place_among_the_events_of_its_request)
{
    stage s;
    begin(&s);
    client *c = post(&s, "application/x-ndjson", "1\n\"later\"\n2\n\"bad\"\n3");
    STAGE_WAIT(asked >= 2);
    client *other = post(&s, "application/json", "9"); /* others go on */
    json_decref(answer(other, 201));
    ck_assert_int_eq(client_status(c), 0);
    release();
    json_decref(answer(c, 207));
    static const char *const stored[] = {"{\"a\":1}", "{\"a\":9}", "{\"a\":\"later\"}", "{\"a\":2}",
                                         "{\"a\":3}"};
    for (int i = 0; i < 5; i++)
        expect_stored(&s, i, stored[i]);
    end(&s);
}
END_TEST

START_TEST(what_waits_too_long_is_not_stored)
{
    stage s;
    released = false;
    asked = 0;
    stage_defaults(&s);
    s.limits.publish_deadline_ms = 600;
    stage_open(&s, 1);
    stage_records(&ops, (char *)"a");
    json_decref(answer(post(&s, "application/x-ndjson", "\"later\"\n1"), 503));
    client *c = post(&s, "application/json", "\"later\"");
    STAGE_WAIT(asked >= 2);
    client_free(c); /* goes away */
    release();
    expect_stored(&s, 0, NULL);
    end(&s);
}
END_TEST

START_TEST(a_page_shows_what_is_left_and_why_something_cannot_be_shown)
{
    stage s;
    begin(&s);
    static const char *const values[] = {"1", "\"hide\"", "2", "\"bad\"", "3", "\"hide\""};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        stage_append(&s, 0, values[i]);
    json_t *all = to_the_end(&s, page(&s, NULL, 200));
    expect_events(all, "{\"a\":1},{\"a\":2},it is bad,{\"a\":3}");
    char query[SLC_CURSOR_MAX_CHARS + 64];
    json_t *first = page(&s, "limit=1", 200);
    expect_events(first, "{\"a\":1}");
    ck_assert(!is_caught_up(first));
    snprintf(query, sizeof query, "cursor=%s", json_string_value(json_object_get(first, "next")));
    json_t *rest = to_the_end(&s, page(&s, query, 200));
    expect_events(rest, "{\"a\":2},it is bad,{\"a\":3}");
    ck_assert_uint_eq(asked, 6); /* what was rendered is shared */
    json_decref(all);
    json_decref(first);
    json_decref(rest);
    end(&s);
}
END_TEST

START_TEST(nothing_but_hidden_records_is_no_gap_and_the_end)
{
    stage s;
    begin(&s);
    for (int i = 0; i < 3000; i++)
        stage_append(&s, 0, "\"hide\"");
    json_t *empty = page(&s, NULL, 200);
    expect_events(empty, "");
    ck_assert(is_caught_up(empty));
    char query[SLC_CURSOR_MAX_CHARS + 64];
    snprintf(query, sizeof query, "cursor=%s&wait=20s", json_string_value(json_object_get(empty, "next")));
    client *c = client_new(&s, 1);
    client_get(c, query);
    stage_append(&s, 0, "\"hide\"");
    stage_append(&s, 0, "1");
    json_t *one = to_the_end(&s, answer(c, 200));
    expect_events(one, "{\"a\":1}");
    json_decref(empty);
    json_decref(one);
    end(&s);
}
END_TEST

START_TEST(a_page_does_not_wait_with_what_it_has)
{
    stage s;
    begin(&s);
    stage_append(&s, 0, "1");
    stage_append(&s, 0, "\"later\"");
    json_t *first = page(&s, NULL, 200);
    expect_events(first, "{\"a\":1}");
    ck_assert(!is_caught_up(first));
    char query[SLC_CURSOR_MAX_CHARS + 64];
    snprintf(query, sizeof query, "cursor=%s&wait=300ms", json_string_value(json_object_get(first, "next")));
    json_decref(page(&s, query, 503));
    snprintf(query, sizeof query, "cursor=%s&wait=20s", json_string_value(json_object_get(first, "next")));
    unsigned before = asked;
    client *c = client_new(&s, 0);
    client_get(c, query);
    STAGE_WAIT(asked > before);
    release();
    json_t *second = to_the_end(&s, answer(c, 200));
    expect_events(second, "{\"a\":\"later\"}");
    json_decref(first);
    json_decref(second);
    end(&s);
}
END_TEST

static client *open_stream(stage *s)
{
    client *c = client_new(s, 0);
    client_header(c, "Accept", "text/event-stream");
    client_get(c, "from=earliest");
    return c;
}

static bool has(client *c, const char *what)
{
    char *text = client_text(c);
    bool found = strstr(text, what) != NULL;
    free(text);
    return found;
}

START_TEST(a_stream_waits_at_its_place_and_tells_what_it_cannot_show)
{
    stage s;
    begin(&s);
    static const char *const values[] = {"1", "\"hide\"", "\"bad\"", "2", "\"later\"", "3", "\"away\"", "4"};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        stage_append(&s, 0, values[i]);
    client *one = open_stream(&s), *two = open_stream(&s);
    STAGE_WAIT(has(one, "{\"a\":2}") && has(two, "{\"a\":2}"));
    ck_assert(has(one, "\"id\":\"0-2\"") && has(one, "\"error\":{") && has(one, "event-unreadable"));
    ck_assert(!has(one, "hide") && !has(one, "{\"a\":3}") && !has(one, "event: error") && !has(one, "gap"));
    release();
    STAGE_WAIT(has(one, "{\"a\":4}") && has(two, "{\"a\":4}"));
    ck_assert(has(one, "{\"a\":\"later\"}") && has(one, "{\"a\":\"away\"}"));
    ck_assert_uint_eq(stream_count(one, "data: "), 7);
    char *id = stream_last_id(one), *same = stream_last_id(two);
    ck_assert_str_eq(id, same);
    free(id);
    free(same);
    client_free(one);
    client_free(two);
    end(&s);
}
END_TEST

START_TEST(what_is_out_of_reach_is_tried_again)
{
    stage s;
    begin(&s);
    stage_append(&s, 0, "\"away\"");
    client *c = open_stream(&s);
    unsigned before = asked;
    STAGE_WAIT(asked > before + 1); /* by the tick */
    ck_assert(!has(c, "data: {"));
    json_decref(page(&s, NULL, 503));
    released = true;
    STAGE_WAIT(has(c, "{\"a\":\"away\"}"));
    client_free(c);
    end(&s);
}
END_TEST

START_TEST(a_change_of_the_policies_reaches_open_streams)
{
    stage s;
    begin(&s);
    stage_append(&s, 0, "1");
    client *c = open_stream(&s);
    STAGE_WAIT(has(c, "{\"a\":1}"));
    stage_records(NULL, NULL);
    stage_apply(&s);
    stage_append(&s, 0, "22");
    STAGE_WAIT(has(c, "\"data\":22"));
    client_free(c);
    end(&s);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("lens");
    TCase *tcase = tcase_create("lens");
    tcase_set_timeout(tcase, 60);
    suite_add_tcase(suite, tcase);
    tcase_add_test(tcase, what_is_published_goes_through);
    tcase_add_test(tcase, what_waits_keeps_its_place_among_the_events_of_its_request);
    tcase_add_test(tcase, what_waits_too_long_is_not_stored);
    tcase_add_test(tcase, a_page_shows_what_is_left_and_why_something_cannot_be_shown);
    tcase_add_test(tcase, nothing_but_hidden_records_is_no_gap_and_the_end);
    tcase_add_test(tcase, a_page_does_not_wait_with_what_it_has);
    tcase_add_test(tcase, a_stream_waits_at_its_place_and_tells_what_it_cannot_show);
    tcase_add_test(tcase, what_is_out_of_reach_is_tried_again);
    tcase_add_test(tcase, a_change_of_the_policies_reaches_open_streams);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
