/* What is on a backend, as gateways have found it. */
#include "catalog/inventory.h"

#include <string.h>

#include "controlplane/admin/handlers.h"

#define SEARCH_MAX 200 /* characters */

static size_t characters(const char *text)
{
    size_t count = 0;
    for (; *text != '\0'; text++)
        count += ((unsigned char)*text & 0xc0) != 0x80;
    return count;
}

static bool take_query(const slc_call *call, slc_inventory_query *query, slc_error *err)
{
    const char *managed = slc_call_query(call, "managed");
    *query = (slc_inventory_query){.search = slc_call_query(call, "search"),
                                   .cursor = slc_call_query(call, "cursor"),
                                   .limit = slc_call_limit(call, err),
                                   .managed = -1};
    if (query->limit < 0)
        return false;
    if (query->search != NULL && (*query->search == '\0' || characters(query->search) > SEARCH_MAX))
        return slc_fail(err, SLC_INVALID, "search", "must have 1 to %d characters", SEARCH_MAX);
    if (managed != NULL && strcmp(managed, "true") != 0 && strcmp(managed, "false") != 0)
        return slc_fail(err, SLC_INVALID, "managed", "must be true or false");
    if (managed != NULL)
        query->managed = managed[0] == 't';
    return true;
}

/* Who may read backends sees everything, others what grants give to their teams. */
static const json_t *teams_of(const slc_call *call)
{
    const slc_identity *identity = &call->identity;
    return identity->user_id[0] == '\0' || slc_identity_may(identity, "backend-clusters:read")
               ? NULL
               : identity->teams;
}

bool slc_route_inventory_topics(slc_txn *txn, slc_call *call, slc_error *err)
{
    static const char *const known[] = {"search", "managed", "limit", "cursor", NULL};
    slc_inventory_query query;
    if (!slc_call_query_only(call, known, err) || !take_query(call, &query, err))
        return false;
    call->answer = slc_inventory_topics(txn, call->target.key, &query, teams_of(call), err);
    return call->answer != NULL;
}

bool slc_route_inventory_groups(slc_txn *txn, slc_call *call, slc_error *err)
{
    static const char *const known[] = {"search", "limit", "cursor", NULL};
    slc_inventory_query query;
    if (!slc_call_query_only(call, known, err) || !take_query(call, &query, err))
        return false;
    call->answer = slc_inventory_groups(txn, call->target.key, &query, err);
    return call->answer != NULL;
}
