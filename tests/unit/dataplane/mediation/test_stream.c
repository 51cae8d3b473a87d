#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "stage.h"

static client *open_stream(stage *s, unsigned worker, const char *query, const char *last_id)
{
    client *c = client_new(s, worker);
    client_header(c, "Accept", "text/event-stream");
    if (last_id != NULL)
        client_header(c, "Last-Event-ID", last_id);
    client_get(c, query);
    return c;
}

/* Who comes in the same millisecond as a record gets it: so the next one is waited for. */
static void append_numbers(stage *s, int from, int to, int32_t partitions)
{
    char value[16];
    for (int i = from; i < to; i++) {
        snprintf(value, sizeof value, "%d", i);
        stage_append(s, i % partitions, value);
    }
    int64_t now_ms = slc_wall_ms();
    STAGE_WAIT(slc_wall_ms() > now_ms);
}

static bool data_is(client *c, const char *expected)
{
    char *data = stream_data(c);
    bool same = strcmp(data, expected) == 0;
    free(data);
    return same;
}

/* Has the stream every number of the range, each once? Order holds within a partition only. */
static bool has_numbers(client *c, int from, int to, int32_t partitions)
{
    char *data = stream_data(c), *save = NULL;
    int count = 0;
    int *last = calloc((size_t)partitions, sizeof *last);
    for (int i = 0; i < partitions; i++)
        last[i] = -1;
    bool fine = true;
    for (char *token = strtok_r(data, ",", &save); token != NULL; token = strtok_r(NULL, ",", &save)) {
        int value = atoi(token), partition = value % partitions;
        fine = fine && value >= from && value < to && value > last[partition];
        last[partition] = value;
        count++;
    }
    free(last);
    free(data);
    return fine && count == to - from;
}

START_TEST(a_live_event_arrives_with_its_id)
{
    stage s;
    stage_defaults(&s);
    stage_open(&s, 2);
    append_numbers(&s, 0, 10, 2);
    int64_t appended_ms = slc_wall_ms();
    STAGE_WAIT(slc_wall_ms() > appended_ms); /* what has the time of the opening counts as new */
    client *c = open_stream(&s, 0, NULL, NULL);
    STAGE_WAIT(stream_count(c, "id: ") >= 1); /* it knows its place before the first event */
    stage_append(&s, 1, "{\"n\": 1}");
    STAGE_WAIT(data_is(c, "{\"n\": 1}"));
    char *text = client_text(c);
    ck_assert_int_eq(strncmp(text, "retry: ", 7), 0);
    ck_assert_uint_eq(stream_count(c, ": ok"), 1);
    ck_assert_ptr_nonnull(strstr(text, "data: {\"id\":\"1-5\",\"time\":\""));
    ck_assert_uint_ge(stream_count(c, "id: "), 2); /* one more if the topic's id came after its place */
    free(text);
    client_abort(c);
    char *caching = client_response_header(c, "Cache-Control");
    ck_assert_str_eq(caching, "no-store");
    free(caching);
    client_free(c);
    stage_close(&s);
}
END_TEST

START_TEST(an_event_published_after_ok_is_never_missed)
{
    for (int round = 0; round < 20; round++) { /* the feed opens anew each time: the race is in there */
        stage s;
        stage_defaults(&s);
        stage_open(&s, 3);
        stage_append(&s, 0, "0");
        client *c = open_stream(&s, (unsigned)round % 2, NULL, NULL);
        STAGE_WAIT(stream_count(c, ": ok") == 1);
        stage_append(&s, round % 3, "7");
        STAGE_WAIT(data_is(c, "7") || data_is(c, "0,7"));
        client_free(c);
        stage_close(&s);
    }
}
END_TEST

START_TEST(earliest_reads_everything_then_the_tail)
{
    stage s;
    stage_defaults(&s);
    s.limits.feed_ring_bytes = 4096; /* most of it is behind the ring */
    stage_open(&s, 3);
    append_numbers(&s, 0, 3000, 3);
    client *c = open_stream(&s, 0, "from=earliest", NULL);
    STAGE_WAIT(has_numbers(c, 0, 3000, 3));
    append_numbers(&s, 3000, 3100, 3);
    STAGE_WAIT(has_numbers(c, 0, 3100, 3));
    client_free(c);
    stage_close(&s);
}
END_TEST

