/* What gateways count, on its way to usage.db. As with reports.c what comes while a transaction is under way is
 * gathered for the next. A node has one part of it under way at a time, and is told when that is stored: what
 * is not, it tells again. */
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "catalog/usage.h"
#include "common/alloc.h"
#include "common/log.h"
#include "common/metrics.h"
#include "controlplane/grpc/stream_private.h"

#define COUNTS_MAX 500
#define ID_MAX     24

struct part {
    slc_config_stream *stream; /* own reference */
    char node_id[SLC_NODE_ID_CHARS], boot_id[64];
    Sluice__Config__V1__Usage *message; /* own copy */
    STAILQ_ENTRY(part) entry;
};
STAILQ_HEAD(parts, part);

struct slc_usage_inbox {
    struct parts waiting;
    bool writing;
    bool pruning;
};

/* A transaction's worth. */
struct usage_batch {
    slc_control_grpc *grpc;
    struct parts parts;
};

static void start(slc_control_grpc *grpc);

void slc_usage_inbox_init(slc_control_grpc *grpc)
{
    grpc->usage = slc_calloc(1, sizeof *grpc->usage);
    STAILQ_INIT(&grpc->usage->waiting);
}

static void free_part(struct part *part)
{
    slc_config_stream_unref(part->stream);
    sluice__config__v1__usage__free_unpacked(part->message, NULL);
    free(part);
}

static void free_parts(struct parts *parts)
{
    while (!STAILQ_EMPTY(parts)) {
        struct part *part = STAILQ_FIRST(parts);
        STAILQ_REMOVE_HEAD(parts, entry);
        free_part(part);
    }
}

void slc_usage_inbox_release(slc_control_grpc *grpc)
{
    if (grpc->usage != NULL)
        free_parts(&grpc->usage->waiting);
    free(grpc->usage);
    grpc->usage = NULL;
}

/* ---- on the catalog's thread ---- */

static slc_usage_told count_of(const Sluice__Config__V1__UsageCount *told)
{
    return (slc_usage_told){
        .hour = told->hour,
        .application_id = told->application_id,
        .event_api_id = told->event_api_id,
        .virtual_cluster_id = told->virtual_cluster_id,
        .operation = (int64_t)told->operation - 1,
        .numbers = {told->requests, told->events, told->bytes, told->errors, told->throttled}};
}

static bool write_parts(slc_txn *txn, void *arg, slc_error *err)
{
    struct usage_batch *batch = arg;
    const struct part *part;
    slc_usage_told *counts = slc_calloc(COUNTS_MAX, sizeof *counts);
    bool ok = true;
    STAILQ_FOREACH (part, &batch->parts, entry) {
        for (size_t i = 0; i < part->message->n_counts; i++)
            counts[i] = count_of(part->message->counts[i]);
        ok = ok && slc_usage_store(txn, part->node_id, part->boot_id, part->message->oldest_hour, counts,
                                   part->message->n_counts, err);
    }
    free(counts);
    return ok;
}

/* ---- on the loop ---- */

static void acknowledge(const struct part *part)
{
    Sluice__Config__V1__ToNode message = SLUICE__CONFIG__V1__TO_NODE__INIT;
    Sluice__Config__V1__UsageAck ack = SLUICE__CONFIG__V1__USAGE_ACK__INIT;
    slc_config_stream *stream = part->stream;
    stream->usage_waits = false;
    if (stream->call == NULL || stream->cut)
        return;
    ack.sequence = part->message->sequence;
    message.message_case = SLUICE__CONFIG__V1__TO_NODE__MESSAGE_USAGE_ACK;
    message.usage_ack = &ack;
    slc_rpc_bytes *bytes = slc_pack_bytes(&message.base);
    slc_config_stream_send(stream, bytes);
    slc_rpc_bytes_unref(bytes);
}

/* What could not be stored is not acknowledged: the node tells it again after a while. */
static void on_written(void *arg, bool ok, const slc_error *err)
{
    struct usage_batch *batch = arg;
    slc_control_grpc *grpc = batch->grpc;
    struct part *part;
    if (!ok)
        slc_log_error(SLC_LOG_WARN, "what gateways counted was not stored; they tell it again", err);
    STAILQ_FOREACH (part, &batch->parts, entry) {
        if (ok)
            acknowledge(part);
        else
            part->stream->usage_waits = false;
    }
    free_parts(&batch->parts);
    free(batch);
    grpc->pending--;
    grpc->usage->writing = false;
    start(grpc);
}

