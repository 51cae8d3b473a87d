/* Every route of the admin API. */
#include "controlplane/admin/handlers.h"
#include "controlplane/admin/route.h"

const slc_route slc_routes[] = {
    {"GET", "/health/live", SLC_PERMISSION(SLC_PERMISSION_OPEN), SLC_ROUTE_READ, false, 200, slc_route_live,
     "The process answers"},
    {"GET", "/health/ready", SLC_PERMISSION(SLC_PERMISSION_OPEN), SLC_ROUTE_READ, false, 200, slc_route_ready,
     "The catalog can be read"},
    {"GET", "/openapi.json", SLC_PERMISSION(SLC_PERMISSION_OPEN), SLC_ROUTE_READ, false, 200, slc_route_openapi,
     "This document"},
    {"GET", "/metrics", SLC_PERMISSION(SLC_PERMISSION_OPEN), SLC_ROUTE_READ, false, 200, slc_route_metrics,
     "Metrics of the control plane in Prometheus text format"},
    {"GET", "/v1/self", SLC_PERMISSION(SLC_PERMISSION_OPEN), SLC_ROUTE_READ, false, 200, slc_route_self,
     "The token's identity and scopes"},
    {"GET", "/v1/gateway-nodes/{key}/connections", SLC_PERMISSION("gateway-nodes:read"), SLC_ROUTE_READ, false,
     200, slc_route_node_connections, "Connections: the node's open client connections, the newest first"},
    {"GET", "/v1/{kind}", SLC_PERMISSION("*:read"), SLC_ROUTE_READ, false, 200, slc_route_list,
     "List, a page at a time"},
    {"POST", "/v1/{kind}", SLC_PERMISSION("*:write"), SLC_ROUTE_WRITE, true, 201, slc_route_create, "Create"},
    {"GET", "/v1/{kind}/{key}", SLC_PERMISSION("*:read"), SLC_ROUTE_READ, false, 200, slc_route_get,
     "Get one by id or key"},
    {"PUT", "/v1/{kind}/{key}", SLC_PERMISSION("*:write"), SLC_ROUTE_WRITE, true, 200, slc_route_replace,
     "Replace"},
    {"PATCH", "/v1/{kind}/{key}", SLC_PERMISSION("*:write"), SLC_ROUTE_WRITE, true, 200, slc_route_patch,
     "Change some fields (JSON merge patch)"},
    {"DELETE", "/v1/{kind}/{key}", SLC_PERMISSION("*:write"), SLC_ROUTE_WRITE, false, 204, slc_route_delete,
     "Delete what nothing refers to"},
    {"POST", "/v1/{kind}/{key}/{action}", SLC_PERMISSION("*:write"), SLC_ROUTE_WRITE, true, 200, slc_route_act,
     "Act on one"},
    {NULL, NULL, NULL, SLC_ROUTE_READ, false, 0, NULL, NULL},
};
