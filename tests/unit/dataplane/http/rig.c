#include "rig.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <event2/buffer.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "common/httpd.h"
#include "dataplane/mediation/link.h"
#include "dataplane/mediation/mediation.h"
#include "dataplane/observe/metrics.h"

/* ---- what the front calls of its surroundings ---- */

static struct rig *current;

const slc_gateway_limits *slc_gateway_limits_of(const struct slc_gateway *gateway)
{
    return &((const struct rig *)gateway)->limits;
}

static void add_chunk(slc_exchange *exchange, size_t len, void (*done)(slc_exchange *, void *))
{
    struct evbuffer *chunk = evbuffer_new();
    char *text = slc_malloc(len);
    memset(text, 'x', len);
    evbuffer_add(chunk, text, len);
    free(text);
    slc_exchange_write(exchange, chunk, done);
    evbuffer_free(chunk);
}

static void on_flooded(slc_exchange *exchange, void *ctx)
{
    struct rig *rig = ctx;
    rig->written++;
    add_chunk(exchange, 65536, on_flooded);
}

static void on_abort(slc_exchange *exchange, void *ctx)
{
    struct rig *rig = ctx;
    ck_assert_ptr_eq(rig->held, exchange);
    rig->held = NULL;
    __atomic_add_fetch(&rig->aborted, 1, __ATOMIC_RELAXED);
    slc_exchange_abandon(exchange);
}

static void reply(slc_exchange *exchange)
{
    struct evbuffer *body = evbuffer_new();
    size_t len = evbuffer_get_length(evhttp_request_get_input_buffer(exchange->req));
    evbuffer_add_printf(body, "{\"got\":%zu}", len);
    exchange->events = 1;
    slc_exchange_reply(exchange, 200, "application/json", body);
    evbuffer_free(body);
}

static void start_stream(struct rig *rig, slc_exchange *exchange)
{
    struct evbuffer *first = evbuffer_new();
    slc_exchange_stream_start(exchange, 200, "text/event-stream");
    evbuffer_add(first, "first;", 6);
    slc_exchange_write(exchange, first, rig->mode == RIG_FLOOD ? on_flooded : NULL);
    evbuffer_free(first);
}

static void handle(slc_exchange *exchange)
{
    struct rig *rig = current;
    rig->handled++;
    if (rig->mode == RIG_REPLY) {
        reply(exchange);
        return;
    }
    ck_assert_ptr_null(rig->held);
    exchange->ctx = rig;
    if (rig->mode == RIG_HOLD_BLINDLY)
        return;
    rig->held = exchange;
    exchange->on_abort = on_abort;
    if (rig->mode == RIG_STREAM || rig->mode == RIG_FLOOD)
        start_stream(rig, exchange);
}

/* No audit trail goes to a topic here. */
slc_link *slc_mediation_link(struct slc_mediation_worker *mediation, const slc_backend *backend, slc_error *err)
{
    (void)mediation, (void)backend;
    slc_fail(err, SLC_UNAVAILABLE, NULL, "there is no mediation");
    return NULL;
}

void slc_link_unref(slc_link *link)
{
    (void)link;
    ck_abort_msg("there is no link");
}

void slc_publish_handle(slc_exchange *exchange)
{
    handle(exchange);
}

void slc_read_handle(slc_exchange *exchange)
{
    handle(exchange);
}

/* ---- the rig ---- */

struct rig *rig_new(void)
{
    struct rig *rig = slc_calloc(1, sizeof *rig);
    rig->limits = (slc_gateway_limits){.request_header_bytes = 32 * 1024,
                                       .request_body_bytes = 1024 * 1024,
                                       .request_timeout_ms = 10000,
                                       .stalled_write_ms = 10000,
                                       .answer_timeout_ms = 10000,
                                       .connections = 100,
                                       .streams = 100};
    rig->asker = asker_new();
    rig->mode = RIG_REPLY;
    strcpy(rig->access_log, "/tmp/slc-test-front-XXXXXX");
    int fd = mkstemp(rig->access_log);
    ck_assert_int_ge(fd, 0);
    close(fd);
    return rig;
}