static void start(slc_control_grpc *grpc)
{
    struct slc_usage_inbox *inbox = grpc->usage;
    if (inbox->writing || STAILQ_EMPTY(&inbox->waiting))
        return;
    struct usage_batch *batch = slc_calloc(1, sizeof *batch);
    batch->grpc = grpc;
    STAILQ_INIT(&batch->parts);
    STAILQ_CONCAT(&batch->parts, &inbox->waiting);
    inbox->writing = true;
    grpc->pending++;
    slc_catalog_usage(grpc->catalog, grpc->loop, write_parts, on_written, batch);
}

static bool is_id(const char *text)
{
    size_t len = strspn(text, "0123456789abcdefghijklmnopqrstuvwxyz");
    return text[len] == '\0' && len < ID_MAX;
}

static bool is_sound(const Sluice__Config__V1__Usage *usage)
{
    if (usage->n_counts > COUNTS_MAX)
        return false;
    for (size_t i = 0; i < usage->n_counts; i++) {
        const Sluice__Config__V1__UsageCount *count = usage->counts[i];
        if (!is_id(count->application_id) || !is_id(count->event_api_id) || !is_id(count->virtual_cluster_id) ||
            (int)count->operation < 1 || (int)count->operation > SLC_USAGE_OPERATIONS)
            return false;
    }
    return true;
}

void slc_usage_said(slc_config_stream *stream, Sluice__Config__V1__FromNode *message)
{
    slc_control_grpc *grpc = stream->grpc;
    /* What an older stream of the node still brings may be settled already. */
    if (stream->cut || stream->call == NULL)
        return;
    if (stream->usage_waits) /* the node has lost its patience: it will tell it again */
        return;
    if (stream->boot_id[0] == '\0' || !is_sound(message->usage)) {
        slc_config_stream_cut(stream, SLC_CUT_PROTOCOL, SLC_RPC_INVALID_ARGUMENT,
                              "a report of usage that is not sound");
        return;
    }
    struct part *part = slc_calloc(1, sizeof *part);
    part->stream = slc_config_stream_ref(stream);
    memcpy(part->node_id, stream->node_id, sizeof part->node_id);
    memcpy(part->boot_id, stream->boot_id, sizeof part->boot_id);
    part->message = message->usage;
    message->usage = NULL; /* taken over */
    message->message_case = SLUICE__CONFIG__V1__FROM_NODE__MESSAGE__NOT_SET;
    stream->usage_waits = true;
    STAILQ_INSERT_TAIL(&grpc->usage->waiting, part, entry);
    const char *none[] = {NULL};
    slc_series_add(slc_metrics_series("sluice_control_usage_reports_total", none), 1);
    start(grpc);
}

/* ---- what is old ---- */

struct pruning {
    slc_control_grpc *grpc;
    bool more;
};

static bool prune(slc_txn *txn, void *arg, slc_error *err)
{
    struct pruning *pruning = arg;
    return slc_usage_prune(txn, &pruning->grpc->options.usage, &pruning->more, err);
}

static void on_pruned(void *arg, bool ok, const slc_error *err)
{
    struct pruning *pruning = arg;
    slc_control_grpc *grpc = pruning->grpc;
    bool again = ok && pruning->more && !grpc->stopping;
    if (!ok)
        slc_log_error(SLC_LOG_WARN, "usage that is older than it is kept was not removed", err);
    free(pruning);
    grpc->pending--;
    grpc->usage->pruning = false;
    if (again)
        slc_usage_prune_old(grpc);
}

void slc_usage_prune_old(slc_control_grpc *grpc)
{
    if (grpc->usage->pruning)
        return;
    struct pruning *pruning = slc_calloc(1, sizeof *pruning);
    pruning->grpc = grpc;
    grpc->usage->pruning = true;
    grpc->pending++;
    slc_catalog_usage(grpc->catalog, grpc->loop, prune, on_pruned, pruning);
}
