/* FIELD=VALUE arguments as JSON. */
#ifndef SLC_CONTROLPLANE_CTL_FIELDS_H
#define SLC_CONTROLPLANE_CTL_FIELDS_H

#include <jansson.h>

#include "common/error.h"

/* Sets the field in `body`: "a.b=1" sets b within the object a. Values are YAML: true, 5, [x, y], {a: b},
 * "text"; what is no YAML is text. "field=@file" takes the text of a file. */
bool slc_field_set(json_t *body, const char *assignment, slc_error *err) SLC_CHECKED;

#endif
