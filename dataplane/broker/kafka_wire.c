#include "dataplane/broker/kafka_wire.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/settings.h"
#include "common/version.h"
#include "dataplane/kafka/wire.h"

#define MAX_REQUEST  (8UL * 1024 * 1024)
#define LENGTH_BYTES 4

void slc_kafka_wire_init(slc_kafka_wire *wire, const slc_backend *backend, slc_kafka_tokens *tokens,
                         int cancel_fd)
{
    *wire = (slc_kafka_wire){.backend = backend, .tokens = tokens, .cancel_fd = cancel_fd, .fd = -1};
    slc_buf_init(&wire->out, MAX_REQUEST);
    slc_buf_init(&wire->in, SLC_KAFKA_WIRE_MAX_FRAME);
}

void slc_kafka_wire_close(slc_kafka_wire *wire)
{
    if (wire->ssl != NULL)
        SSL_free(wire->ssl); /* no close_notify: nothing is owed on a connection of questions */
    wire->ssl = NULL;
    if (wire->fd >= 0)
        close(wire->fd);
    wire->fd = -1;
    wire->renew_ms = 0;
}

void slc_kafka_wire_release(slc_kafka_wire *wire)
{
    slc_kafka_wire_close(wire);
    if (wire->tls != NULL)
        SSL_CTX_free(wire->tls);
    wire->tls = NULL;
    slc_buf_release(&wire->out);
    slc_buf_release(&wire->in);
}

/* Waiting -----------------------------------------------------------------------------------------------------
 */

bool slc_kafka_wire_wait(slc_kafka_wire *wire, short events, slc_error *err)
{
    struct pollfd fds[2] = {{.fd = wire->fd, .events = events}, {.fd = wire->cancel_fd, .events = POLLIN}};
    for (;;) {
        int64_t left_ms = wire->deadline_ms - slc_monotonic_ms();
        if (left_ms <= 0)
            return slc_fail(err, SLC_TIMEOUT, NULL, "%s did not answer in time", wire->peer);
        int ready = poll(fds, 2, left_ms > 60000 ? 60000 : (int)left_ms);
        if (ready < 0 && errno != EINTR)
            return slc_fail(err, SLC_UNAVAILABLE, NULL, "%s: %s", wire->peer, strerror(errno));
        if (ready > 0 && fds[1].revents != 0)
            return slc_fail(err, SLC_UNAVAILABLE, NULL, "the backend is being closed");
        if (ready > 0 && fds[0].revents != 0)
            return true;
    }
}

/* Connecting
 * ---------------------------------------------------------------------------------------------------
 */

static bool connect_to(slc_kafka_wire *wire, const struct sockaddr *address, socklen_t len, slc_error *err)
{
    int one = 1, failure = 0;
    socklen_t size = sizeof failure;
    wire->fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (wire->fd < 0)
        return slc_fail(err, SLC_UNAVAILABLE, NULL, "%s: %s", wire->peer, strerror(errno));
    setsockopt(wire->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(wire->fd, address, len) == 0)
        return true;
    if (errno != EINPROGRESS)
        failure = errno;
    else if (!slc_kafka_wire_wait(wire, POLLOUT, err))
        return false;
    if (failure == 0)
        getsockopt(wire->fd, SOL_SOCKET, SO_ERROR, &failure, &size);
    return failure == 0 || slc_fail(err, SLC_UNAVAILABLE, NULL, "%s: %s", wire->peer, strerror(failure));
}

/* Every address of the name, in the resolver's order. */
static bool dial(slc_kafka_wire *wire, const char *host, const char *port, slc_error *err)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG}, *list = NULL;
    int failure = getaddrinfo(host, port, &hints, &list);
    if (failure != 0)
        return slc_fail(err, SLC_UNAVAILABLE, NULL, "%s: %s", wire->peer, gai_strerror(failure));
    bool ok = false;
    for (const struct addrinfo *address = list; address != NULL && !ok; address = address->ai_next) {
        slc_kafka_wire_close(wire);
        ok = connect_to(wire, address->ai_addr, address->ai_addrlen, err);
    }
    freeaddrinfo(list);
    return ok;
}

/* Frames
 * -------------------------------------------------------------------------------------------------------
 */

