/* Server-sent events. A stream is pulled: when the socket took what was written, it takes as many frames as fit
 * its window. What everybody gets is rendered once; a large frame is not even copied.
 */
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/clock.h"
#include "dataplane/mediation/problem.h"
#include "dataplane/mediation/read.h"
#include "dataplane/policy/policy.h"

#define STREAM_MAGIC   0x53535345U
#define WINDOW_BYTES   (64 * 1024)
#define SHARE_BYTES    2048 /* frames of this size are shared with the socket's buffer, smaller ones copied */
#define NOTICE_BYTES   (8 * 1024 * 1024) /* a gap and its id in each partition that a cursor can hold */
#define RECHECK_MS     15000
#define JUDGED_AT_ONCE 32 /* between two looks at the clock */
#define ASK_AGAIN_MS   1000

typedef struct slc_stream {
    unsigned magic;
    slc_reader reader; /* embedded: see stream_of */
    slc_exchange *exchange;
    bool writing;      /* the socket has not taken the last write */
    bool told_id;      /* the client knows its place */
    bool told_failing; /* and that the backend is out of reach */
    bool told_ok;      /* that it has its place, since it was last told of an outage */
    bool ask_failed;   /* the place could not be asked for, and will be again */
    bool paced;        /* a limit is used up: no more until the next tick finds that it is paid for */
    slc_buf notices;   /* gaps and errors that come before the next event */
    int64_t heartbeat_ms;
    TAILQ_ENTRY(slc_stream) entry;
    uint64_t judged; /* in which round it was looked at last whether it may go on */
    TAILQ_ENTRY(slc_stream) judgement;
} slc_stream;

static slc_stream *stream_of(slc_reader *reader)
{
    slc_stream *stream = (slc_stream *)((char *)reader - offsetof(slc_stream, reader));
    SLC_CHECK_MAGIC(stream, STREAM_MAGIC);
    return stream;
}

static slc_mediation_worker *worker_of(const slc_stream *stream)
{
    return stream->exchange->worker->mediation;
}

static bool is_judged(const slc_stream *stream)
{
    return stream->judged == worker_of(stream)->round;
}

static void leave_round(slc_stream *stream)
{
    slc_mediation_worker *worker = worker_of(stream);
    if (is_judged(stream))
        TAILQ_REMOVE(&worker->judged, stream, judgement);
    else
        TAILQ_REMOVE(&worker->unjudged, stream, judgement);
}

static void enter_judged(slc_stream *stream)
{
    slc_mediation_worker *worker = worker_of(stream);
    stream->judged = worker->round;
    TAILQ_INSERT_TAIL(&worker->judged, stream, judgement);
}

/* Frees the stream; the exchange stays the caller's to end. */
static slc_exchange *stream_free(slc_stream *stream)
{
    slc_exchange *exchange = stream->exchange;
    slc_mediation_worker *worker = worker_of(stream);
    slc_api *api = stream->reader.api;
    TAILQ_REMOVE(&worker->streams_by_heartbeat, stream, entry);
    leave_round(stream);
    worker->streams--;
    slc_series_add(api->streams, -1);
    slc_reader_release(&stream->reader);
    slc_buf_release(&stream->notices);
    stream->magic = 0;
    free(stream);
    slc_api_settle(api);
    return exchange;
}

/* Writing
 * ---------------------------------------------------------------------------------------------------------- */

static void pump(slc_stream *stream);
static bool judge(slc_stream *stream);

static void on_written(slc_exchange *exchange, void *ctx)
{
    (void)exchange;
    slc_stream *stream = ctx;
    SLC_CHECK_MAGIC(stream, STREAM_MAGIC);
    stream->writing = false;
    pump(stream);
}

static void write_out(slc_stream *stream, struct evbuffer *out)
{
    slc_mediation_worker *worker = worker_of(stream);
    stream->writing = true;
    stream->heartbeat_ms = slc_monotonic_ms() + worker->limits->heartbeat_ms;
    TAILQ_REMOVE(&worker->streams_by_heartbeat, stream, entry);
    TAILQ_INSERT_TAIL(&worker->streams_by_heartbeat, stream, entry);
    slc_exchange_write(stream->exchange, out, on_written);
}

