#include <check.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/json.h"
#include "stage.h"

static json_t *get(stage *s, unsigned worker, const char *query, int status)
{
    client *c = client_new(s, worker);
    client_get(c, query);
    client_wait(c);
    char *text = client_text(c);
    ck_assert_msg(client_status(c) == status, "%d, not %d: %s", client_status(c), status, text);
    slc_error err;
    json_t *body = slc_json_parse(text, strlen(text), 64 << 20, &err);
    ck_assert_msg(body != NULL, "%s in %s", err.message, text);
    free(text);
    client_free(c);
    return body;
}

static void append_numbers(stage *s, int from, int to, int32_t partitions)
{
    char value[16];
    for (int i = from; i < to; i++) {
        snprintf(value, sizeof value, "%d", i);
        stage_append(s, i % partitions, value);
    }
}

static size_t events_of(json_t *page)
{
    return json_array_size(json_object_get(page, "events"));
}

static void query_of(json_t *page, char *query, size_t size, const char *more)
{
    snprintf(query, size, "cursor=%s%s", json_string_value(json_object_get(page, "next")), more);
}

START_TEST(pages_follow_one_another_until_caught_up)
{
    stage s;
    char query[SLC_CURSOR_MAX_CHARS + 64] = "limit=70";
    stage_defaults(&s);
    s.limits.feed_ring_bytes = 8192;
    stage_open(&s, 3);
    append_numbers(&s, 0, 1000, 3);
    bool seen[1000] = {false};
    size_t total = 0;
    for (unsigned turn = 0; turn < 100; turn++) {
        json_t *page = get(&s, turn % 2, query, 200);
        size_t count = events_of(page);
        ck_assert_uint_le(count, 70);
        for (size_t i = 0; i < count; i++) {
            json_int_t value =
                json_integer_value(json_object_get(json_array_get(json_object_get(page, "events"), i), "data"));
            ck_assert(!seen[value]);
            seen[value] = true;
        }
        total += count;
        bool caught_up = json_is_true(json_object_get(page, "caught_up"));
        ck_assert(!caught_up || total == 1000);
        query_of(page, query, sizeof query, "&limit=70");
        json_decref(page);
        if (caught_up)
            break;
        ck_assert_uint_gt(count, 0);
    }
    ck_assert_uint_eq(total, 1000);
    ck_assert_uint_le(slc_memory_delivered(s.broker), 6000); /* parked scans: not a new one for each page */
    stage_close(&s);
}
END_TEST

START_TEST(an_empty_page_has_a_next_that_works)
{
    stage s;
    char query[SLC_CURSOR_MAX_CHARS + 64];
    stage_defaults(&s);
    stage_open(&s, 2);
    json_t *page = get(&s, 0, NULL, 200);
    ck_assert_uint_eq(events_of(page), 0);
    ck_assert(json_is_true(json_object_get(page, "caught_up")));
    query_of(page, query, sizeof query, "");
    json_decref(page);
    append_numbers(&s, 0, 5, 2);
    page = get(&s, 1, query, 200);
    while (events_of(page) == 0) { /* the feed tells the worker in its own time */
        json_decref(page);
        page = get(&s, 1, query, 200);
    }
    ck_assert_uint_le(events_of(page), 5);
    json_decref(page);
    stage_close(&s);
}
END_TEST

START_TEST(a_long_poll_answers_with_the_first_event)
{
    stage s;
    stage_defaults(&s);
    stage_open(&s, 2);
    client *c = client_new(&s, 0);
    client_get(c, "from=latest&wait=20");
    json_t *warm = get(&s, 0, "from=latest", 200); /* the feed is live */
    json_decref(warm);
    ck_assert(!client_ended(c));
    stage_append(&s, 1, "42");
    client_wait(c);
    char *text = client_text(c);
    ck_assert_ptr_nonnull(strstr(text, "\"data\":42"));
    free(text);
    client_free(c);
    stage_close(&s);
}
END_TEST

