#include "dataplane/proxy/end.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/assert.h"

#define SMALL_READS 32             /* in a row, before chunks are small again */
#define MOST_USUAL  (1024u * 1024) /* a larger chunk is taken for one frame alone */

void slc_end_init(slc_end *end, size_t out_limit)
{
    *end = (slc_end){.fd = -1, .usual = SLC_CHUNK_LARGE};
    slc_buf_init(&end->out, out_limit);
}

void slc_end_attach(slc_end *end, struct event_base *base, int fd, SSL *ssl, event_callback_fn on_readable,
                    event_callback_fn on_writable, void *arg)
{
    end->fd = fd;
    end->ssl = ssl;
    end->ready = true; /* the handshake may have read further than its own end */
    if (ssl != NULL)   /* what waits may be copied elsewhere between two attempts to write it */
        SSL_set_mode(ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    event_assign(&end->readable, base, fd, EV_READ | EV_PERSIST, on_readable, arg);
    event_assign(&end->writable, base, fd, EV_WRITE | EV_PERSIST, on_writable, arg);
}

static void charge(slc_end *end, slc_pool *pool, uint32_t bytes)
{
    if (!end->stranger)
        return;
    end->stranger_bytes = bytes;
    pool->stranger_bytes += bytes;
}

static void discharge(slc_end *end, slc_pool *pool)
{
    pool->stranger_bytes -= end->stranger_bytes;
    end->stranger_bytes = 0;
}

static uint8_t *take_chunk(slc_end *end, slc_pool *pool, size_t size, uint32_t *cap)
{
    if (end->stranger && !slc_pool_admits_stranger(pool, size))
        return NULL;
    uint8_t *chunk = slc_pool_take(pool, size, cap);
    if (chunk != NULL)
        charge(end, pool, *cap);
    return chunk;
}

void slc_end_trust(slc_end *end, slc_pool *pool)
{
    discharge(end, pool);
    end->stranger = false;
}

static void give_chunk(slc_end *end, slc_pool *pool)
{
    uint8_t *chunk = end->chunk;
    if (chunk == NULL)
        return;
    discharge(end, pool);
    end->chunk = NULL;
    end->start = end->stop = end->pass = 0;
    slc_pool_give(pool, chunk, end->cap);
}

static void give_pipe(slc_end *end, slc_pool *pool)
{
    slc_pipe *pipe = end->pipe;
    if (pipe == NULL)
        return;
    end->pipe = NULL;
    slc_pool_give_pipe(pool, pipe, end->piped == 0);
    end->piped = 0;
}

void slc_end_release(slc_end *end, slc_pool *pool)
{
    if (end->fd >= 0) {
        event_del(&end->readable);
        event_del(&end->writable);
        if (end->ssl != NULL) {
            SSL_set_quiet_shutdown(end->ssl, end->eof);
            SSL_shutdown(end->ssl);
            ERR_clear_error();
            SSL_free(end->ssl);
        }
        close(end->fd);
    }
    end->fd = -1;
    end->ssl = NULL;
    slc_buf_release(&end->out);
    give_chunk(end, pool);
    give_pipe(end, pool);
}

void slc_end_rest(slc_end *end, slc_pool *pool)
{
    if (end->start == end->stop)
        give_chunk(end, pool);
    if (end->piped == 0)
        give_pipe(end, pool);
}

/* ---- the chunk ---- */

static void move_to_front(slc_end *end)
{
    if (end->start == 0)
        return;
    memmove(end->chunk, end->chunk + end->start, end->stop - end->start);
    end->stop -= end->start;
    end->start = 0;
}

static enum slc_io make_room(slc_end *end, slc_pool *pool)
{
    if (end->chunk == NULL) {
        end->chunk = take_chunk(end, pool, end->large ? end->usual : SLC_CHUNK_SMALL, &end->cap);
        end->start = end->stop = end->pass = 0;
        return end->chunk != NULL ? SLC_IO_OK : SLC_IO_MEMORY;
    }
    if (end->stop < end->cap)
        return SLC_IO_OK;
    if (end->start > 0) {
        move_to_front(end);
        return SLC_IO_OK;
    }
    return SLC_IO_FULL;
}

enum slc_io slc_end_hold(slc_end *end, slc_pool *pool, size_t size)
{
    size_t needed = end->pass + size;
    if (end->start + needed <= end->cap)
        return SLC_IO_OK;
    move_to_front(end);
    if (needed <= end->cap)
        return SLC_IO_OK;
    uint32_t cap;
    discharge(end, pool);
    uint8_t *chunk = take_chunk(end, pool, needed, &cap);
    if (chunk == NULL) {
        charge(end, pool, end->cap);
        return SLC_IO_MEMORY;
    }
    uint8_t *old = end->chunk;
    uint32_t old_cap = end->cap;
    memcpy(chunk, old, end->stop);
    if (needed > SLC_CHUNK_LARGE)
        end->usual = needed <= MOST_USUAL ? (uint32_t)needed : SLC_CHUNK_LARGE;
    end->chunk = chunk;
    end->cap = cap;
    slc_pool_give(pool, old, old_cap);
    return SLC_IO_OK;
}

const uint8_t *slc_end_data(const slc_end *end, size_t *len)
{
    *len = end->stop - end->start - end->pass;
    return end->chunk != NULL ? end->chunk + end->start + end->pass : NULL;
}

void slc_end_skip(slc_end *end, size_t len)
{
    SLC_BUG_ON(end->pass > 0 || len > end->stop - end->start);
    end->start += (uint32_t)len;
}

/* ---- reading ---- */

static ssize_t read_tls(slc_end *end, uint8_t *data, size_t room, bool *again)
{
    int got = SSL_read(end->ssl, data, room > INT32_MAX ? INT32_MAX : (int)room);
    if (got > 0)
        return got;
    int why = SSL_get_error(end->ssl, got);
    ERR_clear_error();
    *again = why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE;
    /* A peer that closes without close_notify has closed: Kafka's frames tell what is cut. */
    return why == SSL_ERROR_ZERO_RETURN || (why == SSL_ERROR_SYSCALL && errno == 0) || why == SSL_ERROR_SSL
               ? 0
               : -1;
}

static ssize_t read_plain(slc_end *end, uint8_t *data, size_t room, bool *again)
{
    ssize_t got = read(end->fd, data, room);
    *again = got < 0 && (errno == EAGAIN || errno == EINTR);
    return got;
}

/* A large transfer has small reads in it, and a small chunk cuts the next piece into more writes and wake-ups
 * than it needs. */
static void judge_size(slc_end *end, size_t got, size_t space)
{
    if (got >= SLC_CHUNK_SMALL || got == space) {
        end->small_reads = 0;
    } else if (end->large && ++end->small_reads == SMALL_READS) {
        end->large = false;
        end->usual = SLC_CHUNK_LARGE;
    }
    if (got == space)
        end->large = true;
}

enum slc_io slc_end_read(slc_end *end, slc_pool *pool)
{
    bool again = false;
    enum slc_io room = make_room(end, pool);
    if (room != SLC_IO_OK)
        return room;
    size_t space = end->cap - end->stop;
    uint8_t *data = end->chunk + end->stop;
    ssize_t got = end->ssl != NULL ? read_tls(end, data, space, &again) : read_plain(end, data, space, &again);
    if (got > 0) {
        end->stop += (uint32_t)got;
        end->bytes_in += (uint64_t)got;
        judge_size(end, (size_t)got, space);
        /* A socket that gave less than it could has no more; what comes now is told by the event. TLS gives one
         * record at a time. */
        end->ready = end->ssl != NULL || (size_t)got == space;
        return SLC_IO_OK;
    }
    if (again) {
        end->ready = false;
        return SLC_IO_AGAIN;
    }
    end->eof = true;
    return got == 0 ? SLC_IO_EOF : SLC_IO_FAILED;
}

enum slc_io slc_end_move(slc_end *end, slc_pool *pool, size_t want, size_t *moved)
{
    SLC_BUG_ON(end->chunk != NULL || end->ssl != NULL || end->piped > 0);
    if (end->pipe == NULL)
        end->pipe = slc_pool_take_pipe(pool);
    if (end->pipe == NULL)
        return SLC_IO_MEMORY;
    if (want > SLC_PIPE_BYTES)
        want = SLC_PIPE_BYTES;
    ssize_t got = splice(end->fd, NULL, end->pipe->in, NULL, want, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    if (got > 0) {
        *moved = (size_t)got;
        end->piped = (uint32_t)got;
        end->bytes_in += (uint64_t)got;
        end->large = false; /* what comes between two pieces that are moved is small */
        end->ready = (size_t)got == want;
        return SLC_IO_OK;
    }
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        end->ready = false;
        return SLC_IO_AGAIN;
    }
    end->eof = true;
    return got == 0 ? SLC_IO_EOF : SLC_IO_FAILED;
}

bool slc_end_holds_record(const slc_end *end)
{
    return end->ssl != NULL && SSL_has_pending(end->ssl) == 1;
}

/* ---- writing ---- */

static ssize_t write_tls(slc_end *end, const uint8_t *data, size_t len, bool *again)
{
    int sent = SSL_write(end->ssl, data, len > INT32_MAX ? INT32_MAX : (int)len);
    if (sent > 0)
        return sent;
    int why = SSL_get_error(end->ssl, sent);
    ERR_clear_error();
    *again = why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE;
    return -1;
}

static ssize_t write_some(slc_end *end, struct iovec *parts, int count, bool *again)
{
    if (end->ssl != NULL)
        return write_tls(end, parts[0].iov_base, parts[0].iov_len, again);
    ssize_t sent = writev(end->fd, parts, count);
    *again = sent < 0 && (errno == EAGAIN || errno == EINTR);
    return sent;
}

static void sent_some(slc_end *to, slc_end *from, size_t sent)
{
    size_t waiting = to->out.len - to->out_sent;
    size_t of_out = sent < waiting ? sent : waiting;
    to->bytes_out += sent;
    to->out_sent += of_out;
    if (to->out_sent == to->out.len) {
        if (to->out.cap > SLC_CHUNK_SMALL) {
            size_t max = to->out.max;
            slc_buf_release(&to->out);
            slc_buf_init(&to->out, max);
        } else {
            slc_buf_clear(&to->out);
        }
        to->out_sent = 0;
    }
    if (from != NULL) {
        from->start += (uint32_t)(sent - of_out);
        from->pass -= (uint32_t)(sent - of_out);
    }
}

static size_t write_parts_tls(slc_end *to, const struct iovec *parts, size_t count)
{
    size_t written = 0;
    bool again;
    if (slc_end_send(to, NULL) != SLC_IO_OK)
        return 0;
    for (size_t i = 0; i < count; i++) {
        for (size_t at = 0; at < parts[i].iov_len;) {
            ssize_t sent =
                write_tls(to, (const uint8_t *)parts[i].iov_base + at, parts[i].iov_len - at, &again);
            if (sent <= 0)
                return written;
            at += (size_t)sent;
            written += (size_t)sent;
            to->bytes_out += (size_t)sent;
        }
    }
    return written;
}

size_t slc_end_write(slc_end *to, const struct iovec *parts, size_t count, bool more)
{
    struct iovec all[1 + SLC_END_PARTS];
    size_t waiting = to->out.len - to->out_sent, used = 0;
    SLC_BUG_ON(count > SLC_END_PARTS);
    if (to->ssl != NULL)
        return write_parts_tls(to, parts, count);
    if (waiting > 0)
        all[used++] = (struct iovec){to->out.data + to->out_sent, waiting};
    memcpy(all + used, parts, count * sizeof *parts);
    const struct msghdr message = {.msg_iov = all, .msg_iovlen = used + count};
    ssize_t sent = sendmsg(to->fd, &message, MSG_NOSIGNAL | (more ? MSG_MORE : 0));
    if (sent <= 0)
        return 0;
    sent_some(to, NULL, (size_t)sent);
    return (size_t)sent > waiting ? (size_t)sent - waiting : 0;
}

/* What is in the pipe; `out` is empty. */
static enum slc_io send_piped(slc_end *to, slc_end *from)
{
    while (from->piped > 0) {
        ssize_t sent =
            splice(from->pipe->out, NULL, to->fd, NULL, from->piped, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
        if (sent <= 0)
            return sent < 0 && (errno == EAGAIN || errno == EINTR) ? SLC_IO_AGAIN : SLC_IO_FAILED;
        to->bytes_out += (uint64_t)sent;
        from->piped -= (uint32_t)sent;
    }
    return SLC_IO_OK;
}

enum slc_io slc_end_send(slc_end *to, slc_end *from)
{
    for (;;) {
        struct iovec parts[2];
        int count = 0;
        bool again = false;
        bool piped = from != NULL && from->piped > 0;
        if (to->out.len > to->out_sent)
            parts[count++] = (struct iovec){to->out.data + to->out_sent, to->out.len - to->out_sent};
        if (from != NULL && from->pass > 0 && !piped)
            parts[count++] = (struct iovec){from->chunk + from->start, from->pass};
        if (count == 0 && !piped)
            return SLC_IO_OK;
        if (count == 0) {
            enum slc_io io = send_piped(to, from);
            if (io != SLC_IO_OK)
                return io;
            continue;
        }
        ssize_t sent = write_some(to, parts, count, &again);
        if (sent <= 0)
            return again ? SLC_IO_AGAIN : SLC_IO_FAILED;
        sent_some(to, piped ? NULL : from, (size_t)sent);
    }
}

/* Copies what is in the pipe behind what waits. */
static bool empty_pipe(slc_end *to, slc_end *from)
{
    uint8_t *room = slc_buf_extend(&to->out, from->piped);
    if (room == NULL)
        return false;
    while (from->piped > 0) {
        ssize_t got = read(from->pipe->out, room, from->piped);
        SLC_BUG_ON(got <= 0); /* it is there */
        room += got;
        from->piped -= (uint32_t)got;
    }
    return true;
}

bool slc_end_settle(slc_end *to, slc_end *from)
{
    if (slc_end_passing(from) == 0)
        return true;
    if (to->fd >= 0 && slc_end_send(to, from) == SLC_IO_OK)
        return true; /* a broken socket shows at the next write */
    if (from->piped > 0 && !empty_pipe(to, from))
        return false;
    if (from->pass > 0 && !slc_buf_add(&to->out, from->chunk + from->start, from->pass))
        return false;
    from->start += from->pass;
    from->pass = 0;
    return true;
}

size_t slc_end_passing(const slc_end *end)
{
    return (size_t)end->piped + end->pass;
}

size_t slc_end_waiting(const slc_end *end)
{
    return end->out.len - end->out_sent;
}

static void want(struct event *event, bool *added, bool wanted)
{
    if (*added == wanted)
        return;
    *added = wanted;
    if (wanted)
        event_add(event, NULL);
    else
        event_del(event);
}

void slc_end_want_read(slc_end *end, bool wanted)
{
    want(&end->readable, &end->reading, wanted);
}

void slc_end_want_write(slc_end *end, bool wanted)
{
    want(&end->writable, &end->writing, wanted);
}
