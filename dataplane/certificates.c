#include "dataplane/certificates.h"

#include <event2/event.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <sys/stat.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/log.h"
#include "dataplane/gateway_private.h"
#include "dataplane/observe/metrics.h"

/* Of a file as it was last seen; zero: it was not there. */
struct stamp {
    ino_t inode; /* Kubernetes changes a link: the file behind it may have an older time */
    off_t size;
    struct timespec changed;
};

struct watched {
    slc_listener *listener;
    slc_tls *tls;
    struct stamp certificate, key;
    char *problem; /* with what they hold; NULL: none */
    bool kept;     /* since begin */
    TAILQ_ENTRY(watched) entry;
};

struct slc_certificates {
    struct event *timer; /* NULL: only when told */
    TAILQ_HEAD(, watched) all;
    pthread_mutex_t lock;
    char problem[512]; /* under the lock */
};

static bool has_changed(const char *path, struct stamp *stamp)
{
    struct stat st;
    struct stamp now = {0};
    if (stat(path, &st) == 0)
        now = (struct stamp){.inode = st.st_ino, .size = st.st_size, .changed = st.st_mtim};
    bool changed = now.inode != stamp->inode || now.size != stamp->size ||
                   now.changed.tv_sec != stamp->changed.tv_sec || now.changed.tv_nsec != stamp->changed.tv_nsec;
    *stamp = now;
    return changed;
}

static void reread(struct watched *watched)
{
    const Sluice__Snapshot__V1__Listener *msg = watched->listener->msg;
    slc_error err = {0};
    int64_t before_ms = slc_tls_expiry_ms(watched->tls);
    slc_tls *fresh = slc_gateway_load_tls(watched->listener, &err);
    free(watched->problem);
    watched->problem = NULL;
    if (fresh == NULL) {
        slc_fail_context(&err, "listener %s, %s", msg->name, msg->certificate_file);
        watched->problem = slc_strdup(err.message);
        slc_log_error(SLC_LOG_ERROR, "the certificate of a listener stays as it was", &err);
        return;
    }
    slc_tls_adopt(watched->tls, fresh);
    slc_tls_unref(fresh);
    int64_t expiry_ms = slc_tls_expiry_ms(watched->tls);
    slc_metrics_listener_certificate(msg->name, expiry_ms);
    slc_log(expiry_ms != before_ms ? SLC_LOG_INFO : SLC_LOG_DEBUG,
            "the certificate of a listener was read again", LS("listener", msg->name),
            LS("file", msg->certificate_file), LI("ends_at_s", expiry_ms / 1000));
}

/* One of them is enough to begin with. */
static void tell(slc_certificates *certificates)
{
    const struct watched *watched, *first = NULL;
    unsigned more = 0;
    TAILQ_FOREACH (watched, &certificates->all, entry) {
        if (watched->problem != NULL && first == NULL)
            first = watched;
        else if (watched->problem != NULL)
            more++;
    }
    pthread_mutex_lock(&certificates->lock);
    char *text = certificates->problem;
    size_t size = sizeof certificates->problem;
    if (first == NULL)
        *text = '\0';
    else if (more == 0)
        snprintf(text, size, "its certificate stays as it was: %s", first->problem);
    else
        snprintf(text, size, "%u certificates stay as they were; of %s", more + 1, first->problem);
    pthread_mutex_unlock(&certificates->lock);
}

void slc_certificates_problem(slc_certificates *certificates, char *text, size_t size)
{
    pthread_mutex_lock(&certificates->lock);
    snprintf(text, size, "%s", certificates->problem);
    pthread_mutex_unlock(&certificates->lock);
}

static void look(slc_certificates *certificates, bool all)
{
    struct watched *watched;
    TAILQ_FOREACH (watched, &certificates->all, entry) {
        const Sluice__Snapshot__V1__Listener *msg = watched->listener->msg;
        bool changed = has_changed(msg->certificate_file, &watched->certificate);
        if (msg->key->source_case == SLUICE__SNAPSHOT__V1__SECRET__SOURCE_FILE)
            changed = has_changed(msg->key->file, &watched->key) || changed;
        if (changed || all)
            reread(watched);
    }
    tell(certificates);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    look(arg, false);
}

slc_certificates *slc_certificates_new(slc_loop *loop, int64_t interval_ms)
{
    slc_certificates *certificates = slc_calloc(1, sizeof *certificates);
    TAILQ_INIT(&certificates->all);
    pthread_mutex_init(&certificates->lock, NULL);
    if (interval_ms == 0)
        return certificates;
    struct timeval interval = {.tv_sec = interval_ms / 1000, .tv_usec = interval_ms % 1000 * 1000};
    certificates->timer = event_new(slc_loop_base(loop), -1, EV_PERSIST, on_timer, certificates);
    SLC_BUG_ON(certificates->timer == NULL);
    event_add(certificates->timer, &interval);
    return certificates;
}

static void forget(slc_certificates *certificates, struct watched *watched)
{
    TAILQ_REMOVE(&certificates->all, watched, entry);
    slc_listener_unref(watched->listener);
    slc_tls_unref(watched->tls);
    free(watched->problem);
    free(watched);
}

void slc_certificates_free(slc_certificates *certificates)
{
    struct watched *watched;
    if (certificates == NULL)
        return;
    while ((watched = TAILQ_FIRST(&certificates->all)) != NULL)
        forget(certificates, watched);
    if (certificates->timer != NULL)
        event_free(certificates->timer);
    pthread_mutex_destroy(&certificates->lock);
    free(certificates);
}

void slc_certificates_begin(slc_certificates *certificates)
{
    struct watched *watched;
    TAILQ_FOREACH (watched, &certificates->all, entry)
        watched->kept = false;
}

/* With stamps of no file a new one is read at the next look: the files may have changed since the
 * configuration's thread read them. */
void slc_certificates_follow(slc_certificates *certificates, slc_listener *listener, slc_tls *tls)
{
    struct watched *watched;
    if (listener->msg->certificate_file[0] == '\0')
        return;
    TAILQ_FOREACH (watched, &certificates->all, entry) {
        if (watched->tls == tls && slc_listener_same_tls(watched->listener->msg, listener->msg)) {
            slc_listener_ref(listener);
            slc_listener_unref(watched->listener);
            watched->listener = listener;
            watched->kept = true;
            return;
        }
    }
    watched = slc_calloc(1, sizeof *watched);
    watched->listener = slc_listener_ref(listener);
    watched->tls = slc_tls_ref(tls);
    watched->kept = true;
    watched->certificate.size = watched->key.size = -1;
    TAILQ_INSERT_TAIL(&certificates->all, watched, entry);
}

void slc_certificates_end(slc_certificates *certificates)
{
    struct watched *watched = TAILQ_FIRST(&certificates->all), *next;
    for (; watched != NULL; watched = next) {
        next = TAILQ_NEXT(watched, entry);
        if (!watched->kept)
            forget(certificates, watched);
    }
    tell(certificates);
}

void slc_certificates_reread(slc_certificates *certificates)
{
    look(certificates, true);
}
