/* One end of a session: a socket, plain or TLS, what came in by it and what goes out to it. The worker's
 * thread.
 *
 * What came in lies in a chunk from `start` to `stop`. Its first `pass` bytes go to the other end as they are;
 * they are written from where they lie, after everything in the other end's `out`. Between two plain sockets,
 * bytes that nobody has to see go by a pipe instead (splice(2)): `piped` of them are in it, between `out` and
 * what passes. Nothing is read into the chunk while there are any.
 */
#ifndef SLC_DATAPLANE_PROXY_END_H
#define SLC_DATAPLANE_PROXY_END_H

#include <event2/event.h>
#include <event2/event_struct.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <sys/uio.h>

#include "common/buf.h"
#include "dataplane/proxy/pool.h"

#define SLC_END_PARTS 64 /* that are written at once */

enum slc_io {
    SLC_IO_OK,
    SLC_IO_AGAIN,  /* the socket has nothing, or takes nothing, now */
    SLC_IO_FULL,   /* the chunk has no room left */
    SLC_IO_MEMORY, /* the pool has no chunk now */
    SLC_IO_EOF,
    SLC_IO_FAILED,
};

typedef struct slc_end {
    int fd; /* -1: closed */
    SSL *ssl;
    struct event readable, writable;
    uint8_t *chunk; /* NULL: nothing is held */
    uint32_t cap, start, stop, pass;
    uint32_t stranger_bytes; /* of the chunk, while `stranger` */
    uint32_t piped;
    slc_pipe *pipe; /* NULL: nothing was piped */
    bool stranger;  /* has not authenticated: shares little memory with others like it */
    bool large;     /* a read filled its chunk, not long ago: take large ones */
    uint32_t usual; /* size of a large one: of the last frame that had to be copied into a larger chunk, within
                       reason */
    uint8_t small_reads; /* in a row, while `large` */
    bool ready; /* the socket may have something to read: its event said so, and nothing since said it is empty
                 */
    bool reading, writing; /* the events are added */
    bool eof;
    slc_buf out;
    size_t out_sent;
    uint64_t bytes_in, bytes_out;
} slc_end;

/* Not yet connected. `out_limit` bounds what may be waiting in `out`. */
void slc_end_init(slc_end *end, size_t out_limit);
/* Takes over a connected, non-blocking socket and its SSL (NULL: plain). The events are assigned, not added. */
void slc_end_attach(slc_end *end, struct event_base *base, int fd, SSL *ssl, event_callback_fn on_readable,
                    event_callback_fn on_writable, void *arg);
/* Closes; gives the chunk back. */
void slc_end_release(slc_end *end, slc_pool *pool);

/* One read. SLC_IO_OK: there is more in the chunk. */
enum slc_io slc_end_read(slc_end *end, slc_pool *pool);
/* Moves up to `want` bytes from the socket to the pipe; the chunk must be empty, the socket plain. SLC_IO_OK:
 * `*moved` tells how many. SLC_IO_MEMORY: not in this way, they must be read. AGAIN, EOF, FAILED. */
enum slc_io slc_end_move(slc_end *end, slc_pool *pool, size_t want, size_t *moved);
/* Has TLS taken from the socket what was not read yet? No event tells of that. */
bool slc_end_holds_record(const slc_end *end);
/* Makes room for a frame that must be held whole: `size` bytes from start + pass on. SLC_IO_OK or
 * SLC_IO_MEMORY. */
enum slc_io slc_end_hold(slc_end *end, slc_pool *pool, size_t size);
/* It is no stranger any more. */
void slc_end_trust(slc_end *end, slc_pool *pool);
/* What is held and not passing. */
const uint8_t *slc_end_data(const slc_end *end, size_t *len);
/* Forgets `len` bytes; nothing may be passing. */
void slc_end_skip(slc_end *end, size_t len);
/* Gives the chunk and the pipe back when they are empty. */
void slc_end_rest(slc_end *end, slc_pool *pool);

/* Writes what waits in `to`, then what is piped and what passes from `from` (NULL: nothing is). SLC_IO_OK: all
 * is written; AGAIN, FAILED. */
enum slc_io slc_end_send(slc_end *to, slc_end *from);
/* Writes what waits, and then the parts, from where they lie and as far as the socket takes them; `more`:
 * others follow at once, so that what is left of a packet may wait for them. Returns how many bytes of the
 * parts were written; a broken socket shows at the next slc_end_send(). Nothing may be piped or passing towards
 * it. */
size_t slc_end_write(slc_end *to, const struct iovec *parts, size_t count, bool more);
/* Nothing is piped and nothing passes any more: it was written, or copied to `to->out`. False when that is
 * full.
 */
bool slc_end_settle(slc_end *to, slc_end *from);
/* Bytes from this end that wait to be written to the other as they are. */
size_t slc_end_passing(const slc_end *end);
/* Bytes that wait to be written to this end. */
size_t slc_end_waiting(const slc_end *end);

/* Waits for the socket; asking twice is fine. The callback sets `ready` when it is called for EV_READ. */
void slc_end_want_read(slc_end *end, bool want);
void slc_end_want_write(slc_end *end, bool want);

#endif
