/* Moving a session's bytes, both ways, until something has to be waited for; and what comes after the last
 * ones. */
#include <openssl/err.h>
#include <sys/socket.h>

#include "common/clock.h"
#include "dataplane/proxy/session_private.h"

#define LINGER_MS 5000
#define BURST     8 /* reads from one end before others have their turn */

/* Everything that is known to be wanted from here on. */
static void wait_for_sockets(slc_session *session, bool read_client, bool read_broker)
{
    bool broker = session->broker.fd >= 0;
    if (session->allowed)
        slc_proxy_stranger_gone(session);
    slc_end_want_read(&session->client, read_client);
    slc_end_want_write(&session->client,
                       slc_end_waiting(&session->client) > 0 || slc_end_passing(&session->broker) > 0);
    if (!broker)
        return;
    slc_end_want_read(&session->broker, read_broker);
    slc_end_want_write(&session->broker,
                       slc_end_waiting(&session->broker) > 0 || slc_end_passing(&session->client) > 0);
}

enum flow {
    FLOW_READ,  /* wait for more from the socket */
    FLOW_STOP,  /* do not read: the other end or something else is waited for */
    FLOW_EOF,   /* the socket has ended, and everything that it said was passed on */
    FLOW_CLOSE, /* session->why */
    FLOW_BROKEN /* a socket failed: an ordinary end */
};

/* A piece that must be seen whole is larger than the chunk. */
static bool grow(slc_session *session, slc_end *from)
{
    size_t len;
    (void)slc_end_data(from, &len);
    return slc_end_hold(from, &session->front->pool, len + SLC_CHUNK_LARGE) == SLC_IO_OK;
}

/* A way through the session. */
struct way {
    enum slc_parse (*parse)(slc_session *session);
    size_t (*unseen)(slc_session *session); /* bytes to come that nobody has to see */
    void (*moved)(slc_session *session, size_t len);
};

static const struct way upwards = {slc_session_requests, slc_session_request_unseen, slc_session_request_moved};
static const struct way downwards = {slc_session_responses, slc_session_response_unseen,
                                     slc_session_response_moved};

/* More from the socket: moved past us when there is enough of it that nobody has to see, else read. */
static enum slc_io take_in(slc_session *session, slc_end *from, slc_end *to, const struct way *way)
{
    slc_pool *pool = &session->front->pool;
    size_t enough = (size_t)session->front->limits->kafka_splice_bytes, moved = 0;
    if (enough > 0 && from->chunk == NULL && from->ssl == NULL && to->ssl == NULL && to->fd >= 0) {
        size_t unseen = way->unseen(session);
        enum slc_io io = unseen >= enough ? slc_end_move(from, pool, unseen, &moved) : SLC_IO_MEMORY;
        if (io == SLC_IO_OK)
            way->moved(session, moved);
        if (io != SLC_IO_MEMORY)
            return io;
    }
    return slc_end_read(from, pool);
}

/* From one end to the other until something has to be waited for. */
static enum flow flow(slc_session *session, slc_end *from, slc_end *to, const struct way *way)
{
    for (int reads = 0;; reads++) {
        enum slc_parse parsed = way->parse(session);
        enum slc_io sent = to->fd >= 0 ? slc_end_send(to, from) : SLC_IO_OK;
        if (sent == SLC_IO_FAILED)
            return FLOW_BROKEN;
        if (parsed == SLC_PARSE_CLOSE)
            return FLOW_CLOSE;
        if (parsed == SLC_PARSE_MEMORY)
            slc_pool_wait(&session->front->pool, &session->memory);
        slc_end_rest(from, &session->front->pool);
        if (sent == SLC_IO_AGAIN || parsed == SLC_PARSE_MEMORY)
            return FLOW_STOP;
        if (parsed == SLC_PARSE_WAIT)
            return from->eof ? FLOW_EOF : FLOW_STOP;
        if (from->eof)
            return FLOW_EOF;
        if (!from->ready || (reads >= BURST && !slc_end_holds_record(from)))
            return FLOW_READ;
        enum slc_io got = take_in(session, from, to, way);
        if (got == SLC_IO_MEMORY) {
            slc_pool_wait(&session->front->pool, &session->memory);
            return FLOW_STOP;
        }
        if (got == SLC_IO_AGAIN) {
            slc_end_rest(from, &session->front->pool);
            return FLOW_READ;
        }
        if (got == SLC_IO_FULL && (from->pass > 0 || !grow(session, from)))
            return FLOW_STOP;
    }
}

