#include "controlplane/admin/download.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/httpd.h"
#include "common/log.h"

#define PIECE_BYTES    (256 * 1024)
#define DOWNLOAD_MAGIC 0x51d0110au

struct download {
    unsigned magic;
    slc_loop *loop;
    slc_catalog *catalog;
    slc_call *call;
    void (*done)(slc_call *call);
    int64_t offset;
    size_t piece_len;
    char *piece;
    bool reading; /* a task has it */
    bool ended;   /* the answer is complete, as far as we are concerned */
    bool gone;    /* the client is */
};

static void read_next(struct download *download);

static void release(struct download *download)
{
    void (*done)(slc_call *) = download->done;
    slc_call *call = download->call;
    free(download->piece);
    download->magic = 0;
    free(download);
    done(call);
}

/* The answer of a client that has gone must still be given: it frees the request. */
static void give_up(struct download *download)
{
    if (!download->ended)
        evhttp_send_reply_end(download->call->req);
    release(download);
}

static void on_end(struct evhttp_request *req, bool completed, void *arg)
{
    struct download *download = arg;
    (void)req;
    SLC_CHECK_MAGIC(download, DOWNLOAD_MAGIC);
    download->gone = !completed;
    if (completed)
        release(download);
    else if (!download->reading ||
             !slc_loop_is_current(download->loop)) /* a loop that ended delivers nothing */
        give_up(download);
}

static void on_written(struct evhttp_connection *connection, void *arg)
{
    struct download *download = arg;
    (void)connection;
    SLC_CHECK_MAGIC(download, DOWNLOAD_MAGIC);
    if (!download->gone)
        read_next(download);
}

static bool read_piece(slc_catalog *catalog, void *arg, slc_error *err)
{
    struct download *download = arg;
    int64_t left = download->call->file_bytes - download->offset;
    size_t want = left < PIECE_BYTES ? (size_t)left : PIECE_BYTES;
    (void)catalog;
    ssize_t got = pread(download->call->file_fd, download->piece, want, (off_t)download->offset);
    if (got <= 0)
        return slc_fail(err, SLC_IO, NULL, "%s",
                        got == 0 ? "the file is shorter than it was" : strerror(errno));
    download->piece_len = (size_t)got;
    return true;
}

/* A shut down socket ends like any other that the client closed. */
static void cut(struct evhttp_request *req)
{
    struct evhttp_connection *connection = evhttp_request_get_connection(req);
    if (connection != NULL)
        shutdown(bufferevent_getfd(evhttp_connection_get_bufferevent(connection)), SHUT_RDWR);
}

static void on_read(void *arg, bool ok, const slc_error *err)
{
    struct download *download = arg;
    SLC_CHECK_MAGIC(download, DOWNLOAD_MAGIC);
    download->reading = false;
    if (download->gone) {
        give_up(download);
        return;
    }
    if (!ok) {
        slc_log_error(SLC_LOG_ERROR, "a download was cut off", err);
        cut(download->call->req);
        return;
    }
    struct evbuffer *piece = evbuffer_new();
    SLC_BUG_ON(piece == NULL);
    evbuffer_add(piece, download->piece, download->piece_len);
    download->offset += (int64_t)download->piece_len;
    evhttp_send_reply_chunk_with_cb(download->call->req, piece, on_written, download);
    evbuffer_free(piece);
}

static void read_next(struct download *download)
{
    if (download->offset == download->call->file_bytes) {
        download->ended = true;
        evhttp_send_reply_end(download->call->req);
        return;
    }
    download->reading = true;
    slc_catalog_task(download->catalog, download->loop, read_piece, on_read, download);
}

void slc_download_start(slc_loop *loop, slc_catalog *catalog, slc_call *call, void (*done)(slc_call *call))
{
    struct evkeyvalq *headers = evhttp_request_get_output_headers(call->req);
    struct download *download = slc_calloc(1, sizeof *download);
    char length[32];
    download->magic = DOWNLOAD_MAGIC;
    download->loop = loop;
    download->catalog = catalog;
    download->call = call;
    download->done = done;
    download->piece = slc_malloc(PIECE_BYTES);
    slc_httpd_on_end(call->req, on_end, download);
    snprintf(length, sizeof length, "%lld", (long long)call->file_bytes);
    evhttp_add_header(headers, "Content-Length", length);
    evhttp_add_header(headers, "Content-Type", SLC_DOWNLOAD_TYPE);
    evhttp_add_header(headers, "Cache-Control", "no-store");
    evhttp_send_reply_start(call->req, 200, slc_http_reason(200));
    if (!download->gone)
        read_next(download);
}
