#include "common/metrics.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/assert.h"

#define SERIES_MAGIC       0x73657269U
#define DEFAULT_MAX_SERIES 1000
#define MAX_LABELS         (sizeof(((slc_metric *)0)->labels) / sizeof(char *) - 1)
#define DROPPED            "sluice_metric_series_dropped_total"

/* Seconds. */
static const double latency_buckets[] = {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
                                         0.25,   0.5,   1,      2.5,   5,    10,    30,   0};

struct family;

struct slc_series {
    struct family *family;
    struct slc_series *next_in_slot;
    struct slc_series *next; /* in order of creation */
    uint64_t hash;
    char *labels; /* rendered: name="value",...; empty without labels. Equal labels render equally */
    atomic_llong value;
    atomic_bool hidden;
    /* Histograms only. */
    _Atomic double sum;
    atomic_ullong counts[]; /* per bucket, not cumulative; the last one is +Inf */
};

struct family {
    const slc_metric *metric;
    struct family *next;
    unsigned label_count;
    unsigned max_series;
    const double *bounds; /* histogram */
    unsigned bound_count;

    pthread_mutex_t mutex;
    struct slc_series **slots;        /* locked; a power of two */
    size_t slot_count;                /* locked */
    unsigned series_count;            /* locked; without the overflow series */
    struct slc_series *first, **last; /* locked */
    struct slc_series *overflow;      /* locked */
};

/* Written before threads start, read by all. */
static struct family *families;
static struct family **last_family = &families;
static struct family *dropped_family;

static const slc_metric dropped_metric = {
    DROPPED,    SLC_COUNTER, "Lookups that were given the \"_other\" series because their metric has too many.",
    {"metric"}, 0,           NULL};

/* ---- registering ---- */

static struct family *find_family(const char *name)
{
    for (struct family *f = families; f != NULL; f = f->next)
        if (strcmp(f->metric->name, name) == 0)
            return f;
    return NULL;
}

static void count_bounds(struct family *family)
{
    if (family->metric->type != SLC_HISTOGRAM)
        return;
    family->bounds = family->metric->buckets != NULL ? family->metric->buckets : latency_buckets;
    unsigned n = 0;
    for (; family->bounds[n] != 0; n++)
        SLC_BUG_ON(n > 0 && family->bounds[n] <= family->bounds[n - 1]);
    SLC_BUG_ON(n == 0);
    family->bound_count = n;
}

static struct family *add_family(const slc_metric *metric)
{
    SLC_BUG_ON(find_family(metric->name) != NULL);
    struct family *family = slc_calloc(1, sizeof(*family));
    family->metric = metric;
    family->max_series = metric->max_series > 0 ? metric->max_series : DEFAULT_MAX_SERIES;
    family->last = &family->first;
    while (family->label_count < MAX_LABELS && metric->labels[family->label_count] != NULL)
        family->label_count++;
    count_bounds(family);
    SLC_BUG_ON(pthread_mutex_init(&family->mutex, NULL) != 0);
    *last_family = family;
    last_family = &family->next;
    return family;
}

static void add_own_metrics(void)
{
    dropped_family = add_family(&dropped_metric);
}

static pthread_once_t own_once = PTHREAD_ONCE_INIT;

void slc_metrics_register(const slc_metric *table)
{
    pthread_once(&own_once, add_own_metrics);
    for (; table->name != NULL; table++)
        add_family(table);
}

/* ---- series ---- */

/* Label values are escaped as the format says: backslash, quote, line feed. */
static void add_label(slc_buf *out, const char *name, const char *value)
{
    slc_buf_addf(out, "%s%s=\"", out->len > 0 ? "," : "", name);
    for (; *value != '\0'; value++) {
        if (*value == '\n')
            slc_buf_adds(out, "\\n");
        else if (*value == '\\' || *value == '"')
            slc_buf_addf(out, "\\%c", *value);
        else
            slc_buf_addc(out, *value);
    }
    slc_buf_addc(out, '"');
}

#define LABELS_MAX_BYTES 4096

/* NULL values: every label is "_other". */
static char *render_labels(const struct family *family, const char *const *values)
{
    slc_buf out;
    slc_buf_init(&out, LABELS_MAX_BYTES);
    for (unsigned i = 0; i < family->label_count; i++)
        add_label(&out, family->metric->labels[i], values != NULL ? values[i] : "_other");
    if (out.overflow) { /* no label should be that long; two of them must not become one series by being cut */
        slc_buf_release(&out);
        return values != NULL ? NULL : slc_strdup("");
    }
    return slc_buf_steal(&out, NULL);
}

