/* Counters, gauges and histograms in Prometheus text format (version 0.0.4).
 *
 * Metrics are declared once in a table per component, so docs follow from it. A series (a metric with label
 * values) is looked up once, by whoever holds the object that it counts, and then updated without a lock: a
 * relaxed atomic add. Cardinality is bounded: over the metric's `max_series`, the series with every label
 * "_other" is returned and sluice_metric_series_dropped_total grows.
 */
#ifndef SLC_COMMON_METRICS_H
#define SLC_COMMON_METRICS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"

enum slc_metric_type { SLC_COUNTER, SLC_GAUGE, SLC_HISTOGRAM };

typedef struct slc_metric {
    const char *name; /* sluice_..., unit last, counters end in _total */
    enum slc_metric_type type;
    const char *help;
    const char *labels[6]; /* NULL-terminated label names */
    unsigned max_series;   /* 0: 1,000 */
    const double
        *buckets; /* histogram: ascending upper bounds in the unit, ending with 0; NULL: latency seconds */
} slc_metric;

typedef struct slc_series slc_series;

/* Registers a table ending with a NULL name. Once, before threads start. */
void slc_metrics_register(const slc_metric *table);
/* The series for these label values (as many as the metric has labels). Any thread; takes a lock: keep the
 * pointer. It stays valid for ever. The name must be registered. */
slc_series *slc_metrics_series(const char *name, const char *const *label_values);

void slc_series_add(slc_series *series, int64_t n);        /* counter, gauge */
void slc_series_set(slc_series *series, int64_t value);    /* gauge */
void slc_series_observe(slc_series *series, double value); /* histogram */
/* Shown in the exposition at first. One whose object is gone would go on saying what it was last: hide it. */
void slc_series_show(slc_series *series, bool shown);
int64_t slc_series_value(const slc_series *series);

/* Appends a table of all registered metrics in Markdown, by name: docs/metrics.md is made of it. */
void slc_metrics_describe(slc_buf *out);

/* Appends the whole exposition. */
void slc_metrics_render(slc_buf *out);

#endif