static void swap(struct rig *rig)
{
    slc_snapshot *old = rig->worker.snapshot;
    rig->worker.snapshot = slc_snapshot_ref(rig->asker->snapshot);
    slc_http_front_apply(rig->worker.http, rig->worker.snapshot);
    if (old != NULL)
        slc_snapshot_unref(old);
}

static void open_here(struct rig *rig)
{
    size_t count;
    rig->worker.http = slc_http_front_new(&rig->worker, rig->access_file);
    slc_listener *const *listeners = slc_snapshot_listeners(rig->asker->snapshot, &count);
    slc_http_front_open(rig->worker.http, listeners[0], rig->fd, NULL);
    swap(rig);
}

void rig_open(struct rig *rig)
{
    static bool registered;
    slc_error err = {0};
    if (!registered)
        slc_gateway_metrics_register();
    registered = true;
    current = rig;
    asker_rebuild(rig->asker);
    const char *none[] = {NULL};
    const slc_access_file_options log = {.path = rig->access_log,
                                         .what = "access-log",
                                         .limit_bytes = 1024 * 1024,
                                         .dropped =
                                             slc_metrics_series("sluice_access_log_dropped_total", none)};
    rig->access_file = slc_access_file_open(&log, &err);
    rig->fd = slc_listen("127.0.0.1:0", true, &err);
    ck_assert_msg(rig->access_file != NULL && rig->fd >= 0, "%s", err.message);
    snprintf(rig->port, sizeof rig->port, "%u", slc_listen_port(rig->fd));
    rig->worker.gateway = (struct slc_gateway *)rig;
    slc_usage_init(&rig->worker.usage, 100);
    rig->worker.loop = slc_loop_new("worker-0", &rig->worker);
    ck_assert(slc_loop_start(rig->worker.loop, &err));
    rig_call(rig, open_here);
}

static void close_here(struct rig *rig)
{
    slc_http_front_close(rig->worker.http);
    ck_assert_ptr_null(rig->held);
    slc_http_front_free(rig->worker.http);
    slc_usage_release(&rig->worker.usage);
    slc_snapshot_unref(rig->worker.snapshot);
}

void rig_close(struct rig *rig)
{
    rig_call(rig, close_here);
    slc_loop_stop(rig->worker.loop);
    slc_loop_join(rig->worker.loop);
    slc_loop_free(rig->worker.loop);
    slc_access_file_close(rig->access_file);
}

void rig_free(struct rig *rig)
{
    unlink(rig->access_log);
    asker_free(rig->asker);
    free(rig);
}

struct call {
    struct rig *rig;
    void (*fn)(struct rig *rig);
};

static void run_call(void *arg)
{
    struct call *call = arg;
    call->fn(call->rig);
}

void rig_call(struct rig *rig, void (*fn)(struct rig *rig))
{
    struct call call = {rig, fn};
    slc_loop_call_sync(rig->worker.loop, run_call, &call);
}

static enum rig_mode next_mode;

static void set_mode(struct rig *rig)
{
    rig->mode = next_mode;
}

void rig_set_mode(struct rig *rig, enum rig_mode mode)
{
    next_mode = mode;
    rig_call(rig, set_mode);
}

void rig_apply(struct rig *rig)
{
    asker_rebuild(rig->asker);
    rig_call(rig, swap);
}

static bool answer;

static void ask_idle(struct rig *rig)
{
    answer = slc_http_front_idle(rig->worker.http);
}

bool rig_idle(struct rig *rig)
{
    rig_call(rig, ask_idle);
    return answer;
}

static void ask_holds(struct rig *rig)
{
    answer = rig->held != NULL;
}

bool rig_holds(struct rig *rig)
{
    rig_call(rig, ask_holds);
    return answer;
}

