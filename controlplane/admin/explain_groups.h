/* The configuration of gateway groups, compiled and built as a gateway builds it, for POST /v1/explain. The
 * groups that were asked about last are kept, so that a question costs what has changed since. Any thread. */
#ifndef SLC_CONTROLPLANE_ADMIN_EXPLAIN_GROUPS_H
#define SLC_CONTROLPLANE_ADMIN_EXPLAIN_GROUPS_H

#include <jansson.h>

#include "catalog/catalog.h"

typedef struct slc_explain_groups slc_explain_groups;

slc_explain_groups *slc_explain_groups_new(unsigned kept); /* at least one */
void slc_explain_groups_free(slc_explain_groups *groups);  /* NULL is fine */

/* The answer (new) to a question of slc_question_read, by the catalog as the transaction sees it. One at a
 * time: others wait. */
json_t *slc_explain_groups_ask(slc_explain_groups *groups, slc_txn *txn, const json_t *question,
                               slc_error *err) SLC_CHECKED;

#endif
