/* Config.Stream: one per node. One push is in flight; behind it only the group's latest release counts.
 * Everything that a peer may send is bounded, and whoever breaks the rules is cut. */
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/metrics.h"
#include "common/utf8.h"
#include "controlplane/grpc/stream_private.h"
#include "proto/bounded.h"

#define MAX_REQUESTED       1024 /* digests in one request */
#define MAX_TIMES_REQUESTED 2    /* for each chunk of a release */
#define MESSAGES_BURST      200.0
#define MESSAGES_PER_SECOND 20.0
#define QUEUE_MAX           4096 /* messages waiting to be sent */
#define QUEUE_FIRST         16

static void on_message(slc_rpc_call *call, void *ctx, const uint8_t *data, size_t len);
static void on_sent(slc_rpc_call *call, void *ctx);
static void on_end(slc_rpc_call *call, void *ctx, enum slc_rpc_status status, const char *message);
static void on_answer_timeout(evutil_socket_t fd, short what, void *arg);
static void on_silence(evutil_socket_t fd, short what, void *arg);

static const slc_rpc_call_ops ops = {.on_message = on_message, .on_sent = on_sent, .on_end = on_end};

slc_config_stream *slc_config_stream_ref(slc_config_stream *stream)
{
    stream->refs++;
    return stream;
}

void slc_config_stream_unref(slc_config_stream *stream)
{
    SLC_CHECK_MAGIC(stream, SLC_CONFIG_STREAM_MAGIC);
    if (--stream->refs > 0)
        return;
    slc_reports_forget(stream);
    slc_release_unref(stream->in_flight);
    free(stream->times_requested);
    json_decref(stream->conflicts);
    event_free(stream->answer_timer);
    event_free(stream->silence_timer);
    free(stream->queue);
    stream->magic = 0;
    free(stream);
}

void slc_config_stream_cut(slc_config_stream *stream, enum slc_cut cause, enum slc_rpc_status status,
                           const char *why)
{
    if (stream->call == NULL || stream->cut)
        return;
    stream->cut = true;
    slc_guard_note_cut(stream->grpc, stream->node_id, slc_rpc_call_peer_address(stream->call), cause, why);
    slc_rpc_call_finish(stream->call, status, why);
}

/* Most causes are a rule that was broken. */
static void cut(slc_config_stream *stream, enum slc_rpc_status status, const char *why)
{
    slc_config_stream_cut(stream, SLC_CUT_PROTOCOL, status, why);
}

/* ---- sending ---- */

static void send_next(slc_config_stream *stream)
{
    if (stream->call == NULL || stream->queue_len == 0 || !slc_rpc_call_can_send(stream->call))
        return;
    slc_rpc_bytes *bytes = stream->queue[stream->queue_head];
    stream->queue_head = (stream->queue_head + 1) % stream->queue_capacity;
    stream->queue_len--;
    slc_rpc_call_send(stream->call, bytes);
    slc_rpc_bytes_unref(bytes);
}

static void grow_queue(slc_config_stream *stream)
{
    size_t capacity = stream->queue_capacity > 0 ? 2 * stream->queue_capacity : QUEUE_FIRST;
    slc_rpc_bytes **queue = slc_calloc(capacity, sizeof *queue);
    for (size_t i = 0; i < stream->queue_len; i++)
        queue[i] = stream->queue[(stream->queue_head + i) % stream->queue_capacity];
    free(stream->queue);
    stream->queue = queue;
    stream->queue_capacity = capacity;
    stream->queue_head = 0;
}

void slc_config_stream_send(slc_config_stream *stream, slc_rpc_bytes *bytes)
{
    if (stream->queue_len == QUEUE_MAX) {
        slc_config_stream_cut(stream, SLC_CUT_BACKLOG, SLC_RPC_RESOURCE_EXHAUSTED,
                              "too much is waiting to be sent");
        return;
    }
    if (stream->queue_len == stream->queue_capacity)
        grow_queue(stream);
    size_t last = (stream->queue_head + stream->queue_len++) % stream->queue_capacity;
    stream->queue[last] = slc_rpc_bytes_ref(bytes);
    send_next(stream);
}

