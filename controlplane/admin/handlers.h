/* What the routes do: each runs inside a catalog transaction and fills the call's answer. */
#ifndef SLC_CONTROLPLANE_ADMIN_HANDLERS_H
#define SLC_CONTROLPLANE_ADMIN_HANDLERS_H

#include "controlplane/admin/call.h"

/* service.c */
bool slc_route_live(slc_txn *txn, slc_call *call, slc_error *err) SLC_CHECKED;
bool slc_route_ready(slc_txn *txn, slc_call *call, slc_error *err) SLC_CHECKED;
bool slc_route_openapi(slc_txn *txn, slc_call *call, slc_error *err) SLC_CHECKED;
bool slc_route_metrics(slc_txn *txn, slc_call *call, slc_error *err) SLC_CHECKED;
bool slc_route_self(slc_txn *txn, slc_call *call, slc_error *err) SLC_CHECKED;

/* store.c: the catalog's file; tasks, without a transaction */
bool slc_route_backups(slc_txn *txn, slc_call *call, slc_error *err) SLC_CHECKED;
bool slc_route_backup_make(slc_txn *txn, slc_call *call, slc_error *err) SLC_CHECKED;
bool slc_route_backup_file(slc_txn *txn, slc_call *call, slc_error *err) SLC_CHECKED;
bool slc_route_rotate_key(slc_txn *txn, slc_call *call, slc_error *err) SLC_CHECKED;

/* me.c */
bool slc_route_me(slc_txn *txn, slc_call *call, slc_error *err) SLC_CHECKED;

/* members.c */
bool slc_route_members(slc_txn *txn, slc_call *call, slc_error *err) SLC_CHECKED;

/* entities.c: every kind alike */
/* All fields at fault go into the problem document, not only the first. Returns false. */
bool slc_call_keep_problems(slc_txn *txn, slc_call *call);
/* "publishing-blocked" when scorecard rules are all that is in the way; else NULL. */
const char *slc_call_problems_type(const json_t *problems);
bool slc_route_list(slc_txn *txn, slc_call *call, slc_error *err) SLC_CHECKED;
bool slc_route_create(slc_txn *txn, slc_call *call, slc_error *err) SLC_CHECKED;
bool slc_route_get(slc_txn *txn, slc_call *call, slc_error *err) SLC_CHECKED;
bool slc_route_replace(slc_txn *txn, slc_call *call, slc_error *err) SLC_CHECKED;
bool slc_route_patch(slc_txn *txn, slc_call *call, slc_error *err) SLC_CHECKED;
bool slc_route_delete(slc_txn *txn, slc_call *call, slc_error *err) SLC_CHECKED;
bool slc_route_act(slc_txn *txn, slc_call *call, slc_error *err) SLC_CHECKED;

/* config.c */
bool slc_route_config_dump(slc_txn *txn, slc_call *call, slc_error *err) SLC_CHECKED;
bool slc_route_config_apply(slc_txn *txn, slc_call *call, slc_error *err) SLC_CHECKED;
bool slc_route_version_diff(slc_txn *txn, slc_call *call, slc_error *err) SLC_CHECKED;
bool slc_route_version_rollback(slc_txn *txn, slc_call *call, slc_error *err) SLC_CHECKED;

/* promote.c */
bool slc_route_promote(slc_txn *txn, slc_call *call, slc_error *err) SLC_CHECKED;

/* explain.c */
bool slc_route_explain(slc_txn *txn, slc_call *call, slc_error *err) SLC_CHECKED;
/* nodes.c */
bool slc_route_node_connections(slc_txn *txn, slc_call *call, slc_error *err) SLC_CHECKED;
bool slc_route_node_drain(slc_txn *txn, slc_call *call, slc_error *err) SLC_CHECKED;
/* usage.c */
bool slc_route_usage(slc_txn *txn, slc_call *call, slc_error *err) SLC_CHECKED;
/* inventory.c */
bool slc_route_inventory_topics(slc_txn *txn, slc_call *call, slc_error *err) SLC_CHECKED;
bool slc_route_inventory_groups(slc_txn *txn, slc_call *call, slc_error *err) SLC_CHECKED;
/* catalog.c */
bool slc_route_catalog(slc_txn *txn, slc_call *call, slc_error *err) SLC_CHECKED;
bool slc_route_catalog_one(slc_txn *txn, slc_call *call, slc_error *err) SLC_CHECKED;
bool slc_route_catalog_asyncapi(slc_txn *txn, slc_call *call, slc_error *err) SLC_CHECKED;
bool slc_route_catalog_document(slc_txn *txn, slc_call *call, slc_error *err) SLC_CHECKED;
/* scorecards.c */
bool slc_route_scorecard(slc_txn *txn, slc_call *call, slc_error *err) SLC_CHECKED;
bool slc_route_scorecards(slc_txn *txn, slc_call *call, slc_error *err) SLC_CHECKED;
bool slc_route_scorecard_preview(slc_txn *txn, slc_call *call, slc_error *err) SLC_CHECKED;
/* webhooks.c */
bool slc_route_deliveries(slc_txn *txn, slc_call *call, slc_error *err) SLC_CHECKED;
/* conflicts.c */
bool slc_route_conflicts(slc_txn *txn, slc_call *call, slc_error *err) SLC_CHECKED;
/* The query parameter `limit`, 1 to 1,000, or 0 when it is absent; -1 with an error. */
int slc_call_limit(const slc_call *call, slc_error *err) SLC_CHECKED;
/* node_ca.c */
bool slc_route_node_ca(slc_txn *txn, slc_call *call, slc_error *err) SLC_CHECKED;
bool slc_route_node_ca_rotate(slc_txn *txn, slc_call *call, slc_error *err) SLC_CHECKED;
bool slc_route_node_ca_retire(slc_txn *txn, slc_call *call, slc_error *err) SLC_CHECKED;

#endif
