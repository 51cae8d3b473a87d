/* JSON Schemas of entities for the OpenAPI document. */
#ifndef SLC_CONTROLPLANE_ADMIN_OPENAPI_SCHEMA_H
#define SLC_CONTROLPLANE_ADMIN_OPENAPI_SCHEMA_H

#include <jansson.h>
#include <stdbool.h>

#include "catalog/kind.h"

/* New references. `kind` may be NULL. Without required fields a schema fits a merge patch. */
json_t *slc_openapi_object_schema(const slc_field *fields, bool with_required);
json_t *slc_openapi_ref_schema(const char *kind);
/* Of a query parameter that filters by the field. */
json_t *slc_openapi_filter_schema(const slc_field *field);
json_t *slc_openapi_kind_schema(const slc_kind *kind, bool with_required);

#endif
