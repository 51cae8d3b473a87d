/* JSON Schemas of entities for the OpenAPI document. */
#ifndef SLC_CONTROLPLANE_ADMIN_OPENAPI_SCHEMA_H
#define SLC_CONTROLPLANE_ADMIN_OPENAPI_SCHEMA_H

#include <jansson.h>
#include <stdbool.h>

#include "catalog/kind.h"
#include "controlplane/admin/route.h"

/* What a schema is for. To create, required fields must be there; to replace, those that cannot change may be
 * left out; a merge patch needs none. Answers have the first form. */
enum slc_openapi_use { SLC_OPENAPI_CREATE, SLC_OPENAPI_REPLACE, SLC_OPENAPI_PATCH };

/* New references. `kind` may be NULL. */
json_t *slc_openapi_object_schema(const slc_field *fields, enum slc_openapi_use use);
json_t *slc_openapi_ref_schema(const char *kind);
/* Of a query parameter that filters by the field. */
json_t *slc_openapi_filter_schema(const slc_field *field);
json_t *slc_openapi_kind_schema(const slc_kind *kind, enum slc_openapi_use use);

/* openapi_config.c: the routes about the configuration as a whole say more than the tables do. */
void slc_openapi_config(const slc_route *route, json_t *operation);
void slc_openapi_config_schemas(json_t *schemas);

/* openapi_usage.c: parameters and answers of the routes about what gateways report. */
struct slc_route;
void slc_openapi_usage(const struct slc_route *route, json_t *operation);

/* openapi_catalog.c: the same of the catalog as people look through it. */
void slc_openapi_catalog(const struct slc_route *route, json_t *operation);

/* openapi_scorecards.c */
void slc_openapi_scorecards(const struct slc_route *route, json_t *operation);

#endif
