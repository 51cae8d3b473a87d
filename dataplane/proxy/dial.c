/* The socket of a connection in the making: lookup, connect to one address after the other, TLS, and carrying
 * the conversation of dial_talk.c. */
#include "dataplane/proxy/dial.h"

#include <errno.h>
#include <event2/dns.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/clock.h"
#include "dataplane/broker/backend_tls.h"
#include "dataplane/kafka/wire.h"
#include "dataplane/proxy/dial_private.h"

#define DIAL_MAGIC 0x51cd1a1eu
#define READ_BYTES 4096

static void try_address(slc_dial *dial);
static void on_io(evutil_socket_t fd, short what, void *arg);

bool slc_dial_parse(const char *address, char host[256], uint16_t *port)
{
    const char *colon = strrchr(address, ':');
    if (colon == NULL || colon == address)
        return false;
    size_t len = (size_t)(colon - address);
    if (address[0] == '[' && colon[-1] == ']') {
        address++;
        len -= 2;
    }
    char *end;
    long number = strtol(colon + 1, &end, 10);
    if (len == 0 || len > 255 || colon[1] == '\0' || *end != '\0' || number < 1 || number > 65535)
        return false;
    memcpy(host, address, len);
    host[len] = '\0';
    *port = (uint16_t)number;
    return true;
}

/* ---- ends ---- */

static void close_socket(slc_dial *dial)
{
    if (dial->io != NULL)
        event_free(dial->io);
    dial->io = NULL;
    if (dial->tokens != NULL)
        slc_kafka_tokens_unwait(dial->tokens, &dial->token);
    if (dial->ssl != NULL)
        SSL_free(dial->ssl);
    dial->ssl = NULL;
    if (dial->fd >= 0)
        close(dial->fd);
    dial->fd = -1;
}

static void free_dial(slc_dial *dial)
{
    close_socket(dial);
    event_free(dial->timer);
    event_free(dial->finish);
    if (dial->addresses != NULL)
        evutil_freeaddrinfo(dial->addresses);
    if (dial->out.data != NULL)
        explicit_bzero(dial->out.data, dial->out.cap);
    slc_buf_release(&dial->out);
    slc_buf_release(&dial->in);
    slc_buf_release(&dial->features);
    if (dial->scram_open)
        slc_scram_client_release(&dial->scram);
    slc_kafka_tokens_unref(dial->tokens);
    slc_backend_unref(dial->backend);
    SSL_CTX_free(dial->tls);
    dial->magic = 0;
    free(dial);
}

void slc_dial_cancel(slc_dial *dial)
{
    SLC_CHECK_MAGIC(dial, DIAL_MAGIC);
    dial->fn = NULL;
    event_del(dial->finish);
    close_socket(dial);
    if (dial->looking) {
        if (dial->lookup != NULL)
            evdns_getaddrinfo_cancel(dial->lookup); /* the callback comes and frees */
        return;
    }
    free_dial(dial);
}

static void on_finish(evutil_socket_t fd, short what, void *arg)
{
    slc_dial *dial = arg;
    (void)fd, (void)what;
    slc_dialled dialled = {
        .fd = dial->fd, .ssl = dial->ssl, .versions = &dial->versions, .features = &dial->features};
    bool ok = dial->talk == SLC_TALK_READY && dial->fd >= 0;
    slc_dial_fn *fn = dial->fn;
    if (ok) {
        event_free(dial->io);
        dial->io = NULL;
        dial->fd = -1;
        dial->ssl = NULL;
    }
    dial->fn = NULL;
    fn(dial->ctx, ok ? &dialled : NULL, ok ? NULL : &dial->err);
    if (!dial->looking)
        free_dial(dial);
}

/* From the loop, so that nobody is called back from inside a start. */
static void finish(slc_dial *dial)
{
    event_del(dial->timer);
    if (dial->io != NULL)
        event_del(dial->io);
    event_active(dial->finish, EV_TIMEOUT, 0);
}

static void fail(slc_dial *dial)
{
    slc_fail_context(&dial->err, "%s:%u", dial->host, dial->port);
    close_socket(dial);
    finish(dial);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    slc_dial *dial = arg;
    (void)fd, (void)what;
    slc_fail(&dial->err, SLC_TIMEOUT, NULL, "%s",
             dial->fd < 0                         ? "its name is not resolved in time"
             : !dial->connected                   ? "it does not accept the connection in time"
             : dial->talk == SLC_TALK_TOKEN       ? "its access token is not there in time"
             : dial->ssl == NULL || dial->secured ? "it does not answer in time"
                                                  : "the TLS handshake takes too long");
    if (dial->looking && dial->lookup != NULL) {
        struct evdns_getaddrinfo_request *lookup = dial->lookup;
        dial->lookup = NULL;
        evdns_getaddrinfo_cancel(lookup);
    }
    fail(dial);
}

/* ---- the conversation ---- */

enum talk_step { TALK_MORE, TALK_WAIT_READ, TALK_WAIT_WRITE, TALK_BROKEN };

