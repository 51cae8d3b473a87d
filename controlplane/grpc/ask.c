/* Asking a node over its stream who is connected to it. One question is under way for each stream; whoever asks
 * meanwhile gets its answer too, and each waits for a bounded time of his own. A late answer is no fault: the
 * question stays open until the node answers or its stream ends. */
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/clock.h"
#include "common/crypto.h"
#include "common/utf8.h"
#include "controlplane/grpc/stream_private.h"

#define WAITING_MAX    64
#define PART_MAX       200 /* connections in one message */
#define EMPTY_PARTS    4   /* messages more than it takes */
#define QUESTION_CHARS 16
#define ASKER_MAGIC    0x51ca54e5u

/* Somebody who waits. Its memory goes with the message to his loop. */
struct asker {
    unsigned magic;
    slc_control_grpc *grpc;
    char node_id[SLC_NODE_ID_CHARS];
    slc_loop *loop;
    slc_connections_done done;
    void *arg;
    json_t *answer; /* own reference */
    slc_error err;
    struct slc_question *question;
    struct event *timer;
    TAILQ_ENTRY(asker) entry;
};

struct slc_question {
    char id[QUESTION_CHARS + 1];
    TAILQ_HEAD(, asker) askers;
    unsigned waiting;
    json_t *connections;
    unsigned parts;
};

/* ---- back to who asked ---- */

static void hand_over(void *arg)
{
    struct asker *asker = arg;
    SLC_CHECK_MAGIC(asker, ASKER_MAGIC);
    asker->done(asker->arg, asker->answer, &asker->err);
    json_decref(asker->answer);
    asker->magic = 0;
    free(asker);
}

static void answer(struct asker *asker)
{
    if (asker->question != NULL) {
        TAILQ_REMOVE(&asker->question->askers, asker, entry);
        asker->question->waiting--;
        asker->question = NULL;
    }
    if (asker->timer != NULL)
        event_free(asker->timer);
    asker->timer = NULL;
    slc_loop_call(asker->loop, hand_over, asker);
}

static void fail(struct asker *asker, enum slc_code code, const char *why)
{
    slc_fail(&asker->err, code, NULL, "%s", why);
    answer(asker);
}

static void on_timeout(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    fail(arg, SLC_TIMEOUT, "the node did not answer in time: it may be overloaded or cut off");
}

/* ---- asking ---- */

static struct slc_question *ask(slc_config_stream *stream)
{
    Sluice__Config__V1__ConnectionsRequest request = SLUICE__CONFIG__V1__CONNECTIONS_REQUEST__INIT;
    Sluice__Config__V1__ToNode message = SLUICE__CONFIG__V1__TO_NODE__INIT;
    struct slc_question *question = slc_calloc(1, sizeof *question);
    slc_random_id(question->id, QUESTION_CHARS);
    TAILQ_INIT(&question->askers);
    question->connections = json_array();
    request.id = question->id;
    request.limit = SLC_CONNECTIONS_MAX;
    message.message_case = SLUICE__CONFIG__V1__TO_NODE__MESSAGE_CONNECTIONS_REQUEST;
    message.connections_request = &request;
    slc_rpc_bytes *bytes = slc_pack_bytes(&message.base);
    stream->question = question;
    slc_config_stream_send(stream, bytes);
    slc_rpc_bytes_unref(bytes);
    return stream->question; /* NULL when the send has cut the stream */
}

static void begin(void *arg)
{
    struct asker *asker = arg;
    slc_control_grpc *grpc = asker->grpc;
    SLC_CHECK_MAGIC(asker, ASKER_MAGIC);
    slc_config_stream *stream = grpc->stopping ? NULL : slc_config_stream_find(grpc, asker->node_id);
    if (stream == NULL) {
        fail(asker, SLC_CONFLICT, "the node is not connected");
        return;
    }
    struct slc_question *question = stream->question != NULL ? stream->question : ask(stream);
    if (question == NULL) {
        fail(asker, SLC_CONFLICT, "the node is not connected");
    } else if (question->waiting >= WAITING_MAX) {
        fail(asker, SLC_LIMIT, "too many wait for this node's answer already: ask again later");
    } else {
        struct timeval wait = {.tv_sec = grpc->options.question_timeout_ms / 1000,
                               .tv_usec = grpc->options.question_timeout_ms % 1000 * 1000};
        asker->question = question;
        asker->timer = evtimer_new(slc_loop_base(grpc->loop), on_timeout, asker);
        SLC_BUG_ON(asker->timer == NULL);
        event_add(asker->timer, &wait);
        TAILQ_INSERT_TAIL(&question->askers, asker, entry);
        question->waiting++;
    }
}

