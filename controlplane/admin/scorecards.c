/* Scorecards of event APIs and REST APIs, and rules that are tried before they are made. */
#include "catalog/scorecard.h"

#include <string.h>

#include "controlplane/admin/handlers.h"

static bool read_query(const slc_call *call, const char *const *known, slc_scorecard_query *query,
                       slc_error *err)
{
    *query = (slc_scorecard_query){.team = slc_call_query(call, "team"),
                                   .lifecycle = slc_call_query(call, "lifecycle"),
                                   .cursor = slc_call_query(call, "cursor"),
                                   .limit = slc_call_limit(call, err)};
    return query->limit >= 0 && slc_call_query_only(call, known, err);
}

/* Of "/v1/rest-apis/{key}/scorecard" and the like. */
static const slc_kind *kind_of(const slc_call *call)
{
    bool rest = strstr(call->route->pattern, "/rest-apis/") != NULL;
    return slc_kind_find(rest ? "rest-apis" : "event-apis");
}

bool slc_route_scorecard(slc_txn *txn, slc_call *call, slc_error *err)
{
    static const char *const none[] = {NULL};
    if (slc_call_query_only(call, none, err))
        call->answer = slc_scorecard_get(txn, kind_of(call), call->target.key, &call->identity, err);
    return call->answer != NULL;
}

bool slc_route_scorecards(slc_txn *txn, slc_call *call, slc_error *err)
{
    static const char *const known[] = {"team", "lifecycle", "limit", "cursor", NULL};
    slc_scorecard_query query;
    if (read_query(call, known, &query, err))
        call->answer = slc_scorecard_list(txn, &query, &call->identity, err);
    return call->answer != NULL;
}

bool slc_route_scorecard_preview(slc_txn *txn, slc_call *call, slc_error *err)
{
    static const char *const known[] = {"limit", "cursor", NULL};
    slc_scorecard_query query;
    if (!read_query(call, known, &query, err))
        return false;
    call->answer = slc_scorecard_preview(txn, call->body, &query, &call->identity, err);
    return call->answer != NULL || slc_call_keep_problems(txn, call);
}
