/* What others need to know of schema policies. */
#ifndef SLC_DATAPLANE_POLICY_SCHEMA_H
#define SLC_DATAPLANE_POLICY_SCHEMA_H

#include <stdbool.h>

#define SLC_REGISTRY_NAME_MAX 63 /* characters */

/* The registry that a policy's configuration (checked before) names. False: it names none. */
bool slc_schema_names(const char *config_json, char name[SLC_REGISTRY_NAME_MAX + 1]);

#endif