static void unref_frame(const void *data, size_t len, void *arg)
{
    (void)data;
    (void)len;
    slc_frame_unref(arg);
}

static void add_frame(struct evbuffer *out, slc_frame *frame)
{
    if (frame->len < SHARE_BYTES ||
        evbuffer_add_reference(out, frame->text, frame->len, unref_frame, slc_frame_ref(frame)) != 0)
        evbuffer_add(out, frame->text, frame->len);
}

/* The record at the reader's place, with the id of the place behind it. */
static void add_event(slc_stream *stream, struct evbuffer *out)
{
    slc_reader *reader = &stream->reader;
    slc_frame *frame = slc_frame_ref(slc_reader_frame(reader));
    if (stream->exchange->span != NULL)
        slc_reader_trace(reader, stream->exchange->span);
    slc_reader_advance(reader);
    slc_frame_id *id = reader->own == NULL ? reader->last : slc_reader_id(reader);
    evbuffer_add(out, id->text, id->len);
    add_frame(out, frame);
    slc_frame_unref(frame);
    stream->told_id = true;
    stream->exchange->events++;
    slc_series_add(reader->api->delivered, 1);
}

static void add_notices(slc_stream *stream, struct evbuffer *out)
{
    if (stream->notices.len == 0)
        return;
    evbuffer_add(out, stream->notices.data, stream->notices.len);
    slc_buf_clear(&stream->notices);
}

static void add_id(slc_stream *stream, struct evbuffer *out)
{
    slc_frame_id *id = slc_reader_id(&stream->reader);
    if (id == NULL)
        return;
    evbuffer_add(out, id->text, id->len);
    evbuffer_add(out, "\n", 1);
    stream->told_id = true;
}

static void note_problem(slc_stream *stream, const char *event, enum slc_problem_kind kind)
{
    json_t *problem = slc_problem_json(kind, NULL);
    char *text = json_dumps(problem, JSON_COMPACT);
    slc_buf_addf(&stream->notices, "event: %s\ndata: %s\n\n", event, text);
    free(text);
    json_decref(problem);
}

/* The backend comes and goes; the reader stays. */
static void note_state(slc_stream *stream)
{
    const slc_api *api = stream->reader.api;
    const slc_scan *scan = stream->reader.scan;
    bool failing = api->failing || (scan != NULL && scan->failing) || stream->ask_failed;
    if (failing == stream->told_failing)
        return;
    stream->told_failing = failing;
    if (failing)
        note_problem(stream, "error",
                     api->failing                    ? slc_problem_of(&api->err)
                     : scan != NULL && scan->failing ? slc_problem_of(&scan->err)
                                                     : SLC_PROBLEM_BACKEND_UNAVAILABLE);
    else
        stream->told_ok = false;
}

/* Whoever reads this gets every event from here on: so it is said when the place is known, and not before. */
static void note_placed(slc_stream *stream)
{
    if (stream->told_ok || !stream->reader.placed || stream->told_failing)
        return;
    stream->told_ok = true;
    slc_buf_adds(&stream->notices, ": ok\n\n");
}

static void pump(slc_stream *stream)
{
    struct evbuffer *out = worker_of(stream)->out;
    if (stream->writing || !judge(stream)) /* what it may not see any more it does not get */
        return;
    note_state(stream);
    while (evbuffer_get_length(out) < WINDOW_BYTES) {
        stream->paced = slc_exchange_owes(stream->exchange);
        if (stream->paced)
            break;
        enum slc_peek found = slc_reader_peek(&stream->reader);
        if (found == SLC_PEEK_ENDED) /* the stream is gone, and has written what was in `out` */
            return;
        note_placed(stream);
        add_notices(stream, out);
        if (found == SLC_PEEK_NOTHING)
            break;
        add_event(stream, out);
    }
    if (!stream->told_id && stream->reader.placed)
        add_id(stream, out);
    if (evbuffer_get_length(out) > 0)
        write_out(stream, out);
}

