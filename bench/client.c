#include "bench/client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

void die(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("bench: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(1);
}

int64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int connect_local(int port, int receive_bytes)
{
    int one = 1;
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        die("no socket: %s", strerror(errno));
    if (receive_bytes > 0)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof receive_bytes);
    if (connect(fd, (struct sockaddr *)&to, sizeof to) != 0)
        die("cannot connect to 127.0.0.1:%d: %s", port, strerror(errno));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    return fd;
}

size_t raise_file_limit(size_t wanted)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur < wanted) {
        limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
        setrlimit(RLIMIT_NOFILE, &limit);
        getrlimit(RLIMIT_NOFILE, &limit);
    }
    return limit.rlim_cur;
}

bool read_head(const char *text, size_t len, answer_head *out)
{
    const char *end = memmem(text, len, "\r\n\r\n", 4);
    if (end == NULL)
        return false;
    *out = (answer_head){.length = -1, .body = (size_t)(end - text) + 4};
    if (sscanf(text, "HTTP/1.1 %d", &out->status) != 1)
        die("not an answer: %.40s", text);
    for (const char *line = text; line < end; line = (const char *)memchr(line, '\n', len) + 1) {
        if (strncasecmp(line, "content-length:", 15) == 0)
            out->length = strtoll(line + 15, NULL, 10);
    }
    return true;
}

/* 64 steps for each power of two. */
static size_t bucket_of(int64_t us)
{
    uint64_t value = us < 0 ? 0 : (uint64_t)us;
    if (value < 64)
        return (size_t)value;
    unsigned shift = 57u - (unsigned)__builtin_clzll(value); /* leaves the upper 7 bits */
    size_t bucket = 64 * (shift + 1) + (size_t)((value >> shift) - 64);
    return bucket < 2048 ? bucket : 2047;
}

static double us_of(size_t bucket)
{
    if (bucket < 64)
        return (double)bucket;
    return (double)((64 + bucket % 64) << (bucket / 64 - 1));
}

void histogram_add(histogram *h, int64_t us)
{
    h->counts[bucket_of(us)]++;
    h->total++;
    if (us > h->max_us)
        h->max_us = us;
}

double histogram_ms(const histogram *h, double quantile)
{
    uint64_t wanted = (uint64_t)(quantile * (double)h->total), seen = 0;
    for (size_t i = 0; i < 2048; i++) {
        seen += h->counts[i];
        if (seen > wanted)
            return us_of(i) / 1000.0;
    }
    return (double)h->max_us / 1000.0;
}

const char *const *read_lines(const char *file, size_t *count)
{
    size_t capacity = 1024;
    const char **lines = calloc(capacity, sizeof *lines);
    char line[1024];
    FILE *from = fopen(file, "r");
    if (from == NULL)
        die("cannot open %s", file);
    for (*count = 0; fgets(line, sizeof line, from) != NULL;) {
        line[strcspn(line, "\n")] = '\0';
        if (*count == capacity)
            lines = realloc(lines, (capacity *= 2) * sizeof *lines);
        lines[(*count)++] = strdup(line);
    }
    fclose(from);
    if (*count == 0)
        die("%s is empty", file);
    return lines;
}

/* xorshift64 (Marsaglia, 2003). */
const char *next_line(const char *const *lines, size_t count)
{
    static uint64_t state = 88172645463325252;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return lines[state % count];
}
