/* Rules: deployments. The listener, the virtual cluster and the event API must fit together, and a team may
 * only expose what it was granted. */
#include <string.h>

#include "catalog/access.h"
#include "catalog/entity.h"
#include "catalog/grants.h"
#include "catalog/namespace.h"
#include "catalog/store.h"

static bool check_listener(slc_txn *txn, const json_t *next, const json_t *api, const json_t *listener,
                           slc_error *err)
{
    const json_t *exposures = json_object_get(api, "exposures");
    const char *protocol = slc_get_text(listener, "protocol");
    const char *name = slc_get_text(listener, "name");
    bool http = slc_has_text(exposures, "rest") || slc_has_text(exposures, "sse");
    if (strcmp(slc_get_text(listener, "gateway_group"), slc_get_text(next, "gateway_group")) != 0)
        return slc_txn_problem(txn, "/listener", err, "listener %s belongs to another gateway group", name);
    if (http != (strcmp(protocol, "http") == 0))
        return slc_txn_problem(txn, "/listener", err, "listener %s speaks %s, but the event API is exposed %s",
                               name, protocol, http ? "over rest or sse" : "over kafka only");
    const char *behind = slc_get_text(json_object_get(listener, "kafka"), "virtual_cluster");
    if (behind != NULL && strcmp(behind, slc_get_text(next, "virtual_cluster")) != 0)
        return slc_txn_problem(txn, "/virtual_cluster", err, "listener %s leads to another virtual cluster",
                               name);
    return true;
}

static bool check_grants(slc_txn *txn, const json_t *next, const json_t *api, slc_error *err)
{
    slc_exposure exposure = {.team = slc_get_text(api, "team"),
                             .virtual_cluster = slc_get_text(next, "virtual_cluster"),
                             .topic = slc_get_text(next, "topic"),
                             .operations = json_object_get(api, "operations")};
    int granted = slc_grants_cover(txn, &exposure, err);
    if (granted == 0)
        slc_fail(err, SLC_DENIED, "/topic",
                 "the event API's team has no grant to expose the topic with all of the API's operations");
    return granted == 1;
}

static bool check_deployment(slc_txn *txn, slc_change *change, slc_error *err)
{
    const json_t *next = change->next;
    json_t *api = slc_entity_load(txn, slc_kind_find("event-apis"), slc_get_text(next, "event_api"), err);
    json_t *listener = slc_entity_load(txn, slc_kind_find("listeners"), slc_get_text(next, "listener"), err);
    bool ok = api != NULL && listener != NULL && check_listener(txn, next, api, listener, err);
    if (ok && slc_access_bound(txn) != NULL)
        ok = check_grants(txn, next, api, err);
    json_decref(listener);
    json_decref(api);
    return ok;
}

static bool deployment_settled(slc_txn *txn, const slc_change *change, slc_error *err)
{
    const char *topic = slc_get_text(change->next, "topic");
    json_t *vcluster = slc_entity_load(txn, slc_kind_find("virtual-clusters"),
                                       slc_get_text(change->next, "virtual_cluster"), err);
    bool ok = vcluster != NULL &&
              (slc_namespace_has_topic(vcluster, topic) ||
               slc_txn_problem(txn, "/topic", err, "is not one that clients of virtual cluster %s can name",
                               slc_get_text(vcluster, "name")));
    json_decref(vcluster);
    return ok;
}

const struct slc_kind_rules slc_rules_deployment = {.check = check_deployment, .settled = deployment_settled};
