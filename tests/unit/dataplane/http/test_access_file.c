/* The thread that writes the access log: in order, never in the way, and bounded. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "common/file.h"
#include "common/metrics.h"
#include "dataplane/http/access_log.h"
#include "dataplane/observe/metrics.h"
#include "tests/unit/common/unit.h"

static char path[64];

static void setup(void)
{
    static bool registered;
    if (!registered)
        slc_gateway_metrics_register();
    registered = true;
    strcpy(path, "/tmp/slc-test-access-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(path));
    strcat(path, "/log");
}

static void teardown(void)
{
    unlink(path);
    *strrchr(path, '/') = '\0';
    rmdir(path);
}

static slc_access_file *open_at(const char *at, int64_t limit_bytes, slc_error *err)
{
    const char *none[] = {NULL};
    const slc_access_file_options options = {.path = at,
                                             .what = "access-log",
                                             .limit_bytes = limit_bytes,
                                             .dropped =
                                                 slc_metrics_series("sluice_access_log_dropped_total", none)};
    return slc_access_file_open(&options, err);
}

static slc_access_file *open_file(int64_t limit_bytes)
{
    slc_error err;
    slc_access_file *file = open_at(path, limit_bytes, &err);
    ck_assert_msg(file != NULL, "%s", err.message);
    return file;
}

static void write_line(slc_access_file *file, int number, size_t padding)
{
    char *text = slc_malloc(padding + 32);
    int len = snprintf(text, 32, "%d", number);
    memset(text + len, ' ', padding);
    text[(size_t)len + padding] = '\n';
    slc_access_file_write(file, text, (size_t)len + padding + 1, 1);
}

static int64_t dropped(void)
{
    const char *none[] = {NULL};
    return slc_series_value(slc_metrics_series("sluice_access_log_dropped_total", none));
}

START_TEST(everything_is_written_in_order_before_it_closes)
{
    setup();
    slc_access_file *file = open_file(1 << 20);
    for (int i = 0; i < 2000; i++)
        write_line(file, i, 0);
    slc_access_file_close(file);
    char *text = slc_file_read(path, 1 << 20, NULL, NULL), *at = text;
    for (int i = 0; i < 2000; i++)
        ck_assert_int_eq(strtol(at, &at, 10), i);
    free(text);
    teardown();
}
END_TEST

/* Standard output may be a pipe whose reader has stopped. */
START_TEST(a_pipe_that_nobody_empties_stops_nobody)
{
    setup();
    int64_t before = dropped();
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    int reader = open(path, O_RDONLY | O_NONBLOCK);
    slc_access_file *file = open_file(256 * 1024);
    for (int i = 0; i < 1000; i++) /* the pipe takes 64 KiB, the queue 256, and this is a megabyte */
        write_line(file, i, 1024);
    int64_t lost = dropped() - before;
    ck_assert_int_ge(lost, 600);
    ck_assert_int_lt(lost, 1000);

    char taken[4096]; /* the reader goes on: what was queued arrives, from the first on */
    ssize_t n;
    while ((n = read(reader, taken, sizeof taken)) <= 0)
        ;
    ck_assert_int_eq(taken[0], '0');
    while (read(reader, taken, sizeof taken) > 0)
        ;
    slc_access_file_close(file); /* ends, whatever is left */
    close(reader);
    teardown();
}
END_TEST

START_TEST(closing_gives_a_stuck_pipe_up_and_counts_what_is_lost)
{
    setup();
    int64_t before = dropped();
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    int reader = open(path, O_RDONLY | O_NONBLOCK);
    slc_access_file *file = open_file(1 << 20);
    for (int i = 0; i < 500; i++)
        write_line(file, i, 1024);
    ck_assert_int_eq(dropped() - before, 0);
    slc_access_file_close(file);
    ck_assert_int_gt(dropped() - before, 400);
    close(reader);
    teardown();
}
END_TEST

START_TEST(no_log_is_wanted_without_a_path)
{
    slc_error err;
    setup();
    slc_access_file *file = open_at("", 1024, &err);
    ck_assert(!slc_access_file_wanted(file));
    slc_access_file_close(file);
    file = open_at("/no/such/folder/log", 1024, &err);
    ck_assert_ptr_null(file);
    ck_assert_ptr_nonnull(strstr(err.message, "/no/such/folder/log"));
    teardown();
}
END_TEST

UNIT_MAIN("access_file", everything_is_written_in_order_before_it_closes,
          a_pipe_that_nobody_empties_stops_nobody, closing_gives_a_stuck_pipe_up_and_counts_what_is_lost,
          no_log_is_wanted_without_a_path)
