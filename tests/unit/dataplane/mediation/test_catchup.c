/* The bound of those who catch up. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "stage.h"

#define EVENTS 3000

static void append_numbers(stage *s)
{
    char value[16];
    for (int i = 0; i < EVENTS; i++) {
        snprintf(value, sizeof value, "%d", i);
        stage_append(s, 0, value);
    }
}

/* The cursor behind the first `count` events. */
static void cursor_at(stage *s, int count, char *cursor, size_t size)
{
    char query[64];
    client *c = client_new(s, 0);
    snprintf(query, sizeof query, "from=earliest&limit=%d", count);
    client_get(c, query);
    client_wait(c);
    char *text = client_text(c), *next = strstr(text, "\"next\":\"");
    ck_assert_msg(next != NULL, "%s", text);
    snprintf(cursor, size, "%.*s", (int)strcspn(next + 8, "\""), next + 8);
    free(text);
    client_free(c);
}

static client *open_stream(stage *s, unsigned worker, const char *last_id)
{
    client *c = client_new(s, worker);
    client_header(c, "Accept", "text/event-stream");
    client_header(c, "Last-Event-ID", last_id);
    client_get(c, NULL);
    return c;
}

static bool has_exactly(client *c, int from)
{
    char *data = stream_data(c), *save = NULL;
    int next = from;
    bool fine = true;
    for (char *token = strtok_r(data, ",", &save); token != NULL; token = strtok_r(NULL, ",", &save))
        fine = fine && atoi(token) == next++;
    free(data);
    return fine && next == EVENTS;
}

static void set_places(stage *s, unsigned places)
{
    slc_catchup_pool *pool = &s->mediation->catchup;
    pthread_mutex_lock(&pool->lock);
    pool->places = places;
    pthread_mutex_unlock(&pool->lock);
}

static unsigned taken(stage *s)
{
    slc_catchup_pool *pool = &s->mediation->catchup;
    pthread_mutex_lock(&pool->lock);
    unsigned count = pool->taken;
    pthread_mutex_unlock(&pool->lock);
    return count;
}

static const slc_scan *next_in_queue(stage *s)
{
    slc_catchup_pool *pool = &s->mediation->catchup;
    pthread_mutex_lock(&pool->lock);
    const slc_scan *scan = TAILQ_FIRST(&pool->queue);
    pthread_mutex_unlock(&pool->lock);
    return scan;
}

static bool is_ready(client *c)
{
    return stream_count(c, ": ok") == 1;
}

/* Regression 5: whoever waited in a scan that gave way came back to it at once, without end. */
START_TEST(a_scan_that_gives_way_takes_nobody_back)
{
    stage s;
    char near_cursor[SLC_CURSOR_MAX_CHARS + 1], far_cursor[SLC_CURSOR_MAX_CHARS + 1];
    stage_defaults(&s);
    s.limits.feed_ring_bytes = 4096;
    s.limits.catchup_consumers = 1;
    s.limits.catchup_park_ms = 0;
    stage_open(&s, 1);
    append_numbers(&s);
    cursor_at(&s, 900, near_cursor, sizeof near_cursor);
    cursor_at(&s, 800, far_cursor, sizeof far_cursor);
    STAGE_WAIT(taken(&s) == 0);
    slc_memory_set_held(s.broker, true);
    client *first = open_stream(&s, 0, near_cursor);
    STAGE_WAIT(is_ready(first) && taken(&s) == 1);
    client *second = open_stream(&s, 0, far_cursor); /* behind it: it needs a scan of its own */
    STAGE_WAIT(is_ready(second) && atomic_load(&s.mediation->catchup.queued) == 1);
    const slc_scan *waiting = next_in_queue(&s);
    STAGE_WAIT(next_in_queue(&s) != waiting); /* the first has had its slice */
    slc_memory_set_held(s.broker, false);
    STAGE_WAIT(has_exactly(first, 900));
    STAGE_WAIT(has_exactly(second, 800));
    client_free(first);
    client_free(second);
    stage_close(&s);
}
END_TEST

START_TEST(beyond_the_queue_pages_are_refused_and_streams_wait_and_miss_nothing)
{
    enum { OUTSIDE = 6 };
    stage s;
    char cursors[OUTSIDE + 1][SLC_CURSOR_MAX_CHARS + 1];
    client *outside[OUTSIDE];
    stage_defaults(&s);
    s.limits.feed_ring_bytes = 4096;
    s.limits.catchup_queue = 1;
    s.limits.catchup_park_ms = 0;
    stage_open(&s, 1);
    append_numbers(&s);
    for (int i = 0; i <= OUTSIDE; i++) /* each before the last: no two can share a scan */
        cursor_at(&s, 900 - i * 100, cursors[i], sizeof cursors[i]);
    STAGE_WAIT(taken(&s) == 0);
    set_places(&s, 0); /* as if all were in use */

    client *queued = open_stream(&s, 0, cursors[0]);
    STAGE_WAIT(is_ready(queued) && atomic_load(&s.mediation->catchup.queued) == 1);
    for (int i = 0; i < OUTSIDE; i++)
        outside[i] = open_stream(&s, (unsigned)i % 2, cursors[i + 1]);
    for (int i = 0; i < OUTSIDE; i++)
        STAGE_WAIT(is_ready(outside[i]));
    ck_assert_uint_eq(atomic_load(&s.mediation->catchup.queued), 1);

    client *page = client_new(&s, 1);
    client_get(page, "from=earliest");
    client_wait(page);
    char *text = client_text(page), *retry = client_response_header(page, "Retry-After");
    ck_assert_msg(client_status(page) == 429 && strstr(text, "catch-up-full") != NULL, "%d %s",
                  client_status(page), text);
    ck_assert_ptr_nonnull(retry);
    free(text);
    free(retry);
    client_free(page);
    client_free(outside[OUTSIDE - 1]); /* who waits outside may leave */

    set_places(&s, 1);
    STAGE_WAIT(has_exactly(queued, 900));
    for (int i = 0; i < OUTSIDE - 1; i++)
        STAGE_WAIT(has_exactly(outside[i], 800 - i * 100));
    client_free(queued);
    for (int i = 0; i < OUTSIDE - 1; i++)
        client_free(outside[i]);
    stage_close(&s);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("catch-up");
    TCase *tcase = tcase_create("bounds");
    tcase_set_timeout(tcase, 120);
    suite_add_tcase(suite, tcase);
    tcase_add_test(tcase, a_scan_that_gives_way_takes_nobody_back);
    tcase_add_test(tcase, beyond_the_queue_pages_are_refused_and_streams_wait_and_miss_nothing);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
