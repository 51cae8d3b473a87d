/* What is done from time to time: ephemeral nodes that are gone are forgotten, authorities that nobody needs
 * are retired. */
#include <event2/event.h>
#include <stdlib.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/metrics.h"
#include "controlplane/grpc/grpc_private.h"

struct upkeep {
    slc_control_grpc *grpc;
    bool forget;
    json_t *forgotten; /* ids */
    bool retired;
};

static void on_upkeep(evutil_socket_t fd, short what, void *arg);

static void arm(slc_control_grpc *grpc)
{
    int64_t ms = grpc->options.upkeep_ms;
    event_add(grpc->upkeep, &(struct timeval){.tv_sec = ms / 1000, .tv_usec = (ms % 1000) * 1000});
}

void slc_upkeep_init(slc_control_grpc *grpc)
{
    grpc->started_ms = slc_monotonic_ms();
    grpc->upkeep = evtimer_new(slc_loop_base(grpc->loop), on_upkeep, grpc);
    SLC_BUG_ON(grpc->upkeep == NULL);
    arm(grpc);
}

void slc_upkeep_release(slc_control_grpc *grpc)
{
    if (grpc->upkeep != NULL)
        event_free(grpc->upkeep);
    grpc->upkeep = NULL;
}

/* ---- on catalog threads ---- */

static bool look(slc_txn *txn, void *arg, slc_error *err)
{
    struct upkeep *upkeep = arg;
    const slc_control_grpc_options *options = &upkeep->grpc->options;
    return (!upkeep->forget || slc_nodes_forget(txn, options->forget_ephemeral_ms, upkeep->forgotten, err)) &&
           slc_ca_retire_if_unused(upkeep->grpc->ca, txn, options->ca_retire_after_ms, &upkeep->retired, err);
}

static bool forget_reports(slc_txn *txn, void *arg, slc_error *err)
{
    struct upkeep *upkeep = arg;
    size_t i;
    json_t *id;
    json_array_foreach (upkeep->forgotten, i, id) {
        if (!slc_usage_node_forget(txn, json_string_value(id), err))
            return false;
    }
    return true;
}

/* ---- on the loop ---- */

/* An authority whose certificates could outlive it is due for a rotation. */
static void watch_authority(slc_control_grpc *grpc)
{
    int64_t expiry_ms = slc_ca_expiry_ms(grpc->ca), left_ms = expiry_ms - slc_ca_now_ms(grpc->ca);
    slc_series_set(slc_metrics_series("sluice_node_ca_expiry_timestamp_seconds", NULL), expiry_ms / 1000);
    if (left_ms < grpc->options.ca_warn_ms && !grpc->ca_warned)
        slc_log(SLC_LOG_WARN,
                "the active authority of the node CA ends soon: rotate it (POST /v1/node-ca/rotate)",
                LI("left_ms", left_ms));
    grpc->ca_warned = left_ms < grpc->options.ca_warn_ms;
}

static void finish(struct upkeep *upkeep)
{
    slc_control_grpc *grpc = upkeep->grpc;
    grpc->pending--;
    if (!grpc->stopping)
        arm(grpc);
    json_decref(upkeep->forgotten);
    free(upkeep);
}

static void on_reports_forgotten(void *arg, bool ok, const slc_error *err)
{
    if (!ok)
        slc_log_error(SLC_LOG_WARN, "what forgotten nodes reported was not removed", err);
    finish(arg);
}

static void on_looked(void *arg, bool ok, const slc_error *err)
{
    struct upkeep *upkeep = arg;
    if (!ok)
        slc_log_error(SLC_LOG_WARN, "the upkeep of nodes and authorities failed and is tried again", err);
    if (ok && upkeep->retired)
        slc_log(SLC_LOG_INFO, "the former authority of the node CA was retired: no node needs it any more");
    if (!ok || json_array_size(upkeep->forgotten) == 0) {
        finish(upkeep);
        return;
    }
    slc_log(SLC_LOG_INFO, "ephemeral nodes forgotten",
            LI("nodes", (int64_t)json_array_size(upkeep->forgotten)));
    slc_catalog_usage(upkeep->grpc->catalog, upkeep->grpc->loop, forget_reports, on_reports_forgotten, upkeep);
}

/* While the control plane was down it heard of nobody: nodes get their time to come back first. */
static bool may_forget(const slc_control_grpc *grpc)
{
    return slc_monotonic_ms() - grpc->started_ms >= grpc->options.forget_ephemeral_ms;
}

static void on_upkeep(evutil_socket_t fd, short what, void *arg)
{
    slc_control_grpc *grpc = arg;
    slc_actor actor = {.kind = "system", .id = "system", .name = "upkeep"};
    (void)fd, (void)what;
    SLC_CHECK_MAGIC(grpc, SLC_CONTROL_GRPC_MAGIC);
    if (grpc->stopping)
        return;
    struct upkeep *upkeep = slc_calloc(1, sizeof *upkeep);
    watch_authority(grpc);
    slc_usage_prune_old(grpc);
    upkeep->grpc = grpc;
    upkeep->forget = may_forget(grpc);
    upkeep->forgotten = json_array();
    grpc->pending++;
    slc_catalog_write(grpc->catalog, grpc->loop, &actor, look, on_looked, upkeep);
}
