/* What is on the backends, as gateways have found it: topics, and groups with how far behind they are. In
 * usage.db. docs/inventory.md. */
#ifndef SLC_CATALOG_INVENTORY_H
#define SLC_CATALOG_INVENTORY_H

#include "catalog/catalog.h"

/* ---- inside slc_catalog_usage ---- */
typedef struct slc_found_topic {
    const char *name;
    int64_t partitions, replication;
    bool configured; /* what follows is known */
    int64_t retention_ms;
    const char *cleanup_policy;
} slc_found_topic;

typedef struct slc_found_group {
    const char *id, *state;
    int64_t members, lag; /* -1: not known */
    json_t *topics;       /* [{topic, lag}]; borrowed */
} slc_found_group;

/* Of the run of an inventory; what it had not found when it ends is removed. */
bool slc_inventory_topic(slc_txn *txn, const char *backend_id, const char *run, const slc_found_topic *topic,
                         slc_error *err) SLC_CHECKED;
bool slc_inventory_group(slc_txn *txn, const char *backend_id, const char *run, const slc_found_group *group,
                         slc_error *err) SLC_CHECKED;
bool slc_inventory_end(slc_txn *txn, const char *backend_id, const char *node_id, const char *run,
                       const char *groups_error, int64_t group_total, slc_error *err) SLC_CHECKED;
/* The backend could not be read: what was known stays. */
bool slc_inventory_failed(slc_txn *txn, const char *backend_id, const char *node_id, const char *error,
                          slc_error *err) SLC_CHECKED;

/* ---- inside a transaction of the catalog ---- */
typedef struct slc_inventory_query {
    const char *search; /* in names; NULL: all */
    int managed;        /* topics: 1: a deployment uses it; 0: none does; -1: any */
    int limit;
    const char *cursor;
} slc_inventory_query;

/* {backend, seen_at, node, reachable, error, error_since, items, next}: new. Of topics: {name, partitions,
 * replication, retention_ms, cleanup_policy, seen_at, managed, deployments, teams}. `teams` (array of ids,
 * NULL: everything): only what their grants cover. */
json_t *slc_inventory_topics(slc_txn *txn, const char *backend, const slc_inventory_query *query,
                             const json_t *teams, slc_error *err) SLC_CHECKED;
/* {id, state, members, lag, topics, seen_at} */
json_t *slc_inventory_groups(slc_txn *txn, const char *backend, const slc_inventory_query *query,
                             slc_error *err) SLC_CHECKED;

#endif