static void arm(struct event *timer, int64_t ms)
{
    struct timeval wait = {.tv_sec = ms / 1000, .tv_usec = (ms % 1000) * 1000};
    event_add(timer, &wait);
}

static void arm_answer_timer(slc_config_stream *stream)
{
    arm(stream->answer_timer, stream->grpc->options.answer_timeout_ms);
}

/* Who takes what is sent is not late: a thousand cold nodes share one wire. */
static void on_sent(slc_rpc_call *call, void *ctx)
{
    slc_config_stream *stream = ctx;
    (void)call;
    if (stream->in_flight != NULL)
        arm_answer_timer(stream);
    send_next(stream);
}

/* A node that sends neither Hello nor heartbeats is not there, whatever its connection says. */
static void on_silence(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    slc_config_stream_cut(arg, SLC_CUT_SILENT, SLC_RPC_DEADLINE_EXCEEDED, "nothing was heard of the node");
}

static void on_answer_timeout(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    slc_config_stream_cut(arg, SLC_CUT_NO_ANSWER, SLC_RPC_DEADLINE_EXCEEDED,
                          "no answer to a pushed configuration");
}

static void settle(slc_config_stream *stream)
{
    event_del(stream->answer_timer);
    slc_release_unref(stream->in_flight);
    stream->in_flight = NULL;
    free(stream->times_requested);
    stream->times_requested = NULL;
}

/* What the node holds or has just refused is not offered again. */
static void offer(slc_config_stream *stream)
{
    slc_release *release = stream->group->release;
    if (stream->call == NULL || stream->cut || !stream->said_hello || stream->in_flight != NULL ||
        release == NULL)
        return;
    const uint8_t *digest = slc_compiled_digest(release->compiled);
    if (memcmp(stream->held, digest, SLC_SHA256_BYTES) == 0 ||
        memcmp(stream->refused, digest, SLC_SHA256_BYTES) == 0)
        return;
    stream->in_flight = slc_release_ref(release);
    stream->times_requested = slc_calloc(slc_compiled_chunk_count(release->compiled) + 1, 1);
    arm_answer_timer(stream);
    slc_config_stream_send(stream, release->push);
}

/* ---- messages ---- */

/* What a node says may be cut anywhere and hold anything; people read it. */
static void copy_text(char *out, size_t size, const char *text)
{
    snprintf(out, size, "%s", text);
    slc_utf8_clean(out);
}

/* What a node says that it runs: the group's latest if the digest says so, else something older. Anything newer
 * was never made here (a made-up number, or this control plane came out of an old backup). */
static int64_t believable_version(const slc_config_stream *stream, uint64_t claimed)
{
    const slc_release *latest = stream->group->release;
    if (latest == NULL)
        return claimed <= INT64_MAX ? (int64_t)claimed : 0;
    uint64_t version = slc_compiled_version(latest->compiled);
    if (memcmp(stream->held, slc_compiled_digest(latest->compiled), SLC_SHA256_BYTES) == 0)
        return (int64_t)version;
    return claimed < version ? (int64_t)claimed : 0;
}

static void on_hello(slc_config_stream *stream, const Sluice__Config__V1__Hello *hello)
{
    if (stream->said_hello) {
        cut(stream, SLC_RPC_FAILED_PRECONDITION, "a second Hello");
        return;
    }
    stream->said_hello = true;
    copy_text(stream->boot_id, sizeof stream->boot_id, hello->boot_id);
    if (hello->held_manifest_sha256.len == SLC_SHA256_BYTES)
        memcpy(stream->held, hello->held_manifest_sha256.data, SLC_SHA256_BYTES);
    stream->applied_version = believable_version(stream, hello->held_version);
    slc_report *report = slc_report_new(stream);
    copy_text(report->build, sizeof report->build, hello->build);
    report->seen.build = report->build;
    slc_log(SLC_LOG_INFO, "gateway connected", LS("node", stream->node_id), LS("build", report->build),
            LI("held_version", stream->applied_version));
    slc_report_send(stream, report); /* which owns it from here on */
    offer(stream);
}

