/* Where names of a virtual cluster meet: as its configuration shows, and as gateways have seen. */
#include <string.h>

#include "catalog/conflicts.h"
#include "catalog/read.h"
#include "common/alloc.h"
#include "controlplane/admin/admin.h"
#include "controlplane/admin/handlers.h"

static const char *text(const json_t *item, const char *name)
{
    return json_string_value(json_object_get(item, name));
}

/* On the loop. */
static void on_seen(void *arg, json_t *seen)
{
    slc_call *call = arg;
    json_t *all = json_object_get(call->answer, "conflicts"), *item;
    size_t i;
    json_array_foreach (seen, i, item) {
        char *detail = slc_asprintf(
            "the topic %s is invisible: %s %s has its name", text(item, "topic"),
            strcmp(text(item, "winner"), "alias") == 0 ? "the alias" : "the extra topic", text(item, "name"));
        json_object_set_new(item, "kind", json_string("same-name"));
        json_object_set_new(item, "loser", json_string("namespace"));
        json_object_set_new(item, "detail", json_string(detail));
        json_array_append_new(all, json_deep_copy(item));
        free(detail);
    }
    slc_admin_resume(call, true, NULL);
}

static void ask_gateways(slc_call *call)
{
    slc_control_grpc_conflicts(slc_admin_grpc(call->admin), call->target.key, slc_admin_loop(call->admin),
                               on_seen, call);
}

bool slc_route_conflicts(slc_txn *txn, slc_call *call, slc_error *err)
{
    static const char *const none[] = {NULL};
    json_t *vcluster, *found;
    if (!slc_call_query_only(call, none, err) ||
        (vcluster = slc_entity_load(txn, slc_kind_find("virtual-clusters"), call->target.key, err)) == NULL)
        return false;
    snprintf(call->target.key, sizeof call->target.key, "%s", text(vcluster, "id"));
    found = slc_catalog_conflicts(txn, vcluster, err);
    if (found != NULL)
        call->answer =
            json_pack("{s:O, s:o}", "virtual_cluster", json_object_get(vcluster, "name"), "conflicts", found);
    json_decref(vcluster);
    call->after = found != NULL ? ask_gateways : NULL;
    return found != NULL;
}
