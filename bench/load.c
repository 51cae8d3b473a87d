/* The load generator of bench/rest and bench/auth: a closed loop over keep-alive connections, one request at a
 * time on each.
 *
 *   bench-load post  PORT CONNECTIONS SECONDS HEAD BODY [KEYS]
 *   bench-load pages PORT CONNECTIONS SECONDS HEAD STARTS [KEYS]
 *
 * HEAD is a file with the request's path in its first line and header lines after it; BODY is the file to send.
 * STARTS has lines "QUERY EVENTS" for pages: connection i begins with line i (again and again) and goes on with
 * the cursor of each answer until one says that it has caught up; EVENTS is what such a walk must give. Prints
 * one JSON object. With KEYS, a file of API keys, each request brings another one. An answer other than 201 or
 * 200 is counted in "refused".
 */
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/client.h"

#define READ_BYTES (256 * 1024)
#define MAX_STARTS 1024

struct start {
    char query[8192];
    long events;
};

static struct {
    bool pages;
    int port;
    char path[1024];
    char *headers;
    char *body;
    size_t body_len;
    const char *const *keys; /* NULL: the head has what there is to say */
    size_t key_count;
    struct start *starts;
    size_t start_count;
    struct event_base *base;
    int64_t stop_us;
    histogram times;
    uint64_t requests, refused, events, bytes, walks, wrong_walks;
    int last_refusal;
} load;

struct conn {
    int fd;
    struct event *event;
    const struct start *start;
    long walked;
    char *out;
    size_t out_len, out_done, out_cap;
    char *in;
    size_t in_len, in_cap;
    int64_t sent_us;
};

static char *read_file(const char *path, size_t *len)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        die("cannot open %s: %s", path, strerror(errno));
    fseek(file, 0, SEEK_END);
    *len = (size_t)ftell(file);
    rewind(file);
    char *text = calloc(1, *len + 1);
    if (fread(text, 1, *len, file) != *len)
        die("cannot read %s", path);
    fclose(file);
    return text;
}

static void write_some(struct conn *conn);

static void send_request(struct conn *conn, const char *query, size_t query_len)
{
    char key[256] = "";
    if (load.keys != NULL)
        snprintf(key, sizeof key, "X-API-Key: %s\r\n", next_line(load.keys, load.key_count));
    size_t need = strlen(load.path) + query_len + strlen(load.headers) + strlen(key) + load.body_len + 256;
    if (need > conn->out_cap) {
        conn->out = realloc(conn->out, need);
        conn->out_cap = need;
    }
    int len = load.pages ? sprintf(conn->out, "GET %s?%.*s HTTP/1.1\r\n%s%s\r\n", load.path, (int)query_len,
                                   query, load.headers, key)
                         : sprintf(conn->out, "POST %s HTTP/1.1\r\n%s%sContent-Length: %zu\r\n\r\n", load.path,
                                   load.headers, key, load.body_len);
    if (!load.pages)
        memcpy(conn->out + len, load.body, load.body_len);
    conn->out_len = (size_t)len + (load.pages ? 0 : load.body_len);
    conn->out_done = 0;
    conn->in_len = 0;
    conn->sent_us = now_us();
    write_some(conn);
}

static void write_some(struct conn *conn)
{
    while (conn->out_done < conn->out_len) {
        ssize_t n = write(conn->fd, conn->out + conn->out_done, conn->out_len - conn->out_done);
        if (n < 0 && errno == EAGAIN)
            break;
        if (n < 0)
            die("write: %s", strerror(errno));
        conn->out_done += (size_t)n;
    }
    short wanted = conn->out_done < conn->out_len ? EV_READ | EV_WRITE : EV_READ;
    if (event_get_events(conn->event) != (wanted | EV_PERSIST)) {
        event_del(conn->event);
        event_assign(conn->event, load.base, conn->fd, (short)(wanted | EV_PERSIST),
                     event_get_callback(conn->event), conn);
        event_add(conn->event, NULL);
    }
}

static long count_events(const char *text, size_t len)
{
    long count = 0;
    const char *end = text + len;
    while ((text = memmem(text, (size_t)(end - text), "{\"id\":\"", 7)) != NULL) {
        count++;
        text += 7;
    }
    return count;
}

static void begin_walk(struct conn *conn)
{
    conn->walked = 0;
    send_request(conn, conn->start->query, strlen(conn->start->query));
}

static void next_page(struct conn *conn, const char *body, size_t len)
{
    char query[8192];
    long count = count_events(body, len);
    const char *tail = len > 8192 ? body + len - 8192 : body;
    const char *next = memmem(tail, (size_t)(body + len - tail), "],\"next\":\"", 10);
    if (next == NULL)
        die("a page without its end: %.*s", (int)(len < 200 ? len : 200), body);
    next += 10;
    load.events += (uint64_t)count;
    conn->walked += count;
    if (memmem(next, (size_t)(body + len - next), "\"caught_up\":true", 16) != NULL) {
        load.walks++;
        load.wrong_walks += conn->walked != conn->start->events;
        begin_walk(conn);
        return;
    }
    int chars = (int)((const char *)memchr(next, '"', (size_t)(body + len - next)) - next);
    int query_len = snprintf(query, sizeof query, "limit=500&cursor=%.*s", chars, next);
    send_request(conn, query, (size_t)query_len);
}