static bool answers_push(slc_config_stream *stream, const char *nonce)
{
    if (stream->in_flight != NULL && strcmp(nonce, stream->in_flight->nonce) == 0)
        return true;
    cut(stream, SLC_RPC_FAILED_PRECONDITION, "an answer to nothing that is in flight");
    return false;
}

static void on_chunk_request(slc_config_stream *stream, const Sluice__Config__V1__ChunkRequest *request)
{
    if (!answers_push(stream, request->nonce))
        return;
    if (request->n_sha256 > MAX_REQUESTED) {
        cut(stream, SLC_RPC_INVALID_ARGUMENT, "too many chunks in one request");
        return;
    }
    for (size_t i = 0; i < request->n_sha256 && !stream->cut; i++) {
        const ProtobufCBinaryData *sha256 = &request->sha256[i];
        long index = sha256->len == SLC_SHA256_BYTES
                         ? slc_compiled_chunk_find(stream->in_flight->compiled, sha256->data)
                         : -1;
        if (index < 0) {
            cut(stream, SLC_RPC_INVALID_ARGUMENT, "a chunk that is not in the configuration in flight");
            return;
        }
        if (stream->times_requested[index]++ >= MAX_TIMES_REQUESTED) {
            slc_config_stream_cut(stream, SLC_CUT_FLOOD, SLC_RPC_RESOURCE_EXHAUSTED,
                                  "a chunk asked for too often");
            return;
        }
        slc_config_stream_send(stream, slc_release_chunk(stream->in_flight, (size_t)index));
    }
    arm_answer_timer(stream);
}

static void forget_refusal(slc_config_stream *stream)
{
    memset(stream->refused, 0, sizeof stream->refused);
    stream->refused_version = 0;
}

/* Of the version that was pushed, too. */
static bool answers_version(slc_config_stream *stream, const char *nonce, uint64_t version)
{
    if (!answers_push(stream, nonce))
        return false;
    if (version == slc_compiled_version(stream->in_flight->compiled))
        return true;
    cut(stream, SLC_RPC_FAILED_PRECONDITION, "an answer about another version than the one in flight");
    return false;
}

static void on_ack(slc_config_stream *stream, const Sluice__Config__V1__Ack *ack)
{
    if (!answers_version(stream, ack->nonce, ack->version))
        return;
    memcpy(stream->held, slc_compiled_digest(stream->in_flight->compiled), SLC_SHA256_BYTES);
    stream->applied_version = (int64_t)slc_compiled_version(stream->in_flight->compiled);
    settle(stream);
    forget_refusal(stream);
    slc_report_send(stream, slc_report_new(stream));
    offer(stream);
}

static void report_refusal(slc_config_stream *stream, int64_t version, const char *entity, const char *message)
{
    slc_report *report = slc_report_new(stream);
    report->nack = true;
    report->nack_version = version;
    copy_text(report->entity, sizeof report->entity, entity);
    copy_text(report->message, sizeof report->message, message);
    slc_log(SLC_LOG_WARN, "gateway refused a configuration", LS("node", stream->node_id),
            LI("version", report->nack_version), LS("entity", report->entity), LS("why", report->message));
    slc_report_send(stream, report);
}

static void on_nack(slc_config_stream *stream, const Sluice__Config__V1__Nack *nack)
{
    /* A manifest that cannot even be read has no version. */
    if (nack->version == 0 ? !answers_push(stream, nack->nonce)
                           : !answers_version(stream, nack->nonce, nack->version))
        return;
    const char *none[] = {NULL};
    slc_series_add(slc_metrics_series("sluice_control_nacks_total", none), 1);
    stream->refused_version = (int64_t)slc_compiled_version(stream->in_flight->compiled);
    memcpy(stream->refused, slc_compiled_digest(stream->in_flight->compiled), SLC_SHA256_BYTES);
    settle(stream);
    report_refusal(stream, stream->refused_version, nack->entity, nack->message);
    offer(stream);
}

/* The node has tried what it had refused again, which is its own affair: nothing is in flight for it. Word of
 * anything else may be late, for a push overtook it. */
