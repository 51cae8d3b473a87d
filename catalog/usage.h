/* What applications use, as gateways tell it: stored in usage.db, added up by hour, day and month (UTC), and
 * shown to those whom it concerns. docs/usage.md.
 *
 * A gateway tells sums that grow while its process lives. What was told before is remembered for each (node,
 * boot, hour, combination), and only the difference is added, in the same transaction: it does not matter how
 * often something is told.
 */
#ifndef SLC_CATALOG_USAGE_H
#define SLC_CATALOG_USAGE_H

#include "catalog/catalog.h"

#define SLC_USAGE_OPERATIONS 5
/* By number: "publish", "read", "stream", "kafka-produce", "kafka-fetch"; NULL for none of them. */
const char *slc_usage_operation_name(int64_t operation);

enum slc_usage_number {
    SLC_USAGE_REQUESTS,
    SLC_USAGE_EVENTS,
    SLC_USAGE_BYTES,
    SLC_USAGE_ERRORS,
    SLC_USAGE_THROTTLED,
    SLC_USAGE_NUMBERS,
};

#define SLC_USAGE_HOUR_MS 3600000LL

/* Sums since the gateway's process began. Texts are borrowed, "" for none. */
typedef struct slc_usage_told {
    int64_t hour; /* since 1970, by the gateway's clock */
    const char *application_id, *event_api_id, *virtual_cluster_id;
    int64_t operation; /* its number */
    uint64_t numbers[SLC_USAGE_NUMBERS];
} slc_usage_told;

/* ---- inside slc_catalog_usage ---- */
/* Of hours before `oldest_hour` this process tells nothing any more, and what comes of them is ignored. An hour
 * that has not begun counts as the present one. */
bool slc_usage_store(slc_txn *txn, const char *node_id, const char *boot_id, int64_t oldest_hour,
                     const slc_usage_told *told, size_t count, slc_error *err) SLC_CHECKED;

typedef struct slc_usage_keep {
    int64_t hours_ms, days_ms, months_ms; /* how long each is kept */
    int64_t boots_ms;                     /* what is remembered of a process that another has followed */
} slc_usage_keep;

/* Removes what is older, a bounded part of it; `*more`: call again. */
bool slc_usage_prune(slc_txn *txn, const slc_usage_keep *keep, bool *more, slc_error *err) SLC_CHECKED;

/* ---- inside a transaction of the catalog ---- */
typedef struct slc_usage_query {
    const char *by;                                        /* "hour", "day", "month" */
    const char *application, *event_api, *virtual_cluster; /* key or id; NULL: any */
    const char *operation;                                 /* NULL: any */
    int64_t from_ms, to_ms;                                /* of the beginning of an hour, day or month */
    int limit;
    const char *cursor; /* of the answer before; NULL: the start */
} slc_usage_query;

/* {items: [{at, application, event_api, virtual_cluster, operation, requests, events, bytes, errors,
 * throttled}], next}, ordered by time: new. `viewer` (NULL: everything) sees what applications and event APIs
 * of their teams have part in. */
struct slc_identity;
json_t *slc_usage_list(slc_txn *txn, const slc_usage_query *query, const struct slc_identity *viewer,
                       slc_error *err) SLC_CHECKED;

#endif