START_TEST(a_stream_resumes_exactly_on_another_worker)
{
    stage s;
    stage_defaults(&s);
    s.limits.feed_ring_bytes = 8192;
    stage_open(&s, 3);
    append_numbers(&s, 0, 500, 3);
    client *first = open_stream(&s, 0, "from=earliest", NULL);
    STAGE_WAIT(has_numbers(first, 0, 500, 3));
    char *id = stream_last_id(first);
    client_free(first);
    append_numbers(&s, 500, 2500, 3);
    client *second = open_stream(&s, 1, NULL, id);
    STAGE_WAIT(has_numbers(second, 500, 2500, 3));
    append_numbers(&s, 2500, 2600, 3);
    STAGE_WAIT(has_numbers(second, 500, 2600, 3));
    ck_assert_uint_eq(stream_count(second, "event: gap"), 0);
    free(id);
    client_free(second);
    stage_close(&s);
}
END_TEST

/* Every id that was ever sent is a place to resume at: what follows it, and only that, comes. */
START_TEST(every_id_is_exact)
{
    stage s;
    stage_defaults(&s);
    s.limits.feed_ring_bytes = 16384;
    stage_open(&s, 2);
    append_numbers(&s, 0, 300, 2);
    client *c = open_stream(&s, 0, "from=earliest", NULL);
    STAGE_WAIT(has_numbers(c, 0, 300, 2));
    char *text = client_text(c), *at = text;
    int seen = 0;
    client *resumed[400];
    int expected[400], count = 0;
    while ((at = strstr(at, "id: ")) != NULL) {
        char *id = strndup(at + 4, strcspn(at + 4, "\n"));
        at += 4 + strlen(id);
        if (strncmp(at, "\ndata: ", 7) == 0)
            seen++;
        if (seen % 7 == 0 && count < 400) {
            resumed[count] = open_stream(&s, (unsigned)count % 2, NULL, id);
            expected[count++] = 300 - seen;
        }
        free(id);
    }
    ck_assert_int_gt(count, 20);
    for (int i = 0; i < count; i++) {
        STAGE_WAIT(stream_count(resumed[i], "data: ") >= (size_t)expected[i]);
        ck_assert_uint_eq(stream_count(resumed[i], "data: "), (size_t)expected[i]);
        client_free(resumed[i]);
    }
    free(text);
    client_free(c);
    stage_close(&s);
}
END_TEST

START_TEST(thousands_of_readers_cost_one_fetch)
{
    enum { READERS = 2000, EVENTS = 20 };
    stage s;
    stage_defaults(&s);
    stage_open(&s, 2);
    static client *readers[READERS];
    for (int i = 0; i < READERS; i++)
        readers[i] = open_stream(&s, (unsigned)i % 2, NULL, NULL);
    for (int i = 0; i < READERS; i++)
        STAGE_WAIT(stream_count(readers[i], "id: ") >= 1);
    append_numbers(&s, 0, EVENTS, 2);
    for (int i = 0; i < READERS; i++)
        STAGE_WAIT(has_numbers(readers[i], 0, EVENTS, 2));
    ck_assert_uint_eq(slc_memory_delivered(s.broker), EVENTS);
    ck_assert_uint_eq(slc_memory_consumers(s.broker), 1);
    for (int i = 0; i < READERS; i++)
        client_free(readers[i]);
    stage_close(&s);
}
END_TEST

START_TEST(returning_readers_share_their_scans)
{
    enum { READERS = 200 };
    stage s;
    stage_defaults(&s);
    s.limits.feed_ring_bytes = 4096;
    stage_open(&s, 2);
    append_numbers(&s, 0, 2000, 2);
    static client *readers[READERS];
    for (int i = 0; i < READERS; i++)
        readers[i] = open_stream(&s, (unsigned)i % 2, "from=earliest", NULL);
    for (int i = 0; i < READERS; i++)
        STAGE_WAIT(has_numbers(readers[i], 0, 2000, 2));
    ck_assert_uint_le(slc_memory_delivered(s.broker), 2000 * 10); /* not READERS times */
    for (int i = 0; i < READERS; i++)
        client_free(readers[i]);
    stage_close(&s);
}
END_TEST