static void on_retried(slc_config_stream *stream, const Sluice__Config__V1__Retried *retried)
{
    if (retried->manifest_sha256.len != SLC_SHA256_BYTES) {
        cut(stream, SLC_RPC_INVALID_ARGUMENT, "a digest that is none");
        return;
    }
    if (stream->refused_version == 0 || (int64_t)retried->version != stream->refused_version ||
        memcmp(retried->manifest_sha256.data, stream->refused, SLC_SHA256_BYTES) != 0)
        return;
    if (!retried->applied) {
        report_refusal(stream, stream->refused_version, retried->entity, retried->message);
        return;
    }
    memcpy(stream->held, stream->refused, SLC_SHA256_BYTES);
    stream->applied_version = stream->refused_version;
    forget_refusal(stream);
    slc_report_send(stream, slc_report_new(stream));
}

static void on_status(slc_config_stream *stream, const Sluice__Config__V1__Status *status)
{
    stream->connections = status->connections;
    stream->draining = status->draining;
    copy_text(stream->problem, sizeof stream->problem, status->problem);
    slc_conflicts_said(stream, status);
    slc_report_send(stream, slc_report_new(stream));
}

static bool within_budget(slc_config_stream *stream)
{
    int64_t now_ms = slc_monotonic_ms();
    stream->budget += (double)(now_ms - stream->budget_at_ms) / 1000.0 * MESSAGES_PER_SECOND;
    stream->budget_at_ms = now_ms;
    if (stream->budget > MESSAGES_BURST)
        stream->budget = MESSAGES_BURST;
    stream->budget -= 1.0;
    return stream->budget >= 0.0;
}

static void dispatch(slc_config_stream *stream, Sluice__Config__V1__FromNode *message)
{
    bool hello = message->message_case == SLUICE__CONFIG__V1__FROM_NODE__MESSAGE_HELLO;
    if (!hello && !stream->said_hello) {
        cut(stream, SLC_RPC_FAILED_PRECONDITION, "the first message is not Hello");
        return;
    }
    switch (message->message_case) {
    case SLUICE__CONFIG__V1__FROM_NODE__MESSAGE_HELLO:
        on_hello(stream, message->hello);
        break;
    case SLUICE__CONFIG__V1__FROM_NODE__MESSAGE_CHUNK_REQUEST:
        on_chunk_request(stream, message->chunk_request);
        break;
    case SLUICE__CONFIG__V1__FROM_NODE__MESSAGE_ACK:
        on_ack(stream, message->ack);
        break;
    case SLUICE__CONFIG__V1__FROM_NODE__MESSAGE_NACK:
        on_nack(stream, message->nack);
        break;
    case SLUICE__CONFIG__V1__FROM_NODE__MESSAGE_STATUS:
        on_status(stream, message->status);
        break;
    case SLUICE__CONFIG__V1__FROM_NODE__MESSAGE_CONNECTIONS:
        slc_question_answered(stream, message->connections);
        break;
    case SLUICE__CONFIG__V1__FROM_NODE__MESSAGE_RETRIED:
        on_retried(stream, message->retried);
        break;
    case SLUICE__CONFIG__V1__FROM_NODE__MESSAGE_USAGE:
        slc_usage_said(stream, message);
        break;
    case SLUICE__CONFIG__V1__FROM_NODE__MESSAGE_INVENTORY:
        slc_inventory_said(stream, message);
        break;
    default:
        break; /* from a newer build: nothing that we need */
    }
}

static void on_message(slc_rpc_call *call, void *ctx, const uint8_t *data, size_t len)
{
    slc_config_stream *stream = ctx;
    SLC_CHECK_MAGIC(stream, SLC_CONFIG_STREAM_MAGIC);
    arm(stream->silence_timer, stream->grpc->options.lost_after_ms);
    if (!within_budget(stream)) {
        slc_config_stream_cut(stream, SLC_CUT_FLOOD, SLC_RPC_RESOURCE_EXHAUSTED, "too many messages");
        return;
    }
    Sluice__Config__V1__FromNode *message = (Sluice__Config__V1__FromNode *)slc_unpack_bounded(
        &sluice__config__v1__from_node__descriptor, data, len);
    if (message == NULL) {
        cut(stream, SLC_RPC_INVALID_ARGUMENT, "a message that does not decode");
        return;
    }
    dispatch(stream, message);
    sluice__config__v1__from_node__free_unpacked(message, NULL);
    if (stream->call != NULL)
        slc_rpc_call_read(call);
}

