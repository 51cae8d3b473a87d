/* From a request to the handler that answers it. */
#ifndef SLC_DATAPLANE_HTTP_ROUTE_H
#define SLC_DATAPLANE_HTTP_ROUTE_H

#include <event2/http.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* evhttp's handler; arg is the front. */
void slc_http_route(struct evhttp_request *req, void *arg);

enum slc_api_resource {
    SLC_RESOURCE_API,
    SLC_RESOURCE_EVENTS,
    SLC_RESOURCE_TICKETS,
    SLC_RESOURCE_OPENAPI,
    SLC_RESOURCE_ASYNCAPI
};

/* "/{name}/v{major}" and what follows, as in "/orders/v1/events". */
struct slc_api_path {
    const char *name; /* into the path */
    size_t name_len;
    uint32_t major;
    enum slc_api_resource resource;
};

/* False when the path is none of an event API's. Strict: no trailing slash, no leading zero, no
 * percent-encoding. */
bool slc_api_path_parse(const char *path, struct slc_api_path *out);

#endif
