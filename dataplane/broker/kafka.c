/* Kafka by librdkafka: opening, closing, health, and the handles' polling. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/clock.h"
#include "common/log.h"
#include "dataplane/broker/kafka_private.h"

#define REAP_WAIT_S     5
#define REFUSED_SAID_MS 60000 /* a failed handshake is the reason for so long: twice librdkafka's 30 s */

/* Handles ----------------------------------------------------------------------------------------------------
 */

bool slc_kafka_is_outage(rd_kafka_resp_err_t code)
{
    switch (code) {
    case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
    case RD_KAFKA_RESP_ERR__AUTHENTICATION:
    case RD_KAFKA_RESP_ERR__SSL:
    case RD_KAFKA_RESP_ERR__RESOLVE:
    case RD_KAFKA_RESP_ERR__TRANSPORT:
    case RD_KAFKA_RESP_ERR__TIMED_OUT:
        return true;
    default:
        return false;
    }
}

static enum slc_code code_of(rd_kafka_resp_err_t code)
{
    switch (code) {
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
        return SLC_NOT_FOUND;
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
        return SLC_DENIED;
    case RD_KAFKA_RESP_ERR__TIMED_OUT:
        return SLC_TIMEOUT;
    default:
        return SLC_UNAVAILABLE;
    }
}

bool slc_kafka_fail(slc_error *err, rd_kafka_resp_err_t code, const char *what)
{
    return slc_fail(err, code_of(code), NULL, "%s: %s", what, rd_kafka_err2str(code));
}

static void on_error(rd_kafka_t *rk, int code, const char *reason, void *opaque)
{
    (void)rk;
    slc_kafka_handle *handle = opaque;
    rd_kafka_resp_err_t resp = (rd_kafka_resp_err_t)code;
    /* One connection of several may fail without consequence; all of them may not. */
    if (resp != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN && resp != RD_KAFKA_RESP_ERR__AUTHENTICATION &&
        resp != RD_KAFKA_RESP_ERR__SSL)
        return;
    slc_error err;
    slc_fail(&err, SLC_UNAVAILABLE, NULL, "%s: %s", rd_kafka_err2name(resp), reason);
    slc_kafka_set_down(handle->kafka,
                       resp == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN ? SLC_KAFKA_SILENT : SLC_KAFKA_REFUSED,
                       &err);
}

bool slc_kafka_handle_open(slc_kafka_handle *handle, rd_kafka_conf_t *conf, rd_kafka_type_t type,
                           slc_error *err)
{
    char text[256];
    handle->wake_fd = -1;
    handle->backend = slc_backend_ref(handle->kafka->backend);
    handle->tokens = slc_kafka_tokens_ref(handle->kafka->tokens);
    slc_kafka_oauth_prepare(conf, handle->backend);
    slc_kafka_tunnel_prepare(conf, handle->backend);
    rd_kafka_conf_set_opaque(conf, handle);
    rd_kafka_conf_set_error_cb(conf, on_error);
    handle->rk = rd_kafka_new(type, conf, text, sizeof text);
    if (handle->rk == NULL) {
        rd_kafka_conf_destroy(conf);
        slc_kafka_tokens_unref(handle->tokens);
        slc_backend_unref(handle->backend);
        return slc_fail(err, SLC_INVALID, NULL, "librdkafka: %s", text);
    }
    slc_kafka_oauth_start(handle);
    return true;
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
    (void)what;
    uint64_t count;
    slc_kafka_handle *handle = arg;
    /* Nothing to read is fine: the handle is also woken by hand, to go on after a pause. */
    ssize_t got = read(fd, &count, sizeof count);
    SLC_BUG_ON(got < 0 && errno != EAGAIN);
    handle->serve(handle);
}

void slc_kafka_handle_poll(slc_kafka_handle *handle, void (*serve)(slc_kafka_handle *handle))
{
    static const uint64_t one = 1;
    handle->serve = serve;
    handle->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    SLC_BUG_ON(handle->wake_fd < 0);
    handle->wake =
        event_new(slc_loop_base(handle->kafka->loop), handle->wake_fd, EV_READ | EV_PERSIST, on_wake, handle);
    event_add(handle->wake, NULL);
    rd_kafka_queue_io_event_enable(handle->queue, handle->wake_fd, &one, sizeof one);
    event_active(handle->wake, EV_READ, 1); /* for what came before */
}

void slc_kafka_handle_unpoll(slc_kafka_handle *handle)
{
    if (handle->wake != NULL) {
        rd_kafka_queue_io_event_enable(handle->queue, -1, NULL, 0);
        event_free(handle->wake);
        handle->wake = NULL;
    }
}

struct reap {
    slc_kafka_reaper *reaper;
    slc_kafka_handle *handle;
};

static slc_kafka_reaper *reaper_new(void)
{
    pthread_condattr_t attributes;
    slc_kafka_reaper *reaper = slc_calloc(1, sizeof *reaper);
    reaper->refs = 1;
    pthread_mutex_init(&reaper->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&reaper->done, &attributes);
    pthread_condattr_destroy(&attributes);
    return reaper;
}