START_TEST(a_slow_reader_costs_only_itself)
{
    stage s;
    stage_defaults(&s);
    s.limits.feed_ring_bytes = 32 * 1024;
    stage_open(&s, 2);
    client *slow = open_stream(&s, 0, NULL, NULL);
    client *quick = open_stream(&s, 0, NULL, NULL);
    STAGE_WAIT(stream_count(slow, "id: ") >= 1 && stream_count(quick, "id: ") >= 1);
    client_block(slow, true);
    append_numbers(&s, 0, 3000, 2); /* many times the ring */
    STAGE_WAIT(has_numbers(quick, 0, 3000, 2));
    ck_assert_uint_le(client_pending(slow), 80 * 1024);
    client_block(slow, false);
    STAGE_WAIT(has_numbers(slow, 0, 3000, 2));
    ck_assert_uint_eq(stream_count(slow, "event: gap"), 0);
    client_free(slow);
    client_free(quick);
    stage_close(&s);
}
END_TEST

START_TEST(lost_events_are_a_gap_and_never_silence)
{
    stage s;
    stage_defaults(&s);
    s.limits.feed_ring_bytes = 2048;
    stage_open(&s, 1);
    append_numbers(&s, 0, 10, 1);
    client *c = open_stream(&s, 0, "from=earliest", NULL);
    STAGE_WAIT(has_numbers(c, 0, 10, 1));
    char *id = stream_last_id(c);
    append_numbers(&s, 10, 200, 1);
    STAGE_WAIT(has_numbers(c, 0, 200, 1)); /* the ring is past it */
    client_free(c);
    slc_memory_expire(s.broker, "topic", 0, 50);
    c = open_stream(&s, 1, NULL, id);
    STAGE_WAIT(has_numbers(c, 50, 200, 1));
    char *text = client_text(c);
    ck_assert_ptr_nonnull(
        strstr(text, "event: gap\ndata: {\"from\":\"0-10\",\"to\":\"0-50\",\"reason\":\"expired\"}\n\n"));
    ck_assert_uint_eq(stream_count(c, "event: gap"), 1);
    free(text);
    free(id);
    client_free(c);
    stage_close(&s);
}
END_TEST

START_TEST(a_cut_log_is_a_gap_too)
{
    stage s;
    stage_defaults(&s);
    stage_open(&s, 1);
    append_numbers(&s, 0, 20, 1);
    client *c = open_stream(&s, 0, "from=earliest", NULL);
    STAGE_WAIT(has_numbers(c, 0, 20, 1));
    char *id = stream_last_id(c);
    client_free(c);
    slc_memory_truncate(s.broker, "topic", 0, 12);
    c = open_stream(&s, 1, NULL, id);
    STAGE_WAIT(stream_count(c, "event: gap") == 1);
    char *text = client_text(c);
    ck_assert_ptr_nonnull(strstr(text, "{\"from\":\"0-20\",\"to\":\"0-12\",\"reason\":\"truncated\"}"));
    free(text);
    append_numbers(&s, 100, 103, 1);
    STAGE_WAIT(has_numbers(c, 100, 103, 1));
    free(id);
    client_free(c);
    stage_close(&s);
}
END_TEST

/* Regression 4: they come together, each with an id of all partitions, and what was over a bound was dropped.
 */
START_TEST(a_gap_in_each_of_many_partitions_is_told)
{
    enum { PARTITIONS = 400 };
    stage s;
    stage_defaults(&s);
    stage_open(&s, PARTITIONS);
    append_numbers(&s, 0, 2 * PARTITIONS, PARTITIONS);
    client *c = open_stream(&s, 0, "from=earliest", NULL);
    STAGE_WAIT(stream_count(c, "data: ") == 2 * PARTITIONS);
    char *id = stream_last_id(c);
    client_free(c);
    for (int32_t i = 0; i < PARTITIONS; i++)
        slc_memory_truncate(s.broker, "topic", i, 1);
    c = open_stream(&s, 1, NULL, id);
    STAGE_WAIT(stream_count(c, "event: gap") == PARTITIONS);
    free(id);
    client_free(c);
    stage_close(&s);
}
END_TEST

START_TEST(control_records_are_no_gap)
{
    stage s;
    stage_defaults(&s);
    s.limits.feed_ring_bytes = 2048;
    stage_open(&s, 2);
    append_numbers(&s, 0, 10, 2);
    slc_memory_skip(s.broker, "topic", 0, 3);
    client *c = open_stream(&s, 0, "from=earliest", NULL);
    STAGE_WAIT(has_numbers(c, 0, 10, 2));
    char *id = stream_last_id(c);
    client_free(c);
    slc_memory_skip(s.broker, "topic", 1, 5);
    append_numbers(&s, 10, 100, 2);
    slc_memory_skip(s.broker, "topic", 0, 3);
    c = open_stream(&s, 1, NULL, id);
    STAGE_WAIT(has_numbers(c, 10, 100, 2));
    append_numbers(&s, 100, 110, 2);
    STAGE_WAIT(has_numbers(c, 10, 110, 2));
    ck_assert_uint_eq(stream_count(c, "event: gap"), 0);
    free(id);
    client_free(c);
    stage_close(&s);
}
END_TEST

