/* The lines of the audit trail, gathered by each worker, and the file that they go to. */
#include "dataplane/observe/audit.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/buf.h"
#include "common/clock.h"
#include "common/metrics.h"
#include "common/redact.h"
#include "dataplane/observe/audit_private.h"

#define FLUSH_BYTES   (32u * 1024)
#define BUFFER_BYTES  (256u * 1024)
#define FLUSH_SECONDS 1
#define MAX_TEXT      512

static const slc_metric metrics[] = {
    {"sluice_audit_lines_total", SLC_COUNTER, "Lines of the audit trail, by class.", {"class"}, 0, NULL},
    {"sluice_audit_dropped_total",
     SLC_COUNTER,
     "Lines of the audit trail that were lost, on the way to the file or to Kafka.",
     {"to"},
     0,
     NULL},
    {NULL, SLC_COUNTER, NULL, {NULL}, 0, NULL},
};

static const char *const class_names[SLC_AUDIT_CLASSES] = {[SLC_AUDIT_AUTHENTICATION] = "authentication",
                                                           [SLC_AUDIT_DENIAL] = "denial",
                                                           [SLC_AUDIT_ACCESS] = "access"};

struct slc_audit_log {
    slc_audit *audit;
    slc_audit_topic *topic; /* NULL: none */
    struct event *timer;
    slc_buf buffer;
    unsigned lines;
};

void slc_audit_register_metrics(void)
{
    slc_metrics_register(metrics);
}

/* ---- the process's ---- */

static bool read_classes(slc_audit *audit, const char *list, slc_error *err)
{
    while (*list != '\0') {
        size_t len = strcspn(list, ","), i = 0;
        while (i < SLC_AUDIT_CLASSES &&
               (strlen(class_names[i]) != len || memcmp(class_names[i], list, len) != 0))
            i++;
        if (i == SLC_AUDIT_CLASSES)
            return slc_fail(err, SLC_INVALID, "audit.classes",
                            "audit.classes: \"%.*s\" is none of authentication, denial and access",
                            (int)(len < 60 ? len : 60), list);
        audit->classes |= 1u << i;
        list += len + (list[len] == ',' ? 1 : 0);
    }
    return true;
}

slc_audit *slc_audit_new(const slc_audit_options *options, slc_error *err)
{
    slc_audit *audit = slc_calloc(1, sizeof *audit);
    bool topic = options->backend != NULL && options->backend[0] != '\0';
    audit->backend = topic ? options->backend : NULL;
    audit->topic = options->topic;
    audit->topic_limit_bytes = options->topic_queue_bytes;
    for (size_t i = 0; i < SLC_AUDIT_CLASSES; i++)
        audit->lines[i] = slc_metrics_series("sluice_audit_lines_total", &class_names[i]);
    audit->lost = slc_metrics_series("sluice_audit_dropped_total", (const char *[]){"kafka"});
    bool ok = read_classes(audit, options->classes, err);
    if (ok && topic && (options->topic == NULL || options->topic[0] == '\0'))
        ok = slc_fail(err, SLC_INVALID, "audit.kafka-topic",
                      "audit.kafka-backend is set: set audit.kafka-topic too");
    const slc_access_file_options file = {
        .path = options->file,
        .what = "audit.log",
        .limit_bytes = options->queue_bytes,
        .dropped = slc_metrics_series("sluice_audit_dropped_total", (const char *[]){"file"})};
    if (ok && (audit->file = slc_access_file_open(&file, err)) != NULL)
        return audit;
    free(audit);
    return NULL;
}

void slc_audit_free(slc_audit *audit)
{
    if (audit == NULL)
        return;
    slc_access_file_close(audit->file);
    free(audit);
}

bool slc_audit_reopen(slc_audit *audit, slc_error *err)
{
    return slc_access_file_reopen(audit->file, err);
}

/* ---- a worker's ---- */

