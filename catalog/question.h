/* What "who may do what, and why?" asks, with names made ids, and what the catalog alone knows about the
 * answer: credentials and subscriptions that gateways never hear of. */
#ifndef SLC_CATALOG_QUESTION_H
#define SLC_CATALOG_QUESTION_H

#include <jansson.h>

#include "catalog/catalog.h"
#include "catalog/kind.h"

/* Of the request's body; ends with a NULL name. */
extern const slc_field slc_question_fields[];

#define SLC_QUESTION_CREDENTIALS 20 /* of an application, that are tried: the oldest ones */

/* New: the body in stored form (ids, milliseconds), with `credentials` [{id, type, issuer, property}], the live
 * ones of the application or the one that is asked about. NULL with err and the transaction's problems. */
json_t *slc_question_read(slc_txn *txn, const json_t *body, slc_error *err) SLC_CHECKED;
/* Adds to the answer what gateways do not know: the state of the credential that was asked about, and all
 * subscriptions of the application in the group's environment. */
bool slc_question_complete(slc_txn *txn, const json_t *question, json_t *answer, slc_error *err) SLC_CHECKED;

#endif
