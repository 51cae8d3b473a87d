/* What a gateway node says about itself when it is asked. */
#include <string.h>

#include "catalog/read.h"
#include "controlplane/admin/admin.h"
#include "controlplane/admin/handlers.h"

/* On the loop. The node lists up to its own bound; the caller may want fewer. */
static void on_connections(void *arg, json_t *answer, const slc_error *err)
{
    slc_call *call = arg;
    json_t *all, *some;
    size_t i, limit = (size_t)call->limit;
    if (answer == NULL) {
        slc_admin_resume(call, false, err);
        return;
    }
    all = json_object_get(answer, "connections");
    call->answer = json_copy(answer);
    if (limit > 0 && json_array_size(all) > limit) {
        some = json_array();
        for (i = 0; i < limit; i++)
            json_array_append(some, json_array_get(all, i));
        json_object_set_new(call->answer, "connections", some);
        json_object_set_new(call->answer, "truncated", json_true());
    }
    slc_admin_resume(call, true, NULL);
}

static void ask_node(slc_call *call)
{
    slc_control_grpc_connections(slc_admin_grpc(call->admin), call->target.key, slc_admin_loop(call->admin),
                                 on_connections, call);
}

bool slc_route_node_connections(slc_txn *txn, slc_call *call, slc_error *err)
{
    const slc_kind *kind = slc_kind_find("gateway-nodes");
    json_t *node;
    call->limit = slc_call_limit(call, err);
    if (call->limit < 0 || (node = slc_entity_get(txn, kind, call->target.key, err)) == NULL)
        return false;
    snprintf(call->target.key, sizeof call->target.key, "%s", json_string_value(json_object_get(node, "id")));
    json_decref(node);
    call->after = ask_node;
    return true;
}

/* ---- drain ---- */

/* On the loop. */
static void on_drained(void *arg, const slc_error *err)
{
    slc_admin_resume(arg, err == NULL, err);
}

static void drain_node(slc_call *call)
{
    slc_control_grpc_drain(slc_admin_grpc(call->admin), call->target.key, slc_admin_loop(call->admin),
                           on_drained, call);
}

/* In the audit trail, although nothing in the catalog changes. */
bool slc_route_node_drain(slc_txn *txn, slc_call *call, slc_error *err)
{
    const slc_kind *kind = slc_kind_find("gateway-nodes");
    json_t *node = slc_entity_get(txn, kind, call->target.key, err);
    if (node == NULL)
        return false;
    const char *id = json_string_value(json_object_get(node, "id"));
    const char *state = json_string_value(json_object_get(node, "state"));
    bool connected = state != NULL && strcmp(state, "connected") == 0;
    bool ok = connected ? slc_audit_note(txn, "drain", "gateway-nodes", id, err)
                        : slc_fail(err, SLC_CONFLICT, NULL, "the node is not connected: stop it where it runs");
    snprintf(call->target.key, sizeof call->target.key, "%s", id);
    call->answer = ok ? json_pack("{s:s, s:b}", "node", id, "draining", 1) : NULL;
    call->after = ok ? drain_node : NULL;
    json_decref(node);
    return ok;
}
