#include "common/metrics.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/common/unit.h"

static const double buckets[] = {1, 2, 5, 0};
static const slc_metric table[] = {
    {"t_requests_total", SLC_COUNTER, "Requests.", {"api", "code"}, 0, NULL},
    {"t_connections", SLC_GAUGE, "Connections.", {NULL}, 0, NULL},
    {"t_seconds", SLC_HISTOGRAM, "Time.", {"api"}, 0, buckets},
    {"t_default_seconds", SLC_HISTOGRAM, "Time.", {NULL}, 0, NULL},
    {"t_small_total", SLC_COUNTER, "Few.", {"who"}, 3, NULL},
    {NULL, SLC_COUNTER, NULL, {NULL}, 0, NULL},
};

static char *render(void)
{
    slc_buf out;
    slc_buf_init(&out, 1 << 20);
    slc_metrics_render(&out);
    ck_assert(!out.overflow);
    return slc_buf_steal(&out, NULL);
}

static void has(const char *text, const char *line)
{
    ck_assert_msg(strstr(text, line) != NULL, "%s\nis not in\n%s", line, text);
}

START_TEST(series_are_rendered)
{
    slc_metrics_register(table);
    slc_series *a = slc_metrics_series("t_requests_total", (const char *[]){"orders/v1", "200"});
    slc_series *b = slc_metrics_series("t_requests_total", (const char *[]){"a\"b\\c\nd", "500"});
    slc_series *g = slc_metrics_series("t_connections", NULL);
    ck_assert_ptr_eq(a, slc_metrics_series("t_requests_total", (const char *[]){"orders/v1", "200"}));
    ck_assert_ptr_ne(a, b);
    slc_series_add(a, 2);
    slc_series_add(a, 3);
    slc_series_add(b, 1);
    slc_series_add(g, 5);
    slc_series_add(g, -2);
    ck_assert_int_eq(slc_series_value(g), 3);
    slc_series_set(g, 7);
    char *text = render();
    has(text, "# HELP t_requests_total Requests.\n# TYPE t_requests_total counter\n"
              "t_requests_total{api=\"orders/v1\",code=\"200\"} 5\n");
    has(text, "t_requests_total{api=\"a\\\"b\\\\c\\nd\",code=\"500\"} 1\n");
    has(text, "# TYPE t_connections gauge\nt_connections 7\n");
    ck_assert_ptr_null(strstr(text, "t_small_total")); /* no series yet */
    free(text);
}
END_TEST

START_TEST(histograms_are_cumulative)
{
    slc_metrics_register(table);
    slc_series *h = slc_metrics_series("t_seconds", (const char *[]){"x"});
    const double values[] = {0, 1, 1.5, 2, 5.5, 100};
    for (size_t i = 0; i < 6; i++)
        slc_series_observe(h, values[i]);
    ck_assert_int_eq(slc_series_value(h), 6);
    slc_series_observe(slc_metrics_series("t_default_seconds", NULL), 0.003);
    char *text = render();
    has(text, "# TYPE t_seconds histogram\n"
              "t_seconds_bucket{api=\"x\",le=\"1\"} 2\n"
              "t_seconds_bucket{api=\"x\",le=\"2\"} 4\n"
              "t_seconds_bucket{api=\"x\",le=\"5\"} 4\n"
              "t_seconds_bucket{api=\"x\",le=\"+Inf\"} 6\n"
              "t_seconds_sum{api=\"x\"} 110\n"
              "t_seconds_count{api=\"x\"} 6\n");
    has(text, "t_default_seconds_bucket{le=\"0.0025\"} 0\nt_default_seconds_bucket{le=\"0.005\"} 1\n");
    has(text, "t_default_seconds_count 1\n");
    free(text);
}
END_TEST

START_TEST(cardinality_is_bounded)
{
    slc_metrics_register(table);
    char who[16];
    slc_series *first = NULL, *other = NULL;
    for (int i = 0; i < 10; i++) {
        snprintf(who, sizeof who, "w%d", i);
        slc_series *series = slc_metrics_series("t_small_total", (const char *[]){who});
        slc_series_add(series, 1);
        if (i == 0)
            first = series;
        if (i == 3)
            other = series;
        if (i > 3)
            ck_assert_ptr_eq(series, other);
    }
    ck_assert_ptr_eq(slc_metrics_series("t_small_total", (const char *[]){"w0"}), first);
    char *text = render();
    has(text, "t_small_total{who=\"w2\"} 1\n");
    has(text, "t_small_total{who=\"_other\"} 7\n");
    has(text, "sluice_metric_series_dropped_total{metric=\"t_small_total\"} 7\n");
    ck_assert_ptr_null(strstr(text, "w3"));
    free(text);
}
END_TEST

START_TEST(an_endless_label_is_other)
{
    slc_metrics_register(table);
    static char who[10000];
    memset(who, 'x', sizeof who - 1);
    slc_series_add(slc_metrics_series("t_small_total", (const char *[]){who}), 1);
    char *text = render();
    has(text, "t_small_total{who=\"_other\"} 1\n");
    free(text);
}
END_TEST

static void *count(void *arg)
{
    (void)arg;
    char who[16];
    for (int i = 0; i < 20000; i++) {
        snprintf(who, sizeof who, "%d", i % 500);
        slc_series_add(slc_metrics_series("t_requests_total", (const char *[]){who, "200"}), 1);
        slc_series_observe(slc_metrics_series("t_seconds", (const char *[]){"x"}), 0.5);
    }
    return NULL;
}

START_TEST(threads_do_not_lose_counts)
{
    slc_metrics_register(table);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, count, NULL);
    free(render());
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    int64_t total = 0;
    for (int i = 0; i < 500; i++) {
        char who[16];
        snprintf(who, sizeof who, "%d", i);
        total += slc_series_value(slc_metrics_series("t_requests_total", (const char *[]){who, "200"}));
    }
    ck_assert_int_eq(total, 80000);
    char *text = render();
    has(text, "t_seconds_sum{api=\"x\"} 40000\nt_seconds_count{api=\"x\"} 80000\n");
    free(text);
}
END_TEST

START_TEST(what_is_hidden_is_not_rendered_and_comes_back)
{
    slc_metrics_register(table);
    slc_series *series = slc_metrics_series("t_connections", NULL);
    slc_series_set(series, 7);
    slc_series_show(series, false);
    char *text = render();
    ck_assert_ptr_null(strstr(text, "t_connections 7"));
    free(text);
    slc_series_show(series, true);
    text = render();
    has(text, "t_connections 7\n");
    free(text);
}
END_TEST

START_TEST(metrics_describe_themselves_by_name)
{
    slc_buf out;
    slc_metrics_register(table);
    slc_buf_init(&out, 1 << 20);
    slc_metrics_describe(&out);
    char *text = slc_buf_steal(&out, NULL);
    has(text, "| `t_requests_total` | counter | `api`, `code` | 1000 | Requests. |\n");
    has(text, "| `t_small_total` | counter | `who` | 3 | Few. |\n");
    ck_assert(strstr(text, "`t_small_total`") > strstr(text, "`t_requests_total`"));
    free(text);
}
END_TEST

UNIT_MAIN("metrics", what_is_hidden_is_not_rendered_and_comes_back, metrics_describe_themselves_by_name,
          series_are_rendered, histograms_are_cumulative, cardinality_is_bounded, an_endless_label_is_other,
          threads_do_not_lose_counts)
