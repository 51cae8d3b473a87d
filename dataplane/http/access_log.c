/* The access log. */
#include "dataplane/http/access_log.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/buf.h"
#include "common/clock.h"
#include "dataplane/http/exchange.h"

#define FLUSH_BYTES   (32u * 1024)
#define BUFFER_BYTES  (256u * 1024)
#define FLUSH_SECONDS 1
#define MAX_PATH      512

struct slc_access_file {
    char *path;
    int fd; /* -1: no log; the number stays the same over a reopening */
};

struct slc_access_log {
    slc_access_file *file;
    struct event *timer;
    slc_buf buffer;
};

static int open_log(const char *path, slc_error *err)
{
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
    if (fd < 0)
        slc_fail(err, SLC_IO, "access-log", "cannot open the access log %s: %s", path, strerror(errno));
    return fd;
}

slc_access_file *slc_access_file_open(const char *path, slc_error *err)
{
    slc_access_file *file = slc_calloc(1, sizeof *file);
    file->path = slc_strdup(path);
    file->fd = -1;
    if (strcmp(path, "-") == 0)
        file->fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
    else if (path[0] != '\0' && (file->fd = open_log(path, err)) < 0) {
        slc_access_file_close(file);
        return NULL;
    }
    return file;
}

bool slc_access_file_reopen(slc_access_file *file, slc_error *err)
{
    if (file->fd < 0 || strcmp(file->path, "-") == 0)
        return true;
    int fd = open_log(file->path, err);
    if (fd < 0)
        return false;
    dup3(fd, file->fd, O_CLOEXEC);
    close(fd);
    return true;
}

void slc_access_file_close(slc_access_file *file)
{
    if (file == NULL)
        return;
    if (file->fd >= 0)
        close(file->fd);
    free(file->path);
    free(file);
}

static void flush(slc_access_log *log)
{
    size_t done = 0;
    while (done < log->buffer.len) {
        ssize_t n = write(log->file->fd, log->buffer.data + done, log->buffer.len - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break; /* a full disk must not stop the gateway: these lines are lost */
        done += (size_t)n;
    }
    slc_buf_clear(&log->buffer);
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
    if (log->file->fd >= 0)
        flush(log);
    event_free(log->timer);
    slc_buf_release(&log->buffer);
    free(log);
}

static void add_text(slc_buf *line, const char *name, const char *value)
{
    if (value == NULL || value[0] == '\0')
        return;
    slc_buf_adds(line, ",\"");
    slc_buf_adds(line, name);
    slc_buf_adds(line, "\":\"");
    slc_buf_add_json_string(line, value, strnlen(value, MAX_PATH));
    slc_buf_addc(line, '"');
}

void slc_access_log_add(slc_access_log *log, const slc_exchange *exchange, int status, const char *method,
                        const char *path, const char *denial)
{
    char time[SLC_RFC3339_CHARS];
    slc_buf *line = &log->buffer;
    if (log->file->fd < 0)
        return;
    slc_rfc3339_format(slc_wall_ms(), time);
    slc_buf_addf(line,
                 "{\"time\":\"%s\",\"status\":%d,\"duration_ms\":%.3f,\"bytes_in\":%llu,\"bytes_out\":%llu",
                 time, status, (double)(slc_monotonic_us() - exchange->started_us) / 1000.0,
                 (unsigned long long)exchange->bytes_in, (unsigned long long)exchange->bytes_out);
    add_text(line, "method", method);
    add_text(line, "path", path);
    add_text(line, "request_id", exchange->request_id);
    add_text(line, "client", exchange->client_address);
    if (exchange->api != NULL)
        slc_buf_addf(line, ",\"api\":\"%s.v%u\",\"events\":%u", exchange->api->msg->name,
                     exchange->api->msg->major, exchange->events);
    add_text(line, "application", exchange->principal.application_name);
    add_text(line, "credential", exchange->principal.credential_id);
    add_text(line, "denied", denial);
    slc_buf_adds(line, "}\n");
    if (line->len >= FLUSH_BYTES)
        flush(log);
}
