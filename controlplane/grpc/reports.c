/* What nodes report, on its way to usage.db. While one transaction is under way the reports that come are
 * gathered for the next, so that five hundred acknowledgements at once are a few transactions; of what a node
 * says about itself only the latest is kept meanwhile, so that what waits is bounded by the nodes. */
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/log.h"
#include "controlplane/grpc/stream_private.h"

STAILQ_HEAD(slc_report_list, slc_report);

struct slc_reports {
    struct slc_report_list waiting;
    bool writing;
};

/* A transaction's worth. */
struct batch {
    slc_control_grpc *grpc;
    struct slc_report_list reports;
};

static void start(slc_control_grpc *grpc);

void slc_reports_init(slc_control_grpc *grpc)
{
    grpc->reports = slc_calloc(1, sizeof *grpc->reports);
    STAILQ_INIT(&grpc->reports->waiting);
}

static void free_list(struct slc_report_list *list)
{
    while (!STAILQ_EMPTY(list)) {
        slc_report *report = STAILQ_FIRST(list);
        STAILQ_REMOVE_HEAD(list, entry);
        free(report);
    }
}

void slc_reports_release(slc_control_grpc *grpc)
{
    if (grpc->reports != NULL)
        free_list(&grpc->reports->waiting);
    free(grpc->reports);
    grpc->reports = NULL;
}

static bool write_batch(slc_txn *txn, void *arg, slc_error *err)
{
    struct batch *batch = arg;
    const slc_report *report;
    STAILQ_FOREACH (report, &batch->reports, entry) {
        if (!slc_usage_node_seen(txn, &report->seen, err) ||
            (report->nack && !slc_usage_node_nack(txn, report->node_id, report->nack_version, report->entity,
                                                  report->message, err)))
            return false;
    }
    return true;
}

static void on_written(void *arg, bool ok, const slc_error *err)
{
    struct batch *batch = arg;
    slc_control_grpc *grpc = batch->grpc;
    if (!ok)
        slc_log_error(SLC_LOG_WARN, "what nodes reported was not recorded", err);
    free_list(&batch->reports);
    free(batch);
    grpc->pending--;
    grpc->reports->writing = false;
    start(grpc);
}

static void start(slc_control_grpc *grpc)
{
    struct slc_reports *reports = grpc->reports;
    slc_report *report;
    if (reports->writing || STAILQ_EMPTY(&reports->waiting))
        return;
    struct batch *batch = slc_calloc(1, sizeof *batch);
    batch->grpc = grpc;
    STAILQ_INIT(&batch->reports);
    STAILQ_CONCAT(&batch->reports, &reports->waiting);
    STAILQ_FOREACH (report, &batch->reports, entry) {
        slc_reports_forget(report->stream);
    }
    reports->writing = true;
    grpc->pending++;
    slc_catalog_usage(grpc->catalog, grpc->loop, write_batch, on_written, batch);
}

slc_report *slc_report_new(slc_config_stream *stream)
{
    slc_report *report = slc_calloc(1, sizeof *report);
    memcpy(report->node_id, stream->node_id, sizeof report->node_id);
    memcpy(report->boot_id, stream->boot_id, sizeof report->boot_id);
    report->seen.node_id = report->node_id;
    report->seen.boot_id = report->boot_id[0] != '\0' ? report->boot_id : NULL;
    report->seen.connected = true;
    report->seen.applied_version = stream->applied_version;
    report->seen.connections = stream->connections;
    report->seen.draining = stream->draining;
    memcpy(report->problem, stream->problem, sizeof report->problem);
    report->seen.problem = report->problem;
    return report;
}

/* Puts the newer word into the place of the older, whose build stands if the newer has none. */
static void merge(slc_report *older, slc_report *newer)
{
    slc_node_report seen = newer->seen;
    seen.node_id = older->node_id;
    seen.boot_id = older->seen.boot_id;
    seen.build = older->seen.build;
    memcpy(older->problem, newer->problem, sizeof older->problem);
    seen.problem = older->problem;
    older->seen = seen;
    free(newer);
}

void slc_report_send(slc_config_stream *stream, slc_report *report)
{
    slc_control_grpc *grpc = stream->grpc;
    bool plain = !report->nack && report->seen.build == NULL;
    if (plain && stream->waiting_report != NULL) {
        merge(stream->waiting_report, report);
        return;
    }
    slc_reports_forget(stream);
    STAILQ_INSERT_TAIL(&grpc->reports->waiting, report, entry);
    /* What comes after a refusal must stay after it. */
    if (!report->nack) {
        report->stream = stream;
        stream->waiting_report = report;
    }
    start(grpc);
}

void slc_reports_forget(slc_config_stream *stream)
{
    if (stream == NULL || stream->waiting_report == NULL)
        return;
    stream->waiting_report->stream = NULL;
    stream->waiting_report = NULL;
}
