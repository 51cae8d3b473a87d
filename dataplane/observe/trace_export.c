/* The way of finished spans to the collector: a bounded queue, and a thread that sends what is in it. */
#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/clock.h"
#include "common/file.h"
#include "common/log.h"
#include "common/version.h"
#include "dataplane/observe/trace_private.h"

#define TRIES            3 /* of one batch */
#define RETRY_MS         1000
#define LOG_EVERY_MS     60000
#define BODY_MAX_BYTES   (64u << 20)
#define HEADER_MAX_BYTES 16384

/* What one thread has. */
struct exporter {
    slc_tracer *tracer;
    CURL *curl;
    int64_t logged_ms;
};

static void count(slc_tracer *tracer, enum slc_trace_outcome outcome, int64_t n)
{
    slc_series_add(tracer->outcomes[outcome], n);
}

void slc_trace_post(slc_tracer *tracer, const slc_buf *text)
{
    struct slc_trace_item *item = NULL;
    if (!text->overflow) {
        item = slc_malloc(sizeof *item + text->len);
        item->len = text->len;
        memcpy(item->text, text->data, text->len);
    }
    pthread_mutex_lock(&tracer->mutex);
    bool fits = item != NULL && tracer->count < tracer->options.queue;
    if (fits) {
        STAILQ_INSERT_TAIL(&tracer->waiting, item, entry);
        if (++tracer->count == tracer->options.batch)
            pthread_cond_signal(&tracer->wake);
    }
    pthread_mutex_unlock(&tracer->mutex);
    if (fits)
        return;
    free(item);
    count(tracer, SLC_TRACE_DROPPED, 1);
}

/* ---- one batch ---- */

static void add_resource(slc_buf *body, const char *key, const char *value, bool first)
{
    slc_buf_addf(body, "%s{\"key\":\"%s\",\"value\":{\"stringValue\":\"", first ? "" : ",", key);
    slc_buf_add_json_string(body, value, strlen(value));
    slc_buf_adds(body, "\"}}");
}

static void compose(const slc_tracer *tracer, const struct slc_trace_items *items, slc_buf *body)
{
    const struct slc_trace_item *item;
    bool first = true;
    slc_buf_adds(body, "{\"resourceSpans\":[{\"resource\":{\"attributes\":[");
    add_resource(body, "service.name", tracer->options.service_name, true);
    add_resource(body, "service.version", SLC_VERSION, false);
    if (tracer->options.instance != NULL)
        add_resource(body, "service.instance.id", tracer->options.instance, false);
    slc_buf_adds(body, "]},\"scopeSpans\":[{\"scope\":{\"name\":\"sluice\",\"version\":\"" SLC_VERSION
                       "\"},\"spans\":[");
    STAILQ_FOREACH (item, items, entry) {
        if (!first)
            slc_buf_addc(body, ',');
        first = false;
        slc_buf_add(body, item->text, item->len);
    }
    slc_buf_adds(body, "]}]}]}");
}

/* Credentials for the collector: they may be replaced while the gateway runs. */
static struct curl_slist *headers_of(const slc_tracer *tracer)
{
    struct curl_slist *list = curl_slist_append(NULL, "Content-Type: application/json");
    slc_error err = {0};
    size_t len = 0;
    char *text = tracer->options.header_file != NULL
                     ? slc_file_read(tracer->options.header_file, HEADER_MAX_BYTES, &len, &err)
                     : NULL;
    char *rest = NULL;
    for (char *line = text != NULL ? strtok_r(text, "\r\n", &rest) : NULL; line != NULL;
         line = strtok_r(NULL, "\r\n", &rest))
        if (strchr(line, ':') != NULL)
            list = curl_slist_append(list, line);
    if (text != NULL)
        slc_free_secret(text, len);
    else if (tracer->options.header_file != NULL)
        slc_log_error(SLC_LOG_WARN, "the headers for the trace collector cannot be read", &err);
    return list;
}

static size_t ignore_answer(char *data, size_t size, size_t n, void *arg)
{
    (void)data, (void)arg;
    return size * n;
}

/* The status; 0 with `*why` when there is none. */
static long post(struct exporter *exporter, const slc_buf *body, const char **why)
{
    const slc_trace_options *options = &exporter->tracer->options;
    struct curl_slist *headers = headers_of(exporter->tracer);
    CURL *curl = exporter->curl;
    long status = 0;
    curl_easy_reset(curl); /* connections stay */
    curl_easy_setopt(curl, CURLOPT_URL, options->endpoint);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)options->timeout_ms);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body->data);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body->len);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, ignore_answer);
    if (options->ca_file != NULL)
        curl_easy_setopt(curl, CURLOPT_CAINFO, options->ca_file);
    CURLcode code = curl_easy_perform(curl);
    *why = code == CURLE_OK ? NULL : curl_easy_strerror(code);
    if (code == CURLE_OK)
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    curl_slist_free_all(headers);
    return status;
}

static void log_failure(struct exporter *exporter, long status, const char *why, int64_t spans)
{
    int64_t now_ms = slc_monotonic_ms();
    if (exporter->logged_ms != 0 && now_ms - exporter->logged_ms < LOG_EVERY_MS)
        return;
    exporter->logged_ms = now_ms;
    slc_log(SLC_LOG_WARN, "spans could not be exported: look at tracing.endpoint and the collector",
            LS("endpoint", exporter->tracer->options.endpoint), LI("status", status), LS("error", why),
            LI("spans", spans));
}

