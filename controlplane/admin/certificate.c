#include "controlplane/admin/certificate.h"

#include <event2/event.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/log.h"

struct slc_certificate_watch {
    slc_tls *tls;
    char *file;
    struct timespec changed; /* as of the last look */
    ino_t inode;             /* Kubernetes changes a link: the file behind it may have an older time */
    off_t size;              /* a look in the middle of a write: the rest may come within the clock's tick */
    struct event *timer;
};

/* Is it another file than at the last look? One that cannot be seen is not: the next look tells. */
static bool has_changed(slc_certificate_watch *watch)
{
    struct stat st;
    if (stat(watch->file, &st) != 0)
        return false;
    bool changed = st.st_ino != watch->inode || st.st_size != watch->size ||
                   st.st_mtim.tv_sec != watch->changed.tv_sec || st.st_mtim.tv_nsec != watch->changed.tv_nsec;
    watch->inode = st.st_ino;
    watch->size = st.st_size;
    watch->changed = st.st_mtim;
    return changed;
}

void slc_certificate_watch_reload(slc_certificate_watch *watch)
{
    slc_error err = {0};
    (void)has_changed(watch);
    if (slc_tls_reload(watch->tls, &err))
        slc_log(SLC_LOG_INFO, "the certificate of the admin API was read again", LS("file", watch->file),
                LI("ends_at_s", slc_tls_expiry_ms(watch->tls) / 1000));
    else
        slc_log_error(SLC_LOG_ERROR, "the certificate of the admin API stays as it was", &err);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    slc_certificate_watch *watch = arg;
    (void)fd, (void)what;
    if (has_changed(watch))
        slc_certificate_watch_reload(watch);
}

slc_certificate_watch *slc_certificate_watch_new(slc_loop *loop, slc_tls *tls, const char *file,
                                                 int64_t interval_ms)
{
    slc_certificate_watch *watch = slc_calloc(1, sizeof *watch);
    watch->tls = slc_tls_ref(tls);
    watch->file = slc_strdup(file);
    (void)has_changed(watch);
    if (interval_ms == 0)
        return watch;
    struct timeval interval = {.tv_sec = interval_ms / 1000, .tv_usec = interval_ms % 1000 * 1000};
    watch->timer = event_new(slc_loop_base(loop), -1, EV_PERSIST, on_timer, watch);
    SLC_BUG_ON(watch->timer == NULL);
    event_add(watch->timer, &interval);
    return watch;
}

void slc_certificate_watch_free(slc_certificate_watch *watch)
{
    if (watch == NULL)
        return;
    if (watch->timer != NULL)
        event_free(watch->timer);
    slc_tls_unref(watch->tls);
    free(watch->file);
    free(watch);
}
