/* The readers of bench/sse and bench/auth: many event streams on one thread, each checked event by event.
 *
 *   bench-readers plain|tls PORT READERS EVENTS SECONDS HEAD [KEYS]
 *
 * HEAD is a file with the request's path in its first line and header lines after it. Prints "ready" when every
 * stream is open. With KEYS, a file of API keys, each reader brings another of them. The server's certificate
 * is not looked at: what is measured is the server. Events must be JSON with "n" from 0 to EVENTS - 1 in order
 * and "sent_us", the monotonic time at which it was produced on this machine. Ends when every reader has all of
 * them, or after SECONDS, with one JSON object: what is missing counts as lost, and what came twice or out of
 * order as wrong.
 */
#include <errno.h>
#include <event2/event.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/client.h"

#define RECEIVE_BYTES 16384
#define LINE_BYTES    4096 /* of the smallest line that can hold an event */

static struct {
    struct event_base *base;
    SSL_CTX *tls;            /* NULL: plain */
    const char *request;     /* without the empty line at its end */
    const char *const *keys; /* NULL: the request has what there is to say */
    size_t key_count;
    long readers, events, ready, done;
    uint64_t received, wrong, ended;
    histogram times;
} bench;

struct reader {
    struct event *event;
    SSL *ssl; /* NULL: plain */
    bool asked, open;
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

static void take_text(struct reader *reader, const char *text, ssize_t len)
{
    for (ssize_t i = 0; i < len; i++) {
        if (text[i] == '\n')
            on_line(reader);
        else if (reader->len < LINE_BYTES - 1)
            reader->line[reader->len++] = text[i];
    }
}

static void ask(struct reader *reader, int fd)
{
    static char request[17000];
    int len = bench.keys == NULL ? snprintf(request, sizeof request, "%s\r\n", bench.request)
                                 : snprintf(request, sizeof request, "%sX-API-Key: %s\r\n\r\n", bench.request,
                                            next_line(bench.keys, bench.key_count));
    reader->asked = true;
    if ((reader->ssl != NULL ? SSL_write(reader->ssl, request, len) : write(fd, request, (size_t)len)) != len)
        die("cannot send a request");
}

/* What is there to read: 0 for the end, -1 for nothing now. */
static ssize_t read_some(struct reader *reader, int fd, char *text, size_t size)
{
    if (reader->ssl == NULL) {
        ssize_t n = read(fd, text, size);
        return n >= 0 ? n : errno == EAGAIN ? -1 : 0;
    }
    ERR_clear_error();
    int n = reader->asked ? SSL_read(reader->ssl, text, (int)size) : SSL_do_handshake(reader->ssl);
    if (n <= 0)
        return SSL_get_error(reader->ssl, n) == SSL_ERROR_WANT_READ ? -1 : 0;
    if (reader->asked)
        return n;
    ask(reader, fd);
    return -1;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    (void)what;
    static char text[65536];
    struct reader *reader = arg;
    ssize_t n;
    do {
        n = read_some(reader, fd, text, sizeof text);
        take_text(reader, text, n);
    } while (n > 0 && reader->ssl != NULL && SSL_pending(reader->ssl) > 0);
    if (n != 0)
        return;
    bench.ended++;
    event_del(reader->event);
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
    fclose(file);
    return request;
}

static void start_reader(int port)
{
    struct reader *reader = calloc(1, sizeof *reader);
    int fd = connect_local(port, RECEIVE_BYTES);
    if (bench.tls != NULL) {
        reader->ssl = SSL_new(bench.tls);
        if (reader->ssl == NULL || SSL_set_fd(reader->ssl, fd) != 1)
            die("no TLS connection");
        SSL_set_connect_state(reader->ssl);
        SSL_do_handshake(reader->ssl); /* sends the first message, which a new socket takes */
    } else {
        ask(reader, fd);
    }
    reader->event = event_new(bench.base, fd, EV_READ | EV_PERSIST, on_readable, reader);
    event_add(reader->event, NULL);
}

int main(int argc, char **argv)
{
    if (argc != 7 && argc != 8) {
        fprintf(stderr, "usage: bench-readers plain|tls PORT READERS EVENTS SECONDS HEAD [KEYS]\n");
        return 2;
    }
    bench.readers = atol(argv[3]);
    bench.events = atol(argv[4]);
    bench.base = event_base_new();
    bench.request = read_request(argv[6]);
    if (argc == 8)
        bench.keys = read_lines(argv[7], &bench.key_count);
    if (strcmp(argv[1], "tls") == 0) {
        bench.tls = SSL_CTX_new(TLS_client_method());
        SSL_CTX_set_mode(bench.tls, SSL_MODE_RELEASE_BUFFERS);
    }
    if (raise_file_limit((size_t)bench.readers + 64) < (size_t)bench.readers + 64)
        die("the limit of open files is too low for %ld readers", bench.readers);
    struct timeval longest = {.tv_sec = atol(argv[5])};
    event_base_loopexit(bench.base, &longest);
    for (long i = 0; i < bench.readers; i++) {
        start_reader(atoi(argv[2]));
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
