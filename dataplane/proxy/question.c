#include "dataplane/proxy/question.h"

#include <stdlib.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "dataplane/kafka/wire.h"
#include "dataplane/proxy/end.h"
#include "dataplane/proxy/topology.h"

#define CORRELATION      1
#define MAX_ANSWER_BYTES (64u * 1024 * 1024)

struct slc_topology_question {
    slc_end end;
    slc_pool pool;
    struct event *timer;
    slc_question_fn *fn;
    void *ctx;
    slc_error err;
};

void slc_question_close(int fd, SSL *ssl)
{
    if (ssl != NULL) {
        SSL_shutdown(ssl);
        SSL_free(ssl);
    }
    close(fd);
}

void slc_question_free(slc_question *question)
{
    if (question == NULL)
        return;
    slc_end_release(&question->end, &question->pool);
    slc_pool_release(&question->pool);
    event_free(question->timer);
    free(question);
}

static void fail(slc_question *question)
{
    slc_error err = question->err;
    slc_question_fn *fn = question->fn;
    void *ctx = question->ctx;
    slc_question_free(question);
    fn(ctx, NULL, &err);
}

static void answer(slc_question *question, const uint8_t *frame, size_t len)
{
    static const slc_kafka_metadata_limits limits = {
        .brokers = SLC_TOPOLOGY_MAX_NODES, .topics = 0, .partitions = 0};
    slc_kafka_metadata metadata = {0};
    if (!slc_kafka_metadata_response(frame, len, CORRELATION, &limits, &metadata, &question->err)) {
        fail(question);
        return;
    }
    slc_question_fn *fn = question->fn;
    void *ctx = question->ctx;
    slc_question_free(question);
    fn(ctx, &metadata, NULL);
    slc_kafka_metadata_release(&metadata);
}

/* Without waiting for more than there is. */
static void read_answer(slc_question *question)
{
    enum slc_io io;
    while ((io = slc_end_read(&question->end, &question->pool)) == SLC_IO_OK || io == SLC_IO_FULL) {
        size_t len;
        const uint8_t *data = slc_end_data(&question->end, &len);
        if (len < 4)
            continue;
        size_t size = slc_kafka_get32(data);
        if (size > MAX_ANSWER_BYTES) {
            slc_fail(&question->err, SLC_INVALID, NULL, "the answer to a Metadata request has %zu bytes", size);
            fail(question);
            return;
        }
        if (len >= 4 + size) {
            answer(question, data + 4, size);
            return;
        }
        if (slc_end_hold(&question->end, &question->pool, 4 + size) != SLC_IO_OK)
            break;
    }
    if (io == SLC_IO_AGAIN)
        return;
    slc_fail(&question->err, SLC_UNAVAILABLE, NULL,
             "the broker closed the connection instead of naming the brokers");
    fail(question);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    read_answer(arg);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
    slc_question *question = arg;
    (void)fd, (void)what;
    if (slc_end_send(&question->end, NULL) != SLC_IO_AGAIN)
        slc_end_want_write(&question->end, false);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    slc_question *question = arg;
    (void)fd, (void)what;
    if (question->err.code == SLC_OK)
        slc_fail(&question->err, SLC_TIMEOUT, NULL, "the broker does not answer a Metadata request in time");
    fail(question);
}

slc_question *slc_question_ask(struct event_base *base, int fd, SSL *ssl,
                               const slc_kafka_api_versions *versions, int64_t timeout_ms, slc_question_fn *fn,
                               void *ctx)
{
    struct timeval timeout = {timeout_ms / 1000, timeout_ms % 1000 * 1000};
    static const struct timeval at_once = {0};
    slc_question *question = slc_calloc(1, sizeof *question);
    question->fn = fn;
    question->ctx = ctx;
    slc_pool_init(&question->pool, MAX_ANSWER_BYTES + SLC_CHUNK_LARGE);
    slc_end_init(&question->end, 4096);
    slc_end_attach(&question->end, base, fd, ssl, on_readable, on_writable, question);
    question->timer = evtimer_new(base, on_timer, question);
    bool offered = versions->of[SLC_KAFKA_METADATA_KEY].max >= SLC_KAFKA_METADATA_VERSION;
    bool ok =
        offered ? slc_kafka_metadata_request(&question->end.out, CORRELATION, "sluice", NULL, 0, &question->err)
                : slc_fail(&question->err, SLC_UNSUPPORTED, NULL,
                           "the broker is too old: Metadata version %d needs Kafka 3.1 or newer",
                           SLC_KAFKA_METADATA_VERSION);
    event_add(question->timer, ok ? &timeout : &at_once);
    slc_end_want_read(&question->end, ok);
    slc_end_want_write(&question->end, ok);
    return question;
}