START_TEST(an_outage_is_told_and_readers_stay)
{
    stage s;
    stage_defaults(&s);
    stage_open(&s, 2);
    client *c = open_stream(&s, 0, NULL, NULL);
    STAGE_WAIT(stream_count(c, "id: ") >= 1);
    slc_memory_set_down(s.broker, true);
    STAGE_WAIT(stream_count(c, "event: error") == 1);
    client *late = open_stream(&s, 0, "from=earliest", NULL);
    STAGE_WAIT(stream_count(late, "event: error") >= 1);
    slc_memory_set_down(s.broker, false);
    append_numbers(&s, 0, 10, 2);
    STAGE_WAIT(has_numbers(c, 0, 10, 2));
    STAGE_WAIT(has_numbers(late, 0, 10, 2));
    ck_assert(!client_ended(c));
    char *text = client_text(c);
    ck_assert_ptr_nonnull(strstr(text, "backend-unavailable"));
    free(text);
    client_free(c);
    client_free(late);
    stage_close(&s);
}
END_TEST

START_TEST(a_backend_that_is_down_at_the_start_is_waited_for)
{
    stage s;
    stage_defaults(&s);
    stage_open(&s, 1);
    slc_memory_set_down(s.broker, true);
    client *c = open_stream(&s, 0, NULL, NULL);
    STAGE_WAIT(stream_count(c, "event: error") == 1);
    slc_memory_set_down(s.broker, false);
    STAGE_WAIT(stream_count(c, "id: ") >= 1);
    stage_append(&s, 0, "5");
    STAGE_WAIT(data_is(c, "5"));
    client_free(c);
    stage_close(&s);
}
END_TEST

START_TEST(revocation_closes_a_stream)
{
    stage s;
    stage_defaults(&s);
    stage_open(&s, 1);
    client *c = open_stream(&s, 0, NULL, NULL);
    STAGE_WAIT(stream_count(c, "id: ") >= 1);
    stage_apply(&s);
    ck_assert(!client_ended(c));
    stage_set_granted(false);
    stage_apply(&s);
    client_wait(c);
    char *text = client_text(c);
    ck_assert_ptr_nonnull(strstr(text, "access-revoked"));
    free(text);
    client_free(c);
    stage_close(&s);
}
END_TEST

START_TEST(draining_ends_streams_with_an_id)
{
    stage s;
    stage_defaults(&s);
    stage_open(&s, 1);
    client *c = open_stream(&s, 0, NULL, NULL);
    STAGE_WAIT(stream_count(c, "id: ") >= 1);
    stage_append(&s, 0, "1");
    STAGE_WAIT(data_is(c, "1"));
    stage_drain(&s);
    client_wait(c);
    char *text = client_text(c), *id = stream_last_id(c);
    size_t len = strlen(text);
    ck_assert_str_eq(text + len - 2, "\n\n");
    ck_assert_str_eq(text + len - 2 - strlen(id) - 4 + 4 - 0, strstr(text + len - 2 - strlen(id), id));
    free(text);
    client *late = open_stream(&s, 0, NULL, id);
    client_wait(late);
    ck_assert_int_eq(client_status(late), 503);
    free(id);
    client_free(late);
    client_free(c);
    stage_close(&s);
}
END_TEST

START_TEST(a_configuration_that_is_too_old_ends_streams_where_they_can_go_on)
{
    stage s;
    stage_defaults(&s);
    stage_open(&s, 1);
    client *c = open_stream(&s, 0, NULL, NULL), *blocked = open_stream(&s, 1, NULL, NULL);
    STAGE_WAIT(stream_count(c, "id: ") >= 1 && stream_count(blocked, "id: ") >= 1);
    client_block(blocked, true);
    stage_append(&s, 0, "1");
    STAGE_WAIT(data_is(c, "1") && client_pending(blocked) > 0);
    stage_cut_off(&s);
    client_wait(c);
    char *text = client_text(c), *id = stream_last_id(c);
    char *told = strstr(text, "event: error\ndata: {\"type\":\"https://sluice.dev/problems/unavailable\"");
    ck_assert_ptr_nonnull(told);
    ck_assert_str_eq(strstr(told, "\n\n"), "\n\n"); /* the last thing that is said */
    stage_append(&s, 0, "2");
    client *resumed = open_stream(&s, 0, NULL, id);
    STAGE_WAIT(data_is(resumed, "2"));
    client_block(blocked, false);
    STAGE_WAIT(client_pending(blocked) == 0);
    free(text);
    text = client_text(blocked); /* says the same, behind whatever had been written for it */
    ck_assert_ptr_nonnull(
        strstr(text, "event: error\ndata: {\"type\":\"https://sluice.dev/problems/unavailable\""));
    free(text);
    free(id);
    client_free(resumed);
    client_free(blocked);
    client_free(c);
    stage_close(&s);
}
END_TEST

