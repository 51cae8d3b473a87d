/* SCRAM for librdkafka before 2.6.1, whose last message of the exchange repeats the client's nonce: brokers
 * since Kafka 3.8.1 (CVE-2024-56128) rightly refuse it. So librdkafka speaks plaintext to one end of a pair of
 * sockets, and a thread behind the other end has the connection to the broker: dialled, encrypted and
 * authenticated by our own client, then copied. One thread for each connection, as librdkafka itself has.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/clock.h"
#include "common/log.h"
#include "dataplane/broker/kafka_private.h"

#define NONCE_FIXED_IN 0x02060100 /* librdkafka 2.6.1 */
#define OPEN_MS        5000
#define PIPE_BYTES     (64 * 1024)

/* What goes one way, and waits for the other side to take it. */
struct pipe {
    uint8_t data[PIPE_BYTES];
    size_t from, to;
};

struct tunnel {
    TAILQ_ENTRY(tunnel) entry;
    int near, far; /* near: librdkafka's */
    slc_backend *backend;
    slc_kafka_tokens *tokens;
    struct sockaddr_storage address;
    socklen_t address_len;
    char host[256];
    slc_kafka_wire wire;
    struct pipe out, in;
};

/* Made by socket_cb and not connected yet; rarely more than one. */
static TAILQ_HEAD(, tunnel) waiting = TAILQ_HEAD_INITIALIZER(waiting);
static pthread_mutex_t waiting_lock = PTHREAD_MUTEX_INITIALIZER;

bool slc_kafka_tunnel_needed(const slc_backend *backend)
{
    const char *mechanism = backend->msg->mechanism;
    return mechanism != NULL && strncmp(mechanism, "SCRAM-", 6) == 0 && rd_kafka_version() < NONCE_FIXED_IN;
}

static void tunnel_free(struct tunnel *tunnel)
{
    slc_kafka_wire_release(&tunnel->wire);
    close(tunnel->far);
    slc_kafka_tokens_unref(tunnel->tokens);
    slc_backend_unref(tunnel->backend);
    free(tunnel);
}

/* Copying
 * ------------------------------------------------------------------------------------------------------
 */

static bool is_empty(const struct pipe *pipe)
{
    return pipe->from == pipe->to;
}

/* Both take what is there without waiting. False: the connection has ended. */
static bool from_far(struct tunnel *tunnel)
{
    ssize_t n = recv(tunnel->far, tunnel->out.data, PIPE_BYTES, 0);
    if (n <= 0)
        return n < 0 && (errno == EAGAIN || errno == EINTR);
    tunnel->out.from = 0;
    tunnel->out.to = (size_t)n;
    return true;
}

static bool to_far(struct tunnel *tunnel)
{
    struct pipe *in = &tunnel->in;
    ssize_t n = send(tunnel->far, in->data + in->from, in->to - in->from, MSG_NOSIGNAL);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR;
    in->from += (size_t)n;
    return true;
}

static bool copy_out(struct tunnel *tunnel)
{
    struct pipe *out = &tunnel->out;
    long n = slc_kafka_wire_try(&tunnel->wire, out->data + out->from, out->to - out->from, true);
    if (n > 0)
        out->from += (size_t)n;
    return n >= 0;
}

static bool copy_in(struct tunnel *tunnel)
{
    long n = slc_kafka_wire_try(&tunnel->wire, tunnel->in.data, PIPE_BYTES, false);
    if (n > 0) {
        tunnel->in.from = 0;
        tunnel->in.to = (size_t)n;
    }
    return n >= 0;
}

/* Everything that can move now moves. */
static bool copy(struct tunnel *tunnel)
{
    return (!is_empty(&tunnel->out) || from_far(tunnel)) && (is_empty(&tunnel->out) || copy_out(tunnel)) &&
           (!is_empty(&tunnel->in) || copy_in(tunnel)) && (is_empty(&tunnel->in) || to_far(tunnel));
}

static short events_of(bool read, bool write)
{
    return (short)((read ? POLLIN : 0) | (write ? POLLOUT : 0));
}