/* ---- begin and end ---- */

static void count_streams(int64_t change)
{
    const char *none[] = {NULL};
    slc_series_add(slc_metrics_series("sluice_control_streams", none), change);
}

/* A node that comes back replaces its own old stream, which may not have noticed yet. */
static void replace_older(slc_config_stream *stream)
{
    slc_config_stream *other;
    TAILQ_FOREACH (other, &stream->grpc->streams, entry) {
        if (strcmp(other->node_id, stream->node_id) == 0)
            slc_config_stream_cut(other, SLC_CUT_REPLACED, SLC_RPC_ABORTED, "the node has a newer stream");
    }
}

struct lookup {
    slc_config_stream *stream;
    char group_name[64]; /* by the certificate */
    slc_node_info info;
};

static bool find_node(slc_txn *txn, void *arg, slc_error *err)
{
    struct lookup *lookup = arg;
    return slc_node_find(txn, lookup->stream->node_id, &lookup->info, err);
}

static void admit(slc_config_stream *stream, const struct lookup *lookup)
{
    slc_control_grpc *grpc = stream->grpc;
    replace_older(stream);
    stream->group = slc_publisher_group(grpc, lookup->info.group_id);
    stream->listed = true;
    TAILQ_INSERT_TAIL(&grpc->streams, stream, entry);
    count_streams(1);
    if (stream->group->release == NULL)
        slc_publisher_schedule(grpc);
    slc_config_stream_welcome(stream, &lookup->info);
    arm(stream->silence_timer, grpc->options.lost_after_ms);
    slc_rpc_call_read(stream->call);
}

static void on_node_found(void *arg, bool ok, const slc_error *err)
{
    struct lookup *lookup = arg;
    slc_config_stream *stream = lookup->stream;
    stream->grpc->pending--;
    if (stream->call == NULL || stream->grpc->stopping)
        ; /* it left while we looked */
    else if (!ok)
        slc_config_stream_cut(stream, err->code == SLC_NOT_FOUND ? SLC_CUT_REVOKED : SLC_CUT_UNAVAILABLE,
                              slc_code_rpc_status(err->code), err->message);
    else if (lookup->info.revoked)
        slc_config_stream_cut(stream, SLC_CUT_REVOKED, SLC_RPC_PERMISSION_DENIED, "the node was revoked");
    else if (lookup->info.outdated)
        slc_config_stream_cut(stream, SLC_CUT_REVOKED, SLC_RPC_UNAUTHENTICATED,
                              "the authority of the node's certificate was retired");
    else if (strcmp(lookup->info.group_name, lookup->group_name) != 0)
        slc_config_stream_cut(stream, SLC_CUT_IDENTITY, SLC_RPC_PERMISSION_DENIED,
                              "the node's certificate is for another group");
    else
        admit(stream, lookup);
    slc_config_stream_unref(stream);
    free(lookup);
}

