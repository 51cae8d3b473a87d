/* Where access logs go. A thread of its own writes: standard output may be a pipe that nobody empties, a disk
 * may stall, and neither may stop a worker. What waits is bounded; what does not fit is lost, and counted.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/clock.h"
#include "dataplane/http/access_log.h"

#define LOOK_MS      200  /* a writer that waits for room looks so often whether it should end */
#define LAST_LOOK_MS 2000 /* to write what is left when the process ends */

struct piece {
    STAILQ_ENTRY(piece) entry;
    char *text;
    size_t len;
    unsigned lines;
};

struct slc_access_file {
    char *path;
    const char *what;
    int fd;      /* -1: no log; the number stays the same over a reopening */
    bool stream; /* not a regular file: a write may block, and is done in pieces that fit */
    size_t limit_bytes;
    slc_series *dropped;
    bool started;
    pthread_t thread;
    pthread_mutex_t lock; /* everything below */
    pthread_cond_t more;
    STAILQ_HEAD(, piece) queue;
    size_t queued_bytes;
    int64_t end_ms; /* monotonic: the process ends, and the writer with it; 0: not yet */
};

static void *writer_main(void *arg);

/* Opening
 * ----------------------------------------------------------------------------------------------------- */

static int open_log(const slc_access_file *file, slc_error *err)
{
    int fd = open(file->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
    if (fd < 0)
        slc_fail(err, SLC_IO, file->what, "cannot open the file %s of %s: %s", file->path, file->what,
                 strerror(errno));
    return fd;
}

static void look_at(slc_access_file *file)
{
    struct stat info;
    file->stream = fstat(file->fd, &info) != 0 || !S_ISREG(info.st_mode);
}

static bool start(slc_access_file *file, slc_error *err)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the main thread's */
    int failed = pthread_create(&file->thread, NULL, writer_main, file);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    file->started = failed == 0;
    if (failed == 0)
        pthread_setname_np(file->thread, file->what);
    return failed == 0 || slc_fail(err, SLC_IO, NULL, "cannot start a thread: %s", strerror(failed));
}

slc_access_file *slc_access_file_open(const slc_access_file_options *options, slc_error *err)
{
    const char *path = options->path;
    slc_access_file *file = slc_calloc(1, sizeof *file);
    pthread_mutex_init(&file->lock, NULL);
    pthread_cond_init(&file->more, NULL);
    STAILQ_INIT(&file->queue);
    file->path = slc_strdup(path);
    file->what = options->what;
    file->limit_bytes = (size_t)options->limit_bytes;
    file->dropped = options->dropped;
    file->fd = -1;
    if (path[0] == '\0')
        return file;
    file->fd = strcmp(path, "-") == 0 ? fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3) : open_log(file, err);
    if (file->fd >= 0)
        look_at(file);
    else if (strcmp(path, "-") == 0) /* closed standard output: no log */
        return file;
    if (file->fd < 0 || !start(file, err)) {
        slc_access_file_close(file);
        return NULL;
    }
    return file;
}

bool slc_access_file_reopen(slc_access_file *file, slc_error *err)
{
    if (file->fd < 0 || strcmp(file->path, "-") == 0)
        return true;
    int fd = open_log(file, err);
    if (fd < 0)
        return false;
    dup3(fd, file->fd, O_CLOEXEC);
    close(fd);
    return true;
}

bool slc_access_file_wanted(const slc_access_file *file)
{
    return file->fd >= 0;
}

/* Writing
 * ----------------------------------------------------------------------------------------------------- */

static void lose(slc_access_file *file, unsigned lines)
{
    slc_series_add(file->dropped, lines);
}

void slc_access_file_write(slc_access_file *file, char *text, size_t len, unsigned lines)
{
    struct piece *piece = slc_malloc(sizeof *piece);
    *piece = (struct piece){.text = text, .len = len, .lines = lines};
    pthread_mutex_lock(&file->lock);
    bool fits = len <= file->limit_bytes && file->queued_bytes <= file->limit_bytes - len;
    if (fits) {
        STAILQ_INSERT_TAIL(&file->queue, piece, entry);
        file->queued_bytes += len;
        pthread_cond_signal(&file->more);
    }
    pthread_mutex_unlock(&file->lock);
    if (fits)
        return;
    lose(file, lines);
    free(text);
    free(piece);
}

/* False when the process has ended for so long that what is left is lost. */
static bool may_go_on(slc_access_file *file)
{
    pthread_mutex_lock(&file->lock);
    bool late = file->end_ms > 0 && slc_monotonic_ms() >= file->end_ms;
    pthread_mutex_unlock(&file->lock);
    return !late;
}

/* A pipe with room takes PIPE_BUF bytes without blocking (pipe(7)), however long it was full. */
static bool wait_for_room(slc_access_file *file)
{
    struct pollfd room = {.fd = file->fd, .events = POLLOUT};
    while (may_go_on(file)) {
        if (poll(&room, 1, LOOK_MS) > 0)
            return true;
    }
    return false;
}

static bool write_piece(slc_access_file *file, const struct piece *piece)
{
    size_t done = 0;
    while (done < piece->len) {
        size_t len = piece->len - done;
        if (file->stream && !wait_for_room(file))
            return false;
        ssize_t n = write(file->fd, piece->text + done, file->stream && len > PIPE_BUF ? PIPE_BUF : len);
        if (n < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (n <= 0)
            return false; /* a full disk, a closed pipe */
        done += (size_t)n;
    }
    return true;
}

/* The next piece, whose bytes count until it is written; NULL: the end. */
static struct piece *next_piece(slc_access_file *file)
{
    pthread_mutex_lock(&file->lock);
    while (STAILQ_EMPTY(&file->queue) && file->end_ms == 0)
        pthread_cond_wait(&file->more, &file->lock);
    struct piece *piece = STAILQ_FIRST(&file->queue);
    if (piece != NULL)
        STAILQ_REMOVE_HEAD(&file->queue, entry);
    pthread_mutex_unlock(&file->lock);
    return piece;
}

static void *writer_main(void *arg)
{
    slc_access_file *file = arg;
    struct piece *piece;
    while ((piece = next_piece(file)) != NULL) {
        if (!write_piece(file, piece))
            lose(file, piece->lines);
        pthread_mutex_lock(&file->lock);
        file->queued_bytes -= piece->len;
        pthread_mutex_unlock(&file->lock);
        free(piece->text);
        free(piece);
    }
    return NULL;
}

void slc_access_file_close(slc_access_file *file)
{
    if (file == NULL)
        return;
    if (file->started) {
        pthread_mutex_lock(&file->lock);
        file->end_ms = slc_monotonic_ms() + LAST_LOOK_MS;
        pthread_cond_signal(&file->more);
        pthread_mutex_unlock(&file->lock);
        SLC_BUG_ON(pthread_join(file->thread, NULL) != 0);
    }
    if (file->fd >= 0)
        close(file->fd);
    pthread_cond_destroy(&file->more);
    pthread_mutex_destroy(&file->lock);
    free(file->path);
    free(file);
}