/* The client has gone. What it sent without wanting an answer is still on its way, and closing a socket with
 * unread answers would reset it. */
static void linger(slc_session *session)
{
    session->state = SLC_SESSION_LINGER;
    session->deadline_ms = slc_monotonic_ms() + LINGER_MS;
    slc_end_want_read(&session->client, false);
    slc_end_want_write(&session->client, false);
    if (session->broker.ssl != NULL)
        SSL_shutdown(session->broker.ssl);
    ERR_clear_error();
    shutdown(session->broker.fd, SHUT_WR);
    slc_end_want_read(&session->broker, true);
}

void slc_session_drain_broker(slc_session *session)
{
    enum slc_io io;
    while ((io = slc_end_read(&session->broker, &session->front->pool)) == SLC_IO_OK) {
        session->broker.start = session->broker.stop = session->broker.pass = 0;
        slc_end_rest(&session->broker, &session->front->pool);
    }
    if (io == SLC_IO_EOF || io == SLC_IO_FAILED)
        slc_session_close(session);
}

static void after_eof(slc_session *session, bool client)
{
    if (client && session->broker.fd >= 0)
        linger(session);
    else
        slc_session_close(session);
}

/* Everything that was taken from the client is answered, or on its way where no answer is wanted. */
bool slc_session_settled(const slc_session *session)
{
    return session->flights.count == 0 && session->request_left == 0 && session->response_left == 0 &&
           slc_end_passing(&session->client) == 0 && slc_end_passing(&session->broker) == 0 &&
           slc_end_waiting(&session->client) == 0 && slc_end_waiting(&session->broker) == 0;
}

void slc_session_move(slc_session *session)
{
    enum flow up, down = FLOW_STOP;
    if (session->allowed && session->client.stranger)
        slc_end_trust(&session->client, &session->front->pool);
    up = session->closing ? FLOW_STOP : flow(session, &session->client, &session->broker, &upwards);
    if (up != FLOW_CLOSE && up != FLOW_BROKEN && session->broker.fd >= 0)
        down = flow(session, &session->broker, &session->client, &downwards);
    else if (up != FLOW_BROKEN && slc_end_send(&session->client, NULL) == SLC_IO_FAILED)
        up = FLOW_BROKEN;
    if (up == FLOW_CLOSE || down == FLOW_CLOSE || up == FLOW_BROKEN || down == FLOW_BROKEN) {
        slc_session_close(session);
        return;
    }
    if (up == FLOW_STOP && down != FLOW_STOP &&
        !session->closing) /* an answer may have made room for a request */
        up = flow(session, &session->client, &session->broker, &upwards);
    if (up == FLOW_EOF && (session->looking || session->pauses[true].until_ms != 0))
        up = FLOW_STOP; /* a request waits for an answer before it can be sent, or for what a policy needs */
    if (down == FLOW_EOF && session->pauses[false].until_ms != 0)
        down = FLOW_STOP;
    bool written = slc_end_waiting(&session->client) == 0 && slc_end_passing(&session->broker) == 0;
    bool leaving = session->misplaced || session->cut_off || session->front->draining;
    if ((session->closing && written) || (leaving && slc_session_settled(session)))
        slc_session_close(session);
    else if (up == FLOW_CLOSE || up == FLOW_BROKEN)
        slc_session_close(session);
    else if (up == FLOW_EOF)
        after_eof(session, true);
    else if (down == FLOW_EOF && written)
        after_eof(session, false);
    else
        wait_for_sockets(session, up == FLOW_READ, down == FLOW_READ);
}
