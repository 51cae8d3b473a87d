/* What the control plane asks of the gateway's code: is a schema one that gateways can use? Bytes in, words
 * out. */
#ifndef SLC_DATAPLANE_SCHEMA_DEFINITION_H
#define SLC_DATAPLANE_SCHEMA_DEFINITION_H

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"

/* `format`: "json_schema" or "avro". False with what is wrong. Any thread. */
bool slc_schema_definition_check(const char *format, const char *text, size_t len, slc_error *err) SLC_CHECKED;

#endif