START_TEST(new_partitions_are_read_from_their_beginning)
{
    stage s;
    stage_defaults(&s);
    stage_open(&s, 1);
    append_numbers(&s, 0, 10, 1);
    client *c = open_stream(&s, 0, "from=earliest", NULL);
    STAGE_WAIT(has_numbers(c, 0, 10, 1));
    char *id = stream_last_id(c);
    slc_memory_add_partition(s.broker, "topic");
    stage_append(&s, 1, "100");
    STAGE_WAIT(data_is(c, "0,1,2,3,4,5,6,7,8,9,100"));
    client *resumed = open_stream(&s, 1, NULL, id);
    STAGE_WAIT(data_is(resumed, "100"));
    ck_assert_uint_eq(stream_count(c, "event: gap"), 0);
    free(id);
    client_free(resumed);
    client_free(c);
    stage_close(&s);
}
END_TEST

/* The topic as it was is gone: whoever read it hears so, and goes on with the new one. */
START_TEST(a_topic_made_anew_is_told_and_then_read_from_its_beginning)
{
    stage s;
    stage_defaults(&s);
    stage_open(&s, 1);
    append_numbers(&s, 0, 10, 1);
    client *c = open_stream(&s, 0, "from=earliest", NULL);
    STAGE_WAIT(has_numbers(c, 0, 10, 1));
    char *old_id = stream_last_id(c);
    slc_memory_topic_delete(s.broker, "topic");
    STAGE_WAIT(stream_count(c, "event: error") == 1);
    slc_memory_topic_create(s.broker, "topic", 2);
    append_numbers(&s, 100, 120, 2); /* more than before: offsets alone would not tell */
    STAGE_WAIT(stream_count(c, "event: gap") == 1);
    STAGE_WAIT(stream_count(c, "data: {\"id\"") == 30);
    ck_assert_uint_eq(stream_count(c, "data: {\"reason\":\"recreated\"}"), 1);
    char *new_id = stream_last_id(c);
    client *resumed = open_stream(&s, 1, NULL, old_id);
    STAGE_WAIT(stream_count(resumed, "data: {\"id\"") == 20);
    ck_assert_uint_eq(stream_count(resumed, "data: {\"reason\":\"recreated\"}"), 1);
    client *after = open_stream(&s, 1, NULL, new_id);
    stage_append(&s, 1, "200");
    STAGE_WAIT(data_is(after, "200"));
    ck_assert_uint_eq(stream_count(after, "event: gap"), 0);
    free(old_id);
    free(new_id);
    client_free(after);
    client_free(resumed);
    client_free(c);
    stage_close(&s);
}
END_TEST

/* One that catches up when it happens. */
START_TEST(a_topic_made_anew_ends_a_catch_up)
{
    stage s;
    stage_defaults(&s);
    s.limits.feed_ring_bytes = 2048;
    s.limits.metadata_refresh_ms = 60000; /* the scan itself must find out */
    stage_open(&s, 1);
    append_numbers(&s, 0, 20000, 1);
    client *c = client_new(&s, 0);
    client_header(c, "Accept", "text/event-stream");
    client_get(c, "from=earliest");
    STAGE_WAIT(stream_count(c, "data: {") > 0);
    client_block(c, true);
    slc_memory_topic_delete(s.broker, "topic");
    slc_memory_topic_create(s.broker, "topic", 1);
    append_numbers(&s, 100, 105, 1);
    client_block(c, false);
    STAGE_WAIT(stream_count(c, "data: {\"reason\":\"recreated\"}") == 1);
    STAGE_WAIT(stream_count(c, "data: {\"id\":\"0-4\"") == 2);
    client_free(c);
    stage_close(&s);
}
END_TEST

