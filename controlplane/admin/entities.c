/* The routes that every kind of entity shares. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalog/read.h"
#include "common/alloc.h"
#include "controlplane/admin/admin.h"
#include "controlplane/admin/handlers.h"

/* Takes the answer over and notes its revision as the ETag. */
static bool answer_entity(slc_call *call, json_t *entity)
{
    const json_t *revision = json_object_get(entity, "revision");
    call->answer = entity;
    call->etag = json_is_integer(revision) ? json_integer_value(revision) : -1;
    return true;
}

const char *slc_call_problems_type(const json_t *problems)
{
    size_t i;
    json_t *problem;
    json_array_foreach ((json_t *)problems, i, problem)
        if (json_object_get(problem, "rule") == NULL)
            return NULL;
    return json_array_size(problems) > 0 ? "publishing-blocked" : NULL;
}

bool slc_call_keep_problems(slc_txn *txn, slc_call *call)
{
    const json_t *problems = slc_txn_problems(txn);
    if (problems != NULL && json_array_size(problems) > 0) {
        call->problem = json_pack("{s:o}", "errors", json_deep_copy(problems));
        call->problem_type = slc_call_problems_type(problems);
    }
    return false;
}

int slc_call_limit(const slc_call *call, slc_error *err)
{
    const char *text = slc_call_query(call, "limit");
    char *end = NULL;
    if (text == NULL)
        return 0;
    long limit = isdigit((unsigned char)*text) ? strtol(text, &end, 10) : 0;
    if (end != NULL && *end == '\0' && limit >= 1 && limit <= 1000)
        return (int)limit;
    slc_fail(err, SLC_INVALID, "limit", "must be from 1 to 1000");
    return -1;
}

bool slc_route_list(slc_txn *txn, slc_call *call, slc_error *err)
{
    slc_list_query query = {.limit = slc_call_limit(call, err),
                            .cursor = slc_call_query(call, "cursor"),
                            .viewer = &call->identity};
    struct evkeyval *pair;
    if (query.limit < 0)
        return false;
    json_t *filters = json_object();
    bool ok = true;
    for (pair = call->query.tqh_first; ok && pair != NULL; pair = pair->next.tqe_next)
        if (strcmp(pair->key, "limit") != 0 && strcmp(pair->key, "cursor") != 0)
            ok = json_object_set_new(filters, pair->key, json_string(pair->value)) == 0 ||
                 slc_fail(err, SLC_INVALID, NULL, "the query string is not UTF-8");
    query.filters = filters;
    if (ok)
        call->answer = slc_entity_list(txn, call->target.kind, &query, err);
    json_decref(filters);
    return call->answer != NULL;
}

/* The link is the token behind the address of a page; behind #, so that no server on the way logs it. */
static void add_link(slc_call *call, json_t *entity)
{
    const char *token = json_string_value(json_object_get(entity, "token"));
    const char *portal = slc_admin_portal_url(call->admin), *kind = call->target.kind->name;
    const char *page = strcmp(kind, "invitations") == 0 ? "invitation"
                       : strcmp(kind, "users") == 0     ? "reset"
                                                        : NULL;
    if (page == NULL || token == NULL || portal == NULL)
        return;
    char *link = slc_asprintf("%s/%s#%s", portal, page, token);
    json_object_set_new(entity, "link", json_string(link));
    slc_free_secret(link, strlen(link));
}

/* The join string is the token with what a gateway needs to find and trust this control plane. */
static bool add_join_string(slc_txn *txn, slc_call *call, json_t *entity, slc_error *err)
{
    const char *token = json_string_value(json_object_get(entity, "token"));
    if (strcmp(call->target.kind->name, "enrolment-tokens") != 0 || token == NULL)
        return true;
    char *join = slc_control_grpc_join(slc_admin_grpc(call->admin), txn, token, err);
    if (join == NULL)
        return false;
    json_object_set_new(entity, "join", json_string(join));
    slc_free_secret(join, strlen(join));
    return true;
}

bool slc_route_create(slc_txn *txn, slc_call *call, slc_error *err)
{
    json_t *entity = slc_entity_create(txn, call->target.kind, call->body, err);
    if (entity == NULL)
        return slc_call_keep_problems(txn, call);
    if (!add_join_string(txn, call, entity, err)) {
        json_decref(entity);
        return false;
    }
    add_link(call, entity);
    snprintf(call->location, sizeof call->location, "/v1/%s/%s", call->target.kind->name,
             json_string_value(json_object_get(entity, "id")));
    return answer_entity(call, entity);
}

/* What somebody may not know of is not there, whatever they want with it. */
static bool is_visible(slc_txn *txn, const slc_call *call, slc_error *err)
{
    return slc_entity_visible(txn, call->target.kind, call->target.key, &call->identity, err);
}

bool slc_route_get(slc_txn *txn, slc_call *call, slc_error *err)
{
    json_t *entity =
        is_visible(txn, call, err) ? slc_entity_get(txn, call->target.kind, call->target.key, err) : NULL;
    return entity != NULL && answer_entity(call, entity);
}

/* `*` matches whatever revision there is; none at all is asked for with 428 unless nothing would change. */
static bool update(slc_txn *txn, slc_call *call, bool patch, slc_error *err)
{
    int64_t if_match = call->if_match;
    if (!is_visible(txn, call, err))
        return false;
    if (if_match == SLC_IF_MATCH_ANY) {
        json_t *current = slc_entity_get(txn, call->target.kind, call->target.key, err);
        if (current == NULL)
            return false;
        if_match = json_integer_value(json_object_get(current, "revision"));
        json_decref(current);
    }
    json_t *entity =
        slc_entity_update(txn, call->target.kind, call->target.key, call->body, patch, if_match, err);
    if (entity != NULL)
        return answer_entity(call, entity);
    if (err->code == SLC_STALE && call->if_match == SLC_IF_MATCH_NONE)
        call->status = 428;
    return slc_call_keep_problems(txn, call);
}

bool slc_route_replace(slc_txn *txn, slc_call *call, slc_error *err)
{
    return update(txn, call, false, err);
}

bool slc_route_patch(slc_txn *txn, slc_call *call, slc_error *err)
{
    return update(txn, call, true, err);
}

bool slc_route_delete(slc_txn *txn, slc_call *call, slc_error *err)
{
    json_t *referrers = NULL;
    if (!is_visible(txn, call, err))
        return false;
    int64_t if_match = call->if_match == SLC_IF_MATCH_ANY ? SLC_IF_MATCH_NONE : call->if_match;
    if (slc_entity_delete(txn, call->target.kind, call->target.key, if_match, &referrers, err))
        return true;
    if (referrers != NULL)
        call->problem = json_pack("{s:o}", "referrers", referrers);
    return false;
}

bool slc_route_act(slc_txn *txn, slc_call *call, slc_error *err)
{
    if (!is_visible(txn, call, err))
        return false;
    json_t *entity =
        slc_entity_act(txn, call->target.kind, call->target.key, call->target.action, call->body, err);
    if (entity == NULL)
        return slc_call_keep_problems(txn, call);
    add_link(call, entity);
    return answer_entity(call, entity);
}