static enum talk_step flush_out(slc_dial *dial)
{
    while (dial->sent < dial->out.len) {
        const uint8_t *data = dial->out.data + dial->sent;
        size_t len = dial->out.len - dial->sent;
        ssize_t sent = dial->ssl != NULL ? SSL_write(dial->ssl, data, (int)len) : write(dial->fd, data, len);
        if (sent > 0) {
            dial->sent += (size_t)sent;
            continue;
        }
        int why = dial->ssl != NULL ? SSL_get_error(dial->ssl, (int)sent) : 0;
        ERR_clear_error();
        if (dial->ssl == NULL ? errno == EAGAIN : why == SSL_ERROR_WANT_WRITE)
            return TALK_WAIT_WRITE;
        return why == SSL_ERROR_WANT_READ ? TALK_WAIT_READ : TALK_BROKEN;
    }
    if (dial->out.data != NULL)
        explicit_bzero(dial->out.data, dial->out.len);
    slc_buf_clear(&dial->out);
    dial->sent = 0;
    return TALK_MORE;
}

static enum talk_step fill_in(slc_dial *dial)
{
    uint8_t data[READ_BYTES];
    ssize_t got =
        dial->ssl != NULL ? SSL_read(dial->ssl, data, sizeof data) : read(dial->fd, data, sizeof data);
    if (got > 0)
        return slc_buf_add(&dial->in, data, (size_t)got) ? TALK_MORE : TALK_BROKEN;
    int why = dial->ssl != NULL ? SSL_get_error(dial->ssl, (int)got) : 0;
    ERR_clear_error();
    if (dial->ssl == NULL ? got < 0 && errno == EAGAIN : why == SSL_ERROR_WANT_READ)
        return TALK_WAIT_READ;
    return why == SSL_ERROR_WANT_WRITE ? TALK_WAIT_WRITE : TALK_BROKEN;
}

/* A whole answer, if there is one. False with dial->err when it is bad. */
static bool take_answer(slc_dial *dial, bool *taken)
{
    *taken = false;
    if (dial->in.len < 4)
        return true;
    uint32_t size = slc_kafka_get32(dial->in.data);
    if (size > SLC_DIAL_MAX_FRAME)
        return slc_fail(
            &dial->err, SLC_INVALID, NULL,
            "it does not speak Kafka here, or expects TLS where the backend has none (or the reverse)");
    if (dial->in.len < 4 + (size_t)size)
        return true;
    *taken = true;
    bool ok = slc_dial_talk_answer(dial, dial->in.data + 4, size, &dial->err);
    size_t rest = dial->in.len - 4 - size;
    if (ok && rest > 0)
        return slc_fail(&dial->err, SLC_INVALID, NULL, "the broker says more than it was asked");
    slc_buf_clear(&dial->in);
    return ok;
}

static void wait_for(slc_dial *dial, short what)
{
    event_del(dial->io);
    event_assign(dial->io, dial->base, dial->fd, what, on_io, dial);
    event_add(dial->io, NULL);
}

static void converse(slc_dial *dial);

static void on_token(evutil_socket_t fd, short what, void *arg)
{
    slc_dial *dial = arg;
    (void)fd, (void)what;
    event_del(dial->io);
    if (slc_dial_talk_token(dial, &dial->err))
        converse(dial);
    else
        fail(dial);
}

/* The broker has nothing to say meanwhile. */
static void wait_for_token(slc_dial *dial)
{
    event_del(dial->io);
    event_assign(dial->io, dial->base, dial->token.fd, EV_READ, on_token, dial);
    event_add(dial->io, NULL);
}

static void converse(slc_dial *dial)
{
    for (;;) {
        bool taken;
        enum talk_step state = dial->out.len > 0 ? flush_out(dial) : TALK_MORE;
        if (state == TALK_MORE)
            state = fill_in(dial);
        if (state == TALK_BROKEN) {
            slc_fail(&dial->err, SLC_UNAVAILABLE, NULL,
                     "the broker closed the connection while it was set up (does it expect TLS or SASL?)");
            fail(dial);
            return;
        }
        if (state != TALK_MORE) {
            wait_for(dial, state == TALK_WAIT_WRITE ? EV_WRITE : EV_READ);
            return;
        }
        if (!take_answer(dial, &taken)) {
            fail(dial);
            return;
        }
        if (taken && dial->talk == SLC_TALK_READY) {
            finish(dial);
            return;
        }
        if (taken && dial->talk == SLC_TALK_TOKEN) {
            wait_for_token(dial);
            return;
        }
    }
}

/* ---- TLS ---- */

static void shake_hands(slc_dial *dial)
{
    ERR_clear_error();
    int done = SSL_connect(dial->ssl);
    if (done == 1) {
        dial->secured = true;
        converse(dial);
        return;
    }
    int why = SSL_get_error(dial->ssl, done);
    if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE) {
        wait_for(dial, why == SSL_ERROR_WANT_WRITE ? EV_WRITE : EV_READ);
        return;
    }
    slc_fail(&dial->err, SLC_UNAVAILABLE, NULL, "the TLS handshake failed: %s",
             slc_backend_tls_reason(dial->ssl, dial->backend->msg->tls));
    fail(dial);
}

/* ---- TCP ---- */