static bool tls_failed(slc_kafka_wire *wire, int result, slc_error *err)
{
    switch (SSL_get_error(wire->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        return slc_kafka_wire_wait(wire, POLLIN, err);
    case SSL_ERROR_WANT_WRITE:
        return slc_kafka_wire_wait(wire, POLLOUT, err);
    default:
        return slc_fail(err, SLC_UNAVAILABLE, NULL, "%s closed the TLS connection", wire->peer);
    }
}

/* One turn: bytes moved, 0 to try again, -1 with `err`. */
static long move(slc_kafka_wire *wire, void *data, size_t len, bool write, slc_error *err)
{
    long n;
    int part = len > 1 << 20 ? 1 << 20 : (int)len;
    if (wire->ssl != NULL) {
        n = write ? SSL_write(wire->ssl, data, part) : SSL_read(wire->ssl, data, part);
        return n > 0 ? n : tls_failed(wire, (int)n, err) ? 0 : -1;
    }
    n = write ? send(wire->fd, data, len, MSG_NOSIGNAL) : recv(wire->fd, data, len, 0);
    if (n > 0)
        return n;
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return slc_kafka_wire_wait(wire, write ? POLLOUT : POLLIN, err) ? 0 : -1;
    slc_fail(err, SLC_UNAVAILABLE, NULL, "%s: %s", wire->peer, n == 0 ? "connection closed" : strerror(errno));
    return -1;
}

static bool move_all(slc_kafka_wire *wire, uint8_t *data, size_t len, bool write, slc_error *err)
{
    while (len > 0) {
        long n = move(wire, data, len, write, err);
        if (n < 0)
            return false;
        data += n;
        len -= (size_t)n;
    }
    return true;
}

static bool receive(slc_kafka_wire *wire, slc_error *err)
{
    uint8_t length[LENGTH_BYTES];
    if (!move_all(wire, length, sizeof length, false, err))
        return false;
    uint32_t size = slc_kafka_get32(length);
    slc_buf_clear(&wire->in);
    /* The limit also tells a TLS alert, or another protocol, from a frame. */
    uint8_t *frame = size <= SLC_KAFKA_WIRE_MAX_FRAME ? slc_buf_extend(&wire->in, size) : NULL;
    if (frame == NULL)
        return slc_fail(err, SLC_INVALID, NULL, "%s does not answer as Kafka does; is its listener a TLS one?",
                        wire->peer);
    return move_all(wire, frame, size, false, err);
}

int32_t slc_kafka_wire_next_id(slc_kafka_wire *wire)
{
    slc_buf_clear(&wire->out);
    wire->correlation = (wire->correlation + 1) & 0x7fffffff;
    return wire->correlation;
}

bool slc_kafka_wire_call(slc_kafka_wire *wire, slc_error *err)
{
    if (move_all(wire, wire->out.data, wire->out.len, true, err) && receive(wire, err))
        return true;
    slc_kafka_wire_close(wire);
    return false;
}

/* Opening
 * ------------------------------------------------------------------------------------------------------
 */

static bool ask_versions(slc_kafka_wire *wire, int version, slc_error *err)
{
    int32_t id = slc_kafka_wire_next_id(wire);
    return slc_kafka_api_versions_request(&wire->out, version, id, SLC_KAFKA_WIRE_CLIENT, "sluice", SLC_VERSION,
                                          err) &&
           slc_kafka_wire_call(wire, err) &&
           slc_kafka_api_versions_response(wire->in.data, wire->in.len, version, id, &wire->versions, err);
}

static bool negotiate(slc_kafka_wire *wire, slc_error *err)
{
    if (!ask_versions(wire, 3, err))
        return false;
    if (wire->versions.error == SLC_KAFKA_ERROR_UNSUPPORTED_VERSION && !ask_versions(wire, 0, err))
        return false;
    return wire->versions.error == 0 || slc_fail(err, SLC_UNAVAILABLE, NULL, "%s: ApiVersions fails with %d",
                                                 wire->peer, wire->versions.error);
}

/* On the connected socket. */
static bool secure(slc_kafka_wire *wire, const char *host, slc_error *err)
{
    const Sluice__Snapshot__V1__Backend *msg = wire->backend->msg;
    bool sasl = msg->mechanism != NULL && msg->mechanism[0] != '\0' && strcmp(msg->mechanism, "none") != 0;
    return (msg->tls == NULL || !msg->tls->enabled || slc_kafka_wire_start_tls(wire, host, err)) &&
           negotiate(wire, err) && (!sasl || slc_kafka_wire_authenticate(wire, err));
}

bool slc_kafka_wire_open(slc_kafka_wire *wire, const char *server, slc_error *err)
{
    char host[256], port[8];
    uint16_t number = 0;
    slc_kafka_wire_close(wire);
    if (!slc_address_split(server, host, sizeof host, &number, err))
        return false;
    snprintf(port, sizeof port, "%u", number);
    snprintf(wire->peer, sizeof wire->peer, "%s", server);
    if (dial(wire, host, port, err) && secure(wire, host, err))
        return true;
    slc_kafka_wire_close(wire);
    return false;
}

bool slc_kafka_wire_open_at(slc_kafka_wire *wire, const struct sockaddr *address, socklen_t len,
                            const char *host, slc_error *err)
{
    slc_kafka_wire_close(wire);
    snprintf(wire->peer, sizeof wire->peer, "%s", host);
    if (connect_to(wire, address, len, err) && secure(wire, host, err))
        return true;
    slc_kafka_wire_close(wire);
    return false;
}

long slc_kafka_wire_try(slc_kafka_wire *wire, void *data, size_t len, bool write)
{
    long n;
    if (wire->ssl != NULL) {
        ERR_clear_error();
        n = write ? SSL_write(wire->ssl, data, (int)len) : SSL_read(wire->ssl, data, (int)len);
        int reason = n > 0 ? SSL_ERROR_NONE : SSL_get_error(wire->ssl, (int)n);
        return n > 0 ? n : reason == SSL_ERROR_WANT_READ || reason == SSL_ERROR_WANT_WRITE ? 0 : -1;
    }
    n = write ? send(wire->fd, data, len, MSG_NOSIGNAL) : recv(wire->fd, data, len, 0);
    if (n > 0)
        return n;
    return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
}

bool slc_kafka_wire_has_more(const slc_kafka_wire *wire)
{
    return wire->ssl != NULL && SSL_pending(wire->ssl) > 0;
}

bool slc_kafka_wire_knows(const slc_kafka_wire *wire, int key, int version)
{
    return version >= wire->versions.of[key].min && version <= wire->versions.of[key].max;
}