START_TEST(a_long_poll_ends_with_the_right_to_it)
{
    stage s;
    stage_defaults(&s);
    stage_open(&s, 2);
    client *c = client_new(&s, 0);
    client_get(c, "from=latest&wait=20");
    json_decref(get(&s, 0, "from=latest", 200));
    stage_apply(&s);
    ck_assert(!client_ended(c));
    stage_set_granted(false);
    stage_apply(&s);
    client_wait(c);
    ck_assert_int_eq(client_status(c), 403);
    client_free(c);
    stage_set_granted(true);
    stage_close(&s);
}
END_TEST

START_TEST(a_long_poll_ends_when_the_configuration_is_too_old)
{
    stage s;
    stage_defaults(&s);
    stage_open(&s, 2);
    client *c = client_new(&s, 0);
    client_get(c, "from=latest&wait=20");
    json_decref(get(&s, 0, "from=latest", 200));
    ck_assert(!client_ended(c));
    stage_cut_off(&s);
    client_wait(c);
    char *retry = client_response_header(c, "Retry-After");
    ck_assert_int_eq(client_status(c), 503);
    ck_assert_str_eq(retry, "5");
    free(retry);
    client_free(c);
    stage_close(&s);
}
END_TEST

START_TEST(a_long_poll_without_events_ends_in_time)
{
    stage s;
    stage_defaults(&s);
    stage_open(&s, 2);
    json_decref(get(&s, 0, NULL, 200));
    int64_t started_ms = slc_monotonic_ms();
    json_t *page = get(&s, 0, "wait=300ms", 200);
    ck_assert_int_ge(slc_monotonic_ms() - started_ms, 290);
    ck_assert_uint_eq(events_of(page), 0);
    ck_assert(json_is_true(json_object_get(page, "caught_up")));
    json_decref(page);
    stage_close(&s);
}
END_TEST

START_TEST(one_bad_record_hides_no_page)
{
    stage s;
    stage_defaults(&s);
    stage_open(&s, 1);
    stage_append(&s, 0, "1");
    stage_append(&s, 0, "{broken");
    const slc_record tombstone = {.key = (const uint8_t *)"k", .key_len = 1, .leader_epoch = -1};
    stage_append_record(&s, &tombstone);
    stage_append(&s, 0, "\"\xff\"");
    stage_append(&s, 0, "2");
    json_t *page = get(&s, 0, NULL, 200), *events = json_object_get(page, "events");
    ck_assert_uint_eq(events_of(page), 5);
    ck_assert_str_eq(json_string_value(json_object_get(json_array_get(events, 1), "data_base64")),
                     "e2Jyb2tlbg==");
    ck_assert(json_is_true(json_object_get(json_array_get(events, 2), "tombstone")));
    ck_assert_ptr_nonnull(json_object_get(json_array_get(events, 3), "data_base64"));
    ck_assert_int_eq(json_integer_value(json_object_get(json_array_get(events, 4), "data")), 2);
    json_decref(page);
    stage_close(&s);
}
END_TEST

static client *ask(stage *s, unsigned worker, const char *query)
{
    client *c = client_new(s, worker);
    client_get(c, query);
    client_wait(c);
    return c;
}

/* Has the gateway found out? Until then it answers from what it knew. */
static bool gone(stage *s, const char *query, json_t **problem)
{
    slc_error err;
    client *c = ask(s, 0, query);
    if (*problem == NULL && client_status(c) == 410) {
        char *text = client_text(c);
        *problem = slc_json_parse(text, strlen(text), 1 << 20, &err);
        free(text);
    }
    client_free(c);
    return *problem != NULL;
}

static bool readable(stage *s)
{
    client *c = ask(s, 0, NULL);
    bool ok = client_status(c) == 200;
    client_free(c);
    return ok;
}