static void reaper_unref(slc_kafka_reaper *reaper)
{
    pthread_mutex_lock(&reaper->lock);
    bool last = --reaper->refs == 0;
    pthread_mutex_unlock(&reaper->lock);
    if (!last)
        return;
    pthread_mutex_destroy(&reaper->lock);
    pthread_cond_destroy(&reaper->done);
    free(reaper);
}

static void *reap_main(void *arg)
{
    struct reap *reap = arg;
    slc_kafka_reaper *reaper = reap->reaper;
    if (reap->handle->queue != NULL)
        rd_kafka_queue_destroy(reap->handle->queue);
    for (size_t i = 0; reap->handle->topics.slots != NULL && i <= reap->handle->topics.mask; i++)
        if (reap->handle->topics.slots[i].key != NULL)
            rd_kafka_topic_destroy(reap->handle->topics.slots[i].value);
    slc_strmap_release(&reap->handle->topics);
    rd_kafka_destroy_flags(reap->handle->rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    if (reap->handle->wake_fd >= 0)
        close(reap->handle->wake_fd);
    slc_kafka_tokens_unref(reap->handle->tokens);
    slc_backend_unref(reap->handle->backend);
    free(reap->handle);
    free(reap);
    pthread_mutex_lock(&reaper->lock);
    reaper->left--;
    pthread_cond_broadcast(&reaper->done);
    pthread_mutex_unlock(&reaper->lock);
    reaper_unref(reaper);
    return NULL;
}

void slc_kafka_reap(slc_kafka *kafka, slc_kafka_handle *handle)
{
    struct reap *reap = slc_malloc(sizeof *reap);
    *reap = (struct reap){.reaper = kafka->reaper, .handle = handle};
    handle->kafka = NULL;
    pthread_mutex_lock(&kafka->reaper->lock);
    kafka->reaper->refs++;
    kafka->reaper->left++;
    pthread_mutex_unlock(&kafka->reaper->lock);
    pthread_t thread;
    SLC_BUG_ON(pthread_create(&thread, NULL, reap_main, reap) != 0);
    pthread_detach(thread);
}

static void wait_for_records(slc_kafka *kafka)
{
    pthread_mutex_lock(&kafka->queue_lock);
    while (atomic_load(&kafka->queued_bytes) > 0)
        pthread_cond_wait(&kafka->queue_empty, &kafka->queue_lock);
    pthread_mutex_unlock(&kafka->queue_lock);
}

static void wait_for_reapers(slc_kafka *kafka)
{
    struct timespec until;
    slc_kafka_reaper *reaper = kafka->reaper;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += REAP_WAIT_S;
    pthread_mutex_lock(&reaper->lock);
    int waited = 0;
    while (reaper->left > 0 && waited == 0)
        waited = pthread_cond_timedwait(&reaper->done, &reaper->lock, &until);
    unsigned left = reaper->left;
    pthread_mutex_unlock(&reaper->lock);
    if (left > 0)
        slc_log(SLC_LOG_WARN, "handles of librdkafka do not end and are left behind",
                LS("backend", kafka->backend->msg->name), LI("handles", left));
}

/* Health -----------------------------------------------------------------------------------------------------
 */

struct state_change {
    slc_message msg;
    bool up;
    slc_error err;
};

static void tell_consumers(slc_message *msg, void *owner)
{
    struct state_change *change = (struct state_change *)msg;
    slc_kafka_consumers_state(owner, change->up ? NULL : &change->err);
    free(change);
}

static void drop_change(slc_message *msg)
{
    free(msg);
}

/* What says more is not replaced by what follows from it. */
static void note_trouble_locked(slc_kafka *kafka, enum slc_kafka_trouble trouble, const slc_error *err)
{
    int64_t now_ms = slc_monotonic_ms();
    bool over = kafka->trouble == SLC_KAFKA_REFUSED && now_ms - kafka->told_ms >= REFUSED_SAID_MS;
    if (trouble < kafka->trouble && !over)
        return;
    kafka->trouble = trouble;
    kafka->told_ms = now_ms;
    snprintf(kafka->last_error, sizeof kafka->last_error, "%s", err->message);
}

static void set_state(slc_kafka *kafka, bool up, enum slc_kafka_trouble trouble, const slc_error *err)
{
    pthread_mutex_lock(&kafka->health_lock);
    bool changed = kafka->up != up || kafka->since_ms == 0;
    kafka->up = up;
    if (up)
        kafka->trouble = SLC_KAFKA_SILENT;
    else
        note_trouble_locked(kafka, trouble, err);
    if (changed)
        kafka->since_ms = slc_wall_ms();
    pthread_mutex_unlock(&kafka->health_lock);
    if (!changed)
        return;
    if (!up)
        slc_kafka_ping_soon(kafka);
    slc_log(up ? SLC_LOG_INFO : SLC_LOG_WARN, up ? "backend is reachable" : "backend is not reachable",
            LS("backend", kafka->backend->msg->name), LS("error", err != NULL ? err->message : NULL));
    struct state_change *change = slc_calloc(1, sizeof *change);
    change->msg.run = tell_consumers;
    change->msg.drop = drop_change;
    change->up = up;
    if (err != NULL)
        change->err = *err;
    slc_mailbox_post(slc_loop_mailbox(kafka->loop), &change->msg);
}

void slc_kafka_set_up(slc_kafka *kafka)
{
    set_state(kafka, true, SLC_KAFKA_SILENT, NULL);
}

void slc_kafka_set_down(slc_kafka *kafka, enum slc_kafka_trouble trouble, const slc_error *err)
{
    set_state(kafka, false, trouble, err);
}

static bool kafka_health(slc_broker *broker, char *last_error, size_t size, int64_t *since_wall_ms)
{
    slc_kafka *kafka = (slc_kafka *)broker;
    SLC_CHECK_MAGIC(kafka, SLC_KAFKA_MAGIC);
    pthread_mutex_lock(&kafka->health_lock);
    bool up = kafka->up;
    snprintf(last_error, size, "%s", up ? "" : kafka->last_error);
    *since_wall_ms = kafka->since_ms;
    pthread_mutex_unlock(&kafka->health_lock);
    return up;
}

/* Life -------------------------------------------------------------------------------------------------------
 */

static void free_loop(slc_loop *loop)
{
    if (loop != NULL)
        slc_loop_free(loop);
}

static void kafka_free(slc_kafka *kafka)
{
    free_loop(kafka->loop);
    free_loop(kafka->queries);
    slc_backend_unref(kafka->backend);
    pthread_mutex_destroy(&kafka->health_lock);
    pthread_mutex_destroy(&kafka->queue_lock);
    pthread_cond_destroy(&kafka->queue_empty);
    slc_kafka_tokens_unref(kafka->tokens);
    reaper_unref(kafka->reaper);
    kafka->magic = 0;
    free(kafka);
}

static void release_producer(void *arg)
{
    slc_kafka_producer_release(arg);
}

static void release_query(void *arg)
{
    slc_kafka_query_release(arg);
}

static void stop_loop(slc_loop *loop)
{
    slc_loop_stop(loop);
    slc_loop_join(loop);
}

static slc_broker *kafka_open(const slc_backend *backend, const slc_broker_settings *settings, slc_error *err)
{
    slc_kafka *kafka = slc_calloc(1, sizeof *kafka);
    kafka->magic = SLC_KAFKA_MAGIC;
    kafka->backend = slc_backend_ref((slc_backend *)backend);
    kafka->settings = *settings;
    TAILQ_INIT(&kafka->consumers);
    pthread_mutex_init(&kafka->health_lock, NULL);
    pthread_mutex_init(&kafka->queue_lock, NULL);
    pthread_cond_init(&kafka->queue_empty, NULL);
    kafka->reaper = reaper_new();
    kafka->tokens = slc_kafka_tokens_of(backend);
    snprintf(kafka->last_error, sizeof kafka->last_error, "not connected yet");
    kafka->loop = slc_loop_new("kafka", kafka);
    kafka->queries = slc_loop_new("kafka-query", kafka);
    if (!slc_loop_start(kafka->loop, err))
        goto failed;
    if (!slc_loop_start(kafka->queries, err))
        goto stop_first;
    if (!slc_kafka_query_init(kafka, err))
        goto stop_both;
    if (!slc_kafka_meta_init(kafka, err))
        goto release;
    if (!slc_kafka_producer_init(kafka, err))
        goto release_meta;
    return (slc_broker *)kafka;

release_meta:
    slc_kafka_meta_release(kafka);
release:
    slc_loop_call_sync(kafka->queries, release_query, kafka);
stop_both:
    stop_loop(kafka->queries);
stop_first:
    stop_loop(kafka->loop);
    wait_for_reapers(kafka);
failed:
    kafka_free(kafka);
    return NULL;
}

static void kafka_close(slc_broker *broker)
{
    slc_kafka *kafka = (slc_kafka *)broker;
    SLC_CHECK_MAGIC(kafka, SLC_KAFKA_MAGIC);
    SLC_BUG_ON(slc_loop_is_current(kafka->loop) || slc_loop_is_current(kafka->queries));
    wait_for_records(kafka); /* librdkafka decides each within the publish deadline */
    slc_loop_call_sync(kafka->loop, release_producer, kafka);
    slc_kafka_meta_release(kafka);
    slc_loop_call_sync(kafka->queries, release_query, kafka);
    stop_loop(kafka->queries);
    wait_for_reapers(kafka);
    SLC_BUG_ON(!TAILQ_EMPTY(&kafka->consumers));
    stop_loop(kafka->loop);
    kafka_free(kafka);
}

const slc_broker_ops slc_broker_kafka = {
    .name = "kafka",
    .open = kafka_open,
    .close = kafka_close,
    .publish = slc_kafka_publish,
    .stored_bytes = slc_record_stored_bytes,
    .topic_info = slc_kafka_topic_info,
    .offsets = slc_kafka_offsets,
    .consume = slc_kafka_consume,
    .seek = slc_kafka_seek,
    .pause = slc_kafka_pause,
    .stop = slc_kafka_stop,
    .health = kafka_health,
};