START_TEST(heartbeats_bring_the_id_again)
{
    stage s;
    stage_defaults(&s);
    s.limits.heartbeat_ms = 300;
    stage_open(&s, 1);
    client *c = open_stream(&s, 0, NULL, NULL);
    STAGE_WAIT(stream_count(c, ":\n") >= 3);
    ck_assert_uint_ge(stream_count(c, "id: "), 3);
    client_free(c);
    stage_close(&s);
}
END_TEST

START_TEST(a_bad_cursor_is_refused)
{
    stage s;
    stage_defaults(&s);
    stage_open(&s, 1);
    client *c = open_stream(&s, 0, NULL, "nonsense");
    client_wait(c);
    ck_assert_int_eq(client_status(c), 400);
    client_free(c);
    c = open_stream(&s, 0, "from=sometime", NULL);
    client_wait(c);
    ck_assert_int_eq(client_status(c), 400);
    client_free(c);
    stage_close(&s);
}
END_TEST

/* More than what may lie between the backend and the readers: what comes behind it must still come. */
START_TEST(a_very_large_event_holds_nothing_up)
{
    enum { LARGE = 5 << 20 };
    stage s;
    stage_defaults(&s);
    s.limits.feed_ring_bytes = 32 << 20;
    stage_open(&s, 1);
    client *c = open_stream(&s, 0, NULL, NULL);
    STAGE_WAIT(stream_count(c, "id: ") >= 1);
    char *value = malloc(LARGE + 1);
    memset(value, '1', LARGE);
    value[LARGE] = '\0';
    stage_append(&s, 0, value);
    free(value);
    STAGE_WAIT(stream_count(c, "data: ") == 1);
    stage_append(&s, 0, "{\"after\":1}");
    STAGE_WAIT(stream_count(c, "data: ") == 2);
    client_free(c);
    stage_close(&s);
}
END_TEST

START_TEST(an_idle_feed_closes)
{
    stage s;
    stage_defaults(&s);
    s.limits.feed_idle_ms = 300;
    stage_open(&s, 1);
    client *c = open_stream(&s, 0, NULL, NULL);
    STAGE_WAIT(stream_count(c, "id: ") >= 1);
    ck_assert_uint_eq(slc_memory_consumers(s.broker), 1);
    client_free(c);
    STAGE_WAIT(slc_memory_consumers(s.broker) == 0);
    c = open_stream(&s, 0, NULL, NULL); /* and opens again */
    STAGE_WAIT(stream_count(c, "id: ") >= 1);
    client_free(c);
    stage_close(&s);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("stream");
    TCase *tcase = tcase_create("stream");
    tcase_set_timeout(tcase, 60);
    suite_add_tcase(suite, tcase);
    tcase_add_test(tcase, a_live_event_arrives_with_its_id);
    tcase_add_test(tcase, an_event_published_after_ok_is_never_missed);
    tcase_add_test(tcase, earliest_reads_everything_then_the_tail);
    tcase_add_test(tcase, a_stream_resumes_exactly_on_another_worker);
    tcase_add_test(tcase, every_id_is_exact);
    tcase_add_test(tcase, thousands_of_readers_cost_one_fetch);
    tcase_add_test(tcase, returning_readers_share_their_scans);
    tcase_add_test(tcase, a_slow_reader_costs_only_itself);
    tcase_add_test(tcase, lost_events_are_a_gap_and_never_silence);
    tcase_add_test(tcase, a_cut_log_is_a_gap_too);
    tcase_add_test(tcase, a_gap_in_each_of_many_partitions_is_told);
    tcase_add_test(tcase, control_records_are_no_gap);
    tcase_add_test(tcase, an_outage_is_told_and_readers_stay);
    tcase_add_test(tcase, a_backend_that_is_down_at_the_start_is_waited_for);
    tcase_add_test(tcase, revocation_closes_a_stream);
    tcase_add_test(tcase, draining_ends_streams_with_an_id);
    tcase_add_test(tcase, a_configuration_that_is_too_old_ends_streams_where_they_can_go_on);
    tcase_add_test(tcase, new_partitions_are_read_from_their_beginning);
    tcase_add_test(tcase, a_topic_made_anew_is_told_and_then_read_from_its_beginning);
    tcase_add_test(tcase, a_topic_made_anew_ends_a_catch_up);
    tcase_add_test(tcase, heartbeats_bring_the_id_again);
    tcase_add_test(tcase, a_bad_cursor_is_refused);
    tcase_add_test(tcase, a_very_large_event_holds_nothing_up);
    tcase_add_test(tcase, an_idle_feed_closes);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