START_TEST(an_expired_cursor_is_gone_with_ways_on)
{
    stage s;
    char query[SLC_CURSOR_MAX_CHARS + 64];
    stage_defaults(&s);
    s.limits.feed_ring_bytes = 2048;
    stage_open(&s, 2);
    append_numbers(&s, 0, 20, 2);
    json_t *page = get(&s, 0, "limit=6", 200);
    query_of(page, query, sizeof query, "");
    json_decref(page);
    append_numbers(&s, 20, 400, 2);
    slc_memory_expire(s.broker, "topic", 0, 100); /* partition 1 still has everything */
    json_t *problem = get(&s, 1, query, 410);
    ck_assert_str_eq(json_string_value(json_object_get(problem, "type")), "cursor-expired");
    snprintf(query, sizeof query, "limit=1000&cursor=%s",
             json_string_value(json_object_get(problem, "resume")));
    page = get(&s, 1, query, 200);
    ck_assert_int_ge(
        json_integer_value(json_object_get(json_array_get(json_object_get(page, "events"), 0), "data")), 0);
    json_decref(page);
    snprintf(query, sizeof query, "cursor=%s", json_string_value(json_object_get(problem, "latest")));
    page = get(&s, 1, query, 200);
    ck_assert_uint_eq(events_of(page), 0);
    json_decref(page);
    snprintf(query, sizeof query, "limit=1000&cursor=%s",
             json_string_value(json_object_get(problem, "earliest")));
    json_decref(get(&s, 1, query, 200));
    json_decref(problem);
    stage_close(&s);
}
END_TEST

START_TEST(a_cursor_of_a_topic_that_was_made_anew_is_gone)
{
    stage s;
    char query[SLC_CURSOR_MAX_CHARS + 64];
    stage_defaults(&s);
    stage_open(&s, 2);
    append_numbers(&s, 0, 20, 2);
    json_t *page = get(&s, 0, "limit=20", 200);
    query_of(page, query, sizeof query, "");
    json_decref(page);
    slc_memory_topic_delete(s.broker, "topic");
    slc_memory_topic_create(s.broker, "topic", 2);
    append_numbers(&s, 100, 140, 2);
    json_t *problem = NULL;
    STAGE_WAIT(gone(&s, query, &problem));
    ck_assert_str_eq(json_string_value(json_object_get(problem, "type")), "stream-recreated");
    snprintf(query, sizeof query, "limit=1000&cursor=%s",
             json_string_value(json_object_get(problem, "resume")));
    page = get(&s, 1, query, 200);
    ck_assert_uint_eq(events_of(page), 40);
    json_decref(page);
    snprintf(query, sizeof query, "cursor=%s", json_string_value(json_object_get(problem, "latest")));
    page = get(&s, 1, query, 200);
    ck_assert_uint_eq(events_of(page), 0);
    json_decref(page);
    json_decref(problem);
    stage_close(&s);
}
END_TEST

START_TEST(a_topic_too_wide_for_a_cursor_cannot_be_read)
{
    stage s;
    stage_defaults(&s);
    stage_open(&s, SLC_CURSOR_MAX_PARTITIONS + 1);
    json_t *problem = get(&s, 0, NULL, 502);
    ck_assert_str_eq(json_string_value(json_object_get(problem, "type")), "too-many-partitions");
    json_decref(problem);
    json_t *health = slc_mediation_backend_health(s.mediation);
    const json_t *topics = json_object_get(json_object_get(health, "local"), "topics");
    ck_assert_ptr_nonnull(json_object_get(topics, "topic"));
    json_decref(health);
    slc_memory_topic_delete(s.broker, "topic");
    slc_memory_topic_create(s.broker, "topic", SLC_CURSOR_MAX_PARTITIONS);
    STAGE_WAIT(readable(&s));
    stage_close(&s);
}
END_TEST

START_TEST(a_time_starts_there)
{
    stage s;
    stage_defaults(&s);
    stage_open(&s, 1);
    for (int i = 0; i < 10; i++) {
        char value[16];
        snprintf(value, sizeof value, "%d", i);
        const slc_record parts = {.timestamp_ms = 1700000000000 + i * 1000,
                                  .leader_epoch = -1,
                                  .value = (const uint8_t *)value,
                                  .value_len = 1};
        stage_append_record(&s, &parts);
    }
    json_t *page = get(&s, 0, "from=2023-11-14T22:13:26Z", 200);
    ck_assert_uint_eq(events_of(page), 4);
    json_decref(page);
    page = get(&s, 0, "from=1960-01-01T00:00:00Z", 200); /* before all that a broker can hold */
    ck_assert_uint_eq(events_of(page), 10);
    json_decref(page);
    stage_close(&s);
}
END_TEST