/* What the collector may take at the next try: OTLP, "Failures". */
static bool may_try_again(long status)
{
    return status == 0 || status == 429 || status == 502 || status == 503 || status == 504;
}

static bool stopping(slc_tracer *tracer)
{
    pthread_mutex_lock(&tracer->mutex);
    bool stop = tracer->stop;
    pthread_mutex_unlock(&tracer->mutex);
    return stop;
}

static void wait_until(slc_tracer *tracer, int64_t monotonic_ms)
{
    struct timespec at = {.tv_sec = monotonic_ms / 1000, .tv_nsec = monotonic_ms % 1000 * 1000000};
    pthread_mutex_lock(&tracer->mutex);
    while (!tracer->stop && pthread_cond_timedwait(&tracer->wake, &tracer->mutex, &at) != ETIMEDOUT)
        ;
    pthread_mutex_unlock(&tracer->mutex);
}

static void send_batch(struct exporter *exporter, const struct slc_trace_items *items, int64_t spans)
{
    slc_buf body;
    const char *why = NULL;
    long status = 0;
    slc_buf_init(&body, BODY_MAX_BYTES);
    compose(exporter->tracer, items, &body);
    bool sent = false;
    for (int i = 0; i < TRIES && !sent && !body.overflow; i++) {
        if (i > 0)
            wait_until(exporter->tracer, slc_monotonic_ms() + (RETRY_MS << (i - 1)));
        status = post(exporter, &body, &why);
        sent = status >= 200 && status < 300;
        if (!sent && (!may_try_again(status) || stopping(exporter->tracer)))
            break;
    }
    count(exporter->tracer, sent ? SLC_TRACE_EXPORTED : SLC_TRACE_FAILED, spans);
    if (!sent)
        log_failure(exporter, status, why, spans);
    slc_buf_release(&body);
}

/* ---- the thread ---- */

/* Waits until a batch is full, its time is up, or all is over. False: nothing will come any more. */
static bool take_batch(slc_tracer *tracer, struct slc_trace_items *items, int64_t *spans)
{
    int64_t until_ms = slc_monotonic_ms() + tracer->options.interval_ms;
    struct timespec at = {.tv_sec = until_ms / 1000, .tv_nsec = until_ms % 1000 * 1000000};
    pthread_mutex_lock(&tracer->mutex);
    while (!tracer->stop && tracer->count < tracer->options.batch &&
           pthread_cond_timedwait(&tracer->wake, &tracer->mutex, &at) != ETIMEDOUT)
        ;
    bool more = !tracer->stop;
    for (*spans = 0; *spans < tracer->options.batch && tracer->count > 0; (*spans)++, tracer->count--) {
        struct slc_trace_item *item = STAILQ_FIRST(&tracer->waiting);
        STAILQ_REMOVE_HEAD(&tracer->waiting, entry);
        STAILQ_INSERT_TAIL(items, item, entry);
    }
    pthread_mutex_unlock(&tracer->mutex);
    return more || *spans > 0;
}

static void *run(void *arg)
{
    struct exporter exporter = {.tracer = arg, .curl = curl_easy_init()};
    struct slc_trace_items items = STAILQ_HEAD_INITIALIZER(items);
    int64_t spans = 0, end_ms = 0;
    SLC_BUG_ON(exporter.curl == NULL);
    while (take_batch(exporter.tracer, &items, &spans)) {
        if (stopping(exporter.tracer) && end_ms == 0)
            end_ms = slc_monotonic_ms() + exporter.tracer->options.timeout_ms;
        if (spans > 0 && (end_ms == 0 || slc_monotonic_ms() < end_ms))
            send_batch(&exporter, &items, spans);
        else
            count(exporter.tracer, SLC_TRACE_DROPPED, spans);
        struct slc_trace_item *item;
        while ((item = STAILQ_FIRST(&items)) != NULL) {
            STAILQ_REMOVE_HEAD(&items, entry);
            free(item);
        }
    }
    curl_easy_cleanup(exporter.curl);
    return NULL;
}

bool slc_trace_start_export(slc_tracer *tracer, slc_error *err)
{
    pthread_condattr_t clock;
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) /* before other threads use it */
        return slc_fail(err, SLC_INTERNAL, NULL, "libcurl cannot be used");
    pthread_mutex_init(&tracer->mutex, NULL);
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&tracer->wake, &clock);
    pthread_condattr_destroy(&clock);
    if (pthread_create(&tracer->thread, NULL, run, tracer) == 0)
        return true;
    pthread_cond_destroy(&tracer->wake);
    pthread_mutex_destroy(&tracer->mutex);
    return slc_fail(err, SLC_INTERNAL, NULL, "no thread for traces: %s", strerror(errno));
}

void slc_trace_stop_export(slc_tracer *tracer)
{
    pthread_mutex_lock(&tracer->mutex);
    tracer->stop = true;
    pthread_cond_broadcast(&tracer->wake);
    pthread_mutex_unlock(&tracer->mutex);
    pthread_join(tracer->thread, NULL);
    pthread_cond_destroy(&tracer->wake);
    pthread_mutex_destroy(&tracer->mutex);
}