/* FNV-1a. */
static uint64_t hash_of(const char *s)
{
    uint64_t hash = UINT64_C(14695981039346656037);
    for (; *s != '\0'; s++)
        hash = (hash ^ (unsigned char)*s) * UINT64_C(1099511628211);
    return hash;
}

static struct slc_series *new_series(struct family *family, char *labels, uint64_t hash)
{
    size_t counts = family->bounds != NULL ? family->bound_count + 1 : 0;
    struct slc_series *series = slc_calloc(1, sizeof(*series) + counts * sizeof(series->counts[0]));
    series->family = family;
    series->labels = labels;
    series->hash = hash;
    *family->last = series;
    family->last = &series->next;
    return series;
}

static void grow_slots(struct family *family)
{
    if (family->series_count < family->slot_count)
        return;
    free(family->slots);
    family->slot_count = family->slot_count > 0 ? family->slot_count * 2 : 8;
    family->slots = slc_calloc(family->slot_count, sizeof(family->slots[0]));
    for (struct slc_series *s = family->first; s != NULL; s = s->next) {
        if (s == family->overflow)
            continue;
        struct slc_series **slot = &family->slots[s->hash & (family->slot_count - 1)];
        s->next_in_slot = *slot;
        *slot = s;
    }
}

static struct slc_series *find_series(const struct family *family, const char *labels, uint64_t hash)
{
    if (family->slot_count == 0)
        return NULL;
    for (struct slc_series *s = family->slots[hash & (family->slot_count - 1)]; s != NULL; s = s->next_in_slot)
        if (s->hash == hash && strcmp(s->labels, labels) == 0)
            return s;
    return NULL;
}

/* Steals `labels` (NULL: they cannot be had). Locked. */
static struct slc_series *get_series(struct family *family, char *labels, bool *dropped)
{
    uint64_t hash = labels != NULL ? hash_of(labels) : 0;
    struct slc_series *series = labels != NULL ? find_series(family, labels, hash) : NULL;
    if (series != NULL) {
        free(labels);
        return series;
    }
    if (labels == NULL || family->series_count >= family->max_series) {
        free(labels);
        *dropped = true;
        if (family->overflow == NULL)
            family->overflow = new_series(family, render_labels(family, NULL), 0);
        return family->overflow;
    }
    grow_slots(family);
    series = new_series(family, labels, hash);
    struct slc_series **slot = &family->slots[hash & (family->slot_count - 1)];
    series->next_in_slot = *slot;
    *slot = series;
    family->series_count++;
    return series;
}

static slc_series *series_of(struct family *family, const char *const *label_values, bool *dropped)
{
    char *labels = render_labels(family, label_values);
    pthread_mutex_lock(&family->mutex);
    slc_series *series = get_series(family, labels, dropped);
    pthread_mutex_unlock(&family->mutex);
    return series;
}

slc_series *slc_metrics_series(const char *name, const char *const *label_values)
{
    struct family *family = find_family(name);
    SLC_BUG_ON(family == NULL); /* not registered */
    bool dropped = false;
    slc_series *series = series_of(family, label_values, &dropped);
    if (dropped) {
        const char *metric[] = {name};
        bool ignored;
        slc_series_add(series_of(dropped_family, metric, &ignored), 1);
    }
    return series;
}

void slc_series_add(slc_series *series, int64_t n)
{
    atomic_fetch_add_explicit(&series->value, n, memory_order_relaxed);
}

void slc_series_set(slc_series *series, int64_t value)
{
    atomic_store_explicit(&series->value, value, memory_order_relaxed);
}

void slc_series_observe(slc_series *series, double value)
{
    const struct family *family = series->family;
    unsigned low = 0, high = family->bound_count; /* the first bound that is not below the value */
    while (low < high) {
        unsigned middle = (low + high) / 2;
        if (value <= family->bounds[middle])
            high = middle;
        else
            low = middle + 1;
    }
    atomic_fetch_add_explicit(&series->counts[low], 1, memory_order_relaxed);
    double sum = atomic_load_explicit(&series->sum, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&series->sum, &sum, sum + value, memory_order_relaxed,
                                                  memory_order_relaxed))
        ;
}

void slc_series_show(slc_series *series, bool shown)
{
    atomic_store_explicit(&series->hidden, !shown, memory_order_relaxed);
}