START_TEST(a_down_backend_is_503_and_a_missing_topic_502)
{
    stage s;
    stage_defaults(&s);
    stage_open(&s, 0);
    json_t *problem = get(&s, 0, NULL, 502);
    ck_assert_str_eq(json_string_value(json_object_get(problem, "type")), "topic-missing");
    json_decref(problem);
    stage_close(&s);
    stage_open(&s, 1);
    slc_memory_set_down(s.broker, true);
    problem = get(&s, 0, NULL, 503);
    ck_assert_str_eq(json_string_value(json_object_get(problem, "type")), "backend-unavailable");
    json_decref(problem);
    stage_close(&s);
}
END_TEST

static bool is_away(stage *s)
{
    client *c = client_new(s, 0);
    client_get(c, "from=latest&wait=50ms");
    client_wait(c);
    bool away = client_status(c) == 503;
    client_free(c);
    return away;
}

/* Nothing can be seen of the stream, so nobody can say that it was read to its end. */
START_TEST(an_outage_is_not_the_end_of_the_stream)
{
    stage s;
    char query[SLC_CURSOR_MAX_CHARS + 64];
    stage_defaults(&s);
    stage_open(&s, 1);
    json_t *page = get(&s, 0, "from=latest", 200);
    ck_assert(json_is_true(json_object_get(page, "caught_up")));
    query_of(page, query, sizeof query, "");
    json_decref(page);
    slc_memory_set_down(s.broker, true);
    STAGE_WAIT(is_away(&s));
    json_decref(get(&s, 0, query, 503));
    json_t *problem = get(&s, 0, "from=latest&wait=300ms", 503);
    ck_assert_str_eq(json_string_value(json_object_get(problem, "type")), "backend-unavailable");
    json_decref(problem);
    client *waiting = client_new(&s, 0);
    client_get(waiting, "from=latest&wait=20");
    slc_memory_set_down(s.broker, false);
    STAGE_WAIT(!is_away(&s));
    ck_assert(!client_ended(waiting));
    stage_append(&s, 0, "7");
    client_wait(waiting);
    ck_assert_int_eq(client_status(waiting), 200);
    client_free(waiting);
    stage_close(&s);
}
END_TEST

static json_t *back_after_outage(stage *s, const char *query)
{
    slc_memory_set_down(s->broker, false);
    STAGE_WAIT(!is_away(s));
    return get(s, 0, query, 200);
}

/* A broker tells an end once. What was stored during an outage may come later than the word that it is over. */
START_TEST(after_an_outage_the_end_is_where_the_broker_says)
{
    stage s;
    char query[SLC_CURSOR_MAX_CHARS + 64];
    stage_defaults(&s);
    stage_open(&s, 2);
    json_t *page = get(&s, 0, "from=latest", 200);
    ck_assert(json_is_true(json_object_get(page, "caught_up")));
    query_of(page, query, sizeof query, "&wait=100ms");
    json_decref(page);
    slc_memory_set_down(s.broker, true);
    STAGE_WAIT(is_away(&s));
    slc_memory_set_held(s.broker, true);
    stage_append(&s, 1, "7");
    page = back_after_outage(&s, query);
    ck_assert_uint_eq(events_of(page), 0);
    ck_assert(json_is_false(json_object_get(page, "caught_up")));
    json_decref(page);
    slc_memory_set_held(s.broker, false);
    page = get(&s, 0, query, 200);
    while (events_of(page) == 0) {
        json_decref(page);
        page = get(&s, 0, query, 200);
    }
    query_of(page, query, sizeof query, "");
    json_decref(page);
    slc_memory_set_down(s.broker, true);
    STAGE_WAIT(is_away(&s));
    page = back_after_outage(&s, query); /* nothing was stored, and nothing comes */
    ck_assert(json_is_true(json_object_get(page, "caught_up")));
    json_decref(page);
    stage_close(&s);
}
END_TEST