static void relay(struct tunnel *tunnel)
{
    while (copy(tunnel)) {
        bool sending = !is_empty(&tunnel->out), receiving = !is_empty(&tunnel->in);
        if (!receiving && slc_kafka_wire_has_more(&tunnel->wire))
            continue;
        struct pollfd fds[2] = {{.fd = tunnel->far, .events = events_of(!sending, receiving)},
                                {.fd = tunnel->wire.fd, .events = events_of(!receiving, sending)}};
        if (fds[1].events == 0)
            fds[1].fd = -1; /* its end can wait until what came before it was taken */
        int ready = poll(fds, 2, -1);
        if ((ready < 0 && errno != EINTR) || (ready > 0 && fds[0].revents & (POLLHUP | POLLERR)))
            return;
    }
}

static void *tunnel_main(void *arg)
{
    slc_error err;
    struct tunnel *tunnel = arg;
    tunnel->wire.deadline_ms = slc_monotonic_ms() + OPEN_MS;
    if (slc_kafka_wire_open_at(&tunnel->wire, (struct sockaddr *)&tunnel->address, tunnel->address_len,
                               tunnel->host, &err))
        relay(tunnel);
    else
        slc_log_error(SLC_LOG_DEBUG, "a connection for librdkafka cannot be opened", &err);
    tunnel_free(tunnel);
    return NULL;
}

/* librdkafka's side
 * ---------------------------------------------------------------------------------------------
 */

static int on_socket(int domain, int type, int protocol, void *opaque)
{
    (void)domain, (void)protocol;
    slc_kafka_handle *handle = opaque;
    int pair[2];
    if (socketpair(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) != 0)
        return -1;
    struct tunnel *tunnel = slc_calloc(1, sizeof *tunnel);
    tunnel->near = pair[0];
    tunnel->far = pair[1];
    tunnel->backend = slc_backend_ref(handle->backend);
    tunnel->tokens = slc_kafka_tokens_ref(handle->tokens);
    slc_kafka_wire_init(&tunnel->wire, tunnel->backend, tunnel->tokens, -1);
    pthread_mutex_lock(&waiting_lock);
    TAILQ_INSERT_TAIL(&waiting, tunnel, entry);
    pthread_mutex_unlock(&waiting_lock);
    return pair[0];
}

static struct tunnel *take_waiting(int near)
{
    struct tunnel *tunnel;
    pthread_mutex_lock(&waiting_lock);
    TAILQ_FOREACH (tunnel, &waiting, entry) {
        if (tunnel->near == near) {
            TAILQ_REMOVE(&waiting, tunnel, entry);
            break;
        }
    }
    pthread_mutex_unlock(&waiting_lock);
    return tunnel;
}

/* `id` is "host:port/node": the host is what the broker's certificate must be for. */
static void note_host(struct tunnel *tunnel, const char *id)
{
    size_t len = strcspn(id, "/");
    while (len > 0 && id[len - 1] != ':')
        len--;
    len = len > 0 ? len - 1 : 0;
    if (len >= 2 && id[0] == '[' && id[len - 1] == ']') {
        id++;
        len -= 2;
    }
    if (len < sizeof tunnel->host)
        memcpy(tunnel->host, id, len);
}

static int on_connect(int fd, const struct sockaddr *address, int len, const char *id, void *opaque)
{
    (void)opaque;
    pthread_t thread;
    struct tunnel *tunnel = take_waiting(fd);
    SLC_BUG_ON(tunnel == NULL || (size_t)len > sizeof tunnel->address);
    memcpy(&tunnel->address, address, (size_t)len);
    tunnel->address_len = (socklen_t)len;
    note_host(tunnel, id);
    int failure = pthread_create(&thread, NULL, tunnel_main, tunnel);
    if (failure != 0) {
        tunnel_free(tunnel);
        return failure;
    }
    pthread_detach(thread);
    return 0;
}

/* Closed before it was connected: nobody else would free what waits. */
static int on_close(int fd, void *opaque)
{
    (void)opaque;
    struct tunnel *tunnel = take_waiting(fd);
    if (tunnel != NULL)
        tunnel_free(tunnel);
    return close(fd);
}

void slc_kafka_tunnel_prepare(rd_kafka_conf_t *conf, const slc_backend *backend)
{
    if (!slc_kafka_tunnel_needed(backend))
        return;
    rd_kafka_conf_set_socket_cb(conf, on_socket);
    rd_kafka_conf_set_connect_cb(conf, on_connect);
    rd_kafka_conf_set_closesocket_cb(conf, on_close);
}
