/* The catalog as people look through it: event APIs and REST APIs that somebody may know of, found by words and
 * filters, and one with all that its page shows. Inside a transaction.
 *
 * Somebody sees what is of their teams, in any state, and what is published or deprecated and visible to them:
 * an event API by the products that it is in, a REST API by itself. Who is not signed in sees what is public,
 * and of that no more than what it is: no addresses, no ids, nothing of who looks after it but the team.
 */
#ifndef SLC_CATALOG_DISCOVER_H
#define SLC_CATALOG_DISCOVER_H

#include "catalog/catalog.h"

struct slc_buf;
struct slc_identity;

/* Who looks. All zero sees nothing. */
typedef struct slc_discover_viewer {
    bool event_apis, rest_apis; /* may these be seen at all? */
    bool everything;            /* of all teams, in any state */
    bool visitor;               /* not signed in */
    const json_t *teams;        /* array of ids, borrowed; NULL: none */
} slc_discover_viewer;

/* Of somebody with their rights; borrows their teams. NULL is the control plane itself, which sees everything.
 */
slc_discover_viewer slc_discover_viewer_of(const struct slc_identity *identity);
/* Of whoever is not signed in. */
slc_discover_viewer slc_discover_visitor(void);

typedef struct slc_discover_query {
    const char *words; /* all must be found, each as the beginning of a word; NULL: any */
    const char *kind;  /* "event-apis" or "rest-apis"; NULL, as the next ones: any */
    const char *tag, *team, *lifecycle, *protocol, *environment; /* team is a key or an id */
    int limit;                                                   /* 0: 100 */
    const char *cursor;                                          /* of the page before; NULL: the start */
} slc_discover_query;

/* {items: [...], next}: new JSON text of *len bytes. With words the best come first, else in the order of the
 * key. An item has {kind, key, name, title, summary, team, team_title, lifecycle, sunset_at, tags, served} and,
 * of an event API, {major, operations, exposures, environments}; of a REST API {version, operation_count}. */
char *slc_discover_list(slc_txn *txn, const slc_discover_query *query, const slc_discover_viewer *viewer,
                        size_t *len, slc_error *err) SLC_CHECKED;

/* Adds all that the answer to slc_discover_list depends on besides the catalog, so that two who have the same
 * key at the same revision get the same: every field of the query, and what the viewer may see. */
void slc_discover_key(const slc_discover_query *query, const slc_discover_viewer *viewer, struct slc_buf *out);

/* New; SLC_NOT_FOUND also for what they may not know of. An event API as slc_entity_get has it, with kind,
 * deployments:
 * [{group, group_title, environment, rest_url, kafka_url, topic}], products: [{name, title, lifecycle, plans}]
 * and versions: [{key, lifecycle}], as far as the viewer may know of them. A REST API likewise with kind,
 * without its document. Visitors have a part of it. */
json_t *slc_discover_get(slc_txn *txn, const char *key, const slc_discover_viewer *viewer,
                         slc_error *err) SLC_CHECKED;

/* The AsyncAPI document of an event API where it is deployed on a gateway group (key or id): new text. NULL
 * with SLC_NOT_FOUND as above, and when nobody could be told an address. Visitors have none. */
char *slc_discover_asyncapi(slc_txn *txn, const char *key, const char *group, const slc_discover_viewer *viewer,
                            size_t *len, slc_error *err) SLC_CHECKED;

/* The OpenAPI document of a REST API, as it was imported: new text. NULL as above. */
char *slc_discover_document(slc_txn *txn, const char *key, const slc_discover_viewer *viewer, size_t *len,
                            slc_error *err) SLC_CHECKED;

#endif
