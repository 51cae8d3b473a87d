/* The readers of bench/sse: many event streams on one thread, each checked event by event.
 *
 *   bench-readers PORT READERS EVENTS SECONDS HEAD
 *
 * HEAD is a file with the request's path in its first line and header lines after it. Prints "ready" when every
 * stream is open. Events must be JSON with "n" from 0 to EVENTS - 1 in order and "sent_us", the monotonic time
 * at which it was produced on this machine. Ends when every reader has all of them, or after SECONDS, with one
 * JSON object: what is missing counts as lost, and what came twice or out of order as wrong.
 */
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/client.h"

#define RECEIVE_BYTES 16384
#define LINE_BYTES    4096 /* of the smallest line that can hold an event */

static struct {
    struct event_base *base;
    long readers, events, ready, done;
    uint64_t received, wrong, ended;
    histogram times;
} bench;

struct reader {
    struct event *event;
    bool open;
    long next;
    size_t len;
    char line[LINE_BYTES];
};

static void on_event_line(struct reader *reader, const char *line)
{
    const char *number = strstr(line, "\"n\":"), *sent = strstr(line, "\"sent_us\":");
    if (number == NULL || sent == NULL)
        return;
    bench.received++;
    bench.wrong += strtol(number + 4, NULL, 10) != reader->next;
    histogram_add(&bench.times, now_us() - strtoll(sent + 10, NULL, 10));
    if (++reader->next == bench.events && ++bench.done == bench.readers)
        event_base_loopbreak(bench.base);
}

static void on_line(struct reader *reader)
{
    reader->line[reader->len] = '\0';
    if (!reader->open && strncmp(reader->line, "HTTP/", 5) == 0 && strstr(reader->line, " 200 ") == NULL)
        die("a stream was refused: %s", reader->line);
    if (!reader->open && strncmp(reader->line, "id:", 3) == 0) { /* it has its place: what comes now, it sees */
        reader->open = true;
        if (++bench.ready == bench.readers) {
            puts("ready");
            fflush(stdout);
        }
    }
    if (strncmp(reader->line, "data:", 5) == 0)
        on_event_line(reader, reader->line);
    reader->len = 0;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    (void)what;
    static char text[65536];
    struct reader *reader = arg;
    ssize_t n = read(fd, text, sizeof text);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0) {
        bench.ended++;
        event_del(reader->event);
        return;
    }
    for (ssize_t i = 0; i < n; i++) {
        if (text[i] == '\n')
            on_line(reader);
        else if (reader->len < LINE_BYTES - 1)
            reader->line[reader->len++] = text[i];
    }
}

static char *read_request(const char *file_name)
{
    static char request[16384];
    char line[8192];
    FILE *file = fopen(file_name, "r");
    if (file == NULL || fgets(line, sizeof line, file) == NULL)
        die("cannot read %s", file_name);
    line[strcspn(line, "\n")] = '\0';
    int len = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\n", line);
    while (fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (line[0] != '\0')
            len += snprintf(request + len, sizeof request - (size_t)len, "%s\r\n", line);
    }
    snprintf(request + len, sizeof request - (size_t)len, "\r\n");
    fclose(file);
    return request;
}

static void start_reader(int port, const char *request)
{
    struct reader *reader = calloc(1, sizeof *reader);
    int fd = connect_local(port, RECEIVE_BYTES);
    if (write(fd, request, strlen(request)) != (ssize_t)strlen(request))
        die("cannot send a request");
    reader->event = event_new(bench.base, fd, EV_READ | EV_PERSIST, on_readable, reader);
    event_add(reader->event, NULL);
}

int main(int argc, char **argv)
{
    if (argc != 6) {
        fprintf(stderr, "usage: bench-readers PORT READERS EVENTS SECONDS HEAD\n");
        return 2;
    }
    bench.readers = atol(argv[2]);
    bench.events = atol(argv[3]);
    bench.base = event_base_new();
    const char *request = read_request(argv[5]);
    if (raise_file_limit((size_t)bench.readers + 64) < (size_t)bench.readers + 64)
        die("the limit of open files is too low for %ld readers", bench.readers);
    struct timeval longest = {.tv_sec = atol(argv[4])};
    event_base_loopexit(bench.base, &longest);
    for (long i = 0; i < bench.readers; i++) {
        start_reader(atoi(argv[1]), request);
        event_base_loop(bench.base, EVLOOP_NONBLOCK);
    }
    event_base_dispatch(bench.base);
    uint64_t wanted = (uint64_t)bench.readers * (uint64_t)bench.events;
    printf("{\"readers\":%ld,\"received\":%llu,\"lost\":%lld,\"wrong\":%llu,\"ended\":%llu,\"p50_ms\":%.2f,"
           "\"p99_ms\":%.2f,\"max_ms\":%.2f}\n",
           bench.readers, (unsigned long long)bench.received, (long long)(wanted - bench.received),
           (unsigned long long)bench.wrong, (unsigned long long)bench.ended, histogram_ms(&bench.times, 0.5),
           histogram_ms(&bench.times, 0.99), (double)bench.times.max_us / 1000.0);
    return 0;
}
