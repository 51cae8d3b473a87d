/* Where names of a virtual cluster meet, as its configuration alone shows: names that two things have, topics
 * that have two names, and topics of other namespaces. */
#ifndef SLC_CATALOG_CONFLICTS_H
#define SLC_CATALOG_CONFLICTS_H

#include <jansson.h>

#include "catalog/catalog.h"

/* `vcluster` is its stored form (slc_entity_load). New: an array of {kind, name, topic, winner, loser,
 * virtual_cluster, detail}, of which the last but one is for the kind "shared" alone; at most
 * SLC_CATALOG_CONFLICTS_MAX. NULL on error.
 */
#define SLC_CATALOG_CONFLICTS_MAX 1000
json_t *slc_catalog_conflicts(slc_txn *txn, const json_t *vcluster, slc_error *err) SLC_CHECKED;

#endif
