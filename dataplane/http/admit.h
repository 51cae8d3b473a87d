/* Asks the policies whether a request may go on; one whose limits Redis counts may have to wait for the answer.
 */
#ifndef SLC_DATAPLANE_HTTP_ADMIT_H
#define SLC_DATAPLANE_HTTP_ADMIT_H

#include "dataplane/http/exchange.h"
#include "dataplane/policy/policy.h"

typedef void slc_admitted_fn(slc_exchange *exchange, enum slc_verdict verdict, const slc_denial *denial);

/* Calls `next` with SLC_ALLOW, SLC_DENY or SLC_ANSWER: at once or later, on this thread; not at all when the
 * client goes away first. The exchange is kept meanwhile. What it brought to prove who sends it is let go. */
void slc_admit_then(slc_exchange *exchange, const char *method, bool stream, slc_admitted_fn *next);

#endif