void slc_control_grpc_connections(slc_control_grpc *grpc, const char *node_id, slc_loop *loop,
                                  slc_connections_done done, void *arg)
{
    struct asker *asker = slc_calloc(1, sizeof *asker);
    asker->magic = ASKER_MAGIC;
    asker->grpc = grpc;
    asker->loop = loop;
    asker->done = done;
    asker->arg = arg;
    snprintf(asker->node_id, sizeof asker->node_id, "%s", node_id);
    slc_loop_call(grpc->loop, begin, asker);
}

/* ---- answers ---- */

/* What a node says may be anything. NULL when it says nothing. */
static json_t *text_of(char *text)
{
    if (text[0] == '\0')
        return NULL;
    slc_utf8_clean(text);
    return json_string(text);
}

static const char *operation_name(Sluice__Snapshot__V1__Operation operation)
{
    return operation == SLUICE__SNAPSHOT__V1__OPERATION__OPERATION_PUBLISH ? "publish"
           : operation == SLUICE__SNAPSHOT__V1__OPERATION__OPERATION_READ  ? "read"
                                                                           : NULL;
}

static json_t *connection_json(const Sluice__Config__V1__Connection *connection)
{
    char opened[SLC_RFC3339_CHARS];
    slc_rfc3339_format(connection->opened_at_ms, opened);
    return json_pack("{s:o*, s:b, s:o*, s:o*, s:o*, s:o*, s:o*, s:o*, s:o*, s:s*, s:s, s:I, s:I}", "protocol",
                     text_of(connection->protocol), "tls", (int)connection->tls, "listener",
                     text_of(connection->listener), "client_address", text_of(connection->client_address),
                     "application", text_of(connection->application), "credential",
                     text_of(connection->credential), "event_api", text_of(connection->event_api), "client_id",
                     text_of(connection->client_id), "virtual_cluster", text_of(connection->virtual_cluster),
                     "operation", operation_name(connection->operation), "opened_at", opened, "bytes_in",
                     (json_int_t)connection->bytes_in, "bytes_out", (json_int_t)connection->bytes_out);
}

static void free_question(slc_config_stream *stream)
{
    SLC_BUG_ON(!TAILQ_EMPTY(&stream->question->askers));
    json_decref(stream->question->connections);
    free(stream->question);
    stream->question = NULL;
}

/* A body goes to the askers' threads and is freed there. jansson's counts are not for two threads at once, so
 * that every asker gets one of its own, and nothing of it stays here. */
static void finish(slc_config_stream *stream, uint64_t total)
{
    struct slc_question *question = stream->question;
    struct asker *asker;
    size_t listed = json_array_size(question->connections);
    int64_t most = total < INT64_MAX ? (int64_t)total : INT64_MAX;
    json_t *body = json_pack("{s:s, s:I, s:b, s:o}", "node", stream->node_id, "total", (json_int_t)most,
                             "truncated", (int)(total > listed), "connections", question->connections);
    question->connections = NULL;
    while ((asker = TAILQ_FIRST(&question->askers)) != NULL) {
        bool last = TAILQ_NEXT(asker, entry) == NULL;
        asker->answer = last ? body : json_deep_copy(body);
        body = last ? NULL : body;
        answer(asker);
    }
    json_decref(body);
    free_question(stream);
}

void slc_question_answered(slc_config_stream *stream, const Sluice__Config__V1__Connections *part)
{
    struct slc_question *question = stream->question;
    if (question == NULL || strcmp(part->id, question->id) != 0) {
        slc_config_stream_cut(stream, SLC_CUT_PROTOCOL, SLC_RPC_FAILED_PRECONDITION,
                              "an answer to nothing that was asked");
        return;
    }
    size_t listed = json_array_size(question->connections) + part->n_connections;
    if (part->n_connections > PART_MAX || listed > SLC_CONNECTIONS_MAX ||
        ++question->parts > SLC_CONNECTIONS_MAX / PART_MAX + EMPTY_PARTS) {
        slc_config_stream_cut(stream, SLC_CUT_PROTOCOL, SLC_RPC_INVALID_ARGUMENT,
                              "more connections than were asked for");
        return;
    }
    for (size_t i = 0; i < part->n_connections; i++)
        json_array_append_new(question->connections, connection_json(part->connections[i]));
    if (part->last)
        finish(stream, part->total > listed ? part->total : listed);
}

void slc_question_drop(slc_config_stream *stream)
{
    struct asker *asker;
    if (stream->question == NULL)
        return;
    while ((asker = TAILQ_FIRST(&stream->question->askers)) != NULL)
        fail(asker, SLC_CONFLICT, "the node has lost its connection before it answered");
    free_question(stream);
}
