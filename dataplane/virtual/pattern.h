/* Patterns over names that brokers evaluate: the client's expression (RE2 syntax, matched against whole names)
 * becomes one that can match names of the virtual cluster alone.
 *
 * The expression is compiled alone first: `x)|(?:.*` is harmless by itself (it does not compile) and matches
 * other tenants' topics when it is only put between brackets. Brokers use RE2/J, which has the same syntax.
 */
#ifndef SLC_DATAPLANE_VIRTUAL_PATTERN_H
#define SLC_DATAPLANE_VIRTUAL_PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/error.h"
#include "dataplane/virtual/names.h"

/* Adds the backend's expression to `out`. With topics, fixed names outside the namespace that the expression
 * matches are added; extra topics with wildcards are not reached. False with `err` (SLC_INVALID; the message is
 * for the client): it does not compile, or in the mode enforce it could match names outside the prefix, or
 * names are filtered, which no expression can say. */
bool slc_pattern_map(const slc_names *names, enum slc_name_kind kind, const uint8_t *data, size_t len,
                     slc_buf *out, slc_error *err) SLC_CHECKED;

/* Adds the client's expression inside a backend's, as slc_pattern_map made it (`\A` has become `^`). False:
 * somebody else made it, nothing is added. */
bool slc_pattern_unmap(const slc_names *names, const uint8_t *data, size_t len, slc_buf *out);

#endif
