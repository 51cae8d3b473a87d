/* observe: whatever names there are, the metrics stay bounded and lose no count. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "stage.h"
#include "tests/unit/common/unit.h"

#define MANY_CLUSTERS 1100
#define MOST_SESSIONS 1000
#define MOST_KEYED    20000

static struct stage stage;

static slc_proxy_cluster_metrics *cluster(int n)
{
    char name[24];
    snprintf(name, sizeof name, "vc-%d", n);
    return slc_proxy_metrics_of(stage.front, name);
}

START_TEST(metrics_of_many_virtual_clusters_stay_bounded)
{
    stage_init(&stage, "anonymous", NULL);
    for (int n = 0; n < MANY_CLUSTERS; n++)
        slc_series_add(cluster(n)->sessions, 1);
    slc_series *other = cluster(MANY_CLUSTERS - 1)->sessions;
    ck_assert_ptr_ne(cluster(MOST_SESSIONS - 1)->sessions, other);
    ck_assert_ptr_eq(cluster(MOST_SESSIONS)->sessions, other);
    ck_assert_int_eq(slc_series_value(other), MANY_CLUSTERS - MOST_SESSIONS);
    ck_assert_int_eq(slc_series_value(cluster(0)->sessions), 1);
    ck_assert_ptr_eq(cluster(0)->sessions, slc_proxy_metrics_of(stage.front, "vc-0")->sessions);
    stage_release(&stage);
}
END_TEST

START_TEST(metrics_of_their_keys_stay_bounded)
{
    slc_series *last = NULL;
    int told = 0;
    stage_init(&stage, "anonymous", NULL);
    for (int n = 0; n < MOST_KEYED / SLC_KAFKA_KEYS + 2; n++) {
        slc_proxy_cluster_metrics *metrics = cluster(n);
        for (int key = 0; key < SLC_KAFKA_KEYS; key++, told++) {
            last = slc_proxy_series_of(metrics, key)->requests;
            slc_series_add(last, 1);
        }
    }
    ck_assert_int_eq(slc_series_value(last), told - MOST_KEYED);
    ck_assert_int_eq(slc_series_value(slc_proxy_series_of(cluster(0), 0)->requests), 1);
    stage_release(&stage);
}
END_TEST

/* How many series a metric has in the exposition, and the sum of their values. */
static size_t count_lines(const slc_buf *text, const char *metric, double *sum)
{
    size_t count = 0, len = strlen(metric);
    *sum = 0;
    for (const char *line = (const char *)text->data; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, metric, len) != 0 || line[len] != '{')
            continue;
        *sum += strtod(strstr(line, "} ") + 2, NULL);
        count++;
    }
    return count;
}

START_TEST(a_reason_that_is_not_in_the_list_is_other)
{
    slc_buf text;
    double sum;
    stage_init(&stage, "anonymous", NULL);
    for (int n = 0; n < 50; n++) {
        char reason[24];
        snprintf(reason, sizeof reason, "made-up-%d", n);
        slc_proxy_metrics_closed(reason, STAGE_CLUSTER, "Metadata");
    }
    slc_buf_init(&text, 1 << 20);
    slc_metrics_render(&text);
    ck_assert_uint_eq(count_lines(&text, "sluice_kafka_errors_total", &sum), 1);
    ck_assert_double_eq(sum, 50);
    ck_assert_uint_eq(count_lines(&text, "sluice_kafka_sessions_closed_total", &sum), 1);
    slc_buf_release(&text);
    stage_release(&stage);
}
END_TEST

UNIT_MAIN("dataplane/proxy/observe", metrics_of_many_virtual_clusters_stay_bounded,
          metrics_of_their_keys_stay_bounded, a_reason_that_is_not_in_the_list_is_other)
