/* The lines of the access log, gathered by each worker. */
#include "dataplane/http/access_log.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/buf.h"
#include "common/clock.h"
#include "common/redact.h"
#include "dataplane/http/exchange.h"
#include "dataplane/observe/trace.h"

#define FLUSH_BYTES   (32u * 1024)
#define BUFFER_BYTES  (256u * 1024)
#define FLUSH_SECONDS 1
#define MAX_TEXT      512

struct slc_access_log {
    slc_access_file *file;
    struct event *timer;
    slc_buf buffer;
    unsigned lines;
};

static void flush(slc_access_log *log)
{
    size_t len;
    if (log->lines == 0)
        return;
    char *text = slc_buf_steal(&log->buffer, &len);
    slc_access_file_write(log->file, text, len, log->lines);
    log->lines = 0;
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    flush(arg);
}

slc_access_log *slc_access_log_new(struct event_base *base, slc_access_file *file)
{
    struct timeval interval = {.tv_sec = FLUSH_SECONDS};
    slc_access_log *log = slc_calloc(1, sizeof *log);
    log->file = file;
    slc_buf_init(&log->buffer, BUFFER_BYTES);
    log->timer = event_new(base, -1, EV_PERSIST, on_timer, log);
    SLC_BUG_ON(log->timer == NULL);
    event_add(log->timer, &interval);
    return log;
}

void slc_access_log_free(slc_access_log *log)
{
    if (log == NULL)
        return;
    flush(log);
    event_free(log->timer);
    slc_buf_release(&log->buffer);
    free(log);
}

static void add_text(slc_buf *line, const char *name, const char *value)
{
    if (value == NULL || value[0] == '\0')
        return;
    size_t len = strlen(value);
    slc_buf_adds(line, name);
    slc_buf_add_json_string(line, value, len < MAX_TEXT ? len : MAX_TEXT);
    slc_buf_addc(line, '"');
}

static void add_number(slc_buf *line, const char *name, uint64_t value)
{
    slc_buf_adds(line, name);
    slc_buf_add_int(line, (int64_t)value);
}

static void add_duration(slc_buf *line, int64_t us)
{
    char thousandths[4] = {'.', (char)('0' + us / 100 % 10), (char)('0' + us / 10 % 10), (char)('0' + us % 10)};
    add_number(line, ",\"duration_ms\":", (uint64_t)us / 1000);
    slc_buf_add(line, thousandths, sizeof thousandths);
}

static void add_api(slc_buf *line, const slc_exchange *exchange)
{
    if (exchange->api == NULL)
        return;
    add_text(line, ",\"api\":\"", exchange->api->msg->name);
    line->len--; /* the name goes on */
    add_number(line, ".v", exchange->api->msg->major);
    add_number(line, "\",\"events\":", exchange->events);
}

/* Without formats: a line takes a noticeable part of a request's time otherwise. */
void slc_access_log_add(slc_access_log *log, const slc_exchange *exchange, int status, const char *method,
                        const char *path, const char *denial)
{
    char time[SLC_RFC3339_CHARS];
    slc_buf *line = &log->buffer;
    size_t begin = line->len;
    if (!slc_access_file_wanted(log->file))
        return;
    slc_rfc3339_format(slc_wall_ms(), time);
    add_text(line, "{\"time\":\"", time);
    add_number(line, ",\"status\":", (uint64_t)status);
    add_duration(line, slc_monotonic_us() - exchange->started_us);
    add_number(line, ",\"bytes_in\":", exchange->bytes_in);
    add_number(line, ",\"bytes_out\":", exchange->bytes_out);
    add_text(line, ",\"method\":\"", method);
    add_text(line, ",\"path\":\"", path);
    add_text(line, ",\"request_id\":\"", exchange->request_id);
    if (exchange->span != NULL)
        add_text(line, ",\"trace_id\":\"", slc_span_trace_id(exchange->span));
    add_text(line, ",\"client\":\"", exchange->client_address);
    add_api(line, exchange);
    add_text(line, ",\"application\":\"", exchange->principal.application_name);
    add_text(line, ",\"credential\":\"", exchange->principal.credential_id);
    add_text(line, ",\"denied\":\"", denial);
    slc_buf_adds(line, "}\n");
    line->len = begin + slc_redact((char *)line->data + begin, line->len - begin);
    log->lines++;
    if (line->len >= FLUSH_BYTES)
        flush(log);
}