static void on_answer(struct conn *conn, const answer_head *head)
{
    const char *body = conn->in + head->body;
    load.requests++;
    load.bytes += conn->in_len;
    histogram_add(&load.times, now_us() - conn->sent_us);
    if (head->status != (load.pages ? 200 : 201)) {
        load.refused++;
        load.last_refusal = head->status;
    }
    if (!load.pages)
        send_request(conn, NULL, 0);
    else if (head->status == 200)
        next_page(conn, body, (size_t)head->length);
    else
        begin_walk(conn);
}

static void on_event(evutil_socket_t fd, short what, void *arg)
{
    struct conn *conn = arg;
    answer_head head;
    if (what & EV_WRITE)
        write_some(conn);
    if (!(what & EV_READ))
        return;
    if (conn->in_cap - conn->in_len < READ_BYTES + 1) {
        conn->in_cap = conn->in_cap * 2 + READ_BYTES + 1;
        conn->in = realloc(conn->in, conn->in_cap);
    }
    ssize_t n = read(fd, conn->in + conn->in_len, READ_BYTES);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0)
        die("the connection ended: %s", n == 0 ? "closed by the server" : strerror(errno));
    conn->in_len += (size_t)n;
    conn->in[conn->in_len] = '\0';
    if (!read_head(conn->in, conn->in_len, &head))
        return;
    if (head.length < 0)
        die("an answer without Content-Length: %.200s", conn->in);
    if (conn->in_len >= head.body + (size_t)head.length)
        on_answer(conn, &head);
    if (now_us() >= load.stop_us)
        event_base_loopbreak(load.base);
}

/* The first line is the path, the others end with CR LF from now on. */
static void read_request_head(const char *file)
{
    size_t len;
    char *text = read_file(file, &len), *line, *at = text;
    load.headers = calloc(1, len * 2 + 3);
    snprintf(load.path, sizeof load.path, "%s", strsep(&at, "\n"));
    while ((line = strsep(&at, "\n")) != NULL) {
        if (*line != '\0')
            strcat(strcat(load.headers, line), "\r\n");
    }
    free(text);
}

static void read_starts(const char *file)
{
    size_t len;
    char *text = read_file(file, &len), *at = text, *line;
    load.starts = calloc(MAX_STARTS, sizeof *load.starts);
    while ((line = strsep(&at, "\n")) != NULL && load.start_count < MAX_STARTS) {
        struct start *start = &load.starts[load.start_count];
        if (sscanf(line, "%8191s %ld", start->query, &start->events) == 2)
            load.start_count++;
    }
    if (load.start_count == 0)
        die("%s has no start", file);
    free(text);
}

static void report(double seconds)
{
    printf(
        "{\"seconds\":%.3f,\"requests\":%llu,\"refused\":%llu,\"last_refusal\":%d,\"rps\":%.0f,\"p50_ms\":%.3f,"
        "\"p99_ms\":%.3f,\"max_ms\":%.3f,\"events\":%llu,\"bytes\":%llu,\"walks\":%llu,\"wrong_walks\":%llu}\n",
        seconds, (unsigned long long)load.requests, (unsigned long long)load.refused, load.last_refusal,
        (double)load.requests / seconds, histogram_ms(&load.times, 0.5), histogram_ms(&load.times, 0.99),
        (double)load.times.max_us / 1000.0, (unsigned long long)load.events, (unsigned long long)load.bytes,
        (unsigned long long)load.walks, (unsigned long long)load.wrong_walks);
}

int main(int argc, char **argv)
{
    if (argc != 7 && argc != 8) {
        fprintf(stderr, "usage: bench-load post|pages PORT CONNECTIONS SECONDS HEAD BODY|STARTS [KEYS]\n");
        return 2;
    }
    load.pages = strcmp(argv[1], "pages") == 0;
    load.port = atoi(argv[2]);
    int count = atoi(argv[3]);
    double seconds = atof(argv[4]);
    read_request_head(argv[5]);
    if (argc == 8)
        load.keys = read_lines(argv[7], &load.key_count);
    if (load.pages)
        read_starts(argv[6]);
    else
        load.body = read_file(argv[6], &load.body_len);
    load.base = event_base_new();
    int64_t started_us = now_us();
    load.stop_us = started_us + (int64_t)(seconds * 1e6);
    for (int i = 0; i < count; i++) {
        struct conn *conn = calloc(1, sizeof *conn);
        conn->fd = connect_local(load.port, 0);
        conn->event = event_new(load.base, conn->fd, EV_READ | EV_PERSIST, on_event, conn);
        event_add(conn->event, NULL);
        if (load.pages) {
            conn->start = &load.starts[(size_t)i % load.start_count];
            begin_walk(conn);
        } else {
            send_request(conn, NULL, 0);
        }
    }
    struct timeval longest = {.tv_sec = (time_t)seconds + 10};
    event_base_loopexit(load.base, &longest); /* a server that does not answer at all */
    event_base_dispatch(load.base);
    report((double)(now_us() - started_us) / 1e6);
    return load.requests > 0 ? 0 : 1;
}
