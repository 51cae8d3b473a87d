/* A bare TCP relay, the floor that bench/native compares with: plain libevent events, reads and writes of up to
 * 256 KiB, nothing parsed. One thread.
 *
 * usage: bench-relay PORT TARGET_PORT   (both on 127.0.0.1; prints "ready" when it listens)
 */
#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/client.h"

#define PIECE (256 * 1024)

struct relay_pair;

typedef struct relay_side {
    struct relay_pair *pair;
    struct relay_side *other;
    int fd;
    struct event readable, writable;
    char *rest; /* what the socket did not take yet; NULL: nothing */
    size_t rest_len, rest_sent;
} relay_side;

typedef struct relay_pair {
    relay_side sides[2];
} relay_pair;

static struct event_base *base;
static int target_port;
static char piece[PIECE];

static void close_pair(relay_pair *pair)
{
    for (int i = 0; i < 2; i++) {
        relay_side *side = &pair->sides[i];
        event_del(&side->readable);
        event_del(&side->writable);
        close(side->fd);
        free(side->rest);
    }
    free(pair);
}

/* The other side takes no more for now: the rest is kept, and nothing is read until it has gone. */
static void keep(relay_side *from, relay_side *to, const char *data, size_t len)
{
    to->rest = malloc(len);
    if (to->rest == NULL)
        die("no memory");
    memcpy(to->rest, data, len);
    to->rest_len = len;
    to->rest_sent = 0;
    event_del(&from->readable);
    event_add(&to->writable, NULL);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    relay_side *from = arg, *to = from->other;
    (void)what;
    ssize_t got = read(fd, piece, sizeof piece);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        close_pair(from->pair);
        return;
    }
    ssize_t sent = write(to->fd, piece, (size_t)got);
    if (sent < 0 && errno != EAGAIN && errno != EINTR)
        close_pair(from->pair);
    else if (sent < got)
        keep(from, to, piece + (sent > 0 ? sent : 0), (size_t)(got - (sent > 0 ? sent : 0)));
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
    relay_side *to = arg;
    (void)what;
    ssize_t sent = write(fd, to->rest + to->rest_sent, to->rest_len - to->rest_sent);
    if (sent < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (sent < 0) {
        close_pair(to->pair);
        return;
    }
    to->rest_sent += (size_t)sent;
    if (to->rest_sent < to->rest_len)
        return;
    free(to->rest);
    to->rest = NULL;
    event_del(&to->writable);
    event_add(&to->other->readable, NULL);
}

static void on_accept(evutil_socket_t fd, short what, void *arg)
{
    int one = 1;
    (void)what, (void)arg;
    int client = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (client < 0)
        return;
    setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    relay_pair *pair = calloc(1, sizeof *pair);
    if (pair == NULL)
        die("no memory");
    int fds[2] = {client, connect_local(target_port, 0)};
    for (int i = 0; i < 2; i++) {
        relay_side *side = &pair->sides[i];
        side->pair = pair;
        side->other = &pair->sides[1 - i];
        side->fd = fds[i];
        event_assign(&side->readable, base, side->fd, EV_READ | EV_PERSIST, on_readable, side);
        event_assign(&side->writable, base, side->fd, EV_WRITE | EV_PERSIST, on_writable, side);
        event_add(&side->readable, NULL);
    }
}

static int listen_local(int port)
{
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) != 0 || listen(fd, 4096) != 0)
        die("cannot listen on 127.0.0.1:%d: %s", port, strerror(errno));
    return fd;
}

static void on_stop(evutil_socket_t signal, short what, void *arg)
{
    (void)signal, (void)what, (void)arg;
    event_base_loopbreak(base);
}

int main(int argc, char **argv)
{
    struct event accepting, stopping;
    if (argc != 3)
        die("usage: bench-relay PORT TARGET_PORT");
    signal(SIGPIPE, SIG_IGN);
    raise_file_limit(100000);
    target_port = atoi(argv[2]);
    base = event_base_new();
    int fd = listen_local(atoi(argv[1]));
    event_assign(&accepting, base, fd, EV_READ | EV_PERSIST, on_accept, NULL);
    event_add(&accepting, NULL);
    evsignal_assign(&stopping, base, SIGTERM, on_stop, NULL);
    evsignal_add(&stopping, NULL);
    puts("ready");
    fflush(stdout);
    event_base_dispatch(base);
    return 0;
}
