/* The routes that are about the control plane itself. */
#include <stdlib.h>

#include "catalog/nodes.h"
#include "catalog/read.h"
#include "common/buf.h"
#include "common/metrics.h"
#include "common/process_metrics.h"
#include "controlplane/admin/admin.h"
#include "controlplane/admin/handlers.h"

#define METRICS_MAX_BYTES (16u << 20)

bool slc_route_live(slc_txn *txn, slc_call *call, slc_error *err)
{
    (void)txn, (void)err;
    call->answer = json_pack("{s:s}", "status", "live");
    return true;
}

/* That this runs at all means that a read transaction could begin. A full disk does not count: what there is
 * can be read, and space comes back. */
bool slc_route_ready(slc_txn *txn, slc_call *call, slc_error *err)
{
    slc_catalog_status status;
    slc_catalog_get_status(slc_txn_catalog(txn), &status);
    if (status.damaged)
        return slc_fail(
            err, SLC_UNAVAILABLE, NULL,
            "the catalog's database is damaged; the log has the file and the command that restores it");
    call->answer =
        json_pack("{s:s, s:I}", "status", "ready", "revision", (json_int_t)slc_catalog_revision(txn));
    return true;
}

bool slc_route_openapi(slc_txn *txn, slc_call *call, slc_error *err)
{
    (void)txn, (void)err;
    call->answer = slc_openapi_document();
    return true;
}

static bool note_nodes(slc_txn *txn, slc_error *err)
{
    int64_t counts[SLC_NODE_STATES];
    if (!slc_nodes_count(txn, counts, err))
        return false;
    for (size_t i = 0; i < SLC_NODE_STATES; i++)
        slc_series_set(slc_metrics_series("sluice_control_nodes", &slc_node_state_names[i]), counts[i]);
    return true;
}

/* Returns whether the catalog can be read, as far as is known. */
static bool note_catalog(slc_txn *txn)
{
    static const char *const queues[] = {"write", "read", "usage"};
    slc_catalog_status status;
    slc_catalog_get_status(slc_txn_catalog(txn), &status);
    slc_series_set(slc_metrics_series("sluice_catalog_damaged", NULL), status.damaged ? 1 : 0);
    slc_series_set(slc_metrics_series("sluice_backup_last_success_timestamp_seconds", NULL),
                   status.last_backup_ms / 1000);
    for (size_t i = 0; i < sizeof queues / sizeof *queues; i++)
        slc_series_set(slc_metrics_series("sluice_catalog_waiting", &queues[i]), (int64_t)status.waiting[i]);
    slc_process_metrics_refresh(status.data_dir);
    return !status.damaged;
}

bool slc_route_metrics(slc_txn *txn, slc_call *call, slc_error *err)
{
    slc_buf text;
    /* When the catalog is damaged the other metrics are needed all the more. */
    if (note_catalog(txn) && !note_nodes(txn, err))
        return false;
    slc_buf_init(&text, METRICS_MAX_BYTES);
    slc_metrics_render(&text);
    if (text.overflow) {
        slc_buf_release(&text);
        return slc_fail(err, SLC_TOO_LARGE, NULL, "the metrics take more than %u bytes", METRICS_MAX_BYTES);
    }
    call->text = slc_buf_steal(&text, &call->text_len);
    call->text_type = "text/plain; version=0.0.4; charset=utf-8";
    return true;
}

bool slc_route_self(slc_txn *txn, slc_call *call, slc_error *err)
{
    const slc_identity *who = &call->identity;
    bool user = who->user_id[0] != '\0';
    (void)txn, (void)err;
    call->answer =
        json_pack("{s:s, s:s, s:s?, s:O, s:O?}", "id", who->token_id, "name", who->token_name, "user",
                  user ? who->user_name : NULL, "scopes", who->scopes, "rights", who->rights);
    return true;
}