/* Ends the stream: the id once more, so that it can be resumed, and why. */
static void end(slc_stream *stream, const char *event, enum slc_problem_kind kind)
{
    struct evbuffer *out = evbuffer_new();
    SLC_BUG_ON(out == NULL);
    evbuffer_add_buffer(out,
                        worker_of(stream)->out); /* what pump had collected: the id is of the place behind it */
    add_id(stream, out);
    if (event != NULL)
        note_problem(stream, event, kind);
    add_notices(stream, out);
    slc_exchange *exchange = stream_free(stream);
    slc_exchange_write(exchange, out, NULL);
    evbuffer_free(out);
    slc_exchange_stream_finish(exchange);
}

/* The reader's side
 * ------------------------------------------------------------------------------------------------ */

static void on_wake(slc_reader *reader)
{
    pump(stream_of(reader));
}

static bool on_gap(slc_reader *reader, int32_t partition, int64_t from, int64_t to)
{
    slc_stream *stream = stream_of(reader);
    slc_frame_id *id = slc_reader_id(reader);
    slc_buf_addf(&stream->notices,
                 "%.*sevent: gap\ndata: {\"from\":\"%d-%lld\",\"to\":\"%d-%lld\",\"reason\":\"%s\"}\n\n",
                 (int)id->len, id->text, partition, (long long)from, partition, (long long)to,
                 to > from ? "expired" : "truncated");
    stream->told_id = true;
    return true;
}

/* What is left of the old stream can never be read; the client gets an id of the new one as soon as there is
 * one. */
static bool on_recreated(slc_reader *reader)
{
    slc_stream *stream = stream_of(reader);
    slc_buf_adds(&stream->notices, "event: gap\ndata: {\"reason\":\"recreated\"}\n\n");
    stream->told_id = false;
    return true;
}

/* It has its place already, and waits there. */
static bool on_crowded(slc_reader *reader)
{
    (void)reader;
    return true;
}

static void on_refused(slc_reader *reader, const slc_error *err)
{
    slc_stream *stream = stream_of(reader);
    if (err->code == SLC_UNAVAILABLE || err->code == SLC_TIMEOUT ||
        err->code == SLC_NOT_FOUND) { /* asked again when the backend is back */
        reader->hold_until_ms = slc_monotonic_ms() + ASK_AGAIN_MS;
        stream->ask_failed = true;
        pump(stream);
        return;
    }
    end(stream, "error", slc_problem_of(err));
}

static void on_removed(slc_reader *reader)
{
    end(stream_of(reader), "error", SLC_PROBLEM_REMOVED);
}

static const slc_reader_ops stream_ops = {on_wake, on_gap, on_recreated, on_crowded, on_refused, on_removed};

/* Start
 * ------------------------------------------------------------------------------------------------------------
 */

static void on_abort(slc_exchange *exchange, void *ctx)
{
    slc_stream *stream = ctx;
    SLC_CHECK_MAGIC(stream, STREAM_MAGIC);
    stream_free(stream);
    slc_exchange_abandon(exchange);
}

static void start_answer(slc_exchange *exchange)
{
    struct evkeyvalq *fields = evhttp_request_get_output_headers(exchange->req);
    evhttp_add_header(fields, "Cache-Control", "no-store");
    evhttp_add_header(fields, "X-Accel-Buffering", "no");
    slc_exchange_stream_start(exchange, 200, "text/event-stream; charset=utf-8");
}

/* A stream lives for hours and would keep a whole configuration alive. */
static void let_snapshot_go(slc_exchange *exchange)
{
    slc_snapshot_unref(exchange->snapshot);
    exchange->snapshot = NULL;
}

