/* What anybody may know about an event API: its description, its OpenAPI and AsyncAPI documents, and that it is
 * going away. */
#ifndef SLC_DATAPLANE_HTTP_DESCRIBE_H
#define SLC_DATAPLANE_HTTP_DESCRIBE_H

#include "dataplane/http/exchange.h"
#include "dataplane/http/route.h"

/* Answers GET and HEAD of everything about an event API but its events. Worker's thread. */
void slc_describe(slc_exchange *exchange, enum slc_api_resource resource, const char *method);
/* Deprecation (RFC 9745) and Sunset (RFC 8594) on whatever is answered; nothing when the API is
 * not deprecated. */
void slc_describe_deprecation(slc_exchange *exchange);

#endif
