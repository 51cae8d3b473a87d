/* What gateways have found, on its way into usage.db. */
#include "catalog/inventory.h"

#include <stdlib.h>

#include "catalog/read.h"

bool slc_inventory_topic(slc_txn *txn, const char *backend_id, const char *run, const slc_found_topic *topic,
                         slc_error *err)
{
    static const char sql[] =
        "INSERT OR REPLACE INTO inventory_topics (backend_id, name, partitions, replication, retention_ms, "
        "cleanup_policy, run, seen_at) VALUES (?1, ?2, ?3, ?4, CASE WHEN ?6 IS NOT NULL THEN ?5 END, ?6, ?7, "
        "?8)";
    return slc_txn_exec(txn, err, sql, "ssiiissi", backend_id, topic->name, topic->partitions,
                        topic->replication, topic->retention_ms,
                        topic->configured ? topic->cleanup_policy : NULL, run, slc_txn_now_ms(txn));
}

bool slc_inventory_group(slc_txn *txn, const char *backend_id, const char *run, const slc_found_group *group,
                         slc_error *err)
{
    static const char sql[] = "INSERT OR REPLACE INTO inventory_groups (backend_id, id, state, members, lag, "
                              "topics, run, seen_at) VALUES "
                              "(?1, ?2, ?3, nullif(?4, -1), nullif(?5, -1), ?6, ?7, ?8)";
    char *topics = json_dumps(group->topics, JSON_COMPACT);
    bool ok = slc_txn_exec(txn, err, sql, "sssiissi", backend_id, group->id, group->state, group->members,
                           group->lag, topics, run, slc_txn_now_ms(txn));
    free(topics);
    return ok;
}

bool slc_inventory_end(slc_txn *txn, const char *backend_id, const char *node_id, const char *run,
                       const char *groups_error, int64_t group_total, slc_error *err)
{
    static const char sql[] = "INSERT OR REPLACE INTO inventory_backends (backend_id, node_id, seen_at, "
                              "groups_error, group_total) VALUES "
                              "(?1, ?2, ?3, nullif(?4, ''), ?5)";
    return slc_txn_exec(txn, err, "DELETE FROM inventory_topics WHERE backend_id = ?1 AND run <> ?2", "ss",
                        backend_id, run) &&
           slc_txn_exec(txn, err, "DELETE FROM inventory_groups WHERE backend_id = ?1 AND run <> ?2", "ss",
                        backend_id, run) &&
           slc_txn_exec(txn, err, sql, "ssisi", backend_id, node_id, slc_txn_now_ms(txn), groups_error,
                        group_total);
}

bool slc_inventory_failed(slc_txn *txn, const char *backend_id, const char *node_id, const char *error,
                          slc_error *err)
{
    static const char sql[] =
        "INSERT INTO inventory_backends (backend_id, node_id, error, error_since) VALUES (?1, ?2, ?3, ?4) ON "
        "CONFLICT "
        "DO UPDATE SET node_id = excluded.node_id, error = excluded.error, error_since = coalesce(error_since, "
        "excluded.error_since)";
    return slc_txn_exec(txn, err, sql, "sssi", backend_id, node_id, error, slc_txn_now_ms(txn));
}
