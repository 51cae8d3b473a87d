/* What was sent to a webhook, and what is still to be sent. */
#include <string.h>

#include "catalog/notify.h"
#include "catalog/read.h"
#include "controlplane/admin/handlers.h"

/* Of their own teams, or of all: deliveries say what happened there. */
static bool may_see(const slc_call *call, const json_t *webhook, slc_error *err)
{
    const slc_identity *identity = &call->identity;
    const char *team = json_string_value(json_object_get(webhook, "team"));
    size_t i;
    json_t *own;
    if (identity->user_id[0] == '\0' || slc_identity_may(identity, SLC_PERMISSION_ALL_TEAMS))
        return true;
    json_array_foreach (identity->teams, i, own) {
        if (team != NULL && strcmp(json_string_value(own), team) == 0)
            return true;
    }
    return slc_fail(err, SLC_DENIED, NULL, "the webhook is of another team, or of everybody");
}

bool slc_route_deliveries(slc_txn *txn, slc_call *call, slc_error *err)
{
    static const char *const known[] = {"state", "limit", "cursor", NULL};
    const char *state = slc_call_query(call, "state");
    int limit = slc_call_limit(call, err);
    if (limit < 0 || !slc_call_query_only(call, known, err))
        return false;
    if (state != NULL && strcmp(state, "pending") != 0 && strcmp(state, "delivered") != 0 &&
        strcmp(state, "dead") != 0)
        return slc_fail(err, SLC_INVALID, "state", "must be pending, delivered or dead");
    json_t *webhook = slc_entity_load(txn, slc_kind_find("webhooks"), call->target.key, err);
    if (webhook == NULL)
        return false;
    if (may_see(call, webhook, err))
        call->answer = slc_deliveries_list(txn, json_string_value(json_object_get(webhook, "id")), state, limit,
                                           slc_call_query(call, "cursor"), err);
    json_decref(webhook);
    return call->answer != NULL;
}
