/* What a request or its connection brings to prove who sends it: a bearer token, a client certificate. */
#ifndef SLC_DATAPLANE_HTTP_PROOF_H
#define SLC_DATAPLANE_HTTP_PROOF_H

#include "dataplane/http/exchange.h"
#include "dataplane/identity/certificate.h"

/* Calls `next` when it is known what the request's bearer token is, if it has one: at once or later, on this
 * thread; not at all when the client goes away first. The exchange is kept meanwhile. */
void slc_proof_then(slc_exchange *exchange, void (*next)(slc_exchange *exchange));
/* Of the connection's client: NULL when it has none. Lives as long as the connection. */
const slc_certificate *slc_proof_certificate(const slc_exchange *exchange);

#endif