static void begin_talking(slc_dial *dial)
{
    dial->connected = true;
    if (!slc_dial_talk_begin(dial, &dial->err)) {
        fail(dial);
        return;
    }
    if (dial->tls == NULL) {
        converse(dial);
        return;
    }
    dial->ssl = SSL_new(dial->tls);
    SLC_BUG_ON(dial->ssl == NULL);
    SSL_set_fd(dial->ssl, dial->fd);
    if (!slc_backend_tls_expect(dial->ssl, dial->backend->msg->tls, dial->host)) {
        ERR_clear_error();
        slc_fail(&dial->err, SLC_INVALID, NULL, "the name cannot be used for TLS");
        fail(dial);
        return;
    }
    shake_hands(dial);
}

static void on_connected(slc_dial *dial)
{
    int error = 0;
    socklen_t len = sizeof error;
    getsockopt(dial->fd, SOL_SOCKET, SO_ERROR, &error, &len);
    if (error == 0) {
        begin_talking(dial);
        return;
    }
    slc_fail(&dial->err, SLC_UNAVAILABLE, NULL, "cannot connect: %s", strerror(error));
    close_socket(dial);
    dial->address = dial->address->ai_next;
    try_address(dial);
}

static void on_io(evutil_socket_t fd, short what, void *arg)
{
    slc_dial *dial = arg;
    (void)fd, (void)what;
    SLC_CHECK_MAGIC(dial, DIAL_MAGIC);
    if (!dial->connected)
        on_connected(dial);
    else if (dial->ssl != NULL && !dial->secured)
        shake_hands(dial);
    else
        converse(dial);
}

static void try_address(slc_dial *dial)
{
    for (; dial->address != NULL; dial->address = dial->address->ai_next) {
        const struct evutil_addrinfo *to = dial->address;
        int on = 1;
        dial->fd = socket(to->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (dial->fd < 0) {
            slc_fail(&dial->err, SLC_UNAVAILABLE, NULL, "no socket: %s", strerror(errno));
            continue;
        }
        setsockopt(dial->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        setsockopt(dial->fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
        if (connect(dial->fd, to->ai_addr, (socklen_t)to->ai_addrlen) == 0 || errno == EINPROGRESS) {
            dial->io = event_new(dial->base, dial->fd, EV_WRITE, on_io, dial);
            event_add(dial->io, NULL);
            return;
        }
        slc_fail(&dial->err, SLC_UNAVAILABLE, NULL, "cannot connect: %s", strerror(errno));
        close_socket(dial);
    }
    fail(dial);
}

static void on_resolved(int error, struct evutil_addrinfo *addresses, void *arg)
{
    slc_dial *dial = arg;
    SLC_CHECK_MAGIC(dial, DIAL_MAGIC);
    dial->looking = false;
    dial->lookup = NULL;
    dial->addresses = dial->address = addresses;
    if (dial->fn == NULL) { /* cancelled, or timed out and told */
        free_dial(dial);
        return;
    }
    if (dial->err.code != SLC_OK)
        return; /* timed out: the call is on its way */
    if (error != 0) {
        slc_fail(&dial->err, SLC_UNAVAILABLE, NULL, "its name cannot be resolved: %s",
                 evutil_gai_strerror(error));
        fail(dial);
        return;
    }
    try_address(dial);
}

slc_dial *slc_dial_start(const slc_dial_options *options, slc_dial_fn *fn, void *ctx)
{
    struct evutil_addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = EVUTIL_AI_ADDRCONFIG};
    struct timeval timeout = {options->timeout_ms / 1000, options->timeout_ms % 1000 * 1000};
    char port[8];
    slc_dial *dial = slc_calloc(1, sizeof *dial);
    dial->magic = DIAL_MAGIC;
    dial->base = options->base;
    dial->dns = options->dns;
    dial->backend = slc_backend_ref(options->backend);
    dial->tls = options->tls;
    if (dial->tls != NULL)
        SSL_CTX_up_ref(dial->tls);
    snprintf(dial->host, sizeof dial->host, "%s", options->host);
    dial->port = options->port;
    dial->authenticate = options->authenticate;
    dial->fn = fn;
    dial->ctx = ctx;
    dial->fd = -1;
    dial->token.fd = -1;
    dial->deadline_ms = slc_monotonic_ms() + options->timeout_ms;
    slc_buf_init(&dial->out, SLC_DIAL_MAX_FRAME);
    slc_buf_init(&dial->in, SLC_DIAL_MAX_FRAME + READ_BYTES);
    slc_buf_init(&dial->features, SLC_DIAL_MAX_FRAME);
    dial->timer = evtimer_new(dial->base, on_timer, dial);
    dial->finish = event_new(dial->base, -1, 0, on_finish, dial);
    event_add(dial->timer, &timeout);
    snprintf(port, sizeof port, "%u", dial->port);
    dial->looking = true;
    struct evdns_getaddrinfo_request *lookup =
        evdns_getaddrinfo(dial->dns, dial->host, port, &hints, on_resolved, dial);
    if (lookup != NULL && dial->looking)
        dial->lookup = lookup;
    return dial;
}
