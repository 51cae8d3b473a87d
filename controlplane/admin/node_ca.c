/* The routes of the node CA. */
#include "controlplane/admin/admin.h"
#include "controlplane/admin/handlers.h"
#include "controlplane/ca/ca.h"

static bool answer(slc_txn *txn, slc_call *call, slc_error *err)
{
    call->answer = slc_ca_describe(slc_control_grpc_ca(slc_admin_grpc(call->admin)), txn, err);
    return call->answer != NULL;
}

bool slc_route_node_ca(slc_txn *txn, slc_call *call, slc_error *err)
{
    return answer(txn, call, err);
}

bool slc_route_node_ca_rotate(slc_txn *txn, slc_call *call, slc_error *err)
{
    return slc_ca_rotate(slc_control_grpc_ca(slc_admin_grpc(call->admin)), txn, err) && answer(txn, call, err);
}

bool slc_route_node_ca_retire(slc_txn *txn, slc_call *call, slc_error *err)
{
    bool force;
    return slc_call_query_bool(call, "force", &force, err) &&
           slc_ca_retire(slc_control_grpc_ca(slc_admin_grpc(call->admin)), txn, force, err) &&
           answer(txn, call, err);
}
