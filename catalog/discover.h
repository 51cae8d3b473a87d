/* The catalog as people look through it: event APIs that somebody may know of, found by words and filters, and
 * one with all that its page shows. Inside a transaction.
 *
 * Somebody sees what is of their teams, in any state, and what is published or deprecated and in a product that
 * is visible to them.
 */
#ifndef SLC_CATALOG_DISCOVER_H
#define SLC_CATALOG_DISCOVER_H

#include "catalog/catalog.h"

struct slc_identity;

typedef struct slc_discover_query {
    const char *words; /* all must be found, each as the beginning of a word; NULL: any */
    const char *tag, *team, *lifecycle, *protocol, *environment; /* NULL: any; team is a key or an id */
    int limit;                                                   /* 0: 100 */
    const char *cursor;                                          /* of the page before; NULL: the start */
} slc_discover_query;

/* {items: [{key, name, major, title, summary, team, team_title, lifecycle, sunset_at, operations, exposures,
 * tags, environments}], next}: new JSON text of *len bytes. With words the best come first, else in the order
 * of the key. `viewer` NULL sees everything. */
char *slc_discover_list(slc_txn *txn, const slc_discover_query *query, const struct slc_identity *viewer,
                        size_t *len, slc_error *err) SLC_CHECKED;

/* The event API as slc_entity_get has it, with deployments: [{group, group_title, environment, rest_url,
 * kafka_url, topic}], products: [{name, title, lifecycle, plans}] and versions: [{key, lifecycle}], as far as
 * the viewer may know of them: new. SLC_NOT_FOUND also for what they may not know of. */
json_t *slc_discover_get(slc_txn *txn, const char *key, const struct slc_identity *viewer,
                         slc_error *err) SLC_CHECKED;

#endif