static size_t page_size(client *c)
{
    slc_error err;
    char *text = client_text(c);
    json_t *page = slc_json_parse(text, strlen(text), 1 << 20, &err);
    ck_assert_int_eq(client_status(c), 200);
    size_t count = events_of(page);
    ck_assert_ptr_nonnull(json_object_get(page, "next"));
    json_decref(page);
    free(text);
    return count;
}

/* An answer is out when its client is freed. */
START_TEST(pages_that_nobody_takes_are_bounded)
{
    stage s;
    stage_defaults(&s);
    s.limits.pages_bytes = 12000;
    stage_open(&s, 1);
    append_numbers(&s, 0, 100, 1);
    client *first = ask(&s, 0, NULL), *second = ask(&s, 0, NULL);
    ck_assert_uint_eq(page_size(first), 100);
    ck_assert_uint_gt(page_size(second), 0);
    ck_assert_uint_lt(page_size(second), 100);
    json_t *problem = get(&s, 0, NULL, 503);
    ck_assert_str_eq(json_string_value(json_object_get(problem, "type")), "too-many-pages");
    json_decref(problem);
    json_decref(get(&s, 1, NULL, 200)); /* each worker has its own */
    client_free(first);
    client_free(second);
    second = ask(&s, 0, NULL);
    ck_assert_uint_eq(page_size(second), 100);
    client_free(second);
    stage_close(&s);
}
END_TEST

static client *ask_as(stage *s, const char *application)
{
    client *c = client_new(s, 0);
    client_application(c, application);
    client_get(c, NULL);
    client_wait(c);
    return c;
}

/* Who takes nothing leaves room for the others. */
START_TEST(an_application_has_its_share_of_pages)
{
    stage s;
    stage_defaults(&s);
    s.limits.application_bytes = 12000;
    stage_open(&s, 1);
    append_numbers(&s, 0, 100, 1);
    client *pages[] = {ask_as(&s, "greedy"), ask_as(&s, "greedy"), ask_as(&s, "greedy"), ask_as(&s, "modest")};
    ck_assert_uint_eq(page_size(pages[0]), 100);
    ck_assert_uint_lt(page_size(pages[1]), 100);
    ck_assert_int_eq(client_status(pages[2]), 503);
    char *text = client_text(pages[2]);
    ck_assert_ptr_nonnull(strstr(text, "of this application"));
    free(text);
    ck_assert_uint_eq(page_size(pages[3]), 100);
    for (int i = 0; i < 4; i++)
        client_free(pages[i]);
    client *again = ask_as(&s, "greedy");
    ck_assert_uint_eq(page_size(again), 100);
    client_free(again);
    ck_assert_uint_eq(s.workers[0].page_bytes.total, 0);
    stage_close(&s);
}
END_TEST

START_TEST(bad_parameters_are_400)
{
    static const char *const queries[] = {
        "cursor=x",   "cursor=",   "from=yesterday",  "limit=0",
        "limit=1001", "limit=ten", "limit=-1",        "wait=soon",
        "wait=-1",    "from=",     "limit=1x",        "wait=1.5",
        "limit= 5",   "wait=+1",   "limit=1&limit=2", "from=latest&from=latest"};
    stage s;
    stage_defaults(&s);
    stage_open(&s, 1);
    for (size_t i = 0; i < sizeof queries / sizeof *queries; i++)
        json_decref(get(&s, 0, queries[i], 400));
    client *c = client_new(&s, 0);
    client_header(c, "Accept", "text/html");
    client_get(c, NULL);
    client_wait(c);
    ck_assert_int_eq(client_status(c), 406);
    client_free(c);
    stage_close(&s);
}
END_TEST

START_TEST(a_client_that_leaves_takes_its_page_along)
{
    stage s;
    stage_defaults(&s);
    stage_open(&s, 1);
    client *c = client_new(&s, 0);
    client_get(c, "wait=30");
    json_decref(get(&s, 0, NULL, 200));
    client_free(c);
    stage_append(&s, 0, "1");
    stage_close(&s);
}
END_TEST

typedef struct busy {
    client *reader;
    const char *query;
    sem_t go_on;
} busy;