void slc_stream_handle(slc_exchange *exchange)
{
    slc_read_request request;
    slc_mediation_worker *worker = exchange->worker->mediation;
    slc_api *api = slc_api_of(exchange);
    if (api == NULL || !slc_read_request_parse(exchange, api, true, &request))
        return;
    start_answer(exchange);
    if (evhttp_request_get_command(exchange->req) == EVHTTP_REQ_HEAD) {
        slc_cursor_release(&request.cursor);
        slc_exchange_stream_finish(exchange);
        return;
    }
    slc_stream *stream = slc_calloc(1, sizeof *stream);
    stream->magic = STREAM_MAGIC;
    stream->exchange = exchange;
    slc_buf_init(&stream->notices, NOTICE_BYTES);
    slc_buf_addf(&stream->notices, "retry: %lld\n\n", (long long)slc_jitter_ms(worker->limits->retry_ms, 30));
    TAILQ_INSERT_TAIL(&worker->streams_by_heartbeat, stream, entry);
    enter_judged(stream);
    worker->streams++;
    slc_series_add(api->streams, 1);
    exchange->ctx = stream;
    exchange->on_abort = on_abort;
    slc_lens *lens = slc_lens_get(api, exchange, exchange->snapshot);
    let_snapshot_go(exchange);
    slc_reader_init(&stream->reader, api, &stream_ops, request.start, request.start_ms, &request.cursor, false);
    slc_cursor_release(&request.cursor);
    slc_reader_set_lens(&stream->reader, lens);
    pump(stream);
}

/* Time, configuration, the end
 * ------------------------------------------------------------------------------------- */

static void heartbeat(slc_stream *stream, int64_t now_ms)
{
    slc_mediation_worker *worker = worker_of(stream);
    if (stream->writing) { /* whether it is stalled is the front's to say */
        stream->heartbeat_ms = now_ms + worker->limits->heartbeat_ms;
        TAILQ_REMOVE(&worker->streams_by_heartbeat, stream, entry);
        TAILQ_INSERT_TAIL(&worker->streams_by_heartbeat, stream, entry);
        return;
    }
    evbuffer_add(worker->out, ":\n", 2);
    add_id(stream, worker->out);
    if (!stream->reader.placed)
        evbuffer_add(worker->out, "\n", 1);
    write_out(stream, worker->out);
}

static bool still_granted(slc_stream *stream, const slc_snapshot *snapshot)
{
    slc_exchange *exchange = stream->exchange;
    const slc_event_api *api = stream->reader.api->api;
    if (snapshot != NULL && exchange->charges != NULL)
        slc_limits_changed(snapshot, api, &exchange->principal, exchange->charges);
    return snapshot == NULL || slc_principal_still_granted(snapshot, api, exchange->operation,
                                                           exchange->client_address, &exchange->principal);
}

/* Does the API still have streams, and at the address that this one was opened at? */
static bool still_offered(const slc_exchange *exchange, const slc_event_api *api)
{
    bool reads = false, streams = false;
    for (size_t i = 0; i < api->msg->n_operations; i++)
        reads |= api->msg->operations[i] == exchange->operation;
    for (size_t i = 0; i < api->msg->n_exposures; i++)
        streams |= strcmp(api->msg->exposures[i], "sse") == 0;
    return reads && streams && strcmp(exchange->listener_id, api->msg->listener_id) == 0;
}

/* The policies on records are those of now. False: that cannot be found out. */
static bool follows(slc_stream *stream)
{
    slc_snapshot *snapshot = worker_of(stream)->worker->snapshot;
    return snapshot == NULL || slc_reader_follow(&stream->reader, stream->exchange, snapshot);
}

/* Ends the stream if the configuration no longer allows it: false. */
static bool recheck(slc_stream *stream)
{
    const slc_exchange *exchange = stream->exchange;
    const slc_event_api *api = stream->reader.api->api;
    if (!still_granted(stream, worker_of(stream)->worker->snapshot))
        end(stream, "error", SLC_PROBLEM_REVOKED);
    else if (exchange->outdated)
        end(stream, NULL, SLC_PROBLEM_DRAINING);
    else if (!still_offered(exchange, api))
        end(stream, "error", SLC_PROBLEM_REMOVED);
    else if (!follows(stream))
        end(stream, "error", SLC_PROBLEM_REVOKED);
    else
        return true;
    return false;
}