int64_t slc_series_value(const slc_series *series)
{
    if (series->family->bounds == NULL)
        return atomic_load_explicit(&series->value, memory_order_relaxed);
    unsigned long long total = 0;
    for (unsigned i = 0; i <= series->family->bound_count; i++)
        total += atomic_load_explicit(&series->counts[i], memory_order_relaxed);
    return (int64_t)total;
}

/* ---- rendering ---- */

static const char *const type_names[] = {"counter", "gauge", "histogram"};

static void render_sample(slc_buf *out, const struct slc_series *series, const char *suffix, const char *le)
{
    slc_buf_addf(out, "%s%s", series->family->metric->name, suffix);
    if (series->labels[0] != '\0' || le != NULL)
        slc_buf_addf(out, "{%s%s%s%s%s}", series->labels, series->labels[0] != '\0' && le != NULL ? "," : "",
                     le != NULL ? "le=\"" : "", le != NULL ? le : "", le != NULL ? "\"" : "");
    slc_buf_addc(out, ' ');
}

static void render_histogram(slc_buf *out, const struct slc_series *series)
{
    const struct family *family = series->family;
    unsigned long long total = 0;
    for (unsigned i = 0; i <= family->bound_count; i++) {
        char le[32] = "+Inf";
        if (i < family->bound_count)
            snprintf(le, sizeof(le), "%.10g", family->bounds[i]);
        total += atomic_load_explicit(&series->counts[i], memory_order_relaxed);
        render_sample(out, series, "_bucket", le);
        slc_buf_addf(out, "%llu\n", total);
    }
    render_sample(out, series, "_sum", NULL);
    slc_buf_addf(out, "%.17g\n", atomic_load_explicit(&series->sum, memory_order_relaxed));
    /* The count is the last bucket's, so that the two agree while others observe. */
    render_sample(out, series, "_count", NULL);
    slc_buf_addf(out, "%llu\n", total);
}

static void render_family(slc_buf *out, struct family *family)
{
    const slc_metric *metric = family->metric;
    pthread_mutex_lock(&family->mutex);
    if (family->first != NULL)
        slc_buf_addf(out, "# HELP %s %s\n# TYPE %s %s\n", metric->name, metric->help, metric->name,
                     type_names[metric->type]);
    for (const struct slc_series *series = family->first; series != NULL; series = series->next) {
        if (atomic_load_explicit(&series->hidden, memory_order_relaxed))
            continue;
        if (metric->type == SLC_HISTOGRAM) {
            render_histogram(out, series);
            continue;
        }
        render_sample(out, series, "", NULL);
        slc_buf_addf(out, "%lld\n", (long long)slc_series_value(series));
    }
    pthread_mutex_unlock(&family->mutex);
}

void slc_metrics_render(slc_buf *out)
{
    for (struct family *family = families; family != NULL; family = family->next)
        render_family(out, family);
}

/* ---- documentation ---- */

static int by_name(const void *a, const void *b)
{
    return strcmp((*(struct family *const *)a)->metric->name, (*(struct family *const *)b)->metric->name);
}

static void describe_family(slc_buf *out, const struct family *family)
{
    const slc_metric *metric = family->metric;
    slc_buf_addf(out, "| `%s` | %s | ", metric->name, type_names[metric->type]);
    for (unsigned i = 0; i < family->label_count; i++)
        slc_buf_addf(out, "%s`%s`", i > 0 ? ", " : "", metric->labels[i]);
    if (family->label_count > 0)
        slc_buf_addf(out, " | %u", family->max_series);
    else
        slc_buf_adds(out, " | 1");
    size_t len = strlen(metric->help);
    slc_buf_addf(out, " | %s%s |\n", metric->help, len > 0 && metric->help[len - 1] == '.' ? "" : ".");
}

void slc_metrics_describe(slc_buf *out)
{
    size_t count = 0;
    for (struct family *family = families; family != NULL; family = family->next)
        count++;
    struct family **sorted = slc_calloc(count + 1, sizeof(*sorted));
    count = 0;
    for (struct family *family = families; family != NULL; family = family->next)
        sorted[count++] = family;
    qsort(sorted, count, sizeof(*sorted), by_name);
    slc_buf_adds(
        out, "| metric | type | labels | series at most | what it says |\n| --- | --- | --- | --- | --- |\n");
    for (size_t i = 0; i < count; i++)
        describe_family(out, sorted[i]);
    free(sorted);
}