static void read_and_be_busy(void *arg)
{
    busy *b = arg;
    client_get(b->reader, b->query); /* more than the scan holds: it goes on */
    sem_wait(&b->go_on);
}

static void on_turn(void *ctx, const int64_t *offsets, int32_t count, const slc_error *err)
{
    (void)offsets;
    (void)count;
    (void)err;
    sem_post(ctx);
}

/* The broker's thread has gone round that often. */
static void let_broker_turn(stage *s, int turns)
{
    sem_t turned;
    sem_init(&turned, 0, 0);
    for (int i = 0; i < turns; i++) {
        slc_broker_memory.offsets(s->broker, "topic", 1, SLC_OFFSET_LATEST, 1000, on_turn, &turned);
        sem_wait(&turned);
    }
    sem_destroy(&turned);
}

START_TEST(a_busy_worker_bounds_what_catches_up)
{
    enum { WINDOW_BYTES = 16 * 1024, RECORDS = 4000 };
    stage s;
    stage_defaults(&s);
    s.limits.feed_ring_bytes = 2048;
    s.limits.feed_prefill_ms = 0;
    s.limits.catchup_window_bytes = WINDOW_BYTES;
    stage_open(&s, 1);
    append_numbers(&s, 0, RECORDS, 1);
    char query[SLC_CURSOR_MAX_CHARS + 64];
    json_t *page = get(&s, 0, "from=earliest&limit=1", 200); /* the feed is live, a scan is parked */
    query_of(page, query, sizeof query, "&limit=1000");
    json_decref(page);
    busy b = {.reader = client_new(&s, 0), .query = query};
    sem_init(&b.go_on, 0, 0);
    slc_loop_call(s.workers[0].loop, read_and_be_busy, &b);
    let_broker_turn(&s, 200); /* all of the topic would be delivered in 63 */
    uint64_t delivered = slc_memory_delivered(s.broker), most = 4 * WINDOW_BYTES / sizeof(slc_record);
    ck_assert_msg(delivered < most, "%llu records", (unsigned long long)delivered);
    sem_post(&b.go_on);
    client_wait(b.reader);
    ck_assert_int_eq(client_status(b.reader), 200);
    char *text = client_text(b.reader);
    ck_assert_ptr_nonnull(strstr(text, "{\"id\":\"0-1000\"")); /* and it went on */
    free(text);
    client_free(b.reader);
    sem_destroy(&b.go_on);
    stage_close(&s);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("page");
    TCase *tcase = tcase_create("page");
    tcase_set_timeout(tcase, 60);
    suite_add_tcase(suite, tcase);
    tcase_add_test(tcase, pages_follow_one_another_until_caught_up);
    tcase_add_test(tcase, an_empty_page_has_a_next_that_works);
    tcase_add_test(tcase, a_long_poll_answers_with_the_first_event);
    tcase_add_test(tcase, a_long_poll_ends_with_the_right_to_it);
    tcase_add_test(tcase, a_long_poll_ends_when_the_configuration_is_too_old);
    tcase_add_test(tcase, a_long_poll_without_events_ends_in_time);
    tcase_add_test(tcase, one_bad_record_hides_no_page);
    tcase_add_test(tcase, an_expired_cursor_is_gone_with_ways_on);
    tcase_add_test(tcase, a_cursor_of_a_topic_that_was_made_anew_is_gone);
    tcase_add_test(tcase, a_topic_too_wide_for_a_cursor_cannot_be_read);
    tcase_add_test(tcase, a_time_starts_there);
    tcase_add_test(tcase, a_down_backend_is_503_and_a_missing_topic_502);
    tcase_add_test(tcase, an_outage_is_not_the_end_of_the_stream);
    tcase_add_test(tcase, after_an_outage_the_end_is_where_the_broker_says);
    tcase_add_test(tcase, pages_that_nobody_takes_are_bounded);
    tcase_add_test(tcase, an_application_has_its_share_of_pages);
    tcase_add_test(tcase, bad_parameters_are_400);
    tcase_add_test(tcase, a_client_that_leaves_takes_its_page_along);
    tcase_add_test(tcase, a_busy_worker_bounds_what_catches_up);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