/* The same, once a round. */
static bool judge(slc_stream *stream)
{
    if (is_judged(stream))
        return true;
    leave_round(stream);
    enter_judged(stream);
    return recheck(stream);
}

/* As many as there is time for; the others wait for the loop's next turn, so that nobody waits for all of them.
 */
static void go_on_judging(slc_mediation_worker *worker)
{
    static const struct timeval at_once = {0};
    int64_t until_us = slc_monotonic_us() + worker->limits->apply_slice_ms * 1000;
    slc_stream *stream;
    unsigned count = 0;
    while ((stream = TAILQ_FIRST(&worker->unjudged)) != NULL) {
        if (++count % JUDGED_AT_ONCE == 0 && slc_monotonic_us() >= until_us) {
            event_add(worker->judge, &at_once);
            return;
        }
        (void)judge(stream);
    }
}

static void on_judge(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    go_on_judging(arg);
}

void slc_streams_judge(slc_mediation_worker *worker)
{
    if (worker->judge == NULL)
        worker->judge = evtimer_new(slc_loop_base(worker->worker->loop), on_judge, worker);
    SLC_BUG_ON(worker->judge == NULL);
    worker->round++;
    TAILQ_CONCAT(&worker->unjudged, &worker->judged, judgement);
    go_on_judging(worker);
}

/* Credentials that expire, and questions that are asked again. */
static void look_at_all(slc_mediation_worker *worker, int64_t now_ms)
{
    int64_t wall_ms = slc_wall_ms();
    slc_stream *next, *stream = TAILQ_FIRST(&worker->streams_by_heartbeat);
    for (; stream != NULL; stream = next) {
        next = TAILQ_NEXT(stream, entry);
        int64_t expires_ms = stream->exchange->principal.expires_at_ms;
        if (expires_ms > 0 && expires_ms <= wall_ms)
            end(stream, "error", SLC_PROBLEM_REVOKED);
        else if (stream->ask_failed && now_ms >= stream->reader.hold_until_ms) {
            stream->ask_failed = false;
            stream->reader.hold_until_ms = 0;
            if (slc_reader_peek(&stream->reader) == SLC_PEEK_RECORD)
                pump(stream); /* its place has come within reach by itself */
        } else if (stream->paced) {
            pump(stream);
        }
    }
}

void slc_streams_tick(slc_mediation_worker *worker, int64_t now_ms)
{
    slc_stream *stream;
    look_at_all(worker, now_ms);
    if (now_ms >= worker->recheck_ms) { /* subscriptions expire as well */
        worker->recheck_ms = now_ms + RECHECK_MS;
        slc_streams_judge(worker);
    }
    while ((stream = TAILQ_FIRST(&worker->streams_by_heartbeat)) != NULL && stream->heartbeat_ms <= now_ms)
        heartbeat(stream, now_ms);
}

void slc_streams_init(slc_mediation_worker *worker)
{
    TAILQ_INIT(&worker->streams_by_heartbeat);
    TAILQ_INIT(&worker->judged);
    TAILQ_INIT(&worker->unjudged);
}

void slc_streams_drain(slc_mediation_worker *worker)
{
    slc_stream *stream;
    while ((stream = TAILQ_FIRST(&worker->streams_by_heartbeat)) != NULL)
        end(stream, NULL, SLC_PROBLEM_DRAINING);
}

unsigned slc_streams_cut_off(slc_mediation_worker *worker)
{
    slc_stream *stream;
    unsigned count = 0;
    for (; (stream = TAILQ_FIRST(&worker->streams_by_heartbeat)) != NULL; count++)
        end(stream, "error", SLC_PROBLEM_CUT_OFF);
    return count;
}