void slc_config_stream_on_call(slc_rpc_call *call, void *arg)
{
    slc_control_grpc *grpc = arg;
    SLC_CHECK_MAGIC(grpc, SLC_CONTROL_GRPC_MAGIC);
    const char *spiffe = slc_rpc_call_peer_spiffe(call);
    slc_ca_node node = {.node_id = ""};
    slc_error err = {0};
    slc_config_stream *stream = slc_calloc(1, sizeof *stream);
    stream->magic = SLC_CONFIG_STREAM_MAGIC;
    stream->grpc = grpc;
    stream->call = call;
    stream->refs = 1;
    stream->budget = MESSAGES_BURST;
    stream->budget_at_ms = slc_monotonic_ms();
    stream->answer_timer = evtimer_new(slc_loop_base(grpc->loop), on_answer_timeout, stream);
    stream->silence_timer = evtimer_new(slc_loop_base(grpc->loop), on_silence, stream);
    SLC_BUG_ON(stream->answer_timer == NULL || stream->silence_timer == NULL);
    slc_rpc_call_set(call, &ops, stream);
    if (spiffe == NULL || !slc_ca_parse_spiffe(grpc->ca, spiffe, &node, &err)) {
        slc_config_stream_cut(stream, SLC_CUT_IDENTITY, SLC_RPC_UNAUTHENTICATED,
                              "the certificate names no node");
        return;
    }
    snprintf(stream->node_id, sizeof stream->node_id, "%s", node.node_id);
    if (!slc_guard_may(grpc, stream->node_id, grpc->options.stream_burst, true)) {
        slc_config_stream_cut(stream, SLC_CUT_FLOOD, SLC_RPC_RESOURCE_EXHAUSTED,
                              "the node opens streams too often");
        return;
    }
    struct lookup *lookup = slc_calloc(1, sizeof *lookup);
    lookup->stream = stream;
    snprintf(lookup->group_name, sizeof lookup->group_name, "%s", node.group);
    stream->refs++;
    grpc->pending++;
    slc_catalog_read(grpc->catalog, grpc->loop, find_node, on_node_found, lookup);
}

static void on_end(slc_rpc_call *call, void *ctx, enum slc_rpc_status status, const char *message)
{
    slc_config_stream *stream = ctx;
    SLC_CHECK_MAGIC(stream, SLC_CONFIG_STREAM_MAGIC);
    if (status == SLC_RPC_RESOURCE_EXHAUSTED && !stream->cut) /* gRPC has cut it: a message over the limit */
        slc_guard_note_cut(stream->grpc, stream->node_id, slc_rpc_call_peer_address(call), SLC_CUT_PROTOCOL,
                           message);
    stream->call = NULL;
    event_del(stream->silence_timer);
    settle(stream);
    slc_question_drop(stream);
    while (stream->queue_len > 0) {
        slc_rpc_bytes_unref(stream->queue[stream->queue_head]);
        stream->queue_head = (stream->queue_head + 1) % stream->queue_capacity;
        stream->queue_len--;
    }
    if (stream->listed) {
        slc_report *report = slc_report_new(stream);
        TAILQ_REMOVE(&stream->grpc->streams, stream, entry);
        count_streams(-1);
        report->seen.connected = false;
        report->seen.connections = 0;
        slc_report_send(stream, report);
        slc_log(SLC_LOG_INFO, "gateway disconnected", LS("node", stream->node_id),
                LI("status", (int64_t)status), LS("message", message));
    }
    slc_config_stream_unref(stream);
}

/* ---- all streams ---- */

void slc_config_streams_offer(slc_control_grpc *grpc, const slc_group *group)
{
    slc_config_stream *stream;
    TAILQ_FOREACH (stream, &grpc->streams, entry) {
        if (stream->group == group)
            offer(stream);
    }
}

json_t *slc_config_streams_nodes(const slc_control_grpc *grpc)
{
    json_t *ids = json_array();
    slc_config_stream *stream;
    TAILQ_FOREACH (stream, &grpc->streams, entry) {
        json_array_append_new(ids, json_string(stream->node_id));
    }
    return ids;
}

void slc_config_streams_cut(slc_control_grpc *grpc, const json_t *gone)
{
    slc_config_stream *stream;
    TAILQ_FOREACH (stream, &grpc->streams, entry) {
        const json_t *why = json_object_get(gone, stream->node_id);
        if (why != NULL)
            slc_config_stream_cut(stream, SLC_CUT_REVOKED,
                                  (enum slc_rpc_status)json_integer_value(json_object_get(why, "status")),
                                  json_string_value(json_object_get(why, "reason")));
    }
}

void slc_config_streams_end(slc_control_grpc *grpc)
{
    slc_config_stream *stream;
    TAILQ_FOREACH (stream, &grpc->streams, entry) {
        if (stream->call != NULL)
            slc_rpc_call_finish(stream->call, SLC_RPC_UNAVAILABLE, "the control plane is stopping");
    }
}