static void flush(slc_audit_log *log)
{
    size_t len;
    if (log->lines == 0)
        return;
    if (log->topic != NULL)
        slc_audit_topic_send(log->topic, (const char *)log->buffer.data, log->buffer.len);
    if (slc_access_file_wanted(log->audit->file)) {
        char *text = slc_buf_steal(&log->buffer, &len);
        slc_access_file_write(log->audit->file, text, len, log->lines);
    } else {
        slc_buf_clear(&log->buffer);
    }
    log->lines = 0;
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    flush(arg);
}

slc_audit_log *slc_audit_log_new(slc_audit *audit, slc_worker *worker)
{
    struct timeval interval = {.tv_sec = FLUSH_SECONDS};
    if (audit == NULL || (!slc_access_file_wanted(audit->file) && audit->backend == NULL))
        return NULL;
    slc_audit_log *log = slc_calloc(1, sizeof *log);
    log->audit = audit;
    log->topic = audit->backend != NULL ? slc_audit_topic_new(audit, worker) : NULL;
    slc_buf_init(&log->buffer, BUFFER_BYTES);
    log->timer = event_new(slc_loop_base(worker->loop), -1, EV_PERSIST, on_timer, log);
    SLC_BUG_ON(log->timer == NULL);
    event_add(log->timer, &interval);
    return log;
}

void slc_audit_log_free(slc_audit_log *log)
{
    if (log == NULL)
        return;
    flush(log);
    slc_audit_topic_free(log->topic);
    event_free(log->timer);
    slc_buf_release(&log->buffer);
    free(log);
}

bool slc_audit_wants(const slc_audit_log *log, enum slc_audit_class class)
{
    return log != NULL && (log->audit->classes & (1u << class)) != 0;
}

/* ---- lines ---- */

static void add_text(slc_buf *line, const char *name, const char *value)
{
    if (value == NULL || value[0] == '\0')
        return;
    slc_buf_adds(line, ",\"");
    slc_buf_adds(line, name);
    slc_buf_adds(line, "\":\"");
    slc_buf_add_json_string(line, value, strnlen(value, MAX_TEXT));
    slc_buf_addc(line, '"');
}

static void add_number(slc_buf *line, const char *name, int64_t value)
{
    if (value == 0)
        return;
    slc_buf_adds(line, ",\"");
    slc_buf_adds(line, name);
    slc_buf_adds(line, "\":");
    slc_buf_add_int(line, value);
}

static void add_texts(slc_buf *line, const slc_audit_event *event)
{
    const struct {
        const char *name, *value;
    } texts[] = {{"outcome", event->outcome},
                 {"protocol", event->protocol},
                 {"mechanism", event->mechanism},
                 {"client", event->client},
                 {"client_id", event->client_id},
                 {"listener", event->listener},
                 {"virtual_cluster", event->virtual_cluster},
                 {"event_api", event->event_api},
                 {"application", event->application},
                 {"credential", event->credential},
                 {"operation", event->operation},
                 {"resource", event->resource},
                 {"name", event->name},
                 {"reason", event->reason},
                 {"request_id", event->request_id},
                 {"method", event->method},
                 {"path", event->path}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        add_text(line, texts[i].name, texts[i].value);
}

void slc_audit_add(slc_audit_log *log, const slc_audit_event *event)
{
    char time[SLC_RFC3339_CHARS];
    slc_buf *line = &log->buffer;
    size_t begin = line->len;
    if (!slc_audit_wants(log, event->class))
        return;
    slc_rfc3339_format(slc_wall_ms(), time);
    slc_buf_adds(line, "{\"time\":\"");
    slc_buf_adds(line, time);
    slc_buf_adds(line, "\",\"event\":\"");
    slc_buf_adds(line, class_names[event->class]);
    slc_buf_addc(line, '"');
    add_texts(line, event);
    add_number(line, "status", event->status);
    add_number(line, "events", (int64_t)event->events);
    add_number(line, "bytes_in", (int64_t)event->bytes_in);
    add_number(line, "bytes_out", (int64_t)event->bytes_out);
    add_number(line, "duration_ms", event->duration_ms);
    slc_buf_adds(line, "}\n");
    line->len = begin + slc_redact((char *)line->data + begin, line->len - begin);
    log->lines++;
    slc_series_add(log->audit->lines[event->class], 1);
    if (line->len >= FLUSH_BYTES)
        flush(log);
}