unsigned rig_aborted(struct rig *rig)
{
    return __atomic_load_n(&rig->aborted, __ATOMIC_RELAXED);
}

/* ---- clients ---- */

int rig_connect(struct rig *rig)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)atoi(rig->port)),
                                  .sin_addr = {htonl(INADDR_LOOPBACK)}};
    struct timeval give_up = {.tv_sec = RIG_GIVE_UP_MS / 1000};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(fd, 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &give_up, sizeof give_up);
    ck_assert_msg(connect(fd, (struct sockaddr *)&address, sizeof address) == 0, "%s", strerror(errno));
    return fd;
}

void rig_send(int fd, const char *text)
{
    size_t len = strlen(text);
    ck_assert_int_eq(send(fd, text, len, MSG_NOSIGNAL), (ssize_t)len);
}

char *rig_read(int fd, const char *marker)
{
    size_t len = 0, size = 4096;
    char *text = slc_malloc(size);
    text[0] = '\0';
    while (marker == NULL || strstr(text, marker) == NULL) {
        if (size - len < 2)
            text = slc_realloc(text, size *= 2);
        ssize_t n = recv(fd, text + len, size - len - 1, 0);
        if (n == 0 || (n < 0 && errno == ECONNRESET))
            break;
        ck_assert_msg(n > 0, "waiting for %s: %s, after: %s", marker, strerror(errno), text);
        len += (size_t)n;
        text[len] = '\0';
    }
    ck_assert_msg(marker == NULL || strstr(text, marker) != NULL, "closed without %s: %s", marker, text);
    return text;
}

char *rig_answer_of(int fd, bool head_request)
{
    size_t len = 0;
    char *text = slc_calloc(1, 65536);
    /* Byte by byte, so that what belongs to the next answer stays in the socket. */
    while (strstr(text, "\r\n\r\n") == NULL) {
        ck_assert_uint_lt(len, 65535);
        ck_assert_msg(recv(fd, text + len, 1, 0) == 1, "no whole head: %s", text);
        len++;
    }
    const char *length = rig_header(text, "Content-Length");
    size_t left = head_request || length == NULL ? 0 : (size_t)atol(length);
    ck_assert_uint_lt(len + left, 65535);
    while (left > 0) {
        ssize_t n = recv(fd, text + len, left, 0);
        ck_assert_msg(n > 0, "no whole body: %s", text);
        len += (size_t)n;
        left -= (size_t)n;
    }
    return text;
}

char *rig_ask(struct rig *rig, const char *request_line, const char *headers, const char *body)
{
    char length[64] = "";
    int fd = rig_connect(rig);
    if (body != NULL)
        snprintf(length, sizeof length, "Content-Length: %zu\r\n", strlen(body));
    char *request = slc_asprintf("%s HTTP/1.1\r\nHost: gateway\r\n%s%s\r\n%s", request_line, headers, length,
                                 body != NULL ? body : "");
    rig_send(fd, request);
    free(request);
    char *text = rig_answer_of(fd, strncmp(request_line, "HEAD", 4) == 0);
    close(fd);
    return text;
}

int rig_status(const char *answer_text)
{
    int status = 0;
    ck_assert_int_eq(sscanf(answer_text, "HTTP/1.%*d %d", &status), 1);
    return status;
}

const char *rig_header(const char *answer_text, const char *name)
{
    static char value[512];
    const char *end = strstr(answer_text, "\r\n\r\n");
    size_t name_len = strlen(name);
    for (const char *line = strstr(answer_text, "\r\n"); line != NULL && line < end;
         line = strstr(line, "\r\n")) {
        line += 2;
        if (strncasecmp(line, name, name_len) != 0 || line[name_len] != ':')
            continue;
        const char *start = line + name_len + 1 + strspn(line + name_len + 1, " ");
        snprintf(value, sizeof value, "%.*s", (int)strcspn(start, "\r"), start);
        return value;
    }
    return NULL;
}

void rig_reset(int fd)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(fd);
}
