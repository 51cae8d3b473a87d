/* What the documents of an event API speak of where it is deployed, gathered from the catalog.
 *
 * The configuration alone, so that what is made of it changes with the configuration only; but for
 * slc_document_facts_add_partitions. Inside a transaction.
 */
#ifndef SLC_CATALOG_DOCUMENT_FACTS_H
#define SLC_CATALOG_DOCUMENT_FACTS_H

#include "catalog/documents.h"
#include "catalog/read.h"

typedef struct slc_document_facts {
    slc_document_source source; /* borrows from what follows */
    json_t *row;                /* of the deployment and what it refers to, by column */
    json_t *schema;             /* the definition, parsed */
    json_t *headers;            /* key_headers */
    char key_rule[600];
} slc_document_facts;

/* By ids. 1 found; 0 when the event API is not deployed on the group; -1 error. To be released in any case. */
int slc_document_facts_read(slc_txn *txn, const char *event_api_id, const char *group_id,
                            slc_document_facts *facts, slc_error *err) SLC_CHECKED;
/* How many partitions the topic has, if gateways have found it. */
bool slc_document_facts_add_partitions(slc_txn *txn, slc_document_facts *facts, slc_error *err) SLC_CHECKED;
void slc_document_facts_release(slc_document_facts *facts);

#endif
